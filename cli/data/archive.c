/* archive.c: see archive.h. Arrays of an NPZ are stored, not packed: numbers of trained parameters do not compress. */
#include "archive.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "mem.h"
#include "safefile.h"
#include "safetensors.h"
#include "status.h"
#include "text.h"
#include "vec.h"
#ifdef GRADC_ZLIB
#include <zlib.h>
#endif

static bool ends_with(const char *path, const char *end) {
  const size_t n = strlen(path), m = strlen(end);
  return n > m && !strcmp(path + n - m, end);
}

bool archive_is_npz(const char *path) { return ends_with(path, ".npz"); }
bool archive_is(const char *path) { return archive_is_npz(path) || ends_with(path, ".safetensors"); }

static int64_t array_bytes(const NamedArray *a) {
  static const int64_t sizes[] = {[GRADC_F32] = 4, [GRADC_F64] = 8, [GRADC_I32] = 4, [GRADC_BOOL] = 1};
  int64_t bytes = sizes[a->type];
  for (int32_t i = 0; i < a->rank; i++) bytes *= a->dims[i];
  return bytes;
}

/* ---- safetensors ---- */

static void add_string(Text *out, const char *text) {
  text_add(out, "\"");
  for (const char *p = text; *p; p++) {
    if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\') text_printf(out, "\\u%04x", (unsigned char)*p);
    else text_add_bytes(out, p, 1);
  }
  text_add(out, "\"");
}

/* Length and header, and in `order` how the data follow: the largest elements first, so that all lie on their own size. */
static void safetensors_header(const NamedArray *arrays, uint32_t count, uint32_t *order, Text *out) {
  static const GradcType by_size[] = {GRADC_F64, GRADC_F32, GRADC_I32, GRADC_BOOL};
  static const char *const names[] = {[GRADC_F32] = "F32", [GRADC_F64] = "F64", [GRADC_I32] = "I32", [GRADC_BOOL] = "BOOL"};
  Text json = {0};
  int64_t begin = 0;
  uint32_t n = 0;
  text_add(&json, "{");
  for (int k = 0; k < 4; k++) {
    for (uint32_t i = 0; i < count; i++) {
      const NamedArray *a = &arrays[i];
      if (a->type != by_size[k]) continue;
      if (n) text_add(&json, ",");
      add_string(&json, a->name);
      text_printf(&json, ":{\"dtype\":\"%s\",\"shape\":[", names[a->type]);
      for (int32_t d = 0; d < a->rank; d++) text_printf(&json, "%s%lld", d ? "," : "", (long long)a->dims[d]);
      text_printf(&json, "],\"data_offsets\":[%lld,%lld]}", (long long)begin, (long long)(begin + array_bytes(a)));
      begin += array_bytes(a);
      order[n++] = i;
    }
  }
  text_add(&json, "}");
  while (json.length % 8) text_add(&json, " ");
  const uint64_t length = json.length;
  text_add_bytes(out, (const char *)&length, sizeof length);
  text_add_bytes(out, json.data, json.length);
  text_free(&json);
}

static void write_safetensors(GradcSafeFile *file, const NamedArray *arrays, uint32_t count) {
  Text header = {0};
  uint32_t *order = mem_zero(count + 1, sizeof *order);
  safetensors_header(arrays, count, order, &header);
  gradc_safefile_write(file, header.data, header.length);
  for (uint32_t i = 0; i < count; i++) gradc_safefile_write(file, arrays[order[i]].data, (size_t)array_bytes(&arrays[order[i]]));
  free(order);
  text_free(&header);
}

/* ---- NPZ ---- */

