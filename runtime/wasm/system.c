/* system.c: what the runtime has in a WebAssembly module in place of a C library and threads: memory that only grows, since
 * a module has one model; texts; and a team of one. What it does not do: files. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include "gradc.h"
#include "team.h"

#define PAGE 65536
#define EXPORT(name) __attribute__((export_name(name), used))

/* -- Memory and texts; the compiler must not make of these loops calls of themselves -- */

#define PLAIN __attribute__((no_builtin))

PLAIN void *memcpy(void *to, const void *from, size_t n) {
  for (size_t i = 0; i < n; i++) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}

PLAIN void *memmove(void *to, const void *from, size_t n) {
  if ((uintptr_t)to < (uintptr_t)from) return memcpy(to, from, n);
  for (size_t i = n; i-- > 0;) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}

PLAIN void *memset(void *to, int byte, size_t n) {
  for (size_t i = 0; i < n; i++) ((char *)to)[i] = (char)byte;
  return to;
}

PLAIN int memcmp(const void *a, const void *b, size_t n) {
  const unsigned char *x = a, *y = b;
  for (size_t i = 0; i < n; i++)
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
}

PLAIN size_t strlen(const char *text) {
  size_t n = 0;
  while (text[n]) n++;
  return n;
}

PLAIN int strcmp(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}

char *strerror(int error) { return (char *)(uintptr_t)"it has none"; }

extern unsigned char __heap_base;
static uintptr_t heap_end; /* 0: nothing is taken yet */

int posix_memalign(void **memory, size_t align, size_t size) {
  const uintptr_t begin = heap_end ? heap_end : (uintptr_t)&__heap_base, at = (begin + align - 1) & ~(uintptr_t)(align - 1);
  const uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
  if (at < begin || size > UINTPTR_MAX - at - PAGE) return ENOMEM;
  if (at + size > have && __builtin_wasm_memory_grow(0, (at + size - have + PAGE - 1) / PAGE) == (size_t)-1) return ENOMEM;
  heap_end = at + size;
  *memory = (void *)at;
  return 0;
}

void free(void *memory) {}

/* Memory for the page's own arrays; 0: there is no more. */
EXPORT("gradc_wasm_alloc") void *wasm_alloc(size_t size) {
  void *memory = NULL;
  return posix_memalign(&memory, 64, size) ? NULL : memory;
}

/* -- Sentences: %s, %d, %u, %lld, %.1f, which is what the runtime's have -- */

typedef struct {
  char *to;
  size_t size, at;
} Out;

static void put(Out *o, char c) {
  if (o->at + 1 < o->size) o->to[o->at] = c;
  o->at++;
}

static void put_number(Out *o, uint64_t n) {
  char digits[20];
  int count = 0;
  do digits[count++] = (char)('0' + n % 10);
  while (n /= 10);
  while (count) put(o, digits[--count]);
}

static void put_signed(Out *o, int64_t n) {
  if (n < 0) put(o, '-');
  put_number(o, n < 0 ? -(uint64_t)n : (uint64_t)n);
}

static void put_tenths(Out *o, double x) {
  const uint64_t tenths = (uint64_t)((x < 0 ? -x : x) * 10 + 0.5);
  if (x < 0) put(o, '-');
  put_number(o, tenths / 10), put(o, '.'), put(o, (char)('0' + tenths % 10));
}

int vsnprintf(char *to, size_t size, const char *format, va_list args) {
  Out o = {to, size, 0};
  for (const char *p = format; *p; p++) {
    if (*p != '%') {
      put(&o, *p);
      continue;
    }
    p++;
    if (*p == 's') for (const char *s = va_arg(args, const char *); *s; s++) put(&o, *s);
    else if (*p == 'd') put_signed(&o, va_arg(args, int));
    else if (*p == 'u') put_number(&o, va_arg(args, unsigned));
    else if (p[0] == 'l' && p[1] == 'l') put_signed(&o, va_arg(args, long long)), p += 2;
    else if (p[0] == '.' && p[1] == '1') put_tenths(&o, va_arg(args, double)), p += 2;
    else put(&o, *p);
  }
  if (size) to[o.at < size ? o.at : size - 1] = 0;
  return (int)o.at;
}

int snprintf(char *to, size_t size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int n = vsnprintf(to, size, format, args);
  va_end(args);
  return n;
}

/* -- What the compiler calls to find that a product leaves 63 bits -- */

__int128 __multi3(__int128 a, __int128 b) {
  const uint64_t x = (uint64_t)a, y = (uint64_t)b, low = (uint32_t)x, high = x >> 32;
  const uint64_t first = low * (uint32_t)y, second = high * (uint32_t)y + (first >> 32);
  const uint64_t third = low * (y >> 32) + (uint32_t)second;
  const uint64_t top = high * (y >> 32) + (second >> 32) + (third >> 32) + x * (uint64_t)(b >> 64) + (uint64_t)(a >> 64) * y;
  return (__int128)((unsigned __int128)top << 64 | (third << 32 | (uint32_t)first));
}

/* -- The machine -- */

int64_t gradc_available_memory(void) {
  const uintptr_t taken = heap_end ? heap_end : (uintptr_t)&__heap_base;
  return ((int64_t)1 << 32) - PAGE - (int64_t)taken;
}

int gradc_processors(void) { return 1; }
uint32_t gradc_abi_version(void) { return GRADC_ABI_VERSION; }
GradcLevel gradc_processor_level(void) { return GRADC_LEVEL_ANY; }

/* -- A team of one -- */

int64_t gradc_team_size(int threads) { return 64; }
int gradc_team_start(GradcTeam *team, int threads) { return 0; }
void gradc_team_stop(GradcTeam *team) {}
void gradc_team_run(GradcTeam *team, int threads, GradcTask task, void *argument) { task(argument, 0, 1); }
void gradc_team_barrier(GradcTeam *team) {}
