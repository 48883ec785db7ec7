/* loops.c: see loops.h. */
#include "loops.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "mem.h"

/* ---- which nodes are in which loop ---- */

typedef struct {
  uint64_t *bits;  /* by node: the loops whose carries or items it depends on */
  uint32_t words;
  int32_t *by_number;
} Sets;

static uint64_t *set_of(const Sets *s, uint32_t id) { return s->bits + (size_t)id * s->words; }
static bool set_has(const Sets *s, uint32_t id, int32_t loop) { return set_of(s, id)[loop / 64] >> (loop % 64) & 1; }

/* Adds what its inputs depend on. A LOOP lies in all loops that any of its results depends on: true where it grew by a
 * stack, which comes later. */
static bool fill_set(const Graph *g, const Sets *s, Node n) {
  const NodeData *d = node_data(g, n);
  bool grown = false;
  uint64_t *own = set_of(s, n.id);
  for (uint32_t i = 0; i < d->count; i++) {
    const uint64_t *in = set_of(s, node_in(g, n, i).id);
    for (uint32_t w = 0; w < s->words; w++) own[w] |= in[w];
  }
  if (d->prim == P_CARRY || d->prim == P_ITEM) {
    const int32_t loop = s->by_number[node_attr(g, n)[0]];
    if (loop >= 0) own[loop / 64] |= 1ull << (loop % 64);
  } else if (d->prim == P_LOOP || d->prim == P_STACK) {
    const Node token = d->prim == P_LOOP ? n : node_in(g, n, 1);
    const int32_t loop = s->by_number[node_attr(g, token)[0]];
    own[loop / 64] &= ~(1ull << (loop % 64));
    for (uint32_t w = 0; w < s->words && d->prim == P_STACK; w++) {
      uint64_t *around = set_of(s, token.id);
      grown |= (own[w] & ~around[w]) != 0;
      around[w] |= own[w];
    }
  }
  return grown;
}

static uint32_t set_size(const Sets *s, uint32_t id) {
  uint32_t size = 0;
  for (uint32_t w = 0; w < s->words; w++) size += (uint32_t)__builtin_popcountll(set_of(s, id)[w]);
  return size;
}

static int32_t deepest(const Loops *l, const Sets *s, uint32_t id) {
  int32_t best = -1;
  for (uint32_t i = 0; i < l->list.count; i++)
    if (set_has(s, id, (int32_t)i) && (best < 0 || l->list.data[i].depth > l->list.data[best].depth)) best = (int32_t)i;
  return best;
}

static Sets sets_new(const Graph *g, Loops *l) {
  Sets s = {.by_number = mem_alloc(((size_t)g->loops + 1) * sizeof *s.by_number)};
  memset(s.by_number, -1, ((size_t)g->loops + 1) * sizeof *s.by_number);
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Node n = {id};
    if (node_prim(g, n) != P_LOOP) continue;
    s.by_number[node_attr(g, n)[0]] = (int32_t)l->list.count;
    vec_push(&l->list, ((LoopInfo){.token = n, .number = (uint32_t)node_attr(g, n)[0], .length = node_attr(g, n)[1],
                                   .carries = node_data(g, n)->count / 2u, .parent = -1, .depth = 1}));
  }
  s.words = (l->list.count + 63) / 64;
  if (!s.words) return s;
  s.bits = mem_zero((size_t)g->nodes.count * s.words, sizeof *s.bits);
  for (bool grown = true; grown;) {
    grown = false;
    for (uint32_t id = 1; id < g->nodes.count; id++) grown |= fill_set(g, &s, (Node){id});
  }
  return s;
}

static void sets_free(Sets *s) { free(s->bits), free(s->by_number); }

Loops loops_find(const Graph *g) {
  Loops l = {0};
  if (!g->loops) return l;
  Sets s = sets_new(g, &l);
  if (l.list.count) {
    for (uint32_t i = 0; i < l.list.count; i++) l.list.data[i].depth = set_size(&s, l.list.data[i].token.id) + 1;
    for (uint32_t i = 0; i < l.list.count; i++) l.list.data[i].parent = deepest(&l, &s, l.list.data[i].token.id);
    l.of = mem_alloc(g->nodes.count * sizeof *l.of);
    for (uint32_t id = 0; id < g->nodes.count; id++) l.of[id] = deepest(&l, &s, id);
  }
  sets_free(&s);
  return l;
}

