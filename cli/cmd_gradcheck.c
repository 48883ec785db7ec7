/* cmd_gradcheck.c: every gradient of the training against differences of its loss, both in double by the oracle, so that the
 * derivative rules are judged and nothing else.
 *
 * A difference is of fourth order: (f(x-2h) - 8 f(x-h) + 8 f(x+h) - f(x+2h)) / 12h with h = 2e-4 max(1, |x|), right to about
 * 1e-11 where f is smooth. Near a kink (relu at 0) it is not, so where it differs h is made smaller twice; a difference that
 * then agrees was a kink within the first h. Where x lies on the edge of a comparison there is nothing to compare with.
 * What stands under stop_gradient is held still, as the derivative holds it. A function with a derivative of its own is held too, and
 * in its place the sum of x * dx enters the loss, dx what its rule gives for the gradient that comes in, held. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "grad.h"
#include "gradc.h"
#include "interp.h"
#include "loops.h"
#include "rng.h"
#include "run.h"
#include "synthetic.h"

const uint8_t cmd_gradcheck_options[] = {OPT_data, OPT_synthetic, OPT_batch, OPT_wrt, OPT_samples, OPT_seed, OPT_set, OPT_model, OPT_quiet, OPT_no_warn, OPT_COUNT};

static const double tolerance = 1e-7; /* of the largest gradient */
enum { DIRECTIONS = 2, ALL_BELOW = 24, SAMPLES = 12, ROWS = 4 };

typedef struct {
  Run run;
  const Graph *gradient;
  Graph *loss;             /* the same losses, with what is held as slots of their own */
  double **slots;          /* [slot_count]: the program's, then those of values that are held */
  uint32_t slot_count;
  int64_t *counts;
  int64_t batch[4];
  uint64_t seed;
  double largest;          /* of all gradients */
  int64_t checks, kinks, edges, failures;
  double worst;
} Check;

static InterpInput input_of(const Check *c) {
  InterpInput in = {.slots = (const double *const *)c->slots, .step = 1, .steps = 1000, .seed = c->seed, .draw = 1};
  memcpy(in.batch, c->batch, sizeof in.batch);
  return in;
}

/* The sum of all losses of a graph. */
static double loss_of(const Check *c, const Graph *g) {
  const InterpInput in = input_of(c);
  Interp *interp = interp_new(g, &in);
  double total = 0;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->kind != OUT_LOSS) continue;
    const double weight = o->weight.id ? *interp_value(interp, o->weight, NULL) : 1;
    if (weight != 0) total += *interp_value(interp, o->node, NULL) / weight;
  }
  interp_free(interp);
  return total;
}

/* ---- values of slots ---- */

static bool allocate(Check *c) {
  const Graph *g = c->gradient;
  c->slots = mem_zero(g->slots.count + 1, sizeof *c->slots);
  c->counts = mem_zero(g->slots.count + 1, sizeof *c->counts);
  c->slot_count = g->slots.count;
  for (uint32_t i = 0; i < g->slots.count; i++) {
    if (!dims_size(shape_dims(g, g->slots.data[i].shape), c->batch[0], &c->counts[i])) return false;
    c->slots[i] = mem_zero((size_t)c->counts[i] + 1, sizeof **c->slots);
  }
  return true;
}

/* Parameters as the training would start with, moved a little, so that no two are equal and none lies on a kink at 0. */
static void start_parameters(Check *c) {
  const Graph *init = c->run.front.program->init;
  const InterpInput in = input_of(c);
  Interp *interp = interp_new(init, &in);
  for (uint32_t i = 0; i < init->outputs.count; i++) {
    const Output *o = &init->outputs.data[i];
    if (o->kind != OUT_SLOT) continue;
    int64_t count;
    const double *values = interp_value(interp, o->node, &count);
    GradcRng rng = gradc_rng(c->seed, 1, GRADC_SITE_DATA - 2048 + o->slot % 512);
    const bool moves = init->slots.data[o->slot].kind == SLOT_PARAM;
    for (int64_t k = 0; k < count && k < c->counts[o->slot]; k++)
      c->slots[o->slot][k] = values[k] + (moves ? 0.05 * (gradc_rng_uniform(&rng) - 0.5) : 0);
  }
  interp_free(interp);
}

