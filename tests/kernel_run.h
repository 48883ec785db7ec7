/* kernel_run.h: runs a schedule with plain loops, exactly as kernel.h describes it: every expression at every point, every
 * sum in its order. Between the oracle and the emitted code: a schedule that is wrong shows here, without code generation. */
#ifndef GRADC_KERNEL_RUN_H
#define GRADC_KERNEL_RUN_H
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "schedule.h"

typedef struct {
  const Schedule *s;
  int64_t batch[GRADC_MAX_BATCHES];
  double step, steps, epoch;
  uint64_t seed, draw;
  double **buffers; /* one a buffer of the schedule; slots' are the caller's, and are written */
  bool lies;        /* something is not 0 where a load says so: it is read as 0 */
} KernelRun;

typedef struct {
  KernelRun *run;
  const Kernel *kernel;
  const Launch *launch;
  const Stage *stage;
  int64_t index[KERNEL_MAX_AXES];
  double acc, second; /* X_ACC */
  double more[16];    /* lanes of a second sum */
  int64_t moved[KERNEL_MAX_OPERANDS]; /* by the rounds of the loops around the launch */
  double *results[64]; /* by stage: the values of its expressions at this block index */
} KernelPoint;

static inline int64_t kr_extent(const KernelRun *r, const Extent *e) { return e->count * (e->batch >= 0 ? r->batch[e->batch] : 1); }

static inline int64_t kr_affine(const KernelPoint *p, const Affine *a) {
  int64_t at = a->offset;
  for (int i = 0; i < KERNEL_MAX_AXES; i++)
    if (a->stride[i] && a->grouped != i + 1)
      at += a->stride[i] * p->index[i] * (a->batch[i] >= 0 ? p->run->batch[a->batch[i]] : 1);
  if (!a->grouped) return at;
  const int64_t own = p->index[a->grouped - 1], in = own % EXAMPLE_GROUP;
  return at + a->stride[a->grouped - 1] * (own - in) + in;
}

static inline double kr_round(double x, uint8_t type) { return type == TYPE_F32 || type == TYPE_BF16 ? type_round((Type)type, x) : x; }

static double kr_expr(const KernelPoint *p, int32_t i);

static int64_t kr_gathered(const KernelPoint *p, int32_t gather, int64_t stride) {
  return gather ? (int64_t)kr_expr(p, gather - 1) * stride : 0;
}

static bool kr_outside(const KernelPoint *p, const Guard *g, int count) {
  bool outside = false;
  for (int i = 0; i < count; i++) outside |= kr_affine(p, &g[i].index) < 0 || kr_affine(p, &g[i].index) >= g[i].limit;
  return outside;
}

static double kr_load(const KernelPoint *p, const Load *l) {
  if (kr_outside(p, l->guards, l->guard_count)) return 0;
  const int64_t at = kr_affine(p, &l->at) + kr_gathered(p, l->gather, l->gather_stride) + p->moved[l->operand];
  const double x = p->run->buffers[p->launch->operands[l->operand]][at];
  if (!kr_outside(p, l->guards + l->guard_count, l->zero_count)) return x;
  p->run->lies |= x != 0;
  return 0;
}

