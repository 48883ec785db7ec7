/* Any bytes as the text of a graph: refused with a line and a reason, or a graph that keeps every rule, prints as text
 * that parses back to the same text, is built anew by the builder's rules, and can be evaluated. */
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "interp.h"

static void check(int truth) {
  if (!truth) abort();
}

/* Only what is small: shapes of a text may be as large as they like. */
static bool is_small(const Graph *g) {
  int64_t total = 0;
  for (uint32_t i = 1; i < g->nodes.count; i++) {
    int64_t size;
    if (!dims_size(node_dims(g, (Node){i}), 2, &size) || !mem_add(total, size, &total) || total > 10000) return false;
    if (node_has(g, (Node){i}, K_CONTRACTION | K_REDUCTION) &&
        (!dims_size(node_dims(g, node_in(g, (Node){i}, 0)), 2, &size) || size > 100))
      return false;
  }
  return true;
}

static void evaluate(const Graph *g) {
  static double zeros[10000];
  const double **slots = mem_zero(g->slots.count + 1, sizeof *slots);
  for (uint32_t i = 0; i < g->slots.count; i++) slots[i] = zeros;
  const InterpInput input = {.slots = slots, .batch = {2, 2, 2, 2}, .step = 1, .steps = 1};
  Interp *t = interp_new(g, &input);
  for (uint32_t i = 1; i < g->nodes.count; i++) interp_value(t, (Node){i}, NULL);
  interp_free(t);
  free(slots);
}

static void check_graph(Session *session, Graph *g) {
  const char *error;
  Text once = {0}, twice = {0};
  check(!graph_verify(g));
  graph_print(g, &once);
  Graph *again = graph_parse(session, text_get(&once), &error);
  check(again && !error);
  graph_print(again, &twice);
  check(!strcmp(text_get(&once), text_get(&twice)));
  Graph *built = graph_rebuild(g, false);
  check(!graph_verify(built));
  if (is_small(g)) evaluate(g);
  if (is_small(built)) evaluate(built);
  graph_free(again), graph_free(built);
  text_free(&once), text_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Session session = {0};
  char *text = malloc(size + 1);
  if (size) memcpy(text, data, size);
  text[size] = 0;
  const char *error;
  Graph *g = graph_parse(&session, text, &error);
  check(!g == !!error);
  if (error) check(!strncmp(error, "line ", 5) || !strncmp(error, "output ", 7) || !strncmp(error, "slot ", 5));
  if (g) check_graph(&session, g);
  graph_free(g);
  free(text);
  session_free(&session);
  return 0;
}
