/* trace_ops.c: expressions of the language on small arrays, by the oracle in F64, against values worked out by hand or
 * by NumPy. Two examples a batch, so that a batch axis in the wrong place shows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "interp.h"
#include "parse.h"
#include "render.h"
#include "trace.h"

enum { MAX = 64 };
typedef struct {
  const char *shape;      /* of the input x */
  const char *expression;
  double x[MAX];
  double wanted[MAX];
} Case;
/* Figures end at END, which no case contains. */
#define END -987654321.0

static size_t length(const double *v) {
  size_t n = 0;
  while (n < MAX && v[n] != END) n++;
  return n;
}

static void check_case(const Case *c) {
  Session s = {0};
  Tree tree = {0};
  char text[1024];
  snprintf(text, sizeof text, "model m {\n  input x: %s\n  output y = %s\n}\n", c->shape, c->expression);
  const Source *source = source_add(&s.sources, "model.nn", text, strlen(text), false);
  const Ast file = parse_source(&s, &tree, source);
  TraceOptions options = {.float_type = TYPE_F64, .seed = -1, .no_train = true};
  Program *program = trace_program(&s, &tree, file, "model.nn", &options);
  if (!program) {
    Text out = {0};
    render_text(&s, &out, false);
    print_error("%s", text_get(&out));
    text_free(&out);
    fail_msg("%s is refused", c->expression);
  }
  const char *wrong = graph_verify(program->eval);
  if (wrong) fail_msg("%s: %s", c->expression, wrong);
  const Dims *dims = shape_dims(program->eval, program->eval->slots.data[0].shape);
  int64_t size;
  assert_true(dims_size(dims, 1, &size));
  const int64_t batch = (int64_t)length(c->x) / size;
  const double *slots[MAX] = {c->x};
  InterpInput input = {.slots = slots, .batch = {batch}, .step = 1, .steps = 10, .seed = 1};
  int64_t count;
  Interp *init = interp_new(program->init, &input); /* parameters, where there are some */
  for (uint32_t i = 0; i < program->init->outputs.count; i++) {
    const Output *o = &program->init->outputs.data[i];
    slots[o->slot] = interp_value(init, o->node, &count);
  }
  Interp *in = interp_new(program->eval, &input);
  const double *got = interp_value(in, program->eval->outputs.data[0].node, &count);
  if ((size_t)count != length(c->wanted)) fail_msg("%s: %d values, wanted %d", c->expression, (int)count, (int)length(c->wanted));
  for (int64_t i = 0; i < count; i++) {
    const double want = c->wanted[i];
    const bool same = isnan(want) ? isnan(got[i]) : isinf(want) ? got[i] == want : fabs(got[i] - want) <= 1e-9 * (1 + fabs(want));
    if (!same) fail_msg("%s: element %d is %.12g, wanted %.12g", c->expression, (int)i, got[i], want);
  }
  interp_free(in);
  interp_free(init);
  program_free(program);
  tree_free(&tree);
  session_free(&s);
}

