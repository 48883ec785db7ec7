/* data_table.c: what the CSV reader takes and refuses, and numbers as texts. Files are written to a folder of the test's
 * own. */
#include "data_helper.h"
#include "number.h"
#include "table.h"

static Table *read_as(Session *s, const char *name, const void *text, size_t size, int header, char separator) {
  const TableOptions options = {.separator = separator, .header = header};
  return table_read(s, write_file(name, text, size), &options);
}
static Table *read_text(Session *s, const char *text) { return read_as(s, "t.csv", text, strlen(text), -1, 0); }

static void takes_quotes_ends_and_marks(void **state) {
  Session s = {0};
  Table *t = read_text(&s, "\xef\xbb\xbf" "a,\"b, c\", d \r\n1,\"x\"\"y\r\nz\",3\r\n4,,6");
  assert_non_null(t);
  assert_int_equal(t->columns, 3);
  assert_int_equal(t->rows, 2);
  assert_string_equal(t->names[0], "a");
  assert_string_equal(t->names[1], "b, c");
  assert_string_equal(t->names[2], "d");
  assert_string_equal(table_skip(table_row(t, 0), 1), "x\"y\r\nz");
  assert_string_equal(table_skip(table_row(t, 1), 1), "");
  assert_string_equal(table_skip(table_row(t, 1), 2), "6");
  assert_int_equal(t->lines[0], 2);
  assert_int_equal(t->lines[1], 4); /* the quoted cell holds a newline */
  table_free(t);
  session_free(&s);
}

static void finds_the_header_by_looking(void **state) {
  Session s = {0};
  Table *t = read_text(&s, "1.5,red\n2.5,green\n");
  assert_false(t->header);
  assert_int_equal(t->rows, 2);
  assert_int_equal(table_column(t, "column_1"), 1);
  assert_int_equal(table_column(t, "1"), 1);
  assert_int_equal(table_column(t, "2"), -1);
  table_free(t);
  t = read_as(&s, "t.csv", "2020,2021\n1,2\n", 14, 1, 0);
  assert_true(t->header);
  assert_int_equal(table_column(t, "2021"), 1);
  table_free(t);
  t = read_as(&s, "t.csv", "red\ngreen\n", 10, 0, 0);
  assert_int_equal(t->rows, 2);
  table_free(t);
  t = read_as(&s, "t.tsv", "a\tb\n1\t2\n", 8, -1, 0);
  assert_int_equal(t->columns, 2);
  table_free(t);
  t = read_as(&s, "t.csv", "a;b\n1;2\n", 8, -1, ';');
  assert_int_equal(t->columns, 2);
  table_free(t);
  session_free(&s);
}

static void refuses(const char *text, size_t size, int header, const char *slug, uint32_t line) {
  Session s = {0};
  assert_null(read_as(&s, "t.csv", text, size, header, 0));
  expect_one(&s, slug, line);
  session_free(&s);
}
#define REFUSES(text, slug, line) refuses(text, sizeof text - 1, -1, slug, line)

static void refuses_what_is_no_table(void **state) {
  REFUSES("", "data-empty", 0);
  REFUSES("\n\r\n  \n", "data-empty", 0);
  REFUSES("a,b\n", "data-header-only", 1);
  REFUSES("a,b\n1,2\n1\n", "data-ragged", 3);
  REFUSES("a,b\n1,2\n1,2,3\n", "data-ragged", 3);
  REFUSES("a,b\n1,2\n\"1,2\n3,4\n", "data-quotes", 3);
  REFUSES("a,b\n1,5\" nail\n", "data-quotes", 2);
  REFUSES("a,b,a\n1,2,3\n", "data-column-twice", 1);
  REFUSES("a,b\n1,\0\n", "data-not-text", 2);
  REFUSES("\xff\xfe" "a\0", "data-not-text", 0);
  refuses("red\n", 4, 1, "data-header-only", 1);
}

static void refuses_unreadable_files(void **state) {
  Session s = {0};
  const TableOptions options = {.header = -1};
  assert_null(table_read(&s, "/nonexistent/file.csv", &options));
  expect_one(&s, "data-unreadable", 0);
  session_free(&s);
  assert_null(table_read(&s, "/tmp", &options));
  expect_one(&s, "data-unreadable", 0);
  session_free(&s);
}

