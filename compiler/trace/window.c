/* window.c: convolutions and windows. x is [spatial axes .., channels]. Each spatial axis becomes two, the windows and the
 * taps of each: a convolution is one contraction over the taps and the channels, a pooling a reduction over the taps. */
#include <math.h>
#include <string.h>

#include "call.h"

enum { MAX_SPACE = 3 };

typedef struct {
  uint32_t space; /* spatial axes */
  int64_t size[MAX_SPACE], stride[MAX_SPACE], dilation[MAX_SPACE], low[MAX_SPACE], high[MAX_SPACE], out[MAX_SPACE];
} Window;

/* One number for all axes, or one an axis. */
static bool per_axis(Tracer *t, Value v, uint32_t space, int64_t absent, int64_t least, int64_t *out, const char *what,
                     Span at) {
  const bool list = v.kind == V_TUPLE || v.kind == V_ARRAY;
  if (list && v.count != space) {
    trace_error(t, "bad-argument", at, "`%s` is one number or one for each of %u axes; found %s", what, space,
                value_describe(t, v));
    return false;
  }
  for (uint32_t i = 0; i < space; i++) {
    out[i] = absent;
    if (v.kind == V_ABSENT) continue;
    if (!value_whole(t, list ? v.items[i] : v, &out[i], text_of(t, "`%s`", what), at)) return false;
    if (out[i] >= least && out[i] < 1 << 20) continue;
    trace_error(t, "bad-argument", at, "`%s` must be %lld or more; found %lld", what, (long long)least,
                (long long)out[i]);
    return false;
  }
  return true;
}

/* What an axis needs so that `same` holds: ceil(extent / stride) windows, an odd element at the end (TensorFlow's
 * rule). */
static void pad_same(Window *w, uint32_t i, int64_t extent) {
  const int64_t reach = w->dilation[i] * (w->size[i] - 1) + 1, count = (extent + w->stride[i] - 1) / w->stride[i];
  const int64_t total = (count - 1) * w->stride[i] + reach - extent;
  w->low[i] = total > 0 ? total / 2 : 0;
  w->high[i] = total > 0 ? total - w->low[i] : 0;
}

static bool is_word(Value v, const char *word) { return v.kind == V_STRING && !strcmp(v.text, word); }

/* Padding: `valid` (none), `same`, a number, one an axis, or (before, after) an axis. */
static bool read_padding(Tracer *t, Value v, Window *w, const Dims *dims, Span at) {
  memset(w->low, 0, sizeof w->low), memset(w->high, 0, sizeof w->high);
  if (v.kind == V_ABSENT || is_word(v, "valid")) return true;
  if (is_word(v, "same")) {
    for (uint32_t i = 0; i < w->space; i++) pad_same(w, i, dims->dims[i]);
    return true;
  }
  if (v.kind == V_STRING) {
    trace_error(t, "bad-argument", at, "`padding` is `same`, `valid`, or numbers; found %s", value_describe(t, v));
    return false;
  }
  const bool pairs =
      (v.kind == V_TUPLE || v.kind == V_ARRAY) && v.count && (v.items[0].kind == V_TUPLE || v.items[0].kind == V_ARRAY);
  if (!pairs) {
    if (!per_axis(t, v, w->space, 0, 0, w->low, "padding", at)) return false;
    memcpy(w->high, w->low, sizeof w->high);
    return true;
  }
  for (uint32_t i = 0; i < w->space; i++) {
    int64_t ends[MAX_SPACE];
    if (i >= v.count || !per_axis(t, v.items[i], 2, 0, 0, ends, "padding", at)) return false;
    w->low[i] = ends[0], w->high[i] = ends[1];
  }
  return true;
}

