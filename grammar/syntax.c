/* syntax.c: what is said where the text does not fit the grammar. The parser knows what would fit; the commonest slips
 * have a sentence and a remedy of their own, tried in order, and the last of them fits everything. */
#include <string.h>

#include "gradc.tab.h"
#include "near.h"
#include "parser.h"

typedef struct {
  Parser *p;
  Session *s;
  const Token *tokens;
  uint32_t at;           /* the token that does not fit */
  Token found, before;   /* it, and the one before it */
  const bool *expected;  /* by kind */
  bool after_expression; /* an expression ends before it */
} Slip;

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What a statement goes on with, but for operators and what may stand behind any expression. */
static const uint8_t joints[] = {T_RPAREN, T_RBRACKET, T_RBRACE, T_COMMA, T_COLON,    T_BE,  T_TILDE,
                                 T_THEN,   T_ELSE,     T_FOR,    T_IN,    T_WHILE,    T_MAX, T_ARROW,
                                 T_LPAREN, T_LBRACE,   T_OF,     T_WITH,  T_GRADIENT, T_END};

static int text_length(Token t) { return (int)(t.end - t.begin > 40 ? 40 : t.end - t.begin); }
static const char *text_of(const Slip *e, Token t) { return e->p->source->text + (t.begin - e->p->source->base); }

static bool text_is(const Slip *e, Token t, const char *text) {
  return t.end - t.begin == strlen(text) && !memcmp(text_of(e, t), text, strlen(text));
}

static const char *quoted(const Slip *e, Token t) {
  if (t.kind == T_YYEOF) return "the end of the file";
  if (t.begin == t.end) return t.kind == T_END ? "the end of the line" : token_spelling(t.kind);
  return arena_printf(&e->s->arena, "`%.*s`", text_length(t), text_of(e, t));
}

static bool is_reserved(Token t) { return t.word && t.kind >= T_IF && t.kind <= T_FALSE; }
static bool ends(Token t) { return t.kind == T_END || t.kind == T_YYEOF || token_is_closing(t.kind); }
static Token next_of(const Slip *e) { return e->found.kind ? e->tokens[e->at + 1] : e->found; }

/* The innermost bracket that the found token stands in, or none. */
static Token enclosing(const Slip *e) {
  const uint32_t opening = token_is_opening(e->found.kind) ? e->found.value : e->found.link;
  return opening == NO_LINK ? token_none() : e->tokens[opening];
}

/* Where the statement of the found token begins. */
static uint32_t statement_begin(const Slip *e) {
  uint32_t i = e->at;
  while (i) {
    const Token before = e->tokens[i - 1];
    if (before.kind == T_END || token_is_opening(before.kind)) break;
    i = token_is_closing(before.kind) ? before.link : i - 1;
  }
  return i;
}

static bool begins_statement(const Slip *e) { return !e->at || e->before.kind == T_END || e->before.kind == T_LBRACE; }

/* An error between the token before and the found one. */
static Diag *say_missing(const Slip *e, int kind) {
  const uint32_t place = e->at ? e->before.end : e->found.begin;
  const char *spelling = kind == T_END ? ";" : token_spelling(kind);
  return diag_error(e->s, "missing-token", (Span){place, place}, "missing `%s` after %s", spelling,
                    quoted(e, e->before));
}

/* A comparison or range that goes on. */
static bool say_chain(const Slip *e) {
  const int kind = e->found.kind;
  if (kind < T_LT || kind > T_DOTS || !e->after_expression || !e->expected[T_AND]) return false;
  if (kind == T_DOTS) {
    diag_error(e->s, "chained-comparison", token_span(e->found), "ranges are not chained");
    return true;
  }
  Diag *d = diag_error(e->s, "chained-comparison", token_span(e->found), "comparisons are not chained");
  diag_hint(e->s, d, "write `a < b and b < c`");
  return true;
}

/* `x |> f + y`. */
static bool say_pipeline(const Slip *e) {
  if (!e->after_expression || !e->expected[T_PIPE] || e->expected[T_AND] || !token_is_operator(e->found.kind))
    return false;
  const char *op = token_spelling(e->found.kind);
  Diag *d = diag_error(e->s, "pipeline-brackets", token_span(e->found), "`%s` behind a pipeline", op);
  diag_hint(e->s, d, "put brackets around the pipeline: `(x |> f) %s y`", op);
  return true;
}

