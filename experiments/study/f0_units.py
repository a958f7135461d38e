"""How unlike the units of a layer are: the deviation of log(r_in / r_out) for every hidden layer of a network given as a graph.

r_in is the sum of the absolute incoming weights of a unit (a channel of a convolution), r_out that of its outgoing ones. The incoming
weights of a positively homogeneous unit can be multiplied by c > 0, and its outgoing ones divided by c; the network still computes the
same. This adds 2 log c to log(r_in / r_out).

A graph is a list of nodes. From a node with weights, the units are followed forward through operations that keep units apart, to all
nodes with weights that read them. What the readers in f0_readers.py call the operations:

    affine     weights [out, in / groups, kernel...], bias; the channels are on the same axis of input and output, counted from the end
    scale      gain and shift, constant in each channel, like batch normalization
    keep       anything that leaves the axes as they are: activation functions and pooling
    reduce     a mean over axes; concat; sum (of values); product (of values); transpose; reshape; slice; split
    NAME       any other operation: the units behind it are not followed
"""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

HOMOGENEOUS = {"none", "relu", "leaky relu", "prelu", "abs", "negative part"}
DEAD = 1e-6  # of the median of r_in or r_out
WEAK = 1e-2  # of the median of r_in r_out: units that contribute little, whatever the scale of their weights
ITSELF = "times itself"
NAMES = {frozenset({"relu", "abs"}): "prelu", frozenset({"relu", "negative part"}): "prelu",
         frozenset({"sigmoid", ITSELF}): "silu", frozenset({"clip", ITSELF}): "hard-swish",
         frozenset({"hard sigmoid", ITSELF}): "hard-swish", frozenset({ITSELF}): "square"}


@dataclass(eq=False)
class Node:
    op: str
    name: str
    inputs: list
    outputs: list
    weight: np.ndarray = None
    bias: np.ndarray = None
    groups: int = 1
    axis: int = -1
    source: str = ""  # tells whether two nodes share their weights, under whatever names these are stored
    activation: str = ""
    gain: np.ndarray = None
    shift: np.ndarray = None
    by_channel: bool = False  # gain and shift are numbers of the channels, wherever these are
    facts: dict = field(default_factory=dict)


@dataclass
class Trail:
    """Where the units of a layer are in a value: unit[p] is the unit at position p of the axis, or -1."""
    unit: np.ndarray
    gain: np.ndarray
    shift: np.ndarray
    axis: int
    rank: int
    activations: frozenset = frozenset()

    def take(self, positions):
        """Return the trail of other positions of the same axis; -1 is one without a unit."""
        def taken(array, empty):
            return np.where(positions < 0, empty, array[positions])
        return replace(self, unit=taken(self.unit, -1), gain=taken(self.gain, 0.0), shift=taken(self.shift, 0.0))


class Stop(Exception):
    """The units cannot be followed; the message is the reason."""


def along(constant, axis, size, by_channel):
    """Return a constant that is added to or multiplies a value as one number per position of the axis, or None."""
    constant = np.asarray(constant, float)
    if by_channel and constant.shape == (size,):
        return constant
    if constant.size == 1:
        return np.full(size, constant.ravel()[0])
    if constant.ndim < -axis or constant.shape[axis] != size or constant.size != size:
        return None
    return constant.ravel()


