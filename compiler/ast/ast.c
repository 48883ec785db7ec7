/* ast.c: see ast.h. */
#include "ast.h"

#include <assert.h>

enum { CHILDREN = 5 };

static const char *const kind_words[] = {
#define AST0(kind, word) word,
#define AST1(kind, word, a) word,
#define AST2(kind, word, a, b) word,
#define AST3(kind, word, a, b, c) word,
#define AST5(kind, word, a, b, c, d, e) word,
#include "ast.def"
#undef AST0
#undef AST1
#undef AST2
#undef AST3
#undef AST5
};

static const char *const child_words[][CHILDREN] = {
#define AST0(kind, word) {NULL},
#define AST1(kind, word, a) {#a},
#define AST2(kind, word, a, b) {#a, #b},
#define AST3(kind, word, a, b, c) {#a, #b, #c},
#define AST5(kind, word, a, b, c, d, e) {#a, #b, #c, #d, #e},
#include "ast.def"
#undef AST0
#undef AST1
#undef AST2
#undef AST3
#undef AST5
};

static const char *const op_words[OP_COUNT] = {"or", "and", "<", "<=", ">", ">=", "==", "!=", "..",
                                               "+",  "-",   "*", "/",  "@", "^",  "-",  "not"};

static const uint8_t arities[] = {
#define AST0(kind, word) 0,
#define AST1(kind, word, a) 1,
#define AST2(kind, word, a, b) 2,
#define AST3(kind, word, a, b, c) 3,
#define AST5(kind, word, a, b, c, d, e) 5,
#include "ast.def"
#undef AST0
#undef AST1
#undef AST2
#undef AST3
#undef AST5
};

uint32_t ast_arity(AstKind kind) { return kind < AST_KIND_COUNT ? arities[kind] : 0; }
const char *ast_kind_word(AstKind kind) { return kind < AST_KIND_COUNT ? kind_words[kind] : "absent"; }
const char *ast_op_word(AstOp op) { return op < OP_COUNT ? op_words[op] : "?"; }

Ast ast_make(Tree *t, AstKind kind, Span span, Name name, Span name_span, const Ast *children, uint32_t count) {
  assert(kind == AST_LIST || count <= CHILDREN);
  if (!t->nodes.count) vec_push(&t->nodes, (AstNode){.kind = AST_ERROR});
  const AstNode node = {.kind = (uint8_t)kind,
                        .span = span,
                        .name = name,
                        .name_span = name_span,
                        .first = t->children.count,
                        .count = count};
  for (uint32_t i = 0; i < count; i++) vec_push(&t->children, children[i].id);
  vec_push(&t->nodes, node);
  return (Ast){t->nodes.count - 1};
}

static void dump_text(const char *text, Text *out) {
  text_add(out, " \"");
  for (; *text; text++) {
    if (*text == '\n')
      text_add(out, "\\n");
    else if (*text == '\t')
      text_add(out, "\\t");
    else if (*text == '"' || *text == '\\')
      text_printf(out, "\\%c", *text);
    else
      text_add_bytes(out, text, 1);
  }
  text_add(out, "\"");
}

static void dump_number(const AstNode *node, Text *out) {
  text_add(out, " ");
  if (node->flag)
    text_printf(out, "%.0f", node->number);
  else
    text_add_number(out, node->number);
}

static void dump_fields(const AstNode *node, const Names *names, Text *out) {
  if (node->name.id) text_printf(out, " %s", name_text(names, node->name));
  if (node->text) dump_text(node->text, out);
  switch (node->kind) {
  case AST_BINARY:
  case AST_UNARY: text_printf(out, " %s", ast_op_word(node->op)); break;
  case AST_NUMBER: dump_number(node, out); break;
  case AST_BOOL: text_add(out, node->flag ? " true" : " false"); break;
  case AST_OPTIMIZER: text_add(out, node->flag ? " over-all" : ""); break;
  case AST_SCAN: text_add(out, node->flag ? " reversed" : ""); break;
  default: break;
  }
}

static void dump_node(const Tree *t, Ast a, const char *role, int depth, const Sources *sources, const Names *names,
                      Text *out) {
  if (!a.id) return;
  const AstNode *node = ast_node(t, a);
  const Place place = source_place(sources, node->span.begin);
  text_printf(out, "%*s%s%s%s", 2 * depth, "", role, *role ? ": " : "", ast_kind_word(node->kind));
  dump_fields(node, names, out);
  text_printf(out, " %u:%u\n", place.line, place.column);
  const bool list = node->kind == AST_LIST;
  for (uint32_t i = 0; i < node->count; i++) {
    dump_node(t, ast_child(t, a, i), list ? "" : child_words[node->kind][i], depth + 1, sources, names, out);
  }
}

void ast_dump(const Tree *t, Ast root, const Sources *sources, const Names *names, Text *out) {
  dump_node(t, root, "", 0, sources, names, out);
}

void tree_free(Tree *t) {
  vec_free(&t->nodes);
  vec_free(&t->children);
  arena_free(&t->arena);
}
