/* draw_values.h: makers of statements, one a kind of expression: arithmetic, shapes, control flow, derivatives. Part of draw.h.
 * Each adds a value or more, or nothing where it does not fit. */

static inline RpType rp_joint(const RandomProgram *p, int a, int b, double bound) {
  RpType t = p->types[a];
  t.batched = t.batched || p->types[b].batched;
  return rp_with(t, bound);
}

/* ---- arithmetic ---- */

static inline void rp_unary(RandomProgram *p) {
  static const struct {
    const char *form;
    double limit, fixed, slope; /* of the argument; the result's bound is fixed + slope * argument */
  } forms[] = {
      {"tanh($1)", 99, 1, 0}, {"sigmoid($1)", 99, 1, 0}, {"sin($1)", 20, 1, 0}, {"cos(2 * $1)", 20, 1, 0}, {"exp($1)", 2, 8, 0},
      {"abs($1)", 99, 0, 1}, {"relu($1)", 99, 0, 1}, {"gelu($1)", 20, 0, 1}, {"silu($1)", 99, 0, 1}, {"softplus($1)", 99, 1, 1},
      {"sqrt(1 + $1^2)", 99, 1, 1}, {"log(1.5 + $1^2)", 99, 5, 0}, {"rsqrt(0.5 + $1^2)", 99, 2, 0}, {"erf($1)", 9, 1, 0},
      {"erfc($1)", 9, 2, 0}, {"atan($1)", 99, 2, 0}, {"cbrt(1 + $1^2)", 99, 2, 1}, {"$1^2", 5, 0, 5}, {"$1^3", 3, 0, 9},
      {"1 / (1 + $1^2)", 99, 1, 0}, {"expm1($1)", 2, 8, 0}, {"log1p($1^2)", 99, 9, 0}, {"sinh($1)", 2, 4, 0}, {"cosh($1)", 2, 4, 0},
      {"tan(0.9 * tanh($1))", 99, 2, 0}, {"asin(0.8 * tanh($1))", 99, 1, 0}, {"acos(0.8 * sin($1))", 20, 3, 0}, {"-$1", 99, 0, 1},
      {"floor($1)", 99, 1, 1}, {"round(3 * $1) / 3", 30, 1, 1}, {"sign($1)", 99, 1, 0}, {"clamp($1, -0.7, 0.9)", 99, 1, 0},
      {"leaky_relu($1, 0.1)", 99, 0, 1}, {"elu($1)", 50, 1, 1}, {"mish($1)", 20, 0, 1}, {"hard_swish($1)", 50, 0, 1},
      {"soft_shrink($1)", 50, 0, 1}, {"softsign($1)", 99, 1, 0}, {"log_sigmoid($1)", 50, 1, 1}, {"gelu_tanh($1)", 9, 0, 1},
      {"(1.2 + sin($1))^$1", 3, 12, 0}, {"max($1, 0.3)", 99, 1, 1}, {"min($1, -$1)", 99, 0, 1}, {"pow(1 + $1^2, 0.3)", 9, 5, 0},
      {"$1 - mean($1)", 50, 0, 2}, {"3 * $1 - 0.5", 30, 1, 3}, {"log(exp($1) + 1)", 50, 1, 1}, {"1 / (1 + exp(-$1))", 50, 1, 0},
      {"trunc(2 * $1)", 50, 1, 2}, {"(2 - $1) * ($1 + 1)", 6, 2, 9}, {"squareplus($1)", 50, 1, 1}, {"$1 / sqrt(sum($1^2) + 1)", 50, 1, 0},
      {"hard_tanh(2 * $1)", 50, 1, 0}, {"quick_gelu($1)", 20, 0, 1}, {"-log(sigmoid($1))", 50, 1, 1}, {"exp(-$1^2)", 9, 1, 0},
      {"cos($1)^2 + sin($1)^2", 20, 1, 0}, {"ceil($1) - $1", 50, 1, 0}, {"(1 + $1^2)^-2 * 0 + $1", 50, 0, 1}, {"$1^4 / 10", 3, 9, 0},
      {"lgamma(1.2 + $1^2)", 9, 400, 0}, {"digamma(1.2 + $1^2)", 20, 6, 0}, {"polygamma(1, 1.2 + abs($1))", 50, 2, 0},
      {"polygamma(2, 1.5 + $1^2)", 50, 2, 0}, {"int(3 * $1) / 2 + $1", 20, 1, 3}, {"(if is_nan($1) then 0 else $1)", 50, 0, 1},
      {"selu($1)", 20, 2, 2}, {"celu($1, 0.7)", 20, 1, 1}, {"hard_sigmoid($1)", 50, 1, 0}, {"relu6(4 * $1)", 50, 6, 0},
      {"hard_shrink($1)", 50, 0, 1}, {"tanh_shrink($1)", 50, 1, 1}, {"threshold($1, 0.2, -0.5)", 50, 1, 1}, {"neg($1)", 50, 0, 1},
      {"user_whole(expand($1, 0))[0]", 50, 1, 0}};
  const int k = rp_below(p, sizeof forms / sizeof *forms), x = rp_tame(p, rp_pick(p, 0, 4), forms[k].limit);
  const double bound = forms[k].fixed + forms[k].slope * p->types[x].bound;
  rp_let(p, rp_with(p->types[x], bound), RP_PLAIN, IN(x), "%s", forms[k].form);
}

