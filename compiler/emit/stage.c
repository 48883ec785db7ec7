/* stage.c: one stage: loops over its par axes, the reduction inside, and what is stored. */
#include <string.h>

#include "nest.h"

uint32_t stage_outer(const Nest *n) { return AXIS_BIT(AXIS_STAGE) | ((1u << n->kernel->block) - 1); }

/* What depends on the stage's surroundings alone, wherever in the expression it is. */
static void want_outer(Nest *n, int32_t expr) {
  if (expr < 0) return;
  const Expr *x = &n->stage->exprs.data[expr];
  if (!(n->cells[expr].deps & ~stage_outer(n))) {
    nest_want(n, expr);
    return;
  }
  if (x->kind != X_PRIM) return;
  want_outer(n, x->a), want_outer(n, x->b), want_outer(n, x->c);
}

/* Behind a reduction, nothing of the axes inside the stage is evaluated early: it would take registers from the
 * reduction. */
void stage_wants(Nest *n) {
  const Stage *s = n->stage;
  if (tile_fits(n))
    want_outer(n, s->before), want_outer(n, s->before2);
  else
    nest_want(n, s->before), nest_want(n, s->before2);
  for (uint32_t i = 0; i < s->stores.count; i++) {
    if (s->combine == COMBINE_NONE || s->stores.data[i].before)
      nest_want(n, s->stores.data[i].value);
    else
      want_outer(n, s->stores.data[i].value);
  }
}

/* How many costly functions wait for each other. */
static unsigned costly_depth(const Stage *s, int32_t expr) {
  if (expr < 0 || s->exprs.data[expr].kind != X_PRIM) return 0;
  const Expr *x = &s->exprs.data[expr];
  unsigned depth = costly_depth(s, x->a);
  const unsigned b = costly_depth(s, x->b), c = costly_depth(s, x->c);
  depth = b > depth ? b : depth, depth = c > depth ? c : depth;
  return depth + prim_is((Prim)x->prim, K_COSTLY);
}

/* The stores of one row and vector: all values before the first store, since a stage may overwrite what it reads. */
static void store_part(Nest *n, unsigned row, unsigned vector, bool before) {
  const Stage *s = n->stage;
  for (int pass = 0; pass < 2; pass++)
    for (uint32_t i = 0; i < s->stores.count; i++) {
      const Store *t = &s->stores.data[i];
      if (s->combine != COMBINE_NONE && t->before != before) continue;
      if (n->half && (costly_depth(s, t->value) > 1) != (n->half == 2)) continue;
      if (pass)
        memory_store(n, i, row, vector);
      else
        expr_value(n, t->value, row, vector, false);
    }
}

static void reduce(Nest *n, Carry *carry, void *next);

/* Asks for what is read at this point of a load, `ahead` elements further. */
static void ask_next(Nest *n, int32_t load, int64_t ahead) {
  Emit *e = n->e;
  if (load < 0) return;
  LLVMTypeRef type = memory_type(e, n->kernel->operand_type[n->stage->loads.data[load].operand]);
  e_prefetch(e, e_gep(e, type, nest_spot(n, (uint32_t)load, 0, 0), e_i64(e, ahead)), false);
}

static void reduce_inner(Nest *n, Carry *carry) {
  combine_point(n, carry->values);
  ask_next(n, n->next_rows, n->rows);
  for (unsigned v = 0; v < n->vectors; v++) ask_next(n, n->next_lanes, (int64_t)(n->vectors + v) * n->lanes);
  for (uint32_t i = 0; i < n->stage->stores.count; i++) {
    if (!n->stage->stores.data[i].before) continue;
    for (unsigned r = 0; r < n->rows; r++)
      for (unsigned v = 0; v < n->vectors; v++) store_part(n, r, v, true);
    return;
  }
}

/* Rows in a grid may all be at one place of the outer axis. */
static bool differs_by_row(const Nest *n, uint32_t axes) {
  const bool one = n->row_outer >= 0 && n->grid == n->rows;
  return nest_by_row(n, one ? axes & ~AXIS_BIT(n->row_outer) : axes);
}

