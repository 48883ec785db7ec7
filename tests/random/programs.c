/* programs.c: random programs of the whole language (draw.h). On each: the graphs' texts parse back to the same graphs; the
 * gradients are central differences in double; every pass left out, and all of them, gives the same values; the same program
 * written otherwise (renamed, reordered, functions inlined, x + 0, split sums) gives the same values; machine code gives the
 * oracle's values, with 1, 2 and 3 threads and another tile the same bits; so does a step of training.
 *
 *   test_random_programs FROM COUNT      the seeds FROM .. FROM + COUNT - 1
 *   SHOW=1 EACH=1 test_random_programs SEED 1   one program, shown, with every check; else a seed has some of each kind
 *
 * The programs run in a process of their own. Where one fails, or ends that process, its seed is printed, and the program made
 * as small as it can be while it fails at the same check. */
#define _GNU_SOURCE
#include "evaluate.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build.h"
#include "draw.h"
#include "loops.h"
#include "passes.h"

/* Most of the time goes into making code: AddressSanitizer's own work on LLVM's memory is kept small. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "malloc_context_size=1:quarantine_size_mb=16:max_malloc_fill_size=0"; }

enum { FAILED = 9, POINTS = 3, DIRECTIONS = 4, SECONDS = 60 };

/* What both processes see. */
typedef struct {
  uint64_t seed;
  char what[96]; /* the check that failed */
  int64_t programs, nodes, differences, unclear, points, unclear_code, compared, layers_of_checks, statements;
  double worst_difference, worst_code, worst_style;
} Shared;
static Shared *shared; /* of this process and its child */
static char folder[] = "/tmp/gradc-programs-XXXXXX"; /* where a program is said to stand; what it imports does */

static _Noreturn void failed(const char *what, const char *format, ...) {
  va_list args;
  va_start(args, format);
  snprintf(shared->what, sizeof shared->what, "%s", what);
  fprintf(stderr, "  %s: ", what);
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  fflush(NULL);
  _exit(FAILED);
}

/* ---- opening ---- */

/* The slot's elements, by the batch of its own data block; false where they are too many. */
static bool slot_size(const Evaluation *e, const Graph *g, const Slot *s, int64_t *size) {
  const Dims *d = shape_dims(g, s->shape);
  return dims_size(d, d->rank && dim_is_batch(d->dims[0]) ? e->batch[DIM_BATCH - d->dims[0]] : 1, size);
}

static void open_text(Evaluation *e, const char *text, Type type, int64_t batch) {
  *e = (Evaluation){.batch = {batch, batch + 1, 1, 1}, .options = {.trace = {.float_type = type, .seed = 1}}};
  const Source *source = source_add(&e->session.sources, "program.nn", text, strlen(text), false);
  const Ast file = parse_source(&e->session, &e->tree, source);
  char path[64];
  snprintf(path, sizeof path, "%s/program.nn", folder);
  if (!e->session.errors) e->program = trace_program(&e->session, &e->tree, file, path, &e->options.trace);
  if (!e->program) {
    Text out = {0};
    const Diag *d = e->session.diags;
    while (d && d->kind == DIAG_WARNING) d = d->next;
    char what[96];
    snprintf(what, sizeof what, "refused: %s", d ? d->slug : "");
    render_text(&e->session, &out, false);
    failed(what, "%s", text_get(&out));
  }
  const Graph *g = e->program->eval;
  e->count = g->slots.count;
  if (e->count > EVALUATION_SLOTS) failed("slots", "%u", e->count);
  for (uint32_t i = 0; i < e->count; i++) {
    if (!slot_size(e, g, &g->slots.data[i], &e->sizes[i])) failed("slots", "too large");
    e->slots[i] = mem_zero((size_t)e->sizes[i] + 1, sizeof(double));
  }
}

static bool is_float(Type t) { return t == TYPE_F32 || t == TYPE_F64; }

