/* kernel.h: what is executed: kernels, their launches in phases, and where every value lies. Target-independent but for
 * the strategy; no LLVM.
 *
 * A kernel is a loop over block axes with stages inside; a stage is one loop nest
 *     for par axes: { acc = combine over red axes of before(loads); stores of after(acc, loads) }
 * Map, row and contraction are what a stage's axes make it, not separate kinds. A view (broadcast, transpose, slice,
 * reverse, reshape of a dense value) is never executed: it is the index map of a load; padding is a guard on one.
 *
 * Bits: the order of a reduction is part of the stage (`order`) and follows from shapes alone. Tiles, blocks, packing,
 * cuts and threads never change it. */
#ifndef GRADC_KERNEL_H
#define GRADC_KERNEL_H
#include "abi.h"
#include "graph.h"

#define LOOP_MAX_DEPTH 2      /* loops within each other; deeper ones are written out */
#define KERNEL_STAGE_AXES 10  /* of a stage */
/* Behind a stage's axes an index has, while the schedule is made, a place for each loop around it: its round, and the
 * round's lowest bit. In a kernel these strides are 0: its launches move the operands (Advance). */
#define KERNEL_MAX_AXES (KERNEL_STAGE_AXES + 2 * LOOP_MAX_DEPTH)
static inline unsigned axis_of_round(unsigned depth) { return KERNEL_STAGE_AXES + 2 * depth; }
static inline unsigned axis_of_parity(unsigned depth) { return KERNEL_STAGE_AXES + 2 * depth + 1; }
#define KERNEL_MAX_OPERANDS 64

/* count, or count * the batch extent of data block `batch`. */
typedef struct {
  int64_t count;
  int32_t batch; /* -1: none */
} Extent;

/* How many elements: count, times the batch extents of up to two data blocks. */
typedef struct {
  int64_t count;
  int32_t batch[2]; /* -1: none; a second one only behind a first */
} Size;

/* offset + sum over the stage's axes of stride * index, in elements (or a plain number for X_INDEX). A stride may be a
 * multiple of a batch extent, where a batch axis lies inside another one: then batch[i] >= 0. */
typedef struct {
  int64_t offset;
  int64_t stride[KERNEL_MAX_AXES];
  int8_t batch[KERNEL_MAX_AXES]; /* -1: none */
  uint8_t grouped;               /* 1 + an axis: its index i gives stride * (i - i mod 16) + i mod 16, as of a buffer whose
                                    examples lie in groups, 16 of them side by side; 0: none */
} Affine;

#define EXAMPLE_GROUP 16

/* value(Affine) must lie in 0 .. (limit - 1) * step and be a multiple of step; else the load gives 0. */
typedef struct {
  Affine index;
  int64_t limit, step;
} Guard;

typedef struct {
  uint16_t operand; /* of the kernel */
  Affine at;        /* element index from the operand's start; with guards: already divided by their steps */
  uint8_t guard_count;
  uint8_t zero_count; /* guards behind these: where one fails, the value is 0 in memory too, and a product of it may be passed over */
  Guard *guards;    /* in the schedule's arena */
  int32_t gather;   /* 1 + an I32 expression: a gathered coordinate, known to be in range; 0: none */
  int64_t gather_stride; /* elements for each step of it */
  bool pairs;            /* of a stage in pairs (emit/bf16.c): two neighbours at once, 32 bits */
} Load;

/* Scalar expressions, evaluated at every point of the nest (lanes are the emitter's concern). In order: arguments
 * come before users. */
typedef enum {
  X_LOAD,   /* a: load number */
  X_CONST,  /* value */
  X_PRIM,   /* prim, of a, b, c: an elementwise primitive, SELECT and CAST among them */
  X_INDEX,  /* affine: I32 */
  X_RANDOM, /* a: kind, b: site; affine: the element's number (64-bit), prims.def RANDOM */
  X_NUMBER, /* a: StepNumber; F64, from the frame */
  X_EXTENT, /* a: batch symbol; F64, from the frame */
  X_ACC,    /* the combined value; in `after` alone. a: 1 for the second one: what COMBINE_ARGMAX found, COMBINE_ADD's sum of before2; else -1 */
  X_RESULT  /* a: an earlier stage of this kernel whose par axes are the block axes alone; b: the expression of that stage
               (in its `after`) whose value at this block index is meant: a scalar kept in a register */
} ExprKind;

typedef struct {
  uint8_t kind;
  uint8_t type; /* Type */
  uint16_t prim;
  int32_t a, b, c; /* expressions of the stage, or as the kind says */
  double value;
  Affine affine;   /* X_INDEX, X_RANDOM */
  Span span;
} Expr;

