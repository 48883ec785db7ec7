/* idx.c: the IDX format of the MNIST family: two zero bytes, a type, a rank, the extents as big-endian 32-bit numbers,
 * then the elements in C order, big-endian. */
#include "array.h"

static uint32_t big32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

bool array_parse_idx(Session *s, Array *array, Span span) {
  static const struct { unsigned char code; ArrayType type; } types[] = {
      {0x08, ARRAY_U8}, {0x09, ARRAY_I8}, {0x0b, ARRAY_I16}, {0x0c, ARRAY_I32}, {0x0d, ARRAY_F32}, {0x0e, ARRAY_F64}};
  const unsigned char *p = (const unsigned char *)array->bytes.data;
  const uint32_t count = sizeof types / sizeof *types;
  uint32_t i = 0;
  while (i < count && types[i].code != p[2]) i++;
  if (i == count) {
    Diag *d = array_fail(s, array, span, "this is no IDX file: its type byte is 0x%02x", p[2]);
    diag_hint(s, d, "IDX has 08 (unsigned byte), 09 (byte), 0B (short), 0C (int), 0D (float) and 0E (double)");
    return false;
  }
  array->type = types[i].type;
  array->big_endian = true;
  array->rank = p[3];
  if (!array->rank || array->rank > ARRAY_MAX_RANK) {
    array_fail(s, array, span, "this IDX file has %u axes; 1 to %d can be read", array->rank, ARRAY_MAX_RANK);
    return false;
  }
  const size_t header = 4 + 4 * (size_t)array->rank;
  if (array->bytes.size < header) {
    array_fail(s, array, span, "this IDX file ends within its header");
    return false;
  }
  for (uint32_t k = 0; k < array->rank; k++) array->dims[k] = big32(p + 4 + 4 * k);
  return array_check(s, array, span, header, "IDX");
}
