/* draw_layers.h: makers of statements with parameters, states or draws: the library's layers, instances, losses by labels.
 * Part of draw.h. */

/* x with its last extent, bounded by tanh behind the layer. */
static inline RpType rp_last(RpType t, int units, double bound) {
  t.dims[t.rank - 1] = units;
  return rp_with(t, bound);
}

static inline void rp_dense(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 3), 4), units = rp_extent(p);
  const RpType t = p->types[x];
  if (rp_elements(&t) / t.dims[t.rank - 1] * units > RP_LARGEST) return;
  const RpType out = rp_last(t, units, 20);
  switch (rp_below(p, 6)) {
    case 0: rp_let(p, rp_with(out, 1), RP_ORDERED, IN(x), "($1 |> dense(%d) |> tanh)", units); break;
    case 1: rp_let(p, out, RP_ORDERED, IN(x), "dense($1, %d, init = xavier, bias = false)", units); break;
    case 2: rp_let(p, out, RP_ORDERED, IN(x), "($1 |> dense(3) |> relu |> dense(%d))", units); break;
    case 3: rp_let(p, out, RP_ORDERED, IN(x), "($1 |> lora(%d, rank = 2))", units); break;
    case 4: rp_let(p, rp_last(t, t.dims[t.rank - 1], 20), RP_ORDERED, IN(x), "($1 |> residual(dense(%d)))", t.dims[t.rank - 1]); break;
    default: rp_let(p, out, RP_ORDERED, IN(x), "($1 |> dense(%d))", units);
  }
}

static inline void rp_normalise(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 3), 20), how = rp_below(p, 6);
  const RpType t = rp_with(p->types[x], 6);
  const int last = t.dims[t.rank - 1];
  /* no variance near 0: differences could not be judged */
  const int y = rp_let(p, rp_with(t, 40), 0, IN(x, rp_param(p, t.rank, t.dims)), "$1 + 2 * $2");
  if (last < 2 && how != 1 && how != 2) return;
  switch (how) {
    case 0: rp_let(p, t, RP_ORDERED, IN(y), "($1 |> layer_norm(eps = 0.1))"); break;
    case 1: if (t.batched) rp_let(p, t, RP_ORDERED, IN(y), "($1 |> batch_norm(eps = 0.1))"); break;
    case 2: rp_let(p, t, RP_ORDERED, IN(y), "($1 |> rms_norm(eps = 0.1))"); break;
    case 3: if (last % 2 == 0) rp_let(p, t, RP_ORDERED, IN(y), "($1 |> group_norm(2, eps = 0.1))"); break;
    case 4: if (t.rank == 2) rp_let(p, t, RP_ORDERED, IN(y), "($1 |> instance_norm(eps = 0.1))"); break;
    default: rp_let(p, t, RP_PLAIN, IN(y), "($1 - mean($1, over = -1, keep = true)) / sqrt(mean($1^2, over = -1, keep = true) - mean($1, over = -1, keep = true)^2 + 0.1)");
  }
}

/* One instance, used by several: of one input, of two, of its own weights. */
static inline void rp_shared(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 2), 4), y = rp_tame(p, rp_alike(p, x), 4), units = 1 + rp_below(p, 4);
  const RpType t = p->types[x];
  char recipe[64];
  snprintf(recipe, sizeof recipe, rp_below(p, 2) ? "dense(%d)" : "h -> h |> dense(3) |> sin |> dense(%d)", units);
  const int f = rp_instance(p, recipe);
  const RpType out = rp_last(rp_joint(p, x, y, 20), units, 20);
  rp_let(p, out, 0, IN(x, y, f), rp_below(p, 2) ? "$3($1) + $3($2)" : "tanh($3($1)) * $3($2)");
  if (strncmp(recipe, "dense", 5) || rp_below(p, 2)) return;
  rp_let(p, rp_last(t, t.dims[t.rank - 1], 40), 0, IN(x, f), "$2($1) @ $2.W.T");
}

static inline void rp_attention(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 2, 2), 3);
  const RpType t = rp_with(p->types[x], 12);
  const int n = t.dims[1];
  if (n % 2 || n > 8 || t.dims[0] > 8) return;
  switch (rp_below(p, 6)) {
    case 0: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> attention(2, causal = true))"); break;
    case 1: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> attention(1, rotate = true))"); break;
    case 2: rp_let(p, t, RP_PLAIN, IN(x), "attend($1, cos($1), $1, causal = %s)", rp_below(p, 2) ? "true" : "false"); break;
    case 3: rp_let(p, t, RP_PLAIN, IN(x), rp_below(p, 2) ? "rotary($1)" : "sinusoidal($1)"); break;
    case 4: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> learned_positions)"); break;
    default: rp_let(p, rp_with(t, 30), RP_ORDERED, IN(x), "($1 |> transformer_block(%d, hidden = 4, causal = %s))", 1 + rp_below(p, 2), rp_below(p, 2) ? "true" : "false");
  }
}

