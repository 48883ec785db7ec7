/* compile.c: the compiler's face, and its pipeline, drawn once:
 *
 *   text --parse--> syntax --check, trace--> graphs --passes--> graphs --lower, schedule--> kernels and memory plan
 *        --emit--> object --load--> entries of a GradcProgram
 */
#include "compile.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "build.h"
#include "cache.h"
#include "check.h"
#include "emit.h"
#include "gradc.h"
#include "kept.h"
#include "mem.h"
#include "parse.h"
#include "passes.h"
#include "schedule.h"
#include "vec.h"
#include "warnings.h"

typedef struct {
  KeptEntry known;       /* what outlives the process; flops: of the graph before it was lowered */
  bool has_key;          /* known.code: the cache is in use */
  Graph *graph;          /* optimised and lowered; this and the next two: NULL where the entry comes from the cache */
  Schedule *schedule;
  uint32_t *rows;        /* of the program's buffer table, one a buffer of the schedule; entries share equal ones */
  Loaded *code;
  double seconds;
  char cache[256];       /* what the cache did: see CompileStats */
} Entry;

struct Compiled {
  Session *session;
  CompileOptions options;
  Machine machine;
  Entry entries[GRADC_ENTRY_COUNT];
  Vec(GradcSlot) slots;
  Vec(GradcBuffer) buffers;
  Vec(uint32_t) row_next;  /* of each buffer: 1 + another of the same place in the table of hashes; 0: none */
  uint32_t row_places[1024];
  GradcProgram program;
  Tuned tuned;
  const char *path;        /* the .nn file */
  Program *traced;         /* where what was kept did not do after all: the whole program, and its plans */
  Compiled *planned;
  Arena arena;
};

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static EmitOptions emit_options(const CompileOptions *options) {
  return (EmitOptions){.cpu = options->cpu, .tile_rows = options->tile_rows, .tile_vectors = options->tile_vectors};
}

static int64_t cache_size(int name, int64_t otherwise) {
  const long size = sysconf(name);
  return size > 0 ? size : otherwise;
}

static Machine machine_of(const CompileOptions *options) {
  const bool own = !options->cpu || !strcmp(options->cpu, "native");
  /* A named processor's caches are taken as usual ones, so that the same code comes out on every machine. */
  Machine m = {.l1 = 32 << 10, .l2 = 512 << 10, .l3 = 8 << 20};
  if (own) m = (Machine){.l1 = cache_size(_SC_LEVEL1_DCACHE_SIZE, 32 << 10), .l2 = cache_size(_SC_LEVEL2_CACHE_SIZE, 512 << 10),
               .l3 = cache_size(_SC_LEVEL3_CACHE_SIZE, 8 << 20)};
  const EmitOptions e = emit_options(options);
  const char *cpu;
  emit_machine(&e, &m.vector_bytes, &m.vector_registers, &cpu);
  return m;
}

/* ---- front ---- */

/* The syntax of a file, and whether it was read and parsed without an error. */
static bool parse_file(Session *s, Tree *tree, const char *path, Ast *file) {
  const char *why;
  const Source *source = source_read(&s->sources, path, &why);
  if (!source) {
    Diag *d = diag_error(s, "unreadable-file", (Span){0}, "cannot read %s: %s", path, why);
    diag_hint(s, d, "the first argument is the model, a `.nn` file");
    return false;
  }
  warnings_check_comments(s, source);
  *file = parse_source(s, tree, source);
  return !s->errors;
}

Program *compile_front(Session *s, const char *path, CompileOptions *options) {
  Tree tree = {0};
  Ast file = {0};
  Program *program = NULL;
  if (parse_file(s, &tree, path, &file)) program = trace_program(s, &tree, file, path, &options->trace);
  tree_free(&tree);
  if (program) program->silent = !s->diags;
  return program;
}

/* ---- back ---- */

static Graph *entry_graph(const Program *p, GradcEntryKind entry, const CompileOptions *options) {
  if (entry == GRADC_ENTRY_EVAL && options->gradients) return p->gradient;
  switch (entry) {
    case GRADC_ENTRY_INIT: return p->init;
    case GRADC_ENTRY_TRAIN: return p->train;
    case GRADC_ENTRY_EVAL: return p->eval;
    case GRADC_ENTRY_GRADIENT: return p->gradient;
    case GRADC_ENTRY_COUNT: break;
  }
  return NULL;
}

static Graph *optimise(const Graph *graph, const CompileOptions *options) {
  const PassOptions passes = {.without = options->without, .bf16 = options->bf16};
  return passes_run(graph, &passes);
}

