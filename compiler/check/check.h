/* check.h: what can be said of the definitions without shapes, for all of them, used or not: a name defined twice, a
 * name that nothing defines, a statement in a block where it may not stand, named arguments before others, `param` in
 * a `fn`, a call of a known definition with too many or unknown arguments. Errors go to the session. */
#ifndef GRADC_CHECK_H
#define GRADC_CHECK_H
#include "ast.h"
#include "diag.h"

/* All definitions in scope: of the file, its imports and the library. */
typedef struct {
  Vec(Ast) definitions;  /* the file's own, its imports', the library's, in this order of precedence */
  Vec(Name) qualifiers;  /* of `import … as b`: b, else no name; one a definition */
  Map by_name;           /* name id -> index; the file's own hide the library's */
} Scope;

/* Reads the imports of `file` (parsing them into `tree`) and the library, and fills `scope`. */
void scope_build(Session *s, Tree *tree, Ast file, const char *path, Scope *scope);
void scope_free(Scope *scope);
/* True if nothing was wrong. Checks the definitions of `file` and of its imports. */
bool check_file(Session *s, const Tree *tree, Ast file, const Scope *scope);

#endif
