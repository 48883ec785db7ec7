/* Elementary functions as emitted code against the C library in longer formats: double for f32, long double for f64.
 * Samples: bit patterns spread over the whole format, and denser ones where the functions do something.
 * GRADC_MATH_STRIDE=1 visits every f32 number (minutes a function); GRADC_MATH_ONLY=sin,cos names the functions. The bounds are what was reached, rounded up: for
 * the f32 forms over all numbers between 2^-31 and 2^8 in size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emath.h"
#include "jit.h"

#define BLOCK 4096 /* samples at a time; a multiple of every lane count */

typedef void Kernel(const void *x, const void *y, void *out, int64_t n);
typedef double Real(double, double);
typedef long double Long(long double, long double);

/* References. `b` is the second argument of pow and atan2. */
#define REFERENCE1(name, f) \
  static double ref_##name(double a, double b) { return (void)b, f(a); } \
  static long double long_##name(long double a, long double b) { return (void)b, f##l(a); }
static double sigmoid(double a) { return 1 / (1 + exp(-a)); }
static long double sigmoidl(long double a) { return 1 / (1 + expl(-a)); }
static double softplus(double a) { return (a > 0 ? a : 0) + log1p(exp(-fabs(a))); }
static long double softplusl(long double a) { return (a > 0 ? a : 0) + log1pl(expl(-fabsl(a))); }
static double rsqrt(double a) { return 1 / sqrt(a); }
static long double rsqrtl(long double a) { return 1 / sqrtl(a); }
static double sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a; }
static long double signl(long double a) { return a > 0 ? 1 : a < 0 ? -1 : a; }
/* Up to 40 by the recurrence, then the asymptotic series; below 1/2 by reflection. */
static long double digammal(long double x) {
  static const long double pi = 3.14159265358979323846264338327950288L;
  if (x < 0.5L) {
    const long double part = x - rintl(x);
    return x < 0 && part == 0 ? NAN : digammal(1 - x) - pi * cosl(pi * part) / sinl(pi * part);
  }
  long double low = 0;
  for (; x < 40; x++) low += 1 / x;
  const long double r = 1 / (x * x);
  return logl(x) - 0.5L / x - low -
         r * (1 / 12.L - r * (1 / 120.L - r * (1 / 252.L - r * (1 / 240.L - r * (1 / 132.L - r * (691 / 32760.L - r / 12))))));
}
static double digamma(double x) { return (double)digammal(x); }
REFERENCE1(lgamma, lgamma) REFERENCE1(digamma, digamma)
REFERENCE1(exp, exp) REFERENCE1(expm1, expm1) REFERENCE1(log, log) REFERENCE1(log1p, log1p) REFERENCE1(tanh, tanh)
REFERENCE1(sigmoid, sigmoid) REFERENCE1(softplus, softplus) REFERENCE1(erf, erf) REFERENCE1(erfc, erfc) REFERENCE1(rsqrt, rsqrt) REFERENCE1(cbrt, cbrt)
REFERENCE1(sin, sin) REFERENCE1(cos, cos) REFERENCE1(tan, tan) REFERENCE1(asin, asin) REFERENCE1(acos, acos)
REFERENCE1(atan, atan) REFERENCE1(sinh, sinh) REFERENCE1(cosh, cosh) REFERENCE1(sign, sign) REFERENCE1(floor, floor)
REFERENCE1(ceil, ceil) REFERENCE1(round, rint) REFERENCE1(trunc, trunc)

/* `limit`: larger arguments (f32: a million times larger) are only checked to give something finite within [-1, 1] or,
 * for tan, a number. */
