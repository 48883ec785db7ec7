/* build.h: the one way to make a node. Each function infers the shape, folds constants, simplifies by the rules of
 * rules.c, and returns an existing node where an equal one is there. Arguments that break a primitive's rule are a bug
 * of the caller (exit 70 with the place): users' errors are found before. */
#ifndef GRADC_BUILD_H
#define GRADC_BUILD_H
#include "graph.h"

Node build_const(Graph *g, Type type, double value);                     /* a scalar */
Node build_full(Graph *g, Type type, double value, Shape shape);         /* a constant, broadcast */
Node build_slot(Graph *g, uint32_t slot);
typedef enum { NUMBER_STEP, NUMBER_STEPS, NUMBER_EPOCH } StepNumber;
Node build_number(Graph *g, StepNumber which);                           /* F64 [] */
Node build_extent(Graph *g, int64_t dim);                                /* F64 []; a constant for a known extent */
Node build_iota(Graph *g, int64_t dim);                                  /* I32 [dim] */
Node build_random(Graph *g, int kind, uint32_t site, Type type, Shape shape);

/* Elementwise. Types must be equal (cast first); a scalar operand is broadcast to the other's shape, other shapes must
 * be equal. */
Node build_unary(Graph *g, Prim prim, Node x);
Node build_binary(Graph *g, Prim prim, Node a, Node b);
Node build_select(Graph *g, Node condition, Node yes, Node no);
Node build_cast(Graph *g, Node x, Type type);
Node build_mark(Graph *g, Node x);
Node build_stop(Graph *g, Node x);
/* y with a derivative of its own (prims.def); `pairs`: of an x and its dx each. */
Node build_own(Graph *g, Node y, Node dy, const Node *pairs, uint32_t count);

Node build_broadcast(Graph *g, Node x, Shape shape, const int64_t *axes); /* axes: one an input axis */
Node build_broadcast_to(Graph *g, Node x, Shape shape);                   /* NumPy's rule: trailing axes aligned, extents of 1 stretched */
Node build_reshape(Graph *g, Node x, Shape shape);
Node build_transpose(Graph *g, Node x, const int64_t *perm);
Node build_slice(Graph *g, Node x, const int64_t *start_count_step);      /* three an axis */
Node build_pad(Graph *g, Node x, const int64_t *low_high_between);        /* three an axis */
Node build_reverse(Graph *g, Node x, const int64_t *axes, uint32_t count);
Node build_concat(Graph *g, const Node *parts, uint32_t count, int64_t axis);
/* Windows of an axis, and their sum back into an axis of `extent`: prims.def. */
Node build_window(Graph *g, Node x, int64_t axis, int64_t count, int64_t taps, int64_t stride, int64_t dilation);
Node build_unwindow(Graph *g, Node x, int64_t axis, int64_t extent, int64_t stride, int64_t dilation);
Node build_reduce(Graph *g, Prim prim, Node x, const int64_t *axes, uint32_t count);
/* Sum of a's and b's products; axes as in prims.def. */
Node build_contract(Graph *g, Node a, Node b, uint32_t nb, const int64_t *ab, const int64_t *bb, uint32_t nk,
                    const int64_t *ak, const int64_t *bk);

/* Loops (prims.def). The number of a new loop; then carries and items, the body, the token, and what comes out. */
uint32_t build_loop_number(Graph *g);
Node build_carry(Graph *g, uint32_t loop, uint32_t i, Node start);
Node build_item(Graph *g, uint32_t loop, Node x, int64_t axis, bool reversed);
/* `carries`: in order, each a CARRY of this loop; `next`: what each hands on, of its type and shape. */
Node build_loop(Graph *g, uint32_t loop, int64_t length, const Node *carries, const Node *next, uint32_t count);
Node build_last(Graph *g, Node loop, uint32_t i);
Node build_stack(Graph *g, Node x, Node loop, int64_t axis, bool reversed);
/* The round's number, I32 []. */
Node build_round(Graph *g, uint32_t loop, int64_t length);

/* table [pairs, n, rest] at index [pairs, places]; values [pairs, places, rest] added up at index [pairs, places] of n. */
Node build_gather(Graph *g, Node table, Node index, uint32_t pairs);
Node build_scatter_add(Graph *g, Node values, Node index, uint32_t pairs, int64_t n);
/* The n-th derivative of digamma, n from 1 to POLYGAMMA_MAX, of a float; of x's type, computed in F64. */
#define POLYGAMMA_MAX 20
Node polygamma_node(Graph *g, int n, Node x);
/* Any primitive with its inputs and attributes; type and shape serve where no rule infers them. */
Node build_any(Graph *g, Prim prim, Type type, Shape shape, const Node *in, uint32_t count, const int64_t *attr,
               uint32_t attr_count);

/* Short forms for derivative rules and passes. */
Node build_neg(Graph *g, Node x);
Node build_add(Graph *g, Node a, Node b);
Node build_sub(Graph *g, Node a, Node b);
Node build_mul(Graph *g, Node a, Node b);
Node build_div(Graph *g, Node a, Node b);
/* g * d and g / d of a gradient g: select(c, h, 0) becomes select(c, h * d, 0), so that an infinite d on the branch not
 * taken gives 0 and not NaN. */
Node build_times(Graph *g, Node gradient, Node d);
Node build_over(Graph *g, Node gradient, Node d);
/* A constant of the type of `like`, and of shape []. */
Node build_like(Graph *g, Node like, double value);

/* What a node is made of, where it is a constant (a broadcast one too). */
bool node_constant(const Graph *g, Node n, double *value);

/* A copy of `node` of `from` in `to` (equal slots), with all that it depends on; `map` (from.nodes.count entries, zeroed)
 * remembers what was copied. Marks are dropped where `drop_marks`. */
Node graph_copy_node(const Graph *from, Graph *to, Node node, Node *map, bool drop_marks);
/* The same graph without what no output needs; every node rebuilt, so simplified anew. Frees nothing. */
Graph *graph_rebuild(const Graph *from, bool drop_marks);
/* The same, but asks `replace` first what stands for a node in the new graph; NODE_NONE: a copy. `map` has what stands for
 * the older nodes that are needed, its inputs among them. */
typedef Node GraphReplace(void *context, const Graph *from, Graph *to, Node node, const Node *map);
Graph *graph_rewrite(const Graph *from, bool drop_marks, GraphReplace *replace, void *context);

/* A node of `g` made once more, of what `map` has for its inputs. `loops`: the new number, plus one, of each loop that is made
 * again, or 0; NULL: loops keep their numbers. */
Node graph_node_again(Graph *g, Node n, const Node *map, uint32_t *loops);
/* Up to and including `last`, all that depends on a node that `map` replaces is made again, and put into `map`, which holds
 * each other node itself. A loop made again is another loop. */
void graph_again(Graph *g, Node *map, uint32_t last);
/* n, with `to` in the place of `from`; functions whose own derivative is a rule for `from` keep it. */
Node graph_substitute(Graph *g, Node n, Node from, Node to);

#endif
