/* explain.c: a graph as mathematics for people. It names what is shared or long, one line each, under the line of the
 * source that the value came from, and is silent about what a reader does not miss: broadcasts, marks, casts between
 * floats, extents of one. It reads the graph and decides nothing. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "grad.h"

#define LONGEST 88 /* an expression's characters before a part of it gets a name */
#define SHORT 9    /* what is shorter is written twice rather than named */

/* How tightly an expression holds together. */
enum { BIND_OR = 1, BIND_AND, BIND_COMPARE, BIND_ADD, BIND_MUL, BIND_MATMUL, BIND_POWER, BIND_ATOM };

typedef struct {
  const char *text; /* the expression */
  const char *name; /* NULL: it is written where it is used */
  uint32_t uses;
  uint8_t bind;
  bool wanted;
  bool named;
} Line;

typedef struct {
  const Graph *g;
  const char *const *titles;
  uint32_t title_count;
  Line *lines; /* by node */
  Arena arena;
} Explain;

static const char later[] = "t99"; /* stands for a name while its number is not known; as long as most */

/* ---- what is silent ---- */

static bool is_float(Type t) { return t == TYPE_F32 || t == TYPE_F64; }

/* The node that is shown for `n`. */
static Node shown(const Graph *g, Node n) {
  for (;;) {
    const Prim p = node_prim(g, n);
    const Node in = node_data(g, n)->count ? node_in(g, n, 0) : NODE_NONE;
    const bool silent = p == P_MARK || p == P_OWN || p == P_BROADCAST ||
                        (p == P_RESHAPE && dims_equal_but_ones(node_dims(g, in), node_dims(g, n))) ||
                        (p == P_CAST && node_type(g, in) != TYPE_BOOL && is_float(node_type(g, n)));
    if (!silent) return n;
    n = in;
  }
}

static Node part(const Explain *e, Node n, uint32_t i) { return shown(e->g, node_in(e->g, n, i)); }

static bool constant(const Explain *e, Node n, double *value) { return node_constant(e->g, shown(e->g, n), value); }

/* ---- pieces of text ---- */

#define SAY(...) arena_printf(&e->arena, __VA_ARGS__)

/* As many digits as a float holds: for the eye. */
static const char *number(Explain *e, double value) { return SAY("%.7g", value); }

/* batch, or i j k .. for the axes that are no batch. */
static const char *axis_word(Explain *e, const Dims *dims, uint32_t axis) {
  const int64_t d = dims->dims[axis];
  if (dim_is_batch(d)) return d == DIM_BATCH ? "batch" : SAY("batch%d", (int)(DIM_BATCH - d));
  uint32_t count = 0;
  for (uint32_t i = 0; i < axis; i++) count += !dim_is_batch(dims->dims[i]);
  return SAY("%c", 'i' + (int)count);
}

/* The number of an element along an axis is that axis's letter. */
static const char *index_word(Explain *e, Node n) {
  const uint32_t axis = node_prim(e->g, n) == P_BROADCAST ? (uint32_t)node_attr(e->g, n)[0] : 0;
  const Dims *dims = node_dims(e->g, n);
  return dim_is_batch(dims->dims[axis]) ? SAY("%s_index", axis_word(e, dims, axis)) : axis_word(e, dims, axis);
}

/* An input as it stands in an expression that binds by `bind`. */
static const char *operand(Explain *e, Node n, int bind) {
  const Line *line = &e->lines[shown(e->g, n).id];
  if (line->named) return line->name;
  if (node_prim(e->g, shown(e->g, n)) == P_IOTA) return index_word(e, n);
  return line->bind < bind ? SAY("(%s)", line->text) : line->text;
}
static const char *input(Explain *e, Node n, uint32_t i, int bind) { return operand(e, node_in(e->g, n, i), bind); }

