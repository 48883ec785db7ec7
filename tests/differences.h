/* differences.h: derivatives against fourth-order central differences in double, for first, second and (asked of a
 * gradient) third order, and the symmetry of second derivatives, which needs no reference. */
#ifndef GRADC_DIFFERENCES_H
#define GRADC_DIFFERENCES_H
#include "random_graph.h"

#ifndef DIFF_MAX
#define DIFF_MAX 20 /* tensors that are differentiated by */
#endif

/* The number <nodes, weights>, in long double. Nodes may be NODE_NONE: nothing. */
typedef struct {
  const Node *nodes;
  double *const *weights;
  uint32_t count;
} Pairing;

static inline long double pairing_value(const RandomGraph *r, const Pairing *p) {
  const InterpInput in = random_input(r);
  Interp *t = interp_new(r->g, &in);
  long double sum = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    int64_t n;
    if (!p->nodes[i].id) continue;
    const double *v = interp_value(t, p->nodes[i], &n);
    for (int64_t k = 0; k < n; k++) sum += (long double)v[k] * p->weights[i][k];
  }
  interp_free(t);
  return sum;
}

/* What is differentiated by: slots, and a direction in all their elements. */
typedef struct {
  uint32_t count;
  Node nodes[DIFF_MAX];
  uint32_t slot[DIFF_MAX];
  int64_t size[DIFF_MAX], total;
} Point;

static inline Point point_of(RandomGraph *r, const Node *xs, uint32_t count) {
  Point p = {.count = count};
  for (uint32_t i = 0; i < count; i++) {
    p.nodes[i] = xs[i];
    p.slot[i] = (uint32_t)node_attr(r->g, xs[i])[0];
    p.size[i] = rg_size(r, node_dims(r->g, xs[i]));
    p.total += p.size[i];
  }
  return p;
}

/* All float slots that nodes use. */
static inline Point point_all(RandomGraph *r) {
  Node xs[DIFF_MAX];
  uint32_t n = 0;
  for (uint32_t i = 1; i < r->g->nodes.count && n < DIFF_MAX; i++) {
    if (node_prim(r->g, (Node){i}) == P_SLOT && rg_is_float(r, (Node){i})) xs[n++] = (Node){i};
  }
  return point_of(r, xs, n);
}

static inline double **arrays_new(const Point *p, RandomGraph *r) {
  double **a = mem_zero(p->count + 1, sizeof *a);
  for (uint32_t i = 0; i < p->count; i++) {
    a[i] = mem_zero((size_t)p->size[i] + 1, sizeof **a);
    for (int64_t k = 0; r && k < p->size[i]; k++) a[i][k] = rg_real(r, -1, 1);
  }
  return a;
}
static inline void arrays_free(const Point *p, double **a) {
  for (uint32_t i = 0; i < p->count; i++) free(a[i]);
  free(a);
}

static inline void point_move(RandomGraph *r, const Point *p, double *const *from, double *const *direction, double h) {
  for (uint32_t i = 0; i < p->count; i++) {
    for (int64_t k = 0; k < p->size[i]; k++) r->values[p->slot[i]][k] = from[i][k] + h * direction[i][k];
  }
}

/* The slope of f along the direction. */
static inline double slope(RandomGraph *r, const Point *p, const Pairing *f, double *const *direction, double h) {
  double **here = arrays_new(p, NULL);
  for (uint32_t i = 0; i < p->count; i++) memcpy(here[i], r->values[p->slot[i]], sizeof **here * (size_t)p->size[i]);
  long double value[4];
  const double steps[4] = {h, -h, 2 * h, -2 * h};
  for (int i = 0; i < 4; i++) {
    point_move(r, p, here, direction, steps[i]);
    value[i] = pairing_value(r, f);
  }
  point_move(r, p, here, direction, 0);
  arrays_free(p, here);
  return (double)((8 * (value[0] - value[1]) - (value[2] - value[3])) / (12 * (long double)h));
}

/* How far the slope along d is from what is expected; a kink within the first h is none within a smaller one. */
static inline double slope_fault(RandomGraph *r, const Point *p, const Pairing *f, double *const *d, double h, double expect, double small) {
  double fault = INFINITY;
  for (int i = 0; i < 3 && (i == 0 || !(fault <= small)); i++, h /= 16) fault = fmin(fault, fabs(slope(r, p, f, d, h) - expect));
  return fault;
}

/* The largest difference between <gradients, direction> and the slope of f, of the largest gradient: element by element
 * where there are few, else along three directions. NaN where a gradient is. */
