/* fuse.h: what the parts of the scheduler share. The order: decide what is kept in memory (keep.c) and how it lies there
 * (layout.c), form stages (form.c), write out their expressions and loads (nest.c), put stages into kernels (group.c), order kernels into
 * phases (phase.c), plan memory (plan.c), choose strategies (strategy.c). A later step never undoes an earlier one. */
#ifndef GRADC_FUSE_H
#define GRADC_FUSE_H
#include "build.h"
#include "loops.h"
#include "schedule.h"

/* Where each axis of a node is read, in terms of a stage's axes. */
typedef struct {
  uint8_t rank;
  Affine index[GRAPH_MAX_RANK];
  int32_t gather;   /* 1 + an expression of the stage, which is added to index[gathered]; 0: none */
  uint8_t gathered;
} IndexMap;

typedef struct {
  uint32_t buffer;
  Node node;    /* whose value is read */
  IndexMap map; /* of the node's axes */
} Access;       /* one a load of the stage, same numbering */

/* What a stage is made for. */
typedef enum {
  FORM_NODES,  /* the anchor (a reduction or contraction) if any, and elementwise nodes of its shape */
  FORM_CHUNKS, /* of a contraction that sums the batch: the sums of each of BATCH_CHUNKS parts of it, stored beside each other */
  FORM_BORDER, /* zeros at one side of a PAD whose input lies inside of it: axis part / 2, behind it where part is odd */
  FORM_PART,   /* part `part` of a CONCAT, stored into its buffer */
  FORM_FILL,   /* zeros for a PAD with gaps, for a SCATTER_ADD */
  FORM_PUT,    /* the input of that PAD, stored into its places */
  FORM_SCATTER, /* the values of a SCATTER_ADD, added to its buffer behind a FORM_FILL */
  FORM_START,  /* what a CARRY starts from, stored into its first place */
  FORM_NEXT,   /* what a CARRY is next, stored into the other place, where no stage of the round makes it */
  FORM_STACK,  /* the value of a STACK, stored into its part, likewise */
  FORM_BEGIN,  /* of a loop: behind all that its rounds read. No stage; nor has */
  FORM_END,    /* … what stands before all that reads its results */
  FORM_COPY    /* `copied` (a view, a leaf, a kept node) stored to a slot or to a buffer of its own */
} FormKind;

typedef struct {
  FormKind kind;
  Node anchor;          /* FORM_NODES: none for a map; FORM_PART, _FILL, _PUT, _SCATTER: the node; FORM_COPY: what is copied */
  uint32_t part;
  int32_t loop;         /* in whose rounds it is computed, or -1 */
  int32_t to_slot;      /* FORM_COPY: the slot, or -1: the node's buffer */
  Shape shape;          /* of the par axes */
  Vec(Node) nodes;      /* computed at the par axes, in order (without the anchor) */
  uint32_t operands;    /* at most as many buffers as this are read and written */
  Vec(uint32_t) deps;   /* stages that it reads from, or must follow */
  Vec(uint32_t) users;  /* stages that have it among their deps */
  uint32_t order;       /* above that of all deps, whatever has been added (order.c) */
  uint32_t kernel;      /* group */
  Stage stage;
  Vec(Access) accesses; /* of stage.loads */
  Vec(uint32_t) store_buffers; /* of stage.stores */
  Vec(int32_t) node_exprs;     /* expression of each of `nodes` */
  Node second;          /* FORM_NODES of a sum: another one over the same axes, taken together with it; or none */
  int32_t anchor_expr, second_expr;
} Form;

typedef struct {
  Vec(uint32_t) forms; /* in order */
  Shape rows;          /* the leading axes that all stages share */
  uint32_t row_rank;
  uint32_t operands;   /* at most as many buffers as this */
  int32_t loop;
  bool open;           /* may take further stages */
  bool mark;           /* a FORM_BEGIN or FORM_END: an order, no kernel */
  Vec(uint32_t) deps;  /* groups, with duplicates */
  uint32_t phase, place;
  uint32_t seen;       /* by the search of this number */
} Group;

/* A value, or a part of one, that the stage of its source stores: the source's index lies at `map` in it. */
typedef struct {
  Node target, source;
  IndexMap map;
} Placed;

