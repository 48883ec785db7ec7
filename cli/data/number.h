/* number.h: a cell's text as a number, and as what a message shows. */
#ifndef GRADC_NUMBER_H
#define GRADC_NUMBER_H
#include <stdbool.h>

#include "arena.h"

typedef enum {
  NUMBER_OK,
  NUMBER_NOT,       /* other text */
  NUMBER_NOT_FINITE /* "nan", "inf", or beyond the range of a double */
} NumberStatus;

/* Decimal numbers as CSV files have them: sign, digits, point, exponent; spaces around. The nearest double. */
NumberStatus number_parse(const char *text, double *value);
/* Empty, NA, ? or . : a value that is not there. */
bool number_is_missing(const char *text);
/* The text as a message shows it: at most 40 bytes, control characters replaced. */
const char *number_shown(Arena *arena, const char *text);

#endif
