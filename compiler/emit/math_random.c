/* math_random.c: counter-based random numbers (Salmon et al., SC 2011) and the two distributions made from them. */
#include <stdio.h>

#include "emath.h"
#include "math_parts.h"
#include "math_tables.h"

#define PHILOX_ROUNDS 10

/* One round for a state of four words, in lanes of 64 bits whose upper halves mean nothing: what a product leaves there is never
 * cleared, and no word changes its place. */
static void philox_round(Emit *e, const V c[4], const V key[2], V next[4]) {
  const uint32_t factor[] = {0xd2511f53, 0xcd9e8d57};
  V product[2];
  for (int i = 0; i < 2; i++) product[i] = LLVMBuildMul(e->b, i_andc(e, c[2 * i], UINT32_MAX), i_const(e, c[2 * i], factor[i]), "");
  for (int i = 0; i < 2; i++) {
    V high = i_shr(e, product[1 - i], 32);
    next[2 * i] = LLVMBuildXor(e->b, LLVMBuildXor(e->b, high, c[2 * i + 1], ""), key[i], "");
    next[2 * i + 1] = product[1 - i];
  }
}

/* Words side by side as words of their own: those at even places, those at odd ones. */
static V word_half(Emit *e, V word, unsigned half) {
  const unsigned lanes = e_lanes(LLVMTypeOf(word));
  if (lanes % 2) return LLVMBuildZExt(e->b, word, LLVMGetTypeKind(LLVMTypeOf(word)) == LLVMVectorTypeKind ? LLVMVectorType(e->i64, lanes) : e->i64, "");
  V both = LLVMBuildBitCast(e->b, word, e_vector(e, e->i64, lanes / 2), "");
  return half ? i_shr(e, both, 32) : both;
}

/* The rounds are a loop: written out, LLVM's analysis of their chain of products costs tens of milliseconds. */
void emit_philox(Emit *e, const V counter[4], const V key[2], V words[4]) {
  const unsigned lanes = e_lanes(LLVMTypeOf(counter[0])), halves = lanes % 2 ? 1 : 2;
  V state[10], next[10];
  for (unsigned i = 0; i < 4 * halves; i++) state[i] = word_half(e, counter[i % 4], i / 4);
  for (unsigned i = 0; i < 2; i++) { /* the same word in both halves of a lane serves both */
    V all = e_lanes(LLVMTypeOf(key[i])) == lanes ? key[i] : e_splat(e, key[i], lanes);
    state[4 * halves + i] = word_half(e, all, 0);
  }
  Loop rounds;
  e_loop_begin(e, &rounds, e_i64(e, 0), e_i64(e, PHILOX_ROUNDS), e_i64(e, 1), state, 4 * halves + 2, true);
  V *k = rounds.phi + 4 * halves;
  for (unsigned h = 0; h < halves; h++) philox_round(e, rounds.phi + 4 * h, k, next + 4 * h);
  const int64_t step[] = {0x9e3779b9, 0xbb67ae85};
  for (unsigned i = 0; i < 2; i++) next[4 * halves + i] = i_addc(e, k[i], step[i]);
  e_loop_end(e, &rounds, next);
  LLVMTypeRef type = LLVMTypeOf(counter[0]);
  for (unsigned i = 0; i < 4; i++) {
    V even = rounds.phi[i];
    if (halves == 1) words[i] = LLVMBuildTrunc(e->b, even, type, "");
    else words[i] = LLVMBuildBitCast(e->b, LLVMBuildOr(e->b, i_andc(e, even, UINT32_MAX), i_shl(e, rounds.phi[4 + i], 32), ""), type, "");
  }
}

/* An unsigned word as f64, by its place under the leading bit of 2^52. */
static V word_to_double(Emit *e, V word, LLVMTypeRef type) {
  V wide = LLVMBuildZExt(e->b, word, e_int_like(e, type), "");
  return f_addc(e, e_floats(e, LLVMBuildOr(e->b, wide, i_const(e, wide, 0x4330000000000000), ""), type), -0x1p52);
}

