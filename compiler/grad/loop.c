/* loop.c: the adjoint of a loop: a loop that runs the rounds from the last to the first. Its carries are the gradients of
 * the carries; the gradients of stacks are its items; the gradients of items are its stacks. What a round of it needs of
 * the values of the loop's own round is stacked there (a carry, what is dear to compute) or computed again from that.
 *
 * What the rounds give to a value from outside is summed: a product or a sum over stacks, once, behind the loop, where
 * that is what the rounds give; else in a carry. */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "mutate.h"
#include "reverse.h"

#define AVAILABLE_DEPTH 6 /* operations computed again rather than stacked */

typedef struct {
  Reverse *r;
  Graph *g;
  int32_t loop;
  LoopInfo info;
  uint32_t number;  /* of the adjoint */
  uint32_t made;    /* nodes from here on are made for it */
  Vec(Node) carries, next;
  Vec(uint32_t) of; /* by carry of the adjoint: the carry of the loop; UINT32_MAX: a sum */
  Map now;          /* node -> what stands for it in a round of the adjoint */
  Vec(uint8_t) flags; /* of nodes from `made` on */
  Map renamed;      /* loops made within the round -> their new numbers */
  Map summed;       /* node -> its carry + 1 */
  Node token;       /* the adjoint's, once it is closed */
} Adjoint;

static bool is_float(const Graph *g, Node n) { return node_type(g, n) == TYPE_F32 || node_type(g, n) == TYPE_F64; }

/* Rounds lie behind the examples: a sum over both is then one run through memory. */
static int64_t round_axis(const Graph *g, Node n) { return node_rank(g, n) && dim_is_batch(node_dims(g, n)->dims[0]); }

/* ---- values of the loop's round, in a round of the adjoint ---- */

enum {
  PRIMAL = 1,  /* a value of one round of the loop */
  ADJOINT = 2, /* depends on what the adjoint made: its carries, its items, loops within */
  VARIES = 4   /* differs from round to round of the adjoint */
};

/* Of a node made since: what its inputs are, in order of making, so that nothing is walked down. */
static uint8_t flags_of_new(const Adjoint *a, Node n) {
  const Graph *g = a->g;
  const Prim p = node_prim(g, n);
  uint8_t flags = 0;
  if ((p == P_STACK || p == P_LAST) && node_is(node_in(g, n, p == P_STACK), a->info.token)) return 0;
  if (p == P_CARRY || p == P_ITEM) {
    if (node_attr(g, n)[0] >= a->number) flags |= ADJOINT;
    if (node_attr(g, n)[0] == a->number) flags |= VARIES;
  }
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) {
    const Node in = node_in(g, n, i);
    if (in.id >= a->made) flags |= a->flags.data[in.id - a->made];
    else if (reverse_within(a->r, in, a->loop)) flags |= PRIMAL;
  }
  return flags;
}

static bool is(Adjoint *a, Node n, uint8_t flag) {
  if (n.id < a->made) return flag == PRIMAL && reverse_within(a->r, n, a->loop);
  while (a->flags.count <= n.id - a->made) {
    const uint8_t flags = flags_of_new(a, (Node){a->made + a->flags.count});
    vec_push(&a->flags, flags);
  }
  return (a->flags.data[n.id - a->made] & flag) != 0;
}

static bool is_own_item(const Adjoint *a, Node n) {
  return node_prim(a->g, n) == P_ITEM && node_attr(a->g, n)[0] == a->info.number;
}

static bool is_cheap(const Graph *g, Node n) {
  const Prim p = node_prim(g, n);
  return (prim_is(p, K_ELEMENTWISE) && !prim_is(p, K_COSTLY)) || prim_is(p, K_MOVEMENT | K_IDENTITY);
}

static bool is_stacked(const Adjoint *a, Node n) { return map_get(&a->now, n.id, 0) != 0; }

/* Can it be computed in a round of the adjoint from what is there? */
static bool is_available(Adjoint *a, Node n, int depth) {
  if (!is(a, n, PRIMAL) || is_own_item(a, n) || is_stacked(a, n)) return true;
  if (!depth || !is_cheap(a->g, n)) return false;
  for (uint32_t i = 0; i < node_data(a->g, n)->count; i++)
    if (!is_available(a, node_in(a->g, n, i), depth - 1)) return false;
  return true;
}

