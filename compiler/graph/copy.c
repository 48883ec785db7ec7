/* copy.c: nodes from one graph into another, through the builder, in the order of their making: no recursion, however
 * deep the graph. */
#include <stdlib.h>

#include "build.h"
#include "node.h"

static Node copy_one(const Graph *from, Graph *to, Node node, const Node *map, bool drop_marks) {
  const NodeData *data = node_data(from, node);
  Node few[3], *in = data->count > 3 ? mem_alloc(data->count * sizeof *in) : few;
  for (uint32_t i = 0; i < data->count; i++) in[i] = map[node_in(from, node, i).id];
  Node made;
  if (data->prim == P_MARK) {
    made = drop_marks ? in[0] : build_mark(to, in[0]);
  } else {
    const Shape shape = shape_of(to, node_dims(from, node));
    made = build_any(to, (Prim)data->prim, (Type)data->type, shape, in, data->count,
                     data->attr ? node_attr(from, node) : NULL, node_attr_count(from, node));
  }
  if (in != few) free(in);
  return made;
}

typedef struct {
  const Graph *from;
  Graph *to;
  Node *map;
  bool drop_marks;
  GraphReplace *replace; /* or NULL */
  void *context;
} Copy;

/* Copies what is `needed`, up to and including `last`. */
static void copy_needed(const Copy *c, uint8_t *needed, uint32_t last) {
  const Graph *from = c->from;
  const Span span = c->to->span;
  for (uint32_t id = last; id > 0; id--) {
    if (!needed[id] || c->map[id].id) continue;
    for (uint32_t i = 0; i < from->nodes.data[id].count; i++) needed[node_in(from, (Node){id}, i).id] = 1;
  }
  for (uint32_t id = 1; id <= last; id++) {
    if (!needed[id] || c->map[id].id) continue;
    const Node node = {id};
    c->to->span = node_data(from, node)->span;
    if (c->replace) c->map[id] = c->replace(c->context, from, c->to, node, c->map);
    if (!c->map[id].id) c->map[id] = copy_one(from, c->to, node, c->map, c->drop_marks);
  }
  c->to->span = span;
}

Node graph_copy_node(const Graph *from, Graph *to, Node node, Node *map, bool drop_marks) {
  if (!node.id || map[node.id].id) return map[node.id];
  const Copy c = {.from = from, .to = to, .map = map, .drop_marks = drop_marks};
  uint8_t *needed = mem_zero(node.id + 1, 1);
  needed[node.id] = 1;
  copy_needed(&c, needed, node.id);
  free(needed);
  return map[node.id];
}

Graph *graph_rewrite(const Graph *from, bool drop_marks, GraphReplace *replace, void *context) {
  Graph *to = graph_like(from);
  const Copy c = {.from = from, .to = to, .map = mem_zero(from->nodes.count, sizeof(Node)), .drop_marks = drop_marks,
                  .replace = replace, .context = context};
  uint8_t *needed = mem_zero(from->nodes.count, 1);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    needed[from->outputs.data[i].node.id] = 1;
    needed[from->outputs.data[i].weight.id] = 1;
  }
  needed[0] = 0;
  copy_needed(&c, needed, from->nodes.count - 1);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    Output output = from->outputs.data[i];
    output.node = c.map[output.node.id];
    output.weight = c.map[output.weight.id];
    graph_add_output(to, output);
  }
  free(c.map);
  free(needed);
  return to;
}

Graph *graph_rebuild(const Graph *from, bool drop_marks) { return graph_rewrite(from, drop_marks, NULL, NULL); }
