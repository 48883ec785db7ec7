/* prim_contract.c: contraction, the sum of products: matrix products with any batch and any summed axes. */
#include "node.h"

Contraction contraction_read(const int64_t *attr, uint32_t rank_a, uint32_t rank_b) {
  Contraction c = {.pairs = (uint32_t)attr[0], .sums = (uint32_t)attr[1]};
  const int64_t *at = attr + 2;
  for (int side = 0; side < 2; side++, at += c.pairs) memcpy(c.pair[side], at, c.pairs * sizeof *at);
  for (int side = 0; side < 2; side++, at += c.sums) memcpy(c.sum[side], at, c.sums * sizeof *at);
  for (int side = 0; side < 2; side++) {
    int64_t used[2 * GRAPH_MAX_RANK];
    memcpy(used, c.pair[side], c.pairs * sizeof *used);
    memcpy(used + c.pairs, c.sum[side], c.sums * sizeof *used);
    c.others[side] = axes_others(side ? rank_b : rank_a, used, c.pairs + c.sums, c.other[side]);
  }
  return c;
}

Node contraction_build(Graph *g, Node a, Node b, const Contraction *c) {
  return build_contract(g, a, b, c->pairs, c->pair[0], c->pair[1], c->sums, c->sum[0], c->sum[1]);
}

Node build_contract(Graph *g, Node a, Node b, uint32_t nb, const int64_t *ab, const int64_t *bb, uint32_t nk,
                    const int64_t *ak, const int64_t *bk) {
  int64_t attr[2 + 4 * GRAPH_MAX_RANK] = {nb, nk};
  const int64_t *lists[4] = {ab, bb, ak, bk};
  uint32_t count = 2;
  for (int k = 0; k < 4; k++)
    for (uint32_t i = 0; i < (k < 2 ? nb : nk); i++) attr[count++] = lists[k][i];
  const Node in[2] = {a, b};
  return build_any(g, P_CONTRACT, node_type(g, a), (Shape){0}, in, 2, attr, count);
}

static bool axes_fit(const int64_t *pair, uint32_t pairs, const int64_t *sum, uint32_t sums, uint32_t rank) {
  unsigned seen = 0;
  for (uint32_t i = 0; i < pairs + sums; i++) {
    const int64_t axis = i < pairs ? pair[i] : sum[i - pairs];
    if (axis < 0 || axis >= rank || (seen >> axis & 1)) return false;
    seen |= 1u << axis;
  }
  return true;
}

/* The order of the summed pairs has no meaning: ascending by a's axes, so that equal contractions are shared. */
static void sort_sums(int64_t *ak, int64_t *bk, uint32_t count) {
  for (uint32_t i = 1; i < count; i++)
    for (uint32_t k = i; k > 0 && ak[k] < ak[k - 1]; k--) {
      const int64_t a = ak[k], b = bk[k];
      ak[k] = ak[k - 1], bk[k] = bk[k - 1];
      ak[k - 1] = a, bk[k - 1] = b;
    }
}

Node make_contract(Graph *g, const Draft *d) {
  const Dims a = *node_dims(g, d->in[0]), b = *node_dims(g, d->in[1]);
  DRAFT_CHECK(g, d, d->attr_count >= 2 && d->attr[0] >= 0 && d->attr[1] >= 0);
  DRAFT_CHECK(g, d, d->attr_count == 2 + 2 * d->attr[0] + 2 * d->attr[1]);
  DRAFT_CHECK(g, d, node_type(g, d->in[0]) != TYPE_BOOL && node_type(g, d->in[0]) == node_type(g, d->in[1]));
  Draft own = *d;
  const int64_t nb = d->attr[0], nk = d->attr[1];
  int64_t *ab = own.attr + 2, *bb = ab + nb, *ak = bb + nb, *bk = ak + nk;
  DRAFT_CHECK(g, d, axes_fit(ab, nb, ak, nk, a.rank) && axes_fit(bb, nb, bk, nk, b.rank));
  for (int64_t i = 0; i < nb; i++) DRAFT_CHECK(g, d, a.dims[ab[i]] == b.dims[bb[i]]);
  for (int64_t i = 0; i < nk; i++) DRAFT_CHECK(g, d, a.dims[ak[i]] == b.dims[bk[i]]);
  sort_sums(ak, bk, nk);
  const Contraction c = contraction_read(own.attr, a.rank, b.rank);
  DRAFT_CHECK(g, d, c.pairs + c.others[0] + c.others[1] <= GRAPH_MAX_RANK);
  Dims to = {0};
  for (uint32_t i = 0; i < c.pairs; i++) to.dims[to.rank++] = a.dims[c.pair[0][i]];
  for (uint32_t i = 0; i < c.others[0]; i++) to.dims[to.rank++] = a.dims[c.other[0][i]];
  for (uint32_t i = 0; i < c.others[1]; i++) to.dims[to.rank++] = b.dims[c.other[1][i]];
  own.type = contraction_type(node_type(g, d->in[0])), own.shape = shape_of(g, &to);
  return draft_finish(g, &own);
}

/* By a: g with b, over b's other axes. By b: a with g, over a's other axes. What comes out has the pairs, then the
 * operand's other axes (from g) and its summed axes (from the other operand, in that one's order) in some order; a
 * transpose brings them to the operand's. */
Node derive_contract(Graph *graph, Node node, Node g, uint32_t i) {
  const Node in[2] = {node_in(graph, node, 0), node_in(graph, node, 1)};
  int64_t attr[DRAFT_ATTRS], g_pair[GRAPH_MAX_RANK], g_sum[GRAPH_MAX_RANK], perm[GRAPH_MAX_RANK];
  attr_copy(graph, node, attr);
  const Contraction c = contraction_read(attr, node_rank(graph, in[0]), node_rank(graph, in[1]));
  const uint32_t from = 1 - i, rank = node_rank(graph, in[i]); /* the other operand */
  const uint32_t g_first = c.pairs + (i == 0 ? c.others[0] : 0); /* where `from`'s other axes lie in g */
  for (uint32_t k = 0; k < c.pairs; k++) g_pair[k] = k;
  for (uint32_t k = 0; k < c.others[from]; k++) g_sum[k] = g_first + k;
  Node made;
  if (i == 0) made = build_contract(graph, g, in[1], c.pairs, g_pair, c.pair[1], c.others[1], g_sum, c.other[1]);
  else made = build_contract(graph, in[0], g, c.pairs, c.pair[0], g_pair, c.others[0], c.other[0], g_sum);
  for (uint32_t k = 0; k < c.pairs; k++) perm[c.pair[i][k]] = k;
  const uint32_t own_first = c.pairs + (i == 0 ? 0 : c.sums), sum_first = c.pairs + (i == 0 ? c.others[0] : 0);
  for (uint32_t k = 0; k < c.others[i]; k++) perm[c.other[i][k]] = own_first + k;
  for (uint32_t k = 0; k < c.sums; k++) {
    uint32_t place = 0; /* of this summed axis among the other operand's, by axis */
    for (uint32_t m = 0; m < c.sums; m++) place += c.sum[from][m] < c.sum[from][k];
    perm[c.sum[i][k]] = sum_first + place;
  }
  return rank ? build_transpose(graph, made, perm) : made;
}
