/* peak.h: the rate of fused multiply-adds that one core reaches at best, to which kernels are compared. Measured in the
 * same process as they, since the clock moves from minute to minute. */
#ifndef GRADC_PEAK_H
#define GRADC_PEAK_H
#include <time.h>

/* Processor time of this thread, so that other work on the machine counts as little as it can. */
static double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined __x86_64__
#include <immintrin.h>

/* n rounds of 12 independent chains; the empty asm keeps each round in registers. */
#define PEAK_12(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define PEAK_START_256(i) __m256 a##i = _mm256_set1_ps((float)i);
#define PEAK_STEP_256(i)                                                                                               \
  a##i = _mm256_fmadd_ps(a##i, x, y);                                                                                  \
  __asm__ volatile("" : "+x"(a##i));
#define PEAK_START_512(i) __m512 a##i = _mm512_set1_ps((float)i);
#define PEAK_STEP_512(i)                                                                                               \
  a##i = _mm512_fmadd_ps(a##i, x, y);                                                                                  \
  __asm__ volatile("" : "+v"(a##i));
__attribute__((target("avx2,fma"))) static void peak_avx2(long n, float fx, float fy) {
  const __m256 x = _mm256_set1_ps(fx), y = _mm256_set1_ps(fy);
  PEAK_12(PEAK_START_256)
  for (long k = 0; k < n; k++) {
    PEAK_12(PEAK_STEP_256)
  }
}
__attribute__((target("avx512f"))) static void peak_avx512(long n, float fx, float fy) {
  const __m512 x = _mm512_set1_ps(fx), y = _mm512_set1_ps(fy);
  PEAK_12(PEAK_START_512)
  for (long k = 0; k < n; k++) {
    PEAK_12(PEAK_STEP_512)
  }
}

/* f32 GFLOP/s of one thread: the best of windows of about a millisecond, for `seconds`. */
static double peak_gflops(double seconds) {
  const int wide = __builtin_cpu_supports("avx512f");
  if (!wide && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return 0;
  static volatile float x = 0.999f, y = 1e-3f;
  const long n = 200000;
  double best = 0;
  for (const double end = bench_now() + seconds; bench_now() < end;) {
    const double start = bench_now();
    if (wide)
      peak_avx512(n, x, y);
    else
      peak_avx2(n, x, y);
    const double rate = (double)n * 12 * (wide ? 16 : 8) * 2 / (bench_now() - start);
    if (rate > best) best = rate;
  }
  return best * 1e-9;
}
#else
static double peak_gflops(double seconds) {
  (void)seconds;
  return 0; /* not known */
}
#endif
#endif
