/* parse.h: from text to syntax tree. Reentrant; reports every error it can recover from. */
#ifndef GRADC_PARSE_H
#define GRADC_PARSE_H
#include "ast.h"
#include "diag.h"

/* The FILE node of `source`, also after errors (ERROR nodes stand where nothing could be read). Errors go to `s`.
 * Never crashes, leaks or hangs, whatever the bytes. */
Ast parse_source(Session *s, Tree *tree, const Source *source);
/* The same of the bytes `begin` .. `end` of its text alone, which hold whole definitions. */
Ast parse_part(Session *s, Tree *tree, const Source *source, uint32_t begin, uint32_t end);

#endif
