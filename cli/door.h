/* door.h: a door to other frameworks: any model evaluated on given arrays and parameters, what it gives written by name.
 *
 * Where --data is an NPZ or safetensors file, it holds the inputs and targets as the model takes them, [rows, ..] by name,
 * and the data block is left aside; else the data block is carried out as `eval` does. All rows are one step. */
#ifndef GRADC_DOOR_H
#define GRADC_DOOR_H
#include "archive.h"
#include "run.h"

/* `eval` with --write-outputs or --write-gradients; the front is open (with training, for gradients). The exit status. */
int door_eval(Run *run);

/* Whether an option names an NPZ or safetensors file (or is absent); false after a message, and the status is EXIT_USAGE. */
bool door_takes(const char *option, const char *path);

/* trajectory.c: losses and parameters after each step of a training, kept in memory until they are written. */
typedef struct {
  int64_t steps, done;
  double *loss;         /* [steps] */
  Vec(uint32_t) slots;  /* parameters and layers' states */
  char **values;        /* one a slot: [steps, dims of the slot] */
} Trajectory;           /* start from {0} */

/* Room for `steps` steps; false after a message. */
bool trajectory_start(Trajectory *t, Front *f, GradcModel *model, int64_t steps);
/* After each step. */
void trajectory_step(Trajectory *t, GradcModel *model);
/* Writes what there is; false after a message. */
bool trajectory_write(const Trajectory *t, Front *f, GradcModel *model, const char *path);
void trajectory_free(Trajectory *t);

#endif
