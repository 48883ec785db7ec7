/* cmd_tune.c: measures each contraction of a training step with other register tiles, and keeps those that are faster in the
 * cache, where later compilations find them. A tile changes the speed and no bit.
 *
 * Each tile is given to all contractions at once and the launches are timed one by one, twice, in opposite orders, so that a
 * machine that grows busier does not favour the first. What seems faster is then measured as a whole against the compiler's own
 * choice, alternately; it is kept only if the step gains. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stamps.h"

const uint8_t cmd_tune_options[] = {OPT_batch, OPT_threads, OPT_seconds, OPT_seed, OPT_set, OPT_dtype, OPT_cpu, OPT_model, OPT_json, OPT_COUNT};

/* rows by logical vectors; 0: what fits the registers. The first one is the compiler's choice. */
static const struct { unsigned rows, vectors; } tiles[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {4, 1}, {8, 1}, {3, 2}, {4, 2}, {2, 3}, {3, 3}, {2, 4}};
enum { TILES = sizeof tiles / sizeof *tiles, ROUNDS = 2, CHECKS = 3 };
#define ENOUGH 0.97 /* of the time: less is not told from chance */

typedef struct {
  uint64_t hash;
  const char *title;
  Span span;
  double seconds[TILES]; /* of all its launches in a step; the least of the rounds */
  uint32_t best;
} Product;

typedef struct {
  Run run;
  int64_t batch[GRADC_MAX_BATCHES];
  double seconds;        /* a measurement's */
  Vec(Product) products;
  Arena arena;
  double before, after;  /* seconds a step; 0: nothing to compare */
} Tune;

static Product *product_of(Tune *t, const CompileLaunch *l) {
  for (uint32_t i = 0; i < t->products.count; i++)
    if (t->products.data[i].hash == l->hash) return &t->products.data[i];
  Product p = {.hash = l->hash, .title = arena_text(&t->arena, l->title, strlen(l->title)), .span = l->span};
  for (int i = 0; i < TILES; i++) p.seconds[i] = -1;
  vec_push(&t->products, p);
  return &t->products.data[t->products.count - 1];
}

/* Steps with a tile for all contractions, or with a table; then nothing of it is left. */
static bool measure(Tune *t, unsigned tile, const Tuned *table, Stamps *s) {
  Run *run = &t->run;
  CompileOptions *c = &run->front.compile;
  c->tile_rows = tiles[tile].rows, c->tile_vectors = tiles[tile].vectors;
  c->tuned = table;
  return stamps_create(run) && stamps_measure(run, t->batch, t->seconds, s);
}

static bool try_tile(Tune *t, unsigned tile, const Tuned *none) {
  Stamps s = {0};
  const bool ok = measure(t, tile, none, &s);
  double *sums = mem_zero(s.launches + 1, sizeof *sums);
  for (uint32_t i = 0; ok && i < s.launches; i++) {
    const CompileLaunch l = compiled_launch(t->run.front.compiled, GRADC_ENTRY_TRAIN, i, t->batch[0]);
    if (l.flops <= 0) continue;
    const Product *p = product_of(t, &l);
    sums[p - t->products.data] += stamps_launch(&s, i);
  }
  for (uint32_t i = 0; ok && i < t->products.count; i++) {
    double *least = &t->products.data[i].seconds[tile];
    if (*least < 0 || sums[i] < *least) *least = sums[i];
  }
  free(sums);
  stamps_free(&s);
  run_undo(&t->run);
  return ok;
}

static void choose(Tune *t, Tuned *table) {
  for (uint32_t i = 0; i < t->products.count; i++) {
    Product *p = &t->products.data[i];
    for (uint32_t k = 1; k < TILES; k++)
      if (p->seconds[k] < p->seconds[p->best] && p->seconds[k] < ENOUGH * p->seconds[0]) p->best = k;
    if (p->best) tuned_set(table, (TunedTile){p->hash, tiles[p->best].rows, tiles[p->best].vectors});
  }
}

/* The compiler's choice and the table, alternately. */
static bool check(Tune *t, const Tuned *none, const Tuned *table) {
  t->before = t->after = 1e30; /* more than any */
  for (int i = 0; i < 2 * CHECKS; i++) {
    Stamps s = {0};
    const bool ok = measure(t, 0, i % 2 ? table : none, &s);
    double *least = i % 2 ? &t->after : &t->before;
    if (ok && s.step < *least) *least = s.step;
    stamps_free(&s);
    run_undo(&t->run);
    if (!ok) return false;
  }
  return true;
}

