/* characters.c: a text as numbers of its vocabulary, cut into windows that do not overlap. All inputs and targets of the
 * block look into one array of characters; what differs is where their windows begin. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"

/* The UTF-8 character at p, its length in *n; UINT32_MAX where the bytes are none. */
static uint32_t character(const unsigned char *p, const unsigned char *end, int *n) {
  *n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
  if (!*n || end - p < *n) return UINT32_MAX;
  uint32_t c = *n == 1 ? *p : *p & (0x7fu >> *n);
  for (int i = 1; i < *n; i++) {
    if ((p[i] & 0xc0) != 0x80) return UINT32_MAX;
    c = c << 6 | (p[i] & 0x3f);
  }
  return c;
}

static uint32_t line_of(const char *text, const char *at) {
  uint32_t line = 1;
  for (const char *p = text; p < at; p++) line += *p == '\n';
  return line;
}

/* The text's characters as code points, in place of `tokens`. */
static bool decode(Block *b, int part, const Bytes *bytes) {
  DataSource *source = &b->sources[part];
  source->tokens = mem_alloc((bytes->size + 1) * sizeof *source->tokens);
  const unsigned char *p = (const unsigned char *)bytes->data, *end = p + bytes->size;
  for (int n = 1; p < end; p += n) {
    const uint32_t c = character(p, end, &n);
    if (c == UINT32_MAX) {
      Diag *d = diag_error(b->session, "data-not-text", (Span){0}, "there is a byte 0x%02x, which is no character of UTF-8", *p);
      diag_at(b->session, d, source->path, line_of(bytes->data, (const char *)p));
      diag_hint(b->session, d, "convert the file: `iconv -f LATIN1 -t UTF-8 %s`", source->path);
      return false;
    }
    source->tokens[source->rows++] = (int32_t)c;
  }
  if (source->rows) return true;
  Diag *d = diag_error(b->session, "data-empty", (Span){0}, "the file is empty");
  diag_at(b->session, d, source->path, 0);
  return false;
}

static bool read_text(Block *b, int part) {
  DataSource *source = &b->sources[part];
  const bool second = part > 0;
  Span span = second ? b->plan->split_span : b->options->file ? (Span){0} : b->plan->file_span;
  if (second) source->path = block_path(b, b->plan->split_text);
  else if (b->options->file) source->path = b->options->file;
  else if (b->plan->file) source->path = block_path(b, b->plan->file);
  if (!source->path) {
    Diag *d = diag_error(b->session, "data-no-file", b->plan->span, "there is no text: no file is named");
    diag_hint(b->session, d, "name one with `--data FILE`, or in the data block: `file = \"book.txt\"`");
    return false;
  }
  Bytes bytes;
  if (!bytes_read(b->session, source->path, span, &bytes)) return false;
  const bool ok = decode(b, part, &bytes);
  bytes_free(&bytes);
  return ok;
}

