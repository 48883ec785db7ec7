/* array.c: see array.h. What is common to the formats: the size that the extents promise, and reading elements. */
#include "array.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

uint32_t array_size_of(ArrayType type) {
  static const uint32_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  return sizes[type];
}

Diag *array_fail(Session *s, const Array *array, Span span, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char text[512];
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  Diag *d = diag_error(s, "data-array", (Span){0}, "%s", text);
  diag_at(s, d, array->path, 0);
  if (!span_is_none(span)) diag_note(s, d, span, "the file is named here");
  return d;
}

bool array_check(Session *s, Array *array, Span span, size_t offset, const char *format) {
  const size_t left = array->bytes.size - offset;
  array->row = 1;
  int64_t total = array_size_of(array->type), count = 0;
  bool fits = true;
  for (uint32_t i = 0; i < array->rank; i++) {
    fits = fits && mem_mul(total, array->dims[i], &total);
    if (i) fits = fits && mem_mul(array->row, array->dims[i], &array->row);
  }
  if (fits) count = array->row * array->dims[0];
  if (!fits) {
    array_fail(s, array, span, "the extents of this %s file multiply to more than any memory holds", format);
    return false;
  }
  if (count == 0) {
    array_fail(s, array, span, "the array is empty: an extent is 0");
    return false;
  }
  if ((uint64_t)total != left) {
    Diag *d = array_fail(s, array, span, "this %s file promises %lld bytes of elements and holds %zu", format, (long long)total, left);
    diag_hint(s, d, (uint64_t)total > left ? "the file is truncated: get it anew" : "the file has bytes after its end: it is damaged");
    return false;
  }
  array->elements = (const unsigned char *)array->bytes.data + offset;
  return true;
}

static bool parse(Session *s, Array *array, Span span) {
  const Bytes *b = &array->bytes;
  if (b->size >= 6 && !memcmp(b->data, "\x93NUMPY", 6)) return array_parse_npy(s, array, span);
  if (b->size >= 4 && !b->data[0] && !b->data[1]) return array_parse_idx(s, array, span);
  Diag *d = array_fail(s, array, span, b->size ? "this is neither an IDX nor an NPY nor an NPZ file" : "the file is empty");
  diag_hint(s, d, "`array` reads IDX, NPY and NPZ files; a CSV file is read by `columns`");
  return false;
}

Array *array_read(Session *s, const char *path, const char *name, Span span) {
  Bytes bytes;
  return bytes_read(s, path, span, &bytes) ? array_parse(s, path, bytes, name, span) : NULL;
}

Array *array_parse(Session *s, const char *path, Bytes bytes, const char *name, Span span) {
  Array *array = mem_zero(1, sizeof *array);
  *array = (Array){.path = arena_text(&s->arena, path, strlen(path)), .bytes = bytes};
  bool ok = bytes.size < 4 || memcmp(bytes.data, "PK", 2) || array_unpack(s, array, name, span);
  if (ok) ok = parse(s, array, span);
  if (ok && array->scalar) {
    array_fail(s, array, span, "this NPY file has 0 axes; 1 to %d can be read", ARRAY_MAX_RANK);
    ok = false;
  }
  if (ok) return array;
  array_free(array);
  return NULL;
}

void array_free(Array *array) {
  if (!array) return;
  bytes_free(&array->bytes);
  free(array);
}

/* The element at p, as an integer of its size in the machine's order. */
static uint64_t word_at(const unsigned char *p, uint32_t size, bool big_endian) {
  uint64_t word = 0;
  for (uint32_t i = 0; i < size; i++) word |= (uint64_t)p[i] << 8 * (big_endian ? size - 1 - i : i);
  return word;
}

static double element(const Array *a, const unsigned char *p) {
  const uint64_t w = word_at(p, array_size_of(a->type), a->big_endian);
  const uint32_t half = (uint32_t)w;
  float f;
  double d;
  switch (a->type) {
    case ARRAY_BOOL: return w != 0;
    case ARRAY_I8: return (int8_t)w;
    case ARRAY_I16: return (int16_t)w;
    case ARRAY_I32: return (int32_t)w;
    case ARRAY_I64: return (double)(int64_t)w;
    case ARRAY_F32: memcpy(&f, &half, sizeof f); return f;
    case ARRAY_F64: memcpy(&d, &w, sizeof d); return d;
    default: return (double)w;
  }
}

void array_row(const Array *a, int64_t row, double *values) {
  const uint32_t size = array_size_of(a->type);
  const unsigned char *p = a->elements + (size_t)row * (size_t)a->row * size;
  if (!a->columns_first && a->type == ARRAY_U8) { /* images: worth a loop of their own */
    for (int64_t i = 0; i < a->row; i++) values[i] = p[i];
    return;
  }
  if (!a->columns_first) {
    for (int64_t i = 0; i < a->row; i++, p += size) values[i] = element(a, p);
    return;
  }
  int64_t index[ARRAY_MAX_RANK] = {0};
  for (int64_t i = 0; i < a->row; i++) {
    int64_t at = row, stride = a->dims[0];
    for (uint32_t k = 1; k < a->rank; k++) at += index[k] * stride, stride *= a->dims[k];
    values[i] = element(a, a->elements + (size_t)at * size);
    for (uint32_t k = a->rank; k-- > 1;) {
      if (++index[k] < a->dims[k]) break;
      index[k] = 0;
    }
  }
}
