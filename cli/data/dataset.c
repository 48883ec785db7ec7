/* dataset.c: see dataset.h. The order of things: bind names, find categories, choose the held-out rows, learn the
 * statistics from the others, and then store every value once, checked. */
#include "dataset.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "gradc.h"

static uint32_t size_of(Type type) { return type == TYPE_F64 ? 8 : type == TYPE_BOOL ? 1 : 4; }

/* ---- values to types ---- */

static bool wrong(Block *b, int part, Line *line, int64_t row, int64_t i, const DataWant *want, double x) {
  Arena *arena = &b->session->arena;
  Diag *d;
  if (want->classes) {
    d = line_fail(b, part, line, row, i, "data-label",
                  arena_printf(arena, "%.9g is no label of 0 to %d, which `%s: label[%d]` takes", x, want->classes - 1, want->name, want->classes));
    if (x == want->classes) diag_hint(b->session, d, "labels count from 0; if these count from 1, subtract it: `|> (k -> k - 1)`");
  } else if (want->type == TYPE_I32) {
    line_fail(b, part, line, row, i, "data-not-whole", arena_printf(arena, "%.9g is not a whole number of 32 bits", x));
  } else if (want->type == TYPE_BOOL) {
    line_fail(b, part, line, row, i, "data-not-truth", arena_printf(arena, "%.9g is neither 0 nor 1", x));
  } else {
    d = line_fail(b, part, line, row, i, "data-not-finite",
                  arena_printf(arena, isfinite(x) ? "%.9g is beyond the range of f32" : "the value is %.9g after the transforms", x));
    if (isfinite(x)) diag_hint(b->session, d, "`|> standardize` or `|> scale(...)` brings it near 1; `--dtype f64` takes it as it is");
  }
  return false;
}

/* Whether a value fits the type; a missing one is NaN, or -1 as a label. */
static bool fits(const DataWant *want, double x, bool keep) {
  if (keep && (isnan(x) || (want->classes && x == -1))) return want->type <= TYPE_F64 || want->classes;
  if (want->classes) return x >= 0 && x < want->classes && x == floor(x);
  switch (want->type) {
    case TYPE_F32: return fabs(x) <= FLT_MAX;
    case TYPE_F64: return fabs(x) <= DBL_MAX;
    case TYPE_I32: return x >= INT32_MIN && x <= INT32_MAX && x == floor(x);
    default: return x == 0 || x == 1;
  }
}

static bool store(Block *b, int part, Line *line, int64_t row, const DataWant *want, const double *from, int64_t count, char *to) {
  const bool keep = line->plan->missing == MISSING_KEEP;
  bool all = true;
  if (want->type == TYPE_F32 && !want->classes) { /* images: worth a loop of their own */
    for (int64_t i = 0; i < count; i++) all &= fabs(from[i]) <= FLT_MAX, ((float *)to)[i] = (float)from[i];
    if (all) return true;
  }
  for (int64_t i = 0; i < count; i++) {
    const double x = want->classes && isnan(from[i]) ? -1 : from[i];
    if (!fits(want, x, keep)) return wrong(b, part, line, row, i, want, from[i]);
    switch (want->type) {
      case TYPE_F32: ((float *)to)[i] = (float)x; break;
      case TYPE_F64: ((double *)to)[i] = x; break;
      case TYPE_I32: ((int32_t *)to)[i] = (int32_t)x; break;
      default: to[i] = (char)x;
    }
  }
  return true;
}

static bool fill_feed(Block *b, int part, uint8_t mark, uint32_t index, DataPart *to) {
  Line *line = b->fed[index];
  DataFeed *feed = &to->feeds[index];
  const uint8_t *marks = part ? b->dropped : b->held;
  const size_t stride = (size_t)feed->elements * size_of(feed->want->type);
  double *values = mem_alloc((size_t)feed->elements * sizeof *values);
  char *at = feed->values;
  bool ok = true;
  for (int64_t row = 0; row < b->examples[part] && ok; row++) {
    if (marks && marks[row] != mark) continue;
    ok = line_value(b, part, line, line->step_count, row, values) && store(b, part, line, row, feed->want, values, feed->elements, at);
    at += stride;
  }
  free(values);
  return ok;
}

