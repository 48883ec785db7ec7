/* Convolutions of images emitted against plain loops, bit for bit: weight gradients that go through the images round by
 * round, and images that lie in groups of 16, in the lanes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernel_build.h"

static const unsigned tiles[][2] = {{0, 0}, {3, 2}, {5, 1}, {1, 3}};

static void check_tiles(Build *b, const char *what) {
  for (size_t tile = 0; tile < 4; tile++)
    for (int threads = 1; threads < 3; threads++) {
      const EmitOptions o = {.tile_rows = tiles[tile][0], .tile_vectors = tiles[tile][1], .keep_ir = true};
      if (kb_check(b, &o, threads, true) != 0)
        fail_msg("%s of %d images, tile %ux%u, %d threads: other bits", what, (int)b->batch[0], o.tile_rows,
                 o.tile_vectors, threads);
    }
}

enum { H = 6, W = 8, C = 7, O = 20, K = 3, X = (H + K - 1) * (W + K - 1) * C, Y = H * W * O };

/* dW[k, l, c, o] = sum over n, i, j of x[n, i + k, j + l, c] dy[n, i, j, o], with an update: w -= dW / 64. */
static void test_rounds(void **state) {
  static const int batches[] = {0, 1, 13, 45};
  for (size_t i = 0; i < 4; i++) {
    Build b;
    kb_open(&b);
    b.batch[0] = batches[i];
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, BATCH(0), X), y = kb_buffer(&b, TYPE_F32, 2, BATCH(0), Y),
                   w = kb_buffer(&b, TYPE_F32, 1, K * K * C * O);
    Kernel *k = kb_kernel(&b, 0, 0);
    const int line = (W + K - 1) * C;
    Stage *t = kb_stage(k, 3, 3, K, K * C, O, BATCH(0), H, W);
    t->combine = COMBINE_FMA, t->lane = 2, t->row = 1;
    t->before = kb_load(&b, t, x, kb_affine(0, 6, line, 1, 0, X, line, C));
    t->before2 = kb_load(&b, t, y, kb_affine(0, 6, 0, 0, 1, Y, W * O, O));
    const Affine at = kb_affine(0, 6, K * C * O, O, 1, 0, 0, 0);
    const int32_t step = kb_prim(t, P_MUL, TYPE_F32, kb_acc(t), kb_const(t, TYPE_F32, 1.0 / 64), -1);
    kb_store(k, t, w, at, kb_prim(t, P_SUB, TYPE_F32, kb_load(&b, t, w, at), step, -1), false);
    check_tiles(&b, "rounds");
    kb_close(&b);
  }
}

/* Shares of the rows of all taps, `rows` of them for each, in these units. */
static void cut_by_rows(Kernel *k, int outer, int rows, uint32_t unit) {
  k->cut = CUT_ROWS, k->cut_extent = (Extent){(int64_t)outer * rows, -1}, k->cut_unit = unit;
}

/* dW[k, l, o] = sum over n, i, j of x[n, i + k, j, l] dy[n, i, j, o], larger than the second cache: part by part, and cut by rows. */
static void test_parts(void **state) {
  enum { HIGH = 12, WIDE = 16, DEEP = 24, IN = (HIGH + K - 1) * WIDE * DEEP, OUT = HIGH * WIDE * O };
  static const int batches[] = {0, 1, 5};
  for (size_t i = 0; i < 6; i++) {
    Build b;
    kb_open(&b);
    b.batch[0] = batches[i / 2];
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, BATCH(0), IN), y = kb_buffer(&b, TYPE_F32, 2, BATCH(0), OUT),
                   w = kb_buffer(&b, TYPE_F32, 1, K * DEEP * O);
    Kernel *k = kb_kernel(&b, 0, 0);
    Stage *t = kb_stage(k, 3, 3, K, DEEP, O, BATCH(0), HIGH, WIDE);
    if (i & 1) cut_by_rows(k, K, DEEP, 8);
    t->combine = COMBINE_FMA, t->lane = 2, t->row = 1;
    t->before = kb_load(&b, t, x, kb_affine(0, 6, WIDE * DEEP, 1, 0, IN, WIDE * DEEP, DEEP));
    t->before2 = kb_load(&b, t, y, kb_affine(0, 6, 0, 0, 1, OUT, WIDE * O, O));
    const Affine at = kb_affine(0, 6, DEEP * O, O, 1, 0, 0, 0);
    kb_store(k, t, w, at, kb_prim(t, P_SUB, TYPE_F32, kb_load(&b, t, w, at), kb_acc(t), -1), false);
    check_tiles(&b, "parts");
    kb_close(&b);
  }
}

