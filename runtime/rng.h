/* rng.h: counter-based random numbers, Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011). Emitted code draws from the same function with the same layout of counter and key:
 *   counter = {number low, number high, draw (the step) low 32 bits, site},  key = {seed low, seed high},
 * a number standing for one element or four (RANDOM in compiler/graph/prims.def).
 * What a draw is depends on these numbers alone, so it can be made anew anywhere, in any order. */
#ifndef GRADC_RNG_H
#define GRADC_RNG_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sites from here on are the runtime's and the command line's; those of a model lie below. */
#define GRADC_SITE_RESERVED 0xffffff00u
#define GRADC_SITE_SHUFFLE 0xffffffffu /* the order of a data set; its draw is the epoch */
#define GRADC_SITE_SPLIT 0xfffffffeu   /* the rows that are held out */
#define GRADC_SITE_DATA 0xfffffffdu    /* drawn data and its transforms */

void gradc_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Words one after another from one site: the counter's element counts up, four words each. */
typedef struct {
  uint32_t counter[4], key[2], words[4];
  int used;
} GradcRng;

GradcRng gradc_rng(uint64_t seed, uint32_t draw, uint32_t site);
uint32_t gradc_rng_word(GradcRng *rng);
double gradc_rng_uniform(GradcRng *rng); /* in [0, 1): a multiple of 2^-53 */

/* An integer in 0 .. bound - 1, each equally likely; 0 for a bound of 0. */
uint64_t gradc_rng_below(GradcRng *rng, uint64_t bound);

/* Shuffles order[count] in place: each of the orders equally likely, up to the generator. */
void gradc_rng_shuffle(GradcRng *rng, int64_t *order, int64_t count);

/* order[count] = a permutation of 0 .. count - 1 for this seed and epoch. */
void gradc_permutation(uint64_t seed, uint32_t epoch, int64_t *order, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
