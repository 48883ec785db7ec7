/* object.c: a whole model as one module: its entries, and as constant data the tables of its GradcProgram (abi.h), field by
 * field in the order of that header. What it does not do: decide what is in the tables. */
#include <stdlib.h>
#include <string.h>

#include "emit.h"
#include "fuse.h"
#include "jit.h"
#include "mem.h"
#include "nest.h"
#include "vec.h"

/* A module that is being filled with the tables of a program. */
typedef struct {
  Emit *e;
  const EmitModel *model;
} Tables;

static V number(LLVMTypeRef type, uint64_t value) { return LLVMConstInt(type, value, false); }

/* A constant that nothing outside the module sees; its address. */
static V constant(Tables *t, V value, const char *name) {
  V global = LLVMAddGlobal(t->e->module, LLVMTypeOf(value), name);
  LLVMSetInitializer(global, value), LLVMSetGlobalConstant(global, true);
  LLVMSetLinkage(global, LLVMInternalLinkage);
  return global;
}

static V text(Tables *t, const char *string) {
  V global = constant(t, LLVMConstStringInContext2(t->e->cx, string, strlen(string), false), "text");
  LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
  return global;
}

static V integers(Tables *t, const int64_t *values, unsigned count) {
  V all[GRADC_MAX_RANK + GRADC_MAX_PAIRS];
  for (unsigned i = 0; i < count; i++) all[i] = number(t->e->i64, (uint64_t)values[i]);
  return LLVMConstArray2(t->e->i64, all, count);
}

static V record(Tables *t, V *fields, unsigned count, size_t size) {
  V value = LLVMConstStructInContext(t->e->cx, fields, count, false);
  LLVMTargetDataRef layout = LLVMGetModuleDataLayout(t->e->module);
  const bool as_here = LLVMPointerSize(layout) == sizeof(void *);
  if (as_here && LLVMABISizeOfType(layout, LLVMTypeOf(value)) != size) abort(); /* a field of abi.h that is not here */
  return value;
}
#define RECORD(t, type, ...) \
  record(t, (V[]){__VA_ARGS__}, (unsigned)(sizeof((V[]){__VA_ARGS__}) / sizeof(V)), sizeof(type))

/* The address of an array of rows; NULL where there is none. */
static V table(Tables *t, V *rows, uint32_t count, const char *name) {
  if (!count) return LLVMConstNull(t->e->ptr);
  return constant(t, LLVMConstArray2(LLVMTypeOf(rows[0]), rows, count), name);
}

static V slot_table(Tables *t) {
  const GradcProgram *p = t->model->program;
  Emit *e = t->e;
  V *rows = mem_zero(p->slot_count + 1, sizeof *rows);
  for (uint32_t i = 0; i < p->slot_count; i++) {
    const GradcSlot *s = &p->slots[i];
    rows[i] = RECORD(t, GradcSlot, text(t, s->name), number(e->i8, s->kind), number(e->i8, s->type), number(e->i8, s->rank),
                     number(e->i32, (uint32_t)s->classes), integers(t, s->dims, GRADC_MAX_RANK));
  }
  V all = table(t, rows, p->slot_count, "slots");
  free(rows);
  return all;
}

static V buffer_table(Tables *t) {
  const GradcProgram *p = t->model->program;
  Emit *e = t->e;
  V *rows = mem_zero(p->buffer_count + 1, sizeof *rows);
  for (uint32_t i = 0; i < p->buffer_count; i++) {
    const GradcBuffer *b = &p->buffers[i];
    rows[i] = RECORD(t, GradcBuffer, number(e->i8, b->where), number(e->i8, b->pair), number(e->i8, b->entry),
                     number(e->i32, b->slot), number(e->i64, (uint64_t)b->offset),
                     integers(t, b->offset_batch, GRADC_MAX_BATCHES), number(e->i64, (uint64_t)b->offset_pair));
  }
  V all = table(t, rows, p->buffer_count, "buffers");
  free(rows);
  return all;
}

static V output_table(Tables *t, const GradcEntryInfo *entry) {
  Emit *e = t->e;
  V *rows = mem_zero(entry->output_count + 1, sizeof *rows);
  for (uint32_t i = 0; i < entry->output_count; i++) {
    const GradcOutput *o = &entry->outputs[i];
    rows[i] = RECORD(t, GradcOutput, text(t, o->name), number(e->i8, o->kind), number(e->i8, o->type), number(e->i8, o->rank),
                     integers(t, o->dims, GRADC_MAX_RANK), number(e->i32, o->buffer), number(e->i32, o->weight));
  }
  V all = table(t, rows, entry->output_count, "outputs");
  free(rows);
  return all;
}