/* The runtime gives an instance memory of zeros: parameters and states that begin so need no code. */
static void leave_zeros(Graph *g) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    Node value = o->node;
    while (node_prim(g, value) == P_BROADCAST) value = node_in(g, value, 0);
    const bool zeros = node_prim(g, value) == P_CONST && node_attr(g, value)[0] == 0; /* the bits: not -0 */
    if (o->kind != OUT_SLOT || !zeros) g->outputs.data[kept++] = *o;
  }
  g->outputs.count = kept;
}

/* A graph that later stages take: optimised, then as kernels want it. */
static Graph *prepare(const Graph *graph, GradcEntryKind entry, const CompileOptions *options, Flops *flops) {
  Graph *optimised = optimise(graph, options);
  if (flops) *flops = graph_flops(optimised);
  if (entry == GRADC_ENTRY_INIT) leave_zeros(optimised);
  Graph *lowered = schedule_lower(optimised);
  graph_free(optimised);
  return lowered;
}

static void copy_dims(int64_t *to, const Dims *from) { memcpy(to, from->dims, sizeof from->dims); }

static void fill_slots(Compiled *c, const Graph *g) {
  uint64_t hash = 1;
  for (uint32_t i = 0; i < g->slots.count; i++) {
    const Slot *s = &g->slots.data[i];
    const Dims *d = shape_dims(g, s->shape);
    GradcSlot slot = {.name = arena_text(&c->arena, s->name, strlen(s->name)), .kind = (uint8_t)s->kind, .type = (uint8_t)s->type,
                      .rank = (uint8_t)d->rank, .classes = s->classes};
    copy_dims(slot.dims, d);
    hash = hash_mix(hash_mix(hash, hash_bytes(s->name, strlen(s->name))), (uint64_t)slot.type << 8 | slot.kind);
    for (uint32_t k = 0; k < d->rank; k++) hash = hash_mix(hash, (uint64_t)d->dims[k]);
    vec_push(&c->slots, slot);
  }
  c->program.hash = hash;
}

static bool same_row(const GradcBuffer *a, const GradcBuffer *b) {
  return a->where == b->where && a->slot == b->slot && a->offset == b->offset && a->pair == b->pair && a->entry == b->entry &&
         a->offset_pair == b->offset_pair && !memcmp(a->offset_batch, b->offset_batch, sizeof a->offset_batch);
}

/* The number of an equal row, which is added where there is none. */
static uint32_t find_row(Compiled *c, const GradcBuffer *row) {
  uint64_t hash = hash_mix(hash_mix((uint64_t)row->slot << 1 | row->where, (uint64_t)row->offset), (uint64_t)row->offset_batch[0]);
  const uint32_t mask = sizeof c->row_places / sizeof *c->row_places - 1;
  for (uint32_t next = c->row_places[hash & mask]; next; next = c->row_next.data[next - 1])
    if (same_row(&c->buffers.data[next - 1], row)) return next - 1;
  vec_push(&c->buffers, *row);
  vec_push(&c->row_next, c->row_places[hash & mask]);
  return (c->row_places[hash & mask] = c->buffers.count) - 1;
}

static void fill_buffers(Compiled *c, Entry *e) {
  e->rows = ARENA_ARRAY(&c->arena, uint32_t, e->schedule->buffers.count + 1);
  for (uint32_t i = 0; i < e->schedule->buffers.count; i++) {
    const Buffer *b = &e->schedule->buffers.data[i];
    GradcBuffer row = {.where = b->is_slot ? GRADC_AT_SLOT : GRADC_AT_ARENA, .slot = b->slot, .offset = b->offset};
    memcpy(row.offset_batch, b->offset_batch, sizeof row.offset_batch);
    row.pair = b->pair, row.entry = b->pair ? (uint8_t)(e - c->entries) : 0, row.offset_pair = b->offset_pair;
    if (b->is_slot) row = (GradcBuffer){.where = GRADC_AT_SLOT, .slot = b->slot};
    else row.slot = 0;
    e->rows[i] = find_row(c, &row);
  }
}

