/* Wrong use of a model from the shared object: each is refused with a status and a sentence, and changes nothing. Then an
 * instance in the caller's buffer allocates nothing after its start; and two threads use two instances. Usage: hostile
 * CHECKPOINT [FOLDER of damaged files] */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digits.h"

#define CHECK(ok) ((ok) ? (void)0 : (fprintf(stderr, "failed: line %d: %s\n", __LINE__, #ok), exit(1)))

/* Allocations are counted here: the program's own functions take the C library's place. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
static _Atomic long allocations;
void *malloc(size_t size) {
  allocations++;
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  allocations++;
  return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
  allocations++;
  return __libc_realloc(old, size);
}

int posix_memalign(void **memory, size_t align, size_t size) {
  allocations++;
  return (*memory = __libc_memalign(align, size)) ? 0 : 12;
}

static float pixels[33 * 64];
static int32_t digits[33];

static void arguments(void) {
  GradcModel *model = NULL;
  GradcMessage message;
  GradcTensor tensor;
  GradcProgram old = *digits_program();
  int64_t batch = 32, zero = 0, many = 33, huge = INT64_MAX / 2;
  const void *inputs[DIGITS_FEEDS] = {pixels, digits};
  CHECK(gradc_create(NULL, 1, NULL, 1, &model, &message) == GRADC_ERROR_ARGUMENT && !model && *message.text);
  CHECK(gradc_create(digits_program(), 1, NULL, 1, NULL, NULL) == GRADC_ERROR_ARGUMENT);
  CHECK(gradc_create(digits_program(), 1, &zero, 1, &model, &message) == GRADC_ERROR_ARGUMENT);
  CHECK(gradc_create(digits_program(), 1, &huge, 1, &model, &message) == GRADC_ERROR_MEMORY);
  CHECK(gradc_create(digits_program(), 1, NULL, -1, &model, &message) == GRADC_ERROR_ARGUMENT);
  old.abi = GRADC_ABI_VERSION - 1;
  CHECK(gradc_create(&old, 1, NULL, 1, &model, &message) == GRADC_ERROR_PROGRAM && strstr(message.text, "compile it again"));
  CHECK(digits_create(1, 0, 1, &model, &message) == GRADC_OK);
  CHECK(gradc_train_step(model, inputs, &many) == GRADC_ERROR_ARGUMENT && strstr(gradc_message(model), "1 to 32"));
  CHECK(gradc_gradient(NULL, inputs, &batch) == GRADC_ERROR_ARGUMENT);
  CHECK(gradc_gradient(model, NULL, &batch) == GRADC_ERROR_ARGUMENT);
  digits[3] = 10;
  CHECK(gradc_gradient(model, inputs, &batch) == GRADC_ERROR_ARGUMENT);
  digits[3] = 3;
  inputs[0] = (char *)pixels + 1;
  CHECK(gradc_eval(model, inputs, &batch) == GRADC_ERROR_ARGUMENT);
  inputs[0] = NULL;
  CHECK(gradc_eval(model, inputs, &batch) == GRADC_ERROR_ARGUMENT);
  CHECK(gradc_tensor(model, "no such", &tensor) == GRADC_ERROR_ARGUMENT && *gradc_message(model));
  CHECK(gradc_set(model, "dense_3.b", pixels, 41) == GRADC_ERROR_ARGUMENT);
  CHECK(gradc_progress(model)->step == 0);
  gradc_free(model);
}

/* A NaN among the inputs crashes nothing, and nothing of it stays behind. */
static void not_a_number(void) {
  GradcModel *model;
  const void *inputs[] = {pixels, digits};
  const GradcFigure *figures;
  int64_t batch = 4;
  double value[3];
  CHECK(digits_create(1, 4, 1, &model, NULL) == GRADC_OK);
  for (int i = 0; i < 3; i++) {
    pixels[70] = i == 1 ? (float)strtod("nan", NULL) : 0;
    CHECK(gradc_eval(model, inputs, &batch) == GRADC_OK && gradc_figures(model, &figures) == 2);
    value[i] = figures[0].value;
    CHECK(gradc_gradient(model, inputs, &batch) == GRADC_OK);
  }
  CHECK(value[0] == value[2] && value[0] > 0 && value[0] != value[1]);
  gradc_free(model);
}

