/* random.c: distributions and drawing from them. A site's number is a hash of its instance's dotted name and its number
 * there, so that it stays when other parts of the model change. */
#include <math.h>
#include <string.h>

#include "call.h"

enum { DRAW_UNIFORM = 0, DRAW_NORMAL = 1 };

uint32_t draw_site(Tracer *t) {
  uint64_t hash;
  if (t->draw_name) {
    hash = hash_mix(hash_bytes(t->draw_name, strlen(t->draw_name)), t->draw_count++);
  } else {
    Instance *instance = t->frame->instance;
    if (instance->pass != t->pass) instance->pass = t->pass, instance->draws = 0;
    hash = hash_mix(hash_bytes(instance->path, strlen(instance->path)), ++instance->draws);
  }
  return (uint32_t)(hash ^ hash >> 32);
}

Value dist_value(Tracer *t, DistKind kind, Value a, Value b, Span span) {
  Value v = {.kind = V_DISTRIBUTION, .dist = kind, .count = 2, .items = values_new(t, 2), .span = span};
  v.items[0] = a, v.items[1] = b;
  return v;
}

/* The shape asked for is the shape that comes out: a mean or a scale may be broadcast to it, not beyond. */
static Value shaped(Tracer *t, Value v, const Dims *dims, Span span) {
  if (value_bad(v) || !value_to_tensor(t, &v, t->graph->float_type, span)) return value_poison();
  const Dims got = value_dims(t, v);
  Value both[2] = {
      v, value_tensor(t, build_full(t->graph, value_type(t, v), 0, tensor_shape(t, dims, false, 0)), false, span)};
  if (!tensors_align(t, both, 2, true, span, "a distribution")) return value_poison();
  const Dims all = value_dims(t, both[0]);
  if (dims_equal(&all, dims)) return both[0];
  Diag *d = trace_error(t, "shape-mismatch", span, "a draw of shape %s from a distribution whose numbers have shape %s",
                        dims_text(t, dims), dims_text(t, &got));
  note_value(t, d, v, span, "the numbers");
  return value_poison();
}

static Value uniform01(Tracer *t, int kind, const Dims *dims, bool batched, int64_t batch, Span span) {
  Dims all = {0}; /* within loops: an axis a loop, the outermost first, and this round's part */
  const LoopFrame *loops[GRAPH_MAX_RANK];
  uint32_t depth = 0;
  for (const LoopFrame *l = t->loop; l && l->graph == t->graph && depth < GRAPH_MAX_RANK; l = l->outer) loops[depth++] = l;
  if (dims->rank + depth + batched > GRAPH_MAX_RANK - 1) {
    trace_limit(t, "rank-limit", span, "a draw of so many axes has no meaning yet");
    return value_poison();
  }
  for (uint32_t i = depth; i-- > 0;) all.dims[all.rank++] = loops[i]->length;
  for (uint32_t i = 0; i < dims->rank; i++) all.dims[all.rank++] = dims->dims[i];
  const Shape shape = tensor_shape(t, &all, batched, batch);
  Node draw = build_random(t->graph, kind, draw_site(t), t->graph->float_type, shape);
  for (uint32_t i = depth; i-- > 0;) draw = build_item(t->graph, loops[i]->number, draw, batched, false);
  return value_tensor(t, draw, batched, span);
}

/* The inverse of erf on |x| < 0.96, by Giles' polynomial in -log(1 - x^2). */
static Value erf_inverse(Tracer *t, Value x, Span span) {
  static const double c[] = {2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                             -0.00125372503, -0.00417768164, 0.246640727,    1.50140941};
  const Value square = op_binary(t, OP_MUL, x, x, span);
  Value w = op_neg(t, op_prim1(t, P_LOG1P, op_neg(t, square, span), span), span);
  w = op_binary(t, OP_SUB, w, value_number(2.5, false, span), span);
  Value p = value_number(c[0], false, span);
  for (size_t i = 1; i < sizeof c / sizeof *c; i++)
    p = op_binary(t, OP_ADD, op_binary(t, OP_MUL, p, w, span), value_number(c[i], false, span), span);
  return op_binary(t, OP_MUL, p, x, span);
}

