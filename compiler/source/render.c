/* render.c: see render.h. What is printed is valid UTF-8 without control characters, whatever the source's bytes. */
#include "render.h"

#include <string.h>

enum { TAB_WIDTH = 4, WINDOW = 160 }; /* of a longer line, the part around the caret is shown */

static const char *const kind_words[] = {[DIAG_ERROR] = "error", [DIAG_WARNING] = "warning", [DIAG_LIMIT] = "limit"};
static const char *const kind_colors[] = {
    [DIAG_ERROR] = "\033[1;31m", [DIAG_WARNING] = "\033[1;35m", [DIAG_LIMIT] = "\033[1;33m"};

/* Bytes of the UTF-8 sequence at `text`, at least 1; *valid is false where it is none. */
static uint32_t sequence_length(const char *text, uint32_t left, bool *valid) {
  const unsigned char *t = (const unsigned char *)text;
  const uint32_t n = t[0] < 0x80                   ? 1
                     : t[0] >= 0xc2 && t[0] < 0xe0 ? 2
                     : t[0] >= 0xe0 && t[0] < 0xf0 ? 3
                     : t[0] >= 0xf0 && t[0] < 0xf5 ? 4
                                                   : 0;
  *valid = n && n <= left;
  for (uint32_t i = 1; *valid && i < n; i++) *valid = (t[i] & 0xc0) == 0x80;
  if (*valid && n == 3) *valid = !(t[0] == 0xe0 && t[1] < 0xa0) && !(t[0] == 0xed && t[1] >= 0xa0);
  if (*valid && n == 4) *valid = !(t[0] == 0xf0 && t[1] < 0x90) && !(t[0] == 0xf4 && t[1] >= 0x90);
  return *valid ? n : 1;
}

/* Columns that `length` bytes take: one a code point, TAB_WIDTH a tab. */
static uint32_t columns_of(const char *text, uint32_t length) {
  uint32_t columns = 0;
  bool valid;
  for (uint32_t i = 0; i < length; i += sequence_length(text + i, length - i, &valid))
    columns += text[i] == '\t' ? TAB_WIDTH : 1;
  return columns;
}

/* The columns [from, to) of a line. */
static void add_columns(Text *out, const char *text, uint32_t length, uint32_t from, uint32_t to) {
  uint32_t column = 0, n;
  for (uint32_t i = 0; i < length && column < to; i += n) {
    bool valid;
    n = sequence_length(text + i, length - i, &valid);
    const uint32_t width = text[i] == '\t' ? TAB_WIDTH : 1;
    const bool control = valid && n == 1 && ((unsigned char)text[i] < 0x20 || text[i] == 0x7f);
    for (uint32_t k = 0; text[i] == '\t' && k < width; k++) {
      if (column + k >= from && column + k < to) text_add(out, " ");
    }
    if (text[i] != '\t' && column >= from) {
      if (!valid || control)
        text_add(out, "\xef\xbf\xbd");
      else
        text_add_bytes(out, text + i, n);
    }
    column += width;
  }
}

static void add_spaces(Text *out, uint32_t count) {
  while (count--) text_add(out, " ");
}

/* A source line and carets under the bytes [begin, end) of it, at least one. */
static void show_line(Text *out, const Source *source, uint32_t line, uint32_t begin, uint32_t end, const char *label,
                      const char *color) {
  uint32_t length;
  const char *text = source_line(source, line, &length);
  if (begin > length) begin = length;
  if (end > length) end = length;
  const uint32_t left = columns_of(text, begin), all = columns_of(text, length);
  uint32_t width = end > begin ? columns_of(text + begin, end - begin) : 1;
  uint32_t from = 0, to = all;
  if (all > WINDOW) {
    from = left > WINDOW / 4 ? left - WINDOW / 4 : 0;
    to = from + WINDOW < all ? from + WINDOW : all;
  }
  if (left + width > to + 1) width = to - left + 1;
  text_printf(out, "%4u |%s%s", line, all ? " " : "", from ? "…" : "");
  add_columns(out, text, length, from, to);
  text_add(out, to < all ? "…\n     | " : "\n     | ");
  add_spaces(out, left - from + (from > 0));
  text_add(out, color);
  for (uint32_t i = 0; i < width; i++) text_add(out, "^");
  if (label) text_printf(out, " %s", label);
  text_add(out, *color ? "\033[0m\n" : "\n");
}

static uint32_t indent_of(const Source *source, uint32_t line) {
  uint32_t length, i = 0;
  const char *text = source_line(source, line, &length);
  while (i < length && (text[i] == ' ' || text[i] == '\t')) i++;
  return i;
}

/* The span's source lines: of more than two, the first and the last. */
static void show_span(Text *out, const Session *s, Span span, const char *label, const char *color) {
  const Place begin = source_place(&s->sources, span.begin), end = source_place(&s->sources, span.end);
  if (!begin.source) return;
  const bool one_line = !end.source || end.source != begin.source || end.line <= begin.line;
  if (one_line || (end.line == begin.line + 1 && end.column == 1)) {
    show_line(out, begin.source, begin.line, begin.column - 1, one_line && end.source ? end.column - 1 : UINT32_MAX,
              label, color);
    return;
  }
  show_line(out, begin.source, begin.line, begin.column - 1, UINT32_MAX, NULL, color);
  if (end.line > begin.line + 1) text_add(out, " ...\n");
  show_line(out, begin.source, end.line, indent_of(begin.source, end.line), end.column - 1, label, color);
}

