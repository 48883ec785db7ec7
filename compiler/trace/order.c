/* order.c: sorting, the largest k, gathering and scattering. An element's place is the number of those before it, which
 * is n^2 comparisons, 16 at a time, and no pass over memory; what follows gathers. NaN is larger than any number, as for
 * argmax, so that it comes last; equals keep their order. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "call.h"

enum { SORT_LIMIT = 8192, TOP_LIMIT = 64 };

static Value new_last(Tracer *t, Value v) {
  Dims dims = value_dims(t, v);
  dims.dims[dims.rank++] = 1;
  return tensor_reshape(t, v, &dims);
}

/* Moves an axis to the end, or the last one back to its place. */
static Value move_axis(Tracer *t, Value v, uint32_t axis, bool back) {
  const uint32_t rank = value_dims(t, v).rank;
  uint32_t perm[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < rank; i++) {
    if (back)
      perm[i] = i < axis ? i : i == axis ? rank - 1 : i - 1;
    else
      perm[i] = i < axis ? i : i + 1 < rank ? i + 1 : axis;
  }
  return tensor_transpose(t, v, perm);
}

static bool order_args(Tracer *t, Call *c, Value *x, uint32_t *axis) {
  if (!value_to_tensor(t, x, TYPE_COUNT, c->span)) return false;
  const Dims dims = value_dims(t, *x);
  if (!one_axis(t, c->args[1], dims.rank, -1, axis, c->span)) return false;
  if (value_type(t, *x) == TYPE_BOOL) *x = value_cast(t, *x, TYPE_I32);
  const int64_t n = dims.dims[*axis];
  if (n >= 0 && n <= SORT_LIMIT && dims.rank + 1 + x->batched <= GRAPH_MAX_RANK) return true;
  if (dim_is_batch(n)) trace_limit(t, "no-meaning", c->span, "sorting the examples of a batch has no meaning yet");
  else trace_limit(t, "no-meaning", c->span, "sorting more than %d elements has no meaning yet", SORT_LIMIT);
  return false;
}

/* The places that sort x along its last axis, ascending or descending. */
static Value sorting_places(Tracer *t, Value x, bool descending, Span span) {
  const Dims dims = value_dims(t, x);
  const int64_t n = dims.dims[dims.rank - 1];
  Dims row = dims;
  row.dims[row.rank - 1] = 1, row.dims[row.rank++] = n;
  const Value mine = new_last(t, x), other = tensor_reshape(t, x, &row);
  const Value numbers = op_iota(t, 0, n, span), earlier = op_binary(t, OP_LT, numbers, new_last(t, numbers), span);
  Value first = op_binary(t, descending ? OP_GT : OP_LT, other, mine, span), equal = op_binary(t, OP_EQ, other, mine, span);
  if (value_bad(first) || value_bad(equal)) return value_poison();
  if (type_is_float(value_type(t, x))) {
    const Value nan = op_prim1(t, P_ISNAN, mine, span), other_nan = op_prim1(t, P_ISNAN, other, span);
    const Value in = descending ? other_nan : nan, out = op_not(t, descending ? nan : other_nan, span);
    first = op_binary(t, OP_OR, first, op_binary(t, OP_AND, in, out, span), span);
    equal = op_binary(t, OP_OR, equal, op_binary(t, OP_AND, nan, other_nan, span), span);
  }
  const Value before = op_binary(t, OP_OR, first, op_binary(t, OP_AND, equal, earlier, span), span);
  if (value_bad(before)) return before;
  const Over last = {false, 1, {dims.rank}};
  const Value place = op_reduce(t, P_SUM, value_cast(t, before, TYPE_I32), &last, false, span);
  const uint32_t pairs = node_rank(t->graph, place.node) - 1;
  const int64_t axis = pairs;
  const Node own = build_broadcast(t->graph, numbers.node, node_shape(t->graph, place.node), &axis);
  Value out = value_tensor(t, build_scatter_add(t->graph, own, place.node, pairs, n), x.batched, span);
  out.classes = (int32_t)n;
  return out;
}

/* x[.., places[.., j]] along the last axis. */
static Value take_places(Tracer *t, Value x, Value places, Span span) {
  Value out = value_tensor(t, build_gather(t->graph, x.node, places.node, node_rank(t->graph, x.node) - 1), x.batched, span);
  out.classes = x.classes;
  return out;
}

Value builtin_sort(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  if (!order_args(t, c, &x, &axis)) return value_poison();
  x = move_axis(t, x, axis, false);
  const Value places = sorting_places(t, x, false, c->span);
  return value_bad(places) ? places : move_axis(t, take_places(t, x, places, c->span), axis, true);
}

Value builtin_argsort(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  if (!order_args(t, c, &x, &axis)) return value_poison();
  const Value places = sorting_places(t, move_axis(t, x, axis, false), false, c->span);
  if (value_bad(places)) return places;
  Value out = move_axis(t, places, axis, true);
  out.classes = places.classes;
  return out;
}

/* k times the largest that is left. What was taken becomes -inf, and -inf itself the least finite number before, so that
 * nothing is taken twice. */
