/* The cache of compiled code: what was written is read back; what was changed by one bit, cut off, lengthened, made writable by
 * others or linked is not; the least recently used goes first; two writers and a folder that cannot be written do no harm. */
#include "cache.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct { char top[64], folder[160]; } Place;

static int set_up(void **state) {
  Place *p = calloc(1, sizeof *p);
  strcpy(p->top, "/tmp/gradc_cache_XXXXXX");
  if (!mkdtemp(p->top)) return -1;
  snprintf(p->folder, sizeof p->folder, "%s/deep/gradc", p->top);
  *state = p;
  return 0;
}

static int tear_down(void **state) {
  Place *p = *state;
  char command[256];
  snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", p->top, p->top);
  const int rc = system(command);
  free(p);
  return rc;
}

static CacheKey key_of(const char *text) {
  CacheKey key;
  cache_key(text, strlen(text), &key);
  return key;
}

static bool keep(const Place *p, const char *name, const char *a, const char *b, int64_t most) {
  const CachePart parts[] = {{(void *)a, strlen(a)}, {(void *)b, strlen(b)}};
  const CacheKey key = key_of(name);
  char why[256];
  return cache_write(p->folder, &key, parts, 2, most, why, sizeof why);
}

static bool holds(const Place *p, const char *name, const char *a, const char *b) {
  CachePart parts[CACHE_MAX_PARTS];
  const CacheKey key = key_of(name);
  const unsigned count = cache_read(p->folder, &key, parts);
  const bool same = count == 2 && parts[0].size == strlen(a) && parts[1].size == strlen(b) && !memcmp(parts[0].bytes, a, strlen(a)) &&
                    !memcmp(parts[1].bytes, b, strlen(b));
  for (unsigned i = 0; i < count; i++) free(parts[i].bytes);
  if (count) assert_true(same); /* all or nothing */
  return same;
}

static void path_of(const Place *p, const char *name, char path[256]) {
  const CacheKey key = key_of(name);
  snprintf(path, 256, "%s/%016llx%016llx.code", p->folder, (unsigned long long)key.word[0], (unsigned long long)key.word[1]);
}

static void round_trip(void **state) {
  const Place *p = *state;
  assert_false(holds(p, "m", "abc", "defgh"));
  assert_true(keep(p, "m", "abc", "defgh", 1 << 20));
  assert_true(holds(p, "m", "abc", "defgh"));
  assert_false(holds(p, "n", "abc", "defgh"));
  assert_true(keep(p, "m", "other", "code", 1 << 20));
  assert_true(holds(p, "m", "other", "code"));
  assert_int_equal(cache_total(p->folder).files, 1);
  assert_true(cache_clear(p->folder));
  assert_int_equal(cache_total(p->folder).files, 0);
  assert_false(holds(p, "m", "other", "code"));
}

static void keys(void **state) {
  CacheKey key;
  assert_true(cache_key("a", 1, &key)); /* this binary can be told from others */
  const char *texts[] = {"", "a", "b", "aaaaaaaa", "aaaaaaab", "baaaaaaa", "aaaaaaaaa", "aaaaaaaab"};
  for (int i = 0; i < 8; i++) {
    for (int k = 0; k < i; k++) {
      const CacheKey x = key_of(texts[i]), y = key_of(texts[k]);
      assert_true(x.word[0] != y.word[0] && x.word[1] != y.word[1]);
    }
  }
}

static void damaged(void **state) {
  const Place *p = *state;
  char path[256], bytes[1024];
  assert_true(keep(p, "m", "abc", "defgh", 1 << 20));
  path_of(p, "m", path);
  FILE *f = fopen(path, "rb");
  const size_t size = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  assert_true(size > 100 && size < sizeof bytes);
  for (size_t i = 0; i <= 2 * size; i++) {
    const size_t cut = i <= size ? size - (i == size ? 0 : i) : size;
    f = fopen(path, "wb");
    if (i > size) bytes[i - size - 1] ^= 1 << i % 8;
    fwrite(bytes, 1, cut, f);
    if (i == size) fputc(0, f);
    fclose(f);
    if (i > size) bytes[i - size - 1] ^= 1 << i % 8;
    assert_int_equal(holds(p, "m", "abc", "defgh"), i == 0);
  }
  assert_true(keep(p, "m", "abc", "defgh", 1 << 20));
  assert_true(holds(p, "m", "abc", "defgh"));
}

