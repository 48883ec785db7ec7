/* message.c: errors of the walk: at the user's place, with what was found and where it came from. */
#include <stdarg.h>
#include <stdio.h>

#include "tracer.h"

bool in_library(Tracer *t, Span span) {
  const Place place = source_place(&t->s->sources, span.begin);
  return place.source && place.source->embedded;
}

const CallSite *user_call(Tracer *t) {
  for (uint32_t i = t->calls.count; i-- > 0;) {
    const Span span = t->calls.data[i].span;
    if (!span_is_none(span) && !in_library(t, span)) return &t->calls.data[i];
  }
  return NULL;
}

static const char *format_list(Tracer *t, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  const int n = vsnprintf(NULL, 0, format, args);
  char *text = arena_alloc(t->arena, (size_t)n + 1);
  vsnprintf(text, (size_t)n + 1, format, again);
  va_end(again);
  return text;
}

const char *text_of(Tracer *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const char *text = format_list(t, format, args);
  va_end(args);
  return text;
}

static Diag *emit(Tracer *t, DiagKind kind, const char *slug, Span span, const char *text) {
  const CallSite *site = user_call(t);
  const bool inside = in_library(t, span) && site;
  const Span place = inside ? site->span : span;
  Diag *d = kind == DIAG_ERROR     ? diag_error(t->s, slug, place, "%s", text)
            : kind == DIAG_WARNING ? diag_warning(t->s, slug, place, "%s", text)
                                   : diag_limit(t->s, slug, place, "%s", text);
  if (inside)
    diag_note(t->s, d, span, "in `%s` of the library", site->name);
  else if (t->calls.count && site && site->definition.id) {
    const Span body = ast_node(t->tree, site->definition)->span;
    if (span.begin >= body.begin && span.end <= body.end)
      diag_note(t->s, d, site->span, "in this use of `%s`", site->name);
  }
  return d;
}

#define EMIT(kind)                                                                                                     \
  va_list args;                                                                                                        \
  va_start(args, format);                                                                                              \
  const char *text = format_list(t, format, args);                                                                     \
  va_end(args);                                                                                                        \
  return emit(t, (kind), slug, span, text)

Diag *trace_error(Tracer *t, const char *slug, Span span, const char *format, ...) { EMIT(DIAG_ERROR); }
Diag *trace_limit(Tracer *t, const char *slug, Span span, const char *format, ...) { EMIT(DIAG_LIMIT); }
Diag *trace_warning(Tracer *t, const char *slug, Span span, const char *format, ...) { EMIT(DIAG_WARNING); }

/* Where an operand came from, if that is not where it stands. */
void note_value(Tracer *t, Diag *d, Value v, Span at, const char *what) {
  if (span_is_none(v.span) || in_library(t, v.span)) return;
  if (v.span.begin == at.begin && v.span.end == at.end) return;
  diag_note(t->s, d, v.span, "%s, %s, comes from here", what, value_describe(t, v));
}
