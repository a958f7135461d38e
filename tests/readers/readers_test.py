#!/usr/bin/env python3
"""Files of Grapes are read by the libraries that define their formats, and their files by Grapes."""
import pathlib
import sys
import unittest

import nir
import numpy as np
import safetensors.numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
from nir_files import load  # noqa: E402
from program import main, ProgramTest  # noqa: E402

DENSE = ["--data", "digits", "--model", "mlp:16,12", "--bias", "--modulation", "grapes", "--epochs", "2", "--quiet"]
SPIKING = ["--data", "digits", "--model", "snn:24,16", "--neuron", "lif", "--encoder", "direct", "--time-steps", "12",
           "--loss", "mse", "--precision", "float64", "--epochs", "1", "--quiet"]


class SafetensorsTest(ProgramTest):
    def test_checkpoint_and_export_are_read(self):
        self.good("train", *DENSE, "--out", "run")
        self.good("export", "run", "--out", "theirs.safetensors")
        checkpoint = safetensors.numpy.load_file(self.folder / "run/checkpoints/last.safetensors")
        exported = safetensors.numpy.load_file(self.folder / "theirs.safetensors")
        self.assertEqual({name: list(value.shape) for name, value in exported.items()},
                         {"0.weight": [16, 64], "0.bias": [16], "2.weight": [12, 16], "2.bias": [12],
                          "4.weight": [10, 12], "4.bias": [10]})
        for theirs, ours in zip((0, 2, 4), range(3)):
            for part in ("weight", "bias"):
                np.testing.assert_array_equal(exported[f"{theirs}.{part}"], checkpoint[f"layers.{ours}.{part}"])

    def test_a_file_of_pytorch_is_imported(self):
        draw = np.random.default_rng(1)
        weights = {"fc1.weight": draw.normal(size=(16, 64)), "fc1.bias": draw.normal(size=16),
                   "fc2.weight": draw.normal(size=(10, 16)), "fc2.bias": draw.normal(size=10)}
        safetensors.numpy.save_file({name: value.astype(np.float32) for name, value in weights.items()},
                                    self.folder / "theirs.safetensors")
        self.good("import", "theirs.safetensors", "--data", "digits", "--out", "ours.safetensors")
        ours = safetensors.numpy.load_file(self.folder / "ours.safetensors")
        for layer in (0, 1):
            for part in ("weight", "bias"):
                np.testing.assert_array_equal(ours[f"layers.{layer}.{part}"],
                                              weights[f"fc{layer + 1}.{part}"].astype(np.float32))


class TensorBoardTest(ProgramTest):
    def test_every_epoch_is_read(self):
        self.good("train", *DENSE, "--out", "run")
        events = EventAccumulator(str(self.folder / "run")).Reload()
        rows = self.rows("run")
        for part, what in (("train", "loss"), ("validation", "accuracy")):
            scalars = events.Scalars(f"{part}/{what}")
            expected = [row for row in rows if f"{part}_{what}" in row]
            self.assertEqual([one.step for one in scalars], [row["step"] for row in expected])
            np.testing.assert_allclose([one.value for one in scalars], [row[f"{part}_{what}"] for row in expected],
                                       rtol=1e-6)
        self.assertGreater(len(rows), 1)


class NirTest(ProgramTest):
    def test_export_is_read(self):
        self.good("train", *SPIKING, "--out", "run")
        self.good("export", "nir", "run", "--dt", "0.0005", "--out", "net.nir")
        graph = nir.read(self.folder / "net.nir")  # also checks the types of all nodes and edges
        kinds = [type(node).__name__ for node in graph.nodes.values()]
        self.assertEqual(sorted(kinds), sorted(["Input", "Output", *3 * ["Linear"], *3 * ["LIF"]]))
        # The numbers themselves, by h5py alone. nir_test.py computes the program's predictions from them.
        nodes, edges, _ = load(self.folder / "net.nir")
        self.assertEqual(set(graph.edges), set(edges))
        for name, node in graph.nodes.items():
            for field in ("weight", "tau", "r", "v_leak", "v_threshold", "v_reset"):
                self.assertEqual(hasattr(node, field), field in nodes[name], (name, field))
                if field in nodes[name]:
                    np.testing.assert_array_equal(getattr(node, field), nodes[name][field])

    def test_a_graph_of_theirs_is_imported_and_comes_back(self):
        draw = np.random.default_rng(2)
        def neurons(n):
            return nir.LIF(tau=np.full(n, 0.01), r=np.ones(n), v_leak=np.zeros(n), v_threshold=np.full(n, 0.8),
                           v_reset=np.zeros(n))
        graph = nir.NIRGraph(
            nodes={"input": nir.Input({"input": np.array([64])}), "a": nir.Linear(draw.normal(size=(20, 64))),
                   "b": neurons(20), "c": nir.Affine(draw.normal(size=(10, 20)), np.zeros(10)), "d": neurons(10),
                   "output": nir.Output({"output": np.array([10])})},
            edges=[("input", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "output")])
        nir.write(self.folder / "theirs.nir", graph)
        self.assertIn("no fault\n", self.good("nir", "check", "theirs.nir"))
        self.good("import", "nir", "theirs.nir", "--dt", "0.001", "--out", "ours.safetensors")
        self.good("export", "nir", "ours.safetensors", "--dt", "0.001", "--out", "back.nir")
        back = nir.read(self.folder / "back.nir")
        weights = sorted((node.weight.shape for node in back.nodes.values() if hasattr(node, "weight")))
        self.assertEqual(weights, [(10, 20), (20, 64)])


if __name__ == "__main__":
    main()
