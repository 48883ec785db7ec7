/* Places, rendering, near names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "near.h"
#include "render.h"

static Source *add(Session *s, const char *path, const char *text) {
  return source_add(&s->sources, path, text, strlen(text), false);
}

/* The place of the first `word` in a source. */
static Span span_of(const Source *source, const char *word) {
  const char *at = strstr(source->text, word);
  assert_non_null(at);
  const uint32_t begin = source->base + (uint32_t)(at - source->text);
  return (Span){begin, begin + (uint32_t)strlen(word)};
}

static void assert_place(const Session *s, uint32_t position, const Source *source, uint32_t line, uint32_t column) {
  const Place place = source_place(&s->sources, position);
  assert_ptr_equal(place.source, source);
  assert_int_equal(place.line, line);
  assert_int_equal(place.column, column);
}

static void test_places(void **state) {
  (void)state;
  Session s = {0};
  const Source *a = add(&s, "a.nn", "one\ntwo\r\n\nthree"), *b = add(&s, "b.nn", ""), *c = add(&s, "c.nn", "x\n");
  assert_int_equal(a->base, 1);
  assert_int_equal(a->line_count, 4);
  assert_place(&s, 0, NULL, 0, 0);
  assert_place(&s, a->base, a, 1, 1);
  assert_place(&s, a->base + 3, a, 1, 4);
  assert_place(&s, a->base + 4, a, 2, 1);
  assert_place(&s, a->base + 9, a, 3, 1);
  assert_place(&s, a->base + a->length, a, 4, 6);
  assert_place(&s, b->base, b, 1, 1);
  assert_place(&s, c->base + 2, c, 2, 1);
  assert_place(&s, c->base + 3, NULL, 0, 0);
  uint32_t length;
  assert_memory_equal(source_line(a, 2, &length), "two", 3);
  assert_int_equal(length, 3); /* without CR LF */
  source_line(a, 3, &length);
  assert_int_equal(length, 0);
  assert_string_equal(source_line(a, 9, &length), "");
  session_free(&s);
}

static void test_many_lines(void **state) {
  (void)state;
  Session s = {0};
  Text text = {0};
  for (int i = 0; i < 1000; i++) text_printf(&text, "%d\n", i);
  const Source *source = add(&s, "a.nn", text_get(&text));
  uint32_t offset = 0;
  for (uint32_t i = 0; i < 1000; i++) {
    assert_place(&s, source->base + offset, source, i + 1, 1);
    offset += (uint32_t)snprintf(NULL, 0, "%u\n", i);
  }
  text_free(&text);
  session_free(&s);
}

static void test_reading(void **state) {
  (void)state;
  Session s = {0};
  const char *why = NULL;
  assert_null(source_read(&s.sources, "/nonexistent/model.nn", &why));
  assert_string_equal(why, "No such file or directory");
  assert_null(source_read(&s.sources, "/tmp", &why));
  assert_string_equal(why, "is a directory");
  char path[] = "/tmp/gradc_source_XXXXXX";
  const int file = mkstemp(path);
  Text big = {0};
  for (int i = 0; i < 10000; i++) text_add(&big, "0123456789\n");
  assert_int_equal(write(file, big.data, big.length), (ssize_t)big.length);
  close(file);
  const Source *source = source_read(&s.sources, path, &why);
  unlink(path);
  assert_non_null(source);
  assert_int_equal(source->length, big.length);
  assert_memory_equal(source->text, big.data, big.length);
  text_free(&big);
  session_free(&s);
}

static void test_limits(void **state) {
  (void)state;
  Session s = {0};
  const size_t limit = (size_t)64 << 20;
  char *text = calloc(limit + 2, 1);
  memset(text, 'a', limit + 1);
  assert_null(source_add(&s.sources, "a.nn", text, limit + 1, false));
  assert_int_equal(s.sources.count, 0);
  free(text);
  session_free(&s);
}

static void assert_rendered(const Session *s, const char *expected) {
  Text out = {0};
  render_text(s, &out, false);
  assert_string_equal(text_get(&out), expected);
  text_free(&out);
}

