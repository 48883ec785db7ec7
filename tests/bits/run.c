/* run.c: calls what make.c has made, and prints a hash of the bits of each result: one line a case. A file of its own for every
 * processor: the C library and abi.h are all that it takes.
 * Usage: bits cases.bin   (built with -I of the folder that has calls.inc) */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "cases.h"

#define CASE(name) void name(GradcFrame *, int64_t, int64_t, void *);
#include "calls.inc"
#undef CASE
#define CASE(name) name,
static const GradcEntry entries[] = {
#include "calls.inc"
};

static FILE *file;

static void take(void *to, size_t size) {
  if (size && fread(to, size, 1, file) != 1) fprintf(stderr, "cases.bin ends too soon\n"), exit(1);
}
static int64_t number(void) {
  int64_t n;
  take(&n, sizeof n);
  return n;
}
static void *memory(int64_t size) {
  void *p = aligned_alloc(64, (size_t)(size + 127) / 64 * 64);
  if (!p) abort();
  return memset(p, 0x7f, (size_t)(size + 127) / 64 * 64);
}

static void barrier(GradcFrame *frame, int64_t thread) { (void)frame, (void)thread; }

static uint64_t hash(uint64_t h, const unsigned char *bytes, int64_t size) {
  for (int64_t i = 0; i < size; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
  return h;
}

static void run_case(GradcEntry entry) {
  char name[CASE_NAME];
  GradcFrame frame = {.step = 3, .steps = 100, .epoch = 1, .seed = 7, .draw = 5, .barrier = barrier};
  take(name, sizeof name), take(frame.batch, sizeof frame.batch);
  char *arena = memory(number());
  void *scratch = memory(number());
  const int64_t count = number();
  void **buffers = calloc((size_t)count + 1, sizeof *buffers);
  int64_t *results = calloc((size_t)count + 1, sizeof *results);
  for (int64_t i = 0; i < count; i++) {
    const int64_t kind = number(), size = number();
    if (kind == BUFFER_SLOT) take(buffers[i] = memory(size), (size_t)size);
    else buffers[i] = arena + number();
    if (kind == BUFFER_RESULT) results[i] = size;
  }
  frame.buffers = buffers;
  entry(&frame, 0, 1, scratch);
  uint64_t h = 0xcbf29ce484222325u;
  for (int64_t i = 0; i < count; i++) h = hash(h, buffers[i], results[i]);
  printf("%s %016llx\n", name, (unsigned long long)h);
}

int main(int argc, char **argv) {
  file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: bits cases.bin\n"), 2;
  const int64_t count = number();
  if (count != (int64_t)(sizeof entries / sizeof *entries)) return fprintf(stderr, "cases.bin and calls.inc differ\n"), 1;
  for (int64_t i = 0; i < count; i++) run_case(entries[i]);
  return 0;
}
