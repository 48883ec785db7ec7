/* memory.c: lanes to and from memory. Contiguous lanes are one vector; a tail is masked; lanes that lie apart are
 * gathered. Nothing outside an array is touched: a load that a guard forbids reads a block of zeros instead. */
#include "nest.h"


/* Whether the target loads and stores some of a vector's lanes by a mask. */
static bool has_masks(const Nest *n, Type type) {
  const unsigned bytes = n->e->target.vector_bytes;
  return bytes >= 64 || (bytes >= 32 && type_bytes(type) >= 4);
}

static V zeros(Nest *n) {
  Unit *u = n->u;
  if (u->zeros) return u->zeros;
  LLVMTypeRef block = LLVMArrayType2(n->e->i8, 256);
  u->zeros = LLVMAddGlobal(n->e->module, block, "zeros");
  LLVMSetInitializer(u->zeros, LLVMConstNull(block));
  LLVMSetGlobalConstant(u->zeros, true), LLVMSetLinkage(u->zeros, LLVMInternalLinkage), LLVMSetAlignment(u->zeros, 64);
  return u->zeros;
}

/* Memory of the function for one vector of the longest kind. */
static V stack_vector(Nest *n) {
  Emit *e = n->e;
  LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b), entry = LLVMGetEntryBasicBlock(e->function);
  V first = LLVMGetFirstInstruction(entry);
  if (first)
    LLVMPositionBuilderBefore(e->b, first);
  else
    LLVMPositionBuilderAtEnd(e->b, entry);
  V slot = LLVMBuildAlloca(e->b, LLVMArrayType2(e->i8, 256), "");
  LLVMSetAlignment(slot, 64);
  LLVMPositionBuilderAtEnd(e->b, here);
  return slot;
}

/* copy(to, from, bytes): byte by byte, for tails on targets without masks. */
static V copy_function(Nest *n) {
  Emit *e = n->e;
  if (n->u->copy) return n->u->copy;
  const Aside aside = aside_begin(e, "copy", (LLVMTypeRef[]){e->ptr, e->ptr, e->i64}, 3, false);
  Loop l;
  e_loop_begin(e, &l, e_i64(e, 0), LLVMGetParam(e->function, 2), e_i64(e, 1), NULL, 0, false);
  V byte = e_load(e, e->i8, e_gep(e, e->i8, LLVMGetParam(e->function, 1), l.i), 1);
  e_store(e, byte, e_gep(e, e->i8, LLVMGetParam(e->function, 0), l.i), 1);
  e_loop_end(e, &l, NULL);
  return n->u->copy = aside_end(e, aside);
}

/* spread(to, stride, from, count): to[i * stride] = from[i]. */
static V spread_function(Nest *n, Type type) {
  static const char *const names[] = {"spread_f32", "spread_f64", "spread_i32", "spread_bool", "spread_bf16"};
  Emit *e = n->e;
  LLVMTypeRef element = memory_type(e, type);
  if (n->u->spread[type]) return n->u->spread[type];
  const Aside aside = aside_begin(e, names[type], (LLVMTypeRef[]){e->ptr, e->i64, e->ptr, e->i64}, 4, false);
  Loop l;
  e_loop_begin(e, &l, e_i64(e, 0), LLVMGetParam(e->function, 3), e_i64(e, 1), NULL, 0, false);
  V x = e_load(e, element, e_gep(e, element, LLVMGetParam(e->function, 2), l.i), type_bytes(type));
  V at = LLVMBuildMul(e->b, l.i, LLVMGetParam(e->function, 1), "");
  e_store(e, x, e_gep(e, element, LLVMGetParam(e->function, 0), at), type_bytes(type));
  e_loop_end(e, &l, NULL);
  return n->u->spread[type] = aside_end(e, aside);
}

static V from_memory(Emit *e, Type type, V x) {
  if (type == TYPE_BF16) return bf16_widen(e, x);
  return type == TYPE_BOOL ? LLVMBuildICmp(e->b, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "") : x;
}

static V to_memory(Emit *e, Type type, V x) {
  if (type == TYPE_BF16) return bf16_halves(e, x);
  return type == TYPE_BOOL ? LLVMBuildZExt(e->b, x, e_vector(e, e->i8, e_lanes(LLVMTypeOf(x))), "") : x;
}

