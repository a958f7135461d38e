#!/usr/bin/env python3
"""The golden numbers in src/grapes/report/statistics_test.cpp, computed by SciPy or, where SciPy has no exact answer
(ties), by going through all sign patterns. Run it and compare when a test's input changes."""

import itertools

import numpy as np
from scipy import optimize, stats


def wilcoxon_by_enumeration(differences):
    d = np.array([x for x in differences if x != 0])
    ranks = stats.rankdata(np.round(np.abs(d), 12))
    sums = [sum(r for r, s in zip(ranks, signs) if s) for signs in itertools.product([0, 1], repeat=len(d))]
    w = ranks[d > 0].sum()
    sums = np.array(sums)
    return min(1.0, 2 * min((sums <= w + 1e-9).mean(), (sums >= w - 1e-9).mean()))


def show(name, value):
    print(f"{name:28s}", np.array2string(np.asarray(value, dtype=float), precision=17, separator=", "))


def main():
    scores = [0.8812, 0.8794, 0.8843, 0.8801, 0.8825]
    show("mean", np.mean(scores))
    show("sd", np.std(scores, ddof=1))
    show("interval 95", stats.t.interval(0.95, len(scores) - 1, np.mean(scores), stats.sem(scores)))
    show("interval 99", stats.t.interval(0.99, len(scores) - 1, np.mean(scores), stats.sem(scores)))

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
