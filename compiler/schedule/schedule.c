/* schedule.c: the scheduler's steps, in order, and the last one: groups of stages become kernels and launches. */
#include "fuse.h"

#include <string.h>

uint32_t schedule_buffer(Fuse *f, Node n) {
  if (f->pad_of[n.id].id) return schedule_buffer(f, f->pad_of[n.id]);
  if (f->buffer_of[n.id] >= 0) return (uint32_t)f->buffer_of[n.id];
  const Dims *d = node_dims(f->g, n);
  Size size = {1, {-1, -1}};
  for (uint32_t i = 0; i < d->rank; i++) {
    const Extent e = extent_of(d->dims[i]);
    if (e.batch >= 0 && size.batch[1] >= 0) DIAG_BUG(f->s->session, node_data(f->g, n)->span, "a value with three batch axes");
    if (e.batch >= 0) size.batch[size.batch[0] >= 0] = e.batch;
    if (!mem_mul(size.count, e.count, &size.count)) size.count = INT64_MAX / 16;
  }
  if (node_prim(f->g, n) == P_CARRY && !mem_mul(size.count, 2, &size.count)) size.count = INT64_MAX / 16; /* affine_carry */
  const uint8_t pair = size.batch[1] < 0 ? 0 : (uint8_t)(1 + gradc_pair(size.batch[0], size.batch[1]));
  vec_push(&f->s->buffers, ((Buffer){.type = (uint8_t)node_type(f->g, n), .shape = node_shape(f->g, n), .size = size, .pair = pair, .node = n}));
  return (uint32_t)(f->buffer_of[n.id] = (int32_t)f->s->buffers.count - 1);
}

uint32_t schedule_chunk_buffer(Fuse *f, Node n) {
  Dims dims = {.rank = 1, .dims = {BATCH_CHUNKS}};
  int64_t count = BATCH_CHUNKS;
  for (uint32_t i = 0; i < node_rank(f->g, n); i++) dims.dims[dims.rank++] = node_dims(f->g, n)->dims[i], count *= node_dims(f->g, n)->dims[i];
  vec_push(&f->s->buffers, ((Buffer){.type = (uint8_t)node_type(f->g, n), .shape = shape_of((Graph *)f->g, &dims), .size = {count, {-1, -1}}, .node = n}));
  return f->s->buffers.count - 1;
}

uint32_t schedule_slot_buffer(Fuse *f, uint32_t slot) {
  if (f->slot_buffer[slot] >= 0) return (uint32_t)f->slot_buffer[slot];
  const Slot *s = &f->g->slots.data[slot];
  vec_push(&f->s->buffers, ((Buffer){.type = (uint8_t)s->type, .is_slot = true, .slot = slot, .shape = s->shape, .size = {0, {-1, -1}}}));
  return (uint32_t)(f->slot_buffer[slot] = (int32_t)f->s->buffers.count - 1);
}

/* ---- slots that are overwritten ---- */

static bool reads_at_identity(const Fuse *f, const Form *t, const Access *a) {
  if (t->shape.id != node_shape(f->g, a->node).id) return false;
  for (uint32_t i = 0; i < a->map.rank; i++) {
    const Affine own = affine_axis(i);
    if (!affine_equal(&a->map.index[i], &own)) return false;
  }
  return true;
}

/* The stages that read each slot, in order: chains through `list`, by slot. */
typedef struct { uint32_t form, access; int32_t next; } Reader;
typedef struct {
  Vec(Reader) list;
  int32_t *first, *last; /* by slot; -1: none */
  int32_t *copy;         /* the stage that copies a value to the slot, by slot; -1: none */
} Readers;

static void readers_add(const Fuse *f, Readers *r, uint32_t form) {
  const Form *t = &f->forms.data[form];
  if (t->kind == FORM_COPY && t->to_slot >= 0) r->copy[t->to_slot] = (int32_t)form;
  for (uint32_t k = 0; k < t->accesses.count; k++) {
    const Buffer *b = &f->s->buffers.data[t->accesses.data[k].buffer];
    if (!b->is_slot) continue;
    const int32_t at = (int32_t)r->list.count;
    vec_push(&r->list, ((Reader){form, k, -1}));
    if (r->last[b->slot] < 0) r->first[b->slot] = at;
    else r->list.data[r->last[b->slot]].next = at;
    r->last[b->slot] = at;
  }
}

