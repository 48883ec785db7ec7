/* scan.c: what the scanner does with a token's text. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "gradc.tab.h"
#include "parser.h"

static Span read_span(const Parser *p, int length) {
  const uint32_t end = p->source->base + p->offset;
  return (Span){end - (uint32_t)length, end};
}

static Token *push(Parser *p, int kind, int length, uint32_t value) {
  const Span span = read_span(p, length);
  const Token token = {.kind = (uint8_t)kind,
                       .newline = p->newline,
                       .begin = span.begin,
                       .end = span.end,
                       .value = value,
                       .link = NO_LINK};
  if (p->docs.count && !p->docs.data[p->docs.count - 1].token) p->docs.data[p->docs.count - 1].token = span.begin;
  p->newline = false;
  vec_push(&p->tokens, token);
  return &p->tokens.data[p->tokens.count - 1];
}

void scan_push(Parser *p, int kind, int length) { push(p, kind, length, 0); }

void scan_word(Parser *p, int kind, const char *text, int length) {
  push(p, kind, length, intern(&p->s->names, text, (size_t)length).id)->word = true;
}

/* The number without its `_`. */
static double number_value(Parser *p, const char *text, int length) {
  char *digits = arena_text(&p->tree->arena, text, (size_t)length), *to = digits;
  for (const char *from = digits; *from; from++) {
    if (*from != '_') *to++ = *from;
  }
  *to = 0;
  return strtod(digits, NULL);
}

static void push_number(Parser *p, double value, int length) {
  push(p, T_NUMBER, length, p->numbers.count);
  vec_push(&p->numbers, value);
}

void scan_number(Parser *p, const char *text, int length) {
  const double value = number_value(p, text, length);
  const bool integer =
      !memchr(text, '.', (size_t)length) && !memchr(text, 'e', (size_t)length) && !memchr(text, 'E', (size_t)length);
  if (isinf(value)) {
    diag_error(p->s, "bad-number", read_span(p, length), "this number is too large: the largest is about 1.8e308");
  } else if (integer && value >= 9007199254740992.0) {
    Diag *d =
        diag_error(p->s, "bad-number", read_span(p, length), "this integer is too large: the largest is 2^53 - 1");
    diag_hint(p->s, d, "with a point or an exponent it is a float");
  }
  push_number(p, isinf(value) ? 0 : value, length);
}

void scan_bad_number(Parser *p, const char *text, int length) {
  Diag *d =
      diag_error(p->s, "bad-number", read_span(p, length), "`%.*s` is not a number", length > 40 ? 40 : length, text);
  const int digits = (int)strspn(text, "0123456789");
  const char *rest = text + digits;
  if (*text == '.')
    diag_hint(p->s, d, "a digit stands before the point: `0%.*s`", length, text);
  else if (*rest == '_')
    diag_hint(p->s, d, "in a number, `_` stands between two digits: `1_000`");
  else if (digits == 1 && *text == '0')
    diag_hint(p->s, d, "numbers are decimal");
  else if (*rest != '.')
    diag_hint(p->s, d, "a name begins with a letter, and a product has its sign: `%.*s * %.*s`", digits, text,
              length - digits, rest);
  push_number(p, strtod(text, NULL), length);
}

static void push_text(Parser *p, const char *text, int length) {
  push(p, T_STRING, length, p->texts.count);
  vec_push(&p->texts, text);
}

/* What `\\` and this character stand for, 0 where they stand for nothing. */
static char escaped(char c) { return c == 'n' ? '\n' : c == 't' ? '\t' : c == '"' || c == '\\' ? c : 0; }

/* The text between the quotes. */
static const char *unescape(Parser *p, const char *text, int length) {
  char *result = arena_text(&p->tree->arena, text, (size_t)length), *to = result;
  const uint32_t begin = read_span(p, length + 1).begin;
  for (int i = 0; i < length; i++) {
    const bool escape = text[i] == '\\';
    const Span place = {begin + (uint32_t)i, begin + (uint32_t)i + (escape ? 2 : 1)};
    const char c = escape ? escaped(text[++i]) : text[i];
    if (c) {
      *to++ = c;
    } else if (escape) {
      Diag *d = diag_error(p->s, "bad-string", place, "unknown escape in a string");
      diag_hint(p->s, d, "there are \\n, \\t, \\\" and \\\\");
    } else {
      diag_error(p->s, "bad-string", place, "a string cannot hold the byte 0");
    }
  }
  *to = 0;
  return result;
}

