/* layout.c: which values lie with 16 examples side by side. With few channels the lanes of a convolution would be mostly
 * idle; examples are many. So a chain of convolutions, pooling and what is elementwise between them lies in groups of 16
 * examples: [batch / 16][height][width][channels][16]. It is decided for the whole chain, so that nothing is rearranged
 * within it; where it meets dense layers and the caller's arrays, lanes are read and stored one by one. Shapes alone
 * decide, as sums over the batch go another way there. */
#include "fuse.h"

typedef struct {
  Fuse *f;
  uint32_t *chain; /* by node: another one of its chain, nearer to the one that stands for it; 0: may not be grouped */
  bool *idle;      /* by the node that stands for a chain: lanes would be idle */
  bool trains;     /* some weights have a gradient: there are many examples */
} Layout;

static int batch_axis(const Dims *d) {
  int at = -1;
  for (uint32_t i = 0; i < d->rank; i++) {
    if (!dim_is_batch(d->dims[i])) continue;
    if (at >= 0) return -1;
    at = (int)i;
  }
  return at;
}

static int64_t size_of_example(const Dims *d) {
  int64_t size = 1;
  for (uint32_t i = 0; i < d->rank; i++)
    if (!dim_is_batch(d->dims[i]) && !mem_mul(size, d->dims[i], &size)) return INT64_MAX;
  return size;
}

#define MOST_OF_EXAMPLE (INT64_MAX / 64) /* groups multiply indices by 16 */

static bool may_group(const Layout *l, Node n) {
  const Graph *g = l->f->g;
  const Prim p = node_prim(g, n);
  if (!l->f->kept[n.id] || l->f->uses[n.id] == UINT32_MAX || node_type(g, n) == TYPE_F64) return false;
  if (p == P_SLOT || p == P_SCATTER_ADD || !node_rank(g, n)) return false;
  const int64_t size = size_of_example(node_dims(g, n));
  return batch_axis(node_dims(g, n)) >= 0 && size > 1 && size < MOST_OF_EXAMPLE;
}

static uint32_t chain_of(Layout *l, uint32_t id) {
  while (l->chain[id] != id) id = l->chain[id] = l->chain[l->chain[id]];
  return id;
}

static void join(Layout *l, Node a, Node b) {
  if (!l->chain[a.id] || !l->chain[b.id]) return;
  const uint32_t x = chain_of(l, a.id), y = chain_of(l, b.id);
  l->chain[x] = y, l->idle[y] |= l->idle[x];
}

/* What lies in memory below views. */
static Node below_views(const Fuse *f, Node n, bool *windows) {
  const Graph *g = f->g;
  while (!f->kept[n.id] && (node_has(g, n, K_MOVEMENT) || node_has(g, n, K_IDENTITY)) && node_prim(g, n) != P_CONCAT) {
    *windows |= node_prim(g, n) == P_WINDOW;
    n = node_in(g, n, 0);
  }
  return n;
}

/* Fewer than 12 of 16 lanes would do something. */
static bool lanes_idle(const Dims *d) {
  const int64_t lanes = d->dims[d->rank - 1];
  return lanes > 0 && lanes % 16 && lanes < 12;
}

/* Of images: it has windows, or places beside channels. */
static void see_contraction(Layout *l, Node n, bool joins) {
  Fuse *f = l->f;
  const Graph *g = f->g;
  bool windows = false;
  const Node a = below_views(f, node_in(g, n, 0), &windows), b = below_views(f, node_in(g, n, 1), &windows);
  const Dims *out = node_dims(g, n);
  const bool batched = batch_axis(out) >= 0, sums = batch_axis(node_dims(g, a)) >= 0 && batch_axis(node_dims(g, b)) >= 0;
  const bool places = !node_attr(g, n)[0] && node_rank(g, node_in(g, n, 0)) + node_rank(g, node_in(g, n, 1)) > 5;
  if (!windows && !places && !joins) l->chain[n.id] = l->chain[a.id] = l->chain[b.id] = 0;
  if ((!windows && !places) || !joins) return;
  join(l, a, b), join(l, a, n), join(l, b, n);
  l->trains |= sums && !batched;
  if (!windows || !batched || !l->chain[n.id]) return;
  l->idle[chain_of(l, n.id)] |= lanes_idle(out);
}

static void see_leaves(Layout *l, Node n, Node reader) {
  const Fuse *f = l->f;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    if (f->kept[in.id] || node_prim(f->g, in) == P_SLOT) join(l, in, reader);
    else see_leaves(l, in, reader);
  }
}

/* What the caller reads lies as the shape says; so do tables. */
static void leave_out(Layout *l) {
  const Graph *g = l->f->g;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->kind == OUT_SLOT) continue;
    l->chain[o->node.id] = 0;
    l->chain[o->weight.id] = 0;
  }
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    bool windows = false;
    if (node_prim(g, (Node){id}) == P_GATHER) l->chain[below_views(l->f, node_in(g, (Node){id}, 0), &windows).id] = 0;
  }
}

/* The zeros around images, not those between places, are not kept for a convolution that goes through the examples in its lanes: there a tap is
 * inside for all lanes or for none, and those outside are passed over. */
