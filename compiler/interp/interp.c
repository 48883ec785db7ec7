/* interp.c: the oracle. Every primitive is one plain loop over its output, in double; sums are kept wider. A row of
 * prims.def without its loop does not compile. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interp.h"
#include "loops.h"
#include "rng.h"

struct Interp {
  const Graph *g;
  const InterpInput *input;
  InterpInput own;  /* what `input` points at */
  double **values;  /* by node; NULL: not computed */
  Loops loops;
  int64_t *round;   /* by loop: which one runs */
};

/* A tensor as the loops see it: extents known, row-major strides. */
typedef struct {
  uint32_t rank;
  int64_t dims[GRAPH_MAX_RANK], strides[GRAPH_MAX_RANK], count;
  const double *data;
} View;

/* What a loop is given: the node, its inputs, and where its values go. */
typedef struct {
  Interp *interp;
  Node node;
  Type type;
  const int64_t *attr;
  uint32_t attr_count;
  View out;
  double *to;
} Loop;

static View view_of(const Interp *t, Node node) {
  const Dims *dims = node_dims(t->g, node);
  View v = {.rank = dims->rank, .count = 1, .data = t->values[node.id]};
  for (uint32_t i = v.rank; i-- > 0;) {
    v.dims[i] = dim_is_batch(dims->dims[i]) ? t->input->batch[DIM_BATCH - dims->dims[i]] : dims->dims[i];
    v.strides[i] = v.count;
    if (!mem_mul(v.count, v.dims[i], &v.count))
      DIAG_BUG(t->g->session, node_data(t->g, node)->span, "%%%u is too large", node.id);
  }
  return v;
}

static View view_in(const Loop *l, uint32_t i) { return view_of(l->interp, node_in(l->interp->g, l->node, i)); }

/* The next multi-index in row-major order. */
static void advance(const View *v, int64_t *index) {
  for (uint32_t i = v->rank; i-- > 0;) {
    if (++index[i] < v->dims[i]) return;
    index[i] = 0;
  }
}

/* ---- leaves ---- */

static void eval_const(Loop *l) { memcpy(l->to, l->attr, sizeof *l->to); }

static void eval_slot(Loop *l) {
  const Interp *t = l->interp;
  const double *from = t->input->slots ? t->input->slots[l->attr[0]] : NULL;
  if (!from && l->out.count) {
    const char *name = t->g->slots.data[l->attr[0]].name;
    DIAG_BUG(t->g->session, node_data(t->g, l->node)->span, "no values for slot %lld (%s)", (long long)l->attr[0],
             name ? name : "");
  }
  if (l->out.count) memcpy(l->to, from, sizeof *from * (size_t)l->out.count);
}

static void eval_number(Loop *l) {
  const InterpInput *in = l->interp->input;
  *l->to = l->attr[0] == 0 ? in->step : l->attr[0] == 1 ? in->steps : in->epoch;
}

static void eval_extent(Loop *l) { *l->to = (double)l->interp->input->batch[l->attr[0]]; }

static void eval_iota(Loop *l) {
  for (int64_t i = 0; i < l->out.count; i++) l->to[i] = (double)i;
}

/* The law stands in prims.def. */
static double draw(const uint32_t w[4], bool normal, Type type) {
  const double pi2 = 6.283185307179586476925;
  double u, v;
  if (type == TYPE_F32) {
    u = ((w[0] >> 8) + 1) * 0x1p-24, v = (w[1] >> 8) * 0x1p-24;
  } else {
    const uint64_t a = ((uint64_t)w[0] << 32 | w[1]) >> 11, b = ((uint64_t)w[2] << 32 | w[3]) >> 11;
    if (!normal) return (double)a * 0x1p-53;
    u = (double)(a + 1) * 0x1p-53, v = (double)b * 0x1p-53;
  }
  return sqrt(-2 * log(u)) * cos(pi2 * v);
}

