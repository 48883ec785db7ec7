/* system.c: what the machine has to give: memory and processors. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "gradc.h"
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The beginning of a small text file; "" where it cannot be read. */
static void read_text(const char *path, char *text, size_t size) {
  const int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
  text[n > 0 ? n : 0] = 0;
  if (fd >= 0) close(fd);
}

/* The number that stands at *at behind spaces, and *at moves behind it; -1 if there is none ("max" is none) or it is too large. */
static int64_t take_number(const char **at) {
  int64_t number = -1;
  while (**at == ' ') (*at)++;
  for (; (unsigned)(**at - '0') < 10; (*at)++) {
    number = (number < 0 ? 0 : number * 10) + (**at - '0');
    if (number > INT64_MAX / 16) return -1;
  }
  return number;
}

/* The number after `key` in a small text file ("": its first word). */
static int64_t read_number(const char *path, const char *key) {
  char text[1024];
  read_text(path, text, sizeof text);
  const char *at = strstr(text, key);
  if (!at) return -1;
  at += strlen(key);
  return take_number(&at);
}

int64_t gradc_available_memory(void) {
  int64_t available = read_number("/proc/meminfo", "MemAvailable:");
  if (available >= 0) available *= 1024;
#ifdef _SC_PHYS_PAGES
  if (available < 0) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0) available = (int64_t)pages * page;
  }
#endif
  int64_t limit = read_number("/sys/fs/cgroup/memory.max", ""), used = read_number("/sys/fs/cgroup/memory.current", "");
  if (limit >= 0 && used >= 0) {
    int64_t left = limit > used ? limit - used : 0;
    if (available < 0 || left < available) available = left;
  }
  return available;
}

/* Whole processors that a control group's share of time is worth, at least 1; 0: no limit. Threads over it would be
 * stopped in the middle of a barrier. */
static int processors_allowed(void) {
  char text[64]; /* "200000 100000" or "max 100000" */
  read_text("/sys/fs/cgroup/cpu.max", text, sizeof text);
  const char *at = text;
  const int64_t quota = take_number(&at), period = quota > 0 ? take_number(&at) : 0;
  if (period <= 0 || quota / period > GRADC_MAX_THREADS) return 0;
  return quota < period ? 1 : (int)(quota / period);
}

uint32_t gradc_abi_version(void) { return GRADC_ABI_VERSION; }

#if defined(__x86_64__)
/* What the system saves of the registers at a change of threads: bits 1, 2 for AVX, and 5 to 7 for AVX-512. */
static uint32_t saved_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

GradcLevel gradc_processor_level(void) {
  enum { V2 = bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT, AVX = bit_AVX | bit_FMA | bit_OSXSAVE };
  const uint32_t avx2 = bit_AVX2 | bit_BMI | bit_BMI2, more = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & V2) != V2) return GRADC_LEVEL_ANY;
  if ((c & AVX) != AVX || (saved_registers() & 6) != 6) return GRADC_LEVEL_X86_V2;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & avx2) != avx2) return GRADC_LEVEL_X86_V2;
  if ((b & more) != more || (saved_registers() & 0xe6) != 0xe6) return GRADC_LEVEL_X86_V3;
  const bool bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 5 & 1;
  return bf16 ? GRADC_LEVEL_X86_V4_BF16 : GRADC_LEVEL_X86_V4;
}
#else
GradcLevel gradc_processor_level(void) { return GRADC_LEVEL_ANY; }
#endif

int gradc_processors(void) {
  int allowed = processors_allowed();
  long count = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
  cpu_set_t set;
  if (!sched_getaffinity(0, sizeof set, &set)) {
    count = 0;
    for (size_t i = 0; i < sizeof set; i++)
      for (unsigned bits = ((const unsigned char *)&set)[i]; bits; bits &= bits - 1) count++;
  }
#endif
  if (count < 1) count = 1;
  return allowed && allowed < count ? allowed : (int)count;
}
