/* gradc.y: the grammar, as docs/language.md prints it. LALR(1) without conflicts; an action is one call of build.c.
 * Which statement may stand in which block, and the order of arguments, is checked later, where more can be said.
 *
 * An error is reported by syntax.c, then `error` stands for the rest of its statement, setting or definition. */
%define api.pure full
%define api.prefix {gradc_}
%define api.token.prefix {T_}
%define api.token.raw
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
/* Every reduction looks at its lookahead: after `error`, tokens are dropped until its statement ends, and not what was
 * read before it; then errors are reported again. */
%define lr.default-reduction accepting
%locations
%expect 0
%param {struct Parser *p}
%initial-action { @$ = (Span){p->source->base, p->source->base}; }

%code requires {
#include "parser.h"
}
%union {
  Token token;
  Ast ast;
  List list;
}
%code {
#define YYMAXDEPTH 100000
/* From the first to the last part that is not empty. */
#define YYLLOC_DEFAULT(place, parts, count) ((place) = cover((parts), (count)))

static Span cover(const Span *parts, int count) {
  Span all = {parts[0].end, parts[0].end};
  bool empty = true;
  for (int i = 1; i <= count; i++) {
    if (parts[i].begin == parts[i].end) continue;
    all = (Span){empty ? parts[i].begin : all.begin, parts[i].end};
    empty = false;
  }
  return all;
}

static int gradc_lex(GRADC_STYPE *value, Span *span, Parser *p) {
  const Token token = p->tokens.data[p->lookahead = p->at];
  if (token.kind) p->at++;
  value->token = token;
  *span = token_span(token);
  return token.kind;
}

static void gradc_error(Span *span, Parser *p, const char *message) {
  (void)message; /* "memory exhausted": more nesting than YYMAXDEPTH */
  syntax_too_deep(p, *span);
}
}

%token <token> NAME "name" NUMBER "number" STRING "string"
%token <token> MAX "max" WEIGHT "weight" FROM "from" OVER "over" REVERSED "reversed" AS "as" GRADIENT "gradient"
%token IF "if" THEN "then" ELSE "else" LET "let" SCAN "scan" ITERATE "iterate" FOR "for" IN "in" WHILE "while"
%token YIELD "yield" OF "of" LIKE "like" WITH "with" AND "and" OR "or" NOT "not" TRUE "true" FALSE "false"
%token IMPORT "import" CONST "const" FN "fn" LAYER "layer" INIT "init" OPTIMIZER "optimizer" SCHEDULE "schedule"
%token METRIC "metric" MODEL "model" DATA "data" TRAIN "train" INPUT "input" TARGET "target" OUTPUT "output"
%token LOSS "loss" PARAM "param" STATE "state" NEXT "next"
%token PIPE "|>" ARROW "->" ASSIGN "<-" LT "<" LE "<=" GT ">" GE ">=" EQ "==" NE "!=" DOTS ".." BE "=" TILDE "~"
%token COLON ":" COMMA "," DOT "." PLUS "+" MINUS "-" STAR "*" SLASH "/" AT "@" POWER "^"
%token LPAREN "(" RPAREN ")" LBRACKET "[" RBRACKET "]" LBRACE "{" RBRACE "}" END ";"
%token BAD "bad character"

%type <token> name optional_name optional_pattern over_all
%type <ast> definition body parameters optional_parameters parameter optional_result optional_type optional_default
%type <ast> type element
%type <ast> block statement optional_source optional_weight pattern settings setting
%type <ast> expr pipe or and not comparison range sum product unary postfix primary argument index optional_expr scan
%type <list> parameter_list types statements patterns setting_list expressions some_expressions
%type <list> arguments some_arguments indices some_indices

%%
file: %empty | definitions ;

definitions: definition                  { ast_item(p, $1); }
  | definitions END definition           { ast_item(p, $3); }
  ;
