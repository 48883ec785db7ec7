/* factor.c: f a + f b = f (a + b), and the same with minus, where a and b are products of their own and nothing else reads
 * f a and f b. Law: one rounding fewer; a + b may overflow, beyond 1.7e38 in f32, where f a + f b does not. What a function
 * of x gives back is then the gradient times its derivative, which depends on x alone: keep.c may keep that in x's place. */
#include <stdlib.h>

#include "mem.h"
#include "pass.h"

#define MOST_FACTORS 16

typedef struct {
  uint32_t *uses;      /* by node of the old graph */
  Node *common, *rest; /* of a sum that became common * rest: nodes of the new graph */
} Factor;

typedef struct {
  Node node[MOST_FACTORS]; /* of the new graph */
  uint32_t count;
} Factors;

static void add_factor(Factors *list, Node n) {
  if (list->count < MOST_FACTORS) list->node[list->count] = n;
  list->count++;
}

/* What the old node is a product of. */
static void list_factors(const Factor *p, const Graph *from, Node n, const Node *map, Factors *out) {
  if (out->count > MOST_FACTORS) return;
  if (p->uses[n.id] == 1 && p->common[n.id].id) {
    add_factor(out, p->common[n.id]), add_factor(out, p->rest[n.id]);
  } else if (p->uses[n.id] == 1 && node_prim(from, n) == P_MUL) {
    for (uint32_t i = 0; i < 2; i++) list_factors(p, from, node_in(from, n, i), map, out);
  } else {
    add_factor(out, map[n.id]);
  }
}

static Node product_without(Graph *g, const Factors *list, uint32_t without) {
  Node product = NODE_NONE;
  for (uint32_t i = 0; i < list->count; i++)
    if (i != without) product = product.id ? build_mul(g, product, list->node[i]) : list->node[i];
  return product;
}

/* The factor of both that was made last, no constant. */
static bool find_common(const Graph *g, const Factors *a, const Factors *b, uint32_t *i, uint32_t *k) {
  Node best = NODE_NONE;
  double value;
  for (uint32_t x = 0; x < a->count; x++)
    for (uint32_t y = 0; y < b->count; y++)
      if (node_is(a->node[x], b->node[y]) && a->node[x].id > best.id && !node_constant(g, a->node[x], &value))
        best = a->node[*i = x], *k = y;
  return best.id;
}

static Node factor(void *context, const Graph *from, Graph *to, Node n, const Node *map) {
  Factor *p = context;
  const Prim prim = node_prim(from, n);
  if ((prim != P_ADD && prim != P_SUB) || node_type(from, n) == TYPE_I32) return NODE_NONE;
  Factors side[2] = {{.count = 0}, {.count = 0}};
  uint32_t at[2];
  for (uint32_t i = 0; i < 2; i++) list_factors(p, from, node_in(from, n, i), map, &side[i]);
  for (uint32_t i = 0; i < 2; i++)
    if (side[i].count < 2 || side[i].count > MOST_FACTORS) return NODE_NONE;
  if (!find_common(to, &side[0], &side[1], &at[0], &at[1])) return NODE_NONE;
  p->common[n.id] = side[0].node[at[0]];
  p->rest[n.id] = build_binary(to, prim, product_without(to, &side[0], at[0]), product_without(to, &side[1], at[1]));
  return build_mul(to, p->rest[n.id], p->common[n.id]);
}

Graph *pass_factor(const Graph *graph) {
  const uint32_t count = graph->nodes.count;
  Factor p = {mem_zero(count, sizeof *p.uses), mem_zero(count, sizeof *p.common), mem_zero(count, sizeof *p.rest)};
  for (uint32_t id = 1; id < count; id++)
    for (uint32_t i = 0; i < graph->nodes.data[id].count; i++) p.uses[node_in(graph, (Node){id}, i).id]++;
  for (uint32_t i = 0; i < graph->outputs.count; i++) {
    p.uses[graph->outputs.data[i].node.id]++;
    p.uses[graph->outputs.data[i].weight.id]++;
  }
  Graph *made = graph_rewrite(graph, true, factor, &p);
  free(p.uses), free(p.common), free(p.rest);
  return made;
}
