/* rules_gather.c: contractions whose operand is made of rows or of parts. */
#include "node.h"

enum { MOST_PARTS = 4, BATCH_COUNT = 64 /* what an unknown batch extent counts as */ };

/* Elements of the axes from `from` on. */
static double count_of(const Dims *d) {
  double n = 1;
  for (uint32_t i = 0; i < d->rank; i++) n *= dim_is_batch(d->dims[i]) ? BATCH_COUNT : (double)d->dims[i];
  return n;
}

/* Does the contraction sum over columns alone of an operand that repeats rows of a smaller table? */
static bool is_of_rows(const Graph *g, Node n, const Contraction *c, int side) {
  if (node_prim(g, n) != P_GATHER || node_attr(g, n)[0] != 0 || c->pairs) return false;
  const Dims *index = node_dims(g, node_in(g, n, 1));
  for (uint32_t i = 0; i < c->sums; i++)
    if (c->sum[side][i] < index->rank) return false;
  return (double)node_dims(g, node_in(g, n, 0))->dims[0] < count_of(index);
}

Node rule_contract_gathered(Graph *g, const Draft *d) {
  const Contraction c = contraction_read(d->attr, node_rank(g, d->in[0]), node_rank(g, d->in[1]));
  const int side = is_of_rows(g, d->in[0], &c, 0) ? 0 : 1;
  if (side && !is_of_rows(g, d->in[1], &c, 1)) return NODE_NONE;
  const Node rows = d->in[side], other = d->in[1 - side], index = node_in(g, rows, 1);
  const uint32_t places = node_rank(g, index);
  Contraction small = {.sums = c.sums};
  for (uint32_t i = 0; i < c.sums; i++) small.sum[0][i] = c.sum[side][i] - places + 1, small.sum[1][i] = c.sum[1 - side][i];
  const Node made = build_gather(g, contraction_build(g, node_in(g, rows, 0), other, &small), index, 0);
  if (!side) return made;
  int64_t perm[GRAPH_MAX_RANK]; /* the other operand's axes first */
  const uint32_t rank = node_rank(g, made), first = c.others[0];
  for (uint32_t i = 0; i < rank; i++) perm[i] = i < first ? rank - first + i : i - first;
  return build_transpose(g, made, perm);
}

/* Computed anew in one place: written where the whole is wanted, nothing is gained by products of the parts alone. */
static bool parts_are_made(const Graph *g, Node parts) {
  for (uint32_t i = 0; i < node_data(g, parts)->count; i++)
    if (!node_has(g, node_in(g, parts, i), K_ELEMENTWISE)) return false;
  return node_data(g, parts)->count > 2;
}

/* The side that is a concat of a few parts along a summed axis, or -1; *sum: which of the sums. */
static int side_of_parts(const Graph *g, const Draft *d, const Contraction *c, uint32_t *sum) {
  for (int side = 0; side < 2; side++) {
    const Node n = d->in[side];
    if (node_prim(g, n) != P_CONCAT || node_data(g, n)->count > MOST_PARTS || parts_are_made(g, n)) continue;
    for (*sum = 0; *sum < c->sums; ++*sum)
      if (c->sum[side][*sum] == node_attr(g, n)[0]) return side;
  }
  return -1;
}

Node rule_contract_concat(Graph *g, const Draft *d) {
  const Contraction c = contraction_read(d->attr, node_rank(g, d->in[0]), node_rank(g, d->in[1]));
  uint32_t sum;
  const int side = side_of_parts(g, d, &c, &sum);
  if (side < 0) return NODE_NONE;
  const Node parts = d->in[side], other = d->in[1 - side];
  const Dims whole = *node_dims(g, other);
  const int64_t axis = c.sum[1 - side][sum];
  int64_t slice[3 * GRAPH_MAX_RANK], start = 0;
  for (uint32_t i = 0; i < whole.rank; i++) slice[3 * i] = 0, slice[3 * i + 1] = whole.dims[i], slice[3 * i + 2] = 1;
  Node total = NODE_NONE;
  for (uint32_t i = 0; i < node_data(g, parts)->count; i++) {
    const Node part = node_in(g, parts, i);
    slice[3 * axis] = start, slice[3 * axis + 1] = node_dims(g, part)->dims[c.sum[side][sum]];
    start += slice[3 * axis + 1];
    const Node own = build_slice(g, other, slice);
    const Node made = side ? contraction_build(g, own, part, &c) : contraction_build(g, part, own, &c);
    total = total.id ? build_add(g, total, made) : made;
  }
  return total;
}
