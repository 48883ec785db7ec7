/* parse.c: see parse.h. Text -> tokens (gradc.l, scan.c) -> tokens in order (tokens.c) -> tree (gradc.y, build.c). */
#include "parse.h"

#include <string.h>

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

/* The scanner speaks first, then the brackets, then the grammar: what they said behind `last` is put in the order of
 * the text. */
static void sort_diags(Session *s, Diag *last) {
  Diag *rest = last ? last->next : s->diags, *sorted = NULL;
  while (rest) {
    Diag *d = rest, **at = &sorted;
    rest = d->next;
    while (*at && (*at)->span.begin <= d->span.begin) at = &(*at)->next;
    d->next = *at;
    *at = d;
  }
  *(last ? &last->next : &s->diags) = sorted;
  for (s->last_diag = last ? last : s->diags; s->last_diag && s->last_diag->next;) s->last_diag = s->last_diag->next;
}

Ast parse_source(Session *s, Tree *tree, const Source *source) {
  const uint32_t mark = strncmp(source->text, "\xef\xbb\xbf", 3) ? 0 : 3; /* the byte order mark */
  return parse_part(s, tree, source, mark, source->length);
}

Ast parse_part(Session *s, Tree *tree, const Source *source, uint32_t begin, uint32_t end) {
  Parser p = {.s = s, .tree = tree, .source = source, .offset = begin, .end = end};
  Diag *last = s->last_diag;
  scan_check_utf8(&p);
  scan_text(&p);
  if (!tokens_finish(&p) || gradc_parse(&p)) {
    ast_item(&p, ast_build(&p, AST_ERROR, (Span){source->base, source->base + source->length}, token_none(), NULL));
  }
  const Span whole = {source->base, source->base + source->length};
  const Ast file = ast_build(&p, AST_FILE, whole, token_none(), OF(ast_list(&p, whole, p.items)));
  parser_free(&p);
  sort_diags(s, last);
  return file;
}
