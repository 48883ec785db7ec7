/* Emitted contractions against plain loops, bit for bit, whatever the tile, the threads and the processor. */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernel_build.h"

typedef struct {
  int m, n, k; /* extents; BATCH(0) allowed */
  int64_t batch;
  char mode; /* 'n': A B, 't': A^T B, 'T': A B^T */
  Type type; /* of the operands */
  bool update; /* w -= 0.5 (v = 0.9 v + c), in place, instead of relu(c + b) */
  uint32_t unit;
  bool drop; /* behind relu: times a random number of the element */
} Product;

static int stride_of(int extent) { return extent < 0 ? BATCH_STRIDE(-1 - extent, 1) : extent; }

/* C[m, n] = sum over k; A and B stored as the mode says. */
static void build_product(Build *b, const Product *p) {
  const Type type = contraction_type(p->type);
  kb_open(b);
  b->batch[0] = p->batch;
  const bool across = p->mode == 't', down = p->mode == 'T';
  const uint32_t a = across ? kb_buffer(b, p->type, 2, p->k, p->m) : kb_buffer(b, p->type, 2, p->m, p->k);
  const uint32_t w = down ? kb_buffer(b, p->type, 2, p->n, p->k) : kb_buffer(b, p->type, 2, p->k, p->n);
  const uint32_t c = kb_buffer(b, type, 2, p->m, p->n), bias = kb_buffer(b, type, 1, p->n),
                 v = kb_buffer(b, type, 2, p->m, p->n);
  Kernel *k = kb_kernel(b, 0, 0);
  Stage *t = kb_stage(k, 2, 1, p->m, p->n, p->k);
  const Affine at = kb_affine(0, 3, stride_of(p->n), 1, 0);
  k->cut_unit = p->unit;
  t->combine = COMBINE_FMA, t->acc_type = (uint8_t)type, t->lane = 1, t->row = 0, t->pack = down;
  t->before =
      kb_load(b, t, a, across ? kb_affine(0, 3, 1, 0, stride_of(p->m)) : kb_affine(0, 3, stride_of(p->k), 0, 1));
  t->before2 = kb_load(b, t, w, down ? kb_affine(0, 3, 0, stride_of(p->k), 1) : kb_affine(0, 3, 0, 1, stride_of(p->n)));
  if (p->update) {
    const int32_t decayed = kb_prim(t, P_MUL, type, kb_load(b, t, v, at), kb_const(t, type, 0.9), -1);
    const int32_t speed = kb_prim(t, P_ADD, type, decayed, kb_acc(t), -1);
    const int32_t rate = kb_prim(t, P_CAST, type,
                                 kb_prim(t, P_MUL, TYPE_F64, kb_leaf(t, X_NUMBER, TYPE_F64, 0, -1, kb_affine(0, 0)),
                                         kb_const(t, TYPE_F64, 0.1), -1),
                                 -1, -1);
    const int32_t moved = kb_prim(t, P_SUB, type, kb_load(b, t, c, at), kb_prim(t, P_MUL, type, rate, speed, -1), -1);
    kb_store(k, t, c, at, moved, false);
    kb_store(k, t, v, at, speed, false);
  } else {
    const int32_t sum = kb_prim(t, P_ADD, type, kb_acc(t), kb_load(b, t, bias, kb_affine(0, 3, 0, 1, 0)), -1);
    const int32_t zero = kb_const(t, type, 0);
    int32_t y = kb_prim(t, P_SELECT, type, kb_prim(t, P_LT, TYPE_BOOL, zero, sum, -1), sum, zero);
    if (p->drop) y = kb_prim(t, P_MUL, type, y, kb_leaf(t, X_RANDOM, type, 0, 5, at), -1);
    kb_store(k, t, c, at, y, false);
  }
}

static void check_product(Product p) {
  static const char *const cpus[] = {NULL, "x86-64-v3"}; /* without fma the bits are others */
  static const unsigned tiles[][2] = {{0, 0}, {3, 2}, {8, 1}, {1, 4}};
  Build b;
  build_product(&b, &p);
  for (size_t c = 0; c < 2; c++)
    for (size_t i = 0; i < 4; i++) {
      const EmitOptions o = {.cpu = cpus[c], .tile_rows = tiles[i][0], .tile_vectors = tiles[i][1], .keep_ir = true};
      const int threads = 1 + (int)(i + c) % 3;
      if (kb_check(&b, &o, threads, true) != 0)
        fail_msg("%dx%dx%d %c, tile %ux%u, %d threads: other bits", p.m, p.n, p.k, p.mode, o.tile_rows, o.tile_vectors,
                 threads);
    }
  kb_close(&b);
}

