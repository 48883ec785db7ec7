/* kernel.c: a kernel's function: block loops with stages inside; and the entry, which every thread runs: launch by
 * launch the thread's share, phase by phase a barrier. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nest.h"

typedef struct {
  Nest *nests;         /* [row][stage] */
  uint32_t count, all; /* stages; nests */
  unsigned rows;       /* rows at once, neighbours along `along` */
  int along;           /* a block axis, or -1 */
} Nests;

#define ROW_LANES 64 /* longer rows have enough to do in themselves */

/* The stages of a row wait for each other: for a sum, its tree, a root, a quotient. So several rows go side by side. */
static void choose_rows(Nests *s, const Kernel *k) {
  const Stage *first = &k->stages.data[0];
  s->rows = 1, s->along = -1;
  int64_t longest = 0;
  bool sums = false;
  for (uint32_t i = 0; i < k->stages.count; i++) {
    const Stage *t = &k->stages.data[i];
    if (t->lane < k->block) return;
    const Extent lanes = t->axes[t->lane];
    if (lanes.batch >= 0) return;
    longest = lanes.count > longest ? lanes.count : longest;
    sums |= t->combine != COMBINE_NONE;
  }
  const int axis = k->block - 1; /* not the one that is cut */
  if (axis < 1 || !sums || longest > ROW_LANES || first->axes[axis].batch >= 0 || first->axes[axis].count % 2) return;
  s->along = axis, s->rows = first->axes[axis].count % 4 ? 2 : 4;
}

/* Opens in all other nests the axis that the first one has just opened, evaluates, and closes. */
static void open_others(Nests *s, unsigned axis) {
  for (uint32_t i = 1; i < s->all; i++) {
    Nest *n = &s->nests[i];
    n->vectors = s->nests->vectors;
    memcpy(n->mask, s->nests->mask, sizeof n->mask), memcpy(n->mask_count, s->nests->mask_count, sizeof n->mask_count);
    const int64_t row = (int)axis == s->along ? i / s->count : 0;
    nest_open(n, axis, i64_add(n->e, s->nests->index[axis], e_i64(n->e, row)), true);
  }
}

static void block_loops(Nest *first, Carry *carry, void *data);

static void rows_at_once(Nests *s, Carry *carry) {
  Nest *first = s->nests;
  const Range r = range_axis(first, (unsigned)s->along);
  Loop l;
  e_loop_begin(first->e, &l, r.from, r.to, e_i64(first->e, s->rows), NULL, 0, true);
  nest_open(first, (unsigned)s->along, l.i, true);
  block_loops(first, carry, s);
  nest_close(first);
  e_loop_end(first->e, &l, NULL);
}

/* Block axes that are not open yet, one after the other, the one in the lanes last; then the stages. */
static void block_loops(Nest *first, Carry *carry, void *data) {
  Nests *s = data;
  const unsigned block = first->kernel->block;
  if (first->level) open_others(s, first->axis_at[first->level]);
  unsigned axis = 0;
  while (axis < block && (first->open & AXIS_BIT(axis) || (int)axis == first->lane)) axis++;
  if (axis < block && (int)axis == s->along) {
    rows_at_once(s, carry);
  } else if (axis < block) {
    loop_axis(first, axis, carry, true, block_loops, s);
  } else if (first->lane >= 0 && first->lane < (int)block && !(first->open & AXIS_BIT(first->lane))) {
    loop_lanes(first, (unsigned)first->lane, 1, carry, true, block_loops, s);
  } else {
    for (uint32_t i = 0; i < s->all; i++) stage_emit(&s->nests[i % s->rows * s->count + i / s->rows]);
  }
  for (uint32_t i = 1; first->level && i < s->all; i++) nest_close(&s->nests[i]);
}

bool kernel_distinct(const Schedule *s, uint32_t kernel) {
  const Kernel *k = &s->kernels.data[kernel];
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    if (l->kernel != kernel) continue;
    for (unsigned a = 0; a < k->operand_count; a++)
      for (unsigned b = 0; k->operand_written[a] && b < k->operand_count; b++) {
        const Buffer *x = &s->buffers.data[l->operands[a]], *y = &s->buffers.data[l->operands[b]];
        if (l->advance && x == y && memcmp(&l->advance[a], &l->advance[b], sizeof l->advance[a])) continue; /* places of one */
        if (a != b && (x == y || buffers_share(x, y))) return false;
      }
  }
  return true;
}