static inline void rp_pair(RandomProgram *p) {
  static const struct {
    const char *form;
    double limit, bound;
  } forms[] = {{"$1 + $2", 50, 100}, {"$1 - $2", 50, 100}, {"$1 * $2", 6, 36}, {"$1 / (1 + $2^2)", 50, 50}, {"max($1, $2)", 50, 50},
               {"min($1, $2)", 50, 50}, {"atan2($1, 2 + $2^2)", 9, 2}, {"pow(1 + $1^2, sin($2))", 3, 10}, {"atan2($1, $2)", 50, 4},
               {"select($1 > $2, $1, $2 / 2)", 50, 50}, {"sqrt($1^2 + $2^2 + 0.1)", 50, 71}, {"$1 * sigmoid($2)", 50, 50},
               {"glu($1, $2)", 50, 50}, {"swiglu($1, $2)", 6, 36}, {"$1 * $2 + $1", 6, 42}, {"sin($1) * cos($2)", 20, 1},
               {"exp($1 - max($1, $2)) + exp($2 - max($1, $2))", 9, 2}, {"($1 > 0) * $2", 50, 50}, {"$1 * ($2 <= 0.25)", 50, 50},
               {"(if $1 > 0 and $2 > 0 then $1 * $2 else 0.5 * $1)", 6, 36}, {"abs($1 - $2)", 50, 100},
               {"geglu($1, $2)", 6, 40}, {"reglu($1, $2)", 6, 36}, {"lbeta(1.5 + $1^2, 1.5 + $2^2)", 5, 90}, {"sqrt(abs($1 * $2) + 1)", 9, 10},
               {"(if not ($1 != $2) then 0 else $1 - $2)", 50, 100}};
  const int k = rp_below(p, sizeof forms / sizeof *forms);
  const int a = rp_tame(p, rp_pick(p, 0, 3), forms[k].limit), b = rp_tame(p, rp_alike(p, a), forms[k].limit);
  const double largest = fmax(p->types[a].bound, p->types[b].bound);
  rp_let(p, rp_joint(p, a, b, fmin(forms[k].bound, largest * largest + 2 * largest + 2)), RP_PLAIN, IN(a, b), "%s", forms[k].form);
}

/* By a scalar, a vector of the last axis, or one of the first. */
static inline void rp_scaled(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 0, 3), 8), rank = p->types[x].rank, how = rank ? rp_below(p, rank > 1 ? 4 : 2) : 0;
  const char *operators[] = {"+", "*", "-"};
  const char *op = operators[rp_below(p, 3)];
  int y;
  if (how == 0) y = rp_tame(p, rp_pick(p, 0, 0), 8);
  else if (how == 3) y = rp_param(p, 1, SHAPE(p->types[x].dims[0]));
  else y = rp_param(p, 1, SHAPE(p->types[x].dims[rank - 1]));
  if (how == 3 && rank == 2) rp_let(p, rp_joint(p, x, y, 64), RP_PLAIN, IN(x, y), "$1 %s $2[:, none]", op);
  else if (how == 3) rp_let(p, rp_joint(p, x, y, 64), RP_PLAIN, IN(x, y), "$1 %s $2[:, none, none]", op);
  else if (how == 2) rp_let(p, rp_joint(p, x, y, 64), RP_PLAIN, IN(x, y), "$2 %s $1", op);
  else rp_let(p, rp_joint(p, x, y, 64), RP_PLAIN, IN(x, y), "$1 %s $2", op);
}

static inline RpType rp_without(RpType t, int axis, double bound) {
  for (int i = axis; i + 1 < t.rank; i++) t.dims[i] = t.dims[i + 1];
  t.rank--;
  return rp_with(t, bound);
}

static inline void rp_reduce(RandomProgram *p) {
  static const char *const words[] = {"sum", "mean", "max", "min", "norm", "logsumexp", "prod", "sum", "mean"};
  const int k = rp_below(p, 9), x = rp_tame(p, rp_pick(p, 1, 3), k == 6 ? 1.5 : 20), axis = rp_below(p, p->types[x].rank);
  RpType t = p->types[x];
  if (k == 6 && rp_elements(&t) > 12) return;
  const double bound = k == 6 ? 130 : k == 5 ? t.bound + 5 : k == 0 || k == 7 || k == 4 ? t.bound * t.dims[axis] : t.bound;
  const int y = k == 4 ? rp_let(p, rp_with(t, t.bound + 2), RP_PLAIN, IN(x), "$1 + 2 + sin($1)") : x; /* a norm away from 0 */
  switch (rp_below(p, 4)) {
    case 0: rp_let(p, rp_float(t.batched, k == 6 ? 130 : bound * rp_elements(&t), 0, NULL), RP_PLAIN, IN(y), "%s($1)", k == 5 ? "max" : words[k]); break;
    case 1: t.dims[axis] = 1; rp_let(p, rp_with(t, bound), RP_PLAIN, IN(y), "%s($1, over = %d, keep = true)", words[k], axis); break;
    case 2: rp_let(p, rp_with(t, bound + t.bound), RP_PLAIN, IN(x, y), "$1 - %s($2, over = %d, keep = true)", words[k], axis); break;
    default: rp_let(p, rp_without(t, axis, bound), RP_PLAIN, IN(y), "%s($1, over = %d)", words[k], axis - (rp_below(p, 2) ? t.rank : 0));
  }
}

