/* cmd_eval.c: losses and metrics of a trained model: on the held-out rows of its own data, or on all rows of another file.
 * With --write-outputs or --write-gradients it is the door to other frameworks (door.h). */
#include <stdio.h>
#include <string.h>

#include "door.h"
#include "run.h"
#include "weights.h"

const uint8_t cmd_eval_options[] = {OPT_data, OPT_weights, OPT_batch, OPT_threads, OPT_seed, OPT_set, OPT_dtype, OPT_cpu, OPT_no_cache, OPT_verbose, OPT_model,
                                    OPT_write_outputs, OPT_write_gradients, OPT_json, OPT_no_warn, OPT_COUNT};

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
    figures_print_arrays(figures, &line);
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

/* False after a message: the status is EXIT_USAGE. */
static bool door_options(const Options *o) {
  if (!door_takes("write-outputs", o->write_outputs) || !door_takes("write-gradients", o->write_gradients)) return false;
  if (!o->batch) return true;
  fprintf(stderr, "gradc: --batch says nothing beside --write-outputs and --write-gradients: all rows are one step\n");
  return false;
}

int cmd_eval(const Options *o) {
  Run run = {.options = o};
  const bool door = o->write_outputs || o->write_gradients;
  if (door && !door_options(o)) return EXIT_USAGE;
  int status = front_recall(&run.front, o, o->write_gradients != NULL);
  if (!status && door) status = door_eval(&run);
  else if (!status) status = evaluate(&run) ? EXIT_DONE : EXIT_INPUT;
  run_close(&run);
  return status;
}
