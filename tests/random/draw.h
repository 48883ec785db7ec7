/* draw.h: draws a random program of the whole language, well typed: each statement is made of values that are there, and the
 * drawing knows shape, batch and a bound of each. Values are steered by the bounds: what would grow is led through tanh,
 * logarithms and quotients get arguments away from 0, so that differences and machine code can be judged everywhere.
 *
 *   RandomProgram p;
 *   rp_draw(&p, seed);
 *   ... rp_render ...
 *   rp_free(&p);
 */
#ifndef GRADC_RANDOM_DRAW_H
#define GRADC_RANDOM_DRAW_H
#include <math.h>

#include "program.h"

/* ---- statements ---- */

static inline int rp_add(RandomProgram *p, RpForm form, unsigned flags, char *text, int first, int count) {
  if (p->count >= RP_STATEMENTS) abort();
  p->statements[p->count] = (RpStatement){form, text, flags, first, count, false};
  return p->count++;
}

static inline int rp_value(RandomProgram *p, RpType type) {
  if (p->value_count >= RP_VALUES) abort();
  p->types[p->value_count] = type;
  return p->value_count++;
}

/* `$1` .. `$4` of the template become the operands; other text is as it is. */
static inline char *rp_fill(const char *template, const int *in) {
  Text out = {0};
  for (const char *c = template; *c; c++) {
    if (*c == '$' && c[1] >= '1' && c[1] <= '4') text_printf(&out, "$%d;", in[*++c - '1']);
    else text_printf(&out, "%c", *c);
  }
  char *text = rp_copy_text(text_get(&out));
  text_free(&out);
  return text;
}

static inline char *rp_fill_format(const int *in, const char *format, va_list args) {
  char template[1024];
  vsnprintf(template, sizeof template, format, args);
  return rp_fill(template, in);
}

/* `let` of one value. The operands are those of the template that `format` makes. */
static inline int __attribute__((format(printf, 5, 6))) rp_let(RandomProgram *p, RpType type, unsigned flags, const int *in,
                                                                const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text = rp_fill_format(in, format, args);
  va_end(args);
  const int v = rp_value(p, type);
  rp_add(p, RP_LET, flags, text, v, 1);
  return v;
}
#define IN(...) ((const int[]){__VA_ARGS__})

/* A line that is no `let`; of a state where `state` is one, else -1. */
static inline void __attribute__((format(printf, 5, 6))) rp_line(RandomProgram *p, unsigned flags, int state, const int *in,
                                                                 const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text = rp_fill_format(in, format, args);
  va_end(args);
  rp_add(p, RP_LINE, flags, text, state < 0 ? 0 : state, state >= 0);
}

/* `input x: type`, `param x: type ~ d`, .. */
static inline int rp_declare(RandomProgram *p, RpType type, const char *word, const char *rest) {
  const int v = rp_value(p, type);
  Text text = {0};
  text_printf(&text, "%s $%d;: ", word, v);
  rp_type_text(&type, &text);
  text_add(&text, rest);
  rp_add(p, RP_DECLARE, 0, rp_copy_text(text_get(&text)), v, 1);
  text_free(&text);
  return v;
}

/* ---- types ---- */

static inline RpType rp_float(bool batched, double bound, int rank, const int *dims) {
  RpType t = {.kind = RP_FLOAT, .batched = batched, .rank = rank, .bound = bound};
  if (rank) memcpy(t.dims, dims, sizeof *dims * (size_t)rank);
  return t;
}
#define SHAPE(...) ((const int[]){__VA_ARGS__})
static inline RpType rp_with(RpType t, double bound) { return t.bound = bound, t; }
static inline int rp_elements(const RpType *t) {
  int n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->dims[i];
  return n;
}
static inline int rp_extent(RandomProgram *p) {
  static const int extents[] = {1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 9, 17};
  return extents[rp_below(p, 12)];
}

enum { RP_LARGEST = 200 }; /* elements of a value, in one example */

