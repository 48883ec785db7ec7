/* progress.h: how a training looks while it runs: a line that is drawn over on a terminal, plain lines elsewhere. */
#ifndef GRADC_PROGRESS_H
#define GRADC_PROGRESS_H
#include <stdbool.h>
#include <stdint.h>

#include "figures.h"

typedef struct {
  bool quiet, json, terminal;
  int64_t steps, steps_per_epoch; /* of the whole run */
  int64_t first_step, rows;       /* rows seen since the start of this process */
  double started, drawn;          /* seconds */
  bool shown;                     /* a line is on the terminal that must be cleared */
} Progress;

double progress_seconds(void); /* of a clock that only goes forward */
void progress_start(Progress *p, int64_t first_step);
/* After each step. */
void progress_step(Progress *p, int64_t step, int64_t rows, const Figures *figures);
/* After each epoch: the figures of training, and of the held-out rows unless NULL. Of many epochs about twenty are printed. */
void progress_epoch(Progress *p, int64_t epoch, const Figures *train, const Figures *held);
/* Before anything else is printed. */
void progress_clear(Progress *p);

#endif
