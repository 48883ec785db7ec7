/* reverse.c: the walk from a value back to what it is differentiated by. */
#include "reverse.h"

#include <stdlib.h>

#include "mem.h"
#include "mutate.h"

static bool input_depends(const Reverse *r, Node n, uint32_t i) { return reverse_depends(r, node_in(r->g, n, i)); }

/* A carry of an open loop is given; one of a closed loop is what the round before made of it. */
static bool node_depends(const Reverse *r, Node n) {
  const Graph *g = r->g;
  const uint32_t count = node_data(g, n)->count;
  switch (node_prim(g, n)) {
  case P_CARRY:
    for (uint32_t i = 0; i < r->loops.list.count; i++) {
      const LoopInfo *loop = &r->loops.list.data[i];
      if (loop->number != (uint32_t)node_attr(g, n)[0]) continue;
      if (loop_within(&r->loops, r->scope, (int32_t)i)) return false;
      return input_depends(r, n, 0) || reverse_depends(r, loop_next(g, loop, (uint32_t)node_attr(g, n)[1]));
    }
    return false; /* not closed yet: given */
  case P_LAST: {
    const Node loop = node_in(g, n, 0);
    const uint32_t i = (uint32_t)node_attr(g, n)[0], carries = node_data(g, loop)->count / 2u;
    return input_depends(r, loop, i) || input_depends(r, loop, carries + i);
  }
  case P_STACK: return input_depends(r, n, 0);
  default:
    for (uint32_t i = 0; i < count; i++)
      if (input_depends(r, n, i)) return true;
    return false;
  }
}

/* Which nodes depend on one of the xs. Round by round through the carries, until nothing is new. */
static void find_dependents(Reverse *r, const Node *xs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (reverse_knows(r, xs[i])) r->depends[xs[i].id - r->first] = 1;
  for (bool more = true; more;) {
    more = false;
    for (uint32_t id = r->first; id <= r->last; id++) {
      uint8_t *depends = &r->depends[id - r->first];
      if (*depends || !id || !node_depends(r, (Node){id})) continue;
      *depends = 1;
      more = r->loops.list.count > 0;
    }
  }
}

static Reverse reverse_new(Graph *g, Node y, const Node *xs, uint32_t count) {
  Reverse r = {.g = g, .loops = loops_find(g), .known = g->nodes.count, .first = y.id, .last = y.id};
  r.scope = loop_of(&r.loops, y);
  for (uint32_t i = 0; i < count; i++)
    if (xs[i].id < r.first) r.first = xs[i].id;
  if (r.loops.list.count) r.first = 1; /* a carry may be older than what its body reads */
  r.depends = mem_zero(r.last - r.first + 1, 1);
  find_dependents(&r, xs, count);
  return r;
}

static void reverse_free(Reverse *r) {
  loops_free(&r->loops);
  free(r->depends);
  free(r->gradients);
  reach_end(r);
}

bool grad_depends(const Graph *g, Node y, Node x) {
  if (y.id < x.id) return false;
  Reverse r = reverse_new((Graph *)g, y, &x, 1);
  const bool answer = reverse_depends(&r, y);
  reverse_free(&r);
  return answer;
}

static bool is_float(const Graph *g, Node n) { return node_type(g, n) == TYPE_F32 || node_type(g, n) == TYPE_F64; }

/* What `node` with gradient `in` gives to its input i, or NODE_NONE. */
static Node part_of(const Reverse *r, Node node, Node in, uint32_t i) {
  Graph *g = r->g;
  const PrimInfo *prim = prim_info(node_prim(g, node));
  const bool steep = reverse_steep(r, node), product = steep && node_prim(g, node) == P_CONTRACT;
  const Node to = node_in(g, node, i), from = product ? reach_shield(r, node, i) : node;
  Node part = MUTATED_GRADIENT(g, prim->word, i, prim->derive(g, from, in, i));
  if (part.id && (node_type(g, part) != node_type(g, to) || node_shape(g, part).id != node_shape(g, to).id))
    DIAG_BUG(g->session, g->span, "the gradient of `%s` by input %u has another shape than the input",
             prim->word, i);
  const Node seen = steep && !product && part.id ? reach_through(r, node, i) : NODE_NONE;
  return seen.id ? build_select(g, seen, part, build_like(g, part, 0)) : part;
}

