/* keep.c: which values go to memory. A view never does unless nothing can follow it; an elementwise value is computed
 * where it is read, unless that costs more than keeping it. */
#include "fuse.h"

#include <string.h>

#define INLINE_LIMIT 96  /* operations in one expression: bounds code size and recursion */
#define LEAF_LIMIT 20    /* values in memory that one expression reads: bounds the operands of a kernel */
#define SHARED_LIMIT 6   /* a value with several readers is computed again up to this size */
#define SCALAR_LIMIT 4   /* a number of the step likewise, in every kernel that reads it */

static bool is_scalar(const Graph *g, Node n) {
  const Dims *d = node_dims(g, n);
  for (uint32_t i = 0; i < d->rank; i++)
    if (d->dims[i] != 1) return false;
  return true;
}

/* A reshape that only splits axes: each input axis is a row-major run of output axes. */
static bool reshape_splits(const Graph *g, Node n) {
  const Dims *out = node_dims(g, n), *in = node_dims(g, node_in(g, n, 0));
  uint32_t o = 0;
  for (uint32_t i = 0; i < in->rank; i++) {
    if (dim_is_batch(in->dims[i])) {
      while (o < out->rank && out->dims[o] == 1) o++;
      if (o >= out->rank || out->dims[o] != in->dims[i]) return false;
      o++;
      continue;
    }
    int64_t product = 1;
    while (product < in->dims[i]) {
      if (o >= out->rank || dim_is_batch(out->dims[o])) return false;
      product *= out->dims[o++];
    }
    if (product != in->dims[i]) return false;
  }
  for (; o < out->rank; o++)
    if (out->dims[o] != 1) return false;
  return true;
}

static bool is_loop_value(Prim p) { return p == P_CARRY || p == P_LAST || p == P_STACK; }

/* Is the node's value found in memory, dense and row-major? */
static bool is_dense(const Fuse *f, Node n) { return f->kept[n.id] || node_prim(f->g, n) == P_SLOT; }

bool view_is_affine(const Fuse *f, Node n) {
  const Node in = node_in(f->g, n, 0);
  if (node_prim(f->g, n) == P_RESHAPE) return is_dense(f, in) || reshape_splits(f->g, n);
  return true;
}

/* Keeps what a contraction's operand stands on: below views that a plain load can follow. */
static void keep_operand(Fuse *f, Node n) {
  while (!is_dense(f, n)) {
    const Prim p = node_prim(f->g, n);
    const bool follows = p == P_TRANSPOSE || p == P_BROADCAST || p == P_SLICE || p == P_REVERSE || p == P_WINDOW ||
                         p == P_ITEM ||
                         prim_is(p, K_IDENTITY) || (p == P_RESHAPE && reshape_splits(f->g, n));
    if (p == P_RESHAPE && !follows) { /* over dense memory a reshape is free */
      f->kept[node_in(f->g, n, 0).id] |= node_prim(f->g, node_in(f->g, n, 0)) != P_SLOT;
      return;
    }
    if (!follows) {
      f->kept[n.id] = true;
      return;
    }
    n = node_in(f->g, n, 0);
  }
}

/* Keeps what rows are gathered from: a load adds one gathered coordinate, and follows transposes. */
static void keep_table(Fuse *f, Node n) {
  while (!is_dense(f, n)) {
    const Prim p = node_prim(f->g, n);
    const Node in = node_data(f->g, n)->count ? node_in(f->g, n, 0) : n;
    if (p == P_RESHAPE) {
      f->kept[in.id] |= node_prim(f->g, in) != P_SLOT;
      return;
    }
    if (p != P_TRANSPOSE && !prim_is(p, K_IDENTITY)) f->kept[n.id] = true;
    n = in;
  }
}

