/* map.h: a hash map from 64-bit keys to 32-bit values, and the hash function that the compiler uses. */
#ifndef GRADC_MAP_H
#define GRADC_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint64_t *keys;
  uint32_t *values;
  uint8_t *full;
  uint32_t count, slot_count;
} Map; /* start from {0} */

/* The value under `key`, or `absent`. */
uint32_t map_get(const Map *map, uint64_t key, uint32_t absent);
void map_set(Map *map, uint64_t key, uint32_t value);
void map_free(Map *map);

uint64_t hash_bytes(const void *data, size_t size);
/* The same for what is long: another value, made of eight bytes at a time. */
uint64_t hash_words(const void *data, size_t size);
uint64_t hash_mix(uint64_t hash, uint64_t value);

#endif
