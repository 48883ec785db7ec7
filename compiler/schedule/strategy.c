/* strategy.c: axes that do not matter vanish, neighbours that move together become one, the lanes get an axis, a
 * contraction its tile. Only the last is a matter of the machine, and it changes no bit. */
#include "fuse.h"

#include <stdlib.h>
#include <string.h>

/* ---- axes ---- */

typedef void AffineVisit(Affine *a, void *arg);

static void visit_affines(Stage *s, AffineVisit *visit, void *arg) {
  for (uint32_t i = 0; i < s->exprs.count; i++) visit(&s->exprs.data[i].affine, arg);
  for (uint32_t i = 0; i < s->loads.count; i++) {
    visit(&s->loads.data[i].at, arg);
    for (uint32_t k = 0; k < s->loads.data[i].guard_count + s->loads.data[i].zero_count; k++)
      visit(&s->loads.data[i].guards[k].index, arg);
  }
  for (uint32_t i = 0; i < s->stores.count; i++) visit(&s->stores.data[i].at, arg);
}

static void drop_axis(Affine *a, void *arg) {
  const uint32_t axis = *(uint32_t *)arg;
  for (uint32_t i = axis; i + 1 < KERNEL_MAX_AXES; i++) a->stride[i] = a->stride[i + 1], a->batch[i] = a->batch[i + 1];
  a->stride[KERNEL_MAX_AXES - 1] = 0;
  a->batch[KERNEL_MAX_AXES - 1] = -1;
  a->grouped -= a->grouped > axis + 1;
}

static void remove_axis(Stage *s, uint32_t axis) {
  visit_affines(s, drop_axis, &axis);
  const uint32_t n = (uint32_t)s->par + s->red;
  for (uint32_t i = axis; i + 1 < n; i++) s->axes[i] = s->axes[i + 1];
  if (axis < s->par) s->par--;
  else s->red--;
}

typedef struct {
  uint32_t axis;
  Extent inner;
  bool ok;
} Merge;

/* Axes i and i + 1 are one if a step of the outer is as long as the whole inner. */
static void check_merge(Affine *a, void *arg) {
  Merge *m = arg;
  const uint32_t i = m->axis;
  if (a->grouped == i + 1 || a->grouped == i + 2) m->ok = false;
  if (!a->stride[i] && !a->stride[i + 1]) return;
  if (a->stride[i] != a->stride[i + 1] * m->inner.count) m->ok = false;
  if (m->inner.batch >= 0 ? (a->batch[i] != m->inner.batch || a->batch[i + 1] >= 0) : a->batch[i] != a->batch[i + 1]) m->ok = false;
}

static bool try_merge(Stage *s, uint32_t axis) {
  Extent *outer = &s->axes[axis], *inner = &s->axes[axis + 1];
  int64_t count;
  if (outer->batch >= 0 && inner->batch >= 0) return false;
  if (!mem_mul(outer->count, inner->count, &count)) return false;
  Merge m = {axis, *inner, true};
  visit_affines(s, check_merge, &m);
  if (!m.ok) return false;
  s->axes[axis + 1] = (Extent){count, outer->batch >= 0 ? outer->batch : inner->batch};
  uint32_t drop = axis; /* the inner one's strides stay */
  visit_affines(s, drop_axis, &drop);
  const uint32_t n = (uint32_t)s->par + s->red;
  for (uint32_t i = axis; i + 1 < n; i++) s->axes[i] = s->axes[i + 1];
  if (axis < s->par) s->par--;
  else s->red--;
  return true;
}

