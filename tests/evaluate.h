/* evaluate.h: a model's text, traced; its values by the oracle and by machine code, at given inputs.
 *
 *   Evaluation e;
 *   evaluation_open(&e, text, TYPE_F64, batch);     a refused model fails the test, with its message
 *   ... fill e.slots[i] of inputs and targets ...
 *   evaluation_start(&e);                           parameters and states, from the model's init
 *   evaluation_close(&e);
 */
#ifndef GRADC_TEST_EVALUATE_H
#define GRADC_TEST_EVALUATE_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compile.h"
#include "gradc.h"
#include "interp.h"
#include "mem.h"
#include "parse.h"
#include "render.h"

enum { EVALUATION_SLOTS = 256 };

typedef struct {
  Session session;
  Tree tree;
  CompileOptions options;
  Program *program;
  int64_t batch[4]; /* of each data block */
  uint32_t count;
  double *slots[EVALUATION_SLOTS]; /* owned */
  int64_t sizes[EVALUATION_SLOTS];
} Evaluation;

static inline InterpInput evaluation_input(const Evaluation *e) {
  return (InterpInput){.slots = (const double *const *)e->slots, .batch = {e->batch[0], e->batch[1], e->batch[2], e->batch[3]},
                       .step = 1, .steps = 1, .seed = 1};
}

static inline void evaluation_open(Evaluation *e, const char *text, Type type, int64_t batch) {
  *e = (Evaluation){.batch = {batch, batch, batch, batch}, .options = {.trace = {.float_type = type, .seed = 1}}};
  const Source *source = source_add(&e->session.sources, "model.nn", text, strlen(text), false);
  const Ast file = parse_source(&e->session, &e->tree, source);
  if (!e->session.errors) e->program = trace_program(&e->session, &e->tree, file, "model.nn", &e->options.trace);
  if (!e->program) {
    Text out = {0};
    render_text(&e->session, &out, false);
    print_error("%s%s", text_get(&out), text);
    text_free(&out);
    fail_msg("the model is refused");
  }
  const Graph *g = e->program->eval;
  e->count = g->slots.count;
  assert_true(e->count <= EVALUATION_SLOTS);
  for (uint32_t i = 0; i < e->count; i++) {
    assert_true(dims_size(shape_dims(g, g->slots.data[i].shape), batch, &e->sizes[i]));
    e->slots[i] = mem_zero((size_t)e->sizes[i] + 1, sizeof(double));
  }
}

static inline void evaluation_close(Evaluation *e) {
  for (uint32_t i = 0; i < e->count; i++) free(e->slots[i]);
  program_free(e->program);
  tree_free(&e->tree);
  session_free(&e->session);
}

static inline void evaluation_start(Evaluation *e) {
  const Graph *init = e->program->init;
  const InterpInput input = evaluation_input(e);
  Interp *interp = interp_new(init, &input);
  for (uint32_t i = 0; i < init->outputs.count; i++) {
    const Output *o = &init->outputs.data[i];
    int64_t n;
    if (o->kind != OUT_SLOT) continue;
    const double *v = interp_value(interp, o->node, &n);
    assert_int_equal(n, e->sizes[o->slot]);
    memcpy(e->slots[o->slot], v, sizeof *v * (size_t)n);
  }
  interp_free(interp);
}

static inline bool slot_is_feed(const Slot *s) { return s->kind == SLOT_INPUT || s->kind == SLOT_TARGET; }

/* ---- machine code ---- */

static inline void element_put(void *to, uint8_t type, int64_t i, double value) {
  switch (type) {
  case GRADC_F32: ((float *)to)[i] = (float)value; break;
  case GRADC_F64: ((double *)to)[i] = value; break;
  case GRADC_I32: ((int32_t *)to)[i] = (int32_t)value; break;
  default: ((uint8_t *)to)[i] = value != 0; break;
  }
}

static inline double element_get(const void *from, uint8_t type, int64_t i) {
  switch (type) {
  case GRADC_F32: return ((const float *)from)[i];
  case GRADC_F64: return ((const double *)from)[i];
  case GRADC_I32: return ((const int32_t *)from)[i];
  default: return ((const uint8_t *)from)[i];
  }
}

typedef struct {
  Compiled *compiled;
  GradcModel *model;
  void *feeds[EVALUATION_SLOTS];
  int feed_count;
} MachineCode;

/* Compiles the entries of the mask and makes an instance, with its own start from the same seed. */
static inline void machine_open(MachineCode *m, Evaluation *e, unsigned entries) {
  *m = (MachineCode){0};
  GradcMessage message = {{0}};
  m->compiled = compile_program(&e->session, e->program, &e->options, 1u << GRADC_ENTRY_INIT | entries);
  const GradcProgram *p = compiled_program(m->compiled);
  if (gradc_create(p, 1, e->batch, 1, &m->model, &message) != GRADC_OK) fail_msg("%s", message.text);
  gradc_progress(m->model)->steps = 1;
  for (uint32_t i = 0; i < e->count; i++) {
    const Slot *s = &e->program->eval->slots.data[i];
    if (!slot_is_feed(s)) continue;
    void *feed = m->feeds[m->feed_count++] = mem_zero((size_t)e->sizes[i] + 1, 8);
    for (int64_t k = 0; k < e->sizes[i]; k++) element_put(feed, (uint8_t)s->type, k, e->slots[i][k]);
  }
}

static inline void machine_close(MachineCode *m) {
  gradc_free(m->model);
  compiled_free(m->compiled);
  for (int i = 0; i < m->feed_count; i++) free(m->feeds[i]);
}

static inline void machine_eval(MachineCode *m, const Evaluation *e) {
  if (gradc_eval(m->model, (const void *const *)m->feeds, e->batch) != GRADC_OK)
    fail_msg("%s", gradc_message(m->model));
}

static inline void machine_train(MachineCode *m, const Evaluation *e) {
  if (gradc_train_step(m->model, (const void *const *)m->feeds, e->batch) != GRADC_OK)
    fail_msg("%s", gradc_message(m->model));
}

/* Are two numbers equal to `tolerance` of `scale`? NaN equals NaN, an infinity itself. */
static inline bool numbers_agree(double a, double b, double tolerance, double scale) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  if (isinf(a) || isinf(b)) return a == b;
  return fabs(a - b) <= tolerance * fmax(1, scale);
}

#endif