/* May stage `writer` store to the slot in place? Every other reader must be able to come first. */
static bool may_write_slot(Fuse *f, const Readers *r, uint32_t writer, uint32_t slot) {
  for (int32_t i = r->first[slot]; i >= 0; i = r->list.data[i].next) {
    const Reader *reader = &r->list.data[i];
    const Form *t = &f->forms.data[reader->form];
    if (reader->form == writer ? !reads_at_identity(f, t, &t->accesses.data[reader->access]) : form_depends(f, reader->form, writer))
      return false;
  }
  return true;
}

static void write_after_readers(Fuse *f, const Readers *r, uint32_t writer, uint32_t slot) {
  for (int32_t i = r->first[slot]; i >= 0; i = r->list.data[i].next)
    if (r->list.data[i].form != writer) form_follow(f, writer, r->list.data[i].form);
}

static int32_t node_expr(const Form *t, Node n) {
  if (node_is(t->anchor, n)) return t->anchor_expr;
  if (t->second.id && node_is(t->second, n)) return t->second_expr;
  for (uint32_t i = 0; i < t->nodes.count; i++)
    if (node_is(t->nodes.data[i], n)) return t->node_exprs.data[i];
  return -1;
}

static IndexMap identity_of(const Fuse *f, Node n) {
  IndexMap map = {.rank = (uint8_t)node_rank(f->g, n)};
  for (uint32_t i = 0; i < map.rank; i++) map.index[i] = affine_axis(i);
  return map;
}

/* What a stage computes of a node: itself, or the parts of a concat. `map`: where part i lies in the node. */
static uint32_t piece_count(const Fuse *f, Node n) { return node_prim(f->g, n) == P_CONCAT ? node_data(f->g, n)->count : 1; }

static Node piece_of(const Fuse *f, Node n, uint32_t i, IndexMap *map) {
  *map = identity_of(f, n);
  if (node_prim(f->g, n) != P_CONCAT) return n;
  const int64_t axis = node_attr(f->g, n)[0];
  for (uint32_t k = 0; k < i; k++) map->index[axis].offset += node_dims(f->g, node_in(f->g, n, k))->dims[axis];
  return node_in(f->g, n, i);
}

static void add_store(Form *t, uint32_t buffer, Affine at, Node value) {
  vec_push(&t->stage.stores, ((Store){.at = at, .value = node_expr(t, value)}));
  vec_push(&t->store_buffers, buffer);
}

/* What a round hands on and what is stacked, by the stages that make it. */
static void store_results(Fuse *f) {
  const Graph *g = f->g;
  for (uint32_t k = 0; k < f->loops.list.count; k++) {
    const LoopInfo *info = &f->loops.list.data[k];
    for (uint32_t i = 0; i < info->carries; i++) {
      const Node carry = loop_carry(g, info, i), next = loop_next(g, info, i);
      const int32_t made = form_making(f, next, (int32_t)k);
      if (made < 0 || f->uses[info->token.id] == UINT32_MAX) continue;
      for (uint32_t p = 0; p < piece_count(f, next); p++) {
        IndexMap map;
        const Node piece = piece_of(f, next, p, &map);
        add_store(&f->forms.data[made], schedule_buffer(f, carry), affine_carry(f, carry, node_dims(g, next), &map, -2), piece);
      }
    }
    for (uint32_t id = info->token.id + 1; id < g->nodes.count; id++) {
      const Node n = {id};
      if (node_prim(g, n) != P_STACK || f->uses[id] == UINT32_MAX || !node_is(node_in(g, n, 1), info->token)) continue;
      const int32_t made = form_making(f, node_in(g, n, 0), (int32_t)k);
      if (made < 0) continue;
      for (uint32_t p = 0; p < piece_count(f, node_in(g, n, 0)); p++) {
        IndexMap map;
        const Node piece = piece_of(f, node_in(g, n, 0), p, &map);
        add_store(&f->forms.data[made], schedule_buffer(f, n), affine_stack(f, n, &map), piece);
      }
    }
  }
}

