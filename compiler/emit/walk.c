/* walk.c: the way through a contraction: outer axes that panels depend on; blocks of columns whose panels fit the second
 * cache together; the other outer axes; blocks of rows; tiles of rows; and innermost the panels, over which a tile of
 * rows stays in the first cache. Where nothing is laid out, all outer axes come first; there and where tiles are wide, a
 * block has one panel: columns outside, rows inside. */
#include <string.h>

#include "tile.h"

/* Column chunks of one kind, all whole or all with the same tail. */
typedef struct {
  Tile *t;
  unsigned vectors;
  V first, panels; /* index of the block's first lane; chunks in it */
  V row, from, to; /* in parts: the first row whose sums are left; the part */
  bool many;
} Columns;

static V panel_at(const Columns *c, V number) {
  const Tile *t = c->t;
  if (t->shape.packed < 0) return NULL;
  return e_gep(t->n->e, tile_panel_type(t, t->shape.packed), t->n->scratch,
               i64_mul(t->n->e, number, tile_panel_size(t, c->vectors)));
}

/* Opens the lane chunk of panel `number`. */
static void open_panel(const Columns *c, V number) {
  Nest *n = c->t->n;
  nest_open(n, (unsigned)n->stage->lane, i64_add(n->e, c->first, i64_mul(n->e, number, (int64_t)c->vectors * n->lanes)),
            false);
}

static void each_panel(const Columns *c, Loop *l, V *number) {
  *number = e_i64(c->t->n->e, 0);
  if (!c->many) return;
  e_loop_begin(c->t->n->e, l, *number, c->panels, e_i64(c->t->n->e, 1), NULL, 0, true);
  *number = l->i;
}

static void end_panels(const Columns *c, Loop *l) {
  if (c->many) e_loop_end(c->t->n->e, l, NULL);
}

static void fill_panels(const Columns *c) {
  Loop l;
  V number;
  if (c->t->shape.packed < 0) return;
  each_panel(c, &l, &number);
  open_panel(c, number);
  tile_fill(c->t, panel_at(c, number), c->from, c->to);
  nest_close(c->t->n);
  end_panels(c, &l);
}

/* The number of the open indices of the axes that are neither rows nor lanes. */
static V outer_number(const Nest *n) {
  Emit *e = n->e;
  V number = e_i64(e, 0);
  for (int i = n->stage->chunks != 0; i < n->stage->par; i++) /* chunks come one after the other */
    if (i != n->row && i != n->row_outer && i != n->lane)
      number = i64_add(e, i64_mul(e, number, n->stage->axes[i].count), n->index[i]);
  return number;
}

/* Where a tile's sums are left. */
static V sums_at(const Columns *c, V number, V row) {
  const Tile *t = c->t;
  Emit *e = t->n->e;
  if (!t->shape.sum_bytes) return NULL;
  LLVMTypeRef type = expr_type(e, t->n->stage->acc_type);
  V sums = e_gep(e, e->i8, t->n->scratch, e_i64(e, t->shape.panel_bytes + t->shape.row_bytes));
  if (t->shape.defer) {
    V first = i64_mul(e, LLVMBuildSub(e->b, row, t->rows_from, ""), t->shape.width);
    return e_gep(e, type, sums, i64_add(e, first, t->n->index[t->n->stage->lane]));
  }
  if (t->from) { /* of all outer axes and columns, vector by vector */
    V vector = LLVMBuildUDiv(e->b, c->first, e_i64(e, t->n->lanes), "");
    vector = i64_add(e, vector, i64_mul(e, outer_number(t->n), shape_all_vectors(t->n->stage, t->n->lanes)));
    sums = e_gep(e, type, sums, i64_mul(e, vector, tile_sums_size(t, 1)));
  }
  sums = e_gep(e, type, sums, i64_mul(e, number, tile_sums_size(t, c->vectors)));
  return e_gep(e, type, sums, i64_mul(e, LLVMBuildSub(e->b, row, c->row, ""), (int64_t)c->vectors * t->n->lanes));
}

