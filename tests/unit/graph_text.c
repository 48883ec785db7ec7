/* The graph's text: it parses back to an equal graph, every fault is refused with its line and reason, and no bytes,
 * however damaged, do more than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "random_graph.h"

static char *printed(const Graph *g) {
  Text text = {0};
  graph_print(g, &text);
  return text.data;
}

static void assert_graphs_equal(const Graph *a, const Graph *b) {
  assert_int_equal(a->nodes.count, b->nodes.count);
  assert_int_equal(a->slots.count, b->slots.count);
  assert_int_equal(a->outputs.count, b->outputs.count);
  assert_true(a->float_type == b->float_type && a->marks == b->marks);
  for (uint32_t i = 1; i < a->nodes.count; i++) {
    const Node n = {i};
    assert_true(node_prim(a, n) == node_prim(b, n) && node_type(a, n) == node_type(b, n));
    assert_memory_equal(node_dims(a, n), node_dims(b, n), sizeof(Dims));
    assert_int_equal(node_data(a, n)->count, node_data(b, n)->count);
    for (uint32_t k = 0; k < node_data(a, n)->count; k++) assert_int_equal(node_in(a, n, k).id, node_in(b, n, k).id);
    assert_int_equal(node_attr_count(a, n), node_attr_count(b, n));
    for (uint32_t k = 0; k < node_attr_count(a, n); k++) assert_true(node_attr(a, n)[k] == node_attr(b, n)[k]);
  }
}

static void test_round_trip(void **state) {
  for (uint64_t seed = 0; seed < 100; seed++) {
    Session session = {0};
    RandomGraph r = random_graph(&session, seed, seed % 2 ? TYPE_F32 : TYPE_F64, 4 + seed % 25, seed % 3 == 0);
    const char *why = graph_verify(r.g), *error;
    if (why) fail_msg("seed %d: %s", (int)seed, why);
    char *text = printed(r.g);
    Graph *again = graph_parse(&session, text, &error);
    if (!again) fail_msg("seed %d: %s\n%s", (int)seed, error, text);
    char *second = printed(again);
    assert_string_equal(text, second);
    assert_graphs_equal(r.g, again);
    /* what is built on the parsed graph shares its nodes */
    const uint32_t count = again->nodes.count;
    for (uint32_t i = 1; i < count; i++) {
      const Node n = {i};
      Node in[UINT8_MAX];
      for (uint32_t k = 0; k < node_data(again, n)->count; k++) in[k] = node_in(again, n, k);
      int64_t attr[64];
      const uint32_t attrs = node_attr_count(again, n);
      if (attrs) memcpy(attr, node_attr(again, n), sizeof *attr * attrs);
      if (node_has(again, n, K_LEAF))
        assert_int_equal(
            i, build_any(again, node_prim(again, n), node_type(again, n), node_shape(again, n), in, 0, attr, attrs).id);
    }
    free(text), free(second);
    graph_free(again), random_graph_free(&r), session_free(&session);
  }
}

static void test_exact(void **state) {
  const double values[] = {0.1, -0.0, 1e-320, 1.7976931348623157e308, INFINITY, -INFINITY, NAN, -NAN, 5, -1e22};
  Session session = {0};
  Graph *g = graph_new(&session, TYPE_F64);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) build_const(g, TYPE_F64, values[i]);
  const Dims dims = {3, {DIM_BATCH, DIM_BATCH - 3, 2}};
  graph_add_slot(
      g,
      (Slot){.kind = SLOT_PARAM, .name = "a \"b\" \\ \n\x7f\xc3\xa9", .type = TYPE_F32, .shape = shape_of(g, &dims)});
  graph_add_slot(g, (Slot){.kind = SLOT_TARGET, .name = "y", .type = TYPE_I32, .classes = 7});
  graph_add_slot(g, (Slot){.kind = SLOT_OPTIMIZER, .name = "", .type = TYPE_F32, .of = 0});
  char *text = printed(g);
  const char *error;
  Graph *again = graph_parse(&session, text, &error);
  if (!again) fail_msg("%s\n%s", error, text);
  assert_graphs_equal(g, again);
  for (uint32_t i = 0; i < g->slots.count; i++) {
    assert_string_equal(g->slots.data[i].name, again->slots.data[i].name);
    assert_true(g->slots.data[i].classes == again->slots.data[i].classes &&
                g->slots.data[i].of == again->slots.data[i].of);
  }
  free(text);
  graph_free(g), graph_free(again), session_free(&session);
}

