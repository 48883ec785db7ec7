/* unknown.c: messages about names that nothing has, shared by check and trace. */
#include "check.h"
#include "near.h"

Span definition_line(const Session *s, Span span) {
  const Place place = source_place(&s->sources, span.begin);
  if (!place.source) return span;
  uint32_t length;
  source_line(place.source, place.line, &length);
  const uint32_t end = span.begin - (place.column - 1) + length;
  return (Span){span.begin, span.end < end ? span.end : end};
}

void diag_unknown_argument(Session *s, const Tree *tree, Span at, const char *name, Ast definition,
                           const char *const *params, uint32_t count) {
  const AstNode *node = ast_node(tree, definition);
  Diag *d = diag_error(s, "unknown-argument", at, "`%s` has no parameter `%s`", name_text(&s->names, node->name), name);
  diag_note(s, d, definition_line(s, node->span), "it is defined here");
  const char *near = near_find(name, params, count);
  if (near) diag_hint(s, d, "did you mean `%s`?", near);
}
