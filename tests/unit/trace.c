/* trace.c: models traced and run by the oracle, against closed forms. */
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
#include "loops.h"
#include "parse.h"
#include "render.h"
#include "trace.h"

typedef struct {
  Session s;
  Tree tree;
  Program *program;
  double *slots[64];
} Fixture;

static void fixture_open(Fixture *f, const char *text, Type type) {
  *f = (Fixture){0};
  const Source *source = source_add(&f->s.sources, "model.nn", text, strlen(text), false);
  const Ast file = parse_source(&f->s, &f->tree, source);
  TraceOptions options = {.float_type = type, .seed = -1};
  f->program = trace_program(&f->s, &f->tree, file, "model.nn", &options);
  if (f->s.errors) {
    Text out = {0};
    render_text(&f->s, &out, false);
    print_error("%s", text_get(&out));
    text_free(&out);
  }
  assert_non_null(f->program);
  const Graph *graphs[] = {f->program->init, f->program->train, f->program->eval, f->program->gradient};
  for (int i = 0; i < 4; i++) {
    const char *wrong = graph_verify(graphs[i]);
    if (wrong) print_error("%s\n", wrong);
    assert_null(wrong);
  }
}

static void fixture_close(Fixture *f) {
  for (int i = 0; i < 64; i++) free(f->slots[i]);
  program_free(f->program);
  tree_free(&f->tree);
  session_free(&f->s);
}

static uint32_t slot_of(Fixture *f, const char *name) {
  for (uint32_t i = 0; i < f->program->train->slots.count; i++) {
    if (!strcmp(f->program->train->slots.data[i].name, name)) return i;
  }
  fail_msg("no slot %s", name);
  return 0;
}

static void put(Fixture *f, const char *name, const double *values, size_t count) {
  const uint32_t slot = slot_of(f, name);
  free(f->slots[slot]);
  f->slots[slot] = malloc(sizeof(double) * count);
  memcpy(f->slots[slot], values, sizeof(double) * count);
}
#define PUT(f, name, ...)                                                                                              \
  put((f), (name), (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static Interp *run(Fixture *f, const Graph *g, int64_t batch, double step) {
  InterpInput input = {.slots = (const double *const *)f->slots,
                       .batch = {batch},
                       .step = step,
                       .steps = 100,
                       .epoch = 0,
                       .seed = 1,
                       .draw = (uint64_t)step};
  return interp_new(g, &input);
}

static const Output *output_of(const Graph *g, OutKind kind, const char *name) {
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    const char *mine = kind == OUT_SLOT && o->kind == OUT_SLOT ? g->slots.data[o->slot].name : o->name;
    if (o->kind == kind && mine && !strcmp(mine, name)) return o;
  }
  fail_msg("no output %s", name);
  return NULL;
}

static void near(double got, double wanted, double tolerance) {
  if (!(fabs(got - wanted) <= tolerance * (1 + fabs(wanted)))) fail_msg("found %.17g, wanted %.17g", got, wanted);
}

static double ratio(Interp *in, const Output *o) {
  int64_t n;
  const double sum = *interp_value(in, o->node, &n);
  return o->weight.id ? sum / *interp_value(in, o->weight, &n) : sum;
}

/* The value of an output of the evaluation graph, element `i`. */
static double value_at(Fixture *f, int64_t batch, const char *name, int64_t i) {
  Interp *in = run(f, f->program->eval, batch, 1);
  int64_t n;
  const double *v = interp_value(in, output_of(f->program->eval, OUT_VALUE, name)->node, &n);
  assert_true(i < n);
  const double got = v[i];
  interp_free(in);
  return got;
}

/* Replaces a slot's values by its new ones. */
static void step_slots(Fixture *f, int64_t batch, double step) {
  const Graph *g = f->program->train;
  Interp *in = run(f, g, batch, step);
  double *next[64] = {0};
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->kind != OUT_SLOT) continue;
    int64_t n;
    const double *v = interp_value(in, o->node, &n);
    next[o->slot] = malloc(sizeof(double) * (size_t)n);
    memcpy(next[o->slot], v, sizeof(double) * (size_t)n);
  }
  interp_free(in);
  for (int i = 0; i < 64; i++) {
    if (!next[i]) continue;
    free(f->slots[i]);
    f->slots[i] = next[i];
  }
}

