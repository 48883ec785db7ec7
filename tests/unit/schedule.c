/* Schedules against the oracle: run with plain loops as kernel.h describes them, they must give the graph's values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "interp.h"
#include "kernel_run.h"
#include "model_graph.h"
#include "random_graph.h"
#include "scheduled.h"

static int saved; /* schedules that took less memory when they were made to */
static char failing[40]; /* what is being tested, for messages */
static const Machine machine = {32, 16, 32 << 10, 512 << 10, 8 << 20};

static int64_t count_of(const Graph *g, Shape shape, int64_t batch) {
  int64_t n;
  assert_true(dims_size(shape_dims(g, shape), batch, &n));
  return n;
}

/* Values of all slots from a small generator; labels below `classes`. */
static double **make_slots(const Graph *g, int64_t batch, int64_t classes) {
  double **slots = mem_zero(g->slots.count + 1, sizeof *slots);
  uint32_t state = 12345;
  for (uint32_t i = 0; i < g->slots.count; i++) {
    const int64_t n = count_of(g, g->slots.data[i].shape, batch);
    slots[i] = mem_zero((size_t)n + 1, sizeof(double));
    for (int64_t k = 0; k < n; k++) {
      state = state * 1664525u + 1013904223u;
      const double u = (double)(state >> 8) * 0x1p-24;
      slots[i][k] = g->slots.data[i].type == TYPE_I32 ? floor(u * (double)classes) : u - (strchr(g->slots.data[i].name, '/') ? 0 : 0.5);
    }
  }
  return slots;
}

static void free_slots(const Graph *g, double **slots) {
  for (uint32_t i = 0; i < g->slots.count; i++) free(slots[i]);
  free(slots);
}

static void compare(const Graph *g, Interp *oracle, Node node, const double *values, double tolerance, const char *what, const int64_t *batch) {
  int64_t n;
  const double *want = interp_value(oracle, node, &n);
  double top = 1e-30;
  for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(want[i]));
  for (int64_t i = 0; i < n; i++) {
    const double got = values[batch ? place_of(g, node, batch, i) : i];
    if (!(fabs(got - want[i]) <= tolerance * top))
      fail_msg("%s: %s, element %lld of %lld: %.17g, the oracle says %.17g", failing, what, (long long)i, (long long)n, got, want[i]);
  }
}

/* With as little memory as may be: every output and every slot has the bits that it had. Returns the bytes that were saved. */
static int64_t check_recomputed(Schedule *s, const KernelRun *first, const InterpInput *input) {
  int64_t batch[GRADC_MAX_BATCHES], before;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++) batch[i] = input->batch[i] ? input->batch[i] : 1;
  const uint32_t buffers = s->buffers.count;
  before = schedule_recompute(s, batch, INT64_MAX);
  assert_int_equal(s->buffers.count, buffers);
  const int64_t after = schedule_recompute(s, batch, 1);
  assert_true(after <= before);
  KernelRun again = *first;
  kernel_run_open(&again, input->slots);
  kernel_run(&again);
  for (uint32_t i = 0; i < s->output_buffer.count; i++)
    for (int k = 0; k < 2; k++) {
      const uint32_t b = k ? s->weight_buffer.data[i] : s->output_buffer.data[i];
      if (b == UINT32_MAX) continue;
      assert_true(b < buffers); /* what the caller reads is where it was */
      assert_memory_equal(again.buffers[b], first->buffers[b], (size_t)kr_elements(first, b) * sizeof(double));
    }
  for (uint32_t b = 0; b < buffers; b++)
    if (s->buffers.data[b].is_slot) assert_memory_equal(again.buffers[b], first->buffers[b], (size_t)kr_elements(first, b) * sizeof(double));
  kernel_run_close(&again);
  return before - after;
}

