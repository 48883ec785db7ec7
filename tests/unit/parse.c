/* The front end: texts to trees, and to messages. A case is a file in tests/golden/parse (tree) or in
 * tests/golden/errors-syntax (messages): the source, a line `----`, what is expected. UPDATE=1 rewrites the latter. */
#include "parsed.h"

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

/* Every example of the reference parses: a block marked `gradc` as a file, one marked `gradc block` as statements. */
static void test_reference(void **state) {
  (void)state;
  size_t length, examples = 0;
  char *text = read_file(SOURCE_DIR "/docs/language.md", &length);
  for (const char *at = text; (at = strstr(at, "\n```gradc")); examples++) {
    const char *begin = strchr(at + 1, '\n') + 1, *end = strstr(begin, "\n```");
    assert_non_null(end);
    const bool block = !strncmp(at, "\n```gradc block", 15);
    Text example = {0}, out = {0};
    if (block) text_add(&example, "fn f(x) {\n");
    text_add_bytes(&example, begin, (size_t)(end - begin));
    if (block) text_add(&example, "\n}\n");
    Parsed p = parse(example.data, example.length);
    render_text(&p.session, &out, false);
    if (out.length) fail_msg("docs/language.md: %s", text_get(&out));
    check_tree(&p);
    text_free(&example);
    text_free(&out);
    parsed_free(&p);
    at = end + 4;
  }
  assert_true(examples >= 15);
  free(text);
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
  const Source *b = source_add(&s.sources, "b.nn",
                               "\xef\xbb\xbf"
                               "const b = a +",
                               16, false);
  const Ast first = parse_source(&s, &tree, a), second = parse_source(&s, &tree, b);
  assert_int_equal(ast_count(&tree, ast_child(&tree, first, FILE_items)), 1);
  assert_int_equal(ast_count(&tree, ast_child(&tree, second, FILE_items)), 1);
  Text out = {0};
  render_text(&s, &out, false);
  assert_non_null(
      strstr(text_get(&out), "b.nn:1:17: error: expected an expression after `+`, found the end of the file"));
  text_free(&out);
  tree_free(&tree);
  session_free(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_samples),   cmocka_unit_test(test_trees),         cmocka_unit_test(test_messages),
      cmocka_unit_test(test_reference), cmocka_unit_test(test_documentation), cmocka_unit_test(test_spans),
      cmocka_unit_test(test_two_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