static void dense_is_x_w_plus_b(void **state) {
  Fixture f;
  fixture_open(&f, "model m { input x: [2]; target t: [3]; output y = x |> dense(3); loss mse(y, t) }", TYPE_F64);
  PUT(&f, "x", 1, 2, 3, 4);
  PUT(&f, "t", 0, 0, 0, 0, 0, 0);
  PUT(&f, "dense_1.W", 1, 2, 3, 4, 5, 6);
  PUT(&f, "dense_1.b", 10, 20, 30);
  const double wanted[] = {19, 32, 45, 29, 46, 63};
  for (int i = 0; i < 6; i++) near(value_at(&f, 2, "y", i), wanted[i], 1e-15);
  Interp *in = run(&f, f.program->train, 2, 1);
  double sum = 0;
  for (int i = 0; i < 6; i++) sum += wanted[i] * wanted[i];
  near(ratio(in, output_of(f.program->train, OUT_LOSS, "loss")), sum / 6, 1e-15);
  interp_free(in);
  in = run(&f, f.program->gradient, 2, 1);
  int64_t n;
  const double *g = interp_value(in, output_of(f.program->gradient, OUT_VALUE, "dense_1.b")->node, &n);
  for (int i = 0; i < 3; i++) near(g[i], (wanted[i] + wanted[i + 3]) * 2 / 3 / 2, 1e-14);
  g = interp_value(in, output_of(f.program->gradient, OUT_VALUE, "dense_1.W")->node, &n);
  for (int i = 0; i < 2; i++) {
    for (int k = 0; k < 3; k++)
      near(g[3 * i + k], (f.slots[0][i] * wanted[k] + f.slots[0][2 + i] * wanted[3 + k]) / 3, 1e-14);
  }
  interp_free(in);
  fixture_close(&f);
}

/* A derivative of one's own by what the examples share is summed over them. */
static void own_gradient_by_a_parameter(void **state) {
  Fixture f;
  fixture_open(&f, "fn times(x, y) = x * y\n  with gradient(dy) = (dy * y, dy * x)\n"
                   "model m { input x: [2]; param w: [2] ~ ones; loss sum(times(x, w)) }", TYPE_F64);
  PUT(&f, "x", 1, 2, 3, 8);
  PUT(&f, "w", 1, 1);
  Interp *in = run(&f, f.program->gradient, 2, 1);
  int64_t n;
  const double *g = interp_value(in, output_of(f.program->gradient, OUT_VALUE, "w")->node, &n);
  assert_int_equal(n, 2);
  near(g[0], 2, 1e-15);
  near(g[1], 5, 1e-15);
  interp_free(in);
  fixture_close(&f);
}

static void cross_entropy_is_minus_log_p(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m { input z: [3]; target y: label[3]; param s: [] ~ ones\n"
               " loss cross_entropy(s * z, y); loss smooth = cross_entropy(s * z, y, smoothing = 0.1)\n"
               " metric accuracy(z, y); output p = softmax(z) }",
               TYPE_F64);
  PUT(&f, "z", 1, 2, 3, 1000, 0, -1000);
  PUT(&f, "y", 2, 1);
  PUT(&f, "s", 1);
  const double e = exp(1) + exp(2) + exp(3), l0 = log(e) - 3, l1 = 1000;
  Interp *in = run(&f, f.program->eval, 2, 1);
  near(ratio(in, output_of(f.program->eval, OUT_LOSS, "loss")), (l0 + l1) / 2, 1e-14);
  const double smooth0 = log(e) - 0.9 * 3 - 0.1 * 2, smooth1 = 1000 - 0.9 * 0 - 0.1 * 0;
  near(ratio(in, output_of(f.program->eval, OUT_LOSS, "smooth")), (smooth0 + smooth1) / 2, 1e-14);
  near(ratio(in, output_of(f.program->eval, OUT_METRIC, "accuracy")), 0.5, 0);
  interp_free(in);
  near(value_at(&f, 2, "p", 0), exp(1) / e, 1e-14);
  near(value_at(&f, 2, "p", 3), 1, 0);
  fixture_close(&f);
}

