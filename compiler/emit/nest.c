/* nest.c: axes opened and closed, and the indices and addresses that follow from them. An address gets each axis' term
 * where the axis is opened, so that an inner loop adds its own term alone. */
#include "nest.h"

#include <stddef.h>
#include <string.h>

V i64_add(Emit *e, V a, V b) {
  int64_t k;
  if (i64_known(a, &k) && !k) return b;
  if (i64_known(b, &k) && !k) return a;
  return LLVMBuildAdd(e->b, a, b, "");
}

V i64_mul(Emit *e, V a, int64_t b) {
  return b == 1 ? a : b == 0 ? e_i64(e, 0) : LLVMBuildMul(e->b, a, e_i64(e, b), "");
}

V i64_mul2(Emit *e, V a, V b) {
  int64_t k;
  if (i64_known(a, &k)) return i64_mul(e, b, k);
  if (i64_known(b, &k)) return i64_mul(e, a, k);
  return LLVMBuildMul(e->b, a, b, "");
}

V i64_min(Emit *e, V a, V b) { return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b, ""); }

V i64_max(Emit *e, V a, V b) { return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, a, b, ""), a, b, ""); }

bool i64_known(V v, int64_t *value) {
  if (!LLVMIsAConstantInt(v)) return false;
  *value = LLVMConstIntGetSExtValue(v);
  return true;
}

uint32_t affine_axes(const Affine *at) {
  uint32_t axes = 0;
  for (unsigned i = 0; i < KERNEL_MAX_AXES; i++)
    if (at->stride[i]) axes |= AXIS_BIT(i);
  return axes;
}

unsigned stage_lanes(const Kernel *k, const Stage *s) {
  if (s->combine != COMBINE_NONE && s->order != ORDER_SEQUENCE) return s->acc_type == TYPE_F64 ? 8 : 16;
  if (s->lane < 0) return 1;
  bool all_f64 = s->combine == COMBINE_NONE || s->acc_type == TYPE_F64;
  for (uint32_t i = 0; i < s->loads.count; i++) all_f64 &= k->operand_type[s->loads.data[i].operand] == TYPE_F64;
  for (uint32_t i = 0; i < s->stores.count; i++) all_f64 &= k->operand_type[s->stores.data[i].operand] == TYPE_F64;
  return all_f64 && s->loads.count + s->stores.count ? 8 : 16;
}

static uint32_t batches_of(const Affine *at) {
  uint32_t used = 0;
  for (unsigned i = 0; i < KERNEL_MAX_AXES; i++)
    if (at->stride[i] && at->batch[i] >= 0) used |= 1u << at->batch[i];
  return used;
}

/* Loads the batch extents that the stage's axes and strides depend on. */
static void load_batches(Nest *n) {
  const Stage *s = n->stage;
  uint32_t used = 0;
  for (unsigned i = 0; i < s->par + s->red; i++)
    if (s->axes[i].batch >= 0) used |= 1u << s->axes[i].batch;
  for (uint32_t i = 0; i < n->spot_count; i++) used |= batches_of(n->spots[i].at);
  for (uint32_t i = 0; i < s->exprs.count; i++)
    if (s->exprs.data[i].kind == X_EXTENT) used |= 1u << s->exprs.data[i].a;
  for (unsigned i = 0; i < GRADC_MAX_BATCHES; i++) {
    if (!(used >> i & 1)) continue;
    V at = e_gep(n->e, n->e->i8, n->frame, e_i64(n->e, (int64_t)(offsetof(GradcFrame, batch) + i * sizeof(int64_t))));
    n->batch[i] = e_load(n->e, n->e->i64, at, 8);
  }
}

/* Are rows of both axes one run, or known places apart? */
static bool rows_adjoin(const Nest *n, const Affine *at) {
  if (n->row_outer < 0 || n->grid) return true;
  const int64_t inner = at->stride[n->row] * n->stage->axes[n->row].count;
  return at->stride[n->row_outer] == inner && (!inner || at->batch[n->row_outer] == at->batch[n->row]);
}

static void add_spot(Nest *n, const Affine *at, uint16_t operand, uint8_t type, bool apart) {
  const unsigned rows = apart || !rows_adjoin(n, at) ? n->rows : 1;
  n->spots[n->spot_count++] = (Spot){at, operand, type, rows, ARENA_ARRAY(&n->u->arena, V, NEST_MAX_LEVELS * rows)};
}

