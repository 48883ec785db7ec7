/* call.c: calls: by position, by name, partial application, pipes. */
#include "call.h"

#include <string.h>

#include "near.h"

typedef Value (*BuiltinRun)(Tracer *t, Call *c);
static const struct {
  BuiltinRun run;
  int prim1, prim2;
} runs[] = {
#define BUILTIN(name, params, doc) {builtin_##name, -1, -1},
#define UNARY(name, prim, doc) {NULL, P_##prim, -1},
#define PAIR(name, prim, doc) {NULL, -1, P_##prim},
#include "builtins.def"
#undef BUILTIN
#undef UNARY
#undef PAIR
};

enum { CALL_DEPTH = 200 };

Value closure_value(Tracer *t, Closure closure, Span span) {
  Closure *c = ARENA_NEW(t->arena, Closure);
  *c = closure;
  return (Value){.kind = V_FUNCTION, .closure = c, .span = span};
}

AstKind closure_kind(Tracer *t, const Closure *c) {
  return c->kind == C_BUILTIN ? AST_KIND_COUNT : ast_kind(t->tree, c->ast);
}

const char *closure_name(Tracer *t, const Closure *c) {
  if (c->kind == C_BUILTIN) return c->builtin->name;
  if (c->kind == C_LAMBDA) return "a lambda";
  return name_of(t, ast_node(t->tree, c->ast)->name);
}

static Ast definition_params(Tracer *t, Ast def) {
  switch (ast_kind(t->tree, def)) {
  case AST_FN: return ast_child(t->tree, def, FN_params);
  case AST_LAYER: return ast_child(t->tree, def, LAYER_params);
  case AST_METRIC: return ast_child(t->tree, def, METRIC_params);
  case AST_INIT: return ast_child(t->tree, def, INIT_params);
  case AST_SCHEDULE: return ast_child(t->tree, def, SCHEDULE_params);
  case AST_OPTIMIZER: return ast_child(t->tree, def, OPTIMIZER_params);
  case AST_MODEL: return ast_child(t->tree, def, MODEL_params);
  case AST_LAMBDA: return ast_child(t->tree, def, LAMBDA_params);
  default: return (Ast){0};
  }
}

static Ast definition_body(Tracer *t, Ast def) {
  switch (ast_kind(t->tree, def)) {
  case AST_FN: return ast_child(t->tree, def, FN_body);
  case AST_LAYER: return ast_child(t->tree, def, LAYER_body);
  case AST_METRIC: return ast_child(t->tree, def, METRIC_body);
  case AST_INIT: return ast_child(t->tree, def, INIT_body);
  case AST_SCHEDULE: return ast_child(t->tree, def, SCHEDULE_body);
  case AST_LAMBDA: return ast_child(t->tree, def, LAMBDA_body);
  default: return (Ast){0};
  }
}

static Ast definition_type(Tracer *t, Ast def) {
  switch (ast_kind(t->tree, def)) {
  case AST_FN: return ast_child(t->tree, def, FN_type);
  case AST_LAYER: return ast_child(t->tree, def, LAYER_type);
  case AST_METRIC: return ast_child(t->tree, def, METRIC_type);
  default: return (Ast){0};
  }
}

uint32_t closure_params(Tracer *t, const Closure *c, Param *params, uint32_t limit) {
  uint32_t n = 0;
  if (c->kind == C_BUILTIN) {
    const char *name;
    uint32_t length;
    bool required, rest;
    for (; n < limit && builtin_param(c->builtin, n, &name, &length, &required, &rest); n++)
      params[n] = (Param){intern(&t->s->names, name, length), required, rest, {0}, {0}};
    return n;
  }
  const Ast list = definition_params(t, c->ast);
  for (; n < limit && n < ast_count(t->tree, list); n++) {
    const Ast p = ast_child(t->tree, list, n);
    const Ast fallback = c->kind == C_LAMBDA ? (Ast){0} : ast_child(t->tree, p, PARAMETER_value);
    const Ast type = c->kind == C_LAMBDA ? (Ast){0} : ast_child(t->tree, p, PARAMETER_type);
    params[n] = (Param){ast_node(t->tree, p)->name, !fallback.id, false, type, fallback};
  }
  return n;
}