static void store_node(Fuse *f, Form *t, Node n, uint32_t buffer) {
  const bool slot = f->s->buffers.data[buffer].is_slot;
  const Dims *dims = node_dims(f->g, n);
  for (uint32_t p = 0; p < piece_count(f, n); p++) {
    IndexMap map;
    const Node piece = piece_of(f, n, p, &map);
    add_store(t, buffer, slot ? affine_memory(f, dims, &map, true) : affine_of_node(f, n, dims, &map), piece);
  }
}

/* The stage that copies the value to the slot at the end. */
static uint32_t copying(Fuse *f, Readers *r, const Output *o) {
  if (r->copy[o->slot] >= 0) return (uint32_t)r->copy[o->slot];
  const uint32_t copy = f->forms.count;
  vec_push(&f->forms, ((Form){.kind = FORM_COPY, .anchor = o->node, .loop = -1, .to_slot = (int32_t)o->slot, .shape = node_shape(f->g, o->node), .anchor_expr = -1}));
  form_enter(f, copy);
  form_follow(f, copy, (uint32_t)f->form_of[o->node.id]);
  nest_build(f, &f->forms.data[copy]);
  readers_add(f, r, copy);
  return copy;
}

/* A value that becomes a slot's is stored there by its own stage where no reader comes too late, else by a copy at the end. */
static void write_slots(Fuse *f) {
  const size_t bytes = (f->g->slots.count + 1) * sizeof(int32_t);
  Readers r = {.first = mem_alloc(bytes), .last = mem_alloc(bytes), .copy = mem_alloc(bytes)};
  memset(r.first, -1, bytes), memset(r.last, -1, bytes), memset(r.copy, -1, bytes);
  for (uint32_t i = 0; i < f->forms.count; i++) readers_add(f, &r, i);
  for (uint32_t i = 0; i < f->g->outputs.count; i++) {
    const Output *o = &f->g->outputs.data[i];
    if (o->kind != OUT_SLOT) continue;
    const uint32_t buffer = schedule_slot_buffer(f, o->slot);
    const int32_t made = f->form_of[o->node.id];
    if (made >= 0 && f->forms.data[made].kind == FORM_NODES && may_write_slot(f, &r, (uint32_t)made, o->slot)) {
      store_node(f, &f->forms.data[made], o->node, buffer);
      write_after_readers(f, &r, (uint32_t)made, o->slot);
    } else {
      write_after_readers(f, &r, copying(f, &r, o), o->slot);
    }
  }
  free(r.first), free(r.last), free(r.copy);
  vec_free(&r.list);
}

/* ---- kernels ---- */

/* Is the load the value that an earlier stage of the kernel has in a register at this block index? Addresses tell: the node is
 * dense, so its own element has one alone, whatever reshape it was read through. */
static bool is_row_value(Fuse *f, const Form *reader, uint32_t load, const Group *g) {
  const Access *a = &reader->accesses.data[load];
  const int32_t made = f->form_of[a->node.id];
  if (made < 0 || f->forms.data[made].kernel != reader->kernel || f->forms.data[made].kind != FORM_NODES ||
      node_prim(f->g, a->node) == P_CONCAT)
    return false;
  if (g->forms.count < 2 || f->forms.data[made].shape.id != g->rows.id || reader->stage.loads.data[load].guard_count ||
      reader->stage.loads.data[load].gather)
    return false;
  IndexMap own = {.rank = (uint8_t)g->row_rank};
  for (uint32_t i = 0; i < own.rank; i++) own.index[i] = affine_axis(i);
  const Affine at = affine_of_node(f, a->node, node_dims(f->g, a->node), &own);
  return affine_equal(&at, &reader->stage.loads.data[load].at);
}

static uint32_t place_in_group(const Group *g, uint32_t form) {
  for (uint32_t i = 0; i < g->forms.count; i++)
    if (g->forms.data[i] == form) return i;
  return UINT32_MAX;
}

