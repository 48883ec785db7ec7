/* load.c: maps a relocatable ELF object and resolves its relocations. x86-64 and AArch64, small code model, as LLVM
 * emits it; no thread-local storage, no unwinding tables, no initialisers: our code has none. */
#include "load.h"

#include <elf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"

/* Beside the code lies one slot a symbol: a jump through the 8 bytes at its end, which serve as the symbol's entry in a
 * global offset table as well. Only symbols that a relocation reaches that way have theirs filled. */
#define SLOT_SIZE 16
#define SLOT_ADDRESS 8

typedef struct {
  char *name;
  void *address;
} Symbol;

struct Jit {
  uint8_t *base;
  size_t size;
  Symbol *symbols;
  size_t symbol_count;
};

typedef struct {
  const uint8_t *bytes;
  size_t size;
  const Elf64_Ehdr *header;
  const Elf64_Shdr *sections;
  const Elf64_Sym *symbols;
  size_t symbol_count;
  const char *names; /* of symbols; ends in NUL */
  size_t names_size;
  uint64_t *at;      /* of each section: its offset in the mapping; then its address */
  uint64_t slots;    /* likewise of the slots */
  size_t code_size;  /* pages at the start that become executable */
  Jit *jit;
  Jit *const *others; /* whose symbols it may use */
  size_t other_count;
  char **error;
} Loader;

static bool fail(Loader *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(Loader *l, const char *format, ...) {
  char message[256];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  *l->error = mem_strdup(message);
  return false;
}

static bool inside(const Loader *l, uint64_t offset, uint64_t size) {
  return offset <= l->size && size <= l->size - offset;
}

static uint64_t round_up(uint64_t n, uint64_t to) {
  return (n + to - 1) & ~(to - 1);
}

static uint16_t host_machine(void) {
#if defined __x86_64__
  return EM_X86_64;
#elif defined __aarch64__
  return EM_AARCH64;
#else
  return EM_NONE;
#endif
}

static bool read_header(Loader *l) {
  const Elf64_Ehdr *h = l->header = (const void *)l->bytes;
  if ((uintptr_t)h % 8) return fail(l, "object not aligned to 8 bytes");
  if (l->size < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
      h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL)
    return fail(l, "not a relocatable 64-bit ELF object");
  if (h->e_machine != host_machine()) return fail(l, "object code for another machine");
  if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shoff % 8 || !inside(l, h->e_shoff, h->e_shnum * sizeof(Elf64_Shdr)))
    return fail(l, "damaged object: section table");
  l->sections = (const void *)(l->bytes + h->e_shoff);
  for (unsigned i = 0; i < h->e_shnum; i++) {
    const Elf64_Shdr *s = &l->sections[i];
    uint64_t align = s->sh_addralign ? s->sh_addralign : 1;
    bool has_bytes = s->sh_type == SHT_NOBITS || inside(l, s->sh_offset, s->sh_size);
    if (!has_bytes || s->sh_size > INT32_MAX || align & (align - 1) || align > 4096)
      return fail(l, "damaged object: section %u", i);
  }
  return true;
}

static bool read_symbols(Loader *l) {
  for (unsigned i = 0; i < l->header->e_shnum; i++) {
    const Elf64_Shdr *s = &l->sections[i];
    if (s->sh_type != SHT_SYMTAB) continue;
    if (s->sh_offset % 8 || s->sh_link >= l->header->e_shnum) return fail(l, "damaged object: symbol table");
    const Elf64_Shdr *names = &l->sections[s->sh_link];
    l->symbols = (const void *)(l->bytes + s->sh_offset), l->symbol_count = s->sh_size / sizeof(Elf64_Sym);
    l->names = (const char *)l->bytes + names->sh_offset, l->names_size = names->sh_size;
    if (names->sh_type != SHT_STRTAB || !l->names_size || l->names[l->names_size - 1])
      return fail(l, "damaged object: symbol names");
  }
  for (size_t i = 0; i < l->symbol_count; i++) {
    const Elf64_Sym *y = &l->symbols[i];
    if (y->st_name >= l->names_size) return fail(l, "damaged object: name of symbol %zu", i);
    if (y->st_shndx >= SHN_LORESERVE) continue;
    if (y->st_shndx >= l->header->e_shnum || y->st_value > l->sections[y->st_shndx].sh_size)
      return fail(l, "damaged object: symbol %s", l->names + y->st_name);
  }
  return true;
}