static inline void rp_recurrent(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 2, 2), 3), units = 1 + rp_below(p, 4);
  const RpType t = rp_last(p->types[x], units, 1);
  if (t.dims[0] > 9) return;
  switch (rp_below(p, 6)) {
    case 0: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> lstm(%d))", units); break;
    case 1: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> gru(%d))", units); break;
    case 2: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> rnn(%d))", units); break;
    case 3: rp_let(p, rp_last(t, 2 * units, 1), RP_ORDERED, IN(x), "($1 |> bidirectional(gru(%d)))", units); break;
    case 4: rp_let(p, t, RP_ORDERED, IN(x), "($1 |> stacked(2, rnn(%d)))", units); break;
    default: {
      const int f = rp_instance(p, "dense(2)");
      const RpType row = rp_last(p->types[x], 2, 1);
      rp_let(p, row, 0, IN(x, f), "(scan h = zeros[2] for row in $1 { let h' = tanh($2(concat(row, h)))\n    next h' yield h' })");
    }
  }
}

/* The library's other layers. */
static inline void rp_wider(RandomProgram *p) {
  static const struct { const char *form; int low, high, units; bool held; } forms[] = {
      {"$1 |> prelu", 1, 3, 0, false}, {"$1 |> feed_forward(3)", 1, 2, 0, false}, {"$1 |> gated_feed_forward(2)", 1, 2, 0, false},
      {"$1 |> weight_norm_dense(3)", 1, 2, 3, false}, {"$1 |> spectral_norm_dense(3)", 1, 2, 3, true}, {"$1 |> channel_dropout(0.3)", 2, 3, 0, false},
      {"$1 |> user_centred", 1, 3, 0, true}, {"$1 |> repeat(2, residual(dense(units)))", 1, 1, 0, false}, {"sparsemax($1)", 1, 1, 0, false},
      {"$1 |> cross_attention($1, 1)", 2, 2, 0, false}, {"$1 |> decoder_block($1, 1, hidden = 3)", 2, 2, 0, false},
      {"$1 |> dropout(0.2) |> dense(2) |> mish", 1, 2, 2, false}, {"$1 |> user_twice(lora(2, rank = 1))", 1, 2, 2, false},
      {"unit($1 + 2)", 1, 2, 0, false}};
  const int k = rp_below(p, sizeof forms / sizeof *forms), x = rp_tame(p, rp_pick(p, forms[k].low, forms[k].high), 3);
  RpType t = rp_with(p->types[x], 40);
  const int last = t.dims[t.rank - 1];
  if (forms[k].units) t.dims[t.rank - 1] = forms[k].units;
  if ((!p->types[x].batched || p->blocks > 1) && (strstr(forms[k].form, "dropout") || strstr(forms[k].form, "centred"))) return;
  if ((k == 9 || k == 10) && (last > 8 || t.dims[0] > 8)) return;
  if (k == 7) rp_let(p, t, RP_ORDERED, IN(x), "($1 |> repeat(2, residual(dense(%d))))", last);
  else rp_let(p, t, RP_ORDERED | (forms[k].held ? RP_HELD : 0), IN(x), "(%s)", forms[k].form);
}

/* A copy of an instance that follows it slowly, and an instance that a function is given. */
static inline void rp_slow(RandomProgram *p) {
  const int x = rp_tame(p, rp_batched(p, 1, 1), 2), f = rp_instance(p, rp_below(p, 2) ? "dense(2)" : "h -> h |> dense(3) |> tanh |> dense(2)");
  const RpType t = rp_last(p->types[x], 2, 20);
  const int used = rp_let(p, t, 0, IN(x, f), "user_both($2, $1)"); /* which makes the parameters */
  if (rp_below(p, 2)) return;
  const int slow = rp_value(p, (RpType){.kind = RP_INSTANCE});
  Text text = {0};
  text_printf(&text, "state $%d; ~ $%d;", slow, f);
  p->statements[rp_add(p, RP_DECLARE, 0, rp_copy_text(text_get(&text)), slow, 1)].after = used;
  text_free(&text);
  rp_line(p, 0, slow, IN(slow, f), "$1 <- 0.9 * $1 + 0.1 * $2");
  rp_let(p, t, 0, IN(x, f, slow), "$3($1) - stop_gradient($2($1)) / 2");
  p->statements[p->count - 1].flags |= RP_HELD;
}

