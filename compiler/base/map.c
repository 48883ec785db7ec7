/* map.c: see map.h. */
#include "map.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

uint64_t hash_mix(uint64_t hash, uint64_t value) { /* splitmix64's finaliser over a running sum */
  uint64_t x = hash * 0x9e3779b97f4a7c15u + value + 0x632be59bd9b4e019u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t hash_bytes(const void *data, size_t size) { /* FNV-1a, then mixed */
  uint64_t h = 0xcbf29ce484222325u;
  for (const unsigned char *p = data, *end = p + size; p < end; p++) h = (h ^ *p) * 0x100000001b3u;
  return hash_mix(h, size);
}

uint64_t hash_words(const void *data, size_t size) {
  const unsigned char *p = data;
  uint64_t h = size, word;
  size_t left = size;
  for (; left >= sizeof word; p += sizeof word, left -= sizeof word) {
    memcpy(&word, p, sizeof word);
    h = hash_mix(h, word);
  }
  word = 0;
  memcpy(&word, p, left);
  return hash_mix(h, word);
}

static uint32_t find(const Map *m, uint64_t key) {
  uint32_t at = (uint32_t)hash_mix(0, key) & (m->slot_count - 1);
  while (m->full[at] && m->keys[at] != key) at = (at + 1) & (m->slot_count - 1);
  return at;
}

uint32_t map_get(const Map *m, uint64_t key, uint32_t absent) {
  if (!m->count) return absent;
  const uint32_t at = find(m, key);
  return m->full[at] ? m->values[at] : absent;
}

void map_set(Map *m, uint64_t key, uint32_t value) {
  if (m->count * 2 >= m->slot_count) {
    const Map old = *m;
    m->slot_count = old.slot_count ? old.slot_count * 2 : 32;
    m->keys = mem_zero(m->slot_count, sizeof *m->keys);
    m->values = mem_zero(m->slot_count, sizeof *m->values);
    m->full = mem_zero(m->slot_count, sizeof *m->full);
    for (uint32_t i = 0; i < old.slot_count; i++) {
      if (!old.full[i]) continue;
      const uint32_t at = find(m, old.keys[i]);
      m->keys[at] = old.keys[i], m->values[at] = old.values[i], m->full[at] = 1;
    }
    free(old.keys), free(old.values), free(old.full);
  }
  const uint32_t at = find(m, key);
  m->count += !m->full[at];
  m->keys[at] = key, m->values[at] = value, m->full[at] = 1;
}

void map_free(Map *m) {
  free(m->keys), free(m->values), free(m->full);
  *m = (Map){0};
}
