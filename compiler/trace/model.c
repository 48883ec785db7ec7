/* model.c: the model's block: inputs, outputs, losses and metrics. */
#include <string.h>

#include "call.h"
#include "near.h"

/* ---- which model ---- */

bool model_choose(Tracer *t) {
  Vec(const char *) names = {0};
  const Ast items = ast_child(t->tree, t->file, FILE_items);
  for (uint32_t i = 0; i < ast_count(t->tree, items); i++) {
    const Ast item = ast_child(t->tree, items, i);
    if (ast_kind(t->tree, item) != AST_MODEL) continue;
    const char *name = name_of(t, ast_node(t->tree, item)->name);
    vec_push(&names, name);
    if (!t->options->model || !strcmp(t->options->model, name)) t->model = item;
  }
  const Span at = ast_node(t->tree, t->file)->span;
  if (!t->model.id && !names.count) {
    Diag *d = diag_error(t->s, "no-model", (Span){at.begin, at.begin}, "this file defines no model");
    diag_hint(t->s, d, "a model is `model name { input x: [4] ... }`; `gradc new` writes one to start from");
  } else if (!t->model.id) {
    Diag *d =
        diag_error(t->s, "no-model", (Span){at.begin, at.begin}, "this file defines no model `%s`", t->options->model);
    const char *near = near_find(t->options->model, names.data, names.count);
    diag_hint(t->s, d, near ? "did you mean `%s`?" : "it defines `%s`", near ? near : names.data[0]);
  }
  vec_free(&names);
  return t->model.id != 0;
}

/* ---- inputs ---- */

static uint32_t slot_named(Tracer *t, const char *name) {
  const Graph *g = t->graph;
  for (uint32_t i = 0; i < g->slots.count; i++) {
    if (g->slots.data[i].kind <= SLOT_TARGET && !strcmp(g->slots.data[i].name, name)) return i;
  }
  return UINT32_MAX;
}

static void eval_input(Tracer *t, Ast item, Env *env) {
  const AstNode node = *ast_node(t->tree, item);
  const bool is_target = node.kind == AST_TARGET;
  Declared declared;
  const int block = data_block(t, ast_child(t->tree, item, is_target ? TARGET_source : INPUT_source), node.span);
  if (!type_eval(t, ast_child(t->tree, item, is_target ? TARGET_type : INPUT_type), env, &declared) || block < 0) {
    env_bind(t, env, node.name, value_poison(), node.name_span);
    return;
  }
  for (uint32_t i = 0; i < declared.dims.rank; i++) {
    if (!dim_is_batch(declared.dims.dims[i]) && declared.dims.dims[i] > 0) continue;
    trace_error(t, "bad-extent", node.span, "an input's extents are known and not 0; found %s",
                dims_text(t, &declared.dims));
    env_bind(t, env, node.name, value_poison(), node.name_span);
    return;
  }
  if (declared.dims.rank >= GRAPH_MAX_RANK) {
    trace_limit(t, "rank-limit", node.span, "more than %d axes have no meaning yet", GRAPH_MAX_RANK - 1);
    env_bind(t, env, node.name, value_poison(), node.name_span);
    return;
  }
  const char *name = name_of(t, node.name);
  uint32_t slot = slot_named(t, name);
  if (slot == UINT32_MAX) {
    Dims all = {declared.dims.rank + 1, {DIM_BATCH - block}};
    memcpy(all.dims + 1, declared.dims.dims, sizeof *all.dims * declared.dims.rank);
    slot = slot_add(t, (Slot){.kind = is_target ? SLOT_TARGET : SLOT_INPUT,
                              .name = name,
                              .type = declared.element,
                              .classes = declared.classes,
                              .shape = shape_of(t->graphs[GRAPH_INIT], &all),
                              .span = node.span});
  }
  Value v = value_tensor(t, build_slot(t->graph, slot), true, node.span);
  v.classes = declared.classes;
  env_bind(t, env, node.name, v, node.name_span);
}

/* ---- losses and metrics ---- */

/* The number of elements, as an F64 scalar: extents of the batch are known when the code runs. */
static Node element_count(Tracer *t, Value v) {
  const Dims dims = value_dims(t, v);
  double known = 1;
  Node count = v.batched ? build_extent(t->graph, value_batch(t, v)) : NODE_NONE;
  for (uint32_t i = 0; i < dims.rank; i++) {
    if (!dim_is_batch(dims.dims[i])) {
      known *= (double)dims.dims[i];
      continue;
    }
    const Node more = build_extent(t->graph, dims.dims[i]);
    count = count.id ? build_mul(t->graph, count, more) : more;
  }
  const Node number = build_const(t->graph, TYPE_F64, known);
  return !count.id ? number : known == 1 ? count : build_mul(t->graph, count, number);
}

