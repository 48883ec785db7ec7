/* scope.c: which definitions a file sees: its own, its imports', and the library's behind them. */
#include <string.h>

#include "builtins.h"
#include "check.h"
#include "library.h"
#include "near.h"
#include "parse.h"
#include "warnings.h"

enum { LIBRARY = 0, MAIN = 1, IMPORT_LIMIT = 256 };

typedef struct {
  Session *s;
  Tree *tree;
  Scope *scope;
  Vec(Ast) trees; /* one a file, for its imports */
  Vec(const char *) paths;
} Reader;

static bool is_definition(AstKind kind) {
  return kind == AST_CONST || kind == AST_FN || kind == AST_LAYER || kind == AST_METRIC || kind == AST_INIT ||
         kind == AST_SCHEDULE || kind == AST_OPTIMIZER || kind == AST_MODEL;
}

/* The file's own definitions; each name once. */
static void add_definitions(Reader *r, uint32_t file, Ast root, Name qualifier) {
  const Ast items = ast_child(r->tree, root, FILE_items);
  for (uint32_t i = 0; i < ast_count(r->tree, items); i++) {
    const Ast item = ast_child(r->tree, items, i);
    const AstNode *node = ast_node(r->tree, item);
    if (!is_definition((AstKind)node->kind)) continue;
    Map *names = &r->scope->files.data[file].by_name;
    const uint32_t old = map_get(names, node->name.id, SCOPE_NONE);
    if (old != SCOPE_NONE) {
      Diag *d = diag_error(r->s, "defined-twice", node->name_span, "`%s` is defined a second time",
                           name_text(&r->s->names, node->name));
      diag_note(r->s, d, ast_node(r->tree, r->scope->definitions.data[old])->name_span, "the first definition");
      continue;
    }
    map_set(names, node->name.id, r->scope->definitions.count);
    vec_push(&r->scope->definitions, item);
    vec_push(&r->scope->qualifiers, qualifier);
  }
}

static uint32_t add_file(Reader *r, const Source *source, Ast root, const char *path, Name qualifier) {
  vec_push(&r->scope->files, ((FileScope){.source = source}));
  vec_push(&r->trees, root);
  vec_push(&r->paths, path);
  const uint32_t file = r->scope->files.count - 1;
  if (root.id) add_definitions(r, file, root, qualifier);
  return file;
}

static const char *beside(Reader *r, const char *path, const char *other) {
  const char *slash = strrchr(path, '/');
  if (*other == '/' || !slash) return arena_text(&r->s->arena, other, strlen(other));
  return arena_printf(&r->s->arena, "%.*s/%s", (int)(slash - path), path, other);
}

static uint32_t read_import(Reader *r, const AstNode *node, const char *path, Name qualifier) {
  for (uint32_t i = MAIN; i < r->paths.count; i++) {
    if (!strcmp(r->paths.data[i], path)) return i;
  }
  const char *why;
  Source *source = source_read(&r->s->sources, path, &why);
  if (!source) {
    diag_error(r->s, "no-file", node->span, "cannot read %s: %s", path, why);
    return SCOPE_NONE;
  }
  if (r->scope->files.count >= IMPORT_LIMIT) {
    diag_error(r->s, "too-many-files", node->span, "more than %d imported files", IMPORT_LIMIT);
    return SCOPE_NONE;
  }
  warnings_check_comments(r->s, source);
  const uint32_t errors = r->s->errors;
  const Ast root = parse_source(r->s, r->tree, source);
  if (r->s->errors > errors) r->scope->incomplete = true;
  return add_file(r, source, root, path, qualifier);
}

static void read_imports(Reader *r, uint32_t file) {
  const Ast items = ast_child(r->tree, r->trees.data[file], FILE_items);
  for (uint32_t i = 0; i < ast_count(r->tree, items); i++) {
    const AstNode node = *ast_node(r->tree, ast_child(r->tree, items, i)); /* a copy: parsing moves the nodes */
    if (node.kind != AST_IMPORT) continue;
    const uint32_t other = read_import(r, &node, beside(r, r->paths.data[file], node.text), node.name);
    if (other == SCOPE_NONE) {
      r->scope->incomplete = true;
      continue;
    }
    FileScope *scope = &r->scope->files.data[file];
    if (node.name.id) {
      vec_push(&scope->spaces, node.name);
      vec_push(&scope->space_files, other);
    } else {
      vec_push(&scope->imports, other);
    }
  }
}

static const FileScope *file_of(const Session *s, const Scope *scope, Span at, uint32_t *index) {
  const Place place = source_place(&s->sources, at.begin);
  *index = MAIN;
  if (place.source && place.source->embedded) *index = LIBRARY;
  for (uint32_t i = MAIN; i < scope->files.count; i++) {
    if (place.source && scope->files.data[i].source == place.source) *index = i;
  }
  return &scope->files.data[*index];
}

/* Two imports of one file that define the same name. */
static void check_clashes(Reader *r, uint32_t file) {
  const FileScope *scope = &r->scope->files.data[file];
  for (uint32_t i = 0; i < scope->imports.count; i++) {
    for (uint32_t d = 0; d < r->scope->definitions.count; d++) {
      const Ast def = r->scope->definitions.data[d];
      const AstNode *node = ast_node(r->tree, def);
      if (map_get(&r->scope->files.data[scope->imports.data[i]].by_name, node->name.id, SCOPE_NONE) != d) continue;
      uint32_t other = map_get(&scope->by_name, node->name.id, SCOPE_NONE);
      for (uint32_t k = 0; k < i && other == SCOPE_NONE; k++)
        other = map_get(&r->scope->files.data[scope->imports.data[k]].by_name, node->name.id, SCOPE_NONE);
      if (other == SCOPE_NONE || other == d) continue;
      Diag *diag =
          diag_error(r->s, "import-clash", node->name_span, "`%s` is also defined by a file imported beside this one",
                     name_text(&r->s->names, node->name));
      diag_note(r->s, diag, ast_node(r->tree, r->scope->definitions.data[other])->name_span, "the other definition");
      diag_hint(r->s, diag, "import one of them `as` a name");
    }
  }
}

