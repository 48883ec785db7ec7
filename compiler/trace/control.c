/* control.c: `if`, `scan` and `iterate`, which are loops of the graph where they can be (rounds.c) and else written out
 * round by round; `repeat` and `map`, which are written out always. */
#include <string.h>

#include "call.h"
#include "rounds.h"

Value eval_if(Tracer *t, Ast e, Env *env) {
  const Value condition = eval(t, ast_child(t->tree, e, IF_condition), env);
  const Ast yes = ast_child(t->tree, e, IF_yes), no = ast_child(t->tree, e, IF_no);
  if (value_bad(condition)) return condition;
  if (condition.kind == V_BOOL) return eval(t, condition.truth ? yes : no, env);
  if (condition.kind == V_NUMBER) return eval(t, condition.number != 0 ? yes : no, env);
  const Value a = eval(t, yes, env), b = eval(t, no, env);
  return op_select(t, condition, a, b, ast_node(t->tree, e)->span);
}

/* ---- unrolling ---- */

NameState names_save(Tracer *t) {
  const Frame *f = t->frame;
  NameState s = {f ? f->counts.count : 0, NULL};
  s.counts = ARENA_ARRAY(t->arena, uint32_t, s.entries ? s.entries : 1);
  for (uint32_t i = 0; i < s.entries; i++) s.counts[i] = f->counts.data[i].count;
  return s;
}

void names_restore(Tracer *t, const NameState *s) {
  Frame *f = t->frame;
  if (!f) return;
  for (uint32_t i = 0; i < f->counts.count; i++) f->counts.data[i].count = i < s->entries ? s->counts[i] : 0;
}

/* How many parts a value has along its first axis; -1 after an error. */
static int64_t part_count(Tracer *t, Value *v, Span at, const char *what) {
  if (v->kind == V_TUPLE) {
    int64_t all = -1;
    Value *items = values_new(t, v->count);
    memcpy(items, v->items, sizeof *items * v->count);
    v->items = items;
    for (uint32_t i = 0; i < v->count; i++) {
      const int64_t mine = part_count(t, &items[i], at, what);
      if (mine < 0) return -1;
      if (i && mine != all) {
        trace_error(t, "shape-mismatch", at, "%s needs arrays of equal length; found %lld and %lld", what,
                    (long long)all, (long long)mine);
        return -1;
      }
      all = mine;
    }
    return all;
  }
  if (v->kind == V_RANGE || v->kind == V_ARRAY) return v->count;
  if (!value_to_tensor(t, v, TYPE_COUNT, at)) return -1;
  const Dims dims = value_dims(t, *v);
  if (dims.rank && !dim_is_batch(dims.dims[0])) return dims.dims[0];
  Diag *d = trace_error(t, "not-an-array", at, "%s goes over the first axis of an array; found %s", what,
                        value_describe(t, *v));
  note_value(t, d, *v, at, "it");
  return -1;
}

static Value part_at(Tracer *t, Value v, uint32_t i, Span at) {
  if (v.kind == V_RANGE) return value_number(v.number + i, true, v.span);
  if (v.kind == V_ARRAY) return v.items[i];
  if (v.kind == V_TENSOR) {
    Value part = op_take(t, v, 0, i);
    part.span = v.span;
    return part;
  }
  Value out = {.kind = V_TUPLE, .count = v.count, .items = values_new(t, v.count), .span = at};
  for (uint32_t k = 0; k < v.count; k++) out.items[k] = part_at(t, v.items[k], i, at);
  return out;
}

/* Stacks results of equal form: a tuple becomes a tuple of stacks. */
static Value stack_all(Tracer *t, const Value *items, uint32_t count, Span span) {
  for (uint32_t i = 0; i < count; i++) {
    if (value_bad(items[i])) return value_poison();
  }
  if (items[0].kind == V_TUPLE) {
    Value out = {.kind = V_TUPLE, .count = items[0].count, .items = values_new(t, items[0].count), .span = span};
    Value *column = values_new(t, count);
    for (uint32_t k = 0; k < out.count; k++) {
      for (uint32_t i = 0; i < count; i++) column[i] = items[i].items[k];
      out.items[k] = stack_all(t, column, count, span);
      if (value_bad(out.items[k])) return value_poison();
    }
    return out;
  }
  Value *copy = values_new(t, count);
  memcpy(copy, items, sizeof *copy * count);
  return op_stack(t, copy, count, 0, span);
}

