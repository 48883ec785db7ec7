/* nest.c: a stage's expressions and loads. Views vanish here: they are followed down to memory, and what remains of them
 * is the index map of a load, with a guard where one pads. */
#include "fuse.h"

#include <string.h>

typedef struct {
  Node node;
  IndexMap map;
  int32_t expr;
} Known;

typedef struct {
  Fuse *f;
  Form *form;
  Stage *stage;
  IndexMap identity;       /* of the par axes */
  Vec(Known) known;        /* what was evaluated at which map; only outside guards */
  Guard guards[GRAPH_MAX_RANK * 2];
  uint32_t guard_count;
  bool factors;            /* what is evaluated is multiplied and summed */
} Nest;

Extent extent_of(int64_t dim) {
  return dim_is_batch(dim) ? (Extent){1, (int32_t)(DIM_BATCH - dim)} : (Extent){dim, -1};
}

Affine affine_zero(void) {
  Affine a = {0};
  memset(a.batch, -1, sizeof a.batch);
  return a;
}

Affine affine_axis(uint32_t axis) {
  Affine a = affine_zero();
  a.stride[axis] = 1;
  return a;
}

bool affine_equal(const Affine *a, const Affine *b) {
  if (a->offset != b->offset) return false;
  for (int i = 0; i < KERNEL_MAX_AXES; i++)
    if (a->stride[i] != b->stride[i] || (a->stride[i] && a->batch[i] != b->batch[i])) return false;
  return a->grouped == b->grouped;
}

static bool map_equal(const IndexMap *a, const IndexMap *b) {
  if (a->rank != b->rank || a->gather != b->gather || (a->gather && a->gathered != b->gathered)) return false;
  for (uint32_t i = 0; i < a->rank; i++)
    if (!affine_equal(&a->index[i], &b->index[i])) return false;
  return true;
}

/* a += factor * b, where factor may carry a batch extent. */
static void affine_add(const Fuse *f, Affine *a, const Affine *b, int64_t factor, int8_t batch) {
  if (batch >= 0 && b->offset) DIAG_BUG(f->s->session, ((Span){0}), "an index moves by a batch extent");
  a->offset += factor * b->offset;
  for (int i = 0; i < KERNEL_MAX_AXES; i++) {
    if (!b->stride[i]) continue;
    if (batch >= 0 && b->batch[i] >= 0) DIAG_BUG(f->s->session, ((Span){0}), "a stride with two batch extents");
    const int8_t by = batch >= 0 ? batch : b->batch[i];
    if (a->stride[i] && a->batch[i] != by) DIAG_BUG(f->s->session, ((Span){0}), "a stride that mixes batch extents");
    a->stride[i] += factor * b->stride[i];
    a->batch[i] = by;
  }
}

/* The element number in a dense row-major array of these dims, read at `map`. */
static Affine affine_linear(const Fuse *f, const Dims *dims, const IndexMap *map) {
  Affine a = affine_zero();
  int64_t stride = 1;
  int8_t batch = -1;
  for (uint32_t i = dims->rank; i-- > 0;) {
    affine_add(f, &a, &map->index[i], stride, batch);
    if (dim_is_batch(dims->dims[i]) && batch >= 0 && i && dims->dims[i - 1] != 1)
      DIAG_BUG(f->s->session, ((Span){0}), "numbers that grow with two batch extents");
    if (dim_is_batch(dims->dims[i])) batch = (int8_t)(DIM_BATCH - dims->dims[i]);
    else stride *= dims->dims[i];
  }
  return a;
}

/* Where an element lies in memory. A value that we lay out has its batch axes outermost, whatever their places in the shape, so
 * that no stride or offset grows with the batch but that of the first of two; slots are row-major, as the caller gives them. */
Affine affine_memory(const Fuse *f, const Dims *dims, const IndexMap *map, bool slot) {
  if (slot) return affine_linear(f, dims, map);
  Affine a = affine_zero();
  int64_t stride = 1;
  for (uint32_t i = dims->rank; i-- > 0;) {
    if (dim_is_batch(dims->dims[i])) continue;
    affine_add(f, &a, &map->index[i], stride, -1);
    stride *= dims->dims[i];
  }
  int8_t inner = -1;
  for (uint32_t i = dims->rank; i-- > 0;) {
    if (!dim_is_batch(dims->dims[i])) continue;
    affine_add(f, &a, &map->index[i], stride, inner);
    inner = (int8_t)(DIM_BATCH - dims->dims[i]);
  }
  return a;
}

