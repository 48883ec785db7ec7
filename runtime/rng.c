/* rng.c: Philox-4x32-10, bounded integers, permutations. */
#include "rng.h"

void gradc_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53 * c0, b = (uint64_t)0xCD9E8D57 * c2;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)b;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)a;
    k0 += 0x9E3779B9; /* Weyl sequences: the golden ratio, sqrt(3) - 1 */
    k1 += 0xBB67AE85;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

GradcRng gradc_rng(uint64_t seed, uint32_t draw, uint32_t site) {
  return (GradcRng){.counter = {0, 0, draw, site}, .key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .used = 4};
}

uint32_t gradc_rng_word(GradcRng *rng) {
  if (rng->used == 4) {
    gradc_philox(rng->counter, rng->key, rng->words);
    if (!++rng->counter[0]) rng->counter[1]++;
    rng->used = 0;
  }
  return rng->words[rng->used++];
}

static uint64_t two_words(GradcRng *rng) {
  uint64_t low = gradc_rng_word(rng);
  return low | (uint64_t)gradc_rng_word(rng) << 32;
}

double gradc_rng_uniform(GradcRng *rng) { return (double)(two_words(rng) >> 11) * 0x1p-53; }

uint64_t gradc_rng_below(GradcRng *rng, uint64_t bound) {
  if (bound <= 1) return 0;
  if (bound <= UINT32_MAX) {
    /* Lemire, 2019: the high half of word * bound; the low halves that some results have one time too often are drawn
     * again. */
    uint32_t small = (uint32_t)bound, excess = -small % small;
    for (;;) {
      uint64_t product = (uint64_t)gradc_rng_word(rng) * small;
      if ((uint32_t)product >= excess) return product >> 32;
    }
  }
  uint64_t mask = UINT64_MAX >> __builtin_clzll(bound - 1);
  for (;;) {
    uint64_t value = two_words(rng) & mask;
    if (value < bound) return value;
  }
}

void gradc_rng_shuffle(GradcRng *rng, int64_t *order, int64_t count) {
  for (int64_t i = count - 1; i > 0; i--) {
    int64_t j = (int64_t)gradc_rng_below(rng, (uint64_t)i + 1);
    int64_t moved = order[i];
    order[i] = order[j];
    order[j] = moved;
  }
}

void gradc_permutation(uint64_t seed, uint32_t epoch, int64_t *order, int64_t count) {
  for (int64_t i = 0; i < count; i++) order[i] = i;
  GradcRng rng = gradc_rng(seed, epoch, GRADC_SITE_SHUFFLE);
  gradc_rng_shuffle(&rng, order, count);
}
