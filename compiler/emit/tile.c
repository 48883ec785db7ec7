/* tile.c: contractions by register tiles: a function computes `rows` by `vectors` accumulators over the whole red axes, k in
 * order with fma; the kernel walks over columns outside and rows inside, so that the lane operand's panel stays near. Rows
 * past the last are computed again from the last one and not stored, so that one function serves every count of rows. */
#include <stdio.h>
#include <string.h>

#include "nest.h"

typedef struct {
  unsigned vectors;
  V tail;     /* lanes of the last vector: a constant; NULL: all */
  bool dynamic; /* they are a parameter */
  V function;
} Variant;

typedef struct {
  Nest *n;
  unsigned rows, vectors;
  bool ragged;          /* the count of rows is a parameter */
  uint64_t used;        /* operands */
  int32_t *given;       /* expressions whose values the function is given */
  uint32_t given_count;
  Variant variants[8];
  unsigned variant_count;
} Tile;

bool tile_fits(const Nest *n) {
  const Stage *s = n->stage;
  const int block = n->kernel->block, par = s->par;
  return !n->in_tile && s->combine == COMBINE_FMA && s->order == ORDER_SEQUENCE && s->row != s->lane && s->row >= block &&
         s->row < par && s->lane >= block && s->lane < par;
}

/* Accumulators, a vector of the lane operand and one broadcast value must be in registers at once. */
static unsigned rows_that_fit(const Nest *n, unsigned vectors) {
  const Target *t = &n->e->target;
  const unsigned bytes = n->lanes * (n->stage->acc_type == TYPE_F64 ? 8 : 4);
  const unsigned registers = bytes > t->vector_bytes ? bytes / t->vector_bytes : 1;
  const unsigned taken = vectors * registers, free = t->vector_registers - 2;
  return taken >= free ? 1 : (free - taken) / taken ? (free - taken) / taken : 1;
}

static void choose_tile(Tile *t) {
  Nest *n = t->n;
  const EmitOptions *o = n->u->options;
  const Stage *s = n->stage;
  const Range columns = range_axis(n, (unsigned)s->lane);
  const int64_t vectors = columns.extent < 0 ? 3 : (columns.extent + n->lanes - 1) / n->lanes;
  t->vectors = o->tile_vectors ? o->tile_vectors : s->tile_vectors;
  t->rows = o->tile_rows ? o->tile_rows : s->tile_rows;
  if (!t->vectors) {
    t->vectors = vectors <= 2 ? (unsigned)(vectors > 0 ? vectors : 1) : vectors == 4 || columns.extent % 512 == 0 ? 4 : 3;
    while (t->vectors > 1 && rows_that_fit(n, t->vectors) < 6) t->vectors--;
  }
  if (t->vectors > NEST_MAX_VECTORS) t->vectors = NEST_MAX_VECTORS;
  static const unsigned most[] = {16, 16, 12, 8, 6}; /* more gain nothing, and lose where the panel is far */
  if (!t->rows) {
    t->rows = rows_that_fit(n, t->vectors);
    if (t->vectors <= 4 && t->rows > most[t->vectors]) t->rows = most[t->vectors];
  }
  if (t->rows > NEST_MAX_ROWS) t->rows = NEST_MAX_ROWS;
  while (t->rows > 1 && t->rows * t->vectors > 60) t->rows--;
}

/* Tiles of equal height where the count is known; exact ones need no count. */
static void balance_rows(Tile *t) {
  const Range r = range_axis(t->n, (unsigned)t->n->stage->row);
  if (r.count > 0) {
    const int64_t tiles = (r.count + t->rows - 1) / t->rows;
    t->rows = (unsigned)((r.count + tiles - 1) / tiles);
    t->ragged = r.count % t->rows != 0;
  } else {
    t->ragged = r.extent < 0 || r.extent % t->rows || !r.unit || r.unit % t->rows;
  }
}

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

#define TILE_MAX_PARAMS (KERNEL_MAX_OPERANDS + KERNEL_MAX_AXES + 68)

/* Parameters: frame, operands, an index a par axis, rows that count, lanes that count, values given. `args`: of this call. */
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

