/* Instances of a program: memory to the byte, training on any number of threads with the same bits, evaluation with and
 * without targets, results, parameters, and every way to call it wrongly. */
#include "runtime_program.h"
#include <pthread.h>

static void test_program_queries(void **state) {
  assert_int_equal(gradc_batch_count(&program), 1);
  assert_int_equal(gradc_feed_count(&program), 4);
  assert_string_equal(gradc_feed(&program, 2)->name, "kind");
  assert_string_equal(gradc_feed(&program, 3)->name, "mask");
  assert_null(gradc_feed(&program, 4));
  assert_null(gradc_feed(&program, -1));
  assert_int_equal(gradc_find_slot(&program, "dense.W/v"), SLOT_V);
  assert_int_equal(gradc_find_slot(&program, "dense"), -1);
  assert_true(gradc_available_memory() > 0);
  assert_true(gradc_processors() >= 1);
}

static void test_memory_is_exact(void **state) {
  GradcMemory memory;
  int64_t capacity = 17;
  assert_int_equal(gradc_memory(&program, &capacity, 2, &memory, NULL), GRADC_OK);
  assert_int_equal(memory.parameters, 128);
  assert_int_equal(memory.states, 128);
  assert_int_equal(memory.optimizer, 64);
  assert_int_equal(memory.metrics, 3 * 64);
  assert_int_equal(memory.arena, 128 + 192 + 8 * 32); /* targets of 32 * 4 bytes; the arena at 32, which 17 rounds to */
  assert_int_equal(memory.scratch, 2 * 64);
  assert_int_equal(memory.threads, 2);
  assert_int_equal(memory.total, memory.tables + memory.parameters + memory.states + memory.optimizer + memory.metrics +
                                     memory.arena + memory.scratch);
  GradcModel *model = line_create(1, capacity, 2);
  GradcMemory again = gradc_model_memory(model);
  assert_memory_equal(&again, &memory, sizeof memory);
  gradc_free(model);
  assert_int_equal(gradc_memory(&program, &capacity, 200, &memory, NULL), GRADC_OK);
  assert_int_equal(memory.threads, 8); /* no more than an entry can use */
}

/* Parameters, states and optimiser states lie one behind another, each on a line of its own. */
/* An entry may be compiled while instances live: they have room for it from the beginning. */
static void test_memory_counts_later_entries(void **state) {
  for (int e = GRADC_ENTRY_TRAIN; e < GRADC_ENTRY_COUNT; e++) {
    GradcProgram later = program;
    GradcMemory memory, all;
    int64_t capacity = 8;
    later.entries[e].arena = 1 << 20;
    later.entries[e].scratch = 1 << 16;
    assert_int_equal(gradc_memory(&later, &capacity, 1, &all, NULL), GRADC_OK);
    later.entries[e].run = NULL;
    assert_int_equal(gradc_memory(&later, &capacity, 1, &memory, NULL), GRADC_OK);
    assert_int_equal(memory.total, all.total);
    assert_true(memory.arena >= 1 << 20);
  }
}

static void test_contiguous(void **state) {
  GradcModel *model = line_create(1, 8, 1);
  const char *const names[] = {"dense.W", "dense.b", "seen", "flags", "dense.W/v"};
  char *first = NULL;
  for (int i = 0; i < 5; i++) {
    GradcTensor tensor;
    assert_int_equal(gradc_tensor(model, names[i], &tensor), GRADC_OK);
    assert_int_equal((uintptr_t)tensor.data % 64, 0);
    if (!first) first = tensor.data;
    assert_ptr_equal(tensor.data, first + (ptrdiff_t)64 * i);
  }
  gradc_free(model);
}

static void train(GradcModel *model, int steps, int64_t batch) {
  for (int i = 0; i < steps; i++) {
    Examples e;
    examples_fill(&e, (uint64_t)i);
    assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_OK);
  }
}

