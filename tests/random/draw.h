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
  p->statements[p->count] = (RpStatement){form, text, flags, first, count, -1, false};
  return p->count++;
}

static inline int rp_value(RandomProgram *p, RpType type) {
  if (p->value_count >= RP_VALUES) abort();
  type.block = type.batched ? p->block : 0;
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
  if (p->blocks > 1 && type.batched) text_printf(&text, " from block%d", p->block);
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
  static const char *const starts[] = {"uniform(-1, 1)", "truncated_normal(0, 0.5)", "user_start", "xavier", "truncated_he", "lecun_uniform"};
  char rest[40] = " ~ normal(0, 0.5)";
  const int how = rp_below(p, 12);
  if (how < 6 && (how < 2 || rank > 1)) snprintf(rest, sizeof rest, " ~ %s", starts[how]);
  if (how == 6 && rank == 2) snprintf(rest, sizeof rest, dims[0] == dims[1] ? " ~ identity" : " ~ orthogonal");
  return rp_declare(p, rp_float(false, 1.5, rank, dims), "param", rest);
}

/* May a statement of the present data block be made of it? */
static inline bool rp_fits(const RandomProgram *p, const RpType *t) { return t->kind == RP_FLOAT && (!t->batched || t->block == p->block); }

/* A float of a rank within low .. high: found, the later ones likelier, or a new input or parameter. */
static inline int rp_pick(RandomProgram *p, int low, int high) {
  for (int tries = 0; tries < 20; tries++) {
    const int a = rp_below(p, p->value_count), b = rp_below(p, p->value_count), v = a > b ? a : b;
    const RpType *t = &p->types[v];
    if (rp_fits(p, t) && t->rank >= low && t->rank <= high) return v;
  }
  return rp_input(p, low + rp_below(p, high - low + 1));
}

/* Another float of these extents: found, else a new parameter. */
static inline int rp_alike(RandomProgram *p, int v) {
  for (int tries = 0; tries < 20; tries++) {
    const int w = rp_below(p, p->value_count);
    const RpType *t = &p->types[w], *u = &p->types[v];
    if (w != v && rp_fits(p, t) && t->rank == u->rank && !memcmp(t->dims, u->dims, sizeof(int) * (size_t)u->rank)) return w;
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

static inline int rp_instance(RandomProgram *p, const char *recipe) {
  return rp_let(p, (RpType){.kind = RP_INSTANCE}, 0, IN(0), "%s", recipe);
}

#include "draw_values.h"
#include "draw_derivatives.h"
#include "draw_layers.h"
#include "draw_windows.h"
#include "draw_training.h"

/* ---- whole programs ---- */

typedef void RpMake(RandomProgram *);
static RpMake *const rp_makers[] = {
    rp_unary, rp_unary, rp_unary, rp_pair, rp_pair, rp_scaled, rp_reduce, rp_axes, rp_along, rp_move, rp_move, rp_cut_out, rp_join,
    rp_product, rp_product, rp_einsum, rp_if, rp_if, rp_scan, rp_scan_pair, rp_iterate, rp_map, rp_loops, rp_repeat, rp_labelled, rp_picked,
    rp_whole, rp_sorted, rp_grad, rp_grad_through, rp_second, rp_nested, rp_static, rp_tuple, rp_user, rp_over_batch,
    rp_dense, rp_normalise, rp_shared, rp_attention, rp_recurrent, rp_wider, rp_convolve, rp_convolve, rp_pool, rp_library, rp_draw_noise, rp_state,
    rp_slow, rp_bundle, rp_split_gates, rp_stopped, rp_metric, rp_pairs};

static inline void rp_draw(RandomProgram *p, uint64_t seed) {
  memset(p, 0, sizeof *p);
  p->seed = seed, p->state = seed * 0x9e3779b97f4a7c15u + 17;
  p->blocks = rp_below(p, 6) ? 1 : 2;
  rp_declare(p, rp_float(true, 1.5, 1, SHAPE(1 + rp_extent(p))), "input", "");
  rp_declare(p, rp_float(true, 1.5, 2, SHAPE(2 + rp_below(p, 4), 2 + rp_below(p, 5))), "input", "");
  rp_declare(p, rp_float(true, 1.5, 0, NULL), "input", "");
  const int size = 2 + rp_below(p, 14);
  for (int i = 0; i < size; i++) {
    p->block = rp_below(p, 3) ? 0 : p->blocks - 1;
    rp_makers[rp_below(p, sizeof rp_makers / sizeof *rp_makers)](p);
  }
  rp_ends(p);
  rp_training(p);
}

#endif
