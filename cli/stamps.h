/* stamps.h: training steps with the time of each launch. The kernels are those of the training, to the instruction; around them the
 * entry takes the time, which costs about 30 ns a launch. Thread 0 is measured; where several run, what it waits for belongs to
 * the launch before. */
#ifndef GRADC_STAMPS_H
#define GRADC_STAMPS_H
#include "run.h"

typedef struct {
  uint32_t launches;
  int64_t steps;   /* that were measured */
  double step;     /* seconds, the median */
  float *taken;    /* of each launch and step, rounds of loops together */
  int64_t *rounds; /* of each launch, in all steps together */
} Stamps;

/* Compiles the training with stamps, and makes the instance, for run->capacity rows. False after a message. */
bool stamps_create(Run *run);
/* Steps on synthetic rows for so long. False after a message. */
bool stamps_measure(Run *run, const int64_t *batch, double seconds, Stamps *s);
/* Seconds of a launch in a step: the median, as company on the machine makes some steps long. */
double stamps_launch(Stamps *s, uint32_t launch);
/* … in the step in which it was fastest. */
double stamps_fastest(const Stamps *s, uint32_t launch);
/* How often a launch ran in a step, in the mean: loops may end early. */
double stamps_rounds(const Stamps *s, uint32_t launch);
void stamps_free(Stamps *s);

#endif
