/* shape.c: which tile a contraction gets, from its extents and the target. No bit depends on it. */
#include "nest.h"

static bool is_cut(const Kernel *k, const Stage *s, int axis) { return axis == 0 && s->par && k->cut == CUT_FIRST; }

static uint32_t expr_axes(const Stage *s, int32_t expr) {
  if (expr < 0) return 0;
  const Expr *x = &s->exprs.data[expr];
  uint32_t axes = x->kind == X_INDEX || x->kind == X_RANDOM ? affine_axes(&x->affine) : 0;
  if (x->kind == X_PRIM) return expr_axes(s, x->a) | expr_axes(s, x->b) | expr_axes(s, x->c);
  if (x->kind != X_LOAD) return axes;
  const Load *l = &s->loads.data[x->a];
  axes = affine_axes(&l->at) | expr_axes(s, l->gather - 1);
  for (unsigned g = 0; g < l->guard_count; g++) axes |= affine_axes(&l->guards[g].index);
  return axes;
}

bool shape_fits(const Kernel *k, const Stage *s) {
  for (uint32_t i = 0; i < s->stores.count; i++)
    if (s->stores.data[i].before) return false;
  if (s->combine != COMBINE_FMA || s->row == s->lane || s->row < k->block || s->row >= s->par) return false;
  if (s->order == ORDER_GROUPS) return true;
  return s->order == ORDER_SEQUENCE && s->lane >= k->block && s->lane < s->par;
}

unsigned shape_registers(const Target *t, const Kernel *k, const Stage *s) {
  const unsigned bytes = stage_lanes(k, s) * (s->acc_type == TYPE_F64 ? 8 : 4);
  return bytes > t->vector_bytes ? bytes / t->vector_bytes : 1;
}

static uint32_t row_axes(const Stage *s) { return AXIS_BIT(s->row) | (s->row_outer >= 0 ? AXIS_BIT(s->row_outer) : 0); }

Extent shape_rows(const Stage *s) {
  Extent rows = s->axes[s->row];
  if (s->row_outer >= 0) rows.count *= s->axes[s->row_outer].count;
  return rows;
}

/* Accumulators, a vector of the lane operand and one broadcast value must be in registers at once. */
static unsigned rows_that_fit(const Target *t, unsigned registers, unsigned vectors) {
  const unsigned taken = vectors * registers, free = t->vector_registers - 2;
  return free < 2 * taken ? 1 : (free - taken) / taken;
}

/* Does each place of the output read something of its own behind the sum? */
static bool reads_behind(const Stage *s) {
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    if (s->exprs.data[i].kind != X_LOAD || (int32_t)i == s->before || (int32_t)i == s->before2) continue;
    const uint32_t axes = affine_axes(&s->loads.data[s->exprs.data[i].a].at);
    if (axes & AXIS_BIT(s->row) && axes & AXIS_BIT(s->lane)) return true;
  }
  return false;
}

#define SHORT_SUM 16
/* Sums of few terms into long rows: what counts is that each row's results are stored side by side. Of many rows at once each piece
 * lies a page from the next, and where that is a power of two they push each other out of the cache. What is read behind the sums
 * wants more of it asked for at once. */
static bool stores_most(const Target *t, const Stage *s, int64_t columns, unsigned registers) {
  int64_t depth = 1;
  for (unsigned i = s->par; i < (unsigned)s->par + s->red; i++) {
    if (s->axes[i].batch >= 0 || s->axes[i].count > SHORT_SUM) return false;
    depth *= s->axes[i].count;
  }
  return depth <= SHORT_SUM && columns >= 16 && columns % 8 == 0 && stage_grouped_axis(s) < 0 && !reads_behind(s) && rows_that_fit(t, registers, 8) > 1;
}

/* Three vectors a tile, or four where that leaves no rest. Four and eight go two at a time: as fast, and there is one function
 * where three and two would be two. */
static void choose_vectors(TileShape *shape, const Target *t, const Stage *s, unsigned lanes, unsigned registers) {
  const Extent columns = s->axes[s->lane];
  const int64_t all = columns.batch >= 0 ? 3 : (columns.count + lanes - 1) / lanes;
  if (columns.batch < 0 && stores_most(t, s, all, registers)) {
    shape->vectors = 8, shape->vectors_reason = "a short sum: a row's results lie side by side";
    return;
  }
  if (all <= 2) shape->vectors = all > 0 ? (unsigned)all : 1, shape->vectors_reason = "all columns";
  else if (all == 4 || all == 8) shape->vectors = 2, shape->vectors_reason = "they divide the columns";
  else shape->vectors = 3, shape->vectors_reason = "few loads a product";
  while (shape->vectors > 1 && rows_that_fit(t, registers, shape->vectors) < 6)
    shape->vectors--, shape->vectors_reason = "more leave registers for few rows";
}

