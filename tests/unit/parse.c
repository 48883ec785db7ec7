/* The front end: texts to trees, and to messages. A case is a file in tests/golden/parse (tree) or in
 * tests/golden/errors-syntax (messages): the source, a line `----`, what is expected. UPDATE=1 rewrites the latter. */
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

static Parsed parse(const char *text, size_t length) {
  Parsed p = {0};
  p.source = source_add(&p.session.sources, "m.nn", text, length, false);
  p.file = parse_source(&p.session, &p.tree, p.source);
  return p;
}

static void parsed_free(Parsed *p) {
  tree_free(&p->tree);
  session_free(&p->session);
}

static char *read_file(const char *path, size_t *length) {
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

static int compare_paths(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The files of a folder that end in `ending`, sorted. */
static char **list_files(const char *folder, const char *ending, size_t *count) {
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

static void free_files(char **paths, size_t count) {
  for (size_t i = 0; i < count; i++) free(paths[i]);
  free(paths);
}

/* What holds of every tree: FILE is the root; without an error nothing is an ERROR node; a node lies within its parent;
 * no tree is deeper than AST_DEPTH; the children are those of the kind. */
static void check_node(const Parsed *p, Ast a, Span outer, uint32_t depth) {
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

static void check_tree(const Parsed *p) {
  assert_int_equal(ast_kind(&p->tree, p->file), AST_FILE);
  check_node(p, p->file, (Span){p->source->base, p->source->base + p->source->length}, 0);
  for (const Diag *d = p->session.diags; d; d = d->next) assert_true(!span_is_none(d->span));
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Parses anything; whatever it is, within a second for a text of a few kilobytes. */
static void check_any(const char *text, size_t length) {
  const double begin = seconds();
  Parsed p = parse(text, length);
  check_tree(&p);
  Text out = {0};
  render_text(&p.session, &out, false);
  assert_int_equal(out.length > 0, p.session.errors > 0);
  text_free(&out);
  parsed_free(&p);
  assert_true(seconds() - begin < 1);
}

static void test_samples(void **state) {
  (void)state;
  size_t count, length;
  char **paths = list_files(SOURCE_DIR "/examples/samples", ".nn", &count);
  assert_true(count >= 27);
  for (size_t i = 0; i < count; i++) {
    char *text = read_file(paths[i], &length);
    Parsed p = parse(text, length);
    Text out = {0};
    render_text(&p.session, &out, false);
    if (out.length) fail_msg("%s: %s", paths[i], text_get(&out));
    check_tree(&p);
    assert_true(ast_count(&p.tree, ast_child(&p.tree, p.file, FILE_items)) > 0);
    text_free(&out);
    parsed_free(&p);
    free(text);
  }
  free_files(paths, count);
}

static void run_case(const char *path, bool dump, bool update, int *failures) {
  size_t length;
  char *text = read_file(path, &length), *line = strstr(text, "\n----\n");
  if (!line) fail_msg("%s has no line ----", path);
  const size_t source = (size_t)(line - text) + 1;
  Parsed p = parse(text, source);
  Text out = {0};
  render_text(&p.session, &out, false);
  if (dump) ast_dump(&p.tree, p.file, &p.session.sources, &p.session.names, &out);
  if (update) {
    FILE *file = fopen(path, "wb");
    fprintf(file, "%.*s----\n%s", (int)source, text, text_get(&out));
    fclose(file);
  } else if (strcmp(text_get(&out), line + 6)) {
    print_error("%s: expected\n%s\nfound\n%s\n", path, line + 6, text_get(&out));
    ++*failures;
  }
  check_tree(&p);
  text_free(&out);
  parsed_free(&p);
  free(text);
}

static void run_cases(const char *folder, bool dump, size_t at_least) {
  const char *update = getenv("UPDATE");
  size_t count;
  int failures = 0;
  char **paths = list_files(folder, ".txt", &count);
  for (size_t i = 0; i < count; i++) run_case(paths[i], dump, update && !strcmp(update, "1"), &failures);
  free_files(paths, count);
  assert_int_equal(failures, 0);
  assert_true(count >= at_least);
}

static void test_trees(void **state) {
  (void)state;
  run_cases(SOURCE_DIR "/tests/golden/parse", true, 20);
}

static void test_messages(void **state) {
  (void)state;
  run_cases(SOURCE_DIR "/tests/golden/errors-syntax", false, 60);
}

static void each_sample(void (*check)(const char *text, size_t length)) {
  size_t count, length;
  char **paths = list_files(SOURCE_DIR "/examples/samples", ".nn", &count);
  for (size_t i = 0; i < count; i++) {
    char *text = read_file(paths[i], &length);
    check(text, length);
    free(text);
  }
  free_files(paths, count);
}

static void check_prefixes(const char *text, size_t length) {
  for (size_t i = 0; i <= length; i++) check_any(text, i);
}

static void check_deletions(const char *text, size_t length) {
  char *shorter = malloc(length);
  for (size_t i = 0; i < length; i++) {
    memcpy(shorter, text, i);
    memcpy(shorter + i, text + i + 1, length - i - 1);
    check_any(shorter, length - 1);
  }
  free(shorter);
}

static uint32_t draw(uint32_t *state, uint32_t below) {
  *state = *state * 1664525 + 1013904223;
  return (uint32_t)(((uint64_t)*state * below) >> 32);
}

/* One change: a byte replaced, a token put in, a stretch taken out or doubled. */
static void mutate(Text *text, uint32_t *state) {
  static const char *const tokens[] = {"(", ")", "[", "]", "{", "}", "\"", "\n", ";", "|>", "->", "<-", "..", "=", "~", ":", ",", "let ",
                                       "if ", "then ", "else ", "scan ", "for ", "in ", "loss ", "metric ", "model ", "\n\n}", "'", "#",
                                       "_", "1e", "\xce\xb8", "\xff", "next ", "yield ", "with ", "of ", "- ", "not "};
  Text out = {0};
  const uint32_t length = (uint32_t)text->length, at = draw(state, length + 1), size = draw(state, 30);
  const uint32_t end = at + size > length ? length : at + size, kind = draw(state, 4);
  text_add_bytes(&out, text->data, at);
  if (kind == 0 && at < length) {
    const char byte = (char)draw(state, 256);
    text_add_bytes(&out, &byte, 1);
    text_add_bytes(&out, text->data + at + 1, length - at - 1);
  } else if (kind == 1) {
    text_add(&out, tokens[draw(state, sizeof tokens / sizeof *tokens)]);
    text_add_bytes(&out, text->data + at, length - at);
  } else if (kind == 2) {
    text_add_bytes(&out, text->data + end, length - end);
  } else {
    text_add_bytes(&out, text->data + at, end - at);
    text_add_bytes(&out, text->data + at, length - at);
  }
  text_free(text);
  *text = out;
}

static void check_mutants(const char *text, size_t length) {
  uint32_t state = (uint32_t)length;
  for (int i = 0; i < 80; i++) {
    Text mutant = {0};
    text_add_bytes(&mutant, text, length);
    for (uint32_t n = 1 + draw(&state, 5); n; n--) mutate(&mutant, &state);
    check_any(mutant.data, mutant.length);
    text_free(&mutant);
  }
}

static void test_prefixes(void **state) {
  (void)state;
  each_sample(check_prefixes);
}

static void test_deletions(void **state) {
  (void)state;
  each_sample(check_deletions);
}

static void test_mutants(void **state) {
  (void)state;
  each_sample(check_mutants);
}

static void check_repeated(const char *before, const char *piece, const char *after, size_t count, bool fine) {
  Text text = {0};
  text_add(&text, before);
  for (size_t i = 0; i < count; i++) text_add(&text, piece);
  text_add(&text, after);
  const double begin = seconds();
  Parsed p = parse(text.data, text.length);
  if (seconds() - begin > 20) fail_msg("%zu times `%s` took %.1f s", count, piece, seconds() - begin);
  check_tree(&p);
  if (fine && p.session.errors) {
    Text out = {0};
    render_text(&p.session, &out, false);
    fail_msg("%s", text_get(&out));
  }
  assert_int_equal(p.session.errors == 0, fine);
  text_free(&text);
  parsed_free(&p);
}

/* However long or deep, time is linear and the stack bounded. */
static void test_extremes(void **state) {
  (void)state;
  static const char *const pieces[] = {"(", "[", "{", ")", "}", "f(", "x[", "-", "not ", "2^", "a+", "a->", "a |> ", "(a, ", "\"",
                                       "if a then ", "{\n", "{ a\n", "scan h = {", "a.", "let ", "1..", "fn f(x) = ", ";", "\\", "\xff",
                                       "a = b\n", "(\n", "let a = (b\n", "data {\n", "$ "};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    check_repeated("", pieces[i], "", 20000, !strcmp(pieces[i], ";"));
    check_repeated("fn f(x) {\n  ", pieces[i], "", 20000, false);
  }
  check_repeated("fn f(x) = ", "(", "", 999, false);
  check_repeated("fn f(x) {\n", "  let x = x |> dense(8) |> relu\n", "  x\n}\n", 20000, true);
  check_repeated("const a = [", "1, ", "]", 100000, true);
  check_repeated("fn f(x) = ", "x + ", "x", 1500, true);
  check_repeated("", "const a = 1\n", "", 50000, true);
  check_repeated("", "## words\n", "const a = 1", 50000, true);
}

/* The comment above a definition is its documentation, unless a word or an empty line lies between. */
static void test_documentation(void **state) {
  (void)state;
  const char *text = "## not this\n\n## Doubles.\n## Twice.\n\nfn f(x) = 2 * x ## nor this\nconst a = 1\n# plain\n"
                     "## The circle's.\n# plain\nconst b = 3\n## dangling\n";
  static const char *const docs[] = {"## Doubles.\n## Twice.", NULL, "## The circle's."};
  Parsed p = parse(text, strlen(text));
  const Ast items = ast_child(&p.tree, p.file, FILE_items);
  assert_int_equal(p.session.errors, 0);
  assert_int_equal(ast_count(&p.tree, items), 3);
  for (uint32_t i = 0; i < 3; i++) {
    const AstNode *node = ast_node(&p.tree, ast_child(&p.tree, items, i));
    if (!docs[i]) {
      assert_int_equal(node->doc_begin, 0);
      continue;
    }
    assert_int_equal(node->doc_end - node->doc_begin, strlen(docs[i]));
    assert_memory_equal(p.source->text + node->doc_begin - p.source->base, docs[i], strlen(docs[i]));
  }
  parsed_free(&p);
}

/* Spans and name spans name the text that they should. */
static void test_spans(void **state) {
  (void)state;
  const char *text = "fn f(x) = (x + 1) * x.T\n";
  Parsed p = parse(text, strlen(text));
  const Ast fn = ast_child(&p.tree, ast_child(&p.tree, p.file, FILE_items), 0), body = ast_child(&p.tree, fn, FN_body);
  const AstNode *node = ast_node(&p.tree, fn);
  assert_int_equal(node->span.begin, 1);
  assert_int_equal(node->span.end, 24);
  assert_int_equal(node->name_span.begin, 4);
  assert_int_equal(node->name_span.end, 5);
  assert_int_equal(ast_node(&p.tree, body)->span.begin, 11); /* with the bracket */
  assert_int_equal(ast_node(&p.tree, body)->span.end, 24);
  const AstNode *field = ast_node(&p.tree, ast_child(&p.tree, body, BINARY_right));
  assert_int_equal(field->name_span.begin, 23);
  assert_string_equal(name_text(&p.session.names, field->name), "T");
  parsed_free(&p);
}

/* Several files in one session share names and one space of positions. */
static void test_two_files(void **state) {
  (void)state;
  Session s = {0};
  Tree tree = {0};
  const Source *a = source_add(&s.sources, "a.nn", "const a = 1", 11, false);
  const Source *b = source_add(&s.sources, "b.nn", "\xef\xbb\xbf" "const b = a +", 16, false);
  const Ast first = parse_source(&s, &tree, a), second = parse_source(&s, &tree, b);
  assert_int_equal(ast_count(&tree, ast_child(&tree, first, FILE_items)), 1);
  assert_int_equal(ast_count(&tree, ast_child(&tree, second, FILE_items)), 1);
  Text out = {0};
  render_text(&s, &out, false);
  assert_non_null(strstr(text_get(&out), "b.nn:1:17: error: expected an expression after `+`, found the end of the file"));
  text_free(&out);
  tree_free(&tree);
  session_free(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_samples),   cmocka_unit_test(test_trees),         cmocka_unit_test(test_messages),
      cmocka_unit_test(test_prefixes),  cmocka_unit_test(test_deletions),     cmocka_unit_test(test_mutants),
      cmocka_unit_test(test_extremes),  cmocka_unit_test(test_documentation), cmocka_unit_test(test_spans),
      cmocka_unit_test(test_two_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
