/* program.h: a program of the language as a list of statements that can be written down in more than one way, and made
 * smaller. What is drawn into it is in draw.h; the tests on it are in programs.c.
 *
 * In a statement's text `$12;` stands for value 12, so that names, order and wrapping are chosen when it is written:
 *   rp_render(&p, &(RpStyle){.letter = 'v'}, &text);
 */
#ifndef GRADC_RANDOM_PROGRAM_H
#define GRADC_RANDOM_PROGRAM_H
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

enum { RP_STATEMENTS = 160, RP_VALUES = 200, RP_RANK = 5, RP_SETTINGS = 8 };

typedef enum { RP_FLOAT, RP_LABEL, RP_BOOL, RP_INT, RP_INSTANCE } RpKind;

/* What a value is; `bound` is an estimate of its largest size, by which the drawing keeps values moderate. */
typedef struct {
  RpKind kind;
  bool batched;
  int block;     /* of a batched value: the number of its data block */
  int rank, dims[RP_RANK];
  int classes;   /* RP_LABEL: label[classes] */
  double bound;
} RpType;

enum {
  RP_PLAIN = 1,   /* a pure expression: may become a function's or lambda's body, and its operands be rewritten */
  RP_ORDERED = 2, /* has a number within the model (a layer without a name, a draw): keeps its place among its like */
  RP_ROOT = 4,    /* wanted for itself: an output, a loss, a metric */
  RP_HELD = 8     /* its derivative is not that of its value: differences do not apply */
};

typedef enum { RP_LET, RP_DECLARE, RP_LINE } RpForm;
typedef struct {
  RpForm form;           /* `let` of the values and the text; the text as it is, a declaration or another line */
  char *text;            /* owned */
  unsigned flags;
  int first, count;      /* the values that it makes; of a line: the state that it writes, or none */
  int after;             /* a value that must stand before, beside those that the text names; -1: none */
  bool removed;
} RpStatement;

typedef struct {
  uint64_t seed, state;
  RpStatement statements[RP_STATEMENTS];
  RpType types[RP_VALUES];
  int count, value_count;
  int blocks, block; /* the data blocks, and the one that is drawn of at present */
  char *settings[RP_SETTINGS]; /* lines of `train`, owned; NULL where removed */
  int setting_count;
} RandomProgram;

static inline void rp_free(RandomProgram *p) {
  for (int i = 0; i < p->count; i++) free(p->statements[i].text);
  for (int i = 0; i < p->setting_count; i++) free(p->settings[i]);
}

/* ---- random numbers ---- */

static inline uint64_t rp_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
static inline uint64_t rp_bits(RandomProgram *p) { return rp_mix(p->state += 0x9e3779b97f4a7c15u); }
static inline int rp_below(RandomProgram *p, int n) { return (int)((rp_bits(p) >> 33) % (uint64_t)n); }
/* A choice that depends on its two places alone, so that it stays when other statements are removed. */
static inline int rp_choice(uint64_t seed, int i, int k, int n) {
  return (int)(rp_mix(seed * 0x9e3779b97f4a7c15u + (uint64_t)i * 1000003u + (uint64_t)k * 7919u + 1) % (uint64_t)n);
}

/* ---- references ---- */

/* The next `$n;` at or behind *at: its value, *at moved behind it and *from to its `$`; -1 at the end. */
static inline int rp_reference(const char *text, size_t *at, size_t *from) {
  const char *d = strchr(text + *at, '$');
  if (!d) return -1;
  char *end;
  const long id = strtol(d + 1, &end, 10);
  *from = (size_t)(d - text);
  *at = (size_t)(end + 1 - text);
  return (int)id;
}

/* The statement that makes the value. */
static inline int rp_maker(const RandomProgram *p, int value) {
  for (int i = 0; i < p->count; i++) {
    const RpStatement *s = &p->statements[i];
    if (s->form != RP_LINE && value >= s->first && value < s->first + s->count) return i;
  }
  return -1;
}

