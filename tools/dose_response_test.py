#!/usr/bin/env python3
"""Test dose_response.py on simulated experiments whose line is known."""
import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import dose_response as dose  # noqa: E402


def simulated(slope, random, between=0.0, noise=0.5, seeds=20):
    """Four experiments with four doses each."""
    points = []
    for experiment in "abcd":
        shift = random.normal(0, between)
        for x in (1.0, 3.0, 6.0, 10.0):
            points.append(dose.Point(experiment, f"{x}", x, dict(enumerate(slope * x + shift + random.normal(0, noise, seeds)))))
    return points


class Line(unittest.TestCase):
    def test_equals_weighted_least_squares_without_a_variance_between_experiments(self):
        x, y, v = np.array([0.0, 1, 2, 5]), np.array([1.0, 3, 4, 12]), np.array([1.0, 2, 1, 4])
        b, a = np.polyfit(x, y, 1, w=1 / np.sqrt(v))
        ours = dose.line(x, y, v, np.array(["a"] * 4))
        np.testing.assert_allclose(ours[:2], (a, b), rtol=1e-10)

    def test_finds_slope_and_variance(self):
        random = np.random.default_rng(3)
        slopes, variances = [], []
        for _ in range(40):
            points = simulated(0.2, random, between=1.0)
            x, groups = np.array([p.dose for p in points]), np.array([p.experiment for p in points])
            pairs = [list(p.pairs.values()) for p in points]
            y, v = np.mean(pairs, axis=1), np.var(pairs, axis=1, ddof=1) / 20
            _, b, between = dose.line(x, y, v, groups)
            slopes.append(b)
            variances.append(between)
        self.assertAlmostEqual(np.mean(slopes), 0.2, delta=0.005)
        self.assertAlmostEqual(np.mean(variances), 1.0, delta=0.4)

    def test_the_interval_covers_the_slope(self):
        random = np.random.default_rng(5)
        dose.RESAMPLES, before = 100, dose.RESAMPLES
        covered = 0
        for i in range(40):
            low, high = dose.fit(simulated(0.1, random), seed=i)["interval"]
            covered += low <= 0.1 <= high
        dose.RESAMPLES = before
        self.assertGreaterEqual(covered, 32)  # of 38 expected

    def test_verdicts(self):
        one = {"range": 10.0}
        self.assertEqual(dose.verdict([{**one, "interval": (0.01, 0.2)}, {**one, "interval": (0.02, 0.3)}]), "responsibility matters")
        self.assertEqual(dose.verdict([{**one, "interval": (-0.02, 0.02)}, {**one, "interval": (-0.01, 0.03)}]), "responsibility does not matter")
        self.assertEqual(dose.verdict([{**one, "interval": (0.01, 0.2)}, {**one, "interval": (-0.1, 0.3)}]), "not resolved")


if __name__ == "__main__":
    unittest.main()
