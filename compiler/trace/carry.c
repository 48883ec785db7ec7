/* carry.c: what one round of a loop hands to the next, held apart while the round is walked. In the body a carry is a
 * value of its own: `grad(e, x)` there does not look through it into earlier rounds. So the body is built on stand-ins,
 * and then rebuilt with the real carries in their place. */
#include <string.h>

#include "tracer.h"

static void stand_in(Tracer *t, Value *v, StandIns *s) {
  if (v->kind == V_TUPLE) {
    Value *items = values_new(t, v->count);
    memcpy(items, v->items, sizeof *items * v->count);
    v->items = items;
    for (uint32_t i = 0; i < v->count; i++) stand_in(t, &items[i], s);
    return;
  }
  if (v->kind != V_TENSOR || v->graph != t->graph_index || !type_is_float(value_type(t, *v))) return;
  const Node real = v->node;
  v->node = build_mark(t->graph, build_full(t->graph, value_type(t, *v), 1, node_shape(t->graph, real)));
  vec_push(&s->real, real);
  vec_push(&s->stand, v->node);
}

void carry_apart(Tracer *t, Value *carry, StandIns *s) {
  *s = (StandIns){0};
  if (t->marked.count) stand_in(t, carry, s); /* else nothing is differentiated within the walk */
  t->apart += s->stand.count > 0;
}

static void each_tensor(Tracer *t, Value *v, Node *map, uint32_t last) {
  if (v->kind == V_TUPLE || v->kind == V_ARRAY) {
    Value *items = values_new(t, v->count);
    memcpy(items, v->items, sizeof *items * v->count);
    v->items = items;
    for (uint32_t i = 0; i < v->count; i++) each_tensor(t, &items[i], map, last);
  } else if (v->kind == V_BUNDLE) {
    Bundle *b = bundle_copy(t, v->bundle);
    b->copies = v->bundle->copies;
    for (uint32_t i = 0; i < b->count; i++) each_tensor(t, &b->values[i], map, last);
    v->bundle = b;
  } else if (v->kind == V_TENSOR && v->graph == t->graph_index && v->node.id <= last) {
    v->node = map[v->node.id];
  }
}

/* Nodes from the first stand-in on that depend on one are made again, in their order. */
void carry_join(Tracer *t, StandIns *s, Value **values, uint32_t count) {
  t->apart -= s->stand.count > 0;
  if (s->stand.count) {
    Graph *g = t->graph;
    const uint32_t last = g->nodes.count - 1;
    const Span span = g->span;
    Node *map = ARENA_ARRAY(t->arena, Node, last + 1);
    for (uint32_t id = 0; id <= last; id++) map[id] = (Node){id};
    for (uint32_t i = 0; i < s->stand.count; i++) map[s->stand.data[i].id] = s->real.data[i];
    for (uint32_t id = s->stand.data[0].id; id <= last; id++) {
      if (map[id].id != id) continue; /* a stand-in itself */
      bool depends = false;
      for (uint32_t i = 0; i < node_data(g, (Node){id})->count; i++) {
        const Node in = node_in(g, (Node){id}, i);
        depends = depends || map[in.id].id != in.id;
      }
      if (depends) map[id] = graph_node_again(g, (Node){id}, map, NULL);
    }
    g->span = span;
    for (uint32_t i = 0; i < count; i++) each_tensor(t, values[i], map, last);
    for (uint32_t i = 0; i < t->instances.count; i++) { /* states that the body wrote */
      for (Owned *o = t->instances.data[i]->owned; o && t->graph_index != GRAPH_INIT; o = o->next) {
        for (uint32_t k = 0; o->pass == t->pass && k < o->written.count; k++) {
          Node *n = &o->written.data[k];
          if (n->id <= last) *n = map[n->id];
        }
      }
    }
  }
  vec_free(&s->real);
  vec_free(&s->stand);
}