static void test_products(void **state) {
  for (const char *mode = "ntT"; *mode; mode++)
    for (int update = 0; update < 2; update++) {
      check_product((Product){13, 37, 9, 0, *mode, TYPE_F32, update, 4});
      check_product((Product){16, 48, 5, 0, *mode, TYPE_F32, update, 8});
      check_product((Product){7, 10, 20, 0, *mode, TYPE_F32, update, 1});
      check_product((Product){1, 100, 3, 0, *mode, TYPE_F64, update, 1});
    }
}

/* Operands of 8 bits: where the processor has an instruction for pairs of them and where not, the same bits. Odd depths, of
 * one panel and of several, known and not. */
static void test_pairs(void **state) {
  for (const char *mode = "ntT"; *mode; mode++) {
    check_product((Product){13, 37, 9, 0, *mode, TYPE_BF16, true, 4});
    check_product((Product){29, 70, 34, 0, *mode, TYPE_BF16, false, 1});
    check_product((Product){9, 20, 1, 0, *mode, TYPE_BF16, false, 1});
  }
  check_product((Product){BATCH(0), 20, 6, 11, 'n', TYPE_BF16, false, 4});
  check_product((Product){BATCH(0), 20, 16, 11, 'T', TYPE_BF16, false, 4});
  check_product((Product){18, 20, BATCH(0), 11, 't', TYPE_BF16, true, 4});
  check_product((Product){18, 20, BATCH(0), 0, 't', TYPE_BF16, true, 4});
  check_product((Product){18, 20, BATCH(0), 12, 't', TYPE_BF16, false, 4});
  check_product((Product){6, BATCH(0), 6, 21, 'n', TYPE_BF16, false, 1});
  check_product((Product){30, 140, BATCH(0), 4201, 't', TYPE_BF16, true, 8});
  check_product((Product){40, 70, 5000, 0, 'n', TYPE_BF16, false, 4});
  check_product((Product){40, 70, 5001, 0, 't', TYPE_BF16, false, 4});
  check_product((Product){100, 300, 258, 0, 't', TYPE_BF16, true, 4});
}

/* Sums of whole rows are left, in one part or several, and the update goes through them in the order of memory. */
static void test_updates_by_rows(void **state) {
  static const Product products[] = {{150, 37, BATCH(0), 7, 't', TYPE_F32, true, 4},
                                     {136, 64, 6, 0, 'n', TYPE_F32, true, 8},
                                     {70, 130, BATCH(0), 0, 't', TYPE_F64, true, 1},
                                     {72, 50, 530, 0, 'n', TYPE_F32, true, 4}};
  static const char *const cpus[] = {NULL, "x86-64-v3"};
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
    Build b;
    build_product(&b, &products[i]);
    for (int c = 0; c < 2; c++)
      for (int threads = 1; threads < 4; threads += 2) {
        const EmitOptions by_rows = {.cpu = cpus[c], .tile_rows = threads == 1 ? 0 : 5, .state_bytes = 1, .keep_ir = true};
        if (kb_check(&b, &by_rows, threads, true) != 0) fail_msg("product %zu, %d threads: other bits", i, threads);
      }
    kb_close(&b);
  }
}

/* Draws behind the sum: four vectors of one row by one call where the tile is as wide and rows begin at multiples of 64. */
static void test_draws(void **state) {
  static const int widths[] = {512, 64, 320, 100};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    check_product((Product){BATCH(0), widths[i], 6, 11, 'n', TYPE_F32, false, 4, .drop = true});
}

/* tanh behind a sum: some rows at a time by themselves, at each index of an axis around them, cut or not. `read`: another array's
 * place is added, and the lane operand is laid out in panels of all columns. */