/* Few rows leave a part of their last tile idle: a height that divides them, where such a tile still has 4 rows. */
static unsigned even_rows(const TileShape *shape, int64_t count, int64_t tiles) {
  const int64_t height = (count + tiles - 1) / tiles;
  if (tiles * height * 15 <= count * 16) return 0;
  for (unsigned rows = shape->rows; rows >= 4; rows--)
    if (count % rows == 0) return rows;
  return 0;
}

bool shape_in_line(const TileShape *shape, const Stage *s) {
  return !shape->ragged && (s->row_outer < 0 || shape->grid);
}

/* May a share of the rows end within a tile? */
static bool ends_ragged(const TileShape *shape, const Kernel *k, Extent rows) {
  return rows.batch >= 0 || rows.count % shape->rows || !k->cut_unit || k->cut_unit % shape->rows;
}

/* The tallest tiles of at most `rows` of which a unit is made. */
static unsigned even_unit(unsigned rows, uint32_t unit) {
  while (unit % rows) rows--;
  return rows;
}

#define RAGGED_ROWS 8 /* each has an address of its own: more would not be in registers */
/* Tiles of equal height where the count is known; where it is a multiple of the height, it need not be asked. */
static void balance_rows(TileShape *shape, const Kernel *k, const Stage *s, bool fixed) {
  const Extent rows = shape_rows(s);
  const bool known = rows.batch < 0 && !is_cut(k, s, s->row);
  if (k->cut == CUT_ROWS && !fixed) shape->rows = even_unit(shape->rows, k->cut_unit);
  if (k->cut == CUT_ROWS) {
    shape->ragged = k->cut_unit % shape->rows != 0;
  } else if (known && rows.count > 0) {
    const int64_t tiles = (rows.count + shape->rows - 1) / shape->rows;
    const unsigned even = fixed ? 0 : even_rows(shape, rows.count, tiles);
    if (even || rows.count % shape->rows) shape->rows_reason = even ? "they divide all rows" : "tiles of equal height";
    shape->rows = even ? even : (unsigned)((rows.count + tiles - 1) / tiles);
    shape->ragged = rows.count % shape->rows != 0;
  } else {
    shape->ragged = ends_ragged(shape, k, rows);
  }
  if (shape_in_line(shape, s) || shape->rows <= RAGGED_ROWS || fixed) return;
  shape->rows = RAGGED_ROWS, shape->rows_reason = "each has an address, as they do not all lie at one distance";
  shape->ragged = known ? rows.count % shape->rows != 0 : ends_ragged(shape, k, rows);
  if (shape_in_line(shape, s)) shape->rows_reason = "they divide all rows";
}

/* The row axes belong to different operands: a tile is a grid, whose sides are read and not their product. */
static bool is_grid(const Stage *s) {
  if (s->row_outer < 0) return false;
  const uint32_t a = expr_axes(s, s->before), b = expr_axes(s, s->before2);
  return !(a & AXIS_BIT(s->row)) != !(a & AXIS_BIT(s->row_outer)) && !(b & AXIS_BIT(s->row)) != !(b & AXIS_BIT(s->row_outer));
}

/* The sides, of at most `most` rows together, that read least for each product. */
static void choose_sides(TileShape *shape, const Stage *s, unsigned most, uint32_t unit) {
  const int64_t rows = s->axes[s->row].count, outer = s->axes[s->row_outer].count;
  double least = 2;
  for (unsigned a = 1; a <= most; a++)
    for (unsigned b = 1; a * b <= most && rows % a == 0; b++) {
      const double reads = (double)(a + b) / (a * b);
      if (outer % b == 0 && unit % (a * b) == 0 && reads < least) least = reads, shape->grid = a, shape->rows = a * b;
    }
}

#define ENOUGH_SUMS 16
#define FEW_ROWS 8 /* and fewer vectors' worth of sums do not hide a product's latency */

