/* eval.c: expressions and the statements of a block. */
#include <string.h>

#include "call.h"

static Value eval_items(Tracer *t, Ast list, Env *env, ValueKind kind, Span span) {
  Value out = {.kind = (uint8_t)kind, .count = ast_count(t->tree, list), .span = span};
  out.items = values_new(t, out.count);
  bool bad = false;
  for (uint32_t i = 0; i < out.count; i++) {
    out.items[i] = eval(t, ast_child(t->tree, list, i), env);
    bad = bad || value_bad(out.items[i]);
  }
  return bad ? value_poison() : out;
}

static Value eval_dots(Tracer *t, Env *env, Span span) {
  const Binding *b = env_find(env, intern_text(&t->s->names, ".."));
  if (b) return b->value;
  Diag *d = trace_error(t, "unknown-name", span, "`..` stands for nothing here");
  diag_hint(t->s, d, "it stands for axes that a parameter's type binds, as in `layer l(x: [.., n])`");
  return value_poison();
}

static Value eval_field(Tracer *t, Ast e, Env *env) {
  const AstNode node = *ast_node(t->tree, e);
  const Value base = eval(t, ast_child(t->tree, e, FIELD_base), env);
  const char *name = name_of(t, node.name);
  if (value_bad(base)) return base;
  if (base.kind == V_SPACE) {
    const uint32_t index = scope_find_in(t->s, t->scope, base.space, node.name, node.span);
    if (index != SCOPE_NONE) return definition_value(t, index, node.span);
    trace_error(t, "unknown-name", node.name_span, "`%s` defines nothing called `%s`", name_of(t, base.space), name);
    return value_poison();
  }
  if (base.kind == V_INSTANCE) return instance_field(t, base.closure->instance, node.name, node.span);
  if (!strcmp(name, "T") && value_is_numeric(base)) {
    Value args[2] = {base, {.kind = V_ABSENT}};
    return builtin_transpose(t, &(Call){builtin_get(BUILTIN_transpose), args, node.span});
  }
  Diag *d = trace_error(t, "unknown-field", node.name_span, "%s has no part `%s`", value_describe(t, base), name);
  if (value_is_numeric(base))
    diag_hint(t->s, d, "functions are applied: `%s(x)` or `x |> %s`; `x.T` alone swaps the last two axes", name, name);
  return value_poison();
}

static Value eval_like(Tracer *t, Ast e, Env *env) {
  const Span span = ast_node(t->tree, e)->span;
  const Value base = eval(t, ast_child(t->tree, e, LIKE_base), env);
  Value of = eval(t, ast_child(t->tree, e, LIKE_of), env);
  if (value_bad(base) || value_bad(of)) return value_poison();
  if (base.kind != V_DISTRIBUTION) {
    trace_error(t, "not-a-distribution", span, "`[like x]` follows a distribution; found %s", value_describe(t, base));
    return value_poison();
  }
  if (!value_to_tensor(t, &of, t->graph->float_type, span)) return value_poison();
  const Dims dims = value_dims(t, of);
  if (!of.batched) return op_draw(t, base, &dims, false, 0, span);
  const uint32_t blocks = t->blocks.count;
  t->blocks.count = 1; /* whose batch it is, is clear */
  const Value out = op_draw(t, base, &dims, true, value_batch(t, of), span);
  t->blocks.count = blocks;
  return out;
}

static Value eval_lambda(Tracer *t, Ast e, Env *env, Span span) {
  return closure_value(t, (Closure){.kind = C_LAMBDA, .ast = e, .env = env->head, .span = span}, span);
}

static Value eval_binary(Tracer *t, Ast e, Env *env) {
  const AstNode node = *ast_node(t->tree, e);
  const Value a = eval(t, ast_child(t->tree, e, BINARY_left), env);
  /* What a known condition decides is not looked at. */
  if ((node.op == OP_AND || node.op == OP_OR) && a.kind == V_BOOL && a.truth == (node.op == OP_OR)) return a;
  const Value b = eval(t, ast_child(t->tree, e, BINARY_right), env);
  return op_binary(t, (AstOp)node.op, a, b, node.span);
}

