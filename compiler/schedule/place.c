/* place.c: results of contractions that are wanted in other places than their own. A transpose that no load can follow, or
 * parts put side by side, are no passes of their own where each comes from one contraction and nothing else reads that:
 * its stage stores there. */
#include "fuse.h"

#include <string.h>

/* Output axes that are input axes, runs of them, or 1: where the input's index lies. */
static bool merge_axes(const Dims *in, const Dims *out, IndexMap *map) {
  IndexMap r = {.rank = (uint8_t)out->rank};
  uint32_t i = 0;
  for (uint32_t o = 0; o < out->rank; o++) {
    r.index[o] = affine_zero();
    if (dim_is_batch(out->dims[o])) {
      while (i < in->rank && in->dims[i] == 1) i++;
      if (i == in->rank || in->dims[i] != out->dims[o]) return false;
      r.index[o] = map->index[i++];
      continue;
    }
    for (int64_t size = 1; size < out->dims[o]; i++) {
      if (i == in->rank || dim_is_batch(in->dims[i]) || !mem_mul(size, in->dims[i], &size) || size > out->dims[o]) return false;
      for (int k = 0; k < KERNEL_MAX_AXES; k++)
        r.index[o].stride[k] = r.index[o].stride[k] * in->dims[i] + map->index[i].stride[k];
    }
  }
  *map = r;
  return true;
}

/* The value below the views of n that has them to itself, or none; *map: where its index lies in n. */
static Node source_below(const Fuse *f, Node n, IndexMap *map) {
  const Graph *g = f->g;
  Node chain[8], x = n;
  uint32_t count = 0;
  while (node_prim(g, x) == P_TRANSPOSE || node_prim(g, x) == P_RESHAPE) {
    if (count == sizeof chain / sizeof *chain || (!node_is(x, n) && (f->kept[x.id] || f->uses[x.id] != 1))) return NODE_NONE;
    chain[count++] = x, x = node_in(g, x, 0);
  }
  if (!count || !f->kept[x.id] || f->uses[x.id] != 1 || f->grouped[x.id]) return NODE_NONE;
  *map = (IndexMap){.rank = (uint8_t)node_rank(g, x)};
  for (uint32_t i = 0; i < map->rank; i++) map->index[i] = affine_axis(i);
  while (count--) {
    const IndexMap before = *map;
    if (node_prim(g, chain[count]) == P_RESHAPE) {
      if (!merge_axes(node_dims(g, node_in(g, chain[count], 0)), node_dims(g, chain[count]), map)) return NODE_NONE;
      continue;
    }
    for (uint32_t i = 0; i < map->rank; i++) map->index[i] = before.index[node_attr(g, chain[count])[i]];
  }
  return x;
}

/* May the stage that makes the source store it so? The examples stay the first axis, by which both are cut, and the last one
 * stays dense. */
static bool may_place(const Fuse *f, Node source, Node target, const IndexMap *map) {
  const Dims *from = node_dims(f->g, source), *to = node_dims(f->g, target);
  const int32_t made = f->form_of[source.id];
  const Affine first = affine_axis(0);
  if (made < 0 || from->rank < 2 || !dim_is_batch(from->dims[0]) || !dim_is_batch(to->dims[0]) || loop_of(&f->loops, source) >= 0) return false;
  const Form *t = &f->forms.data[made];
  if (t->kind != FORM_NODES || !t->anchor.id || !node_has(f->g, t->anchor, K_CONTRACTION)) return false;
  if (t->operands + 2 > FORM_MOST_OPERANDS) return false;
  return affine_equal(&map->index[0], &first) && map->index[map->rank - 1].stride[from->rank - 1] == 1;
}

static bool is_output(const Fuse *f, Node n) {
  for (uint32_t i = 0; i < f->g->outputs.count; i++)
    if (node_is(f->g->outputs.data[i].node, n) || node_is(f->g->outputs.data[i].weight, n)) return true;
  return false;
}

bool place_results(Fuse *f, Node n) {
  const Graph *g = f->g;
  const bool parts = node_prim(g, n) == P_CONCAT;
  const uint32_t count = parts ? node_data(g, n)->count : 1, before = f->placed.count;
  if (f->grouped[n.id] || loop_of(&f->loops, n) >= 0 || (parts && node_attr(g, n)[0] == 0) || is_output(f, n)) return false;
  int64_t start = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Node part = parts ? node_in(g, n, i) : n;
    Placed p = {.target = n};
    if (!parts || !f->kept[part.id]) p.source = source_below(f, part, &p.map);
    if (!p.source.id || !may_place(f, p.source, n, &p.map)) {
      f->placed.count = before;
      return false;
    }
    if (parts) p.map.index[node_attr(g, n)[0]].offset += start, start += node_dims(g, part)->dims[node_attr(g, n)[0]];
    vec_push(&f->placed, p);
  }
  for (uint32_t i = before; i < f->placed.count; i++) f->forms.data[f->form_of[f->placed.data[i].source.id]].operands += 2;
  return f->in_places[n.id] = true;
}