/* Does the guard, the same for all rows and lanes, become certain by bounds of the red axis that is opened next? */
static bool bounds_axis(const Nest *n, const Guard *guard, uint32_t spot, unsigned axis) {
  const int64_t step = guard->index.stride[axis];
  const uint32_t others = affine_axes(&guard->index) & ~AXIS_BIT(axis);
  return (step > 0 || step == -1) && guard->index.batch[axis] < 0 && guard->step == 1 && !n->sure[spot] &&
         !differs_by_row(n, others) && !(others & ~n->open) &&
         !(n->lane >= 0 && others & AXIS_BIT(n->lane));
}

/* How many steps reach x or go beyond it; none where x is not above 0. */
static V steps_up(Emit *e, V x, int64_t step) {
  return LLVMBuildUDiv(e->b, i64_add(e, i64_max(e, x, e_i64(e, 0)), e_i64(e, step - 1)), e_i64(e, step), "");
}

/* A product whose factor lies outside, and so is 0, is passed over: from the first tap inside to the last. `marked`: the
 * guards that hold then. */
static uint64_t bound_taps(Nest *n, unsigned axis) {
  Emit *e = n->e;
  const Stage *s = n->stage;
  uint64_t marked = 0;
  V from = NULL, to = NULL;
  const bool may = s->combine == COMBINE_FMA && s->axes[axis].batch < 0;
  for (uint32_t i = 0; may && i < s->loads.count; i++) {
    const Load *l = &s->loads.data[i];
    const unsigned count = l->guard_count + l->zero_count;
    if (!count || !nest_reduced(n, i)) continue;
    for (unsigned g = 0; g < count; g++) {
      const uint32_t spot = n->guard_spot[i] + g;
      if (spot - n->first_guard >= 64 || !bounds_axis(n, &l->guards[g], spot, axis)) continue;
      V base = n->spots[spot].now[n->level * n->spots[spot].rows], limit = e_i64(e, l->guards[g].limit);
      const int64_t step = l->guards[g].index.stride[axis];
      const bool up = step > 0;
      V first = up ? LLVMBuildNeg(e->b, base, "") : i64_add(e, LLVMBuildSub(e->b, base, limit, ""), e_i64(e, 1));
      V end = up ? LLVMBuildSub(e->b, limit, base, "") : i64_add(e, base, e_i64(e, 1));
      if (step > 1) first = steps_up(e, first, step), end = steps_up(e, end, step);
      from = i64_max(e, from ? from : e_i64(e, 0), first);
      to = i64_min(e, to ? to : e_i64(e, s->axes[axis].count), end);
      n->sure[spot] = true, marked |= 1ull << (spot - n->first_guard);
    }
  }
  if (from && axis == s->par && n->red_to) from = i64_max(e, from, n->red_from), to = i64_min(e, to, n->red_to);
  n->taps_from = from, n->taps_to = to;
  return marked;
}

static void forget_taps(Nest *n, uint64_t marked) {
  for (unsigned i = 0; i < 64; i++)
    if (marked >> i & 1) n->sure[n->first_guard + i] = false;
}

/* The innermost red axis in pairs, the second of each first. */
static void reduce_pairs(Nest *n, Carry *carry, unsigned axis) {
  Emit *e = n->e;
  const Range r = range_axis(n, axis);
  V whole = r.count >= 0 ? i64_add(e, r.from, e_i64(e, r.count & ~1ll))
                         : i64_add(e, r.from, LLVMBuildAnd(e->b, LLVMBuildSub(e->b, r.to, r.from, ""), e_i64(e, -2), ""));
  Loop l;
  for (int single = 0; single < 2; single++) {
    if (r.count >= 0 && (single ? !(r.count & 1) : r.count < 2)) continue;
    e_loop_begin(e, &l, single ? whole : r.from, single ? r.to : whole, e_i64(e, 2 - single), carry->values, carry->count, r.count >= 0);
    for (unsigned i = 0; i < carry->count; i++) carry->values[i] = l.phi[i];
    for (int i = 1 - single; i >= 0; i--) {
      nest_open(n, axis, i64_add(e, l.i, e_i64(e, i)), false);
      reduce_inner(n, carry);
      nest_close(n);
    }
    e_loop_end(e, &l, carry->values);
    for (unsigned i = 0; i < carry->count; i++) carry->values[i] = l.phi[i];
  }
}

/* The loops over red axes from number `next` on. In the innermost one nothing is evaluated early, so that each value is
 * made where it is used. */