/* Over the example's axes in the float type, over the batch in F64, so that sums over large batches stay accurate. */
static Node sum_all(Tracer *t, Value v) {
  const Dims dims = value_dims(t, v);
  Over over = {false, dims.rank, {0}};
  for (uint32_t i = 0; i < dims.rank; i++) over.axes[i] = i;
  v = value_cast(t, op_reduce(t, P_SUM, v, &over, false, v.span), TYPE_F64);
  const Over batch = {true, 0, {0}};
  return v.batched ? op_reduce(t, P_SUM, v, &batch, false, v.span).node : v.node;
}

bool term_reduce(Tracer *t, Value e, Value weight, Span at, Span weight_at, Node *sum, Node *weights) {
  if (value_bad(e) || value_bad(weight) || !value_to_float(t, &e, at)) return false;
  if (weight.kind == V_ABSENT) {
    *sum = sum_all(t, e), *weights = element_count(t, e);
    return true;
  }
  if (weight.kind == V_NUMBER || weight.kind == V_BOOL) {
    if (!value_to_float(t, &weight, weight_at)) return false;
  } else if (!value_to_tensor(t, &weight, t->graph->float_type, weight_at)) {
    return false;
  }
  if (value_type(t, weight) == TYPE_I32) weight = value_cast(t, weight, t->graph->float_type);
  Value both[2] = {e, weight};
  const Dims wanted = value_dims(t, e), given = value_dims(t, weight);
  const uint32_t errors = t->s->errors;
  Dims all = wanted;
  bool fits = given.rank <= wanted.rank;
  for (uint32_t i = 0; fits && i < given.rank; i++) {
    const int64_t extent = given.dims[given.rank - 1 - i];
    fits = extent == 1 || extent == all.dims[all.rank - 1 - i];
  }
  if (!fits) {
    Diag *d = trace_error(t, "weight-mismatch", weight_at,
                          "a weight has the shape of its loss or is broadcast to it; found %s beside %s",
                          dims_text(t, &given), dims_text(t, &wanted));
    note_value(t, d, e, at, "the loss");
    return false;
  }
  if (!tensors_align(t, both, 2, true, weight_at, "a weight") || t->s->errors != errors) return false;
  const Value zero = value_number(0, true, weight_at), w = both[1];
  Value product = both[0];
  if (value_type(t, w) != TYPE_BOOL) product = op_binary(t, OP_MUL, product, w, at);
  *sum = sum_all(t, op_select(t, w, product, zero, at)); /* where w is 0, e counts nothing, even NaN */
  *weights = sum_all(t, value_cast(t, w, t->graph->float_type));
  return true;
}

static const char *term_name(Tracer *t, const AstNode *node, const char *base, bool metric) {
  const char *name = node->name.id ? name_of(t, node->name) : base;
  for (uint32_t n = 1;; n++) {
    const char *candidate = n == 1 ? name : text_of(t, "%s_%u", name, n);
    bool taken = false;
    for (uint32_t i = 0; i < (metric ? t->metrics.count : t->losses.count); i++)
      taken = taken || !strcmp(metric ? t->metrics.data[i].name : t->losses.data[i].name, candidate);
    if (!taken) return candidate;
  }
}

/* A metric without a name is called as its function. */
static const char *callee_name(Tracer *t, Ast e) {
  while (ast_kind(t->tree, e) == AST_PIPE) e = ast_child(t->tree, e, PIPE_function);
  if (ast_kind(t->tree, e) == AST_CALL) e = ast_child(t->tree, e, CALL_callee);
  const AstKind kind = ast_kind(t->tree, e);
  return kind == AST_NAME || kind == AST_FIELD ? name_of(t, ast_node(t->tree, e)->name) : "metric";
}

/* A metric with states: its value, of the states as they are after this batch. It has no weight: the last one counts.
 */
static void final_metric(Tracer *t, Value e, Term *term, Span at, bool metric, Ast weight) {
  if (value_bad(e) || !value_to_float(t, &e, at)) return;
  if (!metric || weight.id) {
    trace_error(t, "final-metric", at,
                metric ? "a metric with states takes no `weight`: it has its own sums"
                       : "a metric with states cannot be a loss");
    return;
  }
  const Dims dims = value_dims(t, e);
  for (uint32_t i = 0; i < dims.rank; i++) {
    if (!dim_is_batch(dims.dims[i])) continue;
    trace_error(t, "metric-batched", at, "the value of a metric cannot have the batch as an axis; found %s",
                value_describe(t, e));
    return;
  }
  term->sum = value_cast(t, e, TYPE_F64).node;
  vec_push(&t->metrics, *term);
}

