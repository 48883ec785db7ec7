/* optimize.c: the `train` block: its plan, clipping, and the optimiser, elaborated once for each parameter. */
#include <string.h>

#include "call.h"
#include "near.h"
#include "optimize.h"

/* The first ones are settings of a parameter, and take `for`. */
static const char *const train_words[] = {"optimizer", "clip_norm", "clip_value", "clip_each",  "average",
                                          "start",     "batch",     "epochs",     "steps",      "seed",
                                          "freeze",    "loss",      "parameters", "accumulate", "every"};
enum { TAKE_FOR = 6 };

static Ast train_settings(Tracer *t) { return ast_child(t->tree, t->train, TRAIN_settings); }

Ast train_block(Tracer *t, uint32_t n) {
  const Ast items = ast_child(t->tree, t->file, FILE_items);
  for (uint32_t i = 0; i < ast_count(t->tree, items); i++) {
    const Ast item = ast_child(t->tree, items, i);
    if (ast_kind(t->tree, item) == AST_TRAIN && !n--) return item;
  }
  return (Ast){0};
}

static Value setting_value(Tracer *t, const char *name, Span *at) { return train_value(t, name, NULL, at); }

static bool is_all(Tracer *t, const char *name) {
  const Ast setting = train_setting(t, name, NULL), value = ast_child(t->tree, setting, SETTING_value);
  return setting.id && ast_kind(t->tree, value) == AST_NAME &&
         !strcmp(name_of(t, ast_node(t->tree, value)->name), "all");
}

static bool whole_setting(Tracer *t, const char *name, int64_t least, int64_t *out) {
  Span at;
  const Value v = setting_value(t, name, &at);
  int64_t whole;
  if (v.kind == V_ABSENT) return false;
  if (!value_whole(t, v, &whole, text_of(t, "`%s`", name), at)) return false;
  if (whole < least) {
    trace_error(t, "bad-setting", at, "`%s` must be %lld or more; found %lld", name, (long long)least,
                (long long)whole);
    return false;
  }
  *out = whole;
  return true;
}

static void check_words(Tracer *t) {
  const Ast list = train_settings(t);
  const size_t count = sizeof train_words / sizeof *train_words;
  for (uint32_t i = 0; i < ast_count(t->tree, list); i++) {
    const AstNode *node = ast_node(t->tree, ast_child(t->tree, list, i));
    if (node->kind != AST_SETTING) continue;
    const char *name = name_of(t, node->name);
    size_t k = 0;
    while (k < count && strcmp(name, train_words[k])) k++;
    if (k < count && (k < TAKE_FOR || !node->text)) continue;
    if (k < count) {
      Diag *wrong = trace_error(t, "setting-for", node->span, "`%s` is not a setting of a parameter: it takes no `for`", name);
      if (!strcmp(name, "freeze")) diag_hint(t->s, wrong, "`freeze = \"%s\"` says so", node->text);
      continue;
    }
    Diag *d = trace_error(t, "unknown-setting", node->name_span, "`train` has no setting `%s`", name);
    const char *near = near_find(name, train_words, count);
    if (near)
      diag_hint(t->s, d, "did you mean `%s`?", near);
    else if (!strcmp(name, "rate") || !strcmp(name, "learning_rate") || !strcmp(name, "lr"))
      diag_hint(t->s, d, "the rate is the optimiser's: `optimizer = adam(rate = 1e-3)`");
  }
}

/* `batch`, `epochs`, `steps` and `seed` stand in one of the blocks. */
static void plan_block(Tracer *t, TrainPlan *plan) {
  int64_t seed = 0, steps = 0;
  const bool no_number = is_all(t, "batch");
  Value over;
  if (t->train.id) check_words(t);
  if (no_number && !setting_overridden(t, "batch", &over, plan->span))
    plan->batch = 0;
  else
    whole_setting(t, "batch", 1, &plan->batch);
  if (whole_setting(t, "steps", 1, &steps)) plan->steps = steps, plan->epochs = 0;
  whole_setting(t, "epochs", 1, &plan->epochs);
  if (whole_setting(t, "seed", 0, &seed)) plan->seed = (uint64_t)seed;
}

