/* kernel_build.h: kernels written by hand, and a check of the code emitted for them against the plain loops of
 * kernel_run.h. Every array of the emitted code ends at the edge of its last page, so that a read or write behind it is
 * a fault, not luck. */
#ifndef GRADC_KERNEL_BUILD_H
#define GRADC_KERNEL_BUILD_H
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "emit.h"
#include "kernel_run.h"

#define BATCH(i) (-1 - (i)) /* as a dim: the batch extent of block i */

typedef struct {
  Session session;
  Schedule s;
  Graph *g;
  int64_t batch[GRADC_MAX_BATCHES];
} Build;

static inline void kb_open(Build *b) {
  memset(b, 0, sizeof *b);
  b->g = graph_new(&b->session, TYPE_F32);
  b->s.session = &b->session, b->s.graph = b->g;
}

static inline void kb_close(Build *b) {
  for (uint32_t i = 0; i < b->s.kernels.count; i++) {
    Kernel *k = &b->s.kernels.data[i];
    for (uint32_t j = 0; j < k->stages.count; j++) {
      Stage *s = &k->stages.data[j];
      vec_free(&s->exprs), vec_free(&s->loads), vec_free(&s->stores);
    }
    vec_free(&k->stages);
  }
  vec_free(&b->s.kernels), vec_free(&b->s.launches), vec_free(&b->s.buffers);
  arena_free(&b->s.memory);
  graph_free(b->g);
  session_free(&b->session);
}

/* A buffer; as many dims as `rank`. */
static inline uint32_t kb_buffer(Build *b, Type type, uint32_t rank, ...) {
  Dims d = {.rank = rank};
  va_list list;
  va_start(list, rank);
  for (uint32_t i = 0; i < rank; i++) d.dims[i] = va_arg(list, int);
  va_end(list);
  const uint32_t number = b->s.buffers.count;
  vec_push(&b->s.buffers, ((Buffer){.type = type, .is_slot = true, .slot = number, .shape = shape_of(b->g, &d)}));
  return number;
}

static inline Extent kb_extent(int64_t dim) { return dim < 0 ? (Extent){1, (int32_t)(-1 - dim)} : (Extent){dim, -1}; }

/* A kernel whose operand i is buffer i. */
static inline Kernel *kb_kernel(Build *b, uint8_t block, uint32_t phase) {
  Launch l = {.kernel = b->s.kernels.count, .phase = phase};
  Kernel k = {
      .block = block, .operand_count = (uint16_t)b->s.buffers.count, .cut = CUT_NONE, .cut_unit = 1, .name = "k"};
  for (uint32_t i = 0; i < b->s.buffers.count; i++) k.operand_type[i] = b->s.buffers.data[i].type, l.operands[i] = i;
  vec_push(&b->s.kernels, k);
  vec_push(&b->s.launches, l);
  b->s.phases = phase + 1;
  return &b->s.kernels.data[b->s.kernels.count - 1];
}

/* A stage with these extents, par axes first. The kernel is cut by its first axis. */
static inline Stage *kb_stage(Kernel *k, uint8_t par, uint8_t red, ...) {
  Stage s = {.par = par,    .red = red,      .lane = -1,           .row = -1, .row_outer = -1,
             .before = -1, .before2 = -1, .acc_type = TYPE_F32};
  va_list list;
  va_start(list, red);
  for (int i = 0; i < par + red; i++) s.axes[i] = kb_extent(va_arg(list, int));
  va_end(list);
  vec_push(&k->stages, s);
  if (k->block || (par && k->stages.count == 1))
    k->cut = CUT_FIRST, k->cut_extent = s.axes[0];
  else
    k->cut = CUT_NONE;
  return &k->stages.data[k->stages.count - 1];
}

/* offset and strides; a stride of BATCH_STRIDE(i, n) is n * the batch extent of block i. */
#define BATCH_STRIDE(i, n) (1000000 * ((i) + 1) + (n))
static inline Affine kb_affine_list(int64_t offset, int count, va_list list) {
  Affine a = {.offset = offset};
  memset(a.batch, -1, sizeof a.batch);
  for (int i = 0; i < count; i++) {
    a.stride[i] = va_arg(list, int);
    if (a.stride[i] >= 1000000) a.batch[i] = (int8_t)(a.stride[i] / 1000000 - 1), a.stride[i] %= 1000000;
  }
  return a;
}
static inline Affine kb_affine(int64_t offset, int count, ...) {
  va_list list;
  va_start(list, count);
  Affine a = kb_affine_list(offset, count, list);
  va_end(list);
  return a;
}

