/* definitions.c: functions and layers of the library against published definitions: closed forms, pieces at kinks, and
 * values counted out by hand, by the oracle and by machine code, in double to 1e-12. Each case names its source. */
#include "evaluate.h"

enum { VALUES = 40 };
#define END -987654321.0 /* ends a list of values; no case contains it */
#define V(...) {__VA_ARGS__, END}

typedef struct {
  const char *source, *inputs, *expression;
  double x[VALUES];      /* of all inputs, one after the other */
  double wanted[VALUES];
} Case;

static size_t length(const double *v) {
  size_t n = 0;
  while (n < VALUES && v[n] != END) n++;
  return n;
}

static int wrongs, checked;

static void compare(const Case *c, const char *by, const double *got, int64_t count) {
  if ((size_t)count != length(c->wanted)) fail_msg("%s: %d values", c->expression, (int)count);
  for (int64_t i = 0; i < count; i++) {
    if (!numbers_agree(got[i], c->wanted[i], 1e-12, fabs(c->wanted[i])))
      print_error("%s (%s), %s: element %d is %.17g, not %.17g\n", c->expression, c->source, by, (int)i, got[i],
                  c->wanted[i]),
          wrongs++;
  }
}

static void check_batch(const Case *c, int64_t batch) {
  Text text = {0};
  text_printf(&text, "model m {\n  input ");
  for (const char *p = c->inputs; *p; p++) {
    if (*p == ';') text_printf(&text, "\n  input");
    else text_printf(&text, "%c", *p);
  }
  text_printf(&text, "\n  param unused: [] ~ zeros\n  output value = 1.0 * (%s)\n  loss unused^2\n}\n", c->expression);
  text_printf(&text, "train { optimizer = sgd(0.1); batch = %lld; steps = 1 }\n", (long long)batch);
  Evaluation e;
  MachineCode m;
  GradcTensor t;
  evaluation_open(&e, text_get(&text), TYPE_F64, batch);
  size_t at = 0;
  for (uint32_t i = 0; i < e.count; i++) {
    if (!slot_is_feed(&e.program->eval->slots.data[i])) continue;
    for (int64_t k = 0; k < e.sizes[i]; k++) e.slots[i][k] = c->x[at++];
  }
  if (at != length(c->x)) fail_msg("%s: %d inputs are needed", c->expression, (int)at);
  evaluation_start(&e);
  const InterpInput input = evaluation_input(&e);
  Interp *interp = interp_new(e.program->eval, &input);
  int64_t n;
  const double *got = interp_value(interp, e.program->eval->outputs.data[0].node, &n);
  compare(c, "the oracle", got, n);
  interp_free(interp);
  machine_open(&m, &e, 1u << GRADC_ENTRY_EVAL);
  machine_eval(&m, &e);
  assert_int_equal(gradc_output(m.model, "value", &t), GRADC_OK);
  compare(c, "machine code", t.data, t.count);
  machine_close(&m);
  evaluation_close(&e);
  text_free(&text);
}

static void check_all(const Case *cases, size_t count) {
  wrongs = 0;
  for (size_t i = 0; i < count; i++) check_batch(&cases[i], 1), checked++;
  print_message("%d cases so far\n", checked);
  assert_int_equal(wrongs, 0);
}
#define RUN(cases) check_all(cases, sizeof(cases) / sizeof *(cases))

