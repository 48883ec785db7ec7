/* cmd_profile.c: where a training step spends its time: each kernel with its calls, rates and the source lines that it comes
 * from. The kernels are those of the training, to the instruction; around them the entry takes the time, which costs about
 * 30 ns a launch. Thread 0 is measured; where several run, what it waits for belongs to the launch before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peak.h"
#include "stamps.h"

const uint8_t cmd_profile_options[] = {OPT_batch, OPT_threads, OPT_seconds, OPT_seed, OPT_set, OPT_dtype, OPT_cpu, OPT_no_cache, OPT_without,
                                       OPT_model, OPT_json, OPT_no_warn, OPT_COUNT};

enum { MOST_LINES = 6 };

typedef struct {
  const char *name, *title;
  double seconds, fastest, flops, bytes; /* of a step */
  int64_t calls;
  uint32_t lines[MOST_LINES], line_count; /* of the model's own file */
  bool more;
} KernelRow;

typedef struct {
  Run run;
  int64_t batch[GRADC_MAX_BATCHES];
  Stamps stamps;
  double peak;         /* GFLOP/s of one core */
  KernelRow *rows;
  uint32_t row_count;
} Profile;

static bool measure(Profile *p) {
  Run *run = &p->run;
  const TrainPlan *plan = &run->front.program->plan;
  for (uint32_t i = 0; i < GRADC_MAX_BATCHES; i++) p->batch[i] = run->capacity[i] = plan->batch > 0 ? plan->batch : 64;
  if (!stamps_create(run) || !stamps_measure(run, p->batch, run->options->seconds > 0 ? (double)run->options->seconds : 3, &p->stamps)) return false;
  p->peak = peak_gflops(0.3);
  return true;
}

/* ---- rows ---- */

static void add_line(Profile *p, KernelRow *row, Span span) {
  const Place place = source_place(&p->run.front.session.sources, span.begin);
  if (!place.source || strcmp(place.source->path, p->run.front.program->path)) return; /* the library's lines say little */
  for (uint32_t i = 0; i < row->line_count; i++)
    if (row->lines[i] == place.line) return;
  if (row->line_count < MOST_LINES) row->lines[row->line_count++] = place.line;
  else row->more = true;
}

static int by_time(const void *a, const void *b) {
  const double x = ((const KernelRow *)a)->seconds, y = ((const KernelRow *)b)->seconds;
  return (x < y) - (x > y);
}

/* Launches of one kernel are one row. */
static void collect(Profile *p) {
  p->rows = mem_zero(p->stamps.launches + 1, sizeof *p->rows);
  for (uint32_t i = 0; i < p->stamps.launches; i++) {
    const CompileLaunch l = compiled_launch(p->run.front.compiled, GRADC_ENTRY_TRAIN, i, p->batch[0]);
    uint32_t k = 0;
    while (k < p->row_count && strcmp(p->rows[k].name, l.kernel)) k++;
    KernelRow *row = &p->rows[k];
    if (k == p->row_count) *row = (KernelRow){.name = l.kernel, .title = l.title}, p->row_count++;
    const double ran = stamps_rounds(&p->stamps, i), part = ran / (double)l.rounds; /* of all rounds */
    row->calls += (int64_t)(ran + 0.5);
    row->fastest += stamps_fastest(&p->stamps, i);
    row->seconds += stamps_launch(&p->stamps, i);
    row->flops += l.flops * part;
    row->bytes += l.bytes * part;
    add_line(p, row, l.span);
  }
  qsort(p->rows, p->row_count, sizeof *p->rows, by_time);
}

static void add_lines(const KernelRow *row, const char *separator, Text *out) {
  for (uint32_t i = 0; i < row->line_count; i++) text_printf(out, "%s%u", i ? separator : "", row->lines[i]);
}

/* Of the peak of all cores that take part; arithmetic alone: what only moves memory has none. */
static double share(const Profile *p, double flops, double seconds, int threads) {
  return p->peak > 0 && seconds > 0 ? flops / seconds * 1e-9 / (p->peak * threads) : 0;
}

