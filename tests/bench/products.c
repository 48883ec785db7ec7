/* Contractions as emitted, alone on one thread, against the peak of the same minute and other libraries:
 *   bench_products [--libraries] [--seconds S] [--cpu NAME] [PRODUCT [ROWS VECTORS]]
 * PRODUCT is MxNxK and a letter: n for A B, t for A^T B, T for A B^T; u behind it: with an optimiser's update in the
 * write-back. An extent is a number; 64b is known when the code runs; 16b*64 is a batch of 16 with 64 places each.
 * Without PRODUCT: those of the workloads beside this file, one row of a Markdown table each. Every figure is the best of
 * windows of some milliseconds, all of a product's taken in turns; operands are as warm as the last call left them.
 * --libraries measures OpenBLAS and oneDNN too, where they are installed, and compares their results. */
#include <dlfcn.h>
#include <stdlib.h>

#include "kernel_build.h"
#include "peak.h"

typedef struct {
  int count;  /* of all */
  int places; /* of each example of a batch known when the code runs; 0: no batch */
} Axis;

typedef struct {
  Axis m, n, k;
  char mode;
  bool update;
} Product;

/* Once each, by model: mlp_tiny, mlp, mlp_wide, bn_mlp, autoencoder, the dense layers of lenet and resnet20, lstm with the
 * gather moved behind the product, gpt_nano. */
static const char *const products[] = {
    "4bx16x2n", "4bx1x16n", "4bx16x1T", "2x16x4btu", "16x1x4btu",
    "64bx128x784n", "64bx10x128n", "64bx128x10T", "784x128x64btu", "128x10x64btu",
    "256bx1024x784n", "256bx1024x1024n", "256bx10x1024n", "256bx1024x10T", "256bx1024x1024T", "784x1024x256btu",
    "1024x1024x256btu", "1024x10x256btu",
    "128bx512x784n", "128bx512x512n", "128bx10x512n", "128bx512x10T", "128bx512x512T", "784x512x128btu", "512x512x128btu",
    "512x10x128btu",
    "128bx256x784n", "128bx64x256n", "128bx256x64n", "128bx784x256n", "128bx256x784T", "128bx64x256T", "128bx256x64T",
    "784x256x128btu", "256x64x128btu", "64x256x128btu", "256x784x128btu",
    "64bx120x400n", "64bx84x120n", "64bx10x84n", "64bx400x120T", "64bx120x84T", "64bx84x10T", "400x120x64btu",
    "120x84x64btu", "84x10x64btu", "32bx10x64n", "32bx64x10T", "64x10x32btu",
    "64x512x128n", "32bx512x128n", "32b*64x64x128n", "32bx128x512T", "64x128x512T", "32b*64x128x64T", "128x512x32b*64tu",
    "128x512x64tu", "128x64x32b*64tu",
    "16b*64x384x128n", "16b*64x128x128n", "16b*64x512x128n", "16b*64x128x512n", "16b*64x64x128n", "16b*64x128x384T",
    "16b*64x128x128T", "16b*64x128x512T", "16b*64x512x128T", "16b*64x128x64T", "128x384x16b*64tu", "128x128x16b*64tu",
    "128x512x16b*64tu", "512x128x16b*64tu", "128x64x16b*64tu", "64x64x32T", "64x32x64n", "64x32x64t",
};

static bool parse_axis(const char **text, Axis *a) {
  char *end;
  *a = (Axis){.count = (int)strtol(*text, &end, 10)};
  if (*end == 'b') a->places = 1, end++;
  if (*end == '*') a->places = (int)strtol(end + 1, &end, 10), a->count *= a->places;
  *text = end;
  return a->count > 0;
}

static bool parse_product(const char *text, Product *p) {
  if (!parse_axis(&text, &p->m) || *text++ != 'x' || !parse_axis(&text, &p->n) || *text++ != 'x' || !parse_axis(&text, &p->k))
    return false;
  p->mode = *text ? *text++ : 0;
  p->update = *text == 'u';
  return (p->mode == 'n' || p->mode == 't' || p->mode == 'T') && !text[p->update] && !p->n.places;
}