static double kr_random(const KernelPoint *p, const Expr *e) {
  const uint64_t element = (uint64_t)kr_affine(p, &e->affine);
  const bool wide = e->type == TYPE_F64, four = e->a == 0 && !wide;
  const uint64_t c = four ? element / 64 * 16 + element % 16 : element;
  const uint32_t counter[4] = {(uint32_t)c, (uint32_t)(c >> 32), (uint32_t)p->run->draw, (uint32_t)e->b};
  const uint32_t key[2] = {(uint32_t)p->run->seed, (uint32_t)(p->run->seed >> 32)};
  uint32_t w[4];
  gradc_philox(counter, key, w);
  const double u53 = (double)((((uint64_t)w[0] << 32) | w[1]) >> 11), v53 = (double)((((uint64_t)w[2] << 32) | w[3]) >> 11);
  if (e->a == 0) return wide ? u53 * 0x1p-53 : (w[element / 16 % 4] >> 8) * 0x1p-24;
  const double u = wide ? (u53 + 1) * 0x1p-53 : ((w[0] >> 8) + 1) * 0x1p-24, v = wide ? v53 * 0x1p-53 : (w[1] >> 8) * 0x1p-24;
  return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

static double kr_expr(const KernelPoint *p, int32_t i) {
  const Expr *e = &p->stage->exprs.data[i];
  switch (e->kind) {
  case X_LOAD: return kr_load(p, &p->stage->loads.data[e->a]);
  case X_CONST: return kr_round(e->value, e->type);
  case X_INDEX: return (double)kr_affine(p, &e->affine);
  case X_RANDOM: return kr_round(kr_random(p, e), e->type);
  case X_NUMBER: return e->a == 0 ? p->run->step : e->a == 1 ? p->run->steps : p->run->epoch;
  case X_EXTENT: return (double)p->run->batch[e->a];
  case X_ACC: return e->a < 0 ? p->acc : p->second;
  case X_RESULT: return p->results[e->a][e->b];
  default: break;
  }
  const double x = kr_expr(p, e->a), y = e->b >= 0 ? kr_expr(p, e->b) : 0;
  if (e->prim == P_CAST) return e->type == TYPE_I32 ? trunc(x) : e->type == TYPE_BOOL ? x != 0 : kr_round(x, e->type);
  return kr_round(prim_info((Prim)e->prim)->value(x, y, e->c >= 0 ? kr_expr(p, e->c) : 0), e->type);
}

/* All values first: a store may go where another value was loaded from. */
static void kr_stores(KernelPoint *p, bool before) {
  double values[KERNEL_MAX_OPERANDS];
  for (uint32_t i = 0; i < p->stage->stores.count; i++)
    if (p->stage->stores.data[i].before == before) values[i] = kr_expr(p, p->stage->stores.data[i].value);
  for (uint32_t i = 0; i < p->stage->stores.count; i++) {
    const Store *t = &p->stage->stores.data[i];
    if (t->before != before) continue;
    const int64_t at = kr_affine(p, &t->at) + kr_gathered(p, t->gather, t->gather_stride) + p->moved[t->operand];
    p->run->buffers[p->launch->operands[t->operand]][at] = values[i];
  }
}

static double kr_combine(const Stage *s, double acc, double x, double y) {
  switch (s->combine) {
  case COMBINE_ADD: return kr_round(acc + x, s->acc_type);
  case COMBINE_FMA: return s->acc_type == TYPE_F32 ? (double)fmaf((float)x, (float)y, (float)acc) : fma(x, y, acc);
  case COMBINE_MUL: return kr_round(acc * x, s->acc_type);
  case COMBINE_MAX: return isnan(acc) || isnan(x) ? NAN : x > acc ? x : acc;
  default: return isnan(acc) || isnan(x) ? NAN : x < acc ? x : acc;
  }
}

static double kr_identity(const Stage *s) {
  return s->combine == COMBINE_MUL ? 1 : s->combine == COMBINE_MAX ? -INFINITY : s->combine == COMBINE_MIN ? INFINITY : 0;
}

static void kr_reduce_axis(KernelPoint *p, int axis, double *lanes, int count, double *best, int64_t *number) {
  const Stage *s = p->stage;
  if (axis == s->par + s->red) {
    const double x = s->before >= 0 ? kr_expr(p, s->before) : 0;
    if (s->combine == COMBINE_SCATTER) {
      /* its stores are all there is */
    } else if (s->combine == COMBINE_ARGMAX) {
      if (*number == 0 || (!isnan(*best) && (isnan(x) || x > *best))) *best = x, p->acc = (double)*number;
      ++*number;
    } else {
      const int64_t own = p->index[s->order == ORDER_GROUPS ? s->par : axis - 1];
      const int lane = s->order == ORDER_SEQUENCE ? 0 : (int)(own % count);
      const double y = s->before2 >= 0 ? kr_expr(p, s->before2) : 0;
      lanes[lane] = kr_combine(s, lanes[lane], x, y);
      if (s->combine == COMBINE_ADD) p->more[lane] = kr_combine(s, p->more[lane], y, 0);
    }
    kr_stores(p, true);
    return;
  }
  int64_t n = kr_extent(p->run, &s->axes[axis]), from = 0;
  if (s->chunks && axis == s->par) {
    const int64_t size = stage_chunk_size(s, n);
    from = p->index[0] * size, n = n < from + size ? n : from + size;
  }
  const bool pairs = axis + 1 == s->par + s->red && stage_in_pairs(s);
  for (int64_t i = from; i < n; i++) {
    p->index[axis] = pairs && (i ^ 1) < n ? i ^ 1 : i;
    kr_reduce_axis(p, axis + 1, lanes, count, best, number);
  }
  p->index[axis] = 0;
}

static void kr_point(KernelPoint *p) {
  const Stage *s = p->stage;
  const int stage = (int)(s - p->kernel->stages.data);
  p->acc = 0;
  if (s->combine != COMBINE_NONE) {
    const int count = s->order == ORDER_SEQUENCE ? 1 : s->acc_type == TYPE_F64 ? 8 : 16;
    double lanes[16], best = -INFINITY;
    int64_t number = 0;
    for (int i = 0; i < 16; i++) lanes[i] = kr_identity(s), p->more[i] = 0;
    kr_reduce_axis(p, s->par, lanes, count, &best, &number);
    p->second = best;
    if (s->combine != COMBINE_ARGMAX) {
      for (int w = count / 2; w; w /= 2)
        for (int i = 0; i < w; i++) {
          lanes[i] = kr_combine(s, lanes[i], lanes[i + w], 1);
          p->more[i] = kr_round(p->more[i] + p->more[i + w], s->acc_type);
        }
      p->acc = lanes[0], p->second = p->more[0];
    }
  }
  if (s->par == p->kernel->block) { /* values that later stages ask for: before the stores, which may overwrite what they read */
    p->results[stage] = realloc(p->results[stage], (s->exprs.count + 1) * sizeof(double));
    for (uint32_t i = 0; i < s->exprs.count; i++) p->results[stage][i] = kr_expr(p, (int32_t)i);
  }
  kr_stores(p, false);
}

static void kr_par_axes(KernelPoint *p, int axis) {
  if (axis == p->stage->par) {
    kr_point(p);
    return;
  }
  const int64_t n = kr_extent(p->run, &p->stage->axes[axis]);
  for (p->index[axis] = 0; p->index[axis] < n; p->index[axis]++) kr_par_axes(p, axis + 1);
  p->index[axis] = 0;
}

static void kr_block_axes(KernelPoint *p, int axis) {
  if (axis == p->kernel->block) {
    for (uint32_t i = 0; i < p->kernel->stages.count; i++) {
      p->stage = &p->kernel->stages.data[i];
      kr_par_axes(p, axis);
    }
    return;
  }
  const int64_t n = kr_extent(p->run, &p->kernel->stages.data[0].axes[axis]);
  for (int64_t i = 0; i < n; i++) {
    p->index[axis] = i;
    kr_block_axes(p, axis + 1);
  }
  p->index[axis] = 0;
}

static void kr_launch(KernelRun *run, const Launch *l, const int64_t *rounds) {
  KernelPoint p = {.run = run, .launch = l};
  p.kernel = &run->s->kernels.data[l->kernel];
  for (uint32_t i = 0; l->advance && i < p.kernel->operand_count; i++)
    for (int d = 0; d < LOOP_MAX_DEPTH; d++)
      p.moved[i] += l->advance[i].round[d] * rounds[d] + l->advance[i].odd[d] * (rounds[d] & 1);
  kr_block_axes(&p, 0);
  for (size_t k = 0; k < 64; k++) free(p.results[k]);
}

/* The loop directly within `scope` that `loop` is or lies in. */
static uint32_t kr_below(const Schedule *s, uint32_t loop, uint32_t scope) {
  while (s->loops.data[loop - 1].parent != scope) loop = s->loops.data[loop - 1].parent;
  return loop;
}

static bool kr_within(const Schedule *s, uint32_t loop, uint32_t outer) {
  while (loop && loop != outer) loop = s->loops.data[loop - 1].parent;
  return loop == outer;
}

static void kr_launches(KernelRun *run, uint32_t from, uint32_t to, uint32_t scope, int64_t *rounds) {
  const Schedule *s = run->s;
  for (uint32_t i = from, end; i < to; i = end) {
    const Launch *l = &s->launches.data[i];
    end = i + 1;
    if (l->loop == scope) {
      kr_launch(run, l, rounds);
      continue;
    }
    const uint32_t loop = kr_below(s, l->loop, scope);
    const ScheduleLoop *own = &s->loops.data[loop - 1];
    while (end < to && kr_within(s, s->launches.data[end].loop, loop)) end++;
    for (rounds[own->depth] = 0; rounds[own->depth] < own->length; rounds[own->depth]++) kr_launches(run, i, end, loop, rounds);
    rounds[own->depth] = 0;
  }
}

static void kernel_run(KernelRun *run) {
  int64_t rounds[LOOP_MAX_DEPTH] = {0};
  kr_launches(run, 0, run->s->launches.count, 0, rounds);
}

/* Buffers of the right sizes; slots from `slots` (one array a slot, copied). */
static int64_t kr_elements(const KernelRun *run, uint32_t buffer) {
  const Buffer *b = &run->s->buffers.data[buffer];
  const Dims *d = shape_dims(run->s->graph, b->shape);
  int64_t n = 1;
  for (uint32_t k = 0; k < d->rank; k++) { /* examples may lie in groups, the last of them whole */
    const int64_t examples = dim_is_batch(d->dims[k]) ? run->batch[DIM_BATCH - d->dims[k]] : 1;
    n *= !dim_is_batch(d->dims[k]) ? d->dims[k]
         : b->is_slot              ? examples
                                   : (examples + EXAMPLE_GROUP - 1) / EXAMPLE_GROUP * EXAMPLE_GROUP;
  }
  return node_prim(run->s->graph, b->node) == P_CARRY ? 2 * n : n;
}

static void kernel_run_open(KernelRun *run, const double *const *slots) {
  const Schedule *s = run->s;
  run->buffers = mem_zero(s->buffers.count + 1, sizeof *run->buffers);
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    const Buffer *b = &s->buffers.data[i];
    const int64_t n = kr_elements(run, i);
    run->buffers[i] = mem_zero((size_t)n + 1, sizeof(double));
    if (b->is_slot && slots[b->slot]) memcpy(run->buffers[i], slots[b->slot], (size_t)n * sizeof(double));
  }
}

static void kernel_run_close(KernelRun *run) {
  for (uint32_t i = 0; i < run->s->buffers.count; i++) free(run->buffers[i]);
  free(run->buffers);
}

#endif