static double real(uint64_t *state) { return (double)(rp_mix(*state += 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53; }

/* Inputs, and parameters beside their start, so that no two are equal and none is 0. Other draws at each `point`. */
static void fill(Evaluation *e, uint64_t seed, int point) {
  uint64_t state = seed * 31 + (uint64_t)point * 1000003;
  evaluation_start(e);
  for (uint32_t i = 0; i < e->count; i++) {
    const Slot *s = &e->program->eval->slots.data[i];
    for (int64_t k = 0; k < e->sizes[i]; k++) {
      const double u = real(&state);
      if (slot_is_feed(s)) e->slots[i][k] = is_float(s->type) ? 3 * u - 1.5 : s->type == TYPE_BOOL ? u < 0.5 : s->classes ? floor(u * s->classes) : floor(7 * u) - 3;
      else if (s->kind == SLOT_PARAM) e->slots[i][k] += 0.2 * (u - 0.5);
      if (s->type == TYPE_F32) e->slots[i][k] = (double)(float)e->slots[i][k];
    }
  }
}

/* ---- values by the oracle ---- */

typedef struct {
  double *data;
  int64_t count;
} Values;
typedef struct {
  Values *of; /* of each output that is not a slot's, and of each slot's new value */
  uint32_t count;
} Outcome;

static Outcome outcome(const Graph *g, const InterpInput *input) {
  Outcome r = {mem_zero(g->outputs.count + 1, sizeof(Values)), g->outputs.count};
  Interp *interp = interp_new(g, input);
  for (uint32_t i = 0; i < r.count; i++) {
    const Output *o = &g->outputs.data[i];
    const double *v = interp_value(interp, o->node, &r.of[i].count);
    r.of[i].data = mem_alloc(sizeof *v * (size_t)(r.of[i].count + 1));
    memcpy(r.of[i].data, v, sizeof *v * (size_t)r.of[i].count);
    if (!o->weight.id) continue;
    const double w = *interp_value(interp, o->weight, NULL);
    for (int64_t k = 0; k < r.of[i].count; k++) r.of[i].data[k] = w != 0 ? r.of[i].data[k] / w : 0;
  }
  interp_free(interp);
  return r;
}

static void outcome_free(Outcome *r) {
  for (uint32_t i = 0; i < r->count; i++) free(r->of[i].data);
  free(r->of);
}

static double largest(const Values *v) {
  double most = 0;
  for (int64_t i = 0; i < v->count; i++) most = fabs(v->data[i]) > most ? fabs(v->data[i]) : most;
  return most;
}

/* The largest difference, of the largest value or 1; infinite where one is NaN and the other not. */
static double apart(const Values *a, const Values *b) {
  const double scale = fmax(1, largest(a));
  double worst = a->count == b->count ? 0 : INFINITY;
  for (int64_t i = 0; i < a->count && worst < INFINITY; i++) {
    if (a->data[i] == b->data[i] || (isnan(a->data[i]) && isnan(b->data[i]))) continue;
    const double d = fabs(a->data[i] - b->data[i]) / scale;
    worst = d <= worst ? worst : isnan(d) ? INFINITY : d;
  }
  return worst;
}

/* What a change of all floats by 1e-13 of themselves does to each output, of its largest value: how much of a difference is no
 * fault of ours. To be freed. */
static double *sensitivity(Evaluation *e, const Graph *g, InterpInput input) {
  const Outcome a = outcome(g, &input);
  double *kept[EVALUATION_SLOTS];
  uint64_t state = 77;
  for (uint32_t i = 0; i < e->count; i++) {
    kept[i] = e->slots[i];
    if (!is_float(g->slots.data[i].type)) continue;
    e->slots[i] = mem_alloc(sizeof(double) * (size_t)(e->sizes[i] + 1));
    for (int64_t k = 0; k < e->sizes[i]; k++) e->slots[i][k] = kept[i][k] * (1 + 2e-13 * (real(&state) - 0.5));
  }
  Outcome b = outcome(g, &input), first = a;
  double *s = mem_zero(a.count + 1, sizeof *s);
  for (uint32_t i = 0; i < a.count; i++) s[i] = apart(&a.of[i], &b.of[i]);
  for (uint32_t i = 0; i < e->count; i++) {
    if (e->slots[i] != kept[i]) free(e->slots[i]);
    e->slots[i] = kept[i];
  }
  outcome_free(&first), outcome_free(&b);
  return s;
}

/* Both outcomes of graphs with equal outputs, to 1e-12, or to a hundred times what changes of the inputs by 1e-13 do. */
static void same(Evaluation *e, const Graph *g, const InterpInput *input, const Outcome *a, const Outcome *b, const char *what) {
  double *limits = NULL;
  for (uint32_t i = 0; i < a->count; i++) {
    const double d = apart(&a->of[i], &b->of[i]);
    if (d <= 1e-12) continue;
    if (!limits) limits = sensitivity(e, g, *input);
    if (d <= 100 * limits[i]) continue;
    const Output *o = &g->outputs.data[i];
    failed(what, "%s differs by %.2g (sensitivity %.2g)", o->kind == OUT_SLOT ? g->slots.data[o->slot].name : o->name, d, limits[i]);
  }
  free(limits);
}

/* ---- the checks ---- */

static void check_text(Evaluation *e, const Graph *g, const char *which) {
  Text once = {0}, twice = {0};
  const char *error = NULL, *wrong = graph_verify(g);
  if (wrong) failed("verify", "%s: %s", which, wrong);
  graph_print(g, &once);
  Graph *again = graph_parse(&e->session, text_get(&once), &error);
  if (!again) failed("text", "%s: %s", which, error);
  graph_print(again, &twice);
  if (strcmp(text_get(&once), text_get(&twice))) failed("text", "%s: parses to another graph", which);
  graph_free(again), text_free(&once), text_free(&twice);
}

static void check_finite(const Graph *g, const Outcome *r) {
  for (uint32_t i = 0; i < r->count; i++)
    for (int64_t k = 0; k < r->of[i].count; k++)
      if (!isfinite(r->of[i].data[k]))
        failed("finite", "%s, element %lld is %g", g->outputs.data[i].name ? g->outputs.data[i].name : "a slot", (long long)k, r->of[i].data[k]);
}

/* Every pass left out, one after the other where `each`, else one of them by the seed. */
static void check_passes(Evaluation *e, const Graph *g, const InterpInput *input, const Outcome *want, uint64_t seed, bool each) {
  static const char *const names[] = {
#define PASS(name, function, purpose) #name,
#define PASS_WHERE(name, function, option, purpose)
#include "passes.def"
#undef PASS
#undef PASS_WHERE
      "all"};
  const size_t count = sizeof names / sizeof *names;
  for (size_t i = 0; i < count; i++) {
    if (!each && i != seed % count) continue;
    char what[64];
    const PassOptions options = {.without = names[i]};
    Graph *made = passes_run(g, &options);
    snprintf(what, sizeof what, "without the pass %s", names[i]);
    Outcome r = outcome(made, input);
    same(e, g, input, want, &r, what);
    outcome_free(&r), graph_free(made);
  }
}

/* -- differences -- */

static double total_loss(const Graph *g, const InterpInput *input) {
  Interp *interp = interp_new(g, input);
  double total = 0;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->kind != OUT_LOSS) continue;
    const double w = o->weight.id ? *interp_value(interp, o->weight, NULL) : 1;
    if (w != 0) total += *interp_value(interp, o->node, NULL) / w;
  }
  interp_free(interp);
  return total;
}

