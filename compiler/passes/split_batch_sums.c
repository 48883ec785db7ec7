/* split_batch_sums.c: a sum over batch axes and others becomes a sum over the others, then over the batch. Law: the terms
 * are the same [another order, which follows from the shape alone]. Each example's part is then computed where the example
 * is, in parallel, and only the short sum over the batch needs them all. The builder leaves such sums apart. */
#include "pass.h"

static Node split(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  if (node_prim(from, node) != P_SUM) return NODE_NONE;
  const Dims dims = *node_dims(from, node_in(from, node, 0));
  int64_t known[GRAPH_MAX_RANK], batch[GRAPH_MAX_RANK];
  uint32_t known_count = 0, batch_count = 0;
  for (uint32_t i = 0; i < node_attr_count(from, node); i++) {
    const int64_t axis = node_attr(from, node)[i];
    if (dim_is_batch(dims.dims[axis])) batch[batch_count++] = axis - known_count; /* its number after the first sum */
    else known[known_count++] = axis;
  }
  if (!known_count || !batch_count) return NODE_NONE;
  const Node within = build_reduce(to, P_SUM, map[node_in(from, node, 0).id], known, known_count);
  return build_reduce(to, P_SUM, within, batch, batch_count);
}

Graph *pass_split_batch_sums(const Graph *graph) { return graph_rewrite(graph, true, split, NULL); }
