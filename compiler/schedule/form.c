/* form.c: from kept values to stages. A reduction or contraction anchors a stage; an elementwise value of its shape that
 * reads it goes into the same stage, after the reduction, and so do updates of parameters behind a weight gradient. */
#include "fuse.h"

#include <string.h>

void form_follow(Fuse *f, uint32_t form, uint32_t dep) {
  while (!loop_within(&f->loops, f->forms.data[form].loop, f->forms.data[dep].loop))
    dep = (uint32_t)f->loop_end[f->forms.data[dep].loop];
  while (f->forms.data[form].loop != f->forms.data[dep].loop)
    form = (uint32_t)f->loop_begin[f->forms.data[form].loop];
  if (form != dep) form_add_dep(f, form, dep);
}

/* What an expression reads. `identity`: reached through elementwise nodes alone, so at the same index. */
typedef struct {
  Node node;
  bool identity;
} Leaf;
typedef Vec(Leaf) Leaves;

static void add_leaf(Leaves *l, Node n, bool identity) {
  for (uint32_t i = 0; i < l->count; i++)
    if (node_is(l->data[i].node, n) && l->data[i].identity == identity) return;
  vec_push(l, ((Leaf){n, identity}));
}

/* The kept nodes and slots below the inputs of n; recursion is bounded by keep.c's limit on expressions. */
static void leaves_below(const Fuse *f, Node n, bool identity, Leaves *out) {
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    const bool same = identity && (node_has(f->g, n, K_ELEMENTWISE) || node_has(f->g, n, K_IDENTITY));
    if (f->kept[in.id] || node_prim(f->g, in) == P_SLOT) add_leaf(out, in, same);
    else leaves_below(f, in, same, out);
  }
}

static uint32_t new_form(Fuse *f, FormKind kind, Node anchor, Shape shape, int32_t loop) {
  vec_push(&f->forms,
           ((Form){.kind = kind, .anchor = anchor, .shape = shape, .loop = loop, .to_slot = -1, .anchor_expr = -1}));
  const uint32_t made = f->forms.count - 1;
  form_enter(f, made);
  if (loop >= 0) form_add_dep(f, made, (uint32_t)f->loop_begin[loop]);
  return made;
}

/* A loop begins before the first stage of its rounds. */
static void begin_loop(Fuse *f, int32_t loop) {
  if (loop < 0 || f->loop_begin[loop] >= 0) return;
  const int32_t parent = f->loops.list.data[loop].parent;
  begin_loop(f, parent);
  f->loop_begin[loop] = (int32_t)new_form(f, FORM_BEGIN, NODE_NONE, (Shape){0}, parent);
}

static void depend_on(Fuse *f, uint32_t form, Node n) {
  for (uint32_t i = 0; f->in_places[n.id] && i < f->placed.count; i++)
    if (node_is(f->placed.data[i].target, n)) depend_on(f, form, f->placed.data[i].source);
  if (f->form_of[n.id] < 0) return;
  for (uint32_t i = 0; i < f->form_count[n.id]; i++)
    if ((uint32_t)f->form_of[n.id] + i != form) form_follow(f, form, (uint32_t)f->form_of[n.id] + i);
  if (f->inside[n.id].id) depend_on(f, form, f->inside[n.id]);
}

static void depend_below(Fuse *f, uint32_t form, Node n) {
  Leaves leaves = {0};
  leaves_below(f, n, true, &leaves);
  f->forms.data[form].operands += leaves.count + 2;
  for (uint32_t i = 0; i < leaves.count; i++) depend_on(f, form, leaves.data[i].node);
  vec_free(&leaves);
}

/* Is n made in places, or inside of a border, by a stage that depends on stage s? */
static bool is_placed_behind(Fuse *f, Node n, uint32_t s) {
  for (uint32_t i = 0; f->in_places[n.id] && i < f->placed.count; i++) {
    const Node source = f->placed.data[i].source;
    if (node_is(f->placed.data[i].target, n) && f->form_of[source.id] >= 0 && form_depends(f, (uint32_t)f->form_of[source.id], s)) return true;
  }
  const Node inside = f->inside[n.id];
  return inside.id && f->form_of[inside.id] >= 0 && form_depends(f, (uint32_t)f->form_of[inside.id], s);
}

