/* text.h: a growing text buffer. */
#ifndef GRADC_TEXT_H
#define GRADC_TEXT_H
#include <stddef.h>

typedef struct {
  char *data; /* NUL-terminated, or NULL while empty */
  size_t length, capacity;
} Text; /* start from {0} */

void text_add(Text *text, const char *more);
void text_add_bytes(Text *text, const char *more, size_t length);
void text_printf(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The contents as a C string, "" while empty. */
const char *text_get(const Text *text);
/* A double with the fewest digits that read back to the same value; always with a point or an exponent. */
void text_add_number(Text *text, double value);
void text_free(Text *text);

#endif
