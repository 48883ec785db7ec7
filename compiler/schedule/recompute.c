/* recompute.c: less memory for more work. A value that lies idle while memory is fullest is given up, and its launch runs again
 * just before the value is read next. The launch is the same kernel on the same operands, so the bits are the same.
 *
 * First each launch gets a phase of its own, which may do. The choice then is greedy: at the phase where most bytes live, the launch that frees most bytes for its cost; then the plan is made
 * anew, as what it reads now lives longer, and may itself be given up next (Chen et al., "Training deep nets with sublinear
 * memory cost", 2016, has the idea; the choice here is by cost, not by segments). */
#include "fuse.h"

#include <string.h>

enum { CHAIN = 12 };   /* launches that run again together */
enum { PATIENCE = 24 }; /* choices that free nothing, before it gives up */
#define FLOPS_A_BYTE 8 /* about what a core computes while it moves a byte of its L2 */

typedef struct {
  Schedule *s;
  const int64_t *batch;  /* rounded as the runtime rounds it */
  uint32_t peak;         /* the phase where most bytes live */
  struct Stock {
    uint32_t writers, writer; /* how many launches write it, and the last one */
    uint32_t next;            /* the phase behind the peak that reads it first; UINT32_MAX: none */
    bool busy, kept;          /* used at the peak; a slot or an output, never given up */
  } *stock;                   /* one a buffer */
} Recompute;

/* Launches that run again before `phase`, in their order: the last one makes what is wanted, the others what it reads. */
typedef struct {
  uint32_t launches[CHAIN], count, phase;
  double gain, cost;     /* bytes at the peak; bytes moved, with arithmetic counted in bytes */
} Choice;

static int64_t buffer_bytes(const Recompute *r, const Buffer *b) {
  int64_t bytes;
  if (b->is_slot || !mem_mul(b->size.count, type_bytes((Type)b->type), &bytes)) return b->is_slot ? 0 : INT64_MAX / 4;
  for (int i = 0; i < 2; i++)
    if (b->size.batch[i] >= 0 && !mem_mul(bytes, r->batch[b->size.batch[i]], &bytes)) return INT64_MAX / 4;
  return bytes;
}

static int64_t arena_bytes(const Recompute *r) {
  int64_t all = r->s->arena, part;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++)
    if (!mem_mul(r->s->arena_batch[i], r->batch[i], &part) || __builtin_add_overflow(all, part, &all)) return INT64_MAX;
  for (int a = 0; a < GRADC_MAX_BATCHES; a++)
    for (int b = a; b < GRADC_MAX_BATCHES; b++)
      if (!mem_mul(r->s->arena_pair[gradc_pair(a, b)], r->batch[a], &part) || !mem_mul(part, r->batch[b], &part) ||
          __builtin_add_overflow(all, part, &all))
        return INT64_MAX;
  return all;
}

static uint32_t outermost(const Schedule *s, uint32_t loop) {
  while (s->loops.data[loop - 1].parent) loop = s->loops.data[loop - 1].parent;
  return loop;
}

/* The phases during which a launch uses its operands: its own, or those of the loop around it. */
static void phases_of(const Schedule *s, const Launch *l, uint32_t *first, uint32_t *last) {
  *first = *last = l->phase;
  if (!l->loop) return;
  const ScheduleLoop *loop = &s->loops.data[outermost(s, l->loop) - 1];
  *first = loop->first_phase, *last = loop->last_phase;
}

static bool writes(const Schedule *s, const Launch *l, uint32_t buffer) {
  const Kernel *k = &s->kernels.data[l->kernel];
  for (uint32_t i = 0; i < k->operand_count; i++)
    if (l->operands[i] == buffer && k->operand_written[i]) return true;
  return false;
}

/* Does a launch behind `at` write the buffer before phase `to`? */
static bool written_since(const Recompute *r, uint32_t buffer, uint32_t at, uint32_t to) {
  const Schedule *s = r->s;
  const struct Stock *b = &r->stock[buffer];
  if (!b->writers || b->writer <= at) return false;
  if (b->writers == 1) return s->launches.data[b->writer].phase < to;
  for (uint32_t i = at + 1; i < s->launches.count && s->launches.data[i].phase < to; i++)
    if (writes(s, &s->launches.data[i], buffer)) return true;
  return false;
}

