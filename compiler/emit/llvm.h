/* llvm.h: LLVM behind one door. A context with the types, and short builders for the few shapes of code that we emit.
 * Everything vectorised is vectorised here: LLVM's vectorisers are off. No fast-math flag is ever set; `fma` is
 * explicit. */
#ifndef GRADC_LLVM_H
#define GRADC_LLVM_H
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <stdbool.h>
#include <stdint.h>

typedef LLVMValueRef V;

/* The lane rule: code is written for a *logical* vector of 16 f32 or 8 f64 lanes (`lanes` below), whatever the target;
 * LLVM splits it into the target's registers, so that the order of every sum is the same on all of them. */
typedef struct {
  const char *triple, *cpu, *features;
  unsigned vector_bytes;    /* of the widest register: 64 (AVX-512), 32 (AVX2), 16 (SSE, NEON) */
  unsigned vector_registers; /* 32 or 16 */
  bool has_fma;
  bool has_dot;              /* sums of products of pairs of BF16, 16 at once */
} Target;

typedef struct {
  LLVMContextRef cx;
  LLVMModuleRef module;
  LLVMBuilderRef b;
  LLVMTargetMachineRef machine;
  Target target;
  LLVMTypeRef f32, f64, i1, i8, i16, i32, i64, ptr, void_;
  unsigned pointer_bytes;
  bool small; /* what runs once, or is short beside what it calls: functions are made for few bytes */
  V function; /* the one being built */
} Emit;

/* Constants and splats take the type of `like`: a scalar or a vector, float or integer. */
V e_float(Emit *e, LLVMTypeRef like, double value);
V e_int(Emit *e, LLVMTypeRef like, int64_t value);
V e_i64(Emit *e, int64_t value);
/* `count` lanes of `scalar`; the scalar type itself for count 1. */
LLVMTypeRef e_vector(Emit *e, LLVMTypeRef scalar, unsigned count);
unsigned e_lanes(LLVMTypeRef type);              /* 1 for a scalar */
LLVMTypeRef e_scalar(LLVMTypeRef type);          /* the element type */
LLVMTypeRef e_int_like(Emit *e, LLVMTypeRef type); /* i32 or i64 lanes for f32 or f64 lanes */
V e_splat(Emit *e, V scalar, unsigned count);
V e_intrinsic(Emit *e, const char *name, LLVMTypeRef *overloads, unsigned n, V *args, unsigned nargs);
V e_fma(Emit *e, V a, V b, V c);                 /* a * b + c, one rounding; on targets without fma: two */
V e_select(Emit *e, V mask, V yes, V no);
V e_cmp(Emit *e, LLVMRealPredicate p, V a, V b);
V e_sqrt(Emit *e, V x);
V e_abs(Emit *e, V x);
V e_bits(Emit *e, V x);                          /* float lanes as integer lanes of the same width */
V e_floats(Emit *e, V bits, LLVMTypeRef type);
V e_load(Emit *e, LLVMTypeRef type, V address, unsigned align);
V e_store(Emit *e, V value, V address, unsigned align);
V e_masked_load(Emit *e, LLVMTypeRef type, V address, V mask, V other);
V e_masked_store(Emit *e, V value, V address, V mask);
void e_prefetch(Emit *e, V address, bool to_write); /* asks for a line of memory; any address may be given */
V e_gep(Emit *e, LLVMTypeRef element, V address, V index);
/* Lanes 0 .. n-1 on, as a constant; and with a run-time n (i64, may exceed the lane count). */
V e_mask(Emit *e, unsigned lanes, unsigned n);
V e_mask_below(Emit *e, unsigned lanes, V n);
/* Sum, max, min of the lanes by the fixed tree 8+8, 4+4, 2+2, 1+1. `op`: 0 add, 1 max, 2 min; those two pass NaN on. */
V e_tree(Emit *e, V x, int op);

/* for (i = from; i < to; i += step) with carried values; zero trips allowed (then phi = init). */
typedef struct {
  LLVMBasicBlockRef head, body, exit, latch_from;
  V i, to, step;
  V phi[64]; /* inside the loop: the values of this round; after e_loop_end: the final ones */
  unsigned count;
} Loop;
/* The body is entered at least once where `nonempty`. */
void e_loop_begin(Emit *e, Loop *l, V from, V to, V step, const V *init, unsigned count, bool nonempty);
void e_loop_end(Emit *e, Loop *l, const V *next);

/* A new function, made current. Internal ones are `noinline`. Pointer parameters are noalias where `noalias`. */
V e_function(Emit *e, const char *name, LLVMTypeRef ret, LLVMTypeRef *params, unsigned n, bool internal, bool noalias);

#endif
