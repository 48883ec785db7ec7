/* Modules, loops, reductions and the loader: small functions compiled, loaded and called; damaged objects refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emath.h"
#include "jit.h"

static Emit *open_named(Arena *arena, Target *target, const char *name) {
  char *error = NULL;
  assert_true(target_named(target, arena, name));
  Emit *e = emit_open(target, "test", &error);
  assert_non_null(e);
  return e;
}

/* float NAME(float *x, i64 n): sum, largest and smallest by 16 lanes; the tail masked. */
static void build_reduce(Emit *e, const char *name, int op) {
  LLVMTypeRef vec = e_vector(e, e->f32, 16);
  V f = e_function(e, name, e->f32, (LLVMTypeRef[]){e->ptr, e->i64}, 2, false, true);
  V x = LLVMGetParam(f, 0), n = LLVMGetParam(f, 1);
  V init = e_float(e, vec, op == 0 ? 0 : op == 1 ? -INFINITY : INFINITY);
  Loop l;
  e_loop_begin(e, &l, e_i64(e, 0), n, e_i64(e, 16), &init, 1, false);
  V mask = e_mask_below(e, 16, LLVMBuildSub(e->b, n, l.i, ""));
  V v = e_masked_load(e, vec, e_gep(e, e->f32, x, l.i), mask, init);
  V next = op == 1 ? emit_max(e, l.phi[0], v) : emit_min(e, l.phi[0], v);
  if (op == 0) next = LLVMBuildFAdd(e->b, l.phi[0], v, "");
  e_loop_end(e, &l, &next);
  LLVMBuildRet(e->b, e_tree(e, l.phi[0], op));
}

typedef float Reduce(const float *, int64_t);

static void check_reduce(Jit *jit) {
  Reduce *sum = (Reduce *)jit_symbol(jit, "sum"), *max = (Reduce *)jit_symbol(jit, "max");
  Reduce *min = (Reduce *)jit_symbol(jit, "min");
  assert_true(sum && max && min);
  assert_null(jit_symbol(jit, "absent"));
  float x[100];
  for (int n = 0; n <= 100; n++) {
    float s = 0, hi = -INFINITY, lo = INFINITY;
    for (int i = 0; i < n; i++) {
      x[i] = (float)((i * 37 + n) % 101 - 50);
      s += x[i], hi = fmaxf(hi, x[i]), lo = fminf(lo, x[i]);
    }
    assert_true(sum(x, n) == s && max(x, n) == hi && min(x, n) == lo);
    for (int i = 0; i < n; i += 7) {
      float keep = x[i];
      x[i] = NAN;
      assert_true(isnan(sum(x, n)) && isnan(max(x, n)) && isnan(min(x, n)));
      x[i] = keep;
    }
  }
}

static void *compile_and_check(void *name) {
  Arena arena = {0};
  Target target;
  char *error = NULL;
  Emit *e = open_named(&arena, &target, name);
  build_reduce(e, "sum", 0), build_reduce(e, "max", 1), build_reduce(e, "min", 2);
  Jit *jit = emit_jit(e, &error);
  emit_close(e);
  if (error) fail_msg("%s", error);
  check_reduce(jit);
  jit_free(jit);
  arena_free(&arena);
  return NULL;
}

static void test_reduce(void **state) {
  Arena arena = {0};
  Target target;
  const char *names[] = {"native", "x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    assert_true(target_named(&target, &arena, names[i]));
    if (target_runs_here(&target)) compile_and_check((void *)names[i]);
    else print_message("%s: skipped, this machine cannot run it\n", names[i]);
  }
  assert_false(target_named(&target, &arena, "pentium"));
  arena_free(&arena);
}

static void test_threads(void **state) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, compile_and_check, (void *)"native"), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

/* void copy(void *to, void *from, i64 n) and void zero(void *to, i64 n): LLVM makes calls of memcpy and memset. A table
 * of constants and a second, internal function want relocations against data and code. */
