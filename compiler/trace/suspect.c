/* suspect.c: warnings of what is allowed and hardly meant. What the graph alone shows is found by compiler/facts; here it is
 * said, at the user's place. */
#include <string.h>

#include "call.h"
#include "facts.h"
#include "ranges.h"

/* ---- who made a node ---- */

static bool is_of_library(const Tracer *t, Span span) { return span.begin >= t->library.begin && span.begin < t->library.end; }

void suspect_origin(Tracer *t) {
  if (t->graph_index != GRAPH_TRAIN) return;
  const CallSite *site = user_call(t), *top = t->calls.count ? &t->calls.data[t->calls.count - 1] : NULL;
  Origin origin = {.first = t->graph->nodes.count};
  if (site) origin.site = *site;
  if (top && top->definition.id) origin.inside = is_of_library(t, ast_node(t->tree, top->definition)->span);
  if (t->origins.count && t->origins.data[t->origins.count - 1].first == origin.first) t->origins.count--;
  vec_push(&t->origins, origin);
}

/* The call in which the node was made; NULL: in none. */
static const Origin *origin_of(const Tracer *t, Node n) {
  uint32_t low = 0, high = t->origins.count; /* data[low].first <= n.id < data[high].first */
  if (!high || t->origins.data[0].first > n.id) return NULL;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (t->origins.data[middle].first <= n.id) low = middle;
    else high = middle;
  }
  return &t->origins.data[low];
}

void suspect_reverse(Tracer *t, Node y, Node seed, const Node *xs, uint32_t count, Node *gradients) {
  const uint32_t first = t->graph->nodes.count;
  grad_reverse(t->graph, y, seed, xs, count, gradients);
  if (t->graph_index == GRAPH_TRAIN) vec_push(&t->derived, ((Made){first, t->graph->nodes.count}));
}

static bool is_derived(const Tracer *t, Node n) {
  for (uint32_t i = 0; i < t->derived.count; i++)
    if (n.id >= t->derived.data[i].first && n.id < t->derived.data[i].last) return true;
  return false;
}

/* Where the user wrote it: the node's own place, or the call of the library's function that it was made in. */
static Span place_of(Tracer *t, Node n) {
  const Span own = node_data(t->graph, n)->span;
  const Origin *origin = origin_of(t, n);
  return origin && origin->site.name && (origin->inside || in_library(t, own)) ? origin->site.span : own;
}

/* A node within a function of the user's: in which of its uses. */
static void note_use(Tracer *t, Diag *d, Node n) {
  const Origin *origin = origin_of(t, n);
  const Span at = place_of(t, n);
  if (!origin || !origin->site.name || !origin->site.definition.id || origin->inside) return;
  const Span body = ast_node(t->tree, origin->site.definition)->span;
  if (at.begin >= body.begin && at.end <= body.end) diag_note(t->s, d, origin->site.span, "in this use of `%s`", origin->site.name);
}

/* ---- calls ---- */

/* A loss of logits that is given probabilities learns badly and says nothing; so this does. */
static void check_probabilities(Tracer *t, const char *name, const Value *args, Span span) {
  if (args[0].kind != V_TENSOR || !args[0].exact) return;
  Diag *d = trace_warning(t, "probabilities-as-logits", span, "`%s` takes scores of any size, and is given probabilities", name);
  note_value(t, d, args[0], span, "the argument");
  diag_hint(t->s, d, "leave out the softmax or sigmoid before it");
}

/* The argument called `over`, or the last axis. */
static bool softmax_axes(Tracer *t, const Closure *c, const Value *args, uint32_t rank, Over *over) {
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  *over = (Over){false, 1, {rank - 1}};
  for (uint32_t i = 0; i < n; i++) {
    if (strcmp(name_of(t, params[i].name), "over") || args[i].kind == V_ABSENT) continue;
    if (args[i].kind != V_NUMBER) return false;
    const int64_t axis = (int64_t)args[i].number + (args[i].number < 0 ? rank : 0);
    if (axis < 0 || axis >= rank) return false;
    over->axes[0] = (uint32_t)axis;
  }
  return true;
}

