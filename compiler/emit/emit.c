/* emit.c: the face of emission: a schedule becomes one module, that an object file, and that code in memory. */
#include "emit.h"

#include <stdlib.h>

#include "jit.h"
#include "nest.h"

struct Loaded {
  Jit *jit;
};

static const EmitOptions no_options;

static Emit *open_module(const Schedule *s, const char *name, const EmitOptions *o, Arena *arena) {
  Target target;
  char *error = NULL;
  if (!target_named(&target, arena, o->cpu)) DIAG_BUG(s->session, ((Span){0}), "no code is emitted for a processor \"%s\"", o->cpu);
  if (o->triple) target.triple = o->triple;
  Emit *e = emit_open(&target, name, &error);
  if (!e) DIAG_BUG(s->session, ((Span){0}), "the code generator does not know its target: %s", error);
  return e;
}

/* Fills a module that is given back to emit_close. */
static Emit *build_module(const Schedule *s, const char *entry, uint32_t first_buffer, const EmitOptions *o, Arena *arena) {
  Unit u = {.e = open_module(s, entry, o, arena), .schedule = s, .options = o};
  V *kernels = ARENA_ARRAY(&u.arena, V, s->kernels.count + 1);
  for (uint32_t i = 0; i < s->kernels.count; i++) kernels[i] = kernel_emit(&u, i);
  entry_emit(&u, entry, first_buffer, kernels);
  arena_free(&u.arena);
  return u.e;
}

void emit_schedule(const Schedule *s, const char *entry, uint32_t first_buffer, const EmitOptions *options,
                   EmitResult *result) {
  const EmitOptions *o = options ? options : &no_options;
  Arena arena = {0};
  char *error = NULL;
  *result = (EmitResult){0};
  if (o->keep_asm) { /* code can be taken out of a module once */
    Emit *e = build_module(s, entry, first_buffer, o, &arena);
    result->assembly = emit_assembly(e, &error);
    if (!result->assembly) DIAG_BUG(s->session, ((Span){0}), "no assembly: %s", error);
    emit_close(e);
  }
  Emit *e = build_module(s, entry, first_buffer, o, &arena);
  if (o->keep_ir) result->ir = emit_ir(e);
  result->object = emit_object(e, &result->size, &error);
  if (!result->object) DIAG_BUG(s->session, ((Span){0}), "no object code: %s", error);
  emit_close(e);
  arena_free(&arena);
}

int64_t emit_scratch(const Schedule *s, const EmitOptions *options) {
  const EmitOptions *o = options ? options : &no_options;
  Arena arena = {0};
  Target target;
  int64_t most = 0;
  if (!target_named(&target, &arena, o->cpu)) DIAG_BUG(s->session, ((Span){0}), "no code is emitted for a processor \"%s\"", o->cpu);
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    const int64_t bytes = shape_scratch(&target, o, &s->kernels.data[i]);
    if (bytes > most) most = bytes;
  }
  arena_free(&arena);
  return most;
}

void emit_machine(const EmitOptions *options, uint32_t *vector_bytes, uint32_t *vector_registers, const char **cpu) {
  Arena arena = {0};
  Target target = {0};
  const char *name = options && options->cpu ? options->cpu : "native";
  if (!target_named(&target, &arena, name)) target_host(&target, &arena);
  *vector_bytes = target.vector_bytes, *vector_registers = target.vector_registers, *cpu = name;
  arena_free(&arena);
}

Loaded *emit_load(const EmitResult *object, const char **error) {
  char *why = NULL;
  Jit *jit = jit_load(object->object, object->size, &why);
  *error = why;
  if (!jit) return NULL;
  Loaded *loaded = mem_alloc(sizeof *loaded);
  loaded->jit = jit;
  return loaded;
}

GradcEntry emit_entry(Loaded *loaded, const char *name) { return (GradcEntry)jit_symbol(loaded->jit, name); }

void emit_unload(Loaded *loaded) {
  if (!loaded) return;
  jit_free(loaded->jit);
  free(loaded);
}
