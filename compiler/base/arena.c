/* arena.c: see arena.h. */
#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

struct ArenaChunk {
  ArenaChunk *older;
  size_t size;
  _Alignas(16) char data[];
};

enum { CHUNK_LEAST = 4 << 10, CHUNK_MOST = 64 << 10 };

void *arena_alloc(Arena *arena, size_t size) {
  const size_t rounded = (size + 15) & ~(size_t)15;
  if (!arena->chunk || arena->chunk->size - arena->used < rounded) {
    /* Small at first: most arenas stay small, and fresh pages cost more than what is put into them. */
    const size_t next = !arena->chunk ? CHUNK_LEAST : arena->chunk->size < CHUNK_MOST ? 2 * arena->chunk->size : CHUNK_MOST;
    const size_t wanted = rounded > next ? rounded : next;
    ArenaChunk *chunk = mem_zero(1, sizeof *chunk + wanted);
    chunk->older = arena->chunk;
    chunk->size = wanted;
    arena->chunk = chunk;
    arena->used = 0;
  }
  void *p = arena->chunk->data + arena->used;
  arena->used += rounded;
  return p;
}

char *arena_text(Arena *arena, const char *text, size_t length) {
  char *p = arena_alloc(arena, length + 1);
  if (length) memcpy(p, text, length);
  return p;
}

char *arena_printf(Arena *arena, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *p = arena_alloc(arena, (size_t)n + 1);
  va_start(args, format);
  vsnprintf(p, (size_t)n + 1, format, args);
  va_end(args);
  return p;
}

void arena_free(Arena *arena) {
  for (ArenaChunk *c = arena->chunk, *older; c; c = older) {
    older = c->older;
    free(c);
  }
  *arena = (Arena){0};
}
