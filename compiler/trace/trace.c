/* trace.c: see trace.h. The model is walked twice, for training and for evaluation; parameters and states are found
 * again by their dotted names. */
#include "call.h"

#include <string.h>

static void library_range(Tracer *t) {
  const Sources *sources = &t->s->sources;
  for (uint32_t i = 0; i < sources->count; i++) {
    const Source *source = sources->files[i];
    if (!source->embedded) continue;
    if (!t->library.begin) t->library.begin = source->base;
    t->library.end = source->base + source->length + 1;
  }
}

static void use_graph(Tracer *t, uint8_t index) {
  t->graph = t->graphs[index];
  t->graph_index = index;
}

static void add_terms(Tracer *t, bool metrics_too) {
  for (uint32_t i = 0; i < t->losses.count; i++) {
    const Term *term = &t->losses.data[i];
    graph_add_output(
        t->graph,
        (Output){.kind = OUT_LOSS, .name = term->name, .node = term->sum, .weight = term->weight, .span = term->span});
  }
  for (uint32_t i = 0; metrics_too && i < t->metrics.count; i++) {
    const Term *term = &t->metrics.data[i];
    graph_add_output(
        t->graph,
        (Output){
            .kind = OUT_METRIC, .name = term->name, .node = term->sum, .weight = term->weight, .span = term->span});
  }
}

/* The losses, and the gradient of their sum by each parameter and each float input, copied from the training graph. */
static void gradient_graph(Tracer *t, Node total) {
  Graph *from = t->graphs[GRAPH_TRAIN], *to = t->graphs[GRAPH_GRADIENT];
  const uint32_t slots = from->slots.count;
  Node *nodes = ARENA_ARRAY(t->arena, Node, slots + 1), *gradients = ARENA_ARRAY(t->arena, Node, slots + 1);
  uint32_t *numbers = ARENA_ARRAY(t->arena, uint32_t, slots + 1);
  uint32_t count = 0;
  for (uint32_t i = 0; i < slots; i++) {
    const Slot *slot = &from->slots.data[i];
    if ((slot->kind != SLOT_PARAM && slot->kind != SLOT_INPUT) || !type_is_float(slot->type)) continue;
    numbers[count] = i, nodes[count++] = build_slot(from, i);
  }
  grad_reverse(from, total, NODE_NONE, nodes, count, gradients);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  for (uint32_t i = 0; i < t->losses.count; i++) {
    const Term *term = &t->losses.data[i];
    graph_add_output(to, (Output){.kind = OUT_LOSS,
                                  .name = term->name,
                                  .span = term->span,
                                  .node = graph_copy_node(from, to, term->sum, map, false),
                                  .weight = graph_copy_node(from, to, term->weight, map, false)});
  }
  for (uint32_t i = 0; i < count; i++) {
    const Slot *slot = &to->slots.data[numbers[i]];
    const Node node = gradients[i].id ? graph_copy_node(from, to, gradients[i], map, false)
                                      : build_full(to, slot->type, 0, slot->shape);
    graph_add_output(to, (Output){.kind = OUT_VALUE, .name = slot->name, .node = node, .span = slot->span});
  }
  free(map);
}

/* What gradcheck asks of functions with a derivative of their own. */
static void rules_graph(Tracer *t) {
  Graph *from = t->graphs[GRAPH_TRAIN], *to = t->program->rules = graph_like(from);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  for (uint32_t i = 0; i < t->rules.count; i++) {
    const Rule *r = &t->rules.data[i];
    const char *name = arena_text(&t->program->arena, r->name, strlen(r->name));
    const Node parts[2] = {r->given, r->derived};
    for (int k = 0; k < 2; k++)
      graph_add_output(to, (Output){.kind = OUT_VALUE, .name = name, .span = r->span,
                                    .node = graph_copy_node(from, to, parts[k], map, false)});
  }
  t->rules.count = 0;
  free(map);
}

