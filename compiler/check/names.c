/* names.c: see check.h. One walk over the syntax of each definition, with the names in scope as a chain. */
#include <string.h>

#include "builtins.h"
#include "check.h"

typedef struct Local {
  Name name;
  Span span;
  const struct Local *outer;
} Local;

typedef enum { IN_FN, IN_LAYER, IN_METRIC, IN_OPTIMIZER, IN_SCHEDULE, IN_MODEL, IN_LAMBDA, IN_OTHER } Within;

typedef struct {
  Session *s;
  const Tree *tree;
  const Scope *scope;
  const Local *locals;
  Ast definition;
  Within where;
  bool loop; /* directly in the body of `scan` or `iterate` */
  Arena arena;
} Checker;

static const char *text_of_name(Checker *c, Name name) { return name_text(&c->s->names, name); }

static void bind(Checker *c, Name name, Span span) {
  Local *local = ARENA_NEW(&c->arena, Local);
  *local = (Local){name, span, c->locals};
  c->locals = local;
}

static const Local *find_local(const Checker *c, Name name) {
  for (const Local *l = c->locals; l; l = l->outer) {
    if (name_is(l->name, name)) return l;
  }
  return NULL;
}

static void check_expr(Checker *c, Ast e);

/* ---- names ---- */

static bool is_known(Checker *c, Name name, Span at) {
  const char *text = text_of_name(c, name);
  return find_local(c, name) || scope_find(c->s, c->scope, name, at) != SCOPE_NONE ||
         scope_is_space(c->s, c->scope, name, at) || builtin_find(text) || builtin_word(text);
}

static void check_name(Checker *c, const AstNode *node) {
  if (is_known(c, node->name, node->span)) return;
  Diag *d = diag_error(c->s, "unknown-name", node->span, "nothing is called `%s` here", text_of_name(c, node->name));
  Vec(const char *) near = {0};
  for (const Local *l = c->locals; l; l = l->outer) {
    const char *text = text_of_name(c, l->name);
    if (*text != '.') vec_push(&near, text);
  }
  scope_suggest(c->s, c->tree, c->scope, d, node->name, near.data, near.count);
  vec_free(&near);
}

/* ---- types ---- */

/* In a parameter's type (`binds`), a name without a meaning gets one. */
static void check_extent(Checker *c, Ast e, bool binds) {
  const AstNode *node = ast_node(c->tree, e);
  if (!e.id) return;
  if (node->kind == AST_DOTS) {
    if (binds) bind(c, intern_text(&c->s->names, ".."), node->span);
    return;
  }
  if (binds && node->kind == AST_NAME) {
    if (!find_local(c, node->name) && scope_find(c->s, c->scope, node->name, node->span) == SCOPE_NONE)
      bind(c, node->name, node->span);
    return;
  }
  check_expr(c, e);
}

static void check_type(Checker *c, Ast type, bool binds) {
  if (!type.id) return;
  switch (ast_kind(c->tree, type)) {
  case AST_TYPE_ARRAY: {
    const Ast list = ast_child(c->tree, type, TYPE_ARRAY_shape);
    for (uint32_t i = 0; i < ast_count(c->tree, list); i++) check_extent(c, ast_child(c->tree, list, i), binds);
    check_type(c, ast_child(c->tree, type, TYPE_ARRAY_element), binds);
    return;
  }
  case AST_TYPE_ELEMENT: check_extent(c, ast_child(c->tree, type, TYPE_ELEMENT_extent), binds); return;
  case AST_TYPE_TUPLE: {
    const Ast list = ast_child(c->tree, type, TYPE_TUPLE_items);
    for (uint32_t i = 0; i < ast_count(c->tree, list); i++) check_type(c, ast_child(c->tree, list, i), binds);
    return;
  }
  default: return;
  }
}

/* ---- calls ---- */

