/* simplify.c: the builder over the whole graph again. */
#include "pass.h"

Graph *pass_simplify(const Graph *graph) { return graph_rebuild(graph, true); }

Graph *pass_dead(const Graph *graph) { return graph_rebuild(graph, true); }
