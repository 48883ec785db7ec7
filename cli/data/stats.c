/* stats.c: see stats.h. A list of texts is one line each; backslash and newline in them are escaped. */
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

void stats_set(Stats *stats, const char *key, const char *value) {
  const char *copy = arena_text(&stats->arena, value, strlen(value));
  for (uint32_t i = 0; i < stats->pairs.count; i++) {
    if (strcmp(stats->pairs.data[i].key, key)) continue;
    stats->pairs.data[i].value = copy;
    return;
  }
  const Stat stat = {arena_text(&stats->arena, key, strlen(key)), copy};
  vec_push(&stats->pairs, stat);
}

const char *stats_get(const Stats *stats, const char *key) {
  for (uint32_t i = 0; i < stats->pairs.count; i++) {
    if (!strcmp(stats->pairs.data[i].key, key)) return stats->pairs.data[i].value;
  }
  return NULL;
}

void stats_free(Stats *stats) {
  vec_free(&stats->pairs);
  arena_free(&stats->arena);
}

void stats_set_numbers(Stats *stats, const char *key, const double *values, int64_t count) {
  Text text = {0};
  for (int64_t i = 0; i < count; i++) {
    if (i) text_add(&text, " ");
    text_add_number(&text, values[i]);
  }
  stats_set(stats, key, text_get(&text));
  text_free(&text);
}

bool stats_get_numbers(const Stats *stats, const char *key, double *values, int64_t count) {
  const char *p = stats_get(stats, key);
  if (!p) return false;
  for (int64_t i = 0; i < count; i++) {
    char *end;
    values[i] = strtod(p, &end);
    if (end == p || !isfinite(values[i])) return false;
    p = end;
  }
  return !*p;
}

void stats_set_texts(Stats *stats, const char *key, const char *const *texts, uint32_t count) {
  Text text = {0};
  for (uint32_t i = 0; i < count; i++) {
    for (const char *p = texts[i]; *p; p++) {
      if (*p == '\n' || *p == '\\') text_add(&text, "\\");
      text_add_bytes(&text, *p == '\n' ? "n" : p, 1);
    }
    text_add(&text, "\n");
  }
  stats_set(stats, key, text_get(&text));
  text_free(&text);
}

const char **stats_get_texts(const Stats *stats, const char *key, Arena *arena, uint32_t *count) {
  const char *value = stats_get(stats, key);
  if (!value) return NULL;
  *count = 0;
  for (const char *p = value; *p; p++) *count += *p == '\n';
  const char **texts = ARENA_ARRAY(arena, const char *, *count + 1);
  char *copy = arena_alloc(arena, strlen(value) + 1);
  uint32_t n = 0;
  for (const char *p = value; n < *count; n++) {
    texts[n] = copy;
    for (; *p != '\n'; p++) {
      if (*p == '\\' && p[1]) *copy++ = *++p == 'n' ? '\n' : *p;
      else *copy++ = *p;
    }
    *copy++ = 0;
    p++;
  }
  return texts;
}