static Node add_part(Graph *g, Node sum, Node part) {
  return !sum.id ? part : !part.id ? sum : build_add(g, sum, part);
}

void reverse_give(Reverse *r, Node n, Node part, Node reach) {
  if (!part.id || !reverse_depends(r, n) || !is_float(r->g, n)) return;
  if (r->level && loop_of(&r->loops, n) != r->level->loop) {
    vec_push(&r->level->parts, ((Part){n, part}));
    return;
  }
  Node *sum = &r->gradients[n.id - r->first], *all = r->reach ? &r->reach[n.id - r->first] : NULL;
  if (all && !sum->id) *all = reach;
  else if (all) *all = all->id && reach.id ? build_binary(r->g, P_OR, *all, reach) : NODE_NONE;
  *sum = add_part(r->g, *sum, part);
}

/* Gives its parts to the inputs that matter. An input that occurs twice gets its parts in one: the x g + x g of a square
 * are 2 x g. */
static void spread(Reverse *r, Node node, Node in) {
  Graph *g = r->g;
  const uint32_t count = node_data(g, node)->count;
  g->span = node_data(g, node)->span;
  for (uint32_t i = 0; i < count; i++) {
    const Node to = node_in(g, node, i);
    if (!reverse_depends(r, to) || !is_float(g, to)) continue;
    bool seen = false;
    for (uint32_t k = 0; k < i && !seen; k++) seen = node_is(node_in(g, node, k), to);
    if (seen) continue;
    Node part = part_of(r, node, in, i), reach = reverse_hides(r, to) ? reach_through(r, node, i) : NODE_NONE;
    for (uint32_t k = i + 1; k < count; k++) {
      if (!node_is(node_in(g, node, k), to)) continue;
      part = add_part(g, part, part_of(r, node, in, k));
      const Node more = reach.id ? reach_through(r, node, k) : NODE_NONE;
      reach = more.id ? build_binary(g, P_OR, reach, more) : NODE_NONE;
    }
    reverse_give(r, to, part, reach);
  }
}

/* The results of a loop keep their gradients until the walk comes to the loop; a level's items until it ends. */
static bool waits(const Reverse *r, Node n) {
  const Prim p = node_prim(r->g, n);
  if (p == P_STACK || p == P_LAST) return true;
  return r->level && (p == P_CARRY || p == P_ITEM) &&
         node_attr(r->g, n)[0] == r->loops.list.data[r->level->loop].number;
}

static bool in_level(const Reverse *r, Node n) {
  const int32_t loop = loop_of(&r->loops, n);
  return r->level ? loop == r->level->loop : loop_within(&r->loops, r->scope, loop);
}

void reverse_walk(Reverse *r, uint32_t from) {
  for (uint32_t id = from; id >= r->first && id > 0; id--) {
    const Node n = {id}, in = r->gradients[id - r->first];
    if (!in_level(r, n)) continue;
    if (node_prim(r->g, n) == P_LOOP) {
      for (uint32_t i = 0; i < r->loops.list.count; i++)
        if (node_is(r->loops.list.data[i].token, n)) reverse_loop(r, (int32_t)i);
    } else if (in.id && reverse_depends(r, n) && !waits(r, n)) {
      spread(r, n, in);
    }
  }
}

void grad_reverse(Graph *g, Node y, Node seed, const Node *xs, uint32_t count, Node *results) {
  const Span span = g->span;
  for (uint32_t i = 0; i < count; i++) results[i] = NODE_NONE;
  Reverse r = reverse_new(g, y, xs, count);
  r.gradients = mem_zero(r.last - r.first + 1, sizeof *r.gradients);
  reach_begin(&r);
  if (is_float(g, y)) r.gradients[y.id - r.first] = seed.id ? seed : build_full(g, node_type(g, y), 1, node_shape(g, y));
  reverse_walk(&r, y.id);
  for (uint32_t i = 0; i < count; i++)
    if (xs[i].id <= y.id && reverse_depends(&r, y)) results[i] = r.gradients[xs[i].id - r.first];
  reverse_free(&r);
  g->span = span;
}
