/* nest.h: what the emitters of loop nests share. A Nest is one stage in the making: which axes are open and where they
 * stand, what the stage's expressions are worth there, and the tile of points that is computed at once: `rows` indices
 * of the row axis by `vectors` vectors of `lanes` indices of the lane axis. A map has a tile of one vector, a column
 * sum one of several, a contraction one of many rows.
 *
 * An expression is evaluated once for each part of the tile that it depends on, as early as its axes are open, so that
 * nothing is computed in an inner loop that could be computed outside. */
#ifndef GRADC_NEST_H
#define GRADC_NEST_H
#include "arena.h"
#include "emit.h"
#include "llvm.h"

#define NEST_MAX_LEVELS (KERNEL_MAX_AXES + 12)
#define NEST_MAX_ROWS 32
#define NEST_MAX_LANES 64 /* four vectors of 16 as one: nest.c */
#define NEST_MAX_VECTORS 8

/* Besides the stage's own axes: what else an expression may have to wait for. */
enum {
  AXIS_STAGE = KERNEL_MAX_AXES, /* the stages before this one have stored their values */
  AXIS_ACC,                     /* the reduction is done */
  AXIS_NONE                     /* nothing: a scope, whose values are forgotten when it closes */
};
#define AXIS_BIT(axis) (1u << (axis))

/* One module: a schedule being emitted. */
typedef struct {
  Emit *e;
  const Schedule *schedule;
  const EmitOptions *options;
  Arena arena;
  uint32_t functions; /* made so far, for their names */
  V zeros;            /* a constant block of zero bytes, as long as the longest vector */
  V copy,
      spread[TYPE_COUNT]; /* memory.c: functions for targets without masked loads and stores, made on demand; spread by Type */
} Unit;

/* An affine index with its terms for the open axes. */
typedef struct {
  const Affine *at;
  uint16_t operand; /* an address in this operand; UINT16_MAX: a number */
  uint8_t type;     /* Type of the element */
  unsigned rows;    /* 1 where the tile's rows are consecutive */
  V *now;           /* [level][row] */
} Spot;

/* An expression's values over the tile. */
typedef struct {
  uint32_t deps;               /* axes */
  bool wanted;                 /* evaluated as soon as its axes are open */
  bool splat;                  /* a scalar that some lane-dependent expression reads */
  unsigned level, lanes_level; /* the deepest at which one of the values below was made */
  V *value, *lanes;            /* [row][vector], NULL where not made; lanes: the scalar in every lane */
} Cell;

typedef struct Nest {
  Unit *u;
  Emit *e;
  const Kernel *kernel;
  const Stage *stage;
  V frame, scratch;
  V operand[KERNEL_MAX_OPERANDS]; /* addresses */
  V batch[GRADC_MAX_BATCHES];     /* batch extents; NULL where the kernel has no use for them */
  V from, to;                     /* this thread's share of the cut axis */
  bool fours;                     /* chunks of four vectors begin at multiples of four */
  bool distinct;                  /* no two operands are the same memory, where one is written */
  unsigned number;                /* of the stage */
  V **result;                     /* X_RESULT: by stage and its expression; NULL in a tile's function */
  unsigned lanes;                 /* of a logical vector; 1: a scalar stage */
  int lane, row, row_outer;       /* axes, or -1 */
  unsigned rows, vectors;         /* the tile */
  unsigned grid;                  /* rows are this many indices of row, for each of some of row_outer; 0: no grid */
  V row_offset[NEST_MAX_ROWS];    /* of each row from the first, along row; NULL: consecutive */
  V outer_offset[NEST_MAX_ROWS];  /* … along row_outer */
  V row_count;                    /* rows that count: those past it repeat the last one and are not stored; NULL: all */
  V mask[NEST_MAX_VECTORS];       /* lanes that exist; NULL: all */
  V mask_count[NEST_MAX_VECTORS]; /* how many they are (i64), where mask is given */
  uint32_t open;                  /* axes */
  unsigned level, axis_at[NEST_MAX_LEVELS];
  V index[KERNEL_MAX_AXES]; /* of open axes */
  bool in_tile;             /* of a tile's own function */
  bool grouped;             /* some of what the lanes read or write lies in groups of 16 */
  bool whole;               /* … and all of it: lanes past the last may be computed too */
  V red_from, red_to;       /* the part of the first red axis that is meant, NULL: all */
  struct Nest *rest;        /* a nest of equal axes that reduces what is left, or NULL */
  V sums;                   /* where sums are left, between parts or for a pass behind all: [row][sum_width]; or NULL */
  int64_t sum_width;        /* elements */
  bool deferred;            /* sums are left always: what is behind them is another pass */
  V first_part, last_part;  /* whether they begin, and end, in this part */
  int32_t next_rows, next_lanes; /* loads: at each point what the next tile's rows, or what lies beside its lanes, is asked for; or -1 */
  int panel;                /* an operand that has all lanes of a vector always; or -1 */
  unsigned half;            /* of a map in two halves: 1 or 2, which one is being made; 0: it is not */
  int32_t *kept;            /* by expression: 1 + the store of the first half that the second one reads it from; 0: none */
  unsigned small, wide;     /* axes of up to `small` vectors are written out; longer ones go by `wide` vectors */
  Spot *spots;              /* loads, then guards in order of loads, stores, expressions' affines */
  uint32_t spot_count, first_guard, first_store;
  uint32_t *guard_spot, *expr_spot;
  bool *sure;               /* by spot: a guard that holds wherever the open loops come */
  V taps_from, taps_to;     /* of the loop that begins next, where not all of its axis: taps, or rows; or NULL */
  Cell *cells;                             /* by expression */
  V acc[NEST_MAX_ROWS * NEST_MAX_VECTORS]; /* what was combined: [row][vector] */
  V second[NEST_MAX_ROWS * NEST_MAX_VECTORS]; /* … of COMBINE_ARGMAX what is largest; of two sums the other one */
} Nest;

