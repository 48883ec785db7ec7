/* value.c: making values, asking what they are, and turning what is known while compiling into tensors. */
#include <math.h>
#include <string.h>

#include "tracer.h"

Value value_number(double number, bool exact, Span span) {
  return (Value){.kind = V_NUMBER, .exact = exact, .number = number, .span = span};
}
Value value_bool(bool truth, Span span) { return (Value){.kind = V_BOOL, .truth = truth, .span = span}; }
Value value_text(const char *text, Span span) { return (Value){.kind = V_STRING, .text = text, .span = span}; }

Value value_tensor(Tracer *t, Node node, bool batched, Span span) {
  return (Value){.kind = V_TENSOR, .node = node, .batched = batched, .graph = t->graph_index, .span = span};
}

Value *values_new(Tracer *t, uint32_t count) { return ARENA_ARRAY(t->arena, Value, count ? count : 1); }

bool value_is_numeric(Value v) {
  return v.kind == V_NUMBER || v.kind == V_BOOL || v.kind == V_RANGE || v.kind == V_ARRAY || v.kind == V_TENSOR ||
         v.kind == V_BATCH;
}

Dims value_dims(Tracer *t, Value v) {
  if (v.kind == V_RANGE) return (Dims){1, {v.count}};
  if (v.kind != V_TENSOR) return (Dims){0};
  const Dims *all = node_dims(t->graphs[v.graph], v.node);
  Dims out = {all->rank - v.batched, {0}};
  for (uint32_t i = 0; i < out.rank; i++) out.dims[i] = all->dims[i + v.batched];
  return out;
}

int64_t value_batch(Tracer *t, Value v) { return node_dims(t->graphs[v.graph], v.node)->dims[0]; }

const char *dims_text(Tracer *t, const Dims *dims) {
  Text out = {0};
  text_add(&out, "[");
  for (uint32_t i = 0; i < dims->rank; i++) {
    if (i) text_add(&out, ", ");
    if (dim_is_batch(dims->dims[i]))
      text_add(&out, "batch");
    else
      text_printf(&out, "%lld", (long long)dims->dims[i]);
  }
  text_add(&out, "]");
  const char *text = arena_text(t->arena, text_get(&out), out.length);
  text_free(&out);
  return text;
}

static const char *describe_closure(Tracer *t, Value v) {
  const Closure *c = v.closure;
  const uint32_t lacking = closure_lacking(t, c);
  const char *name = closure_name(t, c);
  if (c->kind == C_LAMBDA) return v.kind == V_INSTANCE ? "a layer made of a lambda" : "a lambda";
  if (v.kind == V_INSTANCE) return text_of(t, "an instance of `%s`", name);
  if (!c->called || !lacking)
    return text_of(t, "the %s `%s`", c->kind == C_BUILTIN ? "function" : ast_kind_word(closure_kind(t, c)), name);
  Param params[PARAM_LIMIT];
  const uint32_t count = closure_params(t, c, params, PARAM_LIMIT);
  Text missing = {0};
  for (uint32_t i = 0; i < count; i++) {
    if (params[i].required && (!c->bound || c->bound[i].kind == V_ABSENT))
      text_printf(&missing, "%s`%s`", missing.length ? ", " : "", name_of(t, params[i].name));
  }
  const char *text = text_of(t, "`%s` still without %s", name, text_get(&missing));
  text_free(&missing);
  return text;
}

static const char *describe_tensor(Tracer *t, Value v) {
  const Dims dims = value_dims(t, v);
  const char *shape = dims.rank ? dims_text(t, &dims) : "a scalar";
  const Type type = node_type(t->graphs[v.graph], v.node);
  if (v.classes) return text_of(t, "%s of label[%d]", shape, v.classes);
  if (type == TYPE_BOOL) return text_of(t, "%s of bool", shape);
  return type == TYPE_I32 ? text_of(t, "%s of int", shape) : shape;
}

const char *value_describe(Tracer *t, Value v) {
  Text out = {0};
  switch ((ValueKind)v.kind) {
  case V_NUMBER:
    if (v.exact) return text_of(t, "the number %.0f", v.number);
    text_add_number(&out, v.number);
    const char *text = text_of(t, "the number %s", text_get(&out));
    text_free(&out);
    return text;
  case V_BOOL: return v.truth ? "`true`" : "`false`";
  case V_STRING: return text_of(t, "the word \"%s\"", v.text);
  case V_RANGE: return text_of(t, "[%u] of int", v.count);
  case V_TUPLE: return text_of(t, "a tuple of %u", v.count);
  case V_ARRAY: return text_of(t, "an array of %u", v.count);
  case V_TENSOR: return describe_tensor(t, v);
  case V_FUNCTION:
  case V_INSTANCE: return describe_closure(t, v);
  case V_BUNDLE: return "a bundle of parameters";
  case V_DISTRIBUTION: return "a distribution that is not drawn yet";
  case V_NONE: return "`none`";
  case V_AXES: return "`..`";
  case V_BATCH: return "`batch`";
  case V_SPACE: return "an imported file";
  default: return "nothing";
  }
}

