/* Graphs as mathematics: one expression a primitive, and the derivative of a small network whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "model_graph.h"
#include "random_graph.h"

/* What the cases are written over; a case's value is its last line's. */
static const char head[] =
    "graph f32 marks 1\n"
    "slot 0 input \"x\" f32 [batch, 4]\n"
    "slot 1 input \"y\" f32 [batch, 4]\n"
    "slot 2 param \"w\" f32 [4, 3]\n"
    "slot 3 input \"p\" bool [batch, 4]\n"
    "slot 4 input \"k\" i32 [batch]\n"
    "slot 5 param \"s\" f32 []\n"
    "slot 6 input \"t\" f32 [2, batch, 4]\n"
    "%1 = slot 0 : f32 [batch, 4]\n"
    "%2 = slot 1 : f32 [batch, 4]\n"
    "%3 = slot 2 : f32 [4, 3]\n"
    "%4 = slot 3 : bool [batch, 4]\n"
    "%5 = slot 4 : i32 [batch]\n"
    "%6 = slot 5 : f32 []\n"
    "%7 = slot 6 : f32 [2, batch, 4]\n";

static const char *const cases[][2] = {
    {"%8 = neg %1 : f32 [batch, 4]", "-x"},
    {"%8 = add %1 %2 : f32 [batch, 4]\n%9 = sub %1 %8 : f32 [batch, 4]", "x - (x + y)"},
    {"%8 = add %1 %2 : f32 [batch, 4]\n%9 = mul %8 %2 : f32 [batch, 4]", "(x + y) * y"},
    {"%8 = div %1 %2 : f32 [batch, 4]\n%9 = div %1 %8 : f32 [batch, 4]", "x / (x / y)"},
    {"%8 = div %1 %2 : f32 [batch, 4]\n%9 = mul %8 %1 : f32 [batch, 4]", "x / y * x"},
    {"%8 = mul %1 %1 : f32 [batch, 4]", "x^2"},
    {"%8 = const -2.0 : f32 []\n%9 = broadcast %8 : f32 [batch, 4]\n%10 = mul %1 %9 : f32 [batch, 4]\n"
     "%11 = add %2 %10 : f32 [batch, 4]",
     "y - 2 * x"},
    {"%8 = const 0.1 : f32 []\n%9 = broadcast %8 : f32 [batch, 4]\n%10 = lt %9 %1 : bool [batch, 4]", "x > 0.1"},
    {"%8 = const 0.0 : f32 []\n%9 = broadcast %8 : f32 [batch, 4]\n%10 = select %4 %1 %9 : f32 [batch, 4]", "[p] * x"},
    {"%8 = const 0.0 : f32 []\n%9 = broadcast %8 : f32 [batch, 4]\n%10 = select %4 %9 %1 : f32 [batch, 4]",
     "[not p] * x"},
    {"%8 = select %4 %1 %2 : f32 [batch, 4]", "if p then x else y"},
    {"%8 = cast %4 : f32 [batch, 4]", "[p]"},
    {"%8 = cast %1 : i32 [batch, 4]", "int(x)"},
    {"%8 = cast %1 : f64 [batch, 4]", "x"},
    {"%8 = mark %1 {0} : f32 [batch, 4]", "x"},
    {"%8 = exp %1 : f32 [batch, 4]", "exp(x)"},
    {"%8 = pow %1 %2 : f32 [batch, 4]", "x^y"},
    {"%8 = and %4 %4 : bool [batch, 4]\n%9 = not %8 : bool [batch, 4]", "not (p and p)"},
    {"%8 = transpose %1 {1, 0} : f32 [4, batch]", "x'"},
    {"%8 = transpose %7 {0, 2, 1} : f32 [2, 4, batch]", "t'"},
    {"%8 = transpose %7 {1, 0, 2} : f32 [batch, 2, 4]", "transpose(t, 1 0 2)"},
    {"%8 = reshape %1 : f32 [batch, 2, 2]", "reshape(x, [batch, 2, 2])"},
    {"%8 = reshape %1 : f32 [1, batch, 4]", "x"},
    {"%8 = slice %1 {0, -1, 1, 1, 2, 2} : f32 [batch, 2]", "x[:, 1:4:2]"},
    {"%8 = slice %1 {0, -1, 1, 3, 1, 1} : f32 [batch, 1]", "x[:, 3]"},
    {"%8 = pad %1 {0, 0, 0, 1, 2, 1} : f32 [batch, 10]", "pad(x, i: 1+2 by 2)"},
    {"%8 = reverse %7 {0, 2} : f32 [2, batch, 4]", "reverse_i_j(t)"},
    {"%8 = concat %1 %2 {1} : f32 [batch, 8]", "concat(x, y)"},
    {"%8 = sum %1 {0, 1} : f32 []", "sum(x)"},
    {"%8 = sum %1 {0} : f32 [4]", "sum_batch(x)"},
    {"%8 = reduce_max %7 {0, 2} : f32 [batch]", "max_i_j(t)"},
    {"%8 = argmax %1 {1} : i32 [batch]", "argmax_i(x)"},
    {"%8 = iota : i32 [4]\n%9 = broadcast %8 {1} : i32 [batch, 4]\n"
     "%10 = broadcast %5 {0} : i32 [batch, 4]\n%11 = eq %9 %10 : bool [batch, 4]",
     "i == k"},
    {"%8 = iota : i32 [batch]\n%9 = eq %8 %5 : bool [batch]", "batch_index == k"},
    {"%8 = contract %1 %3 {0, 1, 1, 0} : f32 [batch, 3]", "x @ w"},
    {"%8 = contract %1 %2 {0, 1, 0, 0} : f32 [4, 4]", "x' @ y"},
    {"%8 = contract %1 %2 {0, 1, 1, 1} : f32 [batch, batch]", "x @ y'"},
    {"%8 = contract %7 %7 {0, 2, 0, 1, 0, 1} : f32 [4, 4]", "t' @ t"},
    {"%8 = contract %7 %7 {1, 1, 0, 0, 2, 2} : f32 [2, batch, batch]", "t @ t'"},
    {"%8 = contract %6 %1 {0, 0} : f32 [batch, 4]", "outer(s, x)"},
    {"%8 = contract %7 %1 {1, 1, 1, 0, 2, 1} : f32 [batch, 2]", "sum[cab, ab -> ac](t, x)"},
    {"%8 = contract %1 %3 {0, 1, 1, 0} : f32 [batch, 3]\n%9 = add %8 %8 : f32 [batch, 3]\n"
     "%10 = mul %8 %9 : f32 [batch, 3]",
     "(x @ w) * (x @ w + x @ w)"},
    {"%8 = random {1, 7} : f32 [batch]", "normal#7"},
    {"%8 = number {0} : f64 []\n%9 = extent {0} : f64 []\n%10 = div %8 %9 : f64 []", "step / batch"},
};

