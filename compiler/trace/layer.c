/* layer.c: instances: dotted names, parameters and states, sharing, what states become. */
#include <string.h>

#include "call.h"

Instance *instance_get(Tracer *t, const char *path, Span span) {
  for (uint64_t key = hash_bytes(path, strlen(path));; key++) {
    const uint32_t id = map_get(&t->instance_ids, key, 0);
    if (id && strcmp(t->instances.data[id - 1]->path, path)) continue;
    if (id) return t->instances.data[id - 1];
    Instance *instance = ARENA_NEW(t->arena, Instance);
    *instance = (Instance){.path = arena_text(t->arena, path, strlen(path)), .span = span};
    vec_push(&t->instances, instance);
    map_set(&t->instance_ids, key, t->instances.count);
    return instance;
  }
}

Instance *instance_part(Tracer *t, Instance *parent, const char *name, Span span) {
  const char *path = *parent->path ? text_of(t, "%s.%s", parent->path, name) : name;
  Instance *child = instance_get(t, path, span);
  child->parent = parent;
  return child;
}

static uint32_t *count_of(Frame *frame, const char *name) {
  for (uint32_t i = 0; i < frame->counts.count; i++) {
    if (!strcmp(frame->counts.data[i].name, name)) return &frame->counts.data[i].count;
  }
  vec_push(&frame->counts, ((NameCount){name, 0}));
  return &frame->counts.data[frame->counts.count - 1].count;
}

Instance *instance_child(Tracer *t, const char *base, bool numbered, Span span) {
  Frame *frame = t->frame;
  for (;;) {
    const uint32_t n = ++*count_of(frame, base);
    const char *name = numbered ? text_of(t, "%s_%u", base, n) : n == 1 ? base : text_of(t, "%s_%u", base, n);
    if (name != base) {
      uint32_t *taken = count_of(frame, name);
      if (*taken) continue; /* a `let` has this very name */
      ++*taken;
    }
    return instance_part(t, frame->instance, name, span);
  }
}

Value instance_value(Tracer *t, Closure *closure, Instance *instance, Span span) {
  Closure *c = ARENA_NEW(t->arena, Closure);
  *c = *closure;
  c->instance = instance;
  return (Value){.kind = V_INSTANCE, .closure = c, .span = span};
}

/* Does a call of it make parameters of its own? */
bool closure_makes_instance(Tracer *t, const Closure *c) {
  const AstKind kind = closure_kind(t, c);
  if (kind == AST_LAYER || c->kind == C_LAMBDA) return true;
  if (c->kind != C_BUILTIN || !c->bound) return false;
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  for (uint32_t i = 0; i < n; i++) {
    if (c->bound[i].kind == V_FUNCTION && closure_makes_instance(t, c->bound[i].closure)) return true;
  }
  return false;
}

Value instance_of_let(Tracer *t, Value v, Name name, Span span) {
  if (v.kind != V_FUNCTION || !closure_makes_instance(t, v.closure)) return v;
  if (closure_kind(t, v.closure) == AST_LAYER && !v.closure->called) {
    Diag *d = trace_error(t, "bare-layer", v.span, "`let %s = %s` names a layer, it makes no instance of it",
                          name_of(t, name), closure_name(t, v.closure));
    diag_hint(t->s, d, "call it with what it needs beside its input: `let %s = %s()`", name_of(t, name),
              closure_name(t, v.closure));
    return value_poison();
  }
  if (!t->frame) return v;
  return instance_value(t, v.closure, instance_child(t, name_of(t, name), false, span), v.span);
}

void frame_push(Tracer *t, Frame *frame, Instance *instance, Ast definition, bool owns) {
  *frame = (Frame){.outer = t->frame, .instance = instance, .definition = definition, .owns = owns, .run = ++t->runs};
  t->frame = frame;
}

void frame_pop(Tracer *t) {
  Frame *frame = t->frame;
  vec_free(&frame->counts);
  t->frame = frame->outer;
}

