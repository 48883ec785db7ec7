/* prim_leaf.c: what a graph starts from: constants, slots, numbers of the step, extents, counters, random draws. */
#include "node.h"

Node build_const(Graph *g, Type type, double value) {
  value = type_round(type, value);
  if (value != value) value = NAN; /* one NaN, whatever its bits were */
  Draft d = {.prim = P_CONST, .type = type, .attr_count = 1};
  memcpy(d.attr, &value, sizeof value);
  return draft_finish(g, &d);
}
Node make_const(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->attr_count == 1 && d->shape.id == 0);
  double value;
  memcpy(&value, d->attr, sizeof value);
  return build_const(g, d->type, value);
}

Node build_full(Graph *g, Type type, double value, Shape shape) {
  const Node scalar = build_const(g, type, value);
  return shape.id ? build_broadcast(g, scalar, shape, NULL) : scalar;
}

Node make_slot(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->attr_count == 1 && d->attr[0] >= 0 && d->attr[0] < g->slots.count);
  Draft own = *d;
  own.type = g->slots.data[d->attr[0]].type;
  own.shape = g->slots.data[d->attr[0]].shape;
  return draft_finish(g, &own);
}
Node build_slot(Graph *g, uint32_t slot) {
  const int64_t attr = slot;
  return build_any(g, P_SLOT, TYPE_F32, (Shape){0}, NULL, 0, &attr, 1);
}

Node make_number(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->attr_count == 1 && d->attr[0] >= NUMBER_STEP && d->attr[0] <= NUMBER_EPOCH);
  Draft own = *d;
  own.type = TYPE_F64, own.shape = (Shape){0};
  return draft_finish(g, &own);
}
Node build_number(Graph *g, StepNumber which) {
  const int64_t attr = which;
  return build_any(g, P_NUMBER, TYPE_F64, (Shape){0}, NULL, 0, &attr, 1);
}

Node make_extent(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->attr_count == 1 && d->attr[0] >= 0);
  Draft own = *d;
  own.type = TYPE_F64, own.shape = (Shape){0};
  return draft_finish(g, &own);
}
Node build_extent(Graph *g, int64_t dim) {
  if (!dim_is_batch(dim)) return build_const(g, TYPE_F64, (double)dim);
  const int64_t attr = DIM_BATCH - dim;
  return build_any(g, P_EXTENT, TYPE_F64, (Shape){0}, NULL, 0, &attr, 1);
}

Node make_iota(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, shape_dims(g, d->shape)->rank == 1 && !d->attr_count);
  Draft own = *d;
  own.type = TYPE_I32;
  if (shape_dims(g, d->shape)->dims[0] == 1) return build_full(g, TYPE_I32, 0, d->shape);
  return draft_finish(g, &own);
}
Node build_iota(Graph *g, int64_t dim) {
  const Dims dims = {.rank = 1, .dims = {dim}};
  return build_any(g, P_IOTA, TYPE_I32, shape_of(g, &dims), NULL, 0, NULL, 0);
}

Node make_random(Graph *g, const Draft *d) {
  DRAFT_CHECK(g, d, d->attr_count == 2 && (d->attr[0] == 0 || d->attr[0] == 1) && type_is_float(d->type));
  Draft own = *d;
  return draft_finish(g, &own);
}
Node build_random(Graph *g, int kind, uint32_t site, Type type, Shape shape) {
  const int64_t attr[2] = {kind, site};
  return build_any(g, P_RANDOM, type, shape, NULL, 0, attr, 2);
}

/* Leaves have no inputs to differentiate by. */
Node derive_const(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_slot(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_number(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_extent(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_iota(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
Node derive_random(Graph *graph, Node node, Node g, uint32_t i) { return NODE_NONE; }
