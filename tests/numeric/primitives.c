/* The oracle's values: each structural primitive against numbers written out by hand, random draws against the
 * published vectors, integers, casts and sums at their limits. Every row of the table that is structural has a case
 * here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "random_graph.h"

/* Slots, with batch 3: a and b are 1 .. 6, k is 5 -2 7 7, p 1 0 1, s 2, n what is hard, r 1 0 1 -1 2 3. The case is node 7. */
static const char head[] =
    "graph f64 marks 1 loops 1\n"
    "slot 0 param \"a\" f64 [2, 3]\n"
    "slot 1 input \"k\" i32 [4]\n"
    "slot 2 input \"p\" bool [3]\n"
    "slot 3 input \"b\" f64 [batch, 2]\n"
    "slot 4 param \"s\" f64 []\n"
    "slot 5 param \"n\" f64 [4]\n"
    "slot 6 input \"r\" i32 [2, 3]\n"
    "%1 = slot 0 : f64 [2, 3]\n"
    "%2 = slot 1 : i32 [4]\n"
    "%3 = slot 2 : bool [3]\n"
    "%4 = slot 3 : f64 [batch, 2]\n"
    "%5 = slot 4 : f64 []\n"
    "%6 = slot 5 : f64 [4]\n";
static const double a[] = {1, 2, 3, 4, 5, 6}, k[] = {5, -2, 7, 7}, p[] = {1, 0, 1}, s[] = {2},
                    n[] = {1, NAN, -INFINITY, 1e300}, r[] = {1, 0, 1, -1, 2, 3};
static const double *const slots[] = {a, k, p, a, s, n, r};

typedef struct {
  const char *text; /* of %7, and of what follows; the last node is meant */
  const double *values;
  int64_t count;
} Case;
#define IS(...) (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double)

/* Two rounds, from the last row to the first. */
#define LOOP                                                                                                           \
  "sum %1 {0} : f64 [3]\n%8 = carry %7 {0, 0} : f64 [3]\n%9 = item %1 {0, 0, 1} : f64 [3]\n"                          \
  "%10 = sub %8 %9 : f64 [3]\n%11 = loop %8 %10 {0, 2} : i32 []\n"

#define ROWS "slot 6 : i32 [2, 3]\n%8 = "

