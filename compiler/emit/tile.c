/* tile.c: contractions by register tiles: a function computes `rows` by `vectors` accumulators over the whole red axes, k in
 * order with fma; the kernel walks over columns outside and rows inside, so that the lane operand's panel stays near. Rows
 * past the last are computed again from the last one and not stored, so that one function serves every count of rows. */
#include <stdio.h>
#include <string.h>

#include "nest.h"

typedef struct {
  unsigned vectors;
  V tail;       /* lanes of the last vector: a constant; NULL: all */
  bool dynamic; /* they are a parameter */
  V function, pack;
} Variant;

typedef struct {
  Nest *n;
  TileShape shape;
  uint64_t used;  /* operands */
  int32_t *given; /* expressions whose values the function is given */
  uint32_t given_count;
  Variant variants[8];
  unsigned variant_count;
  V pack;         /* lays out a panel in blocks, of any width */
} Tile;

bool tile_fits(const Nest *n) { return !n->in_tile && shape_fits(n->kernel, n->stage); }

static void list_operands(Tile *t) {
  const Stage *s = t->n->stage;
  for (uint32_t i = 0; i < s->loads.count; i++) t->used |= 1ull << s->loads.data[i].operand;
  for (uint32_t i = 0; i < s->stores.count; i++) t->used |= 1ull << s->stores.data[i].operand;
}

static void give(Tile *t, int32_t expr) {
  const Nest *n = t->n;
  if (expr < 0) return;
  const Expr *x = &n->stage->exprs.data[expr];
  if (!(n->cells[expr].deps & ~stage_outer(n))) {
    for (uint32_t i = 0; i < t->given_count; i++)
      if (t->given[i] == expr) return;
    t->given[t->given_count++] = expr;
    return;
  }
  if (x->kind != X_PRIM) return;
  give(t, x->a), give(t, x->b), give(t, x->c);
}

/* The values that the tile's expressions take from outside it. */
static void list_given(Tile *t) {
  const Stage *s = t->n->stage;
  t->given = ARENA_ARRAY(&t->n->u->arena, int32_t, s->exprs.count + 1);
  give(t, s->before), give(t, s->before2);
  for (uint32_t i = 0; i < s->stores.count; i++) give(t, s->stores.data[i].value);
}

#define TILE_MAX_PARAMS (KERNEL_MAX_OPERANDS + KERNEL_MAX_AXES + 64)

/* Parameters: frame, operands, an index a par axis, rows that count, lanes that count, scratch, values given. `args`: of
 * this call. */
static unsigned tile_params(Tile *t, LLVMTypeRef *types, V *args, V row, V rows, V lanes) {
  Nest *n = t->n;
  Emit *e = n->e;
  unsigned count = 0;
  types[count] = e->ptr, args[count++] = n->frame;
  for (unsigned i = 0; i < n->kernel->operand_count; i++)
    if (t->used >> i & 1) types[count] = e->ptr, args[count++] = n->operand[i];
  for (unsigned i = 0; i < n->stage->par; i++)
    types[count] = e->i64, args[count++] = (int)i == n->stage->row ? row : n->index[i];
  types[count] = e->i64, args[count++] = rows;
  types[count] = e->i64, args[count++] = lanes ? lanes : e_i64(e, 0);
  types[count] = e->ptr, args[count++] = n->scratch;
  for (uint32_t i = 0; i < t->given_count; i++) {
    V x = expr_value(n, t->given[i], 0, 0, false);
    if (LLVMIsConstant(x)) continue;
    if (count == TILE_MAX_PARAMS) DIAG_BUG(n->u->schedule->session, ((Span){0}), "a tile of over %d parameters", TILE_MAX_PARAMS);
    types[count] = LLVMTypeOf(x), args[count++] = x;
  }
  return count;
}

static void take_given(const Tile *t, Nest *in, V f, unsigned at) {
  for (uint32_t i = 0; i < t->given_count; i++) {
    V x = t->n->cells[t->given[i]].value[0];
    in->cells[t->given[i]].value[0] = LLVMIsConstant(x) ? x : LLVMGetParam(f, at++);
  }
}