/* Rows of weight 0 count nothing, even where they are NaN; the mean is over the rest. */
static void weights_leave_out(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m { input x: []; target y: label[2]; param w: [2] ~ ones\n"
               " loss cross_entropy(x * w, y) weight is_known(y) }",
               TYPE_F64);
  PUT(&f, "x", 1, 2, 3);
  PUT(&f, "y", 0, -1, 1);
  PUT(&f, "w", 1, 2);
  Interp *in = run(&f, f.program->gradient, 3, 1);
  const double l0 = log(exp(1) + exp(2)) - 1, l2 = log(exp(3) + exp(6)) - 6;
  near(ratio(in, output_of(f.program->gradient, OUT_LOSS, "loss")), (l0 + l2) / 2, 1e-14);
  int64_t n;
  const double *g = interp_value(in, output_of(f.program->gradient, OUT_VALUE, "w")->node, &n);
  const double p0 = exp(1) / (exp(1) + exp(2)), p2 = exp(3) / (exp(3) + exp(6));
  near(g[0], ((p0 - 1) * 1 + p2 * 3) / 2, 1e-14);
  near(g[1], ((1 - p0) * 1 - p2 * 3) / 2, 1e-14);
  interp_free(in);
  PUT(&f, "y", -1, -1, -1);
  in = run(&f, f.program->gradient, 3, 1);
  g = interp_value(in, output_of(f.program->gradient, OUT_VALUE, "w")->node, &n);
  near(g[0], 0, 0);
  near(g[1], 0, 0);
  interp_free(in);
  fixture_close(&f);
}

/* Adam on f(p) = p^2 / 2 + p: its first two steps by hand. */
static void adam_takes_its_steps(void **state) {
  Fixture f;
  fixture_open(
      &f, "model m { input x: []; param p: [] ~ constant(3); loss x * (p^2 / 2 + p) }\ntrain { optimizer = adam(0.1) }",
      TYPE_F64);
  PUT(&f, "x", 1);
  PUT(&f, "p", 3);
  PUT(&f, "p/m", 0);
  PUT(&f, "p/v", 0);
  double p = 3, m = 0, v = 0;
  for (int step = 1; step <= 3; step++) {
    const double g = p + 1;
    m = 0.9 * m + (1 - 0.9) * g, v = 0.999 * v + (1 - 0.999) * g * g;
    p -= 0.1 * (m / (1 - pow(0.9, step))) / (sqrt(v / (1 - pow(0.999, step))) + 1e-8);
    step_slots(&f, 1, step);
    near(f.slots[slot_of(&f, "p")][0], p, 1e-15);
    near(f.slots[slot_of(&f, "p/m")][0], m, 1e-15);
    near(f.slots[slot_of(&f, "p/v")][0], v, 1e-15);
  }
  fixture_close(&f);
}

static void batch_norm_normalises(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m { input x: [2]; target t: [2]; output y = x |> batch_norm; loss mse(y, t) }\ntrain { optimizer "
               "= sgd(0) }",
               TYPE_F64);
  const double x[] = {1, 5, 2, 7, 6, 0};
  put(&f, "x", x, 6);
  PUT(&f, "t", 0, 0, 0, 0, 0, 0);
  PUT(&f, "batch_norm_1.scale", 2, 3);
  PUT(&f, "batch_norm_1.shift", 0.5, 0);
  PUT(&f, "batch_norm_1.mean", 0, 0);
  PUT(&f, "batch_norm_1.var", 1, 1);
  near(value_at(&f, 3, "y", 0), 1 / sqrt(1 + 1e-5) * 2 + 0.5, 1e-14);
  step_slots(&f, 3, 1);
  double mean[2], var[2];
  for (int k = 0; k < 2; k++) {
    mean[k] = (x[k] + x[2 + k] + x[4 + k]) / 3, var[k] = 0;
    for (int i = 0; i < 3; i++) var[k] += (x[2 * i + k] - mean[k]) * (x[2 * i + k] - mean[k]) / 3;
    near(f.slots[slot_of(&f, "batch_norm_1.mean")][k], 0.1 * mean[k], 1e-14);
    near(f.slots[slot_of(&f, "batch_norm_1.var")][k], 0.9 + 0.1 * var[k], 1e-14);
  }
  fixture_close(&f);
}

