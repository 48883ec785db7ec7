/* math_trig.c: circular functions and their inverses, computed in f64. f32 goes through f64. sin, cos and tan are
 * accurate up to |x| = 1e9 (f32: 1e15); beyond they stay finite, within [-1, 1] for sin and cos, but lose their
 * meaning. */
#include <math.h>

#include "emath.h"
#include "math_parts.h"
#include "math_tables.h"

#define PI_HI 0x1.921fb54442d18p+1
#define PI_LO 0x1.1a62633145c07p-53
static const double half_pi[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};

/* x = quadrant * pi/2 + an angle in [-pi/4, pi/4], or a little beyond where x is large; sine and cosine of the angle.
 * Huge x leaves no angle: it is cut to [-1, 1]. */
typedef struct {
  V quadrant; /* integer lanes; the low two bits count */
  V sin, cos;
} Circle;

static Circle circle(Emit *e, V x) {
  const Format *f = part_format(e, x);
  V t = f_fmac(e, x, 0x1.45f306dc9c883p-1, f_const(e, x, f->round)), n = f_addc(e, t, -f->round);
  V first = f_fmac(e, n, -half_pi[0], x), r = f_fmac(e, n, -half_pi[1], first);
  V lost = f_fmac(e, n, -half_pi[2], f_fmac(e, n, -half_pi[1], f_sub(e, first, r)));
  r = part_max(e, part_min(e, r, 1), -1), lost = part_max(e, part_min(e, lost, 0x1p-52), -0x1p-52);
  V square = f_mul(e, r, r), half = f_mulc(e, square, .5), w = f_sub(e, f_const(e, x, 1), half);
  V s = e_fma(e, f_mul(e, r, square), POLY64(e, square, sin), f_mul(e, lost, w));
  V c = e_fma(e, f_mul(e, square, square), POLY64(e, square, cos), f_neg(e, f_mul(e, r, lost)));
  V w_lost = f_sub(e, f_sub(e, f_const(e, x, 1), w), half);
  return (Circle){e_bits(e, t), f_add(e, r, s), f_add(e, w, f_add(e, w_lost, c))};
}

static V bit_is_set(Emit *e, V bits, int bit) {
  return LLVMBuildICmp(e->b, LLVMIntNE, i_andc(e, bits, bit), i_const(e, bits, 0), "");
}

V emit_sin(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_sin);
  Circle c = circle(e, x);
  V y = e_select(e, bit_is_set(e, c.quadrant, 1), c.cos, c.sin);
  return e_select(e, eq(e, x, 0), x, part_negate_where(e, y, bit_is_set(e, c.quadrant, 2)));
}

V emit_cos(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_cos);
  Circle c = circle(e, x);
  V y = e_select(e, bit_is_set(e, c.quadrant, 1), c.sin, c.cos);
  return part_negate_where(e, y, bit_is_set(e, i_addc(e, c.quadrant, 1), 2));
}

V emit_tan(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_tan);
  Circle c = circle(e, x);
  V odd = bit_is_set(e, c.quadrant, 1);
  V y = f_div(e, e_select(e, odd, f_neg(e, c.cos), c.sin), e_select(e, odd, c.sin, c.cos));
  return e_select(e, eq(e, x, 0), x, y);
}

static V minus(Emit *e, V x) {
  V bits = e_bits(e, x);
  return LLVMBuildICmp(e->b, LLVMIntSLT, bits, i_const(e, bits, 0), "");
}

/* The angle of the point (x, y), |y| and |x| exchanged where y is the larger so that the polynomial sees at most 1. The
 * larger is never 0 or infinite here: those points are moved to where they give the same angle. */
