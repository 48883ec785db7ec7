/* bundle.c: an instance's parameters as one value: arithmetic, application with other values, copies as states. */
#include <string.h>

#include "call.h"

bool bundle_of(Tracer *t, Value *v, Span span) {
  if (v->kind == V_BUNDLE) return true;
  if (v->kind != V_INSTANCE) return false;
  Owned **list;
  Bundle *bundle = ARENA_NEW(t->arena, Bundle);
  const uint32_t count = instance_parameters(t, v->closure->instance, &list);
  if (!count) {
    Diag *d = trace_error(t, "no-parameters", span, "`%s` has no parameters yet: it makes them at its first use",
                          v->closure->instance->path);
    diag_hint(t->s, d, "use it before, on an input");
    return false;
  }
  *bundle = (Bundle){.instance = v->closure->instance,
                     .closure = v->closure,
                     .count = count,
                     .owned = list,
                     .values = values_new(t, count)};
  for (uint32_t i = 0; i < count; i++) bundle->values[i] = owned_value(t, list[i], span);
  *v = (Value){.kind = V_BUNDLE, .bundle = bundle, .span = v->span};
  return true;
}

Bundle *bundle_copy(Tracer *t, const Bundle *bundle) {
  Bundle *copy = ARENA_NEW(t->arena, Bundle);
  *copy = *bundle;
  copy->values = values_new(t, copy->count);
  memcpy(copy->values, bundle->values, sizeof *copy->values * copy->count);
  copy->copies = NULL;
  return copy;
}

Value bundle_binary(Tracer *t, AstOp op, Value a, Value b, Span span) {
  for (int side = 0; side < 2; side++) {
    Value *v = side ? &b : &a;
    if ((v->kind == V_INSTANCE || v->kind == V_BUNDLE) && !bundle_of(t, v, span)) return value_poison();
  }
  const bool both = a.kind == V_BUNDLE && b.kind == V_BUNDLE;
  bool fits = !both || a.bundle->count == b.bundle->count;
  for (uint32_t i = 0; both && fits && i < a.bundle->count; i++) {
    const Dims x = value_dims(t, a.bundle->values[i]), y = value_dims(t, b.bundle->values[i]);
    fits = dims_equal(&x, &y);
  }
  if (!fits) {
    Diag *d = trace_error(t, "bundle-forms", span, "`%s` of two bundles needs parameters of one form", ast_op_word(op));
    note_value(t, d, a, span, "the first");
    note_value(t, d, b, span, "the second");
    return value_poison();
  }
  Bundle *out = bundle_copy(t, a.kind == V_BUNDLE ? a.bundle : b.bundle);
  for (uint32_t i = 0; i < out->count; i++) {
    out->values[i] = op_binary(t, op, a.kind == V_BUNDLE ? a.bundle->values[i] : a,
                               b.kind == V_BUNDLE ? b.bundle->values[i] : b, span);
    if (value_bad(out->values[i])) return value_poison();
  }
  return (Value){.kind = V_BUNDLE, .bundle = out, .span = span};
}

Value bundle_unary(Tracer *t, Prim prim, Value a, Span span) {
  if (!bundle_of(t, &a, span)) return value_poison();
  Bundle *out = bundle_copy(t, a.bundle);
  for (uint32_t i = 0; i < out->count; i++) {
    out->values[i] = op_prim1(t, prim, a.bundle->values[i], span);
    if (value_bad(out->values[i])) return value_poison();
  }
  return (Value){.kind = V_BUNDLE, .bundle = out, .span = span};
}

Value bundle_call(Tracer *t, Value bundle, Arg *args, uint32_t count, Span span) {
  const Applied applied = {bundle.bundle, t->applied};
  t->applied = &applied;
  const Value callee = {.kind = V_INSTANCE, .closure = bundle.bundle->closure, .span = bundle.span};
  const Value out = call_value(t, callee, args, count, span);
  t->applied = applied.outer;
  return out;
}

static Value one_per_example(Tracer *t, Value v) {
  const Dims dims = value_dims(t, v);
  if (!v.batched) v = tensor_expand(t, v, &dims, true, DIM_BATCH);
  if (node_prim(t->graph, v.node) != P_MARK) v.node = build_mark(t->graph, v.node);
  return v;
}

Value bundle_per_example(Tracer *t, Value v, Span span) {
  if (v.kind == V_BUNDLE) {
    Bundle *b = bundle_copy(t, v.bundle);
    for (uint32_t i = 0; i < b->count; i++) b->values[i] = one_per_example(t, b->values[i]);
    return (Value){.kind = V_BUNDLE, .bundle = b, .span = v.span};
  }
  Bundle *b = ARENA_NEW(t->arena, Bundle);
  *b = (Bundle){.instance = v.closure->instance, .closure = v.closure, .lazy = true};
  return (Value){.kind = V_BUNDLE, .bundle = b, .span = span};
}

static Value lazy_value(Tracer *t, Bundle *b, Owned *owned) {
  Owned **list = ARENA_ARRAY(t->arena, Owned *, b->count + 1);
  Value *values = values_new(t, b->count + 1);
  if (b->count) {
    memcpy(list, b->owned, sizeof *list * b->count);
    memcpy(values, b->values, sizeof *values * b->count);
  }
  const Applied *applied = t->applied;
  t->applied = NULL;
  list[b->count] = owned, values[b->count] = one_per_example(t, owned_value(t, owned, owned->span));
  t->applied = applied;
  b->owned = list, b->values = values;
  return values[b->count++];
}