/* Schedules the graph, runs it, compares every output and every written slot. */
static void check_graph(Graph *from, const InterpInput *input, double tolerance, uint32_t most_phases) {
  Graph *clean = graph_rebuild(from, true), *g = schedule_lower(clean);
  const char *wrong = graph_verify(g);
  if (wrong) fail_msg("%s: %s", failing, wrong);
  Schedule *s = schedule_graph(g->session, g, &machine);
  if (getenv("SHOW")) {
    Text text = {0};
    graph_print(g, &text), schedule_print(s, NULL, NULL, &text);
    puts(text_get(&text));
    text_free(&text);
  }
  assert_true(!most_phases || s->phases <= most_phases);
  Interp *oracle = interp_new(from, input);
  KernelRun run = {.s = s, .step = input->step, .steps = input->steps, .epoch = input->epoch, .seed = input->seed, .draw = input->draw};
  memcpy(run.batch, input->batch, sizeof run.batch);
  kernel_run_open(&run, input->slots);
  kernel_run(&run);
  assert_false(run.lies);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    const Output *o = &from->outputs.data[i];
    if (o->kind != OUT_SLOT) {
      compare(from, oracle, o->node, run.buffers[s->output_buffer.data[i]], tolerance, o->name, run.batch);
      if (o->weight.id) compare(from, oracle, o->weight, run.buffers[s->weight_buffer.data[i]], tolerance, "weight", NULL);
      continue;
    }
    for (uint32_t b = 0; b < s->buffers.count; b++)
      if (s->buffers.data[b].is_slot && s->buffers.data[b].slot == o->slot)
        compare(from, oracle, o->node, run.buffers[b], tolerance, g->slots.data[o->slot].name, NULL);
  }
  const uint32_t buffers = s->buffers.count;
  if (check_recomputed(s, &run, input)) saved++;
  s->buffers.count = buffers; /* those that the first run has */
  kernel_run_close(&run);
  interp_free(oracle);
  schedule_free(s);
  graph_free(g), graph_free(clean);
}

static void classifier(Type type, const int64_t *sizes, uint32_t count, MgOptimizer kind, int64_t batch, double tolerance, uint32_t phases) {
  Session s = {0};
  Graph *g = mg_classifier(&s, type, sizes, count, kind);
  double **slots = make_slots(g, batch, sizes[count - 1]);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {batch}, .step = 3, .steps = 10, .epoch = 1, .seed = 7, .draw = 3};
  check_graph(g, &input, tolerance, phases);
  free_slots(g, slots);
  graph_free(g);
  session_free(&s);
}

static void test_momentum_step(void **state) {
  classifier(TYPE_F64, (int64_t[]){7, 5, 3}, 3, MG_MOMENTUM, 6, 1e-12, 3);
  classifier(TYPE_F32, (int64_t[]){20, 17, 10}, 3, MG_MOMENTUM, 19, 2e-5, 3);
}

static void test_adam_step(void **state) {
  classifier(TYPE_F64, (int64_t[]){7, 5, 4, 3}, 4, MG_ADAM, 6, 1e-12, 3);
  classifier(TYPE_F64, (int64_t[]){3, 2}, 2, MG_ADAM, 1, 1e-12, 0);
}

static void test_extents_of_one(void **state) {
  classifier(TYPE_F64, (int64_t[]){1, 1, 2}, 3, MG_MOMENTUM, 5, 1e-12, 0);
  classifier(TYPE_F64, (int64_t[]){2, 16, 1}, 3, MG_MOMENTUM, 4, 1e-12, 0);
}

/* Row 1's sum reads all rows of the slot that row 0 would already have overwritten: the sum and the update may not share a
 * kernel's loop over rows, nor a phase. */
static void test_overwritten_rows(void **state) {
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F64);
  const uint32_t slot = mg_slot(g, SLOT_PARAM, "w", TYPE_F64, mg_shape(g, 2, 6, 6));
  const Node w = build_slot(g, slot), turned = build_transpose(g, w, (const int64_t[]){1, 0});
  const Node each = mg_row(g, P_SUM, build_mul(g, turned, turned));
  graph_add_output(g, (Output){.kind = OUT_SLOT, .node = build_sub(g, w, mg_spread(g, each, node_shape(g, w))), .slot = slot});
  double **slots = make_slots(g, 1, 2);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {1}};
  check_graph(g, &input, 1e-12, 0);
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  assert_int_equal(schedule->launches.count, 2);
  assert_int_equal(schedule->phases, 2);
  schedule_free(schedule);
  free_slots(g, slots);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

static bool has_launch(const Schedule *s, const char *title) {
  for (uint32_t i = 0; i < s->launches.count; i++)
    if (!strcmp(s->launches.data[i].title, title)) return true;
  return false;
}

/* A round's h' = concat(tanh(h), sin(h), h * x) W, with the concat stacked and handed on: the stage that makes the parts
 * stores them side by side, for the product, the stack and the next round, and nothing is copied. */