static const Case cases[] = {
    {"const -1.5 : f64 []", IS(-1.5)},
    {"slot 0 : f64 [2, 3]", IS(1, 2, 3, 4, 5, 6)},
    {"number {0} : f64 []", IS(11)},
    {"number {1} : f64 []", IS(12)},
    {"number {2} : f64 []", IS(13)},
    {"extent {0} : f64 []", IS(3)},
    {"extent {2} : f64 []", IS(9)},
    {"iota : i32 [4]", IS(0, 1, 2, 3)},
    {"iota : i32 [batch]", IS(0, 1, 2)},
    /* Philox of counter 0 and key 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8 */
    {"random {0, 0} : f32 []", IS((0x6627e8d5 >> 8) * 0x1p-24)},
    {"random {0, 0} : f64 []", IS((double)(0x6627e8d5e169c58du >> 11) * 0x1p-53)},
    {"random {0, 0} : f32 [64]\n%8 = slice %7 {0, 4, 16} : f32 [4]",
     IS((0x6627e8d5 >> 8) * 0x1p-24, (0xe169c58d >> 8) * 0x1p-24, (0xbc57ac4c >> 8) * 0x1p-24, (0x9b00dbd8 >> 8) * 0x1p-24)},
    {"neg %2 : i32 [4]", IS(-5, 2, -7, -7)},
    {"mul %2 %2 : i32 [4]", IS(25, 4, 49, 49)},
    {"max %2 %2 : i32 [4]", IS(5, -2, 7, 7)},
    {"sign %2 : i32 [4]", IS(1, -1, 1, 1)},
    {"not %3 : bool [3]", IS(0, 1, 0)},
    {"is_nan %6 : bool [4]", IS(0, 1, 0, 0)},
    {"is_finite %6 : bool [4]", IS(1, 0, 0, 1)},
    {"max %6 %6 : f64 [4]", IS(1, NAN, -INFINITY, 1e300)},
    {"lt %6 %6 : bool [4]", IS(0, 0, 0, 0)},
    {"ne %6 %6 : bool [4]", IS(0, 1, 0, 0)},
    {"cast %6 : i32 [4]", IS(1, 0, -2147483648.0, 2147483647.0)},
    {"cast %6 : bool [4]", IS(1, 1, 1, 1)},
    {"cast %3 : f64 [3]", IS(1, 0, 1)},
    {"mark %6 {0} : f64 [4]", IS(1, NAN, -INFINITY, 1e300)},
    {"stop %1 : f64 [2, 3]", IS(1, 2, 3, 4, 5, 6)},
    {"own %1 %1 %1 %1 : f64 [2, 3]", IS(1, 2, 3, 4, 5, 6)},
    {"broadcast %5 : f64 [3]", IS(2, 2, 2)},
    {"broadcast %3 {1} : bool [2, 3]", IS(1, 0, 1, 1, 0, 1)},
    {"broadcast %3 {0} : bool [3, 2]", IS(1, 1, 0, 0, 1, 1)},
    {"broadcast %4 {1, 2} : f64 [2, batch, 2]", IS(1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6)},
    {"reshape %1 : f64 [3, 2]", IS(1, 2, 3, 4, 5, 6)},
    {"transpose %1 {1, 0} : f64 [3, 2]", IS(1, 4, 2, 5, 3, 6)},
    {"slice %1 {1, 1, 1, 0, 2, 2} : f64 [1, 2]", IS(4, 6)},
    {"slice %4 {0, -1, 1, 1, 1, 1} : f64 [batch, 1]", IS(2, 4, 6)},
    {"slice %2 {4, 0, 1} : i32 [0]", NULL, 0},
    {"pad %3 {1, 2, 1} : bool [8]", IS(0, 1, 0, 0, 0, 1, 0, 0)},
    {"pad %4 {0, 0, 0, 1, 0, 0} : f64 [batch, 3]", IS(0, 1, 2, 0, 3, 4, 0, 5, 6)},
    {"reverse %1 {1} : f64 [2, 3]", IS(3, 2, 1, 6, 5, 4)},
    {"reverse %1 {0, 1} : f64 [2, 3]", IS(6, 5, 4, 3, 2, 1)},
    {"concat %4 %4 {1} : f64 [batch, 4]", IS(1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6)},
    {"concat %1 %1 {0} : f64 [4, 3]", IS(1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6)},
    {"window %1 {1, 2, 2, 1, 1} : f64 [2, 2, 2]", IS(1, 2, 2, 3, 4, 5, 5, 6)},
    {"window %2 {0, 2, 2, 1, 2} : i32 [2, 2]", IS(5, 7, -2, 7)},
    {"window %3 {0, 2, 1, 2, 1} : bool [2, 1]", IS(1, 1)},
    {"window %4 {1, 1, 2, 1, 1} : f64 [batch, 1, 2]", IS(1, 2, 3, 4, 5, 6)},
    {"unwindow %1 {0, 4, 1, 1} : f64 [4]", IS(1, 6, 8, 6)},
    {"unwindow %1 {0, 8, 3, 2} : f64 [8]", IS(1, 0, 2, 4, 3, 5, 0, 6)},
    {"unwindow %1 {0, 6, 3, 1} : f64 [6]", IS(1, 2, 3, 4, 5, 6)},
    {"sum %1 {0} : f64 [3]", IS(5, 7, 9)},
    {"sum %1 {1} : f64 [2]", IS(6, 15)},
    {"sum %4 {0, 1} : f64 []", IS(21)},
    {"sum %2 {0} : i32 []", IS(17)},
    {"prod %1 {1} : f64 [2]", IS(6, 120)},
    {"prod %2 {0} : i32 []", IS(-490)},
    {"reduce_max %1 {0} : f64 [3]", IS(4, 5, 6)},
    {"reduce_max %6 {0} : f64 []", IS(NAN)},
    {"reduce_min %2 {0} : i32 []", IS(-2)},
    {"reduce_min %1 {0, 1} : f64 []", IS(1)},
    {"argmax %2 {0} : i32 []", IS(2)},
    {"argmax %1 {1} : i32 [2]", IS(2, 2)},
    {"argmax %1 {0} : i32 [3]", IS(1, 1, 1)},
    {"contract %1 %1 {0, 1, 1, 1} : f64 [2, 2]", IS(14, 32, 32, 77)},
    {"contract %4 %1 {0, 1, 1, 0} : f64 [batch, 3]", IS(9, 12, 15, 19, 26, 33, 29, 40, 51)},
    {"contract %1 %1 {1, 1, 0, 0, 1, 1} : f64 [2]", IS(14, 77)},
    {"contract %1 %1 {1, 0, 1, 1} : f64 [3, 2, 2]", IS(1, 4, 4, 16, 4, 10, 10, 25, 9, 18, 18, 36)},
    {"contract %3 %3 {0, 0} : bool [3, 3]", NULL, -1}, /* refused */
    {"contract %2 %2 {0, 1, 0, 0} : i32 []", IS(127)},
    {"contract %4 %4 {0, 2, 0, 1, 0, 1} : f64 []", IS(91)},
    /* 5 7 9, less 4 5 6, less 1 2 3 */
    {LOOP "%12 = stack %10 %11 {1, 0} : f64 [3, 2]", IS(1, 0, 2, 0, 3, 0)},
    {LOOP "%12 = stack %8 %11 {0, 1} : f64 [2, 3]", IS(1, 2, 3, 5, 7, 9)},
    {LOOP "%12 = last %11 {0} : f64 [3]", IS(0, 0, 0)},
    {LOOP "%12 = cast %11 : f64 []", IS(2)},
    {"carry %5 {0, 0} : f64 []\n%8 = loop %7 %7 %7 {0, 2} : i32 []", NULL, -1},
    {"carry %5 {1, 0} : f64 []", NULL, -1},
    /* rows 1 0 1, and none for -1, 2 and 3: with nothing in common, and place by place in a row */
    {ROWS "gather %1 %7 {0} : f64 [2, 3, 3]", IS(4, 5, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
    {ROWS "gather %1 %7 {1} : f64 [2, 3]", IS(2, 1, 2, 0, 6, 0)},
    {"gather %6 %2 {0} : f64 [4]", IS(0, 0, 0, 0)},
    {"gather %1 %6 {0} : f64 [4, 3]", NULL, -1},
    {ROWS "scatter_add %1 %7 {0, 2} : f64 [2]", IS(2, 4)},
    {ROWS "scatter_add %1 %7 {1, 3} : f64 [2, 3]", IS(2, 4, 0, 0, 0, 5)},
    {ROWS "scatter_add %7 %7 {0, 4} : i32 [4]", IS(0, 2, 2, 3)},
    {ROWS "scatter_add %1 %7 {2, 2} : f64 [2, 3, 2]", IS(0, 1, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0)},
};

static void test_values(void **state) {
  bool seen[P_COUNT] = {false};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Session session = {0};
    Text text = {0};
    const char *error;
    text_printf(&text, "%s%%7 = %s\n", head, cases[i].text);
    Graph *g = graph_parse(&session, text_get(&text), &error);
    if (cases[i].count < 0) {
      assert_null(g);
    } else {
      if (!g) fail_msg("%s", error);
      const InterpInput input = {.slots = slots, .batch = {3, 1, 9, 1}, .step = 11, .steps = 12, .epoch = 13};
      Interp *t = interp_new(g, &input);
      int64_t count;
      const double *v = interp_value(t, (Node){g->nodes.count - 1}, &count);
      assert_int_equal(count, cases[i].count);
      for (int64_t e = 0; e < count; e++) {
        const double want = cases[i].values[e];
        if (!(v[e] == want || (isnan(v[e]) && isnan(want))))
          fail_msg("%s, element %d: %.17g, not %.17g", cases[i].text, (int)e, v[e], want);
      }
      for (uint32_t id = 7; id < g->nodes.count; id++) seen[node_prim(g, (Node){id})] = true;
      interp_free(t);
    }
    graph_free(g), text_free(&text), session_free(&session);
  }
  for (int q = 0; q < P_COUNT; q++) {
    if (!seen[q] && !prim_is((Prim)q, K_ELEMENTWISE)) fail_msg("no case for %s", prim_info((Prim)q)->word);
  }
}

/* Each elementwise value against the C library's function of that name, at the range's points. */
static void test_elementwise(void **state) {
#define M(name) {#name, name, NULL}
#define M2(name) {#name, NULL, name}
  const struct {
    const char *word;
    double (*one)(double);
    double (*two)(double, double);
  } functions[] = {M(exp),   M(expm1), M(log),   M(log1p), M(sqrt), M(cbrt), M(sin),  M(cos),   M(tan),  M(asin),
                   M(acos),  M(atan),  M(sinh),  M(cosh),  M(tanh), M(erf),  M(erfc), M(lgamma), M(floor), M(ceil), M(trunc),
                   M2(pow),  M2(atan2), {"round", nearbyint, NULL}, {"abs", fabs, NULL},
                   {"max", NULL, fmax}, {"min", NULL, fmin}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    const Prim q = prim_find(functions[i].word);
    assert_true(q < P_COUNT);
    const PrimInfo *info = prim_info(q);
    for (int step = 0; step <= 100; step++) {
      const double x = info->low + (info->high - info->low) * step / 100, y = info->high - (x - info->low) * 0.7;
      const double want = functions[i].one ? functions[i].one(x) : functions[i].two(x, y), got = info->value(x, y, 0);
      if (got != want) fail_msg("%s(%g): %.17g, not %.17g", info->word, x, got, want);
    }
  }
  const double round_half_to_even[] = {-2.5, -2, -1.5, -2, 0.5, 0, 1.5, 2, 2.5, 2};
  for (int i = 0; i < 10; i += 2)
    assert_true(prim_info(P_ROUND)->value(round_half_to_even[i], 0, 0) == round_half_to_even[i + 1]);
}

static double scalar_of(Graph *g, const InterpInput *input, Node node) {
  Interp *t = interp_new(g, input);
  const double v = interp_value(t, node, NULL)[0];
  interp_free(t);
  return v;
}

/* A sum of ten million f32 values, and sums that cancel. */
static void test_sums(void **state) {
  Session session = {0};
  Graph *g = graph_new(&session, TYPE_F32);
  const int64_t count = 10000000;
  const Dims dims = {1, {count}}, few = {1, {3}};
  graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "x", .type = TYPE_F32, .shape = shape_of(g, &dims)});
  graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "y", .type = TYPE_F64, .shape = shape_of(g, &few)});
  double *x = mem_alloc(sizeof *x * (size_t)count);
  for (int64_t i = 0; i < count; i++) x[i] = 0.1;
  const double y[] = {1e16, 1, -1e16};
  const double *const values[] = {x, y};
  const InterpInput input = {.slots = values, .round_f32 = true};
  const double sum = scalar_of(g, &input, build_reduce(g, P_SUM, build_slot(g, 0), &(int64_t){0}, 1));
  assert_true(fabs(sum - 1e6) <= 1e-6 * 1e6);
  assert_true(sum == (double)(float)((double)0.1f * 1e7));
  assert_true(scalar_of(g, &input, build_reduce(g, P_SUM, build_slot(g, 1), &(int64_t){0}, 1)) == 1);
  free(x), graph_free(g), session_free(&session);
}

