#!/usr/bin/env python3
"""Untuned cases: every learning rule × update rule, one to four hidden layers, odd sizes, batch 1, every activation and output
function, a row of zeros, dropout, a carried remainder. An independent recursion in NumPy, example by example as in the
authors' program, computes each case in its format. `grapes parity` must reproduce it in float64 and in float32.

    parity_cases.py PROGRAM                  exits with 77 (skipped) if NumPy is missing
    parity_cases.py --authors FILE FOLDER    run the cases of tests/parity with the authors' own program, FILE =
                                             numpy_grapes_functions.py of github.com/IBM/GRAPES, and write them to FOLDER
"""
import hashlib
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

def sigmoid(a):
    return 1 / (1 + np.exp(-a))


ACTIVATION = {
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(float)),
    "Lrelu": (lambda a: np.where(a > 0, a, 0.1 * a), lambda a: np.where(a > 0, 1, 0.1)),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "tanh_ciresan": (lambda a: 1.7159 * np.tanh(0.6666 * a), lambda a: 1.7159 * 0.6666 * (1 - np.tanh(0.6666 * a) ** 2)),
    "sigm": (sigmoid, lambda a: sigmoid(a) * (1 - sigmoid(a))),
}
OUTPUT = {"softmax": lambda a: np.exp(a - a.max()) / np.exp(a - a.max()).sum(), "sigm": sigmoid, "tanh": np.tanh}


class Network:
    """Weights and everything that a pass over single examples needs."""

    def __init__(self, case):
        self.case = case
        self.W = [np.array(w) for w in case["initial_weights"]]
        self.B = [np.array(b) for b in case["feedback"]]
        self.f, self.df = ACTIVATION[case["hidden_activation"]]
        self.rule, self.modulated = case["learn_type"].replace("grapes", ""), "grapes" in case["learn_type"]
        self.v = [np.zeros_like(w) for w in self.W]
        self.q = [np.zeros_like(w) for w in self.W]
        self.t = 0

    def seen(self):
        """Return the weights of a pass, which are look-ahead weights with Nesterov."""
        if self.case["update_type"] == "NAG":
            return [w - 0.9 * v for w, v in zip(self.W, self.v)]
        return self.W

    def factors(self, masks):
        """Return factors at the first example of a batch: of units, with look-ahead weights under BP and IFA only, and of columns."""
        hidden = len(self.W) - 1
        W = self.seen() if self.rule in ("BP", "IFA") else self.W
        rows, columns = [], []
        for l in range(hidden):
            r = masks[l] * np.abs(W[l]).sum(axis=1)
            rows.append(2 * r / r.max())
            c = (masks[l][:, None] * np.abs(self.W[l])).sum(axis=0)
            columns.append(2 * c / c.max())
        if self.rule == "BP" and self.case["clip"]:
            rows = [np.clip(g, 1, 2) for g in rows]
        return rows, columns

    def sample(self, x, label, masks, rows, columns, first):
        """Return the output and one gradient per matrix for one example."""
        W, hidden = self.seen(), len(self.W) - 1
        h, a = [x], []
        for l, w in enumerate(W):
            a.append(w @ h[-1])
            h.append(self.f(a[-1]) * masks[l] if l < hidden else OUTPUT[self.case["output_activation"]](a[-1]))
        y = h[-1]
        e = y.copy()  # the derivative of the output function is omitted
        e[label] -= 1
        delta = [None] * hidden + [e]
        factor = [np.ones(len(z)) for z in a]
        if self.modulated and self.rule != "DFA":
            factor = [rows[l] if first or self.rule != "IFA" else rows[-1] for l in range(hidden)]
        if self.rule == "IFA":
            for l in range(hidden):
                arrives = self.B[0] @ e if l == 0 else W[l] @ delta[l - 1]
                delta[l] = arrives * self.df(a[l]) * factor[l] * (masks[l] if l else 1)
        else:
            for l in reversed(range(hidden)):
                arrives = {"BP": lambda: W[l + 1].T @ delta[l + 1], "FA": lambda: self.B[l] @ delta[l + 1],
                           "DFA": lambda: self.B[l] @ e}[self.rule]()
                delta[l] = arrives * self.df(a[l]) * factor[l] * masks[l]
        gradient = [np.outer(d, below) for d, below in zip(delta, h)]
        if self.modulated and self.rule == "DFA":
            for l in range(1, hidden):
                gradient[l] *= columns[l][None, :]
                if l + 1 < hidden:
                    gradient[l] *= columns[l + 1][:, None]
        return y, gradient

    def update(self, gradient):
        eta, kind = self.case["eta"], self.case["update_type"]
        self.t += 1
        for l, g in enumerate(gradient):
            if kind == "SGD":
                self.W[l] = self.W[l] - eta * g
            elif kind in ("mom", "NAG"):
                self.v[l] = 0.9 * self.v[l] + eta * g
                self.W[l] = self.W[l] - self.v[l]
            elif kind == "rmsprop":
                self.q[l] = 0.9 * self.q[l] + 0.1 * g**2
                self.W[l] = self.W[l] - eta * g / np.sqrt(self.q[l] + 1e-8)
            else:
                self.v[l] = 0.9 * self.v[l] + 0.1 * g
                self.q[l] = 0.999 * self.q[l] + 0.001 * g**2
                corrected = self.q[l] / (1 - 0.999**self.t)
                self.W[l] = self.W[l] - eta * (self.v[l] / (1 - 0.9**self.t)) / (np.sqrt(corrected) + 1e-8)