static Ast params_of(const Tree *tree, Ast def) {
  switch (ast_kind(tree, def)) {
  case AST_FN: return ast_child(tree, def, FN_params);
  case AST_LAYER: return ast_child(tree, def, LAYER_params);
  case AST_METRIC: return ast_child(tree, def, METRIC_params);
  case AST_INIT: return ast_child(tree, def, INIT_params);
  case AST_SCHEDULE: return ast_child(tree, def, SCHEDULE_params);
  case AST_OPTIMIZER: return ast_child(tree, def, OPTIMIZER_params);
  default: return (Ast){0};
  }
}

static void check_order(Checker *c, Ast args) {
  bool named = false;
  for (uint32_t i = 0; i < ast_count(c->tree, args); i++) {
    const AstNode *arg = ast_node(c->tree, ast_child(c->tree, args, i));
    if (arg->kind == AST_ARG) {
      named = true;
    } else if (named) {
      Diag *d = diag_error(c->s, "argument-order", arg->span, "an argument by position stands behind one by name");
      diag_hint(c->s, d, "arguments by position come first");
      return;
    }
  }
}

/* Of a call whose callee is a definition: are its arguments' names parameters of it? How many there may be, the trace
 * says, which knows what a pipe or a partial application already gave. */
static void check_arguments(Checker *c, Ast callee, Ast args) {
  const AstNode *node = ast_node(c->tree, callee);
  if (node->kind != AST_NAME || find_local(c, node->name)) return;
  const uint32_t index = scope_find(c->s, c->scope, node->name, node->span);
  if (index == SCOPE_NONE) return;
  const Ast def = c->scope->definitions.data[index], params = params_of(c->tree, def);
  if (!params.id) return;
  for (uint32_t i = 0; i < ast_count(c->tree, args); i++) {
    const AstNode *arg = ast_node(c->tree, ast_child(c->tree, args, i));
    if (arg->kind != AST_ARG) continue;
    const char *near[64];
    uint32_t count = 0;
    bool found = false;
    for (uint32_t k = 0; k < ast_count(c->tree, params) && count < 64; k++) {
      const Name name = ast_node(c->tree, ast_child(c->tree, params, k))->name;
      near[count++] = text_of_name(c, name);
      found = found || name_is(name, arg->name);
    }
    if (!found) diag_unknown_argument(c->s, c->tree, arg->span, text_of_name(c, arg->name), def, near, count);
  }
}

static void check_call(Checker *c, Ast e) {
  const Ast callee = ast_child(c->tree, e, CALL_callee), args = ast_child(c->tree, e, CALL_args);
  check_expr(c, callee);
  check_order(c, args);
  check_arguments(c, callee, args);
  for (uint32_t i = 0; i < ast_count(c->tree, args); i++) {
    const Ast arg = ast_child(c->tree, args, i);
    check_expr(c, ast_kind(c->tree, arg) == AST_ARG ? ast_child(c->tree, arg, ARG_value) : arg);
  }
}

/* ---- statements ---- */

static void bind_pattern(Checker *c, Ast pattern) {
  const AstNode *node = ast_node(c->tree, pattern);
  if (node->kind == AST_PATTERN_NAME) {
    bind(c, node->name, node->span);
    return;
  }
  const Ast list = ast_child(c->tree, pattern, PATTERN_TUPLE_items);
  for (uint32_t i = 0; i < ast_count(c->tree, list); i++) bind_pattern(c, ast_child(c->tree, list, i));
}

static void misplaced(Checker *c, const AstNode *node) {
  static const char *const words[] = {[AST_INPUT] = "input", [AST_TARGET] = "target",  [AST_OUTPUT] = "output",
                                      [AST_LOSS] = "loss",   [AST_MEASURE] = "metric", [AST_PARAM] = "param",
                                      [AST_STATE] = "state", [AST_NEXT] = "next",      [AST_ASSIGN] = "<-"};
  const char *word = words[node->kind];
  Diag *d;
  switch ((AstKind)node->kind) {
  case AST_PARAM:
  case AST_STATE:
    d = diag_error(c->s, "no-owner", node->span, "a `%s` cannot stand here: only a layer or a model owns one", word);
    if (c->where == IN_FN) diag_hint(c->s, d, "make the `fn` a `layer`");
    if (c->where == IN_METRIC || c->where == IN_OPTIMIZER || c->where == IN_SCHEDULE) diag_hint(c->s, d, "here only `state` may stand");
    break;
  case AST_NEXT:
    d = diag_error(c->s, "misplaced-statement", node->span, "`next` stands outside the body of `scan` or `iterate`");
    break;
  case AST_ASSIGN:
    d = diag_error(c->s, "misplaced-statement", node->span, "`<-` cannot stand here: a function writes nothing");
    diag_hint(c->s, d, "for a new value under the same name use `let`");
    break;
  default:
    d = diag_error(c->s, "misplaced-statement", node->span, "`%s` stands outside the block of a model", word);
    break;
  }
}

