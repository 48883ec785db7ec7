/* data.c: the `data` blocks: where each input and target comes from, and what is done to it on the way. */
#include <math.h>
#include <string.h>

#include "call.h"
#include "near.h"

typedef struct {
  Ast block; /* or none */
  DataPlan *plan;
  int number; /* of its batch symbol */
  bool known; /* is the row's shape known? */
  bool last;  /* the last step */
  Dims row;
  Type type;
  int32_t slot;
} DataWalk;

static const char *keep_text(Tracer *t, const char *text) { return arena_text(&t->program->arena, text, strlen(text)); }

/* ---- which block ---- */

static Ast block_at(Tracer *t, uint32_t n) {
  const Ast items = ast_child(t->tree, t->file, FILE_items);
  for (uint32_t i = 0; i < ast_count(t->tree, items); i++) {
    const Ast item = ast_child(t->tree, items, i);
    if (ast_kind(t->tree, item) == AST_DATA && !n--) return item;
  }
  return (Ast){0};
}

static Ast block_named(Tracer *t, Name name) {
  Ast item;
  for (uint32_t i = 0; (item = block_at(t, i)).id; i++) {
    if (name_is(ast_node(t->tree, item)->name, name)) return item;
  }
  return (Ast){0};
}

int data_block(Tracer *t, Ast source, Span at) {
  Name name = {0};
  if (source.id) {
    const AstNode node = *ast_node(t->tree, source);
    name = node.name;
    if (!block_named(t, name).id) {
      const char *near[16];
      uint32_t count = 0;
      for (Ast item; count < 16 && (item = block_at(t, count)).id;)
        near[count++] = name_of(t, ast_node(t->tree, item)->name);
      Diag *d = trace_error(t, "unknown-data", node.span, "there is no `data %s` block", name_of(t, name));
      const char *guess = near_find(name_of(t, name), near, count);
      if (guess && *guess) diag_hint(t->s, d, "did you mean `%s`?", guess);
      return -1;
    }
  } else {
    const Ast first = block_at(t, 0);
    if (block_at(t, 1).id) {
      Diag *d = trace_error(t, "data-unclear", at, "the file has several data blocks: which one is this from?");
      diag_hint(t->s, d, "add `from %s`", name_of(t, ast_node(t->tree, first)->name));
      return -1;
    }
    if (first.id) name = ast_node(t->tree, first)->name;
  }
  for (uint32_t i = 0; i < t->blocks.count; i++) {
    if (name_is(t->blocks.data[i], name)) return (int)i;
  }
  if (t->blocks.count == 4) {
    trace_limit(t, "too-many-blocks", at, "more than 4 data blocks in one model have no meaning yet");
    return -1;
  }
  vec_push(&t->blocks, name);
  return (int)t->blocks.count - 1;
}

/* ---- small graphs ---- */

static void graph_begin(Tracer *t) {
  t->graph = t->graphs[GRAPH_DATA] = graph_new(t->s, t->options->float_type);
  t->graph_index = GRAPH_DATA;
}

static Graph *graph_end(Tracer *t, Value v, Span at) {
  Graph *g = t->graphs[GRAPH_DATA];
  const bool good = !value_bad(v) && value_to_tensor(t, &v, g->float_type, at);
  if (good) graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "value", .node = v.node, .span = at});
  t->graphs[GRAPH_DATA] = NULL;
  if (good) return g;
  graph_free(g);
  return NULL;
}