/* Lines after the header and two slots, x: f32 [batch, 4] and k: i32 [6], which are %1 and %2; then the reason. */
static const char *const faults[][2] = {
    {"%3 = frob %1 : f32 [batch, 4]", "line 6: no such primitive"},
    {"%4 = neg %1 : f32 [batch, 4]", "line 6: nodes must be numbered from 1 on"},
    {"%3 = neg %3 : f32 [batch, 4]", "line 6: the number is out of range"},
    {"%3 = neg %0 : f32 [batch, 4]", "line 6: nodes are numbered from 1 on"},
    {"%3 = neg : f32 [batch, 4]", "line 6: %3 (neg): the wrong number of inputs"},
    {"%3 = neg %1 : f64 [batch, 4]", "line 6: %3 (neg): wrong type"},
    {"%3 = neg %1 : f32 [4, batch]", "line 6: %3 (neg): operands and result must be of one shape"},
    {"%3 = neg %1 {2} : f32 [batch, 4]", "line 6: %3 (neg): 0 attributes, not 1"},
    {"%3 = exp %2 : i32 [6]", "line 6: %3 (exp): takes floats"},
    {"%3 = and %1 %1 : bool [batch, 4]", "line 6: %3 (and): takes bools"},
    {"%3 = add %1 %2 : f32 [batch, 4]", "line 6: %3 (add): operands must be of one type"},
    {"%3 = slot 2 : f32 []", "line 6: %3 (slot): no such slot"},
    {"%3 = const 0.5 : i32 []", "line 6: %3 (const): not an integer of 32 bits"},
    {"%3 = const 2.0 : bool []", "line 6: %3 (const): a bool is 0 or 1"},
    {"%3 = const x : f32 []", "line 6: expected a number"},
    {"%3 = number {3} : f64 []", "line 6: %3 (number): no such number"},
    {"%3 = extent {4} : f64 []", "line 6: %3 (extent): no such batch extent"},
    {"%3 = iota : f32 [3]", "line 6: %3 (iota): must be an i32 of one axis"},
    {"%3 = random {2, 0} : f32 [3]", "line 6: %3 (random): kind must be 0 or 1"},
    {"%3 = random {1, 4294967296} : f32 [3]", "line 6: %3 (random): the site is not a number of 32 bits"},
    {"%3 = select %1 %1 %1 : f32 [batch, 4]", "line 6: %3 (select): the condition must be a bool"},
    {"%3 = mark %1 {9} : f32 [batch, 4]", "line 6: %3 (mark): the number is not one of the graph's marks"},
    {"%3 = broadcast %2 {0} : i32 [7, 6]", "line 6: %3 (broadcast): an axis would be stretched"},
    {"%3 = broadcast %1 {1, 0} : f32 [4, batch]", "line 6: %3 (broadcast): axes must ascend"},
    {"%3 = reshape %1 : f32 [4, batch]", "line 6: %3 (reshape): the sizes differ"},
    {"%3 = reshape %1 : f32 [batch1, 4]", "line 6: %3 (reshape): the batch axes differ"},
    {"%3 = reshape %2 : i32 [7]", "line 6: %3 (reshape): the sizes differ"},
    {"%3 = transpose %1 {1, 1} : f32 [4, 4]", "line 6: %3 (transpose): not a permutation of the axes"},
    {"%3 = transpose %1 {1, 0} : f32 [batch, 4]", "line 6: %3 (transpose): the shape is not the permuted one"},
    {
        "%3 = slice %2 {1, 3, 2} : i32 [3]",
        "",
    },
    {"%3 = slice %2 {2, 3, 2} : i32 [3]", "line 6: %3 (slice): reaches past the end"},
    {"%3 = slice %2 {0, 2, 0} : i32 [2]", "line 6: %3 (slice): start and count must be >= 0, the step >= 1"},
    {"%3 = slice %1 {0, 2, 1, 0, 4, 1} : f32 [2, 4]", "line 6: %3 (slice): a batch axis is taken whole"},
    {"%3 = pad %2 {1, 1, 1} : i32 [13]", ""},
    {"%3 = pad %2 {1, 1, 1} : i32 [8]", "line 6: %3 (pad): an extent is not that of the padded axis"},
    {"%3 = pad %2 {-1, 1, 0} : i32 [6]", "line 6: %3 (pad): attributes must be >= 0"},
    {"%3 = pad %2 {9223372036854775807, 1, 0} : i32 [6]", "line 6: %3 (pad): too large"},
    {"%3 = reverse %2 {1} : i32 [6]", "line 6: %3 (reverse): an axis is out of range"},
    {"%3 = reverse %2 : i32 [6]", "line 6: %3 (reverse): no axes"},
    {"%3 = concat %2 %2 {0} : i32 [11]", "line 6: %3 (concat): the extent is not the sum of the parts'"},
    {"%3 = concat %1 %1 {0} : f32 [batch, 4]", "line 6: %3 (concat): a batch axis is not joined"},
    {"%3 = concat {0} : f32 [batch, 4]", "line 6: %3 (concat): the wrong number of inputs"},
    {"%3 = sum %1 {0} : f32 [batch]", "line 6: %3 (sum): the shape is not that of the other axes"},
    {"%3 = sum %1 {1, 1} : f32 [batch]", "line 6: %3 (sum): axes must ascend"},
    {"%3 = argmax %1 {1} : f32 [batch]", "line 6: %3 (argmax): must be an i32"},
    {"%3 = argmax %1 {1, 0} : i32 []", "line 6: %3 (argmax): axes must ascend"},
    {"%3 = contract %1 %1 {0, 1, 1} : f32 [batch, batch]", "line 6: %3 (contract): 4 attributes, not 3"},
    {"%3 = contract %1 %1 {0, 1, 1, 0} : f32 [batch, 4]", "line 6: %3 (contract): paired axes differ in extent"},
    {"%3 = contract %1 %1 {1, 1, 0, 0, 0, 1} : f32 [batch]", "line 6: %3 (contract): an axis occurs twice"},
    {"%3 = contract %1 %1 {0, 1, 1, 1} : f32 [batch]",
     "line 6: %3 (contract): the shape is not that of the contraction"},
    {"%3 = contract %1 %1 {-9223372036854775808, 1} : f32 [batch]", "line 6: %3 (contract): nb or nk is out of range"},
    {"out loss \"l\" %1 / %1", "output 0 (l): the sum must be f64"},
    {"%3 = extent {0} : f64 []\nout loss \"l\" %3", "output 0 (l): has no weight"},
    {"%3 = extent {0} : f64 []\nout metric \"m\" %3", ""},
    {"out slot 1 %1", "output 0 (): not the slot's type"},
    {"out slot 2 %1", "line 6: the number is out of range"},
    {"out value \"v\" %1 / %1", "output 0 (v): has a weight"},
    {"out value \"v %1", "line 6: the name is not closed"},
    {"out value \"\\y\" %1", "line 6: expected `\\\"`, `\\\\` or `\\x` and two digits"},
    {"slot 2 other \"z\" f32 []", "line 6: expected the kind of the slot"},
    {"slot 3 input \"z\" f32 []", "line 6: slots must be numbered from 0 on"},
    {"slot 2 input \"z\" f16 []", "line 6: expected a type: f32, f64, i32, bool or bf16"},
    {"slot 2 input \"z\" f32 [batch7]", "line 6: the number is out of range"},
    {"slot 2 input \"z\" f32 [1, 1, 1, 1, 1, 1, 1, 1, 1]", "line 6: too many axes"},
    {"slot 2 input \"z\" f32 [4294967296, 4294967296]", "line 6: the shape is too large"},
    {"slot 2 input \"z\" f32 [99999999999999999999]", "line 6: the number is too large"},
    {"slot 2 input \"z\" f32 [2] classes 3", "line 6: classes belong to an i32"},
    {"slot 2 optimizer \"z\" f32 [2] of 9", "slot 2 (z): no such parameter"},
    {"slot 2 input \"z\" f32 [2] 3", "line 6: more than the line should hold"},
    {"hello", "line 6: expected `slot`, `%` or `out`"},
};

