/* plan.c: where every value lies. Two values share memory only if their lives do not meet in phases: within a phase one
 * thread may be kernels ahead of another. But where all kernels of two values of a batch, in the phase in which they meet, are cut
 * alike and their rows are of one size, they may lie on each other row by row: then each thread meets itself alone, in the order of
 * the launches. The launch that reads the one for the last time may be the one that makes the other, if it stores each element
 * where it read one before (in_place.c).
 * Values of a batch lie in regions of their own, which grow with its capacity, and values for each pair of examples in others,
 * which grow with the product of two. */
#include "fuse.h"

#include <string.h>

/* When a value lives. */
typedef struct {
  uint32_t first, last;                 /* phases */
  uint32_t first_launch, last_launch;
  uint32_t unit;                        /* of the cut by its batch that all its launches have; 0: they differ, or loop */
  uint32_t begins, ends;                /* the same of those in its first and last phase, which touch their own rows alone */
} Life;

typedef struct {
  int64_t from, to; /* bytes, or bytes an example, or a pair of examples */
  int64_t row;      /* of these what is used: rows lie so far apart */
  uint32_t buffer;
  Life life;
} Block;
typedef struct {
  const Schedule *schedule;
  Vec(Block) all;       /* as they came */
  Vec(uint32_t) sorted; /* by `from` */
} Blocks;

/* May the values not lie on each other at all (CLASH), row on row alone, or as they like? */
typedef enum { CLASH, ROW_ON_ROW, FREE } Meeting;

/* y begins behind the launches of x, or with the last of them, in the phase in which x ends. */
static bool follows(const Schedule *s, const Block *x, const Block *y) {
  const Life *a = &x->life, *b = &y->life;
  if (x->row != y->row || a->last != b->first || a->last_launch > b->first_launch) return false;
  if (a->last_launch == b->first_launch && !in_place(s, a->last_launch, x->buffer, y->buffer)) return false;
  const bool alike = a->unit && a->unit == b->unit && a->first == a->last && b->first == b->last;
  return alike || (a->ends && a->ends == b->begins);
}

static Meeting meet(const Schedule *s, const Block *x, const Block *y) {
  if (x->life.last < y->life.first || x->life.first > y->life.last) return FREE;
  return follows(s, x, y) || follows(s, y, x) ? ROW_ON_ROW : CLASH;
}

/* The first of the blocks, sorted, that ends its search: those behind begin at `end` or later. */
static uint32_t first_from(const Blocks *blocks, int64_t end) {
  uint32_t low = 0, high = blocks->sorted.count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (blocks->all.data[blocks->sorted.data[middle]].from < end) low = middle + 1;
    else high = middle;
  }
  return low;
}

static bool in_the_way(const Schedule *s, const Block *b, const Block *own) {
  if (b->to <= own->from || b->from >= own->to) return false;
  const Meeting m = meet(s, b, own);
  return m == CLASH || (m == ROW_ON_ROW && (b->from != own->from || b->to != own->to));
}

static void move_block(Block *b, int64_t at) { b->to += at - b->from, b->from = at; }

static bool is_free(const Blocks *blocks, const Block *own) {
  const uint32_t end = first_from(blocks, own->to);
  for (uint32_t i = 0; i < end; i++)
    if (in_the_way(blocks->schedule, &blocks->all.data[blocks->sorted.data[i]], own)) return false;
  return true;
}

/* To the least place where nothing is in the way. What was not in the way can only be so further on where it is shared exactly. */
static void first_fit(const Blocks *blocks, Block *own) {
  bool shared = false;
  move_block(own, 0);
  for (uint32_t i = 0; i < blocks->sorted.count; i++) {
    const Block *b = &blocks->all.data[blocks->sorted.data[i]];
    if (b->from >= own->to) break;
    if (in_the_way(blocks->schedule, b, own)) {
      move_block(own, b->to);
      if (shared) i = UINT32_MAX, shared = false;
    } else if (b->to > own->from && meet(blocks->schedule, b, own) == ROW_ON_ROW) {
      shared = true;
    }
  }
}

/* First fit among the blocks that live at the same time; on one that it may share before that. */
static int64_t fit(Blocks *blocks, Block own) {
  const int64_t size = own.to;
  bool found = false;
  for (uint32_t i = 0; i < blocks->all.count && !found; i++) {
    const Block *b = &blocks->all.data[i];
    if (b->to - b->from != size || meet(blocks->schedule, b, &own) != ROW_ON_ROW) continue;
    move_block(&own, b->from);
    found = is_free(blocks, &own);
  }
  if (!found) first_fit(blocks, &own);
  const uint32_t place = first_from(blocks, own.from);
  vec_push(&blocks->all, own);
  vec_push(&blocks->sorted, 0);
  memmove(blocks->sorted.data + place + 1, blocks->sorted.data + place, (blocks->sorted.count - 1 - place) * sizeof *blocks->sorted.data);
  blocks->sorted.data[place] = blocks->all.count - 1;
  return own.from;
}

