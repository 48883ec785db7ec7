/* phase.c: kernels in phases. Within a phase threads run on without waiting for each other: a kernel may follow another
 * there only if each thread reads what it wrote itself. Everything else waits for a barrier. */
#include "fuse.h"

#include <string.h>

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

/* A contraction that may be cut by its rows, which no other kernel is. */
static bool cuts_rows(const Fuse *f, const Group *g) {
  const Form *t = &f->forms.data[g->forms.data[0]];
  const Dims *d = shape_dims(f->g, t->shape);
  if (g->row_rank || t->stage.combine != COMBINE_FMA) return false;
  const int axis = cut_axis(d);
  return axis >= 0 && !dim_is_batch(d->dims[axis]) && d->dims[axis] < CUT_FEW;
}

static bool same_cut(const Fuse *f, const Group *a, const Group *b, int *axis_a) {
  const Dims *x = cut_dims(f, a), *y = cut_dims(f, b);
  if (cuts_rows(f, a) || cuts_rows(f, b)) return false;
  const int i = cut_axis(x), j = cut_axis(y);
  *axis_a = i;
  return i >= 0 && j >= 0 && x->dims[i] == y->dims[j];
}

/* Does the group make n, or a part of it? */
static bool made_in(const Fuse *f, Node n, uint32_t group) {
  for (uint32_t i = 0; f->in_places[n.id] && i < f->placed.count; i++)
    if (node_is(f->placed.data[i].target, n) && made_in(f, f->placed.data[i].source, group)) return true;
  if (f->inside[n.id].id && made_in(f, f->inside[n.id], group)) return true;
  for (uint32_t i = 0; f->form_of[n.id] >= 0 && i < f->form_count[n.id]; i++)
    if (f->forms.data[(uint32_t)f->form_of[n.id] + i].kernel == group) return true;
  return false;
}