/* Two players on one batch: the second sees what the first has become; the third counts every second step. */
static void blocks_take_turns(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m {\n input x: []\n param p: [] ~ constant(3)\n param q: [] ~ constant(1)\n param r: [] ~ zeros\n"
               " loss first = x * p^2 / 2\n loss second = x * (q - p)^2 / 2\n loss third = x * r * step }\n"
               "train a { loss = first; parameters = \"p\"; optimizer = sgd(0.5) }\n"
               "train b { loss = second; parameters = \"q\"; optimizer = sgd(0.1) }\n"
               "train c { loss = third; parameters = \"r\"; optimizer = step_count(); every = 2 }\n"
               "optimizer step_count() { parameter <- parameter + step }\n",
               TYPE_F64);
  PUT(&f, "x", 1);
  PUT(&f, "p", 3);
  PUT(&f, "q", 1);
  PUT(&f, "r", 0);
  double p = 3, q = 1, r = 0;
  for (int step = 1; step <= 4; step++) {
    step_slots(&f, 1, step);
    p -= 0.5 * p, q -= 0.1 * (q - p);
    if (step % 2 == 0) r += step / 2;
    near(f.slots[slot_of(&f, "p")][0], p, 1e-15);
    near(f.slots[slot_of(&f, "q")][0], q, 1e-15);
    near(f.slots[slot_of(&f, "r")][0], r, 1e-15);
  }
  fixture_close(&f);
}

/* `average`: evaluation uses the running mean of the parameters, which starts where they start. */
static void averages_follow(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m { input x: []; param p: [] ~ constant(4); loss x * p; output y = p * x }\ntrain { optimizer = "
               "sgd(1); average = 0.75 }",
               TYPE_F64);
  PUT(&f, "x", 1);
  PUT(&f, "p", 4);
  PUT(&f, "p/average", 4);
  step_slots(&f, 1, 1);
  near(f.slots[slot_of(&f, "p")][0], 3, 0);
  near(value_at(&f, 1, "y", 0), 0.75 * 4 + 0.25 * 3, 1e-15);
  fixture_close(&f);
}

/* The norm of all gradients together is cut to the limit, and left alone below it. */
static void clips_the_norm(void **state) {
  for (int large = 0; large < 2; large++) {
    Fixture f;
    fixture_open(&f,
                 "model m { input x: []; param p: [] ~ zeros; param q: [] ~ zeros; loss x * (3 * p + 4 * q) }\ntrain { "
                 "optimizer = sgd(1); clip_norm = 2 }",
                 TYPE_F64);
    const double x = large ? 10 : 0.1, scale = large ? 2.0 / 50 : 1;
    PUT(&f, "x", x);
    PUT(&f, "p", 0);
    PUT(&f, "q", 0);
    step_slots(&f, 1, 1);
    near(f.slots[slot_of(&f, "p")][0], -3 * x * scale, 1e-15);
    near(f.slots[slot_of(&f, "q")][0], -4 * x * scale, 1e-15);
    fixture_close(&f);
  }
}

/* A metric with states adds up over batches. */
static void metrics_add_up(void **state) {
  Fixture f;
  fixture_open(&f, "model m { input x: []; target t: []; param p: [] ~ ones; loss mse(p * x, t); metric rmse(x, t) }",
               TYPE_F64);
  PUT(&f, "p", 1);
  PUT(&f, "rmse/total", 0);
  PUT(&f, "rmse/count", 0);
  const double x[2][2] = {{1, 2}, {3, 0}}, wanted[] = {sqrt((1.0 + 4) / 2), sqrt((1.0 + 4 + 9 + 0) / 4)};
  PUT(&f, "t", 0, 0);
  for (int b = 0; b < 2; b++) {
    put(&f, "x", x[b], 2);
    const Graph *g = f.program->eval;
    Interp *in = run(&f, g, 2, 1);
    const Output *o = output_of(g, OUT_METRIC, "rmse");
    assert_int_equal(o->weight.id, 0);
    near(ratio(in, o), wanted[b], 1e-15);
    int64_t n;
    const double total = *interp_value(in, output_of(g, OUT_SLOT, "rmse/total")->node, &n);
    const double count = *interp_value(in, output_of(g, OUT_SLOT, "rmse/count")->node, &n);
    interp_free(in);
    PUT(&f, "rmse/total", total);
    PUT(&f, "rmse/count", count);
  }
  fixture_close(&f);
}