/* What the reduction reads: there rows past the last one repeat it. Behind it they are passed over. */
static void mark_reduced(const Stage *s, int32_t expr, bool *reduced) {
  if (expr < 0 || reduced[expr]) return;
  const Expr *x = &s->exprs.data[expr];
  reduced[expr] = true;
  if (x->kind == X_LOAD) mark_reduced(s, s->loads.data[x->a].gather - 1, reduced);
  if (x->kind != X_PRIM) return;
  mark_reduced(s, x->a, reduced), mark_reduced(s, x->b, reduced), mark_reduced(s, x->c, reduced);
}

static bool load_reduced(const Stage *s, uint32_t load, const bool *reduced) {
  for (uint32_t i = 0; i < s->exprs.count; i++)
    if (reduced[i] && s->exprs.data[i].kind == X_LOAD && s->exprs.data[i].a == (int32_t)load) return true;
  return false;
}

bool nest_reduced(const Nest *n, uint32_t load) {
  const Stage *s = n->stage;
  bool *reduced = ARENA_ARRAY(&n->u->arena, bool, s->exprs.count + 1);
  mark_reduced(s, s->before, reduced), mark_reduced(s, s->before2, reduced);
  return load_reduced(s, load, reduced);
}

static void list_spots(Nest *n, bool apart, int padded) {
  const Kernel *k = n->kernel;
  const Stage *s = n->stage;
  uint32_t guards = 0;
  bool *reduced = ARENA_ARRAY(&n->u->arena, bool, s->exprs.count + 1);
  if (apart) mark_reduced(s, s->before, reduced), mark_reduced(s, s->before2, reduced);
  for (uint32_t i = 0; i < s->loads.count; i++) guards += s->loads.data[i].guard_count + s->loads.data[i].zero_count;
  n->spots = ARENA_ARRAY(&n->u->arena, Spot, s->loads.count + guards + s->stores.count + s->exprs.count + 1);
  n->guard_spot = ARENA_ARRAY(&n->u->arena, uint32_t, s->loads.count + 1);
  n->expr_spot = ARENA_ARRAY(&n->u->arena, uint32_t, s->exprs.count + 1);
  for (uint32_t i = 0; i < s->loads.count; i++) {
    const uint16_t operand = s->loads.data[i].operand;
    add_spot(n, &s->loads.data[i].at, operand, k->operand_type[operand],
             operand != padded && load_reduced(s, i, reduced));
  }
  n->first_guard = n->spot_count;
  for (uint32_t i = 0; i < s->loads.count; i++) {
    n->guard_spot[i] = n->spot_count;
    for (unsigned g = 0; g < s->loads.data[i].guard_count + s->loads.data[i].zero_count; g++)
      add_spot(n, &s->loads.data[i].guards[g].index, UINT16_MAX, TYPE_I32, load_reduced(s, i, reduced));
  }
  n->first_store = n->spot_count;
  for (uint32_t i = 0; i < s->stores.count; i++) {
    const uint16_t operand = s->stores.data[i].operand;
    add_spot(n, &s->stores.data[i].at, operand, k->operand_type[operand], false);
  }
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    const Expr *x = &s->exprs.data[i];
    n->expr_spot[i] = n->spot_count;
    if (x->kind == X_INDEX || x->kind == X_RANDOM) add_spot(n, &x->affine, UINT16_MAX, TYPE_I32, reduced[i]);
  }
}

static void start_spots(Nest *n) {
  for (uint32_t i = 0; i < n->spot_count; i++) {
    Spot *p = &n->spots[i];
    V at = e_i64(n->e, p->at->offset);
    if (p->operand != UINT16_MAX) {
      at = n->operand[p->operand];
      if (p->at->offset) at = e_gep(n->e, memory_type(n->e, p->type), at, e_i64(n->e, p->at->offset));
    }
    for (unsigned r = 0; r < p->rows; r++) p->now[r] = at;
  }
}

static uint32_t axes_before(unsigned count) { return (1u << count) - 1; }

/* Is the operand one that the stage adds to? Then it is read anew at every point. */
static bool is_added_to(const Stage *s, uint16_t operand) {
  for (uint32_t i = 0; i < s->stores.count; i++)
    if (s->stores.data[i].gather && s->stores.data[i].operand == operand) return true;
  return false;
}

