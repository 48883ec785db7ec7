/* rules.c: applies the table of rules.def; the vocabulary of its rows. Longer bodies are in rules_move.c,
 * rules_cut.c, rules_sum.c and rules_stable.c. */
#include "mutate.h"
#include "node.h"

static bool is_number(const Graph *g, Node n, double value) {
  double own;
  return node_constant(g, n, &own) && own == value;
}
static double number_of(const Graph *g, Node n) {
  double value = 0;
  node_constant(g, n, &value);
  return value;
}
static bool is_any_number(const Graph *g, Node n) {
  double ignored;
  return node_constant(g, n, &ignored);
}
/* A power of two whose reciprocal is a normal number of the type. */
static bool is_power_of_2(const Graph *g, Node n) {
  double value;
  int exponent;
  if (!node_constant(g, n, &value) || !isfinite(value) || value == 0) return false;
  const int limit = node_type(g, n) == TYPE_F32 ? 120 : 1000;
  return fabs(frexp(value, &exponent)) == 0.5 && abs(exponent) < limit;
}
/* Two numbers, neither they nor their product near the ends of the type's range. */
static bool tame_product(const Graph *g, Node k, Node l) {
  double a, b;
  if (!node_constant(g, k, &a) || !node_constant(g, l, &b) || !type_is_float(node_type(g, k))) return false;
  return fabs(a) > 1e-18 && fabs(a) < 1e18 && fabs(b) > 1e-18 && fabs(b) < 1e18;
}
static bool whole(const Graph *g, Node n) {
  if (node_type(g, n) == TYPE_I32) return true;
  const Prim p = node_prim(g, n);
  return p == P_FLOOR || p == P_CEIL || p == P_ROUND || p == P_TRUNC ||
         (p == P_CAST && !type_is_float(node_type(g, node_in(g, n, 0))));
}
/* Does `wide` hold every value of `narrow`? */
static bool holds(Type wide, Type narrow) {
  if (wide == narrow) return true;
  if (narrow == TYPE_BOOL) return true;
  if (narrow == TYPE_BF16) return wide == TYPE_F32 || wide == TYPE_F64;
  return wide == TYPE_F64 && (narrow == TYPE_F32 || narrow == TYPE_I32);
}
static bool opposite(const Graph *g, Node p, Node q) {
  return (node_prim(g, p) == P_NOT && node_is(node_in(g, p, 0), q)) ||
         (node_prim(g, q) == P_NOT && node_is(node_in(g, q, 0), p));
}

/* x repeated as the input of the broadcast `like` is. */
static Node broadcast_like(Graph *g, Node like, Node x) {
  int64_t axes[DRAFT_ATTRS] = {0};
  attr_copy(g, like, axes);
  return build_broadcast(g, x, node_shape(g, like), axes);
}

/* e^u, e^u / s, sigmoid u, 1 - sigmoid u: what has a stable logarithm. */
static bool has_stable_log(const Graph *g, Node n) {
  switch (node_prim(g, n)) {
  case P_EXP: case P_SIGMOID: return true;
  case P_DIV: return node_prim(g, node_in(g, n, 0)) == P_EXP;
  case P_SUB: return is_number(g, node_in(g, n, 0), 1) && node_prim(g, node_in(g, n, 1)) == P_SIGMOID;
  default: return false;
  }
}
static bool is_exp_plus_1(const Graph *g, Node n) {
  return node_prim(g, n) == P_ADD && node_prim(g, node_in(g, n, 0)) == P_EXP && is_number(g, node_in(g, n, 1), 1);
}
/* softplus(-|x|); and x > 0 ? x : 0, or max(x, 0). */
static bool is_softplus_rest(const Graph *g, Node n) {
  if (node_prim(g, n) != P_SOFTPLUS || node_prim(g, node_in(g, n, 0)) != P_NEG) return false;
  return node_prim(g, node_in(g, node_in(g, n, 0), 0)) == P_ABS;
}
static bool is_relu(const Graph *g, Node n, Node x) {
  if (node_prim(g, n) == P_MAX) return node_is(node_in(g, n, 0), x) && is_number(g, node_in(g, n, 1), 0);
  if (node_prim(g, n) != P_SELECT || !node_is(node_in(g, n, 1), x) || !is_number(g, node_in(g, n, 2), 0)) return false;
  const Node p = node_in(g, n, 0);
  return (node_prim(g, p) == P_LT || node_prim(g, p) == P_LE) && is_number(g, node_in(g, p, 0), 0) &&
         node_is(node_in(g, p, 1), x);
}

