/* cmd_build.c: a model as a file that any program can link, load and run. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "artefact.h"
#include "mem.h"
#include "near.h"
#include "weights.h"

const uint8_t cmd_build_options[] = {OPT_out_build, OPT_emit, OPT_target, OPT_cpu_build, OPT_inference, OPT_no_gradient, OPT_weights_build, OPT_max_batch,
                                     OPT_dtype, OPT_batch, OPT_seed, OPT_set, OPT_model, OPT_symbols, OPT_quiet, OPT_no_warn, OPT_COUNT};

typedef enum { EMIT_SHARED, EMIT_STATIC, EMIT_OBJECT, EMIT_IR, EMIT_ASSEMBLY, EMIT_HEADER, EMIT_PYTHON, EMIT_KINDS } EmitKind;
static const struct {
  const char *word, *pattern; /* of the file's name where none is given */
  bool header;                /* a header is written beside it */
} kinds[] = {
    {"shared", "%s.so", true},  {"static", "lib%s.a", true}, {"obj", "%s.o", true},
    {"ll", "%s.ll", false},     {"asm", "%s.s", false},      {"header", "%s.h", false}, {"python", "%s_python", false},
};

enum { MOST_LEVELS = 4 };

typedef struct {
  Front front;
  const Options *options;
  EmitKind emit;
  const char *arch;
  const char *cpus[MOST_LEVELS]; /* the best first */
  GradcLevel levels[MOST_LEVELS];
  unsigned cpu_count;
  unsigned entries;
  const char *name;              /* begins every symbol of the model: a C identifier */
  const char *out;
  Compiled *compiled[MOST_LEVELS];
  Object objects[MOST_LEVELS + 2];
  const char *names[MOST_LEVELS + 2];
  unsigned count;
  Vec(GradcStart) starts;
  Vec(GradcPair) pairs;
} Build;

/* ---- what is asked for ---- */

static bool read_emit(Build *b) {
  const char *word = b->options->emit ? b->options->emit : "shared", *words[EMIT_KINDS];
  for (int i = 0; i < EMIT_KINDS; i++) {
    words[i] = kinds[i].word;
    if (strcmp(word, words[i])) continue;
    b->emit = (EmitKind)i;
    return true;
  }
  fprintf(stderr, "gradc: --emit takes shared, static, obj, ll, asm, header or python, not `%s`\n", word);
  const char *near = near_find(word, words, EMIT_KINDS);
  if (near) fprintf(stderr, "hint: did you mean %s?\n", near);
  return false;
}

static bool for_wasm(const Build *b) { return !strcmp(b->arch, "wasm32"); }

/* x86_64-linux-gnu, x86_64-unknown-linux-gnu, aarch64-..; arm64 is the same. wasm32 or wasm32-unknown-unknown. */
static bool read_target(Build *b) {
  const char *target = b->options->target, *host = NULL;
  GradcLevel level;
  if (!compile_knows(NULL, &level, &host)) return false;
  b->arch = host;
  if (!target) return true;
  const size_t n = strcspn(target, "-");
  const bool linux_like = !target[n] || strstr(target, "-linux");
  if (linux_like && n == 6 && !strncmp(target, "x86_64", n)) b->arch = "x86_64";
  else if (linux_like && ((n == 7 && !strncmp(target, "aarch64", n)) || (n == 5 && !strncmp(target, "arm64", n)))) b->arch = "aarch64";
  else if (n == 6 && !strncmp(target, "wasm32", n)) b->arch = "wasm32";
  else {
    fprintf(stderr, "gradc: --target takes x86_64-linux-gnu, aarch64-linux-gnu or wasm32, not `%s`\n", target);
    return false;
  }
  if (for_wasm(b) && (b->emit == EMIT_STATIC || b->emit == EMIT_HEADER || b->emit == EMIT_PYTHON)) {
    fprintf(stderr, "gradc: for wasm32 there is no --emit %s\nhint: leave --emit out for a module and its JavaScript; obj, ll and asm are there too\n",
            kinds[b->emit].word);
    return false;
  }
  return true;
}