/* _batch_i: which axes an operation goes over; nothing where it is all of them. */
static const char *axes_suffix(Explain *e, Node n) {
  const Dims *dims = node_dims(e->g, node_in(e->g, n, 0));
  const uint32_t count = node_attr_count(e->g, n);
  const char *text = "";
  if (count == dims->rank) return text;
  for (uint32_t i = 0; i < count; i++) text = SAY("%s_%s", text, axis_word(e, dims, (uint32_t)node_attr(e->g, n)[i]));
  return text;
}

static const char *shape_text(Explain *e, const Dims *dims) {
  Text text = {0};
  shape_print(dims, &text);
  const char *copy = SAY("%s", text_get(&text));
  text_free(&text);
  return copy;
}

/* ---- one expression a primitive ---- */

static void say(Explain *e, Node n, int bind, const char *text) {
  e->lines[n.id].text = text;
  e->lines[n.id].bind = (uint8_t)bind;
}

static void say_infix(Explain *e, Node n, int bind, const char *sign, int right) {
  say(e, n, bind, SAY("%s %s %s", input(e, n, 0, bind), sign, input(e, n, 1, right)));
}

/* exp(x), concat(x, y, z): every primitive that has no form of its own. */
static void say_call(Explain *e, Node n, const char *word) {
  Text text = {0};
  text_printf(&text, "%s(", word);
  for (uint32_t i = 0; i < node_data(e->g, n)->count; i++) text_printf(&text, "%s%s", i ? ", " : "", input(e, n, i, 0));
  text_add(&text, ")");
  say(e, n, BIND_ATOM, SAY("%s", text_get(&text)));
  text_free(&text);
}

static void say_leaf(Explain *e, Node n) {
  const int64_t *attr = node_attr_count(e->g, n) ? node_attr(e->g, n) : NULL;
  static const char *const numbers[] = {"step", "steps", "epoch"};
  switch (node_prim(e->g, n)) {
  case P_CONST: {
    double value;
    node_constant(e->g, n, &value);
    const bool truth = node_type(e->g, n) == TYPE_BOOL;
    say(e, n, value < 0 ? BIND_ADD : BIND_ATOM, truth ? (value != 0 ? "true" : "false") : number(e, value));
    return;
  }
  case P_SLOT: {
    const char *name = e->g->slots.data[attr[0]].name;
    say(e, n, BIND_ATOM, name && *name ? name : SAY("slot_%d", (int)attr[0]));
    return;
  }
  case P_NUMBER: say(e, n, BIND_ATOM, numbers[attr[0]]); return;
  case P_EXTENT: say(e, n, BIND_ATOM, attr[0] ? SAY("batch%d", (int)attr[0]) : "batch"); return;
  case P_IOTA: say(e, n, BIND_ATOM, index_word(e, n)); return;
  case P_RANDOM: say(e, n, BIND_ATOM, SAY("%s#%d", attr[0] ? "normal" : "uniform", (int)attr[1])); return;
  default: say_call(e, n, prim_info(node_prim(e->g, n))->word); return;
  }
}

/* A factor: in front of `*` and `/` a quotient needs no parentheses, behind `*` a product needs none; a matrix product
 * always has some. */
static const char *factor(Explain *e, Node n, bool first) {
  const Prim p = node_prim(e->g, shown(e->g, n));
  return operand(e, n, p == P_CONTRACT ? BIND_ATOM : p == P_DIV && !first ? BIND_MATMUL : BIND_MUL);
}

static const char *factor_in(Explain *e, Node n, uint32_t i, bool first) {
  return factor(e, node_in(e->g, n, i), first);
}

/* Constants stand in front of a product and behind a sum. */
static void say_product(Explain *e, Node n) {
  double value;
  const Node a = part(e, n, 0), b = part(e, n, 1);
  if (node_is(a, b) && node_prim(e->g, a) != P_IOTA)
    say(e, n, BIND_POWER, SAY("%s^2", operand(e, a, BIND_ATOM)));
  else if (constant(e, b, &value))
    say(e, n, BIND_MUL, SAY("%s * %s", number(e, value), factor(e, a, false)));
  else
    say(e, n, BIND_MUL, SAY("%s * %s", factor_in(e, n, 0, true), factor_in(e, n, 1, false)));
}

