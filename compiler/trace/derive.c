/* derive.c: `grad` and its like, all by reverse mode on the graph. */
#include <string.h>

#include "call.h"

static Value zeros_like(Tracer *t, Value x) {
  x.node = build_full(t->graph, value_type(t, x), 0, node_shape(t->graph, x.node));
  return x;
}

static bool differentiable(Tracer *t, Value *x, Span span) {
  if (!value_to_tensor(t, x, TYPE_COUNT, span)) return false;
  const Prim prim = node_prim(t->graph, x->node);
  if (!type_is_float(value_type(t, *x))) {
    trace_error(t, "not-float", span, "a derivative by %s: only floats have derivatives", value_describe(t, *x));
    return false;
  }
  if (prim == P_MARK || prim == P_SLOT) return true;
  Diag *d = trace_error(t, "grad-by-expression", span,
                        "derivatives are taken by a name: an input, a `let`, a parameter, an instance");
  note_value(t, d, *x, span, "the second argument");
  diag_hint(t->s, d, "name it first: `let v = ...`, use `v` in the first argument, then `grad(e, v)`");
  return false;
}

/* By each parameter of an instance or a bundle: a bundle of the same form. */
static Value grad_by_bundle(Tracer *t, Value e, Value x, Span span) {
  if (!bundle_of(t, &x, span)) return value_poison();
  Bundle *bundle = bundle_copy(t, x.bundle);
  Node *nodes = ARENA_ARRAY(t->arena, Node, bundle->count + 1), *grads = ARENA_ARRAY(t->arena, Node, bundle->count + 1);
  for (uint32_t i = 0; i < bundle->count; i++) {
    if (!differentiable(t, &bundle->values[i], span)) return value_poison();
    nodes[i] = bundle->values[i].node;
  }
  suspect_reverse(t, e.node, NODE_NONE, nodes, bundle->count, grads);
  for (uint32_t i = 0; i < bundle->count; i++) {
    bundle->values[i] = zeros_like(t, bundle->values[i]);
    if (grads[i].id) bundle->values[i].node = grads[i];
  }
  return (Value){.kind = V_BUNDLE, .bundle = bundle, .span = span};
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
  if (x.kind == V_INSTANCE || x.kind == V_BUNDLE) return grad_by_bundle(t, e, x, span);
  if (!differentiable(t, &x, span)) return value_poison();
  if (!grad_depends(t->graph, e.node, x.node)) {
    Diag *d = trace_error(t, "no-dependence", span, "the first argument of `grad` does not depend on the second");
    note_value(t, d, e, span, "the first");
    note_value(t, d, x, span, "the second");
    return value_poison();
  }
  Node grad;
  suspect_reverse(t, e.node, NODE_NONE, &x.node, 1, &grad);
  Value out = zeros_like(t, x);
  if (grad.id) out.node = grad;
  out.span = span;
  return out;
}

static bool scalar_of(Tracer *t, Value *e, Span span) {
  if (!value_to_float(t, e, span)) return false;
  const Dims dims = value_dims(t, *e);
  if (!dims.rank) return true;
  Diag *d = trace_error(t, "not-a-scalar", span, "a scalar of the example is differentiated; found %s",
                        value_describe(t, *e));
  note_value(t, d, *e, span, "it");
  diag_hint(t->s, d, "take `sum(e)`, or `mean(e)`");
  return false;
}

/* With `per = example` a name was bound to copies, one for each example, by env_bind: only what has no name is left. */
static bool one_each(Tracer *t, Value x, Span span) {
  bool each = x.kind != V_TENSOR || x.batched;
  if (x.kind == V_TUPLE)
    for (uint32_t i = 0; i < x.count && each; i++)
      if (!one_each(t, x.items[i], span)) return false;
  if (each) return true;
  Diag *d = trace_error(t, "per-example", span, "a gradient for each example is taken by a name: %s has none", value_describe(t, x));
  note_value(t, d, x, span, "the second argument");
  diag_hint(t->s, d, "name it first: `let w = ...`, use `w` in the first argument, then `grad(e, w, per = example)`");
  return false;
}

