/* program.h: what a `.nn` file has become when every user error is behind: graphs, a plan of the data, a plan of the
 * training. It is plain data; the later stages and the tool read it and never see syntax. */
#ifndef GRADC_PROGRAM_H
#define GRADC_PROGRAM_H
#include "graph.h"

/* ---- data: how the rows of a file become inputs and targets ---- */

typedef enum {
  DATA_COLUMNS,    /* columns of a table, in order: `names`, or from first to last in the file's order where `is_range` */
  DATA_ARRAY,      /* a named array of an NPZ, or a file (IDX, NPY, gzipped or not) in the folder of the data */
  DATA_CHARACTERS, /* windows of `length` characters of a text, `shift` characters on */
  DATA_LINE,       /* an earlier line of the block, by `line` */
  DATA_DRAWN       /* nothing is read: `function` draws it (it has no input slot) */
} DataSourceKind;

typedef enum {
  DATA_SCALE,       /* times `number` */
  DATA_STANDARDIZE, /* (x - mean) / deviation, each column by the training part (biased deviation; constant columns: 0) */
  DATA_ONE_HOT,     /* label -> `shape` [k] */
  DATA_CATEGORIES,  /* text -> label, numbered in the order of the texts of the whole file */
  DATA_RESHAPE,     /* to `shape` */
  DATA_WINDOWS,     /* `length` consecutive rows, from `shift` rows on, become one example */
  DATA_FUNCTION,    /* `function`: slot 0 is the value so far (shape of the row), output 0 the new one */
  DATA_AUGMENT      /* flip, crop by `length` pixels, noise of deviation `number`: `text` names it; in training only */
} DataStepKind;

typedef struct {
  DataStepKind kind;
  double number;
  int64_t length, shift;
  Dims shape;
  Graph *function;
  const char *text;
  Span span;
} DataStep;

typedef struct {
  const char *name; /* of the input, the target, or the helper */
  int32_t slot;     /* -1: a helper */
  DataSourceKind source;
  bool is_range;
  Vec(const char *) names; /* DATA_COLUMNS; DATA_ARRAY: name, then the held-out part's file where given */
  int64_t length, shift;
  uint32_t line;
  Graph *function;
  Vec(DataStep) steps;
  uint8_t missing;  /* MissingKind of this line */
  bool implied;     /* no line of the file: found by the input's name (x, or x_0 .. x_n) */
  Span span;
} DataLine;

typedef enum { SPLIT_NONE, SPLIT_EVERY, SPLIT_FRACTION, SPLIT_COLUMN, SPLIT_FILE } SplitKind;
typedef enum { MISSING_ERROR, MISSING_DROP, MISSING_KEEP } MissingKind;

typedef struct {
  const char *name;      /* of the block; "" for the one without */
  const char *file;      /* relative to the .nn file's folder, or NULL */
  const char *format;    /* or NULL: by the file's ending */
  char separator;        /* 0: comma */
  int8_t header;         /* 1, 0; -1: by looking */
  MissingKind missing;
  SplitKind split;
  double split_number;   /* SPLIT_EVERY: n; SPLIT_FRACTION: f */
  const char *split_text; /* the column or the file */
  int64_t size;          /* drawn data: rows */
  Vec(DataLine) lines;   /* every input and target of the block has one */
  Span span, file_span, split_span;
} DataPlan;

/* ---- training ---- */

typedef struct {
  int64_t batch;         /* 0: all rows */
  int64_t epochs;        /* 0: by steps */
  int64_t steps;         /* 0: by epochs */
  uint64_t seed;
  Span span;
} TrainPlan;

/* `start for "teacher.*" = weights("big.safetensors", "*")`, taken apart: one a parameter or state. */
typedef struct {
  const char *name;       /* of the slot */
  const char *file;       /* relative to the .nn file's folder */
  const char *from;       /* the tensor's name there */
  Span span;
} WeightStart;

typedef struct {
  const char *name;       /* "sgd", with its settings as the user reads them, for --print-config and the report */
  const char *value;
} Setting;

typedef struct Program {
  Session *session;
  const char *name;       /* the model's */
  const char *path;       /* the .nn file */
  /* All with the same slots. init: OUT_SLOT for every parameter and state. train: forward with `training` true,
   * gradients, clipping, optimiser: OUT_LOSS, OUT_SLOT, and OUT_METRIC on the batch. eval: `training` false: OUT_VALUE,
   * OUT_LOSS, OUT_METRIC, and OUT_SLOT for the states of metrics. A metric with states has no weight: its value is that
   * of the data set so far, so the last batch's counts; its states start anew, from init, before a data set. gradient:
   * train's forward with OUT_LOSS and, as OUT_VALUE named as the parameter or input, the gradient of the total loss by
   * each parameter and each float input. */
  Graph *init, *train, *eval, *gradient;
  /* Of functions `with gradient`, two OUT_VALUE each call and parameter, named "`f` by `x`": the gradient that the function
   * gives and the one of its value, both for the same random gradient of the result. Calls within loops are left out. */
  Graph *rules;
  Vec(DataPlan) data;     /* one a batch symbol, at least one */
  TrainPlan plan;
  Vec(WeightStart) starts;
  Vec(Setting) settings;  /* everything that --set can change, with its value */
  bool silent;            /* nothing was said of it: no warning */
  const struct Kept *kept; /* it comes from the cache (compiler/kept.h), with no graph but `init`, which has no nodes; else NULL */
  Arena arena;
} Program;

#endif