/* Code, then the slots, then on pages of its own everything else. */
static bool map_sections(Loader *l) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), n = 0;
  l->at = mem_zero(l->header->e_shnum + 1u, sizeof *l->at);
  for (int pass = 0; pass < 2; pass++) {
    for (unsigned i = 0; i < l->header->e_shnum; i++) {
      const Elf64_Shdr *s = &l->sections[i];
      if (!(s->sh_flags & SHF_ALLOC) || pass == !!(s->sh_flags & SHF_EXECINSTR)) continue;
      if (s->sh_flags & SHF_TLS) return fail(l, "object with thread-local data");
      l->at[i] = round_up(n, s->sh_addralign ? s->sh_addralign : 1);
      n = l->at[i] + s->sh_size;
      if (n > INT32_MAX) return fail(l, "object too large");
    }
    if (!pass) l->slots = round_up(n, SLOT_SIZE), n = l->slots + l->symbol_count * SLOT_SIZE;
    n = round_up(n, page);
    if (!pass) l->code_size = n;
  }
  l->jit->size = n ? n : page;
  void *base = mmap(NULL, l->jit->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return fail(l, "no memory for %zu bytes of code", l->jit->size);
  l->jit->base = base;
  l->slots += (uint64_t)base;
  for (unsigned i = 0; i < l->header->e_shnum; i++) {
    const Elf64_Shdr *s = &l->sections[i];
    if (!(s->sh_flags & SHF_ALLOC)) continue;
    l->at[i] += (uint64_t)base;
    if (s->sh_type != SHT_NOBITS) memcpy((void *)l->at[i], l->bytes + s->sh_offset, s->sh_size);
  }
  return true;
}

/* The address of a symbol, or 0 with an error. */
static uint64_t symbol_value(Loader *l, size_t index) {
  const Elf64_Sym *y = &l->symbols[index];
  const char *name = l->names + y->st_name;
  if (y->st_shndx == SHN_ABS) return y->st_value;
  if (y->st_shndx != SHN_UNDEF && y->st_shndx < SHN_LORESERVE) {
    if (l->at[y->st_shndx]) return l->at[y->st_shndx] + y->st_value;
    return fail(l, "symbol %s in a section that is not loaded", name);
  }
  if (!strcmp(name, "memcpy")) return (uint64_t)&memcpy;
  if (!strcmp(name, "memmove")) return (uint64_t)&memmove;
  if (!strcmp(name, "memset")) return (uint64_t)&memset;
  for (size_t i = 0; i < l->other_count; i++) {
    void *address = jit_symbol(l->others[i], name);
    if (address) return (uint64_t)address;
  }
  return fail(l, "undefined symbol %s", name);
}

static uint64_t fill_slot(Loader *l, size_t index, uint64_t value) {
  static const uint8_t x86[SLOT_ADDRESS] = {0xff, 0x25, 2, 0, 0, 0, 0xcc, 0xcc};              /* jmp [rip + 2] */
  static const uint8_t arm[SLOT_ADDRESS] = {0x50, 0x00, 0x00, 0x58, 0x00, 0x02, 0x1f, 0xd6}; /* ldr x16, 8; br x16 */
  uint64_t slot = l->slots + index * SLOT_SIZE;
  memcpy((void *)slot, l->header->e_machine == EM_X86_64 ? x86 : arm, SLOT_ADDRESS);
  memcpy((void *)(slot + SLOT_ADDRESS), &value, sizeof value);
  return slot;
}

static bool put32(uint8_t *place, int64_t value) {
  int32_t narrow = (int32_t)value;
  memcpy(place, &narrow, sizeof narrow);
  return narrow == value;
}

