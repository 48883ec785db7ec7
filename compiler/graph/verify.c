/* verify.c: the specification of the graph, one rule a primitive: inputs before users, types, shapes, attributes in
 * range. The builder keeps these rules; this file believes nobody, so that it also judges text that was parsed. */
#include <math.h>
#include <string.h>

#include "graph.h"
#include "loops.h"

#define MAX_SYMBOLS 4 /* as many data blocks as a model may have */

typedef struct {
  const Graph *g;
  Node node;
  Type type;
  const Dims *out;
  const int64_t *attr;
  uint32_t attr_count;
} Rule;

/* A rule gives NULL or the reason why not. */
#define NEED(condition, reason) \
  do {                          \
    if (!(condition)) return (reason); \
  } while (0)
#define TRY(call)               \
  do {                          \
    const char *why_ = (call);  \
    if (why_) return why_;      \
  } while (0)

static const Dims *in_dims(const Rule *r, uint32_t i) { return node_dims(r->g, node_in(r->g, r->node, i)); }
static Type in_type(const Rule *r, uint32_t i) { return node_type(r->g, node_in(r->g, r->node, i)); }
static bool is_float(Type t) { return t == TYPE_F32 || t == TYPE_F64; }
static bool is_number(Type t) { return t != TYPE_BOOL && t != TYPE_BF16; }

static bool dims_equal(const Dims *a, const Dims *b) {
  if (a->rank != b->rank) return false;
  for (uint32_t i = 0; i < a->rank; i++) {
    if (a->dims[i] != b->dims[i]) return false;
  }
  return true;
}

static const char *need_attrs(const Rule *r, uint32_t count) {
  return r->attr_count == count ? NULL
                                : arena_printf(&r->g->session->arena, "%u attributes, not %u", count, r->attr_count);
}

/* Axes of a tensor of this rank, strictly ascending. */
static const char *need_axes(const int64_t *axes, uint32_t count, uint32_t rank) {
  for (uint32_t i = 0; i < count; i++) {
    NEED(axes[i] >= 0 && axes[i] < rank, "an axis is out of range");
    NEED(i == 0 || axes[i] > axes[i - 1], "axes must ascend");
  }
  return NULL;
}

static const char *need_scalar(const Rule *r, Type type) {
  NEED(r->type == type, "wrong type");
  NEED(r->out->rank == 0, "must be a scalar");
  return NULL;
}

/* ---- leaves ---- */

static const char *rule_const(const Rule *r) {
  TRY(need_attrs(r, 1));
  NEED(r->out->rank == 0, "a constant is a scalar");
  double value;
  memcpy(&value, r->attr, sizeof value);
  if (r->type == TYPE_BOOL) NEED(value == 0 || value == 1, "a bool is 0 or 1");
  if (r->type == TYPE_I32)
    NEED(value == trunc(value) && value >= -0x1p31 && value < 0x1p31, "not an integer of 32 bits");
  return NULL;
}

static const char *rule_slot(const Rule *r) {
  TRY(need_attrs(r, 1));
  NEED(r->attr[0] >= 0 && r->attr[0] < r->g->slots.count, "no such slot");
  const Slot *slot = &r->g->slots.data[r->attr[0]];
  NEED(r->type == slot->type, "not the slot's type");
  NEED(dims_equal(r->out, shape_dims(r->g, slot->shape)), "not the slot's shape");
  return NULL;
}

static const char *rule_number(const Rule *r) {
  TRY(need_attrs(r, 1));
  NEED(r->attr[0] >= 0 && r->attr[0] <= 2, "no such number");
  return need_scalar(r, TYPE_F64);
}

static const char *rule_extent(const Rule *r) {
  TRY(need_attrs(r, 1));
  NEED(r->attr[0] >= 0 && r->attr[0] < MAX_SYMBOLS, "no such batch extent");
  return need_scalar(r, TYPE_F64);
}

static const char *rule_iota(const Rule *r) {
  TRY(need_attrs(r, 0));
  NEED(r->type == TYPE_I32 && r->out->rank == 1, "must be an i32 of one axis");
  return NULL;
}

static const char *rule_random(const Rule *r) {
  TRY(need_attrs(r, 2));
  NEED(is_float(r->type), "must be a float");
  NEED(r->attr[0] == 0 || r->attr[0] == 1, "kind must be 0 or 1");
  NEED(r->attr[1] >= 0 && r->attr[1] <= UINT32_MAX, "the site is not a number of 32 bits");
  return NULL;
}