static void eval_random(Loop *l) {
  const InterpInput *in = l->interp->input;
  const uint32_t key[2] = {(uint32_t)in->seed, (uint32_t)(in->seed >> 32)};
  const bool normal = l->attr[0] == 1, four = !normal && l->type == TYPE_F32; /* elements a counter */
  for (int64_t i = 0; i < l->out.count; i++) {
    const uint64_t c = four ? (uint64_t)i / 64 * 16 + (uint64_t)i % 16 : (uint64_t)i;
    const uint32_t counter[4] = {(uint32_t)c, (uint32_t)(c >> 32), (uint32_t)in->draw, (uint32_t)l->attr[1]};
    uint32_t words[4];
    gradc_philox(counter, key, words);
    l->to[i] = four ? (words[i / 16 % 4] >> 8) * 0x1p-24 : draw(words, normal, l->type);
  }
}

/* ---- elementwise ---- */

/* Integers of 32 bits wrap, as the machine's do. */
static double wrap(int64_t n) { return (double)(int32_t)(uint32_t)(uint64_t)n; }
/* A float made an integer: the fraction is dropped, what is out of range becomes the nearest end, NaN 0. */
static double to_integer(double v) { return isnan(v) ? 0 : fmin(fmax(trunc(v), INT32_MIN), INT32_MAX); }

static void eval_integers(Loop *l, Prim prim, const double *a, const double *b) {
  for (int64_t i = 0; i < l->out.count; i++) {
    const int64_t x = (int64_t)a[i], y = b ? (int64_t)b[i] : 0;
    switch (prim) {
    case P_ADD: l->to[i] = wrap(x + y); break;
    case P_SUB: l->to[i] = wrap(x - y); break;
    case P_MUL: l->to[i] = wrap(x * y); break;
    default: l->to[i] = to_integer(prim_info(prim)->value((double)x, (double)y, 0)); break;
    }
  }
}

static void eval_elementwise(Loop *l) {
  const Prim prim = node_prim(l->interp->g, l->node);
  const uint32_t count = node_data(l->interp->g, l->node)->count;
  const double *in[3] = {NULL};
  for (uint32_t i = 0; i < count; i++) in[i] = view_in(l, i).data;
  if (l->type == TYPE_I32) {
    eval_integers(l, prim, in[0], in[1]);
    return;
  }
  double (*value)(double, double, double) = prim_info(prim)->value;
  for (int64_t i = 0; i < l->out.count; i++) l->to[i] = value(in[0][i], in[1] ? in[1][i] : 0, in[2] ? in[2][i] : 0);
}

static void eval_select(Loop *l) {
  const double *c = view_in(l, 0).data, *a = view_in(l, 1).data, *b = view_in(l, 2).data;
  for (int64_t i = 0; i < l->out.count; i++) l->to[i] = c[i] != 0 ? a[i] : b[i];
}

static void eval_cast(Loop *l) {
  const double *x = view_in(l, 0).data;
  for (int64_t i = 0; i < l->out.count; i++) {
    double v = x[i];
    if (l->type == TYPE_BOOL) v = v != 0;
    if (l->type == TYPE_I32) v = to_integer(v);
    if (l->type == TYPE_BF16) v = type_round(TYPE_BF16, v);
    l->to[i] = v;
  }
}

static void eval_mark(Loop *l) {
  if (l->out.count) memcpy(l->to, view_in(l, 0).data, sizeof *l->to * (size_t)l->out.count);
}
static void eval_stop(Loop *l) { eval_mark(l); }
static void eval_own(Loop *l) { eval_mark(l); }

/* ---- movement ---- */

/* Gathers out[index] = in[base + sum of index[i] * steps[i]]: what every index map comes to. */
static void gather(Loop *l, const double *from, int64_t base, const int64_t *steps) {
  int64_t index[GRAPH_MAX_RANK] = {0};
  for (int64_t o = 0; o < l->out.count; o++, advance(&l->out, index)) {
    int64_t at = base;
    for (uint32_t i = 0; i < l->out.rank; i++) at += index[i] * steps[i];
    l->to[o] = from[at];
  }
}