Affine affine_of_node(const Fuse *f, Node n, const Dims *dims, const IndexMap *map) {
  if (f->pad_of[n.id].id) {
    const Node pad = f->pad_of[n.id];
    IndexMap inner = *map;
    for (uint32_t i = 0; i < inner.rank; i++) inner.index[i].offset += node_attr(f->g, pad)[3 * i];
    return affine_memory(f, node_dims(f->g, pad), &inner, false);
  }
  Affine a = affine_memory(f, dims, map, node_prim(f->g, n) == P_SLOT);
  if (!f->grouped[n.id]) return a;
  for (uint32_t i = 0; i < dims->rank; i++) {
    if (!dim_is_batch(dims->dims[i])) continue;
    const Affine *example = &map->index[i];
    for (uint32_t k = 0; k < KERNEL_MAX_AXES; k++) {
      const Affine own = affine_axis(k);
      if (affine_equal(example, &own)) a.grouped = (uint8_t)(k + 1);
    }
  }
  if (!a.grouped) DIAG_BUG(f->s->session, node_data(f->g, n)->span, "examples in groups are read another way");
  a.offset *= EXAMPLE_GROUP;
  for (uint32_t k = 0; k < KERNEL_MAX_AXES; k++)
    if (k + 1 != a.grouped) a.stride[k] *= EXAMPLE_GROUP;
  return a;
}

static uint32_t depth_of(const Fuse *f, uint32_t number) {
  for (uint32_t i = 0; i < f->loops.list.count; i++)
    if (f->loops.list.data[i].number == number) return f->loops.list.data[i].depth - 1;
  DIAG_BUG(f->s->session, ((Span){0}), "a loop without an end");
}

Affine affine_carry(const Fuse *f, Node carry, const Dims *dims, const IndexMap *map, int slot) {
  Affine a = affine_memory(f, dims, map, false), at = affine_zero();
  const unsigned odd = axis_of_parity(depth_of(f, (uint32_t)node_attr(f->g, carry)[0]));
  int64_t size = 1; /* of a place, or of an example's */
  for (uint32_t i = 0; i < dims->rank; i++)
    if (!dim_is_batch(dims->dims[i])) size *= dims->dims[i];
  int8_t inner = -1;
  for (uint32_t i = map->rank; i-- > 0;) { /* an example (or a pair) has two places */
    if (!dim_is_batch(dims->dims[i])) continue;
    affine_add(f, &at, &map->index[i], size, inner);
    inner = (int8_t)(DIM_BATCH - dims->dims[i]);
  }
  affine_add(f, &a, &at, 1, -1);
  if (slot == -1) a.stride[odd] = size;
  if (slot == -2) a.stride[odd] = -size, a.offset += size;
  if (slot > 0) a.offset += slot * size;
  return a;
}

static Affine affine_round(const Fuse *f, uint32_t loop, int64_t length, bool reversed) {
  Affine a = affine_axis(axis_of_round(depth_of(f, loop)));
  if (reversed) a.stride[axis_of_round(depth_of(f, loop))] = -1, a.offset = length - 1;
  return a;
}

Affine affine_stack(const Fuse *f, Node stack, const IndexMap *map) {
  const Graph *g = f->g;
  const int64_t axis = node_attr(g, stack)[0], *loop = node_attr(g, node_in(g, stack, 1));
  IndexMap whole = {.rank = (uint8_t)(map->rank + 1)};
  for (uint32_t i = 0; i < map->rank; i++) whole.index[i < axis ? i : i + 1] = map->index[i];
  whole.index[axis] = affine_round(f, (uint32_t)loop[0], loop[1], node_attr(g, stack)[1] != 0);
  return affine_memory(f, node_dims(g, stack), &whole, false);
}

static int32_t add_expr(Nest *b, Expr e) {
  for (uint32_t i = 0; i < b->stage->exprs.count; i++) { /* equal expressions once */
    const Expr *x = &b->stage->exprs.data[i];
    if (x->kind == e.kind && x->type == e.type && x->prim == e.prim && x->a == e.a && x->b == e.b && x->c == e.c &&
        !memcmp(&x->value, &e.value, sizeof e.value) && affine_equal(&x->affine, &e.affine))
      return (int32_t)i;
  }
  vec_push(&b->stage->exprs, e);
  return (int32_t)b->stage->exprs.count - 1;
}

static Expr make_expr(ExprKind kind, Type type, Span span) {
  return (Expr){.kind = kind, .type = type, .a = -1, .b = -1, .c = -1, .affine = affine_zero(), .span = span};
}

static int32_t make_const(Nest *b, Type type, double value, Span span) {
  Expr e = make_expr(X_CONST, type, span);
  e.value = value;
  return add_expr(b, e);
}

/* Equal products have one form here too, so that equal kernels are found, whatever order their nodes were made in: constants behind,
 * else the older expression first. */
static bool is_swapped(const Nest *b, Prim prim, int32_t x, int32_t y) {
  if (!prim_is(prim, K_COMMUTATIVE) || y < 0) return false;
  const Expr *exprs = b->stage->exprs.data;
  const bool first = exprs[x].kind == X_CONST, second = exprs[y].kind == X_CONST;
  return first != second ? first : x > y;
}

static int32_t make_prim(Nest *b, Prim prim, Type type, int32_t x, int32_t y, int32_t z, Span span) {
  const bool swapped = is_swapped(b, prim, x, y);
  Expr e = make_expr(X_PRIM, type, span);
  e.prim = prim;
  e.a = swapped ? y : x, e.b = swapped ? x : y, e.c = z;
  return add_expr(b, e);
}

static bool guards_equal(const Load *l, const Nest *b) {
  if (l->guard_count != b->guard_count) return false;
  for (uint32_t i = 0; i < b->guard_count; i++)
    if (!affine_equal(&l->guards[i].index, &b->guards[i].index) || l->guards[i].limit != b->guards[i].limit) return false;
  return true;
}