/* The gradient by a bias against differences of the loss, at a step's own draws; and it changes nothing. */
static void gradient(void) {
  GradcModel *model;
  GradcTensor slope, bias;
  const void *inputs[] = {pixels, digits};
  const GradcFigure *figures;
  int64_t batch = 32;
  double loss[2];
  CHECK(digits_create(3, 0, 1, &model, NULL) == GRADC_OK);
  CHECK(gradc_gradient(model, inputs, &batch) == GRADC_OK && gradc_output(model, "dense_3.b", &slope) == GRADC_OK);
  CHECK(slope.rank == 1 && slope.dims[0] == 10);
  const float found = ((float *)slope.data)[2];
  CHECK(gradc_tensor(model, "dense_3.b", &bias) == GRADC_OK);
  for (int i = 0; i < 2; i++) {
    ((float *)bias.data)[2] = i ? -0.01f : 0.01f;
    CHECK(gradc_gradient(model, inputs, &batch) == GRADC_OK && gradc_figures(model, &figures) == 1);
    loss[i] = figures[0].value;
  }
  const double expected = (loss[0] - loss[1]) / 0.02;
  CHECK(expected - found < 1e-3 && found - expected < 1e-3 && (found > 1e-3f || found < -1e-3f));
  CHECK(gradc_progress(model)->step == 0);
  gradc_free(model);
}

static _Alignas(64) char memory[DIGITS_MEMORY];

static void callers_memory(void) {
  GradcModel *model, *other;
  GradcMemory size;
  GradcMessage message;
  const void *inputs[] = {pixels, digits};
  int64_t batch = 32;
  GradcTensor a, b;
  CHECK(gradc_memory(digits_program(), NULL, 1, &size, &message) == GRADC_OK && size.total == DIGITS_MEMORY);
  CHECK(gradc_create_at(digits_program(), 5, NULL, 1, memory, DIGITS_MEMORY - 1, &model, &message) == GRADC_ERROR_ARGUMENT);
  CHECK(digits_create(5, 0, 1, &other, &message) == GRADC_OK);
  const long before = allocations;
  CHECK(before > 0 || getenv("VALGRIND")); /* which puts its own in place of these */
  CHECK(gradc_create_at(digits_program(), 5, NULL, 1, memory, DIGITS_MEMORY, &model, &message) == GRADC_OK);
  for (int i = 0; i < 20; i++) {
    CHECK(gradc_train_step(model, inputs, &batch) == GRADC_OK && gradc_eval(model, inputs, &batch) == GRADC_OK);
    CHECK(gradc_gradient(model, inputs, &batch) == GRADC_OK && gradc_output(model, "dense_1.W", &a) == GRADC_OK);
  }
  CHECK(allocations == before);
  for (int i = 0; i < 20; i++) CHECK(gradc_train_step(other, inputs, &batch) == GRADC_OK);
  CHECK(gradc_tensor(model, "dense_1.W", &a) == GRADC_OK && gradc_tensor(other, "dense_1.W", &b) == GRADC_OK);
  CHECK(!memcmp(a.data, b.data, (size_t)a.bytes));
  gradc_free(model), gradc_free(other);
}

static void *train(void *seed) {
  GradcModel *model;
  GradcTensor tensor;
  const void *inputs[] = {pixels, digits};
  int64_t batch = 32;
  double *sum = malloc(sizeof *sum);
  CHECK(digits_create((uint64_t)(uintptr_t)seed, 0, 2, &model, NULL) == GRADC_OK);
  for (int i = 0; i < 200; i++) CHECK(gradc_train_step(model, inputs, &batch) == GRADC_OK);
  CHECK(gradc_tensor(model, "dense_1.W", &tensor) == GRADC_OK);
  *sum = 0;
  for (int64_t i = 0; i < tensor.count; i++) *sum += (double)((float *)tensor.data)[i] * (double)(i + 1);
  gradc_free(model);
  return sum;
}

static void two_threads(void) {
  pthread_t threads[2];
  void *alone[2], *beside[2];
  for (int i = 0; i < 2; i++) alone[i] = train((void *)(uintptr_t)(i + 1));
  for (int i = 0; i < 2; i++) CHECK(!pthread_create(&threads[i], NULL, train, (void *)(uintptr_t)(i + 1)));
  for (int i = 0; i < 2; i++) CHECK(!pthread_join(threads[i], &beside[i]));
  for (int i = 0; i < 2; i++) CHECK(*(double *)alone[i] == *(double *)beside[i]);
  CHECK(*(double *)alone[0] != *(double *)alone[1]);
  for (int i = 0; i < 2; i++) free(alone[i]), free(beside[i]);
}

