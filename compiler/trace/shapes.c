/* shapes.c: reshape, transpose, stack, concat, split and their like. */
#include <string.h>

#include "call.h"

bool one_axis(Tracer *t, Value over, uint32_t rank, int64_t absent, uint32_t *axis, Span at) {
  Over axes;
  if (over.kind == V_ABSENT) return axis_of(t, absent, rank, axis, at);
  if (!over_resolve(t, over, rank, &axes, at)) return false;
  if (axes.batch || axes.count != 1) {
    trace_error(t, "one-axis", at, "one axis of the example is needed here");
    return false;
  }
  *axis = axes.axes[0];
  return true;
}

/* ---- shapes as values ---- */

bool shape_from_value(Tracer *t, Value v, Dims *dims, Span at) {
  *dims = (Dims){0};
  if (value_bad(v)) return false;
  if (v.kind == V_NUMBER)
    v = (Value){.kind = V_ARRAY,
                .count = 1,
                .items = &(Value){.kind = V_NUMBER, .exact = v.exact, .number = v.number, .span = v.span}};
  if (v.kind != V_ARRAY && v.kind != V_TUPLE) {
    Diag *d =
        trace_error(t, "not-a-shape", at, "a shape such as `[28, 28, 1]` is needed; found %s", value_describe(t, v));
    note_value(t, d, v, at, "it");
    return false;
  }
  if (v.count > GRAPH_MAX_RANK) {
    trace_limit(t, "rank-limit", at, "more than %d axes have no meaning yet", GRAPH_MAX_RANK);
    return false;
  }
  for (uint32_t i = 0; i < v.count; i++) {
    int64_t extent;
    if (v.items[i].kind == V_AXES) { /* `..` in [.., c] */
      for (uint32_t k = 0; k < v.items[i].count && dims->rank < GRAPH_MAX_RANK; k++)
        dims->dims[dims->rank++] = (int64_t)v.items[i].items[k].number;
      continue;
    }
    if (dims->rank == GRAPH_MAX_RANK) {
      trace_limit(t, "rank-limit", at, "more than %d axes have no meaning yet", GRAPH_MAX_RANK);
      return false;
    }
    if (v.items[i].kind == V_BATCH) {
      dims->dims[dims->rank++] = DIM_BATCH;
      continue;
    }
    if (!value_whole(t, v.items[i], &extent, "an extent", at)) return false;
    if (extent < -1) {
      trace_error(t, "bad-extent", at, "an extent cannot be %lld", (long long)extent);
      return false;
    }
    dims->dims[dims->rank++] = extent;
  }
  return true;
}

/* The extents of a written shape; `..` stands for what it bound in the definition's parameters. */
/* More elements than 2^50 fit no machine, and their bytes could not be counted further on. */
static bool shape_countable(Tracer *t, Ast list, const Dims *dims, const char *what) {
  int64_t size;
  if (dims_size(dims, 1, &size) && size <= 1ll << 50) return true;
  Text text = {0};
  shape_print(dims, &text);
  Diag *d = trace_error(t, "shape-overflow", ast_node(t->tree, list)->span, "%s of shape %s has more elements than can be counted", what,
                        text_get(&text));
  diag_hint(t->s, d, "2^50 elements are the most; is one of the extents a slip?");
  text_free(&text);
  return false;
}

bool eval_shape(Tracer *t, Ast list, Env *env, Dims *dims, const char *what) {
  *dims = (Dims){0};
  const uint32_t n = ast_count(t->tree, list);
  for (uint32_t i = 0; i < n; i++) {
    const Ast e = ast_child(t->tree, list, i);
    const Span at = ast_node(t->tree, e)->span;
    if (dims->rank == GRAPH_MAX_RANK) {
      trace_limit(t, "rank-limit", at, "more than %d axes have no meaning yet", GRAPH_MAX_RANK);
      return false;
    }
    const Value v = eval(t, e, env);
    if (value_bad(v)) return false;
    if (v.kind == V_AXES) {
      for (uint32_t k = 0; k < v.count && dims->rank < GRAPH_MAX_RANK; k++)
        dims->dims[dims->rank++] = (int64_t)v.items[k].number;
      continue;
    }
    if (v.kind == V_BATCH) {
      dims->dims[dims->rank++] = DIM_BATCH;
      continue;
    }
    int64_t extent;
    if (!value_whole(t, v, &extent, text_of(t, "an extent of %s", what), at)) return false;
    if (extent < 0 || extent > 1ll << 40) {
      trace_error(t, "bad-extent", at, "an extent of %s cannot be %lld", what, (long long)extent);
      return false;
    }
    dims->dims[dims->rank++] = extent;
  }
  return shape_countable(t, list, dims, what);
}

