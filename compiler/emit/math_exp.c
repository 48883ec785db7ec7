/* math_exp.c: exp and what is made of it: expm1, tanh, sigmoid, softplus, sinh, cosh. */
#include "emath.h"
#include "math_parts.h"
#include "math_tables.h"

V emit_exp(Emit *e, V x) {
  return part_exp(e, x, 0);
}

/* exp(x) - 1 = (2^n - 1) + 2^n (head + more), all halved so that 2^n may reach the largest number. 2^n - 1 is exact and
 * not smaller than 2^n head, or zero, so their sum is known to the last bit. Tiny x, which halving could hurt, is its
 * own answer. */
V emit_expm1(Emit *e, V x) {
  const Format *f = part_format(e, x);
  ExpParts p = part_exp_parts(e, part_max(e, part_min(e, x, f->exp_max), -40));
  V scale = part_power_of_2(e, i_addc(e, p.n, -1), x);
  Pair sum = pair_sum(e, f_addc(e, scale, -.5), f_mul(e, scale, p.head));
  V y = f_add(e, sum.hi, e_fma(e, scale, p.more, sum.lo));
  return e_select(e, lt(e, e_abs(e, x), 0x1p-60), x, f_add(e, y, y));
}

/* 1 - 2 / (exp(2 |x|) + 1), where the subtraction hides the errors of the quotient; below 0.9 a polynomial. */
V emit_tanh(Emit *e, V x) {
  V a = e_abs(e, x), t = f_mul(e, x, x);
  ExpParts p = part_exp_parts(e, part_min(e, f_add(e, a, a), 40));
  V scale = part_power_of_2(e, p.n, x);
  V d = e_fma(e, scale, f_add(e, p.head, p.more), f_addc(e, scale, 1));
  V large = f_sub(e, f_const(e, x, 1), f_div(e, f_const(e, x, 2), d));
  V small = e_fma(e, f_mul(e, a, t), POLY(e, t, tanh), a);
  return part_copy_sign(e, e_select(e, gt(e, a, .9), large, small), x);
}

/* For x < 0 the result is 1 / (1 + exp(|x|)) = w / (w + 1 + u) with exp(|x|) = (1 + u) / w, w a power of 2, where it cannot be had
 * at once a product of two so that nothing overflows; for x >= 0 it is 1 minus that. */
V emit_sigmoid(Emit *e, V x) {
  ExpParts p = part_exp_parts(e, part_min(e, e_abs(e, x), -part_format(e, x)->exp_min));
  V one = f_const(e, x, 1), u = f_add(e, p.head, p.more), y;
  if (part_scales(e, x)) {
    V down = f_neg(e, p.steps);
    y = part_scaled(e, f_div(e, one, f_addc(e, f_add(e, u, part_scaled(e, one, down)), 1)), down);
  } else {
    V half = LLVMBuildAShr(e->b, p.n, i_const(e, p.n, 1), "");
    V w1 = part_power_of_2(e, LLVMBuildNeg(e->b, half, ""), x), w2 = part_power_of_2(e, i_sub(e, half, p.n), x);
    y = f_mul(e, f_div(e, w1, f_addc(e, f_add(e, u, f_mul(e, w1, w2)), 1)), w2);
  }
  return e_select(e, lt(e, x, 0), y, f_sub(e, one, y));
}

/* log(1 + exp(x)) = max(x, 0) + log1p(t), t = exp(-|x|) in [0, 1]: nothing overflows, and f32 has a polynomial for all t. */
V emit_softplus(Emit *e, V x) {
  V positive = e_select(e, gt(e, x, 0), x, f_const(e, x, 0)), t = emit_exp(e, f_neg(e, e_abs(e, x)));
  if (!part_is_single(e, x)) return f_add(e, positive, emit_log1p(e, t));
  V q = part_horner(e, t, c_softplus32, PART_COUNT(c_softplus32));
  return f_add(e, positive, e_fma(e, f_mul(e, t, t), q, t));
}

V emit_sinh(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_sinh);
  V a = e_abs(e, x), t = f_mul(e, x, x), h = part_exp(e, a, 1);
  V large = f_sub(e, h, f_div(e, f_const(e, x, .25), h));
  V small = e_fma(e, f_mul(e, a, t), POLY64(e, t, sinh), a);
  return part_copy_sign(e, e_select(e, gt(e, a, 1), large, small), x);
}

V emit_cosh(Emit *e, V x) {
  if (part_is_single(e, x)) return part_through_double(e, x, emit_cosh);
  V h = part_exp(e, e_abs(e, x), 1);
  return f_add(e, h, f_div(e, f_const(e, x, .25), h));
}
