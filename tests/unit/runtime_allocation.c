/* Every allocation and every start of a thread fails in turn, once and from then on: a status with a sentence, no leak (the sanitizer
 * looks), the model unchanged, no file left. The sources are compiled anew here, with allocators that count. */
#define _GNU_SOURCE
#include "runtime_program.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Number of the allocation that fails; 0: none. `forever`: all after it too. */
static int countdown, calls;
static bool forever;

static bool fails(void) {
  calls++;
  return countdown && (calls == countdown || (forever && calls > countdown));
}
static void *failing_malloc(size_t size) { return fails() ? NULL : malloc(size); }
static void *failing_realloc(void *old, size_t size) { return fails() ? NULL : realloc(old, size); }
static int failing_memalign(void **memory, size_t alignment, size_t size) {
  return fails() ? ENOMEM : posix_memalign(memory, alignment, size);
}

static int failing_thread(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  return fails() ? EAGAIN : pthread_create(id, attributes, run, argument);
}

#define malloc failing_malloc
#define realloc failing_realloc
#define posix_memalign failing_memalign
#include "../../runtime/model.c"
#include "../../runtime/safetensors.c"
#define by_key by_key_of_pair
#include "../../runtime/checkpoint.c"
#undef by_key
#undef malloc
#define pthread_create failing_thread
#include "../../runtime/team.c"
#undef pthread_create
#undef realloc
#undef posix_memalign

static void fail_from(int n, bool on) { countdown = n, forever = on, calls = 0; }

/* Runs `attempt` with the n-th allocation failing, n = 1, 2, .., until none is left to fail; returns how many there were. */
static int each_failure(GradcStatus (*attempt)(void *), void *argument) {
  int most = 0;
  for (int on = 0; on < 2; on++) {
    for (int n = 1;; n++) {
      fail_from(n, on);
      GradcStatus status = attempt(argument);
      bool reached = calls >= n;
      fail_from(0, false);
      assert_int_equal(status, reached ? GRADC_ERROR_MEMORY : GRADC_OK);
      if (!reached) break;
      most = n;
    }
  }
  return most;
}

static GradcStatus try_create(void *argument) {
  GradcModel *model;
  GradcMessage message = {""};
  int64_t capacity = 8;
  GradcStatus status = gradc_create(&program, 1, &capacity, 1, &model, &message);
  assert_true(!status == !!model && !status == !message.text[0]);
  gradc_free(model);
  return status;
}

static void test_create(void **state) { assert_int_equal(each_failure(try_create, NULL), 1); }

typedef struct {
  GradcModel *model, *other, *fresh; /* fresh: as other was before */
  char folder[64], path[96];
} Case;

static GradcStatus try_save(void *argument) {
  Case *c = argument;
  const GradcPair pair = {"key", "a value"};
  GradcStatus status = gradc_save(c->model, c->path, &pair, 1);
  if (status) assert_non_null(strstr(gradc_message(c->model), "out of memory"));
  if (status) assert_int_not_equal(access(c->path, F_OK), 0);
  else unlink(c->path);
  assert_int_equal(rmdir(c->folder), 0); /* it is empty */
  mkdir(c->folder, 0700);
  return status;
}

static GradcStatus try_load(void *argument) {
  Case *c = argument;
  GradcStatus status = gradc_load(c->other, c->path);
  if (status) assert_true(strstr(gradc_message(c->other), "memory") && strstr(gradc_message(c->other), c->path));
  assert_same_bytes(c->other, status ? c->fresh : c->model);
  gradc_reset(c->other, 77);
  return status;
}

static void test_save_and_load(void **state) {
  Case c = {line_create(3, 8, 1), line_create(77, 8, 1), line_create(77, 8, 1), .folder = "/tmp/gradc_test_XXXXXX"};
  assert_non_null(mkdtemp(c.folder));
  snprintf(c.path, sizeof c.path, "%s/x.safetensors", c.folder);
  assert_true(each_failure(try_save, &c) >= 4);
  assert_int_equal(gradc_save(c.model, c.path, NULL, 0), GRADC_OK);
  assert_int_equal(each_failure(try_load, &c), 5);
  unlink(c.path), rmdir(c.folder);
  gradc_free(c.model), gradc_free(c.other), gradc_free(c.fresh);
}

/* Allocation number 1 is the instance or the team, the next three are its workers. */
static void test_threads(void **state) {
  GradcModel *model;
  GradcMessage message = {""};
  int64_t capacity = 8;
  for (int n = 2; n <= 5; n++) {
    fail_from(n, false);
    GradcStatus status = gradc_create(&program, 1, &capacity, 4, &model, &message);
    fail_from(0, false);
    assert_int_equal(status, n < 5 ? GRADC_ERROR_THREADS : GRADC_OK);
    if (status) assert_string_equal(message.text, "cannot start 4 threads: Resource temporarily unavailable");
    gradc_free(model);
    fail_from(n, false);
    GradcTeam *team = gradc_team_create(4);
    fail_from(0, false);
    assert_true(n < 5 ? !team : !!team);
    gradc_team_free(team);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_create), cmocka_unit_test(test_save_and_load),
                                     cmocka_unit_test(test_threads)};
  return cmocka_run_group_tests_name("allocation", tests, NULL, NULL);
}
