/* grad.h: reverse mode, as a rewrite of the graph through its builder. It names no primitive: the rules stand in
 * prims.def and prim_*.c. The result is ordinary nodes, so gradients of gradients come for free. */
#ifndef GRADC_GRAD_H
#define GRADC_GRAD_H
#include "build.h"

/* gradients[i] = the gradient of sum(y * seed) by xs[i], of the shape of xs[i]; seed NODE_NONE: ones. NODE_NONE where y
 * does not depend on xs[i] through the graph (or only where the gradient is zero by decree). Only float nodes. */
void grad_reverse(Graph *g, Node y, Node seed, const Node *xs, uint32_t count, Node *gradients);
/* Does y depend on x at all, through any path of the graph? */
bool grad_depends(const Graph *g, Node y, Node x);

/* explain.c: the graph that leads to `nodes` as mathematics, a line a named or shared value, each with its source line.
 * `titles`: what to call each of `nodes` (slots have their names). */
void explain_print(const Graph *g, const Node *nodes, const char *const *titles, uint32_t count, Text *out);

#endif