static void drop_pads(Fuse *f, Node n) {
  const Graph *g = f->g;
  if (!f->grouped[n.id]) return;
  for (uint32_t i = 0; i < 2; i++) {
    bool windows = false;
    const Node pad = below_views(f, node_in(g, n, i), &windows);
    if (!windows || node_prim(g, pad) != P_PAD || pad_has_gaps(g, pad) || !f->grouped[pad.id] || f->uses[pad.id] != 1) continue;
    Node in = node_in(g, pad, 0);
    if (!f->kept[in.id] && node_prim(g, in) == P_RESHAPE && view_is_affine(f, in)) in = node_in(g, in, 0);
    if (f->kept[in.id]) f->kept[pad.id] = f->grouped[pad.id] = false;
  }
}

/* Is n computed from what lies example by example? */
static bool reads_plain(const Fuse *f, Node n) {
  bool plain = false;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    const Dims *d = node_dims(f->g, in);
    if (!f->kept[in.id] && node_prim(f->g, in) != P_SLOT) plain |= reads_plain(f, in);
    else plain |= !f->grouped[in.id] && batch_axis(d) >= 0 && size_of_example(d) > 1;
  }
  return plain;
}

/* What n, in groups, reads several times of what lies example by example: kept in groups, so that the lanes are gathered once. */
static void keep_gathered(Fuse *f, Node n) {
  const Graph *g = f->g;
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) {
    const Node in = node_in(g, n, i), x = node_prim(g, in) == P_BROADCAST ? node_in(g, in, 0) : NODE_NONE;
    if (f->kept[in.id] || node_prim(g, in) == P_SLOT) continue;
    if (x.id && !f->kept[x.id] && (node_has(g, x, K_ELEMENTWISE) || node_prim(g, x) == P_RESHAPE) && batch_axis(node_dims(g, x)) >= 0 && reads_plain(f, x))
      f->kept[x.id] = f->grouped[x.id] = true;
    else keep_gathered(f, in);
  }
}

/* The zeros around what a stage makes are not copied with it: it lies inside of them. */
static bool may_lie_inside(const Fuse *f, Node pad, const bool *dense) {
  const Graph *g = f->g;
  if (node_prim(g, pad) != P_PAD || !f->kept[pad.id] || f->grouped[pad.id] || dense[pad.id]) return false;
  const Node x = node_in(g, pad, 0);
  const Dims *d = node_dims(g, x);
  const int64_t *around = node_attr(g, pad);
  if (!f->kept[x.id] || f->grouped[x.id] || dense[x.id] || f->pad_of[x.id].id || !node_has(g, x, K_ELEMENTWISE)) return false;
  if (batch_axis(d) != 0 || around[0] || around[1] || size_of_example(node_dims(g, pad)) > 2 * size_of_example(d)) return false;
  for (uint32_t i = 0; i < d->rank; i++)
    if (around[3 * i + 2]) return false;
  return true;
}

static void lie_inside_pads(Fuse *f) {
  const Graph *g = f->g;
  bool *dense = mem_zero(g->nodes.count, 1); /* outputs, and what is read as if it had another shape */
  for (uint32_t i = 0; i < g->outputs.count; i++) dense[g->outputs.data[i].node.id] = dense[g->outputs.data[i].weight.id] = true;
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Prim p = node_prim(g, (Node){id});
    if (f->uses[id] != UINT32_MAX && (p == P_RESHAPE || p == P_GATHER || p == P_SCATTER_ADD)) dense[node_in(g, (Node){id}, 0).id] = true;
  }
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Node pad = {id};
    if (f->uses[id] == UINT32_MAX || !may_lie_inside(f, pad, dense)) continue;
    f->inside[id] = node_in(g, pad, 0), f->pad_of[f->inside[id].id] = pad;
  }
  free(dense);
}

void layout_choose(Fuse *f) {
  const Graph *g = f->g;
  if (f->loops.list.count) return;
  Layout l = {f, mem_zero(g->nodes.count, sizeof *l.chain), mem_zero(g->nodes.count, 1), false};
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (may_group(&l, (Node){id})) l.chain[id] = id;
  leave_out(&l);
  for (int round = 0; round < 2; round++) /* first what may not be in a chain, then the chains */
    for (uint32_t id = 1; id < g->nodes.count; id++) {
      const Node n = {id};
      if (f->uses[id] == UINT32_MAX || !f->kept[id]) continue;
      if (node_has(g, n, K_CONTRACTION)) see_contraction(&l, n, round);
      else if (round && l.chain[id]) see_leaves(&l, n, n);
    }
  for (uint32_t id = 1; l.trains && id < g->nodes.count; id++) f->grouped[id] = l.chain[id] && l.idle[chain_of(&l, id)];
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (f->uses[id] != UINT32_MAX && node_has(g, (Node){id}, K_CONTRACTION)) drop_pads(f, (Node){id});
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (f->uses[id] != UINT32_MAX && f->grouped[id] && node_has(g, (Node){id}, K_ELEMENTWISE)) keep_gathered(f, (Node){id});
  lie_inside_pads(f);
  free(l.chain), free(l.idle);
}
