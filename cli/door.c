/* door.c: see door.h. */
#include "door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights.h"

typedef struct {
  Run *run;
  GradcFile *weights;
  const char *weights_path;
  void **arrays;      /* of --data, one a feed, or NULL */
  bool held;          /* the rows are the held-out ones of the data block */
  Compiled *gradients; /* the program whose evaluation is the gradient, or NULL */
  GradcModel *by_gradients;
  int64_t batch[GRADC_MAX_BATCHES];
} Door;

bool door_takes(const char *option, const char *path) {
  if (!path || archive_is(path)) return true;
  fprintf(stderr, "gradc: --%s takes a file that ends in .npz or .safetensors, not `%s`\n", option, path);
  return false;
}

/* ---- inputs and targets from a file ---- */

/* A whole number of a file's integer type; false for another type. */
static bool integer_at(const GradcFileTensor *t, int64_t i, int64_t *value) {
  static const struct { const char *type; int size; bool is_signed; } types[] = {
      {"BOOL", 1, false}, {"U8", 1, false}, {"I8", 1, true}, {"I16", 2, true}, {"I32", 4, true}, {"I64", 8, true}};
  for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
    if (strcmp(types[k].type, t->type)) continue;
    const int size = types[k].size;
    uint64_t word = 0;
    memcpy(&word, (const char *)t->data + i * size, (size_t)size);
    if (types[k].is_signed && size < 8 && word >> (8 * size - 1)) word |= ~UINT64_C(0) << 8 * size;
    *value = (int64_t)word;
    return true;
  }
  return false;
}

/* Integers as the type of a slot; false where they do not fit. */
static bool take_integers(const GradcFileTensor *t, uint8_t type, void *to) {
  for (int64_t i = 0; i < t->count; i++) {
    int64_t value;
    if (!integer_at(t, i, &value)) return false;
    if (type == GRADC_I32 && (value < INT32_MIN || value > INT32_MAX)) return false;
    if (type == GRADC_BOOL && (value < 0 || value > 1)) return false;
    switch (type) {
      case GRADC_F32: ((float *)to)[i] = (float)value; break;
      case GRADC_F64: ((double *)to)[i] = (double)value; break;
      case GRADC_I32: ((int32_t *)to)[i] = (int32_t)value; break;
      default: ((uint8_t *)to)[i] = (uint8_t)value;
    }
  }
  return true;
}

static bool fails(Door *d, const char *hint, const char *format, const char *name, const char *a, const char *b) {
  const char *text = arena_printf(&d->run->front.arena, format, name, a, b);
  front_fail(&d->run->front, hint, "%s: %s", d->run->options->data, text);
  return false;
}

static const char *dims_text(Door *d, const int64_t *dims, int32_t rank) {
  Text text = {0};
  text_add(&text, "[");
  for (int32_t i = 0; i < rank; i++) {
    if (i) text_add(&text, ", ");
    if (dims[i] < 0) text_add(&text, "rows");
    else text_printf(&text, "%lld", (long long)dims[i]);
  }
  text_add(&text, "]");
  const char *copy = arena_printf(&d->run->front.arena, "%s", text_get(&text));
  text_free(&text);
  return copy;
}

/* The rows of each block are those of the first array that has them. */
static bool check_shape(Door *d, const GradcSlot *slot, const GradcFileTensor *t) {
  int64_t want[GRADC_MAX_RANK];
  bool same = t->rank == slot->rank;
  for (int k = 0; k < slot->rank; k++) {
    want[k] = slot->dims[k];
    if (want[k] < 0) {
      int64_t *rows = &d->batch[-1 - want[k]];
      if (!*rows && same) *rows = t->dims[k];
      if (*rows) want[k] = *rows;
    }
    same = same && want[k] == t->dims[k];
  }
  if (same && t->count > 0) return true;
  if (same) return fails(d, NULL, "`%s` is %s: there are no rows%s", slot->name, dims_text(d, t->dims, t->rank), "");
  return fails(d, "the first axis is the rows; then come the axes of the model", "`%s` is %s there and %s in the model", slot->name,
               dims_text(d, t->dims, t->rank), dims_text(d, want, slot->rank));
}

