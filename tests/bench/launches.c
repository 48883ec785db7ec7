/* Where a training step's time goes: bench_launches MODEL.nn [batch] times each launch alone, on one thread, as if the
 * rest of the step were not there: operands are as warm as they fit. */
#include <stdio.h>
#include <stdlib.h>

#include "build.h"
#include "compile.h"
#include "emit_run.h"
#include "passes.h"
#include "peak.h"

typedef struct {
  double seconds, compile;
} Timing;

static void no_barrier(GradcFrame *frame, int64_t thread) { (void)frame, (void)thread; }

static Timing time_launches(const Schedule *s, uint32_t first, uint32_t count, EmitRun *r, const InterpInput *input) {
  Schedule one = *s;
  EmitResult code;
  const char *error;
  Timing t = {1e9, 0};
  one.launches.data += first, one.launches.count = count;
  Kernel *kernels = mem_zero(count, sizeof *kernels);
  Launch *launches = mem_zero(count, sizeof *launches);
  for (uint32_t i = 0; i < count; i++) {
    launches[i] = s->launches.data[first + i], kernels[i] = s->kernels.data[launches[i].kernel];
    launches[i].kernel = i;
  }
  if (count == 1) one.kernels.data = kernels, one.kernels.count = 1, one.launches.data = launches;
  double start = bench_now();
  emit_schedule(&one, "entry", NULL, &code);
  t.compile = bench_now() - start;
  Loaded *loaded = emit_load(&code, &error);
  GradcEntry run = emit_entry(loaded, "entry");
  GradcFrame frame = {.buffers = (void *const *)r->buffers, .step = 1, .steps = 10, .barrier = no_barrier};
  memcpy(frame.batch, input->batch, sizeof frame.batch);
  void *scratch = aligned_alloc(64, (size_t)emit_scratch(&one, NULL) / 64 * 64 + 64);
  long calls = 1;
  for (const double end = bench_now() + 0.1; bench_now() < end;) {
    start = bench_now();
    for (long i = 0; i < calls; i++) run(&frame, 0, 1, scratch);
    const double took = bench_now() - start;
    if (took < 0.0005)
      calls *= 2;
    else if (took / (double)calls < t.seconds)
      t.seconds = took / (double)calls;
  }
  free(scratch), free(code.object), free(kernels), free(launches);
  emit_unload(loaded);
  return t;
}

int main(int argc, char **argv) {
  Session session = {0};
  CompileOptions options = {0};
  if (argc < 2) return 2;
  Program *p = compile_front(&session, argv[1], &options);
  if (!p) return 1;
  const PassOptions passes = {0};
  Graph *optimised = passes_run(p->train, &passes), *g = schedule_lower(optimised);
  Machine machine = {.l1 = 32 << 10, .l2 = 512 << 10, .l3 = 8 << 20};
  const char *cpu;
  emit_machine(NULL, &machine.vector_bytes, &machine.vector_registers, &cpu);
  Schedule *s = schedule_graph(&session, g, &machine);
  const int64_t batch = argc > 2 ? atol(argv[2]) : p->plan.batch;
  double **slots = mem_zero(g->slots.count + 1, sizeof *slots);
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {batch, batch, batch, batch}};
  EmitRun r;
  emit_run_open(&r, s, &input);
  for (uint32_t i = 0; i < s->buffers.count; i++) /* small numbers everywhere: no time lost on unusual ones */
    for (int64_t k = 0; k < r.counts[i]; k++)
      er_put(r.buffers[i], s->buffers.data[i].type, k, s->buffers.data[i].type == TYPE_I32 ? 1 : (double)(k % 17) / 64);
  const double peak = peak_gflops(0.1);
  double sum = 0, compile = 0, work = 0;
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    const Kernel *k = &s->kernels.data[l->kernel];
    const Timing t = time_launches(s, i, 1, &r, &input);
    const double flops = kernel_flops(k, batch);
    work += flops * (double)schedule_rounds(s, l);
    sum += t.seconds, compile += t.compile;
    printf("%3u %-8s %10.2f us  %5.1f %% of peak  compiled in %5.1f ms  %s\n", i, k->name, t.seconds * 1e6,
           flops / t.seconds / peak * 1e-7, t.compile * 1e3, l->title ? l->title : "");
  }
  const Timing all = time_launches(s, 0, s->launches.count, &r, &input);
  printf("sum %.2f us, the whole step %.2f us (%.1f %% of %.1f GFLOP/s); compiled singly in %.0f ms, as a whole in "
         "%.0f ms\n",
         sum * 1e6, all.seconds * 1e6, work / all.seconds / peak * 1e-7, peak, compile * 1e3,
         all.compile * 1e3);
  emit_run_close(&r);
  schedule_free(s);
  graph_free(g), graph_free(optimised);
  session_free(&session);
  free(slots);
  return 0;
}
