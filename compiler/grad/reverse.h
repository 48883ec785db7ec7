/* reverse.h: what the walk back (reverse.c) and the adjoints of loops (loop.c) share. */
#ifndef GRADC_REVERSE_H
#define GRADC_REVERSE_H
#include "build.h"
#include "grad.h"
#include "loops.h"

/* What a round gives to a value from outside its loop. */
typedef struct {
  Node to, part;
} Part;

/* The loop whose body is walked; NULL: none. */
typedef struct Level {
  int32_t loop;
  Vec(Part) parts;
  struct Level *outer;
} Level;

typedef struct {
  Graph *g;
  Loops loops;        /* of the nodes below `known`; younger ones are the walk's own */
  uint32_t known;
  int32_t scope;      /* the loop that y is in: it and those around it stay open, their carries are given */
  uint32_t first, last;
  uint8_t *depends;   /* both from `first` on */
  Node *gradients;
  Level *level;
} Reverse;

static inline bool reverse_knows(const Reverse *r, Node n) { return n.id >= r->first && n.id <= r->last; }
static inline bool reverse_depends(const Reverse *r, Node n) { return reverse_knows(r, n) && r->depends[n.id - r->first]; }
static inline Node reverse_gradient(const Reverse *r, Node n) {
  return reverse_knows(r, n) ? r->gradients[n.id - r->first] : NODE_NONE;
}

/* Is n a value of one round of the loop, or of a loop within it? */
static inline bool reverse_within(const Reverse *r, Node n, int32_t loop) {
  return n.id < r->known && loop_within(&r->loops, loop_of(&r->loops, n), loop);
}

/* Adds a part of n's gradient where n matters. */
void reverse_give(Reverse *r, Node n, Node part);
/* Walks the nodes of the level, from `from` down. */
void reverse_walk(Reverse *r, uint32_t from);
/* The gradients of the loop's results go to what its body reads, by way of a loop that runs the other way round. */
void reverse_loop(Reverse *r, int32_t loop);

#endif
