/* tile.h: a contraction in the making: its tile functions (tile.c) and the walk over rows and columns (walk.c). */
#ifndef GRADC_TILE_H
#define GRADC_TILE_H
#include "nest.h"

/* The functions of one kind of column chunk. */
typedef struct {
  unsigned vectors;
  V tail;       /* lanes of the last vector: a constant; NULL: all */
  bool dynamic; /* they are a parameter */
  V function;
  V pack; /* fills its panel by evaluation, or NULL */
} Variant;

typedef struct {
  Nest *n; /* of the kernel: outer axes open */
  TileShape shape;
  uint64_t used;  /* operands */
  int32_t *given; /* expressions whose values the functions are given */
  uint32_t given_count;
  Variant variants[8];
  unsigned variant_count;
  V blocks;    /* lays out a panel in transposed blocks, of any width; or NULL */
  V pack_rows; /* lays out the row operand, or NULL */
  V cut_from, cut_to;   /* of all rows (of the open chunk), where they are cut */
  V rows_from, rows_to; /* those that this thread has at the open axes; NULL: all */
  V from, to;           /* the part of the first red axis, where parts are outside of all else; or NULL */
} Tile;

/* What a call of a tile function is about: at the lane chunk that is open. */
typedef struct {
  V row, rows;        /* the first, and how many count */
  V panel, row_panel; /* the operands laid out, or NULL */
  V from, to;         /* the part of the first red axis, NULL: all */
  V sums;             /* where sums are left between parts, or NULL */
} TileCall;

Tile tile_open(Nest *n);
void tile_call(Tile *t, const TileCall *call);
/* Computes what is behind the sums of `rows` rows from `row` on, left at `sums`. */
void tile_finish(Tile *t, V row, V rows, V sums);
/* Fills the lane operand's panel of the open lane chunk. */
void tile_fill(Tile *t, V panel, V from, V to);
/* Lays out the row operand for `rows` rows from `row` on: [tile][k][rows of a tile]. `from`, `to`: as of a call. */
void tile_fill_rows(Tile *t, V panel, V row, V rows, V from, V to);
/* Elements of one panel of the lane operand with `vectors` vectors. */
int64_t tile_panel_size(const Tile *t, unsigned vectors);
/* Elements of the sums that a panel of so many vectors leaves between parts. */
int64_t tile_sums_size(const Tile *t, unsigned vectors);
LLVMTypeRef tile_panel_type(const Tile *t, int32_t expr);

#endif