static void say_quotient(Explain *e, Node n) {
  const Prim p = node_prim(e->g, part(e, n, 1));
  const char *below = input(e, n, 1, p == P_CONTRACT ? BIND_ATOM : BIND_MATMUL);
  say(e, n, BIND_MUL, SAY("%s / %s", factor_in(e, n, 0, true), below));
}

/* a + -2 * b is a - 2 * b, and the other way round. */
static void say_sum_of_two(Explain *e, Node n, bool minus) {
  const Node b = part(e, n, 1);
  const char *left = input(e, n, 0, BIND_ADD), *right = input(e, n, 1, minus ? BIND_MUL : BIND_ADD);
  double value;
  const bool negative = *right == '-' && (constant(e, b, &value) || e->lines[b.id].bind >= BIND_MUL);
  say(e, n, BIND_ADD, SAY("%s %c %s", left, minus != negative ? '-' : '+', negative ? right + 1 : right));
}

/* A constant is compared on the right. */
static void say_comparison(Explain *e, Node n, const char *sign, const char *turned) {
  double value;
  if (!constant(e, node_in(e->g, n, 0), &value))
    say_infix(e, n, BIND_COMPARE, sign, BIND_ADD);
  else
    say(e, n, BIND_COMPARE, SAY("%s %s %s", input(e, n, 1, BIND_ADD), turned, number(e, value)));
}

/* A mask is Iverson's bracket: [x > 0] * g. */
static void say_select(Explain *e, Node n) {
  double value;
  if (constant(e, node_in(e->g, n, 2), &value) && value == 0)
    say(e, n, BIND_MUL, SAY("[%s] * %s", input(e, n, 0, 0), factor_in(e, n, 1, false)));
  else if (constant(e, node_in(e->g, n, 1), &value) && value == 0)
    say(e, n, BIND_MUL, SAY("[not %s] * %s", input(e, n, 0, BIND_COMPARE), factor_in(e, n, 2, false)));
  else
    say(e, n, 0, SAY("if %s then %s else %s", input(e, n, 0, 1), input(e, n, 1, 1), input(e, n, 2, 0)));
}

/* The two forms of a matrix product in which a block of axes is summed: the last ones of a side, or the first. */
static bool block_at(const int64_t *axes, int64_t count, int64_t begin) {
  for (int64_t i = 0; i < count; i++) {
    if (axes[i] != begin + i) return false;
  }
  return true;
}

static const char *side(Explain *e, Node n, uint32_t i, bool turned) {
  const uint32_t rank = node_rank(e->g, node_in(e->g, n, i));
  return turned && rank > 1 ? SAY("%s'", input(e, n, i, BIND_ATOM)) : input(e, n, i, i ? BIND_POWER : BIND_MATMUL);
}

/* Any contraction: sum[ab, cb -> ac](x, y). */
static void say_contract_by_letters(Explain *e, Node n, const int64_t *attr, uint32_t rank_a, uint32_t rank_b) {
  const int64_t nb = attr[0], nk = attr[1], *pa = attr + 2, *pb = pa + nb, *sa = pb + nb, *sb = sa + nk;
  char a[GRAPH_MAX_RANK + 1] = {0}, b[GRAPH_MAX_RANK + 1] = {0}, out[2 * GRAPH_MAX_RANK + 1] = {0}, next = 'a';
  uint32_t count = 0;
  for (int64_t i = 0; i < nb; i++) a[pa[i]] = b[pb[i]] = out[count++] = next++;
  for (int64_t i = 0; i < nk; i++) a[sa[i]] = b[sb[i]] = next++;
  for (uint32_t i = 0; i < rank_a; i++) {
    if (!a[i]) a[i] = out[count++] = next++;
  }
  for (uint32_t i = 0; i < rank_b; i++) {
    if (!b[i]) b[i] = out[count++] = next++;
  }
  say(e, n, BIND_ATOM, SAY("sum[%s, %s -> %s](%s, %s)", a, b, out, input(e, n, 0, 0), input(e, n, 1, 0)));
}

