#!/usr/bin/env python3
"""The files of the NIR paper (../shared/data/nir-paper), through the whole program, against the column `expected` of their
README: traces of other simulators, networks that import, the accuracy of a convolutional network on N-MNIST, and a file
that is refused."""
import csv
import lzma
import pathlib
import random
import struct
import unittest

from program import main, ProgramTest

try:
    import numpy as np
    from nir_files import load, simulate
except ImportError:
    np = None

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
PAPER = DATA / "nir-paper"
RECORDINGS = DATA / "nmnist-small" / "nmnist-small.bin.xz"


def expected():
    """Return file -> text of the README's column."""
    rows = [line.strip("|\n").split("|") for line in (PAPER / "README.md").read_text().splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): row[3].strip() for row in rows}


def trace(path):
    """Return the columns input, membrane, spike of a simulator."""
    with open(path) as file:
        return [list(column) for column in zip(*([float(cell) for cell in row] for row in csv.reader(file)))]


@unittest.skipUnless(PAPER.is_dir(), f"the files of the NIR paper ({PAPER}) are missing")
class PaperTest(ProgramTest):
    def steps(self, inputs, count=200, seed=1):
        draw = random.Random(seed)
        rows = [[float(draw.random() < 0.3) for _ in range(inputs)] for _ in range(count)]
        self.write("steps.csv", "\n".join(",".join(map(str, row)) for row in rows) + "\n")
        return rows

    def ran(self, file, *options):
        return self.good_json("nir", "run", PAPER / file, *options)["columns"]


class Files(PaperTest):
    def test_every_file_has_a_test(self):
        self.assertEqual(set(expected()), {path.name for path in PAPER.glob("*.nir")})
        tested = pathlib.Path(__file__).read_text()
        for file, said in expected().items():
            self.assertIn(file, tested)
            done = self.run_program("import", "nir", PAPER / file, "--dt", "1e-4", "--out", file + ".safetensors")
            refused = said.startswith("refused") or "or refused with that reason" in said
            self.assertEqual(done.returncode, 3 if refused else 0, done.stderr)

    def test_the_error_of_the_broken_file_names_its_edge(self):
        self.assert_refused(3, "the edge from 'lif1/lif' to 'lif1/lin' has an unknown node 'lif1/lif'",
                            "import", "nir", PAPER / "braille_noDelay_bias_zero_subgraph.nir", "--out", "x.safetensors")

    def test_an_output_of_another_shape_is_an_error(self):
        self.assert_refused(3, "node 'output': expects [1, 1, 1], but '1_LIFNeuronTorch' outputs [1]",
                            "import", "nir", PAPER / "lif_rockpool.nir", "--dt", "1e-4", "--out", "x.safetensors")