#ifdef GRADC_ZLIB
static uint32_t crc_add(uint32_t crc, const void *bytes, size_t size) { return (uint32_t)crc32_z(crc, bytes, size); }
#else
/* The remainder by the polynomial 0xedb88320 (bits reflected), half a byte at a time. */
static uint32_t crc_add(uint32_t crc, const void *bytes, size_t size) {
  static const uint32_t rest[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  crc = ~crc;
  for (const unsigned char *p = bytes; size--; p++) {
    crc = crc >> 4 ^ rest[(crc ^ *p) & 15];
    crc = crc >> 4 ^ rest[(crc ^ *p >> 4) & 15];
  }
  return ~crc;
}
#endif

/* NumPy's header: its length, with what stands before it, is a multiple of 64. */
static void npy_header(const NamedArray *a, Text *out) {
  static const char *const codes[] = {[GRADC_F32] = "<f4", [GRADC_F64] = "<f8", [GRADC_I32] = "<i4", [GRADC_BOOL] = "|b1"};
  Text dict = {0};
  text_printf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", codes[a->type]);
  for (int32_t d = 0; d < a->rank; d++) text_printf(&dict, "%s%lld", d ? ", " : "", (long long)a->dims[d]);
  text_add(&dict, a->rank == 1 ? ",), }" : "), }");
  while ((10 + dict.length + 1) % 64) text_add(&dict, " ");
  text_add(&dict, "\n");
  const char length[2] = {(char)(dict.length & 255), (char)(dict.length >> 8)};
  text_add_bytes(out, "\x93NUMPY\1", 7);
  text_add_bytes(out, "", 1);
  text_add_bytes(out, length, 2);
  text_add_bytes(out, dict.data, dict.length);
  text_free(&dict);
}

static void put(Text *out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++) {
    const char byte = (char)(value >> 8 * i & 255);
    text_add_bytes(out, &byte, 1);
  }
}

typedef struct {
  Text npy;        /* its header */
  uint32_t crc, size, offset, name_length;
} Member;

/* What a member's two headers share, from the version that is needed to the length of the name. */
static void put_facts(Text *out, const NamedArray *a, const Member *m) {
  uint32_t flags = 0;
  for (const char *p = a->name; *p; p++) flags |= (unsigned char)*p > 127 ? 0x800u : 0; /* the name is UTF-8 */
  put(out, 20, 2), put(out, flags, 2), put(out, 0, 2); /* stored */
  put(out, 0, 2), put(out, 0x21, 2);                   /* 1980-01-01: the same arrays give the same bytes */
  put(out, m->crc, 4), put(out, m->size, 4), put(out, m->size, 4), put(out, m->name_length, 2), put(out, 0, 2);
}

static void put_name(Text *out, const NamedArray *a) { text_add(out, a->name), text_add(out, ".npy"); }

/* Sizes and checksums; false where they leave 32 bits. */
static bool measure(const NamedArray *arrays, uint32_t count, Member *members) {
  int64_t at = 0;
  for (uint32_t i = 0; i < count; i++) {
    Member *m = &members[i];
    npy_header(&arrays[i], &m->npy);
    const int64_t bytes = array_bytes(&arrays[i]), size = bytes + (int64_t)m->npy.length;
    m->name_length = (uint32_t)strlen(arrays[i].name) + 4;
    m->offset = (uint32_t)at, m->size = (uint32_t)size;
    at += 30 + m->name_length + size;
    if (at > (int64_t)UINT32_MAX - (1 << 20) || count >= UINT16_MAX || m->name_length > UINT16_MAX) return false;
    m->crc = crc_add(crc_add(0, m->npy.data, m->npy.length), arrays[i].data, (size_t)bytes);
  }
  return true;
}

static void write_npz(GradcSafeFile *file, const NamedArray *arrays, uint32_t count, const Member *members) {
  Text directory = {0};
  uint32_t end = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Member *m = &members[i];
    Text local = {0};
    text_add(&local, "PK\3\4");
    put_facts(&local, &arrays[i], m);
    put_name(&local, &arrays[i]);
    text_add_bytes(&local, m->npy.data, m->npy.length);
    gradc_safefile_write(file, local.data, local.length);
    gradc_safefile_write(file, arrays[i].data, (size_t)array_bytes(&arrays[i]));
    end = m->offset + 30 + m->name_length + m->size;
    text_free(&local);
    text_add(&directory, "PK\1\2");
    put(&directory, 20, 2);
    put_facts(&directory, &arrays[i], m);
    put(&directory, 0, 2), put(&directory, 0, 2), put(&directory, 0, 2), put(&directory, 0, 4), put(&directory, m->offset, 4);
    put_name(&directory, &arrays[i]);
  }
  const uint32_t length = (uint32_t)directory.length;
  text_add(&directory, "PK\5\6");
  put(&directory, 0, 4), put(&directory, count, 2), put(&directory, count, 2);
  put(&directory, length, 4), put(&directory, end, 4), put(&directory, 0, 2);
  gradc_safefile_write(file, directory.data, directory.length);
  text_free(&directory);
}

