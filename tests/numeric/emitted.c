/* Emitted code against the oracle: random graphs over the whole table of primitives and hand-made training steps, in f64 and
 * f32, on one and several threads, with other tiles: the same values, and the same bits where only the cut differs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "emit_run.h"
#include "model_graph.h"
#include "passes.h"
#include "random_graph.h"
#include "scheduled.h"

static const Machine machine = {32, 16, 32 << 10, 512 << 10, 8 << 20};

typedef struct {
  Schedule *s;
  Graph *g;
  Loaded *code;
  GradcEntry entry;
  int64_t scratch;
} Code;

static Code make_code(const Graph *from, const EmitOptions *options, unsigned parts) {
  Graph *clean = graph_rebuild(from, true);
  Code c = {.g = schedule_lower(clean)};
  graph_free(clean);
  c.s = schedule_graph(c.g->session, c.g, &machine);
  EmitResult objects[EMIT_MAX_PARTS] = {{0}};
  emit_schedule_parts(c.s, "entry", options, objects, parts);
  const char *error = NULL;
  c.code = emit_load_parts(objects, parts, &error);
  if (!c.code) fail_msg("%s", error);
  c.entry = emit_entry(c.code, "entry");
  c.scratch = emit_scratch(c.s, options);
  for (unsigned i = 0; i < parts; i++) free(objects[i].object);
  return c;
}

static void free_code(Code *c) {
  emit_unload(c->code);
  schedule_free(c->s);
  graph_free(c->g);
}

static void compare(const Graph *g, Interp *oracle, Node node, const EmitRun *run, uint32_t buffer, double tolerance, const char *what,
                    const int64_t *batch, uint64_t seed) {
  int64_t n;
  const double *want = interp_value(oracle, node, &n);
  double top = 1e-30;
  for (int64_t i = 0; i < n; i++)
    if (isfinite(want[i])) top = fmax(top, fabs(want[i]));
  for (int64_t i = 0; i < n; i++) {
    const double got = er_get(run->buffers[buffer], run->s->buffers.data[buffer].type, batch ? place_of(g, node, batch, i) : i);
    if (fabs(got - want[i]) <= tolerance * top || got == want[i] || (isnan(got) && isnan(want[i]))) continue;
    fail_msg("seed %llu, %s, element %lld of %lld: %.17g, the oracle says %.17g", (unsigned long long)seed, what, (long long)i, (long long)n, got, want[i]);
  }
}

static void compare_all(const Graph *from, const Code *c, const EmitRun *run, const InterpInput *input, double tolerance, uint64_t seed) {
  Interp *oracle = interp_new(from, input);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    const Output *o = &from->outputs.data[i];
    if (o->kind != OUT_SLOT) {
      compare(from, oracle, o->node, run, c->s->output_buffer.data[i], tolerance, o->name, input->batch, seed);
      if (o->weight.id) compare(from, oracle, o->weight, run, c->s->weight_buffer.data[i], tolerance, "weight", NULL, seed);
      continue;
    }
    for (uint32_t b = 0; b < c->s->buffers.count; b++)
      if (c->s->buffers.data[b].is_slot && c->s->buffers.data[b].slot == o->slot)
        compare(from, oracle, o->node, run, b, tolerance, from->slots.data[o->slot].name, NULL, seed);
  }
  interp_free(oracle);
}

/* Every output and written slot of two runs, bit for bit. */
static void compare_bits(const Code *a, const EmitRun *x, const Code *b, const EmitRun *y, uint64_t seed, const char *what) {
  for (uint32_t i = 0; i < a->s->buffers.count; i++) {
    const Buffer *u = &a->s->buffers.data[i];
    bool wanted = u->is_slot;
    for (uint32_t k = 0; k < a->s->output_buffer.count; k++) wanted |= a->s->output_buffer.data[k] == i || a->s->weight_buffer.data[k] == i;
    if (wanted && memcmp(x->buffers[i], y->buffers[i], (size_t)(x->counts[i] * er_size(u->type))))
      fail_msg("seed %llu: buffer %u differs: %s", (unsigned long long)seed, i, what);
  }
  (void)b;
}

static void show(const Graph *g) {
  Text text = {0};
  graph_print(g, &text);
  puts(text_get(&text));
  text_free(&text);
}

