/* run.c: see run.h. */
#include "run.h"

#include <stdlib.h>

#include "synthetic.h"
#include "weights.h"

void run_capacity(Run *run) {
  const int64_t wanted = run->front.program->plan.batch;
  for (uint32_t b = 0; b < run->front.blocks; b++) {
    int64_t rows = run->data[b] ? run->data[b]->train.rows : 1;
    if (rows < 1) rows = 1;
    run->capacity[b] = wanted > 0 && wanted < rows ? wanted : rows;
  }
}

bool run_create(Run *run, unsigned entries, uint64_t seed) {
  if (!front_processor(&run->front, true)) return false;
  run->program = front_compile_within(&run->front, run->options, entries, run->capacity, (int)run->options->threads);
  return run->program && run_instance(run, seed);
}

bool run_instance(Run *run, uint64_t seed) {
  GradcMessage message;
  const GradcStatus status = gradc_create(run->program, seed, run->capacity, (int)run->options->threads, &run->model, &message);
  if (status != GRADC_OK) {
    front_fail(&run->front, status == GRADC_ERROR_MEMORY ? "`gradc summary` shows what a batch takes" : NULL, "%s", message.text);
    return false;
  }
  run->inputs = mem_zero((size_t)gradc_feed_count(run->program) + 1, sizeof *run->inputs);
  return true;
}

bool run_evaluate(Run *run, Feeder *feeder, Figures *figures) {
  compile_entry(run->front.compiled, GRADC_ENTRY_EVAL);
  gradc_reset_metrics(run->model);
  for (int64_t i = 0; i < feeder_steps(feeder); i++) {
    int64_t batch[GRADC_MAX_BATCHES];
    feeder_batch(feeder, 0, i, run->inputs, batch, NULL);
    if (gradc_eval(run->model, run->inputs, batch) != GRADC_OK) {
      front_fail(&run->front, NULL, "%s", gradc_message(run->model));
      return false;
    }
    figures_add(figures, run->model);
  }
  return true;
}

int64_t run_rows(const Run *run, bool held) {
  int64_t most = 0;
  for (uint32_t b = 0; b < run->front.blocks; b++) {
    const int64_t rows = held ? run->data[b]->held.rows : run->data[b]->train.rows;
    if (rows > most) most = rows;
  }
  return most;
}

bool run_synthetic(Run *run, const int64_t *batch) {
  const int feeds = gradc_feed_count(run->program);
  run->drawn = mem_zero((size_t)feeds + 1, sizeof *run->drawn);
  for (int i = 0; i < feeds; i++) {
    const GradcSlot *slot = gradc_feed(run->program, i);
    int64_t count = 1, bytes;
    bool fits = true;
    for (int k = 0; k < slot->rank; k++) fits = fits && mem_mul(count, slot->dims[k] < 0 ? batch[-1 - slot->dims[k]] : slot->dims[k], &count);
    if (!fits || !mem_mul(count, 8, &bytes)) {
      front_fail(&run->front, NULL, "a batch of %lld rows is larger than any memory", (long long)batch[0]);
      return false;
    }
    run->inputs[i] = run->drawn[i] = mem_alloc((size_t)bytes);
    synthetic_fill((Type)slot->type, slot->classes, (uint32_t)i, count, run->drawn[i]);
  }
  return true;
}

static void free_instance(Run *run) {
  for (int i = 0; run->drawn && run->drawn[i]; i++) free(run->drawn[i]);
  free(run->drawn);
  free(run->inputs);
  gradc_free(run->model);
  run->drawn = NULL, run->inputs = NULL, run->model = NULL, run->program = NULL;
}

void run_undo(Run *run) {
  free_instance(run);
  if (run->front.compiled) compiled_free(run->front.compiled);
  run->front.compiled = NULL;
}

void run_close(Run *run) {
  free_instance(run);
  for (uint32_t b = 0; b < GRADC_MAX_BATCHES; b++) dataset_free(run->data[b]);
  stats_free(&run->stats);
  front_close(&run->front);
}

bool run_open_trained(Run *run, const DataOptions *how) {
  const Options *o = run->options;
  const char *path = front_weights(&run->front, o->weights);
  GradcFile *file = weights_open(&run->front, path);
  if (!file) return false;
  weights_stats(file, &run->stats);
  bool ok = front_data(&run->front, o, how, &run->stats, run->data);
  if (ok) run_capacity(run);
  ok = ok && run_create(run, 1u << GRADC_ENTRY_INIT | 1u << GRADC_ENTRY_EVAL, run->front.program->plan.seed) &&
       weights_read(&run->front, file, path, run->model);
  gradc_file_close(file);
  return ok;
}
