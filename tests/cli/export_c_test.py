#!/usr/bin/env python3
"""`grapes export c`: the header compiles without warnings and computes the same as the program; errors name the cause."""
import math
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import numpy as np

from program import main, ProgramTest

MICRO = pathlib.Path(__file__).resolve().parents[2] / "hardware" / "micro"
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
TRAIN = ["--epochs", "15", "--model", "mlp:24", "--quiet"]


@unittest.skipUnless(COMPILERS, "there is no C compiler")
class Header(ProgramTest):
    def compile(self, compiler, source, name="program"):
        """Compile a C file in the folder of net.h, and return the program."""
        subprocess.run([compiler, *FLAGS, "-O2", f"-I{self.folder}", str(source), "-o", str(self.folder / name)], check=True)
        return self.folder / name

    def test_equals_the_model_and_keeps_the_accuracy(self):
        self.good("train", *TRAIN, "--modulation", "grapes", "--bias", "--out", "run")
        for extra in [[], ["--learn"], ["--learn", "--weight-bits", "8", "--factor-bits", "2"], ["--learn", "--rule", "bp"]]:
            result = self.good_json("export", "c", "run", "--out", "net.h", "--check", "500", "--evaluate", "test", *extra)
            for compiler in COMPILERS:
                said = subprocess.run([self.compile(compiler, MICRO / "host.c"), "500"], capture_output=True, text=True,
                                      check=True).stdout.splitlines()
                self.assertEqual(said, [result["checksum"], f"{result['state']} bytes of state"], extra)
            scores = result["accuracy"]
            self.assertGreater(scores["float"], 0.8)
            self.assertAlmostEqual(scores["integers"], scores["float"], delta=0.02, msg=str(extra))
        # The same rule and bits give the same text, independent of the file's name.
        text = self.good("export", "c", "run", "--out", "other.h", "--learn", "--rule", "bp")
        self.assertIn("learns by bp", text)
        self.assertEqual((self.folder / "other.h").read_text(), (self.folder / "net.h").read_text())

    def test_an_untrained_network_learns(self):
        self.good("train", *TRAIN[2:], "--epochs", "1", "--learning-rate", "1e-6", "--out", "run")
        for rule in ["bp", "grapes"]:
            scores = self.good_json("export", "c", "run", "--out", "net.h", "--learn", "--rule", rule, "--evaluate", "test",
                                    "--rehearse", "4", "--quiet")["accuracy"]
            self.assertLess(scores["integers"], 0.4)
            self.assertGreater(scores["rehearsed"][-1], 0.8, rule)

    def test_a_c_program_computes_the_predictions_of_the_float_network(self):
        """Scale inputs and read logits as the header's comment describes."""
        rows = [f"{math.sin(k):.4f},{10 * math.cos(2 * k):.4f},{'a' if math.sin(k) > 0.1 else 'b'}" for k in range(120)]
        self.write("points.csv", "u,v,label\n" + "\n".join(rows) + "\n")
        self.good("train", "--data", "points.csv", "--normalize", "standard", "--bias", "--model", "mlp:6", "--epochs", "40",
                  "--learning-rate", "0.2", "--activation", "tanh", "--out", "run", "--quiet")
        self.good("export", "c", "run", "--out", "net.h", "--name", "gate")
        text = (self.folder / "net.h").read_text()
        shift, scale = ([float(word) for word in re.search(what + r" = (.*)", text)[1].split(", ")]
                        for what in ("shift", "scale"))
        self.assertIn("Outputs: 0 a, 1 b.", text)
        points = [(0.9, 3.0), (-0.8, -9.5), (0.3, 7.0)]
        inputs = ", ".join(str(math.floor((v - s) * c * 4096 + 0.5)) for point in points
                           for v, s, c in zip(point, shift, scale))
        self.write("own.c", '#include "net.h"\n#include <stdio.h>\nint main(void) {\n'
                   f"  static const int16_t x[] = {{{inputs}}};\n"
                   "  static gate_state state;\n  int16_t logits[GATE_OUTPUTS];\n  gate_init(&state);\n"
                   f"  for (unsigned k = 0; k < {len(points)}; ++k) {{\n"
                   "    const unsigned answer = gate_infer(&state, x + 2 * k, logits);\n"
                   '    printf("%u %d %d\\n", answer, logits[0], logits[1]);\n'
                   "  }\n  return 0;\n}\n")
        said = subprocess.run([self.compile(COMPILERS[0], self.folder / "own.c")], capture_output=True, text=True, check=True)
        self.write("new.csv", "u,v\n" + "".join(f"{u},{v}\n" for u, v in points))
        expected = self.good_json("predict", "run", "new.csv", "--quiet", "--top", "2")["examples"]
        for line, answer in zip(said.stdout.splitlines(), expected, strict=True):
            best, first, second = map(int, line.split())
            self.assertEqual("ab"[best], answer[0]["class"])
            odds = math.exp((second - first) / 1024)
            of_a = next(guess["probability"] for guess in answer if guess["class"] == "a")
            self.assertAlmostEqual(1 / (1 + odds), of_a, delta=0.01)

    def test_a_regression_learns_too(self):
        rows = [f"{x / 10},{-x / 5},{0.3 * x / 10 + 1}" for x in range(60)]
        self.write("line.csv", "a,b,price\n" + "\n".join(rows) + "\n")
        self.good("train", "--data", "line.csv", "--target", "price", "--model", "mlp:8", "--bias", "--learning-rate",
                  "0.01", "--epochs", "60", "--batch-size", "8", "--normalize", "standard", "--out", "run", "--quiet")
        result = self.good_json("export", "c", "run", "--out", "net.h", "--learn", "--evaluate", "test", "--rehearse", "5",
                                "--check", "300", "--quiet")
        self.assertAlmostEqual(result["r2"]["integers"], result["r2"]["float"], delta=0.02)
        self.assertGreater(result["r2"]["rehearsed"][-1], 0.9)
        for compiler in COMPILERS:
            said = subprocess.run([self.compile(compiler, MICRO / "host.c"), "300"], capture_output=True, text=True, check=True)
            self.assertEqual(said.stdout.splitlines()[0], result["checksum"])

    def test_saturated_outputs_are_counted(self):
        rows = [f"{x / 30},{40 + x}" for x in range(60)]
        self.write("far.csv", "a,price\n" + "\n".join(rows) + "\n")
        self.good("train", "--data", "far.csv", "--target", "price", "--model", "mlp:8", "--bias", "--learning-rate",
                  "0.0001", "--epochs", "60", "--batch-size", "8", "--normalize", "unit", "--out", "run", "--quiet")
        said = self.good("export", "c", "run", "--out", "net.h", "--evaluate", "test", "--quiet")
        self.assertRegex(said, r"outputs reached the limit of their range, 32; --activation-fraction 9 has a wider range")
        result = self.good_json("export", "c", "run", "--out", "net.h", "--evaluate", "test", "--activation-fraction", "7",
                                "--quiet")
        self.assertEqual(result["saturated"], 0)
        self.assertAlmostEqual(result["r2"]["integers"], result["r2"]["float"], delta=0.05)

    def test_scales_per_channel_name_their_inputs(self):
        np.save(self.folder / "x.npy", np.random.default_rng(1).uniform(0, 1, (40, 3, 4, 5)).astype(np.float32))
        np.save(self.folder / "y.npy", np.arange(40) % 2)
        self.good("train", "--data", "x.npy", "--normalize", "channel", "--model", "mlp:4", "--epochs", "1", "--out", "run",
                  "--quiet")
        self.good("export", "c", "run", "--out", "net.h")
        text = (self.folder / "net.h").read_text()
        self.assertIn("per channel of 20 inputs", text)
        self.assertEqual(len(re.search(r"shift = (.*)", text)[1].split(", ")), 3)

    def test_without_hidden_nodes_nothing_is_modulated(self):
        self.good("train", "--model", "linear", "--modulation", "grapes", "--epochs", "1", "--out", "run", "--quiet")
        self.assertIn("learns by bp, rate 2^-7\n", self.good("export", "c", "run", "--out", "net.h", "--learn"))


