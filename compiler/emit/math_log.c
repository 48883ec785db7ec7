/* math_log.c: log, log1p, pow, cbrt. */
#include <math.h>

#include "emath.h"
#include "math_parts.h"
#include "math_tables.h"

/* x = 2^exponent m with m in [sqrt(1/2), sqrt(2)); x positive and finite, denormal too. */
typedef struct {
  V exponent, m; /* both in the format of x */
} Split;

/* The exponent is read as the low bits of 2^mantissa + its biased form, which needs no conversion of integers. */
static Split split(Emit *e, V x) {
  const Format *f = part_format(e, x);
  int64_t root = f->mantissa == 23 ? 0x3f3504f3 : 0x3fe6a09e667f3bcd, one = 1ll << f->mantissa;
  V tiny = lt(e, x, f->min_normal);
  V i = i_addc(e, e_bits(e, e_select(e, tiny, f_mulc(e, x, (double)one), x)), -root);
  V biased = i_shr(e, i_addc(e, i, f->bias * one), f->mantissa);
  V wide = e_floats(e, LLVMBuildOr(e->b, biased, i_const(e, i, (f->bias + f->mantissa) * one), ""), LLVMTypeOf(x));
  double zero = (double)one + f->bias;
  V exponent = f_sub(e, wide, e_select(e, tiny, f_const(e, x, zero + f->mantissa), f_const(e, x, zero)));
  return (Split){exponent, e_floats(e, i_addc(e, i_andc(e, i, one - 1), root), LLVMTypeOf(x))};
}

/* log((1 + f) 2^exponent) + extra. The large parts are added exactly. */
static V log_sum(Emit *e, V f, V exponent, V extra) {
  const Format *format = part_format(e, f);
  V square = f_mul(e, f, f), low;
  if (part_is_single(e, f)) {
    V p = f_mul(e, f_mul(e, POLY(e, f, log), f), square);
    low = f_fmac(e, square, -.5, p);
  } else { /* with s = f / (2 + f): f - f^2/2 + s (f^2/2 + s^2 p(s^2)) */
    V s = f_div(e, f, f_addc(e, f, 2)), t = f_mul(e, s, s), half = f_mulc(e, square, .5);
    low = e_fma(e, s, e_fma(e, t, POLY64(e, t, log), half), f_neg(e, half));
  }
  low = f_fmac(e, exponent, format->ln2_lo, low);
  Pair sum = pair_sum(e, f_mulc(e, exponent, format->ln2_hi), f);
  if (extra) low = f_add(e, low, extra);
  return f_add(e, sum.hi, f_add(e, sum.lo, low));
}

/* `y` where 0 < x < inf; the limits and NaN elsewhere. */
static V log_ends(Emit *e, V x, V y) {
  y = e_select(e, lt(e, x, INFINITY), y, x);
  y = e_select(e, eq(e, x, 0), f_const(e, x, -INFINITY), y);
  return e_select(e, lt(e, x, 0), f_const(e, x, NAN), y);
}

V emit_log(Emit *e, V x) {
  Split s = split(e, x);
  return log_ends(e, x, log_sum(e, f_addc(e, s.m, -1), s.exponent, NULL));
}

/* log of u = 1 + x plus what the sum lost, relative to u; near zero, where the exponent is 0, of x itself. */
V emit_log1p(Emit *e, V x) {
  V one = f_const(e, x, 1), u = f_add(e, x, one), back = f_sub(e, u, one);
  V lost = f_add(e, f_sub(e, one, f_sub(e, u, back)), f_sub(e, x, back));
  Split s = split(e, u);
  V near = eq(e, s.exponent, 0);
  V f = e_select(e, near, x, f_addc(e, s.m, -1));
  V extra = e_select(e, near, f_const(e, x, 0), f_div(e, lost, u));
  V y = log_ends(e, u, log_sum(e, f, s.exponent, extra));
  return e_select(e, eq(e, x, 0), x, y);
}

/* log of a positive x to about 2^-65, f64 only: 2 s + s^3 (2/3 + s^2 p(s^2)) with s = (m - 1) / (m + 1), in pairs. */
static Pair log_pair(Emit *e, V x) {
  Split parts = split(e, x);
  V f = f_addc(e, parts.m, -1);
  Pair d = pair_sum(e, f_const(e, x, 2), f), s;
  s.hi = f_div(e, f, d.hi);
  s.lo = f_div(e, f_sub(e, e_fma(e, f_neg(e, s.hi), d.hi, f), f_mul(e, s.hi, d.lo)), d.hi);
  Pair t = pair_times(e, s, s);
  Pair rest = {f_mul(e, t.hi, part_horner(e, t.hi, c_log64_pow, PART_COUNT(c_log64_pow))), f_const(e, x, 0)};
  Pair two_thirds = {f_const(e, x, 0x1.5555555555555p-1), f_const(e, x, 0x1.5555555555555p-55)};
  Pair cube = pair_times(e, pair_times(e, s, t), pair_plus(e, two_thirds, rest));
  Pair sum = pair_plus(e, (Pair){f_add(e, s.hi, s.hi), f_add(e, s.lo, s.lo)}, cube);
  const Format *format = part_format(e, x);
  Pair base = {f_mulc(e, parts.exponent, format->ln2_hi), f_mulc(e, parts.exponent, format->ln2_lo)};
  return pair_plus(e, base, sum);
}

