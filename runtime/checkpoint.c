/* checkpoint.c: a model's parameters, states and progress to and from a safetensors file. The same model gives the same
 * bytes: tensors by size of element, then by name (each is then aligned), metadata by key, no time. */
#include "checkpoint.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "json.h"
#include "model.h"
#include "safetensors.h"

/* -- Numbers as text, whatever the locale writes for a point -- */

static void number_text(double number, char to[32]) {
  snprintf(to, 32, "%.17g", number);
  char *point = strstr(to, localeconv()->decimal_point);
  if (!point) return;
  size_t length = strlen(localeconv()->decimal_point);
  *point = '.';
  memmove(point + 1, point + length, strlen(point + length) + 1);
}

static bool number_read(const char *text, double *number) {
  char local[64], *end;
  if (strlen(text) > 40 || text[strspn(text, "+-.0123456789e")]) return false;
  const char *point = strchr(text, '.');
  if (point)
    snprintf(local, sizeof local, "%.*s%s%s", (int)(point - text), text, localeconv()->decimal_point, point + 1);
  else snprintf(local, sizeof local, "%s", text);
  *number = strtod(local, &end);
  return end != local && !*end && isfinite(*number);
}

static bool natural_read(const char *text, uint64_t most, uint64_t *number) {
  uint64_t value = 0;
  if (!*text || text[strspn(text, "0123456789")]) return false;
  for (; *text; text++)
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
      return false;
  *number = value;
  return value <= most;
}

/* -- The header -- */

typedef struct {
  char *text;
  size_t size, room;
  bool failed;
} Text;

static void add(Text *text, const char *bytes, size_t size) {
  if (text->failed) return;
  if (size > text->room - text->size) {
    size_t room = (text->size + size) * 2 + 256;
    char *larger = realloc(text->text, room);
    if (!larger) {
      text->failed = true;
      return;
    }
    text->text = larger, text->room = room;
  }
  memcpy(text->text + text->size, bytes, size);
  text->size += size;
}

static void add_text(Text *text, const char *bytes) { add(text, bytes, strlen(bytes)); }

static void add_number(Text *text, int64_t number) {
  char digits[24];
  snprintf(digits, sizeof digits, "%lld", (long long)number);
  add_text(text, digits);
}

static void add_string(Text *text, const char *string) {
  add_text(text, "\"");
  for (const char *at = string; *at; at++) {
    size_t plain = 0;
    char escaped[8];
    while ((unsigned char)at[plain] >= 0x20 && at[plain] != '"' && at[plain] != '\\') plain++;
    add(text, at, plain);
    at += plain;
    if (!*at) break;
    snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned char)*at);
    add_text(text, escaped);
  }
  add_text(text, "\"");
}

static int by_key(const void *a, const void *b) { return strcmp(((const GradcPair *)a)->key, ((const GradcPair *)b)->key); }

static void add_metadata(Text *text, GradcModel *model, const GradcPair *pairs, int count) {
  enum { OWN = 5 };
  char hash[20], step[24], seed[24], epoch[32];
  snprintf(hash, sizeof hash, "%016llx", (unsigned long long)model->program->hash);
  snprintf(step, sizeof step, "%lld", (long long)model->progress.step);
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)model->progress.seed);
  number_text(model->progress.epoch, epoch);
  const GradcPair own[OWN] = {{"gradc.epoch", epoch}, {"gradc.hash", hash}, {"gradc.model", model->program->name},
                              {"gradc.seed", seed},   {"gradc.step", step}};
  GradcPair *all = malloc(((size_t)OWN + (size_t)count) * sizeof *all);
  if (!all) {
    text->failed = true;
    return;
  }
  memcpy(all, own, sizeof own);
  if (count) memcpy(all + OWN, pairs, (size_t)count * sizeof *pairs);
  qsort(all, (size_t)OWN + (size_t)count, sizeof *all, by_key);
  add_text(text, "\"__metadata__\":{");
  for (int i = 0; i < OWN + count; i++) {
    if (i) add_text(text, ",");
    add_string(text, all[i].key), add_text(text, ":"), add_string(text, all[i].value);
  }
  add_text(text, "}");
  free(all);
}

static void add_tensor(Text *text, const GradcTensor *tensor, int64_t begin) {
  add_text(text, ","), add_string(text, tensor->name), add_text(text, ":{\"dtype\":\"");
  add_text(text, gradc_type_name(tensor->type)), add_text(text, "\",\"shape\":[");
  for (int i = 0; i < tensor->rank; i++) {
    if (i) add_text(text, ",");
    add_number(text, tensor->dims[i]);
  }
  add_text(text, "],\"data_offsets\":["), add_number(text, begin), add_text(text, ",");
  add_number(text, begin + tensor->bytes), add_text(text, "]}");
}