static void trace_training(Tracer *t) {
  use_graph(t, GRAPH_TRAIN);
  t->training = true;
  if (!model_trace(t)) return;
  if (!t->losses.count) {
    Diag *d = diag_error(t->s, "no-loss", ast_node(t->tree, t->model)->name_span,
                         "the model `%s` has no loss to train by", t->program->name);
    diag_hint(t->s, d, "add a line such as `loss cross_entropy(scores, digit)`");
    return;
  }
  train_plan(t);
  suspect_model(t);
  add_terms(t, true);
  const Node total = losses_total(t, NULL);
  gradient_graph(t, total);
  rules_graph(t);
  for (uint32_t turn = 0; !t->s->errors; turn++) {
    t->train = train_block(t, turn);
    if (turn && !t->train.id) break;
    /* A later turn sees the parameters that earlier ones made, and the same draws. */
    if (turn && !model_trace(t)) return;
    const char *only = train_loss(t);
    if (t->s->errors) return;
    train_trace(t, only ? losses_total(t, only) : turn ? losses_total(t, NULL) : total);
  }
  t->every = 1;
  if (t->s->errors) return;
  states_write(t);
  train_write(t);
  train_starts(t);
}

static void trace_evaluation(Tracer *t) {
  use_graph(t, GRAPH_EVAL);
  t->training = false;
  if (!model_trace(t)) return;
  for (uint32_t i = 0; i < t->outputs.count; i++) {
    const Value v = t->outputs.data[i];
    graph_add_output(t->graph,
                     (Output){.kind = OUT_VALUE, .name = t->output_names.data[i], .node = v.node, .span = v.span});
  }
  add_terms(t, true);
  states_write(t);
}

/* Memory has room for a number for each pair of examples, not for each three; and a draw's number is at most a multiple of
 * one batch extent away from its neighbour's. */
static bool beyond_pairs(const Graph *g, Node n) {
  const Dims *dims = node_dims(g, n);
  uint32_t axes = 0;
  for (uint32_t k = 0; k < dims->rank; k++) axes += dim_is_batch(dims->dims[k]);
  if (axes < 2 || node_prim(g, n) != P_RANDOM) return axes > 2;
  uint32_t inside = 0;
  for (uint32_t k = dims->rank; k-- > 0;) {
    if (inside > 1 && dims->dims[k] != 1) return true;
    inside += dim_is_batch(dims->dims[k]);
  }
  return false;
}

static void limit_batch_axes(Tracer *t, const Graph *g) {
  uint8_t *needed = mem_zero(g->nodes.count, 1);
  for (uint32_t i = 0; i < g->outputs.count; i++)
    needed[g->outputs.data[i].node.id] = needed[g->outputs.data[i].weight.id] = 1;
  for (uint32_t id = g->nodes.count - 1; id > 0; id--) {
    const Node n = {id};
    if (!needed[id]) continue;
    for (uint32_t i = 0; i < node_data(g, n)->count; i++) needed[node_in(g, n, i).id] = 1;
    if (!beyond_pairs(g, n)) continue;
    diag_limit(t->s, "three-batch-axes", node_data(g, n)->span,
               node_prim(g, n) == P_RANDOM
                   ? "draws for pairs of examples behind other axes, of shape %s, have no meaning yet in this version"
                   : "a value for each three examples of a batch, of shape %s, has no meaning yet in this version",
               dims_text(t, node_dims(g, n)));
    break;
  }
  free(needed);
}

static void tracer_free(Tracer *t) {
  for (uint32_t i = 0; i < t->instances.count; i++) {
    for (Owned *o = t->instances.data[i]->owned; o; o = o->next) vec_free(&o->written);
  }
  vec_free(&t->instances);
  map_free(&t->instance_ids);
  vec_free(&t->calls);
  vec_free(&t->origins);
  vec_free(&t->derived);
  map_free(&t->marked);
  map_free(&t->const_values);
  vec_free(&t->consts);
  vec_free(&t->blocks);
  vec_free(&t->losses);
  vec_free(&t->metrics);
  vec_free(&t->rules);
  vec_free(&t->outputs);
  vec_free(&t->output_names);
  vec_free(&t->override_values);
}