static void eval_broadcast(Loop *l) {
  const View in = view_in(l, 0);
  int64_t steps[GRAPH_MAX_RANK] = {0};
  for (uint32_t i = 0; i < in.rank; i++) steps[l->attr[i]] = in.strides[i];
  gather(l, in.data, 0, steps);
}

static void eval_reshape(Loop *l) { eval_mark(l); }

static void eval_transpose(Loop *l) {
  const View in = view_in(l, 0);
  int64_t steps[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < in.rank; i++) steps[i] = in.strides[l->attr[i]];
  gather(l, in.data, 0, steps);
}

static void eval_slice(Loop *l) {
  const View in = view_in(l, 0);
  int64_t steps[GRAPH_MAX_RANK], base = 0;
  for (uint32_t i = 0; i < in.rank; i++) {
    base += l->attr[3 * i] * in.strides[i];
    steps[i] = l->attr[3 * i + 2] * in.strides[i];
  }
  gather(l, in.data, base, steps);
}

static void eval_pad(Loop *l) {
  const View in = view_in(l, 0);
  for (int64_t o = 0; o < l->out.count; o++) l->to[o] = 0;
  int64_t index[GRAPH_MAX_RANK] = {0};
  for (int64_t k = 0; k < in.count; k++, advance(&in, index)) {
    int64_t at = 0;
    for (uint32_t i = 0; i < in.rank; i++)
      at += (l->attr[3 * i] + index[i] * (1 + l->attr[3 * i + 2])) * l->out.strides[i];
    l->to[at] = in.data[k];
  }
}

static void eval_reverse(Loop *l) {
  const View in = view_in(l, 0);
  int64_t steps[GRAPH_MAX_RANK], base = 0;
  memcpy(steps, in.strides, sizeof steps);
  for (uint32_t k = 0; k < l->attr_count; k++) {
    const int64_t axis = l->attr[k];
    base += (in.dims[axis] - 1) * in.strides[axis];
    steps[axis] = -in.strides[axis];
  }
  gather(l, in.data, base, steps);
}

static void eval_concat(Loop *l) {
  const int64_t axis = l->attr[0];
  int64_t start = 0;
  for (uint32_t p = 0; p < node_data(l->interp->g, l->node)->count; p++) {
    const View in = view_in(l, p);
    int64_t index[GRAPH_MAX_RANK] = {0};
    for (int64_t k = 0; k < in.count; k++, advance(&in, index)) {
      int64_t at = start * l->out.strides[axis];
      for (uint32_t i = 0; i < in.rank; i++) at += index[i] * l->out.strides[i];
      l->to[at] = in.data[k];
    }
    start += in.dims[axis];
  }
}

static void eval_window(Loop *l) {
  const View in = view_in(l, 0);
  const int64_t axis = l->attr[0];
  int64_t steps[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < l->out.rank; i++) steps[i] = in.strides[i <= axis ? i : i - 1];
  steps[axis] = l->attr[3] * in.strides[axis], steps[axis + 1] = l->attr[4] * in.strides[axis];
  gather(l, in.data, 0, steps);
}

/* Each element of each window goes to its place; sums are kept wider. */
static void eval_unwindow(Loop *l) {
  const View in = view_in(l, 0);
  const int64_t axis = l->attr[0];
  int64_t steps[GRAPH_MAX_RANK], index[GRAPH_MAX_RANK] = {0};
  for (uint32_t i = 0; i < in.rank; i++) steps[i] = l->out.strides[i <= axis ? i : i - 1];
  steps[axis] = l->attr[2] * l->out.strides[axis], steps[axis + 1] = l->attr[3] * l->out.strides[axis];
  long double *sums = mem_zero((size_t)l->out.count + 1, sizeof *sums);
  for (int64_t k = 0; k < in.count; k++, advance(&in, index)) {
    int64_t at = 0;
    for (uint32_t i = 0; i < in.rank; i++) at += index[i] * steps[i];
    sums[at] += in.data[k];
  }
  for (int64_t o = 0; o < l->out.count; o++)
    l->to[o] = l->type == TYPE_I32 ? wrap((int64_t)sums[o]) : (double)sums[o];
  free(sums);
}

