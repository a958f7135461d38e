"""Readers of networks for f0.py: each gives the graphs of f0_units.py. No reader runs code of the file that it reads."""

import base64
import json
import re

import numpy as np
import onnx
from onnx import helper, numpy_helper

from f0_units import Graph, Node

KEPT = {  # operation of ONNX or TensorFlow: activation, where "" is none
    "Relu": "relu", "LeakyRelu": "leaky relu", "PRelu": "prelu", "Prelu": "prelu", "Abs": "abs", "Neg": "",
    "Identity": "", "Cast": "", "Dropout": "", "MaxPool": "", "AveragePool": "", "AvgPool": "",
    "GlobalAveragePool": "", "GlobalMaxPool": "", "Pad": "", "PadV2": "", "MirrorPad": "",
    "Resize": "", "Upsample": "", "ResizeBilinear": "", "ResizeNearestNeighbor": "", "SpaceToBatchND": "", "BatchToSpaceND": "",
    "Relu6": "clip", "Clip": "clip", "Sigmoid": "sigmoid", "HardSigmoid": "hard sigmoid", "Tanh": "tanh", "Elu": "elu",
    "Softplus": "softplus", "HardSwish": "hard-swish", "Erf": "erf", "Exp": "exp", "Sqrt": "root", "Square": "square",
}


def operation(op, name, inputs, outputs, constants):
    """Return the node of an operation that ONNX and TensorFlow have in common."""
    node = Node(op, name, [one for one in inputs if one and one not in constants], outputs, facts={"all": inputs})
    fixed = [np.asarray(constants[one], float) for one in inputs if one in constants]
    if op in KEPT:
        node.inputs = node.inputs[:1]
        node.op, node.activation = "keep", KEPT[op]
    elif op in ("Maximum", "Minimum") and fixed:
        node.op, node.activation = "keep", "clip" if np.any(fixed[0]) else "relu" if op == "Maximum" else "negative part"
    elif op in ("Add", "AddV2", "BiasAdd", "Sub", "AddN", "Sum"):
        if len(node.inputs) == 1 and len(fixed) == 1:
            node.op, node.shift = "scale", -fixed[0] if op == "Sub" else fixed[0]
            node.gain = np.array(-1.0 if op == "Sub" and inputs[0] in constants else 1.0)
        else:
            node.op = "sum"
    elif op == "Mul":
        if len(node.inputs) == 1 and len(fixed) == 1:
            node.op, node.gain, node.shift = "scale", fixed[0], np.array(0.0)
        else:
            node.op = "product"
    elif op in ("Div", "RealDiv") and len(fixed) == 1 and inputs[0] not in constants:
        node.op, node.gain, node.shift = "scale", 1 / fixed[0], np.array(0.0)
    return node


def normalization(node, gamma, beta, mean, variance, epsilon):
    gain = np.asarray(gamma, float) / np.sqrt(np.asarray(variance, float) + epsilon)
    node.op, node.gain, node.shift, node.by_channel = "scale", gain, np.asarray(beta, float) - mean * gain, True
    return node


