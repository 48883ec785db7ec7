/* Prints what one core can do at best: the f32 multiply-add rate in GFLOP/s; with `bandwidth`, how fast it adds two arrays
 * into a third, in GB/s of all three, where these lie in the second cache, in the third, and in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peak.h"

/* Loads and stores of 16 lanes, whatever the processor makes of them. */
typedef float Lanes __attribute__((vector_size(64), aligned(4)));

/* Made for each width of vectors, and the machine's own runs. */
#if defined __x86_64__
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

WIDE static void add(float *restrict to, const float *a, const float *b, size_t n) {
  for (size_t i = 0; i < n; i += 16) *(Lanes *)(to + i) = *(const Lanes *)(a + i) + *(const Lanes *)(b + i);
}

/* The best of windows of some milliseconds. `bytes`: of the three arrays together. */
static double bandwidth(size_t bytes) {
  const size_t n = bytes / 12 / 16 * 16;
  float *x = malloc(3 * n * sizeof *x);
  if (!x) exit(1);
  memset(x, 0, 3 * n * sizeof *x);
  double best = 0;
  const long rounds = 1 + (long)(100000000 / bytes);
  for (const double end = bench_now() + 0.3; bench_now() < end;) {
    const double start = bench_now();
    for (long i = 0; i < rounds; i++) {
      add(x, x + n, x + 2 * n, n);
      __asm__ volatile("" : : "r"(x) : "memory");
    }
    const double rate = (double)rounds * 12e-9 * (double)n / (bench_now() - start);
    if (rate > best) best = rate;
  }
  free(x);
  return best;
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "bandwidth")) printf("%.1f %.1f %.1f\n", bandwidth(192 << 10), bandwidth(6 << 20), bandwidth(192 << 20));
  else printf("%.1f\n", peak_gflops(0.5));
  return 0;
}
