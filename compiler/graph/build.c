/* build.c: from drafts to nodes (folding, rules, sharing), elementwise nodes, and the short forms. Structural
 * primitives have their shape rules in prim_*.c. */
#include "node.h"

#include <float.h>

_Noreturn void draft_bug(const Graph *g, const Draft *d, const char *file, int line, const char *rule) {
  Text text = {0};
  for (uint32_t i = 0; i < d->count; i++) {
    text_printf(&text, " %s", type_word(node_type(g, d->in[i])));
    shape_print(node_dims(g, d->in[i]), &text);
  }
  diag_bug(g->session, g->span, file, line, "`%s` of%s breaks its rule: %s", prim_info(d->prim)->word, text_get(&text),
           rule);
}

/* Of two equally near the even one. */
static double round_bf16(float value) {
  uint32_t bits;
  if (isnan(value)) return value;
  if (fabsf(value) < FLT_MIN) return copysign(0, value);
  memcpy(&bits, &value, sizeof bits);
  bits += 0x7fff + (bits >> 16 & 1);
  bits &= 0xffff0000;
  memcpy(&value, &bits, sizeof value);
  return value;
}

double type_round(Type type, double value) {
  switch (type) {
  case TYPE_F32: return (float)value;
  case TYPE_BF16: return round_bf16((float)value);
  case TYPE_I32:
    if (value != value) return 0;
    return value >= INT32_MAX ? INT32_MAX : value <= INT32_MIN ? INT32_MIN : trunc(value);
  case TYPE_BOOL: return value != 0;
  default: return value;
  }
}

/* ---- sharing ---- */

static uint64_t draft_hash(const Draft *d) {
  uint64_t h = hash_mix(d->prim * TYPE_COUNT + d->type, d->shape.id);
  for (uint32_t i = 0; i < d->count; i++) h = hash_mix(h, d->in[i].id);
  for (uint32_t i = 0; i < d->attr_count; i++) h = hash_mix(h, (uint64_t)d->attr[i]);
  return h;
}

static bool draft_equals(const Graph *g, const Draft *d, Node n) {
  const NodeData *data = node_data(g, n);
  if (data->prim != d->prim || data->type != d->type || data->shape.id != d->shape.id || data->count != d->count ||
      node_attr_count(g, n) != d->attr_count)
    return false;
  for (uint32_t i = 0; i < d->count; i++)
    if (!node_is(node_in(g, n, i), d->in[i])) return false;
  return !d->attr_count || !memcmp(node_attr(g, n), d->attr, d->attr_count * sizeof d->attr[0]);
}

static Node draft_add(Graph *g, const Draft *d) {
  NodeData data = {.prim = (uint16_t)d->prim, .type = (uint8_t)d->type, .count = (uint8_t)d->count, .shape = d->shape,
                   .span = g->span};
  if (d->count > 3) {
    data.in[0] = g->lists.count;
    for (uint32_t i = 0; i < d->count; i++) vec_push(&g->lists, d->in[i].id);
  } else {
    for (uint32_t i = 0; i < d->count; i++) data.in[i] = d->in[i].id;
  }
  if (d->attr_count) {
    data.attr = g->attrs.count;
    vec_push(&g->attrs, d->attr_count);
    for (uint32_t i = 0; i < d->attr_count; i++) vec_push(&g->attrs, d->attr[i]);
  }
  vec_push(&g->nodes, data);
  return (Node){g->nodes.count - 1};
}

static Node draft_share(Graph *g, const Draft *d) {
  if (prim_is(d->prim, K_UNSHARED)) return draft_add(g, d);
  for (uint64_t key = draft_hash(d);; key = hash_mix(key, 1)) {
    const Node found = {map_get(&g->shared, key, 0)};
    if (found.id && draft_equals(g, d, found)) return found;
    if (found.id) continue;
    const Node made = draft_add(g, d);
    map_set(&g->shared, key, made.id);
    return made;
  }
}

void node_remember(Graph *g, Node n) {
  const NodeData *data = node_data(g, n);
  Node in[UINT8_MAX];
  Draft d = {.prim = (Prim)data->prim, .type = (Type)data->type, .shape = data->shape, .in = in, .count = data->count};
  if (prim_is(d.prim, K_UNSHARED)) return;
  for (uint32_t i = 0; i < d.count; i++) in[i] = node_in(g, n, i);
  d.attr_count = attr_copy(g, n, d.attr);
  for (uint64_t key = draft_hash(&d);; key = hash_mix(key, 1)) {
    const Node found = {map_get(&g->shared, key, 0)};
    if (found.id && draft_equals(g, &d, found)) return;
    if (found.id) continue;
    map_set(&g->shared, key, n.id);
    return;
  }
}

