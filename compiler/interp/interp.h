/* interp.h: the oracle: evaluates a graph in double, one plain loop a primitive. Slow on purpose, and independent of
 * schedule and emit. */
#ifndef GRADC_INTERP_H
#define GRADC_INTERP_H
#include "graph.h"

typedef struct {
  const double *const *slots; /* one array a slot, row-major; NULL where unused. Booleans 0 or 1, integers whole */
  int64_t batch[4];           /* extents of the batch symbols */
  double step, steps, epoch;
  uint64_t seed, draw;        /* as GradcFrame's; random draws use the same counters as emitted code, so that they agree */
  bool round_f32;             /* round every value of type F32 to float, as emitted code does (order of sums still differs) */
} InterpInput;

typedef struct Interp Interp;
/* Evaluates what is asked for, once each. */
Interp *interp_new(const Graph *graph, const InterpInput *input);
/* The values of a node, valid until interp_free; *count their number. */
const double *interp_value(Interp *interp, Node node, int64_t *count);
void interp_free(Interp *interp);

#endif
