/* number.c: see number.h. */
#include "number.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_not_finite_word(const char *p) {
  static const char *const words[] = {"nan", "inf", "infinity"};
  if (*p == '+' || *p == '-') p++;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (!strcasecmp(p, words[i])) return true;
  }
  return false;
}

/* Digits of the mantissa: those that fit are gathered, `dropped` counts the others. */
static const char *take_digits(const char *p, uint64_t *mantissa, int *kept, int *dropped) {
  for (; is_digit(*p); p++) {
    if (*kept < 18) {
      *mantissa = *mantissa * 10 + (uint64_t)(*p - '0');
      *kept += *mantissa != 0;
    } else {
      ++*dropped;
    }
  }
  return p;
}

static const char *take_exponent(const char *p, int *exponent) {
  const char *q = p + 1;
  const bool minus = *q == '-';
  if (*q == '-' || *q == '+') q++;
  if (!is_digit(*q)) return p;
  int e = 0;
  for (; is_digit(*q); q++) e = e < 100000 ? e * 10 + (*q - '0') : e;
  *exponent += minus ? -e : e;
  return q;
}

/* A mantissa below 2^53 times or over a power of ten up to 22 is one rounding of exact numbers, so it is the nearest
 * double; anything else is left to strtod. */
NumberStatus number_parse(const char *text, double *value) {
  while (*text == ' ' || *text == '\t') text++;
  const char *p = text;
  const bool minus = *p == '-';
  if (*p == '-' || *p == '+') p++;
  uint64_t mantissa = 0;
  int kept = 0, dropped = 0, exponent = 0, dropped_point = 0;
  const char *start = p;
  p = take_digits(p, &mantissa, &kept, &dropped);
  int digits = (int)(p - start);
  exponent = dropped;
  if (*p == '.') {
    const char *point = ++p;
    p = take_digits(p, &mantissa, &kept, &dropped_point);
    digits += (int)(p - point);
    exponent -= (int)(p - point) - dropped_point;
  }
  if (!digits) return is_not_finite_word(text) ? NUMBER_NOT_FINITE : NUMBER_NOT;
  if (*p == 'e' || *p == 'E') p = take_exponent(p, &exponent);
  while (*p == ' ' || *p == '\t') p++;
  if (*p) return NUMBER_NOT;
  if (mantissa <= 1ull << 53 && !dropped && !dropped_point && exponent >= -22 && exponent <= 22) {
    const double m = (double)mantissa;
    const double x = exponent < 0 ? m / powers[-exponent] : m * powers[exponent];
    *value = minus ? -x : x;
    return NUMBER_OK;
  }
  *value = strtod(text, NULL);
  return isfinite(*value) ? NUMBER_OK : NUMBER_NOT_FINITE;
}

bool number_is_missing(const char *text) {
  while (*text == ' ' || *text == '\t') text++;
  size_t n = strlen(text);
  while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
  return n == 0 || (n == 1 && (*text == '?' || *text == '.')) || (n == 2 && !memcmp(text, "NA", 2));
}

const char *number_shown(Arena *arena, const char *text) {
  enum { MOST = 40 };
  const size_t n = strlen(text);
  size_t cut = n < MOST ? n : MOST;
  while (cut < n && cut && ((unsigned char)text[cut] & 0xc0) == 0x80) cut--; /* not within a character */
  char *shown = arena_printf(arena, "%.*s%s", (int)cut, text, cut < n ? "..." : "");
  for (char *p = shown; *p; p++) {
    if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = ' ';
  }
  return shown;
}
