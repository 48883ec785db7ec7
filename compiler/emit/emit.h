/* emit.h: kernels to machine code. */
#ifndef GRADC_EMIT_H
#define GRADC_EMIT_H
#include "kernel.h"

typedef struct {
  const char *cpu;     /* NULL: the host's; "x86-64-v3", "x86-64-v4", … */
  const char *triple;  /* NULL: the host's */
  unsigned tile_rows, tile_vectors; /* 0: by the schedule; tests permute them */
  bool keep_ir, keep_asm; /* fill the texts below */
} EmitOptions;

typedef struct {
  void *object;        /* relocatable object file; free() */
  size_t size;
  char *ir, *assembly; /* free() */
} EmitResult;

/* One object file with the function `entry` (a GradcEntry) that runs the schedule. `first_buffer`: the row of the program's
 * buffer table where the schedule's buffers begin. Exits with 70 on a bug of ours. Thread-safe: one call a thread. */
void emit_schedule(const Schedule *schedule, const char *entry, uint32_t first_buffer, const EmitOptions *options,
                   EmitResult *result);

/* The same in `count` objects (at most EMIT_MAX_PARTS), each made on a thread of its own; the first has the entry and calls kernels
 * of the others. emit_load_parts loads them together. */
#define EMIT_MAX_PARTS 8
void emit_schedule_parts(const Schedule *schedule, const char *entry, uint32_t first_buffer, const EmitOptions *options,
                         EmitResult *parts, unsigned count);

/* Bytes of scratch a thread needs for the schedule's kernels with these options: packed panels, rows. */
int64_t emit_scratch(const Schedule *schedule, const EmitOptions *options);

/* The machine that code is emitted for. */
void emit_machine(const EmitOptions *options, uint32_t *vector_bytes, uint32_t *vector_registers, const char **cpu);

/* Code in memory, ready to run. NULL with *error (a static or malloced text) where it cannot be loaded. */
typedef struct Loaded Loaded;
Loaded *emit_load(const EmitResult *object, const char **error);
Loaded *emit_load_parts(const EmitResult *parts, unsigned count, const char **error);
GradcEntry emit_entry(Loaded *loaded, const char *name);
void emit_unload(Loaded *loaded);

#endif