/* Elements for each step of the map's gathered coordinate. */
static int64_t gather_stride(const Fuse *f, const Dims *dims, const IndexMap *map, bool slot) {
  IndexMap unit = {.rank = map->rank};
  for (uint32_t i = 0; i < map->rank; i++) unit.index[i] = affine_zero();
  unit.index[map->gathered].offset = 1;
  return affine_memory(f, dims, &unit, slot).offset;
}

static int32_t load_at(Nest *b, Node n, const Dims *dims, const IndexMap *map, Affine at);

/* Is the index within 0 .. limit - 1 at all points of the stage? */
static bool always_inside(const Nest *b, const Affine *index, int64_t limit) {
  int64_t least = index->offset, most = index->offset;
  for (uint32_t i = 0; i < KERNEL_MAX_AXES; i++) {
    const int64_t step = index->stride[i];
    if (!step) continue;
    if (i >= KERNEL_STAGE_AXES || index->batch[i] >= 0 || b->stage->axes[i].batch >= 0) return false;
    *(step < 0 ? &least : &most) += step * (b->stage->axes[i].count - 1);
  }
  return least >= 0 && most < limit;
}

/* The zeros around what a product reads in a padded array. Along the last such axis they are left alone: its places are neighbours in
 * a tile, and not all of them outside. */
static void note_zeros(Nest *b, Node pad, const Dims *dims, const IndexMap *map, Load *load) {
  const Graph *g = b->f->g;
  if (dims != node_dims(g, pad)) return; /* read as if it had another shape */
  if (!b->factors || b->guard_count || map->gather || node_prim(g, pad) != P_PAD || pad_has_gaps(g, pad)) return;
  const Dims *inner = node_dims(g, node_in(g, pad, 0));
  const int64_t *around = node_attr(g, pad);
  uint32_t count = 0, last = 0;
  Guard found[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < map->rank; i++)
    if (around[3 * i] || around[3 * i + 1]) last = i;
  for (uint32_t i = 0; i < last; i++) {
    if (!around[3 * i] && !around[3 * i + 1]) continue;
    Guard zero = {map->index[i], inner->dims[i], 1};
    zero.index.offset -= around[3 * i];
    if (!always_inside(b, &zero.index, zero.limit)) found[count++] = zero;
  }
  if (!count) return;
  load->guards = ARENA_ARRAY(&b->f->s->memory, Guard, count);
  memcpy(load->guards, found, sizeof *found * count);
  load->zero_count = (uint8_t)count;
}

/* A load of node n (kept, or a slot), dense in memory with `dims`, at `map`. */
static int32_t make_load(Nest *b, Node n, const Dims *dims, const IndexMap *map) {
  if (node_prim(b->f->g, n) == P_CARRY) return load_at(b, n, dims, map, affine_carry(b->f, n, dims, map, -1));
  return load_at(b, n, dims, map, affine_of_node(b->f, n, dims, map));
}

static int32_t load_at(Nest *b, Node n, const Dims *dims, const IndexMap *map, Affine at) {
  Fuse *f = b->f;
  const bool slot = node_prim(f->g, n) == P_SLOT;
  const uint32_t buffer = slot ? schedule_slot_buffer(f, (uint32_t)node_attr(f->g, n)[0])
                                                       : schedule_buffer(f, n);
  uint32_t i = 0;
  for (; i < b->stage->loads.count; i++)
    if (b->form->accesses.data[i].buffer == buffer && affine_equal(&b->stage->loads.data[i].at, &at) &&
        b->stage->loads.data[i].gather == map->gather && guards_equal(&b->stage->loads.data[i], b))
      break;
  if (i == b->stage->loads.count) {
    Load load = {.at = at, .guard_count = (uint8_t)b->guard_count, .gather = map->gather};
    if (map->gather) load.gather_stride = gather_stride(f, dims, map, slot);
    if (b->guard_count) {
      load.guards = ARENA_ARRAY(&f->s->memory, Guard, b->guard_count);
      memcpy(load.guards, b->guards, sizeof(Guard) * b->guard_count);
    }
    note_zeros(b, n, dims, map, &load);
    vec_push(&b->stage->loads, load);
    vec_push(&b->form->accesses, ((Access){buffer, n, *map}));
  }
  Expr e = make_expr(X_LOAD, node_type(f->g, n), node_data(f->g, n)->span);
  e.a = (int32_t)i;
  return add_expr(b, e);
}

static int32_t eval(Nest *b, Node n, const IndexMap *map);