static void test_one_line(void **state) {
  (void)state;
  Session s = {0};
  const Source *a = add(&s, "iris.nn", "model iris {\n  output scores = flower |> dens(16)\n}\n");
  const Source *l = source_add(&s.sources, "library/dense.nn", "layer dense(x) = x\n", 19, true);
  Diag *d = diag_error(&s, "unknown-name", span_of(a, "dens"), "unknown function `%s`", "dens");
  diag_label(&s, d, "not in scope");
  diag_note(&s, d, span_of(l, "dense"), "`dense` is defined here");
  diag_note(&s, d, (Span){0}, "and a note without a place");
  diag_hint(&s, d, "did you mean `%s`?", "dense");
  assert_rendered(&s, "iris.nn:2:29: error: unknown function `dens` [unknown-name]\n"
                      "   2 |   output scores = flower |> dens(16)\n"
                      "     |                             ^^^^ not in scope\n"
                      "library/dense.nn:1:7: note: `dense` is defined here\n"
                      "   1 | layer dense(x) = x\n"
                      "     |       ^^^^^\n"
                      "note: and a note without a place\n"
                      "hint: did you mean `dense`?\n");
  session_free(&s);
}

static void test_code_points(void **state) {
  (void)state;
  Session s = {0};
  const Source *a = add(&s, "a.nn", "\tlet σ = θθ + 1");
  diag_error(&s, "x", span_of(a, "θθ"), "names");
  diag_warning(&s, "untrained", (Span){a->base + a->length, a->base + a->length}, "end");
  assert_rendered(&s, "a.nn:1:11: error: names [x]\n"
                      "   1 |     let σ = θθ + 1\n"
                      "     |             ^^\n"
                      "a.nn:1:19: warning: end [untrained]\n"
                      "   1 |     let σ = θθ + 1\n"
                      "     |                   ^\n"
                      "1 error, 1 warning\n");
  session_free(&s);
}

static void test_bad_bytes(void **state) {
  (void)state;
  Session s = {0};
  const Source *a = add(&s, "a.nn", "a\x1b[31m\xff\xe2\x82 b");
  diag_error(&s, "x", span_of(a, "b"), "escape, 0xff and a cut sequence");
  assert_rendered(&s, "a.nn:1:11: error: escape, 0xff and a cut sequence [x]\n"
                      "   1 | a\xef\xbf\xbd[31m\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd b\n"
                      "     |           ^\n");
  session_free(&s);
}

static void test_several_lines(void **state) {
  (void)state;
  Session s = {0};
  const Source *a = add(&s, "a.nn", "let a = f(x)\n  |> g\n  |> h\nlet b\n");
  Diag *d = diag_error(&s, "x", span_join(span_of(a, "f(x)"), span_of(a, "h")), "three lines");
  diag_label(&s, d, "here");
  diag_error(&s, "y", span_join(span_of(a, "f(x)"), span_of(a, "g")), "two lines");
  assert_rendered(&s, "a.nn:1:9: error: three lines [x]\n"
                      "   1 | let a = f(x)\n"
                      "     |         ^^^^\n"
                      " ...\n"
                      "   3 |   |> h\n"
                      "     |   ^^^^ here\n"
                      "a.nn:1:9: error: two lines [y]\n"
                      "   1 | let a = f(x)\n"
                      "     |         ^^^^\n"
                      "   2 |   |> g\n"
                      "     |   ^^^^\n"
                      "2 errors\n");
  session_free(&s);
}

/* Of a long line, the part around the caret. */
static void test_long_line(void **state) {
  (void)state;
  Session s = {0};
  Text text = {0};
  for (int i = 0; i < 200; i++) text_printf(&text, "%09d ", i);
  const Source *a = add(&s, "a.nn", text_get(&text));
  diag_error(&s, "x", span_of(a, "000000100"), "far right");
  Text out = {0};
  render_text(&s, &out, false);
  assert_non_null(strstr(text_get(&out), "a.nn:1:1001: error: far right [x]\n   1 | …000000096 000000097 "));
  assert_non_null(strstr(text_get(&out), " 000000111 …\n     |                                          ^^^^^^^^^\n"));
  text_free(&out);
  text_free(&text);
  session_free(&s);
}