static uint32_t expr_deps(const Nest *n, const Expr *x) {
  const Stage *s = n->stage;
  switch (x->kind) {
  case X_LOAD: {
    const Load *l = &s->loads.data[x->a];
    uint32_t deps = affine_axes(&l->at) | (n->kernel->operand_written[l->operand] ? AXIS_BIT(AXIS_STAGE) : 0);
    for (unsigned g = 0; g < l->guard_count; g++) deps |= affine_axes(&l->guards[g].index);
    if (l->gather) deps |= n->cells[l->gather - 1].deps;
    if (is_added_to(s, l->operand)) deps |= axes_before(s->par + s->red);
    return deps;
  }
  case X_PRIM:
    return (x->a >= 0 ? n->cells[x->a].deps : 0) | (x->b >= 0 ? n->cells[x->b].deps : 0) |
           (x->c >= 0 ? n->cells[x->c].deps : 0);
  case X_INDEX:
  case X_RANDOM: return affine_axes(&x->affine);
  case X_ACC: return AXIS_BIT(AXIS_ACC) | axes_before(s->par);
  case X_RESULT: return AXIS_BIT(AXIS_STAGE) | axes_before(n->kernel->block);
  default: return 0;
  }
}

static void list_cells(Nest *n) {
  const Stage *s = n->stage;
  const unsigned parts = n->rows * NEST_MAX_VECTORS;
  const uint32_t lane = n->lane >= 0 ? AXIS_BIT(n->lane) : 0;
  n->cells = ARENA_ARRAY(&n->u->arena, Cell, s->exprs.count + 1);
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    const Expr *x = &s->exprs.data[i];
    Cell *c = &n->cells[i];
    c->deps = expr_deps(n, x);
    c->value = ARENA_ARRAY(&n->u->arena, V, parts);
    c->lanes = ARENA_ARRAY(&n->u->arena, V, parts);
    if (x->kind != X_PRIM || !(c->deps & lane)) continue;
    const int32_t in[] = {x->a, x->b, x->c};
    for (int k = 0; k < 3; k++)
      if (in[k] >= 0 && !(n->cells[in[k]].deps & lane)) n->cells[in[k]].splat = true;
  }
}

/* May lanes that stand for nothing be computed? Whole numbers may not be divided there. */
static bool computes_anything(const Stage *s, uint32_t lane) {
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    const Expr *x = &s->exprs.data[i];
    if (x->kind == X_PRIM && x->type == TYPE_I32 && x->prim != P_SELECT && x->prim != P_CAST) return false;
    if ((x->kind == X_INDEX || x->kind == X_RANDOM) && affine_axes(&x->affine) & lane) return false;
  }
  return true;
}

static void find_groups(Nest *n) {
  const Stage *s = n->stage;
  const uint32_t lane = n->lane >= 0 ? AXIS_BIT(n->lane) : 0;
  n->whole = lane && n->lane < s->par && computes_anything(s, lane);
  for (uint32_t i = 0; lane && i < s->loads.count; i++) {
    const Load *l = &s->loads.data[i];
    const bool grouped = l->at.grouped == n->lane + 1;
    n->grouped |= grouped;
    if ((affine_axes(&l->at) & lane && !grouped) || l->gather) n->whole = false;
    for (unsigned g = 0; g < l->guard_count; g++)
      if (affine_axes(&l->guards[g].index) & lane) n->whole = false;
  }
  for (uint32_t i = 0; lane && i < s->stores.count; i++) {
    const bool grouped = s->stores.data[i].at.grouped == n->lane + 1;
    n->grouped |= grouped;
    if (!grouped) n->whole = false;
  }
  n->whole &= n->grouped;
}

/* A chain of many operations waits for itself: several vectors at once are several chains. Where the lanes of a map come
 * in whole runs of 2 or 4 vectors, and a vector is one register, each such run is one vector of more lanes. */
static unsigned chains_of(const Target *t, const Kernel *k, const Stage *s) {
  const unsigned lanes = stage_lanes(k, s);
  if (s->combine != COMBINE_NONE || s->lane < k->block || s->lane >= s->par || t->vector_bytes < 64) return 1;
  if (s->axes[s->lane].batch >= 0 || (s->lane == 0 && k->cut == CUT_FIRST) || stage_grouped_axis(s) >= 0) return 1;
  unsigned costly = 0;
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    const Expr *x = &s->exprs.data[i];
    if (x->type == TYPE_F64) return 1;
    costly += x->kind == X_PRIM && prim_is((Prim)x->prim, K_COSTLY);
  }
  const int64_t columns = s->axes[s->lane].count;
  return !costly || columns % (2 * lanes) ? 1 : costly > 1 || columns % (4 * lanes) ? 2 : 4;
}