Value builtin_grad(Tracer *t, Call *c) {
  Value e = c->args[0];
  if (!scalar_of(t, &e, c->span)) return value_poison();
  const Value per = c->args[2];
  if (per.kind != V_ABSENT && (per.kind != V_STRING || strcmp(per.text, "example"))) {
    trace_error(t, "bad-argument", c->span, "`per` is `example`; found %s", value_describe(t, per));
    return value_poison();
  }
  if (per.kind != V_ABSENT && !one_each(t, c->args[1], c->span)) return value_poison();
  return grad_by(t, e, c->args[1], c->span);
}

/* The gradient of sum(e * seed) by x, zeros where there is none. */
static Value pull(Tracer *t, Value e, Node seed, Value x, Span span) {
  Node grad;
  suspect_reverse(t, e.node, seed, &x.node, 1, &grad);
  Value out = zeros_like(t, x);
  if (grad.id) out.node = grad;
  out.span = span;
  return out;
}

static bool direction(Tracer *t, Value *v, Value x, Span span) {
  Value both[2] = {*v, x};
  const Dims want = value_dims(t, x);
  if (!tensors_unify(t, both, 2, true, span) || !tensors_align(t, both, 2, true, span, "a direction")) return false;
  const Dims got = value_dims(t, both[0]);
  if (dims_equal(&want, &got) && both[0].batched == x.batched) return *v = both[0], true;
  trace_error(t, "shape-mismatch", span, "a direction has the shape of what is differentiated by, %s; found %s",
              dims_text(t, &want), value_describe(t, *v));
  return false;
}

/* Forwards by going backwards twice: with g(u) the gradient of sum(e * u), linear in u, the gradient of sum(g(u) * v)
 * by u is the derivative of e along v. */
Value builtin_jvp(Tracer *t, Call *c) {
  Value e = c->args[0], x = c->args[1], v = c->args[2];
  if (!value_to_float(t, &e, c->span) || !differentiable(t, &x, c->span) || !direction(t, &v, x, c->span))
    return value_poison();
  Value u = e;
  u.node = build_mark(t->graph, build_full(t->graph, value_type(t, e), 1, node_shape(t->graph, e.node)));
  return pull(t, pull(t, e, u.node, x, c->span), v.node, u, c->span);
}

Value builtin_hvp(Tracer *t, Call *c) {
  Value e = c->args[0], x = c->args[1], v = c->args[2];
  if (!scalar_of(t, &e, c->span) || !differentiable(t, &x, c->span) || !direction(t, &v, x, c->span))
    return value_poison();
  return pull(t, pull(t, e, NODE_NONE, x, c->span), v.node, x, c->span);
}

enum { JACOBIAN_LIMIT = 256 };

/* One gradient an element of e, stacked: e's axes, then x's. */
static Value jacobian(Tracer *t, Value e, Value x, Span span) {
  const Dims rows = value_dims(t, e), columns = value_dims(t, x);
  int64_t count;
  if (dims_batched(&rows) || !dims_size(&rows, 1, &count) || count > JACOBIAN_LIMIT || count < 1 ||
      rows.rank + columns.rank + x.batched > GRAPH_MAX_RANK) {
    trace_limit(t, "no-meaning", span, "the derivatives of %s by %s have no meaning yet: at most %d rows",
                dims_text(t, &rows), dims_text(t, &columns), JACOBIAN_LIMIT);
    return value_poison();
  }
  const Dims flat = {1, {count}};
  const Value all = tensor_reshape(t, e, &flat);
  Value *parts = values_new(t, (uint32_t)count);
  for (uint32_t i = 0; i < count; i++) parts[i] = pull(t, op_take(t, all, 0, i), NODE_NONE, x, span);
  const Value stacked = op_stack(t, parts, (uint32_t)count, 0, span);
  if (value_bad(stacked)) return stacked;
  Dims shape = rows;
  for (uint32_t i = 0; i < columns.rank; i++) shape.dims[shape.rank++] = columns.dims[i];
  return tensor_reshape(t, stacked, &shape);
}

Value builtin_jacobian(Tracer *t, Call *c) {
  Value e = c->args[0], x = c->args[1];
  if (!value_to_float(t, &e, c->span) || !differentiable(t, &x, c->span)) return value_poison();
  return jacobian(t, e, x, c->span);
}

Value builtin_hessian(Tracer *t, Call *c) {
  Value e = c->args[0], x = c->args[1];
  if (!scalar_of(t, &e, c->span) || !differentiable(t, &x, c->span)) return value_poison();
  return jacobian(t, pull(t, e, NODE_NONE, x, c->span), x, c->span);
}