/* nest.c */
/* The rows of a nest's tile. */
typedef struct {
  unsigned count;
  const V *offset, *outer; /* of each row from the first, along its two axes; NULL: rows are consecutive along the first */
  unsigned grid;   /* the nest's */
  V existing;      /* the nest's row_count, or NULL */
  int padded;      /* an operand in which rows past the last may be read; or -1 */
} NestRows;
/* A nest at the builder's place, with the kernel's operands at `operand`. `rows`: NULL for one row. */
void nest_init(Nest *n, Unit *u, const Kernel *k, const Stage *s, V frame, const V *operand, const NestRows *rows);
/* Opens an axis at `index` (of the first row, of lane 0 of the first vector) and, where `hoist`, evaluates what now can
 * be. */
void nest_open(Nest *n, unsigned axis, V index, bool hoist);
void nest_close(Nest *n);
void nest_hoist(Nest *n);
/* Marks for hoisting what `expr` is made of, and what is read besides. */
void nest_want(Nest *n, int32_t expr);
V nest_extent(Nest *n, Extent x);
/* How many points the first red axis has. */
V nest_depth(Nest *n);
/* The part of the first red axis that this stage sums: of a stage by chunks that of the open chunk, else all of it. */
void nest_summed(Nest *n, V *from, V *to);
/* Does the reduction read this load? */
bool nest_reduced(const Nest *n, uint32_t load);
/* The value or address of a place at a row and vector of the tile: that of lane 0. */
V nest_spot(Nest *n, uint32_t place, unsigned row, unsigned vector);
/* The distance between two lanes, in elements: a constant, or NULL and *dynamic where it depends on a batch extent. */
int64_t nest_lane_stride(Nest *n, const Affine *at, V *dynamic);
uint32_t affine_axes(const Affine *at);
unsigned stage_lanes(const Kernel *k, const Stage *s);
static inline bool nest_by_row(const Nest *n, uint32_t deps) {
  return (n->row >= 0 && deps & AXIS_BIT(n->row)) || (n->row_outer >= 0 && deps & AXIS_BIT(n->row_outer));
}
/* Where values of the tile begin in arrays of [row][vector]. */
static inline unsigned nest_part(const Nest *n, uint32_t deps, unsigned row, unsigned vector) {
  unsigned r = nest_by_row(n, deps) ? row : 0, v = n->lane >= 0 && deps & AXIS_BIT(n->lane) ? vector : 0;
  if (r && n->grid) { /* rows that differ in an axis that does not matter have one value */
    if (!(deps & AXIS_BIT(n->row_outer))) r %= n->grid;
    else if (!(deps & AXIS_BIT(n->row))) r -= r % n->grid;
  }
  return r * NEST_MAX_VECTORS + v;
}

/* i64 arithmetic that leaves out what does nothing. */
V i64_add(Emit *e, V a, V b);
V i64_mul(Emit *e, V a, int64_t b);
V i64_mul2(Emit *e, V a, V b);
V i64_min(Emit *e, V a, V b);
V i64_max(Emit *e, V a, V b);
bool i64_known(V v, int64_t *value);