class Refusals(ProgramTest):
    def test_unsupported_settings_are_errors(self):
        def refused(said, arguments, *more):
            self.good("train", *arguments, "--epochs", "1", "--quiet", "--out", "run")
            self.assert_refused(2, said, "export", "c", "run", "--out", "net.h", *more)
            shutil.rmtree(self.folder / "run")

        refused("analog: weights in crossbars of ideal are not supported in integers", ["--model", "mlp:4", "--analog", "ideal"])
        refused("model 'cnn:4' is not supported in integers; available: linear, mlp", ["--model", "cnn:4"])
        refused("model 'snn:16' is not supported", ["--model", "snn:16"])
        refused("activation 'leaky_relu' is not supported in integers; available: relu, identity, tanh, sigmoid",
                ["--model", "mlp:8", "--activation", "leaky_relu"])
        refused("output 'relu' is not supported in integers; available: auto, identity, softmax, sigmoid, tanh",
                ["--model", "mlp:8", "--output", "relu", "--loss", "mse"])
        self.write("line.csv", "a,price\n" + "".join(f"{x},{x / 60}\n" for x in range(60)))
        refused("output 'sigmoid' is not supported in integers for regression; available: auto, identity",
                ["--data", "line.csv", "--target", "price", "--model", "mlp:8", "--output", "sigmoid", "--loss", "mse"])
        refused("route 'dfa'", ["--model", "mlp:8", "--route", "dfa"], "--learn")
        refused("modulation 'shuffled'", ["--model", "mlp:8", "--modulation", "shuffled"], "--learn")

    def test_options_are_checked_and_nothing_is_written(self):
        self.good("train", "--model", "mlp:8", "--epochs", "1", "--quiet", "--out", "run")
        export = ["export", "c", "run", "--out", "net.h"]
        self.assert_refused(2, "--weight-bits must be 8 or 16; got 12", *export, "--weight-bits", "12")
        self.assert_refused(2, "--factor-bits must be 0 ... 8; got 9", *export, "--learn", "--factor-bits", "9")
        self.assert_refused(2, ["--rate-shift must be ", "with the fractions of layer 0; got 30"], *export, "--learn", "--rate-shift", "30")
        self.assert_refused(2, "--name must be a C identifier; got 'my-net'", *export, "--name", "my-net")
        self.assert_refused(2, "the rule must be auto, bp or grapes; got 'fa'", *export, "--learn", "--rule", "fa")
        self.assert_refused(2, ["--rate-shift must be ", "; got -1"], *export, "--learn", "--rate-shift", "-1")
        for option, value in (("--rule", "bp"), ("--factor-bits", "2"), ("--rate-shift", "6")):
            self.assert_refused(2, f"{option} requires --learn", *export, option, value)
        self.assert_refused(2, "--rehearse needs --learn", *export, "--rehearse", "2")
        self.assert_refused(2, "checkpoint is required", "export", "c", "--out", "net.h")
        self.assert_refused(3, "missing.safetensors", "export", "c", "missing.safetensors", "--out", "net.h")

    def test_export_without_c_still_works(self):
        self.good("train", "--model", "mlp:8", "--epochs", "1", "--quiet", "--out", "run")
        self.assertIn("0.weight  [8, 64]", self.good("export", "run", "--out", "weights.safetensors"))
        self.assert_refused(2, "--out is required", "export", "run")
        self.assert_refused(2, "checkpoint is required", "export", "--out", "more.safetensors")
        self.assert_refused(2, "--names: is not for 'export c'", "export", "c", "run", "--out", "net.h", "--names", "a,b")
        self.assert_refused(2, "unknown argument 'more'", "export", "run", "more", "--out", "more.safetensors")
        self.assert_refused(2, "did you mean '--learn'", "export", "c", "run", "--out", "net.h", "--lern")


if __name__ == "__main__":
    main()
