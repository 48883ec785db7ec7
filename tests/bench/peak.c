/* Prints the f32 multiply-add rate of one core, in GFLOP/s. */
#include <stdio.h>

#include "peak.h"

int main(void) {
  printf("%.1f\n", peak_gflops(0.5));
  return 0;
}
