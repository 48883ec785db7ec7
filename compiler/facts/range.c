/* range.c: arithmetic of intervals; see range.h. */
#include "range.h"

static const Range nothing = {.lo = INFINITY, .hi = -INFINITY, .nan = true};

static bool may_be(Range r, double infinity) {
  return infinity > 0 ? r.hi == INFINITY && !r.open_hi : r.lo == -INFINITY && !r.open_lo;
}
static bool may_be_infinite(Range r) { return may_be(r, 1) || may_be(r, -1); }

bool range_within(Range inner, Range outer) {
  if (inner.nan && !outer.nan) return false;
  if (range_empty(inner)) return true;
  if (outer.nonzero && range_has(inner, 0)) return false;
  const bool low = inner.lo > outer.lo || (inner.lo == outer.lo && (inner.open_lo || !outer.open_lo));
  return low && (inner.hi < outer.hi || (inner.hi == outer.hi && (inner.open_hi || !outer.open_hi)));
}

Range range_join(Range a, Range b) {
  const bool nan = a.nan || b.nan;
  if (range_empty(a) || range_empty(b)) {
    Range other = range_empty(a) ? b : a;
    other.nan = nan;
    return other;
  }
  const bool zero_a = a.lo == 0 && a.hi == 0, zero_b = b.lo == 0 && b.hi == 0; /* what a length's guard gives */
  Range r = {.nan = nan, .rare = (a.rare && b.rare) || (a.rare && zero_b) || (b.rare && zero_a)};
  r.lo = fmin(a.lo, b.lo), r.hi = fmax(a.hi, b.hi);
  r.open_lo = (a.lo > r.lo || a.open_lo) && (b.lo > r.lo || b.open_lo);
  r.open_hi = (a.hi < r.hi || a.open_hi) && (b.hi < r.hi || b.open_hi);
  r.nonzero = !range_has(a, 0) && !range_has(b, 0) && range_has(r, 0);
  return r;
}

Range range_meet(Range a, Range b) {
  Range r = {.nan = a.nan && b.nan, .rare = a.rare || b.rare, .nonzero = a.nonzero || b.nonzero};
  r.lo = fmax(a.lo, b.lo), r.hi = fmin(a.hi, b.hi);
  r.open_lo = (a.lo == r.lo && a.open_lo) || (b.lo == r.lo && b.open_lo);
  r.open_hi = (a.hi == r.hi && a.open_hi) || (b.hi == r.hi && b.open_hi);
  if (range_empty(r) || (r.lo == r.hi && (r.open_lo || r.open_hi))) {
    r = nothing; /* never at once */
    r.nan = a.nan && b.nan;
  }
  return r;
}

Range range_neg(Range a) {
  Range r = a;
  if (range_empty(a)) return a;
  r.lo = -a.hi, r.hi = -a.lo, r.open_lo = a.open_hi, r.open_hi = a.open_lo;
  return r;
}

Range range_add(Range a, Range b) {
  if (range_empty(a) || range_empty(b)) return nothing;
  Range r = {.lo = a.lo + b.lo, .hi = a.hi + b.hi, .open_lo = a.open_lo || b.open_lo, .open_hi = a.open_hi || b.open_hi};
  const bool clash = (may_be(a, 1) && may_be(b, -1)) || (may_be(a, -1) && may_be(b, 1));
  if (r.lo != r.lo || may_be(a, -1) || may_be(b, -1)) r.lo = -INFINITY, r.open_lo = false;
  if (r.hi != r.hi || may_be(a, 1) || may_be(b, 1)) r.hi = INFINITY, r.open_hi = false;
  r.nan = a.nan || b.nan || clash;
  r.rare = (a.rare && b.lo >= 0) || (b.rare && a.lo >= 0);
  return r;
}

Range range_sub(Range a, Range b) {
  Range r = range_add(a, range_neg(b));
  if (!range_empty(r)) r.rare = false;
  return r;
}

typedef struct {
  double at;
  bool open;
} End;