static double stored(const DataFeed *feed, int64_t i) {
  switch (feed->want->type) {
    case TYPE_F32: return ((const float *)feed->values)[i];
    case TYPE_F64: return ((const double *)feed->values)[i];
    case TYPE_I32: return ((const int32_t *)feed->values)[i];
    default: return ((const uint8_t *)feed->values)[i];
  }
}

/* The first rows of the data where there is data; else synthetic values. */
static bool fill_feeds(Check *c) {
  Front *f = &c->run.front;
  const Options *o = c->run.options;
  bool has_data = o->data || o->synthetic;
  for (uint32_t b = 0; b < f->blocks; b++) has_data = has_data || f->program->data.data[b].file || f->program->data.data[b].size;
  const int64_t rows = o->batch ? o->batch : ROWS;
  for (int i = 0; i < 4; i++) c->batch[i] = rows;
  if (has_data) {
    const DataOptions how = {.targets = true, .seed = c->seed};
    if (!front_data(f, o, &how, &c->run.stats, c->run.data)) return false;
    for (uint32_t b = 0; b < f->blocks; b++) c->batch[b] = c->run.data[b]->train.rows < rows ? c->run.data[b]->train.rows : rows;
  }
  if (!allocate(c)) {
    front_fail(f, NULL, "a tensor of the model is larger than any memory");
    return false;
  }
  for (uint32_t b = 0; b < f->blocks; b++) {
    for (uint32_t i = 0; i < f->want_counts[b]; i++) {
      const DataWant *want = &f->wants[b][i];
      const DataPart *part = has_data ? &c->run.data[b]->train : NULL;
      if (!part) {
        synthetic_values(want->type, want->classes, want->slot, c->counts[want->slot], c->slots[want->slot]);
        continue;
      }
      /* Rows far apart, so that not all are of one class. */
      const int64_t each = part->feeds[i].elements, apart = part->rows / c->batch[b], stride = part->stride ? part->stride : each;
      for (int64_t r = 0; r < c->batch[b]; r++) {
        for (int64_t k = 0; k < each; k++) c->slots[want->slot][r * each + k] = stored(&part->feeds[i], r * apart * stride + k);
      }
    }
  }
  return true;
}

/* Is it held still? Such a value within a loop differs from round to round: there is no one value to keep. */
static bool is_held(const Graph *g, Node n) { return node_prim(g, n) == P_STOP || node_prim(g, n) == P_OWN; }

static bool holds_in_loop(const Graph *g) {
  Loops loops = loops_find(g);
  bool found = false;
  for (uint32_t id = 1; id < g->nodes.count; id++) found = found || (is_held(g, (Node){id}) && loop_of(&loops, (Node){id}) >= 0);
  loops_free(&loops);
  return found;
}

static Node sum_of_all(Graph *g, Node n) {
  int64_t axes[GRAPH_MAX_RANK];
  const uint32_t rank = node_rank(g, n);
  for (uint32_t i = 0; i < rank; i++) axes[i] = i;
  return rank ? build_reduce(g, P_SUM, n, axes, rank) : n;
}

static Node total_loss(Graph *g) {
  Node total = NODE_NONE;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->kind != OUT_LOSS) continue;
    const Node part = o->weight.id ? build_div(g, o->node, o->weight) : o->node;
    total = total.id ? build_add(g, total, part) : part;
  }
  return total;
}

/* For each function with a derivative of its own a further loss: what it gives back, times what it is given to. */
static void add_own_terms(Graph *g) {
  Vec(Node) owns = {0};
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (node_prim(g, (Node){id}) == P_OWN) vec_push(&owns, (Node){id});
  Node *gradients = mem_zero(owns.count + 1, sizeof *gradients);
  if (owns.count) grad_reverse(g, total_loss(g), NODE_NONE, owns.data, owns.count, gradients);
  for (uint32_t i = 0; i < owns.count; i++) {
    for (uint32_t k = 2; gradients[i].id && k < node_data(g, owns.data[i])->count; k += 2) {
      const Node dx = build_stop(g, prim_info(P_OWN)->derive(g, owns.data[i], gradients[i], k));
      const Node term = sum_of_all(g, build_mul(g, node_in(g, owns.data[i], k), dx));
      graph_add_output(g, (Output){.kind = OUT_LOSS, .name = "own", .node = term});
    }
  }
  free(gradients);
  vec_free(&owns);
}

