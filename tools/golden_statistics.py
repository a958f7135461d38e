#!/usr/bin/env python3
"""Compute the golden numbers in src/grapes/report/statistics_test.cpp and inference_test.cpp with SciPy or, where SciPy is not exact
(ties), by enumerating all sign patterns. Run it and compare when the input of a test changes."""

import itertools

import numpy as np
from scipy import optimize, special, stats

import student


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


AGGREGATED = [[0.91, 0.93, 0.92, 0.95], [0.52, 0.57, 0.55], [0.71, 0.78, 0.71, 0.74, 0.55]]


def comparisons(m, n):
    """Differences of m comparisons with n pairs, as in inference_test.cpp."""
    k, i = np.arange(m)[:, None], np.arange(n)[None, :]
    return np.round(0.1 * np.sin(1 + 1.3 * i + 0.9 * k) + 0.08 * np.cos(2.1 * i * i) + 0.05 * k, 3)


def max_t(correlation, n, draws, random, confidence=0.95):
    """The quantile of max |T| of n pairs of normal differences, and the standard error of this simulation."""
    size, largest = max(1, 10_000_000 // (n * len(correlation))), []
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    while len(largest) < draws:
        x = random.standard_normal((min(size, draws - len(largest)), n, len(correlation))) @ root.T
        largest.extend(np.abs(np.sqrt(n) * x.mean(1) / x.std(1, ddof=1)).max(1))
    c = np.quantile(largest, confidence)
    density = (np.abs(np.array(largest) - c) < 0.05 * c).mean() / (0.1 * c)
    return c, np.sqrt(confidence * (1 - confidence) / draws) / density


def max_multivariate_t(correlation, n, confidence=0.95):
    """The same if all comparisons have one standard deviation (Hothorn, Bretz and Westfall 2008)."""
    def excess(c):
        limit = np.full(len(correlation), c)
        return stats.multivariate_t.cdf(limit, shape=correlation, df=n - 1, lower_limit=-limit, maxpts=1_000_000,
                                        random_state=1) - confidence
    return optimize.brentq(excess, 1.5, 20, xtol=1e-4)


def simultaneous_coverage(trials=1000, draws=2000):
    """How often simultaneous 95 % intervals contain all true differences of m arms from one baseline."""
    random = np.random.default_rng(1)
    for n, m in [(3, 4), (4, 4), (5, 4), (5, 12), (10, 4), (10, 12), (18, 8)]:
        hits = np.zeros(4)
        for _ in range(trials):
            scores = random.standard_normal((m + 1, n))
            d = scores[1:] - scores[0]
            largest = np.abs(np.sqrt(n) * d.mean(1) / d.std(1, ddof=1)).max()
            g = random.standard_normal((draws, n)) @ ((d - d.mean(1, keepdims=True)) / d.std(1, keepdims=True)).T
            g /= np.sqrt(n * random.chisquare(n - 1, (draws, 1)) / (n - 1))
            hits += largest <= np.array([max_t(np.corrcoef(d), n, draws, random)[0],
                                         np.quantile(np.abs(g).max(1), 0.95),
                                         stats.t.ppf(1 - 0.025 / m, n - 1), stats.t.ppf(0.975, n - 1)])
        print(f"simultaneous coverage, {n} pairs of {m} arms: max-t {hits[0] / trials:.3f}, multivariate t "
              f"{hits[1] / trials:.3f}, Bonferroni {hits[2] / trials:.3f}, each alone {hits[3] / trials:.3f}")


def equivalence(d, margin):
    """Two one-sided t tests; statsmodels.stats.weightstats.ttost_paired(d, 0 * d, -margin, margin) has the same p."""
    return max(stats.ttest_1samp(d, -margin, alternative="greater").pvalue,
               stats.ttest_1samp(d, margin, alternative="less").pvalue)


def examples(n, m):
    """Differences of n seeds on m test examples, as in inference_test.cpp."""
    i, j = np.arange(n)[:, None], np.arange(m)[None, :]
    return np.where(j * j % 5 == 0 * i, 1, np.where((i + j) % 4 == 0, -1, 0))


def crossed_intervals(table):
    """Intervals of the mean of a table over its rows, over rows and columns, and over both by the pigeonhole bootstrap."""
    n, m = table.shape
    e = table - table.mean()
    rows, columns, rest = e.mean(1), e.mean(0), e - e.mean(1, keepdims=True) - e.mean(0)
    of_rows = (rows**2).sum() / (n * (n - 1))
    mean_square = n * (columns**2).sum() / (m - 1) - (rest**2).sum() / ((n - 1) * (m - 1))
    both = of_rows + max(0, mean_square) / (n * m)
    pigeonhole = of_rows + (columns**2).sum() / m**2 + (e**2).sum() / (n * m) ** 2
    return [table.mean() + student.quantile(0.975, n - 1) * np.array([-1, 1]) * np.sqrt(v) for v in (of_rows, both, pigeonhole)]


def crossed_coverage(trials=2000, n=10, m=2000):
    """How often these intervals contain a true difference of 0. Two runs differ on an example with a probability of its
    own, and some seeds and examples favor one arm."""
    random = np.random.default_rng(1)
    for of_examples in (0.0, 0.2, 0.4):
        hits = np.zeros(3)
        for _ in range(trials):
            differs = random.random((n, m)) < random.beta(0.1, 1, m)
            favor = 0.5 + 0.02 * random.standard_normal((n, 1)) + of_examples * random.choice([-1, 1], m)
            table = np.where(differs, np.where(random.random((n, m)) < favor, 1, -1), 0)
            hits += [low <= 0 <= high for low, high in crossed_intervals(table)]
        print(f"coverage, {n} seeds and {m} examples that favor an arm by {of_examples}: over seeds "
              f"{hits[0] / trials:.3f}, over both {hits[1] / trials:.3f}, pigeonhole {hits[2] / trials:.3f}")


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
    show("wilcoxon untied", stats.wilcoxon(untied, method="exact").pvalue)
    show("  by enumeration", wilcoxon_by_enumeration(untied))
    show("wilcoxon ties and zeros", wilcoxon_by_enumeration([0.01, 0.01, -0.01, 0.02, 0.03, 0.0, 0.02, -0.02, 0.0, 0.05]))
    k = np.arange(30)
    many = np.round(np.sin(1.0 + 0.7 * k) + 0.3, 1)  # 30 differences with ties: the normal approximation
    show("wilcoxon normal", stats.wilcoxon(many, method="approx", correction=False, zero_method="wilcox").pvalue)

    p = np.array([0.01, 0.04, 0.03, 0.005])
    order = np.argsort(p)
    corrected = np.empty(4)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * (4 - np.arange(4))))
    show("holm", corrected)

    random = np.random.default_rng(1)
    for m, n in [(3, 6), (5, 4), (8, 18), (3, 60)]:
        d = comparisons(m, n)
        c, error = max_t(np.corrcoef(d), n, 1_000_000, random)
        print(f"max-t of {m} comparisons, {n} pairs: {c:.4f} +- {error:.4f}")
    show("  of 3, 60, by multivariate t", max_multivariate_t(np.corrcoef(d), 60))
    simultaneous_coverage()

    show("equivalence", equivalence(np.array([0.1, -0.2, 0.3, 0.05, -0.1, 0.15]), 0.3))
    show("equivalence, outside", equivalence(np.array([0.1, -0.2, 0.3, 0.05, -0.1, 0.15]) + 0.3, 0.3))
    for rows, columns in [(4, 7), (3, 8)]:
        show(f"crossed interval, {rows} x {columns}", crossed_intervals(examples(rows, columns))[1])
    crossed_coverage()

    tasks = [np.array(task) for task in AGGREGATED]
    show("interquartile mean", stats.trim_mean(np.concatenate(tasks), 0.25))
    show("P(improvement)", np.mean([stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
                                    for x, y in zip(tasks, tasks[1:])]))

    e = np.arange(1, 11.0)
    noisy = 0.9 * e / (0.35 + e) + 0.004 * np.sin(3 * e)
    model = lambda e, a, s: a * e / (s + e)
    fitted, _ = optimize.curve_fit(model, e, noisy, p0=[1, 1], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    show("plateau A, s", fitted)
    show("plateau rmse", np.sqrt(np.mean((noisy - model(e, *fitted)) ** 2)))


if __name__ == "__main__":
    main()
