/* Every primitive's derivative rules: first and second order against differences, symmetry, adjointness of the linear
 * ones, over shapes and attributes drawn at random. The loop runs over the table: a new row is tested unnamed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "differences.h"

#define FIRST 1e-7
#define SECOND 1e-6
#define SYMMETRY 1e-12
#define ADJOINT 1e-13

static void need(bool good, const char *what, const RandomGraph *r, Node y, double error) {
  if (good) return;
  Text text = {0};
  graph_print(r->g, &text);
  fprintf(stderr, "%s\n%s at %%%u: error %.3g\n", text_get(&text), what, y.id, error);
  text_free(&text);
  fail();
}

static DerivativeErrors worst;

static void check(RandomGraph *r, Node y, const Point *p, bool second) {
  const DerivativeErrors e = derivative_errors(r, y, p, second);
  need(e.first <= FIRST, "first derivative", r, y, e.first);
  need(e.second <= SECOND, "second derivative", r, y, e.second);
  need(e.symmetry <= SYMMETRY, "symmetry", r, y, e.symmetry);
  const char *why = graph_verify(r->g);
  if (why) fail_msg("%s", why);
  worst.first = fmax(worst.first, e.first), worst.second = fmax(worst.second, e.second);
  worst.symmetry = fmax(worst.symmetry, e.symmetry);
}

static int report(void **state) {
  print_message("largest errors: first %.2g, second %.2g, symmetry %.2g\n", worst.first, worst.second, worst.symmetry);
  return 0;
}

/* ---- elementwise ---- */

/* The environment may name one primitive, for scripts/mutate. */
static bool left_out(int p) {
  const char *only = getenv("ONLY");
  return only && strcmp(only, prim_info((Prim)p)->word);
}

static const Dims shapes[] = {{0}, {1, {1}}, {1, {7}}, {3, {3, 1, 5}}, {2, {DIM_BATCH, 4}}, {2, {DIM_BATCH, 331}}};
#define SHAPES (sizeof shapes / sizeof *shapes)

/* A slot whose values lie on a grid of 64 steps, `part` of a step off: no two are equal, none is a kink. */
static Node grid_slot(RandomGraph *r, const PrimInfo *info, const Dims *dims, double part) {
  const Node n = rg_slot(r, SLOT_PARAM, TYPE_F64, dims, 0, 1);
  double *v = r->values[r->g->slots.count - 1];
  for (int64_t i = 0; i < rg_size(r, dims); i++)
    v[i] = info->low + (info->high - info->low) * (rg_below(r, 64) + part) / 64;
  return n;
}

/* The primitive as a function of floats, whatever its types are: predicates choose between two smooth functions. */
static Node as_function(Graph *g, Prim prim, Node a, Node b) {
  const double middle = (prim_info(prim)->low + prim_info(prim)->high) / 2; /* not on the grid */
  if (prim == P_SELECT) return build_select(g, build_binary(g, P_LT, a, b), build_mul(g, a, a), build_mul(g, a, b));
  if (prim == P_CAST) return build_mul(g, build_cast(g, build_cast(g, a, TYPE_F32), TYPE_F64), a);
  const int arity = prim_info(prim)->arity;
  if (!prim_is(prim, K_PREDICATE)) return arity == 1 ? build_unary(g, prim, a) : build_binary(g, prim, a, b);
  Node p = a, q = b;
  if (prim == P_NOT || prim == P_AND || prim == P_OR)
    p = build_binary(g, P_LT, a, b), q = build_binary(g, P_LT, build_const(g, TYPE_F64, middle), a);
  const Node c = arity == 1 ? build_unary(g, prim, p) : build_binary(g, prim, p, q);
  return build_select(g, c, build_mul(g, a, a), build_unary(g, P_SIN, b));
}

static void test_elementwise(void **state) {
  int tested = 0;
  for (int p = 0; p < P_COUNT; p++) {
    if (!prim_is((Prim)p, K_ELEMENTWISE) || left_out(p)) continue;
    for (size_t s = 0; s < SHAPES; s++) {
      Session session = {0};
      RandomGraph r = rg_new(&session, (uint64_t)p * SHAPES + s, TYPE_F64);
      const PrimInfo *info = prim_info((Prim)p);
      const Dims one = {0};
      Node xs[2] = {grid_slot(&r, info, &shapes[s], 0.3)};
      xs[1] = grid_slot(&r, info, s == 3 ? &one : &shapes[s], 0.7); /* once a scalar against a tensor */
      const Node y = as_function(r.g, (Prim)p, xs[0], xs[1]);
      const Point point = point_of(&r, xs, 2);
      check(&r, y, &point, true);
      random_graph_free(&r), session_free(&session);
      tested++;
    }
  }
  assert_true(getenv("ONLY") || tested >= 40 * (int)SHAPES);
}

