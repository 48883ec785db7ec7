/* quotient.c: e (r g + c) = (e r) (g + c / r), where r = 1 / s and c are one for many elements and e r is there already: a
 * softmax y = e / s gives back y (g - sum of y g), and e need not be kept beside y. Law: as many roundings, one of them
 * of c s; s is not 0 or infinite where e / s is asked for. */
#include "pass.h"

/* broadcast x, or none. */
static Node spread(const Graph *g, Node n) { return node_prim(g, n) == P_BROADCAST ? node_in(g, n, 0) : NODE_NONE; }

/* s of n = broadcast (1 / s), or none. */
static Node divisor(const Graph *g, Node n) {
  const Node r = spread(g, n);
  double one;
  if (!r.id || node_prim(g, r) != P_DIV || !node_constant(g, node_in(g, r, 0), &one) || one != 1) return NODE_NONE;
  return node_in(g, r, 1);
}

static bool spread_alike(const Graph *g, Node a, Node b) {
  if (node_shape(g, spread(g, a)).id != node_shape(g, spread(g, b)).id) return false;
  for (uint32_t i = 0; i < node_attr_count(g, a); i++)
    if (node_attr(g, a)[i] != node_attr(g, b)[i]) return false;
  return true;
}

/* e * r if the graph has it: the builder then adds nothing. */
static Node product_there(Graph *g, Node e, Node r) {
  const uint32_t before = g->nodes.count;
  const Node made = build_mul(g, e, r);
  return g->nodes.count == before ? made : NODE_NONE;
}

/* e (term + constant), term = r g in either order. */
static Node divided(Graph *to, Node e, Node term, Node constant) {
  if (node_prim(to, term) != P_MUL || !spread(to, constant).id) return NODE_NONE;
  for (uint32_t i = 0; i < 2; i++) {
    const Node r = node_in(to, term, i), g = node_in(to, term, 1 - i), s = divisor(to, r);
    if (!s.id || !spread_alike(to, r, constant)) continue;
    const Node y = product_there(to, e, r);
    if (!y.id) continue;
    int64_t axes[GRAPH_MAX_RANK];
    for (uint32_t k = 0; k < node_attr_count(to, r); k++) axes[k] = node_attr(to, r)[k];
    const Node c = build_mul(to, spread(to, constant), s);
    return build_mul(to, y, build_add(to, g, build_broadcast(to, c, node_shape(to, r), axes)));
  }
  return NODE_NONE;
}

static Node replace(void *context, const Graph *from, Graph *to, Node n, const Node *map) {
  if (node_prim(from, n) != P_MUL || node_type(from, n) == TYPE_I32) return NODE_NONE;
  for (uint32_t i = 0; i < 2; i++) {
    const Node e = map[node_in(from, n, i).id], sum = map[node_in(from, n, 1 - i).id];
    if (node_prim(to, sum) != P_ADD) continue;
    for (uint32_t k = 0; k < 2; k++) {
      const Node made = divided(to, e, node_in(to, sum, k), node_in(to, sum, 1 - k));
      if (made.id) return made;
    }
  }
  return NODE_NONE;
}

Graph *pass_quotient(const Graph *graph) { return graph_rewrite(graph, true, replace, NULL); }