static void fill_outputs(Compiled *c, const Entry *e, GradcEntryInfo *info) {
  const Graph *g = e->graph;
  GradcOutput *outputs = ARENA_ARRAY(&c->arena, GradcOutput, g->outputs.count + 1);
  uint32_t n = 0;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->kind == OUT_SLOT) continue;
    static const uint8_t kinds[] = {[OUT_VALUE] = GRADC_OUT_OUTPUT, [OUT_LOSS] = GRADC_OUT_LOSS, [OUT_METRIC] = GRADC_OUT_METRIC};
    const Dims *d = node_dims(g, o->node);
    GradcOutput *row = &outputs[n++];
    *row = (GradcOutput){.name = arena_text(&c->arena, o->name, strlen(o->name)), .kind = kinds[o->kind], .type = (uint8_t)node_type(g, o->node),
                         .rank = (uint8_t)d->rank, .buffer = e->rows[e->schedule->output_buffer.data[i]], .weight = UINT32_MAX};
    copy_dims(row->dims, d);
    if (o->weight.id) row->weight = e->rows[e->schedule->weight_buffer.data[i]];
  }
  info->outputs = outputs;
  info->output_count = n;
}

/* How many threads could have half a million operations each. */
static uint32_t useful_threads(const Schedule *s, int64_t batch) {
  double work = 0;
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Kernel *k = &s->kernels.data[s->launches.data[i].kernel];
    for (uint32_t j = 0; j < k->stages.count; j++) {
      const Stage *t = &k->stages.data[j];
      double points = t->combine == COMBINE_FMA ? 2 : 2.0 * t->exprs.count;
      points *= (double)schedule_rounds(s, &s->launches.data[i]);
      for (int a = 0; a < t->par + t->red; a++) points *= (double)t->axes[a].count * (t->axes[a].batch >= 0 ? (double)batch : 1);
      work += points;
    }
  }
  return work < 1e6 ? 1 : work > 2.5e8 ? 512 : (uint32_t)(work / 5e5);
}

static void plan_entry(Compiled *c, Program *p, GradcEntryKind kind) {
  const Graph *graph = entry_graph(p, kind, &c->options);
  if (!graph) return;
  Entry *e = &c->entries[kind];
  GradcEntryInfo *info = &c->program.entries[kind];
  e->graph = prepare(graph, kind, &c->options, &e->known.flops);
  e->schedule = schedule_graph(c->session, e->graph, &c->machine);
  tuned_apply(&c->tuned, e->schedule);
  if (c->options.arena_limit) schedule_recompute(e->schedule, c->options.arena_batch, c->options.arena_limit);
  fill_buffers(c, e);
  fill_outputs(c, e, info);
  info->arena = e->schedule->arena;
  memcpy(info->arena_batch, e->schedule->arena_batch, sizeof info->arena_batch);
  memcpy(info->arena_pair, e->schedule->arena_pair, sizeof info->arena_pair);
  info->max_threads = useful_threads(e->schedule, p->plan.batch > 0 ? p->plan.batch : 1024);
  e->known.planned = true;
  e->known.kernels = e->schedule->kernels.count, e->known.launches = e->schedule->launches.count;
}

/* Code generation takes some milliseconds a kernel: from four kernels on it is shared between the processors. */
static unsigned part_count(const Schedule *s) {
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  const uint32_t most = s->kernels.count / 4;
  const long count = processors < (long)most ? processors : (long)most;
  return count < 1 ? 1 : count > EMIT_MAX_PARTS ? EMIT_MAX_PARTS : (unsigned)count;
}

/* ---- the cache ---- */

/* The code follows from the graph, the machine that it is scheduled for, the options, and where the entry's buffers begin. False
 * without a cache. */
static bool entry_key(const Compiled *c, GradcEntryKind kind, CacheKey *key) {
  const CompileOptions *o = &c->options;
  const Entry *e = &c->entries[kind];
  if (!o->cache) return false;
  Text text = {0};
  text_printf(&text, "entry %d%s, for %s, tiles %u %u\n", (int)kind, o->stamps ? " profiled" : "", o->cpu ? o->cpu : "native",
              o->tile_rows, o->tile_vectors);
  text_printf(&text, "vectors %u x %u, caches %lld %lld %lld\n", c->machine.vector_bytes, c->machine.vector_registers,
              (long long)c->machine.l1, (long long)c->machine.l2, (long long)c->machine.l3);
  for (uint32_t i = 0; i < e->schedule->kernels.count; i++)
    for (uint32_t j = 0; j < e->schedule->kernels.data[i].stages.count; j++) {
      const Stage *stage = &e->schedule->kernels.data[i].stages.data[j];
      if (stage->tile_rows || stage->tile_vectors) text_printf(&text, "tile %u %u %u %u\n", i, j, stage->tile_rows, stage->tile_vectors);
    }
  for (int i = 0; o->arena_limit && i < GRADC_MAX_BATCHES; i++)
    text_printf(&text, "memory %lld at batch %lld\n", (long long)o->arena_limit, (long long)o->arena_batch[i]);
  text_add(&text, "buffers");
  for (uint32_t i = 0; i < e->schedule->buffers.count; i++) text_printf(&text, " %u", e->rows[i]);
  text_add(&text, "\n");
  graph_print(e->graph, &text);
  const bool ok = cache_key(text_get(&text), text.length, key);
  text_free(&text);
  return ok;
}

