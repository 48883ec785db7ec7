/* product.c: sums of products: `@`, einsum, outer, dot, running sums. All go through one contraction. */
#include <ctype.h>
#include <string.h>

#include "call.h"

enum { BATCH_LABEL = 1000, MAX_LABELS = GRAPH_MAX_RANK + 1 };

typedef struct {
  Node node;
  uint32_t rank;
  int labels[MAX_LABELS];
} Side;

static int label_at(const int *labels, uint32_t count, int label) {
  for (uint32_t i = 0; i < count; i++) {
    if (labels[i] == label) return (int)i;
  }
  return -1;
}

static Side side_of(Tracer *t, Value v, const int *labels) {
  Side s = {v.node, 0, {0}};
  if (v.batched) s.labels[s.rank++] = BATCH_LABEL;
  const Dims dims = value_dims(t, v);
  for (uint32_t i = 0; i < dims.rank; i++) s.labels[s.rank++] = labels[i];
  return s;
}

/* Sums the axes that neither the other side nor the result has. */
static void side_sum(Tracer *t, Side *s, const Side *other, const int *out, uint32_t out_rank) {
  int64_t axes[MAX_LABELS];
  uint32_t n = 0, kept = 0;
  for (uint32_t i = 0; i < s->rank; i++) {
    const bool used = (other && label_at(other->labels, other->rank, s->labels[i]) >= 0) ||
                      label_at(out, out_rank, s->labels[i]) >= 0;
    if (used)
      s->labels[kept++] = s->labels[i];
    else
      axes[n++] = i;
  }
  s->rank = kept;
  if (n) s->node = build_reduce(t->graph, P_SUM, s->node, axes, n);
}

/* The contraction's own order of axes: pairs, a's others, b's others. */
static uint32_t natural_order(const Side *a, const Side *b, const int *out, uint32_t out_rank, int *order) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < a->rank; i++) {
    if (label_at(b->labels, b->rank, a->labels[i]) >= 0 && label_at(out, out_rank, a->labels[i]) >= 0)
      order[n++] = a->labels[i];
  }
  for (uint32_t i = 0; i < a->rank; i++) {
    if (label_at(b->labels, b->rank, a->labels[i]) < 0) order[n++] = a->labels[i];
  }
  for (uint32_t i = 0; i < b->rank; i++) {
    if (label_at(a->labels, a->rank, b->labels[i]) < 0) order[n++] = b->labels[i];
  }
  return n;
}

static Node arrange(Tracer *t, Node node, const int *have, const int *want, uint32_t rank) {
  int64_t perm[MAX_LABELS];
  bool same = true;
  for (uint32_t i = 0; i < rank; i++) {
    perm[i] = label_at(have, rank, want[i]);
    same = same && perm[i] == i;
  }
  return same ? node : build_transpose(t->graph, node, perm);
}

static Node contract_sides(Tracer *t, const Side *a, const Side *b, const int *out, uint32_t out_rank) {
  int64_t ab[MAX_LABELS], bb[MAX_LABELS], ak[MAX_LABELS], bk[MAX_LABELS];
  uint32_t nb = 0, nk = 0;
  for (uint32_t i = 0; i < a->rank; i++) {
    const int k = label_at(b->labels, b->rank, a->labels[i]);
    if (k < 0) continue;
    if (label_at(out, out_rank, a->labels[i]) >= 0)
      ab[nb] = i, bb[nb++] = k;
    else
      ak[nk] = i, bk[nk++] = k;
  }
  return build_contract(t->graph, a->node, b->node, nb, ab, bb, nk, ak, bk);
}

Value op_einsum2(Tracer *t, Value a, const int *la, Value b, const int *lb, const int *lo, uint32_t out_rank,
                 Span span) {
  Value both[2] = {a, b};
  if (!tensors_unify(t, both, 2, true, span)) return value_poison();
  for (int i = 0; i < 2; i++) {
    if (!value_to_float(t, &both[i], span)) return value_poison();
  }
  if (a.batched && b.batched && value_batch(t, a) != value_batch(t, b)) {
    trace_error(t, "two-batches", span, "a product joins values of two data blocks, whose batches differ");
    return value_poison();
  }
  Side x = side_of(t, both[0], la), y = side_of(t, both[1], lb);
  const bool batched = both[0].batched || both[1].batched;
  int out[2 * MAX_LABELS] = {0}, order[2 * MAX_LABELS] = {0}, other[2 * MAX_LABELS] = {0};
  uint32_t rank = 0;
  if (out_rank + batched > GRAPH_MAX_RANK) {
    trace_limit(t, "rank-limit", span, "more than %d axes, the batch among them, have no meaning yet", GRAPH_MAX_RANK);
    return value_poison();
  }
  if (batched) out[rank++] = BATCH_LABEL;
  for (uint32_t i = 0; i < out_rank; i++) out[rank++] = lo[i];
  side_sum(t, &x, &y, out, rank);
  side_sum(t, &y, &x, out, rank);
  natural_order(&x, &y, out, rank, order);
  natural_order(&y, &x, out, rank, other);
  Node node;
  if (memcmp(order, out, rank * sizeof *out) && !memcmp(other, out, rank * sizeof *out))
    node = contract_sides(t, &y, &x, out, rank);
  else
    node = arrange(t, contract_sides(t, &x, &y, out, rank), order, out, rank);
  return value_tensor(t, node, batched, span);
}

