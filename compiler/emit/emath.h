/* emath.h: elementary functions as IR on vectors of any lane count, f32 and f64: our own, never the C library's, so
 * that the bits are the same on every target with fma. (Without fma, x86-64-v2, they differ and are less exact.)
 * Accuracy, special values and bits are tested in tests/numeric/math.c; the sign of a NaN is not promised. exp, expm1,
 * log, log1p, tanh, sigmoid, erf and rsqrt have f32 forms of their own; the others go through f64 there, at about four
 * times the cost. */
#ifndef GRADC_EMATH_H
#define GRADC_EMATH_H
#include "llvm.h"

#define MATH1(name) V emit_##name(Emit *e, V x);
MATH1(exp) MATH1(expm1) MATH1(log) MATH1(log1p) MATH1(tanh) MATH1(sigmoid) MATH1(softplus) MATH1(erf) MATH1(erfc)
MATH1(lgamma) MATH1(digamma)
MATH1(rsqrt) MATH1(cbrt) MATH1(sin) MATH1(cos) MATH1(tan) MATH1(asin) MATH1(acos) MATH1(atan) MATH1(sinh) MATH1(cosh)
MATH1(sign) MATH1(floor) MATH1(ceil) MATH1(round) MATH1(trunc)
#undef MATH1
/* sin, cos, tan: accurate up to 1e9 in size (f32: 1e15); beyond that finite, sin and cos within [-1, 1], without
 * meaning. */
V emit_pow(Emit *e, V x, V y);   /* 0^0 = 1; a negative base with a fractional exponent: NaN */
V emit_atan2(Emit *e, V y, V x);
V emit_max(Emit *e, V a, V b);   /* passes NaN on, from either side */
V emit_min(Emit *e, V a, V b);

/* f(x) by a call of an internal function, made once a module for each `name` and type: code that is cold, or that uses
 * a function many times, pays for its compilation once. `name`: f's own, such as "erf". */
V emit_shared(Emit *e, const char *name, V (*f)(Emit *, V), V x);

/* Philox-4x32-10 in lanes: four words for each counter lane. counter: i32 lanes [4]; key: i32 scalars or lanes [2]. */
void emit_philox(Emit *e, const V counter[4], const V key[2], V words[4]);
/* From i32 lanes: uniform in [0, 1): the top 24 bits of a (f32; b is not read), or the top 53 of (a, b) (f64). */
V emit_uniform(Emit *e, LLVMTypeRef type, V a, V b);
/* Standard normal by Box and Muller: sqrt(-2 log u) cos(2 pi v), u in (0, 1] from (a, b), v from (c, d). */
V emit_normal(Emit *e, LLVMTypeRef type, V a, V b, V c, V d);

/* Random numbers of `type` for element numbers (i64 lanes) of a site (i32): a call of a function that the module has once. draw:
 * i32; seed: i64. */
V emit_random(Emit *e, bool normal, LLVMTypeRef type, V element, V draw, V site, V seed);
/* 64 uniform f32 at once, as four vectors of 16: of the elements from number `element` (i64, a multiple of 64) on. */
void emit_uniform4(Emit *e, V element, V draw, V site, V seed, V out[4]);

#endif