definition:
    "import" STRING                      { $$ = ast_import(p, @$, $2, token_none()); }
  | "import" STRING "as" name            { $$ = ast_import(p, @$, $2, $4); }
  | "const" name "=" expr                { $$ = ast_build(p, AST_CONST, @$, $2, OF($4)); }
  | "fn" name parameters optional_result body
                                         { $$ = ast_fn(p, @$, $2, OF($3, $4, $5), no_ast, no_ast); }
  | "fn" name parameters optional_result body "with" "gradient" "(" name ")" body
      { $$ = ast_fn(p, @$, $2, OF($3, $4, $5), ast_build(p, AST_NAME, @9, $9, NULL), $11); }
  | "layer" name parameters optional_result body
                                         { $$ = ast_build(p, AST_LAYER, @$, $2, OF($3, $4, $5)); }
  | "metric" name parameters optional_result body
                                         { $$ = ast_build(p, AST_METRIC, @$, $2, OF($3, $4, $5)); }
  | "init" name parameters body          { $$ = ast_build(p, AST_INIT, @$, $2, OF($3, $4)); }
  | "schedule" name parameters body      { $$ = ast_build(p, AST_SCHEDULE, @$, $2, OF($3, $4)); }
  | "optimizer" name parameters over_all block
                                         { $$ = ast_optimizer(p, @$, $2, $4, $3, $5); }
  | "model" name optional_parameters block
                                         { $$ = ast_build(p, AST_MODEL, @$, $2, OF($3, $4)); }
  | "data" optional_name settings        { $$ = ast_build(p, AST_DATA, @$, $2, OF($3)); }
  | "train" optional_name settings       { $$ = ast_build(p, AST_TRAIN, @$, $2, OF($3)); }
  | error                                { $$ = ast_plain(p, AST_ERROR, @$, NULL); yyerrok; }
  ;
body: "=" expr                           { $$ = $2; }
  | block
  ;
over_all: %empty                         { $$ = token_none(); }
  | "over" NAME                          { $$ = $2; }
  ;
optional_name: %empty                    { $$ = token_none(); }
  | name
  ;

optional_parameters: %empty              { $$ = no_ast; }
  | parameters
  ;
parameters: "(" ")"                      { $$ = ast_list(p, @$, (List){0}); }
  | "(" parameter_list ")"               { $$ = ast_list(p, @$, $2); }
  | "(" parameter_list "," ")"           { $$ = ast_list(p, @$, $2); }
  ;
parameter_list: parameter                { $$ = ast_first(p, $1); }
  | parameter_list "," parameter         { $$ = ast_more(p, $1, $3); }
  ;
parameter: name optional_type optional_default
                                         { $$ = ast_build(p, AST_PARAMETER, @$, $1, OF($2, $3)); }
  ;
optional_default: %empty                 { $$ = no_ast; }
  | "=" expr                             { $$ = $2; }
  ;

optional_result: %empty        { $$ = no_ast; }
  | "->" type                            { $$ = $2; }
  ;
optional_type: %empty                    { $$ = no_ast; }
  | ":" type                             { $$ = $2; }
  ;
type: "[" expressions "]"                { $$ = ast_plain(p, AST_TYPE_ARRAY, @$, OF(ast_list(p, @2, $2), no_ast)); }
  | "[" expressions "]" "of" element     { $$ = ast_plain(p, AST_TYPE_ARRAY, @$, OF(ast_list(p, @2, $2), $5)); }
  | element
  | "(" types ")"                        { $$ = ast_plain(p, AST_TYPE_TUPLE, @$, OF(ast_list(p, @2, $2))); }
  ;
types: type "," type                     { $$ = ast_more(p, ast_first(p, $1), $3); }
  | types "," type                       { $$ = ast_more(p, $1, $3); }
  ;
element: name                            { $$ = ast_build(p, AST_TYPE_ELEMENT, @$, $1, OF(no_ast)); }
  | name "[" expr "]"                    { $$ = ast_build(p, AST_TYPE_ELEMENT, @$, $1, OF($3)); }
  ;

block: "{" statements "}"              { $$ = ast_plain(p, AST_BLOCK, @$, OF(ast_list(p, @2, $2))); } ;
statements: statement                    { $$ = ast_first(p, $1); }
  | statements END statement             { $$ = ast_more(p, $1, $3); }
  ;
