/* replay.c: runs every file of a folder through a fuzz entry, with the entry's own checks: the kept corpus as a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return perror(path), 1;
  uint8_t *bytes = NULL;
  size_t size = 0, got = 1;
  while (got) {
    bytes = realloc(bytes, size + 4096);
    if (!bytes) return fclose(file), 1;
    got = fread(bytes + size, 1, 4096, file), size += got;
  }
  fclose(file);
  LLVMFuzzerTestOneInput(bytes, size);
  free(bytes);
  return 0;
}

int main(int argc, char **argv) {
  DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
  if (!folder) return fprintf(stderr, "usage: %s FOLDER\n", argv[0]), 2;
  int runs = 0, failed = 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    char path[4096];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
    failed += run_file(path), runs++;
  }
  closedir(folder);
  printf("%d files\n", runs);
  return failed || !runs;
}