V emit_uniform(Emit *e, LLVMTypeRef type, V a, V b) {
  if (e_scalar(type) == e->f32) return f_mulc(e, LLVMBuildSIToFP(e->b, i_shr(e, a, 8), type, ""), 0x1p-24);
  V high = word_to_double(e, a, type), low = word_to_double(e, i_shr(e, b, 11), type);
  return f_fmac(e, high, 0x1p-32, f_mulc(e, low, 0x1p-53));
}

/* cos(2 pi v) for v in [0, 1]: the quarter turn and the rest of 4 v are exact. */
static V cos_of_turns(Emit *e, V v) {
  const Format *f = part_format(e, v);
  V t = f_fmac(e, v, 4, f_const(e, v, f->round)), n = f_addc(e, t, -f->round);
  V r = f_mulc(e, f_fmac(e, v, 4, f_neg(e, n)), 0x1.921fb54442d18p+0), square = f_mul(e, r, r);
  V s = e_fma(e, f_mul(e, r, square), POLY(e, square, sin), r);
  V c = e_fma(e, f_mul(e, square, square), POLY(e, square, cos), f_fmac(e, square, -.5, f_const(e, v, 1)));
  V quarter = e_bits(e, t);
  V odd = LLVMBuildICmp(e->b, LLVMIntNE, i_andc(e, quarter, 1), i_const(e, quarter, 0), "");
  V left = LLVMBuildICmp(e->b, LLVMIntNE, i_andc(e, i_addc(e, quarter, 1), 2), i_const(e, quarter, 0), "");
  return part_negate_where(e, e_select(e, odd, s, c), left);
}

V emit_normal(Emit *e, LLVMTypeRef type, V a, V b, V c, V d) {
  V u = emit_uniform(e, type, a, b), v = emit_uniform(e, type, c, d);
  u = f_addc(e, u, part_format(e, u)->mantissa == 23 ? 0x1p-24 : 0x1p-53);
  return f_mul(e, e_sqrt(e, f_mulc(e, emit_log(e, u), -2)), cos_of_turns(e, v));
}

/* Counter numbers (i64 lanes) to words: the layout of counter and key is that of runtime/rng.h. */
static void words_of(Emit *e, V number, unsigned lanes, V draw, V site, V seed, V words[4]) {
  LLVMTypeRef word = e_vector(e, e->i32, lanes);
  V high = i_shr(e, number, 32);
  V counter[] = {LLVMBuildTrunc(e->b, number, word, ""), LLVMBuildTrunc(e->b, high, word, ""), e_splat(e, draw, lanes), e_splat(e, site, lanes)};
  V key[] = {LLVMBuildTrunc(e->b, seed, e->i32, ""), LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, seed, e_i64(e, 32), ""), e->i32, "")};
  emit_philox(e, counter, key, words);
}

/* One word an element: whichever it is for each lane. */
static V uniform_of_word(Emit *e, LLVMTypeRef type, V element, V draw, V site, V seed) {
  V words[4], bit[2];
  V number = LLVMBuildOr(e->b, i_shl(e, i_shr(e, element, 6), 4), i_andc(e, element, 15), "");
  words_of(e, number, e_lanes(type), draw, site, seed, words);
  for (int i = 0; i < 2; i++) {
    V at = i_andc(e, element, 16 << i);
    bit[i] = LLVMBuildICmp(e->b, LLVMIntNE, at, i_const(e, at, 0), "");
  }
  V first = e_select(e, bit[0], words[1], words[0]), second = e_select(e, bit[0], words[3], words[2]);
  return emit_uniform(e, type, e_select(e, bit[1], second, first), NULL);
}

/* Element numbers (i64 lanes) to random numbers: the law is that of graph/prims.def. A function of its own, one a module,
 * kind and type. */
static V random_body(Emit *e, bool normal, LLVMTypeRef type, V element, V draw, V site, V seed) {
  V words[4];
  const bool narrow = e_scalar(type) == e->f32; /* one word a number */
  if (!normal && narrow) return uniform_of_word(e, type, element, draw, site, seed);
  words_of(e, element, e_lanes(type), draw, site, seed, words);
  if (!normal) return emit_uniform(e, type, words[0], words[1]);
  return narrow ? emit_normal(e, type, words[0], words[0], words[1], words[1]) : emit_normal(e, type, words[0], words[1], words[2], words[3]);
}

