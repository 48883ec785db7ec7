/* values.c: the value of a line at a row, found by going back through its steps; and what a wrong cell is told. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "number.h"

/* The row of the source with which a row of the value begins. */
static int64_t source_row(const Block *b, const Line *line, int64_t row) {
  for (uint32_t i = 0; i < line->step_count; i++) {
    if (line->steps[i].plan->kind == DATA_WINDOWS) row += line->steps[i].plan->shift;
  }
  if (!line->columns[0] && line->plan->source == DATA_LINE) return source_row(b, &b->lines[line->plan->line], row);
  return row;
}

uint32_t line_place(const Block *b, int part, const Line *line, int64_t row) {
  const Table *t = b->sources[part].table;
  const int64_t at = source_row(b, line, row);
  return t ? t->lines[at] : (uint32_t)at;
}

Diag *line_fail(Block *b, int part, const Line *line, int64_t row, int64_t element, const char *slug, const char *text) {
  Session *s = b->session;
  const Table *t = b->sources[part].table;
  Diag *d;
  if (t && line->columns[part]) {
    const uint32_t column = line->columns[part][element >= 0 ? element % line->column_count : 0];
    const char *name = number_shown(&s->arena, t->names[column]);
    d = diag_error(s, slug, (Span){0}, "column `%s`: %s", name, text);
    diag_at(s, d, t->path, line_place(b, part, line, row));
  } else {
    d = diag_error(s, slug, (Span){0}, "`%s`, row %u: %s", line->plan->name, line_place(b, part, line, row), text);
    if (b->sources[part].path && *b->sources[part].path)
      diag_at(s, d, line->arrays[part] ? line->arrays[part]->path : b->sources[part].path, 0);
  }
  if (!span_is_none(line->plan->span)) diag_note(s, d, line->plan->span, "`%s` is read here", line->plan->name);
  return d;
}

static void hint_number(Block *b, int part, const Line *line, int64_t row, const char *cell, Diag *d) {
  const Table *t = b->sources[part].table;
  const char *comma = strchr(cell, ',');
  if (row == 0 && !t->header)
    diag_hint(b->session, d, "if the first line is a header, write `header = true` in the data block");
  else if (comma && !strchr(comma + 1, ','))
    diag_hint(b->session, d, "decimal numbers are written with a point: `%.*s.%s`", (int)(comma - cell), cell, comma + 1);
  else
    diag_hint(b->session, d, "texts become numbers by `|> categories`; correct the cell if it is a slip");
}

static bool bad_cell(Block *b, int part, Line *line, int64_t row, uint32_t i, const char *cell, NumberStatus status) {
  Session *s = b->session;
  const char *shown = number_shown(&s->arena, cell);
  Diag *d;
  if (status == NUMBER_NOT_FINITE) {
    d = line_fail(b, part, line, row, i, "data-not-finite", arena_printf(&s->arena, "`%s` is not a finite number", shown));
    diag_hint(s, d, "write NA, or leave the cell empty, if the value is missing, and say what becomes of it: `missing = drop`");
    return false;
  }
  d = line_fail(b, part, line, row, i, "data-not-number", arena_printf(&s->arena, "`%s` is not a number", shown));
  hint_number(b, part, line, row, cell, d);
  return false;
}

static bool missing_cell(Block *b, int part, Line *line, int64_t row, uint32_t i, const char *cell) {
  Session *s = b->session;
  Diag *d = line_fail(b, part, line, row, i, "data-missing",
                      *cell ? arena_printf(&s->arena, "`%s`: the value is missing", cell) : "the cell is empty: the value is missing");
  diag_hint(s, d, "write `missing = drop` in the data block to leave such rows out, or `missing = keep` if the model deals with them");
  return false;
}

static int by_text(const void *key, const void *entry) { return strcmp(key, *(const char *const *)entry); }

