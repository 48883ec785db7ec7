/* cache.c: see cache.h. A file: a Header, then each part from a multiple of 16 on. */
#define _GNU_SOURCE
#include "cache.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined __x86_64__
#include <cpuid.h>
#else
#include <sys/auxv.h>
#endif

#include "map.h"
#include "mem.h"

#define SUFFIX ".code"
enum { NAME_LENGTH = 32, STALE_SECONDS = 600, MOST_BYTES = 1 << 28 };

typedef struct {
  char magic[8];
  CacheKey key;
  uint64_t size;      /* of the whole file */
  uint64_t count;
  uint64_t part[CACHE_MAX_PARTS]; /* bytes */
  uint64_t check;     /* of all before and all behind it */
} Header;

static const char magic[8] = {'g', 'r', 'a', 'd', 'c', ' ', 'c', '1'};

/* ---- the key ---- */

/* The linker's mark of this very binary, mixed into *data. */
static int take_build(struct dl_phdr_info *info, size_t size, void *data) {
  uint64_t *hash = data;
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *h = &info->dlpi_phdr[i];
    if (h->p_type != PT_NOTE) continue;
    const char *p = (const char *)(info->dlpi_addr + h->p_vaddr), *end = p + h->p_memsz;
    while (end - p >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
      const ElfW(Nhdr) *note = (const void *)p;
      const size_t name = (note->n_namesz + 3u) & ~3u, desc = (note->n_descsz + 3u) & ~3u;
      const char *body = p + sizeof *note;
      if ((size_t)(end - body) < name + desc) break;
      if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(body, "GNU", 4) && note->n_descsz)
        *hash = hash_bytes(body + name, note->n_descsz);
      p = body + name + desc;
    }
  }
  return 1; /* the first one is the program itself; its code generator is linked in, or has its version in the name that it needs */
}

static uint64_t processor(void) {
  uint64_t hash = 7;
#if defined __x86_64__
  for (unsigned leaf = 0; leaf < 8; leaf++) {
    unsigned r[4] = {0};
    if (!__get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3])) continue;
    if (leaf == 1) r[1] &= 0xffffffu; /* not the number of the core that runs this */
    if (leaf != 2 && leaf != 4 && leaf != 6) hash = hash_mix(hash, hash_bytes(r, sizeof r));
  }
  for (unsigned leaf = 0x80000001u; leaf < 0x80000005u; leaf++) {
    unsigned r[4] = {0};
    if (__get_cpuid(leaf, &r[0], &r[1], &r[2], &r[3])) hash = hash_mix(hash, hash_bytes(r, sizeof r));
  }
  const int wide = __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx2") ? 1 : 0; /* the system has a say too */
  hash = hash_mix(hash, (uint64_t)wide);
#else
  hash = hash_mix(hash_mix(hash, getauxval(AT_HWCAP)), getauxval(AT_HWCAP2));
#endif
  return hash;
}

/* This program on this processor; `build` 0: unknown. Asking a virtual machine's processor costs microseconds a question. */
static struct Maker { uint64_t build, processor; } the_maker;
static void find_maker(void) {
  dl_iterate_phdr(take_build, &the_maker.build);
  the_maker.processor = processor();
}