/* e^x / e^x: a classifier of two classes with one score, most often. */
static void check_extent(Tracer *t, const Closure *c, const Value *args, Span span) {
  static const char *const normalised[] = {"softmax", "log_softmax", "cross_entropy", "soft_cross_entropy"};
  const char *name = closure_name(t, c);
  size_t i = 0;
  while (i < sizeof normalised / sizeof *normalised && strcmp(normalised[i], name)) i++;
  if (i == sizeof normalised / sizeof *normalised || args[0].kind != V_TENSOR) return;
  const Dims dims = value_dims(t, args[0]);
  Over over;
  if (!dims.rank || !softmax_axes(t, c, args, dims.rank, &over) || dims.dims[over.axes[0]] != 1) return;
  Diag *d = trace_warning(t, "softmax-of-one", span, "`%s` along an extent of 1: whatever the scores, the probability is 1", name);
  note_value(t, d, args[0], span, "the argument");
  diag_hint(t->s, d, "one score for yes or no takes `sigmoid`, and `bce_logits` as its loss; k classes take k scores");
}

void suspect_call(Tracer *t, const Closure *c, const Value *args, Span span) {
  static const char *const logits[] = {"cross_entropy", "softmax", "log_softmax", "bce_logits", "focal"};
  if (c->kind != C_DEFINITION || !is_of_library(t, ast_node(t->tree, c->ast)->span) || in_library(t, span)) return;
  for (size_t i = 0; i < sizeof logits / sizeof *logits; i++)
    if (!strcmp(closure_name(t, c), logits[i])) check_probabilities(t, logits[i], args, span);
  check_extent(t, c, args, span);
}

/* ---- parameters ---- */

/* The user's line that made it: the parameter's own, or the call of the library's layer that has it. */
static Span owned_place(Tracer *t, const Owned *o) {
  const Instance *home = o->home;
  if (!in_library(t, o->span)) return o->span;
  while (home && (in_library(t, home->span) || span_is_none(home->span)) && home->parent) home = home->parent;
  return home && !in_library(t, home->span) && !span_is_none(home->span) ? home->span : o->span;
}

static void say_still(Tracer *t, const Owned *o, Still still) {
  static const struct {
    const char *why, *remedy;
  } texts[] = {
      [STILL_STOPPED] = {"`stop_gradient` holds it still", NULL},
      [STILL_OWN] = {"the function's own derivative does not reach it", "give it a gradient in place of `none`, or `freeze` it in the train block"},
      [STILL_STEP] = {"a step function is flat between its steps",
                      "pass the gradient through: `x + stop_gradient(round(x) - x)`, or a function `with gradient`"},
      [STILL_DISCRETE] = {"a comparison or an index says only which", "weigh by a smooth function, such as `sigmoid`, instead"},
      [STILL_BRANCH] = {"this branch is never taken", "the condition is always the same: look at its bounds"},
      [STILL_BOUND] = {"the other side is always the one that counts", "look at the bounds"},
      [STILL_ZERO] = {"it is multiplied by 0", "leave it out"},
      [STILL_CENTRED] = {"what it adds is taken off again here", "leave it out"},
  };
  const Span at = owned_place(t, o);
  const char *name = t->graph->slots.data[o->slot].name;
  Diag *d = trace_warning(t, "zero-gradient", at, "the gradient of `%s` is 0 whatever the data are: it stays as it starts", name);
  const Span place = place_of(t, still.at);
  diag_note(t->s, d, in_library(t, place) ? (Span){0} : place, "%s", texts[still.kind].why);
  const size_t length = strlen(name);
  const bool bias = length > 2 && !strcmp(name + length - 2, ".b");
  if (still.kind == STILL_CENTRED && bias) diag_hint(t->s, d, "leave it out: `bias = false`");
  else if (still.kind == STILL_STOPPED) diag_hint(t->s, d, "say so in the train block, too: `freeze = \"%s\"`", name);
  else diag_hint(t->s, d, "%s", texts[still.kind].remedy);
}

/* The players of a game, several train blocks, may each have such a loss: the others hold it. */
static void check_fall(Tracer *t, const Ranges *ranges, Node total, Owned **list, const Node *nodes, uint32_t count) {
  uint32_t by = 0;
  if (train_block(t, 1).id) return;
  const Node term = facts_falls(ranges, total, nodes, count, &by);
  if (!term.id) return;
  const Span at = place_of(t, term);
  Diag *d = trace_warning(t, "unbounded-loss", at, "the loss has no least value: nothing bounds this term below");
  diag_note(t->s, d, owned_place(t, list[by]), "as `%s` goes far enough, it falls below any number", t->graph->slots.data[list[by]->slot].name);
  diag_hint(t->s, d, "a likelihood becomes a loss by a minus sign, a difference by its square or `abs`");
}