Value instance_run(Tracer *t, Instance *instance, const Closure *c, const Value *args, Span span) {
  Frame frame;
  instance->runs++;
  frame_push(t, &frame, instance, c->ast, closure_kind(t, c) == AST_LAYER);
  Value out;
  if (c->kind == C_BUILTIN) {
    Closure plain = *c;
    plain.instance = NULL;
    Param params[PARAM_LIMIT];
    const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
    Arg list[PARAM_LIMIT];
    for (uint32_t i = 0; i < n; i++) list[i] = (Arg){params[i].name, args[i], span};
    plain.bound = NULL;
    uint32_t given = 0;
    for (uint32_t i = 0; i < n; i++) {
      if (args[i].kind != V_ABSENT) list[given++] = list[i];
    }
    out = call_value(t, closure_value(t, plain, span), list, given, span);
  } else {
    out = closure_body(t, c, args, span);
  }
  frame_pop(t);
  return out;
}

/* ---- parameters and states ---- */

Owned *instance_owned(Instance *instance, Name name) {
  for (Owned *o = instance->owned; o; o = o->next) {
    if (name_is(o->name, name)) return o;
  }
  return NULL;
}

uint32_t slot_add(Tracer *t, Slot slot) {
  uint32_t number = 0;
  Dims dims = *shape_dims(t->graphs[GRAPH_INIT], slot.shape);
  for (int i = 0; i < GRAPH_KINDS; i++) {
    if (!t->graphs[i] || i == GRAPH_DATA) continue;
    slot.shape = shape_of(t->graphs[i], &dims);
    number = graph_add_slot(t->graphs[i], slot);
  }
  return number;
}

Value owned_value(Tracer *t, Owned *owned, Span span) {
  Value other;
  if (t->applied && bundle_value(t, owned, &other)) return other;
  if (t->graph_index == GRAPH_TRAIN && owned->current.id) return value_tensor(t, owned->current, false, span);
  if (t->graph_index == GRAPH_EVAL && owned->average)
    return value_tensor(t, build_slot(t->graph, owned->average - 1), false, span);
  return value_tensor(t, build_slot(t->graph, owned->slot), false, span);
}

bool owned_init(Tracer *t, Ast value, Env *env, const Owned *owned, const char *path) {
  Graph *graph = t->graph;
  const uint8_t index = t->graph_index;
  const bool in_model = t->in_model;
  const Span span = ast_node(t->tree, value)->span;
  t->graph = t->graphs[GRAPH_INIT], t->graph_index = GRAPH_INIT, t->in_model = false;
  t->draw_name = path, t->draw_count = 0;
  Env inner = *env;
  const Dims *d = &owned->dims;
  /* fan_in, fan_out: [.., in, out]; what stands before is the receptive field, which counts for both. */
  double field = 1;
  for (uint32_t i = 0; i + 2 < d->rank; i++) field *= (double)d->dims[i];
  const double in = d->rank > 1 ? field * (double)d->dims[d->rank - 2] : d->rank ? (double)d->dims[0] : 1;
  const double out = d->rank > 1 ? field * (double)d->dims[d->rank - 1] : d->rank ? (double)d->dims[0] : 1;
  const Name fan_in = intern_text(&t->s->names, "fan_in"), fan_out = intern_text(&t->s->names, "fan_out");
  env_bind(t, &inner, fan_in, value_number(in, true, span), span);
  env_bind(t, &inner, fan_out, value_number(out, true, span), span);
  Value v = eval(t, value, &inner);
  if (v.kind == V_FUNCTION && closure_kind(t, v.closure) == AST_INIT) {
    Param params[PARAM_LIMIT];
    Arg args[2];
    uint32_t count = 0;
    const uint32_t n = closure_params(t, v.closure, params, PARAM_LIMIT);
    for (uint32_t i = 0; i < n; i++) {
      if (v.closure->bound && v.closure->bound[i].kind != V_ABSENT) continue;
      if (name_is(params[i].name, fan_in)) args[count++] = (Arg){fan_in, value_number(in, true, span), span};
      if (name_is(params[i].name, fan_out)) args[count++] = (Arg){fan_out, value_number(out, true, span), span};
    }
    v = call_value(t, v, args, count, span);
  }
  /* A primitive's name alone: `~ normal`. */
  if (v.kind == V_FUNCTION && v.closure->kind == C_BUILTIN && !closure_lacking(t, v.closure))
    v = call_value(t, v, NULL, 0, span);
  if (v.kind == V_DISTRIBUTION) {
    v = op_draw(t, v, d, false, 0, span);
  } else if (v.kind == V_INSTANCE) {
    trace_limit(t, "no-meaning", span, "a state that starts as a copy of an instance has no meaning yet");
    v = value_poison();
  } else if (!value_bad(v)) {
    Diag *diag = trace_error(t, "not-a-distribution", span, "a distribution is needed behind `~`; found %s",
                             value_describe(t, v));
    if (v.kind == V_NUMBER) diag_hint(t->s, diag, "`~ constant(%g)` starts from a number", v.number);
    v = value_poison();
  }
  if (!value_bad(v)) {
    const Type type = (Type)t->graph->slots.data[owned->slot].type;
    v = value_cast(t, v, type);
    graph_add_output(t->graph,
                     (Output){.kind = OUT_SLOT, .name = path, .node = v.node, .slot = owned->slot, .span = span});
  }
  t->draw_name = NULL;
  t->graph = graph, t->graph_index = index, t->in_model = in_model;
  return !value_bad(v);
}