/* ---- reductions and contractions ---- */

/* The walk over some axes of a tensor: their extents, and the strides by which one or two tensors follow. */
typedef struct {
  View over;
  int64_t step[2][GRAPH_MAX_RANK];
} Walk;

static void walk_add(Walk *w, int64_t extent, int64_t a, int64_t b) {
  const uint32_t i = w->over.rank++;
  w->over.dims[i] = extent, w->step[0][i] = a, w->step[1][i] = b;
  w->over.count *= extent;
}

static Walk walk_new(void) { return (Walk){.over.count = 1}; }

static int64_t walk_at(const Walk *w, const int64_t *index, int side) {
  int64_t at = 0;
  for (uint32_t i = 0; i < w->over.rank; i++) at += index[i] * w->step[side][i];
  return at;
}

static bool listed(const int64_t *axes, int64_t count, uint32_t axis) {
  for (int64_t i = 0; i < count; i++) {
    if (axes[i] == axis) return true;
  }
  return false;
}

/* Splits the input's axes into those that stay and those that vanish. */
static void walks_of_reduction(const Loop *l, const View *in, Walk *stay, Walk *vanish) {
  *stay = *vanish = walk_new();
  for (uint32_t i = 0; i < in->rank; i++)
    walk_add(listed(l->attr, l->attr_count, i) ? vanish : stay, in->dims[i], in->strides[i], 0);
}

static long double reduce_step(Prim prim, long double sum, double x) {
  switch (prim) {
  case P_SUM: return sum + x;
  case P_PROD: return sum * x;
  case P_RMAX: return isnan(sum) || sum >= x ? sum : x;
  default: return isnan(sum) || sum <= x ? sum : x;
  }
}

static void eval_reduce(Loop *l, Prim prim, long double start) {
  const View in = view_in(l, 0);
  Walk stay, vanish;
  walks_of_reduction(l, &in, &stay, &vanish);
  int64_t outer[GRAPH_MAX_RANK] = {0};
  for (int64_t o = 0; o < l->out.count; o++, advance(&stay.over, outer)) {
    const double *from = in.data + walk_at(&stay, outer, 0);
    int64_t inner[GRAPH_MAX_RANK] = {0};
    long double sum = start;
    for (int64_t k = 0; k < vanish.over.count; k++, advance(&vanish.over, inner))
      sum = reduce_step(prim, sum, from[walk_at(&vanish, inner, 0)]);
    l->to[o] = l->type == TYPE_I32 && isfinite(sum) && fabsl(sum) < 0x1p63L ? wrap((int64_t)sum) : (double)sum;
  }
}

static void eval_sum(Loop *l) { eval_reduce(l, P_SUM, 0); }
static void eval_prod(Loop *l) { eval_reduce(l, P_PROD, 1); }
/* Of no integers: the end of their range. */
static void eval_reduce_max(Loop *l) { eval_reduce(l, P_RMAX, l->type == TYPE_I32 ? INT32_MIN : -INFINITY); }
static void eval_reduce_min(Loop *l) { eval_reduce(l, P_RMIN, l->type == TYPE_I32 ? INT32_MAX : INFINITY); }

/* The first of equals; a NaN counts as larger than any number. */
static void eval_argmax(Loop *l) {
  const View in = view_in(l, 0);
  Walk stay, vanish;
  walks_of_reduction(l, &in, &stay, &vanish);
  int64_t outer[GRAPH_MAX_RANK] = {0};
  for (int64_t o = 0; o < l->out.count; o++, advance(&stay.over, outer)) {
    const double *from = in.data + walk_at(&stay, outer, 0);
    int64_t inner[GRAPH_MAX_RANK] = {0}, best = 0;
    double top = NAN;
    for (int64_t k = 0; k < vanish.over.count; k++, advance(&vanish.over, inner)) {
      const double x = from[walk_at(&vanish, inner, 0)];
      if (!k || x > top || (isnan(x) && !isnan(top))) best = k, top = x;
    }
    l->to[o] = (double)best;
  }
}