/* `a <-b` where no assignment can be. */
static bool say_assignment(const Slip *e) {
  if (e->found.kind != T_ASSIGN) return false;
  const bool statement = e->tokens[statement_begin(e)].kind >= T_IMPORT && e->tokens[statement_begin(e)].kind <= T_NEXT;
  const bool whole = enclosing(e).kind == T_LBRACE && e->expected[T_END] && !statement;
  Diag *d = diag_error(e->s, "assignment", token_span(e->found),
                       whole ? "only a name can be assigned to" : "`<-` assigns to a name, as a statement of its own");
  if (!whole) diag_hint(e->s, d, "\"less than minus\" is written with a space: `a < -b`");
  return true;
}

/* `=` behind the only word of a statement. */
static void say_plain_equals(const Slip *e, Token word) {
  static const uint8_t without[] = {T_LOSS, T_METRIC, T_NEXT, T_OUTPUT};
  const char *name = name_text(&e->s->names, (Name){word.value});
  for (size_t i = 0; i < sizeof without; i++) {
    if (!word.word || strcmp(name, token_spelling(without[i]))) continue;
    Diag *d = diag_error(e->s, "extra-equals", token_span(e->found), "the `=` is too many");
    if (without[i] == T_OUTPUT)
      diag_hint(e->s, d, "an output has a name: `output scores = …`");
    else if (without[i] == T_NEXT)
      diag_hint(e->s, d, "write `next …`");
    else
      diag_hint(e->s, d, "write `%s …`, or with a name `%s a = …`", name, name);
    return;
  }
  Diag *d = diag_error(e->s, "missing-let", token_span(word), "missing `let` before `%s =`", name);
  diag_hint(e->s, d, "`let %s = …` names a value, `%s <- …` writes a state", name, name);
}

static bool say_equals(const Slip *e) {
  if (e->found.kind != T_BE) return false;
  if (e->expected[T_TILDE]) {
    Diag *d = diag_error(e->s, "missing-token", token_span(e->found), "`=` where `~` is missing");
    diag_hint(e->s, d, "what a parameter or a state starts from stands behind `~`");
    return true;
  }
  if (!e->after_expression) return false;
  const uint32_t begin = statement_begin(e);
  const Token outer = enclosing(e);
  if (outer.kind == T_LBRACE && begin + 1 == e->at && e->before.word) {
    say_plain_equals(e, e->before);
  } else if (outer.kind == T_LPAREN && e->expected[T_COMMA]) {
    Diag *d = diag_error(e->s, "unexpected-token", token_span(e->found), "only a name can stand left of `=` here");
    diag_hint(e->s, d, "to compare, write `==`");
  } else {
    Diag *d = diag_error(e->s, "unexpected-token", token_span(e->found), "`=` in an expression");
    diag_hint(e->s, d, "to compare, write `==`");
  }
  return true;
}

static const char *const definition_words[] = {"import",   "const",  "fn",    "layer", "init", "optimizer",
                                               "schedule", "metric", "model", "data",  "train"};
static const char *const statement_words[] = {"let",    "param", "state",  "input", "target",
                                              "output", "loss",  "metric", "next"};

/* What other languages call it. */
static const char *foreign_word(const Slip *e, Token t) {
  static const char *const pairs[][2] = {{"def", "fn"},        {"func", "fn"},        {"function", "fn"},
                                         {"fun", "fn"},        {"class", "layer"},    {"module", "layer"},
                                         {"var", "let"},       {"val", "let"},        {"auto", "let"},
                                         {"network", "model"}, {"dataset", "data"},   {"optimiser", "optimizer"},
                                         {"use", "import"},    {"include", "import"}, {"parameter", "param"},
                                         {"label", "target"},  {"training", "train"}, {"constant", "const"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    if (text_is(e, t, pairs[i][0])) return pairs[i][1];
  }
  return NULL;
}

static const char *meant_word(const Slip *e, Token t, const char *const *words, size_t count) {
  if (!t.word) return NULL;
  const char *foreign = foreign_word(e, t);
  for (size_t i = 0; foreign && i < count; i++) {
    if (!strcmp(words[i], foreign)) return foreign;
  }
  const char *near = near_find(name_text(&e->s->names, (Name){t.value}), words, count);
  return near && !text_is(e, t, near) ? near : NULL;
}

static bool is_one_of(const Slip *e, Token t, const char *const *words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (text_is(e, t, words[i])) return true;
  }
  return false;
}

