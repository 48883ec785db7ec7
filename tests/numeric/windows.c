/* windows.c: convolutions of the language in 1, 2 and 3 dimensions, over thousands of settings: stride, dilation, padding,
 * groups, transposed. Each is compared with a direct loop, its gradients by adjointness: <conv(x, W), u> = <x, x'> =
 * <W, W'>; and some are emitted and compared with the oracle. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "emit_run.h"
#include "interp.h"
#include "parse.h"
#include "random_graph.h"
#include "render.h"
#include "scheduled.h"
#include "trace.h"

enum { SETTINGS = 2100, EMITTED = 24, BATCH = 2, MAX = 3 };

typedef struct {
  uint32_t space;
  int64_t in[MAX], taps[MAX], stride[MAX], dilation[MAX], low[MAX], high[MAX], out[MAX];
  int64_t groups, channels, filters; /* of a group */
  bool transposed;
} ConvSetting;

static RandomGraph random_numbers; /* nothing but its numbers */
static int64_t between(int64_t low, int64_t high) {
  return low + rg_below(&random_numbers, (uint32_t)(high - low + 1));
}

/* Does any window along the axis meet more than padding? What does not depend on x has no gradient by it. */
static bool meets(const ConvSetting *s, uint32_t i) {
  for (int64_t o = 0; o < s->out[i]; o++)
    for (int64_t k = 0; k < s->taps[i]; k++) {
      const int64_t at = o * s->stride[i] + k * s->dilation[i] - s->low[i];
      if (at >= 0 && at < s->in[i]) return true;
    }
  return false;
}

/* False where no window fits. */
static bool draw_setting(ConvSetting *s) {
  *s = (ConvSetting){.space = (uint32_t)between(1, 3), .groups = between(0, 2) ? 1 : between(2, 3),
                 .channels = between(1, 3), .filters = between(1, 3), .transposed = !between(0, 4)};
  for (uint32_t i = 0; i < s->space; i++) {
    s->in[i] = between(1, s->space == 1 ? 12 : s->space == 2 ? 7 : 4);
    s->taps[i] = between(1, s->space == 1 ? 5 : 3);
    s->stride[i] = between(1, 3), s->dilation[i] = between(1, 2);
    s->low[i] = between(0, 2), s->high[i] = between(0, 2);
    const int64_t reach = s->dilation[i] * (s->taps[i] - 1);
    if (s->transposed) {
      if (s->low[i] > reach) s->low[i] = reach;
      if (s->high[i] > reach) s->high[i] = reach;
      s->out[i] = (s->in[i] - 1) * s->stride[i] + reach + 1 - s->low[i] - s->high[i];
      if (s->out[i] < 1) return false;
      continue;
    }
    const int64_t room = s->in[i] + s->low[i] + s->high[i];
    if (room <= reach) return false;
    s->out[i] = (room - reach - 1) / s->stride[i] + 1;
    if (!meets(s, i)) return false;
  }
  return true;
}

static void list_numbers(Text *t, const int64_t *v, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) text_printf(t, "%lld, ", (long long)v[i]);
}

static void write_call(Text *t, const ConvSetting *s, const char *x) {
  text_printf(t, "%s(%s, W, stride = (", s->transposed ? "conv_transpose" : "conv", x);
  list_numbers(t, s->stride, s->space);
  text_printf(t, "), padding = (");
  for (uint32_t i = 0; i < s->space; i++) text_printf(t, "(%lld, %lld), ", (long long)s->low[i], (long long)s->high[i]);
  text_printf(t, "), dilation = (");
  list_numbers(t, s->dilation, s->space);
  text_printf(t, "), groups = %lld)", (long long)s->groups);
}

static void write_model(Text *t, const ConvSetting *s) {
  text_printf(t, "layer both(x, u) {\n  param W: [");
  list_numbers(t, s->taps, s->space);
  text_printf(t, "%lld, %lld] ~ normal(0, 1)\n  let v = x\n  let y = ", (long long)s->channels,
              (long long)(s->filters * s->groups));
  write_call(t, s, "v");
  text_printf(t, "\n  (y, grad(sum(y * u), v), grad(sum(y * u), W), W)\n}\nmodel m {\n  input x: [");
  list_numbers(t, s->in, s->space);
  text_printf(t, "%lld]\n  input u: [", (long long)(s->channels * s->groups));
  list_numbers(t, s->out, s->space);
  text_printf(t, "%lld]\n  let (y, dx, dw, w) = both(x, u)\n", (long long)(s->filters * s->groups));
  text_printf(t, "  output a = y\n  output b = dx\n  output c = dw\n  output d = w\n}\n");
}

/* out[b, o, f] of the definition, by loops over the whole window. */
static double direct(const ConvSetting *s, const double *x, const double *w, int64_t b, const int64_t *o, int64_t f) {
  const int64_t group = f / s->filters, all = s->channels * s->groups, out = s->filters * s->groups;
  int64_t k[MAX] = {0}, i[MAX] = {0};
  double sum = 0;
  for (;;) {
    bool inside = true;
    int64_t at = b, tap = 0;
    for (uint32_t d = 0; d < s->space; d++) {
      if (s->transposed) { /* o = stride i + dilation k - low */
        const int64_t rest = o[d] + s->low[d] - s->dilation[d] * k[d];
        i[d] = rest / s->stride[d];
        inside = inside && rest >= 0 && rest % s->stride[d] == 0;
      } else {
        i[d] = o[d] * s->stride[d] + k[d] * s->dilation[d] - s->low[d];
      }
      inside = inside && i[d] >= 0 && i[d] < s->in[d];
      at = at * s->in[d] + i[d], tap = tap * s->taps[d] + k[d];
    }
    for (int64_t c = 0; inside && c < s->channels; c++)
      sum += x[at * all + group * s->channels + c] * w[(tap * s->channels + c) * out + f];
    uint32_t d = s->space;
    while (d > 0 && ++k[d - 1] == s->taps[d - 1]) k[--d] = 0;
    if (!d) return sum;
  }
}

