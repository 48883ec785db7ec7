/* rules_stable.c: exponentials that are summed are shifted by their greatest argument first. */
#include "node.h"

/* Is u already v - max v? Looks for a maximum in what is subtracted, behind stops, guards and index maps. */
static bool is_shifted(const Graph *g, Node u) {
  if (node_prim(g, u) != P_SUB) return false;
  Node m = node_in(g, u, 1);
  for (int steps = 0; steps < 8; steps++) {
    switch (node_prim(g, m)) {
    case P_RMAX: return true;
    case P_STOP: case P_MARK: case P_BROADCAST: case P_RESHAPE: m = node_in(g, m, 0); break;
    case P_SELECT: m = node_in(g, m, node_has(g, node_in(g, m, 1), K_LEAF | K_MOVEMENT) ? 2 : 1); break;
    default: return false;
    }
  }
  return false;
}

/* max u over the axes of a sum, without derivative (the whole does not depend on it); 0 where it is infinite, so that
 * inf - inf does not arise. */
static Node shift_of(Graph *g, Node u, const int64_t *axes, uint32_t count) {
  const Node m = build_stop(g, build_reduce(g, P_RMAX, u, axes, count));
  return build_select(g, build_unary(g, P_ISFINITE, m), m, build_like(g, m, 0));
}

