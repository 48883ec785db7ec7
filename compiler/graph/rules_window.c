/* rules_window.c: windows of index maps and of contractions. */
#include "node.h"

static void whole_slice(const Dims *dims, int64_t *s) {
  for (uint32_t i = 0; i < dims->rank; i++) s[3 * i] = 0, s[3 * i + 1] = dims->dims[i], s[3 * i + 2] = 1;
}

static Node slice_axis(Graph *g, Node x, int64_t axis, int64_t start, int64_t count, int64_t step) {
  int64_t s[3 * GRAPH_MAX_RANK];
  whole_slice(node_dims(g, x), s);
  s[3 * axis] = start, s[3 * axis + 1] = count, s[3 * axis + 2] = step;
  return build_slice(g, x, s);
}

static Node pad_axis(Graph *g, Node x, int64_t axis, int64_t low, int64_t high, int64_t between) {
  int64_t p[3 * GRAPH_MAX_RANK] = {0};
  p[3 * axis] = low, p[3 * axis + 1] = high, p[3 * axis + 2] = between;
  return build_pad(g, x, p);
}

/* The same below windows of other axes: what is padded once is smaller than its windows. */
static Node pad_below_windows(Graph *g, Node x, int64_t axis, int64_t low, int64_t high) {
  int64_t w[DRAFT_ATTRS];
  if (node_prim(g, x) != P_WINDOW) return pad_axis(g, x, axis, low, high, 0);
  attr_copy(g, x, w);
  if (axis == w[0] || axis == w[0] + 1) return pad_axis(g, x, axis, low, high, 0);
  const Node in = pad_below_windows(g, node_in(g, x, 0), axis < w[0] ? axis : axis - 1, low, high);
  return build_window(g, in, w[0], w[1], w[2], w[3], w[4]);
}

/* ---- window ---- */

static Node window_of_broadcast(Graph *g, const Draft *d) {
  int64_t axes[DRAFT_ATTRS], out[GRAPH_MAX_RANK];
  const Node x = node_in(g, d->in[0], 0);
  const uint32_t count = attr_copy(g, d->in[0], axes);
  const int64_t axis = d->attr[0];
  int64_t own = -1;
  for (uint32_t i = 0; i < count; i++) own = axes[i] == axis ? i : own;
  uint32_t made = 0;
  for (uint32_t i = 0; i < count; i++) {
    out[made++] = axes[i] <= axis ? axes[i] : axes[i] + 1;
    if (i == own) out[made++] = axis + 1;
  }
  const Node inner = own < 0 ? x : build_window(g, x, own, d->attr[1], d->attr[2], d->attr[3], d->attr[4]);
  return build_broadcast(g, inner, d->shape, out);
}

Node rule_window(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  const int64_t axis = d->attr[0], count = d->attr[1], taps = d->attr[2], stride = d->attr[3];
  if (node_prim(g, x) == P_BROADCAST) return window_of_broadcast(g, d);
  if (taps == 1) return build_reshape(g, slice_axis(g, x, axis, 0, count, stride), d->shape);
  if (count == 1) return build_reshape(g, slice_axis(g, x, axis, 0, taps, d->attr[4]), d->shape);
  if (stride != taps || d->attr[4] != 1) return NODE_NONE;
  return build_reshape(g, slice_axis(g, x, axis, 0, count * taps, 1), d->shape);
}

Node rule_slice_of_window(Graph *g, const Draft *d) {
  int64_t w[DRAFT_ATTRS], s[3 * GRAPH_MAX_RANK];
  const Node x = node_in(g, d->in[0], 0);
  const Dims dims = *node_dims(g, x);
  attr_copy(g, d->in[0], w);
  const int64_t axis = w[0], *o = d->attr + 3 * axis, *k = o + 3;
  if (!o[1] || !k[1]) return NODE_NONE;
  whole_slice(&dims, s);
  for (uint32_t i = 0; i < dims.rank; i++)
    if (i != axis) memcpy(s + 3 * i, d->attr + 3 * (i < axis ? i : i + 1), 3 * sizeof *s);
  const int64_t stride = w[3] * o[2], dilation = w[4] * k[2];
  s[3 * axis] = o[0] * w[3] + k[0] * w[4];
  s[3 * axis + 1] = (o[1] - 1) * stride + (k[1] - 1) * dilation + 1;
  return build_window(g, build_slice(g, x, s), axis, o[1], k[1], stride, dilation);
}

/* ---- slices of contractions ---- */

