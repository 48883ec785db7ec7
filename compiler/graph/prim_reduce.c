/* prim_reduce.c: sum, prod, reduce_max, reduce_min, argmax. */
#include "node.h"

static Node make_reduction(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]);
  for (uint32_t i = 0; i < d->attr_count; i++)
    DRAFT_CHECK(g, d, d->attr[i] >= 0 && d->attr[i] < from.rank && (!i || d->attr[i] > d->attr[i - 1]));
  DRAFT_CHECK(g, d, node_type(g, d->in[0]) != TYPE_BOOL);
  int64_t kept[GRAPH_MAX_RANK];
  Dims to = {.rank = axes_others(from.rank, d->attr, d->attr_count, kept)};
  for (uint32_t i = 0; i < to.rank; i++) to.dims[i] = from.dims[kept[i]];
  Draft own = *d;
  own.type = d->prim == P_ARGMAX ? TYPE_I32 : node_type(g, d->in[0]);
  own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

Node make_sum(Graph *g, const Draft *d) { return make_reduction(g, d); }
Node make_reduce_max(Graph *g, const Draft *d) { return make_reduction(g, d); }
Node make_reduce_min(Graph *g, const Draft *d) { return make_reduction(g, d); }
Node make_argmax(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->attr_count >= 1);
  return make_reduction(g, d);
}

/* A product over several axes is taken an axis at a time, so that its derivative need know one axis alone. */
Node make_prod(Graph *g, const Draft *d) {
  Draft last = *d;
  if (d->attr_count <= 1) return make_reduction(g, d);
  last.attr[0] = d->attr[d->attr_count - 1], last.attr_count = 1;
  return build_reduce(g, P_PROD, make_reduction(g, &last), d->attr, d->attr_count - 1);
}

Node build_reduce(Graph *g, Prim prim, Node x, const int64_t *axes, uint32_t count) {
  return build_any(g, prim, node_type(g, x), (Shape){0}, &x, 1, axes, count);
}

/* A value of the reduction's shape, repeated over what was reduced. */
static Node spread(Graph *graph, Node reduction, Node value) {
  const Node x = node_in(graph, reduction, 0);
  int64_t axes[DRAFT_ATTRS], kept[GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(graph, reduction, axes);
  axes_others(node_rank(graph, x), axes, count, kept);
  return build_broadcast(graph, value, node_shape(graph, x), kept);
}

Node derive_sum(Graph *graph, Node node, Node g, uint32_t i) { return spread(graph, node, g); }

/* Split evenly among the elements that equal the extreme. */
static Node derive_extreme(Graph *graph, Node node, Node g) {
  const Node x = node_in(graph, node, 0), equal = build_binary(graph, P_EQ, x, spread(graph, node, node));
  int64_t axes[DRAFT_ATTRS];
  const uint32_t count = attr_copy(graph, node, axes);
  const Node ties = build_reduce(graph, P_SUM, build_cast(graph, equal, node_type(graph, g)), axes, count);
  return build_select(graph, equal, spread(graph, node, build_over(graph, g, ties)), build_like(graph, g, 0));
}
Node derive_reduce_max(Graph *graph, Node node, Node g, uint32_t i) { return derive_extreme(graph, node, g); }
Node derive_reduce_min(Graph *graph, Node node, Node g, uint32_t i) { return derive_extreme(graph, node, g); }
Node derive_argmax(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }

/* ---- the derivative of a product ---- */

/* For each element along the axis, the product of the others: no division, so that zeros are like any number, and
 * every further derivative is right too. n * n factors: x_j, and 1 where j is the element itself. */
static Node others_square(Graph *g, Node x, uint32_t axis) {
  const Dims dims = *node_dims(g, x);
  const Draft draft = {.prim = P_PROD, .in = &x, .count = 1};
  DRAFT_CHECK(g, &draft, dims.rank < GRAPH_MAX_RANK);
  Dims square = {.rank = dims.rank + 1};
  int64_t x_axes[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < dims.rank; i++) {
    x_axes[i] = i < axis ? i : i + 1; /* x runs along axis + 1, the element along axis */
    square.dims[x_axes[i]] = dims.dims[i];
  }
  square.dims[axis] = dims.dims[axis];
  const Shape shape = shape_of(g, &square);
  const Node index = build_iota(g, dims.dims[axis]);
  const int64_t row = axis, column = axis + 1;
  const Node i = build_broadcast(g, index, shape, &row), j = build_broadcast(g, index, shape, &column);
  const Node self = build_binary(g, P_EQ, i, j);
  const Node factors = build_select(g, self, build_like(g, x, 1), build_broadcast(g, x, shape, x_axes));
  return build_reduce(g, P_PROD, factors, &column, 1);
}

/* The same by blocks where the axis is long: within the block, times the other blocks' products. */
static Node product_of_others(Graph *g, Node x, uint32_t axis) {
  enum { BLOCK = 32 };
  const Dims dims = *node_dims(g, x);
  const int64_t n = dims.dims[axis];
  if (dim_is_batch(n) || n <= BLOCK || dims.rank + 1 >= GRAPH_MAX_RANK) return others_square(g, x, axis);
  const int64_t blocks = (n + BLOCK - 1) / BLOCK, missing = blocks * BLOCK - n;
  Dims padded = dims, split = {.rank = dims.rank + 1};
  if (missing) {
    Dims rest = dims;
    rest.dims[axis] = missing;
    const Node parts[2] = {x, build_full(g, node_type(g, x), 1, shape_of(g, &rest))};
    x = build_concat(g, parts, 2, axis);
    padded.dims[axis] = blocks * BLOCK;
  }
  int64_t outer_axes[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < dims.rank; i++) {
    outer_axes[i] = i <= axis ? i : i + 1;
    split.dims[outer_axes[i]] = dims.dims[i];
  }
  split.dims[axis] = blocks, split.dims[axis + 1] = BLOCK;
  const Shape shape = shape_of(g, &split);
  const Node inner = build_reshape(g, x, shape);
  const int64_t within = axis + 1;
  const Node outer = product_of_others(g, build_reduce(g, P_PROD, inner, &within, 1), axis);
  const Node all = build_mul(g, others_square(g, inner, axis + 1), build_broadcast(g, outer, shape, outer_axes));
  int64_t slice[3 * GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < dims.rank; i++) slice[3 * i] = 0, slice[3 * i + 1] = dims.dims[i], slice[3 * i + 2] = 1;
  return build_slice(g, build_reshape(g, all, shape_of(g, &padded)), slice);
}

Node derive_prod(Graph *graph, Node node, Node g, uint32_t i) {
  const uint32_t axis = (uint32_t)node_attr(graph, node)[0];
  return build_times(graph, spread(graph, node, g), product_of_others(graph, node_in(graph, node, 0), axis));
}