/* A graph of the losses alone. */
static Graph *losses_of(const Graph *from) {
  Graph *g = graph_like(from);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    Output o = from->outputs.data[i];
    if (o.kind != OUT_LOSS) continue;
    o.node = graph_copy_node(from, g, o.node, map, true);
    if (o.weight.id) o.weight = graph_copy_node(from, g, o.weight, map, true);
    graph_add_output(g, o);
  }
  free(map);
  return g;
}

static double difference(Evaluation *e, const Graph *g, const InterpInput *input, double *const *direction, double h) {
  static const double steps[] = {-2, -1, 1, 2}, weights[] = {1, -8, 8, -1};
  double *kept[EVALUATION_SLOTS], sum = 0;
  for (uint32_t i = 0; i < e->count; i++) {
    kept[i] = e->slots[i];
    if (direction[i]) e->slots[i] = mem_alloc(sizeof(double) * (size_t)(e->sizes[i] + 1));
  }
  for (int s = 0; s < 4; s++) {
    for (uint32_t i = 0; i < e->count; i++)
      for (int64_t k = 0; direction[i] && k < e->sizes[i]; k++) e->slots[i][k] = kept[i][k] + steps[s] * h * direction[i][k];
    sum += weights[s] * total_loss(g, input);
  }
  for (uint32_t i = 0; i < e->count; i++)
    if (direction[i]) free(e->slots[i]), e->slots[i] = kept[i];
  return sum / (12 * h);
}

/* The gradient's slot of an output, or none. */
static int gradient_slot(const Evaluation *e, const Graph *g, const Output *o) {
  if (o->kind != OUT_VALUE) return -1;
  for (uint32_t i = 0; i < e->count; i++) {
    const Slot *s = &g->slots.data[i];
    if (!strcmp(s->name, o->name) && is_float(s->type) && (s->kind == SLOT_PARAM || s->kind == SLOT_INPUT)) return (int)i;
  }
  return -1;
}

/* One direction: -1 where differences do not settle, else how far they are from the gradient, of the largest gradient. */
static double one_direction(Evaluation *e, const Graph *losses, const InterpInput *input, double *const *direction, double exact, double scale) {
  double before = difference(e, losses, input, direction, 1e-3);
  for (double h = 2.5e-4; h > 1e-6; h /= 4) {
    const double now = difference(e, losses, input, direction, h);
    if (fabs(now - before) <= 1e-7 * scale) return fabs(now - exact) / scale;
    before = now;
  }
  return -1;
}

