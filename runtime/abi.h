/* abi.h: what emitted code and the runtime agree on. A compiled model is a GradcProgram: tables and a few entries.
 * The compiler fills one in memory (JIT) or emits one as constant data (shared object); the runtime makes instances
 * of it. Emitted code calls nothing by name: all that it needs comes through the frame. */
#ifndef GRADC_ABI_H
#define GRADC_ABI_H
#include <stdint.h>

#define GRADC_ABI_VERSION 3
#define GRADC_MAX_RANK 8
#define GRADC_MAX_BATCHES 4 /* data blocks in one model, each with its own batch extent */
#define GRADC_BATCH_ROUND 16 /* buffers are sized for the batch rounded up to this */

/* Pairs of data blocks: values with a number for each pair of examples grow with the product of two capacities. Numbered
 * (0, 0), (0, 1), .., (0, 3), (1, 1), (1, 2), .., (3, 3). */
#define GRADC_MAX_PAIRS (GRADC_MAX_BATCHES * (GRADC_MAX_BATCHES + 1) / 2)
static inline int gradc_pair(int a, int b) {
  const int low = a < b ? a : b, high = a < b ? b : a;
  return low * GRADC_MAX_BATCHES - low * (low - 1) / 2 + high - low;
}

typedef enum { GRADC_F32, GRADC_F64, GRADC_I32, GRADC_BOOL /* one byte, 0 or 1 */ } GradcType;

/* What a slot is to the user. Slots are the tensors that live outside a step. */
typedef enum {
  GRADC_SLOT_INPUT,     /* filled by the caller for each step */
  GRADC_SLOT_TARGET,    /* the same, absent when predicting */
  GRADC_SLOT_PARAM,     /* trained */
  GRADC_SLOT_STATE,     /* a layer's state (running means) */
  GRADC_SLOT_OPTIMIZER, /* an optimiser's state */
  GRADC_SLOT_METRIC     /* a metric's state */
} GradcSlotKind;

typedef struct {
  const char *name;   /* dotted: "dense_1.W"; an optimiser's state: "dense_1.W/m" */
  uint8_t kind;       /* GradcSlotKind */
  uint8_t type;       /* GradcType */
  uint8_t rank;
  int32_t classes;    /* label[k]: k; else 0 */
  int64_t dims[GRADC_MAX_RANK]; /* extents; -1 - i stands for the batch extent of data block i */
} GradcSlot;

/* Where a value lies. Entry code takes addresses from frame->buffers[index of the row]. */
typedef enum { GRADC_AT_SLOT, GRADC_AT_ARENA } GradcWhere;
typedef struct {
  uint8_t where;
  uint8_t pair;                          /* GRADC_AT_ARENA: 0, or 1 + the pair whose product of capacities it grows with */
  uint8_t entry;                         /* then: the entry that it belongs to */
  uint32_t slot;                         /* GRADC_AT_SLOT */
  int64_t offset;                        /* GRADC_AT_ARENA: bytes = offset + sum over i of offset_batch[i] * capacity i */
  int64_t offset_batch[GRADC_MAX_BATCHES];
  int64_t offset_pair;                   /* + what the entry has of the pairs before this one + this * the pair's product */
} GradcBuffer;

typedef enum { GRADC_OUT_OUTPUT, GRADC_OUT_LOSS, GRADC_OUT_METRIC, GRADC_OUT_VALUE } GradcOutputKind;
/* What an entry leaves for the caller. A loss and a metric are two scalars of type F64: `buffer` holds the weighted sum, `weight` the
 * sum of the weights; the value is their quotient, and both add up over the batches of a data set. A metric
 * without `weight` has added up by itself: it is its own value, and may be an array of F64 of known extents. */
typedef struct {
  const char *name;
  uint8_t kind;   /* GradcOutputKind */
  uint8_t type, rank;
  int64_t dims[GRADC_MAX_RANK];
  uint32_t buffer, weight; /* rows of the buffer table; weight: UINT32_MAX where there is none */
} GradcOutput;

typedef struct GradcFrame {
  void *const *buffers;                /* one address a row of the program's buffer table */
  int64_t batch[GRADC_MAX_BATCHES];    /* examples in this step, at most the capacity */
  double step, steps, epoch;           /* step counts from 1; of schedules and bias corrections */
  uint64_t seed;
  uint64_t draw;                       /* the step that random draws use: step while training, 0 in evaluation */
  void (*barrier)(struct GradcFrame *frame, int64_t thread); /* returns when all threads have come */
  void *team;                          /* the runtime's own */
  /* Of code that is emitted to be profiled, and of no other: called by each thread before each launch, with its number, and
   * after the last one, with their count. */
  void (*stamp)(struct GradcFrame *frame, int64_t thread, int64_t launch);
  void *stamps;                        /* the profiler's own */
} GradcFrame;

/* Every thread of the team calls the entry once with its number. `scratch`: the thread's own memory, 64-byte aligned. */
typedef void (*GradcEntry)(GradcFrame *frame, int64_t thread, int64_t threads, void *scratch);

typedef enum {
  GRADC_ENTRY_INIT,
  GRADC_ENTRY_TRAIN,
  GRADC_ENTRY_EVAL,
  GRADC_ENTRY_GRADIENT, /* training's losses, and their sum's gradient by each parameter and float input, named as these */
  GRADC_ENTRY_COUNT
} GradcEntryKind;
typedef struct {
  GradcEntry run;                /* NULL: not compiled (yet): what follows holds all the same, so that instances have room for it */
  int64_t arena;                 /* bytes = arena + sum of arena_batch[i] * capacity i + of arena_pair * products of two */
  int64_t arena_batch[GRADC_MAX_BATCHES];
  int64_t arena_pair[GRADC_MAX_PAIRS];
  int64_t scratch;               /* bytes a thread */
  uint32_t max_threads;          /* more gain nothing; 1: too small to share */
  uint32_t output_count;
  const GradcOutput *outputs;
} GradcEntryInfo;

/* What a slot begins with in place of what INIT gives it: weights that the program carries. */
typedef struct {
  uint32_t slot;
  int64_t bytes;                 /* the slot's */
  const void *data;
} GradcStart;

typedef struct { const char *key, *value; } GradcPair;

/* What a processor must have to run the code. */
typedef enum {
  GRADC_LEVEL_ANY, GRADC_LEVEL_X86_V2, GRADC_LEVEL_X86_V3, GRADC_LEVEL_X86_V4,
  GRADC_LEVEL_X86_V4_BF16 /* and AVX512-BF16 */
} GradcLevel;

typedef struct GradcProgram {
  uint32_t abi;                  /* GRADC_ABI_VERSION: stays the first field in every version */
  uint32_t level;                /* GradcLevel */
  const char *name;              /* the model's */
  uint64_t hash;                 /* of names, shapes and types of the slots: a checkpoint belongs to it */
  uint32_t slot_count, buffer_count;
  const GradcSlot *slots;
  const GradcBuffer *buffers;
  GradcEntryInfo entries[GRADC_ENTRY_COUNT];
  int64_t batch[GRADC_MAX_BATCHES]; /* the capacity of each data block where the caller names none; 0: he must */
  uint32_t start_count, pair_count;
  const GradcStart *starts;
  const GradcPair *pairs;        /* the metadata of those weights: keys "data.*" hold statistics of the training data */
} GradcProgram;

#endif
