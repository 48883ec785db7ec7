/* llvm.c: short builders over the LLVM C API. */
#include "llvm.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "emath.h"

#define LANES_MAX 64

LLVMTypeRef e_vector(Emit *e, LLVMTypeRef scalar, unsigned count) {
  (void)e;
  return count == 1 ? scalar : LLVMVectorType(scalar, count);
}

static bool is_vector(LLVMTypeRef type) {
  return LLVMGetTypeKind(type) == LLVMVectorTypeKind;
}

unsigned e_lanes(LLVMTypeRef type) {
  return is_vector(type) ? LLVMGetVectorSize(type) : 1;
}

LLVMTypeRef e_scalar(LLVMTypeRef type) {
  return is_vector(type) ? LLVMGetElementType(type) : type;
}

static bool is_float(LLVMTypeRef type) {
  return LLVMGetTypeKind(e_scalar(type)) != LLVMIntegerTypeKind;
}

static V repeat(V constant, LLVMTypeRef like) {
  V lanes[LANES_MAX];
  unsigned n = e_lanes(like);
  if (!is_vector(like)) return constant;
  assert(n <= LANES_MAX);
  for (unsigned i = 0; i < n; i++) lanes[i] = constant;
  return LLVMConstVector(lanes, n);
}

V e_float(Emit *e, LLVMTypeRef like, double value) {
  if (!is_float(like)) return e_int(e, like, (int64_t)value);
  return repeat(LLVMConstReal(e_scalar(like), value), like);
}

V e_int(Emit *e, LLVMTypeRef like, int64_t value) {
  if (is_float(like)) return e_float(e, like, (double)value);
  return repeat(LLVMConstInt(e_scalar(like), (unsigned long long)value, true), like);
}

V e_i64(Emit *e, int64_t value) {
  return LLVMConstInt(e->i64, (unsigned long long)value, true);
}

LLVMTypeRef e_int_like(Emit *e, LLVMTypeRef type) {
  LLVMTypeRef scalar = e_scalar(type);
  if (is_float(type)) scalar = scalar == e->f64 ? e->i64 : e->i32;
  return is_vector(type) ? LLVMVectorType(scalar, e_lanes(type)) : scalar;
}

V e_splat(Emit *e, V scalar, unsigned count) {
  if (count == 1) return scalar;
  LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), count);
  if (LLVMIsConstant(scalar)) return repeat(scalar, type);
  V first = LLVMBuildInsertElement(e->b, LLVMGetPoison(type), scalar, LLVMConstInt(e->i32, 0, false), "");
  return LLVMBuildShuffleVector(e->b, first, LLVMGetPoison(type), LLVMConstNull(LLVMVectorType(e->i32, count)), "");
}

V e_intrinsic(Emit *e, const char *name, LLVMTypeRef *overloads, unsigned n, V *args, unsigned nargs) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  assert(id && "no such intrinsic");
  V f = LLVMGetIntrinsicDeclaration(e->module, id, overloads, n);
  return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->cx, id, overloads, n), f, args, nargs, "");
}

static V unary(Emit *e, const char *name, V x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return e_intrinsic(e, name, &type, 1, &x, 1);
}

V e_fma(Emit *e, V a, V b, V c) {
  if (!e->target.has_fma) return LLVMBuildFAdd(e->b, LLVMBuildFMul(e->b, a, b, ""), c, "");
  LLVMTypeRef type = LLVMTypeOf(a);
  return e_intrinsic(e, "llvm.fma", &type, 1, (V[]){a, b, c}, 3);
}

V e_select(Emit *e, V mask, V yes, V no) {
  return LLVMBuildSelect(e->b, mask, yes, no, "");
}

V e_cmp(Emit *e, LLVMRealPredicate p, V a, V b) {
  return LLVMBuildFCmp(e->b, p, a, b, "");
}

V e_sqrt(Emit *e, V x) {
  return unary(e, "llvm.sqrt", x);
}

V e_abs(Emit *e, V x) {
  return unary(e, "llvm.fabs", x);
}

V e_bits(Emit *e, V x) {
  return LLVMBuildBitCast(e->b, x, e_int_like(e, LLVMTypeOf(x)), "");
}

V e_floats(Emit *e, V bits, LLVMTypeRef type) {
  return LLVMBuildBitCast(e->b, bits, type, "");
}

