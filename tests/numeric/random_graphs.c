/* Random typed graphs: every rule kept, printed and parsed alike, rebuilt to the same values, and the gradient of the
 * loss equal to its slope along a random direction. GRADC_RANDOM_GRAPHS sets their number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "differences.h"
#include "loops.h"

static void fail_with(const RandomGraph *r, uint64_t seed, const char *what, double error) {
  Text text = {0};
  graph_print(r->g, &text);
  fprintf(stderr, "%s", text_get(&text));
  text_free(&text);
  fail_msg("seed %llu: %s: %.3g", (unsigned long long)seed, what, error);
}

/* The largest difference of the outputs' values, of 1 or the value; infinite where the outputs differ otherwise. */
static double outputs_difference(const RandomGraph *r, const Graph *b) {
  const InterpInput input = random_input(r);
  Interp *ta = interp_new(r->g, &input), *tb = interp_new(b, &input);
  double worst = r->g->outputs.count == b->outputs.count ? 0 : INFINITY;
  for (uint32_t i = 0; i < r->g->outputs.count && worst < INFINITY; i++) {
    int64_t na, nb;
    const double *va = interp_value(ta, r->g->outputs.data[i].node, &na),
                 *vb = interp_value(tb, b->outputs.data[i].node, &nb);
    if (na != nb) worst = INFINITY;
    for (int64_t k = 0; k < na && na == nb; k++) {
      const double e =
          va[k] == vb[k] || (isnan(va[k]) && isnan(vb[k])) ? 0 : fabs(va[k] - vb[k]) / fmax(1, fabs(va[k]));
      worst = e <= worst ? worst : isnan(e) ? INFINITY : e;
    }
  }
  interp_free(ta), interp_free(tb);
  return worst;
}

static void check_text(const RandomGraph *r, Session *session, uint64_t seed) {
  Text once = {0}, twice = {0};
  const char *error;
  graph_print(r->g, &once);
  Graph *again = graph_parse(session, text_get(&once), &error);
  if (!again) fail_msg("seed %llu: %s", (unsigned long long)seed, error);
  graph_print(again, &twice);
  assert_string_equal(text_get(&once), text_get(&twice));
  const double e = outputs_difference(r, again);
  if (e != 0) fail_with(r, seed, "the parsed graph's values", e);
  graph_free(again), text_free(&once), text_free(&twice);
}

static void check_rebuilt(const RandomGraph *r, uint64_t seed) {
  for (int drop = 0; drop < 2; drop++) {
    Graph *built = graph_rebuild(r->g, drop);
    const char *why = graph_verify(built);
    if (why) fail_msg("seed %llu: rebuilt: %s", (unsigned long long)seed, why);
    const double e = outputs_difference(r, built);
    if (!(e <= (r->g->float_type == TYPE_F64 ? 1e-12 : 1e-6))) /* without marks more constants fold, rounded to the type */
      fail_with(r, seed, "the rebuilt graph's values", e);
    graph_free(built);
  }
}

/* A loop is its rounds written out, all of them or those of the loops within loops; and may be put in one piece. */
static uint32_t check_loops(const RandomGraph *r, uint64_t seed) {
  Loops found = loops_find(r->g);
  const uint32_t count = found.list.count;
  loops_free(&found);
  for (int how = 0; how < 3 && count; how++) {
    Graph *made = how == 2 ? loops_arrange(r->g) : loops_unroll(r->g, (uint32_t)how);
    const char *why = graph_verify(made);
    if (why) fail_msg("seed %llu: %s: %s", (unsigned long long)seed, how == 2 ? "arranged" : "unrolled", why);
    for (uint32_t id = 1; id < made->nodes.count && how == 0; id++) assert_int_not_equal(node_prim(made, (Node){id}), P_LOOP);
    const double e = outputs_difference(r, made);
    const double tolerance = r->g->float_type == TYPE_F32 ? 1e-5 : 1e-11; /* numbers of a round fold to floats */
    if (!(e <= tolerance)) fail_with(r, seed, how == 2 ? "the arranged graph's values" : "the unrolled graph's values", e);
    graph_free(made);
  }
  return count;
}

static double check_gradient(RandomGraph *r, uint64_t seed) {
  Node loss = NODE_NONE, g[DIFF_MAX];
  for (uint32_t i = 0; i < r->g->outputs.count; i++) {
    if (r->g->outputs.data[i].kind == OUT_LOSS) loss = r->g->outputs.data[i].node;
  }
  for (uint32_t i = 1; i < r->g->nodes.count; i++) {
    if (node_prim(r->g, (Node){i}) == P_STOP) return 0; /* differences see through it */
  }
  const Point p = point_all(r);
  if (!p.count || !loss.id) return 0;
  grad_reverse(r->g, loss, NODE_NONE, p.nodes, p.count, g);
  double one = 1, *weights[1] = {&one};
  const Pairing f = {&loss, weights, 1};
  const double e = slope_error(r, &p, &f, g);
  if (!(e <= 1e-6)) fail_with(r, seed, "gradient against differences", e);
  const char *why = graph_verify(r->g);
  if (why) fail_msg("seed %llu: after differentiation: %s", (unsigned long long)seed, why);
  return e;
}

static void test_random_graphs(void **state) {
  const char *asked = getenv("GRADC_RANDOM_GRAPHS");
  const uint64_t count = asked ? strtoull(asked, NULL, 10) : 200;
  double worst = 0;
  uint64_t nodes = 0, loops = 0;
  for (uint64_t seed = 0; seed < count; seed++) {
    Session session = {0};
    RandomGraph r =
        random_graph(&session, seed, seed % 2 ? TYPE_F64 : TYPE_F32, 5 + (uint32_t)(seed % 30), seed % 4 == 0);
    nodes += r.g->nodes.count;
    const char *why = graph_verify(r.g);
    if (why) fail_msg("seed %llu: %s", (unsigned long long)seed, why);
    check_text(&r, &session, seed);
    check_rebuilt(&r, seed);
    loops += check_loops(&r, seed);
    worst = fmax(worst, check_gradient(&r, seed));
    check_loops(&r, seed);
    random_graph_free(&r), session_free(&session);
  }
  print_message("%llu graphs, %llu nodes, %llu loops, largest error of a gradient %.2g\n", (unsigned long long)count,
                (unsigned long long)nodes, (unsigned long long)loops, worst);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_graphs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
