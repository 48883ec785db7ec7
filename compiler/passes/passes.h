/* passes.h: the pipeline of rewrites between trace and schedule. A pass is a function from graph to graph with a name;
 * passes.def lists them in order. */
#ifndef GRADC_PASSES_H
#define GRADC_PASSES_H
#include "graph.h"

typedef struct {
  const char *without; /* names of passes to leave out, separated by commas, "all"; or NULL */
  const char *after;   /* stop behind this pass, or NULL */
  bool bf16;           /* contractions round their operands */
} PassOptions;

/* A new graph; the given one is left as it is. In debug builds each pass's result is verified: what is wrong names the
 * pass, the node and its place, leaves the graph in a file, and exits with 70. */
Graph *passes_run(const Graph *graph, const PassOptions *options);
bool passes_has(const char *name);
/* One line a pass: name and purpose. */
void passes_list(Text *out);

#endif