class Traces(PaperTest):
    def test_lif_norse_equals_the_trace_of_norse(self):
        x, v, y = trace(PAPER / "lif_norse.csv")
        ours = self.ran("lif_norse.nir", PAPER / "lif_norse.csv", "--dt", "1e-4", "--membranes")
        self.assertEqual(sum(y), 4)
        self.assertEqual(ours["y0"], y)
        for mine, theirs in zip(ours["1.v0"], v, strict=True):
            self.assertAlmostEqual(mine, theirs, delta=1e-7)

    def test_exact_steps_are_the_exact_solution_until_a_spike_falls_into_a_step(self):
        x, v, y = trace(PAPER / "lif_exact.csv")
        ours = self.ran("lif_norse.nir", PAPER / "lif_norse.csv", "--dt", "1e-4", "--membranes", "--integrator", "exact")
        self.assertEqual(ours["y0"], y)
        first = y.index(1)
        for mine, theirs in zip(ours["1.v0"][:first], v[:first]):
            self.assertAlmostEqual(mine, theirs, delta=1e-7)

    def test_other_simulators_spike_at_the_same_time_or_ten_steps_earlier(self):
        ours = self.ran("lif_norse.nir", PAPER / "lif_norse.csv", "--dt", "1e-4")["y0"]
        when = [t for t, one in enumerate(ours) if one]
        for name in ("snntorch", "sinabs", "rockpool"):
            theirs = [t for t, one in enumerate(trace(PAPER / f"lif_{name}.csv")[2]) if one]
            self.assertEqual(len(theirs), len(when), name)
            for a, b in zip(when, theirs):
                self.assertIn(b, (a,) if name == "snntorch" else (a, a - 10), name)

    @unittest.skipIf(np is None, "python3-h5py and python3-numpy are needed")
    def test_spikes_equal_those_of_the_equations(self):
        for file, inputs, dt in (("braille_noDelay_bias_zero.nir", 12, 1e-4),
                                 ("braille_noDelay_noBias_subtract.nir", 12, 1e-4)):
            with self.subTest(file):
                rows = self.steps(inputs)
                nodes, edges, _ = load(PAPER / file, "0.")
                theirs = simulate(nodes, edges, dt, np.array(rows)[:, None])[:, 0]
                ours = self.ran(file, "steps.csv", "--dt", dt)
                ours = np.array([ours[f"y{n}"] for n in range(theirs.shape[1])]).T
                self.assertGreater(theirs.sum(), 5)
                # The file has float32 weights: a membrane at its threshold may round to either side.
                self.assertLessEqual(np.abs(theirs - ours).sum(), 0.02 * theirs.sum())

    @unittest.skipIf(np is None, "python3-h5py and python3-numpy are needed")
    def test_membranes_of_two_neurons_equal_those_of_the_equations(self):
        rows = self.steps(1)  # the threshold of the second neuron, 20, is never reached
        nodes, edges, _ = load(PAPER / "two_lif_neurons.nir", "0.")
        membranes = {}
        simulate(nodes, edges, 1e-3, np.array(rows)[:, None], membranes)
        ours = self.ran("two_lif_neurons.nir", "steps.csv", "--dt", "1e-3", "--membranes")
        for name in ("lif1", "lif2"):
            theirs = np.array(membranes[name])[:, 0, 0]
            self.assertGreater(np.ptp(theirs), 0.1)
            np.testing.assert_allclose(ours[f"{name}.v0"], theirs, rtol=0, atol=1e-6)

    def test_reset_by_subtraction_differs_from_a_hard_reset(self):
        self.steps(12)
        hard, soft = (self.ran("braille_noDelay_noBias_subtract.nir", "steps.csv", "--dt", "1e-4", "--reset", reset)
                      for reset in ("hard", "subtract"))
        self.assertNotEqual(hard, soft)
        self.good("import", "nir", PAPER / "braille_noDelay_noBias_subtract.nir", "--dt", "1e-4", "--reset", "subtract",
                  "--out", "soft.safetensors")


@unittest.skipUnless(RECORDINGS.is_file(), f"the recordings {RECORDINGS} are missing")
class Recordings(PaperTest):
    def recordings(self):
        """Unpack the records as N-MNIST's authors do: Train/DIGIT/NUMBER.bin and Test/DIGIT/NUMBER.bin."""
        content = lzma.decompress(RECORDINGS.read_bytes())
        self.assertEqual(content[:8], b"NMNISTS1")
        train, test = struct.unpack_from("<II", content, 8)
        at = 16
        for i in range(train + test):
            number, label, events = struct.unpack_from("<IBI", content, at)
            at += 9
            self.write(f"nmnist/{'Train' if i < train else 'Test'}/{label}/{number:05}.bin", content[at:at + 5 * events])
            at += 5 * events

    def test_cnn_sinabs_has_its_published_accuracy_and_learns_further(self):
        self.recordings()
        data = ["--data", "nmnist", "--data-dir", ".", "--event-steps", 300, "--event-values", "counts"]
        shown = self.good("import", "nir", PAPER / "cnn_sinabs.nir", *data, "--out", "sinabs.safetensors")
        self.assertIn("16 × 2 × 5 × 5", shown)
        report = self.good_json("eval", "sinabs.safetensors", "--quiet")
        # The 95 % interval (Wilson) of a hundred examples contains .98 from 96 right answers.
        self.assertGreaterEqual(report["accuracy"], 0.96, report)
        self.assertEqual(report["examples"], 100)
        self.good("train", "--from", "sinabs.safetensors", "--modulation", "grapes", "--train-limit", 32, "--epochs", 1,
                  "--batch-size", 16, "--learning-rate", "1e-4", "--event-steps", 60, "--quiet", "--out", "further")
        before, after = self.tensors("sinabs.safetensors"), self.tensors("further/checkpoints/last.safetensors")
        for name in ("layers.0.weight", "layers.4.weight"):
            self.assertNotEqual(before[name], after[name], name)
        self.good("export", "nir", "further", "--dt", 1, "--out", "again.nir")
        self.assertIn("no fault\n", self.good("nir", "check", "again.nir"))
        self.good("export", "nir", "sinabs.safetensors", "--dt", 1, "--out", "same.nir")
        self.steps(2 * 34 * 34, 20)
        self.assertEqual(self.good_json("nir", "run", "same.nir", "steps.csv")["columns"], self.ran("cnn_sinabs.nir", "steps.csv"))


if __name__ == "__main__":
    main()
