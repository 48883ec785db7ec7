/* pack.c: a panel of the lane operand: [k][vectors of lanes], k running over all red axes. Lanes that lie along a red
 * axis in memory are transposed in blocks of 4 by 4, four of them side by side where there are as many lanes; anything
 * else is evaluated lane by lane. And stages that do nothing but turn an array go by blocks of 4 by 4. */
#include "nest.h"

typedef struct {
  Nest *n;
  Emit *e;
  const Load *load;
  unsigned turned; /* the red axis along which four elements adjoin */
  LLVMTypeRef type, from; /* of the panel; of what its strides count in memory: half of a pair */
  V source, panel; /* of the first lane, at k = 0 */
  V lanes, width;  /* lanes that exist; lanes of a panel's row */
} Block;

/* How far apart in k two neighbours of a red axis are. */
static int64_t depth_step(const Stage *s, unsigned axis) {
  int64_t step = 1;
  for (unsigned i = axis + 1; i < (unsigned)s->par + s->red; i++) step *= s->axes[i].count;
  return step;
}

/* The red axis along which the load's elements adjoin; -1 where none does, or blocks would not fit. */
static int turned_axis(const Stage *s, const Load *l, Type type) {
  const bool floats = type == TYPE_F32 || type == TYPE_F64, pairs = l->pairs && l->at.stride[s->lane] != 1;
  if (l->guard_count || (!floats && !pairs) || l->at.batch[s->lane] >= 0) return -1;
  for (unsigned i = s->par; i < (unsigned)s->par + s->red; i++)
    if (l->at.stride[i] == (pairs ? 2 : 1) && s->axes[i].count >= 4) return (int)i;
  return -1;
}

/* `order` of 4 elements, 4 and more meaning b, in each of `blocks` blocks of a and b. */
static V shuffle_blocks(Emit *e, V a, V b, const unsigned order[4], unsigned blocks) {
  V lanes[16];
  for (unsigned i = 0; i < 4 * blocks; i++)
    lanes[i] = e_int(e, e->i32, order[i % 4] % 4 + i / 4 * 4 + (order[i % 4] < 4 ? 0 : 4 * blocks));
  return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(lanes, 4 * blocks), "");
}

/* In each block r[i][j] becomes r[j][i]. */
static void transpose4(Emit *e, V r[4], unsigned blocks) {
  static const unsigned low[] = {0, 4, 1, 5}, high[] = {2, 6, 3, 7}, first[] = {0, 1, 4, 5}, second[] = {2, 3, 6, 7};
  V a = shuffle_blocks(e, r[0], r[1], low, blocks), b = shuffle_blocks(e, r[2], r[3], low, blocks),
    c = shuffle_blocks(e, r[0], r[1], high, blocks), d = shuffle_blocks(e, r[2], r[3], high, blocks);
  r[0] = shuffle_blocks(e, a, b, first, blocks), r[1] = shuffle_blocks(e, a, b, second, blocks);
  r[2] = shuffle_blocks(e, c, d, first, blocks), r[3] = shuffle_blocks(e, c, d, second, blocks);
}

static V join(Emit *e, V a, V b, unsigned size) {
  V lanes[16];
  for (unsigned i = 0; i < 2 * size; i++) lanes[i] = e_int(e, e->i32, i);
  return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(lanes, 2 * size), "");
}

/* Four elements along the turned axis of 16 lanes that all exist. */
static void wide_body(const Block *b, V lane, V source, V to) {
  Emit *e = b->e;
  const int64_t step = depth_step(b->n->stage, b->turned), apart = b->load->at.stride[b->n->lane];
  LLVMTypeRef four = e_vector(e, b->type, 4);
  V r[4];
  source = e_gep(e, b->from, source, i64_mul(e, lane, apart)), to = e_gep(e, b->type, to, lane);
  for (int i = 0; i < 4; i++) {
    V part[4];
    for (int k = 0; k < 4; k++) part[k] = e_load(e, four, e_gep(e, b->from, source, e_i64(e, (4 * k + i) * apart)), b->load->pairs ? 2 : 4);
    r[i] = join(e, join(e, part[0], part[1], 4), join(e, part[2], part[3], 4), 8);
  }
  transpose4(e, r, 4);
  for (int i = 0; i < 4; i++) e_store(e, r[i], e_gep(e, b->type, to, i64_mul(e, b->width, i * step)), 4);
}

