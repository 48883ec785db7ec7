/* emit.c: the face of emission: a schedule becomes one module, that an object file, and that code in memory. */
#include "emit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "jit.h"
#include "nest.h"

struct Loaded {
  Jit *jits[EMIT_MAX_PARTS]; /* [0] has the entry */
  unsigned count;
};

static const EmitOptions no_options;

static Emit *open_module(const Schedule *s, const char *name, const EmitOptions *o, Arena *arena) {
  Target target;
  char *error = NULL;
  if (!target_named(&target, arena, o->cpu))
    DIAG_BUG(s->session, ((Span){0}), "no code is emitted for a processor \"%s\"", o->cpu);
  if (o->triple) target.triple = o->triple;
  Emit *e = emit_open(&target, name, &error);
  if (!e) DIAG_BUG(s->session, ((Span){0}), "the code generator does not know its target: %s", error);
  return e;
}

/* What one thread makes: the kernels of one part, and in the first part the entry. */
typedef struct {
  const Schedule *schedule;
  const char *entry;
  const EmitOptions *options;
  const uint8_t *owner; /* the part of each kernel; NULL: one part */
  uint8_t part;
  EmitResult *result;
} Job;

/* Fills a module that is given back to emit_close. */
static Emit *build_module(const Job *job, Arena *arena) {
  const Schedule *s = job->schedule;
  Unit u = {.e = open_module(s, job->entry, job->options, arena), .schedule = s, .options = job->options};
  V *kernels = ARENA_ARRAY(&u.arena, V, s->kernels.count + 1);
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    const bool own = !job->owner || job->owner[i] == job->part;
    if (own)
      kernels[i] = kernel_emit(&u, i, job->part ? job->entry : NULL);
    else if (!job->part)
      kernels[i] = kernel_declare(&u, i, job->entry);
  }
  if (!job->part) entry_emit(&u, job->entry, kernels);
  arena_free(&u.arena);
  return u.e;
}

static void *run_job(void *p) {
  const Job *job = p;
  const Schedule *s = job->schedule;
  Arena arena = {0};
  char *error = NULL;
  *job->result = (EmitResult){0};
  if (job->options->keep_asm) { /* code can be taken out of a module once */
    Emit *e = build_module(job, &arena);
    job->result->assembly = emit_assembly(e, &error);
    if (!job->result->assembly) DIAG_BUG(s->session, ((Span){0}), "no assembly: %s", error);
    emit_close(e);
  }
  Emit *e = build_module(job, &arena);
  if (job->options->keep_ir) job->result->ir = emit_ir(e);
  job->result->object = emit_object(e, &job->result->size, &error);
  if (!job->result->object) DIAG_BUG(s->session, ((Span){0}), "no object code: %s", error);
  emit_close(e);
  arena_free(&arena);
  return NULL;
}

void emit_schedule(const Schedule *s, const char *entry, const EmitOptions *options,
                   EmitResult *result) {
  Job job = {s, entry, options ? options : &no_options, NULL, 0, result};
  run_job(&job);
}

/* About how many instructions of the intermediate form a kernel becomes. */
static double kernel_weight(const Kernel *k) {
  double weight = 40;
  for (uint32_t i = 0; i < k->stages.count; i++) {
    const Stage *t = &k->stages.data[i];
    weight += 30 + (t->combine == COMBINE_FMA ? 120 + 14.0 * t->exprs.count + 60 * t->pack : 8.0 * t->exprs.count);
  }
  return weight;
}

/* The heaviest kernel left goes to the part that has least. */
static void share_kernels(const Schedule *s, uint8_t *owner, unsigned count) {
  double load[EMIT_MAX_PARTS] = {0};
  bool *done = mem_zero(s->kernels.count + 1, 1);
  for (uint32_t n = 0; n < s->kernels.count; n++) {
    uint32_t heaviest = UINT32_MAX;
    for (uint32_t i = 0; i < s->kernels.count; i++)
      if (!done[i] &&
          (heaviest == UINT32_MAX || kernel_weight(&s->kernels.data[i]) > kernel_weight(&s->kernels.data[heaviest])))
        heaviest = i;
    unsigned least = 0;
    for (unsigned i = 1; i < count; i++)
      if (load[i] < load[least]) least = i;
    done[heaviest] = true;
    owner[heaviest] = (uint8_t)least;
    load[least] += kernel_weight(&s->kernels.data[heaviest]);
  }
  free(done);
}

