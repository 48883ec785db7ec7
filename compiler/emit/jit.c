/* jit.c: targets, modules, and machine code in memory. */
#include "jit.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Support.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#if defined __aarch64__
#define HOST_ARCH "aarch64"
#else
#define HOST_ARCH "x86_64"
#endif

/* What a name means. Floor and round in one instruction need SSE4.1, hence nothing below x86-64-v2. */
static const struct {
  const char *name, *arch, *cpu, *features;
  unsigned vector_bytes, vector_registers;
  bool has_fma, has_dot;
} levels[] = {
    {"x86-64-v4", "x86_64", "x86-64-v4", "", 64, 32, true, false},
    {"x86-64-v3", "x86_64", "x86-64-v3", "", 32, 16, true, false},
    {"x86-64-v2", "x86_64", "x86-64-v2", "", 16, 16, false, false},
    {"aarch64", "aarch64", "generic", "", 16, 32, true, false},
    {"wasm32", "wasm32", "generic", "+simd128,+bulk-memory,+sign-ext,+mutable-globals,+nontrapping-fptoint", 16, 16, false, false},
    {"x86-64-v4-bf16", "x86_64", "x86-64-v4", "+avx512bf16", 64, 32, true, true},
};
#define LEVEL_COUNT (sizeof levels / sizeof *levels)

/* LLVM's constructors, where the linker set them apart (llvm_start.ld); else they ran before main, and these are NULL. */
typedef void Constructor(void);
extern Constructor *const llvm_start_begin[] __attribute__((weak)), *const llvm_start_end[] __attribute__((weak));

/* LLVM's options and target tables belong to the process. The three passes left out cost a tenth of the compile time each
 * and gain nothing that shows: our addresses are already base + index * size + constant, and the orders in which we emit leave two of
 * the three schedulers little to do (as much code, as many spills, the same speed of products and steps within 2 %). */
static void init_llvm(void) {
  const char *options[] = {"gradc", "-disable-lsr", "-disable-post-ra", "-enable-misched=false"};
  for (Constructor *const *run = llvm_start_begin; run != llvm_start_end; run++) (*run)();
  LLVMInitializeX86TargetInfo(), LLVMInitializeX86Target(), LLVMInitializeX86TargetMC(), LLVMInitializeX86AsmPrinter();
  LLVMInitializeAArch64TargetInfo(), LLVMInitializeAArch64Target(), LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeWebAssemblyTargetInfo(), LLVMInitializeWebAssemblyTarget(), LLVMInitializeWebAssemblyTargetMC();
  LLVMInitializeWebAssemblyAsmPrinter();
  LLVMParseCommandLineOptions(sizeof options / sizeof *options, options, NULL);
}

static void init_once(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_llvm);
}

static char *take_message(char *message) {
  char *copy = mem_strdup(message ? message : "LLVM gives no reason");
  LLVMDisposeMessage(message);
  return copy;
}

static bool has_feature(const char *features, const char *feature) {
  size_t n = strlen(feature);
  for (const char *p = features; (p = strstr(p, feature)); p += n)
    if (p > features && p[-1] == '+' && (p[n] == ',' || !p[n])) return true;
  return false;
}

static bool has_features(const char *features, const char *const *wanted) {
  for (; *wanted; wanted++)
    if (!has_feature(features, *wanted)) return false;
  return true;
}

/* The best level whose instructions this machine has. */
static unsigned host_level(const char *features) {
  static const char *const v4[] = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", NULL};
  static const char *const v3[] = {"avx2", "fma", "bmi2", NULL};
  if (!strcmp(HOST_ARCH, "aarch64")) return 3;
  return has_features(features, v4) ? 0 : has_features(features, v3) ? 1 : 2;
}

static void fill_level(Target *target, unsigned i) {
  target->vector_bytes = levels[i].vector_bytes, target->vector_registers = levels[i].vector_registers;
  target->has_fma = levels[i].has_fma, target->has_dot = levels[i].has_dot;
}

