#!/usr/bin/env python3
"""Continual learning from the command line: protocols, arms, manifests, resuming, reports, and errors."""
import gzip
import json
import math
import operator
import pathlib
import signal
import struct
import subprocess
import time
import unittest

from program import main, ProgramTest

DIGITS = pathlib.Path("/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz")
SMALL = ["continual", "--quiet", "--train-limit", "300", "--test-limit", "100", "--tasks", "3", "--seeds", "2",
         "--learning-rate", "0.01"]


class ContinualTest(ProgramTest):
    def rows(self, run):
        rows = super().rows(run)
        for row in rows:
            row.pop("seconds", None)
            row.pop("evaluation_seconds", None)
        return rows

    def test_without_any_argument_it_is_the_standard_setup(self):
        text = self.good("continual", "--quiet", "--out", "run")
        for arm in ["bp", "grapes", "grapes-local", "uniform", "shuffled", "constant:2"]:
            self.assertIn(f"\n{arm} ", text)
        for words in ["average accuracy", "forgetting", "\ngrapes − uniform ", "The page also compares", "Every arm at the learning rate 0.001"]:
            self.assertIn(words, text)
        config = (self.folder / "run/arms/bp/rate-0.001/seed-1/config.toml").read_text()
        for line in ['scenario = "permuted"', "tasks = 5", "epochs = 1", "batch-size = 64", 'optimizer = "momentum"', "momentum = 0.9",
                     'model = "mlp:256,256"', "bias = false", 'optimizer-state = "reset"']:
            self.assertIn(line + "\n", config)
        self.assertIn("<h2>Weight changes</h2>", (self.folder / "run/report.html").read_text())

    def test_every_scenario_and_method_runs(self):
        methods = ["ewc", "online-ewc", "si", "lwf", "replay", "der", "der++", "er-ace", "a-gem", "gdumb", "joint"]
        for scenario in ["permuted", "all-permuted", "rotated", "all-rotated", "split", "class-incremental", "domain-incremental"]:
            arms = ["bp", "grapes", *methods]
            if scenario == "class-incremental":
                arms += [method + "+grapes" for method in methods]
            result = self.good_json(*SMALL, "--scenario", scenario, "--arms", ",".join(arms), "--seeds", "1")
            (condition,) = result["conditions"]
            self.assertEqual({arm["arm"] for arm in condition["arms"]}, set(arms))
            for arm in condition["arms"]:
                matrix = [[cell["mean"] for cell in row] for row in arm["matrix"]]
                measures = arm["measures"]
                self.assertEqual([len(row) for row in matrix], [3, 3, 3])
                self.assertAlmostEqual(measures["average_accuracy"]["mean"], sum(matrix[2]) / 3)
                joint = arm["arm"].startswith("joint")
                self.assertEqual(measures["forgetting"] is None, joint)
                if not joint:
                    forgetting = sum(max(matrix[i][j] for i in range(2)) - matrix[2][j] for j in range(2)) / 2
                    self.assertAlmostEqual(measures["forgetting"]["mean"], forgetting)
                    self.assertAlmostEqual(measures["backward_transfer"]["mean"],
                                           sum(matrix[2][j] - matrix[j][j] for j in range(2)) / 2)

    def test_the_arms_of_a_preset_combine_with_rules(self):
        arms = "bp,ewc-online,der++-200,der++-200+grapes"
        self.good(*SMALL[:6], "--preset", "mammoth-permuted-mnist", "--data", "digits", "--tasks", "3", "--seeds", "1",
                  "--fisher-examples", "50", "--blur", "0.2", "--arms", arms, "--out", "run")
        run = self.folder / "run/arms"
        config = (run / "der++-200+grapes/rate-0.1/seed-1/config.toml").read_text()
        for line in ['scenario = "all-permuted"', 'method = "der++"', 'modulation = "grapes"', "replay-buffer = 200", "replay-batch = 128",
                     "der-alpha = 1", "der-beta = 1", "blur = 0.2", 'initializer = "xavier"', "bias = true"]:
            self.assertIn(line + "\n", config)
        self.assertIn('ewc-strength = 1.4\n', (run / "ewc-online/rate-0.1/seed-1/config.toml").read_text())
        self.assertTrue((run / "bp/rate-0.2/seed-1/run.json").exists())
        manifest = json.loads((run / "bp/rate-0.2/seed-1/scenario.json").read_text())
        self.assertEqual(len(manifest["tasks"][0]["permutation"]), 64)
        self.assertGreater(len(manifest["tasks"][0]["received"]), 20)

    def test_convolutional_and_spiking_networks_learn_tasks(self):
        spiking = ["--model", "snn:60", "--time-steps", "8", "--loss", "mse", "--readout", "mean_rate", "--membrane-decay", "0.9",
                   "--membrane-activation", "leaky_relu", "--learning-rate", "0.5"]
        for extra in (["--model", "cnn:8", "--learning-rate", "0.05"], spiking, [*spiking, "--recurrent"]):
            result = self.good_json(*SMALL, *extra, "--scenario", "split", "--arms", "bp,grapes,ewc+grapes,lwf,replay",
                                    "--seeds", "1", "--epochs", "6")
            for arm in result["conditions"][0]["arms"]:
                self.assertGreater(arm["measures"]["learning_accuracy"]["mean"], 0.5, (extra, arm["arm"]))

    def test_each_arm_at_its_own_rate_and_at_the_given_one(self):
        result = self.good_json(*SMALL, "--arms", "bp,grapes", "--tune", "--grid", "0.003,0.03", "--out", "tuned")
        self.assertEqual([condition["name"] for condition in result["conditions"]], ["given", "chosen"])
        given, chosen = result["conditions"]
        for arm in given["arms"]:
            self.assertEqual(arm["learning_rates"], [0.01])
        compare = json.loads((self.folder / "tuned/compare.json").read_text())
        for arm in chosen["arms"]:
            tried = {one["learning_rate"]: one["validation_mean"] for one in compare["tuning"]["arms"][arm["arm"]]["tried"]}
            self.assertEqual(arm["learning_rates"], [max(tried, key=tried.get)])
        # The report can be made again from the records alone.
        again = self.good_json("report", "tuned", "--out", "again")
        self.assertEqual(again["conditions"], result["conditions"])
        self.assertEqual((self.folder / "again/report.html").read_text(), (self.folder / "tuned/report.html").read_text())

    def test_arms_start_alike_and_have_the_same_tasks(self):
        self.good(*SMALL, "--arms", "bp,grapes,replay", "--out", "run")
        manifests = {arm: [(self.folder / f"run/arms/{arm}/rate-0.01/seed-{seed}/scenario.json").read_text() for seed in (1, 2)]
                     for arm in ("bp", "grapes", "replay")}
        self.assertEqual(manifests["bp"], manifests["grapes"])
        self.assertEqual(manifests["bp"], manifests["replay"])
        self.assertNotEqual(*manifests["bp"])
        start = [self.rows(f"run/arms/{arm}/rate-0.01/seed-1")[0]["test_tasks"] for arm in manifests]
        self.assertEqual(start[0], start[1])
        self.assertEqual(start[0], start[2])

    @unittest.skipUnless(DIGITS.exists(), "the digits' file is not where Debian's python3-sklearn has it")
    def test_another_program_makes_the_same_tasks_from_the_manifest(self):
        """Another program, in plain Python: tasks from scenario.json, the network from its checkpoint, and the same accuracies."""
        table = [[float(x) for x in line.split(",")] for line in gzip.open(DIGITS, "rt").read().split()]
        test = [([x / 16 for x in row[:64]], int(row[64])) for row in table[-360:]]

        def turned(picture, degrees):
            cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            result = []
            for row in range(8):
                for column in range(8):
                    x, y = column - 3.5, row - 3.5
                    at_x, at_y = 3.5 + x * cosine - y * sine, 3.5 + x * sine + y * cosine
                    result.append(sum(max(0, 1 - abs(at_x - c)) * max(0, 1 - abs(at_y - r)) * picture[8 * r + c]
                                      for r in range(8) for c in range(8)))
            return result

        def seen(scenario, task):
            """Return the task's test examples and its outputs."""
            if scenario["scenario"] == "permuted":
                order = task["permutation"] or range(64)
                return [([x[i] for i in order], label) for x, label in test], range(10)
            if scenario["scenario"] == "rotated":
                return [(turned(x, task["degrees"]), label) for x, label in test], range(10)
            all_classes = [c for one in scenario["tasks"] for c in one["classes"]]
            own = [(x, all_classes.index(label)) for x, label in test if label in task["classes"]]
            outputs = [all_classes.index(c) for c in task["classes"]]
            return own, outputs if scenario["scenario"] == "split" else range(len(all_classes))

        for kind in ("permuted", "rotated", "split", "class-incremental"):
            self.good("continual", "--quiet", "--arms", "grapes", "--seeds", "1", "--tasks", "3", "--model", "mlp:32", "--epochs", "9",
                      "--precision", "float64", "--learning-rate", "0.02", "--scenario", kind, "--out", kind)
            run = f"{kind}/arms/grapes/rate-0.02/seed-1"
            scenario = json.loads((self.folder / run / "scenario.json").read_text())
            tensors = self.tensors(f"{run}/checkpoints/last.safetensors")
            hidden, output = ([struct.unpack(f"<{width}d", tensors[name][8 * width * n:8 * width * (n + 1)])
                               for n in range(len(tensors[name]) // (8 * width))]
                              for name, width in (("layers.0.weight", 64), ("layers.1.weight", 32)))
            for task, told in zip(scenario["tasks"], self.rows(run)[-1]["test_tasks"]):
                examples, outputs = seen(scenario, task)
                right = 0
                for x, label in examples:
                    h = [max(0, sum(map(operator.mul, w, x))) for w in hidden]
                    said = max(outputs, key=lambda k: sum(map(operator.mul, output[k], h)))
                    right += said == label
                self.assertAlmostEqual(right / len(examples), told, places=9, msg=kind)
            self.assertGreater(told, 0.5)  # at least the last task was learned

    def test_a_manifest_gives_the_same_tasks(self):
        self.good(*SMALL, "--arms", "bp", "--seeds", "1", "--scenario", "split", "--out", "one")
        manifest = self.folder / "one/arms/bp/rate-0.01/seed-1/scenario.json"
        self.good("continual", "--quiet", "--train-limit", "300", "--test-limit", "100", "--learning-rate", "0.01", "--arms", "bp",
                  "--seeds", "1", "--manifest", manifest, "--out", "two")
        again = self.folder / "two/arms/bp/rate-0.01/seed-1/scenario.json"
        self.assertEqual(json.loads(manifest.read_text()), json.loads(again.read_text()))
        self.assertEqual(self.rows("one/arms/bp/rate-0.01/seed-1"), self.rows("two/arms/bp/rate-0.01/seed-1"))
        # Another seed has the same tasks and other initial weights.
        self.good("continual", "--quiet", "--train-limit", "300", "--test-limit", "100", "--learning-rate", "0.01", "--arms", "bp",
                  "--seeds", "2", "--manifest", manifest, "--out", "three")
        self.assertEqual(json.loads((self.folder / "three/arms/bp/rate-0.01/seed-2/scenario.json").read_text())["tasks"],
                         json.loads(manifest.read_text())["tasks"])

    def test_interrupted_and_resumed_equals_never_stopped(self):
        arguments = ["continual", "--quiet", "--arms", "si+shuffled,replay", "--seeds", "1", "--epochs", "40", "--dropout", "0.1",
                     "--learning-rate", "0.003", "--tasks", "3", "--jobs", "2"]
        self.good(*arguments, "--out", "whole")
        program = self.start(*arguments, "--out", "part", stdout=subprocess.DEVNULL)
        run = "part/arms/si+shuffled/rate-0.003/seed-1"
        self.wait_for_epoch(run, 1, program)
        time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        self.assertEqual(program.wait(), 130)
        self.assertEqual(self.status(run)["state"], "interrupted")
        self.assertIn("in task", self.status(run)["message"])
        self.good("continual", "--quiet", "--resume", "part")
        for arm in ("si+shuffled", "replay"):
            where = f"arms/{arm}/rate-0.003/seed-1"
            self.assertEqual(self.rows(f"whole/{where}"), self.rows(f"part/{where}"))
            self.assertEqual(self.tensors(f"whole/{where}/checkpoints/last.safetensors"),
                             self.tensors(f"part/{where}/checkpoints/last.safetensors"))

    def test_one_run_of_it_can_be_repeated_and_its_checkpoint_read(self):
        self.good(*SMALL, "--arms", "grapes", "--seeds", "1", "--out", "first")
        run = "first/arms/grapes/rate-0.01/seed-1"
        text = self.good("run", f"{run}/config.toml", "--quiet", "--out", "again")
        self.assertIn("grapes, seed 1: finished", text)
        self.assertEqual(self.rows(run), self.rows("again"))
        # The first task is the unchanged data.
        evaluated = self.good_json("eval", f"{run}/checkpoints/last.safetensors")
        self.assertAlmostEqual(evaluated["accuracy"], self.rows(run)[-1]["test_tasks"][0], places=9)

    def test_a_file_is_run(self):
        self.write("my.toml", 'scenario = "class-incremental"\ntasks = 2\nepochs = 1\nseeds = 1\ntrain-limit = 200\n'
                              '[arm.strong]\nmethod = "ewc"\newc-strength = 50\n')
        result = self.good_json("run", "my.toml", "--quiet")
        self.assertEqual([arm["arm"] for arm in result["conditions"][0]["arms"]], ["bp", "strong"])
        self.assertEqual(result["conditions"][0]["arms"][1]["method"], "ewc")

    def test_invalid_options_are_errors(self):
        self.assert_refused(2, ["--tasks must be at most 5", "got 6"], *SMALL, "--scenario", "split", "--tasks", "6")
        self.assert_refused(2, "tasks", *SMALL, "--tasks", "1")
        self.assert_refused(2, "did you mean 'permuted'", *SMALL, "--scenario", "permutd")
        self.assert_refused(2, "use grapes compare", *SMALL, "--scenario", "none")
        self.assert_refused(2, "unknown arm 'ewc+si'", *SMALL, "--arms", "ewc+si")
        self.assert_refused(2, "ewc-strength", *SMALL, "--ewc-strength", "-1")
        self.assert_refused(2, "expected reset|kept", *SMALL, "--optimizer-state", "lost")
        self.assert_refused(2, "no validation examples", *SMALL, "--scenario", "split", "--validation-split", "1")
        self.assert_refused(2, "set scenario", "run", self.write("m.toml", 'method = "ewc"\nseeds = 2\n'), "--quiet")
        table = self.write("table.csv", "a,b,label\n" + "".join(f"{i},{i % 7},{'xy'[i % 2]}\n" for i in range(60)))
        self.assert_refused(2, "needs images", *SMALL, "--data", table, "--scenario", "rotated")
        numbers = self.write("numbers.csv", "a,b,price\n" + "".join(f"{i},{i % 7},{i * 0.37}\n" for i in range(60)))
        self.assert_refused(2, "no classes", *SMALL, "--data", numbers, "--target", "price")

    def test_a_manifest_that_does_not_fit_is_an_error(self):
        self.good(*SMALL, "--arms", "bp", "--seeds", "1", "--out", "one")
        good = json.loads((self.folder / "one/arms/bp/rate-0.01/seed-1/scenario.json").read_text())
        fits = ["continual", "--quiet", "--train-limit", "300", "--test-limit", "100", "--manifest"]
        self.assert_refused(3, "nowhere.json", *fits, "nowhere.json")
        self.assert_refused(3, "invalid JSON", *fits, self.write("broken.json", "{"))
        self.assert_refused(3, ["other.json", "'scenario'"], *fits, self.write("other.json", "{}"))
        wrong = dict(good, fingerprint="0" * 64, data="elsewhere")
        self.assert_refused(3, ["wrong.json", "'fingerprint'", "elsewhere"], *fits, self.write("wrong.json", json.dumps(wrong)))
        self.assert_refused(3, "'train_rows'", *fits[:3], "200", *fits[4:], self.write("good.json", json.dumps(good)))
        twice = json.loads(json.dumps(good))
        twice["tasks"][1]["permutation"][0] = twice["tasks"][1]["permutation"][1]
        self.assert_refused(3, ["task 2", "'permutation'"], *fits, self.write("twice.json", json.dumps(twice)))
        self.assert_refused(2, ["good.json contains 3 tasks, permuted", "tasks = 4"], *fits, "good.json", "--tasks", "4")


if __name__ == "__main__":
    main()
