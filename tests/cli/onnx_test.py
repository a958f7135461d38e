#!/usr/bin/env python3
"""ONNX files through the whole program: exported files pass ONNX's checker and give the program's predictions when PyTorch
computes them node by node. tests/readers/onnx_test.py has onnxruntime and qonnx do the same."""
import unittest
import warnings

from program import main

try:
    import numpy as np
    import onnx_files
    import torch
    from onnx_networks import FORMATS, NETWORKS, OnnxProgramTest, TRAIN
    from torch import nn
except ImportError as missing:
    raise unittest.SkipTest(f"python3-onnx, python3-torch and python3-numpy are needed: {missing}")


def run(file, x):
    return onnx_files.run(onnx_files.load(file), x)


class OnnxTest(OnnxProgramTest):
    def test_every_model_and_activation_is_exported(self):
        for name, options in NETWORKS.items():
            with self.subTest(name):
                self.good("train", *TRAIN, *options, "--out", name)
                side = 28 if "--pad" in options else 8
                self.assert_same(name, (1, side, side), run)

    def test_number_formats_become_quant_nodes(self):
        for precision, expected in FORMATS.items():
            with self.subTest(precision):
                run_name = precision.replace(":", "-")
                self.good("train", *TRAIN, "--model", "cnn:4,6", "--bias", "--precision", precision, "--out", run_name)
                self.assert_same(run_name, (1, 8, 8), run)
                model = onnx_files.load(self.folder / "net.onnx")
                kinds = [node.op_type for node in model.graph.node if node.domain == "qonnx.custom_op.general"]
                self.assertEqual({kind: kinds.count(kind) for kind in kinds}, expected)

    def test_the_data_as_they_are_go_in_and_values_come_out(self):
        draw = np.random.default_rng(5)
        x = draw.normal([40, -3, 900], [10, 0.1, 300], (300, 3))
        y = x @ [2.0, -70.0, 0.5] + 1000
        rows = [[*row, target] for row, target in zip(x.tolist(), y.tolist())]
        self.write("houses.csv", "a,b,c,price\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows))
        self.good("train", "--data", "houses.csv", "--model", "mlp:8", "--loss", "mse", "--epochs", "3", "--quiet", "--out", "run")
        self.good("export", "onnx", "run", "--out", "net.onnx")
        values = run(self.folder / "net.onnx", x[:9])
        np.testing.assert_allclose(values, self.predictions("run", x[:9]), rtol=1e-5)
        self.assertGreater(values.mean(), 500)

    def test_logits(self):
        self.good("train", *TRAIN, "--model", "mlp:12", "--out", "run")
        x = np.random.default_rng(1).random((5, 1, 8, 8))
        said = self.good_json("export", "onnx", "run", "--logits", "--out", "net.onnx")
        self.assertEqual(said, {"file": "net.onnx", "input": [-1, 1, 8, 8], "output": [-1, 10],
                                "operators": {"Flatten": 1, "Gemm": 2, "Relu": 1}})
        logits = run(self.folder / "net.onnx", x)
        whole = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(whole, self.predictions("run", x), rtol=1e-5)

    def test_the_same_network_gives_the_same_file(self):
        self.good("train", *TRAIN, "--model", "cnn:4", "--norm", "batch", "--out", "run")
        for name in ("one.onnx", "two.onnx"):
            self.good("export", "onnx", "run", "--out", name)
        self.assertEqual(*((self.folder / name).read_bytes() for name in ("one.onnx", "two.onnx")))

    def test_what_onnx_cannot_express_is_refused(self):
        spiking = ["--model", "snn:8", "--neuron", "lif", "--time-steps", "3", "--loss", "mse"]
        cases = {
            "spikes": (spiking, ["layers.0", "spiking neurons", "grapes export nir"]),
            "analog": (["--model", "mlp:8", "--analog", "ideal"], ["layers.0", "crossbar", "grapes export CHECKPOINT"]),
            "scaled": (["--model", "mlp:8", "--precision", "activations=int8"], ["layers.0", "int8", "activations=q4.4"]),
            "random": (["--model", "cnn:4", "--dropout", "0.2", "--dropout-in-evaluation"],
                       ["layers.1", "dropout", "--no-dropout-in-evaluation"]),
        }
        for name, (options, words) in cases.items():
            with self.subTest(name):
                self.good("train", *TRAIN, *options, "--out", name)
                self.assert_refused(2, words, "export", "onnx", name, "--out", "x.onnx")

    def test_out_and_in_again_is_the_same_network(self):
        for name, options in {"cnn": ["--model", "cnn:6,8", "--norm", "batch", "--modulation", "grapes"],
                              "bits": ["--model", "mlp:9", "--precision", "weights=int4,activations=q2.6,error=e5m2:tensor"]}.items():
            with self.subTest(name):
                self.good("train", *TRAIN, *options, "--out", name)
                self.good("export", "onnx", name, "--out", "net.onnx")
                said = self.good("import", "onnx", "net.onnx", "--out", "ours.safetensors")
                self.assertIn(f"model: {options[1]}\n", said)
                first, second = (self.good_json("eval", file) for file in (name, "ours.safetensors"))
                self.assertEqual({**first, "checkpoint": 0}, {**second, "checkpoint": 0})
                self.good("export", "onnx", "ours.safetensors", "--out", "again.onnx")
                self.assertEqual(*((self.folder / file).read_bytes() for file in ("net.onnx", "again.onnx")))

    def test_a_table_keeps_the_names_and_units_of_its_columns(self):
        rows = [f"{i % 7},{'red' if i % 3 else 'blue'},{1000 + 30 * (i % 7) - 50 * (i % 3 > 0)}" for i in range(200)]
        self.write("sales.csv", "size,color,price\n" + "\n".join(rows) + "\n")
        self.good("train", "--data", "sales.csv", "--targets", "numbers", "--model", "mlp:8", "--epochs", "20", "--quiet", "--out", "run")
        self.good("export", "onnx", "run", "--out", "net.onnx")
        self.good("import", "onnx", "net.onnx", "--out", "ours.safetensors")
        self.write("new.csv", "size,color\n3,red\n0,blue\n")
        first, second = (self.good_json("predict", file, "new.csv") for file in ("run", "ours.safetensors"))
        self.assertEqual(first, second)
        self.assertGreater(first["examples"][0][0]["value"], 500)


class ImportTest(OnnxProgramTest):
    """Networks that PyTorch writes. Its exporter needs no other package; that of PyTorch 2 is in tests/readers."""

    def export(self, network, shape, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(network.eval(), torch.rand(2, *shape), str(self.folder / "net.onnx"), **options)

    def assert_imported(self, network, shape, model, *options, **export):
        self.export(network, shape, **export)
        made = self.good_json("import", "onnx", "net.onnx", "--out", "ours.safetensors", *options)
        self.assertEqual(made["model"], model)
        x = np.random.default_rng(2).random((5, *shape), np.float32)
        with torch.no_grad():
            expected = torch.softmax(network(torch.from_numpy(x)), 1).numpy()
        np.testing.assert_allclose(self.predictions("ours.safetensors", x), expected, rtol=1e-5, atol=1e-7)
        return made

    def test_networks_of_pytorch(self):
        torch.manual_seed(1)
        conv = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 5, 2, 1), nn.ReLU(),
                nn.Flatten(), nn.Dropout(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)]
        for module in conv:
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
        network = nn.Sequential(*conv)
        words = "layers:conv4,max2,conv6k5s2p1,12"
        batch = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
        self.assertTrue(self.assert_imported(network, (1, 8, 8), words, **batch)["bias"])
        # The normalization is not folded into the weights of the file.
        kept = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        self.assert_imported(network, (1, 8, 8), words, **kept)
        self.assert_imported(nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Linear(5, 4, bias=False)), (6,), "mlp:5", **batch)
        self.assert_imported(nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 4)), (6,), "mlp:5")

    def test_a_value_may_be_reshaped_by_the_size_of_its_batch(self):
        class View(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(48, 4)

            def forward(self, x):
                x = nn.functional.max_pool2d(torch.relu(self.first(x)), 2)
                return self.second(x.view(x.size(0), -1))

        self.assert_imported(View(), (1, 8, 8), "cnn:3", input_names=["x"], dynamic_axes={"x": {0: "batch"}})

    def test_inputs_may_be_only_scaled_or_only_shifted(self):
        class Prepared(nn.Module):
            def __init__(self, prepare):
                super().__init__()
                self.prepare, self.last = prepare, nn.Linear(6, 3)

            def forward(self, x):
                return self.last(self.prepare(x))

        torch.manual_seed(3)
        constant = torch.rand(6) + 0.5
        for name, prepare in {"Mul": lambda x: x * 0.01, "Div": lambda x: x / constant, "Sub": lambda x: x - constant,
                              "Add": lambda x: x + 4}.items():
            with self.subTest(name):
                self.assert_imported(Prepared(prepare), (6,), "linear", input_names=["x"], dynamic_axes={"x": {0: "batch"}})

    def test_what_is_learned_further(self):
        torch.manual_seed(2)
        self.export(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), (1, 8, 8))
        self.good("import", "onnx", "net.onnx", "--data", "digits", "--out", "ours.safetensors")
        result = self.good_json("train", "--init", "ours.safetensors", "--data", "digits", "--model", "mlp:16", "--bias",
                                "--normalize", "unit", "--optimizer", "adam", "--learning-rate", "0.005", "--epochs", "6",
                                "--quiet")
        self.assertGreater(result["last"]["test_accuracy"], 0.8)

    def test_what_cannot_be_imported_is_refused(self):
        def refuse(words, network, shape, *options, code=3, **export):
            with self.subTest(words):
                self.export(network, shape, **export)
                self.assert_refused(code, words, "import", "onnx", "net.onnx", "--out", "x.safetensors", *options)

        # Exporters write GELU as an operator of its own or by the error function.
        refuse(["net.onnx", "is an operator that no layer of Grapes computes", "Gemm, MatMul"], nn.Sequential(nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)), (6,))
        refuse(["(Elu)", "no layer of Grapes"], nn.Sequential(nn.Linear(6, 4), nn.ELU(), nn.Linear(4, 3)), (6,))
        refuse(["(LeakyRelu)", "slope 0.01", "0.1"], nn.Sequential(nn.Linear(6, 4), nn.LeakyReLU(), nn.Linear(4, 3)), (6,))
        refuse(["(Tanh)", "relu"], nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)), (6,))
        refuse(["(MaxPool)", "do not overlap"], nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(8, 3)), (1, 8, 8))
        refuse(["(Conv)", "2 groups"], nn.Sequential(nn.Conv2d(2, 2, 3, groups=2), nn.Flatten(), nn.Linear(72, 3)), (2, 8, 8))
        refuse(["[6]", "[1, 8, 8]"], nn.Sequential(nn.Linear(6, 3)), (6,), "--data", "digits", "--quiet")
        refuse(["does not fix the size"], nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)),
               (1, 8, 8), input_names=["x"], dynamic_axes={"x": [0, 2, 3]})
        self.write("cut.onnx", (self.folder / "net.onnx").read_bytes()[:-9])
        self.assert_refused(3, ["cut.onnx", "damaged"], "import", "onnx", "cut.onnx", "--out", "x.safetensors")
        self.assert_refused(3, "none.onnx", "import", "onnx", "none.onnx", "--out", "x.safetensors")


if __name__ == "__main__":
    main()
