/* optimizers.c: eight steps of each optimiser of the library in a small network and on a quadratic, against its formula
 * written out here. Gradients come from the program's own gradient graph, which gradcheck judges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build.h"
#include "interp.h"
#include "parse.h"
#include "render.h"
#include "trace.h"

enum { STEPS = 8, MOST = 64, LARGEST = 8, ROWS = 4 };

static const double inputs[ROWS * 2] = {0.5, -1, 1.5, 0.25, -0.75, 2, 0.1, -0.4}, targets[ROWS] = {1, -0.5, 0.3, 2};

typedef struct {
  Session s;
  Tree tree;
  Program *program;
  double *slots[MOST];
  int64_t counts[MOST];
} Fixture;

static Interp *run(Fixture *f, const Graph *g, double step) {
  const InterpInput input = {.slots = (const double *const *)f->slots, .batch = {ROWS}, .step = step, .steps = 100, .seed = 3};
  return interp_new(g, &input);
}

static void keep(Fixture *f, uint32_t slot, const double *values, int64_t count) {
  double *copy = malloc(sizeof *copy * (size_t)(count + 1));
  memcpy(copy, values, sizeof *copy * (size_t)count);
  free(f->slots[slot]);
  f->slots[slot] = copy, f->counts[slot] = count;
}

/* The slots that a graph writes, all at once. */
static void take_slots(Fixture *f, const Graph *g, double step) {
  Interp *in = run(f, g, step);
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < g->outputs.count; i++) {
      const Output *o = &g->outputs.data[i];
      int64_t n;
      if (o->kind != OUT_SLOT) continue;
      const double *v = interp_value(in, o->node, &n);
      if (pass) keep(f, o->slot, v, n);
    }
  }
  interp_free(in);
}

static void fixture_open(Fixture *f, const char *train) {
  char text[1024];
  *f = (Fixture){0};
  snprintf(text, sizeof text,
           "model m { input x: [2]; target t: []; param q: [2, 3] ~ normal(0, 1); param r: [] ~ constant(0.7)\n"
           "output y = x |> dense(3) |> tanh |> dense(1) |> sum; loss mse(y, t)\n"
           "loss sum((0 .. 3) * q^2) / 2 + sum(q) / 3 + r^2 * (t + 2) }\ntrain { %s }", train);
  const Source *source = source_add(&f->s.sources, "model.nn", text, strlen(text), false);
  const Ast file = parse_source(&f->s, &f->tree, source);
  TraceOptions options = {.float_type = TYPE_F64, .seed = -1};
  f->program = trace_program(&f->s, &f->tree, file, "model.nn", &options);
  if (f->s.errors) {
    Text out = {0};
    render_text(&f->s, &out, false);
    print_error("%s: %s", train, text_get(&out));
    text_free(&out);
  }
  assert_non_null(f->program);
  assert_null(graph_verify(f->program->train));
  keep(f, 0, inputs, ROWS * 2);
  keep(f, 1, targets, ROWS);
  take_slots(f, f->program->init, 0);
}

static void fixture_close(Fixture *f) {
  for (int i = 0; i < MOST; i++) free(f->slots[i]);
  program_free(f->program);
  tree_free(&f->tree);
  session_free(&f->s);
}

/* ---- the formulas ---- */

/* One parameter: its values, gradient, four states that start at 0, shape, and the step from 1. */
typedef struct {
  double *p;
  const double *g;
  double (*s)[LARGEST];
  int n, rank, rows, columns, t;
} At;
#define EACH for (int i = 0; i < a->n; i++)
#define DECAYS (a->rank >= 2)

