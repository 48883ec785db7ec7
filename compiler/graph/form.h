/* form.h: the words of the graph's text, shared by its printer and its parser. */
#ifndef GRADC_FORM_H
#define GRADC_FORM_H
#include "graph.h"

static const char *const slot_words[] = {"input", "target", "param", "state", "optimizer", "metric"}; /* by SlotKind */
static const char *const out_words[] = {"value", "loss", "metric", "slot"};                           /* by OutKind */

#endif