/* Where the sliced axes of a contraction lie in its operands. */
static void operand_slices(const Graph *g, Node contract, const int64_t *attr, int64_t s[2][3 * GRAPH_MAX_RANK],
                           Contraction *c) {
  int64_t own[DRAFT_ATTRS];
  const Node in[2] = {node_in(g, contract, 0), node_in(g, contract, 1)};
  attr_copy(g, contract, own);
  *c = contraction_read(own, node_rank(g, in[0]), node_rank(g, in[1]));
  for (int side = 0; side < 2; side++) {
    whole_slice(node_dims(g, in[side]), s[side]);
    for (uint32_t i = 0; i < c->pairs; i++) memcpy(s[side] + 3 * c->pair[side][i], attr + 3 * i, 3 * sizeof *attr);
    const uint32_t first = c->pairs + (side ? c->others[0] : 0);
    for (uint32_t i = 0; i < c->others[side]; i++)
      memcpy(s[side] + 3 * c->other[side][i], attr + 3 * (first + i), 3 * sizeof *attr);
  }
}

static Node slice_contract(Graph *g, Node contract, const int64_t *attr) {
  int64_t s[2][3 * GRAPH_MAX_RANK];
  Contraction c;
  const Node in[2] = {node_in(g, contract, 0), node_in(g, contract, 1)};
  operand_slices(g, contract, attr, s, &c);
  return contraction_build(g, build_slice(g, in[0], s[0]), build_slice(g, in[1], s[1]), &c);
}

/* Does the slice cut the windows' axis of an operand that is made of windows? Other slices stay: what else reads the
 * contraction would have it computed twice. */
Node rule_slice_of_contract(Graph *g, const Draft *d) {
  int64_t s[2][3 * GRAPH_MAX_RANK];
  Contraction c;
  operand_slices(g, d->in[0], d->attr, s, &c);
  for (int side = 0; side < 2; side++) {
    const Node in = node_in(g, d->in[0], (uint32_t)side);
    if (node_prim(g, in) != P_WINDOW) continue;
    for (uint32_t i = 0; i < node_rank(g, in); i++)
      if (s[side][3 * i + 1] != node_dims(g, in)->dims[i]) return slice_contract(g, d->in[0], d->attr);
  }
  return NODE_NONE;
}

/* A slice along one axis, of a contraction's operands where there is one. */
static Node slice_through(Graph *g, Node x, int64_t axis, int64_t start, int64_t count, int64_t step) {
  int64_t perm[DRAFT_ATTRS], s[3 * GRAPH_MAX_RANK];
  if (node_prim(g, x) == P_TRANSPOSE) {
    attr_copy(g, x, perm);
    return build_transpose(g, slice_through(g, node_in(g, x, 0), perm[axis], start, count, step), perm);
  }
  if (node_prim(g, x) != P_CONTRACT) return slice_axis(g, x, axis, start, count, step);
  whole_slice(node_dims(g, x), s);
  s[3 * axis] = start, s[3 * axis + 1] = count, s[3 * axis + 2] = step;
  return slice_contract(g, x, s);
}

/* ---- unwindow ---- */

Node rule_unwindow(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  const Dims from = *node_dims(g, x);
  const int64_t axis = d->attr[0], extent = d->attr[1], stride = d->attr[2], dilation = d->attr[3];
  const int64_t count = from.dims[axis], taps = from.dims[axis + 1];
  double value;
  if (node_constant(g, x, &value) && value == 0) return build_full(g, d->type, 0, d->shape);
  if (taps == 1 || count == 1) { /* the only tap of each, or the only window */
    const int64_t between = taps == 1 ? stride - 1 : dilation - 1, size = taps == 1 ? count : taps;
    const int64_t drop = taps == 1 ? axis + 1 : axis;
    return pad_axis(g, drop_axes(g, x, &drop, 1), axis, 0, extent - ((size - 1) * (between + 1) + 1), between);
  }
  if (stride != taps || dilation != 1) return NODE_NONE;
  Dims joined = *shape_dims(g, d->shape);
  joined.dims[axis] = count * taps;
  return pad_axis(g, build_reshape(g, x, shape_of(g, &joined)), axis, 0, extent - count * taps, 0);
}

