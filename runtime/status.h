/* status.h: how the runtime words its failures. Internal. */
#ifndef GRADC_STATUS_H
#define GRADC_STATUS_H
#include "gradc.h"

/* Writes the sentence (cut to fit) unless message is NULL; returns status. */
GradcStatus gradc_fail(GradcMessage *message, GradcStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "[2, 3]" with batch axes as "batch"; "[]" for a scalar. Returns `to`. A text of GRADC_SHAPE_TEXT bytes always fits. */
#define GRADC_SHAPE_TEXT 200
char *gradc_shape_text(char to[GRADC_SHAPE_TEXT], const int64_t *dims, int rank);

/* "640 bytes", "1.5 MiB", .. */
#define GRADC_SIZE_TEXT 32
char *gradc_size_text(char to[GRADC_SIZE_TEXT], int64_t bytes);

/* "F32", .. as safetensors writes them, and the bytes of an element. */
const char *gradc_type_name(GradcType type);
int64_t gradc_type_bytes(GradcType type);

#endif
