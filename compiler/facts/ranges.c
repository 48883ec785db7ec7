/* ranges.c: the interval of each node; see ranges.h. One function a row of prims.def: a new row does not compile without. */
#include "ranges.h"

#include <float.h>
#include <stdlib.h>

#include "build.h"
#include "loops.h"

struct Ranges {
  const Graph *g;
  const Range *slots;
  Range *of;     /* by node */
  Range *carry;  /* by node, of a CARRY: what rounds but the first have been seen to hand on */
};

Range range_at(const Ranges *r, Node n) { return r->of[n.id]; }
const Graph *ranges_graph(const Ranges *r) { return r->g; }

typedef Range Transfer(const Ranges *r, Node n, const Range *in);

/* ---- leaves ---- */

static const Range never = {.lo = INFINITY, .hi = -INFINITY};
static const Range truth = {.lo = 0, .hi = 1};

static Range of_const(const Ranges *r, Node n, const Range *in) {
  double value = 0;
  node_constant(r->g, n, &value);
  return range_point(value);
}

static Range of_slot(const Ranges *r, Node n, const Range *in) {
  const int64_t number = node_attr(r->g, n)[0];
  const Slot *slot = &r->g->slots.data[number];
  if (slot->type == TYPE_BOOL) return truth;
  if (slot->classes > 0) return range_of(0, slot->classes - 1);
  if (r->slots && !range_empty(r->slots[number])) return r->slots[number];
  return slot->type == TYPE_I32 ? range_of(INT32_MIN, INT32_MAX) : range_finite();
}

static Range of_number(const Ranges *r, Node n, const Range *in) {
  return range_above(node_attr(r->g, n)[0] == 2 ? 0 : 1, true); /* step and steps are 1 at least */
}
static Range of_extent(const Ranges *r, Node n, const Range *in) { return range_above(1, true); }
static Range of_iota(const Ranges *r, Node n, const Range *in) {
  const int64_t extent = node_dims(r->g, n)->dims[0];
  return dim_is_batch(extent) ? range_above(0, true) : extent ? range_of(0, (double)extent - 1) : never;
}
/* A normal draw is sqrt(-2 log u) times a cosine, and u is 2^-53 at least. */
static Range of_random(const Ranges *r, Node n, const Range *in) {
  if (node_attr(r->g, n)[0] == 0) return (Range){.lo = 0, .hi = 1, .open_hi = true};
  return range_of(-8.6, 8.6);
}

/* ---- elementwise ---- */