/* At the top level: what stands there is no definition. */
static bool say_definition(const Slip *e) {
  if (!e->expected[T_FN]) return false;
  if (is_reserved(next_of(e)) && is_one_of(e, e->found, definition_words, COUNT(definition_words))) {
    const Token name = next_of(e);
    diag_error(e->s, "missing-name", token_span(name), "%s is reserved and cannot be a name", quoted(e, name));
    return true;
  }
  Diag *d = diag_error(e->s, "not-a-definition", token_span(e->found), "expected a definition, found %s",
                       quoted(e, e->found));
  const char *meant = meant_word(e, e->found, definition_words, COUNT(definition_words));
  const Token next = next_of(e);
  if (meant)
    diag_hint(e->s, d, "did you mean `%s`?", meant);
  else if (e->found.kind == T_LET || (e->found.word && next.kind == T_BE))
    diag_hint(e->s, d, "outside of a block, a value is a constant: `const name = …`");
  else if (token_is_operator(e->found.kind))
    diag_hint(e->s, d, "an expression that goes on leaves its operator at the end of the line above");
  else
    diag_hint(e->s, d,
              "a file is made of import, const, fn, layer, init, optimizer, schedule, metric, model, data and train");
  return true;
}

/* A line that begins with an operator. */
static bool say_operator_line(const Slip *e) {
  if (!begins_statement(e) || !token_is_operator(e->found.kind) || !e->at) return false;
  if (e->found.kind == T_PIPE) return false;
  Diag *d = diag_error(e->s, "line-begins-with-operator", token_span(e->found), "a statement cannot begin with `%s`",
                       token_spelling(e->found.kind));
  if (e->before.kind == T_END)
    diag_hint(e->s, d, "leave the `%s` at the end of the line above, or put the whole in brackets",
              token_spelling(e->found.kind));
  return true;
}

/* Of what fits, the joints; behind an expression not those that belong to it. */
static int joints_expected(const Slip *e, int *only) {
  int count = 0;
  for (size_t i = 0; i < COUNT(joints); i++) {
    if (!e->expected[joints[i]]) continue;
    if (e->after_expression && (joints[i] == T_LPAREN || joints[i] == T_ARROW)) continue;
    if (joints[i] == T_MAX && e->expected[T_NAME]) continue;
    *only = joints[i];
    count++;
  }
  return count;
}

/* A setting, where one begins. */
static bool say_setting(const Slip *e) {
  const Token outer = enclosing(e);
  if (!begins_statement(e) || outer.kind != T_LBRACE || e->expected[T_NUMBER] || !e->expected[T_NAME]) return false;
  if (e->found.word && !is_reserved(e->found) && token_begins_expression(next_of(e).kind)) {
    const char *name = name_text(&e->s->names, (Name){e->found.value});
    Diag *d = diag_error(e->s, "missing-token", (Span){e->found.end, e->found.end}, "missing `=` after `%s`", name);
    diag_hint(e->s, d, "a setting is written `%s = …`", name);
    return true;
  }
  Diag *d =
      diag_error(e->s, "unexpected-token", token_span(e->found), "expected a setting, found %s", quoted(e, e->found));
  if (is_reserved(e->found) && e->found.kind != T_LET) {
    diag_hint(e->s, d, "%s is reserved and cannot be a name", quoted(e, e->found));
    return true;
  }
  diag_hint(e->s, d,
            e->found.kind == T_LET ? "settings are written without `let`: `name = …`"
                                   : "a setting is written `name = …`");
  return true;
}