static unsigned read_cached(const Compiled *c, const CacheKey *key, EmitResult parts[EMIT_MAX_PARTS]) {
  CachePart read[CACHE_MAX_PARTS];
  const unsigned count = cache_read(c->options.cache, key, read);
  for (unsigned i = 0; i < count; i++) {
    if (count <= EMIT_MAX_PARTS) parts[i].object = read[i].bytes, parts[i].size = read[i].size;
    else free(read[i].bytes);
  }
  return count <= EMIT_MAX_PARTS ? count : 0;
}

static void keep_cached(const Compiled *c, const CacheKey *key, const EmitResult *parts, unsigned count, char *note, size_t size) {
  CachePart kept[EMIT_MAX_PARTS];
  char why[192];
  for (unsigned i = 0; i < count; i++) kept[i] = (CachePart){parts[i].object, parts[i].size};
  if (!cache_write(c->options.cache, key, kept, count, cache_limit(), why, sizeof why)) snprintf(note, size, "not kept: %s", why);
}

static const char *const entry_names[] = {"gradc_init", "gradc_train", "gradc_eval", "gradc_gradient"};

static void free_parts(EmitResult *parts, unsigned count) {
  for (unsigned i = 0; i < count; i++) free(parts[i].object), parts[i] = (EmitResult){0};
}

/* An entry's code from the cache; false where it is not there. */
static bool take_cached(Compiled *c, GradcEntryKind kind) {
  Entry *e = &c->entries[kind];
  EmitResult parts[EMIT_MAX_PARTS] = {{0}};
  const char *error = NULL;
  const double start = seconds_now();
  const unsigned count = e->has_key ? read_cached(c, &e->known.code, parts) : 0;
  if (count) e->code = emit_load_parts(parts, count, &error);
  free_parts(parts, count);
  if (!e->code) return false;
  c->program.entries[kind].run = emit_entry(e->code, entry_names[kind]);
  strcpy(e->cache, "hit");
  e->seconds = seconds_now() - start;
  return true;
}

/* ---- what outlives the process ---- */

/* Whether such a program is kept: one that is compiled as a rule, with nothing that a command chose for a while. */
static bool can_keep(const CompileOptions *o, unsigned entries) {
  return o->cache && !o->tuned && !o->arena_limit && !o->stamps && !o->gradients && !o->plan_only && !(entries & 1u << GRADC_ENTRY_GRADIENT);
}

/* All that a program and its tables follow from, but for the files that it imports. */
static bool program_key(const Session *s, const Machine *m, const Tuned *tuned, const CompileOptions *o, CacheKey *key) {
  const TraceOptions *t = &o->trace;
  const Source *source = s->sources.files[0];
  Text text = {0};
  text_printf(&text, "program %s of %s, for %s, tiles %u %u, without %s\n", t->model ? t->model : "", source->path, o->cpu ? o->cpu : "native",
              o->tile_rows, o->tile_vectors, o->without ? o->without : "");
  text_printf(&text, "vectors %u x %u, caches %lld %lld %lld\n", m->vector_bytes, m->vector_registers, (long long)m->l1, (long long)m->l2,
              (long long)m->l3);
  text_printf(&text, "float %d, bf16 %d, batch %lld, epochs %lld, steps %lld, seed %lld, train %d, quiet %llx\n", (int)t->float_type, o->bf16,
              (long long)t->batch, (long long)t->epochs, (long long)t->steps, (long long)t->seed, !t->no_train, (unsigned long long)s->quiet);
  for (uint32_t i = 0; i < t->override_count; i++)
    text_printf(&text, "set %zu %s=%s\n", strlen(t->overrides[i].value), t->overrides[i].name, t->overrides[i].value);
  for (uint32_t i = 0; i < tuned->tiles.count; i++)
    text_printf(&text, "tile %llx %u %u\n", (unsigned long long)tuned->tiles.data[i].kernel, tuned->tiles.data[i].rows, tuned->tiles.data[i].vectors);
  text_add_bytes(&text, source->text, source->length);
  const bool ok = cache_key(text_get(&text), text.length, key);
  text_free(&text);
  return ok;
}