static void test_parts_of_a_round(void **state) {
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F64);
  const Node x = build_slot(g, mg_slot(g, SLOT_INPUT, "x", TYPE_F64, shape_of(g, &(Dims){3, {DIM_BATCH, 5, 4}})));
  const Node w = build_slot(g, mg_slot(g, SLOT_PARAM, "w", TYPE_F64, mg_shape(g, 2, 12, 4)));
  const uint32_t loop = build_loop_number(g);
  const Node start = build_broadcast_to(g, build_const(g, TYPE_F64, 0.5), mg_shape(g, 2, DIM_BATCH, 4));
  const Node none = build_broadcast_to(g, build_const(g, TYPE_F64, 0), mg_shape(g, 2, DIM_BATCH, 12));
  const Node h = build_carry(g, loop, 0, start), before = build_carry(g, loop, 1, none), xt = build_item(g, loop, x, 1, false);
  const Node sum = build_add(g, h, build_slice(g, before, (const int64_t[]){0, DIM_BATCH, 1, 3, 4, 1}));
  const Node parts[] = {build_unary(g, P_TANH, sum), build_unary(g, P_SIN, sum), build_mul(g, sum, xt)};
  const Node all = build_concat(g, parts, 3, 1);
  const Node next[] = {build_contract(g, all, w, 0, NULL, NULL, 1, (const int64_t[]){1}, (const int64_t[]){0}), all};
  const Node token = build_loop(g, loop, 5, (const Node[]){h, before}, next, 2);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "stacked", .node = build_stack(g, all, token, 1, false)});
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "last", .node = build_last(g, token, 0)});
  double **slots = make_slots(g, 6, 2);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {6}};
  check_graph(g, &input, 1e-12, 0);
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  assert_false(has_launch(schedule, "concat") || has_launch(schedule, "stack") || has_launch(schedule, "carry"));
  schedule_free(schedule);
  free_slots(g, slots);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

/* Layers of one width in one phase, all cut by examples: what one leaves lies where the one before the last did. */
static void test_shared_rows(void **state) {
  enum { WIDTH = 20, LAYERS = 6 };
  static const char *const names[LAYERS] = {"a", "b", "c", "d", "e", "f"};
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F32);
  Node x = build_slot(g, mg_slot(g, SLOT_INPUT, "x", TYPE_F32, mg_shape(g, 2, DIM_BATCH, WIDTH)));
  for (int i = 0; i < LAYERS; i++) {
    const Node w = build_slot(g, mg_slot(g, SLOT_PARAM, names[i], TYPE_F32, mg_shape(g, 2, WIDTH, WIDTH)));
    const int64_t one = 1, zero = 0;
    x = mg_relu(g, build_contract(g, x, w, 0, NULL, NULL, 1, &one, &zero));
  }
  graph_add_output(g, (Output){.kind = OUT_VALUE, .node = x, .name = "y"});
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  assert_int_equal(schedule->phases, 1);
  assert_true(schedule->arena_batch[0] <= 3 * WIDTH * 4);
  schedule_free(schedule);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

/* A product's softmax, and another product of it: the scores, their exponentials and the quotients lie in one place, as each element is
 * stored where the same row has read it. Where the row is read backwards, too, they may not. */
static void test_in_place(void **state) {
  enum { WIDTH = 60, NARROW = 4 };
  for (int backwards = 0; backwards < 2; backwards++) {
    Session s = {0};
    Graph *g = graph_new(&s, TYPE_F32);
    const int64_t one = 1, zero = 0;
    const Node x = build_slot(g, mg_slot(g, SLOT_INPUT, "x", TYPE_F32, mg_shape(g, 2, DIM_BATCH, WIDTH)));
    const Node w = build_slot(g, mg_slot(g, SLOT_PARAM, "w", TYPE_F32, mg_shape(g, 2, WIDTH, WIDTH)));
    const Node v = build_slot(g, mg_slot(g, SLOT_PARAM, "v", TYPE_F32, mg_shape(g, 2, WIDTH, NARROW)));
    const Node score = build_contract(g, x, w, 0, NULL, NULL, 1, &one, &zero), power = build_unary(g, P_EXP, score);
    Node share = build_div(g, power, mg_spread(g, mg_row(g, P_SUM, power), node_shape(g, power)));
    if (backwards) share = build_mul(g, share, build_reverse(g, score, (const int64_t[]){1}, 1));
    graph_add_output(g, (Output){.kind = OUT_VALUE, .node = build_contract(g, share, v, 0, NULL, NULL, 1, &one, &zero), .name = "y"});
    double **slots = make_slots(g, 6, 2);
    const InterpInput input = {.slots = (const double *const *)slots, .batch = {6}};
    check_graph(g, &input, 1e-5, 0);
    Graph *lowered = schedule_lower(g);
    Schedule *schedule = schedule_graph(&s, lowered, &machine);
    const int64_t places = backwards ? 2 : 1;
    assert_int_equal(schedule->arena_batch[0], (places * WIDTH + NARROW) * 4);
    schedule_free(schedule);
    free_slots(g, slots);
    graph_free(lowered), graph_free(g);
    session_free(&s);
  }
}

