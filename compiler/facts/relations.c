/* relations.c: what follows from how a node's inputs belong together, where intervals alone would lose it: x - max x <= 0,
 * softmax within 0 .. 1, log(sum(e^x)) >= x. Patterns are those that the builder's rules and the library leave. */
#include "build.h"
#include "ranges.h"

Node plain_node(const Graph *g, Node n) {
  while (node_has(g, n, K_IDENTITY)) n = node_in(g, n, 0);
  return n;
}

/* lo or more; its other end says nothing, so that it is as open as the primitive's own. */
static Range at_least(double lo, bool open) { return (Range){.lo = lo, .hi = INFINITY, .open_lo = open}; }

static bool same_node(const Graph *g, Node a, Node b) { return node_is(plain_node(g, a), plain_node(g, b)); }

/* ---- reductions that are given back to their elements ---- */

/* The axes whose extent is not 1. */
static uint32_t long_axes(const Dims *dims, const int64_t *axes, uint32_t count, int64_t *out) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < count; i++)
    if (dims->dims[axes[i]] != 1) out[n++] = axes[i];
  return n;
}

/* Behind identities and reshapes that move nothing. */
static Node bare(const Graph *g, Node n) {
  while (node_has(g, n, K_IDENTITY) || (node_prim(g, n) == P_RESHAPE && dims_equal_but_ones(node_dims(g, n), node_dims(g, node_in(g, n, 0))))) n = node_in(g, n, 0);
  return n;
}

static bool is_number(const Graph *g, Node n) {
  double value;
  return node_constant(g, n, &value);
}

/* The side of a select that is no constant; the node itself where there is none such. */
static Node unguarded(const Graph *g, Node n) {
  n = bare(g, n);
  while (node_prim(g, n) == P_SELECT && is_number(g, node_in(g, n, 1)) != is_number(g, node_in(g, n, 2)))
    n = bare(g, node_in(g, n, is_number(g, node_in(g, n, 1)) ? 2 : 1));
  return n;
}

/* Does `reduction` of x leave the axes that `kept` lists? Axes of extent 1 do not count. */
static bool reduces(const Graph *g, Node reduction, Node x, const int64_t *kept, uint32_t kept_count) {
  const Dims *dims = node_dims(g, x);
  int64_t own[GRAPH_MAX_RANK], wanted[GRAPH_MAX_RANK];
  uint32_t n = 0;
  if (!node_has(g, reduction, K_REDUCTION) || !same_node(g, node_in(g, reduction, 0), x)) return false;
  for (int64_t axis = 0; axis < dims->rank; axis++) {
    bool gone = dims->dims[axis] == 1;
    for (uint32_t i = 0; i < node_attr_count(g, reduction); i++) gone = gone || node_attr(g, reduction)[i] == axis;
    if (!gone) own[n++] = axis;
  }
  if (long_axes(dims, kept, kept_count, wanted) != n) return false;
  for (uint32_t i = 0; i < n; i++)
    if (own[i] != wanted[i]) return false;
  return true;
}

/* m has x's shape: what it repeats, and along which axes of x that varies. */
static bool repeats(const Graph *g, Node m, Node x, Node *what, int64_t *axes, uint32_t *count) {
  m = plain_node(g, m);
  if (node_prim(g, m) != P_BROADCAST || node_shape(g, m).id != node_shape(g, x).id) return false;
  *what = node_in(g, m, 0);
  *count = 0;
  const Dims *dims = node_dims(g, *what);
  for (uint32_t i = 0; i < dims->rank; i++)
    if (dims->dims[i] != 1) axes[(*count)++] = node_attr(g, m)[i];
  return true;
}

/* Is m the greatest (or least) of x along some axes, given back to each? */
static bool repeats_extreme(const Graph *g, Node m, Node x, Prim prim) {
  Node what;
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t count;
  if (!repeats(g, m, x, &what, axes, &count)) return false;
  what = unguarded(g, what);
  return node_prim(g, what) == prim && reduces(g, what, x, axes, count);
}

/* ---- sums of exponentials ---- */

/* s, or select(0 < s, s, 1): the sum of e^v; NODE_NONE: it is none. */
static Node sum_of_exp(const Graph *g, Node s) {
  s = unguarded(g, s);
  return node_prim(g, s) == P_SUM && node_prim(g, plain_node(g, node_in(g, s, 0))) == P_EXP ? s : NODE_NONE;
}

