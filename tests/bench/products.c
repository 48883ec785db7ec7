/* Contractions as emitted, one thread, against the peak of the same minute:
 *   bench_products [MxNxK[n|t|T][u] [rows vectors]]
 * A B, A^T B, A B^T; u: with an optimiser's update. Times are the best of windows of some milliseconds, operands as
 * warm as the last call left them. */

#include <stdlib.h>

#include "kernel_build.h"
#include "peak.h"

typedef struct {
  int m, n, k;
  char mode; /* 'n': A B, 't': A^T B, 'T': A B^T */
  bool update;
} Product;

static const Product products[] = {
    {64, 128, 784, 'n', false},    {784, 128, 64, 't', true},     {64, 784, 128, 'T', false},
    {64, 10, 128, 'n', false},     {128, 10, 64, 't', true},      {64, 128, 10, 'T', false},
    {16, 16, 16, 'n', false},      {64, 64, 64, 'n', false},      {128, 128, 128, 'n', false},
    {256, 1024, 784, 'n', false},  {784, 1024, 256, 't', true},   {256, 1024, 1024, 'n', false},
    {256, 1024, 1024, 'T', false}, {1024, 1024, 256, 't', false}, {1024, 384, 128, 'n', false},
    {1024, 128, 384, 'T', false}};

/* relu(A B + b), or v = 0.9 v + A^T B, w -= 0.01 v. */
static void build_product(Build *b, const Product *p) {
  kb_open(b);
  const bool across = p->mode == 't', down = p->mode == 'T';
  const uint32_t a = across ? kb_buffer(b, TYPE_F32, 2, p->k, p->m) : kb_buffer(b, TYPE_F32, 2, p->m, p->k);
  const uint32_t w = down ? kb_buffer(b, TYPE_F32, 2, p->n, p->k) : kb_buffer(b, TYPE_F32, 2, p->k, p->n);
  const uint32_t c = kb_buffer(b, TYPE_F32, 2, p->m, p->n), bias = kb_buffer(b, TYPE_F32, 1, p->n),
                 v = kb_buffer(b, TYPE_F32, 2, p->m, p->n);
  Kernel *k = kb_kernel(b, 0, 0);
  Stage *t = kb_stage(k, 2, 1, p->m, p->n, p->k);
  const Affine at = kb_affine(0, 3, p->n, 1, 0);
  k->cut_unit = 4;
  t->combine = COMBINE_FMA, t->lane = 1, t->row = 0, t->pack = down;
  t->before = kb_load(b, t, a, across ? kb_affine(0, 3, 1, 0, p->m) : kb_affine(0, 3, p->k, 0, 1));
  t->before2 = kb_load(b, t, w, down ? kb_affine(0, 3, 0, p->k, 1) : kb_affine(0, 3, 0, 1, p->n));
  if (p->update) {
    const int32_t decayed = kb_prim(t, P_MUL, TYPE_F32, kb_load(b, t, v, at), kb_const(t, TYPE_F32, 0.9), -1);
    const int32_t speed = kb_prim(t, P_ADD, TYPE_F32, decayed, kb_acc(t), -1);
    const int32_t step = kb_prim(t, P_MUL, TYPE_F32, kb_const(t, TYPE_F32, 1e-9), speed, -1);
    kb_store(k, t, c, at, kb_prim(t, P_SUB, TYPE_F32, kb_load(b, t, c, at), step, -1), false);
    kb_store(k, t, v, at, speed, false);
  } else {
    const int32_t sum = kb_prim(t, P_ADD, TYPE_F32, kb_acc(t), kb_load(b, t, bias, kb_affine(0, 3, 0, 1, 0)), -1);
    const int32_t zero = kb_const(t, TYPE_F32, 0);
    kb_store(k, t, c, at, kb_prim(t, P_SELECT, TYPE_F32, kb_prim(t, P_LT, TYPE_BOOL, zero, sum, -1), sum, zero), false);
  }
}

/* Seconds of one call, and of compiling. */
static double time_product(Build *b, const EmitOptions *o, double *compile) {
  void *at[8];
  EmitResult code;
  const char *error;
  for (uint32_t i = 0; i < b->s.buffers.count; i++) {
    const size_t n = (size_t)kb_count(b, b->batch, i);
    at[i] = aligned_alloc(64, n * 4 / 64 * 64 + 128);
    for (size_t k = 0; k < n; k++) ((float *)at[i])[k] = (float)((k * 7 + i) % 17) / 32 - 0.25f;
  }
  const double start = bench_now();
  emit_schedule(&b->s, "entry", o, &code);
  *compile = bench_now() - start;
  Loaded *loaded = emit_load(&code, &error);
  if (!loaded) fprintf(stderr, "%s\n", error), exit(1);
  GradcEntry run = emit_entry(loaded, "entry");
  GradcFrame frame = {.buffers = at, .step = 1, .barrier = kb_no_barrier};
  void *scratch = aligned_alloc(64, (size_t)emit_scratch(&b->s, o) / 64 * 64 + 64);
  double best = 1e9;
  long calls = 1;
  for (const double end = bench_now() + 0.25; bench_now() < end;) {
    const double from = bench_now();
    for (long i = 0; i < calls; i++) run(&frame, 0, 1, scratch);
    const double t = bench_now() - from;
    if (t < 0.002)
      calls *= 2;
    else if (t / (double)calls < best)
      best = t / (double)calls;
  }
  free(scratch);
  emit_unload(loaded);
  free(code.object);
  for (uint32_t i = 0; i < b->s.buffers.count; i++) free(at[i]);
  return best;
}

static void report(const Product *p, const EmitOptions *o) {
  Build b;
  double compile;
  build_product(&b, p);
  const double before = peak_gflops(0.05), t = time_product(&b, o, &compile), after = peak_gflops(0.05);
  const double peak = before > after ? before : after, rate = 2e-9 * p->m * p->n * p->k / t;
  printf("%5dx%5dx%5d %-3s%s %10.2f us %7.1f GFLOP/s %5.1f %% of %.1f   compiled in %.1f ms\n", p->m, p->n, p->k,
         p->mode == 'n'   ? "AB"
         : p->mode == 't' ? "AtB"
                          : "ABt",
         p->update ? " update" : "       ", t * 1e6, rate, 100 * rate / peak, peak, compile * 1e3);
  fflush(stdout);
  kb_close(&b);
}

int main(int argc, char **argv) {
  const EmitOptions o = {.tile_rows = argc > 3 ? (unsigned)atoi(argv[2]) : 0,
                         .tile_vectors = argc > 3 ? (unsigned)atoi(argv[3]) : 0};
  Product p = {.mode = 'n'};
  char update = 0;
  if (argc > 1 && sscanf(argv[1], "%dx%dx%d%c%c", &p.m, &p.n, &p.k, &p.mode, &update) >= 3) {
    p.update = update == 'u';
    report(&p, &o);
    return 0;
  }
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) report(&products[i], &o);
  return 0;
}
