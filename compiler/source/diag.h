/* diag.h: diagnostics. One is made with a slug and a place, given a second place and a hint, and kept in order until
 * it is rendered (render.h). A user's error, a warning, a limit of this version (what the language has and this
 * compiler cannot yet do) and a bug of ours are different calls.
 *
 *   Diag *d = diag_error(s, "shape-mismatch", span, "`@` needs %s, found %s", ...);
 *   diag_note(d, other, "the left side comes from here");
 *   diag_hint(d, "transpose it: `W.T`");
 */
#ifndef GRADC_DIAG_H
#define GRADC_DIAG_H
#include <stdbool.h>
#include <stdint.h>

#include "source.h"

typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_LIMIT, DIAG_KIND_COUNT } DiagKind;

typedef struct DiagNote {
  Span span; /* none: a note without a place */
  const char *text;
  struct DiagNote *next;
} DiagNote;

typedef struct Diag {
  DiagKind kind;
  const char *slug; /* "unknown-name": stable, documented in docs/errors.md, one golden test each */
  Span span;
  const char *file;   /* where there is no span: a place in a file that is not compiled, such as a table; or NULL */
  uint32_t line;      /* of `file`; 0: the file as a whole */
  const char *text;   /* one sentence, no full stop */
  const char *label;  /* under the caret, or NULL */
  DiagNote *notes, *last_note;
  const char *hint;   /* what to do, or NULL */
  struct Diag *next;
} Diag;

/* One run of the compiler: sources, names, diagnostics. Nothing is global. */
typedef struct Session {
  Sources sources;
  Names names;
  Arena arena; /* diagnostics' texts and whatever lives as long as the session */
  Diag *diags, *last_diag;
  uint32_t errors, warnings; /* limits count as errors */
  uint32_t max_errors;       /* 0: 20; more are counted, not kept */
  uint64_t quiet;            /* a bit for each row of warnings.def: those that are switched off */
} Session;

/* Each returns the diagnostic, never NULL. A second error with the same slug at the same place is dropped (a dummy is
 * returned), so that an error is said once. */
Diag *diag_error(Session *s, const char *slug, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The slug is one of warnings.def; a dummy is returned where it is switched off (warnings.h). */
Diag *diag_warning(Session *s, const char *slug, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "… has no meaning yet": the language has it, this version does not. */
Diag *diag_limit(Session *s, const char *slug, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
void diag_label(Session *s, Diag *d, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_note(Session *s, Diag *d, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
void diag_hint(Session *s, Diag *d, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The place of a diagnostic without a span: a line of a data file (0: the whole file). */
void diag_at(Session *s, Diag *d, const char *file, uint32_t line);
/* Our bug: prints file and line of the compiler, the source's place where known, how to report it; exits with 70. */
_Noreturn void diag_bug(const Session *s, Span span, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define DIAG_BUG(s, span, ...) diag_bug((s), (span), __FILE__, __LINE__, __VA_ARGS__)
void session_free(Session *s);

#endif