/* L = log(sum e^v) of the SUM in *sum, with v = *u, or v = u - m and m added again. */
static bool log_sum_exp(const Graph *g, Node l, Node *u, Node *sum) {
  l = unguarded(g, l);
  if (node_prim(g, l) == P_LOG && (*sum = sum_of_exp(g, node_in(g, l, 0))).id) {
    *u = node_in(g, plain_node(g, node_in(g, *sum, 0)), 0);
    return true;
  }
  if (node_prim(g, l) != P_ADD) return false;
  for (uint32_t side = 0; side < 2; side++) {
    const Node log = bare(g, node_in(g, l, side)), top = unguarded(g, node_in(g, l, 1 - side));
    if (node_prim(g, log) != P_LOG || node_prim(g, top) != P_RMAX || !(*sum = sum_of_exp(g, node_in(g, log, 0))).id) continue;
    const Node v = plain_node(g, node_in(g, plain_node(g, node_in(g, *sum, 0)), 0));
    Node what;
    int64_t axes[GRAPH_MAX_RANK];
    uint32_t count;
    if (node_prim(g, v) != P_SUB || !repeats(g, node_in(g, v, 1), v, &what, axes, &count)) continue;
    if (!node_is(unguarded(g, what), top)) continue;
    *u = node_in(g, v, 0);
    return true;
  }
  return false;
}

bool is_log_sum_exp(const Graph *g, Node n, Node *u) {
  Node sum;
  return log_sum_exp(g, n, u, &sum);
}

/* x / (the sum of x over some axes, given back), x >= 0; *sum: that sum. */
static bool is_share(const Graph *g, Node n, Node *sum) {
  Node what;
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t count;
  if (node_prim(g, n) != P_DIV) return false;
  const Node x = node_in(g, n, 0);
  if (!repeats(g, node_in(g, n, 1), x, &what, axes, &count)) return false;
  *sum = unguarded(g, what);
  return node_prim(g, *sum) == P_SUM && reduces(g, *sum, x, axes, count);
}

bool is_softmax(const Graph *g, Node n, Node *u) {
  Node sum;
  n = plain_node(g, n);
  if (!is_share(g, n, &sum) || !sum_of_exp(g, sum).id) return false;
  const Node v = plain_node(g, node_in(g, plain_node(g, node_in(g, n, 0)), 0));
  *u = node_prim(g, v) == P_SUB && repeats_extreme(g, node_in(g, v, 1), node_in(g, v, 0), P_RMAX) ? node_in(g, v, 0) : v;
  return true;
}

/* ---- picks ---- */

static bool counts_along(const Graph *g, Node n, int64_t axis) {
  n = plain_node(g, n);
  if (node_prim(g, n) == P_IOTA) return axis == 0;
  return node_prim(g, n) == P_BROADCAST && node_prim(g, node_in(g, n, 0)) == P_IOTA && node_attr(g, n)[0] == axis;
}

/* Labels are known; what they are broadcast or reshaped from is a slot with classes. */
static bool is_label(const Graph *g, Node n, int64_t classes) {
  while (node_has(g, n, K_IDENTITY | K_MOVEMENT) && node_data(g, n)->count == 1) n = node_in(g, n, 0);
  return node_prim(g, n) == P_SLOT && g->slots.data[node_attr(g, n)[0]].classes > 0 && g->slots.data[node_attr(g, n)[0]].classes <= classes;
}

/* sum over i of (i == t ? x_i : 0), of a label t: x_t. */
static bool is_pick(const Graph *g, Node n, Node *x, int64_t *axis) {
  if (node_prim(g, n) != P_SUM || node_attr_count(g, n) != 1) return false;
  const Node select = plain_node(g, node_in(g, n, 0));
  double zero;
  if (node_prim(g, select) != P_SELECT || !node_constant(g, node_in(g, select, 2), &zero) || zero != 0) return false;
  const Node hit = node_in(g, select, 0);
  *axis = node_attr(g, n)[0], *x = node_in(g, select, 1);
  if (node_prim(g, hit) != P_EQ) return false;
  const Node a = node_in(g, hit, 0), b = node_in(g, hit, 1);
  const int64_t classes = node_dims(g, select)->dims[*axis];
  return (counts_along(g, a, *axis) && is_label(g, b, classes)) || (counts_along(g, b, *axis) && is_label(g, a, classes));
}