uint32_t closure_lacking(Tracer *t, const Closure *c) {
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  uint32_t lacking = 0;
  for (uint32_t i = 0; i < n; i++) lacking += params[i].required && (!c->bound || c->bound[i].kind == V_ABSENT);
  return lacking;
}

/* The definition's first line, as it stands; of a primitive, its name and parameters. */
static void show_definition(Tracer *t, Diag *d, const Closure *c) {
  if (c->kind == C_BUILTIN) {
    diag_hint(t->s, d, "it is called as `%s(%s)`; `?`: may be left out", c->builtin->name, c->builtin->params);
    return;
  }
  diag_note(t->s, d, definition_line(t->s, ast_node(t->tree, c->ast)->span), "it is defined here");
}

/* ---- binding arguments ---- */

static bool bind_named(Tracer *t, const Closure *c, const Param *params, uint32_t n, const Arg *arg, Value *slots,
                       uint64_t *fresh) {
  for (uint32_t i = 0; i < n; i++) {
    if (!name_is(params[i].name, arg->name)) continue;
    if (*fresh >> i & 1) {
      trace_error(t, "argument-twice", arg->span, "`%s` is given twice", name_of(t, arg->name));
      return false;
    }
    slots[i] = arg->value;
    *fresh |= 1ull << i;
    return true;
  }
  const char *near[PARAM_LIMIT];
  for (uint32_t i = 0; i < n; i++) near[i] = name_of(t, params[i].name);
  if (c->kind == C_DEFINITION) {
    diag_unknown_argument(t->s, t->tree, arg->span, name_of(t, arg->name), c->ast, near, n);
    return false;
  }
  Diag *d =
      trace_error(t, "unknown-argument", arg->span, "%s%s%s has no parameter `%s`", c->kind == C_LAMBDA ? "" : "`",
                  closure_name(t, c), c->kind == C_LAMBDA ? "" : "`", name_of(t, arg->name));
  show_definition(t, d, c);
  const char *guess = near_find(name_of(t, arg->name), near, n);
  if (guess) diag_hint(t->s, d, "did you mean `%s`?", guess);
  return false;
}

/* Fills `slots`, one a parameter; *complete is false for a partial application. */
static bool bind_args(Tracer *t, const Closure *c, const Param *params, uint32_t n, const Arg *args, uint32_t count,
                      Value *slots, bool *complete, Span span) {
  uint64_t fresh = 0;
  uint32_t positional = 0, lacking = 0;
  for (uint32_t i = 0; i < n; i++) slots[i] = c->bound ? c->bound[i] : (Value){.kind = V_ABSENT};
  for (uint32_t i = 0; i < count; i++) {
    if (!args[i].name.id)
      positional++;
    else if (!bind_named(t, c, params, n, &args[i], slots, &fresh))
      return false;
  }
  for (uint32_t i = 0; i < n; i++) lacking += params[i].required && slots[i].kind == V_ABSENT;
  const bool partial = positional < lacking && !(n && params[0].rest);
  uint32_t skip = partial ? lacking - positional : 0, at = 0;
  *complete = !partial;
  for (uint32_t k = 0; k < count; k++) {
    if (args[k].name.id) continue;
    for (;; at++) {
      if (at == n) {
        uint32_t most = 0;
        for (uint32_t i = 0; i < n; i++) most += !(c->bound && c->bound[i].kind != V_ABSENT);
        Diag *d = trace_error(t, "too-many-arguments", args[k].span, "%s takes at most %u argument%s",
                              c->kind == C_LAMBDA ? "the lambda" : text_of(t, "`%s`", closure_name(t, c)), most,
                              most == 1 ? "" : "s");
        show_definition(t, d, c);
        return false;
      }
      if (params[at].rest) break;
      if (slots[at].kind != V_ABSENT || (partial && !params[at].required)) continue;
      if (!skip) break;
      skip--;
    }
    if (params[at].rest) {
      if (slots[at].kind == V_ABSENT) slots[at] = (Value){.kind = V_TUPLE, .items = values_new(t, count), .span = span};
      slots[at].items[slots[at].count++] = args[k].value;
    } else {
      slots[at++] = args[k].value;
    }
  }
  for (uint32_t i = 0; i < n; i++) {
    if (params[i].rest && slots[i].kind == V_ABSENT)
      slots[i] = (Value){.kind = V_TUPLE, .items = values_new(t, 1), .span = span};
  }
  return true;
}

