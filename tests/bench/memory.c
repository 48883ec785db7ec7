/* Kernels that move memory, as emitted, alone on one thread, beside plain loops that read and write as many arrays of the
 * same size and hardly compute: arrays in the second cache, in the third, and in memory. GB/s count each array read and
 * each written; both are the best of windows, taken in turns. */
#include <stdlib.h>
#include <time.h>

#include "kernel_build.h"

static double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef float Lanes __attribute__((vector_size(64), aligned(4)));

/* ---- kernels ---- */

/* m = 0.9 m + 0.1 g, v = 0.999 v + 0.001 g^2, w -= 1e-3 m / (sqrt(v) + 1e-8) */
static void build_adam(Build *b, int64_t count) {
  kb_open(b);
  uint32_t at[4];
  for (int i = 0; i < 4; i++) at[i] = kb_buffer(b, TYPE_F32, 1, (int)count);
  Kernel *k = kb_kernel(b, 0, 0);
  Stage *t = kb_stage(k, 1, 0, (int)count);
  const Affine place = kb_affine(0, 1, 1);
  t->lane = 0, k->cut_unit = 16;
  int32_t x[4];
  for (int i = 0; i < 4; i++) x[i] = kb_load(b, t, at[i], place);
#define CONST(c) kb_const(t, TYPE_F32, c)
#define BOTH(op, p, q) kb_prim(t, P_##op, TYPE_F32, p, q, -1)
  const int32_t m = BOTH(ADD, BOTH(MUL, x[1], CONST(0.9)), BOTH(MUL, x[0], CONST(0.1)));
  const int32_t v = BOTH(ADD, BOTH(MUL, x[2], CONST(0.999)), BOTH(MUL, BOTH(MUL, x[0], x[0]), CONST(0.001)));
  const int32_t root = BOTH(ADD, kb_prim(t, P_SQRT, TYPE_F32, v, -1, -1), CONST(1e-8));
  const int32_t step = BOTH(DIV, BOTH(MUL, m, CONST(1e-3)), root);
  kb_store(k, t, at[1], place, m, false), kb_store(k, t, at[2], place, v, false);
  kb_store(k, t, at[3], place, BOTH(SUB, x[3], step), false);
}

/* One value of a row, from all of it: a stage of its own; the expression that is meant. */
static int32_t row_value(Build *b, Kernel *k, uint32_t from, int rows, int width, Combine combine, double scale) {
  Stage *t = kb_stage(k, 1, 1, rows, width);
  t->combine = (uint8_t)combine, t->order = ORDER_LANES, t->lane = 1;
  t->before = kb_load(b, t, from, kb_affine(0, 2, width, 1));
  return BOTH(MUL, kb_acc(t), CONST(scale));
}

static Stage *row_map(Kernel *k, int rows, int width) {
  Stage *t = kb_stage(k, 2, 0, rows, width);
  t->lane = 1;
  return t;
}

/* y = exp(x - max x) / their sum, row by row */
static void build_softmax(Build *b, int64_t count) {
  const int width = 256, rows = (int)(count / width);
  kb_open(b);
  const uint32_t x = kb_buffer(b, TYPE_F32, 2, rows, width), y = kb_buffer(b, TYPE_F32, 2, rows, width);
  const Affine place = kb_affine(0, 2, width, 1);
  Kernel *k = kb_kernel(b, 1, 0);
  const int32_t top = row_value(b, k, x, rows, width, COMBINE_MAX, 1);
  Stage *t = row_map(k, rows, width);
  const int32_t most = kb_leaf(t, X_RESULT, TYPE_F32, 0, top, kb_affine(0, 0));
  kb_store(k, t, y, place, kb_prim(t, P_EXP, TYPE_F32, BOTH(SUB, kb_load(b, t, x, place), most), -1, -1), false);
  const int32_t sum = row_value(b, k, y, rows, width, COMBINE_ADD, 1);
  t = row_map(k, rows, width);
  const int32_t all = kb_leaf(t, X_RESULT, TYPE_F32, 2, sum, kb_affine(0, 0));
  kb_store(k, t, y, place, BOTH(DIV, kb_load(b, t, y, place), all), false);
}