/* The body of a tile's function, begun already. */
static void tile_body(const Tile *t, const Variant *v) {
  Emit *e = t->n->e;
  const Stage *s = t->n->stage;
  V f = e->function, operand[KERNEL_MAX_OPERANDS] = {NULL}, index[KERNEL_MAX_AXES], offset[NEST_MAX_ROWS];
  unsigned at = 1;
  for (unsigned i = 0; i < t->n->kernel->operand_count; i++)
    if (t->used >> i & 1) operand[i] = LLVMGetParam(f, at++);
    else operand[i] = LLVMConstNull(e->ptr);
  for (unsigned i = 0; i < s->par; i++) index[i] = LLVMGetParam(f, at++);
  V count = LLVMGetParam(f, at++), lanes = LLVMGetParam(f, at++);
  if (t->ragged)
    for (unsigned r = 0; r < t->rows; r++)
      offset[r] = r ? i64_min(e, e_i64(e, r), i64_add(e, count, e_i64(e, -1))) : e_i64(e, 0);
  Nest in;
  nest_init(&in, t->n->u, t->n->kernel, s, LLVMGetParam(f, 0), operand, t->rows, t->ragged ? offset : NULL, t->ragged ? count : NULL);
  in.in_tile = true;
  in.vectors = v->vectors;
  if (v->tail || v->dynamic) {
    int64_t known = 0;
    in.mask_count[v->vectors - 1] = v->dynamic ? lanes : v->tail;
    in.mask[v->vectors - 1] = v->dynamic ? e_mask_below(e, in.lanes, lanes)
                                         : (i64_known(v->tail, &known), e_mask(e, in.lanes, (unsigned)known));
  }
  take_given(t, &in, f, at);
  stage_wants(&in);
  nest_open(&in, AXIS_STAGE, NULL, true);
  for (unsigned i = 0; i < s->par; i++)
    if ((int)i != s->row && (int)i != s->lane) nest_open(&in, i, index[i], true);
  nest_open(&in, (unsigned)s->lane, index[s->lane], true);
  nest_open(&in, (unsigned)s->row, index[s->row], true);
  stage_point(&in);
}

/* Calls the tile at the open lane chunk and rows from `row` on. */
static void tile_call(Tile *t, V row, V rows) {
  Nest *n = t->n;
  Emit *e = n->e;
  LLVMTypeRef types[TILE_MAX_PARAMS];
  V args[TILE_MAX_PARAMS], lanes = n->mask[n->vectors - 1] ? n->mask_count[n->vectors - 1] : NULL;
  int64_t known;
  const bool dynamic = lanes && !i64_known(lanes, &known);
  const unsigned count = tile_params(t, types, args, row, rows, lanes);
  Variant *v = t->variants, *end = v + t->variant_count;
  while (v < end && !(v->vectors == n->vectors && v->dynamic == dynamic && (dynamic || v->tail == lanes))) v++;
  if (v == end) {
    char name[40];
    *v = (Variant){n->vectors, dynamic ? NULL : lanes, dynamic, NULL};
    t->variant_count++;
    snprintf(name, sizeof name, "tile%u_%ux%u", n->u->functions++, t->rows, v->vectors);
    const Aside aside = aside_begin(e, name, types, count, n->distinct);
    tile_body(t, v);
    v->function = aside_end(e, aside);
  }
  call_function(e, v->function, args, count);
}

static void tile_rows(Nest *n, Carry *carry, void *data) {
  Tile *t = data;
  Emit *e = n->e;
  const Range r = range_axis(n, (unsigned)n->stage->row);
  Loop l;
  const bool once = r.count > 0 && r.count <= t->rows;
  if (!once) e_loop_begin(e, &l, r.from, r.to, e_i64(e, t->rows), NULL, 0, r.count > 0);
  V row = once ? r.from : l.i, left = LLVMBuildSub(e->b, r.to, row, ""), all = e_i64(e, t->rows);
  tile_call(t, row, t->ragged ? i64_min(e, left, all) : all);
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
    loop_lanes(n, lane, t->vectors, &none, false, tile_rows, t);
    return;
  }
  const int64_t all = (r.count + n->lanes - 1) / n->lanes, tail = r.count % n->lanes;
  const int64_t groups = (all + t->vectors - 1) / t->vectors;
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
  Tile t = {.n = n};
  Carry none = {NULL, 0};
  choose_tile(&t);
  balance_rows(&t);
  list_operands(&t);
  list_given(&t);
  outer_axes(n, &none, &t);
}
