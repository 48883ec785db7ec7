/* cmd_bench.c: how long training steps take, on one synthetic batch. The first step is timed from the start of the process,
 * so that compiling and loading count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "run.h"

const uint8_t cmd_bench_options[] = {OPT_batch, OPT_memory_limit, OPT_threads, OPT_seconds, OPT_seed, OPT_set, OPT_dtype, OPT_cpu, OPT_no_cache, OPT_verbose, OPT_without, OPT_model,
                                     OPT_no_warn, OPT_COUNT};

enum { WARM = 5, LEAST = 5, MOST = 5000, GROUP_MOST = 1024 };
#define GROUP_MS 0.02

typedef struct {
  Run run;
  int64_t batch[GRADC_MAX_BATCHES];
  double first_step, step_median, step_min, forward_median, first_loss, last_loss;
} Bench;

/* Seconds since the process was started: to the system's tick of 10 ms, or since the moment of the monotonic clock that
 * scripts/bench gives in GRADC_STARTED, just before it starts us. */
static double process_seconds(void) {
  const char *started = getenv("GRADC_STARTED");
  if (started && atof(started) > 0) return progress_seconds() - atof(started);
  char text[1024];
  FILE *f = fopen("/proc/self/stat", "r");
  const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) fclose(f);
  text[n] = 0;
  const char *p = strrchr(text, ')');
  unsigned long long ticks = 0;
  if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1) return 0;
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef GradcStatus Step(GradcModel *, const void *const *, const int64_t *);
/* Milliseconds of a call, of `group` in a row. */
static bool time_group(Bench *b, Step *step, int group, double *each) {
  const double start = progress_seconds();
  bool ok = true;
  for (int i = 0; ok && i < group; i++) ok = step(b->run.model, b->run.inputs, b->batch) == GRADC_OK;
  *each = 1e3 * (progress_seconds() - start) / group;
  return ok;
}

/* Milliseconds of a call, over `seconds` of them. Calls that are short beside a reading of the clock are timed in groups. */
static bool measure(Bench *b, Step *step, double seconds, double *median, double *least) {
  double *times = mem_alloc(MOST * sizeof *times);
  const double end = progress_seconds() + seconds;
  int n = 0, group = 1;
  bool ok = time_group(b, step, 1, times);
  while (ok && group < GROUP_MOST && group * times[0] < GROUP_MS) group *= 2, ok = time_group(b, step, group, times);
  while (ok && (n < LEAST || (n < MOST && progress_seconds() < end))) ok = time_group(b, step, group, &times[n++]);
  qsort(times, (size_t)n, sizeof *times, by_value);
  *median = n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
  if (least) *least = times[0];
  free(times);
  if (!ok) front_fail(&b->run.front, NULL, "%s", gradc_message(b->run.model));
  return ok;
}

static bool run_bench(Bench *b) {
  Run *run = &b->run;
  const TrainPlan *plan = &run->front.program->plan;
  for (uint32_t i = 0; i < GRADC_MAX_BATCHES; i++) b->batch[i] = run->capacity[i] = plan->batch > 0 ? plan->batch : 64;
  if (!run_create(run, 1u << GRADC_ENTRY_INIT | 1u << GRADC_ENTRY_TRAIN, plan->seed)) return false;
  if (!run_synthetic(run, b->batch)) return false;
  gradc_progress(run->model)->steps = 1e6;
  if (gradc_train_step(run->model, run->inputs, b->batch) != GRADC_OK) {
    front_fail(&run->front, NULL, "%s", gradc_message(run->model));
    return false;
  }
  b->first_step = process_seconds();
  b->first_loss = step_loss(run->model);
  for (int i = 0; i < WARM; i++) gradc_train_step(run->model, run->inputs, b->batch);
  const double seconds = run->options->seconds > 0 ? (double)run->options->seconds : 3;
  if (!measure(b, gradc_train_step, seconds, &b->step_median, &b->step_min)) return false;
  b->last_loss = step_loss(run->model);
  compile_entry(run->front.compiled, GRADC_ENTRY_EVAL);
  for (int i = 0; i < gradc_feed_count(run->program); i++) {
    if (gradc_feed(run->program, i)->kind == GRADC_SLOT_TARGET) run->inputs[i] = NULL;
  }
  gradc_eval(run->model, run->inputs, b->batch);
  return measure(b, gradc_eval, seconds, &b->forward_median, NULL);
}

/* "tests/bench/mlp.nn" is workload mlp. */
static const char *workload(Front *f, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const size_t n = strlen(name);
  return arena_text(&f->arena, name, n > 3 && !strcmp(name + n - 3, ".nn") ? n - 3 : n);
}

static void print(Bench *b) {
  Run *run = &b->run;
  int64_t parameters = 0;
  for (uint32_t i = 0; i < run->program->slot_count; i++) {
    GradcTensor t;
    if (run->program->slots[i].kind == GRADC_SLOT_PARAM && gradc_tensor_at(run->model, i, &t) == GRADC_OK) parameters += t.count;
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const GradcMemory memory = gradc_model_memory(run->model);
  const CompileStats train = compiled_stats(run->front.compiled, GRADC_ENTRY_TRAIN, b->batch[0]);
  const CompileStats init = compiled_stats(run->front.compiled, GRADC_ENTRY_INIT, b->batch[0]);
  Text out = {0};
  text_printf(&out, "{\"workload\":\"%s\",\"peer\":\"gradc\",\"version\":\"%s\",\"threads\":%d,\"batch\":%lld,\"parameters\":%lld,",
              workload(&run->front, run->options->path), GRADC_VERSION, memory.threads, (long long)b->batch[0], (long long)parameters);
  text_printf(&out, "\"step_ms_median\":%.6g,\"step_ms_min\":%.6g,\"forward_ms_median\":%.6g,\"samples_per_s\":%.0f,", b->step_median,
              b->step_min, b->forward_median, 1e3 * (double)b->batch[0] / b->step_median);
  text_printf(&out, "\"import_s\":0,\"first_step_s\":%.4f,\"peak_rss_mb\":%ld,\"first_loss\":", b->first_step, usage.ru_maxrss / 1024);
  const double losses[] = {b->first_loss, b->last_loss};
  for (int i = 0; i < 2; i++) {
    if (losses[i] - losses[i] == 0) text_printf(&out, "%.6g", losses[i]);
    else text_add(&out, "null");
    text_add(&out, i ? "," : ",\"last_loss\":");
  }
  const CompileStats forward = compiled_stats(run->front.compiled, GRADC_ENTRY_EVAL, b->batch[0]);
  text_printf(&out, "\"flops_per_step\":%.0f,\"flops_forward\":%.0f,\"gflops\":%.2f,\"plan_bytes\":%lld,\"kernels\":%u,\"compile_s\":%.3f,\"cache\":\"%s\"}\n",
              train.flops, forward.flops, train.flops / b->step_median * 1e-6, (long long)memory.total, train.kernels, train.seconds + init.seconds,
              !strncmp(train.cache, "not kept", 8) ? "miss" : train.cache);
  fputs(text_get(&out), stdout);
  text_free(&out);
}

int cmd_bench(const Options *o) {
  Bench b = {.run = {.options = o}};
  int status = front_recall(&b.run.front, o, true);
  if (!status) status = run_bench(&b) ? EXIT_DONE : EXIT_INPUT;
  if (!status) print(&b);
  run_close(&b.run);
  return status;
}