/* Output axes of a reshape that only splits, or merges extents of 1: the input's map. */
static IndexMap split_map(const Graph *g, Node n, const IndexMap *map) {
  const Dims *out = node_dims(g, n), *in = node_dims(g, node_in(g, n, 0));
  IndexMap r = {.rank = (uint8_t)in->rank};
  uint32_t o = 0;
  for (uint32_t i = 0; i < in->rank; i++) {
    r.index[i] = affine_zero();
    if (dim_is_batch(in->dims[i])) {
      while (out->dims[o] == 1) o++;
      r.index[i] = map->index[o++];
      continue;
    }
    int64_t product = 1;
    while (product < in->dims[i]) {
      const Affine *a = &map->index[o];
      product *= out->dims[o];
      Affine scaled = affine_zero();
      scaled.offset = a->offset * (in->dims[i] / product);
      for (int k = 0; k < KERNEL_MAX_AXES; k++) scaled.stride[k] = a->stride[k] * (in->dims[i] / product), scaled.batch[k] = a->batch[k];
      r.index[i].offset += scaled.offset;
      for (int k = 0; k < KERNEL_MAX_AXES; k++)
        if (scaled.stride[k]) r.index[i].stride[k] += scaled.stride[k], r.index[i].batch[k] = scaled.batch[k];
      o++;
    }
  }
  return r;
}

/* `in` at `map` under the guards from number `before` on, which end here: 0 where one fails. A load is that by itself. */
static int32_t eval_guarded(Nest *b, Node in, const IndexMap *map, uint32_t before) {
  const Type type = node_type(b->f->g, in);
  const Span span = node_data(b->f->g, in)->span;
  int32_t x = eval(b, in, map);
  const bool load = b->stage->exprs.data[x].kind == X_LOAD;
  for (uint32_t i = before; i < b->guard_count && !load; i++) {
    Expr e = make_expr(X_INDEX, TYPE_I32, span);
    e.affine = b->guards[i].index;
    const int32_t index = add_expr(b, e);
    const int32_t above = make_prim(b, P_LE, TYPE_BOOL, make_const(b, TYPE_I32, 0, span), index, -1, span);
    const int32_t limit = make_const(b, TYPE_I32, (double)b->guards[i].limit, span);
    const int32_t below = make_prim(b, P_LT, TYPE_BOOL, index, limit, -1, span);
    const int32_t inside = make_prim(b, P_AND, TYPE_BOOL, above, below, -1, span);
    x = make_prim(b, P_SELECT, type, inside, x, make_const(b, type, 0, span), span);
  }
  b->guard_count = before;
  return x;
}

/* Zero outside: what lies below is read under guards. */
static int32_t eval_pad(Nest *b, Node n, const IndexMap *map) {
  const Graph *g = b->f->g;
  const Node in = node_in(g, n, 0);
  const uint32_t before = b->guard_count;
  IndexMap inner = *map;
  for (uint32_t i = 0; i < map->rank; i++) {
    const int64_t low = node_attr(g, n)[3 * i], high = node_attr(g, n)[3 * i + 1];
    if (!low && !high) continue;
    inner.index[i].offset -= low;
    b->guards[b->guard_count++] = (Guard){inner.index[i], node_dims(g, in)->dims[i], 1};
  }
  return eval_guarded(b, in, &inner, before);
}

/* The index at `map` if it lies in 0 .. n - 1, else 0; *inside: whether it does. */
static int32_t eval_row_number(Nest *b, Node index, const IndexMap *map, int64_t n, int32_t *inside, Span span) {
  const int32_t x = eval(b, index, map), zero = make_const(b, TYPE_I32, 0, span);
  const int32_t above = make_prim(b, P_LE, TYPE_BOOL, zero, x, -1, span);
  const int32_t below = make_prim(b, P_LT, TYPE_BOOL, x, make_const(b, TYPE_I32, (double)n, span), -1, span);
  *inside = make_prim(b, P_AND, TYPE_BOOL, above, below, -1, span);
  return make_prim(b, P_SELECT, TYPE_I32, *inside, x, zero, span);
}

/* Rows by number: 0 where the number is out of range. */
static int32_t eval_gather(Nest *b, Node n, const IndexMap *map) {
  const Graph *g = b->f->g;
  const Node table = node_in(g, n, 0), index = node_in(g, n, 1);
  const uint32_t pairs = (uint32_t)node_attr(g, n)[0], rank = node_rank(g, index);
  const Span span = node_data(g, n)->span;
  IndexMap at = {.rank = (uint8_t)rank}, rows = {.rank = (uint8_t)node_rank(g, table), .gathered = (uint8_t)pairs};
  int32_t inside;
  memcpy(at.index, map->index, rank * sizeof *at.index);
  rows.gather = 1 + eval_row_number(b, index, &at, node_dims(g, table)->dims[pairs], &inside, span);
  memcpy(rows.index, map->index, pairs * sizeof *rows.index);
  rows.index[pairs] = affine_zero();
  for (uint32_t i = pairs + 1; i < rows.rank; i++) rows.index[i] = map->index[rank + i - pairs - 1];
  const int32_t x = eval(b, table, &rows);
  return make_prim(b, P_SELECT, node_type(g, n), inside, x, make_const(b, node_type(g, n), 0, span), span);
}

