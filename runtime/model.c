/* model.c: makes instances of a program and runs their entries. What it does not do: batches, epochs, files. */
#define _GNU_SOURCE
#include "model.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (2 << 20)

GradcStatus gradc_memory(const GradcProgram *program, const int64_t *capacity, int threads, GradcMemory *memory,
                         GradcMessage *message) {
  GradcLayout layout;
  if (!memory) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no place for the answer was given");
  GradcStatus status = gradc_layout(program, capacity, threads, sizeof(GradcModel), &layout, message);
  if (!status) *memory = layout.memory;
  return status;
}

/* -- Running an entry -- */

typedef struct {
  GradcModel *model;
  GradcEntry run;
} Job;

static void job_run(void *argument, int64_t thread, int64_t threads) {
  const Job *job = argument;
  GradcModel *model = job->model;
  job->run(&model->frame, thread, threads, model->scratch + thread * model->layout.scratch_bytes);
}

static void frame_barrier(GradcFrame *frame, int64_t thread) { gradc_team_barrier(frame->team); }

void gradc_set_stamp(GradcModel *model, void (*stamp)(GradcFrame *, int64_t, int64_t), void *stamps) {
  model->frame.stamp = stamp;
  model->frame.stamps = stamps;
}

static void run_entry(GradcModel *model, GradcEntryKind kind) {
  const GradcEntryInfo *entry = &model->program->entries[kind];
  model->frame.steps = model->progress.steps;
  model->frame.epoch = model->progress.epoch;
  model->frame.seed = model->progress.seed;
  const int64_t step = model->progress.step + (kind == GRADC_ENTRY_GRADIENT); /* that of the step that would follow */
  model->frame.step = (double)step;
  model->frame.draw = kind == GRADC_ENTRY_TRAIN || kind == GRADC_ENTRY_GRADIENT ? (uint64_t)step : 0;
  int threads = entry->max_threads < (uint32_t)model->layout.threads ? (int)entry->max_threads : model->layout.threads;
  Job job = {model, entry->run};
  gradc_team_run(model->team, threads, job_run, &job);
  model->last = kind;
}

/* Parameters and states from the seed, in memory of zeros. */
static void initialise(GradcModel *model, uint64_t seed) {
  const GradcLayout *layout = &model->layout;
  char *base = (char *)model;
  model->progress = (GradcProgress){.steps = 1, .seed = seed};
  memcpy(model->frame.batch, model->capacity, sizeof model->frame.batch);
  run_entry(model, GRADC_ENTRY_INIT);
  const GradcProgram *program = model->program;
  for (uint32_t i = 0; i < program->start_count; i++)
    memcpy(gradc_slot_data(model, program->starts[i].slot), program->starts[i].data, (size_t)program->starts[i].bytes);
  memcpy(base + layout->start, base + layout->metrics, (size_t)layout->metric_bytes);
  model->last = -1;
}

GradcStatus gradc_reset(GradcModel *model, uint64_t seed) {
  if (!model) return GRADC_ERROR_ARGUMENT;
  memset((char *)model + model->layout.kept, 0, (size_t)(model->layout.kept_bytes + model->layout.metric_bytes));
  initialise(model, seed);
  return GRADC_OK;
}

/* -- Making an instance -- */

static void fill_feeds(GradcModel *model) {
  const GradcProgram *program = model->program;
  int64_t at = 0;
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const GradcSlot *slot = &program->slots[i];
    if (!gradc_slot_fed(slot)) continue;
    bool labels = slot->classes > 0 && slot->type == GRADC_I32;
    model->feeds[at++] = (GradcFeed){i, slot->kind == GRADC_SLOT_TARGET, labels || slot->type == GRADC_BOOL};
  }
}

static uint32_t feed_of(const GradcModel *model, uint32_t slot) {
  uint32_t feed = 0;
  while (model->feeds[feed].slot != slot) feed++;
  return feed;
}

