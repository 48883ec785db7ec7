/* facts_ranges.c: intervals hold what the oracle computes: on random graphs of every primitive, whose values are steered, and
 * on random expressions that are not, where NaN and infinities come up. GRADC_RANDOM_GRAPHS sets their number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "facts.h"
#include "graph_case.h"
#include "loops.h"
#include "random_graph.h"
#include "ranges.h"

static uint64_t how_many(uint64_t otherwise) {
  const char *text = getenv("GRADC_RANDOM_GRAPHS");
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void fail_range(const Graph *g, Node n, Range x, double value, uint64_t seed) {
  Text text = {0};
  graph_print(g, &text);
  fprintf(stderr, "%s", text_get(&text));
  text_free(&text);
  fail_msg("seed %llu: %%%u (%s) is %.17g, but lies in %s%.17g, %.17g%s%s%s", (unsigned long long)seed, n.id,
           prim_info(node_prim(g, n))->word, value, x.open_lo ? "(" : "[", x.lo, x.hi, x.open_hi ? ")" : "]", x.nan ? " or NaN" : "",
           x.nonzero ? " but 0" : "");
}

/* Rounding, and what underflows or overflows, are left aside: an end may be passed by a little, and reached. */
static bool holds(Range x, double v, double scale) {
  if (v != v) return x.nan;
  if (range_empty(x)) return false;
  const double slack = 1e-9 * fmax(1, fmax(fabs(v), scale));
  if (isinf(v)) return range_has(x, v);
  return v >= x.lo - slack && v <= x.hi + slack;
}

/* What is finite by the rules, and was too large or too small for a double, or comes from that. */
static bool lost(const Graph *g, Node n, Range x, const double *v, int64_t count, const double *scale, const uint8_t *tainted) {
  double inputs = 0;
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) {
    if (tainted[node_in(g, n, i).id]) return true;
    inputs = fmax(inputs, scale[node_in(g, n, i).id]);
  }
  for (int64_t k = 0; k < count; k++) {
    if (isinf(v[k]) && !range_has(x, v[k]) && inputs > 1e60) return true;
    if (isinf(v[k]) && !range_has(x, v[k]) && range_has(x, -v[k])) return true; /* 1 / -0 */
    if (v[k] == 0 && !range_has(x, 0) && (inputs > 30 || inputs < 1e-60)) return true;
  }
  return inputs > 1e6; /* differences of such numbers are rounding */
}

static uint32_t check(const Graph *g, const InterpInput *input, uint64_t seed) {
  Ranges *ranges = ranges_new(g, NULL);
  Loops loops = loops_find(g);
  Interp *t = interp_new(g, input);
  uint8_t *tainted = mem_zero(g->nodes.count, 1), *past = mem_zero(g->nodes.count, 1);
  double *scale = mem_zero(g->nodes.count, sizeof *scale);
  uint32_t told = 0;
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Node n = {id};
    if (loop_of(&loops, n) >= 0) continue;
    int64_t count;
    const double *v = interp_value(t, n, &count);
    const Range x = range_at(ranges, n);
    for (uint32_t i = 0; i < node_data(g, n)->count; i++) scale[id] = fmax(scale[id], scale[node_in(g, n, i).id]);
    for (int64_t k = 0; k < count; k++)
      if (isfinite(v[k])) scale[id] = fmax(scale[id], fabs(v[k]));
    tainted[id] = lost(g, n, x, v, count, scale, tainted);
    bool rounded = false; /* an input that rounding has put past an end, or on an open one: a floor may then jump, a root be NaN */
    for (uint32_t i = 0; i < node_data(g, n)->count; i++) rounded = rounded || past[node_in(g, n, i).id];
    for (int64_t k = 0; k < count && !tainted[id]; k++) {
      past[id] = past[id] || !range_has(x, v[k]);
      if (holds(x, v[k], scale[id])) continue;
      if (!rounded) fail_range(g, n, x, v[k], seed);
      tainted[id] = 1;
    }
    told += !tainted[id] && node_data(g, n)->count && (x.lo > -INFINITY || x.hi < INFINITY || !x.nan);
  }
  free(tainted), free(past), free(scale);
  interp_free(t);
  loops_free(&loops);
  ranges_free(ranges);
  return told;
}

static void test_random_graphs(void **state) {
  (void)state;
  uint64_t told = 0;
  const uint64_t graphs = how_many(150);
  for (uint64_t seed = 0; seed < graphs; seed++) {
    Session session = {0};
    RandomGraph r = random_graph(&session, seed, TYPE_F64, 16, seed % 3 == 0);
    const InterpInput input = random_input(&r);
    told += check(r.g, &input, seed);
    random_graph_free(&r);
    session_free(&session);
  }
  printf("%llu graphs, %llu intervals say something\n", (unsigned long long)graphs, (unsigned long long)told);
  assert_true(told > graphs);
}