static void load_operands(Emit *e, const Kernel *k, V table, V record, V *operand) {
  for (unsigned i = 0; i < k->operand_count; i++) {
    V number = e_load(e, e->i32, e_gep(e, e->i32, record, e_i64(e, i)), 4);
    operand[i] = e_load(e, e->ptr, e_gep(e, e->ptr, table, LLVMBuildZExt(e->b, number, e->i64, "")), e->pointer_bytes);
  }
}

static void kernel_body(Unit *u, uint32_t number, V f) {
  const Kernel *k = &u->schedule->kernels.data[number];
  V operand[KERNEL_MAX_OPERANDS];
  Nests s = {.count = k->stages.count};
  Carry none = {NULL, 0};
  load_operands(u->e, k, LLVMGetParam(f, 1), LLVMGetParam(f, 2), operand);
  const bool distinct = kernel_distinct(u->schedule, number);
  choose_rows(&s, k);
  s.all = s.count * s.rows, s.nests = ARENA_ARRAY(&u->arena, Nest, s.all);
  V **results = ARENA_ARRAY(&u->arena, V *, s.all);
  for (uint32_t i = 0; i < s.all; i++) {
    Nest *n = &s.nests[i];
    const Stage *stage = pairs_stage(&u->e->target, k, &k->stages.data[i % s.count], &u->arena);
    nest_init(n, u, k, stage, LLVMGetParam(f, 0), operand, NULL);
    n->from = LLVMGetParam(f, 3), n->to = LLVMGetParam(f, 4), n->scratch = LLVMGetParam(f, 5);
    n->distinct = distinct, n->number = i % s.count, n->result = results + i / s.count * s.count;
    results[i] = ARENA_ARRAY(&u->arena, V, k->stages.data[i % s.count].exprs.count + 1);
    stage_wants(n);
    nest_hoist(n);
  }
  if (s.all) block_loops(s.nests, &none, &s);
}

/* Within one object a kernel is "kernel3"; where another object calls it, the entry's name stands before. */
static void kernel_name(char *name, size_t size, uint32_t number, const char *owner) {
  snprintf(name, size, "%s%skernel%u", owner ? owner : "", owner ? "." : "", number);
}

V kernel_declare(Unit *u, uint32_t number, const char *owner) {
  Emit *e = u->e;
  char name[96];
  kernel_name(name, sizeof name, number, owner);
  LLVMTypeRef type = LLVMFunctionType(e->void_, (LLVMTypeRef[]){e->ptr, e->ptr, e->ptr, e->i64, e->i64, e->ptr}, 6, false);
  return LLVMAddFunction(e->module, name, type);
}

V kernel_emit(Unit *u, uint32_t number, const char *owner) {
  Emit *e = u->e;
  char name[96];
  kernel_name(name, sizeof name, number, owner);
  V f = e_function(e, name, e->void_, (LLVMTypeRef[]){e->ptr, e->ptr, e->ptr, e->i64, e->i64, e->ptr}, 6, !owner, false);
  LLVMBasicBlockRef work = LLVMAppendBasicBlockInContext(e->cx, f, "work"),
                    none = LLVMAppendBasicBlockInContext(e->cx, f, "none");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, LLVMGetParam(f, 3), LLVMGetParam(f, 4), ""), work, none);
  LLVMPositionBuilderAtEnd(e->b, none);
  LLVMBuildRetVoid(e->b);
  LLVMPositionBuilderAtEnd(e->b, work);
  kernel_body(u, number, f);
  LLVMBuildRetVoid(e->b);
  return f;
}

/* A thread's share of a cut axis. */
typedef struct {
  Extent extent;
  uint32_t unit; /* of rows; 0: of an axis */
  V size, from, to;
} Share;
typedef struct {
  Unit *u;
  V frame, thread, threads, scratch, first; /* first: 1 on thread 0, else 0 */
  V many;                                   /* more than one thread? */
  V table;                                  /* addresses of all buffers */
  V moved;                                  /* room for the addresses of a launch in a loop */
  uint32_t loop;                            /* the innermost that is open, from 1; 0: none */
  Loop loops[LOOP_MAX_DEPTH];
  Vec(Share) shares;
} Entry;

/* units * thread / threads, in elements, at most the extent. */
static V share_edge(Entry *y, V extent, V units, V thread, int64_t unit) {
  Emit *e = y->u->e;
  V at = LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, units, thread, ""), y->threads, "");
  return i64_min(e, i64_mul(e, at, unit), extent);
}

