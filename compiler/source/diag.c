/* diag.c: see diag.h. */
#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warnings.h"

static const char *format_text(Session *s, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  const int length = vsnprintf(NULL, 0, format, args);
  char *text = arena_alloc(&s->arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

static bool said_before(const Session *s, DiagKind kind, const char *slug, Span span) {
  for (const Diag *d = s->diags; d; d = d->next) {
    if (d->kind == kind && d->span.begin == span.begin && d->span.end == span.end && !strcmp(d->slug, slug))
      return true;
  }
  return false;
}

static bool is_quiet(const Session *s, const char *slug, Span span) {
  const int number = warning_find(slug, strlen(slug));
  if (number < 0) DIAG_BUG(s, span, "warnings.def has no `%s`", slug);
  return warning_is_quiet(s, number, span);
}

/* A dropped diagnostic is made all the same, outside the list: the caller may add to it. */
static Diag *add(Session *s, DiagKind kind, const char *slug, Span span, const char *format, va_list args) {
  Diag *d = ARENA_NEW(&s->arena, Diag);
  *d = (Diag){.kind = kind, .slug = slug, .span = span, .text = format_text(s, format, args)};
  if (said_before(s, kind, slug, span) || (kind == DIAG_WARNING && is_quiet(s, slug, span))) return d;
  uint32_t *count = kind == DIAG_WARNING ? &s->warnings : &s->errors;
  if ((*count)++ >= (s->max_errors ? s->max_errors : 20)) return d;
  if (s->last_diag)
    s->last_diag->next = d;
  else
    s->diags = d;
  return s->last_diag = d;
}

#define ADD(kind)                                                                                                      \
  va_list args;                                                                                                        \
  va_start(args, format);                                                                                              \
  Diag *d = add(s, (kind), slug, span, format, args);                                                                  \
  va_end(args);                                                                                                        \
  return d

Diag *diag_error(Session *s, const char *slug, Span span, const char *format, ...) { ADD(DIAG_ERROR); }
Diag *diag_warning(Session *s, const char *slug, Span span, const char *format, ...) { ADD(DIAG_WARNING); }
Diag *diag_limit(Session *s, const char *slug, Span span, const char *format, ...) { ADD(DIAG_LIMIT); }

void diag_label(Session *s, Diag *d, const char *format, ...) {
  va_list args;
  va_start(args, format);
  d->label = format_text(s, format, args);
  va_end(args);
}

void diag_note(Session *s, Diag *d, Span span, const char *format, ...) {
  va_list args;
  va_start(args, format);
  DiagNote *note = ARENA_NEW(&s->arena, DiagNote);
  *note = (DiagNote){span, format_text(s, format, args), NULL};
  va_end(args);
  if (d->last_note)
    d->last_note->next = note;
  else
    d->notes = note;
  d->last_note = note;
}

void diag_hint(Session *s, Diag *d, const char *format, ...) {
  va_list args;
  va_start(args, format);
  d->hint = format_text(s, format, args);
  va_end(args);
}

void diag_at(Session *s, Diag *d, const char *file, uint32_t line) {
  d->file = arena_text(&s->arena, file, strlen(file));
  d->line = line;
}

_Noreturn void diag_bug(const Session *s, Span span, const char *file, int line, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  fprintf(stderr, "gradc: internal error at %s:%d: ", file, line);
  vfprintf(stderr, format, args);
  va_end(args);
  const Place place = s ? source_place(&s->sources, span.begin) : (Place){0};
  if (place.source) fprintf(stderr, "\nwhile compiling %s:%u:%u", place.source->path, place.line, place.column);
  fprintf(stderr, "\nThis is a bug of gradc, not of your model. Please report it with the model and this message.\n");
  exit(70);
}

void session_free(Session *s) {
  sources_free(&s->sources);
  names_free(&s->names);
  arena_free(&s->arena);
  *s = (Session){0};
}
