/* source.c: see source.h. */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mem.h"

enum { FILE_LIMIT = 64 << 20 };

static void find_lines(Sources *sources, Source *source) {
  uint32_t count = 1;
  for (uint32_t i = 0; i < source->length; i++) count += source->text[i] == '\n';
  source->lines = ARENA_ARRAY(&sources->arena, uint32_t, count);
  source->line_count = count;
  for (uint32_t i = 0, line = 1; i < source->length; i++) {
    if (source->text[i] == '\n') source->lines[line++] = i + 1;
  }
}

Source *source_add(Sources *sources, const char *path, const char *text, size_t length, bool embedded) {
  const Source *last = sources->count ? sources->files[sources->count - 1] : NULL;
  /* One position lies between two files, so that the end of one is not the beginning of the next. */
  const uint64_t base = last ? (uint64_t)last->base + last->length + 1 : 1;
  if (length > FILE_LIMIT || base + length + 1 > UINT32_MAX) return NULL;
  Source *source = ARENA_NEW(&sources->arena, Source);
  *source = (Source){.path = arena_text(&sources->arena, path, strlen(path)),
                     .text = arena_text(&sources->arena, text, length),
                     .base = (uint32_t)base,
                     .length = (uint32_t)length,
                     .embedded = embedded};
  find_lines(sources, source);
  if (sources->count == sources->capacity) {
    sources->capacity = sources->capacity ? sources->capacity * 2 : 8;
    sources->files = mem_resize(sources->files, sources->capacity * sizeof(Source *));
  }
  return sources->files[sources->count++] = source;
}

/* The bytes of an open file, or NULL with *why. Pipes have no size to ask for, so the buffer grows. */
static char *read_all(FILE *file, size_t *length, const char **why) {
  size_t capacity = 1 << 14, used = 0;
  char *data = mem_alloc(capacity);
  for (;;) {
    errno = 0;
    const size_t got = fread(data + used, 1, capacity - used, file);
    used += got;
    if (ferror(file)) {
      *why = strerror(errno);
      break;
    }
    if (used > FILE_LIMIT) {
      *why = "is larger than 64 MiB";
      break;
    }
    if (feof(file)) {
      *length = used;
      return data;
    }
    if (used == capacity) data = mem_resize(data, capacity *= 2);
  }
  free(data);
  return NULL;
}

Source *source_read(Sources *sources, const char *path, const char **why) {
  for (uint32_t i = 0; i < sources->count; i++)
    if (sources->files[i]->is_file && !strcmp(sources->files[i]->path, path)) return sources->files[i];
  FILE *file = fopen(path, "rb");
  if (!file) {
    *why = strerror(errno);
    return NULL;
  }
  struct stat info;
  size_t length = 0;
  char *data = NULL;
  if (!fstat(fileno(file), &info) && S_ISDIR(info.st_mode))
    *why = "is a directory";
  else
    data = read_all(file, &length, why);
  fclose(file);
  if (!data) return NULL;
  Source *source = source_add(sources, path, data, length, false);
  if (source) source->is_file = true;
  else *why = "the files are larger than 4 GiB together";
  free(data);
  return source;
}

Place source_place(const Sources *sources, uint32_t position) {
  if (!position || !sources->count) return (Place){0};
  uint32_t low = 0, high = sources->count; /* files[low].base <= position < files[high].base */
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (sources->files[middle]->base <= position)
      low = middle;
    else
      high = middle;
  }
  const Source *source = sources->files[low];
  if (position > source->base + source->length) return (Place){0};
  const uint32_t offset = position - source->base;
  low = 0, high = source->line_count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (source->lines[middle] <= offset)
      low = middle;
    else
      high = middle;
  }
  return (Place){source, low + 1, offset - source->lines[low] + 1};
}

const char *source_line(const Source *source, uint32_t line, uint32_t *length) {
  *length = 0;
  if (!line || line > source->line_count) return "";
  const uint32_t begin = source->lines[line - 1];
  uint32_t end = line < source->line_count ? source->lines[line] - 1 : source->length;
  if (end > begin && source->text[end - 1] == '\r') end--;
  *length = end - begin;
  return source->text + begin;
}

void sources_free(Sources *sources) {
  arena_free(&sources->arena);
  free(sources->files);
  *sources = (Sources){0};
}