static bool may_stand(const Checker *c, AstKind kind, bool top) {
  switch (kind) {
  case AST_INPUT:
  case AST_TARGET:
  case AST_OUTPUT:
  case AST_LOSS:
  case AST_MEASURE: return c->where == IN_MODEL && top;
  case AST_PARAM: return c->where == IN_LAYER || c->where == IN_MODEL;
  case AST_STATE:
    return c->where == IN_LAYER || c->where == IN_MODEL || c->where == IN_METRIC || c->where == IN_OPTIMIZER ||
           c->where == IN_SCHEDULE;
  case AST_ASSIGN: return c->where != IN_FN && c->where != IN_OTHER;
  case AST_NEXT: return c->loop;
  default: return true;
  }
}

static void check_declared(Checker *c, const AstNode *node, Ast type, Ast value) {
  check_type(c, type, false);
  check_expr(c, value);
  bind(c, node->name, node->name_span);
}

static void check_statement(Checker *c, Ast item, bool top) {
  const AstNode *node = ast_node(c->tree, item);
  const AstKind kind = (AstKind)node->kind;
  if (!may_stand(c, kind, top)) misplaced(c, node);
  switch (kind) {
  case AST_LET:
    check_expr(c, ast_child(c->tree, item, LET_value));
    check_type(c, ast_child(c->tree, item, LET_type), true);
    bind_pattern(c, ast_child(c->tree, item, LET_pattern));
    break;
  case AST_PARAM:
  case AST_STATE: {
    /* What starts a parameter may ask for fan_in and fan_out. */
    check_declared(c, node, ast_child(c->tree, item, PARAM_type), ast_child(c->tree, item, PARAM_value));
    break;
  }
  case AST_INPUT:
  case AST_TARGET: check_declared(c, node, ast_child(c->tree, item, INPUT_type), (Ast){0}); break;
  case AST_OUTPUT: check_declared(c, node, (Ast){0}, ast_child(c->tree, item, OUTPUT_value)); break;
  case AST_ASSIGN: {
    check_expr(c, ast_child(c->tree, item, ASSIGN_value));
    if (!find_local(c, node->name)) {
      const AstNode name = {.kind = AST_NAME, .name = node->name, .span = node->name_span};
      check_name(c, &name);
    }
    break;
  }
  case AST_LOSS:
    check_expr(c, ast_child(c->tree, item, LOSS_value));
    check_expr(c, ast_child(c->tree, item, LOSS_weight));
    break;
  case AST_MEASURE:
    check_expr(c, ast_child(c->tree, item, MEASURE_value));
    check_expr(c, ast_child(c->tree, item, MEASURE_weight));
    break;
  case AST_NEXT:
    check_expr(c, ast_child(c->tree, item, NEXT_value));
    check_expr(c, ast_child(c->tree, item, NEXT_yield));
    break;
  default: check_expr(c, item); break;
  }
}

static bool is_value(AstKind kind) {
  return kind != AST_LET && kind != AST_PARAM && kind != AST_STATE && kind != AST_ASSIGN && kind != AST_INPUT &&
         kind != AST_TARGET && kind != AST_OUTPUT && kind != AST_LOSS && kind != AST_MEASURE && kind != AST_NEXT &&
         kind != AST_ERROR;
}

typedef enum { BLOCK_VALUE, BLOCK_LOOP, BLOCK_EFFECTS } BlockKind;