static Value largest_one_by_one(Tracer *t, Value x, int64_t k, Span span) {
  const Dims dims = value_dims(t, x);
  const int64_t n = dims.dims[dims.rank - 1], axis = (int64_t)dims.rank - 1 + x.batched;
  Value *places = values_new(t, (uint32_t)k);
  const Value numbers = op_iota(t, 0, n, span), taken = value_number(-INFINITY, false, span);
  const Value least = value_number(value_type(t, x) == TYPE_F64 ? -DBL_MAX : -(double)FLT_MAX, false, span);
  Value left = builtin_stop_gradient(t, &(Call){builtin_get(BUILTIN_stop_gradient), &x, span});
  left = op_select(t, op_binary(t, OP_EQ, left, taken, span), least, left, span);
  for (int64_t i = 0; i < k; i++) {
    places[i] = value_tensor(t, build_reduce(t->graph, P_ARGMAX, left.node, &axis, 1), x.batched, span);
    places[i].classes = (int32_t)n;
    left = op_select(t, op_binary(t, OP_EQ, new_last(t, places[i]), numbers, span), taken, left, span);
  }
  return op_stack(t, places, (uint32_t)k, dims.rank - 1, span);
}

Value builtin_top_k(Tracer *t, Call *c) {
  Value x = c->args[0];
  int64_t k;
  if (!value_to_float(t, &x, c->span) || !value_whole(t, c->args[1], &k, "`k`", c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  const int64_t n = dims.rank ? dims.dims[dims.rank - 1] : 0;
  if (!dims.rank || k < 1 || k > n || dims.rank + x.batched >= GRAPH_MAX_RANK) {
    trace_error(t, "out-of-range", c->span, "the %lld largest of %s", (long long)k, value_describe(t, x));
    return value_poison();
  }
  if (k > TOP_LIMIT && n > SORT_LIMIT) {
    trace_limit(t, "no-meaning", c->span, "more than the %d largest of more than %d have no meaning yet", TOP_LIMIT, SORT_LIMIT);
    return value_poison();
  }
  Value out = {.kind = V_TUPLE, .count = 2, .items = values_new(t, 2), .span = c->span};
  out.items[1] = k > TOP_LIMIT ? sorting_places(t, x, true, c->span) : largest_one_by_one(t, x, k, c->span);
  if (value_bad(out.items[1])) return value_poison();
  if (k > TOP_LIMIT) out.items[1] = op_slice_axis(t, out.items[1], dims.rank - 1, 0, k, 1);
  out.items[1].classes = (int32_t)n;
  out.items[0] = take_places(t, x, out.items[1], c->span);
  return out;
}

static bool integer_index(Tracer *t, Value *index, Span span) {
  if (!value_to_tensor(t, index, TYPE_I32, span)) return false;
  if (value_type(t, *index) == TYPE_I32) return true;
  Diag *d = trace_error(t, "bad-index", span, "an index is an integer or a label; found %s", value_describe(t, *index));
  note_value(t, d, *index, span, "it");
  return false;
}

Value builtin_gather(Tracer *t, Call *c) {
  Value x = c->args[0], index = c->args[1];
  uint32_t axis;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span) || !integer_index(t, &index, c->span)) return value_poison();
  if (!one_axis(t, c->args[2], value_dims(t, x).rank, 0, &axis, c->span)) return value_poison();
  return op_gather(t, x, axis, index, c->span);
}

/* x with values[e] added at index[e] of the first axis; duplicates add up. */
Value builtin_scatter_add(Tracer *t, Call *c) {
  Value x = c->args[0], index = c->args[1], values = c->args[2];
  if (!value_to_float(t, &x, c->span) || !integer_index(t, &index, c->span) || !value_to_float(t, &values, c->span))
    return value_poison();
  const Dims dims = value_dims(t, x), at = value_dims(t, index), given = value_dims(t, values);
  bool fits = dims.rank >= 1 && given.rank + 1 == at.rank + dims.rank && !dim_is_batch(dims.dims[0]);
  for (uint32_t i = 0; fits && i < given.rank; i++)
    fits = given.dims[i] == (i < at.rank ? at.dims[i] : dims.dims[i - at.rank + 1]);
  if (!fits) {
    Diag *d = trace_error(
        t, "shape-mismatch", c->span,
        "`scatter_add` adds values of the index's axes and then x's others; found x %s, index %s, values %s",
        dims_text(t, &dims), dims_text(t, &at), dims_text(t, &given));
    note_value(t, d, values, c->span, "the values");
    return value_poison();
  }
  if (index.batched && values.batched && value_batch(t, index) != value_batch(t, values)) {
    trace_error(t, "two-batches", c->span, "the index and the values belong to two data blocks, whose batches differ");
    return value_poison();
  }
  Graph *g = t->graph;
  Node node = values.node;
  if (index.batched && !values.batched) { /* every example adds the same */
    const Dims shape = *node_dims(g, index.node);
    Dims full = {1 + given.rank, {shape.dims[0]}};
    memcpy(full.dims + 1, given.dims, given.rank * sizeof *given.dims);
    node = build_broadcast_to(g, node, shape_of(g, &full));
  }
  /* An index without a batch comes before the values' batch. */
  int64_t perm[GRAPH_MAX_RANK];
  const bool own = values.batched && !index.batched;
  for (uint32_t i = 0; own && i <= given.rank; i++) perm[i] = i < at.rank ? i + 1 : i == at.rank ? 0 : i;
  if (own) node = build_transpose(g, node, perm);
  node = build_scatter_add(g, node, index.node, index.batched, dims.dims[0]);
  for (uint32_t i = 0; own && i <= dims.rank; i++) perm[i] = i < 2 ? 1 - i : i;
  if (own) node = build_transpose(g, node, perm);
  const Value sum = value_tensor(t, node, index.batched || values.batched, c->span);
  return op_binary(t, OP_ADD, x, sum, c->span);
}
