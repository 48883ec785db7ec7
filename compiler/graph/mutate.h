/* mutate.h: for scripts/mutate, in builds of -DGRADC_MUTATE=ON alone: one rule is made wrong, named by the environment, to see
 * that the tests notice. In other builds there is nothing of it.
 *
 *   GRADC_MUTATION="exp 0 sign"     the gradient of a primitive by its input: sign, twice, dropped
 *   GRADC_MUTATION="log 12 site"    an operator within the equations of prims.def: see prims.c
 *   GRADC_MUTATION="rule neg_sub"   what a rule of the builder gives, plus 1, or its contrary
 *   GRADC_MUTATION_LOG=FILE         gets a line where the mutation is met; without one the tests never came by */
#ifndef GRADC_GRAPH_MUTATE_H
#define GRADC_GRAPH_MUTATE_H
#ifdef GRADC_MUTATE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"

static inline bool mutation_is(const char *name) {
  const char *wanted = getenv("GRADC_MUTATION");
  return wanted && !strcmp(wanted, name);
}

static inline void mutation_met(const char *where) {
  const char *path = getenv("GRADC_MUTATION_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (!log) return;
  fprintf(log, "%s\n", where);
  fclose(log);
}

/* Of `derive_log`, site 12. GRADC_MUTATION=list prints the sites that are met. */
static inline bool mutation_site(unsigned n, const char *where) {
  char name[64];
  snprintf(name, sizeof name, "%s %u site", where + strlen("derive_"), n);
  if (mutation_is("list")) printf("%s\n", name);
  if (!mutation_is(name)) return false;
  mutation_met(name);
  return true;
}

/* The gradient that a primitive's rule gives to its input i. */
static inline Node mutation_gradient(Graph *g, const char *word, uint32_t i, Node part) {
  static const char *const hows[] = {"sign", "twice", "dropped"};
  const char *wanted = getenv("GRADC_MUTATION");
  for (int how = 0; wanted && part.id && how < 3; how++) {
    char name[64];
    snprintf(name, sizeof name, "%s %u %s", word, i, hows[how]);
    if (strcmp(wanted, name)) continue;
    mutation_met(name);
    return how == 0 ? build_neg(g, part) : how == 1 ? build_mul(g, part, build_like(g, part, 2)) : NODE_NONE;
  }
  return part;
}

/* What a rule of the builder gives. */
static inline Node mutation_rule(Graph *g, const char *rule, Node n) {
  char name[64];
  snprintf(name, sizeof name, "rule %s", rule);
  if (!mutation_is(name)) return n;
  mutation_met(name);
  unsetenv("GRADC_MUTATION"); /* what is wrong is built by the rules too */
  const Node wrong = node_type(g, n) == TYPE_BOOL ? build_unary(g, P_NOT, n) : build_add(g, n, build_like(g, n, 1));
  setenv("GRADC_MUTATION", name, 1);
  return wrong;
}

#define MUTATED_GRADIENT(g, word, i, part) mutation_gradient(g, word, i, part)
#define MUTATED_RULE(g, rule, n) mutation_rule(g, rule, n)
#else
#define MUTATED_GRADIENT(g, word, i, part) (part)
#define MUTATED_RULE(g, rule, n) (n)
#endif
#endif