static void check_last(Checker *c, Ast block, Ast last, BlockKind kind) {
  const AstKind found = ast_kind(c->tree, last);
  if (found == AST_ERROR) return;
  const Span at = last.id ? ast_node(c->tree, last)->span : ast_node(c->tree, block)->span;
  if (kind == BLOCK_VALUE && !is_value(found)) {
    Diag *d = diag_error(c->s, "no-value", at, "this block has no value: its last line must be an expression");
    if (found == AST_LET) diag_hint(c->s, d, "write the expression without `let`, or name it again on a last line");
  }
  if (kind == BLOCK_LOOP && found != AST_NEXT) {
    Diag *d = diag_error(c->s, "no-next", at, "the body of `scan` and of `iterate` ends in `next`");
    diag_hint(c->s, d, "`next e` gives the new carry");
  }
}

static void check_block(Checker *c, Ast block, BlockKind kind, bool top) {
  const Local *locals = c->locals;
  const bool loop = c->loop;
  c->loop = kind == BLOCK_LOOP;
  const Ast list = ast_child(c->tree, block, BLOCK_items);
  const uint32_t n = ast_count(c->tree, list);
  Ast last = {0};
  for (uint32_t i = 0; i < n; i++) {
    const Ast item = ast_child(c->tree, list, i);
    const AstKind found = ast_kind(c->tree, item);
    check_statement(c, item, top);
    if (is_value(found) && (i + 1 < n || kind == BLOCK_EFFECTS)) {
      Diag *d = diag_error(c->s, "no-effect", ast_node(c->tree, item)->span, "the value of this line is not used");
      diag_hint(c->s, d,
                kind == BLOCK_EFFECTS && c->where == IN_MODEL
                    ? "name it, `let h = ...`, or make it an `output` or a `loss`"
                    : "name it: `let h = ...`");
    }
    if (found == AST_NEXT && i + 1 < n && c->loop)
      diag_error(c->s, "misplaced-statement", ast_node(c->tree, item)->span, "`next` is the last line of a body");
    last = item;
  }
  check_last(c, block, last, kind);
  c->locals = locals, c->loop = loop;
}

/* ---- expressions ---- */

static void check_lambda(Checker *c, Ast e) {
  const Local *locals = c->locals;
  const bool loop = c->loop;
  c->loop = false;
  const Ast params = ast_child(c->tree, e, LAMBDA_params);
  for (uint32_t i = 0; i < ast_count(c->tree, params); i++) bind_pattern(c, ast_child(c->tree, params, i));
  check_expr(c, ast_child(c->tree, e, LAMBDA_body));
  c->locals = locals, c->loop = loop;
}

static void check_scan(Checker *c, Ast e) {
  const bool scan = ast_kind(c->tree, e) == AST_SCAN;
  const Local *locals = c->locals;
  check_expr(c, ast_child(c->tree, e, scan ? SCAN_start : ITERATE_start));
  if (scan) check_expr(c, ast_child(c->tree, e, SCAN_in));
  bind_pattern(c, ast_child(c->tree, e, scan ? SCAN_pattern : ITERATE_pattern));
  if (scan) {
    bind_pattern(c, ast_child(c->tree, e, SCAN_each));
  } else {
    check_expr(c, ast_child(c->tree, e, ITERATE_condition));
    check_expr(c, ast_child(c->tree, e, ITERATE_limit));
  }
  check_block(c, ast_child(c->tree, e, scan ? SCAN_body : ITERATE_body), BLOCK_LOOP, false);
  c->locals = locals;
}

