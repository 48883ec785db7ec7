/* print.c: a schedule as text: phases, launches, each kernel's stages with the reason of its strategy, memory. */
#include "schedule.h"

#include <string.h>

static void print_extent(const Extent *e, Text *out) {
  if (e->batch < 0) text_printf(out, "%lld", (long long)e->count);
  else if (e->count == 1) text_add(out, e->batch ? "batch'" : "batch");
  else text_printf(out, "%lld*%s", (long long)e->count, e->batch ? "batch'" : "batch");
}

static void print_affine(const Affine *a, Text *out) {
  bool any = false;
  for (int i = 0; i < KERNEL_MAX_AXES; i++) {
    if (!a->stride[i]) continue;
    text_printf(out, "%s%lld%s*i%d%s", any ? " + " : "", (long long)a->stride[i], a->batch[i] >= 0 ? "*batch" : "", i,
                a->grouped == i + 1 ? " by 16" : "");
    any = true;
  }
  if (a->offset || !any) text_printf(out, "%s%lld", any ? " + " : "", (long long)a->offset);
}

static void print_expr(const Stage *s, int32_t i, Text *out) {
  const Expr *e = &s->exprs.data[i];
  switch (e->kind) {
  case X_LOAD: text_printf(out, "load%d", e->a); break;
  case X_CONST: text_add_number(out, e->value); break;
  case X_INDEX: text_add(out, "("), print_affine(&e->affine, out), text_add(out, ")"); break;
  case X_RANDOM: text_printf(out, "random(%d, site %08x, ", e->a, (unsigned)e->b), print_affine(&e->affine, out), text_add(out, ")"); break;
  case X_NUMBER: text_add(out, e->a == 0 ? "step" : e->a == 1 ? "steps" : "epoch"); break;
  case X_EXTENT: text_add(out, "batch"); break;
  case X_ACC: text_add(out, e->a < 0 ? "acc" : "second"); break;
  case X_RESULT: text_printf(out, "stage%d.x%d", e->a, e->b); break;
  case X_PRIM: {
    const int32_t args[] = {e->a, e->b, e->c};
    text_printf(out, "%s", e->prim == P_CAST ? type_word((Type)e->type) : prim_info((Prim)e->prim)->word);
    for (int k = 0; k < 3 && args[k] >= 0; k++) text_printf(out, "%sx%d", k ? ", " : "(", args[k]);
    text_add(out, ")");
    break;
  }
  }
}

static void print_stage(const Stage *s, uint32_t number, Text *out) {
  static const char *const combines[] = {"", "sum", "fma", "product", "max", "min", "argmax", "scatter"};
  static const char *const orders[] = {"in order", "in lanes, then a tree", "in lanes of the outermost axis, then a tree"};
  text_printf(out, "    stage %u: par [", number);
  for (int i = 0; i < s->par; i++) text_add(out, i ? ", " : ""), print_extent(&s->axes[i], out);
  text_add(out, "] red [");
  for (int i = 0; i < s->red; i++) text_add(out, i ? ", " : ""), print_extent(&s->axes[s->par + i], out);
  text_printf(out, "] lane %d", s->lane);
  if (s->row >= 0) text_printf(out, " row %d", s->row);
  if (s->row_outer >= 0) text_printf(out, " of %d", s->row_outer);
  if (s->row >= 0) text_printf(out, "%s%s", s->pack ? " pack" : "", s->swapped ? " swapped" : "");
  text_printf(out, " (%s)\n", s->reason);
  for (uint32_t i = 0; i < s->loads.count; i++) {
    text_printf(out, "      load%u = op%u[", i, s->loads.data[i].operand);
    print_affine(&s->loads.data[i].at, out);
    if (s->loads.data[i].gather) text_printf(out, " + %lld*x%d", (long long)s->loads.data[i].gather_stride, s->loads.data[i].gather - 1);
    text_add(out, s->loads.data[i].guard_count ? "] guarded\n" : s->loads.data[i].zero_count ? "] zeros around\n" : "]\n");
  }
  for (uint32_t i = 0; i < s->exprs.count; i++) {
    text_printf(out, "      x%u: %s = ", i, type_word((Type)s->exprs.data[i].type));
    print_expr(s, (int32_t)i, out);
    text_add(out, "\n");
  }
  if (s->chunks) text_printf(out, "      by %u chunks of axis %u\n", s->chunks, s->par);
  if (s->combine == COMBINE_FMA) text_printf(out, "      acc = fma(x%d, x%d, acc) %s\n", s->before, s->before2, orders[s->order]);
  else if (s->combine == COMBINE_SCATTER) text_add(out, "      added up place by place, in order\n");
  else if (s->combine) text_printf(out, "      acc = %s of x%d, %s\n", combines[s->combine], s->before, orders[s->order]);
  if (s->combine == COMBINE_ADD && s->before2 >= 0) text_printf(out, "      second = sum of x%d\n", s->before2);
  for (uint32_t i = 0; i < s->stores.count; i++) {
    text_printf(out, "      op%u[", s->stores.data[i].operand);
    print_affine(&s->stores.data[i].at, out);
    if (s->stores.data[i].gather) text_printf(out, " + %lld*x%d", (long long)s->stores.data[i].gather_stride, s->stores.data[i].gather - 1);
    text_printf(out, "] = x%d\n", s->stores.data[i].value);
  }
}

