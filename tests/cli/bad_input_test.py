#!/usr/bin/env python3
"""Invalid input gives one clear message and the documented exit code, and nothing is written."""
import gzip
import json
import os
import struct
import subprocess

from program import main, ProgramTest

SMALL = ["--quiet", "--model", "mlp:16", "--epochs", "2", "--out", "run"]


def images(count, rows=28, columns=28, magic=2051):
    return struct.pack(">IIII", magic, count, rows, columns) + bytes(count * rows * columns)


def labels(values, magic=2049):
    return struct.pack(">II", magic, len(values)) + bytes(values)


class Idx(ProgramTest):
    """A data set of four IDX files, one of them invalid."""

    FILES = {"train-images-idx3-ubyte": images(20), "train-labels-idx1-ubyte": labels([i % 10 for i in range(20)]),
             "t10k-images-idx3-ubyte": images(10), "t10k-labels-idx1-ubyte": labels(list(range(10)))}

    def with_file(self, name, content):
        for file, good in self.FILES.items():
            self.write("idx/mnist/" + file, good)
        if content is None:
            (self.folder / "idx/mnist" / name).unlink()
        elif name.endswith(".gz"):
            (self.folder / "idx/mnist" / name[:-3]).unlink()
            self.write("idx/mnist/" + name, content)
        else:
            self.write("idx/mnist/" + name, content)

    def assert_data_refused(self, said, name, content):
        self.with_file(name, content)
        self.assert_refused(3, said, "train", "--data", "mnist", "--data-dir", "idx", "--no-download", *SMALL)
        for file in (self.folder / "idx/mnist").iterdir():
            file.unlink()

    def test_faults(self):
        train = "train-images-idx3-ubyte"
        whole = gzip.compress(images(20))
        for said, name, content in [
                ("t10k-labels", "t10k-labels-idx1-ubyte", None),
                (train, train, images(20)[:-1]),
                (train, train, images(20) + b"x"),
                (train, train, b"\0\0"),
                (train, train, images(20, magic=2050)),
                (train, train, labels(range(10))),
                ("19", train, images(19)),
                ("size of the training images", "t10k-images-idx3-ubyte", images(10, rows=27)),
                ("train-labels", "train-labels-idx1-ubyte", labels([0] * 19 + [10])),
                (train + ".gz", train + ".gz", whole[:len(whole) // 2]),
                (train + ".gz", train + ".gz", whole[:-8] + b"\0\0\0\0" + whole[-4:]),
                (train + ".gz", train + ".gz", b"this is no gzip file")]:
            with self.subTest(name=name, said=said):
                self.assert_data_refused(said, name, content)

    def test_missing(self):
        self.assert_refused(3, "mnist", "train", "--data", "mnist", "--no-download", *SMALL)
        self.assert_refused(3, "no/such.csv", "train", "--data", "no/such.csv", *SMALL)
        self.assert_refused(2, "did you mean 'mnist'", "train", "--data", "mnits", *SMALL)


class Values(ProgramTest):
    def test_options(self):
        for said, *arguments in [
                ("learning-rate = '0'", "--learning-rate", "0"),
                ("learning-rate = '-0.1'", "--learning-rate", "-0.1"),
                ("learning-rate = 'nan'", "--learning-rate", "nan"),
                ("learning-rate = 'fast'", "--learning-rate", "fast"),
                ("dropout = '1'", "--dropout", "1"),
                ("batch-size = '0'", "--batch-size", "0"),
                ("mlp:256,x", "--model", "mlp:256,x"),
                ("mlp", "--model", "mlp:"),
                ("did you mean 'mlp'", "--model", "mpl:3"),
                ("did you mean 'relu'", "--activation", "rellu"),
                ("step", "--schedule", "step:0"),
                ("rotat", "--augment", "rotat=3"),
                ("mlp:0", "--model", "mlp:0"),
                ("constant", "--modulation", "constant:1,2,3", "--model", "mlp:16"),
                ("validation", "--validation-split", "5000")]:
            with self.subTest(said=said):
                self.assert_refused(2, said, "train", "--quiet", "--out", "run", *arguments)

    def test_toml(self):
        for said, text in [("bad.toml:1:1: unknown key 'lerning-rate' (did you mean 'learning-rate'?)",
                            "lerning-rate = 1\n"),
                           ("bad.toml:2:14: ", "epochs = 3\nbatch-size = = 4\n"),
                           ("bad.toml:2:17: learning-rate = '0'", "epochs = 3\nlearning-rate = 0\n"),
                           ("bad.toml:1:17: learning-rate = 'nan'", "learning-rate = nan\n"),
                           ("bad.toml:2:1: an arm cannot set 'data'", "[arm.x]\ndata = 'mnist'\n")]:
            with self.subTest(text=text):
                self.write("bad.toml", text)
                self.assert_refused(2, said, "train", "--config", "bad.toml")
                self.assert_refused(2, said, "run", "bad.toml")
        self.assert_refused(3, "missing.toml", "run", "missing.toml")

    def test_compare(self):
        self.assert_refused(2, "did you mean 'grapes'", "compare", *SMALL, "--arms", "bp,graps")
        self.assert_refused(2, "duplicate arm 'bp'", "compare", *SMALL, "--arms", "bp,bp")
        self.assert_refused(2, "--arms", "compare", *SMALL, "--modulation", "grapes")
        self.assert_refused(2, "constant", "compare", *SMALL, "--arms", "bp,constant:1,2,3")


class Checkpoints(ProgramTest):
    def setUp(self):
        super().setUp()
        self.run_program("train", *SMALL)
        self.checkpoint = (self.folder / "run/checkpoints/last.safetensors").read_bytes()

    def test_corrupt_or_foreign(self):
        (size,) = struct.unpack("<Q", self.checkpoint[:8])
        foreign = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        for content in [b"", b"short", self.checkpoint[:200], self.checkpoint[:-1], b"\x89PNG" + bytes(100),
                        self.checkpoint[:8] + b"x" * size + self.checkpoint[8 + size:],
                        struct.pack("<Q", len(foreign)) + foreign + bytes(4)]:
            self.write("bad.safetensors", content)
            with self.subTest(size=len(content)):
                for verb in (["eval"], ["inspect"], ["train", "--quiet", "--out", "new", "--model", "mlp:16", "--init"]):
                    self.assert_refused(3, "bad.safetensors", *verb, "bad.safetensors")
        self.assert_refused(3, "none.safetensors", "eval", "none.safetensors")

    def test_weights_of_another_network(self):
        self.assert_refused(3, "last.safetensors", "train", "--quiet", "--model", "mlp:17", "--out", "new", "--init",
                            "run/checkpoints/last.safetensors")

    def test_a_record_is_never_overwritten(self):
        files = ["run/checkpoints/last.safetensors", "run/metrics.jsonl", "run/config.toml"]
        before = [(self.folder / name).read_bytes() for name in files]
        self.run_program("train", *SMALL)  # the same run has ended already, so nothing is left to do
        self.assert_refused(2, "learning-rate was '0.1' there and is '0.3' here", "train", *SMALL, "--learning-rate", "0.3")
        self.assert_refused(2, "run was started with another configuration", "compare", *SMALL)
        self.assertEqual(before, [(self.folder / name).read_bytes() for name in files])
        self.write("other/notes.txt", b"mine")
        self.assert_refused(3, "other exists and is not an empty folder", "train", *SMALL[:-1], "other")

    def test_resume(self):
        self.assert_refused(3, "nowhere", "train", "--quiet", "--resume", "nowhere")
        self.assert_refused(2, "--learning-rate", "train", "--resume", "run", "--learning-rate", "0.2")
        self.assert_refused(2, "--out", "train", "--resume", "run", "--out", "other")

    def test_predict(self):
        self.write("broken.png", b"\x89PNG\r\n\x1a\nbroken")
        self.assert_refused(3, "broken.png", "predict", "run", "broken.png", "--quiet")
        self.assert_refused(3, "missing.png", "predict", "run", "missing.png", "--quiet")

    def test_report(self):
        self.assert_refused(3, "nowhere", "report", "nowhere")
        self.write("run/metrics.jsonl", '{"epoch": 0}\n{broken\n')
        self.assert_refused(3, ["metrics.jsonl", "line 2"], "report", "run")


class Divergence(ProgramTest):
    def test_a_run_that_diverges(self):
        done = self.run_program("train", *SMALL, "--learning-rate", "1e30")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(self.status("run")["state"], "diverged")
        self.assertIn("diverged", done.stdout)

    def test_a_comparison_continues_after_a_diverged_run(self):
        self.write("wild.toml", 'model = "mlp:16"\nepochs = 2\nseeds = 2\narms = ["wild", "bp"]\n'
                                "[arm.wild]\nlearning-rate = 1e30\n")
        done = self.run_program("run", "wild.toml", "--out", "both", "--quiet")
        self.assertEqual(done.returncode, 4, done.stderr)
        states = {arm: self.status(f"both/arms/{arm}/seed-2")["state"] for arm in ["wild", "bp"]}
        self.assertEqual(states, {"wild": "diverged", "bp": "finished"})


class Library(ProgramTest):
    def test_an_unknown_instruction_set_exits_with_2(self):
        done = self.run_program("bench", "mlp", "--nodes", "8-4-2", "--seconds", "0.01", GRAPES_INSTRUCTION_SET="portible")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("grapes: unknown instruction set 'portible' (did you mean 'portable'?)", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


class Disks(ProgramTest):
    def test_full_disk(self):
        before = self.inside("-t", "tmpfs", "-o", "size=64k", "tmpfs", "DISK")
        done = self.run_program("train", "--quiet", "--model", "mlp:64", "--out", "disk/run", before=before)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("No space left on device", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_unwritable_folder(self):
        before = self.inside("-t", "tmpfs", "-o", "ro", "tmpfs", "DISK")
        for verb in ["train", "compare"]:
            self.assert_refused(3, "disk/run", verb, "--quiet", "--model", "mlp:8", "--out", "disk/run", before=before)
        if os.geteuid() != 0:
            self.write("locked/x", "").parent.chmod(0o500)
            self.assert_refused(3, "locked/run", "train", "--quiet", "--out", "locked/run")

    def test_result_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            program = self.start("list", "keys", stdout=full, stderr=subprocess.PIPE, text=True)
            _, said = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 3)
        self.assertIn("cannot write the result", said)


if __name__ == "__main__":
    main()
