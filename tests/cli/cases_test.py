#!/usr/bin/env python3
"""Reads the files that people bring: shared/cases in GRAPES_CASES, or beside the checkout. Each of its README's rows is a test."""
import os
import pathlib
import re
import unittest

from program import ProgramTest, main

CASES = pathlib.Path(os.environ.get("GRAPES_CASES") or pathlib.Path(__file__).resolve().parents[3] / "shared" / "cases")
TRAINED = ["--model", "mlp:32", "--epochs", "20", "--learning-rate", "0.1", "--batch-size", "16", "--quiet"]


def case(name):
    if not (CASES / name).exists():
        raise unittest.SkipTest(f"no {CASES / name}")
    return CASES / name


def counted(text):
    """Return class -> number of examples, and the total, from `grapes data show`."""
    rows = [line.split() for line in text.splitlines() if re.match(r"  \S", line) and not line.startswith("  note:")]
    counts = {row[0]: sum(map(int, row[1:])) for row in rows if row[0] != "class"}
    return counts, counts.pop("all")


class Tables(ProgramTest):
    SAME = {"no-header.data": [], "european.csv": [], "tabs.tsv": [], "comma-space.data": []}

    def test_dialects_are_detected(self):
        for name, options in self.SAME.items():
            with self.subTest(name):
                text = self.good("data", "show", case(f"tables/{name}"), *options)
                self.assertIn("classification, inputs 4 from", text)
                counts, total = counted(text)
                self.assertEqual((set(counts), total), ({"ash", "elm", "oak"}, 90))

    def test_all_dialects_give_the_same_network(self):
        weights = []
        for i, name in enumerate(self.SAME):
            result = self.good_json("train", "--data", case(f"tables/{name}"), *TRAINED, "--out", f"run{i}")
            weights.append(self.tensors(f"run{i}/checkpoints/last.safetensors"))
            self.assertGreater(result["last"]["train_accuracy"], 0.8, name)
        for one in weights[1:]:
            self.assertEqual(one, weights[0])

    def test_a_target_by_name_or_number(self):
        path = case("tables/semicolons.csv")
        for target in ("quality", "5"):
            text = self.good("data", "show", path, "--target", target)
            self.assertEqual(counted(text)[1], 90)
            self.assertEqual(set(counted(text)[0]), {"3", "4", "5"})
        self.assert_refused(2, ["qualty", "did you mean 'quality'"], "data", "show", path, "--target", "qualty")

    def test_digits_from_0_to_255_are_learned_without_an_option(self):
        path = case("tables/digits-0-to-255.csv.gz")
        done = self.run_program("train", "--data", path, "--out", "run", "--epochs", "20")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("normalize = pixels: numbers from 0 to 255 to 0 ... 1", done.stderr)
        accuracy = self.rows("run")[-1]["test_accuracy"]
        self.assertGreater(accuracy, 0.8)
        self.assertEqual(self.good_json("eval", "run", "--quiet")["accuracy"], accuracy)
        (predicted) = self.good_json("predict", "run", path, "--quiet")["examples"]
        self.assertEqual(len(predicted), 600)

    def test_missing_values(self):
        for name in ("missing-question-mark.csv", "missing-empty.csv"):
            path = case(f"tables/{name}")
            self.assert_refused(3, ["6 of 90 rows have missing values: 1 in 'length', 1 in 'width', 2 in 'stem', 2 in 'ring'",
                                    "line 9, column 'ring'", "set missing to drop, mean, median or most-common"],
                                "train", "--data", path, *TRAINED)
            self.assertEqual(counted(self.good("data", "show", path, "--missing", "drop"))[1], 84)
            for how in ("mean", "median", "most-common"):
                self.assertEqual(counted(self.good("data", "show", path, "--missing", how))[1], 90)
        self.good("train", "--data", case("tables/missing-empty.csv"), "--missing", "mean", *TRAINED, "--out", "run")
        self.assertEqual(self.good_json("eval", "run", "--quiet")["accuracy"], self.rows("run")[-1]["test_accuracy"])
        self.assertEqual(len(self.good_json("predict", "run", case("tables/missing-empty.csv"), "--quiet")["examples"]), 90)


class Arrays(ProgramTest):
    def test_numpys_orders_and_types(self):
        for name, shape, total in (("fortran", "4", 90), ("big-endian", "4", 90), ("half", "4", 90), ("bool", "196", 200),
                                   ("uint8-images", "1 x 28 x 28", 200)):
            with self.subTest(name):
                text = self.good("data", "show", case(f"arrays/{name}-X.npy"))
                self.assertIn(f"classification, inputs {shape} from", text)
                self.assertEqual(counted(text)[1], total)

    def test_one_hot_targets(self):
        path = case("arrays/one-hot-X.npy")
        text = self.good("data", "show", path)
        self.assertIn("one-hot", text)
        self.assertEqual((len(counted(text)[0]), counted(text)[1]), (3, 90))
        self.assertIn("regression, inputs 4", self.good("data", "show", path, "--targets", "numbers"))

    def test_layouts_of_archives(self):
        text = self.good("data", "show", case("arrays/keras-layout.npz"))
        self.assertIn("inputs 1 x 28 x 28 from 0 to 1", text)
        self.assertEqual(counted(text)[1], 600)
        self.assertRegex(text, r"(?m)^  all +450 +50 +100$")
        text = self.good("data", "show", case("arrays/plain-layout.npz"))
        self.assertIn("inputs 4", text)
        self.assertEqual(counted(text)[1], 90)


if __name__ == "__main__":
    main()