/* Names of instances, shared and made anew. */
static void names_are_dotted(void **state) {
  Fixture f;
  fixture_open(
      &f,
      "layer block(x: [n]) {\n let inner = dense(n)\n x |> inner |> dense(n) |> inner\n}\n"
      "model m { input x: [2]; let enc = dense(2); let net = v -> v |> dense(3) |> tanh |> dense(2)\n"
      " loss sum(x |> enc |> net |> enc |> block |> repeat(2, block()) |> repeat(1, v -> dense(v, 2)) |> dense(1)) }",
      TYPE_F64);
  static const char *const names[] = {"enc.W",
                                      "net.dense_1.W",
                                      "net.dense_2.b",
                                      "block_1.inner.W",
                                      "block_1.dense_1.W",
                                      "block_2.0.inner.W",
                                      "block_2.1.dense_1.b",
                                      "repeat_1.0.dense_1.W",
                                      "dense_1.W"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) slot_of(&f, names[i]);
  uint32_t params = 0;
  for (uint32_t i = 0; i < f.program->train->slots.count; i++)
    params += f.program->train->slots.data[i].kind == SLOT_PARAM;
  assert_int_equal(params, 2 * (1 + 2 + 2 + 4 + 1 + 1));
  fixture_close(&f);
}

/* A derivative of its own: forwards the sign, backwards what it says. */
static void own_derivatives(void **state) {
  Fixture f;
  fixture_open(&f,
               "fn hard(x) = select(x >= 0, 1.0, -1.0)\n  with gradient(dy) = dy * (abs(x) <= 1)\n"
               "model m { input x: [3]; param w: [3] ~ ones; output y = hard(w * x); loss sum(x * hard(w * x)) }",
               TYPE_F64);
  PUT(&f, "x", 0.5, -0.25, 3);
  PUT(&f, "w", 1, 1, 1);
  near(value_at(&f, 1, "y", 1), -1, 0);
  Interp *in = run(&f, f.program->gradient, 1, 1);
  int64_t n;
  const double *g = interp_value(in, output_of(f.program->gradient, OUT_VALUE, "w")->node, &n);
  near(g[0], 0.25, 1e-15);
  near(g[1], 0.0625, 1e-15);
  near(g[2], 0, 0);
  interp_free(in);
  fixture_close(&f);
}

/* A rule need not be linear in dy; and each call's is its own, in a loop too: dy passes the rule once a call, last call first. */
static void own_derivatives_of_any_kind(void **state) {
  Fixture f;
  fixture_open(&f,
               "fn limited(x) = 2 * x\n  with gradient(dy) = clamp(dy, -1, 1)\n"
               "fn squashed(x, w) = x^2\n  with gradient(dy) = (tanh(w * dy), none)\n"
               "model m { input x: []; param w: [] ~ ones; param v: [] ~ ones\n"
               " loss 5 * limited(w * x) + 3 * limited(limited(x * w)); loss twice = 16 * squashed(squashed(v * x, 0.5), 0.01)\n"
               " loss loop = 2 * (scan z = v * x for i in 0 .. 40 { next squashed(z, 1.5 * w) }) }",
               TYPE_F64);
  PUT(&f, "x", 0.5);
  PUT(&f, "w", 1);
  PUT(&f, "v", 1);
  Interp *in = run(&f, f.program->gradient, 1, 1);
  int64_t n;
  double loop = 2;
  for (int i = 0; i < 40; i++) loop = tanh(1.5 * loop);
  near(*interp_value(in, output_of(f.program->gradient, OUT_VALUE, "w")->node, &n), 0.5 * 2, 1e-14); /* 5 and 3 become 1 */
  near(*interp_value(in, output_of(f.program->gradient, OUT_VALUE, "v")->node, &n), 0.5 * (loop + tanh(0.5 * tanh(0.16))), 1e-14);
  interp_free(in);
  fixture_close(&f);
}

