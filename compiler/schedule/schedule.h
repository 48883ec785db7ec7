/* schedule.h: from graph to kernels, phases and a memory plan. */
#ifndef GRADC_SCHEDULE_H
#define GRADC_SCHEDULE_H
#include "kernel.h"

/* What the strategy needs to know of the machine. */
typedef struct {
  uint32_t vector_bytes, vector_registers;
  int64_t l1, l2, l3; /* bytes */
} Machine;

/* The graph as kernels want it: products with a vector become sums (they have no tile), outer products become maps; weights
 * that a loop's contractions would turn in each round are turned before it; loops too deep are written out, and each of the others is in one
 * piece. A graph of the same slots and outputs, without the marks of `grad`: to be scheduled, as any rebuilding undoes it. */
Graph *schedule_lower(const Graph *graph);

/* Never fails on a verified and lowered graph, which must outlive the schedule. */
Schedule *schedule_graph(Session *session, const Graph *graph, const Machine *machine);
/* Makes the arena no larger than `limit` bytes at these batch extents, if it can, by more phases, and by running launches again
 * instead of keeping what they made (recompute.c). Returns the arena's bytes then, which may be more than the limit. Values and their bits stay. */
int64_t schedule_recompute(Schedule *schedule, const int64_t *batch, int64_t limit);
void schedule_free(Schedule *schedule);
/* `explain` (or NULL) adds lines about how a stage is emitted; `arg` is for it. */
typedef void ScheduleExplain(const Kernel *kernel, uint32_t stage, const void *arg, Text *out);
void schedule_print(const Schedule *schedule, ScheduleExplain *explain, const void *arg, Text *out);
/* How many times a launch runs in a step. */
int64_t schedule_rounds(const Schedule *schedule, const Launch *launch);
/* Multiply-adds x 2 of one run of a kernel for a batch extent. */
double kernel_flops(const Kernel *kernel, int64_t batch);

#endif
