/* safetensors.c: the strict reader. Whatever is not a well-formed file is refused with a sentence that says why. */
#define _GNU_SOURCE
#include "safetensors.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "json.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little endian"
#endif

typedef struct {
  const char *name, *type;
  int64_t dims[GRADC_MAX_RANK], count, begin, end;
  int rank;
} Tensor;

struct GradcFile {
  char *name;
  char *bytes; /* the file; its header has become strings */
  const char *data;
  int64_t data_bytes;
  Tensor *tensors;
  int64_t tensor_count, tensor_room;
  GradcPair *pairs;
  int64_t pair_count, pair_room;
};

/* What the parts of the reader share. */
typedef struct {
  GradcFile *file;
  GradcJson json;
  GradcMessage *message;
} Reader;

int64_t gradc_file_type_bytes(const char *type) {
  static const struct { char name[8], bytes; } types[] = {
      {"F32", 4}, {"F64", 8}, {"I32", 4}, {"BOOL", 1}, {"F16", 2}, {"BF16", 2},    {"I64", 8},    {"U8", 1},
      {"I8", 1},  {"I16", 2}, {"U16", 2}, {"U32", 4},  {"U64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(types[i].name, type)) return types[i].bytes;
  return 0;
}

static GradcStatus refuse(const Reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static GradcStatus refuse(const Reader *reader, const char *format, ...) {
  char reason[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(reason, sizeof reason, format, args);
  va_end(args);
  return gradc_fail(reader->message, GRADC_ERROR_FORMAT, "\"%s\" is not a valid safetensors file: %s", reader->file->name,
                    reason);
}

static GradcStatus refuse_json(const Reader *reader) {
  return refuse(reader, "its header is not the JSON that it should be: at byte %lld, %s",
                (long long)(reader->json.at - reader->json.start), reader->json.problem);
}

static GradcStatus no_memory(const Reader *reader) {
  return gradc_fail(reader->message, GRADC_ERROR_MEMORY, "\"%s\": out of memory while reading", reader->file->name);
}

/* Room for one more element; false if there is none. */
static bool grow(void **array, int64_t count, int64_t *room, size_t size) {
  if (count < *room) return true;
  int64_t more = *room ? *room * 2 : 8;
  void *larger = realloc(*array, (size_t)more * size);
  if (!larger) return false;
  *array = larger;
  *room = more;
  return true;
}

/* -- The header -- */

static GradcStatus read_metadata(Reader *reader) {
  GradcFile *file = reader->file;
  GradcJson *json = &reader->json;
  bool first = true;
  gradc_json_expect(json, '{');
  while (gradc_json_next(json, '}', &first)) {
    if (!grow((void **)&file->pairs, file->pair_count, &file->pair_room, sizeof *file->pairs)) return no_memory(reader);
    const char *key = gradc_json_string(json);
    gradc_json_expect(json, ':');
    const char *value = gradc_json_string(json);
    if (value) file->pairs[file->pair_count++] = (GradcPair){key, value};
  }
  return json->problem ? refuse_json(reader) : GRADC_OK;
}

static GradcStatus read_shape(Reader *reader, Tensor *tensor) {
  bool first = true;
  gradc_json_expect(&reader->json, '[');
  while (gradc_json_next(&reader->json, ']', &first)) {
    int64_t extent = 0;
    if (!gradc_json_natural(&reader->json, &extent)) break;
    if (tensor->rank == GRADC_MAX_RANK)
      return refuse(reader, "tensor \"%s\" has more than %d dimensions", tensor->name, GRADC_MAX_RANK);
    tensor->dims[tensor->rank++] = extent;
  }
  return reader->json.problem ? refuse_json(reader) : GRADC_OK;
}

static GradcStatus read_offsets(Reader *reader, Tensor *tensor) {
  GradcJson *json = &reader->json;
  gradc_json_expect(json, '[');
  gradc_json_natural(json, &tensor->begin);
  gradc_json_expect(json, ',');
  gradc_json_natural(json, &tensor->end);
  gradc_json_expect(json, ']');
  return json->problem ? refuse_json(reader) : GRADC_OK;
}

/* The sizes that a tensor states against each other and against the buffer. */
static GradcStatus check_tensor(Reader *reader, Tensor *tensor) {
  int64_t bytes = gradc_file_type_bytes(tensor->type), count = 1;
  if (!bytes) return refuse(reader, "tensor \"%s\" has the unknown type \"%s\"", tensor->name, tensor->type);
  bool over = false;
  for (int i = 0; i < tensor->rank; i++) over |= __builtin_mul_overflow(count, tensor->dims[i], &count);
  if (over || __builtin_mul_overflow(count, bytes, &bytes))
    return refuse(reader, "the size of tensor \"%s\" is more than 2^63 - 1", tensor->name);
  if (tensor->begin > tensor->end || tensor->end > reader->file->data_bytes)
    return refuse(reader, "tensor \"%s\" has the offsets %lld to %lld in a buffer of %lld bytes", tensor->name,
                  (long long)tensor->begin, (long long)tensor->end, (long long)reader->file->data_bytes);
  if (tensor->end - tensor->begin != bytes)
    return refuse(reader, "tensor \"%s\" takes %lld bytes by its shape, and %lld by its offsets", tensor->name,
                  (long long)bytes, (long long)(tensor->end - tensor->begin));
  tensor->count = count;
  return GRADC_OK;
}

static GradcStatus read_tensor(Reader *reader, const char *name) {
  enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
  GradcFile *file = reader->file;
  GradcJson *json = &reader->json;
  Tensor tensor = {.name = name};
  int seen = 0;
  bool first = true;
  gradc_json_expect(json, '{');
  while (gradc_json_next(json, '}', &first)) {
    const char *key = gradc_json_string(json);
    if (!gradc_json_expect(json, ':') || !key) break;
    int part = !strcmp(key, "dtype") ? DTYPE : !strcmp(key, "shape") ? SHAPE : !strcmp(key, "data_offsets") ? OFFSETS : 0;
    if (!part) return refuse(reader, "tensor \"%s\" has the unknown key \"%s\"", name, key);
    if (seen & part) return refuse(reader, "tensor \"%s\" has the key \"%s\" twice", name, key);
    seen |= part;
    GradcStatus status = GRADC_OK;
    if (part == DTYPE) tensor.type = gradc_json_string(json);
    else status = part == SHAPE ? read_shape(reader, &tensor) : read_offsets(reader, &tensor);
    if (status) return status;
  }
  if (json->problem) return refuse_json(reader);
  if (seen != (DTYPE | SHAPE | OFFSETS))
    return refuse(reader, "tensor \"%s\" lacks \"%s\"", name,
                  !(seen & DTYPE) ? "dtype" : !(seen & SHAPE) ? "shape" : "data_offsets");
  GradcStatus status = check_tensor(reader, &tensor);
  if (status) return status;
  if (!grow((void **)&file->tensors, file->tensor_count, &file->tensor_room, sizeof tensor)) return no_memory(reader);
  file->tensors[file->tensor_count++] = tensor;
  return GRADC_OK;
}

static GradcStatus read_header(Reader *reader) {
  GradcJson *json = &reader->json;
  bool first = true, metadata = false;
  gradc_json_expect(json, '{');
  while (gradc_json_next(json, '}', &first)) {
    const char *name = gradc_json_string(json);
    if (!gradc_json_expect(json, ':') || !name) break;
    GradcStatus status;
    if (strcmp(name, "__metadata__") != 0) status = read_tensor(reader, name);
    else if (metadata) status = refuse(reader, "the key \"__metadata__\" stands twice in its header");
    else status = read_metadata(reader), metadata = true;
    if (status) return status;
  }
  return gradc_json_end(json) ? GRADC_OK : refuse_json(reader);
}

/* -- The whole -- */

static int by_begin(const void *a, const void *b) {
  const Tensor *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b) { return strcmp(((const Tensor *)a)->name, ((const Tensor *)b)->name); }

static int by_key(const void *a, const void *b) { return strcmp(((const GradcPair *)a)->key, ((const GradcPair *)b)->key); }

/* Every byte of the buffer belongs to exactly one tensor. */
static GradcStatus check_cover(Reader *reader) {
  GradcFile *file = reader->file;
  int64_t at = 0;
  if (file->tensor_count) qsort(file->tensors, (size_t)file->tensor_count, sizeof *file->tensors, by_begin);
  for (int64_t i = 0; i < file->tensor_count; i++) {
    const Tensor *tensor = &file->tensors[i];
    if (tensor->begin > at)
      return refuse(reader, "bytes %lld to %lld of its buffer belong to no tensor", (long long)at, (long long)tensor->begin);
    if (tensor->begin < at)
      return refuse(reader, "tensor \"%s\" lies on another one at byte %lld of the buffer", tensor->name,
                    (long long)tensor->begin);
    at = tensor->end;
  }
  if (at == file->data_bytes) return GRADC_OK;
  return refuse(reader, "bytes %lld to %lld of its buffer belong to no tensor", (long long)at, (long long)file->data_bytes);
}

static GradcStatus check_names(Reader *reader) {
  GradcFile *file = reader->file;
  if (file->tensor_count) qsort(file->tensors, (size_t)file->tensor_count, sizeof *file->tensors, by_name);
  if (file->pair_count) qsort(file->pairs, (size_t)file->pair_count, sizeof *file->pairs, by_key);
  for (int64_t i = 1; i < file->tensor_count; i++)
    if (!by_name(&file->tensors[i - 1], &file->tensors[i]))
      return refuse(reader, "tensor \"%s\" stands twice in its header", file->tensors[i].name);
  for (int64_t i = 1; i < file->pair_count; i++)
    if (!by_key(&file->pairs[i - 1], &file->pairs[i]))
      return refuse(reader, "the key \"%s\" stands twice in its metadata", file->pairs[i].key);
  return GRADC_OK;
}

static GradcStatus parse(Reader *reader, int64_t size) {
  GradcFile *file = reader->file;
  if (size < 8) return refuse(reader, "it has %lld bytes, and begins with a length of 8", (long long)size);
  uint64_t length;
  memcpy(&length, file->bytes, 8);
  if (length > GRADC_HEADER_MOST)
    return refuse(reader, "its header would have %llu bytes, and may have %d", (unsigned long long)length, GRADC_HEADER_MOST);
  if (length > (uint64_t)size - 8)
    return refuse(reader, "its header would have %llu bytes, and the file ends after %lld", (unsigned long long)length,
                  (long long)size - 8);
  char *header = file->bytes + 8;
  if (!gradc_utf8_valid(header, length)) return refuse(reader, "its header is not UTF-8");
  if (!length || *header != '{') return refuse(reader, "its header does not begin with \"{\"");
  file->data = header + length;
  file->data_bytes = size - 8 - (int64_t)length;
  reader->json = gradc_json(header, length);
  GradcStatus status = read_header(reader);
  if (!status) status = check_cover(reader);
  return status ? status : check_names(reader);
}

GradcStatus gradc_file_parse(void *bytes, int64_t size, const char *name, GradcFile **file, GradcMessage *message) {
  const size_t length = strlen(name) + 1;
  *file = malloc(sizeof **file);
  if (*file) **file = (GradcFile){0};
  if (*file && ((*file)->name = malloc(length))) memcpy((*file)->name, name, length);
  if (!*file || !(*file)->name) {
    free(bytes), free(*file);
    *file = NULL;
    return gradc_fail(message, GRADC_ERROR_MEMORY, "\"%s\": out of memory while reading", name);
  }
  (*file)->bytes = bytes;
  Reader reader = {.file = *file, .message = message};
  GradcStatus status = parse(&reader, size);
  if (status) {
    gradc_file_close(*file);
    *file = NULL;
  }
  return status;
}

/* -- Files -- */

static GradcStatus file_error(GradcMessage *message, const char *path, int error) {
  return gradc_fail(message, GRADC_ERROR_FILE, "cannot read \"%s\": %s", path, strerror(error));
}

/* Reads a whole regular file into *bytes, which the caller frees. */
static GradcStatus read_all(const char *path, char **bytes, int64_t *size, GradcMessage *message) {
  struct stat info;
  *bytes = NULL, *size = 0;
  int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait for the other end of a pipe */
  if (fd < 0) return file_error(message, path, errno);
  GradcStatus status = GRADC_OK;
  int64_t got = 0;
  if (fstat(fd, &info)) {
    status = file_error(message, path, errno);
  } else if (!S_ISREG(info.st_mode)) {
    status = gradc_fail(message, GRADC_ERROR_FILE, "cannot read \"%s\": it is %s", path,
                        S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
  } else if (!(*bytes = malloc(info.st_size ? (size_t)info.st_size : 1))) {
    char text[GRADC_SIZE_TEXT];
    status = gradc_fail(message, GRADC_ERROR_MEMORY, "cannot read \"%s\": no memory for its %s", path,
                        gradc_size_text(text, info.st_size));
  }
  while (!status && got < info.st_size) {
    ssize_t part = read(fd, *bytes + got, (size_t)(info.st_size - got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) status = file_error(message, path, errno);
    if (part <= 0) break; /* it has become shorter: the format's own checks see it */
    got += part;
  }
  close(fd);
  *size = got;
  if (status) free(*bytes);
  return status;
}

GradcStatus gradc_file_open(const char *path, GradcFile **file, GradcMessage *message) {
  char *bytes;
  int64_t size;
  if (!file) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no place for the file was given");
  *file = NULL;
  if (!path) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no path was given");
  GradcStatus status = read_all(path, &bytes, &size, message);
  return status ? status : gradc_file_parse(bytes, size, path, file, message);
}

void gradc_file_close(GradcFile *file) {
  if (!file) return;
  free(file->name), free(file->bytes), free(file->tensors), free(file->pairs);
  free(file);
}

const char *gradc_file_name(const GradcFile *file) { return file->name; }

int64_t gradc_file_count(const GradcFile *file) { return file ? file->tensor_count : 0; }

GradcFileTensor gradc_file_tensor(const GradcFile *file, int64_t index) {
  GradcFileTensor out = {0};
  if (index < 0 || index >= gradc_file_count(file)) return out;
  const Tensor *tensor = &file->tensors[index];
  out = (GradcFileTensor){.name = tensor->name, .type = tensor->type, .rank = tensor->rank, .count = tensor->count};
  memcpy(out.dims, tensor->dims, sizeof out.dims);
  out.bytes = tensor->end - tensor->begin;
  out.data = file->data + tensor->begin;
  return out;
}

int64_t gradc_file_find(const GradcFile *file, const char *name) {
  Tensor wanted = {.name = name};
  if (!gradc_file_count(file) || !name) return -1;
  const Tensor *found = bsearch(&wanted, file->tensors, (size_t)file->tensor_count, sizeof wanted, by_name);
  return found ? found - file->tensors : -1;
}

int64_t gradc_file_pair_count(const GradcFile *file) { return file ? file->pair_count : 0; }

GradcPair gradc_file_pair(const GradcFile *file, int64_t index) {
  return index >= 0 && index < gradc_file_pair_count(file) ? file->pairs[index] : (GradcPair){0};
}

const char *gradc_file_value(const GradcFile *file, const char *key) {
  GradcPair wanted = {key, NULL};
  if (!gradc_file_pair_count(file) || !key) return NULL;
  const GradcPair *found = bsearch(&wanted, file->pairs, (size_t)file->pair_count, sizeof wanted, by_key);
  return found ? found->value : NULL;
}
