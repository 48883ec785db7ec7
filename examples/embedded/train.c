/* Trains the digits network inside this program, then shows what it recognises. See README.md for how to build it. */
#include <stdio.h>

#include "digits.h"

enum { MOST = 2000, HELD = 300, BATCH = 32, EPOCHS = 10 };
static float pixels[MOST][64];
static int32_t digits[MOST];

static int read_rows(const char *path) {
  FILE *f = fopen(path, "r");
  int rows = 0;
  if (!f) return 0;
  while (fgetc(f) != '\n' && !feof(f)) {}
  for (; rows < MOST; rows++) {
    for (int i = 0; i < 64; i++) {
      if (fscanf(f, "%f,", &pixels[rows][i]) != 1) return fclose(f), rows;
      pixels[rows][i] /= 16; /* as the data block of the model scales them */
    }
    if (fscanf(f, "%d", &digits[rows]) != 1) break;
  }
  fclose(f);
  return rows;
}

/* Losses and metrics of the rows from `from` on. */
static double loss_of(GradcModel *model, int from, int rows, double *accuracy) {
  double sums[2] = {0, 0}, weights[2] = {0, 0};
  for (int at = from; at < rows; at += BATCH) {
    const GradcFigure *figures;
    const int64_t batch = rows - at < BATCH ? rows - at : BATCH;
    const void *inputs[DIGITS_FEEDS] = {pixels[at], &digits[at]};
    if (gradc_eval(model, inputs, &batch) != GRADC_OK) return -1;
    for (int i = 0, n = gradc_figures(model, &figures); i < n && i < 2; i++)
      sums[i] += figures[i].sum, weights[i] += figures[i].weight;
  }
  *accuracy = sums[1] / weights[1];
  return sums[0] / weights[0];
}

int main(int count, char **words) {
  GradcModel *model;
  GradcMessage message;
  const int rows = read_rows(count > 1 ? words[1] : "digits.csv"), train = rows - HELD;
  if (train < BATCH) return fprintf(stderr, "usage: train digits.csv\n"), 1;
  if (digits_create(1, BATCH, 0, &model, &message) != GRADC_OK) return fprintf(stderr, "%s\n", message.text), 1;
  gradc_progress(model)->steps = EPOCHS * (train / BATCH); /* the schedule's end */
  for (int epoch = 0; epoch < EPOCHS; epoch++) {
    gradc_progress(model)->epoch = epoch;
    for (int at = 0; at + BATCH <= train; at += BATCH) {
      const int64_t batch = BATCH;
      const void *inputs[DIGITS_FEEDS] = {pixels[at], &digits[at]};
      if (gradc_train_step(model, inputs, &batch) != GRADC_OK) return fprintf(stderr, "%s\n", gradc_message(model)), 1;
    }
    double accuracy = 0;
    const double loss = loss_of(model, train, rows, &accuracy);
    printf("epoch %2d: held-out loss %.4f, accuracy %.4f\n", epoch + 1, loss, accuracy);
  }
  const int64_t one = 1;
  const void *inputs[DIGITS_FEEDS] = {pixels[rows - 1], NULL}; /* no target: outputs alone */
  GradcTensor scores;
  if (gradc_eval(model, inputs, &one) != GRADC_OK || gradc_output(model, "scores", &scores) != GRADC_OK) return 1;
  int best = 0;
  for (int i = 1; i < 10; i++)
    if (((float *)scores.data)[i] > ((float *)scores.data)[best]) best = i;
  printf("the last row is a %d, and was recognised as a %d\n", digits[rows - 1], best);
  gradc_free(model);
  return 0;
}