V e_load(Emit *e, LLVMTypeRef type, V address, unsigned align) {
  V v = LLVMBuildLoad2(e->b, type, address, "");
  LLVMSetAlignment(v, align);
  return v;
}

V e_store(Emit *e, V value, V address, unsigned align) {
  V v = LLVMBuildStore(e->b, value, address);
  LLVMSetAlignment(v, align);
  return v;
}

static unsigned element_size(Emit *e, LLVMTypeRef type) {
  LLVMTypeRef s = e_scalar(type);
  if (LLVMGetTypeKind(s) == LLVMPointerTypeKind) return e->pointer_bytes;
  if (LLVMGetTypeKind(s) != LLVMIntegerTypeKind) return s == e->f64 ? 8 : s == e->f32 ? 4 : 2;
  return (LLVMGetIntTypeWidth(s) + 7) / 8;
}

/* A scalar is one lane; the intrinsics want it as a vector of one. */
static V one_lane(Emit *e, V x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return is_vector(type) ? x : LLVMBuildBitCast(e->b, x, LLVMVectorType(type, 1), "");
}

V e_masked_load(Emit *e, LLVMTypeRef type, V address, V mask, V other) {
  V fill = one_lane(e, other);
  LLVMTypeRef over[] = {LLVMTypeOf(fill), e->ptr};
  V args[] = {address, LLVMConstInt(e->i32, element_size(e, type), false), one_lane(e, mask), fill};
  V v = e_intrinsic(e, "llvm.masked.load", over, 2, args, 4);
  return is_vector(type) ? v : LLVMBuildBitCast(e->b, v, type, "");
}

V e_masked_store(Emit *e, V value, V address, V mask) {
  V v = one_lane(e, value);
  LLVMTypeRef over[] = {LLVMTypeOf(v), e->ptr};
  V args[] = {v, address, LLVMConstInt(e->i32, element_size(e, LLVMTypeOf(v)), false), one_lane(e, mask)};
  return e_intrinsic(e, "llvm.masked.store", over, 2, args, 4);
}

void e_prefetch(Emit *e, V address, bool to_write) {
  e_intrinsic(e, "llvm.prefetch", &e->ptr, 1, (V[]){address, e_int(e, e->i32, to_write), e_int(e, e->i32, 3), e_int(e, e->i32, 1)}, 4);
}

V e_gep(Emit *e, LLVMTypeRef element, V address, V index) {
  return LLVMBuildGEP2(e->b, element, address, &index, 1, "");
}

V e_mask(Emit *e, unsigned lanes, unsigned n) {
  V bits[LANES_MAX];
  assert(lanes <= LANES_MAX);
  for (unsigned i = 0; i < lanes; i++) bits[i] = LLVMConstInt(e->i1, i < n, false);
  return lanes == 1 ? bits[0] : LLVMConstVector(bits, lanes);
}

V e_mask_below(Emit *e, unsigned lanes, V n) {
  V steps[LANES_MAX], top = e_i64(e, lanes);
  assert(lanes <= LANES_MAX);
  if (lanes == 1) return LLVMBuildICmp(e->b, LLVMIntSGT, n, e_i64(e, 0), "");
  for (unsigned i = 0; i < lanes; i++) steps[i] = LLVMConstInt(e->i32, i, false);
  V few = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, n, top, ""), n, top, "");
  V narrow = LLVMBuildTrunc(e->b, few, e->i32, "");
  return LLVMBuildICmp(e->b, LLVMIntSGT, e_splat(e, narrow, lanes), LLVMConstVector(steps, lanes), "");
}

/* Lanes `from` .. `from + count - 1` of x, in front; the others undefined. */
static V upper(Emit *e, V x, unsigned from, unsigned count) {
  V order[LANES_MAX];
  for (unsigned i = 0; i < count; i++) order[i] = LLVMConstInt(e->i32, from + i, false);
  return LLVMBuildShuffleVector(e->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(order, count), "");
}

static V combine(Emit *e, V a, V b, int op) {
  bool real = is_float(LLVMTypeOf(a));
  if (op == 0) return real ? LLVMBuildFAdd(e->b, a, b, "") : LLVMBuildAdd(e->b, a, b, "");
  if (real) return op == 1 ? emit_max(e, a, b) : emit_min(e, a, b);
  return e_select(e, LLVMBuildICmp(e->b, op == 1 ? LLVMIntSGT : LLVMIntSLT, a, b, ""), a, b);
}