/* The addresses of the buffer table; false if a row lies outside the arena. */
static bool fill_buffers(GradcModel *model) {
  const GradcProgram *program = model->program;
  const GradcLayout *layout = &model->layout;
  int64_t feed_row = 0, metric_row = layout->feed_rows;
  for (uint32_t i = 0; i < program->buffer_count; i++) {
    const GradcBuffer *row = &program->buffers[i];
    if (row->where == GRADC_AT_SLOT) {
      const GradcSlot *slot = &program->slots[row->slot];
      model->buffers[i] = gradc_slot_fed(slot) ? NULL : gradc_slot_data(model, row->slot);
      if (gradc_slot_fed(slot)) model->rows[feed_row++] = (GradcRow){i, row->slot, feed_of(model, row->slot)};
      if (slot->kind == GRADC_SLOT_METRIC) model->rows[metric_row++] = (GradcRow){i, row->slot, 0};
      continue;
    }
    int64_t offset = row->offset;
    for (int b = 0; b < layout->batches; b++) {
      int64_t part;
      if (__builtin_mul_overflow(row->offset_batch[b], layout->capacity[b], &part) ||
          __builtin_add_overflow(offset, part, &offset))
        return false;
    }
    if (row->pair) {
      int64_t product, part;
      if (!gradc_add_pairs(&program->entries[row->entry], layout, row->pair - 1, &offset) ||
          !gradc_pair_capacity(layout, row->pair - 1, &product) ||
          __builtin_mul_overflow(row->offset_pair, product, &part) || __builtin_add_overflow(offset, part, &offset))
        return false;
    }
    if (offset > layout->scratch - layout->arena) return false;
    model->buffers[i] = (char *)model + layout->arena + offset;
  }
  return true;
}

/* Builds the instance at the beginning of its memory, which is all zeros: what lies beside the examples of a short batch is then
 * the same in every run. */
static GradcStatus build(void *memory, const GradcProgram *program, const int64_t *capacity, const GradcLayout *layout,
                         uint64_t seed, GradcModel **out, GradcMessage *message) {
  GradcModel *model = memory;
  char *base = memory;
  model->program = program;
  model->layout = *layout;
  model->last = -1;
  model->team = (GradcTeam *)(base + layout->team);
  model->buffers = (void **)(base + layout->buffers);
  model->slots = (int64_t *)(base + layout->slots);
  model->feeds = (GradcFeed *)(base + layout->feeds);
  model->rows = (GradcRow *)(base + layout->rows);
  model->figures = (GradcFigure *)(base + layout->figures);
  model->scratch = base + layout->scratch;
  const int64_t *wanted = capacity ? capacity : program->batch;
  memcpy(model->capacity, wanted, (size_t)layout->batches * sizeof *wanted);
  gradc_layout_slots(program, layout, model->slots);
  fill_feeds(model);
  if (!fill_buffers(model))
    return gradc_fail(message, GRADC_ERROR_PROGRAM, "the compiled model \"%s\" is damaged: a buffer outside its arena",
                      program->name);
  int error = gradc_team_start(model->team, layout->threads);
  if (error)
    return gradc_fail(message, GRADC_ERROR_THREADS, "cannot start %d threads: %s", layout->threads, strerror(error));
  model->frame.buffers = model->buffers;
  model->frame.barrier = frame_barrier;
  model->frame.team = model->team;
  initialise(model, seed);
  *out = model;
  return GRADC_OK;
}

static GradcStatus too_large(GradcMessage *message, const GradcProgram *program, const GradcMemory *memory,
                             int64_t available) {
  char total[GRADC_SIZE_TEXT], kept[GRADC_SIZE_TEXT], arena[GRADC_SIZE_TEXT], have[GRADC_SIZE_TEXT];
  gradc_size_text(total, memory->total);
  gradc_size_text(kept, memory->parameters + memory->states + memory->optimizer + memory->metrics);
  gradc_size_text(arena, memory->arena + memory->scratch);
  if (available < 0)
    return gradc_fail(message, GRADC_ERROR_MEMORY, "the model \"%s\" needs %s, and the system does not give it",
                      program->name, total);
  gradc_size_text(have, available);
  return gradc_fail(message, GRADC_ERROR_MEMORY,
                    "the model \"%s\" needs %s (%s of parameters and states, %s of working memory at this batch), but "
                    "the machine has %s free: a smaller batch needs less working memory",
                    program->name, total, kept, arena, have);
}

/* Zeros in memory of our own, `huge`: at a multiple of HUGE_PAGE. The system gives pages of zeros as they are touched: some never are. */
static void clear(char *memory, size_t size, bool huge) {
  size_t fresh = 0;
#ifdef __linux__
  if (huge && !madvise(memory, size / HUGE_PAGE * HUGE_PAGE, MADV_DONTNEED)) fresh = size / HUGE_PAGE * HUGE_PAGE;
#endif
  memset(memory + fresh, 0, size - fresh);
}

