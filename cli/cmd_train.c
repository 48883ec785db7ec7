/* cmd_train.c: the training loop. The step number says everything: epoch and position follow from it, and the batch from
 * them (feed.h), so an interrupted training goes on where it stopped, to the same bits. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blame.h"
#include "door.h"
#include "progress.h"
#include "run.h"
#include "weights.h"

const uint8_t cmd_train_options[] = {OPT_data, OPT_synthetic, OPT_out, OPT_resume, OPT_start, OPT_epochs, OPT_steps, OPT_batch, OPT_seed, OPT_set,
                                     OPT_no_shuffle, OPT_write_trajectory, OPT_memory_limit, OPT_threads, OPT_dtype, OPT_cpu, OPT_no_cache, OPT_verbose, OPT_model, OPT_print_config, OPT_quiet,
                                     OPT_json, OPT_no_warn, OPT_COUNT};

enum { SAVE_SECONDS = 30 };

typedef struct {
  Run run;
  const char *out;
  Feeder *train, *held;
  Progress progress;
  Trajectory trajectory; /* where it is to be written */
  Figures train_figures, held_figures;
  int64_t step, steps, per_epoch;
  double losses[2];   /* of the two steps before: for the message about a NaN */
  double saved;       /* seconds */
  bool interrupted;
} Training;

/* The one variable that a signal can reach. */
static volatile sig_atomic_t stop_asked;
static void ask_to_stop(int signal) { stop_asked = signal; }

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESETHAND}; /* a second Ctrl-C ends at once */
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static int print_config(Front *f) {
  const Program *p = f->program;
  Text out = {0};
  for (uint32_t i = 0; i < p->settings.count; i++) {
    if (f->json) text_printf(&out, "%s\"%s\":\"%s\"", i ? "," : "{", p->settings.data[i].name, p->settings.data[i].value);
    else text_printf(&out, "%s = %s\n", p->settings.data[i].name, p->settings.data[i].value);
  }
  if (f->json) text_add(&out, p->settings.count ? "}\n" : "{}\n");
  fputs(text_get(&out), stdout);
  text_free(&out);
  return EXIT_DONE;
}

/* ---- checkpoints ---- */

/* What must be the same when the training is resumed, besides the model (its hash) and the statistics. */
static int describe(Training *t, GradcPair pairs[3]) {
  Run *run = &t->run;
  Text rows = {0}, batch = {0};
  for (uint32_t b = 0; b < run->front.blocks; b++) {
    text_printf(&rows, "%s%lld", b ? " " : "", (long long)run->data[b]->train.rows);
    text_printf(&batch, "%s%lld", b ? " " : "", (long long)run->capacity[b]);
  }
  Arena *arena = &run->front.arena;
  pairs[0] = (GradcPair){"run.rows", arena_printf(arena, "%s", text_get(&rows))};
  pairs[1] = (GradcPair){"run.batch", arena_printf(arena, "%s", text_get(&batch))};
  pairs[2] = (GradcPair){"run.shuffle", run->options->no_shuffle ? "no" : "yes"};
  text_free(&rows);
  text_free(&batch);
  return 3;
}

static bool save(Training *t) {
  GradcPair pairs[3];
  const int count = describe(t, pairs);
  t->saved = progress_seconds();
  return weights_write(&t->run.front, t->run.model, t->out, &t->run.stats, pairs, count);
}

static bool differs(Training *t, const char *what, const char *was, const char *is) {
  front_fail(&t->run.front, "give the same data and settings, or train anew without --resume",
             "%s cannot be resumed: %s was %s and is %s", t->out, what, was ? was : "not written", is);
  return false;
}

