/* data_helper.h: a folder of the test's own, and the one diagnostic that is expected. */
#ifndef DATA_HELPER_H
#define DATA_HELPER_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "diag.h"
#include "render.h"

static inline const char *test_folder(void) {
  static char folder[64];
  if (!*folder) {
    snprintf(folder, sizeof folder, "/tmp/gradc_data_XXXXXX");
    if (!mkdtemp(folder)) abort();
  }
  return folder;
}

static inline int test_folder_remove(void **state) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", test_folder());
  return system(command);
}

/* Writes a file to the folder; its path, valid until the next call. */
static inline const char *write_file(const char *name, const void *data, size_t size) {
  static char path[512];
  snprintf(path, sizeof path, "%s/%s", test_folder(), name);
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
  return path;
}

/* Exactly one error, of this slug, at this line (0: none). */
static inline void expect_one(const Session *s, const char *slug, uint32_t line) {
  Text text = {0};
  render_text(s, &text, false);
  if (s->errors != 1 || strcmp(s->diags->slug, slug) || s->diags->line != line)
    fail_msg("expected one %s at line %u, got: %s", slug, line, text_get(&text));
  text_free(&text);
}

#endif