/* Loads of an earlier stage's row value become that register; the others tell what must be in memory. */
static void resolve_loads(Fuse *f, Form *t) {
  const Group *g = &f->groups.data[t->kernel];
  for (uint32_t i = 0; i < t->stage.exprs.count; i++) {
    Expr *e = &t->stage.exprs.data[i];
    if (e->kind != X_LOAD) continue;
    const Access *a = &t->accesses.data[e->a];
    if (is_row_value(f, t, (uint32_t)e->a, g)) {
      const uint32_t made = (uint32_t)f->form_of[a->node.id];
      e->kind = X_RESULT;
      e->a = (int32_t)place_in_group(g, made);
      e->b = node_expr(&f->forms.data[made], a->node);
    } else if (node_prim(f->g, a->node) != P_SLOT) {
      f->read_elsewhere[a->node.id] = true;
    }
  }
}

static void store_kept(Fuse *f) {
  for (uint32_t i = 0; i < f->g->outputs.count; i++) {
    const Output *o = &f->g->outputs.data[i];
    if (o->kind == OUT_SLOT) continue;
    f->read_elsewhere[o->node.id] = true;
    if (o->weight.id) f->read_elsewhere[o->weight.id] = true;
  }
  for (uint32_t id = 1; id < f->g->nodes.count; id++)
    if (f->inside[id].id && f->read_elsewhere[id]) f->read_elsewhere[f->inside[id].id] = true;
  for (uint32_t i = 0; i < f->forms.count; i++) {
    Form *t = &f->forms.data[i];
    if (t->kind != FORM_NODES) continue;
    if (t->anchor.id && f->read_elsewhere[t->anchor.id]) store_node(f, t, t->anchor, schedule_buffer(f, t->anchor));
    if (t->second.id && f->read_elsewhere[t->second.id]) store_node(f, t, t->second, schedule_buffer(f, t->second));
    for (uint32_t k = 0; k < t->nodes.count; k++)
      if (f->read_elsewhere[t->nodes.data[k].id]) store_node(f, t, t->nodes.data[k], schedule_buffer(f, t->nodes.data[k]));
  }
  for (uint32_t i = 0; i < f->placed.count; i++) {
    const Placed *p = &f->placed.data[i];
    if (!f->read_elsewhere[p->target.id]) continue;
    const Affine at = affine_of_node(f, p->target, node_dims(f->g, p->target), &p->map);
    add_store(&f->forms.data[f->form_of[p->source.id]], schedule_buffer(f, p->target), at, p->source);
  }
  for (uint32_t id = 1; id < f->g->nodes.count; id++) { /* parts side by side, where one stage makes them all */
    const Node n = {id};
    if (node_prim(f->g, n) != P_CONCAT || !f->read_elsewhere[id] || f->form_of[id] < 0) continue;
    Form *t = &f->forms.data[f->form_of[id]];
    if (t->kind == FORM_NODES) store_node(f, t, n, schedule_buffer(f, n));
  }
}

/* The part of an index that the loops around the launch give; it becomes the operand's. */
static Advance take_advance(Affine *at) {
  Advance a = {{0}, {0}};
  for (unsigned d = 0; d < LOOP_MAX_DEPTH; d++) {
    a.round[d] = at->stride[axis_of_round(d)], a.odd[d] = at->stride[axis_of_parity(d)];
    at->stride[axis_of_round(d)] = at->stride[axis_of_parity(d)] = 0;
  }
  return a;
}

/* Only memory is read by the round: what keep.c keeps before a loop sees to it. */
static void check_rounds(const Fuse *f, const Stage *s, Span span) {
  bool moves = false;
  for (uint32_t i = 0; i < s->exprs.count; i++)
    for (unsigned a = KERNEL_STAGE_AXES; a < KERNEL_MAX_AXES; a++) moves |= s->exprs.data[i].affine.stride[a] != 0;
  for (uint32_t i = 0; i < s->loads.count; i++)
    for (unsigned g = 0; g < s->loads.data[i].guard_count; g++)
      for (unsigned a = KERNEL_STAGE_AXES; a < KERNEL_MAX_AXES; a++)
        moves |= s->loads.data[i].guards[g].index.stride[a] != 0;
  if (moves) DIAG_BUG(f->s->session, span, "a number of a stage depends on the round");
}

