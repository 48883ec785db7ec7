/* vec.h: a growing array of any type. Start from {0}; `data` is contiguous; vec_free releases it. */
#ifndef GRADC_VEC_H
#define GRADC_VEC_H
#include <stdint.h>
#include <stdlib.h>

#include "mem.h"

#define Vec(type)           \
  struct {                  \
    type *data;             \
    uint32_t count, capacity; \
  }

/* Makes room for `n` more elements. */
#define vec_reserve(v, n)                                                                      \
  do {                                                                                         \
    if ((v)->count + (n) > (v)->capacity) {                                                    \
      (v)->capacity = ((v)->count + (n)) * 2 > 8 ? (uint32_t)(((v)->count + (n)) * 2) : 8;     \
      (v)->data = mem_resize((v)->data, sizeof *(v)->data * (size_t)(v)->capacity);            \
    }                                                                                          \
  } while (0)
#define vec_push(v, x)               \
  do {                               \
    vec_reserve(v, 1);               \
    (v)->data[(v)->count++] = (x);   \
  } while (0)
#define vec_free(v) (free((v)->data), (v)->data = NULL, (v)->count = (v)->capacity = 0)

#endif