static const struct Row {
  const char *name;
  V (*emit1)(Emit *, V);
  V (*emit2)(Emit *, V, V);
  Real *ref;
  Long *ref_long;
  double ulp32, ulp64, limit;
} rows[] = {
#define ROW1(name, u32, u64, limit) {#name, emit_##name, NULL, ref_##name, long_##name, u32, u64, limit},
#define ROW2(name, ref, u32, u64) {#name, NULL, emit_##name, ref, ref##l, u32, u64, INFINITY},
    ROW1(exp, 0.88, 0.84, INFINITY)
    ROW1(expm1, 1.09, 1.07, INFINITY)
    ROW1(log, 0.87, 0.75, INFINITY)
    ROW1(log1p, 0.94, 0.77, INFINITY)
    ROW1(tanh, 0.97, 0.94, INFINITY)
    ROW1(sigmoid, 2, 2, INFINITY)
    ROW1(softplus, 2, 2, INFINITY)
    ROW1(erf, 0.99, 0.94, INFINITY)
    ROW1(erfc, 0.501, 1.7, INFINITY)
    ROW1(lgamma, 0.501, 5, INFINITY)
    ROW1(digamma, 0.501, 5, INFINITY)
    ROW1(rsqrt, 1.491, 1.491, INFINITY)
    ROW1(cbrt, 0.501, 0.501, INFINITY)
    ROW1(sin, 0.501, 0.77, 1e9)
    ROW1(cos, 0.501, 0.77, 1e9)
    ROW1(tan, 0.501, 2, 1e9)
    ROW1(asin, 0.501, 0.6, INFINITY)
    ROW1(acos, 0.501, 0.57, INFINITY)
    ROW1(atan, 0.501, 0.93, INFINITY)
    ROW1(sinh, 0.501, 1.6, INFINITY)
    ROW1(cosh, 0.501, 1.3, INFINITY)
    ROW2(pow, pow, .501, .84)
    ROW2(atan2, atan2, .501, .94)
    ROW1(sign, 0, 0, INFINITY)
    ROW1(floor, 0, 0, INFINITY)
    ROW1(ceil, 0, 0, INFINITY)
    ROW1(round, 0, 0, INFINITY)
    ROW1(trunc, 0, 0, INFINITY)
};
#define ROW_COUNT (sizeof rows / sizeof *rows)

static double cpu_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* void f(x, y, out, n): out = function(x, y), `lanes` at a time. */
static void build(Emit *e, const struct Row *row, LLVMTypeRef scalar, unsigned lanes) {
  LLVMTypeRef type = e_vector(e, scalar, lanes);
  V f = e_function(e, "f", e->void_, (LLVMTypeRef[]){e->ptr, e->ptr, e->ptr, e->i64}, 4, false, true);
  unsigned align = scalar == e->f32 ? 4 : 8;
  Loop l;
  e_loop_begin(e, &l, e_i64(e, 0), LLVMGetParam(f, 3), e_i64(e, lanes), NULL, 0, false);
  V x = e_load(e, type, e_gep(e, scalar, LLVMGetParam(f, 0), l.i), align);
  V y = row->emit2 ? e_load(e, type, e_gep(e, scalar, LLVMGetParam(f, 1), l.i), align) : NULL;
  V out = row->emit2 ? row->emit2(e, x, y) : row->emit1(e, x);
  e_store(e, out, e_gep(e, scalar, LLVMGetParam(f, 2), l.i), align);
  e_loop_end(e, &l, NULL);
  LLVMBuildRetVoid(e->b);
}

static Emit *open_named(Arena *arena, const char *name) {
  Target target;
  char *error = NULL;
  assert_true(target_named(&target, arena, name));
  Emit *e = emit_open(&target, "math", &error);
  assert_non_null(e);
  return e;
}

static Jit *compile(const char *target, const struct Row *row, bool is_double, unsigned lanes, double *ms) {
  Arena arena = {0};
  char *error = NULL;
  Emit *e = open_named(&arena, target);
  double start = cpu_ms();
  build(e, row, is_double ? e->f64 : e->f32, lanes);
  Jit *jit = emit_jit(e, &error);
  if (ms) *ms = cpu_ms() - start;
  if (error) fail_msg("%s: %s", row->name, error);
  emit_close(e);
  arena_free(&arena);
  return jit;
}

