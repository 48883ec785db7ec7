/* still.c: derivatives that are 0 by construction. Either every way is cut (a branch never taken, a rounding), or what a
 * parameter adds is taken off again: a bias before a normaliser that subtracts the mean. */
#include <string.h>

#include "build.h"
#include "facts.h"
#include "ranges.h"

static bool is_float(const Graph *g, Node n) { return node_type(g, n) == TYPE_F32 || node_type(g, n) == TYPE_F64; }

static bool is_zero(const Graph *g, Node n) {
  double value;
  return node_constant(g, n, &value) && value == 0;
}

StillKind facts_cut(const Ranges *r, Node user, uint32_t i) {
  const Graph *g = ranges_graph(r);
  const Prim prim = node_prim(g, user);
  if (!is_float(g, user) || !is_float(g, node_in(g, user, i))) return prim == P_LOOP || prim == P_STACK || prim == P_LAST ? STILL_NOT : STILL_DISCRETE;
  switch (prim) {
  case P_STOP: return STILL_STOPPED;
  case P_OWN: return i < 2 || i % 2 || is_zero(g, node_in(g, user, i + 1)) ? STILL_OWN : STILL_NOT;
  case P_FLOOR: case P_CEIL: case P_ROUND: case P_TRUNC: case P_SIGN: return STILL_STEP;
  case P_SELECT: {
    const Range c = range_at(r, node_in(g, user, 0));
    return (i == 1 && c.hi == 0) || (i == 2 && c.lo == 1) ? STILL_BRANCH : STILL_NOT;
  }
  case P_MUL: return is_zero(g, node_in(g, user, 1 - i)) ? STILL_ZERO : STILL_NOT;
  case P_MAX: case P_MIN: {
    const Range own = range_at(r, node_in(g, user, i)), other = range_at(r, node_in(g, user, 1 - i));
    return (prim == P_MAX ? own.hi < other.lo : own.lo > other.hi) ? STILL_BOUND : STILL_NOT;
  }
  default: return STILL_NOT;
  }
}

struct FactsLive {
  const Ranges *ranges;
  Node root;
  uint8_t *live;         /* by node: does a way lead to the root along which no derivative is 0 by construction? */
  uint32_t *first, *user; /* user[first[n] .. first[n + 1] - 1]: who reads n */
};

static void mark_live(FactsLive *f, const Graph *g) {
  f->live[f->root.id] = 1;
  for (uint32_t id = f->root.id; id > 0; id--)
    for (uint32_t i = 0; f->live[id] && i < node_data(g, (Node){id})->count; i++)
      if (facts_cut(f->ranges, (Node){id}, i) == STILL_NOT) f->live[node_in(g, (Node){id}, i).id] = 1;
}

static void list_users(FactsLive *f, const Graph *g) {
  const uint32_t n = f->root.id;
  for (uint32_t id = 1; id <= n; id++)
    for (uint32_t i = 0; i < node_data(g, (Node){id})->count; i++) f->first[node_in(g, (Node){id}, i).id + 1]++;
  for (uint32_t id = 0; id <= n; id++) f->first[id + 1] += f->first[id];
  f->user = mem_zero(f->first[n + 1] + 1, sizeof *f->user);
  uint32_t *at = mem_zero(n + 2, sizeof *at);
  memcpy(at, f->first, (n + 2) * sizeof *at);
  for (uint32_t id = 1; id <= n; id++)
    for (uint32_t i = 0; i < node_data(g, (Node){id})->count; i++) f->user[at[node_in(g, (Node){id}, i).id]++] = id;
  free(at);
}

FactsLive *facts_live_new(const Ranges *r, Node root) {
  FactsLive *f = mem_zero(1, sizeof *f);
  *f = (FactsLive){r, root, mem_zero(root.id + 1, 1), mem_zero(root.id + 2, sizeof *f->first), NULL};
  mark_live(f, ranges_graph(r));
  list_users(f, ranges_graph(r));
  return f;
}

void facts_live_free(FactsLive *f) {
  free(f->live);
  free(f->first);
  free(f->user);
  free(f);
}

/* Nodes in the order of their numbers, so that inputs come before users; few at a time. */
enum { MOST_PENDING = 64, MOST_VISITED = 256 };
typedef struct {
  uint32_t count, id[MOST_PENDING];
} Pending;

static bool pending_add(Pending *p, uint32_t id) {
  uint32_t at = p->count;
  for (uint32_t i = 0; i < p->count; i++)
    if (p->id[i] == id) return true;
  if (p->count == MOST_PENDING) return false;
  for (; at > 0 && p->id[at - 1] < id; at--) p->id[at] = p->id[at - 1]; /* the least is last */
  p->id[at] = id, p->count++;
  return true;
}

static bool add_users(const FactsLive *f, Pending *p, uint32_t id) {
  for (uint32_t i = f->first[id]; i < f->first[id + 1]; i++)
    if (!pending_add(p, f->user[i])) return false;
  return true;
}

/* ---- what is taken off again ---- */