/* Over several axes, a named one, all that `..` binds; places of extremes; shapes by words. */
static inline void rp_axes(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 2, 3), 9), rank = p->types[x].rank;
  RpType t = p->types[x], last = rp_float(t.batched, 200, 1, SHAPE(t.dims[rank - 1]));
  RpType keep = rp_with(t, 200);
  for (int i = 0; i + 1 < rank; i++) keep.dims[i] = 1;
  switch (rp_below(p, 10)) {
    case 0: rp_let(p, rank == 3 ? last : rp_float(t.batched, 9.0 * rp_elements(&t), 0, NULL), RP_PLAIN, IN(x), "sum($1, over = (0, 1))"); break;
    case 1: rp_let(p, rank == 3 ? rp_float(t.batched, t.bound, 1, SHAPE(t.dims[1])) : rp_float(t.batched, t.bound, 0, NULL), RP_PLAIN, IN(x), "mean($1, over = (0, -1))"); break;
    case 2: if (rank == 3) rp_let(p, rp_with(keep, 60), RP_PLAIN, IN(x), "norm($1 + 10, over = (0, 1), keep = true)"); break;
    case 3: if (rank == 2) rp_let(p, rp_with(t, 2 * t.bound), RP_PLAIN, IN(x), "user_rows($1)"); break;
    case 4: rp_let(p, rp_with(t, 1), RP_PLAIN, IN(x), "user_whole($1)"); break;
    case 5: rp_let(p, rp_with(last, t.bound), RP_PLAIN, IN(x), "global_mean_pool($1)"); break;
    case 6: rp_let(p, rp_with(t, t.bound + 4), RP_PLAIN, IN(x), "$1 + expand(argmin($1, over = %d), %d) / 5", rank - 1, rank - 1); break;
    case 7: rp_let(p, t, RP_PLAIN, IN(x), "squeeze(expand($1, 1), over = 1)"); break;
    case 8:
      if (rank == 3 || 2 * rp_elements(&t) > RP_LARGEST) return;
      rp_let(p, rp_float(t.batched, t.bound, 3, SHAPE(2, t.dims[0], t.dims[1])), RP_PLAIN, IN(x), "broadcast($1, [2, %d, %d])", t.dims[0], t.dims[1]);
      break;
    default: if (rank == 2) rp_let(p, rp_float(t.batched, 81.0 * t.dims[1], 1, SHAPE(t.dims[0])), RP_PLAIN, IN(x), "diag($1 @ $1.T)");
  }
}

static inline void rp_along(RandomProgram *p) {
  static const struct { const char *form; double limit, fixed, slope; } forms[] = {
      {"softmax($1, over = %d)", 20, 1, 0}, {"log_softmax($1, over = %d)", 20, 5, 2}, {"cumsum($1, over = %d)", 3, 0, 9},
      {"cumprod($1, over = %d)", 1.2, 9, 0}, {"reverse($1, over = %d)", 99, 0, 1}, {"roll($1, 1, over = %d)", 99, 0, 1},
      {"sort($1, over = %d)", 50, 0, 1}, {"repeat_each($1, 1, over = %d)", 99, 0, 1}, {"softmax($1 / 2, over = %d) * $1", 20, 0, 1},
      {"log(softmax($1, over = %d))", 20, 5, 2}, {"reverse(cumsum($1, over = %d))", 3, 0, 9},
      {"roll($1, -2, over = %d)", 99, 0, 1}, {"cumsum(roll($1, 1, over = %d))", 3, 0, 9}};
  const int k = rp_below(p, 13), x = rp_tame(p, rp_pick(p, 1, 3), forms[k].limit), axis = rp_below(p, p->types[x].rank);
  const RpType t = p->types[x];
  char form[96];
  snprintf(form, sizeof form, forms[k].form, axis - (rp_below(p, 2) ? t.rank : 0));
  rp_let(p, rp_with(t, forms[k].fixed + forms[k].slope * t.bound), RP_PLAIN, IN(x), "%s", form);
}

/* ---- shapes ---- */

static inline void rp_move(RandomProgram *p) {
  const int x = rp_pick(p, 1, 3);
  RpType t = p->types[x];
  const int n = rp_elements(&t), axis = rp_below(p, t.rank), times = 2 + rp_below(p, 2);
  const RpType flat = rp_float(t.batched, t.bound, 1, SHAPE(n));
  switch (rp_below(p, 10)) {
    case 0: rp_let(p, flat, RP_PLAIN, IN(x), rp_below(p, 2) ? "flatten($1)" : "reshape($1, [-1])"); break;
    case 1:
      if (t.rank < 2) return;
      for (int i = t.rank - 2, d = t.dims[i]; i == t.rank - 2; i++) t.dims[i] = t.dims[i + 1], t.dims[i + 1] = d;
      rp_let(p, t, RP_PLAIN, IN(x), rp_below(p, 2) ? "$1.T" : "transpose($1)");
      break;
    case 2:
      if (t.rank != 3) return;
      rp_let(p, rp_float(t.batched, t.bound, 3, SHAPE(t.dims[2], t.dims[0], t.dims[1])), RP_PLAIN, IN(x), "transpose($1, (2, 0, 1))");
      break;
    case 3:
      if (n % times) return;
      rp_let(p, rp_float(t.batched, t.bound, 2, SHAPE(times, n / times)), RP_PLAIN, IN(x), "reshape($1, [%d, %d])", times, n / times);
      break;
    case 4:
      if (t.rank > 2) return;
      memmove(t.dims + axis + 1, t.dims + axis, sizeof(int) * (size_t)(t.rank - axis));
      t.dims[axis] = 1, t.rank++;
      rp_let(p, t, RP_PLAIN, IN(x), "expand($1, %d)", axis);
      break;
    case 5:
      if (n * times > RP_LARGEST) return;
      t.dims[axis] *= times;
      rp_let(p, t, RP_PLAIN, IN(x), "%s($1, %d, over = %d)", rp_below(p, 2) ? "tile" : "repeat_each", times, axis);
      break;
    case 6:
      if (n * 2 > RP_LARGEST) return;
      t.dims[axis] += times;
      rp_let(p, t, RP_PLAIN, IN(x), "pad($1, (%d, 1), over = %d)", times - 1, axis);
      break;
    case 7:
      if (t.rank != 2) return;
      rp_let(p, t, RP_PLAIN, IN(x), rp_below(p, 2) ? "tril($1)" : "triu($1, 1)");
      break;
    case 8:
      if (t.rank != 1 || n > 9) return;
      rp_let(p, rp_float(t.batched, t.bound, 2, SHAPE(n, n)), RP_PLAIN, IN(x), "diag($1)");
      break;
    default:
      if (t.rank > 2 || n * times > RP_LARGEST) return;
      memmove(t.dims + 1, t.dims, sizeof(int) * (size_t)t.rank);
      t.dims[0] = times, t.rank++;
      rp_let(p, t, RP_PLAIN, IN(x), times == 2 ? "stack($1, sin($1))" : "stack($1, 2 * $1, $1 + 1)");
      p->types[p->value_count - 1].bound = 2 * t.bound + 1;
  }
}