def draw(seed, learn, update, hidden, activation="relu", output="softmax", batch=4, samples=12, epochs=1, keep=1.0,
         clip=True, zero_row=False, inputs=7):
    """Return a case without its results."""
    rng = np.random.default_rng(seed)
    n = [inputs, *hidden, 3]
    L = len(n) - 1
    weights = [rng.uniform(-1, 1, (n[l + 1], n[l])) * np.sqrt(6 / n[l]) for l in range(L)]
    if zero_row:
        weights[0][1] = 0
    rule = learn.replace("grapes", "")
    to = {"BP": [], "FA": list(zip(n[1:-1], n[2:])), "DFA": [(k, n[L]) for k in n[1:-1]], "IFA": [(n[1], n[L])]}[rule]
    feedback = [rng.uniform(-1, 1, shape) / np.sqrt(shape[1]) for shape in to]  # distributed as in Nøkland
    passes = samples * epochs
    masks = [np.where(rng.random((passes, n[l + 1])) < keep, 1 / keep, 0) for l in range(L - 1)]
    for layer in masks:
        layer[::batch, 0] = 1 / keep  # the authors' factor is undefined if the first example drops every unit
    case = {
        "format": "grapes-golden/1", "name": f"{learn}_{update}_{activation}", "learn_type": learn, "update_type": update,
        "hidden_activation": activation, "output_activation": output, "layers": n, "batch_size": batch,
        "n_samples": samples, "epochs": epochs, "eta": 0.01 if update in ("rmsprop", "Adam") else 0.1, "dropout": keep,
        "clip": bool(clip and learn == "BPgrapes"), "seed": seed, "inputs": rng.normal(size=(samples, n[0])).tolist(),
        "labels": rng.integers(0, n[L], samples).tolist(), "initial_weights": [w.tolist() for w in weights],
        "feedback": [b.tolist() for b in feedback],
    }
    if output != "softmax":
        case["name"] += "_" + output
    if keep < 1:
        case["dropout_masks"] = [m.tolist() for m in masks]
    return case