Node rule_log_sum_exp(Graph *g, const Draft *d) {
  const Node sum = d->in[0], u = node_in(g, node_in(g, sum, 0), 0);
  if (is_shifted(g, u)) return NODE_NONE;
  int64_t axes[DRAFT_ATTRS] = {0}, kept[GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(g, sum, axes);
  axes_others(node_rank(g, u), axes, count, kept);
  const Node m = shift_of(g, u, axes, count);
  const Node shifted = build_sub(g, u, build_broadcast(g, m, node_shape(g, u), kept));
  const Node total = build_reduce(g, P_SUM, build_unary(g, P_EXP, shifted), axes, count);
  return build_add(g, build_unary(g, P_LOG, total), m);
}

/* e^u / broadcast(sum e^u), where the broadcast gives each sum back to its own elements. */
Node rule_softmax(Graph *g, const Draft *d) {
  const Node e = d->in[0], sum = node_in(g, d->in[1], 0), u = node_in(g, e, 0);
  if (node_prim(g, sum) != P_SUM || !node_is(node_in(g, sum, 0), e) || is_shifted(g, u)) return NODE_NONE;
  int64_t axes[DRAFT_ATTRS] = {0}, kept[GRAPH_MAX_RANK], back[DRAFT_ATTRS] = {0};
  const uint32_t count = attr_copy(g, sum, axes), back_count = attr_copy(g, d->in[1], back);
  if (axes_others(node_rank(g, u), axes, count, kept) != back_count) return NODE_NONE;
  for (uint32_t i = 0; i < back_count; i++)
    if (back[i] != kept[i]) return NODE_NONE;
  const Node m = build_broadcast(g, shift_of(g, u, axes, count), node_shape(g, u), kept);
  const Node shifted = build_unary(g, P_EXP, build_sub(g, u, m));
  const Node total = build_reduce(g, P_SUM, shifted, axes, count);
  return build_div(g, shifted, build_broadcast(g, total, node_shape(g, u), kept));
}

/* ---- logarithms of a part ---- */

/* Has the map's input a stable logarithm? `log` of it costs no more than of the part: no log is left. */
static bool is_stable_log(const Graph *g, Node n) {
  const Prim p = node_prim(g, n);
  return p == P_EXP || p == P_SIGMOID || (p == P_DIV && node_prim(g, node_in(g, n, 0)) == P_EXP);
}

Node rule_log_slice(Graph *g, const Draft *d) {
  const Node slice = d->in[0], x = node_in(g, slice, 0);
  if (!is_stable_log(g, x)) return NODE_NONE;
  int64_t attr[DRAFT_ATTRS] = {0};
  attr_copy(g, slice, attr);
  return build_slice(g, build_unary(g, P_LOG, x), attr);
}

/* Is n an exponential, or slices and reshapes of one? */
static bool is_moved_exp(const Graph *g, Node n) {
  while (node_prim(g, n) == P_SLICE || node_prim(g, n) == P_RESHAPE) n = node_in(g, n, 0);
  return node_prim(g, n) == P_EXP;
}

Node rule_log_moved_quotient(Graph *g, const Draft *d) {
  const Node e = node_in(g, d->in[0], 0), s = node_in(g, d->in[0], 1);
  if (!is_moved_exp(g, e)) return NODE_NONE;
  return build_sub(g, build_unary(g, P_LOG, e), build_unary(g, P_LOG, s));
}

/* Is n the numbers 0, 1, .. along the axis? */
static bool counts_along(const Graph *g, Node n, int64_t axis) {
  if (node_prim(g, n) == P_IOTA) return axis == 0;
  return node_prim(g, n) == P_BROADCAST && node_prim(g, node_in(g, n, 0)) == P_IOTA && node_attr(g, n)[0] == axis;
}
static bool constant_along(const Graph *g, Node n, int64_t axis) {
  if (node_prim(g, n) != P_BROADCAST) return false;
  for (uint32_t i = 0; i < node_attr_count(g, n); i++)
    if (node_attr(g, n)[i] == axis) return false;
  return true;
}

/* x[t] is sum over i of (i == t ? x_i : 0): at most one i counts. Where none does, log 0 stays what it is. */
Node rule_log_picked(Graph *g, const Draft *d) {
  const Node sum = d->in[0], select = node_in(g, sum, 0);
  double zero;
  if (node_prim(g, select) != P_SELECT || node_attr_count(g, sum) != 1) return NODE_NONE;
  const Node hit = node_in(g, select, 0), x = node_in(g, select, 1), none = node_in(g, select, 2);
  if (node_prim(g, hit) != P_EQ || !is_stable_log(g, x) || !node_constant(g, none, &zero) || zero != 0) return NODE_NONE;
  const int64_t axis = node_attr(g, sum)[0];
  const Node a = node_in(g, hit, 0), b = node_in(g, hit, 1);
  if (!(counts_along(g, a, axis) && constant_along(g, b, axis)) && !(counts_along(g, b, axis) && constant_along(g, a, axis)))
    return NODE_NONE;
  const Node picked = build_reduce(g, P_SUM, build_select(g, hit, build_unary(g, P_LOG, x), none), &axis, 1);
  const Node found = build_reduce(g, P_SUM, build_cast(g, hit, d->type), &axis, 1);
  const Node any = build_binary(g, P_LT, build_like(g, found, 0), found);
  return build_select(g, any, picked, build_like(g, picked, -INFINITY));
}

/* ---- variance ---- */

/* Is square y * y, perhaps behind the reshapes and transposes that y itself is behind? */
static bool is_square(const Graph *g, Node square, Node y) {
  for (;;) {
    const Prim p = node_prim(g, square);
    if (p == P_MUL) return node_is(node_in(g, square, 0), y) && node_is(node_in(g, square, 1), y);
    if ((p != P_RESHAPE && p != P_TRANSPOSE) || node_prim(g, y) != p) return false;
    if (node_shape(g, square).id != node_shape(g, y).id) return false;
    for (uint32_t i = 0; i < node_attr_count(g, y); i++)
      if (node_attr(g, square)[i] != node_attr(g, y)[i]) return false;
    square = node_in(g, square, 0), y = node_in(g, y, 0);
  }
}

/* Does dividing by n (multiplying, where `times`) take the mean over the sum's axes? */
static bool is_count(const Graph *g, Node n, Node sum, bool times) {
  const Dims *dims = node_dims(g, node_in(g, sum, 0));
  int64_t fixed = 1, batch = 0;
  double value;
  for (uint32_t i = 0; i < node_attr_count(g, sum); i++) {
    const int64_t extent = dims->dims[node_attr(g, sum)[i]];
    if (!dim_is_batch(extent)) fixed *= extent;
    else if (batch) return false;
    else batch = extent;
  }
  if (node_constant(g, n, &value))
    return !batch && fixed > 0 && value == type_round(node_type(g, sum), times ? 1 / (double)fixed : (double)fixed);
  while (node_prim(g, n) == P_CAST || node_prim(g, n) == P_BROADCAST) n = node_in(g, n, 0);
  return !times && fixed == 1 && node_prim(g, n) == P_EXTENT && batch == DIM_BATCH - node_attr(g, n)[0];
}

Node rule_variance(Graph *g, const Draft *d) {
  const Node squares = d->in[0], product = d->in[1], mean = node_in(g, product, 0);
  const Prim p = node_prim(g, squares);
  if (!node_is(mean, node_in(g, product, 1)) || node_prim(g, mean) != p || (p != P_DIV && p != P_MUL)) return NODE_NONE;
  const Node all = node_in(g, squares, 0), total = node_in(g, mean, 0), n = node_in(g, mean, 1);
  if (node_prim(g, all) != P_SUM || node_prim(g, total) != P_SUM || !node_is(n, node_in(g, squares, 1))) return NODE_NONE;
  const Node x = node_in(g, total, 0);
  int64_t axes[DRAFT_ATTRS] = {0}, kept[GRAPH_MAX_RANK], other[DRAFT_ATTRS] = {0};
  const uint32_t count = attr_copy(g, total, axes);
  if (attr_copy(g, all, other) != count || memcmp(axes, other, count * sizeof *axes)) return NODE_NONE;
  if (node_rank(g, node_in(g, all, 0)) != node_rank(g, x) || !is_square(g, node_in(g, all, 0), x)) return NODE_NONE;
  if (!is_count(g, n, total, p == P_MUL)) return NODE_NONE;
  axes_others(node_rank(g, x), axes, count, kept);
  const Node rest = build_sub(g, x, build_broadcast(g, mean, node_shape(g, x), kept));
  return build_binary(g, p, build_reduce(g, P_SUM, build_mul(g, rest, rest), axes, count), n);
}