void loops_free(Loops *l) {
  vec_free(&l->list);
  free(l->of);
  l->of = NULL;
}

bool loop_within(const Loops *l, int32_t a, int32_t b) {
  while (a != b && a >= 0) a = l->list.data[a].parent;
  return a == b;
}

int32_t loop_below(const Loops *l, int32_t a, int32_t scope) {
  while (a >= 0 && a != scope && l->list.data[a].parent != scope) a = l->list.data[a].parent;
  return a == scope ? -1 : a;
}

/* ---- checking ---- */

const char *loops_check(const Graph *g) {
  if (!g->loops) return NULL;
  Loops l = {0};
  const char *wrong = NULL;
  Sets s = sets_new(g, &l);
  for (uint32_t i = 0; i < l.list.count && !wrong; i++)
    if (s.by_number[l.list.data[i].number] != (int32_t)i) wrong = "two loops have one number";
  for (uint32_t id = 1; id < g->nodes.count && !wrong; id++) {
    const Node n = {id};
    if (node_prim(g, n) != P_ITEM) continue;
    const int32_t loop = s.by_number[node_attr(g, n)[0]];
    if (loop >= 0 && node_dims(g, node_in(g, n, 0))->dims[node_attr(g, n)[1]] != l.list.data[loop].length)
      wrong = "an item's axis is not as long as its loop";
    /* its own loop's results are outside of it */
    if (loop >= 0 && l.list.data[loop].token.id < id && set_has(&s, node_in(g, n, 0).id, loop))
      wrong = "an item of its own loop's body";
  }
  for (uint32_t i = 0; i < g->outputs.count && s.words && !wrong; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->node.id < g->nodes.count && o->weight.id < g->nodes.count &&
        (set_size(&s, o->node.id) || (o->weight.id && set_size(&s, o->weight.id))))
      wrong = "an output is a value of one round";
  }
  for (uint32_t id = 1; id < g->nodes.count && !wrong; id++) { /* loops that are used must be closed */
    const Prim p = node_prim(g, (Node){id});
    if (p != P_STACK && p != P_LAST && p != P_LOOP) continue;
    const Node token = p == P_LOOP ? (Node){id} : node_in(g, (Node){id}, p == P_STACK);
    if (s.by_number[node_attr(g, token)[0]] < 0) wrong = "a result of a loop that is not closed";
  }
  sets_free(&s);
  loops_free(&l);
  return wrong;
}

/* ---- one piece each ---- */

typedef struct {
  uint32_t id;
  int64_t place; /* of the node, or of the loop that it is in */
  int32_t unit;  /* the loop directly inside the scope; -1: none */
} Placed;
typedef Vec(Placed) Order;