bool value_whole(Tracer *t, Value v, int64_t *whole, const char *what, Span at) {
  if (value_bad(v)) return false;
  double number = 0;
  if (v.kind == V_BOOL) v = value_number(v.truth, true, v.span);
  if (v.kind == V_NUMBER) number = v.number;
  if (v.kind != V_NUMBER || number != trunc(number) || fabs(number) > 9e15) {
    Diag *d = trace_error(t, "not-whole", at, "%s must be a whole number known while compiling; found %s", what,
                          value_describe(t, v));
    note_value(t, d, v, at, "it");
    return false;
  }
  *whole = (int64_t)number;
  return true;
}

bool value_known_number(Tracer *t, Value v, double *number, const char *what, Span at) {
  if (value_bad(v)) return false;
  if (v.kind == V_BOOL) v = value_number(v.truth, true, v.span);
  if (v.kind == V_NUMBER) {
    *number = v.number;
    return true;
  }
  Diag *d = trace_error(t, "not-known", at, "%s must be a number known while compiling; found %s", what,
                        value_describe(t, v));
  note_value(t, d, v, at, "it");
  return false;
}

static bool refuse(Tracer *t, Value v, Span at) {
  if (value_bad(v)) return false;
  Diag *d = trace_error(t, "not-a-number", at, "a number or an array is needed here; found %s", value_describe(t, v));
  if (v.kind == V_DISTRIBUTION)
    diag_hint(t->s, d, "give it a shape to draw: `[]` for a scalar, `[like x]` for x's shape");
  if (v.kind == V_FUNCTION && v.closure->called) diag_hint(t->s, d, "give it the rest of its arguments");
  if (v.kind == V_INSTANCE || v.kind == V_BUNDLE) diag_hint(t->s, d, "apply an instance to its input: `name(x)`");
  if (v.kind == V_TUPLE) diag_hint(t->s, d, "take one of its parts: `value[0]`, or take it apart: `let (a, b) = ...`");
  return false;
}

/* The type that numbers of an array take, so that [1, 0.5] is float. */
static Type array_hint(const Value *items, uint32_t count) {
  bool exact = true, any = false;
  for (uint32_t i = 0; i < count; i++) {
    if (items[i].kind == V_NUMBER) any = true, exact = exact && items[i].exact;
  }
  return any && !exact ? TYPE_F32 : TYPE_COUNT;
}

bool value_to_tensor(Tracer *t, Value *v, Type hint, Span at) {
  const Type real = t->graph->float_type;
  switch ((ValueKind)v->kind) {
  case V_TENSOR:
    if (v->graph != t->graph_index) {
      Diag *d = trace_error(t, "not-here", at, "this is a value of the step, which is not known here");
      note_value(t, d, *v, at, "it");
      return false;
    }
    return true;
  case V_NUMBER: {
    const bool fits = v->exact && fabs(v->number) <= 2147483647.0;
    Type type = hint == TYPE_COUNT ? (fits ? TYPE_I32 : real) : hint;
    if ((type == TYPE_I32 && !fits) || type == TYPE_BOOL) type = fits ? TYPE_I32 : real;
    const Value old = *v;
    *v = value_tensor(t, build_const(t->graph, type, v->number), false, old.span);
    return true;
  }
  case V_BOOL: *v = value_tensor(t, build_const(t->graph, TYPE_BOOL, v->truth), false, v->span); return true;
  case V_RANGE: *v = op_iota(t, (int64_t)v->number, v->count, v->span); return !value_bad(*v);
  case V_ARRAY: {
    Value *items = values_new(t, v->count);
    memcpy(items, v->items, sizeof *items * v->count);
    const Type inner = type_is_float(hint) || array_hint(items, v->count) == TYPE_F32 ? real : hint;
    for (uint32_t i = 0; i < v->count; i++) {
      if (items[i].kind == V_NUMBER && type_is_float(inner)) items[i].exact = false;
    }
    *v = op_stack(t, items, v->count, 0, v->span);
    return !value_bad(*v);
  }
  case V_BATCH:
    if (t->blocks.count > 1) {
      trace_error(t, "batch-unclear", at, "`batch` as a number is unclear in a model with several data blocks");
      return false;
    }
    *v = value_tensor(t, build_extent(t->graph, DIM_BATCH), false, v->span);
    return true;
  case V_DISTRIBUTION:
    if (t->in_data) {
      const Dims scalar = {0};
      *v = op_draw(t, *v, &scalar, false, 0, at);
      return !value_bad(*v);
    }
    return refuse(t, *v, at);
  default: return refuse(t, *v, at);
  }
}

Value value_cast(Tracer *t, Value v, Type type) {
  if (value_bad(v) || value_type(t, v) == type) return v;
  v.node = build_cast(t->graph, v.node, type);
  v.classes = 0;
  return v;
}

bool value_to_float(Tracer *t, Value *v, Span at) {
  if (!value_to_tensor(t, v, t->graph->float_type, at)) return false;
  if (!type_is_float(value_type(t, *v))) *v = value_cast(t, *v, t->graph->float_type);
  return true;
}