static void print_text(const Tune *t, bool kept, Text *out) {
  text_printf(out, "%10s %10s %6s  %s\n", "us, before", "us, after", "tile", "product");
  for (uint32_t i = 0; i < t->products.count; i++) {
    const Product *p = &t->products.data[i];
    const Place place = source_place(&t->run.front.session.sources, p->span.begin);
    char tile[16] = "own";
    if (p->best && tiles[p->best].rows) snprintf(tile, sizeof tile, "%ux%u", tiles[p->best].rows, tiles[p->best].vectors);
    else if (p->best) snprintf(tile, sizeof tile, "..x%u", tiles[p->best].vectors);
    text_printf(out, "%10.2f %10.2f %6s  %s", 1e6 * p->seconds[0], 1e6 * p->seconds[p->best], tile, p->title);
    if (place.source) text_printf(out, ", %s:%u", place.source->path, place.line);
    text_add(out, "\n");
  }
  if (!t->before) {
    text_printf(out, "a step of %lld rows: no tile is faster than the compiler's own; nothing is kept\n", (long long)t->batch[0]);
    return;
  }
  text_printf(out, "a step of %lld rows: %.4g ms with the compiler's tiles, %.4g ms with these; %s\n", (long long)t->batch[0], 1e3 * t->before,
              1e3 * t->after, kept ? "kept: later compilations use them" : "no gain, nothing is kept");
}

static void print_json(const Tune *t, bool kept, Text *out) {
  text_printf(out, "{\"batch\":%lld,\"step_ms_before\":%.5g,\"step_ms_after\":%.5g,\"kept\":%s,\"products\":[", (long long)t->batch[0], 1e3 * t->before,
              1e3 * t->after, kept ? "true" : "false");
  for (uint32_t i = 0; i < t->products.count; i++) {
    const Product *p = &t->products.data[i];
    text_printf(out, "%s{\"us_before\":%.5g,\"us_after\":%.5g,\"rows\":%u,\"vectors\":%u}", i ? "," : "", 1e6 * p->seconds[0],
                1e6 * p->seconds[p->best], tiles[p->best].rows, tiles[p->best].vectors);
  }
  text_add(out, "]}\n");
}

/* Where every measurement is done: what is faster is kept with what was kept before. */
static bool keep(Tune *t, const Tuned *table, bool *kept) {
  CompileOptions *c = &t->run.front.compile;
  char why[192];
  Tuned all = {0};
  *kept = table->tiles.count && t->after < ENOUGH * t->before;
  if (!*kept) return true;
  c->tile_rows = c->tile_vectors = 0, c->tuned = NULL;
  compile_tuned(c, &all);
  for (uint32_t i = 0; i < table->tiles.count; i++) tuned_set(&all, table->tiles.data[i]);
  const bool ok = compile_keep_tuned(c, &all, why, sizeof why);
  if (!ok) front_fail(&t->run.front, NULL, "the tiles cannot be kept: %s", why);
  tuned_free(&all);
  return ok;
}

static bool tune(Tune *t) {
  Run *run = &t->run;
  Front *f = &run->front;
  const Tuned none = {0};
  Tuned table = {0};
  bool kept = false, ok = true;
  if (!f->compile.cache) {
    front_fail(f, "set XDG_CACHE_HOME or HOME to a folder, by its whole path", "there is no place for a cache, which is where tiles are kept");
    return false;
  }
  for (int i = 0; i < GRADC_MAX_BATCHES; i++) t->batch[i] = run->capacity[i] = f->program->plan.batch > 0 ? f->program->plan.batch : 64;
  t->seconds = (double)(run->options->seconds > 0 ? run->options->seconds : 10) / (ROUNDS * TILES + 2 * CHECKS);
  for (int round = 0; round < ROUNDS; round++)
    for (unsigned i = 0; i < TILES && ok; i++) ok = try_tile(t, round % 2 ? TILES - 1 - i : i, &none);
  if (ok) choose(t, &table);
  ok = ok && (!table.tiles.count || check(t, &none, &table)) && keep(t, &table, &kept);
  if (ok) {
    Text out = {0};
    (run->options->json ? print_json : print_text)(t, kept, &out);
    fputs(text_get(&out), stdout);
    text_free(&out);
  }
  tuned_free(&table);
  return ok;
}

int cmd_tune(const Options *o) {
  Tune t = {.run = {.options = o}};
  int status = front_open(&t.run.front, o, true);
  if (!status) status = tune(&t) ? EXIT_DONE : EXIT_INPUT;
  vec_free(&t.products);
  arena_free(&t.arena);
  run_close(&t.run);
  return status;
}