static bool extents_known(Tracer *t, const Dims *dims, Span span) {
  int64_t size;
  for (uint32_t i = 0; i < dims->rank; i++) {
    if (!dim_is_batch(dims->dims[i])) continue;
    trace_error(t, "batch-in-parameter", span, "a parameter or a state cannot have the batch as an axis");
    return false;
  }
  if (dims_size(dims, 1, &size) && size < 1ll << 40) return true;
  trace_error(t, "too-large", span, "an array of shape %s is too large", dims_text(t, dims));
  return false;
}

static Owned *owned_new(Tracer *t, Instance *instance, const AstNode *node, SlotKind kind, const Declared *declared) {
  Owned *owned = ARENA_NEW(t->arena, Owned);
  *owned = (Owned){.name = node->name, .home = instance, .kind = kind, .dims = declared->dims, .span = node->span};
  const char *name = name_of(t, node->name);
  const char *join = kind == SLOT_OPTIMIZER || kind == SLOT_METRIC ? "/" : ".";
  const char *path = *instance->path ? text_of(t, "%s%s%s", instance->path, join, name) : name;
  owned->slot = slot_add(t, (Slot){.kind = kind,
                                   .name = path,
                                   .of = t->frame->of,
                                   .type = declared->element,
                                   .classes = declared->classes,
                                   .shape = shape_of(t->graphs[GRAPH_INIT], &declared->dims),
                                   .span = node->span});
  if (instance->last_owned)
    instance->last_owned->next = owned;
  else
    instance->owned = owned;
  return instance->last_owned = owned;
}

void eval_owned(Tracer *t, Ast item, Env *env) {
  const AstNode node = *ast_node(t->tree, item);
  const bool is_state = node.kind == AST_STATE;
  const Ast type = ast_child(t->tree, item, is_state ? STATE_type : PARAM_type);
  const Ast value = ast_child(t->tree, item, is_state ? STATE_value : PARAM_value);
  Frame *frame = t->frame;
  if (!frame || !frame->owns) {
    Diag *d = trace_error(t, "no-owner", node.span, "a `%s` cannot stand here: only a layer or a model owns one",
                          is_state ? "state" : "param");
    diag_hint(t->s, d, "make the `fn` a `layer`");
    env_bind(t, env, node.name, value_poison(), node.name_span);
    return;
  }
  Declared declared;
  const bool typed = type.id != 0 || !frame->like;
  if (!typed) declared = (Declared){*frame->like, t->graph->float_type, 0};
  if (typed && !type_eval(t, type, env, &declared)) return env_bind(t, env, node.name, value_poison(), node.name_span);
  if (!extents_known(t, &declared.dims, node.span)) return env_bind(t, env, node.name, value_poison(), node.name_span);
  Owned *owned = instance_owned(frame->instance, node.name);
  if (is_state && !type.id && !owned && ast_kind(t->tree, value) == AST_NAME) {
    const Value whole = eval(t, value, env);
    if (whole.kind == V_INSTANCE) return env_bind(t, env, node.name, bundle_state(t, &node, whole), node.name_span);
  }
  if (!owned) {
    owned = owned_new(t, frame->instance, &node,
                      !is_state     ? SLOT_PARAM
                      : frame->kind ? frame->kind
                                    : SLOT_STATE,
                      &declared);
    if (!owned_init(t, value, env, owned, t->graphs[GRAPH_INIT]->slots.data[owned->slot].name))
      return env_bind(t, env, node.name, value_poison(), node.name_span);
  } else if (!dims_equal(&owned->dims, &declared.dims)) {
    Diag *d = trace_error(
        t, "shape-mismatch", node.span, "`%s` was made with shape %s at the first use of `%s`; this use needs %s",
        name_of(t, node.name), dims_text(t, &owned->dims), frame->instance->path, dims_text(t, &declared.dims));
    diag_hint(t->s, d, "an instance is shared by all its uses; make a second one for another shape");
    env_bind(t, env, node.name, value_poison(), node.name_span);
    return;
  }
  Value v = owned_value(t, owned, node.name_span);
  if (frame->final && owned->pass == t->pass && owned->written.count)
    v.node = owned->written.data[owned->written.count - 1];
  v.classes = declared.classes;
  env_bind_owned(t, env, node.name, v, bundle_target(t, owned), node.name_span);
}

