/* misc.c: functions that ask about values, and `grad`. */
#include <string.h>

#include "call.h"

Value builtin_int(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (x.kind == V_NUMBER || x.kind == V_BOOL) {
    Value v = op_prim1(t, P_TRUNC, x, c->span);
    v.exact = true;
    return v;
  }
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Type type = value_type(t, x);
  x.classes = 0, x.span = c->span;
  return type == TYPE_I32 ? x : value_cast(t, x, TYPE_I32);
}

/* Inside the closed interval the gradient is 1, also at the bounds: a select, not min of max. */
Value builtin_clamp(Tracer *t, Call *c) {
  const Value x = c->args[0], low = c->args[1], high = c->args[2];
  const Value above = op_select(t, op_binary(t, OP_GT, x, high, c->span), high, x, c->span);
  return op_select(t, op_binary(t, OP_LT, x, low, c->span), low, above, c->span);
}

Value builtin_select(Tracer *t, Call *c) { return op_select(t, c->args[0], c->args[1], c->args[2], c->span); }

Value builtin_shape(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  Value out = {.kind = V_TUPLE, .count = dims.rank, .items = values_new(t, dims.rank), .span = c->span};
  for (uint32_t i = 0; i < dims.rank; i++)
    out.items[i] = dim_is_batch(dims.dims[i]) ? (Value){.kind = V_BATCH, .span = c->span} : value_number((double)dims.dims[i], true, c->span);
  return out;
}

Value builtin_rank(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  return value_number(value_dims(t, x).rank, true, c->span);
}

Value builtin_size(Tracer *t, Call *c) {
  Value x = c->args[0];
  int64_t size = 0;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  for (uint32_t i = 0; i < dims.rank; i++) {
    if (!dim_is_batch(dims.dims[i])) continue;
    trace_limit(t, "no-meaning", c->span, "`size` of an array with the batch as an axis has no meaning yet");
    return value_poison();
  }
  dims_size(&dims, 1, &size);
  return value_number((double)size, true, c->span);
}

Value builtin_is_known(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  if (type_is_float(value_type(t, x))) return op_not(t, op_prim1(t, P_ISNAN, x, c->span), c->span);
  if (value_type(t, x) == TYPE_BOOL) x = value_cast(t, x, TYPE_I32);
  return op_binary(t, OP_GE, x, value_number(0, true, c->span), c->span);
}

Value builtin_stop_gradient(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (x.kind == V_NUMBER || x.kind == V_BOOL) return x;
  if (x.kind == V_TUPLE) {
    Value out = x;
    out.items = values_new(t, x.count);
    for (uint32_t i = 0; i < x.count; i++) {
      Value args[1] = {x.items[i]};
      out.items[i] = builtin_stop_gradient(t, &(Call){c->builtin, args, c->span});
    }
    return out;
  }
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  if (type_is_float(value_type(t, x))) x.node = build_stop(t->graph, x.node);
  return x;
}

/* The same numbers, the batch as an axis like others. */
Value builtin_across(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  if (!x.batched) {
    Diag *d = trace_error(t, "not-batched", c->span, "`across` puts all examples side by side; found a value that is the same for all");
    note_value(t, d, x, c->span, "it");
    return value_poison();
  }
  x.batched = false;
  return x;
}

/* ---- grad ---- */

static Value zeros_like(Tracer *t, Value x) {
  x.node = build_full(t->graph, value_type(t, x), 0, node_shape(t->graph, x.node));
  return x;
}

static bool differentiable(Tracer *t, Value *x, Span span) {
  if (!value_to_tensor(t, x, TYPE_COUNT, span)) return false;
  const Prim prim = node_prim(t->graph, x->node);
  if (!type_is_float(value_type(t, *x))) {
    trace_error(t, "not-float", span, "`grad` by %s: only floats have gradients", value_describe(t, *x));
    return false;
  }
  if (prim == P_MARK || prim == P_SLOT) return true;
  Diag *d = trace_error(t, "grad-by-expression", span, "`grad` differentiates by a name: an input, a `let`, a parameter, an instance");
  note_value(t, d, *x, span, "the second argument");
  diag_hint(t->s, d, "name it first: `let v = ...`, use `v` in the first argument, then `grad(e, v)`");
  return false;
}

static Value grad_by(Tracer *t, Value e, Value x, Span span) {
  if (x.kind == V_TUPLE) {
    Value out = {.kind = V_TUPLE, .count = x.count, .items = values_new(t, x.count), .span = span};
    for (uint32_t i = 0; i < x.count; i++) {
      out.items[i] = grad_by(t, e, x.items[i], span);
      if (value_bad(out.items[i])) return value_poison();
    }
    return out;
  }
  if (x.kind == V_INSTANCE) {
    Owned **list;
    Bundle *bundle = ARENA_NEW(t->arena, Bundle);
    const uint32_t count = instance_parameters(t, x.closure->instance, &list);
    *bundle = (Bundle){x.closure->instance, x.closure, count, list, values_new(t, count)};
    Node *nodes = ARENA_ARRAY(t->arena, Node, count + 1), *grads = ARENA_ARRAY(t->arena, Node, count + 1);
    for (uint32_t i = 0; i < count; i++) {
      bundle->values[i] = owned_value(t, list[i], span);
      nodes[i] = bundle->values[i].node;
    }
    grad_reverse(t->graph, e.node, NODE_NONE, nodes, count, grads);
    for (uint32_t i = 0; i < count; i++) {
      bundle->values[i] = zeros_like(t, bundle->values[i]);
      if (grads[i].id) bundle->values[i].node = grads[i];
    }
    return (Value){.kind = V_BUNDLE, .bundle = bundle, .span = span};
  }
  if (!differentiable(t, &x, span)) return value_poison();
  if (!grad_depends(t->graph, e.node, x.node)) {
    Diag *d = trace_error(t, "no-dependence", span, "the first argument of `grad` does not depend on the second");
    note_value(t, d, e, span, "the first");
    note_value(t, d, x, span, "the second");
    return value_poison();
  }
  Node grad;
  grad_reverse(t->graph, e.node, NODE_NONE, &x.node, 1, &grad);
  Value out = zeros_like(t, x);
  if (grad.id) out.node = grad;
  out.span = span;
  return out;
}

Value builtin_grad(Tracer *t, Call *c) {
  Value e = c->args[0];
  if (!value_to_float(t, &e, c->span)) return value_poison();
  const Dims dims = value_dims(t, e);
  if (dims.rank) {
    Diag *d = trace_error(t, "not-a-scalar", c->span, "`grad` differentiates a scalar of the example; found %s", value_describe(t, e));
    note_value(t, d, e, c->span, "it");
    diag_hint(t->s, d, "take `sum(e)`, or `mean(e)`");
    return value_poison();
  }
  if (c->args[2].kind != V_ABSENT) {
    trace_limit(t, "no-meaning", c->span, "`per = example` has no meaning yet");
    return value_poison();
  }
  return grad_by(t, e, c->args[1], c->span);
}