static void eval_term(Tracer *t, Ast item, Env *env) {
  const AstNode node = *ast_node(t->tree, item);
  const bool metric = node.kind == AST_MEASURE;
  const Ast value = ast_child(t->tree, item, metric ? MEASURE_value : LOSS_value);
  const Ast weight = ast_child(t->tree, item, metric ? MEASURE_weight : LOSS_weight);
  t->metric_final = false;
  const Value e = eval(t, value, env);
  const bool final = t->metric_final;
  const Value w = weight.id ? eval(t, weight, env) : (Value){.kind = V_ABSENT};
  Term term = {.span = node.span, .is_metric = metric, .weighted = weight.id != 0};
  term.name = term_name(t, &node, metric ? callee_name(t, value) : "loss", metric);
  const Span at = ast_node(t->tree, value)->span;
  t->graph->span = at;
  if (final) {
    if (!t->training) final_metric(t, e, &term, at, metric, weight);
    return;
  }
  if (!term_reduce(t, e, w, at, weight.id ? ast_node(t->tree, weight)->span : at, &term.sum, &term.weight)) return;
  if (metric)
    vec_push(&t->metrics, term);
  else
    vec_push(&t->losses, term);
}

Node losses_total(Tracer *t, const char *only) {
  Node total = NODE_NONE;
  Graph *g = t->graph;
  for (uint32_t i = 0; i < t->losses.count; i++) {
    const Term *term = &t->losses.data[i];
    if (only && strcmp(only, term->name)) continue;
    g->span = term->span;
    Node value = build_div(g, term->sum, term->weight);
    if (term->weighted) {
      const Node zero = build_const(g, TYPE_F64, 0), some = build_binary(g, P_NE, term->weight, zero);
      value = build_select(g, some, value, zero);
    }
    total = total.id ? build_add(g, total, value) : value;
  }
  return total;
}

/* ---- the block ---- */

static void eval_output(Tracer *t, Ast item, Env *env) {
  const AstNode node = *ast_node(t->tree, item);
  Value v = eval(t, ast_child(t->tree, item, OUTPUT_value), env);
  if (!value_bad(v) && !value_to_tensor(t, &v, t->graph->float_type, node.span)) v = value_poison();
  env_bind(t, env, node.name, v, node.name_span);
  const char *name = name_of(t, node.name);
  if (value_bad(v)) return;
  vec_push(&t->outputs, v);
  vec_push(&t->output_names, name);
}

static void eval_model_item(Tracer *t, Ast item, Env *env) {
  switch (ast_kind(t->tree, item)) {
  case AST_INPUT:
  case AST_TARGET: eval_input(t, item, env); break;
  case AST_OUTPUT: eval_output(t, item, env); break;
  case AST_LOSS:
  case AST_MEASURE: eval_term(t, item, env); break;
  default: eval_statement(t, item, env); break;
  }
}

static void bind_settings(Tracer *t, Env *env) {
  const Ast list = ast_child(t->tree, t->model, MODEL_params);
  for (uint32_t i = 0; i < ast_count(t->tree, list); i++) {
    const Ast p = ast_child(t->tree, list, i);
    const AstNode node = *ast_node(t->tree, p);
    const Ast fallback = ast_child(t->tree, p, PARAMETER_value), type = ast_child(t->tree, p, PARAMETER_type);
    const char *name = name_of(t, node.name);
    Value v = value_poison();
    if (!setting_overridden(t, name, &v, node.span)) {
      if (fallback.id)
        v = eval(t, fallback, env);
      else
        diag_hint(
            t->s,
            trace_error(t, "setting-without-value", node.span, "the setting `%s` of the model has no value", name),
            "give it a default: `%s = 64`", name);
    }
    if (type.id && !value_bad(v) && !type_match(t, type, &v, env, text_of(t, "the setting `%s`", name), node.span))
      v = value_poison();
    if (!value_bad(v)) setting_list(t, name, v);
    env_bind(t, env, node.name, v, node.name_span);
  }
}

bool model_trace(Tracer *t) {
  t->losses.count = t->metrics.count = t->outputs.count = t->output_names.count = 0;
  t->pass++, t->in_model = true;
  Env env = {0};
  Frame frame;
  frame_push(t, &frame, instance_get(t, "", ast_node(t->tree, t->model)->span), t->model, true);
  bind_settings(t, &env);
  const Ast list = ast_child(t->tree, ast_child(t->tree, t->model, MODEL_body), BLOCK_items);
  for (uint32_t i = 0; i < ast_count(t->tree, list); i++) eval_model_item(t, ast_child(t->tree, list, i), &env);
  frame_pop(t);
  t->in_model = false;
  return !t->s->errors;
}