/* ---- multiples ---- */

/* n = factor * x, x not a multiple itself. */
static Node multiple_of(const Graph *g, Node n, double *factor) {
  *factor = 1;
  for (;;) {
    double k;
    n = plain_node(g, n);
    if (node_prim(g, n) == P_NEG) *factor = -*factor, n = node_in(g, n, 0);
    else if (node_prim(g, n) == P_MUL && node_constant(g, node_in(g, n, 1), &k)) *factor *= k, n = node_in(g, n, 0);
    else if (node_prim(g, n) == P_MUL && node_constant(g, node_in(g, n, 0), &k)) *factor *= k, n = node_in(g, n, 1);
    else return n;
  }
}

/* max(k x, l x) with k and l of different signs is at least 0. */
static bool of_max(const Graph *g, Node n, Range *range) {
  double k, l;
  const Node a = multiple_of(g, node_in(g, n, 0), &k), b = multiple_of(g, node_in(g, n, 1), &l);
  if (!node_is(a, b) || !(k * l <= 0)) return false;
  *range = at_least(0, false);
  if (node_prim(g, n) == P_MIN) *range = range_neg(*range);
  return true;
}

/* sqrt(x x + c) + x, c > 0, is positive: squareplus. */
static bool of_sum(const Ranges *r, const Graph *g, Node n, Range *range) {
  for (uint32_t side = 0; side < 2; side++) {
    const Node root = plain_node(g, node_in(g, n, side)), x = node_in(g, n, 1 - side);
    if (node_prim(g, root) != P_SQRT) continue;
    const Node inner = plain_node(g, node_in(g, root, 0));
    if (node_prim(g, inner) != P_ADD) continue;
    for (uint32_t k = 0; k < 2; k++) {
      const Node square = plain_node(g, node_in(g, inner, k));
      const Range more = range_at(r, node_in(g, inner, 1 - k));
      if (node_prim(g, square) != P_MUL || !same_node(g, node_in(g, square, 0), x) || !same_node(g, node_in(g, square, 1), x)) continue;
      if (!(more.lo > 0 || (more.lo == 0 && more.open_lo))) continue;
      *range = at_least(0, true);
      return true;
    }
  }
  return false;
}

/* ---- differences ---- */

/* x - stop(x) = 0; x - max x <= 0; u - log(sum e^u) <= 0; log(sum e^u) - u_t >= 0; x - floor x in [0, 1). */
static bool of_difference(const Graph *g, Node n, Range *range) {
  const Node a = node_in(g, n, 0), b = node_in(g, n, 1);
  Node what, u, sum, picked;
  int64_t axes[GRAPH_MAX_RANK], axis;
  uint32_t count;
  if (same_node(g, a, b)) {
    *range = range_point(0);
    return true;
  }
  if (repeats_extreme(g, b, a, P_RMAX) || repeats_extreme(g, a, b, P_RMIN)) {
    *range = range_neg(at_least(0, false));
    return true;
  }
  if (repeats_extreme(g, b, a, P_RMIN) || repeats_extreme(g, a, b, P_RMAX)) {
    *range = at_least(0, false);
    return true;
  }
  if (repeats(g, b, a, &what, axes, &count) && log_sum_exp(g, what, &u, &sum) && same_node(g, u, a)) {
    int64_t kept[GRAPH_MAX_RANK];
    for (uint32_t i = 0; i < count; i++) kept[i] = axes[i];
    if (reduces(g, sum, plain_node(g, node_in(g, sum, 0)), kept, count)) {
      *range = range_neg(at_least(0, false));
      return true;
    }
  }
  const Node pick = bare(g, b);
  if (log_sum_exp(g, a, &u, &sum) && is_pick(g, pick, &picked, &axis) && same_node(g, picked, u) && node_attr_count(g, sum) == 1 &&
      node_attr(g, sum)[0] == axis) {
    *range = at_least(0, false);
    return true;
  }
  if (node_prim(g, plain_node(g, b)) == P_FLOOR && same_node(g, node_in(g, plain_node(g, b), 0), a)) {
    *range = (Range){.lo = 0, .hi = 1, .open_hi = true};
    return true;
  }
  return false;
}

/* ---- sums over axes ---- */

