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

#define WINDOWS                                                                                                       \
  "argmax t {2} : i32 [batch, 2] | iota : i32 [3] | broadcast $2 {2} : i32 [batch, 2, 3] |"                            \
  "broadcast $1 {0, 1} : i32 [batch, 2, 3] | eq $3 $4 : bool [batch, 2, 3] | sum t {2} : f32 [batch, 2] |"             \
  "broadcast $6 {0, 1} : f32 [batch, 2, 3] | const 0 : f32 [] | broadcast $8 : f32 [batch, 2, 3] |"                     \
  "select $5 $7 $9 : f32 [batch, 2, 3] | "

#define FIRST "eq(broadcast{2}(iota), broadcast{0 1}(argmax{2}(t)))"

static const Case cases[] = {
    {"simplify", "mark x {0} | exp $1 | exp x | add $2 $3", "mul(exp(x), 2)"},
    {"simplify", "neg x | neg $1 | exp y | exp $2", "exp(x)"},
    {"simplify", "stop x | exp $1", "exp(x)"},
    /* what does not vary along the summed axis */
    {"sums", "broadcast v {1} | mul x $1 | sum $2 {0} : f32 [4]", "mul(v, sum{0}(x))"},
    {"sums", "broadcast v {1} | mul x $1 | sum $2 {1} : f32 [batch]", "sum{1}(mul(x, broadcast{1}(v)))"},
    {"sums", "broadcast v {1} | mul x $1 | mul $2 y | sum $3 {0} : f32 [4]", "mul(v, sum{0}(mul(x, y)))"},
    /* behind a mask where it is finite: 1 / sqrt(v v + 1) is, 1 / v need not be */
    {"sums", "mul v v : f32 [4] | const 1 : f32 [] | broadcast $2 : f32 [4] | add $1 $3 : f32 [4] | rsqrt $4 : f32 [4] |"
     "broadcast $5 {1} | mul x $6 | select p $7 #0 | sum $8 {0} : f32 [4]",
     "mul(rsqrt(add(mul(v, v), 1)), sum{0}(select(p, x, 0)))"},
    {"sums", "rsqrt v : f32 [4] | broadcast $1 {1} | mul x $2 | select p $3 #0 | sum $4 {0} : f32 [4]",
     "sum{0}(select(p, mul(x, broadcast{1}(rsqrt(v))), 0))"},
    {"reciprocal", "broadcast v {1} | div x $1", "mul(x, broadcast{1}(div(1, v)))"},
    {"reciprocal", "broadcast s | div x $1", "mul(x, broadcast(div(1, s)))"},
    {"reciprocal", "div x y", "div(x, y)"},
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
    {"masks", "select p x #0 | mul x y | select p $2 #0 | mul $1 $3", "mul(select(p, x, 0), mul(y, select(p, x, 0)))"},
    {"masks", "broadcast v {1} | mul x $1 | mul y $2 | select p $3 #0 | select p x #0 | mul $4 $5",
     "mul(select(p, x, 0), mul(y, mul(broadcast{1}(v), select(p, x, 0))))"},
    /* a factor that may overflow; another predicate; no mask but this one */
    {"masks", "exp y | mul x $1 | select p $2 #0 | select p x #0 | mul $3 $4", "mul(select(p, mul(x, exp(y)), 0), select(p, x, 0))"},
    {"masks", "lt x y : bool [batch, 4] | mul x y | select p $2 #0 | select $1 x #0 | mul $3 $4", "mul(select(p, mul(x, y), 0), select(lt(x, y), x, 0))"},
    {"masks", "mul x y | select p $1 #0", "select(p, mul(x, y), 0)"},
    {"factor", "exp x | mul x y | mul $1 y | add $2 $3", "mul(y, add(x, exp(x)))"},
    {"factor", "exp x | mul y #0.5 | mul $2 x | mul $1 y | sub $3 $4", "mul(y, sub(mul(x, 0.5), exp(x)))"},
    /* a sum of three; a product that is read besides; a factor that is all there is */
    {"factor", "exp x | sin x | mul x y | mul $1 y | mul $2 y | add $3 $4 | add $6 $5",
     "mul(y, add(sin(x), add(x, exp(x))))"},
    {"factor", "exp x | mul x y | mul $1 y | add $2 $3 | mul $2 $4",
     "mul(mul(x, y), add(mul(x, y), mul(y, exp(x))))"},
    {"factor", "mul x y | add $1 y", "add(y, mul(x, y))"},
    {"quotient", "const 1 : f32 [] | div $1 s : f32 [] | broadcast $2 | mul x $3 | mul $3 y | broadcast s | add $5 $6 | mul x $7 | add $4 $8",
     "add(mul(x, broadcast(div(1, s))), mul(mul(x, broadcast(div(1, s))), add(y, broadcast(mul(s, s)))))"},
    {"quotient", "const 1 : f32 [] | div $1 s : f32 [] | broadcast $2 | mul $3 y | broadcast s | add $4 $5 | mul x $6",
     "mul(x, add(mul(y, broadcast(div(1, s))), broadcast(s)))"},
    {"split_batch_sums", "sum t {0, 2} : f32 [2]", "sum{0}(sum{2}(t))"},
    {"split_batch_sums", "sum t {0, 1, 2} : f32 []", "sum{0}(sum{1 2}(t))"},
    {"split_batch_sums", "sum t {1, 2} : f32 [batch]", "sum{1 2}(t)"},
    {"split_batch_sums", "transpose t {1, 2, 0} : f32 [2, 3, batch] | exp $1 : f32 [2, 3, batch] | sum $2 {0, 2} : f32 [3]",
     "sum{0}(sum{1}(exp(t)))"},
    /* rounded below the views; what is no contraction is left alone */
    {"bf16", "transpose x {1, 0} : f32 [4, batch] | contract $1 y {0, 1, 1, 0} : f32 [4, 4]",
     "contract{0 1 0 0}(cast_bf16(x), cast_bf16(y))"},
    {"bf16", "reshape x : f32 [batch, 2, 2] | contract $1 $1 {0, 3, 0, 1, 2, 0, 1, 2} : f32 []",
     "contract{0 3 0 1 2 0 1 2}(reshape[batch, 2, 2](cast_bf16(x)), reshape[batch, 2, 2](cast_bf16(x)))"},
    {"bf16", "mul x y | sum $1 {0} : f32 [4]", "sum{0}(mul(x, y))"},
    /* windows of three taps: the largest lets v through, v being the sum of each */
    {"pooled", WINDOWS "sum $10 {1, 2} : f32 [batch]", "sum{1 2}(t)"},
    {"pooled", WINDOWS "sum $10 {1} : f32 [batch, 3]", "sum{1}(select(" FIRST ", broadcast{0 1}(sum{2}(t)), 0))"},
    {"pooled", WINDOWS "lt $9 t : bool [batch, 2, 3] | select $11 $10 $9 : f32 [batch, 2, 3]", "select(" FIRST ", broadcast{0 1}(select(lt(0, sum{2}(select(" FIRST ", t, 0))), sum{2}(t), 0)), 0)"},
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
    const PassOptions options = {.without = text_get(&without), .bf16 = true};
    Graph *made = passes_run(raw, &options);
    case_expression(made, made->outputs.data[0].node, &found);
    if (strcmp(text_get(&found), c->out)) print_error("%s: %s: found %s\n", c->pass, c->in, text_get(&found)), wrongs++;
    static const char *const rounds[] = {"sums", "reciprocal", "masks", "factor", "quotient", "bf16"};
    const bool bf16 = !strcmp(c->pass, "bf16");
    bool exact = true; /* in NaN and infinity too */
    for (size_t k = 0; k < sizeof rounds / sizeof *rounds; k++) exact &= strcmp(c->pass, rounds[k]) != 0;
    for (int wild = 0; wild < (exact ? 2 : 1); wild++)
      if (!(case_difference(raw, made, wild) <= (bf16 ? 0.05 : 1e-12))) print_error("%s: %s: values differ\n", c->pass, c->in), wrongs++;
    text_free(&without);
    text_free(&found);
    graph_free(raw);
    graph_free(made);
    session_free(&session);
  }
  assert_int_equal(wrongs, 0);
}

