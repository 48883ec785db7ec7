/* draw_windows.h: makers of convolutions and windows, over 1, 2 and 3 axes of places. Part of draw.h. */

typedef struct {
  int places, size, stride, dilation, low, high;
  bool same;
} RpWindow;

static inline int rp_image(RandomProgram *p, int places) {
  for (int tries = 0; tries < 6; tries++) {
    const int v = rp_pick(p, places + 1, places + 1);
    bool fits = true;
    for (int i = 0; i < places; i++) fits = fits && p->types[v].dims[i] >= 3;
    if (fits && p->types[v].dims[places] <= 4) return rp_tame(p, v, 3);
  }
  int dims[RP_RANK];
  for (int i = 0; i < places; i++) dims[i] = 3 + rp_below(p, places == 1 ? 8 : places == 2 ? 4 : 2);
  dims[places] = 1 + rp_below(p, places == 3 ? 2 : 3);
  return rp_declare(p, rp_float(true, 1.5, places + 1, dims), "input", "");
}

static inline RpWindow rp_window(RandomProgram *p, int places, int least) {
  RpWindow w = {.places = places, .size = least + rp_below(p, 3), .stride = 1 + rp_below(p, 3), .dilation = rp_below(p, 4) ? 1 : 2};
  w.same = rp_below(p, 3) == 0;
  if (!w.same && rp_below(p, 3) == 0) w.low = rp_below(p, 2), w.high = rp_below(p, 3);
  return w;
}

static inline int rp_reach(const RpWindow *w) { return w->dilation * (w->size - 1) + 1; }

/* The windows along an axis, 0 where none fits. */
static inline int rp_windows(const RpWindow *w, int extent) {
  if (w->same) return (extent + w->stride - 1) / w->stride;
  const int room = extent + w->low + w->high - rp_reach(w);
  return room < 0 ? 0 : room / w->stride + 1;
}

/* `same`, `valid`, one number, or (before, after) an axis. */
static inline const char *rp_padding(RandomProgram *p, const RpWindow *w, char *out, size_t size) {
  if (w->same) return snprintf(out, size, "same"), out;
  if (!w->low && !w->high) return snprintf(out, size, rp_below(p, 2) ? "valid" : "0"), out;
  if (w->low == w->high && rp_below(p, 2)) return snprintf(out, size, "%d", w->low), out;
  size_t at = (size_t)snprintf(out, size, "(");
  for (int i = 0; i < w->places; i++) at += (size_t)snprintf(out + at, size - at, "(%d, %d),%s", w->low, w->high, i + 1 < w->places ? " " : ")");
  return out;
}

/* x's type behind the window, or rank 0 where it does not fit. */
static inline RpType rp_behind(RpType t, const RpWindow *w, int channels, double bound) {
  for (int i = 0; i < w->places; i++) {
    t.dims[i] = rp_windows(w, t.dims[i]);
    if (!t.dims[i]) return (RpType){0};
  }
  t.dims[w->places] = channels;
  return rp_elements(&t) > 2 * RP_LARGEST ? (RpType){0} : rp_with(t, bound);
}

static inline void rp_convolve_plain(RandomProgram *p, int x, const RpWindow *w, int filters, const char *padding) {
  const int channels = p->types[x].dims[w->places], groups = channels % 2 == 0 && rp_below(p, 3) == 0 ? 2 : 1;
  const RpType t = rp_behind(p->types[x], w, filters * groups, 20);
  if (!t.rank) return;
  int dims[RP_RANK];
  for (int i = 0; i < w->places; i++) dims[i] = w->size;
  dims[w->places] = channels / groups, dims[w->places + 1] = filters * groups;
  rp_let(p, t, RP_PLAIN, IN(x, rp_param(p, w->places + 2, dims)), "conv($1, $2, stride = %d, padding = %s, dilation = %d, groups = %d)", w->stride,
         padding, w->dilation, groups);
}

