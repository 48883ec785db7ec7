/* blame.h: which operation of a training step first gave a value that is no finite number. */
#ifndef GRADC_BLAME_H
#define GRADC_BLAME_H
#include "run.h"

typedef struct {
  Node node;            /* none: not found */
  Span span;
  const char *label;    /* "`log` of -4 is NaN"; in the front's arena */
  const char *hint;     /* what keeps this operation finite, or NULL */
} Blame;

/* Evaluates the training step by the oracle, rounding as the compiled code does: parameters and states are the model's as
 * they are, inputs and batch those of the step that is about to be taken. Nothing is found where a graph is too large. */
Blame blame_step(Run *run, const void *const *inputs, const int64_t *batch);

#endif