GradcStatus gradc_create(const GradcProgram *program, uint64_t seed, const int64_t *capacity, int threads,
                         GradcModel **model, GradcMessage *message) {
  GradcLayout layout;
  if (!model) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no place for the model was given");
  *model = NULL;
  GradcStatus status = gradc_layout(program, capacity, threads, sizeof(GradcModel), &layout, message);
  if (status) return status;
  int64_t total = layout.memory.total, available = gradc_available_memory();
  if (available >= 0 && total > available) return too_large(message, program, &layout.memory, available);
  void *memory = NULL;
  bool huge = total >= 2 * HUGE_PAGE;
  if (posix_memalign(&memory, huge ? HUGE_PAGE : 64, (size_t)total))
    return too_large(message, program, &layout.memory, -1);
#ifdef MADV_HUGEPAGE
  if (huge) madvise(memory, (size_t)total, MADV_HUGEPAGE); /* advice: a refusal changes nothing */
#endif
  clear(memory, (size_t)total, huge);
  status = build(memory, program, capacity, &layout, seed, model, message);
  if (status) free(memory);
  else (*model)->own = memory;
  return status;
}

GradcStatus gradc_create_at(const GradcProgram *program, uint64_t seed, const int64_t *capacity, int threads,
                            void *memory, int64_t size, GradcModel **model, GradcMessage *message) {
  GradcLayout layout;
  if (!model) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no place for the model was given");
  *model = NULL;
  GradcStatus status = gradc_layout(program, capacity, threads, sizeof(GradcModel), &layout, message);
  if (status) return status;
  if (!memory || (uintptr_t)memory % 64)
    return gradc_fail(message, GRADC_ERROR_ARGUMENT, "the memory for the model \"%s\" must begin at a multiple of 64",
                      program->name);
  if (size < layout.memory.total)
    return gradc_fail(message, GRADC_ERROR_ARGUMENT, "the model \"%s\" needs %lld bytes, and was given %lld",
                      program->name, (long long)layout.memory.total, (long long)size);
  memset(memory, 0, (size_t)layout.memory.total);
  return build(memory, program, capacity, &layout, seed, model, message);
}

void gradc_free(GradcModel *model) {
  if (!model) return;
  gradc_team_stop(model->team);
  free(model->own);
}

/* -- Steps -- */

/* The first label outside -1 .. classes - 1, or -1. */
static int64_t bad_label(const int32_t *labels, int64_t count, int32_t classes) {
  uint32_t bad = 0; /* without a branch, so that it is a few instructions for 16 labels */
  for (int64_t i = 0; i < count; i++) bad |= (uint32_t)(labels[i] + 1u > (uint32_t)classes);
  for (int64_t i = 0; bad && i < count; i++)
    if (labels[i] + 1u > (uint32_t)classes) return i;
  return -1;
}

static int64_t bad_truth(const uint8_t *values, int64_t count) {
  uint8_t bad = 0;
  for (int64_t i = 0; i < count; i++) bad |= values[i] > 1;
  for (int64_t i = 0; bad && i < count; i++)
    if (values[i] > 1) return i;
  return -1;
}

static GradcStatus check_values(GradcModel *model, const GradcSlot *slot, const void *values, const int64_t *batch) {
  int64_t count, bytes;
  gradc_shape_size(slot->dims, slot->rank, slot->type, batch, &count, &bytes);
  if (slot->type == GRADC_BOOL) {
    int64_t at = bad_truth(values, count);
    if (at < 0) return GRADC_OK;
    return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "%s: element %lld is %d: a truth value is 0 or 1", slot->name,
                      (long long)at, ((const uint8_t *)values)[at]);
  }
  int64_t at = bad_label(values, count, slot->classes);
  if (at < 0) return GRADC_OK;
  return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT,
                    "%s: element %lld is %d: a label of %d classes is 0 to %d, or -1 where it is not known", slot->name,
                    (long long)at, ((const int32_t *)values)[at], slot->classes, slot->classes - 1);
}

