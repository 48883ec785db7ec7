/* header.c: the C header of a model: the interface of the runtime as it is, and what belongs to this model alone. */
#include <ctype.h>
#include <string.h>

#include "artefact.h"
#include "carried.h"
#include "gradc.h"

static const char *type_text(uint8_t type) {
  static const char *const names[] = {"float", "double", "int32_t", "uint8_t (0 or 1)"};
  return type <= GRADC_BOOL ? names[type] : "?";
}

static void add_shape(Text *out, const int64_t *dims, int rank) {
  text_add(out, "[");
  for (int i = 0; i < rank; i++) {
    if (dims[i] == -1) text_printf(out, "%sbatch", i ? ", " : "");
    else if (dims[i] < 0) text_printf(out, "%sbatch %lld", i ? ", " : "", (long long)-dims[i]);
    else text_printf(out, "%s%lld", i ? ", " : "", (long long)dims[i]);
  }
  text_add(out, "]");
}

static void add_identifier(Text *out, const char *name, bool upper) {
  for (const char *p = name; *p; p++) {
    const char c = isalnum((unsigned char)*p) ? (upper ? (char)toupper((unsigned char)*p) : *p) : '_';
    text_add_bytes(out, &c, 1);
  }
}

static void add_slots(Text *out, const GradcProgram *p, const char *title, int kind, int also) {
  bool any = false;
  for (uint32_t i = 0; i < p->slot_count; i++) {
    const GradcSlot *s = &p->slots[i];
    if (s->kind != kind && s->kind != also) continue;
    if (!any) text_printf(out, " *\n * %s\n", title);
    any = true;
    text_printf(out, " *   %s: %s ", s->name, type_text(s->type));
    add_shape(out, s->dims, s->rank);
    if (s->classes) text_printf(out, ", 0 to %d, or -1 where it is not known", s->classes - 1);
    text_add(out, "\n");
  }
}

static void add_outputs(Text *out, const GradcEntryInfo *entry, const char *title) {
  if (!entry->output_count) return;
  text_printf(out, " *\n * %s\n", title);
  for (uint32_t i = 0; i < entry->output_count; i++) {
    const GradcOutput *o = &entry->outputs[i];
    text_printf(out, " *   %s: ", o->name);
    if (o->kind == GRADC_OUT_LOSS || o->kind == GRADC_OUT_METRIC) {
      text_printf(out, "a %s, in gradc_figures\n", o->kind == GRADC_OUT_LOSS ? "loss" : "metric");
    } else {
      text_printf(out, "%s ", type_text(o->type));
      add_shape(out, o->dims, o->rank);
      text_add(out, ", by gradc_output\n");
    }
  }
}

/* The places of arrays in what a step takes. */
static void add_feeds(Text *out, const GradcProgram *p, const char *name) {
  text_add(out, "/* Places in the array `inputs` of a step. */\nenum {");
  const int count = gradc_feed_count(p);
  for (int i = 0; i < count; i++) {
    text_add(out, " ");
    add_identifier(out, name, true);
    text_add(out, "_FEED_");
    add_identifier(out, gradc_feed(p, i)->name, true);
    text_printf(out, " = %d,", i);
  }
  text_add(out, " ");
  add_identifier(out, name, true);
  text_printf(out, "_FEEDS = %d };\n\n", count);
}

static void no_entry(GradcFrame *frame, int64_t thread, int64_t threads, void *scratch) {}

bool header_memory(const GradcProgram *program, GradcMemory *memory) {
  GradcProgram p = *program;
  p.level = GRADC_LEVEL_ANY; /* of the machine that will run it, which need not be this one */
  p.entries[GRADC_ENTRY_INIT].run = no_entry; /* sizes are asked for alone */
  return gradc_memory(&p, NULL, 1, memory, NULL) == GRADC_OK;
}

static void add_functions(Text *out, const GradcProgram *p, const char *name) {
  text_printf(out, "/* The compiled model: what gradc_create and its like take. */\nconst GradcProgram *%s_program(void);\n\n", name);
  GradcMemory memory;
  if (header_memory(p, &memory)) {
    text_add(out, "/* The examples in a step where the capacity is NULL; and the bytes of such an instance on one thread, on every\n"
                  " * processor that this code is for, for memory of the caller's own: gradc_create_at. */\n#define ");
    add_identifier(out, name, true);
    text_printf(out, "_BATCH %lld\n#define ", (long long)p->batch[0]);
    add_identifier(out, name, true);
    text_printf(out, "_MEMORY %lld\n\n", (long long)memory.total);
  }
  text_printf(out, "/* An instance for up to `batch` examples a step (0: the model's own number) on `threads` threads (0: all processors).\n"
                   " * gradc_free frees it. */\n"
                   "static inline GradcStatus %s_create(uint64_t seed, int64_t batch, int threads, GradcModel **model,\n"
                   "                                   GradcMessage *message) {\n"
                   "  int64_t capacity[GRADC_MAX_BATCHES];\n"
                   "  for (int i = 0; i < GRADC_MAX_BATCHES; i++) capacity[i] = batch;\n"
                   "  return gradc_create(%s_program(), seed, batch ? capacity : (const int64_t *)0, threads, model, message);\n}\n",
              name, name);
}

static void add_carried(Text *out, const char *file) {
  const CarriedFile *f = carried_find(file);
  for (const char *p = (const char *)f->bytes, *end = p + f->size; p < end;) {
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    const size_t n = stop ? (size_t)(stop - p) + 1 : (size_t)(end - p);
    if (n < 16 || memcmp(p, "#include \"abi.h\"", 16)) text_add_bytes(out, p, n);
    p += n;
  }
  text_add(out, "\n");
}

void header_write(const GradcProgram *p, const char *name, const char *path, Text *out) {
  const char *base = strrchr(path, '/');
  text_printf(out, "/* %s.h: the model \"%s\", compiled by gradc from %s. C and C++.\n", name, p->name, base ? base + 1 : path);
  add_slots(out, p, "A step takes, in this order (arrays in C order, read in place):", GRADC_SLOT_INPUT, GRADC_SLOT_TARGET);
  if (p->entries[GRADC_ENTRY_TRAIN].output_count) add_outputs(out, &p->entries[GRADC_ENTRY_TRAIN], "A training step (gradc_train_step) leaves:");
  add_outputs(out, &p->entries[GRADC_ENTRY_EVAL], "An evaluation (gradc_eval) leaves:");
  add_slots(out, p, "Parameters:", GRADC_SLOT_PARAM, -1);
  add_slots(out, p, "States of layers:", GRADC_SLOT_STATE, -1);
  if (p->start_count) text_add(out, " *\n * It carries trained parameters: an instance begins with them.\n");
  for (uint32_t i = 0; i < p->pair_count; i++) text_printf(out, " *   %s\n", p->pairs[i].key);
  text_add(out, " *\n * First the interface that all models share, then what is this one's. */\n\n");
  add_carried(out, "abi.h");
  add_carried(out, "gradc.h");
  text_add(out, "#ifndef GRADC_MODEL_");
  add_identifier(out, name, true);
  text_add(out, "\n#define GRADC_MODEL_");
  add_identifier(out, name, true);
  text_add(out, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  add_feeds(out, p, name);
  add_functions(out, p, name);
  text_add(out, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
