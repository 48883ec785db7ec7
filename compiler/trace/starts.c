/* starts.c: `start for "pattern" = weights("file", "pattern")`: which parameters begin as what. */
#include <string.h>

#include "tracer.h"

/* Matches `text`, and notes what each `*` stands for: the shortest that fits, from the left. */
static bool capture(Tracer *t, const char *pattern, const char *text, const char **parts, uint32_t *count,
                    uint32_t depth) {
  if (!*pattern) return !*text;
  if (*pattern != '*') return *pattern == *text && capture(t, pattern + 1, text + 1, parts, count, depth);
  if (depth == 16) return false;
  for (const char *end = text;; end++) {
    if (capture(t, pattern + 1, end, parts, count, depth + 1)) {
      parts[depth] = arena_text(t->arena, text, (size_t)(end - text));
      if (depth + 1 > *count) *count = depth + 1;
      return true;
    }
    if (!*end) return false;
  }
}

static const char *fill_stars(Tracer *t, const char *pattern, const char *const *parts, uint32_t count) {
  Text out = {0};
  uint32_t n = 0;
  for (; *pattern; pattern++) {
    if (*pattern == '*')
      text_add(&out, n < count ? parts[n++] : "");
    else
      text_add_bytes(&out, pattern, 1);
  }
  const char *name = arena_text(&t->program->arena, text_get(&out), out.length);
  text_free(&out);
  return name;
}

/* weights("file", "pattern") */
static bool read_weights_call(Tracer *t, Ast value, const char **file, const char **from) {
  const Ast callee = ast_child(t->tree, value, CALL_callee), args = ast_child(t->tree, value, CALL_args);
  const uint32_t n = ast_count(t->tree, args);
  bool fits = ast_kind(t->tree, value) == AST_CALL && ast_kind(t->tree, callee) == AST_NAME &&
              !strcmp(name_of(t, ast_node(t->tree, callee)->name), "weights") && n >= 1 && n <= 2;
  for (uint32_t i = 0; fits && i < n; i++) fits = ast_kind(t->tree, ast_child(t->tree, args, i)) == AST_STRING;
  if (fits) *file = ast_node(t->tree, ast_child(t->tree, args, 0))->text;
  if (fits) *from = n == 2 ? ast_node(t->tree, ast_child(t->tree, args, 1))->text : NULL;
  if (!fits)
    trace_error(t, "bad-setting", ast_node(t->tree, value)->span,
                "`start` is `weights(\"file.safetensors\", \"names.*\")`");
  return fits;
}

static void start_setting(Tracer *t, Ast setting) {
  const AstNode node = *ast_node(t->tree, setting);
  const char *file, *from, *pattern = node.text ? node.text : "*";
  if (!read_weights_call(t, ast_child(t->tree, setting, SETTING_value), &file, &from)) return;
  Arena *arena = &t->program->arena;
  const char *kept = arena_text(arena, file, strlen(file));
  bool any = false;
  for (uint32_t i = 0; i < t->graph->slots.count; i++) {
    const Slot *slot = &t->graph->slots.data[i];
    const char *parts[16];
    uint32_t count = 0;
    if ((slot->kind != SLOT_PARAM && slot->kind != SLOT_STATE) || !capture(t, pattern, slot->name, parts, &count, 0))
      continue;
    const char *name = arena_text(arena, slot->name, strlen(slot->name));
    vec_push(&t->program->starts,
             ((WeightStart){name, kept, from ? fill_stars(t, from, parts, count) : name, node.span}));
    any = true;
  }
  if (!any) trace_error(t, "no-match", node.span, "no parameter is called \"%s\"", pattern);
}

void train_starts(Tracer *t) {
  Ast train;
  for (uint32_t turn = 0; (train = train_block(t, turn)).id; turn++) {
    const Ast list = ast_child(t->tree, train, TRAIN_settings);
    for (uint32_t i = 0; i < ast_count(t->tree, list); i++) {
      const AstNode *node = ast_node(t->tree, ast_child(t->tree, list, i));
      if (node->kind == AST_SETTING && !strcmp(name_of(t, node->name), "start"))
        start_setting(t, ast_child(t->tree, list, i));
    }
  }
}