static void take_library(void *context, Ast root) { add_definitions(context, LIBRARY, root, (Name){0}); }

/* What the files read so far and `words` name. */
static void read_library(Reader *r, const char *const *words, uint32_t count) {
  Library library;
  library_open(&library);
  for (uint32_t i = MAIN; i < r->scope->files.count; i++) {
    const Source *source = r->scope->files.data[i].source;
    if (source) library_want(&library, source->text, source->length);
  }
  for (uint32_t i = 0; i < count; i++) library_want(&library, words[i], strlen(words[i]));
  const uint32_t errors = r->s->errors;
  r->scope->library = r->scope->definitions.count;
  library_read(&library, r->s, r->tree, take_library, r);
  if (r->s->errors > errors) r->scope->incomplete = true;
  library_close(&library);
}

void scope_build(Session *s, Tree *tree, Ast file, const char *path, const char *const *words, uint32_t count, Scope *scope) {
  Reader r = {.s = s, .tree = tree, .scope = scope};
  vec_push(&scope->files, ((FileScope){0})); /* the library's, filled last */
  vec_push(&r.trees, ((Ast){0}));
  vec_push(&r.paths, "");
  const Place here = source_place(&s->sources, ast_node(tree, file)->span.begin);
  add_file(&r, here.source, file, path, (Name){0});
  for (uint32_t i = MAIN; i < scope->files.count; i++) read_imports(&r, i);
  for (uint32_t i = MAIN; i < scope->files.count; i++) check_clashes(&r, i);
  read_library(&r, words, count);
  for (uint32_t d = 0; d < scope->definitions.count; d++) {
    const Name name = ast_node(tree, scope->definitions.data[d])->name;
    if (!scope->qualifiers.data[d].id && map_get(&scope->by_name, name.id, SCOPE_NONE) == SCOPE_NONE)
      map_set(&scope->by_name, name.id, d);
  }
  vec_free(&r.trees);
  vec_free(&r.paths);
}

void scope_free(Scope *scope) {
  for (uint32_t i = 0; i < scope->files.count; i++) {
    FileScope *f = &scope->files.data[i];
    map_free(&f->by_name);
    vec_free(&f->spaces);
    vec_free(&f->space_files);
    vec_free(&f->imports);
  }
  vec_free(&scope->files);
  vec_free(&scope->definitions);
  vec_free(&scope->qualifiers);
  map_free(&scope->by_name);
}

uint32_t scope_find(const Session *s, const Scope *scope, Name name, Span at) {
  uint32_t index;
  const FileScope *file = file_of(s, scope, at, &index);
  uint32_t found = map_get(&file->by_name, name.id, SCOPE_NONE);
  for (uint32_t i = 0; i < file->imports.count && found == SCOPE_NONE; i++)
    found = map_get(&scope->files.data[file->imports.data[i]].by_name, name.id, SCOPE_NONE);
  return found != SCOPE_NONE ? found : map_get(&scope->files.data[LIBRARY].by_name, name.id, SCOPE_NONE);
}

bool scope_is_space(const Session *s, const Scope *scope, Name name, Span at) {
  uint32_t index;
  const FileScope *file = file_of(s, scope, at, &index);
  for (uint32_t i = 0; i < file->spaces.count; i++) {
    if (name_is(file->spaces.data[i], name)) return true;
  }
  return false;
}

uint32_t scope_find_in(const Session *s, const Scope *scope, Name space, Name name, Span at) {
  uint32_t index;
  const FileScope *file = file_of(s, scope, at, &index);
  for (uint32_t i = 0; i < file->spaces.count; i++) {
    if (name_is(file->spaces.data[i], space))
      return map_get(&scope->files.data[file->space_files.data[i]].by_name, name.id, SCOPE_NONE);
  }
  return SCOPE_NONE;
}

void scope_suggest(Session *s, const Tree *tree, const Scope *scope, Diag *d, Name name, const char *const *more,
                   uint32_t count) {
  const char *text = name_text(&s->names, name);
  const char *alias = builtin_alias(text);
  if (alias) {
    diag_hint(s, d, "it is called `%s` here", alias);
    return;
  }
  Vec(const char *) names = {0};
  for (uint32_t i = 0; i < count; i++) vec_push(&names, more[i]);
  for (uint32_t i = 0; i < scope->library; i++)
    vec_push(&names, name_text(&s->names, ast_node(tree, scope->definitions.data[i])->name));
  Library library;
  library_open(&library);
  for (uint32_t i = 0; i < library.items.count; i++)
    vec_push(&names, arena_text(&s->arena, library.items.data[i].name, library.items.data[i].length));
  library_close(&library);
  for (uint32_t i = 0; i < BUILTIN_COUNT; i++) vec_push(&names, builtin_get((BuiltinId)i)->name);
  for (uint32_t i = 0; builtin_word_at(i); i++) vec_push(&names, builtin_word_at(i));
  const char *near = near_find(text, names.data, names.count);
  if (near) diag_hint(s, d, "did you mean `%s`?", near);
  vec_free(&names);
}
