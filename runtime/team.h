/* team.h: a fixed team of threads that run one function together, with a barrier. It knows nothing of models.
 *
 * The caller of gradc_team_run is thread 0; the others wait for work: they spin for about 20 us, then sleep, so that a
 * step that follows at once starts in a fraction of a microsecond and an idle team costs nothing. A team of one has no
 * threads and touches no atomic. One thread at a time may use a team. */
#ifndef GRADC_TEAM_H
#define GRADC_TEAM_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct GradcTeam GradcTeam;
typedef void (*GradcTask)(void *argument, int64_t thread, int64_t threads);

/* Bytes of a team, a multiple of 64. */
int64_t gradc_team_size(int threads);

/* Makes a team in memory of that size, 64-byte aligned, and starts its threads. Returns 0 or the system's error number
 * (then no thread is left). gradc_team_stop ends the threads; the memory is the caller's. */
int gradc_team_start(GradcTeam *team, int threads);
void gradc_team_stop(GradcTeam *team);

/* The same with memory of its own; NULL with errno set on failure. gradc_team_free takes NULL. */
GradcTeam *gradc_team_create(int threads);
void gradc_team_free(GradcTeam *team);

/* Runs the task on threads 0 .. threads - 1 (clamped to the team's number) and returns when all have ended. What the caller
 * wrote before is seen by all, what they wrote is seen by the caller. Floating point is in its standard mode meanwhile: to
 * nearest, subnormals kept, whatever the caller had set; and as the caller had it again afterwards. */
void gradc_team_run(GradcTeam *team, int threads, GradcTask task, void *argument);

/* Inside a run: returns when every thread of the run has called it. */
void gradc_team_barrier(GradcTeam *team);

#ifdef __cplusplus
}
#endif
#endif
