/* archive.c: static libraries in the common `ar` format: a table of the symbols that members define, then the members. No
 * date and no owner is written: the same objects give the same bytes. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "artefact.h"
#include "carried.h"
#include "vec.h"

typedef struct {
  const char *name;
  const void *bytes;
  size_t size;
} Member;

typedef struct {
  uint32_t member;
  const char *name;
} Defined;
typedef Vec(Defined) DefinedNames;

static bool is_outside(const Elf64_Sym *s) {
  const int bind = ELF64_ST_BIND(s->st_info);
  return s->st_shndx != SHN_UNDEF && (bind == STB_GLOBAL || bind == STB_WEAK);
}

/* The objects are our own: their tables are whole. */
static void add_names(DefinedNames *names, uint32_t number, const Member *m) {
  const char *bytes = m->bytes;
  const Elf64_Ehdr *header = m->bytes;
  const Elf64_Shdr *sections = (const void *)(bytes + header->e_shoff);
  for (unsigned i = 0; i < header->e_shnum; i++) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const Elf64_Sym *symbols = (const void *)(bytes + sections[i].sh_offset);
    const char *texts = bytes + sections[sections[i].sh_link].sh_offset;
    for (size_t k = 0; k < sections[i].sh_size / sizeof *symbols; k++)
      if (is_outside(&symbols[k])) vec_push(names, ((Defined){number, texts + symbols[k].st_name}));
  }
}

static void add_header(Text *out, const char *name, size_t size) {
  text_printf(out, "%-16s%-12s%-6s%-6s%-8s%-10zu`\n", name, "0", "0", "0", "644", size);
}

static void add_big(Text *out, uint32_t n) {
  const unsigned char bytes[] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n};
  text_add_bytes(out, (const char *)bytes, 4);
}

static size_t even(size_t n) { return n + (n & 1); }

static void add_archive(Text *out, const Member *members, uint32_t count) {
  enum { MAGIC = 8, HEADER = 60 };
  DefinedNames names = {0};
  size_t index = 4, *at = calloc(count, sizeof *at);
  for (uint32_t i = 0; i < count; i++) add_names(&names, i, &members[i]);
  for (uint32_t i = 0; i < names.count; i++) index += 4 + strlen(names.data[i].name) + 1;
  size_t next = MAGIC + HEADER + even(index);
  for (uint32_t i = 0; at && i < count; i++) at[i] = next, next += HEADER + even(members[i].size);
  text_add(out, "!<arch>\n");
  add_header(out, "/", even(index));
  add_big(out, names.count);
  for (uint32_t i = 0; at && i < names.count; i++) add_big(out, (uint32_t)at[names.data[i].member]);
  for (uint32_t i = 0; i < names.count; i++) text_add_bytes(out, names.data[i].name, strlen(names.data[i].name) + 1);
  if (index & 1) text_add_bytes(out, "", 1);
  for (uint32_t i = 0; i < count; i++) {
    add_header(out, members[i].name, members[i].size);
    text_add_bytes(out, members[i].bytes, members[i].size);
    if (members[i].size & 1) text_add_bytes(out, "\n", 1);
  }
  free(at);
  vec_free(&names);
}

bool artefact_archive(Arena *arena, const Objects *objects, const char *path, Why *why) {
  const CarriedFile *runtime = carried_find(arena_printf(arena, "%s.o", objects->arch));
  if (!artefact_supports(arena, objects->arch, why)) return false;
  Member *members = ARENA_ARRAY(arena, Member, objects->count + 1);
  for (unsigned i = 0; i < objects->count; i++) {
    /* A name of 16 bytes ends in a slash: longer ones are numbered. */
    const char *name = strlen(objects->names[i]) < 16 ? arena_printf(arena, "%s/", objects->names[i]) : arena_printf(arena, "model%u.o/", i);
    members[i] = (Member){name, objects->objects[i].bytes, objects->objects[i].size};
  }
  members[objects->count] = (Member){"gradc.o/", runtime->bytes, runtime->size};
  Text out = {0};
  add_archive(&out, members, objects->count + 1);
  const bool ok = artefact_write(arena, path, out.data, out.length, why);
  text_free(&out);
  return ok;
}