/* ---- running ---- */

/* Arguments are matched in the order of the parameters; a default sees what stands before it. */
bool closure_env(Tracer *t, const Closure *c, const Value *args, Env *env, Span span) {
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  const Ast list = definition_params(t, c->ast);
  bool ok = true;
  for (uint32_t i = 0; i < n; i++) {
    Value v = args[i];
    const Span at = ast_node(t->tree, ast_child(t->tree, list, i))->name_span;
    if (v.kind == V_ABSENT) v = eval(t, params[i].fallback, env);
    if (c->kind != C_LAMBDA) {
      const char *what = text_of(t, "argument `%s` of `%s`", name_of(t, params[i].name), closure_name(t, c));
      const bool written_here = v.span.begin >= span.begin && v.span.end <= span.end && v.span.end > v.span.begin;
      const Span place = written_here ? v.span : span;
      if (!type_match(t, params[i].type, &v, env, what, place)) ok = false, v = value_poison();
    }
    env_bind(t, env, params[i].name, v, at);
  }
  return ok;
}

static Value run_body(Tracer *t, const Closure *c, const Value *args, Span span) {
  Env env = {c->env};
  if (!closure_env(t, c, args, &env, span)) return value_poison();
  Value out = eval(t, definition_body(t, c->ast), &env);
  const Ast type = definition_type(t, c->ast);
  if (type.id && !value_bad(out)) {
    const char *what = text_of(t, "the result of `%s`", closure_name(t, c));
    if (!type_match(t, type, &out, &env, what, out.span)) return value_poison();
  }
  return out;
}

static Value run_gradient(Tracer *t, const Closure *c, const Value *args, Value y, Span span);

static bool gives_probabilities(const char *name) { return !strcmp(name, "softmax") || !strcmp(name, "sigmoid"); }

static Value run_builtin(Tracer *t, const Closure *c, Value *args, Span span) {
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  for (uint32_t i = 0; i < n; i++) {
    if (value_bad(args[i])) return value_poison();
  }
  const BuiltinId id = builtin_id(c->builtin);
  if (runs[id].prim1 >= 0) {
    Value v = op_prim1(t, (Prim)runs[id].prim1, args[0], span);
    if (v.kind == V_TENSOR) v.exact = gives_probabilities(c->builtin->name);
    return v;
  }
  if (runs[id].prim2 >= 0) return op_prim2(t, (Prim)runs[id].prim2, args[0], args[1], span);
  Value v = runs[id].run(t, &(Call){c->builtin, args, span});
  if (v.kind == V_TENSOR) v.span = span, v.exact = false;
  return v;
}

static bool has_state(Tracer *t, Ast body) {
  const Ast list = ast_kind(t->tree, body) == AST_BLOCK ? ast_child(t->tree, body, BLOCK_items) : (Ast){0};
  for (uint32_t i = 0; i < ast_count(t->tree, list); i++) {
    if (ast_kind(t->tree, ast_child(t->tree, list, i)) == AST_STATE) return true;
  }
  return false;
}

/* A metric with states: once to write them, and once more for its value, which sees the states as they are then. */
static Value run_metric(Tracer *t, const Closure *c, const Value *args, Span span) {
  Value out = value_poison();
  Instance *instance = instance_child(t, closure_name(t, c), false, span);
  for (int final = 0; final < 2 && !t->s->errors; final++) {
    Frame frame;
    frame_push(t, &frame, instance, c->ast, true);
    frame.kind = SLOT_METRIC, frame.final = final;
    out = run_body(t, c, args, span);
    frame_pop(t);
  }
  if (!value_bad(out) && out.kind == V_TENSOR && out.batched) {
    Diag *d = trace_error(t, "metric-batched", out.span,
                          "the value of a metric with states depends on states alone; this is one for each example");
    diag_hint(t->s, d, "add it up in a state: `total <- total + sum(x, over = batch)`");
    return value_poison();
  }
  t->metric_final = true;
  return out;
}