static bool keeps_always(const Graph *g, Node n) {
  const Prim p = node_prim(g, n);
  if (p == P_PAD) return pad_has_gaps(g, n);
  if (p == P_MARK) return node_prim(g, node_in(g, n, 0)) == P_TRANSPOSE; /* lower.c turns it */
  return prim_is(p, K_REDUCTION | K_OVERLAP | K_CONTRACTION) || p == P_CONCAT || p == P_SCATTER_ADD || is_loop_value(p);
}

#define ITEM_DEPTH 6 /* of a value that each round computes from its part of what lies in memory */

/* May the rounds compute this value's parts by themselves, cheaply, from loads alone? So are rows of a table by number, with
 * a bias. The round must not be a number in it. */
static bool round_computes(const Fuse *f, Node n, uint32_t depth) {
  const Prim p = node_prim(f->g, n);
  if (is_dense(f, n) || p == P_CONST) return true;
  const bool cheap = p == P_GATHER || p == P_BROADCAST || p == P_TRANSPOSE || p == P_ITEM || (prim_is(p, K_ELEMENTWISE) && !prim_is(p, K_COSTLY));
  if (!cheap || !depth || is_loop_value(p)) return false;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++)
    if (!(p == P_GATHER && i == 0) && !round_computes(f, node_in(f->g, n, i), depth - 1)) return false;
  return true;
}

/* What every round would compute again is kept before the loop, and what an item is part of, where its index must be one
 * of memory. */
static void keep_before_loop(Fuse *f, Node n) {
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    const Prim p = node_prim(f->g, n);
    if (p == P_LOOP || p == P_LAST || p == P_STACK || p == P_CARRY) continue;
    Node bottom = in;
    while (node_has(f->g, bottom, K_MOVEMENT) && node_prim(f->g, bottom) != P_CONCAT) bottom = node_in(f->g, bottom, 0);
    if (p == P_ITEM && round_computes(f, in, ITEM_DEPTH)) continue;
    if (p == P_ITEM ? true : loop_of(&f->loops, in) != loop_of(&f->loops, n) && !node_has(f->g, bottom, K_LEAF))
      keep_operand(f, in);
  }
}

/* Parts that a round computes and joins: a stage that makes them all stores each into its place (form.c). */
static void keep_parts(Fuse *f, Node n) {
  if (node_prim(f->g, n) != P_CONCAT || loop_of(&f->loops, n) < 0 || node_attr(f->g, n)[0] == 0) return;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++)
    if (!node_has(f->g, node_in(f->g, n, i), K_ELEMENTWISE)) return;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) f->kept[node_in(f->g, n, i).id] = true;
}

/* What the rounds leave: made by a stage, which stores it. */
static void keep_results(Fuse *f, Node n) {
  if (node_prim(f->g, n) != P_LOOP && node_prim(f->g, n) != P_STACK) return;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    if (node_has(f->g, in, K_ELEMENTWISE)) f->kept[in.id] = true;
  }
}

static void measure(Fuse *f, Node n) {
  const NodeData *d = node_data(f->g, n);
  uint32_t size = prim_is(d->prim, K_ELEMENTWISE) || d->prim == P_RANDOM;
  bool costly = prim_is(d->prim, K_COSTLY);
  uint32_t leaves = 0;
  for (uint32_t i = 0; i < d->count; i++) {
    const Node in = node_in(f->g, n, i);
    leaves += is_dense(f, in) ? 1 : f->inline_leaves[in.id];
    if (is_dense(f, in)) continue;
    size += f->inline_size[in.id];
    costly |= f->costly[in.id];
  }
  f->inline_size[n.id] = size + (d->count > 0 && prim_is(d->prim, K_MOVEMENT));
  f->inline_leaves[n.id] = leaves;
  f->costly[n.id] = costly;
}

