/* model.h: an instance from the inside. Internal: model.c, tensors.c and checkpoint.c share it. */
#ifndef GRADC_MODEL_H
#define GRADC_MODEL_H
#include "layout.h"
#include "team.h"

struct GradcModel {
  const GradcProgram *program;
  GradcTeam *team;
  GradcFrame frame;
  GradcProgress progress;
  void **buffers;    /* addresses of the program's buffer table */
  int64_t *slots;    /* offsets from the instance's first byte; -1: not kept here */
  GradcFeed *feeds;
  GradcRow *rows;    /* first those of feeds, then those of metrics' states */
  GradcFigure *figures;
  char *scratch;
  int64_t capacity[GRADC_MAX_BATCHES];
  int last;          /* the entry that ran last; -1: none */
  bool unjudged;     /* it had no targets */
  void *own;         /* the allocation, NULL if it is the caller's */
  GradcLayout layout;
  GradcMessage message;
};

/* "training", ..: for sentences. */
const char *gradc_entry_name(GradcEntryKind entry);

/* For an instance of a program whose entries were emitted to be profiled: before any of them runs. */
void gradc_set_stamp(GradcModel *model, void (*stamp)(GradcFrame *, int64_t thread, int64_t launch), void *stamps);

static inline void *gradc_slot_data(const GradcModel *model, int64_t slot) {
  return (char *)model + model->slots[slot];
}

#endif
