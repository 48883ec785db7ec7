/* data_dataset.c: data blocks carried out: which rows go where, what the transforms give, what the statistics rest on, and
 * what wrong cells are told. */
#include <math.h>

#include "build.h"
#include "data_helper.h"
#include "dataset.h"

typedef struct {
  Session s;
  DataPlan plan;
  DataWant wants[4];
  uint32_t want_count;
  Stats stats;
  DataOptions options;
  Dataset *data;
} Case;

static void start(Case *c, const char *file) {
  *c = (Case){.plan = {.name = "", .file = file, .header = -1}, .options = {.folder = test_folder(), .targets = true, .seed = 1}};
}

static DataLine *add_line(Case *c, const char *name, int32_t slot) {
  const DataLine line = {.name = name, .slot = slot, .missing = (uint8_t)c->plan.missing};
  vec_push(&c->plan.lines, line);
  return &c->plan.lines.data[c->plan.lines.count - 1];
}

/* An input or target with a line that reads these columns (up to two names). */
static DataLine *want(Case *c, const char *name, Type type, int32_t classes, bool target, int64_t extent, const char *first,
                      const char *second) {
  const uint32_t slot = c->want_count;
  c->wants[c->want_count++] = (DataWant){.name = name, .slot = slot, .type = type, .classes = classes, .target = target,
                                         .shape = {extent ? 1 : 0, {extent}}};
  DataLine *line = add_line(c, name, (int32_t)slot);
  if (first) vec_push(&line->names, first);
  if (second) vec_push(&line->names, second);
  return line;
}

static void step(DataLine *line, DataStep step) { vec_push(&line->steps, step); }

static bool load(Case *c) {
  dataset_free(c->data);
  c->data = dataset_load(&c->s, &c->plan, 0, c->wants, c->want_count, &c->options, &c->stats);
  return c->data != NULL;
}

static void load_well(Case *c) {
  if (load(c)) return;
  Text text = {0};
  render_text(&c->s, &text, false);
  fail_msg("%s", text_get(&text));
}

static void finish(Case *c) {
  dataset_free(c->data);
  stats_free(&c->stats);
  for (uint32_t i = 0; i < c->plan.lines.count; i++) {
    vec_free(&c->plan.lines.data[i].names);
    vec_free(&c->plan.lines.data[i].steps);
  }
  vec_free(&c->plan.lines);
  session_free(&c->s);
}

static void refuse(Case *c, const char *slug, uint32_t line) {
  assert_false(load(c));
  expect_one(&c->s, slug, line);
  finish(c);
}

static const float *floats(const DataPart *part, uint32_t feed) { return part->feeds[feed].values; }
static const int32_t *ints(const DataPart *part, uint32_t feed) { return part->feeds[feed].values; }
static void write_text(const char *name, const char *text) { write_file(name, text, strlen(text)); }

static void iris_is_split_and_standardized(void **state) {
  Case c;
  start(&c, "iris.csv");
  c.options.folder = SOURCE_DIR "/examples/iris";
  DataLine *flower = want(&c, "flower", TYPE_F32, 0, false, 4, "sepal_length", "petal_width");
  flower->is_range = true;
  step(flower, (DataStep){.kind = DATA_STANDARDIZE});
  DataLine *kind = want(&c, "kind", TYPE_I32, 3, true, 0, "species", NULL);
  step(kind, (DataStep){.kind = DATA_CATEGORIES});
  c.plan.split = SPLIT_EVERY;
  c.plan.split_number = 5;
  load_well(&c);
  assert_int_equal(c.data->train.rows, 120);
  assert_int_equal(c.data->held.rows, 30);
  assert_int_equal(c.data->held.lines[0], 6); /* row 4 is line 6: after the header, from 1 */
  for (int k = 0; k < 4; k++) {
    double sum = 0, squares = 0;
    for (int i = 0; i < 120; i++) sum += floats(&c.data->train, 0)[4 * i + k], squares += pow(floats(&c.data->train, 0)[4 * i + k], 2);
    assert_true(fabs(sum / 120) < 1e-6);
    assert_true(fabs(squares / 120 - 1) < 1e-6);
  }
  assert_int_equal(ints(&c.data->train, 1)[0], 0);
  assert_int_equal(ints(&c.data->train, 1)[119], 2);
  uint32_t count = 0;
  Arena arena = {0};
  const char **words = dataset_words(&c.plan, 0, &c.wants[1], &c.stats, &arena, &count);
  assert_int_equal(count, 3);
  assert_string_equal(words[1], "versicolor");
  arena_free(&arena);
  /* The same statistics applied to the whole file give the same values. */
  const float first = floats(&c.data->held, 0)[0];
  c.options.known = c.options.whole = true;
  load_well(&c);
  assert_int_equal(c.data->train.rows, 150);
  assert_true(floats(&c.data->train, 0)[4 * 4] == first);
  finish(&c);
}

