/* team.c: fork, join and barrier. One word is posted by one thread and waited for by the others: by spinning with `pause`,
 * then in the kernel, by futex on Linux and by a condition variable elsewhere. */
#define _GNU_SOURCE
#include "team.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include "gradc.h"
#if defined(__linux__) && !defined(GRADC_TEAM_CONDITION)
#define GRADC_TEAM_FUTEX 1
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define SPIN_NANOSECONDS 20000
#define SPINS_A_LOOK 64 /* pauses between two looks at the clock */

/* A value that waiters compare with the one they know. */
typedef struct {
  _Alignas(64) _Atomic uint32_t value;
  _Atomic uint32_t sleepers; /* threads that are in the kernel or on their way */
#ifndef GRADC_TEAM_FUTEX
  pthread_mutex_t mutex;
  pthread_cond_t changed;
#endif
} Word;

typedef struct {
  Word go; /* its value changes for each run that wants this worker */
  GradcTeam *team;
  pthread_t id;
  int64_t number;
} Worker;

struct GradcTeam {
  int size;
  bool patient; /* spin before sleeping: not where there are more threads than processors */
  bool over;
  GradcTask task;
  void *argument;
  uint32_t active; /* threads of this run */
  _Alignas(64) _Atomic uint32_t arrived;
  Word phase; /* its value changes when all have arrived */
  Worker workers[];
};

static void word_init(Word *word) {
  atomic_init(&word->value, 0);
  atomic_init(&word->sleepers, 0);
#ifndef GRADC_TEAM_FUTEX
  pthread_mutex_init(&word->mutex, NULL);
  pthread_cond_init(&word->changed, NULL);
#endif
}

static void word_end(Word *word) {
#ifndef GRADC_TEAM_FUTEX
  pthread_mutex_destroy(&word->mutex);
  pthread_cond_destroy(&word->changed);
#endif
}