#ifdef GRADC_ZLIB
#include <zlib.h>
static void undoes_gzip(void **state) {
  static const char text[] = "a,b\n1,2\n3,4\n";
  char path[512];
  snprintf(path, sizeof path, "%s/t.csv.gz", test_folder());
  /* Two members, as `cat a.gz b.gz` makes them. */
  for (int part = 0; part < 2; part++) {
    gzFile f = gzopen(path, part ? "ab" : "wb");
    gzwrite(f, text + (part ? 4 : 0), part ? 8 : 4);
    gzclose(f);
  }
  Session s = {0};
  const TableOptions options = {.header = -1};
  Table *t = table_read(&s, path, &options);
  assert_non_null(t);
  assert_int_equal(t->rows, 2);
  table_free(t);
  char bytes[512];
  FILE *f = fopen(path, "rb");
  const size_t size = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  for (size_t n = 3; n < size; n++) { /* cut anywhere: an error or, at a member's end, the first member alone */
    write_file("cut.gz", bytes, n);
    snprintf(path, sizeof path, "%s/cut.gz", test_folder());
    Session cut = {0};
    assert_null(table_read(&cut, path, &options));
    assert_int_equal(cut.errors, 1);
    session_free(&cut);
  }
  session_free(&s);
}
#endif

static void reads_numbers(void **state) {
  static const struct { const char *text; double value; } good[] = {
      {"0", 0}, {"-1", -1}, {" +2.5 ", 2.5}, {".5", .5}, {"5.", 5}, {"1e3", 1e3}, {"1E-3", 1e-3}, {"0.1", 0.1},
      {"123456789012345678901234567890", 123456789012345678901234567890.0}, {"4.9406564584124654e-324", 4.9406564584124654e-324},
      {"1.7976931348623157e308", 1.7976931348623157e308}, {"0.30000000000000004", 0.30000000000000004}, {"9007199254740993", 9007199254740993},
      {"0.000000000000000000000000000001", 1e-30}, {"-0.0", -0.0}, {"1e-400", 0}, {"00012", 12}};
  static const char *const bad[] = {"", "x", "1x", "0x10", "1e", "--1", "1 2", "1,5", ".", "-", "e5", "1_000", "infinite"};
  static const char *const wild[] = {"nan", "NaN", "-inf", "Infinity", "1e999", "-1e400"};
  double value;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(number_parse(good[i].text, &value), NUMBER_OK);
    assert_memory_equal(&value, &good[i].value, sizeof value);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(number_parse(bad[i], &value), NUMBER_NOT);
  for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) assert_int_equal(number_parse(wild[i], &value), NUMBER_NOT_FINITE);
}

/* The fast path and the C library agree to the bit on printed doubles. */
static void reads_the_nearest_double(void **state) {
  uint64_t x = 88172645463325252ull;
  for (int i = 0; i < 20000; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    const double value = (double)(int64_t)x / (double)(1ull << (x & 63));
    for (int digits = 1; digits <= 17; digits += 4) {
      char text[64];
      snprintf(text, sizeof text, i % 2 ? "%.*g" : "%.*e", digits, value);
      double read;
      assert_int_equal(number_parse(text, &read), NUMBER_OK);
      const double wanted = strtod(text, NULL);
      assert_memory_equal(&read, &wanted, sizeof read);
    }
  }
}

static void knows_what_is_missing(void **state) {
  static const char *const missing[] = {"", " ", "NA", " NA ", "?", "."}, *const there[] = {"na", "0", "N/A", "..", "NAN", "-"};
  for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) assert_true(number_is_missing(missing[i]));
  for (size_t i = 0; i < sizeof there / sizeof *there; i++) assert_false(number_is_missing(there[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_quotes_ends_and_marks), cmocka_unit_test(finds_the_header_by_looking),
      cmocka_unit_test(refuses_what_is_no_table),    cmocka_unit_test(refuses_unreadable_files),
#ifdef GRADC_ZLIB
      cmocka_unit_test(undoes_gzip),
#endif
      cmocka_unit_test(reads_numbers),               cmocka_unit_test(reads_the_nearest_double),
      cmocka_unit_test(knows_what_is_missing)};
  return cmocka_run_group_tests(tests, NULL, test_folder_remove);
}