static void reduce(Nest *n, Carry *carry, void *next) {
  const Stage *s = n->stage;
  const unsigned axis = (unsigned)(uintptr_t)next, end = (unsigned)s->par + s->red;
  void *after = (void *)(uintptr_t)(axis + 1);
  if (axis == end)
    reduce_inner(n, carry);
  else if ((axis + 1 == end && s->order == ORDER_LANES) || (axis == s->par && s->order == ORDER_GROUPS))
    loop_lanes(n, axis, 1, carry, axis + 1 < end, reduce, after);
  else if (axis + 1 == end && stage_in_pairs(s))
    reduce_pairs(n, carry, axis);
  else {
    const uint64_t marked = bound_taps(n, axis);
    loop_axis(n, axis, carry, axis + 1 < end, reduce, after);
    forget_taps(n, marked);
  }
}

/* Row by row; behind the last row that counts the others are passed over. */
static void store_rows(Nest *n) {
  Emit *e = n->e;
  LLVMBasicBlockRef done = NULL;
  for (unsigned r = 0; r < n->rows; r++) {
    if (r && n->row_count) {
      if (!done) done = LLVMAppendBasicBlockInContext(e->cx, e->function, "stored");
      LLVMBasicBlockRef more = LLVMAppendBasicBlockInContext(e->cx, e->function, "row");
      LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, n->row_count, e_i64(e, r), ""), more, done);
      LLVMPositionBuilderAtEnd(e->b, more);
    }
    for (unsigned v = 0; v < n->vectors; v++) store_part(n, r, v, false);
  }
  if (done) {
    LLVMBuildBr(e->b, done);
    LLVMMoveBasicBlockAfter(done, LLVMGetInsertBlock(e->b));
    LLVMPositionBuilderAtEnd(e->b, done);
  }
}

/* Where number i of a tile's accumulators, [row][vector], is left. */
static V sums_at(Nest *n, V acc, unsigned i) {
  const int64_t at = i / n->vectors * n->sum_width + i % n->vectors * n->lanes;
  return e_gep(n->e, e_scalar(LLVMTypeOf(acc)), n->sums, e_i64(n->e, at));
}

/* The sums go on from an earlier part of the first red axis: in the same order as without parts. */
static void take_sums(Nest *n, V *acc, unsigned count) {
  Emit *e = n->e;
  LLVMBasicBlockRef from[] = {LLVMGetInsertBlock(e->b), LLVMAppendBasicBlockInContext(e->cx, e->function, "go_on")};
  LLVMBasicBlockRef both = LLVMAppendBasicBlockInContext(e->cx, e->function, "sum");
  V left[64];
  LLVMBuildCondBr(e->b, n->first_part, both, from[1]);
  LLVMPositionBuilderAtEnd(e->b, from[1]);
  for (unsigned i = 0; i < count; i++) left[i] = e_load(e, LLVMTypeOf(acc[i]), sums_at(n, acc[i], i), 4);
  LLVMBuildBr(e->b, both);
  LLVMPositionBuilderAtEnd(e->b, both);
  for (unsigned i = 0; i < count; i++) {
    V phi = LLVMBuildPhi(e->b, LLVMTypeOf(acc[i]), "");
    LLVMAddIncoming(phi, (V[]){acc[i], left[i]}, from, 2);
    acc[i] = phi;
  }
}

/* In all parts but the last that is all: the function ends. */
static void leave_sums(Nest *n, const V *acc, unsigned count) {
  Emit *e = n->e;
  if (n->deferred) {
    for (unsigned i = 0; i < count; i++) e_store(e, acc[i], sums_at(n, acc[i], i), 4);
    return;
  }
  LLVMBasicBlockRef leave = LLVMAppendBasicBlockInContext(e->cx, e->function, "leave");
  LLVMBasicBlockRef finish = LLVMAppendBasicBlockInContext(e->cx, e->function, "finish");
  LLVMBuildCondBr(e->b, n->last_part, finish, leave);
  LLVMPositionBuilderAtEnd(e->b, leave);
  for (unsigned i = 0; i < count; i++) e_store(e, acc[i], sums_at(n, acc[i], i), 4);
  LLVMBuildRetVoid(e->b);
  LLVMPositionBuilderAtEnd(e->b, finish);
}