/* A function of the value so far. Where a row's shape is not known, it is traced on one element and applied to each. */
static void step_function(Tracer *t, DataWalk *w, DataLine *line, Ast e, Env *env, Span at) {
  graph_begin(t);
  const Dims row = w->known ? w->row : (Dims){0};
  graph_add_slot(
      t->graph,
      (Slot){.kind = SLOT_INPUT, .name = line->name, .type = w->type, .shape = shape_of(t->graph, &row), .span = at});
  Value x = value_tensor(t, build_slot(t->graph, 0), false, at), out = value_poison();
  const Name hole = intern_text(&t->s->names, " value");
  Frame frame;
  frame_push(t, &frame, instance_get(t, text_of(t, "data.%s", line->name), at), (Ast){0}, false);
  env_bind(t, env, hole, x, at);
  if (ast_kind(t->tree, e) == AST_CALL) {
    const Ast list = ast_child(t->tree, e, CALL_args);
    const uint32_t n = ast_count(t->tree, list);
    Arg *args = ARENA_ARRAY(t->arena, Arg, n + 1);
    args[0] = (Arg){{0}, x, at};
    for (uint32_t i = 0; i < n; i++) {
      const Ast arg = ast_child(t->tree, list, i);
      const bool named = ast_kind(t->tree, arg) == AST_ARG;
      args[i + 1] = (Arg){named ? ast_node(t->tree, arg)->name : (Name){0},
                          eval(t, named ? ast_child(t->tree, arg, ARG_value) : arg, env), ast_node(t->tree, arg)->span};
    }
    out = call_value(t, eval(t, ast_child(t->tree, e, CALL_callee), env), args, n + 1, at);
  } else {
    out = call_simple(t, eval(t, e, env), &x, 1, at);
  }
  frame_pop(t);
  if (out.kind == V_TENSOR) w->type = value_type(t, out), w->row = value_dims(t, out);
  if (w->known || w->row.rank) w->known = true;
  Graph *g = graph_end(t, out, at);
  if (g) vec_push(&line->steps, ((DataStep){.kind = DATA_FUNCTION, .function = g, .span = at}));
}

/* ---- steps ---- */

static const char *callee_word(Tracer *t, Ast e) {
  if (ast_kind(t->tree, e) == AST_CALL) e = ast_child(t->tree, e, CALL_callee);
  return ast_kind(t->tree, e) == AST_NAME ? name_of(t, ast_node(t->tree, e)->name) : "";
}

/* The n-th argument by position, or the one of that name. */
static Ast argument(Tracer *t, Ast e, uint32_t n, const char *name) {
  if (ast_kind(t->tree, e) != AST_CALL) return (Ast){0};
  const Ast list = ast_child(t->tree, e, CALL_args);
  for (uint32_t i = 0, place = 0; i < ast_count(t->tree, list); i++) {
    const Ast arg = ast_child(t->tree, list, i);
    if (ast_kind(t->tree, arg) != AST_ARG) {
      if (place++ == n) return arg;
    } else if (name && !strcmp(name_of(t, ast_node(t->tree, arg)->name), name)) {
      return ast_child(t->tree, arg, ARG_value);
    }
  }
  return (Ast){0};
}

static bool whole_argument(Tracer *t, Ast e, uint32_t n, const char *name, int64_t least, int64_t *out, Env *env) {
  const Ast arg = argument(t, e, n, name);
  if (!arg.id) return false;
  const Span at = ast_node(t->tree, arg)->span;
  graph_begin(t);
  const bool known = value_whole(t, eval(t, arg, env), out, text_of(t, "`%s`", name), at);
  graph_free(t->graphs[GRAPH_DATA]);
  t->graphs[GRAPH_DATA] = NULL;
  if (known && *out < least) {
    trace_error(t, "bad-setting", at, "`%s` must be %lld or more; found %lld", name, (long long)least, (long long)*out);
    return false;
  }
  return known;
}

static const Dims *declared_row(Tracer *t, const DataWalk *w, Dims *row) {
  if (w->slot < 0) return NULL;
  const Graph *g = t->graphs[GRAPH_INIT];
  const Dims *all = shape_dims(g, g->slots.data[w->slot].shape);
  *row = (Dims){all->rank - 1, {0}};
  for (uint32_t i = 0; i < row->rank; i++) row->dims[i] = all->dims[i + 1];
  return row;
}