void suspect_parameters(Tracer *t, Node total, Owned **list, const Node *nodes, const Node *gradients, uint32_t count) {
  Ranges *ranges = ranges_new(t->graph, NULL);
  FactsLive *live = facts_live_new(ranges, total);
  for (uint32_t i = 0; i < count; i++) {
    if (!type_is_float((Type)t->graph->slots.data[list[i]->slot].type)) continue;
    const Still still = facts_still(live, nodes[i]);
    if (still.kind) say_still(t, list[i], still);
    else if (!gradients[i].id)
      trace_warning(t, "untrained", owned_place(t, list[i]), "`%s` has no influence on the loss: it stays as it starts",
                    t->graph->slots.data[list[i]->slot].name);
  }
  check_fall(t, ranges, total, list, nodes, count);
  facts_live_free(live);
  ranges_free(ranges);
}

/* ---- the model ---- */

/* The length of the name of what the parameter's layer stands in: "enc" of "enc.dense_1.W"; 0: the model itself. */
static size_t parent_length(const char *name) {
  size_t dots[2] = {0, 0};
  for (size_t i = 0; name[i]; i++)
    if (name[i] == '.') dots[0] = dots[1], dots[1] = i;
  return dots[0];
}

/* Do both parameters belong to instances of their own, as an encoder's and a decoder's? Each then has a meaning alone. */
static bool are_apart(const Tracer *t, const LinearPair *pair) {
  const char *a = t->graph->slots.data[pair->first_slot].name, *b = t->graph->slots.data[pair->second_slot].name;
  const size_t n = parent_length(a), m = parent_length(b);
  return n && m && (n != m || memcmp(a, b, n));
}

static void say_linear(Tracer *t, const LinearPair *pair) {
  const Span first = place_of(t, pair->first), second = place_of(t, pair->second);
  if (first.begin == second.begin && first.end == second.end) return; /* within one layer: it is meant */
  if (are_apart(t, pair)) return;
  Diag *d = trace_warning(t, "linear-layers", second, "two linear layers with nothing between: together they are one");
  diag_note(t->s, d, first, "the first");
  diag_hint(t->s, d, "put an activation between them, such as `relu`, or leave one out");
}

typedef struct {
  const char *slug, *of, *bad, *remedy;
} DomainText;

/* What is said of each kind: the function and what its argument must not be. */
static DomainText domain_text(const Tracer *t, const DomainCase *c) {
  const bool negative = range_below(c->range, 0);
  switch (c->kind) {
  case DOMAIN_LOG:
    if (node_prim(t->graph, c->node) == P_LOG1P)
      return (DomainText){"log-domain", "`log` of 1 + x, which", range_below(c->range, -1) ? "can be negative" : "can be 0",
                          "make it positive, as `softplus(x)`, `exp(x)`, a `softmax` or a `sigmoid` are, or cut it: `log(max(x, 1e-6))`"};
    return (DomainText){"log-domain", "`log` of what", negative ? "can be negative" : "can be 0",
                        negative ? "make it positive, as `softplus(x)`, `exp(x)`, a `softmax` or a `sigmoid` are, or cut it: `log(max(x, 1e-6))`"
                                 : "keep it off 0: `log(x + 1e-6)`, `log(max(x, 1e-6))`, or `if x > 0 then log(x) else ...`"};
  case DOMAIN_SQRT:
    return (DomainText){"sqrt-domain", node_prim(t->graph, c->node) == P_SQRT ? "`sqrt` of what" : "1 / `sqrt` of what",
                        negative ? "can be negative" : "can be 0",
                        negative ? "make it positive, as `softplus(x)` and `x^2` are, or cut it: `sqrt(max(x, 1e-6))`"
                                 : "keep it off 0: `rsqrt(x + 1e-6)`"};
  case DOMAIN_DIVISION:
    return (DomainText){"division-by-zero", "a division by what", "can be 0",
                        negative ? "keep it off 0: make it positive, as `softplus(x)` is, or `if x != 0 then a / x else ...`"
                                 : "keep it off 0: `a / (x + 1e-6)`, or `a / max(x, 1e-6)`"};
  case DOMAIN_POW:
    return (DomainText){"pow-domain", "a power of what", negative ? "can be negative" : "can be 0",
                        "make it positive, as `softplus(x)` is, or cut it: `max(x, 1e-6)^p`"};
  case DOMAIN_ARC:
    return (DomainText){"arc-domain", "`asin` or `acos` of what", "can leave -1 .. 1", "cut it: `clamp(x, -1, 1)`"};
  case DOMAIN_EXP: break;
  }
  return (DomainText){"exp-overflow", "`exp` of what", "can be so large that it overflows",
                      "`softplus(x)` is positive, too, and grows no faster than x; or cut it: `exp(min(x, 30))`"};
}

