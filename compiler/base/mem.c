/* mem.c: see mem.h. */
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p, size_t size) {
  if (!p && size) {
    fprintf(stderr, "gradc: out of memory (%zu bytes asked for)\n", size);
    exit(1);
  }
  return p;
}

void *mem_alloc(size_t size) { return checked(malloc(size ? size : 1), size); }
void *mem_zero(size_t count, size_t size) { return checked(calloc(count ? count : 1, size ? size : 1), count); }
void *mem_resize(void *old, size_t size) { return checked(realloc(old, size ? size : 1), size); }

char *mem_strdup(const char *text) {
  const size_t n = strlen(text) + 1;
  return memcpy(mem_alloc(n), text, n);
}

bool mem_mul(int64_t a, int64_t b, int64_t *product) { return !__builtin_mul_overflow(a, b, product); }
bool mem_add(int64_t a, int64_t b, int64_t *sum) { return !__builtin_add_overflow(a, b, sum); }
