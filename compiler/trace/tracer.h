/* tracer.h: what the files of this folder share: values, environments, instances, the walk's state.
 *
 * The walk evaluates every expression to a Value. A tensor value is written for one example: `batched` says that axis 0
 * of its node is the batch; axis numbers and shapes that the user sees count the other axes alone. */
#ifndef GRADC_TRACER_H
#define GRADC_TRACER_H
#include "build.h"
#include "builtins.h"
#include "check.h"
#include "grad.h"
#include "trace.h"

typedef enum {
  V_POISON, /* after an error: whatever touches it is silent */
  V_ABSENT, /* an argument that was not given */
  V_NONE,   /* `none` */
  V_NUMBER, /* known while compiling; `exact`: an integer */
  V_BOOL,
  V_STRING,
  V_RANGE, /* a .. b: items[0], items[1] are not kept; number = a, count = b - a */
  V_TUPLE,
  V_ARRAY, /* [a, b] whose parts are not stacked yet */
  V_TENSOR,
  V_FUNCTION, /* a definition, a lambda, a primitive, or a partial application of one */
  V_INSTANCE, /* a layer with its parameters */
  V_BUNDLE,   /* an instance's parameters with other values */
  V_DISTRIBUTION,
  V_AXES,  /* axes bound by `..`: number = the first, count of them */
  V_BATCH, /* `batch`: an axis and an extent */
  V_SPACE  /* import "f.nn" as name */
} ValueKind;

typedef struct Value Value;
typedef struct Binding Binding;
typedef struct Closure Closure;
typedef struct Instance Instance;
typedef struct Frame Frame;
typedef struct Tracer Tracer;
typedef struct Bundle Bundle;

typedef enum {
  D_CONSTANT,
  D_NORMAL,
  D_TRUNCATED,
  D_UNIFORM,
  D_BERNOULLI,
  D_CATEGORICAL,
  D_IDENTITY,
  D_ORTHOGONAL
} DistKind;

struct Value {
  uint8_t kind;
  bool exact;      /* number: an integer; tensor: what softmax or sigmoid gave, unchanged */
  bool batched;    /* tensor */
  uint8_t graph;   /* tensor: index of its graph */
  int16_t axis;    /* number bound by a shape: its axis from the front + 1, or from the back, negative; 0: none */
  uint16_t dist;   /* DistKind */
  int32_t classes; /* tensor of labels: how many; else 0 */
  uint32_t count;
  Span span; /* the expression that made it */
  union {
    double number;
    bool truth;
    Node node;
    const char *text;
    Value *items; /* tuple, array, the arguments of a distribution */
    Closure *closure;
    Bundle *bundle;
    Name space;
  };
};

/* A parameter or a state of an instance, an optimiser or a metric. */
typedef struct Owned {
  Name name;
  Instance *home; /* NULL: an optimiser's, a copy's */
  SlotKind kind;
  uint32_t slot;
  Dims dims;
  Span span;
  Vec(Node) written;  /* of this pass: what its uses would write */
  Node current;       /* of the training graph: what an earlier turn of the batch made of it */
  uint32_t average;   /* a parameter's running mean: its slot + 1; 0: none */
  const char *states; /* a parameter's: what the states of the optimiser whose turn it is are called by, as "NAME/m" */
  uint32_t pass, run; /* when it was written last */
  struct Owned *next;
} Owned;

struct Binding {
  Name name;
  Value value;
  Owned *owned;  /* a parameter or a state */
  Span span;     /* where the name stands */
  Binding *next; /* older ones */
};
typedef struct {
  Binding *head;
} Env;

typedef enum { C_DEFINITION, C_LAMBDA, C_BUILTIN } ClosureKind;
struct Closure {
  ClosureKind kind;
  Ast ast; /* definition or lambda */
  const Builtin *builtin;
  Binding *env;       /* a lambda's */
  Value *bound;       /* a partial application's arguments, one a parameter; NULL: none */
  bool called;        /* made by a call that left something out */
  Instance *instance; /* V_INSTANCE: whose parameters its uses share */
  Span span;
};

