/* mutations.c: what can be made wrong in a build of -DGRADC_MUTATE=ON, one a line, as GRADC_MUTATION takes it (mutate.h).
 * Comparisons and leaves have no rule to make wrong. Of `loop`, input 0 stands for what a round hands on to the next, and
 * input 1 for what all rounds read. */
#include <stdio.h>

#include "mutate.h"

/* Inputs that have no gradient by decree, and so no rule: conditions, indices, tokens, what is held still. */
static bool is_without(Prim p, int i) {
  switch (p) {
  case P_STOP: case P_ARGMAX: return true;
  case P_OWN: return i < 2; /* the value and what stands for dy */
  case P_SELECT: return i == 0;
  case P_GATHER: case P_SCATTER_ADD: case P_STACK: return i == 1;
  default: return false;
  }
}

/* An elementwise primitive of slots: its node; *g to be freed. */
static Node elementwise(Session *session, Graph **g, Prim p, Node *gradient) {
  *g = graph_new(session, TYPE_F64);
  Node x[3];
  for (int i = 0; i < 3; i++) {
    char name[] = {(char)('a' + i), 0};
    x[i] = build_slot(*g, graph_add_slot(*g, (Slot){.kind = SLOT_PARAM, .name = name, .type = TYPE_F64}));
  }
  *gradient = x[2];
  return prim_info(p)->arity == 1 ? build_unary(*g, p, x[0]) : build_binary(*g, p, x[0], x[1]);
}

/* The operators of its equations, met one after the other; false: ZERO, as of floor, which is no equation. */
static bool list_sites(Prim p, int i, bool print) {
  Session session = {0};
  Graph *g;
  Node gradient;
  const Node y = elementwise(&session, &g, p, &gradient);
  if (print) setenv("GRADC_MUTATION", "list", 1);
  const Node part = prim_info(p)->derive(g, y, gradient, (uint32_t)i);
  unsetenv("GRADC_MUTATION");
  graph_free(g);
  session_free(&session);
  return part.id != 0;
}

int main(void) {
  static const char *const hows[] = {"sign", "twice", "dropped"};
  for (int p = 0; p < P_COUNT; p++) {
    const PrimInfo *info = prim_info((Prim)p);
    const int inputs = p == P_OWN ? 3 : info->arity < 0 ? 2 : info->arity;
    const bool equation = (info->kind & K_ELEMENTWISE) && p != P_SELECT && p != P_CAST;
    if (info->kind & (K_PREDICATE | K_LEAF)) continue;
    for (int i = 0; i < inputs; i++) {
      if (is_without((Prim)p, i) || (equation && !list_sites((Prim)p, i, false))) continue;
      for (int how = 0; how < 3; how++) printf("%s %d %s\n", info->word, i, hows[how]);
      if (equation) list_sites((Prim)p, i, true);
    }
  }
  for (uint32_t i = 0; rules_name(i); i++) printf("rule %s\n", rules_name(i));
  return 0;
}
