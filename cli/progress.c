/* progress.c: see progress.h. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double progress_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_start(Progress *p, int64_t first_step) {
  p->terminal = isatty(STDERR_FILENO) && !p->quiet && !p->json;
  p->first_step = first_step;
  p->started = p->drawn = progress_seconds();
}

void progress_clear(Progress *p) {
  if (p->shown) fputs("\r\033[K", stderr);
  p->shown = false;
}

static void add_bar(Text *out, double done) {
  enum { WIDTH = 24 };
  const int full = (int)(done * WIDTH);
  text_add(out, "[");
  for (int i = 0; i < WIDTH; i++) text_add(out, i < full ? "=" : i == full ? ">" : " ");
  text_add(out, "]");
}

static void add_duration(Text *out, double seconds) {
  const long s = (long)(seconds + 0.5);
  if (s >= 3600) text_printf(out, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else text_printf(out, "%ld:%02ld", s / 60, s % 60);
}

void progress_step(Progress *p, int64_t step, int64_t rows, const Figures *figures) {
  p->rows += rows;
  if (!p->terminal) return;
  const double now = progress_seconds();
  if (now - p->drawn < 0.1) return;
  p->drawn = now;
  Text line = {0};
  const double spent = now - p->started, each = spent / (double)(step - p->first_step);
  add_bar(&line, (double)step / (double)p->steps);
  text_printf(&line, " %lld/%lld  ", (long long)step, (long long)p->steps);
  figures_print(figures, &line);
  text_printf(&line, "  %.0f rows/s  ", (double)p->rows / spent);
  add_duration(&line, each * (double)(p->steps - step));
  text_add(&line, " left");
  fprintf(stderr, "\r\033[K%.*s", 200, text_get(&line));
  fflush(stderr);
  p->shown = true;
  text_free(&line);
}

void progress_epoch(Progress *p, int64_t epoch, const Figures *train, const Figures *held) {
  if (p->quiet) return;
  const int64_t epochs = (p->steps + p->steps_per_epoch - 1) / p->steps_per_epoch;
  const int64_t every = epochs > 20 ? (epochs + 19) / 20 : 1;
  if (epoch % every && epoch != epochs && !p->json) return;
  progress_clear(p);
  Text line = {0};
  if (p->json) {
    text_printf(&line, "{\"epoch\":%lld,\"train\":", (long long)epoch);
    figures_json(train, &line);
    if (held) {
      text_add(&line, ",\"held_out\":");
      figures_json(held, &line);
    }
    text_add(&line, "}");
  } else {
    char last[32];
    const int width = snprintf(last, sizeof last, "%lld", (long long)epochs);
    text_printf(&line, "epoch %*lld/%s  ", width, (long long)epoch, last);
    figures_print(train, &line);
    if (held) {
      text_add(&line, "  | held out: ");
      figures_print(held, &line);
    }
  }
  printf("%s\n", text_get(&line));
  fflush(stdout);
  text_free(&line);
}