static void sgd(const At *a) { EACH a->p[i] -= 0.1 * a->g[i]; }
static void sgd_all(const At *a) {
  EACH {
    a->s[0][i] = 0.5 * a->s[0][i] + a->g[i] + 0.2 * a->p[i];
    a->p[i] -= 0.1 * (a->s[0][i] + 0.3 * a->p[i]);
  }
}
static void momentum(const At *a) {
  EACH {
    a->s[0][i] = 0.9 * a->s[0][i] + a->g[i];
    a->p[i] -= 0.02 * (a->s[0][i] + (DECAYS ? 0.1 * a->p[i] : 0));
  }
}
static void nesterov(const At *a) {
  EACH {
    a->s[0][i] = 0.9 * a->s[0][i] + a->g[i];
    a->p[i] -= 0.01 * (a->g[i] + 0.9 * a->s[0][i]);
  }
}
static void adagrad(const At *a) {
  EACH {
    a->s[0][i] += a->g[i] * a->g[i];
    a->p[i] -= 0.01 * a->g[i] / (sqrt(a->s[0][i]) + 1e-10);
  }
}
static void adadelta(const At *a) {
  EACH {
    a->s[0][i] = 0.9 * a->s[0][i] + 0.1 * a->g[i] * a->g[i];
    const double d = sqrt(a->s[1][i] + 1e-6) / sqrt(a->s[0][i] + 1e-6) * a->g[i];
    a->s[1][i] = 0.9 * a->s[1][i] + 0.1 * d * d;
    a->p[i] -= d;
  }
}
static void rmsprop(const At *a) {
  EACH {
    a->s[0][i] = 0.99 * a->s[0][i] + 0.01 * a->g[i] * a->g[i];
    a->p[i] -= 0.01 * a->g[i] / (sqrt(a->s[0][i]) + 1e-8);
  }
}
static void rmsprop_centered(const At *a) {
  EACH {
    a->s[0][i] = 0.9 * a->s[0][i] + 0.1 * a->g[i] * a->g[i];
    a->s[1][i] = 0.9 * a->s[1][i] + 0.1 * a->g[i];
    a->p[i] -= 0.01 * a->g[i] / (sqrt(a->s[0][i] - a->s[1][i] * a->s[1][i]) + 1e-8);
  }
}
static double adam_means(const At *a, int i, double g, double *v) {
  a->s[0][i] = 0.9 * a->s[0][i] + 0.1 * g;
  a->s[1][i] = 0.999 * a->s[1][i] + 0.001 * g * g;
  *v = a->s[1][i] / (1 - pow(0.999, a->t));
  return a->s[0][i] / (1 - pow(0.9, a->t));
}
static void adam(const At *a) {
  EACH {
    double v, m = adam_means(a, i, a->g[i] + 0.1 * a->p[i], &v);
    a->p[i] -= 0.05 * m / (sqrt(v) + 1e-8);
  }
}
static void amsgrad(const At *a) {
  EACH {
    double v;
    const double m = adam_means(a, i, a->g[i], &v);
    a->s[2][i] = fmax(a->s[2][i], a->s[1][i]);
    a->p[i] -= 0.3 * m / (sqrt(a->s[2][i] / (1 - pow(0.999, a->t))) + 1e-8);
  }
}
static void adamw(const At *a) {
  EACH {
    double v, m = adam_means(a, i, a->g[i], &v);
    a->p[i] -= 0.05 * (m / (sqrt(v) + 1e-8) + (DECAYS ? 0.2 * a->p[i] : 0));
  }
}
static void adamax(const At *a) {
  EACH {
    a->s[0][i] = 0.9 * a->s[0][i] + 0.1 * a->g[i];
    a->s[1][i] = fmax(0.999 * a->s[1][i], fabs(a->g[i]) + 1e-8);
    a->p[i] -= 0.002 / (1 - pow(0.9, a->t)) * a->s[0][i] / a->s[1][i];
  }
}
static void nadam(const At *a) {
  double product = 1;
  for (int t = 1; t <= a->t; t++) product *= 0.9 * (1 - 0.5 * pow(0.96, t * 0.004));
  const double now = 0.9 * (1 - 0.5 * pow(0.96, a->t * 0.004)), next = 0.9 * (1 - 0.5 * pow(0.96, (a->t + 1) * 0.004));
  EACH {
    double v;
    adam_means(a, i, a->g[i], &v);
    const double root = sqrt(v) + 1e-8;
    a->p[i] -= 0.002 * (1 - now) / (1 - product) * a->g[i] / root;
    a->p[i] -= 0.002 * next / (1 - product * next) * a->s[0][i] / root;
  }
}
/* With beta2 = 0.9 the sixth step is the first certain one. */
static void radam(const At *a) {
  const double b = 0.9, c = pow(b, a->t), most = 2 / (1 - b) - 1, n = most - 2 * a->t * c / (1 - c);
  EACH {
    a->s[0][i] = 0.9 * a->s[0][i] + 0.1 * a->g[i];
    a->s[1][i] = b * a->s[1][i] + (1 - b) * a->g[i] * a->g[i];
    double step = a->s[0][i] / (1 - pow(0.9, a->t));
    if (n > 5)
      step *= sqrt((n - 4) * (n - 2) * most / ((most - 4) * (most - 2) * n)) * sqrt(1 - c) / (sqrt(a->s[1][i]) + 1e-8);
    a->p[i] -= 0.001 * step;
  }
}
static void lamb(const At *a) {
  double step[LARGEST], long_ = 0, short_ = 0;
  EACH {
    double v, m = adam_means(a, i, a->g[i], &v);
    step[i] = m / (sqrt(v) + 1e-6) + (DECAYS ? 0.01 * a->p[i] : 0);
    long_ += a->p[i] * a->p[i], short_ += step[i] * step[i];
  }
  const double trust = long_ > 0 && short_ > 0 ? sqrt(long_) / sqrt(short_) : 1;
  EACH a->p[i] -= 0.01 * trust * step[i];
}
static void lion(const At *a) {
  EACH {
    const double c = 0.9 * a->s[0][i] + 0.1 * a->g[i];
    a->p[i] -= 0.01 * ((c > 0) - (c < 0) + (DECAYS ? 0.1 * a->p[i] : 0));
    a->s[0][i] = 0.99 * a->s[0][i] + 0.01 * a->g[i];
  }
}
/* x x' for a matrix that is n by m */
static void gram(const double *x, int n, int m, double *out) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      out[i * n + j] = 0;
      for (int k = 0; k < m; k++) out[i * n + j] += x[i * m + k] * x[j * m + k];
    }
}
static void times(const double *a, const double *b, int n, int k, int m, double *out) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < m; j++) {
      out[i * m + j] = 0;
      for (int l = 0; l < k; l++) out[i * m + j] += a[i * k + l] * b[l * m + j];
    }
}
static void muon(const At *a) {
  if (a->rank != 2) {
    EACH {
      double v, m = adam_means(a, i, a->g[i], &v);
      a->p[i] -= 3e-4 * m / (sqrt(v) + 1e-8);
    }
    return;
  }
  const bool turned = a->rows > a->columns;
  const int n = turned ? a->columns : a->rows, m = turned ? a->rows : a->columns;
  double x[LARGEST], norm = 0;
  for (int r = 0; r < a->rows; r++)
    for (int c = 0; c < a->columns; c++) {
      const int i = r * a->columns + c;
      a->s[0][i] = 0.95 * a->s[0][i] + a->g[i];
      const double u = a->g[i] + 0.95 * a->s[0][i];
      norm += u * u;
      x[turned ? c * m + r : i] = u;
    }
  EACH x[i] /= sqrt(norm) + 1e-7;
  for (int round = 0; round < 5; round++) {
    double xx[64], four[64], first[LARGEST], second[LARGEST];
    gram(x, n, m, xx);
    times(xx, xx, n, n, n, four);
    times(xx, x, n, n, m, first);
    times(four, x, n, n, m, second);
    EACH x[i] = 3.4445 * x[i] - 4.775 * first[i] + 2.0315 * second[i];
  }
  for (int r = 0; r < a->rows; r++)
    for (int c = 0; c < a->columns; c++)
      a->p[r * a->columns + c] -= 0.02 * sqrt(fmax(1, (double)a->rows / a->columns)) * x[turned ? c * m + r : r * m + c];
}
static void adafactor(const At *a) {
  const double beta = 1 - pow(a->t, -0.8);
  double u[LARGEST], uu = 0, pp = 0, all = 0;
  double *rows = a->s[0], *columns = a->s[1];
  if (a->rank == 2) {
    double square;
    for (int r = 0; r < a->rows; r++) rows[r] *= beta;
    for (int c = 0; c < a->columns; c++) columns[c] *= beta;
    EACH {
      square = (1 - beta) * (a->g[i] * a->g[i] + 1e-30);
      rows[i / a->columns] += square / a->columns, columns[i % a->columns] += square / a->rows;
    }
    for (int r = 0; r < a->rows; r++) all += rows[r] / a->rows;
  }
  EACH {
    a->s[2][i] = beta * a->s[2][i] + (1 - beta) * (a->g[i] * a->g[i] + 1e-30);
    const double v = a->rank == 2 ? rows[i / a->columns] * columns[i % a->columns] / all : a->s[2][i];
    u[i] = a->g[i] / sqrt(v);
    uu += u[i] * u[i] / a->n, pp += a->p[i] * a->p[i] / a->n;
  }
  EACH a->p[i] -= fmin(0.01, 1 / sqrt(a->t)) * fmax(1e-3, sqrt(pp)) * u[i] / fmax(1, sqrt(uu));
}

