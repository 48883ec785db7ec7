/* random_graph.h: random typed graphs from the table of primitives, for the tests of the oracle, of the passes and of
 * the emitted code. Values are steered: finite, moderate, inside each primitive's range, and away from kinks and ties,
 * so that differences and other orders of sums agree. One maker a row of prims.def: a new row does not compile without.
 *
 *   RandomGraph r = random_graph(&session, seed, TYPE_F64, 20, true);
 *   ... r.g, random_input(&r) ...
 *   random_graph_free(&r);
 */
#ifndef GRADC_RANDOM_GRAPH_H
#define GRADC_RANDOM_GRAPH_H
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "grad.h"
#include "interp.h"

#ifndef RG_SLOTS
#define RG_SLOTS 64
#endif
#define RG_GAP 0.01 /* how far values stay from a kink */

typedef struct RandomGraph {
  uint64_t state; /* of the random numbers: splitmix64 */
  Graph *g;
  double *values[RG_SLOTS]; /* by slot, row-major */
  int64_t batch[4];
  int64_t largest;          /* elements of one tensor */
  Vec(Node) pool;
} RandomGraph;

/* ---- random numbers ---- */

static inline uint64_t rg_bits(RandomGraph *r) {
  uint64_t x = r->state += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
static inline uint32_t rg_below(RandomGraph *r, uint32_t n) { return n ? (uint32_t)((rg_bits(r) >> 32) % n) : 0; }
static inline double rg_real(RandomGraph *r, double low, double high) {
  return low + (high - low) * ((double)(rg_bits(r) >> 11) * 0x1p-53);
}

/* ---- values ---- */

static inline InterpInput random_input(const RandomGraph *r) {
  InterpInput in = {
      .slots = (const double *const *)r->values, .step = 3, .steps = 100, .epoch = 1, .seed = 7, .draw = 5};
  memcpy(in.batch, r->batch, sizeof in.batch);
  return in;
}

static inline int64_t rg_extent(const RandomGraph *r, int64_t dim) {
  return dim_is_batch(dim) ? r->batch[DIM_BATCH - dim] : dim;
}

static inline int64_t rg_size(const RandomGraph *r, const Dims *dims) {
  int64_t size = 1;
  for (uint32_t i = 0; i < dims->rank; i++) size *= rg_extent(r, dims->dims[i]);
  return size;
}

/* The values of a node, to be freed. */
static inline double *rg_values(const RandomGraph *r, Node node, int64_t *count) {
  const InterpInput in = random_input(r);
  Interp *t = interp_new(r->g, &in);
  const double *v = interp_value(t, node, count);
  double *copy = mem_alloc(sizeof *copy * (size_t)(*count + 1));
  if (*count) memcpy(copy, v, sizeof *copy * (size_t)*count);
  interp_free(t);
  return copy;
}

/* Is every value within the range? */
static inline bool rg_within(const RandomGraph *r, Node node, double low, double high) {
  int64_t n;
  double *v = rg_values(r, node, &n);
  bool all = true;
  for (int64_t i = 0; i < n; i++) all = all && v[i] >= low && v[i] <= high;
  free(v);
  return all;
}

/* x where it lies within the range, else brought there smoothly. */
static inline Node rg_into(RandomGraph *r, Node x, double low, double high) {
  if (rg_within(r, x, low, high)) return x;
  const Node half = build_like(r->g, x, (high - low) / 2 * 0.96), middle = build_like(r->g, x, (low + high) / 2);
  return build_add(r->g, build_mul(r->g, build_unary(r->g, P_TANH, x), half), middle);
}

/* Are all values farther than RG_GAP from every multiple of 1/2? There lie the kinks of abs, sign and the roundings. */
static inline bool rg_off_kinks(const RandomGraph *r, Node x) {
  int64_t n;
  double *v = rg_values(r, x, &n);
  bool off = true;
  for (int64_t i = 0; i < n; i++) off = off && fabs(2 * v[i] - nearbyint(2 * v[i])) > 2 * RG_GAP;
  free(v);
  return off;
}

static inline bool rg_apart(const RandomGraph *r, Node a, Node b) {
  int64_t na, nb;
  double *va = rg_values(r, a, &na), *vb = rg_values(r, b, &nb);
  bool apart = true;
  for (int64_t i = 0; i < na || i < nb; i++) apart = apart && fabs(va[na > 1 ? i : 0] - vb[nb > 1 ? i : 0]) > RG_GAP;
  free(va), free(vb);
  return apart;
}

/* Does each group that a reduction makes one value of have one clear winner? */
static inline bool rg_clear_winner(const RandomGraph *r, Node x, const int64_t *axes, uint32_t count, double sign) {
  int64_t n;
  double *v = rg_values(r, x, &n);
  const Dims *dims = node_dims(r->g, x);
  int64_t *group = mem_zero((size_t)n + 1, sizeof *group);
  for (int64_t i = 0; i < n; i++) { /* the element's place without the reduced axes */
    int64_t rest = i, factor = 1;
    for (uint32_t k = dims->rank; k-- > 0;) {
      const int64_t extent = rg_extent(r, dims->dims[k]), at = rest % extent;
      bool reduced = false;
      for (uint32_t j = 0; j < count; j++) reduced = reduced || axes[j] == k;
      if (!reduced) group[i] += at * factor, factor *= extent;
      rest /= extent;
    }
  }
  bool clear = true;
  for (int64_t i = 0; i < n && clear; i++) {
    double best = -INFINITY, second = -INFINITY;
    for (int64_t j = 0; j < n; j++) {
      if (group[j] != group[i]) continue;
      if (sign * v[j] > best)
        second = best, best = sign * v[j];
      else
        second = fmax(second, sign * v[j]);
    }
    clear = best - second > RG_GAP;
  }
  free(v), free(group);
  return clear;
}

/* ---- shapes and slots ---- */

static inline Dims rg_dims(RandomGraph *r) {
  static const int64_t extents[] = {1, 1, 2, 2, 3, 4, 5, 7, 8, 13, 17};
  Dims d = {.rank = rg_below(r, 5)};
  for (uint32_t i = 0; i < d.rank; i++) d.dims[i] = extents[rg_below(r, 11)];
  if (d.rank && rg_below(r, 2)) d.dims[0] = DIM_BATCH;
  if (d.rank > 1 && !rg_below(r, 16)) d.dims[1] = DIM_BATCH - 1;
  while (rg_size(r, &d) > r->largest) d.dims[--d.rank] = 0;
  return d;
}

/* A new slot and its node; floats are drawn from low .. high, integers from 0 .. 4. */
static inline Node rg_slot(RandomGraph *r, SlotKind kind, Type type, const Dims *dims, double low, double high) {
  Text name = {0};
  text_printf(&name, "s%u", r->g->slots.count);
  const uint32_t s =
      graph_add_slot(r->g, (Slot){.kind = kind, .name = name.data, .type = type, .shape = shape_of(r->g, dims)});
  text_free(&name);
  const int64_t n = rg_size(r, dims);
  double *v = r->values[s] = mem_alloc(sizeof *v * (size_t)(n + 1));
  for (int64_t i = 0; i < n; i++) {
    v[i] = type == TYPE_BOOL ? rg_below(r, 2) : type == TYPE_I32 ? rg_below(r, 5) : rg_real(r, low, high);
    if (type == TYPE_F32) v[i] = (double)(float)v[i];
  }
  return build_slot(r->g, s);
}

/* Parameters have no batch. */
static inline Node rg_new_slot(RandomGraph *r, Type type, const Dims *dims) {
  bool batched = type != r->g->float_type;
  for (uint32_t i = 0; i < dims->rank; i++) batched = batched || dim_is_batch(dims->dims[i]);
  const Node n = rg_slot(r, batched ? SLOT_INPUT : SLOT_PARAM, type, dims, -1.5, 1.5);
  vec_push(&r->pool, n);
  return n;
}

static inline bool rg_is_float(const RandomGraph *r, Node n) {
  return node_type(r->g, n) == TYPE_F32 || node_type(r->g, n) == TYPE_F64;
}

/* A node of the pool of that type; the later ones are likelier. Made where there is none. */
static inline Node rg_pick(RandomGraph *r, Type type) {
  for (int tries = 0; tries < 12 && r->pool.count; tries++) {
    const uint32_t a = rg_below(r, r->pool.count), b = rg_below(r, r->pool.count);
    const Node n = r->pool.data[a > b ? a : b];
    if (node_type(r->g, n) == type) return n;
  }
  const Dims dims = rg_dims(r);
  return r->g->slots.count < RG_SLOTS - 24 ? rg_new_slot(r, type, &dims)
                                           : build_full(r->g, type, 1, shape_of(r->g, &dims));
}
static inline Node rg_pick_float(RandomGraph *r) { return rg_pick(r, r->g->float_type); }

/* A node of this type and shape, or a scalar of the type: found, or a new slot. */
static inline Node rg_alike(RandomGraph *r, Type type, Shape shape) {
  for (int tries = 0; tries < 16 && r->pool.count; tries++) {
    const Node n = r->pool.data[rg_below(r, r->pool.count)];
    if (node_type(r->g, n) != type) continue;
    if (node_shape(r->g, n).id == shape.id || (!node_shape(r->g, n).id && tries > 8)) return n;
  }
  if (r->g->slots.count >= RG_SLOTS - 24)
    return build_full(r->g, type, type == TYPE_BOOL ? 1 : rg_real(r, 0, 4), shape);
  const Dims dims = *shape_dims(r->g, shape);
  return rg_new_slot(r, type, &dims);
}

/* Distinct axes, ascending; their number is at least `least`. */
static inline uint32_t rg_axes(RandomGraph *r, uint32_t rank, uint32_t least, int64_t *axes) {
  uint32_t n = 0;
  while (n < least || (rank && !n)) {
    n = 0;
    for (uint32_t i = 0; i < rank; i++) {
      if (rg_below(r, 2)) axes[n++] = i;
    }
    if (!rank) break;
  }
  return n;
}

static inline void rg_permutation(RandomGraph *r, uint32_t n, int64_t *perm) {
  for (uint32_t i = 0; i < n; i++) perm[i] = i;
  for (uint32_t i = n; i > 1; i--) {
    const uint32_t j = rg_below(r, i);
    const int64_t t = perm[i - 1];
    perm[i - 1] = perm[j], perm[j] = t;
  }
}

/* ---- one maker a primitive: NODE_NONE where it does not fit what was drawn. `x`: the first input, or none ---- */

typedef Node RgMake(RandomGraph *r, Prim prim, Node x);

static inline Node rg_make_const(RandomGraph *r, Prim prim, Node x) {
  return build_const(r->g, r->g->float_type, (double)(float)rg_real(r, -2, 2));
}
static inline Node rg_make_slot(RandomGraph *r, Prim prim, Node x) {
  const Dims dims = rg_dims(r);
  return r->g->slots.count < RG_SLOTS - 24 ? rg_slot(r, SLOT_INPUT, r->g->float_type, &dims, -1.5, 1.5) : NODE_NONE;
}
static inline Node rg_make_number(RandomGraph *r, Prim prim, Node x) {
  return build_div(r->g, build_number(r->g, (StepNumber)rg_below(r, 3)), build_const(r->g, TYPE_F64, 64));
}
static inline Node rg_make_extent(RandomGraph *r, Prim prim, Node x) {
  return build_div(r->g, build_extent(r->g, DIM_BATCH - rg_below(r, 2)), build_const(r->g, TYPE_F64, 4));
}
static inline Node rg_make_iota(RandomGraph *r, Prim prim, Node x) {
  return build_iota(r->g, rg_below(r, 2) ? DIM_BATCH : 1 + (int64_t)rg_below(r, 9));
}
static inline Node rg_make_random(RandomGraph *r, Prim prim, Node x) {
  const Dims dims = rg_dims(r);
  return build_random(r->g, (int)rg_below(r, 2), rg_below(r, 100), r->g->float_type, shape_of(r->g, &dims));
}

static inline Node rg_make_elementwise(RandomGraph *r, Prim prim, Node x) {
  const PrimInfo *info = prim_info(prim);
  if (prim == P_NOT || prim == P_AND || prim == P_OR) {
    const Node a = rg_pick(r, TYPE_BOOL);
    return prim == P_NOT ? build_unary(r->g, prim, a)
                         : build_binary(r->g, prim, a, rg_alike(r, TYPE_BOOL, node_shape(r->g, a)));
  }
  Node a = rg_into(r, x, info->low, info->high);
  if (info->arity == 1) {
    const bool kinks =
        prim == P_ABS || prim == P_SIGN || prim == P_FLOOR || prim == P_CEIL || prim == P_ROUND || prim == P_TRUNC;
    if (kinks && !rg_off_kinks(r, a)) a = rg_into(r, a, 0.1, 0.4);
    return build_unary(r->g, prim, a);
  }
  const Node b = rg_into(r, rg_alike(r, node_type(r->g, a), node_shape(r->g, a)), info->low, info->high);
  const bool ties = prim == P_MAX || prim == P_MIN || prim_is(prim, K_PREDICATE);
  if (ties && !rg_apart(r, a, b)) return NODE_NONE;
  return build_binary(r->g, prim, a, b);
}

static inline Node rg_make_select(RandomGraph *r, Prim prim, Node x) {
  return build_select(r->g, rg_alike(r, TYPE_BOOL, node_shape(r->g, x)), x,
                      rg_alike(r, node_type(r->g, x), node_shape(r->g, x)));
}
/* Floats to the other float and back; others to a float. */
static inline Node rg_make_cast(RandomGraph *r, Prim prim, Node x) {
  const Type type = r->g->float_type;
  switch (rg_below(r, 3)) {
  case 0: return build_cast(r->g, rg_pick(r, TYPE_BOOL), type);
  case 1: return build_cast(r->g, rg_pick(r, TYPE_I32), type);
  default: return build_cast(r->g, build_cast(r->g, x, type == TYPE_F32 ? TYPE_F64 : TYPE_F32), type);
  }
}
static inline Node rg_make_mark(RandomGraph *r, Prim prim, Node x) { return build_mark(r->g, x); }
static inline Node rg_make_stop(RandomGraph *r, Prim prim, Node x) { return build_stop(r->g, x); }
/* x^2 with the rule 2 x dy, so that differences agree. */
static inline Node rg_make_own(RandomGraph *r, Prim prim, Node x) {
  if (node_type(r->g, x) != TYPE_F32 && node_type(r->g, x) != TYPE_F64) return NODE_NONE;
  const Node apart = build_mark(r->g, x), one = build_full(r->g, node_type(r->g, x), 1, node_shape(r->g, x));
  const Node dy = build_mark(r->g, one), dx = build_mul(r->g, build_mul(r->g, build_like(r->g, x, 2), apart), dy);
  return build_own(r->g, build_mul(r->g, apart, apart), dy, (const Node[]){apart, dx}, 1);
}

static inline Node rg_make_broadcast(RandomGraph *r, Prim prim, Node x) {
  Dims dims = *node_dims(r->g, x);
  if (dims.rank >= 5) return NODE_NONE;
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t n = 0;
  Dims out = {.rank = dims.rank + 1 + rg_below(r, 2)};
  uint32_t extra = out.rank - dims.rank;
  for (uint32_t i = 0; i < out.rank; i++) {
    if (extra && (n == dims.rank || rg_below(r, 2)))
      extra--, out.dims[i] = 1 + rg_below(r, 4);
    else
      axes[n] = i, out.dims[i] = dims.dims[n++];
  }
  return rg_size(r, &out) > r->largest ? NODE_NONE : build_broadcast(r->g, x, shape_of(r->g, &out), axes);
}

/* Splits an axis, joins two neighbours, adds or drops an axis of one. */
static inline Node rg_make_reshape(RandomGraph *r, Prim prim, Node x) {
  const Dims in = *node_dims(r->g, x);
  Dims out = {0};
  for (uint32_t i = 0; i < in.rank; i++) {
    const int64_t d = in.dims[i], last = out.rank ? out.dims[out.rank - 1] : -1;
    if (out.rank && d >= 0 && last >= 0 && rg_below(r, 3) == 0)
      out.dims[out.rank - 1] *= d;
    else if (d > 3 && d % 2 == 0 && out.rank < 4 && rg_below(r, 2))
      out.dims[out.rank++] = 2, out.dims[out.rank++] = d / 2;
    else if (d != 1 || rg_below(r, 2))
      out.dims[out.rank++] = d;
  }
  if (out.rank < 5 && rg_below(r, 2)) out.dims[out.rank++] = 1;
  return build_reshape(r->g, x, shape_of(r->g, &out));
}

static inline Node rg_make_transpose(RandomGraph *r, Prim prim, Node x) {
  int64_t perm[GRAPH_MAX_RANK];
  rg_permutation(r, node_rank(r->g, x), perm);
  return build_transpose(r->g, x, perm);
}

static inline Node rg_make_slice(RandomGraph *r, Prim prim, Node x) {
  int64_t attr[3 * GRAPH_MAX_RANK];
  const Dims in = *node_dims(r->g, x);
  for (uint32_t i = 0; i < in.rank; i++) {
    const int64_t d = in.dims[i];
    int64_t *a = attr + 3 * i;
    a[0] = 0, a[1] = d, a[2] = 1;
    if (d <= 0 || !rg_below(r, 3)) continue;
    a[0] = rg_below(r, (uint32_t)d);
    a[2] = 1 + rg_below(r, 3);
    a[1] = 1 + rg_below(r, (uint32_t)((d - 1 - a[0]) / a[2] + 1));
  }
  return build_slice(r->g, x, attr);
}

static inline Node rg_make_pad(RandomGraph *r, Prim prim, Node x) {
  int64_t attr[3 * GRAPH_MAX_RANK] = {0}, size = 1;
  const Dims in = *node_dims(r->g, x);
  for (uint32_t i = 0; i < in.rank; i++) {
    int64_t d = in.dims[i], *a = attr + 3 * i;
    if (d >= 0 && rg_below(r, 2)) {
      a[0] = rg_below(r, 3), a[1] = rg_below(r, 3), a[2] = rg_below(r, 3) / 2;
      d += a[0] + a[1] + (d ? d - 1 : 0) * a[2];
    }
    size *= rg_extent(r, d);
  }
  return size > r->largest ? NODE_NONE : build_pad(r->g, x, attr);
}

static inline Node rg_make_reverse(RandomGraph *r, Prim prim, Node x) {
  int64_t axes[GRAPH_MAX_RANK];
  const uint32_t n = rg_axes(r, node_rank(r->g, x), 1, axes);
  return n ? build_reverse(r->g, x, axes, n) : NODE_NONE;
}

static inline Node rg_make_concat(RandomGraph *r, Prim prim, Node x) {
  const Dims dims = *node_dims(r->g, x);
  if (!dims.rank) return NODE_NONE;
  const uint32_t axis = rg_below(r, dims.rank), count = 2 + rg_below(r, 4);
  if (dim_is_batch(dims.dims[axis]) || rg_size(r, &dims) * count > r->largest) return NODE_NONE;
  Node parts[6] = {x};
  for (uint32_t i = 1; i < count; i++) {
    Dims part = dims;
    part.dims[axis] = 1 + rg_below(r, (uint32_t)dims.dims[axis]);
    parts[i] = build_broadcast_to(r->g, rg_alike(r, node_type(r->g, x), shape_of(r->g, &part)), shape_of(r->g, &part));
  }
  return build_concat(r->g, parts, count, axis);
}

/* An axis, and windows that fit it. */
static inline Node rg_make_window(RandomGraph *r, Prim prim, Node x) {
  const Dims dims = *node_dims(r->g, x);
  if (!dims.rank || dims.rank >= 5) return NODE_NONE;
  const uint32_t axis = rg_below(r, dims.rank);
  const int64_t extent = dims.dims[axis];
  if (extent < 1) return NODE_NONE;
  const int64_t taps = 1 + rg_below(r, (uint32_t)(extent < 4 ? extent : 4)), stride = 1 + rg_below(r, 3);
  int64_t dilation = 1 + rg_below(r, 3);
  if ((taps - 1) * dilation >= extent) dilation = 1;
  const int64_t most = (extent - 1 - (taps - 1) * dilation) / stride + 1, count = 1 + rg_below(r, (uint32_t)most);
  return rg_size(r, &dims) * taps > 4 * r->largest ? NODE_NONE
                                                   : build_window(r->g, x, axis, count, taps, stride, dilation);
}

/* Two neighbouring axes, as windows of an axis that is as long as it must be or a little longer. */
static inline Node rg_make_unwindow(RandomGraph *r, Prim prim, Node x) {
  const Dims dims = *node_dims(r->g, x);
  if (dims.rank < 2) return NODE_NONE;
  const uint32_t axis = rg_below(r, dims.rank - 1);
  const int64_t count = dims.dims[axis], taps = dims.dims[axis + 1];
  if (count < 1 || taps < 1) return NODE_NONE;
  const int64_t stride = 1 + rg_below(r, 3), dilation = 1 + rg_below(r, 3);
  const int64_t extent = (count - 1) * stride + (taps - 1) * dilation + 1 + rg_below(r, 3);
  return rg_size(r, &dims) / (count * taps) * extent > r->largest
             ? NODE_NONE
             : build_unwindow(r->g, x, axis, extent, stride, dilation);
}

static inline Node rg_make_sum(RandomGraph *r, Prim prim, Node x) {
  int64_t axes[GRAPH_MAX_RANK];
  const uint32_t n = rg_axes(r, node_rank(r->g, x), 1, axes);
  return n ? build_reduce(r->g, prim, x, axes, n) : NODE_NONE;
}
static inline Node rg_make_prod(RandomGraph *r, Prim prim, Node x) {
  return rg_make_sum(r, prim, rg_into(r, x, 0.5, 1.5));
}
static inline Node rg_make_winner(RandomGraph *r, Prim prim, Node x, uint32_t most) {
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t n = rg_axes(r, node_rank(r->g, x), 1, axes);
  if (n > most) n = most;
  return n && rg_clear_winner(r, x, axes, n, prim == P_RMIN ? -1 : 1) ? build_reduce(r->g, prim, x, axes, n)
                                                                      : NODE_NONE;
}
static inline Node rg_make_reduce_max(RandomGraph *r, Prim prim, Node x) {
  return rg_make_winner(r, prim, x, GRAPH_MAX_RANK);
}
static inline Node rg_make_reduce_min(RandomGraph *r, Prim prim, Node x) {
  return rg_make_winner(r, prim, x, GRAPH_MAX_RANK);
}
static inline Node rg_make_argmax(RandomGraph *r, Prim prim, Node x) { return rg_make_winner(r, prim, x, 1); }

/* x with a second operand made to fit: some of x's axes paired, some summed, up to two more. */
static inline Node rg_make_contract(RandomGraph *r, Prim prim, Node x) {
  const Dims a = *node_dims(r->g, x);
  int64_t order[GRAPH_MAX_RANK], pairs_a[GRAPH_MAX_RANK], pairs_b[GRAPH_MAX_RANK], sums_a[GRAPH_MAX_RANK],
      sums_b[GRAPH_MAX_RANK];
  rg_permutation(r, a.rank, order);
  const uint32_t nb = a.rank ? rg_below(r, a.rank + 1) / 2 : 0, nk = rg_below(r, a.rank - nb + 1),
                 more = rg_below(r, 3);
  Dims b = {.rank = nb + nk + more};
  int64_t place[GRAPH_MAX_RANK], size = rg_size(r, &a);
  rg_permutation(r, b.rank, place);
  for (uint32_t i = 0; i < b.rank; i++) {
    const int64_t extent = i < nb + nk ? a.dims[order[i]] : 1 + (int64_t)rg_below(r, 6);
    b.dims[place[i]] = extent;
    if (i < nb)
      pairs_a[i] = order[i], pairs_b[i] = place[i];
    else if (i < nb + nk)
      sums_a[i - nb] = order[i], sums_b[i - nb] = place[i];
    else
      size *= extent;
  }
  if (size > 4 * r->largest || rg_size(r, &b) > r->largest) return NODE_NONE;
  const Shape shape = shape_of(r->g, &b);
  const Node y = build_broadcast_to(r->g, rg_alike(r, node_type(r->g, x), shape), shape);
  return build_contract(r->g, x, y, nb, pairs_a, pairs_b, nk, sums_a, sums_b);
}

/* ---- loops: random rounds over values of one shape ---- */

typedef struct {
  Node values[24]; /* of the round, of one shape, moderate */
  uint32_t count;
  Shape shape;
  uint32_t loop;
  int64_t length;
} RgRound;

static inline Node rg_of_round(RandomGraph *r, const RgRound *b) {
  const uint32_t i = rg_below(r, b->count), k = rg_below(r, b->count);
  return b->values[i > k ? i : k];
}

static inline Node rg_loop(RandomGraph *r, Node x, int depth, Node *others, uint32_t *other_count);

/* A product with a square matrix along the last axis; a sum along it, repeated. */
static inline Node rg_round_product(RandomGraph *r, const RgRound *b, Node x) {
  const Dims dims = *shape_dims(r->g, b->shape);
  if (!dims.rank || dim_is_batch(dims.dims[dims.rank - 1]) || dims.dims[dims.rank - 1] > 8) return NODE_NONE;
  const int64_t n = dims.dims[dims.rank - 1], last = dims.rank - 1, first = rg_below(r, 2);
  const Dims square = {2, {n, n}};
  if (!rg_below(r, 3)) {
    int64_t kept[GRAPH_MAX_RANK];
    for (uint32_t i = 0; i + 1 < dims.rank; i++) kept[i] = i;
    return build_broadcast(r->g, build_reduce(r->g, P_SUM, x, &last, 1), b->shape, kept);
  }
  const Shape shape = shape_of(r->g, &square);
  const Node matrix = build_broadcast_to(r->g, rg_alike(r, node_type(r->g, x), shape), shape);
  return build_contract(r->g, x, matrix, 0, NULL, NULL, 1, &last, &first);
}

/* The gradient of a value by one that it is made of, within the round. */
static inline Node rg_round_gradient(RandomGraph *r, const RgRound *b) {
  const Node at = build_mark(r->g, rg_of_round(r, b)), y = build_unary(r->g, P_SIN, build_mul(r->g, at, rg_of_round(r, b)));
  Node d;
  grad_reverse(r->g, y, NODE_NONE, &at, 1, &d);
  return d.id ? d : NODE_NONE;
}

static inline Node rg_round_value(RandomGraph *r, const RgRound *b, int depth) {
  Graph *g = r->g;
  const Node x = rg_of_round(r, b), y = rg_of_round(r, b);
  uint32_t none = 0;
  switch (rg_below(r, 12)) {
  case 0: return build_add(g, x, y);
  case 1: return build_sub(g, x, y);
  case 2: case 3: return build_mul(g, x, y);
  case 4: return build_unary(g, P_SIGMOID, x);
  case 5: return build_unary(g, P_SIN, x);
  case 6: return build_mul(g, x, rg_alike(r, node_type(g, x), b->shape));
  case 7: return build_select(g, rg_alike(r, TYPE_BOOL, b->shape), x, y);
  case 8: return build_mul(g, x, build_cast(g, build_round(g, b->loop, b->length), node_type(g, x)));
  case 9: return depth ? NODE_NONE : rg_loop(r, x, depth + 1, NULL, &none);
  case 10: return rg_round_gradient(r, b);
  default: return rg_round_product(r, b, x);
  }
}

static inline void rg_round_add(RandomGraph *r, RgRound *b, Node n) {
  if (n.id && b->count < 24 && node_shape(r->g, n).id == b->shape.id)
    b->values[b->count++] = build_unary(r->g, P_TANH, n);
}

/* x, and what is alike, through a few rounds; one result, and further ones to `others`. */
static inline Node rg_loop(RandomGraph *r, Node x, int depth, Node *others, uint32_t *other_count) {
  Graph *g = r->g;
  const Type type = node_type(g, x);
  RgRound b = {.shape = node_shape(g, x), .loop = build_loop_number(g), .length = 1 + rg_below(r, depth ? 3 : 5)};
  const uint32_t carries = 1 + rg_below(r, 3), items = rg_below(r, 3);
  Node carry[3], next[3];
  for (uint32_t i = 0; i < carries; i++) {
    const Node start = i ? build_broadcast_to(g, rg_alike(r, type, b.shape), b.shape) : x;
    b.values[b.count++] = carry[i] = build_carry(g, b.loop, i, start);
  }
  for (uint32_t i = 0; i < items; i++) {
    Dims dims = *shape_dims(g, b.shape);
    const uint32_t axis = rg_below(r, dims.rank + 1);
    for (uint32_t k = dims.rank++; k > axis; k--) dims.dims[k] = dims.dims[k - 1];
    dims.dims[axis] = b.length;
    const Shape longer = shape_of(g, &dims);
    b.values[b.count++] = build_item(g, b.loop, build_broadcast_to(g, rg_alike(r, type, longer), longer), axis, rg_below(r, 2));
  }
  for (uint32_t i = 2 + rg_below(r, 8); i > 0; i--) rg_round_add(r, &b, rg_round_value(r, &b, depth));
  for (uint32_t i = 0; i < carries; i++) next[i] = rg_of_round(r, &b);
  const Node loop = build_loop(g, b.loop, b.length, carry, next, carries);
  if (depth) return build_last(g, loop, rg_below(r, carries));
  for (uint32_t i = rg_below(r, 3); i > 0; i--)
    others[(*other_count)++] =
        build_stack(g, rg_of_round(r, &b), loop, rg_below(r, shape_dims(g, b.shape)->rank + 1), rg_below(r, 2));
  if (rg_below(r, 2)) others[(*other_count)++] = build_last(g, loop, rg_below(r, carries));
  return rg_below(r, 2) ? build_last(g, loop, rg_below(r, carries))
                        : build_stack(g, rg_of_round(r, &b), loop, rg_below(r, shape_dims(g, b.shape)->rank + 1), false);
}

static inline Node rg_make_loop(RandomGraph *r, Prim prim, Node x) {
  Node others[4];
  uint32_t count = 0;
  if (node_rank(r->g, x) > 5 || rg_size(r, node_dims(r->g, x)) * 5 > r->largest ) return NODE_NONE;
  const Node n = rg_loop(r, rg_into(r, x, -1.5, 1.5), 0, others, &count);
  for (uint32_t i = 0; i < count; i++) vec_push(&r->pool, others[i]);
  return n;
}
/* Made as a whole, with the rest of a loop. */
static inline Node rg_make_carry(RandomGraph *r, Prim prim, Node x) { return rg_make_loop(r, prim, x); }
static inline Node rg_make_item(RandomGraph *r, Prim prim, Node x) { return rg_make_loop(r, prim, x); }
static inline Node rg_make_last(RandomGraph *r, Prim prim, Node x) { return rg_make_loop(r, prim, x); }
static inline Node rg_make_stack(RandomGraph *r, Prim prim, Node x) { return rg_make_loop(r, prim, x); }

/* Rows of x, or numbers of its rows; some indices are out of range: a slot's are 0 .. 4. */
static inline Node rg_index(RandomGraph *r, const Dims *dims) {
  const Node index = rg_alike(r, TYPE_I32, shape_of(r->g, dims));
  return build_sub(r->g, build_broadcast_to(r->g, index, shape_of(r->g, dims)), build_const(r->g, TYPE_I32, rg_below(r, 3)));
}
static inline Node rg_make_gather(RandomGraph *r, Prim prim, Node x) {
  const Dims table = *node_dims(r->g, x);
  uint32_t pairs = table.rank ? rg_below(r, table.rank) : 0;
  while (pairs && dim_is_batch(table.dims[pairs])) pairs--;
  if (!table.rank || dim_is_batch(table.dims[pairs])) return NODE_NONE;
  Dims index = {.rank = pairs + rg_below(r, 3)};
  for (uint32_t i = 0; i < index.rank; i++)
    index.dims[i] = i < pairs ? table.dims[i] : !i && rg_below(r, 2) ? DIM_BATCH : 1 + (int64_t)rg_below(r, 5);
  if (index.rank + table.rank - pairs > 6) return NODE_NONE;
  int64_t size = rg_size(r, &index);
  for (uint32_t i = pairs + 1; i < table.rank; i++) size *= rg_extent(r, table.dims[i]);
  return size > r->largest ? NODE_NONE : build_gather(r->g, x, rg_index(r, &index), pairs);
}
static inline Node rg_make_scatter_add(RandomGraph *r, Prim prim, Node x) {
  Dims index = *node_dims(r->g, x);
  index.rank = rg_below(r, index.rank + 1);
  return build_scatter_add(r->g, x, rg_index(r, &index), index.rank ? rg_below(r, index.rank + 1) : 0, 1 + rg_below(r, 7));
}

static RgMake *const rg_makers[P_COUNT] = {
#define PRIM(NAME, word, ...) [P_##NAME] = rg_make_##word,
#define E1(NAME, ...) [P_##NAME] = rg_make_elementwise,
#define E2 E1
#define C1 E1
#define C2 E1
#include "prims.def"
#undef PRIM
#undef E1
#undef E2
#undef C1
#undef C2
};

/* A node of this primitive over the float node x, added to the pool where its values are moderate; else NODE_NONE. */
static inline Node rg_apply(RandomGraph *r, Prim prim, Node x) {
  const Node n = rg_makers[prim](r, prim, x);
  if (!n.id || rg_size(r, node_dims(r->g, n)) > r->largest || !rg_within(r, n, -60, 60)) return NODE_NONE;
  vec_push(&r->pool, n);
  return n;
}

/* ---- whole graphs ---- */

static inline RandomGraph rg_new(Session *session, uint64_t seed, Type float_type) {
  RandomGraph r = {.state = seed * 0x9e3779b97f4a7c15u + 1, .g = graph_new(session, float_type), .largest = 400};
  for (int i = 0; i < 4; i++) r.batch[i] = 1 + rg_below(&r, 6);
  return r;
}

static inline void random_graph_free(RandomGraph *r) {
  for (int i = 0; i < RG_SLOTS; i++) free(r->values[i]);
  vec_free(&r->pool);
  graph_free(r->g);
}

/* The sum of all elements as an F64 scalar. */
static inline Node rg_total(Graph *g, Node x) {
  int64_t axes[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < GRAPH_MAX_RANK; i++) axes[i] = i;
  const Node wide = build_cast(g, x, TYPE_F64);
  return node_rank(g, x) ? build_reduce(g, P_SUM, wide, axes, node_rank(g, x)) : wide;
}

static inline Node rg_random_node(RandomGraph *r) {
  static const uint8_t structural[] = {P_SUM,      P_SUM,      P_RMAX,     P_RMIN,      P_PROD,    P_ARGMAX,
                                       P_CONTRACT, P_CONTRACT, P_CONTRACT, P_BROADCAST, P_RESHAPE, P_TRANSPOSE,
                                       P_SLICE,    P_PAD,      P_REVERSE,  P_CONCAT,    P_SELECT,  P_CAST,
                                       P_GATHER,   P_GATHER,   P_SCATTER_ADD, P_WINDOW, P_WINDOW,   P_UNWINDOW,
                                       P_UNWINDOW};
  const Prim prim = rg_below(r, 5) < 2 ? (Prim)structural[rg_below(r, sizeof structural)] : (Prim)rg_below(r, P_COUNT);
  return rg_apply(r, prim, rg_pick_float(r));
}

/* The loss depends on the last float nodes, and with them on most of the graph. */
static inline Node rg_loss(RandomGraph *r) {
  Node loss = build_const(r->g, TYPE_F64, 0);
  for (uint32_t i = r->pool.count, taken = 0; i-- > 0 && taken < 5;) {
    if (!rg_is_float(r, r->pool.data[i])) continue;
    const Node part = rg_total(r->g, r->pool.data[i]);
    loss = build_add(r->g, loss, build_mul(r->g, part, build_const(r->g, TYPE_F64, rg_real(r, 0.5, 1.5))));
    taken++;
  }
  return loss;
}

/* A graph of about `size` random nodes, its slots filled. Outputs: the last nodes as values, a loss, and where
 * `gradient`, the loss's gradient by every float slot as a value of the slot's name, and a step of descent on every
 * parameter. */
static inline RandomGraph random_graph(Session *session, uint64_t seed, Type float_type, uint32_t size, bool gradient) {
  RandomGraph r = rg_new(session, seed, float_type);
  const int64_t n = 2 + rg_below(&r, 7), m = 2 + rg_below(&r, 5); /* something to begin with: images, rows, a matrix */
  const Dims starts[3] = {{3, {DIM_BATCH, n, m}}, {2, {DIM_BATCH, n}}, {2, {n, m}}};
  for (int i = 0; i < 3; i++) rg_new_slot(&r, float_type, &starts[i]);
  for (uint32_t made = 0, tries = 0; made < size && tries < 20 * size; tries++) made += rg_random_node(&r).id != 0;
  char name[] = "v0";
  for (uint32_t i = r.pool.count, taken = 0; i-- > 0 && taken < 4; taken++, name[1]++)
    graph_add_output(r.g, (Output){.kind = OUT_VALUE, .name = name, .node = r.pool.data[i]});
  const Node loss = rg_loss(&r), weight = build_extent(r.g, DIM_BATCH);
  graph_add_output(r.g, (Output){.kind = OUT_LOSS, .name = "loss", .node = loss, .weight = weight});
  const uint32_t slots = gradient ? r.g->slots.count : 0;
  for (uint32_t s = 0; s < slots; s++) {
    const Slot slot = r.g->slots.data[s];
    if (slot.type != float_type) continue;
    const Node x = build_slot(r.g, s);
    Node d;
    grad_reverse(r.g, loss, NODE_NONE, &x, 1, &d);
    if (!d.id) continue;
    graph_add_output(r.g, (Output){.kind = OUT_VALUE, .name = slot.name, .node = d});
    if (slot.kind != SLOT_PARAM) continue;
    const Node moved = build_sub(r.g, x, build_mul(r.g, d, build_const(r.g, float_type, 0.125)));
    graph_add_output(r.g, (Output){.kind = OUT_SLOT, .node = moved, .slot = s});
  }
  return r;
}

#endif