/* ---- joining ---- */

Value op_stack(Tracer *t, Value *items, uint32_t count, uint32_t axis, Span span) {
  if (!count) {
    trace_error(t, "empty-array", span, "an array of nothing has no type");
    return value_poison();
  }
  const bool labels = items[0].kind == V_TENSOR && items[0].classes;
  const int32_t classes = labels ? items[0].classes : 0;
  if (!tensors_unify(t, items, count, false, span) || !tensors_align(t, items, count, true, span, "an array"))
    return value_poison();
  const Dims dims = value_dims(t, items[0]);
  if (axis > dims.rank) axis = dims.rank;
  if (dims.rank + 1 + items[0].batched > GRAPH_MAX_RANK) {
    trace_limit(t, "rank-limit", span, "more than %d axes have no meaning yet", GRAPH_MAX_RANK);
    return value_poison();
  }
  Dims one = {dims.rank + 1, {0}};
  for (uint32_t i = 0; i < one.rank; i++) one.dims[i] = i == axis ? 1 : dims.dims[i - (i > axis)];
  for (uint32_t i = 0; i < count; i++) items[i] = tensor_reshape(t, items[i], &one);
  Value out = op_concat(t, items, count, axis, span);
  out.classes = classes;
  return out;
}

Value op_concat(Tracer *t, Value *items, uint32_t count, int64_t over, Span span) {
  if (!tensors_unify(t, items, count, false, span)) return value_poison();
  const Dims first = value_dims(t, items[0]);
  uint32_t axis, from = 0;
  int64_t batch = 0;
  if (!axis_of(t, over, first.rank, &axis, span)) return value_poison();
  if (dim_is_batch(first.dims[axis])) {
    trace_limit(t, "no-meaning", span, "`concat` along an axis of the batch's extent has no meaning yet");
    return value_poison();
  }
  for (uint32_t i = 0; i < count; i++) {
    Dims mine = value_dims(t, items[i]);
    const Dims shown = mine;
    if (mine.rank == first.rank) mine.dims[axis] = first.dims[axis];
    if (!dims_equal(&mine, &first)) {
      Diag *d = trace_error(t, "shape-mismatch", span,
                            "`concat` along axis %u needs shapes that agree elsewhere; found %s and %s", axis,
                            dims_text(t, &first), dims_text(t, &shown));
      note_value(t, d, items[0], span, "the first");
      note_value(t, d, items[i], span, "the other");
      return value_poison();
    }
    if (!items[i].batched) continue;
    if (batch && batch != value_batch(t, items[i])) {
      Diag *d = trace_error(t, "two-batches", span, "an array joins values of two data blocks, whose batches differ");
      note_value(t, d, items[from], span, "the one");
      note_value(t, d, items[i], span, "the other");
      return value_poison();
    }
    batch = value_batch(t, items[i]), from = i;
  }
  Node *parts = ARENA_ARRAY(t->arena, Node, count);
  for (uint32_t i = 0; i < count; i++) {
    const Dims mine = value_dims(t, items[i]);
    parts[i] = tensor_expand(t, items[i], &mine, batch != 0, batch).node;
  }
  if (count == 1) return value_tensor(t, parts[0], batch != 0, span);
  return value_tensor(t, build_concat(t->graph, parts, count, (int64_t)axis + (batch != 0)), batch != 0, span);
}

static bool tensor_parts(Tracer *t, Call *c, Value **items, uint32_t *count) {
  Value parts = c->args[0];
  if (parts.count == 1 && (parts.items[0].kind == V_ARRAY || parts.items[0].kind == V_TUPLE)) parts = parts.items[0];
  *count = parts.count;
  *items = values_new(t, parts.count);
  memcpy(*items, parts.items, sizeof **items * parts.count);
  if (parts.count) return true;
  trace_error(t, "missing-argument", c->span, "`%s` needs at least one array", c->builtin->name);
  return false;
}