/* One tile of rows against all panels. */
static void row_tile(const Columns *c, V row, V rows, V row_panel) {
  Loop l;
  V number;
  each_panel(c, &l, &number);
  open_panel(c, number);
  tile_call(c->t, &(TileCall){row, rows, panel_at(c, number), row_panel, c->from, c->to, sums_at(c, number, row)});
  nest_close(c->t->n);
  end_panels(c, &l);
}

/* Tiles from `from` to `to`; `panel`: the row operand laid out for these rows, or NULL. */
static void row_tiles(const Columns *c, V from, V to, V panel, bool nonempty) {
  const Tile *t = c->t;
  Emit *e = t->n->e;
  V all = e_i64(e, t->shape.rows);
  Loop l;
  e_loop_begin(e, &l, from, to, all, NULL, 0, nonempty);
  V rows = t->shape.ragged ? i64_min(e, LLVMBuildSub(e->b, to, l.i, ""), all) : all;
  if (panel) /* a tile's part begins at its row times the depth */
    panel = e_gep(e, tile_panel_type(t, t->shape.packed_rows), panel,
                  i64_mul(e, LLVMBuildSub(e->b, l.i, from, ""), t->shape.depth));
  row_tile(c, l.i, rows, panel);
  e_loop_end(e, &l, NULL);
}

static Range rows_of(const Tile *t) {
  Nest *n = t->n;
  const int64_t all = shape_rows(n->stage).count;
  if (t->rows_to) return (Range){t->rows_from, t->rows_to, -1, all, n->kernel->cut_unit, false};
  if (n->row_outer < 0) return range_axis(n, (unsigned)n->row);
  return (Range){e_i64(n->e, 0), e_i64(n->e, all), all, all, 0, all > 0};
}

static void all_rows(const Columns *c) {
  Tile *t = c->t;
  Nest *n = t->n;
  Emit *e = n->e;
  const Range r = rows_of(t);
  if (t->shape.packed_rows < 0) {
    if (r.count > 0 && r.count <= t->shape.rows)
      row_tile(c, r.from, e_i64(e, r.count), NULL);
    else
      row_tiles(c, r.from, r.to, NULL, r.some);
    return;
  }
  Loop l;
  V step = e_i64(e, (int64_t)t->shape.rows * t->shape.block),
    panel = e_gep(e, e->i8, n->scratch, e_i64(e, t->shape.panel_bytes));
  e_loop_begin(e, &l, r.from, r.to, step, NULL, 0, r.some);
  V end = i64_min(e, i64_add(e, l.i, step), r.to);
  tile_fill_rows(t, panel, l.i, LLVMBuildSub(e->b, end, l.i, ""), c->from, c->to);
  row_tiles(c, l.i, end, panel, true);
  e_loop_end(e, &l, NULL);
}

/* The axes that share the panels. */
static void shared_axes(Nest *n, Carry *carry, void *data) {
  const Columns *c = data;
  const uint32_t left = c->t->shape.shared & ~n->open;
  if (left) loop_axis(n, (unsigned)__builtin_ctz(left), carry, false, shared_axes, data);
  else all_rows(c);
}

static void with_panels(Columns *c) {
  Carry none = {NULL, 0};
  fill_panels(c);
  shared_axes(c->t->n, &none, c);
}

/* Part by part of the first red axis, where it is long. */
static void block_of_columns(Columns *c) {
  Nest *n = c->t->n;
  Emit *e = n->e;
  Columns part = *c;
  if (!c->t->shape.parts) {
    with_panels(c);
    return;
  }
  if (c->t->from) {
    part.row = e_i64(e, 0), part.from = c->t->from, part.to = c->t->to;
    with_panels(&part);
    return;
  }
  Loop l;
  V end = nest_depth(n), step = e_i64(e, c->t->shape.limit);
  part.row = rows_of(c->t).from;
  e_loop_begin(e, &l, e_i64(e, 0), end, step, NULL, 0, true); /* a sum of nothing is 0, and is stored */
  part.from = l.i, part.to = i64_min(e, i64_add(e, l.i, step), end);
  with_panels(&part);
  e_loop_end(e, &l, NULL);
}

