/* script.c: the JavaScript module of a model for WebAssembly, and its types: what all models share (model.js), and a class
 * with this model's inputs, outputs and tensors. */
#include <inttypes.h>
#include <string.h>

#include "artefact.h"
#include "carried.h"
#include "gradc.h"

static void add_quoted(Text *out, const char *text) {
  text_add(out, "\"");
  for (const char *p = text; *p; p++) {
    if (*p == '"' || *p == '\\') text_add(out, "\\");
    text_add_bytes(out, p, 1);
  }
  text_add(out, "\"");
}

static void add_dims(Text *out, const int64_t *dims, int rank) {
  for (int i = 0; i < rank; i++) text_printf(out, "%s%lld", i ? ", " : "", (long long)dims[i]);
}

/* An array's type as TypeScript says it, and its shape as a comment. */
static void add_type(Text *out, uint8_t type, const int64_t *dims, int rank) {
  static const char *const names[] = {"Float32Array", "Float64Array", "Int32Array", "Uint8Array"};
  text_printf(out, "%s /* [", names[type & 3]);
  for (int i = 0; i < rank; i++) {
    if (dims[i] < 0) text_printf(out, "%sbatch", i ? ", " : "");
    else text_printf(out, "%s%lld", i ? ", " : "", (long long)dims[i]);
  }
  text_add(out, "] */");
}

static bool is_kept(const GradcSlot *s) {
  return s->kind == GRADC_SLOT_PARAM || s->kind == GRADC_SLOT_STATE || s->kind == GRADC_SLOT_OPTIMIZER;
}

static void add_feed(Text *out, const GradcSlot *s) {
  long long size = 1, batches = 0;
  for (int i = 0; i < s->rank; i++) {
    if (s->dims[i] < 0) batches++;
    else size *= s->dims[i];
  }
  text_add(out, "    { name: "), add_quoted(out, s->name);
  text_printf(out, ", type: %d, target: %s, batches: %lld, size: %lld },\n", s->type, s->kind == GRADC_SLOT_TARGET ? "true" : "false",
              batches, size);
}

static void add_description(Text *out, const GradcProgram *p) {
  text_add(out, "\nconst description = {\n  name: "), add_quoted(out, p->name);
  text_printf(out, ",\n  hash: \"%016" PRIx64 "\",\n  batch: %lld,\n  feeds: [\n", p->hash, (long long)(p->batch[0] ? p->batch[0] : 1));
  for (int i = 0; i < gradc_feed_count(p); i++) add_feed(out, gradc_feed(p, i));
  text_add(out, "  ],\n  slots: [\n");
  for (uint32_t i = 0; i < p->slot_count; i++) {
    const GradcSlot *s = &p->slots[i];
    if (!is_kept(s)) continue;
    text_printf(out, "    { number: %u, name: ", i), add_quoted(out, s->name);
    text_printf(out, ", kind: %d, type: %d, dims: [", s->kind, s->type), add_dims(out, s->dims, s->rank);
    text_add(out, "] },\n");
  }
  text_add(out, "  ],\n};\n");
}

static void add_script(Text *out, const GradcProgram *p, const char *name, const char *wasm) {
  const CarriedFile *shared = carried_find("model.js");
  const char *text = (const char *)shared->bytes, *place = strstr(text, "@ABI@");
  text_printf(out, "/* %s: the model \"%s\", compiled by gradc to WebAssembly. */\n", name, p->name);
  text_add_bytes(out, text, (size_t)(place - text));
  text_printf(out, "%d", GRADC_ABI_VERSION);
  text_add(out, place + 5);
  add_description(out, p);
  text_printf(out, "\nexport class Model extends CompiledModel {\n"
                   "  static async create({ seed = 0, batch, wasm = \"%s\" } = {}) {\n"
                   "    const { exports } = await WebAssembly.instantiate(await compile(wasm), {});\n"
                   "    return new Model(exports, description, seed, batch);\n  }\n}\n", wasm);
}

static void add_feed_types(Text *out, const GradcProgram *p, bool targets) {
  text_add(out, "{ ");
  for (int i = 0; i < gradc_feed_count(p); i++) {
    const GradcSlot *s = gradc_feed(p, i);
    if (s->kind == GRADC_SLOT_TARGET && !targets) continue;
    add_quoted(out, s->name);
    text_add(out, ": Numbers /* [");
    for (int k = 0; k < s->rank; k++) {
      if (s->dims[k] < 0) text_printf(out, "%sbatch", k ? ", " : "");
      else text_printf(out, "%s%lld", k ? ", " : "", (long long)s->dims[k]);
    }
    if (s->classes) text_printf(out, "], 0 to %d, or -1 where it is not known */; ", s->classes - 1);
    else text_add(out, "] */; ");
  }
  text_add(out, "}");
}