typedef enum {
  COMBINE_NONE,   /* a map: nothing is reduced */
  COMBINE_ADD,    /* of `before`, and of `before2` where that is given */
  COMBINE_FMA,    /* acc = fma(before, before2, acc): a contraction; always in order */
  COMBINE_MUL,
  COMBINE_MAX,
  COMBINE_MIN,    /* max and min pass NaN on */
  COMBINE_ARGMAX, /* of `before`; the first of equals; NaN counts as largest; I32 */
  COMBINE_SCATTER /* nothing is carried: the stores lie within the nest and add to memory, red axes in order */
} Combine;

typedef enum {
  ORDER_SEQUENCE, /* red axes in order, outer to inner, one chain for each output: the lanes (if any) are outputs. Where a
                     contraction is in pairs (stage_in_pairs), the innermost one goes 1, 0, 3, 2, 5, 4, .. */
  ORDER_LANES,    /* the innermost red axis runs in the logical lanes (16 for 4-byte, 8 for 8-byte types): element i of it
                     goes to lane i mod lanes, rows of lanes and outer red axes in order; then the tree 8+8, 4+4, 2+2, 1+1 */
  ORDER_GROUPS    /* the same with the outermost red axis in the lanes: for each lane its indices in order, inner axes in
                     order for each; then the tree */
} Order;

typedef struct {
  uint16_t operand;
  Affine at;
  int32_t value;   /* expression */
  bool before;     /* stored at every point of the whole nest, red axes included (a value kept on the way) */
  int32_t gather;  /* as of a load; the operand is read by a load of the same place, and added to */
  int64_t gather_stride;
} Store;

typedef struct {
  uint8_t par, red;              /* axes: par ones first; the kernel's block axes are the first of the par axes */
  Extent axes[KERNEL_MAX_AXES];
  int8_t lane;                   /* the axis in the lanes, or -1: a scalar stage */
  uint8_t combine, order;        /* Combine, Order */
  uint8_t acc_type;              /* Type of the accumulator */
  uint8_t chunks;                /* the first par axis counts so many parts of the first red axis, each of which is summed by itself;
                                    0: there are none */
  int32_t before, before2;       /* expressions of what is combined */
  Vec(Expr) exprs;               /* one list for before and after */
  Vec(Load) loads;
  Vec(Store) stores;
  /* Strategy of a contraction: chosen by the target, free of meaning. */
  int8_t row;                    /* the par axis whose indices are tile rows (broadcast operand), or -1 */
  int8_t row_outer;              /* another one, outside of row: rows are the pairs of both, in order; or -1 */
  uint8_t tile_rows, tile_vectors; /* tile: rows by logical vectors */
  bool pack;                     /* the lane operand is copied (transposed) panel by panel into scratch */
  bool swapped;                  /* before is the lane operand, before2 the row operand */
  const char *reason;            /* of the strategy, for the printed schedule */
  bool pairs;                    /* made where code is: a point of the innermost red axis is a pair of them (emit/bf16.c) */
} Stage;

/* Is it a contraction of BF16 whose products are summed in pairs of neighbours, the second first? It is what processors do
 * that have an instruction for it; others follow, so that their bits are the same but for denormals. */
static inline bool stage_in_pairs(const Stage *s) {
  if (s->combine != COMBINE_FMA || s->order != ORDER_SEQUENCE || !s->red || s->exprs.data[s->before].type != TYPE_BF16) return false;
  for (uint32_t i = 0; i < s->loads.count; i++)
    for (uint32_t g = 0; g < s->loads.data[i].guard_count; g++)
      if (s->loads.data[i].guards[g].index.stride[s->par + s->red - 1]) return false;
  return true;
}

/* Indices of the first red axis in each chunk, a last one aside: of n in all. */
static inline int64_t stage_chunk_unit(const Stage *s) { return s->order == ORDER_GROUPS ? EXAMPLE_GROUP : 1; }
static inline int64_t stage_chunk_size(const Stage *s, int64_t n) {
  const int64_t unit = stage_chunk_unit(s) * s->chunks;
  return (n + unit - 1) / unit * stage_chunk_unit(s);
}

/* The axis whose examples lie in groups in what the stage reads or writes, or -1. */
static inline int stage_grouped_axis(const Stage *s) {
  for (uint32_t i = 0; i < s->loads.count; i++)
    if (s->loads.data[i].at.grouped) return s->loads.data[i].at.grouped - 1;
  for (uint32_t i = 0; i < s->stores.count; i++)
    if (s->stores.data[i].at.grouped) return s->stores.data[i].at.grouped - 1;
  return -1;
}