def train(case):
    """Add the results of the recursion above."""
    n, samples, batch = case["layers"], case["n_samples"], case["batch_size"]
    passes = samples * case["epochs"]
    masks = case.get("dropout_masks", [np.ones((passes, k)) for k in n[1:-1]])
    net, outputs, after = Network(case), [], {}
    total = [np.zeros_like(w) for w in net.W]
    for s in range(passes):
        position = s % samples
        own = [np.array(m[s]) for m in masks] + [np.ones(n[-1])]
        first = position % batch == 0
        if first:
            rows, columns = net.factors(own)
        y, gradient = net.sample(np.array(case["inputs"][position]), case["labels"][position], own, rows, columns, first)
        outputs.append(y.tolist())
        total = [t + g for t, g in zip(total, gradient)]
        if (position + 1) % batch == 0:
            net.update([t / batch for t in total])
            total = [np.zeros_like(w) for w in net.W]
            after[str(net.t)] = [w.tolist() for w in net.W]
    case.update(outputs=outputs, weights_after=after, snapshots=[int(k) for k in after], n_updates=net.t)
    return case


def train_by_authors(case, theirs):
    """Add the results of the authors' own program, the module `theirs`, without dropout."""
    f = [getattr(theirs, case["hidden_activation"])] * (len(case["layers"]) - 2) + [getattr(theirs, case["output_activation"])]
    slope = {theirs.relu: theirs.step_f, theirs.Lrelu: theirs.d_Lrelu, theirs.tanh: theirs.d_tanh, theirs.sigm: theirs.d_sigm,
             theirs.tanh_ciresan: theirs.d_tanh_ciresan, theirs.softmax: None}
    # Their program compares with `is`.
    learn, update = sys.intern(case["learn_type"]), sys.intern(case["update_type"])
    net = theirs.general_network(case["layers"], f, [slope[g] for g in f], learn, case["batch_size"], update,
                                 "un" if case["clip"] else "ul", "zero")
    for l, w in enumerate(case["initial_weights"]):
        net.layers[l].w = np.array(w)
        if update == "NAG":
            net.layers[l].w_lookahead = np.array(w)
    for l, b in enumerate(case["feedback"]):
        net.layers[l + (not learn.startswith("IFA"))].B = np.array(b)
    net.new_batch, outputs, modulation, after, updates = True, [], [], {}, 0
    for position in range(case["n_samples"]):
        net.s = position
        target = theirs.onehotenc(case["labels"][position], case["layers"][-1])
        y, error = net.forward(np.array(case["inputs"][position])[:, None], target, 1.0, True)
        net.learning(error, case["eta"], 1.0)
        outputs.append(y.ravel().tolist())
        if position % case["batch_size"] == 0 and "grapes" in learn:
            last = len(net.layers) - 2
            held = {"DFAgrapes": ("pre", {l: net.layers[l] for l in range(1, last + 1)}, "w_pre_sum"),
                    "IFAgrapes": ("post", {last: net}, "w_next_sum")}
            kind, layers, name = held.get(learn, ("post", dict(enumerate(net.layers[:-1])), "w_next_sum"))
            modulation.append({"at": position, kind: {str(l): getattr(holder, name).ravel().tolist() for l, holder in layers.items()}})
        if (position + 1) % case["batch_size"] == 0:
            updates += 1
            after[str(updates)] = [layer.w.tolist() for layer in net.layers]
    case.update(outputs=outputs, modulation=modulation, weights_after=after, snapshots=list(range(1, updates + 1)),
                n_updates=updates)
    return case