/* The stage with its lane operand read from a panel: an operand more, in the order in which it was laid out. */
static void read_panel(const Tile *t, const Variant *v, Kernel *k, Stage *s) {
  Arena *arena = &t->n->u->arena;
  *k = *t->n->kernel, *s = *t->n->stage;
  const uint16_t operand = k->operand_count++;
  k->operand_type[operand] = s->exprs.data[t->shape.packed].type, k->operand_written[operand] = false;
  Load *loads = ARENA_ARRAY(arena, Load, s->loads.count + 1);
  Expr *exprs = ARENA_ARRAY(arena, Expr, s->exprs.count);
  if (s->loads.count) memcpy(loads, s->loads.data, sizeof *loads * s->loads.count);
  memcpy(exprs, s->exprs.data, sizeof *exprs * s->exprs.count);
  Load *panel = &loads[s->loads.count];
  *panel = (Load){.operand = operand};
  memset(panel->at.batch, -1, sizeof panel->at.batch);
  int64_t stride = (int64_t)v->vectors * t->n->lanes;
  for (unsigned i = (unsigned)s->par + s->red; i-- > s->par;) panel->at.stride[i] = stride, stride *= s->axes[i].count;
  panel->at.stride[s->lane] = 1;
  Expr *x = &exprs[t->shape.packed];
  *x = (Expr){.kind = X_LOAD, .type = x->type, .a = (int32_t)s->loads.count, .b = -1, .c = -1, .span = x->span};
  s->loads.data = loads, s->loads.count++, s->exprs.data = exprs;
}

static void set_lanes(Nest *in, const Variant *v, V lanes) {
  int64_t known = 0;
  in->vectors = v->vectors;
  if (!v->tail && !v->dynamic) return;
  in->mask_count[v->vectors - 1] = v->dynamic ? lanes : v->tail;
  if (v->tail) i64_known(v->tail, &known);
  in->mask[v->vectors - 1] = v->dynamic ? e_mask_below(in->e, in->lanes, lanes) : e_mask(in->e, in->lanes, (unsigned)known);
}

/* What the parameters of a tile's function are. */
typedef struct {
  V operand[KERNEL_MAX_OPERANDS], index[KERNEL_MAX_AXES], count, lanes, space;
  unsigned given; /* the first of the values given */
} Params;

static Params read_params(const Tile *t, V f) {
  Params p = {.operand = {NULL}};
  unsigned at = 1;
  for (unsigned i = 0; i < t->n->kernel->operand_count; i++)
    p.operand[i] = t->used >> i & 1 ? LLVMGetParam(f, at++) : LLVMConstNull(t->n->e->ptr);
  for (unsigned i = 0; i < t->n->stage->par; i++) p.index[i] = LLVMGetParam(f, at++);
  p.count = LLVMGetParam(f, at), p.lanes = LLVMGetParam(f, at + 1), p.space = LLVMGetParam(f, at + 2), p.given = at + 3;
  return p;
}

static void open_par_axes(Nest *in, const Params *p, bool row) {
  const Stage *s = in->stage;
  nest_open(in, AXIS_STAGE, NULL, true);
  for (unsigned i = 0; i < s->par; i++)
    if ((int)i != s->row && (int)i != s->lane) nest_open(in, i, p->index[i], true);
  nest_open(in, (unsigned)s->lane, p->index[s->lane], true);
  if (row) nest_open(in, (unsigned)s->row, p->index[s->row], true);
}

static void tile_nest(const Tile *t, const Variant *v, const Params *p, Nest *in, const Kernel *k, const Stage *s) {
  Emit *e = t->n->e;
  V offset[NEST_MAX_ROWS];
  for (unsigned r = 0; t->shape.ragged && r < t->shape.rows; r++)
    offset[r] = r ? i64_min(e, e_i64(e, r), i64_add(e, p->count, e_i64(e, -1))) : e_i64(e, 0);
  nest_init(in, t->n->u, k, s, LLVMGetParam(e->function, 0), p->operand, t->shape.rows, t->shape.ragged ? offset : NULL,
            t->shape.ragged ? p->count : NULL);
  in->in_tile = true;
  set_lanes(in, v, p->lanes);
  take_given(t, in, e->function, p->given);
}

/* Where the panel ends, at most at the axis' end. */
static V panel_end(const Tile *t, Nest *in) {
  return i64_min(in->e, nest_extent(in, in->stage->axes[in->stage->par]), e_i64(in->e, t->shape.limit));
}

