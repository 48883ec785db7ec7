/* derive.c: derivatives of chosen structures against central differences in double, once and twice; values at the edges,
 * and of what is stabilised. derivatives.c runs over the table of primitives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "grad.h"
#include "graph_case.h"

enum { MAX_SLOTS = 10, MAX_VALUES = 64 };

typedef struct {
  double data[MAX_SLOTS][MAX_VALUES];
  const double *slots[MAX_SLOTS];
  InterpInput input;
} Sample;

static void sample_point(Sample *s) {
  for (int i = 0; i < MAX_SLOTS; i++) s->slots[i] = s->data[i];
  s->input = (InterpInput){.slots = s->slots, .batch = {3, 3, 3, 3}, .seed = 1};
}

/* Numbers in low .. high, by an index, without structure. */
static double spread(double low, double high, int k) {
  const double u = fmod(0.5 + 0.6180339887498949 * k, 1);
  return low + (high - low) * u;
}

static void values_of(const Graph *g, const Sample *s, Node n, double *out, int64_t *count) {
  Interp *interp = interp_new(g, &s->input);
  const double *v = interp_value(interp, n, count);
  assert_true(*count <= MAX_VALUES);
  memcpy(out, v, (size_t)*count * sizeof *out);
  interp_free(interp);
}

static double value_of(const Graph *g, const Sample *s, Node n) {
  double out[MAX_VALUES];
  int64_t count;
  values_of(g, s, n, out, &count);
  assert_int_equal(count, 1);
  return out[0];
}

static Node sum_all(Graph *g, Node x) {
  int64_t axes[GRAPH_MAX_RANK];
  for (int i = 0; i < GRAPH_MAX_RANK; i++) axes[i] = i;
  return build_reduce(g, P_SUM, x, axes, node_rank(g, x));
}

/* A scalar whose gradient by x is different at every element: sum of (k + 1) / 3 * x_k + x_k^2 / 5. */
static Node weigh(Graph *g, Node x) {
  Dims flat = {.rank = 0};
  const Dims dims = *node_dims(g, x);
  Node ramp = build_const(g, node_type(g, x), 1.0 / 3);
  int64_t stride = 1;
  for (uint32_t i = dims.rank; i-- > 0;) {
    flat = (Dims){.rank = 1, .dims = {dims.dims[i]}};
    const int64_t axis = i;
    Node along = build_cast(g, build_iota(g, flat.dims[0]), node_type(g, x));
    along = build_mul(g, along, build_const(g, node_type(g, x), (double)stride / 3));
    ramp = build_add(g, ramp, build_broadcast(g, along, node_shape(g, x), &axis));
    stride *= dim_is_batch(dims.dims[i]) ? 3 : dims.dims[i] + 1;
  }
  const Node square = build_mul(g, build_mul(g, x, x), build_const(g, node_type(g, x), 0.2));
  return sum_all(g, build_add(g, build_mul(g, x, ramp), square));
}

/* Compares the gradient of y by a slot with fourth-order central differences; the error relative to the largest. */
static double slot_error(Graph *g, Sample *s, Node y, Node gradient, uint32_t slot) {
  double found[MAX_VALUES], worst = 0, largest = 1e-3;
  int64_t count;
  values_of(g, s, gradient, found, &count);
  for (int64_t k = 0; k < count; k++) {
    const double x = s->data[slot][k], h = 2e-4 * fmax(1, fabs(x));
    double f[4];
    static const double at[4] = {-2, -1, 1, 2};
    for (int i = 0; i < 4; i++) {
      s->data[slot][k] = x + at[i] * h;
      f[i] = value_of(g, s, y);
    }
    s->data[slot][k] = x;
    const double difference = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
    largest = fmax(largest, fabs(difference));
    const double error = fabs(difference - found[k]);
    if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
  }
  return worst / largest;
}

