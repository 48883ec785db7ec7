/* load.h: our own loader for the relocatable ELF objects that LLVM emits. It knows nothing of LLVM, so that a cached
 * object runs in a process that never loads LLVM. */
#ifndef GRADC_LOAD_H
#define GRADC_LOAD_H
#include <stddef.h>

typedef struct Jit Jit; /* an object in memory, ready to run */

/* Maps and relocates a copy of the object's `size` bytes, which start at a multiple of 8; code becomes read-only and
 * executable. Every offset is checked, so a damaged object is an error and not a crash. The only names resolved outside
 * the object are memcpy, memmove and memset, which LLVM makes of its intrinsics. On failure NULL, and `*error` is a
 * message that the caller frees. */
Jit *jit_load(const void *object, size_t size, char **error);
/* The same for an object that calls functions of `count` others, which must stay loaded as long as it. */
Jit *jit_load_with(const void *object, size_t size, Jit *const *others, size_t count, char **error);
/* The address of a global symbol defined in the object, or NULL. Valid until jit_free. */
void *jit_symbol(const Jit *jit, const char *name);
/* Bytes of memory mapped. */
size_t jit_size(const Jit *jit);
void jit_free(Jit *jit); /* NULL is allowed */

#endif