static int by_place(const void *a, const void *b) {
  const Placed *x = a, *y = b;
  if (x->place != y->place) return x->place < y->place ? -1 : 1;
  if (x->unit != y->unit) return x->unit < y->unit ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* A node stands where it stood, but behind its inputs, a LOOP behind the body that it closes; a loop behind all that any
 * of its nodes reads. */
static bool push_back(const Graph *g, const Loops *l, int32_t scope, Order *o, int64_t *place, int64_t *unit_place) {
  bool moved = false;
  for (uint32_t i = 0; i < o->count; i++) {
    Placed *p = &o->data[i];
    const Node n = {p->id};
    int64_t *own = p->unit >= 0 ? &unit_place[p->unit] : &place[p->id];
    for (uint32_t k = 0; k < node_data(g, n)->count; k++) {
      const Node in = node_in(g, n, k);
      const int32_t unit = loop_below(l, loop_of(l, in), scope);
      if (place[in.id] < 0 || (unit >= 0 && unit == p->unit)) continue; /* outside the scope; within one loop */
      const int64_t least = (unit >= 0 ? unit_place[unit] : place[in.id]) + (unit >= 0 || p->unit >= 0);
      if (*own < least) *own = least, moved = true;
    }
    for (uint32_t k = 0; k < l->list.count && node_prim(g, n) == P_LOOP && p->unit < 0; k++)
      if (node_is(l->list.data[k].token, n) && *own < unit_place[k] + 1) *own = unit_place[k] + 1, moved = true;
  }
  return moved;
}

/* Puts the nodes of a scope in order: `ids` is rewritten. */
static void arrange(const Graph *g, const Loops *l, int32_t scope, uint32_t *ids, uint32_t count) {
  int64_t *place = mem_alloc(g->nodes.count * sizeof *place), *unit_place = mem_zero(l->list.count + 1, sizeof *unit_place);
  Order o = {0};
  memset(place, -1, g->nodes.count * sizeof *place);
  for (uint32_t i = 0; i < count; i++) {
    const int32_t unit = loop_below(l, loop_of(l, (Node){ids[i]}), scope);
    vec_push(&o, ((Placed){.id = ids[i], .unit = unit}));
    place[ids[i]] = ids[i];
    if (unit >= 0 && unit_place[unit] < ids[i]) unit_place[unit] = ids[i];
  }
  while (push_back(g, l, scope, &o, place, unit_place)) {}
  for (uint32_t i = 0; i < count; i++) {
    Placed *p = &o.data[i];
    p->place = p->unit >= 0 ? unit_place[p->unit] : place[p->id];
  }
  if (count) qsort(o.data, count, sizeof *o.data, by_place);
  for (uint32_t i = 0; i < count; i++) ids[i] = o.data[i].id;
  for (uint32_t i = 0, end; i < count; i = end) {
    for (end = i + 1; end < count && o.data[end].unit == o.data[i].unit && o.data[i].unit >= 0; end++) {}
    if (o.data[i].unit >= 0) arrange(g, l, o.data[i].unit, ids + i, end - i);
  }
  free(place), free(unit_place);
  vec_free(&o);
}

static uint8_t *live_nodes(const Graph *g) {
  uint8_t *live = mem_zero(g->nodes.count, 1);
  for (uint32_t i = 0; i < g->outputs.count; i++) live[g->outputs.data[i].node.id] = live[g->outputs.data[i].weight.id] = 1;
  for (uint32_t id = g->nodes.count - 1; id > 0; id--)
    for (uint32_t i = 0; live[id] && i < g->nodes.data[id].count; i++) live[node_in(g, (Node){id}, i).id] = 1;
  live[0] = 0;
  return live;
}

/* Of a value from outside its loop, a stack is a broadcast. */
static bool is_outside(const Graph *g, const Loops *l, Node stack) {
  int32_t loop = -1;
  for (uint32_t i = 0; i < l->list.count; i++)
    if (node_is(l->list.data[i].token, node_in(g, stack, 1))) loop = (int32_t)i;
  return !loop_within(l, loop_of(l, node_in(g, stack, 0)), loop);
}

static Node copy_one(const Graph *from, Graph *to, const Loops *l, Node n, const Node *map) {
  const NodeData *d = node_data(from, n);
  if (d->prim == P_STACK && is_outside(from, l, n)) {
    const int64_t axis = node_attr(from, n)[0];
    int64_t axes[GRAPH_MAX_RANK];
    for (uint32_t i = 0; i + 1 < node_rank(from, n); i++) axes[i] = i < axis ? i : i + 1;
    return build_broadcast(to, map[node_in(from, n, 0).id], shape_of(to, node_dims(from, n)), axes);
  }
  Node in[UINT8_MAX + 1];
  for (uint32_t i = 0; i < d->count; i++) in[i] = map[node_in(from, n, i).id];
  to->span = d->span;
  return build_any(to, (Prim)d->prim, (Type)d->type, shape_of(to, node_dims(from, n)), in, d->count,
                   d->attr ? node_attr(from, n) : NULL, node_attr_count(from, n));
}

static void copy_outputs(const Graph *from, Graph *to, const Node *map) {
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    Output o = from->outputs.data[i];
    o.node = map[o.node.id], o.weight = map[o.weight.id];
    graph_add_output(to, o);
  }
}