/* A failure is no matter: the code's own note tells of a cache that cannot be written. */
static void keep_program(Compiled *c, Program *program, const CacheKey *key) {
  const Sources *sources = &c->session->sources;
  Kept kept = {.key = *key, .tables = c->program, .files = ARENA_ARRAY(&c->arena, KeptFile, sources->count)};
  Text text = {0};
  char why[192];
  for (uint32_t i = 1; i < sources->count; i++) {
    const Source *file = sources->files[i];
    if (!file->is_file) continue; /* the library is the compiler's, settings are in the key */
    KeptFile *to = &kept.files[kept.file_count++];
    *to = (KeptFile){.path = file->path, .base = file->base};
    cache_key(file->text, file->length, &to->text);
  }
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) kept.entries[kind] = c->entries[kind].known;
  kept_write(&kept, program, &text);
  const CachePart part = {text.data, text.length};
  cache_write(c->options.cache, key, &part, 1, cache_limit(), why, sizeof why);
  text_free(&text);
}

/* The imports are read as they were read then, and must be the same. */
static bool same_files(Session *s, const Kept *kept) {
  for (uint32_t i = 0; i < kept->file_count; i++) {
    const KeptFile *file = &kept->files[i];
    const char *why;
    const Source *source = source_read(&s->sources, file->path, &why);
    CacheKey text;
    if (!source || source->base != file->base || !cache_key(source->text, source->length, &text)) return false;
    if (memcmp(&text, &file->text, sizeof text)) return false;
  }
  return true;
}

Program *compile_recall(Session *s, const char *path, CompileOptions *options) {
  const char *why;
  if (!can_keep(options, 0) || s->sources.count || !source_read(&s->sources, path, &why)) return NULL;
  const Machine machine = machine_of(options);
  Tuned tuned = {0};
  CacheKey key;
  CachePart parts[CACHE_MAX_PARTS];
  Program *program = NULL;
  compile_tuned(options, &tuned);
  const unsigned count = program_key(s, &machine, &tuned, options, &key) ? cache_read(options->cache, &key, parts) : 0;
  if (count == 1) program = kept_read(s, path, parts[0].bytes, parts[0].size);
  for (unsigned i = 0; i < count; i++) free(parts[i].bytes);
  tuned_free(&tuned);
  if (program && (memcmp(&program->kept->key, &key, sizeof key) || !same_files(s, program->kept))) {
    program_free(program);
    program = NULL;
  }
  for (uint32_t i = 0; program && i < options->trace.override_count; i++) options->trace.overrides[i].used = true; /* or it was an error */
  return program;
}

static void take_kept(Compiled *c, const Kept *kept) {
  GradcProgram *p = &c->program;
  const GradcProgram *tables = &kept->tables;
  memcpy(p->batch, tables->batch, sizeof p->batch);
  memcpy(p->entries, tables->entries, sizeof p->entries);
  p->buffers = tables->buffers, p->buffer_count = tables->buffer_count;
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) c->entries[kind].known = kept->entries[kind], c->entries[kind].has_key = true;
}

/* The program of the same texts: they are still in the session. */
static Program *trace_again(Compiled *c) {
  Program *program = compile_front(c->session, c->path, &c->options);
  if (!program) DIAG_BUG(c->session, ((Span){0}), "%s compiled before, and does not now", c->path);
  return program;
}

/* The code of an entry is no longer in the cache: the plans are made anew. They are the ones that instances were made by. */
static void plan_again(Compiled *c) {
  CompileOptions options = c->options;
  options.plan_only = true, options.tuned = &c->tuned;
  c->traced = trace_again(c);
  c->planned = compile_program(c->session, c->traced, &options, 0);
  Compiled *from = c->planned;
  bool same = from->program.buffer_count == c->program.buffer_count;
  for (uint32_t i = 0; same && i < c->program.buffer_count; i++) same = same_row(&from->program.buffers[i], &c->program.buffers[i]);
  if (!same)
    DIAG_BUG(c->session, ((Span){0}), "%s is planned otherwise than before", c->path);
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) {
    Entry *to = &c->entries[kind], *e = &from->entries[kind];
    to->graph = e->graph, to->schedule = e->schedule, to->rows = e->rows;
    e->graph = NULL, e->schedule = NULL;
  }
}

