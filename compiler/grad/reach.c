/* reach.c: which elements of a value the differentiated sum can see at all, where selects hide the others from it. A gradient of
 * exactly 0 does not show that nothing was asked for, and 0 times infinity is NaN: so where a factor of a derivative can be
 * infinite or NaN, the select is asked again. Through products and sums, too: what the branch not taken computes stays in it. */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "ranges.h"
#include "reverse.h"

static bool is_float(const Graph *g, Node n) { return node_type(g, n) == TYPE_F32 || node_type(g, n) == TYPE_F64; }

/* Functions that end, or rise without bound, somewhere: without one of them nothing finite becomes infinite or NaN. */
static bool has_edge(Prim p) {
  switch (p) {
  case P_LOG: case P_LOG1P: case P_SQRT: case P_RSQRT: case P_CBRT: case P_DIV: case P_POW: case P_ASIN: case P_ACOS: case P_EXP:
  case P_EXPM1: case P_SINH: case P_COSH: case P_LGAMMA: case P_DIGAMMA: return true;
  default: return false;
  }
}

/* Can it be infinite or NaN though its inputs are not? The length of a vector is taken not to be 0. */
static bool turns_wild(const Graph *g, const Ranges *ranges, Node n) {
  const Prim p = node_prim(g, n);
  if (!has_edge(p) || range_at(ranges, node_in(g, n, p == P_DIV)).rare) return false;
  const Range y = range_at(ranges, n);
  if ((isinf(y.lo) && !y.open_lo) || (isinf(y.hi) && !y.open_hi)) return true;
  bool given = false;
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) given |= range_at(ranges, node_in(g, n, i)).nan;
  return !given && (y.nan || range_empty(y));
}

static bool is_linear(Prim p) {
  const bool multiplies = prim_is(p, K_ELEMENTWISE | K_CONTRACTION) || p == P_PROD;
  return !multiplies || p == P_SELECT || p == P_CAST || p == P_NEG || p == P_ADD || p == P_SUB;
}

/* Has a finite function an infinite derivative somewhere within its argument's range? */
static bool has_steep_end(const Graph *g, const Ranges *ranges, Node n) {
  if (!has_edge(node_prim(g, n))) return false;
  const Range x = range_at(ranges, node_in(g, n, 0));
  switch (node_prim(g, n)) {
  case P_SQRT: case P_CBRT: return range_has(x, 0) && !x.rare;
  case P_ASIN: case P_ACOS: return range_has(x, 1) || range_has(x, -1);
  case P_POW: return range_has(x, 0) && range_below(range_at(ranges, node_in(g, n, 1)), 1);
  default: return false;
  }
}

static void mark_steep(Reverse *r, const Ranges *ranges) {
  const Graph *g = r->g;
  r->steep = mem_zero(r->last + 1, 1);
  for (uint32_t id = 1; id <= r->last; id++) {
    const Node n = {id};
    uint8_t below = 0;
    for (uint32_t i = 0; i < node_data(g, n)->count; i++)
      if (is_float(g, node_in(g, n, i))) below |= r->steep[node_in(g, n, i).id];
    uint8_t *own = &r->steep[id];
    *own = below & WILD;
    if (turns_wild(g, ranges, n)) *own |= WILD;
    if (!reverse_depends(r, n)) continue;
    if (!is_linear(node_prim(g, n)) && (*own & WILD || has_steep_end(g, ranges, n))) *own |= STEEP;
    if (*own & STEEP || below & ABOVE_STEEP) *own |= ABOVE_STEEP;
  }
}

void reach_begin(Reverse *r) {
  const Graph *g = r->g;
  bool hides = false, edge = false;
  for (uint32_t id = 1; id <= r->last; id++) {
    edge |= has_edge(node_prim(g, (Node){id}));
    hides |= edge && reverse_depends(r, (Node){id}) && node_prim(g, (Node){id}) == P_SELECT;
  }
  if (!hides) return;
  Ranges *ranges = ranges_new(g, NULL);
  mark_steep(r, ranges);
  ranges_free(ranges);
  r->reach = mem_zero(r->last - r->first + 1, sizeof *r->reach);
}

void reach_end(Reverse *r) {
  free(r->steep);
  free(r->reach);
}

static Node any_along(Graph *g, Node mask, const int64_t *axes, uint32_t count) {
  if (!count) return mask;
  const Node most = build_reduce(g, P_RMAX, build_cast(g, mask, TYPE_I32), axes, count);
  return build_binary(g, P_NE, most, build_like(g, most, 0));
}

/* The axes of n that are not among `axes`. */
static uint32_t other_axes(const Graph *g, Node n, const int64_t *axes, uint32_t count, int64_t *others) {
  uint32_t found = 0;
  for (uint32_t k = 0; k < node_rank(g, n); k++) {
    bool among = false;
    for (uint32_t i = 0; i < count; i++) among |= axes[i] == k;
    if (!among) others[found++] = k;
  }
  return found;
}

