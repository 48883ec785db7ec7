/* embedded.h: the standard library's files, as bytes of the binary. */
#ifndef GRADC_EMBEDDED_H
#define GRADC_EMBEDDED_H
#include <stddef.h>

typedef struct {
  const char *path; /* "library/dense.nn" */
  const char *text; /* NUL-terminated */
  size_t length;
} EmbeddedFile;

extern const EmbeddedFile embedded_files[]; /* ended by one without a path */

#endif
