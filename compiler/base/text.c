/* text.c: see text.h. */
#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

static void reserve(Text *t, size_t more) {
  if (t->length + more + 1 <= t->capacity) return;
  t->capacity = (t->length + more + 1) * 2;
  t->data = mem_resize(t->data, t->capacity);
}

void text_add_bytes(Text *t, const char *more, size_t length) {
  reserve(t, length);
  if (length) memcpy(t->data + t->length, more, length);
  t->data[t->length += length] = 0;
}

void text_add(Text *t, const char *more) { text_add_bytes(t, more, strlen(more)); }

void text_printf(Text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  reserve(t, (size_t)n);
  va_start(args, format);
  vsnprintf(t->data + t->length, (size_t)n + 1, format, args);
  va_end(args);
  t->length += (size_t)n;
}

const char *text_get(const Text *t) { return t->data ? t->data : ""; }

void text_add_number(Text *t, double value) {
  char digits[40];
  if (isnan(value)) {
    text_add(t, "nan");
    return;
  }
  if (isinf(value)) {
    text_add(t, value < 0 ? "-inf" : "inf");
    return;
  }
  for (int precision = 1; precision <= 17; precision++) {
    snprintf(digits, sizeof digits, "%.*g", precision, value);
    if (strtod(digits, NULL) == value) break;
  }
  if (!strpbrk(digits, ".e")) strcat(digits, ".0");
  text_add(t, digits);
}

void text_free(Text *t) {
  free(t->data);
  *t = (Text){0};
}
