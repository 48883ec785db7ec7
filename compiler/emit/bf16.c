/* bf16.c: floats of 8 bits, on any processor. */
#include <float.h>

#include "nest.h"

V bf16_round(Emit *e, V x) {
  V bits = e_bits(e, x);
  LLVMTypeRef like = LLVMTypeOf(bits);
  V odd = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, bits, e_int(e, like, 16), ""), e_int(e, like, 1), "");
  V up = LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, bits, odd, ""), e_int(e, like, 0x7fff), "");
  V sign = LLVMBuildAnd(e->b, bits, e_int(e, like, INT32_MIN), "");
  up = e_select(e, e_cmp(e, LLVMRealOLT, e_abs(e, x), e_float(e, LLVMTypeOf(x), FLT_MIN)), sign, up);
  up = e_select(e, e_cmp(e, LLVMRealUNO, x, x), LLVMBuildOr(e->b, bits, e_int(e, like, 1 << 22), ""), up);
  return e_floats(e, LLVMBuildAnd(e->b, up, e_int(e, like, ~0xffff), ""), LLVMTypeOf(x));
}

V bf16_widen(Emit *e, V x) {
  const unsigned lanes = e_lanes(LLVMTypeOf(x));
  V bits = LLVMBuildZExt(e->b, x, e_vector(e, e->i32, lanes), "");
  bits = LLVMBuildShl(e->b, bits, e_int(e, LLVMTypeOf(bits), 16), "");
  return e_floats(e, bits, e_vector(e, e->f32, lanes));
}

V bf16_halves(Emit *e, V x) {
  V bits = e_bits(e, x);
  V high = LLVMBuildLShr(e->b, bits, e_int(e, LLVMTypeOf(bits), 16), "");
  return LLVMBuildTrunc(e->b, high, e_vector(e, e->i16, e_lanes(LLVMTypeOf(x))), "");
}
