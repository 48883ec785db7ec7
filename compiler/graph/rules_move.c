/* rules_move.c: how index maps compose. */
#include "node.h"

static bool prim_at(const Graph *g, Node n, Prim prim) { return node_prim(g, n) == prim; }

/* ---- elementwise of broadcasts ---- */

/* Where every input varies along some of the axes only, computes there and broadcasts the result. */
Node rule_smaller_elementwise(Graph *g, const Draft *d) {
  const Dims dims = *shape_dims(g, d->shape);
  const unsigned all = (1u << dims.rank) - 1;
  unsigned used = 0;
  for (uint32_t i = 0; i < d->count; i++) {
    if (!prim_at(g, d->in[i], P_BROADCAST)) return NODE_NONE;
    for (uint32_t k = 0; k < node_attr_count(g, d->in[i]); k++) used |= 1u << node_attr(g, d->in[i])[k];
  }
  if (used == all) return NODE_NONE;
  Dims small = {0};
  int64_t axes[GRAPH_MAX_RANK], place[GRAPH_MAX_RANK];
  for (uint32_t k = 0; k < dims.rank; k++) {
    if (!(used >> k & 1)) continue;
    place[k] = small.rank, axes[small.rank] = k;
    small.dims[small.rank++] = dims.dims[k];
  }
  const Shape shape = shape_of(g, &small);
  Node in[3];
  for (uint32_t i = 0; i < d->count; i++) {
    int64_t own[DRAFT_ATTRS];
    const uint32_t count = attr_copy(g, d->in[i], own);
    for (uint32_t k = 0; k < count; k++) own[k] = place[own[k]];
    in[i] = build_broadcast(g, node_in(g, d->in[i], 0), shape, own);
  }
  const Node made = build_any(g, d->prim, d->type, shape, in, d->count, d->attr, d->attr_count);
  return build_broadcast(g, made, d->shape, axes);
}

static bool same_move(const Graph *g, Node m, Node n) {
  if (node_prim(g, m) != node_prim(g, n)) return false;
  if (node_shape(g, node_in(g, m, 0)).id != node_shape(g, node_in(g, n, 0)).id) return false;
  const uint32_t count = node_attr_count(g, m);
  if (count != node_attr_count(g, n)) return false;
  return !count || !memcmp(node_attr(g, m), node_attr(g, n), count * sizeof(int64_t));
}

static bool is_repeated_scalar(const Graph *g, Node n) {
  return prim_at(g, n, P_BROADCAST) && node_rank(g, node_in(g, n, 0)) == 0;
}

/* Every input is moved alike, or is a scalar repeated, which looks the same wherever it is moved. */
Node rule_moved_elementwise(Graph *g, const Draft *d) {
  Node moved = NODE_NONE, in[3];
  for (uint32_t i = 0; i < d->count; i++) {
    if (is_repeated_scalar(g, d->in[i])) continue;
    if (!prim_at(g, d->in[i], P_RESHAPE) && !prim_at(g, d->in[i], P_TRANSPOSE)) return NODE_NONE;
    if (moved.id && !same_move(g, moved, d->in[i])) return NODE_NONE;
    moved = d->in[i];
  }
  if (!moved.id) return NODE_NONE;
  const Shape shape = node_shape(g, node_in(g, moved, 0));
  for (uint32_t i = 0; i < d->count; i++) {
    in[i] = node_in(g, d->in[i], 0);
    if (is_repeated_scalar(g, d->in[i]) && shape.id) in[i] = build_broadcast(g, in[i], shape, NULL);
  }
  int64_t attr[DRAFT_ATTRS];
  const uint32_t count = attr_copy(g, moved, attr);
  const Node made = build_any(g, d->prim, d->type, shape, in, d->count, d->attr, d->attr_count);
  return build_any(g, node_prim(g, moved), d->type, d->shape, &made, 1, attr, count);
}

Node rule_stop_moved(Graph *g, const Draft *d) {
  const Node move = d->in[0], inner = build_stop(g, node_in(g, move, 0));
  int64_t attr[DRAFT_ATTRS];
  const uint32_t count = attr_copy(g, move, attr);
  return build_any(g, node_prim(g, move), d->type, d->shape, &inner, 1, attr, count);
}

/* ---- broadcast ---- */

Node rule_broadcast(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  const Dims to = *shape_dims(g, d->shape);
  if (d->attr_count == to.rank) return x;
  if (prim_at(g, x, P_BROADCAST)) {
    int64_t inner[DRAFT_ATTRS];
    const uint32_t count = attr_copy(g, x, inner);
    for (uint32_t i = 0; i < count; i++) inner[i] = d->attr[inner[i]];
    return build_broadcast(g, node_in(g, x, 0), d->shape, inner);
  }
  int64_t added[GRAPH_MAX_RANK];
  const uint32_t count = axes_others(to.rank, d->attr, d->attr_count, added);
  for (uint32_t i = 0; i < count; i++)
    if (to.dims[added[i]] != 1) return NODE_NONE;
  double ignored; /* a constant keeps its one form */
  return node_constant(g, x, &ignored) ? NODE_NONE : build_reshape(g, x, d->shape);
}

/* ---- reshape ---- */

