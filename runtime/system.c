/* system.c: what the machine has to give: memory and processors. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gradc.h"
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The number after `key` in a small text file ("" for its first word); -1 if there is none ("max" is none). */
static int64_t read_number(const char *path, const char *key) {
  FILE *file = fopen(path, "re");
  if (!file) return -1;
  char line[256];
  int64_t number = -1;
  size_t length = strlen(key);
  while (number < 0 && fgets(line, sizeof line, file)) {
    char *end = NULL;
    if (strncmp(line, key, length) != 0) continue;
    long long value = strtoll(line + length, &end, 10);
    if (end != line + length && value >= 0) number = value;
  }
  fclose(file);
  return number;
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
  long long quota, period;
  FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re"); /* "200000 100000" or "max 100000" */
  if (!file) return 0;
  bool limited = fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0;
  fclose(file);
  if (!limited || quota / period > GRADC_MAX_THREADS) return 0;
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
  return (b & more) == more && (saved_registers() & 0xe6) == 0xe6 ? GRADC_LEVEL_X86_V4 : GRADC_LEVEL_X86_V3;
}
#else
GradcLevel gradc_processor_level(void) { return GRADC_LEVEL_ANY; }
#endif

int gradc_processors(void) {
  int allowed = processors_allowed();
  long count = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
  cpu_set_t set;
  if (!sched_getaffinity(0, sizeof set, &set)) count = CPU_COUNT(&set);
#endif
  if (count < 1) count = 1;
  return allowed && allowed < count ? allowed : (int)count;
}
