/* math_basic.c: what needs no polynomial: signs, rounding to integers, the larger and the smaller, reciprocal root. */
#include <stdio.h>

#include "emath.h"
#include "math_parts.h"

static V unary(Emit *e, const char *name, V x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return e_intrinsic(e, name, &type, 1, &x, 1);
}

V emit_floor(Emit *e, V x) { return unary(e, "llvm.floor", x); }
V emit_ceil(Emit *e, V x) { return unary(e, "llvm.ceil", x); }
V emit_trunc(Emit *e, V x) { return unary(e, "llvm.trunc", x); }
V emit_round(Emit *e, V x) { return unary(e, "llvm.roundeven", x); }

/* -1, 0 or 1; zeros and NaN as they are. */
V emit_sign(Emit *e, V x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  V one = part_copy_sign(e, e_float(e, t, 1), x);
  return e_select(e, e_cmp(e, LLVMRealONE, x, e_float(e, t, 0)), one, x);
}

/* Where a is NaN the comparison is false and the second select takes it; where b is, the first does. */
V emit_max(Emit *e, V a, V b) {
  V m = e_select(e, e_cmp(e, LLVMRealOGT, a, b), a, b);
  return e_select(e, e_cmp(e, LLVMRealUNO, a, a), a, m);
}

V emit_min(Emit *e, V a, V b) {
  V m = e_select(e, e_cmp(e, LLVMRealOLT, a, b), a, b);
  return e_select(e, e_cmp(e, LLVMRealUNO, a, a), a, m);
}

V emit_rsqrt(Emit *e, V x) {
  return LLVMBuildFDiv(e->b, e_float(e, LLVMTypeOf(x), 1), e_sqrt(e, x), "");
}

V emit_shared(Emit *e, const char *name, V (*f)(Emit *, V), V x) {
  char full[64];
  LLVMTypeRef type = LLVMTypeOf(x);
  snprintf(full, sizeof full, "%s.%u.f%d", name, e_lanes(type), part_is_single(e, x) ? 32 : 64);
  V callee = LLVMGetNamedFunction(e->module, full);
  if (!callee) {
    V function = e->function;
    LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b);
    callee = e_function(e, full, type, &type, 1, true, false);
    LLVMBuildRet(e->b, f(e, LLVMGetParam(callee, 0)));
    e->function = function;
    LLVMPositionBuilderAtEnd(e->b, at);
  }
  return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(callee), callee, &x, 1, "");
}
