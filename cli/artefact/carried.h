/* carried.h: files that gradc carries inside itself: the runtime as an object for each architecture ("x86_64.o"), and the
 * headers that programs include. */
#ifndef GRADC_CARRIED_H
#define GRADC_CARRIED_H
#include <stddef.h>

typedef struct {
  const char *name;
  const unsigned char *bytes;
  size_t size;
} CarriedFile;

extern const CarriedFile carried_files[]; /* ended by one without a name */
const CarriedFile *carried_find(const char *name); /* NULL: it is not carried */

#endif
