/* domain.c: arguments that can leave the domain of their function; see ranges.h. */
#include "build.h"
#include "facts.h"
#include "ranges.h"

enum { DEPTH = 8, SOURCE_STEPS = 24 };

static bool is_whole(double x) { return x == floor(x); }

/* Can the argument, within `x`, leave the domain? `f64` tells where exp overflows. */
static bool leaves(Prim prim, Range x, Range other, bool f64, DomainKind *kind) {
  const double limit = f64 ? 709.78 : 88.72;
  switch (prim) {
  case P_LOG: *kind = DOMAIN_LOG; return range_below(x, 0) || range_has(x, 0);
  case P_LOG1P: *kind = DOMAIN_LOG; return range_below(x, -1) || range_has(x, -1);
  case P_SQRT: *kind = DOMAIN_SQRT; return range_below(x, 0);
  case P_RSQRT: *kind = DOMAIN_SQRT; return range_below(x, 0) || (range_has(x, 0) && !x.rare);
  case P_DIV: *kind = DOMAIN_DIVISION; return range_has(x, 0) && !x.rare;
  case P_EXP: case P_EXPM1: case P_SINH: *kind = DOMAIN_EXP; return range_over(x, limit);
  case P_COSH: *kind = DOMAIN_EXP; return range_over(x, limit) || range_below(x, -limit);
  case P_POW:
    *kind = DOMAIN_POW;
    if (range_below(x, 0) && !(range_is_point(other) && is_whole(other.lo))) return true;
    return range_has(x, 0) && other.lo < 0;
  case P_ASIN: case P_ACOS: *kind = DOMAIN_ARC; return range_below(x, -1) || range_over(x, 1);
  default: return false;
  }
}

/* From where is the argument so free? The way back through inputs that are as unbounded as it is, to a product or a slot. */
static Node source_of(const Ranges *r, Node n, Range range) {
  const Graph *g = ranges_graph(r);
  for (int step = 0; step < SOURCE_STEPS; step++) {
    const NodeData *d = node_data(g, n);
    if (!node_has(g, n, K_ELEMENTWISE | K_MOVEMENT | K_IDENTITY | K_REDUCTION) || d->count > 3) break;
    Node next = NODE_NONE;
    double widest = 0;
    for (uint32_t i = node_prim(g, n) == P_SELECT; i < d->count; i++) {
      const Range x = range_at(r, node_in(g, n, i));
      const double width = range_empty(x) ? 0 : x.hi - x.lo;
      if (width > widest) widest = width, next = node_in(g, n, i);
    }
    if (!next.id || !isinf(widest)) break;
    n = next;
  }
  return n;
}

void facts_domain(const Ranges *r, const uint32_t *uses, const Guard *guards, DomainCases *out) {
  const Graph *g = ranges_graph(r);
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Node n = {id};
    if (!uses[id] || (node_type(g, n) != TYPE_F32 && node_type(g, n) != TYPE_F64)) continue;
    const Prim prim = node_prim(g, n);
    const bool division = prim == P_DIV;
    const Range other = prim == P_POW ? range_at(r, node_in(g, n, 1)) : range_point(0);
    DomainCase found = {.node = n};
    if (!node_data(g, n)->count || node_data(g, n)->count > 3) continue;
    found.argument = node_in(g, n, division);
    const bool f64 = node_type(g, n) == TYPE_F64;
    if (!leaves(prim, range_at(r, found.argument), other, f64, &found.kind)) continue;
    found.range = range_under(r, found.argument, &guards[id], DEPTH);
    if (range_empty(found.range) || !leaves(prim, found.range, other, f64, &found.kind)) continue;
    found.source = source_of(r, found.argument, found.range);
    vec_push(out, found);
  }
}
