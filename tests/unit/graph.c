/* graph.c: sharing, folding, marks, copies, depth, and the walk of grad_reverse on small graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "grad.h"
#include "graph_case.h"

typedef struct {
  Session session;
  Graph *g;
  Node x, y, s; /* x, y: f32 [batch, 4]; s: f32 [] */
} Fixture;

static int set_up(void **state) {
  Fixture *f = calloc(1, sizeof *f);
  Graph *parsed = case_graph(&f->session, "add x y");
  f->g = graph_like(parsed);
  graph_free(parsed);
  f->x = build_slot(f->g, 0), f->y = build_slot(f->g, 1), f->s = build_slot(f->g, 6);
  *state = f;
  return 0;
}
static int tear_down(void **state) {
  Fixture *f = *state;
  graph_free(f->g);
  session_free(&f->session);
  free(f);
  return 0;
}

static void assert_expression(const Graph *g, Node n, const char *expected) {
  Text text = {0};
  assert_true(n.id != 0);
  case_expression(g, n, &text);
  assert_string_equal(text_get(&text), expected);
  text_free(&text);
}

static void test_sharing(void **state) {
  const Fixture *f = *state;
  Graph *g = f->g;
  assert_true(node_is(build_slot(g, 0), f->x));
  assert_true(node_is(build_add(g, f->x, f->y), build_add(g, f->y, f->x)));
  assert_false(node_is(build_sub(g, f->x, f->y), build_sub(g, f->y, f->x)));
  assert_true(node_is(build_const(g, TYPE_F32, 0.1), build_const(g, TYPE_F32, (float)0.1)));
  assert_false(node_is(build_const(g, TYPE_F32, 1), build_const(g, TYPE_F64, 1)));
  assert_false(node_is(build_const(g, TYPE_F32, 0.0), build_const(g, TYPE_F32, -0.0)));
  assert_true(node_is(build_const(g, TYPE_F32, NAN), build_const(g, TYPE_F32, -NAN)));
  const uint32_t count = g->nodes.count;
  for (int i = 0; i < 3; i++) build_mul(g, build_unary(g, P_EXP, f->x), f->s);
  assert_int_equal(g->nodes.count, count + 3); /* exp, broadcast, mul */
  assert_true(node_is(build_random(g, 0, 3, TYPE_F32, node_shape(g, f->x)), build_random(g, 0, 3, TYPE_F32, node_shape(g, f->x))));
  assert_false(node_is(build_random(g, 0, 3, TYPE_F32, node_shape(g, f->x)), build_random(g, 0, 4, TYPE_F32, node_shape(g, f->x))));
}

static double folded(const Graph *g, Node n) {
  double value = 1234;
  assert_true(node_constant(g, n, &value));
  return value;
}

static void test_folding(void **state) {
  const Fixture *f = *state;
  Graph *g = f->g;
  const Node third = build_div(g, build_const(g, TYPE_F32, 1), build_const(g, TYPE_F32, 3));
  assert_true(folded(g, third) == (double)(1.0f / 3.0f)); /* rounded to the type, as the code will */
  assert_true(folded(g, build_div(g, build_const(g, TYPE_F64, 1), build_const(g, TYPE_F64, 3))) == 1.0 / 3);
  assert_true(folded(g, build_unary(g, P_EXP, build_full(g, TYPE_F32, 1, node_shape(g, f->x)))) == (double)(float)exp(1));
  assert_true(folded(g, build_cast(g, build_const(g, TYPE_F32, -2.7), TYPE_I32)) == -2);
  assert_true(folded(g, build_cast(g, build_const(g, TYPE_F64, 1e30), TYPE_I32)) == INT32_MAX);
  assert_true(folded(g, build_cast(g, build_const(g, TYPE_F64, NAN), TYPE_I32)) == 0);
  assert_true(folded(g, build_cast(g, build_const(g, TYPE_F64, 0.5), TYPE_BOOL)) == 1);
  assert_true(folded(g, build_binary(g, P_LT, build_const(g, TYPE_I32, 1), build_const(g, TYPE_I32, 2))) == 1);
  assert_true(folded(g, build_div(g, build_const(g, TYPE_I32, -7), build_const(g, TYPE_I32, 2))) == -3);
  const Node most = build_const(g, TYPE_I32, INT32_MAX);
  double ignored; /* what would leave the range of the type stays as it is */
  assert_false(node_constant(g, build_add(g, most, most), &ignored));
  assert_false(node_constant(g, build_div(g, most, build_const(g, TYPE_I32, 0)), &ignored));
  assert_true(folded(g, build_select(g, build_const(g, TYPE_BOOL, 0), third, build_const(g, TYPE_F32, 5))) == 5);
  assert_true(folded(g, build_extent(g, 7)) == 7);
}