static int32_t eval_view(Nest *b, Node n, const IndexMap *map) {
  const Graph *g = b->f->g;
  const Node in = node_in(g, n, 0);
  const int64_t *attr = node_attr_count(g, n) ? node_attr(g, n) : NULL;
  const Dims *in_dims = node_dims(g, in);
  IndexMap r = {.rank = (uint8_t)in_dims->rank};
  switch (node_prim(g, n)) {
  case P_BROADCAST:
    for (uint32_t i = 0; i < r.rank; i++) r.index[i] = map->index[attr[i]];
    return eval(b, in, &r);
  case P_TRANSPOSE:
    for (uint32_t j = 0; j < r.rank; j++) r.index[attr[j]] = map->index[j];
    r.gather = map->gather, r.gathered = map->gather ? (uint8_t)attr[map->gathered] : 0;
    return eval(b, in, &r);
  case P_SLICE:
    for (uint32_t i = 0; i < r.rank; i++) {
      r.index[i] = affine_zero();
      affine_add(b->f, &r.index[i], &map->index[i], attr[3 * i + 2], -1);
      r.index[i].offset += attr[3 * i];
    }
    return eval(b, in, &r);
  case P_REVERSE:
    r = *map;
    for (uint32_t k = 0; k < node_attr_count(g, n); k++) {
      Affine turned = affine_zero();
      affine_add(b->f, &turned, &map->index[attr[k]], -1, -1);
      turned.offset += in_dims->dims[attr[k]] - 1;
      r.index[attr[k]] = turned;
    }
    return eval(b, in, &r);
  case P_WINDOW:
    for (uint32_t i = 0; i < r.rank; i++) r.index[i] = map->index[i <= attr[0] ? i : i + 1];
    r.index[attr[0]] = affine_zero();
    affine_add(b->f, &r.index[attr[0]], &map->index[attr[0]], attr[3], -1);
    affine_add(b->f, &r.index[attr[0]], &map->index[attr[0] + 1], attr[4], -1);
    return eval(b, in, &r);
  case P_ITEM:
    for (uint32_t i = 0; i < r.rank; i++)
      if (i != attr[1]) r.index[i] = map->index[i < attr[1] ? i : i - 1];
    r.index[attr[1]] = affine_round(b->f, (uint32_t)attr[0], in_dims->dims[attr[1]], attr[2] != 0);
    return eval(b, in, &r);
  case P_RESHAPE:
    if (b->f->kept[in.id] || node_prim(g, in) == P_SLOT) return make_load(b, in, node_dims(g, n), map);
    r = split_map(g, n, map);
    return eval(b, in, &r);
  case P_PAD: return eval_pad(b, n, map);
  default: DIAG_BUG(b->f->s->session, node_data(g, n)->span, "a view without an index map: %s", prim_info(node_prim(g, n))->word);
  }
}

/* The expression of n itself, whether or not it is kept. */
static int32_t eval_body(Nest *b, Node n, const IndexMap *map) {
  const Graph *g = b->f->g;
  const NodeData *d = node_data(g, n);
  const Prim p = d->prim;
  if (prim_is(p, K_ELEMENTWISE)) {
    int32_t x[3] = {-1, -1, -1};
    for (uint32_t i = 0; i < d->count; i++) x[i] = eval(b, node_in(g, n, i), map);
    return make_prim(b, p, d->type, x[0], x[1], x[2], d->span);
  }
  if (prim_is(p, K_IDENTITY)) return eval(b, node_in(g, n, 0), map);
  if (p == P_SUM) { /* what the stage's argmax has found; as a sum, so that -0 is 0 */
    Expr e = make_expr(X_ACC, d->type, d->span);
    e.a = 1;
    return make_prim(b, P_ADD, d->type, add_expr(b, e), make_const(b, d->type, 0, d->span), -1, d->span);
  }
  if (p == P_LAST) { /* the place that one round more would read */
    const Node loop = node_in(g, n, 0), carry = node_in(g, loop, (uint32_t)node_attr(g, n)[0]);
    return load_at(b, carry, node_dims(g, n), map, affine_carry(b->f, carry, node_dims(g, n), map, (int)(node_attr(g, loop)[1] & 1)));
  }
  if (prim_is(p, K_MOVEMENT)) return eval_view(b, n, map);
  if (p == P_GATHER) return eval_gather(b, n, map);
  const int64_t *attr = node_attr_count(g, n) ? node_attr(g, n) : NULL;
  Expr e = make_expr(X_CONST, d->type, d->span);
  switch (p) {
  case P_CONST: memcpy(&e.value, attr, sizeof e.value); break;
  case P_NUMBER: e.kind = X_NUMBER, e.a = (int32_t)attr[0]; break;
  case P_EXTENT: e.kind = X_EXTENT, e.a = (int32_t)attr[0]; break;
  case P_IOTA: e.kind = X_INDEX, e.affine = map->index[0]; break;
  case P_RANDOM:
    e.kind = X_RANDOM, e.a = (int32_t)attr[0], e.b = (int32_t)(uint32_t)attr[1];
    e.affine = affine_linear(b->f, node_dims(g, n), map);
    break;
  default: DIAG_BUG(b->f->s->session, d->span, "no stage makes this value: %s", prim_info(p)->word);
  }
  return add_expr(b, e);
}

static int32_t eval(Nest *b, Node n, const IndexMap *map) {
  const Graph *g = b->f->g;
  if (!b->guard_count) {
    for (uint32_t i = 0; i < b->known.count; i++)
      if (node_is(b->known.data[i].node, n) && map_equal(&b->known.data[i].map, map)) return b->known.data[i].expr;
  }
  int32_t x;
  if (b->f->kept[n.id] || node_prim(g, n) == P_SLOT) x = make_load(b, n, node_dims(g, n), map);
  else x = eval_body(b, n, map);
  if (!b->guard_count) vec_push(&b->known, ((Known){n, *map, x}));
  return x;
}

