/* kept.c: see kept.h. One walk goes through all fields, in one order, whichever way they go: to bytes, or from them. What it does not
 * do: check what the fields say. The bytes are this very compiler's, whole to the last bit (cache.c). */
#include "kept.h"

#include <string.h>

#include "trace.h"

typedef struct {
  Session *session;
  Arena *arena;     /* of what is read */
  Text *out;        /* NULL: reading */
  const char *at, *end;
  bool failed;
} Walk;

static void walk_bytes(Walk *w, void *field, size_t size) {
  if (w->out) text_add_bytes(w->out, field, size);
  else if (w->failed || (size_t)(w->end - w->at) < size) w->failed = true, memset(field, 0, size);
  else memcpy(field, w->at, size), w->at += size;
}
#define FIELD(w, field) walk_bytes((w), &(field), sizeof(field))

/* How many elements follow, of at least a byte each. */
static uint32_t walk_count(Walk *w, uint32_t count) {
  FIELD(w, count);
  if (!w->out && count > (size_t)(w->end - w->at)) w->failed = true;
  return w->failed ? 0 : count;
}

static void walk_text(Walk *w, const char **text) {
  uint32_t length = w->out && *text ? (uint32_t)strlen(*text) + 1 : 0;
  length = walk_count(w, length); /* 0: none; else with its end */
  if (w->out) text_add_bytes(w->out, length ? *text : "", length);
  else if (!length) *text = NULL;
  else *text = arena_text(w->arena, w->at, length - 1), w->at += length;
}

static void walk_graph(Walk *w, Graph **graph) {
  Text text = {0};
  const char *read = NULL, *error;
  if (w->out && *graph) graph_print(*graph, &text), read = text_get(&text);
  walk_text(w, &read);
  text_free(&text);
  if (w->out) return;
  *graph = read ? graph_parse(w->session, read, &error) : NULL;
  if (read && !*graph) w->failed = true;
}

/* All elements of a vector, each by `walk_one`. */
#define WALK_VEC(w, v, walk_one)                                                                       \
  do {                                                                                                 \
    const uint32_t count_ = walk_count((w), (v)->count);                                               \
    if (!(w)->out) {                                                                                   \
      vec_reserve((v), count_ + 1);                                                                    \
      memset((v)->data, 0, count_ * sizeof *(v)->data);                                                \
      (v)->count = count_;                                                                             \
    }                                                                                                  \
    for (uint32_t i_ = 0; i_ < count_; i_++) walk_one((w), &(v)->data[i_]);                            \
  } while (0)

/* A field more in one of these is a line more in its walk. */
_Static_assert(sizeof(DataStep) == 128 && sizeof(DataLine) == 104 && sizeof(DataPlan) == 104 && sizeof(TrainPlan) == 40 &&
               sizeof(WeightStart) == 32 && sizeof(Setting) == 16 && sizeof(GradcOutput) == 88 && sizeof(GradcEntryInfo) == 152 &&
               sizeof(GradcProgram) == 712, "kept.c walks the fields of these");

static void walk_step(Walk *w, DataStep *s) {
  FIELD(w, s->kind), FIELD(w, s->number), FIELD(w, s->length), FIELD(w, s->shift), FIELD(w, s->shape);
  walk_graph(w, &s->function);
  walk_text(w, &s->text);
  FIELD(w, s->span);
}

static void walk_line(Walk *w, DataLine *l) {
  walk_text(w, &l->name);
  FIELD(w, l->slot), FIELD(w, l->source), FIELD(w, l->is_range);
  WALK_VEC(w, &l->names, walk_text);
  FIELD(w, l->length), FIELD(w, l->shift), FIELD(w, l->line);
  walk_graph(w, &l->function);
  WALK_VEC(w, &l->steps, walk_step);
  FIELD(w, l->missing), FIELD(w, l->implied), FIELD(w, l->span);
}