static void build_calls(Emit *e) {
  V f = e_function(e, "copy", e->void_, (LLVMTypeRef[]){e->ptr, e->ptr, e->i64}, 3, false, true);
  LLVMBuildMemCpy(e->b, LLVMGetParam(f, 0), 1, LLVMGetParam(f, 1), 1, LLVMGetParam(f, 2));
  LLVMBuildRetVoid(e->b);
  f = e_function(e, "zero", e->void_, (LLVMTypeRef[]){e->ptr, e->i64}, 2, false, true);
  LLVMBuildMemSet(e->b, LLVMGetParam(f, 0), LLVMConstInt(e->i8, 0, false), LLVMGetParam(f, 1), 1);
  LLVMBuildRetVoid(e->b);
  V values[8];
  for (int i = 0; i < 8; i++) values[i] = e_i64(e, i * i + 1);
  V table = LLVMAddGlobal(e->module, LLVMArrayType2(e->i64, 8), "table");
  LLVMSetInitializer(table, LLVMConstArray2(e->i64, values, 8));
  V far = LLVMAddGlobal(e->module, e->ptr, "pointer");
  LLVMSetInitializer(far, table), LLVMSetLinkage(far, LLVMInternalLinkage);
  V inner = e_function(e, "inner", e->i64, (LLVMTypeRef[]){e->i64}, 1, true, false);
  V at = e_load(e, e->ptr, far, 8);
  V a = e_load(e, e->i64, e_gep(e, e->i64, at, LLVMGetParam(inner, 0)), 8);
  V b = e_load(e, e->i64, e_gep(e, e->i64, table, LLVMGetParam(inner, 0)), 8);
  LLVMBuildRet(e->b, LLVMBuildAdd(e->b, a, b, ""));
  f = e_function(e, "look", e->i64, (LLVMTypeRef[]){e->i64}, 1, false, false);
  V twice = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(inner), inner, (V[]){LLVMGetParam(f, 0)}, 1, "");
  LLVMBuildRet(e->b, LLVMBuildAdd(e->b, twice, e_i64(e, 1), ""));
}

/* i64 grid(i64 n): the sum over i < n, 1 <= j <= i + 1 of i j, and the count of pairs times a million: nested loops
 * with values carried through both, the inner one never empty. */
static void build_grid(Emit *e) {
  V f = e_function(e, "grid", e->i64, (LLVMTypeRef[]){e->i64}, 1, false, false), zero = e_i64(e, 0), one = e_i64(e, 1);
  Loop outer, inner;
  e_loop_begin(e, &outer, zero, LLVMGetParam(f, 0), one, (V[]){zero, zero}, 2, false);
  e_loop_begin(e, &inner, one, LLVMBuildAdd(e->b, outer.i, e_i64(e, 2), ""), one, outer.phi, 2, true);
  V sum = LLVMBuildAdd(e->b, inner.phi[0], LLVMBuildMul(e->b, outer.i, inner.i, ""), "");
  e_loop_end(e, &inner, (V[]){sum, LLVMBuildAdd(e->b, inner.phi[1], one, "")});
  e_loop_end(e, &outer, inner.phi);
  V count = LLVMBuildMul(e->b, outer.phi[1], e_i64(e, 1000000), "");
  LLVMBuildRet(e->b, LLVMBuildAdd(e->b, outer.phi[0], count, ""));
}

static void test_loops(void **state) {
  Arena arena = {0};
  Target target;
  char *error = NULL;
  Emit *e = open_named(&arena, &target, NULL);
  build_grid(e);
  Jit *jit = emit_jit(e, &error);
  assert_non_null(jit);
  for (int64_t n = 0; n < 20; n++) {
    int64_t want = 0;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 1; j <= i + 1; j++) want += i * j + 1000000;
    assert_int_equal(((int64_t(*)(int64_t))jit_symbol(jit, "grid"))(n), want);
  }
  jit_free(jit);
  emit_close(e);
  arena_free(&arena);
}

static void *calls_object(size_t *size) {
  Arena arena = {0};
  Target target;
  char *error = NULL;
  Emit *e = open_named(&arena, &target, NULL);
  build_calls(e);
  void *object = emit_object(e, size, &error);
  assert_non_null(object);
  emit_close(e);
  arena_free(&arena);
  return object;
}