/* Each halving leaves a narrower vector, so that the last ones are cheap wherever a register holds fewer lanes. */
V e_tree(Emit *e, V x, int op) {
  unsigned n = e_lanes(LLVMTypeOf(x));
  assert((n & (n - 1)) == 0 && n <= LANES_MAX);
  for (unsigned half = n / 2; half; half /= 2) x = combine(e, upper(e, x, 0, half), upper(e, x, half, half), op);
  return n == 1 ? x : LLVMBuildExtractElement(e->b, x, LLVMConstInt(e->i32, 0, false), "");
}

/* A test before the loop and one at its end: the body is one block of code without a jump into its middle. */
void e_loop_begin(Emit *e, Loop *l, V from, V to, V step, const V *init, unsigned count, bool nonempty) {
  assert(count <= sizeof l->phi / sizeof *l->phi);
  l->latch_from = LLVMGetInsertBlock(e->b), l->head = nonempty ? NULL : l->latch_from;
  l->body = LLVMAppendBasicBlockInContext(e->cx, e->function, "loop");
  l->exit = LLVMAppendBasicBlockInContext(e->cx, e->function, "done");
  l->to = to, l->step = step, l->count = count;
  if (nonempty)
    LLVMBuildBr(e->b, l->body);
  else
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, from, to, ""), l->body, l->exit);
  LLVMPositionBuilderAtEnd(e->b, l->body);
  l->i = LLVMBuildPhi(e->b, LLVMTypeOf(from), "");
  LLVMAddIncoming(l->i, &from, &l->latch_from, 1);
  for (unsigned j = 0; j < count; j++) {
    V start = init[j];
    l->phi[j] = LLVMBuildPhi(e->b, LLVMTypeOf(start), "");
    LLVMAddIncoming(l->phi[j], &start, &l->latch_from, 1);
  }
}

void e_loop_end(Emit *e, Loop *l, const V *next) {
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
  V i = LLVMBuildNSWAdd(e->b, l->i, l->step, "");
  LLVMAddIncoming(l->i, &i, &latch, 1);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, i, l->to, ""), l->body, l->exit);
  LLVMMoveBasicBlockAfter(l->exit, latch);
  LLVMPositionBuilderAtEnd(e->b, l->exit);
  for (unsigned j = 0; j < l->count; j++) {
    V phi = l->phi[j], value = next[j];
    LLVMAddIncoming(phi, &value, &latch, 1);
    l->phi[j] = value;
    if (!l->head) continue;
    V start = LLVMGetIncomingValue(phi, 0);
    l->phi[j] = LLVMBuildPhi(e->b, LLVMTypeOf(value), "");
    LLVMAddIncoming(l->phi[j], (V[]){start, value}, (LLVMBasicBlockRef[]){l->head, latch}, 2);
  }
}

static void add_enum(Emit *e, V f, unsigned at, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(f, at, LLVMCreateEnumAttribute(e->cx, kind, 0));
}

static void add_text(Emit *e, V f, const char *key, const char *value) {
  LLVMAttributeRef a = LLVMCreateStringAttribute(e->cx, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex, a);
}

V e_function(Emit *e, const char *name, LLVMTypeRef ret, LLVMTypeRef *params, unsigned n, bool internal, bool noalias) {
  char width[12];
  unsigned whole = (unsigned)LLVMAttributeFunctionIndex;
  V f = LLVMAddFunction(e->module, name, LLVMFunctionType(ret, params, n, false));
  snprintf(width, sizeof width, "%u", e->target.vector_bytes * 8);
  add_text(e, f, "target-cpu", e->target.cpu), add_text(e, f, "target-features", e->target.features);
  add_text(e, f, "prefer-vector-width", width);
  add_enum(e, f, whole, "nounwind");
  if (e->small) add_enum(e, f, whole, "optsize");
  if (internal) LLVMSetLinkage(f, LLVMInternalLinkage), add_enum(e, f, whole, "noinline");
  for (unsigned i = 0; noalias && i < n; i++)
    if (params[i] == e->ptr) add_enum(e, f, i + 1, "noalias");
  e->function = f;
  LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->cx, f, ""));
  return f;
}