/* `advance`: of the launch's operands so far. */
static uint16_t operand_of(Fuse *f, Kernel *k, Launch *l, uint32_t buffer, bool written, Affine *at, Advance *advance) {
  const Advance own = take_advance(at);
  uint16_t i = 0;
  while (i < k->operand_count && (l->operands[i] != buffer || memcmp(&advance[i], &own, sizeof own))) i++;
  if (i == k->operand_count) {
    if (i == KERNEL_MAX_OPERANDS) DIAG_BUG(f->s->session, l->span, "a kernel of more than %d operands", KERNEL_MAX_OPERANDS);
    l->operands[i] = buffer;
    advance[i] = own;
    k->operand_type[i] = f->s->buffers.data[buffer].type;
    k->operand_count++;
  }
  k->operand_written[i] |= written;
  return i;
}

/* Loads that became registers are dropped; the others keep their order. */
static void compact_loads(Form *t) {
  Stage *s = &t->stage;
  bool *used = mem_zero(s->loads.count, 1);
  int32_t *place = mem_zero(s->loads.count, sizeof *place), n = 0;
  for (uint32_t i = 0; i < s->exprs.count; i++)
    if (s->exprs.data[i].kind == X_LOAD) used[s->exprs.data[i].a] = true;
  for (uint32_t i = 0; i < s->loads.count; i++) {
    if (!used[i]) continue;
    place[i] = n;
    s->loads.data[n] = s->loads.data[i];
    t->accesses.data[n++] = t->accesses.data[i];
  }
  for (uint32_t i = 0; i < s->exprs.count; i++)
    if (s->exprs.data[i].kind == X_LOAD) s->exprs.data[i].a = place[s->exprs.data[i].a];
  s->loads.count = t->accesses.count = (uint32_t)n;
  free(used);
  free(place);
}

static void count_flops(Kernel *k) {
  for (uint32_t i = 0; i < k->stages.count; i++) {
    const Stage *s = &k->stages.data[i];
    if (s->combine != COMBINE_FMA) continue;
    double flops = 2;
    int batches = 0;
    for (int a = s->chunks != 0; a < s->par + s->red; a++) flops *= (double)s->axes[a].count, batches += s->axes[a].batch >= 0;
    k->flops[batches < 3 ? batches : 3] += flops;
  }
}

static const char *title_of(Fuse *f, const Form *t) {
  static const char *const kinds[] = {"map", "", "border", "concat", "fill", "put", "scatter_add", "start", "carry", "stack", "", "", "copy"};
  const char *word = (t->kind == FORM_NODES && t->anchor.id && f->chunk_buffer[t->anchor.id] < 0) || t->kind == FORM_CHUNKS ? prim_info(node_prim(f->g, t->anchor))->word : kinds[t->kind];
  if (t->kind == FORM_NODES && t->anchor.id && f->chunk_buffer[t->anchor.id] >= 0) word = prim_info(P_SUM)->word;
  if (t->kind == FORM_NODES && t->nodes.count)
    return arena_printf(&f->s->memory, "%s, %s", word, prim_info(node_prim(f->g, t->nodes.data[t->nodes.count - 1]))->word);
  return word;
}