static void step_scale(Tracer *t, DataLine *line, Ast e, Env *env, Span at) {
  const Ast arg = argument(t, e, 0, "factor");
  double factor;
  if (!arg.id) {
    trace_error(t, "missing-argument", at, "`scale` needs a factor: `scale(1 / 255)`");
    return;
  }
  graph_begin(t);
  if (value_known_number(t, eval(t, arg, env), &factor, "the factor", ast_node(t->tree, arg)->span))
    vec_push(&line->steps, ((DataStep){.kind = DATA_SCALE, .number = factor, .span = at}));
  graph_free(t->graphs[GRAPH_DATA]);
  t->graphs[GRAPH_DATA] = NULL;
}

static void step_reshape(Tracer *t, DataWalk *w, DataLine *line, Ast e, Env *env, Span at) {
  const Ast arg = argument(t, e, 0, "shape");
  Dims dims;
  graph_begin(t);
  const Value v = arg.id ? eval(t, arg, env) : value_poison();
  if (!arg.id) trace_error(t, "missing-argument", at, "`reshape` needs a shape: `reshape([28, 28, 1])`");
  if (shape_from_value(t, v, &dims, at)) {
    int64_t old = 0, new = 0;
    if (w->known && dims_size(&w->row, 1, &old) && dims_size(&dims, 1, &new) && old != new) {
      trace_error(t, "shape-mismatch", at, "a row of shape %s has %lld elements, %s has %lld", dims_text(t, &w->row),
                  (long long)old, dims_text(t, &dims), (long long)new);
    } else {
      vec_push(&line->steps, ((DataStep){.kind = DATA_RESHAPE, .shape = dims, .span = at}));
      w->known = true, w->row = dims;
    }
  }
  graph_free(t->graphs[GRAPH_DATA]);
  t->graphs[GRAPH_DATA] = NULL;
}

static void step_flatten(Tracer *t, DataWalk *w, DataLine *line, Span at) {
  Dims flat = {1, {0}}, declared;
  if (w->known) {
    dims_size(&w->row, 1, &flat.dims[0]);
  } else if (declared_row(t, w, &declared) && declared.rank == 1) {
    flat = declared;
  } else {
    trace_error(t, "not-known", at, "`flatten` needs to know the row's shape: use `reshape([n])`");
    return;
  }
  vec_push(&line->steps, ((DataStep){.kind = DATA_RESHAPE, .shape = flat, .span = at}));
  w->known = true, w->row = flat;
}

/* In training only: flip; crop(pad = 4), moved by up to 4 pixels; noise(0.05), a normal deviation. */
static void step_augment(Tracer *t, DataLine *line, Ast e, const char *word, Env *env, Span at) {
  DataStep step = {.kind = DATA_AUGMENT, .text = keep_text(t, word), .span = at};
  const bool crop = !strcmp(word, "crop"), noise = !strcmp(word, "noise");
  const Ast arg = argument(t, e, 0, crop ? "pad" : "deviation");
  if ((crop || noise) && !arg.id) {
    trace_error(t, "missing-argument", at,
                crop ? "`crop` needs how far it may move: `crop(pad = 4)`"
                     : "`noise` needs a deviation: `noise(0.05)`");
    return;
  }
  if (crop && !whole_argument(t, e, 0, "pad", 0, &step.length, env)) return;
  if (noise) {
    graph_begin(t);
    const bool known =
        value_known_number(t, eval(t, arg, env), &step.number, "the deviation", ast_node(t->tree, arg)->span);
    graph_free(t->graphs[GRAPH_DATA]);
    t->graphs[GRAPH_DATA] = NULL;
    if (!known) return;
  }
  vec_push(&line->steps, step);
}

