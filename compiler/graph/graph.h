/* graph.h: the tensor graph: pure nodes in static single assignment over a closed set of primitives (prims.def).
 * Effects are outputs: a training step is one graph whose outputs are losses, metrics, new parameters and states.
 *
 * A node is made by the builder alone (build.h), which infers its shape, folds, simplifies and shares. Nodes are kept
 * in the order of their making, which is a topological order: inputs come before their users. */
#ifndef GRADC_GRAPH_H
#define GRADC_GRAPH_H
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "diag.h"
#include "map.h"
#include "text.h"
#include "vec.h"

#define GRAPH_MAX_RANK 8

typedef struct {
  uint32_t id; /* 0: none */
} Node;
typedef struct {
  uint32_t id; /* 0: the scalar shape [] */
} Shape;

/* Element types; the numbers are those of GradcType (runtime/abi.h). F64 scalars also stand for numbers of the step. BF16, the
 * upper half of an F32, is what contractions are given under `--dtype bf16` (passes/bf16.c): no slot or result has it. */
typedef enum { TYPE_F32, TYPE_F64, TYPE_I32, TYPE_BOOL, TYPE_BF16, TYPE_COUNT } Type;

/* An extent is a number >= 0, or the batch extent of data block i, known when the code runs: DIM_BATCH - i. */
#define DIM_BATCH (-1)
static inline bool dim_is_batch(int64_t dim) { return dim < 0; }

typedef struct {
  uint32_t rank;
  int64_t dims[GRAPH_MAX_RANK];
} Dims;

typedef enum {
#define PRIM(NAME, word, ...) P_##NAME,
#define E1(NAME, word, ...) P_##NAME,
#define E2(NAME, word, ...) P_##NAME,
#define C1(NAME, word, ...) P_##NAME,
#define C2(NAME, word, ...) P_##NAME,
#include "prims.def"
#undef PRIM
#undef E1
#undef E2
#undef C1
#undef C2
  P_COUNT
} Prim;

/* What a primitive is; passes test these, never a list of names. */
enum {
  K_LEAF = 1 << 0,        /* no inputs */
  K_ELEMENTWISE = 1 << 1, /* inputs of one shape, output of that shape */
  K_MOVEMENT = 1 << 2,    /* an index map: broadcast reshape transpose slice pad reverse concat window */
  K_REDUCTION = 1 << 3,   /* removes axes */
  K_CONTRACTION = 1 << 4, /* sum of products */
  K_COMMUTATIVE = 1 << 5,
  K_IDENTITY = 1 << 6,    /* gives its first input: mark, stop, own */
  K_PREDICATE = 1 << 7,   /* gives TYPE_BOOL */
  K_UNSHARED = 1 << 8,    /* equal nodes stay apart */
  K_COSTLY = 1 << 9,      /* a transcendental: dearer to compute twice than to keep */
  K_OVERLAP = 1 << 10     /* a sum of what an index map lays over each other: unwindow */
};

typedef struct {
  uint16_t prim;
  uint8_t type;    /* Type */
  uint8_t count;   /* inputs; over 3: in[0] is the place of the list in Graph.lists */
  Shape shape;
  uint32_t in[3];
  uint32_t attr;   /* place of the attributes in Graph.attrs: a count, then the numbers; 0: none */
  Span span;
} NodeData;
_Static_assert(sizeof(NodeData) <= 36, "graph nodes are hot: keep them small");

/* A tensor that lives outside the step. The numbers are those of GradcSlotKind. */
typedef enum { SLOT_INPUT, SLOT_TARGET, SLOT_PARAM, SLOT_STATE, SLOT_OPTIMIZER, SLOT_METRIC } SlotKind;
typedef struct {
  SlotKind kind;
  const char *name; /* dotted */
  Type type;
  Shape shape;
  int32_t classes;  /* label[k]: k; else 0 */
  Span span;
  uint32_t of;      /* SLOT_OPTIMIZER: the parameter's slot */
} Slot;

typedef enum { OUT_VALUE, OUT_LOSS, OUT_METRIC, OUT_SLOT } OutKind;
typedef struct {
  OutKind kind;
  const char *name; /* of a value, loss or metric */
  Node node;        /* OUT_LOSS, OUT_METRIC: the weighted sum, an F64 scalar (a metric without weight: any shape) */
  Node weight;      /* OUT_LOSS, OUT_METRIC: the sum of the weights, an F64 scalar; else none. A metric without: its
                     * value stands for all batches so far */
  uint32_t slot;    /* OUT_SLOT: the slot whose new value `node` is */
  Span span;
} Output;

#define RULE_WORDS 3 /* of 64 bits: one for each rule of the builder, and one more */

typedef struct Graph {
  Session *session;
  Vec(NodeData) nodes;   /* [0] is no node */
  Vec(Dims) shapes;      /* [0] is [] */
  Vec(int64_t) attrs;    /* [0] is unused */
  Vec(uint32_t) lists;   /* inputs of nodes with more than three */
  Vec(Slot) slots;       /* the program's: all graphs of a program have equal slots, with equal numbers */
  Vec(Output) outputs;
  Map shared;            /* hash of a node -> node */
  Map shape_ids;
  Arena arena;           /* names */
  Type float_type;       /* what `float` is: TYPE_F32 or TYPE_F64 */
  uint32_t marks;        /* how many MARK nodes were made */
  uint32_t loops;        /* numbers of loops are below this */
  Span span;             /* given to nodes that are made next */
  uint64_t rules[P_COUNT][RULE_WORDS]; /* rules.c: those that are for a primitive */
  uint32_t *fired;       /* the caller's, for tests: counts how often each rule of the builder was used; or NULL */
} Graph;