static bool too_long(Tracer *t, int64_t count, Span span, const char *what) {
  if (count <= UNROLL_LIMIT) return false;
  trace_limit(t, "long-loop", span, "`%s` over %lld parts has no meaning yet where its body must be written out: at most %d rounds are", what,
              (long long)count, UNROLL_LIMIT);
  return true;
}

/* ---- scan ---- */

/* A carry keeps its shape; a number becomes a float where the next one is a tensor. */
static bool carry_fits(Tracer *t, Value old, Value *next, Span at) {
  if (old.kind == V_TUPLE && next->kind == V_TUPLE && old.count == next->count) {
    bool ok = true;
    for (uint32_t i = 0; i < old.count; i++) ok = carry_fits(t, old.items[i], &next->items[i], at) && ok;
    return ok;
  }
  if ((old.kind == V_INSTANCE || old.kind == V_BUNDLE) && next->kind == V_BUNDLE) return true;
  if (old.kind == V_TENSOR && next->kind == V_NUMBER) return value_to_tensor(t, next, value_type(t, old), at);
  if (old.kind == V_NUMBER && next->kind == V_TENSOR)
    return !value_dims(t, *next).rank ||
           (trace_error(t, "carry-shape", at, "the carry of `scan` starts as a number and becomes %s",
                        value_describe(t, *next)),
            false);
  if (old.kind == V_TENSOR && next->kind == V_TENSOR) {
    const Dims a = value_dims(t, old), b = value_dims(t, *next);
    if (dims_equal(&a, &b)) return true;
  } else if (old.kind == next->kind) {
    return true;
  }
  Diag *d = trace_error(t, "carry-shape", at, "a carry of `scan` keeps its shape; it starts as %s and becomes %s",
                        value_describe(t, old), value_describe(t, *next));
  note_value(t, d, old, at, "the start");
  return false;
}

static bool scan_round(Tracer *t, Ast body, Env *env, Value *carry, Value *yield, bool *yields) {
  const Ast list = ast_child(t->tree, body, BLOCK_items);
  for (uint32_t i = 0; i < ast_count(t->tree, list); i++) {
    const Ast item = ast_child(t->tree, list, i);
    if (ast_kind(t->tree, item) != AST_NEXT) {
      eval_statement(t, item, env);
      continue;
    }
    const Span at = ast_node(t->tree, item)->span;
    Value next = eval(t, ast_child(t->tree, item, NEXT_value), env);
    const Ast y = ast_child(t->tree, item, NEXT_yield);
    *yields = y.id != 0;
    if (y.id) *yield = eval(t, y, env);
    if (value_bad(next) || !carry_fits(t, *carry, &next, at)) return false;
    *carry = next;
    return true;
  }
  if (!t->s->errors) trace_error(t, "no-next", ast_node(t->tree, body)->span, "the body of `scan` must end in `next`");
  return false;
}

typedef struct {
  Ast loop;
  Env *env;
} LoopBody;

static bool scan_body(Tracer *t, void *data, Value *carry, Value item, Value *yield) {
  const LoopBody *b = data;
  Env inner = *b->env;
  bool yields = false;
  bind_pattern(t, &inner, ast_child(t->tree, b->loop, SCAN_pattern), *carry, false);
  bind_pattern(t, &inner, ast_child(t->tree, b->loop, SCAN_each), item, false);
  return scan_round(t, ast_child(t->tree, b->loop, SCAN_body), &inner, carry, yield, &yields);
}