/* `count` lanes of x from `from` on, as a shorter vector, or a scalar for one. */
static V part_of(Emit *e, V x, unsigned from, unsigned count) {
  V order[64];
  if (count == 1) return LLVMBuildExtractElement(e->b, x, e_int(e, e->i32, from), "");
  for (unsigned i = 0; i < count; i++) order[i] = e_int(e, e->i32, from + i);
  return LLVMBuildShuffleVector(e->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(order, count), "");
}

/* Whether the load's value exists at this point, from the guards that the lanes do not change: i1, or NULL for always.
 */
static V point_guard(Nest *n, uint32_t load, unsigned row, unsigned vector) {
  Emit *e = n->e;
  const Load *l = &n->stage->loads.data[load];
  V all = NULL;
  for (unsigned g = 0; g < l->guard_count; g++) {
    const Guard *guard = &l->guards[g];
    if (n->lane >= 0 && affine_axes(&guard->index) & AXIS_BIT(n->lane)) continue;
    if (n->sure[n->guard_spot[load] + g]) continue;
    V at = nest_spot(n, n->guard_spot[load] + g, row, vector);
    V in = LLVMBuildICmp(e->b, LLVMIntULT, at, e_i64(e, (guard->limit - 1) * guard->step + 1), "");
    if (guard->limit <= 0) in = e_int(e, e->i1, 0);
    if (guard->step > 1) {
      V rest = LLVMBuildURem(e->b, at, e_i64(e, guard->step), "");
      in = LLVMBuildAnd(e->b, in, LLVMBuildICmp(e->b, LLVMIntEQ, rest, e_i64(e, 0), ""), "");
    }
    all = all ? LLVMBuildAnd(e->b, all, in, "") : in;
  }
  return all;
}

/* The same from the guards that differ from lane to lane: i1 lanes, or NULL. */
static V lane_guard(Nest *n, uint32_t load, unsigned row, unsigned vector) {
  Emit *e = n->e;
  const Load *l = &n->stage->loads.data[load];
  V all = NULL;
  for (unsigned g = 0; g < l->guard_count; g++) {
    const Guard *guard = &l->guards[g];
    if (n->lane < 0 || !(affine_axes(&guard->index) & AXIS_BIT(n->lane))) continue;
    V first = LLVMBuildTrunc(e->b, nest_spot(n, n->guard_spot[load] + g, row, vector), e->i32, "");
    V at = lane_numbers(n, first, &guard->index);
    V in = LLVMBuildICmp(e->b, LLVMIntULT, at, e_int(e, LLVMTypeOf(at), (guard->limit - 1) * guard->step + 1), "");
    if (guard->limit <= 0) in = e_int(e, LLVMTypeOf(in), 0);
    if (guard->step > 1) {
      V rest = LLVMBuildURem(e->b, at, e_int(e, LLVMTypeOf(at), guard->step), "");
      in = LLVMBuildAnd(e->b, in, LLVMBuildICmp(e->b, LLVMIntEQ, rest, e_int(e, LLVMTypeOf(at), 0), ""), "");
    }
    all = all ? LLVMBuildAnd(e->b, all, in, "") : in;
  }
  return all;
}

/* Lanes that lie apart, one by one. Those not in `mask` are 0. */
static V collect(Nest *n, Type type, V address, V steps, V mask) {
  Emit *e = n->e;
  LLVMTypeRef element = memory_type(e, type);
  V all = LLVMGetPoison(LLVMVectorType(element, n->lanes));
  for (unsigned i = 0; i < n->lanes; i++) {
    V lane = e_int(e, e->i32, i), at = e_gep(e, element, address, LLVMBuildExtractElement(e->b, steps, lane, ""));
    if (mask) at = e_select(e, LLVMBuildExtractElement(e->b, mask, lane, ""), at, zeros(n));
    all = LLVMBuildInsertElement(e->b, all, e_load(e, element, at, type_bytes(type)), lane, "");
  }
  return all;
}