static inline double slope_error(RandomGraph *r, const Point *p, const Pairing *f, const Node *gradients) {
  double largest = 0, worst = 0;
  double **d = arrays_new(p, NULL), **values = arrays_new(p, NULL);
  for (uint32_t i = 0; i < p->count; i++) {
    int64_t n = 0;
    if (!gradients[i].id) continue;
    free(values[i]);
    values[i] = rg_values(r, gradients[i], &n);
    for (int64_t k = 0; k < n; k++)
      largest = fabs(values[i][k]) <= largest ? largest : fabs(values[i][k]); /* keeps NaN */
  }
  const double small = 1e-8 * fmax(largest, 1e-3);
  if (p->total <= 40) {
    for (uint32_t i = 0; i < p->count; i++) {
      for (int64_t k = 0; k < p->size[i]; k++) {
        d[i][k] = 1;
        const double e = slope_fault(r, p, f, d, 2e-4 * fmax(1, fabs(r->values[p->slot[i]][k])), values[i][k], small);
        worst = e <= worst ? worst : e;
        d[i][k] = 0;
      }
    }
  } else {
    for (int trial = 0; trial < 3; trial++) {
      long double expect = 0, square = 0;
      for (uint32_t i = 0; i < p->count; i++) {
        for (int64_t k = 0; k < p->size[i]; k++) {
          d[i][k] = rg_real(r, -1, 1);
          expect += (long double)d[i][k] * values[i][k], square += (long double)values[i][k] * values[i][k];
        }
      }
      const double part = fmin(1, largest / (double)sqrtl(square + 1e-300L));
      const double e = slope_fault(r, p, f, d, 2e-4, (double)expect, small / part) * part;
      worst = e <= worst ? worst : e;
    }
  }
  arrays_free(p, d), arrays_free(p, values);
  return worst / fmax(largest, 1e-3);
}

/* Errors of the largest gradient of each order; symmetry: |u.Hv - v.Hu| of the sum of the terms' sizes. */
typedef struct {
  double first, second, symmetry;
} DerivativeErrors;

/* <a, the values of nodes>, and the sum of the terms' sizes. */
static inline double dot_values(const RandomGraph *r, const Point *p, double *const *a, const Node *nodes,
                                double *size) {
  long double sum = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    int64_t n;
    if (!nodes[i].id) continue;
    double *v = rg_values(r, nodes[i], &n);
    for (int64_t k = 0; k < n; k++) sum += (long double)a[i][k] * v[k], *size += fabs(a[i][k] * v[k]);
    free(v);
  }
  return (double)sum;
}

/* The weights of a pairing as slots, so that the graph sees them; the values stay the rig's. */
static inline Node weight_slot(RandomGraph *r, Node like) {
  const Dims dims = *node_dims(r->g, like);
  return rg_slot(r, SLOT_INPUT, node_type(r->g, like), &dims, -1, 1);
}

/* y's derivatives by the point's slots. Second order where `second`. */
static inline DerivativeErrors derivative_errors(RandomGraph *r, Node y, const Point *p, bool second) {
  DerivativeErrors e = {0};
  Node g1[DIFF_MAX], g2[DIFF_MAX], v[DIFF_MAX];
  const Node w = weight_slot(r, y);
  double *weights[1] = {r->values[node_attr(r->g, w)[0]]};
  grad_reverse(r->g, y, w, p->nodes, p->count, g1);
  const Pairing f = {&y, weights, 1};
  e.first = slope_error(r, p, &f, g1);
  if (!second) return e;
  double *direction[DIFF_MAX], size = 0;
  Node along = build_const(r->g, TYPE_F64, 0);
  for (uint32_t i = 0; i < p->count; i++) {
    v[i] = weight_slot(r, p->nodes[i]);
    direction[i] = r->values[node_attr(r->g, v[i])[0]];
    if (g1[i].id) along = build_add(r->g, along, rg_total(r->g, build_mul(r->g, g1[i], v[i])));
  }
  grad_reverse(r->g, along, NODE_NONE, p->nodes, p->count, g2);
  const Pairing f2 = {g1, direction, p->count};
  e.second = slope_error(r, p, &f2, g2);
  double **u = arrays_new(p, r), **keep = arrays_new(p, NULL);
  const double uhv = dot_values(r, p, u, g2, &size);
  for (uint32_t i = 0; i < p->count; i++) {
    memcpy(keep[i], direction[i], sizeof **keep * (size_t)p->size[i]);
    memcpy(direction[i], u[i], sizeof **keep * (size_t)p->size[i]);
  }
  const double vhu = dot_values(r, p, keep, g2, &size);
  e.symmetry = fabs(uhv - vhu) / fmax(size, 1e-3);
  if (isnan(uhv) || isnan(vhu)) e.symmetry = NAN;
  arrays_free(p, u), arrays_free(p, keep);
  return e;
}

#endif