static void matmul_mismatch(Tracer *t, Value a, Value b, Span span) {
  const Dims x = value_dims(t, a), y = value_dims(t, b);
  const uint32_t inner = y.rank > 1 ? y.rank - 2 : 0;
  Diag *d =
      trace_error(t, "shape-mismatch", span,
                  "`@` sums over the left side's last axis and the right side's %s, which must be equal; found %s "
                  "and %s: %lld and %lld",
                  y.rank > 1 ? "last but one" : "last", dims_text(t, &x), dims_text(t, &y),
                  (long long)x.dims[x.rank - 1], (long long)y.dims[inner]);
  note_value(t, d, a, span, "the left side");
  note_value(t, d, b, span, "the right side");
  if (y.rank > 1 && x.dims[x.rank - 1] == y.dims[y.rank - 1]) diag_hint(t->s, d, "transpose the right side: `w.T`");
}

/* NumPy's matmul: leading axes broadcast, an axis of extent 1 beside a longer one is dropped first. */
Value op_matmul(Tracer *t, Value a, Value b, Span span) {
  if (value_bad(a) || value_bad(b)) return value_poison();
  Value v[2] = {a, b};
  if (!tensors_unify(t, v, 2, true, span)) return value_poison();
  Dims d[2] = {value_dims(t, v[0]), value_dims(t, v[1])};
  if (!d[0].rank || !d[1].rank) {
    Diag *diag = trace_error(t, "shape-mismatch", span, "`@` needs an array on both sides; found %s and %s",
                             value_describe(t, v[0]), value_describe(t, v[1]));
    diag_hint(t->s, diag, "a product with a scalar is `*`");
    return value_poison();
  }
  const bool vector[2] = {d[0].rank == 1, d[1].rank == 1};
  if (d[0].dims[d[0].rank - 1] != d[1].dims[vector[1] ? 0 : d[1].rank - 2])
    return matmul_mismatch(t, v[0], v[1], span), value_poison();
  enum { ROW = 100, INNER, COLUMN };
  int labels[2][MAX_LABELS], out[2 * MAX_LABELS] = {0};
  const uint32_t lead[2] = {vector[0] ? 0 : d[0].rank - 2, vector[1] ? 0 : d[1].rank - 2};
  const uint32_t most = lead[0] > lead[1] ? lead[0] : lead[1];
  for (uint32_t k = 0; k < most; k++) { /* k counts from the axis next to the matrices */
    const int64_t p = k < lead[0] ? d[0].dims[lead[0] - 1 - k] : 1, q = k < lead[1] ? d[1].dims[lead[1] - 1 - k] : 1;
    if (p == q || p == 1 || q == 1) continue;
    Diag *diag = trace_error(t, "shape-mismatch", span, "the leading axes of `@` do not fit each other: %s and %s",
                             dims_text(t, &d[0]), dims_text(t, &d[1]));
    note_value(t, diag, v[0], span, "the left side");
    note_value(t, diag, v[1], span, "the right side");
    return value_poison();
  }
  Dims kept[2] = {{0}, {0}};
  for (int s = 0; s < 2; s++) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < lead[s]; i++) {
      const uint32_t k = lead[s] - 1 - i;
      const int64_t mine = d[s].dims[i];
      if (mine == 1) continue;
      kept[s].dims[kept[s].rank++] = mine;
      labels[s][n++] = (int)k;
    }
    if (s == 0 && !vector[0]) kept[0].dims[kept[0].rank++] = d[0].dims[lead[0]], labels[0][n++] = ROW;
    kept[s].dims[kept[s].rank++] = s == 0 ? d[0].dims[d[0].rank - 1] : d[1].dims[vector[1] ? 0 : lead[1]];
    labels[s][n++] = INNER;
    if (s == 1 && !vector[1]) kept[1].dims[kept[1].rank++] = d[1].dims[lead[1] + 1], labels[1][n++] = COLUMN;
    v[s] = tensor_reshape(t, v[s], &kept[s]);
  }
  uint32_t rank = 0;
  Dims full = {0};
  for (uint32_t k = most; k-- > 0;) {
    const int64_t p = k < lead[0] ? d[0].dims[lead[0] - 1 - k] : 1, q = k < lead[1] ? d[1].dims[lead[1] - 1 - k] : 1;
    full.dims[full.rank++] = p == 1 ? q : p;
    if (p != 1 || q != 1) out[rank++] = (int)k;
  }
  if (!vector[0]) out[rank++] = ROW, full.dims[full.rank++] = d[0].dims[lead[0]];
  if (!vector[1]) out[rank++] = COLUMN, full.dims[full.rank++] = d[1].dims[lead[1] + 1];
  const Value product = op_einsum2(t, v[0], labels[0], v[1], labels[1], out, rank, span);
  return value_bad(product) ? product : tensor_reshape(t, product, &full);
}