static void data_step(Tracer *t, DataWalk *w, DataLine *line, Ast e, Env *env) {
  const Span at = ast_node(t->tree, e)->span;
  const char *word = callee_word(t, e);
  int64_t n = 0, shift = 0;
  if (!strcmp(word, "scale")) {
    step_scale(t, line, e, env, at);
  } else if (!strcmp(word, "standardize")) {
    vec_push(&line->steps, ((DataStep){.kind = DATA_STANDARDIZE, .span = at}));
    w->type = t->options->float_type;
  } else if (!strcmp(word, "categories")) {
    vec_push(&line->steps, ((DataStep){.kind = DATA_CATEGORIES, .span = at}));
    w->type = TYPE_I32;
  } else if (!strcmp(word, "one_hot")) {
    if (!whole_argument(t, e, 0, "classes", 1, &n, env)) {
      if (!argument(t, e, 0, "classes").id)
        trace_error(t, "missing-argument", at, "`one_hot` of data needs the number of classes: `one_hot(10)`");
      return;
    }
    const Dims shape = {1, {n}};
    vec_push(&line->steps, ((DataStep){.kind = DATA_ONE_HOT, .shape = shape, .span = at}));
    if (w->known && w->row.rank < GRAPH_MAX_RANK - 1) w->row.dims[w->row.rank++] = n;
    w->type = t->options->float_type;
  } else if (!strcmp(word, "reshape")) {
    step_reshape(t, w, line, e, env, at);
  } else if (!strcmp(word, "flatten")) {
    step_flatten(t, w, line, at);
  } else if (!strcmp(word, "windows")) {
    if (!whole_argument(t, e, 0, "n", 1, &n, env)) {
      if (!argument(t, e, 0, "n").id) trace_error(t, "missing-argument", at, "`windows` needs a length: `windows(12)`");
      return;
    }
    whole_argument(t, e, 1, "shift", 0, &shift, env);
    vec_push(&line->steps, ((DataStep){.kind = DATA_WINDOWS, .length = n, .shift = shift, .span = at}));
    if (w->known) {
      for (uint32_t i = w->row.rank; i-- > 0;) w->row.dims[i + 1] = w->row.dims[i];
      w->row.dims[0] = n, w->row.rank++;
    }
  } else if (!strcmp(word, "flip") || !strcmp(word, "crop") || !strcmp(word, "noise")) {
    step_augment(t, line, e, word, env, at);
  } else {
    Dims declared;
    if (!w->known && declared_row(t, w, &declared)) {
      bool reshaped = false;
      for (uint32_t i = 0; i < line->steps.count; i++) reshaped = reshaped || line->steps.data[i].kind == DATA_WINDOWS;
      if (!reshaped && w->last) w->known = true, w->row = declared;
    }
    step_function(t, w, line, e, env, at);
  }
}

/* ---- sources ---- */

/* The name of a column: written as a name, or as a string where it is none. */
static const char *column_name(Tracer *t, Ast e) {
  const AstNode *node = ast_node(t->tree, e);
  if (node->kind == AST_NAME) return keep_text(t, name_of(t, node->name));
  if (node->kind == AST_STRING) return keep_text(t, node->text);
  Diag *d = trace_error(t, "bad-column", node->span, "a column's name is needed here");
  diag_hint(t->s, d, "a name that is no word is written as a string: `column(\"my column\")`");
  return NULL;
}

static void add_column(Tracer *t, DataLine *line, Ast e) {
  const char *name = column_name(t, e);
  if (name) vec_push(&line->names, name);
}

static void source_columns(Tracer *t, DataWalk *w, DataLine *line, Ast call, bool one) {
  const Ast list = ast_child(t->tree, call, CALL_args);
  const uint32_t n = ast_count(t->tree, list);
  const Span at = ast_node(t->tree, call)->span;
  const Ast first = ast_child(t->tree, list, 0);
  if (!n || (one && n != 1)) {
    trace_error(t, "missing-argument", at,
                one ? "`column` takes one name; several are `columns(a, b)`"
                    : "`columns` takes names, `columns(a, b)`, or a range, `columns(a .. z)`");
    return;
  }
  line->source = DATA_COLUMNS;
  if (!one && n == 1 && ast_kind(t->tree, first) == AST_BINARY && ast_node(t->tree, first)->op == OP_RANGE) {
    line->is_range = true;
    add_column(t, line, ast_child(t->tree, first, BINARY_left));
    add_column(t, line, ast_child(t->tree, first, BINARY_right));
    w->known = false;
    return;
  }
  for (uint32_t i = 0; i < n; i++) add_column(t, line, ast_child(t->tree, list, i));
  w->known = true, w->row = one ? (Dims){0} : (Dims){1, {n}};
}

