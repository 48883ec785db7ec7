/* Checkpoints: a round trip to the bit, deterministic bytes, refusal of whatever is not this model's, and the old file or
 * the new one whatever fails and wherever the process is killed. */
#define _GNU_SOURCE
#include "runtime_program.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "checkpoint.h"

typedef struct { char folder[64], path[128]; } Place;

static int make_place(void **state) {
  Place *place = malloc(sizeof *place);
  strcpy(place->folder, "/tmp/gradc_test_XXXXXX");
  if (!mkdtemp(place->folder)) return 1;
  chmod(place->folder, 0755);
  snprintf(place->path, sizeof place->path, "%s/run \xc3\xa9.safetensors", place->folder);
  *state = place;
  return 0;
}

/* The names in the folder. */
static int count_files(const char *folder) {
  DIR *entries = opendir(folder);
  int count = 0;
  for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) count += entry->d_name[0] != '.';
  closedir(entries);
  return count;
}

static int remove_place(void **state) {
  Place *place = *state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", place->folder);
  int failed = system(command);
  free(place);
  return failed;
}

static char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("no file %s", path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size + 1);
  assert_int_equal(fread(bytes, 1, *size, file), *size);
  bytes[*size] = 0;
  fclose(file);
  return bytes;
}

static void write_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

static GradcModel *trained(uint64_t seed, int steps) {
  GradcModel *model = line_create(seed, 8, 1);
  int64_t batch = 8;
  for (int i = 0; i < steps; i++) {
    Examples e;
    examples_fill(&e, seed + (uint64_t)i);
    assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_OK);
  }
  return model;
}

#define SAVE(model, path) assert_int_equal(gradc_save(model, path, NULL, 0), GRADC_OK)

static void test_round_trip(void **state) {
  Place *place = *state;
  GradcModel *model = trained(UINT64_MAX - 3, 7), *other = line_create(2, 8, 1);
  gradc_progress(model)->epoch = 1.0 / 3;
  const GradcPair pairs[] = {{"statistics", "{\"mean\":[1.5,\t\"\xc3\xa9\\\"\n\x01]}"}, {"a", ""}};
  assert_int_equal(gradc_save(model, place->path, pairs, 2), GRADC_OK);
  assert_int_equal(count_files(place->folder), 1);
  assert_int_equal(gradc_load(other, place->path), GRADC_OK);
  assert_same_bytes(model, other);
  assert_int_equal(gradc_progress(other)->step, 7);
  assert_true(gradc_progress(other)->epoch == 1.0 / 3);
  assert_true(gradc_progress(other)->seed == UINT64_MAX - 3);
  GradcFile *file;
  assert_int_equal(gradc_file_open(place->path, &file, NULL), GRADC_OK);
  assert_string_equal(gradc_file_value(file, "statistics"), pairs[0].value);
  assert_string_equal(gradc_file_value(file, "a"), "");
  assert_string_equal(gradc_file_value(file, "gradc.model"), "line");
  assert_string_equal(gradc_file_value(file, "gradc.hash"), "0123456789abcdef");
  assert_string_equal(gradc_file_value(file, "gradc.step"), "7");
  assert_null(gradc_file_value(file, "gradc"));
  assert_int_equal(gradc_file_pair_count(file), 7);
  assert_string_equal(gradc_file_pair(file, 0).key, "a");
  assert_null(gradc_file_pair(file, 7).key);
  assert_int_equal(gradc_file_count(file), 5);
  assert_int_equal(gradc_file_find(file, "nothing"), -1);
  GradcFileTensor w = gradc_file_tensor(file, gradc_file_find(file, "dense.W"));
  assert_string_equal(w.type, "F32");
  assert_int_equal(w.rank, 2);
  assert_int_equal(w.dims[0], 3);
  assert_int_equal(w.bytes, 12);
  gradc_file_close(file), gradc_file_close(NULL);
  gradc_free(model), gradc_free(other);
}

