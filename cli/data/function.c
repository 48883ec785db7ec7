/* function.c: transforms and drawn data that are expressions of the language: their graphs, row by row, by the oracle. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "interp.h"

/* A label that is missing is NaN between steps and -1 in the language. */
void function_value(Block *b, const Graph *function, const double *in, int64_t in_count, int64_t row, double *out, int64_t out_count) {
  const double **slots = mem_zero(function->slots.count + 1, sizeof *slots);
  double *given = mem_alloc((size_t)(in_count + 1) * sizeof *given);
  for (int64_t i = 0; i < in_count; i++) given[i] = function->slots.data[0].classes && isnan(in[i]) ? -1 : in[i];
  if (function->slots.count) slots[0] = given;
  const InterpInput input = {
      .slots = slots, .batch = {1, 1, 1, 1}, .step = 1, .steps = 1, .seed = b->options->seed, .draw = (uint64_t)row};
  Interp *interp = interp_new(function, &input);
  int64_t count = 0;
  const double *values = interp_value(interp, function->outputs.data[0].node, &count);
  if (count != out_count) DIAG_BUG(b->session, (Span){0}, "a data function gives %lld values, not %lld", (long long)count, (long long)out_count);
  memcpy(out, values, (size_t)count * sizeof *out);
  interp_free(interp);
  free(slots);
  free(given);
}
