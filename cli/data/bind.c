/* bind.c: from the names in a data block to the columns and arrays of its files, and the size of every line's value after
 * every step. What does not fit is said here, before any value is read. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block.h"
#include "near.h"
#include "number.h"

static bool is_folder(const char *path) {
  struct stat st;
  return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static const char *join(Block *b, const char *folder, const char *path) {
  if (*path == '/' || !*folder || !strcmp(folder, ".")) return arena_printf(&b->arena, "%s", path);
  return arena_printf(&b->arena, "%s/%s", folder, path);
}

const char *block_path(Block *b, const char *path) { return join(b, b->options->folder, path); }

/* The main file or folder, NULL where none is named. */
static const char *main_path(Block *b) {
  if (b->options->file) return b->options->file;
  return b->plan->file ? block_path(b, b->plan->file) : NULL;
}

static Span main_span(const Block *b) { return b->options->file ? (Span){0} : b->plan->file_span; }

static bool no_file(Block *b, const Line *line) {
  Diag *d = diag_error(b->session, "data-no-file", line->plan->span, "there is no data for `%s`: no file is named", line->plan->name);
  diag_hint(b->session, d, "name one with `--data FILE`, or in the data block: `file = \"rows.csv\"`");
  return false;
}

/* ---- columns ---- */

static bool open_table(Block *b, int part, const Line *line) {
  DataSource *source = &b->sources[part];
  if (source->table) return true;
  Span span = main_span(b);
  if (part == 0) {
    source->path = main_path(b);
    if (!source->path) return no_file(b, line);
  } else {
    source->path = block_path(b, b->plan->split_text);
    span = b->plan->split_span;
  }
  const TableOptions options = {b->plan->separator, b->plan->header, span};
  source->table = table_read(b->session, source->path, &options);
  if (source->table) source->rows = source->table->rows;
  return source->table != NULL;
}

static const char *list_names(Block *b, const Table *t) {
  Text text = {0};
  for (uint32_t i = 0; i < t->columns && i < 12; i++)
    text_printf(&text, "%s%s", i ? ", " : "", number_shown(&b->arena, t->names[i]));
  if (t->columns > 12) text_printf(&text, ", ... (%u in all)", t->columns);
  const char *copy = arena_printf(&b->arena, "%s", text_get(&text));
  text_free(&text);
  return copy;
}

/* The separator that a one-column table seems to have, or 0. */
static char other_separator(const Table *t) {
  static const char candidates[] = ";\t|,";
  if (t->columns > 1) return 0;
  for (const char *c = candidates; *c; c++) {
    if (*c != t->separator && strchr(t->header ? t->names[0] : table_row(t, 0), *c)) return *c;
  }
  return 0;
}

static bool no_column(Block *b, const Table *t, const Line *line, const char *name) {
  Session *s = b->session;
  Diag *d = diag_error(s, "data-no-column", (Span){0}, "there is no column `%s`", name);
  diag_at(s, d, t->path, t->header ? 1 : 0);
  if (!span_is_none(line->plan->span))
    diag_note(s, d, line->plan->span, line->plan->implied ? "`%s` is looked for by its name" : "`%s` reads it", line->plan->name);
  diag_note(s, d, (Span){0}, t->header ? "the columns are %s" : "the file has no header; its columns are %s", list_names(b, t));
  const char *near = near_find(name, t->names, t->columns);
  const char separator = other_separator(t);
  if (separator)
    diag_hint(s, d, "the cells seem to be separated by `%s`: write `separator = \"%s\"` in the data block",
              separator == '\t' ? "\\t" : (char[]){separator, 0}, separator == '\t' ? "\\t" : (char[]){separator, 0});
  else if (near)
    diag_hint(s, d, "did you mean `%s`?", near);
  else if (line->plan->implied)
    diag_hint(s, d, "say in the data block what `%s` is: `%s = column(...)`", line->plan->name, line->plan->name);
  return false;
}

static bool take_column(Block *b, int part, Line *line, const char *name, uint32_t place) {
  const int64_t column = table_column(b->sources[part].table, name);
  if (column < 0) return no_column(b, b->sources[part].table, line, name);
  line->columns[part][place] = (uint32_t)column;
  return true;
}

