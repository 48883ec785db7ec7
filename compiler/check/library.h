/* library.h: an index of the standard library's definitions, and the reading of those that are wanted. */
#ifndef GRADC_LIBRARY_H
#define GRADC_LIBRARY_H
#include "ast.h"
#include "diag.h"
#include "map.h"

typedef struct {
  const char *name; /* within the embedded text: `length` bytes */
  uint32_t length, file;
  uint32_t begin, end; /* bytes of the file, its comment included */
  bool wanted;
} LibraryItem;

typedef struct {
  Vec(LibraryItem) items; /* all definitions, in the order of the files */
  Map by_name;            /* hash_bytes of the name -> index of the first that has it */
} Library;

void library_open(Library *library);
void library_close(Library *library);
/* Every definition that a word of the text may name is wanted, and what its own text names. */
void library_want(Library *library, const char *text, size_t length);
/* Parses the wanted ones, in the order of `items`: `take` is given a FILE node for each. */
void library_read(Library *library, Session *s, Tree *tree, void (*take)(void *context, Ast file), void *context);

#endif