/* The largest error at this point; *clear: how many directions could be judged. */
static double check_point(Evaluation *e, const Graph *losses, const InterpInput *input, const Outcome *r, uint64_t seed, int *clear) {
  const Graph *g = e->program->gradient;
  double scale = fmax(1e-3, 1e-4 * fabs(total_loss(losses, input))), worst = 0;
  uint64_t state = seed * 3 + 11;
  for (uint32_t i = 0; i < r->count; i++)
    if (gradient_slot(e, g, &g->outputs.data[i]) >= 0) scale = fmax(scale, largest(&r->of[i]));
  for (int d = 0; d < DIRECTIONS; d++) {
    double *direction[EVALUATION_SLOTS] = {NULL}, exact = 0, square = 0;
    for (uint32_t i = 0; i < r->count; i++) {
      const int s = gradient_slot(e, g, &g->outputs.data[i]);
      if (s < 0 || (d >= 2 && real(&state) < 0.5)) continue;
      direction[s] = mem_zero((size_t)e->sizes[s] + 1, sizeof(double));
      const bool single = d >= 2 && e->sizes[s]; /* one element of some tensors */
      const int64_t only = single ? (int64_t)(real(&state) * (double)e->sizes[s]) : -1;
      for (int64_t k = 0; k < e->sizes[s]; k++) {
        direction[s][k] = single ? k == only : real(&state) < 0.5 ? -1 : 1;
        square += direction[s][k] * direction[s][k];
      }
    }
    const double norm = 1 / sqrt(fmax(square, 1));
    for (uint32_t i = 0; i < r->count; i++) {
      const int s = gradient_slot(e, g, &g->outputs.data[i]);
      for (int64_t k = 0; s >= 0 && direction[s] && k < e->sizes[s]; k++) direction[s][k] *= norm, exact += direction[s][k] * r->of[i].data[k];
    }
    const double error = one_direction(e, losses, input, direction, exact, scale);
    if (error >= 0) ++*clear, worst = fmax(worst, error);
    for (uint32_t i = 0; i < e->count; i++) free(direction[i]);
  }
  return worst;
}

/* At a kink differences are wrong; not at three points in a row. */
static void check_gradient(Evaluation *e, uint64_t seed) {
  const Graph *g = e->program->gradient;
  Graph *losses = losses_of(g);
  double error = 0;
  for (int point = 0; point < POINTS; point++) {
    int clear = 0;
    if (point) fill(e, seed, point);
    const InterpInput input = evaluation_input(e);
    Outcome r = outcome(g, &input);
    error = check_point(e, losses, &input, &r, seed + (uint64_t)point, &clear);
    outcome_free(&r);
    shared->points++, shared->differences += clear, shared->unclear += DIRECTIONS - clear;
    if (error <= 3e-7) break;
  }
  if (!(error <= 3e-7)) failed("gradient against differences", "%.3g of the largest gradient", error);
  shared->worst_difference = fmax(shared->worst_difference, error);
  graph_free(losses);
  fill(e, seed, 0);
}

/* -- the same program otherwise written -- */

/* A slot's name in a program whose values are called by another letter. */
static void other_name(char letter, const char *name, char *out, size_t size) {
  snprintf(out, size, "%s", name);
  if (isdigit((unsigned char)name[1])) out[0] = name[0] == 'v' ? letter : name[0];
}

static uint32_t other_slot(const Evaluation *to, char letter, const char *name) {
  char wanted[256];
  other_name(letter, name, wanted, sizeof wanted);
  for (uint32_t i = 0; i < to->count; i++)
    if (!strcmp(to->program->eval->slots.data[i].name, wanted)) return i;
  failed("written otherwise", "there is no `%s`", wanted);
}

