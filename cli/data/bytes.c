/* bytes.c: see bytes.h. A gzipped file may be several members in a row; what it unpacks to is bounded by the memory
 * that the machine has, so that a small file that unpacks to a huge one is a message and not a crash. */
#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gradc.h"
#include "mem.h"
#ifdef GRADC_ZLIB
#include <zlib.h>
#endif

static Diag *unreadable(Session *s, const char *path, Span span, const char *why) {
  return diag_error(s, "data-unreadable", span, "cannot read `%s`: %s", path, why);
}

static bool too_large(Session *s, const char *path, Span span) {
  Diag *d = diag_error(s, "data-too-large", span, "`%s` is larger than the memory that is free", path);
  diag_hint(s, d, "train on a part of it, or on a machine with more memory");
  return false;
}

/* Room for `size` bytes and a NUL, or false where the machine has not that much. */
static bool grow(Bytes *bytes, size_t size) {
  const int64_t available = gradc_available_memory();
  if (available >= 0 && (int64_t)size - (int64_t)bytes->size > available) return false;
  char *data = realloc(bytes->data, size + 1);
  if (!data) return false;
  bytes->data = data;
  return true;
}

static bool read_all(Session *s, int fd, const char *path, Span span, size_t expected, Bytes *bytes) {
  size_t capacity = expected + 1 > 4096 ? expected + 1 : 4096;
  if (!grow(bytes, capacity)) return too_large(s, path, span);
  for (;;) {
    const ssize_t n = read(fd, bytes->data + bytes->size, capacity - bytes->size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      unreadable(s, path, span, strerror(errno));
      return false;
    }
    if (n == 0) break;
    bytes->size += (size_t)n;
    if (bytes->size < capacity) continue;
    capacity += capacity / 2;
    if (!grow(bytes, capacity)) return too_large(s, path, span);
  }
  bytes->data[bytes->size] = 0;
  return true;
}

static bool is_gzip(const Bytes *b) {
  return b->size >= 2 && (unsigned char)b->data[0] == 0x1f && (unsigned char)b->data[1] == 0x8b;
}

#ifdef GRADC_ZLIB
static bool damaged(Session *s, const char *path, Span span, const char *why) {
  Diag *d = diag_error(s, "data-gzip", span, "`%s` is a damaged gzip file: %s", path, why);
  diag_hint(s, d, "`gzip -t %s` tests it; get the file anew", path);
  return false;
}

/* One call of inflate, with more room where it is full. False after a diagnostic. */
static bool inflate_some(Session *s, const char *path, Span span, z_stream *z, Bytes *out, size_t *capacity, int *rc) {
  if (out->size == *capacity) {
    const size_t more = *capacity ? *capacity + *capacity / 2 : 1 << 16;
    if (!grow(out, more)) return too_large(s, path, span);
    *capacity = more;
  }
  const size_t room = *capacity - out->size < 1u << 30 ? *capacity - out->size : 1u << 30;
  z->next_out = (unsigned char *)out->data + out->size;
  z->avail_out = (unsigned)room;
  *rc = inflate(z, Z_NO_FLUSH);
  out->size += room - z->avail_out;
  if (*rc == Z_MEM_ERROR) return too_large(s, path, span);
  if (*rc == Z_BUF_ERROR && z->avail_out == 0) *rc = Z_OK;
  if (*rc == Z_BUF_ERROR) return damaged(s, path, span, "it ends too early");
  if (*rc != Z_OK && *rc != Z_STREAM_END) return damaged(s, path, span, z->msg ? z->msg : "its data makes no sense");
  return true;
}

static bool gunzip(Session *s, const char *path, Span span, const Bytes *in, Bytes *out) {
  z_stream z = {0};
  if (inflateInit2(&z, 15 + 16) != Z_OK) return too_large(s, path, span);
  size_t capacity = 0, at = 0;
  bool ok = true, more = true;
  while (ok && more) {
    const size_t part = in->size - at < 1u << 30 ? in->size - at : 1u << 30;
    z.next_in = (unsigned char *)in->data + at;
    z.avail_in = (unsigned)part;
    int rc = Z_OK;
    ok = inflate_some(s, path, span, &z, out, &capacity, &rc);
    at += part - z.avail_in;
    if (!ok || rc != Z_STREAM_END) continue;
    const Bytes rest = {in->data + at, in->size - at};
    more = is_gzip(&rest); /* gzip's own rule: what follows is another member or is ignored */
    if (more) inflateReset(&z);
  }
  inflateEnd(&z);
  if (ok && !grow(out, out->size)) ok = too_large(s, path, span);
  if (ok) out->data[out->size] = 0;
  return ok;
}
#else
static bool gunzip(Session *s, const char *path, Span span, const Bytes *in, Bytes *out) {
  Diag *d = diag_error(s, "data-gzip", span, "`%s` is gzipped, and this gradc was built without zlib", path);
  diag_hint(s, d, "unpack it (`gunzip %s`), or build gradc where zlib1g-dev is installed", path);
  return false;
}
#endif

bool bytes_unpack(Session *s, const char *path, Span span, Bytes *bytes) {
  if (!is_gzip(bytes)) return true;
  Bytes plain = {0};
  const bool ok = gunzip(s, path, span, bytes, &plain);
  bytes_free(bytes);
  *bytes = plain;
  return ok;
}

bool bytes_read(Session *s, const char *path, Span span, Bytes *bytes) {
  *bytes = (Bytes){0};
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int why = errno;
    Diag *d = unreadable(s, path, span, strerror(why));
    if (why == ENOENT && !span_is_none(span)) diag_hint(s, d, "paths in a `.nn` file start at its folder; `--data FILE` names another file");
    return false;
  }
  struct stat st;
  bool ok = !fstat(fd, &st);
  if (!ok) {
    unreadable(s, path, span, strerror(errno));
  } else if (S_ISDIR(st.st_mode)) {
    unreadable(s, path, span, "it is a folder");
    ok = false;
  } else {
    ok = read_all(s, fd, path, span, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, bytes);
  }
  close(fd);
  ok = ok && bytes_unpack(s, path, span, bytes);
  if (!ok) bytes_free(bytes);
  return ok;
}

void bytes_free(Bytes *bytes) {
  free(bytes->data);
  *bytes = (Bytes){0};
}