/* Is the buffer idle at the peak, to be read again later? */
static bool idle_at_peak(const Recompute *r, uint32_t buffer) {
  const Buffer *b = &r->s->buffers.data[buffer];
  const struct Stock *k = &r->stock[buffer];
  return !k->kept && !k->busy && k->writers == 1 && b->first_phase < r->peak && b->last_phase > r->peak && k->next != UINT32_MAX;
}

static double launch_cost(const Recompute *r, const Launch *l) {
  const Kernel *k = &r->s->kernels.data[l->kernel];
  int64_t batch = 1;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++) batch = r->batch[i] > batch ? r->batch[i] : batch;
  double cost = kernel_flops(k, batch) / FLOPS_A_BYTE + 1;
  for (uint32_t i = 0; i < k->operand_count; i++) cost += (double)buffer_bytes(r, &r->s->buffers.data[l->operands[i]]);
  return cost;
}

/* The one launch that makes the value, or -1. */
static int32_t writer_of(const Recompute *r, uint32_t buffer) {
  return r->stock[buffer].writers == 1 && !r->s->buffers.data[buffer].is_slot ? (int32_t)r->stock[buffer].writer : -1;
}

/* Launch `at` joins the chain, behind launches for what it reads that is gone by the peak; what can only be kept costs its
 * bytes. False where it cannot run again. */
static bool join(const Recompute *r, uint32_t at, Choice *c) {
  const Schedule *s = r->s;
  const Launch *l = &s->launches.data[at];
  const Kernel *k = &s->kernels.data[l->kernel];
  for (uint32_t i = 0; i < c->count; i++)
    if (c->launches[i] == at) return true;
  if (l->loop) return false;
  for (uint32_t i = 0; i < k->operand_count; i++) {
    const uint32_t own = l->operands[i];
    if (k->operand_written[i] ? writer_of(r, own) != (int32_t)at : written_since(r, own, at, c->phase)) return false;
  }
  for (uint32_t i = 0; i < k->operand_count; i++) {
    const Buffer *b = &s->buffers.data[l->operands[i]];
    if (k->operand_written[i] || b->is_slot || b->last_phase >= r->peak) continue;
    const int32_t writer = writer_of(r, l->operands[i]);
    const Choice before = *c;
    if (writer >= 0 && c->count + 1 < CHAIN && join(r, (uint32_t)writer, c)) continue;
    *c = before;
    c->gain -= (double)buffer_bytes(r, b);
  }
  if (c->count == CHAIN) return false;
  c->launches[c->count++] = at;
  c->cost += launch_cost(r, l);
  return true;
}

/* What running launch `at` again for `buffer` would free at the peak, and cost; false where nothing is gained. */
static bool weigh(const Recompute *r, uint32_t at, uint32_t buffer, Choice *c) {
  const Launch *l = &r->s->launches.data[at];
  const Kernel *k = &r->s->kernels.data[l->kernel];
  *c = (Choice){.phase = r->stock[buffer].next};
  if (!idle_at_peak(r, buffer) || !join(r, at, c)) return false;
  for (uint32_t i = 0; i < k->operand_count; i++)
    if (k->operand_written[i] && idle_at_peak(r, l->operands[i])) c->gain += (double)buffer_bytes(r, &r->s->buffers.data[l->operands[i]]);
  return c->gain > 0;
}

static bool choose(const Recompute *r, Choice *best) {
  const Schedule *s = r->s;
  *best = (Choice){.cost = 1};
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    const Kernel *k = &s->kernels.data[l->kernel];
    for (uint32_t o = 0; o < k->operand_count && l->phase < r->peak; o++) {
      Choice c;
      if (k->operand_written[o] && weigh(r, i, l->operands[o], &c) && c.gain / c.cost > best->gain / best->cost) *best = c;
    }
  }
  return best->count > 0;
}

/* Every phase from `phase` on comes one later. */
static void open_phase(Schedule *s, uint32_t phase) {
  for (uint32_t i = 0; i < s->launches.count; i++) s->launches.data[i].phase += s->launches.data[i].phase >= phase;
  for (uint32_t i = 0; i < s->loops.count; i++) {
    s->loops.data[i].first_phase += s->loops.data[i].first_phase >= phase;
    s->loops.data[i].last_phase += s->loops.data[i].last_phase >= phase;
  }
  s->phases++;
}