/* How a node depends on x: not; as a + k x, which varies along some axes of the node; or otherwise. */
typedef enum { FREE, LINEAR, BENT } Dependence;
typedef struct {
  uint8_t dependence, varies; /* varies: a bit an axis */
} Way;

/* Does n divide by (multiply by, where `times`) the number of terms of the sum? */
static bool is_count(const Graph *g, Node n, Node sum, bool times) {
  const Dims *dims = node_dims(g, node_in(g, sum, 0));
  double known = 1, value;
  uint32_t batches = 0, found = 0;
  for (uint32_t i = 0; i < node_attr_count(g, sum); i++) {
    const int64_t extent = dims->dims[node_attr(g, sum)[i]];
    if (dim_is_batch(extent)) batches++;
    else known *= (double)extent;
  }
  if (node_constant(g, n, &value)) return !batches && fabs(value * (times ? known : 1 / known) - 1) < 1e-6;
  double factor = 1;
  for (;;) {
    if (node_prim(g, n) == P_CAST || node_prim(g, n) == P_BROADCAST) n = node_in(g, n, 0);
    else if (node_prim(g, n) == P_MUL && node_constant(g, node_in(g, n, 1), &value)) factor *= value, n = node_in(g, n, 0);
    else if (node_prim(g, n) == P_MUL && node_constant(g, node_in(g, n, 0), &value)) factor *= value, n = node_in(g, n, 1);
    else break;
  }
  found = node_prim(g, n) == P_EXTENT;
  return !times && found == batches && batches == 1 && factor == known;
}

static Node bare(const Graph *g, Node n) {
  while (node_has(g, n, K_IDENTITY) || node_prim(g, n) == P_RESHAPE) n = node_in(g, n, 0);
  return n;
}

/* Is m the mean of x over axes along which x's share of the parameter does not vary, given back to each? */
static bool is_mean_along(const Graph *g, Node m, Node x, uint8_t varies) {
  m = bare(g, m);
  if (node_prim(g, m) != P_BROADCAST) return false;
  const Node mean = bare(g, node_in(g, m, 0));
  const bool times = node_prim(g, mean) == P_MUL;
  if (node_prim(g, mean) != P_DIV && !times) return false;
  const Node sum = bare(g, node_in(g, mean, 0));
  if (node_prim(g, sum) != P_SUM || !node_is(plain_node(g, node_in(g, sum, 0)), plain_node(g, x))) return false;
  for (uint32_t i = 0; i < node_attr_count(g, sum); i++)
    if (varies >> node_attr(g, sum)[i] & 1) return false;
  return is_count(g, node_in(g, mean, 1), sum, times);
}

static uint8_t all_axes(const Graph *g, Node n) { return (uint8_t)((1u << node_rank(g, n)) - 1); }

/* Along which axes a node can vary at all. */
static uint8_t axes_of(const Graph *g, Node n) {
  uint8_t axes = 0;
  n = plain_node(g, n);
  if (node_prim(g, n) != P_BROADCAST) return all_axes(g, n);
  for (uint32_t i = 0; i < node_attr_count(g, n); i++) axes |= (uint8_t)(1u << node_attr(g, n)[i]);
  return axes;
}

/* Axes that a reshape makes of others, group by group of equal products. */
static uint8_t reshaped(const Graph *g, Node n, uint8_t varies) {
  const Dims *from = node_dims(g, node_in(g, n, 0)), *to = node_dims(g, n);
  uint8_t out = 0;
  uint32_t i = 0, k = 0;
  while (i < from->rank || k < to->rank) {
    const uint32_t i0 = i, k0 = k;
    int64_t a = i < from->rank ? from->dims[i++] : 1, b = k < to->rank ? to->dims[k++] : 1;
    while (a != b && (i < from->rank || k < to->rank)) { /* batch axes are below 0, and stay axes of their own */
      if (a < 0 || b < 0) {
        if (a == 1 && i < from->rank) a = from->dims[i++];
        else if (b == 1 && k < to->rank) b = to->dims[k++];
        else return all_axes(g, n);
      } else if (a < b && i < from->rank) a *= from->dims[i++];
      else if (k < to->rank) b *= to->dims[k++];
      else if (i < from->rank) a *= from->dims[i++];
    }
    bool any = false;
    for (uint32_t p = i0; p < i; p++) any = any || varies >> p & 1;
    for (uint32_t p = k0; any && p < k; p++) out |= (uint8_t)(1u << p);
  }
  return out;
}

/* The ways of the nodes that depend on x, so far as they have been visited. */
typedef struct {
  uint32_t count;
  Node node[MOST_VISITED];
  Way way[MOST_VISITED];
} Ways;

static Way way_at(const Ways *ways, Node n) {
  for (uint32_t i = ways->count; i-- > 0;)
    if (node_is(ways->node[i], n)) return ways->way[i];
  return (Way){FREE, 0};
}

