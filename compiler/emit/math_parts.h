/* math_parts.h: the pieces that the elementary functions share. They take and give lanes or a scalar of one type. */
#ifndef GRADC_MATH_PARTS_H
#define GRADC_MATH_PARTS_H
#include <stddef.h>

#include "llvm.h"

/* What differs between the two formats. */
typedef struct {
  int mantissa, bias;     /* 23, 127; 52, 1023 */
  double round;           /* 1.5 * 2^mantissa: adding it rounds to an integer, which then stands in the low bits */
  double ln2_hi, ln2_lo;  /* ln2_hi is short: its product with any exponent is exact */
  double exp_max, exp_min; /* beyond, exp is infinite, zero */
  double min_normal;
} Format;
const Format *part_format(Emit *e, V x);
int64_t part_round_bits(const Format *f); /* of `round`, as an integer */

static inline V f_add(Emit *e, V a, V b) { return LLVMBuildFAdd(e->b, a, b, ""); }
static inline V f_sub(Emit *e, V a, V b) { return LLVMBuildFSub(e->b, a, b, ""); }
static inline V f_mul(Emit *e, V a, V b) { return LLVMBuildFMul(e->b, a, b, ""); }
static inline V f_div(Emit *e, V a, V b) { return LLVMBuildFDiv(e->b, a, b, ""); }
static inline V f_neg(Emit *e, V a) { return LLVMBuildFNeg(e->b, a, ""); }
/* A constant of the type of x, and operations with one. */
static inline V f_const(Emit *e, V x, double c) { return e_float(e, LLVMTypeOf(x), c); }
static inline V f_addc(Emit *e, V a, double c) { return f_add(e, a, f_const(e, a, c)); }
static inline V f_mulc(Emit *e, V a, double c) { return f_mul(e, a, f_const(e, a, c)); }
static inline V f_fmac(Emit *e, V a, double b, V c) { return e_fma(e, a, f_const(e, a, b), c); }
static inline V i_const(Emit *e, V x, int64_t c) { return e_int(e, LLVMTypeOf(x), c); }
static inline V i_addc(Emit *e, V a, int64_t c) { return LLVMBuildAdd(e->b, a, i_const(e, a, c), ""); }
static inline V i_sub(Emit *e, V a, V b) { return LLVMBuildSub(e->b, a, b, ""); }
static inline V i_andc(Emit *e, V a, int64_t c) { return LLVMBuildAnd(e->b, a, i_const(e, a, c), ""); }
static inline V i_shl(Emit *e, V a, int n) { return LLVMBuildShl(e->b, a, i_const(e, a, n), ""); }
static inline V i_shr(Emit *e, V a, int n) { return LLVMBuildLShr(e->b, a, i_const(e, a, n), ""); }

static inline V lt(Emit *e, V a, double c) { return e_cmp(e, LLVMRealOLT, a, f_const(e, a, c)); }
static inline V gt(Emit *e, V a, double c) { return e_cmp(e, LLVMRealOGT, a, f_const(e, a, c)); }
static inline V eq(Emit *e, V a, double c) { return e_cmp(e, LLVMRealOEQ, a, f_const(e, a, c)); }
static inline V is_nan(Emit *e, V a) { return e_cmp(e, LLVMRealUNO, a, a); }

V part_copy_sign(Emit *e, V magnitude, V sign); /* |magnitude| with the sign bit of `sign` */
V part_negate_where(Emit *e, V x, V mask);      /* mask: i1 lanes */
V part_min(Emit *e, V x, double limit);         /* NaN passes */
V part_max(Emit *e, V x, double limit);

/* c[0] + c[1] x + ... by fma. `POLY(e, x, exp)` takes the table of x's format, c_exp32 or c_exp64. */
V part_horner(Emit *e, V x, const double *c, unsigned n);
#define PART_COUNT(table) (unsigned)(sizeof(table) / sizeof *(table))
#define POLY64(e, x, name) part_horner(e, x, c_##name##64, PART_COUNT(c_##name##64))
#define POLY(e, x, name) \
  (part_format(e, x)->mantissa == 23 ? part_horner(e, x, c_##name##32, PART_COUNT(c_##name##32)) : POLY64(e, x, name))

/* An unevaluated sum, |lo| at most half an ulp of hi. */
typedef struct {
  V hi, lo;
} Pair;
Pair pair_sum(Emit *e, V a, V b);      /* exact, where |a| >= |b| or a is 0 */
Pair pair_product(Emit *e, V a, V b);  /* exact */
Pair pair_times(Emit *e, Pair a, Pair b);
Pair pair_plus(Emit *e, Pair a, Pair b); /* |a| >= |b| */

/* x = n ln 2 + r, |r| <= ln2 / 2, and exp(r) = 1 + head + more: `head` is exact, `more` small. n: integer lanes; steps: the same
 * number as it is. x must lie within [exp_min, exp_max]. */
typedef struct {
  V n, steps, head, more;
} ExpParts;
ExpParts part_exp_parts(Emit *e, V x);
V part_power_of_2(Emit *e, V n, V like); /* 2^n; n in the normal range */
/* x 2^(n - less), rounded once: reaches denormal numbers and infinity. In two steps, or by the one instruction of AVX-512, to the
 * same bits. */
V part_scale(Emit *e, V x, const ExpParts *p, int less);
bool part_scales(Emit *e, V x);          /* has the target that instruction, for vectors like x? */
V part_scaled(Emit *e, V x, V steps);    /* where it has: x 2^steps, a whole number */
V part_exp(Emit *e, V x, int halvings);  /* exp(x) / 2^halvings (0 or 1) for every x */
/* factor * exp(x - less) for every x, rounded once more where it is denormal; `less` tiny. */
V part_exp_times(Emit *e, V x, V less, Pair factor);

/* The f64 form of a function applied to f32 lanes: half an ulp and a hair. */
V part_through_double(Emit *e, V x, V (*f)(Emit *, V));
V part_double(Emit *e, V x);
LLVMTypeRef part_double_type(Emit *e, V x);
bool part_is_single(Emit *e, V x);

#endif
