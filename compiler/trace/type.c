/* type.c: `x: [.., n] of label[k]`: is it so, and what are n and k? */
#include <math.h>
#include <string.h>

#include "tracer.h"

static const char *element_name(Tracer *t, Ast element) {
  return element.id ? name_of(t, ast_node(t->tree, element)->name) : "float";
}

static bool known_element(Tracer *t, Ast element) {
  static const char *const elements[] = {"float", "int", "bool", "label"};
  const char *name = element_name(t, element);
  for (int i = 0; i < 4; i++) {
    if (!strcmp(name, elements[i])) return true;
  }
  Diag *d = trace_error(t, "unknown-type", ast_node(t->tree, element)->span, "there is no type `%s`", name);
  diag_hint(t->s, d, "element types are `float`, `int`, `bool` and `label[k]`; an array of them is `[28, 28] of int`");
  return false;
}

/* The name of a shape's extent that a value may bind: one that is no constant of the file. */
static bool binds(Tracer *t, Ast e, const Env *env, Value *bound) {
  const AstNode *node = ast_node(t->tree, e);
  if (node->kind != AST_NAME) return false;
  const Binding *b = env_find(env, node->name);
  if (b) return *bound = b->value, true;
  *bound = (Value){.kind = V_ABSENT};
  const uint32_t index = scope_find(t->s, t->scope, node->name, node->span);
  if (index != SCOPE_NONE && ast_kind(t->tree, t->scope->definitions.data[index]) == AST_CONST)
    *bound = definition_value(t, index, node->span);
  return true;
}

static void bind_extent(Tracer *t, Env *env, Ast e, int64_t extent, int16_t axis, Span from) {
  const AstNode *node = ast_node(t->tree, e);
  Value v = dim_is_batch(extent) ? (Value){.kind = V_BATCH} : value_number((double)extent, true, from);
  v.axis = axis, v.span = from;
  env_bind(t, env, node->name, v, node->span);
}

static void extent_mismatch(Tracer *t, Ast type, Value v, const char *what, Span at, const char *detail) {
  const Span span = ast_node(t->tree, type)->span;
  const Dims dims = value_dims(t, v);
  Diag *d = trace_error(t, "shape-mismatch", at, "%s has shape %s, which does not fit its type%s%s", what,
                        dims_text(t, &dims), *detail ? ": " : "", detail);
  diag_note(t->s, d, span, "the type is written here");
  note_value(t, d, v, at, "the value");
  if (v.classes && !dims.rank) diag_hint(t->s, d, "a label becomes an array by `embedding(x, width)` or `one_hot(x)`");
}

static bool match_extent(Tracer *t, Ast type, Ast e, int64_t extent, int16_t axis, Value v, Env *env, const char *what,
                         Span at) {
  Value bound;
  int64_t wanted;
  if (binds(t, e, env, &bound)) {
    if (bound.kind == V_ABSENT || (bound.kind == V_NUMBER && bound.number == (double)extent)) {
      bind_extent(t, env, e, extent, axis, v.span);
      return true;
    }
    if (bound.kind == V_BATCH && dim_is_batch(extent)) return true;
    if (bound.kind != V_NUMBER) {
      if (!value_bad(bound))
        trace_error(t, "not-an-extent", ast_node(t->tree, e)->span, "`%s` is %s, not an extent",
                    name_of(t, ast_node(t->tree, e)->name), value_describe(t, bound));
      return false;
    }
    extent_mismatch(t, type, v, what, at,
                    text_of(t, "`%s` is %.0f, found %lld", name_of(t, ast_node(t->tree, e)->name), bound.number,
                            (long long)extent));
    return false;
  }
  if (!value_whole(t, eval(t, e, env), &wanted, "an extent", ast_node(t->tree, e)->span)) return false;
  if (wanted == extent) return true;
  extent_mismatch(t, type, v, what, at, text_of(t, "%lld is wanted, found %lld", (long long)wanted, (long long)extent));
  return false;
}

static void bind_axes(Tracer *t, Env *env, const Dims *dims, uint32_t first, uint32_t count, Span span) {
  Value v = {.kind = V_AXES, .number = first, .count = count, .span = span};
  Value *items = values_new(t, count);
  for (uint32_t i = 0; i < count; i++) items[i] = value_number((double)dims->dims[first + i], true, span);
  v.items = items, v.axis = (int16_t)first;
  env_bind(t, env, intern_text(&t->s->names, ".."), v, span);
}