/* ---- schedules: the rate of plain descent; 100 steps are foreseen ---- */

static void descend(const At *a, double rate) { EACH a->p[i] -= rate * a->g[i]; }
static double half_cosine(double part) { return 0.5 * (1 + cos(3.14159265358979323846 * part)); }
static void restarts(const At *a) { /* 2 steps, then 4, then 8 */
  const int step = a->t - 1, from = step < 2 ? 0 : step < 6 ? 2 : 6, length = step < 2 ? 2 : step < 6 ? 4 : 8;
  descend(a, 0.01 + 0.09 * half_cosine((double)(step - from) / length));
}
static void restarts_alike(const At *a) { descend(a, 0.1 * half_cosine((a->t - 1) % 3 / 3.0)); }
static void step_decay(const At *a) { descend(a, 0.1 * pow(0.5, (a->t - 1) / 3)); }
static void polynomial(const At *a) { descend(a, 0.02 + 0.08 * pow(1 - (a->t - 1) / 100.0, 2)); }
static void warm(const At *a) { descend(a, 0.1 * fmin(a->t / 5.0, 1)); }
static void cosine(const At *a) { descend(a, a->t <= 4 ? 0.1 * a->t / 4 : 0.1 * half_cosine((a->t - 5) / 96.0)); }
static void one_cycle(const At *a) {
  const double step = a->t - 1, top = 0.05 * 100 - 1, low = 0.1 / 25, last = low / 1e4;
  descend(a, step < top ? low + (0.1 - low) * half_cosine(1 - step / top) : last + (0.1 - last) * half_cosine((step - top) / (99 - top)));
}

