/* sums.c: what a sum's terms have in common. Laws, for a sum over some axes:
 *   sum(x * c) = c * sum x                 c does not vary along the axes
 *   sum(p ? x * c : 0) = c * sum(p ? x : 0)   and c is finite, so that a sum without terms stays 0
 *   sum(x - mean x) = 0                    the mean over the same axes
 *   sum(x + y) = sum x + sum y             where that takes no new sum: one is zero, or they are there already
 * [another order of the terms; of x - mean x, no rounding noise instead of some, and no NaN where x has one, which every
 * other use of x shows]. The backward pass of a normaliser comes down to two sums, sum g and sum g * x, taken together;
 * and what stands before it and cannot matter, such as a bias, has the gradient 0 and not noise. */
#include <math.h>

#include "pass.h"

enum { DEPTH = 6, MOST_FACTORS = 12 };

/* ---- what is known of a value ---- */

static bool is_positive(const Graph *g, Node n, int depth);

static bool is_not_negative(const Graph *g, Node n, int depth) {
  double value;
  if (node_constant(g, n, &value)) return value >= 0;
  if (depth == 0) return false;
  const uint32_t count = node_data(g, n)->count;
  const Node a = count ? node_in(g, n, 0) : NODE_NONE, b = count > 1 ? node_in(g, n, 1) : NODE_NONE;
  switch (node_prim(g, n)) {
  case P_EXTENT: case P_ABS: case P_SQRT: case P_EXP: case P_SIGMOID: case P_SOFTPLUS: return true;
  case P_MUL: return node_is(a, b) || (is_not_negative(g, a, depth - 1) && is_not_negative(g, b, depth - 1));
  case P_DIV: return is_not_negative(g, a, depth - 1) && is_positive(g, b, depth - 1);
  case P_ADD: return is_not_negative(g, a, depth - 1) && is_not_negative(g, b, depth - 1);
  case P_SUM: case P_CAST: case P_BROADCAST: case P_RESHAPE: case P_TRANSPOSE: return is_not_negative(g, a, depth - 1);
  default: return false;
  }
}

static bool is_positive(const Graph *g, Node n, int depth) {
  double value;
  if (node_constant(g, n, &value)) return value > 0;
  if (depth == 0) return false;
  const uint32_t count = node_data(g, n)->count;
  const Node a = count ? node_in(g, n, 0) : NODE_NONE, b = count > 1 ? node_in(g, n, 1) : NODE_NONE;
  switch (node_prim(g, n)) {
  case P_EXTENT: return true;
  case P_ADD:
    return (is_positive(g, a, depth - 1) && is_not_negative(g, b, depth - 1)) ||
           (is_not_negative(g, a, depth - 1) && is_positive(g, b, depth - 1));
  case P_MUL: case P_DIV: return is_positive(g, a, depth - 1) && is_positive(g, b, depth - 1);
  case P_CAST: case P_BROADCAST: case P_RESHAPE: case P_TRANSPOSE: return is_positive(g, a, depth - 1);
  default: return false;
  }
}

bool pass_is_positive(const Graph *g, Node n) { return is_positive(g, n, DEPTH + 2); }

/* Finite while what the program is given is, overflow aside. */
static bool is_finite(const Graph *g, Node n, int depth) {
  double value;
  if (node_constant(g, n, &value)) return isfinite(value);
  if (depth == 0) return false;
  const uint32_t count = node_data(g, n)->count;
  const Node a = count ? node_in(g, n, 0) : NODE_NONE, b = count > 1 ? node_in(g, n, 1) : NODE_NONE;
  switch (node_prim(g, n)) {
  case P_SLOT: case P_EXTENT: case P_NUMBER: case P_TANH: case P_SIGMOID: case P_ERF: case P_SIN: case P_COS: return true;
  case P_MUL: case P_ADD: case P_SUB: return is_finite(g, a, depth - 1) && is_finite(g, b, depth - 1);
  case P_DIV: return is_finite(g, a, depth - 1) && is_positive(g, b, depth - 1);
  case P_RSQRT: case P_LOG: return is_positive(g, a, depth - 1);
  case P_NEG: case P_CAST: case P_BROADCAST: case P_RESHAPE: case P_TRANSPOSE: case P_SUM:
    return is_finite(g, a, depth - 1);
  default: return false;
  }
}

/* ---- sums ---- */

typedef struct {
  Graph *g;
  const int64_t *axes;
  uint32_t count;
  Shape shape;   /* of the sum */
} Sum;

static bool is_zero(const Graph *g, Node n) {
  double value;
  return n.id && node_constant(g, n, &value) && value == 0;
}

static bool varies_along(const Sum *s, Node broadcast) {
  for (uint32_t i = 0; i < node_attr_count(s->g, broadcast); i++)
    for (uint32_t k = 0; k < s->count; k++)
      if (node_attr(s->g, broadcast)[i] == s->axes[k]) return true;
  return false;
}

/* broadcast c, which does not vary along the axes, as the sum sees it: one for each of the sum's elements. */
static Node without_axes(const Sum *s, Node broadcast) {
  int64_t axes[GRAPH_MAX_RANK];
  const uint32_t count = node_attr_count(s->g, broadcast);
  for (uint32_t i = 0; i < count; i++) {
    axes[i] = node_attr(s->g, broadcast)[i];
    for (uint32_t k = s->count; k-- > 0;) axes[i] -= s->axes[k] < node_attr(s->g, broadcast)[i];
  }
  return build_broadcast(s->g, node_in(s->g, broadcast, 0), s->shape, axes);
}

