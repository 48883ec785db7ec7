/* parse.c: reads the text that print.c writes, line by line. It trusts nothing: a node is checked by its primitive's
 * rule (verify.c) as soon as it is read, so that what is returned is a whole and right graph. Nodes are taken as they
 * stand, neither simplified nor merged: the text's numbers stay true. What is built on them later shares them. */
#include <stdlib.h>

#include "form.h"
#include "node.h"

#define MAX_ATTRS 64
#define MOST_LOOPS (1u << 20)

typedef struct {
  Session *session;
  Graph *g;
  const char *at;    /* in the text */
  uint32_t line;
  const char *error; /* the first one, or NULL */
} Parser;

static bool fail(Parser *p, const char *reason) {
  if (!p->error) p->error = arena_printf(&p->session->arena, "line %u: %s", p->line, reason);
  return false;
}

static void skip_blanks(Parser *p) {
  while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r') p->at++;
  if (*p->at == '#') p->at += strcspn(p->at, "\n");
}

/* Takes `text` where it comes next; where it ends in a letter, no letter or digit may follow. */
static bool accept(Parser *p, const char *text) {
  skip_blanks(p);
  const size_t n = strlen(text);
  if (strncmp(p->at, text, n)) return false;
  const char last = text[n - 1], next = p->at[n];
  const bool word = last >= 'a' && last <= 'z',
             more = (next >= 'a' && next <= 'z') || (next >= '0' && next <= '9') || next == '_';
  if (word && more) return false;
  p->at += n;
  return true;
}

static bool expect(Parser *p, const char *text) {
  if (accept(p, text)) return true;
  return fail(p, arena_printf(&p->session->arena, "expected `%s`", text));
}

static bool read_integer(Parser *p, int64_t low, int64_t high, int64_t *value) {
  skip_blanks(p);
  const bool negative = *p->at == '-';
  const char *s = p->at + negative;
  if (*s < '0' || *s > '9') return fail(p, "expected an integer");
  int64_t n = 0; /* kept negative: the range is one wider there */
  for (; *s >= '0' && *s <= '9'; s++) {
    if (n < INT64_MIN / 10 || (n == INT64_MIN / 10 && *s > '8')) return fail(p, "the number is too large");
    n = n * 10 - (*s - '0');
  }
  p->at = s;
  if (!negative && n == INT64_MIN) return fail(p, "the number is too large");
  *value = negative ? n : -n;
  return *value >= low && *value <= high ? true : fail(p, "the number is out of range");
}

static bool read_index(Parser *p, uint32_t below, uint32_t *value) {
  int64_t n;
  if (!read_integer(p, 0, (int64_t)below - 1, &n)) return false;
  *value = (uint32_t)n;
  return true;
}

/* One of `count` words; their number, or -1. */
static int read_word(Parser *p, const char *const *words, int count, const char *reason) {
  for (int i = 0; i < count; i++) {
    if (accept(p, words[i])) return i;
  }
  fail(p, reason);
  return -1;
}

static bool read_type(Parser *p, Type *type) {
  for (Type t = 0; t < TYPE_COUNT; t++) {
    if (accept(p, type_word(t))) return *type = t, true;
  }
  return fail(p, "expected a type: f32, f64, i32, bool or bf16");
}