/* The results for r = 0 .. stride - 1 side by side on an axis of their own, which is the inner one of two. */
Node rule_unwindow_strided(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  const Dims from = *node_dims(g, x);
  const int64_t axis = d->attr[0], extent = d->attr[1], stride = d->attr[2], taps = from.dims[axis + 1];
  const int64_t each = (extent + stride - 1) / stride;
  enum { MOST = 16 };
  Node parts[MOST];
  if (stride > MOST || node_rank(g, x) > GRAPH_MAX_RANK) return NODE_NONE;
  Dims apart = *shape_dims(g, d->shape), joined = apart;
  apart.rank++;
  for (uint32_t i = apart.rank - 1; i > axis + 1; i--) apart.dims[i] = apart.dims[i - 1];
  apart.dims[axis] = each, apart.dims[axis + 1] = 1, joined.dims[axis] = each * stride;
  for (int64_t r = 0; r < stride; r++) {
    if (r >= taps) {
      parts[r] = build_full(g, d->type, 0, shape_of(g, &apart));
      continue;
    }
    const Node y = slice_through(g, x, axis + 1, r, (taps - 1 - r) / stride + 1, stride);
    parts[r] = build_reshape(g, build_unwindow(g, y, axis, each, 1, 1), shape_of(g, &apart));
  }
  const Node all = build_concat(g, parts, (uint32_t)stride, axis + 1);
  return slice_axis(g, build_reshape(g, all, shape_of(g, &joined)), axis, 0, extent, 1);
}

/* Where the windows' axis is the one operand's own and the taps' the other's: `side` the one of the windows. */
typedef struct {
  Contraction c;
  Node in[2];
  int64_t place[GRAPH_MAX_RANK]; /* of each axis of the contraction in what is unwound */
  int side;
  int64_t o, k; /* the windows' axis of in[side], the taps' of the other */
} Overlap;

/* The axis of the operand that is axis `at` of the result; false where it is a pair. */
static bool own_axis(const Contraction *c, uint32_t at, int *side, int64_t *axis) {
  if (at < c->pairs) return false;
  *side = at - c->pairs >= c->others[0];
  *axis = c->other[*side][at - c->pairs - (*side ? c->others[0] : 0)];
  return true;
}

static bool read_overlap(const Graph *g, const Draft *d, Overlap *v) {
  Node y = d->in[0];
  const uint32_t rank = node_rank(g, y);
  int64_t attr[DRAFT_ATTRS], perm[DRAFT_ATTRS];
  for (uint32_t i = 0; i < rank; i++) perm[i] = i;
  if (node_prim(g, y) == P_TRANSPOSE) attr_copy(g, y, perm), y = node_in(g, y, 0);
  if (node_prim(g, y) != P_CONTRACT) return false;
  for (uint32_t i = 0; i < rank; i++) v->place[perm[i]] = i;
  attr_copy(g, y, attr);
  for (int i = 0; i < 2; i++) v->in[i] = node_in(g, y, (uint32_t)i);
  v->c = contraction_read(attr, node_rank(g, v->in[0]), node_rank(g, v->in[1]));
  int taps;
  if (!own_axis(&v->c, (uint32_t)perm[d->attr[0]], &v->side, &v->o)) return false;
  if (!own_axis(&v->c, (uint32_t)perm[d->attr[0] + 1], &taps, &v->k)) return false;
  return taps != v->side && node_rank(g, v->in[v->side]) < GRAPH_MAX_RANK;
}

Node rule_unwindow_contract(Graph *g, const Draft *d) {
  Overlap v;
  if (!read_overlap(g, d, &v)) return NODE_NONE;
  const int side = v.side, other = 1 - side;
  const int64_t extent = d->attr[1], dilation = d->attr[3];
  const int64_t count = node_dims(g, v.in[side])->dims[v.o], taps = node_dims(g, v.in[other])->dims[v.k];
  const int64_t reach = dilation * (taps - 1);
  Node in[2];
  const Node padded = pad_below_windows(g, v.in[side], v.o, reach, extent - count);
  in[side] = build_window(g, padded, v.o, extent, taps, 1, dilation);
  in[other] = build_reverse(g, v.in[other], &v.k, 1);
  Contraction c = v.c; /* the axes behind the windows' one have moved on by one */
  for (uint32_t i = 0; i < c.pairs; i++) c.pair[side][i] += c.pair[side][i] > v.o;
  for (uint32_t i = 0; i < c.sums; i++) c.sum[side][i] += c.sum[side][i] > v.o;
  c.sum[side][c.sums] = v.o + 1, c.sum[other][c.sums++] = v.k;
  const Node made = contraction_build(g, in[0], in[1], &c);
  /* the result's axes, less the taps': where each belongs */
  int64_t perm[GRAPH_MAX_RANK];
  const uint32_t rank = v.c.pairs + v.c.others[0] + v.c.others[1];
  uint32_t at = 0;
  for (uint32_t i = 0; i < rank; i++) {
    int own = 0;
    int64_t axis = -1;
    if (own_axis(&v.c, i, &own, &axis) && own == other && axis == v.k) continue;
    perm[v.place[i] - (v.place[i] > d->attr[0])] = at++;
  }
  return build_transpose(g, made, perm);
}
