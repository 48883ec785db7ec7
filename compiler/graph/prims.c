/* prims.c: the table of primitives, expanded from prims.def: values in double, and derivatives from the equations. */
#include "mutate.h"
#include "node.h"

/* ---- values that take more than an operator ---- */

static double sign_value(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double sigmoid_value(double x) {
  if (x >= 0) return 1 / (1 + exp(-x));
  const double e = exp(x);
  return e / (1 + e);
}
/* log(1 + e^x), finite for every finite x. */
static double softplus_value(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }
/* NaN passes on from either side; of equals the second, as emitted. */
static double max_value(double a, double b) { return a != a ? a : a > b ? a : b; }
static double min_value(double a, double b) { return a != a ? a : a < b ? a : b; }

/* lgamma of the C library leaves the sign in a global. */
static double lgamma_value(double x) {
  int sign;
  return lgamma_r(x, &sign);
}
/* By the recurrence to where the asymptotic series holds; below 1/2 by reflection. */
static double digamma_value(double x) {
  if (x < 0.5) {
    const double part = x - nearbyint(x);
    if (x < 0 && part == 0) return NAN;
    return digamma_value(1 - x) - M_PI * cos(M_PI * part) / sin(M_PI * part);
  }
  double low = 0;
  for (; x < 16; x++) low += 1 / x;
  const double r = 1 / (x * x);
  const double series = r * (1 / 12. - r * (1 / 120. - r * (1 / 252. - r * (1 / 240. - r * (1 / 132. - r * (691 / 32760. - r / 12))))));
  return log(x) - 0.5 / x - series - low;
}

/* ---- parts of derivatives ---- */

/* d/da a^b = b a^(b-1), and 0 where b is 0 (a = 0 would make it 0 * inf). */
static Node pow_by_base(Graph *g, Node a, Node b) {
  double exponent;
  const Node zero = build_like(g, a, 0), one = build_like(g, a, 1);
  if (node_constant(g, b, &exponent)) {
    if (exponent == 0) return zero;
    return build_mul(g, b, build_binary(g, P_POW, a, build_sub(g, b, one)));
  }
  const Node flat = build_binary(g, P_EQ, b, zero);
  const Node less = build_sub(g, build_select(g, flat, one, b), one);
  return build_select(g, flat, zero, build_mul(g, b, build_binary(g, P_POW, a, less)));
}

/* d/db a^b = y log a, and 0 where a = 0 and b > 0: there a^b is 0 for all exponents near b. */
static Node pow_by_exponent(Graph *g, Node a, Node b, Node y) {
  const Node zero = build_like(g, a, 0), one = build_like(g, a, 1);
  const Node flat = build_binary(g, P_AND, build_binary(g, P_EQ, a, zero), build_binary(g, P_LT, zero, b));
  const Node safe = build_select(g, flat, one, a);
  return build_select(g, flat, zero, build_mul(g, y, build_unary(g, P_LOG, safe)));
}

/* part / (a^2 + b^2), and 0 at the origin. */
static Node atan2_part(Graph *g, Node part, Node a, Node b) {
  const Node zero = build_like(g, a, 0), one = build_like(g, a, 1);
  const Node square = build_add(g, build_mul(g, a, a), build_mul(g, b, b));
  const Node origin = build_binary(g, P_EQ, square, zero);
  return build_select(g, origin, zero, build_div(g, part, build_select(g, origin, one, square)));
}

/* By the greater of two: 1, at a tie half to each. */
static Node winner(Graph *g, Node a, Node b) {
  const Node tie = build_select(g, build_binary(g, P_EQ, a, b), build_like(g, a, 0.5), build_like(g, a, 0));
  return build_select(g, build_binary(g, P_LT, b, a), build_like(g, a, 1), tie);
}

/* ---- makers of elementwise nodes ---- */

static Node make_unary(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->count == 1);
  return build_unary(g, d->prim, d->in[0]);
}
static Node make_binary(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->count == 2);
  return build_binary(g, d->prim, d->in[0], d->in[1]);
}

/* ---- the equations as functions ---- */

#define ZERO NODE_NONE
#define NUM(number) build_like(G_, g, number)
#define NEG(p) build_neg(G_, p)
#define ADD(p, q) build_add(G_, p, q)
#define SUB(p, q) build_sub(G_, p, q)
#define MUL(p, q) build_mul(G_, p, q)
#define TIMES(p, q) build_times(G_, p, q)
#define OVER(p, q) build_over(G_, p, q)
#define UN(PRIM_, p) build_unary(G_, P_##PRIM_, p)

