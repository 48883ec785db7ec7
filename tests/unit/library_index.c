/* The index of the library's definitions is what a whole parse of it finds, and reading them one by one gives the same trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "embedded.h"
#include "library.h"
#include "parse.h"

typedef struct {
  Session s;
  Tree tree;
  Vec(Ast) items;
} Parsed;

static void take_items(void *context, Ast file) {
  Parsed *p = context;
  const Ast list = ast_child(&p->tree, file, FILE_items);
  for (uint32_t i = 0; i < ast_count(&p->tree, list); i++) vec_push(&p->items, ast_child(&p->tree, list, i));
}

static void parsed_free(Parsed *p) {
  vec_free(&p->items);
  tree_free(&p->tree);
  session_free(&p->s);
}

/* Kinds, names, places and children, and the comment above. */
static void check_same(Parsed *a, Parsed *b, Ast x, Ast y) {
  Text left = {0}, right = {0};
  ast_dump(&a->tree, x, &a->s.sources, &a->s.names, &left);
  ast_dump(&b->tree, y, &b->s.sources, &b->s.names, &right);
  assert_string_equal(text_get(&left), text_get(&right));
  const AstNode *m = ast_node(&a->tree, x), *n = ast_node(&b->tree, y);
  assert_int_equal(m->doc_end - m->doc_begin, n->doc_end - n->doc_begin);
  text_free(&left), text_free(&right);
}

static void test_index(void **state) {
  Parsed whole = {0}, parts = {0};
  for (size_t i = 0; embedded_files[i].path; i++) {
    const Source *source = source_add(&whole.s.sources, embedded_files[i].path, embedded_files[i].text, embedded_files[i].length, true);
    take_items(&whole, parse_source(&whole.s, &whole.tree, source));
  }
  Library library;
  library_open(&library);
  assert_int_equal(library.items.count, whole.items.count);
  assert_true(library.items.count > 100);
  for (uint32_t i = 0; i < library.items.count; i++) {
    library.items.data[i].wanted = true;
    const char *name = name_text(&whole.s.names, ast_node(&whole.tree, whole.items.data[i])->name);
    assert_int_equal(library.items.data[i].length, strlen(name));
    assert_memory_equal(library.items.data[i].name, name, strlen(name));
  }
  library_read(&library, &parts.s, &parts.tree, take_items, &parts);
  assert_int_equal(parts.items.count, whole.items.count);
  for (uint32_t i = 0; i < parts.items.count; i++) check_same(&whole, &parts, whole.items.data[i], parts.items.data[i]);
  library_close(&library);
  parsed_free(&whole);
  parsed_free(&parts);
}

static bool wanted(const Library *l, const char *name) {
  for (uint32_t i = 0; i < l->items.count; i++)
    if (l->items.data[i].length == strlen(name) && !memcmp(l->items.data[i].name, name, strlen(name))) return l->items.data[i].wanted;
  fail_msg("the library has no %s", name);
  return false;
}

/* What is named, and what that names: a layer's initialiser, a function's function. */
static void test_wanted(void **state) {
  static const char text[] = "model m { input x: [3]; output y = x |> dense(2) |> mish }";
  Library l;
  library_open(&l);
  library_want(&l, text, sizeof text - 1);
  assert_true(wanted(&l, "dense") && wanted(&l, "he") && wanted(&l, "mish") && wanted(&l, "softplus"));
  assert_false(wanted(&l, "conv2d") || wanted(&l, "adam") || wanted(&l, "cross_entropy"));
  library_want(&l, "conv2ds aconv2d conv2d", 16); /* words, and only the part that is given */
  assert_false(wanted(&l, "conv2d"));
  library_close(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_index), cmocka_unit_test(test_wanted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