static void walk_data(Walk *w, DataPlan *d) {
  walk_text(w, &d->name), walk_text(w, &d->file), walk_text(w, &d->format);
  FIELD(w, d->separator), FIELD(w, d->header), FIELD(w, d->missing), FIELD(w, d->split), FIELD(w, d->split_number);
  walk_text(w, &d->split_text);
  FIELD(w, d->size);
  WALK_VEC(w, &d->lines, walk_line);
  FIELD(w, d->span), FIELD(w, d->file_span), FIELD(w, d->split_span);
}

static void walk_start(Walk *w, WeightStart *s) {
  walk_text(w, &s->name), walk_text(w, &s->file), walk_text(w, &s->from);
  FIELD(w, s->span);
}

static void walk_setting(Walk *w, Setting *s) { walk_text(w, &s->name), walk_text(w, &s->value); }

static void walk_file(Walk *w, KeptFile *f) {
  walk_text(w, &f->path);
  FIELD(w, f->base), FIELD(w, f->text);
}

static void walk_output(Walk *w, GradcOutput *o) {
  walk_text(w, &o->name);
  FIELD(w, o->kind), FIELD(w, o->type), FIELD(w, o->rank), FIELD(w, o->dims), FIELD(w, o->buffer), FIELD(w, o->weight);
}

static void walk_entry(Walk *w, GradcEntryInfo *e) {
  FIELD(w, e->arena), FIELD(w, e->arena_batch), FIELD(w, e->arena_pair), FIELD(w, e->scratch), FIELD(w, e->max_threads);
  e->output_count = walk_count(w, e->output_count);
  if (!w->out) e->outputs = ARENA_ARRAY(w->arena, GradcOutput, e->output_count + 1);
  for (uint32_t i = 0; i < e->output_count; i++) walk_output(w, (GradcOutput *)&e->outputs[i]);
}

/* The tables but for the slots, which compile.c makes of the graph's. */
static void walk_tables(Walk *w, GradcProgram *p) {
  FIELD(w, p->batch);
  const uint32_t count = p->buffer_count = walk_count(w, p->buffer_count);
  if (!w->out) p->buffers = ARENA_ARRAY(w->arena, GradcBuffer, count + 1);
  walk_bytes(w, (void *)p->buffers, count * sizeof *p->buffers);
  for (int kind = 0; kind < GRADC_ENTRY_COUNT; kind++) walk_entry(w, &p->entries[kind]);
}

static void walk_all(Walk *w, Kept *kept, Program *p) {
  FIELD(w, kept->key), FIELD(w, kept->entries);
  kept->file_count = walk_count(w, kept->file_count);
  if (!w->out) kept->files = ARENA_ARRAY(w->arena, KeptFile, kept->file_count + 1);
  for (uint32_t i = 0; i < kept->file_count; i++) walk_file(w, &kept->files[i]);
  walk_tables(w, &kept->tables);
  walk_text(w, &p->name);
  WALK_VEC(w, &p->data, walk_data);
  FIELD(w, p->plan);
  WALK_VEC(w, &p->starts, walk_start);
  WALK_VEC(w, &p->settings, walk_setting);
  walk_graph(w, &p->init);
}

void kept_write(Kept *kept, Program *program, Text *out) {
  Walk w = {.session = program->session, .out = out};
  Program bare = *program;
  bare.init = graph_like(program->init);
  walk_all(&w, kept, &bare);
  graph_free(bare.init);
}

Program *kept_read(Session *s, const char *path, const void *bytes, size_t size) {
  Program *p = mem_zero(1, sizeof *p);
  Kept *kept = ARENA_NEW(&p->arena, Kept);
  Walk w = {.session = s, .arena = &p->arena, .at = bytes, .end = (const char *)bytes + size};
  p->session = s;
  p->path = arena_text(&p->arena, path, strlen(path));
  p->kept = kept;
  walk_all(&w, kept, p);
  if (!w.failed && w.at == w.end && p->init) return p;
  program_free(p);
  return NULL;
}
