/* emath.h: elementary functions as IR on vectors of any lane count, f32 and f64: our own, never the C library's, so that
 * the bits are the same on every target with fma. Accuracy and special values are tested in tests/numeric/math.c. */
#ifndef GRADC_EMATH_H
#define GRADC_EMATH_H
#include "llvm.h"

#define MATH1(name) V emit_##name(Emit *e, V x);
MATH1(exp) MATH1(expm1) MATH1(log) MATH1(log1p) MATH1(tanh) MATH1(sigmoid) MATH1(erf) MATH1(erfc) MATH1(rsqrt) MATH1(cbrt)
MATH1(sin) MATH1(cos) MATH1(tan) MATH1(asin) MATH1(acos) MATH1(atan) MATH1(sinh) MATH1(cosh)
MATH1(sign) MATH1(floor) MATH1(ceil) MATH1(round) MATH1(trunc)
#undef MATH1
V emit_pow(Emit *e, V x, V y);   /* 0^0 = 1; a negative base with a fractional exponent: NaN */
V emit_atan2(Emit *e, V y, V x);
V emit_max(Emit *e, V a, V b);   /* passes NaN on, from either side */
V emit_min(Emit *e, V a, V b);

/* Philox-4x32-10 in lanes: four words for each counter lane. counter: i32 lanes [4]; key: i32 scalars or lanes [2]. */
void emit_philox(Emit *e, const V counter[4], const V key[2], V words[4]);
/* From i32 lanes: uniform in [0, 1): the top 24 bits (f32) of a, or the top 53 of (a, b) (f64). */
V emit_uniform(Emit *e, LLVMTypeRef type, V a, V b);
/* Standard normal by Box and Muller: sqrt(-2 log u) cos(2 pi v), u in (0, 1] from (a, b), v from (c, d). */
V emit_normal(Emit *e, LLVMTypeRef type, V a, V b, V c, V d);

#endif
