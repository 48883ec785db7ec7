/* Trains the digits network from the shared object or the static library, as `gradc train --no-shuffle` does, and compares
 * every tensor with that training's checkpoint, bit for bit. Also C++. Usage: train DIGITS.csv CHECKPOINT [MODEL.so] */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digits.h"

#define PIXELS 64
#define MOST 4000
#define BATCH 32
#define EPOCHS 2
static float pixels[MOST][PIXELS];
static int32_t digits[MOST];

/* The functions by dlopen where OPENED, else by linking. */
#ifdef OPENED
#define F(name) (*(__typeof__(&name))(dlsym(library, #name)))
static void *library;
#else
#define F(name) name
#endif

static void check(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "failed: %s\n", what);
  exit(1);
}

/* A header line, then 64 pixels and a label a row. */
static int read_data(const char *path) {
  FILE *f = fopen(path, "r");
  check(f != NULL, path);
  while (fgetc(f) != '\n') {}
  int rows = 0;
  for (;; rows++) {
    for (int i = 0; i < PIXELS; i++) {
      float value;
      if (fscanf(f, "%f,", &value) != 1) {
        fclose(f);
        return rows;
      }
      pixels[rows][i] = value / 16;
    }
    check(fscanf(f, "%d", &digits[rows]) == 1, "label");
  }
}

static void train(GradcModel *model, int rows) {
  const int64_t each = (rows + BATCH - 1) / BATCH;
  GradcProgress *progress = F(gradc_progress)(model);
  progress->steps = (double)(each * EPOCHS);
  for (int epoch = 0; epoch < EPOCHS; epoch++) {
    progress->epoch = epoch;
    F(gradc_reset_metrics)(model);
    for (int64_t at = 0; at < rows; at += BATCH) {
      const void *inputs[DIGITS_FEEDS];
      const int64_t batch = rows - at < BATCH ? rows - at : BATCH;
      inputs[DIGITS_FEED_PIXELS] = pixels[at];
      inputs[DIGITS_FEED_DIGIT] = &digits[at];
      check(F(gradc_train_step)(model, inputs, &batch) == GRADC_OK, F(gradc_message)(model));
    }
  }
}

/* Every tensor of the file has these bytes in the model. */
static void compare(GradcModel *model, const char *path) {
  GradcFile *file;
  GradcMessage message;
  check(F(gradc_file_open)(path, &file, &message) == GRADC_OK, message.text);
  const int64_t count = F(gradc_file_count)(file);
  check(count > 6, "parameters and the optimiser's states");
  for (int64_t i = 0; i < count; i++) {
    const GradcFileTensor theirs = F(gradc_file_tensor)(file, i);
    GradcTensor ours;
    check(F(gradc_tensor)(model, theirs.name, &ours) == GRADC_OK, F(gradc_message)(model));
    check(ours.bytes == theirs.bytes && !memcmp(ours.data, theirs.data, (size_t)ours.bytes), theirs.name);
  }
  printf("%d tensors, the same bits\n", (int)count);
  F(gradc_file_close)(file);
}

int main(int count, char **words) {
  check(count > 2, "usage: train DIGITS.csv CHECKPOINT [MODEL.so]");
#ifdef OPENED
  library = dlopen(words[3], RTLD_NOW | RTLD_LOCAL);
  check(library != NULL, count > 3 ? dlerror() : "a third argument");
  const GradcProgram *program = F(gradc_default_program)();
  check(program == F(digits_program)(), "one program");
#else
  const GradcProgram *program = digits_program();
#endif
  check(program->abi == GRADC_ABI_VERSION && F(gradc_abi_version)() == GRADC_ABI_VERSION, "the version of the interface");
  GradcModel *model;
  GradcMessage message;
  const int rows = read_data(words[1]);
  const int64_t capacity = BATCH;
  for (int threads = 1; threads <= 3; threads++) {
    check(F(gradc_create)(program, 7, &capacity, threads, &model, &message) == GRADC_OK, message.text);
    train(model, rows);
    compare(model, words[2]);
    F(gradc_free)(model);
  }
#ifdef OPENED
  check(!dlclose(library), "dlclose");
#endif
  return 0;
}