/* ---- the walk ---- */

static void gradients_of(Fixture *f, double step, double g[MOST][LARGEST]) {
  Interp *in = run(f, f->program->gradient, step);
  const Graph *graph = f->program->gradient;
  for (uint32_t i = 0; i < graph->outputs.count; i++) {
    const Output *o = &graph->outputs.data[i];
    for (uint32_t k = 0; o->kind == OUT_VALUE && k < graph->slots.count; k++) {
      if (graph->slots.data[k].kind != SLOT_PARAM || strcmp(graph->slots.data[k].name, o->name)) continue;
      int64_t n;
      const double *v = interp_value(in, o->node, &n);
      assert_true(n <= LARGEST);
      memcpy(g[k], v, sizeof *v * (size_t)n);
    }
  }
  interp_free(in);
}

static void follows(const char *train, void (*formula)(const At *a)) {
  Fixture f;
  fixture_open(&f, train);
  static double states[MOST][4][LARGEST];
  memset(states, 0, sizeof states);
  const Graph *graph = f.program->train;
  uint32_t parameters = 0;
  for (int t = 1; t <= STEPS; t++) {
    double g[MOST][LARGEST], wanted[MOST][LARGEST];
    gradients_of(&f, t, g);
    for (uint32_t k = 0; k < graph->slots.count; k++) {
      if (graph->slots.data[k].kind != SLOT_PARAM) continue;
      const Dims *d = shape_dims(graph, graph->slots.data[k].shape);
      memcpy(wanted[k], f.slots[k], sizeof(double) * (size_t)f.counts[k]);
      const At at = {.p = wanted[k], .g = g[k], .s = states[k], .n = (int)f.counts[k], .rank = (int)d->rank,
                     .rows = d->rank == 2 ? (int)d->dims[0] : 1, .columns = d->rank == 2 ? (int)d->dims[1] : 1, .t = t};
      formula(&at);
      parameters++;
    }
    take_slots(&f, graph, t);
    for (uint32_t k = 0; k < graph->slots.count; k++) {
      for (int64_t i = 0; graph->slots.data[k].kind == SLOT_PARAM && i < f.counts[k]; i++) {
        if (!(fabs(f.slots[k][i] - wanted[k][i]) <= 1e-12 * (1 + fabs(wanted[k][i]))))
          fail_msg("%s: step %d, %s[%d] is %.17g, wanted %.17g", train, t, graph->slots.data[k].name, (int)i,
                   f.slots[k][i], wanted[k][i]);
      }
    }
  }
  assert_int_equal(parameters, 6 * STEPS);
  fixture_close(&f);
}