Value builtin_concat(Tracer *t, Call *c) {
  Value *items;
  uint32_t count, axis;
  if (!tensor_parts(t, c, &items, &count)) return value_poison();
  for (uint32_t i = 0; i < count; i++) {
    if (!value_to_tensor(t, &items[i], TYPE_COUNT, c->span)) return value_poison();
  }
  if (!one_axis(t, c->args[1], value_dims(t, items[0]).rank, -1, &axis, c->span)) return value_poison();
  return op_concat(t, items, count, axis, c->span);
}

Value builtin_stack(Tracer *t, Call *c) {
  Value *items;
  uint32_t count, axis = 0;
  if (!tensor_parts(t, c, &items, &count) || !value_to_tensor(t, &items[0], TYPE_COUNT, c->span)) return value_poison();
  if (!one_axis(t, c->args[1], value_dims(t, items[0]).rank + 1, 0, &axis, c->span)) return value_poison();
  return op_stack(t, items, count, axis, c->span);
}

Value op_slice_axis(Tracer *t, Value v, uint32_t axis, int64_t start, int64_t count, int64_t step) {
  const Dims *dims = node_dims(t->graph, v.node);
  int64_t spec[3 * GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < dims->rank; i++) {
    const bool mine = i == axis + v.batched;
    spec[3 * i] = mine ? start : 0;
    spec[3 * i + 1] = mine ? count : dims->dims[i];
    spec[3 * i + 2] = mine ? step : 1;
  }
  v.node = build_slice(t->graph, v.node, spec);
  return v;
}

/* Removes an axis whose extent is 1. */
static Value drop_axis(Tracer *t, Value v, uint32_t axis) {
  const Dims have = value_dims(t, v);
  Dims kept = {0};
  for (uint32_t i = 0; i < have.rank; i++) {
    if (i != axis) kept.dims[kept.rank++] = have.dims[i];
  }
  return tensor_reshape(t, v, &kept);
}

Value op_take(Tracer *t, Value v, uint32_t axis, int64_t index) {
  return drop_axis(t, op_slice_axis(t, v, axis, index, 1, 1), axis);
}

Value builtin_split(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  int64_t parts;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  if (!value_whole(t, c->args[1], &parts, "the number of parts", c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  if (!one_axis(t, c->args[2], dims.rank, -1, &axis, c->span)) return value_poison();
  const int64_t extent = dims.dims[axis];
  if (parts < 1 || parts > 65536 || extent % parts || dim_is_batch(extent)) {
    Diag *d = trace_error(t, "uneven-split", c->span, "axis %u of %s cannot be split into %lld equal parts", axis,
                          dims_text(t, &dims), (long long)parts);
    note_value(t, d, x, c->span, "the array");
    return value_poison();
  }
  Value out = {.kind = V_TUPLE, .count = (uint32_t)parts, .items = values_new(t, (uint32_t)parts), .span = c->span};
  for (uint32_t i = 0; i < out.count; i++) {
    out.items[i] = op_slice_axis(t, x, axis, i * (extent / parts), extent / parts, 1);
    out.items[i].span = c->span;
  }
  return out;
}

/* ---- one array ---- */

/* Has the other shape the same axes of batches in the same order, with as much between them? */
static bool batches_stay(const Dims *have, const Dims *want) {
  uint32_t i = 0, k = 0;
  for (;; i++, k++) {
    int64_t p = 1, q = 1;
    while (i < have->rank && !dim_is_batch(have->dims[i])) p *= have->dims[i++];
    while (k < want->rank && !dim_is_batch(want->dims[k])) q *= want->dims[k++];
    if (p != q || (i < have->rank) != (k < want->rank)) return false;
    if (i == have->rank) return true;
    if (have->dims[i] != want->dims[k]) return false;
  }
}

/* False after an error: the axis is as long as the batch. */
static bool known_axis(Tracer *t, Call *c, Value x, uint32_t axis) {
  const Dims dims = value_dims(t, x);
  if (!dim_is_batch(dims.dims[axis])) return true;
  trace_limit(t, "no-meaning", c->span, "`%s` along an axis of the batch's extent has no meaning yet", c->builtin->name);
  return false;
}

Value builtin_reshape(Tracer *t, Call *c) {
  Value x = c->args[0];
  Dims want;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span) || !shape_from_value(t, c->args[1], &want, c->span))
    return value_poison();
  const Dims have = value_dims(t, x);
  int64_t size = 1, given = 1;
  int open = -1;
  bool fits = true;
  for (uint32_t i = 0; i < want.rank; i++) {
    if (want.dims[i] == -1 && c->args[1].items && c->args[1].items[i].kind != V_BATCH) {
      fits = fits && open < 0;
      open = (int)i;
    } else {
      given *= dim_is_batch(want.dims[i]) ? 1 : want.dims[i];
    }
  }
  fits = fits && dims_size(&have, 1, &size);
  if (fits && open >= 0 && given > 0 && size % given == 0) want.dims[open] = size / given, given = size;
  if (!fits || size != given) {
    Diag *d = trace_error(t, "shape-mismatch", c->span, "%s has %lld elements, %s has %lld", dims_text(t, &have),
                          (long long)size, dims_text(t, &want), (long long)given);
    note_value(t, d, x, c->span, "the array");
    return value_poison();
  }
  if (!batches_stay(&have, &want)) {
    Diag *d = trace_error(t, "shape-mismatch", c->span,
                          "axes of the batch's extent keep their order, and what lies between them its size: %s cannot become %s",
                          dims_text(t, &have), dims_text(t, &want));
    note_value(t, d, x, c->span, "the array");
    return value_poison();
  }
  const int32_t classes = x.classes;
  x = tensor_reshape(t, x, &want);
  x.classes = classes, x.span = c->span;
  return x;
}