void nest_init(Nest *n, Unit *u, const Kernel *k, const Stage *s, V frame, const V *operand, const NestRows *rows) {
  static const NestRows one = {1, NULL, NULL, 0, NULL, -1};
  if (!rows) rows = &one;
  memset(n, 0, sizeof *n);
  n->u = u, n->e = u->e, n->kernel = k, n->stage = s, n->frame = frame;
  memcpy(n->operand, operand, sizeof *operand * k->operand_count);
  n->lane = s->lane;
  if (s->combine != COMBINE_NONE && s->order == ORDER_LANES) n->lane = s->par + s->red - 1;
  if (s->combine != COMBINE_NONE && s->order == ORDER_GROUPS) n->lane = s->par;
  n->row = s->row, n->row_outer = s->row_outer;
  n->lanes = n->lane < 0 ? 1 : stage_lanes(k, s) * chains_of(&u->e->target, k, s);
  n->panel = n->next_rows = n->next_lanes = -1, n->grid = rows->grid;
  n->rows = rows->count, n->vectors = 1, n->row_count = rows->existing;
  if (rows->offset) memcpy(n->row_offset, rows->offset, sizeof(V) * rows->count);
  if (rows->outer) memcpy(n->outer_offset, rows->outer, sizeof(V) * rows->count);
  list_spots(n, rows->existing != NULL, rows->padded);
  list_cells(n);
  n->sure = ARENA_ARRAY(&u->arena, bool, n->spot_count + 1);
  load_batches(n);
  start_spots(n);
  find_groups(n);
}

V nest_extent(Nest *n, Extent x) {
  return x.batch < 0 ? e_i64(n->e, x.count) : i64_mul(n->e, n->batch[x.batch], x.count);
}

V nest_depth(Nest *n) {
  const Stage *s = n->stage;
  V points = nest_extent(n, s->axes[s->par]);
  if (!s->pairs || s->red > 1 || s->axes[s->par].batch < 0 || s->axes[s->par].count % 2 == 0) return points;
  return LLVMBuildLShr(n->e->b, i64_add(n->e, points, e_i64(n->e, 1)), e_i64(n->e, 1), "");
}

void nest_summed(Nest *n, V *from, V *to) {
  Emit *e = n->e;
  const Stage *s = n->stage;
  *from = e_i64(e, 0), *to = nest_depth(n);
  if (!s->chunks) return;
  const int64_t unit = stage_chunk_unit(s) * s->chunks; /* stage_chunk_size */
  V size = i64_mul(e, LLVMBuildUDiv(e->b, i64_add(e, *to, e_i64(e, unit - 1)), e_i64(e, unit), ""), stage_chunk_unit(s));
  *from = i64_min(e, i64_mul2(e, n->index[0], size), *to);
  *to = i64_min(e, i64_add(e, *from, size), *to);
}

/* index * stride of one axis. */
static V axis_term(Nest *n, const Affine *at, unsigned axis, V index) {
  if (at->grouped == axis + 1) {
    V in = LLVMBuildAnd(n->e->b, index, e_i64(n->e, EXAMPLE_GROUP - 1), "");
    return i64_add(n->e, i64_mul(n->e, LLVMBuildSub(n->e->b, index, in, ""), at->stride[axis]), in);
  }
  V term = i64_mul(n->e, index, at->stride[axis]);
  return at->batch[axis] < 0 ? term : i64_mul2(n->e, n->batch[at->batch[axis]], term);
}

static V move_spot(Nest *n, const Spot *p, V from, V by) {
  int64_t k;
  if (i64_known(by, &k) && !k) return from;
  return p->operand == UINT16_MAX ? i64_add(n->e, from, by) : e_gep(n->e, memory_type(n->e, p->type), from, by);
}

static void advance_spot(Nest *n, Spot *p, unsigned axis, V index) {
  V *before = p->now + (n->level - 1) * p->rows, *after = p->now + n->level * p->rows;
  const bool moves = axis < KERNEL_MAX_AXES && p->at->stride[axis];
  const bool outer = n->row_outer == (int)axis, apart = moves && (n->row == (int)axis || outer) && p->rows > 1;
  V term = moves ? axis_term(n, p->at, axis, index) : NULL;
  for (unsigned r = 0; r < p->rows; r++) {
    after[r] = before[r];
    if (!moves) continue;
    if (r && !apart && before[r] == before[0]) { /* the same for all rows */
      after[r] = after[0];
      continue;
    }
    const V *offset = outer ? n->outer_offset : n->row_offset;
    V by = apart && r ? axis_term(n, p->at, axis, i64_add(n->e, index, offset[r])) : term;
    after[r] = move_spot(n, p, before[r], by);
  }
}

