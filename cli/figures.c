/* figures.c: see figures.h. */
#include "figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

void figures_clear(Figures *figures) {
  for (uint32_t i = 0; i < figures->all.count; i++) free(figures->all.data[i].values);
  figures->all.count = 0;
}

void figures_free(Figures *figures) {
  figures_clear(figures);
  vec_free(&figures->all);
}

static void keep_array(Figure *f, const GradcFigure *step) {
  f->rank = step->rank, f->count = 1;
  memcpy(f->dims, step->dims, sizeof f->dims);
  for (int32_t i = 0; i < f->rank; i++) f->count *= f->dims[i];
  if (!f->values) f->values = mem_alloc((size_t)(f->count + 1) * sizeof *f->values);
  if (f->count) memcpy(f->values, step->values, (size_t)f->count * sizeof *f->values);
}

void figures_add(Figures *figures, GradcModel *model) {
  const GradcFigure *step;
  const int count = gradc_figures(model, &step);
  const bool first = !figures->all.count;
  for (int i = 0; i < count; i++) {
    if (first) vec_push(&figures->all, ((Figure){.name = step[i].name, .kind = step[i].kind}));
    Figure *f = &figures->all.data[i];
    if (step[i].adds_up) {
      f->sum += step[i].sum;
      f->weight += step[i].weight;
    } else { /* it has added up by itself */
      f->sum = step[i].sum;
      f->weight = step[i].weight;
      if (step[i].rank) keep_array(f, &step[i]);
    }
  }
}

double figure_value(const Figure *f) { return f->weight == 0 ? 0 : f->sum / f->weight; }

static double total_loss(const Figures *figures, uint32_t *losses) {
  double total = 0;
  *losses = 0;
  for (uint32_t i = 0; i < figures->all.count; i++) {
    if (figures->all.data[i].kind != GRADC_OUT_LOSS) continue;
    total += figure_value(&figures->all.data[i]);
    ++*losses;
  }
  return total;
}

/* Beside the total, which is `loss`, a part needs another name. */
static const char *part_name(const Figure *f) {
  return f->kind == GRADC_OUT_LOSS && !strcmp(f->name, "loss") ? "loss_1" : f->name;
}

static void print_number(Text *out, double value) {
  const double size = fabs(value);
  if (size != 0 && (size < 1e-3 || size >= 1e5)) text_printf(out, "%.3e", value);
  else text_printf(out, "%.4f", value);
}

void figures_print(const Figures *figures, Text *out) {
  uint32_t losses;
  const double total = total_loss(figures, &losses);
  const char *space = "";
  if (losses) {
    text_add(out, "loss ");
    print_number(out, total);
    space = "  ";
  }
  for (uint32_t i = 0; i < figures->all.count; i++) {
    const Figure *f = &figures->all.data[i];
    if (f->rank || (f->kind == GRADC_OUT_LOSS && losses == 1)) continue;
    text_printf(out, "%s%s ", space, part_name(f));
    print_number(out, figure_value(f));
    space = "  ";
  }
}

/* Whole numbers, such as counts, without places; else as figures are. */
static void print_element(Text *out, double value) {
  if (value == floor(value) && fabs(value) < 1e9) text_printf(out, "%.0f", value);
  else print_number(out, value);
}

static void print_array(const Figure *f, Text *out) {
  const int64_t row = f->dims[f->rank - 1];
  size_t width = 0;
  Text cell = {0};
  for (int64_t i = 0; i < f->count; i++) {
    cell.length = 0;
    print_element(&cell, f->values[i]);
    if (cell.length > width) width = cell.length;
  }
  for (int64_t i = 0; i < f->count; i++) {
    cell.length = 0;
    print_element(&cell, f->values[i]);
    text_printf(out, "%s%*s", i % row ? " " : "\n  ", (int)width, text_get(&cell));
    if (f->rank > 2 && (i + 1) % row == 0 && (i + 1) / row % f->dims[f->rank - 2] == 0 && i + 1 < f->count)
      text_add(out, "\n");
  }
  text_free(&cell);
}

void figures_print_arrays(const Figures *figures, Text *out) {
  for (uint32_t i = 0; i < figures->all.count; i++) {
    const Figure *f = &figures->all.data[i];
    if (!f->rank) continue;
    text_printf(out, "\n%s [", f->name);
    for (int32_t k = 0; k < f->rank; k++) text_printf(out, "%s%lld", k ? ", " : "", (long long)f->dims[k]);
    text_add(out, "]");
    print_array(f, out);
  }
}

/* JSON has no NaN and no infinity: null. */
static void json_number(Text *out, double value) {
  if (isfinite(value)) text_add_number(out, value);
  else text_add(out, "null");
}

/* Lists within lists. */
static void json_array(Text *out, const Figure *f) {
  for (int64_t i = 0; i < f->count; i++) {
    int64_t size = 1;
    if (i) text_add(out, ",");
    for (int32_t k = f->rank; k-- > 0;) {
      size *= f->dims[k];
      if (i % size == 0) text_add(out, "[");
    }
    json_number(out, f->values[i]);
    size = 1;
    for (int32_t k = f->rank; k-- > 0;) {
      size *= f->dims[k];
      if ((i + 1) % size == 0) text_add(out, "]");
    }
  }
  if (!f->count) text_add(out, "[]");
}

void figures_json(const Figures *figures, Text *out) {
  uint32_t losses;
  const double total = total_loss(figures, &losses);
  text_add(out, "{");
  if (losses) {
    text_add(out, "\"loss\":");
    json_number(out, total);
  }
  for (uint32_t i = 0; i < figures->all.count; i++) {
    const Figure *f = &figures->all.data[i];
    if (f->kind == GRADC_OUT_LOSS && losses == 1 && !strcmp(f->name, "loss")) continue;
    text_printf(out, "%s\"%s\":", i || losses ? "," : "", part_name(f));
    if (f->rank) json_array(out, f);
    else json_number(out, figure_value(f));
  }
  text_add(out, "}");
}

double step_loss(GradcModel *model) {
  const GradcFigure *step;
  const int count = gradc_figures(model, &step);
  double total = 0;
  for (int i = 0; i < count; i++) {
    if (step[i].kind == GRADC_OUT_LOSS) total += step[i].value;
  }
  return total;
}