static bool resume(Training *t) {
  Run *run = &t->run;
  GradcFile *file = weights_open(&run->front, t->out);
  if (!file) return false;
  bool ok = gradc_load_file(run->model, file) == GRADC_OK;
  if (!ok) front_fail(&run->front, NULL, "%s", gradc_message(run->model));
  const int64_t seed = run->options->seed;
  GradcPair pairs[3];
  const int count = describe(t, pairs);
  static const char *const words[] = {"the number of training rows", "the batch", "shuffling"};
  for (int i = 0; i < count && ok; i++) {
    const char *was = gradc_file_value(file, pairs[i].key);
    if (!was || strcmp(was, pairs[i].value)) ok = differs(t, words[i], was, pairs[i].value);
  }
  for (uint32_t i = 0; i < run->stats.pairs.count && ok; i++) {
    const char *was = gradc_file_value(file, run->stats.pairs.data[i].key);
    if (!was || strcmp(was, run->stats.pairs.data[i].value)) ok = differs(t, run->stats.pairs.data[i].key, "learnt from other data", "another now");
  }
  gradc_file_close(file);
  if (!ok) return false;
  const GradcProgress *progress = gradc_progress(run->model);
  if (seed >= 0 && (uint64_t)seed != progress->seed)
    return differs(t, "the seed", arena_printf(&run->front.arena, "%llu", (unsigned long long)progress->seed),
                   arena_printf(&run->front.arena, "%lld", (long long)seed));
  t->step = progress->step;
  return true;
}

/* The parameters of another file; the training begins at step 0. */
static bool start_from(Training *t, const char *path) {
  GradcFile *file = weights_open(&t->run.front, path);
  if (!file) return false;
  const bool ok = weights_read(&t->run.front, file, path, t->run.model);
  gradc_file_close(file);
  return ok;
}

/* ---- steps ---- */

static bool has_nan(const DataFeed *feed, int64_t from, int64_t rows) {
  const int64_t n = rows * feed->elements;
  if (!feed->values || feed->want->type > TYPE_F64) return false;
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = from * feed->elements + i;
    if (isnan(feed->want->type == TYPE_F32 ? ((const float *)feed->values)[at] : ((const double *)feed->values)[at])) return true;
  }
  return false;
}

/* An input with missing values that were kept, or NULL. */
static const char *missing_input(const Run *run) {
  for (uint32_t b = 0; b < run->front.blocks; b++) {
    const DataPart *part = &run->data[b]->train;
    for (uint32_t i = 0; i < run->data[b]->feed_count && !part->stride; i++) {
      if (has_nan(&part->feeds[i], 0, part->rows)) return part->feeds[i].want->name;
    }
  }
  return NULL;
}

static bool begin(Training *t, const Options *o);
static void take_batch(Training *t, int64_t *batch);

/* The operation that failed, found by taking the steps up to this one again: they come out the same. */
static Blame find_cause(Training *t) {
  enum { PATIENCE = 5 };
  Run *run = &t->run;
  const int64_t failed = t->step;
  const double start = progress_seconds();
  int64_t batch[GRADC_MAX_BATCHES];
  const Blame nothing = {0};
  if (gradc_reset(run->model, gradc_progress(run->model)->seed) != GRADC_OK || !begin(t, run->options)) return nothing;
  for (; t->step < failed - 1; t->step++) {
    take_batch(t, batch);
    if (gradc_train_step(run->model, run->inputs, batch) != GRADC_OK || progress_seconds() - start > PATIENCE) return nothing;
  }
  take_batch(t, batch);
  const Blame blame = blame_step(run, run->inputs, batch);
  t->step = failed;
  return blame;
}

/* The name of the loss that is not finite, where there are several; and what makes losses so. */
static const char *failed_loss(Training *t) {
  const GradcFigure *figures;
  const int count = gradc_figures(t->run.model, &figures);
  const char *name = NULL;
  int losses = 0;
  for (int i = 0; i < count; i++) {
    if (figures[i].kind != GRADC_OUT_LOSS) continue;
    losses++;
    if (!isfinite(figures[i].value) && !name) name = figures[i].name;
  }
  return losses > 1 && name ? arena_printf(&t->run.front.arena, " `%s`", name) : "";
}