/* |x|^y by exp(y log|x|), in f64; `precise`: for a result in f64. 0 and infinity come out of log's limits, except 0 *
 * inf. */
static V power_of_magnitude(Emit *e, V a, V y, bool precise) {
  V zero = f_const(e, a, 0);
  Pair l = precise ? log_pair(e, a) : (Pair){emit_log(e, a), zero};
  l.hi = e_select(e, lt(e, a, INFINITY), l.hi, a);
  l.hi = e_select(e, eq(e, a, 0), f_const(e, a, -INFINITY), l.hi);
  V z = f_mul(e, y, l.hi), one = f_const(e, a, 1), r;
  if (precise) {
    V lost = e_fma(e, y, l.lo, e_fma(e, y, l.hi, f_neg(e, z)));
    r = part_exp_times(e, z, e_select(e, lt(e, e_abs(e, z), 750), f_neg(e, lost), zero), (Pair){one, zero});
  } else {
    r = part_exp(e, z, 0);
  }
  return e_select(e, eq(e, a, 1), one, r);
}

static V power(Emit *e, V x, V y, bool precise) {
  V r = power_of_magnitude(e, e_abs(e, x), y, precise), half = f_mulc(e, y, .5);
  V whole = e_cmp(e, LLVMRealOEQ, emit_trunc(e, y), y);
  V odd = LLVMBuildAnd(e->b, whole, e_cmp(e, LLVMRealUNE, emit_trunc(e, half), half), "");
  V bits = e_bits(e, x), minus = LLVMBuildICmp(e->b, LLVMIntSLT, bits, i_const(e, bits, 0), "");
  r = part_negate_where(e, r, LLVMBuildAnd(e->b, minus, odd, ""));
  V below = LLVMBuildAnd(e->b, lt(e, x, 0), gt(e, x, -INFINITY), "");
  r = e_select(e, LLVMBuildAnd(e->b, below, LLVMBuildNot(e->b, whole, ""), ""), f_const(e, x, NAN), r);
  return e_select(e, eq(e, y, 0), f_const(e, x, 1), r);
}

V emit_pow(Emit *e, V x, V y) {
  if (!part_is_single(e, x)) return power(e, x, y, true);
  return LLVMBuildFPTrunc(e->b, power(e, part_double(e, x), part_double(e, y), false), LLVMTypeOf(x), "");
}

/* x = 8^third m with m in [1, 8). z -> m^(-1/3) by a polynomial and two steps of high order; then one step on m z^2. */
V emit_cbrt(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_cbrt);
  V a = e_abs(e, x), tiny = lt(e, a, 0x1p-1022), bits = e_bits(e, e_select(e, tiny, f_mulc(e, a, 0x1p54), a));
  V exponent = i_shr(e, bits, 52);
  V third = i_shr(e, LLVMBuildMul(e->b, exponent, i_const(e, bits, 21846), ""), 16); /* exponent / 3 */
  V over = i_sub(e, exponent, LLVMBuildAdd(e->b, third, i_shl(e, third, 1), ""));
  V m_bits = LLVMBuildOr(e->b, i_andc(e, bits, (1ll << 52) - 1), i_shl(e, i_addc(e, over, 1023), 52), "");
  V m = e_floats(e, m_bits, LLVMTypeOf(x)), z = POLY64(e, m, cbrt);
  static const double step[] = {1. / 3, 2. / 9, 14. / 81};
  for (int i = 0; i < 2; i++) {
    V error = e_fma(e, f_neg(e, f_mul(e, m, z)), f_mul(e, z, z), f_const(e, x, 1));
    z = e_fma(e, f_mul(e, z, error), part_horner(e, error, step, i ? 1 : 3), z);
  }
  V y = f_mul(e, m, f_mul(e, z, z));
  Pair square = pair_product(e, y, y);
  V excess = e_fma(e, square.lo, y, e_fma(e, square.hi, y, f_neg(e, m)));
  y = e_fma(e, f_mul(e, excess, f_mul(e, z, z)), f_const(e, x, -1. / 3), y);
  V offset = e_select(e, tiny, i_const(e, bits, -341 - 18), i_const(e, bits, -341));
  y = f_mul(e, y, part_power_of_2(e, LLVMBuildAdd(e->b, third, offset, ""), x));
  V plain = LLVMBuildAnd(e->b, lt(e, a, INFINITY), gt(e, a, 0), "");
  return e_select(e, plain, part_copy_sign(e, y, x), x);
}