/* What takes two arrays and gives a number, or keeps a shape. */
static inline void rp_library(RandomProgram *p) {
  static const struct { const char *form; double limit, bound; bool scalar; } forms[] = {
      {"mse($1, $2)", 5, 100, true}, {"mae($1, $2)", 20, 40, true}, {"huber($1, $2)", 20, 40, true}, {"log_cosh($1, $2)", 20, 40, true},
      {"bce_logits($1, sigmoid($2))", 9, 20, true}, {"kl_standard_normal($1, $2)", 2, 50, false}, {"dice(sigmoid($1), sigmoid($2))", 20, 2, true},
      {"cosine_similarity($1 + 2, $2 + 3)", 1, 1, false}, {"poisson_nll($1, $2)", 2, 20, true}, {"quantile($1, $2, q = 0.3)", 9, 20, true},
      {"gaussian_nll($1, $2, 1 + $1^2)", 5, 60, true}, {"kl(softmax($1), softmax($2))", 9, 20, false},
      {"soft_cross_entropy($1, softmax($2))", 9, 30, false}, {"binary_focal($1, sigmoid($2))", 9, 30, true},
      {"smooth_l1($1, $2, beta = 0.5)", 20, 40, true}, {"bce(sigmoid($1), sigmoid($2))", 6, 20, true}, {"jensen_shannon(softmax($1), softmax($2))", 9, 2, false},
      {"sum(kl_normal($1, 1 + $1^2, $2, 0.5 + $2^2), over = -1)", 3, 300, false}, {"hinge($1, tanh($2))", 20, 22, true}, {"squared_hinge($1, sin($2))", 5, 40, true},
      {"triplet($1, $2, 2 * $1 + 3)", 5, 90, false}, {"laplace_nll($1, $2, 1 + $1^2)", 9, 20, true}, {"exponential_nll($1, $2^2)", 2, 40, true},
      {"gamma_nll(1 + $1^2, 1 + $2^2, 1.5 + sin($1))", 3, 90, true}, {"beta_nll(1 + $1^2, 1 + $2^2, 0.5 + 0.3 * sin($1))", 3, 90, true},
      {"student_nll($1, $2, 3)", 9, 20, true}, {"bernoulli_nll($1, sigmoid($2))", 9, 400, true}};
  const int k = rp_below(p, 27), x = rp_tame(p, rp_pick(p, 1, 2), forms[k].limit), y = rp_tame(p, rp_alike(p, x), forms[k].limit);
  RpType t = rp_joint(p, x, y, forms[k].bound);
  if (forms[k].scalar) t.rank = 0;
  else t.rank--;
  rp_let(p, t, RP_PLAIN, IN(x, y), "%s", forms[k].form);
}

static inline void rp_draw_noise(RandomProgram *p) {
  const int x = rp_tame(p, rp_batched(p, 1, 2), 9);
  const RpType t = rp_with(p->types[x], p->types[x].bound + 4);
  if (p->blocks > 1) return; /* draws of which block's examples? It is refused */
  switch (rp_below(p, 8)) {
    case 5: rp_let(p, t, RP_ORDERED, IN(x), "$1 + truncated_normal(0, 1)[like $1]"); break;
    case 6: rp_let(p, t, RP_ORDERED, IN(x), "$1 + mean(normal(0, 1)[3, 2])"); break;
    case 7: if (t.rank == 1) rp_let(p, rp_float(true, 9, 0, NULL), RP_ORDERED, IN(x), "sum($1 * one_hot(categorical(softmax($1))[], %d))", t.dims[0]); break;
    case 0: rp_let(p, rp_with(t, 20), RP_ORDERED, IN(x), "dropout($1, 0.4)"); break;
    case 1: rp_let(p, t, RP_ORDERED, IN(x), "$1 + 0.3 * normal(0, 1)[like $1]"); break;
    case 2: rp_let(p, t, RP_ORDERED, IN(x), "$1 * bernoulli(0.5)[like $1]"); break;
    case 3: rp_let(p, t, RP_ORDERED, IN(x), "$1 + uniform(-1, 1)[]"); break;
    default: rp_let(p, t, RP_ORDERED, IN(x), "(if uniform(0, 1)[like $1] > 0.5 then $1 else sin($1))");
  }
}