struct Instance {
  const char *path; /* dotted, without the model's name; "" for the model itself */
  Owned *owned, *last_owned;
  uint32_t draws, pass; /* sites of this pass */
  uint32_t runs;
  Span span;
  Instance *parent;
};

/* One use of an instance: names of its children are counted anew, so that a second use finds the first's. */
typedef struct {
  const char *name;
  uint32_t count;
} NameCount;
struct Frame {
  Frame *outer;
  Instance *instance;
  Ast definition;
  Vec(NameCount) counts;
  bool owns;        /* param and state may stand here */
  SlotKind kind;    /* what a state is: a layer's, an optimiser's, a metric's */
  uint32_t of;      /* an optimiser's: the parameter's slot */
  const Dims *like; /* an optimiser's: the shape of a state without a type */
  bool final;       /* of a metric: states have their new values, nothing is written */
  uint32_t run;
};

struct Bundle {
  Instance *instance;
  Closure *closure;
  uint32_t count; /* parameters */
  Owned **owned;
  Value *values;
  Owned **copies;       /* of a state that is a copy: where each value lives; else NULL */
  uint32_t state_count; /* and the copies of the layers' states: from, to */
  Owned **states, **state_copies;
  bool lazy; /* its parameters are noted as they are used: of an instance that has none yet */
};

/* A bundle whose instance is run now. */
typedef struct Applied {
  Bundle *bundle;
  const struct Applied *outer;
} Applied;

typedef struct {
  Name name; /* none: by position */
  Value value;
  Span span;
} Arg;

/* A loop whose body is walked: what is drawn there is drawn for all rounds at once, outside. */
typedef struct LoopFrame {
  uint32_t number;
  int64_t length;
  const Graph *graph;
  const struct LoopFrame *outer;
} LoopFrame;

enum { GRAPH_INIT, GRAPH_TRAIN, GRAPH_EVAL, GRAPH_GRADIENT, GRAPH_DATA, GRAPH_KINDS };

typedef struct {
  const char *name;
  Node sum, weight;
  Span span;
  bool is_metric, weighted;
} Term; /* a loss or a metric */

typedef struct {
  Span span; /* of the call */
  const char *name;
  Ast definition;
} CallSite;

typedef struct {
  const char *name;
  Node given, derived;
  Span span;
} Rule; /* a gradient that a function gives, and the one of its value */

/* Nodes of the training graph from `first` on were made in this call of the user's. */
typedef struct {
  uint32_t first;
  bool inside;   /* by code of the library that it led to */
  CallSite site; /* no name: in none */
} Origin;

/* Nodes first .. last - 1. */
typedef struct {
  uint32_t first, last;
} Made;

struct Tracer {
  Session *s;
  Tree *tree;
  const Scope *scope;
  Program *program;
  TraceOptions *options;
  Arena *arena;
  Graph *graph; /* where nodes are made now */
  uint8_t graph_index;
  Graph *graphs[GRAPH_KINDS];
  uint32_t pass; /* one for each walk of the model */
  uint32_t runs;
  bool training;
  bool in_model;     /* draws are made for each example */
  bool in_data;      /* a distribution alone draws a number for each row */
  bool metric_final; /* the metric at hand has states: its value is taken once, at the end */
  Frame *frame;
  const Applied *applied;
  const LoopFrame *loop;
  uint32_t apart; /* carries that stand in for others (carry.c): loops are written out meanwhile */
  Ast file, model;
  const char *path;
  Span library; /* positions of the embedded files */
  Vec(Instance *) instances;
  Map instance_ids; /* hash of the path -> index */
  Vec(CallSite) calls;
  Vec(Origin) origins;
  Vec(Made) derived; /* in the training graph, by grad and its like while the model is walked */
  Map marked;       /* names that `grad` differentiates by: hash of source and name */
  Map const_values; /* definition -> index in consts; in work: UINT32_MAX - 1 */
  Vec(Value) consts;
  Vec(Name) blocks; /* data blocks, in the order of their batch symbols */
  Vec(Term) losses, metrics;
  Vec(Value) outputs;
  Vec(const char *) output_names;
  Vec(Setting) settings;
  const char *draw_name; /* in place of the instance's, for a parameter's first value */
  uint32_t draw_count;
  Ast train;                /* the train block at hand, or none */
  Node train_loss;          /* what it trains by; none outside of one */
  uint32_t schedules;       /* with states, so far */
  int64_t every;            /* its optimiser acts in every n-th step, and counts those */
  Vec(Rule) rules;          /* of functions with a derivative of their own, in the training graph */
  struct Flat *flat;        /* of the optimiser `over all` at hand, or NULL */
  Vec(Ast) override_values; /* one an override: its syntax, once read */
};