/* Rows at known places: pairs of which a tile takes a part of one axis alone, or a grid. */
static void choose_grid(TileShape *shape, const Target *t, const Kernel *k, const Stage *s, unsigned registers, bool fixed) {
  const uint32_t unit = k->cut == CUT_ROWS ? k->cut_unit : 0;
  if (s->row_outer < 0 || s->axes[s->row].batch >= 0 || s->axes[s->row_outer].batch >= 0 || s->pairs) return;
  if (is_grid(s)) {
    if (!fixed) choose_sides(shape, s, registers > 1 ? rows_that_fit(t, registers, 1) : 24, unit);
    else if (s->axes[s->row].count % shape->rows == 0 && unit % shape->rows == 0) shape->grid = shape->rows;
    if (shape->grid) shape->vectors = 1, shape->vectors_reason = "its rows are a grid", shape->rows_reason = "a grid, whose sides alone are read";
    return;
  }
  for (unsigned rows = shape->rows; rows * shape->vectors >= FEW_ROWS && !shape->grid && !fixed; rows--)
    if (s->axes[s->row].count % rows == 0 && unit % rows == 0 && (rows * 4 >= shape->rows * 3 || rows * shape->vectors >= ENOUGH_SUMS))
      shape->grid = shape->rows = rows, shape->rows_reason = "they divide an axis";
}

/* The lane operand: of the lanes and not of the rows; -1 where there is none such. */
int32_t shape_lane_operand(const Stage *s) {
  const int32_t sides[] = {s->before, s->before2};
  for (int i = 0; i < 2; i++) {
    const uint32_t axes = expr_axes(s, sides[i]), other = expr_axes(s, sides[1 - i]);
    const uint8_t type = s->exprs.data[sides[i]].type;
    if (axes & AXIS_BIT(s->lane) && !(axes & row_axes(s)) && !(other & AXIS_BIT(s->lane)) &&
        (type == TYPE_F32 || type == TYPE_F64 || type == TYPE_BF16 || s->pairs))
      return sides[i];
  }
  return -1;
}

#define PANEL_BYTES (1 << 20)   /* a panel should stay in the second cache */
#define BLOCK_BYTES (256 << 10) /* of panels that narrow tiles go through for each tile of rows */
#define NEAR_PANELS (320 << 10) /* of all panels, beside what else is in the second cache */
#define NEAR_BYTES (2 << 20)    /* operands up to this are read in place where tiles are wide */
#define CLOSE_BYTES (24 << 10)  /* and where they are narrow: the first cache */
#define DEPTH_OF_BATCH 512      /* where the depth is known when the code runs */
#define PART_BYTES (16 << 10)   /* of a panel: half of the first cache */
#define PART_DEPTH 256          /* where tiles are wide and nothing is laid out: of sums over PART_LONG and more */
#define PART_LONG 512
#define SUM_BYTES (1 << 20)     /* of sums left between parts */
#define FEW_POINTS 64           /* of a part: its sums come and go once each */
#define STATE_BYTES (1 << 20)   /* of an optimiser for one parameter: the second cache */
#define FAR_ROW (1 << 10)       /* of a row of it, whose pieces lie far apart: then half as much */
#define DEFER_ROWS 64           /* about so many rows of it at once */
#define NEAR_SUMS (128 << 10)   /* of sums left for costly functions: a part of the second cache */
#define GROUP_DEPTH 16          /* places of an example at least: sums come and go with each group */

/* Does it pay to lay out an operand that could be read in place? A narrow tile reads one line of memory a row of it;
 * rows a power of two apart then meet in few sets of the caches. */
static bool copy_pays(const TileShape *shape, const Target *t, const Stage *s, unsigned lanes) {
  const Extent rows = shape_rows(s), columns = s->axes[s->lane];
  if (rows.batch < 0 && rows.count < 4 * (int64_t)shape->rows) return false;
  if (columns.batch < 0 && columns.count <= (int64_t)shape->vectors * lanes) return false;
  int64_t bytes = 4 * (columns.batch < 0 ? columns.count : 64);
  for (unsigned i = s->par; i < (unsigned)s->par + s->red; i++) bytes *= s->axes[i].batch < 0 ? s->axes[i].count : 64;
  return bytes > (t->vector_bytes < 64 ? CLOSE_BYTES : NEAR_BYTES);
}