/* May the elementwise node with these leaves be computed in stage s? Everything else that it reads must come before. */
static bool may_join(Fuse *f, uint32_t s, const Leaves *leaves) {
  if (f->forms.data[s].operands + leaves->count + 2 > FORM_MOST_OPERANDS) return false;
  for (uint32_t i = 0; i < leaves->count; i++) {
    const Node n = leaves->data[i].node;
    const int32_t made = f->form_of[n.id];
    if (is_placed_behind(f, n, s)) return false;
    if (made < 0) continue;
    if ((uint32_t)made == s) {
      if (!leaves->data[i].identity) return false;
      continue;
    }
    for (uint32_t k = 0; k < f->form_count[n.id]; k++)
      if (form_depends(f, (uint32_t)made + k, s)) return false;
  }
  return true;
}

static bool takes_nodes(const Fuse *f, uint32_t s, Shape shape, int32_t loop) {
  const Form *t = &f->forms.data[s];
  return t->kind == FORM_NODES && t->shape.id == shape.id && t->loop == loop;
}

/* The stage that an elementwise node goes into, or -1: first one whose contraction it reads, then any whose value of the
 * same shape it reads, then a map over the same shape that reads the same values, and at last, within a round, one that
 * reads other parts of the same values: gates. */
static int32_t find_home(Fuse *f, Node n, const Leaves *leaves, const int32_t *map_reader) {
  const Shape shape = node_shape(f->g, n);
  const int rounds = loop_of(&f->loops, n) < 0 ? 3 : 4;
  for (int round = 0; round < rounds; round++)
    for (uint32_t i = 0; i < leaves->count; i++) {
      const Leaf l = leaves->data[i];
      if (l.identity != (round < 3)) continue;
      const int32_t s = round < 2 ? f->form_of[l.node.id] : map_reader[l.node.id];
      if (s < 0 || !takes_nodes(f, (uint32_t)s, shape, loop_of(&f->loops, n))) continue;
      const Node anchor = f->forms.data[s].anchor;
      if (round == 0 && !(anchor.id && node_has(f->g, anchor, K_CONTRACTION))) continue;
      if (may_join(f, (uint32_t)s, leaves)) return s;
    }
  return -1;
}

static void place_elementwise(Fuse *f, Node n, int32_t *map_reader) {
  Leaves leaves = {0};
  leaves_below(f, n, true, &leaves);
  int32_t home = find_home(f, n, &leaves, map_reader);
  if (home < 0) home = (int32_t)new_form(f, FORM_NODES, NODE_NONE, node_shape(f->g, n), loop_of(&f->loops, n));
  vec_push(&f->forms.data[home].nodes, n);
  f->forms.data[home].operands += leaves.count + 2; /* what it reads; its own place, a slot */
  f->form_of[n.id] = home;
  f->form_count[n.id] = 1;
  for (uint32_t i = 0; i < leaves.count; i++) {
    depend_on(f, (uint32_t)home, leaves.data[i].node);
    const bool part = loop_of(&f->loops, n) >= 0 && loop_of(&f->loops, leaves.data[i].node) == loop_of(&f->loops, n);
    if ((leaves.data[i].identity || part) && !f->forms.data[home].anchor.id) map_reader[leaves.data[i].node.id] = home;
  }
  vec_free(&leaves);
}

static void place_parts(Fuse *f, Node n, FormKind kind, uint32_t count) {
  f->form_of[n.id] = (int32_t)f->forms.count;
  f->form_count[n.id] = count;
  for (uint32_t i = 0; i < count; i++) {
    const Node in = node_in(f->g, n, kind == FORM_PART ? i : 0);
    const bool fill = kind == FORM_FILL && i == 0;
    const uint32_t s = new_form(f, kind == FORM_PART ? FORM_PART : fill ? FORM_FILL : FORM_PUT, n,
                                fill ? node_shape(f->g, n) : node_shape(f->g, in), loop_of(&f->loops, n));
    f->forms.data[s].part = i;
    if (fill) continue;
    if (kind == FORM_FILL) form_add_dep(f, s, s - 1);
    if (f->kept[in.id]) depend_on(f, s, in);
    else depend_below(f, s, in);
  }
}

