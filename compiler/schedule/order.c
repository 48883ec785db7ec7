/* order.c: an order of the stages in which each comes behind those that it depends on, kept up while stages and dependencies
 * are added (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", 2007). By it "does a depend
 * on b?" looks only at what lies between the two; in a network of many layers that is next to nothing. */
#include "fuse.h"

#include <stdlib.h>
#include <string.h>

/* Places with the stages that have them: place * 2^32 + stage. */
typedef Vec(uint64_t) Places;

void form_enter(Fuse *f, uint32_t form) {
  f->forms.data[form].order = form;
  f->mark = mem_resize(f->mark, f->forms.capacity * sizeof *f->mark);
  f->mark[form] = 0;
}

/* Adds `form` and what it depends on (`up`: what depends on it) between two places. */
static void reach(Fuse *f, uint32_t form, bool up, uint32_t low, uint32_t high, Places *found) {
  const Form *t = &f->forms.data[form];
  if (f->mark[form] == f->mark_count || t->order < low || t->order > high) return;
  f->mark[form] = f->mark_count;
  vec_push(found, (uint64_t)t->order << 32 | form);
  const uint32_t n = up ? t->users.count : t->deps.count;
  for (uint32_t i = 0; i < n; i++) reach(f, up ? t->users.data[i] : t->deps.data[i], up, low, high, found);
}

static int by_place(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* `form`, and what depends on it, move behind `dep` and what that depends on, within the places that they all have. */
static void reorder(Fuse *f, uint32_t form, uint32_t dep) {
  const uint32_t low = f->forms.data[form].order, high = f->forms.data[dep].order;
  Places all = {0};
  f->mark_count++;
  reach(f, dep, false, low, high, &all);
  const uint32_t first = all.count;
  f->mark_count++;
  reach(f, form, true, low, high, &all);
  qsort(all.data, first, sizeof *all.data, by_place);
  qsort(all.data + first, all.count - first, sizeof *all.data, by_place);
  uint64_t *free_places = mem_alloc(all.count * sizeof *free_places);
  memcpy(free_places, all.data, all.count * sizeof *free_places);
  qsort(free_places, all.count, sizeof *free_places, by_place);
  for (uint32_t i = 0; i < all.count; i++) f->forms.data[(uint32_t)all.data[i]].order = (uint32_t)(free_places[i] >> 32);
  free(free_places);
  vec_free(&all);
}

void form_add_dep(Fuse *f, uint32_t form, uint32_t dep) {
  Form *t = &f->forms.data[form];
  for (uint32_t i = 0; i < t->deps.count; i++)
    if (t->deps.data[i] == dep) return;
  if (f->forms.data[dep].order > t->order) reorder(f, form, dep);
  vec_push(&t->deps, dep);
  vec_push(&f->forms.data[dep].users, form);
}

static bool depends(Fuse *f, uint32_t a, uint32_t b) {
  if (a == b) return true;
  if (f->forms.data[a].order < f->forms.data[b].order || f->mark[a] == f->mark_count) return false;
  f->mark[a] = f->mark_count;
  for (uint32_t i = 0; i < f->forms.data[a].deps.count; i++)
    if (depends(f, f->forms.data[a].deps.data[i], b)) return true;
  return false;
}

bool form_depends(Fuse *f, uint32_t a, uint32_t b) {
  f->mark_count++;
  return depends(f, a, b);
}
