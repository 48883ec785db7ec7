/* figures.h: losses and metrics added up over the batches of a pass, and written. */
#ifndef GRADC_FIGURES_H
#define GRADC_FIGURES_H
#include "gradc.h"
#include "text.h"
#include "vec.h"

typedef struct {
  const char *name;
  GradcOutputKind kind;
  double sum, weight; /* value = sum / weight; 0 if the weight is 0 */
  int32_t rank;       /* of a metric that is an array: its extents and its own copy of the values */
  int64_t dims[GRADC_MAX_RANK], count;
  double *values;
} Figure;
typedef struct { Vec(Figure) all; } Figures; /* start from {0} */

void figures_clear(Figures *figures);
/* Adds the figures of the step that ran last. */
void figures_add(Figures *figures, GradcModel *model);
double figure_value(const Figure *figure);
void figures_free(Figures *figures);
/* "loss 0.0621  accuracy 0.9750": losses first (their total as `loss` where there are several), then metrics; arrays are
 * left out. */
void figures_print(const Figures *figures, Text *out);
/* The metrics that are arrays, each below a line with its name and extents, a line a row; nothing where there is none. */
void figures_print_arrays(const Figures *figures, Text *out);
/* {"loss":0.0621,"accuracy":0.975,"confusion":[[24,0],[1,11]]} */
void figures_json(const Figures *figures, Text *out);
/* The sum of all losses of the step that ran last. */
double step_loss(GradcModel *model);

#endif
