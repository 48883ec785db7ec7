/* group.c: which stages share a kernel. A row kernel is a loop over rows with stages inside: reductions along the row,
 * maps over it, numbers of the row between them. Contractions and sums over rows stay alone. */
#include "fuse.h"

#include <string.h>

/* Forms in an order in which dependencies come first. */
static void sort_forms(Fuse *f, uint32_t *order) {
  const uint32_t n = f->forms.count;
  uint32_t done = 0;
  bool *ready = mem_zero(n, 1);
  while (done < n) { /* always the first one that is ready: keeps the order of the source */
    const uint32_t before = done;
    for (uint32_t i = 0; i < n; i++) {
      if (ready[i]) continue;
      bool all = true;
      for (uint32_t k = 0; all && k < f->forms.data[i].deps.count; k++) all = ready[f->forms.data[i].deps.data[k]];
      if (all) ready[i] = true, order[done++] = i;
    }
    if (done == before) DIAG_BUG(f->s->session, ((Span){0}), "stages depend on each other in a circle");
  }
  free(ready);
}

static bool group_reaches(Fuse *f, uint32_t from, uint32_t to) {
  Group *g = &f->groups.data[from];
  if (from == to) return true;
  if (g->seen == f->mark_count) return false;
  g->seen = f->mark_count;
  for (uint32_t i = 0; i < g->deps.count; i++)
    if (group_reaches(f, g->deps.data[i], to)) return true;
  return false;
}

static bool is_row_reduction(const Form *t) {
  return t->kind == FORM_NODES && t->anchor.id && t->stage.combine != COMBINE_FMA && t->stage.order == ORDER_LANES;
}
static bool is_map(const Form *t) { return t->kind == FORM_NODES && !t->anchor.id; }

static bool is_own_row(const Access *a, uint32_t rank) {
  if (a->map.rank < rank) return false;
  for (uint32_t k = 0; k < a->map.rank; k++) {
    const Affine own = affine_axis(k);
    if (k < rank && !affine_equal(&a->map.index[k], &own)) return false;
    for (uint32_t r = 0; k >= rank && r < rank; r++)
      if (a->map.index[k].stride[r]) return false;
  }
  return true;
}

/* Does every read of t that the group makes stay in t's own row, and every read of the group's of a slot that t overwrites? */
static bool stays_in_row(const Fuse *f, const Form *t, uint32_t group, uint32_t rank) {
  for (uint32_t i = 0; i < t->accesses.count; i++) {
    const int32_t made = f->form_of[t->accesses.data[i].node.id];
    if (made >= 0 && f->forms.data[made].kernel == group && !is_own_row(&t->accesses.data[i], rank)) return false;
  }
  for (uint32_t i = 0; i < f->groups.data[group].forms.count; i++) {
    const Form *other = &f->forms.data[f->groups.data[group].forms.data[i]];
    for (uint32_t a = 0; a < other->accesses.count; a++)
      for (uint32_t k = 0; k < t->store_buffers.count; k++)
        if (other->accesses.data[a].buffer == t->store_buffers.data[k] && !is_own_row(&other->accesses.data[a], rank)) return false;
  }
  return true;
}

/* Is each dependency of t on the group a read of a value (and not merely an order)? */
static bool depends_by_reading(const Fuse *f, const Form *t, uint32_t group) {
  for (uint32_t i = 0; i < t->deps.count; i++) {
    const uint32_t d = t->deps.data[i];
    if (f->forms.data[d].kernel != group) continue;
    bool read = false;
    for (uint32_t k = 0; !read && k < t->accesses.count; k++) {
      const int32_t made = f->form_of[t->accesses.data[k].node.id];
      read = made >= 0 && (uint32_t)made == d;
    }
    if (!read) return false;
  }
  return true;
}

static bool shape_starts_with(const Fuse *f, Shape shape, Shape rows) {
  const Dims *a = shape_dims(f->g, shape), *b = shape_dims(f->g, rows);
  if (a->rank < b->rank) return false;
  for (uint32_t i = 0; i < b->rank; i++)
    if (a->dims[i] != b->dims[i]) return false;
  return true;
}

static bool has_row_reduction(const Fuse *f, const Group *g) {
  for (uint32_t i = 0; i < g->forms.count; i++)
    if (is_row_reduction(&f->forms.data[g->forms.data[i]])) return true;
  return false;
}

/* The rows that t and the group would share; false where they share none. */
static bool common_rows(const Fuse *f, const Form *t, const Group *g, Shape *rows) {
  if (has_row_reduction(f, g)) {
    *rows = g->rows;
    return is_row_reduction(t) ? t->shape.id == g->rows.id : shape_starts_with(f, t->shape, g->rows);
  }
  if (!is_row_reduction(t) || g->forms.count != 1) return false; /* two maps: no rows between them */
  *rows = t->shape;
  return shape_starts_with(f, g->rows, t->shape);
}

static bool may_enter(Fuse *f, const Form *t, uint32_t group, Shape *rows) {
  const Group *g = &f->groups.data[group];
  if (!g->open || g->loop != t->loop || g->operands + t->operands > KERNEL_MAX_OPERANDS) return false;
  const bool scalars = shape_dims(f->g, g->rows)->rank == 0;
  if (scalars) {
    *rows = g->rows;
    if (!is_map(t) || shape_dims(f->g, t->shape)->rank) return false;
  } else if (!common_rows(f, t, g, rows) || shape_dims(f->g, *rows)->rank == 0) {
    return false;
  }
  if (!stays_in_row(f, t, group, shape_dims(f->g, *rows)->rank) || !depends_by_reading(f, t, group)) return false;
  bool circle = false;
  f->mark_count++;
  for (uint32_t i = 0; !circle && i < t->deps.count; i++) {
    const uint32_t other = f->forms.data[t->deps.data[i]].kernel;
    circle = other != group && group_reaches(f, other, group);
  }
  return !circle;
}

