/* lower.c: contractions that are no matrix products, and weights that would be turned again and again. With one row or
 * one column there is nothing to tile: a sum of products, its lanes along whichever axis is contiguous. Over an extent of
 * 1 there is no sum at all. Windows that are summed up lie 1 apart. Gaps behind all elements of an axis are an axis of their own. And weights whose columns a contraction would lay
 * out anew in each round of a loop are turned once, before it. */
#include "build.h"
#include "loops.h"
#include "schedule.h"

#include <string.h>

typedef struct {
  uint32_t nb, nk, free[2];
  int64_t batch[2][GRAPH_MAX_RANK], red[2][GRAPH_MAX_RANK], open[2][GRAPH_MAX_RANK];
  int64_t red_size, open_size[2]; /* a batch extent counts as 64 */
} Product;

static int64_t weight(int64_t dim) { return dim_is_batch(dim) ? 64 : dim; }

static Product product_of(const Graph *g, Node n) {
  const int64_t *attr = node_attr(g, n);
  Product p = {.nb = (uint32_t)attr[0], .nk = (uint32_t)attr[1], .red_size = 1, .open_size = {1, 1}};
  for (int side = 0; side < 2; side++) {
    const Dims *d = node_dims(g, node_in(g, n, (uint32_t)side));
    bool taken[GRAPH_MAX_RANK] = {0};
    for (uint32_t i = 0; i < p.nb; i++) taken[p.batch[side][i] = attr[2 + (uint32_t)side * p.nb + i]] = true;
    for (uint32_t i = 0; i < p.nk; i++) {
      taken[p.red[side][i] = attr[2 + 2 * p.nb + (uint32_t)side * p.nk + i]] = true;
      if (!side) p.red_size *= weight(d->dims[p.red[side][i]]);
    }
    for (uint32_t i = 0; i < d->rank; i++)
      if (!taken[i]) p.open[side][p.free[side]++] = i, p.open_size[side] *= weight(d->dims[i]);
  }
  return p;
}

/* The operand over the whole space: its axes in the space's order, the others added. */
static Node spread(Graph *g, Node x, const Product *p, int side, bool red_first, Shape space) {
  int64_t perm[GRAPH_MAX_RANK], axes[GRAPH_MAX_RANK];
  uint32_t n = 0;
  const uint32_t shift = red_first ? p->nk : 0, tail = p->nb + p->free[0] + p->free[1];
  for (uint32_t i = 0; red_first && i < p->nk; i++) axes[n] = i, perm[n++] = p->red[side][i];
  for (uint32_t i = 0; i < p->nb; i++) axes[n] = shift + i, perm[n++] = p->batch[side][i];
  for (uint32_t i = 0; i < p->free[side]; i++) axes[n] = shift + p->nb + (side ? p->free[0] : 0) + i, perm[n++] = p->open[side][i];
  for (uint32_t i = 0; !red_first && i < p->nk; i++) axes[n] = tail + i, perm[n++] = p->red[side][i];
  return build_broadcast(g, build_transpose(g, x, perm), space, axes);
}

static bool is_product_of_vectors(const Product *p, const Dims *out) {
  return (p->red_size == 1 || p->open_size[0] == 1 || p->open_size[1] == 1) && out->rank + p->nk <= GRAPH_MAX_RANK;
}

