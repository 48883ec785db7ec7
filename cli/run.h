/* run.h: a model at work: program, data, instance. What train, eval, predict and bench share. */
#ifndef GRADC_RUN_H
#define GRADC_RUN_H
#include "feed.h"
#include "figures.h"
#include "front.h"

typedef struct {
  Front front;
  const Options *options;
  Stats stats;
  Dataset *data[GRADC_MAX_BATCHES];
  const GradcProgram *program;
  GradcModel *model;
  int64_t capacity[GRADC_MAX_BATCHES]; /* rows a step of each block */
  const void **inputs;                 /* of a step; room for every feed */
  void **drawn;                        /* run_synthetic's, or NULL */
} Run;

/* The smaller of the plan's batch and the rows there are, for each block; at least 1. */
void run_capacity(Run *run);
/* Compiles `entries` and makes the instance; false after a message. */
bool run_create(Run *run, unsigned entries, uint64_t seed);
/* A trained model ready to be evaluated: its parameters and data statistics from the file that --weights or the default names, the
 * rows that `how` asks for. False after an error, which is in the session. */
bool run_open_trained(Run *run, const DataOptions *how);
/* Evaluates a whole part of the data; figures are added to `figures`. False after a message. */
bool run_evaluate(Run *run, Feeder *feeder, Figures *figures);
/* Rows of a part, all blocks together being stepped through: those of the first block. */
int64_t run_rows(const Run *run, bool held);
/* The second half of it: the instance alone, of run->program; false after a message. */
bool run_instance(Run *run, uint64_t seed);
/* A batch drawn from a fixed seed as `inputs`; false after a message. */
bool run_synthetic(Run *run, const int64_t *batch);
/* Takes back what run_create and run_synthetic made, so that it can be compiled otherwise. */
void run_undo(Run *run);
void run_close(Run *run);

#endif
