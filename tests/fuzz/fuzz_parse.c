/* Any bytes as a model: they are parsed or refused with a message that has a place; the tree, if there is no error, has
 * no ERROR node; tree and messages can be printed. */
#include <stdlib.h>

#include "parse.h"
#include "render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Session s = {0};
  Tree tree = {0};
  Text out = {0};
  const Source *source = source_add(&s.sources, "fuzz.nn", (const char *)data, size, false);
  if (!source) return 0;
  const Ast file = parse_source(&s, &tree, source);
  if (ast_kind(&tree, file) != AST_FILE) abort();
  for (uint32_t i = 1; i < tree.nodes.count; i++) {
    if (tree.nodes.data[i].kind == AST_ERROR && !s.errors) abort();
  }
  for (const Diag *d = s.diags; d; d = d->next) {
    if (span_is_none(d->span) || !source_place(&s.sources, d->span.begin).source) abort();
  }
  ast_dump(&tree, file, &s.sources, &s.names, &out);
  render_text(&s, &out, false);
  render_json(&s, &out);
  text_free(&out);
  tree_free(&tree);
  session_free(&s);
  return 0;
}
