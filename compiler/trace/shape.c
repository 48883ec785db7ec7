/* shape.c: NumPy's broadcasting on the example's axes, with the batch axis beside it, and one element type. */
#include <string.h>

#include "tracer.h"

bool dims_equal(const Dims *a, const Dims *b) {
  if (a->rank != b->rank) return false;
  for (uint32_t i = 0; i < a->rank; i++) {
    if (a->dims[i] != b->dims[i]) return false;
  }
  return true;
}

Shape tensor_shape(Tracer *t, const Dims *example, bool batched, int64_t batch) {
  Dims all = {example->rank + batched, {0}};
  if (batched) all.dims[0] = batch;
  for (uint32_t i = 0; i < example->rank; i++) all.dims[i + batched] = example->dims[i];
  return shape_of(t->graph, &all);
}

Value tensor_reshape(Tracer *t, Value v, const Dims *dims) {
  const Dims have = value_dims(t, v);
  if (dims_equal(&have, dims)) return v;
  const Shape shape = tensor_shape(t, dims, v.batched, v.batched ? value_batch(t, v) : 0);
  v.node = build_reshape(t->graph, v.node, shape);
  return v;
}

Value tensor_transpose(Tracer *t, Value v, const uint32_t *perm) {
  const uint32_t rank = value_dims(t, v).rank;
  int64_t all[GRAPH_MAX_RANK] = {0};
  bool same = true;
  for (uint32_t i = 0; i < rank; i++) all[i + v.batched] = (int64_t)perm[i] + v.batched, same &= perm[i] == i;
  if (!same) v.node = build_transpose(t->graph, v.node, all);
  return v;
}

/* Axes of extent 1 that stretch are dropped, then all missing axes are added. */
Value tensor_expand(Tracer *t, Value v, const Dims *dims, bool batched, int64_t batch) {
  const Dims have = value_dims(t, v);
  if (dims_equal(&have, dims) && v.batched == batched) return v;
  const uint32_t skip = dims->rank - have.rank;
  Dims kept = {0};
  int64_t axes[GRAPH_MAX_RANK];
  uint32_t n = 0;
  if (v.batched) axes[n++] = 0;
  for (uint32_t i = 0; i < have.rank; i++) {
    if (have.dims[i] != dims->dims[i + skip]) continue;
    axes[n++] = (int64_t)(i + skip) + batched;
    kept.dims[kept.rank++] = have.dims[i];
  }
  v = tensor_reshape(t, v, &kept);
  const Shape shape = tensor_shape(t, dims, batched, batch);
  if (node_shape(t->graph, v.node).id != shape.id) v.node = build_broadcast(t->graph, v.node, shape, axes);
  v.batched = batched;
  return v;
}

bool dims_batched(const Dims *dims) {
  for (uint32_t i = 0; i < dims->rank; i++)
    if (dim_is_batch(dims->dims[i])) return true;
  return false;
}

bool axis_of(Tracer *t, int64_t axis, uint32_t rank, uint32_t *out, Span at) {
  if (axis < 0) axis += rank;
  if (axis >= 0 && axis < rank) {
    *out = (uint32_t)axis;
    return true;
  }
  if (rank)
    trace_error(t, "no-axis", at, "there is no axis %lld: the value has %u ax%s, %d to %u", (long long)axis, rank,
                rank == 1 ? "is" : "es", -(int)rank, rank - 1);
  else
    trace_error(t, "no-axis", at, "there is no axis %lld: the value is a scalar", (long long)axis);
  return false;
}

/* "[4, ^16^]": the extents that differ are marked. */
static const char *marked_dims(Tracer *t, const Dims *dims, uint32_t differs) {
  Text out = {0};
  text_add(&out, "[");
  for (uint32_t i = 0; i < dims->rank; i++) {
    const char *mark = differs >> (dims->rank - 1 - i) & 1 ? "*" : "";
    text_printf(&out, "%s%s", i ? ", " : "", mark);
    if (dim_is_batch(dims->dims[i]))
      text_add(&out, "batch");
    else
      text_printf(&out, "%lld", (long long)dims->dims[i]);
    text_add(&out, mark);
  }
  text_add(&out, "]");
  const char *text = arena_text(t->arena, text_get(&out), out.length);
  text_free(&out);
  return text;
}

