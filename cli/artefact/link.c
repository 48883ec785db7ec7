/* link.c: shared objects, by whatever linker the machine has. The shared object is linked against an empty stand-in for the C
 * library that carries its name alone: what it needs is found when it is loaded, so that neither the C library's files nor a
 * compiler for another machine are wanted here, and the bytes do not depend on this machine's C library. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "artefact.h"
#include "carried.h"
#include "mem.h"

const CarriedFile *carried_find(const char *name) {
  for (const CarriedFile *f = carried_files; f->name; f++)
    if (!strcmp(f->name, name)) return f;
  return NULL;
}

static bool fail(Why *why, const char *text, const char *hint) {
  *why = (Why){text, hint};
  return false;
}

static const char *const wasm_parts[] = {"wasm32_model.o", "wasm32_layout.o", "wasm32_tensors.o", "wasm32_status.o", "wasm32_system.o"};
enum { WASM_PARTS = sizeof wasm_parts / sizeof *wasm_parts };

bool artefact_supports(Arena *arena, const char *arch, Why *why) {
  const bool wasm = !strcmp(arch, "wasm32");
  if (carried_find(wasm ? wasm_parts[0] : arena_printf(arena, "%s.o", arch))) return true;
  if (wasm)
    return fail(why, "this gradc does not carry the runtime for wasm32",
                "it was built on a machine without clang-19; `--emit obj` gives the model alone");
  return fail(why, arena_printf(arena, "this gradc does not carry the runtime for %s", arch),
              arena_printf(arena, "it was built on a machine without %s-linux-gnu-gcc; `--emit obj` gives the model alone", arch));
}

/* ---- files ---- */

bool artefact_write(Arena *arena, const char *path, const void *bytes, size_t size, Why *why) {
  char *part = arena_printf(arena, "%s.XXXXXX", path);
  const int fd = mkstemp(part);
  if (fd < 0) return fail(why, arena_printf(arena, "cannot write %s: %s", path, strerror(errno)), NULL);
  bool ok = true;
  for (size_t at = 0; ok && at < size;) {
    const ssize_t n = write(fd, (const char *)bytes + at, size - at);
    if (n > 0) at += (size_t)n;
    else if (n == 0 || errno != EINTR) ok = false;
  }
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(fd, 0666 & ~mask)) ok = false;
  if (close(fd)) ok = false;
  if (ok && !rename(part, path)) return true;
  fail(why, arena_printf(arena, "cannot write %s: %s", path, strerror(errno)), NULL);
  unlink(part);
  return false;
}

/* ---- linkers ---- */

typedef struct {
  const char *path;
  bool driver; /* a C compiler that calls the linker */
} Linker;

static const char *find_program(Arena *arena, const char *name) {
  const char *paths = getenv("PATH");
  if (strchr(name, '/')) return access(name, X_OK) ? NULL : name;
  for (const char *p = paths ? paths : "/usr/bin:/bin"; p;) {
    const size_t n = strcspn(p, ":");
    const char *path = n ? arena_printf(arena, "%.*s/%s", (int)n, p, name) : name;
    struct stat st;
    if (!stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK)) return path;
    p = p[n] ? p + n + 1 : NULL;
  }
  return NULL;
}

#if defined __aarch64__
#define HOST "aarch64"
#else
#define HOST "x86_64"
#endif

/* The first of these programs that is there. Where none is, *tried has their names, with commas between. */
static bool find_first(Arena *arena, const char *const *names, const char *prefix, Linker *linker, const char **tried) {
  for (; *names; names++) {
    const char *name = arena_printf(arena, "%s%s", prefix, *names);
    if ((linker->path = find_program(arena, name))) return true;
    *tried = **tried ? arena_printf(arena, "%s, %s", *tried, name) : name;
  }
  return false;
}

static bool find_linker(Arena *arena, const char *arch, Linker *linker, Why *why) {
  /* Older ones do not know what LLVM 19 writes: the plain name, which may be one, comes last. */
  static const char *const wasm[] = {"wasm-ld-19", "wasm-ld-20", "wasm-ld-21", "wasm-ld", NULL};
  static const char *const any[] = {"ld.lld", "ld.lld-21", "ld.lld-20", "ld.lld-19", "ld.lld-18", NULL};
  static const char *const own[] = {"ld", NULL}, *const drivers[] = {"cc", "gcc", "clang", NULL};
  const bool here = !strcmp(arch, HOST), for_wasm = !strcmp(arch, "wasm32");
  const char *tried = "", *prefix = here ? "" : arena_printf(arena, "%s-linux-gnu-", arch);
  if (for_wasm && find_first(arena, wasm, "", linker, &tried)) return true;
  if (!for_wasm && find_first(arena, any, "", linker, &tried)) return true;
  if (!for_wasm && find_first(arena, own, prefix, linker, &tried)) return true;
  linker->driver = true;
  if (!for_wasm && find_first(arena, drivers, prefix, linker, &tried)) return true;
  return fail(why, arena_printf(arena, "no linker for %s was found: PATH has none of %s", for_wasm ? "WebAssembly" : arch, tried),
              for_wasm ? "install lld-19 (or lld of a later version)"
              : here   ? "install lld or gcc; `--emit static` and `--emit obj` need none"
                       : "install lld, which links for every machine; `--emit static` and `--emit obj` need none");
}