/* h' = h W' + x in rounds: they would turn W each time, so it is turned once, before them; the product behind them turns it by
 * itself. */
static void test_turned_weights(void **state) {
  static const int64_t one = 1;
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F64);
  const Node x = build_slot(g, mg_slot(g, SLOT_INPUT, "x", TYPE_F64, mg_shape(g, 2, DIM_BATCH, 20)));
  const Node w = build_slot(g, mg_slot(g, SLOT_PARAM, "w", TYPE_F64, mg_shape(g, 2, 20, 20)));
  const uint32_t loop = build_loop_number(g);
  const Node h = build_carry(g, loop, 0, x);
  const Node next = build_add(g, build_contract(g, h, w, 0, NULL, NULL, 1, &one, &one), x);
  const Node token = build_loop(g, loop, 3, (const Node[]){h}, (const Node[]){next}, 1), last = build_last(g, token, 0);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "y", .node = build_contract(g, last, w, 0, NULL, NULL, 1, &one, &one)});
  double **slots = make_slots(g, 5, 2);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {5}};
  check_graph(g, &input, 1e-12, 0);
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  uint32_t turned = 0;
  for (uint32_t i = 0; i < lowered->nodes.count; i++) turned += node_prim(lowered, (Node){i}) == P_MARK;
  assert_int_equal(turned, 1);
  for (uint32_t i = 0; i < schedule->kernels.count; i++) {
    const Stage *t = &schedule->kernels.data[i].stages.data[0];
    if (t->combine == COMBINE_FMA) assert_int_equal(t->pack, i + 1 == schedule->kernels.count);
  }
  schedule_free(schedule);
  free_slots(g, slots);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

/* silu between two products, and its derivative times a third: of x, sigmoid(x) and silu'(x), only the last is read by
 * another stage, so it alone is stored beside silu(x). */
static void test_kept_derivative(void **state) {
  static const int64_t one = 1, zero = 0;
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F64);
  const Node in = build_slot(g, mg_slot(g, SLOT_INPUT, "in", TYPE_F64, mg_shape(g, 2, DIM_BATCH, 6)));
  const Node w = build_slot(g, mg_slot(g, SLOT_PARAM, "w", TYPE_F64, mg_shape(g, 2, 6, 20)));
  const Node v = build_slot(g, mg_slot(g, SLOT_PARAM, "v", TYPE_F64, mg_shape(g, 2, 20, 20)));
  const Node x = build_contract(g, in, w, 0, NULL, NULL, 1, &one, &zero), part = build_unary(g, P_SIGMOID, x);
  const Node back = build_contract(g, build_mul(g, x, part), v, 0, NULL, NULL, 1, &one, &zero);
  const Node slope = build_mul(g, part, build_sub(g, build_like(g, part, 1), part));
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "y", .node = build_mul(g, back, build_add(g, part, build_mul(g, x, slope)))});
  double **slots = make_slots(g, 5, 2);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {5}};
  check_graph(g, &input, 1e-12, 0);
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  assert_int_equal(schedule->launches.count, 2);
  assert_int_equal(schedule->kernels.data[0].stages.data[0].stores.count, 2);
  assert_int_equal(schedule->kernels.data[1].operand_count, 4);
  schedule_free(schedule);
  free_slots(g, slots);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

