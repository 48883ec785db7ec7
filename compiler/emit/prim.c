/* prim.c: elementwise primitives as instructions: the emitter column of prims.def for floats, and plain integer code
 * for whole numbers and booleans. */
#include <assert.h>

#include "emath.h"
#include "nest.h"

#define BINARY(name, build)                                                                                            \
  static V emit_##name(Emit *e, V a, V b) { return build(e->b, a, b, ""); }
BINARY(add, LLVMBuildFAdd)
BINARY(sub, LLVMBuildFSub)
BINARY(mul, LLVMBuildFMul)
BINARY(div, LLVMBuildFDiv)
BINARY(and, LLVMBuildAnd)
BINARY(or, LLVMBuildOr)
#undef BINARY
static V emit_lt(Emit *e, V a, V b) { return e_cmp(e, LLVMRealOLT, a, b); }
static V emit_le(Emit *e, V a, V b) { return e_cmp(e, LLVMRealOLE, a, b); }
static V emit_eq(Emit *e, V a, V b) { return e_cmp(e, LLVMRealOEQ, a, b); }
static V emit_ne(Emit *e, V a, V b) { return e_cmp(e, LLVMRealUNE, a, b); }
static V emit_neg(Emit *e, V x) { return LLVMBuildFNeg(e->b, x, ""); }
static V emit_abs(Emit *e, V x) { return e_abs(e, x); }
static V emit_sqrt(Emit *e, V x) { return e_sqrt(e, x); }
static V emit_not(Emit *e, V x) { return LLVMBuildNot(e->b, x, ""); }
static V emit_is_nan(Emit *e, V x) { return e_cmp(e, LLVMRealUNO, x, x); }
static V emit_is_finite(Emit *e, V x) {
  V zero = e_float(e, LLVMTypeOf(x), 0);
  return e_cmp(e, LLVMRealOEQ, LLVMBuildFSub(e->b, x, x, ""), zero);
}

typedef struct {
  V (*one)(Emit *, V);
  V (*two)(Emit *, V, V);
} Emitter;

#define PRIM(NAME, ...)
#define E1(NAME, word, kind, value, gradient, emitter, low, high) [P_##NAME] = {.one = emitter},
#define C1(NAME, word, kind, value, emitter, low, high) [P_##NAME] = {.one = emitter},
#define E2(NAME, word, kind, value, by_a, by_b, emitter, low, high) [P_##NAME] = {.two = emitter},
#define C2(NAME, word, kind, value, emitter, low, high) [P_##NAME] = {.two = emitter},
static const Emitter emitters[P_COUNT] = {
#include "prims.def"
};
#undef PRIM
#undef E1
#undef C1
#undef E2
#undef C2

static LLVMTypeRef shaped(Emit *e, Type type, V like) {
  return e_vector(e, expr_type(e, type), e_lanes(LLVMTypeOf(like)));
}

static V select_by(Emit *e, LLVMIntPredicate p, V a, V b, V yes, V no) {
  return e_select(e, LLVMBuildICmp(e->b, p, a, b, ""), yes, no);
}

/* Floats to whole numbers by dropping the fraction; what does not fit becomes the nearest, NaN becomes 0. */
static V to_whole(Emit *e, V x) {
  LLVMTypeRef over[] = {shaped(e, TYPE_I32, x), LLVMTypeOf(x)};
  return e_intrinsic(e, "llvm.fptosi.sat", over, 2, &x, 1);
}

