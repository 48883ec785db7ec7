/* table.c: CSV files through libcsv, which knows quotes; what a line is, and what is wrong with it, is said here. Lines are
 * fed one by one, so that each row knows where it began although quoted cells may hold newlines. */
#include "table.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "mem.h"
#include "number.h"

typedef struct {
  Session *session;
  Table *table;
  size_t size, capacity;       /* of table->cells */
  uint32_t row_capacity;
  uint32_t line, row_line;     /* the line being fed; that on which the row began */
  uint32_t cells;              /* of the row so far */
  size_t row_start;
  bool failed;
} Reader;

static Diag *fail(Reader *r, const char *slug, uint32_t line, const char *text) {
  Diag *d = diag_error(r->session, slug, (Span){0}, "%s", text);
  diag_at(r->session, d, r->table->path, line);
  r->failed = true;
  return d;
}

static void take_cell(void *text, size_t length, void *data) {
  Reader *r = data;
  if (r->failed) return;
  if (!r->cells) r->row_start = r->size;
  if (memchr(text, 0, length)) {
    Diag *d = fail(r, "data-not-text", r->line, "there is a zero byte: this is not a text file");
    diag_hint(r->session, d, "a table is a CSV file in UTF-8; save it as such");
    return;
  }
  if (r->size + length + 1 > r->capacity) {
    r->capacity = (r->size + length + 1) * 3 / 2;
    r->table->cells = mem_resize(r->table->cells, r->capacity);
  }
  memcpy(r->table->cells + r->size, text, length);
  r->table->cells[r->size + length] = 0;
  r->size += length + 1;
  r->cells++;
}

static void ragged(Reader *r) {
  Table *t = r->table;
  Session *s = r->session;
  Diag *d = fail(r, "data-ragged", r->row_line,
                 arena_printf(&s->arena, "this row has %u cell%s, the first row (line %u) has %u", r->cells,
                              r->cells == 1 ? "" : "s", t->lines[0], t->columns));
  if (r->line > r->row_line)
    diag_hint(s, d, "the row reaches to line %u: a quote may not be closed", r->line);
  else if (r->cells > t->columns)
    diag_hint(s, d, "a cell that contains `%c` is written in quotes: \"a%cb\"", t->separator, t->separator);
  else
    diag_hint(s, d, "write an empty cell where a value is missing, so that every row has %u", t->columns);
}

static void take_row(int end, void *data) {
  Reader *r = data;
  Table *t = r->table;
  if (r->failed || !r->cells) return;
  if (t->rows == r->row_capacity) {
    r->row_capacity = r->row_capacity ? r->row_capacity * 2 : 256;
    t->starts = mem_resize(t->starts, r->row_capacity * sizeof *t->starts);
    t->lines = mem_resize(t->lines, r->row_capacity * sizeof *t->lines);
  }
  t->starts[t->rows] = r->row_start;
  t->lines[t->rows++] = r->row_line;
  if (t->rows == 1) t->columns = r->cells;
  if (r->cells != t->columns) ragged(r);
  r->cells = 0;
}

static void bad_quotes(Reader *r, bool at_end) {
  Diag *d;
  if (at_end)
    d = fail(r, "data-quotes", r->row_line, "a quoted cell of this row is never closed");
  else
    d = fail(r, "data-quotes", r->line, "there is a quote within a cell");
  diag_hint(r->session, d, "a cell that contains quotes is quoted itself, and each of them is doubled: \"5\"\" nail\"");
}

static void feed(Reader *r, struct csv_parser *parser, const char *text, size_t size) {
  const char *end = text + size;
  for (const char *p = text; p < end && !r->failed;) {
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    const char *next = newline ? newline + 1 : end;
    r->line++;
    if (!parser->pstate) r->row_line = r->line; /* between rows; else the row began on an earlier line */
    const size_t n = csv_parse(parser, p, (size_t)(next - p), take_cell, take_row, r);
    if (n != (size_t)(next - p) && !r->failed) bad_quotes(r, false);
    p = next;
  }
  if (!r->failed && csv_fini(parser, take_cell, take_row, r) && !r->failed) bad_quotes(r, true);
}

static bool looks_utf16(const Bytes *b) {
  return b->size >= 2 && (!memcmp(b->data, "\xff\xfe", 2) || !memcmp(b->data, "\xfe\xff", 2));
}

static bool is_header(const Table *t) {
  const char *cell = table_row(t, 0);
  for (uint32_t i = 0; i < t->columns; i++, cell = table_skip(cell, 1)) {
    double value;
    if (number_parse(cell, &value) != NUMBER_NOT || (*cell && number_is_missing(cell))) return false;
  }
  return true;
}