static void rename_from(Schedule *s, uint32_t phase, uint32_t buffer, uint32_t other) {
  for (uint32_t i = 0; i < s->launches.count; i++) {
    Launch *l = &s->launches.data[i];
    for (uint32_t k = 0; l->phase >= phase && k < s->kernels.data[l->kernel].operand_count; k++)
      if (l->operands[k] == buffer) l->operands[k] = other;
  }
}

static void insert_launch(Schedule *s, const Launch *l) {
  uint32_t at = 0;
  while (at < s->launches.count && s->launches.data[at].phase < l->phase) at++;
  vec_reserve(&s->launches, 1);
  memmove(&s->launches.data[at + 1], &s->launches.data[at], (s->launches.count - at) * sizeof *l);
  s->launches.data[at] = *l;
  s->launches.count++;
}

/* What the launches write a second time goes to buffers of its own, which the chain and later readers then read. */
static void run_again(Recompute *r, const Choice *c) {
  Schedule *s = r->s;
  const uint32_t n = s->buffers.count;
  uint32_t *copy = mem_alloc((n + 1) * sizeof *copy);
  bool *idle = mem_zero(n + 1, 1);
  Launch chain[CHAIN];
  for (uint32_t i = 0; i < n; i++) copy[i] = i;
  for (uint32_t i = 0; i < c->count; i++) {
    Launch *l = &chain[i];
    *l = s->launches.data[c->launches[i]];
    const Kernel *k = &s->kernels.data[l->kernel];
    for (uint32_t o = 0; o < k->operand_count; o++) {
      if (!k->operand_written[o] || copy[l->operands[o]] != l->operands[o]) continue;
      const Buffer b = s->buffers.data[l->operands[o]];
      idle[l->operands[o]] = i + 1 == c->count && idle_at_peak(r, l->operands[o]);
      copy[l->operands[o]] = s->buffers.count;
      vec_push(&s->buffers, b);
    }
    for (uint32_t o = 0; o < k->operand_count; o++) l->operands[o] = copy[l->operands[o]];
    l->phase = c->phase + i;
    l->title = arena_printf(&s->memory, "%s again", l->title);
  }
  for (uint32_t i = 0; i < c->count; i++) open_phase(s, c->phase);
  for (uint32_t i = 0; i < n; i++)
    if (idle[i]) rename_from(s, c->phase, i, copy[i]);
  for (uint32_t i = 0; i < c->count; i++) insert_launch(s, &chain[i]);
  free(copy), free(idle);
}

static void find_peak(Recompute *r) {
  const Schedule *s = r->s;
  double most = -1, *change = mem_zero(s->phases + 2, sizeof *change), bytes = 0;
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    const Buffer *b = &s->buffers.data[i];
    if (b->is_slot || b->first_phase == UINT32_MAX) continue;
    change[b->first_phase] += (double)buffer_bytes(r, b), change[b->last_phase + 1] -= (double)buffer_bytes(r, b);
  }
  for (uint32_t phase = 0; phase < s->phases; phase++) {
    bytes += change[phase];
    if (bytes > most) most = bytes, r->peak = phase;
  }
  free(change);
}

static void take_stock(Recompute *r) {
  const Schedule *s = r->s;
  const uint32_t n = s->buffers.count;
  find_peak(r);
  r->stock = mem_resize(r->stock, (n + 1) * sizeof *r->stock);
  for (uint32_t i = 0; i < n; i++)
    r->stock[i] = (struct Stock){.next = UINT32_MAX, .kept = s->buffers.data[i].is_slot || s->buffers.data[i].first_phase == UINT32_MAX};
  for (uint32_t i = 0; i < s->output_buffer.count; i++) {
    if (s->output_buffer.data[i] != UINT32_MAX) r->stock[s->output_buffer.data[i]].kept = true;
    if (s->weight_buffer.data[i] != UINT32_MAX) r->stock[s->weight_buffer.data[i]].kept = true;
  }
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    const Kernel *k = &s->kernels.data[l->kernel];
    uint32_t first, last;
    phases_of(s, l, &first, &last);
    for (uint32_t o = 0; o < k->operand_count; o++) {
      struct Stock *b = &r->stock[l->operands[o]];
      if (k->operand_written[o] && (!b->writers || b->writer != i)) b->writers++, b->writer = i;
      b->busy |= first <= r->peak && last >= r->peak;
      if (first > r->peak && first < b->next) b->next = first;
    }
  }
}