static void source_array(Tracer *t, DataWalk *w, DataLine *line, Ast call) {
  const Ast name = argument(t, call, 0, "name"), test = argument(t, call, 1, "test");
  line->source = DATA_ARRAY;
  w->known = false;
  if (!name.id) {
    trace_error(t, "missing-argument", ast_node(t->tree, call)->span,
                "`array` takes the name of an array or of a file");
    return;
  }
  add_column(t, line, name);
  if (test.id) add_column(t, line, test);
}

static void source_characters(Tracer *t, DataWalk *w, DataLine *line, Ast call, Env *env) {
  line->source = DATA_CHARACTERS;
  if (!whole_argument(t, call, 0, "length", 1, &line->length, env)) {
    if (!argument(t, call, 0, "length").id)
      trace_error(t, "missing-argument", ast_node(t->tree, call)->span,
                  "`characters` takes the length of a window: `characters(64)`");
    return;
  }
  whole_argument(t, call, 1, "shift", 0, &line->shift, env);
  w->known = true, w->row = (Dims){1, {line->length}}, w->type = TYPE_I32;
}

static int earlier_line(const DataPlan *plan, const char *name, uint32_t before) {
  for (uint32_t i = before; i-- > 0;) {
    if (!strcmp(plan->lines.data[i].name, name)) return (int)i;
  }
  return -1;
}

static bool mentions_draw(Tracer *t, Ast e);

static const char *const draws[] = {"uniform", "normal", "truncated_normal", "bernoulli", "categorical",
                                    "zeros",   "ones",   "constant"};

/* Is there a distribution in the expression? Then a row is drawn, not read. */
static bool mentions_draw(Tracer *t, Ast e) {
  const AstNode *node = ast_node(t->tree, e);
  if (!e.id) return false;
  if (node->kind == AST_NAME) {
    for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
      if (!strcmp(name_of(t, node->name), draws[i])) return true;
    }
    return false;
  }
  for (uint32_t i = 0; i < node->count; i++) {
    if (mentions_draw(t, ast_child(t->tree, e, i))) return true;
  }
  return false;
}

/* Helpers and lines before this one, as values: drawn again, at their own sites, so to the same numbers. */
static Value drawn_value(Tracer *t, const DataWalk *w, Ast setting);

static void bind_earlier(Tracer *t, const DataWalk *w, Ast until, Env *env) {
  const Ast list = ast_child(t->tree, w->block, DATA_settings);
  for (uint32_t i = 0; i < ast_count(t->tree, list); i++) {
    const Ast setting = ast_child(t->tree, list, i);
    if (setting.id == until.id) return;
    const AstNode node = *ast_node(t->tree, setting);
    if (node.kind != AST_SETTING) continue;
    if (earlier_line(w->plan, name_of(t, node.name), w->plan->lines.count) < 0) continue;
    env_bind(t, env, node.name, drawn_value(t, w, setting), node.span);
  }
}

static Value drawn_value(Tracer *t, const DataWalk *w, Ast setting) {
  const AstNode node = *ast_node(t->tree, setting);
  Env env = {0};
  bind_earlier(t, w, setting, &env);
  const char *site = text_of(t, "data.%s.%s", w->plan->name, name_of(t, node.name));
  const char *old = t->draw_name;
  const uint32_t count = t->draw_count;
  t->draw_name = site, t->draw_count = 0;
  const bool in_data = t->in_data;
  t->in_data = true;
  Value v = eval(t, ast_child(t->tree, setting, SETTING_value), &env);
  if (v.kind == V_DISTRIBUTION && !value_to_tensor(t, &v, t->graph->float_type, node.span)) v = value_poison();
  t->in_data = in_data;
  t->draw_name = old, t->draw_count = count;
  return v;
}