static void targets_may_be_absent(void **state) {
  Case c;
  write_text("x.csv", "x\n1\n2\n");
  start(&c, "x.csv");
  want(&c, "x", TYPE_F32, 0, false, 0, "x", NULL);
  want(&c, "y", TYPE_F32, 0, true, 0, "y", NULL);
  c.options.targets = false;
  load_well(&c);
  assert_null(c.data->train.feeds[1].values);
  assert_true(floats(&c.data->train, 0)[1] == 2);
  c.options.targets = true;
  refuse(&c, "data-no-column", 1);
}

static void missing_values_follow_the_policy(void **state) {
  static const char text[] = "x,y\n1,0\n,1\n3,NA\n5,1\n";
  Case c;
  write_text("m.csv", text);
  start(&c, "m.csv");
  want(&c, "x", TYPE_F32, 0, false, 0, "x", NULL);
  want(&c, "y", TYPE_I32, 2, true, 0, "y", NULL);
  refuse(&c, "data-missing", 3);

  start(&c, "m.csv");
  c.plan.missing = MISSING_DROP;
  step(want(&c, "x", TYPE_F32, 0, false, 0, "x", NULL), (DataStep){.kind = DATA_STANDARDIZE});
  want(&c, "y", TYPE_I32, 2, true, 0, "y", NULL);
  load_well(&c);
  assert_int_equal(c.data->train.rows, 2);
  assert_true(floats(&c.data->train, 0)[0] == -1 && floats(&c.data->train, 0)[1] == 1);
  finish(&c);

  start(&c, "m.csv");
  c.plan.missing = MISSING_KEEP;
  step(want(&c, "x", TYPE_F32, 0, false, 0, "x", NULL), (DataStep){.kind = DATA_STANDARDIZE});
  want(&c, "y", TYPE_I32, 2, true, 0, "y", NULL);
  load_well(&c);
  assert_int_equal(c.data->train.rows, 4);
  assert_true(isnan(floats(&c.data->train, 0)[1]));
  assert_true(fabs(floats(&c.data->train, 0)[2]) < 1e-7); /* the mean of 1, 3 and 5 */
  assert_int_equal(ints(&c.data->train, 1)[2], -1);
  finish(&c);
}

static void transforms_do_what_they_say(void **state) {
  Case c;
  write_text("t.csv", "a,b,k\n2,1,0\n4,1,2\n6,1,1\n");
  start(&c, "t.csv");
  DataLine *scaled = want(&c, "s", TYPE_F32, 0, false, 2, "a", "b");
  step(scaled, (DataStep){.kind = DATA_SCALE, .number = 0.5});
  DataLine *constant = want(&c, "c", TYPE_F64, 0, false, 0, "b", NULL);
  step(constant, (DataStep){.kind = DATA_STANDARDIZE});
  DataLine *hot = want(&c, "h", TYPE_F32, 0, false, 3, "k", NULL);
  step(hot, (DataStep){.kind = DATA_ONE_HOT, .shape = {1, {3}}});
  DataLine *shaped = want(&c, "r", TYPE_F32, 0, false, 2, "b", "a");
  step(shaped, (DataStep){.kind = DATA_RESHAPE, .shape = {2, {2, 1}}});
  load_well(&c);
  assert_true(floats(&c.data->train, 0)[2] == 2 && floats(&c.data->train, 0)[3] == 0.5f);
  assert_true(((const double *)c.data->train.feeds[1].values)[2] == 0);
  const float hots[9] = {1, 0, 0, 0, 0, 1, 0, 1, 0};
  assert_memory_equal(floats(&c.data->train, 2), hots, sizeof hots);
  assert_true(floats(&c.data->train, 3)[0] == 1 && floats(&c.data->train, 3)[1] == 2);
  finish(&c);
}