/* A schedule with states, which sees the loss of the batch: one instance a call, whatever number of parameters it serves. */
static Value run_schedule(Tracer *t, const Closure *c, const Value *args, Span span) {
  if (!t->train_loss.id) {
    trace_error(t, "no-owner", span, "the schedule `%s` has states: it can be the setting of an optimiser alone",
                closure_name(t, c));
    return value_poison();
  }
  const char *name = closure_name(t, c);
  Instance *instance = instance_get(t, text_of(t, "%s_%u", name, ++t->schedules), span);
  Frame frame;
  Env env = {0};
  Value out = value_poison();
  frame_push(t, &frame, instance, c->ast, true);
  if (closure_env(t, c, args, &env, span)) {
    const Node loss = build_stop(t->graph, build_cast(t->graph, t->train_loss, t->graph->float_type));
    env_bind(t, &env, intern_text(&t->s->names, "loss"), value_tensor(t, loss, false, span), span);
    out = eval_block(t, definition_body(t, c->ast), &env);
  }
  frame_pop(t);
  return out;
}

static Value *apart(Tracer *t, const Closure *c, const Value *args) {
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  Value *out = values_new(t, n);
  for (uint32_t i = 0; i < n; i++) {
    out[i] = args[i];
    if (args[i].kind == V_TENSOR && args[i].graph == t->graph_index && type_is_float(value_type(t, args[i])))
      out[i].node = build_mark(t->graph, args[i].node);
  }
  return out;
}

static Value run_closure(Tracer *t, const Closure *c, Value *args, Span span) {
  if (c->kind == C_BUILTIN) return run_builtin(t, c, args, span);
  const AstKind kind = closure_kind(t, c);
  if (t->calls.count >= CALL_DEPTH) {
    Diag *d = trace_error(t, "endless-recursion", span, "`%s` calls itself more than %d deep", closure_name(t, c),
                          CALL_DEPTH);
    diag_hint(t->s, d, "a definition that calls itself needs an `if` on a value known while compiling that ends it");
    return value_poison();
  }
  suspect_call(t, c, args, span);
  vec_push(&t->calls, ((CallSite){span, closure_name(t, c), c->ast}));
  suspect_origin(t);
  Value out;
  const bool own = kind == AST_FN && ast_child(t->tree, c->ast, FN_gradient).id;
  if (own && t->graph_index == GRAPH_TRAIN) args = apart(t, c, args); /* to be differentiated by */
  if (c->instance)
    out = instance_run(t, c->instance, c, args, span);
  else if (kind == AST_LAYER)
    out = instance_run(t, instance_child(t, closure_name(t, c), true, span), c, args, span);
  else if (kind == AST_METRIC && has_state(t, definition_body(t, c->ast)))
    out = run_metric(t, c, args, span);
  else if (kind == AST_SCHEDULE && has_state(t, definition_body(t, c->ast)))
    out = run_schedule(t, c, args, span);
  else
    out = run_body(t, c, args, span);
  if (own && !value_bad(out))
    out = run_gradient(t, c, args, out, span);
  t->calls.count--;
  suspect_origin(t);
  if (out.kind == V_TENSOR)
    out.span = span, out.exact = c->kind == C_DEFINITION && gives_probabilities(closure_name(t, c));
  return out;
}

Value closure_body(Tracer *t, const Closure *c, const Value *args, Span span) { return run_body(t, c, args, span); }