static void test_faults(void **state) {
  const char *head = "graph f32 marks 2 # a comment\nslot 0 input \"x\" f32 [batch, 4]\nslot 1 input \"k\" i32 [6]\n"
                     "%1 = slot 0 : f32 [batch, 4]\n%2 = slot 1 : i32 [6]\n";
  int wrong = 0;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    Session session = {0};
    Text text = {0};
    text_printf(&text, "%s%s\n", head, faults[i][0]);
    const char *error;
    Graph *g = graph_parse(&session, text_get(&text), &error);
    assert_true(!g == !!error);
    if (strcmp(error ? error : "", faults[i][1]))
      print_error("%s: `%s`, not `%s`\n", faults[i][0], error ? error : "", faults[i][1]), wrong++;
    graph_free(g), text_free(&text), session_free(&session);
  }
  assert_int_equal(wrong, 0);
}

/* Bytes changed, cut, doubled: refused or read, and what is read keeps every rule. */
static void test_damage(void **state) {
  int refused = 0, read = 0;
  for (uint64_t seed = 0; seed < 20; seed++) {
    Session session = {0};
    RandomGraph r = random_graph(&session, seed, TYPE_F32, 12, false);
    char *text = printed(r.g);
    const size_t length = strlen(text);
    for (int trial = 0; trial < 150; trial++) {
      Session own = {0};
      char *copy = mem_strdup(text);
      for (uint32_t k = rg_below(&r, 3) + 1; k > 0; k--)
        copy[rg_below(&r, (uint32_t)length)] = "0123456789{}[]%:, abf\n\xff-"[rg_below(&r, 24)];
      if (trial % 5 == 0) copy[rg_below(&r, (uint32_t)length)] = 0;
      const char *error;
      Graph *g = graph_parse(&own, copy, &error);
      if (g) assert_null(graph_verify(g));
      g ? read++ : refused++;
      graph_free(g), session_free(&own), free(copy);
    }
    free(text), random_graph_free(&r), session_free(&session);
  }
  if (refused < 1000 || read < 30) fail_msg("%d refused, %d read", refused, read);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_exact),
      cmocka_unit_test(test_faults),
      cmocka_unit_test(test_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