/* First and second derivatives of weigh(out) by each of the slots. */
static int check_derivatives(Graph *g, Sample *s, Node out, const uint32_t *slots, uint32_t slot_count, const char *what) {
  int wrongs = 0;
  Node y = weigh(g, out);
  for (int order = 1; order <= 2; order++) {
    Node xs[MAX_SLOTS], gradients[MAX_SLOTS], next = NODE_NONE;
    for (uint32_t i = 0; i < slot_count; i++) xs[i] = build_slot(g, slots[i]);
    grad_reverse(g, y, NODE_NONE, xs, slot_count, gradients);
    for (uint32_t i = 0; i < slot_count; i++) {
      if (!gradients[i].id) continue;
      const double error = slot_error(g, s, y, gradients[i], slots[i]), limit = order == 1 ? 1e-7 : 1e-6;
      if (!(error <= limit)) print_error("%s: derivative %d by slot %u is off by %g\n", what, order, slots[i], error), wrongs++;
      const Node part = weigh(g, gradients[i]);
      next = next.id ? build_add(g, next, part) : part;
    }
    if (!next.id) break;
    y = next;
  }
  const char *wrong = graph_verify(g);
  if (wrong) print_error("%s: %s\n", what, wrong), wrongs++;
  return wrongs;
}

static Graph *two_vectors(Session *session) {
  Graph *g = graph_new(session, TYPE_F64);
  const Dims dims = {.rank = 1, .dims = {7}};
  graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "a", .type = TYPE_F64, .shape = shape_of(g, &dims)});
  graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "b", .type = TYPE_F64, .shape = shape_of(g, &dims)});
  return g;
}

/* ---- structure ---- */

static const char *const structures[] = {
    "select p x y", "cast x : f32 [batch, 4] | mul $1 y", "mark x {0} | mul $1 x",
    "broadcast v {1} | mul $1 x", "broadcast t {0, 2, 3} : f32 [batch, 5, 2, 3]", "broadcast s",
    "reshape t : f32 [batch, 6]", "transpose t {2, 0, 1} : f32 [3, batch, 2] | exp $1 : f32 [3, batch, 2]",
    "slice x {0, -1, 1, 1, 2, 2} : f32 [batch, 2]", "slice t {0, -1, 1, 1, 1, 1, 0, 2, 2} : f32 [batch, 1, 2]",
    "slice x {0, -1, 1, 2, 0, 1} : f32 [batch, 0] | concat x $1 y {1} : f32 [batch, 8]",
    "pad x {0, 0, 0, 1, 2, 1} : f32 [batch, 10]", "reverse t {0, 2} : f32 [batch, 2, 3]",
    "concat x y x x {1} : f32 [batch, 16]", "mul x y | concat x $1 {1} : f32 [batch, 8] | sin $2 : f32 [batch, 8]",
    "sum t {0, 2} : f32 [2]", "sum x {1} : f32 [batch] | exp $1 : f32 [batch]",
    "prod x {1} : f32 [batch]", "prod t {1, 2} : f32 [batch]", "prod x {0} : f32 [4]", "prod t {0, 1, 2} : f32 []",
    "reduce_max x {1} : f32 [batch]", "reduce_min t {0, 2} : f32 [2]", "reduce_max t {0, 1, 2} : f32 []",
    "contract x w {0, 1, 1, 0} : f32 [batch, 3]", "contract w x {0, 1, 0, 1} : f32 [3, batch]",
    "contract x y {0, 1, 0, 0} : f32 [4, 4]", "contract x y {0, 2, 0, 1, 0, 1} : f32 []",
    "contract x y {1, 1, 0, 0, 1, 1} : f32 [batch]", "contract t t {1, 1, 0, 0, 2, 2} : f32 [batch, 2, 2]",
    "contract t t {1, 1, 2, 2, 0, 0} : f32 [3, 2, 2]", "contract t t {2, 1, 2, 1, 2, 1, 0, 0} : f32 [3, 2]",
    "contract x t {1, 0, 0, 0} : f32 [batch, 4, 2, 3]", "contract v w {0, 1, 0, 0} : f32 [3]",
    "transpose t {0, 2, 1} : f32 [batch, 3, 2] | contract $1 t {0, 2, 1, 0, 2, 0} : f32 [2, 2]",
    "broadcast v {1} | contract x $1 {1, 0, 0, 0} : f32 [batch, 4, 4]",
    "broadcast t {0, 2, 3} : f32 [batch, 5, 2, 3] | transpose t {0, 2, 1} : f32 [batch, 3, 2] | "
    "contract $1 $2 {1, 2, 0, 0, 2, 3, 2, 1} : f32 [batch, 5]",
    "lt #0 x : bool [batch, 4] | select $1 x #0 | contract $2 w {0, 1, 1, 0} : f32 [batch, 3]",
    "stop x | mul $1 y",
};