GradcStatus archive_write(const char *path, const NamedArray *arrays, uint32_t count, GradcMessage *message) {
  const bool npz = archive_is_npz(path);
  Member *members = mem_zero(count + 1, sizeof *members);
  GradcStatus status = GRADC_OK;
  if (npz && !measure(arrays, count, members)) {
    status = gradc_fail(message, GRADC_ERROR_ARGUMENT, "cannot write \"%s\": an NPZ file has at most 4 GiB; name a .safetensors file", path);
  } else {
    GradcSafeFile *file = mem_alloc(sizeof *file);
    gradc_safefile_open(file, path, NULL);
    if (npz) write_npz(file, arrays, count, members);
    else write_safetensors(file, arrays, count);
    status = gradc_safefile_commit(file, message);
    free(file);
  }
  for (uint32_t i = 0; i < count; i++) text_free(&members[i].npy);
  free(members);
  return status;
}

/* ---- reading an NPZ ---- */

static bool is_whole(double x) { return x >= INT32_MIN && x <= INT32_MAX && x == (double)(int32_t)x; }

static GradcType type_for(const Array *array, const double *values, int64_t count) {
  if (array->type == ARRAY_F32) return GRADC_F32;
  if (array->type == ARRAY_F64) return GRADC_F64;
  if (array->type == ARRAY_BOOL) return GRADC_BOOL;
  for (int64_t i = 0; i < count; i++)
    if (!is_whole(values[i])) return GRADC_F64;
  return GRADC_I32;
}

/* The elements in C order and in one of our types, to be freed with `data`. */
static NamedArray take_array(const Array *array, const char *name) {
  NamedArray out = {.name = name, .rank = array->scalar ? 0 : (int32_t)array->rank};
  memcpy(out.dims, array->dims, array->rank * sizeof *array->dims);
  const int64_t rows = array->dims[0], count = rows * array->row;
  double *values = mem_alloc((size_t)count * sizeof *values);
  for (int64_t r = 0; r < rows; r++) array_row(array, r, values + r * array->row);
  out.type = type_for(array, values, count);
  for (int64_t i = 0; i < count; i++) { /* in place: no type is wider than a double */
    const double x = values[i];
    if (out.type == GRADC_F32) ((float *)(void *)values)[i] = (float)x;
    else if (out.type == GRADC_I32) ((int32_t *)(void *)values)[i] = (int32_t)x;
    else if (out.type == GRADC_BOOL) ((uint8_t *)(void *)values)[i] = x != 0;
  }
  out.data = values;
  return out;
}

static GradcFile *as_file(Session *s, const char *path, const NamedArray *arrays, uint32_t count) {
  uint32_t *order = mem_zero(count + 1, sizeof *order);
  Text header = {0};
  safetensors_header(arrays, count, order, &header);
  size_t size = header.length;
  for (uint32_t i = 0; i < count; i++) size += (size_t)array_bytes(&arrays[i]);
  char *bytes = mem_alloc(size), *at = bytes + header.length;
  memcpy(bytes, header.data, header.length);
  for (uint32_t i = 0; i < count; i++) {
    const size_t n = (size_t)array_bytes(&arrays[order[i]]);
    memcpy(at, arrays[order[i]].data, n);
    at += n;
  }
  free(order);
  text_free(&header);
  GradcFile *file = NULL;
  GradcMessage message;
  if (gradc_file_parse(bytes, (int64_t)size, path, &file, &message)) diag_error(s, "data-array", (Span){0}, "%s", message.text);
  return file;
}

GradcFile *archive_read_npz(Session *s, const char *path) {
  Bytes bytes = {0};
  if (!bytes_read(s, path, (Span){0}, &bytes)) return NULL;
  uint32_t count = 0;
  const char **names = array_names(s, path, &bytes, &count);
  Vec(NamedArray) arrays = {0};
  bool ok = names != NULL;
  for (uint32_t i = 0; i < count && ok; i++) {
    Array *array = array_member(s, path, &bytes, names[i]);
    ok = array != NULL;
    if (ok) vec_push(&arrays, take_array(array, names[i]));
    array_free(array);
  }
  bytes_free(&bytes);
  GradcFile *file = ok ? as_file(s, path, arrays.data, arrays.count) : NULL;
  for (uint32_t i = 0; i < arrays.count; i++) free((void *)arrays.data[i].data);
  vec_free(&arrays);
  return file;
}
