/* env.c: names: of the block, of the file, of the language, in this order. */
#include <math.h>
#include <string.h>

#include "call.h"
#include "near.h"

/* A value that `grad` will differentiate by is kept apart; with `per = example` it becomes one copy an example. */
static Value marked_tensor(Tracer *t, Value v, int mark) {
  if (v.kind != V_TENSOR || v.graph != t->graph_index || !type_is_float(value_type(t, v))) return v;
  if (mark == MARK_PER_EXAMPLE && !v.batched) {
    const Dims dims = value_dims(t, v);
    v = tensor_expand(t, v, &dims, true, DIM_BATCH);
  }
  if (node_prim(t->graph, v.node) != P_SLOT && node_prim(t->graph, v.node) != P_MARK)
    v.node = build_mark(t->graph, v.node);
  return v;
}

/* [a, b] of float tensors alike, or of such, which `grad` can only differentiate by once they are one tensor. */
static bool stacks(Tracer *t, Value v, Dims *dims) {
  if (v.kind == V_TENSOR && v.graph == t->graph_index && type_is_float(value_type(t, v))) return *dims = value_dims(t, v), true;
  if (v.kind != V_ARRAY || !v.count || !stacks(t, v.items[0], dims)) return false;
  for (uint32_t i = 1; i < v.count; i++) {
    Dims other;
    if (!stacks(t, v.items[i], &other) || !dims_equal(&other, dims)) return false;
  }
  if (dims->rank == GRAPH_MAX_RANK) return false;
  dims->dims[dims->rank++] = v.count; /* where it stands does not matter */
  return true;
}

static Value marked_value(Tracer *t, Value v, int mark, Span span) {
  Dims dims;
  if (v.kind == V_ARRAY && stacks(t, v, &dims)) value_to_tensor(t, &v, TYPE_COUNT, span);
  if ((v.kind == V_BUNDLE || v.kind == V_INSTANCE) && mark == MARK_PER_EXAMPLE) return bundle_per_example(t, v, span);
  if (v.kind != V_BUNDLE) return marked_tensor(t, v, mark);
  Bundle *b = bundle_copy(t, v.bundle);
  b->copies = v.bundle->copies;
  for (uint32_t i = 0; i < b->count; i++) b->values[i] = marked_tensor(t, b->values[i], mark);
  v.bundle = b;
  return v;
}

void env_bind_owned(Tracer *t, Env *env, Name name, Value value, Owned *owned, Span span) {
  int mark = name_mark(t, name, span);
  if (owned && mark != MARK_PER_EXAMPLE) mark = MARK_NONE; /* a slot needs no mark */
  if (mark) value = marked_value(t, value, mark, span);
  Binding *b = ARENA_NEW(t->arena, Binding);
  *b = (Binding){name, value, owned, span, env->head};
  env->head = b;
}

void env_bind(Tracer *t, Env *env, Name name, Value value, Span span) {
  env_bind_owned(t, env, name, value, NULL, span);
}

Binding *env_find(const Env *env, Name name) {
  for (Binding *b = env->head; b; b = b->next) {
    if (name_is(b->name, name)) return b;
  }
  return NULL;
}

/* ---- names that `grad` differentiates by ---- */

static uint64_t mark_key(Tracer *t, Name name, Span span) {
  const Place place = source_place(&t->s->sources, span.begin);
  return hash_mix(place.source ? place.source->base : 0, name.id);
}

static void mark_names(Tracer *t, Ast e, int mark) {
  const AstKind kind = ast_kind(t->tree, e);
  const AstNode *node = ast_node(t->tree, e);
  if (kind == AST_NAME && name_mark(t, node->name, node->span) < mark)
    map_set(&t->marked, mark_key(t, node->name, node->span), (uint32_t)mark);
  if (kind == AST_TUPLE || kind == AST_LIST || kind == AST_ARRAY) {
    for (uint32_t i = 0; i < node->count; i++) mark_names(t, ast_child(t->tree, e, i), mark);
  }
}

