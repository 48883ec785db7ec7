/* optimize.h: what the files about `train` blocks share. */
#ifndef GRADC_OPTIMIZE_H
#define GRADC_OPTIMIZE_H
#include "tracer.h"

/* ---- settings.c: of the train block at hand ---- */

/* The last setting of that name without a pattern; with `parameter`, the last that speaks of that parameter. */
Ast train_setting(Tracer *t, const char *name, const char *parameter);
/* Its value, V_ABSENT where there is none; `--set` stands in place of a setting without a pattern. */
Value train_value(Tracer *t, const char *name, const char *parameter, Span *at);

/* ---- clip.c ---- */

/* Cuts gradients by `clip_value`, `clip_each` and `clip_norm`, in that order. */
void clip_gradients(Tracer *t, Owned **list, Node *gradients, uint32_t count);

/* ---- flat.c ---- */

typedef struct {
  Node at, loss, gradient;
} Evaluation;

/* The parameters of an optimiser `over all`. */
typedef struct Flat {
  Owned **owned;
  Node *nodes; /* their values, in the loss */
  uint32_t count;
  int64_t size;
  Node whole, loss, gradient; /* side by side; the loss as it stands; its gradient after clipping */
  Vec(Evaluation) known;      /* so that evaluate(p)[0] and evaluate(p)[1] are one evaluation */
} Flat;
void flat_open(Tracer *t, Flat *flat, Node loss, Owned **owned, const Node *gradients, uint32_t count);
void flat_close(Flat *flat);
/* The part of a vector that stands for parameter i, in its shape. */
Node flat_piece(Tracer *t, const Flat *flat, Node vector, uint32_t i);

#endif