/* `steps`: of the lanes from the address, in elements. */
static V gather(Nest *n, Type type, V address, V steps, V mask) {
  Emit *e = n->e;
  if (e->target.vector_bytes < 64 || type_bytes(type) < 4) return collect(n, type, address, steps, mask);
  LLVMTypeRef vector = LLVMVectorType(memory_type(e, type), n->lanes);
  V from = LLVMBuildGEP2(e->b, memory_type(e, type), address, &steps, 1, "");
  LLVMTypeRef over[] = {vector, LLVMTypeOf(from)};
  V args[] = {from, e_int(e, e->i32, type_bytes(type)), mask ? mask : e_mask(e, n->lanes, n->lanes),
              LLVMConstNull(vector)};
  return e_intrinsic(e, "llvm.masked.gather", over, 2, args, 4);
}

/* The first lanes of a vector on a target without masks: pieces of 8, 4, 2, 1 for a known count. */
static V load_tail(Nest *n, Type type, V address, V count) {
  Emit *e = n->e;
  LLVMTypeRef element = memory_type(e, type), vector = LLVMVectorType(element, n->lanes);
  int64_t known;
  V slot = stack_vector(n), x = LLVMConstNull(vector);
  if (!i64_known(count, &known)) {
    e_store(e, x, slot, 64);
    call_function(e, copy_function(n), (V[]){slot, address, i64_mul(e, count, type_bytes(type))}, 3);
    return e_load(e, vector, slot, 64);
  }
  for (unsigned i = 0; i < known; i++)
    x = LLVMBuildInsertElement(e->b, x, e_load(e, element, e_gep(e, element, address, e_i64(e, i)), type_bytes(type)),
                               e_int(e, e->i32, i), "");
  return x;
}

/* How far the gathered coordinate leads, in elements: i64, in lanes where it differs from lane to lane. */
static V gathered(Nest *n, int32_t gather, int64_t stride, unsigned row, unsigned vector) {
  Emit *e = n->e;
  V number = expr_value(n, gather - 1, row, vector, false);
  LLVMTypeRef wide = e_vector(e, e->i64, e_lanes(LLVMTypeOf(number)));
  return LLVMBuildMul(e->b, LLVMBuildSExt(e->b, number, wide, ""), e_int(e, wide, stride), "");
}

/* `rows`: how far each lane's gathered coordinate leads, or NULL. */
static V load_lanes(Nest *n, uint32_t load, V address, V point, V mask, V rows, unsigned vector) {
  Emit *e = n->e;
  const Load *l = &n->stage->loads.data[load];
  const Type type = n->kernel->operand_type[l->operand];
  LLVMTypeRef element = memory_type(e, type), whole = LLVMVectorType(element, n->lanes);
  V dynamic, tail = n->panel == l->operand ? NULL : n->mask[vector];
  const int64_t stride = nest_lane_stride(n, &l->at, &dynamic);
  const bool adjoin = stride == 1 && !dynamic && !rows;
  if (!stride && !rows) {
    V x = e_splat(e, e_load(e, element, point ? e_select(e, point, address, zeros(n)) : address, type_bytes(type)),
                  n->lanes);
    return mask ? e_select(e, mask, x, LLVMConstNull(whole)) : x;
  }
  if (adjoin && !mask && (!tail || has_masks(n, type))) {
    if (point) address = e_select(e, point, address, zeros(n));
    return tail ? e_masked_load(e, whole, address, tail, LLVMConstNull(whole))
                : e_load(e, whole, address, type_bytes(type));
  }
  if (adjoin && !mask)
    return load_tail(n, type, point ? e_select(e, point, address, zeros(n)) : address, n->mask_count[vector]);
  if (adjoin && point && mask && has_masks(n, type)) { /* the mask stays as constant as it is: LLVM 19 forgets one half of
    the mask `splat & constant` of a vector that it splits in two for AVX2, where the constant's half is false */
    V from = e_select(e, point, address, zeros(n));
    return e_masked_load(e, whole, from, tail ? LLVMBuildAnd(e->b, mask, tail, "") : mask, LLVMConstNull(whole));
  }
  if (point) mask = mask ? LLVMBuildAnd(e->b, mask, e_splat(e, point, n->lanes), "") : e_splat(e, point, n->lanes);
  if (tail) mask = mask ? LLVMBuildAnd(e->b, mask, tail, "") : tail;
  if (adjoin && has_masks(n, type)) return e_masked_load(e, whole, address, mask, LLVMConstNull(whole));
  V steps = lane_numbers(n, e_i64(e, 0), &l->at);
  if (rows) steps = LLVMBuildAdd(e->b, steps, rows, "");
  return gather(n, type, address, steps, mask);
}

