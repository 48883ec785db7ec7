/* archive.h: files of named arrays, NPZ and safetensors, as what other frameworks read and write. */
#ifndef GRADC_ARCHIVE_H
#define GRADC_ARCHIVE_H
#include "bytes.h"
#include "gradc.h"

enum { ARCHIVE_MAX_RANK = GRADC_MAX_RANK + 1 }; /* a tensor of the model, and the axis of the steps that it was kept after */

/* An array in C order. */
typedef struct {
  const char *name;
  GradcType type;
  int32_t rank;
  int64_t dims[ARCHIVE_MAX_RANK];
  const void *data;
} NamedArray;

/* Whether a path ends in .npz or .safetensors, which decides the format. */
bool archive_is(const char *path);
bool archive_is_npz(const char *path);

/* Writes the arrays, whole or not at all; what is there is replaced. Errors: FILE; ARGUMENT where an NPZ would be larger than
 * the 4 GiB that a plain ZIP file can be. */
GradcStatus archive_write(const char *path, const NamedArray *arrays, uint32_t count, GradcMessage *message);

/* Reads a whole NPZ file into what a safetensors file is in memory: floats keep their type, integers become I32 where all of
 * them fit, else F64. The caller closes it. NULL after a diagnostic. */
GradcFile *archive_read_npz(Session *s, const char *path);

#endif
