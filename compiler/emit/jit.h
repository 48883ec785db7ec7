/* jit.h: opening a module for a target, and taking machine code out of it. One Emit belongs to one thread at a time;
 * any number of them may be at work on different threads. */
#ifndef GRADC_JIT_H
#define GRADC_JIT_H
#include "arena.h"
#include "llvm.h"
#include "load.h"

/* Fills `target`, its texts in `arena`. `name`: NULL or "native" for this machine; "x86-64-v2", "x86-64-v3",
 * "x86-64-v4", "x86-64-v4-bf16"; "aarch64". False for any other name. A level of the host's own architecture runs here if the processor
 * has it, so that "x86-64-v3" gives AVX2 code on a machine with AVX-512. */
bool target_named(Target *target, Arena *arena, const char *name);
bool target_host(Target *target, Arena *arena);
/* Vectors, registers and fused multiply-add alone, without a word to LLVM, which takes longer to wake than a cached model to start.
 * False for a name that is none. */
bool target_vectors(Target *target, const char *name);
/* The names that target_named takes, separated by ", ": for messages. */
const char *target_names(void);
/* Whether this machine can run code for `target`. */
bool target_runs_here(const Target *target);

/* A new module with everything that it needs: context, builder, target machine (small code model,
 * position-independent). The texts of `target` must outlive it. NULL where LLVM does not know the target: then `*error`
 * is to be freed by the caller. */
Emit *emit_open(const Target *target, const char *module_name, char **error);
void emit_close(Emit *e); /* NULL is allowed */

/* What follows gives memory that the caller frees with free(). Machine code can be taken once: making it changes the
 * module. In debug builds the module is verified first, and a wrong one is printed and aborts. */
void *emit_object(Emit *e, size_t *size, char **error); /* a relocatable object; NULL and `*error` on failure */
char *emit_assembly(Emit *e, char **error);
char *emit_ir(Emit *e);
/* The object loaded and ready: emit_object and jit_load. */
Jit *emit_jit(Emit *e, char **error);
/* Prints LLVM's complaint and aborts where the module is malformed. Nothing in release builds. */
void emit_verify(Emit *e);

#endif