/* ---- elementwise ---- */

/* The types that an elementwise primitive of the table takes. */
static const char *need_operand(Prim prim, Type type) {
  switch (prim) {
  case P_NEG: case P_ABS: case P_SIGN: case P_FLOOR: case P_CEIL: case P_ROUND: case P_TRUNC: case P_ADD: case P_SUB:
  case P_MUL: case P_DIV: case P_MAX: case P_MIN: case P_LT: case P_LE:
    NEED(is_number(type), "takes numbers");
    return NULL;
  case P_EQ: case P_NE: return NULL;
  case P_NOT: case P_AND: case P_OR:
    NEED(type == TYPE_BOOL, "takes bools");
    return NULL;
  default:
    NEED(is_float(type), "takes floats");
    return NULL;
  }
}

static const char *rule_elementwise(const Rule *r) {
  const Prim prim = node_prim(r->g, r->node);
  TRY(need_attrs(r, 0));
  TRY(need_operand(prim, in_type(r, 0)));
  for (uint32_t i = 0; i < node_data(r->g, r->node)->count; i++) {
    NEED(in_type(r, i) == in_type(r, 0), "operands must be of one type");
    NEED(dims_equal(in_dims(r, i), r->out), "operands and result must be of one shape");
  }
  NEED(r->type == (prim_is(prim, K_PREDICATE) ? TYPE_BOOL : in_type(r, 0)), "wrong type");
  return NULL;
}

static const char *rule_select(const Rule *r) {
  TRY(need_attrs(r, 0));
  NEED(in_type(r, 0) == TYPE_BOOL, "the condition must be a bool");
  NEED(in_type(r, 1) == r->type && in_type(r, 2) == r->type, "both branches must be of the result's type");
  for (uint32_t i = 0; i < 3; i++) NEED(dims_equal(in_dims(r, i), r->out), "operands and result must be of one shape");
  return NULL;
}

static const char *rule_cast(const Rule *r) {
  TRY(need_attrs(r, 0));
  NEED(dims_equal(in_dims(r, 0), r->out), "operand and result must be of one shape");
  return NULL;
}

static const char *same(const Rule *r) {
  NEED(in_type(r, 0) == r->type && dims_equal(in_dims(r, 0), r->out), "must be of its input's type and shape");
  return NULL;
}

static const char *rule_mark(const Rule *r) {
  TRY(need_attrs(r, 1));
  NEED(r->attr[0] >= 0 && r->attr[0] < r->g->marks, "the number is not one of the graph's marks");
  return same(r);
}

static const char *rule_stop(const Rule *r) {
  TRY(need_attrs(r, 0));
  return same(r);
}

static const char *rule_own(const Rule *r) {
  TRY(need_attrs(r, 0));
  const uint32_t count = node_data(r->g, r->node)->count;
  NEED(count >= 2 && count % 2 == 0, "takes a value, dy, then an x and its dx by turns");
  for (uint32_t i = 0; i < count; i += 2)
    NEED(in_type(r, i) == in_type(r, i + 1) && dims_equal(in_dims(r, i), in_dims(r, i + 1)), "a gradient must be of its value's type and shape");
  return same(r);
}

/* ---- movement ---- */

static const char *rule_broadcast(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  NEED(in_type(r, 0) == r->type, "must be of its input's type");
  TRY(need_attrs(r, in->rank));
  TRY(need_axes(r->attr, r->attr_count, r->out->rank));
  for (uint32_t i = 0; i < in->rank; i++)
    NEED(in->dims[i] == r->out->dims[r->attr[i]], "an axis would be stretched");
  return NULL;
}

/* Batch extents keep their order, and what lies between them its size. */
static const char *rule_reshape(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  TRY(need_attrs(r, 0));
  NEED(in_type(r, 0) == r->type, "must be of its input's type");
  uint32_t i = 0, o = 0;
  for (;;) {
    int64_t before = 1, after = 1;
    for (; i < in->rank && !dim_is_batch(in->dims[i]); i++) NEED(mem_mul(before, in->dims[i], &before), "too large");
    for (; o < r->out->rank && !dim_is_batch(r->out->dims[o]); o++)
      NEED(mem_mul(after, r->out->dims[o], &after), "too large");
    NEED(before == after, "the sizes differ");
    if (i == in->rank || o == r->out->rank) break;
    NEED(in->dims[i++] == r->out->dims[o++], "the batch axes differ");
  }
  NEED(i == in->rank && o == r->out->rank, "the batch axes differ");
  return NULL;
}