/* A slot's first value. With several models of one program it lies in the first of them. */
static V start_data(Tables *t, uint32_t i) {
  const GradcStart *s = &t->model->program->starts[i];
  Arena arena = {0};
  const char *name = arena_printf(&arena, "%s_start%u", t->model->shared, i);
  V data = LLVMConstStringInContext2(t->e->cx, s->data, (size_t)s->bytes, true);
  V global = LLVMAddGlobal(t->e->module, LLVMTypeOf(data), name);
  LLVMSetVisibility(global, LLVMHiddenVisibility), LLVMSetGlobalConstant(global, true), LLVMSetAlignment(global, 64);
  if (t->model->has_shared) LLVMSetInitializer(global, data);
  arena_free(&arena);
  return global;
}

static V start_table(Tables *t) {
  const GradcProgram *p = t->model->program;
  V *rows = mem_zero(p->start_count + 1, sizeof *rows);
  for (uint32_t i = 0; i < p->start_count; i++)
    rows[i] = RECORD(t, GradcStart, number(t->e->i32, p->starts[i].slot), number(t->e->i64, (uint64_t)p->starts[i].bytes),
                     start_data(t, i));
  V all = table(t, rows, p->start_count, "starts");
  free(rows);
  return all;
}

static V pair_table(Tables *t) {
  const GradcProgram *p = t->model->program;
  V *rows = mem_zero(p->pair_count + 1, sizeof *rows);
  for (uint32_t i = 0; i < p->pair_count; i++) rows[i] = RECORD(t, GradcPair, text(t, p->pairs[i].key), text(t, p->pairs[i].value));
  V all = table(t, rows, p->pair_count, "pairs");
  free(rows);
  return all;
}

static V entry_row(Tables *t, const GradcEntryInfo *entry, V run) {
  Emit *e = t->e;
  return RECORD(t, GradcEntryInfo, run, number(e->i64, (uint64_t)entry->arena),
                integers(t, entry->arena_batch, GRADC_MAX_BATCHES), integers(t, entry->arena_pair, GRADC_MAX_PAIRS),
                number(e->i64, (uint64_t)entry->scratch),
                number(e->i32, entry->max_threads), number(e->i32, entry->output_count), output_table(t, entry));
}

static V program_table(Tables *t, const V *runs) {
  const GradcProgram *p = t->model->program;
  Emit *e = t->e;
  V entries[GRADC_ENTRY_COUNT];
  for (int k = 0; k < GRADC_ENTRY_COUNT; k++) {
    const GradcEntryInfo none = {0};
    entries[k] = entry_row(t, runs[k] ? &p->entries[k] : &none, runs[k] ? runs[k] : LLVMConstNull(e->ptr));
  }
  return RECORD(t, GradcProgram, number(e->i32, p->abi), number(e->i32, p->level), text(t, p->name), number(e->i64, p->hash),
                number(e->i32, p->slot_count), number(e->i32, p->buffer_count), slot_table(t), buffer_table(t),
                LLVMConstArray2(LLVMTypeOf(entries[0]), entries, GRADC_ENTRY_COUNT),
                integers(t, p->batch, GRADC_MAX_BATCHES), number(e->i32, p->start_count), number(e->i32, p->pair_count),
                start_table(t), pair_table(t));
}

/* A kernel that was emitted for an entry; another entry's equal one is the same function. */
typedef struct {
  const Schedule *schedule;
  uint32_t number;
  V function;
} Done;
typedef Vec(Done) DoneList;

static V find_done(const DoneList *list, const Schedule *s, uint32_t number) {
  for (uint32_t i = 0; i < list->count; i++) {
    const Done *d = &list->data[i];
    if (kernel_equal(&d->schedule->kernels.data[d->number], &s->kernels.data[number]) &&
        kernel_distinct(d->schedule, d->number) == kernel_distinct(s, number))
      return d->function;
  }
  return NULL;
}

/* An entry with its kernels, inside the module. */
static V emit_run(Emit *e, const EmitModel *m, const EmitOptions *options, int kind, DoneList *done) {
  static const char *const names[] = {"init", "train", "eval", "gradient"};
  EmitOptions own = *options;
  own.rows = m->rows[kind];
  Unit u = {.e = e, .schedule = m->schedules[kind], .options = &own};
  V *kernels = ARENA_ARRAY(&u.arena, V, u.schedule->kernels.count + 1);
  e->small = kind == GRADC_ENTRY_INIT || kind == GRADC_ENTRY_GRADIENT;
  for (uint32_t i = 0; i < u.schedule->kernels.count; i++) {
    kernels[i] = find_done(done, u.schedule, i);
    if (kernels[i]) continue;
    kernels[i] = kernel_emit(&u, i, NULL);
    vec_push(done, ((Done){u.schedule, i, kernels[i]}));
  }
  e->small = true;
  entry_emit(&u, names[kind], kernels);
  e->small = false;
  V run = LLVMGetNamedFunction(e->module, names[kind]);
  LLVMSetLinkage(run, LLVMInternalLinkage);
  arena_free(&u.arena);
  return run;
}

