/* synthetic.h: inputs and targets drawn from a fixed seed, for bench and for gradcheck without data. */
#ifndef GRADC_SYNTHETIC_H
#define GRADC_SYNTHETIC_H
#include <stdint.h>

#include "graph.h"

/* `count` values: labels and integers in 0..k-1, truth values, floats in [0, 1). */
void synthetic_values(Type type, int32_t classes, uint32_t slot, int64_t count, double *values);
/* The same in the slot's own type. */
void synthetic_fill(Type type, int32_t classes, uint32_t slot, int64_t count, void *to);

#endif