static Node stacked_value(Adjoint *a, Node n) {
  const int64_t axis = round_axis(a->g, n);
  return build_item(a->g, a->number, build_stack(a->g, n, a->info.token, axis, false), axis, true);
}

static Node now_of(Adjoint *a, Node n);

static Node again(Adjoint *a, Node n) {
  Graph *g = a->g;
  const NodeData d = *node_data(g, n);
  Node in[UINT8_MAX + 1];
  int64_t attr[UINT8_MAX];
  const uint32_t attrs = node_attr_count(g, n);
  for (uint32_t i = 0; i < d.count; i++) in[i] = now_of(a, node_in(g, n, i));
  if (attrs) memcpy(attr, node_attr(g, n), attrs * sizeof *attr);
  if (d.prim == P_MARK) return build_mark(g, in[0]);
  if (d.prim == P_CARRY || d.prim == P_ITEM || d.prim == P_LOOP) { /* a loop within the round is made anew */
    if (attr[0] > a->number) {
      uint32_t number = map_get(&a->renamed, (uint64_t)attr[0], UINT32_MAX);
      if (number == UINT32_MAX) map_set(&a->renamed, (uint64_t)attr[0], number = build_loop_number(g));
      attr[0] = number;
    }
  }
  g->span = d.span;
  return build_any(g, (Prim)d.prim, (Type)d.type, d.shape, in, d.count, attrs ? attr : NULL, attrs);
}

static Node make_now(Adjoint *a, Node n) {
  Graph *g = a->g;
  if (is(a, n, ADJOINT)) {
    const Prim p = node_prim(g, n);
    const bool own = (p == P_CARRY || p == P_ITEM) && node_attr(g, n)[0] == a->number;
    return own ? n : again(a, n);
  }
  if (!is(a, n, PRIMAL)) return n;
  if (is_own_item(a, n))
    return build_item(g, a->number, node_in(g, n, 0), node_attr(g, n)[1], !node_attr(g, n)[2]);
  const Prim p = node_prim(g, n);
  const bool view = p == P_BROADCAST || p == P_RESHAPE || p == P_TRANSPOSE || p == P_PAD || p == P_CONCAT ||
                    prim_is(p, K_IDENTITY);
  const bool late = n.id > a->info.token.id && p != P_STACK && p != P_LAST && p != P_LOOP;
  const bool full = node_rank(g, n) == GRAPH_MAX_RANK;
  if (view || late || full || is_available(a, n, AVAILABLE_DEPTH)) return again(a, n);
  return stacked_value(a, n);
}

/* What stands for n in a round of the adjoint. Inputs first, so that the depth of the recursion is that of a rule. */
static Node now_of(Adjoint *a, Node n) {
  if (!n.id) return n;
  const uint64_t key = n.id;
  const Node known = {map_get(&a->now, key, 0)};
  if (known.id) return known;
  const Node made = make_now(a, n);
  map_set(&a->now, key, made.id);
  return made;
}

/* The same for all that was made since: in order, so that no chain is walked down at once. */
static void now_all(Adjoint *a, const Node *roots, uint32_t count) {
  const uint32_t end = a->g->nodes.count;
  uint8_t *needed = mem_zero(end, 1);
  for (uint32_t i = 0; i < count; i++) needed[roots[i].id] = 1;
  for (uint32_t id = end - 1; id >= a->made; id--)
    for (uint32_t i = 0; needed[id] && i < node_data(a->g, (Node){id})->count; i++) needed[node_in(a->g, (Node){id}, i).id] = 1;
  for (uint32_t id = a->made; id < end; id++)
    if (needed[id] && is(a, (Node){id}, ADJOINT)) now_of(a, (Node){id});
  free(needed);
}

/* ---- sums over the rounds ---- */

static bool varies(Adjoint *a, Node n) { return is(a, n, VARIES); }