static void print_text(const Profile *p, int threads, Text *out) {
  double flops = 0, fastest = 0;
  for (uint32_t i = 0; i < p->row_count; i++) flops += p->rows[i].flops, fastest += p->rows[i].fastest;
  text_printf(out, "a step of %lld rows: %.4g ms on %d thread%s, %.1f GFLOP/s, %.0f %% of the peak of %s (%.1f GFLOP/s each, measured now)\n",
              (long long)p->batch[0], 1e3 * p->stamps.step, threads, threads == 1 ? "" : "s", flops / p->stamps.step * 1e-9,
              100 * share(p, flops, p->stamps.step, threads), threads == 1 ? "one core" : "these cores", p->peak);
  text_printf(out, "each kernel at its fastest, as if alone on the machine: %.4g ms, %.1f GFLOP/s, %.0f %%\n", 1e3 * fastest,
              fastest > 0 ? flops / fastest * 1e-9 : 0, 100 * share(p, flops, fastest, threads));
  text_printf(out, "%10s %9s %6s %6s %9s %8s %8s  %s\n", "us, median", "fastest", "share", "calls", "GFLOP/s", "GB/s", "of peak", "kernel: what, lines of the model");
  for (uint32_t i = 0; i < p->row_count; i++) {
    const KernelRow *r = &p->rows[i];
    const double s = r->seconds > 0 ? r->seconds : 1e-12;
    text_printf(out, "%10.2f %9.2f %4.0f %% %6lld ", 1e6 * r->seconds, 1e6 * r->fastest, 100 * r->seconds / p->stamps.step, (long long)r->calls);
    if (r->flops > 0) text_printf(out, "%9.1f %8.2f %6.0f %%", r->flops / s * 1e-9, r->bytes / s * 1e-9, 100 * share(p, r->flops, s, threads));
    else text_printf(out, "%9s %8.2f %8s", "-", r->bytes / s * 1e-9, "-");
    text_printf(out, "  %s: %s", r->name, r->title);
    if (r->line_count) text_add(out, r->line_count > 1 ? ", lines " : ", line ");
    add_lines(r, ", ", out);
    text_add(out, r->more ? ", ..\n" : "\n");
  }
}

static void print_json(const Profile *p, int threads, Text *out) {
  text_printf(out, "{\"batch\":%lld,\"threads\":%d,\"steps\":%lld,\"step_ms\":%.5g,\"peak_gflops\":%.4g,\"kernels\":[", (long long)p->batch[0], threads,
              (long long)p->stamps.steps, 1e3 * p->stamps.step, p->peak);
  for (uint32_t i = 0; i < p->row_count; i++) {
    const KernelRow *r = &p->rows[i];
    text_printf(out, "%s{\"kernel\":\"%s\",\"calls\":%lld,\"us\":%.5g,\"us_fastest\":%.5g,\"flops\":%.0f,\"bytes\":%.0f,\"lines\":[", i ? "," : "", r->name, (long long)r->calls,
                1e6 * r->seconds, 1e6 * r->fastest, r->flops, r->bytes);
    add_lines(r, ",", out);
    text_add(out, "]}");
  }
  text_add(out, "]}\n");
}

int cmd_profile(const Options *o) {
  Profile p = {.run = {.options = o}};
  int status = front_open(&p.run.front, o, true);
  if (!status) status = measure(&p) ? EXIT_DONE : EXIT_INPUT;
  if (!status) {
    Text out = {0};
    const GradcMemory memory = gradc_model_memory(p.run.model);
    collect(&p);
    if (o->json) print_json(&p, memory.threads, &out);
    else print_text(&p, memory.threads, &out);
    fputs(text_get(&out), stdout);
    text_free(&out);
  }
  free(p.rows);
  stamps_free(&p.stamps);
  run_close(&p.run);
  return status;
}