static const char *rule_transpose(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  TRY(need_attrs(r, in->rank));
  NEED(in_type(r, 0) == r->type && in->rank == r->out->rank, "must be of its input's type and rank");
  unsigned seen = 0;
  for (uint32_t i = 0; i < in->rank; i++) {
    NEED(r->attr[i] >= 0 && r->attr[i] < in->rank && !(seen >> r->attr[i] & 1), "not a permutation of the axes");
    seen |= 1u << r->attr[i];
    NEED(r->out->dims[i] == in->dims[r->attr[i]], "the shape is not the permuted one");
  }
  return NULL;
}

static const char *rule_slice(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  TRY(need_attrs(r, 3 * in->rank));
  NEED(in_type(r, 0) == r->type && in->rank == r->out->rank, "must be of its input's type and rank");
  for (uint32_t i = 0; i < in->rank; i++) {
    const int64_t start = r->attr[3 * i], count = r->attr[3 * i + 1], step = r->attr[3 * i + 2], extent = in->dims[i];
    NEED(r->out->dims[i] == count, "an extent is not the count");
    if (dim_is_batch(extent)) {
      NEED(start == 0 && count == extent && step == 1, "a batch axis is taken whole");
      continue;
    }
    NEED(start >= 0 && count >= 0 && step >= 1, "start and count must be >= 0, the step >= 1");
    NEED(start <= extent && (count == 0 || (start < extent && count - 1 <= (extent - 1 - start) / step)),
         "reaches past the end");
  }
  return NULL;
}

static const char *rule_pad(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  TRY(need_attrs(r, 3 * in->rank));
  NEED(in_type(r, 0) == r->type && in->rank == r->out->rank, "must be of its input's type and rank");
  for (uint32_t i = 0; i < in->rank; i++) {
    const int64_t low = r->attr[3 * i], high = r->attr[3 * i + 1], between = r->attr[3 * i + 2], extent = in->dims[i];
    NEED(low >= 0 && high >= 0 && between >= 0, "attributes must be >= 0");
    if (dim_is_batch(extent)) {
      NEED(low == 0 && high == 0 && between == 0 && r->out->dims[i] == extent, "a batch axis is not padded");
      continue;
    }
    int64_t n;
    NEED(mem_mul(extent ? extent - 1 : 0, between, &n) && mem_add(n, extent, &n) && mem_add(n, low, &n) &&
             mem_add(n, high, &n),
         "too large");
    NEED(r->out->dims[i] == n, "an extent is not that of the padded axis");
  }
  return NULL;
}

static const char *rule_reverse(const Rule *r) {
  TRY(same(r));
  NEED(r->attr_count > 0, "no axes");
  return need_axes(r->attr, r->attr_count, r->out->rank);
}

static const char *rule_concat(const Rule *r) {
  TRY(need_attrs(r, 1));
  TRY(need_axes(r->attr, 1, r->out->rank));
  const int64_t axis = r->attr[0];
  int64_t total = 0;
  for (uint32_t i = 0; i < node_data(r->g, r->node)->count; i++) {
    Dims part = *in_dims(r, i);
    NEED(in_type(r, i) == r->type && part.rank == r->out->rank, "parts must be of the result's type and rank");
    NEED(!dim_is_batch(part.dims[axis]), "a batch axis is not joined");
    NEED(mem_add(total, part.dims[axis], &total), "too large");
    part.dims[axis] = r->out->dims[axis];
    NEED(dims_equal(&part, r->out), "parts differ on another axis");
  }
  NEED(total == r->out->dims[axis], "the extent is not the sum of the parts'");
  return NULL;
}

/* Do `count` windows of `taps` lie within the extent, stride and dilation apart? */
static const char *need_windows(int64_t count, int64_t taps, int64_t stride, int64_t dilation, int64_t extent) {
  NEED(count >= 1 && taps >= 1 && stride >= 1 && dilation >= 1, "counts, stride and dilation must be >= 1");
  NEED((count > 1 || stride == 1) && (taps > 1 || dilation == 1), "a stride or dilation without meaning");
  int64_t reach, last;
  NEED(mem_mul(taps - 1, dilation, &reach) && mem_mul(count - 1, stride, &last) && mem_add(last, reach, &last),
       "too large");
  NEED(last < extent, "reaches past the end");
  return NULL;
}

