/* Emitted loop nests against plain loops: maps, reductions and rows, bit for bit where the operations are exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernel_build.h"

static const char *const cpus[] = {NULL, "x86-64-v3", "x86-64-v2"};
#define CPU_COUNT (sizeof cpus / sizeof *cpus)

/* On all processors and counts of threads. */
static void check_all(Build *b, double tolerance) {
  for (size_t c = 0; c < CPU_COUNT; c++)
    for (int threads = 1; threads <= 3; threads += 2) {
      const double off = kb_check(b, &(EmitOptions){.cpu = cpus[c], .keep_ir = true}, threads, tolerance == 0);
      if (off > tolerance) fail_msg("%s, %d threads: off by %g", cpus[c] ? cpus[c] : "native", threads, off);
    }
}

/* z[i, j] = x[i, j] * s[i] + y[j], in place in x too. */
static void map_case(int rows, int columns, int64_t batch, Type type, uint32_t unit) {
  Build b;
  kb_open(&b);
  b.batch[0] = batch;
  const uint32_t x = kb_buffer(&b, type, 2, rows, columns), s = kb_buffer(&b, type, 1, rows),
                 y = kb_buffer(&b, type, 1, columns);
  const uint32_t z = kb_buffer(&b, type, 2, rows, columns);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 2, 0, rows, columns);
  k->cut_unit = unit;
  t->lane = 1;
  const int row = columns < 0 ? BATCH_STRIDE(0, 1) : columns;
  const int32_t product =
      kb_prim(t, P_MUL, type, kb_load(&b, t, x, kb_affine(0, 2, row, 1)), kb_load(&b, t, s, kb_affine(0, 2, 1, 0)), -1);
  const int32_t sum = kb_prim(t, P_ADD, type, product, kb_load(&b, t, y, kb_affine(0, 2, 0, 1)), -1);
  kb_store(k, t, z, kb_affine(0, 2, row, 1), sum, false);
  kb_store(k, t, x, kb_affine(0, 2, row, 1), kb_prim(t, P_NEG, type, product, -1, -1), false);
  check_all(&b, 0);
  kb_close(&b);
}

static void test_maps(void **state) {
  map_case(3, 37, 0, TYPE_F32, 1);
  map_case(5, 16, 0, TYPE_F64, 2);
  map_case(1, 7, 0, TYPE_F32, 4);
  map_case(BATCH(0), 20, 7, TYPE_F32, 4);
  map_case(BATCH(0), 20, 0, TYPE_F32, 4);
  map_case(4, BATCH(0), 35, TYPE_F32, 1);
  map_case(4, BATCH(0), 3, TYPE_I32, 1);
}

/* y[l, i, j] = x[l, j, i], whole blocks of lines and lanes and what is left of them; the first axis cut. */
static void turn_case(int layers, int rows, int columns, int64_t batch, Type type, uint32_t unit) {
  Build b;
  kb_open(&b);
  b.batch[0] = batch;
  const uint32_t x = kb_buffer(&b, type, 3, layers, columns, rows), y = kb_buffer(&b, type, 3, layers, rows, columns);
  const int size = rows * columns;
  const bool flat = layers == 1; /* rows are cut then */
  Kernel *k = kb_kernel(&b, 0, 0);
  k->cut_unit = unit;
  Stage *t = flat ? kb_stage(k, 2, 0, rows, columns) : kb_stage(k, 3, 0, layers, rows, columns);
  t->lane = flat ? 1 : 2;
  const Affine from = flat ? kb_affine(0, 2, 1, rows) : kb_affine(0, 3, size, 1, rows);
  const Affine to = flat ? kb_affine(0, 2, columns, 1) : kb_affine(0, 3, size, columns, 1);
  kb_store(k, t, y, to, kb_load(&b, t, x, from), false);
  check_all(&b, 0);
  kb_close(&b);
}

static void test_turned(void **state) {
  turn_case(1, 64, 32, 0, TYPE_F32, 4);
  turn_case(1, 23, 37, 0, TYPE_F32, 4);
  turn_case(1, 3, 2, 0, TYPE_F64, 1);
  turn_case(3, 21, 6, 0, TYPE_F64, 1);
  turn_case(BATCH(0), 16, 17, 5, TYPE_F32, 4);
}

