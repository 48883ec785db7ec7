/* guards.c: what selects make sure of, wherever a value is used: in select(0 < x, log x, 0) the logarithm is looked at only
 * where 0 < x. A guard holds element by element; it passes through maps that the predicate went through too. */
#include "build.h"
#include "ranges.h"

void guard_add(const Graph *g, Guard *guard, Node p, bool truth) {
  p = plain_node(g, p);
  const Prim prim = node_prim(g, p);
  if (prim == P_NOT) {
    guard_add(g, guard, node_in(g, p, 0), !truth);
    return;
  }
  if ((prim == P_AND && truth) || (prim == P_OR && !truth)) {
    guard_add(g, guard, node_in(g, p, 0), truth);
    guard_add(g, guard, node_in(g, p, 1), truth);
    return;
  }
  for (uint32_t i = 0; i < guard->count; i++)
    if (node_is(guard->of[i].predicate, p)) return;
  if (guard->count < MOST_LITERALS) guard->of[guard->count++] = (Literal){p, truth};
}

/* What both say. */
static void guard_meet(Guard *guard, const Guard *other) {
  if (!guard->reached) {
    *guard = *other;
    return;
  }
  uint8_t kept = 0;
  for (uint32_t i = 0; i < guard->count; i++)
    for (uint32_t k = 0; k < other->count; k++)
      if (node_is(guard->of[i].predicate, other->of[k].predicate) && guard->of[i].truth == other->of[k].truth) {
        guard->of[kept++] = guard->of[i];
        break;
      }
  guard->count = kept;
}

/* The guard of a user as its input number i sees it. */
static Guard guard_of_input(const Graph *g, Node user, uint32_t i, const Guard *guard) {
  if (node_prim(g, user) == P_SELECT && i > 0) {
    Guard own = *guard;
    guard_add(g, &own, node_in(g, user, 0), i == 1);
    return own;
  }
  if (node_has(g, user, K_ELEMENTWISE | K_IDENTITY)) return *guard;
  if (node_has(g, user, K_MOVEMENT) && node_data(g, user)->count == 1) return guard_before(g, user, guard);
  return (Guard){.reached = true};
}

Guard guard_before(const Graph *g, Node map, const Guard *guard) {
  Guard inner = {.reached = true};
  const uint32_t count = node_attr_count(g, map);
  for (uint32_t i = 0; i < guard->count; i++) {
    const Node p = guard->of[i].predicate;
    bool equal = node_prim(g, p) == node_prim(g, map) && node_shape(g, p).id == node_shape(g, map).id && node_attr_count(g, p) == count;
    equal = equal && node_shape(g, node_in(g, p, 0)).id == node_shape(g, node_in(g, map, 0)).id;
    for (uint32_t k = 0; equal && k < count; k++) equal = node_attr(g, p)[k] == node_attr(g, map)[k];
    if (equal) guard_add(g, &inner, node_in(g, p, 0), guard->of[i].truth);
  }
  return inner;
}

Guard *guards_find(const Graph *g, const Node *roots, uint32_t count) {
  Guard *guards = mem_zero(g->nodes.count, sizeof *guards);
  for (uint32_t i = 0; i < count; i++) guards[roots[i].id].reached = true;
  for (uint32_t id = g->nodes.count - 1; id > 0; id--) {
    if (!guards[id].reached) continue;
    for (uint32_t i = 0; i < node_data(g, (Node){id})->count; i++) {
      const Guard own = guard_of_input(g, (Node){id}, i, &guards[id]);
      guard_meet(&guards[node_in(g, (Node){id}, i).id], &own);
    }
  }
  return guards;
}
