/* flops.c: how much arithmetic a graph asks for. Counted where sums of products are contractions still: the scheduler takes
 * those with one row or one column apart. */
#include <stdlib.h>

#include "loops.h"

/* Points of all axes of the result and of those that are summed; *batched: one of them is a batch. */
static double points(const Graph *g, Node n, bool *batched) {
  const Dims *out = node_dims(g, n), *a = node_dims(g, node_in(g, n, 0));
  const int64_t *attr = node_attr(g, n), *sums = attr + 2 + 2 * attr[0];
  double count = 1;
  for (int64_t i = 0; i < out->rank + attr[1]; i++) {
    const int64_t dim = i < out->rank ? out->dims[i] : a->dims[sums[i - out->rank]];
    *batched |= dim_is_batch(dim);
    if (!dim_is_batch(dim)) count *= (double)dim;
  }
  return count;
}

Flops graph_flops(const Graph *g) {
  Flops f = {0};
  Loops loops = loops_find(g);
  bool *live = mem_zero(g->nodes.count, 1);
  for (uint32_t i = 0; i < g->outputs.count; i++)
    live[g->outputs.data[i].node.id] = live[g->outputs.data[i].weight.id] = true;
  for (uint32_t id = g->nodes.count - 1; id > 0; id--) {
    const Node n = {id};
    if (!live[id]) continue;
    for (uint32_t i = 0; i < node_data(g, n)->count; i++) live[node_in(g, n, i).id] = true;
    if (node_prim(g, n) != P_CONTRACT) continue;
    bool batched = false;
    double count = 2 * points(g, n, &batched);
    for (int32_t loop = loop_of(&loops, n); loop >= 0; loop = loops.list.data[loop].parent)
      count *= (double)loops.list.data[loop].length;
    *(batched ? &f.each : &f.fixed) += count;
  }
  free(live);
  loops_free(&loops);
  return f;
}