static bool match_shape(Tracer *t, Ast type, Value v, Env *env, const char *what, Span at) {
  const Ast list = ast_child(t->tree, type, TYPE_ARRAY_shape);
  const uint32_t n = ast_count(t->tree, list);
  const Dims dims = value_dims(t, v);
  uint32_t dots = n;
  for (uint32_t i = 0; i < n; i++) {
    if (ast_kind(t->tree, ast_child(t->tree, list, i)) != AST_DOTS) continue;
    if (dots < n) {
      trace_error(t, "dots-twice", ast_node(t->tree, type)->span, "`..` stands twice in one shape");
      return false;
    }
    dots = i;
  }
  const uint32_t named = n - (dots < n);
  if (dots < n ? dims.rank < named : dims.rank != named) {
    extent_mismatch(t, type, v, what, at,
                    text_of(t, "%s%u ax%s wanted, found %u", dots < n ? "at least " : "", named,
                            named == 1 ? "is is" : "es are", dims.rank));
    return false;
  }
  const uint32_t extra = dims.rank - named;
  for (uint32_t i = 0, axis = 0; i < n; i++) {
    const Ast e = ast_child(t->tree, list, i);
    if (i == dots) {
      bind_axes(t, env, &dims, axis, extra, ast_node(t->tree, e)->span);
      axis += extra;
      continue;
    }
    const int16_t place = (int16_t)(i < dots ? (int)axis + 1 : (int)axis - (int)dims.rank);
    if (!match_extent(t, type, e, dims.dims[axis], place, v, env, what, at)) return false;
    axis++;
  }
  return true;
}

static bool match_label(Tracer *t, Ast element, Value *v, Env *env, const char *what, Span at) {
  const Ast classes = ast_child(t->tree, element, TYPE_ELEMENT_extent);
  if (value_type(t, *v) == TYPE_BOOL) *v = value_cast(t, *v, TYPE_I32), v->classes = 2;
  if (value_type(t, *v) != TYPE_I32) {
    Diag *d = trace_error(t, "not-a-label", at, "%s must be a label; found %s", what, value_describe(t, *v));
    note_value(t, d, *v, at, "it");
    return false;
  }
  if (!classes.id) return true;
  Value bound;
  const AstNode *node = ast_node(t->tree, classes);
  const bool name = binds(t, classes, env, &bound);
  if (name && bound.kind == V_ABSENT) {
    if (v->classes) {
      bind_extent(t, env, classes, v->classes, 0, v->span);
      return true;
    }
    Diag *d = trace_error(t, "classes-unknown", at, "%s must be a label whose number of classes is known; found %s",
                          what, value_describe(t, *v));
    note_value(t, d, *v, at, "it");
    return false;
  }
  int64_t wanted;
  if (name && bound.kind == V_BATCH && !v->classes) return true; /* batch_index */
  if (!value_whole(t, name ? bound : eval(t, classes, env), &wanted, "the number of classes", node->span)) return false;
  if (!v->classes || v->classes == wanted) return v->classes = (int32_t)wanted, true;
  Diag *d = trace_error(t, "label-mismatch", at, "%s must be of label[%lld]; found %s", what, (long long)wanted,
                        value_describe(t, *v));
  note_value(t, d, *v, at, "it");
  return false;
}

static bool match_element(Tracer *t, Ast element, Value *v, Env *env, const char *what, Span at) {
  const char *name = element_name(t, element);
  const Type have = value_type(t, *v);
  if (!strcmp(name, "label")) return match_label(t, element, v, env, what, at);
  if (!strcmp(name, "int")) {
    if (have == TYPE_BOOL) *v = value_cast(t, *v, TYPE_I32);
    if (!type_is_float(have)) return true;
  } else if (!strcmp(name, "bool")) {
    if (have == TYPE_BOOL) return true;
  } else {
    if (v->classes == 2) { /* 0 or 1, and NaN where the label is not known */
      Value label = *v, zero = value_number(0, true, at);
      label.classes = 0;
      *v = op_select(t, op_binary(t, OP_GE, label, zero, at), value_cast(t, label, t->graph->float_type),
                     value_number(NAN, false, at), at);
      return !value_bad(*v);
    }
    if (v->classes) {
      Diag *d =
          trace_error(t, "label-as-number", at, "%s must be of float; found %s, whose numbers are names of classes",
                      what, value_describe(t, *v));
      note_value(t, d, *v, at, "it");
      diag_hint(t->s, d, "use `embedding(x, width)` or `one_hot(x)`");
      return false;
    }
    if (!type_is_float(have)) *v = value_cast(t, *v, t->graph->float_type);
    return true;
  }
  Diag *d = trace_error(t, "type-mismatch", at, "%s must be of %s; found %s", what, name, value_describe(t, *v));
  note_value(t, d, *v, at, "it");
  return false;
}

/* A number known while compiling stays one. */
static bool match_number(Tracer *t, Ast element, Value *v, const char *what, Span at) {
  const char *name = element_name(t, element);
  if (!strcmp(name, "bool")) {
    if (v->kind == V_BOOL) return true;
  } else if (!strcmp(name, "int") || !strcmp(name, "label")) {
    if (v->kind == V_BOOL) return *v = value_number(v->truth, true, v->span), true;
    if (v->number == trunc(v->number)) return v->exact = true;
  } else {
    return true;
  }
  Diag *d = trace_error(t, "type-mismatch", at, "%s must be of %s; found %s", what, name, value_describe(t, *v));
  note_value(t, d, *v, at, "it");
  return false;
}