/* Each file given must be refused with a sentence that names it, by both ways to load, and leave the model as it was. */
static void files(int count, char **paths) {
  GradcModel *model;
  GradcTensor tensor;
  CHECK(digits_create(1, 0, 1, &model, NULL) == GRADC_OK);
  CHECK(gradc_tensor(model, "dense_1.W", &tensor) == GRADC_OK);
  float *before = malloc((size_t)tensor.bytes);
  memcpy(before, tensor.data, (size_t)tensor.bytes);
  for (int i = 0; i < count; i++) {
    for (int way = 0; way < 2; way++) {
      const GradcStatus status = way ? gradc_load_weights(model, paths[i]) : gradc_load(model, paths[i]);
      if (status == GRADC_OK || strlen(gradc_message(model)) < 20) fprintf(stderr, "accepted: %s\n", paths[i]), exit(1);
      if (!way) printf("%s\n", gradc_message(model));
    }
    CHECK(!memcmp(before, tensor.data, (size_t)tensor.bytes));
  }
  free(before);
  gradc_free(model);
}

static uint64_t drawn = 1;
static uint64_t draw(uint64_t below) {
  drawn = drawn * 6364136223846793005u + 1442695040888963407u;
  return (drawn >> 33) % below;
}

/* Thousands of checkpoints with some bytes of the header changed, left out or doubled: read whole, or refused with a sentence and
 * nothing changed. At least half must be refused, or the changes do nothing. */
static void fuzz(const char *path) {
  enum { ROUNDS = 2000 };
  GradcModel *model;
  GradcTensor tensor;
  static unsigned char good[1 << 20], bad[1 << 20];
  FILE *f = fopen(path, "rb");
  const size_t size = f ? fread(good, 1, sizeof good - 64, f) : 0;
  CHECK(size > 1000 && !fclose(f));
  const uint64_t header = 8 + good[0] + 256u * good[1];
  int refused = 0;
  CHECK(digits_create(1, 0, 1, &model, NULL) == GRADC_OK && gradc_load(model, path) == GRADC_OK);
  CHECK(gradc_tensor(model, "dense_1.W", &tensor) == GRADC_OK);
  float *before = malloc((size_t)tensor.bytes);
  memcpy(before, tensor.data, (size_t)tensor.bytes);
  for (int i = 0; i < ROUNDS; i++) {
    size_t n = size;
    memcpy(bad, good, size);
    for (uint64_t k = draw(3) + 1; k-- > 0;) {
      static const char marks[] = "{}[]\",:09-eE\\u";
      const uint64_t at = draw(header), kind = draw(5), length = draw(8) + 1;
      if (kind == 0) bad[at] = (unsigned char)draw(256);
      else if (kind == 1) bad[at] ^= (unsigned char)(1u << draw(8));
      else if (kind == 2) bad[at] = (unsigned char)marks[draw(sizeof marks - 1)];
      else if (kind == 3) memmove(bad + at, bad + at + length, n - at - length), n -= length;
      else memmove(bad + at + length, bad + at, n - at), n += length;
    }
    f = fopen("fuzzed.safetensors", "wb");
    CHECK(f && fwrite(bad, 1, n, f) == n && !fclose(f));
    for (int way = 0; way < 2; way++) {
      const GradcStatus status = way ? gradc_load_weights(model, "fuzzed.safetensors") : gradc_load(model, "fuzzed.safetensors");
      refused += status != GRADC_OK;
      if (status == GRADC_OK) CHECK(gradc_load(model, path) == GRADC_OK);
      else CHECK(strlen(gradc_message(model)) > 20);
      CHECK(!memcmp(before, tensor.data, (size_t)tensor.bytes));
    }
  }
  CHECK(refused > ROUNDS);
  free(before);
  gradc_free(model);
}

int main(int count, char **words) {
  for (int i = 0; i < 32 * 64; i++) pixels[i] = (float)(i * 7 % 17) / 16;
  for (int i = 0; i < 32; i++) digits[i] = i % 10;
  arguments();
  not_a_number();
  gradient();
  callers_memory();
  two_threads();
  GradcModel *model;
  CHECK(count > 1 && digits_create(1, 0, 1, &model, NULL) == GRADC_OK);
  CHECK(gradc_load(model, words[1]) == GRADC_OK && gradc_progress(model)->step > 0);
  CHECK(gradc_load_weights(model, words[1]) == GRADC_OK);
  gradc_free(model);
  files(count - 2, words + 2);
  if (!getenv("VALGRIND")) fuzz(words[1]);
  return 0;
}