static void check_costly(int outer, int rows, int columns, int64_t batch, bool read) {
  Build b;
  kb_open(&b);
  b.batch[0] = batch;
  const uint32_t x = kb_buffer(&b, TYPE_F32, 3, outer, rows, 20), w = read ? kb_buffer(&b, TYPE_F32, 2, columns, 20) : kb_buffer(&b, TYPE_F32, 2, 20, columns),
                 bias = kb_buffer(&b, TYPE_F32, 1, columns), more = kb_buffer(&b, TYPE_F32, 3, outer, rows, columns),
                 y = kb_buffer(&b, TYPE_F32, 3, outer, rows, columns), z = kb_buffer(&b, TYPE_F32, 3, outer, rows, columns);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 3, 1, outer, rows, columns, 20);
  const Affine at = kb_affine(0, 4, rows * columns, columns, 1, 0);
  t->combine = COMBINE_FMA, t->acc_type = TYPE_F32, t->lane = 2, t->row = 1, t->pack = read;
  t->before = kb_load(&b, t, x, kb_affine(0, 4, rows * 20, 20, 0, 1));
  t->before2 = kb_load(&b, t, w, read ? kb_affine(0, 4, 0, 0, 20, 1) : kb_affine(0, 4, 0, 0, 1, columns));
  int32_t sum = kb_prim(t, P_ADD, TYPE_F32, kb_acc(t), kb_load(&b, t, bias, kb_affine(0, 4, 0, 0, 1, 0)), -1);
  if (read) sum = kb_prim(t, P_ADD, TYPE_F32, sum, kb_load(&b, t, more, at), -1);
  kb_store(k, t, y, at, kb_prim(t, P_TANH, TYPE_F32, sum, -1, -1), false);
  kb_store(k, t, z, at, kb_prim(t, P_SIGMOID, TYPE_F32, sum, -1, -1), false);
  static const char *const cpus[] = {NULL, "x86-64-v4", "x86-64-v3"};
  for (int c = 0; c < 3; c++)
    for (int threads = 1; threads < 4; threads += 2) {
      const EmitOptions o = {.cpu = cpus[c], .tile_rows = threads == 1 ? 0 : 5};
      const double off = kb_check(&b, &o, threads, false);
      if (off > 1e-6) fail_msg("%d of %dx%d, %d threads: off by %g", outer, rows, columns, threads, off);
    }
  kb_close(&b);
}

static void test_costly(void **state) {
  check_costly(BATCH(0), 37, 96, 3, false);
  check_costly(3, 150, 64, 0, false);
  check_costly(2, 20, 1056, 0, false);
  check_costly(BATCH(0), 37, 200, 3, true);
}

static void test_batches(void **state) {
  check_product((Product){BATCH(0), 20, 6, 11, 'n', TYPE_F32, false, 4});
  check_product((Product){BATCH(0), 20, 6, 11, 'T', TYPE_F32, false, 4});
  check_product((Product){BATCH(0), 20, 6, 0, 'n', TYPE_F32, false, 4});
  check_product((Product){18, 20, BATCH(0), 11, 't', TYPE_F32, true, 4});
  check_product((Product){18, 20, BATCH(0), 0, 't', TYPE_F32, true, 4});
  check_product((Product){6, BATCH(0), 5, 21, 'n', TYPE_F32, false, 1});
  check_product((Product){30, 40, BATCH(0), 530, 't', TYPE_F32, false, 8}); /* deeper than a panel of run-time depth */
}

/* Large enough for panels side by side and rows laid out, on processors with narrow tiles, and for sums in parts; with
 * depths that end in the first panel, with it, and parts beyond it, known when the code is made and not. */
static void test_blocks(void **state) {
  static const char *const cpus[] = {"x86-64-v3", NULL};
  static const Product products[] = {{260, 84, BATCH(0), 80, 't', TYPE_F32, true, 4},
                                     {257, 80, 90, 0, 't', TYPE_F32, false, 1},
                                     {260, 70, BATCH(0), 540, 't', TYPE_F32, false, 4},
                                     {260, 84, BATCH(0), 512, 't', TYPE_F32, true, 4},
                                     {40, 70, 1100, 0, 'n', TYPE_F32, true, 4},
                                     {70, 40, 700, 0, 't', TYPE_F32, true, 4},
                                     {131, 150, 530, 0, 't', TYPE_F64, true, 4},
                                     {40, 300, 70, 0, 'T', TYPE_F32, false, 4}};
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
    Build b;
    build_product(&b, &products[i]);
    for (int c = 0; c < 2; c++)
      for (int threads = 1; threads < 3; threads++)
        if (kb_check(&b, &(EmitOptions){.cpu = cpus[c], .keep_ir = true}, threads, true) != 0)
          fail_msg("product %zu, processor %d, %d threads", i, c, threads);
    kb_close(&b);
  }
}