/* Maps of costly functions go by several vectors where the lanes are as many. */
static void test_costly_maps(void **state) {
  for (int columns = 48; columns <= 192; columns *= 2) {
    Build b;
    kb_open(&b);
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, 5, columns), y = kb_buffer(&b, TYPE_F32, 2, 5, columns);
    Kernel *k = kb_kernel(&b, 0, 0);
    Stage *t = kb_stage(k, 2, 0, 5, columns);
    t->lane = 1;
    const int32_t in = kb_load(&b, t, x, kb_affine(0, 2, columns, 1));
    const int32_t value = kb_prim(t, P_TANH, TYPE_F32, kb_prim(t, P_MUL, TYPE_F32, in, in, -1), -1, -1);
    kb_store(k, t, y, kb_affine(0, 2, columns, 1), value, false);
    check_all(&b, 1e-6);
    kb_close(&b);
  }
}

/* A cell: costly functions of costly functions, which a second pass over the row computes from what the first one has stored. `over`: the cell
 * is stored where x was, which the last value reads, too: there one pass must do. */
static void test_costly_chains(void **state) {
  for (int over = 0; over < 2; over++) {
    enum { ROWS = 5, COLUMNS = 96 };
    Build b;
    kb_open(&b);
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS), g = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS), c = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS),
                   s = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS), y = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS);
    Kernel *k = kb_kernel(&b, 0, 0);
    Stage *t = kb_stage(k, 2, 0, ROWS, COLUMNS);
    t->lane = 1;
    const Affine at = kb_affine(0, 2, COLUMNS, 1);
    const int32_t old = kb_load(&b, t, x, at), gate = kb_prim(t, P_SIGMOID, TYPE_F32, kb_load(&b, t, g, at), -1, -1);
    const int32_t cell = kb_prim(t, P_ADD, TYPE_F32, kb_prim(t, P_MUL, TYPE_F32, gate, kb_prim(t, P_TANH, TYPE_F32, old, -1, -1), -1), old, -1);
    int32_t out = kb_prim(t, P_MUL, TYPE_F32, gate, kb_prim(t, P_TANH, TYPE_F32, cell, -1, -1), -1);
    if (over) out = kb_prim(t, P_ADD, TYPE_F32, out, old, -1);
    kb_store(k, t, y, at, out, false);
    kb_store(k, t, over ? x : c, at, cell, false);
    kb_store(k, t, s, at, gate, false);
    check_all(&b, 1e-6);
    kb_close(&b);
  }
}

/* The lanes of several vectors as one lie apart in memory. */
static void test_costly_strides(void **state) {
  enum { ROWS = 3, COLUMNS = 64, APART = 3 };
  Build b;
  kb_open(&b);
  const uint32_t x = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS * APART), y = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 2, 0, ROWS, COLUMNS);
  t->lane = 1;
  const int32_t far = kb_load(&b, t, x, kb_affine(0, 2, COLUMNS * APART, APART));
  kb_store(k, t, y, kb_affine(0, 2, COLUMNS, 1), kb_prim(t, P_EXP, TYPE_F32, far, -1, -1), false);
  check_all(&b, 1e-6);
  kb_close(&b);
}

/* A stage stores where it has read what a later stage asks it for. */
static void test_overwritten_result(void **state) {
  enum { ROWS = 6, COLUMNS = 16 };
  Build b;
  kb_open(&b);
  const uint32_t x = kb_buffer(&b, TYPE_F32, 1, ROWS), y = kb_buffer(&b, TYPE_F32, 1, ROWS), z = kb_buffer(&b, TYPE_F32, 2, ROWS, COLUMNS);
  Kernel *k = kb_kernel(&b, 1, 0);
  Stage *t = kb_stage(k, 1, 0, ROWS);
  t->lane = -1;
  const Affine at = kb_affine(0, 1, 1);
  const int32_t old = kb_load(&b, t, x, at), twice = kb_prim(t, P_ADD, TYPE_F32, old, old, -1);
  kb_store(k, t, x, at, kb_load(&b, t, y, at), false);
  t = kb_stage(k, 2, 0, ROWS, COLUMNS);
  t->lane = 1;
  kb_store(k, t, z, kb_affine(0, 2, COLUMNS, 1), kb_leaf(t, X_RESULT, TYPE_F32, 0, twice, kb_affine(0, 0)), false);
  check_all(&b, 0);
  kb_close(&b);
}

