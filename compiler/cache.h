/* cache.h: compiled code on the disk, so that a model that was compiled before starts without LLVM.
 *
 * A file is the objects of one entry. Its name is the key: graph, options, compiler and processor decide the code, and all of
 * them are in it. A file that is cut off, changed, of another user, or writable by others is ignored, and written anew. Files are
 * made beside and renamed: any number of processes may read and write at once. Whatever fails, the code is compiled. */
#ifndef GRADC_CACHE_H
#define GRADC_CACHE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CACHE_PATH = 4096, CACHE_MAX_PARTS = 16, CACHE_DEFAULT_MB = 256 };

typedef struct { uint64_t word[2]; } CacheKey;

/* A key from what decides the code (a text, whatever its form), this build of the compiler and this processor. False where the
 * build cannot be told from another one: then nothing is cached. */
bool cache_key(const char *text, size_t size, CacheKey *key);

/* $XDG_CACHE_HOME/gradc or ~/.cache/gradc; false where there is neither. */
bool cache_folder(char folder[CACHE_PATH]);

typedef struct {
  void *bytes;   /* free() */
  size_t size;
} CachePart;

/* The parts under a key, each with its own memory, aligned to 16 bytes; how many there are, 0 where the cache has none. */
unsigned cache_read(const char *folder, const CacheKey *key, CachePart parts[CACHE_MAX_PARTS]);

/* Keeps parts; then removes those that were not used for longest until all take at most `most` bytes. False where it cannot be
 * written: the reason is in `why`. Nothing is left behind then. */
bool cache_write(const char *folder, const CacheKey *key, const CachePart *parts, unsigned count, int64_t most, char *why, size_t why_size);

/* Bytes that a cache may take: CACHE_DEFAULT_MB, or GRADC_CACHE_MB of the environment. */
int64_t cache_limit(void);

typedef struct { int64_t files, bytes; } CacheSize;
CacheSize cache_total(const char *folder);
/* Removes every file of the cache; false where one is left. */
bool cache_clear(const char *folder);

#endif