/* Training on from a checkpoint ends in the same bits as training through. */
static void test_resume(void **state) {
  Place *place = *state;
  GradcModel *through = trained(5, 20), *half = trained(5, 12);
  SAVE(half, place->path);
  gradc_free(half);
  GradcModel *resumed = line_create(1, 8, 2);
  assert_int_equal(gradc_load(resumed, place->path), GRADC_OK);
  int64_t batch = 8;
  while (gradc_progress(resumed)->step < 20) {
    Examples e;
    examples_fill(&e, gradc_progress(resumed)->seed + (uint64_t)gradc_progress(resumed)->step);
    assert_int_equal(gradc_train_step(resumed, e.inputs, &batch), GRADC_OK);
  }
  assert_same_bytes(through, resumed);
  gradc_free(through), gradc_free(resumed);
}

static void test_bytes(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 3);
  const GradcPair one[] = {{"b", "2"}, {"a", "1"}}, two[] = {{"a", "1"}, {"b", "2"}};
  size_t size, again_size;
  assert_int_equal(gradc_save(model, place->path, one, 2), GRADC_OK);
  char *bytes = read_file(place->path, &size);
  assert_int_equal(gradc_save(model, place->path, two, 2), GRADC_OK);
  char *again = read_file(place->path, &again_size);
  assert_int_equal(size, again_size);
  assert_memory_equal(bytes, again, size);
  const char *expected =
      "{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\",\"gradc.epoch\":\"0\",\"gradc.hash\":\"0123456789abcdef\","
      "\"gradc.model\":\"line\",\"gradc.seed\":\"1\",\"gradc.step\":\"3\"},"
      "\"dense.b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
      "\"dense.W\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[8,20]},"
      "\"dense.W/v\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[20,32]},"
      "\"seen\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[32,36]},"
      "\"flags\":{\"dtype\":\"BOOL\",\"shape\":[5],\"data_offsets\":[36,41]}}";
  assert_memory_equal(bytes + 8, expected, strlen(expected));
  uint64_t length;
  memcpy(&length, bytes, 8);
  assert_int_equal(length % 8, 0);
  assert_int_equal(size, 8 + length + 41);
  free(bytes), free(again);
  gradc_free(model);
}

static void test_locale(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1), *other = line_create(2, 8, 1);
  gradc_progress(model)->epoch = 0.5;
  const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C"};
  for (int i = 0; i < 4; i++) { /* a locale that is not there is left out */
    setlocale(LC_ALL, names[i]);
    SAVE(model, place->path);
    setlocale(LC_ALL, names[3 - i]);
    assert_int_equal(gradc_load(other, place->path), GRADC_OK);
    assert_true(gradc_progress(other)->epoch == 0.5);
  }
  setlocale(LC_ALL, "C");
  gradc_free(model), gradc_free(other);
}

/* -- Refusals -- */

/* Loads these bytes into a model and expects a failure with these words; the model must not change. */
static void expect_refused(Place *place, const void *bytes, size_t size, GradcStatus expected, const char *words) {
  GradcModel *model = trained(9, 2), *same = trained(9, 2);
  write_file(place->path, bytes, size);
  assert_int_equal(gradc_load(model, place->path), expected);
  const char *text = gradc_message(model);
  if (!strstr(text, words)) fail_msg("\"%s\" is not in: %s", words, text);
  if (!strstr(text, place->path)) fail_msg("the path is not in: %s", text);
  assert_same_bytes(model, same);
  assert_int_equal(gradc_progress(model)->step, 2);
  gradc_free(model), gradc_free(same);
}

/* A file of this header and `data` zero bytes. */
static void expect_header(Place *place, const char *header, size_t data, const char *words) {
  size_t length = strlen(header);
  char *bytes = calloc(1, 8 + length + data);
  uint64_t stated = length;
  memcpy(bytes, &stated, 8);
  memcpy(bytes + 8, header, length);
  expect_refused(place, bytes, 8 + length + data, GRADC_ERROR_FORMAT, words);
  free(bytes);
}