/* ---- ours ---- */

/* Dimensions and extents: a batch and its places, or one number. */
static int put_axis(int *to, Axis a) {
  if (a.places) *to++ = BATCH(0);
  if (a.places != 1) *to++ = a.places ? a.places : a.count;
  return 1 + (a.places > 1);
}

static uint32_t matrix(Build *b, Axis rows, Axis columns) {
  int d[4];
  const int r = put_axis(d, rows), n = r + put_axis(d + r, columns);
  return kb_buffer(b, TYPE_F32, (uint32_t)n, d[0], d[1], d[2], d[3]);
}

/* Strides of the stage's axes, where one step of m, n and k goes so far. Summed axes that adjoin are one, as schedules
 * have them. */
static Affine strides(const Product *p, int m, int n, int k) {
  if (p->m.places > 1) return kb_affine(0, 4, m * p->m.places, m, n, k);
  return kb_affine(0, 3, m, n, k);
}

/* C = A B, or v = 0.9 v + A B, C -= 1e-9 v. */
static void build_product(Build *b, const Product *p, bool update) {
  kb_open(b);
  const bool across = p->mode == 't', down = p->mode == 'T';
  const int m = p->m.count, n = p->n.count, k = p->k.count;
  b->batch[0] = p->m.places ? m / p->m.places : p->k.places ? k / p->k.places : 0;
  const uint32_t a = across ? matrix(b, p->k, p->m) : matrix(b, p->m, p->k);
  const uint32_t w = down ? matrix(b, p->n, p->k) : matrix(b, p->k, p->n);
  const uint32_t c = matrix(b, p->m, p->n), v = matrix(b, p->m, p->n);
  Kernel *kernel = kb_kernel(b, 0, 0);
  int extents[4];
  const int rows = put_axis(extents, p->m), par = rows + put_axis(extents + rows, p->n);
  extents[par] = p->k.places ? BATCH(0) : k;
  Stage *t = kb_stage(kernel, (uint8_t)par, 1, extents[0], extents[1], extents[2], extents[3]);
  if (p->k.places) t->axes[par].count = p->k.places;
  kernel->cut_unit = !p->m.places && m % 8 == 0 && m >= 64 ? 8 : 4; /* as the scheduler cuts */
  t->combine = COMBINE_FMA, t->lane = (int8_t)(par - 1), t->row = (int8_t)(par - 2), t->pack = down;
  t->before = kb_load(b, t, a, across ? strides(p, 1, 0, m) : strides(p, k, 0, 1));
  t->before2 = kb_load(b, t, w, down ? strides(p, 0, k, 1) : strides(p, 0, 1, n));
  const Affine at = strides(p, n, 1, 0);
  if (!update) {
    kb_store(kernel, t, c, at, kb_acc(t), false);
    return;
  }
  const int32_t decayed = kb_prim(t, P_MUL, TYPE_F32, kb_load(b, t, v, at), kb_const(t, TYPE_F32, 0.9), -1);
  const int32_t speed = kb_prim(t, P_ADD, TYPE_F32, decayed, kb_acc(t), -1);
  const int32_t step = kb_prim(t, P_MUL, TYPE_F32, kb_const(t, TYPE_F32, 1e-9), speed, -1);
  kb_store(kernel, t, c, at, kb_prim(t, P_SUB, TYPE_F32, kb_load(b, t, c, at), step, -1), false);
  kb_store(kernel, t, v, at, speed, false);
}

typedef struct {
  EmitResult code;
  Loaded *loaded;
  GradcEntry run;
  void *scratch;
} Compiled;

static Compiled compile(Build *b, const EmitOptions *o) {
  Compiled c;
  const char *error;
  emit_schedule(&b->s, "entry", o, &c.code);
  c.loaded = emit_load(&c.code, &error);
  if (!c.loaded) fprintf(stderr, "%s\n", error), exit(1);
  c.run = emit_entry(c.loaded, "entry");
  c.scratch = aligned_alloc(64, (size_t)emit_scratch(&b->s, o) / 64 * 64 + 64);
  return c;
}

