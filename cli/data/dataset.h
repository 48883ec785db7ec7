/* dataset.h: a data block carried out: the rows of its file, as arrays of the types and shapes that the model wants, in a
 * training part and a held-out part. Values are evaluated row by row, in double, and stored once. */
#ifndef GRADC_DATASET_H
#define GRADC_DATASET_H
#include "program.h"
#include "stats.h"

/* An input or a target of the model. */
typedef struct {
  const char *name;
  uint32_t slot;
  Type type;
  int32_t classes;  /* label[k]: k; else 0 */
  bool target;
  Dims shape;       /* of one example */
} DataWant;

typedef struct {
  const DataWant *want;
  int64_t elements;  /* of one example */
  void *values;      /* [rows, elements] of the type; NULL for a target that was not wanted */
  Vec(const DataStep *) augment; /* done in training only, when a batch is made */
} DataFeed;

typedef struct {
  int64_t rows;
  DataFeed *feeds;   /* one a want, in order */
  uint32_t *lines;   /* [rows]: line of the file (a table) or row from 0 (an array); NULL: the row itself */
  const char *path;  /* "" where data is drawn */
  /* Characters: the part can begin at any of `slide` characters, new in each epoch; rows are `stride` characters apart.
   * 0: each row has values of its own. */
  int64_t slide, stride;
} DataPart;

typedef struct {
  const DataPlan *plan;
  uint32_t feed_count;
  DataPart train, held; /* held.rows is 0 where nothing is held out */
  void *own;            /* what dataset_free frees besides */
  Arena arena;
} Dataset;

typedef struct {
  const char *folder;   /* of the .nn file: where its paths start */
  const char *file;     /* of the command line: instead of the plan's; or NULL */
  bool targets;         /* false: lines of targets are not read (predict) */
  bool whole;           /* no split: all rows are in `train` */
  bool known;           /* statistics are taken from `stats` and not made */
  uint64_t seed;        /* of drawn rows and of the split */
} DataOptions;

/* NULL after a diagnostic. `block` numbers the plan among the program's. Statistics are added to `stats`, or read from it.
 * `wants` must outlive the data set. */
Dataset *dataset_load(Session *s, const DataPlan *plan, uint32_t block, const DataWant *wants, uint32_t want_count,
                      const DataOptions *options, Stats *stats);
void dataset_free(Dataset *data); /* NULL is allowed */
/* The texts that a label's numbers stand for, or NULL; in `arena`. */
const char **dataset_words(const DataPlan *plan, uint32_t block, const DataWant *want, const Stats *stats, Arena *arena,
                           uint32_t *count);

#endif