#define T(name, type, shape, offsets) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_format(void **state) {
  Place *p = *state;
  expect_refused(p, "", 0, GRADC_ERROR_FORMAT, "it has 0 bytes");
  expect_refused(p, "\1\0\0", 3, GRADC_ERROR_FORMAT, "it has 3 bytes");
  expect_refused(p, "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, GRADC_ERROR_FORMAT, "header would have 18446744073709551615");
  expect_refused(p, "\1\xe1\xf5\5\0\0\0\0{}", 10, GRADC_ERROR_FORMAT, "header would have 100000001 bytes, and may have");
  expect_refused(p, "\3\0\0\0\0\0\0\0{}", 10, GRADC_ERROR_FORMAT, "header would have 3 bytes, and the file ends after 2");
  expect_refused(p, "\0\0\0\0\0\0\0\0", 8, GRADC_ERROR_FORMAT, "does not begin with \"{\"");
  expect_header(p, "{\"\xc3\":1}", 0, "not UTF-8");
  expect_header(p, "{\"\xed\xa0\x80\":1}", 0, "not UTF-8");
  expect_header(p, "{\"\xc0\xaf\":1}", 0, "not UTF-8");
  expect_header(p, "{\"\xf4\x90\x80\x80\":1}", 0, "not UTF-8");
  expect_header(p, "[]", 0, "does not begin with \"{\"");
  expect_header(p, " {}", 0, "does not begin with \"{\"");
  expect_header(p, "{", 0, "at byte 1, a string should begin");
  expect_header(p, "{}x", 0, "something follows the end");
  expect_header(p, "{\"a", 0, "a string is not closed");
  expect_header(p, "{\"a\\", 0, "a string is not closed");
  expect_header(p, "{\"a\\q\":1}", 0, "an unknown escape");
  expect_header(p, "{\"a\\u12g4\":1}", 0, "four hexadecimal digits");
  expect_header(p, "{\"a\\u0000\":1}", 0, "the character 0");
  expect_header(p, "{\"a\\ud800\":1}", 0, "surrogate pair stands alone");
  expect_header(p, "{\"a\\udc00\":1}", 0, "surrogate pair stands alone");
  expect_header(p, "{\"a\nb\":1}", 0, "a control character");
  expect_header(p, "{\"a\"}", 0, "a colon");
  expect_header(p, "{\"a\":1}", 0, "an object should begin");
  expect_header(p, "{\"a\":{\"dtype\":4}}", 0, "a string should begin");
  expect_header(p, "{\"a\":{}}", 0, "lacks \"dtype\"");
  expect_header(p, "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,0]}}", 0, "lacks \"shape\"");
  expect_header(p, "{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", 0, "lacks \"data_offsets\"");
  expect_header(p, "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, "the key \"dtype\" twice");
  expect_header(p, "{\"a\":{\"type\":\"F32\"}}", 0, "the unknown key \"type\"");
  expect_header(p, "{" T("a", "F31", "[]", "[0,4]") "}", 4, "the unknown type \"F31\"");
  expect_header(p, "{" T("a", "F32", "[-1]", "[0,4]") "}", 4, "a whole number");
  expect_header(p, "{" T("a", "F32", "[1.0]", "[0,4]") "}", 4, "a whole number");
  expect_header(p, "{" T("a", "F32", "[01]", "[0,4]") "}", 4, "may not begin with 0");
  expect_header(p, "{" T("a", "F32", "[1,]", "[0,4]") "}", 4, "a whole number");
  expect_header(p, "{" T("a", "F32", "[1 1]", "[0,4]") "}", 4, "should end or go on with a comma");
  expect_header(p, "{" T("a", "F32", "[1]", "[0,4,8]") "}", 4, "should end or go on");
  expect_header(p, "{" T("a", "F32", "[1]", "[0]") "}", 4, "a comma is missing");
  expect_header(p, "{" T("a", "F32", "[1]", "[0,4]") ",}", 4, "a string should begin");
  expect_header(p, "{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "more than 8 dimensions");
  expect_header(p, "{" T("a", "F32", "[9223372036854775808]", "[0,4]") "}", 4, "over 2^63 - 1");
  expect_header(p, "{" T("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "more than 2^63 - 1");
  expect_header(p, "{" T("a", "F32", "[4294967296,4294967296,0]", "[0,0]") "}", 0, "more than 2^63 - 1");
  expect_header(p, "{" T("a", "F64", "[2305843009213693952]", "[0,4]") "}", 4, "more than 2^63 - 1");
  expect_header(p, "{" T("a", "F32", "[1]", "[4,0]") "}", 4, "the offsets 4 to 0 in a buffer of 4 bytes");
  expect_header(p, "{" T("a", "F32", "[2]", "[0,8]") "}", 4, "the offsets 0 to 8 in a buffer of 4 bytes");
  expect_header(p, "{" T("a", "F32", "[2]", "[0,4]") "}", 4, "takes 8 bytes by its shape, and 4 by its offsets");
  expect_header(p, "{" T("a", "F32", "[1]", "[0,4]") "}", 5, "bytes 4 to 5 of its buffer belong to no tensor");
  expect_header(p, "{" T("a", "F32", "[1]", "[4,8]") "}", 8, "bytes 0 to 4 of its buffer belong to no tensor");
  expect_header(p, "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[8,12]") "}", 12, "bytes 4 to 8");
  expect_header(p, "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[1]", "[4,8]") "}", 8, "lies on another one at byte 4");
  expect_header(p, "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[0,4]") "}", 4, "lies on another one");
  expect_header(p, "{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", 8, "\"a\" stands twice");
  expect_header(p, "{" T("a", "F32", "[1]", "[0,4]") "," T("\\u0061", "F32", "[1]", "[4,8]") "}", 8, "\"a\" stands twice");
  expect_header(p, "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "the key \"k\" stands twice in its metadata");
  expect_header(p, "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "\"__metadata__\" stands twice");
  expect_header(p, "{\"__metadata__\":{\"k\":1}}", 0, "a string should begin");
  expect_header(p, "{\"__metadata__\":[]}", 0, "an object should begin");
  expect_header(p, "{" T("\\u001b[31m", "F31", "[]", "[0,4]") "}", 4, "\"?[31m\"");
}

