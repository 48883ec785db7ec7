/* bf16.c: floats of 8 bits, on any processor; and where a processor multiplies pairs of them and sums in one instruction,
 * contractions in pairs. There the innermost red axis goes by two: a point of it is 32 bits of either operand. The lane
 * operand is laid out as [pair of k][lane][2]; of the row operand a pair lies in memory, or is laid out likewise. */
#include <float.h>
#include <string.h>

#include "nest.h"

V bf16_round(Emit *e, V x) {
  V bits = e_bits(e, x);
  LLVMTypeRef like = LLVMTypeOf(bits);
  V odd = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, bits, e_int(e, like, 16), ""), e_int(e, like, 1), "");
  V up = LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, bits, odd, ""), e_int(e, like, 0x7fff), "");
  V sign = LLVMBuildAnd(e->b, bits, e_int(e, like, INT32_MIN), "");
  up = e_select(e, e_cmp(e, LLVMRealOLT, e_abs(e, x), e_float(e, LLVMTypeOf(x), FLT_MIN)), sign, up);
  up = e_select(e, e_cmp(e, LLVMRealUNO, x, x), LLVMBuildOr(e->b, bits, e_int(e, like, 1 << 22), ""), up);
  return e_floats(e, LLVMBuildAnd(e->b, up, e_int(e, like, ~0xffff), ""), LLVMTypeOf(x));
}

V bf16_widen(Emit *e, V x) {
  const unsigned lanes = e_lanes(LLVMTypeOf(x));
  V bits = LLVMBuildZExt(e->b, x, e_vector(e, e->i32, lanes), "");
  bits = LLVMBuildShl(e->b, bits, e_int(e, LLVMTypeOf(bits), 16), "");
  return e_floats(e, bits, e_vector(e, e->f32, lanes));
}

V bf16_halves(Emit *e, V x) {
  V bits = e_bits(e, x);
  V high = LLVMBuildLShr(e->b, bits, e_int(e, LLVMTypeOf(bits), 16), "");
  return LLVMBuildTrunc(e->b, high, e_vector(e, e->i16, e_lanes(LLVMTypeOf(x))), "");
}

V bf16_dot(Emit *e, V a, V b, V acc) {
  LLVMTypeRef halves = LLVMVectorType(LLVMBFloatTypeInContext(e->cx), 32);
  V args[] = {acc, LLVMBuildBitCast(e->b, a, halves, ""), LLVMBuildBitCast(e->b, b, halves, "")};
  return e_intrinsic(e, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, 0, args, 3);
}

/* ---- which stages ---- */

static int innermost(const Stage *s) { return s->par + s->red - 1; }

static const Load *plain_load(const Kernel *k, const Stage *s, int32_t expr) {
  const Expr *x = &s->exprs.data[expr];
  if (x->kind != X_LOAD || k->operand_type[s->loads.data[x->a].operand] != TYPE_BF16 || s->loads.data[x->a].gather) return NULL;
  return &s->loads.data[x->a];
}

/* Do the two elements of a pair adjoin, the last pair's too? */
static bool lies_in_pairs(const Stage *s, const Load *l) {
  const int p = innermost(s);
  return l->at.stride[p] == 1 && l->at.batch[p] < 0 && s->axes[p].count % 2 == 0;
}

/* Rows that adjoin, so that those of a tile are read at once. */
static bool rows_adjoin(const Stage *s, const Load *l) {
  for (int i = s->par; i < s->par + s->red; i++)
    if (l->at.batch[i] >= 0) return false;
  return s->row_outer < 0 && !l->guard_count && l->at.stride[s->row] == 1 && l->at.batch[s->row] < 0;
}

#define DEEPEST (1 << 14)    /* pairs in a panel of one vector: 1 MiB */
#define MOST_ROWS (1 << 14)  /* whose sums are left between parts */

/* By shapes and the processor alone: tiles and threads change no bit. */
static bool pairs_fit(const Target *t, const Kernel *k, const Stage *s) {
  if (!t->has_dot || !shape_fits(k, s) || !stage_in_pairs(s) || stage_grouped_axis(s) >= 0) return false;
  const int32_t lane = shape_lane_operand(s), row = lane == s->before ? s->before2 : s->before;
  int64_t inner;
  if (lane < 0 || k->operand_count + 2 > KERNEL_MAX_OPERANDS || !shape_inner_depth(s, &inner)) return false;
  const Load *a = plain_load(k, s, lane), *b = plain_load(k, s, row);
  if (!a || !b) return false;
  const Extent first = s->axes[s->par], rows = shape_rows(s);
  const bool known = first.batch < 0;
  if (rows.batch >= 0 ? !known || first.count * inner / 2 > DEEPEST : rows.count > MOST_ROWS) return false;
  if (inner > DEEPEST / 2 || (!known && s->red > 1 && s->axes[innermost(s)].batch >= 0)) return false;
  if ((a->at.stride[s->lane] != 1 || a->at.batch[s->lane] >= 0) && !lies_in_pairs(s, a)) return false;
  return lies_in_pairs(s, b) || rows_adjoin(s, b);
}