/* The derivative of a gradient of one's own is that of what it says: of x^3 / 3, x sin(z), and one that goes round a loop. */
static void derives_own_derivatives(void **state) {
  Fixture f;
  fixture_open(&f,
               "fn cube(x) = x^3 / 3\n  with gradient(dy) = dy * x^2\n"
               "fn wave(x, z) = x * sin(z)\n  with gradient(dy) = (dy * sin(z), dy * x * cos(z))\n"
               "fn power(x) = x^6\n  with gradient(dy) = 6 * scan h = dy for i in 0 .. 5 { next h * x }\n"
               "fn mixed(u) = u @ u.T\n  with gradient(dy) = (dy + dy.T) @ u\n"
               "model m {\n  input x: []\n  input z: []\n  let c = cube(x)\n  let w = wave(x, z)\n  let p = power(x)\n  let u = [[x, z]]\n"
               "  output c2 = grad(grad(c, x), x)\n  output c3 = grad(grad(grad(c, x), x), x)\n"
               "  output wzz = grad(grad(w, z), z)\n  output wxz = grad(grad(w, x), z)\n  output wzx = grad(grad(w, z), x)\n"
               "  output wxzz = grad(grad(grad(w, z), x), z)\n  output p2 = grad(grad(p, x), x)\n  output p3 = grad(grad(grad(p, x), x), x)\n"
               "  output m2 = grad(sum(grad(sum(mixed(u)), u)), u)\n  output bent = jvp(grad(c, x), x, 3.0)\n  loss c\n}", TYPE_F64);
  const double x = 1.25, z = 0.5;
  PUT(&f, "x", x);
  PUT(&f, "z", z);
  near(value_at(&f, 1, "c2", 0), 2 * x, 1e-14);
  near(value_at(&f, 1, "c3", 0), 2, 1e-14);
  near(value_at(&f, 1, "wzz", 0), -x * sin(z), 1e-14);
  near(value_at(&f, 1, "wxz", 0), cos(z), 1e-14);
  near(value_at(&f, 1, "wzx", 0), cos(z), 1e-14);
  near(value_at(&f, 1, "wxzz", 0), -sin(z), 1e-14);
  near(value_at(&f, 1, "p2", 0), 30 * pow(x, 4), 1e-12);
  near(value_at(&f, 1, "p3", 0), 120 * pow(x, 3), 1e-12);
  near(value_at(&f, 1, "m2", 0), 2, 1e-14);
  near(value_at(&f, 1, "m2", 1), 2, 1e-14);
  near(value_at(&f, 1, "bent", 0), 6 * x, 1e-14);
  fixture_close(&f);
}

/* One gradient an example by a parameter, by its own name and by one of an instance's. */
static void keeps_examples_apart(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m { input x: [2]; param w: [2] ~ ones; let f = dense(1, bias = false); let y = sum(f(x)); let v = f.W\n"
               " output g = grad(sum((w * x)^2), w, per = example)\n output all = grad(sum((w * x)^2), w)\n"
               " output shared = grad(sum(x @ v), v, per = example); loss y }", TYPE_F64);
  const double x[] = {1, 2, -3, 0.5};
  put(&f, "x", x, 4);
  PUT(&f, "w", 1, 1);
  for (int i = 0; i < 4; i++) near(value_at(&f, 2, "g", i), 2 * x[i] * x[i], 1e-14), near(value_at(&f, 2, "shared", i), x[i], 1e-14);
  fixture_close(&f);
}

