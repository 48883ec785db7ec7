/* prim_gather.c: gather and scatter_add: reading rows of a table by number, and adding rows up by number. Each is the
 * other's derivative, and both are linear. */
#include "node.h"

/* Are the first `count` axes of two tensors equal? */
static bool axes_agree(const Dims *a, const Dims *b, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (a->dims[i] != b->dims[i]) return false;
  return true;
}

Node make_gather(Graph *g, const Draft *d) {
  const Dims table = *node_dims(g, d->in[0]), index = *node_dims(g, d->in[1]);
  DRAFT_CHECK(g, d, d->attr_count == 1 && node_type(g, d->in[1]) == TYPE_I32);
  DRAFT_CHECK(g, d, d->attr[0] >= 0 && d->attr[0] < table.rank && d->attr[0] <= index.rank);
  const uint32_t pairs = (uint32_t)d->attr[0];
  DRAFT_CHECK(g, d, axes_agree(&table, &index, pairs) && !dim_is_batch(table.dims[pairs]));
  DRAFT_CHECK(g, d, index.rank + table.rank - pairs - 1 <= GRAPH_MAX_RANK);
  Dims to = index;
  for (uint32_t i = pairs + 1; i < table.rank; i++) to.dims[to.rank++] = table.dims[i];
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

Node build_gather(Graph *g, Node table, Node index, uint32_t pairs) {
  const int64_t attr = pairs;
  return build_any(g, P_GATHER, node_type(g, table), (Shape){0}, (Node[]){table, index}, 2, &attr, 1);
}

Node derive_gather(Graph *graph, Node node, Node g, uint32_t i) {
  const uint32_t pairs = (uint32_t)node_attr(graph, node)[0];
  if (i == 1) return NODE_NONE;
  const int64_t n = node_dims(graph, node_in(graph, node, 0))->dims[pairs];
  return build_scatter_add(graph, g, node_in(graph, node, 1), pairs, n);
}

Node make_scatter_add(Graph *g, const Draft *d) {
  const Dims values = *node_dims(g, d->in[0]), index = *node_dims(g, d->in[1]);
  DRAFT_CHECK(g, d, d->attr_count == 2 && node_type(g, d->in[1]) == TYPE_I32 && node_type(g, d->in[0]) != TYPE_BOOL);
  DRAFT_CHECK(g, d, d->attr[0] >= 0 && d->attr[0] <= index.rank && index.rank <= values.rank && d->attr[1] >= 0);
  DRAFT_CHECK(g, d, axes_agree(&values, &index, index.rank));
  const uint32_t pairs = (uint32_t)d->attr[0];
  DRAFT_CHECK(g, d, values.rank - index.rank + pairs + 1 <= GRAPH_MAX_RANK);
  Dims to = {.rank = pairs + 1};
  for (uint32_t i = 0; i < pairs; i++) to.dims[i] = values.dims[i];
  to.dims[pairs] = d->attr[1];
  for (uint32_t i = index.rank; i < values.rank; i++) to.dims[to.rank++] = values.dims[i];
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

Node build_scatter_add(Graph *g, Node values, Node index, uint32_t pairs, int64_t n) {
  const int64_t attr[] = {pairs, n};
  return build_any(g, P_SCATTER_ADD, node_type(g, values), (Shape){0}, (Node[]){values, index}, 2, attr, 2);
}

Node derive_scatter_add(Graph *graph, Node node, Node g, uint32_t i) {
  return i ? NODE_NONE : build_gather(graph, g, node_in(graph, node, 1), (uint32_t)node_attr(graph, node)[0]);
}