const Stage *pairs_stage(const Target *t, const Kernel *k, const Stage *s, Arena *arena) {
  if (!pairs_fit(t, k, s)) return s;
  Stage *made = ARENA_ARRAY(arena, Stage, 1);
  *made = *s;
  made->loads.data = ARENA_ARRAY(arena, Load, s->loads.count);
  made->exprs.data = ARENA_ARRAY(arena, Expr, s->exprs.count);
  memcpy(made->loads.data, s->loads.data, sizeof *s->loads.data * s->loads.count);
  memcpy(made->exprs.data, s->exprs.data, sizeof *s->exprs.data * s->exprs.count);
  const int p = innermost(s);
  const int32_t sides[] = {s->before, s->before2};
  for (int i = 0; i < 2; i++) {
    Load *l = &made->loads.data[s->exprs.data[sides[i]].a];
    l->pairs = lies_in_pairs(s, l);
    for (unsigned g = 0; g < l->zero_count; g++)
      if (l->guards[l->guard_count + g].index.stride[p]) l->zero_count = 0; /* of a pair one may be 0 */
    l->at.stride[p] *= 2;
    made->exprs.data[sides[i]].type = TYPE_I32;
  }
  Extent *n = &made->axes[p];
  if (n->batch < 0) n->count = (n->count + 1) / 2;
  else if (n->count % 2 == 0) n->count /= 2; /* else: nest_depth */
  made->pairs = true;
  return made;
}

V pairs_extent(Nest *n) {
  const Stage *s = &n->kernel->stages.data[n->number];
  return nest_extent(n, s->axes[innermost(s)]);
}

/* ---- the lane operand ---- */

typedef struct {
  int32_t expr;
  V panel, from, to;
} Filling;

static V bits_at(Nest *n, const Filling *f, V index, unsigned vector) {
  nest_open(n, (unsigned)innermost(n->stage), index, false);
  V bits = e_bits(n->e, expr_value(n, f->expr, 0, vector, true));
  nest_close(n);
  return bits;
}

/* The pair that begins at `index`; `whole`: it has a second element. */
static void fill_pair(Nest *n, const Filling *f, V pair, V index, bool whole) {
  Emit *e = n->e;
  V to = e_gep(e, e->i32, f->panel, i64_mul(e, pair, (int64_t)n->vectors * n->lanes));
  for (unsigned v = 0; v < n->vectors; v++) {
    V bits = bits_at(n, f, index, v);
    bits = LLVMBuildLShr(e->b, bits, e_int(e, LLVMTypeOf(bits), 16), "");
    if (whole) bits = LLVMBuildOr(e->b, bits, bits_at(n, f, i64_add(e, index, e_i64(e, 1)), v), "");
    e_store(e, bits, e_gep(e, e->i32, to, e_i64(e, (int64_t)v * n->lanes)), 4);
  }
}

/* From element `from` to `to` of the innermost red axis; `before`: pairs ahead of it in the panel. */
static void fill_innermost(Nest *n, const Filling *f, V before, V from, V to) {
  Emit *e = n->e;
  V whole = i64_add(e, from, LLVMBuildAnd(e->b, LLVMBuildSub(e->b, to, from, ""), e_i64(e, -2), ""));
  for (int single = 0; single < 2; single++) {
    Loop l;
    e_loop_begin(e, &l, single ? whole : from, single ? to : whole, e_i64(e, 2), NULL, 0, false);
    V pair = LLVMBuildLShr(e->b, LLVMBuildSub(e->b, l.i, from, ""), e_i64(e, 1), "");
    fill_pair(n, f, i64_add(e, before, pair), l.i, !single);
    e_loop_end(e, &l, NULL);
  }
}

static void fill_axes(Nest *n, const Filling *f, int axis, V before) {
  Emit *e = n->e;
  const Stage *s = n->stage;
  const bool first = axis == s->par, last = axis == innermost(s);
  V extent = nest_extent(n, s->axes[axis]), from = e_i64(e, 0), to = extent;
  if (first && f->from) from = last ? i64_mul(e, f->from, 2) : f->from;
  if (first && f->to) to = last ? i64_min(e, i64_mul(e, f->to, 2), extent) : f->to;
  const int64_t pairs = (s->axes[axis].count + 1) / 2; /* of the innermost, where others are around it */
  if (last) {
    fill_innermost(n, f, first ? before : i64_mul(e, before, pairs), from, to);
    return;
  }
  Loop l;
  e_loop_begin(e, &l, from, to, e_i64(e, 1), NULL, 0, false);
  nest_open(n, (unsigned)axis, l.i, false);
  before = first ? before : i64_mul(e, before, s->axes[axis].count);
  fill_axes(n, f, axis + 1, i64_add(e, before, LLVMBuildSub(e->b, l.i, from, "")));
  nest_close(n);
  e_loop_end(e, &l, NULL);
}

