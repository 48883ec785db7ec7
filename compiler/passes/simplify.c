/* simplify.c: the builder over the whole graph again. */
#include "pass.h"

/* Differentiation is over: what it was told by marks and stops says nothing any more. */
static Node drop_identity(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  return node_has(from, node, K_IDENTITY) ? map[node_in(from, node, 0).id] : NODE_NONE;
}

Graph *pass_simplify(const Graph *graph) { return graph_rewrite(graph, true, drop_identity, NULL); }

Graph *pass_dead(const Graph *graph) { return graph_rebuild(graph, true); }