static void untrusted(void **state) {
  const Place *p = *state;
  char path[256], other[300];
  assert_true(keep(p, "m", "abc", "defgh", 1 << 20));
  path_of(p, "m", path);
  chmod(path, 0622);
  assert_false(holds(p, "m", "abc", "defgh"));
  chmod(path, 0600);
  assert_true(holds(p, "m", "abc", "defgh"));
  snprintf(other, sizeof other, "%s.elsewhere", path);
  assert_int_equal(rename(path, other), 0);
  assert_int_equal(symlink(other, path), 0);
  assert_false(holds(p, "m", "abc", "defgh"));
}

static void use_time(const Place *p, const char *name, time_t seconds) {
  char path[256];
  path_of(p, name, path);
  const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void least_used_goes(void **state) {
  const Place *p = *state;
  const char *names[] = {"a", "b", "c"};
  for (int i = 0; i < 3; i++) {
    assert_true(keep(p, names[i], "abc", "defgh", 1 << 20));
    use_time(p, names[i], 1000 + i);
  }
  const int64_t each = cache_total(p->folder).bytes / 3;
  assert_true(holds(p, "a", "abc", "defgh")); /* is used now: b is the oldest */
  assert_true(keep(p, "d", "abc", "defgh", 3 * each));
  assert_false(holds(p, "b", "abc", "defgh"));
  assert_true(holds(p, "a", "abc", "defgh") && holds(p, "c", "abc", "defgh") && holds(p, "d", "abc", "defgh"));
  assert_true(keep(p, "e", "abc", "defgh", 0)); /* the last one stays */
  assert_int_equal(cache_total(p->folder).files, 1);
  assert_true(holds(p, "e", "abc", "defgh"));
}

static void two_writers(void **state) {
  const Place *p = *state;
  pid_t child[2];
  for (int c = 0; c < 2; c++) {
    child[c] = fork();
    if (child[c]) continue;
    for (int i = 0; i < 200; i++) {
      const bool ok = keep(p, "m", "abc", "defgh", 1 << 20) && holds(p, "m", "abc", "defgh");
      if (!ok) _exit(1);
    }
    _exit(0);
  }
  for (int c = 0; c < 2; c++) {
    int status;
    waitpid(child[c], &status, 0);
    assert_int_equal(status, 0);
  }
  assert_int_equal(cache_total(p->folder).files, 1);
}

static void cannot_write(void **state) {
  const Place *p = *state;
  const CacheKey key = key_of("m");
  const CachePart part = {"abc", 3};
  char why[256] = "";
  assert_false(cache_write("/proc/gradc", &key, &part, 1, 1 << 20, why, sizeof why));
  assert_true(strstr(why, "/proc/gradc") != NULL);
  assert_false(cache_write("/dev/null/gradc", &key, &part, 1, 1 << 20, why, sizeof why));
  assert_int_equal(cache_total("/dev/null/gradc").files, 0);
  CachePart parts[CACHE_MAX_PARTS];
  assert_int_equal(cache_read("/dev/null/gradc", &key, parts), 0);
  assert_int_equal(cache_total(p->folder).files, 0);
}

static void folders(void **state) {
  char folder[CACHE_PATH];
  setenv("HOME", "/home/h", 1);
  setenv("XDG_CACHE_HOME", "/c", 1);
  assert_true(cache_folder(folder));
  assert_string_equal(folder, "/c/gradc");
  setenv("XDG_CACHE_HOME", "relative", 1);
  assert_true(cache_folder(folder));
  assert_string_equal(folder, "/home/h/.cache/gradc");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  assert_false(cache_folder(folder));
  setenv("GRADC_CACHE_MB", "3", 1);
  assert_int_equal(cache_limit(), 3 << 20);
  setenv("GRADC_CACHE_MB", "many", 1);
  assert_int_equal(cache_limit(), (int64_t)CACHE_DEFAULT_MB << 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(round_trip, set_up, tear_down),      cmocka_unit_test(keys),
      cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),         cmocka_unit_test_setup_teardown(untrusted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(least_used_goes, set_up, tear_down), cmocka_unit_test_setup_teardown(two_writers, set_up, tear_down),
      cmocka_unit_test_setup_teardown(cannot_write, set_up, tear_down),    cmocka_unit_test(folders),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
