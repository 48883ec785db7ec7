/* parser.h: what scanner, token filter, parser and messages of this folder share. Text becomes tokens (gradc.l), the
 * tokens are put in order (tokens.c: brackets, the ends of statements, words that are keywords only in places), and the
 * grammar (gradc.y) reads them; its actions call ast_*. syntax.c words what does not fit. */
#ifndef GRADC_PARSER_H
#define GRADC_PARSER_H
#include "parse.h"

/* Levels of brackets; what a file may nest is bounded, so that no stack overflows. */
enum { NESTING = 1000 };

typedef struct {
  uint8_t kind; /* as bison numbers it; 0, the end of the file */
  bool newline; /* a newline lies before it */
  bool made;    /* a closing bracket that the file lacks, or what was reported already: no error is reported here */
  bool word;    /* a name or a keyword: `value` is its Name */
  uint32_t begin, end;
  uint32_t value; /* a Name, or an index into Parser.numbers or Parser.texts */
  uint32_t link; /* opening bracket: its closing one; closing: its opening one; else the one it stands in, or NO_LINK */
} Token;

enum { NO_LINK = UINT32_MAX };

typedef Vec(Token) Tokens;

/* A list that grows: the newest of a chain of Parser.cells, from 1. */
typedef struct {
  uint32_t last, count;
} List;

typedef struct {
  Ast item;
  uint32_t before;
} Cell;

typedef struct {
  uint32_t begin, end, token; /* `token` is the position of the word below */
} Doc;

typedef struct Parser {
  Session *s;
  Tree *tree;
  const Source *source;
  uint32_t offset; /* the scanner's place */
  uint32_t end;    /* where it stops */
  bool newline;    /* a newline was read since the last token */
  Tokens tokens;
  uint32_t at;        /* the token that the parser reads next */
  uint32_t lookahead; /* the one it has read last */
  Vec(double) numbers;
  Vec(const char *) texts;
  Vec(Doc) docs;
  uint32_t next_doc;
  Vec(Cell) cells;
  Vec(uint16_t) depths; /* by node: the height of the tree below it */
  bool too_deep;        /* said once */
  List items;           /* the file's definitions */
} Parser;

static inline Span token_span(Token t) { return (Span){t.begin, t.end}; }
static inline Token token_none(void) { return (Token){0}; }

/* scan.c: called by gradc.l's rules with the text of the token just read. */
void scan_push(Parser *p, int kind, int length);
void scan_word(Parser *p, int kind, const char *text, int length);
void scan_number(Parser *p, const char *text, int length);
void scan_bad_number(Parser *p, const char *text, int length);
void scan_string(Parser *p, const char *text, int length);
void scan_open_string(Parser *p, const char *text, int length);
void scan_doc(Parser *p, int length);
void scan_foreign(Parser *p, int kind, const char *text, int length, const char *ours);
void scan_bad(Parser *p, const char *text, int length);
void scan_check_utf8(Parser *p);

/* tokens.c: closes what is not closed, puts END where a statement ends, makes names of keywords out of place. False
 * where brackets are nested too deeply to go on. */
bool tokens_finish(Parser *p);
bool token_begins_expression(int kind);
bool token_is_opening(int kind);
bool token_is_closing(int kind);
/* Operators with a left and a right side. */
bool token_is_operator(int kind);
/* Where the parser goes on after an error at its lookahead: the end of the statement, of its block, or of the file. */
uint32_t tokens_sync(const Parser *p);

/* build.c: nodes. `name` may be token_none(); `children` are as many as the kind has. */
#define OF(...) ((const Ast[]){__VA_ARGS__})
static const Ast no_ast = {0};
Ast ast_build(Parser *p, AstKind kind, Span span, Token name, const Ast *children);
Ast ast_plain(Parser *p, AstKind kind, Span span, const Ast *children); /* without a name */
Ast ast_fn(Parser *p, Span span, Token name, const Ast *three, Ast pullback, Ast gradient);
Ast ast_binary(Parser *p, Span span, AstOp op, Ast left, Ast right);
Ast ast_unary(Parser *p, Span span, AstOp op, Ast operand);
Ast ast_flagged(Parser *p, Ast node);
Ast ast_bool(Parser *p, Span span, bool value);
Ast ast_number(Parser *p, Span span, Token number);
Ast ast_string(Parser *p, Span span, Token string);
Ast ast_import(Parser *p, Span span, Token path, Token name);
Ast ast_setting(Parser *p, Span span, Token name, Token pattern, Ast value);
Ast ast_optimizer(Parser *p, Span span, Token name, Token all, Ast params, Ast body);
/* `left -> body`; the left side becomes a LIST of PATTERN_NAME, or is reported. */
Ast ast_lambda(Parser *p, Span span, Ast left, Span left_span, Ast body);
Ast ast_pipe_lambda(Parser *p, Span span, Ast value, Ast left, Span left_span, Ast body, Span body_span);
/* Gives a definition the `##` comment above it. */
Ast ast_documented(Parser *p, Ast definition);
List ast_first(Parser *p, Ast item);
List ast_more(Parser *p, List list, Ast item);
Ast ast_list(Parser *p, Span span, List list);
Ast ast_tuple(Parser *p, Span span, Ast first, List rest);
void ast_item(Parser *p, Ast definition);

/* syntax.c: reports that the lookahead does not fit; `expected[kind]` is true of what would. */
void syntax_error(Parser *p, const bool *expected);
void syntax_too_deep(Parser *p, Span span);
/* gradc.y: `+` as the user writes it. */
const char *token_spelling(int kind);

#endif