typedef enum { SUM_SAME, SUM_ADD, SUM_LINEAR, SUM_PRODUCT, SUM_REDUCE, SUM_CARRY } SumKind;

static SumKind sum_kind(Adjoint *a, Node n) {
  const Graph *g = a->g;
  const Prim p = node_prim(g, n);
  if (!varies(a, n)) return SUM_SAME;
  if (p == P_ADD || p == P_SUB || p == P_CONCAT) return SUM_ADD;
  if (p == P_NEG || p == P_TRANSPOSE || p == P_RESHAPE || p == P_BROADCAST || p == P_SLICE || p == P_PAD || p == P_REVERSE)
    return SUM_LINEAR;
  bool fits = true;
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) fits = fits && node_rank(g, node_in(g, n, i)) < GRAPH_MAX_RANK;
  if (p == P_CONTRACT && fits) return SUM_PRODUCT;
  return p == P_SUM && fits ? SUM_REDUCE : SUM_CARRY;
}

/* Carries for what cannot be summed behind the loop. */
static void prepare_sum(Adjoint *a, Node n, int depth) {
  const SumKind kind = depth ? sum_kind(a, n) : varies(a, n) ? SUM_CARRY : SUM_SAME;
  if (kind == SUM_ADD || kind == SUM_LINEAR)
    for (uint32_t i = 0; i < node_data(a->g, n)->count; i++) prepare_sum(a, node_in(a->g, n, i), depth - 1);
  if (kind == SUM_PRODUCT) {
    const Node x = node_in(a->g, n, 0), y = node_in(a->g, n, 1);
    if (!varies(a, x)) prepare_sum(a, y, depth - 1);
    if (!varies(a, y)) prepare_sum(a, x, depth - 1);
  }
  if (kind != SUM_CARRY || map_get(&a->summed, n.id, 0)) return;
  const Node zero = build_full(a->g, node_type(a->g, n), 0, node_shape(a->g, n));
  const Node carry = build_carry(a->g, a->number, a->carries.count, zero);
  map_set(&a->summed, n.id, a->carries.count + 1);
  vec_push(&a->carries, carry);
  vec_push(&a->next, build_add(a->g, carry, n));
  vec_push(&a->of, UINT32_MAX);
}

static Node sum_rounds(Adjoint *a, Node n, int depth);

static Node sum_of_product(Adjoint *a, Node n, int depth) {
  Graph *g = a->g;
  const Node x = node_in(g, n, 0), y = node_in(g, n, 1);
  int64_t attr[2 + 4 * GRAPH_MAX_RANK], lists[4][GRAPH_MAX_RANK + 1];
  memcpy(attr, node_attr(g, n), node_attr_count(g, n) * sizeof *attr);
  const uint32_t nb = (uint32_t)attr[0], nk = (uint32_t)attr[1];
  const int64_t *from = attr + 2;
  for (int k = 0; k < 4; k++) {
    const uint32_t count = k < 2 ? nb : nk;
    memcpy(lists[k], from, count * sizeof *from), from += count;
  }
  if (!varies(a, x) || !varies(a, y)) {
    const Node p = varies(a, x) ? sum_rounds(a, x, depth - 1) : x, q = varies(a, y) ? sum_rounds(a, y, depth - 1) : y;
    return build_contract(g, p, q, nb, lists[0], lists[1], nk, lists[2], lists[3]);
  }
  const int64_t axis[2] = {round_axis(g, x), round_axis(g, y)};
  for (int k = 0; k < 4; k++)
    for (uint32_t i = 0; i < (k < 2 ? nb : nk); i++) lists[k][i] += lists[k][i] >= axis[k % 2];
  lists[2][nk] = axis[0], lists[3][nk] = axis[1];
  const Node p = build_stack(g, x, a->token, axis[0], true), q = build_stack(g, y, a->token, axis[1], true);
  return build_contract(g, p, q, nb, lists[0], lists[1], nk + 1, lists[2], lists[3]);
}

