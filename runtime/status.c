/* status.c: sentences about failures, shapes and sizes. */
#include "status.h"
#include <stdarg.h>
#include <stdio.h>

GradcStatus gradc_fail(GradcMessage *message, GradcStatus status, const char *format, ...) {
  if (message) {
    va_list args;
    va_start(args, format);
    vsnprintf(message->text, sizeof message->text, format, args);
    va_end(args);
    /* Names from files may hold anything; a terminal that shows the sentence obeys control characters. */
    for (char *at = message->text; *at; at++)
      if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = '?';
  }
  return status;
}

char *gradc_shape_text(char to[GRADC_SHAPE_TEXT], const int64_t *dims, int rank) {
  int at = snprintf(to, GRADC_SHAPE_TEXT, "[");
  for (int i = 0; i < rank && i < GRADC_MAX_RANK; i++) {
    const char *comma = i ? ", " : "";
    if (dims[i] < 0) at += snprintf(to + at, (size_t)(GRADC_SHAPE_TEXT - at), "%sbatch", comma);
    else at += snprintf(to + at, (size_t)(GRADC_SHAPE_TEXT - at), "%s%lld", comma, (long long)dims[i]);
  }
  snprintf(to + at, (size_t)(GRADC_SHAPE_TEXT - at), "]");
  return to;
}

char *gradc_size_text(char to[GRADC_SIZE_TEXT], int64_t bytes) {
  static const char units[][4] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) {
    snprintf(to, GRADC_SIZE_TEXT, "%lld bytes", (long long)bytes);
    return to;
  }
  double size = (double)bytes / 1024;
  int unit = 0;
  while (size >= 1024 && unit < 5) size /= 1024, unit++;
  snprintf(to, GRADC_SIZE_TEXT, "%.1f %s", size, units[unit]);
  return to;
}

const char *gradc_type_name(GradcType type) {
  switch (type) {
  case GRADC_F32: return "F32";
  case GRADC_F64: return "F64";
  case GRADC_I32: return "I32";
  case GRADC_BOOL: return "BOOL";
  }
  return "?";
}

int64_t gradc_type_bytes(GradcType type) {
  switch (type) {
  case GRADC_F32: return 4;
  case GRADC_F64: return 8;
  case GRADC_I32: return 4;
  case GRADC_BOOL: return 1;
  }
  return 0;
}