static void each_follows_its_formula(void **state) {
  (void)state;
  follows("optimizer = sgd(0.1)", sgd);
  follows("optimizer = sgd(0.1, momentum = 0.5, l2 = 0.2, decay = 0.3, decay_all = true)", sgd_all);
  follows("optimizer = momentum(0.02, decay = 0.1)", momentum);
  follows("optimizer = nesterov()", nesterov);
  follows("optimizer = adagrad()", adagrad);
  follows("optimizer = adadelta()", adadelta);
  follows("optimizer = rmsprop()", rmsprop);
  follows("optimizer = rmsprop(alpha = 0.9, centered = true)", rmsprop_centered);
  follows("optimizer = adam(0.05, l2 = 0.1)", adam);
  follows("optimizer = adam(0.3, amsgrad = true)", amsgrad);
  follows("optimizer = adamw(0.05, decay = 0.2)", adamw);
  follows("optimizer = adamax()", adamax);
  follows("optimizer = nadam()", nadam);
  follows("optimizer = radam(beta2 = 0.9)", radam);
  follows("optimizer = lamb(0.01)", lamb);
  follows("optimizer = lion(0.01, decay = 0.1)", lion);
  follows("optimizer = muon()", muon);
  follows("optimizer = adafactor()", adafactor);
}

static void schedules_follow_their_formulas(void **state) {
  (void)state;
  follows("optimizer = sgd(restarts(0.1, period = 2, longer = 2, least = 0.01))", restarts);
  follows("optimizer = sgd(restarts(0.1, period = 3))", restarts_alike);
  follows("optimizer = sgd(step_decay(0.1, every = 3, factor = 0.5))", step_decay);
  follows("optimizer = sgd(polynomial(0.1, end = 0.02, power = 2))", polynomial);
  follows("optimizer = sgd(warmup(0.1, warmup = 5))", warm);
  follows("optimizer = sgd(cosine(0.1, warmup = 4))", cosine);
  follows("optimizer = sgd(one_cycle(0.1, rise = 0.05))", one_cycle);
}

/* Limits by value, of each parameter, and one norm for a group. */
static void clip_groups(const At *a) {
  double size = 0, g[LARGEST];
  EACH g[i] = a->n > 1 ? fmin(fmax(a->g[i], -0.3), 0.3) : a->g[i];
  EACH size += g[i] * g[i];
  const double scale = fmin(1, 0.2 / sqrt(size));
  EACH a->p[i] -= 0.1 * scale * g[i];
}

static void gradients_are_cut(void **state) {
  (void)state;
  follows("optimizer = sgd(0.1); clip_value = 0.3; clip_value for \"r\" = inf; clip_value for \"dense_2.b\" = inf; clip_each = 0.2",
          clip_groups);
}

