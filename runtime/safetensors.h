/* safetensors.h: the file format, as bytes in memory. Internal.
 *
 *   8 bytes: length of the header, little endian | header: JSON, UTF-8, begins with '{' | buffer
 *   {"__metadata__": {"key": "text", ..}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..}
 *
 * The tensors cover the buffer without holes and overlaps: a file has one meaning. */
#ifndef GRADC_SAFETENSORS_H
#define GRADC_SAFETENSORS_H
#include "status.h"

#define GRADC_HEADER_MOST 100000000

/* Checks `size` bytes, which must come from malloc, and takes them over, also on failure. `name`: of the file, for
 * messages. Strings and data stay in these bytes; the tables beside them take less than 16 times the header. */
GradcStatus gradc_file_parse(void *bytes, int64_t size, const char *name, GradcFile **file, GradcMessage *message);

/* The bytes of an element of a type's name; 0 for an unknown one. */
int64_t gradc_file_type_bytes(const char *type);

/* All truth values of the file are 0 or 1: code may count on it. Errors: FORMAT. */
GradcStatus gradc_file_check_truths(const GradcFile *file, GradcMessage *message);

/* Whether gradc_file_read of tensor `index` as `type` would succeed. Errors: as that one. */
GradcStatus gradc_file_readable(const GradcFile *file, int64_t index, GradcType type, GradcMessage *message);

/* The file's name, for messages about what is in it. */
const char *gradc_file_name(const GradcFile *file);

#endif
