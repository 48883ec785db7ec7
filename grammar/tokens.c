/* tokens.c: puts the scanner's tokens in order for the grammar. Every bracket gets its counterpart, END stands where a
 * statement ends, and a word is a keyword only where it may be one. The parser so sees balanced brackets alone, and can
 * pass over what it does not understand. */
#include <stdlib.h>

#include "gradc.tab.h"
#include "parser.h"

/* A closing bracket that the file lacks, before token `at`. */
typedef struct {
  uint32_t at, opening;
} Missing;

typedef struct {
  Parser *p;
  Vec(uint32_t) open; /* opening brackets, innermost last */
  Vec(Missing) missing;
  uint32_t suspect; /* the first brace whose counterpart stands at another depth of the page */
  Tokens out;
} Filter;

bool token_is_opening(int kind) { return kind == T_LPAREN || kind == T_LBRACKET || kind == T_LBRACE; }
bool token_is_closing(int kind) { return kind == T_RPAREN || kind == T_RBRACKET || kind == T_RBRACE; }
static int closing_of(int opening) { return opening + 1; }

bool token_is_operator(int kind) {
  return kind == T_PIPE || kind == T_AND || kind == T_OR || (kind >= T_LT && kind <= T_DOTS) ||
         (kind >= T_PLUS && kind <= T_POWER);
}

/* Words that are keywords as the first of a statement only. */
static bool is_soft(int kind) { return kind >= T_IMPORT && kind <= T_NEXT; }

bool token_begins_expression(int kind) {
  switch (kind) {
  case T_NAME:
  case T_NUMBER:
  case T_STRING:
  case T_MAX:
  case T_WEIGHT:
  case T_FROM:
  case T_OVER:
  case T_REVERSED:
  case T_AS:
  case T_GRADIENT:
  case T_IF:
  case T_SCAN:
  case T_ITERATE:
  case T_NOT:
  case T_TRUE:
  case T_FALSE:
  case T_DOTS:
  case T_MINUS:
  case T_LPAREN:
  case T_LBRACKET:
  case T_LBRACE: return true;
  default: return is_soft(kind);
  }
}

/* No statement ends behind these: operators, commas, opening brackets, and the words that something must follow. */
static bool is_continued(int kind) {
  return (kind >= T_IF && kind <= T_NOT) || (kind >= T_PIPE && kind <= T_POWER) || token_is_opening(kind);
}

/* No statement begins with these. */
static bool continues(int kind) {
  return kind == T_RBRACE || kind == T_PIPE || kind == T_THEN || kind == T_ELSE || kind == T_YIELD || kind == T_WITH;
}

static const Token *token_at(const Parser *p, uint32_t i) { return &p->tokens.data[i]; }

/* Blanks before the first token of the line. */
static uint32_t indent_at(const Parser *p, uint32_t i) {
  const Place place = source_place(&p->s->sources, token_at(p, i)->begin);
  uint32_t length, n = 0;
  const char *line = source_line(p->source, place.line, &length);
  while (n < length && (line[n] == ' ' || line[n] == '\t')) n++;
  return n;
}

/* A definition at the left edge, such as `layer f`: it is no part of any block, so whatever is open was not closed.
 * `metric f` may be a statement, and says nothing. */
static bool begins_definition(const Parser *p, uint32_t i) {
  const Token *t = token_at(p, i), *next = t + 1;
  if (t->kind < T_IMPORT || t->kind > T_TRAIN || t->kind == T_METRIC || (i && !t->newline) || i + 1 >= p->tokens.count)
    return false;
  if (next->newline || source_place(&p->s->sources, t->begin).column != 1) return false;
  if (t->kind == T_IMPORT) return next->kind == T_STRING;
  return next->word || (next->kind == T_LBRACE && (t->kind == T_DATA || t->kind == T_TRAIN));
}

/* What no expression in brackets holds. */
static bool begins_statement(const Parser *p, uint32_t i) {
  const Token *t = token_at(p, i), *next = t + 1;
  if (!t->newline) return false;
  if (t->kind == T_LET) return true;
  if (i + 1 >= p->tokens.count || next->newline) return false;
  return (t->word && next->kind == T_ASSIGN) ||
         (is_soft(t->kind) && next->word && !(next->kind >= T_IF && next->kind <= T_FALSE));
}

/* Where the closing bracket of `opening` should have been, at `limit` at the latest: where a line begins that stands no
 * deeper than the opening one's. */
static uint32_t closing_place(const Parser *p, uint32_t opening, uint32_t limit) {
  if (token_at(p, opening)->kind == T_LBRACE) return limit;
  const uint32_t indent = indent_at(p, opening);
  const int before = opening ? token_at(p, opening - 1)->kind : T_END;
  const bool pattern = before == T_LET || before == T_SCAN || before == T_ITERATE || before == T_FOR;
  for (uint32_t i = opening + 1; i < limit; i++) {
    const Token *t = token_at(p, i);
    if (t->kind == T_END || (pattern && (t->kind == T_BE || t->kind == T_IN))) return i;
    const bool line = t->newline && !is_continued(t[-1].kind) && !continues(t->kind);
    if (line && (begins_statement(p, i) || indent_at(p, i) <= indent)) return i;
    if (token_is_opening(t->kind) && t->link != NO_LINK && t->link < limit) i = t->link;
  }
  return limit;
}