Value eval_scan(Tracer *t, Ast e, Env *env) {
  const AstNode node = *ast_node(t->tree, e);
  const Ast pattern = ast_child(t->tree, e, SCAN_pattern), each = ast_child(t->tree, e, SCAN_each);
  Value carry = eval(t, ast_child(t->tree, e, SCAN_start), env);
  Value in = eval(t, ast_child(t->tree, e, SCAN_in), env);
  if (value_bad(carry) || value_bad(in)) return value_poison();
  if (carry.kind == V_ARRAY && !value_to_tensor(t, &carry, TYPE_COUNT, node.span)) return value_poison();
  const int64_t count = part_count(t, &in, ast_node(t->tree, ast_child(t->tree, e, SCAN_in))->span, "`scan`");
  if (count < 0) return value_poison();
  Rounds r = {.length = count, .in = in, .reversed = node.flag, .span = node.span};
  LoopBody body = {e, env};
  Value result;
  const uint32_t errors = t->s->errors;
  if (count > UNROLL_SHORT && rounds_try(t, &r, carry, scan_body, &body, &result)) return result;
  if (t->s->errors != errors || too_long(t, count, node.span, "scan")) return value_poison();
  Value *yields = values_new(t, (uint32_t)count);
  bool any = false;
  const NameState names = names_save(t);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t at = node.flag ? (uint32_t)count - 1 - i : i;
    if (i) names_restore(t, &names);
    Env inner = *env;
    StandIns apart;
    carry_apart(t, &carry, &apart);
    bind_pattern(t, &inner, pattern, carry, false);
    bind_pattern(t, &inner, each, part_at(t, in, at, node.span), false);
    const bool done = scan_round(t, ast_child(t->tree, e, SCAN_body), &inner, &carry, &yields[at], &any);
    Value *made[2] = {&carry, &yields[at]};
    carry_join(t, &apart, made, done ? 2 : 0);
    if (!done) return value_poison();
  }
  if (any) return count ? stack_all(t, yields, (uint32_t)count, node.span) : value_poison();
  carry.span = node.span;
  return carry;
}

/* ---- iterate ---- */

/* The carry is the value, and whether it is still going: where the condition has failed once, the value stays. */
static bool iterate_body(Tracer *t, void *data, Value *carry, Value item, Value *yield) {
  const LoopBody *b = data;
  Env inner = *b->env;
  bool yields;
  Value next = carry->items[0], ignored;
  const Span span = ast_node(t->tree, b->loop)->span;
  bind_pattern(t, &inner, ast_child(t->tree, b->loop, ITERATE_pattern), next, false);
  const Value holds = eval(t, ast_child(t->tree, b->loop, ITERATE_condition), &inner);
  if (value_bad(holds) || !scan_round(t, ast_child(t->tree, b->loop, ITERATE_body), &inner, &next, &ignored, &yields))
    return false;
  Value *items = values_new(t, 2);
  items[1] = op_binary(t, OP_AND, carry->items[1], holds, span);
  items[0] = op_select(t, items[1], next, carry->items[0], span);
  if (value_bad(items[0]) || value_bad(items[1])) return false;
  carry->items = items;
  return true;
}

static bool iterate_as_loop(Tracer *t, Ast e, Env *env, Value start, int64_t limit, Value *result) {
  const Span span = ast_node(t->tree, e)->span;
  Value *items = values_new(t, 2);
  items[0] = start, items[1] = value_bool(true, span);
  const Value both = {.kind = V_TUPLE, .count = 2, .items = items, .span = span};
  Rounds r = {.length = limit, .in = {.kind = V_ABSENT}, .span = span};
  LoopBody body = {e, env};
  if (!rounds_try(t, &r, both, iterate_body, &body, result)) return false;
  *result = result->items[0];
  result->span = span;
  return true;
}