static void test_expressions(void **state) {
  int wrong = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Session session = {0};
    Text text = {0}, out = {0}, want = {0};
    const char *error;
    text_printf(&text, "%s%s\n", head, cases[i][0]);
    Graph *g = graph_parse(&session, text_get(&text), &error);
    if (!g) fail_msg("%s", error);
    explain_print(g, &(Node){g->nodes.count - 1}, (const char *const[]){"the value"}, 1, &out);
    text_printf(&want, "the value = %s\n", cases[i][1]);
    if (strcmp(text_get(&out), text_get(&want))) print_error("%s: %s", cases[i][0], text_get(&out)), wrong++;
    text_free(&text), text_free(&out), text_free(&want), graph_free(g), session_free(&session);
  }
  assert_int_equal(wrong, 0);
}

static const char source[] =
    "model m {\n"
    "  input x: [4]\n"
    "  let h = x |> dense(5) |> relu |> tanh\n"
    "  let z = h |> dense(3)\n"
    "  loss cross_entropy(z, y)\n"
    "}\n";

static Span span_of(const char *word) {
  const uint32_t at = (uint32_t)(strstr(source, word) - source) + 1;
  return (Span){at, at + (uint32_t)strlen(word)};
}

static void test_network(void **state) {
  Session session = {0};
  source_add(&session.sources, "m.nn", source, sizeof source - 1, false);
  Graph *g = graph_new(&session, TYPE_F32);
  const uint32_t x = mg_slot(g, SLOT_INPUT, "x", TYPE_F32, mg_shape(g, 2, DIM_BATCH, 4));
  const uint32_t y = mg_slot(g, SLOT_TARGET, "y", TYPE_I32, mg_shape(g, 1, DIM_BATCH, 0));
  const uint32_t w1 = mg_slot(g, SLOT_PARAM, "dense_1.W", TYPE_F32, mg_shape(g, 2, 4, 5));
  const uint32_t b1 = mg_slot(g, SLOT_PARAM, "dense_1.b", TYPE_F32, mg_shape(g, 1, 5, 0));
  const uint32_t w2 = mg_slot(g, SLOT_PARAM, "dense_2.W", TYPE_F32, mg_shape(g, 2, 5, 3));
  const uint32_t b2 = mg_slot(g, SLOT_PARAM, "t1", TYPE_F32, mg_shape(g, 1, 3, 0)); /* a name that would be ours */
  g->span = span_of("let h");
  const Node h =
      build_unary(g, P_TANH, mg_relu(g, mg_dense(g, build_slot(g, x), build_slot(g, w1), build_slot(g, b1))));
  g->span = span_of("let z");
  const Node z = mg_dense(g, h, build_slot(g, w2), build_slot(g, b2));
  g->span = span_of("loss");
  const Node each = build_cast(g, mg_cross_entropy(g, z, build_slot(g, y)), TYPE_F64);
  const Node loss = build_div(g, build_reduce(g, P_SUM, each, &(int64_t){0}, 1), build_extent(g, DIM_BATCH));
  const Node xs[3] = {build_slot(g, w1), build_slot(g, b2), build_slot(g, y)};
  Node nodes[5] = {loss};
  grad_reverse(g, loss, NODE_NONE, xs, 3, nodes + 1);
  nodes[4] = nodes[2];
  const char *const titles[] = {"loss", "d loss / d dense_1.W", "d loss / d t1", "d loss / d y", "again"};
  Text out = {0};
  explain_print(g, nodes, titles, 5, &out);
  assert_string_equal(text_get(&out),
                      "# m.nn:3: let h = x |> dense(5) |> relu |> tanh\n"
                      "t2: [batch, 5] = x @ dense_1.W + dense_1.b\n"
                      "t3: [batch, 5] = tanh([t2 > 0] * t2)\n"
                      "\n# m.nn:4: let z = h |> dense(3)\n"
                      "t4: [batch, 3] = t3 @ dense_2.W + t1\n"
                      "\n# m.nn:5: loss cross_entropy(z, y)\n"
                      "t5: [batch] = stop(max_i(t4))\n"
                      "t6: [batch, 3] = exp(t4 - t5)\n"
                      "t7: [batch] = sum_i(t6)\n"
                      "loss = sum(t5 + log(t7) - sum_i([i == y] * t4)) / batch\n"
                      "t8: [batch, 3] = [i == y] * (-1 / batch) + t6 * (1 / batch / t7)\n"
                      "\n# m.nn:4: let z = h |> dense(3)\n"
                      "again: [3] = sum_batch(t8)\n"
                      "\nd loss / d dense_1.W = x' @ ([t2 > 0] * (t8 @ dense_2.W') * (1 - t3^2))\n"
                      "d loss / d t1 = again\n"
                      "d loss / d y = 0\n");
  text_free(&out), graph_free(g), session_free(&session);
}

/* Whatever the graph: every line ends, and none is much longer than the limit. */
static void test_random(void **state) {
  for (uint64_t seed = 0; seed < 60; seed++) {
    Session session = {0};
    RandomGraph r = random_graph(&session, seed, TYPE_F32, 30, true);
    Node nodes[RG_SLOTS * 2];
    const char *titles[RG_SLOTS * 2];
    const uint32_t count = r.g->outputs.count;
    for (uint32_t i = 0; i < count; i++) {
      nodes[i] = r.g->outputs.data[i].node;
      titles[i] = r.g->outputs.data[i].name ? r.g->outputs.data[i].name : "new value";
    }
    Text out = {0};
    explain_print(r.g, nodes, titles, count, &out);
    for (const char *line = text_get(&out); *line; line += strcspn(line, "\n") + 1) {
      if (strcspn(line, "\n") > 150) fail_msg("seed %d: %.*s", (int)seed, (int)strcspn(line, "\n"), line);
    }
    text_free(&out), random_graph_free(&r), session_free(&session);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_expressions), cmocka_unit_test(test_network),
                                     cmocka_unit_test(test_random)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
