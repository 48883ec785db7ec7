/* prim_cut.c: slice, pad, concat: each the other's derivative. */
#include "node.h"

static bool is_whole(const int64_t *s, int64_t dim) { return s[0] == 0 && s[1] == dim && s[2] == 1; }

/* ---- slice: {start, count, step} an axis ---- */

Node make_slice(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]);
  DRAFT_CHECK(g, d, d->attr_count == 3 * from.rank);
  Draft own = *d;
  Dims to = {.rank = from.rank};
  for (uint32_t i = 0; i < from.rank; i++) {
    int64_t *s = own.attr + 3 * i;
    if (dim_is_batch(from.dims[i])) {
      DRAFT_CHECK(g, d, is_whole(s, from.dims[i]));
    } else {
      DRAFT_CHECK(g, d, s[0] >= 0 && s[1] >= 0 && s[2] >= 1);
      DRAFT_CHECK(g, d, s[1] == 0 || s[0] + (s[1] - 1) * s[2] < from.dims[i]);
      if (s[1] <= 1) s[2] = 1;
      if (s[1] == 0) s[0] = 0;
    }
    to.dims[i] = s[1];
  }
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

Node build_slice(Graph *g, Node x, const int64_t *start_count_step) {
  return build_any(g, P_SLICE, node_type(g, x), (Shape){0}, &x, 1, start_count_step, 3 * node_rank(g, x));
}

/* Zeros where nothing was read. */
Node derive_slice(Graph *graph, Node node, Node g, uint32_t i) {
  const Dims from = *node_dims(graph, node_in(graph, node, 0));
  int64_t s[DRAFT_ATTRS], pad[3 * GRAPH_MAX_RANK] = {0};
  attr_copy(graph, node, s);
  for (uint32_t k = 0; k < from.rank; k++) {
    const int64_t start = s[3 * k], count = s[3 * k + 1], step = s[3 * k + 2], dim = from.dims[k];
    if (dim_is_batch(dim)) continue;
    pad[3 * k] = start;
    pad[3 * k + 1] = count ? dim - (start + (count - 1) * step + 1) : dim;
    pad[3 * k + 2] = step - 1;
  }
  return build_pad(graph, g, pad);
}

/* ---- pad: {low, high, between} an axis ---- */

Node make_pad(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]);
  DRAFT_CHECK(g, d, d->attr_count == 3 * from.rank);
  Draft own = *d;
  Dims to = from;
  for (uint32_t i = 0; i < from.rank; i++) {
    int64_t *p = own.attr + 3 * i;
    DRAFT_CHECK(g, d, p[0] >= 0 && p[1] >= 0 && p[2] >= 0);
    if (dim_is_batch(from.dims[i])) {
      DRAFT_CHECK(g, d, !p[0] && !p[1] && !p[2]);
      continue;
    }
    if (from.dims[i] <= 1) p[2] = 0;
    to.dims[i] = p[0] + p[1] + from.dims[i] + (from.dims[i] > 1 ? (from.dims[i] - 1) * p[2] : 0);
  }
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

Node build_pad(Graph *g, Node x, const int64_t *low_high_between) {
  return build_any(g, P_PAD, node_type(g, x), (Shape){0}, &x, 1, low_high_between, 3 * node_rank(g, x));
}

Node derive_pad(Graph *graph, Node node, Node g, uint32_t i) {
  const Dims from = *node_dims(graph, node_in(graph, node, 0));
  int64_t p[DRAFT_ATTRS], slice[3 * GRAPH_MAX_RANK];
  attr_copy(graph, node, p);
  for (uint32_t k = 0; k < from.rank; k++) {
    slice[3 * k] = p[3 * k];
    slice[3 * k + 1] = from.dims[k];
    slice[3 * k + 2] = p[3 * k + 2] + 1;
  }
  return build_slice(graph, g, slice);
}

/* ---- concat: {axis} ---- */

Node make_concat(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->count >= 1 && d->attr_count == 1);
  const Dims first = *node_dims(g, d->in[0]);
  const int64_t axis = d->attr[0];
  DRAFT_CHECK(g, d, axis >= 0 && axis < first.rank);
  Draft own = *d;
  Dims to = first;
  to.dims[axis] = 0;
  for (uint32_t i = 0; i < d->count; i++) {
    const Dims *part = node_dims(g, d->in[i]);
    DRAFT_CHECK(g, d, node_type(g, d->in[i]) == node_type(g, d->in[0]) && part->rank == first.rank);
    DRAFT_CHECK(g, d, !dim_is_batch(part->dims[axis]));
    for (uint32_t k = 0; k < first.rank; k++) DRAFT_CHECK(g, d, k == axis || part->dims[k] == first.dims[k]);
    to.dims[axis] += part->dims[axis];
  }
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

/* A node counts its inputs in a byte: more parts become a concat of concats. */
Node build_concat(Graph *g, const Node *parts, uint32_t count, int64_t axis) {
  enum { MOST = 128 };
  if (count <= MOST) return build_any(g, P_CONCAT, TYPE_F32, (Shape){0}, parts, count, &axis, 1);
  const uint32_t groups = (count + MOST - 1) / MOST;
  Node *made = mem_alloc(groups * sizeof *made);
  for (uint32_t i = 0; i < groups; i++) {
    const uint32_t begin = i * MOST, size = count - begin < MOST ? count - begin : MOST;
    made[i] = build_concat(g, parts + begin, size, axis);
  }
  const Node all = build_concat(g, made, groups, axis);
  free(made);
  return all;
}

Node derive_concat(Graph *graph, Node node, Node g, uint32_t i) {
  const int64_t axis = node_attr(graph, node)[0];
  const Dims part = *node_dims(graph, node_in(graph, node, i));
  int64_t slice[3 * GRAPH_MAX_RANK];
  for (uint32_t k = 0; k < part.rank; k++) slice[3 * k] = 0, slice[3 * k + 1] = part.dims[k], slice[3 * k + 2] = 1;
  for (uint32_t k = 0; k < i; k++) slice[3 * axis] += node_dims(graph, node_in(graph, node, k))->dims[axis];
  return build_slice(graph, g, slice);
}
