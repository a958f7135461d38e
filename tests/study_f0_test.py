#!/usr/bin/env python3
"""experiments/study/f0.py measures what was put in: networks are rescaled by known numbers, unit by unit."""
import base64
import sys
import unittest
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper
except ImportError as missing:
    print(f"skipped: python3-onnx and python3-numpy are needed: {missing}")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiments" / "study"))
from f0_readers import onnx_graph, tensorflow_graph  # noqa: E402
from f0_units import COLUMNS, fixed_point, follow, spread  # noqa: E402

DRAW = np.random.default_rng(3)


def onnx_file(nodes, weights, shape, output):
    """Return an ONNX file of (operation, inputs, output, attributes)."""
    graph = helper.make_graph([helper.make_node(op, inputs, [out], **facts) for op, inputs, out, facts in nodes], "test",
                              [helper.make_tensor_value_info("x", 1, shape)], [helper.make_tensor_value_info(output, 1, None)],
                              [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)]).SerializeToString()


def rows(graph):
    measured, skipped = spread(graph)
    return [dict(zip(COLUMNS, row)) for row in measured], skipped


def normal(*shape):
    return DRAW.normal(size=shape)


def scale(units):
    return np.exp(DRAW.normal(size=units))


# Convolution with batch normalization, pooling, depthwise convolution, flattened into a dense layer
CHAIN = [("Conv", ["x", "w1"], "a", {"pads": [1, 1, 1, 1]}), ("BatchNormalization", ["a", "gamma", "beta", "mean", "variance"], "b", {}),
         ("Relu", ["b"], "c", {}), ("MaxPool", ["c"], "d", {"kernel_shape": [2, 2], "strides": [2, 2]}),
         ("Conv", ["d", "w2", "b2"], "e", {"group": 6}), ("LeakyRelu", ["e"], "f", {"alpha": 0.1}),
         ("Reshape", ["f", "flat"], "g", {}), ("Gemm", ["g", "w3", "b3"], "h", {"transB": 1}),
         ("Relu", ["h"], "i", {}), ("MatMul", ["i", "w4"], "y", {})]


def chain():
    return {"w1": normal(6, 2, 3, 3), "gamma": normal(6), "beta": normal(6), "mean": normal(6), "variance": normal(6) ** 2 + 0.1,
            "w2": normal(6, 1, 2, 2), "b2": normal(6), "w3": normal(9, 6 * 9), "b3": normal(9), "w4": normal(9, 5)}


def file(weights):
    content = onnx.load_from_string(onnx_file(CHAIN, weights, [1, 2, 8, 8], "y"))
    content.graph.initializer.append(numpy_helper.from_array(np.array([1, 54]), "flat"))
    return onnx_graph(content.SerializeToString())


