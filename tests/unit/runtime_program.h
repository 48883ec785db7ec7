/* A compiled model written by hand, for tests of the runtime: linear regression by gradient descent with momentum, with
 * a slot of every kind and type. The entries record what the runtime gave them. */
#ifndef RUNTIME_PROGRAM_H
#define RUNTIME_PROGRAM_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gradc.h"
#include "rng.h"

enum { SLOT_X, SLOT_Y, SLOT_KIND, SLOT_MASK, SLOT_W, SLOT_B, SLOT_SEEN, SLOT_FLAGS, SLOT_V, SLOT_TOTAL, SLOTS };
static const GradcSlot slots[SLOTS] = {
    [SLOT_X] = {"x", GRADC_SLOT_INPUT, GRADC_F32, 2, 0, {-1, 3}},
    [SLOT_Y] = {"y", GRADC_SLOT_TARGET, GRADC_F32, 1, 0, {-1}},
    [SLOT_KIND] = {"kind", GRADC_SLOT_TARGET, GRADC_I32, 1, 4, {-1}},
    [SLOT_MASK] = {"mask", GRADC_SLOT_INPUT, GRADC_BOOL, 1, 0, {-1}},
    [SLOT_W] = {"dense.W", GRADC_SLOT_PARAM, GRADC_F32, 2, 0, {3, 1}},
    [SLOT_B] = {"dense.b", GRADC_SLOT_PARAM, GRADC_F64, 0, 0, {0}},
    [SLOT_SEEN] = {"seen", GRADC_SLOT_STATE, GRADC_I32, 0, 0, {0}},
    [SLOT_FLAGS] = {"flags", GRADC_SLOT_STATE, GRADC_BOOL, 1, 0, {5}},
    [SLOT_V] = {"dense.W/v", GRADC_SLOT_OPTIMIZER, GRADC_F32, 2, 0, {3, 1}},
    [SLOT_TOTAL] = {"worst.total", GRADC_SLOT_METRIC, GRADC_F64, 1, 0, {2}},
};

enum { ROW_ERROR = SLOTS, ROW_PREDICTION, ROW_LOSS, ROW_WEIGHT, ROW_WORST, ROW_FRAME, ROWS };
/* In the arena: 3 lines of scalars, then the errors and behind them the predictions, 4 bytes an example each. */
static const GradcBuffer buffers[ROWS] = {
    {GRADC_AT_SLOT, .slot = SLOT_X},
    {GRADC_AT_SLOT, .slot = SLOT_Y},
    {GRADC_AT_SLOT, .slot = SLOT_KIND},
    {GRADC_AT_SLOT, .slot = SLOT_MASK},
    {GRADC_AT_SLOT, .slot = SLOT_W},
    {GRADC_AT_SLOT, .slot = SLOT_B},
    {GRADC_AT_SLOT, .slot = SLOT_SEEN},
    {GRADC_AT_SLOT, .slot = SLOT_FLAGS},
    {GRADC_AT_SLOT, .slot = SLOT_V},
    {GRADC_AT_SLOT, .slot = SLOT_TOTAL},
    [ROW_ERROR] = {GRADC_AT_ARENA, .offset = 192},
    [ROW_PREDICTION] = {GRADC_AT_ARENA, .offset = 192, .offset_batch = {4}},
    [ROW_LOSS] = {GRADC_AT_ARENA, .offset = 0},
    [ROW_WEIGHT] = {GRADC_AT_ARENA, .offset = 8},
    [ROW_WORST] = {GRADC_AT_ARENA, .offset = 16},
    [ROW_FRAME] = {GRADC_AT_ARENA, .offset = 64}, /* step, steps, epoch, seed, draw, threads, batch as doubles */
};