/* The body of a tile's function, begun already. */
static void tile_body(const Tile *t, const Variant *v) {
  Emit *e = t->n->e;
  Kernel kernel;
  Stage stage;
  Nest in, rest;
  Params p = read_params(t, e->function);
  if (t->shape.packed < 0) {
    tile_nest(t, v, &p, &in, t->n->kernel, t->n->stage);
  } else {
    read_panel(t, v, &kernel, &stage);
    LLVMTypeRef type = expr_type(e, stage.exprs.data[t->shape.packed].type);
    p.operand[kernel.operand_count - 1] = e_gep(e, type, p.space, LLVMBuildNeg(e->b, p.index[stage.lane], ""));
    tile_nest(t, v, &p, &in, &kernel, &stage);
    in.panel = kernel.operand_count - 1;
  }
  stage_wants(&in);
  open_par_axes(&in, &p, true);
  if (t->shape.packed >= 0 && t->shape.beyond) {
    tile_nest(t, v, &p, &rest, t->n->kernel, t->n->stage);
    nest_want(&rest, rest.stage->before), nest_want(&rest, rest.stage->before2);
    open_par_axes(&rest, &p, true);
    in.red_from = e_i64(e, 0), in.red_to = panel_end(t, &in);
    rest.red_from = in.red_to, rest.red_to = nest_extent(&rest, rest.stage->axes[rest.stage->par]);
    in.rest = &rest;
  }
  stage_point(&in);
}

/* The body of the function that lays out a panel by evaluation. */
static void fill_body(const Tile *t, const Variant *v) {
  Nest in;
  const Params p = read_params(t, t->n->e->function);
  nest_init(&in, t->n->u, t->n->kernel, t->n->stage, LLVMGetParam(t->n->e->function, 0), p.operand, 1, NULL, NULL);
  in.in_tile = true;
  set_lanes(&in, v, p.lanes);
  take_given(t, &in, t->n->e->function, p.given);
  nest_want(&in, t->shape.packed);
  open_par_axes(&in, &p, false);
  if (t->shape.beyond) in.red_from = e_i64(in.e, 0), in.red_to = panel_end(t, &in);
  pack_fill(&in, t->shape.packed, p.space);
}

static bool in_blocks(const Tile *t) { return !t->shape.beyond && pack_in_blocks(t->n, t->shape.packed); }

/* The functions for the lane chunk that is open, made where they are new. */
static Variant *find_variant(Tile *t, LLVMTypeRef *types, unsigned count) {
  Nest *n = t->n;
  V lanes = n->mask[n->vectors - 1] ? n->mask_count[n->vectors - 1] : NULL;
  int64_t known;
  const bool dynamic = lanes && !i64_known(lanes, &known);
  Variant *v = t->variants, *end = v + t->variant_count;
  while (v < end && !(v->vectors == n->vectors && v->dynamic == dynamic && (dynamic || v->tail == lanes))) v++;
  if (v < end) return v;
  char name[40];
  *v = (Variant){n->vectors, dynamic ? NULL : lanes, dynamic, NULL, NULL};
  t->variant_count++;
  snprintf(name, sizeof name, "tile%u_%ux%u", n->u->functions++, t->shape.rows, v->vectors);
  Aside aside = aside_begin(n->e, name, types, count, n->distinct);
  tile_body(t, v);
  v->function = aside_end(n->e, aside);
  if (t->shape.packed < 0 || in_blocks(t)) return v;
  snprintf(name, sizeof name, "pack%u", n->u->functions++);
  aside = aside_begin(n->e, name, types, count, n->distinct);
  fill_body(t, v);
  v->pack = aside_end(n->e, aside);
  return v;
}

/* Calls the tile at the open lane chunk and rows from `row` on; `pack`: what fills its panel instead. */
static void tile_call(Tile *t, V row, V rows, bool pack) {
  Nest *n = t->n;
  LLVMTypeRef types[TILE_MAX_PARAMS];
  V args[TILE_MAX_PARAMS];
  const unsigned count = tile_params(t, types, args, row, rows, n->mask[n->vectors - 1] ? n->mask_count[n->vectors - 1] : NULL);
  const Variant *v = find_variant(t, types, count);
  call_function(n->e, pack ? v->pack : v->function, args, count);
}

