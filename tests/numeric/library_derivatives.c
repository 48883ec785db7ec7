/* library_derivatives.c: every function, layer and initialiser of the library, by the example of its comment: each has
 * a source and an example, and its derivatives by every input and every parameter agree with fourth-order central
 * differences in double: first to 1e-7, second to 1e-6 of the largest; the Hessian is symmetric to 1e-12. What a definition holds still
 * (stop_gradient) is held still in the differences too. */
#include "example.h"

#define DIFF_MAX 40
#define RG_SLOTS 160
#include "differences.h"
#include "loops.h"

/* The training's losses, with what was stopped as slots that keep their values; within loops it is left as it is: what
 * the library stops there (the largest of logsumexp) has no influence. */
static Graph *held(const Evaluation *e, double **values) {
  const Graph *from = e->program->gradient;
  Graph *g = graph_like(from);
  Node *map = mem_zero(from->nodes.count, sizeof *map);
  const InterpInput in = evaluation_input(e);
  Interp *interp = interp_new(from, &in);
  Loops loops = loops_find(from);
  for (uint32_t id = 1; id < from->nodes.count; id++) {
    const Node n = {id};
    if (node_prim(from, n) != P_STOP || loop_of(&loops, n) >= 0) continue;
    char name[32];
    snprintf(name, sizeof name, "stopped %u", id);
    const Dims dims = *node_dims(from, n);
    const Slot slot = {.kind = SLOT_STATE, .name = name, .type = node_type(from, n), .shape = shape_of(g, &dims)};
    const uint32_t s = graph_add_slot(g, slot);
    int64_t size;
    assert_true(s < RG_SLOTS - DIFF_MAX - 2);
    const double *v = interp_value(interp, n, &size);
    memcpy(values[s] = mem_alloc(sizeof *v * (size_t)(size + 1)), v, sizeof *v * (size_t)size);
    map[id] = build_slot(g, s);
  }
  for (uint32_t i = 0; i < from->outputs.count; i++) {
    Output o = from->outputs.data[i];
    if (o.kind != OUT_LOSS) continue;
    o.node = graph_copy_node(from, g, o.node, map, true);
    o.weight = NODE_NONE;
    graph_add_output(g, o);
  }
  loops_free(&loops);
  interp_free(interp);
  free(map);
  return g;
}

static bool is_point(const Slot *s) {
  return (s->kind == SLOT_INPUT || s->kind == SLOT_PARAM) && (s->type == TYPE_F32 || s->type == TYPE_F64);
}

static int wrongs, checked;

static void check_derivatives(const Example *x, void *context) {
  const char *only = getenv("ONLY"); /* a definition's name, to look at one alone */
  if (!example_is_value(x) || strstr(x->file, "optimizers") || (only && strcmp(only, x->name))) return;
  if (x->input_count < 1 || !strstr(x->doc, "Source: ")) {
    print_error("%s: `%s` lacks a source or an example with inputs\n", x->file, x->name);
    wrongs++;
    return;
  }
  Evaluation e;
  example_open(x, &e, TYPE_F64, false, true);
  RandomGraph r = {.state = 5, .batch = {3, 3, 3, 3}, .largest = 1 << 20};
    assert_true(e.count < RG_SLOTS);
  r.g = held(&e, r.values);
  for (uint32_t i = 0; i < e.count; i++) {
    r.values[i] = e.slots[i]; /* they change owner */
    e.slots[i] = NULL;
  }
  assert_int_equal(r.g->outputs.count, 1);
  const Node y = r.g->outputs.data[0].node;
  Node xs[DIFF_MAX];
  uint32_t n = 0;
  for (uint32_t i = 0; i < e.count; i++) {
    if (!is_point(&r.g->slots.data[i])) continue;
    assert_true(n < DIFF_MAX);
    xs[n++] = build_slot(r.g, i);
  }
  const Point p = point_of(&r, xs, n);
  const DerivativeErrors d = derivative_errors(&r, y, &p, true);
  checked++;
  if (!(d.first <= 1e-7) || !(d.second <= 1e-6) || !(d.symmetry <= 1e-12)) {
    print_error("%s: first %.1e, second %.1e, symmetry %.1e\n", x->name, d.first, d.second, d.symmetry);
    wrongs++;
  }
  random_graph_free(&r);
  evaluation_close(&e);
}

static void test_derivatives(void **state) {
  example_each(check_derivatives, NULL);
  print_message("%d definitions\n", checked);
  assert_int_equal(wrongs, 0);
  assert_true(checked > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_derivatives)};
  return cmocka_run_group_tests_name("library_derivatives", tests, NULL, NULL);
}