/* Why a value is batched: an input that it is made from. */
static void note_batched(Tracer *t, Diag *d, Value v, Span at) {
  const Graph *g = t->graph;
  uint8_t *reached = ARENA_ARRAY(t->arena, uint8_t, g->nodes.count);
  reached[v.node.id] = 1;
  for (uint32_t id = v.node.id; id > 0; id--) {
    const Node n = {id};
    if (!reached[id]) continue;
    for (uint32_t i = 0; i < node_data(g, n)->count; i++) reached[node_in(g, n, i).id] = 1;
    if (node_prim(g, n) != P_SLOT || !node_rank(g, n) || !dim_is_batch(node_dims(g, n)->dims[0])) continue;
    const Slot *slot = &g->slots.data[node_attr(g, n)[0]];
    diag_note(t->s, d, slot->span, "`%s` is one value for each example", slot->name);
    return;
  }
  note_value(t, d, v, at, "it");
}

void eval_assign(Tracer *t, Ast item, Env *env) {
  const AstNode node = *ast_node(t->tree, item);
  Value v = eval(t, ast_child(t->tree, item, ASSIGN_value), env);
  Binding *b = env_find(env, node.name);
  const char *name = name_of(t, node.name);
  if (!b) {
    trace_error(t, "unknown-name", node.name_span, "nothing is called `%s` here", name);
    return;
  }
  if (value_bad(b->value) || t->frame->final) return;
  if (b->value.kind == V_BUNDLE && b->value.bundle->copies) return bundle_assign(t, &node, b->value, v);
  if (!b->owned || (b->owned->kind == SLOT_PARAM && t->frame->kind != SLOT_OPTIMIZER)) {
    Diag *d = trace_error(t, "not-a-state", node.span, "`%s` is %s: only a state can be written", name,
                          b->owned ? "a parameter" : "a value");
    diag_note(t->s, d, b->span, "it is defined here");
    diag_hint(t->s, d,
              b->owned ? "parameters are written by an optimiser; for a value that the model updates itself use `state`"
                       : "for a new value under the same name use `let %s = ...`",
              name);
    return;
  }
  if (value_bad(v) || !value_to_tensor(t, &v, t->graph->float_type, node.span)) return;
  Owned *owned = b->owned;
  if (v.batched) {
    Diag *d = trace_error(t, "batched-state", node.span,
                          "the state `%s` is one for all examples, the new value is one for each: reduce it over batch",
                          name);
    note_batched(t, d, v, node.span);
    diag_hint(t->s, d, "for example `mean(x, over = batch)`");
    return;
  }
  if (owned->pass == t->pass && owned->run == t->frame->run && owned->written.count) {
    trace_error(t, "written-twice", node.span, "the state `%s` is written a second time", name);
    return;
  }
  Value both[2] = {
      v, value_tensor(t, build_full(t->graph, value_type(t, v), 0, shape_of(t->graph, &owned->dims)), false, b->span)};
  if (!tensors_align(t, both, 2, true, node.span, "`<-`")) return;
  const Dims got = value_dims(t, both[0]);
  if (!dims_equal(&got, &owned->dims)) {
    trace_error(t, "shape-mismatch", node.span, "the state `%s` has shape %s, the new value %s", name,
                dims_text(t, &owned->dims), dims_text(t, &got));
    return;
  }
  if (owned->pass != t->pass) owned->written.count = 0;
  owned->pass = t->pass, owned->run = t->frame->run;
  vec_push(&owned->written, value_cast(t, both[0], (Type)t->graph->slots.data[owned->slot].type).node);
}