void train_plan(Tracer *t) {
  TrainPlan *plan = &t->program->plan;
  t->train = train_block(t, 0);
  *plan = (TrainPlan){.batch = 32, .epochs = 10, .span = t->train.id ? ast_node(t->tree, t->train)->span : (Span){0}};
  for (uint32_t i = 0; i == 0 || t->train.id; t->train = train_block(t, ++i)) plan_block(t, plan);
  const TraceOptions *o = t->options;
  if (o->batch > 0) plan->batch = o->batch;
  if (o->steps > 0) plan->steps = o->steps, plan->epochs = o->epochs;
  if (o->epochs > 0) plan->epochs = o->epochs, plan->steps = o->steps;
  if (o->seed >= 0) plan->seed = (uint64_t)o->seed;
  setting_list_text(t, "batch", plan->batch ? text_of(t, "%lld", (long long)plan->batch) : "all");
  if (plan->epochs) setting_list_text(t, "epochs", text_of(t, "%lld", (long long)plan->epochs));
  if (plan->steps) setting_list_text(t, "steps", text_of(t, "%lld", (long long)plan->steps));
  setting_list_text(t, "seed", text_of(t, "%llu", (unsigned long long)plan->seed));
}

/* ---- names of parameters ---- */

static bool pattern_list(Tracer *t, const char *name, Value *out, Span *at) {
  *out = setting_value(t, name, at);
  if (out->kind == V_ABSENT || value_bad(*out)) return false;
  bool texts = out->kind == V_STRING || out->kind == V_ARRAY || out->kind == V_TUPLE;
  for (uint32_t i = 0; texts && out->kind != V_STRING && i < out->count; i++) texts = out->items[i].kind == V_STRING;
  if (texts) return true;
  trace_error(t, "bad-setting", *at, "`%s` is a pattern such as \"encoder.*\", or several: [\"a.*\", \"b.*\"]", name);
  return false;
}

static bool matches(Value patterns, const char *name) {
  if (patterns.kind == V_STRING) return glob_match(patterns.text, name);
  for (uint32_t i = 0; i < patterns.count; i++) {
    if (glob_match(patterns.items[i].text, name)) return true;
  }
  return false;
}

static void must_match(Tracer *t, const char *pattern, Owned **list, uint32_t count, Span at) {
  Vec(const char *) names = {0};
  for (uint32_t i = 0; i < count; i++) {
    const char *name = t->graph->slots.data[list[i]->slot].name;
    if (glob_match(pattern, name)) {
      vec_free(&names);
      return;
    }
    vec_push(&names, name);
  }
  Diag *d = trace_error(t, "no-match", at, "no parameter is called \"%s\"", pattern);
  const char *near = near_find(pattern, names.data, names.count);
  if (near)
    diag_hint(t->s, d, "did you mean \"%s\"?", near);
  else if (names.count)
    diag_hint(t->s, d, "the first parameter is \"%s\"; `*` stands for any text", names.data[0]);
  vec_free(&names);
}

static void check_patterns(Tracer *t, Value patterns, Owned **list, uint32_t count, Span at) {
  if (patterns.kind == V_STRING) must_match(t, patterns.text, list, count, at);
  for (uint32_t i = 0; patterns.kind != V_STRING && i < patterns.count; i++)
    must_match(t, patterns.items[i].text, list, count, at);
}

const char *train_loss(Tracer *t) {
  const Ast setting = train_setting(t, "loss", NULL);
  if (!setting.id) return NULL;
  const Ast value = ast_child(t->tree, setting, SETTING_value);
  const AstNode *node = ast_node(t->tree, value);
  const char *name = node->kind == AST_NAME ? name_of(t, node->name) : node->kind == AST_STRING ? node->text : "";
  Vec(const char *) names = {0};
  for (uint32_t i = 0; i < t->losses.count; i++) vec_push(&names, t->losses.data[i].name);
  const char *found = NULL;
  for (uint32_t i = 0; i < names.count; i++) {
    if (!strcmp(names.data[i], name)) found = names.data[i];
  }
  if (!found) {
    Diag *d = trace_error(t, "unknown-loss", node->span, "the model has no loss `%s`", name);
    const char *near = near_find(name, names.data, names.count);
    if (near) diag_hint(t->s, d, "did you mean `%s`?", near);
  }
  vec_free(&names);
  return found;
}

/* ---- optimisers ---- */

typedef struct {
  const char *pattern; /* NULL: for all */
  Value optimizer;
  Span span;
} Group;