static bool within_loop(Tracer *t, Node n) {
  const Graph *g = t->graph;
  uint8_t *needed = ARENA_ARRAY(t->arena, uint8_t, n.id + 1), *closed = ARENA_ARRAY(t->arena, uint8_t, g->loops + 1);
  needed[n.id] = 1;
  for (uint32_t id = n.id; id > 0; id--) {
    if (!needed[id]) continue;
    const Prim prim = node_prim(g, (Node){id});
    if (prim == P_LOOP) closed[node_attr(g, (Node){id})[0]] = 1;
    if ((prim == P_CARRY || prim == P_ITEM) && !closed[node_attr(g, (Node){id})[0]]) return true;
    for (uint32_t i = 0; i < node_data(g, (Node){id})->count; i++) needed[node_in(g, (Node){id}, i).id] = 1;
  }
  return false;
}

/* For gradcheck: what `given`, a gradient by x for dy, is for a random dy, beside the gradient of y itself. */
static void note_rule(Tracer *t, const char *name, Node y, Node x, Node given, Node dy, Span at) {
  Graph *g = t->graph;
  if (t->graph_index != GRAPH_TRAIN || t->rules.count >= 64 || within_loop(t, given) || within_loop(t, y)) return;
  const Node random = build_random(g, 0, 0xfffffff0u, node_type(g, y), node_shape(g, y));
  const Node asked = graph_substitute(g, given, dy, random);
  Node derived;
  suspect_reverse(t, y, random, &x, 1, &derived);
  if (!derived.id) derived = build_full(g, node_type(g, x), 0, node_shape(g, x));
  vec_push(&t->rules, ((Rule){name, asked, derived, at}));
}

/* The rule is traced with a mark for dy; OWN keeps what it gives for each argument. */
static Value run_gradient(Tracer *t, const Closure *c, const Value *args, Value y, Span span) {
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  if (!value_to_float(t, &y, span)) return value_poison();
  Graph *g = t->graph;
  Env env = {c->env};
  if (!closure_env(t, c, args, &env, span)) return value_poison();
  Value dy = y;
  dy.node = build_mark(g, build_full(g, value_type(t, y), 1, node_shape(g, y.node)));
  env_bind(t, &env, ast_node(t->tree, ast_child(t->tree, c->ast, FN_pullback))->name, dy, span);
  const Ast rule = ast_child(t->tree, c->ast, FN_gradient);
  const Value all = eval(t, rule, &env);
  if (value_bad(all)) return all;
  const Span at = ast_node(t->tree, rule)->span;
  const uint32_t given = all.kind == V_TUPLE ? all.count : 1;
  if (given != n) {
    trace_error(t, "gradient-count", at, "`with gradient` gives one expression a parameter: %u wanted, found %u", n,
                given);
    return value_poison();
  }
  Node pairs[2 * PARAM_LIMIT];
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    Value dx = all.kind == V_TUPLE ? all.items[i] : all;
    Value x = env_find(&env, params[i].name)->value;
    if (dx.kind == V_NONE || x.kind != V_TENSOR || !type_is_float(value_type(t, x))) continue;
    if (!value_to_float(t, &dx, at)) return value_poison();
    if (dx.kind == V_TENSOR && dx.batched && !x.batched) { /* by what all examples share: the sum over them */
      dx.node = build_reduce(g, P_SUM, dx.node, (const int64_t[]){0}, 1);
      dx.batched = false;
    }
    Value both[2] = {dx, x};
    const Dims want = value_dims(t, x);
    if (!tensors_unify(t, both, 2, true, at) || !tensors_align(t, both, 2, true, at, "`with gradient`"))
      return value_poison();
    const Dims got = value_dims(t, both[0]);
    if (!dims_equal(&want, &got) || both[0].batched != x.batched) {
      trace_error(t, "shape-mismatch", at, "the gradient by `%s` must have its shape %s; found %s",
                  name_of(t, params[i].name), dims_text(t, &want), value_describe(t, dx));
      return value_poison();
    }
    note_rule(t, text_of(t, "`%s` by `%s`", closure_name(t, c), name_of(t, params[i].name)), y.node, x.node,
              both[0].node, dy.node, at);
    pairs[2 * count] = x.node, pairs[2 * count + 1] = both[0].node;
    count++;
  }
  y.node = build_own(g, y.node, dy.node, pairs, count);
  return y;
}

