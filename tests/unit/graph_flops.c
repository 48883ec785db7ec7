/* graph_flops.c: the arithmetic of a graph: products of vectors count, rounds of loops count, what no output needs does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "graph.h"

static void check(const char *text, double fixed, double each) {
  Session session = {0};
  const char *error = NULL;
  Graph *g = graph_parse(&session, text, &error);
  if (!g) fail_msg("%s", error);
  const Flops f = graph_flops(g);
  assert_true(f.fixed == fixed && f.each == each);
  graph_free(g);
  session_free(&session);
}

static void test_vectors(void **state) {
  check("graph f32 marks 0\n"
        "slot 0 input \"x\" f32 [batch, 16]\nslot 1 param \"v\" f32 [16]\nslot 2 param \"w\" f32 [16, 3]\n"
        "%1 = slot 0 : f32 [batch, 16]\n%2 = slot 1 : f32 [16]\n%3 = slot 2 : f32 [16, 3]\n"
        "%4 = contract %1 %2 {0, 1, 1, 0} : f32 [batch]\n%5 = contract %2 %3 {0, 1, 0, 0} : f32 [3]\n"
        "%6 = contract %1 %3 {0, 1, 1, 0} : f32 [batch, 3]\nout value \"y\" %4\nout value \"z\" %5\n",
        2 * 16 * 3, 2 * 16);
}

static void test_rounds(void **state) {
  check("graph f64 marks 0 loops 1\n"
        "slot 0 input \"x\" f64 [batch, 4]\nslot 1 param \"w\" f64 [4, 4]\n"
        "%1 = slot 0 : f64 [batch, 4]\n%2 = slot 1 : f64 [4, 4]\n%3 = carry %1 {0, 0} : f64 [batch, 4]\n"
        "%4 = contract %3 %2 {0, 1, 1, 0} : f64 [batch, 4]\n%5 = loop %3 %4 {0, 7} : i32 []\n"
        "%6 = last %5 {0} : f64 [batch, 4]\nout value \"y\" %6\n",
        0, 7 * 2 * 16);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_rounds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