static int by_place(const void *a, const void *b) {
  const GradcTensor *x = a, *y = b;
  int64_t size_x = gradc_type_bytes(x->type), size_y = gradc_type_bytes(y->type);
  return size_x != size_y ? (size_x > size_y ? -1 : 1) : strcmp(x->name, y->name);
}

/* The saved slots in the order of the file; NULL without memory. */
static GradcTensor *sorted_tensors(GradcModel *model, int64_t *count) {
  const GradcProgram *program = model->program;
  GradcTensor *tensors = malloc((size_t)program->slot_count * sizeof *tensors + 1);
  *count = 0;
  for (uint32_t i = 0; tensors && i < program->slot_count; i++)
    if (gradc_slot_saved(&program->slots[i])) gradc_tensor_at(model, i, &tensors[(*count)++]);
  if (tensors && *count) qsort(tensors, (size_t)*count, sizeof *tensors, by_place);
  return tensors;
}

static void build_header(Text *text, GradcModel *model, const GradcTensor *tensors, int64_t tensor_count,
                         const GradcPair *pairs, int count) {
  uint64_t length = 0;
  int64_t begin = 0;
  add(text, (const char *)&length, 8);
  add_text(text, "{");
  add_metadata(text, model, pairs, count);
  for (int64_t i = 0; i < tensor_count; i++) {
    add_tensor(text, &tensors[i], begin);
    begin += tensors[i].bytes;
  }
  add_text(text, "}");
  while (text->size % 8 && !text->failed) add_text(text, " ");
  if (text->failed) return;
  length = text->size - 8;
  memcpy(text->text, &length, 8);
}

/* -- Saving -- */

static GradcStatus check_pairs(GradcModel *model, const GradcPair *pairs, int count) {
  GradcMessage *message = &model->message;
  if (count < 0 || (count && !pairs)) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no pairs were given");
  for (int i = 0; i < count; i++) {
    const char *key = pairs[i].key, *value = pairs[i].value;
    if (!key || !value) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "pair %d has no key or no value", i);
    if (!gradc_utf8_valid(key, strlen(key)) || !gradc_utf8_valid(value, strlen(value)))
      return gradc_fail(message, GRADC_ERROR_ARGUMENT, "pair %d is not UTF-8", i);
    if (!strncmp(key, "gradc.", 6))
      return gradc_fail(message, GRADC_ERROR_ARGUMENT, "the key \"%s\": those that begin with \"gradc.\" are reserved", key);
    for (int k = 0; k < i; k++)
      if (!strcmp(key, pairs[k].key)) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "the key \"%s\" twice", key);
  }
  return GRADC_OK;
}

/* A file that its own reader would refuse must not be written. */
static GradcStatus check_writable(GradcModel *model, const GradcTensor *tensors, int64_t count, const Text *header) {
  const char *name = model->program->name;
  if (!gradc_utf8_valid(name, strlen(name)))
    return gradc_fail(&model->message, GRADC_ERROR_PROGRAM, "the compiled model is damaged: its name is not UTF-8");
  for (int64_t i = 0; i < count; i++)
    if (!gradc_utf8_valid(tensors[i].name, strlen(tensors[i].name)) || (i && !by_place(&tensors[i - 1], &tensors[i])))
      return gradc_fail(&model->message, GRADC_ERROR_PROGRAM, "the compiled model \"%s\" is damaged: the slot name \"%s\"",
                        name, tensors[i].name);
  if (!isfinite(model->progress.epoch) || model->progress.step < 0)
    return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "the progress has no finite epoch or a negative step");
  if (header->size > GRADC_HEADER_MOST)
    return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "more than %d bytes of metadata", GRADC_HEADER_MOST);
  return GRADC_OK;
}

static GradcStatus write_file(GradcModel *model, const char *path, const Text *header, const GradcTensor *tensors,
                              int64_t count, const GradcWatch *watch) {
  GradcSafeFile *file = malloc(sizeof *file);
  if (!file) return gradc_fail(&model->message, GRADC_ERROR_MEMORY, "cannot write \"%s\": out of memory", path);
  gradc_safefile_open(file, path, watch);
  gradc_safefile_write(file, header->text, header->size);
  for (int64_t i = 0; i < count; i++) gradc_safefile_write(file, tensors[i].data, (size_t)tensors[i].bytes);
  GradcStatus status = gradc_safefile_commit(file, &model->message);
  free(file);
  return status;
}

