/* cmd_explain.c: the gradient of the total loss by each parameter, as mathematics with its source lines. */
#include <stdio.h>

#include "front.h"
#include "grad.h"

const uint8_t cmd_explain_options[] = {OPT_wrt, OPT_model, OPT_set, OPT_dtype, OPT_no_warn, OPT_COUNT};

/* Outputs of the gradient graph whose names fit; a pattern without one is the user's slip. */
static int explain(Front *f, const char *pattern, Text *out) {
  const Graph *g = f->program->gradient;
  Node *nodes = ARENA_ARRAY(&f->arena, Node, g->outputs.count + 1);
  const char **titles = ARENA_ARRAY(&f->arena, const char *, g->outputs.count + 1);
  uint32_t count = 0;
  for (uint32_t i = 0; i < g->outputs.count; i++) {
    const Output *o = &g->outputs.data[i];
    if (o->kind != OUT_VALUE || !o->node.id || !name_fits(pattern, o->name)) continue;
    nodes[count] = o->node;
    titles[count++] = arena_printf(&f->arena, "d loss / d %s", o->name);
  }
  if (!count) return front_fail(f, "`gradc summary` lists the parameters", pattern ? "no parameter's name fits `%s`" : "%s has no parameters", pattern ? pattern : f->program->name);
  explain_print(g, nodes, titles, count, out);
  return EXIT_DONE;
}

int cmd_explain(const Options *o) {
  Front f;
  int status = front_open(&f, o, true);
  Text out = {0};
  if (!status) status = explain(&f, o->wrt, &out);
  fputs(text_get(&out), stdout);
  text_free(&out);
  front_close(&f);
  return status;
}