static void eval_contract(Loop *l) {
  const View a = view_in(l, 0), b = view_in(l, 1);
  const int64_t nb = l->attr[0], nk = l->attr[1];
  const int64_t *pair_a = l->attr + 2, *pair_b = pair_a + nb, *sum_a = pair_b + nb, *sum_b = sum_a + nk;
  Walk outer = walk_new(), inner = walk_new();
  for (int64_t i = 0; i < nb; i++) walk_add(&outer, a.dims[pair_a[i]], a.strides[pair_a[i]], b.strides[pair_b[i]]);
  for (uint32_t i = 0; i < a.rank; i++) {
    if (!listed(pair_a, nb, i) && !listed(sum_a, nk, i)) walk_add(&outer, a.dims[i], a.strides[i], 0);
  }
  for (uint32_t i = 0; i < b.rank; i++) {
    if (!listed(pair_b, nb, i) && !listed(sum_b, nk, i)) walk_add(&outer, b.dims[i], 0, b.strides[i]);
  }
  for (int64_t i = 0; i < nk; i++) walk_add(&inner, a.dims[sum_a[i]], a.strides[sum_a[i]], b.strides[sum_b[i]]);
  int64_t place[GRAPH_MAX_RANK] = {0};
  for (int64_t o = 0; o < l->out.count; o++, advance(&outer.over, place)) {
    const double *x = a.data + walk_at(&outer, place, 0), *y = b.data + walk_at(&outer, place, 1);
    int64_t k[GRAPH_MAX_RANK] = {0};
    long double sum = 0;
    for (int64_t n = 0; n < inner.over.count; n++, advance(&inner.over, k))
      sum += (long double)x[walk_at(&inner, k, 0)] * y[walk_at(&inner, k, 1)];
    l->to[o] = l->type == TYPE_I32 && fabsl(sum) < 0x1p63L ? wrap((int64_t)sum) : (double)sum;
  }
}

/* ---- loops: see run_loop ---- */

static void eval_item(Loop *l) {
  const Interp *t = l->interp;
  const View in = view_in(l, 0);
  int64_t steps[GRAPH_MAX_RANK], round = -1;
  for (uint32_t i = 0; i < t->loops.list.count; i++)
    if (t->loops.list.data[i].number == l->attr[0]) round = t->round[i];
  if (round < 0) DIAG_BUG(t->g->session, node_data(t->g, l->node)->span, "%%%u is read outside its loop", l->node.id);
  for (uint32_t i = 0; i < l->out.rank; i++) steps[i] = in.strides[i < l->attr[1] ? i : i + 1];
  gather(l, in.data, (l->attr[2] ? in.dims[l->attr[1]] - 1 - round : round) * in.strides[l->attr[1]], steps);
}

/* These have their values from the loop that runs. */
static void eval_carry(Loop *l) {
  DIAG_BUG(l->interp->g->session, node_data(l->interp->g, l->node)->span, "%%%u is read outside its loop", l->node.id);
}
static void eval_last(Loop *l) { eval_carry(l); }
static void eval_stack(Loop *l) { eval_carry(l); }
static void run_loop(Interp *t, int32_t loop);
static void eval_loop(Loop *l) {
  Interp *t = l->interp;
  for (uint32_t i = 0; i < t->loops.list.count; i++) {
    if (!node_is(t->loops.list.data[i].token, l->node)) continue;
    run_loop(t, (int32_t)i);
    *l->to = (double)t->loops.list.data[i].length;
  }
}

/* ---- by integers ---- */

/* Sizes of the groups of axes: pairs, places of the index, n, rest. */
typedef struct {
  int64_t pairs, places, n, rest;
  const double *index;
} Rows;

static Rows rows_of(const Loop *l, const View *with_rows, int64_t n_axis) {
  const View index = view_in(l, 1);
  Rows r = {1, 1, n_axis < with_rows->rank ? with_rows->dims[n_axis] : 1, 1, index.data};
  for (uint32_t i = 0; i < index.rank; i++) *(i < n_axis ? &r.pairs : &r.places) *= index.dims[i];
  for (uint32_t i = (uint32_t)n_axis + 1; i < with_rows->rank; i++) r.rest *= with_rows->dims[i];
  return r;
}