static const GradcOutput train_outputs[] = {
    {"loss", GRADC_OUT_LOSS, GRADC_F64, 0, {0}, ROW_LOSS, ROW_WEIGHT},
    {"frame", GRADC_OUT_VALUE, GRADC_F64, 1, {7}, ROW_FRAME, UINT32_MAX},
};
static const GradcOutput eval_outputs[] = {
    {"prediction", GRADC_OUT_OUTPUT, GRADC_F32, 1, {-1}, ROW_PREDICTION, UINT32_MAX},
    {"loss", GRADC_OUT_LOSS, GRADC_F64, 0, {0}, ROW_LOSS, ROW_WEIGHT},
    {"worst", GRADC_OUT_METRIC, GRADC_F64, 0, {0}, ROW_WORST, UINT32_MAX},
    {"frame", GRADC_OUT_VALUE, GRADC_F64, 1, {7}, ROW_FRAME, UINT32_MAX},
};

static void program_init(GradcFrame *frame, int64_t thread, int64_t threads, void *scratch) {
  (void)threads, (void)scratch;
  if (thread) return;
  GradcRng rng = gradc_rng(frame->seed, (uint32_t)frame->draw, 1);
  float *w = frame->buffers[SLOT_W], *v = frame->buffers[SLOT_V];
  for (int i = 0; i < 3; i++) w[i] = (float)gradc_rng_uniform(&rng), v[i] = 0;
  *(double *)frame->buffers[SLOT_B] = 0.25;
  *(int32_t *)frame->buffers[SLOT_SEEN] = -5;
  memcpy(frame->buffers[SLOT_FLAGS], (uint8_t[]){1, 0, 1, 1, 0}, 5);
  ((double *)frame->buffers[SLOT_TOTAL])[0] = 0;
  ((double *)frame->buffers[SLOT_TOTAL])[1] = 1;
}

static void write_frame(GradcFrame *frame, int64_t threads) {
  double *out = frame->buffers[ROW_FRAME];
  out[0] = frame->step, out[1] = frame->steps, out[2] = frame->epoch, out[3] = (double)frame->seed;
  out[4] = (double)frame->draw, out[5] = (double)threads, out[6] = (double)frame->batch[0];
}

/* Predictions and errors of this thread's share of the rows, then a barrier. `scratch` passes one value a row. */
static void forward(GradcFrame *frame, int64_t thread, int64_t threads, void *scratch) {
  int64_t batch = frame->batch[0];
  const float *x = frame->buffers[SLOT_X], *y = frame->buffers[SLOT_Y], *w = frame->buffers[SLOT_W];
  const uint8_t *mask = frame->buffers[SLOT_MASK];
  float *error = frame->buffers[ROW_ERROR], *prediction = frame->buffers[ROW_PREDICTION];
  double *own = scratch;
  for (int64_t i = thread * batch / threads; i < (thread + 1) * batch / threads; i++) {
    *own = *(const double *)frame->buffers[SLOT_B];
    for (int k = 0; k < 3; k++) *own += (double)x[3 * i + k] * w[k];
    prediction[i] = (float)*own;
    error[i] = mask[i] ? prediction[i] - y[i] : 0;
  }
  frame->barrier(frame, thread);
}

static void judge(GradcFrame *frame) {
  const float *error = frame->buffers[ROW_ERROR];
  const uint8_t *mask = frame->buffers[SLOT_MASK];
  double *sum = frame->buffers[ROW_LOSS], *weight = frame->buffers[ROW_WEIGHT], *total = frame->buffers[SLOT_TOTAL];
  *sum = *weight = 0;
  for (int64_t i = 0; i < frame->batch[0]; i++) {
    *sum += (double)error[i] * error[i], *weight += mask[i];
    if (fabs(error[i]) > total[0]) total[0] = fabs(error[i]);
  }
  total[1] *= 2;
  *(double *)frame->buffers[ROW_WORST] = total[0];
}

static void program_train(GradcFrame *frame, int64_t thread, int64_t threads, void *scratch) {
  forward(frame, thread, threads, scratch);
  const float *x = frame->buffers[SLOT_X], *error = frame->buffers[ROW_ERROR];
  float *w = frame->buffers[SLOT_W], *v = frame->buffers[SLOT_V];
  double rate = 0.1 / (double)frame->batch[0], slope = 0;
  /* Each weight belongs to one thread; its sum is in the order of the rows: the same bits on any number of threads. */
  for (int64_t k = thread; k < 3; k += threads) {
    double gradient = 0;
    for (int64_t i = 0; i < frame->batch[0]; i++) gradient += (double)error[i] * x[3 * i + k];
    v[k] = (float)(0.9 * v[k] + gradient);
    w[k] = (float)(w[k] - rate * v[k]);
  }
  if (thread) return;
  for (int64_t i = 0; i < frame->batch[0]; i++) slope += error[i];
  *(double *)frame->buffers[SLOT_B] -= rate * slope;
  *(int32_t *)frame->buffers[SLOT_SEEN] += (int32_t)frame->batch[0];
  judge(frame);
  write_frame(frame, threads);
}

