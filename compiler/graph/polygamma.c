/* polygamma.c: derivatives of digamma, made of arithmetic, so that their own derivatives come from its rules: the
 * derivative of each term below is the term of the next order. */
#include "build.h"

#include <math.h>

static Node number(Graph *g, Node like, double value) { return build_like(g, like, value); }
static Node times(Graph *g, Node x, double k) { return build_mul(g, x, number(g, x, k)); }

static Node power(Graph *g, Node x, int n) {
  if (n == 1) return x;
  const Node half = power(g, x, n / 2), square = build_mul(g, half, half);
  return n % 2 ? build_mul(g, square, x) : square;
}

static double factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }

/* n! zeta(n + 1, x) for x >= 1/2, by Euler and Maclaurin: 12 + n terms, the integral of the rest, and with w = x + 12 + n
 * half a term and the sum over j of B(2j) / (2j)! (n + 2j - 1)! w^-(n + 2j). */
static Node tail_sum(Graph *g, int n, Node x) {
  static const double bernoulli[] = {1. / 6,   -1. / 30,      1. / 42, -1. / 30,         5. / 66,
                                     -691. / 2730, 7. / 6, -3617. / 510, 43867. / 798, -174611. / 330};
  enum { TERMS = sizeof bernoulli / sizeof *bernoulli };
  const int shift = 12 + n;
  const Node one = number(g, x, 1), r = build_div(g, one, build_add(g, x, number(g, x, shift))), square = build_mul(g, r, r);
  Node series = number(g, x, 0);
  for (int j = TERMS; j >= 1; j--)
    series = build_add(g, build_mul(g, series, square), number(g, x, bernoulli[j - 1] / factorial(2 * j) * factorial(n + 2 * j - 1)));
  series = build_add(g, build_mul(g, series, r), number(g, x, factorial(n) / 2));
  series = build_add(g, build_mul(g, series, r), number(g, x, factorial(n - 1)));
  Node sum = build_mul(g, series, power(g, r, n));
  for (int k = shift - 1; k >= 0; k--) /* the small terms first */
    sum = build_add(g, sum, times(g, power(g, build_div(g, one, build_add(g, x, number(g, x, k))), n + 1), factorial(n)));
  return sum;
}

/* The n-th derivative of cot is a polynomial in it: p' by the chain rule is -(1 + c^2) dp / dc. */
static Node cot_derivative(Graph *g, int n, Node c) {
  double p[POLYGAMMA_MAX + 2] = {0, 1};
  for (int k = 1; k <= n; k++) {
    double d[POLYGAMMA_MAX + 2] = {0};
    for (int i = 1; i <= k; i++) d[i - 1] -= i * p[i], d[i + 1] -= i * p[i];
    for (int i = 0; i <= k + 1; i++) p[i] = d[i];
  }
  Node sum = number(g, c, p[n + 1]);
  for (int i = n; i >= 0; i--) sum = build_add(g, build_mul(g, sum, c), number(g, c, p[i]));
  return sum;
}

/* (-1)^(n + 1) n! zeta(n + 1, x); below 1/2 by reflection: (-1)^n polygamma(n, 1 - x) - pi^(n + 1) cot^(n)(pi x). */
Node polygamma_node(Graph *g, int n, Node x) {
  const Type type = node_type(g, x);
  x = build_cast(g, x, TYPE_F64);
  const Node left = build_binary(g, P_LT, x, number(g, x, 0.5)), one = number(g, x, 1);
  const Node sum = tail_sum(g, n, build_select(g, left, build_sub(g, one, x), x));
  const Node part = build_select(g, left, build_sub(g, x, build_unary(g, P_ROUND, x)), number(g, x, 0.25));
  const Node angle = times(g, part, M_PI);
  const Node cot = build_div(g, build_unary(g, P_COS, angle), build_unary(g, P_SIN, angle));
  const Node turned = times(g, cot_derivative(g, n, cot), -pow(M_PI, n + 1));
  const Node right = n % 2 ? sum : build_neg(g, sum);
  return build_cast(g, build_select(g, left, build_sub(g, turned, sum), right), type);
}
