/* tuned.h: tiles of contractions that `gradc tune` found faster than the compiler's own choice. They are kept in the cache of
 * compiled code, one table a compiler's build, processor and shape of machine. A tile changes no bit of a result. */
#ifndef GRADC_TUNED_H
#define GRADC_TUNED_H
#include <stddef.h>

#include "schedule.h"

typedef struct {
  uint64_t kernel;          /* Kernel.hash */
  uint32_t rows, vectors;   /* Stage.tile_rows, tile_vectors; 0: the compiler's choice */
} TunedTile;

typedef struct Tuned {
  Vec(TunedTile) tiles;
} Tuned;

/* The table for this machine; empty where there is none, or what is there cannot be right. `cpu`: as in CompileOptions. */
void tuned_read(Tuned *t, const char *folder, const Machine *machine, const char *cpu);
/* Keeps the table; false where it cannot be written: the reason is in `why`. */
bool tuned_write(const Tuned *t, const char *folder, const Machine *machine, const char *cpu, char *why, size_t why_size);
/* Sets or replaces a kernel's tile. */
void tuned_set(Tuned *t, TunedTile tile);
/* Gives the schedule's contractions their tiles. */
void tuned_apply(const Tuned *t, Schedule *schedule);
void tuned_free(Tuned *t);

#endif