/* `count` whole chunks from lane `at` on, in blocks. */
static void whole_chunks(Tile *t, int64_t at, int64_t count, unsigned vectors) {
  Nest *n = t->n;
  Emit *e = n->e;
  const int64_t step = vectors * n->lanes, block = t->shape.panels < count ? t->shape.panels : count;
  Columns c = {t, vectors, e_i64(e, at), e_i64(e, block), .many = block > 1};
  Loop l;
  n->vectors = vectors;
  memset(n->mask, 0, sizeof n->mask);
  if (count > block) {
    e_loop_begin(e, &l, e_i64(e, at), e_i64(e, at + count * step), e_i64(e, block * step), NULL, 0, true);
    c.first = l.i;
    if (count % block) {
      V left = LLVMBuildSDiv(e->b, LLVMBuildSub(e->b, e_i64(e, at + count * step), l.i, ""), e_i64(e, step), "");
      c.panels = i64_min(e, left, e_i64(e, block));
    }
  }
  block_of_columns(&c);
  if (count > block) e_loop_end(e, &l, NULL);
}

/* `groups` chunks of `vectors` vectors from vector `first` on; the last one may end in `tail` lanes. */
static void column_group(Tile *t, int64_t first, int64_t groups, unsigned vectors, int64_t tail) {
  Nest *n = t->n;
  Emit *e = n->e;
  const int64_t plain = groups - (tail != 0);
  if (plain) whole_chunks(t, first * n->lanes, plain, vectors);
  if (!tail) return;
  n->vectors = vectors;
  memset(n->mask, 0, sizeof n->mask);
  n->mask[vectors - 1] = e_mask(e, n->lanes, (unsigned)tail), n->mask_count[vectors - 1] = e_i64(e, tail);
  Columns c = {t, vectors, e_i64(e, (first + plain * vectors) * n->lanes), e_i64(e, 1), .many = false};
  block_of_columns(&c);
}

/* At a lane chunk that loop_lanes has opened. */
static void open_chunk(Nest *n, Carry *carry, void *data) {
  Columns c = {data, n->vectors, n->index[n->stage->lane], e_i64(n->e, 1), .many = false};
  nest_close(n); /* to be opened as a panel */
  block_of_columns(&c);
  nest_open(n, (unsigned)n->stage->lane, c.first, false);
}

static void all_columns(Tile *t) {
  Nest *n = t->n;
  Carry none = {NULL, 0};
  const unsigned lane = (unsigned)n->stage->lane;
  const Range r = range_axis(n, lane);
  if (r.count < 0) {
    loop_lanes(n, lane, t->shape.vectors, &none, false, open_chunk, t);
    return;
  }
  const int64_t all = (r.count + n->lanes - 1) / n->lanes, tail = r.count % n->lanes;
  const int64_t groups = (all + t->shape.vectors - 1) / t->shape.vectors;
  if (!groups) return;
  const int64_t size = all / groups, larger = all % groups; /* `larger` groups have one vector more */
  if (larger) column_group(t, 0, larger, (unsigned)size + 1, 0);
  column_group(t, larger * (size + 1), groups - larger, (unsigned)size, tail);
}

static void outer_axes(Nest *n, Carry *carry, void *data) {
  const Tile *t = data;
  unsigned axis = n->kernel->block;
  while (axis < n->stage->par && ((n->open | t->shape.shared) & AXIS_BIT(axis) || (int)axis == n->row ||
                                  (int)axis == n->row_outer || (int)axis == n->lane))
    axis++;
  if (axis < n->stage->par)
    loop_axis(n, axis, carry, false, outer_axes, data);
  else
    all_columns(data);
}