static Value eval_plain(Tracer *t, Ast e, Env *env) {
  const AstNode node = *ast_node(t->tree, e);
  switch ((AstKind)node.kind) {
  case AST_NUMBER: return value_number(node.number, node.flag, node.span);
  case AST_STRING: return value_text(node.text, node.span);
  case AST_BOOL: return value_bool(node.flag, node.span);
  case AST_NAME: return lookup_name(t, node.name, node.span, env);
  case AST_DOTS: return eval_dots(t, env, node.span);
  case AST_TUPLE: return eval_items(t, ast_child(t->tree, e, TUPLE_items), env, V_TUPLE, node.span);
  case AST_ARRAY: return eval_items(t, ast_child(t->tree, e, ARRAY_items), env, V_ARRAY, node.span);
  case AST_BLOCK: return eval_block(t, e, env);
  case AST_PIPE: return eval_pipe(t, e, env);
  case AST_CALL: return eval_call(t, e, env);
  case AST_LAMBDA: return eval_lambda(t, e, env, node.span);
  case AST_IF: return eval_if(t, e, env);
  case AST_BINARY: return eval_binary(t, e, env);
  case AST_UNARY: {
    const Value v = eval(t, ast_child(t->tree, e, UNARY_operand), env);
    return node.op == OP_NOT ? op_not(t, v, node.span) : op_neg(t, v, node.span);
  }
  case AST_INDEX: return eval_index(t, e, env);
  case AST_LIKE: return eval_like(t, e, env);
  case AST_FIELD: return eval_field(t, e, env);
  case AST_SCAN: return eval_scan(t, e, env);
  case AST_ITERATE: return eval_iterate(t, e, env);
  default: return value_poison();
  }
}

Value eval(Tracer *t, Ast e, Env *env) {
  if (!e.id) return value_poison();
  Graph *g = t->graph;
  const Span span = ast_node(t->tree, e)->span, outer = g->span;
  const bool library = span.begin >= t->library.begin && span.begin < t->library.end;
  if (!library) g->span = span; /* nodes made in the library carry the user's call */
  const Value v = eval_plain(t, e, env);
  g->span = outer;
  return v;
}

static void eval_let(Tracer *t, Ast item, Env *env) {
  Value v = eval(t, ast_child(t->tree, item, LET_value), env);
  const Ast type = ast_child(t->tree, item, LET_type), pattern = ast_child(t->tree, item, LET_pattern);
  if (type.id && !value_bad(v) && !type_match(t, type, &v, env, "the value", ast_node(t->tree, item)->span))
    v = value_poison();
  bind_pattern(t, env, pattern, v, true);
}

void eval_statement(Tracer *t, Ast item, Env *env) {
  switch (ast_kind(t->tree, item)) {
  case AST_LET: eval_let(t, item, env); break;
  case AST_PARAM:
  case AST_STATE: eval_owned(t, item, env); break;
  case AST_ASSIGN: eval_assign(t, item, env); break;
  case AST_ERROR: break;
  default: eval(t, item, env); break;
  }
}

Value eval_block(Tracer *t, Ast block, Env *env) {
  Env inner = *env;
  const Ast list = ast_child(t->tree, block, BLOCK_items);
  const uint32_t n = ast_count(t->tree, list);
  for (uint32_t i = 0; i < n; i++) {
    const Ast item = ast_child(t->tree, list, i);
    const AstKind kind = ast_kind(t->tree, item);
    const bool statement =
        kind == AST_LET || kind == AST_PARAM || kind == AST_STATE || kind == AST_ASSIGN || kind == AST_ERROR;
    if (i + 1 == n && !statement) return eval(t, item, &inner);
    eval_statement(t, item, &inner);
  }
  if (t->s->errors) return value_poison();
  trace_error(t, "no-value", ast_node(t->tree, block)->span,
              "this block has no value: its last line must be an expression");
  return value_poison();
}