static inline void rp_cut_out(RandomProgram *p) {
  const int x = rp_pick(p, 1, 3);
  RpType t = p->types[x];
  const int n = t.dims[0], last = t.dims[t.rank - 1];
  RpType u = t;
  switch (rp_below(p, 8)) {
    case 0: rp_let(p, rp_without(t, 0, t.bound), RP_PLAIN, IN(x), "$1[%d]", rp_below(p, n) - (rp_below(p, 2) ? n : 0)); break;
    case 1: u.dims[0] = (n + 1) / 2; rp_let(p, u, RP_PLAIN, IN(x), "$1[::2]"); break;
    case 2: rp_let(p, rp_without(t, t.rank - 1, t.bound), RP_PLAIN, IN(x), "$1[.., -1]"); break;
    case 3: if (n < 2) return; u.dims[0] = n - 1; rp_let(p, rp_with(u, 2 * t.bound), RP_PLAIN, IN(x), "$1[1:] - $1[:-1]"); break;
    case 4: if (last < 3) return; u.dims[t.rank - 1] = last - 2; rp_let(p, u, RP_PLAIN, IN(x), "$1[.., 1:-1]"); break;
    case 5: if (last < 2) return; u.dims[t.rank - 1] = 2; rp_let(p, u, RP_PLAIN, IN(x), "slice($1, %d, 2)", rp_below(p, last - 1)); break;
    case 6: if (t.rank < 2) return; rp_let(p, rp_without(t, 1, t.bound), RP_PLAIN, IN(x), "$1[:, %d]", rp_below(p, t.dims[1])); break;
    default: if (n < 4) return; u.dims[0] = (n - 2) / 2; rp_let(p, u, RP_PLAIN, IN(x), "$1[1:%d:2]", 1 + (n - 2) / 2 * 2);
  }
}

static inline void rp_join(RandomProgram *p) {
  const int x = rp_pick(p, 1, 3), y = rp_alike(p, x);
  RpType t = rp_joint(p, x, y, fmax(p->types[x].bound, p->types[y].bound));
  const int axis = rp_below(p, t.rank);
  if (3 * rp_elements(&t) > RP_LARGEST) return;
  switch (rp_below(p, 4)) {
    case 0: t.dims[axis] *= 2; rp_let(p, t, RP_PLAIN, IN(x, y), "concat($1, $2, over = %d)", axis); break;
    case 1: t.dims[t.rank - 1] *= 3; rp_let(p, t, RP_PLAIN, IN(x, y), "concat($1, $2, $1)"); break;
    case 2:
      memmove(t.dims + 1, t.dims, sizeof(int) * (size_t)t.rank);
      t.dims[0] = 2, t.rank++;
      rp_let(p, t, RP_PLAIN, IN(x, y), "[$1, $2]");
      break;
    default:
      if (t.dims[t.rank - 1] % 2) return;
      rp_let(p, rp_with(t, 60), RP_PLAIN, IN(rp_tame(p, x, 7), rp_tame(p, y, 7)), "{ let (left, right) = split($1, 2)\n    concat(right, left) * $2 }");
  }
}

/* ---- products ---- */

static inline void rp_product(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 3), 4), units = rp_extent(p);
  RpType t = p->types[x];
  const int n = t.dims[t.rank - 1];
  const double bound = 2 * n * t.bound;
  RpType out = t;
  switch (rp_below(p, 6)) {
    case 0: {
      const int y = rp_tame(p, rp_alike(p, x), 4);
      rp_let(p, rp_float(t.batched || p->types[y].batched, 16.0 * rp_elements(&t), 0, NULL), RP_PLAIN, IN(x, y), "dot($1, $2)");
      break;
    }
    case 1:
      if (t.rank < 2 || rp_elements(&t) / n * t.dims[t.rank - 2] > RP_LARGEST) return;
      out.dims[t.rank - 1] = t.dims[t.rank - 2];
      rp_let(p, rp_with(out, 16.0 * n), RP_PLAIN, IN(x), "$1 @ $1.T");
      break;
    case 2:
      if (t.rank != 1 || n > 12) return;
      rp_let(p, rp_float(t.batched, 16, 2, SHAPE(n, n)), RP_PLAIN, IN(x), "outer($1, cos($1))");
      break;
    case 3:
      if (t.rank != 2) return;
      rp_let(p, rp_float(t.batched, bound, 2, SHAPE(units, n)), RP_PLAIN, IN(x, rp_param(p, 2, SHAPE(units, t.dims[0]))), "$2 @ $1");
      break;
    default:
      if (rp_elements(&t) / n * units > RP_LARGEST) return;
      out.dims[t.rank - 1] = units;
      rp_let(p, rp_with(out, bound), RP_PLAIN, IN(x, rp_param(p, 2, SHAPE(n, units))), "$1 @ $2");
  }
}

