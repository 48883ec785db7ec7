/* reverse.c: the walk from a value back to what it is differentiated by. */
#include "grad.h"

#include <stdlib.h>

#include "mem.h"

/* Which nodes in first .. last depend on one of the xs; indexed from `first`. */
static uint8_t *dependents(const Graph *g, const Node *xs, uint32_t count, uint32_t first, uint32_t last) {
  uint8_t *depends = mem_zero(last - first + 1, 1);
  for (uint32_t i = 0; i < count; i++)
    if (xs[i].id >= first && xs[i].id <= last) depends[xs[i].id - first] = 1;
  for (uint32_t id = first; id <= last; id++) {
    const Node n = {id};
    for (uint32_t i = 0; !depends[id - first] && i < node_data(g, n)->count; i++) {
      const Node in = node_in(g, n, i);
      depends[id - first] = in.id >= first && depends[in.id - first];
    }
  }
  return depends;
}

bool grad_depends(const Graph *g, Node y, Node x) {
  if (y.id < x.id) return false;
  uint8_t *depends = dependents(g, &x, 1, x.id, y.id);
  const bool answer = depends[y.id - x.id];
  free(depends);
  return answer;
}

static bool is_float(const Graph *g, Node n) { return node_type(g, n) == TYPE_F32 || node_type(g, n) == TYPE_F64; }

/* What `node` with gradient `in` gives to its input i, or NODE_NONE. */
static Node part_of(Graph *g, Node node, Node in, uint32_t i) {
  const Node to = node_in(g, node, i), part = prim_info(node_prim(g, node))->derive(g, node, in, i);
  if (part.id && (node_type(g, part) != node_type(g, to) || node_shape(g, part).id != node_shape(g, to).id))
    DIAG_BUG(g->session, g->span, "the gradient of `%s` by input %u has another shape than the input",
             prim_info(node_prim(g, node))->word, i);
  return part;
}

static Node add_part(Graph *g, Node sum, Node part) {
  return !sum.id ? part : !part.id ? sum : build_add(g, sum, part);
}

/* Adds what `node` gives to its inputs that matter. An input that occurs twice gets its parts in one: the x g + x g of a
 * square are 2 x g. */
static void spread(Graph *g, Node node, Node in, const uint8_t *depends, uint32_t first, Node *gradients) {
  const uint32_t count = node_data(g, node)->count;
  g->span = node_data(g, node)->span;
  for (uint32_t i = 0; i < count; i++) {
    const Node to = node_in(g, node, i);
    if (to.id < first || !depends[to.id - first] || !is_float(g, to)) continue;
    bool seen = false;
    for (uint32_t k = 0; k < i && !seen; k++) seen = node_is(node_in(g, node, k), to);
    if (seen) continue;
    Node part = part_of(g, node, in, i);
    for (uint32_t k = i + 1; k < count; k++)
      if (node_is(node_in(g, node, k), to)) part = add_part(g, part, part_of(g, node, in, k));
    gradients[to.id - first] = add_part(g, gradients[to.id - first], part);
  }
}

void grad_reverse(Graph *g, Node y, Node seed, const Node *xs, uint32_t count, Node *results) {
  const Span span = g->span;
  uint32_t first = y.id;
  for (uint32_t i = 0; i < count; i++) {
    results[i] = NODE_NONE;
    if (xs[i].id < first) first = xs[i].id;
  }
  uint8_t *depends = dependents(g, xs, count, first, y.id);
  Node *gradients = mem_zero(y.id - first + 1, sizeof *gradients);
  if (is_float(g, y)) gradients[y.id - first] = seed.id ? seed : build_full(g, node_type(g, y), 1, node_shape(g, y));
  for (uint32_t id = y.id; id >= first && id > 0; id--) {
    const Node in = gradients[id - first];
    if (in.id && depends[id - first]) spread(g, (Node){id}, in, depends, first, gradients);
  }
  for (uint32_t i = 0; i < count; i++)
    if (xs[i].id <= y.id && depends[y.id - first]) results[i] = gradients[xs[i].id - first];
  free(depends);
  free(gradients);
  g->span = span;
}
