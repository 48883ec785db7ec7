/* cmd_summary.c: what a model consists of, and what a step of it takes: all from the tables of the program, nothing run. */
#include <stdio.h>
#include <string.h>

#include "front.h"
#include "gradc.h"

const uint8_t cmd_summary_options[] = {OPT_batch, OPT_memory_limit, OPT_threads, OPT_set, OPT_dtype, OPT_cpu, OPT_model, OPT_json, OPT_no_warn, OPT_COUNT};

typedef struct {
  Front *f;
  const GradcProgram *program;
  int64_t parameters, states, capacity[GRADC_MAX_BATCHES];
  GradcMemory memory;             /* at the batch */
  int64_t fixed, each, pair;      /* fixed + each * batch + pair * batch^2 bytes */
  double flops;
} Summary;

static int64_t count_of(const GradcSlot *slot) {
  int64_t n = 1;
  for (int i = 0; i < slot->rank; i++) n *= slot->dims[i] < 0 ? 1 : slot->dims[i];
  return n;
}

static void add_shape(Text *out, const GradcSlot *slot) {
  Dims d = {.rank = slot->rank};
  memcpy(d.dims, slot->dims, sizeof slot->dims);
  shape_print(&d, out);
  if (slot->classes) text_printf(out, " of label[%d]", slot->classes);
  else if (slot->type == GRADC_I32) text_add(out, " of int");
  else if (slot->type == GRADC_BOOL) text_add(out, " of bool");
}

/* The bytes of an instance for this batch; one thread. */
static bool measure_at(Summary *s, int64_t batch, GradcMemory *memory) {
  GradcMessage message;
  for (int i = 0; i < GRADC_MAX_BATCHES; i++) s->capacity[i] = batch;
  if (gradc_memory(s->program, s->capacity, 1, memory, &message) == GRADC_OK) return true;
  front_fail(s->f, NULL, "%s", message.text);
  return false;
}

/* The formula goes through three batches that need no rounding up. */
static bool measure(Summary *s) {
  GradcMemory at[3];
  const int64_t wanted = s->f->program->plan.batch > 0 ? s->f->program->plan.batch : 64;
  for (int i = 0; i < 3; i++)
    if (!measure_at(s, 16 * (i + 1), &at[i])) return false;
  if (!measure_at(s, wanted, &s->memory)) return false;
  s->pair = (at[2].total - 2 * at[1].total + at[0].total) / (2 * 16 * 16);
  s->each = (at[1].total - at[0].total) / 16 - 48 * s->pair;
  s->fixed = at[0].total - 16 * s->each - 256 * s->pair;
  s->flops = compiled_stats(s->f->compiled, GRADC_ENTRY_TRAIN, wanted).flops;
  for (uint32_t i = 0; i < s->program->slot_count; i++) {
    const GradcSlot *slot = &s->program->slots[i];
    if (slot->kind == GRADC_SLOT_PARAM) s->parameters += count_of(slot);
    if (slot->kind == GRADC_SLOT_STATE) s->states += count_of(slot);
  }
  return true;
}

/* Slots of one kind, in the order of the model. */
static void add_slots(const Summary *s, Text *out, GradcSlotKind kind, const char *title) {
  size_t width = 8;
  for (uint32_t i = 0; i < s->program->slot_count; i++) {
    if (s->program->slots[i].kind == kind && strlen(s->program->slots[i].name) > width) width = strlen(s->program->slots[i].name);
  }
  bool any = false;
  for (uint32_t i = 0; i < s->program->slot_count; i++) {
    const GradcSlot *slot = &s->program->slots[i];
    if (slot->kind != kind) continue;
    if (!any) text_printf(out, "%s\n", title);
    any = true;
    Text shape = {0};
    add_shape(&shape, slot);
    text_printf(out, "  %-*s  %-18s", (int)width, slot->name, text_get(&shape));
    if (kind == GRADC_SLOT_PARAM || kind == GRADC_SLOT_STATE) text_printf(out, " %12lld", (long long)count_of(slot));
    while (out->length && out->data[out->length - 1] == ' ') out->data[--out->length] = 0;
    text_add(out, "\n");
    text_free(&shape);
  }
}

static void print_text(const Summary *s, Text *out) {
  text_printf(out, "model %s\n", s->program->name);
  add_slots(s, out, GRADC_SLOT_INPUT, "inputs");
  add_slots(s, out, GRADC_SLOT_TARGET, "targets");
  add_slots(s, out, GRADC_SLOT_PARAM, "parameters");
  add_slots(s, out, GRADC_SLOT_STATE, "states");
  text_printf(out, "%lld parameters", (long long)s->parameters);
  if (s->states) text_printf(out, ", %lld numbers of state", (long long)s->states);
  text_printf(out, "\nmemory: %lld + %lld * batch", (long long)s->fixed, (long long)s->each);
  if (s->pair) text_printf(out, " + %lld * batch^2", (long long)s->pair);
  text_add(out, " bytes (the batch rounded up to 16), one thread; ");
  front_bytes((double)s->memory.total, out);
  text_printf(out, " at batch %lld\n", (long long)s->capacity[0]);
  text_printf(out, "a training step: %.4g FLOPs at batch %lld\n", s->flops, (long long)s->capacity[0]);
}

static void print_json(const Summary *s, Text *out) {
  text_printf(out, "{\"model\":\"%s\",\"parameters\":%lld,\"states\":%lld,\"batch\":%lld,\"memory\":%lld,\"memory_fixed\":%lld,"
              "\"memory_per_row\":%lld,\"memory_per_pair\":%lld,\"flops_per_step\":%.0f,\"tensors\":[", s->program->name, (long long)s->parameters,
              (long long)s->states, (long long)s->capacity[0], (long long)s->memory.total, (long long)s->fixed, (long long)s->each,
              (long long)s->pair, s->flops);
  static const char *const kinds[] = {"input", "target", "parameter", "state", "optimizer", "metric"};
  for (uint32_t i = 0; i < s->program->slot_count; i++) {
    const GradcSlot *slot = &s->program->slots[i];
    text_printf(out, "%s{\"name\":\"%s\",\"kind\":\"%s\",\"shape\":[", i ? "," : "", slot->name, kinds[slot->kind]);
    for (int k = 0; k < slot->rank; k++) {
      if (slot->dims[k] < 0) text_printf(out, "%s\"batch\"", k ? "," : "");
      else text_printf(out, "%s%lld", k ? "," : "", (long long)slot->dims[k]);
    }
    text_add(out, "]}");
  }
  text_add(out, "]}\n");
}

int cmd_summary(const Options *o) {
  Front f;
  int status = front_open(&f, o, true);
  Summary s = {.f = &f};
  if (!status) {
    for (int i = 0; i < GRADC_MAX_BATCHES; i++) s.capacity[i] = f.program->plan.batch > 0 ? f.program->plan.batch : 64;
    /* the runtime takes no program that cannot start */
    s.program = !front_processor(&f, false) ? NULL : front_compile_within(&f, o, 1u << GRADC_ENTRY_INIT, s.capacity, 1);
    status = s.program && measure(&s) ? EXIT_DONE : EXIT_INPUT;
  }
  if (!status) {
    Text out = {0};
    (o->json ? print_json : print_text)(&s, &out);
    fputs(text_get(&out), stdout);
    text_free(&out);
  }
  front_close(&f);
  return status;
}