static bool windows_fit(Tracer *t, Window *w, const Dims *dims, Span at) {
  for (uint32_t i = 0; i < w->space; i++) {
    const int64_t reach = w->dilation[i] * (w->size[i] - 1) + 1, room = dims->dims[i] + w->low[i] + w->high[i];
    if (room < reach || w->size[i] < 1) {
      Diag *d = trace_error(t, "window-too-large", at, "a window of %lld does not fit an axis of extent %lld",
                            (long long)reach, (long long)room);
      diag_hint(t->s, d, "`padding = same` keeps the extent");
      return false;
    }
    w->out[i] = (room - reach) / w->stride[i] + 1;
  }
  return true;
}

static Node pad_space(Tracer *t, Value x, const Window *w, const int64_t *between) {
  int64_t spec[3 * GRAPH_MAX_RANK] = {0};
  bool any = false;
  for (uint32_t i = 0; i < w->space; i++) {
    int64_t *axis = &spec[3 * (i + x.batched)];
    axis[0] = w->low[i], axis[1] = w->high[i], axis[2] = between ? between[i] : 0;
    any = any || axis[0] || axis[1] || axis[2];
  }
  return any ? build_pad(t->graph, x.node, spec) : x.node;
}

/* [places .., c] as [windows, taps, windows, taps, .., c]. */
static Node windows_of(Tracer *t, Node padded, bool batched, const Window *w) {
  for (uint32_t i = 0; i < w->space; i++)
    padded = build_window(t->graph, padded, 2 * i + batched, w->out[i], w->size[i], w->stride[i], w->dilation[i]);
  return padded;
}

/* ---- convolution ---- */

static bool conv_args(Tracer *t, Call *c, Value *x, Value *w, Window *window, int64_t *groups) {
  if (!value_to_float(t, x, c->span) || !value_to_float(t, w, c->span)) return false;
  Value both[2] = {*x, *w};
  if (!tensors_unify(t, both, 2, true, c->span)) return false;
  *x = both[0], *w = both[1];
  const Dims dims = value_dims(t, *x), kernel = value_dims(t, *w);
  const bool many = dims.rank > MAX_SPACE + 1;
  if (dims.rank < 2 || many || kernel.rank != dims.rank + 1 || w->batched) {
    Diag *d = trace_error(t, "shape-mismatch", c->span,
                          many ? "a convolution goes over 1, 2 or 3 axes of places, then come the channels; found %s and %s"
                               : "a convolution takes [places .., channels] and a kernel [sizes .., in, out]; found %s and %s",
                          dims_text(t, &dims), dims_text(t, &kernel));
    note_value(t, d, *x, c->span, "the array");
    note_value(t, d, *w, c->span, "the kernel");
    return false;
  }
  window->space = dims.rank - 1;
  for (uint32_t i = 0; i < window->space; i++) window->size[i] = kernel.dims[i];
  *groups = 1;
  if (c->args[5].kind != V_ABSENT && !value_whole(t, c->args[5], groups, "`groups`", c->span)) return false;
  const int64_t in = kernel.dims[window->space], out = kernel.dims[window->space + 1],
                channels = dims.dims[window->space];
  if (*groups < 1 || out % *groups || in * *groups != channels) {
    Diag *d = trace_error(t, "shape-mismatch", c->span,
                          "the kernel %s with %lld group%s takes %lld channels; found %lld in %s",
                          dims_text(t, &kernel), (long long)*groups, *groups == 1 ? "" : "s", (long long)(in * *groups),
                          (long long)channels, dims_text(t, &dims));
    note_value(t, d, *x, c->span, "the array");
    return false;
  }
  return per_axis(t, c->args[2], window->space, 1, 1, window->stride, "stride", c->span) &&
         per_axis(t, c->args[4], window->space, 1, 1, window->dilation, "dilation", c->span);
}

static Node slice_last(Graph *g, Node x, uint32_t axis, int64_t start, int64_t count) {
  int64_t s[3 * GRAPH_MAX_RANK];
  const Dims dims = *node_dims(g, x);
  for (uint32_t i = 0; i < dims.rank; i++) s[3 * i] = 0, s[3 * i + 1] = dims.dims[i], s[3 * i + 2] = 1;
  s[3 * axis] = start, s[3 * axis + 1] = count;
  return build_slice(g, x, s);
}