/* What is unusual but right. */
static void test_accepted(void **state) {
  Place *place = *state;
  const char *header = "{ \"z\\u00e9\\ud83d\\ude00\" : {\"shape\": [ ], \"data_offsets\":[0 , 2],\"dtype\":\"F16\"},"
                       "\"empty\":{\"dtype\":\"F64\",\"shape\":[3,0],\"data_offsets\":[2,2]},"
                       "\"half\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[2,14]},"
                       "\"brain\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[14,18]},"
                       "\"double\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[18,26]},"
                       "\"__metadata__\":{\"\\u20AC\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u000b\"}}  ";
  const uint16_t halves[] = {0x3c00, 0x3c00, 0xc000, 0x0001, 0x7c00, 0x7bff, 0x8000, 0x3f80, 0xc049};
  double third = 1.0 / 3;
  char bytes[1024];
  uint64_t length = strlen(header);
  memcpy(bytes, &length, 8), memcpy(bytes + 8, header, length);
  memcpy(bytes + 8 + length, halves, 18), memcpy(bytes + 26 + length, &third, 8);
  write_file(place->path, bytes, 8 + length + 26);
  GradcFile *file;
  GradcMessage message;
  float values[8];
  double wide[8];
  if (gradc_file_open(place->path, &file, &message)) fail_msg("%s", message.text);
  assert_int_equal(gradc_file_count(file), 5);
  assert_string_equal(gradc_file_value(file, "\xe2\x82\xac"), "\"\\/\b\f\n\r\t\v");
  assert_true(gradc_file_find(file, "z\xc3\xa9\xf0\x9f\x98\x80") >= 0);
  assert_int_equal(gradc_file_read(file, gradc_file_find(file, "half"), GRADC_F32, values, NULL), GRADC_OK);
  const float expected[] = {1, -2, 0x1p-24f, INFINITY, 65504, -0.0f};
  assert_memory_equal(values, expected, sizeof expected);
  assert_int_equal(gradc_file_read(file, gradc_file_find(file, "brain"), GRADC_F64, wide, NULL), GRADC_OK);
  assert_true(wide[0] == 1 && wide[1] == -3.140625);
  assert_int_equal(gradc_file_read(file, gradc_file_find(file, "double"), GRADC_F32, values, NULL), GRADC_OK);
  assert_true(values[0] == (float)third);
  assert_int_equal(gradc_file_read(file, gradc_file_find(file, "double"), GRADC_F64, wide, NULL), GRADC_OK);
  assert_true(wide[0] == third);
  assert_int_equal(gradc_file_read(file, gradc_file_find(file, "empty"), GRADC_F32, NULL, NULL), GRADC_OK);
  assert_int_equal(gradc_file_read(file, gradc_file_find(file, "half"), GRADC_I32, values, &message), GRADC_ERROR_MISMATCH);
  assert_non_null(strstr(message.text, "is F16, and cannot be read as I32"));
  assert_int_equal(gradc_file_read(file, 9, GRADC_F32, values, &message), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_file_read(file, 0, GRADC_F32, NULL, &message), GRADC_ERROR_ARGUMENT);
  gradc_file_close(file);
}