static bool lies_as_used(const Stage *s, int32_t expr) {
  if (s->exprs.data[expr].kind != X_LOAD) return false;
  const Load *l = &s->loads.data[s->exprs.data[expr].a];
  return l->at.stride[s->lane] == 1 && l->at.batch[s->lane] < 0 && !l->guard_count;
}

/* Lanes that lie apart or cost computation are laid out always, a column panel once for all rows. */
static bool wants_panel(const TileShape *shape, const Target *t, const Stage *s, int32_t expr, unsigned lanes) {
  return !lies_as_used(s, expr) || copy_pays(shape, t, s, lanes);
}

static int64_t element_bytes(const Stage *s, int32_t expr) { return s->exprs.data[expr].type == TYPE_F64 ? 8 : 4; }

bool shape_inner_depth(const Stage *s, int64_t *inner) {
  *inner = 1;
  for (unsigned i = s->par + 1u; i < (unsigned)s->par + s->red; i++)
    if (s->axes[i].batch >= 0 || !mem_mul(*inner, s->axes[i].count, inner)) return false;
  return s->red && *inner > 0 && *inner < PANEL_BYTES;
}

/* Rows that adjoin in memory, while a step of k goes far: the lines of a tile would push each other out of the caches.
 */
static int32_t far_rows(const TileShape *shape, const Target *t, const Stage *s, unsigned lanes) {
  const int32_t expr = shape->packed == s->before ? s->before2 : s->before;
  const Expr *x = &s->exprs.data[expr];
  const Extent columns = s->axes[s->lane];
  if (t->vector_bytes >= 64 || x->kind != X_LOAD || (x->type != TYPE_F32 && x->type != TYPE_F64)) return -1;
  const Load *l = &s->loads.data[x->a];
  if (s->row_outer >= 0 || l->guard_count || l->at.stride[s->row] != 1 || l->at.batch[s->row] >= 0) return -1;
  if (columns.batch >= 0 || columns.count < 4 * (int64_t)shape->vectors * lanes) return -1;
  bool far = false;
  for (unsigned i = s->par; i < (unsigned)s->par + s->red; i++) {
    if (l->at.batch[i] >= 0) return -1;
    far |= l->at.stride[i] * element_bytes(s, expr) >= 256;
  }
  return far ? expr : -1;
}

int64_t shape_all_vectors(const Stage *s, unsigned lanes) { return (s->axes[s->lane].count + lanes - 1) / lanes; }

int64_t shape_sum_rows(const TileShape *shape, const Stage *s) { return shape_rows(s).count + 2 * (int64_t)shape->rows; }

/* Along the first red axis, which is parted? */
static bool keeps_pairs(const Stage *s) { return s->red == 1 && stage_in_pairs(s); }

/* Long sums over a lane operand that lies as it is used, in parts whose panels stay in the first cache. `row`: bytes of
 * one k. */
static void choose_parts(TileShape *shape, const Target *t, const Stage *s, int64_t row, int64_t inner) {
  const Expr *x = &s->exprs.data[shape->packed];
  const Extent first = s->axes[s->par], rows = shape_rows(s);
  const int64_t depth = PART_BYTES / (row * shape->vectors);
  if (x->kind == X_LOAD && s->loads.data[x->a].at.stride[s->lane] != 1) return;
  if (t->vector_bytes >= 64 || rows.batch >= 0 || inner > depth) return;
  if (first.batch < 0 && first.count * inner < 2 * depth) return;
  const int64_t sums = shape_sum_rows(shape, s) * row * shape->vectors;
  if (sums > SUM_BYTES / 4) return;
  shape->parts = true, shape->beyond = false;
  shape->parts_reason = "panels of a part stay in the first cache";
  shape->limit = depth / inner;
  if (keeps_pairs(s)) shape->limit &= ~1ll;
  shape->depth = shape->limit * inner;
  shape->panels = BLOCK_BYTES / (shape->depth * row * shape->vectors);
  if (shape->panels * sums > SUM_BYTES) shape->panels = SUM_BYTES / sums;
  shape->panel_bytes = shape->depth * row * shape->vectors * shape->panels;
  shape->sum_bytes = sums * shape->panels;
}

/* Tiles of all rows and outer axes, each with a whole number of rows; -1: not known. */
int64_t shape_all_tiles(const TileShape *shape, const Stage *s) {
  int64_t count = (shape_rows(s).count + shape->rows - 1) / shape->rows;
  for (int i = s->chunks != 0; i < s->par; i++)
    if (s->axes[i].batch >= 0 || (i != s->row && i != s->row_outer && !mem_mul(count, s->axes[i].count, &count))) return -1;
  return count;
}