void compile_entry(Compiled *c, GradcEntryKind kind) {
  Entry *e = &c->entries[kind];
  if (!e->known.planned || e->code || take_cached(c, kind)) return;
  if (!e->schedule) plan_again(c);
  const double start = seconds_now();
  EmitOptions options = emit_options(&c->options);
  options.rows = e->rows;
  options.stamps = c->options.stamps && kind == GRADC_ENTRY_TRAIN;
  EmitResult parts[EMIT_MAX_PARTS] = {{0}};
  const char *error = NULL;
  const unsigned count = part_count(e->schedule);
  strcpy(e->cache, e->has_key ? "miss" : "off");
  emit_schedule_parts(e->schedule, entry_names[kind], &options, parts, count);
  if (e->has_key) keep_cached(c, &e->known.code, parts, count, e->cache, sizeof e->cache);
  e->code = emit_load_parts(parts, count, &error);
  free_parts(parts, count);
  if (!e->code) DIAG_BUG(c->session, ((Span){0}), "the code cannot be loaded: %s", error ? error : "no reason");
  c->program.entries[kind].run = emit_entry(e->code, entry_names[kind]);
  e->seconds = seconds_now() - start;
}

typedef struct {
  Compiled *compiled;
  GradcEntryKind kind;
} EntryJob;

static void *run_job(void *p) {
  const EntryJob *job = p;
  compile_entry(job->compiled, job->kind);
  return NULL;
}

/* Entries are independent modules: each is compiled on a thread of its own, the last one here. */
static void compile_entries(Compiled *c, unsigned entries) {
  EntryJob jobs[GRADC_ENTRY_COUNT];
  pthread_t threads[GRADC_ENTRY_COUNT];
  bool started[GRADC_ENTRY_COUNT] = {false};
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) {
    jobs[kind] = (EntryJob){c, (GradcEntryKind)kind};
    if (!(entries & 1u << kind)) continue;
    const bool last = !(entries >> (kind + 1));
    started[kind] = !last && !pthread_create(&threads[kind], NULL, run_job, &jobs[kind]);
    if (!started[kind]) run_job(&jobs[kind]);
  }
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++)
    if (started[kind]) pthread_join(threads[kind], NULL);
}

/* Optimises, schedules, and plans the memory of all entries: the program's tables. */
static void plan_program(Compiled *c, Program *program, unsigned entries) {
  /* Gradients alone are for callers of the C interface: no room is kept for them where they are not wanted. */
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++)
    if (kind != GRADC_ENTRY_GRADIENT || entries & 1u << kind) plan_entry(c, program, (GradcEntryKind)kind);
  const EmitOptions e = emit_options(&c->options);
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) {
    Entry *entry = &c->entries[kind];
    if (!entry->schedule) continue;
    c->program.entries[kind].scratch = emit_scratch(entry->schedule, &e);
    entry->has_key = !c->options.plan_only && entry_key(c, (GradcEntryKind)kind, &entry->known.code);
  }
  c->program.buffers = c->buffers.data;
  c->program.buffer_count = c->buffers.count;
  for (uint32_t i = 0; i < program->data.count && i < GRADC_MAX_BATCHES; i++) c->program.batch[i] = program->plan.batch;
}

static Compiled *open_compiled(Session *s, const Program *program, const CompileOptions *options) {
  Compiled *c = mem_zero(1, sizeof *c);
  c->session = s;
  c->options = *options;
  c->machine = machine_of(options);
  c->path = arena_text(&c->arena, program->path, strlen(program->path));
  for (uint32_t i = 0; options->tuned && i < options->tuned->tiles.count; i++) tuned_set(&c->tuned, options->tuned->tiles.data[i]);
  if (!options->tuned && !options->plan_only) compile_tuned(options, &c->tuned);
  c->program.abi = GRADC_ABI_VERSION;
  c->program.name = arena_text(&c->arena, program->name, strlen(program->name));
  fill_slots(c, program->init);
  c->program.slots = c->slots.data;
  c->program.slot_count = c->slots.count;
  return c;
}

Compiled *compile_program(Session *s, Program *program, const CompileOptions *options, unsigned entries) {
  Compiled *c = open_compiled(s, program, options);
  CacheKey key;
  const bool keeps = can_keep(options, entries) && program_key(s, &c->machine, &c->tuned, options, &key);
  if (program->kept && keeps && !memcmp(&program->kept->key, &key, sizeof key)) {
    take_kept(c, program->kept);
    for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++)
      if (entries & 1u << kind && c->entries[kind].known.planned && !take_cached(c, (GradcEntryKind)kind) && !c->planned) plan_again(c);
  } else {
    if (program->kept) program = c->traced = trace_again(c);
    plan_program(c, program, entries);
    if (keeps && program->silent) keep_program(c, program, &key);
  }
  if (!options->plan_only) compile_entries(c, entries);
  return c;
}