typedef struct {
  Schedule *s;
  const Graph *g;
  const Machine *machine;
  uint32_t *uses;       /* live users of each node */
  bool *grouped;        /* … with 16 examples side by side (layout.c) */
  Node *pad_of;         /* the PAD in whose array the node's value lies, zeros around it; or none */
  Node *inside;         /* of a PAD: the node that lies in its array; or none */
  bool *kept;           /* the node's value goes to memory (or may: if no other stage reads it, it does not) */
  uint32_t *inline_size; /* operations that computing the node where it is read costs */
  uint32_t *inline_leaves; /* … and the values in memory that it reads, with repetitions */
  bool *costly;         /* … with a transcendental among them */
  Node *largest_of;     /* of a sum that picks what an ARGMAX found: the ARGMAX, whose stage has it; else none */
  int32_t *form_of;     /* the first stage that makes the node, -1 */
  uint32_t *form_count; /* how many stages in a row make it */
  int32_t *buffer_of;   /* arena buffer of a node, -1 */
  int32_t *slot_buffer; /* by slot, -1 */
  int32_t *chunk_buffer; /* … of its chunks' sums, -1: it is summed as a whole */
  bool *read_elsewhere; /* some stage other than the node's own reads it, or an output names it */
  Vec(Placed) placed;   /* parts of a target adjoin */
  bool *in_places;      /* the node is a target: no stage of its own makes it */
  Loops loops;
  int32_t *loop_begin, *loop_end; /* forms, by loop; -1 */
  Vec(Form) forms;
  Vec(Group) groups;
  uint32_t *mark;       /* of searches over stages */
  uint32_t mark_count;
} Fuse;

#define BATCH_CHUNKS 4
#define CUT_FEW 16 /* an outer axis so short is no good to cut a contraction by (strategy.c) */
#define FORM_MOST_OPERANDS 40 /* of a stage; a kernel takes KERNEL_MAX_OPERANDS */

/* keep.c */
void keep_decide(Fuse *f);
/* The node below a chain of views that a load can follow: kept, a slot, or what the views stand on. */
bool view_is_affine(const Fuse *f, Node n);

/* exchange.c: after what is kept is known */
void keep_exchange(Fuse *f);

/* layout.c: after keep_decide. */
void layout_choose(Fuse *f);

/* form.c */
void form_stages(Fuse *f);
/* Stage `form` comes behind stage `dep`: where loops lie between them, the loops do. */
void form_follow(Fuse *f, uint32_t form, uint32_t dep);

/* The stage that makes n's value in the rounds of the loop, or -1. */
int32_t form_making(const Fuse *f, Node n, int32_t loop);

/* place.c: may the stages below n, or below its parts, store it in its place? Then they will. */
bool place_results(Fuse *f, Node n);

/* order.c */
void form_enter(Fuse *f, uint32_t form); /* a stage that was just added, with nothing before it */
void form_add_dep(Fuse *f, uint32_t form, uint32_t dep);
/* Does stage a depend on stage b (or is it b)? */
bool form_depends(Fuse *f, uint32_t a, uint32_t b);

/* nest.c */
void nest_build(Fuse *f, Form *form);
Affine affine_memory(const Fuse *f, const Dims *dims, const IndexMap *map, bool slot);
/* … and the same in n's buffer, whose examples may lie in groups. `dims`: n's, or of what it is read as. */
Affine affine_of_node(const Fuse *f, Node n, const Dims *dims, const IndexMap *map);
/* The place in memory of a carry's element: `slot` 0, 1, or -1: the one that this round reads, -2: that it writes. */
Affine affine_carry(const Fuse *f, Node carry, const Dims *dims, const IndexMap *map, int slot);
/* … and of a stack's element in this round; `map`: of the stacked value. */
Affine affine_stack(const Fuse *f, Node stack, const IndexMap *map);
Affine affine_zero(void);
Affine affine_axis(uint32_t axis);
bool affine_equal(const Affine *a, const Affine *b);

/* settle.c: after the launches are made. */
void loops_settle(Fuse *f);

/* group.c, phase.c, plan.c, strategy.c */
void group_forms(Fuse *f);
void phase_order(Fuse *f);
void plan_memory(Schedule *s);

/* in_place.c */
/* Does a kernel cut by examples read and write of this operand, whose examples are `row` elements each, those of its own alone? */
bool touches_own_row(const Kernel *k, uint16_t operand, int64_t row);
/* May buffer y, which the launch makes, lie on x, which it is the last to read? */
bool in_place(const Schedule *s, uint32_t launch, uint32_t x, uint32_t y);
void axes_simplify(Kernel *k);
void strategy_choose(Kernel *k);
uint64_t kernel_hash(const Kernel *k);
bool kernel_equal(const Kernel *a, const Kernel *b);

uint32_t schedule_buffer(Fuse *f, Node n);       /* the arena buffer of a node, made on demand */
uint32_t schedule_chunk_buffer(Fuse *f, Node n); /* a new one */
uint32_t schedule_slot_buffer(Fuse *f, uint32_t slot);
Extent extent_of(int64_t dim);

/* Are there zeros between the elements of a PAD, and not around them alone? */
static inline bool pad_has_gaps(const Graph *g, Node pad) {
  for (uint32_t i = 0; i < node_rank(g, pad); i++)
    if (node_attr(g, pad)[3 * i + 2]) return true;
  return false;
}

#endif
