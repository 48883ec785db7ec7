/* library_code.c: the examples of the library's comments as machine code: value, the derivative by every float input
 * (`grad`), start of the parameters, and a training step, against the oracle. In f64 to 1e-9 of the largest. */
#include "example.h"

static int wrongs, checked;

static void compare(const Example *x, const char *what, const double *want, const void *got, uint8_t type, int64_t n) {
  double scale = 0, worst = 0;
  for (int64_t i = 0; i < n; i++) scale = fabs(want[i]) > scale && isfinite(want[i]) ? fabs(want[i]) : scale;
  for (int64_t i = 0; i < n; i++) {
    const double have = element_get(got, type, i);
    if (numbers_agree(have, want[i], 1e-9, scale)) continue;
    print_error("%s: %s, element %lld is %.17g, by the oracle %.17g\n", x->name, what, (long long)i, have, want[i]);
    worst = 1;
    break;
  }
  wrongs += worst > 0;
}

static void compare_outputs(const Example *x, Evaluation *e, MachineCode *m) {
  const InterpInput input = evaluation_input(e);
  const Graph *g = e->program->eval;
  Interp *interp = interp_new(g, &input);
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    GradcTensor t;
    int64_t n;
    if (o->kind != OUT_VALUE) continue;
    const double *want = interp_value(interp, o->node, &n);
    assert_int_equal(gradc_output(m->model, o->name, &t), GRADC_OK);
    assert_int_equal(t.count, n);
    compare(x, o->name, want, t.data, (uint8_t)t.type, n);
  }
  interp_free(interp);
}

static void compare_slots(const Example *x, const Graph *g, const InterpInput *input, MachineCode *m) {
  Interp *interp = interp_new(g, input);
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    GradcTensor t;
    int64_t n;
    if (o->kind != OUT_SLOT) continue;
    const double *want = interp_value(interp, o->node, &n);
    assert_int_equal(gradc_tensor_at(m->model, o->slot, &t), GRADC_OK);
    assert_int_equal(t.count, n);
    compare(x, g->slots.data[o->slot].name, want, t.data, (uint8_t)t.type, n);
  }
  interp_free(interp);
}

static void check_code(const Example *x, void *context) {
  const char *only = getenv("ONLY");
  if (!example_is_value(x) || x->input_count < 1 || (only && strcmp(only, x->name))) return;
  Evaluation e;
  MachineCode m;
  example_open(x, &e, TYPE_F64, true, false);
  machine_open(&m, &e, 1u << GRADC_ENTRY_EVAL | 1u << GRADC_ENTRY_TRAIN);
  InterpInput input = evaluation_input(&e);
  compare_slots(x, e.program->init, &input, &m);
  machine_eval(&m, &e);
  compare_outputs(x, &e, &m);
  machine_train(&m, &e);
  input.draw = 1; /* the step */
  compare_slots(x, e.program->train, &input, &m);
  checked++;
  machine_close(&m);
  evaluation_close(&e);
}

static void test_code(void **state) {
  example_each(check_code, NULL);
  print_message("%d definitions\n", checked);
  assert_int_equal(wrongs, 0);
  assert_true(checked > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_code)};
  return cmocka_run_group_tests_name("library_code", tests, NULL, NULL);
}
