/* warnings.c: see warnings.h. */
#include "warnings.h"

#include <string.h>

#include "near.h"

static const WarningRow rows[] = {
#define WARNING(name, what) {name, what},
#include "warnings.def"
#undef WARNING
    {NULL, NULL}};

enum { ROW_COUNT = sizeof rows / sizeof *rows - 1 };
_Static_assert(ROW_COUNT <= 64, "Session.quiet has a bit for each warning");

const WarningRow *warning_rows(void) { return rows; }

int warning_find(const char *name, size_t length) {
  for (int i = 0; i < ROW_COUNT; i++)
    if (strlen(rows[i].name) == length && !memcmp(rows[i].name, name, length)) return i;
  return -1;
}

static const char *nearest(const char *name) {
  const char *names[ROW_COUNT];
  for (int i = 0; i < ROW_COUNT; i++) names[i] = rows[i].name;
  return near_find(name, names, ROW_COUNT);
}

static bool is_between(char c) { return c == ',' || c == ' ' || c == '\t' || c == '\r'; }

/* The next name of a list with commas and spaces between; its length is 0 at the end. A bracket ends it: a reason may stand
 * there. */
static const char *next_name(const char *at, const char *end, size_t *length) {
  while (at < end && is_between(*at)) at++;
  const char *from = at;
  while (at < end && !is_between(*at) && *at != '(') at++;
  *length = (size_t)(at - from);
  return from;
}

const char *warnings_quiet(Session *s, const char *names, const char **near) {
  const char *end = names + strlen(names);
  size_t length;
  for (const char *name = next_name(names, end, &length); length; name = next_name(name + length, end, &length)) {
    const int row = warning_find(name, length);
    if (row >= 0) {
      s->quiet |= UINT64_C(1) << row;
    } else if (length == 3 && !memcmp(name, "all", 3)) {
      s->quiet = UINT64_MAX;
    } else {
      const char *unknown = arena_text(&s->arena, name, length);
      *near = nearest(unknown);
      return unknown;
    }
  }
  return NULL;
}

/* ---- comments ---- */

/* Behind "no-warn:" in the comment of a line, or NULL. */
static const char *quiet_list(const char *line, const char *end) {
  static const char word[] = "no-warn:";
  const size_t length = sizeof word - 1;
  const char *hash = memchr(line, '#', (size_t)(end - line));
  for (const char *p = hash; p && p + length <= end; p++)
    if (!memcmp(p, word, length)) return p + length;
  return NULL;
}

static bool line_quiets(const Source *source, uint32_t number, const char *wanted, bool alone) {
  uint32_t length;
  const char *line = source_line(source, number, &length), *end = line + length;
  const char *list = quiet_list(line, end), *first = line;
  while (first < end && (*first == ' ' || *first == '\t')) first++;
  if (!list || (alone && *first != '#')) return false;
  size_t n;
  for (const char *name = next_name(list, end, &n); n; name = next_name(name + n, end, &n))
    if (n == strlen(wanted) && !memcmp(name, wanted, n)) return true;
  return false;
}

bool warning_is_quiet(const Session *s, int number, Span span) {
  if (s->quiet >> number & 1) return true;
  const Place place = source_place(&s->sources, span.begin);
  if (span_is_none(span) || !place.source) return false;
  const char *name = rows[number].name;
  return line_quiets(place.source, place.line, name, false) ||
         (place.line > 1 && line_quiets(place.source, place.line - 1, name, true));
}

void warnings_check_comments(Session *s, const Source *source) {
  for (uint32_t number = 1; number <= source->line_count; number++) {
    uint32_t length;
    const char *line = source_line(source, number, &length), *end = line + length;
    const char *list = quiet_list(line, end);
    size_t n;
    for (const char *name = list ? next_name(list, end, &n) : NULL; name && n; name = next_name(name + n, end, &n)) {
      if (warning_find(name, n) >= 0) continue;
      const uint32_t at = source->base + (uint32_t)(name - source->text);
      Diag *d = diag_warning(s, "unknown-warning", (Span){at, at + (uint32_t)n}, "there is no warning `%.*s` to switch off", (int)n, name);
      const char *near = nearest(arena_text(&s->arena, name, n));
      if (near) diag_hint(s, d, "did you mean `%s`?", near);
      else diag_hint(s, d, "`gradc check --help` lists the warnings");
    }
  }
}