/* Of every call of `grad` and its like in the tree, the names in its second argument. */
void collect_marked(Tracer *t) {
  static const char *const derivatives[] = {"grad", "jvp", "jacobian", "hessian", "hvp"};
  for (uint32_t i = 1; i < t->tree->nodes.count; i++) {
    const Ast call = {i};
    if (ast_kind(t->tree, call) != AST_CALL) continue;
    const Ast callee = ast_child(t->tree, call, CALL_callee), args = ast_child(t->tree, call, CALL_args);
    if (ast_kind(t->tree, callee) != AST_NAME) continue;
    const char *name = name_of(t, ast_node(t->tree, callee)->name);
    int mark = MARK_PLAIN;
    for (uint32_t k = 2; k < ast_count(t->tree, args); k++) {
      const AstNode *arg = ast_node(t->tree, ast_child(t->tree, args, k));
      if (arg->kind == AST_ARG && !strcmp(name_of(t, arg->name), "per")) mark = MARK_PER_EXAMPLE;
    }
    for (size_t k = 0; k < sizeof derivatives / sizeof *derivatives; k++) {
      if (!strcmp(name, derivatives[k])) mark_names(t, ast_child(t->tree, args, 1), mark);
    }
  }
}

int name_mark(Tracer *t, Name name, Span span) {
  return t->marked.count ? (int)map_get(&t->marked, mark_key(t, name, span), MARK_NONE) : MARK_NONE;
}

/* ---- patterns ---- */

/* The parts that a pattern of `count` names takes apart: a tuple's, or an array's along its first axis. */
static bool parts_of(Tracer *t, Value v, uint32_t count, Value *parts, Span at) {
  if (v.kind == V_TUPLE || v.kind == V_ARRAY) {
    if (v.count == count) return memcpy(parts, v.items, sizeof *parts * count), true;
  } else {
    if (!value_to_tensor(t, &v, TYPE_COUNT, at)) return false;
    const Dims dims = value_dims(t, v);
    if (dims.rank && dims.dims[0] == count) {
      for (uint32_t i = 0; i < count; i++) {
        parts[i] = op_take(t, v, 0, i);
        parts[i].span = v.span;
      }
      return true;
    }
  }
  Diag *d = trace_error(t, "pattern-mismatch", at, "%u names take apart %s", count, value_describe(t, v));
  note_value(t, d, v, at, "the value");
  return false;
}

bool bind_pattern(Tracer *t, Env *env, Ast pattern, Value value, bool is_let) {
  const AstNode *node = ast_node(t->tree, pattern);
  if (node->kind == AST_PATTERN_NAME) {
    if (is_let) value = instance_of_let(t, value, node->name, node->span);
    env_bind(t, env, node->name, value, node->span);
    return !value_bad(value);
  }
  const Ast list = ast_child(t->tree, pattern, PATTERN_TUPLE_items);
  const uint32_t count = ast_count(t->tree, list);
  Value *parts = values_new(t, count);
  const bool fits = !value_bad(value) && parts_of(t, value, count, parts, node->span);
  for (uint32_t i = 0; i < count; i++)
    bind_pattern(t, env, ast_child(t->tree, list, i), fits ? parts[i] : value_poison(), is_let);
  return fits;
}

/* ---- the file's definitions ---- */

enum { CONST_IN_WORK = 0xfffffffe };

static Value const_value(Tracer *t, uint32_t index, Span span) {
  const Ast def = t->scope->definitions.data[index];
  const AstNode *node = ast_node(t->tree, def);
  const uint32_t place = map_get(&t->const_values, def.id, 0);
  if (place == CONST_IN_WORK) {
    Diag *d = trace_error(t, "const-circle", span, "`%s` is defined by itself", name_of(t, node->name));
    diag_note(t->s, d, node->span, "its definition");
    return value_poison();
  }
  if (place) return t->consts.data[place - 1];
  Value value;
  map_set(&t->const_values, def.id, CONST_IN_WORK);
  const Place where = source_place(&t->s->sources, node->span.begin);
  if (!where.source || where.source->embedded || !setting_overridden(t, name_of(t, node->name), &value, node->span)) {
    Env empty = {0};
    value = eval(t, ast_child(t->tree, def, CONST_value), &empty);
  }
  if (value.kind == V_NUMBER || value.kind == V_BOOL || value.kind == V_STRING) {
    if (where.source && !where.source->embedded) setting_list(t, name_of(t, node->name), value);
    vec_push(&t->consts, value);
    map_set(&t->const_values, def.id, t->consts.count);
  } else {
    map_set(&t->const_values, def.id, 0);
  }
  return value;
}

