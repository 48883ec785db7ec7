/* check.h: what can be said of the definitions without shapes, for all of them, used or not: a name defined twice, a
 * name that nothing defines, a statement in a block where it may not stand, named arguments before others, `param` in
 * a `fn`, a call of a known definition with too many or unknown arguments. Errors go to the session. */
#ifndef GRADC_CHECK_H
#define GRADC_CHECK_H
#include "ast.h"
#include "diag.h"
#include "map.h"

/* What one file sees: its own definitions and its imports' (by_name), and the library's behind them. */
typedef struct {
  const Source *source;
  Map by_name;            /* name id -> index; what stands behind `import … as b` is not in it */
  Vec(Name) spaces;       /* the names b, and the file of each */
  Vec(uint32_t) space_files;
  Vec(uint32_t) imports;  /* files, without `as` */
} FileScope;

/* All definitions in scope: of the file, its imports, and those of the library that these can name. */
typedef struct {
  Vec(Ast) definitions;  /* the file's own, its imports', the library's, in this order of precedence */
  uint32_t library;      /* where the library's begin */
  Vec(Name) qualifiers;  /* of `import … as b`: b, else no name; one a definition */
  Map by_name;           /* name id -> index; the file's own hide the library's */
  bool incomplete;       /* an import could not be read: unknown names mean nothing */
  Vec(FileScope) files;  /* [0]: the library, all its files together; [1]: the file */
} Scope;

enum { SCOPE_NONE = 0xffffffffu };
/* The definition that `name` means where it stands at `at`: a library file sees the library alone. SCOPE_NONE: none. */
uint32_t scope_find(const Session *s, const Scope *scope, Name name, Span at);
/* The same behind `space.`; SCOPE_NONE where there is none. */
uint32_t scope_find_in(const Session *s, const Scope *scope, Name space, Name name, Span at);
bool scope_is_space(const Session *s, const Scope *scope, Name name, Span at);
/* Adds "did you mean" to a diagnostic about an unknown name: the nearest of `more`, of the definitions and of the
 * primitives, or our name for PyTorch's or Keras's. */
void scope_suggest(Session *s, const Tree *tree, const Scope *scope, Diag *d, Name name, const char *const *more,
                   uint32_t count);
/* "`dense` has no parameter `units_`", with the definition's first line and the nearest of its parameters. */
void diag_unknown_argument(Session *s, const Tree *tree, Span at, const char *name, Ast definition,
                           const char *const *params, uint32_t count);
/* The part of a span on its first line. */
Span definition_line(const Session *s, Span span);

/* Reads the imports of `file` (parsing them into `tree`) and of the library what they name, and fills `scope`. `words`: other
 * texts that may name definitions of the library, `count` of them. */
void scope_build(Session *s, Tree *tree, Ast file, const char *path, const char *const *words, uint32_t count, Scope *scope);
void scope_free(Scope *scope);
/* True if nothing was wrong. Checks the definitions of `file` and of its imports. */
bool check_file(Session *s, const Tree *tree, Ast file, const Scope *scope);

#endif
