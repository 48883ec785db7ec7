/* Any bytes as a safetensors file: refused with a sentence, or read so that every tensor lies inside the file, all of them
 * cover it, names are in order, and each is found by its name. */
#include <stdlib.h>
#include <string.h>
#include "json.h"
#include "safetensors.h"

static void check(int truth) {
  if (!truth) abort();
}

static void check_file(const GradcFile *file, size_t size) {
  int64_t covered = 0, count = gradc_file_count(file);
  float *values = malloc(size * sizeof *values + 1);
  for (int64_t i = 0; i < count; i++) {
    GradcFileTensor tensor = gradc_file_tensor(file, i);
    check(tensor.bytes >= 0 && (uint64_t)tensor.bytes <= size && tensor.rank <= GRADC_MAX_RANK);
    check(tensor.bytes == tensor.count * gradc_file_type_bytes(tensor.type));
    check(!i || strcmp(gradc_file_tensor(file, i - 1).name, tensor.name) < 0);
    check(gradc_file_find(file, tensor.name) == i);
    check(gradc_utf8_valid(tensor.name, strlen(tensor.name)));
    unsigned char sum = 0;
    for (int64_t k = 0; k < tensor.bytes; k++) sum += ((const unsigned char *)tensor.data)[k];
    *(volatile unsigned char *)&sum = sum;
    if ((uint64_t)tensor.count <= size) gradc_file_read(file, i, GRADC_F32, values, NULL);
    covered += tensor.bytes;
  }
  check((uint64_t)covered <= size);
  free(values);
  for (int64_t i = 0; i < gradc_file_pair_count(file); i++) {
    GradcPair pair = gradc_file_pair(file, i);
    check(gradc_file_value(file, pair.key) == pair.value);
    check(gradc_utf8_valid(pair.value, strlen(pair.value)));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  GradcFile *file;
  GradcMessage message = {""};
  char *bytes = malloc(size + !size); /* exactly its size, so that one byte too far is seen */
  if (size) memcpy(bytes, data, size);
  if (gradc_file_parse(bytes, (int64_t)size, "input", &file, &message)) {
    check(!file && message.text[0]);
    return 0;
  }
  check_file(file, size);
  gradc_file_close(file);
  return 0;
}
