/* names.c: see check.h. */
#include "check.h"

bool check_file(Session *s, const Tree *tree, Ast file, const Scope *scope) {
  (void)tree, (void)file, (void)scope;
  return !s->errors;
}
