/* build.c: what the grammar's actions call to make nodes. */
#include <string.h>

#include "gradc.tab.h"
#include "parser.h"

static uint32_t depth_of(const Parser *p, Ast a) { return a.id && a.id < p->depths.count ? p->depths.data[a.id] : 0; }

/* Every node passes here, so that no tree is deeper than AST_DEPTH: what would be is an ERROR node. */
static Ast make(Parser *p, AstKind kind, Span span, Token name, const Ast *children, uint32_t count) {
  uint32_t depth = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (depth_of(p, children[i]) > depth) depth = depth_of(p, children[i]);
  }
  if (depth >= AST_DEPTH && kind != AST_FILE) {
    syntax_too_deep(p, span);
    kind = AST_ERROR, name = token_none(), count = 0, depth = 0;
  }
  const Ast node =
      ast_make(p->tree, kind, span, (Name){name.value}, name.end ? token_span(name) : (Span){0}, children, count);
  while (p->depths.count <= node.id) vec_push(&p->depths, 0);
  p->depths.data[node.id] = (uint16_t)(depth + 1);
  return node;
}

static AstNode *node_of(Parser *p, Ast a) { return &p->tree->nodes.data[a.id]; }

Ast ast_build(Parser *p, AstKind kind, Span span, Token name, const Ast *children) {
  return make(p, kind, span, name, children, ast_arity(kind));
}

Ast ast_plain(Parser *p, AstKind kind, Span span, const Ast *children) {
  return ast_build(p, kind, span, token_none(), children);
}

Ast ast_fn(Parser *p, Span span, Token name, const Ast *three, Ast pullback, Ast gradient) {
  return ast_build(p, AST_FN, span, name, OF(three[0], three[1], three[2], pullback, gradient));
}

Ast ast_binary(Parser *p, Span span, AstOp op, Ast left, Ast right) {
  const Ast node = ast_plain(p, AST_BINARY, span, OF(left, right));
  node_of(p, node)->op = (uint8_t)op;
  return node;
}

Ast ast_unary(Parser *p, Span span, AstOp op, Ast operand) {
  const Ast node = ast_plain(p, AST_UNARY, span, OF(operand));
  node_of(p, node)->op = (uint8_t)op;
  return node;
}

Ast ast_flagged(Parser *p, Ast node) {
  node_of(p, node)->flag = true;
  return node;
}

Ast ast_bool(Parser *p, Span span, bool value) {
  const Ast node = ast_plain(p, AST_BOOL, span, NULL);
  node_of(p, node)->flag = value;
  return node;
}

Ast ast_number(Parser *p, Span span, Token number) {
  const Ast node = ast_plain(p, AST_NUMBER, span, NULL);
  const char *text = p->source->text + (number.begin - p->source->base);
  const size_t length = number.end - number.begin;
  node_of(p, node)->number = p->numbers.data[number.value];
  node_of(p, node)->flag = !memchr(text, '.', length) && !memchr(text, 'e', length) && !memchr(text, 'E', length);
  return node;
}

static void set_text(Parser *p, Ast node, Token string) { node_of(p, node)->text = p->texts.data[string.value]; }

Ast ast_string(Parser *p, Span span, Token string) {
  const Ast node = ast_plain(p, AST_STRING, span, NULL);
  set_text(p, node, string);
  return node;
}

Ast ast_import(Parser *p, Span span, Token path, Token name) {
  const Ast node = ast_build(p, AST_IMPORT, span, name, NULL);
  set_text(p, node, path);
  return node;
}

Ast ast_setting(Parser *p, Span span, Token name, Token pattern, Ast value) {
  const Ast node = ast_build(p, AST_SETTING, span, name, OF(value));
  if (pattern.end && ast_kind(p->tree, node) == AST_SETTING) set_text(p, node, pattern);
  return node;
}

