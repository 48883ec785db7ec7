/* npz.c: NumPy's NPZ: a ZIP archive of NPY files. Only what NumPy writes is read: one disk, members stored or deflated. Sizes
 * are believed only after they are checked: against the file, and against the most that deflate can pack. */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "gradc.h"
#include "mem.h"
#include "near.h"
#include "text.h"
#include "vec.h"
#ifdef GRADC_ZLIB
#include <zlib.h>
#endif

enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, MOST_RATIO = 1032 };

typedef struct {
  const unsigned char *name;
  uint32_t name_length, method, crc, packed, size, offset;
} Member;

static uint32_t get16(const unsigned char *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const unsigned char *p) { return get16(p) | get16(p + 2) << 16; }

static bool damaged(Session *s, const Array *array, Span span, const char *why) {
  Diag *d = array_fail(s, array, span, "this NPZ file is damaged: %s", why);
  diag_hint(s, d, "get the file anew, or write it again with `numpy.savez`");
  return false;
}

/* The end record: at the end of the file, before a comment of at most 64 KiB. */
static const unsigned char *find_end(const unsigned char *data, size_t size) {
  for (size_t back = END_SIZE; back <= size && back <= END_SIZE + 65535u; back++) {
    if (get32(data + size - back) == 0x06054b50) return data + size - back;
  }
  return NULL;
}

/* The next member of the directory; false where it leaves the file. */
static bool next_member(const unsigned char **at, const unsigned char *end, Member *m) {
  const unsigned char *p = *at;
  if (end - p < ENTRY_SIZE || get32(p) != 0x02014b50) return false;
  *m = (Member){p + ENTRY_SIZE, get16(p + 28), get16(p + 10), get32(p + 16), get32(p + 20), get32(p + 24), get32(p + 42)};
  const size_t whole = ENTRY_SIZE + (size_t)m->name_length + get16(p + 30) + get16(p + 32);
  if ((size_t)(end - p) < whole) return false;
  *at = p + whole;
  return true;
}

static bool no_member(Session *s, const Array *array, Span span, const char *name, char *const *names, uint32_t count) {
  Text list = {0};
  for (uint32_t i = 0; i < count && i < 12; i++) text_printf(&list, "%s%s", i ? ", " : "", names[i]);
  Diag *d = array_fail(s, array, span, "there is no array `%s`", name);
  diag_note(s, d, (Span){0}, count ? "the arrays are %s%s" : "the file holds no arrays", text_get(&list), count > 12 ? ", ..." : "");
  text_free(&list);
  const char *near = near_find(name, (const char *const *)names, count);
  if (near) diag_hint(s, d, "did you mean `%s`?", near);
  return false;
}

static bool is_named(const Member *m, const char *name) {
  const size_t n = strlen(name);
  if (m->name_length == n) return !memcmp(m->name, name, n);
  return m->name_length == n + 4 && !memcmp(m->name, name, n) && !memcmp(m->name + n, ".npy", 4);
}

typedef struct {
  const unsigned char *at, *end;
  uint32_t count;
} Directory;

static bool open_directory(Session *s, const Array *array, Span span, Directory *d) {
  const unsigned char *data = (const unsigned char *)array->bytes.data, *end = find_end(data, array->bytes.size);
  if (!end) return damaged(s, array, span, "it has no directory");
  const uint32_t offset = get32(end + 16);
  if (offset > (size_t)(end - data)) return damaged(s, array, span, "its directory lies beyond its end");
  *d = (Directory){data + offset, end, get16(end + 10)};
  return true;
}

/* As NumPy shows it: without `.npy`. */
static char *shown_name(Session *s, const Member *m) {
  const bool npy = m->name_length > 4 && !memcmp(m->name + m->name_length - 4, ".npy", 4);
  return arena_text(&s->arena, (const char *)m->name, npy ? m->name_length - 4 : m->name_length);
}

static bool find_member(Session *s, const Array *array, Span span, const char *name, Member *found) {
  Directory d;
  if (!open_directory(s, array, span, &d)) return false;
  Vec(char *) names = {0};
  bool ok = true, there = false;
  for (uint32_t i = 0; i < d.count && ok && !there; i++) {
    Member m = {0};
    ok = next_member(&d.at, d.end, &m);
    if (!ok) break;
    there = is_named(&m, name);
    if (there) *found = m;
    vec_push(&names, shown_name(s, &m));
  }
  if (!ok) damaged(s, array, span, "its directory ends too early");
  else if (!there) ok = no_member(s, array, span, name, names.data, names.count);
  vec_free(&names);
  return ok && there;
}