/* 0 times an end at infinity is 0: what lies nearer has other products, which other ends bound. */
static End end_product(End a, End b) {
  if ((a.at == 0 && !a.open) || (b.at == 0 && !b.open)) return (End){0, false};
  if (a.at == 0 || b.at == 0) return (End){0, true};
  const double at = a.at * b.at;
  if (isinf(at)) return (End){at, !(isinf(a.at) && !a.open) && !(isinf(b.at) && !b.open)}; /* infinity times any number */
  return (End){at, a.open || b.open};
}

static void take_end(Range *r, End e) {
  if (e.at < r->lo || (e.at == r->lo && !e.open)) r->lo = e.at, r->open_lo = e.open;
  if (e.at > r->hi || (e.at == r->hi && !e.open)) r->hi = e.at, r->open_hi = e.open;
}

Range range_mul(Range a, Range b) {
  if (range_empty(a) || range_empty(b)) return nothing;
  const End as[2] = {{a.lo, a.open_lo}, {a.hi, a.open_hi}}, bs[2] = {{b.lo, b.open_lo}, {b.hi, b.open_hi}};
  Range r = {.lo = INFINITY, .hi = -INFINITY};
  for (int i = 0; i < 4; i++) take_end(&r, end_product(as[i / 2], bs[i % 2]));
  const bool zero_a = range_has(a, 0), zero_b = range_has(b, 0);
  r.nan = a.nan || b.nan || (zero_a && may_be_infinite(b)) || (zero_b && may_be_infinite(a));
  if ((zero_a || zero_b) && !range_has(r, 0)) { /* an open end that the other factor's 0 reaches */
    if (r.lo == 0) r.open_lo = false;
    if (r.hi == 0) r.open_hi = false;
  }
  r.nonzero = !zero_a && !zero_b && range_has(r, 0);
  r.rare = (a.rare && (b.rare || !zero_b)) || (b.rare && !zero_a);
  return r;
}

Range range_square(Range a) {
  if (range_empty(a)) return nothing;
  Range m = range_abs(a), r = range_mul(m, m);
  r.nan = a.nan;
  return r;
}

Range range_abs(Range a) {
  if (range_empty(a)) return nothing;
  if (a.lo >= 0) return a;
  if (a.hi <= 0) return range_neg(a);
  const bool left = -a.lo > a.hi;
  Range r = {.lo = 0, .hi = left ? -a.lo : a.hi, .nan = a.nan, .open_lo = a.nonzero, .rare = a.rare};
  r.open_hi = -a.lo == a.hi ? a.open_lo && a.open_hi : left ? a.open_lo : a.open_hi;
  return r;
}

/* 1 / b for numbers of one sign, 0 left out. */
static Range reciprocal(Range b) {
  Range r = {.nan = b.nan};
  r.lo = b.hi == 0 ? -INFINITY : 1 / b.hi, r.hi = b.lo == 0 ? INFINITY : 1 / b.lo;
  r.open_lo = b.open_hi || (b.hi == 0), r.open_hi = b.open_lo || (b.lo == 0);
  if (isinf(b.hi)) r.lo = 0;
  if (isinf(b.lo)) r.hi = 0;
  return r;
}

Range range_div(Range a, Range b) {
  if (range_empty(a) || range_empty(b)) return nothing;
  const bool by_zero = range_has(b, 0);
  if (b.lo < 0 && b.hi > 0) {
    Range r = range_any();
    r.open_lo = r.open_hi = !by_zero && !may_be_infinite(a);
    r.nan = a.nan || b.nan || (by_zero && range_has(a, 0)) || (may_be_infinite(a) && may_be_infinite(b));
    return r;
  }
  if (b.lo == 0 && b.hi == 0) return range_any();
  Range r = range_mul(a, reciprocal(b));
  r.nan = a.nan || b.nan || (by_zero && range_has(a, 0)) || (may_be_infinite(a) && may_be_infinite(b));
  if (by_zero) { /* x / 0, the zero being of the sign of the other numbers */
    const bool up = b.hi > 0;
    if (up ? a.hi > 0 : a.lo < 0) r.hi = INFINITY, r.open_hi = false;
    if (up ? a.lo < 0 : a.hi > 0) r.lo = -INFINITY, r.open_lo = false;
  }
  return r;
}

