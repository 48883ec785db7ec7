/* math_parts.h: the pieces that the elementary functions share. All take and give vectors or scalars of one float type. */
#ifndef GRADC_MATH_PARTS_H
#define GRADC_MATH_PARTS_H
#include "llvm.h"

V part_copy_sign(Emit *e, V magnitude, V sign); /* |magnitude| with the sign bit of `sign` */
#define PART_COUNT(coefficients) (unsigned)(sizeof(coefficients) / sizeof *(coefficients))
V part_horner(Emit *e, V x, const double *c, unsigned n); /* c[0] + c[1] x + ... by fma */
V part_min(Emit *e, V x, double limit); /* NaN passes */
V part_max(Emit *e, V x, double limit);

#endif