static int by_number(const void *a, const void *b) {
  const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* The distinct characters of all parts, in order of their code points. */
static double *new_vocabulary(Block *b, int64_t *count) {
  Vec(int32_t) found = {0};
  uint8_t *seen = mem_zero(0x110000, 1);
  for (int part = 0; part < b->parts; part++) {
    for (int64_t i = 0; i < b->sources[part].rows; i++) {
      const int32_t c = b->sources[part].tokens[i];
      if (!seen[c]) vec_push(&found, c);
      seen[c] = 1;
    }
  }
  qsort(found.data, found.count, sizeof *found.data, by_number);
  double *vocabulary = ARENA_ARRAY(&b->arena, double, found.count);
  for (uint32_t i = 0; i < found.count; i++) vocabulary[i] = found.data[i];
  *count = found.count;
  free(seen);
  vec_free(&found);
  return vocabulary;
}

static bool unknown_character(Block *b, int part, int32_t c) {
  Diag *d = diag_error(b->session, "data-category", (Span){0}, "the text has the character U+%04X, which the training text had not", c);
  diag_at(b->session, d, b->sources[part].path, 0);
  return false;
}

static bool number_characters(Block *b, const DataWant *want, const Line *line) {
  const char *key = block_key(b, line, 0, "characters"), *size_key = block_key(b, line, 0, "vocabulary");
  int64_t count = 0;
  double *vocabulary;
  if (b->options->known) {
    const char *size = stats_get(b->stats, size_key);
    count = size ? strtoll(size, NULL, 10) : 0;
    vocabulary = ARENA_ARRAY(&b->arena, double, (size_t)(count > 0 && count <= 0x110000 ? count : 1));
    if (count <= 0 || count > 0x110000 || !stats_get_numbers(b->stats, key, vocabulary, count)) {
      diag_error(b->session, "data-statistics", line->plan->span, "the checkpoint lacks the vocabulary of `%s`", line->plan->name);
      return false;
    }
  } else {
    vocabulary = new_vocabulary(b, &count);
    stats_set(b->stats, size_key, arena_printf(&b->arena, "%lld", (long long)count));
    stats_set_numbers(b->stats, key, vocabulary, count);
  }
  if (count > want->classes) {
    Diag *d = diag_error(b->session, "data-classes", line->plan->span, "`%s` is label[%d], and %s has %lld different characters",
                         want->name, want->classes, b->sources[0].path, (long long)count);
    diag_hint(b->session, d, "write `label[%lld]` in the model", (long long)count);
    return false;
  }
  int32_t *numbers = mem_alloc(0x110000 * sizeof *numbers);
  memset(numbers, 0xff, 0x110000 * sizeof *numbers);
  for (int64_t i = 0; i < count; i++) {
    if (vocabulary[i] >= 0 && vocabulary[i] < 0x110000) numbers[(int32_t)vocabulary[i]] = (int32_t)i;
  }
  bool ok = true;
  for (int part = 0; part < b->parts && ok; part++) {
    for (int64_t i = 0; i < b->sources[part].rows && ok; i++) {
      int32_t *token = &b->sources[part].tokens[i];
      ok = numbers[*token] >= 0 || unknown_character(b, part, *token);
      if (ok) *token = numbers[*token];
    }
  }
  free(numbers);
  return ok;
}

static bool too_short(Block *b, const Line *line, int64_t have, int64_t need) {
  Diag *d = diag_error(b->session, "data-rows", line->plan->span, "a window needs %lld characters, and a part of the text has %lld",
                       (long long)need, (long long)have);
  diag_hint(b->session, d, "take a longer text, or hold out less of it");
  return false;
}

/* A part of the text, from `from` on: as many windows as fit wherever the first begins. */
static bool cut(Block *b, DataPart *to, int32_t *from, int64_t length, const char *path, bool slides) {
  int64_t reach = 0, stride = 0;
  const Line *line = NULL;
  for (uint32_t i = 0; i < b->want_count; i++) {
    if (!b->fed[i]) continue;
    const DataLine *plan = b->fed[i]->plan;
    line = b->fed[i];
    if (plan->length + plan->shift > reach) reach = plan->length + plan->shift;
    if (plan->length > stride) stride = plan->length;
    to->feeds[i].values = from + plan->shift;
  }
  to->stride = stride;
  to->path = path;
  if (length < reach) return too_short(b, line, length, reach);
  to->rows = (length - reach) / stride + 1;
  if (slides && to->rows > 1) {
    to->rows = (length - reach - (stride - 1)) / stride + 1;
    to->slide = to->rows > 0 ? stride : 0;
  }
  if (to->rows < 1) to->rows = 1;
  return true;
}

static bool fits(Block *b, const DataWant *want, const Line *line) {
  if (line->plan->source != DATA_CHARACTERS) {
    diag_limit(b->session, "data-mixed", line->plan->span, "`characters` beside other sources in one data block has no meaning yet");
    return false;
  }
  int64_t count;
  if (want->classes && want->type == TYPE_I32 && dims_size(&want->shape, 1, &count) && count == line->plan->length) return true;
  Text shape = {0};
  shape_print(&want->shape, &shape);
  Diag *d = diag_error(b->session, "data-shape", line->plan->span, "`%s` takes %s, and the line gives [%lld] of label", want->name,
                       text_get(&shape), (long long)line->plan->length);
  text_free(&shape);
  diag_hint(b->session, d, "write `%s: [%lld] of label[k]` in the model", want->name, (long long)line->plan->length);
  return false;
}

bool block_fill_characters(Block *b, Dataset *data) {
  const DataWant *first = NULL, *smallest = NULL;
  const Line *line = NULL;
  for (int part = 0; part < b->parts; part++) {
    if (!read_text(b, part)) return false;
  }
  for (uint32_t i = 0; i < b->want_count; i++) {
    if (!b->fed[i]) continue;
    if (!fits(b, &b->wants[i], b->fed[i])) return false;
    if (!first) first = &b->wants[i], line = b->fed[i];
    if (!smallest || b->wants[i].classes < smallest->classes) smallest = &b->wants[i];
  }
  if (!number_characters(b, smallest, line)) return false;
  const int64_t n = b->sources[0].rows, more = b->parts > 1 ? b->sources[1].rows : 0;
  int32_t *tokens = mem_resize(b->sources[0].tokens, (size_t)(n + more + 1) * sizeof *tokens);
  if (more) memcpy(tokens + n, b->sources[1].tokens, (size_t)more * sizeof *tokens);
  b->sources[0].tokens = NULL;
  data->own = tokens;
  int64_t held = more;
  if (!more && !b->options->whole && b->plan->split == SPLIT_FRACTION) held = llround(b->plan->split_number * (double)n);
  const int64_t trained = n + more - held;
  if (!cut(b, &data->train, tokens, trained, b->sources[0].path, !b->options->known)) return false;
  return !held || cut(b, &data->held, tokens + trained, held, b->sources[more ? 1 : 0].path, false);
}