/* A third order for all of the table's functions of one input: their gradient's second derivative. */
static void test_third(void **state) {
  for (int p = 0; p < P_COUNT; p++) {
    if (!prim_is((Prim)p, K_ELEMENTWISE) || prim_info((Prim)p)->arity != 1 || prim_is((Prim)p, K_PREDICATE)) continue;
    if (left_out(p)) continue;
    Session session = {0};
    RandomGraph r = rg_new(&session, (uint64_t)p, TYPE_F64);
    const Node x = grid_slot(&r, prim_info((Prim)p), &shapes[2], 0.3);
    Node d;
    grad_reverse(r.g, as_function(r.g, (Prim)p, x, x), NODE_NONE, &x, 1, &d);
    const Point point = point_of(&r, &x, 1);
    if (d.id) check(&r, d, &point, true);
    random_graph_free(&r), session_free(&session);
  }
}

/* ---- structural ---- */

static bool is_structural(Prim p) { return !prim_is(p, K_ELEMENTWISE | K_LEAF); }

/* Zero by decree, whatever the values say. */
static void check_stop(RandomGraph *r, Node y, const Point *p) {
  Node g[DIFF_MAX];
  grad_reverse(r->g, build_mul(r->g, y, y), NODE_NONE, p->nodes, p->count, g);
  for (uint32_t i = 0; i < p->count; i++) assert_int_equal(g[i].id, 0);
}

/* A graph of a single slot and one node of the primitive over it; false where the draw does not fit. */
static bool draw_structural(RandomGraph *r, Session *session, Prim prim, uint64_t seed, Node *y) {
  *r = rg_new(session, seed * P_COUNT + prim, TYPE_F64);
  r->largest = 120;
  const Dims dims = rg_dims(r);
  *y = rg_apply(r, prim, rg_new_slot(r, TYPE_F64, &dims));
  return y->id != 0;
}

static void test_structural(void **state) {
  for (int p = 0; p < P_COUNT; p++) {
    int tested = 0;
    if (!is_structural((Prim)p) || left_out(p)) continue;
    for (uint64_t seed = 0; tested < 40 && seed < 400; seed++) {
      Session session = {0};
      RandomGraph r;
      Node y;
      if (draw_structural(&r, &session, (Prim)p, seed, &y) && rg_is_float(&r, y)) {
        const Point point = point_all(&r);
        if (p == P_STOP) {
          check_stop(&r, y, &point);
        } else {
          check(&r, y, &point, true);
          /* and below a sine and a product, so that the second derivative is not zero */
          check(&r, build_mul(r.g, build_unary(r.g, P_SIN, y), y), &point, true);
        }
        tested++;
      } else if (y.id) {
        tested++;
      }
      random_graph_free(&r), session_free(&session);
    }
    if (tested < 40) fail_msg("%s: only %d draws fit", prim_info((Prim)p)->word, tested);
  }
}

/* A linear map A: <A x, w> = <x, A' w>. */
static void check_adjoint(RandomGraph *r, Node y, const Point *p, bool each) {
  Node g[DIFF_MAX];
  const Node w = weight_slot(r, y);
  grad_reverse(r->g, y, w, p->nodes, p->count, g);
  double *weights[1] = {r->values[node_attr(r->g, w)[0]]}, right = 0, size = 0;
  const Pairing f = {&y, weights, 1};
  const double left = (double)pairing_value(r, &f);
  for (uint32_t i = 0; i < p->count; i++) {
    double *x[1] = {r->values[p->slot[i]]};
    const Point own = point_of(r, &p->nodes[i], 1);
    right += dot_values(r, &own, x, &g[i], &size);
    if (!each && i + 1 < p->count) continue;
    need(fabs(left - right) <= ADJOINT * fmax(size, 1e-3), "adjoint", r, y, fabs(left - right));
    right = 0;
  }
}

/* Which primitives are linear is known by their kind; an item comes with a whole loop, which is not. */
static void test_adjoint(void **state) {
  for (int p = 0; p < P_COUNT; p++) {
    const bool linear = prim_is((Prim)p, K_MOVEMENT | K_OVERLAP | K_CONTRACTION) || p == P_SUM || p == P_MARK ||
                        p == P_GATHER || p == P_SCATTER_ADD;
    if (!linear || p == P_ITEM || left_out(p)) continue;
    for (uint64_t seed = 1000; seed < 1150; seed++) {
      Session session = {0};
      RandomGraph r;
      Node y;
      if (draw_structural(&r, &session, (Prim)p, seed, &y)) {
        const Point point = point_all(&r);
        const bool product = prim_is((Prim)p, K_CONTRACTION); /* linear in each input by itself */
        if (!product || point.count == 2) check_adjoint(&r, y, &point, product);
      }
      random_graph_free(&r), session_free(&session);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_elementwise),
      cmocka_unit_test(test_third),
      cmocka_unit_test(test_structural),
      cmocka_unit_test(test_adjoint),
  };
  return cmocka_run_group_tests(tests, NULL, report);
}
