/* block.h: a data block while it is carried out. Internal to cli/data.
 *
 * The value of a line at a row is found by going back through its steps to the source, so nothing between is stored:
 * windows ask for several rows, a line that names another asks that one. Part 0 is the main file, part 1 a second file
 * that is held out. */
#ifndef GRADC_BLOCK_H
#define GRADC_BLOCK_H
#include "array.h"
#include "dataset.h"
#include "table.h"

typedef struct {
  const DataStep *plan;
  int64_t in, out;       /* elements of a row before and after */
  int64_t period;        /* element i belongs to column i mod period of the source's row */
  int64_t rows[2];       /* before the step */
  double *mean, *deviation; /* standardize: [period] */
  uint8_t *used;         /* standardize: [rows[0]] rows that the training part reads */
  bool each;              /* function: of one element, applied to each */
  const char **words;    /* categories, sorted */
  uint32_t word_count;
  double *scratch;       /* [in] */
} LineStep;

typedef struct {
  const DataLine *plan;
  bool bound;
  bool text;              /* the first step takes the cells as texts */
  uint32_t *columns[2], column_count;
  Array *arrays[2];
  int64_t source;         /* elements of a row of the source */
  int64_t elements;       /* after all steps */
  int64_t rows[2];        /* after all steps */
  uint32_t step_count;
  LineStep *steps;
} Line;

typedef struct {
  const char *path;
  Table *table;
  int32_t *tokens;        /* characters, as numbers of the vocabulary */
  int64_t rows;           /* of the table, the arrays, or the characters; 0: not known yet */
} DataSource;

typedef struct {
  Session *session;
  const DataPlan *plan;
  uint32_t number;        /* of the block */
  const DataOptions *options;
  const DataWant *wants;
  uint32_t want_count;
  Stats *stats;
  DataSource sources[2];
  int parts;
  Line *lines;            /* one a line of the plan */
  Line **fed;             /* [want_count]; NULL: not read */
  int64_t examples[2];
  uint8_t *held;          /* [examples[0]]: 0 training, 1 held out, 2 dropped */
  uint8_t *dropped;       /* [examples[1]] of a second file, or NULL */
  Arena arena;
} Block;

/* bind.c: opens the files and binds the lines that the model needs: columns, arrays, shapes after every step. */
bool block_bind(Block *b);
/* Opens a path of the plan; in the block's arena. */
const char *block_path(Block *b, const char *path);

/* characters.c: reads the texts of a block of characters and cuts them into the parts of `data`. */
bool block_fill_characters(Block *b, Dataset *data);

/* values.c */
/* The value of a line after `steps` of its steps; false after a diagnostic. Missing values are NaN. */
bool line_value(Block *b, int part, Line *line, uint32_t steps, int64_t row, double *out);
/* Whether that value rests on a cell that is missing, in a line that drops such rows. */
bool line_drops(Block *b, int part, Line *line, uint32_t steps, int64_t row);
/* Marks in every standardize the rows that this value reads. */
void line_use(Block *b, int part, Line *line, uint32_t steps, int64_t row);
/* The line of the file on which a row of a line's value begins; or the row's number. */
uint32_t line_place(const Block *b, int part, const Line *line, int64_t row);
/* A diagnostic about an element of a line's value, with the `.nn` line as a note. */
Diag *line_fail(Block *b, int part, const Line *line, int64_t row, int64_t element, const char *slug, const char *text);

/* fit.c: categories (of both parts) and standardize (of the training part). False after a diagnostic. */
bool block_find_categories(Block *b);
bool block_fit(Block *b);
const char *block_key(Block *b, const Line *line, uint32_t step, const char *what);

/* split.c: fills b->held. */
bool block_split(Block *b);

/* function.c: a step's or a source's own function at a row; `in` NULL: it draws. */
void function_value(Block *b, const Graph *function, const double *in, int64_t in_count, int64_t row, double *out, int64_t out_count);

#endif
