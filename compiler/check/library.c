/* library.c: which definitions of the library a program may name. Reading all of them took longer than everything else that a
 * cached model needs before its first step; the few that are named, and those that these name, are read alone. */
#include "library.h"

#include <string.h>

#include "embedded.h"
#include "map.h"
#include "mem.h"
#include "parse.h"

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/* The length of the word at `text`, primes included; 0 where there is none. */
static uint32_t word_length(const char *text) {
  uint32_t n = 0;
  if (!is_letter(*text)) return 0;
  while (is_letter(text[n]) || (text[n] >= '0' && text[n] <= '9')) n++;
  while (text[n] == '\'') n++;
  return n;
}

static const char *next_line(const char *line) {
  const char *end = strchr(line, '\n');
  return end ? end + 1 : line + strlen(line);
}

/* A definition begins where a line begins with a word, and takes with it the comment right above. */
static void index_file(Library *l, uint32_t file) {
  const char *text = embedded_files[file].text, *comment = NULL;
  for (const char *line = text; *line; line = next_line(line)) {
    const uint32_t kind = word_length(line);
    if (*line == '#' && !comment) comment = line;
    if (kind) {
      const char *name = line + kind + strspn(line + kind, " ");
      const uint32_t begin = (uint32_t)((comment ? comment : line) - text);
      if (l->items.count && l->items.data[l->items.count - 1].file == file) l->items.data[l->items.count - 1].end = begin;
      const LibraryItem item = {.name = name, .length = word_length(name), .file = file, .begin = begin,
                                .end = (uint32_t)embedded_files[file].length};
      const uint64_t key = hash_bytes(name, item.length);
      if (map_get(&l->by_name, key, UINT32_MAX) == UINT32_MAX) map_set(&l->by_name, key, l->items.count);
      vec_push(&l->items, item);
    }
    if (*line != '#') comment = NULL;
  }
}

void library_open(Library *l) {
  *l = (Library){0};
  for (uint32_t i = 0; embedded_files[i].path; i++) index_file(l, i);
}

void library_close(Library *l) {
  vec_free(&l->items);
  map_free(&l->by_name);
}

/* Marks what the words of a text name. Words of comments count too: what is marked needlessly does no harm. */
void library_want(Library *l, const char *text, size_t length) {
  for (const char *end = text + length; text < end;) {
    const uint32_t n = word_length(text);
    const uint32_t i = n ? map_get(&l->by_name, hash_bytes(text, n), UINT32_MAX) : UINT32_MAX;
    text += n ? n : 1;
    if (i == UINT32_MAX || l->items.data[i].wanted) continue;
    LibraryItem *item = &l->items.data[i];
    item->wanted = true;
    library_want(l, embedded_files[item->file].text + item->begin, item->end - item->begin);
  }
}

void library_read(Library *l, Session *s, Tree *tree, void (*take)(void *context, Ast file), void *context) {
  const Source *source = NULL;
  uint32_t file = UINT32_MAX;
  for (uint32_t i = 0; i < l->items.count; i++) {
    const LibraryItem *item = &l->items.data[i];
    if (!item->wanted) continue;
    const EmbeddedFile *f = &embedded_files[item->file];
    if (file != item->file) source = source_add(&s->sources, f->path, f->text, f->length, true);
    file = item->file;
    take(context, parse_part(s, tree, source, item->begin, item->end));
  }
}