static void test_calls(void **state) {
  size_t size;
  char *error = NULL, from[100], to[100] = {0};
  void *object = calls_object(&size);
  Jit *jit = jit_load(object, size, &error);
  if (error) fail_msg("%s", error);
  assert_true(jit_size(jit) > 0);
  for (int i = 0; i < 100; i++) from[i] = (char)i;
  ((void (*)(void *, const void *, int64_t))jit_symbol(jit, "copy"))(to, from, 100);
  assert_memory_equal(to, from, 100);
  ((void (*)(void *, int64_t))jit_symbol(jit, "zero"))(to, 50);
  assert_true(to[49] == 0 && to[50] == 50);
  for (int64_t i = 0; i < 8; i++)
    assert_int_equal(((int64_t(*)(int64_t))jit_symbol(jit, "look"))(i), 2 * (i * i + 1) + 1);
  jit_free(jit);
  free(object);
}

static void test_damage(void **state) {
  size_t size;
  char *error = NULL;
  uint8_t *object = calls_object(&size), *copy = malloc(size);
  for (size_t n = 0; n < size; n += 1 + n / 8) { /* cut short */
    uint8_t *cut = malloc(n + 1);
    memcpy(cut, object, n);
    Jit *jit = jit_load(cut, n, &error);
    assert_null(jit);
    assert_non_null(error);
    free(error), free(cut);
  }
  for (size_t i = 0; i < size; i++) { /* one byte wrong: refused, or loaded; never a crash */
    memcpy(copy, object, size);
    copy[i] ^= 0xff;
    Jit *jit = jit_load(copy, size, &error);
    assert_true(!jit == !!error);
    free(error), jit_free(jit);
  }
  free(object), free(copy);
}

/* An undefined name is an error that says which. */
static void test_undefined(void **state) {
  Arena arena = {0};
  Target target;
  char *error = NULL;
  Emit *e = open_named(&arena, &target, NULL);
  LLVMTypeRef type = LLVMFunctionType(e->void_, NULL, 0, false);
  V far = LLVMAddFunction(e->module, "missing", type);
  e_function(e, "f", e->void_, NULL, 0, false, false);
  LLVMBuildCall2(e->b, type, far, NULL, 0, "");
  LLVMBuildRetVoid(e->b);
  assert_null(emit_jit(e, &error));
  assert_string_equal(error, "undefined symbol missing");
  free(error);
  emit_close(e);
  arena_free(&arena);
}

static void test_text(void **state) {
  Arena arena = {0};
  Target target;
  const char *names[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"}, *expect[] = {"mulps", "ymm", "zmm", "fmla"};
  for (int i = 0; i < 4; i++) {
    char *error = NULL;
    Emit *e = open_named(&arena, &target, names[i]);
    LLVMTypeRef vec = e_vector(e, e->f32, 16);
    V f = e_function(e, "f", e->void_, (LLVMTypeRef[]){e->ptr}, 1, false, true);
    V x = e_load(e, vec, LLVMGetParam(f, 0), 4);
    e_store(e, e_fma(e, x, x, x), LLVMGetParam(f, 0), 4);
    LLVMBuildRetVoid(e->b);
    char *ir = emit_ir(e), *text = emit_assembly(e, &error);
    assert_non_null(text);
    assert_non_null(strstr(ir, "<16 x float>"));
    assert_non_null(strstr(text, expect[i]));
    free(ir), free(text);
    emit_close(e);
  }
  arena_free(&arena);
}

/* What the schedule is told of the machine, without LLVM, is what LLVM emits for. */
static void test_vectors(void **state) {
  static const char *const names[] = {NULL, "native", "x86-64-v4-bf16", "x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64"};
  Arena arena = {0};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    Target full = {0}, bare = {0};
    assert_true(target_named(&full, &arena, names[i]) && target_vectors(&bare, names[i]));
    assert_int_equal(full.vector_bytes, bare.vector_bytes);
    assert_int_equal(full.vector_registers, bare.vector_registers);
    assert_int_equal(full.has_fma, bare.has_fma);
    assert_int_equal(full.has_dot, bare.has_dot);
  }
  Target none;
  assert_false(target_vectors(&none, "pentium"));
  arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reduce),    cmocka_unit_test(test_loops),  cmocka_unit_test(test_threads),
      cmocka_unit_test(test_calls),    cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_undefined), cmocka_unit_test(test_damage),  cmocka_unit_test(test_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