def cases():
    rules = ["BP", "BPgrapes", "FA", "FAgrapes", "DFA", "DFAgrapes", "IFA", "IFAgrapes"]
    updates = ["SGD", "mom", "NAG", "rmsprop", "Adam"]
    seed = itertools.count(100)
    for learn, update in itertools.product(rules, updates):
        yield draw(next(seed), learn, update, [5, 5, 5])
    for learn, depth in itertools.product(rules, [1, 2, 4]):
        yield draw(next(seed), learn, "SGD", [6] * depth, activation="tanh")
    for learn in rules:
        sizes = [6, 6] if "IFA" in learn else [9, 4]
        yield draw(next(seed), learn, "mom", [9, 4], batch=1, samples=5, activation="sigm")
        yield draw(next(seed), learn, "SGD", sizes, keep=0.7, samples=16)
        yield draw(next(seed), learn, "SGD", sizes, samples=10, epochs=3)
        yield draw(next(seed), learn, "NAG", sizes, samples=10, epochs=2, keep=0.8)
        yield draw(next(seed), learn, "SGD", sizes, zero_row=True)
        yield draw(next(seed), learn, "SGD", sizes, activation="Lrelu", output="sigm")
        yield draw(next(seed), learn, "SGD", sizes, activation="tanh_ciresan", output="tanh")
    yield draw(next(seed), "BPgrapes", "SGD", [8, 8], clip=False)


def golden():
    """The cases of tests/parity, which the published reference cases do not cover."""
    seed = itertools.count(900)
    yield draw(next(seed), "BPgrapes", "SGD", [5, 4], activation="Lrelu", samples=8)
    yield draw(next(seed), "BPgrapes", "SGD", [5, 4], activation="tanh_ciresan", samples=8)
    yield draw(next(seed), "BPgrapes", "SGD", [5, 4], output="sigm", samples=8)
    yield draw(next(seed), "DFAgrapes", "SGD", [5, 4, 4], activation="tanh", output="tanh", samples=8)
    for learn in ["FAgrapes", "DFAgrapes", "IFAgrapes"]:
        yield draw(next(seed), learn, "NAG", [5, 5, 5], samples=12)
    yield draw(next(seed), "IFAgrapes", "mom", [5, 4, 6], batch=1, samples=4)


def compact(case):
    """JSON with a line per field."""
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in case.items()) + "\n}\n"


def write_golden(file, folder):
    spec = importlib.util.spec_from_file_location("theirs", file)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    with open(file, "rb") as source:
        made_by = f"numpy_grapes_functions.py of https://github.com/IBM/GRAPES, sha256 {hashlib.sha256(source.read()).hexdigest()}"
    for case in golden():
        case = {"source": f"{made_by}; inputs and weights drawn by tests/parity_cases.py"} | train_by_authors(case, theirs)
        with open(os.path.join(folder, case["name"] + ".json"), "w") as out:
            out.write(compact(case))


def parity(program, dtype, files):
    """Return the names of the cases that passed, and the program's exit code."""
    done = subprocess.run([program, "parity", "--json", "--dtype", dtype, *files], capture_output=True, text=True)
    if not done.stdout:
        print(f"exit {done.returncode}\n{done.stderr}")
        return set(), done.returncode
    results = json.loads(done.stdout)["cases"]
    for result in results:
        if not result["passed"]:
            print(dtype, json.dumps(result))
    return {result["name"] for result in results if result["passed"]}, done.returncode


def main():
    program, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as folder:
        names = {"float64": {}, "float32": {}}
        for number, case in enumerate(cases()):
            case["name"] = "{} {name} {layers} batch {batch_size} keep {dropout}".format(number, **case)
            path = os.path.join(folder, f"{number}.json")
            with open(path, "w") as out:
                json.dump(train(case), out)
            for dtype in ["float64"] + ["float32"] * (case["update_type"] == "SGD"):
                names[dtype][path] = case["name"]
        for dtype, files in names.items():
            passed, code = parity(program, dtype, files)
            failed += len(set(files.values()) - passed) + (code != 0)
            print(f"{dtype}: {len(passed)} of {len(files)} cases passed")
        # A case with one changed number must fail.
        case["weights_after"]["1"][0][0][0] += 1e-9
        with open(path, "w") as out:
            json.dump(case, out)
        if parity(program, "float64", [path]) != (set(), 1):
            failed += 1
            print("a case with a wrong weight was accepted")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1] == "--authors":
        write_golden(*sys.argv[2:])
    else:
        main()