static void check_direct(const ConvSetting *s, const char *text, const double *x, const double *w, const double *y) {
  const int64_t out = s->filters * s->groups;
  int64_t o[MAX] = {0}, at = 0;
  for (int64_t b = 0; b < BATCH; b++)
    for (;;) {
      for (int64_t f = 0; f < out; f++, at++) {
        const double want = direct(s, x, w, b, o, f);
        if (fabs(y[at] - want) > 1e-12 * (1 + fabs(want)))
          fail_msg("%s: element %lld is %.17g, not %.17g", text, (long long)at, y[at], want);
      }
      uint32_t d = s->space;
      while (d > 0 && ++o[d - 1] == s->out[d - 1]) o[--d] = 0;
      if (!d) break;
    }
}

/* Emitted on this machine, against the oracle. */
static void check_emitted(Session *session, const char *text, const Graph *from, Interp *oracle, const InterpInput *input) {
  static const Machine machine = {32, 16, 32 << 10, 512 << 10, 8 << 20};
  Graph *g = schedule_lower(from);
  Schedule *s = schedule_graph(session, g, &machine);
  EmitResult object = {0};
  const char *error = NULL;
  emit_schedule(s, "entry", NULL, &object);
  Loaded *code = emit_load(&object, &error);
  assert_non_null(code);
  EmitRun run;
  emit_run_open(&run, s, input);
  emit_run(&run, emit_entry(code, "entry"), input, 1, emit_scratch(s, NULL));
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    int64_t n;
    const Node node = from->outputs.data[i].node;
    const double *want = interp_value(oracle, node, &n);
    const uint32_t buffer = s->output_buffer.data[i];
    for (int64_t k = 0; k < n; k++) {
      const double got = er_get(run.buffers[buffer], s->buffers.data[buffer].type, place_of(from, node, input->batch, k));
      if (fabs(got - want[k]) > 1e-11 * (1 + fabs(want[k])))
        fail_msg("%s: output %u, element %lld: %.17g, the oracle says %.17g", text, i, (long long)k, got, want[k]);
    }
  }
  emit_run_close(&run);
  emit_unload(code);
  free(object.object);
  schedule_free(s);
  graph_free(g);
}

static double dot(const double *a, const double *b, int64_t n, int64_t period, double *size) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i % period], *size += fabs(a[i] * b[i % period]);
  return sum;
}

/* The largest error of adjointness, relative to the sum of the terms' sizes. */
static double check_setting(const ConvSetting *setting, bool emitted) {
  Session s = {0};
  Tree tree = {0};
  Text text = {0};
  write_model(&text, setting);
  const Source *source = source_add(&s.sources, "m.nn", text_get(&text), text.length, false);
  const Ast file = parse_source(&s, &tree, source);
  TraceOptions options = {.float_type = TYPE_F64, .seed = -1, .no_train = true};
  Program *program = trace_program(&s, &tree, file, "m.nn", &options);
  if (!program) {
    Text out = {0};
    render_text(&s, &out, false);
    print_error("%s", text_get(&out));
    fail_msg("%s is refused", text_get(&text));
  }
  Graph *g = program->eval;
  double *slots[8] = {NULL};
  for (uint32_t i = 0; i < g->slots.count; i++) {
    int64_t n;
    assert_true(dims_size(shape_dims(g, g->slots.data[i].shape), BATCH, &n));
    slots[i] = mem_alloc(sizeof(double) * (size_t)n);
    for (int64_t k = 0; k < n; k++) slots[i][k] = rg_real(&random_numbers, -1, 1);
  }
  const InterpInput input = {.slots = (const double *const *)slots, .batch = {BATCH, 1, 1, 1}, .step = 1, .steps = 1};
  Interp *t = interp_new(g, &input);
  const double *v[4];
  int64_t n[4];
  for (int i = 0; i < 4; i++) v[i] = interp_value(t, g->outputs.data[i].node, &n[i]);
  check_direct(setting, text_get(&text), slots[0], v[3], v[0]);
  double size = 1e-30;
  const double y = dot(v[0], slots[1], n[0], n[0], &size);
  const double error = fmax(fabs(y - dot(v[1], slots[0], n[1], n[1], &size)), fabs(y - dot(v[2], v[3], n[2], n[3], &size)));
  if (error / size > 1e-13) fail_msg("%s: not adjoint by %g", text_get(&text), error / size);
  if (emitted) check_emitted(&s, text_get(&text), g, t, &input);
  interp_free(t);
  for (uint32_t i = 0; i < g->slots.count; i++) free(slots[i]);
  program_free(program);
  text_free(&text);
  tree_free(&tree);
  session_free(&s);
  return error / size;
}

static void test_settings(void **state) {
  double worst = 0;
  random_numbers.state = 42;
  for (int done = 0; done < SETTINGS;) {
    ConvSetting s;
    if (!draw_setting(&s)) continue;
    worst = fmax(worst, check_setting(&s, done < EMITTED));
    done++;
  }
  printf("%d settings, adjoint within %.2g of the terms\n", SETTINGS, worst);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings)};
  return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