static Node lower_product(Graph *g, Node a, Node b, const Product *p, const Dims *out) {
  const int side = p->open_size[1] > p->open_size[0]; /* the matrix of the two */
  const Dims *big = node_dims(g, side ? b : a);
  uint32_t last = big->rank;
  while (last > 1 && big->dims[last - 1] == 1) last--;
  bool red_first = true;
  for (uint32_t i = 0; i < p->nk; i++) red_first &= p->red[side][i] != (int64_t)last - 1;
  Dims space = {0};
  const Dims red = *node_dims(g, a);
  for (uint32_t i = 0; red_first && i < p->nk; i++) space.dims[space.rank++] = red.dims[p->red[0][i]];
  for (uint32_t i = 0; i < out->rank; i++) space.dims[space.rank++] = out->dims[i];
  for (uint32_t i = 0; !red_first && i < p->nk; i++) space.dims[space.rank++] = red.dims[p->red[0][i]];
  const Shape shape = shape_of(g, &space);
  const Type type = contraction_type(node_type(g, a));
  const Node terms = build_mul(g, build_cast(g, spread(g, a, p, 0, red_first, shape), type), build_cast(g, spread(g, b, p, 1, red_first, shape), type));
  int64_t axes[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < p->nk; i++) axes[i] = red_first ? i : out->rank + i;
  return p->nk ? build_reduce(g, P_SUM, terms, axes, p->nk) : terms;
}

/* Windows a stride apart, with gaps of zeros between, are windows 1 apart. */
static Node lower_unwindow(Graph *g, Node x, const int64_t *attr) {
  const int64_t axis = attr[0], stride = attr[2];
  int64_t gaps[3 * GRAPH_MAX_RANK] = {0};
  gaps[3 * axis + 2] = stride - 1;
  return build_unwindow(g, build_pad(g, x, gaps), axis, attr[1], 1, attr[3]);
}

/* Gaps of zeros behind each element of one axis, the last one too, are what fills up an axis of 1 beside it: each place of the array
 * is then written once. Else: NODE_NONE. */
static Node lower_gaps(Graph *g, Node x, const int64_t *around, const Dims *out) {
  Dims apart = *node_dims(g, x);
  int64_t filled[3 * (GRAPH_MAX_RANK + 1)] = {0}, axis = -1;
  for (uint32_t i = 0; i < out->rank; i++) {
    const int64_t low = around[3 * i], high = around[3 * i + 1], gap = around[3 * i + 2];
    if (!low && !high && !gap) continue;
    if (axis >= 0 || low || high != gap || dim_is_batch(apart.dims[i])) return NODE_NONE;
    axis = i;
  }
  if (axis < 0 || apart.rank == GRAPH_MAX_RANK) return NODE_NONE;
  for (uint32_t i = apart.rank++; i > axis + 1; i--) apart.dims[i] = apart.dims[i - 1];
  apart.dims[axis + 1] = 1;
  filled[3 * (axis + 1) + 1] = around[3 * axis + 1];
  return build_reshape(g, build_pad(g, build_reshape(g, x, shape_of(g, &apart)), filled), shape_of(g, out));
}

static Graph *lower_products(const Graph *from) {
  Graph *to = graph_like(from);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  bool *live = mem_zero(from->nodes.count, 1);
  for (uint32_t i = 0; i < from->outputs.count; i++)
    live[from->outputs.data[i].node.id] = live[from->outputs.data[i].weight.id] = true;
  for (uint32_t id = from->nodes.count - 1; id > 0; id--)
    for (uint32_t i = 0; live[id] && i < from->nodes.data[id].count; i++) live[node_in(from, (Node){id}, i).id] = true;
  for (uint32_t id = 1; id < from->nodes.count; id++) {
    const Node n = {id};
    if (!live[id]) continue;
    const NodeData *d = node_data(from, n);
    Node *in = mem_alloc((d->count + 1) * sizeof *in);
    for (uint32_t i = 0; i < d->count; i++) in[i] = map[node_in(from, n, i).id];
    to->span = d->span;
    if (d->prim == P_CONTRACT) {
      const Product p = product_of(from, n);
      if (is_product_of_vectors(&p, node_dims(from, n))) {
        map[id] = lower_product(to, in[0], in[1], &p, node_dims(from, n));
        free(in);
        continue;
      }
    }
    if (d->prim == P_UNWINDOW && node_attr(from, n)[2] > 1) {
      map[id] = lower_unwindow(to, in[0], node_attr(from, n));
      free(in);
      continue;
    }
    if (d->prim == P_PAD) map[id] = lower_gaps(to, in[0], node_attr(from, n), node_dims(from, n));
    if (!map[id].id) map[id] = build_any(to, d->prim, d->type, shape_of(to, node_dims(from, n)), in, d->count,
                        node_attr_count(from, n) ? node_attr(from, n) : NULL, node_attr_count(from, n));
    free(in);
  }
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    Output o = from->outputs.data[i];
    o.node = map[o.node.id];
    o.weight = map[o.weight.id];
    graph_add_output(to, o);
  }
  free(map);
  free(live);
  return to;
}

