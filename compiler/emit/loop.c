/* loop.c: loops over an axis of a nest. */
#include <string.h>

#include "nest.h"

Range range_axis(Nest *n, unsigned axis) {
  const Extent x = n->stage->axes[axis];
  const int64_t extent = x.batch < 0 ? x.count : -1;
  if (n->taps_to) {
    const Range r = {n->taps_from, n->taps_to, -1, extent, 0, false};
    n->taps_from = n->taps_to = NULL;
    return r;
  }
  if (axis == 0 && n->stage->par && n->kernel->cut == CUT_FIRST)
    return (Range){n->from, n->to, -1, extent, n->kernel->cut_unit ? n->kernel->cut_unit : 1, true};
  if (axis == n->stage->par && n->red_to) {
    int64_t from, to;
    const bool known = i64_known(n->red_from, &from) && i64_known(n->red_to, &to);
    return (Range){n->red_from, n->red_to, known ? to - from : -1, extent, 0, known && from < to};
  }
  if (axis == n->stage->par && n->stage->chunks) {
    Range r = {NULL, NULL, -1, extent, stage_chunk_unit(n->stage), false};
    nest_summed(n, &r.from, &r.to);
    return r;
  }
  return (Range){e_i64(n->e, 0), nest_extent(n, x), extent, extent, 0, extent > 0};
}

static void take(Carry *carry, const V *values) {
  for (unsigned i = 0; i < carry->count; i++) carry->values[i] = values[i];
}

static void carried_begin(Nest *n, Loop *l, V from, V to, V step, Carry *carry, bool nonempty) {
  e_loop_begin(n->e, l, from, to, step, carry->values, carry->count, nonempty);
  take(carry, l->phi);
}

static void carried_end(Nest *n, Loop *l, Carry *carry) {
  e_loop_end(n->e, l, carry->values);
  take(carry, l->phi);
}

void loop_axis(Nest *n, unsigned axis, Carry *carry, bool hoist, LoopBody *body, void *data) {
  const Range r = range_axis(n, axis);
  Loop l;
  const bool once = r.count == 1;
  if (!once) carried_begin(n, &l, r.from, r.to, e_i64(n->e, 1), carry, r.some);
  nest_open(n, axis, once ? r.from : l.i, hoist);
  body(n, carry, data);
  nest_close(n);
  if (!once) carried_end(n, &l, carry);
}

/* One chunk of lanes at `index`; `count`: lanes that exist (NULL: all of all vectors), counted from the last vector's
 * first. */
static void chunk(Nest *n, unsigned axis, V index, unsigned vectors, V count, Carry *carry, bool hoist, LoopBody *body,
                  void *data) {
  int64_t known;
  n->vectors = vectors;
  memset(n->mask, 0, sizeof n->mask);
  if (count) {
    const bool constant = i64_known(count, &known);
    n->mask[vectors - 1] = constant ? e_mask(n->e, n->lanes, (unsigned)known) : e_mask_below(n->e, n->lanes, count);
    n->mask_count[vectors - 1] = count;
  }
  nest_open(n, axis, index, hoist);
  body(n, carry, data);
  nest_close(n);
}

/* Chunks of `vectors` from `from` on while they fit below `to`; the first index that is left. */
static V full_chunks(Nest *n, unsigned axis, V from, V to, unsigned vectors, Carry *carry, bool hoist, LoopBody *body,
                     void *data) {
  Emit *e = n->e;
  const int64_t step = (int64_t)vectors * n->lanes;
  V whole = LLVMBuildAnd(e->b, LLVMBuildSub(e->b, to, from, ""), e_i64(e, -step), "");
  if (step & (step - 1))
    whole = i64_mul(e, LLVMBuildSDiv(e->b, LLVMBuildSub(e->b, to, from, ""), e_i64(e, step), ""), step);
  V end = i64_add(e, from, whole);
  Loop l;
  carried_begin(n, &l, from, end, e_i64(e, step), carry, false);
  chunk(n, axis, l.i, vectors, NULL, carry, hoist, body, data);
  carried_end(n, &l, carry);
  return end;
}

