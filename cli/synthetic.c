/* synthetic.c: see synthetic.h. */
#include "synthetic.h"

#include "gradc.h"
#include "rng.h"

void synthetic_values(Type type, int32_t classes, uint32_t slot, int64_t count, double *values) {
  GradcRng rng = gradc_rng(1, 0, GRADC_SITE_DATA - 1024 + slot % 512);
  for (int64_t i = 0; i < count; i++) {
    if (classes) values[i] = (double)gradc_rng_below(&rng, (uint64_t)classes);
    else if (type == TYPE_BOOL) values[i] = gradc_rng_word(&rng) & 1;
    else if (type == TYPE_I32) values[i] = (double)gradc_rng_below(&rng, 10);
    else values[i] = (double)(float)(gradc_rng_word(&rng) >> 8) * 0x1p-24;
  }
}

void synthetic_fill(Type type, int32_t classes, uint32_t slot, int64_t count, void *to) {
  double *values = mem_alloc((size_t)count * sizeof *values);
  synthetic_values(type, classes, slot, count, values);
  for (int64_t i = 0; i < count; i++) {
    switch (type) {
      case TYPE_F32: ((float *)to)[i] = (float)values[i]; break;
      case TYPE_F64: ((double *)to)[i] = values[i]; break;
      case TYPE_I32: ((int32_t *)to)[i] = (int32_t)values[i]; break;
      default: ((uint8_t *)to)[i] = values[i] != 0;
    }
  }
  free(values);
}

Dataset *synthetic_dataset(Session *s, const DataPlan *plan, const DataWant *wants, uint32_t want_count, int64_t rows) {
  const int64_t available = gradc_available_memory();
  Dataset *data = mem_zero(1, sizeof *data);
  *data = (Dataset){.plan = plan, .feed_count = want_count, .train = {.rows = rows, .path = ""}, .held.path = ""};
  data->train.feeds = ARENA_ARRAY(&data->arena, DataFeed, want_count + 1);
  data->held.feeds = ARENA_ARRAY(&data->arena, DataFeed, want_count + 1);
  int64_t total = 0, count = 0;
  bool ok = true;
  for (uint32_t i = 0; i < want_count && ok; i++) {
    DataFeed *feed = &data->train.feeds[i];
    feed->want = &wants[i];
    ok = dims_size(&wants[i].shape, 1, &feed->elements) && mem_mul(feed->elements, rows, &count) && mem_add(total, count, &total) &&
         (available < 0 || total <= available / 16); /* beside the values, room to draw them in double */
    if (!ok) break;
    feed->values = mem_alloc((size_t)count * 8);
    synthetic_fill(wants[i].type, wants[i].classes, wants[i].slot, count, feed->values);
    data->held.feeds[i] = (DataFeed){.want = &wants[i], .elements = feed->elements};
  }
  if (ok) return data;
  Diag *d = diag_error(s, "data-too-large", plan->span, "%lld synthetic rows are larger than the memory that is free", (long long)rows);
  diag_hint(s, d, "draw fewer: a batch of them shows whether a model trains");
  dataset_free(data);
  return NULL;
}