/* `count` (4 or 1) elements along the turned axis of four lanes. source and to: at these elements of lane 0. */
static void block_body(const Block *b, V lane, V source, V to, unsigned count) {
  Emit *e = b->e;
  const unsigned align = b->type == e->f64 ? 8 : 4, align_from = b->load->pairs ? 2 : align;
  const int64_t step = depth_step(b->n->stage, b->turned), apart = b->load->at.stride[b->n->lane];
  V r[4];
  for (unsigned i = 0; i < 4; i++) { /* lanes that do not exist repeat the last */
    V at = i64_min(e, i64_add(e, lane, e_i64(e, i)), i64_add(e, b->lanes, e_i64(e, -1)));
    r[i] = e_load(e, e_vector(e, b->type, count), e_gep(e, b->from, source, i64_mul(e, at, apart)), align_from);
  }
  if (count == 4) transpose4(e, r, 1);
  for (unsigned i = 0; i < 4; i++) {
    V at = count == 4 ? i64_add(e, lane, i64_mul(e, b->width, i * step)) : i64_add(e, lane, e_i64(e, i));
    e_store(e, r[i], e_gep(e, b->type, to, at), align);
  }
}

/* The panel's row of an index of the turned axis. */
static V row_of(const Block *b, V panel, V k) {
  Emit *e = b->e;
  return e_gep(e, b->type, panel, LLVMBuildMul(e->b, i64_mul(e, k, depth_step(b->n->stage, b->turned)), b->width, ""));
}

/* Does the next index of an outer axis lie beside what is turned, as the next head of an attention does? */
static bool next_adjoins(const Block *b) {
  const Stage *s = b->n->stage;
  for (int i = 0; i < s->par; i++)
    if (i != b->n->lane && b->load->at.stride[i] == s->axes[b->turned].count && b->load->at.batch[i] < 0) return true;
  return false;
}

/* Asks for it, of 16 lanes. */
static void ask_beside(const Block *b, V source, V lane, int64_t count) {
  Emit *e = b->e;
  for (int i = 0; i < 16; i++)
    for (int64_t at = count; at < 2 * count; at += 16)
      e_prefetch(e, e_gep(e, b->from, source, i64_add(e, i64_mul(e, i64_add(e, lane, e_i64(e, i)), b->load->at.stride[b->n->lane]), e_i64(e, at))), false);
}

/* Whole groups of 16 lanes: along each, so that its lines of memory stay near until all of them is used. */
static void wide_loops(const Block *b, V source, V panel, V lanes, int64_t count) {
  Emit *e = b->e;
  Loop k, j;
  e_loop_begin(e, &j, e_i64(e, 0), lanes, e_i64(e, 16), NULL, 0, false);
  if (count <= 64 && next_adjoins(b)) ask_beside(b, source, j.i, count);
  e_loop_begin(e, &k, e_i64(e, 0), e_i64(e, count), e_i64(e, 4), NULL, 0, true);
  wide_body(b, j.i, e_gep(e, b->from, source, i64_mul(e, k.i, b->load->at.stride[b->turned])), row_of(b, panel, k.i));
  e_loop_end(e, &k, NULL);
  e_loop_end(e, &j, NULL);
}

/* Elements from `from` to `to` of the turned axis, `count` at a time, for all lanes from `lane` on. */
static void block_loops(const Block *b, V source, V panel, V lane, int64_t from, int64_t to, unsigned count) {
  Emit *e = b->e;
  Loop k, j;
  if (from == to) return;
  e_loop_begin(e, &k, e_i64(e, from), e_i64(e, to), e_i64(e, count), NULL, 0, true);
  V at = e_gep(e, b->from, source, i64_mul(e, k.i, b->load->at.stride[b->turned])), row = row_of(b, panel, k.i);
  e_loop_begin(e, &j, lane, b->width, e_i64(e, 4), NULL, 0, false);
  block_body(b, j.i, at, row, count);
  e_loop_end(e, &j, NULL);
  e_loop_end(e, &k, NULL);
}