class Graph:
    def __init__(self, nodes, outputs, shapes=None):
        self.nodes, self.outputs, self.shapes = nodes, set(outputs), shapes or {}
        self.maker = {output: node for node in nodes for output in node.outputs}
        self.readers = defaultdict(list)
        for node in nodes:
            for value in dict.fromkeys(node.inputs):
                self.readers[value].append(node)
        weighted = [node for node in nodes if node.op == "affine"]
        for node in weighted:
            node.source = hashlib.sha256(repr(node.weight.shape).encode() + np.ascontiguousarray(node.weight).tobytes()).hexdigest()
        self.shared = Counter(node.source for node in weighted)
        self.known_sources, self.known_feeds = {}, {}

    def sources(self, value):
        """Return the nodes with weights, and inputs, that a value depends on without other weights between."""
        if value not in self.known_sources:
            node = self.maker.get(value)
            self.known_sources[value] = set()  # ends loops
            if node is None:
                found = {value}
            elif node.op == "affine":
                found = {node}
            else:
                found = set().union(*[self.sources(one) for one in node.inputs]) if node.inputs else set()
            self.known_sources[value] = found
        return self.known_sources[value]

    def feeds(self, value):
        """Return whether weights follow, so that the units of this value are hidden ones."""
        if value not in self.known_feeds:
            self.known_feeds[value] = False
            self.known_feeds[value] = any(node.op == "affine" or any(map(self.feeds, node.outputs)) for node in self.readers[value])
        return self.known_feeds[value]

    def width(self, value, axis, rank=None):
        """Return how many positions an axis of a value has, or None."""
        shape = self.shapes.get(value)
        if shape and isinstance(shape[axis], int):
            return shape[axis]
        node = self.maker.get(value)
        if node is None:
            return None
        if node.op == "affine":
            return len(node.weight) if node.axis == axis else None
        if node.op == "transpose":
            rank = len(node.facts["permutation"])
            return self.width(node.inputs[0], node.facts["permutation"][axis] - rank, rank)
        if node.op in ("scale", "keep", "sum", "product", "concat"):
            widths = [self.width(one, axis, rank) for one in node.inputs]
            together = sum if node.op == "concat" and self.concat_axis(node, rank) == axis else max
            return None if None in widths else together(widths)
        return None

    def rank(self, value, trail):
        shape = self.shapes.get(value)
        return len(shape) if shape else trail.rank

    def concat_axis(self, node, rank):
        axis = node.facts["axis"]
        rank = next((len(self.shapes[one]) for one in node.inputs if self.shapes.get(one)), rank)
        return axis if axis < 0 else axis - rank if rank else None

    def folded(self, node):
        """Return the node with the scales that follow it directly folded into its weights, and the value behind them."""
        value, weight, bias = node.outputs[0], node.weight, np.zeros(len(node.weight)) if node.bias is None else node.bias
        while len(self.readers[value]) == 1 and value not in self.outputs and self.readers[value][0].op == "scale":
            after = self.readers[value][0]
            gain, shift = (along(one, node.axis, len(weight), after.by_channel) for one in (after.gain, after.shift))
            if gain is None:
                break
            weight = weight * gain.reshape(-1, *[1] * (weight.ndim - 1))
            bias = bias * gain + (0 if shift is None else shift)
            value = after.outputs[0]
        return replace(node, weight=weight, bias=bias), value

    def step(self, node, value, trail, start):
        """Return the trails behind a node as (output, trail) pairs."""
        size, out = len(trail.unit), node.outputs
        if node.op == "scale":
            gain, shift = (along(one, trail.axis, size, node.by_channel) for one in (node.gain, node.shift))
            if gain is None:
                raise Stop("Mul")
            return [(out[0], replace(trail, gain=trail.gain * gain, shift=trail.shift * gain + (0 if shift is None else shift)))]
        if node.op == "keep":
            more = {node.activation} if node.activation else set()
            return [(out[0], replace(trail, activations=trail.activations | more))]
        if node.op in ("sum", "product"):
            others = set().union(*[self.sources(one) for one in node.inputs if one != value]) if len(set(node.inputs)) > 1 else {start}
            if node.op == "sum":
                if others - {start}:
                    raise Stop("tied")
                return [(out[0], trail)]
            return [(out[0], replace(trail, activations=trail.activations | (set() if others - {start} else {ITSELF})))]
        if node.op == "concat":
            axis = self.concat_axis(node, trail.rank)
            if axis is None:
                raise Stop("Concat")
            if axis != trail.axis:
                return [(out[0], trail)]
            parts = []
            for one in node.inputs:
                width = size if one == value else self.width(one, axis, trail.rank)
                if width is None:
                    raise Stop("Concat")
                parts.append(np.arange(size) if one == value else np.full(width, -1))
            return [(out[0], trail.take(np.concatenate(parts)))]
        if node.op == "transpose":
            permutation = node.facts["permutation"]
            rank = len(permutation)
            return [(out[0], replace(trail, axis=permutation.index(rank + trail.axis) - rank, rank=rank))]
        if node.op == "reshape":
            return [(out[0], self.reshaped(node, value, trail))]
        if node.op == "reduce":
            rank = self.rank(value, trail)
            axes = node.facts["axes"]
            if axes is None or (rank is None and any(one >= 0 for one in axes)):
                raise Stop("ReduceMean")
            axes = [one if one < 0 else one - rank for one in axes]
            if trail.axis in axes:
                raise Stop("normalized")
            moved = 0 if node.facts["keep"] else len(axes)
            before = 0 if node.facts["keep"] else sum(one > trail.axis for one in axes)
            return [(out[0], replace(trail, axis=trail.axis + before, rank=rank and rank - moved))]
        if node.op == "split":
            axis, sizes = node.facts["axis"], node.facts["sizes"]
            rank = self.rank(value, trail)
            if axis >= 0:
                axis = axis - rank if rank else None
            if axis != trail.axis:
                raise Stop("Split")
            ends = np.cumsum([0, *sizes])
            return [(one, trail.take(np.arange(low, high))) for one, low, high in zip(out, ends, ends[1:])]
        raise Stop(node.op)

    def reshaped(self, node, value, trail):
        """Follow the units through a reshape that keeps their axis apart, or that flattens it with those beside it."""
        size, old, new = len(trail.unit), self.shapes.get(value), self.shapes.get(node.outputs[0]) or node.facts.get("shape")
        if new is None and trail.axis == -1 and node.facts.get("flatten"):  # channels last; the reader says how many positions there are
            new = next(([-1, one.weight.shape[1]] for one in self.readers[node.outputs[0]] if one.op == "affine"), None)
        if new is None:
            raise Stop("Reshape")
        inner = old and old[len(old) + trail.axis + 1:]
        if trail.axis == -1 and isinstance(new[-1], int) and new[-1] > 0 and new[-1] % size == 0:  # channels last
            return replace(trail.take(np.tile(np.arange(size), new[-1] // size)), axis=-1, rank=len(new))
        if inner is None or not all(isinstance(one, int) for one in inner):
            raise Stop("Reshape")
        inside, behind = int(np.prod(inner)), 1
        for axis in range(-1, -len(new) - 1, -1):
            here = new[axis]
            if here == size and behind == inside:
                return replace(trail, axis=axis, rank=len(new))
            if behind == 1 and isinstance(here, int) and inside > 1 and here % (size * inside) == 0:
                return replace(trail.take(np.tile(np.repeat(np.arange(size), inside), here // (size * inside))), axis=axis, rank=len(new))
            if not isinstance(here, int):
                break
            behind *= here
        raise Stop("Reshape")


@dataclass
class Edge:
    """One node that reads units: at position p of its input is unit[p], times gain[p], plus shift[p]."""
    node: Node
    unit: np.ndarray
    gain: np.ndarray
    shift: np.ndarray

    def matrix(self):
        """Return the absolute weights [groups, out / groups, in / groups], summed over the kernel, and times the gain."""
        weight, groups = np.abs(self.node.weight), self.node.groups
        weight = weight.reshape(*weight.shape[:2], -1).sum(2)
        return weight.reshape(groups, -1, weight.shape[1]) * np.abs(self.gain).reshape(groups, 1, -1)

    def outgoing(self, matrix, units):
        sums, kept = matrix.sum(1).ravel(), self.unit >= 0
        return np.bincount(self.unit[kept], sums[kept], units)


@dataclass
class Layer:
    node: Node
    edges: list
    activation: str
    skipped: str = ""

    @property
    def homogeneous(self):
        return set(self.activation.split("+")) <= HOMOGENEOUS

    def ratio(self, incoming=None, matrices=None):
        """Return log(r_in / r_out) of the living units, which units are alive, and which of those are not weak."""
        units = len(self.node.weight)
        r_in = (np.abs(self.node.weight) if incoming is None else incoming).reshape(units, -1).sum(1)
        r_out = sum(edge.outgoing(matrix, units) for edge, matrix in zip(self.edges, matrices or [edge.matrix() for edge in self.edges]))
        alive = (r_in > DEAD * np.median(r_in)) & (r_out > DEAD * np.median(r_out))
        through = (r_in * r_out)[alive]  # no rescaling changes this product
        return np.log(r_in[alive] / r_out[alive]), alive, through >= WEAK * (np.median(through) if len(through) else 0)

    def by_chance(self, random):
        """Return the deviation if the same absolute weights were spread over the units at random: what remains is due to few weights."""
        incoming = random.permutation(np.abs(self.node.weight).ravel()).reshape(self.node.weight.shape)
        matrices = []
        for edge in self.edges:
            gains = np.abs(edge.gain).reshape(edge.node.groups, 1, -1, 1)
            weight = np.abs(edge.node.weight).reshape(edge.node.groups, -1, edge.node.weight.shape[1], edge.node.weight[0, 0].size) * gains
            kept = np.broadcast_to((edge.unit >= 0).reshape(edge.node.groups, 1, -1, 1), weight.shape)
            weight[kept] = random.permutation(weight[kept])
            matrices.append(weight.sum(3))
        return np.std(self.ratio(incoming, matrices)[0])


def follow(graph, start):
    """Return the layer of a node with weights, or None if no weights follow."""
    node, value = graph.folded(start)
    if not graph.feeds(start.outputs[0]):
        return None
    units = len(node.weight)
    rank = node.weight.ndim if node.weight.ndim > 2 else None
    open_trails = [(value, Trail(np.arange(units), np.ones(units), np.zeros(units), node.axis, rank))]
    edges, activations, reasons = {}, set(), Counter()
    if graph.shared[start.source] > 1:
        reasons["shared"] += 1
    while open_trails:
        value, trail = open_trails.pop(0)
        if value in graph.outputs:
            reasons["output"] += 1
        for reader in graph.readers[value]:
            if reader.op == "Shape":  # depends on no unit
                continue
            if reader.op == "affine":
                inputs = reader.weight.shape[1] * reader.groups
                if reader.inputs[0] != value or reader.axis != trail.axis or len(trail.unit) != inputs:
                    reasons["unclear"] += 1
                    continue
                if graph.shared[reader.source] > 1:
                    reasons["shared"] += 1
                activations |= trail.activations
                # A PReLU that is a sum of operations reaches its reader several times, first on its positive side, which has gain 1.
                edges.setdefault((id(reader), trail.unit.tobytes()), Edge(reader, trail.unit, trail.gain, trail.shift))
                continue
            try:
                open_trails += graph.step(reader, value, trail, start)
            except Stop as reason:
                hidden = str(reason) == "tied" or graph.feeds(reader.outputs[0])
                reasons[str(reason) if hidden else "output"] += 1
    edges = [Edge(graph.folded(edge.node)[0], edge.unit, edge.gain, edge.shift) for edge in edges.values()]
    named = NAMES.get(frozenset(activations)) or "+".join(sorted(activations)) or "none"
    worst = next((one for one in ("tied", "shared", "normalized", "output") if reasons[one]), next(iter(reasons), ""))
    return Layer(node, edges, named, worst or ("" if edges else "unclear"))


def fixed_point(layers):
    """Return log s² of each layer's units: s_j² = (sum |W_ji| s_i + |b_j|) / (sum |W_kj| / s_k), and s = 1 for inputs and outputs.

    Biases are those of the layer with the shifts of what comes before it, as if it were not padded.
    """
    place = {layer.node.name: layer for layer in layers}
    into = defaultdict(list)
    for layer in layers:
        for edge in layer.edges:
            into[edge.node.name].append((layer, edge))
    bias = {}
    for layer in layers:
        node = layer.node
        bias[node.name] = node.bias.copy()
        for _, edge in into[node.name]:
            sums = node.weight.reshape(*node.weight.shape[:2], -1).sum(2).reshape(node.groups, -1, node.weight.shape[1])
            bias[node.name] += (sums * edge.shift.reshape(node.groups, 1, -1)).sum(2).ravel()
    matrices = {id(edge): edge.matrix() for layer in layers for edge in layer.edges}
    scale = {layer.node.name: np.ones(len(layer.node.weight)) for layer in layers}
    plain = {layer.node.name: np.abs(layer.node.weight) for layer in layers}
    for _ in range(10000):
        change = 0.0
        for layer in layers:
            name, units = layer.node.name, len(layer.node.weight)
            incoming = np.abs(bias[name])
            if into[name]:
                for before, edge in into[name]:
                    s = np.where(edge.unit >= 0, scale[before.node.name][edge.unit], 0.0)
                    incoming = incoming + (matrices[id(edge)] * s.reshape(edge.node.groups, 1, -1)).sum(2).ravel()
            else:
                incoming = incoming + plain[name].reshape(units, -1).sum(1)
            outgoing = np.zeros(units)
            for edge in layer.edges:
                after = scale[edge.node.name] if edge.node.name in place else np.ones(len(edge.node.weight))
                outgoing += edge.outgoing(matrices[id(edge)] / after.reshape(edge.node.groups, -1, 1), units)
            alive = (incoming > 0) & (outgoing > 0)
            new = np.where(alive, np.sqrt(np.divide(incoming, outgoing, where=alive, out=np.ones(units))), 1.0)
            change = max(change, np.max(np.abs(np.log(new / scale[name]))))
            scale[name] = new
        if change < 1e-9:
            return {name: 2 * np.log(s) for name, s in scale.items()}
    raise ValueError("the fixed point is not reached after 10,000 steps")


COLUMNS = ["layer", "units", "inputs", "dead", "weak", "deviation", "strong", "chance", "fixed point", "activation"]


def spread(graph):
    """Return a row of COLUMNS for each hidden layer that can be measured, and how many were skipped, by reason."""
    layers, skipped = [], Counter()
    for node in graph.nodes:
        layer = follow(graph, node) if node.op == "affine" else None
        if layer is None:
            continue
        if not layer.skipped and layer.ratio()[2].sum() < 2:
            layer.skipped = "one unit"
        if layer.skipped:
            skipped[layer.skipped] += 1
        else:
            layers.append(layer)
    chain = layers and not skipped and all(layer.homogeneous and len(layer.edges) == 1 for layer in layers)
    point, random, rows = fixed_point(layers) if chain else {}, np.random.default_rng(0), []
    for layer in layers:
        name = layer.node.name
        ratio, alive, strong = layer.ratio()
        numbers = [np.std(ratio), np.std(ratio[strong]), layer.by_chance(random), np.std(point[name][alive]) if chain else None]
        rows.append([name, len(alive), layer.node.weight[0].size, int((~alive).sum()), int((~strong).sum()),
                     *[None if one is None else float(one) for one in numbers], layer.activation])
    return rows, dict(skipped)