/* Is the launch cut by the examples of the buffer? */
static bool cut_by_rows(const Launch *l, const Kernel *k, const Buffer *b) {
  return k->cut == CUT_FIRST && !b->pair && b->size.batch[0] >= 0 && k->cut_extent.batch == b->size.batch[0] && k->cut_extent.count == 1 &&
         !l->loop;
}

/* A unit of all launches up to now, and of one more: 0 where they differ. */
static void join_unit(uint32_t *unit, bool first, uint32_t next) { *unit = first || *unit == next ? next : 0; }

/* The launches of each buffer, and whether they are cut alike. Its phases are known. */
static Life *buffer_lives(const Schedule *s) {
  Life *lives = mem_zero(s->buffers.count + 1, sizeof *lives);
  for (uint32_t i = 0; i < s->buffers.count; i++) lives[i].first_launch = UINT32_MAX;
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    const Kernel *k = &s->kernels.data[l->kernel];
    for (uint32_t o = 0; o < k->operand_count; o++) {
      Life *own = &lives[l->operands[o]];
      const Buffer *b = &s->buffers.data[l->operands[o]];
      const bool first = own->first_launch == UINT32_MAX, new_phase = first || s->launches.data[own->last_launch].phase != l->phase;
      const uint32_t unit = cut_by_rows(l, k, b) ? k->cut_unit : 0, rows = unit && touches_own_row(k, (uint16_t)o, b->size.count) ? unit : 0;
      join_unit(&own->unit, first, unit);
      if (l->phase == b->first_phase) join_unit(&own->begins, first, rows);
      join_unit(&own->ends, new_phase, rows);
      if (first) own->first_launch = i;
      own->last_launch = i, own->first = b->first_phase, own->last = b->last_phase;
    }
  }
  for (uint32_t i = 0; i < s->buffers.count; i++) { /* within a loop, or beyond the last launch */
    Life *own = &lives[i];
    if (own->first_launch == UINT32_MAX) continue;
    if (s->launches.data[own->first_launch].phase != own->first) own->begins = 0;
    if (s->launches.data[own->last_launch].phase != own->last) own->ends = 0;
  }
  return lives;
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

void plan_memory(Schedule *s) {
  Blocks regions[REGIONS] = {0};
  int64_t top[REGIONS] = {0};
  for (int r = 0; r < REGIONS; r++) regions[r].schedule = s;
  for (uint32_t i = 0; i < s->buffers.count; i++) s->buffers.data[i].first_phase = UINT32_MAX, s->buffers.data[i].last_phase = 0;
  uint32_t *home = buffer_homes(s);
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    for (uint32_t k = 0; k < s->kernels.data[l->kernel].operand_count; k++)
      live_at(s, &s->buffers.data[l->operands[k]], home[l->operands[k]], l);
  }
  free(home);
  for (uint32_t i = 0; i < s->loops.count; i++) /* threads look at it behind a round's barrier, and some may be further already */
    if (s->loops.data[i].going >= 0) live(&s->buffers.data[s->loops.data[i].going], s->loops.data[i].last_phase + 1);
  for (uint32_t i = 0; i < s->output_buffer.count; i++)
    for (int k = 0; k < 2; k++) { /* what the caller reads lives to the end */
      const uint32_t b = k ? s->weight_buffer.data[i] : s->output_buffer.data[i];
      if (b != UINT32_MAX) live(&s->buffers.data[b], s->phases);
    }
  Life *lives = buffer_lives(s);
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    Buffer *b = &s->buffers.data[i];
    if (b->is_slot || b->first_phase == UINT32_MAX) continue;
    int64_t bytes;
    if (!mem_mul(b->size.count, type_bytes((Type)b->type), &bytes)) bytes = INT64_MAX / 4;
    const int region = region_of(b);
    const int64_t unit = region ? 4 : 64; /* a batch is rounded up to 16 examples: 4 bytes each are 64 */
    const int64_t row = bytes;
    bytes = (bytes + unit - 1) / unit * unit;
    b->offset = fit(&regions[region], (Block){0, bytes, row, i, lives[i]});
    if (b->offset + bytes > top[region]) top[region] = b->offset + bytes;
  }
  free(lives);
  place_regions(s, top);
  for (int r = 0; r < REGIONS; r++) vec_free(&regions[r].all), vec_free(&regions[r].sorted);
}
