/* math_gamma.c: log |gamma(x)| and its derivative, digamma. Below 1/2 by reflection; from 1/2 to 8 from [3/2, 5/2) (or
 * [1/2, 3/2)) by the recurrence, where all terms are positive; above by Stirling's series. */
#include "emath.h"
#include "math_parts.h"
#include "math_tables.h"

#define PI 3.14159265358979323846
#define LARGE 8

/* a >= 1/2 is 2 + z + steps, |z| <= 1/2, steps from -1 to 6, where a < LARGE. */
typedef struct {
  V steps, z;
} Near;
static Near near_two(Emit *e, V a) {
  V steps = part_max(e, part_min(e, emit_round(e, f_addc(e, a, -2)), LARGE - 2), -1);
  return (Near){steps, f_sub(e, a, f_addc(e, steps, 2))}; /* exact */
}

/* The distance of x from the nearest whole number, exactly. */
static V fraction(Emit *e, V x) { return f_sub(e, x, emit_round(e, x)); }

/* For a >= 1/2. */
static V lgamma_right(Emit *e, V a) {
  Near n = near_two(e, a);
  V large = e_cmp(e, LLVMRealUGE, a, f_const(e, a, LARGE)), below = lt(e, n.steps, 0), product = f_const(e, a, 1);
  for (int k = 1; k <= LARGE - 2; k++)
    product = e_select(e, lt(e, n.steps, k), product, f_mul(e, product, f_addc(e, a, -k)));
  V log = emit_log(e, e_select(e, large, a, e_select(e, below, a, product)));
  V near = e_fma(e, n.z, POLY64(e, n.z, gamma), e_select(e, below, f_neg(e, log), log));
  V r = f_div(e, f_const(e, a, 1), a), series = f_mul(e, r, POLY64(e, f_mul(e, r, r), stirling));
  V far = e_fma(e, f_addc(e, a, -.5), f_addc(e, log, -1), f_addc(e, series, 0.4189385332046727)); /* (log(2 pi) - 1) / 2 */
  return e_select(e, large, far, near);
}

V emit_lgamma(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_lgamma);
  V left = lt(e, x, .5), right = lgamma_right(e, e_select(e, left, f_sub(e, f_const(e, x, 1), x), x));
  V sine = e_abs(e, emit_sin(e, f_mulc(e, fraction(e, x), PI)));
  V y = e_select(e, left, f_neg(e, f_add(e, emit_log(e, f_mulc(e, sine, 1 / PI)), right)), right);
  V pole = LLVMBuildAnd(e->b, left, eq(e, sine, 0), ""); /* so is all below -2^52 */
  pole = LLVMBuildOr(e->b, pole, eq(e, e_abs(e, x), __builtin_inf()), "");
  return e_select(e, pole, f_const(e, x, __builtin_inf()), y);
}

static V digamma_right(Emit *e, V a) {
  Near n = near_two(e, a);
  V one = f_const(e, a, 1), near = POLY64(e, n.z, digamma);
  for (int k = LARGE - 2; k >= 1; k--) /* the small terms first */
    near = f_add(e, near, e_select(e, lt(e, n.steps, k), f_const(e, a, 0), f_div(e, one, f_addc(e, a, -k))));
  V r = f_div(e, one, a), square = f_mul(e, r, r);
  near = e_select(e, lt(e, n.steps, 0), f_sub(e, near, r), near);
  V far = f_sub(e, emit_log(e, a), e_fma(e, r, f_const(e, a, .5), f_mul(e, square, POLY64(e, square, slope))));
  return e_select(e, e_cmp(e, LLVMRealUGE, a, f_const(e, a, LARGE)), far, near);
}

V emit_digamma(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_digamma);
  V left = lt(e, x, .5), part = fraction(e, x), angle = f_mulc(e, part, PI);
  V right = digamma_right(e, e_select(e, left, f_sub(e, f_const(e, x, 1), x), x));
  V cot = f_div(e, f_mulc(e, emit_cos(e, angle), PI), emit_sin(e, angle));
  V pole = LLVMBuildAnd(e->b, lt(e, x, 0), eq(e, part, 0), "");
  V y = e_select(e, left, e_select(e, pole, f_const(e, x, __builtin_nan("")), f_sub(e, right, cot)), right);
  return e_select(e, eq(e, x, __builtin_inf()), x, y);
}
