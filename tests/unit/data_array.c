/* data_array.c: IDX and NPY files, and every way in which their headers can lie. */
#include "array.h"
#include "data_helper.h"

static Array *read_bytes(Session *s, const void *data, size_t size) { return array_read(s, write_file("a", data, size), "x", (Span){0}); }

static void reads_idx(void **state) {
  Session s = {0};
  static const unsigned char bytes[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 253, 254, 255};
  static const unsigned char shorts[] = {0, 0, 0x0b, 1, 0, 0, 0, 2, 0xff, 0xfe, 1, 0};
  static const unsigned char floats[] = {0, 0, 0x0d, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0};
  static const unsigned char doubles[] = {0, 0, 0x0e, 1, 0, 0, 0, 1, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0};
  double v[3];
  Array *a = read_bytes(&s, bytes, sizeof bytes);
  assert_int_equal(a->rank, 3);
  assert_int_equal(a->dims[0], 2);
  assert_int_equal(a->row, 3);
  array_row(a, 1, v);
  assert_true(v[0] == 253 && v[1] == 254 && v[2] == 255);
  array_free(a);
  a = read_bytes(&s, shorts, sizeof shorts);
  array_row(a, 0, v);
  array_row(a, 1, v + 1);
  assert_true(v[0] == -2 && v[1] == 256);
  array_free(a);
  a = read_bytes(&s, floats, sizeof floats);
  array_row(a, 0, v);
  assert_true(v[0] == 1.5);
  array_free(a);
  a = read_bytes(&s, doubles, sizeof doubles);
  array_row(a, 0, v);
  assert_true(v[0] == -1.5);
  array_free(a);
  session_free(&s);
}

static void refuses(const void *data, size_t size) {
  Session s = {0};
  assert_null(read_bytes(&s, data, size));
  expect_one(&s, "data-array", 0);
  session_free(&s);
}

static void refuses_wrong_idx(void **state) {
  static const unsigned char good[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4};
  for (size_t n = 0; n < sizeof good; n++) refuses(good, n);
  unsigned char more[sizeof good + 1] = {0};
  memcpy(more, good, sizeof good);
  refuses(more, sizeof more);
  static const unsigned char type[] = {0, 0, 7, 1, 0, 0, 0, 1, 0}, rank0[] = {0, 0, 8, 0}, rank9[] = {0, 0, 8, 9},
                             none[] = {0, 0, 8, 1, 0, 0, 0, 0},
                             huge[] = {0, 0, 0x0e, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  refuses(type, sizeof type);
  refuses(rank0, sizeof rank0);
  refuses(rank9, sizeof rank9);
  refuses(none, sizeof none);
  refuses(huge, sizeof huge);
}

/* An NPY file of version 1 with this dictionary and these elements; its size. */
static size_t npy(unsigned char *to, const char *dictionary, const void *elements, size_t size) {
  const size_t n = strlen(dictionary);
  memcpy(to, "\x93NUMPY\x01\x00", 8);
  to[8] = (unsigned char)n;
  to[9] = (unsigned char)(n >> 8);
  memcpy(to + 10, dictionary, n);
  if (size) memcpy(to + 10 + n, elements, size);
  return 10 + n + size;
}

static void reads_npy(void **state) {
  Session s = {0};
  unsigned char file[512];
  const float f[] = {1, 2, 3, 4, 5, 6};
  double v[3];
  size_t n = npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", f, sizeof f);
  Array *a = read_bytes(&s, file, n);
  assert_non_null(a);
  array_row(a, 1, v);
  assert_true(v[0] == 4 && v[1] == 5 && v[2] == 6);
  array_free(a);
  n = npy(file, "{\"shape\": (2, 3), 'fortran_order': True, 'descr': '<f4'}", f, sizeof f);
  a = read_bytes(&s, file, n);
  assert_non_null(a);
  array_row(a, 1, v);
  assert_true(v[0] == 2 && v[1] == 4 && v[2] == 6);
  array_free(a);
  const int64_t i[] = {-3, 1ll << 40};
  n = npy(file, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}", i, sizeof i);
  a = read_bytes(&s, file, n);
  array_row(a, 0, v);
  array_row(a, 1, v + 1);
  assert_true(v[0] == -3 && v[1] == 0x1p40);
  array_free(a);
  session_free(&s);
}

static void refuses_wrong_npy(void **state) {
  static const char *const wrong[] = {
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", /* one element too few, then too many */
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
      "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} __import__('os')",
      "{'descr': '<f4",
      "{", "", "[]"};
  unsigned char file[512];
  const float f[] = {1, 2};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) refuses(file, npy(file, wrong[i], f, sizeof f));
  size_t n = npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", f, sizeof f);
  for (size_t k = 0; k < n; k++) refuses(file, k);
  file[6] = 9;
  refuses(file, n);
}