static bool report_nan(Training *t, double loss) {
  Run *run = &t->run;
  Arena *arena = &run->front.arena;
  const int64_t step = t->step;
  const char *name = failed_loss(t), *hint = "a smaller rate, `clip_norm = 1` in the train block, or standardized inputs keep it finite";
  const char *missing = isnan(loss) ? missing_input(run) : NULL;
  if (missing)
    hint = arena_printf(arena, "`%s` has missing values, which `missing = keep` makes NaN: replace them, "
                        "`|> (v -> if is_known(v) then v else 0)`, or give them weight 0", missing);
  else if (step > 2 && fabs(t->losses[0]) > 10 * fabs(t->losses[1]) + 1)
    hint = arena_printf(arena, "it grew from %.3g to %.3g in the step before: the rate is too large; "
                        "a smaller one, or `clip_norm = 1` in the train block, keeps it finite", t->losses[1], t->losses[0]);
  progress_clear(&t->progress);
  const Blame blame = missing ? (Blame){0} : find_cause(t);
  Diag *d = diag_error(&run->front.session, "not-finite", blame.span,
                       "the loss%s is %s at step %lld (epoch %lld): the training stops, and nothing is written", name,
                       isnan(loss) ? "NaN" : "infinite", (long long)step, (long long)((step - 1) / t->per_epoch + 1));
  if (blame.label) diag_label(&run->front.session, d, "%s", blame.label);
  diag_hint(&run->front.session, d, "%s", blame.hint ? blame.hint : hint);
  front_report(&run->front);
  return false;
}

static void take_batch(Training *t, int64_t *batch) {
  const int64_t epoch = t->step / t->per_epoch;
  gradc_progress(t->run.model)->epoch = (double)epoch;
  feeder_batch(t->train, epoch, t->step % t->per_epoch, t->run.inputs, batch, NULL);
}

static bool train_step(Training *t) {
  Run *run = &t->run;
  int64_t batch[GRADC_MAX_BATCHES];
  take_batch(t, batch);
  if (gradc_train_step(run->model, run->inputs, batch) != GRADC_OK) {
    front_fail(&run->front, NULL, "%s", gradc_message(run->model));
    return false;
  }
  t->step++;
  figures_add(&t->train_figures, run->model);
  const double loss = step_loss(run->model);
  if (!isfinite(loss)) return report_nan(t, loss);
  if (run->options->write_trajectory) trajectory_step(&t->trajectory, run->model);
  t->losses[1] = t->losses[0];
  t->losses[0] = loss;
  progress_step(&t->progress, t->step, batch[0], &t->train_figures);
  return true;
}

static bool end_epoch(Training *t) {
  const bool held = run_rows(&t->run, true) > 0;
  figures_clear(&t->held_figures);
  if (held && !run_evaluate(&t->run, t->held, &t->held_figures)) return false;
  progress_epoch(&t->progress, (t->step + t->per_epoch - 1) / t->per_epoch, &t->train_figures, held ? &t->held_figures : NULL);
  if (t->step < t->steps) figures_clear(&t->train_figures);
  return true;
}

static bool train_all(Training *t) {
  while (t->step < t->steps && !stop_asked) {
    if (t->step % t->per_epoch == 0) gradc_reset_metrics(t->run.model);
    if (!train_step(t)) return false;
    const bool epoch_ends = t->step % t->per_epoch == 0 || t->step == t->steps;
    if (epoch_ends && !end_epoch(t)) return false;
    if (t->step < t->steps && progress_seconds() - t->saved > SAVE_SECONDS && !save(t)) return false;
  }
  t->interrupted = t->step < t->steps;
  return true;
}

/* ---- beginning and end ---- */

/* The parameters with which the training begins, and its step. */
static bool begin(Training *t, const Options *o) {
  t->step = 0;
  if (!o->resume && !weights_start(&t->run.front, t->run.model)) return false;
  if (o->weights && !start_from(t, o->weights)) return false;
  if (o->resume && !resume(t)) return false;
  gradc_progress(t->run.model)->steps = (double)t->steps;
  return true;
}

