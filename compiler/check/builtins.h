/* builtins.h: what the compiler itself defines: primitives by name and parameters, and names with a fixed meaning. */
#ifndef GRADC_BUILTINS_H
#define GRADC_BUILTINS_H
#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define BUILTIN(name, params, doc) BUILTIN_##name,
#define UNARY(name, prim, doc) BUILTIN_##name,
#define PAIR(name, prim, doc) BUILTIN_##name,
#include "builtins.def"
#undef BUILTIN
#undef UNARY
#undef PAIR
  BUILTIN_COUNT
} BuiltinId;

typedef struct {
  const char *name;
  const char *params; /* "x, over?, keep?": `?` may be left out; "parts.." takes all that stand by position */
  const char *doc;
} Builtin;

/* The primitive of a name, or NULL. */
const Builtin *builtin_find(const char *name);
const Builtin *builtin_get(BuiltinId id);
static inline BuiltinId builtin_id(const Builtin *b) { return (BuiltinId)(b - builtin_get((BuiltinId)0)); }
/* Parameter `i` of the list: its name's place and length; false behind the last. */
bool builtin_param(const Builtin *b, uint32_t i, const char **name, uint32_t *length, bool *required, bool *rest);
/* Is it a name with a meaning of its own: step, training, pi, zeros, same? */
bool builtin_word(const char *name);
/* The n-th such name, NULL behind the last. */
const char *builtin_word_at(uint32_t n);
/* Our name for what PyTorch, Keras or NumPy call `name`, or NULL. */
const char *builtin_alias(const char *name);

#endif
