/* prim_move.c: index maps that keep every element: broadcast, reshape, transpose, reverse. */
#include "node.h"

uint32_t axes_others(uint32_t rank, const int64_t *axes, uint32_t count, int64_t *others) {
  uint32_t made = 0;
  for (uint32_t i = 0; i < rank; i++) {
    bool among = false;
    for (uint32_t k = 0; k < count; k++) among |= axes[k] == (int64_t)i;
    if (!among) others[made++] = i;
  }
  return made;
}

Node drop_axes(Graph *g, Node x, const int64_t *axes, uint32_t count) {
  const Dims dims = *node_dims(g, x);
  int64_t kept[GRAPH_MAX_RANK];
  Dims out = {.rank = axes_others(dims.rank, axes, count, kept)};
  for (uint32_t i = 0; i < out.rank; i++) out.dims[i] = dims.dims[kept[i]];
  return build_reshape(g, x, shape_of(g, &out));
}

/* ---- broadcast ---- */

Node make_broadcast(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]), to = *shape_dims(g, d->shape);
  DRAFT_CHECK(g, d, d->attr_count == from.rank && from.rank <= to.rank);
  for (uint32_t i = 0; i < from.rank; i++) {
    DRAFT_CHECK(g, d, d->attr[i] >= 0 && d->attr[i] < to.rank && (!i || d->attr[i] > d->attr[i - 1]));
    DRAFT_CHECK(g, d, to.dims[d->attr[i]] == from.dims[i]);
  }
  Draft own = *d;
  own.type = node_type(g, d->in[0]);
  return draft_finish(g, &own);
}

Node build_broadcast(Graph *g, Node x, Shape shape, const int64_t *axes) {
  return build_any(g, P_BROADCAST, node_type(g, x), shape, &x, 1, axes, node_rank(g, x));
}

Node build_broadcast_to(Graph *g, Node x, Shape shape) {
  const Dims from = *node_dims(g, x), to = *shape_dims(g, shape);
  const Draft d = {.prim = P_BROADCAST, .in = &x, .count = 1};
  DRAFT_CHECK(g, &d, from.rank <= to.rank);
  int64_t axes[GRAPH_MAX_RANK], ones[GRAPH_MAX_RANK];
  uint32_t kept = 0, stretched = 0;
  for (uint32_t i = 0; i < from.rank; i++) {
    const uint32_t at = to.rank - from.rank + i;
    DRAFT_CHECK(g, &d, from.dims[i] == to.dims[at] || from.dims[i] == 1);
    if (from.dims[i] == to.dims[at]) axes[kept++] = at;
    else ones[stretched++] = i;
  }
  return build_broadcast(g, drop_axes(g, x, ones, stretched), shape, axes);
}

/* What was repeated is summed. */
Node derive_broadcast(Graph *graph, Node node, Node g, uint32_t i) {
  int64_t axes[DRAFT_ATTRS], added[GRAPH_MAX_RANK];
  const uint32_t kept = attr_copy(graph, node, axes);
  return build_reduce(graph, P_SUM, g, added, axes_others(node_rank(graph, node), axes, kept, added));
}

/* ---- reshape ---- */

/* Row-major order is kept, and so is the place of each batch axis in it: between batch axes the products agree. */
static bool reshape_fits(const Dims *from, const Dims *to) {
  uint32_t i = 0, k = 0;
  for (;;) {
    int64_t p = 1, q = 1;
    while (i < from->rank && !dim_is_batch(from->dims[i])) p *= from->dims[i++];
    while (k < to->rank && !dim_is_batch(to->dims[k])) q *= to->dims[k++];
    if (p != q || (i == from->rank) != (k == to->rank)) return false;
    if (i == from->rank) return true;
    if (from->dims[i++] != to->dims[k++]) return false;
  }
}

Node make_reshape(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, reshape_fits(node_dims(g, d->in[0]), shape_dims(g, d->shape)));
  Draft own = *d;
  own.type = node_type(g, d->in[0]);
  return draft_finish(g, &own);
}
Node build_reshape(Graph *g, Node x, Shape shape) {
  return build_any(g, P_RESHAPE, node_type(g, x), shape, &x, 1, NULL, 0);
}
Node derive_reshape(Graph *graph, Node node, Node g, uint32_t i) {
  return build_reshape(graph, g, node_shape(graph, node_in(graph, node, 0)));
}

/* ---- transpose ---- */

Node make_transpose(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]);
  DRAFT_CHECK(g, d, d->attr_count == from.rank);
  Dims to = {.rank = from.rank};
  unsigned seen = 0;
  for (uint32_t i = 0; i < from.rank; i++) {
    DRAFT_CHECK(g, d, d->attr[i] >= 0 && d->attr[i] < from.rank && !(seen >> d->attr[i] & 1));
    seen |= 1u << d->attr[i];
    to.dims[i] = from.dims[d->attr[i]];
  }
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}
Node build_transpose(Graph *g, Node x, const int64_t *perm) {
  return build_any(g, P_TRANSPOSE, node_type(g, x), (Shape){0}, &x, 1, perm, node_rank(g, x));
}
Node derive_transpose(Graph *graph, Node node, Node g, uint32_t i) {
  int64_t perm[DRAFT_ATTRS], inverse[GRAPH_MAX_RANK];
  const uint32_t rank = attr_copy(graph, node, perm);
  for (uint32_t k = 0; k < rank; k++) inverse[perm[k]] = k;
  return build_transpose(graph, g, inverse);
}

/* ---- reverse ---- */

Node make_reverse(Graph *g, const Draft *d) {
  for (uint32_t i = 0; i < d->attr_count; i++)
    DRAFT_CHECK(g, d, d->attr[i] >= 0 && d->attr[i] < node_rank(g, d->in[0]) && (!i || d->attr[i] > d->attr[i - 1]));
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = node_shape(g, d->in[0]);
  return draft_finish(g, &own);
}
Node build_reverse(Graph *g, Node x, const int64_t *axes, uint32_t count) {
  return build_any(g, P_REVERSE, node_type(g, x), (Shape){0}, &x, 1, axes, count);
}
Node derive_reverse(Graph *graph, Node node, Node g, uint32_t i) {
  int64_t axes[DRAFT_ATTRS];
  const uint32_t count = attr_copy(graph, node, axes);
  return build_reverse(graph, g, axes, count);
}
