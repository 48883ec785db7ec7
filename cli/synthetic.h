/* synthetic.h: inputs and targets drawn from a fixed seed, for bench, gradcheck without data, and --synthetic. */
#ifndef GRADC_SYNTHETIC_H
#define GRADC_SYNTHETIC_H
#include <stdint.h>

#include "dataset.h"

/* `count` values: labels and integers in 0..k-1, truth values, floats in [0, 1). */
void synthetic_values(Type type, int32_t classes, uint32_t slot, int64_t count, double *values);
/* The same in the slot's own type. */
void synthetic_fill(Type type, int32_t classes, uint32_t slot, int64_t count, void *to);
/* A data set of `rows` such rows, nothing held out; NULL after a diagnostic. */
Dataset *synthetic_dataset(Session *s, const DataPlan *plan, const DataWant *wants, uint32_t want_count, int64_t rows);

#endif
