/* array.h: arrays of numbers in a file: IDX (the MNIST family), NPY, and NPZ, which holds several. Rows are the first axis. */
#ifndef GRADC_ARRAY_H
#define GRADC_ARRAY_H
#include "bytes.h"

enum { ARRAY_MAX_RANK = 8 };

typedef enum {
  ARRAY_BOOL, ARRAY_U8, ARRAY_I8, ARRAY_U16, ARRAY_I16, ARRAY_U32, ARRAY_I32, ARRAY_U64, ARRAY_I64, ARRAY_F32, ARRAY_F64
} ArrayType;

typedef struct {
  const char *path;
  ArrayType type;
  bool big_endian;
  bool columns_first;   /* NPY's Fortran order: the first axis is contiguous */
  bool scalar;          /* an NPY without axes, taken as one row */
  uint32_t rank;        /* at least 1 */
  int64_t dims[ARRAY_MAX_RANK];
  int64_t row;          /* elements of a row: the product of dims[1..] */
  const unsigned char *elements;
  Bytes bytes;
} Array;

/* Reads the array in a file by what the file begins with; of an NPZ, the one of this name. NULL after a diagnostic:
 * unreadable, no array, truncated, extents whose product overflows, objects instead of numbers. */
Array *array_read(Session *s, const char *path, const char *name, Span span);
/* The same from bytes in memory, which it frees. */
Array *array_parse(Session *s, const char *path, Bytes bytes, const char *name, Span span);
void array_free(Array *array); /* NULL is allowed */
/* The names of an NPZ's arrays, in the session's arena; NULL after a diagnostic. */
const char **array_names(Session *s, const char *path, const Bytes *npz, uint32_t *count);
/* One of them, which may be `scalar`; NULL after a diagnostic. `npz` is only read. */
Array *array_member(Session *s, const char *path, const Bytes *npz, const char *name);
/* The elements of a row, as doubles. */
void array_row(const Array *array, int64_t row, double *values);
uint32_t array_size_of(ArrayType type);

/* Internal: fill `array` (path and bytes are set) from the bytes of one format. False after a diagnostic. */
bool array_parse_idx(Session *s, Array *array, Span span);
bool array_parse_npy(Session *s, Array *array, Span span);
/* Internal: the bytes of an NPZ become those of its member; false after a diagnostic. */
bool array_unpack(Session *s, Array *array, const char *name, Span span);
/* Internal: the row size, and whether the bytes from `offset` hold exactly the elements. */
bool array_check(Session *s, Array *array, Span span, size_t offset, const char *format);
/* Internal: a diagnostic about the file; its text is one sentence. */
Diag *array_fail(Session *s, const Array *array, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
