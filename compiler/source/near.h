/* near.h: did you mean. */
#ifndef GRADC_NEAR_H
#define GRADC_NEAR_H
#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours; a change of case costs half) between two words, times two. */
int near_distance(const char *a, const char *b);
/* The nearest of `count` candidates, or NULL where none is within a third of the word's length (at least one edit).
 * One that differs in case alone is always near. */
const char *near_find(const char *word, const char *const *candidates, size_t count);

#endif
