/* mem.h: allocation that cannot fail silently, and products of sizes that cannot wrap. */
#ifndef GRADC_MEM_H
#define GRADC_MEM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Like malloc, calloc and realloc; on failure they print "out of memory" and exit with status 1. */
void *mem_alloc(size_t size);
void *mem_zero(size_t count, size_t size);
void *mem_resize(void *old, size_t size);
char *mem_strdup(const char *text);

/* The product and the sum of two non-negative numbers; false where they leave int64_t. */
bool mem_mul(int64_t a, int64_t b, int64_t *product);
bool mem_add(int64_t a, int64_t b, int64_t *sum);

#endif