static bool bind_range(Block *b, int part, Line *line, const DataLine *origin) {
  const Table *t = b->sources[part].table;
  const char *first = origin->names.data[0], *last = origin->names.data[1];
  const int64_t from = table_column(t, first), to = table_column(t, last);
  if (from < 0) return no_column(b, t, line, first);
  if (to < 0) return no_column(b, t, line, last);
  if (to < from) {
    Diag *d = diag_error(b->session, "data-column-order", line->plan->span, "column `%s` comes after `%s` in %s", first, last, t->path);
    diag_hint(b->session, d, "write `%s .. %s`", last, first);
    return false;
  }
  line->column_count = (uint32_t)(to - from) + 1;
  line->columns[part] = ARENA_ARRAY(&b->arena, uint32_t, line->column_count);
  for (uint32_t i = 0; i < line->column_count; i++) line->columns[part][i] = (uint32_t)from + i;
  return true;
}

/* An input without a line: the column of its name, or, for `n` numbers, name_0 .. name_n-1. */
static bool bind_implied(Block *b, int part, Line *line, int64_t n) {
  const Table *t = b->sources[part].table;
  const char *name = line->plan->name;
  const bool alone = table_column(t, name) >= 0 || n == 1;
  line->column_count = alone ? 1 : (uint32_t)n;
  line->columns[part] = ARENA_ARRAY(&b->arena, uint32_t, line->column_count);
  if (alone) return take_column(b, part, line, name, 0);
  for (uint32_t i = 0; i < line->column_count; i++) {
    if (!take_column(b, part, line, arena_printf(&b->arena, "%s_%u", name, i), i)) return false;
  }
  return true;
}

static bool bind_columns(Block *b, Line *line, const DataLine *origin, int64_t wanted) {
  for (int part = 0; part < b->parts; part++) {
    if (!open_table(b, part, line)) return false;
    const uint32_t before = line->column_count;
    if (origin->implied) {
      if (!bind_implied(b, part, line, wanted)) return false;
    } else if (origin->is_range) {
      if (!bind_range(b, part, line, origin)) return false;
    } else {
      line->column_count = origin->names.count;
      line->columns[part] = ARENA_ARRAY(&b->arena, uint32_t, line->column_count);
      for (uint32_t i = 0; i < line->column_count; i++) {
        if (!take_column(b, part, line, origin->names.data[i], i)) return false;
      }
    }
    if (part && line->column_count != before) {
      Diag *d = diag_error(b->session, "data-shape", line->plan->span, "`%s` has %u columns in %s and %u in %s", line->plan->name,
                           before, b->sources[0].path, line->column_count, b->sources[1].path);
      diag_hint(b->session, d, "the held-out file needs the columns of the training file");
      return false;
    }
    line->rows[part] = b->sources[part].rows;
  }
  line->source = line->column_count;
  return true;
}

/* ---- arrays ---- */

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && !strcmp(text + n - m, end);
}

/* Names of arrays are members of an NPZ, or files: in the folder that `file` is or lies in, or the file itself where it is an
 * array. The held-out part has names of its own, or the file that the split names. */
static const char *array_path(Block *b, const char *name, bool second_file) {
  if (second_file) return block_path(b, b->plan->split_text);
  const char *main = main_path(b);
  if (!main) return block_path(b, name);
  if (is_folder(main)) return join(b, main, name);
  if (ends_with(main, ".npz") || !strchr(name, '.')) return main;
  const char *slash = strrchr(main, '/');
  return slash ? join(b, arena_text(&b->arena, main, (size_t)(slash - main)), name) : join(b, "", name);
}

static bool no_held_array(Block *b, const Line *line) {
  Diag *d = diag_error(b->session, "data-held", line->plan->span, "`%s` has no held-out part, and another line of the block has", line->plan->name);
  diag_hint(b->session, d, "name two arrays: `array(%s, test = ...)`", line->plan->name);
  return false;
}

static bool same_rows(Block *b, const Line *line, int part, int64_t rows, const char *path) {
  DataSource *source = &b->sources[part];
  if (!source->rows) {
    source->rows = rows;
    source->path = path;
    return true;
  }
  if (source->rows == rows) return true;
  Diag *d = diag_error(b->session, "data-rows", line->plan->span, "`%s` has %lld rows, and %s before it %lld", path, (long long)rows,
                       source->path, (long long)source->rows);
  diag_hint(b->session, d, "the arrays of one data block have a row for each example, all in one order");
  return false;
}

