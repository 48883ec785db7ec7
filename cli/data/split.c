/* split.c: which examples are held out, and which are dropped because a value is missing. Examples keep their numbers when
 * others are dropped, so that `every(5)` holds out rows 4, 9, .. of the file whatever is missing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "block.h"
#include "number.h"
#include "rng.h"

static bool may_drop(const Block *b) {
  for (uint32_t i = 0; i < b->plan->lines.count; i++) {
    if (b->lines[i].bound && b->plan->lines.data[i].missing == MISSING_DROP) return true;
  }
  return false;
}

static bool drops(Block *b, int part, int64_t row) {
  for (uint32_t i = 0; i < b->want_count; i++) {
    if (b->fed[i] && line_drops(b, part, b->fed[i], b->fed[i]->step_count, row)) return true;
  }
  return false;
}

static bool has_windows(const Block *b) {
  for (uint32_t i = 0; i < b->plan->lines.count; i++) {
    for (uint32_t k = 0; b->lines[i].bound && k < b->lines[i].step_count; k++) {
      if (b->lines[i].steps[k].plan->kind == DATA_WINDOWS) return true;
    }
  }
  return false;
}

/* The last part of a series; else rows drawn from the seed, which is kept, so that eval holds out the same. */
static bool split_fraction(Block *b) {
  const int64_t n = b->examples[0];
  int64_t *order = mem_alloc((size_t)n * sizeof *order), count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!b->held[i]) order[count++] = i;
  }
  const int64_t held = llround(b->plan->split_number * (double)count);
  if (!has_windows(b)) {
    const char *key = arena_printf(&b->arena, "data.%s%ssplit.seed", b->plan->name, *b->plan->name ? "." : "");
    uint64_t seed = b->options->seed;
    const char *known = b->options->known ? stats_get(b->stats, key) : NULL;
    if (known) seed = strtoull(known, NULL, 10);
    stats_set(b->stats, key, arena_printf(&b->arena, "%llu", (unsigned long long)seed));
    GradcRng rng = gradc_rng(seed, b->number, GRADC_SITE_SPLIT);
    gradc_rng_shuffle(&rng, order, count);
  }
  for (int64_t i = count - held; i < count; i++) b->held[order[i]] = 1;
  free(order);
  return true;
}

static bool split_column(Block *b) {
  static const char *const outs[] = {"test", "val", "valid", "validation", "held", "holdout", "1", "true"};
  static const char *const ins[] = {"train", "training", "0", "false"};
  Session *s = b->session;
  const Table *t = b->sources[0].table;
  const int64_t column = t ? table_column(t, b->plan->split_text) : -1;
  if (column < 0) {
    Diag *d = diag_error(s, "data-no-column", b->plan->split_span, "there is no column `%s` to split by", b->plan->split_text);
    if (t) diag_note(s, d, (Span){0}, "the file is %s", t->path);
    return false;
  }
  const Line *first = NULL;
  for (uint32_t i = 0; i < b->want_count && !first; i++) first = b->fed[i];
  for (int64_t i = 0; i < b->examples[0] && first; i++) {
    const char *cell = table_skip(table_row(t, i), (uint32_t)column);
    bool out = false, in = false;
    for (uint32_t k = 0; k < sizeof outs / sizeof *outs; k++) out = out || !strcasecmp(cell, outs[k]);
    for (uint32_t k = 0; k < sizeof ins / sizeof *ins; k++) in = in || !strcasecmp(cell, ins[k]);
    if (!out && !in) {
      Diag *d = diag_error(s, "data-split", (Span){0}, "column `%s`: `%s` says neither train nor test", b->plan->split_text,
                           number_shown(&s->arena, cell));
      diag_at(s, d, t->path, t->lines[i]);
      diag_note(s, d, b->plan->split_span, "the rows are split by it here");
      diag_hint(s, d, "`train` or 0 trains, `test` or 1 is held out");
      return false;
    }
    if (out && !b->held[i]) b->held[i] = 1;
  }
  return true;
}

static bool nothing_left(Block *b, bool dropped) {
  Diag *d = diag_error(b->session, "data-nothing-left", b->plan->split_span,
                       dropped ? "every row of %s lacks a value, so all are dropped" : "no row of %s is left to train on",
                       b->sources[0].path && *b->sources[0].path ? b->sources[0].path : "the data");
  if (!dropped) diag_hint(b->session, d, "hold out fewer rows");
  return false;
}

bool block_split(Block *b) {
  const int64_t n = b->examples[0];
  const bool dropping = may_drop(b);
  b->held = mem_zero((size_t)n, 1);
  int64_t left = 0;
  for (int64_t i = 0; i < n; i++) {
    if (dropping && drops(b, 0, i)) b->held[i] = 2;
    left += !b->held[i];
  }
  if (dropping && b->parts > 1) {
    b->dropped = mem_zero((size_t)b->examples[1], 1);
    for (int64_t i = 0; i < b->examples[1]; i++) b->dropped[i] = drops(b, 1, i);
  }
  if (!left) return nothing_left(b, true);
  if (b->options->whole) return true;
  const int64_t every = (int64_t)b->plan->split_number;
  switch (b->plan->split) {
    case SPLIT_EVERY:
      for (int64_t i = every - 1; every > 0 && i < n; i += every) b->held[i] = b->held[i] ? b->held[i] : 1;
      break;
    case SPLIT_FRACTION:
      if (!split_fraction(b)) return false;
      break;
    case SPLIT_COLUMN:
      if (!split_column(b)) return false;
      break;
    default: break;
  }
  for (int64_t i = 0; i < n; i++) {
    if (!b->held[i]) return true;
  }
  return nothing_left(b, false);
}