void axes_simplify(Kernel *k) {
  uint32_t block = k->block;
  for (uint32_t i = 0; i < block;) { /* block axes of extent 1, in all stages */
    if (k->stages.data[0].axes[i].count != 1 || k->stages.data[0].axes[i].batch >= 0) {
      i++;
      continue;
    }
    for (uint32_t j = 0; j < k->stages.count; j++) remove_axis(&k->stages.data[j], i);
    block--;
  }
  k->block = (uint8_t)block;
  for (uint32_t j = 0; j < k->stages.count; j++) {
    Stage *s = &k->stages.data[j];
    for (uint32_t i = block; i < (uint32_t)s->par + s->red;) {
      const bool one = s->axes[i].count == 1 && s->axes[i].batch < 0;
      if (one && (i < s->par || s->red > 1)) remove_axis(s, i);
      else i++;
    }
    /* The first axis is the one that is cut: it stays by itself. Reductions in lanes keep their last axis, so that the
     * order of the sum follows from the graph's shapes. */
    for (uint32_t i = block ? block : 1; i + 1 < (uint32_t)s->par + s->red;) {
      const bool summed = i + 1 < s->par && s->combine != COMBINE_NONE && s->order == ORDER_GROUPS; /* choose_summed_rows */
      const bool crosses = i + 1 == s->par || i < block || summed || (i == s->par && s->chunks);
      if (crosses || !try_merge(s, i)) i++;
    }
    if (!block && s->par == 0)
      for (uint32_t i = 0; i + 1 < s->red;)
        if (!try_merge(s, i)) i++;
  }
}

/* ---- lanes and tiles ---- */

static int lane_of_stores(const Stage *s, uint32_t from) {
  for (int i = s->par - 1; i >= (int)from; i--)
    for (uint32_t k = 0; k < s->stores.count; k++)
      if (s->stores.data[k].at.stride[i] == 1 && s->stores.data[k].at.batch[i] < 0) return i;
  return s->par > from ? s->par - 1 : -1;
}

static bool varies_along(const Stage *s, int32_t expr, int axis) {
  if (expr < 0) return false;
  const Expr *e = &s->exprs.data[expr];
  if (e->kind == X_LOAD) {
    const Load *l = &s->loads.data[e->a];
    bool guarded = false;
    for (uint32_t k = 0; k < l->guard_count; k++) guarded |= l->guards[k].index.stride[axis] != 0;
    return guarded || l->at.stride[axis] || varies_along(s, l->gather - 1, axis);
  }
  if (e->kind != X_PRIM) return e->affine.stride[axis] != 0;
  return varies_along(s, e->a, axis) || varies_along(s, e->b, axis) || varies_along(s, e->c, axis);
}

/* The lanes add to one row: they must be columns. */
static int lane_of_scatter(const Stage *s) {
  const Store *t = &s->stores.data[0];
  for (int i = s->par - 1; i >= 0; i--)
    if (t->at.stride[i] == 1 && t->at.batch[i] < 0) return varies_along(s, t->gather - 1, i) ? -1 : i;
  return -1;
}

static double points(const Extent *e) { return e->batch >= 0 ? 64.0 * (double)e->count : (double)e->count; }

static const Load *operand_load(const Stage *s, int32_t expr) {
  return s->exprs.data[expr].kind == X_LOAD ? &s->loads.data[s->exprs.data[expr].a] : NULL;
}

/* An axis of the row operand alone, whose indices may be rows of a tile. */
static bool may_be_row(const Stage *s, const Load *lane, const Load *row, int axis) {
  return axis != s->lane && row->at.stride[axis] && !lane->at.stride[axis];
}

/* … of known extent, the nearest in memory; not `but`, which is outside of it. */
static int nearest_row(const Stage *s, const Load *lane, const Load *row, int but) {
  int best = -1;
  for (int i = but >= 0; i < s->par; i++) {
    if (i == but || !may_be_row(s, lane, row, i) || s->axes[i].batch >= 0) continue;
    if (best < 0 || llabs(row->at.stride[i]) <= llabs(row->at.stride[best])) best = i;
  }
  return best;
}

#define ROWS_NEAR 8    /* neighbouring places make a tile where there are as many */
#define ROWS_ENOUGH 64 /* so long an axis leaves few rows of its last tile idle */