/* Windows [.., windows, taps, .., c] by a kernel [taps .., c, out]: over the taps and the channels. */
static Node convolve_plain(Tracer *t, Node windows, Node kernel, bool batched, uint32_t space) {
  int64_t a[GRAPH_MAX_RANK], b[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < space; i++) a[i] = 2 * i + 1 + batched, b[i] = i;
  a[space] = 2 * space + batched, b[space] = space;
  return build_contract(t->graph, windows, kernel, 0, NULL, NULL, space + 1, a, b);
}

/* Where an axis more would be too many: group by group, side by side. */
static Node convolve_each(Tracer *t, Node windows, Node kernel, bool batched, uint32_t space, int64_t groups) {
  Graph *g = t->graph;
  const Dims k = *node_dims(g, kernel);
  const int64_t in = k.dims[space], out = k.dims[space + 1] / groups;
  Node *parts = ARENA_ARRAY(t->arena, Node, (size_t)groups);
  for (int64_t i = 0; i < groups; i++)
    parts[i] = convolve_plain(t, slice_last(g, windows, 2 * space + batched, i * in, in),
                              slice_last(g, kernel, space + 1, i * out, out), batched, space);
  return build_concat(g, parts, (uint32_t)groups, space + batched);
}

/* The groups are an axis that both share: it comes first in the contraction, and goes back before the filters. */
static Node convolve_groups(Tracer *t, Node windows, Node kernel, bool batched, uint32_t space, int64_t groups) {
  Graph *g = t->graph;
  Dims x = *node_dims(g, windows), k = *node_dims(g, kernel);
  const uint32_t channels = 2 * space + batched;
  if (x.rank == GRAPH_MAX_RANK) return convolve_each(t, windows, kernel, batched, space, groups);
  x.rank++, x.dims[channels + 1] = x.dims[channels] / groups, x.dims[channels] = groups;
  k.rank++, k.dims[space + 2] = k.dims[space + 1] / groups, k.dims[space + 1] = groups;
  windows = build_reshape(g, windows, shape_of(g, &x)), kernel = build_reshape(g, kernel, shape_of(g, &k));
  int64_t a[GRAPH_MAX_RANK], b[GRAPH_MAX_RANK], perm[GRAPH_MAX_RANK];
  for (uint32_t i = 0; i < space; i++) a[i] = 2 * i + 1 + batched, b[i] = i;
  a[space] = channels + 1, b[space] = space;
  const int64_t group[2] = {channels, space + 1};
  Node y = build_contract(g, windows, kernel, 1, &group[0], &group[1], space + 1, a, b);
  const uint32_t places = space + batched; /* [groups, places .., filters] */
  for (uint32_t i = 0; i < places; i++) perm[i] = i + 1;
  perm[places] = 0, perm[places + 1] = places + 1;
  y = build_transpose(g, y, perm);
  Dims joined = *node_dims(g, y);
  joined.rank--, joined.dims[places] = groups * k.dims[space + 2];
  return build_reshape(g, y, shape_of(g, &joined));
}

static Value convolve(Tracer *t, Value x, Node padded, Value kernel, const Window *w, int64_t groups, Span span) {
  const Node windows = windows_of(t, padded, x.batched, w);
  const Node y = groups == 1 ? convolve_plain(t, windows, kernel.node, x.batched, w->space)
                             : convolve_groups(t, windows, kernel.node, x.batched, w->space, groups);
  return value_tensor(t, y, x.batched, span);
}

Value builtin_conv(Tracer *t, Call *c) {
  Value x = c->args[0], kernel = c->args[1];
  Window w = {0};
  int64_t groups;
  if (!conv_args(t, c, &x, &kernel, &w, &groups)) return value_poison();
  const Dims dims = value_dims(t, x);
  if (!read_padding(t, c->args[3], &w, &dims, c->span) || !windows_fit(t, &w, &dims, c->span)) return value_poison();
  return convolve(t, x, pad_space(t, x, &w, NULL), kernel, &w, groups, c->span);
}