/* const GradcProgram *name(void), made current and empty; seen from outside. */
static V program_function(Emit *e, const char *name) { return e_function(e, name, e->ptr, NULL, 0, false, false); }

static Emit *open_model(Session *s, const EmitOptions *options, const char *name, Arena *arena) {
  Target target;
  char *error = NULL;
  if (!target_named(&target, arena, options->cpu)) DIAG_BUG(s, ((Span){0}), "no code is emitted for a processor \"%s\"", options->cpu);
  if (options->triple) target.triple = options->triple;
  Emit *e = emit_open(&target, name, &error);
  if (!e) DIAG_BUG(s, ((Span){0}), "the code generator does not know its target: %s", error);
  return e;
}

static Emit *build_model(Session *s, const EmitModel *m, const EmitOptions *options, Arena *arena) {
  Emit *e = open_model(s, options, m->program->name, arena);
  Tables t = {.e = e, .model = m};
  V runs[GRADC_ENTRY_COUNT] = {NULL};
  DoneList done = {0};
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++)
    if (m->schedules[kind]) runs[kind] = emit_run(e, m, options, kind, &done);
  vec_free(&done);
  V program = constant(&t, program_table(&t, runs), m->symbol);
  if (!m->function) {
    LLVMSetLinkage(program, LLVMExternalLinkage), LLVMSetVisibility(program, LLVMHiddenVisibility);
    return e;
  }
  program_function(e, m->function);
  LLVMBuildRet(e->b, program);
  return e;
}

static void finish(Session *s, Emit *e, EmitResult *result) {
  char *error = NULL;
  result->object = emit_object(e, &result->size, &error);
  if (!result->object) DIAG_BUG(s, ((Span){0}), "no object code: %s", error);
  emit_close(e);
}

void emit_model(Session *s, const EmitModel *m, const EmitOptions *options, EmitResult *result) {
  Arena arena = {0};
  char *error = NULL;
  *result = (EmitResult){0};
  if (options->keep_asm) { /* code can be taken out of a module once */
    Emit *e = build_model(s, m, options, &arena);
    result->assembly = emit_assembly(e, &error);
    if (!result->assembly) DIAG_BUG(s, ((Span){0}), "no assembly: %s", error);
    emit_close(e);
  }
  Emit *e = build_model(s, m, options, &arena);
  if (options->keep_ir) result->ir = emit_ir(e);
  finish(s, e, result);
  arena_free(&arena);
}

static V declare(Emit *e, const char *name, LLVMTypeRef type) {
  V f = LLVMAddFunction(e->module, name, type);
  LLVMSetVisibility(f, LLVMHiddenVisibility); /* of the same shared object: called directly */
  return f;
}

void emit_chooser(Session *s, const char *function, const EmitChoice *choices, unsigned count, const EmitOptions *options,
                  EmitResult *result) {
  Arena arena = {0};
  *result = (EmitResult){0};
  Emit *e = open_model(s, options, function, &arena);
  V f = program_function(e, function);
  LLVMTypeRef type = LLVMFunctionType(e->i32, NULL, 0, false);
  V level = LLVMBuildCall2(e->b, type, declare(e, "gradc_processor_level", type), NULL, 0, "");
  for (unsigned i = 0; i < count; i++) {
    V program = LLVMAddGlobal(e->module, e->i8, choices[i].symbol);
    LLVMSetVisibility(program, LLVMHiddenVisibility);
    if (i + 1 < count) {
      LLVMBasicBlockRef take = LLVMAppendBasicBlockInContext(e->cx, f, "take"), next = LLVMAppendBasicBlockInContext(e->cx, f, "next");
      LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntUGE, level, number(e->i32, choices[i].level), ""), take, next);
      LLVMPositionBuilderAtEnd(e->b, take);
      LLVMBuildRet(e->b, program);
      LLVMPositionBuilderAtEnd(e->b, next);
    } else {
      LLVMBuildRet(e->b, program);
    }
  }
  finish(s, e, result);
  arena_free(&arena);
}

void emit_alias(Session *s, const char *function, const char *other, const EmitOptions *options, EmitResult *result) {
  Arena arena = {0};
  *result = (EmitResult){0};
  Emit *e = open_model(s, options, function, &arena);
  program_function(e, function);
  LLVMTypeRef type = LLVMFunctionType(e->ptr, NULL, 0, false);
  LLVMBuildRet(e->b, LLVMBuildCall2(e->b, type, LLVMAddFunction(e->module, other, type), NULL, 0, ""));
  finish(s, e, result);
  arena_free(&arena);
}
