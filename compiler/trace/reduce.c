/* reduce.c: sums, means, extremes over axes of the example and over the batch. */
#include <math.h>
#include <string.h>

#include "call.h"

static bool over_add(Tracer *t, Value v, uint32_t rank, Over *out, Span at) {
  int64_t axis = 0;
  uint32_t place;
  if (v.kind == V_BATCH) return out->batch = true;
  if (v.kind == V_AXES) {
    for (uint32_t i = 0; i < v.count; i++) {
      if (!axis_of(t, (int64_t)v.number + i, rank, &place, at)) return false;
      out->axes[out->count++] = place;
    }
    return true;
  }
  if (v.kind == V_NUMBER && v.axis) {
    axis = v.axis > 0 ? v.axis - 1 : v.axis;
  } else if (!value_whole(t, v, &axis, "an axis", at)) {
    return false;
  }
  if (!axis_of(t, axis, rank, &place, at)) return false;
  for (uint32_t i = 0; i < out->count; i++) {
    if (out->axes[i] != place) continue;
    trace_error(t, "axis-twice", at, "axis %u is named twice", place);
    return false;
  }
  if (out->count == GRAPH_MAX_RANK) return false;
  out->axes[out->count++] = place;
  return true;
}

/* The axes that `over` names, in ascending order. */
bool over_resolve(Tracer *t, Value over, uint32_t rank, Over *out, Span at) {
  *out = (Over){0};
  if (value_bad(over)) return false;
  if (over.kind == V_TUPLE || over.kind == V_ARRAY) {
    for (uint32_t i = 0; i < over.count; i++) {
      if (!over_add(t, over.items[i], rank, out, at)) return false;
    }
  } else if (over.kind == V_RANGE) {
    for (uint32_t i = 0; i < over.count; i++) {
      if (!over_add(t, value_number(over.number + i, true, at), rank, out, at)) return false;
    }
  } else if (!over_add(t, over, rank, out, at)) {
    return false;
  }
  for (uint32_t i = 1; i < out->count; i++) {
    const uint32_t axis = out->axes[i];
    uint32_t k = i;
    for (; k && out->axes[k - 1] > axis; k--) out->axes[k] = out->axes[k - 1];
    out->axes[k] = axis;
  }
  return true;
}

static bool need_batched(Tracer *t, Value x, Span span) {
  if (x.batched) return true;
  Diag *d = trace_error(t, "not-batched", span, "`over = batch` of a value that is the same for all examples");
  note_value(t, d, x, span, "it");
  return false;
}

Value op_reduce(Tracer *t, Prim prim, Value x, const Over *over, bool keep, Span span) {
  if (over->batch && !need_batched(t, x, span)) return value_poison();
  if (!over->count && !over->batch) return x;
  const Dims dims = value_dims(t, x);
  int64_t axes[GRAPH_MAX_RANK + 1];
  uint32_t n = 0;
  if (over->batch) axes[n++] = 0;
  for (uint32_t i = 0; i < over->count; i++) axes[n++] = (int64_t)over->axes[i] + x.batched;
  Value out = value_tensor(t, build_reduce(t->graph, prim, x.node, axes, n), x.batched && !over->batch, span);
  if (!keep || !over->count) return out;
  Dims kept = dims;
  for (uint32_t i = 0; i < over->count; i++) kept.dims[over->axes[i]] = 1;
  return tensor_reshape(t, out, &kept);
}

Value op_mean(Tracer *t, Value x, const Over *over, bool keep, Span span) {
  const Dims dims = value_dims(t, x);
  double count = 1;
  Node extents = NODE_NONE;
  const Type type = value_type(t, x);
  if (over->batch && !need_batched(t, x, span)) return value_poison();
  if (over->batch) extents = build_extent(t->graph, value_batch(t, x));
  for (uint32_t i = 0; i < over->count; i++) {
    const int64_t extent = dims.dims[over->axes[i]];
    if (!dim_is_batch(extent)) {
      count *= (double)extent;
      continue;
    }
    const Node more = build_extent(t->graph, extent);
    extents = extents.id ? build_mul(t->graph, extents, more) : more;
  }
  Value sum = op_reduce(t, P_SUM, x, over, keep, span);
  if (value_bad(sum) || (count == 1 && !extents.id)) return sum;
  if (!extents.id) {
    sum.node = build_div(t->graph, sum.node, build_like(t->graph, sum.node, count));
    return sum;
  }
  if (count != 1) extents = build_mul(t->graph, extents, build_like(t->graph, extents, count));
  sum.node = build_div(t->graph, sum.node, build_cast(t->graph, extents, type));
  return sum;
}

static bool keep_of(Tracer *t, Value v, bool *keep, Span at) {
  *keep = false;
  if (v.kind == V_ABSENT) return true;
  if (v.kind == V_BOOL) return *keep = v.truth, true;
  trace_error(t, "not-known", at, "`keep` must be `true` or `false`; found %s", value_describe(t, v));
  return false;
}

/* x as a tensor and the axes of `over`; all of the example's, or the last, where it is absent. */
static bool reduction_args(Tracer *t, Value *x, Value over, bool last, Over *axes, Span span) {
  if (!value_to_tensor(t, x, TYPE_COUNT, span)) return false;
  const Dims dims = value_dims(t, *x);
  if (over.kind != V_ABSENT) return over_resolve(t, over, dims.rank, axes, span);
  *axes = (Over){0};
  if (last && dims.rank) axes->axes[axes->count++] = dims.rank - 1;
  for (uint32_t i = 0; !last && i < dims.rank; i++) axes->axes[axes->count++] = i;
  return true;
}