Value builtin_outer(Tracer *t, Call *c) {
  static const int row[] = {0}, column[] = {1}, both[] = {0, 1};
  Value v[2] = {c->args[0], c->args[1]};
  for (int i = 0; i < 2; i++) {
    if (!value_to_tensor(t, &v[i], TYPE_COUNT, c->span)) return value_poison();
    if (value_dims(t, v[i]).rank == 1) continue;
    trace_error(t, "shape-mismatch", c->span, "`outer` takes two vectors; found %s", value_describe(t, v[i]));
    return value_poison();
  }
  return op_einsum2(t, v[0], row, v[1], column, both, 2, c->span);
}

Value builtin_dot(Tracer *t, Call *c) {
  Value v[2] = {c->args[0], c->args[1]};
  for (int i = 0; i < 2; i++) {
    if (!value_to_tensor(t, &v[i], TYPE_COUNT, c->span)) return value_poison();
  }
  const Dims a = value_dims(t, v[0]), b = value_dims(t, v[1]);
  if (!dims_equal(&a, &b)) {
    Diag *d = trace_error(t, "shape-mismatch", c->span, "`dot` takes two arrays of one shape; found %s and %s",
                          dims_text(t, &a), dims_text(t, &b));
    note_value(t, d, v[0], c->span, "the first");
    note_value(t, d, v[1], c->span, "the second");
    return value_poison();
  }
  int labels[MAX_LABELS];
  for (int i = 0; i < MAX_LABELS; i++) labels[i] = i;
  return op_einsum2(t, v[0], labels, v[1], labels, labels, 0, c->span);
}

/* Reads letters of one operand of an einsum: its labels. */
static const char *read_labels(const char *p, int *labels, uint32_t *count) {
  *count = 0;
  for (; *p && *p != ',' && *p != '-'; p++) {
    if (!isspace((unsigned char)*p) && *count < MAX_LABELS) labels[(*count)++] = *p;
  }
  return p;
}

static bool einsum_fits(Tracer *t, Call *c, Value v, const int *labels, uint32_t count, int64_t *extents) {
  const Dims dims = value_dims(t, v);
  if (dims.rank != count) {
    trace_error(t, "shape-mismatch", c->span, "the form gives %u letters to an operand of shape %s", count,
                dims_text(t, &dims));
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    int64_t *extent = &extents[labels[i] & 127];
    if (*extent && *extent != dims.dims[i]) {
      trace_error(t, "shape-mismatch", c->span, "the letter `%c` stands for %lld and for %lld", labels[i],
                  (long long)*extent, (long long)dims.dims[i]);
      return false;
    }
    *extent = dims.dims[i];
  }
  return true;
}

/* A letter twice in an operand: its diagonal, as the last axis. */
static Value einsum_diagonals(Tracer *t, Value v, int *labels, uint32_t *count, Span span) {
  for (uint32_t i = 0; i < *count; i++) {
    for (uint32_t k = i + 1; k < *count; k++) {
      if (labels[i] != labels[k]) continue;
      uint32_t perm[MAX_LABELS], n = 0;
      for (uint32_t j = 0; j < *count; j++)
        if (j != i && j != k) perm[n++] = j;
      perm[n] = i, perm[n + 1] = k;
      v = op_diagonal(t, tensor_transpose(t, v, perm), span);
      if (value_bad(v)) return v;
      const int twice = labels[i];
      for (uint32_t j = 0; j < n; j++) labels[j] = labels[perm[j]];
      labels[n] = twice, *count = n + 1;
      return einsum_diagonals(t, v, labels, count, span);
    }
  }
  return v;
}

static Value einsum_one(Tracer *t, Value v, const int *labels, const int *out, uint32_t out_count, Span span) {
  Side side = side_of(t, v, labels);
  int all[MAX_LABELS + 1];
  uint32_t rank = 0;
  if (v.batched) all[rank++] = BATCH_LABEL;
  for (uint32_t i = 0; i < out_count; i++) all[rank++] = out[i];
  side_sum(t, &side, NULL, all, rank);
  return value_tensor(t, arrange(t, side.node, side.labels, all, rank), v.batched, span);
}

