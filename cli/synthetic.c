/* synthetic.c: see synthetic.h. */
#include "synthetic.h"

#include "rng.h"

void synthetic_values(Type type, int32_t classes, uint32_t slot, int64_t count, double *values) {
  GradcRng rng = gradc_rng(1, 0, GRADC_SITE_DATA - 1024 + slot % 512);
  for (int64_t i = 0; i < count; i++) {
    if (classes) values[i] = (double)gradc_rng_below(&rng, (uint64_t)classes);
    else if (type == TYPE_BOOL) values[i] = gradc_rng_word(&rng) & 1;
    else if (type == TYPE_I32) values[i] = (double)gradc_rng_below(&rng, 10);
    else values[i] = (double)(float)(gradc_rng_word(&rng) >> 8) * 0x1p-24;
  }
}

void synthetic_fill(Type type, int32_t classes, uint32_t slot, int64_t count, void *to) {
  double *values = mem_alloc((size_t)count * sizeof *values);
  synthetic_values(type, classes, slot, count, values);
  for (int64_t i = 0; i < count; i++) {
    switch (type) {
      case TYPE_F32: ((float *)to)[i] = (float)values[i]; break;
      case TYPE_F64: ((double *)to)[i] = values[i]; break;
      case TYPE_I32: ((int32_t *)to)[i] = (int32_t)values[i]; break;
      default: ((uint8_t *)to)[i] = values[i] != 0;
    }
  }
  free(values);
}
