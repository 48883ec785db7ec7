/* plan.c: where every value lies. Two values share memory only if their lives do not meet in phases: within a phase one
 * thread may be kernels ahead of another. Values of a batch lie in regions of their own, which grow with its capacity, and
 * values for each pair of examples in others, which grow with the product of two. */
#include "fuse.h"

#include <string.h>

static const int64_t type_bytes[] = {4, 8, 4, 1};

typedef struct {
  int64_t from, to; /* bytes, or bytes an example, or a pair of examples */
  uint32_t first, last; /* phases */
} Block;
typedef Vec(Block) Blocks;

/* First fit among the blocks that live at the same time. */
static int64_t fit(Blocks *blocks, int64_t size, uint32_t first, uint32_t last) {
  int64_t at = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (uint32_t i = 0; i < blocks->count; i++) {
      const Block *b = &blocks->data[i];
      if (b->last < first || b->first > last || b->to <= at || b->from >= at + size) continue;
      at = b->to, moved = true;
    }
  }
  vec_push(blocks, ((Block){at, at + size, first, last}));
  return at;
}

static void live(Buffer *b, uint32_t phase) {
  if (phase < b->first_phase) b->first_phase = phase;
  if (phase > b->last_phase) b->last_phase = phase;
}

/* The loop that both are in: numbered from 1, 0: none. */
static uint32_t common_loop(const Schedule *s, uint32_t a, uint32_t b) {
  for (; a; a = s->loops.data[a - 1].parent)
    for (uint32_t c = b; c; c = s->loops.data[c - 1].parent)
      if (a == c) return a;
  return 0;
}

/* In whose rounds alone each buffer is used: there its life is part of a round. What a loop reads, hands on or leaves
 * lives as long as the loop. */
static uint32_t *buffer_homes(const Schedule *s) {
  uint32_t *home = mem_alloc((s->buffers.count + 1) * sizeof *home);
  for (uint32_t i = 0; i < s->buffers.count; i++) home[i] = UINT32_MAX;
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    for (uint32_t k = 0; k < s->kernels.data[l->kernel].operand_count; k++) {
      uint32_t loop = l->loop, *own = &home[l->operands[k]];
      if (node_prim(s->graph, s->buffers.data[l->operands[k]].node) == P_STACK && s->kernels.data[l->kernel].operand_written[k])
        loop = loop ? s->loops.data[loop - 1].parent : 0;
      *own = *own == UINT32_MAX ? loop : common_loop(s, *own, loop);
    }
  }
  for (uint32_t i = 0; i < s->output_buffer.count; i++)
    for (int k = 0; k < 2; k++) {
      const uint32_t b = k ? s->weight_buffer.data[i] : s->output_buffer.data[i];
      if (b != UINT32_MAX) home[b] = 0;
    }
  return home;
}

static void live_at(const Schedule *s, Buffer *b, uint32_t home, const Launch *l) {
  uint32_t loop = l->loop;
  if (loop == home) {
    live(b, l->phase);
    return;
  }
  while (s->loops.data[loop - 1].parent != home) loop = s->loops.data[loop - 1].parent;
  live(b, s->loops.data[loop - 1].first_phase);
  live(b, s->loops.data[loop - 1].last_phase);
}

/* Regions: what does not grow, what grows with each batch, what grows with each pair of batches. */
enum { REGION_BATCH = 1, REGION_PAIR = REGION_BATCH + GRADC_MAX_BATCHES, REGIONS = REGION_PAIR + GRADC_MAX_PAIRS };

static int region_of(const Buffer *b) {
  if (b->pair) return REGION_PAIR + b->pair - 1;
  return b->size.batch[0] < 0 ? 0 : REGION_BATCH + b->size.batch[0];
}

/* Regions follow each other. A buffer's offset in its own is known; what lies before it, now too. */
static void place_regions(Schedule *s, const int64_t *top) {
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    Buffer *b = &s->buffers.data[i];
    memset(b->offset_batch, 0, sizeof b->offset_batch);
    const int region = region_of(b);
    if (b->is_slot || !region) continue;
    for (int r = REGION_BATCH; r < REGION_PAIR && r < region; r++) b->offset_batch[r - REGION_BATCH] = top[r];
    if (b->pair) b->offset_pair = b->offset;
    else b->offset_batch[region - REGION_BATCH] = b->offset;
    b->offset = top[0];
  }
  s->arena = top[0];
  for (int r = 0; r < GRADC_MAX_BATCHES; r++) s->arena_batch[r] = top[REGION_BATCH + r];
  for (int r = 0; r < GRADC_MAX_PAIRS; r++) s->arena_pair[r] = top[REGION_PAIR + r];
}

void plan_memory(Fuse *f) {
  Schedule *s = f->s;
  Blocks regions[REGIONS] = {{0}};
  int64_t top[REGIONS] = {0};
  for (uint32_t i = 0; i < s->buffers.count; i++) s->buffers.data[i].first_phase = UINT32_MAX, s->buffers.data[i].last_phase = 0;
  uint32_t *home = buffer_homes(s);
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    for (uint32_t k = 0; k < s->kernels.data[l->kernel].operand_count; k++)
      live_at(s, &s->buffers.data[l->operands[k]], home[l->operands[k]], l);
  }
  free(home);
  for (uint32_t i = 0; i < s->output_buffer.count; i++)
    for (int k = 0; k < 2; k++) { /* what the caller reads lives to the end */
      const uint32_t b = k ? s->weight_buffer.data[i] : s->output_buffer.data[i];
      if (b != UINT32_MAX) live(&s->buffers.data[b], s->phases);
    }
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    Buffer *b = &s->buffers.data[i];
    if (b->is_slot || b->first_phase == UINT32_MAX) continue;
    int64_t bytes;
    if (!mem_mul(b->size.count, type_bytes[b->type], &bytes)) bytes = INT64_MAX / 4;
    const int region = region_of(b);
    const int64_t unit = region ? 4 : 64; /* a batch is rounded up to 16 examples: 4 bytes each are 64 */
    bytes = (bytes + unit - 1) / unit * unit;
    b->offset = fit(&regions[region], bytes, b->first_phase, b->last_phase);
    if (b->offset + bytes > top[region]) top[region] = b->offset + bytes;
  }
  place_regions(s, top);
  for (int r = 0; r < REGIONS; r++) vec_free(&regions[r]);
}