/* The number of a category: its place among the sorted texts. */
static bool category(Block *b, int part, Line *line, int64_t row, uint32_t i, const char *cell, double *out) {
  const LineStep *step = &line->steps[0];
  const char **found = bsearch(cell, step->words, step->word_count, sizeof *step->words, by_text);
  if (found) {
    *out = (double)(found - step->words);
    return true;
  }
  Session *s = b->session;
  Text list = {0};
  for (uint32_t k = 0; k < step->word_count && k < 8; k++)
    text_printf(&list, "%s%s", k ? ", " : "", number_shown(&b->arena, step->words[k]));
  Diag *d = line_fail(b, part, line, row, i, "data-category",
                      arena_printf(&s->arena, "`%s` is none of the categories of the training", number_shown(&s->arena, cell)));
  diag_hint(s, d, "they are %s%s", text_get(&list), step->word_count > 8 ? ", ..." : "");
  text_free(&list);
  return false;
}

/* Columns mostly come in order, so a row is walked once. */
typedef struct { const Table *table; int64_t row; const char *cell; uint32_t column; } Walk;
static const char *walk_to(Walk *w, uint32_t column) {
  if (!w->cell || column < w->column) w->cell = table_row(w->table, w->row), w->column = 0;
  w->cell = table_skip(w->cell, column - w->column);
  w->column = column;
  return w->cell;
}

static bool read_cells(Block *b, int part, Line *line, int64_t row, double *out) {
  Walk walk = {b->sources[part].table, row, NULL, 0};
  for (uint32_t i = 0; i < line->column_count; i++) {
    const char *cell = walk_to(&walk, line->columns[part][i]);
    if (number_is_missing(cell)) {
      out[i] = NAN;
      if (line->plan->missing == MISSING_ERROR) return missing_cell(b, part, line, row, i, cell);
      continue;
    }
    if (line->text) {
      if (!category(b, part, line, row, i, cell, &out[i])) return false;
      continue;
    }
    const NumberStatus status = number_parse(cell, &out[i]);
    if (status != NUMBER_OK) return bad_cell(b, part, line, row, i, cell, status);
  }
  return true;
}

static bool read_array(Block *b, int part, Line *line, int64_t row, double *out) {
  array_row(line->arrays[part], row, out);
  if (line->arrays[part]->type < ARRAY_F32) return true; /* integers are finite */
  for (int64_t i = 0; i < line->source; i++) {
    if (isfinite(out[i]) || (isnan(out[i]) && line->plan->missing != MISSING_ERROR)) continue;
    Diag *d = line_fail(b, part, line, row, i, "data-not-finite",
                        arena_printf(&b->session->arena, "element %lld is %s", (long long)i, isnan(out[i]) ? "NaN" : "infinite"));
    if (isnan(out[i])) diag_hint(b->session, d, "a NaN is a missing value: `missing = drop` or `keep` in the data block says what becomes of it");
    return false;
  }
  return true;
}

static bool source_value(Block *b, int part, Line *line, int64_t row, double *out) {
  if (line->columns[part]) return read_cells(b, part, line, row, out);
  if (line->arrays[part]) return read_array(b, part, line, row, out);
  if (line->plan->source == DATA_LINE) {
    Line *other = &b->lines[line->plan->line];
    return line_value(b, part, other, other->step_count, row, out);
  }
  function_value(b, line->plan->function, NULL, 0, row, out, line->source);
  return true;
}

static bool one_hot(Block *b, int part, Line *line, const LineStep *step, int64_t row, double *out) {
  const int64_t k = step->out / step->in;
  memcpy(step->scratch, out, (size_t)step->in * sizeof *out);
  for (int64_t i = 0; i < step->in; i++) {
    const double label = step->scratch[i];
    const bool known = !isnan(label);
    if (known && (label < 0 || label >= (double)k || label != floor(label))) {
      line_fail(b, part, line, row, i, "data-label",
                arena_printf(&b->session->arena, "%.9g is no label of 0 to %lld, which `one_hot` takes", label, (long long)k - 1));
      return false;
    }
    for (int64_t c = 0; c < k; c++) out[i * k + c] = known ? label == (double)c : NAN;
  }
  return true;
}