/* A letter twice in an operand of einsum is its diagonal. */
static void sums_diagonals(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m { input a: [2, 2]; input b: [2, 2, 2]; output trace = einsum(\"ii ->\", a); output own = einsum(\"ii -> i\", a)\n"
               " output far = einsum(\"iji -> ji\", b); output all = einsum(\"iii -> i\", b); output both = einsum(\"ii, ij -> j\", a, a); loss sum(a) }",
               TYPE_F64);
  const double a[] = {1, 2, 3, 4}, b[] = {1, 2, 3, 4, 5, 6, 7, 8};
  put(&f, "a", a, 4);
  put(&f, "b", b, 8);
  near(value_at(&f, 1, "trace", 0), 5, 0);
  near(value_at(&f, 1, "own", 1), 4, 0);
  const double far[] = {1, 6, 3, 8};
  for (int i = 0; i < 4; i++) near(value_at(&f, 1, "far", i), far[i], 0);
  near(value_at(&f, 1, "all", 0), 1, 0);
  near(value_at(&f, 1, "all", 1), 8, 0);
  near(value_at(&f, 1, "both", 0), 1 * 1 + 4 * 3, 0);
  near(value_at(&f, 1, "both", 1), 1 * 2 + 4 * 4, 0);
  fixture_close(&f);
}

/* An optimiser over all asks for the loss again, within a loop of its own: the rule is made for each of them. */
static void own_derivatives_asked_again(void **state) {
  Fixture f;
  fixture_open(&f,
               "fn pair(x, y) = x * sin(y)\n  with gradient(dy) = (dy * sin(y), dy * x * cos(y))\n"
               "model m { input x: [4]; param w: [4] ~ ones; loss sum(abs(pair(x, w) - 0.125)) }\n"
               "train { optimizer = lbfgs(0.1) }",
               TYPE_F64);
  Graph *g = graph_rebuild(f.program->train, true);
  Loops loops = loops_find(g);
  for (uint32_t id = 1; id < g->nodes.count; id++) /* no carry of a loop that is not there */
    if (node_prim(g, (Node){id}) == P_CARRY) assert_true(loop_of(&loops, (Node){id}) >= 0);
  loops_free(&loops);
  graph_free(g);
  fixture_close(&f);
}

/* Two inner steps from shared parameters, one copy an example; the outer gradient goes through both. */
static void learns_to_learn(void **state) {
  Fixture f;
  fixture_open(&f,
               "layer line(x: []) {\n param w: [] ~ ones\n w * x\n}\n"
               "model m { input a: [1]; input b: [1]; input c: []; target d: []\n let net = line()\n"
               " let fast = scan fit = net for i in 0 .. 2 {\n  let fault = mse(a |> map(fit), b)\n"
               "  next fit - 0.1 * grad(fault, fit, per = example)\n }\n output y = fast(c); loss mse(y, d) }",
               TYPE_F64);
  const double a[] = {1, 2}, b[] = {3, -1}, c[] = {1.5, 0.5}, d[] = {0, 1}, w = 0.7;
  put(&f, "a", a, 2);
  put(&f, "b", b, 2);
  put(&f, "c", c, 2);
  put(&f, "d", d, 2);
  PUT(&f, "net.w", w);
  double gradient = 0;
  for (int i = 0; i < 2; i++) {
    double v = w, factor = 1;
    for (int k = 0; k < 2; k++) v -= 0.2 * a[i] * (v * a[i] - b[i]), factor *= 1 - 0.2 * a[i] * a[i];
    near(value_at(&f, 2, "y", i), v * c[i], 1e-14);
    gradient += 2 * (v * c[i] - d[i]) * c[i] * factor / 2;
  }
  Interp *in = run(&f, f.program->gradient, 2, 1);
  int64_t n;
  near(*interp_value(in, output_of(f.program->gradient, OUT_VALUE, "net.w")->node, &n), gradient, 1e-14);
  interp_free(in);
  fixture_close(&f);
}

/* A name for [a, b] is one value to `grad`, also where a function made it. */
static void derives_by_arrays(void **state) {
  Fixture f;
  fixture_open(&f,
               "fn pair(p, q) = [p, q]\n"
               "model m { input a: [2]; let v = pair(a, 2 * a); output g = grad(sum(v^3), v); loss sum(v) }",
               TYPE_F64);
  const double a[] = {1, -0.5};
  put(&f, "a", a, 2);
  for (int i = 0; i < 2; i++) {
    near(value_at(&f, 1, "g", i), 3 * a[i] * a[i], 1e-14);
    near(value_at(&f, 1, "g", 2 + i), 12 * a[i] * a[i], 1e-14);
  }
  fixture_close(&f);
}

/* A fixed point's derivative by its own fixed point: z = z / 2 + u has z = 2 u. */
static void settles(void **state) {
  Fixture f;
  fixture_open(&f,
               "fn fixed_point(f, start) = iterate z = start while abs(f(z) - z) > 1e-12 max 60 { next f(z) }\n"
               "fn settle(f, u) {\n let rest = stop_gradient(fixed_point(z -> f(z, u), 0 * u))\n"
               " implicit(f(rest, u), v -> grad(f(rest, u) * v, rest))\n}\n"
               "fn implicit(y, pull) = y\n  with gradient(dy) = (fixed_point(v -> dy + pull(v), dy), none)\n"
               "model m { input x: []; param w: [] ~ ones; output y = settle((z, u) -> z / 2 + u, w * x); loss y }",
               TYPE_F64);
  PUT(&f, "x", 3);
  PUT(&f, "w", 2);
  near(value_at(&f, 1, "y", 0), 12, 1e-11);
  Interp *in = run(&f, f.program->gradient, 1, 1);
  int64_t n;
  near(*interp_value(in, output_of(f.program->gradient, OUT_VALUE, "w")->node, &n), 6, 1e-10);
  interp_free(in);
  fixture_close(&f);
}

/* `state slow ~ net`: a copy with names of its own, which follows and is not trained. */
static void copies_follow(void **state) {
  Fixture f;
  fixture_open(
      &f,
      "model m { input x: []; let net = v -> [v] |> dense(1) |> sum\n output y = net(x)\n state slow ~ net\n"
      " slow <- 0.75 * slow + 0.25 * net\n output old = slow(x); loss y + 0 * slow(x) }\ntrain { optimizer = sgd(1) }",
      TYPE_F64);
  PUT(&f, "x", 2);
  PUT(&f, "net.dense_1.W", 3);
  PUT(&f, "net.dense_1.b", 0);
  PUT(&f, "slow.dense_1.W", 7);
  PUT(&f, "slow.dense_1.b", 1);
  near(value_at(&f, 1, "old", 0), 15, 0);
  step_slots(&f, 1, 1);
  near(f.slots[slot_of(&f, "slow.dense_1.W")][0], 0.75 * 7 + 0.25 * 3, 1e-15);
  near(f.slots[slot_of(&f, "net.dense_1.W")][0], 1, 1e-15);
  fixture_close(&f);
}

/* First values: a deviation that fits the fans, orthogonal columns, a cut normal. */
static void starts_as_told(void **state) {
  Fixture f;
  fixture_open(&f,
               "model m { input x: [50]\n param W: [50, 80] ~ he\n param Q: [6, 4] ~ orthogonal(2)\n param C: [40, "
               "100] ~ truncated_normal(1, 0.5)\n"
               " param B: [5] ~ constant([1, 2, 3, 4, 5])\n loss sum(x @ W) + sum(Q) + sum(C) + sum(B) }",
               TYPE_F64);
  const Graph *g = f.program->init;
  Interp *in = run(&f, g, 1, 0);
  int64_t n;
  const double *w = interp_value(in, output_of(g, OUT_SLOT, "W")->node, &n);
  double sum = 0, square = 0;
  for (int i = 0; i < n; i++) sum += w[i], square += w[i] * w[i];
  near(sqrt(square / (double)n), sqrt(2.0 / 50), 0.02);
  assert_true(fabs(sum / (double)n) < 0.01);
  const double *q = interp_value(in, output_of(g, OUT_SLOT, "Q")->node, &n);
  for (int i = 0; i < 4; i++) {
    for (int k = 0; k < 4; k++) {
      double dot = 0;
      for (int r = 0; r < 6; r++) dot += q[4 * r + i] * q[4 * r + k];
      near(dot, i == k ? 4 : 0, 1e-12);
    }
  }
  const double *c = interp_value(in, output_of(g, OUT_SLOT, "C")->node, &n);
  sum = square = 0;
  for (int i = 0; i < n; i++) {
    assert_true(fabs(c[i] - 1) <= 1 + 1e-6);
    sum += c[i], square += (c[i] - 1) * (c[i] - 1);
  }
  near(sqrt(square / (double)n), 0.5 * 0.87962566103423978, 0.02);
  const double *b = interp_value(in, output_of(g, OUT_SLOT, "B")->node, &n);
  for (int i = 0; i < 5; i++) near(b[i], i + 1, 0);
  interp_free(in);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dense_is_x_w_plus_b),
      cmocka_unit_test(own_gradient_by_a_parameter),
      cmocka_unit_test(cross_entropy_is_minus_log_p),
      cmocka_unit_test(weights_leave_out),
      cmocka_unit_test(adam_takes_its_steps),
      cmocka_unit_test(batch_norm_normalises),
      cmocka_unit_test(blocks_take_turns),
      cmocka_unit_test(averages_follow),
      cmocka_unit_test(clips_the_norm),
      cmocka_unit_test(metrics_add_up),
      cmocka_unit_test(names_are_dotted),
      cmocka_unit_test(own_derivatives), cmocka_unit_test(derives_own_derivatives), cmocka_unit_test(keeps_examples_apart), cmocka_unit_test(sums_diagonals),
      cmocka_unit_test(own_derivatives_of_any_kind),
      cmocka_unit_test(own_derivatives_asked_again),
      cmocka_unit_test(derives_by_arrays), cmocka_unit_test(learns_to_learn),
      cmocka_unit_test(settles),
      cmocka_unit_test(copies_follow),
      cmocka_unit_test(starts_as_told),
  };
  return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