Range range_max(Range a, Range b) {
  if (range_empty(a) || range_empty(b)) return nothing;
  Range r = {.lo = fmax(a.lo, b.lo), .hi = fmax(a.hi, b.hi), .nan = a.nan || b.nan};
  r.open_lo = (a.lo == r.lo && a.open_lo) || (b.lo == r.lo && b.open_lo);
  r.open_hi = (a.hi < r.hi || a.open_hi) && (b.hi < r.hi || b.open_hi);
  r.nonzero = a.nonzero && b.nonzero && range_has(r, 0);
  return r;
}

Range range_min(Range a, Range b) { return range_neg(range_max(range_neg(a), range_neg(b))); }

/* A number between the bounds, or past them by an end at infinity: n * end, 0 * inf being 0. */
static double times(double n, double end) { return n == 0 || end == 0 ? 0 : n * end; }

Range range_sum(Range a, double least, double most) {
  if (range_empty(a)) return least > 0 ? nothing : range_join(nothing, range_point(0));
  Range r = {.nan = a.nan || (may_be(a, 1) && may_be(a, -1)), .rare = a.rare};
  r.lo = a.lo >= 0 ? times(least, a.lo) : times(most, a.lo), r.hi = a.hi <= 0 ? times(least, a.hi) : times(most, a.hi);
  r.open_lo = a.lo >= 0 ? a.open_lo && least > 0 : isinf(a.lo) ? a.open_lo : a.open_lo || isinf(most);
  r.open_hi = a.hi <= 0 ? a.open_hi && least > 0 : isinf(a.hi) ? a.open_hi : a.open_hi || isinf(most);
  return r;
}

Range range_prod(Range a, double least, double most) {
  if (range_empty(a)) return least > 0 ? nothing : range_join(nothing, range_point(1));
  Range r = range_any();
  r.nan = a.nan || may_be_infinite(a), r.open_lo = r.open_hi = !may_be_infinite(a);
  const double size = fmax(fabs(a.lo), fabs(a.hi));
  if (size <= 1) r.lo = -1, r.hi = 1, r.open_lo = r.open_hi = false;
  if (a.lo >= 1) r.lo = 1, r.open_lo = false;
  else if (a.lo >= 0) r.lo = 0, r.open_lo = !range_has(a, 0);
  else r.nonzero = !range_has(a, 0);
  return r;
}

Range range_rising(Range a, double (*f)(double)) {
  if (range_empty(a)) return nothing;
  Range r = a;
  r.lo = f(a.lo), r.hi = f(a.hi), r.nonzero = r.rare = false;
  return r;
}

/* Positive numbers to a power: monotone in each, so the corners bound it. */
static Range power_of_positive(Range a, Range b) {
  const double as[2] = {a.lo, a.hi}, bs[2] = {b.lo, b.hi};
  Range r = {.lo = INFINITY, .hi = -INFINITY};
  for (int i = 0; i < 4; i++) {
    const double y = pow(as[i / 2], bs[i % 2]);
    if (y != y) return range_of(0, INFINITY);
    r.lo = fmin(r.lo, y), r.hi = fmax(r.hi, y);
  }
  if (a.lo < 1 && a.hi > 1) r.lo = fmin(r.lo, 1), r.hi = fmax(r.hi, 1);
  if (range_has(b, 0)) r.lo = fmin(r.lo, 1), r.hi = fmax(r.hi, 1);
  r.open_lo = r.lo == 0 && !range_has(a, 0) && !may_be_infinite(a);
  r.open_hi = isinf(r.hi) && !may_be_infinite(a) && !may_be_infinite(b) && !(range_has(a, 0) && b.lo < 0);
  return r;
}

Range range_pow(Range a, Range b) {
  if (range_empty(a) || range_empty(b)) return range_any();
  Range r;
  if (a.lo >= 0) {
    r = power_of_positive(a, b);
  } else if (range_is_point(b) && b.lo == floor(b.lo) && fmod(b.lo, 2) == 0) {
    r = power_of_positive(range_abs(a), b);
  } else {
    r = range_any();
    r.nan = !(range_is_point(b) && b.lo == floor(b.lo));
  }
  r.nan = r.nan || a.nan || b.nan;
  return r;
}
