/* fall.c: losses without a least value; see facts.h. An interval that is open below does not show it: z - log(sum e^z) looks
 * so. It is shown by a term that reaches minus infinity as the parameters grow, beside which nothing rises that depends on
 * the same parameters. */
#include <string.h>

#include "build.h"
#include "facts.h"
#include "ranges.h"

enum { UP = 1, DOWN = 2, MOST_TERMS = 48 };

typedef struct {
  const Ranges *r;
  const Graph *g;
  uint8_t *reach;   /* by node: UP, DOWN: to which infinities it goes as the parameters do */
  uint8_t *depends; /* by node: bit 0: its derivative by any of them need not be 0; bit 1: its value depends on them */
} Fall;
enum { BY_DERIVATIVE = 1, BY_VALUE = 2 };

static uint8_t swapped(uint8_t bits) { return (uint8_t)((bits & UP ? DOWN : 0) | (bits & DOWN ? UP : 0)); }

/* What a factor makes of it. One that comes from the data alone, a weight or a reward, is taken not to be negative. */
static uint8_t scaled(const Fall *f, uint8_t bits, Node factor) {
  const Range x = range_at(f->r, factor);
  if (range_empty(x) || (x.lo == 0 && x.hi == 0)) return 0;
  if (x.lo >= 0 || (x.hi > 0 && !f->depends[factor.id])) return bits;
  if (x.hi <= 0) return swapped(bits);
  return bits ? UP | DOWN : 0;
}

static uint8_t elementwise_reach(const Fall *f, Node n) {
  const Graph *g = f->g;
  const Node a = node_in(g, n, 0), b = node_data(g, n)->count > 1 ? node_in(g, n, 1) : NODE_NONE;
  const uint8_t ra = f->reach[a.id], rb = f->reach[b.id];
  switch (node_prim(g, n)) {
  case P_NEG: return swapped(ra);
  case P_ADD: return ra | rb;
  case P_SUB: return ra | swapped(rb);
  case P_MUL: /* of two that move, such as p log p or a b / |a|, it is not known */
    if (node_is(plain_node(g, a), plain_node(g, b))) return ra ? UP : 0;
    return f->depends[a.id] && f->depends[b.id] ? 0 : (uint8_t)(scaled(f, ra, b) | scaled(f, rb, a));
  case P_DIV: return f->depends[b.id] ? 0 : scaled(f, ra, b);
  case P_EXP: case P_EXPM1: case P_SOFTPLUS: case P_SQRT: return ra & UP;
  case P_LOG: case P_LOG1P: return (uint8_t)((ra & UP) | (f->depends[a.id] ? DOWN : 0));
  case P_ABS: case P_COSH: return ra ? UP : 0;
  case P_SINH: case P_CBRT: return ra;
  case P_CAST: return node_type(g, n) == TYPE_F32 || node_type(g, n) == TYPE_F64 ? ra : 0;
  case P_POW: return ra ? UP : 0;
  case P_MAX: return (uint8_t)(((ra | rb) & UP) | (ra & rb & DOWN));
  case P_MIN: return (uint8_t)(((ra | rb) & DOWN) | (ra & rb & UP));
  case P_SELECT: return rb | f->reach[node_in(g, n, 2).id];
  default: return 0;
  }
}

static uint8_t reach_of(const Fall *f, Node n) {
  const Graph *g = f->g;
  uint8_t any = 0;
  Node u;
  if (is_log_sum_exp(g, n, &u)) return f->reach[u.id];
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) any |= f->reach[node_in(g, n, i).id];
  if (node_has(g, n, K_ELEMENTWISE)) return elementwise_reach(f, n);
  if (node_has(g, n, K_CONTRACTION)) {
    const Node a = node_in(g, n, 0), b = node_in(g, n, 1);
    if (node_is(plain_node(g, a), plain_node(g, b))) return any;
    return (uint8_t)(scaled(f, f->reach[a.id], b) | scaled(f, f->reach[b.id], a));
  }
  switch (node_prim(g, n)) {
  case P_STOP: case P_ITEM: case P_STACK: case P_CARRY: case P_LAST: case P_LOOP: return 0; /* loops: not known */
  case P_PROD: return any ? UP | DOWN : 0;
  default: return any;
  }
}

static void find_reach(Fall *f, Node root, const Node *xs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (xs[i].id <= root.id) f->reach[xs[i].id] = UP | DOWN, f->depends[xs[i].id] = BY_DERIVATIVE | BY_VALUE;
  for (uint32_t id = 1; id <= root.id; id++) {
    const Node n = {id};
    if (f->depends[id]) continue; /* it is one of xs */
    for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
      const uint8_t in = f->depends[node_in(f->g, n, i).id];
      f->depends[id] |= facts_cut(f->r, n, i) == STILL_NOT ? in : in & BY_VALUE;
    }
    if (!(f->depends[id] & BY_DERIVATIVE)) continue;
    const Range x = range_at(f->r, n);
    f->reach[id] = reach_of(f, n);
    if (x.hi < INFINITY) f->reach[id] &= (uint8_t)~UP;
    if (x.lo > -INFINITY) f->reach[id] &= (uint8_t)~DOWN;
  }
}

/* ---- terms ---- */

typedef struct {
  Node node;
  bool minus;
} Term;
typedef struct {
  uint32_t count;
  Term of[MOST_TERMS];
} Terms;