static const char *rule_window(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  TRY(need_attrs(r, 5));
  TRY(need_axes(r->attr, 1, in->rank));
  NEED(in_type(r, 0) == r->type && r->out->rank == in->rank + 1, "must be of its input's type and have an axis more");
  const int64_t axis = r->attr[0];
  TRY(need_windows(r->attr[1], r->attr[2], r->attr[3], r->attr[4], in->dims[axis]));
  for (uint32_t i = 0; i < r->out->rank; i++) {
    const int64_t extent = i == axis ? r->attr[1] : i == axis + 1 ? r->attr[2] : in->dims[i < axis ? i : i - 1];
    NEED(r->out->dims[i] == extent, "the shape is not that of the windows");
  }
  return NULL;
}

static const char *rule_unwindow(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  TRY(need_attrs(r, 4));
  NEED(is_number(r->type), "takes numbers");
  NEED(in_type(r, 0) == r->type && in->rank == r->out->rank + 1, "must be of its input's type and have an axis less");
  TRY(need_axes(r->attr, 1, r->out->rank));
  const int64_t axis = r->attr[0];
  TRY(need_windows(in->dims[axis], in->dims[axis + 1], r->attr[2], r->attr[3], r->attr[1]));
  for (uint32_t i = 0; i < r->out->rank; i++) {
    const int64_t extent = i == axis ? r->attr[1] : in->dims[i < axis ? i : i + 1];
    NEED(r->out->dims[i] == extent, "the shape is not that of the windows' sum");
  }
  return NULL;
}

/* ---- reductions and contractions ---- */

static const char *need_reduced(const Rule *r) {
  const Dims *in = in_dims(r, 0);
  NEED(is_number(in_type(r, 0)), "takes numbers");
  NEED(r->attr_count > 0, "no axes");
  TRY(need_axes(r->attr, r->attr_count, in->rank));
  Dims rest = {0};
  for (uint32_t i = 0, k = 0; i < in->rank; i++) {
    if (k < r->attr_count && r->attr[k] == i)
      k++;
    else
      rest.dims[rest.rank++] = in->dims[i];
  }
  NEED(dims_equal(&rest, r->out), "the shape is not that of the other axes");
  return NULL;
}

static const char *rule_sum(const Rule *r) {
  NEED(in_type(r, 0) == r->type, "must be of its input's type");
  return need_reduced(r);
}
static const char *rule_prod(const Rule *r) { return rule_sum(r); }
static const char *rule_reduce_max(const Rule *r) { return rule_sum(r); }
static const char *rule_reduce_min(const Rule *r) { return rule_sum(r); }

static const char *rule_argmax(const Rule *r) {
  NEED(r->type == TYPE_I32, "must be an i32");
  return need_reduced(r);
}

static const char *rule_contract(const Rule *r) {
  const Dims *a = in_dims(r, 0), *b = in_dims(r, 1);
  NEED(in_type(r, 0) == in_type(r, 1), "the operands must be of one type");
  NEED(r->type == contraction_type(in_type(r, 0)), "the result must be of the operands' type, or f32 where that is bf16");
  NEED(is_number(r->type), "takes numbers");
  NEED(r->attr_count >= 2, "attributes are missing");
  const int64_t nb = r->attr[0], nk = r->attr[1];
  NEED(nb >= 0 && nk >= 0 && nb <= GRAPH_MAX_RANK && nk <= GRAPH_MAX_RANK, "nb or nk is out of range");
  TRY(need_attrs(r, (uint32_t)(2 + 2 * nb + 2 * nk)));
  const int64_t *at = r->attr + 2, *pairs_b = at + nb, *sums_a = pairs_b + nb, *sums_b = sums_a + nk;
  unsigned seen_a = 0, seen_b = 0;
  Dims out = {0};
  for (int64_t i = 0; i < nb + nk; i++) {
    const int64_t ia = i < nb ? at[i] : sums_a[i - nb], ib = i < nb ? pairs_b[i] : sums_b[i - nb];
    NEED(ia >= 0 && ia < a->rank && ib >= 0 && ib < b->rank, "an axis is out of range");
    NEED(!(seen_a >> ia & 1) && !(seen_b >> ib & 1), "an axis occurs twice");
    NEED(a->dims[ia] == b->dims[ib], "paired axes differ in extent");
    seen_a |= 1u << ia, seen_b |= 1u << ib;
    if (i < nb) out.dims[out.rank++] = a->dims[ia];
  }
  for (int side = 0; side < 2; side++) {
    const Dims *d = side ? b : a;
    for (uint32_t i = 0; i < d->rank; i++) {
      if ((side ? seen_b : seen_a) >> i & 1) continue;
      NEED(out.rank < GRAPH_MAX_RANK, "the result has too many axes");
      out.dims[out.rank++] = d->dims[i];
    }
  }
  NEED(dims_equal(&out, r->out), "the shape is not that of the contraction");
  return NULL;
}