/* Order of the stages of a group: their dependencies first. Groups are filled in such an order already. */
static void make_kernel(Fuse *f, const Group *g) {
  Kernel k = {.block = (uint8_t)g->row_rank};
  Form *first = &f->forms.data[g->forms.data[0]];
  Advance *advance = ARENA_ARRAY(&f->s->memory, Advance, g->loop >= 0 ? KERNEL_MAX_OPERANDS : 1), none[KERNEL_MAX_OPERANDS];
  if (g->loop < 0) memset(none, 0, sizeof none);
  Launch l = {.phase = g->phase, .loop = (uint32_t)(g->loop + 1), .advance = g->loop < 0 ? NULL : advance, .title = title_of(f, first), .span = node_data(f->g, first->anchor.id ? first->anchor : first->nodes.data[0])->span};
  for (uint32_t i = 0; i < g->forms.count; i++) {
    Form *t = &f->forms.data[g->forms.data[i]];
    compact_loads(t);
    if (g->loop >= 0) check_rounds(f, &t->stage, l.span);
    for (uint32_t j = 0; j < t->stage.loads.count; j++)
      t->stage.loads.data[j].operand = operand_of(f, &k, &l, t->accesses.data[j].buffer, false,
                                                     &t->stage.loads.data[j].at, g->loop < 0 ? none : advance);
    for (uint32_t j = 0; j < t->stage.stores.count; j++)
      t->stage.stores.data[j].operand = operand_of(f, &k, &l, t->store_buffers.data[j], true,
                                                      &t->stage.stores.data[j].at, g->loop < 0 ? none : advance);
    vec_push(&k.stages, t->stage);
    t->stage = (Stage){0}; /* the kernel owns its lists now */
  }
  axes_simplify(&k);
  strategy_choose(&k);
  count_flops(&k);
  k.hash = kernel_hash(&k);
  uint32_t i = 0;
  while (i < f->s->kernels.count && !kernel_equal(&f->s->kernels.data[i], &k)) i++;
  if (i == f->s->kernels.count) {
    k.name = arena_printf(&f->s->memory, "k%u", i);
    vec_push(&f->s->kernels, k);
  } else {
    for (uint32_t j = 0; j < k.stages.count; j++) {
      Stage *s = &k.stages.data[j];
      vec_free(&s->exprs), vec_free(&s->loads), vec_free(&s->stores);
    }
    vec_free(&k.stages);
  }
  l.kernel = i;
  vec_push(&f->s->launches, l);
}

static void make_kernels(Fuse *f) {
  uint32_t *by_place = mem_alloc((f->groups.count + 1) * sizeof *by_place);
  for (uint32_t i = 0; i < f->groups.count; i++) by_place[f->groups.data[i].place - 1] = i;
  for (uint32_t phase = 0; phase < f->s->phases; phase++)
    for (uint32_t i = 0; i < f->groups.count; i++)
      if (f->groups.data[by_place[i]].phase == phase && !f->groups.data[by_place[i]].mark) make_kernel(f, &f->groups.data[by_place[i]]);
  free(by_place);
}

static void name_outputs(Fuse *f) {
  for (uint32_t i = 0; i < f->g->outputs.count; i++) {
    const Output *o = &f->g->outputs.data[i];
    vec_push(&f->s->output_buffer, o->kind == OUT_SLOT ? UINT32_MAX : schedule_buffer(f, o->node));
    vec_push(&f->s->weight_buffer, o->weight.id && o->kind != OUT_SLOT ? schedule_buffer(f, o->weight) : UINT32_MAX);
  }
}

static Fuse *fuse_new(Schedule *s, const Machine *machine) {
  const Graph *g = s->graph;
  Fuse *f = mem_zero(1, sizeof *f);
  const uint32_t n = g->nodes.count;
  *f = (Fuse){.s = s, .g = g, .machine = machine, .uses = mem_zero(n, 4), .kept = mem_zero(n, 1), .pad_of = mem_zero(n, sizeof(Node)), .inside = mem_zero(n, sizeof(Node)), .grouped = mem_zero(n, 1), .in_places = mem_zero(n, 1), .inline_size = mem_zero(n, 4),
              .inline_leaves = mem_zero(n, 4), .costly = mem_zero(n, 1), .largest_of = mem_zero(n, sizeof(Node)), .form_of = mem_alloc(n * 4), .form_count = mem_zero(n, 4), .buffer_of = mem_alloc(n * 4),
              .chunk_buffer = mem_alloc(n * 4), .slot_buffer = mem_alloc(((size_t)g->slots.count + 1) * 4), .read_elsewhere = mem_zero(n, 1)};
  f->loops = loops_find(g);
  const size_t loops = f->loops.list.count + 1;
  f->loop_begin = mem_alloc(loops * sizeof *f->loop_begin), f->loop_end = mem_alloc(loops * sizeof *f->loop_end);
  memset(f->loop_begin, -1, loops * sizeof *f->loop_begin), memset(f->loop_end, -1, loops * sizeof *f->loop_end);
  memset(f->form_of, -1, n * 4);
  memset(f->buffer_of, -1, n * 4), memset(f->chunk_buffer, -1, n * 4);
  memset(f->slot_buffer, -1, ((size_t)g->slots.count + 1) * 4);
  return f;
}