/* The product's factors, those of products among them too. */
static uint32_t factors_of(const Graph *g, Node n, Node *factors) {
  uint32_t count = 1;
  factors[0] = n;
  for (uint32_t i = 0; i < count;) {
    if (node_prim(g, factors[i]) != P_MUL || count == MOST_FACTORS) {
      i++;
      continue;
    }
    const Node product = factors[i];
    factors[i] = node_in(g, product, 0), factors[count++] = node_in(g, product, 1);
  }
  return count;
}

/* x = rest * common, the common part (of the sum's shape) not varying along the axes. False where there is none. */
static bool split_product(const Sum *s, Node x, bool must_be_finite, Node *rest, Node *common) {
  Node factors[MOST_FACTORS], left[MOST_FACTORS];
  const uint32_t count = factors_of(s->g, x, factors);
  uint32_t left_count = 0;
  *common = NODE_NONE;
  for (uint32_t i = 0; i < count; i++) {
    const bool out = node_prim(s->g, factors[i]) == P_BROADCAST && !varies_along(s, factors[i]) &&
                     (!must_be_finite || is_finite(s->g, factors[i], DEPTH + 2));
    if (!out) {
      uint32_t at = left_count++; /* by age, so that equal products are one */
      for (; at > 0 && left[at - 1].id > factors[i].id; at--) left[at] = left[at - 1];
      left[at] = factors[i];
      continue;
    }
    const Node c = without_axes(s, factors[i]);
    *common = common->id ? build_mul(s->g, *common, c) : c;
  }
  if (!common->id || !left_count) return false;
  *rest = left[0];
  for (uint32_t i = 1; i < left_count; i++) *rest = build_mul(s->g, *rest, left[i]);
  return true;
}

static Node sum_of(const Sum *s, Node x, int depth);

static Node plain_sum(const Sum *s, Node x) { return build_reduce(s->g, P_SUM, x, s->axes, s->count); }

/* How many terms a sum has, as the mean divides by it. */
static Node term_count(const Sum *s, Node x, Type type) {
  Node count = build_const(s->g, TYPE_F64, 1);
  const Dims dims = *node_dims(s->g, x);
  for (uint32_t i = 0; i < s->count; i++) count = build_mul(s->g, count, build_extent(s->g, dims.dims[s->axes[i]]));
  return build_cast(s->g, count, type);
}

/* Is `m`, of the sum's shape, the mean of y? */
static bool is_mean(const Sum *s, Node m, Node y, int depth) {
  const Node total = sum_of(s, y, depth), count = term_count(s, y, node_type(s->g, y));
  return node_is(m, build_div(s->g, total, count)) || node_is(m, build_div(s->g, plain_sum(s, y), count));
}

static bool has_no_new_sum(const Graph *g, uint32_t from) {
  for (uint32_t id = from; id < g->nodes.count; id++)
    if (node_prim(g, (Node){id}) == P_SUM) return false;
  return true;
}

/* sum(x + y) or sum(x - y), in two where that takes no new sum. */
static Node sum_of_two(const Sum *s, Node x, int depth) {
  const Node a = node_in(s->g, x, 0), b = node_in(s->g, x, 1);
  const bool minus = node_prim(s->g, x) == P_SUB;
  if (minus && node_prim(s->g, b) == P_BROADCAST && !varies_along(s, b) && is_mean(s, without_axes(s, b), a, depth))
    return build_full(s->g, node_type(s->g, x), 0, s->shape);
  const uint32_t before = s->g->nodes.count;
  const Node sum_a = sum_of(s, a, depth);
  const bool a_is_old = has_no_new_sum(s->g, before);
  const uint32_t between = s->g->nodes.count;
  const Node sum_b = sum_of(s, b, depth);
  const bool b_is_old = has_no_new_sum(s->g, between);
  if (is_zero(s->g, sum_b)) return sum_a;
  if (is_zero(s->g, sum_a)) return minus ? build_neg(s->g, sum_b) : sum_b;
  if (!a_is_old || !b_is_old) return plain_sum(s, x);
  return minus ? build_sub(s->g, sum_a, sum_b) : build_add(s->g, sum_a, sum_b);
}

static Node sum_of(const Sum *s, Node x, int depth) {
  Graph *g = s->g;
  const Prim prim = node_prim(g, x);
  Node rest, common;
  if (depth == 0) return plain_sum(s, x);
  if (prim == P_ADD || prim == P_SUB) return sum_of_two(s, x, depth - 1);
  if (prim == P_MUL && split_product(s, x, false, &rest, &common)) {
    const Node inner = sum_of(s, rest, depth - 1);
    return is_zero(g, inner) ? inner : build_mul(g, inner, common);
  }
  if (prim == P_SELECT && is_zero(g, node_in(g, x, 2)) && split_product(s, node_in(g, x, 1), true, &rest, &common)) {
    const Node inner = plain_sum(s, build_select(g, node_in(g, x, 0), rest, build_like(g, x, 0)));
    return build_mul(g, inner, common);
  }
  return plain_sum(s, x);
}

static Node replace(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  if (node_prim(from, node) != P_SUM || node_type(from, node) == TYPE_I32) return NODE_NONE;
  int64_t axes[GRAPH_MAX_RANK];
  const uint32_t count = node_attr_count(from, node);
  for (uint32_t i = 0; i < count; i++) axes[i] = node_attr(from, node)[i];
  const Sum sum = {to, axes, count, shape_of(to, node_dims(from, node))};
  return sum_of(&sum, map[node_in(from, node, 0).id], DEPTH);
}

Graph *pass_sums(const Graph *graph) { return graph_rewrite(graph, true, replace, NULL); }
