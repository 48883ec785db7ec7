/* layout.c: checks a program's tables, and lays an instance out. Sizes are summed with overflow checks: a capacity is the
 * user's number, and may be anything. */
#include "layout.h"
#include <string.h>
#include "team.h"

/* Hands out parts one after another; once it has left 63 bits it stays so. */
typedef struct {
  int64_t at;
  bool over;
} Cursor;

static int64_t take(Cursor *cursor, int64_t bytes) {
  int64_t begin = cursor->at, end;
  if (cursor->over || bytes < 0 || __builtin_add_overflow(begin, bytes, &end) || end > INT64_MAX - 63) {
    cursor->over = true;
    return 0;
  }
  cursor->at = (end + 63) & ~(int64_t)63;
  return begin;
}

static int64_t take_times(Cursor *cursor, int64_t count, int64_t bytes) {
  int64_t all;
  if (__builtin_mul_overflow(count, bytes, &all)) all = -1;
  return take(cursor, all);
}

bool gradc_shape_size(const int64_t *dims, int rank, GradcType type, const int64_t *batch, int64_t *count,
                      int64_t *bytes) {
  int64_t product = 1;
  for (int i = 0; i < rank; i++)
    if (__builtin_mul_overflow(product, dims[i] < 0 ? batch[-1 - dims[i]] : dims[i], &product)) return false;
  *count = product;
  return !__builtin_mul_overflow(product, gradc_type_bytes(type), bytes);
}

/* -- Checking a program -- */

/* In what `gradc build` makes, tables and this code were written by one gradc, into one file: only the version is looked at. */
#ifdef GRADC_LINKED
enum { TABLES_ARE_OURS = 1 };
#else
enum { TABLES_ARE_OURS = 0 };
#endif

static bool shape_valid(const int64_t *dims, int rank, bool batched) {
  if (rank > GRADC_MAX_RANK) return false;
  for (int i = 0; i < rank; i++)
    if (dims[i] < (batched ? -GRADC_MAX_BATCHES : 0)) return false;
  return true;
}

static bool sizes_valid(int64_t fixed, const int64_t *each) {
  if (fixed < 0) return false;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++)
    if (each[i] < 0) return false;
  return true;
}

static bool pairs_valid(const GradcEntryInfo *entry) {
  for (int i = 0; i < GRADC_MAX_PAIRS; i++)
    if (entry->arena_pair[i] < 0) return false;
  return true;
}

static bool buffer_valid(const GradcProgram *program, const GradcBuffer *row) {
  if (row->where == GRADC_AT_SLOT) return row->slot < program->slot_count;
  if (row->where != GRADC_AT_ARENA || !sizes_valid(row->offset, row->offset_batch)) return false;
  return !row->pair || (row->pair <= GRADC_MAX_PAIRS && row->entry < GRADC_ENTRY_COUNT && row->offset_pair >= 0);
}

static GradcStatus damaged(GradcMessage *message, const GradcProgram *program, const char *table, int64_t row) {
  return gradc_fail(message, GRADC_ERROR_PROGRAM, "the compiled model \"%s\" is damaged: row %lld of its %s",
                    program->name, (long long)row, table);
}

static bool output_valid(const GradcProgram *program, const GradcOutput *output) {
  if (!output->name || output->kind > GRADC_OUT_VALUE || output->type > GRADC_BOOL) return false;
  if (!shape_valid(output->dims, output->rank, true) || output->buffer >= program->buffer_count) return false;
  if (output->weight != UINT32_MAX && output->weight >= program->buffer_count) return false;
  if (!gradc_output_judges(output)) return true;
  const bool whole = output->kind == GRADC_OUT_METRIC && output->weight == UINT32_MAX;
  return output->type == GRADC_F64 && (output->rank == 0 || (whole && shape_valid(output->dims, output->rank, false)));
}

static GradcStatus check_entries(const GradcProgram *program, GradcMessage *message) {
  for (int e = 0; e < GRADC_ENTRY_COUNT; e++) {
    const GradcEntryInfo *entry = &program->entries[e];
    if (!sizes_valid(entry->arena, entry->arena_batch) || !pairs_valid(entry) || entry->scratch < 0 ||
        (entry->output_count && !entry->outputs))
      return damaged(message, program, "entries", e);
    for (uint32_t i = 0; i < entry->output_count; i++)
      if (!output_valid(program, &entry->outputs[i])) return damaged(message, program, "outputs", i);
  }
  if (program->entries[GRADC_ENTRY_INIT].run) return GRADC_OK;
  return gradc_fail(message, GRADC_ERROR_PROGRAM, "the compiled model \"%s\" has no code that initialises it",
                    program->name);
}