/* ---- value.c ---- */
static inline Value value_poison(void) { return (Value){.kind = V_POISON}; }
static inline bool value_bad(Value v) { return v.kind == V_POISON; }
Value value_number(double number, bool exact, Span span);
Value value_bool(bool truth, Span span);
Value value_tensor(Tracer *t, Node node, bool batched, Span span);
Value value_text(const char *text, Span span);
/* In place; false after an error. `hint`: the type of a compile-time number (TYPE_COUNT: I32 or float by exactness). */
bool value_to_tensor(Tracer *t, Value *v, Type hint, Span at);
bool value_to_float(Tracer *t, Value *v, Span at);
Value value_cast(Tracer *t, Value v, Type type);
/* A whole number known while compiling. `what` names it in the message. */
bool value_whole(Tracer *t, Value v, int64_t *whole, const char *what, Span at);
bool value_known_number(Tracer *t, Value v, double *number, const char *what, Span at);
bool value_is_numeric(Value v);                 /* number, bool, range, array, tensor, batch */
const char *value_describe(Tracer *t, Value v); /* "[4, 16]", "the number 3", "a function" */
const char *dims_text(Tracer *t, const Dims *dims);
Dims value_dims(Tracer *t, Value v);     /* of the example */
int64_t value_batch(Tracer *t, Value v); /* DIM_BATCH - i of a batched tensor */
Value *values_new(Tracer *t, uint32_t count);
static inline Type value_type(Tracer *t, Value v) { return node_type(t->graph, v.node); }
static inline bool type_is_float(Type type) { return type == TYPE_F32 || type == TYPE_F64; }