/* One axis, cut itself, in the lanes. */
static void flat_case(int dim, int64_t batch, uint32_t unit, Type type) {
  Build b;
  kb_open(&b);
  b.batch[0] = batch;
  const uint32_t x = kb_buffer(&b, type, 1, dim), y = kb_buffer(&b, TYPE_BOOL, 1, dim);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 1, 0, dim);
  k->cut_unit = unit;
  t->lane = 0;
  const int32_t v = kb_load(&b, t, x, kb_affine(0, 1, 1)), w = kb_load(&b, t, y, kb_affine(0, 1, 1));
  const int32_t less = kb_prim(t, P_LT, TYPE_BOOL, v, kb_const(t, type, 0), -1);
  kb_store(k, t, x, kb_affine(0, 1, 1), kb_prim(t, P_SELECT, type, w, kb_prim(t, P_ABS, type, v, -1, -1), v), false);
  kb_store(k, t, y, kb_affine(0, 1, 1), kb_prim(t, P_OR, TYPE_BOOL, less, kb_prim(t, P_NOT, TYPE_BOOL, w, -1, -1), -1),
           false);
  check_all(&b, 0);
  kb_close(&b);
}

static void test_flat(void **state) {
  flat_case(100, 0, 16, TYPE_F32);
  flat_case(48, 0, 16, TYPE_F32);
  flat_case(13, 0, 4, TYPE_F64);
  flat_case(BATCH(0), 53, 4, TYPE_F32);
  flat_case(BATCH(0), 53, 1, TYPE_I32);
}

/* Lanes that lie apart, run backwards, or stay: loads and stores. */
static void test_strides(void **state) {
  Build b;
  kb_open(&b);
  const uint32_t x = kb_buffer(&b, TYPE_F32, 2, 21, 5), y = kb_buffer(&b, TYPE_F32, 2, 5, 21),
                 z = kb_buffer(&b, TYPE_BOOL, 1, 21 * 3);
  const uint32_t w = kb_buffer(&b, TYPE_I32, 1, 21);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 2, 0, 5, 21);
  t->lane = 1;
  const int32_t v = kb_load(&b, t, x, kb_affine(0, 2, 1, 5));
  const int32_t back = kb_prim(t, P_CAST, TYPE_F32, kb_load(&b, t, w, kb_affine(20, 2, 0, -1)), -1, -1);
  kb_store(k, t, y, kb_affine(0, 2, 21, 1), kb_prim(t, P_ADD, TYPE_F32, v, back, -1), false);
  k = kb_kernel(&b, 0, 0);
  t = kb_stage(k, 1, 0, 21);
  t->lane = 0;
  kb_store(
      k, t, z, kb_affine(1, 1, 3),
      kb_prim(t, P_NE, TYPE_BOOL, kb_load(&b, t, w, kb_affine(0, 1, 1)), kb_load(&b, t, w, kb_affine(4, 1, 0)), -1),
      false);
  check_all(&b, 0);
  kb_close(&b);
}

/* y[i, j] = x[i - 2, (j + 3) / 2] where that exists and is whole, else 0; all kinds of guards. */
static void guard_case(int lane, Type type) {
  Build b;
  kb_open(&b);
  const uint32_t x = kb_buffer(&b, type, 2, 9, 10), y = kb_buffer(&b, type, 2, 13, 40),
                 z = kb_buffer(&b, type, 2, 13, 40);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 2, 0, 13, 40);
  t->lane = (int8_t)lane;
  const int32_t v = kb_load(&b, t, x, kb_affine(-2 * 10 - 4, 2, 10, 1));
  kb_guard(&b, t, kb_affine(-2, 2, 1, 0), 9, 1);
  kb_guard(&b, t, kb_affine(-4, 2, 0, 1), 10, 1);
  const int32_t row = kb_load(&b, t, x, kb_affine(-7, 2, 0, 1));
  kb_guard(&b, t, kb_affine(-7, 2, 0, 1), 90, 1);
  kb_store(k, t, y, kb_affine(0, 2, 40, 1), v, false);
  kb_store(k, t, z, kb_affine(0, 2, 40, 1), row, false);
  check_all(&b, 0);
  kb_close(&b);
}

static void test_guards(void **state) {
  for (int lane = -1; lane < 2; lane++) guard_case(lane, TYPE_F32), guard_case(lane, TYPE_BOOL);
  guard_case(1, TYPE_F64);
}