Ast ast_optimizer(Parser *p, Span span, Token name, Token all, Ast params, Ast body) {
  const Ast node = ast_build(p, AST_OPTIMIZER, span, name, OF(params, body));
  node_of(p, node)->flag = all.end != 0;
  if (all.end && strcmp(name_text(&p->s->names, (Name){all.value}), "all")) {
    Diag *d = diag_error(p->s, "unexpected-token", token_span(all), "expected `all`, found `%s`",
                         name_text(&p->s->names, (Name){all.value}));
    diag_hint(p->s, d, "an optimiser is written `over all` parameters at once, or for each by itself");
  }
  return node;
}

/* A lambda's parameters: a name, or a tuple of names. */
static bool push_names(Parser *p, Ast left, List *names) {
  const AstNode node = *ast_node(p->tree, left);
  if (node.kind == AST_NAME) {
    const Token name = {.value = node.name.id, .begin = node.name_span.begin, .end = node.name_span.end};
    *names = ast_more(p, *names, ast_build(p, AST_PATTERN_NAME, node.span, name, NULL));
    return true;
  }
  if (node.kind != AST_TUPLE) return false;
  const Ast items = ast_child(p->tree, left, TUPLE_items);
  for (uint32_t i = 0; i < ast_count(p->tree, items); i++) {
    const Ast item = ast_child(p->tree, items, i);
    if (ast_kind(p->tree, item) != AST_NAME || !push_names(p, item, names)) return false;
  }
  return true;
}

Ast ast_lambda(Parser *p, Span span, Ast left, Span left_span, Ast body) {
  List names = {0};
  if (!push_names(p, left, &names)) {
    Diag *d = diag_error(p->s, "lambda-names", left_span, "left of `->` stand the names of a function's parameters");
    diag_hint(p->s, d, "`x -> …` or `(x, y) -> …`");
    return ast_plain(p, AST_ERROR, span, NULL);
  }
  return ast_plain(p, AST_LAMBDA, span, OF(ast_list(p, left_span, names), body));
}

Ast ast_pipe_lambda(Parser *p, Span span, Ast value, Ast left, Span left_span, Ast body, Span body_span) {
  const Ast lambda = ast_lambda(p, span_join(left_span, body_span), left, left_span, body);
  return ast_plain(p, AST_PIPE, span, OF(value, lambda));
}

Ast ast_documented(Parser *p, Ast definition) {
  AstNode *node = node_of(p, definition);
  while (p->next_doc < p->docs.count && p->docs.data[p->next_doc].token < node->span.begin) p->next_doc++;
  if (p->next_doc < p->docs.count && p->docs.data[p->next_doc].token == node->span.begin) {
    node->doc_begin = p->docs.data[p->next_doc].begin;
    node->doc_end = p->docs.data[p->next_doc].end;
  }
  return definition;
}

List ast_first(Parser *p, Ast item) { return ast_more(p, (List){0}, item); }

List ast_more(Parser *p, List list, Ast item) {
  if (!p->cells.count) vec_push(&p->cells, (Cell){0});
  vec_push(&p->cells, ((Cell){item, list.last}));
  return (List){p->cells.count - 1, list.count + 1};
}

Ast ast_list(Parser *p, Span span, List list) {
  Ast *items = mem_alloc(list.count * sizeof *items);
  for (uint32_t i = list.count, cell = list.last; i; cell = p->cells.data[cell].before)
    items[--i] = p->cells.data[cell].item;
  const Ast node = make(p, AST_LIST, span, token_none(), items, list.count);
  free(items);
  return node;
}

Ast ast_tuple(Parser *p, Span span, Ast first, List rest) {
  List all = ast_first(p, first);
  Ast *items = mem_alloc(rest.count * sizeof *items);
  for (uint32_t i = rest.count, cell = rest.last; i; cell = p->cells.data[cell].before)
    items[--i] = p->cells.data[cell].item;
  for (uint32_t i = 0; i < rest.count; i++) all = ast_more(p, all, items[i]);
  free(items);
  return ast_plain(p, AST_TUPLE, span, OF(ast_list(p, span, all)));
}

void ast_item(Parser *p, Ast definition) { p->items = ast_more(p, p->items, ast_documented(p, definition)); }