static void test_said_once(void **state) {
  (void)state;
  Session s = {.max_errors = 2};
  const Source *a = add(&s, "a.nn", "a b c d");
  diag_error(&s, "x", span_of(a, "a"), "first");
  Diag *again = diag_error(&s, "x", span_of(a, "a"), "the same");
  diag_hint(&s, again, "goes nowhere");
  diag_limit(&s, "x", span_of(a, "b"), "`b` has no meaning yet");
  assert_int_equal(s.errors, 2);
  diag_error(&s, "x", span_of(a, "c"), "counted");
  diag_error(&s, "x", span_of(a, "d"), "counted");
  assert_int_equal(s.errors, 4);
  assert_rendered(&s, "a.nn:1:1: error: first [x]\n"
                      "   1 | a b c d\n"
                      "     | ^\n"
                      "a.nn:1:3: limit: `b` has no meaning yet [x]\n"
                      "   1 | a b c d\n"
                      "     |   ^\n"
                      "4 errors (the first 2 are shown)\n");
  session_free(&s);
}

static void test_color(void **state) {
  (void)state;
  Session s = {0};
  const Source *a = add(&s, "a.nn", "a");
  diag_error(&s, "x", span_of(a, "a"), "red");
  Text out = {0};
  render_text(&s, &out, true);
  assert_string_equal(text_get(&out), "\033[1ma.nn:1:1:\033[0m \033[1;31merror:\033[0m red [x]\n"
                                      "   1 | a\n"
                                      "     | \033[1;31m^\033[0m\n");
  text_free(&out);
  session_free(&s);
}

static void test_json(void **state) {
  (void)state;
  Session s = {0};
  Text out = {0};
  render_json(&s, &out);
  assert_string_equal(text_get(&out), "[]\n");
  text_free(&out);
  const Source *a = add(&s, "a\"b.nn", "let a\nb\n");
  Diag *d = diag_error(&s, "x", (Span){a->base + 4, a->base + 7}, "a \"tab\":\t, a byte: \xff");
  diag_note(&s, d, (Span){0}, "note");
  diag_hint(&s, d, "hint\n\x01");
  diag_warning(&s, "untrained", (Span){0}, "no place");
  render_json(&s, &out);
  assert_string_equal(
      text_get(&out),
      "[{\"kind\":\"error\",\"slug\":\"x\",\"file\":\"a\\\"b.nn\",\"line\":1,\"column\":5,\"end_line\":2,\"end_"
      "column\":2,"
      "\"text\":\"a \\\"tab\\\":\\t, a byte: \\ufffd\",\"label\":null,\"notes\":[{\"file\":null,\"line\":null,"
      "\"column\":null,\"end_line\":null,\"end_column\":null,\"text\":\"note\"}],\"hint\":\"hint\\n\\u0001\"},"
      "{\"kind\":\"warning\",\"slug\":\"untrained\",\"file\":null,\"line\":null,\"column\":null,\"end_line\":null,"
      "\"end_column\":null,\"text\":\"no place\",\"label\":null,\"notes\":[],\"hint\":null}]\n");
  text_free(&out);
  session_free(&s);
}

static void test_near(void **state) {
  (void)state;
  assert_int_equal(near_distance("dense", "dense"), 0);
  assert_int_equal(near_distance("dens", "dense"), 2);
  assert_int_equal(near_distance("dnese", "dense"), 2);
  assert_int_equal(near_distance("Dense", "dense"), 1);
  assert_int_equal(near_distance("", "abc"), 6);
  assert_int_equal(near_distance("kitten", "sitting"), 6);
  assert_int_equal(near_distance("ca", "abc"), 6); /* a swapped pair is not edited again */
  const char *const names[] = {"dense", "conv2d", "relu", "leaky_relu", "layer_norm"};
  assert_string_equal(near_find("dens", names, 5), "dense");
  assert_string_equal(near_find("ReLU", names, 5), "relu");
  assert_string_equal(near_find("layernorm", names, 5), "layer_norm");
  assert_string_equal(near_find("con2d", names, 5), "conv2d");
  assert_null(near_find("softmax", names, 5));
  assert_null(near_find("q", names, 5));
  assert_null(near_find("dense", names, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_places),    cmocka_unit_test(test_many_lines),    cmocka_unit_test(test_reading),
      cmocka_unit_test(test_limits),    cmocka_unit_test(test_one_line),      cmocka_unit_test(test_code_points),
      cmocka_unit_test(test_bad_bytes), cmocka_unit_test(test_several_lines), cmocka_unit_test(test_long_line),
      cmocka_unit_test(test_said_once), cmocka_unit_test(test_color),         cmocka_unit_test(test_json),
      cmocka_unit_test(test_near),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