void compile_tuned(const CompileOptions *options, Tuned *t) {
  const Machine machine = machine_of(options);
  if (options->cache) tuned_read(t, options->cache, &machine, options->cpu);
}

bool compile_keep_tuned(const CompileOptions *options, const Tuned *t, char *why, size_t why_size) {
  const Machine machine = machine_of(options);
  return tuned_write(t, options->cache, &machine, options->cpu, why, why_size);
}

/* ---- objects ---- */

bool compile_knows(const char *cpu, GradcLevel *level, const char **arch) {
  const EmitOptions e = {.cpu = cpu};
  return emit_knows(&e, level, arch);
}

const char *compile_processors(void) { return emit_processors(); }

void compiled_carry(Compiled *c, const Cargo *cargo) {
  GradcProgram *p = &c->program;
  for (int i = 0; i < gradc_batch_count(p); i++) p->batch[i] = cargo->batch;
  p->starts = cargo->starts, p->start_count = cargo->start_count;
  p->pairs = cargo->pairs, p->pair_count = cargo->pair_count;
}

void compiled_scratch(Compiled *c, int64_t bytes) {
  int64_t *scratch = &c->program.entries[GRADC_ENTRY_INIT].scratch; /* an instance has room for the entry that wants most */
  if (*scratch < bytes) *scratch = bytes;
}

static Object object_of(const EmitResult *r) { return (Object){r->object, r->size, r->ir, r->assembly}; }

Object compiled_object(const Compiled *c, unsigned entries, const ObjectNames *names) {
  EmitOptions options = emit_options(&c->options);
  GradcProgram program = c->program;
  const char *arch;
  GradcLevel level = GRADC_LEVEL_ANY;
  emit_knows(&options, &level, &arch);
  const bool own = !options.cpu || !strcmp(options.cpu, "native"); /* then f32 code has no use for what the processor has for bf16 */
  program.level = level == GRADC_LEVEL_X86_V4_BF16 && own && !c->options.bf16 ? GRADC_LEVEL_X86_V4 : level;
  EmitModel model = {.program = &program, .symbol = names->symbol, .function = names->function, .shared = names->shared,
                     .has_shared = names->has_shared};
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) {
    if (entries & 1u << kind) model.schedules[kind] = c->entries[kind].schedule;
    model.rows[kind] = c->entries[kind].rows;
  }
  options.keep_ir = names->keep_ir, options.keep_asm = names->keep_asm;
  EmitResult result;
  emit_model(c->session, &model, &options, &result);
  return object_of(&result);
}

Object compile_chooser(Session *s, const char *cpu, const char *function, const char *const *symbols, const GradcLevel *levels,
                       unsigned count) {
  EmitChoice choices[8];
  const EmitOptions options = {.cpu = cpu};
  EmitResult result;
  for (unsigned i = 0; i < count && i < 8; i++) choices[i] = (EmitChoice){symbols[i], levels[i]};
  emit_chooser(s, function, choices, count, &options, &result);
  return object_of(&result);
}

Object compile_alias(Session *s, const char *cpu, const char *function, const char *other) {
  const EmitOptions options = {.cpu = cpu};
  EmitResult result;
  emit_alias(s, function, other, &options, &result);
  return object_of(&result);
}

const GradcProgram *compiled_program(const Compiled *c) { return &c->program; }

CompileStats compiled_stats(const Compiled *c, GradcEntryKind entry, int64_t batch) {
  const Entry *e = &c->entries[entry];
  const KeptEntry *k = &e->known;
  if (!k->planned) return (CompileStats){0};
  return (CompileStats){k->flops.fixed + k->flops.each * (double)batch, k->kernels, k->launches, e->seconds, e->cache};
}

/* Rounds that read all of an operand; one that advances from round to round is read once by all of them together. */
static double operand_rounds(const Schedule *s, const Launch *l, unsigned operand) {
  double rounds = 1;
  for (uint32_t at = l->loop; at; at = s->loops.data[at - 1].parent) {
    const ScheduleLoop *loop = &s->loops.data[at - 1];
    if (l->advance && l->advance[operand].round[loop->depth]) continue;
    rounds *= (double)loop->length / (l->advance && l->advance[operand].odd[loop->depth] ? 2 : 1);
  }
  return rounds;
}

