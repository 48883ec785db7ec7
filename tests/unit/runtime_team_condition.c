/* The team's other way to sleep, of systems without futex: the same tests on the same source. */
#define GRADC_TEAM_CONDITION 1
#include "../../runtime/team.c"
#include "runtime_team.c"
