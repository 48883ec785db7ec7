/* tile.c: contractions by register tiles: a function computes `rows` by `vectors` accumulators over the whole red axes,
 * k in order with fma. Rows past the last are computed again from the last one and not stored, so that one function
 * serves every count of rows. An operand that was laid out in scratch is read there. */
#include "tile.h"

#include <stdio.h>
#include <string.h>

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

/* The index of a par axis at a tile that begins at row `row`; panels are filled before the axes that share them open. */
static V par_index(const Tile *t, int axis, V row) {
  const Nest *n = t->n;
  if (t->shape.shared & ~n->open & AXIS_BIT(axis)) return e_i64(n->e, 0);
  if (axis != n->row && axis != n->row_outer) return n->index[axis];
  if (n->row_outer < 0) return row;
  V length = e_i64(n->e, n->stage->axes[n->row].count);
  if (t->shape.grid) { /* tiles go along the row axis first */
    V tile = LLVMBuildUDiv(n->e->b, row, e_i64(n->e, t->shape.rows), "");
    V across = e_i64(n->e, n->stage->axes[n->row].count / t->shape.grid);
    return axis == n->row ? i64_mul(n->e, LLVMBuildURem(n->e->b, tile, across, ""), t->shape.grid)
                          : i64_mul(n->e, LLVMBuildUDiv(n->e->b, tile, across, ""), t->shape.rows / t->shape.grid);
  }
  return axis == n->row ? LLVMBuildURem(n->e->b, row, length, "") : LLVMBuildUDiv(n->e->b, row, length, "");
}

/* The lanes of the last vector, where they are not known here; else NULL. */
static V dynamic_lanes(const Nest *n) {
  V lanes = n->mask[n->vectors - 1] ? n->mask_count[n->vectors - 1] : NULL;
  int64_t known;
  return lanes && !i64_known(lanes, &known) ? lanes : NULL;
}

#define TILE_MAX_PARAMS (KERNEL_MAX_OPERANDS + KERNEL_MAX_AXES + 64)

/* Parameters: frame, operands, an index a par axis, rows that count, then what this tile needs of: lanes that count, the panels, the
 * part and where its sums are left, values given. `args`: of this call. */
