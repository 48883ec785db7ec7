/* fit.c: what is learnt from the data before training: the categories of texts, and means and deviations. They go into the
 * statistics, or come from there when a trained model reads other data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "number.h"

const char *block_key(Block *b, const Line *line, uint32_t step, const char *what) {
  const char *block = *b->plan->name ? arena_printf(&b->arena, "%s.", b->plan->name) : "";
  return arena_printf(&b->arena, "data.%s%s.%u.%s", block, line->plan->name, step, what);
}

static bool no_statistics(Block *b, const Line *line) {
  Diag *d = diag_error(b->session, "data-statistics", line->plan->span, "the checkpoint lacks the statistics of `%s`", line->plan->name);
  diag_hint(b->session, d, "its model had another data block; train again");
  return false;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* All different texts of both files, missing ones aside, in the order of their bytes. */
static void gather_words(Block *b, Line *line, LineStep *step) {
  Vec(const char *) cells = {0};
  for (int part = 0; part < b->parts; part++) {
    const Table *t = b->sources[part].table;
    for (int64_t row = 0; row < t->rows; row++) {
      for (uint32_t i = 0; i < line->column_count; i++) {
        const char *cell = table_skip(table_row(t, row), line->columns[part][i]);
        if (!number_is_missing(cell)) vec_push(&cells, cell);
      }
    }
  }
  if (cells.count) qsort(cells.data, cells.count, sizeof *cells.data, by_text);
  uint32_t n = 0;
  for (uint32_t i = 0; i < cells.count; i++) {
    if (!n || strcmp(cells.data[n - 1], cells.data[i])) cells.data[n++] = cells.data[i];
  }
  step->words = ARENA_ARRAY(&b->arena, const char *, n + 1);
  if (n) memcpy(step->words, cells.data, n * sizeof *cells.data);
  step->word_count = n;
  vec_free(&cells);
}

static bool enough_classes(Block *b, const Line *line, const LineStep *step) {
  if (line->plan->slot < 0 || line->step_count != 1) return true;
  for (uint32_t i = 0; i < b->want_count; i++) {
    const DataWant *want = &b->wants[i];
    if ((int32_t)want->slot != line->plan->slot || !want->classes || step->word_count <= (uint32_t)want->classes) continue;
    Session *s = b->session;
    Text list = {0};
    for (uint32_t k = 0; k < step->word_count && k < 8; k++)
      text_printf(&list, "%s%s", k ? ", " : "", number_shown(&b->arena, step->words[k]));
    Diag *d = diag_error(s, "data-classes", line->plan->span, "`%s` is label[%d], and the column has %u different texts", want->name,
                         want->classes, step->word_count);
    diag_note(s, d, (Span){0}, "they are %s%s", text_get(&list), step->word_count > 8 ? ", ..." : "");
    text_free(&list);
    if (step->word_count <= 1000) diag_hint(s, d, "write `label[%u]` in the model", step->word_count);
    return false;
  }
  return true;
}

bool block_find_categories(Block *b) {
  for (uint32_t i = 0; i < b->plan->lines.count; i++) {
    Line *line = &b->lines[i];
    if (!line->bound || !line->text) continue;
    LineStep *step = &line->steps[0];
    const char *key = block_key(b, line, 0, "categories");
    if (b->options->known) {
      step->words = stats_get_texts(b->stats, key, &b->arena, &step->word_count);
      if (!step->words) return no_statistics(b, line);
      continue;
    }
    gather_words(b, line, step);
    if (!enough_classes(b, line, step)) return false;
    stats_set_texts(b->stats, key, step->words, step->word_count);
  }
  return true;
}

/* Welford's update: exact for constant columns, and steady where the mean is large against the deviation. */
static bool fit_step(Block *b, Line *line, uint32_t index) {
  LineStep *step = &line->steps[index];
  int64_t *counts = mem_zero((size_t)step->period, sizeof *counts);
  double *values = mem_alloc((size_t)step->in * sizeof *values);
  bool ok = true;
  for (int64_t row = 0; row < step->rows[0] && ok; row++) {
    if (!step->used[row]) continue;
    ok = line_value(b, 0, line, index, row, values);
    for (int64_t i = 0; i < step->in && ok; i++) {
      if (isnan(values[i])) continue;
      const int64_t c = i % step->period;
      const double delta = values[i] - step->mean[c];
      step->mean[c] += delta / (double)++counts[c];
      step->deviation[c] += delta * (values[i] - step->mean[c]);
    }
  }
  for (int64_t c = 0; c < step->period; c++)
    step->deviation[c] = counts[c] ? sqrt(step->deviation[c] / (double)counts[c]) : 0;
  free(counts);
  free(values);
  return ok;
}

bool block_fit(Block *b) {
  for (uint32_t i = 0; i < b->plan->lines.count; i++) {
    Line *line = &b->lines[i];
    for (uint32_t k = 0; line->bound && k < line->step_count; k++) {
      LineStep *step = &line->steps[k];
      if (step->plan->kind != DATA_STANDARDIZE) continue;
      const char *mean = block_key(b, line, k, "mean"), *deviation = block_key(b, line, k, "deviation");
      if (b->options->known) {
        if (!stats_get_numbers(b->stats, mean, step->mean, step->period) ||
            !stats_get_numbers(b->stats, deviation, step->deviation, step->period))
          return no_statistics(b, line);
        continue;
      }
      if (!fit_step(b, line, k)) return false;
      stats_set_numbers(b->stats, mean, step->mean, step->period);
      stats_set_numbers(b->stats, deviation, step->deviation, step->period);
    }
  }
  return true;
}
