/* order.c: sorting, the largest k, gathering and scattering: by comparing and by products with one-hot rows. They cost
 * n^2 for n elements, which serves short axes. */
#include <math.h>
#include <string.h>

#include "call.h"

enum { SORT_LIMIT = 2048, TOP_LIMIT = 64 };

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
  trace_limit(t, "no-meaning", c->span, "sorting more than %d elements has no meaning yet", SORT_LIMIT);
  return false;
}

/* hot[.., i, r]: is element i the r-th? Its place is the number of smaller ones and of equal ones before it. */
static Value places_hot(Tracer *t, Value x, Span span) {
  const Dims dims = value_dims(t, x);
  const int64_t n = dims.dims[dims.rank - 1];
  Dims row = dims;
  row.dims[row.rank - 1] = 1, row.dims[row.rank++] = n;
  const Value mine = new_last(t, x), other = tensor_reshape(t, x, &row);
  const Value numbers = op_iota(t, 0, n, span), before = op_binary(t, OP_LT, numbers, new_last(t, numbers), span);
  const Value smaller = op_binary(t, OP_LT, other, mine, span), equal = op_binary(t, OP_EQ, other, mine, span);
  const Value counts = op_binary(t, OP_OR, smaller, op_binary(t, OP_AND, equal, before, span), span);
  if (value_bad(counts)) return counts;
  const Over last = {false, 1, {dims.rank}};
  const Value place = op_reduce(t, P_SUM, value_cast(t, counts, TYPE_I32), &last, false, span);
  return op_binary(t, OP_EQ, new_last(t, place), numbers, span);
}

/* The sum over i of values[.., i] where hot[.., i, r]. */
static Value choose(Tracer *t, Value hot, Value values, Span span) {
  const uint32_t rank = value_dims(t, hot).rank;
  const Value kept = op_select(t, hot, new_last(t, values), value_number(0, true, span), span);
  const Over middle = {false, 1, {rank - 2}};
  return value_bad(kept) ? kept : op_reduce(t, P_SUM, kept, &middle, false, span);
}

Value builtin_sort(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  if (!order_args(t, c, &x, &axis)) return value_poison();
  x = move_axis(t, x, axis, false);
  const Value hot = places_hot(t, x, c->span);
  const Value sorted = value_bad(hot) ? hot : choose(t, hot, x, c->span);
  return value_bad(sorted) ? sorted : move_axis(t, sorted, axis, true);
}

Value builtin_argsort(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  if (!order_args(t, c, &x, &axis)) return value_poison();
  x = move_axis(t, x, axis, false);
  const Dims dims = value_dims(t, x);
  const Value hot = places_hot(t, x, c->span);
  const Value places = value_bad(hot) ? hot : choose(t, hot, op_iota(t, 0, dims.dims[dims.rank - 1], c->span), c->span);
  if (value_bad(places)) return places;
  Value out = move_axis(t, places, axis, true);
  out.classes = (int32_t)dims.dims[dims.rank - 1];
  return out;
}

/* k times the largest that is left, the first of equals. */
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
  if (k > TOP_LIMIT) {
    trace_limit(t, "no-meaning", c->span, "more than the %d largest have no meaning yet", TOP_LIMIT);
    return value_poison();
  }
  Value *values = values_new(t, (uint32_t)k), *places = values_new(t, (uint32_t)k);
  const Value numbers = op_iota(t, 0, n, c->span), zero = value_number(0, true, c->span),
              low = value_number(-INFINITY, false, c->span);
  const Over last = {false, 1, {dims.rank - 1}};
  const int64_t axis = (int64_t)dims.rank - 1 + x.batched;
  Value left = builtin_stop_gradient(t, &(Call){builtin_get(BUILTIN_stop_gradient), &x, c->span});
  for (int64_t i = 0; i < k; i++) {
    places[i] = value_tensor(t, build_reduce(t->graph, P_ARGMAX, left.node, &axis, 1), x.batched, c->span);
    places[i].classes = dim_is_batch(n) ? 0 : (int32_t)n;
    const Value hot = op_binary(t, OP_EQ, new_last(t, places[i]), numbers, c->span);
    values[i] = op_reduce(t, P_SUM, op_select(t, hot, x, zero, c->span), &last, false, c->span);
    left = op_select(t, hot, low, left, c->span);
  }
  Value out = {.kind = V_TUPLE, .count = 2, .items = values_new(t, 2), .span = c->span};
  out.items[0] = op_stack(t, values, (uint32_t)k, dims.rank - 1, c->span);
  out.items[1] = op_stack(t, places, (uint32_t)k, dims.rank - 1, c->span);
  return value_bad(out.items[0]) || value_bad(out.items[1]) ? value_poison() : out;
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