/* Rounds up to the limit; where the condition has failed once, the value stays. */
Value eval_iterate(Tracer *t, Ast e, Env *env) {
  const AstNode node = *ast_node(t->tree, e);
  const Ast pattern = ast_child(t->tree, e, ITERATE_pattern), condition = ast_child(t->tree, e, ITERATE_condition);
  Value z = eval(t, ast_child(t->tree, e, ITERATE_start), env);
  int64_t limit;
  const Ast most = ast_child(t->tree, e, ITERATE_limit);
  if (value_bad(z) ||
      !value_whole(t, eval(t, most, env), &limit, "the limit of `iterate`", ast_node(t->tree, most)->span))
    return value_poison();
  if (limit < 0) limit = 0;
  const uint32_t errors = t->s->errors;
  Value whole;
  if (limit > UNROLL_SHORT && iterate_as_loop(t, e, env, z, limit, &whole)) return whole;
  if (t->s->errors != errors || too_long(t, limit, node.span, "iterate")) return value_poison();
  Value going = value_bool(true, node.span);
  const NameState names = names_save(t);
  for (int64_t i = 0; i < limit; i++) {
    if (i) names_restore(t, &names);
    Env inner = *env;
    StandIns apart;
    Value next = z, yield, holds;
    bool yields;
    carry_apart(t, &next, &apart);
    bind_pattern(t, &inner, pattern, next, false);
    holds = eval(t, condition, &inner);
    const bool done =
        !value_bad(holds) && scan_round(t, ast_child(t->tree, e, ITERATE_body), &inner, &next, &yield, &yields);
    Value *made[2] = {&holds, &next};
    carry_join(t, &apart, made, done ? 2 : 0);
    if (!done) return value_poison();
    going = op_binary(t, OP_AND, going, holds, node.span);
    if (value_bad(going) || (going.kind == V_BOOL && !going.truth)) break;
    z = op_select(t, going, next, z, node.span);
    if (value_bad(z)) return z;
  }
  z.span = node.span;
  return z;
}

/* ---- repeat and map ---- */

Value builtin_repeat(Tracer *t, Call *c) {
  Value x = c->args[0];
  const Value f = c->args[2];
  int64_t n;
  if (!value_whole(t, c->args[1], &n, "the number of repetitions", c->span)) return value_poison();
  if (f.kind != V_FUNCTION && f.kind != V_INSTANCE) {
    trace_error(t, "not-a-function", c->span,
                "`repeat` takes a number and what to repeat: `repeat(3, dense(8))`; found %s", value_describe(t, f));
    return value_poison();
  }
  if (n < 0 || n > 10000) {
    trace_error(t, "bad-extent", c->span, "`repeat` %lld times", (long long)n);
    return value_poison();
  }
  const uint32_t lacking = closure_lacking(t, f.closure);
  const bool makes = f.kind == V_FUNCTION && closure_makes_instance(t, f.closure);
  Instance *group = NULL;
  if (makes && n)
    group = instance_child(t, closure_kind(t, f.closure) == AST_LAYER ? closure_name(t, f.closure) : "repeat", true,
                           c->span);
  for (int64_t i = 0; i < n && !value_bad(x); i++) {
    Value part = f;
    if (makes)
      part = instance_value(t, f.closure, instance_part(t, group, text_of(t, "%lld", (long long)i), c->span), f.span);
    Value args[2] = {x, value_number((double)i, true, c->span)};
    x = call_simple(t, part, args, lacking == 2 ? 2 : 1, c->span);
  }
  return x;
}

Value builtin_map(Tracer *t, Call *c) {
  Value x = c->args[0], f = c->args[1];
  if (f.kind != V_FUNCTION && f.kind != V_INSTANCE && f.kind != V_BUNDLE) {
    trace_error(t, "not-a-function", c->span, "`map` takes what to apply: `x |> map(f)`; found %s",
                value_describe(t, f));
    return value_poison();
  }
  const int64_t count = part_count(t, &x, c->span, "`map`");
  if (count < 0 || too_long(t, count, c->span, "map")) return value_poison();
  if (!count) {
    trace_error(t, "empty-array", c->span, "`map` over an array of nothing");
    return value_poison();
  }
  if (f.kind == V_FUNCTION && closure_makes_instance(t, f.closure)) {
    const char *base = closure_kind(t, f.closure) == AST_LAYER ? closure_name(t, f.closure) : "map";
    f = instance_value(t, f.closure, instance_child(t, base, true, c->span), f.span);
  }
  Value *out = values_new(t, (uint32_t)count);
  for (uint32_t i = 0; i < count; i++) {
    const Value part = part_at(t, x, i, c->span);
    if (part.kind == V_TUPLE)
      out[i] = call_simple(t, f, part.items, part.count, c->span);
    else
      out[i] = call_simple(t, f, (Value *)&part, 1, c->span);
    if (value_bad(out[i])) return value_poison();
  }
  return stack_all(t, out, (uint32_t)count, c->span);
}