static double softplus_at(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }
static double sigmoid_at(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double not_at(double x) { return 1 - x; }

#define RISING(word, function) \
  static Range of_##word(const Ranges *r, Node n, const Range *in) { return range_rising(in[0], function); }
RISING(cbrt, cbrt)

/* A step or a bound is reached before its end is: tanh 20 is 1. */
static Range reached(Range x, double (*f)(double)) {
  Range y = range_rising(x, f);
  if (isfinite(y.lo)) y.open_lo = false;
  if (isfinite(y.hi)) y.open_hi = false;
  return y;
}
#define STEP(word, function) \
  static Range of_##word(const Ranges *r, Node n, const Range *in) { return reached(in[0], function); }
STEP(tanh, tanh)
STEP(erf, erf)
STEP(atan, atan)
STEP(floor, floor)
STEP(ceil, ceil)
STEP(round, nearbyint)
STEP(trunc, trunc)

static Range of_neg(const Ranges *r, Node n, const Range *in) { return range_neg(in[0]); }
static Range of_abs(const Ranges *r, Node n, const Range *in) { return range_abs(in[0]); }
static Range of_sign(const Ranges *r, Node n, const Range *in) {
  Range y = range_of(range_below(in[0], 0) ? -1 : range_has(in[0], 0) ? 0 : 1, range_over(in[0], 0) ? 1 : range_has(in[0], 0) ? 0 : -1);
  y.nan = in[0].nan, y.nonzero = !range_has(in[0], 0) && y.lo < y.hi;
  return y;
}

/* Where e^x overflows in the node's type. */
static double exp_limit(const Ranges *r, Node n) { return node_type(r->g, n) == TYPE_F64 ? 709.78 : 88.72; }

/* Above 0, though it may underflow. */
static Range of_exp(const Ranges *r, Node n, const Range *in) {
  Range y = range_rising(in[0], exp);
  if (y.lo == 0 && !range_has(in[0], -INFINITY)) y.open_lo = true;
  if (in[0].hi > exp_limit(r, n)) y.hi = INFINITY, y.open_hi = false;
  return y;
}
static Range of_expm1(const Ranges *r, Node n, const Range *in) {
  Range y = range_rising(in[0], expm1);
  if (in[0].hi > exp_limit(r, n)) y.hi = INFINITY, y.open_hi = false;
  return y;
}
static Range of_sinh(const Ranges *r, Node n, const Range *in) {
  Range y = range_rising(in[0], sinh);
  if (y.hi > 1e38) y.hi = INFINITY, y.open_hi = false;
  if (y.lo < -1e38) y.lo = -INFINITY, y.open_lo = false;
  return y;
}
static Range of_cosh(const Ranges *r, Node n, const Range *in) {
  Range y = range_rising(range_abs(in[0]), cosh);
  if (y.hi > 1e38) y.hi = INFINITY, y.open_hi = false;
  return y;
}

/* f, rising from `from` on, where it is f_from; NaN below. An argument that leaves the domain is taken to keep to it. */
static Range of_root(Range x, double from, double f_from, double (*f)(double)) {
  if (range_empty(x) || x.hi < from) return range_any();
  Range y = range_rising(x, f);
  if (x.lo <= from) y.lo = f_from, y.open_lo = !range_has(x, from);
  y.nan = x.nan || x.lo < from, y.nonzero = false, y.rare = x.rare;
  return y;
}
static Range of_log(const Ranges *r, Node n, const Range *in) { return of_root(in[0], 0, -INFINITY, log); }
static Range of_log1p(const Ranges *r, Node n, const Range *in) { return of_root(in[0], -1, -INFINITY, log1p); }
static Range of_sqrt(const Ranges *r, Node n, const Range *in) { return of_root(in[0], 0, 0, sqrt); }
static Range of_rsqrt(const Ranges *r, Node n, const Range *in) {
  return range_div(range_point(1), of_root(in[0], 0, 0, sqrt));
}

static Range wave(Range x, double least, double most) {
  Range y = range_of(least, most);
  y.nan = x.nan || range_has(x, INFINITY) || range_has(x, -INFINITY);
  return y;
}
static Range of_sin(const Ranges *r, Node n, const Range *in) { return wave(in[0], -1, 1); }
static Range of_cos(const Ranges *r, Node n, const Range *in) { return wave(in[0], -1, 1); }
static Range of_tan(const Ranges *r, Node n, const Range *in) { return wave(in[0], -INFINITY, INFINITY); }
static Range arc(Range x, double least, double most) {
  Range y = range_of(least, most);
  y.nan = x.nan || x.lo < -1 || x.hi > 1;
  return y;
}
static Range of_asin(const Ranges *r, Node n, const Range *in) { return arc(in[0], -1.5707963267948968, 1.5707963267948968); }
static Range of_acos(const Ranges *r, Node n, const Range *in) { return arc(in[0], 0, 3.1415926535897936); }

/* It rounds to 1 from 17 on, to 0 at -104. */
static Range of_sigmoid(const Ranges *r, Node n, const Range *in) {
  Range y = range_rising(in[0], sigmoid_at);
  if (y.lo == 0 && !range_has(in[0], -INFINITY)) y.open_lo = true;
  if (y.hi == 1) y.open_hi = false;
  return y;
}
static Range of_softplus(const Ranges *r, Node n, const Range *in) {
  Range y = range_rising(in[0], softplus_at);
  if (y.lo == 0 && !range_has(in[0], -INFINITY)) y.open_lo = true;
  return y;
}
static Range of_erfc(const Ranges *r, Node n, const Range *in) { return range_sub(range_point(1), reached(in[0], erf)); }

/* Its least value right of 0 is above -0.1215; left of it there is none. */
static Range of_lgamma(const Ranges *r, Node n, const Range *in) {
  Range y = range_of(in[0].lo >= 0 ? -0.1215 : -INFINITY, INFINITY);
  y.nan = in[0].nan;
  return y;
}
static double digamma(double x) { return x > 0 ? prim_info(P_DIGAMMA)->value(x, 0, 0) : -INFINITY; }
static Range of_digamma(const Ranges *r, Node n, const Range *in) {
  return in[0].lo >= 0 ? range_rising(in[0], digamma) : range_any(); /* NaN at the poles below 0 */
}

static Range of_is_nan(const Ranges *r, Node n, const Range *in) { return truth; }
static Range of_is_finite(const Ranges *r, Node n, const Range *in) { return truth; }
static Range of_not(const Ranges *r, Node n, const Range *in) {
  return range_of(not_at(in[0].hi > 0 ? 1 : 0), not_at(in[0].lo > 0 ? 1 : 0));
}

static Range of_add(const Ranges *r, Node n, const Range *in) { return range_add(in[0], in[1]); }
static Range of_sub(const Ranges *r, Node n, const Range *in) { return range_sub(in[0], in[1]); }
static bool inputs_same(const Ranges *r, Node n) {
  return node_is(plain_node(r->g, node_in(r->g, n, 0)), plain_node(r->g, node_in(r->g, n, 1)));
}
static Range of_mul(const Ranges *r, Node n, const Range *in) {
  return inputs_same(r, n) ? range_square(in[0]) : range_mul(in[0], in[1]);
}
static Range of_div(const Ranges *r, Node n, const Range *in) {
  if (node_type(r->g, n) == TYPE_I32) return range_any(); /* cut to the type's range */
  return range_div(in[0], in[1]);
}
static Range of_pow(const Ranges *r, Node n, const Range *in) { return range_pow(in[0], in[1]); }
static Range of_atan2(const Ranges *r, Node n, const Range *in) {
  Range y = range_of(-3.1415926535897936, 3.1415926535897936);
  y.nan = in[0].nan || in[1].nan;
  return y;
}
static Range of_max(const Ranges *r, Node n, const Range *in) { return range_max(in[0], in[1]); }
static Range of_min(const Ranges *r, Node n, const Range *in) { return range_min(in[0], in[1]); }

/* Comparisons are false of NaN. */
static Range decided(bool never_true, bool always_true) { return never_true ? range_point(0) : always_true ? range_point(1) : truth; }
static bool all_below(Range a, Range b) { return a.hi < b.lo || (a.hi == b.lo && (a.open_hi || b.open_lo)); }
static Range of_lt(const Ranges *r, Node n, const Range *in) {
  return decided(in[1].hi <= in[0].lo, all_below(in[0], in[1]) && !in[0].nan && !in[1].nan);
}
static Range of_le(const Ranges *r, Node n, const Range *in) {
  return decided(all_below(in[1], in[0]), in[0].hi <= in[1].lo && !in[0].nan && !in[1].nan);
}
static Range of_eq(const Ranges *r, Node n, const Range *in) {
  return decided(all_below(in[0], in[1]) || all_below(in[1], in[0]), false);
}
static Range of_ne(const Ranges *r, Node n, const Range *in) {
  return decided(false, all_below(in[0], in[1]) || all_below(in[1], in[0]));
}
static Range of_and(const Ranges *r, Node n, const Range *in) { return range_of(fmin(in[0].lo, in[1].lo), fmin(in[0].hi, in[1].hi)); }
static Range of_or(const Ranges *r, Node n, const Range *in) { return range_of(fmax(in[0].lo, in[1].lo), fmax(in[0].hi, in[1].hi)); }

enum { SELECT_DEPTH = 5 };

/* Each side where its condition holds, and the guard does. */
static Range select_under(const Ranges *r, Node n, const Guard *guard, int depth) {
  const Graph *g = r->g;
  const Range condition = range_at(r, node_in(g, n, 0));
  Range side[2] = {never, never};
  for (int k = 0; k < 2; k++) {
    Guard own = *guard;
    bool excluded = k == 0 ? condition.hi < 1 : condition.lo > 0;
    for (uint32_t i = 0; i < guard->count; i++)
      excluded = excluded || (node_is(guard->of[i].predicate, node_in(g, n, 0)) && guard->of[i].truth != (k == 0));
    if (excluded) continue;
    guard_add(g, &own, node_in(g, n, 0), k == 0);
    side[k] = range_under(r, node_in(g, n, 1 + (uint32_t)k), &own, depth);
  }
  return range_join(side[0], side[1]);
}

static Range of_select(const Ranges *r, Node n, const Range *in) {
  const Guard none = {.reached = true};
  return select_under(r, n, &none, SELECT_DEPTH);
}

static Range of_cast(const Ranges *r, Node n, const Range *in) {
  const Type from = node_type(r->g, node_in(r->g, n, 0)), to = node_type(r->g, n);
  if (to == TYPE_BOOL) return range_is_point(in[0]) ? range_point(in[0].lo != 0) : in[0].nan || range_has(in[0], 0) ? truth : range_point(1);
  if (to != TYPE_I32 || from == TYPE_I32 || from == TYPE_BOOL) return in[0];
  if (range_empty(in[0])) return range_point(0);
  Range y = range_of(fmax(trunc(in[0].lo), INT32_MIN), fmin(trunc(in[0].hi), INT32_MAX));
  return in[0].nan ? range_join(y, range_point(0)) : y;
}

/* ---- movement ---- */

static Range same(const Ranges *r, Node n, const Range *in) { return in[0]; }
#define of_mark same
#define of_stop same
static Range of_own(const Ranges *r, Node n, const Range *in) { return r->of[node_in(r->g, n, 0).id]; }
#define of_broadcast same
#define of_reshape same
#define of_transpose same
#define of_slice same
#define of_reverse same
#define of_window same
#define of_item same
#define of_stack same
#define of_reduce_min same
#define of_reduce_max same

static Range of_pad(const Ranges *r, Node n, const Range *in) { return range_join(in[0], range_point(0)); }
static Range of_concat(const Ranges *r, Node n, const Range *in) {
  Range y = never;
  for (uint32_t i = 0; i < node_data(r->g, n)->count; i++) {
    const Range part = range_at(r, node_in(r->g, n, i));
    y = i ? range_join(y, part) : part;
  }
  return y;
}

/* ---- sums ---- */

typedef struct {
  double least, most;
} Terms;

static void count_axis(Terms *t, int64_t extent) {
  t->least *= dim_is_batch(extent) ? 1 : (double)extent, t->most *= dim_is_batch(extent) ? INFINITY : (double)extent;
  if (t->most != t->most) t->most = 0;
}
static Terms terms_of(const Ranges *r, Node n) {
  const Dims *dims = node_dims(r->g, node_in(r->g, n, 0));
  Terms t = {1, 1};
  for (uint32_t i = 0; i < node_attr_count(r->g, n); i++) count_axis(&t, dims->dims[node_attr(r->g, n)[i]]);
  return t;
}

static Range of_sum(const Ranges *r, Node n, const Range *in) {
  const Terms t = terms_of(r, n);
  const Node x = plain_node(r->g, node_in(r->g, n, 0));
  Range y = range_sum(in[0], t.least, t.most);
  y.rare = y.rare || (t.most > 1 && node_prim(r->g, x) == P_MUL && inputs_same(r, x) && in[0].lo == 0);
  return y;
}
static Range of_prod(const Ranges *r, Node n, const Range *in) {
  const Terms t = terms_of(r, n);
  return range_prod(in[0], t.least, t.most);
}
static Range of_argmax(const Ranges *r, Node n, const Range *in) {
  const Terms t = terms_of(r, n);
  return range_of(0, fmax(0, fmin(t.most - 1, INT32_MAX)));
}

/* Is it sum x_i x_i, each term a square? */
static bool is_square_sum(const Ranges *r, Node n) {
  const int64_t *attr = node_attr(r->g, n);
  const int64_t pairs = attr[0], sums = attr[1];
  const Node a = node_in(r->g, n, 0);
  if (!inputs_same(r, n) || pairs + sums != node_rank(r->g, a)) return false;
  for (int64_t i = 0; i < pairs; i++)
    if (attr[2 + i] != attr[2 + pairs + i]) return false;
  for (int64_t i = 0; i < sums; i++)
    if (attr[2 + 2 * pairs + i] != attr[2 + 2 * pairs + sums + i]) return false;
  return true;
}
static Range of_contract(const Ranges *r, Node n, const Range *in) {
  const Dims *dims = node_dims(r->g, node_in(r->g, n, 0));
  const int64_t *attr = node_attr(r->g, n);
  Terms t = {1, 1};
  for (int64_t i = 0; i < attr[1]; i++) count_axis(&t, dims->dims[attr[2 + 2 * attr[0] + i]]);
  const bool square = is_square_sum(r, n);
  Range y = range_sum(square ? range_square(in[0]) : range_mul(in[0], in[1]), t.least, t.most);
  y.rare = square && t.most > 1;
  return y;
}

/* Each place has between none and all taps of a window. */
static Range of_unwindow(const Ranges *r, Node n, const Range *in) {
  const int64_t taps = node_dims(r->g, node_in(r->g, n, 0))->dims[node_attr(r->g, n)[0] + 1];
  return range_join(range_sum(in[0], 0, (double)taps), range_point(0));
}

/* A label is known; any other index may lie outside, where 0 is read. */
static Range of_gather(const Ranges *r, Node n, const Range *in) {
  const int64_t rows = node_dims(r->g, node_in(r->g, n, 0))->dims[node_attr(r->g, n)[0]];
  const bool inside = in[1].lo >= 0 && (dim_is_batch(rows) ? false : in[1].hi < (double)rows);
  return inside ? in[0] : range_join(in[0], range_point(0));
}
static Range of_scatter_add(const Ranges *r, Node n, const Range *in) { return range_join(range_sum(in[0], 0, INFINITY), range_point(0)); }

/* ---- loops ---- */

static Range of_carry(const Ranges *r, Node n, const Range *in) {
  return range_empty(r->carry[n.id]) ? in[0] : range_join(in[0], r->carry[n.id]);
}
static Range of_loop(const Ranges *r, Node n, const Range *in) { return range_of(0, (double)node_attr(r->g, n)[1]); }
static Range of_last(const Ranges *r, Node n, const Range *in) {
  const Node loop = node_in(r->g, n, 0);
  const uint32_t i = (uint32_t)node_attr(r->g, n)[0], carries = node_data(r->g, loop)->count / 2;
  return range_join(range_at(r, node_in(r->g, loop, i)), range_at(r, node_in(r->g, loop, carries + i)));
}

/* ---- the table ---- */

static Transfer *const table[P_COUNT] = {
#define PRIM(NAME, word, ...) [P_##NAME] = of_##word,
#define E1(NAME, word, ...) [P_##NAME] = of_##word,
#define E2(NAME, word, ...) [P_##NAME] = of_##word,
#define C1(NAME, word, ...) [P_##NAME] = of_##word,
#define C2(NAME, word, ...) [P_##NAME] = of_##word,
#include "prims.def"
#undef PRIM
#undef E1
#undef E2
#undef C1
#undef C2
};

/* What the node gives of inputs within these ranges; integers wrap around. */
static Range transfer(const Ranges *r, Node n, const Range *in) {
  const Prim prim = node_prim(r->g, n);
  Range y = table[prim](r, n, in), related;
  if (relation_of(r, n, &related)) {
    const bool nan = y.nan;
    y = range_meet(y, related);
    y.nan = nan;
  }
  if (y.lo == INFINITY && y.open_lo) y.lo = DBL_MAX; /* an end that overflowed */
  if (y.hi == -INFINITY && y.open_hi) y.hi = -DBL_MAX;
  if (node_type(r->g, n) == TYPE_I32 && (y.lo < INT32_MIN || y.hi > INT32_MAX)) y = range_of(INT32_MIN, INT32_MAX);
  return y;
}

static Range of_node(const Ranges *r, Node n) {
  const NodeData *d = node_data(r->g, n);
  Range in[3];
  for (uint32_t i = 0; i < d->count && d->count <= 3; i++) in[i] = r->of[node_in(r->g, n, i).id];
  return transfer(r, n, in);
}

/* An end that moves goes to the next of a few, so that it stands still soon. */
static Range widen(Range old, Range seen) {
  Range y = range_empty(old) ? seen : range_join(old, seen);
  if (range_empty(y)) return y;
  if (range_empty(old) || y.lo < old.lo) {
    const double lo = y.lo >= 0 ? 0 : y.lo >= -1 ? -1 : -INFINITY;
    if (lo != y.lo) y.lo = lo, y.open_lo = isinf(lo);
  }
  if (range_empty(old) || y.hi > old.hi) {
    const double hi = y.hi <= 0 ? 0 : y.hi <= 1 ? 1 : INFINITY;
    if (hi != y.hi) y.hi = hi, y.open_hi = isinf(hi);
  }
  return y;
}

/* Do rounds hand on more than was taken to be handed on? Then it is taken to be more. */
static bool grow_carries(Ranges *r, Node loop, bool give_up) {
  const uint32_t count = node_data(r->g, loop)->count / 2;
  bool grown = false;
  for (uint32_t i = 0; i < count; i++) {
    const Node carry = node_in(r->g, loop, i);
    const Range next = r->of[node_in(r->g, loop, count + i).id];
    if (range_within(next, r->of[carry.id])) continue;
    r->carry[carry.id] = give_up ? range_any() : widen(r->carry[carry.id], next);
    grown = true;
  }
  return grown;
}

enum { MOST_ROUNDS = 24 };

Ranges *ranges_new(const Graph *g, const Range *slots) {
  Ranges *r = mem_zero(1, sizeof *r);
  *r = (Ranges){g, slots, mem_zero(g->nodes.count, sizeof *r->of), mem_zero(g->nodes.count, sizeof *r->carry)};
  for (uint32_t id = 0; id < g->nodes.count; id++) r->carry[id] = never;
  bool grown = true;
  for (int round = 0; grown; round++) {
    grown = false;
    for (uint32_t id = 1; id < g->nodes.count; id++) {
      r->of[id] = of_node(r, (Node){id});
      if (node_prim(g, (Node){id}) == P_LOOP) grown |= grow_carries(r, (Node){id}, round >= MOST_ROUNDS);
    }
  }
  return r;
}

void ranges_free(Ranges *r) {
  if (!r) return;
  free(r->of);
  free(r->carry);
  free(r);
}

/* ---- under a guard ---- */

static Range below(Range b, bool strict) { return (Range){.lo = -INFINITY, .hi = b.hi, .open_hi = strict || b.open_hi, .nan = true}; }
static Range above(Range a, bool strict) { return (Range){.lo = a.lo, .hi = INFINITY, .open_lo = strict || a.open_lo, .nan = true}; }

/* x is n's range; a < b, or a <= b where not strict. `by_false`: known from the other comparison, which is false; NaN makes
 * it so, too. */
static Range where_less(const Ranges *r, Node n, Range x, Node a, Node b, bool strict, bool by_false) {
  const Graph *g = r->g;
  const Range ra = range_at(r, a), rb = range_at(r, b);
  const Node pa = plain_node(g, a), pb = plain_node(g, b);
  if (node_is(n, pa) && !range_empty(rb) && !(by_false && rb.nan)) x = range_meet(x, below(rb, strict));
  if (node_is(n, pb) && !range_empty(ra) && !(by_false && ra.nan)) x = range_meet(x, above(ra, strict));
  if (node_prim(g, pa) == P_ABS && node_is(n, plain_node(g, node_in(g, pa, 0))) && rb.hi > 0 && !(by_false && rb.nan)) {
    const Range size = {.lo = -rb.hi, .hi = rb.hi, .open_lo = strict, .open_hi = strict, .nan = true};
    x = range_meet(x, size);
  }
  if (node_prim(g, n) != P_SUB || (by_false && (ra.nan || rb.nan))) return x;
  const Node p = plain_node(g, node_in(g, n, 0)), q = plain_node(g, node_in(g, n, 1));
  if (node_is(p, pb) && node_is(q, pa)) x = range_meet(x, above(range_point(0), strict));
  if (node_is(p, pa) && node_is(q, pb)) x = range_meet(x, below(range_point(0), strict));
  return x;
}

static Range where_literal(const Ranges *r, Node n, Range x, const Literal *l) {
  const Graph *g = r->g;
  const Node p = l->predicate;
  const bool nan = x.nan && !l->truth;
  if (node_data(g, p)->count != 2) return x;
  const Node a = node_in(g, p, 0), b = node_in(g, p, 1);
  Range y = x;
  switch (node_prim(g, p)) {
  case P_LT: y = l->truth ? where_less(r, n, x, a, b, true, false) : where_less(r, n, x, b, a, false, true); break;
  case P_LE: y = l->truth ? where_less(r, n, x, a, b, false, false) : where_less(r, n, x, b, a, true, true); break;
  case P_EQ: case P_NE: {
    const Node pa = plain_node(g, a), pb = plain_node(g, b);
    const Node other = node_is(n, pa) ? b : node_is(n, pb) ? a : NODE_NONE;
    if (!other.id) return x;
    if ((node_prim(g, p) == P_EQ) == l->truth) y = range_meet(x, range_at(r, other));
    else if (range_is_point(range_at(r, other)) && range_at(r, other).lo == 0) y.nonzero = true;
    break;
  }
  default: return x;
  }
  y.nan = nan;
  return y;
}

Range range_under(const Ranges *r, Node n, const Guard *guard, int depth) {
  const Graph *g = r->g;
  const NodeData *d = node_data(g, n);
  Range x = r->of[n.id];
  if (!guard->count) return x;
  for (uint32_t i = 0; i < guard->count; i++) x = where_literal(r, plain_node(g, n), x, &guard->of[i]);
  if (depth <= 0 || !d->count) return x;
  Range in[3], y;
  if (node_has(g, n, K_IDENTITY)) {
    y = range_under(r, node_in(g, n, 0), guard, depth - 1);
  } else if (node_has(g, n, K_MOVEMENT) && d->count == 1) {
    const Guard inner = guard_before(g, n, guard);
    if (!inner.count) return x;
    in[0] = range_under(r, node_in(g, n, 0), &inner, depth - 1);
    y = transfer(r, n, in);
  } else if (node_prim(g, n) == P_SELECT) {
    y = select_under(r, n, guard, depth - 1);
  } else if (node_has(g, n, K_ELEMENTWISE)) {
    for (uint32_t i = 0; i < d->count; i++) in[i] = range_under(r, node_in(g, n, i), guard, depth - 1);
    y = transfer(r, n, in);
  } else {
    return x;
  }
  const bool nan = y.nan && x.nan;
  y = range_meet(x, y);
  y.nan = nan;
  return y;
}