/* Each value that is held becomes a slot of `to`, in `map`. */
static void make_held(const Graph *from, Graph *to, Node *map) {
  for (uint32_t id = 1; id < from->nodes.count; id++) {
    if (!is_held(from, (Node){id})) continue;
    Text name = {0};
    text_printf(&name, "held %u", id);
    const Dims d = *node_dims(from, (Node){id});
    const uint32_t slot = graph_add_slot(to, (Slot){.kind = SLOT_STATE, .name = text_get(&name), .type = node_type(from, (Node){id}),
                                                    .shape = shape_of(to, &d)});
    text_free(&name);
    map[id] = build_slot(to, slot);
  }
}

static void keep_held(Check *c, const Graph *from) {
  uint32_t slot = from->slots.count;
  c->slot_count = c->loss->slots.count;
  c->slots = mem_resize(c->slots, (c->slot_count + 1) * sizeof *c->slots);
  c->counts = mem_resize(c->counts, (c->slot_count + 1) * sizeof *c->counts);
  const InterpInput in = input_of(c);
  Interp *interp = interp_new(from, &in);
  for (uint32_t id = 1; id < from->nodes.count; id++) {
    if (!is_held(from, (Node){id})) continue;
    const double *values = interp_value(interp, (Node){id}, &c->counts[slot]);
    c->slots[slot] = mem_alloc((size_t)(c->counts[slot] + 1) * sizeof **c->slots);
    memcpy(c->slots[slot], values, (size_t)c->counts[slot] * sizeof **c->slots);
    slot++;
  }
  interp_free(interp);
}

/* The losses alone; each value that is held becomes a slot that keeps its value. */
static void hold_still(Check *c) {
  Graph *from = holds_in_loop(c->gradient) ? loops_unroll(c->gradient, 0) : graph_rebuild(c->gradient, false);
  add_own_terms(from);
  c->loss = graph_like(from);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  make_held(from, c->loss, map);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    Output o = from->outputs.data[i];
    if (o.kind != OUT_LOSS) continue;
    o.node = graph_copy_node(from, c->loss, o.node, map, true);
    if (o.weight.id) o.weight = graph_copy_node(from, c->loss, o.weight, map, true);
    graph_add_output(c->loss, o);
  }
  free(map);
  keep_held(c, from);
  graph_free(from);
}

/* ---- comparing ---- */

/* The derivative of the loss along `direction` from where the parameter is. */
static double difference(Check *c, uint32_t slot, const double *direction, double h) {
  static const double steps[] = {-2, -1, 1, 2}, weights[] = {1, -8, 8, -1};
  const int64_t n = c->counts[slot];
  double *x = c->slots[slot], *base = mem_alloc((size_t)(n + 1) * sizeof *base), sum = 0;
  memcpy(base, x, (size_t)n * sizeof *x);
  for (int s = 0; s < 4; s++) {
    for (int64_t i = 0; i < n; i++) x[i] = base[i] + steps[s] * h * direction[i];
    sum += weights[s] * loss_of(c, c->loss);
  }
  memcpy(x, base, (size_t)n * sizeof *x);
  free(base);
  return sum / (12 * h);
}

/* All truth values of the loss, at x + step * direction; the caller frees them. */
static uint8_t *truths(Check *c, uint32_t slot, const double *base, const double *direction, double step, size_t *count) {
  const InterpInput in = input_of(c);
  Interp *interp = interp_new(c->loss, &in);
  Loops loops = loops_find(c->loss);
  uint8_t *all = NULL;
  *count = 0;
  for (int64_t i = 0; i < c->counts[slot]; i++) c->slots[slot][i] = base[i] + step * direction[i];
  for (uint32_t id = 1; id < c->loss->nodes.count; id++) {
    int64_t n;
    const Node node = {id};
    if (!node_has(c->loss, node, K_PREDICATE) || loop_of(&loops, node) >= 0) continue; /* a loop's has no one value */
    const double *values = interp_value(interp, node, &n);
    all = mem_resize(all, *count + (size_t)n + 1);
    for (int64_t i = 0; i < n; i++) all[(*count)++] = values[i] != 0;
  }
  loops_free(&loops);
  interp_free(interp);
  return all;
}

/* Does a comparison of the loss come out otherwise within h of x, whose side x itself is at? There the loss may jump or
 * bend at x, and differences say nothing about the derivative. */