static void check_expr(Checker *c, Ast e) {
  if (!e.id) return;
  const AstNode *node = ast_node(c->tree, e);
  switch ((AstKind)node->kind) {
  case AST_NAME: check_name(c, node); return;
  case AST_CALL: check_call(c, e); return;
  case AST_LAMBDA: check_lambda(c, e); return;
  case AST_SCAN:
  case AST_ITERATE: check_scan(c, e); return;
  case AST_BLOCK: check_block(c, e, BLOCK_VALUE, false); return;
  case AST_FIELD: {
    const Ast base = ast_child(c->tree, e, FIELD_base);
    check_expr(c, base);
    const AstNode *space = ast_node(c->tree, base);
    if (space->kind != AST_NAME || find_local(c, space->name) ||
        !scope_is_space(c->s, c->scope, space->name, space->span))
      return;
    if (scope_find_in(c->s, c->scope, space->name, node->name, node->span) == SCOPE_NONE)
      diag_error(c->s, "unknown-name", node->name_span, "`%s` defines nothing called `%s`",
                 text_of_name(c, space->name), text_of_name(c, node->name));
    return;
  }
  case AST_PIPE:
    check_expr(c, ast_child(c->tree, e, PIPE_value));
    check_expr(c, ast_child(c->tree, e, PIPE_function));
    return;
  default:
    for (uint32_t i = 0; i < node->count; i++) check_expr(c, ast_child(c->tree, e, i));
    return;
  }
}

/* ---- definitions ---- */

static void check_params(Checker *c, Ast params) {
  bool fallback = false;
  for (uint32_t i = 0; i < ast_count(c->tree, params); i++) {
    const Ast p = ast_child(c->tree, params, i);
    const AstNode *node = ast_node(c->tree, p);
    for (uint32_t k = 0; k < i; k++) {
      const AstNode *old = ast_node(c->tree, ast_child(c->tree, params, k));
      if (!name_is(old->name, node->name)) continue;
      Diag *d = diag_error(c->s, "defined-twice", node->name_span, "the parameter `%s` stands here twice",
                           text_of_name(c, node->name));
      diag_note(c->s, d, old->name_span, "the first");
    }
    check_type(c, ast_child(c->tree, p, PARAMETER_type), true);
    const Ast value = ast_child(c->tree, p, PARAMETER_value);
    check_expr(c, value);
    if (!value.id && fallback && c->where != IN_MODEL) {
      Diag *d = diag_error(c->s, "argument-order", node->span,
                           "the parameter `%s` without a default stands behind one with a default",
                           text_of_name(c, node->name));
      diag_hint(c->s, d, "put it in front, or give it a default");
    }
    fallback = fallback || value.id;
    bind(c, node->name, node->name_span);
  }
}

static void check_body(Checker *c, Ast body, BlockKind kind) {
  if (ast_kind(c->tree, body) == AST_BLOCK)
    check_block(c, body, kind, true);
  else
    check_expr(c, body);
}

static void bind_word(Checker *c, const char *word) { bind(c, intern_text(&c->s->names, word), (Span){0}); }

/* Inputs, targets and outputs of a model have names of their own. */
static void check_model_names(Checker *c, Ast body) {
  const Ast list = ast_child(c->tree, body, BLOCK_items);
  for (uint32_t i = 0; i < ast_count(c->tree, list); i++) {
    const AstNode *node = ast_node(c->tree, ast_child(c->tree, list, i));
    if (node->kind != AST_INPUT && node->kind != AST_TARGET && node->kind != AST_OUTPUT && node->kind != AST_PARAM &&
        node->kind != AST_STATE)
      continue;
    for (uint32_t k = 0; k < i; k++) {
      const AstNode *old = ast_node(c->tree, ast_child(c->tree, list, k));
      if (!name_is(old->name, node->name) || old->kind < AST_PARAM || old->kind > AST_OUTPUT || old->kind == AST_ASSIGN)
        continue;
      Diag *d = diag_error(c->s, "defined-twice", node->name_span, "`%s` is declared a second time in this model",
                           text_of_name(c, node->name));
      diag_note(c->s, d, old->name_span, "the first");
      break;
    }
  }
}