/* Sums over examples in groups go group by group for all tiles: what is read of one stays in the second cache. */
static void choose_group_parts(TileShape *shape, const Kernel *k, const Stage *s, unsigned lanes) {
  int64_t inner;
  const int64_t tiles = shape_all_tiles(shape, s), row = lanes * element_bytes(s, s->before);
  if (s->order != ORDER_GROUPS || !shape_inner_depth(s, &inner) || inner < GROUP_DEPTH || tiles < 2) return;
  if (tiles > SUM_BYTES / row / shape->rows) return;
  shape->parts = shape->outside = true, shape->limit = EXAMPLE_GROUP, shape->depth = EXAMPLE_GROUP * inner;
  shape->parts_reason = "a group of examples after the other, for all tiles";
  shape->sum_bytes = tiles * shape->rows * row;
}

/* The smaller operand's part is the one to go through again and again: all columns for each tile of rows where they are
 * fewer, else all rows for one panel of columns. */
static int64_t panels_in_reach(const TileShape *shape, const Stage *s, unsigned lanes, int64_t sums) {
  const Extent columns = s->axes[s->lane], rows = shape_rows(s);
  if (columns.batch >= 0 || columns.count > rows.count) return 1;
  const int64_t width = (int64_t)shape->vectors * lanes, all = (columns.count + width - 1) / width;
  return all * sums <= SUM_BYTES ? all : 1;
}

/* Long sums in parts, the lane operand where it is: its rows lie far apart, meet in few sets of the caches, and each tile
 * of rows would read all of them from far away. */
static void choose_parts_in_place(TileShape *shape, const Target *t, const Stage *s, unsigned lanes) {
  const int32_t expr = shape_lane_operand(s);
  const Extent first = s->axes[s->par], rows = shape_rows(s);
  int64_t inner;
  if (t->vector_bytes < 64 || expr < 0 || !lies_as_used(s, expr)) return;
  if (rows.batch >= 0 || rows.count < 2 * (int64_t)shape->rows || !shape_inner_depth(s, &inner) || inner > PART_DEPTH) return;
  const int64_t depth = PART_DEPTH / inner * inner; /* shorter parts, whose sums come and go oftener, pay for longer sums */
  if (first.count * inner * depth < (first.batch >= 0 ? PART_LONG / 64 : PART_LONG) * PART_DEPTH) return;
  const int64_t sums = shape_sum_rows(shape, s) * lanes * element_bytes(s, expr) * shape->vectors;
  if (sums > SUM_BYTES / 4) return;
  shape->parts = true;
  shape->parts_reason = "a long sum: its operands are far, a part of them is near";
  shape->limit = PART_DEPTH / inner; /* even where pairs are kept: there are no inner axes then */
  shape->depth = shape->limit * inner;
  shape->panels = panels_in_reach(shape, s, lanes, sums);
  shape->sum_bytes = sums * shape->panels;
}

#define PAIRS_DEEP 1024          /* of a panel, where the depth is not known */
#define PAIRS_BYTES (256 << 10)  /* of panels that a tile of rows goes through, where rows are laid out */

/* Pairs: the lane operand is laid out always, the rows' where they do not lie in pairs. */
static void choose_pairs(TileShape *shape, const Stage *s, unsigned lanes) {
  int64_t inner = 1;
  const Extent first = s->axes[s->par];
  shape->packed = shape_lane_operand(s);
  const int32_t row = shape->packed == s->before ? s->before2 : s->before;
  shape_inner_depth(s, &inner);
  const int64_t deep = PAIRS_DEEP > inner ? PAIRS_DEEP / inner : 1, bytes = lanes * 4;
  shape->parts = first.batch >= 0 || (shape_rows(s).batch < 0 && first.count > 2 * deep);
  shape->panel_reason = "in pairs", shape->parts_reason = "panels of a part stay in the second cache";
  shape->limit = shape->parts ? deep : first.count;
  while (shape->vectors > 1 && shape->limit * inner * bytes * shape->vectors > PANEL_BYTES) shape->vectors--;
  shape->depth = shape->limit * inner;
  const int64_t panel = shape->depth * bytes * shape->vectors;
  if (!s->loads.data[s->exprs.data[row].a].pairs) shape->packed_rows = row;
  if (shape->packed_rows >= 0 && panel < PAIRS_BYTES) shape->panels = PAIRS_BYTES / panel;
  shape->panel_bytes = panel * shape->panels;
  if (shape->parts) shape->sum_bytes = shape_sum_rows(shape, s) * bytes * shape->vectors * shape->panels;
}