/* A saved file with `from` put in place of `to` (of the same length) in its header. */
static void expect_edited(Place *place, const char *from, const char *to, GradcStatus expected, const char *words) {
  GradcModel *model = trained(9, 1);
  size_t size;
  SAVE(model, place->path);
  char *bytes = read_file(place->path, &size), *at = memmem(bytes, size, from, strlen(from));
  assert_non_null(at);
  assert_int_equal(strlen(from), strlen(to));
  memcpy(at, to, strlen(to));
  expect_refused(place, bytes, size, expected, words);
  free(bytes);
  gradc_free(model);
}

static void test_foreign(void **state) {
  Place *p = *state;
  const GradcStatus mismatch = GRADC_ERROR_MISMATCH;
  expect_edited(p, "\"dense.W\"", "\"dense.U\"", mismatch, "does not fit the model \"line\": it lacks the tensor \"dense.W\"");
  expect_edited(p, "\"shape\":[3,1]", "\"shape\":[1,3]", mismatch,
                "the tensor \"dense.W\" is F32 [1, 3] in the file, and F32 [3, 1] in the model");
  expect_edited(p, "\"shape\":[3,1]", "\"shape\":[3]  ", mismatch, "is F32 [3] in the file, and F32 [3, 1] in the model");
  expect_edited(p, "\"F32\",\"shape\":[3", "\"I32\",\"shape\":[3", mismatch, "is I32 [3, 1] in the file, and F32 [3, 1]");
  expect_edited(p, "0123456789abcdef", "0123456789abcdee", mismatch,
                "is a checkpoint of another version of the model \"line\": its inputs or targets are others");
  expect_edited(p, "gradc.hash", "gradc.hush", mismatch, "is not a checkpoint of gradc: its metadata lack \"gradc.hash\"");
  expect_edited(p, "gradc.model", "gradc.madel", mismatch, "lack \"gradc.model\"");
  expect_edited(p, "\"gradc.step\":\"1\"", "\"gradc.step\":\"x\"", GRADC_ERROR_FORMAT, "\"gradc.step\" is not a number");
  expect_edited(p, "\"gradc.epoch\":\"0\"", "\"gradc.epoch\":\"-\"", GRADC_ERROR_FORMAT, "\"gradc.epoch\" is not a number");
  expect_edited(p, "\"gradc.seed\":\"9\"", "\"gradc.seed\":\"\" ", GRADC_ERROR_FORMAT, "\"gradc.seed\" is not a number");
  GradcProgram foreign = program;
  foreign.name = "lenet", foreign.hash = 5;
  GradcSlot others[SLOTS + 1];
  memcpy(others, slots, sizeof slots);
  others[SLOTS] = (GradcSlot){"extra", GRADC_SLOT_STATE, GRADC_F32, 1, 0, {2}};
  foreign.slots = others, foreign.slot_count = SLOTS + 1;
  GradcModel *model;
  int64_t capacity = 8;
  size_t size;
  assert_int_equal(gradc_create(&foreign, 1, &capacity, 1, &model, NULL), GRADC_OK);
  SAVE(model, p->path);
  char *bytes = read_file(p->path, &size);
  expect_refused(p, bytes, size, mismatch,
                 "is a checkpoint of the model \"lenet\", not of \"line\": its tensor \"extra\" is not in the model");
  free(bytes);
  gradc_free(model);
  /* The file's last byte is a truth value. */
  model = trained(1, 0);
  SAVE(model, p->path);
  bytes = read_file(p->path, &size);
  bytes[size - 1] = 2;
  expect_refused(p, bytes, size, GRADC_ERROR_FORMAT, "element 4 of \"flags\" is 2, not 0 or 1");
  for (size_t cut = 0; cut < size; cut += 13) expect_refused(p, bytes, cut, GRADC_ERROR_FORMAT, "not a valid");
  free(bytes);
  gradc_free(model);
}