static void test_trains(void **state) {
  GradcModel *model = line_create(3, 8, 1);
  train(model, 2000, 8);
  assert_true(line_loss(model) < 1e-6);
  float w[3];
  double b;
  int32_t seen;
  assert_int_equal(gradc_get(model, "dense.W", w, sizeof w), GRADC_OK);
  assert_int_equal(gradc_get(model, "dense.b", &b, sizeof b), GRADC_OK);
  assert_int_equal(gradc_get(model, "seen", &seen, sizeof seen), GRADC_OK);
  assert_true(fabs(w[0] - 2) < 0.01 && fabs(w[1] + 1) < 0.01 && fabs(w[2] - 0.5) < 0.01 && fabs(b - 1) < 0.01);
  assert_int_equal(seen, 2000 * 8 - 5);
  gradc_free(model);
}

static void test_same_bits_on_threads(void **state) {
  for (int64_t batch = 5; batch <= 8; batch += 3) {
    GradcModel *one = line_create(7, 8, 1);
    train(one, 50, batch);
    for (int threads = 2; threads <= 8; threads *= 2) {
      GradcModel *many = line_create(7, 8, threads);
      train(many, 50, batch);
      assert_same_bytes(one, many);
      assert_true(line_loss(one) == line_loss(many));
      gradc_free(many);
    }
    gradc_free(one);
  }
}

static void test_seeds(void **state) {
  GradcModel *a = line_create(1, 8, 1), *b = line_create(2, 8, 1);
  float wa[3], wb[3];
  gradc_get(a, "dense.W", wa, sizeof wa), gradc_get(b, "dense.W", wb, sizeof wb);
  assert_memory_not_equal(wa, wb, sizeof wa);
  train(b, 5, 8);
  assert_int_equal(gradc_reset(b, 1), GRADC_OK);
  assert_same_bytes(a, b);
  assert_int_equal(gradc_progress(b)->step, 0);
  gradc_free(a), gradc_free(b);
}

static const double *frame_of(GradcModel *model) {
  GradcTensor tensor;
  assert_int_equal(gradc_output(model, "frame", &tensor), GRADC_OK);
  return tensor.data;
}

/* What an entry sees: step from 1, draw = step in training and 0 in evaluation, the caller's steps and epoch. */
static void test_frame(void **state) {
  Examples e;
  examples_fill(&e, 0);
  int64_t batch = 6;
  GradcModel *model = line_create(11, 8, 2);
  gradc_progress(model)->steps = 500;
  gradc_progress(model)->epoch = 2.5;
  for (int i = 1; i <= 3; i++) {
    assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_OK);
    const double *frame = frame_of(model);
    const double expected[] = {i, 500, 2.5, 11, i, 2, 6};
    assert_memory_equal(frame, expected, sizeof expected);
  }
  batch = 1;
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  const double expected[] = {3, 500, 2.5, 11, 0, 2, 1};
  assert_memory_equal(frame_of(model), expected, sizeof expected);
  gradc_progress(model)->step = 99;
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_OK);
  assert_true(frame_of(model)[0] == 100 && frame_of(model)[4] == 100);
  gradc_free(model);
}

