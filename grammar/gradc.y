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
/* Every reduction looks at its lookahead, so that after `error` tokens are dropped and not what was read before. */
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
%type <ast> definition body parameters optional_parameters parameter optional_type_after_arrow optional_type optional_default type element
%type <ast> block statement optional_source optional_weight pattern settings setting
%type <ast> expr pipe or and not comparison range sum product unary postfix primary argument index optional_expr scan
%type <list> parameter_list types statements patterns setting_list expressions some_expressions arguments some_arguments indices some_indices

%%
file: %empty | definitions ;

definitions: definition                  { build_item(p, $1); }
  | definitions end definition           { build_item(p, $3); }
  ;
/* After an end, errors are reported again. */
end: END                                 { yyerrok; } ;
close: "}"                               { yyerrok; } ;

definition:
    "import" STRING                      { $$ = build_import(p, @$, $2, token_none()); }
  | "import" STRING "as" name            { $$ = build_import(p, @$, $2, $4); }
  | "const" name "=" expr                { $$ = build(p, AST_CONST, @$, $2, OF($4)); }
  | "fn" name parameters optional_type_after_arrow body
                                         { $$ = build(p, AST_FN, @$, $2, OF($3, $4, $5, no_ast, no_ast)); }
  | "fn" name parameters optional_type_after_arrow body "with" "gradient" "(" name ")" body
                                         { $$ = build(p, AST_FN, @$, $2, OF($3, $4, $5, build(p, AST_NAME, @9, $9, NULL), $11)); }
  | "layer" name parameters optional_type_after_arrow body
                                         { $$ = build(p, AST_LAYER, @$, $2, OF($3, $4, $5)); }
  | "metric" name parameters optional_type_after_arrow body
                                         { $$ = build(p, AST_METRIC, @$, $2, OF($3, $4, $5)); }
  | "init" name parameters body          { $$ = build(p, AST_INIT, @$, $2, OF($3, $4)); }
  | "schedule" name parameters body      { $$ = build(p, AST_SCHEDULE, @$, $2, OF($3, $4)); }
  | "optimizer" name parameters over_all block
                                         { $$ = build_optimizer(p, @$, $2, $4, $3, $5); }
  | "model" name optional_parameters block
                                         { $$ = build(p, AST_MODEL, @$, $2, OF($3, $4)); }
  | "data" optional_name settings        { $$ = build(p, AST_DATA, @$, $2, OF($3)); }
  | "train" optional_name settings       { $$ = build(p, AST_TRAIN, @$, $2, OF($3)); }
  | error                                { $$ = build(p, AST_ERROR, @$, token_none(), NULL); }
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
parameters: "(" ")"                      { $$ = build_list(p, @$, (List){0}); }
  | "(" parameter_list ")"               { $$ = build_list(p, @$, $2); }
  | "(" parameter_list "," ")"           { $$ = build_list(p, @$, $2); }
  ;
parameter_list: parameter                { $$ = build_first(p, $1); }
  | parameter_list "," parameter         { $$ = build_more(p, $1, $3); }
  ;
parameter: name optional_type optional_default
                                         { $$ = build(p, AST_PARAMETER, @$, $1, OF($2, $3)); }
  ;
optional_default: %empty                 { $$ = no_ast; }
  | "=" expr                             { $$ = $2; }
  ;

optional_type_after_arrow: %empty        { $$ = no_ast; }
  | "->" type                            { $$ = $2; }
  ;
optional_type: %empty                    { $$ = no_ast; }
  | ":" type                             { $$ = $2; }
  ;
type: "[" expressions "]"                { $$ = build(p, AST_TYPE_ARRAY, @$, token_none(), OF(build_list(p, @2, $2), no_ast)); }
  | "[" expressions "]" "of" element     { $$ = build(p, AST_TYPE_ARRAY, @$, token_none(), OF(build_list(p, @2, $2), $5)); }
  | element
  | "(" types ")"                        { $$ = build(p, AST_TYPE_TUPLE, @$, token_none(), OF(build_list(p, @2, $2))); }
  ;
types: type "," type                     { $$ = build_more(p, build_first(p, $1), $3); }
  | types "," type                       { $$ = build_more(p, $1, $3); }
  ;
element: name                            { $$ = build(p, AST_TYPE_ELEMENT, @$, $1, OF(no_ast)); }
  | name "[" expr "]"                    { $$ = build(p, AST_TYPE_ELEMENT, @$, $1, OF($3)); }
  ;