Value builtin_flatten(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims have = value_dims(t, x);
  Dims flat = {1, {1}};
  if (!dims_size(&have, 1, &flat.dims[0])) return value_poison();
  if (dims_batched(&have) && flat.dims[0] == 1 && batches_stay(&have, &(Dims){1, {DIM_BATCH}})) flat.dims[0] = DIM_BATCH;
  else if (dims_batched(&have)) {
    trace_limit(t, "no-meaning", c->span, "`flatten` of %s has no meaning yet: an axis' extent is a number or the batch's",
                dims_text(t, &have));
    return value_poison();
  }
  x = tensor_reshape(t, x, &flat);
  x.span = c->span;
  return x;
}

Value builtin_transpose(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims have = value_dims(t, x);
  uint32_t perm[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < have.rank; i++) perm[i] = i;
  const Value order = c->args[1];
  if (order.kind == V_ABSENT) {
    if (have.rank < 2) {
      trace_error(t, "shape-mismatch", c->span, "only an array of two axes or more can be transposed; found %s",
                  dims_text(t, &have));
      return value_poison();
    }
    perm[have.rank - 1] = have.rank - 2, perm[have.rank - 2] = have.rank - 1;
  } else {
    bool fits = (order.kind == V_TUPLE || order.kind == V_ARRAY) && order.count == have.rank;
    uint32_t seen = 0;
    for (uint32_t i = 0; fits && i < have.rank; i++) {
      int64_t axis;
      if (!value_whole(t, order.items[i], &axis, "an axis", c->span) || !axis_of(t, axis, have.rank, &perm[i], c->span))
        return value_poison();
      seen |= 1u << perm[i];
    }
    if (!fits || seen != (1u << have.rank) - 1) {
      trace_error(t, "bad-order", c->span, "`transpose` of %s takes each axis 0 to %d once; found %s",
                  dims_text(t, &have), (int)have.rank - 1, value_describe(t, order));
      return value_poison();
    }
  }
  x = tensor_transpose(t, x, perm);
  x.span = c->span;
  return x;
}