static void test_outputs_and_figures(void **state) {
  Examples e;
  examples_fill(&e, 1);
  int64_t batch = 5;
  GradcModel *model = line_create(1, 20, 2);
  GradcTensor tensor;
  const GradcFigure *figures;
  assert_int_equal(gradc_figures(model, &figures), 0);
  assert_int_equal(gradc_output_count(model), 0);
  assert_int_equal(gradc_output(model, "prediction", &tensor), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "no output \"prediction\": nothing has run yet");
  assert_int_equal(gradc_set(model, "dense.W", (float[]){1, 2, 3}, 12), GRADC_OK);
  e.mask[2] = 0;
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  assert_int_equal(gradc_output_count(model), 2);
  assert_int_equal(gradc_output_at(model, 0, &tensor), GRADC_OK);
  assert_string_equal(tensor.name, "prediction");
  assert_int_equal(tensor.type, GRADC_F32);
  assert_int_equal(tensor.rank, 1);
  assert_int_equal(tensor.dims[0], 5);
  assert_int_equal(tensor.bytes, 20);
  double sum = 0, worst = 0;
  for (int i = 0; i < 5; i++) {
    float expected = (float)(0.25 + (double)e.x[i][0] + 2 * (double)e.x[i][1] + 3 * (double)e.x[i][2]);
    assert_true(((float *)tensor.data)[i] == expected);
    float error = e.mask[i] ? expected - e.y[i] : 0;
    sum += (double)error * error;
    worst = fmax(worst, fabsf(error));
  }
  assert_int_equal(gradc_figures(model, &figures), 2);
  assert_string_equal(figures[0].name, "loss");
  assert_int_equal(figures[0].kind, GRADC_OUT_LOSS);
  assert_int_equal(figures[0].adds_up, 1);
  assert_true(figures[0].sum == sum && figures[0].weight == 4 && figures[0].value == sum / 4);
  assert_string_equal(figures[1].name, "worst");
  assert_int_equal(figures[1].adds_up, 0);
  assert_true(figures[1].value == worst && figures[1].weight == 1);
  memset(e.mask, 0, sizeof e.mask);
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  assert_int_equal(gradc_figures(model, &figures), 2);
  assert_true(figures[0].weight == 0 && figures[0].value == 0);
  assert_int_equal(gradc_output_at(model, 2, &tensor), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_output_at(model, -1, &tensor), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_output(model, "loss", &tensor), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "the model \"line\" has no output \"loss\" in evaluation");
  gradc_free(model);
}

/* Without targets there are outputs, but no figures, and nothing of the model changes, the metric's state included. */
static void test_without_targets(void **state) {
  Examples e;
  examples_fill(&e, 1);
  int64_t batch = 8;
  GradcModel *model = line_create(1, 8, 2);
  GradcTensor total, prediction;
  float with[8];
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  assert_int_equal(gradc_output(model, "prediction", &prediction), GRADC_OK);
  memcpy(with, prediction.data, sizeof with);
  assert_int_equal(gradc_tensor(model, "worst.total", &total), GRADC_OK);
  double before[2];
  memcpy(before, total.data, sizeof before);
  assert_true(before[0] > 0 && before[1] == 2);
  e.inputs[1] = e.inputs[2] = NULL;
  for (int i = 0; i < 3; i++) assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  assert_memory_equal(total.data, before, sizeof before);
  assert_int_equal(gradc_output(model, "prediction", &prediction), GRADC_OK);
  assert_memory_equal(prediction.data, with, sizeof with);
  assert_int_equal(gradc_figures(model, NULL), 0);
  examples_fill(&e, 1);
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  assert_true(((double *)total.data)[1] == 4); /* the live state went on where it was */
  assert_int_equal(gradc_figures(model, NULL), 2);
  gradc_reset_metrics(model);
  assert_true(((double *)total.data)[0] == 0 && ((double *)total.data)[1] == 1);
  gradc_free(model);
}

static void test_callers_memory(void **state) {
  GradcMemory memory;
  GradcModel *model = NULL, *own = line_create(4, 8, 2);
  GradcMessage message;
  int64_t capacity = 8;
  assert_int_equal(gradc_memory(&program, &capacity, 2, &memory, NULL), GRADC_OK);
  /* Exactly that many bytes, so that the address sanitizer sees one more. */
  void *buffer = NULL;
  assert_int_equal(posix_memalign(&buffer, 64, (size_t)memory.total), 0);
  assert_int_equal(gradc_create_at(&program, 4, &capacity, 2, buffer, memory.total - 1, &model, &message),
                   GRADC_ERROR_ARGUMENT);
  assert_non_null(strstr(message.text, "needs "));
  assert_null(model);
  assert_int_equal(gradc_create_at(&program, 4, &capacity, 2, (char *)buffer + 8, memory.total, &model, &message),
                   GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_create_at(&program, 4, &capacity, 2, NULL, memory.total, &model, &message),
                   GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_create_at(&program, 4, &capacity, 2, buffer, memory.total, &model, &message), GRADC_OK);
  assert_ptr_equal(model, buffer);
  train(model, 20, 8), train(own, 20, 8);
  assert_same_bytes(model, own);
  gradc_free(model), gradc_free(own);
  free(buffer);
}