GradcStatus gradc_save_watched(GradcModel *model, const char *path, const GradcPair *pairs, int count,
                               const GradcWatch *watch) {
  if (!model) return GRADC_ERROR_ARGUMENT;
  if (!path) return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "no path was given");
  GradcStatus status = check_pairs(model, pairs, count);
  if (status) return status;
  int64_t tensor_count;
  Text header = {0};
  GradcTensor *tensors = sorted_tensors(model, &tensor_count);
  if (tensors) build_header(&header, model, tensors, tensor_count, pairs, count);
  if (!tensors || header.failed)
    status = gradc_fail(&model->message, GRADC_ERROR_MEMORY, "cannot write \"%s\": out of memory", path);
  if (!status) status = check_writable(model, tensors, tensor_count, &header);
  if (!status) status = write_file(model, path, &header, tensors, tensor_count, watch);
  free(tensors), free(header.text);
  return status;
}

GradcStatus gradc_save(GradcModel *model, const char *path, const GradcPair *pairs, int count) {
  return gradc_save_watched(model, path, pairs, count, NULL);
}

/* -- Loading -- */

/* Whether the tensor is in the file, and of the model's shape; else a sentence about it. */
static bool same_shape(const GradcSlot *slot, const GradcFile *file, char *to, size_t size) {
  char mine[GRADC_SHAPE_TEXT], theirs[GRADC_SHAPE_TEXT];
  const int64_t at = gradc_file_find(file, slot->name);
  if (at < 0) {
    snprintf(to, size, "it lacks the tensor \"%s\"", slot->name);
    return false;
  }
  const GradcFileTensor tensor = gradc_file_tensor(file, at);
  if (tensor.rank == slot->rank && !memcmp(tensor.dims, slot->dims, (size_t)slot->rank * sizeof *slot->dims)) return true;
  snprintf(to, size, "the tensor \"%s\" is %s in the file, and %s in the model", slot->name,
           gradc_shape_text(theirs, tensor.dims, tensor.rank), gradc_shape_text(mine, slot->dims, slot->rank));
  return false;
}

/* A sentence about the first tensor in which file and model differ; false if none does. */
static bool find_difference(GradcModel *model, const GradcFile *file, char *to, size_t size) {
  char mine[GRADC_SHAPE_TEXT], theirs[GRADC_SHAPE_TEXT];
  const GradcProgram *program = model->program;
  int64_t saved = 0;
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const GradcSlot *slot = &program->slots[i];
    if (!gradc_slot_saved(slot)) continue;
    saved++;
    int64_t at = gradc_file_find(file, slot->name);
    if (at < 0) {
      snprintf(to, size, "it lacks the tensor \"%s\"", slot->name);
      return true;
    }
    GradcFileTensor tensor = gradc_file_tensor(file, at);
    const char *type = gradc_type_name((GradcType)slot->type);
    if (!strcmp(tensor.type, type) && tensor.rank == slot->rank &&
        !memcmp(tensor.dims, slot->dims, (size_t)slot->rank * sizeof *slot->dims))
      continue;
    snprintf(to, size, "the tensor \"%s\" is %s %s in the file, and %s %s in the model", slot->name, tensor.type,
             gradc_shape_text(theirs, tensor.dims, tensor.rank), type, gradc_shape_text(mine, slot->dims, slot->rank));
    return true;
  }
  for (int64_t i = 0; saved < gradc_file_count(file) && i < gradc_file_count(file); i++) {
    GradcFileTensor tensor = gradc_file_tensor(file, i);
    int64_t slot = gradc_find_slot(program, tensor.name);
    if (slot >= 0 && gradc_slot_saved(&program->slots[slot])) continue;
    snprintf(to, size, "its tensor \"%s\" is not in the model", tensor.name);
    return true;
  }
  return false;
}

