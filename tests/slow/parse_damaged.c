/* Whatever the bytes, the parser ends in time, says what is wrong, and leaves a whole tree: every prefix of every
 * sample, every sample without one of its bytes, random changes, and texts that nest or go on without end. */
#include "parsed.h"

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Parses anything; whatever it is, within a second for a text of a few kilobytes. */
static void check_any(const char *text, size_t length) {
  const double begin = seconds();
  Parsed p = parse(text, length);
  check_tree(&p);
  Text out = {0};
  render_text(&p.session, &out, false);
  assert_int_equal(out.length > 0, p.session.errors > 0);
  text_free(&out);
  parsed_free(&p);
  assert_true(seconds() - begin < 1);
}

static void each_sample(void (*check)(const char *text, size_t length)) {
  size_t count, length;
  char **paths = list_files(SOURCE_DIR "/examples/samples", ".nn", &count);
  for (size_t i = 0; i < count; i++) {
    char *text = read_file(paths[i], &length);
    check(text, length);
    free(text);
  }
  free_files(paths, count);
}

static void check_prefixes(const char *text, size_t length) {
  for (size_t i = 0; i <= length; i++) check_any(text, i);
}

static void check_deletions(const char *text, size_t length) {
  char *shorter = malloc(length);
  for (size_t i = 0; i < length; i++) {
    memcpy(shorter, text, i);
    memcpy(shorter + i, text + i + 1, length - i - 1);
    check_any(shorter, length - 1);
  }
  free(shorter);
}

static uint32_t draw(uint32_t *state, uint32_t below) {
  *state = *state * 1664525 + 1013904223;
  return (uint32_t)(((uint64_t)*state * below) >> 32);
}

/* One change: a byte replaced, a token put in, a stretch taken out or doubled. */
static void mutate(Text *text, uint32_t *state) {
  static const char *const tokens[] = {"(",        ")",       "[",      "]",      "{",     "}",     "\"",   "\n",
                                       ";",        "|>",      "->",     "<-",     "..",    "=",     "~",    ":",
                                       ",",        "let ",    "if ",    "then ",  "else ", "scan ", "for ", "in ",
                                       "loss ",    "metric ", "model ", "\n\n}",  "'",     "#",     "_",    "1e",
                                       "\xce\xb8", "\xff",    "next ",  "yield ", "with ", "of ",   "- ",   "not "};
  Text out = {0};
  const uint32_t length = (uint32_t)text->length, at = draw(state, length + 1), size = draw(state, 30);
  const uint32_t end = at + size > length ? length : at + size, kind = draw(state, 4);
  text_add_bytes(&out, text->data, at);
  if (kind == 0 && at < length) {
    const char byte = (char)draw(state, 256);
    text_add_bytes(&out, &byte, 1);
    text_add_bytes(&out, text->data + at + 1, length - at - 1);
  } else if (kind == 1) {
    text_add(&out, tokens[draw(state, sizeof tokens / sizeof *tokens)]);
    text_add_bytes(&out, text->data + at, length - at);
  } else if (kind == 2) {
    text_add_bytes(&out, text->data + end, length - end);
  } else {
    text_add_bytes(&out, text->data + at, end - at);
    text_add_bytes(&out, text->data + at, length - at);
  }
  text_free(text);
  *text = out;
}

static void check_mutants(const char *text, size_t length) {
  uint32_t state = (uint32_t)length;
  for (int i = 0; i < 80; i++) {
    Text mutant = {0};
    text_add_bytes(&mutant, text, length);
    for (uint32_t n = 1 + draw(&state, 5); n; n--) mutate(&mutant, &state);
    check_any(mutant.data, mutant.length);
    text_free(&mutant);
  }
}

static void test_prefixes(void **state) {
  (void)state;
  each_sample(check_prefixes);
}

static void test_deletions(void **state) {
  (void)state;
  each_sample(check_deletions);
}

static void test_mutants(void **state) {
  (void)state;
  each_sample(check_mutants);
}

static void check_repeated(const char *before, const char *piece, const char *after, size_t count, bool fine) {
  Text text = {0};
  text_add(&text, before);
  for (size_t i = 0; i < count; i++) text_add(&text, piece);
  text_add(&text, after);
  const double begin = seconds();
  Parsed p = parse(text.data, text.length);
  if (seconds() - begin > 20) fail_msg("%zu times `%s` took %.1f s", count, piece, seconds() - begin);
  check_tree(&p);
  if (fine && p.session.errors) {
    Text out = {0};
    render_text(&p.session, &out, false);
    fail_msg("%s", text_get(&out));
  }
  assert_int_equal(p.session.errors == 0, fine);
  text_free(&text);
  parsed_free(&p);
}

/* However long or deep, time is linear and the stack bounded. */
static void test_extremes(void **state) {
  (void)state;
  static const char *const pieces[] = {
      "(",          "[",     "{",    ")",    "}",          "f(",  "x[",           "-",          "not ", "2^",   "a+",
      "a->",        "a |> ", "(a, ", "\"",   "if a then ", "{\n", "{ a\n",        "scan h = {", "a.",   "let ", "1..",
      "fn f(x) = ", ";",     "\\",   "\xff", "a = b\n",    "(\n", "let a = (b\n", "data {\n",   "$ "};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    check_repeated("", pieces[i], "", 20000, !strcmp(pieces[i], ";"));
    check_repeated("fn f(x) {\n  ", pieces[i], "", 20000, false);
  }
  check_repeated("fn f(x) = ", "(", "", 999, false);
  check_repeated("fn f(x) {\n", "  let x = x |> dense(8) |> relu\n", "  x\n}\n", 20000, true);
  check_repeated("const a = [", "1, ", "]", 100000, true);
  check_repeated("fn f(x) = ", "x + ", "x", 1500, true);
  check_repeated("", "const a = 1\n", "", 50000, true);
  check_repeated("", "## words\n", "const a = 1", 50000, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_prefixes),
      cmocka_unit_test(test_deletions),
      cmocka_unit_test(test_mutants),
      cmocka_unit_test(test_extremes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
