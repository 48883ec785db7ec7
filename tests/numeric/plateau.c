/* plateau.c: on_plateau against its definition (PyTorch's ReduceLROnPlateau, mode min, threshold relative): a model whose
 * loss is what it is given, and whose parameter falls by the rate in each step. */
#include "evaluate.h"

typedef struct {
  double rate, factor, threshold, least, best;
  int patience, cooldown, bad, rest;
} Plateau;

/* Once an epoch. */
static void plateau_step(Plateau *p, double loss) {
  if (loss < p->best - p->threshold * fabs(p->best) || isinf(p->best)) p->best = loss, p->bad = 0;
  else p->bad++;
  if (p->rest > 0) p->rest--, p->bad = 0;
  if (p->bad > p->patience) p->rate *= p->factor, p->rest = p->cooldown, p->bad = 0;
}

static double noise(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * 0x1p-53;
}

/* `length` steps are an epoch; by number (`every`) or by the epoch that the caller tells. */
static void check(Plateau p, int length, bool by_epoch, int steps) {
  char text[512];
  snprintf(text, sizeof text,
           "model m {\n input x: []\n param w: [] ~ zeros\n loss w - stop_gradient(w) + x\n}\ntrain {\n optimizer = sgd(on_plateau(%g, "
           "factor = %g, patience = %d, threshold = %g, cooldown = %d, least = %g, every = %d))\n batch = 1; steps = %d\n}\n",
           p.rate, p.factor, p.patience, p.threshold, p.cooldown, p.least, by_epoch ? 0 : length, steps);
  Evaluation e;
  MachineCode m;
  GradcTensor w;
  evaluation_open(&e, text, TYPE_F64, 1);
  evaluation_start(&e);
  machine_open(&m, &e, 1u << GRADC_ENTRY_TRAIN);
  uint64_t state = 7;
  double total = 0, before = 0, drops = 0;
  p.best = INFINITY;
  for (int k = 0; k < steps; k++) {
    if (k && k % length == 0) {
      const double old = p.rate;
      plateau_step(&p, total / length);
      total = 0, drops += p.rate < old;
    }
    const double loss = 4 / (1 + 0.02 * k) + 0.6 * noise(&state) - 2; /* falls, less and less, and below 0 */
    ((double *)m.feeds[0])[0] = loss;
    total += loss;
    gradc_progress(m.model)->epoch = k / length;
    machine_train(&m, &e);
    assert_int_equal(gradc_tensor(m.model, "w", &w), GRADC_OK);
    const double now = *(double *)w.data, used = before - now, want = fmax(p.rate, p.least);
    if (!numbers_agree(used, want, 1e-12, fabs(now) + 1)) fail_msg("step %d: the rate is %.17g, not %.17g", k, used, want);
    before = now;
  }
  assert_true(drops >= 3 && p.rate < p.least); /* what is told apart happened */
  machine_close(&m);
  evaluation_close(&e);
}

static void test_plateau(void **state) {
  const Plateau base = {.rate = 1, .factor = 0.5, .threshold = 0.01, .least = 0.1, .patience = 2};
  Plateau other = base;
  check(base, 1, false, 120);
  check(base, 3, false, 240);
  check(base, 3, true, 240);
  other.cooldown = 3, other.patience = 0, other.factor = 0.4;
  check(other, 2, true, 240);
  other.threshold = 1e-4, other.patience = 5, other.least = 0.3;
  check(other, 1, false, 300);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_plateau)};
  return cmocka_run_group_tests_name("plateau", tests, NULL, NULL);
}