/* Kernels of equal extents are cut alike, by the largest of their units: a thread then finds what it wrote itself. */
static int64_t common_unit(const Schedule *s, Extent extent) {
  int64_t unit = 1;
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    const Kernel *k = &s->kernels.data[i];
    if (k->cut == CUT_FIRST && k->cut_extent.count == extent.count && k->cut_extent.batch == extent.batch &&
        k->cut_unit > unit)
      unit = k->cut_unit;
  }
  return unit;
}

static uint32_t unit_of_rows(const Kernel *k) { return k->cut == CUT_ROWS ? k->cut_unit : 0; }

/* `rows`: the unit, of a cut by rows; else 0. */
static Share find_share(Entry *y, Extent extent, uint32_t rows) {
  Emit *e = y->u->e;
  const int64_t unit = rows ? rows : common_unit(y->u->schedule, extent);
  for (uint32_t i = 0; i < y->shares.count; i++) {
    const Share *s = &y->shares.data[i];
    if (s->extent.count == extent.count && s->extent.batch == extent.batch && s->unit == rows) return *s;
  }
  V size = e_i64(e, extent.count);
  if (extent.batch >= 0) {
    const size_t at = offsetof(GradcFrame, batch) + (size_t)extent.batch * sizeof(int64_t);
    size = i64_mul(e, e_load(e, e->i64, e_gep(e, e->i8, y->frame, e_i64(e, (int64_t)at)), 8), extent.count);
  }
  V units = size;
  if (unit > 1) units = LLVMBuildUDiv(e->b, i64_add(e, size, e_i64(e, unit - 1)), e_i64(e, unit), "");
  const Share s = {extent, rows, size, share_edge(y, size, units, y->thread, unit),
                   share_edge(y, size, units, i64_add(e, y->thread, e_i64(e, 1)), unit)};
  vec_push(&y->shares, s);
  return s;
}

/* Where a buffer's address stands in the program's table. */
static uint32_t row_of(const Unit *u, uint32_t buffer) {
  return u->options->rows ? u->options->rows[buffer] : buffer;
}

/* The buffer numbers of a launch's operands, as constant data; `own`: those of a table of its own. */
static V launch_record(Unit *u, const Launch *l, bool own) {
  Emit *e = u->e;
  const Kernel *k = &u->schedule->kernels.data[l->kernel];
  V numbers[KERNEL_MAX_OPERANDS];
  for (unsigned i = 0; i < k->operand_count; i++) numbers[i] = e_int(e, e->i32, own ? i : row_of(u, l->operands[i]));
  V data = LLVMConstArray2(e->i32, numbers, k->operand_count);
  V record = LLVMAddGlobal(e->module, LLVMTypeOf(data), "record");
  LLVMSetInitializer(record, data), LLVMSetGlobalConstant(record, true);
  LLVMSetLinkage(record, LLVMInternalLinkage), LLVMSetAlignment(record, 4);
  return record;
}

static void call_barrier(Entry *y) {
  Emit *e = y->u->e;
  LLVMBasicBlockRef wait = LLVMAppendBasicBlockInContext(e->cx, e->function, "wait");
  LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, e->function, "phase");
  LLVMBuildCondBr(e->b, y->many, wait, next);
  LLVMPositionBuilderAtEnd(e->b, wait);
  V barrier = e_load(e, e->ptr, e_gep(e, e->i8, y->frame, e_i64(e, offsetof(GradcFrame, barrier))), e->pointer_bytes);
  LLVMTypeRef type = LLVMFunctionType(e->void_, (LLVMTypeRef[]){e->ptr, e->i64}, 2, false);
  LLVMBuildCall2(e->b, type, barrier, (V[]){y->frame, y->thread}, 2, "");
  LLVMBuildBr(e->b, next);
  LLVMPositionBuilderAtEnd(e->b, next);
}

/* ---- loops of launches ---- */

static const ScheduleLoop *loop_at(const Entry *y, uint32_t loop) { return &y->u->schedule->loops.data[loop - 1]; }

static bool loop_contains(const Entry *y, uint32_t outer, uint32_t inner) {
  while (inner && inner != outer) inner = loop_at(y, inner)->parent;
  return inner == outer;
}