/* The same by four chunks of the images, each of whose sums is stored. */
static void test_chunks(void **state) {
  static const int batches[] = {0, 1, 8, 21};
  for (size_t i = 0; i < 8; i++) {
    Build b;
    kb_open(&b);
    b.batch[0] = batches[i / 2];
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, BATCH(0), X), y = kb_buffer(&b, TYPE_F32, 2, BATCH(0), Y),
                   w = kb_buffer(&b, TYPE_F32, 1, 4 * K * K * C * O);
    Kernel *k = kb_kernel(&b, 0, 0);
    const int line = (W + K - 1) * C, size = K * K * C * O;
    Stage *t = kb_stage(k, 4, 3, 4, K, K * C, O, BATCH(0), H, W);
    if (i & 1) cut_by_rows(k, 4 * K, K * C, 7);
    t->combine = COMBINE_FMA, t->lane = 3, t->row = 2, t->chunks = 4;
    t->before = kb_load(&b, t, x, kb_affine(0, 7, 0, line, 1, 0, X, line, C));
    t->before2 = kb_load(&b, t, y, kb_affine(0, 7, 0, 0, 0, 1, Y, W * O, O));
    kb_store(k, t, w, kb_affine(0, 7, size, K * C * O, O, 1, 0, 0, 0), kb_acc(t), false);
    check_tiles(&b, "chunks");
    kb_close(&b);
  }
}

static Affine grouped(Affine at, int axis) {
  for (int i = 0; i < KERNEL_MAX_AXES; i++)
    if (i != axis) at.stride[i] *= EXAMPLE_GROUP;
  at.offset *= EXAMPLE_GROUP, at.grouped = (uint8_t)(axis + 1);
  return at;
}

static int whole_groups(int batch) { return (batch + EXAMPLE_GROUP - 1) / EXAMPLE_GROUP * EXAMPLE_GROUP; }

/* The same sum over images in groups, in the lanes. */
static void test_summed_groups(void **state) {
  static const int batches[] = {0, 1, 16, 37};
  for (size_t i = 0; i < 8; i++) {
    Build b;
    kb_open(&b);
    b.batch[0] = batches[i / 2];
    const int images = whole_groups(batches[i / 2]);
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, images, X), y = kb_buffer(&b, TYPE_F32, 2, images, Y),
                   w = kb_buffer(&b, TYPE_F32, 1, K * K * C * O);
    Kernel *k = kb_kernel(&b, 0, 0);
    const int line = (W + K - 1) * C;
    Stage *t = kb_stage(k, 4, 3, K, K, C, O, BATCH(0), H, W);
    t->combine = COMBINE_FMA, t->order = ORDER_GROUPS, t->lane = 4, t->row = i & 2 ? 3 : 1;
    if (i & 1) t->row_outer = t->row == 1 ? 3 : 1, cut_by_rows(k, K * C, K * O, 15); /* a grid */
    t->before = kb_load(&b, t, x, grouped(kb_affine(0, 7, line, C, 1, 0, X, line, C), 4));
    t->before2 = kb_load(&b, t, y, grouped(kb_affine(0, 7, 0, 0, 0, 1, Y, W * O, O), 4));
    kb_store(k, t, w, kb_affine(0, 7, K * C * O, C * O, O, 1, 0, 0, 0), kb_acc(t), false);
    check_tiles(&b, "summed groups");
    kb_close(&b);
  }
}

/* y[n, i, j, o] = relu(sum over k, l, c of x[n, i + k, j + l, c] w[k, l, c, o]), x in groups; y too, or one by one. */
static void test_groups(void **state) {
  static const int batches[] = {0, 1, 32, 37};
  for (size_t i = 0; i < 8; i++) {
    Build b;
    kb_open(&b);
    b.batch[0] = batches[i / 2];
    const bool alone = i & 1;
    const int images = whole_groups(batches[i / 2]);
    if (!alone && images != batches[i / 2]) { /* what lies behind the last image may be anything */
      kb_close(&b);
      continue;
    }
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, images, X), w = kb_buffer(&b, TYPE_F32, 1, K * K * C * O),
                   y = kb_buffer(&b, TYPE_F32, 2, alone ? BATCH(0) : images, Y);
    Kernel *k = kb_kernel(&b, 0, 0);
    const int line = (W + K - 1) * C;
    Stage *t = kb_stage(k, 4, 2, BATCH(0), H, W, O, K, K * C);
    k->cut_unit = 16;
    t->combine = COMBINE_FMA, t->lane = 0, t->row = 3, t->row_outer = i & 4 ? 2 : -1; /* a grid, or not */
    t->before = kb_load(&b, t, x, grouped(kb_affine(0, 6, X, line, C, 0, line, 1), 0));
    t->before2 = kb_load(&b, t, w, kb_affine(0, 6, 0, 0, 0, 1, K * C * O, O));
    const int32_t relu = kb_prim(t, P_MAX, TYPE_F32, kb_acc(t), kb_const(t, TYPE_F32, 0), -1);
    const Affine at = kb_affine(0, 6, Y, W * O, O, 1, 0, 0);
    kb_store(k, t, y, alone ? at : grouped(at, 0), relu, false);
    check_tiles(&b, alone ? "groups stored one by one" : "groups");
    kb_close(&b);
  }
}

