/* prim_select.c: select and cast, which are elementwise over several types, and the identities: mark, stop and own. */
#include "node.h"

Node make_select(Graph *g, const Draft *d) { return build_select(g, d->in[0], d->in[1], d->in[2]); }

/* The gradient goes to the branch taken; the other gets zeros, and build_times keeps them zero through an infinity. */
Node derive_select(Graph *graph, Node node, Node g, uint32_t i) {
  const Node condition = node_in(graph, node, 0), zero = build_like(graph, g, 0);
  if (i == 0) return NODE_NONE;
  return i == 1 ? build_select(graph, condition, g, zero) : build_select(graph, condition, zero, g);
}

Node make_cast(Graph *g, const Draft *d) { return build_cast(g, d->in[0], d->type); }
Node derive_cast(Graph *graph, Node node, Node g, uint32_t i) {
  const Type from = node_type(graph, node_in(graph, node, 0));
  return type_is_float(from) && type_is_float(node_type(graph, node)) ? build_cast(graph, g, from) : NODE_NONE;
}

Node make_mark(Graph *g, const Draft *d) {
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = node_shape(g, d->in[0]);
  DRAFT_CHECK(g, d, d->attr_count == 1 && d->attr[0] >= 0);
  if (d->attr[0] >= g->marks) g->marks = (uint32_t)d->attr[0] + 1;
  return draft_finish(g, &own);
}
Node build_mark(Graph *g, Node x) {
  const int64_t attr = g->marks;
  return build_any(g, P_MARK, node_type(g, x), node_shape(g, x), &x, 1, &attr, 1);
}
Node derive_mark(Graph *graph, Node node, Node g, uint32_t i) { return g; }

Node make_stop(Graph *g, const Draft *d) {
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = node_shape(g, d->in[0]);
  DRAFT_CHECK(g, d, !d->attr_count);
  return draft_finish(g, &own);
}
Node build_stop(Graph *g, Node x) {
  return build_any(g, P_STOP, node_type(g, x), node_shape(g, x), &x, 1, NULL, 0);
}
Node derive_stop(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }

Node make_own(Graph *g, const Draft *d) {
  Draft own = *d;
  own.type = node_type(g, d->in[0]), own.shape = node_shape(g, d->in[0]);
  DRAFT_CHECK(g, d, !d->attr_count && d->count >= 2 && d->count % 2 == 0);
  for (uint32_t i = 0; i < d->count; i += 2)
    DRAFT_CHECK(g, d, node_type(g, d->in[i]) == node_type(g, d->in[i + 1]) && node_shape(g, d->in[i]).id == node_shape(g, d->in[i + 1]).id);
  return draft_finish(g, &own);
}
Node build_own(Graph *g, Node y, Node dy, const Node *pairs, uint32_t count) {
  Node in[UINT8_MAX] = {y, dy};
  for (uint32_t i = 0; i < 2 * count; i++) in[2 + i] = pairs[i];
  return build_any(g, P_OWN, node_type(g, y), node_shape(g, y), in, 2 + 2 * count, NULL, 0);
}
Node derive_own(Graph *graph, Node node, Node g, uint32_t i) {
  if (i < 2 || i % 2) return NODE_NONE;
  return graph_substitute(graph, node_in(graph, node, i + 1), node_in(graph, node, 1), g);
}