/* expr.c: an expression's value at a row and vector: in lanes where `lanes`, else as it is (lanes only where it depends
 * on the lane axis). */
V expr_value(Nest *n, int32_t expr, unsigned row, unsigned vector, bool lanes);
/* May four vectors of random numbers be drawn by one call, where a chunk of the lanes begins at a multiple of 64? */
bool expr_draws_four(const Nest *n, const Expr *x);
/* first + lane * the affine's stride in the lane axis, in integer lanes of first's type. */
V lane_numbers(Nest *n, V first, const Affine *at);
LLVMTypeRef expr_type(Emit *e, Type type);   /* of a value: i1 for booleans, float for BF16 */
LLVMTypeRef memory_type(Emit *e, Type type); /* of an element in memory: i8 for booleans, i16 for BF16 */

/* bf16.c: floats of 8 bits. As values they are floats that are rounded already; in memory, their upper halves. */
V bf16_round(Emit *e, V x);  /* floats to the nearest such, ties to even; denormals to 0 */
V bf16_widen(Emit *e, V x);  /* i16 to float */
V bf16_halves(Emit *e, V x); /* and back, of what is rounded */
/* acc + the products of the pairs in a's and b's lanes of 32 bits, the second of a pair first. */
V bf16_dot(Emit *e, V a, V b, V acc);
/* The stage that the target's dot product can take: its innermost red axis in pairs, its operands in lanes of 32 bits. Else the
 * stage itself. */
const Stage *pairs_stage(const Target *t, const Kernel *k, const Stage *s, Arena *arena);
/* The lane operand's panel by evaluation, at the open par axes of a nest of the stage as it was. `from`, `to`: the part of
 * the first red axis, in pairs where it is the innermost; NULL: all. */
void pairs_fill(Nest *n, int32_t expr, V panel, V from, V to);
/* As pack_rows_function, of pairs; the depth it is called with is one of single elements. */
struct TileShape;
V pairs_rows_function(Nest *n, uint32_t load, const struct TileShape *shape, const char *name);
/* How many elements its innermost red axis has. */
V pairs_extent(Nest *n);

/* prim.c: an elementwise primitive of values of types `in`, giving `out`. Lane counts agree. */
V prim_emit(Emit *e, Prim prim, Type in, Type out, V a, V b, V c);

/* memory.c: loads and stores of a load's or store's lanes at a row and vector. */
V memory_load(Nest *n, uint32_t load, unsigned row, unsigned vector);
void memory_store(Nest *n, uint32_t store, unsigned row, unsigned vector);

/* combine.c: accumulators, as a list [part][row][vector] of `combine_count` values; ARGMAX has two parts, the index and
 * the value. Where the lanes are reduced, a row's vectors share one. */
unsigned combine_count(const Nest *n);
void combine_start(Nest *n, V *acc);
void combine_point(Nest *n, V *acc);  /* takes in the expressions at the present point, for the whole tile */
void combine_finish(Nest *n, V *acc); /* to n->acc; lanes that are reduced by the fixed tree */

/* loop.c: loops over an axis, with `carried` values that pass through them. */
typedef struct {
  V from, to;
  int64_t count;  /* to - from, or -1: not known */
  int64_t extent; /* the axis' own, or -1: not known */
  int64_t unit;   /* from is a multiple of it, and to where it is not the end */
  bool some;      /* from < to: also of a share, as a kernel is not entered with an empty one */
} Range;
typedef struct {
  V *values;
  unsigned count;
} Carry;
typedef void LoopBody(Nest *n, Carry *carry, void *data);
Range range_axis(Nest *n, unsigned axis);
void loop_axis(Nest *n, unsigned axis, Carry *carry, bool hoist, LoopBody *body, void *data);
/* The lane axis: `wide` vectors at a time, then fewer, then the lanes that are left. */
void loop_lanes(Nest *n, unsigned axis, unsigned wide, Carry *carry, bool hoist, LoopBody *body, void *data);

/* stage.c: the stage at the open block axes. */
void stage_emit(Nest *n);
/* Reduction, expressions behind it and stores of the tile at the open par axes. */
void stage_point(Nest *n);
/* Marks what is evaluated as soon as its axes are open. For a nest whose tile is a function: what that function is
 * given. */
void stage_wants(Nest *n);
/* The axes that are open when a stage begins: what depends on these alone is evaluated once for the stage. */
uint32_t stage_outer(const Nest *n);