static void list_optimizer(Tracer *t, const Group *rule) {
  const Closure *c = rule->optimizer.closure;
  Param params[PARAM_LIMIT];
  const uint32_t n = closure_params(t, c, params, PARAM_LIMIT);
  if (rule->pattern) return;
  setting_list_text(t, "optimizer", closure_name(t, c));
  for (uint32_t i = 0; i < n; i++) {
    const char *name = name_of(t, params[i].name);
    if (c->bound && c->bound[i].kind != V_ABSENT)
      setting_list(t, name, c->bound[i]);
    else if (params[i].fallback.id)
      setting_list_text(t, name, source_text(t, ast_node(t->tree, params[i].fallback)->span));
  }
}

/* The settings that `--set` names, in place of what the file says. */
static Value with_overrides(Tracer *t, Value v) {
  Param params[PARAM_LIMIT];
  Closure c = *v.closure;
  const uint32_t n = closure_params(t, &c, params, PARAM_LIMIT);
  Value *bound = values_new(t, n);
  for (uint32_t i = 0; i < n; i++) {
    bound[i] = c.bound ? c.bound[i] : (Value){.kind = V_ABSENT};
    setting_overridden(t, name_of(t, params[i].name), &bound[i], v.span);
  }
  c.bound = bound, c.called = true;
  return closure_value(t, c, v.span);
}

static bool optimizer_value(Tracer *t, Value v, Group *rule) {
  if (value_bad(v)) return false;
  if (v.kind != V_FUNCTION || closure_kind(t, v.closure) != AST_OPTIMIZER) {
    Diag *d = trace_error(t, "not-an-optimizer", rule->span, "an optimiser is needed, such as `adam(1e-3)`; found %s",
                          value_describe(t, v));
    note_value(t, d, v, rule->span, "it");
    return false;
  }
  rule->optimizer = with_overrides(t, v);
  if (closure_lacking(t, rule->optimizer.closure)) {
    trace_error(t, "missing-argument", rule->span, "the optimiser is %s", value_describe(t, rule->optimizer));
    return false;
  }
  return true;
}

static Group *optimizer_rules(Tracer *t, uint32_t *count) {
  const Ast list = train_settings(t);
  const uint32_t n = ast_count(t->tree, list);
  Group *rules = ARENA_ARRAY(t->arena, Group, n + 1);
  Env empty = {0};
  *count = 0;
  Value v;
  if (!train_setting(t, "optimizer", NULL).id || setting_overridden(t, "optimizer", &v, (Span){0})) {
    Group *rule = &rules[(*count)++];
    const Name adam = intern_text(&t->s->names, "adam");
    rule->span = t->train.id ? ast_node(t->tree, t->train)->span : ast_node(t->tree, t->model)->name_span;
    if (!setting_overridden(t, "optimizer", &v, rule->span)) v = lookup_name(t, adam, rule->span, &empty);
    if (!optimizer_value(t, v, rule)) return NULL;
  }
  for (uint32_t i = 0; i < n; i++) {
    const Ast setting = ast_child(t->tree, list, i);
    const AstNode node = *ast_node(t->tree, setting);
    if (node.kind != AST_SETTING || strcmp(name_of(t, node.name), "optimizer")) continue;
    if (!node.text && *count && !rules[0].pattern && setting_overridden(t, "optimizer", &v, node.span)) continue;
    Group *rule = &rules[(*count)++];
    *rule = (Group){.pattern = node.text, .span = node.span};
    if (!optimizer_value(t, eval(t, ast_child(t->tree, setting, SETTING_value), &empty), rule)) return NULL;
  }
  for (uint32_t i = 0; i < *count; i++) list_optimizer(t, &rules[i]);
  return rules;
}

static bool over_all(Tracer *t, const Group *rule) { return ast_node(t->tree, rule->optimizer.closure->ast)->flag; }