static GradcStatus check_program(const GradcProgram *program, GradcMessage *message) {
  if (!program) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no program was given");
  if (program->abi != GRADC_ABI_VERSION)
    return gradc_fail(message, GRADC_ERROR_PROGRAM,
                      "the model was compiled for version %u of the interface, this runtime has version %d: compile it again",
                      program->abi, GRADC_ABI_VERSION);
  if (TABLES_ARE_OURS) return GRADC_OK;
  if (!program->name || (program->slot_count && !program->slots) || (program->buffer_count && !program->buffers))
    return gradc_fail(message, GRADC_ERROR_PROGRAM, "the compiled model is damaged: a table is missing");
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const GradcSlot *slot = &program->slots[i];
    if (!slot->name || slot->kind > GRADC_SLOT_METRIC || slot->type > GRADC_BOOL || slot->classes < 0 ||
        !shape_valid(slot->dims, slot->rank, gradc_slot_fed(slot)))
      return damaged(message, program, "slots", i);
  }
  const GradcStatus status = check_entries(program, message);
  if (status) return status;
  for (uint32_t i = 0; i < program->buffer_count; i++)
    if (!buffer_valid(program, &program->buffers[i])) return damaged(message, program, "buffers", i);
  return GRADC_OK;
}

/* What the code needs of the processor, and the weights that the program carries. */
static GradcStatus check_rest(const GradcProgram *program, GradcMessage *message) {
  static const char levels[][15] = {"any", "x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16"};
  if (program->level > GRADC_LEVEL_X86_V4_BF16) return damaged(message, program, "levels", program->level);
  if (program->level > (uint32_t)gradc_processor_level())
    return gradc_fail(message, GRADC_ERROR_PROGRAM,
                      "the model \"%s\" was compiled for %s processors, and this one lacks their instructions: compile it "
                      "with --cpu portable",
                      program->name, levels[program->level]);
  if (TABLES_ARE_OURS) return GRADC_OK;
  if ((program->start_count && !program->starts) || (program->pair_count && !program->pairs))
    return gradc_fail(message, GRADC_ERROR_PROGRAM, "the compiled model \"%s\" is damaged: a table is missing", program->name);
  for (uint32_t i = 0; i < program->start_count; i++) {
    const GradcStart *start = &program->starts[i];
    int64_t count, bytes;
    if (start->slot >= program->slot_count) return damaged(message, program, "weights", i);
    const GradcSlot *slot = &program->slots[start->slot];
    if (gradc_slot_fed(slot) || !start->data || !gradc_shape_size(slot->dims, slot->rank, slot->type, NULL, &count, &bytes) ||
        bytes != start->bytes)
      return damaged(message, program, "weights", i);
  }
  return GRADC_OK;
}

/* -- Queries that need no instance -- */

static void blocks_of(const int64_t *dims, int rank, int *batches) {
  for (int i = 0; i < rank && i < GRADC_MAX_RANK; i++)
    if (dims[i] < -*batches && dims[i] >= -GRADC_MAX_BATCHES) *batches = (int)-dims[i];
}

int gradc_batch_count(const GradcProgram *program) {
  int batches = 0;
  if (!program) return 0;
  for (uint32_t i = 0; i < program->slot_count; i++)
    blocks_of(program->slots[i].dims, program->slots[i].rank, &batches);
  for (int e = 0; e < GRADC_ENTRY_COUNT; e++) {
    const GradcEntryInfo *entry = &program->entries[e];
    for (uint32_t i = 0; i < entry->output_count; i++) blocks_of(entry->outputs[i].dims, entry->outputs[i].rank, &batches);
    for (int b = batches; b < GRADC_MAX_BATCHES; b++)
      if (entry->arena_batch[b]) batches = b + 1;
    for (int b = batches; b < GRADC_MAX_BATCHES; b++)
      for (int a = 0; a <= b; a++)
        if (entry->arena_pair[gradc_pair(a, b)]) batches = b + 1;
  }
  return batches;
}

int gradc_feed_count(const GradcProgram *program) {
  int count = 0;
  for (uint32_t i = 0; program && i < program->slot_count; i++) count += gradc_slot_fed(&program->slots[i]);
  return count;
}

const GradcSlot *gradc_feed(const GradcProgram *program, int index) {
  for (uint32_t i = 0; program && index >= 0 && i < program->slot_count; i++)
    if (gradc_slot_fed(&program->slots[i]) && index-- == 0) return &program->slots[i];
  return NULL;
}