/* ---- folding ---- */

static bool scalar_constant(const Graph *g, Node n, double *value) {
  if (!n.id || node_prim(g, n) != P_CONST) return false;
  memcpy(value, node_attr(g, n), sizeof *value);
  return true;
}

bool node_constant(const Graph *g, Node n, double *value) {
  if (n.id && node_prim(g, n) == P_BROADCAST) n = node_in(g, n, 0);
  return scalar_constant(g, n, value);
}

/* An elementwise primitive of scalar constants is a constant. Integers that would leave their range stay. */
static Node draft_fold(Graph *g, const Draft *d) {
  const PrimInfo *info = prim_info(d->prim);
  if (!(info->kind & K_ELEMENTWISE) || d->shape.id) return NODE_NONE;
  double in[3] = {0};
  for (uint32_t i = 0; i < d->count; i++)
    if (!scalar_constant(g, d->in[i], &in[i])) return NODE_NONE;
  const double value = info->value(in[0], in[1], in[2]);
  if (d->type == TYPE_I32 && d->prim != P_CAST && trunc(value) != type_round(TYPE_I32, value)) return NODE_NONE;
  return build_const(g, d->type, value);
}

/* Equal products have one form: constants behind, else the older node first. */
static void order_inputs(const Graph *g, const Draft *d, Node in[2]) {
  double ignored;
  const bool first = node_constant(g, in[0], &ignored), second = node_constant(g, in[1], &ignored);
  if (first != second ? second : in[0].id <= in[1].id) return;
  const Node swap = in[0];
  in[0] = in[1], in[1] = swap;
}

Node draft_finish(Graph *g, Draft *d) {
  Node ordered[2];
  if (prim_is(d->prim, K_COMMUTATIVE)) {
    memcpy(ordered, d->in, sizeof ordered);
    order_inputs(g, d, ordered);
    d->in = ordered;
  }
  Node n = draft_fold(g, d);
  if (!n.id) n = rules_apply(g, d);
  return n.id ? n : draft_share(g, d);
}

/* ---- elementwise ---- */

static Node to_shape(Graph *g, Node scalar, Shape shape) {
  return shape.id && !node_shape(g, scalar).id ? build_broadcast(g, scalar, shape, NULL) : scalar;
}

/* Integers have arithmetic, not transcendental functions; truth values have neither. */
static bool takes_type(Prim prim, Type type) {
  switch (prim) {
  case P_NOT: case P_AND: case P_OR: return type == TYPE_BOOL;
  case P_EQ: case P_NE: return true;
  case P_NEG: case P_ABS: case P_SIGN: case P_FLOOR: case P_CEIL: case P_ROUND: case P_TRUNC: case P_ADD: case P_SUB:
  case P_MUL: case P_DIV: case P_MAX: case P_MIN: case P_LT: case P_LE: return type != TYPE_BOOL;
  default: return type_is_float(type);
  }
}

Node build_unary(Graph *g, Prim prim, Node x) {
  const Node in[1] = {x};
  const Type type = node_type(g, x);
  Draft d = {.prim = prim, .type = prim_is(prim, K_PREDICATE) ? TYPE_BOOL : type, .shape = node_shape(g, x), .in = in,
             .count = 1};
  DRAFT_CHECK(g, &d, takes_type(prim, type));
  return draft_finish(g, &d);
}

Node build_binary(Graph *g, Prim prim, Node a, Node b) {
  const Shape shape = node_shape(g, a).id ? node_shape(g, a) : node_shape(g, b);
  const Node in[2] = {to_shape(g, a, shape), to_shape(g, b, shape)};
  const Type type = node_type(g, a);
  Draft d = {.prim = prim, .type = prim_is(prim, K_PREDICATE) ? TYPE_BOOL : type, .shape = shape, .in = in, .count = 2};
  DRAFT_CHECK(g, &d, type == node_type(g, b));
  DRAFT_CHECK(g, &d, node_shape(g, in[0]).id == node_shape(g, in[1]).id);
  DRAFT_CHECK(g, &d, takes_type(prim, type));
  return draft_finish(g, &d);
}

Node build_select(Graph *g, Node condition, Node yes, Node no) {
  Shape shape = node_shape(g, condition);
  if (!shape.id) shape = node_shape(g, yes);
  if (!shape.id) shape = node_shape(g, no);
  const Node in[3] = {to_shape(g, condition, shape), to_shape(g, yes, shape), to_shape(g, no, shape)};
  Draft d = {.prim = P_SELECT, .type = node_type(g, yes), .shape = shape, .in = in, .count = 3};
  DRAFT_CHECK(g, &d, node_type(g, condition) == TYPE_BOOL && node_type(g, no) == d.type);
  for (int i = 0; i < 3; i++) DRAFT_CHECK(g, &d, node_shape(g, in[i]).id == shape.id);
  return draft_finish(g, &d);
}

