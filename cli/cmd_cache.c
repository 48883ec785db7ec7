/* cmd_cache.c: what the cache of compiled code holds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache.h"
#include "options.h"

const uint8_t cmd_cache_options[] = {OPT_clear, OPT_json, OPT_COUNT};

int cmd_cache(const Options *o) {
  char folder[CACHE_PATH];
  if (!cache_folder(folder)) {
    fprintf(stderr, "error: there is no place for a cache\nhint: set XDG_CACHE_HOME or HOME to a folder, by its whole path\n");
    return EXIT_INPUT;
  }
  if (o->clear && !cache_clear(folder)) {
    fprintf(stderr, "error: not all of %s can be removed: %s\n", folder, strerror(errno));
    return EXIT_INPUT;
  }
  const CacheSize size = cache_total(folder);
  if (o->json) {
    printf("{\"folder\":\"%s\",\"files\":%lld,\"bytes\":%lld,\"limit\":%lld}\n", folder, (long long)size.files, (long long)size.bytes,
           (long long)cache_limit());
  } else {
    printf("%s: %lld files, %.1f MB of at most %lld\n", folder, (long long)size.files, (double)size.bytes * 1e-6,
           (long long)(cache_limit() >> 20));
  }
  return EXIT_DONE;
}
