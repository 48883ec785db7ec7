/* masks.c: p ? x c : 0 = (p ? x : 0) c, where p ? x : 0 is there already and c is finite. Law: 0 c = 0 [the sign of a zero]; that a
 * value is finite holds overflow aside, as in sums.c. Several such products of one gradient then read p ? x : 0 alone, which may
 * be kept in x's place, and not x and what p asks. */
#include <math.h>
#include <stdlib.h>

#include "mem.h"
#include "pass.h"

typedef struct {
  bool *finite;        /* by node of the old graph: while what the program is given is */
  uint32_t *first;     /* by value: the last live select of it or 0; 0: none */
  uint32_t *next;      /* by select: another one of the same value */
} Masks;

static bool is_number(Type type) { return type != TYPE_I32 && type != TYPE_BOOL; }

static bool is_mask(const Graph *g, Node n) {
  double value;
  return node_prim(g, n) == P_SELECT && is_number(node_type(g, n)) && node_constant(g, node_in(g, n, 2), &value) && value == 0;
}

static bool inputs_are_finite(const Masks *m, const Graph *g, Node n) {
  for (uint32_t i = 0; i < node_data(g, n)->count; i++)
    if (!m->finite[node_in(g, n, i).id]) return false;
  return true;
}

static bool is_finite(const Masks *m, const Graph *g, Node n) {
  const Node a = node_data(g, n)->count ? node_in(g, n, 0) : NODE_NONE;
  double value;
  if (node_constant(g, n, &value) || !is_number(node_type(g, n))) return !is_number(node_type(g, n)) || isfinite(value);
  switch (node_prim(g, n)) {
  case P_SLOT: case P_EXTENT: case P_NUMBER: case P_IOTA: case P_RANDOM: case P_TANH: case P_SIGMOID: case P_ERF: return true;
  case P_DIV: return m->finite[a.id] && pass_is_positive(g, node_in(g, n, 1));
  case P_RSQRT: case P_LOG: return pass_is_positive(g, a);
  case P_ADD: case P_SUB: case P_MUL: case P_NEG: case P_SELECT: case P_CAST: case P_MIN: case P_MAX: case P_ABS: case P_SUM:
  case P_CONTRACT: return inputs_are_finite(m, g, n);
  default: return node_has(g, n, K_MOVEMENT) && inputs_are_finite(m, g, n);
  }
}

/* The factor x of the product n that p ? x : 0 is there of, all others being finite; none: NODE_NONE. */
static Node masked_factor(const Masks *m, const Graph *g, Node p, Node n, Node but) {
  for (uint32_t s = m->first[n.id]; s; s = m->next[s])
    if (s != but.id && node_is(node_in(g, (Node){s}, 0), p)) return n;
  if (node_prim(g, n) != P_MUL) return NODE_NONE;
  for (uint32_t i = 0; i < 2; i++) {
    const Node x = m->finite[node_in(g, n, 1 - i).id] ? masked_factor(m, g, p, node_in(g, n, i), but) : NODE_NONE;
    if (x.id) return x;
  }
  return NODE_NONE;
}

/* The product n with x replaced, once. */
static Node with_factor(const Masks *m, const Graph *from, Graph *to, Node n, Node x, Node by, const Node *map, bool *found) {
  if (*found) return map[n.id];
  if (node_is(n, x)) return *found = true, by;
  if (node_prim(from, n) != P_MUL) return map[n.id];
  const Node a = with_factor(m, from, to, node_in(from, n, 0), x, by, map, found);
  return build_mul(to, a, with_factor(m, from, to, node_in(from, n, 1), x, by, map, found));
}

static Node replace(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  const Masks *m = context;
  if (!is_mask(from, node) || node_prim(from, node_in(from, node, 1)) != P_MUL) return NODE_NONE;
  const Node x = masked_factor(m, from, node_in(from, node, 0), node_in(from, node, 1), node);
  bool found = false;
  if (!x.id) return NODE_NONE;
  const Node by = build_select(to, map[node_in(from, node, 0).id], map[x.id], build_like(to, map[x.id], 0));
  return with_factor(m, from, to, node_in(from, node, 1), x, by, map, &found);
}

static void find_masks(Masks *m, const Graph *g) {
  bool *live = mem_zero(g->nodes.count, 1);
  for (uint32_t i = 0; i < g->outputs.count; i++) live[g->outputs.data[i].node.id] = live[g->outputs.data[i].weight.id] = true;
  for (uint32_t id = g->nodes.count - 1; id > 0; id--) {
    if (!live[id]) continue;
    for (uint32_t i = 0; i < g->nodes.data[id].count; i++) live[node_in(g, (Node){id}, i).id] = true;
    if (!is_mask(g, (Node){id})) continue;
    const uint32_t value = node_in(g, (Node){id}, 1).id;
    m->next[id] = m->first[value], m->first[value] = id;
  }
  for (uint32_t id = 1; id < g->nodes.count; id++) m->finite[id] = is_finite(m, g, (Node){id});
  free(live);
}

Graph *pass_masks(const Graph *graph) {
  const uint32_t count = graph->nodes.count;
  Masks m = {mem_zero(count, sizeof *m.finite), mem_zero(count, sizeof *m.first), mem_zero(count, sizeof *m.next)};
  find_masks(&m, graph);
  Graph *made = graph_rewrite(graph, true, replace, &m);
  free(m.finite), free(m.first), free(m.next);
  return made;
}