/* y[i, j, c] = sum over t and k of x[i + 2 t, j, k] * w[t, k, c], where the first row of x and the last two are said to be zeros. They
 * are not: products of them are passed over. */
static void test_zeros(void **state) {
  for (unsigned rows = 3; rows <= 8; rows += 5) {
    Build b;
    kb_open(&b);
    const uint32_t x = kb_buffer(&b, TYPE_F32, 3, 10, 8, 5), w = kb_buffer(&b, TYPE_F32, 3, 3, 5, 20), y = kb_buffer(&b, TYPE_F32, 3, 6, 8, 20);
    Kernel *k = kb_kernel(&b, 0, 0);
    Stage *t = kb_stage(k, 3, 2, 6, 8, 20, 3, 5);
    t->combine = COMBINE_FMA, t->row = 1, t->lane = 2, t->tile_rows = (uint8_t)rows, t->tile_vectors = 1;
    t->before = kb_load(&b, t, x, kb_affine(0, 5, 40, 5, 0, 80, 1));
    kb_zeros(&b, t, kb_affine(-1, 4, 1, 0, 0, 2), 7);
    t->before2 = kb_load(&b, t, w, kb_affine(0, 5, 0, 0, 1, 100, 20));
    kb_store(k, t, y, kb_affine(0, 3, 160, 20, 1), kb_acc(t), false);
    check_all(&b, 1e-5); /* without fma another rounding */
    kb_close(&b);
  }
}

/* r[i] = combine over j of x[i, j] * c, in the lanes of j (order LANES) or i (SEQUENCE), or neither. */
static void reduce_case(Combine combine, Type type, int rows, int columns, int64_t batch, int lane, bool sequence) {
  Build b;
  kb_open(&b);
  b.batch[0] = batch;
  const Type out = combine == COMBINE_ARGMAX ? TYPE_I32 : type;
  const int row = columns < 0 ? BATCH_STRIDE(0, 1) : columns;
  const uint32_t x = kb_buffer(&b, type, 2, rows, columns), r = kb_buffer(&b, out, 1, rows),
                 kept = kb_buffer(&b, type, 2, rows, columns);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 1, 1, rows, columns);
  k->cut_unit = lane == 0 ? 16 : 1;
  t->combine = (uint8_t)combine, t->order = sequence ? ORDER_SEQUENCE : ORDER_LANES, t->lane = (int8_t)lane,
  t->acc_type = out;
  t->before = kb_prim(t, P_ADD, type, kb_load(&b, t, x, kb_affine(0, 2, row, 1)),
                      kb_const(t, type,
                               type == TYPE_I32         ? 2
                               : combine == COMBINE_MUL ? 1
                                                        : 0.25),
                      -1);
  kb_store(k, t, kept, kb_affine(0, 2, row, 1), t->before, true);
  kb_store(k, t, r, kb_affine(0, 1, 1), kb_prim(t, P_SUB, out, kb_acc(t), kb_const(t, out, 1), -1), false);
  check_all(&b, 0);
  kb_close(&b);
}

static void test_row_reductions(void **state) {
  static const int widths[] = {1, 5, 16, 24, 64, 100, 131};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    for (int c = COMBINE_ADD; c <= COMBINE_ARGMAX; c++)
      if (c != COMBINE_FMA) reduce_case((Combine)c, TYPE_F32, 3, widths[i], 0, 1, false);
  reduce_case(COMBINE_ADD, TYPE_F64, 2, 77, 0, 1, false);
  reduce_case(COMBINE_ADD, TYPE_F32, 2, BATCH(0), 45, 1, false);
  reduce_case(COMBINE_ADD, TYPE_F32, 2, BATCH(0), 0, 1, false);
  reduce_case(COMBINE_ARGMAX, TYPE_I32, 2, BATCH(0), 19, 1, false);
  reduce_case(COMBINE_MAX, TYPE_I32, 2, 19, 0, 1, false);
}

static void test_column_reductions(void **state) {
  for (int c = COMBINE_ADD; c <= COMBINE_ARGMAX; c++) {
    if (c == COMBINE_FMA) continue;
    reduce_case((Combine)c, TYPE_F32, 90, 7, 0, 0, true);
    reduce_case((Combine)c, TYPE_F32, 5, 40, 0, -1, true);
  }
  reduce_case(COMBINE_ADD, TYPE_F64, 37, 11, 0, 0, true);
  reduce_case(COMBINE_ADD, TYPE_I32, BATCH(0), 11, 29, 0, true);
  reduce_case(COMBINE_ADD, TYPE_F32, 128, BATCH(0), 9, 0, true);
}

