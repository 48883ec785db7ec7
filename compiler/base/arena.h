/* arena.h: memory that is freed all at once. A phase of the compiler owns one; nothing in it is freed singly. */
#ifndef GRADC_ARENA_H
#define GRADC_ARENA_H
#include <stddef.h>

typedef struct ArenaChunk ArenaChunk;
typedef struct {
  ArenaChunk *chunk; /* the newest; start from {0} */
  size_t used;
} Arena;

/* `size` zeroed bytes, aligned to 16, valid until arena_free. */
void *arena_alloc(Arena *arena, size_t size);
/* A copy of `length` bytes of `text` and a NUL. */
char *arena_text(Arena *arena, const char *text, size_t length);
char *arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_free(Arena *arena);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (count)))

#endif