/* Lanes `from` .. `from + count - 1` of a vector. */
static V some_lanes(Emit *e, V x, unsigned from, unsigned count) {
  V order[64];
  for (unsigned i = 0; i < count; i++) order[i] = e_int(e, e->i32, from + i);
  return LLVMBuildShuffleVector(e->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(order, count), "");
}

/* By halves, to the target's own vectors: a quarter of the code for a quarter of the lanes, and as many calls. */
static V random_halves(Emit *e, bool normal, LLVMTypeRef type, V element, V draw, V site, V seed) {
  const unsigned half = e_lanes(type) / 2;
  LLVMTypeRef part = LLVMVectorType(e_scalar(type), half);
  V order[64], low = emit_random(e, normal, part, some_lanes(e, element, 0, half), draw, site, seed),
               high = emit_random(e, normal, part, some_lanes(e, element, half, half), draw, site, seed);
  for (unsigned i = 0; i < 2 * half; i++) order[i] = e_int(e, e->i32, i);
  return LLVMBuildShuffleVector(e->b, low, high, LLVMConstVector(order, 2 * half), "");
}

V emit_random(Emit *e, bool normal, LLVMTypeRef type, V element, V draw, V site, V seed) {
  if (e->small && e_lanes(type) > 2 && e_lanes(type) % 2 == 0 && e_lanes(type) * (e_scalar(type) == e->f32 ? 4 : 8) > e->target.vector_bytes)
    return random_halves(e, normal, type, element, draw, site, seed);
  char name[64];
  snprintf(name, sizeof name, "%s.%u.f%d", normal ? "normal" : "uniform", e_lanes(type), e_scalar(type) == e->f32 ? 32 : 64);
  V callee = LLVMGetNamedFunction(e->module, name), args[] = {element, draw, site, seed};
  if (!callee) {
    V function = e->function;
    LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b);
    LLVMTypeRef types[] = {LLVMTypeOf(element), e->i32, e->i32, e->i64};
    callee = e_function(e, name, type, types, 4, true, false);
    LLVMBuildRet(e->b, random_body(e, normal, type, LLVMGetParam(callee, 0), LLVMGetParam(callee, 1), LLVMGetParam(callee, 2), LLVMGetParam(callee, 3)));
    e->function = function;
    LLVMPositionBuilderAtEnd(e->b, at);
  }
  return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(callee), callee, args, 4, "");
}

/* uniform4(element, draw, site, seed): {four vectors} */
static V uniform4_function(Emit *e, LLVMTypeRef result) {
  V function = e->function, lanes[16], words[4], out = LLVMGetPoison(result);
  LLVMTypeRef type = e_vector(e, e->f32, 16);
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b);
  V callee = e_function(e, "uniform4", result, (LLVMTypeRef[]){e->i64, e->i32, e->i32, e->i64}, 4, true, false);
  for (unsigned i = 0; i < 16; i++) lanes[i] = e_i64(e, i);
  V number = LLVMBuildOr(e->b, e_splat(e, i_shr(e, LLVMGetParam(callee, 0), 2), 16), LLVMConstVector(lanes, 16), "");
  words_of(e, number, 16, LLVMGetParam(callee, 1), LLVMGetParam(callee, 2), LLVMGetParam(callee, 3), words);
  for (unsigned i = 0; i < 4; i++) out = LLVMBuildInsertValue(e->b, out, emit_uniform(e, type, words[i], NULL), i, "");
  LLVMBuildRet(e->b, out);
  e->function = function;
  LLVMPositionBuilderAtEnd(e->b, at);
  return callee;
}

void emit_uniform4(Emit *e, V element, V draw, V site, V seed, V out[4]) {
  LLVMTypeRef type = e_vector(e, e->f32, 16);
  LLVMTypeRef result = LLVMStructTypeInContext(e->cx, (LLVMTypeRef[]){type, type, type, type}, 4, false);
  V callee = LLVMGetNamedFunction(e->module, "uniform4");
  if (!callee) callee = uniform4_function(e, result);
  V all = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(callee), callee, (V[]){element, draw, site, seed}, 4, "");
  for (unsigned i = 0; i < 4; i++) out[i] = LLVMBuildExtractValue(e->b, all, i, "");
}