/* reshape(broadcast x): the axes fall into groups of equal products; a group must be repeated as a whole, or stay. */
static Node reshape_of_broadcast(Graph *g, const Draft *d) {
  const Node inner = d->in[0], x = node_in(g, inner, 0);
  const Dims from = *node_dims(g, inner), to = *shape_dims(g, d->shape);
  int64_t axes[DRAFT_ATTRS], kept[GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(g, inner, axes);
  unsigned is_kept = 0;
  for (uint32_t i = 0; i < count; i++) is_kept |= 1u << axes[i];
  Dims core = {0};
  uint32_t i = 0, k = 0;
  while (i < from.rank || k < to.rank) {
    const uint32_t i0 = i, k0 = k;
    int64_t p = 1, q = 1;
    if (i < from.rank) p = from.dims[i++];
    if (k < to.rank) q = to.dims[k++];
    while (p != q) {
      if (p < 0 || q < 0 || p == 0 || q == 0) { /* a batch axis or an empty one meets extents of 1 */
        if (p == 1 && i < from.rank) p = from.dims[i++];
        else if (q == 1 && k < to.rank) q = to.dims[k++];
        else return NODE_NONE;
        continue;
      }
      if (p < q) {
        if (i == from.rank || dim_is_batch(from.dims[i])) return NODE_NONE;
        p *= from.dims[i++];
      } else {
        if (k == to.rank || dim_is_batch(to.dims[k])) return NODE_NONE;
        q *= to.dims[k++];
      }
    }
    unsigned group = 0;
    for (uint32_t m = i0; m < i; m++) group |= 1u << m;
    if (!(group & is_kept)) continue; /* repeated as a whole */
    if (group & ~is_kept) {           /* extents of 1 may go along */
      for (uint32_t m = i0; m < i; m++)
        if (!(is_kept >> m & 1) && from.dims[m] != 1) return NODE_NONE;
    }
    for (uint32_t m = k0; m < k; m++) kept[core.rank] = m, core.dims[core.rank++] = to.dims[m];
  }
  return build_broadcast(g, build_reshape(g, x, shape_of(g, &core)), d->shape, kept);
}

Node rule_reshape(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  if (node_shape(g, x).id == d->shape.id) return x;
  if (prim_at(g, x, P_RESHAPE)) return build_reshape(g, node_in(g, x, 0), d->shape);
  return prim_at(g, x, P_BROADCAST) ? reshape_of_broadcast(g, d) : NODE_NONE;
}

/* ---- transpose ---- */

/* transpose(broadcast x) = broadcast(transpose x): the smaller one moves. */
static Node transpose_of_broadcast(Graph *g, const Draft *d) {
  const Node inner = d->in[0];
  int64_t axes[DRAFT_ATTRS], perm[GRAPH_MAX_RANK], out[GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(g, inner, axes);
  uint32_t made = 0;
  for (uint32_t i = 0; i < d->attr_count; i++)
    for (uint32_t k = 0; k < count; k++)
      if (axes[k] == d->attr[i]) perm[made] = k, out[made++] = i;
  return build_broadcast(g, build_transpose(g, node_in(g, inner, 0), perm), d->shape, out);
}

Node rule_transpose(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  const Dims from = *node_dims(g, x);
  bool identity = true, in_order = true; /* in_order: the extents other than 1 */
  int64_t last = -1;
  for (uint32_t i = 0; i < d->attr_count; i++) {
    identity &= d->attr[i] == (int64_t)i;
    if (from.dims[d->attr[i]] == 1) continue;
    in_order &= d->attr[i] > last;
    last = d->attr[i];
  }
  if (identity) return x;
  if (prim_at(g, x, P_TRANSPOSE)) {
    int64_t perm[DRAFT_ATTRS], both[GRAPH_MAX_RANK];
    attr_copy(g, x, perm);
    for (uint32_t i = 0; i < d->attr_count; i++) both[i] = perm[d->attr[i]];
    return build_transpose(g, node_in(g, x, 0), both);
  }
  if (prim_at(g, x, P_BROADCAST)) return transpose_of_broadcast(g, d);
  return in_order ? build_reshape(g, x, d->shape) : NODE_NONE;
}

/* The pairs stay in front, and b's other axes come before a's, both in their order. */
Node rule_transposed_contract(Graph *g, const Draft *d) {
  const Node x = d->in[0], a = node_in(g, x, 0), b = node_in(g, x, 1);
  int64_t attr[DRAFT_ATTRS];
  attr_copy(g, x, attr);
  const Contraction c = contraction_read(attr, node_rank(g, a), node_rank(g, b));
  for (uint32_t i = 0; i < d->attr_count; i++) {
    const uint32_t k = i - c.pairs;
    const uint32_t from = i < c.pairs ? i : k < c.others[1] ? c.pairs + c.others[0] + k : c.pairs + k - c.others[1];
    if (d->attr[i] != (int64_t)from) return NODE_NONE;
  }
  return build_contract(g, b, a, c.pairs, c.pair[1], c.pair[0], c.sums, c.sum[1], c.sum[0]);
}

/* ---- reverse ---- */

/* Axes of extent 1 and repeated ones look the same from either end; two turns are none. */
Node rule_reverse(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  const Dims dims = *node_dims(g, x);
  unsigned turned = 0, useful = 0;
  for (uint32_t i = 0; i < dims.rank; i++) useful |= (dims.dims[i] != 1 ? 1u : 0u) << i;
  if (prim_at(g, x, P_BROADCAST)) {
    unsigned varies = 0;
    for (uint32_t i = 0; i < node_attr_count(g, x); i++) varies |= 1u << node_attr(g, x)[i];
    useful &= varies;
  }
  for (uint32_t i = 0; i < d->attr_count; i++) turned |= 1u << d->attr[i];
  unsigned left = turned & useful;
  Node inner = x;
  if (prim_at(g, x, P_REVERSE)) {
    for (uint32_t i = 0; i < node_attr_count(g, x); i++) left ^= 1u << node_attr(g, x)[i];
    inner = node_in(g, x, 0);
  }
  if (!left) return inner;
  if (left == turned && node_is(inner, x)) return NODE_NONE;
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t count = 0;
  for (uint32_t i = 0; i < dims.rank; i++)
    if (left >> i & 1) axes[count++] = i;
  return build_reverse(g, inner, axes, count);
}