block: "{" statements close              { $$ = build(p, AST_BLOCK, @$, token_none(), OF(build_list(p, @2, $2))); } ;
statements: statement                    { $$ = build_first(p, $1); }
  | statements end statement             { $$ = build_more(p, $1, $3); }
  ;
statement:
    "let" pattern optional_type "=" expr { $$ = build(p, AST_LET, @$, token_none(), OF($2, $3, $5)); }
  | "param" name optional_type "~" expr  { $$ = build(p, AST_PARAM, @$, $2, OF($3, $5)); }
  | "state" name optional_type "~" expr  { $$ = build(p, AST_STATE, @$, $2, OF($3, $5)); }
  | name "<-" expr                       { $$ = build(p, AST_ASSIGN, @$, $1, OF($3)); }
  | "input" name ":" type optional_source
                                         { $$ = build(p, AST_INPUT, @$, $2, OF($4, $5)); }
  | "target" name ":" type optional_source
                                         { $$ = build(p, AST_TARGET, @$, $2, OF($4, $5)); }
  | "output" name "=" expr               { $$ = build(p, AST_OUTPUT, @$, $2, OF($4)); }
  | "loss" expr optional_weight          { $$ = build(p, AST_LOSS, @$, token_none(), OF($2, $3)); }
  | "loss" name "=" expr optional_weight { $$ = build(p, AST_LOSS, @$, $2, OF($4, $5)); }
  | "metric" expr optional_weight        { $$ = build(p, AST_MEASURE, @$, token_none(), OF($2, $3)); }
  | "metric" name "=" expr optional_weight
                                         { $$ = build(p, AST_MEASURE, @$, $2, OF($4, $5)); }
  | "next" expr                          { $$ = build(p, AST_NEXT, @$, token_none(), OF($2, no_ast)); }
  | "next" expr "yield" expr             { $$ = build(p, AST_NEXT, @$, token_none(), OF($2, $4)); }
  | expr
  | error                                { $$ = build(p, AST_ERROR, @$, token_none(), NULL); }
  ;
optional_source: %empty                  { $$ = no_ast; }
  | "from" name                          { $$ = build(p, AST_NAME, @2, $2, NULL); }
  ;
optional_weight: %empty                  { $$ = no_ast; }
  | "weight" expr                        { $$ = $2; }
  ;
pattern: name                            { $$ = build(p, AST_PATTERN_NAME, @$, $1, NULL); }
  | "(" patterns ")"                     { $$ = build(p, AST_PATTERN_TUPLE, @$, token_none(), OF(build_list(p, @2, $2))); }
  ;
patterns: pattern                        { $$ = build_first(p, $1); }
  | patterns "," pattern                 { $$ = build_more(p, $1, $3); }
  ;
settings: "{" close                      { $$ = build_list(p, @$, (List){0}); }
  | "{" setting_list close               { $$ = build_list(p, @$, $2); }
  ;
setting_list: setting                    { $$ = build_first(p, $1); }
  | setting_list end setting             { $$ = build_more(p, $1, $3); }
  ;
setting: name optional_pattern "=" expr  { $$ = build_setting(p, @$, $1, $2, $4); }
  | error                                { $$ = build(p, AST_ERROR, @$, token_none(), NULL); }
  ;
optional_pattern: %empty                 { $$ = token_none(); }
  | "for" STRING                         { $$ = $2; }
  ;

expr: pipe
  | postfix "->" expr                    { $$ = build_lambda(p, @$, $1, @1, $3); }
  | pipe "|>" postfix "->" expr          { $$ = build(p, AST_PIPE, @$, token_none(), OF($1, build_lambda(p, span_join(@3, @5), $3, @3, $5))); }
  | "if" expr "then" expr "else" expr    { $$ = build(p, AST_IF, @$, token_none(), OF($2, $4, $6)); }
  ;
pipe: or
  | pipe "|>" postfix                    { $$ = build(p, AST_PIPE, @$, token_none(), OF($1, $3)); }
  ;
or: and
  | or "or" and                          { $$ = build_binary_expr(p, @$, OP_OR, $1, $3); }
  ;
and: not
  | and "and" not                        { $$ = build_binary_expr(p, @$, OP_AND, $1, $3); }
  ;
not: comparison
  | "not" not                            { $$ = build_unary_expr(p, @$, OP_NOT, $2); }
  ;
