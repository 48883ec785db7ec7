/* replay.c: runs a fuzz entry once on each file of the folders named, where there is no libFuzzer to do it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path) {
  struct stat info;
  if (stat(path, &info) || !S_ISREG(info.st_mode)) return 0;
  FILE *file = fopen(path, "rb");
  uint8_t *data = malloc((size_t)info.st_size + 1);
  if (!file || !data || fread(data, 1, (size_t)info.st_size, file) != (size_t)info.st_size) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(1);
  }
  fclose(file);
  /* The entry's own block, so that a sanitizer sees a byte too many. */
  uint8_t *input = malloc(info.st_size ? (size_t)info.st_size : 1);
  for (off_t i = 0; i < info.st_size; i++) input[i] = data[i];
  free(data);
  LLVMFuzzerTestOneInput(input, (size_t)info.st_size);
  free(input);
  return 1;
}

int main(int count, char **folders) {
  int inputs = 0;
  for (int i = 1; i < count; i++) {
    DIR *dir = opendir(folders[i]);
    if (!dir) {
      fprintf(stderr, "no folder %s\n", folders[i]);
      return 1;
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", folders[i], entry->d_name);
      inputs += run_file(path);
    }
    closedir(dir);
  }
  printf("%d inputs\n", inputs);
  return inputs ? 0 : 1;
}
