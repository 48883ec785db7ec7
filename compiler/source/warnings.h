/* warnings.h: the warnings by name, and how they are switched off: for a run by name, in the text by a comment on the line
 * that is warned of, or alone on the line before it:
 *
 *   let rate = exp(z)          # no-warn: exp-overflow
 */
#ifndef GRADC_WARNINGS_H
#define GRADC_WARNINGS_H
#include "diag.h"

typedef struct {
  const char *name, *what;
} WarningRow;

/* All rows, ended by one without a name. */
const WarningRow *warning_rows(void);
/* The row's number, or -1. */
int warning_find(const char *name, size_t length);
/* Switches off the warnings of a list of names, with commas between; "all" is all of them. NULL, or the first name that
 * is none, in the session's arena; a near one in *near, or NULL. */
const char *warnings_quiet(Session *s, const char *names, const char **near);
/* A warning for each name in a comment `# no-warn:` of the text that is none. */
void warnings_check_comments(Session *s, const Source *source);
/* Is a warning at this place switched off? */
bool warning_is_quiet(const Session *s, int number, Span span);

#endif