static bool prepare(Training *t, const Options *o) {
  Run *run = &t->run;
  Front *f = &run->front;
  TrainPlan *plan = &f->program->plan;
  t->out = front_weights(f, o->out);
  if (!weights_writable(f, t->out)) return false;
  const DataOptions how = {.targets = true, .seed = plan->seed};
  if (!front_data(f, o, &how, &run->stats, run->data)) return false;
  run_capacity(run);
  if (!run_create(run, 1u << GRADC_ENTRY_INIT | 1u << GRADC_ENTRY_TRAIN, plan->seed)) return false;
  if (!begin(t, o)) return false;
  FeedOptions feed = {.shuffle = !o->no_shuffle, .augment = true, .seed = gradc_progress(run->model)->seed};
  memcpy(feed.capacity, run->capacity, sizeof feed.capacity);
  t->train = feeder_new(run->data, f->blocks, &feed);
  feed.held = true;
  feed.shuffle = feed.augment = false;
  if (run_rows(run, true)) t->held = feeder_new(run->data, f->blocks, &feed);
  t->per_epoch = feeder_steps(t->train);
  if (plan->steps > 0) {
    t->steps = plan->steps;
  } else if (!mem_mul(plan->epochs, t->per_epoch, &t->steps)) {
    front_fail(f, NULL, "%lld epochs of %lld steps are more than can be counted", (long long)plan->epochs, (long long)t->per_epoch);
    return false;
  }
  gradc_progress(run->model)->steps = (double)t->steps;
  if (o->write_trajectory && !trajectory_start(&t->trajectory, f, run->model, t->steps - t->step)) return false;
  t->progress = (Progress){.quiet = o->quiet, .json = o->json, .steps = t->steps, .steps_per_epoch = t->per_epoch};
  return true;
}

static void print_end(Training *t) {
  Run *run = &t->run;
  const int64_t held = run_rows(run, true);
  const Figures *figures = &t->held_figures;
  Text line = {0};
  if (run->options->json) {
    text_printf(&line, "{\"steps\":%lld,\"%s\":", (long long)t->step, held ? "held_out" : "train");
    figures_json(figures, &line);
    text_printf(&line, ",\"rows\":%lld,\"weights\":\"%s\"}", (long long)(held ? held : run_rows(run, false)), t->out);
  } else {
    text_printf(&line, held ? "held out (%lld rows): " : "training (%lld rows): ", (long long)(held ? held : run_rows(run, false)));
    figures_print(figures, &line);
    figures_print_arrays(figures, &line);
  }
  printf("%s\n", text_get(&line));
  text_free(&line);
  if (run->options->quiet || run->options->json) return;
  fflush(stdout);
  fprintf(stderr, "wrote %s\n", t->out);
}

/* Of the parameters as they are now: on the held-out rows, which the last epoch has seen to, or on those of the training. */
static bool judge(Training *t) {
  if (t->held_figures.all.count) return true;
  FeedOptions feed = {.held = t->held != NULL};
  memcpy(feed.capacity, t->run.capacity, sizeof feed.capacity);
  Feeder *feeder = feeder_new(t->run.data, t->run.front.blocks, &feed);
  const bool ok = run_evaluate(&t->run, feeder, &t->held_figures);
  feeder_free(feeder);
  return ok;
}

static int finish(Training *t) {
  const Options *o = t->run.options;
  progress_clear(&t->progress);
  if (!save(t)) return EXIT_INPUT;
  if (o->write_trajectory && !trajectory_write(&t->trajectory, &t->run.front, t->run.model, o->write_trajectory)) return EXIT_INPUT;
  if (!t->interrupted) {
    if (!judge(t)) return EXIT_INPUT;
    print_end(t);
    return EXIT_DONE;
  }
  fflush(stdout);
  fprintf(stderr, "stopped after step %lld of %lld; the state is in %s\nto go on: gradc train %s%s%s%s%s --resume\n", (long long)t->step,
          (long long)t->steps, t->out, o->path, o->data ? " --data " : "", o->data ? o->data : "", o->out ? " --out " : "", o->out ? o->out : "");
  return 128 + stop_asked;
}

int cmd_train(const Options *o) {
  Training t = {.run = {.options = o}};
  Front *f = &t.run.front;
  if (!door_takes("write-trajectory", o->write_trajectory)) return EXIT_USAGE;
  int status = front_recall(f, o, true);
  if (!status && o->print_config) {
    status = print_config(f);
  } else if (!status) {
    status = EXIT_INPUT;
    if (prepare(&t, o)) {
      catch_signals();
      progress_start(&t.progress, t.step);
      t.saved = progress_seconds();
      if (train_all(&t)) status = finish(&t);
    }
  }
  feeder_free(t.train);
  feeder_free(t.held);
  trajectory_free(&t.trajectory);
  figures_free(&t.train_figures);
  figures_free(&t.held_figures);
  run_close(&t.run);
  return status;
}
