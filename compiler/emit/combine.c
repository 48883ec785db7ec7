/* combine.c: accumulators: how a reduction starts, takes in a point and ends. The order is the kernel's and never ours.
 */
#include <math.h>

#include "nest.h"

static bool lanes_reduced(const Nest *n) { return n->stage->order != ORDER_SEQUENCE; }
static bool two_sums(const Nest *n) { return n->stage->combine == COMBINE_ADD && n->stage->before2 >= 0; }
static unsigned parts(const Nest *n) { return n->stage->combine == COMBINE_ARGMAX || two_sums(n) ? 2 : 1; }
static unsigned width(const Nest *n) { return lanes_reduced(n) ? 1 : n->vectors; }

unsigned combine_count(const Nest *n) {
  return n->stage->combine == COMBINE_SCATTER ? 0 : parts(n) * n->rows * width(n);
}

static V *acc_at(const Nest *n, V *acc, unsigned part, unsigned row, unsigned vector) {
  return &acc[(part * n->rows + row) * width(n) + (lanes_reduced(n) ? 0 : vector)];
}

/* The least or greatest value of a type: what max and min start from. */
static V extreme(Emit *e, Type type, LLVMTypeRef as, bool least) {
  if (type == TYPE_BOOL) return e_int(e, as, least ? 0 : 1);
  if (type == TYPE_I32) return e_int(e, as, least ? INT32_MIN : INT32_MAX);
  return e_float(e, as, least ? -INFINITY : INFINITY);
}

/* The element number along the reduced axes, in the lanes where those are reduced. */
static V red_number(Nest *n, unsigned vector) {
  Emit *e = n->e;
  const Stage *s = n->stage;
  V number = e_i64(e, 0);
  for (unsigned axis = s->par; axis < (unsigned)s->par + s->red; axis++)
    number = i64_add(e, i64_mul2(e, number, nest_extent(n, s->axes[axis])), n->index[axis]);
  number = LLVMBuildTrunc(e->b, i64_add(e, number, e_i64(e, (int64_t)vector * (lanes_reduced(n) ? n->lanes : 0))),
                          e->i32, "");
  if (!lanes_reduced(n)) return e_splat(e, number, n->lanes);
  Affine steps = {.batch = {0}};
  steps.stride[n->lane] = 1, steps.batch[n->lane] = -1;
  return lane_numbers(n, number, &steps);
}

static V start_value(Nest *n, unsigned part) {
  Emit *e = n->e;
  const Stage *s = n->stage;
  LLVMTypeRef as = e_vector(e, expr_type(e, s->acc_type), n->lanes);
  switch (s->combine) {
  case COMBINE_MUL: return s->acc_type == TYPE_BOOL ? e_int(e, as, 1) : e_float(e, as, 1);
  case COMBINE_MAX: return extreme(e, s->acc_type, as, true);
  case COMBINE_MIN: return extreme(e, s->acc_type, as, false);
  case COMBINE_ARGMAX: {
    const Type type = s->exprs.data[s->before].type;
    V first[16];
    if (part) return extreme(e, type, e_vector(e, expr_type(e, type), n->lanes), true);
    if (!lanes_reduced(n)) return e_int(e, as, 0);
    for (unsigned i = 0; i < n->lanes; i++) first[i] = e_int(e, e->i32, i);
    return LLVMConstVector(first, n->lanes);
  }
  default: return e_float(e, as, 0);
  }
}

void combine_start(Nest *n, V *acc) {
  const unsigned half = n->rows * width(n);
  for (unsigned i = 0; i < combine_count(n); i++) acc[i] = start_value(n, i / half);
}

static V join(Nest *n, V a, V b) {
  static const Prim prims[] = {[COMBINE_ADD] = P_ADD,
                               [COMBINE_FMA] = P_ADD,
                               [COMBINE_MUL] = P_MUL,
                               [COMBINE_MAX] = P_MAX,
                               [COMBINE_MIN] = P_MIN};
  const Type type = n->stage->acc_type;
  Prim prim = prims[n->stage->combine];
  if (type == TYPE_BOOL) prim = prim == P_MAX || prim == P_ADD ? P_OR : P_AND;
  return prim_emit(n->e, prim, type, type, a, b, NULL);
}

/* Does b beat a? NaN beats every number. */
static V beats(Emit *e, V b, V a) {
  if (LLVMGetTypeKind(e_scalar(LLVMTypeOf(a))) == LLVMIntegerTypeKind)
    return LLVMBuildICmp(e->b, e_scalar(LLVMTypeOf(a)) == e->i1 ? LLVMIntUGT : LLVMIntSGT, b, a, "");
  V more = e_cmp(e, LLVMRealOGT, b, a);
  V nan = LLVMBuildAnd(e->b, e_cmp(e, LLVMRealUNO, b, b), e_cmp(e, LLVMRealORD, a, a), "");
  return LLVMBuildOr(e->b, more, nan, "");
}