static const char *range_text(Tracer *t, const DomainCase *c) {
  const bool shifted = node_prim(t->graph, c->node) == P_LOG1P; /* 1 + x is told of */
  const Range r = shifted ? range_add(c->range, range_point(1)) : c->range;
  return text_of(t, "%s%.6g, %.6g%s", r.open_lo ? "(" : "[", r.lo + 0, r.hi + 0, r.open_hi ? ")" : "]");
}

static const char *source_kind(const Tracer *t, Node n) {
  if (node_prim(t->graph, n) == P_SLOT) {
    static const char *const words[] = {[SLOT_INPUT] = "the input", [SLOT_TARGET] = "the target", [SLOT_PARAM] = "the parameter",
                                        [SLOT_STATE] = "the state", [SLOT_OPTIMIZER] = "the state", [SLOT_METRIC] = "the state"};
    return words[t->graph->slots.data[node_attr(t->graph, n)[0]].kind];
  }
  return node_has(t->graph, n, K_CONTRACTION) ? "a sum of products, which" : "a value that";
}

/* Where its freedom comes from. */
static void note_source(Tracer *t, Diag *d, const DomainCase *c, Span at) {
  const Graph *g = t->graph;
  const bool slot = node_prim(g, c->source) == P_SLOT;
  const Slot *s = slot ? &g->slots.data[node_attr(g, c->source)[0]] : NULL;
  const Span place = slot ? s->span : place_of(t, c->source);
  if (in_library(t, place) || (place.begin == at.begin && place.end == at.end)) return;
  if (isfinite(c->range.lo) && isfinite(c->range.hi)) return;
  if (slot) diag_note(t->s, d, place, "nothing bounds %s `%s`", source_kind(t, c->source), s->name);
  else diag_note(t->s, d, place, "it comes from %s nothing bounds", source_kind(t, c->source));
}

/* In the library only what no caller may hand over is said, and that only of what the model computes: a variance that can be
 * negative. That a length is 0, or a rate e^x large, is what its definitions say. */
static bool is_said(Tracer *t, const DomainCase *c, bool inside, const uint8_t *learnt) {
  if (is_derived(t, c->node)) return false;
  if (!inside) return true;
  if (c->kind == DOMAIN_EXP || c->kind == DOMAIN_DIVISION || c->kind == DOMAIN_ARC) return false;
  return learnt[c->argument.id] && range_below(c->range, node_prim(t->graph, c->node) == P_LOG1P ? -1 : 0);
}

static void say_domain(Tracer *t, const DomainCase *c, const uint8_t *learnt) {
  const Origin *origin = origin_of(t, c->node);
  const Span own = node_data(t->graph, c->node)->span, at = place_of(t, c->node);
  const bool inside = (origin && origin->inside) || in_library(t, own);
  if (!is_said(t, c, inside, learnt)) return;
  const DomainText text = domain_text(t, c);
  Diag *d = trace_warning(t, text.slug, at, "%s %s: it lies in %s", text.of, text.bad, range_text(t, c));
  if (inside && origin && origin->site.name) diag_note(t->s, d, (Span){0}, "within `%s`", origin->site.name);
  note_use(t, d, c->node);
  note_source(t, d, c, at);
  diag_hint(t->s, d, "%s", text.remedy);
}

/* By node: does it depend on a parameter? */
static uint8_t *learnt_nodes(const Graph *g) {
  uint8_t *learnt = mem_zero(g->nodes.count, 1);
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Node n = {id};
    if (node_prim(g, n) == P_SLOT) learnt[id] = g->slots.data[node_attr(g, n)[0]].kind == SLOT_PARAM;
    for (uint32_t i = 0; i < node_data(g, n)->count; i++) learnt[id] |= learnt[node_in(g, n, i).id];
  }
  return learnt;
}

