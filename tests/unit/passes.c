/* passes.c: each pass by example, before and after; that values stay; the options of the pipeline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "graph_case.h"
#include "passes.h"

typedef struct {
  const char *pass, *in, *out; /* after this pass alone */
} Case;

static const Case cases[] = {
    {"simplify", "mark x {0} | exp $1 | exp x | add $2 $3", "mul(exp(x), 2)"},
    {"simplify", "neg x | neg $1 | exp y | exp $2", "exp(x)"},
    {"positive", "lt #0 x : bool [batch, 4] | select $1 x #0 | select $1 y #0 | mul $2 $3",
     "mul(select(lt(0, x), x, 0), select(lt(0, select(lt(0, x), x, 0)), y, 0))"},
    {"positive", "lt #0 x : bool [batch, 4] | select $1 y #0 | select $1 x #0 | mul $2 $3",
     "mul(select(lt(0, x), x, 0), select(lt(0, select(lt(0, x), x, 0)), y, 0))"},
    /* leaky relu; a negative slope would not do */
    {"positive", "lt #0 x : bool [batch, 4] | mul x #0.5 | select $1 x $2 | select $1 y #0 | mul $3 $4",
     "mul(select(lt(0, x), x, mul(x, 0.5)), select(lt(0, select(lt(0, x), x, mul(x, 0.5))), y, 0))"},
    {"positive", "lt #0 x : bool [batch, 4] | mul x #-0.5 | select $1 x $2 | select $1 y #0 | mul $3 $4",
     "mul(select(lt(0, x), x, mul(x, -0.5)), select(lt(0, x), y, 0))"},
    {"positive", "le #0 x : bool [batch, 4] | select $1 x #0 | select $1 y #0 | mul $2 $3",
     "mul(select(le(0, x), x, 0), select(le(0, x), y, 0))"},
    /* the predicate within another one */
    {"positive", "lt #0 x : bool [batch, 4] | select $1 x #0 | and $1 p : bool [batch, 4] | select $3 y #0 | mul $2 $4",
     "mul(select(lt(0, x), x, 0), select(and(p, lt(0, select(lt(0, x), x, 0))), y, 0))"},
    {"split_batch_sums", "sum t {0, 2} : f32 [2]", "sum{0}(sum{2}(t))"},
    {"split_batch_sums", "sum t {0, 1, 2} : f32 []", "sum{0}(sum{1 2}(t))"},
    {"split_batch_sums", "sum t {1, 2} : f32 [batch]", "sum{1 2}(t)"},
    {"split_batch_sums", "transpose t {1, 2, 0} : f32 [2, 3, batch] | exp $1 : f32 [2, 3, batch] | sum $2 {0, 2} : f32 [3]",
     "sum{0}(sum{1}(exp(t)))"},
    {"dead", "exp y | neg x", "neg(x)"},
};

/* All passes but one, as a list for `without`. */
static void all_but(const char *name, Text *out) {
  Text list = {0};
  passes_list(&list);
  for (const char *line = text_get(&list); *line; line = strchr(line, '\n') + 1) {
    const size_t n = strcspn(line, " ");
    if (n == strlen(name) && !strncmp(line, name, n)) continue;
    text_add_bytes(out, line, n);
    text_add(out, ",");
  }
  text_free(&list);
}

static void test_passes(void **state) {
  int wrongs = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const Case *c = &cases[i];
    Session session = {0};
    Text without = {0}, found = {0};
    all_but(c->pass, &without);
    Graph *raw = case_graph(&session, c->in);
    const PassOptions options = {.without = text_get(&without)};
    Graph *made = passes_run(raw, &options);
    case_expression(made, made->outputs.data[0].node, &found);
    if (strcmp(text_get(&found), c->out)) print_error("%s: %s: found %s\n", c->pass, c->in, text_get(&found)), wrongs++;
    for (int wild = 0; wild < 2; wild++)
      if (!(case_difference(raw, made, wild) <= 1e-12)) print_error("%s: %s: values differ\n", c->pass, c->in), wrongs++;
    text_free(&without);
    text_free(&found);
    graph_free(raw);
    graph_free(made);
    session_free(&session);
  }
  assert_int_equal(wrongs, 0);
}

/* Every pass of the pipeline has a case above. */
static void test_every_pass_has_a_case(void **state) {
  Text list = {0};
  passes_list(&list);
  for (const char *line = text_get(&list); *line; line = strchr(line, '\n') + 1) {
    const size_t n = strcspn(line, " ");
    bool found = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
      found |= strlen(cases[i].pass) == n && !strncmp(cases[i].pass, line, n);
    if (!found) fail_msg("no case for %.*s", (int)n, line);
  }
  text_free(&list);
}

static void assert_result(const char *in, const PassOptions *options, const char *expected) {
  Session session = {0};
  Graph *raw = case_graph(&session, in), *made = passes_run(raw, options);
  Text found = {0};
  case_expression(made, made->outputs.data[0].node, &found);
  assert_string_equal(text_get(&found), expected);
  text_free(&found);
  graph_free(raw);
  graph_free(made);
  session_free(&session);
}

static void test_options(void **state) {
  static const char sum[] = "sum t {0, 2} : f32 [2]";
  assert_result(sum, NULL, "sum{0}(sum{2}(t))");
  assert_result(sum, &(PassOptions){.without = "split_batch_sums"}, "sum{0 2}(t)");
  assert_result(sum, &(PassOptions){.without = "dead,split_batch_sums,simplify"}, "sum{0 2}(t)");
  assert_result(sum, &(PassOptions){.without = "all"}, "sum{0 2}(t)");
  assert_result(sum, &(PassOptions){.after = "positive"}, "sum{0 2}(t)");
  assert_result(sum, &(PassOptions){.after = "split_batch_sums"}, "sum{0}(sum{2}(t))");
  assert_true(passes_has("positive"));
  assert_false(passes_has("posit"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_passes), cmocka_unit_test(test_every_pass_has_a_case),
                                     cmocka_unit_test(test_options)};
  return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