void pairs_fill(Nest *n, int32_t expr, V panel, V from, V to) {
  const Filling f = {expr, panel, from, to};
  fill_axes(n, &f, n->stage->par, e_i64(n->e, 0));
}

/* ---- the row operand ---- */

/* `count` rows' pairs. second: NULL where there is none. */
static void join_rows(Emit *e, V first, V second, V to, unsigned count) {
  LLVMTypeRef halves = e_vector(e, e->i16, count), wide = e_vector(e, e->i32, count);
  V pair = LLVMBuildZExt(e->b, e_load(e, halves, first, 2), wide, "");
  if (second) {
    V high = LLVMBuildZExt(e->b, e_load(e, halves, second, 2), wide, "");
    pair = LLVMBuildOr(e->b, pair, LLVMBuildShl(e->b, high, e_int(e, wide, 16), ""), "");
  }
  e_store(e, pair, to, 4);
}

/* Whole tiles of rows, then one row after the other. */
static void join_tiles(Emit *e, const TileShape *shape, V first, V second, V to, V rows) {
  Loop l;
  V size = e_i64(e, shape->rows), whole = LLVMBuildSub(e->b, rows, LLVMBuildURem(e->b, rows, size, ""), "");
  for (int single = 0; single < 2; single++) {
    e_loop_begin(e, &l, single ? whole : e_i64(e, 0), single ? rows : whole, single ? e_i64(e, 1) : size, NULL, 0, false);
    V at = i64_mul(e, single ? whole : l.i, shape->depth);
    if (single) at = i64_add(e, at, LLVMBuildSub(e->b, l.i, whole, ""));
    join_rows(e, e_gep(e, e->i16, first, l.i), second ? e_gep(e, e->i16, second, l.i) : NULL, e_gep(e, e->i32, to, at),
              single ? 1 : shape->rows);
    e_loop_end(e, &l, NULL);
  }
}

static void rows_axes(Nest *n, const Load *load, int axis, const TileShape *shape, V source, V panel) {
  Emit *e = n->e;
  const Stage *s = n->stage, *single = &n->kernel->stages.data[n->number];
  V rows = LLVMGetParam(e->function, 2);
  V count = axis == s->par ? LLVMGetParam(e->function, 3) : e_i64(e, single->axes[axis].count);
  int64_t step = 1;
  for (int i = axis + 1; i < s->par + s->red; i++) step *= s->axes[i].count;
  Loop l;
  if (axis < innermost(s)) {
    e_loop_begin(e, &l, e_i64(e, 0), count, e_i64(e, 1), NULL, 0, false);
    rows_axes(n, load, axis + 1, shape, e_gep(e, e->i16, source, i64_mul(e, l.i, load->at.stride[axis])),
              e_gep(e, e->i32, panel, i64_mul(e, l.i, step * shape->rows)));
    e_loop_end(e, &l, NULL);
    return;
  }
  const int64_t apart = load->at.stride[axis] / 2;
  V whole = LLVMBuildAnd(e->b, count, e_i64(e, -2), "");
  for (int odd = 0; odd < 2; odd++) {
    e_loop_begin(e, &l, odd ? whole : e_i64(e, 0), odd ? count : whole, e_i64(e, 2), NULL, 0, false);
    V first = e_gep(e, e->i16, source, i64_mul(e, l.i, apart)), second = odd ? NULL : e_gep(e, e->i16, first, e_i64(e, apart));
    V pair = LLVMBuildLShr(e->b, l.i, e_i64(e, 1), "");
    join_tiles(e, shape, first, second, e_gep(e, e->i32, panel, i64_mul(e, pair, shape->rows)), rows);
    e_loop_end(e, &l, NULL);
  }
}

V pairs_rows_function(Nest *n, uint32_t load, const TileShape *shape, const char *name) {
  Emit *e = n->e;
  const Aside aside = aside_begin(e, name, (LLVMTypeRef[]){e->ptr, e->ptr, e->i64, e->i64}, 4, true);
  rows_axes(n, &n->stage->loads.data[load], n->stage->par, shape, LLVMGetParam(e->function, 0), LLVMGetParam(e->function, 1));
  return aside_end(e, aside);
}
