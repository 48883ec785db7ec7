/* positive.c: h = select(0 < x, x, k x), k a constant >= 0: relu, leaky relu. Law: 0 < h exactly where 0 < x, since
 * k x <= 0 elsewhere and NaN fails both. So whoever else asks 0 < x, as the derivative of h does, may ask 0 < h. Then x
 * need not be kept for the backward pass: h is kept anyway, for the next layer. */
#include <stdlib.h>

#include "mem.h"
#include "pass.h"

typedef struct {
  Node *select_of;  /* by predicate of the old graph: the select that it makes positive; else none */
  Node *positive;   /* by predicate: 0 < h in the new graph, once made */
} Positive;

static bool is_number(const Graph *g, Node n, double value) {
  double own;
  return node_constant(g, n, &own) && own == value;
}

/* 0, or x times a constant >= 0. */
static bool is_not_positive_where_x_is_not(const Graph *g, Node n, Node x) {
  double slope;
  if (is_number(g, n, 0)) return true;
  return node_prim(g, n) == P_MUL && node_is(node_in(g, n, 0), x) && node_constant(g, node_in(g, n, 1), &slope) && slope >= 0;
}

static bool is_positive_part(const Graph *g, Node n) {
  if (node_prim(g, n) != P_SELECT) return false;
  const Node p = node_in(g, n, 0), x = node_in(g, n, 1);
  return node_prim(g, p) == P_LT && is_number(g, node_in(g, p, 0), 0) && node_is(node_in(g, p, 1), x) &&
         is_not_positive_where_x_is_not(g, node_in(g, n, 2), x);
}

/* 0 < h in the new graph. Users of the predicate may come before h does: h is made here, and found again later. */
static Node positive_of(Positive *p, const Graph *from, Graph *to, Node predicate, const Node *map) {
  if (p->positive[predicate.id].id) return p->positive[predicate.id];
  const Node h = p->select_of[predicate.id], x = map[node_in(from, h, 1).id], other = node_in(from, h, 2);
  double slope = 0;
  const bool relu = node_constant(from, other, &slope); /* else: node_in(other, 1) is the slope */
  if (!relu) node_constant(from, node_in(from, other, 1), &slope);
  const Node zero = build_like(to, x, 0), no = relu ? zero : build_mul(to, x, build_like(to, x, slope));
  const Node made = build_select(to, map[predicate.id], x, no);
  return p->positive[predicate.id] = build_binary(to, P_LT, zero, made);
}

static Node replace(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  Positive *p = context;
  const NodeData *data = node_data(from, node);
  bool asks = false;
  for (uint32_t i = 0; i < data->count && data->count <= 3; i++) asks |= p->select_of[node_in(from, node, i).id].id != 0;
  if (!asks || is_positive_part(from, node)) return NODE_NONE;
  Node in[3];
  for (uint32_t i = 0; i < data->count; i++) {
    const Node old = node_in(from, node, i);
    in[i] = p->select_of[old.id].id ? positive_of(p, from, to, old, map) : map[old.id];
  }
  return build_any(to, (Prim)data->prim, (Type)data->type, shape_of(to, node_dims(from, node)), in, data->count,
                   data->attr ? node_attr(from, node) : NULL, node_attr_count(from, node));
}

Graph *pass_positive(const Graph *graph) {
  Positive p = {mem_zero(graph->nodes.count, sizeof(Node)), mem_zero(graph->nodes.count, sizeof(Node))};
  for (uint32_t id = 1; id < graph->nodes.count; id++)
    if (is_positive_part(graph, (Node){id})) p.select_of[node_in(graph, (Node){id}, 0).id] = (Node){id};
  Graph *made = graph_rewrite(graph, true, replace, &p);
  free(p.select_of);
  free(p.positive);
  return made;
}
