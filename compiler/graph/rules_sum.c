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
  if (d->prim == P_SUM) made = build_times(g, made, build_cast(g, times, d->type)); /* a mask stays outermost */
  return build_broadcast(g, made, d->shape, kept);
}

/* Where the mask is one and the same along all summed axes. */
Node rule_sum_mask(Graph *g, const Draft *d) {
  const Node mask = node_in(g, d->in[0], 0), taken = node_in(g, d->in[0], 1), zero = node_in(g, d->in[0], 2);
  int64_t axes[DRAFT_ATTRS];
  const uint32_t count = attr_copy(g, mask, axes);
  for (uint32_t k = 0; k < count; k++) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < d->attr_count; i++) {
      if (d->attr[i] == axes[k]) return NODE_NONE;
      before += d->attr[i] < axes[k];
    }
    axes[k] -= before;
  }
  const Node condition = build_broadcast(g, node_in(g, mask, 0), d->shape, axes);
  return build_select(g, condition, build_reduce(g, P_SUM, taken, d->attr, d->attr_count), build_like(g, zero, 0));
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
  return build_mul(g, build_cast(g, made[0], d->type), build_cast(g, made[1], d->type));
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

/* The operand on side `r` is broadcast(x). Of its repeated axes, summed ones are summed in the other operand; paired
 * ones become the other's own; others are repeated in the result. */
typedef struct {
  Contraction c;         /* as it stands */
  int r, o;              /* sides: the repeated operand, the other */
  unsigned gone, summed; /* axes: repeated ones of r; those of o that are summed beforehand */
} Repeated;

/* The contraction of x with the other operand, less its summed axes. */
static Contraction smaller_contraction(const Repeated *p) {
  Contraction n = {0};
  for (uint32_t i = 0; i < p->c.sums; i++) {
    if (p->gone >> p->c.sum[p->r][i] & 1) continue;
    n.sum[p->r][n.sums] = without(p->c.sum[p->r][i], p->gone);
    n.sum[p->o][n.sums++] = without(p->c.sum[p->o][i], p->summed);
  }
  for (uint32_t i = 0; i < p->c.pairs; i++) {
    if (p->gone >> p->c.pair[p->r][i] & 1) continue;
    n.pair[p->r][n.pairs] = without(p->c.pair[p->r][i], p->gone);
    n.pair[p->o][n.pairs++] = without(p->c.pair[p->o][i], p->summed);
  }
  return n;
}

/* Where each axis of the smaller result belongs in the whole one; their number. */
static uint32_t smaller_places(const Repeated *p, uint32_t other_rank, int64_t *place) {
  const Contraction *c = &p->c;
  uint32_t at = 0;
  for (uint32_t i = 0; i < c->pairs; i++)
    if (!(p->gone >> c->pair[p->r][i] & 1)) place[at++] = i;
  for (int side = 0; side < 2; side++) {
    const uint32_t first = c->pairs + (side ? c->others[0] : 0);
    if (side == p->r) {
      for (uint32_t i = 0; i < c->others[side]; i++)
        if (!(p->gone >> c->other[side][i] & 1)) place[at++] = first + i;
      continue;
    }
    for (uint32_t axis = 0; axis < other_rank; axis++) { /* pairs that x does not vary along are its own now */
      for (uint32_t i = 0; i < c->pairs; i++)
        if (c->pair[side][i] == axis && (p->gone >> c->pair[p->r][i] & 1)) place[at++] = i;
      for (uint32_t i = 0; i < c->others[side]; i++)
        if (c->other[side][i] == axis) place[at++] = first + i;
    }
  }
  return at;
}

Node rule_contract_broadcast(Graph *g, const Draft *d) {
  Repeated p = {.c = read_draft(g, d), .r = prim_at(g, d->in[0], P_BROADCAST) ? 0 : 1};
  p.o = 1 - p.r;
  const Node big = d->in[p.r], other = d->in[p.o];
  const uint32_t other_rank = node_rank(g, other);
  int64_t axes[DRAFT_ATTRS], sums[GRAPH_MAX_RANK];
  uint32_t sum_count = 0;
  const uint32_t count = attr_copy(g, big, axes);
  p.gone = (1u << node_rank(g, big)) - 1;
  for (uint32_t i = 0; i < count; i++) p.gone &= ~(1u << axes[i]);
  for (uint32_t i = 0; i < p.c.sums; i++)
    if (p.gone >> p.c.sum[p.r][i] & 1) p.summed |= 1u << p.c.sum[p.o][i];
  for (uint32_t i = 0; i < other_rank; i++)
    if (p.summed >> i & 1) sums[sum_count++] = i;
  const Contraction n = smaller_contraction(&p);
  const Node x = node_in(g, big, 0), less = build_reduce(g, P_SUM, other, sums, sum_count);
  const Node made = p.r == 0 ? contraction_build(g, x, less, &n) : contraction_build(g, less, x, &n);
  int64_t place[GRAPH_MAX_RANK], rank_of[GRAPH_MAX_RANK], perm[GRAPH_MAX_RANK], sorted[GRAPH_MAX_RANK];
  const uint32_t at = smaller_places(&p, other_rank, place);
  ranks(place, at, rank_of);
  for (uint32_t i = 0; i < at; i++) perm[rank_of[i]] = i, sorted[rank_of[i]] = place[i];
  return build_broadcast(g, at ? build_transpose(g, made, perm) : made, d->shape, sorted);
}