/* The optimiser's block with one `parameter` and its gradient. `name`: its states are called "name/m". */
static void run_optimizer(Tracer *t, const Group *rule, const char *name, Owned *parameter, Value value, Node gradient) {
  const Closure *c = rule->optimizer.closure;
  Instance *instance = instance_get(t, text_of(t, "%s/", name), rule->span);
  instance->path = name;
  Frame frame;
  frame_push(t, &frame, instance, c->ast, true);
  frame.kind = SLOT_OPTIMIZER, frame.of = parameter->slot, frame.like = &parameter->dims;
  vec_push(&t->calls, ((CallSite){rule->span, closure_name(t, c), c->ast}));
  t->graph->span = rule->span;
  Env env = {0};
  const Span at = ast_node(t->tree, c->ast)->name_span;
  if (closure_env(t, c, c->bound, &env, rule->span)) {
    Names *names = &t->s->names;
    env_bind_owned(t, &env, intern_text(names, "parameter"), value, parameter, at);
    env_bind(t, &env, intern_text(names, "gradient"), value_tensor(t, gradient, false, at), at);
    env_bind(t, &env, intern_text(names, "step"), value_tensor(t, step_number(t, NUMBER_STEP), false, at), at);
    const Ast list = ast_child(t->tree, ast_child(t->tree, c->ast, OPTIMIZER_body), BLOCK_items);
    for (uint32_t i = 0; i < ast_count(t->tree, list); i++) eval_statement(t, ast_child(t->tree, list, i), &env);
    if (!t->s->errors && (parameter->pass != t->pass || !parameter->written.count)) {
      Diag *d = trace_error(t, "no-update", at, "the optimiser `%s` never writes its parameter", closure_name(t, c));
      diag_hint(t->s, d, "it ends in `parameter <- parameter - ...`");
    }
  }
  t->calls.count--;
  frame_pop(t);
}

/* What tells the states of one turn from another's: its name, or its number where that is not the first; else "". */
static const char *turn_name(Tracer *t) {
  if (!t->train.id) return "";
  const Name name = ast_node(t->tree, t->train)->name;
  if (name.id) return name_of(t, name);
  uint32_t number = 0;
  while (train_block(t, number).id != t->train.id) number++;
  return number ? text_of(t, "%u", number + 1) : "";
}

/* All parameters of the rule as one vector. */
static void update_together(Tracer *t, const Group *rule, Node loss, Owned **list, const Node *gradients,
                            uint32_t count) {
  if (!count) return;
  Flat flat;
  flat_open(t, &flat, loss, list, gradients, count);
  Owned all = {.name = intern_text(&t->s->names, "parameter"), .kind = SLOT_PARAM, .slot = list[0]->slot,
               .dims = {1, {flat.size}}, .span = rule->span};
  const char *turn = turn_name(t), *name = text_of(t, "%s%s%s", turn, *turn ? ":" : "", rule->pattern ? rule->pattern : "*");
  t->flat = &flat;
  run_optimizer(t, rule, name, &all, value_tensor(t, flat.whole, false, rule->span), flat.gradient);
  t->flat = NULL;
  for (uint32_t i = 0; i < count && !t->s->errors; i++) {
    Owned *o = list[i];
    if (o->pass != t->pass) o->written.count = 0;
    o->pass = t->pass;
    vec_push(&o->written, flat_piece(t, &flat, all.written.data[all.written.count - 1], i));
  }
  vec_free(&all.written);
  flat_close(&flat);
}

/* Each parameter by the last rule that speaks of it. */
static void update_all(Tracer *t, const Group *rules, uint32_t rule_count, Node loss, Owned **list,
                       const Node *gradients, uint32_t count) {
  Owned **mine = ARENA_ARRAY(t->arena, Owned *, count + 1);
  Node *with = ARENA_ARRAY(t->arena, Node, count + 1);
  for (uint32_t k = 0; k < rule_count; k++) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count && !t->s->errors; i++) {
      const char *name = t->graph->slots.data[list[i]->slot].name;
      uint32_t last = rule_count;
      for (uint32_t r = 0; r < rule_count; r++) {
        if (!rules[r].pattern || glob_match(rules[r].pattern, name)) last = r;
      }
      if (last != k) continue;
      if (over_all(t, &rules[k])) mine[n] = list[i], with[n++] = gradients[i];
      else run_optimizer(t, &rules[k], list[i]->states, list[i], owned_value(t, list[i], rules[k].span), gradients[i]);
    }
    if (n) update_together(t, &rules[k], loss, mine, with, n);
  }
}

/* ---- steps that are not each batch's ---- */