void nest_open(Nest *n, unsigned axis, V index, bool hoist) {
  n->level++;
  n->axis_at[n->level] = axis;
  if (axis != AXIS_NONE) n->open |= AXIS_BIT(axis);
  if (axis < KERNEL_MAX_AXES) n->index[axis] = index;
  for (uint32_t i = 0; i < n->spot_count; i++) advance_spot(n, &n->spots[i], axis, index);
  if (hoist) nest_hoist(n);
}

void nest_close(Nest *n) {
  const size_t bytes = sizeof(V) * n->rows * NEST_MAX_VECTORS;
  if (n->axis_at[n->level] != AXIS_NONE) n->open &= ~AXIS_BIT(n->axis_at[n->level]);
  for (uint32_t i = 0; i < n->stage->exprs.count; i++) {
    Cell *c = &n->cells[i];
    if (c->level >= n->level) memset(c->value, 0, bytes), c->level = 0;
    if (c->lanes_level >= n->level) memset(c->lanes, 0, bytes), c->lanes_level = 0;
  }
  n->level--;
}

void nest_want(Nest *n, int32_t expr) {
  if (expr < 0 || n->cells[expr].wanted) return;
  const Expr *x = &n->stage->exprs.data[expr];
  n->cells[expr].wanted = true;
  if (x->kind == X_LOAD) nest_want(n, n->stage->loads.data[x->a].gather - 1);
  if (x->kind != X_PRIM || n->cells[expr].value[0]) return;
  nest_want(n, x->a), nest_want(n, x->b), nest_want(n, x->c);
}

void nest_hoist(Nest *n) {
  for (uint32_t i = 0; i < n->stage->exprs.count; i++) {
    const Cell *c = &n->cells[i];
    if (!c->wanted || c->deps & ~n->open) continue;
    const unsigned rows = nest_by_row(n, c->deps) ? n->rows : 1;
    const unsigned vectors = n->lane >= 0 && c->deps & AXIS_BIT(n->lane) ? n->vectors : 1;
    for (unsigned r = 0; r < rows; r++)
      for (unsigned v = 0; v < vectors; v++) expr_value(n, (int32_t)i, r, v, c->splat);
  }
}

int64_t nest_lane_stride(Nest *n, const Affine *at, V *dynamic) {
  *dynamic = NULL;
  if (n->lane < 0 || !at->stride[n->lane]) return 0;
  if (at->grouped == n->lane + 1) return 1;
  if (at->batch[n->lane] >= 0) *dynamic = axis_term(n, at, (unsigned)n->lane, e_i64(n->e, 1));
  return at->stride[n->lane];
}

V nest_spot(Nest *n, uint32_t place, unsigned row, unsigned vector) {
  const Spot *p = &n->spots[place];
  V at = p->now[n->level * p->rows + (p->rows > 1 ? row : 0)], by = e_i64(n->e, 0);
  const bool in_lanes = n->lane >= 0 && n->open & AXIS_BIT(n->lane);
  if (p->rows == 1 && n->row >= 0 && row) {
    by = axis_term(n, p->at, (unsigned)n->row, e_i64(n->e, n->grid ? row % n->grid : row));
    if (n->grid) by = i64_add(n->e, by, axis_term(n, p->at, (unsigned)n->row_outer, e_i64(n->e, row / n->grid)));
  }
  if (in_lanes && vector)
    by = i64_add(n->e, by, axis_term(n, p->at, (unsigned)n->lane, e_i64(n->e, (int64_t)vector * n->lanes)));
  return move_spot(n, p, at, by);
}

Aside aside_begin(Emit *e, const char *name, LLVMTypeRef *params, unsigned count, bool noalias) {
  const Aside aside = {LLVMGetInsertBlock(e->b), e->function};
  e_function(e, name, e->void_, params, count, true, noalias);
  return aside;
}

V aside_end(Emit *e, Aside aside) {
  V made = e->function;
  LLVMBuildRetVoid(e->b);
  e->function = aside.function;
  LLVMPositionBuilderAtEnd(e->b, aside.block);
  return made;
}

V call_function(Emit *e, V function, V *args, unsigned count) {
  return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(function), function, args, count, "");
}
