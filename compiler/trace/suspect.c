/* suspect.c: warnings of what is allowed and hardly meant. What the graph alone shows is found by compiler/facts; here it is
 * said, at the user's place. */
#include <string.h>

#include "call.h"
#include "facts.h"

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

/* Where the user wrote it: the node's own place, or the call of the library's function that it was made in. */
static Span place_of(Tracer *t, Node n) {
  const Span own = node_data(t->graph, n)->span;
  const Origin *origin = origin_of(t, n);
  return origin && origin->site.name && (origin->inside || in_library(t, own)) ? origin->site.span : own;
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

void suspect_untrained(Tracer *t, const Owned *o) {
  trace_warning(t, "untrained", owned_place(t, o), "`%s` has no influence on the loss: it stays as it starts",
                t->graph->slots.data[o->slot].name);
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
