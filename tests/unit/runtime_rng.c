/* Philox against the known answers that come with Random123, and what is built on it: bounded integers, permutations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "rng.h"

/* kat_vectors of Random123 (Salmon et al., 2011): philox4x32, 10 rounds. */
static void test_known_answers(void **state) {
  static const struct { uint32_t counter[4], key[2], out[4]; } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint32_t out[4];
    gradc_philox(known[i].counter, known[i].key, out);
    assert_memory_equal(out, known[i].out, sizeof out);
  }
}

/* A stream is the function at counters {0, 0, draw, site}, {1, 0, draw, site}, .. */
static void test_stream_layout(void **state) {
  GradcRng rng = gradc_rng(0x299f31d0a4093822, 7, 9);
  for (uint32_t element = 0; element < 5; element++) {
    uint32_t out[4];
    gradc_philox((uint32_t[]){element, 0, 7, 9}, (uint32_t[]){0xa4093822, 0x299f31d0}, out);
    for (int i = 0; i < 4; i++) assert_int_equal(gradc_rng_word(&rng), out[i]);
  }
  rng = gradc_rng(1, 0, 0);
  rng.counter[0] = 0xffffffff;
  for (int i = 0; i < 4; i++) gradc_rng_word(&rng);
  assert_int_equal(rng.counter[0], 0);
  assert_int_equal(rng.counter[1], 1);
}

static void test_uniform(void **state) {
  GradcRng rng = gradc_rng(3, 0, 0);
  double sum = 0, squares = 0;
  enum { COUNT = 100000 };
  for (int i = 0; i < COUNT; i++) {
    double u = gradc_rng_uniform(&rng);
    assert_true(u >= 0 && u < 1);
    sum += u, squares += u * u;
  }
  assert_true(fabs(sum / COUNT - 0.5) < 0.005);
  assert_true(fabs(squares / COUNT - 1.0 / 3) < 0.005);
}

static void test_bounded(void **state) {
  GradcRng rng = gradc_rng(5, 0, 0);
  assert_int_equal(gradc_rng_below(&rng, 0), 0);
  assert_int_equal(gradc_rng_below(&rng, 1), 0);
  /* chi squared of 7 equally likely values; 99.99 % of 6 degrees of freedom lie below 27.9 */
  double counts[7] = {0}, chi = 0;
  for (int i = 0; i < 70000; i++) counts[gradc_rng_below(&rng, 7)]++;
  for (int i = 0; i < 7; i++) chi += (counts[i] - 10000) * (counts[i] - 10000) / 10000;
  assert_true(chi < 27.9);
  /* 3 * 2^30 values of 2^32 words: the remainder would make the lowest third twice as likely without rejection */
  int lowest = 0;
  for (int i = 0; i < 30000; i++) lowest += gradc_rng_below(&rng, 3u << 30) % 3 == 0;
  assert_true(abs(lowest - 10000) < 400);
  uint64_t wide = (uint64_t)5 << 40, most = 0;
  for (int i = 0; i < 1000; i++) {
    uint64_t value = gradc_rng_below(&rng, wide);
    assert_true(value < wide);
    if (value > most) most = value;
  }
  assert_true(most > wide / 2);
}

static void test_permutation(void **state) {
  enum { COUNT = 1000 };
  int64_t order[COUNT], again[COUNT], other[COUNT];
  uint8_t seen[COUNT] = {0};
  gradc_permutation(42, 3, order, COUNT);
  for (int i = 0; i < COUNT; i++) {
    assert_in_range(order[i], 0, COUNT - 1);
    assert_int_equal(seen[order[i]]++, 0);
  }
  gradc_permutation(42, 3, again, COUNT);
  assert_memory_equal(order, again, sizeof order);
  gradc_permutation(42, 4, other, COUNT);
  assert_memory_not_equal(order, other, sizeof order);
  gradc_permutation(43, 3, other, COUNT);
  assert_memory_not_equal(order, other, sizeof order);
  gradc_permutation(42, 3, order, 0);
  gradc_permutation(42, 3, order, 1);
  assert_int_equal(order[0], 0);
}

/* All 24 orders of 4 things: chi squared with 23 degrees of freedom is below 56 but once in 10,000. */
static void test_permutation_is_fair(void **state) {
  double counts[256] = {0}, chi = 0;
  int kinds = 0;
  for (uint32_t epoch = 0; epoch < 24000; epoch++) {
    int64_t order[4];
    gradc_permutation(1, epoch, order, 4);
    counts[order[0] << 6 | order[1] << 4 | order[2] << 2 | order[3]]++;
  }
  for (int i = 0; i < 256; i++)
    if (counts[i] > 0) kinds++, chi += (counts[i] - 1000) * (counts[i] - 1000) / 1000;
  assert_int_equal(kinds, 24);
  assert_true(chi < 56);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_answers), cmocka_unit_test(test_stream_layout), cmocka_unit_test(test_uniform),
      cmocka_unit_test(test_bounded),       cmocka_unit_test(test_permutation),   cmocka_unit_test(test_permutation_is_fair),
  };
  return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