static inline int32_t kb_expr(Stage *s, Expr e) {
  vec_push(&s->exprs, e);
  return (int32_t)s->exprs.count - 1;
}
static inline int32_t kb_load(Build *b, Stage *s, uint32_t buffer, Affine at) {
  vec_push(&s->loads, ((Load){.operand = (uint16_t)buffer, .at = at}));
  return kb_expr(
      s,
      (Expr){
          .kind = X_LOAD, .type = b->s.buffers.data[buffer].type, .a = (int32_t)s->loads.count - 1, .b = -1, .c = -1});
}
/* Guards the stage's last load. */
static inline void kb_guard(Build *b, Stage *s, Affine index, int64_t limit, int64_t step) {
  Load *l = &s->loads.data[s->loads.count - 1];
  Guard *guards = ARENA_ARRAY(&b->s.memory, Guard, l->guard_count + 1u);
  if (l->guard_count) memcpy(guards, l->guards, l->guard_count * sizeof *guards);
  guards[l->guard_count++] = (Guard){index, limit, step};
  l->guards = guards;
}
/* … where it is 0 in memory, or so it says. */
static inline void kb_zeros(Build *b, Stage *s, Affine index, int64_t limit) {
  kb_guard(b, s, index, limit, 1);
  Load *l = &s->loads.data[s->loads.count - 1];
  l->guard_count--, l->zero_count++;
}
static inline int32_t kb_const(Stage *s, Type type, double value) {
  return kb_expr(s, (Expr){.kind = X_CONST, .type = type, .value = value, .a = -1, .b = -1, .c = -1});
}
static inline int32_t kb_prim(Stage *s, Prim p, Type type, int32_t x, int32_t y, int32_t z) {
  return kb_expr(s, (Expr){.kind = X_PRIM, .type = type, .prim = p, .a = x, .b = y, .c = z});
}
static inline int32_t kb_acc(Stage *s) {
  return kb_expr(s, (Expr){.kind = X_ACC, .type = s->acc_type, .a = -1, .b = -1, .c = -1});
}
static inline int32_t kb_leaf(Stage *s, ExprKind kind, Type type, int32_t x, int32_t y, Affine at) {
  return kb_expr(s, (Expr){.kind = kind, .type = type, .a = x, .b = y, .c = -1, .affine = at});
}
static inline void kb_store(Kernel *k, Stage *s, uint32_t buffer, Affine at, int32_t value, bool before) {
  vec_push(&s->stores, ((Store){.operand = (uint16_t)buffer, .at = at, .value = value, .before = before}));
  k->operand_written[buffer] = true;
}

/* ---- running ---- */

typedef struct {
  uint8_t *map;
  size_t mapped;
  void *at; /* of the array */
} Paged;

static inline Paged kb_map(size_t bytes) {
  const size_t page = 4096, whole = (bytes + page - 1) / page * page;
  Paged p = {.mapped = whole + 2 * page};
  p.map = mmap(NULL, p.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p.map == MAP_FAILED) abort();
  mprotect(p.map, page, PROT_NONE), mprotect(p.map + page + whole, page, PROT_NONE);
  p.at = p.map + page + whole - bytes;
  return p;
}

static inline int64_t kb_count(const Build *b, const int64_t *batch, uint32_t buffer) {
  const Dims *d = shape_dims(b->g, b->s.buffers.data[buffer].shape);
  int64_t n = 1;
  for (uint32_t k = 0; k < d->rank; k++) n *= dim_is_batch(d->dims[k]) ? batch[DIM_BATCH - d->dims[k]] : d->dims[k];
  return n;
}

static inline void kb_put(Type type, void *at, int64_t i, double x) {
  if (type == TYPE_F32)
    ((float *)at)[i] = (float)x;
  else if (type == TYPE_F64)
    ((double *)at)[i] = x;
  else if (type == TYPE_I32)
    ((int32_t *)at)[i] = (int32_t)x;
  else if (type == TYPE_BF16) {
    const float rounded = (float)type_round(TYPE_BF16, x);
    memcpy((char *)at + 2 * i, (const char *)&rounded + 2, 2); /* the upper half */
  } else
    ((uint8_t *)at)[i] = x != 0;
}
static inline double kb_get(Type type, const void *at, int64_t i) {
  float wide = 0;
  if (type == TYPE_BF16) return memcpy((char *)&wide + 2, (const char *)at + 2 * i, 2), (double)wide;
  return type == TYPE_F32   ? (double)((const float *)at)[i]
         : type == TYPE_F64 ? ((const double *)at)[i]
         : type == TYPE_I32 ? (double)((const int32_t *)at)[i]
                            : (double)((const uint8_t *)at)[i];
}

