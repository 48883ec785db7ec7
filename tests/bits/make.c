/* make.c: every primitive of the table as object code for any processor, in f32 alone or in f32 and f64: values and gradients
 * over scalars, extents of 1 and odd ones. Writes into a folder: case0.o, case1.o, ..; cases.bin (cases.h); calls.inc (the
 * entries by number). Linked with run.c and run on its own processor, or on an emulated one, they print the bits: equal on every
 * processor that has fused multiply-add.
 * Usage: bits_make PROCESSOR FOLDER [f32] */
#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "emit_run.h"
#include "random_graph.h"
#include "scheduled.h"

/* One machine for all, so that they are the same schedules. */
static const Machine machine = {32, 16, 32 << 10, 512 << 10, 8 << 20};
static const Dims shapes[] = {{0, {0}}, {3, {3, 1, 5}}, {2, {9, 33}}, {2, {DIM_BATCH, 19}}};

typedef struct {
  const char *cpu, *folder;
  FILE *data, *calls;
  uint64_t count;
} Maker;

static void put(Maker *m, const void *bytes, size_t size) {
  if (size && fwrite(bytes, size, 1, m->data) != 1) perror(m->folder), exit(1);
}
static void put_number(Maker *m, int64_t n) { put(m, &n, sizeof n); }

static FILE *create(const char *folder, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  if (!f) perror(path), exit(1);
  return f;
}

/* The primitive over an input of each shape, and the gradient of its sum by that input: all are outputs. */
static uint32_t build_case(RandomGraph *r, Prim prim, Type type) {
  const PrimInfo *info = prim_info(prim);
  const bool ranged = info->high > info->low;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes && r->g->slots.count < RG_SLOTS - 26; i++) {
    const Node x = build_mark(r->g, rg_slot(r, SLOT_INPUT, type, &shapes[i], ranged ? info->low : -1.5, ranged ? info->high : 1.5));
    vec_push(&r->pool, x);
    Node n = NODE_NONE, d = NODE_NONE;
    for (int tries = 0; tries < 20 && !n.id; tries++) n = rg_apply(r, prim, x);
    if (!n.id) continue;
    graph_add_output(r->g, (Output){.kind = OUT_VALUE, .name = info->word, .node = n});
    if (!rg_is_float(r, n) || !grad_depends(r->g, n, x)) continue;
    grad_reverse(r->g, n, NODE_NONE, &x, 1, &d);
    if (d.id) graph_add_output(r->g, (Output){.kind = OUT_VALUE, .name = info->word, .node = d});
  }
  return r->g->outputs.count;
}

static bool is_result(const Schedule *s, uint32_t buffer) {
  for (uint32_t i = 0; i < s->output_buffer.count; i++)
    if (s->output_buffer.data[i] == buffer) return true;
  return false;
}

static void write_case(Maker *m, const Schedule *s, const InterpInput *input, const EmitOptions *options, const char *name) {
  EmitRun run;
  emit_run_open(&run, s, input);
  put(m, name, CASE_NAME);
  put(m, input->batch, sizeof input->batch);
  int64_t bytes = s->arena;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++)
    bytes += s->arena_batch[i] * ((input->batch[i] + GRADC_BATCH_ROUND - 1) / GRADC_BATCH_ROUND * GRADC_BATCH_ROUND);
  put_number(m, bytes), put_number(m, emit_scratch(s, options)), put_number(m, s->buffers.count);
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    const Buffer *b = &s->buffers.data[i];
    const int64_t size = run.counts[i] * er_size(b->type);
    put_number(m, b->is_slot ? BUFFER_SLOT : is_result(s, i) ? BUFFER_RESULT : BUFFER_ARENA);
    put_number(m, size);
    if (b->is_slot) put(m, run.buffers[i], (size_t)size);
    else put_number(m, (char *)run.buffers[i] - (char *)run.arena);
  }
  emit_run_close(&run);
}

static void make_case(Maker *m, Prim prim, Type type) {
  Session session = {0};
  RandomGraph r = rg_new(&session, prim + 1, type);
  r.largest = 1024;
  r.batch[0] = 5;
  if (build_case(&r, prim, type) && !leaves_language(r.g)) {
    char name[CASE_NAME] = "", entry[32];
    snprintf(name, sizeof name, "%s_%s", prim_info(prim)->word, type == TYPE_F64 ? "f64" : "f32");
    snprintf(entry, sizeof entry, "case%llu", (unsigned long long)m->count++);
    Graph *clean = graph_rebuild(r.g, true), *g = schedule_lower(clean);
    Schedule *s = schedule_graph(&session, g, &machine);
    const EmitOptions options = {.cpu = m->cpu};
    const InterpInput input = random_input(&r);
    EmitResult object = {0};
    emit_schedule(s, entry, &options, &object);
    fprintf(m->calls, "CASE(%s)\n", entry);
    strcat(entry, ".o");
    FILE *f = create(m->folder, entry);
    if (fwrite(object.object, object.size, 1, f) != 1 || fclose(f)) perror(m->folder), exit(1);
    free(object.object);
    write_case(m, s, &input, &options, name);
    schedule_free(s);
    graph_free(g), graph_free(clean);
  }
  random_graph_free(&r);
  session_free(&session);
}

int main(int argc, char **argv) {
  const bool narrow = argc == 4 && !strcmp(argv[3], "f32");
  if (argc != 3 && !narrow) return fprintf(stderr, "usage: bits_make PROCESSOR FOLDER [f32]\n"), 2;
  Maker m = {.cpu = argv[1], .folder = argv[2]};
  m.data = create(m.folder, "cases.bin"), m.calls = create(m.folder, "calls.inc");
  put_number(&m, 0);
  for (Prim p = 0; p < P_COUNT; p++)
    for (Type type = TYPE_F32; type <= (narrow ? TYPE_F32 : TYPE_F64); type++) make_case(&m, p, type);
  rewind(m.data);
  put_number(&m, (int64_t)m.count);
  return fclose(m.data) || fclose(m.calls);
}