/* ---- parts ---- */

static bool room(Block *b, int64_t bytes) {
  const int64_t available = gradc_available_memory();
  if (available < 0 || bytes <= available) return true;
  Diag *d = diag_error(b->session, "data-too-large", b->plan->span, "the data takes %.1f GiB of memory, and %.1f are free",
                       (double)bytes / 0x1p30, (double)available / 0x1p30);
  diag_hint(b->session, d, "train on fewer rows, or on a machine with more memory");
  return false;
}

static bool allocate_part(Block *b, Dataset *data, DataPart *to) {
  int64_t total = 0;
  for (uint32_t i = 0; i < data->feed_count; i++) {
    int64_t bytes = to->feeds[i].elements;
    if (!b->fed[i]) continue;
    if (!mem_mul(bytes, size_of(b->wants[i].type), &bytes) || !mem_mul(bytes, to->rows, &bytes) || !mem_add(total, bytes, &total))
      return room(b, INT64_MAX);
  }
  if (!room(b, total)) return false;
  for (uint32_t i = 0; i < data->feed_count; i++) {
    if (b->fed[i]) to->feeds[i].values = mem_alloc((size_t)to->rows * (size_t)to->feeds[i].elements * size_of(b->wants[i].type));
  }
  return true;
}

static void note_lines(Block *b, int part, uint8_t mark, DataPart *to) {
  const uint8_t *marks = part ? b->dropped : b->held;
  const Line *first = NULL;
  for (uint32_t i = 0; i < b->want_count && !first; i++) first = b->fed[i];
  to->path = b->sources[part].path ? b->sources[part].path : "";
  if (!first || !*to->path) return;
  to->lines = mem_alloc((size_t)to->rows * sizeof *to->lines);
  int64_t n = 0;
  for (int64_t row = 0; row < b->examples[part]; row++) {
    if (!marks || marks[row] == mark) to->lines[n++] = line_place(b, part, first, row);
  }
}

static bool fill_part(Block *b, Dataset *data, int part, uint8_t mark, DataPart *to) {
  const uint8_t *marks = part ? b->dropped : b->held;
  for (int64_t row = 0; row < b->examples[part]; row++) to->rows += !marks || marks[row] == mark;
  if (!to->rows) return true;
  if (!allocate_part(b, data, to)) return false;
  note_lines(b, part, mark, to);
  for (uint32_t i = 0; i < data->feed_count; i++) {
    if (b->fed[i] && !fill_feed(b, part, mark, i, to)) return false;
  }
  return true;
}

static void start_part(Block *b, Dataset *data, DataPart *part) {
  part->feeds = ARENA_ARRAY(&data->arena, DataFeed, b->want_count + 1);
  part->path = "";
  for (uint32_t i = 0; i < b->want_count; i++) {
    DataFeed *feed = &part->feeds[i];
    feed->want = &b->wants[i];
    dims_size(&b->wants[i].shape, 1, &feed->elements);
    for (uint32_t k = 0; b->fed[i] && k < b->fed[i]->plan->steps.count; k++) {
      const DataStep *step = &b->fed[i]->plan->steps.data[k];
      if (step->kind == DATA_AUGMENT) vec_push(&feed->augment, step);
    }
  }
}

static bool is_text(const Block *b) {
  for (uint32_t i = 0; i < b->want_count; i++) {
    if (b->fed[i] && b->fed[i]->plan->source == DATA_CHARACTERS) return true;
  }
  return false;
}