static void test_arguments(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1);
  const struct { GradcPair pairs[2]; const char *words; } wrong[] = {
      {{{"gradc.x", "1"}, {"b", "2"}}, "reserved"},       {{{"a", "1"}, {"a", "2"}}, "\"a\" twice"},
      {{{NULL, "1"}, {"b", "2"}}, "pair 0 has no key"},   {{{"a", "1"}, {"b", NULL}}, "pair 1 has no key or no value"},
      {{{"\xff", "1"}, {"b", "2"}}, "pair 0 is not UTF-8"}, {{{"a", "1"}, {"b", "\xc3("}}, "pair 1 is not UTF-8"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(gradc_save(model, place->path, wrong[i].pairs, 2), GRADC_ERROR_ARGUMENT);
    if (!strstr(gradc_message(model), wrong[i].words)) fail_msg("%s", gradc_message(model));
  }
  assert_int_equal(gradc_save(model, place->path, NULL, 1), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_save(model, place->path, NULL, -1), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_save(model, NULL, NULL, 0), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_save(NULL, place->path, NULL, 0), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_load(model, NULL), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_load(NULL, place->path), GRADC_ERROR_ARGUMENT);
  assert_int_equal(gradc_load_file(model, NULL), GRADC_ERROR_ARGUMENT);
  GradcProgram wrong_program = program;
  GradcSlot wrong_slots[SLOTS];
  GradcModel *damaged;
  int64_t capacity = 8;
  wrong_program.name = "\xff";
  assert_int_equal(gradc_create(&wrong_program, 1, &capacity, 1, &damaged, NULL), GRADC_OK);
  assert_int_equal(gradc_save(damaged, place->path, NULL, 0), GRADC_ERROR_PROGRAM);
  gradc_free(damaged);
  memcpy(wrong_slots, slots, sizeof slots);
  wrong_slots[SLOT_V].name = "dense.W"; /* twice */
  wrong_program.name = "line", wrong_program.slots = wrong_slots;
  assert_int_equal(gradc_create(&wrong_program, 1, &capacity, 1, &damaged, NULL), GRADC_OK);
  assert_int_equal(gradc_save(damaged, place->path, NULL, 0), GRADC_ERROR_PROGRAM);
  assert_string_equal(gradc_message(damaged), "the compiled model \"line\" is damaged: the slot name \"dense.W\"");
  gradc_free(damaged);
  gradc_progress(model)->epoch = NAN;
  assert_int_equal(gradc_save(model, place->path, NULL, 0), GRADC_ERROR_ARGUMENT);
  assert_int_equal(count_files(place->folder), 0);
  gradc_free(model);
}

/* -- Failing machines -- */

static void expect_unwritable(GradcModel *model, const char *path, const char *words) {
  assert_int_equal(gradc_save(model, path, NULL, 0), GRADC_ERROR_FILE);
  const char *text = gradc_message(model);
  if (!strstr(text, words) || !strstr(text, path)) fail_msg("\"%s\" or \"%s\" is not in: %s", words, path, text);
}