static bool take_feed(Door *d, const GradcFile *file, const GradcSlot *slot, void **to) {
  const int64_t at = gradc_file_find(file, slot->name);
  const bool optional = slot->kind == GRADC_SLOT_TARGET && !d->run->options->write_gradients;
  if (at < 0 && optional) return true;
  if (at < 0)
    return fails(d, "it holds every input and target of the model by name, as [rows, ..]", "there is no array `%s`%s%s", slot->name, "", "");
  const GradcFileTensor t = gradc_file_tensor(file, at);
  if (!check_shape(d, slot, &t)) return false;
  GradcMessage message;
  *to = mem_alloc((size_t)t.count * 8);
  if (take_integers(&t, slot->type, *to)) return true;
  if (gradc_file_read(file, at, (GradcType)slot->type, *to, &message) == GRADC_OK) return true;
  static const char *const names[] = {"f32", "f64", "i32 (a label or an integer)", "a truth value"};
  return fails(d, NULL, "`%s` is of type %s there and %s in the model", slot->name, t.type, names[slot->type]);
}

/* Needs the tables alone, so it comes before the instance, whose size is that of the rows. */
static bool take_feeds(Door *d) {
  Run *run = d->run;
  GradcFile *file = weights_open(&run->front, run->options->data);
  if (!file) return false;
  const int count = gradc_feed_count(run->program);
  bool ok = true;
  d->arrays = mem_zero((size_t)count + 1, sizeof *d->arrays);
  for (int i = 0; i < count && ok; i++) ok = take_feed(d, file, gradc_feed(run->program, i), &d->arrays[i]);
  gradc_file_close(file);
  for (uint32_t b = 0; b < GRADC_MAX_BATCHES; b++) run->capacity[b] = d->batch[b] = d->batch[b] ? d->batch[b] : 1;
  return ok;
}

/* Figures need every target. */
static bool has_targets(const Door *d) {
  for (int i = 0; i < gradc_feed_count(d->run->program); i++)
    if (!d->run->inputs[i]) return false;
  return true;
}

/* ---- evaluation ---- */

static bool failed(Door *d, GradcStatus status, const char *message) {
  if (status == GRADC_OK) return false;
  front_fail(&d->run->front, status == GRADC_ERROR_MEMORY ? "all rows are one step: give fewer" : NULL, "%s", message);
  return true;
}

static bool write_arrays(Door *d, const char *path, const NamedArray *arrays, uint32_t count) {
  GradcMessage message;
  return !failed(d, archive_write(path, arrays, count, &message), message.text);
}

/* What the evaluation left, then losses and metrics (as f64; `loss` is the sum of the losses). */
static bool write_results(Door *d, GradcModel *model, const char *path) {
  Vec(NamedArray) arrays = {0};
  bool ok = true;
  for (int i = 0; i < gradc_output_count(model) && ok; i++) {
    GradcTensor t;
    ok = !failed(d, gradc_output_at(model, i, &t), gradc_message(model));
    if (!ok) break;
    NamedArray a = {.name = t.name, .type = t.type, .rank = t.rank, .data = t.data};
    memcpy(a.dims, t.dims, (size_t)t.rank * sizeof *t.dims);
    vec_push(&arrays, a);
  }
  const GradcFigure *figures;
  const int count = has_targets(d) ? gradc_figures(model, &figures) : 0;
  const double total = count ? step_loss(model) : 0;
  if (count) vec_push(&arrays, ((NamedArray){.name = "loss", .type = GRADC_F64, .data = &total}));
  for (int i = 0; i < count; i++) {
    bool taken = false;
    for (uint32_t k = 0; k < arrays.count; k++) taken = taken || !strcmp(arrays.data[k].name, figures[i].name);
    if (!taken) vec_push(&arrays, ((NamedArray){.name = figures[i].name, .type = GRADC_F64, .data = &figures[i].value}));
  }
  ok = ok && write_arrays(d, path, arrays.data, arrays.count);
  vec_free(&arrays);
  return ok;
}