static inline int rp_input(RandomProgram *p, int rank) {
  int dims[RP_RANK];
  RpType t;
  do {
    for (int i = 0; i < rank; i++) dims[i] = rp_extent(p);
    t = rp_float(rp_below(p, 4) != 0, 1.5, rank, dims);
  } while (rp_elements(&t) > RP_LARGEST);
  return t.batched ? rp_declare(p, t, "input", "") : rp_declare(p, t, "param", " ~ normal(0, 0.5)");
}

static inline int rp_param(RandomProgram *p, int rank, const int *dims) {
  return rp_declare(p, rp_float(false, 1.5, rank, dims), "param", " ~ normal(0, 0.5)");
}

/* A float of a rank within low .. high: found, the later ones likelier, or a new input or parameter. */
static inline int rp_pick(RandomProgram *p, int low, int high) {
  for (int tries = 0; tries < 20; tries++) {
    const int a = rp_below(p, p->value_count), b = rp_below(p, p->value_count), v = a > b ? a : b;
    const RpType *t = &p->types[v];
    if (t->kind == RP_FLOAT && t->rank >= low && t->rank <= high) return v;
  }
  return rp_input(p, low + rp_below(p, high - low + 1));
}

/* Another float of these extents: found, else a new parameter. */
static inline int rp_alike(RandomProgram *p, int v) {
  for (int tries = 0; tries < 20; tries++) {
    const int w = rp_below(p, p->value_count);
    const RpType *t = &p->types[w], *u = &p->types[v];
    if (w != v && t->kind == RP_FLOAT && t->rank == u->rank && !memcmp(t->dims, u->dims, sizeof(int) * (size_t)u->rank)) return w;
  }
  return rp_param(p, p->types[v].rank, p->types[v].dims);
}

/* v where it is within the limit, else brought there. */
static inline int rp_tame(RandomProgram *p, int v, double limit) {
  if (p->types[v].bound <= limit) return v;
  return rp_let(p, rp_with(p->types[v], fmin(1, limit)), RP_PLAIN, IN(v), limit < 1 ? "%.2f * tanh($1)" : "tanh($1)", limit);
}

static inline int rp_batched(RandomProgram *p, int low, int high) {
  for (int tries = 0; tries < 8; tries++) {
    const int v = rp_pick(p, low, high);
    if (p->types[v].batched) return v;
  }
  int dims[RP_RANK];
  const int rank = low + rp_below(p, high - low + 1);
  for (int i = 0; i < rank; i++) dims[i] = 1 + rp_below(p, 4);
  return rp_declare(p, rp_float(true, 1.5, rank, dims), "input", "");
}

static inline int rp_labels(RandomProgram *p, int rank, const int *dims, int classes) {
  RpType t = rp_float(true, 0, rank, dims);
  t.kind = RP_LABEL, t.classes = classes;
  return rp_declare(p, t, rp_below(p, 2) ? "input" : "target", "");
}

#include "draw_values.h"
#include "draw_layers.h"

/* ---- whole programs ---- */

typedef void RpMake(RandomProgram *);
static RpMake *const rp_makers[] = {
    rp_unary, rp_unary, rp_unary, rp_pair, rp_pair, rp_scaled, rp_reduce, rp_along, rp_move, rp_move, rp_cut_out, rp_join,
    rp_product, rp_product, rp_einsum, rp_if, rp_if, rp_scan, rp_scan_pair, rp_iterate, rp_map, rp_repeat, rp_labelled, rp_picked,
    rp_sorted, rp_grad, rp_grad_through, rp_second, rp_static, rp_tuple, rp_user, rp_over_batch,
    rp_dense, rp_normalise, rp_shared, rp_attention, rp_recurrent, rp_convolve, rp_pool, rp_library, rp_draw_noise, rp_state,
    rp_bundle, rp_split_gates, rp_stopped, rp_metric, rp_pairs};

static inline bool rp_is_used(const RandomProgram *p, int value) {
  for (int i = 0; i < p->count; i++) {
    size_t at = 0, from;
    for (int id; (id = rp_reference(p->statements[i].text, &at, &from)) >= 0;)
      if (id == value && !(p->statements[i].form != RP_LINE && p->statements[i].first == value)) return true;
  }
  return false;
}

