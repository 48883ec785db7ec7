/* misc.c: functions that ask about values. */
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

Value builtin_polygamma(Tracer *t, Call *c) {
  int64_t n;
  Value x = c->args[1];
  if (!value_whole(t, c->args[0], &n, "the order", c->span) || !value_to_float(t, &x, c->span)) return value_poison();
  if (n < 0 || n > POLYGAMMA_MAX) {
    trace_error(t, "bad-argument", c->span, "the order of `polygamma` is 0 to %d; found %lld", POLYGAMMA_MAX, (long long)n);
    return value_poison();
  }
  x.node = n ? polygamma_node(t->graph, (int)n, x.node) : build_unary(t->graph, P_DIGAMMA, x.node);
  x.span = c->span;
  return x;
}

Value builtin_select(Tracer *t, Call *c) { return op_select(t, c->args[0], c->args[1], c->args[2], c->span); }

Value builtin_shape(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  Value out = {.kind = V_TUPLE, .count = dims.rank, .items = values_new(t, dims.rank), .span = c->span};
  for (uint32_t i = 0; i < dims.rank; i++)
    out.items[i] = dim_is_batch(dims.dims[i]) ? (Value){.kind = V_BATCH, .span = c->span}
                                              : value_number((double)dims.dims[i], true, c->span);
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
    Diag *d = trace_error(t, "not-batched", c->span,
                          "`across` puts all examples side by side; found a value that is the same for all");
    note_value(t, d, x, c->span, "it");
    return value_poison();
  }
  x.batched = false;
  return x;
}
