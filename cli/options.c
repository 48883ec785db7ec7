/* options.c: see options.h. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "near.h"
#include "warnings.h"

typedef enum { KIND_FLAG, KIND_TEXT, KIND_LIST, KIND_COUNT, KIND_SEED, KIND_SIZE } OptionKind;
typedef struct {
  const char *name;
  OptionKind kind;
  size_t offset;
  const char *argument, *help;
} OptionRow;

static const OptionRow rows[] = {
#define OPTION(id, name, kind, field, argument, help) {name, KIND_##kind, offsetof(Options, field), argument, help},
#include "options.def"
#undef OPTION
};

const Command commands[] = {
#define COMMAND(name, line) {#name, cmd_##name, cmd_##name##_options, line, false},
#define COMMAND_ALONE(name, line) {#name, cmd_##name, cmd_##name##_options, line, true},
#include "commands.def"
#undef COMMAND
#undef COMMAND_ALONE
    {0}};

const Command *command_find(const char *name) {
  for (const Command *c = commands; c->name; c++) {
    if (!strcmp(c->name, name)) return c;
  }
  return NULL;
}

static const OptionRow *find(const Command *command, const char *name, size_t length) {
  for (const uint8_t *id = command->options; *id != OPT_COUNT; id++) {
    if (strlen(rows[*id].name) == length && !memcmp(rows[*id].name, name, length)) return &rows[*id];
  }
  return NULL;
}

/* An option of another command is told apart from a slip of the pen. */
static void unknown(const Command *command, const char *word, size_t length) {
  const char *names[OPT_COUNT];
  size_t count = 0;
  for (const uint8_t *id = command->options; *id != OPT_COUNT; id++) names[count++] = rows[*id].name;
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), word);
  fprintf(stderr, "gradc: `gradc %s` has no option --%s\n", command->name, name);
  const char *near = near_find(name, names, count);
  if (near) {
    fprintf(stderr, "hint: did you mean --%s?\n", near);
    return;
  }
  for (const Command *c = commands; c->name; c++) {
    if (!find(c, name, strlen(name))) continue;
    fprintf(stderr, "hint: --%s is an option of `gradc %s`; `gradc %s --help` lists those of this command\n", name, c->name, command->name);
    return;
  }
  fprintf(stderr, "hint: `gradc %s --help` lists the options\n", command->name);
}

static bool read_count(const OptionRow *row, const char *text, int64_t least, int64_t *value) {
  char *end;
  errno = 0;
  const long long n = strtoll(text, &end, 10);
  if (!errno && end != text && !*end && n >= least) {
    *value = n;
    return true;
  }
  fprintf(stderr, "gradc: --%s takes a whole number of at least %lld, not `%s`\n", row->name, (long long)least, text);
  return false;
}

/* Bytes: a number, and one of K, M, G for powers of 1024; KB, KiB and the like are the same. */
static bool read_size(const OptionRow *row, const char *text, int64_t *value) {
  static const char units[] = "KMG";
  char *end;
  double n = strtod(text, &end);
  const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
  if (unit) {
    for (const char *u = units; u <= unit; u++) n *= 1024;
    end++;
    if (*end == 'i' && end[1]) end++;
  }
  if (*end == 'B') end++;
  if (end != text && !*end && isdigit((unsigned char)*text) && n >= 1 && n < 0x1p62) {
    *value = (int64_t)n;
    return true;
  }
  fprintf(stderr, "gradc: --%s takes a number of bytes, such as 65536, 64K, 512M or 1.5G, not `%s`\n", row->name, text);
  return false;
}

static bool store(const OptionRow *row, const char *value, Options *o) {
  void *field = (char *)o + row->offset;
  switch (row->kind) {
    case KIND_FLAG: *(bool *)field = true; return true;
    case KIND_TEXT: *(const char **)field = value; return true;
    case KIND_COUNT: return read_count(row, value, 1, field);
    case KIND_SEED: return read_count(row, value, 0, field);
    case KIND_SIZE: return read_size(row, value, field);
    case KIND_LIST: vec_push((Words *)field, value); return true;
  }
  return false;
}

static bool is_help(const char *word) { return !strcmp(word, "--help") || !strcmp(word, "-h"); }

