/* compile.h: the compiler's face for the tool and the tests. */
#ifndef GRADC_COMPILE_H
#define GRADC_COMPILE_H
#include "abi.h"
#include "diag.h"
#include "program.h"
#include "text.h"
#include "trace.h"

typedef struct {
  TraceOptions trace;
  const char *cpu;          /* NULL: the host's */
  const char *without;      /* passes switched off, separated by commas; or NULL */
  const char *cache;        /* the folder of compiled code (cache.h), or NULL: none */
  bool gradients;           /* the evaluation is of the losses' gradients (Program.gradient), not of the outputs */
  unsigned tile_rows, tile_vectors; /* 0: the compiler's choice; for tests */
} CompileOptions;

/* Parse, check, trace. NULL after errors, which are in the session; `path` may be unreadable: that is an error too. */
Program *compile_front(Session *s, const char *path, CompileOptions *options);

typedef struct Compiled Compiled;
/* Optimise, schedule, plan all entries; emit those whose bit (1 << GradcEntryKind) is in `entries`. */
Compiled *compile_program(Session *s, Program *program, const CompileOptions *options, unsigned entries);
/* Emits an entry that was left out; its place in the plan is already known, so instances stay valid. */
void compile_entry(Compiled *compiled, GradcEntryKind entry);
/* The tables that the runtime makes instances of; valid until compiled_free. */
const GradcProgram *compiled_program(const Compiled *compiled);
void compiled_free(Compiled *compiled);

typedef struct {
  double flops;         /* a step's multiply-adds x 2 of contractions at that batch, as bench/README counts them */
  uint32_t kernels;     /* distinct ones */
  uint32_t launches;
  double seconds;       /* emission and code generation, or reading it */
  const char *cache;    /* "off", "hit", "miss" (compiled and kept), or why it was not kept; valid as long as the program */
} CompileStats;
CompileStats compiled_stats(const Compiled *compiled, GradcEntryKind entry, int64_t batch);

/* `gradc dump --after STAGE`: ast, trace, a pass by name, schedule, ir, asm. `entry` chooses the graph. False: no such
 * stage (their names are then in *out, one a line, with a line of purpose each). */
bool compile_dump(Session *s, const char *path, CompileOptions *options, const char *stage, GradcEntryKind entry, Text *out);

#endif