/* Writes `value` into the bits of an AArch64 instruction from bit `shift` on, `width` bits wide. */
static void put_bits(uint8_t *place, uint64_t value, int shift, int width) {
  uint32_t word, mask = (uint32_t)((1ull << width) - 1) << shift;
  memcpy(&word, place, sizeof word);
  word = (word & ~mask) | ((uint32_t)(value << shift) & mask);
  memcpy(place, &word, sizeof word);
}

static int relocation_size(uint16_t machine, uint32_t type) {
  return type == (machine == EM_X86_64 ? R_X86_64_64 : R_AARCH64_ABS64) ||
                 type == (machine == EM_X86_64 ? R_X86_64_PC64 : R_AARCH64_PREL64)
             ? 8
             : 4;
}

static bool relocate_x86(Loader *l, uint32_t type, size_t symbol, uint64_t s, int64_t a, uint8_t *place) {
  int64_t p = (int64_t)place, value = (int64_t)s + a;
  bool fits = true;
  switch (type) {
    case R_X86_64_64: memcpy(place, &value, 8); break;
    case R_X86_64_PC64: value -= p, memcpy(place, &value, 8); break;
    case R_X86_64_PC32: fits = put32(place, value - p); break;
    case R_X86_64_PLT32:
      fits = put32(place, value - p);
      if (!fits) fits = put32(place, (int64_t)fill_slot(l, symbol, s) + a - p);
      break;
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX:
      fits = put32(place, (int64_t)fill_slot(l, symbol, s) + SLOT_ADDRESS + a - p);
      break;
    default: return fail(l, "relocation %u that the loader does not know", type);
  }
  return fits || fail(l, "relocation %u out of reach", type);
}

/* A page difference goes into two fields of adrp: its low two bits at 29, the others at 5. */
static bool put_page(uint8_t *place, uint64_t target) {
  int64_t pages = (int64_t)(target & ~4095ull) - (int64_t)((uint64_t)place & ~4095ull);
  pages /= 4096;
  put_bits(place, (uint64_t)pages & 3, 29, 2);
  put_bits(place, (uint64_t)(pages >> 2), 5, 19);
  return pages >= -(1 << 20) && pages < 1 << 20;
}

static bool relocate_arm(Loader *l, uint32_t type, size_t symbol, uint64_t s, int64_t a, uint8_t *place) {
  int64_t p = (int64_t)place, value = (int64_t)s + a, jump;
  bool fits = true;
  switch (type) {
    case R_AARCH64_ABS64: memcpy(place, &value, 8); break;
    case R_AARCH64_PREL64: value -= p, memcpy(place, &value, 8); break;
    case R_AARCH64_PREL32: fits = put32(place, value - p); break;
    case R_AARCH64_CALL26:
    case R_AARCH64_JUMP26:
      jump = value - p;
      if (jump < -(1 << 27) || jump >= 1 << 27) jump = (int64_t)fill_slot(l, symbol, s) + a - p;
      put_bits(place, (uint64_t)(jump >> 2), 0, 26);
      break;
    case R_AARCH64_ADR_PREL_PG_HI21:
    case R_AARCH64_ADR_PREL_PG_HI21_NC: fits = put_page(place, (uint64_t)value); break;
    case R_AARCH64_ADR_GOT_PAGE: fits = put_page(place, fill_slot(l, symbol, s) + SLOT_ADDRESS + (uint64_t)a); break;
    case R_AARCH64_ADD_ABS_LO12_NC:
    case R_AARCH64_LDST8_ABS_LO12_NC: put_bits(place, (uint64_t)value & 4095, 10, 12); break;
    case R_AARCH64_LDST16_ABS_LO12_NC: put_bits(place, ((uint64_t)value & 4095) >> 1, 10, 12); break;
    case R_AARCH64_LDST32_ABS_LO12_NC: put_bits(place, ((uint64_t)value & 4095) >> 2, 10, 12); break;
    case R_AARCH64_LDST64_ABS_LO12_NC: put_bits(place, ((uint64_t)value & 4095) >> 3, 10, 12); break;
    case R_AARCH64_LDST128_ABS_LO12_NC: put_bits(place, ((uint64_t)value & 4095) >> 4, 10, 12); break;
    case R_AARCH64_LD64_GOT_LO12_NC:
      put_bits(place, ((fill_slot(l, symbol, s) + SLOT_ADDRESS + (uint64_t)a) & 4095) >> 3, 10, 12);
      break;
    default: return fail(l, "relocation %u that the loader does not know", type);
  }
  return fits || fail(l, "relocation %u out of reach", type);
}

