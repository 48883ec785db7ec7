/* source.h: the texts that are compiled, and places in them. All files share one space of positions, so that a
 * span is eight bytes and knows its file. */
#ifndef GRADC_SOURCE_H
#define GRADC_SOURCE_H
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "intern.h"

typedef struct {
  uint32_t begin, end; /* positions; begin == end == 0: no place */
} Span;

typedef struct {
  const char *path; /* as the user wrote it */
  const char *text; /* NUL-terminated */
  uint32_t base;    /* position of its first byte; positions start at 1 */
  uint32_t length;  /* bytes, without the NUL */
  uint32_t *lines;  /* offset of each line's first byte */
  uint32_t line_count;
  bool embedded;    /* the standard library: part of the binary */
  bool is_file;     /* read from one */
} Source;

typedef struct {
  Arena arena;
  Source **files;
  uint32_t count, capacity;
} Sources;

typedef struct {
  const Source *source; /* NULL: no place */
  uint32_t line, column; /* from 1; columns count bytes, as editors' byte columns do */
} Place;

/* Adds a copy of `text`. Files over 64 MiB, or a space over 4 GiB, are refused with NULL. */
Source *source_add(Sources *sources, const char *path, const char *text, size_t length, bool embedded);
/* Reads a file whole, once: the same path is the same text as long as the sources live. NULL with *why filled from the system's error (or "is a directory", "is larger than 64 MiB"). */
Source *source_read(Sources *sources, const char *path, const char **why);
/* The file, line and column of a position. */
Place source_place(const Sources *sources, uint32_t position);
/* The text of a line, without its newline. */
const char *source_line(const Source *source, uint32_t line, uint32_t *length);
static inline bool span_is_none(Span span) { return !span.begin && !span.end; }
static inline Span span_join(Span a, Span b) {
  if (span_is_none(a)) return b;
  if (span_is_none(b)) return a;
  return (Span){a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}
void sources_free(Sources *sources);

#endif