/* Transposed: by the function, with a dilation, or by the layer. */
static inline void rp_convolve_back(RandomProgram *p, int x, const RpWindow *w, int filters, bool layer) {
  RpType t = p->types[x];
  const int channels = t.dims[w->places], reach = layer ? w->size : rp_reach(w);
  for (int i = 0; i < w->places; i++) t.dims[i] = w->same ? t.dims[i] * w->stride : (t.dims[i] - 1) * w->stride + reach;
  t.dims[w->places] = filters, t.bound = 20;
  if (rp_elements(&t) > 2 * RP_LARGEST || (w->same && reach < w->stride)) return;
  const char *padding = w->same ? "same" : "valid";
  int dims[RP_RANK];
  for (int i = 0; i < w->places; i++) dims[i] = w->size;
  dims[w->places] = channels, dims[w->places + 1] = filters;
  if (layer) rp_let(p, t, RP_ORDERED, IN(x), "($1 |> conv_transpose%dd(%d, %d, stride = %d, padding = %s))", w->places, filters, w->size, w->stride, padding);
  else
    rp_let(p, t, RP_PLAIN, IN(x, rp_param(p, w->places + 2, dims)), "conv_transpose($1, $2, stride = %d, padding = %s, dilation = %d)", w->stride,
           padding, w->dilation);
}

static inline void rp_convolve(RandomProgram *p) {
  const int places = 1 + rp_below(p, 3), x = rp_image(p, places), filters = 1 + rp_below(p, 4), how = rp_below(p, 7);
  const RpWindow w = rp_window(p, places, 1);
  const int channels = p->types[x].dims[places];
  char padding[80];
  rp_padding(p, &w, padding, sizeof padding);
  RpType t = rp_behind(p->types[x], &w, how == 2 ? channels : filters, 20);
  if (how == 0 || how == 1) rp_convolve_back(p, x, &w, filters, how == 1);
  else if (how == 4 || how == 5) rp_convolve_plain(p, x, &w, filters, padding);
  else if (!t.rank) return;
  else if (how == 2 && places == 2 && w.dilation == 1)
    rp_let(p, t, RP_ORDERED, IN(x), "($1 |> depthwise_conv2d(%d, stride = %d, padding = %s))", w.size, w.stride, padding);
  else if (how == 3 && places == 2 && w.dilation == 1)
    rp_let(p, t, RP_ORDERED, IN(x), "($1 |> separable_conv2d(%d, %d, stride = %d, padding = %s))", filters, w.size, w.stride, padding);
  else if (how != 2)
    rp_let(p, t, RP_ORDERED, IN(x), "($1 |> conv%dd(%d, %d, stride = %d, padding = %s, dilation = %d))", places, filters, w.size, w.stride, padding, w.dilation);
}

static inline void rp_pool(RandomProgram *p) {
  const int places = 1 + rp_below(p, 3), x = rp_image(p, places), how = rp_below(p, 9), channels = p->types[x].dims[places];
  RpType t = p->types[x];
  RpWindow w = rp_window(p, places, 2);
  w.dilation = 1;
  if (w.low >= w.size || w.high >= w.size) w.low = w.high = 0; /* no window of padding alone */
  static const char *const words[] = {"max_pool", "mean_pool", "window_sum", "window_max", "window_mean"};
  if (how == 5) rp_let(p, rp_float(t.batched, t.bound, 1, SHAPE(channels)), RP_PLAIN, IN(x), "global_%s_pool($1)", rp_below(p, 2) ? "mean" : "max");
  if (how == 6 && places == 2 && 4 * rp_elements(&t) <= 2 * RP_LARGEST) {
    t.dims[0] *= 2, t.dims[1] *= 2;
    rp_let(p, t, RP_PLAIN, IN(x), rp_below(p, 2) ? "upsample($1, 2)" : "upsample_linear($1, 2)");
  }
  if (how == 7 && places == 2) {
    t.dims[0] = 2, t.dims[1] = 3;
    rp_let(p, t, RP_PLAIN, IN(x), "adaptive_%s_pool($1, 2, 3)", rp_below(p, 2) ? "mean" : "max");
  }
  if (how >= 5 && how < 8) return;
  char padding[80];
  const RpType u = rp_behind(t, &w, channels, how % 8 == 2 ? 27 * t.bound : t.bound);
  if (u.rank) rp_let(p, u, RP_PLAIN, IN(x), "%s($1, %d, stride = %d, padding = %s)", words[how % 8], w.size, w.stride, rp_padding(p, &w, padding, sizeof padding));
}