static bool windows(Block *b, int part, Line *line, uint32_t index, int64_t row, double *out) {
  const LineStep *step = &line->steps[index];
  for (int64_t t = 0; t < step->plan->length; t++) {
    if (!line_value(b, part, line, index, row + step->plan->shift + t, out + t * step->in)) return false;
  }
  return true;
}

bool line_value(Block *b, int part, Line *line, uint32_t steps, int64_t row, double *out) {
  if (!steps) return source_value(b, part, line, row, out);
  const LineStep *step = &line->steps[steps - 1];
  if (step->plan->kind == DATA_WINDOWS) return windows(b, part, line, steps - 1, row, out);
  if (step->plan->kind == DATA_FUNCTION) {
    if (!line_value(b, part, line, steps - 1, row, step->scratch)) return false;
    for (int64_t i = 0; step->each && i < step->in; i++) function_value(b, step->plan->function, step->scratch + i, 1, row, out + i, 1);
    if (!step->each) function_value(b, step->plan->function, step->scratch, step->in, row, out, step->out);
    return true;
  }
  if (!line_value(b, part, line, steps - 1, row, out)) return false;
  switch (step->plan->kind) {
    case DATA_SCALE:
      for (int64_t i = 0; i < step->in; i++) out[i] *= step->plan->number;
      return true;
    case DATA_STANDARDIZE:
      for (int64_t i = 0; i < step->in; i++) {
        const int64_t c = i % step->period;
        out[i] = isnan(out[i]) ? out[i] : step->deviation[c] > 0 ? (out[i] - step->mean[c]) / step->deviation[c] : 0;
      }
      return true;
    case DATA_ONE_HOT: return one_hot(b, part, line, step, row, out);
    default: return true; /* reshape moves nothing, categories were numbered at the source, augmenting is done in training */
  }
}

bool line_drops(Block *b, int part, Line *line, uint32_t steps, int64_t row) {
  if (steps) {
    const DataStep *step = line->steps[steps - 1].plan;
    if (step->kind != DATA_WINDOWS) return line_drops(b, part, line, steps - 1, row);
    for (int64_t t = 0; t < step->length; t++) {
      if (line_drops(b, part, line, steps - 1, row + step->shift + t)) return true;
    }
    return false;
  }
  if (!line->columns[part] && !line->arrays[part] && line->plan->source == DATA_LINE) {
    Line *other = &b->lines[line->plan->line];
    return line_drops(b, part, other, other->step_count, row);
  }
  if (line->plan->missing != MISSING_DROP) return false;
  if (line->columns[part]) {
    Walk walk = {b->sources[part].table, row, NULL, 0};
    for (uint32_t i = 0; i < line->column_count; i++) {
      if (number_is_missing(walk_to(&walk, line->columns[part][i]))) return true;
    }
  } else if (line->arrays[part]) {
    double *values = mem_alloc((size_t)line->source * sizeof *values);
    bool found = false;
    array_row(line->arrays[part], row, values);
    for (int64_t i = 0; i < line->source && !found; i++) found = isnan(values[i]);
    free(values);
    return found;
  }
  return false;
}

void line_use(Block *b, int part, Line *line, uint32_t steps, int64_t row) {
  if (!steps) {
    if (line->columns[part] || line->arrays[part] || line->plan->source != DATA_LINE) return;
    Line *other = &b->lines[line->plan->line];
    line_use(b, part, other, other->step_count, row);
    return;
  }
  const LineStep *step = &line->steps[steps - 1];
  if (step->plan->kind == DATA_WINDOWS) {
    for (int64_t t = 0; t < step->plan->length; t++) line_use(b, part, line, steps - 1, row + step->plan->shift + t);
    return;
  }
  if (step->plan->kind == DATA_STANDARDIZE) step->used[row] = 1;
  line_use(b, part, line, steps - 1, row);
}