/* The stage of a round that makes all parts of a concat, and stores them side by side; or -1. */
static int32_t home_of_parts(Fuse *f, Node n) {
  const int32_t loop = loop_of(&f->loops, n), home = loop < 0 ? -1 : form_making(f, node_in(f->g, n, 0), loop);
  if (home < 0 || node_attr(f->g, n)[0] == 0) return -1;
  for (uint32_t i = 0; i < node_data(f->g, n)->count; i++) {
    const Node in = node_in(f->g, n, i);
    if (node_prim(f->g, in) == P_CONCAT || form_making(f, in, loop) != home) return -1;
  }
  if (f->forms.data[home].operands + 2 > FORM_MOST_OPERANDS) return -1;
  f->forms.data[home].operands += 2;
  return home;
}

static void place_concat(Fuse *f, Node n) {
  const int32_t home = home_of_parts(f, n);
  if (home < 0) {
    place_parts(f, n, FORM_PART, node_data(f->g, n)->count);
    return;
  }
  f->form_of[n.id] = home;
  f->form_count[n.id] = 1;
}

/* Zeros, then the sums, which lie in the rows that the index names. The stage's par axes are the pairs and the rest. */
static void place_scatter(Fuse *f, Node n) {
  const uint32_t pairs = (uint32_t)node_attr(f->g, n)[0];
  const Dims *dims = node_dims(f->g, n);
  Dims columns = {0};
  for (uint32_t i = 0; i < dims->rank; i++)
    if (i != pairs) columns.dims[columns.rank++] = dims->dims[i];
  f->form_of[n.id] = (int32_t)f->forms.count;
  f->form_count[n.id] = 2;
  new_form(f, FORM_FILL, n, node_shape(f->g, n), loop_of(&f->loops, n));
  const uint32_t s = new_form(f, FORM_SCATTER, n, shape_of((Graph *)f->g, &columns), loop_of(&f->loops, n));
  form_add_dep(f, s, s - 1);
  depend_below(f, s, n);
}

/* Side by side, so that each place is stored once: what lies beyond an axis spans the later ones whole. */
static void place_border(Fuse *f, Node pad) {
  const Graph *g = f->g;
  const int64_t *around = node_attr(g, pad);
  f->form_of[pad.id] = (int32_t)f->forms.count;
  for (uint32_t axis = 0; axis < node_rank(g, pad); axis++)
    for (uint32_t side = 0; side < 2; side++) {
      Dims dims = *node_dims(g, pad);
      for (uint32_t i = 0; i < axis; i++) dims.dims[i] = node_dims(g, f->inside[pad.id])->dims[i];
      if (!(dims.dims[axis] = around[3 * axis + side])) continue;
      const uint32_t s = new_form(f, FORM_BORDER, pad, shape_of((Graph *)g, &dims), -1);
      f->forms.data[s].part = 2 * axis + side, f->forms.data[s].operands = 1;
      depend_on(f, s, f->inside[pad.id]);
      f->form_count[pad.id]++;
    }
}

static void place_copy(Fuse *f, Node n, int32_t slot) {
  const uint32_t s = new_form(f, FORM_COPY, n, node_shape(f->g, n), loop_of(&f->loops, n));
  f->forms.data[s].to_slot = slot;
  if (slot >= 0 && f->form_of[n.id] >= 0) depend_on(f, s, n); /* else the copy is what makes n */
  else depend_below(f, s, n);
  if (slot < 0) {
    f->form_of[n.id] = (int32_t)s;
    f->form_count[n.id] = 1;
  }
}

/* ---- loops ---- */

static uint32_t loop_number(const Fuse *f, Node token) {
  uint32_t loop = 0;
  while (!node_is(f->loops.list.data[loop].token, token)) loop++;
  return loop;
}

