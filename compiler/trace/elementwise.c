/* elementwise.c: operators and functions element by element: in double while compiling, else as nodes. */
#include <math.h>
#include <string.h>

#include "tracer.h"

static bool known(Value v) { return v.kind == V_NUMBER || v.kind == V_BOOL; }
static double number_of(Value v) { return v.kind == V_BOOL ? v.truth : v.number; }

static const Prim op_prims[OP_COUNT] = {
    [OP_OR] = P_OR,   [OP_AND] = P_AND, [OP_LT] = P_LT,  [OP_LE] = P_LE,   [OP_GT] = P_LT,
    [OP_GE] = P_LE,   [OP_EQ] = P_EQ,   [OP_NE] = P_NE,  [OP_ADD] = P_ADD, [OP_SUB] = P_SUB,
    [OP_MUL] = P_MUL, [OP_DIV] = P_DIV, [OP_POW] = P_POW};

static const char *op_title(Tracer *t, AstOp op) { return text_of(t, "`%s`", ast_op_word(op)); }

static Value fold_binary(Tracer *t, AstOp op, Value a, Value b, Span span) {
  const double x = number_of(a), y = number_of(b);
  const bool whole = (a.kind == V_BOOL || a.exact) && (b.kind == V_BOOL || b.exact);
  switch (op) {
  case OP_ADD: return value_number(x + y, whole, span);
  case OP_SUB: return value_number(x - y, whole, span);
  case OP_MUL: return value_number(x * y, whole, span);
  case OP_DIV: return value_number(x / y, false, span);
  case OP_POW: return value_number(pow(x, y), whole && y >= 0, span);
  case OP_LT: return value_bool(x < y, span);
  case OP_LE: return value_bool(x <= y, span);
  case OP_GT: return value_bool(x > y, span);
  case OP_GE: return value_bool(x >= y, span);
  case OP_EQ: return value_bool(x == y, span);
  case OP_NE: return value_bool(x != y, span);
  case OP_AND: return value_bool(x != 0 && y != 0, span);
  case OP_OR: return value_bool(x != 0 || y != 0, span);
  default:
    trace_error(t, "not-a-number", span, "`%s` has no meaning between numbers", ast_op_word(op));
    return value_poison();
  }
}

/* x^n with a known n: products where they are exact and cheap. */
static bool power_known(Tracer *t, Value a, double n, Span span, Value *out) {
  Graph *g = t->graph;
  Node x = a.node;
  if (n == 0) return *out = a, out->node = build_full(g, value_type(t, a), 1, node_shape(g, x)), true;
  if (n == 1) return *out = a, true;
  const Node square = fabs(n) == 2 || n == 3 || n == 4 ? build_mul(g, x, x) : NODE_NONE;
  if (n == 2)
    x = square;
  else if (n == 3)
    x = build_mul(g, square, x);
  else if (n == 4)
    x = build_mul(g, square, square);
  else if (n == 0.5)
    x = build_unary(g, P_SQRT, x);
  else if (n == -0.5)
    x = build_unary(g, P_RSQRT, x);
  else if (n == -1)
    x = build_div(g, build_like(g, x, 1), x);
  else if (n == -2)
    x = build_div(g, build_like(g, x, 1), square);
  else
    return false;
  *out = value_tensor(t, x, a.batched, span);
  return true;
}

static Value power(Tracer *t, Value a, Value b, Span span) {
  const bool whole_base = a.kind == V_TENSOR && value_type(t, a) == TYPE_I32;
  if (known(b) && !(whole_base && b.exact && b.number >= 0 && b.number <= 4)) {
    if (!value_to_float(t, &a, span)) return value_poison();
  }
  Value out;
  if (known(b) && power_known(t, a, number_of(b), span, &out)) return out;
  Value both[2] = {a, b};
  if (!tensors_unify(t, both, 2, true, span)) return value_poison();
  for (int i = 0; i < 2; i++) {
    if (!value_to_float(t, &both[i], span)) return value_poison();
  }
  if (!tensors_align(t, both, 2, false, span, "`^`")) return value_poison();
  return value_tensor(t, build_binary(t->graph, P_POW, both[0].node, both[1].node), both[0].batched || both[1].batched,
                      span);
}