Graph *graph_new(Session *session, Type float_type);
/* A new graph with the same slots and no nodes. */
Graph *graph_like(const Graph *graph);
void graph_free(Graph *graph);
uint32_t graph_add_slot(Graph *graph, Slot slot); /* copies the name; the number of the slot */
void graph_add_output(Graph *graph, Output output);

static inline const NodeData *node_data(const Graph *g, Node n) { return &g->nodes.data[n.id]; }
static inline Prim node_prim(const Graph *g, Node n) { return (Prim)g->nodes.data[n.id].prim; }
static inline Type node_type(const Graph *g, Node n) { return (Type)g->nodes.data[n.id].type; }
static inline Shape node_shape(const Graph *g, Node n) { return g->nodes.data[n.id].shape; }
static inline const Dims *node_dims(const Graph *g, Node n) { return &g->shapes.data[g->nodes.data[n.id].shape.id]; }
static inline uint32_t node_rank(const Graph *g, Node n) { return node_dims(g, n)->rank; }
static inline Node node_in(const Graph *g, Node n, uint32_t i) {
  const NodeData *d = &g->nodes.data[n.id];
  return (Node){d->count > 3 ? g->lists.data[d->in[0] + i] : d->in[i]};
}
/* Attributes: integers whose meaning prims.def gives. */
static inline const int64_t *node_attr(const Graph *g, Node n) { return &g->attrs.data[g->nodes.data[n.id].attr + 1]; }
static inline uint32_t node_attr_count(const Graph *g, Node n) {
  const uint32_t a = g->nodes.data[n.id].attr;
  return a ? (uint32_t)g->attrs.data[a] : 0;
}
static inline bool node_is(Node a, Node b) { return a.id == b.id; }
#define NODE_NONE ((Node){0})

Shape shape_of(Graph *g, const Dims *dims);               /* interned: equal shapes have equal handles */
static inline const Dims *shape_dims(const Graph *g, Shape s) { return &g->shapes.data[s.id]; }
void shape_print(const Dims *dims, Text *out);            /* [batch, 28, 28] */
/* The same extents but for ones? */
bool dims_equal_but_ones(const Dims *a, const Dims *b);
/* The product of the known extents (batch counted as `batch`); false where it leaves int64_t. */
bool dims_size(const Dims *dims, int64_t batch, int64_t *size);

static inline int64_t type_bytes(Type type) { return type == TYPE_F64 ? 8 : type == TYPE_BOOL ? 1 : type == TYPE_BF16 ? 2 : 4; }
const char *type_word(Type type);                         /* f32 f64 i32 bool bf16 */
/* A value as the type holds it: rounded to float, to the 8 bits of a BF16 (a denormal counts as 0), cut to an integer (saturating,
 * NaN 0), or 0 and 1. */
double type_round(Type type, double value);
/* What a contraction of such operands is summed in, and gives. */
static inline Type contraction_type(Type operands) { return operands == TYPE_BF16 ? TYPE_F32 : operands; }

/* prims.c: the table. */
struct Draft;
typedef struct {
  const char *word;
  int arity;       /* -1: any number of inputs */
  unsigned kind;   /* K_ flags */
  double low, high; /* elementwise: the range on which tests sample the inputs */
  /* The gradient by input i, given the node, its gradient `g` (of its shape and type): an expression of the graph, or
   * NODE_NONE where there is none. */
  Node (*derive)(Graph *graph, Node node, Node g, uint32_t i);
  /* Elementwise: the value in double (booleans 0 or 1, integers whole). The third argument serves select alone. */
  double (*value)(double a, double b, double c);
  /* Infers what follows from inputs and attributes, checks the rest, and makes the node; build_any calls it. */
  Node (*make)(Graph *graph, const struct Draft *draft);
} PrimInfo;
const PrimInfo *prim_info(Prim prim);
static inline bool prim_is(Prim prim, unsigned flags) { return (prim_info(prim)->kind & flags) != 0; }
static inline bool node_has(const Graph *g, Node n, unsigned flags) { return prim_is(node_prim(g, n), flags); }
Prim prim_find(const char *word); /* P_COUNT where there is none */

/* rules.c: the name of rule i of the builder, in the order of rules.def; NULL behind the last. */
const char *rules_name(uint32_t i);

/* print.c, parse.c: the graph as text, which parses back to an equal graph but for spans. `#` begins a comment.
 *   graph f32 marks 0              (behind it ` loops 2` where there are loops)
 *   slot 0 input "pixels" f32 [batch, 64]
 *   slot 1 target "digit" i32 [batch] classes 10
 *   slot 2 param "w" f32 [64, 10]
 *   slot 3 optimizer "w/m" f32 [64, 10] of 2
 *   %1 = slot 0                       : f32 [batch, 64]
 *   %2 = slot 2                       : f32 [64, 10]
 *   %3 = const 0.5                    : f32 []
 *   %4 = contract %1 %2 {0, 1, 1, 0}  : f32 [batch, 10]
 *   out value "scores" %4
 *   out loss "loss" %9 / %8
 *   out slot 3 %12
 * A constant has the fewest digits that read back, or is `nan`, or 0x and its bits (another NaN). */
void graph_print(const Graph *graph, Text *out);
/* The graph of a text, or NULL with *error filled (line and reason; from the session's arena). */
Graph *graph_parse(Session *session, const char *text, const char **error);

/* flops.c: twice the multiply-adds of the contractions that outputs need, in all rounds of loops: fixed + each * batch. */
typedef struct {
  double fixed, each;
} Flops;
Flops graph_flops(const Graph *graph);

/* verify.c: every rule of the graph; NULL, or what is wrong and at which node (from the session's arena). */
const char *graph_verify(const Graph *graph);
/* The same for one node; its inputs are taken to be right. */
const char *graph_verify_node(const Graph *graph, Node node);

#endif