static void reduce_all(Nest *n) {
  V acc[64];
  Carry carry = {acc, combine_count(n)};
  if (carry.count > 64) DIAG_BUG(n->u->schedule->session, ((Span){0}), "a tile of %u accumulators", carry.count);
  combine_start(n, acc);
  if (n->first_part) take_sums(n, acc, carry.count);
  reduce(n, &carry, (void *)(uintptr_t)n->stage->par);
  if (n->rest) reduce(n->rest, &carry, (void *)(uintptr_t)n->stage->par);
  if (n->sums) leave_sums(n, acc, carry.count);
  combine_finish(n, acc);
  if (n->stage->order == ORDER_SEQUENCE) return;
  n->vectors = 1; /* the lanes are gone */
  memset(n->mask, 0, sizeof n->mask);
}

/* The values that later stages of the kernel ask for. */
static void keep_results(Nest *n) {
  for (uint32_t i = n->number + 1; i < n->kernel->stages.count; i++) {
    const Stage *later = &n->kernel->stages.data[i];
    for (uint32_t x = 0; x < later->exprs.count; x++) {
      const Expr *e = &later->exprs.data[x];
      if (e->kind == X_RESULT && e->a == (int32_t)n->number)
        n->result[n->number][e->b] = expr_value(n, e->b, 0, 0, false);
    }
  }
}

#define AHEAD_BYTES (2 << 10)  /* what lies so far is asked for: some hundred cycles' work */
#define FAR_BYTES (256 << 10)  /* of an array: smaller ones are near */
#define BATCH_GUESS 64
#define LINE_BYTES 64

/* How far it is, in elements, to the row that is asked for while this one is gone through: some rows further along the axis around
 * the lanes. 0: none, as the array is small or lies otherwise. */
static int64_t row_ahead(const Nest *n, const Affine *at, Type type) {
  const Stage *s = n->stage;
  const int axis = n->lane - 1;
  if (axis < 0 || at->grouped || at->stride[n->lane] != 1 || at->batch[n->lane] >= 0 || at->batch[axis] >= 0 || at->stride[axis] <= 0) return 0;
  int64_t span = 0;
  const int64_t step = at->stride[axis] * type_bytes(type);
  for (int i = 0; i < s->par; i++)
    if (at->stride[i] > 0) span += at->stride[i] * s->axes[i].count * (s->axes[i].batch >= 0 ? BATCH_GUESS : 1);
  if (span * type_bytes(type) < FAR_BYTES) return 0;
  return at->stride[axis] * (step < AHEAD_BYTES ? AHEAD_BYTES / step : 1);
}

static void ask_for_row(Nest *n, uint32_t place, int64_t ahead, Type type, bool written) {
  const unsigned line = (unsigned)(LINE_BYTES / type_bytes(type));
  LLVMTypeRef element = memory_type(n->e, type);
  for (unsigned i = 0; ahead && i < n->lanes; i += line)
    e_prefetch(n->e, e_gep(n->e, element, nest_spot(n, place, 0, 0), e_i64(n->e, ahead + i)), written);
}

/* Of a map: asks for the places that it stores to some rows from here, which another thread may have read meanwhile, and for what it
 * reads there where rows do not adjoin. */
static void ask_for_rows(Nest *n) {
  const Stage *s = n->stage;
  const uint8_t *types = n->kernel->operand_type;
  for (uint32_t i = 0; i < s->stores.count; i++) {
    const Store *t = &s->stores.data[i];
    const Type type = (Type)types[t->operand];
    if (!t->gather) ask_for_row(n, n->first_store + i, row_ahead(n, &t->at, type), type, true);
  }
  for (uint32_t i = 0; i < s->loads.count; i++) {
    const Load *l = &s->loads.data[i];
    const Type type = (Type)types[l->operand];
    const int64_t ahead = l->gather || l->guard_count ? 0 : row_ahead(n, &l->at, type);
    if (ahead && l->at.stride[n->lane - 1] > s->axes[n->lane].count) ask_for_row(n, i, ahead, type, false);
  }
}

void stage_point(Nest *n) {
  const Stage *s = n->stage;
  const bool reduces = s->combine != COMBINE_NONE;
  if (reduces) reduce_all(n);
  if (n->deferred) return;
  if (!reduces && n->half != 2) ask_for_rows(n);
  nest_open(n, reduces ? AXIS_ACC : AXIS_NONE, NULL, false);
  if (n->result && s->par == n->kernel->block) keep_results(n); /* before a store lands where one of them is read */
  store_rows(n);
  nest_close(n);
}

/* May the second half of a map have the value without a costly function or what the first half overwrites? Where the first one has
 * stored it, it is read again. */
