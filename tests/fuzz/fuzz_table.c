/* Any bytes as a CSV file, gzipped or not: refused with one message, or a table all of whose rows have all columns. */
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "table.h"

static void check(int truth) {
  if (!truth) abort();
}

static void check_table(const Table *t) {
  check(t->rows && t->columns);
  for (uint32_t row = 0; row < t->rows; row++) {
    const char *cell = table_row(t, row);
    for (uint32_t i = 0; i < t->columns; i++, cell = table_skip(cell, 1)) {
      double value;
      if (!number_is_missing(cell)) number_parse(cell, &value);
    }
    check(row + 1 == t->rows || cell == table_row(t, row + 1));
    check(!row || t->lines[row] >= t->lines[row - 1]);
  }
  for (uint32_t i = 0; i < t->columns; i++) check(!*t->names[i] || table_column(t, t->names[i]) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Session s = {0};
  Bytes bytes = {malloc(size + 1), size};
  if (size) memcpy(bytes.data, data, size);
  bytes.data[size] = 0;
  const TableOptions options = {.separator = size % 7 ? 0 : ';', .header = (int)(size % 3) - 1};
  Table *t = bytes_unpack(&s, "input", (Span){0}, &bytes) ? table_parse(&s, "input", &bytes, &options) : NULL;
  check(t ? !s.errors : s.errors == 1);
  if (t) check_table(t);
  table_free(t);
  bytes_free(&bytes);
  session_free(&s);
  return 0;
}