/* The live nodes in such an order; their number. */
static uint32_t arranged(const Graph *g, const Loops *l, uint32_t *ids) {
  uint8_t *live = live_nodes(g);
  uint32_t count = 0;
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (live[id]) ids[count++] = id;
  free(live);
  if (l->list.count) arrange(g, l, -1, ids, count);
  return count;
}

Graph *loops_arrange(const Graph *from) {
  Graph *to = graph_like(from);
  Loops l = loops_find(from);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  uint32_t *ids = mem_alloc(from->nodes.count * sizeof *ids);
  const uint32_t count = arranged(from, &l, ids);
  for (uint32_t i = 0; i < count; i++) map[ids[i]] = copy_one(from, to, &l, (Node){ids[i]}, map);
  copy_outputs(from, to, map);
  free(map), free(ids);
  loops_free(&l);
  return to;
}

/* ---- rounds written out ---- */

typedef struct {
  const Graph *from;
  Graph *to;
  Loops loops;
  uint32_t *ids, count, depth;
  Node *map;
  uint32_t *begin, *end; /* by loop: its body among ids */
  bool *given; /* what `unroll` puts something in the place of */
} Unroll;

static void copy_range(Unroll *u, int32_t scope, uint32_t begin, uint32_t end);

/* Index `at` of the axis, without the axis. */
static Node part_of(Graph *g, Node x, int64_t axis, int64_t at) {
  const Dims dims = *node_dims(g, x);
  int64_t slice[3 * GRAPH_MAX_RANK];
  Dims less = {0};
  for (uint32_t i = 0; i < dims.rank; i++) {
    slice[3 * i] = i == axis ? at : 0, slice[3 * i + 1] = i == axis ? 1 : dims.dims[i], slice[3 * i + 2] = 1;
    if (i != axis) less.dims[less.rank++] = dims.dims[i];
  }
  return build_reshape(g, build_slice(g, x, slice), shape_of(g, &less));
}

static Node stacked(Graph *g, const Node *parts, uint32_t count, int64_t axis) {
  Node *long_parts = mem_alloc(count * sizeof *long_parts);
  Dims dims = *node_dims(g, parts[0]);
  for (uint32_t i = dims.rank++; i > axis; i--) dims.dims[i] = dims.dims[i - 1];
  dims.dims[axis] = 1;
  for (uint32_t i = 0; i < count; i++) long_parts[i] = build_reshape(g, parts[i], shape_of(g, &dims));
  const Node all = build_concat(g, long_parts, count, axis);
  free(long_parts);
  return all;
}

/* All results of the loop whose nodes are begin .. end - 1. */
static void unroll(Unroll *u, int32_t loop, uint32_t begin, uint32_t end) {
  const Graph *from = u->from;
  const LoopInfo *info = &u->loops.list.data[loop];
  Vec(Node) results = {0};
  for (uint32_t i = 0; i < u->count; i++)
    if (node_prim(from, (Node){u->ids[i]}) == P_STACK && node_is(node_in(from, (Node){u->ids[i]}, 1), info->token) &&
        u->given[u->ids[i]])
      vec_push(&results, (Node){u->ids[i]});
  const uint32_t length = (uint32_t)info->length;
  Node *parts = mem_alloc(((size_t)results.count + 1) * length * sizeof *parts);
  Node *carry = mem_alloc((info->carries + 1) * sizeof *carry);
  for (uint32_t i = 0; i < info->carries; i++) carry[i] = u->map[node_in(from, loop_carry(from, info, i), 0).id];
  for (uint32_t round = 0; round < length; round++) {
    for (uint32_t i = 0; i < info->carries; i++) u->map[loop_carry(from, info, i).id] = carry[i];
    for (uint32_t i = begin; i < end; i++) {
      const Node n = {u->ids[i]};
      if (node_prim(from, n) != P_ITEM || node_attr(from, n)[0] != info->number) continue;
      const int64_t at = node_attr(from, n)[2] ? length - 1 - round : round;
      u->map[n.id] = part_of(u->to, u->map[node_in(from, n, 0).id], node_attr(from, n)[1], at);
    }
    copy_range(u, loop, begin, end);
    for (uint32_t i = 0; i < info->carries; i++) carry[i] = u->map[loop_next(from, info, i).id];
    for (uint32_t i = 0; i < results.count; i++) {
      const uint32_t at = node_attr(from, results.data[i])[1] ? length - 1 - round : round;
      parts[i * length + at] = u->map[node_in(from, results.data[i], 0).id];
    }
  }
  for (uint32_t i = 0; i < results.count; i++)
    u->map[results.data[i].id] = stacked(u->to, parts + i * length, length, node_attr(from, results.data[i])[0]);
  for (uint32_t i = 0; i < u->count; i++) {
    const Node n = {u->ids[i]};
    if (node_prim(from, n) == P_LAST && node_is(node_in(from, n, 0), info->token)) u->map[n.id] = carry[node_attr(from, n)[0]];
  }
  u->map[info->token.id] = build_const(u->to, TYPE_I32, (double)length);
  free(parts), free(carry);
  vec_free(&results);
}

