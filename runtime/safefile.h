/* safefile.h: writes a file so that its name holds the old contents or the new, never a part of them, whatever fails and
 * whenever the machine stops. The new contents go to a file beside it, NAME.tmp-PID-N, which is then renamed. */
#ifndef GRADC_SAFEFILE_H
#define GRADC_SAFEFILE_H
#include <stdbool.h>
#include <stddef.h>
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GRADC_PATH_ROOM 4096

/* Tests make an operation fail, or end the process there: called before each ("open", "write", "fsync", "rename", "fsync
 * folder"); a number other than 0 is the error that it shall have. */
typedef struct {
  int (*before)(void *context, const char *operation);
  void *context;
} GradcWatch;

/* Fields are for safefile.c. After the first failure the others calls do nothing, so only the last one need be looked at. */
typedef struct {
  int fd, error;
  const char *reason; /* a sentence where the system has none; NULL: that of `error` */
  const GradcWatch *watch;
  char path[GRADC_PATH_ROOM], temporary[GRADC_PATH_ROOM];
} GradcSafeFile;

/* Starts to write: removes what killed writers of the same name have left, and makes the file beside. A symbolic link is
 * followed, the permissions of an old file are kept. `watch`: NULL but in tests. */
void gradc_safefile_open(GradcSafeFile *file, const char *path, const GradcWatch *watch);
void gradc_safefile_write(GradcSafeFile *file, const void *bytes, size_t size);

/* Puts the file in place, on the disk. On failure nothing is left behind, the old file is untouched, and the message has
 * the path and the system's reason. Status: OK or ERROR_FILE. */
GradcStatus gradc_safefile_commit(GradcSafeFile *file, GradcMessage *message);

/* Gives up: removes what was written. */
void gradc_safefile_abandon(GradcSafeFile *file);

#ifdef __cplusplus
}
#endif
#endif