static Value elementwise2(Tracer *t, Prim prim, Value *both, Span span, const char *what) {
  if (!tensors_align(t, both, 2, false, span, what)) return value_poison();
  return value_tensor(t, build_binary(t->graph, prim, both[0].node, both[1].node), both[0].batched || both[1].batched,
                      span);
}

static bool make_logical(Tracer *t, Value *v, Span at) {
  if (!value_to_tensor(t, v, TYPE_I32, at)) return false;
  if (value_type(t, *v) == TYPE_BOOL) return true;
  v->node = build_binary(t->graph, P_NE, v->node, build_like(t->graph, v->node, 0));
  v->classes = 0;
  return true;
}

/* A bundle goes with a bundle of its form or with a scalar. */
static bool forms_bundle(Tracer *t, Value a, Value b) {
  const bool first = a.kind == V_BUNDLE || a.kind == V_INSTANCE, second = b.kind == V_BUNDLE || b.kind == V_INSTANCE;
  if (first && second) return true;
  const Value other = first ? b : a;
  if (!first && !second) return false;
  return known(other) || (other.kind == V_TENSOR && !value_dims(t, other).rank && !other.batched);
}

Value op_binary(Tracer *t, AstOp op, Value a, Value b, Span span) {
  if (value_bad(a) || value_bad(b)) return value_poison();
  if (op == OP_MATMUL) return op_matmul(t, a, b, span);
  if (op == OP_RANGE) {
    int64_t from, to;
    if (b.kind == V_BATCH && a.kind == V_NUMBER && a.number == 0)
      return value_tensor(t, build_iota(t->graph, DIM_BATCH), false, span);
    if (!value_whole(t, a, &from, "the start of `..`", span) || !value_whole(t, b, &to, "the end of `..`", span))
      return value_poison();
    if (to < from) to = from;
    if (to - from > 1 << 30) {
      trace_error(t, "too-large", span, "a range of %lld numbers is too long", (long long)(to - from));
      return value_poison();
    }
    return (Value){.kind = V_RANGE, .number = (double)from, .count = (uint32_t)(to - from), .span = span};
  }
  if (known(a) && known(b)) return fold_binary(t, op, a, b, span);
  if (a.kind == V_STRING && b.kind == V_STRING && (op == OP_EQ || op == OP_NE))
    return value_bool(!strcmp(a.text, b.text) == (op == OP_EQ), span);
  if (forms_bundle(t, a, b)) return bundle_binary(t, op, a, b, span);
  if (op == OP_POW) return power(t, a, b, span);
  Value both[2] = {a, b};
  if (op == OP_AND || op == OP_OR) {
    if (!make_logical(t, &both[0], span) || !make_logical(t, &both[1], span)) return value_poison();
    return elementwise2(t, op_prims[op], both, span, op_title(t, op));
  }
  if (op == OP_GT || op == OP_GE) both[0] = b, both[1] = a;
  const bool arithmetic = op == OP_ADD || op == OP_SUB || op == OP_MUL || op == OP_DIV;
  if (!tensors_unify(t, both, 2, arithmetic, span)) return value_poison();
  if (!arithmetic && value_type(t, both[0]) == TYPE_BOOL) {
    for (int i = 0; i < 2; i++) both[i] = value_cast(t, both[i], TYPE_I32);
  }
  if (op == OP_DIV && !type_is_float(value_type(t, both[0]))) {
    for (int i = 0; i < 2; i++) both[i] = value_cast(t, both[i], t->graph->float_type);
  }
  return elementwise2(t, op_prims[op], both, span, op_title(t, op));
}

