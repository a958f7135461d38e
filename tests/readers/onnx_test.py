#!/usr/bin/env python3
"""onnxruntime and qonnx compute exported networks as the program does, and the program computes what PyTorch exports."""
import logging
import pathlib
import sys
import unittest
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
from onnx_networks import FORMATS, NETWORKS, OnnxProgramTest, TRAIN  # noqa: E402
from program import main  # noqa: E402

try:
    import onnx
    import onnxruntime
    import torch
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.custom_op.registry import getCustomOp
    from qonnx.transformation.infer_shapes import InferShapes
    from torch import nn
    missing = None
except ImportError as error:
    missing = error


def by_onnxruntime(file, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: np.asarray(x, np.float32)})[0]


def by_qonnx(file, x):
    """qonnx computes graphs of which all sizes are fixed, also that of the batch."""
    model = onnx.load(str(file))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = len(x)
    wrapper = ModelWrapper(model).transform(InferShapes())
    return execute_onnx(wrapper, {"input": np.asarray(x, np.float32)})["output"]


@unittest.skipIf(missing, f"the packages of requirements.txt are needed: {missing}")
class ExportTest(OnnxProgramTest):
    def test_onnxruntime_computes_every_network(self):
        for name, options in NETWORKS.items():
            with self.subTest(name):
                self.good("train", *TRAIN, *options, "--out", name)
                side = 28 if "--pad" in options else 8
                self.assert_same(name, (1, side, side), by_onnxruntime)
                onnx.checker.check_model(self.folder / "net.onnx", full_check=True)

    def test_qonnx_computes_number_formats(self):
        for precision in FORMATS:
            with self.subTest(precision):
                run = precision.replace(":", "-")
                self.good("train", *TRAIN, "--model", "cnn:4,6", "--bias", "--precision", precision, "--out", run)
                self.assert_same(run, (1, 8, 8), by_qonnx)

    def test_qonnx_knows_the_types_of_the_formats(self):
        self.good("train", *TRAIN, "--model", "mlp:9", "--precision", "weights=int4,activations=q2.6", "--out", "run")
        self.good("export", "onnx", "run", "--out", "net.onnx")
        wrapper = ModelWrapper(str(self.folder / "net.onnx"))
        types = {node.output[0]: getCustomOp(node).get_output_dtype(wrapper).name for node in
                 wrapper.get_nodes_by_op_type("Quant")}
        self.assertEqual(types, {f"layers.{layer}.{value}.rounded": kind for layer in (0, 1) for value, kind in
                                 (("weight", "SCALEDINT<4>"), ("input", "SCALEDINT<8>"))})


class Residual(nn.Module if missing is None else object):
    """Two blocks, the second with a shortcut."""

    def __init__(self):
        super().__init__()
        def block(inputs, outputs, stride):
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                                 nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.first, self.second = block(1, 1, 1), block(1, 6, 2)
        self.shortcut = nn.Sequential(nn.Conv2d(1, 6, 1, 2, bias=False), nn.BatchNorm2d(6))
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 3)

    def forward(self, x):
        x = torch.relu(self.first(x) + x)
        x = torch.relu(self.second(x) + self.shortcut(x))
        return self.head(torch.flatten(self.pool(x), 1))


def networks():
    """name -> network of PyTorch, shape of an example, model of Grapes."""
    dense = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(1))
    normalized = nn.Sequential(nn.Flatten(), nn.Linear(64, 5, bias=False), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    convolutional = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.1), nn.MaxPool2d(2), nn.Conv2d(4, 6, 5, padding=2),
        nn.LeakyReLU(0.1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))
    strided = nn.Sequential(nn.Conv2d(2, 4, 3, 2), nn.Sigmoid(), nn.Conv2d(4, 8, 1), nn.Sigmoid(), nn.AdaptiveMaxPool2d(1),
                            nn.Flatten(), nn.Linear(8, 7), nn.Sigmoid(), nn.Linear(7, 2))
    return {"dense": (dense, (6,), "mlp:5,4"), "normalized": (normalized, (1, 8, 8), "mlp:5"),
            "convolutional": (convolutional, (1, 8, 8), "layers:conv4,max2,conv6k5,avg2"),
            "strided": (strided, (2, 9, 9), "layers:conv4s2p0,conv8k1,max,7"),
            "residual": (Residual(), (1, 8, 8), "layers:keep,conv1,conv1-linear,add,keep,conv6s2,conv6-linear,skip6s2,add,avg")}


@unittest.skipIf(missing, f"the packages of requirements.txt are needed: {missing}")
class ImportTest(OnnxProgramTest):
    def setUp(self):
        super().setUp()
        logging.disable(logging.WARNING)  # the exporter names packages that it could use
        self.addCleanup(logging.disable, logging.NOTSET)

    def export(self, network, shape, file, dynamo):
        example = (torch.randn(2, *shape),)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if dynamo:
                torch.onnx.export(network, example, file, dynamo=True, verbose=False, dynamic_shapes=({0: "batch"},))
            else:
                torch.onnx.export(network, example, file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}})

    def test_networks_of_both_exporters_are_imported(self):
        torch.manual_seed(3)
        for name, (network, shape, model) in networks().items():
            for module in network.modules():  # statistics as after training
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                        tensor.data.uniform_(0.5, 1.5)
            network.eval()
            x = np.random.default_rng(3).random((6, *shape), np.float32)
            expected = network(torch.from_numpy(x)).detach()
            if name != "dense":
                expected = torch.softmax(expected, 1)
            for dynamo in (True, False):
                with self.subTest(name, dynamo=dynamo):
                    self.export(network, shape, self.folder / "net.onnx", dynamo)
                    made = self.good_json("import", "onnx", "net.onnx", "--out", "ours.safetensors")
                    # The older exporter writes the size of a window where the newer one writes that it is the whole map.
                    self.assertEqual(made["model"], model if dynamo else model.replace("max,", "max4,"))
                    np.testing.assert_allclose(self.predictions("ours.safetensors", x), expected.numpy(), rtol=1e-5, atol=1e-7)

    def test_an_imported_network_learns_and_goes_out_again(self):
        torch.manual_seed(4)
        network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)).eval()
        self.export(network, (1, 8, 8), self.folder / "theirs.onnx", True)
        self.good("import", "onnx", "theirs.onnx", "--data", "digits", "--out", "ours.safetensors")
        before = self.good_json("eval", "ours.safetensors")["accuracy"]
        self.good("train", "--init", "ours.safetensors", "--data", "digits", "--model", "cnn:8", "--bias", "--normalize", "unit",
                  "--modulation", "grapes", "--optimizer", "adam", "--learning-rate", "0.005", "--epochs", "6", "--quiet", "--out", "run")
        self.assertGreater(self.good_json("eval", "run")["accuracy"], max(before, 0.8))
        self.assert_same("run", (1, 8, 8), by_onnxruntime)


if __name__ == "__main__":
    main()