/* ---- loops ---- */

static const char *need_loop(const Rule *r, uint32_t attrs) {
  TRY(need_attrs(r, attrs));
  NEED(r->attr[0] >= 0 && r->attr[0] < r->g->loops, "not one of the graph's loops");
  return NULL;
}

static const char *rule_carry(const Rule *r) {
  TRY(need_loop(r, 2));
  NEED(r->attr[1] >= 0 && r->attr[1] < UINT8_MAX, "no such carry");
  return same(r);
}

/* The shape is that of the other, but for one axis more. */
static const char *need_axis_more(const Dims *more, const Dims *less, int64_t axis, int64_t extent) {
  NEED(axis >= 0 && axis < more->rank && more->rank == less->rank + 1, "an axis is out of range");
  NEED(more->dims[axis] == extent, "the axis is not as long as the loop");
  for (uint32_t i = 0; i < less->rank; i++)
    NEED(more->dims[i < (uint32_t)axis ? i : i + 1] == less->dims[i], "the shape is not that of the other axes");
  return NULL;
}

static const char *rule_item(const Rule *r) {
  TRY(need_loop(r, 3));
  NEED(r->attr[2] == 0 || r->attr[2] == 1, "reversed must be 0 or 1");
  NEED(in_type(r, 0) == r->type, "must be of its input's type");
  NEED(r->attr[1] >= 0 && r->attr[1] < in_dims(r, 0)->rank, "an axis is out of range");
  NEED(in_dims(r, 0)->dims[r->attr[1]] > 0, "the axis must have a known extent");
  return need_axis_more(in_dims(r, 0), r->out, r->attr[1], in_dims(r, 0)->dims[r->attr[1]]);
}

static const char *rule_loop(const Rule *r) {
  TRY(need_loop(r, 2));
  NEED(r->attr[1] > 0 && r->attr[1] <= INT32_MAX, "the length is out of range");
  const uint32_t count = node_data(r->g, r->node)->count / 2;
  NEED(node_data(r->g, r->node)->count == 2 * count, "a carry without a next value");
  for (uint32_t i = 0; i < count; i++) {
    const Node carry = node_in(r->g, r->node, i);
    NEED(node_prim(r->g, carry) == P_CARRY, "the first half of the inputs must be carries");
    NEED(node_attr(r->g, carry)[0] == r->attr[0] && node_attr(r->g, carry)[1] == i, "not this loop's carry");
    NEED(in_type(r, i) == in_type(r, count + i) && dims_equal(in_dims(r, i), in_dims(r, count + i)),
         "a carry keeps its type and shape");
  }
  return need_scalar(r, TYPE_I32);
}

static const char *rule_last(const Rule *r) {
  TRY(need_attrs(r, 1));
  const Node loop = node_in(r->g, r->node, 0);
  NEED(node_prim(r->g, loop) == P_LOOP, "must be of a loop");
  NEED(r->attr[0] >= 0 && r->attr[0] < node_data(r->g, loop)->count / 2, "no such carry");
  const Node carry = node_in(r->g, loop, (uint32_t)r->attr[0]);
  NEED(node_type(r->g, carry) == r->type && dims_equal(node_dims(r->g, carry), r->out),
       "must be of the carry's type and shape");
  return NULL;
}

static const char *rule_stack(const Rule *r) {
  TRY(need_attrs(r, 2));
  NEED(node_prim(r->g, node_in(r->g, r->node, 1)) == P_LOOP, "must be of a loop");
  NEED(r->attr[1] == 0 || r->attr[1] == 1, "reversed must be 0 or 1");
  NEED(in_type(r, 0) == r->type, "must be of its input's type");
  return need_axis_more(r->out, in_dims(r, 0), r->attr[0], node_attr(r->g, node_in(r->g, r->node, 1))[1]);
}