static bool read_cpu(Build *b) {
  static const char *const x86[] = {"x86-64-v4-bf16", "x86-64-v4", "x86-64-v3", "x86-64-v2"};
  GradcLevel level;
  const char *arch = NULL, *cpu = b->options->cpu;
  compile_knows(NULL, &level, &arch);
  const bool here = !strcmp(arch, b->arch), x86_64 = !strcmp(b->arch, "x86_64");
  if (!cpu) cpu = here ? "native" : "portable";
  if (!strcmp(cpu, "native") && !here) {
    fprintf(stderr, "gradc: --cpu native is this machine's processor, and the target is %s\nhint: leave --cpu out, or say portable\n", b->arch);
    return false;
  }
  if (!strcmp(cpu, "portable")) {
    const unsigned first = !b->options->dtype || strcmp(b->options->dtype, "bf16");
    b->cpu_count = x86_64 ? 4 - first : 1;
    for (unsigned i = 0; i < b->cpu_count; i++) b->cpus[i] = x86_64 ? x86[first + i] : b->arch;
  } else {
    b->cpu_count = 1;
    b->cpus[0] = cpu;
  }
  for (unsigned i = 0; i < b->cpu_count; i++) {
    if (!compile_knows(b->cpus[i], &b->levels[i], &arch)) {
      fprintf(stderr, "gradc: there is no processor `%s`\nhint: --cpu takes portable, %s\n", cpu, compile_processors());
      return false;
    }
    if (strcmp(arch, b->arch)) {
      fprintf(stderr, "gradc: the processor `%s` is of %s, and the target is %s\nhint: give --target %s%s too\n", cpu, arch, b->arch, arch,
              strcmp(arch, "wasm32") ? "-linux-gnu" : "");
      return false;
    }
  }
  if (b->cpu_count == 1 || (b->emit != EMIT_IR && b->emit != EMIT_ASSEMBLY)) return true;
  fprintf(stderr, "gradc: --emit %s prints the code for one processor, and portable is several\nhint: --cpu x86-64-v3\n", kinds[b->emit].word);
  return false;
}

/* A C identifier: letters, digits and underscores of the model's name. */
static const char *identifier(Arena *arena, const char *name) {
  char *copy = arena_printf(arena, "%s%s", isdigit((unsigned char)*name) ? "_" : "", name);
  for (char *p = copy; *p; p++)
    if (!isalnum((unsigned char)*p)) *p = '_';
  return copy;
}

static bool failed(Build *b, const Why *why) {
  front_fail(&b->front, why->hint, "%s", why->text);
  return false;
}

/* ---- what is carried ---- */

static bool carry(Build *b, const GradcProgram *p, uint32_t slot, const GradcFile *file, const char *path, const char *from) {
  const GradcSlot *s = &p->slots[slot];
  GradcTensor to = {.name = s->name, .type = (GradcType)s->type, .rank = s->rank, .count = 1};
  static const int64_t bytes[] = {[GRADC_F32] = 4, [GRADC_F64] = 8, [GRADC_I32] = 4, [GRADC_BOOL] = 1};
  for (int i = 0; i < s->rank; i++) to.dims[i] = s->dims[i], to.count *= s->dims[i];
  to.bytes = to.count * bytes[s->type];
  to.data = arena_alloc(&b->front.arena, (size_t)to.bytes + 1);
  if (!weights_tensor(&b->front, file, path, from, &to)) return false;
  vec_push(&b->starts, ((GradcStart){slot, to.bytes, to.data}));
  return true;
}

/* Parameters that the model itself takes from files, by its `start` settings. */
static bool carry_starts(Build *b, const GradcProgram *p) {
  const Program *program = b->front.program;
  const char *folder = b->front.folder;
  for (uint32_t i = 0; i < program->starts.count; i++) {
    const WeightStart *start = &program->starts.data[i];
    const bool plain = *start->file == '/' || !strcmp(folder, ".");
    const char *path = plain ? start->file : arena_printf(&b->front.arena, "%s/%s", folder, start->file);
    const int64_t slot = gradc_find_slot(p, start->name);
    GradcFile *file = slot < 0 ? NULL : weights_open(&b->front, path);
    const bool ok = slot < 0 || (file && carry(b, p, (uint32_t)slot, file, path, start->from));
    gradc_file_close(file);
    if (!ok) return false;
  }
  return true;
}