/* ---- running it ---- */

typedef struct {
  Arena *arena;
  Linker linker;
  char *folder;            /* a temporary one */
  const char *words[64];
  unsigned count;
  Why *why;
} Link;

static void add(Link *l, const char *word) {
  if (l->count + 1 < sizeof l->words / sizeof *l->words) l->words[l->count++] = word;
}

/* An option of the linker and its argument, as a driver wants it where there is one. */
static void option(Link *l, const char *name, const char *value) {
  if (!l->linker.driver) {
    add(l, name);
    if (value) add(l, value);
  } else {
    add(l, value ? arena_printf(l->arena, "-Wl,%s,%s", name, value) : arena_printf(l->arena, "-Wl,%s", name));
  }
}

static void begin(Link *l, const char *kind) {
  l->count = 0;
  add(l, l->linker.path);
  if (l->linker.driver) add(l, "-nostdlib");
  add(l, kind);
}

/* What the linker said, in one line. */
static char *read_said(Link *l, int fd) {
  char text[1024];
  size_t n = 0;
  ssize_t got;
  while (n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0) n += (size_t)got;
  while (read(fd, (char[256]){0}, 256) > 0) {} /* the linker must not wait for a reader */
  while (n && text[n - 1] == '\n') n--;
  text[n] = 0;
  for (char *p = text; *p; p++)
    if (*p == '\n') *p = ' ';
  return arena_printf(l->arena, "%s", text);
}

static bool run(Link *l) {
  int ends[2];
  l->words[l->count] = NULL;
  fflush(NULL);
  if (pipe(ends)) return fail(l->why, arena_printf(l->arena, "cannot run %s: %s", l->linker.path, strerror(errno)), NULL);
  const pid_t child = fork();
  if (!child) {
    dup2(ends[1], 1), dup2(ends[1], 2);
    close(ends[0]), close(ends[1]);
    execv(l->linker.path, (char *const *)(uintptr_t)l->words);
    _exit(127);
  }
  close(ends[1]);
  const char *said = child < 0 ? strerror(errno) : read_said(l, ends[0]);
  close(ends[0]);
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (child > 0 && WIFEXITED(status) && !WEXITSTATUS(status)) return true;
  return fail(l->why, arena_printf(l->arena, "%s failed: %s", l->linker.path, *said ? said : "it gave no reason"), NULL);
}

static char *in_folder(Link *l, const char *name) { return arena_printf(l->arena, "%s/%s", l->folder, name); }

static bool put(Link *l, const char *name, const void *bytes, size_t size) {
  return artefact_write(l->arena, in_folder(l, name), bytes, size, l->why);
}

/* libc.so.6 with a name and nothing in it: whatever `input` defines stays inside. */
static bool make_stand_in(Link *l, const char *input) {
  static const char script[] = "{ local: *; };\n";
  if (!put(l, "nothing", script, sizeof script - 1)) return false;
  begin(l, "-shared");
  option(l, arena_printf(l->arena, "--version-script=%s", in_folder(l, "nothing")), NULL);
  option(l, "-soname", "libc.so.6");
  option(l, "--as-needed", NULL);
  add(l, "-o"), add(l, in_folder(l, "libc.so.6"));
  add(l, input);
  return run(l);
}

static const char *last_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void shared_options(Link *l, const char *path, bool debug) {
  begin(l, "-shared");
  option(l, "-soname", last_part(path));
  option(l, "--gc-sections", NULL);
  option(l, "-Bsymbolic", NULL);
  option(l, "--build-id=none", NULL);
  option(l, "--hash-style=gnu", NULL);
  option(l, "-z", "now"), option(l, "-z", "relro"), option(l, "-z", "noexecstack"), option(l, "-z", "noseparate-code");
  option(l, "--no-as-needed", NULL);
  if (!debug) option(l, "-s", NULL);
  if (strstr(l->linker.path, "ld.lld")) option(l, "--icf=all", NULL), option(l, "-O2", NULL);
}

static bool open_link(Link *l, Arena *arena, const char *arch, Why *why) {
  const char *base = getenv("TMPDIR");
  *l = (Link){.arena = arena, .why = why};
  if (!find_linker(arena, arch, &l->linker, why)) return false;
  l->folder = arena_printf(arena, "%s/gradc.XXXXXX", base && *base ? base : "/tmp");
  if (mkdtemp(l->folder)) return true;
  const char *text = arena_printf(arena, "cannot make a folder like %s: %s", l->folder, strerror(errno));
  l->folder = NULL;
  return fail(why, text, "TMPDIR names the place for such folders");
}