static void check_domains(Tracer *t, const Node *roots, uint32_t count, const uint32_t *uses) {
  Ranges *ranges = ranges_new(t->graph, NULL);
  Guard *guards = guards_find(t->graph, roots, count);
  uint8_t *learnt = learnt_nodes(t->graph);
  DomainCases cases = {0};
  facts_domain(ranges, uses, guards, &cases);
  for (uint32_t i = 0; i < cases.count; i++) say_domain(t, &cases.data[i], learnt);
  vec_free(&cases);
  free(learnt);
  free(guards);
  ranges_free(ranges);
}

/* A softmax of a softmax, whoever wrote either; one of the library's own is said by suspect_call, at the same place. */
static void check_twice(Tracer *t, const uint32_t *uses) {
  const Graph *g = t->graph;
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    Node u, v;
    if (!uses[id] || (node_prim(g, (Node){id}) != P_DIV && node_prim(g, (Node){id}) != P_LOG)) continue;
    if (!is_softmax(g, (Node){id}, &u) && !is_log_sum_exp(g, (Node){id}, &u)) continue;
    if (node_prim(g, plain_node(g, u)) == P_SUB) u = node_in(g, plain_node(g, u), 0); /* u - max u */
    if (!is_softmax(g, u, &v) || is_derived(t, (Node){id})) continue;
    const Origin *origin = origin_of(t, (Node){id});
    if (origin && origin->inside && in_library(t, place_of(t, (Node){id}))) continue;
    Diag *d = trace_warning(t, "probabilities-as-logits", place_of(t, (Node){id}), "a softmax takes scores of any size, and is given probabilities");
    note_use(t, d, (Node){id});
    diag_note(t->s, d, place_of(t, plain_node(g, u)), "they come from here");
    diag_hint(t->s, d, "leave out the softmax before it");
  }
}

void suspect_model(Tracer *t) {
  Vec(Node) roots = {0};
  for (uint32_t i = 0; i < t->losses.count; i++) {
    vec_push(&roots, t->losses.data[i].sum);
    vec_push(&roots, t->losses.data[i].weight);
  }
  for (uint32_t i = 0; i < t->metrics.count; i++) vec_push(&roots, t->metrics.data[i].sum);
  for (uint32_t i = 0; i < t->outputs.count; i++) vec_push(&roots, t->outputs.data[i].node);
  uint32_t *uses = facts_uses(t->graph, roots.data, roots.count);
  LinearPairs pairs = {0};
  facts_linear(t->graph, uses, &pairs);
  for (uint32_t i = 0; i < pairs.count; i++) say_linear(t, &pairs.data[i]);
  vec_free(&pairs);
  check_twice(t, uses);
  check_domains(t, roots.data, roots.count, uses);
  free(uses);
  vec_free(&roots);
}

/* ---- inputs ---- */

static void mark_used(const Graph *g, uint8_t *used) {
  Vec(Node) roots = {0};
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    vec_push(&roots, g->outputs.data[i].node);
    vec_push(&roots, g->outputs.data[i].weight);
  }
  uint32_t *uses = facts_uses(g, roots.data, roots.count);
  for (uint32_t id = 1; id < g->nodes.count; id++)
    if (uses[id] && node_prim(g, (Node){id}) == P_SLOT) used[node_attr(g, (Node){id})[0]] = 1;
  free(uses);
  vec_free(&roots);
}

void suspect_unused(Tracer *t) {
  const Graph *g = t->graphs[GRAPH_TRAIN];
  uint8_t *used = mem_zero(g->slots.count + 1, 1);
  mark_used(g, used);
  mark_used(t->graphs[GRAPH_EVAL], used);
  for (uint32_t i = 0; i < g->slots.count; i++) {
    const Slot *slot = &g->slots.data[i];
    if (used[i] || slot->kind > SLOT_TARGET) continue;
    Diag *d = trace_warning(t, "unused-input", slot->span, "no output, loss or metric depends on the %s `%s`",
                            slot->kind == SLOT_INPUT ? "input" : "target", slot->name);
    diag_hint(t->s, d, "use it, or remove the line: its data is read all the same");
  }
  free(used);
}