static void test_wrong_steps(void **state) {
  Examples e;
  examples_fill(&e, 1);
  GradcModel *model = line_create(1, 8, 1), *same = line_create(1, 8, 1);
  int64_t batch = 9;
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "a batch of 9 examples: this instance takes 1 to 8");
  batch = 0;
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  batch = -1;
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  batch = 8;
  assert_int_equal(gradc_train_step(model, NULL, &batch), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_train_step(model, e.inputs, NULL), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_train_step(NULL, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_eval(NULL, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  e.kind[6] = 4;
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model),
                      "kind: element 6 is 4: a label of 4 classes is 0 to 3, or -1 where it is not known");
  batch = 6; /* the bad label is outside this batch */
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  batch = 8;
  e.kind[6] = -2;
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  e.kind[6] = INT32_MIN;
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  e.kind[6] = INT32_MAX;
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  e.kind[6] = -1;
  e.mask[7] = 2;
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "mask: element 7 is 2: a truth value is 0 or 1");
  e.mask[7] = 1;
  e.inputs[1] = NULL;
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "target \"y\" was not given");
  e.inputs[1] = e.y, e.inputs[3] = NULL;
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "input \"mask\" was not given");
  e.inputs[3] = e.mask, e.inputs[0] = (char *)e.x + 2;
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "x: the array is not aligned to its F32 elements");
  assert_int_equal(gradc_progress(model)->step, 0);
  assert_same_bytes(model, same);
  gradc_free(model), gradc_free(same), gradc_free(NULL);
}

static void test_wrong_names(void **state) {
  GradcModel *model = line_create(1, 8, 1);
  GradcTensor tensor;
  float w[4];
  assert_int_equal(gradc_tensor(model, "dense.U", &tensor), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "the model \"line\" has no parameter or state \"dense.U\"");
  assert_int_equal(gradc_tensor(model, "x", &tensor), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "\"x\" is an input: the model does not keep it");
  assert_int_equal(gradc_tensor_at(model, -1, &tensor), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_tensor_at(model, SLOTS, &tensor), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_get(model, "dense.W", w, sizeof w), GRADC_ERROR_ARGUMENT);
  assert_string_equal(gradc_message(model), "\"dense.W\" is F32 [3, 1]: 12 bytes, not 16");
  assert_int_equal(gradc_set(model, "dense.W", w, 4), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_set(model, "dense.W", NULL, 12), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_get(model, NULL, w, 4), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_tensor(NULL, "x", &tensor), GRADC_ERROR_ARGUMENT);
  gradc_free(model);
}

static void expect_create(const GradcProgram *wrong, int64_t capacity, int threads, GradcStatus expected, const char *words) {
  GradcModel *model = (GradcModel *)&model;
  GradcMessage message = {""};
  GradcMemory memory;
  assert_int_equal(gradc_create(wrong, 1, &capacity, threads, &model, &message), expected);
  assert_null(model);
  if (!strstr(message.text, words)) fail_msg("\"%s\" is not in: %s", words, message.text);
  GradcStatus asked = gradc_memory(wrong, &capacity, threads, &memory, NULL);
  assert_true(asked == expected || asked == GRADC_OK);
}

