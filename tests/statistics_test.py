#!/usr/bin/env python3
"""Compare the statistics of reports with SciPy's on 1,000 random data sets each, and, if it is installed, with statsmodels'.

The references are other algorithms where SciPy has none: sums over all sign patterns, or the definition written out. What is computed by
resampling is compared with SciPy's own resamples: the part of them that lies below our bound is binomial around the bound's level.
tools/statistics_study.py simulates coverage and false positives, which takes longer, and compares with R's packages.
"""
import json
import math
import os
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np
from scipy import optimize, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import golden_statistics as reference  # noqa: E402
import result_tables  # noqa: E402
import student  # noqa: E402

SETS = 1000
NAN = None  # in a list of numbers


def ask(calls):
    """Return what the functions of Grapes return, see statistics.cpp."""
    def plain(value):
        return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value

    lines = "".join(json.dumps(call, default=plain) + "\n" for call in calls)
    done = subprocess.run([os.environ["GRAPES_STATISTICS"]], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def samples(random, least=2, most=40):
    """Return random data sets of different sizes, scales and shapes."""
    for i in range(SETS):
        n = random.integers(least, most + 1)
        x = [random.standard_normal, random.standard_exponential, random.standard_cauchy][i % 3](n)
        yield 10.0 ** random.integers(-6, 7) * (x + random.integers(-2, 3))


def close(ours, theirs, scale=1.0):
    np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), rtol=1e-10, atol=1e-10 * scale)


def bounded(x, low, high, confidence):
    """Student's t interval on a logit or logarithmic scale: derivatives and inverses are numerical, not ours."""
    def g(m):
        return (math.log(m - low) if low is not None else 0) - (math.log(high - m) if high is not None else 0)

    m = np.mean(x)
    slope = (1 / (m - low) if low is not None else 0) + (1 / (high - m) if high is not None else 0)
    half = student.quantile(0.5 + confidence / 2, len(x) - 1) * stats.sem(x) * slope
    width = 1.0 if low is None or high is None else high - low
    ends = []
    for target in (g(m) - half, g(m) + half):
        if low is not None and high is not None:
            ends.append(low + width * (1 / (1 + math.exp(-target))))
        else:
            ends.append(low + math.exp(target) if low is not None else high - math.exp(-target))
    return ends