/* Two operands or one; more from left to right, keeping what later ones or the result need. */
Value builtin_einsum(Tracer *t, Call *c) {
  const Value form = c->args[0], parts = c->args[1];
  const char *arrow = form.kind == V_STRING ? strstr(form.text, "->") : NULL;
  if (!arrow || !parts.count) {
    trace_error(t, "bad-argument", c->span, "`einsum` takes a form such as \"ij, jk -> ik\" and its operands");
    return value_poison();
  }
  int out[MAX_LABELS], have[MAX_LABELS], next[MAX_LABELS];
  uint32_t out_count, have_count = 0, next_count;
  int64_t extents[128] = {0};
  read_labels(arrow + 2, out, &out_count);
  const char *p = form.text;
  Value sum = value_poison();
  for (uint32_t i = 0; i < parts.count; i++) {
    Value v = parts.items[i];
    if (!value_to_float(t, &v, c->span)) return value_poison();
    p = read_labels(p, next, &next_count);
    if (!einsum_fits(t, c, v, next, next_count, extents)) return value_poison();
    v = einsum_diagonals(t, v, next, &next_count, c->span);
    if (value_bad(v)) return v;
    const bool last = i + 1 == parts.count;
    if ((*p == ',') == last) {
      trace_error(t, "bad-argument", c->span, "the form of `einsum` does not name %u operands", parts.count);
      return value_poison();
    }
    if (last) {
      for (uint32_t k = 0; k < out_count; k++) {
        if (extents[out[k] & 127]) continue;
        trace_error(t, "bad-argument", c->span, "no operand has the letter `%c` of the result", out[k]);
        return value_poison();
      }
    }
    if (i == 0) {
      sum = v, have_count = next_count;
      memcpy(have, next, sizeof have);
      if (!last) {
        p++;
        continue;
      }
      return einsum_one(t, v, have, out, out_count, c->span);
    }
    int keep[2 * MAX_LABELS];
    uint32_t kept = 0;
    for (uint32_t k = 0; k < have_count + next_count; k++) {
      const int label = k < have_count ? have[k] : next[k - have_count];
      const bool wanted = label_at(out, out_count, label) >= 0 || strchr(p, label);
      if (wanted && label_at(keep, kept, label) < 0) keep[kept++] = label;
    }
    sum = last ? op_einsum2(t, sum, have, v, next, out, out_count, c->span)
               : op_einsum2(t, sum, have, v, next, keep, kept, c->span);
    if (value_bad(sum) || last) return sum;
    memcpy(have, keep, sizeof have);
    have_count = kept;
    p++;
  }
  return sum;
}

/* y[i] = x[i - by], and the neutral value where there is none. */
static Node shifted(Graph *g, Node x, uint32_t axis, int64_t by, double neutral) {
  const Dims dims = *node_dims(g, x);
  int64_t slice[3 * GRAPH_MAX_RANK], pad[3 * GRAPH_MAX_RANK] = {0};
  for (uint32_t i = 0; i < dims.rank; i++) slice[3 * i] = 0, slice[3 * i + 1] = dims.dims[i], slice[3 * i + 2] = 1;
  slice[3 * axis + 1] -= by, pad[3 * axis] = by;
  const Node moved = build_pad(g, build_slice(g, x, slice), pad);
  if (neutral == 0) return moved;
  const int64_t at = axis;
  const Node number = build_broadcast(g, build_iota(g, dims.dims[axis]), node_shape(g, x), &at);
  const Node some = build_binary(g, P_LE, build_const(g, TYPE_I32, (double)by), number);
  return build_select(g, some, moved, build_like(g, x, neutral));
}

/* y[i] = the sum or product of x[j] over j <= i, in log2 n rounds: after the round of s, y[i] is that of the 2 s last.
 * No division, so that a product's derivative is right at zeros. */
static Value running(Tracer *t, Call *c, Prim prim) {
  Value x = c->args[0];
  uint32_t axis;
  if (!value_to_float(t, &x, c->span)) return value_poison();
  const Dims dims = value_dims(t, x);
  if (!one_axis(t, c->args[1], dims.rank, -1, &axis, c->span)) return value_poison();
  const int64_t n = dims.dims[axis];
  if (dim_is_batch(n)) {
    trace_limit(t, "no-meaning", c->span, "`%s` along the batch has no meaning yet", c->builtin->name);
    return value_poison();
  }
  for (int64_t by = 1; by < n; by *= 2)
    x.node = build_binary(t->graph, prim, x.node, shifted(t->graph, x.node, axis + x.batched, by, prim == P_MUL));
  x.span = c->span;
  return x;
}

Value builtin_cumsum(Tracer *t, Call *c) { return running(t, c, P_ADD); }
Value builtin_cumprod(Tracer *t, Call *c) { return running(t, c, P_MUL); }
