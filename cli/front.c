/* front.c: see front.h. */
#include "front.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gradc.h"
#include "near.h"
#include "render.h"
#include "synthetic.h"
#include "warnings.h"

static bool use_color(void) { return isatty(STDERR_FILENO) && !getenv("NO_COLOR"); }

void front_report(Front *f) {
  Session *s = &f->session;
  if (!s->diags) return;
  Text text = {0};
  render_text(s, &text, use_color());
  fflush(stdout);
  fputs(text_get(&text), stderr);
  text_free(&text);
  s->diags = s->last_diag = NULL;
  s->errors = s->warnings = 0;
}

int front_fail(Front *f, const char *hint, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  fprintf(stderr, "error: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  if (hint) fprintf(stderr, "hint: %s\n", hint);
  return EXIT_INPUT;
}

static const char *folder_of(Arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return ".";
  return slash == path ? "/" : arena_text(arena, path, (size_t)(slash - path));
}

static bool take_overrides(Front *f, const Options *o) {
  for (uint32_t i = 0; i < o->set.count; i++) {
    const char *equals = strchr(o->set.data[i], '=');
    if (!equals || equals == o->set.data[i] || !equals[1]) {
      fprintf(stderr, "gradc: --set takes NAME=VALUE, not `%s`\n", o->set.data[i]);
      return false;
    }
    const Override set = {arena_text(&f->arena, o->set.data[i], (size_t)(equals - o->set.data[i])), equals + 1, false};
    vec_push(&f->overrides, set);
  }
  f->compile.trace.overrides = f->overrides.data;
  f->compile.trace.override_count = f->overrides.count;
  return true;
}

void front_check_overrides(Front *f) {
  const Program *p = f->program;
  for (uint32_t i = 0; p && i < f->overrides.count; i++) {
    if (f->overrides.data[i].used) continue;
    const char *name = f->overrides.data[i].name;
    const char **names = ARENA_ARRAY(&f->arena, const char *, p->settings.count + 1);
    for (uint32_t k = 0; k < p->settings.count; k++) names[k] = p->settings.data[k].name;
    Diag *d = diag_error(&f->session, "unknown-setting", (Span){0}, "--set: there is no setting `%s`", name);
    const char *near = near_find(name, names, p->settings.count);
    if (near)
      diag_hint(&f->session, d, "did you mean `%s`?", near);
    else
      diag_hint(&f->session, d, "`gradc train %s --print-config` lists the settings", p->path);
  }
}

/* The inputs and targets of each block, in the order of their slots: those whose first extent is its batch. */
static void find_wants(Front *f) {
  const Graph *g = f->program->init; /* all graphs have the same slots */
  f->blocks = f->program->data.count;
  for (uint32_t b = 0; b < f->blocks; b++) {
    f->wants[b] = ARENA_ARRAY(&f->arena, DataWant, g->slots.count + 1);
    for (uint32_t i = 0; i < g->slots.count; i++) {
      const Slot *slot = &g->slots.data[i];
      if (slot->kind != SLOT_INPUT && slot->kind != SLOT_TARGET) continue;
      const Dims *d = shape_dims(g, slot->shape);
      if (!d->rank || d->dims[0] != DIM_BATCH - (int64_t)b) continue;
      DataWant *want = &f->wants[b][f->want_counts[b]++];
      *want = (DataWant){.name = slot->name, .slot = i, .type = slot->type, .classes = slot->classes, .target = slot->kind == SLOT_TARGET};
      want->shape.rank = d->rank - 1;
      memcpy(want->shape.dims, d->dims + 1, want->shape.rank * sizeof *d->dims);
    }
  }
}

static bool take_quiet(Front *f, const Options *o) {
  for (uint32_t i = 0; i < o->no_warn.count; i++) {
    const char *near = NULL, *unknown = warnings_quiet(&f->session, o->no_warn.data[i], &near);
    if (!unknown) continue;
    fprintf(stderr, "gradc: --no-warn: there is no warning `%s`\n", unknown);
    if (near) fprintf(stderr, "hint: did you mean `%s`?\n", near);
    else fprintf(stderr, "hint: `gradc check --help` lists the warnings\n");
    return false;
  }
  return true;
}

static bool read_type(const char *word, CompileOptions *options) {
  options->bf16 = word && !strcmp(word, "bf16");
  options->trace.float_type = TYPE_F32;
  if (!word || options->bf16 || !strcmp(word, "f32")) return true;
  options->trace.float_type = TYPE_F64;
  if (!strcmp(word, "f64")) return true;
  fprintf(stderr, "gradc: --dtype takes f32, f64 or bf16, not `%s`\n", word);
  return false;
}

int front_prepare(Front *f, const Options *o, bool train) {
  *f = (Front){.json = o->json, .verbose = o->verbose};
  TraceOptions *t = &f->compile.trace;
  *t = (TraceOptions){.model = o->model, .batch = o->batch, .epochs = o->epochs, .steps = o->steps, .seed = o->seed, .no_train = !train};
  f->compile.cpu = o->cpu;
  f->compile.without = o->without;
  if (!o->no_cache && cache_folder(f->cache)) f->compile.cache = f->cache;
  f->folder = folder_of(&f->arena, o->path);
  if (!read_type(o->dtype, &f->compile) || !take_overrides(f, o) || !take_quiet(f, o)) return EXIT_USAGE;
  return EXIT_DONE;
}

static int open_program(Front *f, const Options *o, bool train, bool recall) {
  const int status = front_prepare(f, o, train);
  if (status) return status;
  if (recall) f->program = compile_recall(&f->session, o->path, &f->compile);
  if (!f->program) f->program = compile_front(&f->session, o->path, &f->compile);
  front_check_overrides(f);
  const bool failed = f->session.errors || !f->program;
  front_report(f);
  if (failed) return EXIT_INPUT;
  find_wants(f);
  return EXIT_DONE;
}

int front_open(Front *f, const Options *o, bool train) { return open_program(f, o, train, false); }
int front_recall(Front *f, const Options *o, bool train) { return open_program(f, o, train, true); }

const Program *front_traced(Front *f) {
  if (!f->program->kept) return f->program;
  if (!f->traced) f->traced = compile_front(&f->session, f->program->path, &f->compile);
  return f->traced;
}

bool front_processor(Front *f, bool runs) {
  const char *cpu = f->compile.cpu, *arch, *here;
  GradcLevel level, own;
  if (!cpu) return true;
  if (!compile_knows(cpu, &level, &arch)) {
    front_fail(f, arena_printf(&f->arena, "--cpu takes %s", compile_processors()), "there is no processor `%s`", cpu);
    return false;
  }
  if (!runs || (compile_knows(NULL, &own, &here) && !strcmp(arch, here) && level <= gradc_processor_level())) return true;
  front_fail(f, "`gradc build` and `gradc dump` compile for other processors", "code for %s does not run on this processor", cpu);
  return false;
}

const GradcProgram *front_compile(Front *f, unsigned entries) {
  f->compiled = compile_program(&f->session, f->program, &f->compile, entries);
  front_report(f);
  return f->compiled ? compiled_program(f->compiled) : NULL;
}

void front_bytes(double bytes, Text *out) {
  if (bytes < 1024) text_printf(out, "%.0f bytes", bytes);
  else if (bytes < 1048576) text_printf(out, "%.1f KiB", bytes / 1024);
  else if (bytes < 1073741824.0) text_printf(out, "%.1f MiB", bytes / 1048576);
  else text_printf(out, "%.2f GiB", bytes / 1073741824);
}

static void too_little(Front *f, int64_t needed, int64_t limit) {
  Text text = {0};
  text_add(&text, "the model needs ");
  front_bytes((double)needed, &text);
  text_add(&text, " at this batch even where all is recomputed that can be, and --memory-limit allows ");
  front_bytes((double)limit, &text);
  front_fail(f, "a smaller --batch takes less; so do fewer --threads", "%s", text_get(&text));
  text_free(&text);
}

const GradcProgram *front_compile_within(Front *f, const Options *o, unsigned entries, const int64_t *capacity, int threads) {
  if (!o->memory_limit) return front_compile(f, entries);
  GradcMessage message;
  GradcMemory memory = {0};
  const GradcProgram *program = front_compile(f, 1u << GRADC_ENTRY_INIT | (entries & 1u << GRADC_ENTRY_GRADIENT));
  if (gradc_memory(program, capacity, threads, &memory, &message) != GRADC_OK) {
    front_fail(f, NULL, "%s", message.text);
    return NULL;
  }
  const int64_t others = memory.total - memory.arena;
  if (memory.total > o->memory_limit) {
    f->compile.arena_limit = o->memory_limit > others ? o->memory_limit - others : 1;
    memcpy(f->compile.arena_batch, capacity, sizeof f->compile.arena_batch);
  }
  compiled_free(f->compiled);
  program = front_compile(f, entries);
  if (gradc_memory(program, capacity, threads, &memory, &message) == GRADC_OK && memory.total <= o->memory_limit) return program;
  too_little(f, memory.total, o->memory_limit);
  return NULL;
}

/* What became of each entry that has code. */
static void tell_cache(const Front *f) {
  static const char *const names[GRADC_ENTRY_COUNT] = {[GRADC_ENTRY_INIT] = "initialising", [GRADC_ENTRY_TRAIN] = "training",
                                                       [GRADC_ENTRY_EVAL] = "evaluation", [GRADC_ENTRY_GRADIENT] = "gradient"};
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) {
    const CompileStats stats = compiled_stats(f->compiled, (GradcEntryKind)kind, 1);
    if (!stats.cache || !*stats.cache) continue;
    const bool hit = !strcmp(stats.cache, "hit"), miss = !strcmp(stats.cache, "miss");
    fprintf(stderr, "%s: %s in %.1f ms%s%s\n", names[kind], hit ? "from the cache" : "compiled", 1e3 * stats.seconds,
            hit || miss ? "" : strcmp(stats.cache, "off") ? ", " : "", hit || miss || !strcmp(stats.cache, "off") ? "" : stats.cache);
  }
}

