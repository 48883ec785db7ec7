/* table.h: a table of texts, as a CSV file has it. Cells stay texts until a line of the data block says what they are. */
#ifndef GRADC_TABLE_H
#define GRADC_TABLE_H
#include "bytes.h"

typedef struct {
  const char *path;
  bool header;          /* names come from the file; else they are column_0, column_1, .. */
  uint32_t columns;
  uint32_t rows;        /* without the header; at least 1 */
  const char **names;
  char *cells;          /* row by row, column by column, each with a NUL */
  size_t *starts;       /* [rows]: each row's first byte in `cells` */
  uint32_t *lines;      /* [rows]: the line of the file on which it begins, from 1 */
  char separator;
  Arena arena;          /* of the names */
} Table;

typedef struct {
  char separator;       /* 0: comma, or a tab where the file's name ends in .tsv */
  int header;           /* 1, 0; -1: the first row is a header if none of its cells is a number or missing */
  Span span;            /* where the `.nn` file names the table */
} TableOptions;

/* Reads a CSV file, gzipped or not. NULL after one diagnostic: unreadable, empty, ragged, badly quoted, a header alone, a
 * column's name twice. */
Table *table_read(Session *s, const char *path, const TableOptions *options);
/* The same from bytes in memory, without gzip. */
Table *table_parse(Session *s, const char *path, const Bytes *bytes, const TableOptions *options);
void table_free(Table *table); /* NULL is allowed */

/* The number of a column by its name, or -1. Without a header, "3" also names column_3. */
int64_t table_column(const Table *table, const char *name);
/* The cell `from` columns after `cell` in the same row. */
const char *table_skip(const char *cell, uint32_t from);
static inline const char *table_row(const Table *table, int64_t row) { return table->cells + table->starts[row]; }

#endif
