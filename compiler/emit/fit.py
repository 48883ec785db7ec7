#!/usr/bin/env python3
"""Writes math_tables.h: the polynomials of the elementary functions. Usage: fit.py > math_tables.h (needs mpmath).

Each is a minimax fit by Remez exchange in 50 digits: max |weight(x) (f(x) - sum c_p x^p)| over [a, b], with a weight
that makes the error relative to the function that the polynomial serves. Coefficients are then rounded to the format one
by one, lowest order first, and the others fitted again after each. The comments give the error before and after."""
import struct
import textwrap
from mpmath import (asin, atan, cbrt, cos, erf, erfc, exp, expm1, log, lu_solve, matrix, mp, mpf, nstr, pi,
                    sin, sinh, sqrt, tanh)

mp.dps = 50


def round32(x):
    return mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def round64(x):
    return mpf(float(x))


def remez(values, weights, grid, powers, a, b):
    """Coefficients, largest error. `values` and `weights` are on `grid`."""
    n = len(powers)
    step = (b - a) / (len(grid) - 1)
    picks = [round(((1 - cos(pi * (i + mpf(1) / 2) / (n + 1))) / 2) * (len(grid) - 1)) for i in range(n + 1)]
    picks = [int(p) for p in picks]
    best = None
    for _ in range(40):
        m, r = matrix(n + 1, n + 1), matrix(n + 1, 1)
        for i, k in enumerate(picks):
            for j, p in enumerate(powers):
                m[i, j] = grid[k] ** p
            m[i, n] = (-1) ** i / weights[k]
            r[i] = values[k]
        s = lu_solve(m, r)
        c = [s[j] for j in range(n)]
        errors = []
        for x, g, w in zip(grid, values, weights):
            p = mpf(0)
            q = powers[-1]
            for cj, pj in zip(reversed(c), reversed(powers)):
                p = p * x ** (q - pj) + cj
                q = pj
            errors.append(w * (g - p * x ** powers[0]))
        largest = max(abs(v) for v in errors)
        if best is None or largest < best[1]:
            best = (c, largest)
        runs, i = [], 0
        while i < len(errors):
            j = i
            while j < len(errors) and (errors[j] >= 0) == (errors[i] >= 0):
                j += 1
            runs.append(max(range(i, j), key=lambda k: abs(errors[k])))
            i = j
        while len(runs) > n + 1:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        if len(runs) < n + 1 or largest < abs(s[n]) * (1 + mpf(10) ** -2):
            break
        picks = runs
    return best


def fit(name, f, weight, count, a, b, rounding, first=0, exact=None):
    """count coefficients of x^first .. ; `exact`: values given beforehand, by power."""
    a, b = mpf(a), mpf(b)
    size = 40 * count + 1
    grid = [a + (b - a) * (1 - cos(pi * i / (size - 1))) / 2 for i in range(size)]
    values, weights = [f(x) for x in grid], [weight(x) for x in grid]
    powers = list(range(first, first + count))
    done = dict(exact or {})
    ideal = None
    for p in powers:
        if p in done:
            continue
        free = [q for q in powers if q not in done]
        rest = [v - sum(c * x**q for q, c in done.items()) for v, x in zip(values, grid)]
        c, largest = remez(rest, weights, grid, free, a, b)
        ideal = ideal or largest
        done[p] = rounding(c[0])
        if rounding is round64 and len(free) < count - 4:  # beyond the first few, refitting changes nothing
            for q, v in zip(free, c):
                done[q] = rounding(v)
            break
    error = max(abs(w * (v - sum(c * x**q for q, c in done.items()))) for v, w, x in zip(values, weights, grid))
    print(f"/* on [{nstr(a, 4)}, {nstr(b, 4)}]: {nstr(ideal, 2)} exact, {nstr(error, 2)} rounded */")
    text = ", ".join(float(done[p]).hex().replace("0000000p", "p") for p in powers)
    print(f"static const double c_{name}[] = {{")
    print(textwrap.fill(text, 118, initial_indent="  ", subsequent_indent="  ") + "};\n", flush=True)


tiny = mpf(10) ** -20


def odd(f, at_zero):  # (f(x) - x) / x^3 as a function of x^2
    return lambda t: at_zero if t < tiny else (f(sqrt(t)) / sqrt(t) - 1) / t


def series(f, at_zero):
    return lambda x: mpf(at_zero) if abs(x) < tiny else f(x)