/* Does the stage that makes n store index i of its cut axis to index i of n's? */
static bool stores_own_share(const Fuse *f, Node n) {
  if (node_prim(f->g, n) == P_CONCAT) return node_attr(f->g, n)[0] != cut_axis(node_dims(f->g, n)); /* beside each other within a share */
  if (f->in_places[n.id]) return true; /* place.c sees to it */
  switch (f->forms.data[f->form_of[n.id]].kind) {
  case FORM_NODES: case FORM_COPY: case FORM_BORDER: return true;
  default: return false;
  }
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
      if (made_in(f, a->node, other) && (!stores_own_share(f, a->node) || !reads_own_share(f, a, axis))) return true;
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

/* ---- the order of one scope: the step, or a loop's round ----
 *
 * Loops have phases of their own: what a scope holds goes by turns, a turn of kernels, a turn of loops, each as early as
 * what it needs allows. Behind a turn all threads wait. */

typedef struct {
  Fuse *f;
  int32_t *turn;      /* of groups; -1: not known yet */
  int32_t *loop_turn; /* of loops */
  uint32_t next;
} Turns;

static int32_t turn_of(Turns *t, uint32_t group);

/* Loops have odd turns. */
static int32_t turn_of_loop(Turns *t, int32_t loop) {
  if (t->loop_turn[loop] >= 0) return t->loop_turn[loop];
  const Group *begin = &t->f->groups.data[t->f->forms.data[t->f->loop_begin[loop]].kernel];
  int32_t turn = 1;
  for (uint32_t i = 0; i < begin->deps.count; i++) {
    const int32_t before = turn_of(t, begin->deps.data[i]);
    if (before + 1 > turn) turn = before + 1;
  }
  turn |= 1;
  return t->loop_turn[loop] = turn;
}

/* The loop that a mark ends, or -1. */
static int32_t ended_loop(const Fuse *f, uint32_t group) {
  for (uint32_t i = 0; i < f->loops.list.count; i++)
    if (f->loop_end[i] >= 0 && f->forms.data[f->loop_end[i]].kernel == group) return (int32_t)i;
  return -1;
}

/* Of a mark: the last turn that it stands for. */
static int32_t turn_of(Turns *t, uint32_t group) {
  const Group *g = &t->f->groups.data[group];
  if (g->mark) {
    const int32_t loop = ended_loop(t->f, group);
    return loop < 0 ? -1 : turn_of_loop(t, loop); /* the scope's own beginning is behind everything */
  }
  if (t->turn[group] >= 0) return t->turn[group];
  int32_t turn = 0;
  for (uint32_t i = 0; i < g->deps.count; i++) {
    const int32_t before = turn_of(t, g->deps.data[i]);
    if (before > turn) turn = before;
  }
  turn += turn & 1;
  return t->turn[group] = turn;
}

/* Kernels of one turn. */
static void place(Turns *t, uint32_t group) {
  Fuse *f = t->f;
  Group *g = &f->groups.data[group];
  if (g->place) return;
  for (uint32_t i = 0; i < g->deps.count; i++) {
    const uint32_t dep = g->deps.data[i];
    const Group *d = &f->groups.data[dep];
    if (d->mark || d->loop != g->loop || t->turn[dep] != t->turn[group]) continue;
    place(t, dep);
    const uint32_t phase = d->phase + needs_barrier(f, group, dep);
    if (phase > g->phase) g->phase = phase;
  }
  g->place = ++t->next;
}

/* Does another thread's part of a round read what this one's handed on? */
static bool carry_crosses(const Fuse *f, const Group *g, const Access *a) {
  const uint32_t buffer = a->buffer;
  for (uint32_t i = 0; i < f->groups.count; i++) {
    const Group *w = &f->groups.data[i];
    int axis;
    if (w->mark || w->loop != g->loop || !writes_slot(f, w, buffer)) continue;
    const bool scalar = cut_axis(cut_dims(f, g)) < 0, scalar_w = cut_axis(cut_dims(f, w)) < 0;
    if (scalar && scalar_w) continue;
    if (!same_cut(f, g, w, &axis) || !reads_own_share(f, a, axis)) return true;
  }
  return false;
}

static bool must_wait(const Fuse *f, int32_t loop, bool one_phase) {
  if (!one_phase) return true;
  for (uint32_t i = 0; i < f->loops.list.count; i++)
    if (f->loops.list.data[i].parent == loop && f->loop_begin[i] >= 0) return true;
  for (uint32_t i = 0; i < f->groups.count; i++) {
    const Group *g = &f->groups.data[i];
    for (uint32_t k = 0; k < g->forms.count && g->loop == loop && !g->mark; k++) {
      const Form *t = &f->forms.data[g->forms.data[k]];
      for (uint32_t a = 0; a < t->accesses.count; a++)
        if (node_prim(f->g, t->accesses.data[a].node) == P_CARRY && carry_crosses(f, g, &t->accesses.data[a])) return true;
    }
  }
  return false;
}

static uint32_t order_scope(Turns *t, int32_t scope, uint32_t phase);

static uint32_t order_loop(Turns *t, int32_t loop, uint32_t phase) {
  Fuse *f = t->f;
  const LoopInfo *info = &f->loops.list.data[loop];
  const uint32_t end = order_scope(t, loop, phase);
  ScheduleLoop *l = &f->s->loops.data[loop];
  *l = (ScheduleLoop){.length = info->length, .parent = (uint32_t)(info->parent + 1), .depth = info->depth - 1,
                      .first_phase = phase, .last_phase = end > phase ? end - 1 : phase,
                      .waits = must_wait(f, loop, end <= phase + 1), .span = node_data(f->g, info->token)->span};
  return end;
}

static bool group_in_scope(const Group *g, int32_t scope) { return g->loop == scope && !g->mark; }

/* Phases from `phase` on; the first that is free behind them. */
static uint32_t order_scope(Turns *t, int32_t scope, uint32_t phase) {
  Fuse *f = t->f;
  int32_t last = 0;
  for (uint32_t i = 0; i < f->groups.count; i++)
    if (group_in_scope(&f->groups.data[i], scope) && turn_of(t, i) > last) last = turn_of(t, i);
  for (uint32_t i = 0; i < f->loops.list.count; i++)
    if (f->loops.list.data[i].parent == scope && f->loop_begin[i] >= 0 && turn_of_loop(t, (int32_t)i) > last)
      last = turn_of_loop(t, (int32_t)i);
  for (int32_t turn = 0; turn <= last; turn++) {
    uint32_t end = phase;
    for (uint32_t i = 0; i < f->groups.count && !(turn & 1); i++) {
      Group *g = &f->groups.data[i];
      if (!group_in_scope(g, scope) || t->turn[i] != turn) continue;
      place(t, i);
      if (phase + g->phase + 1 > end) end = phase + g->phase + 1;
    }
    for (uint32_t i = 0; i < f->groups.count && !(turn & 1); i++) /* they counted from 0 */
      if (group_in_scope(&f->groups.data[i], scope) && t->turn[i] == turn) f->groups.data[i].phase += phase;
    for (uint32_t i = 0; i < f->loops.list.count && turn & 1; i++)
      if (f->loops.list.data[i].parent == scope && f->loop_begin[i] >= 0 && t->loop_turn[i] == turn)
        end = order_loop(t, (int32_t)i, end);
    phase = end;
  }
  return phase;
}

void phase_order(Fuse *f) {
  Turns t = {.f = f, .turn = mem_alloc((f->groups.count + 1) * sizeof *t.turn),
             .loop_turn = mem_alloc((f->loops.list.count + 1) * sizeof *t.loop_turn)};
  memset(t.turn, -1, (f->groups.count + 1) * sizeof *t.turn);
  memset(t.loop_turn, -1, (f->loops.list.count + 1) * sizeof *t.loop_turn);
  for (uint32_t i = 0; i < f->loops.list.count; i++) vec_push(&f->s->loops, ((ScheduleLoop){0}));
  f->s->phases = order_scope(&t, -1, 0);
  for (uint32_t i = 0; i < f->groups.count; i++)
    if (f->groups.data[i].mark) f->groups.data[i].place = ++t.next;
  free(t.turn), free(t.loop_turn);
}