V memory_load(Nest *n, uint32_t load, unsigned row, unsigned vector) {
  Emit *e = n->e;
  const Load *l = &n->stage->loads.data[load];
  const Type type = n->kernel->operand_type[l->operand];
  V address = nest_spot(n, load, row, vector), point = point_guard(n, load, row, vector);
  V lanes = n->lane >= 0 ? lane_guard(n, load, row, vector) : NULL;
  V away = l->gather ? gathered(n, l->gather, l->gather_stride, row, vector) : NULL, rows = NULL;
  if (away && e_lanes(LLVMTypeOf(away)) > 1)
    rows = away;
  else if (away)
    address = e_gep(e, memory_type(e, type), address, away);
  if (l->pairs) return e_load(e, e->i32, point ? e_select(e, point, address, zeros(n)) : address, type_bytes(type));
  const bool by_lane = lanes || rows || (n->lane >= 0 && affine_axes(&l->at) & AXIS_BIT(n->lane));
  if (by_lane) return from_memory(e, type, load_lanes(n, load, address, point, lanes, rows, vector));
  if (point) address = e_select(e, point, address, zeros(n));
  return from_memory(e, type, e_load(e, memory_type(e, type), address, type_bytes(type)));
}

/* The first `count` lanes: in pieces where the count is known, through the stack where not. */
static void store_tail(Nest *n, Type type, V x, V address, V count) {
  Emit *e = n->e;
  int64_t known;
  if (!i64_known(count, &known)) {
    V slot = stack_vector(n);
    e_store(e, x, slot, 64);
    call_function(e, copy_function(n), (V[]){address, slot, i64_mul(e, count, type_bytes(type))}, 3);
    return;
  }
  unsigned from = 0;
  for (unsigned piece = n->lanes; piece; piece /= 2) {
    if (!((unsigned)known & piece)) continue;
    e_store(e, part_of(e, x, from, piece), e_gep(e, memory_type(e, type), address, e_i64(e, from)), type_bytes(type));
    from += piece;
  }
}

static void store_lanes(Nest *n, const Store *s, Type type, V x, V address, unsigned vector) {
  Emit *e = n->e;
  V dynamic, tail = n->mask[vector];
  const int64_t stride = nest_lane_stride(n, &s->at, &dynamic);
  if (stride == 1 && !dynamic) {
    int64_t known;
    const bool pieces = tail && e->target.vector_bytes < 64 && i64_known(n->mask_count[vector], &known);
    if (!tail)
      e_store(e, x, address, type_bytes(type));
    else if (has_masks(n, type) && !pieces)
      e_masked_store(e, x, address, tail);
    else
      store_tail(n, type, x, address, n->mask_count[vector]);
    return;
  }
  V slot = stack_vector(n), step = dynamic ? dynamic : e_i64(e, stride);
  e_store(e, x, slot, 64);
  call_function(e, spread_function(n, type),
                (V[]){address, step, slot, tail ? n->mask_count[vector] : e_i64(e, n->lanes)}, 4);
}

void memory_store(Nest *n, uint32_t store, unsigned row, unsigned vector) {
  const Store *s = &n->stage->stores.data[store];
  const Type type = n->kernel->operand_type[s->operand];
  const bool by_lane = n->lane >= 0 && affine_axes(&s->at) & AXIS_BIT(n->lane);
  V x = to_memory(n->e, type, expr_value(n, s->value, row, vector, by_lane));
  V address = nest_spot(n, n->first_store + store, row, vector);
  if (s->gather) address = e_gep(n->e, memory_type(n->e, type), address, gathered(n, s->gather, s->gather_stride, row, vector));
  if (by_lane)
    store_lanes(n, s, type, x, address, vector);
  else
    e_store(n->e, x, address, type_bytes(type));
}