static void test_wrong_programs(void **state) {
  GradcProgram wrong = program;
  expect_create(NULL, 8, 1, GRADC_ERROR_ARGUMENT, "no program");
  wrong.abi = 77;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "version 77");
  wrong = program, wrong.slots = NULL;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "damaged");
  wrong = program, wrong.name = NULL;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "damaged");
  wrong = program, wrong.entries[GRADC_ENTRY_INIT].run = NULL;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "initialises");
  wrong = program, wrong.entries[GRADC_ENTRY_TRAIN].scratch = -1;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "row 1 of its entries");
  wrong = program, wrong.entries[GRADC_ENTRY_EVAL].arena = 16, wrong.entries[GRADC_ENTRY_TRAIN].arena = 16;
  wrong.entries[GRADC_ENTRY_EVAL].arena_batch[0] = wrong.entries[GRADC_ENTRY_TRAIN].arena_batch[0] = 0;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "outside its arena");
  GradcSlot bad_slots[SLOTS];
  memcpy(bad_slots, slots, sizeof slots);
  wrong = program, wrong.slots = bad_slots;
  bad_slots[SLOT_W].rank = 9;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "row 4 of its slots");
  bad_slots[SLOT_W] = slots[SLOT_W], bad_slots[SLOT_W].dims[0] = -1; /* a parameter has no batch axis */
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "row 4 of its slots");
  bad_slots[SLOT_W] = slots[SLOT_W], bad_slots[SLOT_X].dims[0] = INT64_MIN;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "row 0 of its slots");
  GradcOutput bad_output = train_outputs[0];
  wrong = program, wrong.entries[GRADC_ENTRY_TRAIN].outputs = &bad_output;
  wrong.entries[GRADC_ENTRY_TRAIN].output_count = 1;
  bad_output.buffer = ROWS;
  expect_create(&wrong, 8, 1, GRADC_ERROR_PROGRAM, "row 0 of its outputs");
}

/* Values for pairs of examples: room for the product of the capacities, behind what grows with one. */
static void test_pairs(void **state) {
  GradcMemory plain, paired;
  int64_t capacity = 17;
  GradcProgram both = program;
  GradcBuffer rows[ROWS];
  memcpy(rows, buffers, sizeof rows);
  both.buffers = rows;
  both.entries[GRADC_ENTRY_TRAIN].arena_pair[gradc_pair(0, 0)] = 12;
  assert_int_equal(gradc_memory(&program, &capacity, 1, &plain, NULL), GRADC_OK);
  assert_int_equal(gradc_memory(&both, &capacity, 1, &paired, NULL), GRADC_OK);
  assert_int_equal(paired.arena - plain.arena, 12 * 32 * 32);
  assert_int_equal(paired.total - plain.total, 12 * 32 * 32);
  rows[ROW_ERROR] = (GradcBuffer){GRADC_AT_ARENA, .pair = 1, .entry = GRADC_ENTRY_TRAIN, .offset = 192, .offset_batch = {8},
                                  .offset_pair = 12};
  GradcModel *model = NULL;
  GradcMessage message;
  assert_int_equal(gradc_create(&both, 1, &capacity, 1, &model, &message), GRADC_OK);
  gradc_free(model);
  rows[ROW_ERROR].offset_pair = 13; /* beyond the end */
  expect_create(&both, 17, 1, GRADC_ERROR_PROGRAM, "outside its arena");
  rows[ROW_ERROR].offset_pair = 0, rows[ROW_ERROR].pair = GRADC_MAX_PAIRS + 1;
  expect_create(&both, 17, 1, GRADC_ERROR_PROGRAM, "row 10 of its buffers");
  rows[ROW_ERROR].pair = 1, rows[ROW_ERROR].entry = GRADC_ENTRY_COUNT;
  expect_create(&both, 17, 1, GRADC_ERROR_PROGRAM, "row 10 of its buffers");
  rows[ROW_ERROR] = buffers[ROW_ERROR];
  expect_create(&both, (int64_t)1 << 32, 1, GRADC_ERROR_MEMORY, "more memory than can be addressed");
  both.entries[GRADC_ENTRY_TRAIN].arena_pair[0] = -1;
  expect_create(&both, 17, 1, GRADC_ERROR_PROGRAM, "row 1 of its entries");
  both.entries[GRADC_ENTRY_TRAIN].arena_pair[0] = 0;
  both.entries[GRADC_ENTRY_TRAIN].arena_pair[gradc_pair(2, 1)] = 4; /* of two more data blocks */
  assert_int_equal(gradc_batch_count(&both), 3);
  for (int a = 0, n = 0; a < GRADC_MAX_BATCHES; a++) /* numbered without gaps, whatever the order of the two */
    for (int b = a; b < GRADC_MAX_BATCHES; b++, n++) assert_true(gradc_pair(a, b) == n && gradc_pair(b, a) == n);
}