/* The rows: neighbouring places, of two axes where one is short; else the longest axis. */
static void choose_rows(Stage *s, const Load *lane, const Load *row) {
  const int near = nearest_row(s, lane, row, -1), outer = near < 0 ? -1 : nearest_row(s, lane, row, near);
  for (int i = 0; i < s->par; i++)
    if (may_be_row(s, lane, row, i) && (s->row < 0 || points(&s->axes[i]) >= points(&s->axes[s->row])))
      s->row = (int8_t)i;
  if (near < 0) return;
  const bool pairs = near > 0 && outer > 0 && s->axes[near].count < ROWS_ENOUGH;
  if (s->axes[near].count * (pairs ? s->axes[outer].count : 1) < ROWS_NEAR) return;
  s->row = (int8_t)near, s->row_outer = (int8_t)(pairs ? outer : -1);
}

/* Does the axis go over the same places as an inner axis that is summed? Then neighbouring rows read the same lines. */
static bool slides(const Stage *s, const Load *l, int axis) {
  for (int i = s->par + 1; i < s->par + s->red; i++)
    if (l->at.stride[i] == l->at.stride[axis]) return true;
  return false;
}

/* How many reads each product of a tile costs that has a side of each length, at most `most` rows together. */
static double reads_of_grid(int64_t rows, int64_t outer, int64_t most) {
  double least = 2;
  for (int64_t a = 1; a <= most; a++)
    for (int64_t b = 1; a * b <= most && rows % a == 0; b++)
      if (outer % b == 0 && (double)(a + b) / (double)(a * b) < least) least = (double)(a + b) / (double)(a * b);
  return least;
}

#define GRID_READS 0.7   /* with 24 sums in registers; more, and rows of one axis do as well */
#define GRID_FEW 1.34    /* with 6 */

/* Examples are in the lanes: nothing is wasted whatever lies beside them. A second axis of rows, of the other operand, the one
 * with which least is read. */
static void choose_grid(Stage *s, const Load *row, const Load *other) {
  double least = GRID_READS;
  if (s->exprs.data[s->before].type == TYPE_BF16) return;
  for (int i = 0; i < s->par; i++) {
    bool guarded = false;
    for (uint32_t k = 0; k < other->guard_count; k++) guarded |= other->guards[k].index.stride[i] != 0;
    if (i == s->row || i == s->lane || guarded || s->axes[i].batch >= 0 || !other->at.stride[i] || row->at.stride[i]) continue;
    const double reads = reads_of_grid(s->axes[s->row].count, s->axes[i].count, 24);
    if (reads > least || reads_of_grid(s->axes[s->row].count, s->axes[i].count, 6) > GRID_FEW) continue;
    least = reads, s->row_outer = (int8_t)i;
  }
}

/* Rows of a contraction whose lanes are summed: outputs of the one operand alone; the nearest taps of a window, else the
 * longest axis. */
static void choose_summed_rows(Stage *s) {
  bool sliding = false;
  const Load *a = operand_load(s, s->before), *b = operand_load(s, s->before2);
  s->lane = (int8_t)s->par;
  s->reason = "examples in the lanes, summed";
  for (int i = 0; a && b && i < s->par; i++)
    if (!a->at.stride[i] != !b->at.stride[i] && s->axes[i].batch < 0) {
      const bool near = s->axes[i].count > 2 && slides(s, a->at.stride[i] ? a : b, i);
      if (s->row < 0 || near > sliding || (near == sliding && s->axes[i].count >= s->axes[s->row].count))
        s->row = (int8_t)i, sliding = near;
    }
  if (s->row >= 0) choose_grid(s, a->at.stride[s->row] ? a : b, a->at.stride[s->row] ? b : a);
}

