/* npy.c: NumPy's NPY format. Its header is a Python dictionary: exactly the three keys are read, and nothing is evaluated.
 * Arrays of Python objects (pickles) are refused. */
#include "array.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *p, *end;
  bool ok;
} Cursor;

static void skip_space(Cursor *c) {
  while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t')) c->p++;
}

static bool take(Cursor *c, char want) {
  skip_space(c);
  if (c->p >= c->end || *c->p != want) return false;
  c->p++;
  return true;
}

static void expect(Cursor *c, char want) { c->ok = take(c, want) && c->ok; }

static bool take_word(Cursor *c, const char *word) {
  skip_space(c);
  const size_t n = strlen(word);
  if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n)) return false;
  c->p += n;
  return true;
}

/* A quoted text without escapes, into `to` of `size` bytes. */
static void take_text(Cursor *c, char *to, size_t size) {
  skip_space(c);
  const char quote = c->p < c->end ? *c->p : 0;
  size_t n = 0;
  c->ok = c->ok && (quote == '\'' || quote == '"');
  if (!c->ok) return;
  for (c->p++; c->p < c->end && *c->p != quote; c->p++) {
    if (n + 1 < size) to[n++] = *c->p;
    else c->ok = false;
  }
  to[n] = 0;
  expect(c, quote);
}

static int64_t take_extent(Cursor *c) {
  skip_space(c);
  int64_t value = 0;
  const char *start = c->p;
  for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *c->p - '0', &value)) c->ok = false;
    if (!c->ok) return 0;
  }
  if (c->p == start) c->ok = false;
  if (c->p < c->end && *c->p == 'L') c->p++; /* Python 2 wrote long numbers so */
  return value;
}

static void take_shape(Cursor *c, Array *array) {
  expect(c, '(');
  array->rank = 0;
  while (c->ok && !take(c, ')')) {
    const int64_t extent = take_extent(c);
    if (array->rank < ARRAY_MAX_RANK) array->dims[array->rank] = extent;
    array->rank++;
    if (!take(c, ',')) {
      expect(c, ')');
      break;
    }
  }
}

static bool read_type(Session *s, Array *array, Span span, const char *descr) {
  static const struct { const char *code; ArrayType type; } types[] = {
      {"b1", ARRAY_BOOL}, {"u1", ARRAY_U8}, {"i1", ARRAY_I8}, {"u2", ARRAY_U16}, {"i2", ARRAY_I16}, {"u4", ARRAY_U32},
      {"i4", ARRAY_I32}, {"u8", ARRAY_U64}, {"i8", ARRAY_I64}, {"f4", ARRAY_F32}, {"f8", ARRAY_F64}};
  const char *code = strchr("<>|=", descr[0]) && descr[0] ? descr + 1 : descr;
  array->big_endian = descr[0] == '>';
  for (uint32_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (strcmp(code, types[i].code)) continue;
    array->type = types[i].type;
    return true;
  }
  const bool object = strchr(descr, 'O') != NULL;
  Diag *d = object ? array_fail(s, array, span, "this NPY file holds Python objects, not numbers")
                   : array_fail(s, array, span, "this NPY file holds elements of type `%s`", descr);
  diag_hint(s, d, "save numbers: `numpy.save(path, a.astype(\"float32\"))`");
  return false;
}

static void take_dictionary(Cursor *c, Array *array, char *descr, size_t size) {
  unsigned seen = 0;
  expect(c, '{');
  while (c->ok && !take(c, '}')) {
    char key[16];
    take_text(c, key, sizeof key);
    if (!c->ok) return;
    expect(c, ':');
    unsigned bit = 0;
    if (!strcmp(key, "descr")) {
      bit = 1;
      take_text(c, descr, size);
    } else if (!strcmp(key, "fortran_order")) {
      bit = 2;
      array->columns_first = take_word(c, "True");
      if (!array->columns_first) c->ok = take_word(c, "False") && c->ok;
    } else if (!strcmp(key, "shape")) {
      bit = 4;
      take_shape(c, array);
    }
    c->ok = c->ok && bit && !(seen & bit);
    seen |= bit;
    if (!take(c, ',')) {
      expect(c, '}');
      break;
    }
  }
  skip_space(c);
  c->ok = c->ok && seen == 7 && c->p == c->end;
}

bool array_parse_npy(Session *s, Array *array, Span span) {
  const unsigned char *p = (const unsigned char *)array->bytes.data;
  const size_t size = array->bytes.size;
  const size_t start = size > 6 && p[6] == 1 ? 10 : 12;
  if (size < start || p[6] < 1 || p[6] > 3) {
    array_fail(s, array, span, size < start ? "this NPY file ends within its header" : "this NPY file is of an unknown version");
    return false;
  }
  size_t length = (size_t)p[8] | (size_t)p[9] << 8;
  if (start == 12) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
  if (length > size - start) {
    array_fail(s, array, span, "this NPY file ends within its header");
    return false;
  }
  Cursor c = {array->bytes.data + start, array->bytes.data + start + length, true};
  char descr[16] = "";
  take_dictionary(&c, array, descr, sizeof descr);
  if (!c.ok) {
    Diag *d = array_fail(s, array, span, "the header of this NPY file is not NumPy's");
    diag_hint(s, d, "arrays with named fields cannot be read; save each as an array of its own");
    return false;
  }
  if (array->rank > ARRAY_MAX_RANK) {
    array_fail(s, array, span, "this NPY file has %u axes; 1 to %d can be read", array->rank, ARRAY_MAX_RANK);
    return false;
  }
  array->scalar = !array->rank;
  if (array->scalar) array->rank = 1, array->dims[0] = 1;
  return read_type(s, array, span, descr) && array_check(s, array, span, start + length, "NPY");
}