static void take_largest(Nest *n, V *acc, unsigned row, unsigned vector, V mask) {
  Emit *e = n->e;
  V *index = acc_at(n, acc, 0, row, vector), *best = acc_at(n, acc, 1, row, vector);
  V x = expr_value(n, n->stage->before, row, vector, true), take = beats(e, x, *best);
  if (mask) take = LLVMBuildAnd(e->b, take, mask, "");
  *best = e_select(e, take, x, *best);
  *index = e_select(e, take, red_number(n, vector), *index);
}

static V product(Nest *n, V a, V b, V acc) {
  const Type type = n->stage->acc_type;
  if (n->stage->pairs) return bf16_dot(n->e, a, b, acc);
  if (type == TYPE_F32 || type == TYPE_F64) return e_fma(n->e, a, b, acc);
  return join(n, acc, prim_emit(n->e, type == TYPE_BOOL ? P_AND : P_MUL, type, type, a, b, NULL));
}

/* The row that comes i-th: of a grid's sides the longer one outside, so that few values wait in registers. */
static unsigned row_in_turn(const Nest *n, unsigned i) {
  const unsigned outer = n->grid ? n->rows / n->grid : 1;
  return n->grid > outer ? i % outer * n->grid + i / outer : i;
}

void combine_point(Nest *n, V *acc) {
  const Stage *s = n->stage;
  if (s->combine == COMBINE_SCATTER) return;
  for (unsigned i = 0; i < n->rows; i++)
    for (unsigned v = 0; v < n->vectors; v++) {
      const unsigned r = row_in_turn(n, i);
      V mask = lanes_reduced(n) ? n->mask[v] : NULL, *a = acc_at(n, acc, 0, r, v), made;
      if (s->combine == COMBINE_ARGMAX) {
        take_largest(n, acc, r, v, mask);
        continue;
      }
      V x = expr_value(n, s->before, r, v, true);
      if (s->combine == COMBINE_FMA)
        made = product(n, x, expr_value(n, s->before2, r, v, true), *a);
      else
        made = join(n, *a, x);
      *a = mask ? e_select(n->e, mask, made, *a) : made;
      if (!two_sums(n)) continue;
      V *other = acc_at(n, acc, 1, r, v), sum = join(n, *other, expr_value(n, s->before2, r, v, true));
      *other = mask ? e_select(n->e, mask, sum, *other) : sum;
    }
}

/* Lanes from `from` on, as many as the vector is to have. */
static V lanes_from(Emit *e, V x, unsigned from, unsigned count) {
  V order[16];
  for (unsigned i = 0; i < count; i++) order[i] = e_int(e, e->i32, from + i);
  return LLVMBuildShuffleVector(e->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(order, count), "");
}

/* Of two candidates the larger one; of equals the one that comes first. */
static void larger(Emit *e, V index[2], V value[2]) {
  V first = LLVMBuildICmp(e->b, LLVMIntSLT, index[1], index[0], "");
  V same = LLVMBuildNot(e->b, beats(e, value[0], value[1]), "");
  V take = LLVMBuildOr(e->b, beats(e, value[1], value[0]), LLVMBuildAnd(e->b, same, first, ""), "");
  index[0] = e_select(e, take, index[1], index[0]), value[0] = e_select(e, take, value[1], value[0]);
}

static V first_lane(Nest *n, V x) { return n->lanes == 1 ? x : LLVMBuildExtractElement(n->e->b, x, e_int(n->e, n->e->i32, 0), ""); }

static V tree(Nest *n, V x, V *found) {
  Emit *e = n->e;
  for (unsigned half = n->lanes / 2; half; half /= 2) {
    V a[2] = {lanes_from(e, x, 0, half), lanes_from(e, x, half, half)};
    if (found) {
      V b[2] = {lanes_from(e, *found, 0, half), lanes_from(e, *found, half, half)};
      larger(e, a, b);
      x = a[0], *found = b[0];
    } else {
      x = join(n, a[0], a[1]);
    }
  }
  if (found) *found = first_lane(n, *found);
  return first_lane(n, x);
}

void combine_finish(Nest *n, V *acc) {
  if (n->stage->combine == COMBINE_SCATTER) return;
  for (unsigned r = 0; r < n->rows; r++)
    for (unsigned v = 0; v < width(n); v++) {
      V x = *acc_at(n, acc, 0, r, v), other = parts(n) == 2 ? *acc_at(n, acc, 1, r, v) : NULL;
      if (lanes_reduced(n)) x = tree(n, x, n->stage->combine == COMBINE_ARGMAX ? &other : NULL);
      if (lanes_reduced(n) && two_sums(n)) other = tree(n, other, NULL);
      n->acc[r * NEST_MAX_VECTORS + v] = x, n->second[r * NEST_MAX_VECTORS + v] = other;
    }
}