static V angle(Emit *e, V y, V x) {
  V one = f_const(e, x, 1), zero = f_const(e, x, 0), ax = e_abs(e, x), ay = e_abs(e, y);
  V swap = e_cmp(e, LLVMRealOGT, ay, ax);
  V large = e_select(e, swap, ay, ax), small = e_select(e, swap, ax, ay);
  V endless = eq(e, large, INFINITY);
  small = e_select(e, endless, e_select(e, eq(e, small, INFINITY), one, zero), small);
  large = e_select(e, LLVMBuildOr(e->b, endless, eq(e, large, 0), ""), one, large);
  V q = f_div(e, small, large), t = f_mul(e, q, q);
  V lost = f_div(e, e_fma(e, f_neg(e, q), large, small), large); /* times atan'(q), about 1 - q^2/2 */
  V more = e_fma(e, f_mul(e, q, t), POLY64(e, t, atan), e_fma(e, f_mulc(e, t, -.5), lost, lost));
  V left = minus(e, x), turned = LLVMBuildXor(e->b, swap, left, ""); /* base - atan(q) */
  V base = e_select(e, swap, f_const(e, x, half_pi[0]), e_select(e, left, f_const(e, x, PI_HI), zero));
  V base_lo = e_select(e, swap, f_const(e, x, half_pi[1]), e_select(e, left, f_const(e, x, PI_LO), zero));
  Pair sum = pair_sum(e, base, part_negate_where(e, q, turned));
  V r = f_add(e, sum.hi, f_add(e, sum.lo, f_add(e, base_lo, part_negate_where(e, more, turned))));
  return part_copy_sign(e, r, y);
}

V emit_atan(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_atan);
  return angle(e, x, f_const(e, x, 1));
}

V emit_atan2(Emit *e, V y, V x) {
  if (part_is_single(e, x)) {
    V r = emit_atan2(e, part_double(e, y), part_double(e, x));
    return LLVMBuildFPTrunc(e->b, r, LLVMTypeOf(x), "");
  }
  V nan = e_cmp(e, LLVMRealUNO, x, y);
  return e_select(e, nan, f_add(e, x, y), angle(e, y, x));
}

/* asin(s) = s + more, where s is |x| or, above 1/2, sqrt((1 - |x|) / 2), of which twice the arc sine is acos(|x|). */
typedef struct {
  V large, s, more;
} Arc;

static Arc arc(Emit *e, V x) {
  V a = e_abs(e, x), large = gt(e, a, .5);
  V t = e_select(e, large, f_mulc(e, f_sub(e, f_const(e, x, 1), a), .5), f_mul(e, a, a));
  V root = e_sqrt(e, t);
  V lost = f_div(e, e_fma(e, f_neg(e, root), root, t), part_max(e, f_add(e, root, root), 0x1p-1000));
  V s = e_select(e, large, root, a);
  V more = e_fma(e, f_mul(e, s, t), POLY64(e, t, asin), e_select(e, large, lost, f_const(e, x, 0)));
  return (Arc){large, s, more};
}

/* hi + lo - k (s + more), the large parts exactly. */
static V from_pi(Emit *e, double hi, double lo, double k, V s, V more) {
  Pair sum = pair_sum(e, f_const(e, s, hi), f_mulc(e, s, -k));
  return f_add(e, sum.hi, f_add(e, sum.lo, f_fmac(e, more, -k, f_const(e, s, lo))));
}

V emit_asin(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_asin);
  Arc a = arc(e, x);
  V large = from_pi(e, half_pi[0], half_pi[1], 2, a.s, a.more), small = f_add(e, a.s, a.more);
  return part_copy_sign(e, e_select(e, a.large, large, small), x);
}

V emit_acos(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_acos);
  Arc a = arc(e, x);
  V middle = from_pi(e, half_pi[0], half_pi[1], 1, part_copy_sign(e, a.s, x), part_copy_sign(e, a.more, x));
  V right = f_add(e, a.s, a.more), left = from_pi(e, PI_HI, PI_LO, 2, a.s, a.more);
  V ends = e_select(e, minus(e, x), left, f_add(e, right, right));
  return e_select(e, a.large, ends, middle);
}