#define V(...) {__VA_ARGS__, END}
static const Case shapes[] = {
    {"[2, 3]", "x.T", V(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), V(1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12)},
    {"[2, 3]", "transpose(x, (1, 0))[2]", V(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), V(3, 6, 9, 12)},
    {"[4]", "x[1:3]", V(1, 2, 3, 4, 5, 6, 7, 8), V(2, 3, 6, 7)},
    {"[4]", "x[::2] + x[-1]", V(1, 2, 3, 4, 5, 6, 7, 8), V(5, 7, 13, 15)},
    {"[4]", "x[:-1]", V(1, 2, 3, 4, 5, 6, 7, 8), V(1, 2, 3, 5, 6, 7)},
    {"[2, 2]", "x[:, none, 1]", V(1, 2, 3, 4, 5, 6, 7, 8), V(2, 4, 6, 8)},
    {"[2, 2]", "x[.., 0]", V(1, 2, 3, 4, 5, 6, 7, 8), V(1, 3, 5, 7)},
    {"[2, 2]", "x - x[0]", V(1, 2, 3, 4, 5, 6, 7, 8), V(0, 0, 2, 2, 0, 0, 2, 2)},
    {"[2, 2]", "x - x[:, 0][:, none]", V(1, 2, 3, 5, 5, 6, 7, 9), V(0, 1, 0, 2, 0, 1, 0, 2)},
    {"[3]", "x * [1, 10, 100]", V(1, 2, 3, 4, 5, 6), V(1, 20, 300, 4, 50, 600)},
    {"[2]", "concat(x, [0.5], x)", V(1, 2, 3, 4), V(1, 2, 0.5, 1, 2, 3, 4, 0.5, 3, 4)},
    {"[2]", "stack(x, 2 * x)", V(1, 2, 3, 4), V(1, 2, 2, 4, 3, 4, 6, 8)},
    {"[2]", "stack(x, 2 * x, over = 1)", V(1, 2, 3, 4), V(1, 2, 2, 4, 3, 6, 4, 8)},
    {"[4]", "{ let (a, b) = split(x, 2)\n a * b }", V(1, 2, 3, 4, 5, 6, 7, 8), V(3, 8, 35, 48)},
    {"[2, 2]", "{ let (a, b) = x\n a + 10 * b }", V(1, 2, 3, 4, 5, 6, 7, 8), V(31, 42, 75, 86)},
    {"[2, 2]", "flatten(x)[1:]", V(1, 2, 3, 4, 5, 6, 7, 8), V(2, 3, 4, 6, 7, 8)},
    {"[4]", "reshape(x, [2, -1]).T", V(1, 2, 3, 4), V(1, 3, 2, 4)},
    {"[2]", "repeat_each(x, 2)", V(1, 2, 3, 4), V(1, 1, 2, 2, 3, 3, 4, 4)},
    {"[2]", "tile(x, 2)", V(1, 2, 3, 4), V(1, 2, 1, 2, 3, 4, 3, 4)},
    {"[3]", "roll(x, 1)", V(1, 2, 3), V(3, 1, 2)},
    {"[3]", "reverse(x)", V(1, 2, 3, 4, 5, 6), V(3, 2, 1, 6, 5, 4)},
    {"[2]", "pad(x, (1, 2))", V(1, 2, 3, 4), V(0, 1, 2, 0, 0, 0, 3, 4, 0, 0)},
    {"[2, 2]", "tril(x)", V(1, 2, 3, 4), V(1, 0, 3, 4)},
    {"[2, 2]", "triu(x, 1)", V(1, 2, 3, 4), V(0, 2, 0, 0)},
    {"[2]", "diag(x)", V(1, 2), V(1, 0, 0, 2)},
    {"[2, 2]", "diag(x)", V(1, 2, 3, 4), V(1, 4)},
    {"label[3]", "one_hot(x)", V(2, 0), V(0, 0, 1, 1, 0, 0)},
    {"label[3]", "[10, 20, 30][x]", V(2, 0), V(30, 10)},
    {"[2] of label[3]", "{ let w = reshape(0 .. 6, [3, 2]) + 0.0\n w[x] }", V(2, 0, 1, 1), V(4, 5, 0, 1, 2, 3, 2, 3)},
    {"[]", "broadcast(x, [2])", V(1, 2), V(1, 1, 2, 2)},
    {"[]", "x + (2 .. 5)", V(1, 2), V(3, 4, 5, 4, 5, 6)},
    {"[1, 3]", "squeeze(x)", V(1, 2, 3), V(1, 2, 3)},
    {"[2]", "expand(x, 0) + expand(x, 1)", V(1, 2), V(2, 3, 3, 4)},
    {"[2]", "{ let (p, q) = (shape(x)[0], size(x) + rank(x))\n x * p + q }", V(1, 2), V(5, 7)},
};

