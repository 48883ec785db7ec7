/* index.c: a[i, :, 2:5, -1, .., none], gathering by arrays of integers, and drawing: normal(0, 1)[3, d]. */
#include <string.h>

#include "call.h"

/* NumPy's rule for the ends of a slice: counted from the end if negative, cut to the axis. */
static bool slice_end(Tracer *t, Ast e, Env *env, int64_t extent, int64_t absent, int64_t *out) {
  if (!e.id) return *out = absent, true;
  if (!value_whole(t, eval(t, e, env), out, "the end of a slice", ast_node(t->tree, e)->span)) return false;
  if (*out < 0) *out += extent;
  *out = *out < 0 ? 0 : *out > extent ? extent : *out;
  return true;
}

static Value index_slice(Tracer *t, Value v, uint32_t axis, Ast slice, Env *env) {
  const Span at = ast_node(t->tree, slice)->span;
  const int64_t extent = value_dims(t, v).dims[axis];
  const Ast start = ast_child(t->tree, slice, SLICE_start), stop = ast_child(t->tree, slice, SLICE_stop);
  const Ast step = ast_child(t->tree, slice, SLICE_step);
  if (!start.id && !stop.id && !step.id) return v;
  if (dim_is_batch(extent)) {
    trace_error(t, "slice-batch", at, "the batch cannot be sliced: its extent is known only when the model runs");
    return value_poison();
  }
  int64_t from, to, by = 1;
  if (!slice_end(t, start, env, extent, 0, &from) || !slice_end(t, stop, env, extent, extent, &to))
    return value_poison();
  if (step.id && !value_whole(t, eval(t, step, env), &by, "the step of a slice", at)) return value_poison();
  if (by < 1) {
    Diag *d = trace_error(t, "bad-step", at, "the step of a slice must be 1 or more; found %lld", (long long)by);
    diag_hint(t->s, d, "`reverse(x)` turns an axis round");
    return value_poison();
  }
  const int64_t count = to > from ? (to - from + by - 1) / by : 0;
  return op_slice_axis(t, v, axis, count ? from : 0, count, by);
}

static bool place_in(Tracer *t, double number, int64_t extent, int64_t *index, Span at) {
  *index = (int64_t)number + (number < 0 ? extent : 0);
  if (*index >= 0 && *index < extent) return true;
  trace_error(t, "out-of-range", at, "there is no element %lld in an axis of extent %lld", (long long)number,
              (long long)extent);
  return false;
}

/* One number of each example's own row: chosen, not gathered, so that its gradient (a one-hot row) joins the row's. */
static Value choose_from_row(Tracer *t, Value v, Value index, int64_t n, Span span) {
  Dims row = {1, {1}};
  const Value hot = op_binary(t, OP_EQ, tensor_reshape(t, index, &row), op_iota(t, 0, n, span), span);
  if (value_bad(hot)) return hot;
  const Value kept = op_select(t, hot, v, value_number(0, true, span), span);
  const Over all = {false, 1, {0}};
  return value_bad(kept) ? kept : op_reduce(t, P_SUM, kept, &all, false, span);
}

/* The same of any array, along an axis of the batch's extent: the sum over the axis of what stands at the named place. */
static Value choose_examples(Tracer *t, Value v, uint32_t axis, Value index, Span span) {
  const Dims have = value_dims(t, v), places = value_dims(t, index);
  Dims spread = {0}, hot = {0};
  for (uint32_t i = 0; i < axis; i++) spread.dims[spread.rank++] = have.dims[i], hot.dims[hot.rank++] = 1;
  for (uint32_t i = 0; i < places.rank; i++) spread.dims[spread.rank++] = 1, hot.dims[hot.rank++] = places.dims[i];
  for (uint32_t i = axis; i < have.rank; i++) spread.dims[spread.rank++] = have.dims[i];
  Dims numbers = {1, {have.dims[axis]}};
  for (uint32_t i = axis + 1; i < have.rank; i++) numbers.dims[numbers.rank++] = 1, hot.dims[hot.rank++] = 1;
  hot.dims[hot.rank++] = 1;
  const bool truth = value_type(t, v) == TYPE_BOOL;
  const Value number = tensor_reshape(t, op_iota(t, 0, have.dims[axis], span), &numbers);
  const Value named = op_binary(t, OP_EQ, tensor_reshape(t, index, &hot), number, span);
  if (value_bad(named)) return named;
  const Value kept = op_select(t, named, tensor_reshape(t, value_cast(t, v, truth ? TYPE_I32 : value_type(t, v)), &spread),
                               value_number(0, true, span), span);
  const Over over = {false, 1, {axis + places.rank}};
  const Value out = value_bad(kept) ? kept : op_reduce(t, P_SUM, kept, &over, false, span);
  return truth && !value_bad(out) ? op_binary(t, OP_NE, out, value_number(0, true, span), span) : out;
}

