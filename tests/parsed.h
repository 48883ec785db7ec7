/* parsed.h: a text parsed in a session of its own, and what holds of every tree. */
#ifndef GRADC_TEST_PARSED_H
#define GRADC_TEST_PARSED_H
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "parse.h"
#include "render.h"

typedef struct {
  Session session;
  Tree tree;
  const Source *source;
  Ast file;
} Parsed;

static inline Parsed parse(const char *text, size_t length) {
  Parsed p = {0};
  p.source = source_add(&p.session.sources, "m.nn", text, length, false);
  p.file = parse_source(&p.session, &p.tree, p.source);
  return p;
}

static inline void parsed_free(Parsed *p) {
  tree_free(&p->tree);
  session_free(&p->session);
}

static inline char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("cannot read %s", path);
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  char *text = calloc(*length + 1, 1);
  assert_int_equal(fread(text, 1, *length, file), *length);
  fclose(file);
  return text;
}

static inline int compare_paths(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The files of a folder that end in `ending`, sorted. */
static inline char **list_files(const char *folder, const char *ending, size_t *count) {
  DIR *dir = opendir(folder);
  if (!dir) fail_msg("no folder %s", folder);
  char **paths = NULL;
  *count = 0;
  for (const struct dirent *entry; (entry = readdir(dir));) {
    const char *dot = strrchr(entry->d_name, '.');
    if (!dot || strcmp(dot, ending)) continue;
    paths = realloc(paths, (*count + 1) * sizeof *paths);
    paths[*count] = malloc(strlen(folder) + strlen(entry->d_name) + 2);
    sprintf(paths[(*count)++], "%s/%s", folder, entry->d_name);
  }
  closedir(dir);
  if (*count) qsort(paths, *count, sizeof *paths, compare_paths);
  return paths;
}

static inline void free_files(char **paths, size_t count) {
  for (size_t i = 0; i < count; i++) free(paths[i]);
  free(paths);
}

/* What holds of every tree: FILE is the root; without an error nothing is an ERROR node; a node lies within its parent;
 * no tree is deeper than AST_DEPTH; the children are those of the kind. */
static inline void check_node(const Parsed *p, Ast a, Span outer, uint32_t depth) {
  const AstNode *node = ast_node(&p->tree, a);
  assert_true(depth <= AST_DEPTH + 2);
  assert_true(node->span.begin >= outer.begin && node->span.end <= outer.end && node->span.begin <= node->span.end);
  if (!p->session.errors) assert_int_not_equal(node->kind, AST_ERROR);
  if (node->kind != AST_LIST) assert_int_equal(node->count, ast_arity(node->kind));
  for (uint32_t i = 0; i < node->count; i++) {
    const Ast child = ast_child(&p->tree, a, i);
    assert_true(child.id < a.id);
    if (child.id) check_node(p, child, node->span, depth + 1);
  }
}

static inline void check_tree(const Parsed *p) {
  assert_int_equal(ast_kind(&p->tree, p->file), AST_FILE);
  check_node(p, p->file, (Span){p->source->base, p->source->base + p->source->length}, 0);
  for (const Diag *d = p->session.diags; d; d = d->next) assert_true(!span_is_none(d->span));
}

#endif