static void turn(const Block *b, V source, V panel) {
  Emit *e = b->e;
  const Stage *s = b->n->stage;
  const Extent columns = s->axes[b->n->lane];
  const int64_t all = s->axes[b->turned].count, whole = all / 4 * 4;
  const bool wide = (b->type == e->f32 || b->load->pairs) && b->n->lanes == 16, even = wide && columns.batch < 0 && columns.count % 16 == 0;
  V lane = e_i64(e, 0);
  if (wide) {
    lane = LLVMBuildAnd(e->b, b->lanes, e_i64(e, -16), "");
    wide_loops(b, source, panel, lane, whole);
  }
  if (!even) block_loops(b, source, panel, lane, 0, whole, 4);
  block_loops(b, source, panel, e_i64(e, 0), whole, all, 1);
}

static void block_axes(const Block *b, unsigned axis, V source, V panel) {
  Emit *e = b->e;
  const Stage *s = b->n->stage;
  Loop l;
  while (axis == b->turned) axis++;
  if (axis == (unsigned)s->par + s->red) {
    turn(b, source, panel);
    return;
  }
  e_loop_begin(e, &l, e_i64(e, 0), e_i64(e, s->axes[axis].count), e_i64(e, 1), NULL, 0, s->axes[axis].count > 0);
  V from = e_gep(e, b->from, source, i64_mul(e, l.i, b->load->at.stride[axis]));
  V to = e_gep(e, b->type, panel, LLVMBuildMul(e->b, i64_mul(e, l.i, depth_step(s, axis)), b->width, ""));
  block_axes(b, axis + 1, from, to);
  e_loop_end(e, &l, NULL);
}

bool pack_in_blocks(const Nest *n, int32_t expr) {
  const Expr *x = &n->stage->exprs.data[expr];
  if (x->kind != X_LOAD) return false;
  const Load *l = &n->stage->loads.data[x->a];
  for (unsigned i = n->stage->par; i < (unsigned)n->stage->par + n->stage->red; i++)
    if (l->at.batch[i] >= 0 || n->stage->axes[i].batch >= 0) return false;
  return turned_axis(n->stage, l, x->type) >= 0;
}

/* pack(source, panel, lanes that exist, lanes of a panel's row) */
V pack_function(Nest *n, int32_t expr, const char *name) {
  Emit *e = n->e;
  const Expr *x = &n->stage->exprs.data[expr];
  const Aside aside = aside_begin(e, name, (LLVMTypeRef[]){e->ptr, e->ptr, e->i64, e->i64}, 4, true);
  V f = e->function;
  Block b = {.n = n,
             .e = e,
             .load = &n->stage->loads.data[x->a],
             .type = expr_type(e, x->type),
             .from = memory_type(e, n->kernel->operand_type[n->stage->loads.data[x->a].operand]),
             .source = LLVMGetParam(f, 0),
             .panel = LLVMGetParam(f, 1),
             .lanes = LLVMGetParam(f, 2),
             .width = LLVMGetParam(f, 3)};
  b.turned = (unsigned)turned_axis(n->stage, b.load, x->type);
  block_axes(&b, n->stage->par, b.source, b.panel);
  return aside_end(e, aside);
}

/* rows of tiles, `rows` at a time where whole tiles are left, else one by one. source, panel: at this k. */
static void copy_rows(Emit *e, LLVMTypeRef type, const TileShape *shape, V source, V panel, V rows) {
  const unsigned align = type == e->f64 ? 8 : 4;
  Loop tile, one;
  V size = e_i64(e, shape->rows), whole = LLVMBuildSub(e->b, rows, LLVMBuildURem(e->b, rows, size, ""), "");
  e_loop_begin(e, &tile, e_i64(e, 0), whole, size, NULL, 0, false);
  V x = e_load(e, e_vector(e, type, shape->rows), e_gep(e, type, source, tile.i), align);
  e_store(e, x, e_gep(e, type, panel, i64_mul(e, tile.i, shape->depth)), align);
  e_loop_end(e, &tile, NULL);
  e_loop_begin(e, &one, whole, rows, e_i64(e, 1), NULL, 0, false);
  V at = i64_add(e, i64_mul(e, whole, shape->depth), LLVMBuildSub(e->b, one.i, whole, ""));
  e_store(e, e_load(e, type, e_gep(e, type, source, one.i), align), e_gep(e, type, panel, at), align);
  e_loop_end(e, &one, NULL);
}