static bool second_half_has(Nest *n, int32_t expr, bool stored) {
  const Stage *s = n->stage;
  if (expr < 0) return true;
  const Expr *x = &s->exprs.data[expr];
  for (uint32_t i = 0; stored && i < s->stores.count; i++) {
    const Store *t = &s->stores.data[i];
    if (t->value != expr || t->gather || t->at.grouped || t->at.stride[n->lane] != 1 || t->at.batch[n->lane] >= 0) continue;
    if (n->kernel->operand_type[t->operand] != TYPE_F32 || costly_depth(s, expr) > 1) continue;
    n->kept[expr] = (int32_t)i + 1;
    return true;
  }
  if (x->kind == X_LOAD) return !n->kernel->operand_written[s->loads.data[x->a].operand] && second_half_has(n, s->loads.data[x->a].gather - 1, false);
  if (x->kind != X_PRIM) return x->kind != X_RANDOM;
  if (prim_is((Prim)x->prim, K_COSTLY) && costly_depth(s, expr) < 2) return false;
  return second_half_has(n, x->a, true) && second_half_has(n, x->b, true) && second_half_has(n, x->c, true);
}

/* Costly functions of costly functions, as in a cell's tanh of its gates, wait for the others twice as long as there is other work
 * at hand: then the row is gone through twice, for the former alone the second time. */
static bool in_halves(Nest *n) {
  const Stage *s = n->stage;
  bool deep = false;
  if (s->combine != COMBINE_NONE || n->lanes <= 16 || !n->distinct || n->wide != 1 || n->kernel->block) return false;
  n->kept = ARENA_ARRAY(&n->u->arena, int32_t, s->exprs.count + 1);
  for (uint32_t i = 0; i < s->stores.count; i++) {
    if (costly_depth(s, s->stores.data[i].value) < 2) continue;
    deep = true;
    if (!second_half_has(n, s->stores.data[i].value, true)) return false;
  }
  return deep;
}

/* The par axes from number `next` of the loop order on: as given, but the lane axis last, or, where its examples lie in
 * groups, first. */
static void par_loops(Nest *n, Carry *carry, void *next) {
  const Stage *s = n->stage;
  unsigned axis = (unsigned)(uintptr_t)next;
  const bool inside = n->lane >= n->kernel->block && n->lane < s->par;
  void *after = (void *)(uintptr_t)(axis + 1);
  if (n->grouped && inside && !(n->open & AXIS_BIT(n->lane))) {
    loop_lanes(n, (unsigned)n->lane, 1, carry, true, par_loops, next);
    return;
  }
  if (axis < s->par && inside && axis == (unsigned)n->lane) {
    par_loops(n, carry, after);
    return;
  }
  if (axis < s->par) {
    loop_axis(n, axis, carry, true, par_loops, after);
    return;
  }
  if (axis == s->par && inside && !n->grouped && !n->half && in_halves(n)) {
    for (n->half = 1; n->half <= 2; n->half++) loop_lanes(n, (unsigned)n->lane, n->wide, carry, false, par_loops, after);
    n->half = 0;
    return;
  }
  if (axis == s->par && inside && !n->grouped) {
    loop_lanes(n, (unsigned)n->lane, n->wide, carry, s->combine != COMBINE_NONE, par_loops, after);
    return;
  }
  stage_point(n);
}

/* Several vectors of accumulators hide the latency of their sums; a map has no use for them. What follows the sum is
 * written out for each vector: where that is long, two must do. */
static void choose_width(Nest *n) {
  const Stage *s = n->stage;
  const bool doubled = n->lanes == 16 && s->combine && s->acc_type == TYPE_F64;
  const bool few = n->e->target.vector_bytes < 32 || doubled || s->exprs.count > 12;
  n->wide = s->combine && s->order == ORDER_SEQUENCE ? (few ? 2 : 4) : 1;
  for (uint32_t i = 0; i < s->exprs.count && !s->combine; i++)
    if (expr_draws_four(n, &s->exprs.data[i])) n->wide = 4, n->fours = true;
  n->small = n->kernel->block ? 4 : 1;
}

void stage_emit(Nest *n) {
  Carry none = {NULL, 0};
  nest_open(n, AXIS_STAGE, NULL, true);
  choose_width(n);
  if (tile_fits(n))
    tile_emit(n);
  else if (turn_fits(n))
    turn_emit(n);
  else
    par_loops(n, &none, (void *)(uintptr_t)n->kernel->block);
  nest_close(n);
}