static inline void rp_einsum(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 2, 2), 4), k = 1 + rp_below(p, 4);
  const RpType t = p->types[x];
  const int m = t.dims[0], n = t.dims[1];
  if (m * n * k > RP_LARGEST) return;
  const int w = rp_param(p, 2, SHAPE(n, k)), v = rp_param(p, 2, SHAPE(m, n));
  const double bound = 6.0 * (m + n);
  switch (rp_below(p, 11)) {
    case 5: rp_let(p, rp_float(t.batched, bound * m, 0, NULL), RP_PLAIN, IN(x), "einsum(\"ij ->\", $1)"); break;
    case 6: rp_let(p, rp_float(t.batched, bound, 1, SHAPE(n)), RP_PLAIN, IN(x, v), "einsum(\"ij, ij -> j\", sin($1), $2)"); break;
    case 7: rp_let(p, rp_float(t.batched, bound * m, 2, SHAPE(n, n)), RP_PLAIN, IN(x, v), "einsum(\"ki, kj -> ij\", $1, $2)"); break;
    case 8: rp_let(p, rp_float(t.batched, bound * 8, 0, NULL), RP_PLAIN, IN(x), "einsum(\"ii ->\", $1 @ $1.T)"); break;
    case 9: rp_let(p, rp_float(t.batched, bound * 8, 1, SHAPE(m)), RP_PLAIN, IN(x, v), "einsum(\"ii, ij -> i\", $1 @ $1.T, $2) / 4"); break;
    case 10:
      if (m * m * n > RP_LARGEST) return;
      rp_let(p, rp_float(t.batched, bound, 3, SHAPE(m, m, n)), RP_PLAIN, IN(x, v), "einsum(\"bj, cj -> bcj\", $1, $2)");
      break;
    case 0: rp_let(p, rp_float(t.batched, bound, 2, SHAPE(k, m)), RP_PLAIN, IN(x, w), "einsum(\"ij, jk -> ki\", $1, $2)"); break;
    case 1: rp_let(p, rp_float(t.batched, bound, 1, SHAPE(m)), RP_PLAIN, IN(x, v), "einsum(\"ij, ij -> i\", $1, $2)"); break;
    case 2: rp_let(p, rp_float(t.batched, bound, 3, SHAPE(m, n, k)), RP_PLAIN, IN(x, w), "einsum(\"ij, jk -> ijk\", $1, $2)"); break;
    case 3: rp_let(p, rp_float(t.batched, 4 * bound, 2, SHAPE(m, k)), RP_PLAIN, IN(x, v, w), "einsum(\"ij, ij, jk -> ik\", $1, $2, $3)"); break;
    default: rp_let(p, rp_float(t.batched, bound, 2, SHAPE(n, m)), RP_PLAIN, IN(x), "einsum(\"ij -> ji\", $1)");
  }
}

/* ---- conditions and loops ---- */

static inline void rp_if(RandomProgram *p) {
  static const char *const forms[] = {
      "(if $1 > 0 then sin($1) else $2)", "(if $1 > $2 then $1 * 0.5 else -$2)", "(if $1 > 0.1 then log($1) else $2)",
      "(if $1 > 0.1 then sqrt($1) else if $2 < 0 then $2 else 0)", "(if sum($1) > 0 then $1 else $2)",
      "(if not ($1 < 0 or $2 > 1) then $1 else $2 / 3)", "(if $1 == 0 then $2 else $2 / (abs($1) + 0.5))",
      "select(any($1 > 1), $1, $2)", "select(all($1 > -2), $1, $2)", "(if is_finite($1) then $1 else $2)",
      "(if sum($1) > 0.1 then $1 / 20 * log(sum($1)) else $2)", "(if min($1) > 0.05 then $1 - mean(sqrt($1)) else $2)",
      "(if max($1) < 3 then softmax(log(4 - flatten($1)))[0] + $1 else $2)"};
  const int x = rp_tame(p, rp_pick(p, 0, 3), 20), y = rp_tame(p, rp_alike(p, x), 20);
  rp_let(p, rp_joint(p, x, y, 45), RP_PLAIN, IN(x, y), "%s", forms[rp_below(p, 13)]);
}

static inline void rp_static(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 3), 20);
  const RpType t = rp_with(p->types[x], 21);
  switch (rp_below(p, 7)) {
    case 5: rp_let(p, t, 0, IN(x), "$1 * own_half + (own_two - 2)"); break;
    case 6: rp_let(p, rp_with(t, 42), RP_PLAIN, IN(x), "{ let (a, b) = user_two(($1, cos($1)))\n    a + b }"); break;
    case 0: rp_let(p, t, RP_PLAIN, IN(x), "(if size($1) > 4 then $1 else sin($1))"); break;
    case 1: rp_let(p, t, RP_PLAIN, IN(x), "(if training then $1 else $1 * 0.5)"); break;
    case 2: rp_let(p, t, RP_PLAIN, IN(x), "$1 * (user_width - rank($1)) / user_width"); break;
    case 3: rp_let(p, t, RP_PLAIN, IN(x), "$1 / size($1) + shape($1)[0] / 20"); break;
    default: rp_let(p, t, RP_PLAIN, IN(x), "(if rank($1) == 1 then $1 else reverse($1, over = 0))");
  }
}

static inline RpType rp_row(const RandomProgram *p, int x) { return rp_without(p->types[x], 0, p->types[x].bound); }