static Node sum_of_sum(Adjoint *a, Node n) {
  Graph *g = a->g;
  const Node x = node_in(g, n, 0);
  const int64_t axis = round_axis(g, x);
  int64_t axes[GRAPH_MAX_RANK + 1];
  uint32_t count = 0;
  bool placed = false;
  for (uint32_t i = 0; i < node_attr_count(g, n); i++) {
    const int64_t own = node_attr(g, n)[i] + (node_attr(g, n)[i] >= axis);
    if (!placed && own > axis) axes[count++] = axis, placed = true;
    axes[count++] = own;
  }
  if (!placed) axes[count++] = axis;
  return build_reduce(g, P_SUM, build_stack(g, x, a->token, axis, true), axes, count);
}

/* The sum of n over all rounds, behind the loop. */
static Node sum_rounds(Adjoint *a, Node n, int depth) {
  Graph *g = a->g;
  const SumKind kind = depth ? sum_kind(a, n) : varies(a, n) ? SUM_CARRY : SUM_SAME;
  if (kind == SUM_SAME) return build_mul(g, n, build_like(g, n, (double)a->info.length));
  if (kind == SUM_CARRY) return build_last(g, a->token, map_get(&a->summed, n.id, 0) - 1);
  if (kind == SUM_PRODUCT) return sum_of_product(a, n, depth);
  if (kind == SUM_REDUCE) return sum_of_sum(a, n);
  const NodeData d = *node_data(g, n);
  Node in[UINT8_MAX + 1];
  int64_t attr[3 * GRAPH_MAX_RANK];
  const uint32_t attrs = node_attr_count(g, n);
  if (attrs) memcpy(attr, node_attr(g, n), attrs * sizeof *attr);
  for (uint32_t i = 0; i < d.count; i++) in[i] = sum_rounds(a, node_in(g, n, i), depth - 1);
  return build_any(g, (Prim)d.prim, (Type)d.type, d.shape, in, d.count, attrs ? attr : NULL, attrs);
}

/* ---- the loop ---- */

enum { SUM_DEPTH = 8 };

static Node zeros_of(Graph *g, Node n) { return build_full(g, node_type(g, n), 0, node_shape(g, n)); }

/* The gradients of the results enter the body. */
static bool enter(Adjoint *a) {
  Reverse *r = a->r;
  Graph *g = a->g;
  Node *last = mem_zero(a->info.carries + 1, sizeof *last);
  bool any = false;
  Vec(Node) stacks = {0};
  for (uint32_t id = a->info.token.id + 1; id <= r->last; id++) {
    const Node n = {id};
    const Prim p = node_prim(g, n);
    if ((p != P_STACK && p != P_LAST) || !node_is(node_in(g, n, p == P_STACK), a->info.token)) continue;
    if (!reverse_gradient(r, n).id) continue;
    any = true;
    if (p == P_LAST) last[node_attr(g, n)[0]] = MUTATED_GRADIENT(g, "last", 0, reverse_gradient(r, n));
    else vec_push(&stacks, n);
  }
  for (uint32_t i = 0; i < a->info.carries && any; i++) {
    const Node carry = loop_carry(g, &a->info, i);
    if (!is_float(g, carry) || !reverse_depends(r, carry)) continue;
    const Node made = build_carry(g, a->number, a->carries.count, last[i].id ? last[i] : zeros_of(g, carry));
    vec_push(&a->carries, made);
    vec_push(&a->of, i);
  }
  for (uint32_t i = 0; i < a->carries.count; i++)
    reverse_give(r, loop_next(g, &a->info, a->of.data[i]), MUTATED_GRADIENT(g, "loop", 0, a->carries.data[i]), NODE_NONE);
  for (uint32_t i = 0; i < stacks.count; i++) {
    const Node n = stacks.data[i], value = node_in(g, n, 0);
    const int64_t axis = node_attr(g, n)[0];
    const bool reversed = node_attr(g, n)[1] != 0;
    const Node item = build_item(g, a->number, reverse_gradient(r, n), axis, !reversed);
    reverse_give(r, value, MUTATED_GRADIENT(g, "stack", 0, item), NODE_NONE);
  }
  free(last);
  vec_free(&stacks);
  return any;
}