static void take_names(Table *t, bool header) {
  t->header = header;
  t->names = ARENA_ARRAY(&t->arena, const char *, t->columns);
  const char *cell = table_row(t, 0);
  for (uint32_t i = 0; i < t->columns; i++, cell = table_skip(cell, 1)) {
    if (!header) {
      t->names[i] = arena_printf(&t->arena, "column_%u", i);
      continue;
    }
    size_t n = strlen(cell), lead = strspn(cell, " \t");
    while (n > lead && (cell[n - 1] == ' ' || cell[n - 1] == '\t')) n--;
    t->names[i] = arena_text(&t->arena, cell + lead, n - lead);
  }
}

typedef struct { const char *name; uint32_t column; } Named;
static int by_name(const void *a, const void *b) {
  const Named *x = a, *y = b;
  const int order = strcmp(x->name, y->name);
  return order ? order : (x->column > y->column) - (x->column < y->column);
}

/* A name twice is an error although nothing may use it: which of the two is meant cannot be known. Columns without a name,
 * as some tools write for row numbers, may be many. */
static void check_names(Reader *r) {
  const Table *t = r->table;
  Named *names = mem_alloc(t->columns * sizeof *names);
  for (uint32_t i = 0; i < t->columns; i++) names[i] = (Named){t->names[i], i};
  qsort(names, t->columns, sizeof *names, by_name);
  for (uint32_t i = 1; i < t->columns && !r->failed; i++) {
    if (!*names[i].name || strcmp(names[i - 1].name, names[i].name)) continue;
    Session *s = r->session;
    Diag *d = fail(r, "data-column-twice", t->lines[0],
                   arena_printf(&s->arena, "two columns are named `%s`: numbers %u and %u",
                                number_shown(&s->arena, names[i].name), names[i - 1].column + 1, names[i].column + 1));
    diag_hint(s, d, "rename one of them in the file");
  }
  free(names);
}

static void finish(Reader *r, int header) {
  Table *t = r->table;
  Session *s = r->session;
  if (!t->rows) {
    fail(r, "data-empty", 0, "the file is empty");
    return;
  }
  const bool has_header = header < 0 ? is_header(t) : header > 0;
  take_names(t, has_header);
  if (!has_header) return;
  check_names(r);
  if (r->failed) return;
  if (t->rows == 1) {
    Diag *d = fail(r, "data-header-only", t->lines[0], "there is a header and no row below it");
    if (header < 0) diag_hint(s, d, "if this line is data, write `header = false` in the data block");
    return;
  }
  memmove(t->starts, t->starts + 1, (t->rows - 1) * sizeof *t->starts);
  memmove(t->lines, t->lines + 1, (t->rows - 1) * sizeof *t->lines);
  t->rows--;
}

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && !strcmp(text + n - m, end);
}

Table *table_parse(Session *s, const char *path, const Bytes *bytes, const TableOptions *options) {
  Table *t = mem_zero(1, sizeof *t);
  t->path = arena_text(&t->arena, path, strlen(path));
  const bool tabs = ends_with(path, ".tsv") || ends_with(path, ".tsv.gz");
  t->separator = options->separator ? options->separator : tabs ? '\t' : ',';
  Reader r = {.session = s, .table = t};
  if (looks_utf16(bytes)) {
    Diag *d = fail(&r, "data-not-text", 0, "the file is in UTF-16");
    diag_hint(s, d, "save it in UTF-8: `iconv -f UTF-16 -t UTF-8 %s`", path);
  } else {
    struct csv_parser parser;
    csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_delim(&parser, (unsigned char)t->separator);
    const size_t mark = bytes->size >= 3 && !memcmp(bytes->data, "\xef\xbb\xbf", 3) ? 3 : 0;
    feed(&r, &parser, bytes->data + mark, bytes->size - mark);
    csv_free(&parser);
  }
  if (!r.failed) finish(&r, options->header);
  if (!r.failed) return t;
  table_free(t);
  return NULL;
}

Table *table_read(Session *s, const char *path, const TableOptions *options) {
  Bytes bytes;
  if (!bytes_read(s, path, options->span, &bytes)) return NULL;
  Table *t = table_parse(s, path, &bytes, options);
  bytes_free(&bytes);
  return t;
}

void table_free(Table *table) {
  if (!table) return;
  free(table->cells);
  free(table->starts);
  free(table->lines);
  arena_free(&table->arena);
  free(table);
}

int64_t table_column(const Table *table, const char *name) {
  for (uint32_t i = 0; i < table->columns; i++) {
    if (!strcmp(table->names[i], name) || (!table->header && !strcmp(table->names[i] + strlen("column_"), name))) return i;
  }
  return -1;
}

const char *table_skip(const char *cell, uint32_t from) {
  while (from--) cell += strlen(cell) + 1;
  return cell;
}