def main():
    print("/* math_tables.h: coefficients, lowest order first. Written by fit.py, which says how they were found. */")
    print("#ifndef GRADC_MATH_TABLES_H\n#define GRADC_MATH_TABLES_H\n")
    half = mpf(1) / 2
    h = log(mpf(2)) / 2 * mpf("1.001")
    print("/* exp(x) = 1 + x + x^2 q(x) */")
    q = series(lambda x: (expm1(x) - x) / x**2, half)
    fit("exp32", q, lambda x: x**2 / exp(x) + tiny, 5, -h, h, round32)
    fit("exp64", q, lambda x: x**2 / exp(x) + tiny, 10, -h, h, round64)
    print("/* log(1 + x) = x - x^2/2 + x^3 p(x) */")
    lo, hi = sqrt(half) - 1, sqrt(mpf(2)) - 1
    third = series(lambda x: (log(1 + x) - x + x**2 / 2) / x**3, mpf(1) / 3)
    fit("log32", third, lambda x: x**2 + mpf(10) ** -6, 9, lo, hi, round32)
    print("/* log(1 + x) = x + x^2 q(x) */")
    second = series(lambda x: (log(1 + x) - x) / x**2, -half)
    fit("softplus32", second, lambda x: x**2 / log(1 + x) if x else tiny, 9, 0, 1, round32)
    print("/* log((1 + s) / (1 - s)) = 2 s + s^3 p(s^2) */")
    at = lambda t: (log((1 + sqrt(t)) / (1 - sqrt(t))) / sqrt(t) - 2) / t
    top = (hi / (2 + hi)) ** 2 * mpf("1.001")
    fit("log64", series(at, mpf(2) / 3), lambda t: t + mpf(10) ** -6, 7, 0, top, round64)
    print("/* the same with 2/3 apart: 2 s + s^3 (2/3 + s^2 p(s^2)) */")
    fifth = lambda t: mpf(2) / 5 if t < mpf(10) ** -12 else (at(t) - mpf(2) / 3) / t
    fit("log64_pow", fifth, lambda t: t**2 + mpf(10) ** -8, 8, 0, top, round64)
    print("/* tanh(x) = x + x^3 p(x^2) */")
    th = odd(tanh, -mpf(1) / 3)
    fit("tanh32", th, lambda t: t + mpf(10) ** -3, 7, 0, mpf("0.91") ** 2, round32)
    fit("tanh64", th, lambda t: t + mpf(10) ** -3, 14, 0, mpf("0.91") ** 2, round64)
    print("/* erf(x) = x + x p(x^2) */")
    er = series(lambda t: erf(sqrt(t)) / sqrt(t) - 1, 2 / sqrt(pi) - 1)
    fit("erf32", er, lambda t: 1 / (1 + er(t)), 7, 0, mpf("1.01") ** 2, round32)
    fit("erf64", er, lambda t: 1 / (1 + er(t)), 12, 0, mpf("1.01") ** 2, round64)
    print("/* exp(x^2) erfc(x) as a function of x - 1 */")
    fit("erfcx32", lambda t: exp((1 + t) ** 2) * erfc(1 + t), lambda t: exp(-((1 + t) ** 2)), 9, mpf("-0.02"), mpf("3.0"), round32)
    print("/* exp(x^2) erfc(x) (1 + 2 x) as a function of (x - 3) / (x + 3) */")
    def ex(q):
        x = 3 * (1 + q) / (1 - q)
        return exp(x * x) * erfc(x) * (1 + 2 * x)
    k0, k1 = (mpf("0.74") - 3) / (mpf("0.74") + 3), (mpf("27.3") - 3) / (mpf("27.3") + 3)
    fit("erfcx64", ex, lambda q: 1 / ex(q), 21, k0, k1, round64)
    quarter = pi / 4 * mpf("1.0005")
    print("/* sin(x) = x + x^3 p(x^2); cos(x) = 1 - x^2/2 + x^4 q(x^2) */")
    sn = lambda t: -mpf(1) / 6 + t / 120 if t < mpf(10) ** -12 else (sin(sqrt(t)) / sqrt(t) - 1) / t
    cs = lambda t: mpf(1) / 24 - t / 720 if t < mpf(10) ** -12 else (cos(sqrt(t)) - 1 + t / 2) / t**2
    fit("sin32", sn, lambda t: t + mpf(10) ** -3, 3, 0, quarter**2, round32)
    fit("cos32", cs, lambda t: t**2 + mpf(10) ** -3, 3, 0, quarter**2, round32)
    fit("sin64", sn, lambda t: t + mpf(10) ** -3, 6, 0, quarter**2, round64)
    fit("cos64", cs, lambda t: t**2 + mpf(10) ** -3, 6, 0, quarter**2, round64)
    print("/* atan(x) = x + x^3 p(x^2); asin likewise; sinh likewise */")
    fit("atan64", odd(atan, -mpf(1) / 3), lambda t: t + mpf(10) ** -3, 20, 0, 1, round64)
    fit("asin64", odd(asin, mpf(1) / 6), lambda t: t + mpf(10) ** -3, 13, 0, mpf("0.2505"), round64)
    fit("sinh64", odd(sinh, mpf(1) / 6), lambda t: t + mpf(10) ** -3, 7, 0, mpf("1.01") ** 2, round64)
    print("/* x^(-1/3) on [1, 8) */")
    fit("cbrt64", lambda x: 1 / cbrt(x), lambda x: cbrt(x), 7, 1, 8, round64)
    print("#endif")


if __name__ == "__main__":
    main()
