/* clip.c: gradients cut by value, each by its own norm, or all by their one norm. */
#include "optimize.h"

/* A limit as an F64 scalar; none: NODE_NONE. */
static Node limit_of(Tracer *t, const char *name, const char *parameter, Span *at) {
  Value v = train_value(t, name, parameter, at);
  if (v.kind == V_ABSENT || value_bad(v)) return NODE_NONE;
  if (!parameter) setting_list(t, name, v);
  if (!value_to_float(t, &v, *at)) return NODE_NONE;
  if (value_dims(t, v).rank || v.batched) {
    trace_error(t, "bad-setting", *at, "`%s` is a number; found %s", name, value_describe(t, v));
    return NODE_NONE;
  }
  return build_cast(t->graph, v.node, TYPE_F64);
}

static Node squares_of(Graph *g, Node gradient) {
  const Dims dims = *node_dims(g, gradient);
  int64_t axes[GRAPH_MAX_RANK];
  for (uint32_t k = 0; k < dims.rank; k++) axes[k] = k;
  const Node square = build_mul(g, gradient, gradient);
  return build_cast(g, dims.rank ? build_reduce(g, P_SUM, square, axes, dims.rank) : square, TYPE_F64);
}

/* 1, or limit / norm above the limit */
static Node scale_of(Graph *g, Node squares, Node limit) {
  const Node norm = build_unary(g, P_SQRT, squares);
  return build_select(g, build_binary(g, P_LT, limit, norm), build_div(g, limit, norm), build_const(g, TYPE_F64, 1));
}

static Node scaled(Graph *g, Node gradient, Node scale) {
  return build_mul(g, gradient, build_cast(g, scale, node_type(g, gradient)));
}

static void clip_value(Tracer *t, Node *gradient, const char *name) {
  Graph *g = t->graph;
  Span at;
  const Node wide = limit_of(t, "clip_value", name, &at);
  if (!wide.id) return;
  const Node limit = build_cast(g, wide, node_type(g, *gradient)), low = build_neg(g, limit);
  const Node above = build_select(g, build_binary(g, P_LT, limit, *gradient), limit, *gradient);
  *gradient = build_select(g, build_binary(g, P_LT, above, low), low, above);
}

static void clip_each(Tracer *t, Node *gradient, const char *name) {
  Span at;
  const Node limit = limit_of(t, "clip_each", name, &at);
  if (!limit.id) return;
  t->graph->span = at;
  *gradient = scaled(t->graph, *gradient, scale_of(t->graph, squares_of(t->graph, *gradient), limit));
}

/* One norm for all parameters that one line speaks of. */
static void clip_norm(Tracer *t, const char *const *names, Node *gradients, uint32_t count) {
  Graph *g = t->graph;
  bool *done = ARENA_ARRAY(t->arena, bool, count + 1);
  Ast *lines = ARENA_ARRAY(t->arena, Ast, count + 1);
  for (uint32_t i = 0; i < count; i++) lines[i] = train_setting(t, "clip_norm", names[i]);
  for (uint32_t i = 0; i < count; i++) {
    if (done[i]) continue;
    Span at;
    const Node limit = limit_of(t, "clip_norm", names[i], &at);
    Node squares = NODE_NONE;
    for (uint32_t k = i; limit.id && k < count; k++) {
      if (lines[k].id != lines[i].id) continue;
      const Node more = squares_of(g, gradients[k]);
      squares = squares.id ? build_add(g, squares, more) : more;
    }
    for (uint32_t k = i; k < count; k++) {
      if (lines[k].id != lines[i].id) continue;
      if (limit.id) g->span = at, gradients[k] = scaled(g, gradients[k], scale_of(g, squares, limit));
      done[k] = true;
    }
  }
}

void clip_gradients(Tracer *t, Owned **list, Node *gradients, uint32_t count) {
  static const char *const words[] = {"clip_value", "clip_each", "clip_norm"};
  const char **names = ARENA_ARRAY(t->arena, const char *, count + 1);
  Span at;
  for (int i = 0; i < 3; i++) limit_of(t, words[i], NULL, &at); /* for the list of settings */
  for (uint32_t i = 0; i < count; i++) {
    names[i] = t->graph->slots.data[list[i]->slot].name;
    clip_value(t, &gradients[i], names[i]);
    clip_each(t, &gradients[i], names[i]);
  }
  clip_norm(t, names, gradients, count);
}
