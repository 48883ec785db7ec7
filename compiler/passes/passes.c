/* passes.c: runs the pipeline of passes.def, and checks every result in debug builds. */
#include "passes.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pass.h"

static const struct {
  const char *name;
  PassFunction *run;
  const char *purpose;
  size_t option;   /* 1 + the place of the field of PassOptions without which it is not run; 0: it always is */
} passes[] = {
#define PASS(name, function, purpose) {#name, function, purpose, 0},
#define PASS_WHERE(name, function, option, purpose) {#name, function, purpose, 1 + offsetof(PassOptions, option)},
#include "passes.def"
#undef PASS
#undef PASS_WHERE
};
enum { PASSES = sizeof passes / sizeof passes[0] };

bool passes_has(const char *name) {
  for (int i = 0; i < PASSES; i++)
    if (!strcmp(passes[i].name, name)) return true;
  return false;
}

void passes_list(Text *out) {
  for (int i = 0; i < PASSES; i++) text_printf(out, "%-18s %s\n", passes[i].name, passes[i].purpose);
}

/* Is `name` among the words of a list separated by commas? "all" stands for every word. */
static bool listed(const char *list, const char *name) {
  for (const char *p = list; p && *p;) {
    const size_t n = strcspn(p, ",");
    if ((n == strlen(name) && !strncmp(p, name, n)) || (n == 3 && !strncmp(p, "all", 3))) return true;
    p += n + (p[n] == ',');
  }
  return false;
}

/* ---- checking ---- */

/* Leaves the graph where it can be looked at; the file's name, or "" where that fails. */
static const char *save(const Graph *g, const char *pass) {
  const char *folder = getenv("TMPDIR");
  char *path = arena_printf(&g->session->arena, "%s/gradc-%s-XXXXXX", folder && *folder ? folder : P_tmpdir, pass);
  Text text = {0};
  const int fd = mkstemp(path);
  if (fd < 0) return "";
  graph_print(g, &text);
  const bool whole = write(fd, text_get(&text), text.length) == (ssize_t)text.length;
  text_free(&text);
  return close(fd) == 0 && whole ? path : "";
}

/* The rules of verify.c; and the printed text parses back to an equal graph. What is wrong, or NULL. */
static const char *wrong_with(const Graph *g) {
  const char *wrong = graph_verify(g), *error = NULL;
  if (wrong) return wrong;
  Text once = {0}, twice = {0};
  graph_print(g, &once);
  Graph *parsed = graph_parse(g->session, text_get(&once), &error);
  if (parsed) graph_print(parsed, &twice);
  if (!parsed) wrong = arena_printf(&g->session->arena, "its text does not parse: %s", error);
  else if (strcmp(text_get(&once), text_get(&twice))) wrong = "its text parses to another graph";
  graph_free(parsed);
  text_free(&once);
  text_free(&twice);
  return wrong;
}

static void check(const Graph *g, const char *pass) {
#ifdef NDEBUG
  const bool enabled = false;
#else
  const bool enabled = true;
#endif
  const char *wrong = enabled ? wrong_with(g) : NULL;
  if (wrong) DIAG_BUG(g->session, (Span){0}, "after the pass %s: %s (the graph is in %s)", pass, wrong, save(g, pass));
}

static bool is_wanted(const PassOptions *options, int pass) {
  static const PassOptions none;
  const PassOptions *o = options ? options : &none;
  const size_t option = passes[pass].option;
  return !listed(o->without, passes[pass].name) && (!option || *(const bool *)((const char *)o + option - 1));
}

Graph *passes_run(const Graph *graph, const PassOptions *options) {
  Graph *g = NULL;
  for (int i = 0; i < PASSES; i++) {
    if (is_wanted(options, i)) {
      Graph *next = passes[i].run(g ? g : graph);
      check(next, passes[i].name);
      graph_free(g);
      g = next;
    }
    if (options && options->after && !strcmp(options->after, passes[i].name)) break;
  }
  return g ? g : graph_rebuild(graph, false);
}