static void add_axes(Nest *b, const Dims *dims) {
  b->stage->par = (uint8_t)dims->rank;
  b->identity.rank = (uint8_t)dims->rank;
  for (uint32_t i = 0; i < dims->rank; i++) {
    b->stage->axes[i] = extent_of(dims->dims[i]);
    b->identity.index[i] = affine_axis(i);
  }
}

static uint32_t add_red(Nest *b, int64_t dim) {
  const uint32_t axis = b->stage->par + b->stage->red++;
  if (axis >= KERNEL_STAGE_AXES) DIAG_BUG(b->f->s->session, ((Span){0}), "a stage of more than %d axes", KERNEL_STAGE_AXES);
  b->stage->axes[axis] = extent_of(dim);
  return axis;
}

/* Are examples that lie in groups summed over, outermost? */
static bool sums_groups(const Nest *b) {
  for (uint32_t i = 0; i < b->stage->loads.count; i++)
    if (b->stage->loads.data[i].at.grouped == b->stage->par + 1) return b->stage->red;
  return false;
}

static void build_reduction(Nest *b, Node n) {
  const Graph *g = b->f->g;
  const Node in = node_in(g, n, 0);
  const Dims *dims = node_dims(g, in);
  IndexMap map = {.rank = (uint8_t)dims->rank};
  uint32_t par = 0, k = 0;
  bool last = false;
  for (uint32_t i = 0; i < dims->rank; i++) {
    last = k < node_attr_count(g, n) && node_attr(g, n)[k] == i;
    map.index[i] = affine_axis(last ? add_red(b, dims->dims[i]) : par++);
    k += last;
  }
  static const struct {
    Prim prim;
    Combine combine;
  } table[] = {{P_SUM, COMBINE_ADD}, {P_PROD, COMBINE_MUL}, {P_RMAX, COMBINE_MAX}, {P_RMIN, COMBINE_MIN}, {P_ARGMAX, COMBINE_ARGMAX}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].prim == node_prim(g, n)) b->stage->combine = (uint8_t)table[i].combine;
  b->stage->order = last ? ORDER_LANES : ORDER_SEQUENCE;
  b->stage->before = eval(b, in, &map);
  if (b->form->second.id) b->stage->before2 = eval(b, node_in(g, b->form->second, 0), &map);
  if (b->stage->combine == COMBINE_ADD && sums_groups(b)) b->stage->order = ORDER_GROUPS;
}

/* The sum over the taps of what each window gives; lower.c has made the stride 1. */
static void build_overlap(Nest *b, Node n) {
  const Graph *g = b->f->g;
  const Node in = node_in(g, n, 0);
  const Dims *dims = node_dims(g, in);
  const int64_t *attr = node_attr(g, n), axis = attr[0];
  const uint32_t tap = add_red(b, dims->dims[axis + 1]);
  IndexMap map = {.rank = (uint8_t)dims->rank};
  for (uint32_t i = 0; i < dims->rank; i++) map.index[i] = affine_axis(i <= axis ? i : i - 1);
  map.index[axis].stride[tap] = -attr[3];
  map.index[axis + 1] = affine_axis(tap);
  b->guards[b->guard_count++] = (Guard){map.index[axis], dims->dims[axis], 1};
  b->stage->combine = COMBINE_ADD;
  b->stage->order = ORDER_SEQUENCE;
  b->stage->before = eval_guarded(b, in, &map, 0);
}

static void build_contraction(Nest *b, Node n) {
  const Graph *g = b->f->g;
  const int64_t *attr = node_attr(g, n);
  const int64_t nb = attr[0], nk = attr[1], *axes[2][2] = {{attr + 2, attr + 2 + nb}, {attr + 2 + 2 * nb, attr + 2 + 2 * nb + nk}};
  const uint32_t lead = b->form->kind == FORM_CHUNKS; /* the axis of chunks comes first */
  uint32_t red[GRAPH_MAX_RANK], par = lead + (uint32_t)nb;
  b->factors = true;
  for (int64_t i = 0; i < nk; i++) red[i] = add_red(b, node_dims(g, node_in(g, n, 0))->dims[axes[1][0][i]]);
  for (int side = 0; side < 2; side++) {
    const Node in = node_in(g, n, (uint32_t)side);
    IndexMap map = {.rank = (uint8_t)node_rank(g, in)};
    for (uint32_t i = 0; i < map.rank; i++) {
      int64_t is_batch = -1, is_red = -1;
      for (int64_t k = 0; k < nb; k++)
        if (axes[0][side][k] == i) is_batch = k;
      for (int64_t k = 0; k < nk; k++)
        if (axes[1][side][k] == i) is_red = k;
      map.index[i] = affine_axis(is_batch >= 0 ? lead + (uint32_t)is_batch : is_red >= 0 ? red[is_red] : par++);
    }
    *(side ? &b->stage->before2 : &b->stage->before) = eval(b, in, &map);
  }
  b->factors = false;
  b->stage->combine = COMBINE_FMA;
  b->stage->order = sums_groups(b) ? ORDER_GROUPS : ORDER_SEQUENCE;
}