static void test_structures(void **state) {
  int wrongs = 0;
  static const uint32_t by[] = {0, 1, 5, 6, 7, 8};
  for (size_t i = 0; i < sizeof structures / sizeof structures[0]; i++) {
    Session session = {0};
    Graph *raw = case_graph_of(&session, TYPE_F64, structures[i]), *g = graph_rebuild(raw, false);
    Sample s;
    sample_point(&s);
    for (int slot = 0; slot < MAX_SLOTS; slot++)
      for (int k = 0; k < MAX_VALUES; k++)
        s.data[slot][k] = slot == 3 || slot == 4 ? k % 3 == 0 : spread(-1.5, 1.5, 17 * slot + k + 1);
    wrongs += check_derivatives(g, &s, g->outputs.data[0].node, by, strstr(structures[i], "stop") ? 0 : 6, structures[i]);
    graph_free(raw);
    graph_free(g);
    session_free(&session);
  }
  assert_int_equal(wrongs, 0);
}

/* A long product is differentiated by blocks. */
static void test_long_product(void **state) {
  Session session = {0};
  Graph *g = graph_new(&session, TYPE_F64);
  const Dims dims = {.rank = 1, .dims = {41}};
  graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "a", .type = TYPE_F64, .shape = shape_of(g, &dims)});
  Sample s;
  sample_point(&s);
  for (int k = 0; k < 41; k++) s.data[0][k] = spread(0.7, 1.4, k + 1);
  const int64_t axis = 0;
  const uint32_t slot = 0;
  const Node y = build_reduce(g, P_PROD, build_slot(g, 0), &axis, 1);
  assert_int_equal(check_derivatives(g, &s, y, &slot, 1, "prod of 41"), 0);
  graph_free(g);
  session_free(&session);
}

/* ---- edges ---- */

typedef struct {
  const char *body;
  double x, y;       /* every element of the slots */
  double by_x, by_y; /* the gradient of the sum at each element */
} Edge;

static const Edge edges[] = {
    {"abs x", 0, 0, 0, 0},
    {"max x y", 2, 2, 0.5, 0.5},
    {"min x y", 2, 2, 0.5, 0.5},
    {"max x y", 3, 2, 1, 0},
    {"atan2 x y", 0, 0, 0, 0},
    {"pow x y", 0, 2, 0, 0},
    {"pow x y", 0, 0, 0, -INFINITY},
    {"pow x y", 0, 1, 1, 0},
    {"pow x #0", 0, 0, 0, 0},
    {"pow x #1", 0, 0, 1, 0},
    {"pow x #2", 0, 0, 0, 0},
    {"pow x #3", 0, 0, 0, 0},
    {"pow x #5", 0, 0, 0, 0},
    {"lt #0 x : bool [batch, 4] | select $1 x #0", 0, 0, 0, 0},
    /* the branch not taken gives no NaN, also behind another function and another sign */
    {"lt #0 x : bool [batch, 4] | log x | select $1 $2 y", 0, 5, 0, 1},
    {"lt #0 x : bool [batch, 4] | log x | select $1 $2 y", -1, 5, 0, 1},
    {"lt #0 x : bool [batch, 4] | sqrt x | mul $2 y | select $1 $3 #0 | neg $4", 0, 5, 0, 0},
    {"lt #0 x : bool [batch, 4] | div y x | exp $2 | select $1 $3 #0", 0, 5, 0, 0},
    {"le x #0 : bool [batch, 4] | log x | select $1 y $2", 0, 5, 0, 1},
    {"lt #0 x : bool [batch, 4] | log x | select $1 $2 #0 | mul $2 $2 | select $1 $4 #0 | add $3 $5", 0, 5, 0, 0},
    {"sum x {0, 1} : f32 [] | neg $1 : f32 [] | lt $2 $1 : bool [] | sqrt $1 : f32 [] | broadcast $3 : bool [batch, 4] |"
     "broadcast $4 : f32 [batch, 4] | select $5 $6 y", -1, 5, 0, 1},
    {"reduce_max x {1} : f32 [batch]", 2, 0, 0.25, 0},
    {"reduce_min x {0, 1} : f32 []", 2, 0, 1.0 / 12, 0},
    {"prod x {1} : f32 [batch]", 0, 0, 0, 0},
    /* written naively, and finite all the same: the derivative is taken of the stable form */
    {"exp x | add #1 $1 | log $2", 1000, 0, 1, 0},
    {"exp x | add #1 $1 | log $2", 0, 0, 0.5, 0},
    {"lt #0 x : bool [batch, 4] | select $1 x #0 | abs x | neg $3 | exp $4 | log1p $5 | add $2 $6", 0, 0, 0.5, 0},
    {"sigmoid x | log $1", -1000, 0, 1, 0},
    {"sigmoid x | sub #1 $1 | log $2", 1000, 0, -1, 0},
    {"neg x | exp $1 | add #1 $2 | div #1 $3", -1000, 0, 0, 0},
    {"exp x | sum $1 {1} : f32 [batch] | log $2 : f32 [batch]", 1000, 0, 0.25, 0},
    {"exp x | sum $1 {1} : f32 [batch] | broadcast $2 {0} | div $1 $3 | log $4", 1000, 0, 0, 0},
    {"exp x | sum $1 {1} : f32 [batch] | broadcast $2 {0} | div $1 $3 | log $4 | mul $5 y", -1000, 1, 0, -1.3862943611198906},
};