/* Which statements are needed: roots, what they name, and the lines that write a needed state. */
static inline void rp_alive(const RandomProgram *p, bool *alive) {
  bool changed = true;
  for (int i = 0; i < p->count; i++) alive[i] = !p->statements[i].removed && (p->statements[i].flags & RP_ROOT);
  while (changed) {
    changed = false;
    for (int i = p->count - 1; i >= 0; i--) {
      const RpStatement *s = &p->statements[i];
      if (s->removed) continue;
      if (!alive[i] && s->form == RP_LINE && s->count) {
        const int maker = rp_maker(p, s->first);
        if (maker >= 0 && alive[maker]) alive[i] = changed = true;
      }
      size_t at = 0, from;
      for (int id; alive[i] && (id = rp_reference(s->text, &at, &from)) >= 0;) {
        const int maker = rp_maker(p, id);
        if (maker >= 0 && !alive[maker]) alive[maker] = changed = true;
      }
      const int before = alive[i] && s->after >= 0 ? rp_maker(p, s->after) : -1;
      if (before >= 0 && !alive[before]) alive[before] = changed = true;
    }
  }
}

/* ---- writing ---- */

typedef struct {
  char letter;      /* values are called by it and their number */
  uint64_t seed;    /* of the choices below */
  bool wrap;        /* some expressions become functions, lambdas, blocks */
  bool rewrite;     /* some operands become x + 0, 1 * x, 0.25 * x + 0.75 * x, ... */
  bool reorder;     /* statements in another order that keeps what is needed first; definitions behind the model */
  Text *imported;   /* gets the definitions, of a file `definitions.nn` that is imported; NULL: they stand in the file */
  const char *as;   /* what they are called by there: "own."; NULL: nothing */
} RpStyle;

/* Definitions of a user that the drawn text may name; written where it does. */
static const char *const rp_prelude[][2] = {
    {"user_block", "layer user_block(x: [.., n], hidden: int, act = tanh) = x + (x |> dense(hidden) |> act |> dense(n))\n"},
    {"user_gate", "layer user_gate(x: [.., n], units = n) -> [.., units] {\n  param G: [n, units] ~ normal(0, 0.5)\n"
                  "  param g: [units] ~ ones\n  sigmoid(x @ G) * g\n}\n"},
    {"user_deep", "layer user_deep(x: [n], depth: int) = if depth == 0 then x\n"
                  "  else x |> dense(n) |> tanh |> user_deep(depth - 1)\n"},
    {"user_cube", "fn user_cube(x) = x^3 / 3\n  with gradient(dy) = dy * x^2\n"},
    {"user_pair", "fn user_pair(x, y) = x * sin(y)\n  with gradient(dy) = (dy * sin(y), dy * x * cos(y))\n"},
    {"user_scale", "fn user_scale(x: [.., n], by = 2) = by * x / n\n"},
    {"user_apply", "fn user_apply(f, x) = f(f(x))\n"},
    {"user_twice", "layer user_twice(x, f) = f(x) + f(x)\n"},
    {"user_mean", "metric user_mean(x: []) {\n  state n ~ zeros; state s ~ zeros\n  n <- n + batch\n"
                  "  s <- s + sum(x, over = batch)\n  s / n\n}\n"},
    {"user_width", "const user_width = 3\n"},
    {"user_rows", "fn user_rows(x: [T, n]) = x - mean(x, over = T, keep = true) / n\n"},
    {"user_whole", "fn user_whole(x: [.., n]) -> [.., n] = x / sqrt(1 + sum(x^2, over = .., keep = true))\n"},
    {"user_two", "fn user_two(pair: ([.., n], [.., n])) -> ([.., n], [.., n]) {\n  let (a, b) = pair\n  (a * cos(b), b - a / n)\n}\n"},
    {"user_both", "fn user_both(f, x) = f(x) + f(sin(x))\n"},
    {"user_start", "init user_start(fan_in, fan_out) = uniform(-1 / sqrt(fan_in + fan_out), 1 / fan_in)\n"},
    {"user_centred", "layer user_centred(x: [.., n]) {\n  state centre: [n] ~ zeros\n"
                     "  let now = if rank(x) > 1 then mean(mean(x, over = ..), over = batch) else mean(x, over = batch)\n"
                     "  centre <- 0.9 * centre + 0.1 * now\n  x - centre\n}\n"},
    {"user_descent", "optimizer user_descent(rate = 0.1, keep = 0.5) {\n  state m ~ zeros; state n ~ constant(1)\n"
                     "  m <- keep * m + gradient\n  n <- n + step\n  parameter <- parameter - rate * (gradient + keep * m) / n\n}\n"},
    {"user_fall", "schedule user_fall(peak) = if step < 2 then peak else peak * (1 - step / (steps + 9)) / (1 + epoch)\n"},
    {NULL, NULL}};