/* ---- message.c ---- */
/* An error at `span`, or, inside the library, at the user's call that led there, with a note. */
Diag *trace_error(Tracer *t, const char *slug, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
Diag *trace_limit(Tracer *t, const char *slug, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
Diag *trace_warning(Tracer *t, const char *slug, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void note_value(Tracer *t, Diag *d, Value v, Span at, const char *what);
const char *text_of(Tracer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline const char *name_of(Tracer *t, Name name) { return name_text(&t->s->names, name); }

/* The innermost call that the user wrote; NULL where all of the way is the user's own. */
const CallSite *user_call(Tracer *t);
bool in_library(Tracer *t, Span span);

/* ---- suspect.c: warnings of what is silently wrong ---- */
/* Before a call: what its arguments show. */
void suspect_call(Tracer *t, const Closure *c, const Value *args, Span span);
/* Notes that nodes are made in another call from here on. */
void suspect_origin(Tracer *t);
/* Reverse mode, as grad_reverse: notes that no user wrote what it makes. */
void suspect_reverse(Tracer *t, Node y, Node seed, const Node *xs, uint32_t count, Node *gradients);
/* Parameters that the loss does not depend on, or whose gradient is 0 whatever the data are. nodes[i]: where list[i] is read;
 * gradients[i]: NODE_NONE where there is no way. */
void suspect_parameters(Tracer *t, Node total, Owned **list, const Node *nodes, const Node *gradients, uint32_t count);
/* The training graph's forward part, once the model is walked. */
void suspect_model(Tracer *t);
/* Both graphs, when they are whole. */
void suspect_unused(Tracer *t);

/* ---- shape.c ---- */
/* Brings tensors to one example shape and one batchedness; scalars that the builder broadcasts stay unless `full`. */
bool tensors_align(Tracer *t, Value *v, uint32_t count, bool full, Span at, const char *what);
/* One element type for all; numbers that are not tensors yet follow the tensors. `arithmetic`: bool becomes float. */
bool tensors_unify(Tracer *t, Value *v, uint32_t count, bool arithmetic, Span at);
Value tensor_expand(Tracer *t, Value v, const Dims *dims, bool batched, int64_t batch);
Value tensor_reshape(Tracer *t, Value v, const Dims *dims);
Value tensor_transpose(Tracer *t, Value v, const uint32_t *perm); /* of example axes */
Shape tensor_shape(Tracer *t, const Dims *example, bool batched, int64_t batch);
bool dims_equal(const Dims *a, const Dims *b);
bool dims_batched(const Dims *dims); /* an axis of the batch's extent among them */
/* Normalises a possibly negative axis; false after an error. */
bool axis_of(Tracer *t, int64_t axis, uint32_t rank, uint32_t *out, Span at);

/* ---- elementwise.c ---- */
Value op_binary(Tracer *t, AstOp op, Value a, Value b, Span span);
Value op_prim1(Tracer *t, Prim prim, Value a, Span span);
Value op_prim2(Tracer *t, Prim prim, Value a, Value b, Span span);
Value op_select(Tracer *t, Value condition, Value yes, Value no, Span span);
Value op_neg(Tracer *t, Value a, Span span);
Value op_not(Tracer *t, Value a, Span span);

/* ---- reduce.c ---- */
typedef struct {
  bool batch;
  uint32_t count;
  uint32_t axes[GRAPH_MAX_RANK];
} Over;
bool over_resolve(Tracer *t, Value over, uint32_t rank, Over *out, Span at);
Value op_diagonal(Tracer *t, Value x, Span span); /* of the last two axes, of one extent */
Value op_reduce(Tracer *t, Prim prim, Value x, const Over *over, bool keep, Span span);
Value op_mean(Tracer *t, Value x, const Over *over, bool keep, Span span);

/* ---- product.c ---- */
Value op_matmul(Tracer *t, Value a, Value b, Span span);
/* Axes named by small numbers: those of both that `out` has are paired, others of both are summed. */
Value op_einsum2(Tracer *t, Value a, const int *la, Value b, const int *lb, const int *lo, uint32_t out_rank,
                 Span span);

/* ---- shapes.c, index.c ---- */
Value op_stack(Tracer *t, Value *items, uint32_t count, uint32_t axis, Span span);
Value op_concat(Tracer *t, Value *items, uint32_t count, int64_t axis, Span span);
Value op_slice_axis(Tracer *t, Value v, uint32_t axis, int64_t start, int64_t count, int64_t step);
Value op_take(Tracer *t, Value v, uint32_t axis, int64_t index); /* drops the axis */
Value op_gather(Tracer *t, Value v, uint32_t axis, Value index, Span span);
Value eval_index(Tracer *t, Ast index, Env *env);
bool shape_from_value(Tracer *t, Value v, Dims *dims, Span at);
bool eval_shape(Tracer *t, Ast list, Env *env, Dims *dims, const char *what);
Value op_iota(Tracer *t, int64_t begin, int64_t count, Span span);

/* ---- random.c ---- */
Value op_draw(Tracer *t, Value distribution, const Dims *dims, bool batched, int64_t batch, Span span);
uint32_t draw_site(Tracer *t);
Value dist_value(Tracer *t, DistKind kind, Value a, Value b, Span span);

/* ---- bundle.c ---- */
/* An instance becomes the bundle of its parameters; false after an error. */
bool bundle_of(Tracer *t, Value *v, Span span);
bool instance_within(const Instance *part, const Instance *whole);
Bundle *bundle_copy(Tracer *t, const Bundle *bundle);
/* Parameter by parameter. */
Value bundle_binary(Tracer *t, AstOp op, Value a, Value b, Span span);
Value bundle_unary(Tracer *t, Prim prim, Value a, Span span);
/* Calls the instance with the bundle's values in place of its parameters. */
Value bundle_call(Tracer *t, Value bundle, Arg *args, uint32_t count, Span span);
/* The value that stands in for a parameter or a state while a bundle is applied; false: none. */
bool bundle_value(Tracer *t, Owned *owned, Value *value);
/* A bundle of copies, one for each example, of an instance's parameters. */
Value bundle_per_example(Tracer *t, Value v, Span span);
/* `state slow ~ net`: a copy of each parameter and state. */
Value bundle_state(Tracer *t, const AstNode *node, Value instance);
void bundle_assign(Tracer *t, const AstNode *node, Value state, Value v);
/* The state that is written while a bundle with copies is applied. */
Owned *bundle_target(Tracer *t, Owned *owned);

/* ---- carry.c ---- */
typedef struct {
  Vec(Node) real, stand;
} StandIns;
/* Replaces the carry's tensors by stand-ins; then puts the real ones back in what was built on them. */
void carry_apart(Tracer *t, Value *carry, StandIns *stand_ins);
void carry_join(Tracer *t, StandIns *stand_ins, Value **values, uint32_t count);

/* ---- env.c ---- */
void env_bind(Tracer *t, Env *env, Name name, Value value, Span span);
void env_bind_owned(Tracer *t, Env *env, Name name, Value value, Owned *owned, Span span);
Binding *env_find(const Env *env, Name name);
bool bind_pattern(Tracer *t, Env *env, Ast pattern, Value value, bool is_let);
Value lookup_name(Tracer *t, Name name, Span span, const Env *env);
Value definition_value(Tracer *t, uint32_t index, Span span);
void collect_marked(Tracer *t);
Node step_number(Tracer *t, StepNumber which);
enum { MARK_NONE, MARK_PLAIN, MARK_PER_EXAMPLE };
int name_mark(Tracer *t, Name name, Span span);

/* ---- type.c ---- */
/* Checks `v` against a type and binds the shape's names in `env`. `what`: "argument `x` of `dense`". */
bool type_match(Tracer *t, Ast type, Value *v, Env *env, const char *what, Span at);
/* A type whose shape is known: of an input, a parameter. */
typedef struct {
  Dims dims;
  Type element;
  int32_t classes;
} Declared;
bool type_eval(Tracer *t, Ast type, Env *env, Declared *out);

/* ---- eval.c, control.c ---- */
Value eval(Tracer *t, Ast e, Env *env);
Value eval_block(Tracer *t, Ast block, Env *env);
void eval_statement(Tracer *t, Ast item, Env *env);
Value eval_if(Tracer *t, Ast e, Env *env);
Value eval_scan(Tracer *t, Ast e, Env *env);
Value eval_iterate(Tracer *t, Ast e, Env *env);

/* ---- call.c ---- */
Value call_value(Tracer *t, Value callee, Arg *args, uint32_t count, Span span);
Value call_simple(Tracer *t, Value callee, Value *args, uint32_t count, Span span);
Value eval_call(Tracer *t, Ast e, Env *env);
Value eval_pipe(Tracer *t, Ast e, Env *env);
Value closure_value(Tracer *t, Closure closure, Span span);
typedef struct {
  Name name;
  bool required, rest;
  Ast type, fallback;
} Param;
uint32_t closure_params(Tracer *t, const Closure *c, Param *params, uint32_t limit);
uint32_t closure_lacking(Tracer *t, const Closure *c); /* required parameters that are not bound */
const char *closure_name(Tracer *t, const Closure *c);
AstKind closure_kind(Tracer *t, const Closure *c); /* AST_FN, AST_LAYER, .., AST_LAMBDA, AST_KIND_COUNT: a primitive */
bool closure_makes_instance(Tracer *t, const Closure *c);
/* The environment of a definition's body: arguments matched, defaults evaluated. */
bool closure_env(Tracer *t, const Closure *c, const Value *args, Env *env, Span span);
enum { PARAM_LIMIT = 64 };
/* The body of a definition or a lambda, in the frame that is there. */
Value closure_body(Tracer *t, const Closure *c, const Value *args, Span span);

/* ---- layer.c ---- */
Instance *instance_get(Tracer *t, const char *path, Span span);
/* The next child of the frame's instance: "dense_1" (numbered) or "enc". */
Instance *instance_child(Tracer *t, const char *base, bool numbered, Span span);
Instance *instance_part(Tracer *t, Instance *parent, const char *name, Span span);
Value instance_value(Tracer *t, Closure *closure, Instance *instance, Span span);
/* The instance that a `let` makes of a partial application, a lambda: or the value itself. */
Value instance_of_let(Tracer *t, Value v, Name name, Span span);
Value instance_run(Tracer *t, Instance *instance, const Closure *c, const Value *args, Span span);
Owned *instance_owned(Instance *instance, Name name);
Value owned_value(Tracer *t, Owned *owned, Span span);
void eval_owned(Tracer *t, Ast item, Env *env); /* param, state */
void eval_assign(Tracer *t, Ast item, Env *env);
void frame_push(Tracer *t, Frame *frame, Instance *instance, Ast definition, bool owns);
void frame_pop(Tracer *t);
void states_write(Tracer *t); /* the OUT_SLOT outputs of the pass, but parameters' and optimisers' */
uint32_t slot_add(Tracer *t, Slot slot);
Value instance_field(Tracer *t, Instance *instance, Name name, Span span);
uint32_t instance_parameters(Tracer *t, Instance *instance, Owned ***list);
uint32_t instance_states(Tracer *t, Instance *instance, Owned ***list);
/* Evaluates what stands behind `~` in the init graph and makes it the slot's first value. */
bool owned_init(Tracer *t, Ast value, Env *env, const Owned *owned, const char *path);

/* ---- model.c ---- */
bool model_choose(Tracer *t);
/* One walk of the model in the current graph: fills losses, metrics and outputs. False after an error. */
bool model_trace(Tracer *t);
/* The weighted sum and the sum of the weights, two F64 scalars. */
bool term_reduce(Tracer *t, Value e, Value weight, Span at, Span weight_at, Node *sum, Node *weights);
/* The sum of the losses' values; `only`: the one of this name. */
Node losses_total(Tracer *t, const char *only);

/* ---- optimize.c ---- */
void train_trace(Tracer *t, Node total);
/* The n-th train block of the file; none behind the last. */
Ast train_block(Tracer *t, uint32_t n);
/* The loss that the block at hand names, or NULL: all. */
const char *train_loss(Tracer *t);
/* The new values of parameters and of the optimisers' states. */
void train_write(Tracer *t);
void train_plan(Tracer *t);
/* Which parameters start from the weights of another file. */
void train_starts(Tracer *t);

/* ---- data.c ---- */
void data_trace(Tracer *t);
/* The data block of that name (none: the one there is): its batch symbol's number, or -1 after an error. */
int data_block(Tracer *t, Ast source, Span at);

/* ---- settings.c ---- */
void settings_read(Tracer *t);
/* True where `--set name=...` gave a value, which is then in *value. */
bool setting_overridden(Tracer *t, const char *name, Value *value, Span at);
void setting_list(Tracer *t, const char *name, Value value);
void setting_list_text(Tracer *t, const char *name, const char *text);
const char *source_text(Tracer *t, Span span);
bool glob_match(const char *pattern, const char *text);

#endif