/* A state that several uses write becomes their mean. */
void states_write(Tracer *t) {
  for (uint32_t i = 0; i < t->instances.count; i++) {
    for (Owned *o = t->instances.data[i]->owned; o; o = o->next) {
      if (o->pass != t->pass || !o->written.count) continue;
      if (o->kind != (t->training ? SLOT_STATE : SLOT_METRIC)) continue;
      Node sum = o->written.data[0];
      for (uint32_t k = 1; k < o->written.count; k++) sum = build_add(t->graph, sum, o->written.data[k]);
      if (o->written.count > 1 && type_is_float(node_type(t->graph, sum)))
        sum = build_div(t->graph, sum, build_like(t->graph, sum, o->written.count));
      graph_add_output(t->graph, (Output){.kind = OUT_SLOT,
                                          .name = t->graph->slots.data[o->slot].name,
                                          .node = sum,
                                          .slot = o->slot,
                                          .span = o->span});
    }
  }
}

/* enc.W, enc.dense_1 */
Value instance_field(Tracer *t, Instance *instance, Name name, Span span) {
  Owned *owned = instance_owned(instance, name);
  if (owned) return owned_value(t, owned, span);
  const char *path = text_of(t, "%s.%s", instance->path, name_of(t, name));
  for (uint32_t i = 0; i < t->instances.count; i++) {
    if (strcmp(t->instances.data[i]->path, path)) continue;
    Closure *c = ARENA_NEW(t->arena, Closure);
    *c = (Closure){.kind = C_LAMBDA, .instance = t->instances.data[i], .span = span};
    return (Value){.kind = V_INSTANCE, .closure = c, .span = span};
  }
  Diag *d = trace_error(t, "unknown-field", span, "`%s` has no parameter `%s`%s", instance->path, name_of(t, name),
                        instance->runs ? "" : " yet: it has not been used");
  Text names = {0};
  for (const Owned *o = instance->owned; o; o = o->next)
    text_printf(&names, "%s`%s`", names.length ? ", " : "", name_of(t, o->name));
  if (names.length) diag_hint(t->s, d, "it has %s", text_get(&names));
  text_free(&names);
  if (!instance->runs) diag_hint(t->s, d, "an instance makes its parameters at its first use; look at them behind it");
  return value_poison();
}

/* NULL: everything belongs to the model. */
bool instance_within(const Instance *part, const Instance *whole) {
  if (!whole) return true;
  for (const Instance *i = part; i; i = i->parent) {
    if (i == whole) return true;
  }
  return false;
}

static uint32_t owned_of(Tracer *t, Instance *instance, SlotKind kind, Owned ***list) {
  uint32_t count = 0;
  for (int fill = 0; fill < 2; fill++) {
    if (fill) *list = ARENA_ARRAY(t->arena, Owned *, count ? count : 1);
    count = 0;
    for (uint32_t i = 0; i < t->instances.count; i++) {
      if (!instance_within(t->instances.data[i], instance)) continue;
      for (Owned *o = t->instances.data[i]->owned; o; o = o->next) {
        if (o->kind != kind) continue;
        if (fill) (*list)[count] = o;
        count++;
      }
    }
  }
  return count;
}

/* All parameters of an instance and of what is within it; NULL: of the model. */
uint32_t instance_parameters(Tracer *t, Instance *instance, Owned ***list) {
  return owned_of(t, instance, SLOT_PARAM, list);
}
uint32_t instance_states(Tracer *t, Instance *instance, Owned ***list) {
  return owned_of(t, instance, SLOT_STATE, list);
}