/* Where the sums of the tile that begins at `row` are left: tile by tile, in the order of the loops over whole axes. */
static V group_sums(const Tile *t, V row) {
  const Nest *n = t->n;
  const TileShape *shape = &t->shape;
  Emit *e = n->e;
  if (!shape->parts) return NULL;
  V tile = outer_number(n);
  const int64_t tiles = (shape_rows(n->stage).count + shape->rows - 1) / shape->rows;
  tile = i64_add(e, i64_mul(e, tile, tiles), LLVMBuildUDiv(e->b, row, e_i64(e, shape->rows), ""));
  LLVMTypeRef type = expr_type(e, n->stage->acc_type);
  V sums = e_gep(e, e->i8, n->scratch, e_i64(e, shape->panel_bytes + shape->row_bytes));
  return e_gep(e, type, sums, i64_mul(e, tile, (int64_t)shape->rows * n->lanes));
}

/* Examples in groups, in the lanes; nothing is laid out. The other axes, and tiles of rows. */
static void grouped_axes(Nest *n, Carry *carry, void *data) {
  Tile *t = data;
  Emit *e = n->e;
  unsigned axis = n->kernel->block;
  while (axis < n->stage->par && (n->open & AXIS_BIT(axis) || (int)axis == n->row || (int)axis == n->row_outer)) axis++;
  if (axis < n->stage->par) {
    loop_axis(n, axis, carry, false, grouped_axes, data);
    return;
  }
  const Range r = rows_of(t);
  V all = e_i64(e, t->shape.rows);
  Loop l;
  e_loop_begin(e, &l, r.from, r.to, all, NULL, 0, r.some);
  V rows = t->shape.ragged ? i64_min(e, LLVMBuildSub(e->b, r.to, l.i, ""), all) : all;
  tile_call(t, &(TileCall){l.i, rows, NULL, NULL, t->from, t->to, group_sums(t, l.i)});
  e_loop_end(e, &l, NULL);
}

/* The thread's rows: at each index of the outer axes that has some. */
static void cut_rows(Tile *t, LoopBody *body) {
  Nest *n = t->n;
  Emit *e = n->e;
  const Stage *s = n->stage;
  Carry none = {NULL, 0};
  Loop l;
  V rows = e_i64(e, shape_rows(s).count), number, index[KERNEL_MAX_AXES];
  V end = LLVMBuildUDiv(e->b, i64_add(e, t->cut_to, e_i64(e, shape_rows(s).count - 1)), rows, "");
  e_loop_begin(e, &l, LLVMBuildUDiv(e->b, t->cut_from, rows, ""), end, e_i64(e, 1), NULL, 0, false);
  V first = i64_mul(e, l.i, shape_rows(s).count);
  t->rows_from = i64_max(e, LLVMBuildSub(e->b, t->cut_from, first, ""), e_i64(e, 0));
  t->rows_to = i64_min(e, LLVMBuildSub(e->b, t->cut_to, first, ""), rows);
  number = l.i;
  uint32_t own = 0;
  for (int i = s->par - 1; i >= 0; i--) {
    if (i == n->row || i == n->row_outer || i == n->lane || n->open & AXIS_BIT(i)) continue;
    index[i] = LLVMBuildURem(e->b, number, e_i64(e, s->axes[i].count), "");
    number = LLVMBuildUDiv(e->b, number, e_i64(e, s->axes[i].count), ""), own |= AXIS_BIT(i);
  }
  unsigned opened = 0;
  for (int i = 0; i < s->par; i++)
    if (own & AXIS_BIT(i)) nest_open(n, (unsigned)i, index[i], false), opened++;
  body(n, &none, t);
  while (opened--) nest_close(n);
  e_loop_end(e, &l, NULL);
}

/* All that is left to open, in the order of the operands. */
static void all_axes(Tile *t) {
  Nest *n = t->n;
  Carry none = {NULL, 0};
  LoopBody *body = n->grouped || n->stage->order == ORDER_GROUPS ? grouped_axes : outer_axes;
  if (n->kernel->cut == CUT_ROWS)
    cut_rows(t, body);
  else if (n->grouped && n->lane < n->stage->par)
    loop_lanes(n, (unsigned)n->lane, t->shape.vectors, &none, false, body, t);
  else
    body(n, &none, t);
}