static bool relocate_section(Loader *l, const Elf64_Shdr *s) {
  if (s->sh_info >= l->header->e_shnum || s->sh_offset % 8) return fail(l, "damaged object: relocations");
  if (!l->at[s->sh_info]) return true; /* of a section that is not loaded */
  const Elf64_Shdr *into = &l->sections[s->sh_info];
  const Elf64_Rela *r = (const void *)(l->bytes + s->sh_offset);
  for (size_t k = 0; k < s->sh_size / sizeof *r; k++, r++) {
    uint32_t type = ELF64_R_TYPE(r->r_info);
    size_t symbol = ELF64_R_SYM(r->r_info);
    unsigned size = (unsigned)relocation_size(l->header->e_machine, type);
    if (symbol >= l->symbol_count || r->r_offset > into->sh_size || size > into->sh_size - r->r_offset)
      return fail(l, "damaged object: relocation %zu", k);
    uint64_t value = symbol_value(l, symbol);
    uint8_t *place = (uint8_t *)l->at[s->sh_info] + r->r_offset;
    if (!value) return false;
    bool ok = l->header->e_machine == EM_X86_64 ? relocate_x86(l, type, symbol, value, r->r_addend, place)
                                                 : relocate_arm(l, type, symbol, value, r->r_addend, place);
    if (!ok) return false;
  }
  return true;
}

static void keep_symbols(Loader *l) {
  l->jit->symbols = mem_zero(l->symbol_count + 1, sizeof *l->jit->symbols);
  for (size_t i = 0; i < l->symbol_count; i++) {
    const Elf64_Sym *y = &l->symbols[i];
    if (ELF64_ST_BIND(y->st_info) != STB_GLOBAL || y->st_shndx == SHN_UNDEF || y->st_shndx >= SHN_LORESERVE) continue;
    if (!l->at[y->st_shndx]) continue;
    l->jit->symbols[l->jit->symbol_count++] =
        (Symbol){mem_strdup(l->names + y->st_name), (void *)(l->at[y->st_shndx] + y->st_value)};
  }
}

static bool load_object(Loader *l) {
  if (!read_header(l) || !read_symbols(l) || !map_sections(l)) return false;
  for (unsigned i = 0; i < l->header->e_shnum; i++) {
    if (l->sections[i].sh_type == SHT_REL) return fail(l, "object with relocations without addends");
    if (l->sections[i].sh_type == SHT_RELA && !relocate_section(l, &l->sections[i])) return false;
  }
  keep_symbols(l);
  if (l->code_size && mprotect(l->jit->base, l->code_size, PROT_READ | PROT_EXEC))
    return fail(l, "the system forbids executable memory");
  __builtin___clear_cache((char *)l->jit->base, (char *)l->jit->base + l->code_size);
  return true;
}

Jit *jit_load(const void *object, size_t size, char **error) { return jit_load_with(object, size, NULL, 0, error); }

Jit *jit_load_with(const void *object, size_t size, Jit *const *others, size_t count, char **error) {
  Loader l = {.bytes = object, .size = size, .jit = mem_zero(1, sizeof(Jit)), .others = others, .other_count = count, .error = error};
  *error = NULL;
  bool ok = load_object(&l);
  free(l.at);
  if (ok) return l.jit;
  jit_free(l.jit);
  return NULL;
}

void *jit_symbol(const Jit *jit, const char *name) {
  for (size_t i = 0; i < jit->symbol_count; i++)
    if (!strcmp(jit->symbols[i].name, name)) return jit->symbols[i].address;
  return NULL;
}

size_t jit_size(const Jit *jit) {
  return jit->size;
}

void jit_free(Jit *jit) {
  if (!jit) return;
  for (size_t i = 0; i < jit->symbol_count; i++) free(jit->symbols[i].name);
  free(jit->symbols);
  if (jit->base) munmap(jit->base, jit->size);
  free(jit);
}
