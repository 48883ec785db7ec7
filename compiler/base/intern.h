/* intern.h: each distinct text once, as a small number: equal texts have equal names. */
#ifndef GRADC_INTERN_H
#define GRADC_INTERN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

typedef struct {
  uint32_t id; /* 0: no name */
} Name;

typedef struct {
  Arena arena;
  const char **texts; /* by id */
  uint32_t *slots;    /* open addressing, a power of two */
  uint32_t count, capacity, slot_count;
} Names; /* start from {0} */

Name intern(Names *names, const char *text, size_t length);
Name intern_text(Names *names, const char *text);
/* The text of a name, NUL-terminated, valid until names_free; "" for no name. */
const char *name_text(const Names *names, Name name);
static inline bool name_is(Name a, Name b) { return a.id == b.id; }
void names_free(Names *names);

#endif
