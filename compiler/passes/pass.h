/* pass.h: what a pass is, to the files of this folder. */
#ifndef GRADC_PASS_H
#define GRADC_PASS_H
#include "build.h"
#include "passes.h"

typedef Graph *PassFunction(const Graph *graph);

#define PASS(name, function, purpose) PassFunction function;
#define PASS_WHERE(name, function, option, purpose) PassFunction function;
#include "passes.def"
#undef PASS
#undef PASS_WHERE

/* sums.c: is the value above 0 wherever it is finite? */
bool pass_is_positive(const Graph *g, Node n);

#endif
