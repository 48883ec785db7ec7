/* tensors.c: what a caller sees of an instance: its results, parameters, states and figures. */
#include <math.h>
#include <string.h>
#include "model.h"

const char *gradc_message(const GradcModel *model) { return model ? model->message.text : "no model was given"; }

const GradcProgram *gradc_program(const GradcModel *model) { return model ? model->program : NULL; }

const char *gradc_program_value(const GradcProgram *program, const char *key) {
  for (uint32_t i = 0; program && key && i < program->pair_count; i++)
    if (!strcmp(program->pairs[i].key, key)) return program->pairs[i].value;
  return NULL;
}

GradcMemory gradc_model_memory(const GradcModel *model) { return model ? model->layout.memory : (GradcMemory){0}; }

const char *gradc_entry_name(GradcEntryKind entry) {
  switch (entry) {
  case GRADC_ENTRY_INIT: return "initialisation";
  case GRADC_ENTRY_TRAIN: return "training";
  case GRADC_ENTRY_EVAL: return "evaluation";
  case GRADC_ENTRY_GRADIENT: return "gradients";
  case GRADC_ENTRY_COUNT: break;
  }
  return "?";
}

GradcProgress *gradc_progress(GradcModel *model) { return model ? &model->progress : NULL; }

static GradcTensor describe(const char *name, GradcType type, int rank, const int64_t *dims, const int64_t *batch,
                            void *data) {
  GradcTensor tensor = {.name = name, .type = type, .rank = rank, .data = data};
  for (int i = 0; i < rank; i++) tensor.dims[i] = dims[i] < 0 ? batch[-1 - dims[i]] : dims[i];
  gradc_shape_size(dims, rank, type, batch, &tensor.count, &tensor.bytes);
  return tensor;
}

/* -- Results -- */

int gradc_figures(GradcModel *model, const GradcFigure **figures) {
  int count = 0;
  if (figures) *figures = model ? model->figures : NULL;
  if (!model || model->last < 0 || model->unjudged) return 0;
  const GradcEntryInfo *entry = &model->program->entries[model->last];
  for (uint32_t i = 0; i < entry->output_count; i++) {
    const GradcOutput *output = &entry->outputs[i];
    if (!gradc_output_judges(output)) continue;
    GradcFigure *figure = &model->figures[count++];
    *figure = (GradcFigure){.name = output->name, .kind = (GradcOutputKind)output->kind, .weight = 1};
    figure->adds_up = output->weight != UINT32_MAX;
    figure->sum = *(const double *)model->buffers[output->buffer];
    if (figure->adds_up) figure->weight = *(const double *)model->buffers[output->weight];
    figure->value = figure->weight == 0 ? 0 : figure->sum / figure->weight;
    if (figure->adds_up) continue;
    figure->values = model->buffers[output->buffer];
    figure->rank = output->rank;
    memcpy(figure->dims, output->dims, sizeof figure->dims);
    if (figure->rank) figure->sum = figure->value = NAN;
  }
  return count;
}

/* The output that is `index`-th, or that has this name; NULL if there is none. */
static const GradcOutput *find_output(const GradcModel *model, const char *name, int index) {
  if (model->last < 0) return NULL;
  const GradcEntryInfo *entry = &model->program->entries[model->last];
  for (uint32_t i = 0; i < entry->output_count; i++) {
    const GradcOutput *output = &entry->outputs[i];
    if (gradc_output_judges(output)) continue;
    if (name ? !strcmp(output->name, name) : index-- == 0) return output;
  }
  return NULL;
}

int gradc_output_count(const GradcModel *model) {
  int count = 0;
  if (!model || model->last < 0) return 0;
  const GradcEntryInfo *entry = &model->program->entries[model->last];
  for (uint32_t i = 0; i < entry->output_count; i++) count += !gradc_output_judges(&entry->outputs[i]);
  return count;
}

static GradcStatus give_output(GradcModel *model, const GradcOutput *output, GradcTensor *tensor) {
  *tensor = describe(output->name, (GradcType)output->type, output->rank, output->dims, model->frame.batch,
                     model->buffers[output->buffer]);
  return GRADC_OK;
}

GradcStatus gradc_output(GradcModel *model, const char *name, GradcTensor *tensor) {
  if (!model || !name || !tensor) return GRADC_ERROR_ARGUMENT;
  const GradcOutput *output = find_output(model, name, 0);
  if (output) return give_output(model, output, tensor);
  if (model->last < 0)
    return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "no output \"%s\": nothing has run yet", name);
  return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "the model \"%s\" has no output \"%s\" in %s",
                    model->program->name, name, gradc_entry_name((GradcEntryKind)model->last));
}

GradcStatus gradc_output_at(GradcModel *model, int index, GradcTensor *tensor) {
  if (!model || !tensor) return GRADC_ERROR_ARGUMENT;
  const GradcOutput *output = index < 0 ? NULL : find_output(model, NULL, index);
  if (output) return give_output(model, output, tensor);
  return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "no output number %d: there are %d", index,
                    gradc_output_count(model));
}

/* -- Parameters and states -- */

GradcStatus gradc_tensor_at(GradcModel *model, int64_t slot, GradcTensor *tensor) {
  if (!model || !tensor) return GRADC_ERROR_ARGUMENT;
  if (slot < 0 || slot >= model->program->slot_count)
    return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "no slot number %lld: there are %u", (long long)slot,
                      model->program->slot_count);
  const GradcSlot *row = &model->program->slots[slot];
  if (gradc_slot_fed(row))
    return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "\"%s\" is an input: the model does not keep it", row->name);
  *tensor = describe(row->name, (GradcType)row->type, row->rank, row->dims, NULL, gradc_slot_data(model, slot));
  return GRADC_OK;
}

GradcStatus gradc_tensor(GradcModel *model, const char *name, GradcTensor *tensor) {
  if (!model || !name || !tensor) return GRADC_ERROR_ARGUMENT;
  int64_t slot = gradc_find_slot(model->program, name);
  if (slot >= 0) return gradc_tensor_at(model, slot, tensor);
  return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "the model \"%s\" has no parameter or state \"%s\"",
                    model->program->name, name);
}

static GradcStatus find_sized(GradcModel *model, const char *name, const void *place, int64_t bytes, GradcTensor *tensor) {
  GradcStatus status = gradc_tensor(model, name, tensor);
  if (status) return status;
  if (tensor->bytes == bytes && (place || !bytes)) return GRADC_OK;
  char shape[GRADC_SHAPE_TEXT];
  return gradc_fail(&model->message, GRADC_ERROR_ARGUMENT, "\"%s\" is %s %s: %lld bytes, not %lld", name,
                    gradc_type_name(tensor->type), gradc_shape_text(shape, tensor->dims, tensor->rank),
                    (long long)tensor->bytes, (long long)(place ? bytes : 0));
}

GradcStatus gradc_get(GradcModel *model, const char *name, void *to, int64_t bytes) {
  GradcTensor tensor;
  GradcStatus status = find_sized(model, name, to, bytes, &tensor);
  if (!status && bytes) memcpy(to, tensor.data, (size_t)bytes);
  return status;
}

GradcStatus gradc_set(GradcModel *model, const char *name, const void *from, int64_t bytes) {
  GradcTensor tensor;
  GradcStatus status = find_sized(model, name, from, bytes, &tensor);
  if (!status && bytes) memcpy(tensor.data, from, (size_t)bytes);
  return status;
}
