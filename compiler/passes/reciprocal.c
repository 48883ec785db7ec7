/* reciprocal.c: x / broadcast c = x * broadcast(1 / c). Law: one more rounding, at most 1.5 units in the last place in all;
 * c = 0, infinite or NaN gives what the division gives, and a c so small that 1 / c is infinite (below 3e-39 in f32) gives
 * an infinity where x / c might be finite. A division costs about ten products, and the reciprocal is taken once. */
#include "pass.h"

static Node multiply(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  if (node_prim(from, node) != P_DIV || node_type(from, node) == TYPE_I32) return NODE_NONE;
  const Node x = map[node_in(from, node, 0).id], big = map[node_in(from, node, 1).id];
  if (node_prim(to, big) != P_BROADCAST) return NODE_NONE;
  const Node c = node_in(to, big, 0);
  int64_t axes[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < node_attr_count(to, big); i++) axes[i] = node_attr(to, big)[i];
  const Node once = build_div(to, build_like(to, c, 1), c);
  return build_mul(to, x, build_broadcast(to, once, node_shape(to, big), axes));
}

Graph *pass_reciprocal(const Graph *graph) { return graph_rewrite(graph, true, multiply, NULL); }
