/* front.h: from the command line to a checked program, and from there to data. What every command begins with. */
#ifndef GRADC_FRONT_H
#define GRADC_FRONT_H
#include "cache.h"
#include "compile.h"
#include "dataset.h"
#include "options.h"

typedef struct {
  Session session;
  CompileOptions compile;
  Program *program;     /* NULL after errors */
  Program *traced;      /* front_traced's, where `program` comes from the cache */
  Compiled *compiled;   /* NULL until front_compile */
  const char *folder;   /* of the .nn file */
  DataWant *wants[GRADC_MAX_BATCHES];
  uint32_t want_counts[GRADC_MAX_BATCHES];
  uint32_t blocks;
  Vec(Override) overrides;
  Arena arena;
  char cache[CACHE_PATH]; /* its folder */
  bool json, verbose;
} Front;

/* Options to a program; warnings and errors are printed on the standard error (as JSON on the standard output where asked).
 * The status: EXIT_DONE, or EXIT_INPUT or EXIT_USAGE after messages. front_close in every case. */
int front_open(Front *f, const Options *options, bool train);
/* The same for commands that run a model and look at no graph: where the cache has the program (compile_recall), it is not traced. */
int front_recall(Front *f, const Options *options, bool train);
/* The program with its graphs, whichever way it was opened. */
const Program *front_traced(Front *f);
void front_close(Front *f);
/* The first half of it: the options alone, nothing compiled. */
int front_prepare(Front *f, const Options *options, bool train);
/* The other half in parts: an error for each --set that nothing took. */
void front_check_overrides(Front *f);
/* Is --cpu a processor that there is, and, where code is to run, one whose code runs here? False after a message. */
bool front_processor(Front *f, bool runs);
/* The compiled program with these entries (bits of 1 << GradcEntryKind). */
const GradcProgram *front_compile(Front *f, unsigned entries);
/* … whose instance takes no more than --memory-limit at these capacities and threads (0: all), where that is given. NULL after
 * a message. */
const GradcProgram *front_compile_within(Front *f, const Options *options, unsigned entries, const int64_t *capacity, int threads);
/* "1.5 MiB" */
void front_bytes(double bytes, Text *out);
/* Prints the diagnostics that have come since, and forgets them. */
void front_report(Front *f);

/* The data of every block; false after messages. `data` [blocks] is freed by the caller, also on failure. */
bool front_data(Front *f, const Options *options, const DataOptions *how, Stats *stats, Dataset **data);
/* MODEL.safetensors beside the .nn file, or what the command line says instead. */
const char *front_weights(Front *f, const char *given);
/* Whether a name fits a pattern in which `*` is any text; NULL fits all. */
bool name_fits(const char *pattern, const char *name);
/* An error that has no place in a file: printed at once. EXIT_INPUT. */
int front_fail(Front *f, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
