/* python.c: the Python package of a model: a folder that pip installs, with the shared object, a module that all models
 * share (model.py), and a class with this model's inputs as keyword arguments. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "artefact.h"
#include "carried.h"
#include "gradc.h"

static const char *argument(Arena *arena, const char *name) {
  static const char *const words[] = {"and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
                                      "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not",
                                      "or", "pass", "raise", "return", "self", "try", "while", "with", "yield", "None", "True", "False"};
  char *copy = arena_printf(arena, "%s", name);
  for (char *p = copy; *p; p++)
    if (!isalnum((unsigned char)*p)) *p = '_';
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(copy, words[i])) return arena_printf(arena, "%s_", copy);
  return copy;
}

static void add_shape(Text *out, const int64_t *dims, int rank) {
  text_add(out, "[");
  for (int i = 0; i < rank; i++) {
    if (i) text_add(out, ", ");
    if (dims[i] < 0) text_add(out, "batch");
    else text_printf(out, "%lld", (long long)dims[i]);
  }
  text_add(out, "]");
}

static const char *type_name(uint8_t type) {
  static const char *const names[] = {"float32", "float64", "int32", "bool"};
  return names[type & 3];
}

static void add_feed_docs(Text *out, Arena *arena, const GradcProgram *p, bool targets) {
  for (int i = 0; i < gradc_feed_count(p); i++) {
    const GradcSlot *s = gradc_feed(p, i);
    if (s->kind == GRADC_SLOT_TARGET && !targets) continue;
    text_printf(out, "        :param %s: %s ", argument(arena, s->name), type_name(s->type));
    add_shape(out, s->dims, s->rank);
    if (s->classes) text_printf(out, ", 0 to %d, or -1 where it is not known", s->classes - 1);
    text_add(out, "\n");
  }
}

/* A method that takes the inputs (and targets) by name. */
static void add_method(Text *out, Arena *arena, const GradcProgram *p, const char *name, const char *inner, const char *result,
                       const char *doc, bool targets) {
  Text values = {0};
  const int count = gradc_feed_count(p);
  text_printf(out, "    def %s(self", name);
  for (int i = 0, first = 1; i < count; i++) {
    const GradcSlot *s = gradc_feed(p, i);
    const char *word = argument(arena, s->name);
    const bool taken = s->kind == GRADC_SLOT_INPUT || targets;
    text_printf(&values, "%s, ", taken ? word : "None");
    if (taken) text_printf(out, "%s, %s: ArrayLike", first ? ", *" : "", word), first = 0;
  }
  text_printf(out, ") -> %s:\n        \"\"\"%s\n\n", result, doc);
  add_feed_docs(out, arena, p, targets);
  text_printf(out, "        \"\"\"\n        return self.%s((%s))\n\n", inner, text_get(&values));
  text_free(&values);
}

static void add_forward(Text *out, Arena *arena, const GradcProgram *p) {
  const GradcEntryInfo *eval = &p->entries[GRADC_ENTRY_EVAL];
  Text doc = {0};
  text_add(&doc, "The outputs, by name:");
  for (uint32_t i = 0; i < eval->output_count; i++) {
    const GradcOutput *o = &eval->outputs[i];
    if (o->kind == GRADC_OUT_LOSS || o->kind == GRADC_OUT_METRIC) continue;
    text_printf(&doc, " ``%s`` %s ", o->name, type_name(o->type));
    add_shape(&doc, o->dims, o->rank);
  }
  add_method(out, arena, p, "__call__", "_forward", "Dict[str, np.ndarray]", text_get(&doc), false);
  text_free(&doc);
}

static void add_class(Text *out, Arena *arena, const GradcProgram *p, const char *name, const char *path) {
  const char *base = strrchr(path, '/');
  text_printf(out, "\"\"\"The model \"%s\", compiled by gradc from %s: ``model = %s.Model(seed=1)``.\"\"\"\n\n"
                   "from __future__ import annotations\n\nimport os\nfrom typing import Dict\n\nimport numpy as np\n"
                   "from numpy.typing import ArrayLike\n\nfrom ._model import CompiledModel, GradcError, Progress\n\n"
                   "__all__ = [\"Model\", \"GradcError\", \"Progress\"]\n\n\n",
              p->name, base ? base + 1 : path, name);
  text_printf(out, "class Model(CompiledModel):\n    __doc__ = CompiledModel.__doc__\n"
                   "    _path = os.path.join(os.path.dirname(os.path.abspath(__file__)), \"%s.so\")\n\n", name);
  add_forward(out, arena, p);
  add_method(out, arena, p, "evaluate", "_evaluate", "Dict[str, float]", "Losses and metrics of these examples, by name; changes nothing.", true);
  if (!p->entries[GRADC_ENTRY_TRAIN].output_count) return;
  add_method(out, arena, p, "step", "_step", "Dict[str, float]", "Trains on these examples once; their losses and metrics, by name.", true);
  if (!p->entries[GRADC_ENTRY_GRADIENT].output_count) return;
  add_method(out, arena, p, "gradient", "_gradient", "Dict[str, np.ndarray]",
             "The gradient of the loss by each parameter and each float input, by name; changes nothing.", true);
}

static bool make_folder(Arena *arena, const char *path, Why *why) {
  if (!mkdir(path, 0777) || errno == EEXIST) return true;
  *why = (Why){arena_printf(arena, "cannot make the folder %s: %s", path, strerror(errno)), NULL};
  return false;
}

static bool write_text(Arena *arena, const char *path, Text *text, Why *why) {
  const bool ok = artefact_write(arena, path, text_get(text), text->length, why);
  text_free(text);
  return ok;
}

/* The folder makes its own wheel (backend.py): pip needs neither setuptools nor a network. */
static void add_project(Text *project, Text *backend, const Objects *objects, const GradcProgram *program, const char *name) {
  const CarriedFile *file = carried_find("backend.py");
  text_add(project, "[build-system]\nrequires = []\nbuild-backend = \"gradc_backend\"\nbackend-path = [\".\"]\n");
  text_printf(backend, "NAME, VERSION, PLATFORM = \"%s\", \"0.1.0\", \"linux_%s\"\nSUMMARY = \"The model %s, compiled by gradc\"\n\n", name,
              objects->arch, program->name);
  text_add_bytes(backend, (const char *)file->bytes, file->size);
}

bool artefact_python(Arena *arena, const Objects *objects, const GradcProgram *program, const char *name, const char *source,
                     const char *path, Why *why) {
  const char *inner = arena_printf(arena, "%s/%s", path, name);
  const CarriedFile *shared = carried_find("model.py");
  if (!make_folder(arena, path, why) || !make_folder(arena, inner, why)) return false;
  Text project = {0}, backend = {0}, module = {0};
  add_project(&project, &backend, objects, program, name);
  add_class(&module, arena, program, name, source);
  bool ok = write_text(arena, arena_printf(arena, "%s/pyproject.toml", path), &project, why);
  ok = write_text(arena, arena_printf(arena, "%s/gradc_backend.py", path), &backend, why) && ok;
  ok = write_text(arena, arena_printf(arena, "%s/__init__.py", inner), &module, why) && ok;
  return ok && artefact_write(arena, arena_printf(arena, "%s/_model.py", inner), shared->bytes, shared->size, why) &&
         artefact_write(arena, arena_printf(arena, "%s/py.typed", inner), "", 0, why) &&
         artefact_shared(arena, objects, arena_printf(arena, "%s/%s.so", inner, name), false, why);
}