/* Windows of a standardized helper: both lines read it, its statistics rest on what the training examples read. */
static void windows_slide_over_rows(void **state) {
  Case c;
  write_text("w.csv", "v\n0\n1\n2\n3\n4\n5\n6\n7\n8\n100\n");
  start(&c, "w.csv");
  DataLine *helper = add_line(&c, "v", -1);
  vec_push(&helper->names, "v");
  step(helper, (DataStep){.kind = DATA_STANDARDIZE});
  DataLine *past = want(&c, "past", TYPE_F64, 0, false, 3, NULL, NULL);
  past->source = DATA_LINE;
  step(past, (DataStep){.kind = DATA_WINDOWS, .length = 3});
  DataLine *next = want(&c, "next", TYPE_F64, 0, true, 1, NULL, NULL);
  next->source = DATA_LINE;
  step(next, (DataStep){.kind = DATA_WINDOWS, .length = 1, .shift = 3});
  c.plan.split = SPLIT_FRACTION;
  c.plan.split_number = 0.15; /* of 7 examples: the last one */
  load_well(&c);
  assert_int_equal(c.data->train.rows, 6);
  assert_int_equal(c.data->held.rows, 1);
  const double *x = c.data->train.feeds[0].values, *y = c.data->train.feeds[1].values, *out = c.data->held.feeds[1].values;
  const double deviation = sqrt(60.0 / 9); /* of 0 .. 8: the 100 is held out */
  assert_true(fabs(x[0] + 4 / deviation) < 1e-12 && fabs(x[3 * 5 + 2] - 3 / deviation) < 1e-12);
  assert_true(fabs(y[5] - 4 / deviation) < 1e-12 && fabs(out[0] - 96 / deviation) < 1e-12);
  finish(&c);
}

static void fractions_are_drawn_from_the_seed(void **state) {
  Text text = {0};
  text_add(&text, "x\n");
  for (int i = 0; i < 100; i++) text_printf(&text, "%d\n", i);
  write_text("f.csv", text_get(&text));
  text_free(&text);
  uint8_t seen[3][100] = {{0}};
  for (int run = 0; run < 3; run++) {
    Case c;
    start(&c, "f.csv");
    want(&c, "x", TYPE_F32, 0, false, 0, "x", NULL);
    c.plan.split = SPLIT_FRACTION;
    c.plan.split_number = 0.2;
    c.options.seed = run == 2 ? 9 : 1;
    load_well(&c);
    assert_int_equal(c.data->train.rows, 80);
    assert_int_equal(c.data->held.rows, 20);
    for (int i = 0; i < 20; i++) seen[run][(int)floats(&c.data->held, 0)[i]] = 1;
    for (int i = 0; i < 80; i++) assert_false(seen[run][(int)floats(&c.data->train, 0)[i]]);
    if (run == 2) { /* an evaluation with another seed holds out the rows of the training */
      c.options.seed = 5;
      c.options.known = true;
      load_well(&c);
      for (int i = 0; i < 20; i++) assert_true(seen[2][(int)floats(&c.data->held, 0)[i]]);
    }
    finish(&c);
  }
  assert_memory_equal(seen[0], seen[1], 100);
  assert_memory_not_equal(seen[0], seen[2], 100);
}

static void other_splits(void **state) {
  Case c;
  write_text("s.csv", "x,part\n1,train\n2,test\n3,Train\n");
  write_text("s2.csv", "part,x\nzz,7\n");
  start(&c, "s.csv");
  want(&c, "x", TYPE_F32, 0, false, 0, "x", NULL);
  c.plan.split = SPLIT_COLUMN;
  c.plan.split_text = "part";
  load_well(&c);
  assert_int_equal(c.data->train.rows, 2);
  assert_true(floats(&c.data->held, 0)[0] == 2);
  c.plan.split = SPLIT_FILE;
  c.plan.split_text = "s2.csv";
  load_well(&c);
  assert_int_equal(c.data->train.rows, 3);
  assert_true(floats(&c.data->held, 0)[0] == 7);
  finish(&c);
  write_text("s.csv", "x,part\n1,train\n2,perhaps\n");
  start(&c, "s.csv");
  want(&c, "x", TYPE_F32, 0, false, 0, "x", NULL);
  c.plan.split = SPLIT_COLUMN;
  c.plan.split_text = "part";
  refuse(&c, "data-split", 3);
}

