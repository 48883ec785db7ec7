/* as_written.c: formulas as people write them, which overflow, cancel or have an infinite derivative when computed as they
 * stand: by machine code in f32, value and gradient are finite and accurate for logits of +-1000 and for means of 1e4. The
 * expected values are closed forms in long double. */
#include "evaluate.h"

enum { N = 4, ROWS = 6 };

/* Of a row x: the value, and its gradient to d. */
typedef long double Closed(const double *x, long double *d);

static const long double weights[N] = {0.5L, -1.25L, 2, 0.75L};

static long double log_sum(const double *x, long double *p) {
  long double top = x[0], sum = 0;
  for (int i = 1; i < N; i++) top = fmaxl(top, x[i]);
  for (int i = 0; i < N; i++) sum += p[i] = expl(x[i] - top);
  for (int i = 0; i < N; i++) p[i] /= sum;
  return top + logl(sum);
}
static long double cross_entropy(const double *x, long double *d) {
  const long double value = log_sum(x, d) - x[1];
  d[1] -= 1;
  return value;
}
static long double log_mean(const double *x, long double *d) { return log_sum(x, d) - logl(N); }
static long double weighted_log(const double *x, long double *d) {
  long double p[N], value = 0, total = 0;
  const long double all = log_sum(x, p);
  for (int i = 0; i < N; i++) value += weights[i] * (x[i] - all), total += weights[i];
  for (int i = 0; i < N; i++) d[i] = weights[i] - total * p[i];
  return value;
}
static long double softplus(long double x) { return fmaxl(x, 0) + log1pl(expl(-fabsl(x))); }
static long double softplus_sum(const double *x, long double *d) {
  long double value = 0;
  for (int i = 0; i < N; i++) value += softplus(x[i]), d[i] = 1 / (1 + expl(-(long double)x[i]));
  return value;
}
static long double log_sigmoid_sum(const double *x, long double *d) {
  long double value = 0;
  for (int i = 0; i < N; i++) value -= softplus(-(long double)x[i]), d[i] = 1 / (1 + expl((long double)x[i]));
  return value;
}
static long double log_rest_sum(const double *x, long double *d) {
  const long double value = softplus_sum(x, d);
  for (int i = 0; i < N; i++) d[i] = -d[i];
  return -value;
}
static long double unit(const double *x, long double *d) {
  long double square = 0, dot = 0;
  for (int i = 0; i < N; i++) square += (long double)x[i] * x[i], dot += weights[i] * x[i];
  const long double norm = sqrtl(square);
  for (int i = 0; i < N; i++) d[i] = weights[i] / norm - dot * x[i] / (norm * square);
  return dot / norm;
}
static long double variance(const double *x, long double *d) {
  long double mean = 0, value = 0;
  for (int i = 0; i < N; i++) mean += (long double)x[i] / N;
  for (int i = 0; i < N; i++) value += (x[i] - mean) * (x[i] - mean) / N, d[i] = 2 * (x[i] - mean) / N;
  return value;
}

static const double logits[ROWS][N] = {{-1000, 1000, 0, 3},     {1000, -1000, 1000, 999}, {0.5, -2, 30, -30},
                                       {-1000, -1000, -999, -1001}, {100, 90, -100, 88.5},    {1e-3, -1e-3, 2e-3, 17}};
static const double far[ROWS][N] = {{9998.5, 9999.5, 10000.5, 10001.5}, {10000, 10001, 10000, 10002},
                                    {-10000.25, -9999, -10001, -10002}, {1, 2, 3, 5},
                                    {1e4, 10016, 9990, 1e4},            {0.25, -0.25, 0, 1}};