/* False where there are too many. */
static bool add_term(Terms *t, Node n, bool minus) {
  for (uint32_t i = 0; i < t->count; i++)
    if (node_is(t->of[i].node, n) && t->of[i].minus == minus) return true;
  if (t->count == MOST_TERMS) return false;
  t->of[t->count++] = (Term){n, minus};
  return true;
}

/* The term as the terms that it is a sum of, as `out`; false: it stays. What is bounded on one side is taken as a whole. */
static bool take_apart(const Fall *f, Term t, Terms *out) {
  const Graph *g = f->g;
  const NodeData *d = node_data(g, t.node);
  const Range x = range_at(f->r, t.node);
  const Node a = d->count ? node_in(g, t.node, 0) : NODE_NONE, b = d->count > 1 ? node_in(g, t.node, 1) : NODE_NONE;
  double value;
  Node u;
  out->count = 0;
  if (x.lo > -INFINITY || x.hi < INFINITY || is_log_sum_exp(g, t.node, &u)) return false;
  switch (node_prim(g, t.node)) {
  case P_ADD: return add_term(out, a, t.minus) && add_term(out, b, t.minus);
  case P_SUB: return add_term(out, a, t.minus) && add_term(out, b, !t.minus);
  case P_NEG: return add_term(out, a, !t.minus);
  case P_MUL:
    if (node_constant(g, b, &value)) return value == 0 || add_term(out, a, t.minus != (value < 0));
    if (!f->depends[b.id] && range_over(range_at(f->r, b), 0)) return add_term(out, a, t.minus);
    if (!f->depends[a.id] && range_over(range_at(f->r, a), 0)) return add_term(out, b, t.minus);
    return false;
  case P_DIV: return !f->depends[b.id] && range_at(f->r, b).lo >= 0 && add_term(out, a, t.minus);
  case P_SELECT:
    if (node_constant(g, node_in(g, t.node, 2), &value)) return add_term(out, b, t.minus);
    if (node_constant(g, b, &value)) return add_term(out, node_in(g, t.node, 2), t.minus);
    return false;
  case P_SUM: case P_BROADCAST: case P_RESHAPE: case P_TRANSPOSE: case P_SLICE: case P_CAST: case P_MARK:
    return add_term(out, a, t.minus);
  default: return false;
  }
}

/* Of a sum; false where it has too many terms. */
static bool find_terms(const Fall *f, Node root, Terms *terms) {
  Terms parts;
  add_term(terms, root, false);
  for (uint32_t i = 0, steps = 0; i < terms->count; steps++) {
    if (steps > 64 * MOST_TERMS) return false;
    if (!take_apart(f, terms->of[i], &parts)) {
      i++;
      continue;
    }
    terms->of[i] = terms->of[--terms->count];
    for (uint32_t k = 0; k < parts.count; k++)
      if (!add_term(terms, parts.of[k].node, parts.of[k].minus)) return false;
  }
  return true;
}

/* By number of xs: does the term depend on it, in this way? */
static void parameters_of(const Fall *f, Node term, uint8_t way, const Node *xs, uint32_t count, uint8_t *has) {
  uint8_t *seen = mem_zero(term.id + 1, 1);
  seen[term.id] = 1;
  for (uint32_t id = term.id; id > 0; id--)
    for (uint32_t i = 0; seen[id] && i < node_data(f->g, (Node){id})->count; i++) {
      const Node in = node_in(f->g, (Node){id}, i);
      if ((f->depends[in.id] & way) && (way == BY_VALUE || facts_cut(f->r, (Node){id}, i) == STILL_NOT)) seen[in.id] = 1;
    }
  for (uint32_t i = 0; i < count; i++) has[i] = xs[i].id <= term.id && seen[xs[i].id];
  free(seen);
}

static bool falls(const Fall *f, Term t) { return f->reach[t.node.id] & (t.minus ? UP : DOWN); }
static bool may_rise(const Fall *f, Term t) {
  const Range x = range_at(f->r, t.node);
  return f->depends[t.node.id] && (t.minus ? x.lo == -INFINITY : x.hi == INFINITY);
}

/* A falling term that no other one holds. */
static Node unheld(const Fall *f, const Terms *terms, const Node *xs, uint32_t count, uint32_t *by) {
  Node found = NODE_NONE;
  uint8_t *own = mem_zero(2 * (count + 1), 1), *other = own + count + 1;
  for (uint32_t i = 0; i < terms->count && !found.id; i++) {
    if (!falls(f, terms->of[i])) continue;
    bool held = false;
    parameters_of(f, terms->of[i].node, BY_DERIVATIVE, xs, count, own);
    for (uint32_t k = 0; k < terms->count && !held; k++) {
      if (k == i || !may_rise(f, terms->of[k])) continue;
      parameters_of(f, terms->of[k].node, BY_VALUE, xs, count, other);
      for (uint32_t p = 0; p < count; p++) held = held || (own[p] && other[p]);
    }
    if (!held) found = terms->of[i].node;
  }
  for (uint32_t p = count; found.id && p-- > 0;)
    if (own[p]) *by = p;
  free(own);
  return found;
}

Node facts_falls(const Ranges *r, Node root, const Node *xs, uint32_t count, uint32_t *by) {
  const Graph *g = ranges_graph(r);
  Fall f = {r, g, mem_zero(root.id + 1, 1), mem_zero(root.id + 1, 1)};
  Terms terms = {0};
  Node found = NODE_NONE;
  find_reach(&f, root, xs, count);
  if (range_at(r, root).lo == -INFINITY && find_terms(&f, root, &terms)) found = unheld(&f, &terms, xs, count, by);
  free(f.reach);
  free(f.depends);
  return found;
}