static void inputs_are_found_by_name(void **state) {
  Case c;
  write_text("n.csv", "y,x_1,x_0,z\n1,2,3,4\n");
  start(&c, "n.csv");
  want(&c, "x", TYPE_F32, 0, false, 2, NULL, NULL)->implied = true;
  want(&c, "y", TYPE_F32, 0, true, 0, NULL, NULL)->implied = true;
  load_well(&c);
  assert_true(floats(&c.data->train, 0)[0] == 3 && floats(&c.data->train, 0)[1] == 2);
  finish(&c);
  start(&c, "n.csv");
  want(&c, "x", TYPE_F32, 0, false, 3, NULL, NULL)->implied = true;
  refuse(&c, "data-no-column", 1);
}

static void wrong_cells_are_named(void **state) {
  static const struct { const char *text, *slug; uint32_t line; Type type; int32_t classes; } cases[] = {
      {"x\n1\nabc\n", "data-not-number", 3, TYPE_F32, 0},   {"x\n1\nnan\n", "data-not-finite", 3, TYPE_F32, 0},
      {"x\n1\n-inf\n", "data-not-finite", 3, TYPE_F32, 0},  {"x\n1\n1e39\n", "data-not-finite", 3, TYPE_F32, 0},
      {"x\n1\n3\n", "data-label", 3, TYPE_I32, 3},          {"x\n1\n-1\n", "data-label", 3, TYPE_I32, 3},
      {"x\n1\n0.5\n", "data-label", 3, TYPE_I32, 3},        {"x\n1\n0.5\n", "data-not-whole", 3, TYPE_I32, 0},
      {"x\n1\n3e9\n", "data-not-whole", 3, TYPE_I32, 0},    {"x\n1\n2\n", "data-not-truth", 3, TYPE_BOOL, 0},
      {"x,z\n1,2\n", "data-no-column", 1, TYPE_I32, -1},    {"", "data-empty", 0, TYPE_F32, 0},
      {"x\n1\n3,5\n", "data-ragged", 3, TYPE_F32, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Case c;
    write_text("bad.csv", cases[i].text);
    start(&c, "bad.csv");
    const bool absent = cases[i].classes < 0;
    want(&c, "x", cases[i].type, absent ? 0 : cases[i].classes, false, 0, absent ? "y" : "x", NULL);
    refuse(&c, cases[i].slug, cases[i].line);
  }
}

static void shapes_must_fit(void **state) {
  Case c;
  write_text("h.csv", "a,b,c\n1,2,3\n");
  start(&c, "h.csv");
  want(&c, "x", TYPE_F32, 0, false, 2, "a", "c")->is_range = true;
  refuse(&c, "data-shape", 0);
  start(&c, "h.csv");
  want(&c, "x", TYPE_F32, 0, false, 2, "c", "a")->is_range = true;
  refuse(&c, "data-column-order", 0);
  start(&c, "h.csv");
  step(want(&c, "x", TYPE_F32, 0, false, 2, "a", "b"), (DataStep){.kind = DATA_RESHAPE, .shape = {2, {2, 2}}});
  refuse(&c, "data-shape", 0);
  start(&c, "h.csv");
  step(want(&c, "x", TYPE_F32, 0, false, 2, "a", NULL), (DataStep){.kind = DATA_WINDOWS, .length = 2});
  refuse(&c, "data-shape", 0);
  start(&c, NULL);
  want(&c, "x", TYPE_F32, 0, false, 0, "a", NULL);
  refuse(&c, "data-no-file", 0);
  start(&c, "h.csv");
  c.wants[0] = (DataWant){.name = "x", .type = TYPE_F32, .shape = {3, {1ll << 31, 1ll << 31, 1ll << 31}}};
  c.want_count = 1;
  refuse(&c, "data-too-large", 0);
}

static void categories_must_be_known(void **state) {
  Case c;
  write_text("c.csv", "k\nred\ngreen\nblue\nred\n");
  start(&c, "c.csv");
  step(want(&c, "k", TYPE_I32, 2, true, 0, "k", NULL), (DataStep){.kind = DATA_CATEGORIES});
  refuse(&c, "data-classes", 0);
  start(&c, "c.csv");
  step(want(&c, "k", TYPE_I32, 3, true, 0, "k", NULL), (DataStep){.kind = DATA_CATEGORIES});
  load_well(&c);
  assert_int_equal(ints(&c.data->train, 0)[0], 2);
  assert_int_equal(ints(&c.data->train, 0)[1], 1);
  write_text("c.csv", "k\nred\nblack\n");
  c.options.known = true;
  refuse(&c, "data-category", 3);
}

static void functions_are_evaluated(void **state) {
  Case c;
  write_text("g.csv", "a\n1\n2\n");
  start(&c, "g.csv");
  Graph *g = graph_new(&c.s, TYPE_F32);
  const uint32_t slot = graph_add_slot(g, (Slot){.kind = SLOT_INPUT, .name = "v", .type = TYPE_F32});
  const Node twice = build_add(g, build_slot(g, slot), build_const(g, TYPE_F32, 10));
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "v", .node = twice});
  step(want(&c, "x", TYPE_F32, 0, false, 0, "a", NULL), (DataStep){.kind = DATA_FUNCTION, .function = g});
  step(want(&c, "each", TYPE_F32, 0, false, 2, "a", "a"), (DataStep){.kind = DATA_FUNCTION, .function = g});
  load_well(&c);
  assert_true(floats(&c.data->train, 1)[2] == 12 && floats(&c.data->train, 1)[3] == 12);
  assert_true(floats(&c.data->train, 0)[0] == 11 && floats(&c.data->train, 0)[1] == 12);
  finish(&c);
  graph_free(g);

  start(&c, NULL);
  c.plan.size = 1000;
  g = graph_new(&c.s, TYPE_F32);
  graph_add_output(g, (Output){.kind = OUT_VALUE, .name = "v", .node = build_random(g, 0, 1, TYPE_F32, (Shape){0})});
  DataLine *drawn = want(&c, "x", TYPE_F32, 0, false, 0, NULL, NULL);
  drawn->source = DATA_DRAWN;
  drawn->function = g;
  load_well(&c);
  double sum = 0;
  for (int i = 0; i < 1000; i++) sum += floats(&c.data->train, 0)[i];
  assert_true(fabs(sum / 1000 - 0.5) < 0.05);
  assert_true(floats(&c.data->train, 0)[0] != floats(&c.data->train, 0)[1]);
  finish(&c);
  graph_free(g);
}