/* All chunks' sums of a place are added up in order. */
static void build_chunk_sum(Nest *b, Node n) {
  const uint32_t buffer = (uint32_t)b->f->chunk_buffer[n.id], red = add_red(b, BATCH_CHUNKS);
  IndexMap map = {.rank = (uint8_t)(b->identity.rank + 1)};
  map.index[0] = affine_axis(red);
  for (uint32_t i = 0; i < b->identity.rank; i++) map.index[i + 1] = b->identity.index[i];
  vec_push(&b->stage->loads, ((Load){.at = affine_linear(b->f, shape_dims(b->f->g, b->f->s->buffers.data[buffer].shape), &map)}));
  vec_push(&b->form->accesses, ((Access){buffer, NODE_NONE, map}));
  Expr e = make_expr(X_LOAD, node_type(b->f->g, n), node_data(b->f->g, n)->span);
  e.a = (int32_t)b->stage->loads.count - 1;
  b->stage->before = add_expr(b, e);
  b->stage->combine = COMBINE_ADD, b->stage->order = ORDER_SEQUENCE;
}

static void build_nodes(Nest *b) {
  const Graph *g = b->f->g;
  const Node anchor = b->form->anchor;
  if (anchor.id) {
    if (b->f->chunk_buffer[anchor.id] >= 0) build_chunk_sum(b, anchor);
    else if (node_has(g, anchor, K_CONTRACTION)) build_contraction(b, anchor);
    else if (node_has(g, anchor, K_OVERLAP)) build_overlap(b, anchor);
    else build_reduction(b, anchor);
    b->stage->acc_type = (uint8_t)node_type(g, anchor);
    b->form->anchor_expr = add_expr(b, make_expr(X_ACC, node_type(g, anchor), node_data(g, anchor)->span));
    vec_push(&b->known, ((Known){anchor, b->identity, b->form->anchor_expr}));
    if (b->form->second.id) {
      Expr e = make_expr(X_ACC, node_type(g, anchor), node_data(g, anchor)->span);
      e.a = 1;
      b->form->second_expr = add_expr(b, e);
      vec_push(&b->known, ((Known){b->form->second, b->identity, b->form->second_expr}));
    }
  }
  for (uint32_t i = 0; i < b->form->nodes.count; i++) {
    const Node n = b->form->nodes.data[i];
    const int32_t x = eval_body(b, n, &b->identity);
    vec_push(&b->form->node_exprs, x);
    vec_push(&b->known, ((Known){n, b->identity, x}));
  }
}

static void add_store(Nest *b, uint32_t buffer, const Affine *at, int32_t value) {
  vec_push(&b->stage->stores, ((Store){.at = *at, .value = value}));
  vec_push(&b->form->store_buffers, buffer);
}

/* The sums of the chunks, [chunk][outputs]. */
static void build_chunks(Nest *b, Node n) {
  const uint32_t buffer = (uint32_t)b->f->chunk_buffer[n.id];
  build_contraction(b, n);
  b->stage->chunks = BATCH_CHUNKS, b->stage->acc_type = (uint8_t)node_type(b->f->g, n);
  const Affine at = affine_linear(b->f, shape_dims(b->f->g, b->form->shape), &b->identity);
  add_store(b, buffer, &at, add_expr(b, make_expr(X_ACC, node_type(b->f->g, n), node_data(b->f->g, n)->span)));
}

/* Stores a value over the par axes into a place of a bigger dense array: index i of the value goes to start + step * i. */
static void store_placed(Nest *b, uint32_t buffer, const Dims *dims, const int64_t *start, const int64_t *step, int32_t value) {
  IndexMap map = {.rank = (uint8_t)dims->rank};
  for (uint32_t i = 0; i < dims->rank; i++) {
    map.index[i] = affine_zero();
    affine_add(b->f, &map.index[i], &b->identity.index[i], step ? step[i] : 1, -1);
    map.index[i].offset += start ? start[i] : 0;
  }
  const Buffer *to = &b->f->s->buffers.data[buffer];
  const Affine at = to->is_slot ? affine_memory(b->f, dims, &map, true) : affine_of_node(b->f, to->node, dims, &map);
  add_store(b, buffer, &at, value);
}