static void eval_gather(Loop *l) {
  const View table = view_in(l, 0);
  const Rows r = rows_of(l, &table, l->attr[0]);
  for (int64_t k = 0; k < r.pairs * r.places; k++) {
    const double at = r.index[k];
    const double *from = table.data + (k / r.places * r.n + (int64_t)at) * r.rest;
    for (int64_t i = 0; i < r.rest; i++) l->to[k * r.rest + i] = at >= 0 && at < (double)r.n ? from[i] : 0;
  }
}

static void eval_scatter_add(Loop *l) {
  const double *values = view_in(l, 0).data;
  const Rows r = rows_of(l, &l->out, l->attr[0]);
  for (int64_t i = 0; i < l->out.count; i++) l->to[i] = 0;
  for (int64_t k = 0; k < r.pairs * r.places; k++) {
    const double at = r.index[k];
    if (at < 0 || at >= (double)r.n) continue;
    double *to = l->to + (k / r.places * r.n + (int64_t)at) * r.rest;
    for (int64_t i = 0; i < r.rest; i++) to[i] = l->type == TYPE_I32 ? wrap((int64_t)(to[i] + values[k * r.rest + i])) : to[i] + values[k * r.rest + i];
  }
}

/* ---- evaluation ---- */

static void (*const loops[P_COUNT])(Loop *) = {
#define PRIM(NAME, word, ...) [P_##NAME] = eval_##word,
#define E1(NAME, ...) [P_##NAME] = eval_elementwise,
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

Interp *interp_new(const Graph *graph, const InterpInput *input) {
  Interp *t = mem_zero(1, sizeof *t);
  t->g = graph;
  t->own = *input;
  t->input = &t->own;
  t->values = mem_zero(graph->nodes.count, sizeof *t->values);
  t->loops = loops_find(graph);
  t->round = mem_alloc((t->loops.list.count + 1) * sizeof *t->round);
  for (uint32_t i = 0; i < t->loops.list.count; i++) t->round[i] = -1;
  return t;
}

static void evaluate(Interp *t, Node node) {
  if (t->values[node.id]) return; /* a loop's result, which came with the loop */
  const NodeData *data = node_data(t->g, node);
  Loop l = {.interp = t, .node = node, .type = (Type)data->type, .out = view_of(t, node)};
  l.attr_count = node_attr_count(t->g, node);
  l.attr = l.attr_count ? node_attr(t->g, node) : NULL;
  if ((uint64_t)l.out.count > SIZE_MAX / sizeof *l.to)
    DIAG_BUG(t->g->session, data->span, "%%%u is too large", node.id);
  l.to = mem_alloc(sizeof *l.to * (size_t)(l.out.count ? l.out.count : 1));
  loops[data->prim](&l);
  if (l.type == TYPE_F32 && t->input->round_f32) {
    for (int64_t i = 0; i < l.out.count; i++) l.to[i] = (double)(float)l.to[i];
  }
  t->values[node.id] = l.to;
}

/* A loop sees to its body itself, and so to what is stacked. */
static bool made_by_loop(const Graph *g, Node n, uint32_t i) {
  return node_prim(g, n) == P_LOOP || (node_prim(g, n) == P_STACK && i == 0);
}

/* A copy of values of the shape of n. */
static double *copy_values(Interp *t, Node n, const double *from) {
  const View v = view_of(t, n);
  double *to = mem_alloc(sizeof *to * (size_t)(v.count ? v.count : 1));
  if (v.count) memcpy(to, from, sizeof *to * (size_t)v.count);
  return to;
}

static void set_values(Interp *t, Node n, double *values) {
  free(t->values[n.id]);
  t->values[n.id] = values;
}

/* Puts a round's value into its place of the stack. */
static void put_part(Interp *t, Node stack, int64_t round) {
  const Graph *g = t->g;
  const Node from = node_in(g, stack, 0);
  const int64_t axis = node_attr(g, stack)[0];
  interp_value(t, from, NULL);
  if (!t->values[stack.id]) {
    const int64_t count = view_of(t, stack).count;
    t->values[stack.id] = mem_zero((size_t)(count ? count : 1), sizeof(double));
  }
  const View in = view_of(t, from), out = view_of(t, stack);
  if (node_attr(g, stack)[1]) round = out.dims[axis] - 1 - round;
  int64_t index[GRAPH_MAX_RANK] = {0};
  for (int64_t k = 0; k < in.count; k++, advance(&in, index)) {
    int64_t at = round * out.strides[axis];
    for (uint32_t i = 0; i < in.rank; i++) at += index[i] * out.strides[i < axis ? i : i + 1];
    t->values[stack.id][at] = in.data[k];
  }
}

/* Runs all rounds, and leaves the values of the loop's LASTs and STACKs. */
static void run_loop(Interp *t, int32_t loop) {
  const Graph *g = t->g;
  const LoopInfo *info = &t->loops.list.data[loop];
  double **carry = mem_alloc((info->carries + 1) * sizeof *carry);
  for (uint32_t i = 0; i < info->carries; i++) {
    const Node start = node_in(g, loop_carry(g, info, i), 0);
    carry[i] = copy_values(t, start, interp_value(t, start, NULL));
  }
  for (int64_t round = 0; round < info->length; round++) {
    t->round[loop] = round;
    for (uint32_t id = 1; id < g->nodes.count; id++)
      if (t->values[id] && loop_within(&t->loops, t->loops.of[id], loop)) set_values(t, (Node){id}, NULL);
    for (uint32_t i = 0; i < info->carries; i++) set_values(t, loop_carry(g, info, i), carry[i]);
    for (uint32_t id = 1; id < g->nodes.count; id++)
      if (node_prim(g, (Node){id}) == P_STACK && node_is(node_in(g, (Node){id}, 1), info->token)) put_part(t, (Node){id}, round);
    for (uint32_t i = 0; i < info->carries; i++) interp_value(t, loop_next(g, info, i), NULL);
    for (uint32_t i = 0; i < info->carries; i++) carry[i] = copy_values(t, loop_next(g, info, i), t->values[loop_next(g, info, i).id]);
  }
  t->round[loop] = -1;
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (node_prim(g, (Node){id}) == P_LAST && node_is(node_in(g, (Node){id}, 0), info->token))
      set_values(t, (Node){id}, copy_values(t, (Node){id}, carry[node_attr(g, (Node){id})[0]]));
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (t->values[id] && loop_within(&t->loops, t->loops.of[id], loop)) set_values(t, (Node){id}, NULL);
  for (uint32_t i = 0; i < info->carries; i++) free(carry[i]);
  free(carry);
}

/* Inputs come before users, so that two walks over the nodes do what recursion would, at any depth. */
const double *interp_value(Interp *t, Node node, int64_t *count) {
  const Graph *g = t->g;
  if (!node.id || node.id >= g->nodes.count) DIAG_BUG(g->session, (Span){0}, "no node to evaluate");
  if (!t->values[node.id]) {
    uint8_t *wanted = mem_zero(node.id + 1, 1);
    wanted[node.id] = 1;
    for (uint32_t id = node.id; id > 0; id--) {
      if (!wanted[id]) continue;
      for (uint32_t i = 0; i < g->nodes.data[id].count; i++) {
        const Node in = node_in(g, (Node){id}, i);
        if (!t->values[in.id] && !made_by_loop(g, (Node){id}, i)) wanted[in.id] = 1;
      }
    }
    for (uint32_t id = 1; id <= node.id; id++)
      if (wanted[id]) evaluate(t, (Node){id});
    free(wanted);
  }
  if (count) *count = view_of(t, node).count;
  return t->values[node.id];
}

void interp_free(Interp *t) {
  if (!t) return;
  for (uint32_t i = 0; i < t->g->nodes.count; i++) free(t->values[i]);
  loops_free(&t->loops);
  free(t->values), free(t->round), free(t);
}