static bool own_dot(void) {
#if defined __x86_64__
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

/* The same by the processor's own word. */
static unsigned own_level(void) {
#if defined __x86_64__
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  return v4 ? 0 : v3 ? 1 : 2;
#else
  return 3;
#endif
}

bool target_vectors(Target *target, const char *name) {
  unsigned level = LEVEL_COUNT;
  const bool own = !name || !strcmp(name, "native");
  if (own) level = own_level();
  for (unsigned i = 0; name && i < LEVEL_COUNT; i++)
    if (!strcmp(levels[i].name, name)) level = i;
  if (level < LEVEL_COUNT) fill_level(target, level);
  if (own) target->has_dot = target->vector_bytes == 64 && own_dot();
  return level < LEVEL_COUNT;
}

static const char *arena_message(Arena *arena, char *message) {
  const char *copy = arena_text(arena, message, strlen(message));
  LLVMDisposeMessage(message);
  return copy;
}

bool target_host(Target *target, Arena *arena) {
  init_once();
  target->triple = arena_message(arena, LLVMGetDefaultTargetTriple());
  target->cpu = arena_message(arena, LLVMGetHostCPUName());
  target->features = arena_message(arena, LLVMGetHostCPUFeatures());
  fill_level(target, host_level(target->features));
  target->has_dot = target->vector_bytes == 64 && has_feature(target->features, "avx512bf16");
  return true;
}

bool target_named(Target *target, Arena *arena, const char *name) {
  if (!name || !strcmp(name, "native")) return target_host(target, arena);
  init_once();
  for (unsigned i = 0; i < LEVEL_COUNT; i++) {
    if (strcmp(levels[i].name, name)) continue;
    bool here = !strcmp(levels[i].arch, HOST_ARCH);
    target->triple = here ? arena_message(arena, LLVMGetDefaultTargetTriple())
                          : arena_printf(arena, strcmp(levels[i].arch, "wasm32") ? "%s-unknown-linux-gnu" : "%s-unknown-unknown", levels[i].arch);
    target->cpu = levels[i].cpu, target->features = levels[i].features;
    fill_level(target, i);
    return true;
  }
  return false;
}

const char *target_names(void) {
  return "native, x86-64-v4-bf16, x86-64-v4, x86-64-v3, x86-64-v2, aarch64, wasm32";
}

bool target_runs_here(const Target *target) {
  init_once();
  char *features = LLVMGetHostCPUFeatures();
  unsigned best = host_level(features);
  LLVMDisposeMessage(features);
  return !strncmp(target->triple, HOST_ARCH, strlen(HOST_ARCH)) && target->vector_bytes <= levels[best].vector_bytes &&
         (!target->has_dot || own_dot());
}

static void set_types(Emit *e) {
  e->f32 = LLVMFloatTypeInContext(e->cx), e->f64 = LLVMDoubleTypeInContext(e->cx);
  e->i1 = LLVMInt1TypeInContext(e->cx), e->i8 = LLVMInt8TypeInContext(e->cx), e->i16 = LLVMInt16TypeInContext(e->cx);
  e->i32 = LLVMInt32TypeInContext(e->cx), e->i64 = LLVMInt64TypeInContext(e->cx);
  e->ptr = LLVMPointerTypeInContext(e->cx, 0), e->void_ = LLVMVoidTypeInContext(e->cx);
}

Emit *emit_open(const Target *target, const char *module_name, char **error) {
  init_once();
  LLVMTargetRef backend;
  char *message = NULL;
  *error = NULL;
  if (LLVMGetTargetFromTriple(target->triple, &backend, &message)) {
    *error = take_message(message);
    return NULL;
  }
  Emit *e = mem_zero(1, sizeof *e);
  e->target = *target;
  const bool wasm = !strncmp(target->triple, "wasm", 4); /* it has one memory, and no places to be independent of */
  e->machine = LLVMCreateTargetMachine(backend, target->triple, target->cpu, target->features, LLVMCodeGenLevelLess,
                                       wasm ? LLVMRelocStatic : LLVMRelocPIC, LLVMCodeModelSmall);
  e->cx = LLVMContextCreate();
  e->module = LLVMModuleCreateWithNameInContext(module_name, e->cx);
  e->b = LLVMCreateBuilderInContext(e->cx);
  LLVMSetTarget(e->module, target->triple);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(e->machine);
  LLVMSetModuleDataLayout(e->module, layout);
  e->pointer_bytes = LLVMPointerSize(layout);
  LLVMDisposeTargetData(layout);
  set_types(e);
  return e;
}

void emit_close(Emit *e) {
  if (!e) return;
  LLVMDisposeBuilder(e->b);
  LLVMDisposeModule(e->module);
  LLVMContextDispose(e->cx);
  LLVMDisposeTargetMachine(e->machine);
  free(e);
}

void emit_verify(Emit *e) {
#ifndef NDEBUG
  char *message = NULL;
  if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) {
    fprintf(stderr, "gradc: internal error: malformed module\n%s\n", message);
    LLVMDumpModule(e->module);
    abort();
  }
  LLVMDisposeMessage(message);
#else
  (void)e;
#endif
}

static LLVMMemoryBufferRef make_code(Emit *e, LLVMCodeGenFileType kind, char **error) {
  char *message = NULL;
  LLVMMemoryBufferRef buffer;
  *error = NULL;
  emit_verify(e);
  if (!LLVMTargetMachineEmitToMemoryBuffer(e->machine, e->module, kind, &message, &buffer)) return buffer;
  *error = take_message(message);
  return NULL;
}

void *emit_object(Emit *e, size_t *size, char **error) {
  LLVMMemoryBufferRef buffer = make_code(e, LLVMObjectFile, error);
  if (!buffer) return NULL;
  *size = LLVMGetBufferSize(buffer);
  void *copy = memcpy(mem_alloc(*size), LLVMGetBufferStart(buffer), *size);
  LLVMDisposeMemoryBuffer(buffer);
  return copy;
}

char *emit_assembly(Emit *e, char **error) {
  LLVMMemoryBufferRef buffer = make_code(e, LLVMAssemblyFile, error);
  if (!buffer) return NULL;
  size_t size = LLVMGetBufferSize(buffer);
  char *copy = memcpy(mem_alloc(size + 1), LLVMGetBufferStart(buffer), size);
  copy[size] = 0;
  LLVMDisposeMemoryBuffer(buffer);
  return copy;
}

char *emit_ir(Emit *e) {
  char *text = LLVMPrintModuleToString(e->module), *copy = mem_strdup(text);
  LLVMDisposeMessage(text);
  return copy;
}

Jit *emit_jit(Emit *e, char **error) {
  size_t size = 0;
  void *object = emit_object(e, &size, error);
  Jit *jit = object ? jit_load(object, size, error) : NULL;
  free(object);
  return jit;
}