statement:
    "let" pattern optional_type "=" expr { $$ = ast_plain(p, AST_LET, @$, OF($2, $3, $5)); }
  | "param" name optional_type "~" expr  { $$ = ast_build(p, AST_PARAM, @$, $2, OF($3, $5)); }
  | "state" name optional_type "~" expr  { $$ = ast_build(p, AST_STATE, @$, $2, OF($3, $5)); }
  | name "<-" expr                       { $$ = ast_build(p, AST_ASSIGN, @$, $1, OF($3)); }
  | "input" name ":" type optional_source
                                         { $$ = ast_build(p, AST_INPUT, @$, $2, OF($4, $5)); }
  | "target" name ":" type optional_source
                                         { $$ = ast_build(p, AST_TARGET, @$, $2, OF($4, $5)); }
  | "output" name "=" expr               { $$ = ast_build(p, AST_OUTPUT, @$, $2, OF($4)); }
  | "loss" expr optional_weight          { $$ = ast_plain(p, AST_LOSS, @$, OF($2, $3)); }
  | "loss" name "=" expr optional_weight { $$ = ast_build(p, AST_LOSS, @$, $2, OF($4, $5)); }
  | "metric" expr optional_weight        { $$ = ast_plain(p, AST_MEASURE, @$, OF($2, $3)); }
  | "metric" name "=" expr optional_weight
                                         { $$ = ast_build(p, AST_MEASURE, @$, $2, OF($4, $5)); }
  | "next" expr                          { $$ = ast_plain(p, AST_NEXT, @$, OF($2, no_ast)); }
  | "next" expr "yield" expr             { $$ = ast_plain(p, AST_NEXT, @$, OF($2, $4)); }
  | expr
  | error                                { $$ = ast_plain(p, AST_ERROR, @$, NULL); yyerrok; }
  ;
optional_source: %empty                  { $$ = no_ast; }
  | "from" name                          { $$ = ast_build(p, AST_NAME, @2, $2, NULL); }
  ;
optional_weight: %empty                  { $$ = no_ast; }
  | "weight" expr                        { $$ = $2; }
  ;
pattern: name                            { $$ = ast_build(p, AST_PATTERN_NAME, @$, $1, NULL); }
  | "(" patterns ")"                     { $$ = ast_plain(p, AST_PATTERN_TUPLE, @$, OF(ast_list(p, @2, $2))); }
  ;
patterns: pattern                        { $$ = ast_first(p, $1); }
  | patterns "," pattern                 { $$ = ast_more(p, $1, $3); }
  ;
settings: "{" "}"                      { $$ = ast_list(p, @$, (List){0}); }
  | "{" setting_list "}"               { $$ = ast_list(p, @$, $2); }
  ;
setting_list: setting                    { $$ = ast_first(p, $1); }
  | setting_list END setting             { $$ = ast_more(p, $1, $3); }
  ;
setting: name optional_pattern "=" expr  { $$ = ast_setting(p, @$, $1, $2, $4); }
  | error                                { $$ = ast_plain(p, AST_ERROR, @$, NULL); yyerrok; }
  ;
optional_pattern: %empty                 { $$ = token_none(); }
  | "for" STRING                         { $$ = $2; }
  ;

expr: pipe
  | postfix "->" expr                    { $$ = ast_lambda(p, @$, $1, @1, $3); }
  | pipe "|>" postfix "->" expr          { $$ = ast_pipe_lambda(p, @$, $1, $3, @3, $5, @5); }
  | "if" expr "then" expr "else" expr    { $$ = ast_plain(p, AST_IF, @$, OF($2, $4, $6)); }
  ;
pipe: or
  | pipe "|>" postfix                    { $$ = ast_plain(p, AST_PIPE, @$, OF($1, $3)); }
  ;
or: and
  | or "or" and                          { $$ = ast_binary(p, @$, OP_OR, $1, $3); }
  ;
and: not
  | and "and" not                        { $$ = ast_binary(p, @$, OP_AND, $1, $3); }
  ;
not: comparison
  | "not" not                            { $$ = ast_unary(p, @$, OP_NOT, $2); }
  ;
comparison: range
  | range "<" range                      { $$ = ast_binary(p, @$, OP_LT, $1, $3); }
  | range "<=" range                     { $$ = ast_binary(p, @$, OP_LE, $1, $3); }
  | range ">" range                      { $$ = ast_binary(p, @$, OP_GT, $1, $3); }
  | range ">=" range                     { $$ = ast_binary(p, @$, OP_GE, $1, $3); }
  | range "==" range                     { $$ = ast_binary(p, @$, OP_EQ, $1, $3); }
  | range "!=" range                     { $$ = ast_binary(p, @$, OP_NE, $1, $3); }
  ;
range: sum
  | sum ".." sum                         { $$ = ast_binary(p, @$, OP_RANGE, $1, $3); }
  ;
sum: product
  | sum "+" product                      { $$ = ast_binary(p, @$, OP_ADD, $1, $3); }
  | sum "-" product                      { $$ = ast_binary(p, @$, OP_SUB, $1, $3); }
  ;