static void count_uses(Fuse *f) {
  const Graph *g = f->g;
  bool *live = mem_zero(g->nodes.count, 1);
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    live[g->outputs.data[i].node.id] = true;
    if (g->outputs.data[i].weight.id) live[g->outputs.data[i].weight.id] = true;
  }
  for (uint32_t id = g->nodes.count - 1; id > 0; id--) {
    if (!live[id]) continue;
    for (uint32_t i = 0; i < g->nodes.data[id].count; i++) {
      const uint32_t in = node_in(g, (Node){id}, i).id;
      live[in] = true;
      f->uses[in]++;
    }
  }
  for (uint32_t id = 0; id < g->nodes.count; id++)
    if (!live[id]) f->uses[id] = UINT32_MAX; /* dead */
  for (uint32_t i = 0; i < g->outputs.count; i++) /* an output is a use, and cannot be dead */
    for (int k = 0; k < 2; k++) {
      const Node n = k ? g->outputs.data[i].weight : g->outputs.data[i].node;
      if (n.id && f->uses[n.id] == UINT32_MAX) f->uses[n.id] = 0;
    }
  free(live);
}

/* Behind a reduction or contraction that nothing else reads, an elementwise value is free: it is stored in its place; so is
 * what a mask leaves of such a value that the mask alone reads. */
static bool follows_anchor(const Fuse *f, Node n) {
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    if (f->uses[in.id] != 1) continue;
    if (node_has(f->g, in, K_REDUCTION | K_OVERLAP | K_CONTRACTION)) return true;
    if (node_prim(f->g, n) == P_SELECT && !f->kept[in.id] && node_has(f->g, in, K_ELEMENTWISE) && follows_anchor(f, in)) return true;
  }
  return false;
}

static bool has_batch(const Dims *d) {
  for (uint32_t i = 0; i < d->rank; i++)
    if (dim_is_batch(d->dims[i])) return true;
  return false;
}

/* What is the same for all examples, as the factors of a norm by channels, is computed once and not for each of them. */
static void keep_for_all_examples(Fuse *f, Node n) {
  const Graph *g = f->g;
  const Node in = node_prim(g, n) == P_BROADCAST ? node_in(g, n, 0) : NODE_NONE;
  if (!in.id || !has_batch(node_dims(g, n)) || has_batch(node_dims(g, in)) || is_scalar(g, in)) return;
  double value;
  if (node_has(g, in, K_ELEMENTWISE) && !node_constant(g, in, &value) && loop_of(&f->loops, in) < 0) f->kept[in.id] = true;
}

/* What others read too is computed once, and lies in the padded array (layout.c). */
static void keep_padded(Fuse *f, Node n) {
  if (node_prim(f->g, n) != P_PAD || !f->kept[n.id]) return;
  const Node in = node_in(f->g, n, 0);
  if (node_has(f->g, in, K_ELEMENTWISE) && f->uses[in.id] > 1) f->kept[in.id] = true;
}

/* The numbers of what is reduced, in row-major order along the axes of n. */
static bool numbers_axes(const Graph *g, Node n, const int64_t *axes, uint32_t count) {
  if (node_prim(g, n) != P_BROADCAST || node_attr_count(g, n) != count || memcmp(node_attr(g, n), axes, sizeof *axes * count)) return false;
  const Node numbers = node_in(g, n, 0);
  return node_prim(g, count > 1 && node_prim(g, numbers) == P_RESHAPE ? node_in(g, numbers, 0) : numbers) == P_IOTA;
}