bool bundle_value(Tracer *t, Owned *owned, Value *value) {
  for (const Applied *a = t->applied; a; a = a->outer) {
    Bundle *b = a->bundle;
    for (uint32_t i = 0; i < b->count; i++) {
      if (b->owned[i] == owned) return *value = b->values[i], true;
    }
    for (uint32_t i = 0; i < b->state_count; i++) {
      if (b->states[i] == owned)
        return *value = value_tensor(t, build_slot(t->graph, b->state_copies[i]->slot), false, owned->span), true;
    }
    if (b->lazy && owned->kind == SLOT_PARAM && owned->home && instance_within(owned->home, b->instance))
      return *value = lazy_value(t, b, owned), true;
  }
  return false;
}

Owned *bundle_target(Tracer *t, Owned *owned) {
  for (const Applied *a = t->applied; a; a = a->outer) {
    for (uint32_t i = 0; i < a->bundle->state_count; i++) {
      if (a->bundle->states[i] == owned) return a->bundle->state_copies[i];
    }
  }
  return owned;
}

/* ---- a state that is a copy ---- */

/* A slot beside the original's, "slow.dense_1.W", with its first value. */
static Owned *copy_slot(Tracer *t, Instance *home, const Owned *from, const Instance *whole, Span span) {
  Graph *init = t->graphs[GRAPH_INIT];
  const char *name = init->slots.data[from->slot].name;
  const size_t skip = strlen(whole->path);
  const char *path = text_of(t, "%s%s%s", home->path, skip ? "" : ".", name + skip);
  for (Owned *o = home->owned; o; o = o->next) {
    if (!strcmp(init->slots.data[o->slot].name, path)) return o;
  }
  Owned *copy = ARENA_NEW(t->arena, Owned);
  *copy = (Owned){.name = intern_text(&t->s->names, path), .kind = SLOT_STATE, .dims = from->dims, .span = span};
  copy->slot = slot_add(t, (Slot){.kind = SLOT_STATE,
                                  .name = path,
                                  .type = init->slots.data[from->slot].type,
                                  .shape = shape_of(init, &from->dims),
                                  .span = span});
  for (uint32_t i = 0; i < init->outputs.count; i++) {
    if (init->outputs.data[i].slot != from->slot) continue;
    graph_add_output(
        init,
        (Output){.kind = OUT_SLOT, .name = path, .node = init->outputs.data[i].node, .slot = copy->slot, .span = span});
    break;
  }
  if (home->last_owned)
    home->last_owned->next = copy;
  else
    home->owned = copy;
  return home->last_owned = copy;
}

Value bundle_state(Tracer *t, const AstNode *node, Value v) {
  if (!bundle_of(t, &v, node->span)) return value_poison();
  Bundle *b = bundle_copy(t, v.bundle);
  Instance *home = instance_part(t, t->frame->instance, name_of(t, node->name), node->span);
  home->parent = NULL; /* no part of what an instance's parameters are */
  b->copies = ARENA_ARRAY(t->arena, Owned *, b->count);
  for (uint32_t i = 0; i < b->count; i++) {
    b->copies[i] = copy_slot(t, home, b->owned[i], b->instance, node->span);
    b->values[i] = value_tensor(t, build_slot(t->graph, b->copies[i]->slot), false, node->span);
  }
  b->state_count = instance_states(t, b->instance, &b->states);
  b->state_copies = ARENA_ARRAY(t->arena, Owned *, b->state_count + 1);
  for (uint32_t i = 0; i < b->state_count; i++)
    b->state_copies[i] = copy_slot(t, home, b->states[i], b->instance, node->span);
  return (Value){.kind = V_BUNDLE, .bundle = b, .span = node->span};
}

void bundle_assign(Tracer *t, const AstNode *node, Value state, Value v) {
  const Bundle *to = state.bundle;
  if (value_bad(v)) return;
  if (v.kind != V_INSTANCE && v.kind != V_BUNDLE) {
    trace_error(t, "type-mismatch", node->span, "the state is a copy of an instance's parameters; found %s",
                value_describe(t, v));
    return;
  }
  if (!bundle_of(t, &v, node->span)) return;
  if (v.bundle->count != to->count) {
    trace_error(t, "bundle-forms", node->span, "the state has other parameters than what is written to it");
    return;
  }
  for (uint32_t i = 0; i < to->count; i++) {
    Owned *o = to->copies[i];
    Value part = v.bundle->values[i];
    if (part.batched) {
      trace_error(t, "batched-state", node->span,
                  "the state is one for all examples, the new value is one for each: reduce it over batch");
      return;
    }
    if (o->pass == t->pass && o->written.count && o->run == t->frame->run) {
      trace_error(t, "written-twice", node->span, "the state `%s` is written a second time", name_of(t, node->name));
      return;
    }
    if (o->pass != t->pass) o->written.count = 0;
    o->pass = t->pass, o->run = t->frame->run;
    /* What is trained is followed, not trained by: a state has no gradient. */
    vec_push(&o->written, build_stop(t->graph, part.node));
  }
}