static void source_drawn(Tracer *t, DataWalk *w, DataLine *line, Ast setting, Span at) {
  line->source = DATA_DRAWN;
  graph_begin(t);
  Value v = drawn_value(t, w, setting);
  if (v.kind == V_TENSOR) w->known = true, w->row = value_dims(t, v), w->type = value_type(t, v);
  line->function = graph_end(t, v, at);
}

/* ---- lines ---- */

static void check_row(Tracer *t, const DataWalk *w, const DataLine *line) {
  Dims declared;
  if (!w->known || t->s->errors || !declared_row(t, w, &declared) || dims_equal(&declared, &w->row)) return;
  const Slot *slot = &t->graphs[GRAPH_INIT]->slots.data[w->slot];
  Diag *d = trace_error(t, "shape-mismatch", line->span, "this gives `%s` rows of shape %s; its type says %s",
                        line->name, dims_text(t, &w->row), dims_text(t, &declared));
  diag_note(t->s, d, slot->span, "`%s` is declared here", line->name);
}

static int32_t slot_of(Tracer *t, const DataWalk *w, const char *name) {
  const Graph *g = t->graphs[GRAPH_INIT];
  for (uint32_t i = 0; i < g->slots.count; i++) {
    const Slot *slot = &g->slots.data[i];
    if (slot->kind <= SLOT_TARGET && !strcmp(slot->name, name) &&
        shape_dims(g, slot->shape)->dims[0] == DIM_BATCH - w->number)
      return (int32_t)i;
  }
  return -1;
}

static void data_line(Tracer *t, DataWalk *w, Ast setting) {
  const AstNode node = *ast_node(t->tree, setting);
  const char *name = name_of(t, node.name);
  DataLine line = {.name = keep_text(t, name), .span = node.span, .missing = (uint8_t)w->plan->missing};
  w->slot = line.slot = slot_of(t, w, name);
  w->known = false, w->row = (Dims){0}, w->type = t->options->float_type;
  Ast steps[64], e = ast_child(t->tree, setting, SETTING_value);
  uint32_t count = 0;
  for (; ast_kind(t->tree, e) == AST_PIPE && count < 64; e = ast_child(t->tree, e, PIPE_value))
    steps[count++] = ast_child(t->tree, e, PIPE_function);
  const AstNode source = *ast_node(t->tree, e);
  const char *word = callee_word(t, e);
  const int earlier = source.kind == AST_NAME ? earlier_line(w->plan, word, w->plan->lines.count) : -1;
  Env env = {0};
  if (source.kind == AST_CALL && (!strcmp(word, "column") || !strcmp(word, "columns"))) {
    source_columns(t, w, &line, e, !strcmp(word, "column"));
  } else if (source.kind == AST_CALL && !strcmp(word, "array")) {
    source_array(t, w, &line, e);
  } else if (source.kind == AST_CALL && !strcmp(word, "characters")) {
    source_characters(t, w, &line, e, &env);
  } else if (earlier >= 0 && w->plan->lines.data[earlier].source != DATA_DRAWN) {
    line.source = DATA_LINE, line.line = (uint32_t)earlier;
  } else if (mentions_draw(t, e) || w->plan->size) {
    source_drawn(t, w, &line, setting, node.span);
    count = 0; /* the pipeline is part of what is drawn */
  } else {
    Diag *d = trace_error(
        t, "bad-source", source.span,
        "`%s` is read from `column(..)`, `columns(..)`, `array(..)`, `characters(n)` or an earlier line", name);
    if (source.kind == AST_NAME) diag_hint(t->s, d, "a column called `%s` is `column(%s)`", word, word);
  }
  const uint32_t errors = t->s->errors;
  while (count-- > 0 && t->s->errors == errors) {
    w->last = count == 0;
    data_step(t, w, &line, steps[count], &env);
  }
  check_row(t, w, &line);
  vec_push(&w->plan->lines, line);
}

/* ---- settings of the block ---- */

