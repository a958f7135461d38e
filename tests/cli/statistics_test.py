#!/usr/bin/env python3
"""Verdicts of comparisons, and arms over several data sets."""
import json

from program import main, ProgramTest

SMALL = ["--model", "mlp:16", "--epochs", "2", "--quiet"]


class Statistics(ProgramTest):
    def compare(self, name, *more):
        self.good("compare", *SMALL, "--arms", "bp,grapes,uniform", "--seeds", "3", "--out", name, *more)

    def test_a_smallest_effect_gives_verdicts(self):
        self.compare("a", "--smallest-effect", "5")
        summary = json.loads((self.folder / "a/summary.json").read_text())
        self.assertAlmostEqual(summary["smallest_effect"], 0.05)
        verdicts = {"better", "worse", "negligible", "no difference", "not resolved"}
        for one in summary["conditions"][0]["differences"]:
            self.assertEqual(one["verdict"] in verdicts, one["measure"] == "test_accuracy", one)
            if one["measure"] == "test_accuracy":  # the digits are classes, so runs record which are right
                self.assertLessEqual(one["crossed"][0], one["interval"][0] + 1e-12)
                self.assertGreaterEqual(one["crossed"][1], one["interval"][1] - 1e-12)
        again = self.good_json("report", "a", "--out", "again")
        self.assertEqual(again["conditions"], summary["conditions"])
        other = self.good_json("report", "a", "--smallest-effect", "1", "--out", "other")
        self.assertAlmostEqual(other["smallest_effect"], 0.01)
        self.assert_refused(2, "--smallest-effect", "report", "a", "--smallest-effect", "0")

    def test_studies_are_aggregated(self):
        self.compare("a")
        self.compare("b", "--train-limit", "300")
        text = self.good("aggregate", "a", "b", "--json", "all.json")
        self.assertIn("interquartile mean", text)
        numbers = json.loads((self.folder / "all.json").read_text())
        self.assertEqual([one["arm"] for one in numbers["arms"]], ["bp", "grapes", "uniform"])
        self.assertEqual(numbers["arms"][0]["n"], [3, 3])
        self.assertIsNone(numbers["arms"][0]["probability_of_improvement"])
        for one in numbers["arms"][1:]:
            low, high = one["improvement_interval"]
            self.assertTrue(0 <= low <= one["probability_of_improvement"] <= high <= 1, one)
        self.assertEqual(text, self.good("aggregate", "a", "b"))  # random numbers have a fixed seed
        self.assert_refused(2, "at least two studies", "aggregate", "a")
        self.assert_refused(3, "need the arm", "aggregate", "a/arms/bp", "b/arms/grapes")


if __name__ == "__main__":
    main()
