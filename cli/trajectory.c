/* trajectory.c: see door.h. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

bool trajectory_start(Trajectory *t, Front *f, GradcModel *model, int64_t steps) {
  const GradcProgram *program = gradc_program(model);
  int64_t bytes = 8, total;
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const uint8_t kind = program->slots[i].kind;
    GradcTensor tensor;
    if ((kind != GRADC_SLOT_PARAM && kind != GRADC_SLOT_STATE) || gradc_tensor_at(model, i, &tensor) != GRADC_OK) continue;
    vec_push(&t->slots, i);
    bytes += tensor.bytes;
  }
  const int64_t available = gradc_available_memory();
  if (!mem_mul(bytes, steps, &total) || (available >= 0 && total > available)) {
    front_fail(f, "fewer --steps", "the parameters after each of %lld steps are more than the memory that is free", (long long)steps);
    return false;
  }
  t->steps = steps;
  t->loss = mem_zero((size_t)steps + 1, sizeof *t->loss);
  t->values = mem_zero(t->slots.count + 1, sizeof *t->values);
  for (uint32_t k = 0; k < t->slots.count; k++) {
    GradcTensor tensor;
    gradc_tensor_at(model, t->slots.data[k], &tensor);
    t->values[k] = mem_alloc((size_t)(tensor.bytes * steps) + 1);
  }
  return true;
}

void trajectory_step(Trajectory *t, GradcModel *model) {
  if (t->done >= t->steps) return;
  t->loss[t->done] = step_loss(model);
  for (uint32_t k = 0; k < t->slots.count; k++) {
    GradcTensor tensor;
    gradc_tensor_at(model, t->slots.data[k], &tensor);
    memcpy(t->values[k] + t->done * tensor.bytes, tensor.data, (size_t)tensor.bytes);
  }
  t->done++;
}

bool trajectory_write(const Trajectory *t, Front *f, GradcModel *model, const char *path) {
  Vec(NamedArray) arrays = {0};
  vec_push(&arrays, ((NamedArray){.name = "loss", .type = GRADC_F64, .rank = 1, .dims = {t->done}, .data = t->loss}));
  for (uint32_t k = 0; k < t->slots.count; k++) {
    GradcTensor tensor;
    gradc_tensor_at(model, t->slots.data[k], &tensor);
    NamedArray a = {.name = tensor.name, .type = tensor.type, .rank = tensor.rank + 1, .dims = {t->done}, .data = t->values[k]};
    memcpy(a.dims + 1, tensor.dims, (size_t)tensor.rank * sizeof *tensor.dims);
    vec_push(&arrays, a);
  }
  GradcMessage message;
  const bool ok = archive_write(path, arrays.data, arrays.count, &message) == GRADC_OK;
  vec_free(&arrays);
  if (!ok) front_fail(f, NULL, "%s", message.text);
  return ok;
}

void trajectory_free(Trajectory *t) {
  for (uint32_t k = 0; t->values && k < t->slots.count; k++) free(t->values[k]);
  free(t->values);
  free(t->loss);
  vec_free(&t->slots);
}
