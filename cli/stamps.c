/* stamps.c: see stamps.h. */
#include "stamps.h"

#include <stdlib.h>

#include "model.h"
#include "progress.h"

enum { WARM = 5, LEAST = 5, MOST_STEPS = 1000 };

typedef struct {
  double last;     /* seconds, at the stamp before */
  int64_t running; /* the launch that it began */
  int64_t step;
  Stamps *stamps;
} Clock;

static void stamp(GradcFrame *frame, int64_t thread, int64_t launch) {
  if (thread) return;
  Clock *clock = frame->stamps;
  const double now = progress_seconds();
  if (clock->running < clock->stamps->launches && clock->step >= 0) {
    clock->stamps->taken[clock->running * MOST_STEPS + clock->step] += (float)(now - clock->last);
    clock->stamps->rounds[clock->running]++;
  }
  clock->running = launch;
  clock->last = now;
}

static int by_value(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double median(float *times, int64_t count) {
  qsort(times, (size_t)count, sizeof *times, by_value);
  return (double)times[count / 2];
}

double stamps_launch(Stamps *s, uint32_t launch) { return median(s->taken + (size_t)launch * MOST_STEPS, s->steps); }

double stamps_fastest(const Stamps *s, uint32_t launch) {
  const float *times = s->taken + (size_t)launch * MOST_STEPS;
  float least = times[0];
  for (int64_t i = 1; i < s->steps; i++)
    if (times[i] < least) least = times[i];
  return (double)least;
}

double stamps_rounds(const Stamps *s, uint32_t launch) { return (double)s->rounds[launch] / (double)s->steps; }

void stamps_free(Stamps *s) {
  free(s->taken), free(s->rounds);
  *s = (Stamps){0};
}

static bool step(Run *run, const int64_t *batch) {
  if (gradc_train_step(run->model, run->inputs, batch) == GRADC_OK) return true;
  front_fail(&run->front, NULL, "%s", gradc_message(run->model));
  return false;
}

bool stamps_create(Run *run) {
  run->front.compile.stamps = true;
  return run_create(run, 1u << GRADC_ENTRY_INIT | 1u << GRADC_ENTRY_TRAIN, run->front.program->plan.seed);
}

bool stamps_measure(Run *run, const int64_t *batch, double seconds, Stamps *s) {
  float times[MOST_STEPS];
  *s = (Stamps){.launches = compiled_stats(run->front.compiled, GRADC_ENTRY_TRAIN, batch[0]).launches};
  if (!run_synthetic(run, batch)) return false;
  s->taken = mem_zero((size_t)s->launches * MOST_STEPS + 1, sizeof *s->taken);
  s->rounds = mem_zero(s->launches + 1, sizeof *s->rounds);
  Clock clock = {.running = s->launches, .step = -1, .stamps = s};
  gradc_set_stamp(run->model, stamp, &clock);
  gradc_progress(run->model)->steps = 1e6;
  bool ok = true;
  for (int i = 0; i < WARM && ok; i++) ok = step(run, batch);
  const double end = progress_seconds() + seconds;
  for (; ok && (s->steps < LEAST || (s->steps < MOST_STEPS && progress_seconds() < end)); s->steps++) {
    const double start = progress_seconds();
    clock.step = s->steps;
    ok = step(run, batch);
    times[s->steps] = (float)(progress_seconds() - start);
  }
  gradc_set_stamp(run->model, NULL, NULL);
  if (ok) s->step = median(times, s->steps);
  return ok;
}