static bool on_an_edge(Check *c, uint32_t slot, const double *direction, double h) {
  const int64_t n = c->counts[slot];
  double *base = mem_alloc((size_t)(n + 1) * sizeof *base);
  memcpy(base, c->slots[slot], (size_t)n * sizeof *base);
  size_t count;
  uint8_t *here = truths(c, slot, base, direction, 0, &count);
  bool edge = false;
  for (int side = -1; side <= 1 && !edge; side += 2) {
    uint8_t *there = truths(c, slot, base, direction, side * 2 * h, &count);
    edge = count && memcmp(here, there, count);
    free(there);
  }
  free(here);
  memcpy(c->slots[slot], base, (size_t)n * sizeof *base);
  free(base);
  return edge;
}

typedef struct { double error, numeric; int64_t element; } Worst;

static void compare(Check *c, uint32_t slot, const double *direction, int64_t element, double size, double exact, Worst *worst) {
  const double scale = c->largest > 0 ? c->largest : 1;
  double h = 2e-4 * (size > 1 ? size : 1), numeric = 0, error = 0;
  c->checks++;
  for (int attempt = 0; attempt < 3; attempt++, h /= 16) {
    numeric = difference(c, slot, direction, h);
    error = fabs(numeric - exact) / scale;
    if (error <= tolerance) {
      c->kinks += attempt > 0;
      break;
    }
  }
  if (!(error <= tolerance) && on_an_edge(c, slot, direction, h * 16)) {
    c->edges++;
    return;
  }
  if (!(error <= worst->error)) *worst = (Worst){error, numeric, element};
}

static double largest_of(const double *x, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fabs(x[i]) > most ? fabs(x[i]) : most;
  return most;
}

static void check_slot(Check *c, uint32_t slot, const double *gradient, Worst *worst, double *exact_at) {
  const int64_t n = c->counts[slot];
  double *direction = mem_zero((size_t)n + 1, sizeof *direction);
  GradcRng rng = gradc_rng(c->seed, slot, GRADC_SITE_DATA - 4096);
  *worst = (Worst){.element = -1};
  for (int d = 0; d < DIRECTIONS && n > 1; d++) {
    double exact = 0;
    for (int64_t i = 0; i < n; i++) {
      direction[i] = (gradc_rng_word(&rng) & 1 ? 1 : -1) / sqrt((double)n);
      exact += direction[i] * gradient[i];
    }
    const double before = worst->error;
    compare(c, slot, direction, -1, largest_of(c->slots[slot], n), exact, worst);
    if (worst->error != before) *exact_at = exact;
  }
  memset(direction, 0, (size_t)n * sizeof *direction);
  const int64_t asked = c->run.options->samples, all_below = asked ? asked : ALL_BELOW;
  const int64_t elements = n <= all_below ? n : asked ? asked : SAMPLES;
  for (int64_t k = 0; k < elements; k++) {
    const int64_t i = n <= all_below ? k : (int64_t)gradc_rng_below(&rng, (uint64_t)n);
    const double before = worst->error;
    direction[i] = 1;
    compare(c, slot, direction, i, fabs(c->slots[slot][i]), gradient[i], worst);
    direction[i] = 0;
    if (worst->error != before) *exact_at = gradient[i];
  }
  free(direction);
}

static void report(Check *c, const Output *o, uint32_t slot, const Worst *worst, double exact) {
  const bool failed = !(worst->error <= tolerance);
  c->failures += failed;
  if (worst->error > c->worst || isnan(worst->error)) c->worst = worst->error;
  if (c->run.options->quiet && !failed) return;
  Text shape = {0};
  shape_print(shape_dims(c->gradient, c->gradient->slots.data[slot].shape), &shape);
  printf("%-6s %-24s %-14s largest error %.1e", failed ? "WRONG" : "ok", o->name, text_get(&shape), worst->error);
  text_free(&shape);
  if (failed && worst->element >= 0) printf(": element %lld is %.9g, differences give %.9g", (long long)worst->element, exact, worst->numeric);
  else if (failed) printf(": along a random direction %.9g, differences give %.9g", exact, worst->numeric);
  printf("\n");
}