static const Case reductions[] = {
    {"[2, 2]", "sum(x)", V(1, 2, 3, 4, 5, 6, 7, 8), V(10, 26)},
    {"[2, 2]", "sum(x, over = 0)", V(1, 2, 3, 4, 5, 6, 7, 8), V(4, 6, 12, 14)},
    {"[2, 2]", "sum(x, over = -1, keep = true)", V(1, 2, 3, 4, 5, 6, 7, 8), V(3, 7, 11, 15)},
    {"[2]", "sum(x, over = batch)", V(1, 2, 3, 4), V(4, 6)},
    {"[2]", "mean(x, over = (batch, 0))", V(1, 2, 3, 4), V(2.5)},
    {"[2, 3]", "mean(x, over = 1)", V(1, 2, 6, 3, 4, 5), V(3, 4)},
    {"[3]", "prod(x) + max(x) + min(x)", V(2, 3, 4), V(24 + 4 + 2)},
    {"[3]", "max(x, 2.5)", V(2, 3, 4), V(2.5, 3, 4)},
    {"[3]", "argmax(x)", V(2, 5, 5, 9, 1, 3), V(1, 0)},
    {"[2, 3]", "argmin(x, over = 0)", V(2, 5, 5, 9, 1, 3), V(0, 1, 1)},
    {"[2]", "norm(x)", V(3, 4, 0, 0), V(5, 0)},
    {"[3]", "any(x > 2)", V(1, 2, 3, 0, 1, 2), V(1, 0)},
    {"[3]", "all(x > 0)", V(1, 2, 3, 0, 1, 2), V(1, 0)},
    {"[3]", "cumsum(x)", V(1, 2, 3, 4, 5, 6), V(1, 3, 6, 4, 9, 15)},
    {"[2, 2]", "cumsum(x, over = 0)", V(1, 2, 3, 4), V(1, 2, 4, 6)},
    {"[2]", "sum(batch * x) + batch", V(1, 2, 3, 4), V(8, 16)},
    {"[]", "sum(across(x)) * x", V(1, 2), V(3, 6)},
    {"[]", "x + batch_index", V(1, 2), V(1, 3)},
    {"[2]", "logsumexp(x)", V(0, 0, -INFINITY, -INFINITY), V(0.69314718055994531, -INFINITY)},
    {"[2]", "softmax(x)", V(1000, 1000, -INFINITY, -INFINITY), V(0.5, 0.5, 0, 0)},
    {"[2, 2]", "softmax(x, over = 0)", V(0, 1, 0, 1), V(0.5, 0.5, 0.5, 0.5)},
    {"[2]", "log_softmax(x)", V(0, 1000), V(-1000, 0)},
};

static const Case products[] = {
    {"[2]", "x @ [[1, 2, 3], [4, 5, 6]]", V(1, 1, 0, 2), V(5, 7, 9, 8, 10, 12)},
    {"[2, 2]", "x @ x", V(1, 2, 3, 4, 0, 1, 1, 0), V(7, 10, 15, 22, 1, 0, 0, 1)},
    {"[2]", "[[1, 2], [3, 4], [5, 6]] @ x", V(1, 1, 1, 0), V(3, 7, 11, 1, 3, 5)},
    {"[2]", "x @ x", V(1, 2, 3, 4), V(5, 25)},
    {"[2, 2]", "x[none] @ x[:, :, none]", V(1, 2, 3, 4), V(5, 11, 11, 25)},
    {"[2, 1, 2]", "x @ [[1, 0], [0, 10]]", V(1, 2, 3, 4), V(1, 20, 3, 40)},
    {"[2, 1, 2]", "x @ stack([[1, 0], [0, 1]], [[0, 1], [1, 0]])", V(1, 2, 3, 4), V(1, 2, 4, 3)},
    {"[2]", "outer(x, [1, 10])", V(1, 2, 3, 4), V(1, 10, 2, 20, 3, 30, 4, 40)},
    {"[2, 2]", "dot(x, x)", V(1, 2, 3, 4), V(30)},
    {"[2, 2]", "einsum(\"ij, jk -> ki\", x, [[1, 2], [3, 4]])", V(1, 0, 0, 2), V(1, 6, 2, 8)},
    {"[2, 2]", "einsum(\"ij -> j\", x)", V(1, 2, 3, 4), V(4, 6)},
    {"[2]", "einsum(\"i, i, i ->\", x, x, x)", V(1, 2, 3, 4), V(9, 91)},
};