static void add_place(Text *out, const Session *s, Span span, bool color) {
  const Place place = source_place(&s->sources, span.begin);
  if (!place.source) return;
  text_printf(out, "%s%s:%u:%u:%s ", color ? "\033[1m" : "", place.source->path, place.line, place.column,
              color ? "\033[0m" : "");
}

static void render_one(const Session *s, const Diag *d, Text *out, bool color) {
  const char *paint = color ? kind_colors[d->kind] : "", *plain = color ? "\033[0m" : "";
  add_place(out, s, d->span, color);
  if (d->file) text_printf(out, "%s%s:", color ? "\033[1m" : "", d->file);
  if (d->file && d->line) text_printf(out, "%u:", d->line);
  if (d->file) text_printf(out, "%s ", color ? "\033[0m" : "");
  text_printf(out, "%s%s:%s %s [%s]\n", paint, kind_words[d->kind], plain, d->text, d->slug);
  show_span(out, s, d->span, d->label, paint);
  for (const DiagNote *note = d->notes; note; note = note->next) {
    add_place(out, s, note->span, color);
    text_printf(out, "%snote:%s %s\n", color ? "\033[1;36m" : "", plain, note->text);
    show_span(out, s, note->span, NULL, color ? "\033[1;36m" : "");
  }
  if (d->hint) text_printf(out, "%shint:%s %s\n", color ? "\033[1;32m" : "", plain, d->hint);
}

void render_text(const Session *s, Text *out, bool color) {
  uint32_t shown = 0;
  for (const Diag *d = s->diags; d; d = d->next, shown++) render_one(s, d, out, color);
  if (s->errors + s->warnings < 2) return;
  if (s->errors) text_printf(out, "%u error%s", s->errors, s->errors > 1 ? "s" : "");
  if (s->warnings) text_printf(out, "%s%u warning%s", s->errors ? ", " : "", s->warnings, s->warnings > 1 ? "s" : "");
  if (shown < s->errors + s->warnings) text_printf(out, " (the first %u are shown)", shown);
  text_add(out, "\n");
}

static void add_json_string(Text *out, const char *text) {
  if (!text) {
    text_add(out, "null");
    return;
  }
  const uint32_t length = (uint32_t)strlen(text);
  uint32_t n;
  text_add(out, "\"");
  for (uint32_t i = 0; i < length; i += n) {
    bool valid;
    n = sequence_length(text + i, length - i, &valid);
    if (!valid)
      text_add(out, "\\ufffd");
    else if (text[i] == '"' || text[i] == '\\')
      text_printf(out, "\\%c", text[i]);
    else if (text[i] == '\n')
      text_add(out, "\\n");
    else if (text[i] == '\t')
      text_add(out, "\\t");
    else if ((unsigned char)text[i] < 0x20)
      text_printf(out, "\\u%04x", text[i]);
    else
      text_add_bytes(out, text + i, n);
  }
  text_add(out, "\"");
}

static void add_json_place(Text *out, const Session *s, Span span) {
  const Place begin = source_place(&s->sources, span.begin), end = source_place(&s->sources, span.end);
  text_add(out, "\"file\":");
  add_json_string(out, begin.source ? begin.source->path : NULL);
  if (!begin.source) {
    text_add(out, ",\"line\":null,\"column\":null,\"end_line\":null,\"end_column\":null");
    return;
  }
  const Place last = end.source == begin.source ? end : begin;
  text_printf(out, ",\"line\":%u,\"column\":%u,\"end_line\":%u,\"end_column\":%u", begin.line, begin.column, last.line,
              last.column);
}

static void add_json_line(Text *out, const Diag *d) {
  text_add(out, "\"file\":");
  add_json_string(out, d->file);
  if (d->line)
    text_printf(out, ",\"line\":%u", d->line);
  else
    text_add(out, ",\"line\":null");
  text_add(out, ",\"column\":null,\"end_line\":null,\"end_column\":null");
}

static void add_json_field(Text *out, const char *name, const char *text) {
  text_printf(out, ",\"%s\":", name);
  add_json_string(out, text);
}

void render_json(const Session *s, Text *out) {
  text_add(out, "[");
  for (const Diag *d = s->diags; d; d = d->next) {
    text_printf(out, "%s{\"kind\":\"%s\",\"slug\":\"%s\",", d == s->diags ? "" : ",", kind_words[d->kind], d->slug);
    if (d->file)
      add_json_line(out, d);
    else
      add_json_place(out, s, d->span);
    add_json_field(out, "text", d->text);
    add_json_field(out, "label", d->label);
    text_add(out, ",\"notes\":[");
    for (const DiagNote *note = d->notes; note; note = note->next) {
      text_add(out, note == d->notes ? "{" : ",{");
      add_json_place(out, s, note->span);
      add_json_field(out, "text", note->text);
      text_add(out, "}");
    }
    text_add(out, "]");
    add_json_field(out, "hint", d->hint);
    text_add(out, "}");
  }
  text_add(out, "]\n");
}