static void rows_axes(Nest *n, const Load *load, unsigned axis, const TileShape *shape, V source, V panel) {
  Emit *e = n->e;
  const Stage *s = n->stage;
  LLVMTypeRef type = expr_type(e, n->kernel->operand_type[load->operand]);
  Loop l;
  if (axis == (unsigned)s->par + s->red) {
    copy_rows(e, type, shape, source, panel, LLVMGetParam(e->function, 2));
    return;
  }
  V end = axis == s->par ? LLVMGetParam(e->function, 3) : e_i64(e, s->axes[axis].count);
  e_loop_begin(e, &l, e_i64(e, 0), end, e_i64(e, 1), NULL, 0, false);
  V from = e_gep(e, type, source, i64_mul(e, l.i, load->at.stride[axis]));
  V to = e_gep(e, type, panel, i64_mul(e, l.i, depth_step(s, axis) * shape->rows));
  rows_axes(n, load, axis + 1, shape, from, to);
  e_loop_end(e, &l, NULL);
}

V pack_rows_function(Nest *n, uint32_t load, const TileShape *shape, const char *name) {
  Emit *e = n->e;
  const Aside aside = aside_begin(e, name, (LLVMTypeRef[]){e->ptr, e->ptr, e->i64, e->i64}, 4, true);
  V source = LLVMGetParam(e->function, 0), panel = LLVMGetParam(e->function, 1);
  rows_axes(n, &n->stage->loads.data[load], n->stage->par, shape, source, panel);
  return aside_end(e, aside);
}

typedef struct {
  int32_t expr;
  V panel; /* of the row at k = 0 */
} Filling;

static void fill_axes(Nest *n, Carry *carry, void *data) {
  const Filling *f = data;
  Emit *e = n->e;
  const Stage *s = n->stage;
  unsigned axis = s->par;
  while (axis < (unsigned)s->par + s->red && n->open & AXIS_BIT(axis)) axis++;
  if (axis < (unsigned)s->par + s->red) {
    loop_axis(n, axis, carry, axis + 1 < (unsigned)s->par + s->red, fill_axes, data);
    return;
  }
  const Expr *x = &s->exprs.data[f->expr];
  V k = e_i64(e, 0);
  for (unsigned i = s->par; i < (unsigned)s->par + s->red; i++)
    k = i64_add(e, i64_mul(e, k, s->axes[i].count), n->index[i]);
  V row = e_gep(e, expr_type(e, x->type), f->panel, i64_mul(e, k, (int64_t)n->vectors * n->lanes));
  for (unsigned v = 0; v < n->vectors; v++)
    e_store(e, expr_value(n, f->expr, 0, v, true),
            e_gep(e, expr_type(e, x->type), row, e_i64(e, (int64_t)v * n->lanes)), x->type == TYPE_F64 ? 8 : 4);
}

void pack_fill(Nest *n, int32_t expr, V panel) {
  Filling f = {expr, panel};
  Carry none = {NULL, 0};
  fill_axes(n, &none, &f);
}

/* ---- a stage that turns an array ---- */

/* A value that is read along one axis and stored along another one, the lanes. */
typedef struct {
  Nest *n;
  LLVMTypeRef type;
  unsigned align, turned, lane; /* axes */
  V source, target;             /* at index 0 of both */
  int64_t apart, rows;          /* elements: from lane to lane in the source, from one turned index to the next in the target */
} Turning;

/* The load that the stage stores as it is, turned; *axis: along which it adjoins. NULL: the stage is another one. */
static const Load *turned_load(const Nest *n, unsigned *axis) {
  const Stage *s = n->stage;
  if (s->combine != COMBINE_NONE || n->kernel->block || s->stores.count != 1 || s->loads.count != 1 || s->lane < 0 || n->grouped)
    return NULL;
  const Store *to = &s->stores.data[0];
  const Expr *x = &s->exprs.data[to->value];
  if (x->kind != X_LOAD || (x->type != TYPE_F32 && x->type != TYPE_F64) || to->gather) return NULL;
  const Load *l = &s->loads.data[x->a];
  if (l->guard_count || l->gather || l->at.batch[s->lane] >= 0 || to->at.batch[s->lane] >= 0) return NULL;
  if (to->at.stride[s->lane] != 1 || l->at.stride[s->lane] == 1 || !l->at.stride[s->lane]) return NULL;
  for (unsigned i = 0; i < s->par; i++)
    if ((int)i != s->lane && l->at.stride[i] == 1 && l->at.batch[i] < 0 && to->at.batch[i] < 0) {
      *axis = i;
      return l;
    }
  return NULL;
}

