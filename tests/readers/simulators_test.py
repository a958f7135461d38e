#!/usr/bin/env python3
"""snnTorch, Norse, sinabs and Rockpool run networks of Grapes to the same spikes, and Grapes runs theirs, through NIR files."""
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
    import sinabs.activation
    import sinabs.layers
    import sinabs.nir
    from rockpool.nn.modules.torch import LIFNeuronTorch
    from rockpool.nn.modules.torch import nir as rockpool_nir
    missing = None
except ImportError as error:
    missing = error

STEPS, DT = 12, 1e-4  # snnTorch assumes this time step
TRAIN = ["--data", "digits", "--model", "snn:24,16", "--encoder", "direct", "--time-steps", STEPS, "--loss", "mse",
         "--precision", "float64", "--learning-rate", "1", "--membrane-decay", "0.75", "--no-learn-threshold", "--epochs",
         "1", "--quiet"]
MAPS = ["--bias", "--threshold", "0.4", "--model"]  # of two models the last counts
KINDS = {"lif": ["--neuron", "lif"], "cuba-lif": ["--neuron", "cuba-lif", "--synaptic-decay", "0.5"]}


def in_float64(network):
    """Keep rounding away from the thresholds, and let a Flatten take examples with an axis for the batch, which files do not have."""
    for module in network.double().modules():
        if isinstance(module, torch.nn.Flatten):
            module.start_dim = 1
        if hasattr(module, "weight"):  # spikes of the others are float32
            module.register_forward_pre_hook(lambda _, values: (values[0].double(),))
    return network


def counts(network, x):
    """Return the number of spikes of each output over the time steps."""
    network, state, total = in_float64(network), None, 0
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
    """Norse leaves r out of a LIF. tau dv/dt = -v + r (W x + b) is the same with r W, r b and r = 1. All neurons of a channel have one r."""
    for name, node in graph.nodes.items():
        if isinstance(node, nir.LIF):
            r = node.r.reshape(len(node.r), -1)[:, 0]
            for before, after in graph.edges:
                if after == name:
                    weights = graph.nodes[before]
                    weights.weight = weights.weight * r.reshape(-1, *[1] * (weights.weight.ndim - 1))
                    if hasattr(weights, "bias"):
                        weights.bias = weights.bias * r
            node.r = np.ones_like(node.r)
    return graph


def softmax(rates):
    return np.exp(rates) / np.exp(rates).sum(axis=1, keepdims=True)


def as_exact(tau, dt=1):
    """Return the time constant of a program whose decay is exp(-dt / tau), for a file whose decay is 1 - DT / tau."""
    return -dt / np.log(1 - DT / tau)


@unittest.skipIf(missing, f"the packages of requirements.txt and simulators.txt are needed: {missing}")
class SimulatorTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.environment["OMP_NUM_THREADS"] = "1"  # networks this small gain nothing from more
        logging.disable(logging.WARNING)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.x = np.random.default_rng(1).integers(0, 17, (25, 64)) / 16
        self.maps = self.x.reshape(-1, 1, 8, 8)
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


    def test_norse_with_convolutions(self):
        for neuron in ("if", "lif"):
            with self.subTest(neuron):
                graph, expected = self.exported(neuron, *MAPS, "spiking:conv4,sum2,conv6p0,24", "--neuron", neuron)
                network = quietly(norse.torch.from_nir, fold_resistance(graph), dt=DT)
                self.same(counts(network, self.maps), expected)

    def test_snntorch_with_convolutions(self):
        graph, expected = self.exported("lif", *MAPS, "spiking:conv4,avg2,conv6p0,24", "--neuron", "lif")
        self.same(counts(quietly(import_from_nir, graph), self.maps), expected)

    def test_sinabs(self):
        """It takes tau in time steps, and several spikes in one, and subtracts the threshold, unless told otherwise."""
        for neuron, model, x in (("if", "snn:24,16", self.x), ("lif", "snn:24,16", self.x),
                                 ("if", "spiking:conv4,sum2,conv6p0,24", self.maps)):
            with self.subTest(neuron, model=model):
                graph, expected = self.exported(neuron + model[:3], *MAPS, model, "--neuron", neuron)
                for node in graph.nodes.values():
                    if isinstance(node, nir.LIF):
                        node.tau = as_exact(node.tau)
                network = in_float64(quietly(sinabs.nir.from_nir, graph, num_timesteps=STEPS))
                for module in network.modules():
                    if isinstance(module, sinabs.layers.StatefulLayer):
                        module.spike_fn = sinabs.activation.SingleSpike
                        module.reset_fn = sinabs.activation.MembraneReset()
                        module.min_v_mem = None
                with torch.no_grad():
                    spikes, _ = network(torch.from_numpy(x).repeat_interleave(STEPS, 0))
                self.same(spikes.view(len(x), STEPS, -1).sum(1).numpy(), expected)

    def test_rockpool(self):
        """It subtracts the threshold at a spike, so Grapes imports the same file with that reset. It reads tau of a LIF as tau_mem."""
        graph, _ = self.exported("lif", "--neuron", "lif", "--bias")
        graph.metadata = {}  # the settings of a network with another reset
        nir.write(self.folder / "parameters.nir", graph)
        self.good("import", "nir", "parameters.nir", "--dt", DT, "--reset", "subtract", "--encoder", "direct", "--time-steps", STEPS,
                  "--out", "subtract.safetensors", "--quiet")
        expected = self.predictions("subtract.safetensors")
        for node in graph.nodes.values():
            if isinstance(node, nir.LIF):  # dt is read from r: tau / (1 + r)
                node.tau_mem = as_exact(node.tau, DT)
                node.r = node.tau_mem / DT - 1
        network = in_float64(quietly(rockpool_nir.from_nir, graph))
        for module in network.modules():
            if isinstance(module, LIFNeuronTorch):
                module.max_spikes_per_dt = torch.tensor(1.0)
        x = torch.from_numpy(self.x).unsqueeze(1).expand(-1, STEPS, -1)
        with torch.no_grad():
            spikes, _ = network(x)
        theirs = spikes.sum(1).numpy()
        self.assertGreater(theirs.mean(), 0.5)
        self.same(softmax(theirs / STEPS), expected)


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
                self.same(softmax(theirs / STEPS), self.imported(graph))

    def test_norse(self):
        """Norse writes tau = dt / tau_mem_inv but reads 1 / tau_mem_inv, so its files are right with dt = 1."""
        def box(n):
            return norse.torch.LIFBoxCell(norse.torch.LIFBoxParameters(
                tau_mem_inv=torch.linspace(150, 250, n), v_leak=torch.zeros(n), v_th=torch.linspace(0.02, 0.05, n),
                v_reset=torch.zeros(n)), dt=DT)
        torch.manual_seed(3)
        network = norse.torch.SequentialState(torch.nn.Linear(64, 20), box(20), torch.nn.Linear(20, 10), box(10))
        with torch.no_grad():  # a spike follows from a current of about the threshold in a step
            for module in network.modules():
                if isinstance(module, torch.nn.Linear):
                    module.weight.mul_(10)
        graph = quietly(to_nir, network, torch.zeros(64), dt=1)
        theirs = counts(network, self.x)
        self.assertGreater(theirs.mean(), 0.1)
        self.same(softmax(theirs / STEPS), self.imported(graph))


if __name__ == "__main__":
    main()