#define W "[0.5, -1.25, 2.0, 0.75]"
static const struct {
  const char *text;
  Closed *closed;
  const double (*rows)[N];
} cases[] = {
    {"-log(softmax(x)[1])", cross_entropy, logits},
    {"-log(exp(x)[1] / sum(exp(x)))", cross_entropy, logits},
    {"{ let e = exp(x - max(x)); -log((e / sum(e))[1]) }", cross_entropy, logits},
    {"{ let e = exp(x - max(x)); log(sum(e)) + max(x) - x[1] }", cross_entropy, logits},
    {"-log(softmax(x)[y])", cross_entropy, logits},
    {"-log(softmax(x))[y]", cross_entropy, logits},
    {"-sum(log(softmax(x)) * [0.0, 1.0, 0.0, 0.0])", cross_entropy, logits},
    {"log(sum(exp(x))) - x[1]", cross_entropy, logits},
    {"sum(log(softmax(x)) * " W ")", weighted_log, logits},
    {"sum(log(softmax(x - max(x))) * " W ")", weighted_log, logits},
    {"log(sum(exp(x)))", log_sum, logits},
    {"log(mean(exp(x)))", log_mean, logits},
    {"sum(log(1 + exp(x)))", softplus_sum, logits},
    {"sum(log(exp(x) + 1))", softplus_sum, logits},
    {"-sum(log(sigmoid(-x)))", softplus_sum, logits},
    {"sum(max(x, 0) + log(1 + exp(-abs(x))))", softplus_sum, logits},
    {"sum(log(sigmoid(x)))", log_sigmoid_sum, logits},
    {"sum(log(1 / (1 + exp(-x))))", log_sigmoid_sum, logits},
    {"sum(log(1 - sigmoid(-x)))", log_sigmoid_sum, logits},
    {"sum(log(1 - sigmoid(x)))", log_rest_sum, logits},
    {"sum(log(exp(-x) / (1 + exp(-x))))", log_rest_sum, logits},
    {"sum(x / sqrt(sum(x^2)) * " W ")", unit, logits},
    {"sum(x * rsqrt(sum(x * x)) * " W ")", unit, logits},
    {"sum(x / sum(x^2)^0.5 * " W ")", unit, logits},
    {"mean(x^2) - mean(x)^2", variance, far},
    {"mean(x * x) - mean(x) * mean(x)", variance, far},
    {"sum(x^2) / 4 - (sum(x) / 4)^2", variance, far},
    {"{ let m = mean(x); mean(x^2) - m^2 }", variance, far},
    {"{ let m = mean(x); mean((x - m)^2) }", variance, far},
    {"sum(x^2) * 0.25 - (0.25 * sum(x))^2", variance, far},
    {"{ let (m, v) = moments(x, over = -1); sum(v) }", variance, far},
};

static bool near(const char *text, const char *what, int row, double got, long double want, long double scale) {
  if (fabsl(got - want) <= 3e-6L * scale) return true;
  print_error("%s, row %d: %s is %.9g, %.9Lg wanted\n", text, row, what, got, want);
  return false;
}

/* Value and gradient of each row. */
static int check(const char *text, Closed *closed, const double (*rows)[N]) {
  char model[1024];
  snprintf(model, sizeof model,
           "model m {\n  input x: [4]\n  target y: label[4]\n  let v = %s\n  loss v\n  output value = 1.0 * v\n  output slope = grad(v, x)\n}\n"
           "train { optimizer = sgd(0.1); batch = 6; steps = 1 }\n", text);
  Evaluation e;
  MachineCode m;
  GradcTensor value, slope;
  int wrongs = 0;
  evaluation_open(&e, model, TYPE_F32, ROWS);
  for (int i = 0; i < ROWS * N; i++) e.slots[0][i] = (double)(float)rows[i / N][i % N];
  for (int r = 0; r < ROWS && e.count > 1; r++) e.slots[1][r] = 1; /* the label, where the formula has one */
  machine_open(&m, &e, 1u << GRADC_ENTRY_EVAL);
  machine_eval(&m, &e);
  assert_int_equal(gradc_output(m.model, "value", &value), GRADC_OK);
  assert_int_equal(gradc_output(m.model, "slope", &slope), GRADC_OK);
  assert_int_equal(slope.count, ROWS * N);
  for (int r = 0; r < ROWS; r++) {
    long double d[N], largest = 0;
    const long double v = closed(&e.slots[0][r * N], d);
    for (int i = 0; i < N; i++) largest = fmaxl(largest, fabsl(d[i]));
    wrongs += !near(text, "the value", r, element_get(value.data, (uint8_t)value.type, r), v, fmaxl(1, fabsl(v)));
    for (int i = 0; i < N; i++)
      wrongs += !near(text, "the gradient", r, element_get(slope.data, (uint8_t)slope.type, r * N + i), d[i], largest + 1e-9L);
  }
  machine_close(&m);
  evaluation_close(&e);
  return wrongs;
}

static void test_as_written(void **state) {
  int wrongs = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) wrongs += check(cases[i].text, cases[i].closed, cases[i].rows) > 0;
  assert_int_equal(wrongs, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_written)};
  return cmocka_run_group_tests_name("as_written", tests, NULL, NULL);
}
