/* rules_cut.c: how slice, pad and concat compose. */
#include "node.h"

static bool prim_at(const Graph *g, Node n, Prim prim) { return node_prim(g, n) == prim; }

/* ---- slice ---- */

static Node slice_of_slice(Graph *g, const Draft *d) {
  int64_t s[DRAFT_ATTRS];
  const uint32_t count = attr_copy(g, d->in[0], s);
  for (uint32_t i = 0; i < count; i += 3) {
    s[i] += d->attr[i] * s[i + 2];
    s[i + 1] = d->attr[i + 1];
    s[i + 2] *= d->attr[i + 2];
  }
  return build_slice(g, node_in(g, d->in[0], 0), s);
}

static Node slice_of_broadcast(Graph *g, const Draft *d) {
  int64_t axes[DRAFT_ATTRS], s[3 * GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(g, d->in[0], axes);
  for (uint32_t i = 0; i < count; i++) memcpy(s + 3 * i, d->attr + 3 * axes[i], 3 * sizeof *s);
  return build_broadcast(g, build_slice(g, node_in(g, d->in[0], 0), s), d->shape, axes);
}

static Node slice_of_transpose(Graph *g, const Draft *d) {
  int64_t perm[DRAFT_ATTRS], s[3 * GRAPH_MAX_RANK];
  const uint32_t rank = attr_copy(g, d->in[0], perm);
  for (uint32_t i = 0; i < rank; i++) memcpy(s + 3 * perm[i], d->attr + 3 * i, 3 * sizeof *s);
  return build_transpose(g, build_slice(g, node_in(g, d->in[0], 0), s), perm);
}

Node rule_slice(Graph *g, const Draft *d) {
  if (node_shape(g, d->in[0]).id == d->shape.id) return d->in[0]; /* all counts are the extents, so all is kept */
  switch (node_prim(g, d->in[0])) {
  case P_SLICE: return slice_of_slice(g, d);
  case P_BROADCAST: return slice_of_broadcast(g, d);
  case P_TRANSPOSE: return slice_of_transpose(g, d);
  default: return NODE_NONE;
  }
}

/* An axis at a time: the slice undoes the padding exactly, or (both without steps) keeps some of x and some zeros. */
Node rule_slice_of_pad(Graph *g, const Draft *d) {
  const Node x = node_in(g, d->in[0], 0);
  const Dims dims = *node_dims(g, x);
  int64_t p[DRAFT_ATTRS], s[3 * GRAPH_MAX_RANK], rest[3 * GRAPH_MAX_RANK] = {0};
  attr_copy(g, d->in[0], p);
  for (uint32_t i = 0; i < 3 * dims.rank; i += 3) {
    const int64_t n = dims.dims[i / 3], start = d->attr[i], count = d->attr[i + 1];
    s[i] = 0, s[i + 1] = n, s[i + 2] = 1;
    if (dim_is_batch(n)) continue;
    if (start == p[i] && count == n && (n <= 1 || d->attr[i + 2] == p[i + 2] + 1)) continue;
    if (d->attr[i + 2] != 1 || p[i + 2] != 0) return NODE_NONE;
    const int64_t begin = start > p[i] ? start - p[i] : 0, stop = start + count - p[i];
    const int64_t end = stop < n ? stop : n;
    if (begin >= end) return build_full(g, d->type, 0, d->shape); /* zeros alone */
    s[i] = begin, s[i + 1] = end - begin;
    rest[i] = begin + p[i] - start;
    rest[i + 1] = count - rest[i] - s[i + 1];
  }
  return build_pad(g, build_slice(g, x, s), rest);
}

Node rule_slice_of_concat(Graph *g, const Draft *d) {
  const int64_t axis = node_attr(g, d->in[0])[0];
  const int64_t *own = d->attr + 3 * axis;
  const int64_t last = own[0] + (own[1] - 1) * own[2];
  int64_t begin = 0;
  if (own[1] == 0) return NODE_NONE;
  for (uint32_t i = 0; i < node_data(g, d->in[0])->count; i++) {
    const Node part = node_in(g, d->in[0], i);
    const int64_t size = node_dims(g, part)->dims[axis];
    if (own[0] >= begin && last < begin + size) {
      int64_t s[DRAFT_ATTRS];
      memcpy(s, d->attr, d->attr_count * sizeof *s);
      s[3 * axis] -= begin;
      return build_slice(g, part, s);
    }
    begin += size;
  }
  return NODE_NONE;
}

/* ---- pad ---- */

static Node pad_of_pad(Graph *g, const Draft *d) {
  int64_t p[DRAFT_ATTRS];
  const uint32_t count = attr_copy(g, d->in[0], p);
  for (uint32_t i = 0; i < count; i += 3) {
    const bool inner_none = !p[i] && !p[i + 1] && !p[i + 2];
    if (!inner_none && d->attr[i + 2]) return NODE_NONE;
    p[i] += d->attr[i], p[i + 1] += d->attr[i + 1];
    if (inner_none) p[i + 2] = d->attr[i + 2];
  }
  return build_pad(g, node_in(g, d->in[0], 0), p);
}

static Node pad_of_broadcast(Graph *g, const Draft *d) {
  int64_t axes[DRAFT_ATTRS], p[3 * GRAPH_MAX_RANK];
  const uint32_t count = attr_copy(g, d->in[0], axes);
  unsigned varies = 0;
  for (uint32_t i = 0; i < count; i++) varies |= 1u << axes[i];
  for (uint32_t i = 0; i < d->attr_count; i++)
    if (d->attr[i] && !(varies >> (i / 3) & 1)) return NODE_NONE;
  for (uint32_t i = 0; i < count; i++) memcpy(p + 3 * i, d->attr + 3 * axes[i], 3 * sizeof *p);
  return build_broadcast(g, build_pad(g, node_in(g, d->in[0], 0), p), d->shape, axes);
}

Node rule_pad(Graph *g, const Draft *d) {
  const Node x = d->in[0];
  double value;
  if (node_shape(g, x).id == d->shape.id) return x;
  if (node_constant(g, x, &value) && value == 0) return build_full(g, d->type, 0, d->shape);
  if (prim_at(g, x, P_PAD)) return pad_of_pad(g, d);
  return prim_at(g, x, P_BROADCAST) ? pad_of_broadcast(g, d) : NODE_NONE;
}

/* The one axis that a plain pad (nothing between) pads; -1 where there are several. */
static int64_t padded_axis(const int64_t *p, uint32_t rank) {
  int64_t axis = -1;
  for (uint32_t i = 0; i < rank; i++) {
    if (p[3 * i + 2]) return -1;
    if (!p[3 * i] && !p[3 * i + 1]) continue;
    if (axis >= 0) return -1;
    axis = i;
  }
  return axis;
}

Node rule_add_pads(Graph *g, const Draft *d) {
  int64_t p[2][DRAFT_ATTRS], axis = 0;
  const Node x[2] = {node_in(g, d->in[0], 0), node_in(g, d->in[1], 0)};
  const uint32_t rank = shape_dims(g, d->shape)->rank;
  for (int i = 0; i < 2; i++) attr_copy(g, d->in[i], p[i]);
  axis = padded_axis(p[0], rank);
  if (axis < 0 || padded_axis(p[1], rank) != axis) return NODE_NONE;
  for (int first = 0; first < 2; first++) {
    const int second = 1 - first;
    if (p[first][3 * axis] + node_dims(g, x[first])->dims[axis] != p[second][3 * axis]) continue;
    const Node parts[2] = {x[first], x[second]};
    int64_t around[3 * GRAPH_MAX_RANK] = {0};
    around[3 * axis] = p[first][3 * axis], around[3 * axis + 1] = p[second][3 * axis + 1];
    return build_pad(g, build_concat(g, parts, 2, axis), around);
  }
  return NODE_NONE;
}

/* ---- concat ---- */

/* Are two slices of one thing, the second where the first ends, and alike along the other axes? Then s is of both. */
static bool neighbours(const Graph *g, Node first, Node second, int64_t axis, int64_t *s) {
  int64_t t[DRAFT_ATTRS];
  if (!prim_at(g, first, P_SLICE) || !prim_at(g, second, P_SLICE)) return false;
  if (!node_is(node_in(g, first, 0), node_in(g, second, 0))) return false;
  const uint32_t count = attr_copy(g, first, s);
  attr_copy(g, second, t);
  for (uint32_t i = 0; i < count; i++)
    if (i / 3 != axis && s[i] != t[i]) return false;
  int64_t *a = s + 3 * axis, *b = t + 3 * axis;
  if (a[2] != 1 || b[2] != 1 || a[0] + a[1] != b[0]) return false;
  a[1] += b[1];
  return true;
}

/* Flattens one level, drops empty parts, joins neighbouring slices. */
Node rule_concat(Graph *g, const Draft *d) {
  enum { MOST = 250 };
  const int64_t axis = d->attr[0];
  Node parts[MOST];
  uint32_t count = 0, inner = 0;
  bool changed = false;
  for (uint32_t i = 0; i < d->count; i++) {
    const bool nested = prim_at(g, d->in[i], P_CONCAT) && node_attr(g, d->in[i])[0] == axis;
    inner += nested ? node_data(g, d->in[i])->count : 1;
  }
  if (inner > MOST) return NODE_NONE;
  for (uint32_t i = 0; i < d->count; i++) {
    const bool nested = prim_at(g, d->in[i], P_CONCAT) && node_attr(g, d->in[i])[0] == axis;
    const uint32_t size = nested ? node_data(g, d->in[i])->count : 1;
    for (uint32_t k = 0; k < size; k++) {
      const Node part = nested ? node_in(g, d->in[i], k) : d->in[i];
      int64_t s[DRAFT_ATTRS];
      if (node_dims(g, part)->dims[axis] == 0 && d->count > 1) {
        changed = true;
      } else if (count && neighbours(g, parts[count - 1], part, axis, s)) {
        parts[count - 1] = build_slice(g, node_in(g, part, 0), s);
        changed = true;
      } else {
        parts[count++] = part;
      }
    }
    changed |= nested;
  }
  if (!count) return d->in[0];
  if (count == 1) return parts[0];
  return changed ? build_concat(g, parts, count, axis) : NODE_NONE;
}