Node build_cast(Graph *g, Node x, Type type) {
  const Node in[1] = {x};
  Draft d = {.prim = P_CAST, .type = type, .shape = node_shape(g, x), .in = in, .count = 1};
  return draft_finish(g, &d);
}

/* ---- any primitive ---- */

Node build_any(Graph *g, Prim prim, Type type, Shape shape, const Node *in, uint32_t count, const int64_t *attr,
               uint32_t attr_count) {
  Draft d = {.prim = prim, .type = type, .shape = shape, .in = in, .count = count};
  DRAFT_CHECK(g, &d, attr_count <= DRAFT_ATTRS && count <= UINT8_MAX);
  DRAFT_CHECK(g, &d, prim_info(prim)->arity < 0 || (int)count == prim_info(prim)->arity);
  d.attr_count = attr_count;
  if (attr_count) memcpy(d.attr, attr, attr_count * sizeof *attr);
  return prim_info(prim)->make(g, &d);
}

/* ---- short forms ---- */

Node build_neg(Graph *g, Node x) { return build_unary(g, P_NEG, x); }
Node build_add(Graph *g, Node a, Node b) { return build_binary(g, P_ADD, a, b); }
Node build_sub(Graph *g, Node a, Node b) { return build_binary(g, P_SUB, a, b); }
Node build_mul(Graph *g, Node a, Node b) { return build_binary(g, P_MUL, a, b); }
Node build_div(Graph *g, Node a, Node b) { return build_binary(g, P_DIV, a, b); }
Node build_like(Graph *g, Node like, double value) { return build_const(g, node_type(g, like), value); }

static bool is_zero(const Graph *g, Node n) {
  double value;
  return node_constant(g, n, &value) && value == 0;
}

typedef struct {
  Node condition, value; /* the gradient is `value` where the condition holds, and 0 elsewhere */
} Mask;

/* select(c, h, 0), select(c, 0, h). */
static bool select_mask(Graph *g, Node n, Mask *m) {
  if (node_prim(g, n) != P_SELECT) return false;
  const Node condition = node_in(g, n, 0), yes = node_in(g, n, 1), no = node_in(g, n, 2);
  if (is_zero(g, no)) return *m = (Mask){condition, yes}, true;
  if (!is_zero(g, yes)) return false;
  return *m = (Mask){build_unary(g, P_NOT, condition), no}, true;
}

/* The same through index maps that keep every element, and for sums of two masked gradients. */
static bool find_mask(Graph *g, Node gradient, Mask *m) {
  enum { PEELED = 8 };
  Node peeled[PEELED], n = gradient;
  int depth = 0;
  while (depth < PEELED && node_has(g, n, K_MOVEMENT) && node_prim(g, n) != P_PAD && node_prim(g, n) != P_CONCAT)
    peeled[depth++] = n, n = node_in(g, n, 0);
  Mask a, b;
  if (!select_mask(g, n, m)) {
    if (node_prim(g, n) != P_ADD || !select_mask(g, node_in(g, n, 0), &a) || !select_mask(g, node_in(g, n, 1), &b))
      return false;
    *m = (Mask){build_binary(g, P_OR, a.condition, b.condition), n};
  }
  while (depth > 0) {
    const Node p = peeled[--depth];
    int64_t attr[DRAFT_ATTRS];
    const uint32_t count = attr_copy(g, p, attr);
    m->condition = build_any(g, node_prim(g, p), TYPE_BOOL, node_shape(g, p), &m->condition, 1, attr, count);
    m->value = build_any(g, node_prim(g, p), node_type(g, p), node_shape(g, p), &m->value, 1, attr, count);
  }
  return true;
}

static Node masked(Graph *g, Prim prim, Node gradient, Node d) {
  if (!gradient.id || !d.id) return NODE_NONE;
  Mask m;
  if (!find_mask(g, gradient, &m)) return build_binary(g, prim, gradient, d);
  return build_select(g, m.condition, build_binary(g, prim, m.value, d), build_like(g, gradient, 0));
}
Node build_times(Graph *g, Node gradient, Node d) { return masked(g, P_MUL, gradient, d); }
Node build_over(Graph *g, Node gradient, Node d) { return masked(g, P_DIV, gradient, d); }