/* Two products over heads, turned so that heads lie side by side, joined, and read as one row: their stages store them there. */
static void test_results_in_place(void **state) {
  static const int64_t heads[] = {0, 1}, three = 3, two = 2, zero = 0, swap[] = {0, 2, 1, 3, 4};
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F64);
  const Node q = build_slot(g, mg_slot(g, SLOT_INPUT, "q", TYPE_F64, shape_of(g, &(Dims){4, {DIM_BATCH, 2, 5, 3}})));
  Node parts[2];
  for (int i = 0; i < 2; i++) {
    const Node k = build_slot(g, mg_slot(g, SLOT_INPUT, i ? "k" : "v", TYPE_F64, shape_of(g, &(Dims){4, {DIM_BATCH, 2, 4, 3}})));
    const Node y = build_contract(g, q, k, 2, heads, heads, 1, &three, &three); /* [batch, 2, 5, 4] */
    const Node split = build_reshape(g, y, shape_of(g, &(Dims){5, {DIM_BATCH, 2, 5, 1, 4}}));
    parts[i] = build_transpose(g, split, swap); /* [batch, 5, 2, 1, 4] */
  }
  const Node all = build_reshape(g, build_concat(g, parts, 2, 3), shape_of(g, &(Dims){3, {DIM_BATCH, 5, 16}}));
  const Node w = build_slot(g, mg_slot(g, SLOT_PARAM, "w", TYPE_F64, mg_shape(g, 2, 16, 6)));
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "y", .node = build_contract(g, all, w, 0, NULL, NULL, 1, &two, &zero)});
  double **slots = make_slots(g, 7, 2);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {7}};
  check_graph(g, &input, 1e-12, 2);
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  assert_int_equal(schedule->launches.count, 3);
  schedule_free(schedule);
  free_slots(g, slots);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

/* h' = tanh(h + table[number] + bias) over the numbers of a text: each round reads its rows from the table, and nothing as long as
 * the text is made before. */
static void test_rows_of_a_round(void **state) {
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F64);
  const Node text = build_slot(g, mg_slot(g, SLOT_INPUT, "text", TYPE_I32, mg_shape(g, 2, DIM_BATCH, 5)));
  const Node table = build_slot(g, mg_slot(g, SLOT_PARAM, "table", TYPE_F64, mg_shape(g, 2, 3, 4)));
  const Node bias = build_slot(g, mg_slot(g, SLOT_PARAM, "bias", TYPE_F64, mg_shape(g, 1, 4, 0)));
  const Node rows = build_gather(g, table, text, 0), wide = build_broadcast(g, bias, node_shape(g, rows), (const int64_t[]){2});
  const uint32_t loop = build_loop_number(g);
  const Node h = build_carry(g, loop, 0, build_broadcast_to(g, build_const(g, TYPE_F64, 0.5), mg_shape(g, 2, DIM_BATCH, 4)));
  const Node next = build_unary(g, P_TANH, build_add(g, h, build_item(g, loop, build_add(g, rows, wide), 1, false)));
  const Node token = build_loop(g, loop, 5, (const Node[]){h}, (const Node[]){next}, 1);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "last", .node = build_last(g, token, 0)});
  double **slots = make_slots(g, 6, 3);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {6}};
  check_graph(g, &input, 1e-12, 0);
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  for (uint32_t i = 0; i < schedule->buffers.count; i++)
    if (!schedule->buffers.data[i].is_slot) assert_true(schedule->buffers.data[i].size.count <= 2 * 4);
  schedule_free(schedule);
  free_slots(g, slots);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

static bool has_chunks(const Schedule *s) {
  for (uint32_t i = 0; i < s->kernels.count; i++)
    if (s->kernels.data[i].stages.data[0].chunks) return true;
  return false;
}

/* Loads of which some are known to be 0. */
static uint32_t count_zeros(const Schedule *s) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < s->kernels.count; i++)
    for (uint32_t k = 0; k < s->kernels.data[i].stages.data[0].loads.count; k++)
      count += s->kernels.data[i].stages.data[0].loads.data[k].zero_count;
  return count;
}

/* h = tanh x lies inside the zeros that its convolution by w wants around it; w's gradient is summed by chunks of the batch,
 * and two sums over places in one pass. */
