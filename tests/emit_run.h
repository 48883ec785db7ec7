/* emit_run.h: runs a schedule as machine code: typed memory for its buffers, a frame, a team of threads. */
#ifndef GRADC_EMIT_RUN_H
#define GRADC_EMIT_RUN_H
#include <pthread.h>
#include <string.h>

#include "emit.h"
#include "interp.h"
#include "schedule.h"

typedef struct {
  const Schedule *s;
  void **buffers;   /* one a buffer of the schedule */
  void *arena;
  int64_t *counts;  /* elements of each */
} EmitRun;

static inline int64_t er_size(uint8_t type) { return type_bytes((Type)type); }

static inline void er_put(void *to, uint8_t type, int64_t i, double value) {
  switch (type) {
  case TYPE_F32: ((float *)to)[i] = (float)value; break;
  case TYPE_F64: ((double *)to)[i] = value; break;
  case TYPE_I32: ((int32_t *)to)[i] = (int32_t)value; break;
  default: ((uint8_t *)to)[i] = value != 0; break;
  }
}

static inline double er_get(const void *from, uint8_t type, int64_t i) {
  switch (type) {
  case TYPE_F32: return ((const float *)from)[i];
  case TYPE_F64: return ((const double *)from)[i];
  case TYPE_I32: return ((const int32_t *)from)[i];
  case TYPE_BF16: return (double)(((const uint16_t *)from)[i]); /* its bits: no result is one */
  default: return ((const uint8_t *)from)[i];
  }
}

/* Memory as the runtime would give it; slots are filled from the input. Everything is surrounded by what the sanitizer watches:
 * each slot is an allocation of its exact size. */
static inline void emit_run_open(EmitRun *r, const Schedule *s, const InterpInput *input) {
  *r = (EmitRun){.s = s, .buffers = mem_zero(s->buffers.count + 1, sizeof(void *)), .counts = mem_zero(s->buffers.count + 1, 8)};
  int64_t capacity[GRADC_MAX_BATCHES], bytes = s->arena;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++) {
    capacity[i] = (input->batch[i] + GRADC_BATCH_ROUND - 1) / GRADC_BATCH_ROUND * GRADC_BATCH_ROUND;
    bytes += s->arena_batch[i] * capacity[i];
  }
  int64_t product[GRADC_MAX_PAIRS], before[GRADC_MAX_PAIRS];
  for (int a = 0; a < GRADC_MAX_BATCHES; a++)
    for (int b = a; b < GRADC_MAX_BATCHES; b++) product[gradc_pair(a, b)] = capacity[a] * capacity[b];
  for (int i = 0, whole = 0; i < GRADC_MAX_PAIRS; i++)
    before[i] = whole, whole += (int)(s->arena_pair[i] * product[i]), bytes += s->arena_pair[i] * product[i];
  r->arena = aligned_alloc(64, (size_t)(bytes + 127) / 64 * 64);
  memset(r->arena, 0x7f, (size_t)(bytes + 127) / 64 * 64); /* what is read before it is written shows */
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    const Buffer *b = &s->buffers.data[i];
    const Dims *d = shape_dims(s->graph, b->shape);
    int64_t n = 1;
    for (uint32_t k = 0; k < d->rank; k++) n *= dim_is_batch(d->dims[k]) ? input->batch[DIM_BATCH - d->dims[k]] : d->dims[k];
    r->counts[i] = n;
    if (b->is_slot) {
      r->buffers[i] = mem_zero((size_t)n + !n, (size_t)er_size(b->type));
      for (int64_t k = 0; k < n && input->slots[b->slot]; k++) er_put(r->buffers[i], b->type, k, input->slots[b->slot][k]);
      continue;
    }
    int64_t at = b->offset;
    for (int k = 0; k < GRADC_MAX_BATCHES; k++) at += b->offset_batch[k] * capacity[k];
    if (b->pair) at += before[b->pair - 1] + b->offset_pair * product[b->pair - 1];
    r->buffers[i] = (char *)r->arena + at;
  }
}

static inline void emit_run_close(EmitRun *r) {
  for (uint32_t i = 0; i < r->s->buffers.count; i++)
    if (r->s->buffers.data[i].is_slot) free(r->buffers[i]);
  free(r->arena), free(r->buffers), free(r->counts);
}

typedef struct {
  GradcEntry entry;
  GradcFrame *frame;
  int64_t thread, threads, scratch;
} ErJob;

static void *er_work(void *p) {
  ErJob *j = p;
  void *scratch = aligned_alloc(64, (size_t)(j->scratch + 127) / 64 * 64);
  j->entry(j->frame, j->thread, j->threads, scratch);
  free(scratch);
  return NULL;
}

static inline void er_barrier(GradcFrame *frame, int64_t thread) { pthread_barrier_wait(frame->team); }

static inline void emit_run(EmitRun *r, GradcEntry entry, const InterpInput *input, int threads, int64_t scratch) {
  pthread_barrier_t barrier;
  pthread_t id[16];
  ErJob jobs[16];
  GradcFrame frame = {.buffers = (void *const *)r->buffers, .step = input->step, .steps = input->steps, .epoch = input->epoch,
                      .seed = input->seed, .draw = input->draw, .barrier = er_barrier, .team = &barrier};
  memcpy(frame.batch, input->batch, sizeof frame.batch);
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (int t = 0; t < threads; t++) jobs[t] = (ErJob){entry, &frame, t, threads, scratch};
  for (int t = 1; t < threads; t++) pthread_create(&id[t], NULL, er_work, &jobs[t]);
  er_work(&jobs[0]);
  for (int t = 1; t < threads; t++) pthread_join(id[t], NULL);
  pthread_barrier_destroy(&barrier);
}

#endif