static void discard(Compiled *c, Build *b) {
  emit_unload(c->loaded);
  free(c->scratch), free(c->code.object);
  kb_close(b);
}

/* ---- theirs ---- */

typedef int DnnlSgemm(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t, float,
                      float *, int64_t);
typedef void CblasSgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

typedef struct {
  CblasSgemm *openblas;
  DnnlSgemm *onednn;
} Libraries;

/* One thread each, whatever the environment says; OpenBLAS takes processors that are newer than itself for old ones,
 * without AVX-512. */
static Libraries open_libraries(void) {
  setenv("OPENBLAS_NUM_THREADS", "1", 1), setenv("OMP_NUM_THREADS", "1", 1);
  unsetenv("OPENBLAS_CORETYPE"), unsetenv("OPENBLAS_L2_SIZE");
#if defined __x86_64__
  if (__builtin_cpu_supports("avx512f")) setenv("OPENBLAS_CORETYPE", "SKYLAKEX", 1);
#endif
  void *openblas = dlopen("libopenblas.so.0", RTLD_NOW), *onednn = dlopen("libdnnl.so.2", RTLD_NOW);
  Libraries l = {openblas ? (CblasSgemm *)dlsym(openblas, "cblas_sgemm") : NULL,
                 onednn ? (DnnlSgemm *)dlsym(onednn, "dnnl_sgemm") : NULL};
  if (!l.openblas) fprintf(stderr, "bench_products: no OpenBLAS (libopenblas.so.0)\n");
  if (!l.onednn) fprintf(stderr, "bench_products: no oneDNN (libdnnl.so.2)\n");
  return l;
}

/* ---- turns ---- */

typedef enum { OURS, UPDATE, OPENBLAS, ONEDNN, ENTRANTS } Entrant;

typedef struct {
  const Product *product;
  const Libraries *libraries;
  Compiled compiled[2]; /* without and with an update */
  void *at[4];
  float *theirs; /* their C */
} Contest;

static void run_once(const Contest *c, Entrant who) {
  const Product *p = c->product;
  const int m = p->m.count, n = p->n.count, k = p->k.count;
  const bool across = p->mode == 't', down = p->mode == 'T';
  if (who == OPENBLAS) {
    c->libraries->openblas(101, across ? 112 : 111, down ? 112 : 111, m, n, k, 1, c->at[0], across ? m : k, c->at[1],
                           down ? k : n, 0, c->theirs, n);
  } else if (who == ONEDNN) {
    c->libraries->onednn(across ? 'T' : 'N', down ? 'T' : 'N', m, n, k, 1, c->at[0], across ? m : k, c->at[1], down ? k : n, 0,
                         c->theirs, n);
  } else {
    const Axis batch = p->m.places ? p->m : p->k;
    GradcFrame frame = {.buffers = (void **)c->at, .step = 1, .barrier = kb_no_barrier};
    frame.batch[0] = batch.places ? batch.count / batch.places : 0;
    c->compiled[who].run(&frame, 0, 1, c->compiled[who].scratch);
  }
}

static bool takes_part(const Contest *c, Entrant who) {
  return who == OPENBLAS ? c->libraries->openblas != NULL : who == ONEDNN ? c->libraries->onednn != NULL : c->compiled[who].run != NULL;
}

#define WINDOW 0.004

/* Seconds a call, over a window. `calls` grows until they fill it. */
static double window(const Contest *c, Entrant who, long *calls) {
  for (;;) {
    const double from = bench_now();
    for (long i = 0; i < *calls; i++) run_once(c, who);
    const double t = bench_now() - from;
    if (t > WINDOW / 2 || *calls > 1l << 30) return t / (double)*calls;
    *calls = t > WINDOW / 100 ? (long)((double)*calls * WINDOW / t) + 1 : *calls * 16;
  }
}

