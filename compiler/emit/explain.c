/* explain.c: how a stage will be emitted for a target, with the reasons, as text for the printed schedule. */
#include "jit.h"
#include "nest.h"

static void explain_sums(const TileShape *shape, Text *out) {
  if (!shape->parts) text_add(out, "whole sums");
  else text_printf(out, "sums in parts of %lld, between them in scratch (%s)", (long long)shape->depth, shape->parts_reason);
  if (shape->defer) text_printf(out, "; %lld whole rows, then what is behind the sums in the order of memory (%s)", (long long)shape->defer, shape->defer_reason);
}

static void explain_panels(const TileShape *shape, const Stage *s, unsigned lanes, Text *out) {
  const Extent columns = s->axes[s->lane];
  const int64_t width = (int64_t)shape->vectors * lanes, all = (columns.count + width - 1) / width,
                panels = columns.batch < 0 && all < shape->panels ? all : shape->panels;
  if (s->order == ORDER_GROUPS) return;
  if (shape->packed < 0) {
    text_printf(out, "; the lane operand where it is (%s)", shape->panel_reason);
    return;
  }
  text_printf(out, "; the lane operand in panels of %lld KB (%s)", (long long)(shape->panel_bytes / shape->panels + 1023) / 1024,
              shape->panel_reason);
  if (panels > 1) text_printf(out, ", %lld at once", (long long)panels);
  if (shape->beyond) text_printf(out, ", of the first %lld places", (long long)shape->depth);
  if (shape->shared) text_add(out, ", once for all outer axes");
  if (shape->packed_rows >= 0) text_add(out, "; the rows laid out too (a step of the sum goes far)");
}

static void explain_tile(const Target *t, const EmitOptions *o, const Kernel *k, const Stage *s, Text *out) {
  const TileShape shape = shape_choose(t, o, k, s);
  const unsigned registers = shape_registers(t, k, s);
  text_printf(out, "      tile of %u rows (%s) by %u vector%s (%s): %u of %u registers; ", shape.rows, shape.rows_reason, shape.vectors,
              shape.vectors > 1 ? "s" : "", shape.vectors_reason, (shape.rows + 1) * shape.vectors * registers + 1, t->vector_registers);
  explain_sums(&shape, out);
  explain_panels(&shape, s, stage_lanes(k, s), out);
  text_add(out, "\n");
}

void emit_explain(const Kernel *k, uint32_t stage, const EmitOptions *options, Text *out) {
  const Stage *s = &k->stages.data[stage];
  Target target = {0};
  if (!target_vectors(&target, options->cpu)) return;
  if (shape_fits(k, s)) explain_tile(&target, options, k, s, out);
  else if (s->combine && s->combine != COMBINE_SCATTER && s->order == ORDER_SEQUENCE && s->lane >= 0 && s->lane < s->par)
    text_add(out, "      several vectors at a time (so that sums do not wait for each other)\n");
}