static const Case control[] = {
    {"[3]", "if x > 0 then log(if x > 0 then x else 1) else 0", V(1, -1, 2.718281828459045), V(0, 0, 1)},
    {"[3]", "select(x > 1, x, -1.0)", V(1, 2, 3), V(-1, 2, 3)},
    {"[3]", "clamp(x, 0, 1)", V(-1, 0.5, 2), V(0, 0.5, 1)},
    {"[3]", "scan a = 0.0 for v in x { next a + v }", V(1, 2, 3, 4, 5, 6), V(6, 15)},
    {"[3]", "scan a = 1.0 for v in x { let b = a * v\n next b yield b }", V(1, 2, 3), V(1, 2, 6)},
    {"[3]", "scan a = 0.0 for v in x reversed { let b = a + v\n next b yield b }", V(1, 2, 3), V(6, 5, 3)},
    {"[3]", "scan (a, b) = (0.0, 1.0) for (v, i) in (x, 0 .. 3) { next (a + i * v, b * v) }[0]", V(1, 2, 3), V(8)},
    {"[3]", "x |> map(v -> v^2)", V(1, 2, 3), V(1, 4, 9)},
    {"[2]", "(x, [10, 20]) |> map((a, b) -> a * b)", V(1, 2), V(10, 40)},
    {"[2]", "x |> repeat(3, v -> 2 * v)", V(1, 2), V(8, 16)},
    {"[2]", "x |> repeat(3, (v, i) -> v + i)", V(1, 2), V(4, 5)},
    {"[2]", "{ let f = (a, b) -> a - b\n f(x, 1) |> f(2) }", V(1, 2), V(-2, -1)},
    {"[2]", "{ let x = x + 1\n let x = x * 2\n x }", V(1, 2), V(4, 6)},
    {"[2]", "x * (if 1 == 2 then 0 else 7 / 2) ^ 2", V(1, 2), V(12.25, 24.5)},
    {"[2] of int", "x / 2 + int(2.7)", V(1, 2), V(2.5, 3)},
    {"[2] of bool", "x + x", V(1, 0), V(2, 0)},
    {"[2]", "(x > 1) + 0.5", V(1, 2), V(0.5, 1.5)},
    {"[2]", "not (x > 1 and x < 3 or x == 7)", V(2, 7, 0, 3), V(0, 0, 1, 1)},
    {"[2]", "is_known(x)", V(NAN, 1), V(0, 1)},
    {"label[2]", "is_known(x)", V(-1, 1), V(0, 1)},
    {"[]", "{ let v = x\n let e = v^3\n let d = grad(e, v)\n grad(d, v) }", V(2, 3), V(12, 18)},
    {"[2]", "{ let v = x\n grad(sum(sin(v) * stop_gradient(v)), v) }", V(0, 2), V(0, -0.8322936730942848)},
    {"[2]", "{ let (a, b) = (x[0], x[1])\n let e = a^2 * b\n let (p, q) = grad(e, (a, b))\n [p, q] }", V(3, 5), V(30, 9)},
    {"[]", "{ let v = x\n grad(norm([v, 2 * v]), v) }", V(0, 3), V(0, 2.23606797749979)},
};