static void check_graph(const Graph *from, const InterpInput *input, double tolerance, uint64_t seed, bool permute) {
  const EmitOptions plain = {0};
  Code c = make_code(from, &plain, 1);
  EmitRun one;
  emit_run_open(&one, c.s, input);
  emit_run(&one, c.entry, input, 1, c.scratch);
  compare_all(from, &c, &one, input, tolerance, seed);
  for (int threads = 2; threads <= 5; threads += 3) {
    EmitRun more;
    emit_run_open(&more, c.s, input);
    emit_run(&more, c.entry, input, threads, c.scratch);
    compare_bits(&c, &one, &c, &more, seed, threads == 2 ? "2 threads" : "5 threads");
    emit_run_close(&more);
  }
  static const unsigned tiles[][2] = {{1, 1}, {3, 2}, {8, 3}};
  for (size_t i = 0; permute && i < sizeof tiles / sizeof *tiles; i++) {
    const EmitOptions other = {.tile_rows = tiles[i][0], .tile_vectors = tiles[i][1]};
    Code d = make_code(from, &other, 1 + (unsigned)i);
    EmitRun run;
    emit_run_open(&run, d.s, input);
    emit_run(&run, d.entry, input, 2, d.scratch);
    compare_bits(&c, &one, &d, &run, seed, "another tile");
    emit_run_close(&run);
    free_code(&d);
  }
  emit_run_close(&one);
  free_code(&c);
}

/* The same of the graph whose contractions round their operands: so do both sides. A float beside the middle of two numbers of 8
 * bits may become the one here and the other there. */
static void check_rounded(const Graph *from, const InterpInput *input, double tolerance, uint64_t seed, bool permute) {
  const PassOptions passes = {.bf16 = true};
  Graph *rounded = passes_run(from, &passes);
  check_graph(rounded, input, tolerance, seed, permute);
  graph_free(rounded);
}

/* `bf16`: products of operands that are rounded. */
static void random_graphs(Type type, bool bf16, uint64_t from, uint64_t to, double tolerance) {
  const char *only = getenv("SEED");
  if (only) from = to = strtoull(only, NULL, 10);
  int checked = 0;
  for (uint64_t seed = from; seed <= to; seed++) {
    Session s = {0};
    RandomGraph r = random_graph(&s, seed, type, 12 + (uint32_t)(seed % 20), seed % 2);
    InterpInput input = random_input(&r);
    input.round_f32 = true;
    bool narrow = false;
    for (uint32_t id = 1; id < r.g->nodes.count; id++) narrow |= node_type(r.g, (Node){id}) == TYPE_F32;
    if (getenv("SHOW")) show(r.g);
    const double own = narrow && tolerance < 1e-4 ? 1e-4 : tolerance;
    if (!leaves_language(r.g)) (bf16 ? check_rounded : check_graph)(r.g, &input, own, seed, seed % 8 == 0), checked++;
    random_graph_free(&r);
    session_free(&s);
  }
  assert_true(only || checked > 20);
}

static void test_random_f64(void **state) { random_graphs(TYPE_F64, false, 1, 120, 1e-10); }
static void test_random_f32(void **state) { random_graphs(TYPE_F32, false, 201, 280, 1e-3); }

static void test_random_bf16(void **state) { random_graphs(TYPE_F32, true, 301, 380, 0.02); }

static void classifier(Type type, bool bf16, const int64_t *sizes, uint32_t count, MgOptimizer kind, int64_t batch, double tolerance) {
  Session s = {0};
  Graph *g = mg_classifier(&s, type, sizes, count, kind);
  double *slots[RG_SLOTS] = {0};
  uint32_t state = 99;
  for (uint32_t i = 0; i < g->slots.count; i++) {
    int64_t n;
    assert_true(dims_size(shape_dims(g, g->slots.data[i].shape), batch, &n));
    slots[i] = mem_zero((size_t)n + 1, sizeof(double));
    for (int64_t k = 0; k < n; k++) {
      state = state * 1664525u + 1013904223u;
      const double u = (double)(state >> 8) * 0x1p-24;
      slots[i][k] = g->slots.data[i].type == TYPE_I32 ? floor(u * (double)sizes[count - 1]) : u - (strchr(g->slots.data[i].name, '/') ? 0 : 0.5);
    }
  }
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {batch}, .step = 3, .steps = 10, .epoch = 1, .seed = 7, .draw = 3, .round_f32 = true};
  (bf16 ? check_rounded : check_graph)(g, &input, tolerance, (uint64_t)batch, true);
  for (uint32_t i = 0; i < g->slots.count; i++) free(slots[i]);
  graph_free(g);
  session_free(&s);
}