static inline void rp_state(RandomProgram *p) {
  const int x = rp_tame(p, rp_batched(p, 0, 2), 4);
  const RpType t = p->types[x];
  const int m = rp_declare(p, rp_float(false, 4, t.rank, t.dims), "state", rp_below(p, 2) ? " ~ zeros" : " ~ constant(0.5)");
  rp_line(p, 0, m, IN(m, x), "$1 <- 0.9 * $1 + 0.1 * mean($2, over = batch)");
  rp_let(p, rp_with(t, 8), 0, IN(x, m), rp_below(p, 2) ? "$1 - $2" : "$1 * (1 + $2)");
}

/* Held still by derivatives: differences do not see that, and do not judge the program. */
static inline void rp_stopped(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 0, 2), 9);
  rp_let(p, rp_with(p->types[x], 10), RP_PLAIN | RP_HELD, IN(x), rp_below(p, 2) ? "stop_gradient($1)" : "$1 + stop_gradient(sin($1) - $1)");
}

/* A metric of the user's that adds up over batches. */
static inline void rp_metric(RandomProgram *p) {
  static const char *const forms[] = {"user_mean($1)", "r2($1, sin($1) + 1)", "rmse($1, cos($1))", "precision(sigmoid($1), $1 > 0.1)",
                                      "recall(sigmoid($1), $1 > 0.2)", "f1(sigmoid($1), $1 > -0.2)", "auc(sigmoid($1), cos(5 * $1) > 0, bins = 10)",
                                      "binary_accuracy(sigmoid($1), sigmoid(2 * $1))", "own = sin($1) weight 1 + $1^2"};
  const int x = rp_tame(p, rp_batched(p, 0, 0), 9), how = rp_below(p, 9);
  if (p->blocks > 1 && how < 8) return;
  rp_line(p, RP_ROOT, -1, IN(x), "metric %s", forms[how]);
}

/* Arithmetic on a bundle: a step of descent within the model, the moved network applied. */
static inline void rp_bundle(RandomProgram *p) {
  const int x = rp_tame(p, rp_batched(p, 1, 1), 2), f = rp_instance(p, rp_below(p, 2) ? "dense(2)" : "h -> h |> dense(2) |> tanh |> dense(2)");
  const RpType t = rp_last(p->types[x], 2, 20);
  switch (p->blocks > 1 ? 0 : rp_below(p, 4)) { /* `per = example` means the examples of the first block */
    case 0: rp_let(p, t, 0, IN(x, f), "{ let fast = $2 - 0.1 * grad(mean($2($1)^2), $2)\n    fast($1) }"); break;
    case 1: rp_let(p, t, 0, IN(x, f), "{ let fast = $2 - 0.1 * grad(mean($2($1)^2), $2, per = example)\n    fast(sin($1)) }"); break;
    case 2: rp_let(p, t, 0, IN(x, f), "{ let fast = scan w = $2 for i in 0 .. 2 { let e = sum(sin(w($1)))\n      next w - 0.1 * grad(e, w, per = example) }\n    fast($1) }"); break;
    default: rp_let(p, t, 0, IN(x, f), "$2($1)");
  }
}

/* A hand-written gate over a split, as in an LSTM's cell. */
static inline void rp_split_gates(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 2), 6);
  const RpType t = p->types[x];
  const int n = t.dims[t.rank - 1];
  if (n % 2) return;
  rp_let(p, rp_last(t, n / 2, 1), RP_PLAIN, IN(x), "{ let (a, b) = split($1, 2)\n    sigmoid(a) * tanh(b) }");
}

/* A loss by labels for a value whose last axis can be scores. */
static inline void rp_label_losses(RandomProgram *p) {
  static const char *const forms[] = {"cross_entropy($1, $2)", "cross_entropy($1, $2, smoothing = 0.1)", "nll(log_softmax($1), $2)",
                                      "focal($1, $2)", "-log(softmax($1))[$2]"};
  if (rp_below(p, 2)) return;
  const int x = rp_tame(p, rp_batched(p, 1, 2), 20), k = rp_below(p, 5);
  const RpType t = p->types[x];
  if (t.dims[t.rank - 1] < 2 || (k == 4 && t.rank > 1)) return;
  const int y = rp_labels(p, t.rank - 1, t.dims, t.dims[t.rank - 1]);
  rp_line(p, RP_ROOT, -1, IN(x, y), "loss %s%s", forms[k], rp_below(p, 3) ? "" : " weight is_known($2)");
  static const char *const metrics[] = {"accuracy", "top_accuracy", "perplexity", "accuracy"};
  rp_line(p, RP_ROOT, -1, IN(x, y), "metric %s($1, $2%s)", metrics[p->blocks > 1 ? 0 : k % 4], p->blocks == 1 && k % 4 == 1 ? ", k = 2" : "");
}
