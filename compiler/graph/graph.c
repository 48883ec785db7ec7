/* graph.c: the arrays of a graph: shapes, slots, outputs. Nodes are made in build.c. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

Graph *graph_new(Session *session, Type float_type) {
  Graph *g = mem_zero(1, sizeof *g);
  g->session = session;
  g->float_type = float_type;
  vec_push(&g->nodes, (NodeData){0});
  vec_push(&g->shapes, (Dims){0});
  vec_push(&g->attrs, 0);
  return g;
}

Graph *graph_like(const Graph *graph) {
  Graph *g = graph_new(graph->session, graph->float_type);
  g->loops = graph->loops;
  g->fired = graph->fired;
  for (uint32_t i = 0; i < graph->slots.count; i++) {
    Slot slot = graph->slots.data[i];
    slot.shape = shape_of(g, shape_dims(graph, slot.shape));
    graph_add_slot(g, slot);
  }
  return g;
}

void graph_free(Graph *g) {
  if (!g) return;
  vec_free(&g->nodes);
  vec_free(&g->shapes);
  vec_free(&g->attrs);
  vec_free(&g->lists);
  vec_free(&g->slots);
  vec_free(&g->outputs);
  map_free(&g->shared);
  map_free(&g->shape_ids);
  arena_free(&g->arena);
  free(g);
}

static const char *name_copy(Graph *g, const char *name) {
  return name ? arena_text(&g->arena, name, strlen(name)) : NULL;
}

uint32_t graph_add_slot(Graph *g, Slot slot) {
  slot.name = name_copy(g, slot.name);
  vec_push(&g->slots, slot);
  return g->slots.count - 1;
}

void graph_add_output(Graph *g, Output output) {
  output.name = name_copy(g, output.name);
  vec_push(&g->outputs, output);
}

static bool dims_equal(const Dims *a, const Dims *b) {
  return a->rank == b->rank && !memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]);
}

Shape shape_of(Graph *g, const Dims *dims) {
  if (!dims->rank) return (Shape){0};
  Dims own = {.rank = dims->rank}; /* `dims` may lie in the array that grows */
  memcpy(own.dims, dims->dims, own.rank * sizeof own.dims[0]);
  for (uint64_t key = hash_words(own.dims, own.rank * sizeof own.dims[0]);; key = hash_mix(key, own.rank)) {
    const uint32_t id = map_get(&g->shape_ids, key, 0);
    if (id && dims_equal(&g->shapes.data[id], &own)) return (Shape){id};
    if (id) continue;
    vec_push(&g->shapes, own);
    map_set(&g->shape_ids, key, g->shapes.count - 1);
    return (Shape){g->shapes.count - 1};
  }
}

void shape_print(const Dims *dims, Text *out) {
  text_add(out, "[");
  for (uint32_t i = 0; i < dims->rank; i++) {
    const int64_t dim = dims->dims[i];
    if (i) text_add(out, ", ");
    if (dim == DIM_BATCH) text_add(out, "batch");
    else if (dim_is_batch(dim)) text_printf(out, "batch%lld", (long long)(DIM_BATCH - dim));
    else text_printf(out, "%lld", (long long)dim);
  }
  text_add(out, "]");
}

bool dims_equal_but_ones(const Dims *a, const Dims *b) {
  uint32_t i = 0, k = 0;
  for (;;) {
    while (i < a->rank && a->dims[i] == 1) i++;
    while (k < b->rank && b->dims[k] == 1) k++;
    if (i == a->rank || k == b->rank) return i == a->rank && k == b->rank;
    if (a->dims[i++] != b->dims[k++]) return false;
  }
}

bool dims_size(const Dims *dims, int64_t batch, int64_t *size) {
  *size = 1;
  for (uint32_t i = 0; i < dims->rank; i++)
    if (!mem_mul(*size, dim_is_batch(dims->dims[i]) ? batch : dims->dims[i], size)) return false;
  return true;
}

const char *type_word(Type type) {
  static const char *const words[TYPE_COUNT] = {"f32", "f64", "i32", "bool", "bf16"};
  return type < TYPE_COUNT ? words[type] : "?";
}