/* Softmax with its logarithm's sum: three stages, numbers of the row between them. */
static void softmax_case(int rows, int columns, int64_t batch, Type type) {
  Build b;
  kb_open(&b);
  b.batch[0] = batch;
  const uint32_t x = kb_buffer(&b, type, 2, rows, columns), y = kb_buffer(&b, type, 2, rows, columns),
                 l = kb_buffer(&b, type, 1, rows);
  Kernel *k = kb_kernel(&b, 1, 0);
  const Affine at = kb_affine(0, 2, columns, 1), none = kb_affine(0, 0);
  Stage *t = kb_stage(k, 1, 1, rows, columns);
  t->combine = COMBINE_MAX, t->order = ORDER_LANES, t->lane = 1, t->acc_type = type;
  t->before = kb_load(&b, t, x, at);
  const int32_t top = kb_acc(t);
  t = kb_stage(k, 1, 1, rows, columns);
  t->combine = COMBINE_ADD, t->order = ORDER_LANES, t->lane = 1, t->acc_type = type;
  const int32_t less = kb_prim(t, P_SUB, type, kb_load(&b, t, x, at), kb_leaf(t, X_RESULT, type, 0, top, none), -1);
  t->before = kb_prim(t, P_EXP, type, less, -1, -1);
  kb_store(k, t, y, at, t->before, true);
  const int32_t inverse = kb_prim(t, P_DIV, type, kb_const(t, type, 1), kb_acc(t), -1);
  kb_store(k, t, l, kb_affine(0, 1, 1), kb_prim(t, P_LOG, type, kb_acc(t), -1, -1), false);
  t = kb_stage(k, 2, 0, rows, columns);
  t->lane = 1;
  kb_store(k, t, y, at,
           kb_prim(t, P_MUL, type, kb_load(&b, t, y, at), kb_leaf(t, X_RESULT, type, 1, inverse, none), -1), false);
  check_all(&b, type == TYPE_F64 ? 1e-14 : 1e-6);
  kb_close(&b);
}

static void test_rows(void **state) {
  softmax_case(4, 10, 0, TYPE_F32);
  softmax_case(BATCH(0), 64, 5, TYPE_F32);
  softmax_case(3, 300, 0, TYPE_F32);
  softmax_case(3, 21, 0, TYPE_F64);
}

/* Column moments: the block axis itself in the lanes. */
static void test_columns_as_block(void **state) {
  Build b;
  kb_open(&b);
  b.batch[0] = 6;
  const uint32_t x = kb_buffer(&b, TYPE_F32, 2, BATCH(0), 40), m = kb_buffer(&b, TYPE_F32, 1, 40),
                 y = kb_buffer(&b, TYPE_F32, 2, BATCH(0), 40);
  Kernel *k = kb_kernel(&b, 1, 0);
  k->cut_unit = 16;
  Stage *t = kb_stage(k, 1, 1, 40, BATCH(0));
  t->combine = COMBINE_ADD, t->lane = 0;
  t->before = kb_load(&b, t, x, kb_affine(0, 2, 1, 40));
  const int32_t mean = kb_prim(t, P_MUL, TYPE_F32, kb_acc(t), kb_const(t, TYPE_F32, 0.125), -1);
  kb_store(k, t, m, kb_affine(0, 1, 1), mean, false);
  t = kb_stage(k, 2, 0, 40, BATCH(0));
  t->lane = 0;
  const int32_t off = kb_prim(t, P_SUB, TYPE_F32, kb_load(&b, t, x, kb_affine(0, 2, 1, 40)),
                              kb_leaf(t, X_RESULT, TYPE_F32, 0, mean, kb_affine(0, 0)), -1);
  kb_store(k, t, y, kb_affine(0, 2, 1, 40), off, false);
  check_all(&b, 0);
  kb_close(&b);
}