comparison: range
  | range "<" range                      { $$ = build_binary_expr(p, @$, OP_LT, $1, $3); }
  | range "<=" range                     { $$ = build_binary_expr(p, @$, OP_LE, $1, $3); }
  | range ">" range                      { $$ = build_binary_expr(p, @$, OP_GT, $1, $3); }
  | range ">=" range                     { $$ = build_binary_expr(p, @$, OP_GE, $1, $3); }
  | range "==" range                     { $$ = build_binary_expr(p, @$, OP_EQ, $1, $3); }
  | range "!=" range                     { $$ = build_binary_expr(p, @$, OP_NE, $1, $3); }
  ;
range: sum
  | sum ".." sum                         { $$ = build_binary_expr(p, @$, OP_RANGE, $1, $3); }
  ;
sum: product
  | sum "+" product                      { $$ = build_binary_expr(p, @$, OP_ADD, $1, $3); }
  | sum "-" product                      { $$ = build_binary_expr(p, @$, OP_SUB, $1, $3); }
  ;
product: unary
  | product "*" unary                    { $$ = build_binary_expr(p, @$, OP_MUL, $1, $3); }
  | product "/" unary                    { $$ = build_binary_expr(p, @$, OP_DIV, $1, $3); }
  | product "@" unary                    { $$ = build_binary_expr(p, @$, OP_MATMUL, $1, $3); }
  ;
unary: postfix
  | "-" unary                            { $$ = build_unary_expr(p, @$, OP_NEG, $2); }
  | postfix "^" unary                    { $$ = build_binary_expr(p, @$, OP_POW, $1, $3); }
  ;
postfix: primary
  | postfix "(" arguments ")"            { $$ = build(p, AST_CALL, @$, token_none(), OF($1, build_list(p, @3, $3))); }
  | postfix "[" indices "]"              { $$ = build(p, AST_INDEX, @$, token_none(), OF($1, build_list(p, @3, $3))); }
  | postfix "[" "like" expr "]"          { $$ = build(p, AST_LIKE, @$, token_none(), OF($1, $4)); }
  | postfix "." name                     { $$ = build(p, AST_FIELD, @$, $3, OF($1)); }
  ;
arguments: %empty                        { $$ = (List){0}; }
  | some_arguments
  | some_arguments ","
  ;
some_arguments: argument                 { $$ = build_first(p, $1); }
  | some_arguments "," argument          { $$ = build_more(p, $1, $3); }
  ;
argument: expr
  | name "=" expr                        { $$ = build(p, AST_ARG, @$, $1, OF($3)); }
  ;
indices: %empty                          { $$ = (List){0}; }
  | some_indices
  | some_indices ","
  ;
some_indices: index                      { $$ = build_first(p, $1); }
  | some_indices "," index               { $$ = build_more(p, $1, $3); }
  ;
index: expr
  | optional_expr ":" optional_expr      { $$ = build(p, AST_SLICE, @$, token_none(), OF($1, $3, no_ast)); }
  | optional_expr ":" optional_expr ":" optional_expr
                                         { $$ = build(p, AST_SLICE, @$, token_none(), OF($1, $3, $5)); }
  ;
optional_expr: %empty                    { $$ = no_ast; }
  | expr
  ;
expressions: %empty                      { $$ = (List){0}; }
  | some_expressions
  | some_expressions ","
  ;
some_expressions: expr                   { $$ = build_first(p, $1); }
  | some_expressions "," expr            { $$ = build_more(p, $1, $3); }
  ;
primary: name                            { $$ = build(p, AST_NAME, @$, $1, NULL); }
  | NUMBER                               { $$ = build_number_literal(p, @$, $1); }
  | STRING                               { $$ = build_string(p, @$, $1); }
  | "true"                               { $$ = build_bool(p, @$, true); }
  | "false"                              { $$ = build_bool(p, @$, false); }
  | ".."                                 { $$ = build(p, AST_DOTS, @$, token_none(), NULL); }
  | block
  | "(" expr ")"                         { $$ = $2; }
  | "(" expr "," expressions ")"         { $$ = build_tuple(p, @$, $2, $4); }
  | "[" expressions "]"                  { $$ = build(p, AST_ARRAY, @$, token_none(), OF(build_list(p, @2, $2))); }
  | scan
  ;
scan: "scan" pattern "=" expr "for" pattern "in" expr block
                                         { $$ = build(p, AST_SCAN, @$, token_none(), OF($2, $4, $6, $8, $9)); }
  | "scan" pattern "=" expr "for" pattern "in" expr "reversed" block
                                         { $$ = build_flag(p, build(p, AST_SCAN, @$, token_none(), OF($2, $4, $6, $8, $10))); }
  | "iterate" pattern "=" expr "while" expr "max" expr block
                                         { $$ = build(p, AST_ITERATE, @$, token_none(), OF($2, $4, $6, $8, $9)); }
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