bool cache_key(const char *text, size_t size, CacheKey *key) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_maker);
  uint64_t other = size;
  for (size_t i = 0; i + 8 <= size; i += 8) { /* a second hash, of another kind */
    uint64_t word;
    memcpy(&word, text + i, sizeof word);
    other = (other ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    other ^= other >> 29;
  }
  for (size_t i = size & ~(size_t)7; i < size; i++) other = (other ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
  const uint64_t machine = hash_mix(the_maker.build, the_maker.processor);
  *key = (CacheKey){{hash_mix(machine, hash_words(text, size)), hash_mix(other, machine)}};
  return the_maker.build != 0;
}

/* ---- places ---- */

bool cache_folder(char folder[CACHE_PATH]) {
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  int n = -1;
  if (xdg && *xdg == '/') n = snprintf(folder, CACHE_PATH, "%s/gradc", xdg); /* a relative one is to be ignored: the standard */
  else if (home && *home == '/') n = snprintf(folder, CACHE_PATH, "%s/.cache/gradc", home);
  return n > 0 && n < CACHE_PATH - 128;
}

static void make_path(const char *folder, const CacheKey *key, char path[CACHE_PATH]) {
  snprintf(path, CACHE_PATH, "%s/%016llx%016llx" SUFFIX, folder, (unsigned long long)key->word[0], (unsigned long long)key->word[1]);
}

/* A file of the cache, or one in the making. */
static bool is_ours(const char *name, bool *whole) {
  if (strspn(name, "0123456789abcdef") != NAME_LENGTH || strncmp(name + NAME_LENGTH, SUFFIX, strlen(SUFFIX))) return false;
  const char *rest = name + NAME_LENGTH + strlen(SUFFIX);
  *whole = !*rest;
  return *whole || !strncmp(rest, ".tmp-", 5);
}

int64_t cache_limit(void) {
  const char *text = getenv("GRADC_CACHE_MB");
  char *end;
  const long long mb = text ? strtoll(text, &end, 10) : CACHE_DEFAULT_MB;
  const bool good = !text || (end != text && !*end && mb >= 0 && mb < INT64_MAX >> 20);
  return (int64_t)(good ? mb : CACHE_DEFAULT_MB) << 20;
}

/* ---- reading ---- */

static size_t padded(uint64_t size) { return (size_t)(size + 15) & ~(size_t)15; }

static uint64_t checksum(const Header *h, const char *payload, size_t size) {
  return hash_mix(hash_bytes(h, offsetof(Header, check)), hash_words(payload, size));
}

/* Whether a file is what its name says, to the last bit. */
static bool is_sound(const Header *h, const CacheKey *key, const char *payload, size_t size) {
  if (memcmp(h->magic, magic, sizeof magic) || memcmp(&h->key, key, sizeof *key) || h->size != sizeof *h + size) return false;
  if (!h->count || h->count > CACHE_MAX_PARTS) return false;
  size_t sum = 0;
  for (uint64_t i = 0; i < h->count; i++) {
    if (!h->part[i] || h->part[i] > size) return false;
    sum += padded(h->part[i]);
  }
  return sum == size && h->check == checksum(h, payload, size);
}

static bool read_whole(int fd, void *to, size_t size) {
  for (size_t got = 0; got < size;) {
    const ssize_t n = read(fd, (char *)to + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    got += (size_t)n;
  }
  return true;
}

/* Code is run as it is: only from a file that nobody else can have written. */
static bool is_trusted(const struct stat *st) {
  return S_ISREG(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

unsigned cache_read(const char *folder, const CacheKey *key, CachePart parts[CACHE_MAX_PARTS]) {
  char path[CACHE_PATH];
  make_path(folder, key, path);
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return 0;
  struct stat st;
  Header h;
  unsigned count = 0;
  bool ok = !fstat(fd, &st) && is_trusted(&st) && st.st_size > (off_t)sizeof h && st.st_size < MOST_BYTES && read_whole(fd, &h, sizeof h);
  const size_t size = ok ? (size_t)st.st_size - sizeof h : 0;
  char *payload = ok ? malloc(size) : NULL;
  ok = payload && read_whole(fd, payload, size) && is_sound(&h, key, payload, size);
  const char *at = payload;
  for (uint64_t i = 0; ok && i < h.count; i++, at += padded(h.part[i - 1])) {
    parts[count++] = (CachePart){mem_alloc(h.part[i]), h.part[i]};
    memcpy(parts[i].bytes, at, h.part[i]);
  }
  if (ok) futimens(fd, NULL); /* used now: what was not used for longest goes first */
  free(payload);
  close(fd);
  return count;
}

/* ---- writing ---- */

/* The folder and those above it. */
static bool make_folder(const char *folder) {
  char path[CACHE_PATH];
  snprintf(path, sizeof path, "%s", folder);
  for (char *p = path + 1; *p; p++) {
    if (*p != '/') continue;
    *p = 0;
    if (mkdir(path, 0700) && errno != EEXIST) return false;
    *p = '/';
  }
  return !mkdir(path, 0700) || errno == EEXIST;
}

static bool write_whole(int fd, const void *from, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = write(fd, (const char *)from + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

typedef struct {
  char name[NAME_LENGTH + 64];
  int64_t bytes;
  struct timespec used;
} Row;

static int by_use(const void *a, const void *b) {
  const Row *x = a, *y = b;
  if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
  if (x->used.tv_nsec != y->used.tv_nsec) return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* The files of the cache, in the order of their use; NULL where there are none. What killed writers left is removed. */
static Row *list(DIR *entries, size_t *count) {
  Row *rows = NULL;
  size_t room = 0;
  const time_t now = time(NULL);
  *count = 0;
  for (struct dirent *d = readdir(entries); d; d = readdir(entries)) {
    struct stat st;
    bool whole;
    if (!is_ours(d->d_name, &whole) || strlen(d->d_name) >= sizeof rows->name) continue;
    if (fstatat(dirfd(entries), d->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode)) continue;
    if (!whole) {
      if (now - st.st_mtime > STALE_SECONDS) unlinkat(dirfd(entries), d->d_name, 0);
      continue;
    }
    if (*count == room) rows = mem_resize(rows, (room = room * 2 + 16) * sizeof *rows);
    Row *row = &rows[(*count)++];
    *row = (Row){.bytes = st.st_size, .used = st.st_mtim};
    strcpy(row->name, d->d_name);
  }
  if (*count) qsort(rows, *count, sizeof *rows, by_use);
  return rows;
}

/* The file at `path`, just written, stays, whatever its size (the clock of the files is coarser than two writes). */
static void make_room(const char *folder, const char *path, int64_t most) {
  DIR *entries = opendir(folder);
  if (!entries) return;
  size_t count;
  Row *rows = list(entries, &count);
  int64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += rows[i].bytes;
  const char *slash = strrchr(path, '/'), *written = slash ? slash + 1 : path;
  for (size_t i = 0; i < count && sum > most; i++) {
    if (!strcmp(rows[i].name, written)) continue;
    unlinkat(dirfd(entries), rows[i].name, 0);
    sum -= rows[i].bytes;
  }
  free(rows);
  closedir(entries);
}

bool cache_write(const char *folder, const CacheKey *key, const CachePart *parts, unsigned count, int64_t most, char *why, size_t why_size) {
  char path[CACHE_PATH], beside[CACHE_PATH + 64];
  Header h = {.key = *key, .count = count, .size = sizeof h};
  memcpy(h.magic, magic, sizeof magic);
  if (!count || count > CACHE_MAX_PARTS) return snprintf(why, why_size, "%u objects", count), false;
  for (unsigned i = 0; i < count; i++) h.part[i] = parts[i].size, h.size += padded(parts[i].size);
  char *payload = mem_zero(h.size - sizeof h + 1, 1), *at = payload;
  for (unsigned i = 0; i < count; i++, at += padded(parts[i - 1].size)) memcpy(at, parts[i].bytes, parts[i].size);
  h.check = checksum(&h, payload, h.size - sizeof h);
  make_path(folder, key, path);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  snprintf(beside, sizeof beside, "%s.tmp-%ld-%ld", path, (long)getpid(), now.tv_nsec);
  int fd = make_folder(folder) ? open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
  bool ok = fd >= 0 && write_whole(fd, &h, sizeof h) && write_whole(fd, payload, h.size - sizeof h);
  int error = ok ? 0 : errno;
  if (fd >= 0 && close(fd) && ok) ok = false, error = errno;
  if (ok && rename(beside, path)) ok = false, error = errno;
  if (!ok && fd >= 0) unlink(beside);
  if (!ok) snprintf(why, why_size, "%s: %s", folder, strerror(error));
  free(payload);
  if (ok) make_room(folder, path, most);
  return ok;
}

/* ---- the whole ---- */

CacheSize cache_total(const char *folder) {
  CacheSize size = {0};
  DIR *entries = opendir(folder);
  if (!entries) return size;
  size_t count;
  Row *rows = list(entries, &count);
  for (size_t i = 0; i < count; i++) size.files++, size.bytes += rows[i].bytes;
  free(rows);
  closedir(entries);
  return size;
}

bool cache_clear(const char *folder) {
  DIR *entries = opendir(folder);
  if (!entries) return errno == ENOENT;
  bool ok = true;
  for (struct dirent *d = readdir(entries); d; d = readdir(entries)) {
    bool whole;
    if (is_ours(d->d_name, &whole)) ok = (!unlinkat(dirfd(entries), d->d_name, 0) || errno == ENOENT) && ok;
  }
  closedir(entries);
  return ok;
}