static bool wanted(const Check *c, const Output *o, uint32_t *slot) {
  const Graph *g = c->gradient;
  if (o->kind != OUT_VALUE || !o->node.id || !name_fits(c->run.options->wrt, o->name)) return false;
  for (uint32_t i = 0; i < g->slots.count; i++) {
    if (strcmp(g->slots.data[i].name, o->name)) continue;
    *slot = i;
    return g->slots.data[i].kind == SLOT_PARAM || g->slots.data[i].kind == SLOT_INPUT;
  }
  return false;
}

static int compare_all(Check *c) {
  const Graph *g = c->gradient;
  const InterpInput in = input_of(c);
  Interp *interp = interp_new(g, &in);
  uint32_t slot, count = 0;
  const double loss = loss_of(c, c->loss);
  if (!isfinite(loss)) {
    interp_free(interp);
    return front_fail(&c->run.front, "missing values that are kept make it NaN; other rows come with another --data", "the loss of these rows is %g: there is nothing to compare", loss);
  }
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    int64_t n;
    if (!wanted(c, &g->outputs.data[i], &slot)) continue;
    const double *gradient = interp_value(interp, g->outputs.data[i].node, &n);
    c->largest = fmax(c->largest, largest_of(gradient, n));
    count++;
  }
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    Worst worst;
    double exact = 0;
    if (!wanted(c, &g->outputs.data[i], &slot)) continue;
    check_slot(c, slot, interp_value(interp, g->outputs.data[i].node, NULL), &worst, &exact);
    report(c, &g->outputs.data[i], slot, &worst, exact);
  }
  interp_free(interp);
  if (!count) return front_fail(&c->run.front, "`gradc summary` lists the parameters", "there is no gradient to check");
  printf("%u gradients, %lld differences: %s; largest error %.1e of the largest gradient", count, (long long)c->checks,
         c->failures ? "NOT all agree" : "all agree", c->worst);
  if (c->kinks) printf("; %lld of them lay near a kink, where smaller steps agree", (long long)c->kinks);
  if (c->edges) printf("; %lld lay on the edge of a comparison, where differences say nothing, and were not judged", (long long)c->edges);
  printf("\n");
  return c->failures ? EXIT_INPUT : EXIT_DONE;
}

/* ---- functions with a derivative of their own ---- */

/* Reported, not failed: a straight-through estimate differs on purpose. */
static void compare_rules(Check *c) {
  const Graph *g = c->run.front.program->rules;
  const InterpInput in = input_of(c);
  Interp *interp = g->outputs.count ? interp_new(g, &in) : NULL;
  for (uint32_t i = 0; i + 1 < g->outputs.count; i += 2) {
    const Output *o = &g->outputs.data[i];
    int64_t n, at = 0;
    const double *given = interp_value(interp, o->node, &n), *derived = interp_value(interp, g->outputs.data[i + 1].node, &n);
    const double scale = fmax(fmax(largest_of(derived, n), largest_of(given, n)), 1e-300);
    for (int64_t k = 0; k < n; k++)
      if (!(fabs(given[k] - derived[k]) <= fabs(given[at] - derived[at]))) at = k;
    if (n && fabs(given[at] - derived[at]) <= tolerance * scale) continue;
    Diag *d = diag_warning(&c->run.front.session, "gradient-differs", o->span,
                           "the gradient given by %s is not that of its value: element %lld is %.6g, and would be %.6g", o->name,
                           (long long)at, n ? given[at] : 0, n ? derived[at] : 0);
    diag_hint(&c->run.front.session, d, "what lies behind it is checked with the gradient that is given");
  }
  if (interp) interp_free(interp);
}

static int gradcheck(Check *c) {
  const Program *p = c->run.front.program;
  c->gradient = p->gradient;
  c->seed = p->plan.seed;
  if (!fill_feeds(c)) return EXIT_INPUT;
  start_parameters(c);
  hold_still(c);
  compare_rules(c);
  front_report(&c->run.front);
  return compare_all(c);
}

int cmd_gradcheck(const Options *o) {
  Options double_options = *o; /* shares the list of --set */
  double_options.dtype = "f64";
  Check c = {.run = {.options = &double_options}};
  int status = front_open(&c.run.front, &double_options, true);
  if (!status) status = gradcheck(&c);
  for (uint32_t i = 0; i < c.slot_count; i++) free(c.slots[i]);
  free(c.slots);
  free(c.counts);
  if (c.loss) graph_free(c.loss);
  run_close(&c.run);
  return status;
}