/* What nobody uses goes into losses and outputs. */
static inline void rp_ends(RandomProgram *p) {
  const int count = p->value_count;
  for (int v = 0, losses = 0, outputs = 0; v < count; v++) {
    const RpType t = p->types[v];
    if (t.kind == RP_INSTANCE || (rp_is_used(p, v) && (t.kind != RP_FLOAT || rp_below(p, 12)))) continue;
    if (outputs++ < 12) rp_line(p, RP_ROOT, -1, IN(v), "output o%d = $1", v);
    if (t.kind != RP_FLOAT || losses++ > 6) continue;
    const int how = rp_below(p, 8);
    const char *named[] = {"", "part"};
    char name[24] = "";
    if (rp_below(p, 3) == 0) snprintf(name, sizeof name, "%s%d = ", named[1], v);
    const int other = how >= 6 ? rp_alike(p, v) : v;
    const char *forms[] = {"mean($1^2)", "sum(sin($1))", "0.1 * mean($1)", "$1^2 / 2", "$1", "abs($1 - 0.125)", "mse($1, $2)",
                           "huber($1, $2)"};
    rp_line(p, RP_ROOT, -1, IN(v, other), "loss %s%s%s", name, forms[how],
            t.batched && how < 3 && rp_below(p, 5) == 0 ? " weight 1 + batch_index" : "");
  }
  rp_label_losses(p);
}

static inline void rp_setting(RandomProgram *p, const char *text) { p->settings[p->setting_count++] = rp_copy_text(text); }

static inline void rp_training(RandomProgram *p) {
  static const char *const optimizers[] = {
      "sgd(0.1)", "sgd(0.1, momentum = 0.9, l2 = 0.01)", "momentum(0.05)", "nesterov(0.05)", "adam(0.01, eps = 0.01)",
      "adamw(0.01, eps = 0.01, decay = 0.1)", "adagrad(0.01, eps = 0.01)", "rmsprop(0.01, eps = 0.01)", "adamax(0.01, eps = 0.1)",
      "nadam(0.01, eps = 0.01)", "sgd(cosine(0.1))", "sgd(step_decay(0.1, 2))", "sgd(one_cycle(0.2))", "sgd(warmup(0.1, warmup = 3))"};
  static const char *const others[] = {"clip_norm = 1", "clip_norm = 0.01", "average = 0.9"};
  Text line = {0};
  text_printf(&line, "optimizer = %s", optimizers[rp_below(p, 14)]);
  rp_setting(p, text_get(&line));
  text_free(&line);
  rp_setting(p, "batch = 3; steps = 4");
  if (rp_below(p, 3) == 0) rp_setting(p, others[rp_below(p, 3)]);
  if (rp_below(p, 4)) return;
  const int own = rp_param(p, 1, SHAPE(3));
  char pattern[64];
  rp_line(p, RP_ROOT, -1, IN(own), "loss sum($1^2)");
  snprintf(pattern, sizeof pattern, rp_below(p, 2) ? "optimizer for \"*%d\" = momentum(0.1)" : "freeze = [\"*%d\"]", own);
  rp_setting(p, pattern);
}

static inline void rp_draw(RandomProgram *p, uint64_t seed) {
  memset(p, 0, sizeof *p);
  p->seed = seed, p->state = seed * 0x9e3779b97f4a7c15u + 17;
  rp_declare(p, rp_float(true, 1.5, 1, SHAPE(1 + rp_extent(p))), "input", "");
  rp_declare(p, rp_float(true, 1.5, 2, SHAPE(2 + rp_below(p, 4), 2 + rp_below(p, 5))), "input", "");
  rp_declare(p, rp_float(true, 1.5, 0, NULL), "input", "");
  const int size = 2 + rp_below(p, 14);
  for (int i = 0; i < size; i++) rp_makers[rp_below(p, sizeof rp_makers / sizeof *rp_makers)](p);
  rp_ends(p);
  rp_training(p);
}

#endif