/* Numbers of the step, extents, indices, draws and conversions; scalars in order on thread 0. */
static void test_leaves(void **state) {
  Build b;
  kb_open(&b);
  b.batch[0] = 11;
  const uint32_t u = kb_buffer(&b, TYPE_F32, 2, 3, 50), g = kb_buffer(&b, TYPE_F64, 2, 3, 50),
                 i = kb_buffer(&b, TYPE_I32, 2, 3, 50), c = kb_buffer(&b, TYPE_F64, 1, 4);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 2, 0, 3, 50);
  t->lane = 1;
  const Affine at = kb_affine(0, 2, 50, 1), none = kb_affine(0, 0);
  const int32_t index = kb_leaf(t, X_INDEX, TYPE_I32, -1, -1, kb_affine(7, 2, -3, 2));
  kb_store(k, t, u, at, kb_leaf(t, X_RANDOM, TYPE_F32, 0, 77, at), false);
  kb_store(k, t, g, at, kb_leaf(t, X_RANDOM, TYPE_F64, 0, 78, at), false);
  const int32_t scaled =
      kb_prim(t, P_MUL, TYPE_F64, kb_prim(t, P_CAST, TYPE_F64, index, -1, -1), kb_const(t, TYPE_F64, -0.75), -1);
  kb_store(k, t, i, at, kb_prim(t, P_CAST, TYPE_I32, scaled, -1, -1), false);
  k = kb_kernel(&b, 0, 0);
  t = kb_stage(k, 0, 0);
  const int32_t steps = kb_prim(t, P_DIV, TYPE_F64, kb_leaf(t, X_NUMBER, TYPE_F64, 0, -1, none),
                                kb_leaf(t, X_NUMBER, TYPE_F64, 1, -1, none), -1);
  kb_store(k, t, c, none, kb_prim(t, P_MUL, TYPE_F64, steps, kb_leaf(t, X_EXTENT, TYPE_F64, 0, -1, none), -1), false);
  t = kb_stage(k, 0, 0);
  kb_store(k, t, c, kb_affine(1, 0),
           kb_prim(t, P_ADD, TYPE_F64, kb_load(&b, t, c, none), kb_leaf(t, X_NUMBER, TYPE_F64, 2, -1, none), -1),
           false);
  check_all(&b, 0);
  kb_close(&b);
}

/* Draws of one word an element: rows that begin at multiples of 64, of 16 and anywhere, with a tail, transposed, summed. */
static void test_draws(void **state) {
  static const int widths[] = {64, 320, 100, 48, 7, 1};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    Build b;
    kb_open(&b);
    const int n = widths[i];
    const uint32_t u = kb_buffer(&b, TYPE_F32, 2, 19, n), t2 = kb_buffer(&b, TYPE_F32, 2, n, 19), s = kb_buffer(&b, TYPE_F32, 1, 19);
    Kernel *k = kb_kernel(&b, 0, 0);
    Stage *t = kb_stage(k, 2, 0, 19, n);
    t->lane = 1;
    const Affine at = kb_affine(0, 2, n, 1), apart = kb_affine(5, 2, 1, 19);
    kb_store(k, t, u, at, kb_leaf(t, X_RANDOM, TYPE_F32, 0, 7, at), false);
    k = kb_kernel(&b, 0, 0);
    t = kb_stage(k, 2, 0, n, 19);
    t->lane = 1;
    kb_store(k, t, t2, kb_affine(0, 2, 19, 1), kb_leaf(t, X_RANDOM, TYPE_F32, 0, 8, apart), false);
    k = kb_kernel(&b, 0, 0);
    t = kb_stage(k, 1, 1, 19, n);
    t->combine = COMBINE_ADD, t->order = ORDER_LANES, t->lane = 1, t->before = kb_leaf(t, X_RANDOM, TYPE_F32, 0, 9, at);
    kb_store(k, t, s, kb_affine(0, 1, 1), kb_acc(t), false);
    check_all(&b, 0);
    kb_close(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_maps), cmocka_unit_test(test_turned), cmocka_unit_test(test_costly_maps), cmocka_unit_test(test_costly_chains), cmocka_unit_test(test_costly_strides), cmocka_unit_test(test_overwritten_result), cmocka_unit_test(test_flat),
                                     cmocka_unit_test(test_strides),        cmocka_unit_test(test_guards), cmocka_unit_test(test_zeros),
                                     cmocka_unit_test(test_row_reductions), cmocka_unit_test(test_column_reductions),
                                     cmocka_unit_test(test_rows),           cmocka_unit_test(test_columns_as_block),
                                     cmocka_unit_test(test_leaves),         cmocka_unit_test(test_draws)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