/* The groups that read each buffer: chains through `list`, the last one first. */
typedef struct { uint32_t group; int32_t next; } Reader;
typedef struct {
  Vec(Reader) list;
  int32_t *last; /* by buffer; -1: none */
} Readers;

static void readers_add(Readers *r, const Form *t, uint32_t group) {
  for (uint32_t i = 0; i < t->accesses.count; i++) {
    int32_t *last = &r->last[t->accesses.data[i].buffer];
    if (*last >= 0 && r->list.data[*last].group == group) continue;
    vec_push(&r->list, ((Reader){group, *last}));
    *last = (int32_t)r->list.count - 1;
  }
}

/* The last group with reductions of rows that reads a value which t reads too, and that t may enter; or -1. */
static int64_t find_reading(Fuse *f, const Readers *readers, const Form *t, Shape *rows) {
  int64_t best = -1;
  for (uint32_t k = 0; k < t->accesses.count; k++)
    for (int32_t i = readers->last[t->accesses.data[k].buffer]; i >= 0; i = readers->list.data[i].next) {
      const uint32_t group = readers->list.data[i].group;
      Shape r;
      if ((int64_t)group > best && has_row_reduction(f, &f->groups.data[group]) && may_enter(f, t, group, &r)) best = group, *rows = r;
    }
  return best;
}

/* Where the border of a PAD goes: to the map that makes what lies inside, example by example; else all its sides to one kernel. */
static int64_t find_border(Fuse *f, const Form *t, Shape *rows) {
  const Dims batch = {.rank = 1, .dims = {shape_dims(f->g, t->shape)->dims[0]}};
  *rows = shape_of((Graph *)f->g, &batch);
  const Form *inside = &f->forms.data[f->form_of[f->inside[t->anchor.id].id]];
  Group *g = &f->groups.data[inside->kernel];
  bool maps = true;
  for (uint32_t i = 0; i < g->forms.count; i++) {
    const Form *other = &f->forms.data[g->forms.data[i]];
    maps &= (is_map(other) || other->kind == FORM_BORDER) && shape_dims(f->g, other->shape)->dims[0] == batch.dims[0];
  }
  if (maps && (g->forms.count == 1 || !g->open) && g->operands + 1 <= KERNEL_MAX_OPERANDS) {
    g->open = false;
    return inside->kernel;
  }
  const Form *first = &f->forms.data[f->form_of[t->anchor.id]];
  return first->kernel == UINT32_MAX ? -1 : (int64_t)first->kernel;
}

/* The last group that t reads from and may enter; else, for a reduction of a row, one over the same rows of the same
 * values; for a number of the step that reads nothing, the group of such numbers. */
static int64_t find_group(Fuse *f, const Readers *readers, const Form *t, int64_t numbers, Shape *rows) {
  if (!is_map(t) && !is_row_reduction(t)) return -1;
  int64_t best = -1;
  for (uint32_t i = 0; i < t->deps.count; i++) {
    const uint32_t group = f->forms.data[t->deps.data[i]].kernel;
    Shape r;
    if ((int64_t)group > best && may_enter(f, t, group, &r)) best = group, *rows = r;
  }
  if (best < 0 && is_row_reduction(t)) best = find_reading(f, readers, t, rows);
  if (best < 0 && numbers >= 0 && !t->deps.count && may_enter(f, t, (uint32_t)numbers, rows)) best = numbers;
  return best;
}

void group_forms(Fuse *f) {
  const uint32_t n = f->forms.count;
  uint32_t *order = mem_alloc(n * sizeof *order);
  int64_t numbers = -1;
  Readers readers = {.last = mem_alloc((f->s->buffers.count + 1) * sizeof *readers.last)};
  memset(readers.last, -1, (f->s->buffers.count + 1) * sizeof *readers.last);
  sort_forms(f, order);
  for (uint32_t i = 0; i < n; i++) f->forms.data[i].kernel = UINT32_MAX;
  for (uint32_t i = 0; i < n; i++) {
    Form *t = &f->forms.data[order[i]];
    Shape rows = t->shape;
    int64_t group = t->kind == FORM_BORDER ? find_border(f, t, &rows) : find_group(f, &readers, t, numbers, &rows);
    if (group < 0) {
      group = f->groups.count;
      vec_push(&f->groups, ((Group){.rows = t->shape, .loop = t->loop, .open = is_map(t) || is_row_reduction(t),
                                     .mark = t->kind == FORM_BEGIN || t->kind == FORM_END}));
      if (t->loop < 0 && is_map(t) && !t->deps.count && !shape_dims(f->g, t->shape)->rank) numbers = group;
    } else {
      f->groups.data[group].rows = rows;
    }
    t->kernel = (uint32_t)group;
    readers_add(&readers, t, t->kernel);
    vec_push(&f->groups.data[group].forms, order[i]);
    f->groups.data[group].operands += t->operands;
    for (uint32_t k = 0; k < t->deps.count; k++) {
      const uint32_t other = f->forms.data[t->deps.data[k]].kernel;
      if (other != (uint32_t)group) vec_push(&f->groups.data[group].deps, other);
    }
  }
  for (uint32_t i = 0; i < f->groups.count; i++)
    f->groups.data[i].row_rank = f->groups.data[i].forms.count > 1 ? shape_dims(f->g, f->groups.data[i].rows)->rank : 0;
  free(order), free(readers.last);
  vec_free(&readers.list);
}
