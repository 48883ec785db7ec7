/* tuned.c: see tuned.h. */
#include "tuned.h"

#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "text.h"

enum { MOST_ROWS = 32, MOST_VECTORS = 8, MOST_TILES = 4096 };

static bool table_key(const Machine *m, const char *cpu, CacheKey *key) {
  Text text = {0};
  text_printf(&text, "tuned tiles for %s, vectors %u x %u, caches %lld %lld %lld\n", cpu ? cpu : "native", m->vector_bytes, m->vector_registers,
              (long long)m->l1, (long long)m->l2, (long long)m->l3);
  const bool ok = cache_key(text_get(&text), text.length, key);
  text_free(&text);
  return ok;
}

void tuned_set(Tuned *t, TunedTile tile) {
  for (uint32_t i = 0; i < t->tiles.count; i++) {
    if (t->tiles.data[i].kernel != tile.kernel) continue;
    t->tiles.data[i] = tile;
    return;
  }
  if (t->tiles.count < MOST_TILES) vec_push(&t->tiles, tile);
}

void tuned_read(Tuned *t, const char *folder, const Machine *machine, const char *cpu) {
  CacheKey key;
  CachePart parts[CACHE_MAX_PARTS];
  if (!folder || !table_key(machine, cpu, &key)) return;
  const unsigned count = cache_read(folder, &key, parts);
  for (unsigned i = 0; i < count; i++) {
    TunedTile tile;
    for (size_t at = 0; at + sizeof tile <= parts[i].size; at += sizeof tile) {
      memcpy(&tile, (const char *)parts[i].bytes + at, sizeof tile);
      if (tile.rows <= MOST_ROWS && tile.vectors <= MOST_VECTORS) tuned_set(t, tile);
    }
    free(parts[i].bytes);
  }
}

bool tuned_write(const Tuned *t, const char *folder, const Machine *machine, const char *cpu, char *why, size_t why_size) {
  CacheKey key;
  if (!table_key(machine, cpu, &key)) {
    strncpy(why, "this build of the compiler cannot be told from another", why_size);
    return false;
  }
  const CachePart part = {t->tiles.data, t->tiles.count * sizeof *t->tiles.data};
  return cache_write(folder, &key, &part, 1, cache_limit(), why, why_size);
}

void tuned_apply(const Tuned *t, Schedule *s) {
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    Kernel *k = &s->kernels.data[i];
    for (uint32_t n = 0; n < t->tiles.count; n++) {
      if (t->tiles.data[n].kernel != k->hash) continue;
      for (uint32_t j = 0; j < k->stages.count; j++) {
        Stage *stage = &k->stages.data[j];
        if (stage->combine != COMBINE_FMA) continue;
        stage->tile_rows = (uint8_t)t->tiles.data[n].rows, stage->tile_vectors = (uint8_t)t->tiles.data[n].vectors;
        stage->reason = "tile measured by `gradc tune`";
      }
    }
  }
}

void tuned_free(Tuned *t) { vec_free(&t->tiles); }