/* Values that tell places apart: multiples of 1/64 in -2 .. 2, small whole numbers, both truths. */
static inline double kb_sample(Type type, uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  const uint32_t r = *state >> 8;
  return type == TYPE_BOOL  ? r & 1
         : type == TYPE_I32 ? (double)(r % 11) - 3
                            : ((double)(r % 257) - 128) / 64 + (r >> 9 & 7) * 1e-3;
}

static inline void kb_no_barrier(GradcFrame *frame, int64_t thread) { (void)frame, (void)thread; }

/* Largest difference between emitted code and plain loops, relative to the largest value; NaN equals NaN. Bits are
 * compared where `exact`: then it is 0 or 1. Each thread of `threads` runs after the other (one phase alone is meant
 * where there are several). */
static inline double kb_check(Build *b, const EmitOptions *o, int threads, bool exact) {
  const uint32_t n = b->s.buffers.count;
  uint32_t state = 1;
  double **slots = mem_zero(n + 1, sizeof *slots);
  Paged *pages = mem_zero(n + 1, sizeof *pages);
  void **at = mem_zero(n + 1, sizeof *at);
  for (uint32_t i = 0; i < n; i++) {
    const Type type = b->s.buffers.data[i].type;
    const int64_t count = kb_count(b, b->batch, i);
    slots[i] = mem_zero((size_t)count + 1, sizeof(double));
    pages[i] = kb_map((size_t)(count * type_bytes(type)));
    at[i] = pages[i].at;
    for (int64_t k = 0; k < count; k++) {
      kb_put(type, at[i], k, kb_sample(type, &state));
      slots[i][k] = kb_get(type, at[i], k);
    }
  }
  KernelRun run = {.s = &b->s, .step = 3, .steps = 10, .epoch = 2, .seed = 0x123456789abcdef, .draw = 5};
  memcpy(run.batch, b->batch, sizeof run.batch);
  kernel_run_open(&run, (const double *const *)slots);
  kernel_run(&run);
  EmitResult code;
  const char *error;
  emit_schedule(&b->s, "entry", o, &code);
  if (code.ir && getenv("SHOW")) puts(code.ir);
  if (code.assembly && getenv("SHOW")) puts(code.assembly);
  Loaded *loaded = emit_load(&code, &error);
  if (!loaded) fprintf(stderr, "%s\n", error), abort();
  GradcFrame frame = {
      .buffers = at, .step = 3, .steps = 10, .epoch = 2, .seed = run.seed, .draw = run.draw, .barrier = kb_no_barrier};
  memcpy(frame.batch, b->batch, sizeof frame.batch);
  Paged scratch = kb_map(((size_t)emit_scratch(&b->s, o) + 63) / 64 * 64);
  for (int t = 0; t < threads; t++) emit_entry(loaded, "entry")(&frame, t, threads, scratch.at);
  double worst = 0;
  for (uint32_t i = 0; i < n; i++) {
    double top = 1e-30;
    const Type type = b->s.buffers.data[i].type;
    const int64_t count = kb_count(b, b->batch, i);
    for (int64_t k = 0; k < count; k++) top = fmax(top, fabs(run.buffers[i][k]));
    for (int64_t k = 0; k < count; k++) {
      const double want = run.buffers[i][k], got = kb_get(type, at[i], k);
      if (want == got || (isnan(want) && isnan(got))) continue;
      const double off = exact || isnan(want) || isnan(got) ? 1 : fabs(want - got) / top;
      if (off > worst && getenv("SHOW"))
        fprintf(stderr, "buffer %u, element %lld: %.17g, should be %.17g\n", i, (long long)k, got, want);
      worst = fmax(worst, off);
    }
  }
  munmap(scratch.map, scratch.mapped);
  emit_unload(loaded);
  free(code.object), free(code.ir), free(code.assembly);
  kernel_run_close(&run);
  for (uint32_t i = 0; i < n; i++) munmap(pages[i].map, pages[i].mapped), free(slots[i]);
  free(pages), free(slots), free(at);
  return worst;
}

#endif
