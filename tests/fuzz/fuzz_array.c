/* Any bytes as an IDX, NPY or NPZ file: refused with one message, or an array whose every row can be read. */
#include <stdlib.h>
#include <string.h>

#include "array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Session s = {0};
  Bytes bytes = {malloc(size + 1), size};
  if (size) memcpy(bytes.data, data, size);
  bytes.data[size] = 0;
  Array *a = array_parse(&s, "input", bytes, "x", (Span){0});
  if (a ? s.errors != 0 : s.errors != 1) abort();
  if (a) {
    double *row = malloc((size_t)a->row * sizeof *row);
    for (int64_t i = 0; i < a->dims[0]; i++) array_row(a, i, row);
    free(row);
  }
  array_free(a);
  session_free(&s);
  return 0;
}
