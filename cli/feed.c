/* feed.c: see feed.h. Rows that follow each other in memory are handed over in place; others are gathered. */
#include "feed.h"

#include <stdlib.h>
#include <string.h>

#include "rng.h"

typedef struct {
  const DataFeed *from;
  uint32_t block;
  size_t bytes;   /* of an example */
  char *buffer;   /* [capacity, bytes], or NULL where nothing is gathered */
} Feed;

struct Feeder {
  FeedOptions options;
  uint32_t blocks, count;
  Feed *feeds;    /* by slot */
  const DataPart *parts[GRADC_MAX_BATCHES];
  int64_t *orders[GRADC_MAX_BATCHES];
  int64_t starts[GRADC_MAX_BATCHES];
  int64_t epoch, steps;
};

static int by_slot(const void *a, const void *b) {
  const uint32_t x = ((const Feed *)a)->from->want->slot, y = ((const Feed *)b)->from->want->slot;
  return (x > y) - (x < y);
}

static size_t size_of(Type type) { return type == TYPE_F64 ? 8 : type == TYPE_BOOL ? 1 : 4; }

static bool gathers(const Feeder *f, const DataFeed *feed) {
  return feed->values && (f->options.shuffle || (f->options.augment && feed->augment.count));
}

static void add_block(Feeder *f, const Dataset *data, uint32_t block) {
  const DataPart *part = f->parts[block] = f->options.held ? &data->held : &data->train;
  for (uint32_t i = 0; i < data->feed_count; i++) {
    Feed *feed = &f->feeds[f->count++];
    *feed = (Feed){.from = &part->feeds[i], .block = block};
    feed->bytes = (size_t)feed->from->elements * size_of(feed->from->want->type);
    if (gathers(f, feed->from)) feed->buffer = mem_alloc((size_t)f->options.capacity[block] * feed->bytes);
  }
  const int64_t batch = f->options.capacity[block], steps = part->rows / batch + (part->rows % batch != 0);
  if (steps > f->steps) f->steps = steps;
  if (f->options.shuffle) f->orders[block] = mem_alloc((size_t)(part->rows + 1) * sizeof **f->orders);
}

Feeder *feeder_new(Dataset *const *data, uint32_t blocks, const FeedOptions *options) {
  Feeder *f = mem_zero(1, sizeof *f);
  f->options = *options;
  f->blocks = blocks;
  f->epoch = -1;
  uint32_t total = 0;
  for (uint32_t b = 0; b < blocks; b++) total += data[b]->feed_count;
  f->feeds = mem_zero(total + 1, sizeof *f->feeds);
  for (uint32_t b = 0; b < blocks; b++) add_block(f, data[b], b);
  qsort(f->feeds, f->count, sizeof *f->feeds, by_slot);
  return f;
}

void feeder_free(Feeder *f) {
  if (!f) return;
  for (uint32_t i = 0; i < f->count; i++) free(f->feeds[i].buffer);
  for (uint32_t b = 0; b < f->blocks; b++) free(f->orders[b]);
  free(f->feeds);
  free(f);
}

int64_t feeder_steps(const Feeder *f) { return f->steps; }

static void begin_epoch(Feeder *f, int64_t epoch) {
  if (epoch == f->epoch) return;
  f->epoch = epoch;
  for (uint32_t b = 0; b < f->blocks; b++) {
    const DataPart *part = f->parts[b];
    const uint64_t seed = f->options.seed + b * 0x9e3779b97f4a7c15ull; /* blocks have orders of their own */
    if (f->options.shuffle) gradc_permutation(seed, (uint32_t)epoch, f->orders[b], part->rows);
    GradcRng rng = gradc_rng(seed, (uint32_t)epoch, GRADC_SITE_DATA);
    f->starts[b] = f->options.augment && part->slide ? (int64_t)gradc_rng_below(&rng, (uint64_t)part->slide) : 0;
  }
}

static const char *row_of(const Feeder *f, const Feed *feed, int64_t row) {
  const DataPart *part = f->parts[feed->block];
  if (!part->stride) return (const char *)feed->from->values + (size_t)row * feed->bytes;
  const int64_t at = f->starts[feed->block] + row * part->stride;
  return (const char *)feed->from->values + (size_t)at * size_of(feed->from->want->type);
}

/* Windows lie at distances of their own, which is the example's length but where lengths in a block differ. */
static bool contiguous(const Feeder *f, const Feed *feed) {
  const int64_t stride = f->parts[feed->block]->stride;
  return !stride || stride == feed->from->elements;
}

static const void *fill(Feeder *f, Feed *feed, uint32_t number, int64_t epoch, int64_t first, int64_t rows) {
  if (!feed->from->values) return NULL;
  const bool augment = f->options.augment && feed->from->augment.count;
  if (!f->options.shuffle && !augment && contiguous(f, feed)) return row_of(f, feed, first);
  if (!feed->buffer) feed->buffer = mem_alloc((size_t)f->options.capacity[feed->block] * feed->bytes);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t row = f->options.shuffle ? f->orders[feed->block][first + i] : first + i;
    char *to = feed->buffer + (size_t)i * feed->bytes;
    memcpy(to, row_of(f, feed, row), feed->bytes);
    if (augment) augment_row(feed->from, number, f->options.seed, epoch, row, to);
  }
  return feed->buffer;
}

void feeder_batch(Feeder *f, int64_t epoch, int64_t step, const void **inputs, int64_t *batch, int64_t *first) {
  begin_epoch(f, epoch);
  int64_t starts[GRADC_MAX_BATCHES] = {0};
  for (uint32_t b = 0; b < f->blocks; b++) {
    const int64_t capacity = f->options.capacity[b], rows = f->parts[b]->rows;
    const int64_t steps = rows / capacity + (rows % capacity != 0);
    starts[b] = step % steps * capacity;
    batch[b] = rows - starts[b] < capacity ? rows - starts[b] : capacity;
    if (first) first[b] = starts[b];
  }
  for (uint32_t i = 0; i < f->count; i++) {
    Feed *feed = &f->feeds[i];
    inputs[i] = fill(f, feed, i, epoch, starts[feed->block], batch[feed->block]);
  }
}