def onnx_graph(content):
    """Return the graph of an ONNX file; what its control flow contains is not looked into."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    shapes = {one.name: [d.dim_value if d.HasField("dim_value") else None for d in one.type.tensor_type.shape.dim]
              for one in [*model.graph.value_info, *model.graph.input, *model.graph.output] if one.type.tensor_type.HasField("shape")}
    nodes = []
    for at, one in enumerate(model.graph.node):
        facts = {fact.name: helper.get_attribute_value(fact) for fact in one.attribute}
        inputs, outputs, op = list(one.input), list(one.output), one.op_type
        if op == "Constant" and "value" in facts:
            constants[outputs[0]] = numpy_helper.to_array(facts["value"])
            continue
        if inputs and all(name in constants for name in inputs if name) and op in FOLDED:
            constants[outputs[0]] = FOLDED[op](constants[inputs[0]], facts, *[constants[name] for name in inputs[1:]])
            continue
        node = operation(op, one.name.split(";")[0] or f"{op}.{at}", inputs, outputs, constants)
        nodes.append(node)
        given = [constants.get(name) for name in inputs]
        if op in ("Conv", "ConvTranspose", "Gemm", "MatMul") and given[1] is not None and inputs[0] not in constants and given[1].ndim > 1:
            weight, bias = np.asarray(given[1], float), given[2] if len(given) > 2 else None
            groups = facts.get("group", 1)
            if op == "ConvTranspose":  # [in, out / groups, ...]
                inputs_each, kernel = weight.shape[0] // groups, weight.shape[2:]
                weight = weight.reshape(groups, inputs_each, -1, *kernel).swapaxes(1, 2).reshape(-1, inputs_each, *kernel)
            if op in ("Gemm", "MatMul"):
                if weight.ndim > 2:
                    continue
                weight = weight if facts.get("transB") else weight.T
            node.op, node.weight, node.bias, node.groups = "affine", weight, bias, groups
            node.axis = 1 - weight.ndim if weight.ndim > 2 else -1
        elif op == "BatchNormalization":
            normalization(node, *given[1:5], facts.get("epsilon", 1e-5))
        elif op == "Clip":
            low, high = (given[1:] + [None, None])[:2] if len(inputs) > 1 else (facts.get("min"), facts.get("max"))
            node.activation = "relu" if low == 0 and high is None else "clip"
        elif op == "Transpose":
            node.op, node.facts = "transpose", {"permutation": list(facts["perm"])}
        elif op == "Concat":
            node.op, node.inputs, node.facts = "concat", inputs, {"axis": facts["axis"]}
        elif op == "Split":
            sizes = facts.get("split") if len(inputs) < 2 else given[1]
            if sizes is not None:
                node.op, node.facts = "split", {"axis": facts.get("axis", 0), "sizes": [int(size) for size in sizes]}
        elif op in ("ReduceMean", "ReduceSum", "ReduceMax"):
            axes = facts.get("axes") if len(inputs) < 2 else given[1]
            axes = None if axes is None else [int(axis) for axis in axes]
            node.op, node.facts = "reduce", {"axes": axes, "keep": facts.get("keepdims", 1)}
        elif op in ("Reshape", "Flatten", "Squeeze", "Unsqueeze"):
            node.op, node.inputs, node.facts = "reshape", node.inputs[:1], {}
            if op == "Reshape" and given[1] is not None:
                node.facts = {"shape": [int(size) for size in given[1]]}
    return Graph(nodes, [one.name for one in model.graph.output], shapes)


FOLDED = {
    "Identity": lambda x, facts: x, "Cast": lambda x, facts: x, "Transpose": lambda x, facts: np.transpose(x, facts.get("perm")),
    "Reshape": lambda x, facts, shape: np.reshape(x, [int(size) for size in shape]),
    "Unsqueeze": lambda x, facts, *axes: np.expand_dims(x, tuple(int(one) for one in (axes[0] if axes else facts["axes"]))),
}


def tensorflow_weights(manifest, content):
    """Return the weights of a TensorFlow.js manifest by name, in its units where they are stored in 8 or 16 bits."""
    weights, at = {}, 0
    for one in manifest:
        shape, packed = one["shape"], one.get("quantization")
        kind = np.dtype({"bool": "u1", "complex64": "c8"}.get(one["dtype"], packed["dtype"] if packed else one["dtype"]))
        if one["dtype"] == "string":
            raise ValueError(f"{one['name']}: strings are not read")
        count = int(np.prod(shape))
        raw = np.frombuffer(content, kind, count, at)
        at += count * kind.itemsize
        if packed and kind.kind == "u":
            raw = raw * float(packed["scale"]) + float(packed["min"])
        weights[one["name"]] = raw.reshape(shape)
    return weights


def out_first(weight, transposed=False):
    """Return TensorFlow's [height, width, in, out] as [out, in, height, width]."""
    return np.asarray(weight, float).transpose((2, 3, 0, 1) if transposed else (3, 2, 0, 1))


def depthwise(weight):
    """Return TensorFlow's [height, width, channels, multiplier] as [channels * multiplier, 1, height, width]."""
    weight = np.asarray(weight, float)
    return weight.transpose(2, 3, 0, 1).reshape(-1, 1, *weight.shape[:2])


def text(fact):
    return base64.b64decode(fact).decode()