static Value reduce_call(Tracer *t, Call *c, Prim prim, uint32_t over_at) {
  Value x = c->args[0];
  Over over;
  bool keep;
  if (!reduction_args(t, &x, c->args[over_at], false, &over, c->span)) return value_poison();
  if (!keep_of(t, c->args[over_at + 1], &keep, c->span)) return value_poison();
  if (value_type(t, x) == TYPE_BOOL) x = value_cast(t, x, t->graph->float_type);
  const Dims dims = value_dims(t, x);
  for (uint32_t i = 0; (prim == P_RMAX || prim == P_RMIN) && i < over.count; i++) {
    if (dims.dims[over.axes[i]]) continue;
    trace_error(t, "empty-axis", c->span, "the largest of nothing: axis %u of %s is empty", over.axes[i],
                value_describe(t, x));
    return value_poison();
  }
  return op_reduce(t, prim, x, &over, keep, c->span);
}

Value builtin_sum(Tracer *t, Call *c) { return reduce_call(t, c, P_SUM, 1); }
Value builtin_prod(Tracer *t, Call *c) { return reduce_call(t, c, P_PROD, 1); }

static Value extreme(Tracer *t, Call *c, Prim two, Prim reduce) {
  if (c->args[1].kind == V_ABSENT) return reduce_call(t, c, reduce, 2);
  if (c->args[2].kind != V_ABSENT) {
    trace_error(t, "bad-argument", c->span, "`%s` takes two arrays, or one and `over`, not all three",
                c->builtin->name);
    return value_poison();
  }
  return op_prim2(t, two, c->args[0], c->args[1], c->span);
}
Value builtin_max(Tracer *t, Call *c) { return extreme(t, c, P_MAX, P_RMAX); }
Value builtin_min(Tracer *t, Call *c) { return extreme(t, c, P_MIN, P_RMIN); }

Value builtin_mean(Tracer *t, Call *c) {
  Value x = c->args[0];
  Over over;
  bool keep;
  if (!value_to_float(t, &x, c->span)) return value_poison();
  if (!reduction_args(t, &x, c->args[1], false, &over, c->span)) return value_poison();
  if (!keep_of(t, c->args[2], &keep, c->span)) return value_poison();
  return op_mean(t, x, &over, keep, c->span);
}

static Value logical(Tracer *t, Call *c, Prim prim) {
  Value x = c->args[0];
  Over over;
  bool keep;
  if (!reduction_args(t, &x, c->args[1], false, &over, c->span)) return value_poison();
  if (!keep_of(t, c->args[2], &keep, c->span)) return value_poison();
  x = op_binary(t, OP_NE, x, value_number(0, true, c->span), c->span);
  if (value_bad(x)) return x;
  x = op_reduce(t, prim, value_cast(t, x, TYPE_I32), &over, keep, c->span);
  return op_binary(t, OP_NE, x, value_number(0, true, c->span), c->span);
}
Value builtin_any(Tracer *t, Call *c) { return logical(t, c, P_RMAX); }
Value builtin_all(Tracer *t, Call *c) { return logical(t, c, P_RMIN); }

static Value arg_extreme(Tracer *t, Call *c, bool least) {
  Value x = c->args[0];
  Over over;
  if (!reduction_args(t, &x, c->args[1], true, &over, c->span)) return value_poison();
  if (over.batch || over.count != 1) {
    Diag *d = trace_error(t, "one-axis", c->span, "`%s` works along one axis; found %s", c->builtin->name,
                          over.batch ? "the batch" : value_describe(t, x));
    diag_hint(t->s, d, "flatten the array before, or name the axis: `over = 0`");
    return value_poison();
  }
  if (value_type(t, x) == TYPE_BOOL) x = value_cast(t, x, TYPE_I32);
  if (least) x = op_neg(t, x, c->span);
  const int64_t extent = value_dims(t, x).dims[over.axes[0]];
  const int64_t axis = (int64_t)over.axes[0] + x.batched;
  Value out = value_tensor(t, build_reduce(t->graph, P_ARGMAX, x.node, &axis, 1), x.batched, c->span);
  out.classes = dim_is_batch(extent) ? 0 : (int32_t)extent;
  return out;
}
Value builtin_argmax(Tracer *t, Call *c) { return arg_extreme(t, c, false); }
Value builtin_argmin(Tracer *t, Call *c) { return arg_extreme(t, c, true); }

/* sqrt of the sum of squares, with gradient 0 where it is 0: the root is taken of 1 there. */
Value builtin_norm(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_float(t, &x, c->span)) return value_poison();
  Call square = *c;
  Value args[3] = {op_binary(t, OP_MUL, x, x, c->span), c->args[1], c->args[2]};
  square.args = args;
  const Value sum = builtin_sum(t, &square), zero = value_number(0, true, c->span);
  const Value some = op_binary(t, OP_GT, sum, zero, c->span);
  const Value safe = op_select(t, some, sum, value_number(1, true, c->span), c->span);
  const Value root = op_prim1(t, P_SQRT, safe, c->span);
  /* NaN is not above 0: it must come through. */
  const Value rest = op_select(t, op_prim1(t, P_ISNAN, sum, c->span), sum, zero, c->span);
  return op_select(t, some, root, rest, c->span);
}