/* Where an expression (or a statement) should begin. */
static bool say_expression(const Slip *e) {
  if (e->after_expression || !e->expected[T_NUMBER]) return false;
  const Token before = e->before;
  if (e->found.kind == T_IF) {
    Diag *d = diag_error(e->s, "if-in-brackets", token_span(e->found), "an `if` after %s stands in brackets",
                         quoted(e, before));
    diag_hint(e->s, d, "write `(if … then … else …)`");
  } else if (e->found.kind == T_RBRACE && before.kind == T_LBRACE) {
    diag_error(e->s, "empty-block", (Span){before.begin, e->found.end}, "an empty block has no value");
  } else if (e->found.kind == T_RPAREN && before.kind == T_LPAREN) {
    Diag *d = diag_error(e->s, "unexpected-token", (Span){before.begin, e->found.end}, "empty brackets");
    if (next_of(e).kind == T_ARROW) diag_hint(e->s, d, "a lambda has at least one parameter");
  } else if (e->found.kind == T_BE && token_is_operator(before.kind) && before.end == e->found.begin) {
    Diag *d = diag_error(e->s, "unexpected-token", (Span){before.begin, e->found.end}, "`%s=` is no operator",
                         token_spelling(before.kind));
    diag_hint(e->s, d, "write the sum out: `a <- a %s …`", token_spelling(before.kind));
  } else if (e->found.kind == T_SLASH && before.kind == T_SLASH && before.end == e->found.begin) {
    Diag *d = diag_error(e->s, "unexpected-token", (Span){before.begin, e->found.end}, "`//` is no operator");
    diag_hint(e->s, d, "a comment begins with `#`; the whole part of a quotient is `floor(a / b)`");
  } else {
    const bool statement = begins_statement(e) && e->expected[T_LET];
    const bool line = ends(e->found) && e->found.kind != T_RPAREN && e->at;
    const Span place = line ? (Span){before.end, before.end} : token_span(e->found);
    const char *what = statement ? "a statement" : "an expression";
    Diag *d = statement
                  ? diag_error(e->s, "unexpected-token", place, "expected %s, found %s", what, quoted(e, e->found))
                  : diag_error(e->s, "missing-expression", place, "expected %s after %s, found %s", what,
                               quoted(e, before), quoted(e, e->found));
    if (statement && e->found.kind == T_FOR) {
      diag_hint(e->s, d, "a loop is an expression: `scan h = start for x in xs { … next … }`");
    }
    if (statement && e->found.kind == T_WHILE) {
      diag_hint(e->s, d, "a loop is an expression: `iterate z = start while … max n { … next … }`");
    }
    if (e->found.word && !statement) diag_hint(e->s, d, "%s is reserved and cannot be a name", quoted(e, e->found));
  }
  return true;
}

/* `target in: []`: a reserved word behind the first word of a statement, where a name was meant. */
static bool say_reserved(const Slip *e) {
  if (!e->after_expression || !is_reserved(e->found) || e->before.kind != T_NAME || statement_begin(e) + 1 != e->at)
    return false;
  if (!is_one_of(e, e->before, statement_words, COUNT(statement_words))) return false;
  diag_error(e->s, "missing-name", token_span(e->found), "%s is reserved and cannot be a name", quoted(e, e->found));
  return true;
}

/* Two expressions with nothing between them. */
static bool say_juxtaposed(const Slip *e) {
  if (!e->after_expression || !(token_begins_expression(e->found.kind) || e->found.kind == T_LET)) return false;
  int only = 0;
  joints_expected(e, &only);
  if (e->expected[T_COMMA] && enclosing(e).kind != T_LBRACE && enclosing(e).kind) {
    say_missing(e, T_COMMA);
    return true;
  }
  if (!e->expected[T_END]) return false;
  const uint32_t begin = statement_begin(e);
  const Token first = e->tokens[begin];
  const char *meant = begin + 1 == e->at ? meant_word(e, first, statement_words, COUNT(statement_words)) : NULL;
  if (meant && enclosing(e).kind) {
    Diag *d = diag_error(e->s, "unknown-statement", token_span(first), "`%.*s` begins no statement", text_length(first),
                         text_of(e, first));
    diag_hint(e->s, d, "did you mean `%s`?", meant);
  } else if (begin + 1 == e->at && text_is(e, first, "return")) {
    Diag *d = diag_error(e->s, "unknown-statement", token_span(first), "`return` begins no statement");
    diag_hint(e->s, d, "the last expression of a block is its value");
  } else {
    Diag *d = say_missing(e, T_END);
    diag_hint(e->s, d, "a statement ends at a newline or `;`");
  }
  return true;
}