def tensorflow_graph(model, content):
    """Return the graph of a TensorFlow.js graph model: the document of its .json file, and the bytes of its .bin files."""
    constants = tensorflow_weights([one for group in model["weightsManifest"] for one in group["weights"]], content)
    nodes, read = [], set()
    for one in model["modelTopology"]["node"]:
        facts, op, name = one.get("attr", {}), one["op"], one["name"]
        inputs = [value.removesuffix(":0") for value in one.get("input", []) if not value.startswith("^")]
        read.update(inputs)
        if op in ("Const", "Placeholder"):
            continue
        if op == "Identity" and inputs[0] in constants:
            constants[name] = constants[inputs[0]]
            continue
        given = [constants.get(value) for value in inputs]
        node = operation(op, name, inputs, [name], constants)
        nodes.append(node)
        plain = op.replace("_Fused", "").replace("Fused", "").removesuffix("Native").removesuffix("dNative")
        back = plain == "Conv2DBackpropInput"
        kernel = given[1] if len(given) > 1 else None
        if (plain in ("Conv2D", "MatMul", "DepthwiseConv2d") or back) and kernel is not None:
            fused = [text(kind) for kind in facts.get("fused_ops", {}).get("list", {}).get("s", [])]
            node.op, node.inputs = "affine", inputs[2:3] if back else inputs[:1]
            node.axis = -3 if "data_format" in facts and text(facts["data_format"]["s"]) == "NCHW" else -1
            if plain == "MatMul":
                node.weight = np.asarray(kernel, float) if facts.get("transpose_b", {}).get("b") else np.asarray(kernel, float).T
            elif plain == "DepthwiseConv2d":
                node.weight, node.groups = depthwise(kernel), kernel.shape[2]
            else:
                node.weight = out_first(kernel, back)
            node.bias = given[2] if "BiasAdd" in fused else None
            for kind in fused:
                if kind != "BiasAdd":  # the activation is a node of its own
                    node.outputs = [f"{name} before {kind}"]
                    node = operation(kind, f"{name}.{kind}", node.outputs, [name], {})
                    nodes.append(node)
        elif op in ("ConcatV2", "Concat"):
            axis = given[-1] if op == "ConcatV2" else given[0]
            values = inputs[:-1] if op == "ConcatV2" else inputs[1:]
            if axis is not None:
                node.op, node.inputs, node.facts = "concat", values, {"axis": {3: -1}.get(int(axis), int(axis))}
        elif op == "Squeeze" and facts.get("squeeze_dims", {}).get("list", {}).get("i"):
            node.op, node.facts = "reduce", {"axes": [int(axis) for axis in facts["squeeze_dims"]["list"]["i"]], "keep": False}
        elif op in ("Mean", "Max", "Sum"):
            if given[1] is not None:
                axes = [int(axis) for axis in np.ravel(given[1])]
                node.op, node.facts = "reduce", {"axes": axes, "keep": facts.get("keep_dims", {}).get("b", False)}
        elif op == "Transpose" and given[1] is not None:
            node.op, node.facts = "transpose", {"permutation": [int(axis) for axis in given[1]]}
        elif op == "Reshape" and given[1] is not None:
            node.op, node.facts = "reshape", {"shape": [int(size) for size in given[1]]}
    # What nothing reads is an output.
    return Graph(nodes, [value for node in nodes for value in node.outputs if value not in read and "before" not in value])


def javascript(content):
    """Return what a minified JavaScript module exports: one object or one string."""
    body = re.search(r"exports=(\{.*\}|\".*\")\},\{\}\]", content, re.DOTALL)[1]
    body = re.sub(r"([{,])([A-Za-z_$][\w$]*):", r'\1"\2":', body).replace("!0", "true").replace("!1", "false").replace("void 0", "null")
    return json.loads(re.sub(r"([\[,:])(-?)\.(\d)", r"\1\g<2>0.\3", body)) if body[0] == "{" else body[1:-1]


def keras_graph(model, content):
    """Return the graph of a TensorFlow.js layers model."""
    weights = tensorflow_weights([one for group in model["weightsManifest"] for one in group["weights"]], content)
    config, nodes = model["modelTopology"]["model_config"]["config"], []
    for layer in config["layers"]:
        facts, kind, name = layer["config"], layer["class_name"], layer["name"]
        inputs = [one[0] for one in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []
        of = {key.rsplit("/", 1)[1]: value for key, value in weights.items() if key.rsplit("/", 1)[0] == name}
        node = Node(kind, name, inputs, [name])
        if kind == "InputLayer":
            continue
        nodes.append(node)
        if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            node.op, node.bias = "affine", of.get("bias")
            if kind == "Conv2D":
                node.weight = out_first(of["kernel"])
            elif kind == "Dense":
                node.weight = np.asarray(of["kernel"], float).T
            else:
                node.weight, node.groups = depthwise(of["depthwise_kernel"]), of["depthwise_kernel"].shape[2]
            if facts["activation"] != "linear":
                node.outputs = [f"{name} before {facts['activation']}"]
                nodes.append(Node("keep", f"{name}.{facts['activation']}", node.outputs, [name], activation=facts["activation"]))
        elif kind == "BatchNormalization":
            one = np.ones_like(of["moving_mean"])
            normalization(node, of.get("gamma", one), of.get("beta", 0 * one), of["moving_mean"], of["moving_variance"], facts["epsilon"])
        elif kind in ("Activation", "ReLU"):
            node.op, node.activation = "keep", facts.get("activation", "relu" if facts.get("max_value") is None else "clip")
        elif kind in ("MaxPooling2D", "AveragePooling2D", "ZeroPadding2D", "Dropout"):
            node.op = "keep"
        elif kind == "GlobalAveragePooling2D":
            node.op, node.facts = "reduce", {"axes": [-3, -2], "keep": False}
        elif kind == "Concatenate":
            node.op, node.facts = "concat", {"axis": {3: -1}.get(facts["axis"], facts["axis"])}
        elif kind == "Add":
            node.op = "sum"
        elif kind == "Flatten":
            node.op, node.facts = "reshape", {"flatten": True}
    return Graph(nodes, [one[0] for one in config["output_layers"]])