const char **array_names(Session *s, const char *path, const Bytes *npz, uint32_t *count) {
  const Array array = {.path = path, .bytes = *npz};
  Directory d;
  *count = 0;
  if (!open_directory(s, &array, (Span){0}, &d)) return NULL;
  const char **names = ARENA_ARRAY(&s->arena, const char *, d.count + 1);
  for (; *count < d.count; ++*count) {
    Member m = {0};
    if (!next_member(&d.at, d.end, &m)) {
      damaged(s, &array, (Span){0}, "its directory ends too early");
      return NULL;
    }
    names[*count] = shown_name(s, &m);
  }
  return names;
}

#ifdef GRADC_ZLIB
static bool inflate_member(const unsigned char *from, const Member *m, Bytes *out) {
  z_stream z = {.next_in = (unsigned char *)from, .avail_in = m->packed, .next_out = (unsigned char *)out->data, .avail_out = m->size};
  if (inflateInit2(&z, -15) != Z_OK) return false;
  const int rc = inflate(&z, Z_FINISH);
  inflateEnd(&z);
  return rc == Z_STREAM_END && !z.avail_out;
}
static bool sound(const Bytes *b, uint32_t crc) { return crc32_z(0, (const unsigned char *)b->data, b->size) == crc; }
#else
static bool inflate_member(const unsigned char *from, const Member *m, Bytes *out) { return false; }
static bool sound(const Bytes *b, uint32_t crc) { return true; }
#endif

/* The bytes of a member, to be freed; what is wrong with them is said of `array`, whose bytes are the whole file. */
static bool take_member(Session *s, const Array *array, Span span, const Member *m, Bytes *to) {
  const unsigned char *data = (const unsigned char *)array->bytes.data;
  const size_t size = array->bytes.size;
  if (m->packed == UINT32_MAX || m->size == UINT32_MAX) {
    array_fail(s, array, span, "an array of this NPZ file is larger than 4 GiB; save it as NPY");
    return false;
  }
  if (m->offset > size || size - m->offset < LOCAL_SIZE || get32(data + m->offset) != 0x04034b50)
    return damaged(s, array, span, "an array lies beyond its end");
  const size_t start = (size_t)m->offset + LOCAL_SIZE + get16(data + m->offset + 26) + get16(data + m->offset + 28);
  if (start > size || size - start < m->packed) return damaged(s, array, span, "an array ends beyond its end");
  const bool stored = m->method == 0;
  if ((stored && m->packed != m->size) || (!stored && m->size / MOST_RATIO > m->packed))
    return damaged(s, array, span, "an array cannot unpack to the size that it claims");
  if (!stored && m->method != 8) {
    array_fail(s, array, span, "an array of this NPZ file is packed in a way that NumPy does not use (%u)", m->method);
    return false;
  }
#ifndef GRADC_ZLIB
  if (!stored) {
    Diag *d = array_fail(s, array, span, "this NPZ file is compressed, and this gradc was built without zlib");
    diag_hint(s, d, "write it with `numpy.savez`, which does not compress");
    return false;
  }
#endif
  const int64_t available = gradc_available_memory();
  Bytes out = {.size = m->size};
  out.data = available >= 0 && (int64_t)m->size > available ? NULL : malloc((size_t)m->size + 1);
  if (!out.data) {
    array_fail(s, array, span, "an array of %u bytes is larger than the memory that is free", m->size);
    return false;
  }
  out.data[m->size] = 0;
  if (stored) memcpy(out.data, data + start, m->size);
  const bool whole = (stored || inflate_member(data + start, m, &out)) && sound(&out, m->crc);
  *to = out;
  return whole || damaged(s, array, span, "an array's bytes do not match their checksum");
}

bool array_unpack(Session *s, Array *array, const char *name, Span span) {
  Member m = {0};
  Bytes bytes = {0};
  const bool ok = find_member(s, array, span, name, &m) && take_member(s, array, span, &m, &bytes);
  bytes_free(&array->bytes);
  array->bytes = bytes;
  return ok;
}

Array *array_member(Session *s, const char *path, const Bytes *npz, const char *name) {
  const Array whole = {.path = path, .bytes = *npz};
  Array *array = mem_zero(1, sizeof *array);
  Member m = {0};
  *array = (Array){.path = arena_text(&s->arena, path, strlen(path))};
  bool ok = find_member(s, &whole, (Span){0}, name, &m) && take_member(s, &whole, (Span){0}, &m, &array->bytes);
  if (ok && (array->bytes.size < 6 || memcmp(array->bytes.data, "\x93NUMPY", 6))) ok = damaged(s, &whole, (Span){0}, "a member is no array");
  if (ok && array_parse_npy(s, array, (Span){0})) return array;
  array_free(array);
  return NULL;
}