static inline void rp_name(const RpStyle *style, int id, Text *out) { text_printf(out, "%c%d", style->letter, id); }

/* An operand, a float, as something equal to it. `$` stands for its name. */
static const char *const rp_equals[] = {"($ + 0)", "(1 * $)", "(0.25 * $ + 0.75 * $)", "($ - 0)", "(-(-$))", "($ / 1)",
                                        "(if 2 > 1 then $ else 0)", "{ let same = $; same }", "($ * 2 / 2)",
                                        "select(true, $, 0.0)", "($ |> (q -> q))", "(0.5 * ($ + $))"};
enum { RP_EQUALS = sizeof rp_equals / sizeof *rp_equals };

static inline void rp_operand(const RpType *t, int how, const char *name, Text *out) {
  const char *form = t->kind == RP_FLOAT && how < RP_EQUALS ? rp_equals[how] : "$";
  for (const char *c = form; *c; c++) {
    if (*c == '$') text_add(out, name);
    else text_printf(out, "%c", *c);
  }
}

/* The text with its references written: by name, or as parameters p0, p1, .. of a function where `params` lists them. */
static inline void rp_expand(const RandomProgram *p, const RpStyle *style, int i, const int *params, int count, Text *out) {
  const RpStatement *s = &p->statements[i];
  size_t at = 0, from, last = 0;
  int k = 0;
  for (int id; (id = rp_reference(s->text, &at, &from)) >= 0; last = at, k++) {
    char name[16];
    snprintf(name, sizeof name, "%c%d", style->letter, id);
    for (int j = 0; j < count; j++)
      if (params[j] == id) snprintf(name, sizeof name, "p%d", j);
    text_printf(out, "%.*s", (int)(from - last), s->text + last);
    const bool plain = style->rewrite && (s->flags & RP_PLAIN);
    rp_operand(&p->types[id], plain ? rp_choice(style->seed, i, k, 2 * RP_EQUALS) : RP_EQUALS, name, out);
  }
  text_add(out, s->text + last);
}

static inline int rp_params(const RpStatement *s, int *params) {
  size_t at = 0, from;
  int count = 0;
  for (int id; (id = rp_reference(s->text, &at, &from)) >= 0;) {
    bool known = false;
    for (int j = 0; j < count; j++) known = known || params[j] == id;
    if (!known && count < 8) params[count++] = id;
  }
  return count;
}

/* A text that names the user's definitions, where they are called by another name. */
static inline void rp_user_names(const RpStyle *style, const char *text, Text *out) {
  for (const char *c = text; *c; c++) {
    const bool starts = !strncmp(c, "user_", 5) && (c == text || !(isalnum((unsigned char)c[-1]) || c[-1] == '_' || c[-1] == '.'));
    if (starts && style->as) text_add(out, style->as);
    text_printf(out, "%c", *c);
  }
}

static inline void rp_call(const RpStyle *style, int i, const int *params, int count, Text *out) {
  text_printf(out, "%sf%d", style->as ? style->as : "", i);
  for (int j = 0; j < count; j++) {
    text_add(out, j ? ", " : "(");
    rp_name(style, params[j], out);
  }
  text_add(out, ")");
}

static inline void rp_type_text(const RpType *t, Text *out) {
  text_add(out, "[");
  for (int i = 0; i < t->rank; i++) text_printf(out, "%s%d", i ? ", " : "", t->dims[i]);
  text_add(out, "]");
  if (t->kind == RP_LABEL) text_printf(out, " of label[%d]", t->classes);
  if (t->kind == RP_BOOL) text_add(out, " of bool");
  if (t->kind == RP_INT) text_add(out, " of int");
}