static void open_loops(Entry *y, uint32_t loop) {
  Emit *e = y->u->e;
  if (loop == y->loop) return;
  open_loops(y, loop_at(y, loop)->parent);
  e_loop_begin(e, &y->loops[loop_at(y, loop)->depth], e_i64(e, 0), e_i64(e, loop_at(y, loop)->length), e_i64(e, 1), NULL, 0, true);
  y->loop = loop;
}

/* Is any of the bytes from[2 * i], i in [first, to), not 0? */
static V any_of(Entry *y, V from, V first, V to) {
  Emit *e = y->u->e;
  LLVMBasicBlockRef begin = LLVMGetInsertBlock(e->b), look = LLVMAppendBasicBlockInContext(e->cx, e->function, "look"),
                    more = LLVMAppendBasicBlockInContext(e->cx, e->function, "more"), done = LLVMAppendBasicBlockInContext(e->cx, e->function, "looked");
  V no = LLVMConstInt(e->i1, 0, false), yes = LLVMConstInt(e->i1, 1, false);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, first, to, ""), look, done);
  LLVMPositionBuilderAtEnd(e->b, look);
  V i = LLVMBuildPhi(e->b, e->i64, "");
  V byte = e_load(e, e->i8, e_gep(e, e->i8, from, i64_mul(e, i, 2)), 1);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntNE, byte, e_int(e, e->i8, 0), ""), done, more);
  LLVMPositionBuilderAtEnd(e->b, more);
  V next = i64_add(e, i, e_i64(e, 1));
  LLVMAddIncoming(i, (V[]){first, next}, (LLVMBasicBlockRef[]){begin, more}, 2);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, to, ""), look, done);
  LLVMPositionBuilderAtEnd(e->b, done);
  V any = LLVMBuildPhi(e->b, e->i1, "");
  LLVMAddIncoming(any, (V[]){no, yes, no}, (LLVMBasicBlockRef[]){begin, look, more}, 3);
  return any;
}

/* Leaves the loop where nothing goes on. A carry has two places, by turns (schedule.h): only every second round leaves the values
 * where the last one would. */
static void leave_settled(Entry *y, const ScheduleLoop *l) {
  Emit *e = y->u->e;
  const Loop *loop = &y->loops[l->depth];
  const Buffer *b = &y->u->schedule->buffers.data[l->going];
  LLVMBasicBlockRef look = LLVMAppendBasicBlockInContext(e->cx, e->function, "settled"), more = LLVMAppendBasicBlockInContext(e->cx, e->function, "unsettled");
  V odd = LLVMBuildAnd(e->b, i64_add(e, loop->i, e_i64(e, l->length + 1)), e_i64(e, 1), "");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntEQ, odd, e_i64(e, 0), ""), look, more);
  LLVMPositionBuilderAtEnd(e->b, look);
  V from = e_gep(e, e->i8, e_load(e, e->ptr, e_gep(e, e->ptr, y->table, e_i64(e, row_of(y->u, (uint32_t)l->going))), e->pointer_bytes),
                 e_i64(e, l->length & 1));
  const Share share = find_share(y, (Extent){1, b->size.batch[0]}, 0);
  const bool own = !l->waits;
  V any = any_of(y, from, own ? share.from : e_i64(e, 0), own ? share.to : share.size);
  LLVMBuildCondBr(e->b, any, more, loop->exit);
  LLVMPositionBuilderAtEnd(e->b, more);
}

/* Closes the loops that `next` is not in; true where all threads have met behind the last. */
static bool close_loops(Entry *y, uint32_t next) {
  bool met = false;
  while (!loop_contains(y, y->loop, next)) {
    const ScheduleLoop *l = loop_at(y, y->loop);
    if (l->waits) call_barrier(y);
    if (l->going >= 0) leave_settled(y, l);
    met = met || l->waits;
    e_loop_end(y->u->e, &y->loops[l->depth], NULL);
    y->loop = l->parent;
  }
  return met;
}

/* The elements by which an operand is moved in this round; NULL: none. */
static V moved_by(Entry *y, const Advance *a, uint32_t loop) {
  Emit *e = y->u->e;
  V by = NULL;
  for (; loop; loop = loop_at(y, loop)->parent) {
    const uint32_t d = loop_at(y, loop)->depth;
    V round = y->loops[d].i, terms[2] = {NULL, NULL};
    if (a->round[d]) terms[0] = i64_mul(e, round, a->round[d]);
    if (a->odd[d]) terms[1] = i64_mul(e, LLVMBuildAnd(e->b, round, e_i64(e, 1), ""), a->odd[d]);
    for (int i = 0; i < 2; i++)
      if (terms[i]) by = by ? i64_add(e, by, terms[i]) : terms[i];
  }
  return by;
}