static void test_broadcasting(void **state) {
  const Fixture *f = *state;
  Graph *g = f->g;
  const Dims dims = {.rank = 2, .dims = {DIM_BATCH, 1}}, whole = {.rank = 2, .dims = {DIM_BATCH, 4}};
  const int64_t axis = 1;
  const Node sums = build_reduce(g, P_SUM, f->x, &axis, 1);
  const Node column = build_reshape(g, sums, shape_of(g, &dims));
  assert_expression(g, build_broadcast_to(g, column, shape_of(g, &whole)), "broadcast{0}(sum{1}(x))");
  assert_expression(g, build_broadcast_to(g, build_slot(g, 7), shape_of(g, &whole)), "broadcast{1}(v)");
  assert_true(node_is(build_broadcast_to(g, f->x, shape_of(g, &whole)), f->x));
  assert_expression(g, build_mul(g, f->s, f->x), "mul(x, broadcast(s))");
  assert_expression(g, build_select(g, build_slot(g, 3), f->s, build_const(g, TYPE_F32, 0)), "select(p, broadcast(s), 0)");
}

static void test_many_parts(void **state) {
  const Fixture *f = *state;
  Node parts[300];
  int64_t slice[6] = {0, DIM_BATCH, 1, 0, 1, 1};
  for (int i = 0; i < 300; i++) {
    slice[3] = (3 * i) % 4;
    parts[i] = build_slice(f->g, f->x, slice);
  }
  const Node all = build_concat(f->g, parts, 300, 1);
  assert_int_equal(node_dims(f->g, all)->dims[1], 300);
  assert_null(graph_verify(f->g));
}

/* What breaks a rule is our bug: status 70. */
static void test_bugs_are_named(void **state) {
  const Fixture *f = *state;
  const pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stderr)) _exit(1);
    build_add(f->g, f->x, build_slot(f->g, 3));
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 70);
}

/* ---- copies ---- */

static void test_copies(void **state) {
  const Fixture *f = *state;
  Graph *g = f->g, *to = graph_like(g);
  const Node mark = build_mark(g, f->x), y = build_mul(g, mark, f->y);
  g->span = (Span){7, 9};
  const Node z = build_unary(g, P_EXP, y);
  build_unary(g, P_LOG, y); /* nobody needs it */
  Node *map = calloc(g->nodes.count, sizeof *map);
  const Node copy = graph_copy_node(g, to, z, map, true);
  assert_expression(to, copy, "exp(mul(x, y))");
  assert_int_equal(node_data(to, copy)->span.begin, 7);
  assert_true(node_is(graph_copy_node(g, to, z, map, true), copy));
  free(map);
  graph_free(to);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "z", .node = z});
  Graph *rebuilt = graph_rebuild(g, false);
  assert_expression(rebuilt, rebuilt->outputs.data[0].node, "exp(mul(y, mark(x)))");
  assert_string_equal(rebuilt->outputs.data[0].name, "z");
  assert_int_equal(rebuilt->nodes.count, 6); /* none, x, y, mark, mul, exp */
  graph_free(rebuilt);
}

/* ---- reverse ---- */

static Node gradient(Graph *g, Node y, Node x) {
  Node result;
  grad_reverse(g, y, NODE_NONE, &x, 1, &result);
  return result;
}

static Node total(Graph *g, Node x) {
  const int64_t axes[2] = {0, 1};
  return build_reduce(g, P_SUM, x, axes, node_rank(g, x));
}