/* Is this one of each n steps? NODE_NONE: always. */
static Node each_nth(Tracer *t, int64_t n) {
  Graph *g = t->graph;
  if (n <= 1) return NODE_NONE;
  const Node count = build_const(g, TYPE_F64, (double)n), step = build_number(g, NUMBER_STEP);
  return build_binary(g, P_EQ, build_mul(g, build_unary(g, P_FLOOR, build_div(g, step, count)), count), step);
}

/* A state beside a parameter, of its shape: "dense_1.W/average". It starts as the parameter, or from 0. */
static Owned *state_beside(Tracer *t, const Owned *o, const char *word, bool copy, Span at) {
  Graph *init = t->graphs[GRAPH_INIT];
  const Slot *slot = &t->graph->slots.data[o->slot];
  const char *name = text_of(t, "%s/%s", o->states, word);
  Instance *instance = instance_get(t, text_of(t, "%s/", o->states), at);
  Owned *state = ARENA_NEW(t->arena, Owned);
  *state = (Owned){.name = intern_text(&t->s->names, word), .kind = SLOT_OPTIMIZER, .dims = o->dims, .span = at,
                   .next = instance->owned};
  const Shape shape = shape_of(init, &o->dims);
  const Type type = (Type)slot->type;
  state->slot = slot_add(t, (Slot){.kind = SLOT_OPTIMIZER, .name = name, .type = type, .shape = shape, .of = o->slot, .span = at});
  instance->owned = state;
  if (!instance->last_owned) instance->last_owned = state;
  Node start = build_full(init, type, 0, shape);
  for (uint32_t k = 0; copy && k < init->outputs.count; k++) {
    if (init->outputs.data[k].slot == o->slot) start = init->outputs.data[k].node;
  }
  graph_add_output(init, (Output){.kind = OUT_SLOT, .name = init->slots.data[state->slot].name, .node = start,
                                  .slot = state->slot, .span = at});
  return state;
}

/* `accumulate = n`: the optimiser acts in every n-th batch, on the mean of the n batches' gradients. `every`: of the
 * block, whose batches are counted. */
static void accumulate_gradients(Tracer *t, int64_t n, int64_t every, Owned **list, Node *gradients, uint32_t count) {
  Graph *g = t->graph;
  Span at;
  setting_list(t, "accumulate", setting_value(t, "accumulate", &at));
  const Node counts = each_nth(t, every), ends = each_nth(t, every * n);
  for (uint32_t i = 0; i < count; i++) {
    Owned *state = state_beside(t, list[i], "accumulated", false, at);
    const Node old = build_slot(g, state->slot), sum = build_add(g, old, gradients[i]);
    const Node zero = build_full(g, node_type(g, sum), 0, node_shape(g, sum));
    const Node next = build_select(g, ends, zero, sum);
    state->current = counts.id ? build_select(g, counts, next, old) : next;
    gradients[i] = build_div(g, sum, build_like(g, sum, (double)n));
  }
}

/* What the turn wrote becomes current; with `every = n`, at each n-th step alone. */
static void take_turn(Tracer *t) {
  Graph *g = t->graph;
  const Node now = each_nth(t, t->every);
  const bool later = train_block(t, 1).id != 0; /* a later turn may differentiate by it */
  for (uint32_t i = 0; i < t->instances.count; i++) {
    for (Owned *o = t->instances.data[i]->owned; o; o = o->next) {
      if ((o->kind != SLOT_PARAM && o->kind != SLOT_OPTIMIZER) || o->pass != t->pass || !o->written.count) continue;
      Node next = o->written.data[o->written.count - 1];
      if (now.id) next = build_select(g, now, next, owned_value(t, o, o->span).node);
      o->current = later && type_is_float(node_type(g, next)) ? build_mark(g, next) : next;
      o->written.count = 0;
    }
  }
}

/* `average = a`: a second copy of each parameter, a * copy + (1 - a) * parameter after each step of the optimiser, which
 * evaluation uses. */
