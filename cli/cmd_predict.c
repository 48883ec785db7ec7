/* cmd_predict.c: the model's first output for every row, as CSV; where it scores the classes of a target, a last column
 * names the best. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "weights.h"

const uint8_t cmd_predict_options[] = {OPT_data, OPT_weights, OPT_out_csv, OPT_batch, OPT_threads, OPT_seed, OPT_set, OPT_dtype, OPT_cpu, OPT_no_cache, OPT_verbose,
                                       OPT_model, OPT_no_warn, OPT_COUNT};

typedef struct {
  Run run;
  const DataWant *label;   /* the target whose classes the output scores, or NULL */
  const char **words;      /* what its numbers stand for, or NULL */
  uint32_t word_count;
} Prediction;

/* The fewest digits that read back to the same value of the type. */
static void add_value(Text *out, const GradcTensor *t, int64_t i) {
  char text[40];
  switch (t->type) {
    case GRADC_F32: {
      const float x = ((const float *)t->data)[i];
      int digits = 6;
      do snprintf(text, sizeof text, "%.*g", digits, (double)x);
      while (strtof(text, NULL) != x && digits++ < 9);
      break;
    }
    case GRADC_F64: {
      const double x = ((const double *)t->data)[i];
      int digits = 15;
      do snprintf(text, sizeof text, "%.*g", digits, x);
      while (strtod(text, NULL) != x && digits++ < 17);
      break;
    }
    case GRADC_I32: snprintf(text, sizeof text, "%d", ((const int32_t *)t->data)[i]); break;
    default: snprintf(text, sizeof text, "%d", ((const uint8_t *)t->data)[i]);
  }
  text_add(out, text);
}

static double value_at(const GradcTensor *t, int64_t i) {
  return t->type == GRADC_F32 ? (double)((const float *)t->data)[i] : ((const double *)t->data)[i];
}

static void add_text(Text *out, const char *text) {
  if (!strpbrk(text, ",\"\n\r")) {
    text_add(out, text);
    return;
  }
  text_add(out, "\"");
  for (const char *p = text; *p; p++) text_add_bytes(out, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
  text_add(out, "\"");
}

/* The target of k classes that k scores are for; none if the output is no vector of floats. */
static void find_label(Prediction *p, const GradcTensor *t) {
  Front *f = &p->run.front;
  if (t->rank != 2 || t->type > GRADC_F64) return;
  for (uint32_t b = 0; b < f->blocks; b++) {
    for (uint32_t i = 0; i < f->want_counts[b] && !p->label; i++) {
      const DataWant *want = &f->wants[b][i];
      if (!want->target || want->classes != t->dims[1] || want->classes < 2 || want->shape.rank) continue;
      p->label = want;
      p->words = dataset_words(&f->program->data.data[b], b, want, &p->run.stats, &f->arena, &p->word_count);
    }
  }
}

static void add_header(const Prediction *p, const GradcTensor *t, int64_t each, Text *out) {
  for (int64_t i = 0; i < each; i++) {
    if (i) text_add(out, ",");
    add_text(out, t->name);
    if (t->rank > 1) text_printf(out, "_%lld", (long long)i);
  }
  if (p->label) {
    text_add(out, ",");
    add_text(out, p->label->name);
  }
  text_add(out, "\n");
}

static void add_rows(const Prediction *p, const GradcTensor *t, int64_t rows, int64_t each, Text *out) {
  for (int64_t r = 0; r < rows; r++) {
    int64_t best = 0;
    for (int64_t i = 0; i < each; i++) {
      if (i) text_add(out, ",");
      add_value(out, t, r * each + i);
      if (p->label && value_at(t, r * each + i) > value_at(t, r * each + best)) best = i;
    }
    if (p->label && best < p->word_count) {
      text_add(out, ",");
      add_text(out, p->words[best]);
    } else if (p->label) {
      text_printf(out, ",%lld", (long long)best);
    }
    text_add(out, "\n");
  }
}

static bool write_text(Front *f, FILE *to, const char *path, Text *text) {
  const bool ok = fwrite(text_get(text), 1, text->length, to) == text->length;
  text->length = 0;
  if (!ok && errno != EPIPE) front_fail(f, NULL, "cannot write %s: %s", path, strerror(errno));
  return ok;
}

static bool step_through(Prediction *p, Feeder *feeder, FILE *to, const char *path) {
  Run *run = &p->run;
  Text text = {0};
  bool ok = true;
  for (int64_t i = 0; i < feeder_steps(feeder) && ok; i++) {
    int64_t batch[GRADC_MAX_BATCHES];
    GradcTensor t;
    feeder_batch(feeder, 0, i, run->inputs, batch, NULL);
    ok = gradc_eval(run->model, run->inputs, batch) == GRADC_OK;
    if (ok && !gradc_output_count(run->model)) {
      front_fail(&run->front, "give it one: `output scores = ...`", "the model has no output to predict");
      ok = false;
      break;
    }
    ok = ok && gradc_output_at(run->model, 0, &t) == GRADC_OK;
    if (!ok) {
      front_fail(&run->front, NULL, "%s", gradc_message(run->model));
      break;
    }
    const int64_t rows = t.rank ? t.dims[0] : 1, each = rows ? t.count / rows : 0;
    if (i == 0) {
      find_label(p, &t);
      add_header(p, &t, each, &text);
    }
    add_rows(p, &t, rows, each, &text);
    ok = write_text(&run->front, to, path, &text);
  }
  text_free(&text);
  return ok;
}

/* The file appears whole or not at all. */
static bool write_file(Prediction *p, Feeder *feeder, const char *path) {
  Front *f = &p->run.front;
  char *part = arena_printf(&f->arena, "%s.XXXXXX", path);
  const int fd = mkstemp(part);
  FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
  if (!to) {
    front_fail(f, NULL, "cannot write %s: %s", path, strerror(errno));
    return false;
  }
  bool ok = step_through(p, feeder, to, path);
  if (fclose(to) && ok) {
    front_fail(f, NULL, "cannot write %s: %s", path, strerror(errno));
    ok = false;
  }
  if (ok && rename(part, path)) {
    front_fail(f, NULL, "cannot write %s: %s", path, strerror(errno));
    ok = false;
  }
  if (!ok) unlink(part);
  return ok;
}

static bool predict(Prediction *p) {
  Run *run = &p->run;
  const Options *o = run->options;
  const DataOptions how = {.whole = true, .known = true, .seed = run->front.program->plan.seed};
  bool ok = run_open_trained(run, &how);
  if (!ok) return false;
  FeedOptions feed = {0};
  memcpy(feed.capacity, run->capacity, sizeof feed.capacity);
  Feeder *feeder = feeder_new(run->data, run->front.blocks, &feed);
  ok = o->out ? write_file(p, feeder, o->out) : step_through(p, feeder, stdout, "the output");
  feeder_free(feeder);
  return ok;
}

int cmd_predict(const Options *o) {
  Prediction p = {.run = {.options = o}};
  int status = front_recall(&p.run.front, o, false);
  if (!status) status = predict(&p) ? EXIT_DONE : EXIT_INPUT;
  run_close(&p.run);
  return status;
}