static void test_edges(void **state) {
  int wrongs = 0;
  for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
    const Edge *e = &edges[i];
    Session session = {0};
    Graph *raw = case_graph_of(&session, TYPE_F64, e->body), *g = graph_rebuild(raw, false);
    Sample s;
    sample_point(&s);
    for (int k = 0; k < MAX_VALUES; k++) s.data[0][k] = e->x, s.data[1][k] = e->y;
    const Node xs[2] = {build_slot(g, 0), build_slot(g, 1)};
    Node gradients[2];
    grad_reverse(g, sum_all(g, g->outputs.data[0].node), NODE_NONE, xs, 2, gradients);
    for (int k = 0; k < 2; k++) {
      const double wanted = k ? e->by_y : e->by_x;
      double found[MAX_VALUES] = {0};
      int64_t count;
      if (gradients[k].id) values_of(g, &s, gradients[k], found, &count);
      if (found[0] == wanted || fabs(found[0] - wanted) < 1e-15) continue;
      print_error("%s at (%g, %g): gradient by %c is %g, not %g\n", e->body, e->x, e->y, k ? 'y' : 'x', found[0], wanted);
      wrongs++;
    }
    graph_free(raw);
    graph_free(g);
    session_free(&session);
  }
  assert_int_equal(wrongs, 0);
}

/* A product with one zero: its gradient there is the product of the others, and the second derivatives are right too. */
static void test_product_with_zero(void **state) {
  Session session = {0};
  Graph *g = two_vectors(&session);
  Sample s;
  sample_point(&s);
  for (int k = 0; k < 7; k++) s.data[0][k] = k == 3 ? 0 : spread(0.5, 1.5, k + 1);
  const int64_t axis = 0;
  const uint32_t slot = 0;
  const Node y = build_reduce(g, P_PROD, build_slot(g, 0), &axis, 1);
  assert_int_equal(check_derivatives(g, &s, y, &slot, 1, "prod with a zero"), 0);
  s.data[0][5] = 0; /* and with two */
  assert_int_equal(check_derivatives(g, &s, y, &slot, 1, "prod with two zeros"), 0);
  graph_free(g);
  session_free(&session);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_structures), cmocka_unit_test(test_long_product),
                                     cmocka_unit_test(test_edges),
                                     cmocka_unit_test(test_product_with_zero)};
  return cmocka_run_group_tests_name("derive", tests, NULL, NULL);
}