/* shape.c: the tile of a contraction, and which operands are laid out in scratch. */
typedef struct TileShape {
  unsigned rows, vectors;
  unsigned grid;                  /* a tile's rows are so many indices of the row axis, for each of rows / grid of the outer one;
                                     0: the pairs of both in order */
  bool ragged;                    /* a tile may have fewer rows */
  int32_t packed;                 /* the lane operand's expression, where its panels are laid out; or -1 */
  int32_t packed_rows;            /* the row operand's; or -1 */
  uint32_t shared;                /* axes of the rows that are gone through under the panels */
  int64_t limit;                  /* of the first red axis' indices in a panel; what lies beyond is read where it is */
  bool beyond;                    /* there may be more */
  bool parts;                     /* what lies beyond comes in panels of its own; sums go on where they were left */
  bool outside;                   /* … parts are outside of all other axes but the chunks */
  int64_t depth;                  /* points of the red axes in a panel */
  int64_t panels;                 /* of the lane operand at once */
  int64_t block;                  /* tiles of rows at once */
  int64_t defer;                  /* rows whose sums are all left, and what is behind them then computed row by row; or 0 */
  int64_t width;                  /* elements of a row of sums that are left; 0: as wide as a tile */
  int64_t panel_bytes, row_bytes, sum_bytes; /* of scratch: first the panels, then the rows, then the sums left */
  const char *vectors_reason, *rows_reason, *panel_reason, *parts_reason, *defer_reason; /* of these choices, for explain.c */
} TileShape;
bool shape_fits(const Kernel *k, const Stage *s);
unsigned shape_registers(const Target *t, const Kernel *k, const Stage *s); /* of the target, for a logical vector */
/* Do the rows of each tile lie at known places, along the row axis alone or in a grid? Then one address serves all. */
bool shape_in_line(const TileShape *shape, const Stage *s);
Extent shape_rows(const Stage *s); /* how many rows a contraction has */
/* The operand of a contraction that is of the lanes and not of the rows; -1 where there is none such. */
int32_t shape_lane_operand(const Stage *s);
/* The product of the red axes but the first; false where it is not known, or nothing. */
bool shape_inner_depth(const Stage *s, int64_t *inner);
TileShape shape_choose(const Target *t, const EmitOptions *o, const Kernel *k, const Stage *s);
/* Rows whose sums are left between parts, and room for a last tile's rows that do not exist. */
int64_t shape_all_tiles(const TileShape *shape, const Stage *s); /* of ORDER_GROUPS: its sums are left tile by tile */
int64_t shape_sum_rows(const TileShape *shape, const Stage *s);
int64_t shape_all_vectors(const Stage *s, unsigned lanes); /* of known columns */
int64_t shape_scratch(const Target *t, const EmitOptions *o, const Kernel *k);

/* pack.c: the lane operand's panel, [k][vectors of lanes]. */
bool pack_in_blocks(const Nest *n, int32_t expr);
/* pack(source, panel, lanes that exist, lanes of a panel's row): source is the operand at the first lane and k = 0. */
V pack_function(Nest *n, int32_t expr, const char *name);
/* pack(source, panel, rows, depth): [tile][k][rows of a tile] of a load whose rows adjoin; source is at the first row
 * and k = 0, depth the indices of the first red axis. */
V pack_rows_function(Nest *n, uint32_t load, const TileShape *shape, const char *name);
/* The lane operand's panel by evaluation, at the nest's open par axes. */
void pack_fill(Nest *n, int32_t expr, V panel);
/* A map that stores one value as it is, read along another axis than it is stored along. */
bool turn_fits(const Nest *n);
void turn_emit(Nest *n);

/* walk.c: a contraction whose tile is a function of its own. */
bool tile_fits(const Nest *n); /* and this nest is not in that function already */
void tile_emit(Nest *n);

/* kernel.c: void kernel(frame, record of the operands' buffer numbers, from, to, scratch), and the entry that calls
 * them. */
V kernel_emit(Unit *u, uint32_t number,
              const char *owner); /* owner: the entry in another object that calls it, or NULL */
/* May the kernel's operands be taken for different memory, in all its launches? */
bool kernel_distinct(const Schedule *s, uint32_t kernel);
V kernel_declare(Unit *u, uint32_t number, const char *owner);
void entry_emit(Unit *u, const char *name, V *kernels);

/* Begins a function in the middle of another one, and comes back. */
typedef struct {
  LLVMBasicBlockRef block;
  V function;
} Aside;
Aside aside_begin(Emit *e, const char *name, LLVMTypeRef *params, unsigned count, bool noalias);
V aside_end(Emit *e, Aside aside); /* the function that was begun */
V call_function(Emit *e, V function, V *args, unsigned count);

#endif