product: unary
  | product "*" unary                    { $$ = ast_binary(p, @$, OP_MUL, $1, $3); }
  | product "/" unary                    { $$ = ast_binary(p, @$, OP_DIV, $1, $3); }
  | product "@" unary                    { $$ = ast_binary(p, @$, OP_MATMUL, $1, $3); }
  ;
unary: postfix
  | "-" unary                            { $$ = ast_unary(p, @$, OP_NEG, $2); }
  | postfix "^" unary                    { $$ = ast_binary(p, @$, OP_POW, $1, $3); }
  ;
postfix: primary
  | postfix "(" arguments ")"            { $$ = ast_plain(p, AST_CALL, @$, OF($1, ast_list(p, @3, $3))); }
  | postfix "[" indices "]"              { $$ = ast_plain(p, AST_INDEX, @$, OF($1, ast_list(p, @3, $3))); }
  | postfix "[" "like" expr "]"          { $$ = ast_plain(p, AST_LIKE, @$, OF($1, $4)); }
  | postfix "." name                     { $$ = ast_build(p, AST_FIELD, @$, $3, OF($1)); }
  ;
arguments: %empty                        { $$ = (List){0}; }
  | some_arguments
  | some_arguments ","
  ;
some_arguments: argument                 { $$ = ast_first(p, $1); }
  | some_arguments "," argument          { $$ = ast_more(p, $1, $3); }
  ;
argument: expr
  | name "=" expr                        { $$ = ast_build(p, AST_ARG, @$, $1, OF($3)); }
  ;
indices: %empty                          { $$ = (List){0}; }
  | some_indices
  | some_indices ","
  ;
some_indices: index                      { $$ = ast_first(p, $1); }
  | some_indices "," index               { $$ = ast_more(p, $1, $3); }
  ;
index: expr
  | optional_expr ":" optional_expr      { $$ = ast_plain(p, AST_SLICE, @$, OF($1, $3, no_ast)); }
  | optional_expr ":" optional_expr ":" optional_expr
                                         { $$ = ast_plain(p, AST_SLICE, @$, OF($1, $3, $5)); }
  ;
optional_expr: %empty                    { $$ = no_ast; }
  | expr
  ;
expressions: %empty                      { $$ = (List){0}; }
  | some_expressions
  | some_expressions ","
  ;
some_expressions: expr                   { $$ = ast_first(p, $1); }
  | some_expressions "," expr            { $$ = ast_more(p, $1, $3); }
  ;
primary: name                            { $$ = ast_build(p, AST_NAME, @$, $1, NULL); }
  | NUMBER                               { $$ = ast_number(p, @$, $1); }
  | STRING                               { $$ = ast_string(p, @$, $1); }
  | "true"                               { $$ = ast_bool(p, @$, true); }
  | "false"                              { $$ = ast_bool(p, @$, false); }
  | ".."                                 { $$ = ast_plain(p, AST_DOTS, @$, NULL); }
  | block
  | "(" expr ")"                         { $$ = $2; }
  | "(" expr "," expressions ")"         { $$ = ast_tuple(p, @$, $2, $4); }
  | "[" expressions "]"                  { $$ = ast_plain(p, AST_ARRAY, @$, OF(ast_list(p, @2, $2))); }
  | scan
  ;
scan: "scan" pattern "=" expr "for" pattern "in" expr block
                                         { $$ = ast_plain(p, AST_SCAN, @$, OF($2, $4, $6, $8, $9)); }
  | "scan" pattern "=" expr "for" pattern "in" expr "reversed" block
                                         { $$ = ast_flagged(p, ast_plain(p, AST_SCAN, @$, OF($2, $4, $6, $8, $10))); }
  | "iterate" pattern "=" expr "while" expr "max" expr block
                                         { $$ = ast_plain(p, AST_ITERATE, @$, OF($2, $4, $6, $8, $9)); }
  ;
name: NAME | MAX | WEIGHT | FROM | OVER | REVERSED | AS | GRADIENT ;

%%
const char *token_spelling(int kind) { return yysymbol_name((yysymbol_kind_t)kind); }

static int yyreport_syntax_error(const yypcontext_t *context, Parser *p) {
  yysymbol_kind_t kinds[YYNTOKENS];
  bool expected[YYNTOKENS] = {false};
  const int count = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
  for (int i = 0; i < count; i++) expected[kinds[i]] = true;
  syntax_error(p, expected);
  p->at = tokens_sync(p);
  return 0;
}