static void take_graph(Tracer *t, uint8_t index, Graph **to) {
  *to = t->graphs[index];
  t->graphs[index] = NULL;
}

/* What is named outside of the files: by the command line, and the optimiser of a model that names none. */
static void build_scope(Session *s, Tree *tree, Ast file, const char *path, const TraceOptions *options, Scope *scope) {
  Vec(const char *) words = {0};
  vec_push(&words, "adam");
  for (uint32_t i = 0; i < options->override_count; i++) vec_push(&words, options->overrides[i].value);
  scope_build(s, tree, file, path, words.data, words.count, scope);
  vec_free(&words);
}

Program *trace_program(Session *s, Tree *tree, Ast file, const char *path, TraceOptions *options) {
  Scope scope = {0};
  if (s->errors) return NULL;
  build_scope(s, tree, file, path, options, &scope);
  const bool readable = !scope.incomplete;
  if (readable) check_file(s, tree, file, &scope);
  Program *program = mem_zero(1, sizeof *program);
  program->session = s;
  program->path = arena_text(&program->arena, path, strlen(path));
  Arena work = {0};
  Tracer t = {.s = s,
              .tree = tree,
              .scope = &scope,
              .program = program,
              .options = options,
              .arena = &work,
              .path = path,
              .file = file};
  if (readable && model_choose(&t)) {
    const char *name = name_of(&t, ast_node(tree, t.model)->name);
    program->name = arena_text(&program->arena, name, strlen(name));
    t.every = 1;
    library_range(&t);
    collect_marked(&t);
    settings_read(&t);
    for (int i = 0; i < GRAPH_DATA; i++) t.graphs[i] = graph_new(s, options->float_type);
    if (!options->no_train) trace_training(&t);
    if (!s->errors || options->no_train) trace_evaluation(&t);
    if (!s->errors && options->no_train) train_plan(&t);
    data_trace(&t);
    if (!s->errors && !options->no_train) suspect_unused(&t);
    for (int i = GRAPH_TRAIN; i <= GRAPH_EVAL; i++) limit_batch_axes(&t, t.graphs[i]);
    take_graph(&t, GRAPH_INIT, &program->init);
    take_graph(&t, GRAPH_EVAL, &program->eval);
    if (!options->no_train) take_graph(&t, GRAPH_TRAIN, &program->train);
    if (!options->no_train) take_graph(&t, GRAPH_GRADIENT, &program->gradient);
    for (int i = 0; i < GRAPH_DATA; i++) {
      if (t.graphs[i]) graph_free(t.graphs[i]);
    }
  }
  tracer_free(&t);
  scope_free(&scope);
  arena_free(&work);
  if (!s->errors) return program;
  program_free(program);
  return NULL;
}

static void line_free(DataLine *line) {
  for (uint32_t i = 0; i < line->steps.count; i++) {
    if (line->steps.data[i].function) graph_free(line->steps.data[i].function);
  }
  if (line->function) graph_free(line->function);
  vec_free(&line->steps);
  vec_free(&line->names);
}

void program_free(Program *p) {
  if (!p) return;
  Graph *graphs[] = {p->init, p->train, p->eval, p->gradient, p->rules};
  for (int i = 0; i < 5; i++) {
    if (graphs[i]) graph_free(graphs[i]);
  }
  for (uint32_t i = 0; i < p->data.count; i++) {
    for (uint32_t k = 0; k < p->data.data[i].lines.count; k++) line_free(&p->data.data[i].lines.data[k]);
    vec_free(&p->data.data[i].lines);
  }
  vec_free(&p->data);
  vec_free(&p->settings);
  vec_free(&p->starts);
  arena_free(&p->arena);
  free(p);
}
