/* rounds.c: `scan` and `iterate` as loops of the graph: the body is walked once, whatever the number of rounds. The walk is
 * an attempt: a carry turns out to be batched, or a float, only where the body ends, and some bodies mean something only
 * round by round (a state that is written; a number that must be known). Then everything is as it was before, and the
 * caller writes the rounds out. */
#include <string.h>

#include "rounds.h"

/* ---- attempts ---- */

static Attempt attempt_begin(Tracer *t) {
  Attempt a = {.errors = t->s->errors, .warnings = t->s->warnings, .last = t->s->last_diag, .draws = t->draw_count};
  a.names = names_save(t);
  a.instances = t->instances.count;
  a.instance_draws = ARENA_ARRAY(t->arena, uint32_t, a.instances + 1);
  for (uint32_t i = 0; i < a.instances; i++) {
    const Instance *instance = t->instances.data[i];
    a.instance_draws[i] = instance->pass == t->pass ? instance->draws : 0;
    for (Owned *o = instance->owned; o; o = o->next) a.written += o->pass == t->pass ? o->written.count : 0;
  }
  return a;
}

/* Nothing of the attempt is left but instances and their parameters, which the next one finds by their names. */
static void attempt_undo(Tracer *t, const Attempt *a) {
  Session *s = t->s;
  s->errors = a->errors, s->warnings = a->warnings;
  if (a->last) a->last->next = NULL;
  else s->diags = NULL;
  s->last_diag = a->last;
  t->draw_count = a->draws;
  names_restore(t, &a->names);
  for (uint32_t i = 0; i < t->instances.count; i++) t->instances.data[i]->draws = i < a->instances ? a->instance_draws[i] : 0;
}

/* Did the body write a state? Then the write is undone too. */
static bool attempt_wrote(Tracer *t, const Attempt *a) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < t->instances.count; i++)
    for (Owned *o = t->instances.data[i]->owned; o; o = o->next) written += o->pass == t->pass ? o->written.count : 0;
  return written != a->written;
}

static void unwrite(Tracer *t, uint32_t first_node) {
  for (uint32_t i = 0; i < t->instances.count; i++)
    for (Owned *o = t->instances.data[i]->owned; o; o = o->next)
      while (o->pass == t->pass && o->written.count && o->written.data[o->written.count - 1].id >= first_node)
        o->written.count--;
}

/* ---- carries ---- */

typedef Vec(Value) Leaves;

static bool is_leaf(const Value *v) { return v->kind == V_TENSOR || v->kind == V_NUMBER || v->kind == V_BOOL; }

/* The tensors that a value is made of, in order; numbers become tensors. False where it is made of something else. */
static bool flatten(Tracer *t, Value *v, Leaves *out, Span at) {
  if (v->kind == V_ARRAY && !value_to_tensor(t, v, TYPE_COUNT, at)) return false;
  if (is_leaf(v)) {
    if (!value_to_tensor(t, v, TYPE_COUNT, at)) return false;
    vec_push(out, *v);
    return true;
  }
  if (v->kind == V_TUPLE) {
    Value *items = values_new(t, v->count);
    memcpy(items, v->items, sizeof *items * v->count);
    v->items = items;
    for (uint32_t i = 0; i < v->count; i++)
      if (!flatten(t, &items[i], out, at)) return false;
    return true;
  }
  if ((v->kind != V_INSTANCE && v->kind != V_BUNDLE) || !bundle_of(t, v, at) || v->bundle->copies || v->bundle->lazy ||
      v->bundle->state_count)
    return false;
  v->bundle = bundle_copy(t, v->bundle);
  for (uint32_t i = 0; i < v->bundle->count; i++)
    if (!flatten(t, &v->bundle->values[i], out, at)) return false;
  return true;
}

/* Puts leaves back where `flatten` took them. */
static void refill(Value *v, const Value **next) {
  if (v->kind == V_TUPLE) {
    for (uint32_t i = 0; i < v->count; i++) refill(&v->items[i], next);
  } else if (v->kind == V_BUNDLE) {
    for (uint32_t i = 0; i < v->bundle->count; i++) refill(&v->bundle->values[i], next);
  } else {
    *v = *(*next)++;
  }
}

/* Makes the start of one carry what the body turned it into: batched, a float. True where it changed. */
static bool widen(Tracer *t, Value *start, Value next) {
  const Type have = value_type(t, *start), want = value_type(t, next);
  bool changed = false;
  if (have != want && type_is_float(want)) *start = value_cast(t, *start, want), changed = true;
  else if (have == TYPE_BOOL && want == TYPE_I32) *start = value_cast(t, *start, want), changed = true;
  if (next.batched && !start->batched) {
    const Dims dims = value_dims(t, *start);
    *start = tensor_expand(t, *start, &dims, true, value_batch(t, next)), changed = true;
  }
  return changed;
}

/* What the body hands on, as its carry is: false where it cannot be. */
static bool fit(Tracer *t, Value *next, Value start) {
  const Dims a = value_dims(t, start), b = value_dims(t, *next);
  if (!dims_equal(&a, &b)) return false;
  if (value_type(t, *next) != value_type(t, start)) *next = value_cast(t, *next, value_type(t, start));
  if (start.batched && next->batched && value_batch(t, start) != value_batch(t, *next)) return false;
  if (start.batched && !next->batched) *next = tensor_expand(t, *next, &a, true, value_batch(t, start));
  return node_shape(t->graph, next->node).id == node_shape(t->graph, start.node).id;
}

