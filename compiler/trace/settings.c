/* settings.c: what `--set` changes, and the list of it. */
#include <string.h>

#include "near.h"
#include "optimize.h"
#include "parse.h"

/* The expression of an override, read once: as the value of a constant in a file of its own. What no constant can be called, as
 * `judge.rate`, is no setting either: that is said once all are known. */
static Ast override_syntax(Tracer *t, uint32_t i) {
  while (t->override_values.count < t->options->override_count) vec_push(&t->override_values, (Ast){0});
  if (t->override_values.data[i].id) return t->override_values.data[i];
  const Override *o = &t->options->overrides[i];
  const char *text = text_of(t, "const %s = %s\n", strpbrk(o->name, ".,:;()[]{}\"#=<>+-*/@^| ") ? "value" : o->name, o->value);
  const Source *source = source_add(&t->s->sources, text_of(t, "--set %s", o->name), text, strlen(text), false);
  if (!source) return (Ast){0};
  const Ast file = parse_source(t->s, t->tree, source);
  const Ast list = ast_child(t->tree, file, FILE_items), item = ast_child(t->tree, list, 0);
  if (ast_count(t->tree, list) == 1 && ast_kind(t->tree, item) == AST_CONST)
    t->override_values.data[i] = ast_child(t->tree, item, CONST_value);
  else if (!t->s->errors)
    diag_error(t->s, "bad-setting", (Span){source->base, source->base}, "`--set %s` needs one expression", o->name);
  return t->override_values.data[i];
}

/* All of them before the walk, which holds on to syntax nodes. */
void settings_read(Tracer *t) {
  for (uint32_t i = 0; i < t->options->override_count; i++) override_syntax(t, i);
}

bool setting_overridden(Tracer *t, const char *name, Value *value, Span at) {
  (void)at;
  for (uint32_t i = t->options->override_count; i-- > 0;) {
    if (strcmp(t->options->overrides[i].name, name)) continue;
    for (uint32_t k = 0; k <= i; k++) {
      if (!strcmp(t->options->overrides[k].name, name)) t->options->overrides[k].used = true;
    }
    Env empty = {0};
    const Ast e = override_syntax(t, i);
    *value = e.id ? eval(t, e, &empty) : value_poison();
    return true;
  }
  return false;
}

Ast train_setting(Tracer *t, const char *name, const char *parameter) {
  const Ast list = ast_child(t->tree, t->train, TRAIN_settings);
  for (uint32_t i = ast_count(t->tree, list); i-- > 0;) {
    const Ast setting = ast_child(t->tree, list, i);
    const AstNode *node = ast_node(t->tree, setting);
    if (node->kind != AST_SETTING || strcmp(name_of(t, node->name), name)) continue;
    if (!node->text || (parameter && glob_match(node->text, parameter))) return setting;
  }
  return (Ast){0};
}

Value train_value(Tracer *t, const char *name, const char *parameter, Span *at) {
  Env empty = {0};
  const Ast setting = train_setting(t, name, parameter);
  const AstNode *node = setting.id ? ast_node(t->tree, setting) : NULL;
  Value v = {.kind = V_ABSENT};
  *at = node ? node->span : (Span){0};
  if (!(node && node->text) && setting_overridden(t, name, &v, *at)) return v;
  return setting.id ? eval(t, ast_child(t->tree, setting, SETTING_value), &empty) : v;
}

void setting_list_text(Tracer *t, const char *name, const char *text) {
  for (uint32_t i = 0; i < t->program->settings.count; i++) {
    if (!strcmp(t->program->settings.data[i].name, name)) return;
  }
  Arena *arena = &t->program->arena;
  const Setting setting = {arena_text(arena, name, strlen(name)), arena_text(arena, text, strlen(text))};
  vec_push(&t->program->settings, setting);
}

void setting_list(Tracer *t, const char *name, Value value) {
  Text text = {0};
  switch ((ValueKind)value.kind) {
  case V_NUMBER:
    if (value.exact)
      text_printf(&text, "%.0f", value.number);
    else
      text_add_number(&text, value.number);
    break;
  case V_BOOL: text_add(&text, value.truth ? "true" : "false"); break;
  case V_STRING: text_printf(&text, "\"%s\"", value.text); break;
  case V_FUNCTION: text_add(&text, closure_name(t, value.closure)); break;
  default: text_add(&text, span_is_none(value.span) ? "?" : source_text(t, value.span)); break;
  }
  setting_list_text(t, name, text_get(&text));
  text_free(&text);
}

/* The text of a span, its white space made single spaces. */
const char *source_text(Tracer *t, Span span) {
  const Place place = source_place(&t->s->sources, span.begin);
  if (!place.source) return "";
  const char *from = place.source->text + (span.begin - place.source->base);
  const uint32_t length = span.end > span.begin ? span.end - span.begin : 0;
  char *text = arena_text(t->arena, from, length), *out = text;
  for (const char *p = text; *p; p++) {
    const bool space = *p == ' ' || *p == '\n' || *p == '\t' || *p == '\r';
    if (space && out > text && out[-1] == ' ') continue;
    *out++ = space ? ' ' : *p;
  }
  *out = 0;
  return text;
}

/* `*` stands for any text, dots too. */
bool glob_match(const char *pattern, const char *text) {
  const char *star = NULL, *again = NULL;
  while (*text) {
    if (*pattern == '*') {
      star = pattern++, again = text;
    } else if (*pattern == *text) {
      pattern++, text++;
    } else if (star) {
      pattern = star + 1, text = ++again;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return !*pattern;
}