/* The transpose of a convolution: x spread by the stride, padded by what the window reaches beyond, and the kernel
 * turned round. out = (extent - 1) * stride - padding + dilation * (size - 1) + 1; with `same`, extent * stride. */
Value builtin_conv_transpose(Tracer *t, Call *c) {
  Value x = c->args[0], kernel = c->args[1];
  Window w = {0};
  int64_t groups, between[MAX_SPACE], extra[MAX_SPACE] = {0};
  if (!conv_args(t, c, &x, &kernel, &w, &groups)) return value_poison();
  const Dims dims = value_dims(t, x);
  Dims larger = dims;
  for (uint32_t i = 0; i < w.space; i++) larger.dims[i] = dims.dims[i] * w.stride[i];
  if (!read_padding(t, c->args[3], &w, &larger, c->span)) return value_poison();
  Dims spread = dims;
  for (uint32_t i = 0; i < w.space; i++) {
    const int64_t reach = w.dilation[i] * (w.size[i] - 1);
    if (is_word(c->args[3], "same") && reach + 1 < w.stride[i]) extra[i] = w.stride[i] - reach - 1;
    if (w.low[i] > reach || w.high[i] > reach) {
      trace_error(t, "bad-argument", c->span, "a transposed convolution takes padding of at most %lld here",
                  (long long)reach);
      return value_poison();
    }
    w.low[i] = reach - w.low[i], w.high[i] = reach - w.high[i] + extra[i];
    between[i] = w.stride[i] - 1;
    spread.dims[i] = (dims.dims[i] - 1) * w.stride[i] + 1;
    w.stride[i] = 1;
  }
  if (!windows_fit(t, &w, &spread, c->span)) return value_poison();
  int64_t axes[MAX_SPACE];
  for (uint32_t i = 0; i < w.space; i++) axes[i] = i;
  kernel.node = build_reverse(t->graph, kernel.node, axes, w.space);
  return convolve(t, x, pad_space(t, x, &w, between), kernel, &w, groups, c->span);
}

/* ---- windows ---- */

static bool window_args(Tracer *t, Call *c, Value *x, Window *w) {
  if (!value_to_float(t, x, c->span)) return false;
  const Dims dims = value_dims(t, *x);
  if (dims.rank < 2 || dims.rank - 1 > MAX_SPACE) {
    trace_error(t, "shape-mismatch", c->span, "windows go over 1, 2 or 3 axes of places, then come the channels: [places .., channels]; found %s", value_describe(t, *x));
    return false;
  }
  w->space = dims.rank - 1;
  for (uint32_t i = 0; i < MAX_SPACE; i++) w->dilation[i] = 1;
  if (!per_axis(t, c->args[1], w->space, 1, 1, w->size, "size", c->span)) return false;
  if (!per_axis(t, c->args[2], w->space, 1, 1, w->stride, "stride", c->span)) return false;
  return read_padding(t, c->args[3], w, &dims, c->span) && windows_fit(t, w, &dims, c->span);
}

static bool is_padded(const Window *w) {
  for (uint32_t i = 0; i < w->space; i++) {
    if (w->low[i] || w->high[i]) return true;
  }
  return false;
}

static Node sum_windows(Tracer *t, Node padded, bool batched, const Window *w) {
  int64_t taps[MAX_SPACE];
  for (uint32_t i = 0; i < w->space; i++) taps[i] = 2 * i + 1 + batched;
  return build_reduce(t->graph, P_SUM, windows_of(t, padded, batched, w), taps, w->space);
}

/* The largest of each window over its tap axes, taken as the sum of what the first of the equals lets through: so the
 * gradient goes to that one alone. NaN counts as largest. */
