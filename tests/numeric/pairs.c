/* pairs.c: values with a number for each pair of examples of a batch (`across`): machine code against the oracle, for every
 * kind of batch up to the capacity: one example, odd ones, whole vectors of lanes, a last incomplete batch. */
#include "evaluate.h"

enum { CAPACITY = 40 };
static const int64_t batches[] = {1, 2, 7, 16, 17, 33, CAPACITY};

/* Of x: [3], y: label[4] and a parameter w: [3, 3]; `out` is put out, and `each` is the loss. */
static const struct {
  const char *lets, *out, *each;
} cases[] = {
    {"let s = across(x @ w) @ x", "s * 1", "logsumexp(s) - s[batch_index]"},
    {"let s = across(x) @ (x @ w)", "softmax(s, over = batch) * 1", "sum(softmax(s, over = batch) * s)"},
    {"let q = across(x @ w)\n let s = q @ q.T", "s * 1", "cross_entropy(s, 0 .. batch)"},
    {"let q = across(x @ w)\n let s = q @ across(x).T", "softmax(s, over = 0) * softmax(s.T)", "sum(softmax(s, over = 0) * s.T)"},
    {"let q = x @ w\n let d = sum((across(q) - q)^2, over = -1)\n let same = across(y) == y",
     "max(if same then d else -inf) + min(if same then inf else d)",
     "sum(if same and across(batch_index) != batch_index then exp(-d) else 0)"},
    {"let q = x @ w\n let k = exp(-sum((across(q)[:, none, :] - across(x))^2, over = -1))", "sum(k, over = 1)",
     "mean(k) - mean(diag(k)) + sum(tril(k) @ across(x)[:, 0]) / 9"},
    {"let q = x @ w\n let s = if across(batch_index) == batch_index then -inf else across(q) @ q\n let best = argmax(s)",
     "across(x)[best] + roll(across(x), 1, over = 0)[best] * reverse(across(q), over = 0)[best]",
     "sum(across(q)[best] * x)"},
    {"let q = across(tanh(x @ w))\n let p = iterate z = exp(q @ q.T) while sum(z) > -1 max 4 {\n"
     "  let r = z / sum(z, over = 1, keep = true)\n  next r / sum(r, over = 0, keep = true) }",
     "p * 1", "sum(p * across(x @ x)[:, none])"},
    {"let q = x @ w\n let u = dropout(across(q) @ q, 0.5)", "u * 1", "mean(u^2)"},
    {"let q = x @ w\n let g = grad(sum(tanh(across(q) @ q)), q)", "g * 1", "sum(g^2)"},
    {"let q = einsum(\"bi, ij, cj -> bc\", across(x), w, across(x))", "q * 1", "max(q) + sum(one_hot(across(y), 4).T @ q) / 30"},
};

static uint64_t noise = 1;
static double draw(void) {
  uint64_t z = noise += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static int wrongs;
static const char *failing;

static void compare(const char *what, int64_t batch, const double *want, const GradcTensor *got, int64_t n, double tolerance) {
  double scale = 0;
  assert_int_equal(got->count, n);
  for (int64_t i = 0; i < n; i++) scale = isfinite(want[i]) ? fmax(scale, fabs(want[i])) : scale;
  for (int64_t i = 0; i < n; i++) {
    const double have = element_get(got->data, (uint8_t)got->type, i);
    if (numbers_agree(have, want[i], tolerance, scale)) continue;
    print_error("%s\n%s at batch %lld, element %lld is %.17g, by the oracle %.17g\n", failing, what, (long long)batch,
                (long long)i, have, want[i]);
    wrongs++;
    return;
  }
}

/* The outputs of one evaluation, then the parameters behind one step. */
static void check_batch(Evaluation *e, const Compiled *compiled, const MachineCode *feeds, int64_t batch, double tolerance) {
  InterpInput input = evaluation_input(e);
  GradcTensor t;
  int64_t n;
  for (int i = 0; i < 4; i++) input.batch[i] = batch;
  MachineCode m = *feeds;
  const int64_t capacity = CAPACITY;
  assert_int_equal(gradc_create(compiled_program(compiled), 1, &capacity, 1, &m.model, NULL), GRADC_OK);
  gradc_progress(m.model)->steps = 1;
  assert_int_equal(gradc_eval(m.model, (const void *const *)m.feeds, &batch), GRADC_OK);
  Interp *interp = interp_new(e->program->eval, &input);
  const Output *out = &e->program->eval->outputs.data[0];
  const double *want = interp_value(interp, out->node, &n);
  assert_int_equal(gradc_output(m.model, out->name, &t), GRADC_OK);
  compare("the output", batch, want, &t, n, tolerance);
  interp_free(interp);
  assert_int_equal(gradc_train_step(m.model, (const void *const *)m.feeds, &batch), GRADC_OK);
  input.draw = 1;
  interp = interp_new(e->program->train, &input);
  for (uint32_t i = 0; i < e->program->train->outputs.count; i++) {
    const Output *o = &e->program->train->outputs.data[i];
    if (o->kind != OUT_SLOT) continue;
    want = interp_value(interp, o->node, &n);
    assert_int_equal(gradc_tensor_at(m.model, o->slot, &t), GRADC_OK);
    compare("a parameter behind a step", batch, want, &t, n, tolerance);
  }
  interp_free(interp);
  gradc_free(m.model);
}

static void check_case(int at, Type type, double tolerance) {
  char text[2048];
  snprintf(text, sizeof text,
           "model m {\n input x: [3]\n input y: [] of label[4]\n param w: [3, 3] ~ normal(0, 0.5)\n %s\n output out = %s\n"
           " loss %s\n}\ntrain { optimizer = sgd(0.1); batch = %d; steps = 1 }\n",
           cases[at].lets, cases[at].out, cases[at].each, CAPACITY);
  failing = text;
  Evaluation e;
  MachineCode m;
  evaluation_open(&e, text, type, CAPACITY);
  for (uint32_t i = 0; i < e.count; i++) {
    const Slot *s = &e.program->eval->slots.data[i];
    for (int64_t k = 0; k < e.sizes[i] && slot_is_feed(s); k++) {
      e.slots[i][k] = s->type == TYPE_I32 ? floor(4 * draw()) : 2 * draw() - 1;
      if (s->type == TYPE_F32) e.slots[i][k] = (double)(float)e.slots[i][k];
    }
  }
  evaluation_start(&e);
  machine_open(&m, &e, 1u << GRADC_ENTRY_EVAL | 1u << GRADC_ENTRY_TRAIN);
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) check_batch(&e, m.compiled, &m, batches[i], tolerance);
  machine_close(&m);
  evaluation_close(&e);
}

static void test_f64(void **state) {
  for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) check_case(i, TYPE_F64, 1e-11);
  assert_int_equal(wrongs, 0);
}

static void test_f32(void **state) {
  for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) check_case(i, TYPE_F32, 2e-5);
  assert_int_equal(wrongs, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_f64), cmocka_unit_test(test_f32)};
  return cmocka_run_group_tests_name("pairs", tests, NULL, NULL);
}