void front_close(Front *f) {
  if (f->compiled && f->verbose) fprintf(stderr, "model: %s\n", f->program->kept ? "from the cache" : "traced"), tell_cache(f);
  if (f->compiled) compiled_free(f->compiled);
  if (f->program) program_free(f->program);
  if (f->traced) program_free(f->traced);
  vec_free(&f->overrides);
  arena_free(&f->arena);
  session_free(&f->session);
}

/* --data FILE is the first block that reads a file; --data NAME=FILE names the block. */
static const char *file_of(const Front *f, const Options *o, uint32_t block) {
  if (!o->data) return NULL;
  for (uint32_t b = 0; b < f->blocks; b++) {
    const char *name = f->program->data.data[b].name;
    const size_t n = strlen(name);
    if (n && !strncmp(o->data, name, n) && o->data[n] == '=') return b == block ? o->data + n + 1 : NULL;
  }
  uint32_t first = 0;
  while (first + 1 < f->blocks && f->program->data.data[first].size) first++;
  return block == first ? o->data : NULL;
}

bool front_data(Front *f, const Options *o, const DataOptions *how, Stats *stats, Dataset **data) {
  bool ok = true;
  for (uint32_t b = 0; b < f->blocks; b++) data[b] = NULL;
  for (uint32_t b = 0; b < f->blocks && ok; b++) {
    DataOptions options = *how;
    options.folder = f->folder;
    options.file = file_of(f, o, b);
    const DataPlan *plan = &f->program->data.data[b];
    if (o->synthetic && plan->size) {
      DataPlan *smaller = ARENA_ARRAY(&f->arena, DataPlan, 1);
      *smaller = *plan;
      smaller->size = o->synthetic;
      plan = smaller;
    }
    data[b] = o->synthetic && !plan->size ? synthetic_dataset(&f->session, plan, f->wants[b], f->want_counts[b], o->synthetic)
                                          : dataset_load(&f->session, plan, b, f->wants[b], f->want_counts[b], &options, stats);
    ok = data[b] != NULL;
  }
  front_report(f);
  return ok;
}

const char *front_weights(Front *f, const char *given) {
  if (given) return given;
  const char *path = f->program->path;
  const size_t n = strlen(path);
  const bool ends = n > 3 && !strcmp(path + n - 3, ".nn");
  return arena_printf(&f->arena, "%.*s.safetensors", (int)(ends ? n - 3 : n), path);
}

bool name_fits(const char *pattern, const char *name) {
  if (!pattern) return true;
  if (*pattern == '*') return name_fits(pattern + 1, name) || (*name && name_fits(pattern, name + 1));
  return *pattern ? *pattern == *name && name_fits(pattern + 1, name + 1) : !*name;
}
