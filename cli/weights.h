/* weights.h: trained parameters and statistics from a safetensors file, and where one may be written. */
#ifndef GRADC_WEIGHTS_H
#define GRADC_WEIGHTS_H
#include "front.h"
#include "gradc.h"

/* Opens a file, safetensors or (by its ending) NPZ; NULL after a message. */
GradcFile *weights_open(Front *f, const char *path);
/* The statistics of the data that the model was trained on. */
void weights_stats(const GradcFile *file, Stats *stats);
/* Copies parameters and layers' states into the model, by name; false after a message (the model may be half filled). */
bool weights_read(Front *f, const GradcFile *file, const char *path, GradcModel *model);

/* Copies the tensor `name` of the file to `to`, converted to its type; false after a message. */
bool weights_tensor(Front *f, const GradcFile *file, const char *path, const char *name, GradcTensor *to);

/* What the model's own `start` settings take from other files. */
bool weights_start(Front *f, GradcModel *model);

/* Whether the checkpoint can be written at the end: the folder takes files, and what is there already is gradc's own. False
 * after a message. Leaves nothing behind. */
bool weights_writable(Front *f, const char *path);
/* Writes parameters, states, progress, statistics and `extra` pairs. False after a message. */
bool weights_write(Front *f, GradcModel *model, const char *path, const Stats *stats, const GradcPair *extra, int extra_count);

#endif
