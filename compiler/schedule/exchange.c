/* exchange.c: what is kept in place of what it is made of. Behind a contraction y = f(x), and the backward pass multiplies
 * by f'(x), which reads x and parts of f. Where f'(x) is all that any later stage asks of two such values or more, the
 * contraction's own stage makes it and stores it instead: gelu, silu and their like then write two arrays and not three,
 * and read back one and not two. */
#include "fuse.h"

#include <stdlib.h>

#define NOBODY 0
#define SEVERAL UINT32_MAX

typedef struct {
  Fuse *f;
  uint32_t *anchor; /* by node: the contraction whose stage can compute it, itself or an elementwise value behind it; 0: none */
  uint32_t *exit;   /* by node: through which value, computed where it is read, other stages read it: NOBODY, that node, SEVERAL */
} Exchange;

static bool computed_where_read(const Fuse *f, Node n) { return !f->kept[n.id] && node_has(f->g, n, K_ELEMENTWISE); }

/* The last contraction among the anchors of n's inputs, if all else that n reads is there before it. */
static uint32_t anchor_of(const Exchange *x, Node n) {
  const Fuse *f = x->f;
  if (node_has(f->g, n, K_CONTRACTION)) return n.id;
  if (!node_has(f->g, n, K_ELEMENTWISE)) return 0;
  uint32_t anchor = 0;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const uint32_t own = x->anchor[node_in(f->g, n, i).id];
    if (own > anchor) anchor = own;
  }
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    if (x->anchor[in.id] != anchor && in.id > anchor && !node_has(f->g, in, K_LEAF) && node_prim(f->g, in) != P_BROADCAST) return 0;
  }
  return anchor && node_shape(f->g, n).id == node_shape(f->g, (Node){anchor}).id ? anchor : 0;
}

static void merge(uint32_t *exit, uint32_t other) {
  if (other != NOBODY && *exit != other) *exit = *exit == NOBODY ? other : SEVERAL;
}

/* From the last node to the first: what its users are has been seen. */
static void find_exits(Exchange *x) {
  const Fuse *f = x->f;
  for (uint32_t id = f->g->nodes.count - 1; id > 0; id--) {
    const Node n = {id};
    if (f->uses[id] == UINT32_MAX) continue;
    for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
      const Node in = node_in(f->g, n, i);
      if (!x->anchor[in.id]) continue;
      if (x->anchor[id] != x->anchor[in.id]) merge(&x->exit[in.id], in.id);
      else if (computed_where_read(f, n)) merge(&x->exit[in.id], x->exit[id]);
    }
  }
}

/* How many values other stages would no longer read if n were kept: once each. */
static uint32_t freed_below(const Exchange *x, Node n, uint32_t exit, Node *seen, uint32_t count) {
  const Fuse *f = x->f;
  for (uint32_t i = 0; i < node_data(f->g, n)->count && count < GRAPH_MAX_RANK; i++) {
    const Node in = node_in(f->g, n, i);
    if (computed_where_read(f, in)) {
      count = freed_below(x, in, exit, seen, count);
      continue;
    }
    bool new = f->kept[in.id] && x->anchor[in.id] == x->anchor[exit] && x->exit[in.id] == exit;
    for (uint32_t k = 0; k < count; k++) new &= !node_is(seen[k], in);
    if (new) seen[count++] = in;
  }
  return count;
}

void keep_exchange(Fuse *f) {
  const uint32_t count = f->g->nodes.count;
  Exchange x = {f, mem_zero(count, sizeof *x.anchor), mem_zero(count, sizeof *x.exit)};
  for (uint32_t id = 1; id < count; id++)
    if (f->uses[id] != UINT32_MAX) x.anchor[id] = anchor_of(&x, (Node){id});
  find_exits(&x);
  for (uint32_t id = 1; id < count; id++) {
    const Node n = {id};
    Node seen[GRAPH_MAX_RANK];
    if (x.exit[id] != id || !computed_where_read(f, n) || node_type(f->g, n) == TYPE_BOOL) continue;
    if (loop_of(&f->loops, n) != loop_of(&f->loops, (Node){x.anchor[id]})) continue;
    if (freed_below(&x, n, id, seen, 0) > 1) f->kept[id] = true;
  }
  free(x.anchor), free(x.exit);
}
