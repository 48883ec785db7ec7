/* checkpoint.h: what tests need beside gradc_save and gradc_load. Internal. */
#ifndef GRADC_CHECKPOINT_H
#define GRADC_CHECKPOINT_H
#include "safefile.h"

/* gradc_save with its system calls watched. */
GradcStatus gradc_save_watched(GradcModel *model, const char *path, const GradcPair *pairs, int count,
                               const GradcWatch *watch);

#endif