bool turn_fits(const Nest *n) {
  unsigned axis;
  return turned_load(n, &axis) != NULL;
}

/* `wide` indices of the turned axis from k on, of four lanes from j on. */
static void turn_block(const Turning *t, V k, V j, unsigned wide) {
  Emit *e = t->n->e;
  LLVMTypeRef four = e_vector(e, t->type, 4);
  V from = e_gep(e, t->type, e_gep(e, t->type, t->source, k), i64_mul(e, j, t->apart));
  V to = e_gep(e, t->type, e_gep(e, t->type, t->target, j), i64_mul(e, k, t->rows));
  for (unsigned part = 0; part < wide; part += 4) {
    V r[4];
    for (unsigned i = 0; i < 4; i++) r[i] = e_load(e, four, e_gep(e, t->type, from, e_i64(e, i * t->apart + part)), t->align);
    transpose4(e, r, 1);
    for (unsigned i = 0; i < 4; i++) e_store(e, r[i], e_gep(e, t->type, to, e_i64(e, (part + i) * t->rows)), t->align);
  }
}

/* By `wide` of the turned axis and four lanes, or, where wide is 1, one by one. */
static void turn_range(const Turning *t, V k_from, V k_to, V j_from, V j_to, unsigned wide) {
  Emit *e = t->n->e;
  Loop k, j;
  e_loop_begin(e, &k, k_from, k_to, e_i64(e, wide), NULL, 0, false);
  e_loop_begin(e, &j, j_from, j_to, e_i64(e, wide > 1 ? 4 : 1), NULL, 0, false);
  if (wide > 1) {
    turn_block(t, k.i, j.i, wide);
  } else {
    V x = e_load(e, t->type, e_gep(e, t->type, e_gep(e, t->type, t->source, k.i), i64_mul(e, j.i, t->apart)), t->align);
    e_store(e, x, e_gep(e, t->type, e_gep(e, t->type, t->target, j.i), i64_mul(e, k.i, t->rows)), t->align);
  }
  e_loop_end(e, &j, NULL);
  e_loop_end(e, &k, NULL);
}

static V whole_steps(Emit *e, V from, V to, int64_t step) {
  return i64_add(e, from, LLVMBuildAnd(e->b, LLVMBuildSub(e->b, to, from, ""), e_i64(e, -step), ""));
}

/* 16 of the turned axis fill a line of memory; what is left goes by 4, then one by one. */
static void turn_axes(Nest *n, Carry *carry, void *data) {
  Turning *t = data;
  const Stage *s = n->stage;
  unsigned axis = 0;
  while (axis < s->par && (n->open & AXIS_BIT(axis) || axis == t->turned || axis == t->lane)) axis++;
  if (axis < s->par) {
    loop_axis(n, axis, carry, false, turn_axes, data);
    return;
  }
  Emit *e = n->e;
  const Range k = range_axis(n, t->turned), j = range_axis(n, t->lane);
  t->source = nest_spot(n, (uint32_t)s->exprs.data[s->stores.data[0].value].a, 0, 0), t->target = nest_spot(n, n->first_store, 0, 0);
  V lines = whole_steps(e, k.from, k.to, 16), fours = whole_steps(e, lines, k.to, 4), lanes = whole_steps(e, j.from, j.to, 4);
  turn_range(t, k.from, lines, j.from, lanes, 16);
  turn_range(t, lines, fours, j.from, lanes, 4);
  turn_range(t, k.from, fours, lanes, j.to, 1);
  turn_range(t, fours, k.to, j.from, j.to, 1);
}

void turn_emit(Nest *n) {
  Turning t = {.n = n, .lane = (unsigned)n->stage->lane};
  const Load *l = turned_load(n, &t.turned);
  const Type type = n->stage->exprs.data[n->stage->stores.data[0].value].type;
  Carry none = {NULL, 0};
  t.type = expr_type(n->e, type), t.align = type_bytes(type);
  t.apart = l->at.stride[t.lane], t.rows = n->stage->stores.data[0].at.stride[t.turned];
  turn_axes(n, &none, &t);
}
