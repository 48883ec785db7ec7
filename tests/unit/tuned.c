/* The table of tuned tiles: what is written is read, for this machine alone, and given to the kernels that it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache.h"
#include "tuned.h"

static const Machine machine = {32, 16, 32 << 10, 512 << 10, 8 << 20};

static void test_table(void **state) {
  char folder[] = "/tmp/gradc_tuned_XXXXXX", why[192];
  assert_non_null(mkdtemp(folder));
  Tuned t = {0}, read = {0}, other = {0};
  tuned_set(&t, (TunedTile){7, 4, 2});
  tuned_set(&t, (TunedTile){9, 0, 3});
  tuned_set(&t, (TunedTile){7, 3, 1}); /* replaced */
  tuned_set(&t, (TunedTile){11, 200, 1}); /* what no compiler wrote */
  assert_int_equal(t.tiles.count, 3);
  assert_true(tuned_write(&t, folder, &machine, NULL, why, sizeof why));
  tuned_read(&read, folder, &machine, NULL);
  assert_int_equal(read.tiles.count, 2);
  assert_int_equal(read.tiles.data[0].kernel, 7);
  assert_int_equal(read.tiles.data[0].rows, 3);
  assert_int_equal(read.tiles.data[0].vectors, 1);
  Machine wider = machine;
  wider.vector_bytes = 64;
  tuned_read(&other, folder, &wider, NULL);
  tuned_read(&other, folder, &machine, "x86-64-v2");
  tuned_read(&other, NULL, &machine, NULL);
  assert_int_equal(other.tiles.count, 0);
  assert_true(cache_clear(folder));
  assert_int_equal(rmdir(folder), 0);
  tuned_read(&other, folder, &machine, NULL);
  assert_int_equal(other.tiles.count, 0);
  assert_false(tuned_write(&t, "/proc/no-such-folder", &machine, NULL, why, sizeof why));
  tuned_free(&t), tuned_free(&read), tuned_free(&other);
}

static void test_apply(void **state) {
  Stage stages[2] = {{.combine = COMBINE_FMA}, {.combine = COMBINE_ADD}};
  Kernel kernels[2] = {{.hash = 7}, {.hash = 8}};
  for (int i = 0; i < 2; i++) kernels[i].stages.data = stages, kernels[i].stages.count = 2;
  Schedule s = {0};
  s.kernels.data = kernels, s.kernels.count = 1;
  Tuned t = {0};
  tuned_set(&t, (TunedTile){8, 4, 2});
  tuned_apply(&t, &s); /* of another kernel */
  assert_int_equal(stages[0].tile_rows, 0);
  tuned_set(&t, (TunedTile){7, 5, 3});
  tuned_apply(&t, &s);
  assert_int_equal(stages[0].tile_rows, 5);
  assert_int_equal(stages[0].tile_vectors, 3);
  assert_int_equal(stages[1].tile_rows, 0); /* a sum has no tile */
  tuned_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_apply)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
