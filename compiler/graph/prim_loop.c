/* prim_loop.c: loops: what enters a round, the token that closes the body, and what comes out. Their derivative is a loop
 * of its own, made by grad/loop.c; the part of an array alone has one here, for a gradient taken within a round. */
#include "node.h"

uint32_t build_loop_number(Graph *g) { return g->loops++; }

static bool is_loop(Graph *g, const Draft *d, uint32_t attrs) {
  if (d->attr_count != attrs || d->attr[0] < 0) return false;
  if (d->attr[0] >= g->loops) g->loops = (uint32_t)d->attr[0] + 1;
  return true;
}

/* ---- carry: {loop, i} ---- */

Node make_carry(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, is_loop(g, d, 2) && d->attr[1] >= 0 && d->attr[1] < UINT8_MAX);
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = node_shape(g, d->in[0]);
  return draft_finish(g, &own);
}
Node build_carry(Graph *g, uint32_t loop, uint32_t i, Node start) {
  const int64_t attr[2] = {loop, i};
  return build_any(g, P_CARRY, node_type(g, start), (Shape){0}, &start, 1, attr, 2);
}

/* ---- item: {loop, axis, reversed} ---- */

Node make_item(Graph *g, const Draft *d) {
  const Dims from = *node_dims(g, d->in[0]);
  DRAFT_CHECK(g, d, is_loop(g, d, 3) && d->attr[1] >= 0 && d->attr[1] < from.rank && from.dims[d->attr[1]] > 0);
  Draft own = *d;
  Dims to = {0};
  for (uint32_t i = 0; i < from.rank; i++)
    if (i != d->attr[1]) to.dims[to.rank++] = from.dims[i];
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}
Node build_item(Graph *g, uint32_t loop, Node x, int64_t axis, bool reversed) {
  const int64_t attr[3] = {loop, axis, reversed};
  return build_any(g, P_ITEM, node_type(g, x), (Shape){0}, &x, 1, attr, 3);
}
Node build_round(Graph *g, uint32_t loop, int64_t length) { return build_item(g, loop, build_iota(g, length), 0, false); }

/* item(broadcast x) = item or x itself, broadcast along the other axes. */
Node rule_item_broadcast(Graph *g, const Draft *d) {
  const int64_t axis = d->attr[1];
  int64_t axes[DRAFT_ATTRS];
  const Node inner = node_in(g, d->in[0], 0);
  const uint32_t count = attr_copy(g, d->in[0], axes);
  uint32_t kept = 0;
  int64_t within = -1;
  for (uint32_t i = 0; i < count; i++) {
    if (axes[i] == axis) within = i;
    else axes[kept++] = axes[i] - (axes[i] > axis);
  }
  const Node part = within < 0 ? inner : build_item(g, (uint32_t)d->attr[0], inner, within, d->attr[2] != 0);
  return build_broadcast(g, part, d->shape, axes);
}

/* Zeros but for this round's index. */
Node derive_item(Graph *graph, Node node, Node g, uint32_t i) {
  const Shape shape = node_shape(graph, node_in(graph, node, 0));
  const int64_t axis = node_attr(graph, node)[1], reversed = node_attr(graph, node)[2];
  const int64_t length = shape_dims(graph, shape)->dims[axis];
  const uint32_t loop = (uint32_t)node_attr(graph, node)[0], rank = shape_dims(graph, shape)->rank;
  int64_t others[GRAPH_MAX_RANK];
  axes_others(rank, &axis, 1, others);
  const Node index = build_iota(graph, length), now = build_item(graph, loop, index, 0, reversed != 0);
  const Node here = build_broadcast(graph, build_binary(graph, P_EQ, index, now), shape, &axis);
  return build_select(graph, here, build_broadcast(graph, g, shape, others), build_like(graph, g, 0));
}

/* ---- loop: {loop, length} ---- */

Node make_loop(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, is_loop(g, d, 2) && d->attr[1] > 0 && d->attr[1] <= INT32_MAX && d->count % 2 == 0);
  const uint32_t count = d->count / 2;
  for (uint32_t i = 0; i < count; i++) {
    const Node carry = d->in[i], next = d->in[count + i];
    DRAFT_CHECK(g, d, node_prim(g, carry) == P_CARRY);
    DRAFT_CHECK(g, d, node_attr(g, carry)[0] == d->attr[0] && node_attr(g, carry)[1] == i);
    DRAFT_CHECK(g, d, node_type(g, carry) == node_type(g, next) && node_shape(g, carry).id == node_shape(g, next).id);
  }
  Draft own = *d;
  own.type = TYPE_I32, own.shape = (Shape){0};
  return draft_finish(g, &own);
}
Node build_loop(Graph *g, uint32_t loop, int64_t length, const Node *carries, const Node *next, uint32_t count) {
  const int64_t attr[2] = {loop, length};
  Node in[UINT8_MAX + 1];
  const Draft d = {.prim = P_LOOP, .in = carries, .count = count};
  DRAFT_CHECK(g, &d, 2 * count <= UINT8_MAX);
  for (uint32_t i = 0; i < count; i++) in[i] = carries[i], in[count + i] = next[i];
  return build_any(g, P_LOOP, TYPE_I32, (Shape){0}, in, 2 * count, attr, 2);
}

/* ---- what comes out ---- */

Node make_last(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, node_prim(g, d->in[0]) == P_LOOP && d->attr_count == 1);
  DRAFT_CHECK(g, d, d->attr[0] >= 0 && d->attr[0] < node_data(g, d->in[0])->count / 2);
  const Node carry = node_in(g, d->in[0], (uint32_t)d->attr[0]);
  Draft own = *d;
  own.type = node_type(g, carry), own.shape = node_shape(g, carry);
  return draft_finish(g, &own);
}
Node build_last(Graph *g, Node loop, uint32_t i) {
  const int64_t attr = i;
  return build_any(g, P_LAST, TYPE_F32, (Shape){0}, &loop, 1, &attr, 1);
}

Node make_stack(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, node_prim(g, d->in[1]) == P_LOOP && d->attr_count == 2);
  const Dims from = *node_dims(g, d->in[0]);
  const int64_t axis = d->attr[0];
  DRAFT_CHECK(g, d, axis >= 0 && axis <= from.rank && from.rank < GRAPH_MAX_RANK);
  Dims to = {.rank = from.rank + 1};
  for (uint32_t i = 0; i < from.rank; i++) to.dims[i < axis ? i : i + 1] = from.dims[i];
  to.dims[axis] = node_attr(g, d->in[1])[1];
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}
Node build_stack(Graph *g, Node x, Node loop, int64_t axis, bool reversed) {
  const Node in[2] = {x, loop};
  const int64_t attr[2] = {axis, reversed};
  return build_any(g, P_STACK, node_type(g, x), (Shape){0}, in, 2, attr, 2);
}

/* All parts of one array, in their order and along their axis: the array. */
Node rule_stack_item(Graph *g, const Draft *d) {
  const int64_t *item = node_attr(g, d->in[0]), *loop = node_attr(g, d->in[1]);
  const Node from = node_in(g, d->in[0], 0);
  const bool all = item[0] == loop[0] && item[1] == d->attr[0] && item[2] == d->attr[1];
  return all && node_shape(g, from).id == d->shape.id ? from : NODE_NONE;
}

Node derive_carry(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_loop(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_last(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_stack(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