static double normal_cdf(double x) { return 0.5 * erfc(-x / sqrt(2)); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void test_activations(void **state) {
  const double phi1 = normal_cdf(1), k = sqrt(2 / M_PI), e1 = exp(-1.0);
  const Case cases[] = {
      {"max(x, 0)", "x: [3]", "relu(x)", V(-1, 0, 2), V(0, 0, 2)},
      {"gradient 0 at 0", "x: [3]", "grad(sum(relu(x)), x)", V(-1, 0, 2), V(0, 0, 1)},
      {"PyTorch's slope 0.01", "x: [3]", "leaky_relu(x)", V(-2, 0, 3), V(-0.02, 0, 3)},
      {"PyTorch: the slope at 0", "x: [1]", "grad(sum(leaky_relu(x)), x)", V(0), V(0.01)},
      {"PyTorch's start 0.25", "x: [2]", "prelu(x)", V(-2, 3), V(-0.5, 3)},
      {"Clevert 2015", "x: [3]", "elu(x)", V(-1, 0, 2), V(e1 - 1, 0, 2)},
      {"elu far below 0 is -alpha", "x: [1]", "elu(x, alpha = 2)", V(-800), V(-2)},
      {"Klambauer 2017, equation 14", "x: [2]", "selu(x)",
       V(1, -1), V(1.0507009873554805, 1.0507009873554805 * 1.6732632423543772 * (e1 - 1))},
      {"Barron 2017", "x: [2]", "celu(x, alpha = 2)", V(-1, 3), V(2 * (exp(-0.5) - 1), 3)},
      {"celu has slope 1 at 0 for every alpha", "x: [1]", "grad(sum(celu(x, alpha = 3)), x)", V(0), V(1)},
      {"x Phi(x): 0.8413447460685429 at 1", "x: [3]", "gelu(x)", V(1, -1, 0), V(phi1, phi1 - 1, 0)},
      {"Phi + x phi", "x: [1]", "grad(sum(gelu(x)), x)", V(1), V(phi1 + exp(-0.5) / sqrt(2 * M_PI))},
      {"Hendrycks, section 2: 0.8411919906082768 at 1", "x: [1]", "gelu_tanh(x)",
       V(1), V(0.5 * (1 + tanh(k * 1.044715)))},
      {"CLIP", "x: [1]", "quick_gelu(x)", V(1), V(sigmoid(1.702))},
      {"x sigmoid(x)", "x: [2]", "silu(x)", V(1, -1), V(0.7310585786300049, -0.2689414213699951)},
      {"log 2 at 0, x far above, 0 far below", "x: [3]", "softplus(x)", V(0, 1000, -1000), V(log(2), 1000, 0)},
      {"Misra 2019, by n / (n + 2), n = e^x (e^x + 2)", "x: [1]", "mish(x)",
       V(1), V(M_E * (M_E + 2) / (M_E * (M_E + 2) + 2))},
      {"Barron 2021", "x: [2]", "squareplus(x)", V(0, 1.5), V(1, 2)},
      {"x / (1 + |x|)", "x: [2]", "softsign(x)", V(-1, 3), V(-0.5, 0.75)},
      {"log(1/2) at 0, x far below", "x: [3]", "log_sigmoid(x)", V(0, -1000, 1000), V(-log(2), -1000, 0)},
      {"Howard 2019: pieces", "x: [4]", "hard_sigmoid(x)", V(-3, 0, 1.5, 3), V(0, 0.5, 0.75, 1)},
      {"gradient 1/6 inside, 0 at 3", "x: [2]", "grad(sum(hard_sigmoid(x)), x)", V(0, 3), V(1 / 6., 0)},
      {"Howard 2019: pieces", "x: [3]", "hard_swish(x)", V(-4, 1.5, 4), V(0, 1.125, 4)},
      {"PyTorch, Hardtanh", "x: [3]", "hard_tanh(x)", V(-2, 0.5, 2), V(-1, 0.5, 1)},
      {"gradient 0 at the bounds", "x: [2]", "grad(sum(hard_tanh(x)), x)", V(1, 0.5), V(0, 1)},
      {"min(max(x, 0), 6)", "x: [3]", "relu6(x)", V(-1, 3, 7), V(0, 3, 6)},
      {"Donoho 1995", "x: [3]", "soft_shrink(x)", V(-2, 0.3, 1), V(-1.5, 0, 0.5)},
      {"Donoho and Johnstone 1994", "x: [3]", "hard_shrink(x)", V(-2, 0.3, 1), V(-2, 0, 1)},
      {"x - tanh(x)", "x: [1]", "tanh_shrink(x)", V(1), V(1 - tanh(1))},
      {"PyTorch, Threshold", "x: [2]", "threshold(x, 0.5, below = 9)", V(0.5, 2), V(9, 2)},
      {"Dauphin 2016", "a: [1]; g: [1]", "glu(a, g)", V(3, 0), V(1.5)},
      {"Shazeer 2020, equation 6", "g: [1]; u: [1]", "swiglu(g, u)", V(1, 2), V(2 * sigmoid(1))},
      {"Shazeer 2020, equation 6", "g: [1]; u: [1]", "geglu(g, u)", V(1, 2), V(2 * phi1)},
      {"Shazeer 2020, equation 5", "g: [2]; u: [2]", "reglu(g, u)", V(-1, 3, 2, 2), V(0, 6)},
  };
  RUN(cases);
}

static void test_softmax(void **state) {
  const Case cases[] = {
      {"1/4 and 3/4", "x: [2]", "softmax(x)", V(0, log(3)), V(0.25, 0.75)},
      {"a shift changes nothing", "x: [2]", "softmax(x)", V(1000, 1000 + log(3)), V(0.25, 0.75)},
      {"a row of -inf is 0", "x: [2]", "softmax(x)", V(-INFINITY, -INFINITY), V(0, 0)},
      {"p (1 - p)", "x: [2]", "grad(softmax(x)[0], x)", V(0, log(3)), V(0.1875, -0.1875)},
      {"along the first axis", "x: [2, 2]", "softmax(x, over = 0)", V(0, 0, log(3), 0), V(0.25, 0.5, 0.75, 0.5)},
      {"log 2", "x: [2]", "logsumexp(x)", V(5, 5), V(5 + log(2))},
      {"of -inf: -inf", "x: [2]", "logsumexp(x)", V(-INFINITY, -INFINITY), V(-INFINITY)},
      {"of -inf: gradient 0", "x: [2]", "grad(logsumexp(x), x)", V(-INFINITY, -INFINITY), V(0, 0)},
      {"log of 1/4 and 3/4", "x: [2]", "log_softmax(x)", V(0, log(3)), V(log(0.25), log(0.75))},
      {"Martins 2016: (1 + t) / 2 and (1 - t) / 2", "x: [2]", "sparsemax(x)", V(0.5, 0), V(0.75, 0.25)},
      {"Martins 2016: one of (1, 0) where t > 1", "x: [2]", "sparsemax(x)", V(2, 0), V(1, 0)},
      {"three equal thirds", "x: [3]", "sparsemax(x)", V(7, 7, 7), V(1 / 3., 1 / 3., 1 / 3.)},
  };
  RUN(cases);
}

static void test_regression_losses(void **state) {
  const Case cases[] = {
      {"no factor 1/2", "z: [2]; t: [2]", "mse(z, t)", V(1, 2, 0, 5), V(5)},
      {"2 (z - t) / n", "z: [2]; t: [2]", "grad(mse(z, t), z)", V(1, 2, 0, 5), V(1, -3)},
      {"mean |e|", "z: [2]; t: [2]", "mae(z, t)", V(1, 2, 0, 5), V(2)},
      {"gradient 0 at 0", "z: [2]; t: [2]", "grad(mae(z, t), z)", V(1, 2, 1, 5), V(0, -0.5)},
      {"Huber 1964: the square's piece", "z: [1]; t: [1]", "huber(z, t)", V(0.5, 0), V(0.125)},
      {"Huber 1964: the straight piece", "z: [1]; t: [1]", "huber(z, t, delta = 2)", V(5, 0), V(8)},
      {"clip(e, -delta, delta)", "z: [2]; t: [2]", "grad(huber(z, t), z)", V(3, 0.5, 0, 0), V(0.5, 0.25)},
      {"Girshick 2015: e^2 / (2 beta), |e| - beta / 2", "z: [2]; t: [2]", "smooth_l1(z, t, beta = 0.5)",
       V(0.25, 3, 0, 0), V((0.0625 + 2.75) / 2)},
      {"log cosh 1", "z: [1]; t: [1]", "log_cosh(z, t)", V(1, 0), V(log(cosh(1)))},
      {"|e| - log 2 far out", "z: [1]; t: [1]", "log_cosh(z, t)", V(-1000, 0), V(1000 - log(2))},
      {"pinball: q e and (q - 1) e", "z: [2]; t: [2]", "quantile(z, t, q = 0.9)", V(0, 3, 1, 1), V((0.9 + 0.2) / 2)},
      {"e^z - t z", "z: [1]; t: [1]", "poisson_nll(z, t)", V(log(2), 3), V(2 - 3 * log(2))},
      {"(log v + e^2 / v) / 2", "z: [1]; t: [1]; v: [1]", "gaussian_nll(z, t, v)", V(1, 3, 4), V(0.5 * (log(4) + 1))},
      {"v is at least 1e-6", "z: [1]; t: [1]; v: [1]", "gaussian_nll(z, t, v)", V(1, 1, 0), V(0.5 * log(1e-6))},
      {"log(2 b) + |e| / b", "z: [1]; t: [1]; b: [1]", "laplace_nll(z, t, b)", V(1, 4, 2), V(log(4) + 1.5)},
      {"r t - log r", "z: [1]; t: [1]", "exponential_nll(z, t)", V(log(2), 3), V(6 - log(2))},
  };
  RUN(cases);
}

static void test_class_losses(void **state) {
  const double l2 = log(2), l3 = log(3);
  const Case cases[] = {
      {"log k of equal logits", "z: [4]; y: label[4]", "cross_entropy(z, y)", V(9, 9, 9, 9, 2), V(log(4))},
      {"-log 3/4", "z: [2]; y: label[2]", "cross_entropy(z, y)", V(0, l3, 1), V(-log(0.75))},
      {"p - onehot", "z: [2]; y: label[2]", "grad(cross_entropy(z, y), z)", V(0, l3, 1), V(0.25, -0.25)},
      {"large logits", "z: [2]; y: label[2]", "cross_entropy(z, y)", V(1000, -1000, 1), V(2000)},
      {"Szegedy 2015: (1 - s) onehot + s / k", "z: [2]; y: label[2]", "cross_entropy(z, y, smoothing = 0.2)",
       V(0, l3, 1), V(-0.9 * log(0.75) - 0.1 * log(0.25))},
      {"one number a label", "z: [2, 2]; y: [2] of label[2]", "cross_entropy(z, y)",
       V(0, l3, 0, l3, 0, 1), V(-log(0.25), -log(0.75))},
      {"an unknown label", "z: [2]; y: label[2]", "cross_entropy(z, y)", V(0, l3, -1), V(NAN)},
      {"soft targets: -sum p log q", "z: [2]; p: [2]", "soft_cross_entropy(z, p)",
       V(0, l3, 0.5, 0.5), V(-0.5 * log(0.25) - 0.5 * log(0.75))},
      {"-log p", "z: [2]; y: label[2]", "nll(z, y)", V(log(0.25), log(0.75), 0), V(-log(0.25))},
      {"log 2 at 0", "z: [2]; t: [2]", "bce_logits(z, t)", V(0, 0, 0, 1), V(l2)},
      {"no overflow", "z: [2]; t: [2]", "bce_logits(z, t)", V(1000, -1000, 0, 1), V(1000)},
      {"PyTorch, pos_weight", "z: [1]; t: [1]", "bce_logits(z, t, positive = 3)", V(0, 1), V(3 * l2)},
      {"sigmoid(z) - t", "z: [1]; t: [1]", "grad(bce_logits(z, t), z)", V(l3, 1), V(-0.25)},
      {"-log p", "p: [2]; t: [2]", "bce(p, t)", V(0.25, 0.25, 1, 0), V(-0.5 * (log(0.25) + log(0.75)))},
      {"PyTorch: logarithms are cut at -100", "p: [1]; t: [1]", "bce(p, t)", V(0, 1), V(100)},
      {"the sum, not the mean", "z: [2]; t: [2]", "bernoulli_nll(z, t)", V(0, 0, 0, 1), V(2 * l2)},
      {"the sum over labels", "z: [2, 2]; y: [2] of label[2]", "categorical_nll(z, y)", V(0, 0, 3, 3, 0, 1), V(2 * l2)},
      {"sum p log(p / q)", "p: [2]; q: [2]", "kl(p, q)", V(0.5, 0.5, 0.25, 0.75), V(0.5 * log(2) + 0.5 * log(2 / 3.))},
      {"0 log 0 = 0", "p: [2]; q: [2]", "kl(p, q)", V(0, 1, 0.5, 0.5), V(l2)},
      {"Kingma 2013, appendix B", "m: [2]; v: [2]", "kl_standard_normal(m, v)",
       V(1, 0, 0, log(4)), V(0.5 + 0.5 * (3 - log(4)))},
      {"log(d2 / d1) + (d1^2 + dm^2) / (2 d2^2) - 1/2", "a: [1]; b: [1]; c: [1]; d: [1]", "kl_normal(a, b, c, d)",
       V(1, 1, 0, 2), V(l2 + 0.25 - 0.5)},
      {"Lin 1991: log 2 of disjoint ones", "p: [2]; q: [2]", "jensen_shannon(p, q)", V(1, 0, 0, 1), V(l2)},
      {"max(0, 1 - t z)", "z: [2]; t: [2]", "hinge(z, t)", V(2, 0.5, 1, -1), V(0.75)},
      {"its square", "z: [2]; t: [2]", "squared_hinge(z, t)", V(2, 0.5, 1, -1), V(1.125)},
      {"Crammer and Singer", "z: [3]; y: label[3]", "multiclass_hinge(z, y)", V(1, 3, 2.5, 1), V(0.5)},
      {"Lin 2017: -(1 - p)^2 log p", "z: [2]; y: label[2]", "focal(z, y)", V(0, l3, 1), V(-0.0625 * log(0.75))},
      {"focal without focus is cross entropy", "z: [2]; y: label[2]", "focal(z, y, gamma = 0)",
       V(0, l3, 1), V(-log(0.75))},
      {"torchvision: alpha (1 - p)^2 -log p", "z: [1]; t: [1]", "binary_focal(z, t, alpha = 0.25)",
       V(0, 1), V(0.25 * 0.25 * l2)},
      {"1 - (2 I + s) / (P + T + s)", "p: [2]; t: [2]", "dice(p, t)", V(0.5, 0.5, 1, 0), V(1 - 2. / 3)},
  };
  RUN(cases);
}

static void test_pairs(void **state) {
  const Case cases[] = {
      {"(3 4).(4 3) / 25", "a: [2]; b: [2]", "cosine_similarity(a, b)", V(3, 4, 4, 3), V(0.96)},
      {"eps keeps 0 / 0 away", "a: [2]; b: [2]", "cosine_similarity(a, b)", V(0, 0, 4, 3), V(0)},
      {"1 - cos", "a: [2]; b: [2]; t: []", "cosine_embedding(a, b, t)", V(3, 4, 4, 3, 1), V(0.04)},
      {"max(0, cos - margin)", "a: [2]; b: [2]; t: []", "cosine_embedding(a, b, t, margin = 0.5)",
       V(3, 4, 4, 3, -1), V(0.46)},
      {"Schroff 2015: 5 - 1 + 1", "a: [2]; p: [2]; n: [2]", "triplet(a, p, n)", V(0, 0, 3, 4, 1, 0), V(5)},
      {"no loss beyond the margin", "a: [2]; p: [2]; n: [2]", "triplet(a, p, n)", V(0, 0, 1, 0, 3, 4), V(0)},
      {"no NaN where a = p", "a: [2]; p: [2]; n: [2]", "grad(triplet(a, p, n, margin = 9), p)",
       V(0, 0, 0, 0, 3, 4), V(0, 0)},
      {"Hadsell 2006: d^2 / 2", "a: [2]; b: [2]; t: []", "contrastive(a, b, t)", V(0, 0, 3, 4, 1), V(12.5)},
      {"Hadsell 2006: (m - d)^2 / 2", "a: [1]; b: [1]; t: []", "contrastive(a, b, t)", V(0, 0.5, 0), V(0.125)},
      /* CTC with the paths counted out; every frame gives each of k classes 1 / k */
      {"2 frames, label a: aa, a-, -a of 4 paths", "z: [2, 2]; y: [1] of label[2]", "ctc(z, y)",
       V(0, 0, 0, 0, 1), V(-log(3 / 4.))},
      {"1 frame: one path of 3", "z: [1, 3]; y: [1] of label[3]", "ctc(z, y)", V(0, 0, 0, 2), V(log(3))},
      {"3 frames, ab: aab abb ab- a-b -ab of 27", "z: [3, 3]; y: [2] of label[3]", "ctc(z, y)",
       V(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2), V(-log(5 / 27.))},
      {"3 frames, aa: a-a alone of 8", "z: [3, 2]; y: [2] of label[2]", "ctc(z, y)",
       V(0, 0, 0, 0, 0, 0, 1, 1), V(log(8))},
      {"2 frames, aa: no path", "z: [2, 2]; y: [2] of label[2]", "ctc(z, y)", V(0, 0, 0, 0, 1, 1), V(INFINITY)},
      {"a shorter label, -1 at its end", "z: [2, 3]; y: [2] of label[3]", "ctc(z, y)",
       V(0, 0, 0, 0, 0, 0, 1, -1), V(-log(3 / 9.))},
      {"no label: blanks alone", "z: [2, 2]; y: [1] of label[2]", "ctc(z, y)", V(0, 0, 0, 0, -1), V(log(4))},
      {"1 frame of 2 counts", "z: [2, 2]; y: [1] of label[2]", "ctc(z, y, frames = 1)", V(0, 0, 5, 7, 1), V(log(2))},
      {"softmax - posterior", "z: [1, 2]; y: [1] of label[2]", "grad(ctc(z, y), z)", V(0, log(3), 1), V(0.25, -0.25)},
  };
  RUN(cases);
}

static void test_gamma(void **state) {
  const Case cases[] = {
      {"(n - 1)!", "x: [4]", "lgamma(x)", V(1, 2, 5, 11), V(0, 0, log(24), log(3628800))},
      {"DLMF 5.4.6: gamma(1/2) = sqrt(pi)", "x: [2]", "lgamma(x)", V(0.5, -0.5), V(0.5 * log(M_PI), log(2 * sqrt(M_PI)))},
      {"DLMF 5.4.12, 5.4.13", "x: [2]", "polygamma(0, x)", V(1, 0.5), V(-0.57721566490153286, -1.9635100260214235)},
      {"the derivative of lgamma is digamma", "x: [1]", "grad(sum(lgamma(x)), x) - digamma(x)", V(0.7), V(0)},
      {"DLMF 5.15.2: n! zeta(n + 1)", "x: [1]", "polygamma(1, x)", V(1), V(M_PI * M_PI / 6)},
      {"of order 2", "x: [1]", "polygamma(2, x)", V(1), V(-2 * 1.2020569031595942854)},
      {"of order 3", "x: [1]", "polygamma(3, x)", V(1), V(pow(M_PI, 4) / 15)},
      {"DLMF 5.15.3: at 1/2 times 2^(n + 1) - 1", "x: [1]", "polygamma(3, x)", V(0.5), V(pow(M_PI, 4))},
      {"recurrence 5.15.5 below 0", "x: [1]", "polygamma(1, x)", V(-0.5), V(M_PI * M_PI / 2 + 4)},
      {"polygamma's derivative is the next", "x: [1]", "grad(sum(polygamma(1, x)), x)", V(1), V(-2 * 1.2020569031595942854)},
      {"B(2, 3) = 1 / 12", "a: [1]; b: [1]", "lbeta(a, b)", V(2, 3), V(-log(12))},
      {"12 t (1 - t)^2 at 1/2", "a: [1]; b: [1]; t: [1]", "beta_nll(a, b, t)", V(2, 3, 0.5), V(-log(1.5))},
      {"r e^(-r t)", "a: [1]; r: [1]; t: [1]", "gamma_nll(a, r, t)", V(1, 2, 3), V(6 - log(2))},
      {"r = 1: p^t (1 - p), p = 1/2", "z: [1]; t: [1]; r: [1]", "negative_binomial_nll(z, t, r)", V(0, 3, 1), V(4 * log(2))},
      {"1 degree: Cauchy, 1 / (pi (1 + u^2))", "z: [1]; t: [1]", "student_nll(z, t, 1)", V(0, 2), V(log(5 * M_PI))},
      {"e^z - t z + log t!", "z: [1]; t: [1]", "poisson_nll(z, t, full = true)", V(0, 4), V(1 + log(24))},
  };
  RUN(cases);
}

/* Losses that see all examples of a batch; inputs and values one example after the other. */
static void test_batch_losses(void **state) {
  const double e1 = log(exp(1) + 1) - 1, e2 = log(exp(1) + 2) - 1;
  const struct {
    int64_t batch;
    Case c;
  } cases[] = {
      {2, {"van den Oord 2018, eq. 4: 1 / (1 + e^-1)", "a: [2]; b: [2]", "info_nce(a, b, heat = 1)",
           V(2, 0, 0, 3, 1, 0, 0, 1), V(e1, e1)}},
      {2, {"He 2020: heat 1 / 2 doubles the logits", "a: [2]; b: [2]", "info_nce(a, b, heat = 0.5)",
           V(1, 0, 0, 1, 1, 0, 0, 1), V(log(exp(2) + 1) - 2, log(exp(2) + 1) - 2)}},
      {2, {"Radford 2021: the mean of rows and columns", "a: [2]; b: [2]", "clip_loss(a, b, 1)",
           V(1, 0, 1, 0, 1, 0, 0, 1), V((e1 + log(2)) / 2, (e1 + 1 + log(2)) / 2)}},
      {2, {"Chen 2020, eq. 1: 3 others", "a: [2]; b: [2]", "nt_xent(a, b, heat = 1)", V(1, 0, 0, 5, 1, 0, 0, 1), V(e2, e2)}},
      {1, {"one pair finds itself", "a: [2]; b: [2]", "nt_xent(a, b)", V(1, 2, 3, -4), V(0)}},
      {3, {"Khosla 2020, eq. 2; none of its kind: 0", "a: [2]; y: label[2]", "supervised_contrastive(a, y, heat = 1)",
           V(1, 0, 2, 0, 0, 1, 0, 0, 1), V(e1, e1, 0)}},
      {3, {"Hermans 2017, eq. 5; none of its kind: 0", "a: [1]; y: label[2]", "triplet_hard(a, y)",
           V(0, 3, 4, 0, 0, 1), V(0, 3, 0)}},
      {2, {"all of one kind: no nearest of another", "a: [1]; y: label[2]", "triplet_hard(a, y)", V(0, 3, 1, 1), V(0, 0)}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_batch(&cases[i].c, cases[i].batch), checked++;
  assert_int_equal(wrongs, 0);
}

static void test_layers(void **state) {
  const double eps = 1e-5, r = 1 / sqrt(1 + eps), s1 = sin(1), c1 = cos(1);
  const Case cases[] = {
      {"x W + b", "x: [2]", "x |> dense(2, init = constant([[1, 2], [3, 4]]))", V(1, 1), V(4, 6)},
      {"the identity", "x: [2]", "x |> dense(2, init = identity)", V(5, 7), V(5, 7)},
      {"g v / |v|", "v: [2, 1]; g: [1]", "weight_normed(v, g)", V(3, 4, 10), V(6, 8)},
      {"x / |x|", "x: [2]", "unit(x)", V(3, 4), V(0.6, 0.8)},
      {"evaluation drops nothing", "x: [2]", "x |> dropout(0.5)", V(5, 7), V(5, 7)},
      {"evaluation drops nothing", "x: [2]", "x |> channel_dropout(0.5)", V(5, 7), V(5, 7)},
      {"B starts at 0", "x: [2]", "x |> lora(2, init = identity)", V(5, 7), V(5, 7)},
      {"x + f(x)", "x: [2]", "x |> residual(relu)", V(-1, 3), V(-1, 6)},
      {"(x - 2) / sqrt(2/3 + eps)", "x: [3]", "layer_norm(x)",
       V(1, 2, 3), V(-1 / sqrt(2 / 3. + eps), 0, 1 / sqrt(2 / 3. + eps))},
      {"a mean of 1e4 costs no accuracy", "x: [2]", "layer_norm(x, eps = 0)", V(9999, 10001), V(-1, 1)},
      {"x / sqrt(12.5 + eps)", "x: [2]", "rms_norm(x)", V(3, 4), V(3 / sqrt(12.5 + eps), 4 / sqrt(12.5 + eps))},
      {"each group for itself", "x: [4]", "group_norm(x, 2)", V(1, 3, 10, 12), V(-r, r, -r, r)},
      {"each channel over the places", "x: [2, 2]", "instance_norm(x)", V(1, 10, 3, 12), V(-r, -r, r, r)},
      {"the start's running statistics: 0 and 1", "x: [2]", "batch_norm(x)", V(1, 2), V(r, 2 * r)},
      {"cross-correlation, not convolution", "x: [3, 1]", "x |> conv1d(1, kernel = 2, init = constant([[[1]], [[10]]]))",
       V(1, 2, 3), V(21, 32)},
      {"TensorFlow's same pads the end", "x: [2, 1]", "x |> conv1d(1, kernel = 2, padding = same, init = ones)",
       V(1, 2), V(3, 2)},
      {"dilation 2", "x: [3, 1]", "x |> conv1d(1, kernel = 2, dilation = 2, init = ones)", V(1, 2, 3), V(4)},
      {"(L - 1) s + k = 4", "x: [2, 1]", "x |> conv_transpose1d(1, kernel = 2, stride = 2, init = ones)",
       V(1, 2), V(1, 1, 2, 2)},
      {"the largest of each", "x: [4, 1]", "x |> max_pool(2)", V(1, 4, 2, 3), V(4, 3)},
      {"the first of equals has the gradient", "x: [2, 1]", "grad(sum(max_pool(x, 2)), x)", V(3, 3), V(1, 0)},
      {"padding does not count", "x: [3, 1]", "x |> mean_pool(2, padding = same)", V(1, 3, 5), V(2, 5)},
      {"means of channels", "x: [2, 2]", "global_mean_pool(x)", V(1, 2, 3, 6), V(2, 4)},
      {"largest of channels", "x: [2, 2]", "global_max_pool(x)", V(1, 6, 3, 2), V(3, 6)},
      {"PyTorch: windows 0-2, 1-3 of 3 in 2", "x: [3, 1, 1]", "adaptive_mean_pool(x, 2, 1)", V(1, 2, 6), V(1.5, 4)},
      {"PyTorch: windows 0-2, 1-3 of 3 in 2", "x: [3, 1, 1]", "adaptive_max_pool(x, 2, 1)", V(1, 2, 6), V(2, 6)},
      {"nearest", "x: [1, 2, 1]", "upsample(x, 2)", V(1, 2), V(1, 1, 2, 2, 1, 1, 2, 2)},
      {"PyTorch, align_corners = false", "x: [1, 2, 1]", "upsample_linear(x, 2)[0]", V(0, 4), V(0, 1, 3, 4)},
      {"Vaswani 2017, section 3.5", "x: [2, 4]", "sinusoidal(x)",
       V(0, 0, 0, 0, 0, 0, 0, 0), V(0, 1, 0, 1, s1, c1, sin(0.01), cos(0.01))},
      {"Su 2021: turned by t", "x: [2, 2]", "rotary(x)", V(1, 0, 1, 0), V(1, 0, c1, s1)},
      {"equal keys: the mean of the values", "q: [1, 2]; k: [2, 2]; v: [2, 1]", "attend(q, k, v)",
       V(1, 2, 3, 3, 3, 3, 4, 8), V(6)},
      {"scores / sqrt(d): weights 1/4, 3/4", "q: [1, 4]; k: [2, 4]; v: [2, 1]", "attend(q, k, v)",
       V(1, 0, 0, 0, 0, 0, 0, 0, 2 * log(3), 0, 0, 0, 4, 8), V(7)},
      {"causal: the first sees itself", "q: [2, 1]; v: [2, 1]", "attend(q, q, v, causal = true)",
       V(0, 0, 4, 8), V(4, 6)},
      {"a row that sees nothing is 0", "q: [1, 1]; v: [1, 1]", "attend(q, q, v, mask = q < 0)", V(1, 5), V(0)},
      {"one head, identity weights", "x: [2, 1]", "x |> attention(1, init = identity)", V(0, log(3)),
       V(log(3) / 2, log(3) * pow(3, log(3)) / (1 + pow(3, log(3))))},
      {"tanh(W x + U h), 1s", "x: [2, 1]", "rnn(x, 1, init = ones)", V(1, 0), V(tanh(1), tanh(tanh(1)))},
      {"c' = s(f) c + s(i) tanh g, at 0: f = 1", "x: [1]; h: [1]; c: [1]", "{ let (a, b) = lstm_cell(x, (h, c), 1); b }",
       V(0, 0, 2), V(2 * sigmoid(1))},
      {"h' = s(o) tanh c'", "x: [1]; h: [1]; c: [1]", "{ let (a, b) = lstm_cell(x, (h, c), 1); a }",
       V(0, 0, 2), V(0.5 * tanh(2 * sigmoid(1)))},
      {"h' = (1 - z) n + z h, at 0", "x: [1]; h: [1]", "gru_cell(x, h, 1) - h * 0", V(0, 0), V(0)},
  };
  RUN(cases);
}

/* ---- initialisers: the moments and bounds of 60,000 draws ---- */

typedef struct {
  const char *name;
  double deviation, bound; /* of a [200, 300] matrix; bound 0: none */
} Start;

static void test_initialisers(void **state) {
  const double he = sqrt(2 / 200.), xavier = sqrt(2 / 500.), lecun = sqrt(1 / 200.), cut = 2 / 0.87962566103423978;
  const Start starts[] = {
      {"he", he, 0}, {"he_uniform", he, sqrt(6 / 200.)}, {"truncated_he", he, cut * he},
      {"xavier", xavier, 0}, {"xavier_uniform", xavier, sqrt(6 / 500.)}, {"truncated_xavier", xavier, cut * xavier},
      {"lecun", lecun, 0}, {"lecun_uniform", lecun, sqrt(3 / 200.)}, {"truncated_lecun", lecun, cut * lecun},
  };
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
    const Start *s = &starts[i];
    Text text = {0};
    text_printf(&text, "model m { input x: [200]; output y = x |> dense(300, init = %s); loss sum(y) }\n"
                "train { optimizer = sgd(0.1); batch = 1; steps = 1 }\n", s->name);
    Evaluation e;
    evaluation_open(&e, text_get(&text), TYPE_F64, 1);
    evaluation_start(&e);
    uint32_t w = 0;
    while (e.sizes[w] != 60000) w++;
    double sum = 0, squares = 0, most = 0;
    for (int k = 0; k < 60000; k++) {
      const double v = e.slots[w][k];
      sum += v, squares += v * v, most = fmax(most, fabs(v));
    }
    const double mean = sum / 60000, deviation = sqrt(squares / 60000);
    if (fabs(mean) > 5 * s->deviation / sqrt(60000)) fail_msg("%s: the mean is %g", s->name, mean);
    if (fabs(deviation / s->deviation - 1) > 0.02)
      fail_msg("%s: the deviation is %g, not %g", s->name, deviation, s->deviation);
    if (s->bound > 0 && (most > s->bound || most < 0.99 * s->bound))
      fail_msg("%s: the largest is %g, not %g", s->name, most, s->bound);
    if (s->bound == 0 && most < 3 * s->deviation) fail_msg("%s: nothing beyond three deviations", s->name);
    evaluation_close(&e);
    text_free(&text);
  }
}

/* Batch norm in training: rows 1 and 5 become -1 and 1; the running mean moves a tenth of the way to 3, and the running
 * variance to the biased one of the batch, 4. */
static void test_batch_norm(void **state) {
  Evaluation e;
  MachineCode m;
  GradcTensor t;
  const GradcFigure *figures;
  evaluation_open(&e, "model m { input x: [1]; let y = batch_norm(x, eps = 0); loss sum(y * x) }\n"
                  "train { optimizer = sgd(0); batch = 2; steps = 1 }\n", TYPE_F64, 2);
  e.slots[0][0] = 1, e.slots[0][1] = 5;
  machine_open(&m, &e, 1u << GRADC_ENTRY_TRAIN);
  machine_train(&m, &e);
  assert_int_equal(gradc_figures(m.model, &figures), 1);
  assert_true(numbers_agree(figures[0].value, (-1 + 5) / 2., 1e-12, 1));
  assert_int_equal(gradc_tensor(m.model, "batch_norm_1.mean", &t), GRADC_OK);
  assert_true(numbers_agree(*(double *)t.data, 0.3, 1e-12, 1));
  assert_int_equal(gradc_tensor(m.model, "batch_norm_1.var", &t), GRADC_OK);
  assert_true(numbers_agree(*(double *)t.data, 0.9 + 0.4, 1e-12, 1));
  machine_close(&m);
  evaluation_close(&e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_activations), cmocka_unit_test(test_softmax), cmocka_unit_test(test_regression_losses),
      cmocka_unit_test(test_class_losses), cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_batch_losses), cmocka_unit_test(test_gamma), cmocka_unit_test(test_layers),
      cmocka_unit_test(test_initialisers), cmocka_unit_test(test_batch_norm),
  };
  return cmocka_run_group_tests_name("definitions", tests, NULL, NULL);
}
