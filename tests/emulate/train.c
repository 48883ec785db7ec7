/* Trains mixed.nn, built as a static library for a processor, and compares every tensor with the checkpoint of `gradc train
 * --no-shuffle` on the same rows, bit for bit. REAL is float, or double where the model was built so. Usage: train DIGITS.csv CHECKPOINT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mixed.h"

enum { PIXELS = 64, MOST = 400, BATCH = 19, STEPS = 6 };
static REAL pixels[MOST][PIXELS];
static int32_t digits[MOST];

static void check(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "failed: %s\n", what);
  exit(1);
}

/* A header line, then 64 pixels and a label a row. */
static void read_data(const char *path) {
  FILE *f = fopen(path, "r");
  check(f != NULL, path);
  while (fgetc(f) != '\n') {}
  for (int row = 0; row < BATCH * STEPS; row++) {
    for (int i = 0; i < PIXELS; i++) {
      double value;
      check(fscanf(f, "%lf,", &value) == 1, "pixel");
      pixels[row][i] = (REAL)(value / 16);
    }
    check(fscanf(f, "%d", &digits[row]) == 1, "label");
  }
  fclose(f);
}

static void train(GradcModel *model) {
  GradcProgress *progress = gradc_progress(model);
  progress->steps = STEPS;
  for (int step = 0; step < STEPS; step++) {
    const void *inputs[MIXED_FEEDS];
    const int64_t batch = BATCH;
    inputs[MIXED_FEED_PIXELS] = pixels[step * BATCH];
    inputs[MIXED_FEED_DIGIT] = &digits[step * BATCH];
    check(gradc_train_step(model, inputs, &batch) == GRADC_OK, gradc_message(model));
  }
}

static int compare(GradcModel *model, const char *path) {
  GradcFile *file;
  GradcMessage message;
  check(gradc_file_open(path, &file, &message) == GRADC_OK, message.text);
  const int64_t count = gradc_file_count(file);
  int differ = 0;
  check(count > 30, "parameters, states and the optimiser's states");
  for (int64_t i = 0; i < count; i++) {
    const GradcFileTensor theirs = gradc_file_tensor(file, i);
    GradcTensor ours;
    check(gradc_tensor(model, theirs.name, &ours) == GRADC_OK, gradc_message(model));
    if (ours.bytes == theirs.bytes && !memcmp(ours.data, theirs.data, (size_t)ours.bytes)) continue;
    printf("differs: %s\n", theirs.name);
    differ++;
  }
  printf("%d tensors, %d differ\n", (int)count, differ);
  gradc_file_close(file);
  return differ > 0;
}

int main(int count, char **words) {
  check(count > 2, "usage: train DIGITS.csv CHECKPOINT");
  GradcModel *model;
  GradcMessage message;
  const int64_t capacity = BATCH;
  read_data(words[1]);
  check(gradc_create(mixed_program(), 7, &capacity, 1, &model, &message) == GRADC_OK, message.text);
  train(model);
  const int differ = compare(model, words[2]);
  gradc_free(model);
  return differ;
}
