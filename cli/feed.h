/* feed.h: rows of data sets as the batches of a step. What a batch holds follows from seed, epoch and position alone, so a
 * training that is resumed sees the batches that it would have seen. */
#ifndef GRADC_FEED_H
#define GRADC_FEED_H
#include "abi.h"
#include "dataset.h"

typedef struct Feeder Feeder;

typedef struct {
  bool held;        /* the held-out part, not the training part */
  bool shuffle;     /* a new order in each epoch */
  bool augment;     /* flip, crop, noise; a new start of texts in each epoch */
  uint64_t seed;
  int64_t capacity[GRADC_MAX_BATCHES]; /* rows a step, of each block */
} FeedOptions;

/* The data sets must outlive the feeder. */
Feeder *feeder_new(Dataset *const *data, uint32_t blocks, const FeedOptions *options);
void feeder_free(Feeder *feeder); /* NULL is allowed */
/* Steps of an epoch: those of the block that needs most; shorter blocks begin anew. The last step of a block may be
 * smaller. 0: nothing to feed. */
int64_t feeder_steps(const Feeder *feeder);
/* The batch of a step of an epoch: `inputs` has one array a feed in the order of their slots (as gradc_train_step takes
 * them), valid until the next call; NULL for absent targets. `batch` and, unless NULL, `first` are one a block: the rows of
 * this step, and the number of its first row in the part (which is the row itself when not shuffled). */
void feeder_batch(Feeder *feeder, int64_t epoch, int64_t step, const void **inputs, int64_t *batch, int64_t *first);

/* augment.c: one example of `feed`, changed in place. The draw is (seed, epoch, row, number of the feed). */
void augment_row(const DataFeed *feed, uint32_t number, uint64_t seed, int64_t epoch, int64_t row, void *values);

#endif
