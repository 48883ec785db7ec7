/* draw_derivatives.h: makers of derivatives within the program, one within another too. Part of draw.h. */

static inline void rp_grad(RandomProgram *p) {
  static const char *const losses[] = {"sum(sin(u) * u)", "sum(tanh(u)^2)", "sum(u^3) / 3", "log(1 + sum(u^2))", "sum(exp(-u^2))",
                                       "sum(softplus(u) * sigmoid(u))", "sum(relu(u)^3)", "sqrt(1 + sum(u^2))"};
  const int x = rp_tame(p, rp_pick(p, 0, 2), 2), n = rp_elements(&p->types[x]);
  const RpType t = rp_with(p->types[x], 12);
  const char *e = losses[rp_below(p, 8)];
  switch (rp_below(p, 6)) {
    case 0: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    let e = %s\n    let g = grad(e, u)\n    grad(sum(g * cos(u)), u) }", e); break;
    case 1: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    hvp(%s, u, cos($1)) }", e); break;
    case 2: rp_let(p, rp_with(t, 30), RP_PLAIN, IN(x), "{ let u = $1\n    jvp(sin(u) * u, u, tanh($1)) }"); break;
    case 3:
      if (t.rank != 1 || n > 5) return;
      rp_let(p, rp_float(t.batched, 20, 2, SHAPE(n, n)), RP_PLAIN, IN(x), "{ let u = $1\n    hessian(%s, u) }", e);
      break;
    case 4:
      if (t.rank != 1 || n > 5) return;
      rp_let(p, rp_float(t.batched, 20, 2, SHAPE(n, n)), RP_PLAIN, IN(x), "{ let u = $1\n    jacobian(u * sum(u) + sin(u), u) }");
      break;
    default: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    grad(%s, u) }", e);
  }
}

/* Does value v depend on w through statements? */
static inline bool rp_depends(const RandomProgram *p, int v, int w) {
  if (v == w) return true;
  const int maker = rp_maker(p, v);
  if (maker < 0 || p->statements[maker].form != RP_LET) return false;
  size_t at = 0, from;
  for (int id; (id = rp_reference(p->statements[maker].text, &at, &from)) >= 0;)
    if (rp_depends(p, id, w)) return true;
  return false;
}

/* By a named value through whatever lies between: the derivative of the program so far. */
static inline void rp_grad_through(RandomProgram *p) {
  const int e = rp_tame(p, rp_pick(p, 0, 3), 6);
  for (int tries = 0; tries < 12; tries++) {
    const int x = rp_below(p, p->value_count);
    const RpType t = p->types[x];
    if (t.kind != RP_FLOAT || x == e || rp_elements(&t) > 60 || t.batched != p->types[e].batched || t.block != p->types[e].block || !rp_depends(p, e, x)) continue;
    rp_let(p, rp_with(t, 1), 0, IN(e, x), "tanh(grad(sum($1^2) / 2 + sum(sin($2)), $2))");
    return;
  }
}

/* A function of a function, and derivatives of loops. */
static inline void rp_second(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 1), 2);
  const RpType t = rp_with(p->types[x], 9);
  switch (rp_below(p, 4)) {
    case 0: rp_let(p, t, RP_PLAIN, IN(x), "user_apply(h -> sin(h) + 0.5 * h, $1)"); break;
    case 1: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    grad(sum(scan h = u for i in 0 .. 6 { next sin(h) * u + 0.2 * i }), u) |> tanh }"); break;
    case 2: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    let s = scan h = 0.0 + 0 * sum(u) for r in u { next tanh(h + r) }\n    grad(s, u) }"); break;
    default: rp_let(p, t, RP_PLAIN, IN(x), "(scan w = $1 for i in 0 .. 3 { let e = sum(sin(w)^2)\n    next w - 0.1 * grad(e, w) })");
  }
}

/* One derivative within another, of several names, of loops, by parameters. */
static inline void rp_nested(RandomProgram *p) {
  const int x = rp_tame(p, rp_pick(p, 1, 1), 1.5), y = rp_tame(p, rp_alike(p, x), 1.5), n = p->types[x].dims[0];
  const RpType t = rp_with(p->types[x], 20), both = rp_joint(p, x, y, 20);
  switch (rp_below(p, 9)) {
    case 0: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    let g = grad(sum(sin(u) * u), u)\n    let h = grad(sum(g * cos(u)), u)\n    grad(sum(h * u), u) }"); break;
    case 1: rp_let(p, both, RP_PLAIN, IN(x, y), "{ let u = $1\n    let w = sin(u) + $2\n    let (a, b) = grad(sum(u * w^2), (u, w))\n    a * b }"); break;
    case 2: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    let along = jvp(sum(u^3), u, cos(u))\n    grad(along, u) / 3 }"); break;
    case 3: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    jvp(grad(sum(sin(u)) * sum(u), u), u, u) }"); break;
    case 4: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    tanh(grad(sum(iterate z = u while sum(z^2) > 0.4 max %d { next 0.6 * sin(z) + 0.1 * u }), u)) }", 2 + rp_below(p, 5)); break;
    case 5: rp_let(p, t, RP_PLAIN, IN(x), "{ let u = $1\n    let g = grad(sum(scan h = u for i in 0 .. 6 { next tanh(h) + 0.2 * u }), u)\n    tanh(grad(sum(g^2), u)) }"); break;
    case 6:
      if (n > 5) return;
      rp_let(p, rp_float(t.batched, 20, 3, SHAPE(n, n, n)), RP_PLAIN, IN(x), "{ let u = $1\n    let j = jacobian(u * sum(u^2), u)\n    jacobian(j, u) }");
      break;
    case 7: {
      const bool each = p->blocks == 1 && rp_below(p, 2);
      const int own = rp_param(p, 1, SHAPE(n));
      if (!t.batched) return;
      const RpType g = rp_float(each, 4, 1, SHAPE(n));
      rp_let(p, g, 0, IN(x, own), "grad(sum(sin($1 * $2)), $2%s)", each ? ", per = example" : "");
      break;
    }
    default: {
      const int f = rp_instance(p, "dense(2)");
      if (n <= 5) rp_let(p, rp_float(t.batched, 9, 2, SHAPE(2, n)), 0, IN(x, f), "{ let u = $1\n    jacobian(tanh($2(u)), u) }");
    }
  }
}