static void mismatch(Tracer *t, Value a, Value b, Span at, const char *what) {
  const Dims x = value_dims(t, a), y = value_dims(t, b);
  uint32_t differs = 0;
  for (uint32_t i = 0; i < x.rank && i < y.rank; i++) {
    const int64_t p = x.dims[x.rank - 1 - i], q = y.dims[y.rank - 1 - i];
    if (p != q && p != 1 && q != 1) differs |= 1u << i;
  }
  Diag *d = trace_error(t, "shape-mismatch", at, "%s needs shapes that agree; found %s and %s", what,
                        marked_dims(t, &x, differs), marked_dims(t, &y, differs));
  note_value(t, d, a, at, "the first");
  note_value(t, d, b, at, "the second");
  if (x.rank && y.rank && x.rank != y.rank && (differs & 1) &&
      (x.dims[0] == y.dims[y.rank - 1] || x.dims[0] == y.dims[0]) && (x.rank == 1 || y.rank == 1))
    diag_hint(t->s, d, "axes are aligned at the last one; `v[:, none]` puts a new axis behind");
}

static bool broadcast_two(Dims *all, const Dims *more) {
  Dims out = all->rank >= more->rank ? *all : *more;
  for (uint32_t i = 0; i < all->rank && i < more->rank; i++) {
    const int64_t a = all->dims[all->rank - 1 - i], b = more->dims[more->rank - 1 - i];
    if (a != b && a != 1 && b != 1) return false;
    out.dims[out.rank - 1 - i] = a == 1 ? b : a;
  }
  *all = out;
  return true;
}

bool tensors_align(Tracer *t, Value *v, uint32_t count, bool full, Span at, const char *what) {
  Dims dims = value_dims(t, v[0]);
  int64_t batch = 0;
  uint32_t from = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Dims mine = value_dims(t, v[i]);
    if (!broadcast_two(&dims, &mine)) {
      uint32_t other = 0; /* the one that it does not fit */
      for (uint32_t k = 0; k < i; k++) {
        Dims both = value_dims(t, v[k]);
        if (!broadcast_two(&both, &mine)) other = k;
      }
      mismatch(t, v[other], v[i], at, what);
      return false;
    }
    if (!v[i].batched) continue;
    if (batch && batch != value_batch(t, v[i])) {
      Diag *d = trace_error(t, "two-batches", at, "%s joins values of two data blocks, whose batches differ", what);
      note_value(t, d, v[from], at, "the one");
      note_value(t, d, v[i], at, "the other");
      return false;
    }
    batch = value_batch(t, v[i]), from = i;
  }
  if (dims.rank + (batch != 0) > GRAPH_MAX_RANK) {
    trace_limit(t, "rank-limit", at, "more than %d axes, the batch among them, have no meaning yet", GRAPH_MAX_RANK);
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (full || node_rank(t->graph, v[i].node)) v[i] = tensor_expand(t, v[i], &dims, batch != 0, batch);
  }
  return true;
}

static int type_rank(Type type) {
  switch (type) {
  case TYPE_BOOL: return 0;
  case TYPE_I32: return 1;
  case TYPE_F64: return 2;
  default: return 3;
  }
}

bool tensors_unify(Tracer *t, Value *v, uint32_t count, bool arithmetic, Span at) {
  int rank = -1;
  bool fraction = false;
  for (uint32_t i = 0; i < count; i++) {
    if (value_bad(v[i])) return false;
    if (v[i].kind == V_NUMBER) {
      fraction = fraction || !v[i].exact;
      continue;
    }
    if (!value_to_tensor(t, &v[i], TYPE_COUNT, at)) return false;
    const int mine = type_rank(value_type(t, v[i]));
    rank = mine > rank ? mine : rank;
  }
  const Type real = t->graph->float_type;
  if (rank == 0 && arithmetic) rank = 3;
  Type type = rank == 3 ? real : rank == 2 ? TYPE_F64 : rank == 1 ? TYPE_I32 : rank == 0 ? TYPE_BOOL : TYPE_I32;
  for (uint32_t i = 0; i < count && rank == 0; i++) {
    if (v[i].kind == V_NUMBER) type = TYPE_I32;
  }
  if (fraction && !type_is_float(type)) type = real;
  for (uint32_t i = 0; i < count; i++) {
    if (!value_to_tensor(t, &v[i], type, at)) return false;
  }
  /* An integer too large for I32 made its tensor float. */
  for (uint32_t i = 0; i < count; i++) {
    if (type_is_float(value_type(t, v[i])) && !type_is_float(type)) type = real;
  }
  for (uint32_t i = 0; i < count; i++) v[i] = value_cast(t, v[i], type);
  return true;
}
