/* options.h: the command line. Options are one table (options.def), commands another (commands.def); help, suggestions and
 * parsing come from them. */
#ifndef GRADC_OPTIONS_H
#define GRADC_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

#include "vec.h"

enum { EXIT_DONE = 0, EXIT_INPUT = 1, EXIT_USAGE = 2 }; /* and 70, by DIAG_BUG */

typedef Vec(const char *) Words;

typedef struct {
  const char *path;          /* MODEL.nn */
  const char *model, *dtype, *data, *weights, *out, *cpu, *after, *entry, *without, *wrt, *emit, *target,
             *write_outputs, *write_gradients, *write_trajectory;
  Words set, no_warn;
  int64_t seed;              /* -1: not given */
  int64_t epochs, steps, batch, threads, seconds, max_batch, synthetic, samples, memory_limit; /* 0: not given */
  bool no_cache, clear, verbose, no_shuffle, print_config, quiet, json, resume, inference, no_gradient, symbols;
} Options;

typedef enum {
#define OPTION(id, ...) OPT_##id,
#include "options.def"
#undef OPTION
  OPT_COUNT
} OptionId;

typedef struct {
  const char *name;
  int (*run)(const Options *options); /* the exit status */
  const uint8_t *options;             /* OptionIds, ended by OPT_COUNT */
  const char *line;
  bool alone; /* takes no file */
} Command;

/* The commands, ended by one without a name. */
extern const Command commands[];
const Command *command_find(const char *name);

/* Parses what follows the command's name. False after a message: the status is then EXIT_USAGE. */
bool options_parse(const Command *command, int count, char **words, Options *options);
void options_free(Options *options);
/* The page of a command, or of all. */
void options_help(const Command *command);

#define COMMAND_ALONE COMMAND
#define COMMAND(name, line)                 \
  int cmd_##name(const Options *options);   \
  extern const uint8_t cmd_##name##_options[];
#include "commands.def"
#undef COMMAND
#undef COMMAND_ALONE

#endif