static unsigned tile_params(Tile *t, LLVMTypeRef *types, V *args, const TileCall *c) {
  Nest *n = t->n;
  Emit *e = n->e;
  unsigned count = 0;
  types[count] = e->ptr, args[count++] = n->frame;
  for (unsigned i = 0; i < n->kernel->operand_count; i++)
    if (t->used >> i & 1) types[count] = e->ptr, args[count++] = n->operand[i];
  for (int i = 0; i < n->stage->par; i++)
    types[count] = e->i64, args[count++] = par_index(t, i, c->row);
  V lanes = dynamic_lanes(n), none = LLVMConstNull(e->ptr);
  types[count] = e->i64, args[count++] = c->rows;
  if (lanes) types[count] = e->i64, args[count++] = lanes;
  if (t->shape.packed >= 0) types[count] = e->ptr, args[count++] = c->panel ? c->panel : none;
  if (t->shape.packed_rows >= 0) types[count] = e->ptr, args[count++] = c->row_panel ? c->row_panel : none;
  if (t->shape.parts) {
    types[count] = e->i64, args[count++] = c->from;
    types[count] = e->i64, args[count++] = c->to;
  }
  if (t->shape.sum_bytes) types[count] = e->ptr, args[count++] = c->sums ? c->sums : none;
  for (uint32_t i = 0; i < t->given_count; i++) {
    V x = expr_value(n, t->given[i], 0, 0, false);
    if (LLVMIsConstant(x)) continue;
    if (count == TILE_MAX_PARAMS)
      DIAG_BUG(n->u->schedule->session, ((Span){0}), "a tile of over %d parameters", TILE_MAX_PARAMS);
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

/* The kernel and the stage with one expression read from a panel: an operand more, at the given strides. */
static uint16_t replace_operand(Arena *arena, Kernel *k, Stage *s, int32_t expr, const Affine *at) {
  const uint16_t operand = k->operand_count++;
  const uint8_t type = s->exprs.data[expr].type;
  k->operand_type[operand] = type == TYPE_BF16 ? TYPE_F32 : type, k->operand_written[operand] = false;
  Load *loads = ARENA_ARRAY(arena, Load, s->loads.count + 1);
  Expr *exprs = ARENA_ARRAY(arena, Expr, s->exprs.count);
  if (s->loads.count) memcpy(loads, s->loads.data, sizeof *loads * s->loads.count);
  memcpy(exprs, s->exprs.data, sizeof *exprs * s->exprs.count);
  loads[s->loads.count] = (Load){.operand = operand, .at = *at};
  const Expr old = exprs[expr];
  exprs[expr] =
      (Expr){.kind = X_LOAD, .type = old.type, .a = (int32_t)s->loads.count, .b = -1, .c = -1, .span = old.span};
  s->loads.data = loads, s->loads.count++, s->exprs.data = exprs;
  return operand;
}

/* A panel's strides: `width` elements a k, the axis' own index inside. */
static Affine panel_strides(const Stage *s, int64_t width, int axis) {
  Affine at = {0};
  memset(at.batch, -1, sizeof at.batch);
  for (unsigned i = (unsigned)s->par + s->red; i-- > s->par;) at.stride[i] = width, width *= s->axes[i].count;
  at.stride[axis] = 1;
  return at;
}

static void set_lanes(Nest *in, const Variant *v, V lanes) {
  int64_t known = 0;
  in->vectors = v->vectors;
  if (!v->tail && !v->dynamic) return;
  in->mask_count[v->vectors - 1] = v->dynamic ? lanes : v->tail;
  if (v->tail) i64_known(v->tail, &known);
  in->mask[v->vectors - 1] =
      v->dynamic ? e_mask_below(in->e, in->lanes, lanes) : e_mask(in->e, in->lanes, (unsigned)known);
}

/* What the parameters of a tile's function are. */
typedef struct {
  V operand[KERNEL_MAX_OPERANDS], index[KERNEL_MAX_AXES], count, lanes, panel, row_panel, from, to, sums;
  unsigned given; /* the first of the values given */
} Params;

static Params read_params(const Tile *t, const Variant *v, V f) {
  Params p = {.operand = {NULL}};
  unsigned at = 1;
  for (unsigned i = 0; i < t->n->kernel->operand_count; i++)
    p.operand[i] = t->used >> i & 1 ? LLVMGetParam(f, at++) : LLVMConstNull(t->n->e->ptr);
  for (unsigned i = 0; i < t->n->stage->par; i++) p.index[i] = LLVMGetParam(f, at++);
  p.count = LLVMGetParam(f, at++);
  if (v->dynamic) p.lanes = LLVMGetParam(f, at++);
  if (t->shape.packed >= 0) p.panel = LLVMGetParam(f, at++);
  if (t->shape.packed_rows >= 0) p.row_panel = LLVMGetParam(f, at++);
  if (t->shape.parts) p.from = LLVMGetParam(f, at++), p.to = LLVMGetParam(f, at++);
  if (t->shape.sum_bytes) p.sums = LLVMGetParam(f, at++);
  p.given = at;
  return p;
}

static void open_par_axes(Nest *in, const Params *p, bool row) {
  const Stage *s = in->stage;
  nest_open(in, AXIS_STAGE, NULL, true);
  for (unsigned i = 0; i < s->par; i++)
    if ((int)i != s->row && (int)i != s->row_outer && (int)i != s->lane) nest_open(in, i, p->index[i], true);
  if (s->lane < s->par) nest_open(in, (unsigned)s->lane, p->index[s->lane], true);
  if (row && s->row_outer >= 0) nest_open(in, (unsigned)s->row_outer, p->index[s->row_outer], true);
  if (row) nest_open(in, (unsigned)s->row, p->index[s->row], true);
}

/* How far each row lies from the first. Rows past the last repeat it. */
static void row_offsets(const Tile *t, const Params *p, V *offset, V *outer) {
  Emit *e = t->n->e;
  const Stage *s = t->n->stage;
  V last = i64_add(e, p->count, e_i64(e, -1));
  for (unsigned r = 0; r < t->shape.rows; r++) {
    offset[r] = outer[r] = e_i64(e, r);
    if (r && t->shape.ragged) offset[r] = i64_min(e, offset[r], last);
    if (!r || s->row_outer < 0) continue;
    V length = e_i64(e, s->axes[s->row].count), at = i64_add(e, p->index[s->row], offset[r]);
    outer[r] = t->shape.rows <= s->axes[s->row].count
                   ? LLVMBuildZExt(e->b, LLVMBuildICmp(e->b, LLVMIntSGE, at, length, ""), e->i64, "")
                   : LLVMBuildUDiv(e->b, at, length, "");
    offset[r] = LLVMBuildSub(e->b, offset[r], LLVMBuildMul(e->b, outer[r], length, ""), "");
  }
}

/* `padded`: an operand laid out by whole tiles, or -1. */
static void tile_nest(const Tile *t, const Variant *v, const Params *p, Nest *in, const Kernel *k, const Stage *s,
                      int padded) {
  Emit *e = t->n->e;
  V offset[NEST_MAX_ROWS], outer[NEST_MAX_ROWS];
  const bool given = !shape_in_line(&t->shape, s);
  if (given) row_offsets(t, p, offset, outer);
  const NestRows rows = {.count = t->shape.rows,
                         .offset = given ? offset : NULL,
                         .outer = given ? outer : NULL,
                         .grid = t->shape.grid,
                         .existing = t->shape.ragged ? p->count : NULL,
                         .padded = padded};
  nest_init(in, t->n->u, k, s, LLVMGetParam(e->function, 0), p->operand, &rows);
  in->in_tile = true;
  set_lanes(in, v, p->lanes);
  take_given(t, in, e->function, p->given);
}

/* Where the panel ends, at most at the axis' end. */
static V panel_end(const Tile *t, Nest *in) {
  return i64_min(in->e, nest_depth(in), e_i64(in->e, t->shape.limit));
}

/* A panel of these strides as an operand: as if it began at index 0 of its axes. */
static V panel_operand(const Tile *t, int32_t expr, V panel, const Affine *at, V index, V from) {
  Emit *e = t->n->e;
  if (from) index = i64_add(e, index, i64_mul(e, from, at->stride[t->n->stage->par]));
  return e_gep(e, tile_panel_type(t, expr), panel, LLVMBuildNeg(e->b, index, ""));
}

/* Is the load read for the tile's result, and a different place for each of its rows? */
static bool load_behind(const Nest *in, uint32_t load) {
  const Load *l = &in->stage->loads.data[load];
  const uint32_t axes = affine_axes(&l->at);
  return !nest_reduced(in, load) && !l->gather && !l->guard_count && in->row >= 0 && axes & AXIS_BIT(in->row) &&
         axes & AXIS_BIT(in->lane);
}

static void take_part(Nest *in, const Params *p) {
  Emit *e = in->e;
  V first, end;
  nest_summed(in, &first, &end);
  in->red_from = p->from, in->red_to = p->to;
  in->first_part = LLVMBuildICmp(e->b, LLVMIntEQ, p->from, first, "");
  in->last_part = LLVMBuildICmp(e->b, LLVMIntSGE, p->to, end, "");
}

#define SHORT_SUM 64 /* points: its tile is done before the lines that it stores to have come */

/* Does the tile store more than it computes, to places that nothing behind its short sum reads? */
static bool stores_soon(const Nest *in) {
  const Stage *s = in->stage;
  int64_t depth = 1;
  if (in->last_part || in->grouped || s->order != ORDER_SEQUENCE || s->row_outer >= 0) return false;
  for (unsigned i = s->par; i < (unsigned)s->par + s->red; i++) depth = s->axes[i].batch >= 0 ? SHORT_SUM + 1 : depth * s->axes[i].count;
  for (uint32_t i = 0; i < s->loads.count; i++)
    if (load_behind(in, i) || s->loads.data[i].guard_count) return false;
  return depth <= SHORT_SUM;
}

static void ask_for(Nest *in, uint32_t place, bool written) {
  for (unsigned r = 0; r < in->rows; r++)
    for (unsigned v = 0; v < in->vectors; v++) e_prefetch(in->e, nest_spot(in, place, r, v), written);
}

/* What is read behind the reduction is asked for ahead of it: an optimiser's state lies far, and comes meanwhile. Where the
 * reduction goes by parts, ahead of the last. And so are the places that are stored to, where the sum is short. */
static void ask_ahead(Nest *in) {
  Emit *e = in->e;
  LLVMBasicBlockRef go = NULL;
  for (uint32_t i = 0; in->last_part && !go && i < in->stage->loads.count; i++) {
    if (!load_behind(in, i)) continue;
    LLVMBasicBlockRef ask = LLVMAppendBasicBlockInContext(e->cx, e->function, "ask");
    go = LLVMAppendBasicBlockInContext(e->cx, e->function, "go");
    LLVMBuildCondBr(e->b, in->last_part, ask, go);
    LLVMPositionBuilderAtEnd(e->b, ask);
  }
  for (uint32_t i = 0; i < in->stage->loads.count; i++)
    if (load_behind(in, i)) ask_for(in, i, in->kernel->operand_written[in->stage->loads.data[i].operand]);
  for (uint32_t i = 0; stores_soon(in) && i < in->stage->stores.count; i++)
    if (!in->stage->stores.data[i].gather) ask_for(in, in->first_store + i, true);
  if (!go) return;
  LLVMBuildBr(e->b, go);
  LLVMPositionBuilderAtEnd(e->b, go);
}

#define LINE_BYTES 64

/* The row operand where its rows adjoin and a point of the sum is a line of memory or more from the next one: each tile reads a
 * piece of many lines, which no processor sees coming. -1: it is laid out, or lies otherwise. */
static int32_t rows_to_ask_for(const Tile *t) {
  const Stage *s = t->n->stage;
  if (t->shape.packed_rows >= 0 || s->order != ORDER_SEQUENCE || s->row_outer >= 0 || s->pairs) return -1;
  const Expr *x = &s->exprs.data[shape_lane_operand(s) == s->before ? s->before2 : s->before];
  if (x->kind != X_LOAD) return -1;
  const Load *l = &s->loads.data[x->a];
  const unsigned inner = (unsigned)s->par + s->red - 1;
  const int64_t step = l->at.stride[inner] * type_bytes((Type)t->n->kernel->operand_type[l->operand]);
  return l->guard_count || l->gather || l->at.stride[s->row] != 1 || l->at.batch[s->row] >= 0 || step < LINE_BYTES ? -1 : x->a;
}

/* The lane operand where a tile has all its columns, its sum is short, and beside them lies the next index of another axis: the next
 * head of an attention. */
static int32_t lanes_to_ask_for(const Tile *t, const Nest *in) {
  const Stage *s = t->n->stage;
  const int32_t expr = shape_lane_operand(s);
  if (t->shape.packed >= 0 || s->pairs || expr < 0 || s->exprs.data[expr].kind != X_LOAD || !stores_soon(in)) return -1;
  const Load *l = &s->loads.data[s->exprs.data[expr].a];
  const Extent columns = s->axes[s->lane];
  if (l->gather || l->at.stride[s->lane] != 1 || columns.batch >= 0 || columns.count != (int64_t)t->shape.vectors * t->n->lanes) return -1;
  for (int i = 0; i < s->par; i++)
    if (i != s->lane && l->at.stride[i] == columns.count && l->at.batch[i] < 0) return s->exprs.data[expr].a;
  return -1;
}

/* The body of a tile's function, begun already. */
static void tile_body(const Tile *t, const Variant *v) {
  Emit *e = t->n->e;
  Arena *arena = &t->n->u->arena;
  Kernel kernel = *t->n->kernel;
  Stage stage = *t->n->stage;
  Nest in, rest;
  Params p = read_params(t, v, e->function);
  int panel = -1, row_panel = -1;
  if (t->shape.packed >= 0) {
    const Affine at = panel_strides(&stage, (int64_t)v->vectors * t->n->lanes, stage.lane);
    panel = replace_operand(arena, &kernel, &stage, t->shape.packed, &at);
    p.operand[panel] = panel_operand(t, t->shape.packed, p.panel, &at, p.index[stage.lane], p.from);
  }
  if (t->shape.packed_rows >= 0) {
    const Affine at = panel_strides(&stage, t->shape.rows, stage.row);
    row_panel = replace_operand(arena, &kernel, &stage, t->shape.packed_rows, &at);
    p.operand[row_panel] = panel_operand(t, t->shape.packed_rows, p.row_panel, &at, p.index[stage.row], p.from);
  }
  tile_nest(t, v, &p, &in, &kernel, &stage, row_panel);
  in.panel = panel, in.next_rows = rows_to_ask_for(t);
  stage_wants(&in);
  open_par_axes(&in, &p, true);
  if (t->shape.beyond) {
    tile_nest(t, v, &p, &rest, t->n->kernel, t->n->stage, -1);
    nest_want(&rest, rest.stage->before), nest_want(&rest, rest.stage->before2);
    open_par_axes(&rest, &p, true);
    in.red_from = e_i64(e, 0), in.red_to = panel_end(t, &in);
    rest.red_from = in.red_to, rest.red_to = nest_extent(&rest, rest.stage->axes[rest.stage->par]);
    in.rest = &rest;
  }
  in.sums = p.sums, in.sum_width = t->shape.width ? t->shape.width : (int64_t)v->vectors * t->n->lanes;
  in.deferred = t->shape.defer != 0, in.fours = t->shape.vectors <= 4;
  if (t->shape.parts) take_part(&in, &p);
  in.next_lanes = lanes_to_ask_for(t, &in);
  if (!in.deferred) ask_ahead(&in);
  stage_point(&in);
}

/* The body of the function that computes what is behind the sums, of `count` rows at the indices of the axes around them, row by
 * row over all columns. */
static void finish_body(const Tile *t) {
  Emit *e = t->n->e;
  Kernel kernel = *t->n->kernel;
  Stage stage = *t->n->stage;
  Nest in;
  Params p = read_params(t, &(Variant){.vectors = 1}, e->function);
  Affine at = {.offset = 0};
  memset(at.batch, -1, sizeof at.batch);
  at.stride[stage.row] = t->shape.width, at.stride[stage.lane] = 1;
  kernel.cut = CUT_NONE, kernel.block = (uint8_t)stage.row, stage.combine = COMBINE_NONE, stage.red = 0;
  for (uint32_t i = 0; i < stage.exprs.count; i++) {
    if (stage.exprs.data[i].kind != X_ACC) continue;
    const uint16_t sums = replace_operand(&t->n->u->arena, &kernel, &stage, (int32_t)i, &at);
    V first = i64_mul(e, p.index[stage.row], t->shape.width);
    p.operand[sums] = e_gep(e, expr_type(e, stage.acc_type), p.sums, LLVMBuildNeg(e->b, first, ""));
  }
  nest_init(&in, t->n->u, &kernel, &stage, LLVMGetParam(e->function, 0), p.operand, NULL);
  in.in_tile = true, in.distinct = t->n->distinct;
  take_given(t, &in, e->function, p.given);
  stage_wants(&in);
  for (unsigned i = 0; i < kernel.block; i++) nest_open(&in, i, p.index[i], true);
  in.taps_from = p.index[stage.row], in.taps_to = i64_add(e, p.index[stage.row], p.count);
  stage_emit(&in);
}

void tile_finish(Tile *t, V row, V rows, V sums) {
  Nest *n = t->n;
  LLVMTypeRef types[TILE_MAX_PARAMS];
  V args[TILE_MAX_PARAMS];
  char name[40];
  n->vectors = 1;
  memset(n->mask, 0, sizeof n->mask);
  nest_open(n, (unsigned)n->stage->lane, e_i64(n->e, 0), false);
  const TileCall call = {.row = row, .rows = rows, .from = e_i64(n->e, 0), .to = e_i64(n->e, 0), .sums = sums};
  const unsigned count = tile_params(t, types, args, &call);
  nest_close(n);
  snprintf(name, sizeof name, "finish%u", n->u->functions++);
  const Aside aside = aside_begin(n->e, name, types, count, n->distinct);
  finish_body(t);
  call_function(n->e, aside_end(n->e, aside), args, count);
}

/* The body of the function that lays out a panel by evaluation. */
static void fill_body(const Tile *t, const Variant *v) {
  Nest in;
  const Params p = read_params(t, v, t->n->e->function);
  const bool pairs = t->n->stage->pairs; /* they are made of the stage as it was */
  const Stage *stage = pairs ? &t->n->kernel->stages.data[t->n->number] : t->n->stage;
  nest_init(&in, t->n->u, t->n->kernel, stage, LLVMGetParam(t->n->e->function, 0), p.operand, NULL);
  in.in_tile = true;
  set_lanes(&in, v, p.lanes);
  take_given(t, &in, t->n->e->function, p.given);
  nest_want(&in, t->shape.packed);
  open_par_axes(&in, &p, false);
  V panel = p.panel;
  if (pairs) {
    pairs_fill(&in, t->shape.packed, panel, p.from, p.to);
    return;
  }
  if (t->shape.beyond) in.red_from = e_i64(in.e, 0), in.red_to = panel_end(t, &in);
  if (t->shape.parts) {
    const Affine at = panel_strides(in.stage, (int64_t)in.vectors * in.lanes, in.stage->lane);
    in.red_from = p.from, in.red_to = p.to, panel = panel_operand(t, t->shape.packed, panel, &at, e_i64(in.e, 0), p.from);
  }
  pack_fill(&in, t->shape.packed, panel);
}

static bool in_blocks(const Tile *t) {
  return !t->shape.beyond && !t->shape.parts && pack_in_blocks(t->n, t->shape.packed);
}

/* The functions for the lane chunk that is open, made where they are new. */
static Variant *find_variant(Tile *t, LLVMTypeRef *types, unsigned count) {
  Nest *n = t->n;
  V lanes = n->mask[n->vectors - 1] ? n->mask_count[n->vectors - 1] : NULL;
  const bool dynamic = dynamic_lanes(n) != NULL;
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

static void call_variant(Tile *t, const TileCall *call, bool pack) {
  LLVMTypeRef types[TILE_MAX_PARAMS];
  V args[TILE_MAX_PARAMS];
  const unsigned count = tile_params(t, types, args, call);
  const Variant *v = find_variant(t, types, count);
  call_function(t->n->e, pack ? v->pack : v->function, args, count);
}

void tile_call(Tile *t, const TileCall *call) { call_variant(t, call, false); }

void tile_fill(Tile *t, V panel, V from, V to) {
  Nest *n = t->n;
  Emit *e = n->e;
  if (!in_blocks(t)) {
    call_variant(t, &(TileCall){.row = e_i64(e, 0), .rows = e_i64(e, 0), .panel = panel, .from = from, .to = to}, true);
    return;
  }
  char name[40];
  snprintf(name, sizeof name, "pack%u", n->u->functions);
  if (!t->blocks) t->blocks = pack_function(n, t->shape.packed, name), n->u->functions++;
  V width = e_i64(e, (int64_t)n->vectors * n->lanes), lanes = width;
  if (n->mask[n->vectors - 1])
    lanes = i64_add(e, e_i64(e, (int64_t)(n->vectors - 1) * n->lanes), n->mask_count[n->vectors - 1]);
  V source = nest_spot(n, (uint32_t)n->stage->exprs.data[t->shape.packed].a, 0, 0);
  call_function(e, t->blocks, (V[]){source, panel, lanes, width}, 4);
}

void tile_fill_rows(Tile *t, V panel, V row, V rows, V from, V to) {
  Nest *n = t->n;
  Emit *e = n->e;
  const uint32_t load = (uint32_t)n->stage->exprs.data[t->shape.packed_rows].a;
  char name[40];
  snprintf(name, sizeof name, "pack%u", n->u->functions);
  const Load *l = &n->stage->loads.data[load];
  if (!t->pack_rows)
    t->pack_rows = (n->stage->pairs ? pairs_rows_function : pack_rows_function)(n, load, &t->shape, name), n->u->functions++;
  LLVMTypeRef type = memory_type(e, n->kernel->operand_type[l->operand]);
  V source = e_gep(e, type, nest_spot(n, load, 0, 0), row);
  V depth;
  if (from) {
    source = e_gep(e, type, source, i64_mul(e, from, l->at.stride[n->stage->par]));
    depth = LLVMBuildSub(e->b, to, from, "");
  } else {
    depth = i64_min(e, nest_depth(n), e_i64(e, t->shape.limit));
  }
  if (n->stage->pairs && n->stage->red == 1) /* single elements */
    depth = i64_min(e, i64_mul(e, depth, 2), LLVMBuildSub(e->b, pairs_extent(n), from ? i64_mul(e, from, 2) : e_i64(e, 0), ""));
  call_function(e, t->pack_rows, (V[]){source, panel, rows, depth}, 4);
}

int64_t tile_panel_size(const Tile *t, unsigned vectors) { return t->shape.depth * vectors * t->n->lanes; }
int64_t tile_sums_size(const Tile *t, unsigned vectors) {
  return shape_sum_rows(&t->shape, t->n->stage) * vectors * t->n->lanes;
}
LLVMTypeRef tile_panel_type(const Tile *t, int32_t expr) {
  return expr_type(t->n->e, t->n->stage->exprs.data[expr].type);
}

Tile tile_open(Nest *n) {
  Tile t = {.n = n, .shape = shape_choose(&n->e->target, n->u->options, n->kernel, n->stage)};
  list_operands(&t);
  list_given(&t);
  return t;
}
