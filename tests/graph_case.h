/* graph_case.h: small graphs for tests, written as a line of primitives, and expressions to compare with.
 *
 *   "neg y | add x $1"     $1 is the first node of the case, x y .. are the prelude's; a node is f32 [batch, 4] unless it
 *   "sum $1 {1} : f32 [batch]"   says otherwise. The last node is the output "out".
 * The case is parsed as it stands, so it is not simplified before the test does so. */
#ifndef GRAPH_CASE_H
#define GRAPH_CASE_H
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "interp.h"

static const char case_prelude[] =
    "graph f32 marks 4 loops 1\n"
    "slot 0 input \"x\" f32 [batch, 4]\n"
    "slot 1 input \"y\" f32 [batch, 4]\n"
    "slot 2 input \"i\" i32 [batch, 4]\n"
    "slot 3 input \"p\" bool [batch, 4]\n"
    "slot 4 input \"q\" bool [batch, 4]\n"
    "slot 5 param \"w\" f32 [4, 3]\n"
    "slot 6 param \"s\" f32 []\n"
    "slot 7 param \"v\" f32 [4]\n"
    "slot 8 input \"t\" f32 [batch, 2, 3]\n"
    "slot 9 input \"d\" f64 [batch, 4]\n"
    "%1 = slot 0 : f32 [batch, 4]\n"
    "%2 = slot 1 : f32 [batch, 4]\n"
    "%3 = slot 2 : i32 [batch, 4]\n"
    "%4 = slot 3 : bool [batch, 4]\n"
    "%5 = slot 4 : bool [batch, 4]\n"
    "%6 = slot 5 : f32 [4, 3]\n"
    "%7 = slot 6 : f32 []\n"
    "%8 = slot 7 : f32 [4]\n"
    "%9 = slot 8 : f32 [batch, 2, 3]\n"
    "%10 = slot 9 : f64 [batch, 4]\n";
enum { CASE_SLOTS = 10 };
static const char case_names[] = "xyipqwsvtd"; /* by slot */

/* The graph of a case. Constants are written as `#2` (f32 [batch, 4]): a scalar and its broadcast. With `type` TYPE_F64
 * every f32 is an f64. */
static Graph *case_graph_of(Session *session, Type type, const char *body) {
  Text text = {0};
  text_add(&text, case_prelude);
  uint32_t next = CASE_SLOTS + 1, of_line[64] = {0}, lines = 0;
  char *copy = strdup(body), *save = NULL;
  for (char *line = strtok_r(copy, "|", &save); line; line = strtok_r(NULL, "|", &save)) {
    Text out = {0};
    bool first = true;
    for (char *p = line; *p;) {
      if (*p == ':') {
        text_add(&out, p);
        break;
      }
      if (*p == '$') {
        text_printf(&out, "%%%u", of_line[strtol(p + 1, &p, 10)]);
      } else if (*p == '#') { /* a constant of the default shape */
        const double value = strtod(p + 1, &p);
        text_printf(&text, "%%%u = const %.17g : f32 []\n", next, value);
        text_printf(&text, "%%%u = broadcast %%%u : f32 [batch, 4]\n", next + 1, next);
        text_printf(&out, "%%%u", next + 1);
        next += 2;
      } else if (isalpha((unsigned char)*p) || *p == '_') {
        const char *begin = p;
        while (isalnum((unsigned char)*p) || *p == '_') p++;
        const char *name = p - begin == 1 && !first ? strchr(case_names, *begin) : NULL;
        if (name) text_printf(&out, "%%%d", (int)(name - case_names) + 1);
        else text_add_bytes(&out, begin, (size_t)(p - begin));
        first = false;
      } else {
        text_add_bytes(&out, p++, 1);
      }
    }
    text_printf(&text, "%%%u = %s%s\n", next, text_get(&out), strchr(text_get(&out), ':') ? "" : " : f32 [batch, 4]");
    of_line[++lines] = next++;
    text_free(&out);
  }
  free(copy);
  text_printf(&text, "out value \"out\" %%%u\n", next - 1);
  const char *error = NULL;
  for (char *p = text.data; type == TYPE_F64 && (p = strstr(p, "f32")); p++) memcpy(p, "f64", 3);
  Graph *g = graph_parse(session, text_get(&text), &error);
  if (!g) {
    fprintf(stderr, "%s\n%s\n", text_get(&text), error);
    exit(1);
  }
  text_free(&text);
  return g;
}

