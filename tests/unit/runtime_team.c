/* The thread team: every thread runs once a run, barriers order phases, what one wrote before a barrier the others read
 * after it, workers that sleep wake up, and floating point is in its standard mode. */
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "team.h"

#define MOST 8
#define PHASES 16

/* A plain cell a thread, each on its own line: a missing barrier is a data race and a wrong sum. */
typedef struct { _Alignas(64) int64_t value; } Cell;
typedef struct {
  GradcTeam *team;
  Cell cells[MOST];
  int64_t errors[MOST], runs[MOST];
  int64_t threads;
} Shared;

/* Phase p: each thread writes p + its number, then all read all. */
static void phases(void *argument, int64_t thread, int64_t threads) {
  Shared *shared = argument;
  shared->runs[thread]++;
  if (thread == 0) shared->threads = threads;
  for (int64_t phase = 0; phase < PHASES; phase++) {
    shared->cells[thread].value = phase * 100 + thread;
    gradc_team_barrier(shared->team);
    for (int64_t other = 0; other < threads; other++)
      shared->errors[thread] += shared->cells[other].value != phase * 100 + other;
    gradc_team_barrier(shared->team);
  }
}

static void run_many(int size, int active, int runs, long pause_nanoseconds) {
  Shared shared = {.team = gradc_team_create(size)};
  assert_non_null(shared.team);
  for (int i = 0; i < runs; i++) {
    gradc_team_run(shared.team, active, phases, &shared);
    if (pause_nanoseconds) nanosleep(&(struct timespec){0, pause_nanoseconds}, NULL);
  }
  int expected = active < size ? active : size;
  if (expected < 1) expected = 1;
  assert_int_equal(shared.threads, expected);
  for (int i = 0; i < MOST; i++) {
    assert_int_equal(shared.errors[i], 0);
    assert_int_equal(shared.runs[i], i < expected ? runs : 0);
  }
  gradc_team_free(shared.team);
}

static void test_one(void **state) { run_many(1, 1, 1000, 0); }
static void test_two(void **state) { run_many(2, 2, 3000, 0); }
static void test_four(void **state) { run_many(4, 4, 300, 0); }
static void test_more_than_processors(void **state) { run_many(8, 8, 30, 0); }
static void test_part_of_a_team(void **state) { run_many(4, 2, 500, 0); }
static void test_clamped(void **state) { run_many(2, 7, 100, 0), run_many(3, 0, 10, 0); }
static void test_sleepers_wake(void **state) { run_many(2, 2, 100, 300000), run_many(4, 4, 50, 300000); }

/* Runs of changing width: a worker that sat out a run must not miss the next. */
static void test_changing_width(void **state) {
  Shared shared = {.team = gradc_team_create(4)};
  int64_t expected[MOST] = {0};
  for (int i = 0; i < 600; i++) {
    int width = i * 7 % 4 + 1;
    gradc_team_run(shared.team, width, phases, &shared);
    for (int t = 0; t < width; t++) expected[t]++;
  }
  for (int t = 0; t < MOST; t++) {
    assert_int_equal(shared.errors[t], 0);
    assert_int_equal(shared.runs[t], expected[t]);
  }
  gradc_team_free(shared.team);
}

static void test_made_and_freed(void **state) {
  for (int i = 0; i < 200; i++) gradc_team_free(gradc_team_create(1 + i % 4));
  gradc_team_free(NULL);
}

static void *own_team(void *argument) {
  run_many(2, 2, 300, 0);
  return argument;
}

static void test_two_teams_at_once(void **state) {
  pthread_t other;
  assert_int_equal(pthread_create(&other, NULL, own_team, NULL), 0);
  own_team(NULL);
  pthread_join(other, NULL);
}

static void take_modes(void *argument, int64_t thread, int64_t threads) {
  volatile double third = 1;
  third = third / 3;
  ((double *)argument)[thread] = third;
}

static void test_float_mode(void **state) {
  double thirds[2], up;
  int before = fegetround();
  fesetround(FE_UPWARD);
  GradcTeam *team = gradc_team_create(2);
  gradc_team_run(team, 2, take_modes, thirds);
  take_modes(&up, 0, 1);
  assert_int_equal(fegetround(), FE_UPWARD);
  gradc_team_free(team);
  fesetround(before);
  assert_true(thirds[0] == 0x1.5555555555555p-2 && thirds[1] == thirds[0]);
  assert_true(up > thirds[0]); /* the caller's own mode did round upwards */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one),
      cmocka_unit_test(test_two),
      cmocka_unit_test(test_four),
      cmocka_unit_test(test_more_than_processors),
      cmocka_unit_test(test_part_of_a_team),
      cmocka_unit_test(test_clamped),
      cmocka_unit_test(test_sleepers_wake),
      cmocka_unit_test(test_changing_width),
      cmocka_unit_test(test_made_and_freed),
      cmocka_unit_test(test_two_teams_at_once),
      cmocka_unit_test(test_float_mode),
  };
  return cmocka_run_group_tests_name("team", tests, NULL, NULL);
}
