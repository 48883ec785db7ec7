/* rules_stable.c: exponentials that are summed are shifted by their greatest argument first. */
#include "node.h"

/* Is u already v - max v? Looks for a maximum in what is subtracted, behind stops, guards and index maps. */
static bool is_shifted(const Graph *g, Node u) {
  if (node_prim(g, u) != P_SUB) return false;
  Node m = node_in(g, u, 1);
  for (int steps = 0; steps < 8; steps++) {
    switch (node_prim(g, m)) {
    case P_RMAX: return true;
    case P_STOP: case P_MARK: case P_BROADCAST: case P_RESHAPE: m = node_in(g, m, 0); break;
    case P_SELECT: m = node_in(g, m, node_has(g, node_in(g, m, 1), K_LEAF | K_MOVEMENT) ? 2 : 1); break;
    default: return false;
    }
  }
  return false;
}

/* max u over the axes of a sum, without derivative (the whole does not depend on it); 0 where it is infinite, so that
 * inf - inf does not arise. */
static Node shift_of(Graph *g, Node u, const int64_t *axes, uint32_t count) {
  const Node m = build_stop(g, build_reduce(g, P_RMAX, u, axes, count));
  return build_select(g, build_unary(g, P_ISFINITE, m), m, build_like(g, m, 0));
}

Node rule_log_sum_exp(Graph *g, const Draft *d) {
  const Node sum = d->in[0], u = node_in(g, node_in(g, sum, 0), 0);
  if (is_shifted(g, u)) return NODE_NONE;
  int64_t axes[DRAFT_ATTRS] = {0}, kept[GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(g, sum, axes);
  axes_others(node_rank(g, u), axes, count, kept);
  const Node m = shift_of(g, u, axes, count);
  const Node shifted = build_sub(g, u, build_broadcast(g, m, node_shape(g, u), kept));
  const Node total = build_reduce(g, P_SUM, build_unary(g, P_EXP, shifted), axes, count);
  return build_add(g, build_unary(g, P_LOG, total), m);
}

/* e^u / broadcast(sum e^u), where the broadcast gives each sum back to its own elements. */
Node rule_softmax(Graph *g, const Draft *d) {
  const Node e = d->in[0], sum = node_in(g, d->in[1], 0), u = node_in(g, e, 0);
  if (node_prim(g, sum) != P_SUM || !node_is(node_in(g, sum, 0), e) || is_shifted(g, u)) return NODE_NONE;
  int64_t axes[DRAFT_ATTRS] = {0}, kept[GRAPH_MAX_RANK], back[DRAFT_ATTRS] = {0};
  const uint32_t count = attr_copy(g, sum, axes), back_count = attr_copy(g, d->in[1], back);
  if (axes_others(node_rank(g, u), axes, count, kept) != back_count) return NODE_NONE;
  for (uint32_t i = 0; i < back_count; i++)
    if (back[i] != kept[i]) return NODE_NONE;
  const Node m = build_broadcast(g, shift_of(g, u, axes, count), node_shape(g, u), kept);
  const Node shifted = build_unary(g, P_EXP, build_sub(g, u, m));
  const Node total = build_reduce(g, P_SUM, shifted, axes, count);
  return build_div(g, shifted, build_broadcast(g, total, node_shape(g, u), kept));
}
