#!/usr/bin/env python3
"""Cases that nobody tuned for: every learning rule × update rule, one to four hidden layers, odd sizes, batch 1, an
all-zero row, dropout, a carried remainder. An independent recursion in NumPy, sample by sample as the authors' program
works, makes each case in its format; `grapes replay` must reproduce it in float64 and in float32.

Usage: replay_cases.py PROGRAM        exit 77 (skipped) where NumPy is missing
"""
import concurrent.futures
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

ACTIVATION = {
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(float)),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sigm": (lambda a: 1 / (1 + np.exp(-a)), lambda a: 1 / (1 + np.exp(-a)) * (1 - 1 / (1 + np.exp(-a)))),
}


class Network:
    """Weights and everything a sample-by-sample pass over them needs."""

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
        """The weights that a pass sees: Nesterov looks ahead."""
        if self.case["update_type"] == "NAG":
            return [w - 0.9 * v for w, v in zip(self.W, self.v)]
        return self.W

    def factors(self, masks):
        """Importances at the first sample of a minibatch: of nodes, and of columns (which do not look ahead)."""
        hidden = len(self.W) - 1
        rows, columns = [], []
        for l in range(hidden):
            r = masks[l] * np.abs(self.seen()[l]).sum(axis=1)
            rows.append(2 * r / r.max())
            c = (masks[l][:, None] * np.abs(self.W[l])).sum(axis=0)
            columns.append(2 * c / c.max())
        if self.rule == "BP" and self.case["clip"]:
            rows = [np.clip(g, 1, 2) for g in rows]
        return rows, columns

    def sample(self, x, label, masks, rows, columns, first):
        """Output and one gradient per matrix for one sample."""
        W, hidden = self.seen(), len(self.W) - 1
        h, a = [x], []
        for l, w in enumerate(W):
            a.append(w @ h[-1])
            h.append(self.f(a[-1]) * masks[l] if l < hidden else np.exp(a[-1] - a[-1].max()))
        y = h[-1] / h[-1].sum()
        e = y.copy()
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


def make(seed, learn, update, hidden, activation="relu", batch=4, samples=12, epochs=1, keep=1.0, clip=True,
         zero_row=False):
    rng = np.random.default_rng(seed)
    n = [7, *hidden, 3]
    L = len(n) - 1
    weights = [rng.uniform(-1, 1, (n[l + 1], n[l])) * np.sqrt(6 / n[l]) for l in range(L)]
    if zero_row:
        weights[0][1] = 0
    rule = learn.replace("grapes", "")
    to = {"BP": [], "FA": list(zip(n[1:-1], n[2:])), "DFA": [(k, n[L]) for k in n[1:-1]], "IFA": [(n[1], n[L])]}[rule]
    feedback = [rng.uniform(-1, 1, shape) / np.sqrt(shape[1]) for shape in to]  # as Nøkland draws them
    passes = samples * epochs
    masks = [np.where(rng.random((passes, n[l + 1])) < keep, 1 / keep, 0) for l in range(L - 1)]
    for layer in masks:
        layer[::batch, 0] = 1 / keep  # the authors' factor has no value where the first sample drops every node
    case = {
        "format": "grapes-golden/1", "name": "", "learn_type": learn, "update_type": update,
        "hidden_activation": activation, "output_activation": "softmax", "layers": n, "batch_size": batch,
        "n_samples": samples, "epochs": epochs, "eta": 0.01 if update in ("rmsprop", "Adam") else 0.1, "dropout": keep,
        "clip": bool(clip and learn == "BPgrapes"), "inputs": rng.normal(size=(samples, n[0])).tolist(),
        "labels": rng.integers(0, n[L], samples).tolist(), "initial_weights": [w.tolist() for w in weights],
        "feedback": [b.tolist() for b in feedback],
    }
    if keep < 1:
        case["dropout_masks"] = [m.tolist() for m in masks]
    net, outputs, after = Network(case), [], {}
    total = [np.zeros_like(w) for w in weights]
    for s in range(passes):
        position = s % samples
        own = [m[s] for m in masks] + [np.ones(n[L])]
        first = position % batch == 0
        if first:
            rows, columns = net.factors(own)
        y, gradient = net.sample(np.array(case["inputs"][position]), case["labels"][position], own, rows, columns, first)
        outputs.append(y.tolist())
        total = [t + g for t, g in zip(total, gradient)]
        if (position + 1) % batch == 0:
            net.update([t / batch for t in total])
            total = [np.zeros_like(w) for w in weights]
            after[str(net.t)] = [w.tolist() for w in net.W]
    case.update(outputs=outputs, weights_after=after, snapshots=[int(k) for k in after], n_updates=net.t)
    return case


def cases():
    rules = ["BP", "BPgrapes", "FA", "FAgrapes", "DFA", "DFAgrapes", "IFA", "IFAgrapes"]
    updates = ["SGD", "mom", "NAG", "rmsprop", "Adam"]
    seed = itertools.count(100)
    for learn, update in itertools.product(rules, updates):
        yield make(next(seed), learn, update, [5, 5, 5])
    for learn, depth in itertools.product(rules, [1, 2, 4]):
        yield make(next(seed), learn, "SGD", [6] * depth, activation="tanh")
    for learn in rules:
        sizes = [6, 6] if "IFA" in learn else [9, 4]
        yield make(next(seed), learn, "mom", sizes, batch=1, samples=5, activation="sigm")
        yield make(next(seed), learn, "SGD", sizes, keep=0.7, samples=16)
        yield make(next(seed), learn, "SGD", sizes, samples=10, epochs=3)
        yield make(next(seed), learn, "NAG", sizes, samples=10, epochs=2, keep=0.8)
        yield make(next(seed), learn, "SGD", sizes, zero_row=True)
    yield make(next(seed), "BPgrapes", "SGD", [8, 8], clip=False)


def replay(program, path, dtype):
    return subprocess.run([program, "replay", path, "--dtype", dtype], capture_output=True, text=True)


def main():
    program, failed, jobs = sys.argv[1], 0, []
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases()):
            case["name"] = "{learn_type}_{update_type}_{layers}_b{batch_size}_keep{dropout}".format(**case)
            path = os.path.join(folder, f"{number}.json")
            with open(path, "w") as out:
                json.dump(case, out)
            jobs += [(path, dtype) for dtype in ["float64"] + ["float32"] * (case["update_type"] == "SGD")]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (path, dtype), done in zip(jobs, pool.map(lambda job: replay(program, *job), jobs)):
                if done.returncode != 0:
                    failed += 1
                    print(f"{path} {dtype}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        # A case with one number changed must not pass: the comparison compares.
        case["weights_after"]["1"][0][0][0] += 1e-9
        with open(path, "w") as out:
            json.dump(case, out)
        if replay(program, path, "float64").returncode != 1:
            failed += 1
            print("a case with a wrong weight was accepted")
    print(f"{len(jobs)} replays, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
