/* lanes.c: small images, whose examples lie side by side in the lanes while they train (schedule/layout.c): losses and
 * gradients in f32 by machine code against the oracle, for batches below, at and above a group of 16. */
#include "evaluate.h"

static const char *const layers[] = {
    "h |> conv1d(3, 3, stride = 1)",
    "h |> conv1d(3, 3, stride = 2, padding = same) |> tanh |> conv1d(2, 2)",
    "h |> conv1d(2, 3, padding = 1, dilation = 2)",
    "h |> conv_transpose1d(3, 3, stride = 2, padding = same)",
    "h |> conv_transpose1d(3, 3, stride = 1)",
    "h |> conv_transpose1d(2, 2, stride = 3)",
    "h |> conv_transpose1d(2, 3, stride = 2) |> tanh |> conv1d(2, 3, padding = same)",
    "max_pool(h |> conv1d(3, 3, padding = same), 2)",
    "mean_pool(h |> conv1d(3, 3, padding = same) |> relu, 3, stride = 1, padding = same)",
    "h |> reshape([3, 4, 2]) |> tanh |> conv2d(3, 2, padding = same)",
    "h |> reshape([3, 4, 2]) |> tanh |> conv_transpose2d(3, 2, stride = 2)",
    "h |> reshape([3, 4, 2]) |> tanh |> conv_transpose2d(2, 3, stride = 2, padding = same) |> max_pool(2)",
};

/* The loss, and the gradients by each parameter. */
static void check(const char *layer, int64_t batch) {
  char text[512];
  snprintf(text, sizeof text,
           "model m {\n  input x: [6, 4]\n  let inner = dense(4)\n  let h = tanh(inner(x) + inner(sin(x)))\n  loss mean((%s)^2)\n}\n"
           "train { optimizer = sgd(1); batch = %lld; steps = 1 }\n", layer, (long long)batch);
  Evaluation e;
  evaluation_open(&e, text, TYPE_F32, batch);
  for (uint32_t i = 0; i < e.count; i++)
    for (int64_t k = 0; slot_is_feed(&e.program->eval->slots.data[i]) && k < e.sizes[i]; k++) e.slots[i][k] = (float)sin(1.7 * (double)k + 0.3);
  MachineCode m;
  evaluation_start(&e);
  machine_open(&m, &e, 1u << GRADC_ENTRY_TRAIN);
  const Graph *g = e.program->train;
  for (uint32_t i = 0; i < e.count; i++) { /* one start for both */
    GradcTensor t;
    if (slot_is_feed(&g->slots.data[i]) || gradc_tensor_at(m.model, i, &t) != GRADC_OK) continue;
    for (int64_t k = 0; k < t.count; k++) e.slots[i][k] = element_get(t.data, (uint8_t)t.type, k);
  }
  machine_train(&m, &e);
  InterpInput input = evaluation_input(&e);
  input.draw = 1;
  Interp *interp = interp_new(g, &input);
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    GradcTensor t;
    int64_t n;
    if (o->kind != OUT_SLOT || gradc_tensor_at(m.model, o->slot, &t) != GRADC_OK) continue;
    const double *want = interp_value(interp, o->node, &n);
    for (int64_t k = 0; k < n; k++)
      if (!numbers_agree(element_get(t.data, (uint8_t)t.type, k), want[k], 3e-6, 1))
        fail_msg("%s, batch %d: element %d of `%s` becomes %.8g, not %.8g", layer, (int)batch, (int)k, g->slots.data[o->slot].name,
                 element_get(t.data, (uint8_t)t.type, k), want[k]);
  }
  interp_free(interp);
  machine_close(&m);
  evaluation_close(&e);
}

static void test_lanes(void **state) {
  static const int64_t batches[] = {1, 5, 16, 19};
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) /* each with two of them: code takes time to make */
    check(layers[i], batches[i % 4]), check(layers[i], batches[(i / 4 + i + 1) % 4]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lanes)};
  return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