static double elements_of(const Schedule *s, const Buffer *b, int64_t batch) {
  const Dims *d = shape_dims(s->graph, b->shape);
  double count = 1;
  for (uint32_t i = 0; i < d->rank; i++) count *= dim_is_batch(d->dims[i]) ? (double)batch : (double)d->dims[i];
  return count;
}

CompileLaunch compiled_launch(const Compiled *c, GradcEntryKind entry, uint32_t launch, int64_t batch) {
  const Schedule *s = c->entries[entry].schedule;
  const Launch *l = &s->launches.data[launch];
  const Kernel *k = &s->kernels.data[l->kernel];
  CompileLaunch out = {.kernel = k->name, .hash = k->hash, .title = l->title, .span = l->span, .rounds = schedule_rounds(s, l)};
  out.flops = kernel_flops(k, batch) * (double)out.rounds;
  for (uint32_t i = 0; i < k->operand_count; i++) {
    const Buffer *b = &s->buffers.data[l->operands[i]];
    out.bytes += elements_of(s, b, batch) * (double)type_bytes((Type)b->type) * operand_rounds(s, l, i);
  }
  return out;
}

void compiled_free(Compiled *c) {
  if (!c) return;
  for (int i = 0; i < GRADC_ENTRY_COUNT; i++) {
    if (c->entries[i].code) emit_unload(c->entries[i].code);
    schedule_free(c->entries[i].schedule);
    if (c->entries[i].graph) graph_free(c->entries[i].graph);
  }
  compiled_free(c->planned);
  if (c->traced) program_free(c->traced);
  vec_free(&c->slots);
  vec_free(&c->buffers);
  tuned_free(&c->tuned);
  vec_free(&c->row_next);
  arena_free(&c->arena);
  free(c);
}

/* ---- dump ---- */

static void explain_stage(const Kernel *kernel, uint32_t stage, const void *options, Text *out) {
  emit_explain(kernel, stage, options, out);
}

static void dump_code(const Schedule *s, const CompileOptions *options, bool assembly, Text *out) {
  EmitOptions e = emit_options(options);
  e.keep_ir = !assembly, e.keep_asm = assembly;
  EmitResult r = {0};
  emit_schedule(s, "gradc_entry", &e, &r);
  text_add(out, assembly ? r.assembly : r.ir);
  free(r.object), free(r.ir), free(r.assembly);
}

static void list_stages(Text *out) {
  text_add(out, "ast       the syntax tree\ntrace     the graph before any pass\n");
  passes_list(out);
  text_add(out, "schedule  kernels, launches in phases, memory\nir        LLVM's text of the kernels\nasm       their assembly\n");
}

static bool dump_graph(Session *s, Program *p, const CompileOptions *options, const char *stage, GradcEntryKind entry, Text *out) {
  const Graph *graph = entry_graph(p, entry, options);
  if (!strcmp(stage, "trace")) {
    graph_print(graph, out);
    return true;
  }
  if (passes_has(stage)) {
    const PassOptions passes = {.without = options->without, .after = stage, .bf16 = options->bf16};
    Graph *g = passes_run(graph, &passes);
    graph_print(g, out);
    graph_free(g);
    return true;
  }
  const bool ir = !strcmp(stage, "ir"), assembly = !strcmp(stage, "asm");
  if (!ir && !assembly && strcmp(stage, "schedule")) {
    list_stages(out);
    return false;
  }
  const Machine machine = machine_of(options);
  Graph *g = prepare(graph, entry, options, NULL);
  Schedule *schedule = schedule_graph(s, g, &machine);
  if (ir || assembly) dump_code(schedule, options, assembly, out);
  else {
    const EmitOptions e = emit_options(options);
    schedule_print(schedule, explain_stage, &e, out);
  }
  schedule_free(schedule);
  graph_free(g);
  return true;
}

bool compile_dump(Session *s, const char *path, CompileOptions *options, const char *stage, GradcEntryKind entry, Text *out) {
  if (!strcmp(stage, "ast")) {
    Tree tree = {0};
    Ast file = {0};
    if (parse_file(s, &tree, path, &file)) ast_dump(&tree, file, &s->sources, &s->names, out);
    tree_free(&tree);
    return true;
  }
  Program *program = compile_front(s, path, options);
  if (!program) return true;
  const bool known = dump_graph(s, program, options, stage, entry, out);
  program_free(program);
  return known;
}