static void test_unwritable(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1);
  char path[5000];
  expect_unwritable(model, "", "No such file");
  expect_unwritable(model, "/nowhere/at/all.safetensors", "No such file");
  expect_unwritable(model, place->folder, "it is a folder");
  expect_unwritable(model, "/dev/full", "not a regular file");
  snprintf(path, sizeof path, "%s/", place->folder);
  expect_unwritable(model, path, "it names a folder");
  memset(path, 'x', sizeof path - 1), path[sizeof path - 1] = 0;
  assert_int_equal(gradc_save(model, path, NULL, 0), GRADC_ERROR_FILE);
  assert_non_null(strstr(gradc_message(model), "cannot write \"xxx"));
  path[300] = 0;
  expect_unwritable(model, path, "File name too long");
  assert_int_equal(gradc_load(model, place->folder), GRADC_ERROR_FILE);
  assert_non_null(strstr(gradc_message(model), "it is a folder"));
  assert_int_equal(gradc_load(model, "/dev/zero"), GRADC_ERROR_FILE);
  assert_non_null(strstr(gradc_message(model), "not a regular file"));
  assert_int_equal(gradc_load(model, place->path), GRADC_ERROR_FILE);
  assert_non_null(strstr(gradc_message(model), "No such file"));
  assert_int_equal(count_files(place->folder), 0);
  gradc_free(model);
}

/* As a user who may not write there (root may everywhere). */
static void test_read_only(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1);
  bool root = geteuid() == 0;
  chmod(place->folder, 0555);
  if (root) assert_int_equal(seteuid(65534), 0);
  expect_unwritable(model, place->path, "Permission denied");
  if (root) assert_int_equal(seteuid(0), 0);
  chmod(place->folder, 0777);
  SAVE(model, place->path);
  chmod(place->path, 0444);
  if (root) assert_int_equal(seteuid(65534), 0);
  expect_unwritable(model, place->path, "Permission denied");
  if (root) assert_int_equal(seteuid(0), 0);
  assert_int_equal(count_files(place->folder), 1);
  gradc_free(model);
}

/* A real refusal by the system in the middle of the file. */
static void test_too_large_for_the_system(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1), *other = trained(2, 2);
  SAVE(model, place->path);
  struct rlimit before, small;
  getrlimit(RLIMIT_FSIZE, &before);
  small = before, small.rlim_cur = 100;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  expect_unwritable(other, place->path, "File too large");
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_DFL);
  assert_int_equal(count_files(place->folder), 1);
  assert_int_equal(gradc_load(other, place->path), GRADC_OK);
  assert_same_bytes(model, other);
  gradc_free(model), gradc_free(other);
}

typedef struct {
  int at, seen, error; /* operation number `at` fails with `error`; 0: the process dies there */
  const char *operation;
} Fault;

static int fault_before(void *context, const char *operation) {
  Fault *fault = context;
  if (++fault->seen != fault->at) return 0;
  fault->operation = operation;
  if (!fault->error) kill(getpid(), SIGKILL);
  return fault->error;
}

static void test_each_failure(void **state) {
  Place *place = *state;
  GradcModel *old = trained(1, 1), *new = trained(2, 2), *read = line_create(3, 8, 1);
  int at = 1, operations = 0;
  for (bool done = false; !done; at++) {
    SAVE(old, place->path);
    Fault fault = {.at = at, .error = ENOSPC};
    GradcWatch watch = {fault_before, &fault};
    GradcStatus status = gradc_save_watched(new, place->path, NULL, 0, &watch);
    done = fault.seen < at;
    assert_int_equal(status, done ? GRADC_OK : GRADC_ERROR_FILE);
    assert_int_equal(count_files(place->folder), 1);
    assert_int_equal(gradc_load(read, place->path), GRADC_OK);
    bool placed = done || !strcmp(fault.operation, "fsync folder");
    assert_same_bytes(read, placed ? new : old);
    if (!done && !strstr(gradc_message(new), "No space left on device")) fail_msg("%s", gradc_message(new));
    operations = fault.seen;
  }
  assert_int_equal(operations, 10); /* open, 6 writes, fsync, rename, fsync folder */
  gradc_free(old), gradc_free(new), gradc_free(read);
}