int32_t form_making(const Fuse *f, Node n, int32_t loop) {
  const int32_t made = f->form_of[n.id];
  return made >= 0 && f->forms.data[made].kind == FORM_NODES && f->forms.data[made].loop == loop ? made : -1;
}

/* A stage that stores one value of the round into its place. */
static uint32_t place_result(Fuse *f, FormKind kind, Node anchor, Node value, int32_t loop) {
  if (kind != FORM_START && form_making(f, value, loop) >= 0) return UINT32_MAX;
  const uint32_t s = new_form(f, kind, anchor, node_shape(f->g, value), loop);
  if (f->kept[value.id] || node_prim(f->g, value) == P_SLOT) depend_on(f, s, value);
  else depend_below(f, s, value);
  return s;
}

/* What a round hands on and stacks is stored; the loop ends behind all its stages. */
static void place_loop(Fuse *f, Node token) {
  const Graph *g = f->g;
  const uint32_t loop = loop_number(f, token);
  const LoopInfo *info = &f->loops.list.data[loop];
  begin_loop(f, (int32_t)loop);
  for (uint32_t i = 0; i < info->carries; i++)
    place_result(f, FORM_NEXT, loop_carry(g, info, i), loop_next(g, info, i), (int32_t)loop);
  for (uint32_t id = token.id + 1; id < g->nodes.count; id++)
    if (node_prim(g, (Node){id}) == P_STACK && f->uses[id] != UINT32_MAX && node_is(node_in(g, (Node){id}, 1), token))
      place_result(f, FORM_STACK, (Node){id}, node_in(g, (Node){id}, 0), (int32_t)loop);
  const uint32_t end = new_form(f, FORM_END, NODE_NONE, (Shape){0}, info->parent);
  f->loop_end[loop] = (int32_t)end;
  form_add_dep(f, end, (uint32_t)f->loop_begin[loop]);
  for (uint32_t i = 0; i < end; i++)
    if (f->forms.data[i].loop == (int32_t)loop) form_add_dep(f, end, i);
}

/* The start of a carry is there before the loop begins. */
static void place_carry(Fuse *f, Node n) {
  int32_t loop = loop_of(&f->loops, n);
  while (f->loops.list.data[loop].number != (uint32_t)node_attr(f->g, n)[0]) loop = f->loops.list.data[loop].parent;
  const int32_t parent = f->loops.list.data[loop].parent;
  begin_loop(f, loop);
  const uint32_t start = place_result(f, FORM_START, n, node_in(f->g, n, 0), parent);
  form_add_dep(f, (uint32_t)f->loop_begin[loop], start);
}

static void place_after_loop(Fuse *f, Node n) {
  const uint32_t loop = loop_number(f, node_in(f->g, n, node_prim(f->g, n) == P_STACK));
  if (node_prim(f->g, n) == P_STACK) {
    f->form_of[n.id] = f->loop_end[loop];
    f->form_count[n.id] = 1;
    return;
  }
  const uint32_t s = new_form(f, FORM_COPY, n, node_shape(f->g, n), loop_of(&f->loops, n));
  f->forms.data[s].operands += 3;
  f->form_of[n.id] = (int32_t)s;
  f->form_count[n.id] = 1;
  form_follow(f, s, (uint32_t)f->loop_end[loop]);
}

/* Outputs that no stage makes by itself: views, leaves, values computed where they are read. */
static void place_outputs(Fuse *f) {
  for (uint32_t i = 0; i < f->g->outputs.count; i++) {
    const Output *o = &f->g->outputs.data[i];
    for (int k = 0; k < 2; k++) {
      const Node n = k ? o->weight : o->node;
      if (!n.id) continue;
      if (o->kind != OUT_SLOT && f->form_of[n.id] < 0) place_copy(f, n, -1);
      if (o->kind == OUT_SLOT && !(f->form_of[n.id] >= 0 && f->forms.data[f->form_of[n.id]].kind == FORM_NODES))
        place_copy(f, n, (int32_t)o->slot);
    }
  }
}