/* The lanes run along the output axis that is contiguous and belongs to one operand alone. */
static void choose_tile(Stage *s) {
  const Load *a = operand_load(s, s->before), *b = operand_load(s, s->before2);
  const int group = stage_grouped_axis(s);
  s->lane = (int8_t)(group >= 0 && group < s->par ? group : lane_of_stores(s, 0));
  if (!a || !b || s->lane < 0) {
    s->reason = "no plain operands: one output at a time";
    return;
  }
  s->swapped = a->at.stride[s->lane] != 0;
  const Load *lane = s->swapped ? a : b, *row = s->swapped ? b : a;
  choose_rows(s, lane, row);
  if (group >= 0 && group == s->lane && s->row >= 0 && s->row_outer < 0) choose_grid(s, row, lane);
  s->pack = group != s->lane && (lane->at.stride[s->lane] != 1 || lane->at.batch[s->lane] >= 0);
  s->reason = s->row < 0 ? "one row: the lanes alone" : s->pack ? "lanes are strided in memory: copied panel by panel" : "lanes are contiguous: nothing copied";
}

#define UNIT_ROWS 24 /* a multiple of every tile's height */

/* A contraction whose outer axes are few is cut by its rows, of which there are many: a kernel by taps else leaves most threads
 * idle. 0: the rows do not come in suitable units, or it has others. */
static uint32_t unit_of_rows(const Stage *s, Extent *all) {
  if (s->combine != COMBINE_FMA || s->exprs.data[s->before].type == TYPE_BF16 || s->row < 0 || s->lane < 0 || s->row == 0 || s->row == s->lane) return 0;
  *all = (Extent){1, -1};
  for (int i = 0; i < s->par; i++)
    if (s->axes[i].batch >= 0 || (i != s->lane && !mem_mul(all->count, s->axes[i].count, &all->count))) return 0;
  const int64_t rows = s->axes[s->row].count * (s->row_outer >= 0 ? s->axes[s->row_outer].count : 1);
  for (uint32_t unit = UNIT_ROWS; unit >= UNIT_ROWS / 4; unit--)
    if (rows && rows % unit == 0) return unit;
  return 0;
}

static void choose_cut(Kernel *k) {
  const Stage *first = &k->stages.data[0];
  k->cut = k->block || (k->stages.count == 1 && first->par) ? CUT_FIRST : CUT_NONE;
  k->cut_reason = "one thread: stages that are not one after the other at each block";
  if (k->cut == CUT_NONE) return;
  k->cut_extent = first->axes[0];
  const bool plain = first->lane != 0 && first->row != 0 && k->cut_extent.batch < 0 && k->cut_extent.count < CUT_FEW;
  const bool lanes = first->lane == 0 && (k->cut_extent.batch < 0 || stage_grouped_axis(first) == 0);
  const bool tiles = first->row == 0 && k->cut_extent.batch < 0 && k->cut_extent.count % 8 == 0 && k->cut_extent.count >= 64;
  k->cut_unit = plain ? 1 : lanes ? 16 : tiles ? 8 : 4;
  k->cut_reason = plain   ? "each index by itself: few, and neither lanes nor rows of a tile"
                  : lanes ? "units of 16: the lanes of a vector"
                  : tiles ? "units of 8: whole tiles"
                          : "units of 4: shares even to a few, tiles whole but for the last";
  Extent rows;
  const uint32_t unit = plain && !k->block ? unit_of_rows(first, &rows) : 0;
  if (!unit) return;
  k->cut = CUT_ROWS, k->cut_unit = unit, k->cut_extent = rows;
  k->cut_reason = "whole tiles of rows: the outer axes are few";
}

void strategy_choose(Kernel *k) {
  for (uint32_t j = 0; j < k->stages.count; j++) {
    Stage *s = &k->stages.data[j];
    s->lane = s->row = s->row_outer = -1;
    const int group = stage_grouped_axis(s);
    if (s->combine == COMBINE_FMA && s->order == ORDER_GROUPS) choose_summed_rows(s);
    else if (s->combine == COMBINE_FMA) choose_tile(s);
    else if (s->combine != COMBINE_NONE && s->order == ORDER_GROUPS) s->lane = (int8_t)s->par;
    else if (s->combine == COMBINE_SCATTER) s->lane = (int8_t)lane_of_scatter(s);
    else if (s->combine != COMBINE_NONE && s->order == ORDER_LANES) s->lane = (int8_t)(s->par + s->red - 1);
    else if (group >= k->block && group < s->par) s->lane = (int8_t)group;
    else s->lane = (int8_t)lane_of_stores(s, k->block);
    if (!s->reason) s->reason = s->lane < 0 ? "scalar" : s->lane >= s->par ? "row in the lanes" : "outputs in the lanes";
  }
  choose_cut(k);
}