static Way way_of(const Graph *g, Node n, const Ways *ways) {
  const NodeData *d = node_data(g, n);
  const int64_t *attr = node_attr_count(g, n) ? node_attr(g, n) : NULL;
  Way in[2] = {{FREE, 0}, {FREE, 0}};
  bool any = false;
  for (uint32_t i = 0; i < d->count; i++) {
    const Way w = way_at(ways, node_in(g, n, i));
    if (i < 2) in[i] = w;
    any = any || w.dependence != FREE;
  }
  if (!any) return (Way){FREE, 0};
  const Way bent = {BENT, 0};
  const bool straight = in[0].dependence != BENT && in[1].dependence != BENT;
  Way out = {LINEAR, (uint8_t)(in[0].varies | in[1].varies)};
  Node u;
  switch (node_prim(g, n)) {
  case P_MARK: case P_NEG: return in[0];
  case P_CAST: return is_float(g, n) ? in[0] : bent;
  case P_SUB:
    if (in[0].dependence == LINEAR && is_mean_along(g, node_in(g, n, 1), node_in(g, n, 0), in[0].varies)) return (Way){FREE, 0};
    return straight ? out : bent;
  case P_ADD: return straight ? out : bent;
  case P_MUL: case P_DIV:
    if (node_prim(g, n) == P_DIV && is_softmax(g, n, &u) && way_at(ways, u).dependence == LINEAR) {
      const Node sum = bare(g, node_in(g, n, 1)); /* the softmax's axes are those that its sum is repeated along */
      uint8_t kept = node_prim(g, sum) == P_BROADCAST ? axes_of(g, sum) : all_axes(g, n);
      const uint8_t over = (uint8_t)(all_axes(g, n) & ~kept);
      if (!(way_at(ways, u).varies & over)) return (Way){FREE, 0};
    }
    if (!straight || in[1].dependence == LINEAR) {
      if (node_prim(g, n) == P_DIV || !straight || in[0].dependence == LINEAR) return bent;
      out.varies |= axes_of(g, node_in(g, n, 0));
      return out;
    }
    out.varies |= axes_of(g, node_in(g, n, 1));
    return out;
  case P_BROADCAST:
    out.varies = 0;
    for (uint32_t i = 0; i < node_attr_count(g, n); i++)
      if (in[0].varies >> i & 1) out.varies |= (uint8_t)(1u << attr[i]);
    return straight ? out : bent;
  case P_TRANSPOSE:
    out.varies = 0;
    for (uint32_t i = 0; i < node_rank(g, n); i++)
      if (in[0].varies >> attr[i] & 1) out.varies |= (uint8_t)(1u << i);
    return straight ? out : bent;
  case P_RESHAPE: out.varies = reshaped(g, n, in[0].varies); return straight ? out : bent;
  case P_SLICE: return in[0];
  case P_SUM:
    out.varies = 0;
    for (uint32_t i = 0, k = 0; i < node_rank(g, node_in(g, n, 0)); i++) {
      bool gone = false;
      for (uint32_t j = 0; j < node_attr_count(g, n); j++) gone = gone || attr[j] == i;
      if (gone) continue;
      if (in[0].varies >> i & 1) out.varies |= (uint8_t)(1u << k);
      k++;
    }
    return straight ? out : bent;
  default: return bent;
  }
}

/* The node behind x that takes off what x adds, where the root does not depend on x for that; else none. Only what happens soon
 * is found: the way through a whole network is not followed for each of its parameters. */
static Node taken_off_at(const FactsLive *f, Node x) {
  const Graph *g = ranges_graph(f->ranges);
  Ways ways = {1, {x}, {{LINEAR, all_axes(g, x)}}};
  Pending pending = {0};
  Node at = NODE_NONE;
  if (!add_users(f, &pending, x.id)) return NODE_NONE;
  while (pending.count) {
    const Node n = {pending.id[--pending.count]};
    const Way way = way_of(g, n, &ways);
    if (way.dependence == FREE) {
      if (!at.id && f->live[n.id]) at = n;
      continue;
    }
    if (node_is(n, f->root) || ways.count == MOST_VISITED) return NODE_NONE;
    ways.node[ways.count] = n, ways.way[ways.count++] = way;
    if (!add_users(f, &pending, n.id)) return NODE_NONE;
  }
  return at;
}

/* The first cut on the ways from x to what is live. */
static Still cut_behind(const FactsLive *f, Node x) {
  const Graph *g = ranges_graph(f->ranges);
  uint8_t *reached = mem_zero(f->root.id + 1, 1);
  Still still = {STILL_NOT, NODE_NONE};
  reached[x.id] = 1;
  for (uint32_t id = x.id + 1; id <= f->root.id && !still.kind; id++)
    for (uint32_t i = 0; i < node_data(g, (Node){id})->count; i++) {
      if (!reached[node_in(g, (Node){id}, i).id]) continue;
      reached[id] = 1;
      const StillKind cut = facts_cut(f->ranges, (Node){id}, i);
      if (cut && f->live[id] && !still.kind) still = (Still){cut, {id}};
    }
  free(reached);
  return still;
}

Still facts_still(const FactsLive *f, Node x) {
  if (x.id > f->root.id) return (Still){STILL_NOT, NODE_NONE};
  if (!f->live[x.id]) return cut_behind(f, x);
  const Node at = taken_off_at(f, x);
  return at.id ? (Still){STILL_CENTRED, at} : (Still){STILL_NOT, NODE_NONE};
}
