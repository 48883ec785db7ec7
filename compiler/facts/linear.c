/* linear.c: layers that could be one; see facts.h. */
#include "build.h"
#include "facts.h"

uint32_t *facts_uses(const Graph *g, const Node *roots, uint32_t count) {
  uint32_t *uses = mem_zero(g->nodes.count, sizeof *uses);
  for (uint32_t i = 0; i < count; i++) uses[roots[i].id]++;
  for (uint32_t id = g->nodes.count - 1; id > 0; id--)
    for (uint32_t i = 0; uses[id] && i < node_data(g, (Node){id})->count; i++) uses[node_in(g, (Node){id}, i).id]++;
  return uses;
}

/* The parameter that a node is, behind maps that keep its values; NODE_NONE: it is none. */
static Node parameter_of(const Graph *g, Node n) {
  while (node_has(g, n, K_IDENTITY) || node_prim(g, n) == P_TRANSPOSE || node_prim(g, n) == P_RESHAPE) n = node_in(g, n, 0);
  return node_prim(g, n) == P_SLOT && g->slots.data[node_attr(g, n)[0]].kind == SLOT_PARAM ? n : NODE_NONE;
}

/* A constant or a parameter, repeated or not: what a bias is. */
static bool is_bias(const Graph *g, Node n) {
  double value;
  if (node_constant(g, n, &value)) return true;
  while (node_prim(g, n) == P_BROADCAST) n = node_in(g, n, 0);
  return parameter_of(g, n).id != 0;
}

typedef struct {
  Node value, weight;      /* its operands; weight: the parameter */
  int64_t summed, others;  /* of the weight: the product of its extents that are summed, and of the others */
} Product;

/* A product of a value by a parameter, without paired axes (those are groups, as of a depthwise convolution). */
static bool product_of(const Graph *g, Node n, Product *p) {
  if (node_prim(g, n) != P_CONTRACT || node_attr(g, n)[0]) return false;
  const int64_t *attr = node_attr(g, n);
  for (uint32_t side = 0; side < 2; side++) {
    const Node operand = node_in(g, n, side), weight = parameter_of(g, operand);
    if (!weight.id || parameter_of(g, node_in(g, n, 1 - side)).id) continue;
    *p = (Product){node_in(g, n, 1 - side), weight, 1, 1};
    const Dims *dims = node_dims(g, operand);
    for (uint32_t k = 0; k < dims->rank; k++) p->others *= dims->dims[k];
    for (int64_t k = 0; k < attr[1]; k++) p->summed *= dims->dims[attr[2 + side * attr[1] + k]];
    if (p->summed > 0) p->others /= p->summed;
    return p->summed > 0 && p->others > 0;
  }
  return false;
}

/* What a node passes on but for sums of parameters, factors and index maps; NODE_NONE: it does something else. */
static Node linear_of(const Graph *g, Node n) {
  double value;
  const Prim prim = node_prim(g, n);
  const Node a = node_data(g, n)->count ? node_in(g, n, 0) : NODE_NONE;
  const Node b = node_data(g, n)->count == 2 ? node_in(g, n, 1) : NODE_NONE;
  switch (prim) {
  case P_NEG: case P_RESHAPE: case P_TRANSPOSE: case P_PAD: case P_WINDOW: return a;
  case P_ADD: case P_SUB: return is_bias(g, b) ? a : is_bias(g, a) ? b : NODE_NONE;
  case P_MUL: return node_constant(g, b, &value) ? a : node_constant(g, a, &value) ? b : NODE_NONE;
  default: return NODE_NONE;
  }
}

static uint32_t slot_of(const Graph *g, Product p) { return (uint32_t)node_attr(g, p.weight)[0]; }

void facts_linear(const Graph *g, const uint32_t *uses, LinearPairs *out) {
  Product first, second;
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    if (!uses[id] || !product_of(g, (Node){id}, &second)) continue;
    Node n = second.value;
    while (uses[n.id] == 1 && !product_of(g, n, &first) && linear_of(g, n).id) n = linear_of(g, n);
    if (uses[n.id] != 1 || !product_of(g, n, &first) || node_is(first.weight, second.weight)) continue;
    const int64_t ends = first.summed < second.others ? first.summed : second.others;
    if (first.others >= ends) vec_push(out, ((LinearPair){n, {id}, slot_of(g, first), slot_of(g, second)}));
  }
}