/* ---- by integers ---- */

/* An I32 index whose first `pairs` axes, or all where `whole`, are the other input's too. */
static const char *need_index(const Rule *r, bool whole) {
  const Dims *x = in_dims(r, 0), *index = in_dims(r, 1);
  NEED(in_type(r, 1) == TYPE_I32, "the index must be an i32");
  NEED(in_type(r, 0) == r->type, "must be of its input's type");
  NEED(r->attr[0] >= 0 && r->attr[0] <= index->rank, "pairs is out of range");
  const uint32_t shared = whole ? index->rank : (uint32_t)r->attr[0];
  NEED(x->rank >= shared, "the index has axes that its other input lacks");
  for (uint32_t i = 0; i < shared; i++) NEED(x->dims[i] == index->dims[i], "axes differ from the index's");
  return NULL;
}

static const char *rule_gather(const Rule *r) {
  TRY(need_attrs(r, 1));
  TRY(need_index(r, false));
  const Dims *table = in_dims(r, 0);
  Dims out = *in_dims(r, 1);
  const uint32_t pairs = (uint32_t)r->attr[0];
  NEED(pairs < table->rank && !dim_is_batch(table->dims[pairs]), "no axis of known extent to gather from");
  NEED(out.rank + table->rank - pairs - 1 <= GRAPH_MAX_RANK, "the result has too many axes");
  for (uint32_t i = pairs + 1; i < table->rank; i++) out.dims[out.rank++] = table->dims[i];
  NEED(dims_equal(&out, r->out), "the shape is not the index's and the rest of the table's");
  return NULL;
}

static const char *rule_scatter_add(const Rule *r) {
  TRY(need_attrs(r, 2));
  TRY(need_index(r, true));
  NEED(is_number(r->type), "takes numbers");
  NEED(r->attr[1] >= 0, "n must be >= 0");
  const Dims *values = in_dims(r, 0);
  const uint32_t pairs = (uint32_t)r->attr[0], index_rank = in_dims(r, 1)->rank;
  NEED(pairs + 1 + values->rank - index_rank <= GRAPH_MAX_RANK, "the result has too many axes");
  Dims out = {.rank = pairs};
  for (uint32_t i = 0; i < pairs; i++) out.dims[i] = values->dims[i];
  out.dims[out.rank++] = r->attr[1];
  for (uint32_t i = index_rank; i < values->rank; i++) out.dims[out.rank++] = values->dims[i];
  NEED(dims_equal(&out, r->out), "the shape is not n and the rest of the values'");
  return NULL;
}

/* ---- the graph ---- */

static const char *(*const rules[P_COUNT])(const Rule *) = {
#define PRIM(NAME, word, ...) [P_##NAME] = rule_##word,
#define E1(NAME, ...) [P_##NAME] = rule_elementwise,
#define E2 E1
#define C1 E1
#define C2 E1
#include "prims.def"
#undef PRIM
#undef E1
#undef E2
#undef C1
#undef C2
};

static const char *check_shape(const Graph *g, Shape shape) {
  NEED(shape.id < g->shapes.count, "no such shape");
  const Dims *d = shape_dims(g, shape);
  NEED(d->rank <= GRAPH_MAX_RANK, "too many axes");
  int64_t size = 1;
  for (uint32_t i = 0; i < d->rank; i++) {
    NEED(d->dims[i] >= DIM_BATCH - (MAX_SYMBOLS - 1), "no such batch extent");
    if (d->dims[i] > 0) NEED(mem_mul(size, d->dims[i], &size), "too large");
  }
  return NULL;
}