/* The elements of an axis that an integer array names; 0 for a number that is none of the axis'. */
Value op_gather(Tracer *t, Value v, uint32_t axis, Value index, Span span) {
  const Dims have = value_dims(t, v), places = value_dims(t, index);
  const bool both = v.batched && index.batched;
  const bool examples = dim_is_batch(have.dims[axis]);
  if (have.rank - !examples + places.rank + (v.batched || index.batched) > GRAPH_MAX_RANK) {
    trace_limit(t, "rank-limit", span, "more than %d axes have no meaning yet", GRAPH_MAX_RANK);
    return value_poison();
  }
  if (both && value_batch(t, v) != value_batch(t, index)) {
    trace_error(t, "two-batches", span, "the index and what it picks from belong to two data blocks, whose batches differ");
    return value_poison();
  }
  if (examples) {
    Value out = choose_examples(t, v, axis, index, span);
    out.classes = v.classes;
    return out;
  }
  if (both && have.rank == 1 && !places.rank && value_type(t, v) != TYPE_BOOL) {
    Value out = choose_from_row(t, v, index, have.dims[axis], span);
    out.classes = v.classes;
    return out;
  }
  /* The table as [batch of both, n, its own batch, the other axes]. */
  const uint32_t rank = node_rank(t->graph, v.node), index_rank = node_rank(t->graph, index.node);
  const int64_t place = (int64_t)axis + v.batched;
  int64_t perm[GRAPH_MAX_RANK + 1];
  uint32_t n = 0;
  if (both) perm[n++] = 0;
  perm[n++] = place;
  for (int64_t i = both; i < rank; i++)
    if (i != place) perm[n++] = i;
  const Node table = build_transpose(t->graph, v.node, perm);
  const Node rows = build_gather(t->graph, table, index.node, both);
  /* Of [batch of both, index, table's own batch, the axes before, the axes behind]: the index belongs between. */
  const uint32_t own = v.batched && !both, before = axis;
  n = 0;
  if (own) perm[n++] = index_rank;
  if (index.batched) perm[n++] = 0;
  for (uint32_t i = 0; i < before; i++) perm[n++] = index_rank + own + i;
  for (uint32_t i = index.batched; i < index_rank; i++) perm[n++] = i;
  for (uint32_t i = index_rank + own + before; i < node_rank(t->graph, rows); i++) perm[n++] = i;
  Value out = value_tensor(t, build_transpose(t->graph, rows, perm), v.batched || index.batched, span);
  out.classes = v.classes;
  return out;
}

static Value index_array(Tracer *t, Value v, uint32_t *axis, Value index, Span at) {
  if (!value_to_tensor(t, &index, TYPE_I32, at)) return value_poison();
  if (value_type(t, index) == TYPE_BOOL || type_is_float(value_type(t, index))) {
    Diag *d = trace_error(t, "bad-index", at, "an index is an integer or a label; found %s", value_describe(t, index));
    note_value(t, d, index, at, "it");
    diag_hint(t->s, d, "`int(x)` drops the fraction; a condition chooses by `select` or `if`");
    return value_poison();
  }
  const uint32_t rank = value_dims(t, index).rank;
  v = op_gather(t, v, *axis, index, at);
  *axis += rank;
  return v;
}

