/* intern.c: see intern.h. */
#include "intern.h"

#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "mem.h"

static void grow(Names *n) {
  const uint32_t size = n->slot_count ? n->slot_count * 2 : 256;
  uint32_t *slots = mem_zero(size, sizeof *slots);
  for (uint32_t id = 1; id < n->count; id++) {
    uint32_t at = (uint32_t)hash_bytes(n->texts[id], strlen(n->texts[id])) & (size - 1);
    while (slots[at]) at = (at + 1) & (size - 1);
    slots[at] = id;
  }
  free(n->slots);
  n->slots = slots;
  n->slot_count = size;
}

Name intern(Names *n, const char *text, size_t length) {
  if (!n->count) n->count = 1;
  if (n->count * 2 >= n->slot_count) grow(n);
  uint32_t at = (uint32_t)hash_bytes(text, length) & (n->slot_count - 1);
  for (; n->slots[at]; at = (at + 1) & (n->slot_count - 1)) {
    const char *other = n->texts[n->slots[at]];
    if (!strncmp(other, text, length) && !other[length]) return (Name){n->slots[at]};
  }
  if (n->count >= n->capacity) {
    n->capacity = n->capacity ? n->capacity * 2 : 128;
    n->texts = mem_resize(n->texts, n->capacity * sizeof *n->texts);
    if (n->count == 1) n->texts[0] = "";
  }
  n->texts[n->count] = arena_text(&n->arena, text, length);
  n->slots[at] = n->count;
  return (Name){n->count++};
}

Name intern_text(Names *names, const char *text) { return intern(names, text, strlen(text)); }
const char *name_text(const Names *n, Name name) { return name.id && name.id < n->count ? n->texts[name.id] : ""; }

void names_free(Names *n) {
  arena_free(&n->arena);
  free(n->texts);
  free(n->slots);
  *n = (Names){0};
}