static void test_classifiers(void **state) {
  classifier(TYPE_F64, false, (int64_t[]){7, 5, 3}, 3, MG_MOMENTUM, 6, 1e-12);
  classifier(TYPE_F64, false, (int64_t[]){33, 40, 17, 10}, 4, MG_ADAM, 37, 1e-12);
  classifier(TYPE_F32, false, (int64_t[]){100, 65, 10}, 3, MG_MOMENTUM, 64, 1e-5);
  classifier(TYPE_F32, false, (int64_t[]){64, 128, 48, 10}, 4, MG_ADAM, 50, 1e-4);
  classifier(TYPE_F32, false, (int64_t[]){1, 1, 2}, 3, MG_MOMENTUM, 1, 1e-5);
  classifier(TYPE_F32, false, (int64_t[]){2, 16, 1}, 3, MG_ADAM, 4, 1e-4);
}

static void test_classifiers_bf16(void **state) {
  classifier(TYPE_F32, true, (int64_t[]){100, 65, 10}, 3, MG_MOMENTUM, 64, 2e-3);
  classifier(TYPE_F32, true, (int64_t[]){64, 128, 48, 10}, 4, MG_MOMENTUM, 50, 2e-3);
  classifier(TYPE_F32, true, (int64_t[]){1, 1, 2}, 3, MG_MOMENTUM, 1, 2e-3);
  classifier(TYPE_F32, true, (int64_t[]){2, 16, 1}, 3, MG_MOMENTUM, 4, 2e-3);
}

/* One product of numbers that were given: no rounding is in doubt. Along either axis of either operand, of odd and even extents, of
 * matrices and of vectors. */
static void product(uint32_t mode, int64_t m, int64_t n, int64_t k) {
  Session s = {0};
  Graph *g = graph_new(&s, TYPE_F32);
  const int64_t red[2] = {mode & 1 ? 0 : 1, mode & 2 ? 1 : 0};
  double *slots[2];
  uint32_t state = (uint32_t)(m + 100 * n + 10000 * k);
  for (int side = 0; side < 2; side++) {
    Dims d = {.rank = 2};
    d.dims[red[side]] = k, d.dims[1 - red[side]] = side ? n : m;
    graph_add_slot(g, (Slot){.kind = SLOT_PARAM, .name = side ? "b" : "a", .type = TYPE_F32, .shape = shape_of(g, &d)});
    slots[side] = mem_zero((size_t)(k * (side ? n : m)) + 1, sizeof(double));
    for (int64_t i = 0; i < k * (side ? n : m); i++) {
      state = state * 1664525u + 1013904223u;
      slots[side][i] = (double)((float)(state >> 8) * 0x1p-24f - 0.5f) * (i % 11 ? 1 : 0x1p-120);
    }
  }
  const Node made = build_contract(g, build_slot(g, 0), build_slot(g, 1), 0, NULL, NULL, 1, &red[0], &red[1]);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "c", .node = made});
  const InterpInput input = {.slots = (const double *const *)slots, .round_f32 = true};
  check_rounded(g, &input, 1e-6, 1000 * mode + (uint64_t)k, true);
  free(slots[0]), free(slots[1]);
  graph_free(g);
  session_free(&s);
}

static void test_products_bf16(void **state) {
  static const int64_t sizes[][3] = {{40, 70, 33}, {17, 64, 32}, {1, 20, 30}, {20, 1, 31}, {5, 6, 1}, {9, 33, 2}};
  for (uint32_t mode = 0; mode < 4; mode++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) product(mode, sizes[i][0], sizes[i][1], sizes[i][2]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_classifiers), cmocka_unit_test(test_random_f64), cmocka_unit_test(test_random_f32),
                                     cmocka_unit_test(test_products_bf16), cmocka_unit_test(test_classifiers_bf16), cmocka_unit_test(test_random_bf16)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
