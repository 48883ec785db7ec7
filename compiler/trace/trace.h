/* trace.h: from syntax to program. The walk instantiates layers and functions where they are called, so that a shape is
 * known wherever it is looked at: it checks (names, calls, types, shapes: every user error ends here) and builds the
 * graph in one go. The batch axis is added here. What needs no shapes is checked before, for all definitions, by
 * compiler/check. */
#ifndef GRADC_TRACE_H
#define GRADC_TRACE_H
#include "ast.h"
#include "program.h"

typedef struct {
  const char *name;   /* "rate" */
  const char *value;  /* an expression of the language: "3e-4" */
  bool used;          /* set by the trace; what stays unused is an error of the caller's */
} Override;

typedef struct {
  const char *model;      /* NULL: the last of the file */
  Type float_type;        /* TYPE_F32, TYPE_F64 */
  Override *overrides;    /* --set */
  uint32_t override_count;
  int64_t batch, epochs, steps; /* of the command line; 0: the file's */
  int64_t seed;           /* -1: the file's */
  bool no_train;          /* only eval and init are wanted (predict): the others stay NULL */
} TraceOptions;

/* NULL after errors (they are in the session). Reads imports and the embedded library itself. */
Program *trace_program(Session *s, Tree *tree, Ast file, const char *path, TraceOptions *options);
void program_free(Program *program);

#endif
