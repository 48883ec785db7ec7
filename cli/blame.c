/* blame.c: see blame.h. The culprit is the first node that is not finite although all its inputs are; an infinity that the
 * model writes itself, such as a mask's, is no culprit. */
#include "blame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interp.h"

static const int64_t most_values = 50000000; /* doubles, of all nodes together */

static void widen(GradcType type, const void *from, int64_t count, double *to) {
  for (int64_t i = 0; i < count; i++) {
    switch (type) {
      case GRADC_F32: to[i] = ((const float *)from)[i]; break;
      case GRADC_F64: to[i] = ((const double *)from)[i]; break;
      case GRADC_I32: to[i] = ((const int32_t *)from)[i]; break;
      default: to[i] = ((const uint8_t *)from)[i];
    }
  }
}

static bool small_enough(const Graph *g, int64_t batch) {
  int64_t all = 0, size;
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    if (!dims_size(node_dims(g, (Node){id}), batch, &size) || !mem_add(all, size, &all) || all > most_values) return false;
  }
  return true;
}

static double **read_slots(Run *run, const Graph *g, const void *const *inputs, const int64_t *batch) {
  double **slots = mem_zero(g->slots.count + 1, sizeof *slots);
  int feed = 0;
  for (uint32_t i = 0; i < g->slots.count; i++) {
    const Slot *slot = &g->slots.data[i];
    const Dims *d = shape_dims(g, slot->shape);
    GradcTensor tensor;
    int64_t count = 1;
    const bool fed = slot->kind == SLOT_INPUT || slot->kind == SLOT_TARGET;
    if (!fed && gradc_tensor_at(run->model, i, &tensor) != GRADC_OK) continue;
    if (fed) dims_size(d, d->rank && dim_is_batch(d->dims[0]) ? batch[DIM_BATCH - d->dims[0]] : 1, &count);
    else count = tensor.count;
    const void *from = fed ? inputs[feed++] : tensor.data;
    slots[i] = mem_zero((size_t)count + 1, sizeof **slots);
    if (from) widen((GradcType)slot->type, from, count, slots[i]);
  }
  return slots;
}

/* The first element that is not finite, or -1. */
static int64_t not_finite(const double *values, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) return i;
  }
  return -1;
}

/* 1: the node is not finite and its inputs are; 2: it is NaN and its inputs are not; 0: neither. */
static int guilt(const Graph *g, Interp *interp, Node n, int64_t *element) {
  int64_t count;
  const double *values = interp_value(interp, n, &count);
  *element = node_has(g, n, K_LEAF) || node_type(g, n) > TYPE_F64 ? -1 : not_finite(values, count);
  if (*element < 0) return 0;
  bool finite = true, nan_before = false;
  for (uint32_t i = 0; i < node_data(g, n)->count; i++) {
    const double *in = interp_value(interp, node_in(g, n, i), &count);
    for (int64_t k = 0; k < count; k++) finite = finite && isfinite(in[k]), nan_before = nan_before || isnan(in[k]);
  }
  return finite ? 1 : isnan(values[*element]) && !nan_before ? 2 : 0;
}

static const char *describe(Run *run, const Graph *g, Interp *interp, Node n, int64_t element) {
  Arena *arena = &run->front.arena;
  const double value = interp_value(interp, n, NULL)[element];
  const char *word = prim_info(node_prim(g, n))->word, *is = isnan(value) ? "NaN" : "infinite";
  if (!node_has(g, n, K_ELEMENTWISE) && !prim_info(node_prim(g, n))->value) return arena_printf(arena, "the first value that is %s comes from here", is);
  const double a = interp_value(interp, node_in(g, n, 0), NULL)[element];
  if (node_data(g, n)->count == 1) return arena_printf(arena, "`%s` of %.6g is %s", word, a, is);
  return arena_printf(arena, "`%s` of %.6g and %.6g is %s", word, a, interp_value(interp, node_in(g, n, 1), NULL)[element], is);
}

/* Of an operation whose domain ends, where it ends; growth has no remedy here. */
static const char *remedy(Prim prim) {
  switch (prim) {
    case P_LOG:
    case P_SQRT:
    case P_RSQRT:
    case P_POW: return "it needs an argument above 0: `max(x, 1e-6)`, or `softplus` of what makes it";
    case P_LOG1P: return "it needs an argument above -1";
    case P_ASIN:
    case P_ACOS: return "it needs an argument between -1 and 1: `clamp(x, -1, 1)`";
    case P_DIV: return "the divisor must stay away from 0: `x / (y + 1e-6)`, or an `if` around it";
    default: return NULL;
  }
}

Blame blame_step(Run *run, const void *const *inputs, const int64_t *batch) {
  const Graph *g = front_traced(&run->front)->train;
  Blame found = {0};
  if (!small_enough(g, batch[0])) return found;
  double **slots = read_slots(run, g, inputs, batch);
  const GradcProgress *p = gradc_progress(run->model);
  InterpInput in = {.slots = (const double *const *)slots, .step = (double)(p->step + 1), .steps = p->steps, .epoch = p->epoch,
                    .seed = p->seed, .draw = (uint64_t)p->step + 1, .round_f32 = true};
  memcpy(in.batch, batch, sizeof in.batch);
  Interp *interp = interp_new(g, &in);
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    int64_t element;
    const int guilty = guilt(g, interp, (Node){id}, &element);
    if (!guilty || (guilty == 2 && found.node.id)) continue;
    found = (Blame){{id}, node_data(g, (Node){id})->span, describe(run, g, interp, (Node){id}, element), remedy(node_prim(g, (Node){id}))};
    if (guilty == 1) break;
  }
  interp_free(interp);
  for (uint32_t i = 0; i < g->slots.count; i++) free(slots[i]);
  free(slots);
  return found;
}