static void say_contract(Explain *e, Node n) {
  const int64_t *attr = node_attr(e->g, n), nb = attr[0], nk = attr[1];
  const int64_t *pa = attr + 2, *pb = pa + nb, *sa = pb + nb, *sb = sa + nk;
  const int64_t rank_a = node_rank(e->g, node_in(e->g, n, 0)), rank_b = node_rank(e->g, node_in(e->g, n, 1));
  const bool rows = block_at(pa, nb, 0) && block_at(pb, nb, 0) && nk > 0;
  const bool a_last = block_at(sa, nk, rank_a - nk), a_first = block_at(sa, nk, nb);
  const bool b_last = block_at(sb, nk, rank_b - nk), b_first = block_at(sb, nk, nb);
  if (nb == 0 && nk == 0)
    say(e, n, BIND_ATOM, SAY("outer(%s, %s)", input(e, n, 0, 0), input(e, n, 1, 0)));
  else if (rows && (a_last || a_first) && (b_last || b_first))
    say(e, n, BIND_MATMUL, SAY("%s @ %s", side(e, n, 0, !a_last), side(e, n, 1, !b_first)));
  else
    say_contract_by_letters(e, n, attr, (uint32_t)rank_a, (uint32_t)rank_b);
}

static void say_transpose(Explain *e, Node n) {
  const uint32_t rank = node_rank(e->g, n);
  const int64_t *perm = node_attr(e->g, n);
  const char *order = "";
  bool plain = rank >= 2 && perm[rank - 1] == rank - 2 && perm[rank - 2] == rank - 1;
  for (uint32_t i = 0; i + 2 < rank; i++) plain = plain && perm[i] == i;
  for (uint32_t i = 0; i < rank; i++) order = SAY("%s%s%d", order, i ? " " : "", (int)perm[i]);
  const char *text = plain ? SAY("%s'", input(e, n, 0, BIND_ATOM)) : SAY("transpose(%s, %s)", input(e, n, 0, 0), order);
  say(e, n, BIND_ATOM, text);
}

static void say_slice(Explain *e, Node n) {
  const Dims *dims = node_dims(e->g, node_in(e->g, n, 0));
  const char *text = "";
  for (uint32_t i = 0; i < dims->rank; i++) {
    const int64_t *a = node_attr(e->g, n) + 3 * i, end = a[0] + (a[1] - 1) * a[2] + 1;
    const char *axis = ":";
    if (a[1] == 1 && dims->dims[i] != 1)
      axis = SAY("%lld", (long long)a[0]);
    else if (a[1] >= 0 && (a[0] || a[1] != dims->dims[i] || a[2] != 1))
      axis = a[2] == 1 ? SAY("%lld:%lld", (long long)a[0], (long long)end)
                       : SAY("%lld:%lld:%lld", (long long)a[0], (long long)end, (long long)a[2]);
    text = SAY("%s%s%s", text, i ? ", " : "", axis);
  }
  say(e, n, BIND_ATOM, SAY("%s[%s]", input(e, n, 0, BIND_ATOM), text));
}

static void say_pad(Explain *e, Node n) {
  const char *text = "";
  for (uint32_t i = 0; i < node_rank(e->g, n); i++) {
    const int64_t *a = node_attr(e->g, n) + 3 * i;
    if (!a[0] && !a[1] && !a[2]) continue;
    text = SAY("%s, %s: %lld+%lld", text, axis_word(e, node_dims(e->g, n), i), (long long)a[0], (long long)a[1]);
    if (a[2]) text = SAY("%s by %lld", text, (long long)a[2] + 1);
  }
  say(e, n, BIND_ATOM, SAY("pad(%s%s)", input(e, n, 0, 0), text));
}

static void say_reshape(Explain *e, Node n) {
  say(e, n, BIND_ATOM, SAY("reshape(%s, %s)", input(e, n, 0, 0), shape_text(e, node_dims(e->g, n))));
}