/* Integers wrap at 32 bits; floats are rounded only where asked. */
static void test_rounding(void **state) {
  Session session = {0};
  Graph *g = graph_new(&session, TYPE_F32);
  graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "i", .type = TYPE_I32});
  graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "x", .type = TYPE_F32});
  const double i[] = {2147483647.0}, x[] = {0.1};
  const double *const values[] = {i, x};
  InterpInput input = {.slots = values};
  const Node n = build_slot(g, 0), f = build_slot(g, 1);
  assert_true(scalar_of(g, &input, build_add(g, n, n)) == -2);
  assert_true(scalar_of(g, &input, build_mul(g, n, n)) == 1);
  const Node third = build_div(g, f, build_const(g, TYPE_F32, 3));
  assert_true(scalar_of(g, &input, third) == 0.1 / 3);
  input.round_f32 = true;
  assert_true(scalar_of(g, &input, third) == (double)((float)0.1 / 3.0f));
  graph_free(g), session_free(&session);
}

/* Draws follow seed, draw, site and element, and look uniform and normal. */
static void test_random(void **state) {
  Session session = {0};
  Graph *g = graph_new(&session, TYPE_F32);
  const Dims dims = {2, {DIM_BATCH, 1000}};
  for (int type = TYPE_F32; type <= TYPE_F64; type++) {
    for (int kind = 0; kind < 2; kind++) {
      const Node r = build_random(g, kind, 9, (Type)type, shape_of(g, &dims));
      InterpInput input = {.batch = {50, 1, 1, 1}, .seed = 0x123456789abcdefu, .draw = 3};
      Interp *t = interp_new(g, &input);
      int64_t count;
      const double *v = interp_value(t, r, &count);
      double sum = 0, squares = 0, cubes = 0;
      for (int64_t i = 0; i < count; i++) {
        assert_true(kind || (v[i] >= 0 && v[i] < 1));
        const double c = kind ? v[i] : (v[i] - 0.5) * sqrt(12);
        sum += c, squares += c * c, cubes += c * c * c;
      }
      assert_true(fabs(sum / (double)count) < 0.02 && fabs(squares / (double)count - 1) < 0.02 &&
                  fabs(cubes / (double)count) < 0.06);
      input.batch[0] = 1; /* an element's draw does not depend on how many there are */
      Interp *small = interp_new(g, &input);
      assert_memory_equal(interp_value(small, r, NULL), v, sizeof *v * 1000);
      input.draw = 4;
      Interp *next = interp_new(g, &input);
      assert_memory_not_equal(interp_value(next, r, NULL), v, sizeof *v * 1000);
      interp_free(t), interp_free(small), interp_free(next);
    }
  }
  graph_free(g), session_free(&session);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values), cmocka_unit_test(test_elementwise), cmocka_unit_test(test_sums),
      cmocka_unit_test(test_rounding), cmocka_unit_test(test_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