static void test_padded_images(void **state) {
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F64);
  const Node x = build_slot(g, mg_slot(g, SLOT_INPUT, "x", TYPE_F64, shape_of(g, &(Dims){4, {DIM_BATCH, 6, 5, 16}})));
  const uint32_t slot = mg_slot(g, SLOT_PARAM, "w", TYPE_F64, shape_of(g, &(Dims){4, {3, 3, 16, 16}}));
  const Node w = build_slot(g, slot), h = build_unary(g, P_TANH, x);
  const Node padded = build_pad(g, h, (const int64_t[]){0, 0, 0, 1, 1, 0, 2, 0, 0, 0, 0, 0});
  const Node windows = build_window(g, build_window(g, padded, 1, 6, 3, 1, 1), 3, 5, 3, 1, 1);
  const Node y = build_contract(g, windows, w, 0, NULL, NULL, 3, (const int64_t[]){2, 4, 5}, (const int64_t[]){0, 1, 2});
  const Node z = build_add(g, y, h);
  const Node dw = build_contract(g, windows, z, 0, NULL, NULL, 3, (const int64_t[]){0, 1, 3}, (const int64_t[]){0, 1, 2});
  const int64_t places[] = {1, 2};
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "z", .node = z});
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "sum", .node = build_reduce(g, P_SUM, z, places, 2)});
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "product", .node = build_reduce(g, P_SUM, build_mul(g, z, h), places, 2)});
  graph_add_output(g, (Output){.kind = OUT_SLOT, .node = build_sub(g, w, dw), .slot = slot});
  double **slots = make_slots(g, 6, 2);
  snprintf(failing, sizeof failing, "padded images");
  for (int64_t batch = 1; batch <= 6; batch += 5) {
    const InterpInput input = {.slots = (const double *const *)slots, .batch = {batch}};
    check_graph(g, &input, 1e-12, 0);
  }
  Graph *lowered = schedule_lower(g);
  Schedule *schedule = schedule_graph(&s, lowered, &machine);
  assert_false(has_launch(schedule, "copy"));
  assert_true(has_chunks(schedule));
  assert_int_equal(count_zeros(schedule), 2); /* above and below the images, for y and dw */
  assert_int_equal(schedule->launches.count, 5); /* h with its border; y; both sums; the chunks of dw; w */
  schedule_free(schedule);
  free_slots(g, slots);
  graph_free(lowered), graph_free(g);
  session_free(&s);
}

/* Zeros behind each element, the last one too, are written with it; else the array is filled first. */
static void test_gaps(void **state) {
  for (int64_t high = 0; high < 3; high++) {
    Session s = {0};
    Graph *g = graph_new(&s, TYPE_F64);
    const Node x = build_slot(g, mg_slot(g, SLOT_INPUT, "x", TYPE_F64, shape_of(g, &(Dims){3, {DIM_BATCH, 3, 4}})));
    const Node y = build_pad(g, build_unary(g, P_TANH, x), (const int64_t[]){0, 0, 0, 0, high, 2, 0, 0, 0});
    graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "y", .node = y});
    double **slots = make_slots(g, 5, 1);
    const InterpInput input = {.slots = (const double *const *)slots, .batch = {5}};
    snprintf(failing, sizeof failing, "gaps");
    check_graph(g, &input, 1e-12, 0);
    Graph *lowered = schedule_lower(g);
    Schedule *schedule = schedule_graph(&s, lowered, &machine);
    assert_int_equal(has_launch(schedule, "fill"), high != 2);
    schedule_free(schedule);
    free_slots(g, slots);
    graph_free(lowered), graph_free(g);
    session_free(&s);
  }
}

static void test_random_graphs(void **state) {
  const char *only = getenv("SEED");
  const uint64_t most = getenv("GRADC_LONG") ? 20000 : 400;
  int checked = 0;
  for (uint64_t seed = only ? strtoull(only, NULL, 10) : 1; seed <= (only ? strtoull(only, NULL, 10) : most); seed++) {
    Session s = {0};
    RandomGraph r = random_graph(&s, seed, TYPE_F64, 12 + (uint32_t)(seed % 30), seed % 2);
    InterpInput input = random_input(&r);
    input.round_f32 = true;
    bool narrow = false; /* sums of f32 values in other orders differ by their rounding */
    for (uint32_t id = 1; id < r.g->nodes.count; id++) narrow |= node_type(r.g, (Node){id}) == TYPE_F32;
    snprintf(failing, sizeof failing, "seed %llu", (unsigned long long)seed);
    if (!leaves_language(r.g)) check_graph(r.g, &input, narrow ? 1e-4 : 1e-10, 0), checked++;
    random_graph_free(&r);
    session_free(&s);
  }
  assert_true(only || checked > 100);
  assert_true(only || saved > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_momentum_step), cmocka_unit_test(test_adam_step), cmocka_unit_test(test_extents_of_one),
                                     cmocka_unit_test(test_overwritten_rows), cmocka_unit_test(test_shared_rows), cmocka_unit_test(test_in_place), cmocka_unit_test(test_padded_images), cmocka_unit_test(test_gaps), cmocka_unit_test(test_parts_of_a_round), cmocka_unit_test(test_turned_weights),
                                     cmocka_unit_test(test_kept_derivative), cmocka_unit_test(test_results_in_place), cmocka_unit_test(test_rows_of_a_round), cmocka_unit_test(test_random_graphs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