/* A table of the launch's own operands, where they lie in this round. */
static V moved_operands(Entry *y, const Launch *l) {
  Emit *e = y->u->e;
  const Kernel *k = &y->u->schedule->kernels.data[l->kernel];
  for (unsigned i = 0; i < k->operand_count; i++) {
    V at = e_load(e, e->ptr, e_gep(e, e->ptr, y->table, e_i64(e, row_of(y->u, l->operands[i]))), e->pointer_bytes);
    V by = moved_by(y, &l->advance[i], l->loop);
    if (by) at = e_gep(e, memory_type(e, (Type)k->operand_type[i]), at, by);
    e_store(e, at, e_gep(e, e->ptr, y->moved, e_i64(e, i)), e->pointer_bytes);
  }
  return y->moved;
}

static void call_kernel(Entry *y, const Launch *l, V *kernels) {
  Emit *e = y->u->e;
  const Kernel *k = &y->u->schedule->kernels.data[l->kernel];
  V from = e_i64(e, 0), to = y->first;
  if (k->cut != CUT_NONE) {
    const Share share = find_share(y, k->cut_extent, unit_of_rows(k));
    from = share.from, to = share.to;
  }
  V table = l->advance ? moved_operands(y, l) : y->table;
  V record = launch_record(y->u, l, l->advance != NULL);
  call_function(e, kernels[l->kernel], (V[]){y->frame, table, record, from, to, y->scratch}, 6);
}

/* To the profiler, where there is one. The kernels are the same as without. */
static void call_stamp(Entry *y, int64_t launch) {
  Emit *e = y->u->e;
  if (!y->u->options->stamps) return;
  V stamp = e_load(e, e->ptr, e_gep(e, e->i8, y->frame, e_i64(e, offsetof(GradcFrame, stamp))), e->pointer_bytes);
  LLVMTypeRef type = LLVMFunctionType(e->void_, (LLVMTypeRef[]){e->ptr, e->i64, e->i64}, 3, false);
  LLVMBuildCall2(e->b, type, stamp, (V[]){y->frame, y->thread, e_i64(e, launch)}, 3, "");
}

void entry_emit(Unit *u, const char *name, V *kernels) {
  Emit *e = u->e;
  const Schedule *s = u->schedule;
  V f = e_function(e, name, e->void_, (LLVMTypeRef[]){e->ptr, e->i64, e->i64, e->ptr}, 4, false, false);
  Entry y = {.u = u,
             .frame = LLVMGetParam(f, 0),
             .thread = LLVMGetParam(f, 1),
             .threads = LLVMGetParam(f, 2),
             .scratch = LLVMGetParam(f, 3)};
  y.first = LLVMBuildZExt(e->b, LLVMBuildICmp(e->b, LLVMIntEQ, y.thread, e_i64(e, 0), ""), e->i64, "");
  y.many = LLVMBuildICmp(e->b, LLVMIntSGT, y.threads, e_i64(e, 1), "");
  y.table = e_load(e, e->ptr, e_gep(e, e->i8, y.frame, e_i64(e, offsetof(GradcFrame, buffers))), e->pointer_bytes);
  if (s->loops.count) y.moved = LLVMBuildAlloca(e->b, LLVMArrayType2(e->ptr, KERNEL_MAX_OPERANDS), "");
  for (uint32_t i = 0; i < s->launches.count; i++) { /* all divisions at once, before any call */
    const Kernel *k = &s->kernels.data[s->launches.data[i].kernel];
    if (k->cut != CUT_NONE) find_share(&y, k->cut_extent, unit_of_rows(k));
  }
  for (uint32_t i = 0; i < s->loops.count; i++)
    if (s->loops.data[i].going >= 0) find_share(&y, (Extent){1, s->buffers.data[s->loops.data[i].going].size.batch[0]}, 0);
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    const bool met = close_loops(&y, l->loop);
    if (!met && i && l->phase != s->launches.data[i - 1].phase) call_barrier(&y);
    open_loops(&y, l->loop);
    call_stamp(&y, i);
    call_kernel(&y, l, kernels);
  }
  close_loops(&y, 0);
  call_stamp(&y, s->launches.count);
  LLVMBuildRetVoid(e->b);
  vec_free(&y.shares);
}