/* The step along d from p that the search ends at. */
static double wolfe_step(double p, double d, double rate) {
  double t = rate, low = 0, high = INFINITY;
  for (int k = 1; k < 20; k++) {
    const bool enough = cosh(p + t * d) - cosh(p) <= 1e-4 * t * sinh(p) * d;
    if (enough && fabs(sinh(p + t * d) * d) <= -0.9 * sinh(p) * d) break;
    *(enough && sinh(p + t * d) * d < 0 ? &low : &high) = t;
    t = high < INFINITY ? (low + high) / 2 : 2 * t;
  }
  return t;
}

/* A convex function of one number: the first direction is -g / |g|, the second s y / (y y) of the last step; the step is doubled or
 * halved until the loss falls enough and the slope is less steep. */
static void lbfgs_follows_its_formula_at(const char *rate) {
  Session s = {0};
  Tree tree = {0};
  char text[160];
  snprintf(text, sizeof text, "model m { param p: [] ~ constant(3); input x: []; loss x * cosh(p) }\n"
                              "train { optimizer = lbfgs(memory = 1, rate = %s) }", rate);
  const Source *source = source_add(&s.sources, "model.nn", text, strlen(text), false);
  TraceOptions options = {.float_type = TYPE_F64, .seed = -1};
  Program *program = trace_program(&s, &tree, parse_source(&s, &tree, source), "model.nn", &options);
  assert_non_null(program);
  Fixture f = {.program = program};
  double p = 3, old_s = 0, old_y = 0;
  take_slots(&f, program->init, 0);
  uint32_t slot = 0;
  while (program->train->slots.data[slot].kind != SLOT_PARAM) slot++;
  for (uint32_t i = 0; i < program->train->slots.count; i++) {
    if (program->train->slots.data[i].kind == SLOT_INPUT) keep(&f, i, (const double[]){1, 1, 1, 1}, ROWS);
  }
  for (int t = 1; t <= STEPS; t++) {
    const double g = sinh(p), gamma = old_y != 0 ? old_s / old_y : 1 / fabs(g);
    /* With one pair in one dimension the direction is -g s / y, whatever gamma is. */
    const double d = old_y != 0 ? -g * old_s / old_y : -gamma * g;
    const double step = wolfe_step(p, d, strtod(rate, NULL));
    old_s = step * d, old_y = sinh(p + step * d) - g;
    p += step * d;
    take_slots(&f, program->train, t);
    if (!(fabs(f.slots[slot][0] - p) <= 1e-12 * (1 + fabs(p)))) fail_msg("step %d: %.17g, wanted %.17g", t, f.slots[slot][0], p);
  }
  for (int i = 0; i < MOST; i++) free(f.slots[i]);
  program_free(program);
  tree_free(&tree);
  session_free(&s);
}

static void lbfgs_follows_its_formula(void **state) {
  (void)state;
  lbfgs_follows_its_formula_at("1");
  lbfgs_follows_its_formula_at("0.01"); /* doubled */
  lbfgs_follows_its_formula_at("9");    /* halved */
}

/* The mean of three batches' gradients, once in three steps; with the batch the same each time, a step as by itself. */
static void gradients_accumulate(void **state) {
  (void)state;
  Fixture one, three;
  fixture_open(&one, "optimizer = adam(0.1); clip_norm = 0.5");
  fixture_open(&three, "optimizer = adam(0.1); clip_norm = 0.5; accumulate = 3");
  const uint32_t q = 2;
  assert_string_equal(three.program->train->slots.data[q].name, "q");
  for (int t = 1; t <= 6; t++) {
    const double before = three.slots[q][1];
    take_slots(&three, three.program->train, t);
    if (t % 3) {
      assert_true(three.slots[q][1] == before);
      continue;
    }
    take_slots(&one, one.program->train, t / 3);
    for (int i = 0; i < 6; i++) assert_true(fabs(three.slots[q][i] - one.slots[q][i]) <= 1e-14);
  }
  fixture_close(&one);
  fixture_close(&three);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_follows_its_formula),
                                     cmocka_unit_test(schedules_follow_their_formulas),
                                     cmocka_unit_test(gradients_are_cut),
                                     cmocka_unit_test(lbfgs_follows_its_formula),
                                     cmocka_unit_test(gradients_accumulate)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