static void say_other(Explain *e, Node n) {
  const Prim p = node_prim(e->g, n);
  const char *word = prim_info(p)->word;
  if (prim_is(p, K_LEAF))
    say_leaf(e, n);
  else
    say_call(e, n, prim_is(p, K_REDUCTION) || p == P_REVERSE ? SAY("%s%s", word, axes_suffix(e, n)) : word);
}

static void say_node(Explain *e, Node n) {
  const Prim p = node_prim(e->g, n);
  switch (p) {
  case P_NEG: say(e, n, BIND_ADD, SAY("-%s", input(e, n, 0, BIND_MUL))); return;
  case P_ADD: say_sum_of_two(e, n, false); return;
  case P_SUB: say_sum_of_two(e, n, true); return;
  case P_MUL: say_product(e, n); return;
  case P_DIV: say_quotient(e, n); return;
  case P_POW: say(e, n, BIND_POWER, SAY("%s^%s", input(e, n, 0, BIND_ATOM), input(e, n, 1, BIND_ATOM))); return;
  case P_LT: say_comparison(e, n, "<", ">"); return;
  case P_LE: say_comparison(e, n, "<=", ">="); return;
  case P_EQ: say_comparison(e, n, "==", "=="); return;
  case P_NE: say_comparison(e, n, "!=", "!="); return;
  case P_AND: say_infix(e, n, BIND_AND, "and", BIND_AND); return;
  case P_OR: say_infix(e, n, BIND_OR, "or", BIND_OR); return;
  case P_NOT: say(e, n, BIND_COMPARE, SAY("not %s", input(e, n, 0, BIND_ADD))); return;
  case P_SELECT: say_select(e, n); return;
  case P_CAST:
    if (node_type(e->g, node_in(e->g, n, 0)) == TYPE_BOOL)
      say(e, n, BIND_ATOM, SAY("[%s]", input(e, n, 0, 0)));
    else
      say_call(e, n, node_type(e->g, n) == TYPE_BOOL ? "bool" : "int");
    return;
  case P_CONTRACT: say_contract(e, n); return;
  case P_TRANSPOSE: say_transpose(e, n); return;
  case P_RESHAPE: say_reshape(e, n); return;
  case P_SLICE: say_slice(e, n); return;
  case P_PAD: say_pad(e, n); return;
  case P_RMAX: say_call(e, n, SAY("max%s", axes_suffix(e, n))); return;
  case P_RMIN: say_call(e, n, SAY("min%s", axes_suffix(e, n))); return;
  default: say_other(e, n);
  }
}

/* ---- which values get a name ---- */

/* Marks what is shown on the way to the roots, and counts how often each is written. */
static void mark_wanted(Explain *e, uint32_t last) {
  for (uint32_t id = last; id > 0; id--) {
    const Node n = {id};
    double ignored;
    if (!e->lines[id].wanted || node_has(e->g, n, K_LEAF)) continue;
    const uint32_t count = node_data(e->g, n)->count;
    for (uint32_t i = 0; i < count; i++) {
      const Node in = part(e, n, i);
      if (node_prim(e->g, n) == P_SELECT && i > 0 && constant(e, in, &ignored) && ignored == 0) continue;
      e->lines[in.id].wanted = true;
      if (!(i == 1 && node_prim(e->g, n) == P_MUL && node_is(in, part(e, n, 0)))) e->lines[in.id].uses++;
    }
  }
}

static bool may_be_named(const Explain *e, Node n) { return !node_has(e->g, n, K_LEAF) && !e->lines[n.id].named; }

static void name_it(Explain *e, Node n) {
  e->lines[n.id].named = true;
  if (!e->lines[n.id].name) e->lines[n.id].name = later;
}

/* Writes n; while that is too long, its longest part gets a name. */
static void write_within(Explain *e, Node n) {
  for (say_node(e, n); strlen(e->lines[n.id].text) > LONGEST; say_node(e, n)) {
    Node longest = NODE_NONE;
    size_t length = SHORT;
    for (uint32_t i = 0; i < node_data(e->g, n)->count; i++) {
      const Node in = part(e, n, i);
      if (!may_be_named(e, in) || strlen(e->lines[in.id].text) <= length) continue;
      longest = in, length = strlen(e->lines[in.id].text);
    }
    if (!longest.id) return;
    name_it(e, longest);
  }
}

