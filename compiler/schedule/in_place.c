/* in_place.c: may a launch store a value where it reads another one, which nobody reads behind it? If each element is stored
 * where the same point of the kernel's loops has read, or read earlier in the same row: then nothing is overwritten that is still
 * wanted. */
#include "fuse.h"

#include <string.h>

bool touches_own_row(const Kernel *k, uint16_t operand, int64_t row) {
  for (uint32_t j = 0; j < k->stages.count; j++) {
    const Stage *s = &k->stages.data[j];
    for (uint32_t i = 0; i < s->loads.count + s->stores.count; i++) {
      const bool load = i < s->loads.count;
      const Load *l = load ? &s->loads.data[i] : NULL;
      const Store *t = load ? NULL : &s->stores.data[i - s->loads.count];
      const Affine *at = load ? &l->at : &t->at;
      if ((load ? l->operand : t->operand) != operand) continue;
      if ((load ? l->gather : t->gather) || (load && l->guard_count) || at->grouped || at->stride[0] != row || at->batch[0] >= 0) return false;
      int64_t least = at->offset, most = at->offset;
      for (int a = 1; a < s->par + s->red; a++) {
        if (!at->stride[a]) continue;
        if (s->axes[a].batch >= 0 || at->batch[a] >= 0) return false;
        *(at->stride[a] > 0 ? &most : &least) += at->stride[a] * (s->axes[a].count - 1);
      }
      if (least < 0 || most >= row) return false;
    }
  }
  return true;
}

static bool same_place(const Stage *a, const Affine *x, const Stage *b, const Affine *y) {
  if (x->offset != y->offset || x->grouped || y->grouped || a->par + a->red != b->par + b->red) return false;
  for (int i = 0; i < a->par + a->red; i++)
    if (x->stride[i] != y->stride[i] || x->batch[i] != y->batch[i] || a->axes[i].count != b->axes[i].count || a->axes[i].batch != b->axes[i].batch)
      return false;
  return true;
}

/* Is the load a part of what is combined? */
static bool is_combined(const Stage *s, int32_t expr, uint32_t load) {
  if (expr < 0) return false;
  const Expr *x = &s->exprs.data[expr];
  if (x->kind == X_LOAD) return x->a == (int32_t)load || is_combined(s, s->loads.data[x->a].gather - 1, load);
  return x->kind == X_PRIM && (is_combined(s, x->a, load) || is_combined(s, x->b, load) || is_combined(s, x->c, load));
}

/* The one store to the operand; NULL: none, or several. *stage: where it is. */
static const Store *only_store(const Kernel *k, uint16_t operand, uint32_t *stage) {
  const Store *found = NULL;
  for (uint32_t j = 0; j < k->stages.count; j++)
    for (uint32_t i = 0; i < k->stages.data[j].stores.count; i++) {
      const Store *t = &k->stages.data[j].stores.data[i];
      if (t->before || t->gather) return NULL;
      if (t->operand != operand) continue;
      if (found) return NULL;
      found = t, *stage = j;
    }
  return found;
}

/* Does the stage touch x where y is stored in `last`, and, where it is this one, before its sum is done or at the very point? */
static bool before_store(const Kernel *k, uint32_t number, uint16_t x, const Store *y, uint32_t last) {
  const Stage *s = &k->stages.data[number], *end = &k->stages.data[last];
  for (uint32_t i = 0; i < s->loads.count; i++) {
    const Load *l = &s->loads.data[i];
    if (l->operand != x) continue;
    if (number > last || l->gather || l->guard_count || !same_place(s, &l->at, end, &y->at)) return false;
    if (number == last && (is_combined(s, s->before, i) || is_combined(s, s->before2, i))) return false;
  }
  for (uint32_t i = 0; i < s->stores.count; i++) {
    const Store *t = &s->stores.data[i];
    if (t->operand == x && (number >= last || !same_place(s, &t->at, end, &y->at))) return false;
  }
  return true;
}

static uint32_t operand_of(const Launch *l, const Kernel *k, uint32_t buffer) {
  uint32_t found = UINT32_MAX;
  for (uint32_t i = 0; i < k->operand_count; i++) {
    if (l->operands[i] != buffer) continue;
    if (found != UINT32_MAX) return UINT32_MAX;
    found = i;
  }
  return found;
}

bool in_place(const Schedule *s, uint32_t launch, uint32_t x, uint32_t y) {
  const Launch *l = &s->launches.data[launch];
  const Kernel *k = &s->kernels.data[l->kernel];
  const uint32_t from = operand_of(l, k, x), to = operand_of(l, k, y);
  uint32_t last = 0;
  if (from == UINT32_MAX || to == UINT32_MAX || k->operand_type[from] != k->operand_type[to]) return false;
  if (k->stages.count > 1 && !k->block) return false;
  const Store *store = only_store(k, (uint16_t)to, &last);
  if (!store || k->stages.data[last].combine == COMBINE_SCATTER || k->stages.data[last].chunks) return false;
  for (uint32_t j = 0; j < k->stages.count; j++) {
    const Stage *t = &k->stages.data[j];
    if (!before_store(k, j, (uint16_t)from, store, last)) return false;
    for (uint32_t i = 0; i < t->loads.count; i++) /* y is not read before it is there */
      if (t->loads.data[i].operand == to && j <= last) return false;
  }
  return true;
}