static void texts_are_cut_into_windows(void **state) {
  Case c;
  write_text("b.txt", "abcaébcabcabc");
  start(&c, "b.txt");
  DataLine *now = want(&c, "now", TYPE_I32, 4, false, 3, NULL, NULL), *next;
  now->source = DATA_CHARACTERS;
  now->length = 3;
  next = want(&c, "next", TYPE_I32, 4, true, 3, NULL, NULL);
  next->source = DATA_CHARACTERS;
  next->length = 3;
  next->shift = 1;
  c.plan.split = SPLIT_FRACTION;
  c.plan.split_number = 0.3;
  load_well(&c);
  const int32_t a[] = {0, 1, 2, 0, 3, 1, 2, 0, 1};
  assert_memory_equal(ints(&c.data->train, 0), a, sizeof a);
  assert_memory_equal(ints(&c.data->train, 1), a + 1, sizeof a - 4);
  assert_int_equal(c.data->train.stride, 3);
  assert_true(c.data->train.rows * 3 + c.data->train.slide - 1 + 1 <= 9); /* no window reaches the held-out part */
  assert_int_equal(c.data->held.rows, 1);
  c.wants[0].classes = 3;
  refuse(&c, "data-classes", 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(iris_is_split_and_standardized), cmocka_unit_test(targets_may_be_absent),
      cmocka_unit_test(missing_values_follow_the_policy), cmocka_unit_test(transforms_do_what_they_say),
      cmocka_unit_test(windows_slide_over_rows), cmocka_unit_test(fractions_are_drawn_from_the_seed),
      cmocka_unit_test(other_splits), cmocka_unit_test(inputs_are_found_by_name), cmocka_unit_test(wrong_cells_are_named),
      cmocka_unit_test(shapes_must_fit), cmocka_unit_test(categories_must_be_known), cmocka_unit_test(functions_are_evaluated),
      cmocka_unit_test(texts_are_cut_into_windows)};
  return cmocka_run_group_tests(tests, NULL, test_folder_remove);
}
