/* rounds.h: what control.c and rounds.c share: loops whose body is walked once. */
#ifndef GRADC_ROUNDS_H
#define GRADC_ROUNDS_H
#include "tracer.h"

enum {
  UNROLL_SHORT = 4,  /* loops up to this are written out: shorter than what a loop costs */
  UNROLL_LIMIT = 256 /* and others that cannot be loops, up to this */
};

typedef struct {
  uint32_t entries;
  uint32_t *counts;
} NameState;
/* The names of instances are counted anew in each round, so that all rounds share them. */
NameState names_save(Tracer *t);
void names_restore(Tracer *t, const NameState *s);

typedef struct {
  uint32_t errors, warnings, draws, instances, written;
  Diag *last;
  NameState names;
  uint32_t *instance_draws;
} Attempt;

typedef struct {
  LoopFrame loop;
  int64_t length;
  Value in;      /* what is gone through; V_ABSENT: nothing */
  bool reversed;
  Span span;
} Rounds;

/* Walks the body once: *carry becomes what it hands on, *yield what it yields, if anything. False after an error. */
typedef bool RoundBody(Tracer *t, void *data, Value *carry, Value item, Value *yield);

/* The value of the loop, if it can be one; else false, and nothing has happened. */
bool rounds_try(Tracer *t, Rounds *rounds, Value start, RoundBody *body, void *data, Value *result);

#endif
