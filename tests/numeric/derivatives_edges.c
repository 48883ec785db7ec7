/* Kinks, ties, zeros and infinities: each has one defined derivative, first and second; and the branch not taken of a
 * select never makes a NaN. Special points of smooth functions against closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "differences.h"

#define N(value) build_const(g, TYPE_F64, (value))
#define B(PRIM_, a, b) build_binary(g, P_##PRIM_, (a), (b))
#define U(PRIM_, a) build_unary(g, P_##PRIM_, (a))

typedef Node Build(Graph *g, Node x); /* x: F64 [n]; the sum of the result's elements is differentiated */

static void expect(const char *name, const double *got, const double *want, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const bool same =
        isnan(want[i]) ? isnan(got[i]) : got[i] == want[i] || fabs(got[i] - want[i]) <= 1e-14 * fabs(want[i]);
    if (!same) fail_msg("%s, element %d: %.17g, not %.17g", name, (int)i, got[i], want[i]);
  }
}

/* The values of sum(build(x)), its gradient and, as the gradient of the gradient's sum, its second derivative. NULL:
 * not looked at. */
static void check(const char *name, Build *build, int64_t n, const double *x, const double *first,
                  const double *second) {
  Session session = {0};
  RandomGraph r = rg_new(&session, 1, TYPE_F64);
  const Dims dims = {1, {n}};
  const Node slot = rg_slot(&r, SLOT_PARAM, TYPE_F64, &dims, 0, 1);
  memcpy(r.values[0], x, sizeof *x * (size_t)n);
  const double zeros[16] = {0};
  Node g1, g2;
  grad_reverse(r.g, build(r.g, slot), NODE_NONE, &slot, 1, &g1);
  double *v = g1.id ? rg_values(&r, g1, &(int64_t){0}) : NULL;
  if (first) expect(name, v ? v : zeros, first, n);
  free(v), v = NULL;
  if (second) {
    if (g1.id) {
      grad_reverse(r.g, g1, NODE_NONE, &slot, 1, &g2);
      v = g2.id ? rg_values(&r, g2, &(int64_t){0}) : NULL;
    }
    expect(name, v ? v : zeros, second, n);
    free(v);
  }
  random_graph_free(&r), session_free(&session);
}
#define VALUES(...) (const double[]){__VA_ARGS__}

/* ---- kinks and ties ---- */

static Node b_abs(Graph *g, Node x) { return U(ABS, x); }
static Node b_sign(Graph *g, Node x) { return U(SIGN, x); }
static Node b_relu(Graph *g, Node x) { return build_select(g, B(LT, N(0), x), x, N(0)); }
static Node b_max_self(Graph *g, Node x) { return B(MAX, x, U(NEG, x)); }
static Node b_min_zero(Graph *g, Node x) { return B(MIN, x, N(0)); }
static Node b_max_zero(Graph *g, Node x) { return B(MAX, x, N(0)); }
static Node b_rmax(Graph *g, Node x) { return build_reduce(g, P_RMAX, x, &(int64_t){0}, 1); }
static Node b_rmin(Graph *g, Node x) { return build_reduce(g, P_RMIN, x, &(int64_t){0}, 1); }

static void test_kinks(void **state) {
  check("abs", b_abs, 3, VALUES(-2, 0, 3), VALUES(-1, 0, 1), VALUES(0, 0, 0));
  check("sign", b_sign, 3, VALUES(-2, 0, 3), VALUES(0, 0, 0), VALUES(0, 0, 0));
  check("relu", b_relu, 3, VALUES(-1, 0, 2), VALUES(0, 0, 1), VALUES(0, 0, 0));
  check("max(x, -x)", b_max_self, 3, VALUES(-1, 0, 2), VALUES(-1, 0, 1), VALUES(0, 0, 0));
  check("min(x, 0)", b_min_zero, 3, VALUES(-1, 0, 2), VALUES(1, 0.5, 0), VALUES(0, 0, 0));
  check("max(x, 0)", b_max_zero, 3, VALUES(-1, 0, 2), VALUES(0, 0.5, 1), VALUES(0, 0, 0));
  check("reduce_max, two equal", b_rmax, 4, VALUES(1, 3, 3, 2), VALUES(0, 0.5, 0.5, 0), NULL);
  check("reduce_max, all equal", b_rmax, 4, VALUES(1, 1, 1, 1), VALUES(0.25, 0.25, 0.25, 0.25), NULL);
  check("reduce_min", b_rmin, 4, VALUES(1, 3, 1, 2), VALUES(0.5, 0, 0.5, 0), NULL);
  check("reduce_max of infinities", b_rmax, 2, VALUES(-INFINITY, -INFINITY), VALUES(0.5, 0.5), NULL);
}