static void close_link(Link *l, const Objects *objects) {
  static const char *const others[] = {"runtime.o", "libc.so.6", "out", "nothing"};
  if (!l->folder) return;
  for (unsigned i = 0; i < objects->count; i++) unlink(in_folder(l, objects->names[i]));
  for (int i = 0; i < 4; i++) unlink(in_folder(l, others[i]));
  for (int i = 0; i < WASM_PARTS; i++) unlink(in_folder(l, wasm_parts[i]));
  rmdir(l->folder);
}

static bool put_objects(Link *l, const Objects *objects) {
  for (unsigned i = 0; i < objects->count; i++)
    if (!put(l, objects->names[i], objects->objects[i].bytes, objects->objects[i].size)) return false;
  return true;
}

/* From the temporary folder to where it is wanted, which may be another file system. */
static bool take_out(Link *l, const char *path) {
  FILE *f = fopen(in_folder(l, "out"), "rb");
  long size = -1;
  if (f && !fseek(f, 0, SEEK_END)) size = ftell(f);
  char *bytes = size >= 0 ? mem_alloc((size_t)size + 1) : NULL;
  bool ok = bytes && !fseek(f, 0, SEEK_SET) && fread(bytes, 1, (size_t)size, f) == (size_t)size;
  if (!ok) fail(l->why, arena_printf(l->arena, "%s left no file", l->linker.path), NULL);
  if (f) fclose(f);
  ok = ok && artefact_write(l->arena, path, bytes, (size_t)size, l->why);
  free(bytes);
  return ok;
}

bool artefact_shared(Arena *arena, const Objects *objects, const char *path, bool debug, Why *why) {
  Link l;
  const CarriedFile *runtime = carried_find(arena_printf(arena, "%s.o", objects->arch));
  if (!artefact_supports(arena, objects->arch, why)) return false;
  bool ok = open_link(&l, arena, objects->arch, why) && put_objects(&l, objects) &&
            put(&l, "runtime.o", runtime->bytes, runtime->size) && make_stand_in(&l, in_folder(&l, objects->names[0]));
  if (ok) {
    shared_options(&l, path, debug);
    add(&l, "-o"), add(&l, in_folder(&l, "out"));
    for (unsigned i = 0; i < objects->count; i++) add(&l, in_folder(&l, objects->names[i]));
    add(&l, in_folder(&l, "runtime.o")), add(&l, in_folder(&l, "libc.so.6"));
    ok = run(&l) && take_out(&l, path);
  }
  close_link(&l, objects);
  return ok;
}

bool artefact_wasm(Arena *arena, const Objects *objects, const char *path, Why *why) {
  static const char *const exports[] = {
      "gradc_abi_version", "gradc_default_program", "gradc_create",       "gradc_message",   "gradc_progress",  "gradc_reset",
      "gradc_train_step",  "gradc_eval",            "gradc_gradient",     "gradc_figures",   "gradc_output_at", "gradc_output_count",
      "gradc_tensor_at",   "gradc_reset_metrics",   "gradc_program_value"};
  Link l;
  bool ok = artefact_supports(arena, objects->arch, why) && open_link(&l, arena, objects->arch, why) && put_objects(&l, objects);
  if (!ok) return false;
  for (int i = 0; ok && i < WASM_PARTS; i++) {
    const CarriedFile *part = carried_find(wasm_parts[i]);
    ok = put(&l, wasm_parts[i], part->bytes, part->size);
  }
  l.count = 0;
  add(&l, l.linker.path), add(&l, "--no-entry"), add(&l, "--gc-sections"), add(&l, "--strip-all"), add(&l, "-O2");
  add(&l, "-z"), add(&l, "stack-size=262144"), add(&l, "--stack-first");
  for (size_t i = 0; i < sizeof exports / sizeof *exports; i++) add(&l, arena_printf(arena, "--export=%s", exports[i]));
  add(&l, "-o"), add(&l, in_folder(&l, "out"));
  for (unsigned i = 0; i < objects->count; i++) add(&l, in_folder(&l, objects->names[i]));
  for (int i = 0; i < WASM_PARTS; i++) add(&l, in_folder(&l, wasm_parts[i]));
  ok = ok && run(&l) && take_out(&l, path);
  close_link(&l, objects);
  return ok;
}

bool artefact_object(Arena *arena, const Objects *objects, const char *path, Why *why) {
  if (objects->count == 1) return artefact_write(arena, path, objects->objects[0].bytes, objects->objects[0].size, why);
  Link l;
  bool ok = open_link(&l, arena, objects->arch, why) && put_objects(&l, objects);
  if (ok) {
    begin(&l, "-r");
    add(&l, "-o"), add(&l, in_folder(&l, "out"));
    for (unsigned i = 0; i < objects->count; i++) add(&l, in_folder(&l, objects->names[i]));
    ok = run(&l) && take_out(&l, path);
  }
  close_link(&l, objects);
  return ok;
}
