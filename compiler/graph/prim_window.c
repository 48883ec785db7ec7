/* prim_window.c: windows of an axis, and their overlapping sum: each the other's derivative. */
#include "node.h"

/* ---- window: {axis, count, taps, stride, dilation} ---- */

Node make_window(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]);
  DRAFT_CHECK(g, d, d->attr_count == 5 && from.rank < GRAPH_MAX_RANK);
  Draft own = *d;
  const int64_t axis = d->attr[0], count = d->attr[1], taps = d->attr[2];
  DRAFT_CHECK(g, d, axis >= 0 && axis < from.rank && !dim_is_batch(from.dims[axis]));
  DRAFT_CHECK(g, d, count >= 1 && taps >= 1 && d->attr[3] >= 1 && d->attr[4] >= 1);
  if (count == 1) own.attr[3] = 1;
  if (taps == 1) own.attr[4] = 1;
  DRAFT_CHECK(g, d, (count - 1) * own.attr[3] + (taps - 1) * own.attr[4] < from.dims[axis]);
  Dims to = {.rank = from.rank + 1};
  for (uint32_t i = 0; i < to.rank; i++) to.dims[i] = from.dims[i <= axis ? i : i - 1];
  to.dims[axis] = count, to.dims[axis + 1] = taps;
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

Node build_window(Graph *g, Node x, int64_t axis, int64_t count, int64_t taps, int64_t stride, int64_t dilation) {
  const int64_t attr[5] = {axis, count, taps, stride, dilation};
  return build_any(g, P_WINDOW, node_type(g, x), (Shape){0}, &x, 1, attr, 5);
}

Node derive_window(Graph *graph, Node node, Node g, uint32_t i) {
  int64_t w[DRAFT_ATTRS];
  attr_copy(graph, node, w);
  return build_unwindow(graph, g, w[0], node_dims(graph, node_in(graph, node, 0))->dims[w[0]], w[3], w[4]);
}

/* ---- unwindow: {axis, extent, stride, dilation} ---- */

Node make_unwindow(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]);
  DRAFT_CHECK(g, d, d->attr_count == 4 && node_type(g, d->in[0]) != TYPE_BOOL);
  Draft own = *d;
  const int64_t axis = d->attr[0], extent = d->attr[1];
  DRAFT_CHECK(g, d, axis >= 0 && axis + 1 < from.rank && d->attr[2] >= 1 && d->attr[3] >= 1);
  const int64_t count = from.dims[axis], taps = from.dims[axis + 1];
  DRAFT_CHECK(g, d, count >= 1 && taps >= 1);
  if (count == 1) own.attr[2] = 1;
  if (taps == 1) own.attr[3] = 1;
  DRAFT_CHECK(g, d, (count - 1) * own.attr[2] + (taps - 1) * own.attr[3] < extent);
  Dims to = {.rank = from.rank - 1};
  for (uint32_t i = 0; i < to.rank; i++) to.dims[i] = from.dims[i <= axis ? i : i + 1];
  to.dims[axis] = extent;
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

Node build_unwindow(Graph *g, Node x, int64_t axis, int64_t extent, int64_t stride, int64_t dilation) {
  const int64_t attr[4] = {axis, extent, stride, dilation};
  return build_any(g, P_UNWINDOW, node_type(g, x), (Shape){0}, &x, 1, attr, 4);
}

Node derive_unwindow(Graph *graph, Node node, Node g, uint32_t i) {
  const Dims in = *node_dims(graph, node_in(graph, node, 0));
  int64_t w[DRAFT_ATTRS];
  attr_copy(graph, node, w);
  return build_window(graph, g, w[0], in.dims[w[0]], in.dims[w[0] + 1], w[2], w[3]);
}