static void report_unclosed(Filter *f, uint32_t opening, uint32_t limit) {
  Parser *p = f->p;
  const uint32_t at = closing_place(p, opening, limit);
  const Token *open = token_at(p, opening);
  const uint32_t place = token_at(p, at - 1)->end;
  Diag *d = diag_error(p->s, "bracket-never-closed", (Span){place, place}, "missing `%s`",
                       token_spelling(closing_of(open->kind)));
  diag_note(p->s, d, token_span(*open), "this `%s` is never closed", token_spelling(open->kind));
  if (open->kind == T_LBRACE && f->suspect != NO_LINK && f->suspect > opening) {
    diag_note(p->s, d, token_span(*token_at(p, f->suspect)), "perhaps it is this one: its `}` stands at another depth");
  }
  vec_push(&f->missing, ((Missing){at, opening}));
}

static void close_down_to(Filter *f, uint32_t depth, uint32_t limit) {
  while (f->open.count > depth) report_unclosed(f, f->open.data[--f->open.count], limit);
}

static void report_stray(Filter *f, uint32_t i) {
  Token *t = &f->p->tokens.data[i];
  diag_error(f->p->s, "bracket-closes-nothing", token_span(*t), "this `%s` closes nothing", token_spelling(t->kind));
  t->kind = T_GRADC_UNDEF; /* left out */
}

static void close_bracket(Filter *f, uint32_t i) {
  Token *tokens = f->p->tokens.data, *t = &tokens[i];
  uint32_t depth = f->open.count;
  /* A brace closes whatever stands open in it; a round or square bracket reaches to the next brace only. */
  for (; depth; depth--) {
    const int kind = tokens[f->open.data[depth - 1]].kind;
    if (closing_of(kind) == t->kind) break;
    if (kind == T_LBRACE) depth = 1;
  }
  if (depth) {
    close_down_to(f, depth, i);
    const uint32_t opening = f->open.data[--f->open.count];
    const bool first = t->kind == T_RBRACE && t->newline;
    tokens[opening].link = i;
    if (first && f->suspect == NO_LINK && indent_at(f->p, i) != indent_at(f->p, opening)) f->suspect = opening;
    return;
  }
  Token *open = f->open.count ? &tokens[f->open.data[f->open.count - 1]] : NULL;
  const bool wrong = open && open->kind != T_LBRACE && t->kind != T_RBRACE;
  if (!wrong || (i + 1 < f->p->tokens.count && t[1].kind == closing_of(open->kind))) {
    report_stray(f, i);
    return;
  }
  Diag *d = diag_error(f->p->s, "bracket-mismatch", token_span(*t), "`%s` where `%s` is missing",
                       token_spelling(t->kind), token_spelling(closing_of(open->kind)));
  diag_note(f->p->s, d, token_span(*open), "this `%s` is to be closed", token_spelling(open->kind));
  t->kind = (uint8_t)closing_of(open->kind);
  open->link = i;
  f->open.count--;
}

static bool match_brackets(Filter *f) {
  Parser *p = f->p;
  for (uint32_t i = 0; i < p->tokens.count; i++) {
    const Token *t = token_at(p, i);
    if (f->open.count && begins_definition(p, i)) {
      close_down_to(f, 0, i);
    } else if (f->open.count && begins_statement(p, i)) {
      uint32_t depth = f->open.count;
      while (depth && token_at(p, f->open.data[depth - 1])->kind != T_LBRACE) depth--;
      close_down_to(f, depth, i);
    }
    if (token_is_closing(t->kind)) close_bracket(f, i);
    if (!token_is_opening(t->kind)) continue;
    if (f->open.count >= NESTING) {
      syntax_too_deep(p, token_span(*t));
      return false;
    }
    vec_push(&f->open, i);
  }
  close_down_to(f, 0, p->tokens.count);
  return true;
}

/* By place; of brackets missing at one place, the inner first. */
static int compare_missing(const void *a, const void *b) {
  const Missing *x = a, *y = b;
  if (x->at != y->at) return x->at < y->at ? -1 : 1;
  return x->opening > y->opening ? -1 : 1;
}

static int innermost(const Filter *f) {
  return f->open.count ? f->out.data[f->open.data[f->open.count - 1]].kind : T_LBRACE;
}
static int last_kind(const Filter *f) { return f->out.count ? f->out.data[f->out.count - 1].kind : T_END; }

static void add(Filter *f, Token token) {
  token.link = f->open.count ? f->open.data[f->open.count - 1] : NO_LINK;
  if (token_is_opening(token.kind)) {
    token.value = token.link; /* the bracket outside it */
    vec_push(&f->open, f->out.count);
  } else if (token_is_closing(token.kind)) {
    const uint32_t opening = f->open.data[--f->open.count];
    f->out.data[opening].link = f->out.count;
    token.link = opening;
    token.value = f->out.data[opening].value;
  }
  vec_push(&f->out, token);
}