Value builtin_broadcast(Tracer *t, Call *c) {
  Value v[2] = {c->args[0], value_poison()};
  Dims want;
  if (!value_to_tensor(t, &v[0], TYPE_COUNT, c->span) || !shape_from_value(t, c->args[1], &want, c->span))
    return value_poison();
  const Type type = value_type(t, v[0]);
  v[1] = value_tensor(t, build_full(t->graph, type, 0, tensor_shape(t, &want, false, 0)), false, c->args[1].span);
  if (!tensors_align(t, v, 2, true, c->span, "`broadcast`")) return value_poison();
  const Dims got = value_dims(t, v[0]);
  if (!dims_equal(&got, &want)) {
    trace_error(t, "shape-mismatch", c->span, "%s cannot be stretched to %s", value_describe(t, c->args[0]),
                dims_text(t, &want));
    return value_poison();
  }
  v[0].span = c->span;
  return v[0];
}

Value builtin_squeeze(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims have = value_dims(t, x);
  Over over = {0};
  if (c->args[1].kind != V_ABSENT && !over_resolve(t, c->args[1], have.rank, &over, c->span)) return value_poison();
  Dims kept = {0};
  for (uint32_t i = 0; i < have.rank; i++) {
    bool named = c->args[1].kind == V_ABSENT && have.dims[i] == 1;
    for (uint32_t k = 0; k < over.count; k++) named = named || over.axes[k] == i;
    if (named && have.dims[i] != 1) {
      trace_error(t, "shape-mismatch", c->span, "axis %u of %s is not of extent 1", i, dims_text(t, &have));
      return value_poison();
    }
    if (!named) kept.dims[kept.rank++] = have.dims[i];
  }
  return tensor_reshape(t, x, &kept);
}

Value builtin_expand(Tracer *t, Call *c) {
  Value x = c->args[0];
  int64_t axis;
  uint32_t place;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span) || !value_whole(t, c->args[1], &axis, "the axis", c->span))
    return value_poison();
  const Dims have = value_dims(t, x);
  if (!axis_of(t, axis, have.rank + 1, &place, c->span)) return value_poison();
  Dims want = {have.rank + 1, {0}};
  for (uint32_t i = 0; i < want.rank; i++) want.dims[i] = i == place ? 1 : have.dims[i - (i > place)];
  return tensor_reshape(t, x, &want);
}

/* Along an axis of the batch's extent n: place i gets what stood at i - by, counted round; or, turned, at n - 1 - i. */
static Value moved_examples(Tracer *t, Value x, uint32_t axis, int64_t by, bool turned, Span span) {
  Graph *g = t->graph;
  const int64_t extent = value_dims(t, x).dims[axis];
  const Node n = build_broadcast(g, build_extent(g, extent), shape_of(g, &(Dims){1, {extent}}), NULL);
  const Node i = build_cast(g, build_iota(g, extent), TYPE_F64);
  const Node from = build_sub(g, turned ? build_sub(g, n, build_like(g, n, 1)) : i, turned ? i : build_like(g, i, (double)by));
  const Node whole = build_mul(g, n, build_unary(g, P_FLOOR, build_div(g, from, n)));
  const Value index = value_tensor(t, build_cast(g, build_sub(g, from, whole), TYPE_I32), false, span);
  return op_gather(t, x, axis, index, span);
}

Value builtin_reverse(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  if (!one_axis(t, c->args[1], value_dims(t, x).rank, -1, &axis, c->span)) return value_poison();
  if (dim_is_batch(value_dims(t, x).dims[axis])) return moved_examples(t, x, axis, 0, true, c->span);
  const int64_t place = (int64_t)axis + x.batched;
  x.node = build_reverse(t->graph, x.node, &place, 1);
  x.span = c->span;
  return x;
}

Value builtin_pad(Tracer *t, Call *c) {
  Value x = c->args[0], widths = c->args[1];
  uint32_t axis;
  int64_t side[2];
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  if (!one_axis(t, c->args[2], value_dims(t, x).rank, -1, &axis, c->span)) return value_poison();
  if (!known_axis(t, c, x, axis)) return value_poison();
  const bool pair = (widths.kind == V_TUPLE || widths.kind == V_ARRAY) && widths.count == 2;
  for (int i = 0; i < 2; i++) {
    if (!value_whole(t, pair ? widths.items[i] : widths, &side[i], "a width", c->span)) return value_poison();
    if (side[i] >= 0 && side[i] < 1 << 30) continue;
    trace_error(t, "bad-extent", c->span, "a width cannot be %lld", (long long)side[i]);
    return value_poison();
  }
  int64_t spec[3 * GRAPH_MAX_RANK] = {0};
  spec[3 * (axis + x.batched)] = side[0], spec[3 * (axis + x.batched) + 1] = side[1];
  x.node = build_pad(t->graph, x.node, spec);
  x.span = c->span;
  return x;
}