static bool missing_word(Tracer *t, Ast value, MissingKind *out) {
  const char *word = callee_word(t, value);
  if (!strcmp(word, "error")) return *out = MISSING_ERROR, true;
  if (!strcmp(word, "drop")) return *out = MISSING_DROP, true;
  if (!strcmp(word, "keep")) return *out = MISSING_KEEP, true;
  trace_error(t, "bad-setting", ast_node(t->tree, value)->span, "`missing` is `error`, `drop` or `keep`");
  return false;
}

static void split_setting(Tracer *t, DataPlan *plan, Ast value) {
  const AstNode node = *ast_node(t->tree, value);
  const char *word = callee_word(t, value);
  Env env = {0};
  plan->split_span = node.span;
  if (node.kind == AST_STRING) {
    plan->split = SPLIT_FILE, plan->split_text = keep_text(t, node.text);
  } else if (node.kind == AST_CALL && !strcmp(word, "every")) {
    int64_t n = 0;
    if (whole_argument(t, value, 0, "n", 2, &n, &env))
      plan->split = SPLIT_EVERY, plan->split_number = (double)n;
    else if (!t->s->errors)
      trace_error(t, "missing-argument", node.span, "`every` takes a number: `every(5)`");
  } else if (node.kind == AST_CALL && !strcmp(word, "fraction")) {
    const Ast arg = argument(t, value, 0, "f");
    double f = 0;
    graph_begin(t);
    const bool known = arg.id && value_known_number(t, eval(t, arg, &env), &f, "the fraction", node.span);
    graph_free(t->graphs[GRAPH_DATA]);
    t->graphs[GRAPH_DATA] = NULL;
    if (known && f > 0 && f < 1)
      plan->split = SPLIT_FRACTION, plan->split_number = f;
    else if (known || !arg.id)
      trace_error(t, "bad-setting", node.span, "`fraction` takes a number between 0 and 1: the part that is held out");
  } else if (node.kind == AST_CALL && !strcmp(word, "column")) {
    const Ast arg = argument(t, value, 0, "name");
    const char *name = arg.id ? column_name(t, arg) : NULL;
    if (name) plan->split = SPLIT_COLUMN, plan->split_text = name;
  } else {
    trace_error(t, "bad-setting", node.span,
                "`split` is `every(5)`, `fraction(0.2)`, `column(name)` or the file of the held-out part");
  }
}

static const char *text_setting(Tracer *t, Ast value, const char *what) {
  const AstNode *node = ast_node(t->tree, value);
  if (node->kind == AST_STRING) return keep_text(t, node->text);
  if (node->kind == AST_NAME) return keep_text(t, name_of(t, node->name));
  trace_error(t, "bad-setting", node->span, "`%s` is a string", what);
  return NULL;
}

/* True if the setting is one of the block's own words. */
static bool block_setting(Tracer *t, DataPlan *plan, Ast setting) {
  const AstNode node = *ast_node(t->tree, setting);
  const char *name = name_of(t, node.name);
  const Ast value = ast_child(t->tree, setting, SETTING_value);
  if (!strcmp(name, "file")) {
    if (ast_kind(t->tree, value) == AST_STRING)
      plan->file = text_setting(t, value, name);
    else
      trace_error(t, "bad-setting", ast_node(t->tree, value)->span, "`file` is a string: `file = \"data.csv\"`");
    plan->file_span = node.span;
  } else if (!strcmp(name, "format")) {
    plan->format = text_setting(t, value, name);
  } else if (!strcmp(name, "separator")) {
    const char *text = text_setting(t, value, name);
    if (text && strlen(text) == 1)
      plan->separator = text[0];
    else if (text)
      trace_error(t, "bad-setting", node.span, "`separator` is one character");
  } else if (!strcmp(name, "header")) {
    if (ast_kind(t->tree, value) == AST_BOOL)
      plan->header = ast_node(t->tree, value)->flag;
    else
      trace_error(t, "bad-setting", node.span, "`header` is `true` or `false`");
  } else if (!strcmp(name, "split")) {
    split_setting(t, plan, value);
  } else if (!strcmp(name, "size")) {
    Env env = {0};
    graph_begin(t);
    if (value_whole(t, eval(t, value, &env), &plan->size, "`size`", node.span) && plan->size < 1)
      trace_error(t, "bad-setting", node.span, "`size` must be 1 or more");
    graph_free(t->graphs[GRAPH_DATA]);
    t->graphs[GRAPH_DATA] = NULL;
  } else if (!strcmp(name, "missing")) {
    MissingKind kind;
    if (!node.text && missing_word(t, value, &kind)) plan->missing = kind;
  } else {
    return false;
  }
  return true;
}

