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