static GradcStatus check_model(GradcModel *model, const GradcFile *file) {
  char difference[1024], hash[20];
  GradcMessage *message = &model->message;
  const char *path = gradc_file_name(file), *theirs = gradc_file_value(file, "gradc.hash");
  const char *name = gradc_file_value(file, "gradc.model");
  bool differs = find_difference(model, file, difference, sizeof difference);
  if (!theirs || !name)
    return gradc_fail(message, GRADC_ERROR_MISMATCH, "\"%s\" is not a checkpoint of gradc: its metadata lack \"%s\"", path,
                      theirs ? "gradc.model" : "gradc.hash");
  snprintf(hash, sizeof hash, "%016llx", (unsigned long long)model->program->hash);
  if (!strcmp(hash, theirs))
    return differs ? gradc_fail(message, GRADC_ERROR_MISMATCH, "\"%s\" does not fit the model \"%s\": %s", path, name, difference)
                   : GRADC_OK;
  if (!differs) snprintf(difference, sizeof difference, "its inputs or targets are others");
  if (strcmp(name, model->program->name) != 0)
    return gradc_fail(message, GRADC_ERROR_MISMATCH, "\"%s\" is a checkpoint of the model \"%s\", not of \"%s\": %s", path,
                      name, model->program->name, difference);
  return gradc_fail(message, GRADC_ERROR_MISMATCH, "\"%s\" is a checkpoint of another version of the model \"%s\": %s", path,
                    name, difference);
}

static GradcStatus read_progress(GradcModel *model, const GradcFile *file, GradcProgress *progress) {
  const char *step = gradc_file_value(file, "gradc.step"), *seed = gradc_file_value(file, "gradc.seed");
  const char *epoch = gradc_file_value(file, "gradc.epoch"), *wrong = NULL;
  uint64_t number = 0;
  if (!step || !natural_read(step, INT64_MAX, &number)) wrong = "gradc.step";
  progress->step = (int64_t)number;
  if (!seed || !natural_read(seed, UINT64_MAX, &progress->seed)) wrong = "gradc.seed";
  if (!epoch || !number_read(epoch, &progress->epoch)) wrong = "gradc.epoch";
  if (!wrong) return GRADC_OK;
  return gradc_fail(&model->message, GRADC_ERROR_FORMAT, "\"%s\" is damaged: its \"%s\" is not a number",
                    gradc_file_name(file), wrong);
}

GradcStatus gradc_load_file(GradcModel *model, const GradcFile *file) {
  if (!model) return GRADC_ERROR_ARGUMENT;
  if (!file) return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "no file was given");
  GradcProgress progress = model->progress;
  GradcStatus status = check_model(model, file);
  if (!status) status = read_progress(model, file, &progress);
  if (!status) status = gradc_file_check_truths(file, &model->message);
  if (status) return status;
  for (uint32_t i = 0; i < model->program->slot_count; i++) {
    if (!gradc_slot_saved(&model->program->slots[i])) continue;
    GradcFileTensor tensor = gradc_file_tensor(file, gradc_file_find(file, model->program->slots[i].name));
    if (tensor.bytes) memcpy(gradc_slot_data(model, i), tensor.data, (size_t)tensor.bytes);
  }
  model->progress = progress;
  return GRADC_OK;
}

GradcStatus gradc_load(GradcModel *model, const char *path) {
  GradcFile *file;
  if (!model) return GRADC_ERROR_ARGUMENT;
  GradcStatus status = gradc_file_open(path, &file, &model->message);
  if (status) return status;
  status = gradc_load_file(model, file);
  gradc_file_close(file);
  return status;
}

static bool is_weight(const GradcSlot *slot) { return slot->kind == GRADC_SLOT_PARAM || slot->kind == GRADC_SLOT_STATE; }

static GradcStatus load_weights(GradcModel *model, const GradcFile *file) {
  char difference[1024];
  const GradcProgram *program = model->program;
  GradcStatus status = GRADC_OK;
  for (uint32_t i = 0; i < program->slot_count && !status; i++) {
    const GradcSlot *slot = &program->slots[i];
    if (!is_weight(slot)) continue;
    if (!same_shape(slot, file, difference, sizeof difference))
      return gradc_fail(&model->message, GRADC_ERROR_MISMATCH, "\"%s\" does not fit the model \"%s\": %s", gradc_file_name(file),
                        program->name, difference);
    status = gradc_file_readable(file, gradc_file_find(file, slot->name), (GradcType)slot->type, &model->message);
  }
  for (uint32_t i = 0; i < program->slot_count && !status; i++) {
    const GradcSlot *slot = &program->slots[i];
    if (is_weight(slot))
      status = gradc_file_read(file, gradc_file_find(file, slot->name), (GradcType)slot->type, gradc_slot_data(model, i),
                               &model->message);
  }
  return status;
}

GradcStatus gradc_load_weights(GradcModel *model, const char *path) {
  GradcFile *file;
  if (!model) return GRADC_ERROR_ARGUMENT;
  GradcStatus status = gradc_file_open(path, &file, &model->message);
  if (status) return status;
  status = load_weights(model, file);
  gradc_file_close(file);
  return status;
}