/* ---- turned weights ---- */

#define TURN_EXTENT 16 /* with fewer columns, or a shorter sum, there is little to turn */

typedef struct {
  Loops loops;
  Vec(Node) turned; /* in the new graph */
} Turns;

/* Weights whose neighbours in memory are summed: the lanes, which are columns, lie apart. */
static bool lies_across(const Dims *d, const Product *p, int side) {
  int64_t last = -1;
  bool summed = false;
  for (uint32_t i = 0; i < d->rank; i++) {
    if (dim_is_batch(d->dims[i])) return false;
    if (d->dims[i] != 1) last = i;
  }
  for (uint32_t i = 0; i < p->nk; i++) summed |= p->red[side][i] == last;
  return summed && !p->nb && p->open_size[side] >= TURN_EXTENT && p->red_size >= TURN_EXTENT;
}

/* A mark over a transpose is that transpose in memory (keep.c); equal ones are one. */
static Node turned_copy(Turns *t, Graph *g, Node x, const int64_t *perm) {
  const Node view = build_transpose(g, x, perm);
  for (uint32_t i = 0; i < t->turned.count; i++)
    if (node_is(node_in(g, t->turned.data[i], 0), view)) return t->turned.data[i];
  if (node_prim(g, view) != P_TRANSPOSE) return view;
  vec_push(&t->turned, build_mark(g, view));
  return t->turned.data[t->turned.count - 1];
}

/* A contraction of a round whose columns' operand is the same in all rounds, with that turned: the summed axes first. */
static Node turn(void *context, const Graph *from, Graph *to, Node n, const Node *map) {
  Turns *t = context;
  if (node_prim(from, n) != P_CONTRACT) return NODE_NONE;
  const Product p = product_of(from, n);
  const int side = p.free[1] > 0; /* the result's last axis is its */
  const Node in[2] = {map[node_in(from, n, 0).id], map[node_in(from, n, 1).id]};
  const Node columns = node_in(from, n, (uint32_t)side);
  const bool pairs = node_type(from, columns) == TYPE_BF16; /* neighbours along the sum are multiplied together */
  if (pairs || loop_of(&t->loops, n) == loop_of(&t->loops, columns) || !lies_across(node_dims(from, columns), &p, side))
    return NODE_NONE;
  int64_t perm[GRAPH_MAX_RANK], first[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < p.nk; i++) perm[i] = p.red[side][i], first[i] = i;
  for (uint32_t i = 0; i < p.free[side]; i++) perm[p.nk + i] = p.open[side][i];
  const Node x = turned_copy(t, to, in[side], perm);
  return side ? build_contract(to, in[0], x, 0, NULL, NULL, p.nk, p.red[0], first)
              : build_contract(to, x, in[1], 0, NULL, NULL, p.nk, first, p.red[1]);
}

/* The graph's own marks have served their purpose. */
static Graph *turn_weights(const Graph *from) {
  Turns t = {.loops = loops_find(from)};
  Graph *to = graph_rewrite(from, true, turn, &t);
  loops_free(&t.loops), vec_free(&t.turned);
  return to;
}

Graph *schedule_lower(const Graph *from) {
  Graph *flat = loops_unroll(from, LOOP_MAX_DEPTH), *arranged = loops_arrange(flat), *products = lower_products(arranged),
        *to = turn_weights(products);
  graph_free(flat), graph_free(arranged), graph_free(products);
  return to;
}
