/* layout.h: where everything of an instance lies in its one allocation. Internal.
 *
 *   instance | team | addresses of buffers | addresses of slots | feeds | rows | figures |
 *   parameters, states, optimiser states, metric states | metric states at the start | .. spare | zeros | arena | scratch a thread
 *
 * Every part and every slot begins at a multiple of 64. Offsets are from the beginning of the allocation. */
#ifndef GRADC_LAYOUT_H
#define GRADC_LAYOUT_H
#include <stdbool.h>
#include <stddef.h>
#include "status.h"

/* An input or a target. */
typedef struct {
  uint32_t slot;
  bool target, checked; /* checked: labels or truth values, looked at before a step */
} GradcFeed;

/* A row of the program's buffer table whose address changes: of a feed, or of a metric's state. */
typedef struct { uint32_t row, slot, feed; } GradcRow;

typedef struct {
  int64_t capacity[GRADC_MAX_BATCHES]; /* rounded up to GRADC_BATCH_ROUND */
  int batches, threads;
  int64_t feed_count, feed_rows, metric_rows, figure_count;
  int64_t team, buffers, slots, feeds, rows, figures, kept, metrics, start, spare, zeros, arena, scratch;
  int64_t kept_bytes;    /* of parameters, states and optimiser states, contiguous from `kept` */
  int64_t metric_bytes;  /* of one copy of the metrics' states */
  int64_t scratch_bytes; /* a thread */
  GradcMemory memory;
} GradcLayout;

/* Checks the program and the capacities and fills the layout; instance_bytes: of the fixed part. */
GradcStatus gradc_layout(const GradcProgram *program, const int64_t *capacity, int threads, int64_t instance_bytes,
                         GradcLayout *layout, GradcMessage *message);

/* Adds to *bytes what the entry's values for pairs of examples take, of the pairs whose number is below `pairs`; false where it
 * leaves 63 bits. */
bool gradc_add_pairs(const GradcEntryInfo *entry, const GradcLayout *layout, int pairs, int64_t *bytes);
/* The product of the capacities of a pair; false where it leaves 63 bits. */
bool gradc_pair_capacity(const GradcLayout *layout, int pair, int64_t *product);

/* Offsets of all slots that the instance keeps (others: -1), in order of kind, then of number. */
void gradc_layout_slots(const GradcProgram *program, const GradcLayout *layout, int64_t *offsets);

/* The elements and the bytes of a shape with batch axes at these extents; false where they leave 63 bits. */
bool gradc_shape_size(const int64_t *dims, int rank, GradcType type, const int64_t *batch, int64_t *count, int64_t *bytes);

static inline bool gradc_slot_fed(const GradcSlot *slot) {
  return slot->kind == GRADC_SLOT_INPUT || slot->kind == GRADC_SLOT_TARGET;
}
static inline bool gradc_slot_saved(const GradcSlot *slot) {
  return slot->kind == GRADC_SLOT_PARAM || slot->kind == GRADC_SLOT_STATE || slot->kind == GRADC_SLOT_OPTIMIZER;
}
static inline bool gradc_output_judges(const GradcOutput *output) {
  return output->kind == GRADC_OUT_LOSS || output->kind == GRADC_OUT_METRIC;
}

#endif
