/* figures.c: see figures.h. */
#include "figures.h"

#include <math.h>
#include <string.h>

void figures_clear(Figures *figures) { figures->all.count = 0; }
void figures_free(Figures *figures) { vec_free(&figures->all); }

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
    if (f->kind == GRADC_OUT_LOSS && losses == 1) continue;
    text_printf(out, "%s%s ", space, part_name(f));
    print_number(out, figure_value(f));
    space = "  ";
  }
}

/* JSON has no NaN and no infinity: null. */
static void json_number(Text *out, double value) {
  if (isfinite(value)) text_add_number(out, value);
  else text_add(out, "null");
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
    json_number(out, figure_value(f));
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