class OneSampleTest(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(1)

    def test_mean_and_standard_deviation(self):
        sets = list(samples(self.random, least=1))
        for x, mean, sd in zip(sets, ask(["mean", x] for x in sets), ask(["standard_deviation", x] for x in sets)):
            close(mean, np.mean(x), np.abs(x).max())
            close(sd, np.std(x, ddof=1) if len(x) > 1 else 0, np.abs(x).max())

    def test_interval(self):
        sets = [(x, self.random.choice([0.5, 0.8, 0.9, 0.95, 0.99])) for x in samples(self.random)]
        for (x, confidence), ours in zip(sets, ask(["mean_interval", x, None, None, c] for x, c in sets)):
            close(ours, student.interval(x, confidence), np.abs(x).max())

    def test_interval_between_bounds(self):
        sets = []
        for i in range(SETS):
            low, high = [(0, 1), (-1, 1), (0, None), (None, 1), (None, 0)][i % 5]
            a, b = 10 ** self.random.uniform(-1, 2, 2)
            x = self.random.beta(a, b, self.random.integers(2, 21))
            sets.append((-x if high == 0 else 2 * x - 1 if low == -1 else x, low, high, 0.95))
        for one, ours in zip(sets, ask(["mean_interval", *one] for one in sets)):
            close(ours, bounded(*one))

    def test_prediction_interval_of_a_published_number(self):
        for x in samples(self.random, most=30):
            runs = int(self.random.integers(1, 6))
            low, high = result_tables.prediction_interval(np.mean(x), np.std(x, ddof=1), len(x), runs)
            # A further mean lies at an end if the t test of two samples with one variance is at its level.
            for end in (low, high):
                t = (end - np.mean(x)) / (np.std(x, ddof=1) * math.sqrt(1 / runs + 1 / len(x)))
                self.assertAlmostEqual(2 * stats.t.sf(abs(t), len(x) - 1), 0.05, delta=1e-10)


class PairsTest(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(2)

    def test_wilcoxon_without_ties(self):
        sets = [self.random.permutation(np.arange(1, n + 1)) * self.random.choice([-1, 1], n) * 0.37
                for n in self.random.integers(1, 26, SETS)]
        for d, p in zip(sets, ask(["wilcoxon", d] for d in sets)):
            close(p, stats.wilcoxon(d, method="exact").pvalue)

    def test_wilcoxon_with_ties_and_zeros(self):
        sets = [np.round(self.random.normal(0.3, 1, n) * 2) / 200 for n in self.random.integers(1, 11, SETS)]
        for d, p in zip(sets, ask(["wilcoxon", d] for d in sets)):
            if not d.any():
                self.assertIsNone(p)
                continue
            signed = stats.rankdata(np.abs(d[d != 0])) * np.sign(d[d != 0])
            close(p, stats.permutation_test((signed,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
                  if len(signed) > 1 else 1)

    def test_wilcoxon_of_many_pairs(self):
        sets = [np.round(self.random.normal(0.2, 1, n), self.random.integers(1, 4)) for n in self.random.integers(40, 120, SETS)]
        for d, p in zip(sets, ask(["wilcoxon", d] for d in sets)):
            close(p, stats.wilcoxon(d, method="approx", correction=False, zero_method="wilcox").pvalue)

    def test_smallest_p(self):
        close(ask(["smallest_p", n] for n in range(1, 26)),
              [stats.wilcoxon(np.arange(1.0, n + 1), method="exact").pvalue for n in range(1, 26)])

    def test_holm(self):
        sets = [np.round(self.random.beta(0.3, 1, self.random.integers(1, 13)), self.random.integers(1, 6)) for _ in range(SETS)]
        for p, ours in zip(sets, ask(["holm", p] for p in sets)):
            # The definition: the smallest level at which the step-down test rejects.
            step = [min(1, (p >= one).sum() * one) for one in p]
            close(ours, [max(s for s, other in zip(step, p) if other <= one) for one in p])

    def test_equivalence(self):
        sets = [(d, 10 ** self.random.uniform(-2, 1) * np.abs(d).max()) for d in samples(self.random)]
        for (d, margin), p in zip(sets, ask(["equivalence", *one] for one in sets)):
            close(p, reference.equivalence(d, margin))

    def test_bonferroni(self):
        sets = self.random.integers([2, 1], [60, 30], (SETS, 2))
        for (pairs, m), ours in zip(sets, ask(["bonferroni_quantile", *one] for one in sets)):
            close(ours, student.quantile(1 - 0.025 / m, pairs - 1))

    def test_crossed_error(self):
        sets = []
        for _ in range(SETS):
            n, m = self.random.integers(2, 9), self.random.integers(2, 60)
            chance = self.random.dirichlet([1, 4, 1])
            sets.append(np.where(self.random.random(m) < 0.3, self.random.choice([-1, 0, 1], (1, m)),
                                 self.random.choice([-1, 0, 1], (n, m), p=chance)))
        for table, ours in zip(sets, ask(["crossed_error", one] for one in sets)):
            low, high = reference.crossed_intervals(table)[1]
            close(ours, (high - low) / 2 / student.quantile(0.975, len(table) - 1))


class CurvesTest(unittest.TestCase):
    def test_plateau_is_the_least_squares_fit(self):
        random = np.random.default_rng(3)
        curves = []
        for _ in range(SETS):
            e = np.arange(1.0, random.integers(4, 31))
            curves.append((e, random.uniform(0.2, 1) * e / (random.lognormal(0, 1.5) + e) + random.normal(0, 0.01, len(e))))
        fitted = ask(["plateau", np.column_stack(one)] for one in curves)
        self.assertGreater(sum(fit is not None for fit in fitted), 0.9 * SETS)
        for (e, y), fit in zip(curves, fitted):
            def rest(p):
                return p[0] * e / (abs(p[1]) + e) - y

            theirs = optimize.least_squares(rest, [y[-1], 1], xtol=1e-15, ftol=1e-15, gtol=1e-15)
            if fit is None:  # the best curve is at an end of the range of s: constant, or a straight line
                line = y - e * (e @ y) / (e @ e)
                self.assertLessEqual(min(np.sum((y - y.mean()) ** 2), line @ line), 2 * theirs.cost * (1 + 1e-4))
                continue
            a, s, rmse = fit
            # At the minimum the cost is flat: it is found to 1e-10, the parameters to the root of that.
            self.assertLessEqual(rmse, math.sqrt(2 * theirs.cost / len(e)) * (1 + 1e-10))
            g = e / (s + e)
            close([g @ rest([a, s]), 0 if s == 0 else (g * g / e) @ rest([a, s])], [0, 0], np.abs(y).sum())

    def test_epochs_to_a_target(self):
        random = np.random.default_rng(4)
        curves = [(np.column_stack([np.arange(1.0, 11), random.random(10)]), random.random()) for _ in range(SETS)]
        for (curve, target), ours in zip(curves, ask(["epochs_to", *one] for one in curves)):
            reached = curve[curve[:, 1] >= target, 0]
            self.assertEqual(ours, reached.min() if len(reached) else None)

    def test_measures_of_continual_learning(self):
        random = np.random.default_rng(5)
        sets = [(random.random((T, T)), random.random(T)) for T in random.integers(2, 12, SETS)]
        for (R, untrained), ours in zip(sets, ask(["transfer", *one] for one in sets)):
            own, last = np.diag(R), R[-1]
            close(ours, [last.mean(), own.mean(), (R[:-1, :-1].max(0) - last[:-1]).mean(), (last - own)[:-1].mean(),
                         (np.diag(R, 1) - untrained[1:]).mean()])


def of_levels(test, values, ends, levels, draws, resamples):
    """Check that bounds at given levels, from `draws` random numbers, are quantiles of other `resamples` within five standard errors.
    A bound may be any number of the level's flat part, so the levels below and at it are both looked at."""
    for end, level in zip(ends, levels):
        error = 5 * math.sqrt(level * (1 - level) * (1 / draws + 1 / resamples))
        tie = 1e-9 * max(1e-300, np.abs(values).max())
        test.assertLessEqual((values < end - tie).mean(), level + error)
        test.assertGreaterEqual((values <= end + tie).mean(), level - error)


class ResamplingTest(unittest.TestCase):
    """On fewer data sets; the study has all 1,000."""
    SETS, RESAMPLES = 25, 5000

    def setUp(self):
        self.random = np.random.default_rng(6)

    def tasks(self, decimals):
        return [np.round(self.random.normal(self.random.random(), 0.1, self.random.integers(3, 12)), decimals)
                for _ in range(self.random.integers(1, 5))]

    def test_interquartile_mean(self):
        sets = [self.tasks(self.random.integers(2, 6)) for _ in range(self.SETS)]
        for tasks, (value, *ends) in zip(sets, ask(["interquartile_mean", [list(t) for t in one]] for one in sets)):
            close(value, stats.trim_mean(np.concatenate(tasks), 0.25))
            drawn = np.concatenate([self.random.choice(task, (self.RESAMPLES, len(task))) for task in tasks], axis=1)
            of_levels(self, stats.trim_mean(drawn, 0.25, axis=1), ends, (0.025, 0.975), 10_000, self.RESAMPLES)

    def test_probability_of_improvement(self):
        def wins(x, y):
            return np.mean([(np.sign(a[..., :, None] - b[..., None, :]).mean((-1, -2)) + 1) / 2 for a, b in zip(x, y)], axis=0)

        sets = []
        for _ in range(self.SETS):
            x = self.tasks(self.random.integers(1, 4))
            sets.append((x, [np.round(np.append(self.random.permutation(task), task[0] + 0.05), 2) for task in x]))
        for (x, y), (value, *ends) in zip(sets, ask(["probability_of_improvement", [list(t) for t in x], [list(t) for t in y]]
                                                    for x, y in sets)):
            close(value, np.mean([stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(x, y)]))
            drawn = [[self.random.choice(task, (self.RESAMPLES, len(task))) for task in arm] for arm in (x, y)]
            of_levels(self, wins(*drawn), ends, (0.025, 0.975), 10_000, self.RESAMPLES)

    def test_simultaneous_quantile(self):
        sets = []
        for _ in range(self.SETS):
            m, n = self.random.integers(2, 7), self.random.integers(3, 13)
            sets.append(self.random.standard_normal((m, m)) @ self.random.standard_normal((m, n)))
        for d, c in zip(sets, ask(["simultaneous_quantile", one] for one in sets)):
            n = d.shape[1]
            x = self.random.multivariate_normal(np.zeros(len(d)), np.corrcoef(d), (self.RESAMPLES, n), method="eigh")
            largest = np.abs(math.sqrt(n) * x.mean(1) / x.std(1, ddof=1)).max(1)
            of_levels(self, largest, [c], [0.95], 20_000, self.RESAMPLES)


class SimulationTest(unittest.TestCase):
    """On a few simulated studies; tools/statistics_study.py has more."""
    def test_intervals_contain_the_mean_in_95_percent_of_cases(self):
        random = np.random.default_rng(10)
        for n in (5, 20):
            found = ask(["mean_interval", random.normal(3, 2, n), None, None, 0.95] for _ in range(4000))
            self.assertAlmostEqual(np.mean([low <= 3 <= high for low, high in found]), 0.95, delta=0.01)

    def test_reports_without_a_difference_seldom_find_one(self):
        random, arms, studies = np.random.default_rng(11), ("bp", "grapes", "uniform", "shuffled-fixed"), 200
        found = ask(["differences", {"scores": {arm: dict(enumerate(random.normal(0.5, 0.01, 5))) for arm in arms}, "smallest_effect": 0.1}]
                    for _ in range(studies))
        most = stats.binom.ppf(0.999, studies, 0.05)
        for control in (False, True):
            for holds in (lambda one: one["verdict"] in ("better", "worse", "negligible"), lambda one: one["p_holm"] < 0.05):
                self.assertLessEqual(sum(any(holds(one) for one in report if one["control"] == control) for report in found), most)

    def test_a_difference_as_large_as_the_smallest_effect_is_seldom_no_difference(self):
        random, studies = np.random.default_rng(12), 1000
        sets = [random.normal(0.3, 0.1, 8) for _ in range(studies)]
        rejected = sum(p < 0.05 for p in ask(["equivalence", d, 0.3] for d in sets))
        self.assertLessEqual(abs(rejected - 0.05 * studies), 4 * math.sqrt(0.05 * 0.95 * studies))


class EdgeCasesTest(unittest.TestCase):
    def test_one_number_has_no_interval_and_no_test(self):
        self.assertEqual(ask([["mean_interval", [0.5], 0, 1, 0.95], ["equivalence", [0.5], 1], ["crossed_error", [[1, 0]]]]),
                         [None] * 3)
        self.assertEqual(ask([["standard_deviation", [0.5]], ["wilcoxon", [0.5]]]), [0, 1])
        self.assertEqual(ask([["interquartile_mean", [[0.5]]], ["probability_of_improvement", [[2]], [[1]]]]),
                         [[0.5] * 3, [1] * 3])

    def test_equal_numbers_do_not_vary(self):
        for x in (0.1, 1 / 3, 1e-300, -7e300):  # sums of these are rounded
            self.assertEqual(ask([["mean", [x] * 7], ["standard_deviation", [x] * 7], ["mean_interval", [x] * 7, None, None, 0.95],
                                  ["interquartile_mean", [[x] * 7]]]), [x, 0, [x, x], [x, x, x]])

    def test_numbers_at_a_bound_but_for_rounding(self):
        below = np.nextafter(1, 0)
        for x in ([below, 1, 1, 1, 1], [1, 1, below]):
            (low, high), mean = ask([["mean_interval", x, 0, 1, 0.95], ["mean", x]])
            self.assertTrue(1 - 1e-15 <= low <= mean <= high <= 1, (low, mean, high))
        self.assertEqual(ask([["mean_interval", [0, 5e-324, 0], 0, 1, 0.95]]), [[0, 0]])

    def test_differences_that_are_zero_but_for_rounding_are_dropped(self):
        self.assertEqual(ask([["wilcoxon", [1e-17, 0.5, 0.3, -2e-17]], ["wilcoxon", [0, 0]], ["wilcoxon", []]]), [0.5, None, None])

    def test_what_is_not_finite_is_refused(self):
        calls = [["mean", [1, NAN]], ["mean", []], ["standard_deviation", [1, NAN]], ["mean_interval", [1, NAN], None, None, 0.95],
                 ["mean_interval", [0.5, 2], 0, 1, 0.95], ["wilcoxon", [NAN]], ["holm", [0.1, NAN]], ["plateau", [[1, 1], [2, NAN]]],
                 ["transfer", [[1, NAN], [1, 1]], [0, 0]], ["simultaneous_quantile", [[1, 2, NAN]]], ["equivalence", [1, NAN], 1],
                 ["interquartile_mean", [[1, NAN]]], ["probability_of_improvement", [[1]], [[NAN]]]]
        for call, answer in zip(calls, ask(calls)):
            self.assertIn("error", answer, call)

    def test_seeds_of_one_arm_alone_are_left_out(self):
        scores = {"bp": {1: 0.5, 2: 0.52, 4: 0.51}, "grapes": {1: 0.53, 2: 0.54, 3: 0.9, 4: 0.52}}
        one = ask([["differences", {"scores": scores}]])[0][0]
        self.assertEqual((one["seeds"], one["unpaired"]), ([1, 2, 4], 1))
        close(one["interval"], student.interval([0.03, 0.02, 0.01]))
        none = ask([["differences", {"scores": {"bp": {1: 0.5}, "grapes": {2: 0.6}}, "smallest_effect": 1}]])[0][0]
        self.assertEqual([none["n"], *(none.get(key) for key in ("interval", "simultaneous", "p", "verdict"))], [0] + 4 * [None])


class StatsmodelsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import statsmodels  # noqa: F401
        except ImportError:
            raise unittest.SkipTest("statsmodels is not installed; make test-python installs it") from None

    def test_holm(self):
        from statsmodels.stats.multitest import multipletests
        random = np.random.default_rng(7)
        sets = [random.beta(0.3, 1, random.integers(1, 13)) for _ in range(SETS)]
        for p, ours in zip(sets, ask(["holm", p] for p in sets)):
            close(ours, multipletests(p, method="holm")[1])

    def test_equivalence(self):
        from statsmodels.stats.weightstats import ttost_paired
        random = np.random.default_rng(8)
        sets = [(d, 10 ** random.uniform(-2, 1) * np.abs(d).max()) for d in samples(random)]
        for (d, margin), p in zip(sets, ask(["equivalence", *one] for one in sets)):
            close(p, ttost_paired(d, 0 * d, -margin, margin)[0])

    def test_prediction_interval(self):
        import statsmodels.api as sm
        for x in samples(np.random.default_rng(9), most=30):
            found = sm.OLS(x, np.ones(len(x))).fit().get_prediction([1.0]).conf_int(obs=True, alpha=0.05)[0]
            close(result_tables.prediction_interval(np.mean(x), np.std(x, ddof=1), len(x), 1), found, np.abs(x).max())


if __name__ == "__main__":
    unittest.main()