void scan_string(Parser *p, const char *text, int length) { push_text(p, unescape(p, text + 1, length - 2), length); }

void scan_open_string(Parser *p, const char *text, int length) {
  Span span = read_span(p, length);
  for (int i = length; i > 1 && (text[i - 1] == '\r' || text[i - 1] == ' '); i--) span.end--;
  Diag *d = diag_error(p->s, "bad-string", span, "this string has no closing `\"` on its line");
  diag_hint(p->s, d, "a newline within a string is written \\n");
  push_text(p, "", length);
}

/* Consecutive lines are one comment; the last before a word is the word's. One behind code on its line is no comment of
 * a definition. */
void scan_doc(Parser *p, int length) {
  const Span span = read_span(p, length);
  if (p->tokens.count && !p->newline) return;
  if (p->docs.count && !p->docs.data[p->docs.count - 1].token) {
    Doc *last = &p->docs.data[p->docs.count - 1];
    int newlines = 0;
    for (uint32_t i = last->end; i < span.begin; i++) newlines += p->source->text[i - p->source->base] == '\n';
    if (newlines == 1)
      last->end = span.end;
    else
      *last = (Doc){span.begin, span.end, 0};
    return;
  }
  vec_push(&p->docs, ((Doc){span.begin, span.end, 0}));
}

void scan_foreign(Parser *p, int kind, const char *text, int length, const char *ours) {
  if (ours) {
    Diag *d =
        diag_error(p->s, "foreign-operator", read_span(p, length), "`%.*s` is not an operator here", length, text);
    diag_hint(p->s, d, "write `%s`", ours);
    push(p, kind, length, 0);
  } else {
    Diag *d = diag_error(p->s, "bad-string", read_span(p, length), "a string stands between double quotes");
    diag_hint(p->s, d, "write \"%.*s\"", length - 2, text + 1);
    push_text(p, arena_text(&p->tree->arena, text + 1, (size_t)length - 2), length);
  }
}

void scan_bad(Parser *p, const char *text, int length) {
  Token *last = p->tokens.count ? &p->tokens.data[p->tokens.count - 1] : NULL;
  const Span span = read_span(p, length);
  if (last && last->kind == T_BAD && last->end == span.begin && !p->newline) {
    last->end = span.end; /* said once for a row of them */
    return;
  }
  const unsigned char byte = (unsigned char)*text;
  Diag *d = byte < 0x20 || byte == 0x7f
                ? diag_error(p->s, "bad-character", span, "the byte %u cannot stand in a text", byte)
                : diag_error(p->s, "bad-character", span, "`%c` has no meaning in the language", byte);
  if (byte == '|') diag_hint(p->s, d, "a pipe is written `|>`, a logical or `or`");
  if (byte == '&') diag_hint(p->s, d, "a logical and is written `and`");
  if (byte == '\'') diag_hint(p->s, d, "a prime stands behind a name: `c'`; strings stand between double quotes");
  push(p, T_BAD, length, 0)->made = true;
}

/* Bytes of the sequence at `t`, 0 where there is none. */
static uint32_t utf8_length(const unsigned char *t, uint32_t left) {
  const uint32_t n = t[0] < 0x80 ? 1 : t[0] < 0xc2 ? 0 : t[0] < 0xe0 ? 2 : t[0] < 0xf0 ? 3 : t[0] < 0xf5 ? 4 : 0;
  for (uint32_t i = 1; i < n; i++) {
    if (i >= left || (t[i] & 0xc0) != 0x80) return 0;
  }
  return n;
}

void scan_check_utf8(Parser *p) {
  const Source *source = p->source;
  for (uint32_t i = p->offset, n; i < p->end; i += n) {
    n = utf8_length((const unsigned char *)source->text + i, p->end - i);
    if (n) continue;
    diag_error(p->s, "not-utf8", (Span){source->base + i, source->base + i + 1},
               "the file is not UTF-8 text: byte 0x%02x", (unsigned char)source->text[i]);
    return;
  }
}