/* One carry over the first axis. */
static inline void rp_scan(RandomProgram *p) {
  static const char *const bodies[] = {"tanh(h + row)", "0.5 * h + row", "h * 0.7 + sin(row)", "max(h, row)", "(if row > 0 then h + row else 0.5 * h)",
                                       "sigmoid(row) * h + (1 - sigmoid(row)) * tanh(row)", "sqrt(h^2 + row^2 + 1)"};
  const int x = rp_tame(p, rp_pick(p, 1, 3), 4);
  const RpType t = p->types[x], row = rp_row(p, x);
  const char *body = bodies[rp_below(p, 7)], *order = rp_below(p, 3) ? "" : " reversed";
  const double bound = 8 + 4 * t.dims[0];
  switch (rp_below(p, 5)) {
    case 0: rp_let(p, rp_with(row, bound), RP_PLAIN, IN(x), "(scan h = 0 * $1[0] for row in $1%s { next %s })", order, body); break;
    case 1: rp_let(p, rp_with(t, bound), RP_PLAIN, IN(x), "(scan h = $1[0] for row in $1%s { let h' = %s\n    next h' yield h' })", order, body); break;
    case 2: rp_let(p, rp_with(row, bound), RP_PLAIN, IN(x), "(scan h = sin($1[-1]) for row in $1%s { let h' = %s\n    next h' yield h' + h })[-1]", order, body); break;
    case 3: rp_let(p, rp_with(t, bound), RP_PLAIN, IN(x), "(scan h = $1[0] for (row, i) in ($1, 0 .. %d)%s { next %s yield h * (i + 1) / %d })", t.dims[0], order, body, t.dims[0]); break;
    default: rp_let(p, rp_with(row, bound), RP_PLAIN, IN(x), "(scan h = $1[0] for i in 0 .. %d { let row = cos(h + i)\n    next %s })", 2 + rp_below(p, 8), body);
  }
}

/* Two carries, one of them a number; the step may be a parameter of the whole. */
static inline void rp_scan_pair(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 2, 3), 4), w = rp_tame(p, rp_pick(p, 0, 0), 2);
  const RpType t = p->types[x], row = rp_row(p, x);
  RpType out = t;
  out.batched = t.batched || p->types[w].batched;
  out = rp_with(out, 9);
  RpType last = row;
  last.batched = out.batched;
  if (rp_below(p, 2))
    rp_let(p, out, RP_PLAIN, IN(x, w), "(scan (a, b) = (0 * $1[0] + 0 * $2, 1.0 + 0 * sum($1) + 0 * $2) for row in $1 {\n    let a' = tanh($2 * a + b * row)\n    next (a', 0.5 * b + 0.1) yield a' * b })");
  else
    rp_let(p, rp_with(last, 9), RP_PLAIN, IN(x, w), "(scan (a, b) = (sin($1[0]) + 0 * $2, cos($1[0]) + 0 * $2) for row in $1 reversed {\n    next (b, tanh(a - b * row + $2)) })[%d]", rp_below(p, 2));
}

static inline void rp_iterate(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 0, 2), 3);
  const RpType t = rp_with(p->types[x], 4);
  switch (rp_below(p, 4)) {
    case 0: rp_let(p, t, RP_PLAIN, IN(x), "(iterate z = $1 while sum(z^2) > 0.5 max %d { next 0.6 * z })", 1 + rp_below(p, 9)); break;
    case 1: rp_let(p, t, RP_PLAIN, IN(x), "(iterate z = 0 * $1 while sum(abs(z - cos(z + $1))) > 0.01 max %d { next cos(z + $1) })", 1 + rp_below(p, 6)); break;
    case 2: rp_let(p, t, RP_PLAIN, IN(x), "(iterate (z, k) = ($1, 0.0 + 0 * sum($1)) while k < %d max 6 { next (sin(z) + 0.1, k + 1) })[0]", 1 + rp_below(p, 5)); break;
    default: rp_let(p, t, RP_PLAIN, IN(x), "(iterate z = 1.5 + 0 * $1 while sum(abs(z * z - 1 - $1^2)) > 0.001 max 8 { next (z + (1 + $1^2) / z) / 2 })");
  }
}

/* Loops within loops, several yields, labels as the sequence. */
static inline void rp_loops(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 2, 3), 3), n = p->types[x].dims[0];
  const RpType t = rp_with(p->types[x], 4), row = rp_without(t, 0, 4);
  switch (rp_below(p, 10)) {
    case 0: rp_let(p, row, RP_PLAIN, IN(x), "(scan h = $1[0] for row in $1 { next scan k = h for i in 0 .. %d { next tanh(k + row) } })", 2 + rp_below(p, 6)); break;
    case 1: rp_let(p, row, RP_PLAIN, IN(x), "(scan h = $1[0] for (a, b) in ($1, reverse($1, over = 0)) { next (if a > b then tanh(h + a) else 0.5 * h) })"); break;
    case 2: rp_let(p, row, RP_PLAIN, IN(x), "(scan h = $1[0] for row in $1 { next iterate z = h while sum(z^2) > 0.3 max 3 { next tanh(0.7 * z + 0.1 * row) } })"); break;
    case 3: rp_let(p, row, RP_PLAIN, IN(x), "(scan h = 0 * $1[0] for i in 0 .. %d { next tanh(h + $1[i]) })", n); break;
    case 4: rp_let(p, t, RP_PLAIN, IN(x), "{ let (a, b) = scan h = $1[0] for row in $1 { let h' = tanh(h - row)\n    next h' yield (h', h * 2) }\n    a + b }"); break;
    case 5: rp_let(p, t, RP_PLAIN, IN(x), "($1 |> map(r -> r |> map(q -> sin(q) + q / 2)))"); break;
    case 6: rp_let(p, rp_float(t.batched, 4, 1, SHAPE(n)), RP_PLAIN, IN(x), "($1 |> map(r -> (iterate z = 1.0 + 0 * sum(r) while z < 1 + sum(r^2) max 4 { next z * 1.5 })))"); break;
    case 7: rp_let(p, row, RP_PLAIN, IN(x), "(iterate z = $1[0] while sum(abs(z)) > 0.2 max 3 { next (scan h = z for row in $1 { next 0.5 * h + 0.1 * row }) })"); break;
    case 8: {
      const int m = 1 + rp_below(p, 6), k = 2 + rp_below(p, 3), y = rp_labels(p, 1, SHAPE(m), k), table = rp_param(p, 2, SHAPE(k, 2));
      rp_let(p, rp_float(true, 1, 1, SHAPE(2)), RP_PLAIN, IN(y, table), "(scan h = zeros[2] for one in $1 { next tanh(h + $2[one]) })");
      break;
    }
    default: rp_let(p, t, RP_PLAIN, IN(x), "($1 |> map(r -> r * (scan s = 0.0 + 0 * sum(r) for q in r { next 0.5 * s + sum(sin(q)) })))"); p->types[p->value_count - 1].bound = 30;
  }
}