Value definition_value(Tracer *t, uint32_t index, Span span) {
  const Ast def = t->scope->definitions.data[index];
  if (ast_kind(t->tree, def) == AST_CONST) return const_value(t, index, span);
  return closure_value(t, (Closure){.kind = C_DEFINITION, .ast = def, .span = span}, span);
}

/* ---- names with a meaning of their own ---- */

/* A train block with `every = n` counts its own steps: those that n divides. */
Node step_number(Tracer *t, StepNumber which) {
  const Node node = build_number(t->graph, which);
  if (t->every <= 1 || which == NUMBER_EPOCH) return node;
  return build_unary(t->graph, P_FLOOR, build_div(t->graph, node, build_const(t->graph, TYPE_F64, (double)t->every)));
}

static Value number_node(Tracer *t, StepNumber which, double add, Span span) {
  Node node = step_number(t, which);
  if (add != 0) node = build_add(t->graph, node, build_const(t->graph, TYPE_F64, add));
  return value_tensor(t, node, false, span);
}

static bool word_value(Tracer *t, const char *name, Span span, Value *out) {
  if (!strcmp(name, "training")) return *out = value_bool(t->training, span), true;
  if (!strcmp(name, "pi")) return *out = value_number(3.14159265358979323846, false, span), true;
  if (!strcmp(name, "inf")) return *out = value_number(INFINITY, false, span), true;
  if (!strcmp(name, "nan")) return *out = value_number(NAN, false, span), true;
  if (!strcmp(name, "none")) return *out = (Value){.kind = V_NONE, .span = span}, true;
  if (!strcmp(name, "batch")) return *out = (Value){.kind = V_BATCH, .span = span}, true;
  if (!strcmp(name, "same") || !strcmp(name, "valid") || !strcmp(name, "example"))
    return *out = value_text(name, span), true;
  const bool zeros = !strcmp(name, "zeros"), ones = !strcmp(name, "ones");
  const Value number = value_number(ones, true, span);
  if (zeros || ones) return *out = dist_value(t, D_CONSTANT, number, number, span), true;
  if (!strcmp(name, "identity")) return *out = dist_value(t, D_IDENTITY, number, number, span), true;
  if (!strcmp(name, "step")) return *out = number_node(t, NUMBER_STEP, -1, span), true; /* from 0 */
  if (!strcmp(name, "steps")) return *out = number_node(t, NUMBER_STEPS, 0, span), true;
  if (!strcmp(name, "epoch")) return *out = number_node(t, NUMBER_EPOCH, 0, span), true;
  if (!strcmp(name, "batch_index")) {
    *out = value_tensor(t, build_iota(t->graph, DIM_BATCH), true, span);
    return true;
  }
  return false;
}

static Value unknown_name(Tracer *t, Name name, Span span, const Env *env) {
  Vec(const char *) near = {0};
  for (const Binding *b = env->head; b; b = b->next) {
    if (b->name.id) vec_push(&near, name_of(t, b->name));
  }
  Diag *d = trace_error(t, "unknown-name", span, "nothing is called `%s` here", name_of(t, name));
  scope_suggest(t->s, t->tree, t->scope, d, name, near.data, near.count);
  vec_free(&near);
  return value_poison();
}

Value lookup_name(Tracer *t, Name name, Span span, const Env *env) {
  const Binding *b = env_find(env, name);
  if (b) return b->value;
  const char *text = name_of(t, name);
  const uint32_t index = scope_find(t->s, t->scope, name, span);
  if (index != SCOPE_NONE) return definition_value(t, index, span);
  if (scope_is_space(t->s, t->scope, name, span)) return (Value){.kind = V_SPACE, .space = name, .span = span};
  const Builtin *builtin = builtin_find(text);
  if (builtin) return closure_value(t, (Closure){.kind = C_BUILTIN, .builtin = builtin, .span = span}, span);
  Value out;
  if (word_value(t, text, span, &out)) return out;
  return unknown_name(t, name, span, env);
}