static void program_eval(GradcFrame *frame, int64_t thread, int64_t threads, void *scratch) {
  forward(frame, thread, threads, scratch);
  if (thread) return;
  judge(frame);
  write_frame(frame, threads);
}

static const GradcProgram program = {
    .abi = GRADC_ABI_VERSION,
    .name = "line",
    .hash = 0x0123456789abcdef,
    .slot_count = SLOTS,
    .buffer_count = ROWS,
    .slots = slots,
    .buffers = buffers,
    .entries = {
        [GRADC_ENTRY_INIT] = {program_init, .max_threads = 1},
        [GRADC_ENTRY_TRAIN] = {program_train, .arena = 192, .arena_batch = {8}, .scratch = 8, .max_threads = 8, .output_count = 2, .outputs = train_outputs},
        [GRADC_ENTRY_EVAL] = {program_eval, .arena = 192, .arena_batch = {8}, .scratch = 8, .max_threads = 4, .output_count = 4, .outputs = eval_outputs},
    },
};

/* Eight examples of y = 2 x0 - x1 + 0.5 x2 + 1. */
enum { EXAMPLES = 8 };
typedef struct {
  float x[EXAMPLES][3], y[EXAMPLES];
  int32_t kind[EXAMPLES];
  uint8_t mask[EXAMPLES];
  const void *inputs[4];
} Examples;

static inline void examples_fill(Examples *e, uint64_t seed) {
  GradcRng rng = gradc_rng(seed, 0, 99);
  for (int i = 0; i < EXAMPLES; i++) {
    for (int k = 0; k < 3; k++) e->x[i][k] = (float)gradc_rng_uniform(&rng);
    e->y[i] = 2 * e->x[i][0] - e->x[i][1] + 0.5f * e->x[i][2] + 1;
    e->kind[i] = i % 5 - 1;
    e->mask[i] = 1;
  }
  e->inputs[0] = e->x, e->inputs[1] = e->y, e->inputs[2] = e->kind, e->inputs[3] = e->mask;
}

static inline GradcModel *line_create(uint64_t seed, int64_t capacity, int threads) {
  GradcModel *model;
  GradcMessage message = {""};
  GradcStatus status = gradc_create(&program, seed, &capacity, threads, &model, &message);
  if (status) fail_msg("%s", message.text);
  return model;
}

static inline double line_loss(GradcModel *model) {
  const GradcFigure *figures;
  assert_true(gradc_figures(model, &figures) >= 1);
  assert_string_equal(figures[0].name, "loss");
  return figures[0].value;
}

/* Everything that a checkpoint holds, as bytes; free() it. */
static inline char *line_bytes(GradcModel *model, size_t *size) {
  char *all = NULL;
  *size = 0;
  for (int64_t i = 0; i < SLOTS; i++) {
    GradcTensor tensor;
    if (slots[i].kind <= GRADC_SLOT_TARGET || slots[i].kind == GRADC_SLOT_METRIC) continue;
    assert_int_equal(gradc_tensor_at(model, i, &tensor), GRADC_OK);
    all = realloc(all, *size + (size_t)tensor.bytes);
    memcpy(all + *size, tensor.data, (size_t)tensor.bytes);
    *size += (size_t)tensor.bytes;
  }
  return all;
}

static inline void assert_same_bytes(GradcModel *a, GradcModel *b) {
  size_t size_a, size_b;
  char *bytes_a = line_bytes(a, &size_a), *bytes_b = line_bytes(b, &size_b);
  assert_int_equal(size_a, size_b);
  assert_memory_equal(bytes_a, bytes_b, size_a);
  free(bytes_a), free(bytes_b);
}
#endif