static inline void pause_processor(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t now_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool word_spin(Word *word, uint32_t old) {
  int64_t end = 0;
  for (;;) {
    for (int i = 0; i < SPINS_A_LOOK; i++) {
      if (atomic_load_explicit(&word->value, memory_order_acquire) != old) return true;
      pause_processor();
    }
    int64_t now = now_nanoseconds();
    if (!end) end = now + SPIN_NANOSECONDS;
    else if (now >= end) return false;
  }
}

/* The sleeper announces itself and then looks at the value; the poster changes the value and then looks for sleepers.
 * Both in one order of all (seq_cst), so at least one of them sees the other. */
static void word_sleep(Word *word, uint32_t old) {
  atomic_fetch_add(&word->sleepers, 1);
#ifdef GRADC_TEAM_FUTEX
  while (atomic_load(&word->value) == old)
    syscall(SYS_futex, &word->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
#else
  pthread_mutex_lock(&word->mutex);
  while (atomic_load(&word->value) == old) pthread_cond_wait(&word->changed, &word->mutex);
  pthread_mutex_unlock(&word->mutex);
#endif
  atomic_fetch_sub_explicit(&word->sleepers, 1, memory_order_relaxed);
}

static void word_wait(Word *word, uint32_t old, bool patient) {
  if (patient ? word_spin(word, old) : atomic_load_explicit(&word->value, memory_order_acquire) != old) return;
  word_sleep(word, old);
}

static void word_post(Word *word, uint32_t value) {
  atomic_store(&word->value, value);
  if (!atomic_load(&word->sleepers)) return;
#ifdef GRADC_TEAM_FUTEX
  syscall(SYS_futex, &word->value, FUTEX_WAKE_PRIVATE, GRADC_MAX_THREADS, NULL, NULL, 0);
#else
  pthread_mutex_lock(&word->mutex);
  pthread_cond_broadcast(&word->changed);
  pthread_mutex_unlock(&word->mutex);
#endif
}

/* The last to arrive opens the barrier and returns true. */
static bool arrive(GradcTeam *team, uint32_t phase) {
  uint32_t active = team->active; /* once this thread has arrived, the next run may begin and change it */
  if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 != active) return false;
  atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
  word_post(&team->phase, phase + 1);
  return true;
}

void gradc_team_barrier(GradcTeam *team) {
  if (team->active == 1) return;
  /* It cannot change before this thread has arrived. */
  uint32_t phase = atomic_load_explicit(&team->phase.value, memory_order_relaxed);
  if (!arrive(team, phase)) word_wait(&team->phase, phase, team->patient);
}

/* The processor's rounding and subnormal mode. A library built with -ffast-math sets flush-to-zero in whatever thread
 * loads it: the same seed would give other bits. Returns the mode that was. */
static uint64_t float_mode_set(void) {
#if defined(__x86_64__)
  uint32_t old = __builtin_ia32_stmxcsr();
  if ((old & 0xffc0) != 0x1f80) __builtin_ia32_ldmxcsr(0x1f80);
  return old;
#elif defined(__aarch64__)
  uint64_t old;
  __asm__ volatile("mrs %0, fpcr" : "=r"(old));
  if (old) __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
  return old;
#else
  return 0;
#endif
}

static void float_mode_restore(uint64_t old) {
#if defined(__x86_64__)
  if ((old & 0xffc0) != 0x1f80) __builtin_ia32_ldmxcsr((uint32_t)old);
#elif defined(__aarch64__)
  if (old) __asm__ volatile("msr fpcr, %0" : : "r"(old));
#endif
}

static void *worker_main(void *argument) {
  Worker *self = argument;
  GradcTeam *team = self->team;
  float_mode_set();
  for (uint32_t seen = 0;; seen++) {
    word_wait(&self->go, seen, team->patient);
    if (team->over) return NULL;
    team->task(team->argument, self->number, team->active);
    arrive(team, atomic_load_explicit(&team->phase.value, memory_order_relaxed));
  }
}

static int clamp_threads(int threads) {
  return threads < 1 ? 1 : threads > GRADC_MAX_THREADS ? GRADC_MAX_THREADS : threads;
}

int64_t gradc_team_size(int threads) {
  return (int64_t)(sizeof(GradcTeam) + (size_t)(clamp_threads(threads) - 1) * sizeof(Worker));
}

int gradc_team_start(GradcTeam *team, int threads) {
  int wanted = clamp_threads(threads);
  *team = (GradcTeam){.size = 1, .active = 1, .patient = wanted <= 1 || wanted <= gradc_processors()};
  atomic_init(&team->arrived, 0);
  word_init(&team->phase);
  /* Signals belong to the program that uses us: no worker takes one. */
  sigset_t all, before;
  sigfillset(&all);
  if (wanted > 1) pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = 0;
  for (int i = 0; i < wanted - 1 && !error; i++) {
    Worker *worker = &team->workers[i];
    word_init(&worker->go);
    worker->team = team;
    worker->number = i + 1;
    error = pthread_create(&worker->id, NULL, worker_main, worker);
    if (error) word_end(&worker->go);
    else team->size++;
  }
  if (wanted > 1) pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) gradc_team_stop(team);
  return error;
}

static void wake(Worker *worker) {
  word_post(&worker->go, atomic_load_explicit(&worker->go.value, memory_order_relaxed) + 1);
}

void gradc_team_stop(GradcTeam *team) {
  team->over = true;
  for (int i = 0; i < team->size - 1; i++) wake(&team->workers[i]);
  for (int i = 0; i < team->size - 1; i++) {
    pthread_join(team->workers[i].id, NULL);
    word_end(&team->workers[i].go);
  }
  team->size = 1;
  word_end(&team->phase);
}

GradcTeam *gradc_team_create(int threads) {
  void *memory = NULL;
  int error = posix_memalign(&memory, 64, (size_t)gradc_team_size(threads));
  if (!error && (error = gradc_team_start(memory, threads))) free(memory);
  if (error) {
    errno = error;
    return NULL;
  }
  return memory;
}

void gradc_team_free(GradcTeam *team) {
  if (!team) return;
  gradc_team_stop(team);
  free(team);
}

void gradc_team_run(GradcTeam *team, int threads, GradcTask task, void *argument) {
  if (threads > team->size) threads = team->size;
  uint64_t mode = float_mode_set();
  if (threads <= 1) {
    team->active = 1;
    task(argument, 0, 1);
  } else {
    team->task = task;
    team->argument = argument;
    team->active = (uint32_t)threads;
    for (int i = 0; i < threads - 1; i++) wake(&team->workers[i]);
    task(argument, 0, threads);
    gradc_team_barrier(team);
  }
  float_mode_restore(mode);
}