static void missing_for(Tracer *t, DataPlan *plan, Ast setting) {
  const AstNode node = *ast_node(t->tree, setting);
  MissingKind kind;
  if (node.kind != AST_SETTING || !node.text || strcmp(name_of(t, node.name), "missing")) return;
  if (!missing_word(t, ast_child(t->tree, setting, SETTING_value), &kind)) return;
  bool found = false;
  for (uint32_t i = 0; i < plan->lines.count; i++) {
    if (!glob_match(node.text, plan->lines.data[i].name)) continue;
    plan->lines.data[i].missing = (uint8_t)kind, found = true;
  }
  if (!found) trace_error(t, "no-match", node.span, "no input or target is called \"%s\"", node.text);
}

/* Inputs and targets without a line are found by their names. */
static void implied_lines(Tracer *t, DataWalk *w) {
  const Graph *g = t->graphs[GRAPH_INIT];
  for (uint32_t i = 0; i < g->slots.count; i++) {
    const Slot *slot = &g->slots.data[i];
    if (slot->kind > SLOT_TARGET || shape_dims(g, slot->shape)->dims[0] != DIM_BATCH - w->number) continue;
    if (earlier_line(w->plan, slot->name, w->plan->lines.count) >= 0) continue;
    if (w->plan->size) {
      Diag *d = trace_error(t, "not-drawn", slot->span, "`%s` is not drawn in the data block, which reads no file",
                            slot->name);
      diag_note(t->s, d, w->plan->span, "the block");
      continue;
    }
    DataLine line = {.name = keep_text(t, slot->name),
                     .slot = (int32_t)i,
                     .source = DATA_COLUMNS,
                     .implied = true,
                     .missing = (uint8_t)w->plan->missing,
                     .span = slot->span};
    vec_push(&line.names, keep_text(t, slot->name));
    vec_push(&w->plan->lines, line);
  }
}

static void data_plan(Tracer *t, Name name, int number) {
  DataPlan plan = {.name = keep_text(t, name_of(t, name)), .header = -1};
  DataWalk w = {.block = block_named(t, name), .plan = &plan, .number = number};
  const Ast list = ast_child(t->tree, w.block, DATA_settings);
  const uint32_t n = ast_count(t->tree, list);
  if (w.block.id) plan.span = ast_node(t->tree, w.block)->span;
  uint64_t own[16] = {0}; /* settings that are the block's own words */
  for (uint32_t i = 0; i < n && i < 1024; i++) {
    const Ast setting = ast_child(t->tree, list, i);
    if (ast_kind(t->tree, setting) == AST_SETTING && block_setting(t, &plan, setting)) own[i / 64] |= 1ull << i % 64;
  }
  for (uint32_t i = 0; i < n && i < 1024; i++) {
    const Ast setting = ast_child(t->tree, list, i);
    if (ast_kind(t->tree, setting) == AST_SETTING && !(own[i / 64] >> i % 64 & 1)) data_line(t, &w, setting);
  }
  for (uint32_t i = 0; i < n; i++) missing_for(t, &plan, ast_child(t->tree, list, i));
  implied_lines(t, &w);
  vec_push(&t->program->data, plan);
}

void data_trace(Tracer *t) {
  if (!t->blocks.count && t->s->errors) return;
  if (!t->blocks.count) data_block(t, (Ast){0}, (Span){0});
  for (uint32_t i = 0; i < t->blocks.count; i++) data_plan(t, t->blocks.data[i], (int)i);
}