/* ---- zeros ---- */

static Node b_prod(Graph *g, Node x) { return build_reduce(g, P_PROD, x, &(int64_t){0}, 1); }
static Node b_pow0(Graph *g, Node x) { return B(POW, x, N(0)); }
static Node b_pow1(Graph *g, Node x) { return B(POW, x, N(1)); }
static Node b_pow2(Graph *g, Node x) { return B(POW, x, N(2)); }
static Node b_pow3(Graph *g, Node x) { return B(POW, x, N(3)); }
static Node b_pow25(Graph *g, Node x) { return B(POW, x, N(2.5)); }
static Node b_pow5(Graph *g, Node x) { return B(POW, x, N(5)); }
static Node b_zero_to(Graph *g, Node x) { return B(POW, N(0), x); }
static Node b_base_of_zero(Graph *g, Node x) { /* x^b with b a computed zero */
  return B(POW, x, build_mul(g, N(0), U(EXP, build_stop(g, x))));
}
static Node b_atan2_y(Graph *g, Node x) { return B(ATAN2, x, build_mul(g, N(0), build_stop(g, x))); }
static Node b_atan2_both(Graph *g, Node x) { return B(ATAN2, x, x); }

static void test_zeros(void **state) {
  check("prod, no zero", b_prod, 3, VALUES(2, 3, 4), VALUES(12, 8, 6), NULL);
  check("prod, one zero", b_prod, 3, VALUES(2, 0, 4), VALUES(0, 8, 0), VALUES(4, 6, 2));
  check("prod, two zeros", b_prod, 3, VALUES(0, 0, 4), VALUES(0, 0, 0), VALUES(4, 4, 0));
  check("x^0", b_pow0, 3, VALUES(-2, 0, 3), VALUES(0, 0, 0), VALUES(0, 0, 0));
  check("x^1", b_pow1, 3, VALUES(-2, 0, 3), VALUES(1, 1, 1), VALUES(0, 0, 0));
  check("x^2", b_pow2, 3, VALUES(-2, 0, 3), VALUES(-4, 0, 6), VALUES(2, 2, 2));
  check("x^3", b_pow3, 3, VALUES(-2, 0, 3), VALUES(12, 0, 27), VALUES(-12, 0, 18));
  check("x^2.5", b_pow25, 2, VALUES(0, 4), VALUES(0, 20), VALUES(0, 7.5));
  check("x^5", b_pow5, 3, VALUES(-2, 0, 1), VALUES(80, 0, 5), VALUES(-160, 0, 20));
  check("0^x by x", b_zero_to, 2, VALUES(0.5, 2), VALUES(0, 0), NULL);
  check("x^0, computed", b_base_of_zero, 3, VALUES(-2, 0, 3), VALUES(0, 0, 0), NULL);
  check("atan2(x, 0)", b_atan2_y, 2, VALUES(0, 1), VALUES(0, 0), VALUES(0, 0));
  check("atan2(x, x)", b_atan2_both, 2, VALUES(0, 1), VALUES(0, 0), VALUES(0, 0));
}

/* ---- the branch not taken ---- */

static Node b_log(Graph *g, Node x) { return build_select(g, B(LT, N(0), x), U(LOG, x), N(0)); }
static Node b_sqrt(Graph *g, Node x) { return build_select(g, B(LT, N(0), x), U(SQRT, x), x); }
static Node b_xlogx(Graph *g, Node x) { return build_select(g, B(LT, N(0), x), build_mul(g, x, U(LOG, x)), N(0)); }
static Node b_inverse(Graph *g, Node x) { return build_select(g, B(EQ, x, N(0)), N(0), build_div(g, N(1), x)); }
static Node b_norm(Graph *g, Node x) { /* |x| of the vector, 0 at 0 */
  const Node square = build_reduce(g, P_SUM, build_mul(g, x, x), &(int64_t){0}, 1);
  return build_select(g, B(LT, N(0), square), U(SQRT, square), N(0));
}
static Node b_exp(Graph *g, Node x) { return build_select(g, B(LT, x, N(100)), U(EXP, x), N(0)); }
static Node b_through(Graph *g, Node x) { /* through movements and sums, then a select */
  const Dims dims = {2, {2, 3}};
  const Node rows = build_broadcast(g, x, shape_of(g, &dims), &(int64_t){1}), safe = U(SQRT, rows);
  const Node ok = build_broadcast(g, B(LT, N(0), x), shape_of(g, &dims), &(int64_t){1});
  return build_transpose(g, build_select(g, ok, safe, build_full(g, TYPE_F64, 0, shape_of(g, &dims))),
                         (const int64_t[]){1, 0});
}