static void fuse_free(Fuse *f) {
  for (uint32_t i = 0; i < f->forms.count; i++) {
    Form *t = &f->forms.data[i];
    vec_free(&t->nodes), vec_free(&t->deps), vec_free(&t->users), vec_free(&t->accesses), vec_free(&t->store_buffers), vec_free(&t->node_exprs);
    vec_free(&t->stage.exprs), vec_free(&t->stage.loads), vec_free(&t->stage.stores);
  }
  for (uint32_t i = 0; i < f->groups.count; i++) vec_free(&f->groups.data[i].forms), vec_free(&f->groups.data[i].deps);
  vec_free(&f->forms), vec_free(&f->groups);
  free(f->uses), free(f->kept), free(f->pad_of), free(f->inside), free(f->grouped), free(f->in_places), vec_free(&f->placed), free(f->inline_size), free(f->inline_leaves), free(f->costly), free(f->largest_of), free(f->form_of), free(f->form_count);
  loops_free(&f->loops);
  free(f->loop_begin), free(f->loop_end);
  free(f->buffer_of), free(f->chunk_buffer), free(f->slot_buffer), free(f->read_elsewhere), free(f->mark);
  free(f);
}

Schedule *schedule_graph(Session *session, const Graph *graph, const Machine *machine) {
  Schedule *s = mem_zero(1, sizeof *s);
  s->session = session;
  s->graph = graph;
  Fuse *f = fuse_new(s, machine);
  keep_decide(f);
  layout_choose(f);
  form_stages(f);
  for (uint32_t i = 0; i < f->forms.count; i++) nest_build(f, &f->forms.data[i]);
  write_slots(f);
  group_forms(f);
  for (uint32_t i = 0; i < f->groups.count; i++) /* in order: registers are named before they are asked for */
    for (uint32_t k = 0; k < f->groups.data[i].forms.count; k++) resolve_loads(f, &f->forms.data[f->groups.data[i].forms.data[k]]);
  store_kept(f);
  store_results(f);
  phase_order(f);
  make_kernels(f);
  loops_settle(f);
  name_outputs(f);
  plan_memory(s);
  fuse_free(f);
  return s;
}

void schedule_free(Schedule *s) {
  if (!s) return;
  for (uint32_t i = 0; i < s->kernels.count; i++) {
    for (uint32_t j = 0; j < s->kernels.data[i].stages.count; j++) {
      Stage *t = &s->kernels.data[i].stages.data[j];
      vec_free(&t->exprs), vec_free(&t->loads), vec_free(&t->stores);
    }
    vec_free(&s->kernels.data[i].stages);
  }
  vec_free(&s->kernels), vec_free(&s->launches), vec_free(&s->loops), vec_free(&s->buffers), vec_free(&s->output_buffer), vec_free(&s->weight_buffer);
  arena_free(&s->memory);
  free(s);
}

int64_t schedule_rounds(const Schedule *s, const Launch *l) {
  int64_t rounds = 1;
  for (uint32_t loop = l->loop; loop; loop = s->loops.data[loop - 1].parent)
    if (!mem_mul(rounds, s->loops.data[loop - 1].length, &rounds)) return INT64_MAX;
  return rounds;
}

double kernel_flops(const Kernel *k, int64_t batch) {
  const double n = (double)batch;
  return k->flops[0] + n * (k->flops[1] + n * (k->flops[2] + n * k->flops[3]));
}