static const Case orders[] = {
    {"[4]", "sort(x)", V(3, 1, 2, 1, 4, 3, 2, 1), V(1, 1, 2, 3, 1, 2, 3, 4)},
    {"[2, 2]", "sort(x, over = 0)", V(3, 1, 2, 5), V(2, 1, 3, 5)},
    {"[4]", "argsort(x)", V(3, 1, 2, 1), V(1, 3, 2, 0)},
    {"[4]", "top_k(x, 2)[0]", V(3, 1, 7, 3, 0, 0, 0, 5), V(7, 3, 5, 0)},
    {"[4]", "top_k(x, 3)[1]", V(3, 1, 7, 3, 0, 0, 0, 5), V(2, 0, 3, 3, 0, 1)},
    {"[4]", "{ let v = x\n grad(sum(top_k(v, 2)[0] * [10, 1]), v) }", V(3, 1, 7, 2), V(1, 0, 10, 0)},
    {"[4]", "{ let v = x\n grad(dot(sort(v), [1, 2, 3, 4]), v) }", V(3, 1, 7, 2), V(3, 1, 4, 2)},
    /* NaN comes last, the infinities at their ends, equals in their order; -inf is taken once */
    {"[4]", "sort(x)", V(NAN, 1, -INFINITY, NAN, INFINITY, 0, NAN, -INFINITY), V(-INFINITY, 1, NAN, NAN, -INFINITY, 0, INFINITY, NAN)},
    {"[4]", "argsort(x)", V(NAN, 1, -INFINITY, NAN, 2, 2, NAN, 2), V(2, 1, 0, 3, 0, 1, 3, 2)},
    {"[4]", "top_k(x, 4)[1]", V(NAN, 1, -INFINITY, NAN, -INFINITY, -INFINITY, 5, -INFINITY), V(0, 3, 1, 2, 2, 0, 1, 3)},
    {"[4]", "top_k(x, 3)[0]", V(NAN, 1, -INFINITY, NAN, -INFINITY, -INFINITY, 5, -INFINITY), V(NAN, NAN, 1, 5, -INFINITY, -INFINITY)},
    {"[2]", "top_k(concat(x, 0 * (0 .. 80)), 66)[1][0:4]", V(1, 2, -1, 3), V(1, 0, 2, 3, 1, 2, 3, 4)},
    {"[2]", "{ let v = x\n grad(sum(top_k(concat(v, 0 * (0 .. 80)), 66)[0] * (0 .. 66)), v) }", V(1, 2, -1, 3), V(1, 0, 0, 0)},
    {"[3]", "cumprod(x)", V(2, 0, 3, 4, 5, 6), V(2, 0, 0, 4, 20, 120)},
    {"[2, 2]", "cumprod(x, over = 0)", V(1, 2, 3, 4), V(1, 2, 3, 8)},
    {"[5]", "cumsum(x)", V(1, 2, INFINITY, 3, 4), V(1, 3, INFINITY, INFINITY, INFINITY)},
    {"[4]", "{ let v = x\n grad(dot(cumsum(v), [1, 10, 100, 1000]), v) }", V(1, 2, 3, 4), V(1111, 1110, 1100, 1000)},
    /* at zeros: the products of the others */
    {"[3]", "{ let v = x\n grad(dot(cumprod(v), [1, 10, 100]), v) }", V(2, 0, 3), V(1, 620, 0)},
    {"[3]", "{ let v = x\n grad(dot(cumprod(v), [1, 10, 100]), v) }", V(0, 0, 3), V(1, 0, 0)},
    {"[3]", "scatter_add(x, [2, 0, 2], [10, 20, 30])", V(1, 2, 3), V(21, 2, 43)},
    {"[2, 2]", "scatter_add(x, [1], [[10, 20]])", V(1, 2, 3, 4), V(1, 2, 13, 24)},
    {"[2, 3]", "gather(x, [2, 0], over = 1)", V(1, 2, 3, 4, 5, 6), V(3, 1, 6, 4)},
    /* a place that is none: 0, and nothing is added; the example's own places, of its own row, of a matrix, of the second axis */
    {"[3]", "x[[0, -1, 3, 2]]", V(1, 2, 3), V(1, 0, 0, 3)},
    {"[3]", "scatter_add(zeros[2], [1, -1, 2], x)", V(1, 2, 3), V(0, 1)},
    {"[3]", "x[int(x)]", V(1, 2, 0, 2, 2, 1), V(2, 0, 1, 1, 1, 2)},
    {"[]", "[[1, 2], [3, 4], [5, 6]][int(x)]", V(2, 0), V(5, 6, 1, 2)},
    {"[2]", "[[1, 2, 3], [4, 5, 6]][:, int(x)]", V(2, 0, 1, 1), V(3, 1, 6, 4, 2, 2, 5, 5)},
    {"[2, 2]", "x[:, int(x[0])]", V(1, 0, 7, 8, 1, 1, 5, 6), V(0, 1, 8, 7, 1, 1, 6, 6)},
    {"[3]", "[x[int(x[0])], x[int(x[1])]]", V(1, 2, 0, 2, 0, 1), V(2, 0, 1, 2)},
    {"[3]", "{ let v = x\n grad(dot(v[[2, 0, 2, 5]], [1, 10, 100, 1000]), v) }", V(1, 2, 3), V(10, 0, 101)},
    {"[3]", "{ let v = x\n grad(dot(scatter_add(zeros[2], [1, 0, 2], v), [3, 7]), v) }", V(1, 2, 3), V(7, 3, 0)},
    {"[2]", "scatter_add(zeros[3], int(x), [10, 20])", V(0, 2, 1, 1), V(10, 0, 20, 0, 30, 0)},
    {"[2]", "scatter_add(zeros[3, 2], [2], [x])", V(5, 6, 7, 8), V(0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 7, 8)},
};