static bool bind_array(Block *b, Line *line, const DataLine *origin) {
  const uint32_t files = origin->names.count;
  for (int part = 0; part < b->parts; part++) {
    const bool second_file = part && files < 2;
    if (second_file && b->plan->split != SPLIT_FILE) return no_held_array(b, line);
    const char *name = origin->names.data[part && !second_file];
    const char *path = array_path(b, name, second_file);
    Array *a = line->arrays[part] = array_read(b->session, path, name, line->plan->span);
    if (!a || !same_rows(b, line, part, a->dims[0], a->path)) return false;
    if (part && a->row != line->source) {
      diag_error(b->session, "data-shape", line->plan->span, "a row has %lld elements in %s and %lld in %s", (long long)line->source,
                 line->arrays[0]->path, (long long)a->row, a->path);
      return false;
    }
    line->source = a->row;
    line->rows[part] = a->dims[0];
  }
  return true;
}

/* ---- steps ---- */

static bool elements_of(const Dims *dims, int64_t *count) { return dims_size(dims, 1, count); }

static bool bad_step(Block *b, const Line *line, const DataStep *step, const char *text) {
  diag_error(b->session, "data-shape", span_is_none(step->span) ? line->plan->span : step->span, "%s", text);
  return false;
}

static bool bind_windows(Block *b, Line *line, LineStep *step) {
  const DataStep *plan = step->plan;
  if (!mem_mul(step->in, plan->length, &step->out)) return bad_step(b, line, plan, "the windows are larger than any memory");
  for (int part = 0; part < b->parts; part++) {
    const int64_t rows = line->rows[part] - plan->shift - plan->length + 1;
    if (rows < 1)
      return bad_step(b, line, plan, arena_printf(&b->arena, "windows of %lld rows, %lld on, need %lld rows, and %s has %lld",
                                                  (long long)plan->length, (long long)plan->shift,
                                                  (long long)(plan->length + plan->shift), b->sources[part].path,
                                                  (long long)line->rows[part]));
    line->rows[part] = rows;
  }
  return true;
}

/* What a function takes must be what comes; what it gives is what its graph says. One of a single number to a single number
 * is applied to each. */
static bool bind_function(Block *b, Line *line, LineStep *step) {
  const Graph *f = step->plan->function;
  int64_t takes = 0;
  step->each = f->slots.count && !shape_dims(f, f->slots.data[0].shape)->rank && !node_rank(f, f->outputs.data[0].node);
  if (step->each) return true;
  if (f->slots.count && (!elements_of(shape_dims(f, f->slots.data[0].shape), &takes) || takes != step->in))
    return bad_step(b, line, step->plan, arena_printf(&b->arena, "this function takes %lld numbers, and `%s` has %lld here",
                                                      (long long)takes, line->plan->name, (long long)step->in));
  if (!elements_of(node_dims(f, f->outputs.data[0].node), &step->out)) return bad_step(b, line, step->plan, "this function's value is too large");
  return true;
}

static bool bind_step(Block *b, Line *line, LineStep *step) {
  int64_t count = 0;
  step->out = step->in;
  switch (step->plan->kind) {
    case DATA_RESHAPE:
      if (elements_of(&step->plan->shape, &count) && count == step->in) return true;
      return bad_step(b, line, step->plan, arena_printf(&b->arena, "the new shape holds %lld numbers, and `%s` has %lld", (long long)count,
                                                        line->plan->name, (long long)step->in));
    case DATA_ONE_HOT:
      if (elements_of(&step->plan->shape, &count) && mem_mul(step->in, count, &step->out)) return true;
      return bad_step(b, line, step->plan, "the one-hot value is larger than any memory");
    case DATA_WINDOWS: return bind_windows(b, line, step);
    case DATA_FUNCTION: return bind_function(b, line, step);
    case DATA_CATEGORIES:
      if (line->text && step == line->steps) return true;
      return bad_step(b, line, step->plan, "`categories` takes a column of texts, so it comes first");
    case DATA_STANDARDIZE:
      step->mean = ARENA_ARRAY(&b->arena, double, (size_t)step->period);
      step->deviation = ARENA_ARRAY(&b->arena, double, (size_t)step->period);
      step->used = ARENA_ARRAY(&b->arena, uint8_t, (size_t)line->rows[0]);
      return true;
    default: return true;
  }
}

