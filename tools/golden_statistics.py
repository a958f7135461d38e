#!/usr/bin/env python3
"""Compute the golden numbers in src/grapes/report/statistics_test.cpp with SciPy or, where SciPy is not exact
(ties), by enumerating all sign patterns. Run it and compare when the input of a test changes."""

import itertools

import numpy as np
from scipy import optimize, special, stats


def wilcoxon_by_enumeration(differences):
    d = np.array([x for x in differences if x != 0])
    ranks = stats.rankdata(np.round(np.abs(d), 12))
    sums = [sum(r for r, s in zip(ranks, signs) if s) for signs in itertools.product([0, 1], repeat=len(d))]
    w = ranks[d > 0].sum()
    sums = np.array(sums)
    return min(1.0, 2 * min((sums <= w + 1e-9).mean(), (sums >= w - 1e-9).mean()))


def bounded_interval(x):
    """Student's t interval of the mean of numbers in [0, 1] on the logit scale, by the delta method."""
    mean = np.mean(x)
    half = stats.t.ppf(0.975, len(x) - 1) * stats.sem(x) / (mean * (1 - mean))
    return special.expit([special.logit(mean) - half, special.logit(mean) + half])


def coverage(trials=100_000):
    """How often the plain and the bounded 95 % interval contain the mean of a Beta distribution."""
    random = np.random.default_rng(1)
    for mean, sd in [(0.8, 0.02), (0.9, 0.01), (0.97, 0.01), (0.99, 0.01)]:
        k = mean * (1 - mean) / sd**2 - 1
        for n in (2, 3, 5, 10):
            x = random.beta(mean * k, (1 - mean) * k, (trials, n))
            m, half = x.mean(1), stats.t.ppf(0.975, n - 1) * x.std(1, ddof=1) / np.sqrt(n)
            m = np.clip(m, 1e-15, 1 - 1e-15)
            plain = np.abs(m - mean) <= half
            bounded = np.abs(special.logit(m) - special.logit(mean)) <= half / (m * (1 - m))
            print(f"coverage of {mean} +- {sd}, n = {n}: plain {plain.mean():.3f}, bounded {bounded.mean():.3f}")


def show(name, value):
    print(f"{name:28s}", np.array2string(np.asarray(value, dtype=float), precision=17, separator=", "))


def main():
    scores = [0.8812, 0.8794, 0.8843, 0.8801, 0.8825]
    show("mean", np.mean(scores))
    show("sd", np.std(scores, ddof=1))
    show("interval 95", stats.t.interval(0.95, len(scores) - 1, np.mean(scores), stats.sem(scores)))
    show("interval 99", stats.t.interval(0.99, len(scores) - 1, np.mean(scores), stats.sem(scores)))

    show("bounded interval of 2", bounded_interval([0.905, 0.921]))
    show("bounded interval of 5", bounded_interval(scores))
    log_mean, half = np.log(0.2), stats.t.ppf(0.975, 1) * stats.sem([0.1, 0.3]) / 0.2
    show("interval above 0", np.exp([log_mean - half, log_mean + half]))
    coverage()

    untied = [0.3, -0.1, 0.55, 0.42, 0.27, -0.05, 0.61, 0.19]
    show("wilcoxon untied", stats.wilcoxon(untied, mode="exact").pvalue)
    show("  by enumeration", wilcoxon_by_enumeration(untied))
    show("wilcoxon ties and zeros", wilcoxon_by_enumeration([0.01, 0.01, -0.01, 0.02, 0.03, 0.0, 0.02, -0.02, 0.0, 0.05]))
    k = np.arange(30)
    many = np.round(np.sin(1.0 + 0.7 * k) + 0.3, 1)  # 30 differences with ties: the normal approximation
    show("wilcoxon normal", stats.wilcoxon(many, mode="approx", correction=False, zero_method="wilcox").pvalue)

    p = np.array([0.01, 0.04, 0.03, 0.005])
    order = np.argsort(p)
    corrected = np.empty(4)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * (4 - np.arange(4))))
    show("holm", corrected)

    e = np.arange(1, 11.0)
    noisy = 0.9 * e / (0.35 + e) + 0.004 * np.sin(3 * e)
    model = lambda e, a, s: a * e / (s + e)
    fitted, _ = optimize.curve_fit(model, e, noisy, p0=[1, 1], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    show("plateau A, s", fitted)
    show("plateau rmse", np.sqrt(np.mean((noisy - model(e, *fitted)) ** 2)))


if __name__ == "__main__":
    main()
