/* bytes.h: a file's contents in memory, gzip undone where the file is gzipped (whatever its name). */
#ifndef GRADC_BYTES_H
#define GRADC_BYTES_H
#include "diag.h"

typedef struct {
  char *data; /* a NUL follows the last byte */
  size_t size;
} Bytes; /* start from {0} */

/* Reads the file at `path`. False after a diagnostic; `span` is the place in the `.nn` file that names it (none: the
 * command line). */
bool bytes_read(Session *s, const char *path, Span span, Bytes *bytes);
/* The second half of it: undoes gzip where the bytes are gzipped. False after a diagnostic. */
bool bytes_unpack(Session *s, const char *path, Span span, Bytes *bytes);
void bytes_free(Bytes *bytes);

#endif
