/* augment.c: what is done to examples in training only. An image is [.., height, width, channels], or [height, width]. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "rng.h"

typedef struct { int64_t height, width, channels; size_t size; } Image;

static Image image_of(const DataFeed *feed) {
  const Dims *d = &feed->want->shape;
  const size_t size = feed->want->type == TYPE_F64 ? 8 : 4;
  if (d->rank < 2) return (Image){1, feed->elements, 1, size};
  if (d->rank == 2) return (Image){d->dims[0], d->dims[1], 1, size};
  return (Image){d->dims[d->rank - 3], d->dims[d->rank - 2], d->dims[d->rank - 1], size};
}

static void flip(const Image *im, char *values) {
  const size_t pixel = (size_t)im->channels * im->size;
  char *spare = mem_alloc(pixel);
  for (int64_t y = 0; y < im->height; y++) {
    char *row = values + (size_t)(y * im->width) * pixel;
    for (int64_t x = 0; x < im->width / 2; x++) {
      char *left = row + (size_t)x * pixel, *right = row + (size_t)(im->width - 1 - x) * pixel;
      memcpy(spare, left, pixel);
      memcpy(left, right, pixel);
      memcpy(right, spare, pixel);
    }
  }
  free(spare);
}

/* Moved by (dy, dx), with zeros where nothing moves in: padding and cropping in one. */
static void shift(const Image *im, char *values, int64_t dy, int64_t dx) {
  const size_t pixel = (size_t)im->channels * im->size, all = (size_t)(im->height * im->width) * pixel;
  char *old = mem_alloc(all);
  memcpy(old, values, all);
  memset(values, 0, all);
  for (int64_t y = 0; y < im->height; y++) {
    for (int64_t x = 0; x < im->width; x++) {
      const int64_t fy = y + dy, fx = x + dx;
      if (fy < 0 || fx < 0 || fy >= im->height || fx >= im->width) continue;
      memcpy(values + (size_t)(y * im->width + x) * pixel, old + (size_t)(fy * im->width + fx) * pixel, pixel);
    }
  }
  free(old);
}

static void noise(const DataFeed *feed, double deviation, GradcRng *rng, void *values) {
  for (int64_t i = 0; i < feed->elements; i++) {
    const double u = 1 - gradc_rng_uniform(rng), v = gradc_rng_uniform(rng);
    const double z = deviation * sqrt(-2 * log(u)) * cos(2 * M_PI * v);
    if (feed->want->type == TYPE_F64) ((double *)values)[i] += z;
    else if (feed->want->type == TYPE_F32) ((float *)values)[i] += (float)z;
  }
}

void augment_row(const DataFeed *feed, uint32_t number, uint64_t seed, int64_t epoch, int64_t row, void *values) {
  GradcRng rng = gradc_rng(seed + (uint64_t)epoch * 0x9e3779b97f4a7c15ull, (uint32_t)row, GRADC_SITE_DATA - 16 - number % 128);
  const Image image = image_of(feed);
  for (uint32_t i = 0; i < feed->augment.count; i++) {
    const DataStep *step = feed->augment.data[i];
    if (!strcmp(step->text, "flip")) {
      if (gradc_rng_word(&rng) & 1) flip(&image, values);
    } else if (!strcmp(step->text, "crop")) {
      const uint64_t span = 2 * (uint64_t)step->length + 1;
      const int64_t dy = (int64_t)gradc_rng_below(&rng, span) - step->length, dx = (int64_t)gradc_rng_below(&rng, span) - step->length;
      shift(&image, values, image.height > 1 ? dy : 0, dx);
    } else {
      noise(feed, step->number, &rng, values);
    }
  }
}
