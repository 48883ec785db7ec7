/* stats.h: what was learnt from the training data besides the parameters: means and deviations, categories, the split. It
 * travels in the checkpoint as texts under keys, and is applied again by eval and predict. */
#ifndef GRADC_STATS_H
#define GRADC_STATS_H
#include "arena.h"
#include "vec.h"
#include <stdbool.h>

typedef struct { const char *key, *value; } Stat;
typedef struct {
  Vec(Stat) pairs; /* in the order of their making */
  Arena arena;
} Stats; /* start from {0} */

void stats_set(Stats *stats, const char *key, const char *value); /* copies both; replaces an old value */
const char *stats_get(const Stats *stats, const char *key);       /* NULL: none */
void stats_free(Stats *stats);

/* Numbers as a text that reads back to the same doubles. False where the text is not `count` finite numbers. */
void stats_set_numbers(Stats *stats, const char *key, const double *values, int64_t count);
bool stats_get_numbers(const Stats *stats, const char *key, double *values, int64_t count);
/* Texts, whatever is in them. stats_get_texts: NULL where there are none; *count texts in `arena`. */
void stats_set_texts(Stats *stats, const char *key, const char *const *texts, uint32_t count);
const char **stats_get_texts(const Stats *stats, const char *key, Arena *arena, uint32_t *count);

#endif