class Spread(unittest.TestCase):
    def layers(self, graph):
        return [layer for node in graph.nodes if node.op == "affine" for layer in [follow(graph, node)] if layer]

    def test_a_chain_has_the_sums_that_its_weights_say(self):
        weights = chain()
        measured, skipped = rows(file(weights))
        gain = weights["gamma"] / np.sqrt(weights["variance"] + 1e-5)
        incoming = [np.abs(weights["w1"]).sum((1, 2, 3)) * np.abs(gain), np.abs(weights["w2"]).sum((1, 2, 3)), np.abs(weights["w3"]).sum(1)]
        outgoing = [np.abs(weights["w2"]).sum((1, 2, 3)), np.abs(weights["w3"]).reshape(9, 6, 9).sum((0, 2)), np.abs(weights["w4"]).sum(1)]
        self.assertEqual(skipped, {})
        self.assertEqual([row["activation"] for row in measured], ["relu", "leaky relu", "relu"])
        for row, into, out in zip(measured, incoming, outgoing):
            self.assertAlmostEqual(row["deviation"], np.std(np.log(into / out)), places=5)
            self.assertEqual((row["units"], row["dead"]), (len(into), 0))

    def test_a_rescaling_adds_twice_its_logarithm(self):
        weights = chain()
        before = self.layers(file(weights))
        points = fixed_point(before)
        c, d = scale(6), scale(9)
        for name in ("gamma", "beta"):
            weights[name] = weights[name] * c
        weights["w2"] = weights["w2"] / c.reshape(6, 1, 1, 1)
        weights["w3"], weights["b3"] = weights["w3"] * d[:, None], weights["b3"] * d
        weights["w4"] = weights["w4"] / d[:, None]
        after = self.layers(file(weights))
        moved = [layer.ratio()[0] - old.ratio()[0] for layer, old in zip(after, before)]
        np.testing.assert_allclose(moved[0], 2 * np.log(c), atol=1e-4)  # depthwise: each unit of the first layer has one reader
        for layer, old, logarithm in zip(after, before, (np.log(c), np.zeros(6), np.log(d))):
            point = fixed_point(after)[layer.node.name]
            np.testing.assert_allclose(point - points[old.node.name], 2 * logarithm, atol=1e-4)

    def test_dead_and_weak_units_are_counted(self):
        weights = chain()
        weights["w3"][2], weights["w3"][5], weights["w4"][5] = 0, weights["w3"][5] / 30, weights["w4"][5] / 30
        row = rows(file(weights))[0][2]
        self.assertEqual((row["units"], row["dead"], row["weak"]), (9, 1, 1))

    def test_branches(self):
        weights = {"w1": normal(4, 3, 1, 1), "w2": normal(4, 4, 1, 1), "w3": normal(5, 4, 1, 1), "w4": normal(2, 9, 1, 1),
                   "six": 6.0, "zero": 0.0}
        nodes = [("Conv", ["x", "w1"], "a", {}), ("Relu", ["a"], "b", {}), ("Conv", ["b", "w2"], "c", {}), ("Add", ["b", "c"], "d", {}),
                 ("Clip", ["d", "zero", "six"], "e", {}), ("Conv", ["e", "w3"], "f", {}), ("Sigmoid", ["f"], "g", {}),
                 ("Mul", ["f", "g"], "h", {}),
                 ("Concat", ["e", "h"], "i", {"axis": 1}), ("Conv", ["i", "w4"], "y", {})]
        measured, skipped = rows(onnx_graph(onnx_file(nodes, weights, [1, 3, 8, 8], "y")))
        self.assertEqual(skipped, {"tied": 2})  # the two that meet in a sum
        self.assertEqual([row["activation"] for row in measured], ["silu"])
        expected = np.log(np.abs(weights["w3"]).sum((1, 2, 3)) / np.abs(weights["w4"][:, 4:]).sum((0, 2, 3)))
        self.assertAlmostEqual(measured[0]["deviation"], np.std(expected), places=5)

    def test_a_prelu_made_of_parts_has_the_weights_of_its_positive_side(self):
        weights = {"w1": normal(6, 3), "w2": normal(2, 6), "slope": np.full(6, 5.0)}
        nodes = [("Gemm", ["x", "w1"], "a", {"transB": 1}), ("Relu", ["a"], "b", {}), ("Abs", ["a"], "c", {}), ("Sub", ["a", "c"], "d", {}),
                 ("Mul", ["d", "slope"], "e", {}), ("Add", ["b", "e"], "f", {}), ("Gemm", ["f", "w2"], "y", {"transB": 1})]
        weights["slope"] *= np.arange(6)
        measured, skipped = rows(onnx_graph(onnx_file(nodes, weights, [1, 3], "y")))
        self.assertEqual(([row["activation"] for row in measured], skipped), (["prelu"], {}))
        expected = np.log(np.abs(weights["w1"]).sum(1) / np.abs(weights["w2"]).sum(0))
        self.assertAlmostEqual(measured[0]["deviation"], np.std(expected), places=5)

    def test_squeeze_and_excitation_leaves_units_apart(self):
        weights = {"w1": normal(6, 3, 1, 1), "w2": normal(4, 6, 1, 1), "w3": normal(6, 4, 1, 1), "w4": normal(2, 6, 1, 1)}
        nodes = [("Conv", ["x", "w1"], "a", {}), ("Relu", ["a"], "b", {}), ("GlobalAveragePool", ["b"], "c", {}),
                 ("Conv", ["c", "w2"], "d", {}), ("Relu", ["d"], "e", {}),
                 ("Conv", ["e", "w3"], "f", {}), ("Sigmoid", ["f"], "g", {}), ("Mul", ["b", "g"], "h", {}),
                 ("Conv", ["h", "w4"], "y", {})]
        measured, skipped = rows(onnx_graph(onnx_file(nodes, weights, [1, 3, 8, 8], "y")))
        self.assertEqual(([row["activation"] for row in measured], skipped), (["relu", "relu", "sigmoid"], {}))
        out = np.abs(weights["w2"]).sum((0, 2, 3)) + np.abs(weights["w4"]).sum((0, 2, 3))
        self.assertAlmostEqual(measured[0]["deviation"], np.std(np.log(np.abs(weights["w1"]).sum((1, 2, 3)) / out)), places=5)

    def test_weights_that_two_layers_share_are_skipped(self):
        weights = {"w1": normal(4, 3), "w2": normal(4, 4), "w3": normal(4, 4)}
        nodes = [("MatMul", ["x", "first"], "a", {}), ("Relu", ["a"], "b", {}), ("MatMul", ["b", "w2"], "c", {}), ("Relu", ["c"], "d", {}),
                 ("MatMul", ["d", "again"], "e", {}), ("Relu", ["e"], "f", {}), ("MatMul", ["f", "w3"], "y", {})]
        weights = {"first": weights["w1"].T, "w2": weights["w2"], "again": weights["w2"], "w3": weights["w3"]}
        self.assertEqual(rows(onnx_graph(onnx_file(nodes, weights, [1, 3], "y")))[1], {"shared": 3})

    def test_tensorflow_gives_what_onnx_gives(self):
        weights = {"w1": normal(4, 3, 3, 3), "b1": normal(4), "w2": normal(4, 1, 3, 3), "w3": normal(5, 4 * 9), "w4": normal(2, 5)}
        nodes = [("Conv", ["x", "w1", "b1"], "a", {}), ("Relu", ["a"], "b", {}),
                 ("Conv", ["b", "w2"], "c", {"group": 4}), ("Flatten", ["c"], "d", {}), ("Gemm", ["d", "w3"], "e", {"transB": 1}),
                 ("Relu", ["e"], "f", {}), ("Gemm", ["f", "w4"], "y", {"transB": 1})]
        stored = {"w1": weights["w1"].transpose(2, 3, 1, 0), "b1": weights["b1"], "w2": weights["w2"].transpose(2, 3, 0, 1),
                  "w3": weights["w3"].reshape(5, 4, 3, 3).transpose(2, 3, 1, 0).reshape(36, 5),
                  "w4": weights["w4"].T, "to": np.array([-1, 36])}
        kinds = [base64.b64encode(kind).decode() for kind in (b"BiasAdd", b"Relu")]
        graph = [("_FusedConv2D", ["x", "w1", "b1"], {"fused_ops": {"list": {"s": kinds}}}),
                 ("DepthwiseConv2dNative", ["_FusedConv2D", "w2"], {}), ("Reshape", ["DepthwiseConv2dNative", "to"], {}),
                 ("_FusedMatMul", ["Reshape", "w3"], {"fused_ops": {"list": {"s": kinds[1:]}}}),
                 ("MatMul", ["_FusedMatMul", "w4"], {})]
        model = {"weightsManifest": [{"weights": [{"name": name, "shape": list(value.shape),
                                                   "dtype": "int32" if name == "to" else "float32"}
                                                  for name, value in stored.items()]}],
                 "modelTopology": {"node": [{"name": op, "op": op, "input": inputs, "attr": facts} for op, inputs, facts in graph]}}
        content = b"".join(value.astype("i4" if name == "to" else "f4").tobytes() for name, value in stored.items())
        one, two = rows(onnx_graph(onnx_file(nodes, weights, [1, 3, 7, 7], "y"))), rows(tensorflow_graph(model, content))
        self.assertEqual((len(one[0]), one[1], two[1]), (3, {}, {}))
        for a, b in zip(*(found[0] for found in (one, two))):
            self.assertAlmostEqual(a["deviation"], b["deviation"], places=6)
            self.assertAlmostEqual(a["fixed point"], b["fixed point"], places=6)
            self.assertEqual(a["activation"], b["activation"])


if __name__ == "__main__":
    unittest.main()
