/* expr.c: the values of a stage's expressions. */
#include <stddef.h>

#include "emath.h"
#include "nest.h"

LLVMTypeRef expr_type(Emit *e, Type type) {
  return type == TYPE_F32 || type == TYPE_BF16 ? e->f32 : type == TYPE_F64 ? e->f64 : type == TYPE_I32 ? e->i32 : e->i1;
}

LLVMTypeRef memory_type(Emit *e, Type type) {
  return type == TYPE_BOOL ? e->i8 : type == TYPE_BF16 ? e->i16 : expr_type(e, type);
}

static V frame_field(Nest *n, LLVMTypeRef type, size_t offset) {
  return e_load(n->e, type, e_gep(n->e, n->e->i8, n->frame, e_i64(n->e, (int64_t)offset)), 8);
}

static V number_of_step(Nest *n, int32_t which) {
  static const size_t fields[] = {offsetof(GradcFrame, step), offsetof(GradcFrame, steps), offsetof(GradcFrame, epoch)};
  return frame_field(n, n->e->f64, fields[which]);
}

V lane_numbers(Nest *n, V first, const Affine *at) {
  Emit *e = n->e;
  V dynamic, steps[NEST_MAX_LANES];
  const int64_t stride = nest_lane_stride(n, at, &dynamic);
  LLVMTypeRef scalar = LLVMTypeOf(first);
  for (unsigned i = 0; i < n->lanes; i++) steps[i] = e_int(e, scalar, dynamic ? i : i * stride);
  V step = LLVMConstVector(steps, n->lanes);
  if (dynamic) {
    V by = scalar == e->i64 ? dynamic : LLVMBuildTrunc(e->b, dynamic, scalar, "");
    step = LLVMBuildMul(e->b, step, e_splat(e, by, n->lanes), "");
  }
  return LLVMBuildAdd(e->b, e_splat(e, first, n->lanes), step, "");
}

static V eval_index(Nest *n, int32_t expr, const Expr *x, unsigned row, unsigned vector, bool lanes) {
  V first = LLVMBuildTrunc(n->e->b, nest_spot(n, n->expr_spot[expr], row, vector), n->e->i32, "");
  return lanes ? lane_numbers(n, first, &x->affine) : first;
}

bool expr_draws_four(const Nest *n, const Expr *x) {
  const Affine *at = &x->affine;
  if (x->kind != X_RANDOM || x->a || x->type != TYPE_F32 || n->e->small || n->lanes != 16) return false;
  if (n->lane < n->kernel->block || n->lane >= n->stage->par || (n->lane == 0 && n->kernel->cut == CUT_FIRST)) return false;
  if (at->grouped || at->offset % 64 || at->stride[n->lane] != 1 || at->batch[n->lane] >= 0) return false;
  for (int i = 0; i < KERNEL_MAX_AXES; i++)
    if (i != n->lane && at->stride[i] % 64) return false;
  return true;
}

/* The tile's vectors of one row begin at a multiple of 64 elements: one call for all. */
static bool draw_four(Nest *n, int32_t expr, const Expr *x, unsigned row, V draw, V seed) {
  int64_t at;
  V four[4];
  if (n->vectors > 4 || !expr_draws_four(n, x)) return false;
  if (i64_known(n->index[n->lane], &at) ? at % 64 != 0 : n->vectors < 4 || !n->fours) return false;
  emit_uniform4(n->e, nest_spot(n, n->expr_spot[expr], row, 0), draw, e_int(n->e, n->e->i32, x->b), seed, four);
  for (unsigned v = 0; v < n->vectors; v++) n->cells[expr].value[nest_part(n, n->cells[expr].deps, row, v)] = four[v];
  return true;
}

static V eval_random(Nest *n, int32_t expr, const Expr *x, unsigned row, unsigned vector, bool lanes) {
  Emit *e = n->e;
  V draw = frame_field(n, e->i32, offsetof(GradcFrame, draw)), seed = frame_field(n, e->i64, offsetof(GradcFrame, seed));
  if (lanes && draw_four(n, expr, x, row, draw, seed)) return n->cells[expr].value[nest_part(n, n->cells[expr].deps, row, vector)];
  const unsigned count = lanes ? n->lanes : 1;
  V element = nest_spot(n, n->expr_spot[expr], row, vector);
  if (lanes) element = lane_numbers(n, element, &x->affine);
  LLVMTypeRef out = e_vector(e, expr_type(e, x->type), count);
  return emit_random(e, x->a != 0, out, element, draw, e_int(e, e->i32, x->b), seed);
}

static V eval_prim(Nest *n, const Expr *x, unsigned row, unsigned vector, bool lanes) {
  const int32_t in[] = {x->a, x->b, x->c};
  V v[3] = {NULL, NULL, NULL};
  for (int i = 0; i < 3; i++)
    if (in[i] >= 0) v[i] = expr_value(n, in[i], row, vector, lanes);
  const int32_t typed = x->prim == P_SELECT ? x->b : x->a;
  return prim_emit(n->e, x->prim, n->stage->exprs.data[typed].type, x->type, v[0], v[1], v[2]);
}

static V evaluate(Nest *n, int32_t expr, unsigned row, unsigned vector, bool lanes) {
  Emit *e = n->e;
  const Expr *x = &n->stage->exprs.data[expr];
  if (n->half == 2 && n->kept[expr]) /* all lanes exist */
    return e_load(e, e_vector(e, expr_type(e, x->type), n->lanes), nest_spot(n, n->first_store + (uint32_t)n->kept[expr] - 1, row, vector), 4);
  switch (x->kind) {
  case X_LOAD: return memory_load(n, (uint32_t)x->a, row, vector);
  case X_CONST: return e_float(e, expr_type(e, x->type), x->value);
  case X_PRIM: return eval_prim(n, x, row, vector, lanes);
  case X_INDEX: return eval_index(n, expr, x, row, vector, lanes);
  case X_RANDOM: return eval_random(n, expr, x, row, vector, lanes);
  case X_NUMBER: return number_of_step(n, x->a);
  case X_EXTENT: return LLVMBuildSIToFP(e->b, n->batch[x->a], e->f64, "");
  case X_ACC: return (x->a < 0 ? n->acc : n->second)[nest_part(n, n->cells[expr].deps, row, vector)];
  case X_RESULT: return n->result[x->a][x->b];
  default: DIAG_BUG(n->u->schedule->session, x->span, "an expression of unknown kind %d", x->kind);
  }
}

V expr_value(Nest *n, int32_t expr, unsigned row, unsigned vector, bool lanes) {
  Cell *c = &n->cells[expr];
  const bool by_lane = n->lane >= 0 && c->deps & AXIS_BIT(n->lane);
  const unsigned part = nest_part(n, c->deps, row, vector);
  if (!c->value[part]) {
    c->value[part] = evaluate(n, expr, row, vector, by_lane);
    if (n->level > c->level) c->level = n->level;
  }
  if (!lanes || by_lane || n->lanes == 1) return c->value[part];
  if (!c->lanes[part]) {
    c->lanes[part] = e_splat(n->e, c->value[part], n->lanes);
    if (n->level > c->lanes_level) c->lanes_level = n->level;
  }
  return c->lanes[part];
}