static uint64_t random_next(uint64_t *state) { /* splitmix64 */
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9, z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/* A number whose exponent lies in [low, high], either sign. */
static double random_near(uint64_t *state, int low, int high) {
  uint64_t r = random_next(state), step = (random_next(state) >> 32) % (uint64_t)(high - low + 1);
  uint64_t exponent = (uint64_t)(1023 + low) + step;
  uint64_t bits = (r & 0x800fffffffffffff) | exponent << 52;
  double x;
  memcpy(&x, &bits, 8);
  return x;
}

static double random_any(uint64_t *state) {
  uint64_t bits = random_next(state);
  double x;
  memcpy(&x, &bits, 8);
  return x;
}

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

/* Distance in units of the last place of a format with `mantissa` bits and least exponent `least`; inf where one is
 * special. */
static double ulps(long double got, long double want, int mantissa, int least, long double largest) {
  if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
  bool overflow = isinf(got) && fabsl(want) > largest && !signbit(got) == !signbit(want);
  if (got == want || overflow) return 0;
  if (isinf(want) || (isinf(got) && fabsl(want) < largest / 2)) return INFINITY;
  int exponent;
  frexpl(want, &exponent);
  exponent = exponent - 1 < least ? least : exponent - 1;
  if (isinf(got)) got = copysignl(ldexpl(1, -least + 2), got); /* the next number after the largest */
  return (double)fabsl(ldexpl(got - want, mantissa - exponent));
}

static double ulps32(float got, double want) { return ulps(got, want, 23, -126, FLT_MAX); }
static double ulps64(double got, long double want) { return ulps(got, want, 52, -1022, DBL_MAX); }

/* lgamma and digamma have zeros between whole numbers (digamma one above 0): there the error is counted in units of the
 * terms that cancel. The same factor makes a unit of the value one of these. */
static double unit_ratio(const struct Row *row, double x, double want) {
  const bool right = x > 0, gamma = !strcmp(row->name, "lgamma");
  if ((!gamma && strcmp(row->name, "digamma")) || (gamma && right) || !isfinite(want) || !isfinite(x)) return 1;
  int whole, own;
  frexp(gamma ? fmax(1, lgamma(1 - x)) : fmax(1, log1p(fabs(x))), &whole), frexp(want, &own);
  return own < whole ? ldexp(1, own - whole) : 1;
}

static const double specials[] = {
    0.0,   -0.0,  1,       -1,      .5,        -.5,       2,       -2,      3,      -3,       4,      -4,
    8,     27,    100,     -100,    1e10,      -1e10,     NAN,     1e-40,   -1e-40, 1e-45,    1e-310, 1e-20,
    88.7,  88.73, -87.3,   -103.9,  -104.1,    709.78,    709.79,  -745.1,  -745.2, .999999,  26.5,   1.000001,
    0.25,  0.75,  1.5,     2.5,     -1.5,      -2.5,      1e-8,    -1e-8,   -6,     10.1,     -27,    0.49999997,
    DBL_MAX, -DBL_MAX, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, 0x1p-126, 0x1p-1022, 4.9e-324, -4.9e-324, 8388607.5,
    4503599627370495.5};
#define SPECIAL_COUNT (sizeof specials / sizeof *specials)

typedef struct {
  double worst, at, at2; /* largest error, and where */
  int64_t count;
} Worst;

static void note(Worst *w, double error, double x, double y) {
  if (error > w->worst) *w = (Worst){error, x, y, w->count};
  w->count++;
}

/* Beyond the row's limit there is no accuracy, but the value is a number, and within [-1, 1] for sin and cos. */
static bool beyond(const struct Row *row, bool is_double, double x, double got) {
  if (!(fabs(x) > (is_double ? row->limit : row->limit * 1e6)) || isinf(x)) return false;
  assert_false(isnan(got));
  if (strcmp(row->name, "tan")) assert_true(fabs(got) <= 1);
  return true;
}

/* The same bits, except that a NaN is a NaN: its sign depends on the order of operands that LLVM chose. */
static void same32(const struct Row *row, const float *a, const float *b) {
  for (int i = 0; i < BLOCK; i++) {
    bool same = !memcmp(&a[i], &b[i], sizeof *a) || (isnan(a[i]) && isnan(b[i]));
    if (!same) fail_msg("%s: %a and %a", row->name, a[i], b[i]);
  }
}

static void same64(const struct Row *row, const double *a, const double *b) {
  for (int i = 0; i < BLOCK; i++) {
    bool same = !memcmp(&a[i], &b[i], sizeof *a) || (isnan(a[i]) && isnan(b[i]));
    if (!same) fail_msg("%s: %a and %a", row->name, a[i], b[i]);
  }
}

static void check32(const struct Row *row, Kernel *const *kernels, const float *x, const float *y, Worst *worst) {
  float out[3][BLOCK];
  for (int k = 0; k < 3; k++) kernels[k](x, y, out[k], BLOCK);
  for (int i = 0; i < BLOCK; i++) {
    if (!beyond(row, false, x[i], out[0][i])) {
      const double want = row->ref(x[i], y[i]);
      note(worst, ulps32(out[0][i], want) * unit_ratio(row, x[i], want), x[i], y[i]);
    }
  }
  for (int k = 1; k < 3; k++) same32(row, out[0], out[k]);
}

static void check64(const struct Row *row, Kernel *const *kernels, const double *x, const double *y, Worst *worst) {
  double out[3][BLOCK];
  for (int k = 0; k < 3; k++) kernels[k](x, y, out[k], BLOCK);
  for (int i = 0; i < BLOCK; i++) {
    if (!beyond(row, true, x[i], out[0][i])) {
      const long double want = row->ref_long(x[i], y[i]);
      note(worst, ulps64(out[0][i], want) * unit_ratio(row, x[i], (double)want), x[i], y[i]);
    }
  }
  for (int k = 1; k < 3; k++) same64(row, out[0], out[k]);
}

/* Every `stride`-th pattern from `from` to `to`, then its negative. */
static void sweep(const struct Row *row, Kernel *const *kernels, uint32_t from, uint64_t to, uint32_t stride,
                  Worst *worst) {
  static const float others[] = {2, -1, .5f, 3, -2.25f, 1e-3f, 7, -.1f}; /* and any number: second arguments */
  float x[BLOCK], y[BLOCK] = {0};
  uint64_t seed = from;
  int n = 0;
  for (uint64_t b = from; b < to || n; b += stride) {
    x[n] = float_of(b < to ? (uint32_t)b : 0x3f800000), x[n + 1] = -x[n];
    if (row->emit2)
      y[n] = y[n + 1] = random_next(&seed) & 1 ? (float)random_near(&seed, -6, 6) : others[random_next(&seed) % 8];
    n += 2;
    if (n < BLOCK) continue;
    check32(row, kernels, x, y, worst);
    n = 0;
  }
}

static Worst test32(const struct Row *row, Kernel *const *kernels) {
  Worst worst = {0};
  const char *text = getenv("GRADC_MATH_STRIDE");
  uint32_t stride = text ? (uint32_t)strtoul(text, NULL, 10) : 0;
  if (stride) {
    sweep(row, kernels, 0, 1ull << 31, stride, &worst);
  } else {
    sweep(row, kernels, 0, 1ull << 31, 4093, &worst);
    sweep(row, kernels, 0x3a000000, 0x43800000, 359, &worst); /* 2^-11 to 2^8 */
  }
  return worst;
}

static Worst test64(const struct Row *row, Kernel *const *kernels) {
  /* Exponents; the first is for any bits. */
  static const int low[6] = {0, -1022, 10, -12, -12, -5}, high[6] = {0, 1023, 29, 10, 10, 5};
  Worst worst = {0};
  double x[BLOCK], y[BLOCK];
  uint64_t seed = 1;
  for (int block = 0; block < 60; block++) {
    for (int i = 0; i < BLOCK; i++) {
      x[i] = block % 6 == 0 ? random_any(&seed) : random_near(&seed, low[block % 6], high[block % 6]);
      y[i] = block % 6 == 0 ? random_any(&seed) : random_near(&seed, low[block % 6] / 4, high[block % 6] * 3 / 4);
    }
    check64(row, kernels, x, y, &worst);
  }
  return worst;
}

/* All specials, and for two arguments all pairs: same class, same sign of zero, within the bound. */
static void test_specials_of(const struct Row *row, Kernel *const *kernels32, Kernel *const *kernels64) {
  float xf[BLOCK], yf[BLOCK], of[BLOCK];
  double x[BLOCK], y[BLOCK], o[BLOCK];
  size_t n = SPECIAL_COUNT * (row->emit2 ? SPECIAL_COUNT : 1);
  assert_true(n <= BLOCK);
  for (size_t i = 0; i < BLOCK; i++) {
    x[i] = specials[i % SPECIAL_COUNT], y[i] = specials[i / SPECIAL_COUNT % SPECIAL_COUNT];
    xf[i] = (float)x[i], yf[i] = (float)y[i];
  }
  kernels32[0](xf, yf, of, BLOCK), kernels64[0](x, y, o, BLOCK);
  for (size_t i = 0; i < n; i++) {
    double want = row->ref(xf[i], yf[i]);
    bool sign_is_right = isnan(want) || !signbit(of[i]) == !signbit(want);
    if (!beyond(row, false, xf[i], of[i]) && !(ulps32(of[i], want) * unit_ratio(row, xf[i], want) <= row->ulp32 && sign_is_right))
      fail_msg("%s(%a, %a) is %a in f32, should be %a", row->name, xf[i], yf[i], of[i], want);
    long double exact = row->ref_long(x[i], y[i]);
    sign_is_right = isnan(exact) || !signbit(o[i]) == !signbit(exact);
    if (!beyond(row, true, x[i], o[i]) && !(ulps64(o[i], exact) * unit_ratio(row, x[i], (double)exact) <= row->ulp64 && sign_is_right))
      fail_msg("%s(%a, %a) is %a in f64, should be %La", row->name, x[i], y[i], o[i], exact);
  }
}

static bool is_asked(const struct Row *row) {
  const char *names = getenv("GRADC_MATH_ONLY");
  const size_t length = strlen(row->name);
  for (; names && *names; names += strcspn(names, ","), names += *names == ',')
    if (strcspn(names, ",") == length && !strncmp(names, row->name, length)) return true;
  return !names;
}

static void test_accuracy(void **state) {
  static const unsigned lanes32[] = {16, 1, 4}, lanes64[] = {8, 1, 2};
  int64_t count = 0;
  bool failed = false;
  print_message("%-8s %9s %9s   worst at              compile ms (f32 x 16, f64 x 8)\n", "", "f32 ulp", "f64 ulp");
  for (const struct Row *row = rows; row < rows + ROW_COUNT; row++) {
    Jit *jits[6];
    Kernel *kernels[6];
    double ms[6];
    if (!is_asked(row)) continue;
    for (int k = 0; k < 6; k++) {
      jits[k] = compile("native", row, k >= 3, k < 3 ? lanes32[k] : lanes64[k - 3], &ms[k]);
      kernels[k] = (Kernel *)jit_symbol(jits[k], "f");
      assert_non_null(kernels[k]);
    }
    Worst a = test32(row, kernels), b = test64(row, kernels + 3);
    print_message("%-8s %9.4f %9.4f   %-12.7g %-12.7g %5.1f %5.1f\n", row->name, a.worst, b.worst, a.at, b.at, ms[0],
                  ms[3]);
    failed |= a.worst > row->ulp32 || b.worst > row->ulp64;
    count += a.count + b.count;
    if (!failed) test_specials_of(row, kernels, kernels + 3);
    for (int k = 0; k < 6; k++) jit_free(jits[k]);
  }
  print_message("%lld values\n", (long long)count);
  assert_false(failed);
}

/* A shared function is compiled once, and gives the bits of the inline one. */
static V through_shared(Emit *e, V x) {
  V twice = emit_shared(e, "tanh", emit_tanh, emit_shared(e, "erfc", emit_erfc, x));
  return emit_shared(e, "tanh", emit_tanh, twice);
}

static V through_inline(Emit *e, V x) {
  return emit_tanh(e, emit_tanh(e, emit_erfc(e, x)));
}

static void test_shared(void **state) {
  struct Row shared = {"shared", through_shared}, inlined = {"inline", through_inline};
  double x[BLOCK], out[2][BLOCK];
  float xf[BLOCK], outf[2][BLOCK];
  uint64_t seed = 11;
  for (int i = 0; i < BLOCK; i++) xf[i] = (float)(x[i] = random_near(&seed, -10, 3));
  for (int k = 0; k < 2; k++) {
    Jit *jit = compile("native", k ? &inlined : &shared, false, 16, NULL);
    ((Kernel *)jit_symbol(jit, "f"))(xf, NULL, outf[k], BLOCK);
    jit_free(jit);
    jit = compile("native", k ? &inlined : &shared, true, 8, NULL);
    ((Kernel *)jit_symbol(jit, "f"))(x, NULL, out[k], BLOCK);
    jit_free(jit);
  }
  same32(&shared, outf[0], outf[1]);
  same64(&shared, out[0], out[1]);
}

/* Code for another vector width gives the same bits. */
static void test_widths(void **state) {
  Arena arena = {0};
  Target here, narrow;
  assert_true(target_host(&here, &arena) && target_named(&narrow, &arena, "x86-64-v3"));
  if (!target_runs_here(&narrow) || here.vector_bytes == narrow.vector_bytes) {
    print_message("only one vector width with fma on this machine: skipped (lane counts were compared above)\n");
    arena_free(&arena);
    return;
  }
  double x[BLOCK], y[BLOCK], out[2][BLOCK];
  float xf[BLOCK], yf[BLOCK], outf[2][BLOCK];
  uint64_t seed = 7;
  for (int i = 0; i < BLOCK; i++) {
    xf[i] = (float)(x[i] = random_near(&seed, -10, 8)), yf[i] = (float)(y[i] = random_near(&seed, -4, 4));
  }
  for (const struct Row *row = rows; row < rows + ROW_COUNT; row++) {
    for (int k = 0; k < 2; k++) {
      const char *name = k ? "x86-64-v3" : "native";
      Jit *jit = compile(name, row, false, 16, NULL);
      ((Kernel *)jit_symbol(jit, "f"))(xf, yf, outf[k], BLOCK);
      jit_free(jit);
      jit = compile(name, row, true, 8, NULL);
      ((Kernel *)jit_symbol(jit, "f"))(x, y, out[k], BLOCK);
      jit_free(jit);
    }
    same32(row, outf[0], outf[1]);
    same64(row, out[0], out[1]);
  }
  arena_free(&arena);
}

/* No object asks for a symbol: nothing is left to the C library, on any target. */
static void test_self_contained(void **state) {
  static const char *const names[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"};
  for (const struct Row *row = rows; row < rows + ROW_COUNT; row++) {
    for (int k = 0; k < 8; k++) {
      Arena arena = {0};
      size_t size = 0;
      char *error = NULL;
      Emit *e = open_named(&arena, names[k / 2]);
      build(e, row, k % 2 ? e->f64 : e->f32, k % 2 ? 8 : 16);
      char *object = emit_object(e, &size, &error);
      assert_non_null(object);
      const Elf64_Ehdr *header = (const void *)object;
      const Elf64_Shdr *s = (const void *)(object + header->e_shoff);
      for (int i = 0; i < header->e_shnum; i++) {
        if (s[i].sh_type != SHT_SYMTAB) continue;
        const Elf64_Sym *symbols = (const void *)(object + s[i].sh_offset);
        for (size_t j = 1; j < s[i].sh_size / sizeof *symbols; j++)
          if (symbols[j].st_shndx == SHN_UNDEF)
            fail_msg("%s calls %s", row->name, object + s[s[i].sh_link].sh_offset + symbols[j].st_name);
      }
      free(object);
      emit_close(e);
      arena_free(&arena);
    }
  }
}

/* void f(u32 counter[4][lanes], u32 key[2], u32 out[4][lanes]) */
static void build_philox(Emit *e, unsigned lanes) {
  LLVMTypeRef type = e_vector(e, e->i32, lanes);
  V f = e_function(e, "f", e->void_, (LLVMTypeRef[]){e->ptr, e->ptr, e->ptr, e->i64}, 4, false, true);
  V counter[4], key[2], words[4];
  for (unsigned i = 0; i < 4; i++) counter[i] = e_load(e, type, e_gep(e, type, LLVMGetParam(f, 0), e_i64(e, i)), 4);
  for (unsigned i = 0; i < 2; i++) key[i] = e_load(e, e->i32, e_gep(e, e->i32, LLVMGetParam(f, 1), e_i64(e, i)), 4);
  emit_philox(e, counter, key, words);
  for (unsigned i = 0; i < 4; i++) e_store(e, words[i], e_gep(e, type, LLVMGetParam(f, 2), e_i64(e, i)), 4);
  LLVMBuildRetVoid(e->b);
}

/* Known answers: the kat_vectors file of Random123. */
static void test_philox(void **state) {
  static const uint32_t known[3][10] = {
      {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
      {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
      {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
       0x24126ea1}};
  static const unsigned lane_counts[] = {1, 8, 16};
  for (int c = 0; c < 3; c++) {
    Arena arena = {0};
    char *error = NULL;
    unsigned lanes = lane_counts[c];
    Emit *e = open_named(&arena, "native");
    build_philox(e, lanes);
    Jit *jit = emit_jit(e, &error);
    assert_non_null(jit);
    for (int k = 0; k < 3; k++) {
      uint32_t counter[64], out[64];
      for (unsigned i = 0; i < 4; i++)
        for (unsigned l = 0; l < lanes; l++) counter[i * lanes + l] = known[k][i];
      ((Kernel *)jit_symbol(jit, "f"))(counter, &known[k][4], out, 0);
      for (unsigned i = 0; i < 4; i++)
        for (unsigned l = 0; l < lanes; l++) assert_int_equal(out[i * lanes + l], known[k][6 + i]);
    }
    jit_free(jit);
    emit_close(e);
    arena_free(&arena);
  }
}

/* void f(u32 words[4][lanes], uniform[lanes], normal[lanes]) */
static Jit *compile_draws(bool is_double, unsigned lanes) {
  Arena arena = {0};
  char *error = NULL;
  Emit *e = open_named(&arena, "native");
  LLVMTypeRef words = e_vector(e, e->i32, lanes), type = e_vector(e, is_double ? e->f64 : e->f32, lanes);
  V f = e_function(e, "f", e->void_, (LLVMTypeRef[]){e->ptr, e->ptr, e->ptr, e->i64}, 4, false, true), w[4];
  for (unsigned i = 0; i < 4; i++) w[i] = e_load(e, words, e_gep(e, words, LLVMGetParam(f, 0), e_i64(e, i)), 4);
  e_store(e, emit_uniform(e, type, w[0], w[1]), LLVMGetParam(f, 1), 4);
  e_store(e, emit_normal(e, type, w[0], w[1], w[2], w[3]), LLVMGetParam(f, 2), 4);
  LLVMBuildRetVoid(e->b);
  Jit *jit = emit_jit(e, &error);
  assert_non_null(jit);
  emit_close(e);
  arena_free(&arena);
  return jit;
}

/* Uniform exactly; normal close to the same formula in long double: relative to the radius, the cosine may vanish. */
static void check_draw(bool is_double, const uint32_t w[4], double uniform, double normal) {
  uint64_t a = (uint64_t)w[0] << 32 | w[1], b = (uint64_t)w[2] << 32 | w[3];
  double unit = is_double ? 0x1p-53 : 0x1p-24;
  double u = (double)(is_double ? a >> 11 : a >> 40) * unit, v = (double)(is_double ? b >> 11 : b >> 40) * unit;
  assert_true(uniform == u);
  long double radius = sqrtl(-2 * logl((long double)u + unit));
  long double want = radius * cosl(2 * 3.14159265358979323846264338L * v);
  assert_true(fabsl(normal - want) <= (is_double ? 4e-16L : 2.5e-7L) * (radius + 0x1p-100L));
}

static void test_draws(void **state) {
  static const unsigned lanes[] = {16, 1, 8, 1};
  uint64_t seed = 3;
  for (int c = 0; c < 4; c++) {
    Jit *jit = compile_draws(c >= 2, lanes[c]);
    for (int round = 0; round < 20000; round++) {
      uint32_t words[64], one[4];
      double uniform[16], normal[16]; /* floats in the same memory */
      for (int i = 0; i < 64; i++) words[i] = round == 0 ? 0 : round == 1 ? UINT32_MAX : (uint32_t)random_next(&seed);
      ((void (*)(const void *, void *, void *))jit_symbol(jit, "f"))(words, uniform, normal);
      for (unsigned l = 0; l < lanes[c]; l++) {
        for (unsigned i = 0; i < 4; i++) one[i] = words[i * lanes[c] + l];
        if (c >= 2) check_draw(true, one, uniform[l], normal[l]);
        else check_draw(false, one, ((float *)uniform)[l], ((float *)normal)[l]);
      }
    }
    jit_free(jit);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accuracy), cmocka_unit_test(test_shared), cmocka_unit_test(test_widths),
      cmocka_unit_test(test_self_contained), cmocka_unit_test(test_philox), cmocka_unit_test(test_draws),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