Value builtin_slice(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  int64_t start, count;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  if (!one_axis(t, c->args[3], dims.rank, -1, &axis, c->span)) return value_poison();
  if (!value_whole(t, c->args[1], &start, "the start", c->span) ||
      !value_whole(t, c->args[2], &count, "the count", c->span))
    return value_poison();
  if (!known_axis(t, c, x, axis)) return value_poison();
  if (start < 0 || count < 0 || start + count > dims.dims[axis]) {
    trace_error(t, "out-of-range", c->span, "elements %lld to %lld of an axis of extent %lld", (long long)start,
                (long long)(start + count) - 1, (long long)dims.dims[axis]);
    return value_poison();
  }
  return op_slice_axis(t, x, axis, start, count, 1);
}

/* x, `times` in a row: a new axis in front of (tile) or behind (repeat_each) the old one, then both made one. */
static Value repeated(Tracer *t, Call *c, bool each) {
  Value x = c->args[0];
  uint32_t axis;
  int64_t times;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  if (!one_axis(t, c->args[2], dims.rank, -1, &axis, c->span)) return value_poison();
  if (!value_whole(t, c->args[1], &times, "the number of times", c->span)) return value_poison();
  if (times < 1 || times > 1 << 24 || dims.rank + x.batched >= GRAPH_MAX_RANK) {
    trace_error(t, "bad-extent", c->span, "%s cannot be repeated %lld times", value_describe(t, x), (long long)times);
    return value_poison();
  }
  if (!known_axis(t, c, x, axis)) return value_poison();
  const uint32_t new_axis = axis + each;
  Dims one = {dims.rank + 1, {0}}, full, all = dims;
  for (uint32_t i = 0; i < one.rank; i++) one.dims[i] = i == new_axis ? 1 : dims.dims[i - (i > new_axis)];
  full = one;
  full.dims[new_axis] = times;
  all.dims[axis] *= times;
  x = tensor_expand(t, tensor_reshape(t, x, &one), &full, x.batched, x.batched ? value_batch(t, x) : 0);
  x = tensor_reshape(t, x, &all);
  x.span = c->span;
  return x;
}
Value builtin_tile(Tracer *t, Call *c) { return repeated(t, c, false); }
Value builtin_repeat_each(Tracer *t, Call *c) { return repeated(t, c, true); }

Value builtin_roll(Tracer *t, Call *c) {
  Value x = c->args[0];
  uint32_t axis;
  int64_t by;
  if (!value_to_tensor(t, &x, TYPE_COUNT, c->span) || !value_whole(t, c->args[1], &by, "the shift", c->span))
    return value_poison();
  const Dims dims = value_dims(t, x);
  if (!one_axis(t, c->args[2], dims.rank, -1, &axis, c->span)) return value_poison();
  const int64_t n = dims.dims[axis];
  if (dim_is_batch(n)) return moved_examples(t, x, axis, by, false, c->span);
  by = n > 0 ? (by % n + n) % n : 0;
  if (!by) return x;
  Value parts[2] = {op_slice_axis(t, x, axis, n - by, by, 1), op_slice_axis(t, x, axis, 0, n - by, 1)};
  return op_concat(t, parts, 2, axis, c->span);
}

/* ---- triangles, diagonals, one-hot ---- */

/* Row and column numbers of the last two axes, compared. */
static Node compare_places(Tracer *t, Prim prim, int64_t rows, int64_t columns, int64_t offset) {
  Graph *g = t->graph;
  const Dims square = {2, {rows, columns}};
  const Shape shape = shape_of(g, &square);
  const int64_t first[] = {0}, second[] = {1};
  const Node row = build_broadcast(g, build_iota(g, rows), shape, first);
  const Node column = build_broadcast(g, build_iota(g, columns), shape, second);
  return build_binary(g, prim, column, build_add(g, row, build_full(g, TYPE_I32, (double)offset, shape)));
}

