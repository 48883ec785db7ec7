/* compile.h: the compiler's face for the tool and the tests. */
#ifndef GRADC_COMPILE_H
#define GRADC_COMPILE_H
#include "abi.h"
#include "diag.h"
#include "program.h"
#include "text.h"
#include "trace.h"
#include "tuned.h"

typedef struct {
  TraceOptions trace;
  const char *cpu;          /* NULL: the host's */
  const char *without;      /* passes switched off, separated by commas; or NULL */
  bool bf16;                /* contractions round their operands (passes/bf16.c); `float` is f32 */
  const char *cache;        /* the folder of compiled code (cache.h), or NULL: none */
  bool stamps;              /* the training is emitted to be profiled (GradcFrame.stamp) */
  int64_t arena_limit;      /* bytes between kernels at `arena_batch`, 0: none: recomputed rather than kept, as far as that goes */
  int64_t arena_batch[GRADC_MAX_BATCHES];
  bool gradients;           /* the evaluation is of the losses' gradients (Program.gradient), not of the outputs */
  bool plan_only;           /* no entry is emitted, whatever `entries` says: for compiled_object */
  const Tuned *tuned;       /* tiles of contractions; NULL: those that `gradc tune` kept in the cache, if there is one */
  unsigned tile_rows, tile_vectors; /* 0: the compiler's choice; for tests */
} CompileOptions;

/* Parse, check, trace. NULL after errors, which are in the session; `path` may be unreadable: that is an error too. */
Program *compile_front(Session *s, const char *path, CompileOptions *options);

/* The program from the cache, where one was compiled of these very texts under these options, and nothing was said of it: its graphs are
 * missing but for `init`, which has the slots and no nodes. compile_program takes it. Else NULL: compile_front then. */
Program *compile_recall(Session *s, const char *path, CompileOptions *options);

typedef struct Compiled Compiled;
/* Optimise, schedule, plan all entries; emit those whose bit (1 << GradcEntryKind) is in `entries`. The program must
 * live as long. */
Compiled *compile_program(Session *s, Program *program, const CompileOptions *options, unsigned entries);
/* Emits an entry that was left out; its place in the plan is already known, so instances stay valid. */
void compile_entry(Compiled *compiled, GradcEntryKind entry);
/* The tables that the runtime makes instances of; valid until compiled_free. */
const GradcProgram *compiled_program(const Compiled *compiled);
void compiled_free(Compiled *compiled);

/* ---- objects: what `gradc build` links ---- */

/* What a processor's name stands for; false for an unknown one (compile_processors lists the known). */
bool compile_knows(const char *cpu, GradcLevel *level, const char **arch);
const char *compile_processors(void);

/* What the program has besides what the compiler found out. The arrays are the caller's, and must outlive it. */
typedef struct {
  int64_t batch;                /* each data block's capacity where the caller of the C interface names none */
  const GradcStart *starts;
  const GradcPair *pairs;
  uint32_t start_count, pair_count;
} Cargo;
void compiled_carry(Compiled *compiled, const Cargo *cargo);
/* Each thread of an instance gets at least so many bytes to work in. */
void compiled_scratch(Compiled *compiled, int64_t bytes);

/* The names of an object's symbols; see EmitModel in emit.h. */
typedef struct {
  const char *symbol, *function, *shared;
  bool has_shared, keep_ir, keep_asm;
} ObjectNames;
/* The text or bytes of the object, to be freed by the caller. */
typedef struct {
  void *bytes;
  size_t size;
  char *ir, *assembly;
} Object;
Object compiled_object(const Compiled *compiled, unsigned entries, const ObjectNames *names);
/* `function` chooses between programs of these symbols by the processor's level, the best first. */
Object compile_chooser(Session *s, const char *cpu, const char *function, const char *const *symbols, const GradcLevel *levels,
                       unsigned count);
Object compile_alias(Session *s, const char *cpu, const char *function, const char *other);

/* The tiles that `gradc tune` kept for these options' cache and processor are added to *t; the other way round. */
void compile_tuned(const CompileOptions *options, Tuned *t);
bool compile_keep_tuned(const CompileOptions *options, const Tuned *t, char *why, size_t why_size);

typedef struct {
  double flops;         /* a step's multiply-adds x 2 of contractions at that batch, as bench/README counts them */
  uint32_t kernels;     /* distinct ones */
  uint32_t launches;
  double seconds;       /* emission and code generation, or reading it */
  const char *cache;    /* "off", "hit", "miss" (compiled and kept), or why it was not kept; valid as long as the program */
} CompileStats;
CompileStats compiled_stats(const Compiled *compiled, GradcEntryKind entry, int64_t batch);

/* What an entry runs, in order, for a batch extent; of a launch inside loops, all rounds together. */
typedef struct {
  const char *kernel, *title; /* valid as long as the program */
  uint64_t hash;              /* of the kernel: equal ones are one function */
  Span span;                  /* a place of the source that it comes from, or none */
  int64_t rounds;             /* how often it runs in a step */
  double flops;               /* of its contractions */
  double bytes;               /* of its operands, each counted once a round, or once where each round has its own part */
} CompileLaunch;
/* Of a program that was traced, not recalled. */
CompileLaunch compiled_launch(const Compiled *compiled, GradcEntryKind entry, uint32_t launch, int64_t batch);

/* `gradc dump --after STAGE`: ast, trace, a pass by name, schedule, ir, asm. `entry` chooses the graph. False: no such
 * stage (their names are then in *out, one a line, with a line of purpose each). */
bool compile_dump(Session *s, const char *path, CompileOptions *options, const char *stage, GradcEntryKind entry, Text *out);

#endif
