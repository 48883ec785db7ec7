/* flat.c: what an optimiser `over all` sees: its parameters side by side in one vector, and the loss of the same batch,
 * with the same random draws, at any other vector: the loss's nodes are made again with pieces of that vector where the
 * parameters stood. */
#include "call.h"
#include "optimize.h"

static Dims flat_dims(int64_t size) { return (Dims){1, {size}}; }

/* Arrays of any shape, row-major, one behind the other. */
static Node side_by_side(Tracer *t, const Node *parts, uint32_t count) {
  Graph *g = t->graph;
  Node *rows = ARENA_ARRAY(t->arena, Node, count);
  for (uint32_t i = 0; i < count; i++) {
    int64_t size;
    dims_size(node_dims(g, parts[i]), 1, &size);
    const Dims dims = flat_dims(size);
    rows[i] = build_reshape(g, parts[i], shape_of(g, &dims));
  }
  return count == 1 ? rows[0] : build_concat(g, rows, count, 0);
}

Node flat_piece(Tracer *t, const Flat *f, Node vector, uint32_t i) {
  Graph *g = t->graph;
  int64_t from = 0, size = 0;
  for (uint32_t k = 0; k <= i; k++) from += size, dims_size(&f->owned[k]->dims, 1, &size);
  const int64_t cut[3] = {from, size, 1};
  return build_reshape(g, build_slice(g, vector, cut), shape_of(g, &f->owned[i]->dims));
}

void flat_open(Tracer *t, Flat *f, Node loss, Owned **owned, const Node *gradients, uint32_t count) {
  *f = (Flat){.owned = owned, .count = count, .nodes = ARENA_ARRAY(t->arena, Node, count)};
  for (uint32_t i = 0; i < count; i++) f->nodes[i] = owned_value(t, owned[i], owned[i]->span).node;
  f->whole = side_by_side(t, f->nodes, count);
  f->gradient = side_by_side(t, gradients, count);
  f->size = node_dims(t->graph, f->whole)->dims[0];
  f->loss = loss;
  vec_push(&f->known, ((Evaluation){f->whole, loss, f->gradient}));
}

void flat_close(Flat *f) { vec_free(&f->known); }

/* The loss with pieces[i] in place of parameter i. A loop made again is another loop. */
static Node loss_at(Tracer *t, const Flat *f, const Node *pieces) {
  const uint32_t last = f->loss.id;
  Node *map = ARENA_ARRAY(t->arena, Node, last + 1);
  for (uint32_t id = 0; id <= last; id++) map[id] = (Node){id};
  for (uint32_t i = 0; i < f->count; i++)
    if (f->nodes[i].id <= last) map[f->nodes[i].id] = pieces[i];
  graph_again(t->graph, map, last);
  return map[last];
}

static Evaluation evaluate_at(Tracer *t, Flat *f, Node p) {
  for (uint32_t i = 0; i < f->known.count; i++) {
    if (node_is(f->known.data[i].at, p)) return f->known.data[i];
  }
  Graph *g = t->graph;
  Node *pieces = ARENA_ARRAY(t->arena, Node, f->count), *gradients = ARENA_ARRAY(t->arena, Node, f->count);
  for (uint32_t i = 0; i < f->count; i++) pieces[i] = build_mark(g, flat_piece(t, f, p, i));
  Evaluation e = {.at = p, .loss = loss_at(t, f, pieces)};
  grad_reverse(g, e.loss, NODE_NONE, pieces, f->count, gradients);
  for (uint32_t i = 0; i < f->count; i++) {
    if (!gradients[i].id) gradients[i] = build_full(g, node_type(g, pieces[i]), 0, node_shape(g, pieces[i]));
  }
  e.gradient = side_by_side(t, gradients, f->count);
  vec_push(&f->known, e);
  return e;
}

/* evaluate(p) is (loss, gradient) at p. */
Value builtin_evaluate(Tracer *t, Call *c) {
  Value p = c->args[0];
  if (!t->flat) {
    Diag *d = trace_error(t, "no-evaluation", c->span, "only an optimiser `over all` can evaluate the loss again");
    diag_hint(t->s, d, "define it so: `optimizer name(rate = 1) over all { ... }`");
    return value_poison();
  }
  if (!value_to_float(t, &p, c->span)) return value_poison();
  const Dims dims = value_dims(t, p), wanted = flat_dims(t->flat->size);
  if (p.batched || !dims_equal(&dims, &wanted)) {
    Diag *d = trace_error(t, "shape-mismatch", c->span, "`evaluate` takes all parameters as one vector, %s; found %s",
                          dims_text(t, &wanted), value_describe(t, p));
    note_value(t, d, p, c->span, "it");
    return value_poison();
  }
  p = value_cast(t, p, t->graph->float_type);
  const Evaluation e = evaluate_at(t, t->flat, p.node);
  Value out = {.kind = V_TUPLE, .count = 2, .items = values_new(t, 2), .span = c->span};
  out.items[0] = value_tensor(t, e.loss, false, c->span);
  out.items[1] = value_tensor(t, e.gradient, false, c->span);
  return out;
}