static Value index_tensor(Tracer *t, Value v, Ast list, Env *env, Span span) {
  const uint32_t n = ast_count(t->tree, list);
  Value *index = values_new(t, n);
  uint32_t used = 0;
  for (uint32_t i = 0; i < n; i++) {
    const Ast e = ast_child(t->tree, list, i);
    const AstKind kind = ast_kind(t->tree, e);
    if (kind == AST_DOTS) continue;
    if (kind != AST_SLICE) index[i] = eval(t, e, env);
    if (kind != AST_SLICE && value_bad(index[i])) return value_poison();
    used += kind == AST_SLICE || index[i].kind != V_NONE;
  }
  const Dims dims = value_dims(t, v);
  if (used > dims.rank) {
    Diag *d = trace_error(t, "too-many-indices", span, "%u indices for %s, which has %u ax%s", used,
                          dims_text(t, &dims), dims.rank, dims.rank == 1 ? "is" : "es");
    note_value(t, d, v, span, "the array");
    return value_poison();
  }
  uint32_t axis = 0;
  for (uint32_t i = 0; i < n && !value_bad(v); i++) {
    const Ast e = ast_child(t->tree, list, i);
    const Span at = ast_node(t->tree, e)->span;
    const AstKind kind = ast_kind(t->tree, e);
    if (kind == AST_DOTS) {
      axis += dims.rank - used;
    } else if (kind == AST_SLICE) {
      v = index_slice(t, v, axis++, e, env);
    } else if (index[i].kind == V_NONE) {
      Value args[2] = {v, value_number(axis++, true, at)};
      v = builtin_expand(t, &(Call){builtin_get(BUILTIN_expand), args, at});
    } else if (index[i].kind == V_NUMBER) {
      int64_t place;
      if (!value_whole(t, index[i], &place, "an index", at)) return value_poison();
      const int64_t extent = value_dims(t, v).dims[axis];
      if (dim_is_batch(extent)) {
        trace_error(t, "slice-batch", at, "one example of the batch cannot be picked");
        return value_poison();
      }
      if (!place_in(t, (double)place, extent, &place, at)) return value_poison();
      v = op_take(t, v, axis, place);
    } else {
      v = index_array(t, v, &axis, index[i], at);
    }
  }
  v.span = span;
  return v;
}

static Value index_tuple(Tracer *t, Value v, Ast list, Env *env, Span span) {
  const Ast first = ast_child(t->tree, list, 0);
  if (ast_count(t->tree, list) != 1 || ast_kind(t->tree, first) == AST_SLICE || ast_kind(t->tree, first) == AST_DOTS) {
    trace_error(t, "bad-index", span, "a tuple is indexed by one integer");
    return value_poison();
  }
  int64_t place;
  const Span at = ast_node(t->tree, first)->span;
  if (!value_whole(t, eval(t, first, env), &place, "the index of a tuple", at)) return value_poison();
  if (!place_in(t, (double)place, v.count, &place, at)) return value_poison();
  return v.items[place];
}

static bool only_integer(Tracer *t, Ast list) {
  if (ast_count(t->tree, list) != 1) return false;
  const AstKind kind = ast_kind(t->tree, ast_child(t->tree, list, 0));
  return kind == AST_NUMBER || kind == AST_UNARY;
}

Value eval_index(Tracer *t, Ast e, Env *env) {
  const Span span = ast_node(t->tree, e)->span;
  const Ast list = ast_child(t->tree, e, INDEX_args);
  Value v = eval(t, ast_child(t->tree, e, INDEX_base), env);
  if (value_bad(v)) return v;
  if (v.kind == V_DISTRIBUTION) {
    Dims dims;
    if (!eval_shape(t, list, env, &dims, "a drawn array")) return value_poison();
    return op_draw(t, v, &dims, t->in_model, DIM_BATCH, span);
  }
  if (v.kind == V_TUPLE || (v.kind == V_ARRAY && only_integer(t, list))) return index_tuple(t, v, list, env, span);
  if (v.kind == V_FUNCTION || v.kind == V_INSTANCE || v.kind == V_SPACE) {
    Diag *d = trace_error(t, "bad-index", span, "%s cannot be indexed", value_describe(t, v));
    if (v.kind == V_FUNCTION) diag_hint(t->s, d, "a call takes round brackets: `%s(...)`", closure_name(t, v.closure));
    return value_poison();
  }
  if (!value_to_tensor(t, &v, TYPE_COUNT, span)) return value_poison();
  return index_tensor(t, v, list, env, span);
}