static void check_definition(Checker *c, Ast def) {
  const Tree *tree = c->tree;
  c->locals = NULL, c->definition = def, c->loop = false, c->where = IN_OTHER;
  switch (ast_kind(tree, def)) {
  case AST_CONST: check_expr(c, ast_child(tree, def, CONST_value)); return;
  case AST_FN: {
    c->where = IN_FN;
    check_params(c, ast_child(tree, def, FN_params));
    check_type(c, ast_child(tree, def, FN_type), true);
    check_body(c, ast_child(tree, def, FN_body), BLOCK_VALUE);
    const Ast pullback = ast_child(tree, def, FN_pullback);
    if (!pullback.id) return;
    bind(c, ast_node(tree, pullback)->name, ast_node(tree, pullback)->span);
    check_body(c, ast_child(tree, def, FN_gradient), BLOCK_VALUE);
    return;
  }
  case AST_LAYER:
  case AST_METRIC:
    c->where = ast_kind(tree, def) == AST_LAYER ? IN_LAYER : IN_METRIC;
    check_params(c, ast_child(tree, def, LAYER_params));
    check_type(c, ast_child(tree, def, LAYER_type), true);
    check_body(c, ast_child(tree, def, LAYER_body), BLOCK_VALUE);
    return;
  case AST_INIT:
    check_params(c, ast_child(tree, def, INIT_params));
    check_body(c, ast_child(tree, def, INIT_body), BLOCK_VALUE);
    return;
  case AST_SCHEDULE:
    c->where = IN_SCHEDULE;
    check_params(c, ast_child(tree, def, SCHEDULE_params));
    bind_word(c, "loss");
    check_body(c, ast_child(tree, def, SCHEDULE_body), BLOCK_VALUE);
    return;
  case AST_OPTIMIZER:
    c->where = IN_OPTIMIZER;
    check_params(c, ast_child(tree, def, OPTIMIZER_params));
    bind_word(c, "parameter");
    bind_word(c, "gradient");
    if (ast_node(tree, def)->flag) bind_word(c, "evaluate");
    check_body(c, ast_child(tree, def, OPTIMIZER_body), BLOCK_EFFECTS);
    return;
  case AST_MODEL:
    c->where = IN_MODEL;
    check_params(c, ast_child(tree, def, MODEL_params));
    check_model_names(c, ast_child(tree, def, MODEL_body));
    check_body(c, ast_child(tree, def, MODEL_body), BLOCK_EFFECTS);
    return;
  default: return;
  }
}

/* The settings of a train block; those whose value is a name of the model or a word of theirs are read by the trace. */
static void check_train(Checker *c, Ast train) {
  const Ast list = ast_child(c->tree, train, TRAIN_settings);
  c->locals = NULL, c->where = IN_OTHER;
  for (uint32_t i = 0; i < ast_count(c->tree, list); i++) {
    const Ast setting = ast_child(c->tree, list, i);
    const AstNode *node = ast_node(c->tree, setting);
    if (node->kind != AST_SETTING) continue;
    const char *name = text_of_name(c, node->name);
    for (uint32_t k = 0; k < i; k++) {
      const AstNode *old = ast_node(c->tree, ast_child(c->tree, list, k));
      const bool same = old->kind == AST_SETTING && name_is(old->name, node->name) && !old->text == !node->text &&
                        (!node->text || !strcmp(old->text, node->text));
      if (!same) continue;
      Diag *d = diag_error(c->s, "defined-twice", node->name_span, "the setting `%s` stands here twice", name);
      diag_note(c->s, d, old->name_span, "the first");
      break;
    }
    if (!strcmp(name, "loss") || !strcmp(name, "batch") || !strcmp(name, "start")) continue;
    check_expr(c, ast_child(c->tree, setting, SETTING_value));
  }
}

bool check_file(Session *s, const Tree *tree, Ast file, const Scope *scope) {
  const uint32_t errors = s->errors;
  Checker c = {.s = s, .tree = tree, .scope = scope};
  for (uint32_t i = 0; i < scope->definitions.count; i++) {
    const Place place = source_place(&s->sources, ast_node(tree, scope->definitions.data[i])->span.begin);
    if (place.source && !place.source->embedded) check_definition(&c, scope->definitions.data[i]);
  }
  const Ast items = ast_child(tree, file, FILE_items);
  for (uint32_t i = 0; i < ast_count(tree, items); i++) {
    if (ast_kind(tree, ast_child(tree, items, i)) == AST_TRAIN) check_train(&c, ast_child(tree, items, i));
  }
  arena_free(&c.arena);
  return s->errors == errors;
}
