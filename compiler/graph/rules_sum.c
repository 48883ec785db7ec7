/* rules_sum.c: reductions and contractions of index maps. */
#include "node.h"

static bool prim_at(const Graph *g, Node n, Prim prim) { return node_prim(g, n) == prim; }

/* ---- reductions ---- */

Node rule_reduce_empty(Graph *g, const Draft *d) {
  const Dims dims = *node_dims(g, d->in[0]);
  bool empty = false;
  for (uint32_t i = 0; i < d->attr_count; i++) empty |= dims.dims[d->attr[i]] == 0;
  if (!empty || (d->prim != P_SUM && d->prim != P_PROD && !type_is_float(d->type))) return NODE_NONE;
  const double neutral = d->prim == P_SUM ? 0 : d->prim == P_PROD ? 1 : d->prim == P_RMAX ? -INFINITY : INFINITY;
  return build_full(g, d->type, neutral, d->shape);
}

Node rule_reduce_ones(Graph *g, const Draft *d) {
  const Dims dims = *node_dims(g, d->in[0]);
  int64_t ones[GRAPH_MAX_RANK], rest[GRAPH_MAX_RANK];
  uint32_t one_count = 0, rest_count = 0;
  if (d->prim == P_ARGMAX) return NODE_NONE;
  for (uint32_t i = 0; i < d->attr_count; i++) {
    if (dims.dims[d->attr[i]] == 1) ones[one_count++] = d->attr[i];
    else rest[rest_count++] = d->attr[i] - one_count; /* its number once the ones before it are gone */
  }
  if (!one_count) return NODE_NONE;
  return build_reduce(g, d->prim, drop_axes(g, d->in[0], ones, one_count), rest, rest_count);
}