static Value triangle(Tracer *t, Call *c, bool upper) {
  Value x = c->args[0];
  int64_t offset = 0;
  if (!value_to_tensor(t, &x, t->graph->float_type, c->span)) return value_poison();
  if (c->args[1].kind != V_ABSENT && !value_whole(t, c->args[1], &offset, "the offset", c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  if (dims.rank < 2) {
    trace_error(t, "shape-mismatch", c->span, "`%s` takes a matrix; found %s", c->builtin->name, value_describe(t, x));
    return value_poison();
  }
  const Node keep =
      compare_places(t, P_LE, dims.dims[dims.rank - 2], dims.dims[dims.rank - 1], upper ? offset - 1 : offset);
  const Value mask = value_tensor(t, keep, false, c->span), zero = value_number(0, true, c->span);
  return upper ? op_select(t, mask, zero, x, c->span) : op_select(t, mask, x, zero, c->span);
}
Value builtin_tril(Tracer *t, Call *c) { return triangle(t, c, false); }
Value builtin_triu(Tracer *t, Call *c) { return triangle(t, c, true); }

Value op_diagonal(Tracer *t, Value x, Span span) {
  const Dims dims = value_dims(t, x);
  const Value mask = value_tensor(t, compare_places(t, P_EQ, dims.dims[dims.rank - 2], dims.dims[dims.rank - 1], 0), false, span);
  const Over rows = {false, 1, {dims.rank - 2}};
  const Value kept = op_select(t, mask, x, value_number(0, true, span), span);
  return value_bad(kept) ? kept : op_reduce(t, P_SUM, kept, &rows, false, span);
}

Value builtin_diag(Tracer *t, Call *c) {
  Value x = c->args[0];
  if (!value_to_tensor(t, &x, t->graph->float_type, c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  if (dims.rank == 1) {
    const Value mask = value_tensor(t, compare_places(t, P_EQ, dims.dims[0], dims.dims[0], 0), false, c->span);
    return op_select(t, mask, x, value_number(0, true, c->span), c->span);
  }
  if (dims.rank != 2 || dims.dims[0] != dims.dims[1]) {
    trace_error(t, "shape-mismatch", c->span, "`diag` takes a vector or a square matrix; found %s",
                value_describe(t, x));
    return value_poison();
  }
  return op_diagonal(t, x, c->span);
}

Value op_iota(Tracer *t, int64_t begin, int64_t count, Span span) {
  Graph *g = t->graph;
  const Node numbers = build_iota(g, count);
  return value_tensor(
      t, begin ? build_add(g, numbers, build_full(g, TYPE_I32, (double)begin, node_shape(g, numbers))) : numbers, false,
      span);
}

/* iota == x, with a new last axis. */
Value builtin_one_hot(Tracer *t, Call *c) {
  Value x = c->args[0];
  int64_t classes;
  if (!value_to_tensor(t, &x, TYPE_I32, c->span)) return value_poison();
  if (value_type(t, x) == TYPE_BOOL) x = value_cast(t, x, TYPE_I32), x.classes = 2;
  if (type_is_float(value_type(t, x))) {
    Diag *d =
        trace_error(t, "not-a-label", c->span, "`one_hot` takes a label or an integer; found %s", value_describe(t, x));
    note_value(t, d, x, c->span, "it");
    return value_poison();
  }
  if (c->args[1].kind != V_ABSENT) {
    if (!value_whole(t, c->args[1], &classes, "the number of classes", c->span)) return value_poison();
  } else if (!(classes = x.classes)) {
    trace_error(t, "missing-argument", c->span,
                "`one_hot` of an integer needs the number of classes: `one_hot(x, 10)`");
    return value_poison();
  }
  if (classes < 1 || classes > 1 << 24) {
    trace_error(t, "bad-extent", c->span, "`one_hot` of %lld classes", (long long)classes);
    return value_poison();
  }
  Dims dims = value_dims(t, x);
  dims.dims[dims.rank++] = 1;
  const Value places = op_iota(t, 0, classes, c->span);
  const Value equal = op_binary(t, OP_EQ, tensor_reshape(t, x, &dims), places, c->span);
  return value_bad(equal) ? equal : value_cast(t, equal, t->graph->float_type);
}