/* What an argmax has found is a second value of its stage. */
static bool join_argmax(Fuse *f, Node n) {
  const int32_t home = form_making(f, f->largest_of[n.id], loop_of(&f->loops, n));
  if (home < 0 || f->forms.data[home].operands + 1 > FORM_MOST_OPERANDS) return f->largest_of[n.id] = NODE_NONE, false;
  vec_push(&f->forms.data[home].nodes, n);
  f->forms.data[home].operands++;
  f->form_of[n.id] = home, f->form_count[n.id] = 1;
  return true;
}

static bool reads_windows(const Fuse *f, Node n) {
  while (!f->kept[n.id] && (node_has(f->g, n, K_MOVEMENT) || node_has(f->g, n, K_IDENTITY)) && node_prim(f->g, n) != P_CONCAT) {
    if (node_prim(f->g, n) == P_WINDOW) return true;
    n = node_in(f->g, n, 0);
  }
  return false;
}

#define CHUNKED_MOST (1 << 16) /* outputs: their sums come and go once a chunk */

/* The gradient of a convolution's weights: few outputs, each a long sum over examples and places. By chunks of the batch a thread
 * reads the images that it made itself. */
static bool sums_in_chunks(const Fuse *f, Node n) {
  const Graph *g = f->g;
  if (!node_has(g, n, K_CONTRACTION) || loop_of(&f->loops, n) >= 0 || node_type(g, node_in(g, n, 0)) == TYPE_BF16) return false;
  const int64_t *attr = node_attr(g, n), nk = attr[1], *red = attr + 2 + 2 * attr[0];
  const Dims *out = node_dims(g, n), *in = node_dims(g, node_in(g, n, 0));
  if (nk < 2 || !dim_is_batch(in->dims[red[0]]) || out->rank + 1 + nk > KERNEL_STAGE_AXES) return false;
  if (nk < 3 && !reads_windows(f, node_in(g, n, 0)) && !reads_windows(f, node_in(g, n, 1))) return false;
  int64_t size = 1, places = 1;
  for (uint32_t i = 0; i < out->rank; i++)
    if (dim_is_batch(out->dims[i]) || !mem_mul(size, out->dims[i], &size)) return false;
  for (int64_t i = 1; i < nk; i++)
    if (dim_is_batch(in->dims[red[i]]) || !mem_mul(places, in->dims[red[i]], &places)) return false;
  return size > 0 && size <= CHUNKED_MOST && places >= EXAMPLE_GROUP;
}

/* The sums of the chunks, and what adds them up, which other values may follow. */
static void place_chunks(Fuse *f, Node n) {
  Dims dims = {.rank = 1, .dims = {BATCH_CHUNKS}};
  const Dims *out = node_dims(f->g, n);
  for (uint32_t i = 0; i < out->rank; i++) dims.dims[dims.rank++] = out->dims[i];
  const uint32_t chunks = new_form(f, FORM_CHUNKS, n, shape_of((Graph *)f->g, &dims), -1);
  depend_below(f, chunks, n);
  const uint32_t s = new_form(f, FORM_NODES, n, node_shape(f->g, n), -1);
  form_add_dep(f, s, chunks);
  f->forms.data[s].operands += 2;
  f->form_of[n.id] = (int32_t)s, f->form_count[n.id] = 1;
  f->chunk_buffer[n.id] = (int32_t)schedule_chunk_buffer(f, n);
}

/* A sum over places, columns beside each other: not one of a row's lanes, which finds its kernel otherwise. */
static bool is_column_sum(const Graph *g, Node n) {
  const uint32_t count = node_prim(g, n) == P_SUM ? node_attr_count(g, n) : 0;
  return count && node_attr(g, n)[count - 1] + 1 < node_rank(g, node_in(g, n, 0));
}

