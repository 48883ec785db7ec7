/* math_erf.c: the error function and its complement. */
#include "emath.h"
#include "math_parts.h"
#include "math_tables.h"

/* erf(x) for |x| < 1: x + x p(x^2) */
static V erf_small(Emit *e, V x) {
  return e_fma(e, x, POLY(e, f_mul(e, x, x), erf), x);
}

/* erfc(a) for a > 0.74, f64: exp(-a^2) / (1 + 2 a) times a polynomial, all but the exponential to twice the precision:
 * what a^2, 1 / (1 + 2 a), the last term of the polynomial and the product lose is put back. */
static V erfc_large(Emit *e, V a) {
  a = part_min(e, a, 28);
  V one = f_const(e, a, 1), t = f_div(e, f_addc(e, a, -3), f_addc(e, a, 3));
  Pair square = pair_product(e, a, a), d = pair_sum(e, f_add(e, a, a), one);
  V r = f_div(e, one, d.hi);
  V lost = e_fma(e, d.lo, r, e_fma(e, d.hi, r, f_neg(e, one)));
  V rest = f_mul(e, t, part_horner(e, t, c_erfcx64 + 1, PART_COUNT(c_erfcx64) - 1));
  Pair p = pair_sum(e, f_const(e, a, c_erfcx64[0]), rest), factor = pair_product(e, p.hi, r);
  factor.lo = e_fma(e, p.lo, r, factor.lo);
  return part_exp_times(e, f_neg(e, square.hi), f_add(e, square.lo, lost), factor);
}

/* 1 - exp(-x^2) exp(x^2) erfc(|x|), f32, for |x| > 0.98. What the rounding of x^2 changes is less than the result's own. The
 * derivative has the same exponential, which is then computed once. */
static V erf_large32(Emit *e, V x, V a) {
  V scaled = part_horner(e, f_addc(e, part_min(e, a, 4), -1), c_erfcx32, PART_COUNT(c_erfcx32));
  return e_fma(e, f_neg(e, emit_exp(e, f_neg(e, f_mul(e, x, x)))), scaled, f_const(e, x, 1));
}

V emit_erf(Emit *e, V x) {
  V a = e_abs(e, x);
  V large = part_is_single(e, x) ? erf_large32(e, x, a) : f_sub(e, f_const(e, x, 1), erfc_large(e, part_min(e, a, 6)));
  return part_copy_sign(e, e_select(e, gt(e, a, 1), large, erf_small(e, a)), x);
}

V emit_erfc(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_erfc);
  V a = e_abs(e, x), large = erfc_large(e, a);
  large = e_select(e, lt(e, x, 0), f_sub(e, f_const(e, x, 2), large), large);
  V p = POLY64(e, f_mul(e, x, x), erf), small = e_fma(e, f_neg(e, x), p, f_sub(e, f_const(e, x, 1), x));
  return e_select(e, lt(e, a, .75), small, large);
}