static Node max_of_taps(Tracer *t, Node windows, const int64_t *taps, uint32_t count) {
  Graph *g = t->graph;
  const Shape shape = node_shape(g, windows);
  const Dims dims = *node_dims(g, windows);
  Dims sizes = {.rank = count};
  int64_t kept[GRAPH_MAX_RANK], all = 1;
  for (uint32_t i = 0; i < count; i++) all *= sizes.dims[i] = dims.dims[taps[i]];
  for (uint32_t k = 0, n = 0, tap = 0; k < dims.rank; k++) {
    if (tap < count && taps[tap] == k) tap++;
    else kept[n++] = k;
  }
  const Node first = build_reduce(g, P_ARGMAX, windows, taps, count);
  const Node number = build_broadcast(g, build_reshape(g, build_iota(g, all), shape_of(g, &sizes)), shape, taps);
  const Node wins = build_binary(g, P_EQ, number, build_broadcast(g, first, shape, kept));
  return build_reduce(g, P_SUM, build_select(g, wins, windows, build_like(g, windows, 0)), taps, count);
}

/* Windows that do not overlap are taken whole, so that each element is read once; the others axis by axis. */
static Node max_windows(Tracer *t, Node x, bool batched, const Window *w) {
  int64_t taps[MAX_SPACE];
  bool overlap = false;
  for (uint32_t i = 0; i < w->space; i++) taps[i] = 2 * i + 1 + batched, overlap |= w->stride[i] < w->size[i] && w->out[i] > 1;
  if (!overlap) return max_of_taps(t, windows_of(t, x, batched, w), taps, w->space);
  for (uint32_t i = w->space; i-- > 0;) {
    const int64_t axis = i + batched, tap = axis + 1;
    x = max_of_taps(t, build_window(t->graph, x, axis, w->out[i], w->size[i], w->stride[i], w->dilation[i]), &tap, 1);
  }
  return x;
}

/* Padding does not count: it is -inf. Of equals the first has the whole gradient; NaN comes through. */
Value builtin_window_max(Tracer *t, Call *c) {
  Value x = c->args[0];
  Window w = {0};
  if (!window_args(t, c, &x, &w)) return value_poison();
  Graph *g = t->graph;
  Node padded = pad_space(t, x, &w, NULL);
  if (is_padded(&w)) {
    Value ones = x;
    ones.node = build_full(g, value_type(t, x), 1, node_shape(g, x.node));
    const Node inside = build_binary(g, P_LT, build_like(g, padded, 0), pad_space(t, ones, &w, NULL));
    padded = build_select(g, inside, padded, build_full(g, value_type(t, x), -INFINITY, node_shape(g, padded)));
  }
  return value_tensor(t, max_windows(t, padded, x.batched, &w), x.batched, c->span);
}

Value builtin_window_sum(Tracer *t, Call *c) {
  Value x = c->args[0];
  Window w = {0};
  if (!window_args(t, c, &x, &w)) return value_poison();
  return value_tensor(t, sum_windows(t, pad_space(t, x, &w, NULL), x.batched, &w), x.batched, c->span);
}

/* Padding does not count: the mean is over the elements within. */
Value builtin_window_mean(Tracer *t, Call *c) {
  Value x = c->args[0];
  Window w = {0};
  if (!window_args(t, c, &x, &w)) return value_poison();
  Graph *g = t->graph;
  const Node sum = sum_windows(t, pad_space(t, x, &w, NULL), x.batched, &w);
  Node count;
  if (is_padded(&w)) {
    Value ones = x;
    ones.node = build_full(g, value_type(t, x), 1, node_shape(g, x.node));
    count = sum_windows(t, pad_space(t, ones, &w, NULL), x.batched, &w);
  } else {
    double size = 1;
    for (uint32_t i = 0; i < w.space; i++) size *= (double)w.size[i];
    count = build_like(g, sum, size);
  }
  return value_tensor(t, build_div(g, sum, count), x.batched, c->span);
}