typedef enum {
  CUT_NONE,  /* thread 0 alone */
  CUT_FIRST, /* shares of the first block (or par) axis: from = extent * thread / threads rounded to `cut_unit` */
  CUT_ROWS   /* of a contraction by tiles: shares of all its rows, those of row and row_outer for each index of the other par
                axes but the lanes'; cut_unit divides the count of the former */
} Cut;

typedef struct {
  uint8_t block;           /* how many leading par axes all stages share, with equal extents: loops around all stages, the
                              first of them cut. 0: either one stage, cut by its first par axis, or several stages
                              (scalar ones mostly), each run whole and in order by thread 0 (CUT_NONE) */
  Vec(Stage) stages;
  uint16_t operand_count;
  uint8_t operand_type[KERNEL_MAX_OPERANDS]; /* Type */
  bool operand_written[KERNEL_MAX_OPERANDS];
  Extent cut_extent;       /* the axis that is cut, or how many rows there are */
  uint8_t cut;             /* Cut */
  uint32_t cut_unit;
  const char *cut_reason;  /* for the printed schedule */
  int64_t scratch;         /* bytes a thread (packing, rows) */
  uint64_t hash;           /* of all above but spans: equal kernels are one function */
  const char *name;        /* "k3_contract" */
  double flops[4];         /* 2 * multiply-adds of contractions: sum of flops[i] * the batch extent to the power i */
} Kernel;

/* How far an operand lies from its buffer's start: elements a round, and in odd rounds, of each loop around the launch. */
typedef struct {
  int64_t round[LOOP_MAX_DEPTH], odd[LOOP_MAX_DEPTH];
} Advance;

/* Launches whose loop it is, and loops in it, run `length` times; their phases are first .. last. */
typedef struct {
  int64_t length;
  uint32_t parent;      /* the loop around it, numbered from 1; 0: none */
  uint32_t depth;       /* 0: no loop around it */
  uint32_t first_phase, last_phase;
  bool waits;           /* all threads meet behind each round; else each keeps to its own share of all rounds */
  int32_t going;        /* a carry's buffer: once all of it is false, no further round changes anything. -1: none */
  Span span;
} ScheduleLoop;

typedef struct {
  uint32_t kernel;
  uint32_t phase;
  uint32_t loop;           /* the innermost loop, numbered from 1; 0: none */
  const Advance *advance;  /* one an operand; NULL: none moves */
  uint32_t operands[KERNEL_MAX_OPERANDS]; /* buffers */
  Span span;               /* a place of the user's source that it comes from */
  const char *title;       /* "contract dense_1 ..." for dumps and profiles */
} Launch;

typedef struct {
  uint8_t type;            /* Type */
  bool is_slot;
  uint32_t slot;
  Shape shape;             /* of the graph; in memory batch axes lie outermost, whatever their places in the shape */
  Size size;               /* elements */
  uint32_t first_phase, last_phase;
  int64_t offset;          /* in the arena: bytes for every batch symbol's share: see plan.c */
  int64_t offset_batch[GRADC_MAX_BATCHES];
  uint8_t pair;            /* 0; of a value with two batch axes: 1 + its pair (abi.h) */
  int64_t offset_pair;     /* in the pair's region */
  Node node;
} Buffer;

/* Do they lie on each other? The offsets are known. */
static inline bool buffers_share(const Buffer *a, const Buffer *b) {
  if (a->is_slot || b->is_slot) return a->is_slot && b->is_slot && a->slot == b->slot;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++)
    if (a->offset_batch[i] != b->offset_batch[i]) return false;
  return a->offset == b->offset && a->pair == b->pair && a->offset_pair == b->offset_pair;
}

typedef struct Schedule {
  Session *session;
  const Graph *graph;
  Vec(Kernel) kernels;     /* distinct ones */
  Vec(Launch) launches;    /* sorted by phase; within a phase in order */
  Vec(ScheduleLoop) loops;
  uint32_t phases;
  Vec(Buffer) buffers;
  Vec(uint32_t) output_buffer; /* one an output of the graph: the buffer of its node (UINT32_MAX for OUT_SLOT) */
  Vec(uint32_t) weight_buffer;
  int64_t arena;           /* bytes = arena + sum of arena_batch[i] * capacity of batch i, rounded up to 16, + of arena_pair *
                              products of two of these */
  int64_t arena_batch[GRADC_MAX_BATCHES];
  int64_t arena_pair[GRADC_MAX_PAIRS];
  int64_t scratch;
  Arena memory;
} Schedule;

#endif