/* ---- what can be gone back to ---- */

typedef struct {
  Launch *launches;
  Buffer *buffers;
  ScheduleLoop *loops;
  uint32_t launch_count, buffer_count, phases;
  int64_t bytes;
} Snapshot;

static void *copy_of(const void *data, size_t bytes) {
  void *copy = mem_alloc(bytes + 1);
  if (bytes) memcpy(copy, data, bytes);
  return copy;
}

static void snapshot_free(Snapshot *p) { free(p->launches), free(p->buffers), free(p->loops); }

static void snapshot_take(Snapshot *p, const Schedule *s, int64_t bytes) {
  snapshot_free(p);
  *p = (Snapshot){copy_of(s->launches.data, s->launches.count * sizeof *s->launches.data),
                  copy_of(s->buffers.data, s->buffers.count * sizeof *s->buffers.data),
                  copy_of(s->loops.data, s->loops.count * sizeof *s->loops.data), s->launches.count, s->buffers.count, s->phases, bytes};
}

/* Lists only ever grow, so what was there then still fits. */
static void snapshot_return(const Snapshot *p, Schedule *s) {
  memcpy(s->launches.data, p->launches, p->launch_count * sizeof *p->launches);
  memcpy(s->buffers.data, p->buffers, p->buffer_count * sizeof *p->buffers);
  if (s->loops.count) memcpy(s->loops.data, p->loops, s->loops.count * sizeof *p->loops);
  s->launches.count = p->launch_count, s->buffers.count = p->buffer_count, s->phases = p->phases;
}

/* A phase for each launch outside of loops: threads then wait for each other more often, and values live no longer than they
 * are needed. */
static void spread_phases(Schedule *s) {
  uint32_t phase = 0, old = 0;
  for (uint32_t i = 0; i < s->loops.count; i++) s->loops.data[i].first_phase = UINT32_MAX, s->loops.data[i].last_phase = 0;
  for (uint32_t i = 0; i < s->launches.count; i++) {
    Launch *l = &s->launches.data[i];
    if (i && (!l->loop || !s->launches.data[i - 1].loop || l->phase != old)) phase++;
    old = l->phase;
    l->phase = phase;
    for (uint32_t loop = l->loop; loop; loop = s->loops.data[loop - 1].parent) {
      ScheduleLoop *around = &s->loops.data[loop - 1];
      if (phase < around->first_phase) around->first_phase = phase;
      if (phase > around->last_phase) around->last_phase = phase;
    }
  }
  s->phases = phase + 1;
}

int64_t schedule_recompute(Schedule *s, const int64_t *batch, int64_t limit) {
  int64_t rounded[GRADC_MAX_BATCHES];
  for (int i = 0; i < GRADC_MAX_BATCHES; i++)
    rounded[i] = batch[i] > INT64_MAX / 32 ? INT64_MAX / 2 : (batch[i] + GRADC_BATCH_ROUND - 1) / GRADC_BATCH_ROUND * GRADC_BATCH_ROUND;
  Recompute r = {.s = s, .batch = rounded};
  Snapshot best = {0};
  if (arena_bytes(&r) <= limit) return arena_bytes(&r);
  snapshot_take(&best, s, arena_bytes(&r));
  spread_phases(s);
  plan_memory(s);
  if (arena_bytes(&r) < best.bytes) snapshot_take(&best, s, arena_bytes(&r));
  for (int idle = 0; best.bytes > limit && idle < PATIENCE; idle++) {
    Choice c;
    take_stock(&r);
    if (!choose(&r, &c)) break;
    run_again(&r, &c);
    plan_memory(s);
    const int64_t bytes = arena_bytes(&r);
    if (bytes < best.bytes) snapshot_take(&best, s, bytes), idle = -1;
  }
  snapshot_return(&best, s);
  plan_memory(s);
  snapshot_free(&best);
  free(r.stock);
  return arena_bytes(&r);
}