/* Over the pairs and the rest, place by place: what lies in the row that the index names, and the value. */
static void build_scatter(Nest *b, Node n) {
  const Graph *g = b->f->g;
  const Node values = node_in(g, n, 0), index = node_in(g, n, 1);
  const Dims *dims = node_dims(g, n);
  const uint32_t pairs = (uint32_t)node_attr(g, n)[0], rank = node_rank(g, index);
  const Type type = node_type(g, n);
  const Span span = node_data(g, n)->span;
  IndexMap from = {.rank = (uint8_t)node_rank(g, values)}, to = {.rank = (uint8_t)dims->rank, .gathered = (uint8_t)pairs};
  for (uint32_t i = 0; i < from.rank; i++)
    from.index[i] = affine_axis(i < pairs ? i : i < rank ? add_red(b, node_dims(g, index)->dims[i]) : pairs + i - rank);
  for (uint32_t i = 0; i < to.rank; i++) to.index[i] = i == pairs ? affine_zero() : affine_axis(i - (i > pairs));
  IndexMap at = from;
  at.rank = (uint8_t)rank;
  int32_t inside;
  to.gather = 1 + eval_row_number(b, index, &at, dims->dims[pairs], &inside, span);
  const int32_t x = make_prim(b, P_SELECT, type, inside, eval(b, values, &from), make_const(b, type, 0, span), span);
  const int32_t old = make_load(b, n, dims, &to), sum = make_prim(b, P_ADD, type, old, x, -1, span);
  const Load *l = &b->stage->loads.data[b->stage->exprs.data[old].a];
  b->stage->combine = COMBINE_SCATTER, b->stage->acc_type = (uint8_t)type;
  vec_push(&b->stage->stores, ((Store){.at = l->at, .value = sum, .before = true, .gather = l->gather, .gather_stride = l->gather_stride}));
  vec_push(&b->form->store_buffers, schedule_buffer(b->f, n));
}

static Node loop_of_carry(const Fuse *f, Node carry) {
  for (uint32_t i = 0; i < f->loops.list.count; i++)
    if (f->loops.list.data[i].number == (uint32_t)node_attr(f->g, carry)[0]) return f->loops.list.data[i].token;
  return NODE_NONE;
}

static void build_placed(Nest *b) {
  Fuse *f = b->f;
  const Graph *g = f->g;
  const Node n = b->form->anchor;
  const Dims *dims = node_dims(g, n);
  int64_t start[GRAPH_MAX_RANK] = {0}, step[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < GRAPH_MAX_RANK; i++) step[i] = 1;
  switch (b->form->kind) {
  case FORM_PART: {
    const int64_t axis = node_attr(g, n)[0];
    for (uint32_t i = 0; i < b->form->part; i++) start[axis] += node_dims(g, node_in(g, n, i))->dims[axis];
    store_placed(b, schedule_buffer(f, n), dims, start, step, eval(b, node_in(g, n, b->form->part), &b->identity));
    break;
  }
  case FORM_FILL:
    store_placed(b, schedule_buffer(f, n), dims, start, step, make_const(b, node_type(g, n), 0, node_data(g, n)->span));
    break;
  case FORM_BORDER: {
    const uint32_t axis = b->form->part / 2;
    const int64_t *around = node_attr(g, n);
    for (uint32_t i = 0; i < axis; i++) start[i] = around[3 * i];
    if (b->form->part & 1) start[axis] = dims->dims[axis] - around[3 * axis + 1];
    store_placed(b, schedule_buffer(f, n), dims, start, step, make_const(b, node_type(g, n), 0, node_data(g, n)->span));
    break;
  }
  case FORM_PUT:
    for (uint32_t i = 0; i < dims->rank; i++) start[i] = node_attr(g, n)[3 * i], step[i] = node_attr(g, n)[3 * i + 2] + 1;
    store_placed(b, schedule_buffer(f, n), dims, start, step, eval(b, node_in(g, n, 0), &b->identity));
    break;
  case FORM_START:
  case FORM_NEXT: {
    const bool start = b->form->kind == FORM_START;
    const Node token = start ? NODE_NONE : loop_of_carry(f, n);
    const Node value = start ? node_in(g, n, 0) : node_in(g, token, (uint32_t)(node_data(g, token)->count / 2 + node_attr(g, n)[1]));
    const Affine at = affine_carry(f, n, dims, &b->identity, start ? 0 : -2);
    add_store(b, schedule_buffer(f, n), &at, eval(b, value, &b->identity));
    break;
  }
  case FORM_STACK: {
    const Affine at = affine_stack(f, n, &b->identity);
    add_store(b, schedule_buffer(f, n), &at, eval(b, node_in(g, n, 0), &b->identity));
    break;
  }
  default: { /* FORM_COPY */
    const uint32_t to = b->form->to_slot >= 0 ? schedule_slot_buffer(f, (uint32_t)b->form->to_slot) : schedule_buffer(f, n);
    const bool own = b->form->to_slot < 0 && f->kept[n.id]; /* the copy is what makes n kept: evaluate n, not a load of it */
    store_placed(b, to, dims, start, step, own ? eval_body(b, n, &b->identity) : eval(b, n, &b->identity));
    break;
  }
  }
}

void nest_build(Fuse *f, Form *form) {
  Nest b = {.f = f, .form = form, .stage = &form->stage};
  form->stage.before = form->stage.before2 = -1;
  form->stage.lane = form->stage.row = form->stage.row_outer = -1;
  if (form->kind == FORM_BEGIN || form->kind == FORM_END) return;
  add_axes(&b, shape_dims(f->g, form->shape));
  if (form->kind == FORM_NODES) build_nodes(&b);
  else if (form->kind == FORM_CHUNKS) build_chunks(&b, form->anchor);
  else if (form->kind == FORM_SCATTER) build_scatter(&b, form->anchor);
  else build_placed(&b);
  vec_free(&b.known);
}
