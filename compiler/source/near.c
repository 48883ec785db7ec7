/* near.c: see near.h. Optimal string alignment: Levenshtein's table with a third row for swaps. */
#include "near.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 64 }; /* names longer than this are only compared by their lengths */

static int replace_cost(char a, char b) {
  if (a == b) return 0;
  return tolower((unsigned char)a) == tolower((unsigned char)b) ? 1 : 2;
}

int near_distance(const char *a, const char *b) {
  const size_t n = strlen(a), m = strlen(b);
  if (n > LONGEST || m > LONGEST) return strcmp(a, b) ? (int)(2 * (n > m ? n : m)) : 0;
  int rows[3][LONGEST + 1];
  int *before = rows[0], *above = rows[1], *row = rows[2];
  for (size_t j = 0; j <= m; j++) row[j] = 2 * (int)j;
  for (size_t i = 1; i <= n; i++) {
    int *free_row = before;
    before = above, above = row, row = free_row;
    row[0] = 2 * (int)i;
    for (size_t j = 1; j <= m; j++) {
      int best = above[j - 1] + replace_cost(a[i - 1], b[j - 1]);
      if (above[j] + 2 < best) best = above[j] + 2;
      if (row[j - 1] + 2 < best) best = row[j - 1] + 2;
      const int swaps = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swaps && before[j - 2] + 2 < best) best = before[j - 2] + 2;
      row[j] = best;
    }
  }
  return row[m];
}

const char *near_find(const char *word, const char *const *candidates, size_t count) {
  const int length = (int)strlen(word);
  int limit = length / 3 > 1 ? 2 * (length / 3) : 2;
  const char *best = NULL;
  for (size_t i = 0; i < count; i++) {
    const int distance = strcasecmp(word, candidates[i]) ? near_distance(word, candidates[i]) : 1;
    if (distance > limit || (best && distance == limit)) continue;
    if (distance >= 2 * length) continue; /* nothing of the word is left */
    best = candidates[i], limit = distance;
  }
  return best;
}
