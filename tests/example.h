/* example.h: the examples in the library's comments. A definition's comment ends in
 *     ## Example: `expression` for name: type, name: type in low .. high
 * The expression is a value made of the inputs named behind `for`, which are drawn from their ranges (-1.5 .. 1.5 where
 * none is given; labels from all classes). */
#ifndef GRADC_TEST_EXAMPLE_H
#define GRADC_TEST_EXAMPLE_H
#include <ctype.h>

#include "embedded.h"
#include "evaluate.h"

enum { EXAMPLE_INPUTS = 8 };
typedef struct {
  char file[64], kind[16], name[64];
  char doc[8192];                    /* the comment, its lines joined by spaces */
  bool has_expression;
  char expression[2048];
  int input_count;                   /* -1: the example names no inputs */
  struct {
    char name[32], type[64];
    double low, high;
    bool ranged;
  } inputs[EXAMPLE_INPUTS];
} Example;

static inline void trim(char *s) {
  size_t n = strlen(s), from = 0;
  while (n && isspace((unsigned char)s[n - 1])) s[--n] = 0;
  while (isspace((unsigned char)s[from])) from++;
  memmove(s, s + from, n - from + 1);
}

/* "z: [2, 3] in 0 .. 1" */
static inline void example_input(Example *e, char *text) {
  trim(text);
  char *colon = strchr(text, ':'), *in = strstr(text, " in ");
  if (!colon || e->input_count == EXAMPLE_INPUTS) fail_msg("%s: `%s` is no input of an example", e->name, text);
  const int i = e->input_count++;
  e->inputs[i].low = -1.5, e->inputs[i].high = 1.5;
  if (in) {
    e->inputs[i].ranged = true;
    if (sscanf(in, " in %lf .. %lf", &e->inputs[i].low, &e->inputs[i].high) != 2) fail_msg("%s: `%s`", e->name, text);
    *in = 0;
  }
  *colon = 0;
  snprintf(e->inputs[i].name, sizeof e->inputs[i].name, "%.31s", text);
  snprintf(e->inputs[i].type, sizeof e->inputs[i].type, "%.63s", colon + 1);
  trim(e->inputs[i].name), trim(e->inputs[i].type);
}

static inline void example_parse(Example *e) {
  e->input_count = -1;
  char *at = strstr(e->doc, "Example: `");
  if (!at) return;
  char *from = at + strlen("Example: `"), *to = strchr(from, '`');
  if (!to) fail_msg("%s: the example has no end", e->name);
  snprintf(e->expression, sizeof e->expression, "%.*s", (int)(to - from), from);
  e->has_expression = true;
  if (strncmp(to + 1, " for ", 5)) return;
  char rest[1024];
  snprintf(rest, sizeof rest, "%.1023s", to + 6);
  e->input_count = 0;
  int depth = 0;
  char *start = rest;
  for (char *c = rest;; c++) {
    depth += (*c == '[') - (*c == ']');
    if (*c && !(*c == ',' && !depth)) continue;
    const char end = *c;
    *c = 0;
    example_input(e, start);
    start = c + 1;
    if (!end) return;
  }
}

/* Calls `each` with every definition of the library that stands at the beginning of a line. */
static inline void example_each(void (*each)(const Example *, void *), void *context) {
  Example *e = mem_zero(1, sizeof *e);
  for (size_t f = 0; embedded_files[f].path; f++) {
    const char *line = embedded_files[f].text;
    for (const char *end; *line; line = *end ? end + 1 : end) {
      end = strchr(line, '\n');
      if (!end) end = line + strlen(line);
      const int length = (int)(end - line);
      if (length > 1 && line[0] == '#' && line[1] == '#') {
        const size_t n = strlen(e->doc);
        snprintf(e->doc + n, sizeof e->doc - n, "%s%.*s", n ? " " : "", length - 3 > 0 ? length - 3 : 0, line + 3);
        continue;
      }
      if (isalpha((unsigned char)line[0]) && sscanf(line, "%15s %63[^( {]", e->kind, e->name) == 2) {
        snprintf(e->file, sizeof e->file, "%.63s", embedded_files[f].path);
        example_parse(e);
        each(e, context);
      }
      memset(e, 0, sizeof *e);
    }
  }
  free(e);
}

/* Is it code that a model's values are made of? (Not an optimiser, a schedule or a metric.) */
static inline bool example_is_value(const Example *e) {
  return !strcmp(e->kind, "fn") || !strcmp(e->kind, "layer") || !strcmp(e->kind, "init");
}

/* The model whose loss is the sum of the example's value, each element with a weight of its own. Where `derivatives`,
 * it also puts out the loss's derivative by each input that is a float. */
static inline void example_model(const Example *e, bool derivatives, Text *out) {
  text_printf(out, "model example {\n");
  for (int i = 0; i < e->input_count; i++) text_printf(out, "  input %s: %s\n", e->inputs[i].name, e->inputs[i].type);
  text_printf(out, "  let value = %s\n", e->expression);
  text_printf(out, "  let total = sum(value * normal(0, 1)[like value])\n  loss total\n");
  text_printf(out, "  output value = 1.0 * value\n");
  for (int i = 0; derivatives && i < e->input_count; i++) {
    if (strstr(e->inputs[i].type, "of ") || strchr(e->inputs[i].type, '[') != e->inputs[i].type) continue;
    text_printf(out, "  output d_%s = grad(total, %s)\n", e->inputs[i].name, e->inputs[i].name);
  }
  text_printf(out, "}\ntrain { optimizer = sgd(0.1); batch = 3; steps = 1 }\n");
}

/* splitmix64: the same draws at every run */
static inline double example_draw(uint64_t *state) {
  uint64_t x = *state += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return (double)((x ^ (x >> 31)) >> 11) * 0x1p-53;
}

/* Traces the example, fills its inputs, and starts its parameters a little beside their start, so that no two are equal
 * and none is 0. */
static inline void example_open(const Example *x, Evaluation *e, Type type, bool derivatives, bool moved) {
  Text text = {0};
  example_model(x, derivatives, &text);
  evaluation_open(e, text_get(&text), type, 3);
  text_free(&text);
  uint64_t state = hash_bytes(x->name, strlen(x->name));
  for (uint32_t i = 0; i < e->count; i++) {
    const Slot *s = &e->program->eval->slots.data[i];
    if (!slot_is_feed(s)) continue;
    int at = 0;
    while (strcmp(x->inputs[at].name, s->name)) at++;
    const double low = x->inputs[at].low, high = x->inputs[at].high;
    for (int64_t k = 0; k < e->sizes[i]; k++) {
      const double u = example_draw(&state);
      const double first = x->inputs[at].ranged ? low : 0, count = x->inputs[at].ranged ? high - low + 1 : s->classes;
      e->slots[i][k] = (s->type == TYPE_F32 || s->type == TYPE_F64) ? low + (high - low) * u : floor(first + count * u);
      if (s->type == TYPE_F32) e->slots[i][k] = (double)(float)e->slots[i][k];
    }
  }
  evaluation_start(e);
  for (uint32_t i = 0; moved && i < e->count; i++) {
    if (e->program->eval->slots.data[i].kind != SLOT_PARAM) continue;
    for (int64_t k = 0; k < e->sizes[i]; k++) e->slots[i][k] += 0.1 * (example_draw(&state) - 0.5);
  }
}

#endif
