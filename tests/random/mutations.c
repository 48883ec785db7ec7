/* mutations.c: what can be made wrong in a build of -DGRADC_MUTATE=ON, one a line, as GRADC_MUTATION takes it (mutate.h).
 * Comparisons and leaves have no rule to make wrong. */
#include <stdio.h>

#include "mutate.h"

/* The operators of an elementwise primitive's equations, met one after the other. */
static void list_sites(Prim p) {
  Session session = {0};
  Graph *g = graph_new(&session, TYPE_F64);
  Node x[3];
  for (int i = 0; i < 3; i++) {
    char name[] = {(char)('a' + i), 0};
    x[i] = build_slot(g, graph_add_slot(g, (Slot){.kind = SLOT_PARAM, .name = name, .type = TYPE_F64}));
  }
  const int arity = prim_info(p)->arity;
  const Node y = arity == 1 ? build_unary(g, p, x[0]) : build_binary(g, p, x[0], x[1]);
  setenv("GRADC_MUTATION", "list", 1);
  for (int i = 0; i < arity; i++) prim_info(p)->derive(g, y, x[2], (uint32_t)i);
  unsetenv("GRADC_MUTATION");
  graph_free(g);
  session_free(&session);
}

int main(void) {
  static const char *const hows[] = {"sign", "twice", "dropped"};
  for (int p = 0; p < P_COUNT; p++) {
    const PrimInfo *info = prim_info((Prim)p);
    const int inputs = info->arity < 0 ? 2 : info->arity;
    if (info->kind & (K_PREDICATE | K_LEAF)) continue;
    for (int i = 0; i < inputs; i++)
      for (int how = 0; how < 3; how++) printf("%s %d %s\n", info->word, i, hows[how]);
    if ((info->kind & K_ELEMENTWISE) && p != P_SELECT && p != P_CAST) list_sites((Prim)p);
  }
  for (uint32_t i = 0; rules_name(i); i++) printf("rule %s\n", rules_name(i));
  return 0;
}