#define IS(n, PRIM_) (node_prim(G_, n) == P_##PRIM_)
#define HAS(n, flags) node_has(G_, n, flags)
#define IN(n, i) node_in(G_, n, i)
#define SAME(m, n) node_is(m, n)
#define TYPE_OF(n) node_type(G_, n)
#define FLOAT type_is_float(d->type)
#define BOOLEAN(n) (node_type(G_, n) == TYPE_BOOL)
#define TAKES_NAN(n) type_is_float(node_type(G_, n))
#define IS_NUMBER(n, value) is_number(G_, n, value)
#define IS_ANY_NUMBER(n) is_any_number(G_, n)
#define IS_POWER_OF_2(n) is_power_of_2(G_, n)
#define TAME_PRODUCT(k, l) tame_product(G_, k, l)
#define NUMBER_OF(n) number_of(G_, n)
#define WHOLE(n) whole(G_, n)
#define HOLDS(wide, narrow) holds(wide, narrow)
#define OPPOSITE(p, q) opposite(G_, p, q)
#define IS_FINITE_NUMBER(n) (is_any_number(G_, n) && isfinite(number_of(G_, n)))
#define IS_NEG_BROADCAST(n) (IS(n, BROADCAST) && IS(IN(n, 0), NEG))
#define BROADCAST_OF(like, x) broadcast_like(G_, like, x)
#define AMONG(n, of) (node_is(IN(of, 0), n) || node_is(IN(of, 1), n))
#define HAS_STABLE_LOG(n) has_stable_log(G_, n)
#define IS_SOFTPLUS_REST(n) is_softplus_rest(G_, n)
#define IS_RELU(n, x) is_relu(G_, n, x)
#define IS_EXP_PLUS_1(n) is_exp_plus_1(G_, n)
#define IS_POSITIVE(n) (number_of(G_, n) > 0)
#define HAS_EXTENT_0(n, axis) (node_dims(G_, n)->dims[axis] == 0)
#define HAS_EXTENT_1(n, axis) (node_dims(G_, n)->dims[axis] == 1)
#define NUMBER(value) build_const(G_, d->type, value)
#define FULL(value) build_full(G_, d->type, value, d->shape)
#define UN_(PRIM_, x) build_unary(G_, P_##PRIM_, x)
#define BIN_(PRIM_, x, y) build_binary(G_, P_##PRIM_, x, y)
#define BIN_PRIM_(prim, x, y) build_binary(G_, prim, x, y)
#define NEG_(x) build_neg(G_, x)
#define ADD_(x, y) build_add(G_, x, y)
#define SUB_(x, y) build_sub(G_, x, y)
#define MUL_(x, y) build_mul(G_, x, y)
#define DIV_(x, y) build_div(G_, x, y)
#define SELECT_(p, x, y) build_select(G_, p, x, y)
#define SUM_(x) build_reduce(G_, P_SUM, x, d->attr, d->attr_count)

typedef Node RuleFunction(Graph *G_, const Draft *d, Node a, Node b, Node c);

#define RULE(name, PRIM_, when, then) \
  static Node apply_##name(Graph *G_, const Draft *d, Node a, Node b, Node c) { return (when) ? (then) : NODE_NONE; }
#define RULE_KIND RULE
#include "rules.def"
#undef RULE
#undef RULE_KIND

typedef struct {
  RuleFunction *apply;
  const char *name;
  Prim prim;     /* P_COUNT: by kind */
  unsigned kind;
} Rule;

static const Rule table[] = {
#define RULE(name, PRIM_, when, then) {apply_##name, #name, P_##PRIM_, 0},
#define RULE_KIND(name, kind, when, then) {apply_##name, #name, P_COUNT, kind},
#include "rules.def"
#undef RULE
#undef RULE_KIND
};

_Static_assert(sizeof table / sizeof table[0] < 64 * RULE_WORDS, "more words for the rules of a primitive");

/* The rules for a primitive, as bits: found once a graph. The last bit says that they have been. */
static const uint64_t *rules_of(Graph *g, Prim prim, unsigned kind) {
  uint64_t *rules = g->rules[prim];
  if (rules[RULE_WORDS - 1] >> 63) return rules;
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (table[i].prim != P_COUNT ? table[i].prim == prim : (table[i].kind & kind) != 0) rules[i / 64] |= UINT64_C(1) << i % 64;
  rules[RULE_WORDS - 1] |= UINT64_C(1) << 63;
  return rules;
}

Node rules_apply(Graph *g, const Draft *d) {
  const unsigned kind = prim_info(d->prim)->kind;
  if (kind & K_LEAF) return NODE_NONE;
  const Node a = d->in[0], b = d->count > 1 ? d->in[1] : NODE_NONE, c = d->count > 2 ? d->in[2] : NODE_NONE;
  const uint64_t *rules = rules_of(g, d->prim, kind);
  for (uint32_t word = 0; word < RULE_WORDS; word++)
    for (uint64_t left = word < RULE_WORDS - 1 ? rules[word] : rules[word] << 1 >> 1; left; left &= left - 1) {
      const uint32_t i = 64 * word + (uint32_t)__builtin_ctzll(left);
      const Node made = table[i].apply(g, d, a, b, c), n = made.id ? MUTATED_RULE(g, table[i].name, made) : made;
      if (!n.id) continue;
      if (g->fired) g->fired[i]++;
      if (node_type(g, n) != d->type || node_shape(g, n).id != d->shape.id)
        draft_bug(g, d, __FILE__, __LINE__, table[i].name);
      return n;
    }
  return NODE_NONE;
}

const char *rules_name(uint32_t i) { return i < sizeof table / sizeof table[0] ? table[i].name : NULL; }