/* x less its mean over the batch, times y: what a centred value sums to is zero, and not noise. */
static void test_sums_of_centred(void **state) {
  static const char centred[] = "sum x {0} : f32 [4] | extent {0} : f64 [] | cast $2 : f32 [] | broadcast $3 : f32 [4] |"
                                "div $1 $4 : f32 [4] | broadcast $5 {1} | sub x $6 |";
  static const struct {
    const char *more, *out;
  } cases[] = {
      {"sum $7 {0} : f32 [4]", "0"},
      {"broadcast v {1} | mul $7 $8 | sum $9 {0} : f32 [4]", "0"},
      {"broadcast v {1} | mul $7 $8 | add y $9 | sum $10 {0} : f32 [4]", "sum{0}(y)"},
      {"broadcast v {1} | mul $7 $8 | sub $9 y | sum $10 {0} : f32 [4]", "neg(sum{0}(y))"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Session session = {0};
    Text in = {0}, found = {0};
    text_printf(&in, "%s %s", centred, cases[i].more);
    Graph *raw = case_graph(&session, text_get(&in)), *made = passes_run(raw, &(PassOptions){.after = "sums"});
    case_expression(made, made->outputs.data[0].node, &found);
    assert_string_equal(text_get(&found), cases[i].out);
    assert_true(case_difference(raw, made, false) < 1e-12);
    text_free(&in);
    text_free(&found);
    graph_free(raw);
    graph_free(made);
    session_free(&session);
  }
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_passes), cmocka_unit_test(test_sums_of_centred),
                                     cmocka_unit_test(test_every_pass_has_a_case),
                                     cmocka_unit_test(test_options)};
  return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