static void test_wrong_sizes(void **state) {
  expect_create(&program, 0, 1, GRADC_ERROR_ARGUMENT, "at least 1");
  expect_create(&program, -3, 1, GRADC_ERROR_ARGUMENT, "at least 1");
  expect_create(&program, 8, -1, GRADC_ERROR_ARGUMENT, "threads");
  expect_create(&program, INT64_MAX, 1, GRADC_ERROR_ARGUMENT, "capacity");
  expect_create(&program, INT64_MAX - 16, 1, GRADC_ERROR_MEMORY, "addressed");
  expect_create(&program, INT64_MAX / 8, 1, GRADC_ERROR_MEMORY, "addressed");
  expect_create(&program, (int64_t)1 << 45, 1, GRADC_ERROR_MEMORY, "the machine has");
  GradcModel *model;
  assert_int_equal(gradc_create(&program, 1, NULL, 1, &model, NULL), GRADC_ERROR_ARGUMENT);
  int64_t capacity = 8;
  assert_int_equal(gradc_create(&program, 1, &capacity, 1, NULL, NULL), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_memory(&program, &capacity, 1, NULL, NULL), GRADC_ERROR_ARGUMENT);
  GradcSlot huge_slots[SLOTS];
  memcpy(huge_slots, slots, sizeof slots);
  GradcProgram huge = program;
  huge.slots = huge_slots;
  huge_slots[SLOT_W].dims[0] = huge_slots[SLOT_W].dims[1] = (int64_t)1 << 40;
  expect_create(&huge, 8, 1, GRADC_ERROR_MEMORY, "addressed");
}

static void test_lacking_entries(void **state) {
  GradcProgram some = program;
  some.entries[GRADC_ENTRY_TRAIN].run = NULL;
  int64_t capacity = 8, batch = 8;
  GradcModel *model;
  Examples e;
  examples_fill(&e, 1);
  assert_int_equal(gradc_create(&some, 1, &capacity, 2, &model, NULL), GRADC_OK);
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_ERROR_PROGRAM);
  assert_string_equal(gradc_message(model), "the model \"line\" was compiled without training");
  assert_int_equal(gradc_eval(model, e.inputs, &batch), GRADC_OK);
  gradc_free(model);
}

static void test_many_instances(void **state) {
  for (int i = 0; i < 2000; i++) gradc_free(line_create((uint64_t)i, 8, i % 50 ? 1 : 2));
}

static void *train_own(void *argument) {
  GradcModel *model = line_create(7, 8, 2);
  train(model, 200, 8);
  return model;
}

static void test_two_models_in_two_threads(void **state) {
  pthread_t other;
  void *theirs;
  assert_int_equal(pthread_create(&other, NULL, train_own, NULL), 0);
  GradcModel *mine = train_own(NULL);
  pthread_join(other, &theirs);
  assert_same_bytes(mine, theirs);
  gradc_free(mine), gradc_free(theirs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_program_queries),
      cmocka_unit_test(test_memory_is_exact),
      cmocka_unit_test(test_memory_counts_later_entries),
      cmocka_unit_test(test_contiguous),
      cmocka_unit_test(test_trains),
      cmocka_unit_test(test_same_bits_on_threads),
      cmocka_unit_test(test_seeds),
      cmocka_unit_test(test_frame),
      cmocka_unit_test(test_outputs_and_figures),
      cmocka_unit_test(test_without_targets),
      cmocka_unit_test(test_callers_memory),
      cmocka_unit_test(test_wrong_steps),
      cmocka_unit_test(test_wrong_names),
      cmocka_unit_test(test_wrong_programs),
      cmocka_unit_test(test_pairs),
                                     cmocka_unit_test(test_wrong_sizes),
      cmocka_unit_test(test_lacking_entries),
      cmocka_unit_test(test_many_instances),
      cmocka_unit_test(test_two_models_in_two_threads),
  };
  return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