/* A `let`, its expression as it is or as the body of a function, a lambda or a block. */
static inline void rp_let_line(const RandomProgram *p, const RpStyle *style, int i, Text *out, Text *functions) {
  const RpStatement *s = &p->statements[i];
  int params[8];
  const int count = rp_params(s, params);
  text_add(out, s->count > 1 ? "  let (" : "  let ");
  for (int k = 0; k < s->count; k++) {
    if (k) text_add(out, ", ");
    rp_name(style, s->first + k, out);
  }
  const RpType *t = &p->types[s->first];
  text_add(out, s->count > 1 ? ")" : "");
  if (style->wrap && s->count == 1 && t->kind == RP_FLOAT && !rp_choice(style->seed, i, 98, 4)) {
    text_add(out, ": ");
    rp_type_text(t, out);
  }
  text_add(out, " = ");
  const bool may = style->wrap && (s->flags & RP_PLAIN) && !(s->flags & RP_ORDERED) && count;
  const int how = may ? rp_choice(style->seed, i, 99, 6) : 5;
  if (how == 0 || how == 1) {
    text_printf(functions, "fn f%d(", i);
    for (int j = 0; j < count; j++) text_printf(functions, "%sp%d", j ? ", " : "", j);
    text_add(functions, how ? ") { let result = " : ") = ");
    rp_expand(p, style, i, params, count, functions);
    text_add(functions, how ? "\n  result\n}\n" : "\n");
    rp_call(style, i, params, count, out);
  } else if (how == 2) {
    text_add(out, "{ let inner = ");
    rp_expand(p, style, i, NULL, 0, out);
    text_add(out, "\n    inner }");
  } else if (how == 3 && count == 1) {
    rp_name(style, params[0], out);
    text_add(out, " |> (p0 -> ");
    rp_expand(p, style, i, params, 1, out);
    text_add(out, ")");
  } else
    rp_expand(p, style, i, NULL, 0, out);
  text_add(out, "\n");
}

static inline void rp_statement(const RandomProgram *p, const RpStyle *style, int i, Text *out, Text *functions) {
  if (p->statements[i].form == RP_LET) {
    rp_let_line(p, style, i, out, functions);
    return;
  }
  text_add(out, "  ");
  rp_expand(p, style, i, NULL, 0, out);
  text_add(out, "\n");
}

/* May statement i be written now: what it names is written, and so are those of its kind before it that keep their order? */
static inline bool rp_ready(const RandomProgram *p, const bool *alive, const bool *written, int i) {
  const RpStatement *s = &p->statements[i];
  size_t at = 0, from;
  for (int id; (id = rp_reference(s->text, &at, &from)) >= 0;) {
    const int maker = rp_maker(p, id);
    if (maker >= 0 && maker != i && !written[maker]) return false;
  }
  if (s->after >= 0 && !written[rp_maker(p, s->after)]) return false;
  const bool kept = s->form != RP_LET || (s->flags & RP_ORDERED);
  for (int k = 0; k < i && kept; k++) {
    const RpStatement *t = &p->statements[k];
    if (alive[k] && !written[k] && t->form == s->form && (t->form != RP_LET || (t->flags & RP_ORDERED))) return false;
  }
  return true;
}

static inline void rp_body(const RandomProgram *p, const RpStyle *style, Text *out, Text *functions) {
  bool alive[RP_STATEMENTS], written[RP_STATEMENTS] = {false};
  rp_alive(p, alive);
  for (int step = 0; step < p->count; step++) {
    int ready[RP_STATEMENTS], count = 0;
    for (int i = 0; i < p->count; i++)
      if (alive[i] && !written[i] && rp_ready(p, alive, written, i)) ready[count++] = i;
    if (!count) break;
    const int i = ready[style->reorder ? rp_choice(style->seed, step, 7, count) : 0];
    rp_statement(p, style, i, out, functions);
    written[i] = true;
  }
}

/* Definitions of the user that the texts name, and the functions that wrapping made. */
static inline void rp_definitions(const char *body, const Text *functions, Text *out) {
  for (int i = 0; rp_prelude[i][0]; i++)
    if (strstr(body, rp_prelude[i][0]) || strstr(text_get(functions), rp_prelude[i][0])) text_add(out, rp_prelude[i][1]);
  text_add(out, text_get(functions));
}