static bool carry_weights(Build *b, const GradcProgram *p, const char *path) {
  GradcFile *file = weights_open(&b->front, path);
  bool ok = file != NULL;
  for (uint32_t i = 0; ok && i < p->slot_count; i++) {
    const uint8_t kind = p->slots[i].kind;
    if (kind == GRADC_SLOT_PARAM || kind == GRADC_SLOT_STATE) ok = carry(b, p, i, file, path, p->slots[i].name);
  }
  for (int64_t i = 0; ok && i < gradc_file_pair_count(file); i++) {
    const GradcPair pair = gradc_file_pair(file, i);
    Arena *arena = &b->front.arena;
    if (!strncmp(pair.key, "data.", 5))
      vec_push(&b->pairs, ((GradcPair){arena_printf(arena, "%s", pair.key), arena_printf(arena, "%s", pair.value)}));
  }
  gradc_file_close(file);
  return ok;
}

/* The program as it is in the file: without entries that are left out. */
static GradcProgram program_of(const Build *b, unsigned level) {
  GradcProgram p = *compiled_program(b->compiled[level]);
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++)
    if (!(b->entries & 1u << kind)) p.entries[kind] = (GradcEntryInfo){0};
  return p;
}

/* Each level's code works in as much memory as it wants. The header names one size, whichever code is chosen in the end: levels that
 * want less get the difference too. */
static void level_memory(Build *b) {
  GradcMemory memory[MOST_LEVELS];
  int64_t most = 0;
  for (unsigned i = 0; i < b->cpu_count; i++) {
    const GradcProgram p = program_of(b, i);
    if (!header_memory(&p, &memory[i])) return;
    if (memory[i].total > most) most = memory[i].total;
  }
  for (unsigned i = 0; i < b->cpu_count; i++)
    if (memory[i].total < most) compiled_scratch(b->compiled[i], memory[i].scratch + most - memory[i].total);
}

static bool fill(Build *b) {
  const GradcProgram *p = compiled_program(b->compiled[0]);
  const char *weights = b->options->weights;
  if (!(weights ? carry_weights(b, p, weights) : carry_starts(b, p))) return false;
  const int64_t batch = b->front.program->plan.batch;
  const Cargo cargo = {.batch = b->options->max_batch ? b->options->max_batch : batch > 0 ? batch : 64, .starts = b->starts.data,
                       .pairs = b->pairs.data, .start_count = b->starts.count, .pair_count = b->pairs.count};
  for (unsigned i = 0; i < b->cpu_count; i++) compiled_carry(b->compiled[i], &cargo);
  level_memory(b);
  return true;
}

/* ---- objects ---- */

static void take(Build *b, const char *name, Object object) {
  b->names[b->count] = name;
  b->objects[b->count++] = object;
}

static void make_objects(Build *b) {
  Arena *arena = &b->front.arena;
  const char *function = arena_printf(arena, "%s_program", b->name), *symbols[MOST_LEVELS];
  for (unsigned i = 0; i < b->cpu_count; i++) {
    symbols[i] = b->cpu_count > 1 ? arena_printf(arena, "%s_level%d", b->name, (int)b->levels[i]) : "program";
    const ObjectNames names = {.symbol = symbols[i], .function = b->cpu_count > 1 ? NULL : function, .shared = b->name,
                               .has_shared = i == 0, .keep_ir = b->emit == EMIT_IR, .keep_asm = b->emit == EMIT_ASSEMBLY};
    take(b, b->cpu_count > 1 ? arena_printf(arena, "%s.o", b->cpus[i]) : arena_printf(arena, "%s.o", b->name),
         compiled_object(b->compiled[i], b->entries, &names));
  }
  const char *least = b->cpus[b->cpu_count - 1];
  if (b->cpu_count > 1) take(b, "choose.o", compile_chooser(&b->front.session, least, function, symbols, b->levels, b->cpu_count));
  if (b->emit == EMIT_SHARED || b->emit == EMIT_PYTHON) take(b, "default.o", compile_alias(&b->front.session, least, "gradc_default_program", function));
}

/* The header beside a file: the same name, without its ending and the `lib` of a library. */
static const char *header_path(Build *b) {
  Arena *arena = &b->front.arena;
  const char *slash = strrchr(b->out, '/');
  return arena_printf(arena, "%.*s%s.h", slash ? (int)(slash - b->out + 1) : 0, b->out, b->name);
}

