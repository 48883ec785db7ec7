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
  uint8_t *depends;   /* from `first` on, as the arrays below are */
  Node *gradients;
  Node *reach;        /* TYPE_BOOL: where a gradient can differ from 0; NODE_NONE: anywhere. NULL: no select hides what is steep */
  uint8_t *steep;     /* by node */
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

/* Adds a part of n's gradient where n matters; `reach`: where the part can differ from 0, NODE_NONE: anywhere. */
void reverse_give(Reverse *r, Node n, Node part, Node reach);
/* Walks the nodes of the level, from `from` down. */
void reverse_walk(Reverse *r, uint32_t from);
/* The gradients of the loop's results go to what its body reads, by way of a loop that runs the other way round. */
void reverse_loop(Reverse *r, int32_t loop);

/* ---- reach.c ---- */

/* In `steep`: the node can be infinite or NaN; a factor of its derivative can be; or one of what it depends on. */
enum { WILD = 1, STEEP = 2, ABOVE_STEEP = 4 };
static inline bool reverse_steep(const Reverse *r, Node n) { return r->reach && (r->steep[n.id] & STEEP); }
static inline bool reverse_hides(const Reverse *r, Node n) { return r->reach && (r->steep[n.id] & ABOVE_STEEP); }
void reach_begin(Reverse *r);
void reach_end(Reverse *r);
/* Of the node's reach what its input i sees, of that one's shape; NODE_NONE: all of it, as far as is known. */
Node reach_through(const Reverse *r, Node node, uint32_t i);
/* A contraction whose other operand is 0 where nothing of it is asked for, if it can be infinite or NaN there. */
Node reach_shield(const Reverse *r, Node node, uint32_t i);

#endif
