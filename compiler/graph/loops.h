/* loops.h: which nodes belong to which loop. A body is not a graph of its own: it is what depends on the loop's carries
 * and items, and not by way of its LOOP. */
#ifndef GRADC_LOOPS_H
#define GRADC_LOOPS_H
#include "graph.h"

typedef struct {
  Node token;       /* the LOOP */
  uint32_t number;  /* its {loop} */
  int64_t length;
  uint32_t carries;
  int32_t parent;   /* the loop around it, or -1 */
  uint32_t depth;   /* 1: no loop around it */
} LoopInfo;

typedef struct {
  Vec(LoopInfo) list;
  int32_t *of; /* by node: the innermost loop whose body it is in, or -1; NULL where the graph has no loops */
} Loops;

Loops loops_find(const Graph *graph);
void loops_free(Loops *loops);
static inline int32_t loop_of(const Loops *loops, Node n) { return loops->of ? loops->of[n.id] : -1; }
static inline Node loop_carry(const Graph *g, const LoopInfo *loop, uint32_t i) { return node_in(g, loop->token, i); }
static inline Node loop_next(const Graph *g, const LoopInfo *loop, uint32_t i) {
  return node_in(g, loop->token, loop->carries + i);
}
/* Is loop `a` the loop `b`, or within it? b = -1: always. */
bool loop_within(const Loops *loops, int32_t a, int32_t b);
/* The loop directly inside `scope` (-1: the graph) that `a` is or lies in; -1 where a is the scope. */
int32_t loop_below(const Loops *loops, int32_t a, int32_t scope);

/* NULL, or what is wrong: two LOOPs of one number; a carry or an item whose loop is not closed where it is used. */
const char *loops_check(const Graph *graph);

/* The same graph with each loop's body in one piece: behind all that it reads, before all that reads it. What no output
 * needs is gone. */
Graph *loops_arrange(const Graph *graph);
/* The same graph without the loops that lie deeper than `depth` (0: all): their rounds written out. */
Graph *loops_unroll(const Graph *graph, uint32_t depth);

#endif