/* What the branch computes goes through products and sums before it is chosen, or not, as a whole: `ok` is one truth for all. */
static Node whole_if(Graph *g, Node x, Node ok, Node taken) {
  const Dims dims = *node_dims(g, taken);
  const Node truth = build_broadcast(g, ok, shape_of(g, &dims), NULL);
  return build_select(g, truth, taken, build_full(g, TYPE_F64, 1, shape_of(g, &dims)));
}
static Node all_positive(Graph *g, Node x) { return B(LT, N(0), build_reduce(g, P_RMIN, x, &(int64_t){0}, 1)); }
static Node b_product(Graph *g, Node x) {
  const Dims dims = {2, {3, 2}};
  const Node w = build_full(g, TYPE_F64, 0.5, shape_of(g, &dims));
  return whole_if(g, x, all_positive(g, x), build_contract(g, U(LOG, x), w, 0, NULL, NULL, 1, &(int64_t){0}, &(int64_t){0}));
}
static Node b_both(Graph *g, Node x) { /* dot(log x, x): each is the other's factor */
  return whole_if(g, x, all_positive(g, x), build_contract(g, U(LOG, x), x, 0, NULL, NULL, 1, &(int64_t){0}, &(int64_t){0}));
}
static Node b_softmax(Graph *g, Node x) { /* the first part of softmax(log x) */
  const Node e = U(EXP, U(LOG, x)), sum = build_reduce(g, P_SUM, e, &(int64_t){0}, 1);
  const Dims dims = *node_dims(g, x), none = {0};
  const Node part = build_slice(g, build_div(g, e, build_broadcast(g, sum, shape_of(g, &dims), NULL)), (const int64_t[]){0, 1, 1});
  return whole_if(g, x, all_positive(g, x), build_reshape(g, part, shape_of(g, &none)));
}
static Node b_rows(Graph *g, Node x) { /* rows of which each is chosen by itself: sqrt is of what they share */
  const Dims dims = {2, {2, 3}};
  const Node rows = build_broadcast(g, U(SQRT, x), shape_of(g, &dims), &(int64_t){1});
  const Node ok = build_broadcast(g, B(LT, N(0), x), shape_of(g, &dims), &(int64_t){1});
  const Node chosen = build_select(g, ok, rows, build_full(g, TYPE_F64, 0, shape_of(g, &dims)));
  return build_mul(g, chosen, build_cast(g, build_broadcast(g, build_iota(g, 2), shape_of(g, &dims), &(int64_t){0}), TYPE_F64));
}

static Node b_windows(Graph *g, Node x) { /* pairs of neighbours */
  return whole_if(g, x, all_positive(g, x), build_window(g, U(LOG, x), 0, 2, 2, 1, 1));
}
static Node b_gathered(Graph *g, Node x) { return whole_if(g, x, all_positive(g, x), build_gather(g, U(SQRT, x), build_iota(g, 2), 0)); }

static void test_not_taken_whole(void **state) {
  check("product", b_product, 3, VALUES(1, 2, 4), VALUES(1, 0.5, 0.25), VALUES(-1, -0.25, -0.0625));
  check("product, not taken", b_product, 3, VALUES(-1, 0, 4), VALUES(0, 0, 0), VALUES(0, 0, 0));
  check("dot", b_both, 3, VALUES(1, 1, 1), VALUES(1, 1, 1), VALUES(1, 1, 1));
  check("dot, not taken", b_both, 3, VALUES(-1, 0, 4), VALUES(0, 0, 0), VALUES(0, 0, 0));
  check("softmax", b_softmax, 2, VALUES(1, 3), VALUES(0.1875, -0.0625), NULL);
  check("softmax, not taken", b_softmax, 2, VALUES(0, 0), VALUES(0, 0), VALUES(0, 0));
  check("windows", b_windows, 3, VALUES(1, 2, 4), VALUES(1, 1, 0.25), VALUES(-1, -0.5, -0.0625));
  check("windows, not taken", b_windows, 3, VALUES(-1, 0, 4), VALUES(0, 0, 0), VALUES(0, 0, 0));
  check("gathered, not taken", b_gathered, 3, VALUES(-1, 0, 4), VALUES(0, 0, 0), VALUES(0, 0, 0));
  check("rows", b_rows, 3, VALUES(-1, 0, 4), VALUES(0, 0, 0.25), VALUES(0, 0, -0.03125));
}