static V cast(Emit *e, Type in, Type out, V x) {
  LLVMTypeRef type = shaped(e, out, x);
  if (in == out || (in == TYPE_BF16 && out == TYPE_F32)) return x; /* what is rounded is held as the float that it is */
  if (in == TYPE_BF16) return cast(e, TYPE_F32, out, x);
  if (out == TYPE_BF16) return bf16_round(e, cast(e, in, TYPE_F32, x));
  if (out == TYPE_BOOL) {
    V zero = LLVMConstNull(LLVMTypeOf(x));
    return in == TYPE_I32 ? LLVMBuildICmp(e->b, LLVMIntNE, x, zero, "") : e_cmp(e, LLVMRealUNE, x, zero);
  }
  if (in == TYPE_BOOL) return out == TYPE_I32 ? LLVMBuildZExt(e->b, x, type, "") : LLVMBuildUIToFP(e->b, x, type, "");
  if (in == TYPE_I32) return LLVMBuildSIToFP(e->b, x, type, "");
  if (out == TYPE_I32) return to_whole(e, x);
  return out == TYPE_F64 ? LLVMBuildFPExt(e->b, x, type, "") : LLVMBuildFPTrunc(e->b, x, type, "");
}

/* NULL where integers have no instruction for it. */
static V whole(Emit *e, Prim prim, V a, V b) {
  V zero = LLVMConstNull(LLVMTypeOf(a)), one = e_int(e, LLVMTypeOf(a), 1);
  switch (prim) {
  case P_NEG: return LLVMBuildNeg(e->b, a, "");
  case P_ABS: return select_by(e, LLVMIntSLT, a, zero, LLVMBuildNeg(e->b, a, ""), a);
  case P_SIGN: return select_by(e, LLVMIntSGT, a, zero, one, LLVMBuildAShr(e->b, a, e_int(e, LLVMTypeOf(a), 31), ""));
  case P_FLOOR:
  case P_CEIL:
  case P_ROUND:
  case P_TRUNC: return a;
  case P_ADD: return LLVMBuildAdd(e->b, a, b, "");
  case P_SUB: return LLVMBuildSub(e->b, a, b, "");
  case P_MUL: return LLVMBuildMul(e->b, a, b, "");
  case P_MAX: return select_by(e, LLVMIntSGT, a, b, a, b);
  case P_MIN: return select_by(e, LLVMIntSLT, a, b, a, b);
  case P_LT: return LLVMBuildICmp(e->b, LLVMIntSLT, a, b, "");
  case P_LE: return LLVMBuildICmp(e->b, LLVMIntSLE, a, b, "");
  case P_EQ: return LLVMBuildICmp(e->b, LLVMIntEQ, a, b, "");
  case P_NE: return LLVMBuildICmp(e->b, LLVMIntNE, a, b, "");
  case P_ISNAN: return e_int(e, shaped(e, TYPE_BOOL, a), 0);
  case P_ISFINITE: return e_int(e, shaped(e, TYPE_BOOL, a), 1);
  default: return NULL;
  }
}

V prim_emit(Emit *e, Prim prim, Type in, Type out, V a, V b, V c) {
  if (prim == P_SELECT) return e_select(e, a, b, c);
  if (prim == P_CAST) return cast(e, in, out, a);
  const Emitter *emitter = &emitters[prim];
  assert(emitter->one || emitter->two);
  const bool logical = prim == P_AND || prim == P_OR || prim == P_NOT;
  if (in == TYPE_BOOL && !logical) a = cast(e, in, TYPE_I32, a), b = b ? cast(e, in, TYPE_I32, b) : NULL;
  if ((in == TYPE_I32 || in == TYPE_BOOL) && !logical) {
    V x = whole(e, prim, a, b);
    const Type made = out == TYPE_BOOL && prim_is(prim, K_PREDICATE) ? TYPE_BOOL : TYPE_I32;
    if (x) return cast(e, made, out, x);
    a = cast(e, TYPE_I32, TYPE_F64, a),
    b = b ? cast(e, TYPE_I32, TYPE_F64, b) : NULL; /* exact: as in the interpreter */
    return cast(e, TYPE_F64, out, emitter->two ? emitter->two(e, a, b) : emitter->one(e, a));
  }
  return emitter->two ? emitter->two(e, a, b) : emitter->one(e, a);
}