static void test_killed_anywhere(void **state) {
  Place *place = *state;
  GradcModel *old = trained(1, 1), *new = trained(2, 2), *read = line_create(3, 8, 1);
  int deaths = 0, left = 0;
  for (int at = 1;; at++) {
    SAVE(old, place->path);
    assert_int_equal(count_files(place->folder), 1); /* what the last one left is gone */
    pid_t child = fork();
    if (!child) {
      Fault fault = {.at = at};
      GradcWatch watch = {fault_before, &fault};
      _exit(gradc_save_watched(new, place->path, NULL, 0, &watch) ? 1 : 0);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    left += count_files(place->folder) - 1;
    assert_int_equal(gradc_load(read, place->path), GRADC_OK);
    if (WIFEXITED(how)) {
      assert_int_equal(WEXITSTATUS(how), 0);
      assert_same_bytes(read, new);
      break;
    }
    deaths++;
    assert_same_bytes(read, at < 10 ? old : new);
  }
  assert_int_equal(deaths, 10);
  assert_int_equal(left, 8); /* in all but "open" and "fsync folder" */
  gradc_free(old), gradc_free(new), gradc_free(read);
}

static void test_stale_files(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1);
  char stale[256], living[256], mine[256], others[256];
  snprintf(stale, sizeof stale, "%s.tmp-123-0", place->path);
  snprintf(living, sizeof living, "%s.tmp-124-1", place->path);
  snprintf(mine, sizeof mine, "%s.tmp-%ld-0", place->path, (long)getpid()); /* of an earlier process with our number */
  snprintf(others, sizeof others, "%s.tmp-best", place->path);
  write_file(stale, "x", 1), write_file(living, "x", 1), write_file(mine, "x", 1), write_file(others, "x", 1);
  int lock = open(living, O_WRONLY);
  assert_int_equal(flock(lock, LOCK_EX), 0); /* as one who is writing it holds it */
  SAVE(model, place->path);
  assert_int_not_equal(access(stale, F_OK), 0);
  assert_int_not_equal(access(mine, F_OK), 0);
  assert_int_equal(access(living, F_OK), 0);
  assert_int_equal(access(others, F_OK), 0); /* not a name of ours */
  close(lock);
  SAVE(model, place->path);
  assert_int_not_equal(access(living, F_OK), 0);
  assert_int_equal(count_files(place->folder), 2);
  gradc_free(model);
}

static void test_links_and_permissions(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1), *other = line_create(2, 8, 1);
  char link[128], sub[128], target[160];
  struct stat info;
  snprintf(sub, sizeof sub, "%s/deep", place->folder);
  snprintf(target, sizeof target, "%s/real.safetensors", sub);
  snprintf(link, sizeof link, "%s/link", place->folder);
  assert_int_equal(mkdir(sub, 0755), 0);
  SAVE(model, target);
  assert_int_equal(chmod(target, 0600), 0);
  assert_int_equal(symlink(target, link), 0);
  int64_t batch = 8;
  Examples e;
  examples_fill(&e, 4);
  assert_int_equal(gradc_train_step(model, e.inputs, &batch), GRADC_OK);
  SAVE(model, link);
  assert_int_equal(lstat(link, &info), 0);
  assert_true(S_ISLNK(info.st_mode));
  assert_int_equal(stat(target, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_int_equal(gradc_load(other, target), GRADC_OK);
  assert_same_bytes(model, other);
  gradc_free(model), gradc_free(other);
}

static void test_relative_path(void **state) {
  Place *place = *state;
  GradcModel *model = trained(1, 1);
  char before[4096];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(place->folder), 0);
  SAVE(model, "here.safetensors");
  assert_int_equal(gradc_load(model, "./here.safetensors"), GRADC_OK);
  assert_int_equal(chdir(before), 0);
  assert_int_equal(count_files(place->folder), 1);
  gradc_free(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_round_trip), TEST(test_resume),     TEST(test_bytes),
      TEST(test_locale),     TEST(test_format),     TEST(test_accepted),
      TEST(test_foreign),    TEST(test_arguments),  TEST(test_unwritable),
      TEST(test_read_only),  TEST(test_each_failure), TEST(test_too_large_for_the_system),
      TEST(test_killed_anywhere), TEST(test_stale_files), TEST(test_links_and_permissions),
      TEST(test_relative_path),
  };
  return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