#ifdef GRADC_MUTATE
/* Each operator of an equation is a site: without its second operand, without its first, or another operator. */
static Node site_unary(const char *where, unsigned n, Node x, Node y) { return mutation_site(n, where) ? x : y; }
static Node site_binary(const char *where, unsigned n, Node p, Node q, Node y) {
  return mutation_site(n, where) ? p : mutation_site(n + 1, where) ? q : y;
}
#define SITE1(p, y) ({ const Node p_ = p; site_unary(__func__, __COUNTER__, p_, y); })
#define SITE2(p, q, build) \
  ({ const Node p_ = p, q_ = q; site_binary(__func__, __COUNTER__ + 0 * __COUNTER__, p_, q_, build(G_, p_, q_)); })
#undef NUM
#undef NEG
#undef ADD
#undef SUB
#undef MUL
#undef TIMES
#undef OVER
#undef UN
#define NUM(number) build_like(G_, g, mutation_site(__COUNTER__, __func__) ? 2 * (number) + 1 : (number))
#define NEG(p) SITE1(p, build_neg(G_, p_))
#define ADD(p, q) SITE2(p, q, build_add)
#define SUB(p, q) SITE2(p, q, build_sub)
#define MUL(p, q) SITE2(p, q, build_mul)
#define TIMES(p, q) SITE2(p, q, build_times)
#define OVER(p, q) SITE2(p, q, build_over)
#define UN(PRIM_, p) SITE1(p, build_unary(G_, P_##PRIM_, p_))
#endif

#define VALUE1(word, formula) \
  static double value_##word(double x, double unused_b, double unused_c) { return formula; }
#define VALUE2(word, formula) \
  static double value_##word(double a, double b, double unused_c) { return formula; }

#define PRIM(NAME, word, ...)                              \
  Node make_##word(Graph *, const Draft *);                \
  Node derive_##word(Graph *, Node node, Node g, uint32_t i);
#define E1(NAME, word, kind, formula, derivative, ...)                       \
  VALUE1(word, formula)                                                      \
  static Node derive_##word(Graph *G_, Node y, Node g, uint32_t i) {         \
    const Node x = node_in(G_, y, 0);                                        \
    return (void)x, derivative;                                              \
  }
#define E2(NAME, word, kind, formula, by_a, by_b, ...)                       \
  VALUE2(word, formula)                                                      \
  static Node derive_##word(Graph *G_, Node y, Node g, uint32_t i) {         \
    const Node a = node_in(G_, y, 0), b = node_in(G_, y, 1);                 \
    (void)a, (void)b;                                                        \
    return i == 0 ? by_a : by_b;                                             \
  }
#define C1(NAME, word, kind, formula, ...) VALUE1(word, formula)
#define C2(NAME, word, kind, formula, ...) VALUE2(word, formula)
#include "prims.def"
#undef PRIM
#undef E1
#undef E2
#undef C1
#undef C2

static Node derive_none(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
static double value_select(double a, double b, double c) { return a != 0 ? b : c; }
static double value_cast(double a, double unused_b, double unused_c) { return a; }

static const PrimInfo table[P_COUNT] = {
#define PRIM(NAME, word_, arity_, kind_) \
  [P_##NAME] = {.word = #word_, .arity = arity_, .kind = kind_, .derive = derive_##word_, .make = make_##word_},
#define E1(NAME, word_, kind_, formula, derivative, emitter, low_, high_)                                       \
  [P_##NAME] = {#word_, 1, (kind_) | K_ELEMENTWISE, low_, high_, derive_##word_, value_##word_, make_unary},
#define E2(NAME, word_, kind_, formula, by_a, by_b, emitter, low_, high_)                                       \
  [P_##NAME] = {#word_, 2, (kind_) | K_ELEMENTWISE, low_, high_, derive_##word_, value_##word_, make_binary},
#define C1(NAME, word_, kind_, formula, emitter, low_, high_)                                                   \
  [P_##NAME] = {#word_, 1, (kind_) | K_ELEMENTWISE, low_, high_, derive_none, value_##word_, make_unary},
#define C2(NAME, word_, kind_, formula, emitter, low_, high_)                                                   \
  [P_##NAME] = {#word_, 2, (kind_) | K_ELEMENTWISE, low_, high_, derive_none, value_##word_, make_binary},
#include "prims.def"
#undef PRIM
#undef E1
#undef E2
#undef C1
#undef C2
};

/* The two elementwise primitives that are written out have their values here, beside the others. */
static const PrimInfo select_info = {.word = "select", .arity = 3, .kind = K_ELEMENTWISE, .low = -2, .high = 2,
                                     .derive = derive_select, .value = value_select, .make = make_select};
static const PrimInfo cast_info = {.word = "cast", .arity = 1, .kind = K_ELEMENTWISE, .low = -2, .high = 2,
                                   .derive = derive_cast, .value = value_cast, .make = make_cast};

const PrimInfo *prim_info(Prim prim) {
  return prim == P_SELECT ? &select_info : prim == P_CAST ? &cast_info : &table[prim];
}

Prim prim_find(const char *word) {
  for (int p = 0; p < P_COUNT; p++)
    if (!strcmp(table[p].word, word)) return (Prim)p;
  return P_COUNT;
}