/* A name, where only a name fits. */
static bool say_name(const Slip *e) {
  if (!e->expected[T_NAME] || e->expected[T_NUMBER] || e->after_expression) return false;
  const Token before = e->before;
  if (e->expected[T_LBRACKET] && e->expected[T_LPAREN] &&
      (before.kind == T_COLON || before.kind == T_ARROW || before.kind == T_LPAREN || before.kind == T_COMMA)) {
    Diag *d = diag_error(e->s, "missing-type", token_span(e->found), "expected a type, found %s", quoted(e, e->found));
    diag_hint(
        e->s, d,
        "a type is a shape with or without elements, such as `[28, 28]` or `[64] of label[10]`; `[]` is a number");
    return true;
  }
  if (e->expected[T_LBRACE] && e->found.kind != T_LET) return false; /* `data {`: the name may be left out */
  const bool at_end = ends(e->found) && (e->found.newline || e->found.begin == e->found.end);
  const Span place = at_end ? (Span){before.end, before.end} : token_span(e->found);
  Diag *d = diag_error(e->s, "missing-name", place, "expected a name after %s, found %s", quoted(e, before),
                       quoted(e, e->found));
  if (e->found.word) diag_hint(e->s, d, "%s is reserved and cannot be a name", quoted(e, e->found));
  if (e->found.kind == T_LBRACE && before.word)
    diag_hint(e->s, d, "write `%s name { … }`", token_spelling(before.kind));
  return true;
}

/* A list of what would fit, for what has no better sentence. */
static const char *list_joints(const Slip *e) {
  Text text = {0};
  int left, only;
  left = joints_expected(e, &only);
  for (size_t i = 0; i < COUNT(joints); i++) {
    if (!e->expected[joints[i]] || (e->after_expression && (joints[i] == T_LPAREN || joints[i] == T_ARROW)) ||
        (joints[i] == T_MAX && e->expected[T_NAME])) {
      continue;
    }
    if (text.length) text_add(&text, left == 1 ? " or " : ", ");
    if (joints[i] == T_END)
      text_add(&text, "the end of the statement");
    else
      text_printf(&text, "`%s`", token_spelling(joints[i]));
    left--;
  }
  const char *list = arena_text(&e->s->arena, text_get(&text), text.length);
  text_free(&text);
  return list;
}

static bool names_element(const Slip *e, Token t) {
  return text_is(e, t, "float") || text_is(e, t, "int") || text_is(e, t, "bool") || text_is(e, t, "label");
}

/* In a list of parameters or names: `f(a b)`, `f(x [n])`, `let a, b = …`. */
static bool say_parameter(const Slip *e) {
  const int found = e->found.kind;
  if (e->after_expression) return false;
  if (e->expected[T_BE] && found == T_COMMA && !e->expected[T_COMMA]) {
    Diag *d = diag_error(e->s, "unexpected-token", token_span(e->found), "`,` between names without brackets");
    diag_hint(e->s, d, "several names stand in brackets: `let (a, b) = …`");
    return true;
  }
  if (!e->expected[T_COMMA] || !(e->found.word || token_is_opening(found))) return false;
  const bool type = e->expected[T_COLON] && (found == T_LBRACKET || names_element(e, e->found));
  if (e->expected[T_OF] && names_element(e, e->found)) return false;
  say_missing(e, type ? T_COLON : T_COMMA);
  return true;
}

/* A body without its `=`, or a type without its `->`. */
static void say_body(const Slip *e) {
  const int found = e->found.kind, next = next_of(e).kind;
  const bool typed = found == T_LBRACKET || names_element(e, e->found) || next == T_BE || next == T_LBRACE;
  const bool type = e->expected[T_ARROW] && !ends(e->found) && typed;
  Diag *d = say_missing(e, type ? T_ARROW : T_BE);
  if (type)
    diag_hint(e->s, d, "the type of the result stands behind `->`");
  else if (e->expected[T_LBRACE])
    diag_hint(e->s, d, "a body is `= expression` or `{ … }`");
}

