#!/usr/bin/env python3
"""snnTorch and Norse run networks of Grapes to the same spikes, and Grapes runs theirs, through NIR files."""
import contextlib
import io
import logging
import pathlib
import sys
import unittest
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
from program import main, ProgramTest  # noqa: E402

try:
    import nir
    import torch
    import norse.torch
    from norse.torch.utils.export_nir import to_nir
    import snntorch
    from snntorch.export_nir import export_to_nir
    from snntorch.import_nir import import_from_nir
    missing = None
except ImportError as error:
    missing = error

STEPS, DT = 12, 1e-4  # snnTorch assumes this time step
TRAIN = ["--data", "digits", "--model", "snn:24,16", "--encoder", "direct", "--time-steps", STEPS, "--loss", "mse",
         "--precision", "float64", "--learning-rate", "1", "--membrane-decay", "0.75", "--no-learn-threshold", "--epochs",
         "1", "--quiet"]
KINDS = {"lif": ["--neuron", "lif"], "cuba-lif": ["--neuron", "cuba-lif", "--synaptic-decay", "0.5"]}


def counts(network, x):
    """Return the number of spikes of each output over the time steps. Float64 keeps rounding away from the thresholds."""
    network, state, total = network.double(), None, 0
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):  # the spikes of snnTorch are float32
            module.register_forward_pre_hook(lambda _, values: (values[0].double(),))
    with torch.no_grad():
        for _ in range(STEPS):
            y = network(torch.from_numpy(x)) if state is None else network(torch.from_numpy(x), state)
            y, state = y if isinstance(y, tuple) else (y, None)  # a Sequential of snnTorch keeps its own state
            total = total + y
    return total.numpy()


def quietly(function, *arguments, **options):
    """These packages print progress and warnings; only what they return is of interest."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def fold_resistance(graph):
    """Norse leaves r out of a LIF. tau dv/dt = -v + r (W x) is the same with the weights r W and r = 1."""
    for name, node in graph.nodes.items():
        if isinstance(node, nir.LIF):
            for before, after in graph.edges:
                if after == name:
                    graph.nodes[before].weight = graph.nodes[before].weight * node.r[:, None]
            node.r = np.ones_like(node.r)
    return graph


@unittest.skipIf(missing, f"the packages of requirements.txt and simulators.txt are needed: {missing}")
class SimulatorTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.environment["OMP_NUM_THREADS"] = "1"  # networks this small gain nothing from more
        logging.disable(logging.WARNING)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.x = np.random.default_rng(1).integers(0, 17, (25, 64)) / 16
        self.write("x.csv", "\n".join(",".join(map(repr, row)) for row in self.x.tolist()) + "\n")

    def predictions(self, checkpoint):
        examples = self.good_json("predict", checkpoint, "x.csv", "--top", "10", "--quiet")["examples"]
        return np.array([[one["probability"] for one in sorted(answers, key=lambda answer: int(answer["class"]))]
                         for answers in examples])

    def exported(self, run, *options):
        """Train, export, round the weights to the simulators' float32, and return (graph, our counts)."""
        self.good("train", *TRAIN, *options, "--out", run)
        self.good("export", "nir", run, "--dt", DT, "--out", "net.nir")
        graph = nir.read(self.folder / "net.nir")
        for node in graph.nodes.values():
            if hasattr(node, "weight"):
                node.weight = node.weight.astype(np.float32).astype(np.float64)
        nir.write(self.folder / "rounded.nir", graph)
        self.good("import", "nir", "rounded.nir", "--out", "ours.safetensors", "--quiet")
        expected = STEPS * self.predictions("ours.safetensors")  # under the loss `mse` they are the rates of the outputs
        self.assertGreater(expected.mean(), 0.5)
        return graph, expected

    def imported(self, graph):
        """Return our predictions for a graph of another program: the softmax of the rates of the outputs."""
        nir.write(self.folder / "theirs.nir", graph)
        self.assertIn("no fault\n", self.good("nir", "check", "theirs.nir"))
        self.good("import", "nir", "theirs.nir", "--dt", DT, "--encoder", "direct", "--time-steps", STEPS,
                  "--out", "theirs.safetensors", "--quiet")
        return self.predictions("theirs.safetensors")

    def same(self, theirs, ours):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-6)  # float32; one spike changes a rate by 1/12


class Export(SimulatorTest):
    def test_snntorch(self):
        for kind, options in KINDS.items():
            with self.subTest(kind):
                graph, expected = self.exported(kind, *options)
                self.same(counts(quietly(import_from_nir, graph), self.x), expected)

    def test_norse(self):
        for kind, options in KINDS.items():
            for loop in ([], ["--recurrent"]):
                with self.subTest(kind, loop=loop):
                    graph, expected = self.exported(kind + "".join(loop), *options, *loop)
                    network = quietly(norse.torch.from_nir, fold_resistance(graph), dt=DT)
                    self.same(counts(network, self.x), expected)


class Import(SimulatorTest):
    def test_snntorch(self):
        def leaky(n):
            return snntorch.Leaky(beta=torch.full((n,), 0.75), threshold=torch.full((n,), 0.5), **options)

        def synaptic(n):
            return snntorch.Synaptic(alpha=torch.full((n,), 0.5), beta=torch.full((n,), 0.75),
                                     threshold=torch.full((n,), 0.5), **options)
        options = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
        for neurons in (leaky, synaptic):
            with self.subTest(neurons.__name__):
                torch.manual_seed(3)
                network = torch.nn.Sequential(torch.nn.Linear(64, 20, bias=False), neurons(20),
                                              torch.nn.Linear(20, 10, bias=False), neurons(10))
                graph = quietly(export_to_nir, network, torch.zeros(64))
                for module in network:
                    if isinstance(module, snntorch.SpikingNeuron):
                        module.reset_mem()
                theirs = counts(network, self.x)
                self.assertGreater(theirs.mean(), 0.1)
                self.same(np.exp(theirs / STEPS) / np.exp(theirs / STEPS).sum(axis=1, keepdims=True), self.imported(graph))


    def test_norse(self):
        """Norse writes tau = dt / tau_mem_inv but reads 1 / tau_mem_inv, so its files are right with dt = 1."""
        def box(n):
            return norse.torch.LIFBoxCell(norse.torch.LIFBoxParameters(
                tau_mem_inv=torch.linspace(150, 250, n), v_leak=torch.zeros(n), v_th=torch.linspace(0.02, 0.05, n),
                v_reset=torch.zeros(n)), dt=DT)
        torch.manual_seed(3)
        network = norse.torch.SequentialState(torch.nn.Linear(64, 20), box(20), torch.nn.Linear(20, 10), box(10))
        graph = quietly(to_nir, network, torch.zeros(64), dt=1)
        with torch.no_grad():  # a spike follows from a current of about the threshold in a step
            for module in network.modules():
                if isinstance(module, torch.nn.Linear):
                    module.weight.mul_(10)
        for node in graph.nodes.values():
            if hasattr(node, "weight"):
                node.weight = node.weight * 10
        theirs = counts(network, self.x)
        self.assertGreater(theirs.mean(), 0.1)
        self.same(np.exp(theirs / STEPS) / np.exp(theirs / STEPS).sum(axis=1, keepdims=True), self.imported(graph))


if __name__ == "__main__":
    main()
