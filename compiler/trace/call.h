/* call.h: the primitives' calling convention: one function a name of builtins.def. */
#ifndef GRADC_CALL_H
#define GRADC_CALL_H
#include "tracer.h"

typedef struct {
  const Builtin *builtin;
  Value *args; /* one a parameter; V_ABSENT where not given; those of `parts..` as one V_TUPLE */
  Span span;
} Call;

#define BUILTIN(name, params, doc) Value builtin_##name(Tracer *t, Call *c);
#define UNARY(name, prim, doc)
#define PAIR(name, prim, doc)
#include "builtins.def"
#undef BUILTIN
#undef UNARY
#undef PAIR

/* The one axis of `over`, the last (or `absent`) where it is not given. */
bool one_axis(Tracer *t, Value over, uint32_t rank, int64_t absent, uint32_t *axis, Span at);

#endif