void emit_schedule_parts(const Schedule *s, const char *entry, const EmitOptions *options,
                         EmitResult *parts, unsigned count) {
  Job jobs[EMIT_MAX_PARTS];
  pthread_t threads[EMIT_MAX_PARTS];
  bool started[EMIT_MAX_PARTS] = {false};
  uint8_t *owner = mem_zero(s->kernels.count + 1, 1);
  if (count > EMIT_MAX_PARTS) count = EMIT_MAX_PARTS;
  share_kernels(s, owner, count);
  for (unsigned i = count; i-- > 0;) {
    jobs[i] = (Job){s, entry, options ? options : &no_options, owner, (uint8_t)i, &parts[i]};
    started[i] = i && !pthread_create(&threads[i], NULL, run_job, &jobs[i]);
    if (!started[i]) run_job(&jobs[i]);
  }
  for (unsigned i = 1; i < count; i++)
    if (started[i]) pthread_join(threads[i], NULL);
  free(owner);
}

int64_t emit_scratch(const Schedule *s, const EmitOptions *options) {
  const EmitOptions *o = options ? options : &no_options;
  Target target = {0};
  int64_t most = 0;
  if (!target_vectors(&target, o->cpu))
    DIAG_BUG(s->session, ((Span){0}), "no code is emitted for a processor \"%s\"", o->cpu);
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    const int64_t bytes = shape_scratch(&target, o, &s->kernels.data[i]);
    if (bytes > most) most = bytes;
  }
  return most;
}

void emit_machine(const EmitOptions *options, uint32_t *vector_bytes, uint32_t *vector_registers, const char **cpu) {
  Target target = {0};
  const char *name = options && options->cpu ? options->cpu : "native";
  if (!target_vectors(&target, name)) target_vectors(&target, NULL);
  *vector_bytes = target.vector_bytes, *vector_registers = target.vector_registers, *cpu = name;
}

bool emit_knows(const EmitOptions *options, GradcLevel *level, const char **arch) {
  Arena arena = {0};
  Target target = {0};
  const bool known = target_named(&target, &arena, options->cpu);
  if (known) {
    const bool x86 = !strncmp(target.triple, "x86_64", 6);
    *arch = x86 ? "x86_64" : !strncmp(target.triple, "wasm", 4) ? "wasm32" : "aarch64";
    *level = !x86 ? GRADC_LEVEL_ANY : !target.has_fma ? GRADC_LEVEL_X86_V2 : target.vector_bytes < 64 ? GRADC_LEVEL_X86_V3 : target.has_dot ? GRADC_LEVEL_X86_V4_BF16 : GRADC_LEVEL_X86_V4;
  }
  arena_free(&arena);
  return known;
}

const char *emit_processors(void) { return target_names(); }

Loaded *emit_load_parts(const EmitResult *parts, unsigned count, const char **error) {
  Loaded *loaded = mem_zero(1, sizeof *loaded);
  loaded->count = count;
  for (unsigned i = count; i-- > 0;) { /* the first one last: it calls the others */
    char *why = NULL;
    loaded->jits[i] = jit_load_with(parts[i].object, parts[i].size, loaded->jits + i + 1, count - 1 - i, &why);
    if (loaded->jits[i]) continue;
    *error = why;
    emit_unload(loaded);
    return NULL;
  }
  return loaded;
}

Loaded *emit_load(const EmitResult *object, const char **error) { return emit_load_parts(object, 1, error); }

GradcEntry emit_entry(Loaded *loaded, const char *name) { return (GradcEntry)jit_symbol(loaded->jits[0], name); }

void emit_unload(Loaded *loaded) {
  if (!loaded) return;
  for (unsigned i = 0; i < loaded->count; i++) jit_free(loaded->jits[i]);
  free(loaded);
}
