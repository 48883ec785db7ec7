/* copy.c: nodes from one graph into another, or once more into their own, through the builder, in the order of their making: no
 * recursion, however deep the graph. */
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
  } else if (data->prim == P_OWN && drop_marks) {
    made = in[0];
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
    const uint32_t count = c->drop_marks && node_prim(from, (Node){id}) == P_OWN ? 1 : from->nodes.data[id].count;
    for (uint32_t i = 0; i < count; i++) needed[node_in(from, (Node){id}, i).id] = 1;
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

/* ---- once more into the same graph ---- */

Node graph_node_again(Graph *g, Node n, const Node *map, uint32_t *loops) {
  const NodeData data = *node_data(g, n);
  Node in[UINT8_MAX + 1];
  int64_t attr[UINT8_MAX + 1]; /* a copy: building moves the graph's */
  const uint32_t count = data.attr ? attr_copy(g, n, attr) : 0;
  for (uint32_t i = 0; i < data.count; i++) in[i] = map[node_in(g, n, i).id];
  g->span = data.span;
  if (data.prim == P_MARK) return build_mark(g, in[0]);
  if (loops && (data.prim == P_CARRY || data.prim == P_ITEM || data.prim == P_LOOP)) {
    uint32_t *number = &loops[attr[0]];
    if (!*number) *number = build_loop_number(g) + 1;
    attr[0] = *number - 1;
  }
  return build_any(g, (Prim)data.prim, (Type)data.type, data.shape, in, data.count, count ? attr : NULL, count);
}

/* All of a loop depends on what its LOOP depends on, also carries that start from elsewhere; true where that is news. */
static bool spread_in_loop(const Graph *g, uint32_t token, uint8_t *depends) {
  bool news = false;
  for (uint32_t k = 1; k < token; k++) {
    const Prim prim = node_prim(g, (Node){k});
    if ((prim != P_CARRY && prim != P_ITEM) || node_attr(g, (Node){k})[0] != node_attr(g, (Node){token})[0]) continue;
    news = news || !depends[k];
    depends[k] = 1;
  }
  return news;
}

/* Is the input one by which a function's own derivative keeps its rule for `dy`? What the rule makes of dy changes no value. */
static bool keeps_rule(const Graph *g, Node n, uint32_t input, Node dy) {
  return node_prim(g, n) == P_OWN && input % 2 && node_is(node_in(g, n, 1), dy);
}

static void make_again(Graph *g, Node *map, uint32_t last, Node dy) {
  uint8_t *depends = mem_zero(last + 1, 1);
  uint32_t *loops = mem_zero(g->loops + 1, sizeof *loops);
  for (bool more = true; more;) {
    more = false;
    for (uint32_t id = 1; id <= last; id++) {
      const NodeData *d = node_data(g, (Node){id});
      for (uint32_t i = 0; !depends[id] && i < d->count; i++) {
        const Node in = node_in(g, (Node){id}, i);
        if (keeps_rule(g, (Node){id}, i, dy)) continue;
        depends[id] = depends[in.id] || map[in.id].id != in.id;
        if (depends[id] && d->prim == P_LOOP) more = spread_in_loop(g, id, depends) || more;
      }
    }
  }
  const Span span = g->span;
  for (uint32_t id = 1; id <= last; id++)
    if (depends[id] && map[id].id == id) map[id] = graph_node_again(g, (Node){id}, map, loops);
  g->span = span;
  free(depends);
  free(loops);
}

void graph_again(Graph *g, Node *map, uint32_t last) { make_again(g, map, last, NODE_NONE); }

Node graph_substitute(Graph *g, Node n, Node from, Node to) {
  if (n.id < from.id) return n;
  Node *map = mem_alloc((n.id + 1) * sizeof *map);
  for (uint32_t id = 0; id <= n.id; id++) map[id] = (Node){id};
  map[from.id] = to;
  make_again(g, map, n.id, from);
  const Node made = map[n.id];
  free(map);
  return made;
}
