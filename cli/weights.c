/* weights.c: see weights.h. */
#include "weights.h"

#include "archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

GradcFile *weights_open(Front *f, const char *path) {
  GradcFile *file = NULL;
  GradcMessage message;
  if (archive_is_npz(path)) {
    file = archive_read_npz(&f->session, path);
    front_report(f);
    return file;
  }
  if (gradc_file_open(path, &file, &message) == GRADC_OK) return file;
  const bool own = access(path, F_OK) && !strcmp(path, front_weights(f, NULL));
  const char *hint = own ? arena_printf(&f->arena, "`gradc train %s` writes it", f->program->path) : NULL;
  front_fail(f, hint, "%s", message.text);
  return NULL;
}

void weights_stats(const GradcFile *file, Stats *stats) {
  for (int64_t i = 0; i < gradc_file_pair_count(file); i++) {
    const GradcPair pair = gradc_file_pair(file, i);
    if (!strncmp(pair.key, "data.", 5)) stats_set(stats, pair.key, pair.value);
  }
}

static const char *shape_text(Front *f, const int64_t *dims, int rank) {
  Dims d = {.rank = (uint32_t)rank};
  memcpy(d.dims, dims, (size_t)rank * sizeof *dims);
  Text text = {0};
  shape_print(&d, &text);
  const char *copy = arena_printf(&f->arena, "%s", text_get(&text));
  text_free(&text);
  return copy;
}

bool weights_tensor(Front *f, const GradcFile *file, const char *path, const char *name, GradcTensor *to) {
  const int64_t at = gradc_file_find(file, name);
  if (at < 0) {
    front_fail(f, "the file belongs to another model, or the model was changed since", "%s has no tensor `%s`", path, name);
    return false;
  }
  const GradcFileTensor from = gradc_file_tensor(file, at);
  bool same = from.rank == to->rank;
  for (int i = 0; same && i < to->rank; i++) same = from.dims[i] == to->dims[i];
  if (!same) {
    front_fail(f, "the file belongs to another model, or the model was changed since", "`%s` is %s in %s and %s in the model",
               to->name, shape_text(f, from.dims, from.rank), path, shape_text(f, to->dims, to->rank));
    return false;
  }
  GradcMessage message;
  if (gradc_file_read(file, at, to->type, to->data, &message) == GRADC_OK) return true;
  front_fail(f, NULL, "%s", message.text);
  return false;
}

bool weights_read(Front *f, const GradcFile *file, const char *path, GradcModel *model) {
  const GradcProgram *program = gradc_program(model);
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const uint8_t kind = program->slots[i].kind;
    GradcTensor tensor;
    if (kind != GRADC_SLOT_PARAM && kind != GRADC_SLOT_STATE) continue;
    if (gradc_tensor_at(model, i, &tensor) != GRADC_OK || !weights_tensor(f, file, path, tensor.name, &tensor)) return false;
  }
  return true;
}

/* Many parameters come from one file: it stays open while the next ones do. */
bool weights_start(Front *f, GradcModel *model) {
  const Program *p = f->program;
  const GradcProgram *program = gradc_program(model);
  GradcFile *file = NULL;
  const char *path = NULL;
  bool ok = true;
  for (uint32_t i = 0; i < p->starts.count && ok; i++) {
    const WeightStart *start = &p->starts.data[i];
    if (!i || strcmp(start->file, p->starts.data[i - 1].file)) {
      gradc_file_close(file);
      path = *start->file == '/' || !strcmp(f->folder, ".") ? start->file : arena_printf(&f->arena, "%s/%s", f->folder, start->file);
      file = weights_open(f, path);
    }
    GradcTensor tensor;
    const int64_t slot = gradc_find_slot(program, start->name);
    ok = file && slot >= 0 && gradc_tensor_at(model, slot, &tensor) == GRADC_OK && weights_tensor(f, file, path, start->from, &tensor);
  }
  gradc_file_close(file);
  return ok;
}

static bool ours(const char *path) {
  GradcFile *file = NULL;
  if (gradc_file_open(path, &file, NULL) != GRADC_OK) return false;
  const bool is = gradc_file_value(file, "gradc.model") != NULL;
  gradc_file_close(file);
  return is;
}

bool weights_writable(Front *f, const char *path) {
  struct stat st;
  if (!stat(path, &st)) {
    if (S_ISDIR(st.st_mode)) {
      front_fail(f, "name a file in it", "cannot write %s: it is a folder", path);
      return false;
    }
    if (!ours(path)) {
      front_fail(f, "name another file with --out, or remove this one", "%s exists and was not written by gradc: it is left alone", path);
      return false;
    }
  }
  char *trial = arena_printf(&f->arena, "%s.XXXXXX", path);
  const int fd = mkstemp(trial);
  if (fd < 0) {
    const int why = errno;
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? arena_text(&f->arena, path, slash == path ? 1 : (size_t)(slash - path)) : ".";
    front_fail(f, "name a file elsewhere with --out", "cannot write %s: no file can be made in %s: %s", path, folder, strerror(why));
    return false;
  }
  close(fd);
  unlink(trial);
  return true;
}

bool weights_write(Front *f, GradcModel *model, const char *path, const Stats *stats, const GradcPair *extra, int extra_count) {
  Vec(GradcPair) pairs = {0};
  for (uint32_t i = 0; i < stats->pairs.count; i++) vec_push(&pairs, ((GradcPair){stats->pairs.data[i].key, stats->pairs.data[i].value}));
  for (int i = 0; i < extra_count; i++) vec_push(&pairs, extra[i]);
  const GradcStatus status = gradc_save(model, path, pairs.data, (int)pairs.count);
  vec_free(&pairs);
  if (status == GRADC_OK) return true;
  front_fail(f, NULL, "%s", gradc_message(model));
  return false;
}
