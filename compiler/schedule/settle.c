/* settle.c: loops that may end before their last round. `iterate` becomes a loop whose carries are values, and whether each example
 * still goes on: next = going and condition, and each value becomes select(next, new, old). Once nothing goes on, no round
 * changes anything, so where no result but the last carries is read, the rounds that are left may be dropped. */
#include "fuse.h"

static Node behind_views(const Graph *g, Node n) {
  while (node_prim(g, n) == P_BROADCAST || node_prim(g, n) == P_RESHAPE || node_has(g, n, K_IDENTITY)) n = node_in(g, n, 0);
  return n;
}

/* Is the carry false from where it was false, so that it tells whether anything still goes on? */
static bool only_falls(const Graph *g, Node carry, Node next) {
  const Dims *d = node_dims(g, carry);
  return node_type(g, carry) == TYPE_BOOL && (d->rank == 0 || (d->rank == 1 && dim_is_batch(d->dims[0]))) && node_prim(g, next) == P_AND &&
         (node_is(node_in(g, next, 0), carry) || node_is(node_in(g, next, 1), carry));
}

static bool stays_without(const Graph *g, Node carry, Node next, Node going) {
  if (node_is(next, carry) || node_is(next, going)) return true;
  return node_prim(g, next) == P_SELECT && node_is(node_in(g, next, 2), carry) && node_is(behind_views(g, node_in(g, next, 0)), going);
}

static bool is_stacked(const Fuse *f, const LoopInfo *loop) {
  for (uint32_t id = loop->token.id + 1; id < f->g->nodes.count; id++)
    if (node_prim(f->g, (Node){id}) == P_STACK && f->uses[id] != UINT32_MAX && node_is(node_in(f->g, (Node){id}, 1), loop->token)) return true;
  return false;
}

/* The carry that tells, or NODE_NONE. */
static Node telling_carry(const Fuse *f, const LoopInfo *loop) {
  if (is_stacked(f, loop)) return NODE_NONE;
  for (uint32_t i = 0; i < loop->carries; i++) {
    const Node carry = loop_carry(f->g, loop, i), going = loop_next(f->g, loop, i);
    bool all = only_falls(f->g, carry, going);
    for (uint32_t k = 0; k < loop->carries && all; k++)
      all = k == i || stays_without(f->g, loop_carry(f->g, loop, k), loop_next(f->g, loop, k), going);
    if (all) return carry;
  }
  return NODE_NONE;
}

/* Threads that do not wait for each other may each look at its own share only: at what they wrote themselves. */
static bool is_looked_at_by_its_writer(const Schedule *s, uint32_t loop, uint32_t buffer) {
  const int batch = s->buffers.data[buffer].size.batch[0];
  for (uint32_t i = 0; i < s->launches.count; i++) {
    const Launch *l = &s->launches.data[i];
    const Kernel *k = &s->kernels.data[l->kernel];
    for (uint32_t o = 0; o < k->operand_count; o++)
      if (l->loop == loop && l->operands[o] == buffer && k->operand_written[o])
        return batch >= 0 && k->cut == CUT_FIRST && k->cut_extent.batch == batch && k->cut_extent.count == 1;
  }
  return false;
}

void loops_settle(Fuse *f) {
  for (uint32_t i = 0; i < f->s->loops.count; i++) {
    ScheduleLoop *l = &f->s->loops.data[i];
    const Node carry = f->loop_begin[i] < 0 ? NODE_NONE : telling_carry(f, &f->loops.list.data[i]);
    l->going = -1;
    if (!carry.id || f->buffer_of[carry.id] < 0) continue;
    const uint32_t buffer = (uint32_t)f->buffer_of[carry.id];
    if (l->waits || is_looked_at_by_its_writer(f->s, i + 1, buffer)) l->going = (int32_t)buffer;
  }
}