#define NEAR_ALL (512 << 10)  /* of both operands: what the second cache holds needs no parts */
#define LANE_PART (32 << 10)  /* of the lane operand: the first cache */

/* Operands that are read in place, more than the second cache holds: what is read of one part serves all tiles. */
static void choose_near_parts(TileShape *shape, const Kernel *k, const Stage *s, unsigned lanes) {
  int64_t inner, step = 0, all = 0;
  const int32_t operands[] = {s->before, s->before2};
  int64_t lane_step = 1;
  if (s->order != ORDER_SEQUENCE || s->pairs || shape->packed >= 0 || k->block || s->axes[s->lane].batch >= 0 || !shape_inner_depth(s, &inner)) return;
  for (int i = 0; i < s->par; i++)
    if (s->axes[i].batch >= 0) return;
  for (int i = 0; i < 2; i++) { /* an index of the first red axis is far from the next one */
    const Expr *x = &s->exprs.data[operands[i]];
    if (x->kind != X_LOAD || s->loads.data[x->a].at.batch[s->par] >= 0 || s->loads.data[x->a].at.stride[s->par] <= 0) return;
    step += s->loads.data[x->a].at.stride[s->par] * element_bytes(s, operands[i]);
    if (s->loads.data[x->a].at.stride[s->lane]) lane_step = s->loads.data[x->a].at.stride[s->par] * element_bytes(s, operands[i]);
  }
  const Extent first = s->axes[s->par];
  const int64_t count = (first.batch < 0 ? first.count : 64 * first.count) / (s->chunks ? s->chunks : 1), limit = lane_step < LANE_PART ? LANE_PART / lane_step : 1;
  const int64_t row = lanes * element_bytes(s, s->before) * shape_all_vectors(s, lanes);
  int64_t sums = shape_sum_rows(shape, s) * row;
  for (int i = s->chunks != 0; i < s->par; i++)
    if (i != s->row && i != s->row_outer && i != s->lane && !mem_mul(sums, s->axes[i].count, &sums)) return;
  if (step > PANEL_BYTES || !mem_mul(step, count, &all) || all < NEAR_ALL || limit * inner < FEW_POINTS) return;
  if (sums > SUM_BYTES || shape_all_tiles(shape, s) * shape->vectors < 4 * shape_all_vectors(s, lanes)) return;
  shape->parts = shape->outside = true, shape->limit = limit, shape->depth = limit * inner, shape->sum_bytes = sums;
  shape->parts_reason = "what is read of one serves all tiles";
}

/* All panels together, where they are near then: each tile of rows goes through all columns, and what is read and stored behind its
 * sums comes in the order of memory. */
static int64_t panels_for_rows(const TileShape *shape, const Stage *s, int64_t panel, unsigned lanes) {
  const Extent columns = s->axes[s->lane];
  if (columns.batch >= 0) return 1;
  const int64_t width = (int64_t)shape->vectors * lanes, all = (columns.count + width - 1) / width;
  return all * panel <= NEAR_PANELS ? all : 1;
}

static void choose_packing(TileShape *shape, const Target *t, const Kernel *k, const Stage *s, unsigned lanes) {
  const int32_t expr = shape_lane_operand(s);
  int64_t inner;
  if (expr < 0 || k->operand_count + 2 > KERNEL_MAX_OPERANDS || !shape_inner_depth(s, &inner) ||
      !wants_panel(shape, t, s, expr, lanes))
    return;
  const int64_t row = lanes * element_bytes(s, expr);
  const Extent first = s->axes[s->par];
  const int64_t all = first.batch < 0 ? first.count : DEPTH_OF_BATCH * first.count;
  if (!all || inner > PANEL_BYTES / row) return;
  while (shape->vectors > 1 && all > PANEL_BYTES / row / inner / shape->vectors) shape->vectors--;
  const int64_t most = PANEL_BYTES / row / inner / shape->vectors;
  shape->packed = expr;
  shape->panel_reason = s->exprs.data[expr].kind != X_LOAD           ? "computed once for all rows"
                        : s->loads.data[s->exprs.data[expr].a].guard_count ? "zeros around it are filled in once"
                        : lies_as_used(s, expr)                            ? "larger than the caches that are near"
                                                                           : "its lanes lie apart in memory";
  shape->limit = all < most ? all : keeps_pairs(s) ? most & ~1ll : most;
  shape->beyond = first.batch >= 0 || all > shape->limit;
  shape->depth = shape->limit * inner;
  const int64_t panel = shape->depth * row * shape->vectors;
  if (t->vector_bytes < 64) shape->panels = BLOCK_BYTES / panel ? BLOCK_BYTES / panel : 1;
  else if (reads_behind(s)) shape->panels = panels_for_rows(shape, s, panel, lanes);
  shape->panel_bytes = panel * shape->panels;
  choose_parts(shape, t, s, row, inner);
  shape->packed_rows = far_rows(shape, t, s, lanes);
}

