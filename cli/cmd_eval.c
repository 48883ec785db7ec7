/* cmd_eval.c: losses and metrics of a trained model: on the held-out rows of its own data, or on all rows of another file. */
#include <stdio.h>
#include <string.h>

#include "run.h"
#include "weights.h"

const uint8_t cmd_eval_options[] = {OPT_data, OPT_weights, OPT_batch, OPT_threads, OPT_seed, OPT_set, OPT_dtype, OPT_cpu, OPT_model,
                                    OPT_json, OPT_COUNT};

static void print(Run *run, const Figures *figures, bool held) {
  const int64_t rows = run_rows(run, held);
  Text line = {0};
  if (run->options->json) {
    figures_json(figures, &line);
    line.length--; /* its last brace */
    text_printf(&line, ",\"rows\":%lld}", (long long)rows);
  } else {
    text_printf(&line, "%s (%lld rows): ", held ? "held out" : run->options->data ? run->options->data : "all", (long long)rows);
    figures_print(figures, &line);
  }
  printf("%s\n", text_get(&line));
  text_free(&line);
}

static bool evaluate(Run *run) {
  const Options *o = run->options;
  const DataOptions how = {.targets = true, .whole = o->data != NULL, .known = true, .seed = run->front.program->plan.seed};
  bool ok = run_open_trained(run, &how);
  if (!ok) return false;
  const bool held = run_rows(run, true) > 0;
  FeedOptions feed = {.held = held};
  memcpy(feed.capacity, run->capacity, sizeof feed.capacity);
  Feeder *feeder = feeder_new(run->data, run->front.blocks, &feed);
  Figures figures = {0};
  ok = run_evaluate(run, feeder, &figures);
  if (ok) print(run, &figures, held);
  figures_free(&figures);
  feeder_free(feeder);
  return ok;
}

int cmd_eval(const Options *o) {
  Run run = {.options = o};
  int status = front_open(&run.front, o, false);
  if (!status) status = evaluate(&run) ? EXIT_DONE : EXIT_INPUT;
  run_close(&run);
  return status;
}