/* ---- expressions that nobody steers ---- */

enum { ROWS = 4, COLUMNS = 3 };

static Node reduced(Graph *g, Prim prim, Node x) {
  const int64_t axis = 1, back = 0;
  return build_broadcast(g, build_reduce(g, prim, x, &axis, 1), node_shape(g, x), &back);
}

/* The forms of relations.c among them. */
static Node wild_form(RandomGraph *r, Node x, Node y) {
  Graph *g = r->g;
  const Node top = build_stop(g, reduced(g, P_RMAX, x)), e = build_unary(g, P_EXP, build_sub(g, x, top));
  const Node sum = reduced(g, P_SUM, e);
  switch (rg_below(r, 17)) {
  case 14: return build_mul(g, build_div(g, e, sum), build_unary(g, P_LOG, build_div(g, e, sum)));
  case 15: return build_mul(g, build_unary(g, P_LOG, x), x);
  case 16: return build_mul(g, x, build_unary(g, P_EXP, x));
  case 0: return build_div(g, e, sum);
  case 1: return build_sub(g, x, build_add(g, build_unary(g, P_LOG, sum), top));
  case 2: return reduced(g, P_SUM, build_div(g, e, sum));
  case 3: return reduced(g, P_SUM, build_mul(g, x, x));
  case 4: return build_binary(g, P_MAX, build_mul(g, x, build_like(g, x, 0.3)), build_mul(g, x, build_like(g, x, -0.7)));
  case 5: return build_add(g, build_unary(g, P_SQRT, build_add(g, build_mul(g, x, x), build_like(g, x, 4))), x);
  case 6: return build_select(g, build_binary(g, P_LT, x, y), build_sub(g, y, x), build_unary(g, P_NEG, y));
  case 7: return build_select(g, build_binary(g, P_LT, build_like(g, x, 0), x), build_unary(g, P_LOG, x), y);
  case 8: return build_select(g, build_binary(g, P_LE, build_unary(g, P_ABS, x), build_like(g, x, 1)), build_mul(g, x, x), build_unary(g, P_ABS, x));
  case 9: return build_sub(g, x, reduced(g, P_RMIN, x));
  case 10: return build_sub(g, x, build_unary(g, P_FLOOR, x));
  case 11: return build_div(g, x, build_unary(g, P_SQRT, reduced(g, P_SUM, build_mul(g, x, x))));
  case 12: return build_sub(g, reduced(g, P_RMAX, x), x);
  default: return reduced(g, P_PROD, x);
  }
}

static Node wild_node(RandomGraph *r, const Node *pool, uint32_t count) {
  Graph *g = r->g;
  const Node x = pool[rg_below(r, count)], y = pool[rg_below(r, count)];
  if (!rg_below(r, 4)) return wild_form(r, x, y);
  for (;;) {
    const Prim prim = (Prim)rg_below(r, P_COUNT);
    const PrimInfo *info = prim_info(prim);
    if (!(info->kind & K_ELEMENTWISE) || prim == P_CAST || prim == P_NOT || prim == P_AND || prim == P_OR) continue;
    if (prim == P_SELECT) return build_select(g, build_binary(g, rg_below(r, 2) ? P_LT : P_EQ, x, y), pool[rg_below(r, count)], y);
    const Node made = info->arity == 1 ? build_unary(g, prim, x)
                                       : build_binary(g, prim, x, rg_below(r, 3) ? y : build_like(g, x, rg_real(r, -3, 3)));
    return node_type(g, made) == TYPE_F64 ? made : build_cast(g, made, TYPE_F64);
  }
}

static void test_wild_expressions(void **state) {
  (void)state;
  uint64_t told = 0;
  const uint64_t graphs = 10 * how_many(300);
  for (uint64_t seed = 0; seed < graphs; seed++) {
    Session session = {0};
    RandomGraph r = rg_new(&session, seed, TYPE_F64);
    const Dims dims = {2, {ROWS, COLUMNS}};
    Node pool[16];
    uint32_t count = 0;
    for (; count < 2; count++) pool[count] = rg_slot(&r, SLOT_PARAM, TYPE_F64, &dims, -3, 3);
    pool[count++] = build_full(r.g, TYPE_F64, (double)rg_below(&r, 3) - 1, shape_of(r.g, &dims));
    while (count < 16) {
      pool[count] = wild_node(&r, pool, count);
      count++;
    }
    const InterpInput input = random_input(&r);
    told += check(r.g, &input, seed);
    random_graph_free(&r);
    session_free(&session);
  }
  printf("%llu expressions, %llu intervals say something\n", (unsigned long long)graphs, (unsigned long long)told);
  assert_true(told > graphs);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_graphs), cmocka_unit_test(test_wild_expressions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