/* A second held-out file: `split = "test.csv"`, or an array that names two. */
static int count_parts(const DataPlan *plan, const DataOptions *options) {
  if (options->whole) return 1;
  if (plan->split == SPLIT_FILE) return 2;
  for (uint32_t i = 0; i < plan->lines.count; i++) {
    if (plan->lines.data[i].source == DATA_ARRAY && plan->lines.data[i].names.count > 1) return 2;
  }
  return 1;
}

static bool load(Block *b, Dataset *data) {
  if (!block_bind(b)) return false;
  start_part(b, data, &data->train);
  start_part(b, data, &data->held);
  if (is_text(b)) return block_fill_characters(b, data);
  if (!block_find_categories(b) || !block_split(b)) return false;
  for (int64_t row = 0; row < b->examples[0] && !b->options->known; row++) {
    if (b->held[row]) continue;
    for (uint32_t i = 0; i < b->want_count; i++) {
      if (b->fed[i]) line_use(b, 0, b->fed[i], b->fed[i]->step_count, row);
    }
  }
  if (!block_fit(b) || !fill_part(b, data, 0, 0, &data->train)) return false;
  return b->parts > 1 ? fill_part(b, data, 1, 0, &data->held) : fill_part(b, data, 0, 1, &data->held);
}

static void close_block(Block *b) {
  for (int part = 0; part < 2; part++) {
    table_free(b->sources[part].table);
    free(b->sources[part].tokens);
    for (uint32_t i = 0; i < b->plan->lines.count; i++) array_free(b->lines[i].arrays[part]);
  }
  free(b->held);
  free(b->dropped);
  arena_free(&b->arena);
}

Dataset *dataset_load(Session *s, const DataPlan *plan, uint32_t block, const DataWant *wants, uint32_t want_count,
                      const DataOptions *options, Stats *stats) {
  Dataset *data = mem_zero(1, sizeof *data);
  data->plan = plan;
  data->feed_count = want_count;
  Block b = {.session = s, .plan = plan, .number = block, .options = options, .wants = wants, .want_count = want_count, .stats = stats};
  b.parts = count_parts(plan, options);
  b.lines = ARENA_ARRAY(&b.arena, Line, plan->lines.count + 1);
  b.fed = ARENA_ARRAY(&b.arena, Line *, want_count + 1);
  for (uint32_t i = 0; i < plan->lines.count; i++) b.lines[i].plan = &plan->lines.data[i];
  const bool ok = load(&b, data);
  /* Paths outlive the block. */
  data->train.path = arena_printf(&data->arena, "%s", data->train.path ? data->train.path : "");
  data->held.path = arena_printf(&data->arena, "%s", data->held.path ? data->held.path : "");
  close_block(&b);
  if (ok) return data;
  dataset_free(data);
  return NULL;
}

static void free_part(DataPart *part, uint32_t count, const void *shared) {
  for (uint32_t i = 0; part->feeds && i < count; i++) {
    if (!shared) free(part->feeds[i].values);
    vec_free(&part->feeds[i].augment);
  }
  free(part->lines);
}

void dataset_free(Dataset *data) {
  if (!data) return;
  free_part(&data->train, data->feed_count, data->own);
  free_part(&data->held, data->feed_count, data->own);
  free(data->own);
  arena_free(&data->arena);
  free(data);
}

const char **dataset_words(const DataPlan *plan, uint32_t block, const DataWant *want, const Stats *stats, Arena *arena, uint32_t *count) {
  Block b = {.plan = plan, .number = block};
  const char **words = NULL;
  for (uint32_t i = 0; i < plan->lines.count && !words; i++) {
    const DataLine *line = &plan->lines.data[i];
    if (line->slot != (int32_t)want->slot || line->steps.count != 1) continue;
    const Line named = {.plan = line};
    words = stats_get_texts(stats, block_key(&b, &named, 0, "categories"), arena, count);
  }
  arena_free(&b.arena);
  return words;
}
