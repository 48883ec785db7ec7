/* node.h: what the files of this folder share: the draft of a node on its way to become one. Others use build.h. */
#ifndef GRADC_NODE_H
#define GRADC_NODE_H
#include <math.h>
#include <string.h>

#include "build.h"

/* The longest attribute list: a contraction of two operands of the greatest rank. */
#define DRAFT_ATTRS (2 + 4 * GRAPH_MAX_RANK)

/* A node before it is one. `attr` is a copy, since a pointer into the graph moves as the graph grows. */
typedef struct Draft {
  Prim prim;
  Type type;
  Shape shape;
  const Node *in;
  uint32_t count, attr_count;
  int64_t attr[DRAFT_ATTRS];
} Draft;

static inline bool type_is_float(Type type) { return type == TYPE_F32 || type == TYPE_F64; }

/* A bug of whoever called the builder: names the primitive and the inputs' shapes, and exits. */
_Noreturn void draft_bug(const Graph *g, const Draft *d, const char *file, int line, const char *rule);
#define DRAFT_CHECK(g, d, rule) \
  do {                          \
    if (!(rule)) draft_bug((g), (d), __FILE__, __LINE__, #rule); \
  } while (0)

/* A draft whose type and shape are right becomes a node: folded, simplified, shared. */
Node draft_finish(Graph *g, Draft *d);
/* The node that the rules put in a draft's place; NODE_NONE where no rule fits. */
Node rules_apply(Graph *g, const Draft *d);

/* Lets equal nodes that are made later find this one, which was put into the graph by hand and keeps the rules. */
void node_remember(Graph *g, Node n);

/* Copies the attributes of a node; their number. */
static inline uint32_t attr_copy(const Graph *g, Node n, int64_t *out) {
  const uint32_t count = node_attr_count(g, n);
  if (count) memcpy(out, node_attr(g, n), count * sizeof *out);
  return count;
}

/* The axes that are not in `axes`, ascending; their number. */
uint32_t axes_others(uint32_t rank, const int64_t *axes, uint32_t count, int64_t *others);
/* A copy of x without the given axes, all of extent 1. */
Node drop_axes(Graph *g, Node x, const int64_t *axes, uint32_t count);

/* A contraction's attributes, by side: 0 is a, 1 is b. */
typedef struct {
  uint32_t pairs, sums, others[2];
  int64_t pair[2][GRAPH_MAX_RANK], sum[2][GRAPH_MAX_RANK], other[2][GRAPH_MAX_RANK];
} Contraction;
Contraction contraction_read(const int64_t *attr, uint32_t rank_a, uint32_t rank_b);
Node contraction_build(Graph *g, Node a, Node b, const Contraction *c);

/* Rules with a body of their own; the table in rules.def says what each is. */
Node rule_smaller_elementwise(Graph *g, const Draft *d);
Node rule_moved_elementwise(Graph *g, const Draft *d);
Node rule_stop_moved(Graph *g, const Draft *d);
Node rule_log_sum_exp(Graph *g, const Draft *d);
Node rule_softmax(Graph *g, const Draft *d);
Node rule_log_slice(Graph *g, const Draft *d);
Node rule_log_moved_quotient(Graph *g, const Draft *d);
Node rule_log_picked(Graph *g, const Draft *d);
Node rule_variance(Graph *g, const Draft *d);
Node rule_broadcast(Graph *g, const Draft *d);
Node rule_reshape(Graph *g, const Draft *d);
Node rule_transpose(Graph *g, const Draft *d);
Node rule_transposed_contract(Graph *g, const Draft *d);
Node rule_slice(Graph *g, const Draft *d);
Node rule_slice_of_pad(Graph *g, const Draft *d);
Node rule_slice_of_concat(Graph *g, const Draft *d);
Node rule_pad(Graph *g, const Draft *d);
Node rule_reverse(Graph *g, const Draft *d);
Node rule_concat(Graph *g, const Draft *d);
Node rule_window(Graph *g, const Draft *d);
Node rule_unwindow(Graph *g, const Draft *d);
Node rule_unwindow_strided(Graph *g, const Draft *d);
Node rule_unwindow_contract(Graph *g, const Draft *d);
Node rule_slice_of_contract(Graph *g, const Draft *d);
Node rule_slice_of_window(Graph *g, const Draft *d);
Node rule_add_pads(Graph *g, const Draft *d);
Node rule_reduce_ones(Graph *g, const Draft *d);
Node rule_reduce_empty(Graph *g, const Draft *d);
Node rule_reduce_broadcast(Graph *g, const Draft *d);
Node rule_sum_mask(Graph *g, const Draft *d);
Node rule_sum_of_sum(Graph *g, const Draft *d);
Node rule_reduce_transposed(Graph *g, const Draft *d);
Node rule_sum_of_pad(Graph *g, const Draft *d);
Node rule_item_broadcast(Graph *g, const Draft *d);
Node rule_stack_item(Graph *g, const Draft *d);
Node rule_contract_ones(Graph *g, const Draft *d);
Node rule_contract_product(Graph *g, const Draft *d);
Node rule_contract_transposed(Graph *g, const Draft *d);
Node rule_contract_broadcast(Graph *g, const Draft *d);
Node rule_contract_gathered(Graph *g, const Draft *d);
Node rule_contract_concat(Graph *g, const Draft *d);

#endif
