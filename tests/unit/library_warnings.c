/* library_warnings.c: no definition of the library warns, of whatever is handed to it: the examples of its comments, of inputs
 * that a model computes and nothing bounds, or that a sigmoid keeps in the range that the example names. */
#include "example.h"

static int wrongs, checked;

static void add_input(const Example *e, int i, Text *out) {
  const char *name = e->inputs[i].name, *type = e->inputs[i].type;
  const bool number = !strstr(type, "of ") && type[0] == '[';
  text_printf(out, "  input %s%s: %s\n", name, number ? "_raw" : "", type);
  if (!number) return;
  text_printf(out, "  param %s_scale: [] ~ ones\n", name);
  if (e->inputs[i].ranged)
    text_printf(out, "  let %s = %g + %g * sigmoid(%s_scale * %s_raw)\n", name, e->inputs[i].low, e->inputs[i].high - e->inputs[i].low,
                name, name);
  else
    text_printf(out, "  let %s = %s_scale * %s_raw\n", name, name, name);
}

static void check_quiet(const Example *x, void *context) {
  (void)context;
  const char *only = getenv("ONLY");
  if (!example_is_value(x) || !x->has_expression || x->input_count < 1 || (only && strcmp(only, x->name))) return;
  Text text = {0}, said = {0};
  text_printf(&text, "model example {\n");
  for (int i = 0; i < x->input_count; i++) add_input(x, i, &text);
  text_printf(&text, "  let value = %s\n  loss sum((1.0 * value)^2)\n}\n", x->expression);
  Evaluation e;
  evaluation_open(&e, text_get(&text), TYPE_F32, 3);
  render_text(&e.session, &said, false);
  bool wrong = false; /* of what is only compared, the input's scale has no gradient */
  for (const Diag *d = e.session.diags; d; d = d->next) wrong = wrong || strcmp(d->slug, "zero-gradient") || !strstr(d->text, "_scale`");
  if (wrong) print_error("%s: %s", x->name, text_get(&said));
  wrongs += wrong, checked++;
  evaluation_close(&e);
  text_free(&said);
  text_free(&text);
}

static void test_quiet(void **state) {
  (void)state;
  example_each(check_quiet, NULL);
  print_message("%d definitions\n", checked);
  assert_int_equal(wrongs, 0);
  assert_true(checked > 80);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_quiet)};
  return cmocka_run_group_tests_name("library_warnings", tests, NULL, NULL);
}