static bool bind_steps(Block *b, Line *line) {
  const DataLine *plan = line->plan;
  line->step_count = plan->steps.count;
  line->steps = ARENA_ARRAY(&b->arena, LineStep, plan->steps.count + 1);
  int64_t elements = line->source, period = line->source;
  for (uint32_t i = 0; i < line->step_count; i++) {
    LineStep *step = &line->steps[i];
    *step = (LineStep){.plan = &plan->steps.data[i], .in = elements, .period = period, .rows = {line->rows[0], line->rows[1]}};
    if (!bind_step(b, line, step)) return false;
    if (i && step[-1].plan->kind == DATA_AUGMENT && step->plan->kind != DATA_AUGMENT)
      return bad_step(b, line, step->plan, "`flip`, `crop` and `noise` come last: they change batches while the model trains");
    step->scratch = ARENA_ARRAY(&b->arena, double, (size_t)(step->in + 1));
    elements = step->out;
    if (step->plan->kind == DATA_ONE_HOT || (step->plan->kind == DATA_FUNCTION && !step->each)) period = elements;
  }
  line->elements = elements;
  return true;
}

/* A line that only names another which has no steps reads what that one reads. */
static const DataLine *origin_of(const Block *b, const DataLine *plan) {
  while (plan->source == DATA_LINE && !b->plan->lines.data[plan->line].steps.count) plan = &b->plan->lines.data[plan->line];
  return plan;
}

/* What a block without lines reads from: the arrays of an NPZ, else columns. */
static bool in_archive(Block *b) {
  const char *main = main_path(b);
  return main && ends_with(main, ".npz");
}

static bool bind_line(Block *b, uint32_t index, int64_t wanted) {
  Line *line = &b->lines[index];
  if (line->bound) return true;
  const DataLine *plan = line->plan = &b->plan->lines.data[index], *origin = origin_of(b, plan);
  line->text = plan->steps.count && plan->steps.data[0].kind == DATA_CATEGORIES && origin->source == DATA_COLUMNS;
  line->bound = true;
  switch (origin->source) {
    case DATA_COLUMNS:
      if (origin->implied && in_archive(b) ? !bind_array(b, line, origin) : !bind_columns(b, line, origin, wanted)) return false;
      break;
    case DATA_ARRAY:
      if (!bind_array(b, line, origin)) return false;
      break;
    case DATA_LINE:
      if (!bind_line(b, origin->line, 1)) return false;
      line->source = b->lines[origin->line].elements;
      memcpy(line->rows, b->lines[origin->line].rows, sizeof line->rows);
      break;
    case DATA_DRAWN:
      if (!elements_of(node_dims(origin->function, origin->function->outputs.data[0].node), &line->source)) return false;
      line->rows[0] = b->plan->size;
      b->sources[0].path = "";
      break;
    case DATA_CHARACTERS: /* characters.c has a way of its own */ return true;
  }
  return bind_steps(b, line);
}

static bool wrong_size(Block *b, const Line *line, const DataWant *want, int64_t count) {
  Session *s = b->session;
  Text shape = {0};
  shape_print(&want->shape, &shape);
  Diag *d = diag_error(s, "data-shape", line->plan->span, "`%s` takes %lld number%s a row (%s), and the data has %lld", want->name,
                       (long long)count, count == 1 ? "" : "s", text_get(&shape), (long long)line->elements);
  text_free(&shape);
  if (line->plan->is_range && line->column_count)
    diag_note(s, d, (Span){0}, "`%s .. %s` are %u columns of %s", line->plan->names.data[0], line->plan->names.data[1],
              line->column_count, b->sources[0].path);
  diag_hint(s, d, "change the shape of `%s` in the model, or what its line in the data block reads", want->name);
  return false;
}

/* Every row gives one example of all inputs; the shortest line says how many there are. */
bool block_bind(Block *b) {
  for (uint32_t i = 0; i < b->want_count; i++) {
    const DataWant *want = &b->wants[i];
    if (want->target && !b->options->targets) continue;
    int64_t count = 0;
    if (!elements_of(&want->shape, &count)) {
      diag_error(b->session, "data-too-large", (Span){0}, "one example of `%s` is larger than any memory", want->name);
      return false;
    }
    for (uint32_t k = 0; k < b->plan->lines.count && !b->fed[i]; k++) {
      if (b->plan->lines.data[k].slot != (int32_t)want->slot) continue;
      b->fed[i] = &b->lines[k];
      if (!bind_line(b, k, count)) return false;
      if (b->lines[k].plan->source == DATA_CHARACTERS) continue;
      if (b->lines[k].elements != count) return wrong_size(b, &b->lines[k], want, count);
    }
    if (!b->fed[i] || b->fed[i]->plan->source == DATA_CHARACTERS) continue;
    for (int part = 0; part < b->parts; part++) {
      const int64_t rows = b->fed[i]->rows[part];
      if (!b->examples[part] || rows < b->examples[part]) b->examples[part] = rows;
    }
  }
  return true;
}