static Value truncated(Tracer *t, const Dims *dims, bool batched, int64_t batch, Span span) {
  const double edge = 0.9544997361036416; /* erf(2 / sqrt 2) */
  Value u = uniform01(t, DRAW_UNIFORM, dims, batched, batch, span);
  u = op_binary(t, OP_SUB, op_binary(t, OP_MUL, u, value_number(2 * edge, false, span), span),
                value_number(edge, false, span), span);
  return op_binary(t, OP_MUL, erf_inverse(t, u, span), value_number(sqrt(2), false, span), span);
}

/* The number of running sums of the weights that u times their sum reaches. */
static Value categorical(Tracer *t, Value weights, const Dims *dims, bool batched, int64_t batch, Span span) {
  if (!value_to_float(t, &weights, span)) return value_poison();
  const Dims have = value_dims(t, weights);
  if (have.rank != 1) {
    trace_error(t, "shape-mismatch", span, "`categorical` takes one weight a class; found %s",
                value_describe(t, weights));
    return value_poison();
  }
  Value args[2] = {weights, {.kind = V_ABSENT}};
  const Value sums = builtin_cumsum(t, &(Call){builtin_get(BUILTIN_cumsum), args, span});
  const Over all = {false, 1, {0}}, last = {false, 1, {dims->rank}};
  const Value total = op_reduce(t, P_SUM, weights, &all, false, span);
  Dims one = *dims;
  one.dims[one.rank++] = 1;
  Value u = tensor_reshape(t, uniform01(t, DRAW_UNIFORM, dims, batched, batch, span), &one);
  u = op_binary(t, OP_GE, op_binary(t, OP_MUL, u, total, span), sums, span);
  if (value_bad(u)) return u;
  Value out = op_reduce(t, P_SUM, value_cast(t, u, TYPE_I32), &last, false, span);
  out = op_prim2(t, P_MIN, out, value_number((double)have.dims[0] - 1, true, span), span);
  out.classes = (int32_t)have.dims[0];
  return out;
}

static Value identity(Tracer *t, const Dims *dims, Span span) {
  if (dims->rank != 2) {
    trace_error(t, "shape-mismatch", span, "`identity` fills a matrix; found the shape %s", dims_text(t, dims));
    return value_poison();
  }
  const int64_t most = dims->dims[0] > dims->dims[1] ? dims->dims[0] : dims->dims[1];
  Value places = op_iota(t, 0, most, span);
  Value rows = op_slice_axis(t, places, 0, 0, dims->dims[0], 1),
        columns = op_slice_axis(t, places, 0, 0, dims->dims[1], 1);
  const Dims column = {2, {dims->dims[0], 1}};
  const Value equal = op_binary(t, OP_EQ, tensor_reshape(t, rows, &column), columns, span);
  return value_bad(equal) ? equal : value_cast(t, equal, t->graph->float_type);
}

/* The orthogonal factor of a normal matrix: Newton and Schulz's x <- 1.5 x - 0.5 x x' x, which takes each singular
 * value to 1; 60 rounds serve values 1e-9 apart. Leading axes count as rows. */
static Value orthogonal(Tracer *t, Value gain, const Dims *dims, Span span) {
  if (dims->rank < 2) {
    trace_error(t, "shape-mismatch", span, "`orthogonal` fills a matrix; found the shape %s", dims_text(t, dims));
    return value_poison();
  }
  Dims flat = {2, {1, dims->dims[dims->rank - 1]}};
  for (uint32_t i = 0; i + 1 < dims->rank; i++) flat.dims[0] *= dims->dims[i];
  const bool wide = flat.dims[0] < flat.dims[1];
  static const uint32_t swap[] = {1, 0};
  Value x = uniform01(t, DRAW_NORMAL, &flat, false, 0, span);
  if (wide) x = tensor_transpose(t, x, swap);
  Value args[3] = {x, {.kind = V_ABSENT}, {.kind = V_ABSENT}};
  x = op_binary(t, OP_DIV, x, builtin_norm(t, &(Call){builtin_get(BUILTIN_norm), args, span}), span);
  for (int i = 0; i < 60 && !value_bad(x); i++) {
    const Value square = op_matmul(t, tensor_transpose(t, x, swap), x, span);
    const Value cube = op_binary(t, OP_MUL, op_matmul(t, x, square, span), value_number(0.5, false, span), span);
    x = op_binary(t, OP_SUB, op_binary(t, OP_MUL, x, value_number(1.5, false, span), span), cube, span);
  }
  if (value_bad(x)) return x;
  if (wide) x = tensor_transpose(t, x, swap);
  return op_binary(t, OP_MUL, tensor_reshape(t, x, dims), gain, span);
}