static inline void rp_render(const RandomProgram *p, const RpStyle *style, Text *out) {
  Text body = {0}, functions = {0}, model = {0};
  rp_body(p, style, &body, &functions);
  text_printf(&model, "model m%s {\n%s}\n", strstr(text_get(&body), "own_half") ? "(own_half = 0.5, own_two = 2)" : "", text_get(&body));
  for (int i = 0; i < p->blocks && p->blocks > 1; i++)
    text_printf(&model, "data block%d { file = \"%d.csv\" }\n", i, i);
  text_add(&model, "train {\n");
  for (int i = 0; i < p->setting_count; i++)
    if (p->settings[i]) text_printf(&model, "  %s\n", p->settings[i]);
  text_add(&model, "}\n");
  if (style->imported) text_printf(out, "import \"definitions.nn\"%s%.*s\n", style->as ? " as " : "", style->as ? (int)strlen(style->as) - 1 : 0, style->as ? style->as : "");
  if (style->reorder) rp_user_names(style, text_get(&model), out);
  rp_definitions(text_get(&model), &functions, style->imported ? style->imported : out);
  if (!style->reorder) rp_user_names(style, text_get(&model), out);
  text_free(&body), text_free(&functions), text_free(&model);
}

/* ---- making smaller ---- */

static inline char *rp_copy_text(const char *s) {
  const size_t n = strlen(s) + 1;
  return memcpy(mem_alloc(n), s, n);
}

static inline void rp_copy(RandomProgram *to, const RandomProgram *from) {
  *to = *from;
  for (int i = 0; i < to->count; i++) to->statements[i].text = rp_copy_text(from->statements[i].text);
  for (int i = 0; i < to->setting_count; i++)
    if (from->settings[i]) to->settings[i] = rp_copy_text(from->settings[i]);
}

static inline bool rp_same_type(const RpType *a, const RpType *b) {
  return a->kind == b->kind && a->batched == b->batched && a->block == b->block && a->rank == b->rank && a->classes == b->classes &&
         !memcmp(a->dims, b->dims, sizeof(int) * (size_t)a->rank);
}

/* The statement's values become inputs or parameters of their own, so that what it named may go. */
static inline bool rp_cut(RandomProgram *p, int i) {
  RpStatement *s = &p->statements[i];
  const RpType *t = &p->types[s->first];
  if (s->form != RP_LET || s->count != 1 || t->kind == RP_INSTANCE || (!t->batched && t->kind != RP_FLOAT)) return false;
  Text text = {0};
  text_printf(&text, "%s $%d;: ", t->batched ? "input" : "param", s->first);
  rp_type_text(t, &text);
  if (t->batched && p->blocks > 1) text_printf(&text, " from block%d", t->block);
  if (!t->batched) text_add(&text, " ~ normal(0, 1)");
  free(s->text);
  s->text = rp_copy_text(text_get(&text));
  s->form = RP_DECLARE, s->flags = 0;
  text_free(&text);
  return true;
}

/* The k-th operand of the statement's type stands for the whole. */
static inline bool rp_lift(RandomProgram *p, int i, int k) {
  RpStatement *s = &p->statements[i];
  int params[8];
  if (s->form != RP_LET || s->count != 1 || k >= rp_params(s, params)) return false;
  char text[16];
  snprintf(text, sizeof text, "$%d;", params[k]);
  if (!rp_same_type(&p->types[params[k]], &p->types[s->first]) || !strcmp(text, s->text)) return false;
  free(s->text);
  s->text = rp_copy_text(text);
  s->flags = RP_PLAIN;
  return true;
}

/* The number of edits that rp_edit knows; some do nothing (false). */
static inline int rp_edits(const RandomProgram *p) { return p->setting_count + 4 * p->count; }
static inline bool rp_edit(RandomProgram *p, int edit) {
  if (edit < p->setting_count) {
    if (!p->settings[edit] || strstr(p->settings[edit], "optimizer =")) return false;
    free(p->settings[edit]);
    p->settings[edit] = NULL;
    return true;
  }
  edit -= p->setting_count;
  const int i = p->count - 1 - edit / 4, kind = edit % 4;
  bool alive[RP_STATEMENTS];
  rp_alive(p, alive);
  if (!alive[i]) return false;
  if (kind == 0) return (p->statements[i].flags & RP_ROOT) && (p->statements[i].removed = true);
  return kind == 1 ? rp_cut(p, i) : rp_lift(p, i, kind - 2);
}

#endif