static bool write_header(Build *b, const char *path, Why *why) {
  Text text = {0};
  const GradcProgram p = program_of(b, 0);
  header_write(&p, b->name, b->options->path, &text);
  const bool ok = artefact_write(&b->front.arena, path, text_get(&text), text.length, why);
  text_free(&text);
  return ok;
}

static bool write_out(Build *b) {
  Arena *arena = &b->front.arena;
  Why why = {0};
  const Objects objects = {b->arch, b->names, b->objects, b->count};
  const GradcProgram p = program_of(b, 0);
  bool ok = false;
  switch (b->emit) {
    case EMIT_SHARED:
      ok = for_wasm(b) ? artefact_wasm(arena, &objects, b->out, &why) && artefact_script(arena, &p, b->out, &why)
                       : artefact_shared(arena, &objects, b->out, b->options->symbols, &why);
      break;
    case EMIT_STATIC: ok = artefact_archive(arena, &objects, b->out, &why); break;
    case EMIT_OBJECT: ok = artefact_object(arena, &objects, b->out, &why); break;
    case EMIT_IR: ok = artefact_write(arena, b->out, b->objects[0].ir, strlen(b->objects[0].ir), &why); break;
    case EMIT_ASSEMBLY: ok = artefact_write(arena, b->out, b->objects[0].assembly, strlen(b->objects[0].assembly), &why); break;
    case EMIT_HEADER: ok = write_header(b, b->out, &why); break;
    case EMIT_PYTHON: ok = artefact_python(arena, &objects, &p, b->name, b->options->path, b->out, &why); break;
    case EMIT_KINDS: break;
  }
  const char *header = ok && kinds[b->emit].header && !for_wasm(b) ? header_path(b) : NULL;
  if (header) ok = write_header(b, header, &why);
  if (!ok) return failed(b, &why);
  const bool script = for_wasm(b) && b->emit == EMIT_SHARED;
  if (!b->options->quiet)
    fprintf(stderr, "wrote %s%s%s%s\n", b->out, header || script ? " and " : "", header ? header : "", script ? "its .js and .d.ts" : "");
  return true;
}

static bool build(Build *b) {
  Front *f = &b->front;
  Why why;
  const bool links = b->emit == EMIT_SHARED || b->emit == EMIT_STATIC || b->emit == EMIT_PYTHON;
  if (links && !artefact_supports(&f->arena, b->arch, &why)) return failed(b, &why);
  b->name = identifier(&f->arena, f->program->name);
  b->out = b->options->out ? b->options->out : NULL;
  if (!b->out) {
    char name[512];
    snprintf(name, sizeof name, "%.480s", b->name);
    b->out = b->emit == EMIT_STATIC ? arena_printf(&f->arena, "lib%s.a", name)
                                    : arena_printf(&f->arena, "%s%s", name, for_wasm(b) && b->emit == EMIT_SHARED ? ".wasm" : kinds[b->emit].pattern + 2);
  }
  b->entries = 1u << GRADC_ENTRY_INIT | 1u << GRADC_ENTRY_EVAL;
  if (!b->options->inference) b->entries |= 1u << GRADC_ENTRY_TRAIN;
  if (!b->options->inference && !b->options->no_gradient) b->entries |= 1u << GRADC_ENTRY_GRADIENT;
  f->compile.plan_only = true;
  for (unsigned i = 0; i < b->cpu_count; i++) {
    f->compile.cpu = b->cpus[i];
    b->compiled[i] = compile_program(&f->session, f->program, &f->compile, b->entries);
  }
  front_report(f);
  if (!fill(b)) return false;
  if (b->emit != EMIT_HEADER) make_objects(b);
  return write_out(b);
}

static void build_free(Build *b) {
  for (unsigned i = 0; i < b->count; i++) free(b->objects[i].bytes), free(b->objects[i].ir), free(b->objects[i].assembly);
  for (unsigned i = 0; i < b->cpu_count; i++) compiled_free(b->compiled[i]);
  vec_free(&b->starts);
  vec_free(&b->pairs);
  front_close(&b->front);
}

int cmd_build(const Options *o) {
  Build b = {.options = o};
  if (!read_emit(&b) || !read_target(&b) || !read_cpu(&b)) return EXIT_USAGE;
  int status = front_open(&b.front, o, !o->inference);
  if (!status) status = build(&b) ? EXIT_DONE : EXIT_INPUT;
  build_free(&b);
  return status;
}