static bool say_joint(const Slip *e) {
  int only = 0;
  const int count = joints_expected(e, &only);
  if (e->expected[T_OF] && names_element(e, e->found)) {
    say_missing(e, T_OF);
  } else if (e->expected[T_TILDE]) {
    Diag *d = say_missing(e, e->found.kind == T_LBRACKET && e->expected[T_COLON] ? T_COLON : T_TILDE);
    diag_hint(e->s, d, "write `name: [n, m] ~ start`");
  } else if (e->expected[T_BE] && !e->after_expression && (token_begins_expression(e->found.kind) || ends(e->found))) {
    say_body(e);
  } else if (e->expected[T_STRING] && !e->expected[T_NAME]) {
    diag_error(e->s, "unexpected-token", token_span(e->found), "expected a text in quotes after %s, found %s",
               quoted(e, e->before), quoted(e, e->found));
  } else if (count == 1 && only == T_END) {
    Diag *d = say_missing(e, T_END);
    diag_hint(e->s, d, "a definition or statement ends at a newline or `;`");
  } else if (count == 1 || e->expected[T_THEN] || e->expected[T_ELSE]) {
    say_missing(e, e->expected[T_THEN] ? T_THEN : e->expected[T_ELSE] ? T_ELSE : only);
  } else if (count) {
    diag_error(e->s, "unexpected-token", token_span(e->found), "expected %s, found %s", list_joints(e),
               quoted(e, e->found));
  } else {
    return false;
  }
  return true;
}

/* Bytes from 0x80 are letters, so signs that only look like ours make names. */
static bool say_lookalike(const Slip *e, Token t) {
  static const char *const pairs[][2] = {{"−", "-"},      {"–", "-"},      {"×", "*"},     {"·", "*"},  {"÷", "/"},
                                         {"→", "->"},     {"←", "<-"},     {"≤", "<="},    {"≥", ">="}, {"≠", "!="},
                                         {"“", "\""},     {"”", "\""},     {"‘", "\""},    {"’", "'"},  {"…", ".."},
                                         {"\u00a0", " "}, {"\u200b", " "}, {"\u3000", " "}};
  for (size_t i = 0; t.word && i < COUNT(pairs); i++) {
    const uint32_t length = (uint32_t)strlen(pairs[i][0]);
    if (t.end - t.begin < length || memcmp(text_of(e, t), pairs[i][0], length)) continue;
    const Span span = {t.begin, t.begin + length};
    if (*pairs[i][1] > ' ')
      diag_error(e->s, "lookalike", span, "`%s` is a letter here: write `%s`", pairs[i][0], pairs[i][1]);
    else
      diag_error(e->s, "lookalike", span, "this blank counts as a letter: write a space");
    return true;
  }
  return false;
}

/* What is missing there was said when the brackets were matched. */
static bool is_said(const Slip *e) {
  const Token outer = enclosing(e);
  return e->found.made || (outer.kind && outer.kind != T_LBRACE && e->tokens[outer.link].made);
}

void syntax_error(Parser *p, const bool *expected) {
  const uint32_t at = p->lookahead;
  Slip e = {
      .p = p, .s = p->s, .tokens = p->tokens.data, .at = at, .expected = expected, .after_expression = expected[T_DOT]};
  e.found = e.tokens[at];
  if (at) e.before = e.tokens[at - 1];
  if (is_said(&e)) return;
  if (p->s->errors >= (p->s->max_errors ? p->s->max_errors : 20)) {
    diag_error(p->s, "unexpected-token", token_span(e.found), "unexpected %s",
               quoted(&e, e.found)); /* counted, not shown */
    return;
  }
  if (say_lookalike(&e, e.found) || say_lookalike(&e, e.before)) return;
  static bool (*const sayings[])(const Slip *) = {
      say_definition, say_pipeline, say_chain,      say_assignment, say_equals, say_operator_line, say_setting,
      say_expression, say_reserved, say_juxtaposed, say_parameter,  say_name,   say_joint};
  for (size_t i = 0; i < COUNT(sayings); i++) {
    if (sayings[i](&e)) return;
  }
  diag_error(p->s, "unexpected-token", token_span(e.found), "unexpected %s", quoted(&e, e.found));
}

void syntax_too_deep(Parser *p, Span span) {
  if (p->too_deep) return;
  p->too_deep = true;
  Diag *d = diag_error(p->s, "nested-too-deeply", span, "this is nested too deeply");
  diag_hint(p->s, d, "name a part of it with `let`; brackets may stand %d deep, and an expression may have %d levels",
            NESTING, AST_DEPTH);
}
