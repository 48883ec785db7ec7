/* Threads that each use their own instances of one shared object, at once: made, trained, read, saved, loaded, refused, freed. Under
 * ThreadSanitizer nothing is shared, and each reaches what it reaches alone. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digits.h"

#define CHECK(ok) ((ok) ? (void)0 : (fprintf(stderr, "failed: line %d: %s\n", __LINE__, #ok), exit(1)))
enum { THREADS = 3, WEIGHTS = 64 * 64 };
static float pixels[32 * 64];
static int32_t digits[32];

typedef struct {
  int number;
  float weights[WEIGHTS];
} Course;

static void *run(void *data) {
  Course *c = data;
  char path[40];
  snprintf(path, sizeof path, "threads_%d.safetensors", c->number);
  for (int round = 0; round < 3; round++) {
    GradcModel *model;
    GradcMessage message;
    GradcTensor tensor;
    const GradcFigure *figures;
    const void *inputs[DIGITS_FEEDS] = {pixels, digits};
    int64_t batch = 32, many = 33;
    CHECK(digits_create((uint64_t)c->number, 0, 2, &model, &message) == GRADC_OK);
    for (int i = 0; i < 20; i++) CHECK(gradc_train_step(model, inputs, &batch) == GRADC_OK);
    CHECK(gradc_figures(model, &figures) == 2 && figures[0].value > 0);
    CHECK(gradc_train_step(model, inputs, &many) == GRADC_ERROR_ARGUMENT && strstr(gradc_message(model), "33 examples"));
    CHECK(gradc_gradient(model, inputs, &batch) == GRADC_OK && gradc_eval(model, inputs, &batch) == GRADC_OK);
    CHECK(gradc_save(model, path, NULL, 0) == GRADC_OK && gradc_reset(model, 99) == GRADC_OK && gradc_load(model, path) == GRADC_OK);
    CHECK(gradc_tensor(model, "dense_1.W", &tensor) == GRADC_OK && tensor.bytes == (int64_t)sizeof c->weights);
    if (round) CHECK(!memcmp(c->weights, tensor.data, sizeof c->weights));
    memcpy(c->weights, tensor.data, sizeof c->weights);
    gradc_free(model);
  }
  remove(path);
  return NULL;
}

int main(void) {
  static Course beside[THREADS], alone[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < 32 * 64; i++) pixels[i] = (float)(i * 7 % 17) / 16;
  for (int i = 0; i < 32; i++) digits[i] = i % 10;
  for (int i = 0; i < THREADS; i++) {
    beside[i].number = alone[i].number = i + 1;
    CHECK(!pthread_create(&threads[i], NULL, run, &beside[i]));
  }
  for (int i = 0; i < THREADS; i++) CHECK(!pthread_join(threads[i], NULL));
  for (int i = 0; i < THREADS; i++) {
    run(&alone[i]);
    CHECK(!memcmp(alone[i].weights, beside[i].weights, sizeof alone[i].weights));
  }
  CHECK(memcmp(alone[0].weights, alone[1].weights, sizeof alone[0].weights));
  puts("each reaches what it reaches alone");
  return 0;
}