/* y[s, h, i, j] = sum over k, l of q[s, i, h, k, l] * w[h, j, l, k]: outer axes, two red axes, other orders in memory.
 */
static void test_many_axes(void **state) {
  Build b;
  kb_open(&b);
  b.batch[0] = 3;
  const uint32_t q = kb_buffer(&b, TYPE_F32, 5, BATCH(0), 9, 2, 4, 3), w = kb_buffer(&b, TYPE_F32, 4, 2, 21, 3, 4);
  const uint32_t y = kb_buffer(&b, TYPE_F32, 4, BATCH(0), 2, 9, 21);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 4, 2, BATCH(0), 2, 9, 21, 4, 3);
  t->combine = COMBINE_FMA, t->lane = 3, t->row = 2, t->pack = true;
  t->before = kb_load(&b, t, w, kb_affine(0, 6, 0, 21 * 12, 0, 12, 1, 4));
  t->before2 = kb_load(&b, t, q, kb_affine(0, 6, 9 * 24, 12, 24, 0, 3, 1));
  t->swapped = true;
  kb_store(k, t, y, kb_affine(0, 6, 2 * 9 * 21, 9 * 21, 21, 1, 0, 0), kb_acc(t), false);
  for (int threads = 1; threads < 3; threads++)
    assert_true(kb_check(&b, &(EmitOptions){.keep_ir = true}, threads, true) == 0);
  kb_close(&b);
}

/* y[s, i, j] = a[s, i, :] b[s, :, j] + sum of row s of a: a contraction inside block axes, with a number of an earlier
 * stage. */
static void test_in_block(void **state) {
  Build b;
  kb_open(&b);
  b.batch[0] = 5;
  const uint32_t x = kb_buffer(&b, TYPE_F32, 3, BATCH(0), 7, 9), w = kb_buffer(&b, TYPE_F32, 3, BATCH(0), 9, 20),
                 y = kb_buffer(&b, TYPE_F32, 3, BATCH(0), 7, 20);
  Kernel *k = kb_kernel(&b, 1, 0);
  Stage *t = kb_stage(k, 1, 1, BATCH(0), 63);
  t->combine = COMBINE_ADD, t->order = ORDER_LANES, t->lane = 1;
  t->before = kb_load(&b, t, x, kb_affine(0, 2, 63, 1));
  const int32_t sum = kb_prim(t, P_MUL, TYPE_F32, kb_acc(t), kb_const(t, TYPE_F32, 3), -1);
  t = kb_stage(k, 3, 1, BATCH(0), 7, 20, 9);
  t->combine = COMBINE_FMA, t->lane = 2, t->row = 1;
  t->before = kb_load(&b, t, x, kb_affine(0, 4, 63, 9, 0, 1));
  t->before2 = kb_load(&b, t, w, kb_affine(0, 4, 180, 0, 1, 20));
  const int32_t all =
      kb_prim(t, P_ADD, TYPE_F32, kb_acc(t), kb_leaf(t, X_RESULT, TYPE_F32, 0, sum, kb_affine(0, 0)), -1);
  kb_store(k, t, y, kb_affine(0, 4, 140, 20, 1, 0), all, false);
  for (int threads = 1; threads < 3; threads++)
    assert_true(kb_check(&b, &(EmitOptions){.keep_ir = true}, threads, true) == 0);
  kb_close(&b);
}

/* A convolution of one row with zeros around: the taps outside are guarded. */
static void test_window(void **state) {
  Build b;
  kb_open(&b);
  const uint32_t x = kb_buffer(&b, TYPE_F32, 2, 20, 3), w = kb_buffer(&b, TYPE_F32, 3, 5, 3, 24),
                 y = kb_buffer(&b, TYPE_F32, 2, 20, 24);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 2, 2, 20, 24, 5, 3);
  t->combine = COMBINE_FMA, t->lane = 1, t->row = 0;
  t->before = kb_load(&b, t, x, kb_affine(-6, 4, 3, 0, 3, 1));
  kb_guard(&b, t, kb_affine(-2, 4, 1, 0, 1, 0), 20, 1);
  t->before2 = kb_load(&b, t, w, kb_affine(0, 4, 0, 1, 72, 24));
  kb_store(k, t, y, kb_affine(0, 4, 24, 1, 0, 0), kb_acc(t), false);
  for (int threads = 1; threads < 3; threads++)
    assert_true(kb_check(&b, &(EmitOptions){.keep_ir = true}, threads, true) == 0);
  kb_close(&b);
}