static void put(unsigned char **p, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++) *(*p)++ = (unsigned char)(value >> 8 * i);
}

/* An archive of one stored member `x.npy`; its size. */
static size_t npz(unsigned char *to, const unsigned char *member, uint32_t size, uint32_t crc) {
  unsigned char *p = to;
  put(&p, 0x04034b50, 4), put(&p, 20, 2), put(&p, 0, 2), put(&p, 0, 2), put(&p, 0, 4), put(&p, crc, 4);
  put(&p, size, 4), put(&p, size, 4), put(&p, 5, 2), put(&p, 0, 2);
  memcpy(p, "x.npy", 5), p += 5;
  memcpy(p, member, size), p += size;
  const uint32_t directory = (uint32_t)(p - to);
  put(&p, 0x02014b50, 4), put(&p, 20, 2), put(&p, 20, 2), put(&p, 0, 2), put(&p, 0, 2), put(&p, 0, 4), put(&p, crc, 4);
  put(&p, size, 4), put(&p, size, 4), put(&p, 5, 2), put(&p, 0, 4), put(&p, 0, 2), put(&p, 0, 2), put(&p, 0, 4), put(&p, 0, 4);
  memcpy(p, "x.npy", 5), p += 5;
  const uint32_t end = (uint32_t)(p - to);
  put(&p, 0x06054b50, 4), put(&p, 0, 4), put(&p, 1, 2), put(&p, 1, 2), put(&p, end - directory, 4), put(&p, directory, 4), put(&p, 0, 2);
  return (size_t)(p - to);
}

#ifdef GRADC_ZLIB
#include <zlib.h>
static void reads_npz(void **state) {
  Session s = {0};
  unsigned char member[256], file[1024];
  const float f[] = {1, 2, 3, 4};
  double v[2];
  const size_t n = npy(member, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", f, sizeof f);
  const uint32_t crc = (uint32_t)crc32(0, member, (unsigned)n);
  const size_t all = npz(file, member, (uint32_t)n, crc);
  Array *a = read_bytes(&s, file, all);
  assert_non_null(a);
  array_row(a, 1, v);
  assert_true(v[0] == 3 && v[1] == 4);
  array_free(a);
  assert_null(array_read(&s, write_file("a", file, all), "y", (Span){0}));
  expect_one(&s, "data-array", 0);
  session_free(&s);
  refuses(file, npz(file, member, (uint32_t)n, crc + 1));
  npz(file, member, (uint32_t)n, crc);
  for (size_t k = 2; k < all; k++) refuses(file, k); /* cut anywhere */
  for (size_t k = 0; k < all; k++) { /* any byte changed: an error or the array, never a crash */
    unsigned char other[1024];
    memcpy(other, file, all);
    other[k] ^= 0xff;
    Session damaged = {0};
    a = read_bytes(&damaged, other, all);
    assert_true(a || damaged.errors == 1);
    array_free(a);
    session_free(&damaged);
  }
}

/* As numpy.savez_compressed writes it. */
static void reads_compressed_npz(void **state) {
  Session s = {0};
  unsigned char member[256], packed[512], file[1024];
  const float f[] = {1, 2, 3, 4};
  const size_t n = npy(member, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", f, sizeof f);
  z_stream z = {.next_in = member, .avail_in = (unsigned)n, .next_out = packed, .avail_out = sizeof packed};
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  deflateEnd(&z);
  const size_t all = npz(file, packed, (uint32_t)z.total_out, (uint32_t)crc32(0, member, (unsigned)n));
  unsigned char *entry = file + 30 + 5 + z.total_out; /* the directory's: method and unpacked size */
  entry[10] = 8;
  entry[24] = (unsigned char)n, entry[25] = (unsigned char)(n >> 8);
  Array *a = read_bytes(&s, file, all);
  assert_non_null(a);
  assert_int_equal(a->row, 2);
  array_free(a);
  entry[27] = 0x7f; /* 2 GiB of a few bytes */
  refuses(file, all);
  session_free(&s);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
#ifdef GRADC_ZLIB
      cmocka_unit_test(reads_npz), cmocka_unit_test(reads_compressed_npz),
#endif
      cmocka_unit_test(reads_idx), cmocka_unit_test(refuses_wrong_idx), cmocka_unit_test(reads_npy),
                                     cmocka_unit_test(refuses_wrong_npy)};
  return cmocka_run_group_tests(tests, NULL, test_folder_remove);
}