static void test_reverse(void **state) {
  const Fixture *f = *state;
  Graph *g = f->g;
  const Node x = f->x, y = f->y;
  assert_expression(g, gradient(g, total(g, build_mul(g, x, y)), x), "y");
  assert_expression(g, gradient(g, total(g, build_mul(g, x, x)), x), "mul(x, 2)");
  assert_expression(g, gradient(g, total(g, build_unary(g, P_TANH, x)), x), "sub(1, mul(tanh(x), tanh(x)))");
  assert_expression(g, gradient(g, total(g, build_mul(g, x, f->s)), f->s), "sum{0 1}(x)");
  assert_int_equal(gradient(g, total(g, x), y).id, 0);
  assert_int_equal(gradient(g, total(g, build_stop(g, x)), x).id, 0);
  assert_true(grad_depends(g, build_stop(g, x), x));
  assert_false(grad_depends(g, build_unary(g, P_EXP, y), x));
  /* x w + 0, with a mask behind it: products without a transpose, and the mask as a select */
  const int64_t one = 1, zero = 0;
  const Node w = build_slot(g, 5), h = build_contract(g, x, w, 0, NULL, NULL, 1, &one, &zero);
  const Node relu = build_select(g, build_binary(g, P_LT, build_like(g, h, 0), h), h, build_like(g, h, 0));
  const Node loss = total(g, build_unary(g, P_EXP, relu));
  const Node xs[2] = {w, x};
  Node results[2];
  grad_reverse(g, loss, NODE_NONE, xs, 2, results);
  const char *masked = "select(lt(0, contract{0 1 1 0}(x, w)), exp(select(lt(0, contract{0 1 1 0}(x, w)), "
                       "contract{0 1 1 0}(x, w), 0)), 0)";
  Text text = {0};
  text_printf(&text, "contract{0 1 0 0}(x, %s)", masked);
  assert_expression(g, results[0], text_get(&text));
  text_free(&text);
  text_printf(&text, "contract{0 1 1 1}(%s, w)", masked);
  assert_expression(g, results[1], text_get(&text));
  text_free(&text);
}

/* A mark keeps what it marks apart from an equal value: only the paths through it count. And it nests. */
static void test_marks(void **state) {
  const Fixture *f = *state;
  Graph *g = f->g;
  const Node m = build_mark(g, f->x), n = build_mark(g, f->x);
  assert_false(node_is(m, n));
  const Node y = total(g, build_mul(g, build_mul(g, m, m), f->x));
  assert_expression(g, gradient(g, y, m), "mul(mul(x, mark(x)), 2)");
  const Node cube = build_mul(g, build_mul(g, m, m), m);
  const Node first = gradient(g, total(g, cube), m), second = gradient(g, total(g, first), m);
  const Node third = gradient(g, total(g, second), m);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "d3", .node = third});
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "d2", .node = second});
  Graph *plain = graph_rebuild(g, true);
  double data[CASE_VALUES];
  const double *slots[CASE_SLOTS];
  case_samples(data, slots, false);
  const InterpInput input = {.slots = slots, .batch = {3, 3, 3, 3}};
  Interp *interp = interp_new(plain, &input);
  int64_t count;
  const double *d3 = interp_value(interp, plain->outputs.data[0].node, &count);
  for (int64_t k = 0; k < count; k++) assert_true(fabs(d3[k] - 6) < 1e-12);
  const double *d2 = interp_value(interp, plain->outputs.data[1].node, &count);
  for (int64_t k = 0; k < count; k++) assert_true(fabs(d2[k] - 6 * slots[0][k]) < 1e-12);
  interp_free(interp);
  graph_free(plain);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The nodes and the time that `layers` layers take, differentiated and rebuilt. */
static uint32_t deep(Graph *slots, uint32_t layers, double *time) {
  Graph *g = graph_like(slots);
  const double begin = seconds();
  const Node x = build_slot(g, 0), s = build_slot(g, 6);
  Node h = x;
  for (uint32_t i = 0; i < layers; i++) h = build_unary(g, P_TANH, build_add(g, build_mul(g, h, s), x));
  const Node loss = total(g, h);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "g", .node = gradient(g, loss, s)});
  Graph *rebuilt = graph_rebuild(g, true);
  *time = seconds() - begin;
  const uint32_t count = rebuilt->nodes.count;
  graph_free(rebuilt);
  graph_free(g);
  return count;
}

static void test_depth(void **state) {
  const Fixture *f = *state;
  double few_time, many_time;
  const uint32_t few = deep(f->g, 1000, &few_time), many = deep(f->g, 10000, &many_time);
  assert_true(many <= 10 * few);
  assert_true(many_time < 20 * few_time + 0.5); /* linear, with room for caches and a busy machine */
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {CASE(test_sharing), CASE(test_folding),    CASE(test_broadcasting),
                                     CASE(test_many_parts), CASE(test_bugs_are_named), CASE(test_copies),
                                     CASE(test_reverse), CASE(test_marks),      CASE(test_depth)};
  return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
