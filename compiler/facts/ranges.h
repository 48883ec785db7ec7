/* ranges.h: what every value of a graph can be, whatever its inputs are: an interval for each node, from one function a
 * primitive (ranges.c) and from what values have to do with each other (relations.c). Parameters and inputs are any finite
 * number, labels are known; overflow and underflow are left aside but for exp and its like. */
#ifndef GRADC_RANGES_H
#define GRADC_RANGES_H
#include "graph.h"
#include "range.h"

typedef struct Ranges Ranges;

/* `slots`: by slot, what is known of it, or NULL; a row that is empty (range_empty) says nothing. */
Ranges *ranges_new(const Graph *g, const Range *slots);
void ranges_free(Ranges *ranges);
Range range_at(const Ranges *ranges, Node n);
const Graph *ranges_graph(const Ranges *ranges);

/* ---- guards.c ---- */

/* A predicate that is known to hold, or known not to. */
typedef struct {
  Node predicate;
  bool truth;
} Literal;
enum { MOST_LITERALS = 6 };
typedef struct {
  uint8_t count;
  bool reached; /* else no user has been seen: nothing is to be said */
  Literal of[MOST_LITERALS];
} Guard;

/* What selects make sure of wherever a node's value is used, by node: to be freed. */
Guard *guards_find(const Graph *g, const Node *roots, uint32_t count);
/* Adds what a predicate's truth says: both parts of an `and` that holds, of an `or` that does not. */
void guard_add(const Graph *g, Guard *guard, Node predicate, bool truth);
/* The guard as the one input of a map sees it: of each predicate that went through the same map. */
Guard guard_before(const Graph *g, Node map, const Guard *guard);
/* The node's range where the guard holds. */
Range range_under(const Ranges *ranges, Node n, const Guard *guard, int depth);

/* ---- relations.c ---- */

/* A range that follows from how the node's inputs belong together, to be met with that of its primitive. */
bool relation_of(const Ranges *ranges, Node n, Range *range);
/* The node behind MARK and STOP, which change no value. */
Node plain_node(const Graph *g, Node n);
/* Is n the softmax of *u, whoever wrote it? */
bool is_softmax(const Graph *g, Node n, Node *u);
/* Is n = log(sum(e^u)) over some axes of *u? */
bool is_log_sum_exp(const Graph *g, Node n, Node *u);

/* Is b = log a, of which a b is at least -1 / e? */
bool is_log_of(const Graph *g, Node b, Node a);

/* ---- domain.c ---- */

typedef enum { DOMAIN_LOG, DOMAIN_SQRT, DOMAIN_DIVISION, DOMAIN_EXP, DOMAIN_POW, DOMAIN_ARC } DomainKind;
typedef struct {
  DomainKind kind;
  Node node, argument;
  Node source;   /* the nearest value behind the argument that is as free as it: a product, a slot */
  Range range;   /* of the argument, where it is used */
} DomainCase;
typedef Vec(DomainCase) DomainCases;
/* Where an argument can leave the domain of its function, or a function overflow. */
void facts_domain(const Ranges *ranges, const uint32_t *uses, const Guard *guards, DomainCases *out);

#endif