/* The axes along which x is repeated and that are reduced: a sum multiplies by their extents, an extreme drops them. */
Node rule_reduce_broadcast(Graph *g, const Draft *d) {
  const Node big = d->in[0], x = node_in(g, big, 0);
  const Dims dims = *node_dims(g, big);
  if (d->prim == P_PROD || d->prim == P_ARGMAX) return NODE_NONE;
  int64_t axes[DRAFT_ATTRS], left[GRAPH_MAX_RANK], kept[GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(g, big, axes);
  uint32_t left_count = 0, kept_count = 0;
  Node times = build_const(g, TYPE_F64, 1);
  bool repeated = false;
  for (uint32_t i = 0; i < d->attr_count; i++) {
    uint32_t k = 0;
    while (k < count && axes[k] != d->attr[i]) k++;
    if (k < count) left[left_count++] = k;
    else repeated = true, times = build_mul(g, times, build_extent(g, dims.dims[d->attr[i]]));
  }
  if (!repeated) return NODE_NONE;
  for (uint32_t k = 0, gone = 0, at = 0; k < dims.rank; k++) { /* where x's other axes lie in the result */
    bool reduced = false, own = at < count && axes[at] == k;
    for (uint32_t i = 0; i < d->attr_count; i++) reduced |= d->attr[i] == k;
    if (own && !reduced) kept[kept_count++] = k - gone;
    at += own, gone += reduced;
  }
  Node made = build_reduce(g, d->prim, x, left, left_count);
  if (d->prim == P_SUM) made = build_mul(g, made, build_cast(g, times, d->type));
  return build_broadcast(g, made, d->shape, kept);
}

Node rule_sum_of_sum(Graph *g, const Draft *d) {
  const Node inner = d->in[0], x = node_in(g, inner, 0);
  const Dims dims = *node_dims(g, x);
  int64_t axes[DRAFT_ATTRS] = {0}, kept[GRAPH_MAX_RANK];
  unsigned reduced = 0, batch[2] = {0}, known[2] = {0};
  const uint32_t count = attr_copy(g, inner, axes);
  axes_others(dims.rank, axes, count, kept);
  for (uint32_t i = 0; i < count; i++) reduced |= 1u << axes[i], (dim_is_batch(dims.dims[axes[i]]) ? batch : known)[0]++;
  for (uint32_t i = 0; i < d->attr_count; i++) {
    const int64_t axis = kept[d->attr[i]];
    reduced |= 1u << axis, (dim_is_batch(dims.dims[axis]) ? batch : known)[1]++;
  }
  if ((batch[0] || batch[1]) && (known[0] || known[1])) return NODE_NONE;
  uint32_t all = 0;
  for (uint32_t i = 0; i < dims.rank; i++)
    if (reduced >> i & 1) axes[all++] = i;
  return build_reduce(g, P_SUM, x, axes, all);
}

static void sort_axes(int64_t *axes, uint32_t count) {
  for (uint32_t i = 1; i < count; i++)
    for (uint32_t k = i; k > 0 && axes[k] < axes[k - 1]; k--) {
      const int64_t swap = axes[k];
      axes[k] = axes[k - 1], axes[k - 1] = swap;
    }
}

/* The permutation that brings `wanted` (places in ascending order of something) about: wanted[i]'s rank. */
static void ranks(const int64_t *wanted, uint32_t count, int64_t *rank) {
  for (uint32_t i = 0; i < count; i++) {
    rank[i] = 0;
    for (uint32_t k = 0; k < count; k++) rank[i] += wanted[k] < wanted[i];
  }
}

Node rule_reduce_transposed(Graph *g, const Draft *d) {
  int64_t perm[DRAFT_ATTRS], axes[GRAPH_MAX_RANK], kept[GRAPH_MAX_RANK], order[GRAPH_MAX_RANK];
  const uint32_t rank = attr_copy(g, d->in[0], perm);
  const uint32_t left = axes_others(rank, d->attr, d->attr_count, kept);
  for (uint32_t i = 0; i < d->attr_count; i++) axes[i] = perm[d->attr[i]];
  for (uint32_t i = 0; i < left; i++) kept[i] = perm[kept[i]];
  sort_axes(axes, d->attr_count);
  ranks(kept, left, order);
  const Node made = build_reduce(g, d->prim, node_in(g, d->in[0], 0), axes, d->attr_count);
  return left ? build_transpose(g, made, order) : made;
}

/* Padding along summed axes is dropped; along the others it stays, behind the sum. */
Node rule_sum_of_pad(Graph *g, const Draft *d) {
  const Node x = node_in(g, d->in[0], 0);
  int64_t p[DRAFT_ATTRS], kept[GRAPH_MAX_RANK], around[3 * GRAPH_MAX_RANK];
  const uint32_t rank = attr_copy(g, d->in[0], p) / 3;
  const uint32_t left = axes_others(rank, d->attr, d->attr_count, kept);
  bool padded = false;
  for (uint32_t i = 0; i < d->attr_count; i++)
    for (int k = 0; k < 3; k++) padded |= p[3 * d->attr[i] + k] != 0;
  if (!padded) return NODE_NONE;
  for (uint32_t i = 0; i < left; i++) memcpy(around + 3 * i, p + 3 * kept[i], 3 * sizeof *p);
  return build_pad(g, build_reduce(g, P_SUM, x, d->attr, d->attr_count), around);
}

/* ---- contraction ---- */

static Contraction read_draft(const Graph *g, const Draft *d) {
  return contraction_read(d->attr, node_rank(g, d->in[0]), node_rank(g, d->in[1]));
}

/* An axis's number once `gone` (a set) are dropped. */
static int64_t without(int64_t axis, unsigned gone) { return axis - __builtin_popcount(gone & ((1u << axis) - 1)); }

Node rule_contract_ones(Graph *g, const Draft *d) {
  Contraction c = read_draft(g, d);
  const Dims a = *node_dims(g, d->in[0]);
  int64_t ones[2][GRAPH_MAX_RANK];
  unsigned gone[2] = {0};
  uint32_t count = 0, left = 0;
  for (uint32_t i = 0; i < c.sums; i++) {
    const bool one = a.dims[c.sum[0][i]] == 1;
    for (int side = 0; side < 2; side++) {
      if (one) ones[side][count] = c.sum[side][i], gone[side] |= 1u << c.sum[side][i];
      else c.sum[side][left] = c.sum[side][i];
    }
    one ? count++ : left++;
  }
  if (!count) return NODE_NONE;
  c.sums = left;
  for (int side = 0; side < 2; side++) {
    for (uint32_t i = 0; i < c.pairs; i++) c.pair[side][i] = without(c.pair[side][i], gone[side]);
    for (uint32_t i = 0; i < c.sums; i++) c.sum[side][i] = without(c.sum[side][i], gone[side]);
  }
  return contraction_build(g, drop_axes(g, d->in[0], ones[0], count), drop_axes(g, d->in[1], ones[1], count), &c);
}

Node rule_contract_product(Graph *g, const Draft *d) {
  const Contraction c = read_draft(g, d);
  Node made[2];
  for (int side = 0; side < 2; side++) {
    int64_t perm[GRAPH_MAX_RANK], axes[GRAPH_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t i = 0; i < c.pairs; i++) perm[count] = c.pair[side][i], axes[count++] = i;
    for (uint32_t i = 0; i < c.others[side]; i++) {
      perm[count] = c.other[side][i];
      axes[count++] = c.pairs + (side ? c.others[0] : 0) + i;
    }
    const Node x = count ? build_transpose(g, d->in[side], perm) : d->in[side];
    made[side] = build_broadcast(g, x, d->shape, axes);
  }
  return build_mul(g, made[0], made[1]);
}

/* Axis i of transpose(x, perm) is x's axis perm[i]. The result's other axes come in x's order then; a transpose of the
 * result puts them as they were. */
Node rule_contract_transposed(Graph *g, const Draft *d) {
  Contraction c = read_draft(g, d);
  Node in[2] = {d->in[0], d->in[1]};
  int64_t back[GRAPH_MAX_RANK];
  const uint32_t rank = c.pairs + c.others[0] + c.others[1];
  for (uint32_t i = 0; i < rank; i++) back[i] = i;
  for (int side = 0; side < 2; side++) {
    if (!prim_at(g, in[side], P_TRANSPOSE)) continue;
    int64_t perm[DRAFT_ATTRS], moved[GRAPH_MAX_RANK];
    attr_copy(g, in[side], perm);
    in[side] = node_in(g, in[side], 0);
    for (uint32_t i = 0; i < c.pairs; i++) c.pair[side][i] = perm[c.pair[side][i]];
    for (uint32_t i = 0; i < c.sums; i++) c.sum[side][i] = perm[c.sum[side][i]];
    for (uint32_t i = 0; i < c.others[side]; i++) moved[i] = perm[c.other[side][i]];
    const uint32_t first = c.pairs + (side ? c.others[0] : 0);
    ranks(moved, c.others[side], back + first);
    for (uint32_t i = 0; i < c.others[side]; i++) back[first + i] += first;
  }
  const Node made = contraction_build(g, in[0], in[1], &c);
  return rank ? build_transpose(g, made, back) : made;
}

/* a = broadcast(x): of a's repeated axes, summed ones are summed in b; paired ones become b's own; others are repeated
 * in the result. */
static Node contract_repeated(Graph *g, Node a, Node b, const Contraction *c, Shape shape) {
  int64_t axes[DRAFT_ATTRS], sums[GRAPH_MAX_RANK], place[GRAPH_MAX_RANK];
  const Node x = node_in(g, a, 0);
  const uint32_t count = attr_copy(g, a, axes);
  unsigned gone = 0, summed = 0;
  for (uint32_t i = 0; i < node_rank(g, a); i++) gone |= 1u << i;
  for (uint32_t i = 0; i < count; i++) gone &= ~(1u << axes[i]);
  Contraction n = {0};
  uint32_t sum_count = 0;
  for (uint32_t i = 0; i < c->sums; i++) {
    if (gone >> c->sum[0][i] & 1) {
      summed |= 1u << c->sum[1][i];
      continue;
    }
    n.sum[0][n.sums] = without(c->sum[0][i], gone), n.sum[1][n.sums++] = c->sum[1][i];
  }
  for (uint32_t i = 0; i < node_rank(g, b); i++)
    if (summed >> i & 1) sums[sum_count++] = i;
  for (uint32_t i = 0; i < n.sums; i++) n.sum[1][i] = without(n.sum[1][i], summed);
  for (uint32_t i = 0; i < c->pairs; i++) {
    if (gone >> c->pair[0][i] & 1) continue;
    n.pair[0][n.pairs] = without(c->pair[0][i], gone), n.pair[1][n.pairs++] = without(c->pair[1][i], summed);
  }
  const Node less = build_reduce(g, P_SUM, b, sums, sum_count);
  const Node made = contraction_build(g, x, less, &n);
  /* Where each axis of `made` belongs: pairs, x's others, b's others with the pairs that x did not vary along. */
  uint32_t at = 0;
  for (uint32_t i = 0; i < c->pairs; i++)
    if (!(gone >> c->pair[0][i] & 1)) place[at++] = i;
  for (uint32_t i = 0; i < c->others[0]; i++)
    if (!(gone >> c->other[0][i] & 1)) place[at++] = c->pairs + i;
  for (uint32_t axis = 0; axis < node_rank(g, b); axis++) {
    for (uint32_t i = 0; i < c->pairs; i++)
      if (c->pair[1][i] == axis && (gone >> c->pair[0][i] & 1)) place[at++] = i;
    for (uint32_t i = 0; i < c->others[1]; i++)
      if (c->other[1][i] == axis) place[at++] = c->pairs + c->others[0] + i;
  }
  int64_t rank_of[GRAPH_MAX_RANK], perm[GRAPH_MAX_RANK], sorted[GRAPH_MAX_RANK];
  ranks(place, at, rank_of);
  for (uint32_t i = 0; i < at; i++) perm[rank_of[i]] = i, sorted[rank_of[i]] = place[i];
  return build_broadcast(g, at ? build_transpose(g, made, perm) : made, shape, sorted);
}

Node rule_contract_broadcast(Graph *g, const Draft *d) {
  const Contraction c = read_draft(g, d);
  if (prim_at(g, d->in[0], P_BROADCAST)) return contract_repeated(g, d->in[0], d->in[1], &c, d->shape);
  /* As contract(b, a), whose result has the operands' blocks the other way round. */
  Contraction swapped = {.pairs = c.pairs, .sums = c.sums, .others = {c.others[1], c.others[0]}};
  Dims dims = {.rank = 0};
  int64_t back[GRAPH_MAX_RANK];
  for (int side = 0; side < 2; side++) {
    memcpy(swapped.pair[side], c.pair[1 - side], sizeof c.pair[0]);
    memcpy(swapped.sum[side], c.sum[1 - side], sizeof c.sum[0]);
    memcpy(swapped.other[side], c.other[1 - side], sizeof c.other[0]);
  }
  const Dims out = *shape_dims(g, d->shape);
  for (uint32_t i = 0; i < c.pairs; i++) back[i] = i, dims.dims[dims.rank++] = out.dims[i];
  for (uint32_t i = 0; i < c.others[1]; i++) dims.dims[dims.rank++] = out.dims[c.pairs + c.others[0] + i];
  for (uint32_t i = 0; i < c.others[0]; i++) dims.dims[dims.rank++] = out.dims[c.pairs + i];
  for (uint32_t i = 0; i < c.others[0]; i++) back[c.pairs + i] = c.pairs + c.others[1] + i;
  for (uint32_t i = 0; i < c.others[1]; i++) back[c.pairs + c.others[0] + i] = c.pairs + i;
  const Node made = contract_repeated(g, d->in[1], d->in[0], &swapped, shape_of(g, &dims));
  return dims.rank ? build_transpose(g, made, back) : made;
}