/* Their product is ours, up to the order of sums. */
static void compare(const Contest *c, Entrant who) {
  const size_t count = (size_t)c->product->m.count * (size_t)c->product->n.count;
  double most = 0, off = 0;
  run_once(c, OURS), run_once(c, who);
  for (size_t i = 0; i < count; i++) {
    const double ours = ((const float *)c->at[2])[i];
    most = fmax(most, fabs(ours)), off = fmax(off, fabs(ours - (double)c->theirs[i]));
  }
  if (off > 1e-5 * most) fprintf(stderr, "bench_products: results differ by %g of %g\n", off, most), exit(1);
}

static void print_cell(const Product *p, double seconds) {
  if (seconds < 1e9) printf(" %.1f |", 2e-9 * p->m.count * p->n.count * p->k.count / seconds);
  else printf(" - |");
}

static void report(const char *name, const Product *p, const Libraries *l, const EmitOptions *o, double seconds) {
  Build b[2];
  Contest c = {.product = p, .libraries = l};
  double best[ENTRANTS], peak = 0;
  long calls[ENTRANTS];
  for (int u = 0; u <= p->update; u++) build_product(&b[u], p, u), c.compiled[u] = compile(&b[u], o);
  for (uint32_t i = 0; i < 4; i++) {
    const size_t n = (size_t)kb_count(&b[0], b[0].batch, i);
    c.at[i] = aligned_alloc(64, n * 4 / 64 * 64 + 128);
    for (size_t k = 0; k < n; k++) ((float *)c.at[i])[k] = (float)((k * 7 + i) % 17) / 32 - 0.25f;
  }
  c.theirs = aligned_alloc(64, (size_t)kb_count(&b[0], b[0].batch, 2) * 4 / 64 * 64 + 64);
  for (Entrant who = OPENBLAS; who < ENTRANTS; who++)
    if (takes_part(&c, who)) compare(&c, who);
  for (int i = 0; i < ENTRANTS; i++) best[i] = 1e9, calls[i] = 1;
  for (const double end = bench_now() + seconds; bench_now() < end;) {
    peak = fmax(peak, peak_gflops(WINDOW / 2));
    for (Entrant who = OURS; who < ENTRANTS; who++)
      if (takes_part(&c, who)) best[who] = fmin(best[who], window(&c, who, &calls[who]));
  }
  const double rate = 2e-9 * p->m.count * p->n.count * p->k.count / best[OURS];
  printf("| %s | %.4g | %.1f | %.0f %% |", name, best[OURS] * 1e6, rate, 100 * rate / peak);
  for (Entrant who = UPDATE; who < ENTRANTS; who++) print_cell(p, best[who]);
  printf("\n");
  fflush(stdout);
  for (int u = 0; u <= p->update; u++) discard(&c.compiled[u], &b[u]);
  for (uint32_t i = 0; i < 4; i++) free(c.at[i]);
  free(c.theirs);
}

int main(int argc, char **argv) {
  EmitOptions o = {0};
  Libraries l = {0};
  double seconds = 0.1;
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (!strcmp(argv[at], "--libraries")) l = open_libraries();
    else if (!strcmp(argv[at], "--seconds") && at + 1 < argc) seconds = atof(argv[++at]);
    else if (!strcmp(argv[at], "--cpu") && at + 1 < argc) o.cpu = argv[++at];
    else return fprintf(stderr, "bench_products: %s?\n", argv[at]), 1;
  }
  if (at + 2 < argc) o.tile_rows = (unsigned)atoi(argv[at + 1]), o.tile_vectors = (unsigned)atoi(argv[at + 2]);
  const char *const *names = at < argc ? (const char *const *)argv + at : products;
  const size_t count = at < argc ? 1 : sizeof products / sizeof *products;
  printf("| product | us | GFLOP/s | of the peak | with an update | OpenBLAS | oneDNN |\n| --- | --- | --- | --- | --- | --- | --- |\n");
  for (size_t i = 0; i < count; i++) {
    Product p;
    if (!parse_product(names[i], &p)) return fprintf(stderr, "bench_products: %s: not a product\n", names[i]), 1;
    report(names[i], &p, &l, &o, seconds);
  }
  return 0;
}