static uint32_t last_node(const Adjoint *a) {
  uint32_t last = a->info.token.id;
  for (uint32_t id = last; id <= a->r->last; id++)
    if (loop_of(&a->r->loops, (Node){id}) == a->loop) last = id;
  return last;
}

/* Closes the adjoint and gives to what the loop read. `items`: the loop's items that have gradients. */
static void leave(Adjoint *a, const Node *items, uint32_t item_count, const Part *parts, uint32_t part_count) {
  Reverse *r = a->r;
  Graph *g = a->g;
  Vec(Node) roots = {0};
  for (uint32_t i = 0; i < a->carries.count; i++) vec_push(&roots, reverse_gradient(r, loop_carry(g, &a->info, a->of.data[i])));
  for (uint32_t i = 0; i < item_count; i++) vec_push(&roots, reverse_gradient(r, items[i]));
  for (uint32_t i = 0; i < part_count; i++) vec_push(&roots, parts[i].part);
  const uint32_t carries = a->carries.count;
  now_all(a, roots.data, roots.count);
  for (uint32_t i = 0; i < roots.count; i++) roots.data[i] = now_of(a, roots.data[i]);
  for (uint32_t i = 0; i < carries; i++) vec_push(&a->next, roots.data[i].id ? roots.data[i] : zeros_of(g, a->carries.data[i]));
  const Node *sums = roots.data + carries + item_count;
  for (uint32_t i = 0; i < part_count; i++) prepare_sum(a, sums[i], SUM_DEPTH);
  a->token = build_loop(g, a->number, a->info.length, a->carries.data, a->next.data, a->carries.count);
  for (uint32_t i = 0; i < carries; i++) {
    const Node start = node_in(g, loop_carry(g, &a->info, a->of.data[i]), 0);
    if (reverse_depends(r, start)) reverse_give(r, start, MUTATED_GRADIENT(g, "carry", 0, build_last(g, a->token, i)), NODE_NONE);
  }
  for (uint32_t i = 0; i < item_count; i++) {
    const int64_t axis = node_attr(g, items[i])[1];
    const bool reversed = node_attr(g, items[i])[2] != 0;
    const Node stack = build_stack(g, roots.data[carries + i], a->token, axis, !reversed);
    reverse_give(r, node_in(g, items[i], 0), MUTATED_GRADIENT(g, "item", 0, stack), NODE_NONE);
  }
  for (uint32_t i = 0; i < part_count; i++) {
    if (parts[i].to.id > a->info.token.id)
      DIAG_BUG(g->session, g->span, "a loop's round reads %%%u, which is younger than the loop", parts[i].to.id);
    reverse_give(r, parts[i].to, MUTATED_GRADIENT(g, "loop", 1, sum_rounds(a, sums[i], SUM_DEPTH)), NODE_NONE);
  }
  vec_free(&roots);
}

void reverse_loop(Reverse *r, int32_t loop) {
  Graph *g = r->g;
  Adjoint a = {.r = r, .g = g, .loop = loop, .info = r->loops.list.data[loop]};
  const Span span = g->span;
  g->span = node_data(g, a.info.token)->span;
  a.number = build_loop_number(g);
  a.made = g->nodes.count;
  Level level = {.loop = loop, .outer = r->level};
  r->level = &level;
  const bool any = enter(&a);
  Vec(Node) items = {0};
  if (any) {
    reverse_walk(r, last_node(&a));
    for (uint32_t id = 1; id <= r->last; id++)
      if (is_own_item(&a, (Node){id}) && loop_of(&r->loops, (Node){id}) == loop && reverse_gradient(r, (Node){id}).id &&
          reverse_depends(r, node_in(g, (Node){id}, 0)))
        vec_push(&items, (Node){id});
  }
  r->level = level.outer;
  if (any) leave(&a, items.data, items.count, level.parts.data, level.parts.count);
  vec_free(&items), vec_free(&level.parts);
  vec_free(&a.carries), vec_free(&a.next), vec_free(&a.of);
  vec_free(&a.flags);
  map_free(&a.now), map_free(&a.renamed), map_free(&a.summed);
  g->span = span;
}