static void average_parameters(Tracer *t, Owned **list, uint32_t count) {
  Graph *g = t->graph;
  Span at;
  const Node now = each_nth(t, t->every);
  const Value all = setting_value(t, "average", &at);
  if (all.kind != V_ABSENT) setting_list(t, "average", all);
  for (uint32_t i = 0; i < count && !t->s->errors; i++) {
    Owned *o = list[i];
    const Value v = train_value(t, "average", g->slots.data[o->slot].name, &at);
    double a;
    if (v.kind == V_ABSENT || !value_known_number(t, v, &a, "`average`", at)) continue;
    if (!(a >= 0 && a < 1)) {
      trace_error(t, "bad-setting", at, "`average` is a number from 0 to below 1, such as 0.999");
      return;
    }
    Owned *mean = state_beside(t, o, "average", true, at);
    const Node old = build_slot(g, mean->slot), keep = build_like(g, old, a), add = build_like(g, old, 1 - a);
    mean->current = build_add(g, build_mul(g, keep, old), build_mul(g, add, o->current));
    if (now.id) mean->current = build_select(g, now, mean->current, old);
    o->average = mean->slot + 1;
  }
}

/* The parameters that this block trains. What an earlier turn trains, too, has that one's states and this one's. */
static uint32_t trained(Tracer *t, Owned ***out) {
  Owned **all;
  const uint32_t count = instance_parameters(t, NULL, &all);
  Value frozen, chosen;
  Span at;
  const bool freezes = pattern_list(t, "freeze", &frozen, &at);
  if (freezes) check_patterns(t, frozen, all, count, at);
  const bool chooses = pattern_list(t, "parameters", &chosen, &at);
  if (chooses) check_patterns(t, chosen, all, count, at);
  *out = ARENA_ARRAY(t->arena, Owned *, count + 1);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++) {
    const char *name = t->graph->slots.data[all[i]->slot].name;
    if ((freezes && matches(frozen, name)) || (chooses && !matches(chosen, name))) continue;
    all[i]->states = all[i]->current.id ? text_of(t, "%s/%s", name, turn_name(t)) : name;
    (*out)[kept++] = all[i];
  }
  return kept;
}

void train_trace(Tracer *t, Node total) {
  Owned **list;
  t->train_loss = total;
  const uint32_t count = trained(t, &list);
  uint32_t rule_count, used = 0;
  const Group *rules = optimizer_rules(t, &rule_count);
  if (!rules) return;
  for (uint32_t i = 0; i < rule_count; i++) {
    if (rules[i].pattern) must_match(t, rules[i].pattern, list, count, rules[i].span);
  }
  if (t->s->errors) return;
  Node *nodes = ARENA_ARRAY(t->arena, Node, count + 1), *gradients = ARENA_ARRAY(t->arena, Node, count + 1);
  if (!whole_setting(t, "every", 1, &t->every)) t->every = 1;
  for (uint32_t i = 0; i < count; i++) nodes[i] = owned_value(t, list[i], list[i]->span).node;
  grad_reverse(t->graph, total, NODE_NONE, nodes, count, gradients);
  suspect_parameters(t, total, list, nodes, gradients, count);
  for (uint32_t i = 0; i < count; i++) {
    const Slot *slot = &t->graph->slots.data[list[i]->slot];
    if (!type_is_float(slot->type)) continue;
    if (!gradients[i].id) continue;
    gradients[used] = gradients[i], list[used++] = list[i];
  }
  int64_t accumulate = 1;
  if (!whole_setting(t, "accumulate", 1, &accumulate)) accumulate = 1;
  for (uint32_t i = 0; i < rule_count && accumulate > 1; i++) {
    if (!over_all(t, &rules[i])) continue;
    trace_error(t, "accumulate-over-all", rules[i].span,
                "`accumulate` does not go with an optimiser `over all`: it evaluates the loss of one batch");
    return;
  }
  if (accumulate > 1) accumulate_gradients(t, accumulate, t->every, list, gradients, used);
  t->every *= accumulate;
  clip_gradients(t, list, gradients, used);
  if (!t->s->errors) update_all(t, rules, rule_count, total, list, gradients, used);
  if (!t->s->errors) take_turn(t);
  if (!t->s->errors) average_parameters(t, list, used);
}

void train_write(Tracer *t) {
  for (uint32_t i = 0; i < t->instances.count; i++) {
    for (Owned *o = t->instances.data[i]->owned; o; o = o->next) {
      if (!o->current.id) continue;
      graph_add_output(t->graph, (Output){.kind = OUT_SLOT,
                                          .name = t->graph->slots.data[o->slot].name,
                                          .node = o->current,
                                          .slot = o->slot,
                                          .span = o->span});
    }
  }
}
