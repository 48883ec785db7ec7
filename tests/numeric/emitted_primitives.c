/* Every primitive of the table, emitted, against the oracle: over scalars, extents of 1, odd and large ones, batches and
 * broadcasting; the value and the gradient. f64 within 1e-12 and f32 within 1e-5 of the largest element. A new row of prims.def
 * is tested without being named here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "emit_run.h"
#include "random_graph.h"
#include "scheduled.h"

static const Machine machine = {32, 16, 32 << 10, 512 << 10, 8 << 20};
static const Dims shapes[] = {{0, {0}}, {1, {1}}, {3, {1, 1, 7}}, {3, {3, 1, 5}}, {2, {17, 33}}, {1, {257}},
                              {2, {DIM_BATCH, 19}}, {3, {DIM_BATCH, 4, 16}}, {2, {64, 48}}};

typedef struct {
  RandomGraph r;
  Vec(Node) made;
} Case;

/* The primitive over an input of each shape, and the gradient of its sum by that input. */
static void build_case(Case *c, Session *s, Prim prim, Type type) {
  c->r = rg_new(s, prim + 1, type);
  c->r.largest = 8192;
  c->r.batch[0] = 5;
  const PrimInfo *info = prim_info(prim);
  const bool ranged = info->high > info->low;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes && c->r.g->slots.count < RG_SLOTS - 26; i++) {
    const Node x = build_mark(c->r.g, rg_slot(&c->r, SLOT_INPUT, type, &shapes[i], ranged ? info->low : -1.5, ranged ? info->high : 1.5));
    vec_push(&c->r.pool, x);
    for (int tries = 0, made = 0; tries < 20 && made < 2; tries++) {
      const Node n = rg_apply(&c->r, prim, x);
      if (!n.id) continue;
      made++;
      vec_push(&c->made, n);
      if (!rg_is_float(&c->r, n) || !grad_depends(c->r.g, n, x)) continue;
      Node d;
      grad_reverse(c->r.g, n, NODE_NONE, &x, 1, &d);
      if (d.id) vec_push(&c->made, d);
    }
  }
  for (uint32_t i = 0; i < c->made.count; i++)
    graph_add_output(c->r.g, (Output){.kind = OUT_VALUE, .name = info->word, .node = c->made.data[i]});
}

static void compare(const Case *c, const Schedule *s, const EmitRun *run, Interp *oracle, uint32_t output, double tolerance) {
  int64_t n;
  const Node node = c->made.data[output];
  const double *want = interp_value(oracle, node, &n);
  const uint32_t buffer = s->output_buffer.data[output];
  double top = 1e-30;
  for (int64_t i = 0; i < n; i++)
    if (isfinite(want[i])) top = fmax(top, fabs(want[i]));
  for (int64_t i = 0; i < n; i++) {
    const double got = er_get(run->buffers[buffer], s->buffers.data[buffer].type, place_of(c->r.g, node, c->r.batch, i));
    if (fabs(got - want[i]) <= tolerance * top || got == want[i] || (isnan(got) && isnan(want[i]))) continue;
    fail_msg("%s, output %u, element %lld of %lld: %.17g, the oracle says %.17g", c->r.g->outputs.data[output].name, output, (long long)i,
             (long long)n, got, want[i]);
  }
}

static void check_primitive(Prim prim, Type type, double tolerance) {
  Session session = {0};
  Case c = {0};
  build_case(&c, &session, prim, type);
  if (!prim_is(prim, K_LEAF)) assert_true(c.made.count > 2);
  if (c.made.count && !leaves_language(c.r.g)) {
    Graph *clean = graph_rebuild(c.r.g, true), *g = schedule_lower(clean);
    Schedule *s = schedule_graph(&session, g, &machine);
    EmitResult object = {0};
    const char *error = NULL;
    emit_schedule(s, "entry", NULL, &object);
    Loaded *code = emit_load(&object, &error);
    assert_non_null(code);
    InterpInput input = random_input(&c.r);
    input.round_f32 = type == TYPE_F64; /* a cast there and back rounds on both sides */
    EmitRun run;
    emit_run_open(&run, s, &input);
    emit_run(&run, emit_entry(code, "entry"), &input, 1, emit_scratch(s, NULL));
    Interp *oracle = interp_new(c.r.g, &input);
    for (uint32_t i = 0; i < c.made.count; i++) compare(&c, s, &run, oracle, i, tolerance);
    interp_free(oracle);
    emit_run_close(&run);
    emit_unload(code);
    free(object.object);
    schedule_free(s);
    graph_free(g), graph_free(clean);
  }
  vec_free(&c.made);
  random_graph_free(&c.r);
  session_free(&session);
}

static void test_f64(void **state) {
  for (Prim p = 0; p < P_COUNT; p++) check_primitive(p, TYPE_F64, 1e-12);
}

static void test_f32(void **state) {
  for (Prim p = 0; p < P_COUNT; p++) check_primitive(p, TYPE_F32, 1e-5);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_f64), cmocka_unit_test(test_f32)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