static void add_result_types(Text *out, const GradcEntryInfo *entry, bool figures) {
  text_add(out, "{ ");
  for (uint32_t i = 0; i < entry->output_count; i++) {
    const GradcOutput *o = &entry->outputs[i];
    if ((o->kind == GRADC_OUT_LOSS || o->kind == GRADC_OUT_METRIC) != figures) continue;
    add_quoted(out, o->name), text_add(out, ": ");
    if (!figures) add_type(out, o->type, o->dims, o->rank);
    else text_add(out, o->rank ? "Float64Array" : "number");
    text_add(out, "; ");
  }
  text_add(out, "}");
}

static void add_method(Text *out, const GradcProgram *p, const char *doc, const char *name, GradcEntryKind entry, bool targets, bool figures) {
  text_printf(out, "  /** %s */\n  %s(values: ", doc, name);
  add_feed_types(out, p, targets);
  text_add(out, "): ");
  add_result_types(out, &p->entries[entry], figures);
  text_add(out, ";\n");
}

static void add_types(Text *out, const GradcProgram *p) {
  const CarriedFile *shared = carried_find("model.d.ts");
  text_add_bytes(out, (const char *)shared->bytes, shared->size);
  text_printf(out, "\n/** The model \"%s\". */\nexport class Model {\n"
                   "  /** An instance with a memory of its own. `batch`: the most examples in a call (%lld); `wasm`: where the module is, or the\n"
                   "   * module itself. */\n"
                   "  static create(options?: { seed?: number | bigint; batch?: number;\n"
                   "    wasm?: string | URL | BufferSource | WebAssembly.Module }): Promise<Model>;\n  readonly capacity: number;\n",
              p->name, (long long)p->batch[0]);
  add_method(out, p, "The outputs, by name.", "forward", GRADC_ENTRY_EVAL, false, false);
  add_method(out, p, "Losses and metrics of these examples; changes nothing.", "evaluate", GRADC_ENTRY_EVAL, true, true);
  if (p->entries[GRADC_ENTRY_TRAIN].output_count)
    add_method(out, p, "Trains on these examples once; their losses and metrics.", "step", GRADC_ENTRY_TRAIN, true, true);
  if (p->entries[GRADC_ENTRY_GRADIENT].output_count)
    add_method(out, p, "The gradient of the loss by each parameter and each float input; changes nothing.", "gradient",
               GRADC_ENTRY_GRADIENT, true, false);
  text_add(out, "  /** Metrics with a state begin anew: before each pass over a data set. */\n  resetMetrics(): void;\n"
                "  /** Starts anew from this seed. */\n  reset(seed?: number | bigint): void;\n"
                "  /** Of parameters and layers' states. */\n  readonly names: string[];\n  shape(name: string): number[];\n"
                "  /** Copies out and in. */\n  get(name: string): Values;\n  set(name: string, values: Numbers): void;\n"
                "  readonly progress: Progress;\n"
                "  /** A checkpoint (safetensors) that `gradc train --resume` and the C interface read too. */\n"
                "  save(metadata?: Record<string, string>): Uint8Array;\n"
                "  /** What `save`, `gradc train` or the C interface wrote; with `weightsOnly` parameters and layers' states of any file. */\n"
                "  load(file: Uint8Array | ArrayBuffer, options?: { weightsOnly?: boolean }): void;\n}\n");
}

/* The file's name with another ending. */
static const char *beside(Arena *arena, const char *path, const char *ending) {
  const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
  const size_t n = dot && dot > (slash ? slash : path) ? (size_t)(dot - path) : strlen(path);
  return arena_printf(arena, "%.*s%s", (int)n, path, ending);
}

bool artefact_script(Arena *arena, const GradcProgram *program, const char *path, Why *why) {
  const char *slash = strrchr(path, '/'), *script = beside(arena, path, ".js"), *last = strrchr(script, '/');
  Text out = {0}, types = {0};
  add_script(&out, program, last ? last + 1 : script, slash ? slash + 1 : path);
  add_types(&types, program);
  const bool ok = artefact_write(arena, script, out.data, out.length, why) &&
                  artefact_write(arena, beside(arena, path, ".d.ts"), types.data, types.length, why);
  text_free(&out);
  text_free(&types);
  return ok;
}
