/* cmd_dump.c: what a stage of the compiler makes, as text. */
#include <stdio.h>
#include <string.h>

#include "front.h"

const uint8_t cmd_dump_options[] = {OPT_after, OPT_entry, OPT_model, OPT_set, OPT_dtype, OPT_cpu, OPT_without, OPT_batch, OPT_no_warn, OPT_COUNT};

static bool read_entry(const char *word, GradcEntryKind *entry) {
  static const char *const words[] = {"init", "train", "eval", "gradient"};
  *entry = GRADC_ENTRY_TRAIN;
  for (int i = 0; word && i < GRADC_ENTRY_COUNT; i++) {
    if (!strcmp(word, words[i])) {
      *entry = (GradcEntryKind)i;
      return true;
    }
  }
  if (word) fprintf(stderr, "gradc: --entry takes init, train, eval or gradient, not `%s`\n", word);
  return !word;
}

int cmd_dump(const Options *o) {
  GradcEntryKind entry;
  if (!read_entry(o->entry, &entry)) return EXIT_USAGE;
  Front f;
  int status = front_prepare(&f, o, true);
  Text out = {0};
  if (status == EXIT_DONE && !front_processor(&f, false)) status = EXIT_INPUT;
  if (status == EXIT_DONE) {
    const char *stage = o->after ? o->after : "help";
    const bool known = compile_dump(&f.session, o->path, &f.compile, stage, entry, &out);
    const bool failed = f.session.errors != 0;
    front_report(&f);
    if (failed) {
      status = EXIT_INPUT;
    } else if (known || !strcmp(stage, "help")) {
      fputs(text_get(&out), stdout);
    } else {
      fprintf(stderr, "gradc: there is no stage `%s`; there are\n%s", stage, text_get(&out));
      status = EXIT_USAGE;
    }
  }
  text_free(&out);
  front_close(&f);
  return status;
}