static bool match_tuple(Tracer *t, Ast type, Value *v, Env *env, const char *what, Span at) {
  const Ast list = ast_child(t->tree, type, TYPE_TUPLE_items);
  const uint32_t n = ast_count(t->tree, list);
  if (v->kind != V_TUPLE || v->count != n) {
    Diag *d = trace_error(t, "type-mismatch", at, "%s must be a tuple of %u; found %s", what, n, value_describe(t, *v));
    note_value(t, d, *v, at, "it");
    return false;
  }
  Value *items = values_new(t, n);
  memcpy(items, v->items, sizeof *items * n);
  v->items = items;
  bool ok = true;
  for (uint32_t i = 0; i < n; i++) {
    ok = type_match(t, ast_child(t->tree, list, i), &items[i], env, text_of(t, "part %u of %s", i, what), at) && ok;
  }
  return ok;
}

bool type_match(Tracer *t, Ast type, Value *v, Env *env, const char *what, Span at) {
  if (value_bad(*v)) return false;
  if (!type.id) return true;
  const AstKind kind = ast_kind(t->tree, type);
  if (kind == AST_TYPE_TUPLE) return match_tuple(t, type, v, env, what, at);
  const Ast element = kind == AST_TYPE_ARRAY ? ast_child(t->tree, type, TYPE_ARRAY_element) : type;
  if (!known_element(t, element)) return false;
  const bool scalar = kind == AST_TYPE_ELEMENT || !ast_count(t->tree, ast_child(t->tree, type, TYPE_ARRAY_shape));
  if (scalar && (v->kind == V_NUMBER || v->kind == V_BOOL)) return match_number(t, element, v, what, at);
  if (scalar && v->kind == V_BATCH) return true;
  if (!value_is_numeric(*v)) {
    Diag *d = trace_error(t, "type-mismatch", at, "%s must be %s; found %s", what, scalar ? "a number" : "an array",
                          value_describe(t, *v));
    if (v->kind == V_INSTANCE || v->kind == V_FUNCTION) diag_hint(t->s, d, "apply it to its input first");
    if (v->kind == V_DISTRIBUTION)
      diag_hint(t->s, d, "give it a shape to draw: `[]` for a scalar, `[like x]` for x's shape");
    note_value(t, d, *v, at, "it");
    return false;
  }
  const bool real = !element.id || !strcmp(element_name(t, element), "float");
  if (!value_to_tensor(t, v, real ? t->graph->float_type : TYPE_COUNT, at)) return false;
  if (kind == AST_TYPE_ELEMENT) {
    const Dims dims = value_dims(t, *v);
    if (dims.rank) {
      Diag *d = trace_error(t, "type-mismatch", at, "%s must be one %s; found %s", what, element_name(t, element),
                            value_describe(t, *v));
      note_value(t, d, *v, at, "it");
      return false;
    }
  } else if (!match_shape(t, type, *v, env, what, at)) {
    return false;
  }
  return match_element(t, element, v, env, what, at);
}

bool type_eval(Tracer *t, Ast type, Env *env, Declared *out) {
  *out = (Declared){.element = t->graph->float_type};
  if (!type.id) return true;
  const AstKind kind = ast_kind(t->tree, type);
  const Span span = ast_node(t->tree, type)->span;
  if (kind == AST_TYPE_TUPLE) {
    trace_error(t, "bad-type", span, "a tuple has no place of its own: declare its parts one by one");
    return false;
  }
  const Ast element = kind == AST_TYPE_ARRAY ? ast_child(t->tree, type, TYPE_ARRAY_element) : type;
  if (!known_element(t, element)) return false;
  if (kind == AST_TYPE_ARRAY && !eval_shape(t, ast_child(t->tree, type, TYPE_ARRAY_shape), env, &out->dims, "a type"))
    return false;
  const char *name = element_name(t, element);
  if (!strcmp(name, "int")) out->element = TYPE_I32;
  if (!strcmp(name, "bool")) out->element = TYPE_BOOL;
  if (strcmp(name, "label")) return true;
  out->element = TYPE_I32;
  const Ast classes = ast_child(t->tree, element, TYPE_ELEMENT_extent);
  if (!classes.id) {
    Diag *d = trace_error(t, "classes-unknown", span, "`label` needs its number of classes");
    diag_hint(t->s, d, "write `label[10]` for labels 0 to 9");
    return false;
  }
  int64_t k;
  if (!value_whole(t, eval(t, classes, env), &k, "the number of classes", ast_node(t->tree, classes)->span))
    return false;
  if (k < 1 || k > 1 << 24) {
    trace_error(t, "bad-extent", ast_node(t->tree, classes)->span, "a label of %lld classes", (long long)k);
    return false;
  }
  out->classes = (int32_t)k;
  return true;
}