/* The second graph's outcome in the order of the first's outputs. */
static void compare_style(Evaluation *e, Evaluation *other, char letter, const Graph *a, const Graph *b, const char *what) {
  const InterpInput in = evaluation_input(e), in_other = evaluation_input(other);
  Outcome x = outcome(a, &in), y = outcome(b, &in_other), sorted = {mem_zero(x.count + 1, sizeof(Values)), x.count};
  if (x.count != y.count) failed(what, "%u outputs, and %u", x.count, y.count);
  for (uint32_t i = 0; i < x.count; i++) {
    const Output *o = &a->outputs.data[i];
    char name[256];
    other_name(letter, o->kind == OUT_SLOT ? a->slots.data[o->slot].name : o->name, name, sizeof name);
    uint32_t k = 0;
    for (; k < y.count; k++) {
      const Output *q = &b->outputs.data[k];
      if (q->kind == o->kind && !strcmp(q->kind == OUT_SLOT ? b->slots.data[q->slot].name : q->name, name) && !sorted.of[i].data) {
        bool taken = false;
        for (uint32_t j = 0; j < i; j++) taken = taken || sorted.of[j].data == y.of[k].data;
        if (!taken) break;
      }
    }
    if (k == y.count) failed(what, "there is no output `%s`", name);
    sorted.of[i] = y.of[k];
  }
  same(e, a, &in, &x, &sorted, what);
  free(sorted.of);
  outcome_free(&x), outcome_free(&y);
}

static void check_style(Evaluation *e, const RandomProgram *p, const RpStyle *style, const char *what) {
  Text text = {0};
  Evaluation other;
  rp_render(p, style, &text);
  if (getenv("SHOW")) printf("%s:\n%s", what, text_get(&text));
  open_text(&other, text_get(&text), e->options.trace.float_type, e->batch[0]);
  if (other.count != e->count) failed(what, "%u slots, and %u", e->count, other.count);
  for (uint32_t i = 0; i < e->count; i++) {
    const uint32_t k = other_slot(&other, style->letter, e->program->eval->slots.data[i].name);
    if (e->sizes[i] != other.sizes[k]) failed(what, "`%s` has another size", e->program->eval->slots.data[i].name);
    memcpy(other.slots[k], e->slots[i], sizeof(double) * (size_t)e->sizes[i]);
  }
  compare_style(e, &other, style->letter, e->program->eval, other.program->eval, what);
  compare_style(e, &other, style->letter, e->program->gradient, other.program->gradient, what);
  text_free(&text);
  evaluation_close(&other);
}

/* With its definitions in a file that it imports, by their own names or behind another. */
static void check_imported(Evaluation *e, const RandomProgram *p) {
  Text definitions = {0};
  const RpStyle style = {.letter = 'v', .seed = p->seed + 4, .wrap = true, .imported = &definitions, .as = p->seed % 2 ? "own." : NULL};
  Text text = {0};
  char path[64];
  rp_render(p, &style, &text);
  snprintf(path, sizeof path, "%s/definitions.nn", folder);
  FILE *file = fopen(path, "w");
  if (!file || fputs(text_get(&definitions), file) < 0 || fclose(file)) failed("imported", "cannot write %s", path);
  text_free(&text), text_free(&definitions);
  const RpStyle again = {.letter = 'v', .seed = style.seed, .wrap = true, .imported = &definitions, .as = style.as};
  check_style(e, p, &again, "definitions imported");
  text_free(&definitions);
}

static void check_styles(Evaluation *e, const RandomProgram *p, bool each) {
  const RpStyle renamed = {.letter = 'q', .seed = p->seed + 1, .reorder = true}, wrapped = {.letter = 'v', .seed = p->seed + 2, .wrap = true},
                rewritten = {.letter = 'v', .seed = p->seed + 3, .rewrite = true, .wrap = true, .reorder = true};
  const uint64_t kind = p->seed / 3 % 4;
  if (each || kind == 0) check_style(e, p, &renamed, "renamed, reordered, inlined");
  if (each || kind == 1) check_style(e, p, &wrapped, "in other functions");
  if (each || kind == 2) check_style(e, p, &rewritten, "with x + 0 and the like");
  if (each || kind == 3) check_imported(e, p);
}

/* -- machine code -- */

typedef struct {
  Compiled *compiled;
  GradcProgram program;
  GradcModel *model;
} Code;

/* The slots are set by hand, so that no code is made to start them. */
static void start_nothing(GradcFrame *frame, int64_t thread, int64_t threads, void *scratch) {}

static void code_open(Code *c, Evaluation *e, unsigned entries, const CompileOptions *options) {
  *c = (Code){.compiled = compile_program(&e->session, e->program, options, entries)};
  c->program = *compiled_program(c->compiled);
  for (int i = 0; i < GRADC_ENTRY_COUNT; i++) c->program.entries[i].max_threads = 3;
  c->program.entries[GRADC_ENTRY_INIT].run = start_nothing;
}