/* One option; *i moves past its argument. */
static bool take_option(const Command *command, int count, char **words, int *i, Options *o) {
  const char *name = words[*i] + 2;
  const char *equals = strchr(name, '=');
  const size_t length = equals ? (size_t)(equals - name) : strlen(name);
  const OptionRow *row = find(command, name, length);
  if (!row) {
    unknown(command, name, length);
    return false;
  }
  const char *value = equals ? equals + 1 : NULL;
  if (row->kind == KIND_FLAG && value) {
    fprintf(stderr, "gradc: --%s takes no value\n", row->name);
    return false;
  }
  if (row->kind != KIND_FLAG && !value) {
    if (*i + 1 >= count) {
      fprintf(stderr, "gradc: --%s needs a value: --%s %s\n", row->name, row->name, row->argument);
      return false;
    }
    value = words[++*i];
  }
  return store(row, value, o);
}

bool options_parse(const Command *command, int count, char **words, Options *o) {
  *o = (Options){.seed = -1};
  bool only_paths = false;
  for (int i = 0; i < count; i++) {
    const char *word = words[i];
    static char out[] = "--out";
    if (!only_paths && !strcmp(word, "-o")) word = words[i] = out; /* as compilers have it */
    if (!only_paths && !strcmp(word, "--")) {
      only_paths = true;
    } else if (!only_paths && is_help(word)) {
      options_help(command);
      exit(fflush(stdout) ? EXIT_INPUT : EXIT_DONE);
    } else if (!only_paths && !strncmp(word, "--", 2)) {
      if (!take_option(command, count, words, &i, o)) return false;
    } else if (!only_paths && word[0] == '-' && word[1]) {
      fprintf(stderr, "gradc: there is no option %s\nhint: options are whole words: `gradc %s --help` lists them\n", word, command->name);
      return false;
    } else if (command->alone) {
      fprintf(stderr, "gradc: `gradc %s` takes no file: `%s`\n", command->name, word);
      return false;
    } else if (o->path) {
      fprintf(stderr, "gradc: `gradc %s` takes one file, and there are two: `%s` and `%s`\n", command->name, o->path, word);
      return false;
    } else {
      o->path = word;
    }
  }
  if (o->path || command->alone) return true;
  fprintf(stderr, "gradc: `gradc %s` needs a file\nusage: gradc %s MODEL.nn [options]\n", command->name, command->name);
  return false;
}

void options_free(Options *options) { vec_free(&options->set), vec_free(&options->no_warn); }

static void help_all(void) {
  printf("gradc: a compiler for neural networks\nusage: gradc COMMAND MODEL.nn [options]\n\n");
  for (const Command *c = commands; c->name; c++) printf("  %-10s %s\n", c->name, c->line);
  printf("\n`gradc COMMAND --help` lists the options of a command.\n"
         "Exit status: 0 done, 1 the input was wrong, 2 the command line was, 70 a bug of gradc.\n");
}

/* Help texts are wrapped at 100 columns, behind the widest option. */
static void help_option(const OptionRow *row) {
  char left[64];
  snprintf(left, sizeof left, "--%s%s%s", row->name, *row->argument ? " " : "", row->argument);
  int column = printf("  %-20s", left);
  for (const char *p = row->help; *p;) {
    const int n = (int)strcspn(p, " ");
    if (column + 1 + n > 100) column = printf("\n%22s", "") - 1;
    column += printf(" %.*s", n, p);
    p += n;
    while (*p == ' ') p++;
  }
  printf("\n");
}

static void help_warnings(void) {
  printf("\nWarnings, which `--no-warn NAME` or a comment `# no-warn: NAME` on the line switches off:\n\n");
  for (const WarningRow *row = warning_rows(); row->name; row++) printf("  %-24s %s\n", row->name, row->what);
}

void options_help(const Command *command) {
  if (!command) {
    help_all();
    return;
  }
  printf("gradc %s: %s\nusage: gradc %s%s [options]\n\n", command->name, command->line, command->name, command->alone ? "" : " MODEL.nn");
  for (const uint8_t *id = command->options; *id != OPT_COUNT; id++) help_option(&rows[*id]);
  if (command->run == cmd_check) help_warnings();
}