int64_t gradc_find_slot(const GradcProgram *program, const char *name) {
  for (uint32_t i = 0; program && name && i < program->slot_count; i++)
    if (!strcmp(program->slots[i].name, name)) return i;
  return -1;
}

/* -- The layout -- */

static GradcStatus check_capacity(const GradcProgram *program, const int64_t *capacity, GradcLayout *layout,
                                  GradcMessage *message) {
  layout->batches = gradc_batch_count(program);
  if (!capacity) capacity = program->batch;
  for (int i = 0; i < layout->batches; i++) {
    if (capacity[i] < 1 || capacity[i] > INT64_MAX - GRADC_BATCH_ROUND)
      return gradc_fail(message, GRADC_ERROR_ARGUMENT, "the batch capacity is %lld: it must be at least 1",
                        (long long)capacity[i]);
    layout->capacity[i] = (capacity[i] + GRADC_BATCH_ROUND - 1) / GRADC_BATCH_ROUND * GRADC_BATCH_ROUND;
  }
  return GRADC_OK;
}

static int useful_threads(const GradcProgram *program, int threads) {
  uint32_t useful = 1;
  for (int e = 0; e < GRADC_ENTRY_COUNT; e++)
    if (program->entries[e].max_threads > useful) useful = program->entries[e].max_threads;
  uint32_t wanted = threads > 0 ? (uint32_t)threads : (uint32_t)gradc_processors();
  if (wanted > GRADC_MAX_THREADS) wanted = GRADC_MAX_THREADS;
  return (int)(wanted < useful ? wanted : useful);
}

static void count_tables(const GradcProgram *program, GradcLayout *layout) {
  layout->feed_count = gradc_feed_count(program);
  for (uint32_t i = 0; i < program->buffer_count; i++) {
    if (program->buffers[i].where != GRADC_AT_SLOT) continue;
    const GradcSlot *slot = &program->slots[program->buffers[i].slot];
    layout->feed_rows += gradc_slot_fed(slot);
    layout->metric_rows += slot->kind == GRADC_SLOT_METRIC;
  }
  for (int e = 0; e < GRADC_ENTRY_COUNT; e++) {
    int64_t figures = 0;
    for (uint32_t i = 0; i < program->entries[e].output_count; i++)
      figures += gradc_output_judges(&program->entries[e].outputs[i]);
    if (figures > layout->figure_count) layout->figure_count = figures;
  }
}

/* Slots of one kind, one after another; returns their bytes together. */
static int64_t take_slots(const GradcProgram *program, GradcSlotKind kind, Cursor *cursor, int64_t *offsets) {
  int64_t begin = cursor->at;
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const GradcSlot *slot = &program->slots[i];
    int64_t count, bytes;
    if (slot->kind != kind) continue;
    if (!gradc_shape_size(slot->dims, slot->rank, slot->type, NULL, &count, &bytes)) bytes = -1;
    int64_t at = take(cursor, bytes);
    if (offsets) offsets[i] = at;
  }
  return cursor->at - begin;
}

/* Zeros that stand in for a target that is not there: the largest target. */
static int64_t zeros_bytes(const GradcProgram *program, const GradcLayout *layout) {
  int64_t most = 0;
  const GradcEntryInfo *eval = &program->entries[GRADC_ENTRY_EVAL];
  if (!eval->run && !eval->output_count) return 0;
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const GradcSlot *slot = &program->slots[i];
    int64_t count, bytes;
    if (slot->kind != GRADC_SLOT_TARGET) continue;
    if (!gradc_shape_size(slot->dims, slot->rank, slot->type, layout->capacity, &count, &bytes)) return -1;
    if (bytes > most) most = bytes;
  }
  return most;
}

bool gradc_pair_capacity(const GradcLayout *layout, int pair, int64_t *product) {
  for (int a = 0; a < GRADC_MAX_BATCHES; a++)
    for (int b = a; b < GRADC_MAX_BATCHES; b++)
      if (gradc_pair(a, b) == pair) return !__builtin_mul_overflow(layout->capacity[a], layout->capacity[b], product);
  return false;
}

bool gradc_add_pairs(const GradcEntryInfo *entry, const GradcLayout *layout, int pairs, int64_t *bytes) {
  for (int i = 0; i < pairs; i++) {
    int64_t product, part;
    if (entry->arena_pair[i] &&
        (!gradc_pair_capacity(layout, i, &product) || __builtin_mul_overflow(entry->arena_pair[i], product, &part) ||
         __builtin_add_overflow(*bytes, part, bytes)))
      return false;
  }
  return true;
}