static GradcStatus check_step(GradcModel *model, GradcEntryKind kind, const void *const *inputs, const int64_t *batch) {
  const GradcProgram *program = model->program;
  const GradcLayout *layout = &model->layout;
  if (!program->entries[kind].run)
    return gradc_fail(&model->message, GRADC_ERROR_PROGRAM, "the model \"%s\" was compiled without %s", program->name,
                      gradc_entry_name(kind));
  if ((layout->feed_count && !inputs) || (layout->batches && !batch))
    return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "no inputs or no batch were given");
  for (int i = 0; i < layout->batches; i++)
    if (batch[i] < 1 || batch[i] > model->capacity[i])
      return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "a batch of %lld examples: this instance takes 1 to %lld",
                        (long long)batch[i], (long long)model->capacity[i]);
  for (int64_t i = 0; i < layout->feed_count; i++) {
    const GradcFeed *feed = &model->feeds[i];
    const GradcSlot *slot = &program->slots[feed->slot];
    if (!inputs[i]) {
      if (feed->target && kind == GRADC_ENTRY_EVAL) continue;
      return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "%s \"%s\" was not given",
                        feed->target ? "target" : "input", slot->name);
    }
    if ((uintptr_t)inputs[i] & (uintptr_t)(gradc_type_bytes(slot->type) - 1))
      return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "%s: the array is not aligned to its %s elements", slot->name,
                        gradc_type_name(slot->type));
    GradcStatus status = feed->checked ? check_values(model, slot, inputs[i], batch) : GRADC_OK;
    if (status) return status;
  }
  return GRADC_OK;
}

/* The addresses of this step's arrays. True if a target was missing. */
static bool set_feeds(GradcModel *model, const void *const *inputs, const int64_t *batch) {
  const GradcLayout *layout = &model->layout;
  bool missing = false;
  for (int i = 0; i < layout->batches; i++) model->frame.batch[i] = batch[i];
  for (int64_t i = 0; i < layout->feed_count; i++) missing |= !inputs[i];
  for (int64_t i = 0; i < layout->feed_rows; i++) {
    const void *data = inputs[model->rows[i].feed];
    model->buffers[model->rows[i].row] = data ? (void *)data : (char *)model + layout->zeros;
  }
  return missing;
}

/* Lets the entry see the metrics' states at another place: `offset` bytes further. */
static void move_metrics(GradcModel *model, int64_t offset) {
  const GradcLayout *layout = &model->layout;
  for (int64_t i = layout->feed_rows; i < layout->feed_rows + layout->metric_rows; i++)
    model->buffers[model->rows[i].row] = (char *)gradc_slot_data(model, model->rows[i].slot) + offset;
}

GradcStatus gradc_train_step(GradcModel *model, const void *const *inputs, const int64_t *batch) {
  if (!model) return GRADC_ERROR_ARGUMENT;
  GradcStatus status = check_step(model, GRADC_ENTRY_TRAIN, inputs, batch);
  if (status) return status;
  set_feeds(model, inputs, batch);
  model->unjudged = false;
  model->progress.step++;
  run_entry(model, GRADC_ENTRY_TRAIN);
  return GRADC_OK;
}

GradcStatus gradc_eval(GradcModel *model, const void *const *inputs, const int64_t *batch) {
  if (!model) return GRADC_ERROR_ARGUMENT;
  const GradcLayout *layout = &model->layout;
  GradcStatus status = check_step(model, GRADC_ENTRY_EVAL, inputs, batch);
  if (status) return status;
  model->unjudged = set_feeds(model, inputs, batch);
  if (model->unjudged) {
    memcpy((char *)model + layout->spare, (char *)model + layout->start, (size_t)layout->metric_bytes);
    move_metrics(model, layout->spare - layout->metrics);
  }
  run_entry(model, GRADC_ENTRY_EVAL);
  if (model->unjudged) move_metrics(model, 0);
  return GRADC_OK;
}

GradcStatus gradc_gradient(GradcModel *model, const void *const *inputs, const int64_t *batch) {
  if (!model) return GRADC_ERROR_ARGUMENT;
  GradcStatus status = check_step(model, GRADC_ENTRY_GRADIENT, inputs, batch);
  if (status) return status;
  set_feeds(model, inputs, batch);
  model->unjudged = false;
  run_entry(model, GRADC_ENTRY_GRADIENT);
  return GRADC_OK;
}

void gradc_reset_metrics(GradcModel *model) {
  if (!model) return;
  const GradcLayout *layout = &model->layout;
  memcpy((char *)model + layout->metrics, (char *)model + layout->start, (size_t)layout->metric_bytes);
}
