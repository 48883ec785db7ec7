/* range.h: what a value can be: an interval of the reals, open or closed at either end, and whether NaN. An open end at
 * infinity says that the value is finite; a closed one, that it may be infinite. Bounds are those of mathematics: rounding
 * may pass them by some units in the last place, and what underflows is 0 where 0 is excluded. */
#ifndef GRADC_RANGE_H
#define GRADC_RANGE_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  double lo, hi;         /* lo > hi: no number, NaN alone */
  bool open_lo, open_hi; /* the end itself is not reached */
  bool nonzero;          /* 0 lies between the ends and is not reached */
  bool nan;              /* it may be NaN */
  bool rare;             /* 0 where many numbers are 0 at once, as the length of a vector is: nobody guards that */
} Range;

static inline Range range_of(double lo, double hi) { return (Range){.lo = lo, .hi = hi}; }
static inline Range range_point(double x) {
  return x != x ? (Range){.lo = INFINITY, .hi = -INFINITY, .nan = true} : range_of(x, x);
}
/* Every finite number; with infinities and NaN. */
static inline Range range_finite(void) { return (Range){.lo = -INFINITY, .hi = INFINITY, .open_lo = true, .open_hi = true}; }
static inline Range range_any(void) { return (Range){.lo = -INFINITY, .hi = INFINITY, .nan = true}; }
/* Finite and above lo, or lo too where `closed`. */
static inline Range range_above(double lo, bool closed) {
  return (Range){.lo = lo, .hi = INFINITY, .open_lo = !closed, .open_hi = true};
}

static inline bool range_empty(Range r) { return r.lo > r.hi; }
static inline bool range_is_point(Range r) { return r.lo == r.hi && !r.nan; }
static inline bool range_has(Range r, double x) {
  if (x == 0 && r.nonzero) return false;
  return (r.open_lo ? x > r.lo : x >= r.lo) && (r.open_hi ? x < r.hi : x <= r.hi);
}
/* Can it be below x; can it be above? */
static inline bool range_below(Range r, double x) { return !range_empty(r) && r.lo < x; }
static inline bool range_over(Range r, double x) { return !range_empty(r) && r.hi > x; }
bool range_within(Range inner, Range outer);

Range range_join(Range a, Range b);
Range range_meet(Range a, Range b);
Range range_neg(Range a);
Range range_add(Range a, Range b);
Range range_sub(Range a, Range b);
Range range_mul(Range a, Range b);
Range range_square(Range a);
Range range_div(Range a, Range b);
Range range_abs(Range a);
Range range_max(Range a, Range b);
Range range_min(Range a, Range b);
Range range_pow(Range a, Range b);
/* Of `least` terms or more, at most `most` (INFINITY: any number), each within a. */
Range range_sum(Range a, double least, double most);
Range range_prod(Range a, double least, double most);
/* f is nowhere decreasing, on a's numbers. */
Range range_rising(Range a, double (*f)(double));

#endif