/* The nodes of a scope: its own one by one, the loops in it as a whole. */
static void copy_range(Unroll *u, int32_t scope, uint32_t begin, uint32_t end) {
  for (uint32_t i = begin; i < end;) {
    const Node n = {u->ids[i]};
    const int32_t inner = loop_below(&u->loops, loop_of(&u->loops, n), scope);
    uint32_t stop = i + 1;
    if (inner >= 0) {
      while (stop < end && loop_below(&u->loops, loop_of(&u->loops, (Node){u->ids[stop]}), scope) == inner) stop++;
      if (u->loops.list.data[inner].depth > u->depth) u->begin[inner] = i, u->end[inner] = stop; /* see its LOOP */
      else copy_range(u, inner, i, stop);
      i = stop;
      continue;
    }
    for (uint32_t k = 0; k < u->loops.list.count && u->given[n.id]; k++)
      if (node_is(u->loops.list.data[k].token, n)) unroll(u, (int32_t)k, u->begin[k], u->end[k]);
    if (!u->given[n.id]) u->map[n.id] = copy_one(u->from, u->to, &u->loops, n, u->map);
    i = stop;
  }
}

static Node token_of(const Graph *g, Node n) {
  const Prim p = node_prim(g, n);
  return p == P_LOOP ? n : p == P_LAST || p == P_STACK ? node_in(g, n, p == P_STACK) : NODE_NONE;
}

static void mark_given(Unroll *u) {
  for (uint32_t k = 0; k < u->loops.list.count; k++) {
    const LoopInfo *info = &u->loops.list.data[k];
    if (info->depth <= u->depth) continue;
    for (uint32_t id = 1; id < u->from->nodes.count; id++) {
      const Node n = {id};
      const Prim p = node_prim(u->from, n);
      const bool enters = (p == P_CARRY || p == P_ITEM) && node_attr(u->from, n)[0] == info->number;
      const bool outside = p == P_STACK && is_outside(u->from, &u->loops, n);
      if (enters || (!outside && node_is(token_of(u->from, n), info->token))) u->given[id] = true;
    }
  }
}

Graph *loops_unroll(const Graph *from, uint32_t depth) {
  Unroll u = {.from = from, .to = graph_like(from), .loops = loops_find(from), .depth = depth};
  u.map = mem_zero(from->nodes.count, sizeof *u.map);
  u.given = mem_zero(from->nodes.count, sizeof *u.given);
  u.begin = mem_zero(u.loops.list.count + 1, sizeof *u.begin), u.end = mem_zero(u.loops.list.count + 1, sizeof *u.end);
  mark_given(&u);
  u.ids = mem_alloc(from->nodes.count * sizeof *u.ids);
  u.count = arranged(from, &u.loops, u.ids);
  copy_range(&u, -1, 0, u.count);
  copy_outputs(from, u.to, u.map);
  loops_free(&u.loops);
  free(u.map), free(u.ids), free(u.given), free(u.begin), free(u.end);
  return u.to;
}
