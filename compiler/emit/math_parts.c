/* math_parts.c: the pieces that the elementary functions share. */
#include "math_parts.h"

#include "math_tables.h"

static const Format single = {23, 127, 0x1.8p23, 0x1.62e4p-1, 0x1.7f7d1cp-20, 89, -104, 0x1p-126};
static const Format twice = {52, 1023, 0x1.8p52, 0x1.62e42fefa38p-1, 0x1.ef35793c7673p-45, 710, -746, 0x1p-1022};

int64_t part_round_bits(const Format *f) {
  return f->mantissa == 23 ? 0x4b400000 : 0x4338000000000000;
}

bool part_is_single(Emit *e, V x) {
  return e_scalar(LLVMTypeOf(x)) == e->f32;
}

const Format *part_format(Emit *e, V x) {
  return part_is_single(e, x) ? &single : &twice;
}

V part_copy_sign(Emit *e, V magnitude, V sign) {
  LLVMTypeRef t = LLVMTypeOf(magnitude);
  return e_intrinsic(e, "llvm.copysign", &t, 1, (V[]){magnitude, sign}, 2);
}

V part_negate_where(Emit *e, V x, V mask) {
  return e_select(e, mask, f_neg(e, x), x);
}

/* An ordered comparison with x in the last place keeps NaN and is one instruction. */
V part_min(Emit *e, V x, double limit) {
  return e_select(e, gt(e, x, limit), f_const(e, x, limit), x);
}

V part_max(Emit *e, V x, double limit) {
  return e_select(e, lt(e, x, limit), f_const(e, x, limit), x);
}

V part_horner(Emit *e, V x, const double *c, unsigned n) {
  V p = f_const(e, x, c[n - 1]);
  for (unsigned i = n - 1; i-- > 0;) p = e_fma(e, p, x, f_const(e, x, c[i]));
  return p;
}

Pair pair_sum(Emit *e, V a, V b) {
  V s = f_add(e, a, b);
  return (Pair){s, f_sub(e, b, f_sub(e, s, a))};
}

Pair pair_product(Emit *e, V a, V b) {
  V p = f_mul(e, a, b);
  return (Pair){p, e_fma(e, a, b, f_neg(e, p))};
}

Pair pair_times(Emit *e, Pair a, Pair b) {
  Pair p = pair_product(e, a.hi, b.hi);
  V cross = e_fma(e, a.hi, b.lo, e_fma(e, a.lo, b.hi, p.lo));
  return pair_sum(e, p.hi, cross);
}

Pair pair_plus(Emit *e, Pair a, Pair b) {
  Pair s = pair_sum(e, a.hi, b.hi);
  return pair_sum(e, s.hi, f_add(e, s.lo, f_add(e, a.lo, b.lo)));
}

/* n ln2_hi and its difference from x are exact, so only the small product n ln2_lo is rounded, and it joins the small
 * terms. */
ExpParts part_exp_parts(Emit *e, V x) {
  const Format *f = part_format(e, x);
  V t = f_fmac(e, x, 0x1.71547652b82fep+0, f_const(e, x, f->round)), n = f_addc(e, t, -f->round);
  V head = f_fmac(e, n, -f->ln2_hi, x), tail = f_mulc(e, n, -f->ln2_lo), r = f_add(e, head, tail);
  V more = e_fma(e, POLY(e, r, exp), f_mul(e, r, r), tail);
  return (ExpParts){i_addc(e, e_bits(e, t), -part_round_bits(f)), n, head, more};
}

V part_power_of_2(Emit *e, V n, V like) {
  const Format *f = part_format(e, like);
  return e_floats(e, i_shl(e, i_addc(e, n, f->bias), f->mantissa), LLVMTypeOf(like));
}

#define REGISTER_BITS 512

bool part_scales(Emit *e, V x) {
  const unsigned bits = e_lanes(LLVMTypeOf(x)) * (part_is_single(e, x) ? 32 : 64);
  return e->target.vector_bytes * 8 == REGISTER_BITS && bits % REGISTER_BITS == 0;
}

/* Lanes first .. first + count - 1 of a, followed by b. */
static V lanes_of(Emit *e, V a, V b, unsigned first, unsigned count) {
  V lanes[64];
  for (unsigned i = 0; i < count; i++) lanes[i] = e_int(e, e->i32, first + i);
  return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(lanes, count), "");
}

V part_scaled(Emit *e, V x, V steps) {
  const bool single = part_is_single(e, x);
  const unsigned lanes = e_lanes(LLVMTypeOf(x)), all = single ? 16 : 8;
  if (lanes > all) { /* the instruction takes one register */
    V low = part_scaled(e, lanes_of(e, x, x, 0, lanes / 2), lanes_of(e, steps, steps, 0, lanes / 2));
    V high = part_scaled(e, lanes_of(e, x, x, lanes / 2, lanes / 2), lanes_of(e, steps, steps, lanes / 2, lanes / 2));
    return lanes_of(e, low, high, 0, lanes);
  }
  V every = LLVMConstAllOnes(single ? LLVMInt16TypeInContext(e->cx) : LLVMInt8TypeInContext(e->cx));
  V args[] = {x, steps, x, every, e_int(e, e->i32, 4)}; /* rounded as all else is */
  return e_intrinsic(e, single ? "llvm.x86.avx512.mask.scalef.ps.512" : "llvm.x86.avx512.mask.scalef.pd.512", NULL, 0, args, 5);
}

V part_scale(Emit *e, V x, const ExpParts *p, int less) {
  if (part_scales(e, x)) return part_scaled(e, x, less ? f_addc(e, p->steps, -less) : p->steps);
  V n = less ? i_addc(e, p->n, -less) : p->n, half = LLVMBuildAShr(e->b, n, i_const(e, n, 1), "");
  return f_mul(e, f_mul(e, x, part_power_of_2(e, half, x)), part_power_of_2(e, i_sub(e, n, half), x));
}

static V exp_clamped(Emit *e, V x, ExpParts *p) {
  const Format *f = part_format(e, x);
  *p = part_exp_parts(e, part_max(e, part_min(e, x, f->exp_max + 2), f->exp_min));
  return f_add(e, p->head, p->more);
}

V part_exp(Emit *e, V x, int halvings) {
  ExpParts p;
  V u = exp_clamped(e, x, &p);
  return part_scale(e, f_addc(e, u, 1), &p, halvings);
}

V part_exp_times(Emit *e, V x, V less, Pair factor) {
  ExpParts p;
  V u = exp_clamped(e, x, &p);
  p.more = f_sub(e, p.more, f_mul(e, less, f_addc(e, u, 1)));
  V y = f_add(e, factor.hi, e_fma(e, factor.hi, f_add(e, p.head, p.more), factor.lo));
  return part_scale(e, y, &p, 0);
}

V part_through_double(Emit *e, V x, V (*f)(Emit *, V)) {
  LLVMTypeRef t = LLVMTypeOf(x);
  return LLVMBuildFPTrunc(e->b, f(e, part_double(e, x)), t, "");
}

V part_double(Emit *e, V x) {
  return LLVMBuildFPExt(e->b, x, part_double_type(e, x), "");
}

LLVMTypeRef part_double_type(Emit *e, V x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMVectorType(e->f64, e_lanes(t)) : e->f64;
}
