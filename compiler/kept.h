/* kept.h: what the front end and the scheduler found out about a model, as bytes: a model that ran before starts from them and from
 * its cached code, without being parsed, traced, optimised or scheduled. compile.c says when, and under which key. */
#ifndef GRADC_KEPT_H
#define GRADC_KEPT_H
#include "abi.h"
#include "cache.h"
#include "program.h"
#include "text.h"

/* A file that the model imports. It is looked at anew each time: another text is another model. */
typedef struct {
  const char *path;
  uint32_t base;      /* its first position: places in it, and in what was read after it, stay what they were */
  CacheKey text;
} KeptFile;

typedef struct {
  bool planned;       /* the program has this entry */
  Flops flops;
  uint32_t kernels, launches;
  CacheKey code;      /* where the cache has its code */
} KeptEntry;

typedef struct Kept {
  CacheKey key;       /* its own */
  KeptFile *files;
  uint32_t file_count;
  GradcProgram tables; /* entries without code */
  KeptEntry entries[GRADC_ENTRY_COUNT];
} Kept;

/* The bytes of it, and of a program without its graphs: the plans of data and training, and the slots. */
void kept_write(Kept *kept, Program *program, Text *out);
/* A program whose only graph is `init`, with all slots and no nodes; `kept` says the rest. NULL where the bytes are not right.
 * `kept` lies in the program's arena. */
Program *kept_read(Session *s, const char *path, const void *bytes, size_t size);

#endif
