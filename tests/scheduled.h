/* scheduled.h: what the tests of schedules and of emitted code share. */
#ifndef GRADC_SCHEDULED_H
#define GRADC_SCHEDULED_H
#include "graph.h"

/* Where element i of a row-major value lies: with its batch axes outermost. */
static inline int64_t place_of(const Graph *g, Node node, const int64_t *batch, int64_t i) {
  const Dims *d = node_dims(g, node);
  int64_t place = 0, stride = 1, row = 0, rows = 1;
  for (uint32_t k = d->rank; k-- > 0;) {
    const int64_t n = dim_is_batch(d->dims[k]) ? batch[DIM_BATCH - d->dims[k]] : d->dims[k];
    if (dim_is_batch(d->dims[k])) row += i % n * rows, rows *= n;
    else place += i % n * stride, stride *= n;
    i /= n;
  }
  return place + row * stride;
}

/* What random graphs hold and the language cannot say: a value with three batch axes, draws whose numbers would grow with two of
 * them, a position in the batch, an input whose batch axis is not the first. */
static inline bool leaves_language(const Graph *g) {
  for (uint32_t i = 0; i < g->slots.count; i++)
    for (uint32_t k = 1; k < shape_dims(g, g->slots.data[i].shape)->rank; k++)
      if (dim_is_batch(shape_dims(g, g->slots.data[i].shape)->dims[k])) return true;
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    int axes = 0;
    for (uint32_t i = 0; i < node_rank(g, (Node){id}); i++) axes += dim_is_batch(node_dims(g, (Node){id})->dims[i]);
    for (uint32_t i = 0; node_prim(g, (Node){id}) == P_REVERSE && i < node_attr_count(g, (Node){id}); i++)
      if (dim_is_batch(node_dims(g, (Node){id})->dims[node_attr(g, (Node){id})[i]])) return true;
    if (axes > 2 || (axes == 2 && node_prim(g, (Node){id}) == P_RANDOM)) return true;
  }
  return false;
}

#endif
