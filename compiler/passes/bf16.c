/* bf16.c: mixed precision: the operands of every contraction are rounded to 8 bits, and its products summed in f32. All else
 * stays f32: parameters, what the optimiser remembers, losses, norms. Behind differentiation and all other rewrites, so
 * that forward and both gradients are rounded alike and no rewrite has to know of it.
 *
 * An operand is rounded below the views that it is seen through: once for all windows of an image, and once for the
 * products forward and backward that read it. */
#include "pass.h"

/* A view of its first input alone, or its input as it is. */
static bool is_view(const Graph *g, Node n) {
  return node_data(g, n)->count == 1 && node_has(g, n, K_MOVEMENT | K_IDENTITY) && node_prim(g, n) != P_MARK;
}

static Node round_operand(Graph *g, Node n) {
  Node bottom = n;
  uint32_t views = 0;
  for (; is_view(g, bottom); views++) bottom = node_in(g, bottom, 0);
  Node made = build_cast(g, bottom, TYPE_BF16);
  for (; views; views--) { /* the lowest one first */
    Node view = n;
    for (uint32_t i = 1; i < views; i++) view = node_in(g, view, 0);
    int64_t attr[2 + 4 * GRAPH_MAX_RANK];
    const uint32_t count = node_attr_count(g, view);
    for (uint32_t i = 0; i < count; i++) attr[i] = node_attr(g, view)[i];
    made = build_any(g, node_prim(g, view), TYPE_BF16, node_shape(g, view), &made, 1, count ? attr : NULL, count);
  }
  return made;
}

static Node replace(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  (void)context;
  if (node_prim(from, node) != P_CONTRACT || node_type(from, node) != TYPE_F32) return NODE_NONE;
  const Node in[2] = {round_operand(to, map[node_in(from, node, 0).id]), round_operand(to, map[node_in(from, node, 1).id])};
  return build_any(to, P_CONTRACT, TYPE_F32, shape_of(to, node_dims(from, node)), in, 2, node_attr(from, node),
                   node_attr_count(from, node));
}

Graph *pass_bf16(const Graph *graph) { return graph_rewrite(graph, true, replace, NULL); }