static void print_buffer(const Schedule *s, uint32_t i, Text *out) {
  const Buffer *b = &s->buffers.data[i];
  if (b->is_slot) text_add(out, s->graph->slots.data[b->slot].name);
  else text_printf(out, "b%u", i);
}

static void print_loops(const Schedule *s, uint32_t loop, Text *out) {
  for (; loop; loop = s->loops.data[loop - 1].parent) {
    const ScheduleLoop *l = &s->loops.data[loop - 1];
    text_printf(out, ", in loop %u: phases %u..%u, %lld rounds%s", loop, l->first_phase, l->last_phase, (long long)l->length,
                l->waits ? "" : ", each thread by itself");
    if (l->going >= 0) text_printf(out, ", fewer once b%d is all false", l->going);
  }
}

void schedule_print(const Schedule *s, ScheduleExplain *explain, const void *arg, Text *out) {
  text_printf(out, "%u phases, %u launches of %u kernels; arena %lld", s->phases, s->launches.count, s->kernels.count, (long long)s->arena);
  for (int i = 0; i < GRADC_MAX_BATCHES; i++)
    if (s->arena_batch[i]) text_printf(out, " + %lld * batch%s", (long long)s->arena_batch[i], i ? "'" : "");
  for (int i = 0; i < GRADC_MAX_PAIRS; i++)
    if (s->arena_pair[i]) text_printf(out, " + %lld * %s", (long long)s->arena_pair[i], i ? "batch batch'" : "batch^2");
  text_add(out, " bytes\n");
  uint32_t phase = UINT32_MAX;
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    const Kernel *k = &s->kernels.data[l->kernel];
    if (l->phase != phase) text_printf(out, "phase %u", phase = l->phase), print_loops(s, l->loop, out), text_add(out, "\n");
    const Place p = source_place(&s->session->sources, l->span.begin);
    text_printf(out, "  %s(", k->name);
    for (uint32_t o = 0; o < k->operand_count; o++) text_add(out, o ? ", " : ""), print_buffer(s, l->operands[o], out);
    text_printf(out, ")  # %s", l->title);
    if (p.source) text_printf(out, ", %s:%u", p.source->path, p.line);
    text_add(out, k->cut == CUT_NONE ? ", one thread\n" : ", cut by ");
    if (k->cut != CUT_NONE) print_extent(&k->cut_extent, out), text_printf(out, "%s in units of %u\n", k->cut == CUT_ROWS ? " rows" : "", k->cut_unit);
  }
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    const Kernel *k = &s->kernels.data[i];
    text_printf(out, "kernel %s: %u block axes, hash %016llx\n", k->name, k->block, (unsigned long long)k->hash);
    text_printf(out, "    %s\n", k->cut_reason);
    for (uint32_t j = 0; j < k->stages.count; j++) {
      print_stage(&k->stages.data[j], j, out);
      if (explain) explain(k, j, arg, out);
    }
  }
  text_add(out, "buffers\n");
  for (uint32_t i = 0; i < s->buffers.count; i++) {
    const Buffer *b = &s->buffers.data[i];
    if (b->is_slot) continue;
    text_printf(out, "  b%u %s ", i, type_word((Type)b->type));
    print_extent(&(Extent){b->size.count, b->size.batch[0]}, out);
    if (b->pair) text_add(out, b->size.batch[1] ? "*batch'" : "*batch");
    text_printf(out, " phases %u..%u at %lld", b->first_phase, b->last_phase, (long long)b->offset);
    for (int k = 0; k < GRADC_MAX_BATCHES; k++)
      if (b->offset_batch[k]) text_printf(out, " + %lld * batch%s", (long long)b->offset_batch[k], k ? "'" : "");
    if (b->offset_pair) text_printf(out, " + %lld * %s", (long long)b->offset_pair, b->pair > 1 ? "batch batch'" : "batch^2");
    text_add(out, "\n");
  }
}