static inline Graph *case_graph(Session *session, const char *body) { return case_graph_of(session, TYPE_F32, body); }

/* neg(mul(x, 2)): a node as an expression; a constant, broadcast or not, as its value. */
static inline void case_expression(const Graph *g, Node n, Text *out) {
  const Prim prim = node_prim(g, n);
  double value;
  if (node_constant(g, n, &value)) {
    text_printf(out, "%g", value);
    return;
  }
  if (prim == P_SLOT && node_attr(g, n)[0] < CASE_SLOTS) {
    text_add_bytes(out, &case_names[node_attr(g, n)[0]], 1);
    return;
  }
  text_add(out, prim_info(prim)->word);
  if (prim == P_CAST) text_printf(out, "_%s", type_word(node_type(g, n)));
  for (uint32_t i = 0; i < node_attr_count(g, n) && prim != P_MARK; i++)
    text_printf(out, "%s%lld", i ? " " : "{", (long long)node_attr(g, n)[i]);
  if (node_attr_count(g, n) && prim != P_MARK) text_add(out, "}");
  if (prim == P_RESHAPE) shape_print(node_dims(g, n), out);
  if (!node_data(g, n)->count) return;
  text_add(out, "(");
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) {
    if (i) text_add(out, ", ");
    case_expression(g, node_in(g, n, i), out);
  }
  text_add(out, ")");
}

/* Sample values for the prelude's slots, batch 3. Wild: with zeros of both signs, NaN and infinities. */
static inline void case_samples(double *data, const double *slots[CASE_SLOTS], bool wild) {
  static const double special[] = {0, -0.0, NAN, INFINITY, -INFINITY, 1, -1, 0.5, 3};
  const size_t specials = sizeof special / sizeof special[0];
  uint64_t state = 12345;
  for (int slot = 0; slot < CASE_SLOTS; slot++) {
    slots[slot] = data + 32 * slot;
    for (int k = 0; k < 32; k++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const double unit = (double)(state >> 40) / 16777216.0;
      double value = 0.3 + 1.7 * unit;
      if (slot == 2) value = (double)(int)(unit * 7) - 3;
      else if (slot == 3 || slot == 4) value = unit < 0.5;
      else if (wild && k % 4 != 3) value = special[(state >> 33) % specials];
      data[32 * slot + k] = slot == 9 || slot == 2 ? value : (float)value;
    }
  }
}
enum { CASE_VALUES = 32 * CASE_SLOTS };

/* The largest difference between the outputs of two graphs, relative to 1 or the value; NaN equals NaN, inf equals inf. */
static inline double case_difference(const Graph *a, const Graph *b, bool wild) {
  double data[CASE_VALUES], worst = 0;
  InterpInput input = {.batch = {3, 3, 3, 3}, .step = 5, .steps = 10, .epoch = 2, .seed = 7, .draw = 1};
  const double *slots[CASE_SLOTS];
  case_samples(data, slots, wild);
  input.slots = slots;
  Interp *ia = interp_new(a, &input), *ib = interp_new(b, &input);
  for (uint32_t o = 0; o < a->outputs.count; o++) {
    int64_t na, nb;
    const double *va = interp_value(ia, a->outputs.data[o].node, &na);
    const double *vb = interp_value(ib, b->outputs.data[o].node, &nb);
    if (na != nb) worst = INFINITY;
    for (int64_t k = 0; k < na && na == nb; k++) {
      if (va[k] == vb[k] || (isnan(va[k]) && isnan(vb[k]))) continue;
      const double scale = fabs(va[k]) > 1 ? fabs(va[k]) : 1, difference = fabs(va[k] - vb[k]) / scale;
      if (!(difference <= worst)) worst = isnan(difference) ? INFINITY : difference;
    }
  }
  interp_free(ia);
  interp_free(ib);
  return worst;
}

#endif