/* A new instance of that many threads, its slots the evaluation's. */
static void code_start(Code *c, const Evaluation *e, int threads) {
  GradcMessage message = {{0}};
  gradc_free(c->model);
  if (gradc_create(&c->program, 1, e->batch, threads, &c->model, &message) != GRADC_OK) failed("create", "%s", message.text);
  gradc_progress(c->model)->steps = 1;
  for (uint32_t i = 0; i < e->count; i++) {
    GradcTensor t;
    const Slot *s = &e->program->eval->slots.data[i];
    if (slot_is_feed(s) || gradc_tensor_at(c->model, i, &t) != GRADC_OK) continue;
    void *bytes = mem_zero((size_t)t.count + 1, 8);
    for (int64_t k = 0; k < t.count; k++) element_put(bytes, (uint8_t)t.type, k, e->slots[i][k]);
    if (gradc_set(c->model, s->name, bytes, t.bytes) != GRADC_OK) failed("set", "%s", gradc_message(c->model));
    free(bytes);
  }
}

static void code_close(Code *c) {
  gradc_free(c->model);
  compiled_free(c->compiled);
}

static void code_run(Code *c, const Evaluation *e, bool train) {
  void *feeds[EVALUATION_SLOTS];
  int count = 0;
  for (uint32_t i = 0; i < e->count; i++) {
    const Slot *s = &e->program->eval->slots.data[i];
    if (!slot_is_feed(s)) continue;
    feeds[count] = mem_zero((size_t)e->sizes[i] + 1, 8);
    for (int64_t k = 0; k < e->sizes[i]; k++) element_put(feeds[count], (uint8_t)s->type, k, e->slots[i][k]);
    count++;
  }
  const GradcStatus status = train ? gradc_train_step(c->model, (const void *const *)feeds, e->batch) : gradc_eval(c->model, (const void *const *)feeds, e->batch);
  if (status != GRADC_OK) failed("run", "%s", gradc_message(c->model));
  for (int i = 0; i < count; i++) free(feeds[i]);
}

/* A loss or a metric: one number, or the elements of an array. */
static Values figure_values(const GradcFigure *f) {
  int64_t count = 1;
  for (int32_t k = 0; k < f->rank; k++) count *= f->dims[k];
  Values v = {mem_alloc(sizeof(double) * (size_t)(count + 1)), count};
  if (f->adds_up || !f->values) v.data[0] = f->value;
  else memcpy(v.data, f->values, sizeof(double) * (size_t)count);
  return v;
}

/* What the code has put out, as the oracle's outcome of the graph: losses and metrics; outputs where it evaluates, new slots
 * where it trains. */
static Outcome code_outcome(Code *c, const Graph *g, bool train) {
  Outcome r = {mem_zero(g->outputs.count + 1, sizeof(Values)), g->outputs.count};
  const GradcFigure *figures;
  const int count = gradc_figures(c->model, &figures);
  int at = 0, figure = 0;
  for (uint32_t i = 0; i < r.count; i++) {
    const Output *o = &g->outputs.data[i];
    GradcTensor t;
    if (o->kind == OUT_LOSS || o->kind == OUT_METRIC) {
      if (figure == count || strcmp(figures[figure].name, o->name)) failed("figures", "`%s` is not number %d", o->name, figure);
      r.of[i] = figure_values(&figures[figure++]);
      continue;
    }
    GradcStatus status = GRADC_ERROR_ARGUMENT;
    if (o->kind == OUT_VALUE && !train) status = gradc_output_at(c->model, at++, &t);
    if (o->kind == OUT_SLOT && train) status = gradc_tensor_at(c->model, o->slot, &t);
    if (status != GRADC_OK) continue;
    r.of[i] = (Values){mem_alloc(sizeof(double) * (size_t)(t.count + 1)), t.count};
    for (int64_t k = 0; k < t.count; k++) r.of[i].data[k] = element_get(t.data, (uint8_t)t.type, k);
  }
  return r;
}

static void same_bits(const Graph *g, const Outcome *a, const Outcome *b, const char *what) {
  for (uint32_t i = 0; i < a->count; i++)
    if (a->of[i].data && memcmp(a->of[i].data, b->of[i].data, sizeof(double) * (size_t)a->of[i].count))
      failed(what, "%s has other bits", g->outputs.data[i].kind == OUT_SLOT ? g->slots.data[g->outputs.data[i].slot].name : g->outputs.data[i].name);
}