/* y[s, i, j, c] = sum over k, l of x[s, i + k, j + l] w[k, l, c]: rows are places (i, j), in padded rows of memory both
 * for what is read and for what is stored. */
static void build_places(Build *b, int width, int channels) {
  const int line = width + 2;
  kb_open(b);
  b->batch[0] = 3;
  const uint32_t x = kb_buffer(b, TYPE_F32, 3, BATCH(0), 7, line), w = kb_buffer(b, TYPE_F32, 2, 9, channels),
                 y = kb_buffer(b, TYPE_F32, 4, BATCH(0), 5, line, channels),
                 z = kb_buffer(b, TYPE_F32, 4, BATCH(0), 5, width, channels);
  Kernel *k = kb_kernel(b, 0, 0);
  Stage *t = kb_stage(k, 4, 2, BATCH(0), 5, width, channels, 3, 3);
  t->combine = COMBINE_FMA, t->lane = 3, t->row = 2, t->row_outer = 1;
  t->before = kb_load(b, t, x, kb_affine(0, 6, 7 * line, line, 1, 0, line, 1));
  t->before2 = kb_load(b, t, w, kb_affine(0, 6, 0, 0, 0, 1, 3 * channels, channels));
  const int32_t place = kb_leaf(t, X_INDEX, TYPE_I32, -1, -1, kb_affine(0, 6, 0, 100, 1, 0, 0, 0));
  const int32_t moved = kb_prim(t, P_ADD, TYPE_F32, kb_acc(t), kb_prim(t, P_CAST, TYPE_F32, place, -1, -1), -1);
  kb_store(k, t, y, kb_affine(0, 6, 5 * line * channels, line * channels, channels, 1, 0, 0), moved, false);
  kb_store(k, t, z, kb_affine(0, 6, 5 * width * channels, width * channels, channels, 1, 0, 0), moved, false);
}

static void test_rows_of_two_axes(void **state) {
  static const int widths[] = {3, 7, 16};
  static const unsigned tiles[][2] = {{0, 0}, {3, 2}, {5, 1}, {8, 1}};
  for (size_t i = 0; i < 3; i++) {
    Build b;
    build_places(&b, widths[i], 20);
    for (size_t tile = 0; tile < 4; tile++)
      for (int threads = 1; threads < 3; threads++) {
        const EmitOptions o = {.tile_rows = tiles[tile][0], .tile_vectors = tiles[tile][1], .keep_ir = true};
        if (kb_check(&b, &o, threads, true) != 0)
          fail_msg("rows of %d, tile %ux%u, %d threads: other bits", widths[i], o.tile_rows, o.tile_vectors, threads);
      }
    kb_close(&b);
  }
}

/* A lane operand that is computed, with zeros outside: its panel holds the values. */
static void test_computed_operand(void **state) {
  Build b;
  kb_open(&b);
  const uint32_t x = kb_buffer(&b, TYPE_F32, 2, 18, 7), w = kb_buffer(&b, TYPE_F32, 2, 30, 7),
                 y = kb_buffer(&b, TYPE_F32, 2, 18, 37);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 2, 1, 18, 37, 7);
  t->combine = COMBINE_FMA, t->lane = 1, t->row = 0;
  t->before = kb_load(&b, t, x, kb_affine(0, 3, 7, 0, 1));
  const int32_t part = kb_load(&b, t, w, kb_affine(-3 * 7, 3, 0, 7, 1));
  kb_guard(&b, t, kb_affine(-3, 3, 0, 1, 0), 30, 1);
  t->before2 = kb_prim(t, P_MAX, TYPE_F32, part, kb_const(t, TYPE_F32, 0), -1);
  kb_store(k, t, y, kb_affine(0, 3, 37, 1, 0), kb_acc(t), false);
  for (int threads = 1; threads < 3; threads++)
    assert_true(kb_check(&b, &(EmitOptions){.keep_ir = true}, threads, true) == 0);
  kb_close(&b);
}

