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

/* ---- still.c ---- */

/* Why a derivative is 0 whatever the values are, though there is a way. */
typedef enum {
  STILL_NOT,
  STILL_STOPPED,  /* by stop_gradient */
  STILL_OWN,      /* by a function whose own derivative does not reach it */
  STILL_STEP,     /* floor, round, sign: flat between their steps */
  STILL_DISCRETE, /* a comparison, an index, an integer */
  STILL_BRANCH,   /* a side of an `if` that is never taken */
  STILL_BOUND,    /* a side of max or min that is never the one */
  STILL_ZERO,     /* times 0 */
  STILL_CENTRED   /* what it adds is the same along axes whose mean is subtracted, or that a softmax is taken over */
} StillKind;
typedef struct {
  StillKind kind;
  Node at;        /* where */
} Still;

struct Ranges;
/* What is found out once about the ways that lead to `root`. */
typedef struct FactsLive FactsLive;
FactsLive *facts_live_new(const struct Ranges *ranges, Node root);
void facts_live_free(FactsLive *live);
/* Why the derivative of the root by `x` is 0; STILL_NOT: it need not be, or the root does not depend on x at all. */
Still facts_still(const FactsLive *live, Node x);
/* Is the derivative of the user by its input number i 0, and why? */
StillKind facts_cut(const struct Ranges *ranges, Node user, uint32_t i);

/* ---- fall.c ---- */

/* A term of the sum `root` that goes to minus infinity as some of `xs` go to infinity, where no other term that depends on
 * them rises; NODE_NONE: none is found. *by: one of them. A loss that has one has no least value. */
Node facts_falls(const struct Ranges *ranges, Node root, const Node *xs, uint32_t count, uint32_t *by);

#endif