/* An element of an operand is seen where any of the products that it is in is: whatever the other operand's index. */
static Node through_contract(Graph *g, Node node, uint32_t i, Node own) {
  const int64_t *attr = node_attr(g, node);
  const uint32_t pairs = (uint32_t)attr[0], sums = (uint32_t)attr[1];
  const Node in[2] = {node_in(g, node, 0), node_in(g, node, 1)};
  int64_t used[2][2 * GRAPH_MAX_RANK], free_axes[2][GRAPH_MAX_RANK], gone[GRAPH_MAX_RANK], kept[GRAPH_MAX_RANK];
  uint32_t frees[2];
  for (int side = 0; side < 2; side++) {
    memcpy(used[side], attr + 2 + side * pairs, pairs * sizeof *attr);
    memcpy(used[side] + pairs, attr + 2 + 2 * pairs + side * sums, sums * sizeof *attr);
    frees[side] = other_axes(g, in[side], used[side], pairs + sums, free_axes[side]);
  }
  const uint32_t first = pairs + (i ? 0 : frees[0]);
  for (uint32_t k = 0; k < frees[1 - i]; k++) gone[k] = first + k;
  Node mask = any_along(g, own, gone, frees[1 - i]); /* [pairs, own free axes], to be put in the operand's order */
  int64_t order[GRAPH_MAX_RANK], perm[GRAPH_MAX_RANK];
  const uint32_t rank = pairs + frees[i];
  for (uint32_t k = 0; k < rank; k++) order[k] = k < pairs ? used[i][k] : free_axes[i][k - pairs];
  for (uint32_t k = 0; k < rank; k++) {
    uint32_t place = 0;
    for (uint32_t m = 0; m < rank; m++) place += order[m] < order[k];
    perm[place] = k, kept[place] = order[k];
  }
  if (rank) mask = build_transpose(g, mask, perm);
  return build_broadcast(g, mask, node_shape(g, in[i]), kept);
}

Node reach_through(const Reverse *r, Node node, uint32_t i) {
  Graph *g = r->g;
  const Prim p = node_prim(g, node);
  const Node in = node_in(g, node, i), own = r->reach[node.id - r->first];
  int64_t axes[GRAPH_MAX_RANK];
  if (p == P_SELECT) {
    const Node c = node_in(g, node, 0), side = i == 1 ? c : build_unary(g, P_NOT, c);
    return own.id ? build_binary(g, P_AND, own, side) : side;
  }
  if (!own.id) return NODE_NONE;
  if (prim_is(p, K_ELEMENTWISE | K_IDENTITY)) return node_shape(g, in).id == node_shape(g, own).id ? own : NODE_NONE;
  switch (p) {
  case P_CONTRACT: return through_contract(g, node, i, own);
  case P_SUM: case P_PROD: case P_RMAX: case P_RMIN:
    other_axes(g, in, node_attr(g, node), node_attr_count(g, node), axes);
    return build_broadcast(g, own, node_shape(g, in), axes);
  case P_BROADCAST: return any_along(g, own, axes, other_axes(g, node, node_attr(g, node), node_attr_count(g, node), axes));
  case P_RESHAPE: case P_TRANSPOSE: case P_SLICE: case P_PAD: case P_REVERSE: case P_CONCAT:
    return prim_info(p)->derive(g, node, own, i); /* as its gradient goes */
  case P_WINDOW: case P_UNWINDOW: case P_GATHER: case P_SCATTER_ADD: { /* that sums: the number of places from which it is seen */
    const Node seen = prim_info(p)->derive(g, node, build_cast(g, own, node_type(g, node)), i);
    return seen.id ? build_binary(g, P_NE, seen, build_like(g, seen, 0)) : NODE_NONE;
  }
  default: return NODE_NONE; /* into a loop, and by a derivative of one's own, all is taken to be seen */
  }
}

Node reach_shield(const Reverse *r, Node node, uint32_t i) {
  Graph *g = r->g;
  const Node other = node_in(g, node, 1 - i), in[2] = {i ? NODE_NONE : node_in(g, node, 0), i ? node_in(g, node, 1) : NODE_NONE};
  if (!(r->steep[other.id] & WILD)) return node;
  const Node seen = reach_through(r, node, 1 - i);
  if (!seen.id) return node;
  int64_t attr[2 + 4 * GRAPH_MAX_RANK];
  const uint32_t attrs = node_attr_count(g, node);
  memcpy(attr, node_attr(g, node), attrs * sizeof *attr);
  const Node safe = build_select(g, seen, other, build_like(g, other, 0)), both[2] = {i ? safe : in[0], i ? in[1] : safe};
  return build_any(g, P_CONTRACT, node_type(g, node), node_shape(g, node), both, 2, attr, attrs);
}