/* The code's outcome against the oracle's. In f32 the limit is what rounding to f32 does to the oracle's own values. */
static void near_oracle(Evaluation *e, const Graph *g, const InterpInput *input, const Outcome *got, const char *what) {
  const bool narrow = e->options.trace.float_type == TYPE_F32;
  InterpInput rounded = *input;
  rounded.round_f32 = narrow;
  Outcome want = outcome(g, &rounded), wide = narrow ? outcome(g, input) : (Outcome){0};
  double *limits = NULL;
  for (uint32_t i = 0; i < want.count; i++) {
    if (!got->of[i].data) continue;
    const double d = apart(&want.of[i], &got->of[i]), own = narrow ? apart(&wide.of[i], &want.of[i]) : 0;
    shared->compared++;
    if (!narrow) shared->worst_code = fmax(shared->worst_code, d);
    if (d <= (narrow ? fmax(1e-5, 50 * own) : 1e-12)) continue;
    if (!limits) limits = sensitivity(e, g, *input);
    if (d <= limits[i] * (narrow ? 1e8 : 100)) {
      shared->unclear_code++;
      continue;
    }
    failed(what, "%s differs by %.2g (by rounding %.2g, sensitivity %.2g)",
           g->outputs.data[i].kind == OUT_SLOT ? g->slots.data[g->outputs.data[i].slot].name : g->outputs.data[i].name, d, own, limits[i]);
  }
  free(limits);
  outcome_free(&want);
  if (narrow) outcome_free(&wide);
}

static void check_code(Evaluation *e, bool gradients, bool train, bool permute) {
  static const struct { unsigned rows, vectors; const char *cpu, *without, *what; } others[] = {
      {3, 2, NULL, NULL, "another tile"}, {1, 1, NULL, NULL, "tiles of one"}, {0, 0, "x86-64-v2", NULL, "code for a processor without AVX"},
      {0, 0, NULL, "all", "code without passes"}};
  CompileOptions options = e->options;
  options.gradients = gradients;
  const unsigned entries = 1u << (train ? GRADC_ENTRY_TRAIN : GRADC_ENTRY_EVAL);
  const Graph *g = train ? e->program->train : gradients ? e->program->gradient : e->program->eval;
  const char *what = train ? "code of training" : gradients ? "code of gradients" : "code of outputs";
  InterpInput input = evaluation_input(e);
  input.draw = train;
  Code c;
  code_open(&c, e, entries, &options);
  Outcome first = {0};
  for (int threads = 1; threads <= 3; threads++) {
    code_start(&c, e, threads);
    code_run(&c, e, train);
    Outcome r = code_outcome(&c, g, train);
    if (threads == 1) near_oracle(e, g, &input, &r, what), first = r;
    else same_bits(g, &first, &r, threads == 2 ? "2 threads" : "3 threads"), outcome_free(&r);
  }
  for (size_t i = 0; permute && i < sizeof others / sizeof *others; i++) {
    Code d;
    CompileOptions how = options;
    how.tile_rows = others[i].rows, how.tile_vectors = others[i].vectors, how.cpu = others[i].cpu, how.without = others[i].without;
    code_open(&d, e, entries, &how);
    code_start(&d, e, 2);
    code_run(&d, e, train);
    Outcome r = code_outcome(&d, g, train);
    if (others[i].without || others[i].cpu) near_oracle(e, g, &input, &r, others[i].what); /* another order, or no fma */
    else same_bits(g, &first, &r, others[i].what);
    outcome_free(&r), code_close(&d);
  }
  outcome_free(&first), code_close(&c);
}

/* ---- one program ---- */

static bool is_held(const RandomProgram *p) {
  bool alive[RP_STATEMENTS], held = false;
  rp_alive(p, alive);
  for (int i = 0; i < p->count; i++) held = held || (alive[i] && (p->statements[i].flags & RP_HELD));
  return held;
}

static void check_program(const RandomProgram *p) {
  const Type type = p->seed % 4 == 3 ? TYPE_F32 : TYPE_F64;
  const int64_t batch = 1 + (int64_t)(p->seed % 5);
  const bool each = getenv("EACH") != NULL; /* all kinds of checks, where a seed otherwise has some of each kind */
  const RpStyle style = {.letter = 'v', .seed = p->seed, .wrap = true};
  Text text = {0};
  Evaluation e;
  rp_render(p, &style, &text);
  if (getenv("SHOW")) printf("# seed %llu\n%s", (unsigned long long)p->seed, text_get(&text));
  open_text(&e, text_get(&text), type, batch);
  fill(&e, p->seed, 0);
  const Program *m = e.program;
  check_text(&e, m->eval, "eval"), check_text(&e, m->train, "train"), check_text(&e, m->gradient, "gradient"), check_text(&e, m->init, "init");
  const InterpInput input = evaluation_input(&e);
  Outcome r = outcome(m->gradient, &input);
  check_finite(m->gradient, &r);
  if (type == TYPE_F64) {
    check_passes(&e, m->gradient, &input, &r, p->seed, each);
    if (!is_held(p)) check_gradient(&e, p->seed);
    check_styles(&e, p, each);
  }
  outcome_free(&r);
  const bool permute = each || p->seed % 32 < 2;
  const uint64_t code = (p->seed / 4 + p->seed) % 4;
  if (each || code < 2) check_code(&e, true, false, permute);
  if (each || code == 2) check_code(&e, false, false, permute);
  if (each || code == 3) check_code(&e, false, true, permute);
  shared->programs++, shared->nodes += m->gradient->nodes.count, shared->statements += p->count;
  text_free(&text);
  evaluation_close(&e);
}

