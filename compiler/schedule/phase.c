/* phase.c: kernels in phases. Within a phase threads run on without waiting for each other: a kernel may follow another
 * there only if each thread reads what it wrote itself. Everything else waits for a barrier. */
#include "fuse.h"

/* The axis that is cut: the first whose extent is not 1; -1 for a scalar. */
static int cut_axis(const Dims *d) {
  for (uint32_t i = 0; i < d->rank; i++)
    if (d->dims[i] != 1) return (int)i;
  return -1;
}

/* The shape whose first axis a group is cut by. */
static const Dims *cut_dims(const Fuse *f, const Group *g) {
  return shape_dims(f->g, g->row_rank ? g->rows : f->forms.data[g->forms.data[0]].shape);
}

/* Does the reader see, at its index i of the cut axis, only index i of the node's first axis? */
static bool reads_own_share(const Fuse *f, const Access *a, int axis) {
  const Dims *dims = node_dims(f->g, a->node);
  const int node_axis = cut_axis(dims);
  if (node_axis < 0 || node_axis >= (int)a->map.rank) return false;
  const Affine own = affine_axis((uint32_t)axis);
  /* a reshaped read has other axes than the node: its rank tells */
  if (a->map.rank != dims->rank) return false;
  for (int k = 0; k < (int)a->map.rank; k++) {
    if (k == node_axis && !affine_equal(&a->map.index[k], &own)) return false;
    if (k != node_axis && a->map.index[k].stride[axis]) return false;
  }
  return true;
}

static bool same_cut(const Fuse *f, const Group *a, const Group *b, int *axis_a) {
  const Dims *x = cut_dims(f, a), *y = cut_dims(f, b);
  const int i = cut_axis(x), j = cut_axis(y);
  *axis_a = i;
  return i >= 0 && j >= 0 && x->dims[i] == y->dims[j];
}

static bool form_in(const Fuse *f, int32_t form, uint32_t group) {
  return form >= 0 && f->forms.data[form].kernel == group;
}

static bool writes_slot(const Fuse *f, const Group *g, uint32_t buffer) {
  for (uint32_t i = 0; i < g->forms.count; i++) {
    const Form *t = &f->forms.data[g->forms.data[i]];
    for (uint32_t k = 0; k < t->store_buffers.count; k++)
      if (t->store_buffers.data[k] == buffer) return true;
  }
  return false;
}

/* Must the group wait at a barrier behind `other`, on which it depends? */
static bool needs_barrier(const Fuse *f, uint32_t group, uint32_t other) {
  const Group *g = &f->groups.data[group], *o = &f->groups.data[other];
  const bool scalar_g = cut_axis(cut_dims(f, g)) < 0, scalar_o = cut_axis(cut_dims(f, o)) < 0;
  if (scalar_g && scalar_o) return false; /* both on thread 0, in order */
  int axis, other_axis;
  if (!same_cut(f, g, o, &axis) || !same_cut(f, o, g, &other_axis)) return true;
  for (uint32_t i = 0; i < g->forms.count; i++) { /* values that o makes and g reads */
    const Form *t = &f->forms.data[g->forms.data[i]];
    for (uint32_t k = 0; k < t->accesses.count; k++) {
      const Access *a = &t->accesses.data[k];
      const int32_t made = f->form_of[a->node.id];
      if (!form_in(f, made, other)) continue;
      if (f->forms.data[made].kind != FORM_NODES || !reads_own_share(f, a, axis)) return true;
    }
  }
  for (uint32_t i = 0; i < o->forms.count; i++) { /* slots that o reads and g then overwrites */
    const Form *t = &f->forms.data[o->forms.data[i]];
    for (uint32_t k = 0; k < t->accesses.count; k++) {
      const Access *a = &t->accesses.data[k];
      if (writes_slot(f, g, a->buffer) && !reads_own_share(f, a, other_axis)) return true;
    }
  }
  return false;
}

static void place(Fuse *f, uint32_t group, uint32_t *next) {
  Group *g = &f->groups.data[group];
  if (g->place) return;
  for (uint32_t i = 0; i < g->deps.count; i++) {
    place(f, g->deps.data[i], next);
    const uint32_t phase = f->groups.data[g->deps.data[i]].phase + needs_barrier(f, group, g->deps.data[i]);
    if (phase > g->phase) g->phase = phase;
  }
  g->place = ++*next;
}

void phase_order(Fuse *f) {
  uint32_t next = 0;
  for (uint32_t i = 0; i < f->groups.count; i++) place(f, i, &next);
  f->s->phases = 0;
  for (uint32_t i = 0; i < f->groups.count; i++)
    if (f->groups.data[i].phase + 1 > f->s->phases) f->s->phases = f->groups.data[i].phase + 1;
}