static int hex(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A text in quotes; it lives in the session's arena. */
static bool read_name(Parser *p, const char **name) {
  if (!expect(p, "\"")) return false;
  char *out = arena_alloc(&p->session->arena, strcspn(p->at, "\n") + 1);
  *name = out;
  for (; *p->at != '"'; out++) {
    if (!*p->at || *p->at == '\n') return fail(p, "the name is not closed");
    *out = *p->at++;
    if (*out != '\\') continue;
    if (*p->at == '"' || *p->at == '\\') {
      *out = *p->at++;
    } else if (*p->at == 'x' && hex(p->at[1]) >= 0 && hex(p->at[2]) >= 0 && (p->at[1] != '0' || p->at[2] != '0')) {
      *out = (char)(hex(p->at[1]) << 4 | hex(p->at[2]));
      p->at += 3;
    } else {
      return fail(p, "expected `\\\"`, `\\\\` or `\\x` and two digits");
    }
  }
  p->at++;
  return true;
}

static bool read_extent(Parser *p, int64_t *extent) {
  skip_blanks(p);
  if (strncmp(p->at, "batch", 5)) return read_integer(p, 0, INT64_MAX, extent);
  p->at += 5;
  *extent = DIM_BATCH;
  if (*p->at < '1' || *p->at > '9') return true;
  if (!read_integer(p, 1, 3, extent)) return false;
  *extent = DIM_BATCH - *extent;
  return true;
}

static bool read_shape(Parser *p, Shape *shape) {
  Dims dims = {0};
  int64_t size = 1;
  if (!expect(p, "[")) return false;
  while (!accept(p, "]")) {
    if (dims.rank == GRAPH_MAX_RANK) return fail(p, "too many axes");
    if (dims.rank && !expect(p, ",")) return false;
    if (!read_extent(p, &dims.dims[dims.rank])) return false;
    if (dims.dims[dims.rank] > 0 && !mem_mul(size, dims.dims[dims.rank], &size))
      return fail(p, "the shape is too large");
    dims.rank++;
  }
  *shape = shape_of(p->g, &dims);
  return true;
}

static bool end_line(Parser *p) {
  skip_blanks(p);
  return *p->at == '\n' || !*p->at ? true : fail(p, "more than the line should hold");
}

static bool read_header(Parser *p) {
  return expect(p, "graph") && read_type(p, &p->g->float_type) && expect(p, "marks") &&
         read_index(p, UINT32_MAX, &p->g->marks) && (!accept(p, "loops") || read_index(p, MOST_LOOPS, &p->g->loops)) &&
         (p->g->float_type <= TYPE_F64 ? true : fail(p, "float is f32 or f64"));
}

static bool read_slot(Parser *p) {
  Slot slot = {0};
  int64_t number, classes = 0, of = 0;
  if (!read_integer(p, 0, UINT32_MAX, &number)) return false;
  if (number != p->g->slots.count) return fail(p, "slots must be numbered from 0 on");
  const int kind = read_word(p, slot_words, SLOT_METRIC + 1, "expected the kind of the slot");
  if (kind < 0 || !read_name(p, &slot.name) || !read_type(p, &slot.type) || !read_shape(p, &slot.shape)) return false;
  slot.kind = (SlotKind)kind;
  if (accept(p, "classes") && !read_integer(p, 1, INT32_MAX, &classes)) return false;
  if (classes && slot.type != TYPE_I32) return fail(p, "classes belong to an i32");
  if (slot.kind == SLOT_OPTIMIZER && !(expect(p, "of") && read_integer(p, 0, UINT32_MAX, &of))) return false;
  slot.classes = (int32_t)classes, slot.of = (uint32_t)of;
  graph_add_slot(p->g, slot);
  return true;
}

/* `%7`: a node that is there already. */
static bool read_node(Parser *p, Node *node) {
  if (!expect(p, "%")) return false;
  if (!read_index(p, p->g->nodes.count, &node->id)) return false;
  return node->id ? true : fail(p, "nodes are numbered from 1 on");
}

static bool read_constant(Parser *p, int64_t *bits) {
  skip_blanks(p);
  if (!strncmp(p->at, "0x", 2)) {
    uint64_t value = 0;
    int digits = 0;
    for (p->at += 2; hex(*p->at) >= 0; p->at++, digits++) value = value << 4 | (unsigned)hex(*p->at);
    memcpy(bits, &value, sizeof value);
    return digits == 16 ? true : fail(p, "expected 16 digits");
  }
  const size_t n = strspn(p->at, "+-.0123456789einfa");
  char digits[64], *end;
  if (n == 0 || n >= sizeof digits) return fail(p, "expected a number");
  memcpy(digits, p->at, n), digits[n] = 0;
  double value = strtod(digits, &end);
  if (end == digits || *end) return fail(p, "expected a number");
  if (isnan(value)) value = NAN;
  memcpy(bits, &value, sizeof value);
  p->at += n;
  return true;
}

static bool read_attrs(Parser *p, Prim prim, int64_t *attr, uint32_t *count) {
  if (prim == P_CONST) return *count = 1, read_constant(p, attr);
  if (prim == P_SLOT) return *count = 1, read_integer(p, 0, UINT32_MAX, attr);
  *count = 0;
  if (!accept(p, "{")) return true;
  do {
    if (*count == MAX_ATTRS) return fail(p, "too many attributes");
    if (!read_integer(p, INT64_MIN, INT64_MAX, &attr[(*count)++])) return false;
  } while (accept(p, ","));
  return expect(p, "}");
}

static bool read_inputs(Parser *p, NodeData *data) {
  Graph *g = p->g;
  const uint32_t begin = g->lists.count;
  uint32_t count = 0;
  for (skip_blanks(p); *p->at == '%'; skip_blanks(p), count++) {
    Node in;
    if (!read_node(p, &in)) return false;
    if (count == UINT8_MAX) return fail(p, "too many inputs");
    vec_push(&g->lists, in.id);
  }
  data->count = (uint8_t)count;
  if (count > 3) return data->in[0] = begin, true;
  for (uint32_t i = 0; i < count; i++) data->in[i] = g->lists.data[begin + i];
  g->lists.count = begin;
  return true;
}

static bool read_definition(Parser *p) {
  Graph *g = p->g;
  NodeData data = {0};
  int64_t number, attr[MAX_ATTRS];
  uint32_t attr_count;
  Type type;
  if (!read_integer(p, 0, UINT32_MAX, &number) || !expect(p, "=")) return false;
  if (number != g->nodes.count) return fail(p, "nodes must be numbered from 1 on");
  skip_blanks(p);
  char word[32] = "";
  const size_t n = strspn(p->at, "abcdefghijklmnopqrstuvwxyz_0123456789");
  if (n < sizeof word) memcpy(word, p->at, n);
  const Prim prim = prim_find(word);
  if (prim >= P_COUNT) return fail(p, "no such primitive");
  p->at += n;
  if (!read_inputs(p, &data) || !read_attrs(p, prim, attr, &attr_count)) return false;
  if (!expect(p, ":") || !read_type(p, &type) || !read_shape(p, &data.shape)) return false;
  data.prim = (uint16_t)prim, data.type = (uint8_t)type;
  if (attr_count) {
    data.attr = g->attrs.count;
    vec_push(&g->attrs, attr_count);
    for (uint32_t i = 0; i < attr_count; i++) vec_push(&g->attrs, attr[i]);
  }
  vec_push(&g->nodes, data);
  const Node node = {g->nodes.count - 1};
  const char *why = graph_verify_node(g, node);
  if (why) return fail(p, why);
  node_remember(g, node);
  return true;
}

static bool read_output(Parser *p) {
  Output out = {0};
  const int kind = read_word(p, out_words, OUT_SLOT + 1, "expected value, loss, metric or slot");
  if (kind < 0) return false;
  out.kind = (OutKind)kind;
  if (out.kind == OUT_SLOT ? !read_index(p, p->g->slots.count, &out.slot) : !read_name(p, &out.name)) return false;
  if (!read_node(p, &out.node)) return false;
  if (accept(p, "/") && !read_node(p, &out.weight)) return false;
  graph_add_output(p->g, out);
  return true;
}

static bool read_lines(Parser *p) {
  bool header = false;
  for (p->line = 1;; p->line++, p->at++) {
    skip_blanks(p);
    if (*p->at && *p->at != '\n') {
      if (!(!header ? read_header(p)
            : accept(p, "slot") ? read_slot(p)
            : accept(p, "%")    ? read_definition(p)
            : accept(p, "out")  ? read_output(p)
                                : fail(p, "expected `slot`, `%` or `out`")))
        return false;
      header = true;
      if (!end_line(p)) return false;
    }
    if (!*p->at) break;
  }
  return header ? true : fail(p, "expected `graph`");
}

Graph *graph_parse(Session *session, const char *text, const char **error) {
  Parser p = {.session = session, .g = graph_new(session, TYPE_F32), .at = text};
  *error = NULL;
  if (read_lines(&p)) p.error = graph_verify(p.g);
  if (!p.error) return p.g;
  *error = p.error;
  graph_free(p.g);
  return NULL;
}