static const Case derivatives[] = {
    {"[2]", "{ let v = x\n jvp([v[0] * v[1], v[0]^2], v, [1, 10]) }", V(2, 3), V(23, 4)},
    {"[2]", "{ let v = x\n hvp(v[0]^2 * v[1], v, [1, 10]) }", V(2, 3), V(6 + 40, 4)},
    {"[2]", "{ let v = x\n jacobian([v[0] * v[1], v[0]^2], v) }", V(2, 3, 1, 1), V(3, 2, 4, 0, 1, 1, 2, 0)},
    {"[2]", "{ let v = x\n hessian(v[0]^2 * v[1], v) }", V(2, 3), V(6, 4, 4, 0)},
    {"[]", "iterate z = x while z > 1 max 10 { next z / 2 }", V(7, 1.5, 0.3, 5000), V(0.875, 0.75, 0.3, 5000.0 / 1024)},
    {"[]", "iterate z = 100.0 while z > x max 20 { next z - 30 }", V(50, 95), V(40, 70)},
    /* In a loop a carry stands for itself: the derivative by w does not look into earlier rounds. */
    {"[]", "{ let w = x\n scan h = w for i in 0 .. 2 { next grad(h * w, w) } }", V(3), V(3)},
};

static const Case windows[] = {
    {"[4, 1]", "conv(x, reshape([1, 10], [2, 1, 1]))[:, 0]", V(1, 2, 3, 4), V(21, 32, 43)},
    {"[4, 1]", "conv(x, reshape([1, 10], [2, 1, 1]), padding = same)[:, 0]", V(1, 2, 3, 4), V(21, 32, 43, 4)},
    {"[4, 1]", "conv(x, reshape([1, 10, 100], [3, 1, 1]), padding = same, stride = 2)[:, 0]", V(1, 2, 3, 4), V(321, 43)},
    {"[5, 1]", "conv(x, reshape([1, 10], [2, 1, 1]), dilation = 3, padding = (1, ))[:, 0]", V(1, 2, 3, 4, 5), V(30, 41, 52, 3)},
    {"[2, 2]", "conv(x, reshape([1, 2, 3, 4], [1, 2, 2]))", V(1, 10, 2, 20), V(31, 42, 62, 84)},
    {"[2, 2]", "conv(x, reshape([5, 7], [1, 1, 2]), groups = 2)", V(1, 10, 2, 20), V(5, 70, 10, 140)},
    {"[2, 1]", "conv_transpose(x, reshape([1, 10, 100], [3, 1, 1]))[:, 0]", V(1, 2), V(1, 12, 120, 200)},
    {"[2, 1]", "conv_transpose(x, reshape([1, 10], [2, 1, 1]), stride = 2)[:, 0]", V(1, 2), V(1, 10, 2, 20)},
    {"[2, 1]", "conv_transpose(x, reshape([1, 10, 100, 1000], [4, 1, 1]), stride = 2, padding = same)[:, 0]", V(1, 2), V(10, 102, 1020, 200)},
    {"[4, 1]", "window_max(x, 2)[:, 0]", V(1, 5, 3, 4), V(5, 5, 4)},
    {"[5, 1]", "max_pool(x, 2, padding = same)[:, 0]", V(-1, -5, -3, -4, -2), V(-1, -3, -2)},
    {"[5, 1]", "mean_pool(x, 2, padding = same)[:, 0]", V(1, 5, 3, 4, 2), V(3, 3.5, 2)},
    {"[2, 2, 1]", "upsample(x, 2)[:, :, 0]", V(1, 2, 3, 4), V(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4)},
    {"[2, 1]", "{ let v = x\n grad(sum(max_pool(v, 2)), v)[:, 0] }", V(3, 3), V(1, 0)},
};

