/* pooled.c: what pooling lets through. A window's largest element is the sum over its taps of (tap = argmax x ? x : 0), and its
 * gradient is u = (tap = argmax x ? v : 0) for each element, v being the window's. Laws:
 *   0 < x ? u : 0  =  tap = argmax x ? (0 < max x ? v : 0) : 0    where one of these holds, x is the window's largest
 *   sum u = sum v                                                 over all taps, of which one holds [another order of the terms]
 * So relu's derivative is asked for once a window, the argument of the pooling need not be kept for the backward pass, and
 * a bias' gradient is a sum over windows. */
#include "pass.h"

/* u = (tap = argmax x ? v : 0), with what it is made of. */
typedef struct {
  Node wins, first, x, v;
  const int64_t *taps;
  uint32_t count;
} Unpooled;

static bool is_zero(const Graph *g, Node n) {
  double value;
  return node_constant(g, n, &value) && value == 0;
}

/* The numbers of taps in row-major order along the axes. */
static bool numbers_taps(const Graph *g, Node n, const int64_t *taps, uint32_t count) {
  if (node_prim(g, n) != P_BROADCAST || node_attr_count(g, n) != count) return false;
  for (uint32_t i = 0; i < count; i++)
    if (node_attr(g, n)[i] != taps[i]) return false;
  const Node numbers = node_in(g, n, 0);
  return node_prim(g, count > 1 && node_prim(g, numbers) == P_RESHAPE ? node_in(g, numbers, 0) : numbers) == P_IOTA;
}

/* Is n a value for each window, the same for all its taps? */
static bool repeats(const Graph *g, Node n, const int64_t *taps, uint32_t count) {
  if (node_prim(g, n) != P_BROADCAST || node_attr_count(g, n) + count != node_rank(g, n)) return false;
  for (uint32_t i = 0; i < node_attr_count(g, n); i++)
    for (uint32_t k = 0; k < count; k++)
      if (node_attr(g, n)[i] == taps[k]) return false;
  return true;
}

static bool is_first_of(const Graph *g, Node wins, Unpooled *u) {
  if (node_prim(g, wins) != P_EQ) return false;
  for (uint32_t i = 0; i < 2; i++) {
    const Node all = node_in(g, wins, i), number = node_in(g, wins, 1 - i);
    if (node_prim(g, all) != P_BROADCAST || node_prim(g, node_in(g, all, 0)) != P_ARGMAX) continue;
    u->wins = wins, u->first = node_in(g, all, 0), u->x = node_in(g, u->first, 0);
    u->taps = node_attr(g, u->first), u->count = node_attr_count(g, u->first);
    if (node_shape(g, u->x).id == node_shape(g, wins).id && repeats(g, all, u->taps, u->count) &&
        numbers_taps(g, number, u->taps, u->count))
      return true;
  }
  return false;
}

static bool is_unpooled(const Graph *g, Node n, Unpooled *u) {
  if (node_prim(g, n) != P_SELECT || !is_zero(g, node_in(g, n, 2)) || !is_first_of(g, node_in(g, n, 0), u)) return false;
  u->v = node_in(g, n, 1);
  return repeats(g, u->v, u->taps, u->count);
}

static Node below_reshape(const Graph *g, Node n) { return node_prim(g, n) == P_RESHAPE ? node_in(g, n, 0) : n; }

/* 0 < h ? u : 0, where h is x in another shape. */
static Node ask_once(Graph *g, Node predicate, Node masked) {
  Unpooled u;
  if (node_prim(g, predicate) != P_LT || !is_zero(g, node_in(g, predicate, 0)) || !is_unpooled(g, below_reshape(g, masked), &u))
    return NODE_NONE;
  const Node h = node_in(g, predicate, 1);
  if (!node_is(h, u.x) && !node_is(h, below_reshape(g, u.x))) return NODE_NONE;
  if (node_shape(g, h).id != node_shape(g, masked).id) return NODE_NONE;
  int64_t taps[GRAPH_MAX_RANK], others[GRAPH_MAX_RANK];
  const uint32_t count = u.count;
  for (uint32_t i = 0; i < count; i++) taps[i] = u.taps[i];
  for (uint32_t i = 0; i < node_attr_count(g, u.v); i++) others[i] = node_attr(g, u.v)[i];
  const Shape shape = node_shape(g, u.x), given = node_shape(g, masked);
  const Node most = build_reduce(g, P_SUM, build_select(g, u.wins, u.x, build_like(g, u.x, 0)), taps, count);
  const Node v = node_in(g, u.v, 0), flat = below_reshape(g, v); /* asked where v comes from */
  const Node flat_most = build_reshape(g, most, node_shape(g, flat));
  const Node positive = build_binary(g, P_LT, build_like(g, flat_most, 0), flat_most);
  const Node asked = build_reshape(g, build_select(g, positive, flat, build_like(g, flat, 0)), node_shape(g, v));
  const Node own = build_broadcast(g, asked, shape, others);
  return build_reshape(g, build_select(g, u.wins, own, build_like(g, own, 0)), given);
}

/* The sum over `axes` of a reshape of u, by axes of u: they must be runs of them. */
static bool axes_below(const Graph *g, Node reshaped, Node u, const int64_t *axes, uint32_t count, bool *below) {
  const Dims *out = node_dims(g, reshaped), *in = node_dims(g, u);
  uint32_t k = 0;
  for (uint32_t i = 0; i < out->rank; i++) {
    bool summed = false;
    for (uint32_t a = 0; a < count; a++) summed |= axes[a] == i;
    const uint32_t first = k;
    int64_t product = 1;
    while (k < in->rank && (k == first || product < out->dims[i]) && (dim_is_batch(out->dims[i]) ? k == first : !dim_is_batch(in->dims[k]))) {
      if (!dim_is_batch(in->dims[k])) product *= in->dims[k];
      below[k++] = summed;
    }
    if (k == first || (dim_is_batch(out->dims[i]) ? in->dims[first] != out->dims[i] : product != out->dims[i])) return false;
  }
  return k == in->rank;
}

static Node sum_windows(Graph *g, Node x, const int64_t *axes, uint32_t count) {
  Unpooled u;
  bool below[GRAPH_MAX_RANK] = {false};
  const Node inner = below_reshape(g, x);
  if (!is_unpooled(g, inner, &u) || !axes_below(g, x, inner, axes, count, below)) return NODE_NONE;
  for (uint32_t i = 0; i < u.count; i++)
    if (!below[u.taps[i]]) return NODE_NONE;
  int64_t left[GRAPH_MAX_RANK];
  uint32_t n = 0;
  for (uint32_t i = 0; i < node_attr_count(g, u.v); i++)
    if (below[node_attr(g, u.v)[i]]) left[n++] = i;
  const Node v = node_in(g, u.v, 0);
  return n ? build_reduce(g, P_SUM, v, left, n) : v;
}

static Node replace(void *context, const Graph *from, Graph *to, Node node, const Node *map) {
  if (node_prim(from, node) == P_SELECT && is_zero(from, node_in(from, node, 2)))
    return ask_once(to, map[node_in(from, node, 0).id], map[node_in(from, node, 1).id]);
  if (node_prim(from, node) == P_SUM)
    return sum_windows(to, map[node_in(from, node, 0).id], node_attr(from, node), node_attr_count(from, node));
  return NODE_NONE;
}

Graph *pass_pooled(const Graph *graph) { return graph_rewrite(graph, true, replace, NULL); }
