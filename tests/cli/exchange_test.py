#!/usr/bin/env python3
"""Weights to PyTorch and back, checkpoints made in Python, and metrics as TensorBoard reads them."""
import json
import os
import shutil
import struct
import subprocess
import sys

from program import main, ProgramTest

SMALL = ["--model", "mlp:16,12", "--epochs", "2", "--bias", "--quiet"]


def crc32c(content):
    """CRC-32C bit by bit, from the polynomial."""
    crc = 0xffffffff
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def masked(content):
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def varint(content, at):
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def message(content):
    """Return a protocol buffer as (field, value) pairs."""
    fields, at = [], 0
    while at < len(content):
        tag, at = varint(content, at)
        if tag & 7 == 0:
            value, at = varint(content, at)
        else:
            size = {1: 8, 5: 4}.get(tag & 7)
            if size is None:
                assert tag & 7 == 2
                size, at = varint(content, at)
            value, at = content[at:at + size], at + size
        fields.append((tag >> 3, value))
    assert at == len(content)
    return fields


def events(path):
    """Return all events of a TensorBoard file: (wall time, step, {tag: value}). Checks the checksums."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        head = content[at:at + 8]
        (length,), (head_sum,) = struct.unpack("<Q", head), struct.unpack("<I", content[at + 8:at + 12])
        body = content[at + 12:at + 12 + length]
        (body_sum,) = struct.unpack("<I", content[at + 12 + length:at + 16 + length])
        assert (head_sum, body_sum) == (masked(head), masked(body)), f"a sum is wrong at byte {at}"
        at += 16 + length
        event = dict(message(body))
        (when,) = struct.unpack("<d", event[1])
        scalars = {}
        for field, value in message(event.get(5, b"")):
            assert field == 1
            entry = dict(message(value))
            scalars[entry[1].decode()] = struct.unpack("<f", entry[2])[0]
        found.append((when, event.get(2, 0), scalars, event.get(3, b"").decode()))
    return found


class TensorBoard(ProgramTest):
    def assert_told(self, run):
        first, *rest = events(self.folder / run / "events.out.tfevents.grapes")
        self.assertEqual(first[2:], ({}, "brain.Event:2"))
        rows = self.rows(run)
        self.assertEqual([step for _, step, _, _ in rest], [row["step"] for row in rows])
        for (_, _, scalars, _), row in zip(rest, rows):
            for part in ("train", "validation", "test"):
                for what in ("loss", "accuracy"):
                    if f"{part}_{what}" in row:
                        self.assertAlmostEqual(scalars[f"{part}/{what}"], row[f"{part}_{what}"], places=5)
            for layer in row.get("layers", []):
                self.assertAlmostEqual(scalars["weight_norm/" + layer["name"]], layer["weight_norm"], places=4)
                if "factor" in layer:
                    self.assertAlmostEqual(scalars["factor_mean/" + layer["name"]], layer["factor"]["mean"], places=5)
        self.assertEqual(sorted(when for when, *_ in rest), [when for when, *_ in rest])

    def test_the_numbers_of_every_epoch(self):
        self.good("train", *SMALL, "--modulation", "grapes", "--out", "a")
        self.assert_told("a")
        self.assertEqual(len(self.rows("a")), 3)

    def test_a_continued_run_logs_every_epoch_once(self):
        self.good("train", *SMALL, "--out", "a")
        # The state after a crash: rows after the checkpoint, half an event at the end.
        shutil.copytree(self.folder / "a", self.folder / "b")
        text = (self.folder / "b/config.toml").read_text()
        (self.folder / "b/config.toml").write_text(text.replace("epochs = 2", "epochs = 4"))
        with open(self.folder / "b/events.out.tfevents.grapes", "ab") as file:
            file.write(b"\x20\0\0\0\0")
        with open(self.folder / "b/metrics.jsonl", "a") as file:
            file.write('{"epoch": 3, "step": 99}\n')
        self.good("train", "--resume", "b", "--quiet")
        self.assert_told("b")
        self.assertEqual([row["epoch"] for row in self.rows("b")], [0, 1, 2, 3, 4])


class Exchange(ProgramTest):
    def setUp(self):
        super().setUp()
        self.good("train", *SMALL, "--out", "run")

    def python(self, script):
        """Run a script with torch and torch_grapes, and return its stdout."""
        done = subprocess.run([sys.executable, "-c", script], cwd=self.folder, capture_output=True, text=True, env={
            **os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"})
        if "No module named 'torch'" in done.stderr:
            self.skipTest("python3 has no torch")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_exporting_and_importing_gives_the_same_network(self):
        self.assertEqual(self.good("export", "run", "--out", "theirs.safetensors").splitlines(), [
            "0.bias  [16]", "0.weight  [16, 64]", "2.bias  [12]", "2.weight  [12, 16]", "4.bias  [10]", "4.weight  [10, 12]",
            "file: theirs.safetensors"])
        said = self.good("import", "theirs.safetensors", "--data", "digits", "--out", "ours.safetensors")
        self.assertIn("2.weight -> layers.1.weight\n", said)
        self.assertIn("network: mlp:16,12, with biases\n", said)
        first, second = (self.good_json("eval", file) for file in ("run", "ours.safetensors"))
        self.assertEqual({**first, "checkpoint": 0}, {**second, "checkpoint": 0})
        self.good("train", "--init", "ours.safetensors", *SMALL, "--out", "further")

    def test_custom_names_of_layers(self):
        self.good("export", "run", "--names", "fc1,fc2,head.out", "--out", "theirs.safetensors")
        self.assertEqual(set(self.tensors("theirs.safetensors")), {
            f"{name}.{leaf}" for name in ("fc1", "fc2", "head.out") for leaf in ("weight", "bias")})
        said = self.good("import", "theirs.safetensors", "--names", "fc1,fc2,head.out", "--out", "ours.safetensors")
        self.assertIn("head.out.weight -> layers.2.weight\n", said)
        self.assert_refused(2, "--names must have one name for each of the 3 modules with weights; got 2", "export", "run", "--names", "a,b", "--out", "x.safetensors")
        self.assert_refused(2, "must be unique", "export", "run", "--names", "a,b,a", "--out", "x.safetensors")

    def test_strict_or_not(self):
        self.good("export", "run", "--out", "theirs.safetensors")
        wrong = ("import", "theirs.safetensors", "--names", "0,2,head", "--model", "mlp:16,12", "--data", "digits", "--bias",
                 "--out", "x.safetensors", "--quiet")
        self.assert_refused(3, ["theirs.safetensors", "missing: head.weight, head.bias", "unexpected: 4.bias, 4.weight"], *wrong)
        report = self.good_json(*wrong, "--no-strict")
        self.assertEqual((report["missing"], report["unexpected"]), (["head.weight", "head.bias"], ["4.bias", "4.weight"]))
        self.assertEqual(len(report["loaded"]), 4)
        self.good("eval", "x.safetensors")
        shape = ("import", "theirs.safetensors", "--model", "mlp:16,13", "--data", "digits", "--out", "y.safetensors", "--quiet")
        self.assert_refused(3, "2.weight is [12, 16], must be [13, 16]", *shape)
        self.assertIn("wrong shape: 2.weight is [12, 16]", self.good(*shape, "--no-strict"))

    def test_invalid_files_and_options_are_errors(self):
        self.assert_refused(2, "is already a checkpoint of Grapes", "import", "run/checkpoints/last.safetensors", "--out", "x.safetensors")
        self.assert_refused(3, "nothing.safetensors", "import", "nothing.safetensors", "--out", "x.safetensors")
        self.good("export", "run", "--out", "theirs.safetensors")
        whole = (self.folder / "theirs.safetensors").read_bytes()
        self.write("cut.safetensors", whole[:-7])
        self.assert_refused(3, "cut.safetensors", "import", "cut.safetensors", "--out", "x.safetensors")
        self.good("export", "run", "--names", "c,b,a", "--out", "turned.safetensors")
        self.assert_refused(3, "name the modules in their order", "import", "turned.safetensors", "--out", "x.safetensors")

    def test_pytorch_computes_the_same_with_exported_weights(self):
        self.good("export", "run", "--out", "theirs.safetensors")
        self.write("x.csv", "\n".join(",".join(str((7 * i + 3 * j) % 17 / 16) for j in range(64)) for i in range(5)) + "\n")
        mine = self.python("""if True:
            import torch
            from torch import nn
            from torch_grapes.safetensors import load_file
            model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 10))
            model.load_state_dict(load_file("theirs.safetensors"))
            x = torch.tensor([[(7 * i + 3 * j) % 17 for j in range(64)] for i in range(5)]) / 16
            print(model(x).softmax(1).max(1).values.tolist())""")
        answers = self.good_json("predict", "run", "x.csv", "--top", "1")
        probabilities = [example[0]["probability"] for example in answers["examples"]]
        for ours, theirs in zip(probabilities, json.loads(mine), strict=True):
            self.assertAlmostEqual(ours, theirs, places=5)

    def test_a_network_trained_by_pytorch(self):
        """Its state_dict is inspected and imported. Its run is a record that is reported together with one of Grapes."""
        accuracy = float(self.python("""if True:
            import torch, torch_grapes
            from torch import nn
            from sklearn.datasets import load_digits
            torch.manual_seed(1)
            x, t = (torch.tensor(part) for part in load_digits(return_X_y=True))
            x = x.float() / 16
            model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 10))
            handle = torch_grapes.enable(model)
            optimizer = torch.optim.Adam(model.parameters(), 0.01)
            record = torch_grapes.Record("mine", arm="grapes", seed=1, data="digits", model="16-12", config={"rate": 0.01},
                                         handle=handle)
            for epoch in range(4):
                loss = nn.functional.cross_entropy(model(x), t)
                accuracy = (model(x).argmax(1) == t).float().mean().item()
                record.epoch(step=10 * epoch, train_loss=loss, test_loss=loss, test_accuracy=accuracy, train_accuracy=accuracy)
                for _ in range(10):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(x), t).backward()
                    optimizer.step()
            record.finish(model)
            print((model(x).argmax(1) == t).float().mean().item())"""))
        said = self.good("inspect", "mine")
        self.assertIn("0.weight  16 x 64", said)
        self.assertIn("factor          none: the output layer", said)
        report = self.good_json("report", "mine", "run")
        self.assertEqual(set(report["arms"]), {"grapes", "bp"})
        self.assertIn("rate", (self.folder / "mine/report.html").read_text() if (self.folder / "mine/report.html").exists() else
                      next(self.folder.rglob("report.html")).read_text())
        self.good("import", "mine/checkpoints/last.safetensors", "--data", "digits", "--validation-split", "0", "--out", "ours.safetensors")
        parts = [self.good_json("eval", "ours.safetensors", "--validation-split", "0", "--part", part) for part in ("train", "test")]
        ours = sum(part["accuracy"] * part["examples"] for part in parts) / sum(part["examples"] for part in parts)
        self.assertAlmostEqual(ours, accuracy, places=6)


if __name__ == "__main__":
    main()
