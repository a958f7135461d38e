#!/usr/bin/env python3
"""`grapes aggregate` gives the numbers of rliable."""
import json
import pathlib
import sys

import numpy as np
from rliable import library, metrics

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
from program import main, ProgramTest  # noqa: E402

STUDIES = {"small": ["--train-limit", "200"], "middle": ["--train-limit", "500"], "noisy": ["--learning-rate", "0.02"]}
ARMS = ["bp", "grapes", "uniform"]
RESAMPLES = 2000  # of rliable; Grapes has 10,000


class AggregateTest(ProgramTest):
    def test_numbers_are_those_of_rliable(self):
        for name, options in STUDIES.items():
            self.good("compare", "--model", "mlp:8", "--epochs", "2", "--arms", ",".join(ARMS), "--seeds", "6", "--out",
                      name, "--quiet", *options)
        self.good("aggregate", *STUDIES, "--json", "all.json")
        self.ours = {one["arm"]: one for one in json.loads((self.folder / "all.json").read_text())["arms"]}
        # [runs, tasks] of each arm, read from the records
        self.scores = {arm: np.array([[self.last(f"{study}/arms/{arm}/seed-{seed}") for study in STUDIES]
                                      for seed in range(1, 7)]) for arm in ARMS}
        np.random.seed(1)
        self.check_interquartile_mean()
        self.check_probability_of_improvement()

    def last(self, run):
        return self.rows(run)[-1]["test_accuracy"]

    def assert_same_interval(self, ours, theirs):
        """Both are percentiles of resamples, drawn with different generators."""
        low, high = np.ravel(theirs)
        np.testing.assert_allclose(ours, [low, high], atol=0.1 * (high - low))

    def check_interquartile_mean(self):
        values, intervals = library.get_interval_estimates(
            self.scores, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=RESAMPLES)
        for arm in ARMS:
            self.assertAlmostEqual(self.ours[arm]["interquartile_mean"], values[arm][0], delta=1e-12)
            self.assert_same_interval(self.ours[arm]["interquartile_interval"], intervals[arm])

    def check_probability_of_improvement(self):
        for arm in ARMS[1:]:
            pair = {arm: (self.scores[arm], self.scores["bp"])}
            values, intervals = library.get_interval_estimates(
                pair, lambda x, y: np.array([metrics.probability_of_improvement(x, y)]), reps=RESAMPLES)
            self.assertAlmostEqual(self.ours[arm]["probability_of_improvement"], values[arm][0], delta=1e-12)
            self.assert_same_interval(self.ours[arm]["improvement_interval"], intervals[arm])


class TestExamplesTest(ProgramTest):
    def test_numpy_reads_which_test_examples_are_right(self):
        self.good("train", "--model", "mlp:8", "--epochs", "1", "--out", "run", "--quiet")
        packed = np.load(self.folder / "run/test-correct.npy")
        self.assertEqual(packed.dtype, np.uint8)
        right = np.unpackbits(packed)
        share = self.rows("run")[-1]["test_accuracy"]
        self.assertAlmostEqual(right.sum() / share, 8 * len(packed), delta=7.001)  # the last byte may be filled up


if __name__ == "__main__":
    main()