/* y[n, i, j, o] = sum over k, l, c of x[n, i + k - 1, j - l + 1, c] w[k, l, c, o]: taps outside of the image are passed over,
 * forwards along one axis and backwards along the other. */
static void test_taps_outside(void **state) {
  Build b;
  kb_open(&b);
  b.batch[0] = 19;
  const int images = whole_groups(19), size = H * W * C, line = W * C;
  const uint32_t x = kb_buffer(&b, TYPE_F32, 2, images, size), w = kb_buffer(&b, TYPE_F32, 1, K * K * C * O),
                 y = kb_buffer(&b, TYPE_F32, 2, BATCH(0), Y);
  Kernel *k = kb_kernel(&b, 0, 0);
  Stage *t = kb_stage(k, 4, 3, BATCH(0), H, W, O, K, K, C);
  k->cut_unit = 16;
  t->combine = COMBINE_FMA, t->lane = 0, t->row = 3;
  t->before = kb_load(&b, t, x, grouped(kb_affine(C - line, 7, size, line, C, 0, line, -C, 1), 0));
  kb_guard(&b, t, kb_affine(-1, 7, 0, 1, 0, 0, 1, 0, 0), H, 1);
  kb_guard(&b, t, kb_affine(1, 7, 0, 0, 1, 0, 0, -1, 0), W, 1);
  t->before2 = kb_load(&b, t, w, kb_affine(0, 7, 0, 0, 0, 1, K * C * O, C * O, O));
  kb_store(k, t, y, kb_affine(0, 7, Y, W * O, O, 1, 0, 0, 0), kb_acc(t), false);
  check_tiles(&b, "taps outside");
  kb_close(&b);
}

/* z[n] = sum over i of x[n, i], y[n, i] = x[n, i] + i: a sum and a map of groups, and examples one by one in lanes of 8. */
static void test_maps_of_groups(void **state) {
  static const int batches[] = {0, 5, 16, 37};
  for (size_t i = 0; i < 4; i++) {
    Build b;
    kb_open(&b);
    b.batch[0] = batches[i];
    const uint32_t x = kb_buffer(&b, TYPE_F32, 2, whole_groups(batches[i]), 21), z = kb_buffer(&b, TYPE_F64, 1, BATCH(0)),
                   y = kb_buffer(&b, TYPE_F32, 2, BATCH(0), 21), all = kb_buffer(&b, TYPE_F32, 1, 21);
    const Affine at = grouped(kb_affine(0, 2, 21, 1), 0);
    Kernel *k = kb_kernel(&b, 0, 0);
    Stage *t = kb_stage(k, 1, 1, BATCH(0), 21);
    k->cut_unit = 16, t->lane = 0, t->combine = COMBINE_ADD, t->acc_type = TYPE_F64;
    t->before = kb_prim(t, P_CAST, TYPE_F64, kb_load(&b, t, x, at), -1, -1);
    kb_store(k, t, z, kb_affine(0, 2, 1, 0), kb_acc(t), false);
    k = kb_kernel(&b, 0, 0);
    t = kb_stage(k, 2, 0, BATCH(0), 21);
    k->cut_unit = 16, t->lane = 0;
    const int32_t number = kb_leaf(t, X_INDEX, TYPE_I32, -1, -1, kb_affine(0, 2, 0, 1));
    const int32_t sum = kb_prim(t, P_ADD, TYPE_F32, kb_load(&b, t, x, at), kb_prim(t, P_CAST, TYPE_F32, number, -1, -1), -1);
    kb_store(k, t, y, kb_affine(0, 2, 21, 1), sum, false);
    k = kb_kernel(&b, 0, 0);
    t = kb_stage(k, 1, 1, 21, BATCH(0));
    t->lane = 1, t->combine = COMBINE_ADD, t->order = ORDER_GROUPS;
    t->before = kb_load(&b, t, x, grouped(kb_affine(0, 2, 1, 21), 1));
    kb_store(k, t, all, kb_affine(0, 2, 1, 0), kb_acc(t), false);
    for (int threads = 1; threads < 3; threads++)
      if (kb_check(&b, &(EmitOptions){.keep_ir = true}, threads, true) != 0)
        fail_msg("%d examples, %d threads: other bits", batches[i], threads);
    kb_close(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounds), cmocka_unit_test(test_parts), cmocka_unit_test(test_chunks),
                                     cmocka_unit_test(test_summed_groups),
                                     cmocka_unit_test(test_groups), cmocka_unit_test(test_taps_outside),
                                     cmocka_unit_test(test_maps_of_groups)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
