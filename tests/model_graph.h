/* model_graph.h: training steps as graphs, made by hand: what the trace makes of a small network, for tests of the later
 * stages. Slots: 0 the input, 1 the label or target, then for each layer W, b and their velocities. */
#ifndef GRADC_MODEL_GRAPH_H
#define GRADC_MODEL_GRAPH_H
#include <math.h>
#include <stdio.h>

#include "build.h"
#include "grad.h"

static inline Shape mg_shape(Graph *g, uint32_t rank, int64_t a, int64_t b) { return shape_of(g, &(Dims){rank, {a, b}}); }

static inline uint32_t mg_slot(Graph *g, SlotKind kind, const char *name, Type type, Shape shape) {
  return graph_add_slot(g, (Slot){.kind = kind, .name = name, .type = type, .shape = shape});
}

/* x @ W + b for a batched x */
static inline Node mg_dense(Graph *g, Node x, Node w, Node b) {
  const int64_t one = 1, zero = 0;
  const Node product = build_contract(g, x, w, 0, NULL, NULL, 1, &one, &zero);
  return build_add(g, product, build_broadcast(g, b, node_shape(g, product), &one));
}

static inline Node mg_relu(Graph *g, Node x) {
  const Node zero = build_like(g, x, 0);
  return build_select(g, build_binary(g, P_LT, build_broadcast_to(g, zero, node_shape(g, x)), x), x, build_broadcast_to(g, zero, node_shape(g, x)));
}

static inline Node mg_row(Graph *g, Prim prim, Node x) {
  const int64_t axis = (int64_t)node_rank(g, x) - 1;
  return build_reduce(g, prim, x, &axis, 1);
}

static inline Node mg_spread(Graph *g, Node row, Shape shape) {
  const int64_t axis = 0;
  return build_broadcast(g, row, shape, &axis);
}

/* logsumexp(z) - z[label], one an example */
static inline Node mg_cross_entropy(Graph *g, Node z, Node label) {
  const Shape shape = node_shape(g, z);
  const int64_t one = 1;
  const Node top = build_stop(g, mg_row(g, P_RMAX, z));
  const Node sum = mg_row(g, P_SUM, build_unary(g, P_EXP, build_sub(g, z, mg_spread(g, top, shape))));
  const Node classes = build_broadcast(g, build_iota(g, node_dims(g, z)->dims[1]), shape, &one);
  const Node hit = build_binary(g, P_EQ, classes, mg_spread(g, label, shape));
  const Node picked = mg_row(g, P_SUM, build_select(g, hit, z, build_broadcast_to(g, build_like(g, z, 0), shape)));
  return build_sub(g, build_add(g, top, build_unary(g, P_LOG, sum)), picked);
}

typedef enum { MG_MOMENTUM, MG_ADAM } MgOptimizer;

static inline void mg_update(Graph *g, uint32_t param, uint32_t m_slot, uint32_t v_slot, Node gradient, MgOptimizer kind) {
  const Node p = build_slot(g, param), m = build_slot(g, m_slot);
  if (kind == MG_MOMENTUM) {
    const Node v = build_add(g, build_mul(g, build_like(g, m, 0.9), m), gradient);
    graph_add_output(g, (Output){.kind = OUT_SLOT, .node = v, .slot = m_slot});
    graph_add_output(g, (Output){.kind = OUT_SLOT, .node = build_sub(g, p, build_mul(g, build_like(g, v, 0.01), v)), .slot = param});
    return;
  }
  const Node v = build_slot(g, v_slot), step = build_number(g, NUMBER_STEP);
  const Node m1 = build_add(g, build_mul(g, build_like(g, m, 0.9), m), build_mul(g, build_like(g, m, 0.1), gradient));
  const Node v1 = build_add(g, build_mul(g, build_like(g, v, 0.999), v), build_mul(g, build_like(g, v, 0.001), build_mul(g, gradient, gradient)));
  const Node one = build_const(g, TYPE_F64, 1);
  const Node c1 = build_cast(g, build_sub(g, one, build_binary(g, P_POW, build_const(g, TYPE_F64, 0.9), step)), node_type(g, p));
  const Node c2 = build_cast(g, build_sub(g, one, build_binary(g, P_POW, build_const(g, TYPE_F64, 0.999), step)), node_type(g, p));
  const Node root = build_add(g, build_unary(g, P_SQRT, build_div(g, v1, c2)), build_like(g, v, 1e-8));
  graph_add_output(g, (Output){.kind = OUT_SLOT, .node = m1, .slot = m_slot});
  graph_add_output(g, (Output){.kind = OUT_SLOT, .node = v1, .slot = v_slot});
  graph_add_output(g, (Output){.kind = OUT_SLOT, .node = build_sub(g, p, build_div(g, build_mul(g, build_like(g, p, 1e-3), build_div(g, m1, c1)), root)), .slot = param});
}

/* A whole training step of a classifier with relu between its layers: sizes[0] inputs, sizes[count - 1] classes. */
static inline Graph *mg_classifier(Session *s, Type type, const int64_t *sizes, uint32_t count, MgOptimizer kind) {
  Graph *g = graph_new(s, type);
  const uint32_t x = mg_slot(g, SLOT_INPUT, "x", type, mg_shape(g, 2, DIM_BATCH, sizes[0]));
  const uint32_t y = mg_slot(g, SLOT_TARGET, "y", TYPE_I32, mg_shape(g, 1, DIM_BATCH, 0));
  uint32_t slots[32][2][3]; /* layer, W or b, the parameter and two states */
  Node params[64];
  for (uint32_t i = 0; i + 1 < count; i++)
    for (uint32_t k = 0; k < 2; k++)
      for (uint32_t j = 0; j < 3; j++) {
        char name[40];
        snprintf(name, sizeof name, "dense_%u.%s%s", i + 1, k ? "b" : "W", j == 0 ? "" : j == 1 ? "/m" : "/v");
        const Shape shape = k ? mg_shape(g, 1, sizes[i + 1], 0) : mg_shape(g, 2, sizes[i], sizes[i + 1]);
        slots[i][k][j] = mg_slot(g, j ? SLOT_OPTIMIZER : SLOT_PARAM, name, type, shape);
        if (j) g->slots.data[slots[i][k][j]].of = slots[i][k][0];
      }
  Node h = build_slot(g, x);
  for (uint32_t i = 0; i + 1 < count; i++) {
    for (uint32_t k = 0; k < 2; k++) params[2 * i + k] = build_mark(g, build_slot(g, slots[i][k][0]));
    h = mg_dense(g, h, params[2 * i], params[2 * i + 1]);
    if (i + 2 < count) h = mg_relu(g, h);
  }
  const Node each = build_cast(g, mg_cross_entropy(g, h, build_slot(g, y)), TYPE_F64);
  const int64_t axis = 0;
  const Node sum = build_reduce(g, P_SUM, each, &axis, 1), weight = build_extent(g, DIM_BATCH);
  graph_add_output(g, (Output){.kind = OUT_LOSS, .name = "loss", .node = sum, .weight = weight});
  Node gradients[64];
  grad_reverse(g, build_div(g, sum, weight), NODE_NONE, params, 2 * (count - 1), gradients);
  for (uint32_t i = 0; i + 1 < count; i++)
    for (uint32_t k = 0; k < 2; k++) mg_update(g, slots[i][k][0], slots[i][k][1], slots[i][k][2], gradients[2 * i + k], kind);
  return g;
}

#endif