static bool open_data(Door *d) {
  Run *run = d->run;
  const Options *o = run->options;
  Front *f = &run->front;
  if (o->data && archive_is(o->data)) return take_feeds(d);
  const DataOptions how = {.targets = true, .whole = o->data != NULL, .known = true, .seed = f->program->plan.seed};
  if (!front_data(f, o, &how, &run->stats, run->data)) return false;
  d->held = run_rows(run, true) > 0;
  for (uint32_t b = 0; b < f->blocks; b++) {
    const int64_t rows = d->held ? run->data[b]->held.rows : run->data[b]->train.rows;
    run->capacity[b] = rows > 0 ? rows : 1;
  }
  return true;
}

/* The step's arrays, in run->inputs; the feeder, where there is one, must live as long as they are used. */
static Feeder *feed(Door *d) {
  Run *run = d->run;
  if (d->arrays) {
    for (int i = 0; i < gradc_feed_count(run->program); i++) run->inputs[i] = d->arrays[i];
    return NULL;
  }
  FeedOptions options = {.held = d->held};
  memcpy(options.capacity, run->capacity, sizeof options.capacity);
  Feeder *feeder = feeder_new(run->data, run->front.blocks, &options);
  feeder_batch(feeder, 0, 0, run->inputs, d->batch, NULL);
  return feeder;
}

static bool print_figures(Door *d) {
  Figures figures = {0};
  if (!has_targets(d)) return true;
  figures_add(&figures, d->run->model);
  Text line = {0};
  if (d->run->options->json) {
    figures_json(&figures, &line);
  } else {
    text_printf(&line, "%s (%lld rows): ", d->held ? "held out" : d->run->options->data ? d->run->options->data : "all", (long long)d->batch[0]);
    figures_print(&figures, &line);
  }
  printf("%s\n", text_get(&line));
  text_free(&line);
  figures_free(&figures);
  return true;
}

static bool write_gradients(Door *d) {
  Run *run = d->run;
  Front *f = &run->front;
  GradcMessage message;
  CompileOptions options = f->compile;
  options.gradients = true;
  d->gradients = compile_program(&f->session, f->program, &options, 1u << GRADC_ENTRY_INIT | 1u << GRADC_ENTRY_EVAL);
  const GradcStatus status = gradc_create(compiled_program(d->gradients), f->program->plan.seed, run->capacity,
                                          (int)run->options->threads, &d->by_gradients, &message);
  if (failed(d, status, message.text) || !weights_read(f, d->weights, d->weights_path, d->by_gradients)) return false;
  if (failed(d, gradc_eval(d->by_gradients, run->inputs, d->batch), gradc_message(d->by_gradients))) return false;
  return write_results(d, d->by_gradients, run->options->write_gradients);
}

static bool evaluate(Door *d) {
  Run *run = d->run;
  Front *f = &run->front;
  const Options *o = run->options;
  d->weights_path = front_weights(f, o->weights);
  d->weights = weights_open(f, d->weights_path);
  if (!d->weights) return false;
  weights_stats(d->weights, &run->stats);
  if (!front_processor(f, true)) return false;
  run->program = front_compile(f, 1u << GRADC_ENTRY_INIT | 1u << GRADC_ENTRY_EVAL);
  if (!run->program || !open_data(d) || !run_instance(run, f->program->plan.seed)) return false;
  if (!weights_read(f, d->weights, d->weights_path, run->model)) return false;
  Feeder *feeder = feed(d);
  bool ok = !failed(d, gradc_eval(run->model, run->inputs, d->batch), gradc_message(run->model));
  ok = ok && (!o->write_outputs || write_results(d, run->model, o->write_outputs));
  ok = ok && (!o->write_gradients || write_gradients(d));
  ok = ok && print_figures(d);
  feeder_free(feeder);
  return ok;
}

int door_eval(Run *run) {
  Door d = {.run = run};
  const bool ok = evaluate(&d);
  if (d.arrays) {
    for (int i = 0; i < gradc_feed_count(run->program); i++) free(d.arrays[i]);
  }
  free(d.arrays);
  gradc_free(d.by_gradients);
  compiled_free(d.gradients);
  gradc_file_close(d.weights);
  return ok ? EXIT_DONE : EXIT_INPUT;
}