/* Functions of whole numbers whose value is whole. */
static bool keeps_whole(Prim prim) {
  return prim == P_NEG || prim == P_ABS || prim == P_SIGN || prim == P_FLOOR || prim == P_CEIL || prim == P_ROUND ||
         prim == P_TRUNC || prim == P_MAX || prim == P_MIN;
}

Value op_prim1(Tracer *t, Prim prim, Value a, Span span) {
  if (value_bad(a)) return a;
  if (known(a)) {
    const double y = prim_info(prim)->value(number_of(a), 0, 0);
    if (prim_is(prim, K_PREDICATE)) return value_bool(y != 0, span);
    return value_number(y, (keeps_whole(prim) && (a.kind == V_BOOL || a.exact)), span);
  }
  if (a.kind == V_INSTANCE || a.kind == V_BUNDLE) return bundle_unary(t, prim, a, span);
  if (!value_to_tensor(t, &a, TYPE_COUNT, span)) return value_poison();
  const bool whole = value_type(t, a) == TYPE_I32 && (prim == P_NEG || prim == P_ABS || prim == P_SIGN);
  if (!whole && !value_to_float(t, &a, span)) return value_poison();
  return value_tensor(t, build_unary(t->graph, prim, a.node), a.batched, span);
}

Value op_prim2(Tracer *t, Prim prim, Value a, Value b, Span span) {
  if (value_bad(a) || value_bad(b)) return value_poison();
  if (prim == P_POW) return op_binary(t, OP_POW, a, b, span);
  if (known(a) && known(b)) {
    const bool whole = keeps_whole(prim) && (a.kind == V_BOOL || a.exact) && (b.kind == V_BOOL || b.exact);
    return value_number(prim_info(prim)->value(number_of(a), number_of(b), 0), whole, span);
  }
  Value both[2] = {a, b};
  if (!tensors_unify(t, both, 2, true, span)) return value_poison();
  if (!keeps_whole(prim)) {
    for (int i = 0; i < 2; i++) {
      if (!value_to_float(t, &both[i], span)) return value_poison();
    }
  }
  return elementwise2(t, prim, both, span, text_of(t, "`%s`", prim_info(prim)->word));
}

Value op_neg(Tracer *t, Value a, Span span) { return op_prim1(t, P_NEG, a, span); }

Value op_not(Tracer *t, Value a, Span span) {
  if (value_bad(a)) return a;
  if (known(a)) return value_bool(number_of(a) == 0, span);
  if (!make_logical(t, &a, span)) return value_poison();
  return value_tensor(t, build_unary(t->graph, P_NOT, a.node), a.batched, span);
}

Value op_select(Tracer *t, Value condition, Value yes, Value no, Span span) {
  if (value_bad(condition) || value_bad(yes) || value_bad(no)) return value_poison();
  if (known(condition)) return number_of(condition) != 0 ? yes : no;
  if (yes.kind == V_TUPLE && no.kind == V_TUPLE && yes.count == no.count) {
    Value out = {.kind = V_TUPLE, .count = yes.count, .items = values_new(t, yes.count), .span = span};
    for (uint32_t i = 0; i < out.count; i++) {
      out.items[i] = op_select(t, condition, yes.items[i], no.items[i], span);
      if (value_bad(out.items[i])) return value_poison();
    }
    return out;
  }
  Value v[3] = {condition, yes, no};
  if (!make_logical(t, &v[0], span)) return value_poison();
  const int32_t classes = yes.kind == V_TENSOR && no.kind == V_TENSOR && yes.classes == no.classes ? yes.classes : 0;
  if (!tensors_unify(t, v + 1, 2, false, span)) return value_poison();
  if (!tensors_align(t, v, 3, false, span, "`if`")) return value_poison();
  Value out = value_tensor(t, build_select(t->graph, v[0].node, v[1].node, v[2].node),
                           v[0].batched || v[1].batched || v[2].batched, span);
  out.classes = classes;
  return out;
}