Value op_draw(Tracer *t, Value v, const Dims *dims, bool batched, int64_t batch, Span span) {
  const Value a = v.items[0], b = v.items[1];
  if (dims->rank + batched > GRAPH_MAX_RANK - 1) {
    trace_limit(t, "rank-limit", span, "a draw of so many axes has no meaning yet");
    return value_poison();
  }
  if (batched && t->blocks.count > 1 && v.dist != D_CONSTANT && v.dist != D_IDENTITY) {
    Diag *d =
        trace_error(t, "batch-unclear", span, "a draw for each example is unclear in a model with several data blocks");
    diag_hint(t->s, d, "draw it `[like x]` of an input");
    return value_poison();
  }
  Value out;
  switch ((DistKind)v.dist) {
  case D_CONSTANT: out = a; break;
  case D_IDENTITY: out = identity(t, dims, span); break;
  case D_NORMAL:
  case D_TRUNCATED:
    out = v.dist == D_NORMAL ? uniform01(t, DRAW_NORMAL, dims, batched, batch, span)
                             : truncated(t, dims, batched, batch, span);
    out = op_binary(t, OP_ADD, op_binary(t, OP_MUL, out, b, span), a, span);
    break;
  case D_UNIFORM:
    out = uniform01(t, DRAW_UNIFORM, dims, batched, batch, span);
    out = op_binary(t, OP_ADD, op_binary(t, OP_MUL, out, op_binary(t, OP_SUB, b, a, span), span), a, span);
    break;
  case D_BERNOULLI: return op_binary(t, OP_LT, uniform01(t, DRAW_UNIFORM, dims, batched, batch, span), a, span);
  case D_CATEGORICAL: return categorical(t, a, dims, batched, batch, span);
  default:
    if (batched) {
      trace_limit(t, "no-meaning", span, "an orthogonal matrix for each example has no meaning yet");
      return value_poison();
    }
    out = orthogonal(t, a, dims, span);
    break;
  }
  out = shaped(t, out, dims, span);
  out.span = span;
  if (!value_bad(out) && !type_is_float(value_type(t, out))) out = value_cast(t, out, t->graph->float_type);
  return out;
}

static Value given(Value v, double absent, Span span) {
  return v.kind == V_ABSENT ? value_number(absent, true, span) : v;
}

static bool numbers_only(Tracer *t, Call *c) {
  for (uint32_t i = 0; i < (c->builtin == builtin_get(BUILTIN_orthogonal) ? 1u : 2u); i++) {
    if (c->args[i].kind == V_ABSENT || value_is_numeric(c->args[i])) continue;
    if (!value_bad(c->args[i]))
      trace_error(t, "not-a-number", c->span, "a number is needed; found %s", value_describe(t, c->args[i]));
    return false;
  }
  return true;
}

Value builtin_normal(Tracer *t, Call *c) {
  if (!numbers_only(t, c)) return value_poison();
  return dist_value(t, D_NORMAL, given(c->args[0], 0, c->span), given(c->args[1], 1, c->span), c->span);
}
Value builtin_truncated_normal(Tracer *t, Call *c) {
  if (!numbers_only(t, c)) return value_poison();
  return dist_value(t, D_TRUNCATED, given(c->args[0], 0, c->span), given(c->args[1], 1, c->span), c->span);
}
Value builtin_uniform(Tracer *t, Call *c) {
  if (!numbers_only(t, c)) return value_poison();
  return dist_value(t, D_UNIFORM, given(c->args[0], 0, c->span), given(c->args[1], 1, c->span), c->span);
}
Value builtin_orthogonal(Tracer *t, Call *c) {
  if (!numbers_only(t, c)) return value_poison();
  return dist_value(t, D_ORTHOGONAL, given(c->args[0], 1, c->span), given(c->args[0], 1, c->span), c->span);
}
Value builtin_constant(Tracer *t, Call *c) { return dist_value(t, D_CONSTANT, c->args[0], c->args[0], c->span); }
Value builtin_bernoulli(Tracer *t, Call *c) { return dist_value(t, D_BERNOULLI, c->args[0], c->args[0], c->span); }
Value builtin_categorical(Tracer *t, Call *c) { return dist_value(t, D_CATEGORICAL, c->args[0], c->args[0], c->span); }
