/* render.h: diagnostics as people and programs read them.
 *
 *   iris.nn:6:30: error: unknown function `dens` [unknown-name]
 *      6 |   output scores = flower |> dens(16)
 *        |                             ^^^^ not in scope
 *   library/dense.nn:4:7: note: ...
 *   hint: did you mean `dense`?
 */
#ifndef GRADC_RENDER_H
#define GRADC_RENDER_H
#include <stdbool.h>
#include <stdio.h>

#include "diag.h"
#include "text.h"

/* All diagnostics in order, then a line that counts them ("2 errors, 1 warning") where there is more than one.
 * `color`: with terminal colours. */
void render_text(const Session *s, Text *out, bool color);
/* The same as a JSON array of {kind, slug, file, line, column, end_line, end_column, text, notes, hint}. */
void render_json(const Session *s, Text *out);

#endif