/* ---- equality ---- */

static uint64_t hash_affine(uint64_t h, const Affine *a) {
  h = hash_mix(h, (uint64_t)a->offset + ((uint64_t)a->grouped << 56));
  for (int i = 0; i < KERNEL_MAX_AXES; i++)
    if (a->stride[i]) h = hash_mix(hash_mix(h, (uint64_t)i << 8 | (uint8_t)a->batch[i]), (uint64_t)a->stride[i]);
  return h;
}

static uint64_t hash_stage(uint64_t h, const Stage *s) {
  h = hash_mix(h, (uint64_t)s->par | (uint64_t)s->red << 8 | (uint64_t)(uint8_t)s->lane << 16 | (uint64_t)s->combine << 24 |
                      (uint64_t)s->order << 32 | (uint64_t)s->acc_type << 40 | (uint64_t)(uint8_t)s->row << 48 |
                      (uint64_t)s->pack << 56 | (uint64_t)s->swapped << 57 | (uint64_t)(s->row_outer + 1) << 58);
  for (int i = 0; i < s->par + s->red; i++) h = hash_mix(hash_mix(h, (uint64_t)s->axes[i].count), (uint64_t)(uint32_t)s->axes[i].batch);
  h = hash_mix(hash_mix(h, (uint32_t)s->before | (uint64_t)s->chunks << 32), (uint32_t)s->before2);
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    const Expr *e = &s->exprs.data[i];
    uint64_t bits;
    memcpy(&bits, &e->value, sizeof bits);
    h = hash_mix(h, (uint64_t)e->kind | (uint64_t)e->type << 8 | (uint64_t)e->prim << 16);
    h = hash_mix(hash_mix(h, (uint64_t)(uint32_t)e->a << 32 | (uint32_t)e->b), (uint64_t)(uint32_t)e->c ^ bits);
    h = hash_affine(h, &e->affine);
  }
  for (uint32_t i = 0; i < s->loads.count; i++) {
    const Load *l = &s->loads.data[i];
    h = hash_affine(hash_mix(h, l->operand | (uint64_t)l->guard_count << 32 | (uint64_t)l->zero_count << 40), &l->at);
    h = l->gather ? hash_mix(hash_mix(h, (uint64_t)l->gather), (uint64_t)l->gather_stride) : h;
    for (uint32_t k = 0; k < l->guard_count + l->zero_count; k++) h = hash_affine(hash_mix(h, (uint64_t)l->guards[k].limit), &l->guards[k].index);
  }
  for (uint32_t i = 0; i < s->stores.count; i++) {
    const Store *t = &s->stores.data[i];
    h = hash_affine(hash_mix(hash_mix(h, t->operand | (uint64_t)t->before << 32), (uint32_t)t->value), &t->at);
  }
  return h;
}

uint64_t kernel_hash(const Kernel *k) {
  uint64_t h = hash_mix(k->block, k->stages.count);
  for (uint32_t i = 0; i < k->stages.count; i++) h = hash_stage(h, &k->stages.data[i]);
  for (uint32_t i = 0; i < k->operand_count; i++) h = hash_mix(h, k->operand_type[i] | (uint64_t)k->operand_written[i] << 8);
  return hash_mix(h, k->cut | (uint64_t)k->cut_unit << 8);
}

/* 64 well-mixed bits of everything that a kernel is: taken as equality. */
bool kernel_equal(const Kernel *a, const Kernel *b) {
  return a->hash == b->hash && a->stages.count == b->stages.count && a->operand_count == b->operand_count;
}
