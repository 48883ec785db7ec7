/* What is kept of a program comes back as it was: written again it is the same bytes. Bytes that are cut off or changed are refused,
 * or give some program; nothing is read outside of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compile.h"
#include "kept.h"

static const char model[] =
    "model m(width = 4) {\n"
    "  input  x: [2]\n"
    "  input  t: label[9]\n"
    "  target y: [1]\n"
    "  output s = concat(x, t |> embedding(3)) |> dense(width) |> relu |> dense(1)\n"
    "  loss   mse(s, y)\n"
    "}\n"
    "data {\n"
    "  file = \"d.csv\"; separator = \";\"; missing = drop; split = every(3)\n"
    "  x = columns(a, b) |> standardize |> scale(2) |> (v -> v * v - 1)\n"
    "  t = column(c)\n"
    "  y = columns(g)\n"
    "}\n"
    "train { optimizer = adam(0.1); batch = 2; epochs = 3; start for \"dense_1.*\" = weights(\"w.safetensors\") }\n";

typedef struct {
  char folder[32], path[64];
  Session session;
  Program *program;
  Kept kept;
  Text bytes;
} Case;

static void open_case(Case *c) {
  *c = (Case){.folder = "/tmp/gradc_kept_XXXXXX"};
  assert_non_null(mkdtemp(c->folder));
  snprintf(c->path, sizeof c->path, "%s/m.nn", c->folder);
  FILE *f = fopen(c->path, "w");
  assert_int_equal(fwrite(model, 1, sizeof model - 1, f), sizeof model - 1);
  fclose(f);
  CompileOptions options = {.trace = {.float_type = TYPE_F32, .seed = -1}};
  c->program = compile_front(&c->session, c->path, &options);
  assert_non_null(c->program);
  static KeptFile files[] = {{.path = "part.nn", .base = 17, .text = {{3, 4}}}};
  static const GradcBuffer buffers[] = {{.where = GRADC_AT_ARENA, .offset = 64, .offset_batch = {128}}, {.where = GRADC_AT_SLOT, .slot = 3}};
  static const GradcOutput outputs[] = {{.name = "s", .rank = 2, .dims = {-1, 1}, .buffer = 1, .weight = UINT32_MAX}};
  c->kept = (Kept){.key = {{1, 2}}, .files = files, .file_count = 1, .tables = {.batch = {2}, .buffer_count = 2, .buffers = buffers}};
  c->kept.entries[GRADC_ENTRY_TRAIN] = (KeptEntry){true, {5, 6}, 7, 8, {{9, 10}}};
  c->kept.tables.entries[GRADC_ENTRY_EVAL] = (GradcEntryInfo){.arena = 4096, .arena_batch = {64}, .scratch = 512, .max_threads = 3,
                                                              .output_count = 1, .outputs = outputs};
  kept_write(&c->kept, c->program, &c->bytes);
}

static void close_case(Case *c) {
  text_free(&c->bytes);
  program_free(c->program);
  session_free(&c->session);
  unlink(c->path);
  rmdir(c->folder);
}

static void test_comes_back(void **state) {
  Case c;
  open_case(&c);
  Program *p = kept_read(&c.session, c.path, c.bytes.data, c.bytes.length);
  assert_non_null(p);
  assert_string_equal(p->name, "m");
  assert_int_equal(p->init->slots.count, c.program->init->slots.count);
  assert_int_equal(p->data.data[0].lines.count, c.program->data.data[0].lines.count);
  assert_int_equal(p->data.data[0].lines.data[0].steps.count, 3);
  assert_non_null(p->data.data[0].lines.data[0].steps.data[2].function);
  assert_int_equal(p->starts.count, 2);
  assert_string_equal(p->kept->tables.entries[GRADC_ENTRY_EVAL].outputs[0].name, "s");
  assert_int_equal(p->kept->entries[GRADC_ENTRY_TRAIN].launches, 8);
  Text again = {0};
  Kept kept = *p->kept;
  kept_write(&kept, p, &again);
  assert_int_equal(again.length, c.bytes.length);
  assert_memory_equal(again.data, c.bytes.data, again.length);
  text_free(&again);
  program_free(p);
  close_case(&c);
}

static void test_damaged(void **state) {
  Case c;
  open_case(&c);
  char *bytes = mem_alloc(c.bytes.length);
  for (size_t size = 0; size < c.bytes.length; size++) { /* in memory of that size: nothing behind it may be read */
    memcpy(bytes = mem_resize(bytes, size + 1), c.bytes.data, size);
    assert_null(kept_read(&c.session, c.path, bytes, size));
  }
  bytes = mem_resize(bytes, c.bytes.length + 1);
  memcpy(bytes, c.bytes.data, c.bytes.length);
  bytes[c.bytes.length] = 0;
  assert_null(kept_read(&c.session, c.path, bytes, c.bytes.length + 1));
  for (size_t at = 0; at < c.bytes.length; at++) {
    bytes[at] ^= (char)0x81;
    Program *p = kept_read(&c.session, c.path, bytes, c.bytes.length);
    if (p) program_free(p);
    bytes[at] ^= (char)0x81;
  }
  free(bytes);
  close_case(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_comes_back), cmocka_unit_test(test_damaged)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