static inline void rp_map(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 3), 4);
  const RpType t = p->types[x];
  switch (rp_below(p, 4)) {
    case 0: rp_let(p, rp_with(t, 5), RP_PLAIN, IN(x), "($1 |> map(r -> sin(r) + 0.5 * r^2))"); p->types[p->value_count - 1].bound = 10; break;
    case 1: rp_let(p, rp_float(t.batched, 4.0 * rp_elements(&t), 1, SHAPE(t.dims[0])), RP_PLAIN, IN(x), "($1 |> map(r -> sum(r * cos(r))))"); break;
    case 2: rp_let(p, rp_with(t, 16), RP_PLAIN, IN(x), "(($1, reverse($1, over = 0)) |> map((r, q) -> r * q))"); break;
    default: rp_let(p, rp_with(t, 8), RP_PLAIN, IN(x), "($1 |> map(r -> scan h = r for i in 0 .. 3 { next tanh(h) + 0.1 * i }))");
  }
}

static inline void rp_repeat(RandomProgram *p) {
  static const char *const forms[] = {"repeat($1, 3, h -> tanh(h + 0.5))", "($1 |> repeat(2, (h, i) -> sin(h) * (i + 1)))",
                                      "($1 |> repeat(4, h -> 0.5 * h + 0.1 * h^2))"};
  const int x = rp_tame(p, rp_pick(p, 0, 3), 3);
  rp_let(p, rp_with(p->types[x], 3), RP_PLAIN, IN(x), "%s", forms[rp_below(p, 3)]);
}

static inline void rp_tuple(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 3), 4), y = rp_tame(p, rp_pick(p, 0, 2), 4);
  const RpType t = p->types[x], u = p->types[y];
  const int first = rp_value(p, rp_with(t, 1));
  rp_value(p, rp_joint(p, y, y, 16));
  (void)u;
  rp_add(p, RP_LET, RP_PLAIN, rp_fill(rp_below(p, 2) ? "(sin($1), $2 * cos($2))" : "{ let (b, a) = ($2^2, tanh($1))\n    (a, b) }", IN(x, y)), first, 2);
}

/* ---- the user's own definitions ---- */

static inline void rp_user(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 3), 3), y = rp_tame(p, rp_alike(p, x), 3), last = p->types[x].dims[p->types[x].rank - 1];
  RpType t = rp_with(p->types[x], 9);
  switch (rp_below(p, 8)) {
    case 0: rp_let(p, t, RP_PLAIN, IN(x), "user_cube($1)"); break;
    case 1: rp_let(p, rp_joint(p, x, y, 9), RP_PLAIN, IN(x, y), "user_pair($1, $2)"); break;
    case 2: rp_let(p, t, RP_PLAIN, IN(x), rp_below(p, 2) ? "user_scale($1)" : "($1 |> user_scale(by = 3))"); break;
    case 3: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> user_block(%d))", 1 + rp_below(p, 4)); break;
    case 4: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> repeat(2, user_block(2, act = sin)))"); break;
    case 5: rp_let(p, rp_with(t, 1), RP_ORDERED, IN(x), "($1 |> user_gate)"); break;
    case 6:
      if (t.rank != 1) return;
      rp_let(p, rp_with(t, 3), RP_ORDERED, IN(x), "($1 |> user_deep(%d))", 1 + rp_below(p, 3));
      break;
    default:
      if (rp_elements(&t) / last * 3 > RP_LARGEST) return;
      t.dims[t.rank - 1] = 3;
      rp_let(p, t, RP_ORDERED, IN(x), "($1 |> user_twice(dense(3)))");
  }
}

/* ---- labels ---- */

static inline void rp_labelled(RandomProgram *p) {
  const int k = 2 + rp_below(p, 5), rank = rp_below(p, 3), dims[2] = {1 + rp_below(p, 4), 1 + rp_below(p, 3)};
  const int y = rp_labels(p, rank, dims, k), width = 1 + rp_below(p, 5);
  RpType out = rp_float(true, 1, rank, dims);
  out.dims[out.rank++] = width;
  switch (rp_below(p, 4)) {
    case 0: rp_let(p, rp_with(out, 4), RP_ORDERED, IN(y), "embedding($1, %d)", width); break;
    case 1: out.dims[rank] = k; rp_let(p, out, RP_PLAIN, IN(y), "one_hot($1) + 0.0"); break;
    case 2: rp_let(p, rp_with(out, 1.5), RP_PLAIN, IN(y, rp_param(p, 2, SHAPE(k, width))), "$2[$1]"); break;
    default: rp_let(p, rp_float(true, 1.5, rank, dims), RP_PLAIN, IN(y, rp_param(p, 1, SHAPE(k))), "sin($2)[$1] * ($1 != 0)");
  }
}

