/* emit.h: kernels to machine code. */
#ifndef GRADC_EMIT_H
#define GRADC_EMIT_H
#include "kernel.h"

typedef struct {
  const char *cpu;     /* NULL: the host's; "x86-64-v3", "x86-64-v4", … */
  const char *triple;  /* NULL: the host's */
  const uint32_t *rows; /* of the program's buffer table, one a buffer of the schedule; NULL: the table is the buffers, in their order */
  unsigned tile_rows, tile_vectors; /* 0: by the schedule; tests permute them */
  int64_t state_bytes; /* an optimiser's state as large is updated by whole rows; 0: as large as the second cache; tests lower it */
  bool stamps;         /* call frame->stamp before each launch and after the last */
  bool keep_ir, keep_asm; /* fill the texts below */
} EmitOptions;

typedef struct {
  void *object;        /* relocatable object file; free() */
  size_t size;
  char *ir, *assembly; /* free() */
} EmitResult;

/* One object file with the function `entry` (a GradcEntry) that runs the schedule. Exits with 70 on a bug of ours. Thread-safe:
 * one call a thread. */
void emit_schedule(const Schedule *schedule, const char *entry, const EmitOptions *options,
                   EmitResult *result);

/* The same in `count` objects (at most EMIT_MAX_PARTS), each made on a thread of its own; the first has the entry and calls kernels
 * of the others. emit_load_parts loads them together. */
#define EMIT_MAX_PARTS 8
void emit_schedule_parts(const Schedule *schedule, const char *entry, const EmitOptions *options,
                         EmitResult *parts, unsigned count);

/* Bytes of scratch a thread needs for the schedule's kernels with these options: packed panels, rows. */
int64_t emit_scratch(const Schedule *schedule, const EmitOptions *options);

/* How a stage of a kernel is emitted: tile, parts of its sums, what is laid out, each with its reason; a line or nothing. */
void emit_explain(const Kernel *kernel, uint32_t stage, const EmitOptions *options, Text *out);

/* The machine that code is emitted for. */
void emit_machine(const EmitOptions *options, uint32_t *vector_bytes, uint32_t *vector_registers, const char **cpu);

/* What the code for these options needs of a processor, and the architecture ("x86_64", "aarch64"). False: no such processor is
 * known, or none of the triple's architecture. */
bool emit_knows(const EmitOptions *options, GradcLevel *level, const char **arch);
/* The names that `cpu` may have, separated by ", ". */
const char *emit_processors(void);

/* A model to be linked into a program or a shared object: one module with entries and tables. */
typedef struct {
  const GradcProgram *program;                   /* the tables; its entries' `run` are not read */
  const Schedule *schedules[GRADC_ENTRY_COUNT];  /* NULL: the entry is left out */
  const uint32_t *rows[GRADC_ENTRY_COUNT];       /* of each schedule's buffers: as in EmitOptions */
  const char *symbol;   /* of the GradcProgram: inside the module where there is a `function`, else hidden */
  const char *function; /* const GradcProgram *function(void): seen from outside; or NULL */
  const char *shared;   /* begins the names of what all models of one program share: the data of its `starts` */
  bool has_shared;      /* defined here, not in another model */
} EmitModel;
void emit_model(Session *s, const EmitModel *model, const EmitOptions *options, EmitResult *result);

/* An object with const GradcProgram *function(void) that gives the first choice whose level the processor has, or the last. */
typedef struct {
  const char *symbol;
  GradcLevel level;
} EmitChoice;
void emit_chooser(Session *s, const char *function, const EmitChoice *choices, unsigned count, const EmitOptions *options,
                  EmitResult *result);
/* An object in which `function`() returns what `other`() returns. */
void emit_alias(Session *s, const char *function, const char *other, const EmitOptions *options, EmitResult *result);

/* Code in memory, ready to run. NULL with *error (a static or malloced text) where it cannot be loaded. */
typedef struct Loaded Loaded;
Loaded *emit_load(const EmitResult *object, const char **error);
Loaded *emit_load_parts(const EmitResult *parts, unsigned count, const char **error);
GradcEntry emit_entry(Loaded *loaded, const char *name);
void emit_unload(Loaded *loaded);

#endif