/* Two sums over the same axes that read the same values are taken in one pass. */
static bool join_sum(Fuse *f, Node n, int32_t *sum_reader) {
  const Graph *g = f->g;
  Leaves leaves = {0};
  int32_t home = -1;
  if (!is_column_sum(g, n)) return false;
  leaves_below(f, n, false, &leaves);
  const Shape in = node_shape(g, node_in(g, n, 0));
  for (uint32_t i = 0; home < 0 && i < leaves.count; i++) {
    const int32_t s = sum_reader[leaves.data[i].node.id];
    if (s < 0 || node_shape(g, leaves.data[i].node).id != in.id) continue;
    const Form *t = &f->forms.data[s];
    const bool same = !t->second.id && !t->nodes.count && t->loop == loop_of(&f->loops, n) && node_type(g, t->anchor) == node_type(g, n) &&
                      node_shape(g, node_in(g, t->anchor, 0)).id == in.id && node_attr_count(g, t->anchor) == node_attr_count(g, n) &&
                      !memcmp(node_attr(g, t->anchor), node_attr(g, n), sizeof(int64_t) * node_attr_count(g, n));
    if (same && may_join(f, (uint32_t)s, &leaves)) home = s;
  }
  if (home >= 0) {
    f->forms.data[home].second = n, f->forms.data[home].operands += leaves.count + 2;
    f->form_of[n.id] = home, f->form_count[n.id] = 1;
    for (uint32_t i = 0; i < leaves.count; i++) depend_on(f, (uint32_t)home, leaves.data[i].node);
  }
  vec_free(&leaves);
  return home >= 0;
}

static void note_sum(Fuse *f, Node n, int32_t *sum_reader) {
  Leaves leaves = {0};
  if (!is_column_sum(f->g, n)) return;
  leaves_below(f, n, false, &leaves);
  for (uint32_t i = 0; i < leaves.count; i++) sum_reader[leaves.data[i].node.id] = f->form_of[n.id];
  vec_free(&leaves);
}

void form_stages(Fuse *f) {
  const Graph *g = f->g;
  int32_t *map_reader = mem_alloc(g->nodes.count * sizeof *map_reader), *sum_reader = mem_alloc(g->nodes.count * sizeof *sum_reader);
  for (uint32_t id = 0; id < g->nodes.count; id++) map_reader[id] = sum_reader[id] = -1;
  for (uint32_t id = 1; id < g->nodes.count; id++) {
    const Node n = {id};
    const Prim p = node_prim(g, n);
    if (f->uses[id] != UINT32_MAX) begin_loop(f, loop_of(&f->loops, n));
    if (f->uses[id] != UINT32_MAX && p == P_LOOP) place_loop(f, n);
    if (f->uses[id] == UINT32_MAX || !f->kept[id]) continue;
    if ((f->largest_of[id].id && join_argmax(f, n)) || join_sum(f, n, sum_reader)) continue;
    if (sums_in_chunks(f, n)) {
      place_chunks(f, n);
    } else if (prim_is(p, K_REDUCTION | K_OVERLAP | K_CONTRACTION)) {
      const uint32_t s = new_form(f, FORM_NODES, n, node_shape(g, n), loop_of(&f->loops, n));
      f->form_of[id] = (int32_t)s;
      f->form_count[id] = 1;
      depend_below(f, s, n);
      note_sum(f, n, sum_reader);
    } else if (p == P_CARRY) {
      place_carry(f, n);
    } else if (p == P_LAST || p == P_STACK) {
      place_after_loop(f, n);
    } else if ((p == P_CONCAT || p == P_TRANSPOSE || p == P_RESHAPE) && place_results(f, n)) {
      continue;
    } else if (p == P_CONCAT) {
      place_concat(f, n);
    } else if (p == P_PAD && node_attr_count(g, n)) {
      if (f->inside[id].id) place_border(f, n);
      else if (pad_has_gaps(g, n)) place_parts(f, n, FORM_FILL, 2);
      else place_copy(f, n, -1);
    } else if (p == P_SCATTER_ADD) {
      place_scatter(f, n);
    } else if (prim_is(p, K_ELEMENTWISE) || p == P_RANDOM || p == P_GATHER) {
      place_elementwise(f, n, map_reader);
    } else {
      place_copy(f, n, -1); /* a view that nothing can follow */
    }
  }
  free(map_reader), free(sum_reader);
  place_outputs(f);
}