static void choose_names(Explain *e, uint32_t last) {
  for (uint32_t id = 1; id <= last; id++) {
    const Node n = {id};
    if (!e->lines[id].wanted) continue;
    write_within(e, n);
    if (e->lines[id].uses > 1 && may_be_named(e, n) && strlen(e->lines[id].text) > SHORT) name_it(e, n);
  }
}

/* ---- printing ---- */

/* The source line of a value, where it is another than the last one's. */
static void print_place(Explain *e, Span span, Place *last, Text *out) {
  if (span_is_none(span)) return;
  const Place place = source_place(&e->g->session->sources, span.begin);
  if (!place.source || (place.source == last->source && place.line == last->line)) return;
  *last = place;
  uint32_t length;
  const char *line = source_line(place.source, place.line, &length);
  while (length && isspace((unsigned char)*line)) line++, length--;
  while (length && isspace((unsigned char)line[length - 1])) length--;
  if (length > 100) length = 100;
  text_printf(out, "%s# %s:%u: %.*s\n", out->length ? "\n" : "", place.source->path, place.line, (int)length, line);
}

static bool is_slot(const Explain *e, const char *name) {
  for (uint32_t i = 0; i < e->g->slots.count; i++) {
    if (e->g->slots.data[i].name && !strcmp(e->g->slots.data[i].name, name)) return true;
  }
  return false;
}

/* Can the title stand in an expression, and mean nothing else there? */
static bool is_name(const Explain *e, const char *title) {
  for (const char *p = title; *p; p++) {
    if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.') return false;
  }
  return *title && !isdigit((unsigned char)*title) && !is_slot(e, title);
}

/* t1, t2, ..: but what a slot or a title is called. */
static const char *next_name(Explain *e, uint32_t *number) {
  for (;;) {
    const char *name = SAY("t%u", ++*number);
    bool taken = is_slot(e, name);
    for (uint32_t i = 0; i < e->title_count; i++) taken = taken || !strcmp(e->titles[i], name);
    if (!taken) return name;
  }
}

static void print_lines(Explain *e, uint32_t last, Text *out) {
  uint32_t number = 0;
  Place place = {0};
  for (uint32_t id = 1; id <= last; id++) {
    Line *line = &e->lines[id];
    if (!line->wanted) continue;
    if (line->name == later) line->name = next_name(e, &number);
    say_node(e, (Node){id});
    if (!line->named) continue;
    print_place(e, node_data(e->g, (Node){id})->span, &place, out);
    const Dims *dims = node_dims(e->g, (Node){id});
    text_printf(out, dims->rank ? "%s: %s = %s\n" : "%s%.0s = %s\n", line->name, shape_text(e, dims), line->text);
  }
}

void explain_print(const Graph *g, const Node *nodes, const char *const *titles, uint32_t count, Text *out) {
  Explain e = {.g = g, .titles = titles, .title_count = count, .lines = mem_zero(g->nodes.count, sizeof(Line))};
  uint32_t last = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (!nodes[i].id) continue;
    const Node n = shown(g, nodes[i]);
    Line *line = &e.lines[n.id];
    line->wanted = true;
    if (!line->named && is_name(&e, titles[i]) && !node_has(g, n, K_LEAF)) line->name = titles[i], line->named = true;
    if (n.id > last) last = n.id;
  }
  mark_wanted(&e, last);
  choose_names(&e, last);
  print_lines(&e, last, out);
  for (uint32_t i = 0, first = 1; i < count; i++) {
    const char *text = nodes[i].id ? operand(&e, nodes[i], 0) : "0";
    if (!strcmp(text, titles[i]) && nodes[i].id && e.lines[shown(g, nodes[i]).id].named) continue;
    text_printf(out, "%s%s = %s\n", first && out->length ? "\n" : "", titles[i], text);
    first = 0;
  }
  free(e.lines);
  arena_free(&e.arena);
}
