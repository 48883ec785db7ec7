/* math_parts.c: the pieces that the elementary functions share. */
#include "math_parts.h"

V part_copy_sign(Emit *e, V magnitude, V sign) {
  LLVMTypeRef t = LLVMTypeOf(magnitude);
  return e_intrinsic(e, "llvm.copysign", &t, 1, (V[]){magnitude, sign}, 2);
}

V part_horner(Emit *e, V x, const double *c, unsigned n) {
  LLVMTypeRef t = LLVMTypeOf(x);
  V p = e_float(e, t, c[n - 1]);
  for (unsigned i = n - 1; i-- > 0;) p = e_fma(e, p, x, e_float(e, t, c[i]));
  return p;
}

/* An ordered comparison with x in the last place keeps NaN and is one instruction. */
V part_min(Emit *e, V x, double limit) {
  V l = e_float(e, LLVMTypeOf(x), limit);
  return e_select(e, e_cmp(e, LLVMRealOGT, x, l), l, x);
}

V part_max(Emit *e, V x, double limit) {
  V l = e_float(e, LLVMTypeOf(x), limit);
  return e_select(e, e_cmp(e, LLVMRealOLT, x, l), l, x);
}