static void test_not_taken(void **state) {
  check("log", b_log, 3, VALUES(-1, 0, 4), VALUES(0, 0, 0.25), VALUES(0, 0, -0.0625));
  check("sqrt", b_sqrt, 3, VALUES(-1, 0, 4), VALUES(1, 1, 0.25), VALUES(0, 0, -0.03125));
  check("x log x", b_xlogx, 3, VALUES(-1, 0, 1), VALUES(0, 0, 1), VALUES(0, 0, 1));
  check("1 / x", b_inverse, 3, VALUES(-1, 0, 2), VALUES(-1, 0, -0.25), VALUES(-2, 0, 0.25));
  check("norm", b_norm, 2, VALUES(0, 0), VALUES(0, 0), VALUES(0, 0));
  check("norm", b_norm, 2, VALUES(3, 4), VALUES(0.6, 0.8), NULL);
  check("exp", b_exp, 2, VALUES(0, 1e4), VALUES(1, 0), VALUES(1, 0));
  check("through movements", b_through, 3, VALUES(-1, 0, 4), VALUES(0, 0, 0.5), VALUES(0, 0, -0.0625));
}

/* ---- special points of smooth functions ---- */

typedef struct {
  Prim prim;
  double x, first, second;
} Special;

static void test_special(void **state) {
  const double pi = 3.14159265358979323846, c = 2 / sqrt(pi), h = sqrt(0.5);
  const double euler = 0.57721566490153286061, apery = 1.2020569031595942854; /* zeta(3) */
  const Special points[] = {
      {P_SINH, 0, 1, 0},        {P_COSH, 0, 0, 1},       {P_TAN, 0, 1, 0},          {P_ASIN, 0, 1, 0},
      {P_ACOS, 0, -1, 0},       {P_ERF, 0, c, 0},        {P_ERFC, 0, -c, 0},        {P_SIN, 0, 1, 0},
      {P_COS, 0, 0, -1},        {P_SIN, pi, -1, 0},      {P_COS, pi, 0, 1},         {P_SIN, pi / 2, 0, -1},
      {P_COS, pi / 2, -1, 0},   {P_SIN, pi / 4, h, -h},  {P_COS, pi / 4, -h, -h},   {P_TANH, 1000, 0, 0},
      {P_TANH, 0, 1, 0},        {P_ATAN, 0, 1, 0},       {P_ATAN, 1000, 1 / 1000001.0, -2000 / (1000001.0 * 1000001.0)},
      {P_ERF, 10, 0, 0},        {P_SIGMOID, 1000, 0, 0}, {P_SIGMOID, -1000, 0, 0},  {P_SIGMOID, 0, 0.25, 0},
      {P_EXP, 0, 1, 1},         {P_EXP, -1000, 0, 0},    {P_EXPM1, 0, 1, 1},        {P_LOG1P, 0, 1, -1},
      {P_LOG, 1, 1, -1},        {P_SQRT, 1, 0.5, -0.25}, {P_RSQRT, 1, -0.5, 0.75},  {P_CBRT, 1, 1 / 3.0, -2 / 9.0},
      {P_LGAMMA, 1, -euler, pi * pi / 6},                   {P_DIGAMMA, 1, pi * pi / 6, -2 * apery},
      {P_DIGAMMA, -0.5, pi * pi / 2 + 4, 16 - 14 * apery},  {P_LGAMMA, 0.5, -euler - 2 * log(2), pi * pi / 2},
      {P_TAN, pi / 4, 2, 4},    {P_SQRT, 0, INFINITY, -INFINITY},                   {P_LOG, 0, INFINITY, -INFINITY},
  };
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    const Special *p = &points[i];
    Session session = {0};
    RandomGraph r = rg_new(&session, 1, TYPE_F64);
    const Dims dims = {0};
    const Node x = rg_slot(&r, SLOT_PARAM, TYPE_F64, &dims, 0, 1);
    r.values[0][0] = p->x;
    Node d[2] = {build_unary(r.g, p->prim, x)};
    for (int order = 0; order < 2; order++) {
      grad_reverse(r.g, d[0], NODE_NONE, &x, 1, &d[1]);
      double *v = d[1].id ? rg_values(&r, d[1], &(int64_t){0}) : mem_zero(1, sizeof *v);
      const double want = order ? p->second : p->first;
      if (!(v[0] == want || fabs(v[0] - want) <= 4e-15))
        fail_msg("%s at %g, order %d: %.17g, not %.17g", prim_info(p->prim)->word, p->x, order + 1, v[0], want);
      free(v);
      if (!d[1].id) break;
      d[0] = d[1];
    }
    random_graph_free(&r), session_free(&session);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kinks),
      cmocka_unit_test(test_zeros),
      cmocka_unit_test(test_not_taken),
      cmocka_unit_test(test_not_taken_whole),
      cmocka_unit_test(test_special),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