/* The lanes from `from` to `to`, less than a vector; there may be none. */
static void tail_chunk(Nest *n, unsigned axis, V from, V to, V count, Carry *carry, bool hoist, LoopBody *body,
                       void *data) {
  Emit *e = n->e;
  LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
  LLVMBasicBlockRef inside = LLVMAppendBasicBlockInContext(e->cx, e->function, "tail");
  LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(e->cx, e->function, "done");
  V old[64];
  for (unsigned i = 0; i < carry->count; i++) old[i] = carry->values[i];
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, from, to, ""), inside, after);
  LLVMPositionBuilderAtEnd(e->b, inside);
  chunk(n, axis, from, 1, count ? count : LLVMBuildSub(e->b, to, from, ""), carry, hoist, body, data);
  LLVMBasicBlockRef end = LLVMGetInsertBlock(e->b);
  LLVMBuildBr(e->b, after);
  LLVMMoveBasicBlockAfter(after, end);
  LLVMPositionBuilderAtEnd(e->b, after);
  for (unsigned i = 0; i < carry->count; i++) {
    V phi = LLVMBuildPhi(e->b, LLVMTypeOf(old[i]), "");
    LLVMAddIncoming(phi, (V[]){old[i], carry->values[i]}, (LLVMBasicBlockRef[]){before, end}, 2);
    carry->values[i] = phi;
  }
}

static void known_lanes(Nest *n, unsigned axis, int64_t count, unsigned wide, Carry *carry, bool hoist, LoopBody *body,
                        void *data) {
  const int64_t lanes = n->lanes, limit = n->small > wide ? n->small : wide;
  int64_t done = 0, step = lanes * wide;
  if (count > limit * lanes) { /* whole chunks in a loop */
    done = count / step * step;
    Loop l;
    carried_begin(n, &l, e_i64(n->e, 0), e_i64(n->e, done), e_i64(n->e, step), carry, true);
    chunk(n, axis, l.i, wide, NULL, carry, hoist, body, data);
    carried_end(n, &l, carry);
  }
  if (done == count) return;
  const int64_t left = count - done, vectors = (left + lanes - 1) / lanes, tail = left % lanes;
  chunk(n, axis, e_i64(n->e, done), (unsigned)vectors, tail ? e_i64(n->e, tail) : NULL, carry, hoist, body, data);
}

void loop_lanes(Nest *n, unsigned axis, unsigned wide, Carry *carry, bool hoist, LoopBody *body, void *data) {
  const Range r = range_axis(n, axis);
  const int64_t lanes = n->lanes;
  if (n->whole) {
    V end = LLVMBuildAnd(n->e->b, i64_add(n->e, r.to, e_i64(n->e, EXAMPLE_GROUP - 1)), e_i64(n->e, -EXAMPLE_GROUP), "");
    V from = full_chunks(n, axis, r.from, end, wide, carry, hoist, body, data);
    if (wide > 2) from = full_chunks(n, axis, from, end, 2, carry, hoist, body, data);
    if (wide > 1) full_chunks(n, axis, from, end, 1, carry, hoist, body, data);
    return;
  }
  if (r.count >= 0) {
    known_lanes(n, axis, r.count, wide, carry, hoist, body, data);
    return;
  }
  const bool wide_fits = r.extent < 0 || r.extent >= lanes * wide, one_fits = r.extent < 0 || r.extent >= lanes; /* at all */
  V at = wide_fits ? full_chunks(n, axis, r.from, r.to, wide, carry, hoist, body, data) : r.from;
  const bool ends_whole = r.extent >= 0 && r.extent % lanes == 0 && (!r.unit || r.unit % lanes == 0);
  const bool wide_whole = ends_whole && r.extent % (lanes * wide) == 0 && r.unit && r.unit % (lanes * wide) == 0;
  if (wide > 1 && !wide_whole && one_fits) at = full_chunks(n, axis, at, r.to, 1, carry, hoist, body, data);
  if (ends_whole) return;
  /* a share of a known extent ends in the same tail, where shares are whole vectors */
  const bool tail_known = r.extent >= 0 && r.unit && r.unit % lanes == 0;
  tail_chunk(n, axis, at, r.to, tail_known ? e_i64(n->e, r.extent % lanes) : NULL, carry, hoist, body, data);
}
