/* cmd_check.c: diagnostics only. */
#include <stdio.h>

#include "front.h"
#include "render.h"

const uint8_t cmd_check_options[] = {OPT_model, OPT_set, OPT_dtype, OPT_json, OPT_no_warn, OPT_COUNT};

static int check_json(const Options *options) {
  Front f;
  int status = front_prepare(&f, options, true);
  if (!status) {
    f.program = compile_front(&f.session, options->path, &f.compile);
    front_check_overrides(&f);
    if (f.session.errors || !f.program) status = EXIT_INPUT;
    Text text = {0};
    render_json(&f.session, &text);
    fputs(text_get(&text), stdout);
    text_free(&text);
  }
  front_close(&f);
  return status;
}

int cmd_check(const Options *options) {
  if (options->json) return check_json(options);
  Front f;
  const int status = front_open(&f, options, true);
  front_close(&f);
  return status;
}
