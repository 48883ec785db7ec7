/* ast.h: the syntax tree. Nodes lie in one array and are named by handles; every node has its span. It knows no
 * meaning: names are not looked up, nothing is evaluated. */
#ifndef GRADC_AST_H
#define GRADC_AST_H
#include <stdbool.h>
#include <stdint.h>

#include "intern.h"
#include "source.h"
#include "text.h"
#include "vec.h"

typedef struct {
  uint32_t id; /* 0: absent */
} Ast;

typedef enum {
#define AST0(kind, word) AST_##kind,
#define AST1(kind, word, a) AST_##kind,
#define AST2(kind, word, a, b) AST_##kind,
#define AST3(kind, word, a, b, c) AST_##kind,
#define AST5(kind, word, a, b, c, d, e) AST_##kind,
#include "ast.def"
#undef AST0
#undef AST1
#undef AST2
#undef AST3
#undef AST5
  AST_KIND_COUNT
} AstKind;

/* Children by name: ast_child(tree, fn, FN_body). */
#define AST0(kind, word)
#define AST1(kind, word, a) enum { kind##_##a };
#define AST2(kind, word, a, b) enum { kind##_##a, kind##_##b };
#define AST3(kind, word, a, b, c) enum { kind##_##a, kind##_##b, kind##_##c };
#define AST5(kind, word, a, b, c, d, e) enum { kind##_##a, kind##_##b, kind##_##c, kind##_##d, kind##_##e };
#include "ast.def"
#undef AST0
#undef AST1
#undef AST2
#undef AST3
#undef AST5

typedef enum {
  OP_OR, OP_AND, OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE, OP_RANGE, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MATMUL, OP_POW,
  OP_NEG, OP_NOT, OP_COUNT
} AstOp;

typedef struct {
  uint8_t kind, op;
  bool flag;
  Name name;
  Span span;      /* the whole construct */
  Span name_span; /* of `name` where it is a part of it (a definition's, a field's, an argument's) */
  uint32_t first, count; /* children, in Tree.children */
  double number;
  const char *text;
  uint32_t doc_begin, doc_end; /* positions of the `##` comment lines above a definition; 0: none */
} AstNode;

typedef struct {
  Vec(AstNode) nodes;    /* [0] is no node */
  Vec(uint32_t) children;
  Arena arena;           /* texts */
} Tree; /* start from {0} */

/* A node, called by the grammar's actions. `children` of fixed kinds are all those of ast.def, in its order; the fields
 * op, flag, number and text are set afterwards. */
Ast ast_make(Tree *t, AstKind kind, Span span, Name name, Span name_span, const Ast *children, uint32_t count);

static inline const AstNode *ast_node(const Tree *t, Ast a) { return &t->nodes.data[a.id]; }
static inline AstKind ast_kind(const Tree *t, Ast a) { return a.id ? (AstKind)t->nodes.data[a.id].kind : AST_KIND_COUNT; }
static inline Ast ast_child(const Tree *t, Ast a, uint32_t i) {
  return a.id && i < t->nodes.data[a.id].count ? (Ast){t->children.data[t->nodes.data[a.id].first + i]} : (Ast){0};
}
/* The items of a LIST (or of an absent one: none). */
static inline uint32_t ast_count(const Tree *t, Ast list) { return list.id ? t->nodes.data[list.id].count : 0; }

uint32_t ast_arity(AstKind kind);         /* children of a fixed kind; 0 for LIST */
const char *ast_kind_word(AstKind kind); /* "fn" */
const char *ast_op_word(AstOp op);       /* "+" */
/* The tree as indented text, one node a line: its role in its parent, kind, name, "text", operator or number, and the
 * line:column where it begins, as in `body: binary + 3:7`. Absent children are left out. The parser bounds the depth of
 * a tree to AST_DEPTH, so that walking it may recurse. */
enum { AST_DEPTH = 2000 };
void ast_dump(const Tree *t, Ast root, const Sources *sources, const Names *names, Text *out);
void tree_free(Tree *t);

#endif
