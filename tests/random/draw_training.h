/* draw_training.h: what ends a program: outputs, losses, metrics, and how it is trained. Part of draw.h. */

static inline bool rp_is_used(const RandomProgram *p, int value) {
  for (int i = 0; i < p->count; i++) {
    size_t at = 0, from;
    for (int id; (id = rp_reference(p->statements[i].text, &at, &from)) >= 0;)
      if (id == value && !(p->statements[i].form != RP_LINE && p->statements[i].first == value)) return true;
  }
  return false;
}

static inline void rp_loss(RandomProgram *p, int v) {
  static const char *const forms[] = {"mean($1^2)", "sum(sin($1))", "0.1 * mean($1)", "$1^2 / 2", "$1", "abs($1 - 0.125)", "mse($1, $2)",
                                      "huber($1, $2)"};
  const RpType t = p->types[v];
  const int how = rp_below(p, 8);
  char name[24] = "";
  p->block = t.block;
  if (rp_below(p, 3) == 0) snprintf(name, sizeof name, "part%d = ", v);
  const int other = how >= 6 ? rp_alike(p, v) : v;
  rp_line(p, RP_ROOT, -1, IN(v, other), "loss %s%s%s", name, forms[how],
          t.batched && how < 3 && p->blocks == 1 && rp_below(p, 5) == 0 ? " weight 1 + batch_index" : "");
}

/* What nobody uses goes into losses and outputs. */
static inline void rp_ends(RandomProgram *p) {
  const int count = p->value_count;
  for (int v = 0, losses = 0, outputs = 0; v < count; v++) {
    const RpType t = p->types[v];
    if (t.kind == RP_INSTANCE || (rp_is_used(p, v) && (t.kind != RP_FLOAT || rp_below(p, 12)))) continue;
    if (outputs++ < 12) rp_line(p, RP_ROOT, -1, IN(v), "output o%d = $1", v);
    if (t.kind == RP_FLOAT && losses++ <= 6) rp_loss(p, v);
  }
  p->block = 0;
  rp_label_losses(p);
}

static inline void rp_setting(RandomProgram *p, const char *text) { p->settings[p->setting_count++] = rp_copy_text(text); }

/* A parameter by itself, whose gradient is far from 0: for optimisers that divide by it or take its sign. Its last letters
 * are its own, so that a pattern finds it whatever its first is. */
static inline void rp_own_rule(RandomProgram *p) {
  static const char *const rules[] = {"momentum(0.1)", "lion(0.01)", "muon(0.02)", "adafactor(0.01)", "adadelta(1, eps = 0.01)", "lamb(0.01)",
                                      "radam(0.01)", "adam(0.01, amsgrad = true)", "lbfgs(0.5)", "user_descent(0.05)", "rmsprop(0.01, centered = true)"};
  const int own = rp_param(p, 2, SHAPE(3, 2));
  char line[192];
  rp_line(p, RP_ROOT, -1, IN(own), rp_below(p, 2) ? "loss lone = sum(($1 + 3)^2)" : "loss lone = mean(sin($1) + 2 * $1)");
  switch (rp_below(p, 4)) {
    case 0: snprintf(line, sizeof line, "freeze = [\"*%d\"]", own); break;
    case 1: snprintf(line, sizeof line, "parameters = \"*\"\n}\ntrain turn {\n  loss = lone; parameters = \"*%d\"; optimizer = %s; every = %d", own, rules[rp_below(p, 11)], 1 + rp_below(p, 2)); break;
    default: snprintf(line, sizeof line, "optimizer for \"*%d\" = %s", own, rules[rp_below(p, 11)]);
  }
  rp_setting(p, line);
}

static inline void rp_training(RandomProgram *p) {
  static const char *const optimizers[] = {
      "sgd(0.1)", "sgd(0.1, momentum = 0.9, l2 = 0.01)", "momentum(0.05)", "nesterov(0.05)", "adam(0.01, eps = 0.01)",
      "adamw(0.01, eps = 0.01, decay = 0.1)", "adagrad(0.01, eps = 0.01)", "rmsprop(0.01, eps = 0.01)", "adamax(0.01, eps = 0.1)",
      "nadam(0.01, eps = 0.01)", "radam(0.01, eps = 0.01)", "adadelta(0.1, eps = 0.01)", "adam(0.01, eps = 0.01, amsgrad = true)",
      "user_descent(0.05, keep = 0.9)", "lbfgs(0.1)", "sgd(cosine(0.1))", "sgd(step_decay(0.1, 2))", "sgd(one_cycle(0.2))",
      "sgd(warmup(0.1, warmup = 3))", "sgd(exponential(0.1))", "sgd(polynomial(0.1, power = 2))", "sgd(restarts(0.1, 3))",
      "sgd(on_plateau(0.1))", "momentum(user_fall(0.1), 0.8)"};
  static const char *const others[] = {"clip_norm = 1", "clip_norm = 0.01", "average = 0.9", "clip_value = 0.1", "clip_each = 0.5", "accumulate = 2"};
  const int count = sizeof optimizers / sizeof *optimizers, rule = rp_below(p, count), other = rp_below(p, 18);
  Text line = {0};
  text_printf(&line, "optimizer = %s", optimizers[rule]);
  rp_setting(p, text_get(&line));
  text_free(&line);
  rp_setting(p, "batch = 3; steps = 4");
  const bool over_all = strstr(optimizers[rule], "lbfgs") != NULL;
  if (other < 6 && !(over_all && other == 5)) rp_setting(p, others[other]);
  if (rp_below(p, 4) == 0 && other != 5) rp_own_rule(p);
}
