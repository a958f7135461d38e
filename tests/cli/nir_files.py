"""NIR files by h5py, and NIR's equations in NumPy, without code of the program."""
import h5py
import numpy as np


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def load(path, version="1."):
    """Return (nodes, edges, metadata) of a NIR file."""
    with h5py.File(path) as file:
        assert text(file["version"][()]).startswith(version)
        assert text(file["node/type"][()]) == "NIRGraph"
        nodes = {}
        for name, group in file["node/nodes"].items():
            nodes[name] = {key: text(item[()]) for key, item in group.items() if isinstance(item, h5py.Dataset)}
        edges = [(text(a), text(b)) for a, b in file["node/edges"][()]]
        # Every file of Grapes has metadata.
        stored = file["node"]["metadata"] if version == "1." else file["node"].get("metadata", {})
        metadata = {key: text(item[()]) for key, item in stored.items()}
    return nodes, edges, metadata


def save(path, nodes, edges, version="1.0.7"):
    """Write a file like the reference: every parameter is a data set, text has variable length, and a nested graph is
    {"type": "NIRGraph", "nodes": ..., "edges": ...}."""
    kind = h5py.string_dtype()

    def graph(at, nodes, edges):
        at.create_dataset("type", data="NIRGraph", dtype=kind)
        at.create_dataset("edges", data=np.array(edges, dtype=object), dtype=kind)
        for name, fields in nodes.items():
            group = at.create_group("nodes/" + name)
            if fields["type"] == "NIRGraph":
                graph(group, fields["nodes"], fields["edges"])
                continue
            for key, value in fields.items():
                if isinstance(value, str):
                    group.create_dataset(key, data=value, dtype=kind)
                else:
                    packed = {"compression": "gzip"} if np.ndim(value) else {}
                    group.create_dataset(key, data=value, **packed)

    with h5py.File(path, "w") as file:
        file.create_dataset("version", data=version, dtype=kind)
        graph(file.create_group("node"), nodes, edges)


def simulate(nodes, edges, dt, x, membranes=None):
    """Euler steps of NIR's equations, [time, batch, input] -> the Output. A synaptic current is updated before the
    membrane. Loops carry values of the previous step. Membranes start at rest. The dictionary `membranes` receives those of
    each node, [time, batch, unit]."""
    before = {name: [a for a, b in edges if b == name] for name in nodes}
    (output,) = [name for name, node in nodes.items() if node["type"] == "Output"]
    last, v, i = {}, {}, {}
    answers = []

    def neuron(name, node, current):
        v.setdefault(name, np.zeros_like(current) + node.get("v_leak", 0.0))
        if node["type"].startswith("Cuba"):
            i.setdefault(name, np.zeros_like(current))
            i[name] = i[name] + dt / node["tau_syn"] * (-i[name] + node["w_in"] * current)
            current = i[name]
        tau = node.get("tau", node.get("tau_mem"))
        if tau is None:
            v[name] = v[name] + dt * node["r"] * current
        else:
            v[name] = v[name] + dt / tau * (node["v_leak"] - v[name] + node["r"] * current)
        if "v_threshold" not in node:
            return v[name]
        spikes = v[name] > node["v_threshold"]
        v[name] = np.where(spikes, node.get("v_reset", 0.0), v[name])
        return spikes.astype(float)

    def value(name, now, done, asking):
        if name in done:
            return done[name]
        if name in asking:
            return last.get(name, 0.0)
        node = nodes[name]
        if node["type"] == "Input":
            y = now
        else:
            parts = [value(other, now, done, asking | {name}) for other in before[name]]
            y = sum(part if np.ndim(part) else 0.0 for part in parts)
            if node["type"] in ("Linear", "Affine"):
                y = (y @ node["weight"].T if np.ndim(y) else 0.0) + node.get("bias", 0.0)
            elif node["type"] == "Threshold":
                y = (y > node["threshold"]).astype(float)
            elif node["type"] != "Output":
                y = neuron(name, node, y)
        done[name] = y
        return y

    for now in x:
        done = {}
        answers.append(value(output, now, done, frozenset()))
        last = done
        if membranes is not None:
            for name, one in v.items():
                membranes.setdefault(name, []).append(one)
    return np.array(answers)


def population(n, **fields):
    return {key: np.full(n, value) if np.ndim(value) == 0 else np.array(value) for key, value in fields.items()}


def foreign(kind="LIF", dtype=np.float64, seed=3):
    """A recurrent network of another program, with typical parameters in seconds."""
    draw = np.random.default_rng(seed)
    def neurons(n):
        fields = population(n, tau=draw.uniform(5e-3, 3e-2, n), r=draw.uniform(0.5, 2, n), v_leak=0.0,
                            v_threshold=draw.uniform(0.05, 0.1, n), v_reset=0.0)
        if kind == "CubaLIF":
            fields["tau_mem"] = fields.pop("tau")
            fields.update(population(n, tau_syn=4e-3, w_in=draw.uniform(0.8, 1.2, n)))
        return {"type": kind, **{key: value.astype(dtype) for key, value in fields.items()}}
    nodes = {
        "input": {"type": "Input", "shape": np.array([64])},
        "0_fc": {"type": "Affine", "weight": draw.normal(0, 0.4, (20, 64)).astype(dtype), "bias": np.zeros(20, dtype)},
        "1_neurons": neurons(20),
        "1_back": {"type": "Linear", "weight": draw.normal(0, 0.1, (20, 20)).astype(dtype)},
        "2_fc": {"type": "Linear", "weight": draw.normal(0, 0.8, (10, 20)).astype(dtype)},
        "3_neurons": neurons(10),
        "output": {"type": "Output", "shape": np.array([10])},
    }
    edges = [("input", "0_fc"), ("0_fc", "1_neurons"), ("1_neurons", "1_back"), ("1_back", "1_neurons"),
             ("1_neurons", "2_fc"), ("2_fc", "3_neurons"), ("3_neurons", "output")]
    return nodes, edges