/* y = (x - mean) / sqrt(variance + 1e-5), row by row */
static void build_norm(Build *b, int64_t count) {
  const int width = 128, rows = (int)(count / width);
  kb_open(b);
  const uint32_t x = kb_buffer(b, TYPE_F32, 2, rows, width), y = kb_buffer(b, TYPE_F32, 2, rows, width);
  const Affine place = kb_affine(0, 2, width, 1);
  Kernel *k = kb_kernel(b, 1, 0);
  const int32_t middle = row_value(b, k, x, rows, width, COMBINE_ADD, 1.0 / width);
  Stage *t = kb_stage(k, 1, 1, rows, width);
  t->combine = COMBINE_ADD, t->order = ORDER_LANES, t->lane = 1;
  const int32_t off = BOTH(SUB, kb_load(b, t, x, place), kb_leaf(t, X_RESULT, TYPE_F32, 0, middle, kb_affine(0, 0)));
  t->before = BOTH(MUL, off, off);
  const int32_t spread = BOTH(ADD, BOTH(MUL, kb_acc(t), CONST(1.0 / width)), CONST(1e-5));
  const int32_t scale = BOTH(DIV, CONST(1), kb_prim(t, P_SQRT, TYPE_F32, spread, -1, -1));
  t = row_map(k, rows, width);
  const int32_t centred = BOTH(SUB, kb_load(b, t, x, place), kb_leaf(t, X_RESULT, TYPE_F32, 0, middle, kb_affine(0, 0)));
  kb_store(k, t, y, place, BOTH(MUL, centred, kb_leaf(t, X_RESULT, TYPE_F32, 1, scale, kb_affine(0, 0))), false);
}

/* ---- plain loops ---- */

/* Made for each width of vectors, and the machine's own runs. */
#if defined __x86_64__
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

#define AT(p, i) (*(Lanes *)((float *)(p) + (i)))
WIDE static void plain_update(void *const *at, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    const Lanes g = AT(at[0], i);
    AT(at[1], i) += g, AT(at[2], i) += g, AT(at[3], i) += g;
  }
}

WIDE static void plain_copy(void *const *at, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) AT(at[1], i) = AT(at[0], i) + 1.0f;
}

typedef struct {
  const char *name;
  int arrays, moved; /* how many, and how often one is read or written */
  void (*build)(Build *, int64_t);
  void (*plain)(void *const *, int64_t);
} Case;

static const Case cases[] = {{"Adam", 4, 7, build_adam, plain_update},
                             {"softmax, rows of 256", 2, 2, build_softmax, plain_copy},
                             {"norm, rows of 128", 2, 2, build_norm, plain_copy}};

/* GB/s, the best of a second's turns: of the kernel and of the plain loop. */
static void measure(const Case *c, int64_t bytes, double rate[2]) {
  const int64_t n = bytes / 4 / c->arrays / 4096 * 4096;
  const double moved = 4e-9 * (double)n * c->moved;
  Build b;
  EmitResult code;
  const char *error;
  const EmitOptions o = {0};
  void *at[4];
  c->build(&b, n);
  emit_schedule(&b.s, "entry", &o, &code);
  Loaded *loaded = emit_load(&code, &error);
  if (!loaded) fprintf(stderr, "%s\n", error), exit(1);
  const GradcEntry run = emit_entry(loaded, "entry");
  for (int i = 0; i < c->arrays; i++) {
    at[i] = aligned_alloc(4096, (size_t)n * 4);
    if (!at[i]) exit(1);
    for (int64_t k = 0; k < n; k++) ((float *)at[i])[k] = (float)(k % 17) / 32;
  }
  GradcFrame frame = {.buffers = at, .step = 1, .barrier = kb_no_barrier};
  const long calls = 1 + (long)(1e-3 / (moved / 100));
  rate[0] = rate[1] = 0;
  for (const double end = bench_now() + 0.5; bench_now() < end;)
    for (int who = 0; who < 2; who++) {
      const double from = bench_now();
      for (long i = 0; i < calls; i++) {
        if (who) c->plain(at, n);
        else run(&frame, 0, 1, NULL);
        __asm__ volatile("" : : "r"(at[0]) : "memory");
      }
      rate[who] = fmax(rate[who], moved * (double)calls / (bench_now() - from));
    }
  for (int i = 0; i < c->arrays; i++) free(at[i]);
  emit_unload(loaded);
  free(code.object);
  kb_close(&b);
}

int main(void) {
  static const int64_t sizes[] = {512 << 10, 8 << 20, 256 << 20};
  printf("| kernel | second cache, GB/s | plain loop | third cache | plain loop | memory | plain loop |\n"
         "| --- | --- | --- | --- | --- | --- | --- |\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    printf("| %s |", cases[i].name);
    for (size_t k = 0; k < 3; k++) {
      double rate[2];
      measure(&cases[i], sizes[k], rate);
      printf(" %.0f (%.0f %%) | %.0f |", rate[0], 100 * rate[0] / rate[1], rate[1]);
    }
    printf("\n");
  }
  return 0;
}