/* Of shares: 1. Of e^(u - max u): at least 1, since the greatest is among them. */
static bool of_reduced_sum(const Ranges *r, const Graph *g, Node n, Range *range) {
  Node x = plain_node(g, node_in(g, n, 0)), sum, picked;
  int64_t axis;
  if (is_pick(g, n, &picked, &axis)) {
    *range = range_at(r, picked);
    return true;
  }
  if (is_share(g, x, &sum) && node_attr_count(g, sum) == node_attr_count(g, n)) {
    for (uint32_t i = 0; i < node_attr_count(g, n); i++)
      if (node_attr(g, sum)[i] != node_attr(g, n)[i]) return false;
    const Range one = range_at(r, node_in(g, x, 0));
    if (one.lo < 0) return false;
    *range = range_has(one, 0) ? range_of(0, 1) : range_point(1);
    return true;
  }
  if (node_prim(g, x) != P_EXP) return false;
  const Node v = plain_node(g, node_in(g, x, 0));
  if (node_prim(g, v) != P_SUB) return false;
  const Node u = node_in(g, v, 0);
  Node what;
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t count;
  if (!repeats(g, node_in(g, v, 1), u, &what, axes, &count)) return false;
  what = unguarded(g, what);
  if (node_prim(g, what) != P_RMAX || !reduces(g, what, u, axes, count) || !reduces(g, n, x, axes, count)) return false;
  if (range_has(range_at(r, u), -INFINITY)) return false;
  *range = at_least(1, false);
  return true;
}

/* u - log(sum e^u), the sum given back to its own elements. */
static bool is_log_softmax(const Graph *g, Node n, Node *u) {
  Node what, sum;
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t count;
  if (node_prim(g, n) != P_SUB || !repeats(g, node_in(g, n, 1), n, &what, axes, &count)) return false;
  if (!log_sum_exp(g, what, u, &sum) || !reduces(g, sum, plain_node(g, node_in(g, sum, 0)), axes, count)) return false;
  if (same_node(g, node_in(g, n, 0), *u)) return true;
  return node_prim(g, plain_node(g, *u)) == P_SUB && same_node(g, node_in(g, n, 0), node_in(g, plain_node(g, *u), 0));
}

bool is_log_of(const Graph *g, Node b, Node a) {
  Node u, v;
  a = unguarded(g, a), b = unguarded(g, b);
  if (node_prim(g, b) == P_LOG && node_is(unguarded(g, node_in(g, b, 0)), a)) return true;
  if (node_prim(g, a) == P_EXP && node_is(unguarded(g, node_in(g, a, 0)), b)) return true;
  if (!is_softmax(g, a, &u)) return false;
  if (is_log_softmax(g, b, &v) && same_node(g, u, v)) return true;
  if (node_prim(g, b) != P_SUB) return false; /* (u - m) - log(sum e^(u - m)) */
  const Node shifted = plain_node(g, node_in(g, plain_node(g, node_in(g, a, 0)), 0));
  Node what, sum;
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t count;
  return same_node(g, node_in(g, b, 0), shifted) && repeats(g, node_in(g, b, 1), b, &what, axes, &count) &&
         log_sum_exp(g, what, &v, &sum) && same_node(g, v, shifted);
}

/* a log a >= -1 / e. */
static bool of_product(const Graph *g, Node n, Range *range) {
  if (!is_log_of(g, node_in(g, n, 1), node_in(g, n, 0)) && !is_log_of(g, node_in(g, n, 0), node_in(g, n, 1))) return false;
  *range = at_least(-0.36787944117144233, false);
  return true;
}

bool relation_of(const Ranges *r, Node n, Range *range) {
  const Graph *g = ranges_graph(r);
  Node sum;
  if (node_type(g, n) == TYPE_I32 || node_type(g, n) == TYPE_BOOL) return false;
  switch (node_prim(g, n)) {
  case P_SUB: return of_difference(g, n, range);
  case P_ADD: return of_sum(r, g, n, range);
  case P_MUL: return of_product(g, n, range);
  case P_MAX: case P_MIN: return of_max(g, n, range);
  case P_SUM: return of_reduced_sum(r, g, n, range);
  case P_DIV: {
    const Range x = range_at(r, node_in(g, n, 0));
    if (!(x.lo >= 0) || !is_share(g, n, &sum)) return false;
    *range = (Range){.lo = 0, .hi = 1, .open_lo = !range_has(x, 0)};
    return true;
  }
  default: return false;
  }
}