Value call_value(Tracer *t, Value callee, Arg *args, uint32_t count, Span span) {
  if (value_bad(callee)) return callee;
  for (uint32_t i = 0; i < count; i++) {
    if (value_bad(args[i].value)) return value_poison();
  }
  if (callee.kind == V_BUNDLE) return bundle_call(t, callee, args, count, span);
  if (callee.kind != V_FUNCTION && callee.kind != V_INSTANCE) {
    Diag *d = trace_error(t, "not-a-function", span, "%s cannot be called", value_describe(t, callee));
    note_value(t, d, callee, span, "it");
    if (callee.kind == V_TENSOR) diag_hint(t->s, d, "a product is `a * b`");
    if (callee.kind == V_DISTRIBUTION) diag_hint(t->s, d, "a shape takes square brackets: `[3, 4]`");
    return value_poison();
  }
  const Closure *c = callee.closure;
  const AstKind kind = closure_kind(t, c);
  if (kind == AST_MODEL || kind == AST_DATA || kind == AST_TRAIN) {
    trace_error(t, "not-a-function", span, "a %s cannot be called", ast_kind_word(kind));
    return value_poison();
  }
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  Value *slots = values_new(t, n);
  bool complete;
  if (!bind_args(t, c, params, n, args, count, slots, &complete, span)) return value_poison();
  if (!complete || kind == AST_OPTIMIZER) {
    if (c->kind == C_LAMBDA || callee.kind == V_INSTANCE) {
      trace_error(t, "missing-argument", span, "%s lacks an argument: %u given", value_describe(t, callee), count);
      return value_poison();
    }
    Closure partial = *c;
    partial.bound = slots, partial.called = true, partial.span = span;
    return closure_value(t, partial, span);
  }
  return run_closure(t, c, slots, span);
}

Value call_simple(Tracer *t, Value callee, Value *args, uint32_t count, Span span) {
  Arg list[8];
  for (uint32_t i = 0; i < count && i < 8; i++) list[i] = (Arg){{0}, args[i], span};
  return call_value(t, callee, list, count, span);
}

/* ---- syntax ---- */

static Arg *eval_args(Tracer *t, Ast list, Env *env, const Value *first, uint32_t *count) {
  const uint32_t n = ast_count(t->tree, list);
  Arg *args = ARENA_ARRAY(t->arena, Arg, n + 1);
  *count = 0;
  if (first) args[(*count)++] = (Arg){{0}, *first, first->span};
  for (uint32_t i = 0; i < n; i++) {
    const Ast e = ast_child(t->tree, list, i);
    const AstNode *node = ast_node(t->tree, e);
    if (node->kind == AST_ARG)
      args[(*count)++] = (Arg){node->name, eval(t, ast_child(t->tree, e, ARG_value), env), node->span};
    else
      args[(*count)++] = (Arg){{0}, eval(t, e, env), node->span};
  }
  return args;
}

Value eval_call(Tracer *t, Ast e, Env *env) {
  const Span span = ast_node(t->tree, e)->span;
  const Value callee = eval(t, ast_child(t->tree, e, CALL_callee), env);
  uint32_t count;
  Arg *args = eval_args(t, ast_child(t->tree, e, CALL_args), env, NULL, &count);
  return call_value(t, callee, args, count, span);
}

/* e |> f(a) is f(e, a). */
Value eval_pipe(Tracer *t, Ast e, Env *env) {
  const Ast f = ast_child(t->tree, e, PIPE_function);
  const Value value = eval(t, ast_child(t->tree, e, PIPE_value), env);
  const Span at = ast_node(t->tree, f)->span;
  uint32_t count = 1;
  if (ast_kind(t->tree, f) == AST_CALL) {
    const Value callee = eval(t, ast_child(t->tree, f, CALL_callee), env);
    Arg *args = eval_args(t, ast_child(t->tree, f, CALL_args), env, &value, &count);
    if (!in_library(t, at)) t->graph->span = at; /* not all of the pipeline */
    return call_value(t, callee, args, count, at);
  }
  const Value callee = eval(t, f, env);
  Arg arg = {{0}, value, value.span};
  if (!in_library(t, at)) t->graph->span = at;
  return call_value(t, callee, &arg, 1, at);
}