static void fill_panel(Tile *t) {
  Nest *n = t->n;
  Emit *e = n->e;
  if (!in_blocks(t)) {
    tile_call(t, e_i64(e, 0), e_i64(e, 0), true);
    return;
  }
  char name[40];
  snprintf(name, sizeof name, "pack%u", n->u->functions);
  if (!t->pack) t->pack = pack_function(n, t->shape.packed, name), n->u->functions++;
  V width = e_i64(e, (int64_t)n->vectors * n->lanes), lanes = width;
  if (n->mask[n->vectors - 1]) lanes = i64_add(e, e_i64(e, (int64_t)(n->vectors - 1) * n->lanes), n->mask_count[n->vectors - 1]);
  V source = nest_spot(n, (uint32_t)n->stage->exprs.data[t->shape.packed].a, 0, 0);
  call_function(e, t->pack, (V[]){source, n->scratch, lanes, width}, 4);
}

static void tile_rows(Nest *n, Carry *carry, void *data) {
  Tile *t = data;
  Emit *e = n->e;
  const Range r = range_axis(n, (unsigned)n->stage->row);
  Loop l;
  const bool once = r.count > 0 && r.count <= t->shape.rows;
  if (t->shape.packed >= 0) fill_panel(t);
  if (!once) e_loop_begin(e, &l, r.from, r.to, e_i64(e, t->shape.rows), NULL, 0, r.count > 0);
  V row = once ? r.from : l.i, left = LLVMBuildSub(e->b, r.to, row, ""), all = e_i64(e, t->shape.rows);
  tile_call(t, row, t->shape.ragged ? i64_min(e, left, all) : all, false);
  if (!once) e_loop_end(e, &l, NULL);
}

/* `groups` chunks of `vectors` vectors from vector `first` on; the last lanes of the last one may not exist. */
static void tile_group(Tile *t, int64_t first, int64_t groups, unsigned vectors, int64_t tail) {
  Nest *n = t->n;
  Emit *e = n->e;
  const int64_t lanes = n->lanes, plain = groups - (tail != 0);
  for (int last = 0; last < 2; last++) {
    const int64_t count = last ? groups - plain : plain, at = (first + (last ? plain * vectors : 0)) * lanes;
    if (!count) continue;
    Loop l;
    if (count > 1)
      e_loop_begin(e, &l, e_i64(e, at), e_i64(e, at + count * vectors * lanes), e_i64(e, vectors * lanes), NULL, 0, true);
    n->vectors = vectors;
    memset(n->mask, 0, sizeof n->mask);
    if (last) n->mask[vectors - 1] = e_mask(e, n->lanes, (unsigned)tail), n->mask_count[vectors - 1] = e_i64(e, tail);
    nest_open(n, (unsigned)n->stage->lane, count > 1 ? l.i : e_i64(e, at), false);
    tile_rows(n, NULL, t);
    nest_close(n);
    if (count > 1) e_loop_end(e, &l, NULL);
  }
}

static void tile_columns(Tile *t) {
  Nest *n = t->n;
  Carry none = {NULL, 0};
  const unsigned lane = (unsigned)n->stage->lane;
  const Range r = range_axis(n, lane);
  if (r.count < 0) {
    loop_lanes(n, lane, t->shape.vectors, &none, false, tile_rows, t);
    return;
  }
  const int64_t all = (r.count + n->lanes - 1) / n->lanes, tail = r.count % n->lanes;
  const int64_t groups = (all + t->shape.vectors - 1) / t->shape.vectors;
  if (!groups) return;
  const int64_t size = all / groups, larger = all % groups; /* `larger` groups have one vector more */
  if (larger) tile_group(t, 0, larger, (unsigned)size + 1, 0);
  tile_group(t, larger * (size + 1), groups - larger, (unsigned)size, tail);
}

static void outer_axes(Nest *n, Carry *carry, void *data) {
  Tile *t = data;
  unsigned axis = n->kernel->block;
  while (axis < n->stage->par && (n->open & AXIS_BIT(axis) || (int)axis == n->stage->row || (int)axis == n->stage->lane)) axis++;
  if (axis < n->stage->par) loop_axis(n, axis, carry, false, outer_axes, t);
  else tile_columns(t);
}

void tile_emit(Nest *n) {
  Tile t = {.n = n, .shape = shape_choose(&n->e->target, n->u->options, n->kernel, n->stage)};
  Carry none = {NULL, 0};
  list_operands(&t);
  list_given(&t);
  outer_axes(n, &none, &t);
}