/* sum(number = argmax x ? x : 0) is what the argmax has found. */
static Node largest_of(const Graph *g, Node sum) {
  const Node terms = node_prim(g, sum) == P_SUM ? node_in(g, sum, 0) : NODE_NONE;
  double other;
  if (!terms.id || node_prim(g, terms) != P_SELECT || !node_constant(g, node_in(g, terms, 2), &other) || other != 0) return NODE_NONE;
  const Node wins = node_in(g, terms, 0);
  for (uint32_t i = 0; node_prim(g, wins) == P_EQ && i < 2; i++) {
    const Node repeated = node_in(g, wins, i), first = node_prim(g, repeated) == P_BROADCAST ? node_in(g, repeated, 0) : NODE_NONE;
    if (!first.id || node_prim(g, first) != P_ARGMAX || !node_is(node_in(g, first, 0), node_in(g, terms, 1))) continue;
    const uint32_t count = node_attr_count(g, first);
    bool same = node_attr_count(g, sum) == count && !memcmp(node_attr(g, sum), node_attr(g, first), sizeof(int64_t) * count);
    for (uint32_t k = 0, a = 0; same && k < node_attr_count(g, repeated); k++) { /* one number for all of them */
      for (; a < count && node_attr(g, first)[a] < node_attr(g, repeated)[k]; a++) {}
      same = a == count || node_attr(g, first)[a] != node_attr(g, repeated)[k];
    }
    if (same && numbers_axes(g, node_in(g, wins, 1 - i), node_attr(g, first), count)) return first;
  }
  return NODE_NONE;
}

void keep_decide(Fuse *f) {
  const Graph *g = f->g;
  count_uses(f);
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (f->uses[id] != UINT32_MAX) f->largest_of[id] = largest_of(g, (Node){id});
  for (uint32_t i = 0; i < g->outputs.count; i++)
    for (int k = 0; k < 2; k++) {
      const Node n = k ? g->outputs.data[i].weight : g->outputs.data[i].node;
      if (n.id && node_has(g, n, K_ELEMENTWISE)) f->kept[n.id] = true;
    }
  for (uint32_t id = 1; id < g->nodes.count; id++) { /* what must be: contractions' operands, reshapes without a map */
    const Node n = {id};
    if (f->uses[id] == UINT32_MAX) continue;
    if (keeps_always(g, n)) f->kept[id] = true;
  }
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Node n = {id};
    if (f->uses[id] == UINT32_MAX) continue;
    if (node_has(g, n, K_CONTRACTION))
      for (uint32_t i = 0; i < 2; i++) keep_operand(f, node_in(g, n, i));
    if (node_prim(g, n) == P_GATHER) keep_table(f, node_in(g, n, 0));
    if (f->loops.list.count) keep_before_loop(f, n), keep_results(f, n), keep_parts(f, n);
    if (node_prim(g, n) == P_RESHAPE && !view_is_affine(f, n)) f->kept[node_in(g, n, 0).id] = true;
  }
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    if (f->uses[id] == UINT32_MAX) continue;
    keep_for_all_examples(f, (Node){id});
    keep_padded(f, (Node){id});
  }
  for (uint32_t id = 1; id < g->nodes.count; id++) { /* what is cheaper kept */
    const Node n = {id};
    if (f->uses[id] == UINT32_MAX) continue;
    measure(f, n);
    if (f->kept[id] || !(node_has(g, n, K_ELEMENTWISE) || node_prim(g, n) == P_RANDOM)) continue;
    const bool dear = f->costly[id] || f->inline_size[id] > SHARED_LIMIT;
    if (f->inline_size[id] > INLINE_LIMIT || f->inline_leaves[id] > LEAF_LIMIT || (f->uses[id] > 1 && (dear || follows_anchor(f, n)))) f->kept[id] = true;
  }
  for (uint32_t id = 1; id < g->nodes.count; id++) { /* numbers of the step that a tensor reads */
    const Node n = {id};
    if (f->uses[id] == UINT32_MAX || node_prim(g, n) != P_BROADCAST) continue;
    const Node in = node_in(g, n, 0);
    if (!is_scalar(g, in) || is_scalar(g, n) || is_dense(f, in) || !node_has(g, in, K_ELEMENTWISE)) continue;
    double value;
    if (node_constant(g, in, &value)) continue;
    if (f->costly[in.id] || f->inline_size[in.id] > SCALAR_LIMIT) f->kept[in.id] = true;
  }
  keep_exchange(f);
}
