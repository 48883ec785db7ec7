/* convert.c: elements of a file as the model's types. Half precision is read, never written. */
#include <math.h>
#include <string.h>
#include "safetensors.h"

/* 2 to a power of -25 to 5. */
static double power(int exponent) { return exponent < 0 ? 1.0 / (double)(1 << -exponent) : (double)(1 << exponent); }

static double half_value(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                : exponent     ? (1024 + fraction) * power(exponent - 25)
                               : fraction * power(-24);
  return bits & 0x8000 ? -size : size;
}

static double bfloat_value(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, 4);
  return value;
}

typedef enum { HALF, BFLOAT, SINGLE, DOUBLE, OTHER } Kind;

static Kind kind_of(const char *type) {
  static const char names[][5] = {"F16", "BF16", "F32", "F64"};
  for (int i = 0; i < OTHER; i++)
    if (!strcmp(type, names[i])) return (Kind)i;
  return OTHER;
}

/* Element i; the file's bytes need not be aligned. */
static double value_at(const char *data, Kind kind, int64_t i) {
  uint16_t bits;
  float single;
  double value;
  switch (kind) {
  case HALF: memcpy(&bits, data + 2 * i, 2); return half_value(bits);
  case BFLOAT: memcpy(&bits, data + 2 * i, 2); return bfloat_value(bits);
  case SINGLE: memcpy(&single, data + 4 * i, 4); return single;
  default: memcpy(&value, data + 8 * i, 8); return value;
  }
}

static GradcStatus check_truths(const GradcFile *file, const GradcFileTensor *tensor, GradcMessage *message) {
  const uint8_t *values = tensor->data;
  for (int64_t i = 0; i < tensor->count; i++)
    if (values[i] > 1)
      return gradc_fail(message, GRADC_ERROR_FORMAT, "\"%s\" is damaged: element %lld of \"%s\" is %d, not 0 or 1",
                        gradc_file_name(file), (long long)i, tensor->name, values[i]);
  return GRADC_OK;
}

GradcStatus gradc_file_check_truths(const GradcFile *file, GradcMessage *message) {
  GradcStatus status = GRADC_OK;
  for (int64_t i = 0; !status && i < gradc_file_count(file); i++) {
    GradcFileTensor tensor = gradc_file_tensor(file, i);
    if (!strcmp(tensor.type, "BOOL")) status = check_truths(file, &tensor, message);
  }
  return status;
}

/* Whether gradc_file_read can fail for this tensor and type, without a place to write to. */
GradcStatus gradc_file_readable(const GradcFile *file, int64_t index, GradcType type, GradcMessage *message) {
  if (!file || index < 0 || index >= gradc_file_count(file) || type > GRADC_BOOL)
    return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no such tensor in the file");
  GradcFileTensor tensor = gradc_file_tensor(file, index);
  if (!strcmp(tensor.type, gradc_type_name(type))) return type == GRADC_BOOL ? check_truths(file, &tensor, message) : GRADC_OK;
  if (kind_of(tensor.type) == OTHER || (type != GRADC_F32 && type != GRADC_F64))
    return gradc_fail(message, GRADC_ERROR_MISMATCH, "\"%s\": the tensor \"%s\" is %s, and cannot be read as %s",
                      gradc_file_name(file), tensor.name, tensor.type, gradc_type_name(type));
  return GRADC_OK;
}

GradcStatus gradc_file_read(const GradcFile *file, int64_t index, GradcType type, void *to, GradcMessage *message) {
  GradcStatus status = gradc_file_readable(file, index, type, message);
  if (status) return status;
  GradcFileTensor tensor = gradc_file_tensor(file, index);
  Kind from = kind_of(tensor.type);
  if (tensor.bytes && !to) return gradc_fail(message, GRADC_ERROR_ARGUMENT, "no place for \"%s\" was given", tensor.name);
  if (!strcmp(tensor.type, gradc_type_name(type))) {
    if (tensor.bytes) memcpy(to, tensor.data, (size_t)tensor.bytes);
    return GRADC_OK;
  }
  for (int64_t i = 0; i < tensor.count; i++) {
    double value = value_at(tensor.data, from, i);
    if (type == GRADC_F32) ((float *)to)[i] = (float)value;
    else ((double *)to)[i] = value;
  }
  return GRADC_OK;
}