/* Entries that are not compiled yet count too: the compiler may fill them in while instances live. */
static int64_t arena_bytes(const GradcProgram *program, const GradcLayout *layout) {
  int64_t most = 0;
  for (int e = 0; e < GRADC_ENTRY_COUNT; e++) {
    const GradcEntryInfo *entry = &program->entries[e];
    int64_t bytes = entry->arena;
    for (int i = 0; i < layout->batches; i++) {
      int64_t part;
      if (__builtin_mul_overflow(entry->arena_batch[i], layout->capacity[i], &part) ||
          __builtin_add_overflow(bytes, part, &bytes))
        return -1;
    }
    if (!gradc_add_pairs(entry, layout, GRADC_MAX_PAIRS, &bytes)) return -1;
    if (bytes > most) most = bytes;
  }
  return most;
}

static int64_t scratch_bytes(const GradcProgram *program) {
  int64_t most = 0;
  for (int e = 0; e < GRADC_ENTRY_COUNT; e++)
    if (program->entries[e].scratch > most) most = program->entries[e].scratch;
  return most > INT64_MAX - 63 ? -1 : (most + 63) & ~(int64_t)63;
}

void gradc_layout_slots(const GradcProgram *program, const GradcLayout *layout, int64_t *offsets) {
  Cursor cursor = {.at = layout->kept};
  for (uint32_t i = 0; i < program->slot_count; i++) offsets[i] = -1;
  for (int kind = GRADC_SLOT_PARAM; kind <= GRADC_SLOT_METRIC; kind++)
    take_slots(program, (GradcSlotKind)kind, &cursor, offsets);
}

GradcStatus gradc_layout(const GradcProgram *program, const int64_t *capacity, int threads, int64_t instance_bytes,
                         GradcLayout *layout, GradcMessage *message) {
  *layout = (GradcLayout){0};
  GradcStatus status = check_program(program, message);
  if (!status) status = check_rest(program, message);
  if (!status && threads < 0)
    status = gradc_fail(message, GRADC_ERROR_ARGUMENT, "the number of threads is %d: it must be at least 1, or 0 for all",
                        threads);
  if (!status) status = check_capacity(program, capacity, layout, message);
  if (status) return status;
  GradcMemory *memory = &layout->memory;
  Cursor cursor = {0};
  memory->threads = layout->threads = useful_threads(program, threads);
  count_tables(program, layout);
  take(&cursor, instance_bytes);
  layout->team = take(&cursor, gradc_team_size(layout->threads));
  layout->buffers = take_times(&cursor, program->buffer_count, sizeof(void *));
  layout->slots = take_times(&cursor, program->slot_count, sizeof(int64_t));
  layout->feeds = take_times(&cursor, layout->feed_count, sizeof(GradcFeed));
  layout->rows = take_times(&cursor, layout->feed_rows + layout->metric_rows, sizeof(GradcRow));
  layout->figures = take_times(&cursor, layout->figure_count, sizeof(GradcFigure));
  memory->tables = layout->kept = cursor.at;
  memory->parameters = take_slots(program, GRADC_SLOT_PARAM, &cursor, NULL);
  memory->states = take_slots(program, GRADC_SLOT_STATE, &cursor, NULL);
  memory->optimizer = take_slots(program, GRADC_SLOT_OPTIMIZER, &cursor, NULL);
  layout->metrics = cursor.at;
  layout->kept_bytes = layout->metrics - layout->kept;
  layout->metric_bytes = take_slots(program, GRADC_SLOT_METRIC, &cursor, NULL);
  layout->start = take(&cursor, layout->metric_bytes);
  layout->spare = take(&cursor, layout->metric_bytes);
  memory->metrics = cursor.at - layout->metrics;
  layout->zeros = take(&cursor, zeros_bytes(program, layout));
  layout->arena = take(&cursor, arena_bytes(program, layout));
  layout->scratch = cursor.at;
  memory->arena = layout->scratch - layout->zeros;
  layout->scratch_bytes = scratch_bytes(program);
  take_times(&cursor, layout->threads, layout->scratch_bytes);
  memory->scratch = cursor.at - layout->scratch;
  memory->total = cursor.at;
  if (!cursor.over && memory->total <= (int64_t)(SIZE_MAX / 2)) return GRADC_OK;
  return gradc_fail(message, GRADC_ERROR_MEMORY, "the model \"%s\" at this batch needs more memory than can be addressed",
                    program->name);
}