/* The axes that do not matter to the panels: gone through while these lie there. */
static uint32_t shared_axes(const TileShape *shape, const Kernel *k, const Stage *s) {
  uint32_t axes = 0;
  if (shape->packed < 0 || shape->parts) return 0;
  for (int i = k->block; i < s->par; i++)
    if (i != s->row && i != s->row_outer && i != s->lane) axes |= AXIS_BIT(i);
  return axes & ~expr_axes(s, shape->packed);
}

/* Bytes that are both read and written behind the sum: an optimiser's state. 0 where that is not all of the output, or
 * more. */
static int64_t state_bytes(const Kernel *k, const Stage *s) {
  const int64_t count = s->axes[0].count * s->axes[1].count;
  int64_t bytes = 0;
  for (uint32_t i = 0; i < s->stores.count; i++) {
    const Store *t = &s->stores.data[i];
    if (t->gather || t->at.stride[s->lane] != 1) return 0;
    for (uint32_t l = 0; l < s->loads.count; l++)
      if (s->loads.data[l].operand == t->operand) {
        bytes += count * (k->operand_type[t->operand] == TYPE_F64 ? 8 : 4);
        break;
      }
  }
  return bytes;
}

static bool reads_sum(const Stage *s, int32_t expr) {
  if (expr < 0) return false;
  const Expr *x = &s->exprs.data[expr];
  return x->kind == X_ACC || (x->kind == X_PRIM && (reads_sum(s, x->a) || reads_sum(s, x->b) || reads_sum(s, x->c)));
}

/* Is there a costly function of the sums? */
static bool costly_behind(const Stage *s) {
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    const Expr *x = &s->exprs.data[i];
    if (x->kind == X_PRIM && prim_is((Prim)x->prim, K_COSTLY) && reads_sum(s, (int32_t)i)) return true;
  }
  return false;
}

/* Some whole rows whose sums are left in scratch, and then what is behind them, for these rows together. An optimiser's state too
 * large for the second cache is so gone through in the order of memory; tile by tile each row's piece would be a page away from
 * the next. And costly functions take several vectors at a time, as any map (chains_of), where in a tile the sums have the
 * registers, and each chain of operations waits for itself. */
static void choose_defer(TileShape *shape, const Target *t, const EmitOptions *o, const Kernel *k, const Stage *s, unsigned lanes) {
  const Extent columns = s->axes[s->lane], rows = s->axes[s->row];
  if (k->block || k->cut == CUT_ROWS || s->pairs || s->chunks || shape->packed >= 0 || shape->grid || shape->outside) return;
  if (s->row_outer >= 0 || s->row != s->par - 2 || s->lane != s->par - 1 || s->order != ORDER_SEQUENCE || columns.batch >= 0) return;
  const int64_t far = columns.count * element_bytes(s, s->before) >= FAR_ROW ? STATE_BYTES / 2 : STATE_BYTES;
  const bool state = s->par == 2 && rows.batch < 0 && state_bytes(k, s) >= (o->state_bytes ? o->state_bytes : far);
  const bool costly = t->vector_bytes >= 64 && columns.count % (2 * lanes) == 0 && costly_behind(s);
  if (!state && (!costly || (rows.batch < 0 && rows.count < shape->rows))) return;
  shape->width = (columns.count + lanes - 1) / lanes * lanes;
  const int64_t row = shape->width * element_bytes(s, s->before), most = SUM_BYTES / row - 2 * (int64_t)shape->rows;
  shape->defer = (DEFER_ROWS + shape->rows - 1) / shape->rows * shape->rows;
  if (shape->defer > most) shape->defer = most / shape->rows * shape->rows;
  if (!state && shape->defer * row > NEAR_SUMS) shape->defer = (NEAR_SUMS / row + shape->rows - 1) / shape->rows * shape->rows;
  shape->defer_reason = state ? "an update's state is large" : "costly functions take several vectors at a time";
  if (shape->defer < shape->rows) shape->defer = shape->width = 0;
  else shape->sum_bytes = (shape->defer + 2 * (int64_t)shape->rows) * row;
}