/* ---- processes ---- */

/* By the processor's time, so that a busy machine fails no program. */
static void limit_time(void) {
  const struct itimerval most = {.it_value = {.tv_sec = SECONDS}};
  setitimer(ITIMER_PROF, &most, NULL);
}

/* Checks programs in a process of its own: its status. */
static int run_apart(const RandomProgram *one, uint64_t from, uint64_t to, bool quiet) {
  fflush(NULL);
  shared->what[0] = 0;
  const pid_t pid = fork();
  if (pid < 0) return -1;
  if (!pid) {
    if (quiet && (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))) _exit(1);
    if (one) {
      limit_time();
      check_program(one);
      _exit(0);
    }
    for (uint64_t seed = from; seed < to; seed++) {
      RandomProgram p;
      shared->seed = seed;
      limit_time();
      rp_draw(&p, seed);
      check_program(&p);
      rp_free(&p);
    }
    exit(0); /* leaks are looked for */
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

static bool fails_alike(const RandomProgram *p, int status, const char *what) {
  const int now = run_apart(p, 0, 0, true);
  return now == status && !strcmp(shared->what, what);
}

/* Edits one by one that leave the failure, until none does. */
static void shrink(RandomProgram *p, int status) {
  char what[sizeof shared->what];
  memcpy(what, shared->what, sizeof what);
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (int i = 0; i < rp_edits(p); i++) {
      RandomProgram next;
      rp_copy(&next, p);
      if (rp_edit(&next, i) && fails_alike(&next, status, what)) {
        rp_free(p);
        *p = next;
        smaller = true;
      } else
        rp_free(&next);
    }
  }
  memcpy(shared->what, what, sizeof what);
}

static void report(uint64_t seed, int status) {
  RandomProgram p;
  fprintf(stderr, "seed %llu fails: %s\n", (unsigned long long)seed, shared->what[0] ? shared->what : "the process ended");
  rp_draw(&p, seed);
  if (!getenv("WHOLE")) {
    status = run_apart(&p, 0, 0, true);
    shrink(&p, status);
  }
  const RpStyle style = {.letter = 'v', .seed = p.seed, .wrap = true};
  Text text = {0};
  rp_render(&p, &style, &text);
  fprintf(stderr, "the smallest program that fails so, of batch %llu, %s:\n%s", (unsigned long long)(1 + seed % 5),
          seed % 4 == 3 ? "f32" : "f64", text_get(&text));
  run_apart(&p, 0, 0, false);
  fprintf(stderr, "  (test_random_programs %llu 1 shows it again; status %d)\n", (unsigned long long)seed, status);
  text_free(&text);
  rp_free(&p);
}

static void remove_folder(void) {
  char path[64];
  snprintf(path, sizeof path, "%s/definitions.nn", folder);
  remove(path), remove(folder);
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: test_random_programs FROM COUNT\n"), 2;
  uint64_t from = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10), failures = 0;
  const char *many = getenv("GRADC_LONG");
  if (many && *many) from *= 10, count *= 10;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || !mkdtemp(folder)) return 1;
  for (uint64_t at = from; at < from + count;) {
    const int status = run_apart(NULL, at, from + count, false);
    if (!status) break;
    const uint64_t seed = shared->seed;
    report(seed, status);
    at = seed + 1;
    if (++failures == 5 && !getenv("ALL")) break;
  }
  remove_folder();
  printf("%lld programs of %lld statements, %lld nodes; %lld points, %lld differences (%lld did not settle), worst %.2g; %lld values "
         "of code, worst in f64 %.2g (%lld ill-conditioned)\n",
         (long long)shared->programs, (long long)shared->statements, (long long)shared->nodes, (long long)shared->points,
         (long long)shared->differences, (long long)shared->unclear, shared->worst_difference, (long long)shared->compared,
         shared->worst_code, (long long)shared->unclear_code);
  return failures != 0;
}