/* Part by part of what is summed: what is read of one stays in the second cache while all sums go on. */
static void all_parts(Tile *t) {
  Nest *n = t->n;
  Emit *e = n->e;
  Loop l;
  V from, end, step = e_i64(e, t->shape.limit);
  if (!t->shape.outside) {
    all_axes(t);
    return;
  }
  nest_summed(n, &from, &end);
  V some = i64_max(e, end, i64_add(e, from, e_i64(e, 1)));
  e_loop_begin(e, &l, from, some, step, NULL, 0, true); /* a sum of nothing is 0, and is stored */
  t->from = l.i, t->to = i64_min(e, i64_add(e, l.i, step), end);
  all_axes(t);
  e_loop_end(e, &l, NULL);
}

/* The chunks that the thread has rows of. */
static void all_chunks(Tile *t) {
  Nest *n = t->n;
  Emit *e = n->e;
  const Stage *s = n->stage;
  const bool cut = n->kernel->cut == CUT_ROWS;
  int64_t rows = shape_rows(s).count;
  for (int i = 1; i < s->par; i++)
    if (i != n->row && i != n->row_outer && i != n->lane) rows *= s->axes[i].count;
  Loop l;
  Range r = {n->from, n->to, -1, s->chunks, 0};
  if (cut) {
    r.from = LLVMBuildUDiv(e->b, n->from, e_i64(e, rows), "");
    r.to = LLVMBuildUDiv(e->b, i64_add(e, n->to, e_i64(e, rows - 1)), e_i64(e, rows), "");
  }
  e_loop_begin(e, &l, r.from, r.to, e_i64(e, 1), NULL, 0, true);
  nest_open(n, 0, l.i, false);
  if (cut) {
    V first = i64_mul(e, l.i, rows);
    t->cut_from = i64_max(e, LLVMBuildSub(e->b, n->from, first, ""), e_i64(e, 0));
    t->cut_to = i64_min(e, LLVMBuildSub(e->b, n->to, first, ""), e_i64(e, rows));
  }
  all_parts(t);
  nest_close(n);
  e_loop_end(e, &l, NULL);
}

/* Block by block of rows: all sums, then what is behind them. */
static void deferred_rows(Tile *t) {
  Nest *n = t->n;
  Emit *e = n->e;
  Carry none = {NULL, 0};
  Loop l;
  const Range r = rows_of(t);
  V step = e_i64(e, t->shape.defer);
  e_loop_begin(e, &l, r.from, r.to, step, NULL, 0, r.some);
  t->rows_from = l.i, t->rows_to = i64_min(e, i64_add(e, l.i, step), r.to);
  outer_axes(n, &none, t);
  V sums = e_gep(e, e->i8, n->scratch, e_i64(e, t->shape.panel_bytes + t->shape.row_bytes));
  tile_finish(t, l.i, LLVMBuildSub(e->b, t->rows_to, l.i, ""), sums);
  e_loop_end(e, &l, NULL);
}

/* … at each index of the other axes. */
static void deferred_axes(Nest *n, Carry *carry, void *data) {
  unsigned axis = n->kernel->block;
  while (axis < n->stage->par && (n->open & AXIS_BIT(axis) || (int)axis == n->row || (int)axis == n->lane)) axis++;
  if (axis < n->stage->par) loop_axis(n, axis, carry, false, deferred_axes, data);
  else deferred_rows(data);
}

void tile_emit(Nest *n) {
  Tile t = tile_open(n);
  Carry none = {NULL, 0};
  t.cut_from = n->from, t.cut_to = n->to;
  if (n->stage->chunks && n->kernel->cut != CUT_NONE)
    all_chunks(&t);
  else if (t.shape.defer)
    deferred_axes(n, &none, &t);
  else
    all_parts(&t);
}