static const Case library[] = {
    {"[3]", "relu(x) + leaky_relu(x)", V(-1, 0, 2), V(-0.01, 0, 4)},
    {"[2]", "elu(x)", V(-1, 2), V(-0.6321205588285577, 2)},
    {"[2]", "selu(x)", V(-1, 1), V(-1.1113307378125625, 1.0507009873554805)},
    {"[2]", "gelu(x)", V(1, -2), V(0.8413447460685429, -0.04550026389635842)},
    {"[2]", "gelu_tanh(x)", V(1, -2), V(0.8411919906082768, -0.045402305912793294)},
    {"[2]", "silu(x)", V(1, -1000), V(0.7310585786300049, 0)},
    {"[3]", "softplus(x)", V(0, 1000, -1000), V(0.6931471805599453, 1000, 0)},
    {"[2]", "mish(x)", V(1, 0), V(0.8650983882673103, 0)},
    {"[3]", "hard_sigmoid(x) + hard_tanh(x)", V(-4, 0, 4), V(-1, 0.5, 2)},
    {"[2]", "mse(x, [1, 2]) + mae(x, [1, 2])", V(2, 4), V(2.5 + 1.5)},
    {"[2]", "huber(x, [0, 0])", V(0.5, 3), V((0.125 + 2.5) / 2)},
    {"[]", "bce_logits(x, 1) + bce_logits(x, 0)", V(0, 1000), V(2 * 0.6931471805599453, 1000)},
    {"[]", "bce(x, 1)", V(0.5, 0), V(0.6931471805599453, 100)},
    {"[2]", "kl(x, [0.5, 0.5])", V(1, 0), V(0.6931471805599453)},
    {"[2]", "hinge(x, [1, -1])", V(0.5, 2), V((0.5 + 3) / 2)},
    {"[3]", "multiclass_hinge(x, argmax([0, 1, 0]))", V(1, 1.5, 0), V(0.5)},
    {"[2]", "log_cosh(x, [0, 0])", V(1, -1), V(0.4337808304830271)},
    {"[2, 2]", "dice(x, [[1, 0], [0, 1]])", V(1, 0, 0, 1), V(0)},
    {"[2, 2]", "rms_norm(x)", V(3, 3, 0, 0), V(3 / sqrt(9 + 1e-5), 3 / sqrt(9 + 1e-5), 0, 0)},
};

static void run_cases(const Case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) check_case(&cases[i]);
}
#define GROUP(name) \
  static void test_##name(void **state) { run_cases(name, sizeof name / sizeof *name); }
GROUP(shapes)
GROUP(reductions)
GROUP(products)
GROUP(control)
GROUP(orders)
GROUP(derivatives)
GROUP(windows)
GROUP(library)

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes),  cmocka_unit_test(test_reductions), cmocka_unit_test(test_products),
                                     cmocka_unit_test(test_control), cmocka_unit_test(test_orders), cmocka_unit_test(test_derivatives),
                                     cmocka_unit_test(test_windows),    cmocka_unit_test(test_library)};
  return cmocka_run_group_tests_name("trace_ops", tests, NULL, NULL);
}