/* Instructions of the innermost loops that multiply and add, and those among them that touch the stack. */
static void count_spills(const char *text, int *loops, int *spills) {
  *loops = *spills = 0;
  for (const char *line = text; line && *line;) {
    const char *end = strchr(line, '\n');
    const size_t n = end ? (size_t)(end - line) : strlen(line);
    if (n > 4 && !strncmp(line, ".LBB", 4)) { /* a block: does it jump back to itself? */
      const size_t label = strcspn(line, ":");
      int fma = 0, stack = 0;
      for (const char *p = end ? end + 1 : NULL; p && *p && strncmp(p, ".LBB", 4);) {
        const char *stop = strchr(p, '\n');
        const size_t length = stop ? (size_t)(stop - p) : strlen(p);
        if (memmem(p, length, "vfmadd", 6) || memmem(p, length, "fmla", 4)) fma++;
        if (memmem(p, length, "(%rsp)", 6) || memmem(p, length, "(%rbp)", 6) || memmem(p, length, "[sp", 3)) stack++;
        if (fma && p[0] == '\t' && (p[1] == 'j' || p[1] == 'b') && memmem(p, length, line, label) && p[length - 1] == line[label - 1]) {
          ++*loops, *spills += stack;
          break;
        }
        p = stop ? stop + 1 : NULL;
      }
    }
    line = end ? end + 1 : NULL;
  }
}

/* The chosen tiles keep their accumulators in registers. */
static void test_no_spills(void **state) {
  static const char *const cpus[] = {"x86-64-v3", "x86-64-v4", "aarch64"};
  static const Product products[] = {
      {64, 128, 784, 0, 'n', TYPE_F32, false, 4},      {784, 128, BATCH(0), 8, 't', TYPE_F32, true, 4},
      {64, 784, 128, 0, 'T', TYPE_F32, false, 4},      {BATCH(0), 512, 96, 8, 'n', TYPE_F32, false, 4},
      {BATCH(0), 10, 128, 8, 'n', TYPE_F32, false, 4}, {96, 32, 64, 8, 'n', TYPE_F64, false, 4},
      {128, 100, 1024, 8, 't', TYPE_F32, true, 8},     {BATCH(0), 84, 1024, 8, 'n', TYPE_F32, false, 4}};
  static const int widths[] = {7, 32}; /* rows of places */
  const size_t count = sizeof products / sizeof *products;
  for (size_t c = 0; c < 3; c++)
    for (size_t i = 0; i < count + 2; i++) {
      Build b;
      EmitResult code;
      int loops, spills;
      if (i < count) build_product(&b, &products[i]);
      else build_places(&b, widths[i - count], 16);
      emit_schedule(&b.s, "entry", &(EmitOptions){.cpu = cpus[c], .keep_asm = true}, &code);
      count_spills(code.assembly, &loops, &spills);
      if (getenv("SHOW")) puts(code.assembly);
      if (loops == 0 || spills) fail_msg("%s, product %zu: %d stack references in %d loops", cpus[c], i, spills, loops);
      free(code.object), free(code.assembly);
      kb_close(&b);
    }
}

/* Other processors' code cannot run here, but it must be made, and of fused operations. */
static void test_other_processor(void **state) {
  Build b;
  EmitResult code;
  build_product(&b, &(Product){30, 37, 40, 0, 'T', TYPE_F32, true, 4});
  emit_schedule(&b.s, "entry", &(EmitOptions){.cpu = "aarch64", .keep_asm = true}, &code);
  assert_true(code.size > 0 && strstr(code.assembly, "fmla"));
  free(code.object), free(code.assembly);
  kb_close(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_products),  cmocka_unit_test(test_pairs), cmocka_unit_test(test_batches),
                                     cmocka_unit_test(test_updates_by_rows), cmocka_unit_test(test_draws), cmocka_unit_test(test_costly),
                                     cmocka_unit_test(test_blocks),    cmocka_unit_test(test_many_axes),
                                     cmocka_unit_test(test_in_block), cmocka_unit_test(test_window),
                                     cmocka_unit_test(test_rows_of_two_axes), cmocka_unit_test(test_computed_operand),
                                     cmocka_unit_test(test_no_spills), cmocka_unit_test(test_other_processor)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
