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
  to->span = data->span;
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

/* Copies what is `needed`, up to and including `last`. */
static void copy_needed(const Graph *from, Graph *to, uint8_t *needed, uint32_t last, Node *map, bool drop_marks) {
  const Span span = to->span;
  for (uint32_t id = last; id > 0; id--) {
    if (!needed[id] || map[id].id) continue;
    for (uint32_t i = 0; i < from->nodes.data[id].count; i++) needed[node_in(from, (Node){id}, i).id] = 1;
  }
  for (uint32_t id = 1; id <= last; id++)
    if (needed[id] && !map[id].id) map[id] = copy_one(from, to, (Node){id}, map, drop_marks);
  to->span = span;
}

Node graph_copy_node(const Graph *from, Graph *to, Node node, Node *map, bool drop_marks) {
  if (!node.id || map[node.id].id) return map[node.id];
  uint8_t *needed = mem_zero(node.id + 1, 1);
  needed[node.id] = 1;
  copy_needed(from, to, needed, node.id, map, drop_marks);
  free(needed);
  return map[node.id];
}

Graph *graph_rebuild(const Graph *from, bool drop_marks) {
  Graph *to = graph_like(from);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  uint8_t *needed = mem_zero(from->nodes.count, 1);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    needed[from->outputs.data[i].node.id] = 1;
    needed[from->outputs.data[i].weight.id] = 1;
  }
  needed[0] = 0;
  copy_needed(from, to, needed, from->nodes.count - 1, map, drop_marks);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    Output output = from->outputs.data[i];
    output.node = map[output.node.id];
    output.weight = map[output.weight.id];
    graph_add_output(to, output);
  }
  free(map);
  free(needed);
  return to;
}
