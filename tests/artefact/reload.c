/* Loads and unloads the shared object a thousand times, with an instance that takes a step each time: the memory that the
 * process holds stays as it was after the first hundred. Usage: reload MODEL.so */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "digits.h"

static long resident(void) {
  long total, held = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld %ld", &total, &held) != 2) exit(1);
  fclose(f);
  return held * sysconf(_SC_PAGESIZE);
}

#define F(name) ((__typeof__(&name))dlsym(library, #name))

int main(int count, char **words) {
  static float pixels[64];
  const int32_t digit = 3;
  const int64_t batch = 1;
  const void *inputs[] = {pixels, &digit};
  long after = 0;
  if (count < 2) return 2;
  for (int i = 0; i < 1000; i++) {
    GradcModel *model;
    void *library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    if (F(gradc_create)(F(digits_program)(), 1, &batch, 2, &model, NULL)) return 1;
    if (F(gradc_train_step)(model, inputs, &batch)) return 1;
    F(gradc_free)(model);
    if (dlclose(library) || dlopen(words[1], RTLD_NOW | RTLD_NOLOAD)) return fprintf(stderr, "it stays loaded\n"), 1;
    if (i == 100) after = resident();
  }
  const long more = resident() - after;
  printf("%ld bytes more after 900 loads\n", more);
  return more > 200000;
}
