/* artefact.h: objects to files: shared objects, static libraries, relocatable objects, and the C header. Each function
 * writes its file whole or not at all; false after an error, whose sentence (and hint, or NULL) is in *why. */
#ifndef GRADC_ARTEFACT_H
#define GRADC_ARTEFACT_H
#include <stdbool.h>

#include "arena.h"
#include "compile.h"
#include "gradc.h"
#include "text.h"

typedef struct {
  const char *text, *hint; /* in the arena given */
} Why;

/* The objects of one model for one architecture, its runtime not among them. */
typedef struct {
  const char *arch;       /* "x86_64", "aarch64", "wasm32" */
  const char *const *names; /* of each object, as a member of an archive: "digits.o" */
  const Object *objects;
  unsigned count;
} Objects;

/* Whether gradc carries the runtime for this architecture. */
bool artefact_supports(Arena *arena, const char *arch, Why *why);
/* Links `path` by lld, ld or the C compiler, whichever is found; the shared object needs libc only and exports what the
 * headers declare. `debug`: keep names of functions, for debuggers and profilers. */
bool artefact_shared(Arena *arena, const Objects *objects, const char *path, bool debug, Why *why);
/* The same for WebAssembly, by wasm-ld: a module that imports nothing. */
bool artefact_wasm(Arena *arena, const Objects *objects, const char *path, Why *why);
/* Beside a module at `path` its JavaScript and the types of that: the same name, ending in .js and .d.ts. */
bool artefact_script(Arena *arena, const GradcProgram *program, const char *path, Why *why);
/* A static library with the model and the runtime, and a table of its symbols. */
bool artefact_archive(Arena *arena, const Objects *objects, const char *path, Why *why);
/* One relocatable object: the only one there is, or all linked into one. */
bool artefact_object(Arena *arena, const Objects *objects, const char *path, Why *why);
/* A folder `path` with a Python package (ctypes and NumPy) that pip installs. `source`: the model's file, for its text. */
bool artefact_python(Arena *arena, const Objects *objects, const GradcProgram *program, const char *name, const char *source,
                     const char *path, Why *why);
/* Bytes to a file by way of a temporary one beside it. */
bool artefact_write(Arena *arena, const char *path, const void *bytes, size_t size, Why *why);

/* The memory of an instance on one thread at the program's own capacity, whose total the header names; false where it has none. */
bool header_memory(const GradcProgram *program, GradcMemory *memory);
/* The documented header of a model: gradc.h as it is, then what belongs to this model. `path`: of the model, for the comment. */
void header_write(const GradcProgram *program, const char *name, const char *path, Text *out);

#endif