/* ---- items and results ---- */

static bool item_of(Tracer *t, const Rounds *r, Value v, Value *out, Span at) {
  if (v.kind == V_TUPLE) {
    *out = (Value){.kind = V_TUPLE, .count = v.count, .items = values_new(t, v.count), .span = at};
    for (uint32_t i = 0; i < v.count; i++)
      if (!item_of(t, r, v.items[i], &out->items[i], at)) return false;
    return true;
  }
  if (!value_to_tensor(t, &v, TYPE_COUNT, at)) return false;
  const int64_t axis = v.batched;
  *out = value_tensor(t, build_item(t->graph, r->loop.number, v.node, axis, r->reversed), v.batched, v.span);
  out->classes = v.classes;
  return true;
}

static bool stack_of(Tracer *t, const Rounds *r, Node token, Value v, Value *out, Span at) {
  if (v.kind == V_TUPLE) {
    *out = (Value){.kind = V_TUPLE, .count = v.count, .items = values_new(t, v.count), .span = at};
    for (uint32_t i = 0; i < v.count; i++)
      if (!stack_of(t, r, token, v.items[i], &out->items[i], at)) return false;
    return true;
  }
  if (!value_to_tensor(t, &v, TYPE_COUNT, at)) return false;
  if (node_rank(t->graph, v.node) >= GRAPH_MAX_RANK - 1) return false;
  *out = value_tensor(t, build_stack(t->graph, v.node, token, v.batched, r->reversed), v.batched, at);
  out->classes = v.classes;
  return true;
}

/* ---- one attempt ---- */

typedef enum { TRY_DONE, TRY_AGAIN, TRY_FAILED } Try;

/* The starts are widened where the body asks for it: then the attempt is made anew. */
static Try try_once(Tracer *t, Rounds *r, Value form, Leaves *starts, RoundBody *body, void *data, Value *result) {
  Graph *g = t->graph;
  Node carries[UINT8_MAX], next[UINT8_MAX];
  Value *inside = values_new(t, starts->count);
  r->loop.number = build_loop_number(g);
  for (uint32_t i = 0; i < starts->count; i++) {
    carries[i] = build_carry(g, r->loop.number, i, starts->data[i].node);
    inside[i] = value_tensor(t, carries[i], starts->data[i].batched, starts->data[i].span);
    inside[i].classes = starts->data[i].classes;
  }
  const Value *fill = inside;
  Value carry = form, yield = {.kind = V_ABSENT}, item = {.kind = V_ABSENT};
  Leaves unused = {0}, out = {0};
  Try outcome = TRY_FAILED;
  if (flatten(t, &carry, &unused, r->span)) refill(&carry, &fill);
  vec_free(&unused);
  const LoopFrame frame = {r->loop.number, r->length, g, t->loop};
  t->loop = &frame;
  bool ok = r->in.kind == V_ABSENT || item_of(t, r, r->in, &item, r->span);
  ok = ok && body(t, data, &carry, item, &yield) && !value_bad(yield);
  t->loop = frame.outer;
  if (!ok || !flatten(t, &carry, &out, r->span) || out.count != starts->count) goto end;
  bool widened = false;
  for (uint32_t i = 0; i < out.count; i++) widened = widen(t, &starts->data[i], out.data[i]) || widened;
  outcome = widened ? TRY_AGAIN : TRY_DONE;
  for (uint32_t i = 0; i < out.count && outcome == TRY_DONE; i++) {
    if (!fit(t, &out.data[i], starts->data[i])) outcome = TRY_FAILED;
    next[i] = out.data[i].node;
  }
  if (outcome != TRY_DONE) goto end;
  g->span = r->span;
  const Node token = build_loop(g, r->loop.number, r->length, carries, next, out.count);
  if (yield.kind != V_ABSENT) {
    if (!stack_of(t, r, token, yield, result, r->span)) outcome = TRY_FAILED;
    goto end;
  }
  for (uint32_t i = 0; i < out.count; i++) out.data[i].node = build_last(g, token, i);
  fill = out.data;
  *result = carry;
  refill(result, &fill);
  result->span = r->span;
end:
  vec_free(&out);
  return outcome;
}

bool rounds_try(Tracer *t, Rounds *r, Value start, RoundBody *body, void *data, Value *result) {
  enum { MOST_WIDENINGS = 8 };
  Leaves starts = {0};
  const uint32_t first_node = t->graph->nodes.count;
  const Attempt a = attempt_begin(t);
  Value form = start;
  Try outcome = TRY_FAILED;
  if (!t->apart && r->length > 0 && r->length < INT32_MAX && flatten(t, &form, &starts, r->span) && starts.count &&
      starts.count <= UINT8_MAX / 2) {
    outcome = TRY_AGAIN;
    for (int i = 0; i < MOST_WIDENINGS && outcome == TRY_AGAIN; i++) {
      outcome = try_once(t, r, form, &starts, body, data, result);
      if (attempt_wrote(t, &a) || t->s->errors != a.errors) outcome = TRY_FAILED;
      if (outcome == TRY_AGAIN) attempt_undo(t, &a);
    }
  }
  vec_free(&starts);
  if (outcome == TRY_DONE) return true;
  unwrite(t, first_node);
  if (r->length <= UNROLL_LIMIT || t->s->errors == a.errors) attempt_undo(t, &a);
  return false;
}