/* Whole numbers and truths among the inputs. */
static inline void rp_whole(RandomProgram *p) {
  const int x = rp_tame(p, rp_batched(p, 1, 2), 6);
  RpType t = p->types[x], whole = t;
  whole.kind = rp_below(p, 2) ? RP_INT : RP_BOOL, whole.batched = true;
  const int k = rp_declare(p, whole, rp_below(p, 3) ? "input" : "target", ""), how = rp_below(p, 4);
  static const char *const ints[] = {"$1 * $2 / 3", "(if $2 > 0 then $1 else 0.5 * $1)", "$1 + int(2 * $1) * $2 / 4", "select(max($2, -1) == $2, $1, $2 - $1)"};
  static const char *const truths[] = {"(if $2 then $1 else -$1)", "select($2 and $1 > 0, $1, 0.5 * $1)", "$1 * $2 + $2", "$1 * (any(not $2) or all($2))"};
  rp_let(p, rp_with(t, 30), RP_PLAIN, IN(x, k), "%s", whole.kind == RP_INT ? ints[how] : truths[how]);
}

/* One example's own array by its own labels. */
static inline void rp_picked(RandomProgram *p) {
  const int x = rp_batched(p, 1, 3), m = 1 + rp_below(p, 4);
  RpType t = p->types[x];
  const int n = t.dims[0];
  const int one = rp_labels(p, 0, NULL, n), many = rp_labels(p, 1, SHAPE(m), n);
  switch (rp_below(p, 5)) {
    case 0: rp_let(p, rp_without(t, 0, t.bound), RP_PLAIN, IN(x, one), "$1[$2]"); break;
    case 1: t.dims[0] = m; rp_let(p, t, RP_PLAIN, IN(x, many), "$1[$2]"); break;
    case 2: t.dims[0] = m; rp_let(p, t, RP_PLAIN, IN(x, many), "gather($1, $2, over = 0)"); break;
    case 3: rp_let(p, rp_without(t, 0, t.bound), RP_PLAIN, IN(x), "$1[argmax(sum(reshape($1, [%d, -1]), over = 1))]", n); break;
    default:
      if (t.rank != 1) return;
      rp_let(p, rp_with(t, t.bound + 8), RP_PLAIN, IN(x, many), "scatter_add($1, $2, cos(0.0 + $2))");
  }
}

static inline void rp_sorted(RandomProgram *p) {
  const int x = rp_pick(p, 1, 1), n = p->types[x].dims[0], k = 1 + rp_below(p, n);
  RpType t = p->types[x];
  switch (rp_below(p, 4)) {
    case 0: t.dims[0] = k; rp_let(p, t, RP_PLAIN, IN(x), "top_k($1, %d)[0]", k); break;
    case 1: rp_let(p, t, RP_PLAIN, IN(x), "$1[argsort($1)]"); break;
    case 2: rp_let(p, t, RP_PLAIN, IN(x), "sort($1)"); break;
    default: t.dims[0] = k; rp_let(p, t, RP_PLAIN, IN(x), "{ let (best, place) = top_k($1, %d)\n    best + 0.1 * place }", k); p->types[p->value_count - 1].bound += 2;
  }
}

/* ---- the batch ---- */

static inline void rp_over_batch(RandomProgram *p) {
  const int x = rp_tame(p, rp_batched(p, 0, 2), 6);
  const RpType t = p->types[x];
  RpType u = t;
  u.batched = false;
  switch (rp_below(p, 7)) {
    case 0: rp_let(p, rp_with(u, t.bound), RP_PLAIN, IN(x), "mean($1, over = batch)"); break;
    case 1: rp_let(p, rp_with(u, t.bound * 5), RP_PLAIN, IN(x), "sum($1, over = batch)"); break;
    case 2: rp_let(p, rp_with(t, t.bound * 2), RP_PLAIN, IN(x), "$1 - mean($1, over = batch)"); break;
    case 3: rp_let(p, rp_with(u, t.bound), RP_PLAIN, IN(x), "max($1, over = batch)"); break;
    case 4:
      if (t.rank != 1) return;
      rp_let(p, rp_float(true, 40 + t.bound, 0, NULL), RP_PLAIN, IN(x), "logsumexp(across($1) @ $1 / %d)", t.dims[0]);
      break;
    case 5:
      if (t.rank != 1) return;
      rp_let(p, rp_with(u, t.bound * t.bound * 5), RP_PLAIN, IN(x), "sum(across($1)^2, over = 0)");
      break;
    default: if (p->blocks == 1) rp_let(p, rp_with(t, t.bound + 2), RP_PLAIN, IN(x), "$1 + batch_index / batch");
  }
}

/* Every example beside every other: values of two batch axes. */
static inline void rp_pairs(RandomProgram *p) {
  const int x = rp_tame(p, rp_batched(p, 1, 1), 3);
  const RpType t = p->types[x], one = rp_float(true, 20, 0, NULL);
  switch (rp_below(p, 8)) {
    case 5: if (p->blocks == 1) rp_let(p, one, RP_PLAIN, IN(x), "info_nce($1 + 2, cos($1) + 2, heat = 0.5)"); break;
    case 6: if (p->blocks == 1) rp_let(p, one, RP_PLAIN, IN(x), "clip_loss($1 + 2, cos($1) + 2, scale = 2)"); break;
    case 7: if (p->blocks == 1) rp_let(p, one, RP_PLAIN, IN(x), "nt_xent($1 + 2, cos($1) + 2, heat = 0.5)"); break;
    case 0: rp_let(p, one, RP_PLAIN, IN(x), "logsumexp(sum((across($1) - $1)^2, over = -1))"); break;
    case 1: rp_let(p, one, RP_PLAIN, IN(x), "mean(exp(-sum((across(sin($1)) - $1)^2, over = 1)))"); break;
    case 2: rp_let(p, rp_with(t, 3), RP_PLAIN, IN(x), "softmax(across($1) @ $1) @ across($1)"); break;
    case 3: rp_let(p, one, RP_PLAIN, IN(x), "max(across($1) @ tanh($1))"); break;
    default: rp_let(p, rp_with(t, 30), RP_PLAIN, IN(x), "sum(select(across($1) > $1, across($1), 0.5 * $1), over = 0)");
  }
}