static const char *check_node(const Graph *g, Node node) {
  const NodeData *d = node_data(g, node);
  NEED(d->prim < P_COUNT, "no such primitive");
  NEED(d->type < TYPE_COUNT, "no such type");
  TRY(check_shape(g, d->shape));
  const int arity = prim_info(d->prim)->arity;
  NEED(arity < 0 ? d->count > 0 || d->prim == P_LOOP : d->count == arity, "the wrong number of inputs");
  if (d->count > 3) NEED((uint64_t)d->in[0] + d->count <= g->lists.count, "the list of inputs is out of range");
  for (uint32_t i = 0; i < d->count; i++) {
    const Node in = node_in(g, node, i);
    NEED(in.id > 0 && in.id < node.id, "an input does not come before it");
  }
  if (d->attr)
    NEED(d->attr < g->attrs.count && (uint64_t)g->attrs.data[d->attr] < g->attrs.count - d->attr,
         "attributes are out of range");
  const Rule rule = {
      g, node, d->type, node_dims(g, node), d->attr ? node_attr(g, node) : NULL, node_attr_count(g, node)};
  return rules[d->prim](&rule);
}

const char *graph_verify_node(const Graph *g, Node node) {
  const char *why = check_node(g, node);
  if (!why) return NULL;
  const uint16_t prim = node_data(g, node)->prim;
  const Place place = source_place(&g->session->sources, node_data(g, node)->span.begin);
  Text text = {0};
  text_printf(&text, "%%%u", node.id);
  if (prim < P_COUNT) text_printf(&text, " (%s)", prim_info(prim)->word);
  if (place.source) text_printf(&text, " of %s:%u:%u", place.source->path, place.line, place.column);
  text_printf(&text, ": %s", why);
  why = arena_text(&g->session->arena, text_get(&text), text.length);
  text_free(&text);
  return why;
}

static const char *check_slot(const Graph *g, const Slot *slot) {
  NEED((unsigned)slot->kind <= SLOT_METRIC, "no such kind of slot");
  NEED((unsigned)slot->type < TYPE_COUNT && slot->type != TYPE_BF16, "no such type");
  TRY(check_shape(g, slot->shape));
  NEED(slot->classes >= 0, "classes must be >= 0");
  if (slot->classes) NEED(slot->type == TYPE_I32, "classes belong to an i32");
  if (slot->kind == SLOT_OPTIMIZER) NEED(slot->of < g->slots.count, "no such parameter");
  return NULL;
}

static const char *check_output(const Graph *g, const Output *out) {
  NEED((unsigned)out->kind <= OUT_SLOT, "no such kind of output");
  NEED(out->node.id > 0 && out->node.id < g->nodes.count, "no such node");
  const bool sum = out->kind == OUT_LOSS || out->kind == OUT_METRIC;
  if (!sum) NEED(out->weight.id == 0, "has a weight");
  const bool whole = out->kind == OUT_METRIC && !out->weight.id; /* an array that has added up by itself */
  if (sum) NEED(node_type(g, out->node) == TYPE_F64, "the sum must be f64");
  if (sum && !whole) NEED(!node_rank(g, out->node), "the sum must be an f64 scalar");
  for (uint32_t i = 0; whole && i < node_rank(g, out->node); i++)
    NEED(!dim_is_batch(node_dims(g, out->node)->dims[i]), "a metric has no batch axis");
  if (sum && (out->kind == OUT_LOSS || out->weight.id)) {
    NEED(out->weight.id > 0 && out->weight.id < g->nodes.count, "has no weight");
    NEED(node_type(g, out->weight) == TYPE_F64 && !node_rank(g, out->weight), "the weight must be an f64 scalar");
  }
  if (out->kind != OUT_SLOT) return NULL;
  NEED(out->slot < g->slots.count, "no such slot");
  const Slot *slot = &g->slots.data[out->slot];
  NEED(node_type(g, out->node) == slot->type, "not the slot's type");
  NEED(dims_equal(node_dims(g, out->node), shape_dims(g, slot->shape)), "not the slot's shape");
  return NULL;
}

const char *graph_verify(const Graph *g) {
  for (uint32_t i = 0; i < g->slots.count; i++) {
    const char *why = check_slot(g, &g->slots.data[i]), *name = g->slots.data[i].name;
    if (why) return arena_printf(&g->session->arena, "slot %u (%s): %s", i, name ? name : "", why);
  }
  for (uint32_t i = 1; i < g->nodes.count; i++) {
    const char *why = graph_verify_node(g, (Node){i});
    if (why) return why;
  }
  const char *unclosed = loops_check(g);
  if (unclosed) return unclosed;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const char *why = check_output(g, &g->outputs.data[i]), *name = g->outputs.data[i].name;
    if (why) return arena_printf(&g->session->arena, "output %u (%s): %s", i, name ? name : "", why);
  }
  return NULL;
}