TileShape shape_choose(const Target *t, const EmitOptions *o, const Kernel *k, const Stage *s) {
  static const unsigned most[] = {16, 16, 12, 8, 6}; /* more rows gain nothing, and lose where the panel is far */
  const unsigned lanes = stage_lanes(k, s), registers = shape_registers(t, k, s);
  TileShape shape = {.rows = o->tile_rows ? o->tile_rows : s->tile_rows,
                     .vectors = o->tile_vectors ? o->tile_vectors : s->tile_vectors,
                     .packed = -1,
                     .packed_rows = -1,
                     .panels = 1,
                     .block = 8,
                     .vectors_reason = "as asked for",
                     .rows_reason = "as asked for",
                     .panel_reason = "its lanes adjoin"};
  const bool examples = stage_grouped_axis(s) == s->lane && s->axes[s->row].batch < 0 && s->axes[s->row].count <= 6;
  if (!shape.vectors) choose_vectors(&shape, t, s, lanes, registers);
  if (examples && !s->tile_vectors && !o->tile_vectors && rows_that_fit(t, registers, 4) >= 6) /* of any multiple of 16 */
    shape.vectors = 4, shape.vectors_reason = "examples in the lanes, few rows";
  if (s->order == ORDER_GROUPS) shape.vectors = 1, shape.vectors_reason = "its lanes are summed";
  if (shape.vectors > NEST_MAX_VECTORS) shape.vectors = NEST_MAX_VECTORS;
  if (!shape.rows) {
    shape.rows = rows_that_fit(t, registers, shape.vectors), shape.rows_reason = "as many as there are registers for";
    const unsigned enough = shape.vectors > 4 ? shape.rows : k->cut == CUT_ROWS && shape.vectors == 1 ? 24 : most[shape.vectors];
    if (shape.rows > enough) shape.rows = enough, shape.rows_reason = "more gain nothing";
  }
  if (shape.rows > NEST_MAX_ROWS) shape.rows = NEST_MAX_ROWS;
  while (shape.rows > 1 && shape.rows * shape.vectors > 60) shape.rows--;
  if (s->pairs) {
    choose_pairs(&shape, s, lanes);
  } else if (stage_grouped_axis(s) < 0 && !s->chunks) {
    choose_parts_in_place(&shape, t, s, lanes);
    if (!shape.parts) choose_packing(&shape, t, k, s, lanes);
  }
  shape.shared = shared_axes(&shape, k, s);
  if (!is_cut(k, s, s->row) && !is_cut(k, s, s->row_outer)) choose_grid(&shape, t, k, s, registers, o->tile_rows || s->tile_rows);
  if (!shape.grid) balance_rows(&shape, k, s, o->tile_rows != 0);
  choose_group_parts(&shape, k, s, lanes);
  if (stage_grouped_axis(s) < 0 && !shape.parts) choose_near_parts(&shape, k, s, lanes);
  choose_defer(&shape, t, o, k, s, lanes);
  if (shape.packed_rows >= 0)
    shape.row_bytes = shape.depth * shape.rows * shape.block * element_bytes(s, shape.packed_rows);
  return shape;
}

int64_t shape_scratch(const Target *t, const EmitOptions *o, const Kernel *k) {
  Arena arena = {0};
  int64_t most = 0;
  for (uint32_t i = 0; i < k->stages.count; i++) {
    if (!shape_fits(k, &k->stages.data[i])) continue;
    const TileShape shape = shape_choose(t, o, k, pairs_stage(t, k, &k->stages.data[i], &arena));
    const int64_t bytes = shape.panel_bytes + shape.row_bytes + shape.sum_bytes;
    if (bytes > most) most = bytes;
  }
  arena_free(&arena);
  return most;
}