/* An END before `t`, where a newline there counts. Behind an operator it does not, but what can only begin a statement
 * is not drawn into the one that lacks its end. */
static void end_statement(Filter *f, const Token *t) {
  const int last = last_kind(f);
  const uint32_t at = (uint32_t)(t - f->p->tokens.data);
  const bool begins = !token_is_opening(last) && (begins_statement(f->p, at) || begins_definition(f->p, at));
  if (innermost(f) != T_LBRACE || last == T_END || t->kind == T_END) return;
  if ((is_continued(last) && !begins) || continues(t->kind)) return;
  const Token *before = &f->out.data[f->out.count - 1];
  const bool header = before->kind == T_RPAREN || before->kind == T_RBRACKET || before->word;
  if (t->kind == T_LBRACE && !f->open.count && header) {
    Diag *d = diag_error(f->p->s, "brace-on-next-line", token_span(*t), "this `{` belongs on the line above");
    diag_hint(f->p->s, d, "a newline ends what stands before it");
    return;
  }
  add(f, (Token){.kind = T_END, .newline = true, .made = before->made, .begin = before->end, .end = before->end});
}

/* A word is a keyword where a statement begins and what follows can begin an expression: `loss (a + b)^2`, `loss -a`.
 */
static bool is_keyword(const Filter *f, const Token *t) {
  if (!is_soft(t->kind)) return true;
  const int last = last_kind(f);
  if (last != T_END && last != T_LBRACE) return false;
  const Parser *p = f->p;
  const uint32_t next = (uint32_t)(t - p->tokens.data) + 1;
  return next < p->tokens.count && !token_at(p, next)->newline && token_begins_expression(token_at(p, next)->kind);
}

static void add_separator(Filter *f, Token t) {
  const int last = last_kind(f);
  if (innermost(f) != T_LBRACE) {
    Diag *d = diag_error(f->p->s, "unexpected-token", token_span(t), "`;` within brackets");
    diag_hint(f->p->s, d, "what stands in brackets is separated by commas");
    t.kind = T_BAD;
    t.made = true;
  } else if (last == T_END || last == T_LBRACE) {
    return;
  }
  add(f, t);
}

static void add_token(Filter *f, const Token *t) {
  if (t->kind == T_END) {
    add_separator(f, *t);
    return;
  }
  if (t->newline) end_statement(f, t);
  if (t->kind == T_RBRACE && last_kind(f) == T_END && f->out.count) f->out.count--;
  Token token = *t;
  if (!is_keyword(f, t)) token.kind = T_NAME;
  add(f, token);
}

static void add_closing(Filter *f, Missing missing) {
  const uint32_t end = f->out.data[f->out.count - 1].end;
  const int kind = closing_of(token_at(f->p, missing.opening)->kind);
  if (kind == T_RBRACE && last_kind(f) == T_END) f->out.count--;
  add(f, (Token){.kind = (uint8_t)kind, .made = true, .begin = end, .end = end});
}

static void arrange(Filter *f) {
  Parser *p = f->p;
  uint32_t next = 0;
  if (f->missing.count) qsort(f->missing.data, f->missing.count, sizeof *f->missing.data, compare_missing);
  for (uint32_t i = 0; i <= p->tokens.count; i++) {
    while (next < f->missing.count && f->missing.data[next].at == i) add_closing(f, f->missing.data[next++]);
    if (i < p->tokens.count && token_at(p, i)->kind != T_GRADC_UNDEF) add_token(f, token_at(p, i));
  }
  if (f->out.count && last_kind(f) == T_END) f->out.count--;
  const uint32_t end = f->out.count ? f->out.data[f->out.count - 1].end : p->source->base;
  add(f, (Token){.kind = T_YYEOF, .newline = true, .begin = end, .end = end});
}

bool tokens_finish(Parser *p) {
  Filter f = {.p = p, .suspect = NO_LINK};
  const bool fine = match_brackets(&f);
  f.open.count = 0;
  if (fine) {
    arrange(&f);
    vec_free(&p->tokens);
    p->tokens.data = f.out.data;
    p->tokens.count = f.out.count;
    p->tokens.capacity = f.out.capacity;
  }
  vec_free(&f.open);
  vec_free(&f.missing);
  return fine;
}

uint32_t tokens_sync(const Parser *p) {
  const Token *tokens = p->tokens.data;
  uint32_t at = p->lookahead;
  /* Out of round and square brackets: no statement ends in them. */
  uint32_t opening = token_is_opening(tokens[at].kind) ? tokens[at].value : tokens[at].link;
  while (opening != NO_LINK && tokens[opening].kind != T_LBRACE) {
    at = tokens[opening].link + 1;
    opening = tokens[opening].value;
  }
  if (at == p->lookahead && (tokens[at].kind == T_END || tokens[at].kind == T_RBRACE || tokens[at].kind == T_YYEOF))
    return p->at;
  while (tokens[at].kind != T_END && tokens[at].kind != T_RBRACE && tokens[at].kind != T_YYEOF) {
    at = token_is_opening(tokens[at].kind) ? tokens[at].link + 1 : at + 1;
  }
  return at;
}
