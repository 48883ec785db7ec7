/* facts.h: what a graph shows of itself without being run, for warnings: products that could be one. It reads the graph and
 * changes nothing; who wrote a node, and how that is said, is the tracer's to know. */
#ifndef GRADC_FACTS_H
#define GRADC_FACTS_H
#include "graph.h"

/* By node: how many needed nodes (and roots) read it; 0: no root depends on it. To be freed. */
uint32_t *facts_uses(const Graph *g, const Node *roots, uint32_t count);

/* ---- linear.c ---- */

/* A product of a value by a parameter, and the product of that by another one, with sums of parameters, factors and index
 * maps at most between them, and nobody else looking: together they are one product. Not where the first narrows what both
 * of its neighbours have wider: that is a factor of low rank, made on purpose. */
typedef struct {
  Node first, second;
  uint32_t first_slot, second_slot; /* of their parameters */
} LinearPair;
typedef Vec(LinearPair) LinearPairs;
void facts_linear(const Graph *g, const uint32_t *uses, LinearPairs *out);

#endif
