/* json.h: a strict reader of JSON (RFC 8259) that allocates nothing: the caller asks for what it expects, part by part.
 * Nesting is as deep as the caller's own calls. Strings are unescaped where they lie, in the caller's text. Internal. */
#ifndef GRADC_JSON_H
#define GRADC_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  char *start, *at, *end;
  const char *problem; /* NULL: none so far; else what was wrong at `at`: every call then returns false */
} GradcJson;

/* The text stays the caller's; it is changed where strings hold escapes, and each string's closing quote becomes 0. */
GradcJson gradc_json(char *text, size_t size);

/* Steps over white space and this character; false, without a problem, if another is there. */
bool gradc_json_take(GradcJson *json, char c);

/* The same, but another character is a problem. */
bool gradc_json_expect(GradcJson *json, char c);

/* Steps to the next member of an object or element of an array that ends with `close`: true if there is one. *first must
 * be true before the first. */
bool gradc_json_next(GradcJson *json, char close, bool *first);

/* A string, ended by 0; U+0000 in it is a problem. NULL: there was a problem. */
const char *gradc_json_string(GradcJson *json);

/* A whole number, 0 to 2^63 - 1, without sign, point and exponent. */
bool gradc_json_natural(GradcJson *json, int64_t *number);

/* Nothing but white space is left. */
bool gradc_json_end(GradcJson *json);

/* True if the bytes are UTF-8: no overlong forms, no surrogates, nothing over U+10FFFF. */
bool gradc_utf8_valid(const void *text, size_t size);

#endif
