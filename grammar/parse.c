/* parse.c: see parse.h. Text -> tokens (gradc.l, scan.c) -> tokens in order (tokens.c) -> tree (gradc.y, build.c). */
#include "parse.h"

#include "gradc.tab.h"
#include "parser.h"

void scan_text(Parser *p); /* gradc.l */

static void parser_free(Parser *p) {
  vec_free(&p->tokens);
  vec_free(&p->numbers);
  vec_free(&p->texts);
  vec_free(&p->docs);
  vec_free(&p->cells);
  vec_free(&p->depths);
}

Ast parse_source(Session *s, Tree *tree, const Source *source) {
  Parser p = {.s = s, .tree = tree, .source = source};
  scan_check_utf8(&p);
  scan_text(&p);
  if (!tokens_finish(&p) || gradc_parse(&p)) {
    build_item(&p, build(&p, AST_ERROR, (Span){source->base, source->base + source->length}, token_none(), NULL));
  }
  const Span whole = {source->base, source->base + source->length};
  const Ast file = build(&p, AST_FILE, whole, token_none(), OF(build_list(&p, whole, p.items)));
  parser_free(&p);
  return file;
}
