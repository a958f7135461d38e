#!/usr/bin/env python3
"""One training in several processes: the result of one, failures, restarts."""
import array
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

from program import GRAPES, main, ProgramTest

NET = ["--model", "mlp:40,20", "--modulation", "grapes", "--precision", "float64", "--dropout", "0.2", "--batch-size", "48",
       "--epochs", "3", "--optimizer", "momentum", "--learning-rate", "0.05"]
# Long enough that a signal arrives within the training.
LONG = ["--model", "mlp:600,600", "--modulation", "grapes", "--batch-size", "32", "--epochs", "8", "--learning-rate", "0.02"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Processes(ProgramTest):
    def setUp(self):
        super().setUp()
        gloo = json.loads(self.good("env", "--json"))["gloo"]
        if gloo != "available":
            self.skipTest(gloo)

    def assert_close(self, one, other, most=1e-12):
        """Compare two checkpoints: numbers of float64 are close, and all others are equal."""
        mine, theirs = self.typed_tensors(one), self.typed_tensors(other)
        self.assertEqual(mine.keys(), theirs.keys())
        self.assertIn("F64", [dtype for dtype, _ in mine.values()])
        for name, (dtype, content) in mine.items():
            self.assertEqual((dtype, len(content)), (theirs[name][0], len(theirs[name][1])), name)
            if dtype == "F64":
                a, b = array.array("d", content), array.array("d", theirs[name][1])
                self.assertLessEqual(max((abs(x - y) for x, y in zip(a, b)), default=0), most, name)
            else:
                self.assertEqual(content, theirs[name][1], name)

    def launched(self, *arguments):
        """Start `grapes launch`."""
        return self.start("launch", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ranks(self, launch):
        """Return rank -> process of a launch that runs."""
        children = pathlib.Path(f"/proc/{launch.pid}/task/{launch.pid}/children").read_text().split()
        found = {}
        for child in children:
            variables = pathlib.Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            found.update({int(one[5:]): int(child) for one in variables if one.startswith(b"RANK=")})
        return found

    def by_hand(self, ranks, **variables):
        """Start a process per rank with its own arguments, and return their stderr and exit codes.

        Of a rank's own variables, `folder` is where it starts, and `memory` the bytes that it may have.
        """
        def limited(memory):
            return lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

        common = {"WORLD_SIZE": str(len(ranks)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), **variables}
        started = [subprocess.Popen([GRAPES, "train", *arguments], cwd=self.folder / own.pop("folder", "."),
                                    stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                    preexec_fn=limited(own.pop("memory")) if "memory" in own else None,
                                    env={**self.environment, **common, "RANK": str(rank), **own})
                   for rank, (arguments, own) in enumerate(ranks)]
        return [(one.communicate(timeout=120)[1], one.returncode) for one in started]

    def test_any_number_of_processes_gives_the_result_of_one(self):
        self.good("train", *NET, "--out", "one")
        for processes in [2, 4]:
            output = self.good("launch", "-n", processes, "--", "train", *NET, "--out", f"of{processes}")
            self.assertEqual(output.count("record: "), 1)
            self.assert_close("one/checkpoints/last.safetensors", f"of{processes}/checkpoints/last.safetensors")
            for mine, theirs in zip(self.rows("one"), self.rows(f"of{processes}")):
                self.assertEqual(mine["step"], theirs["step"])
                self.assertEqual(mine["test_accuracy"], theirs["test_accuracy"])
                self.assertAlmostEqual(mine["validation_loss"], theirs["validation_loss"], delta=1e-12)
                if mine["epoch"] > 0:
                    self.assertAlmostEqual(mine["train_loss"], theirs["train_loss"], delta=1e-12)
        self.good("train", *NET, "--accumulate", "3", "--out", "parts")
        self.assert_close("one/checkpoints/last.safetensors", "parts/checkpoints/last.safetensors")

    def test_a_run_resumes_with_another_number_of_processes(self):
        self.good("train", *NET, "--out", "whole")
        self.good("launch", "-n", 3, "--", "train", *NET, "--epochs", "1", "--out", "part")
        self.good("launch", "-n", 2, "--", "train", "--resume", "part", "--epochs", "2")
        self.good("train", "--resume", "part", "--epochs", "3")
        self.assert_close("whole/checkpoints/last.safetensors", "part/checkpoints/last.safetensors")

    def test_a_killed_process_is_started_again_and_the_result_is_the_same(self):
        self.good("launch", "-n", 2, "--", "train", *LONG, "--quiet", "--out", "whole")
        for rank in [0, 1]:
            launch = self.launched("-n", 2, "--restarts", 2, "--timeout", 20, "--", "train", *LONG, "--out", f"killed{rank}")
            self.wait_for_epoch(f"killed{rank}", 2)
            os.kill(self.ranks(launch)[rank], signal.SIGKILL)
            _, said = launch.communicate(timeout=120)
            self.assertEqual(launch.returncode, 0, said)
            self.assertIn(f"launch: rank {rank} (process", said)
            self.assertIn("was killed by signal 9", said)
            self.assertIn("starting all processes again (1 of 2)", said)
            self.assertEqual(self.tensors("whole/checkpoints/last.safetensors"),
                             self.tensors(f"killed{rank}/checkpoints/last.safetensors"))
            self.assertEqual([row["train_loss"] for row in self.rows("whole")[1:]],
                             [row["train_loss"] for row in self.rows(f"killed{rank}")[1:]])

    def test_a_process_that_does_not_answer_is_named_within_the_timeout(self):
        launch = self.launched("-n", 3, "--timeout", 6, "--", "train", *LONG, "--epochs", "100", "--out", "run")
        self.wait_for_epoch("run", 1)
        os.kill(self.ranks(launch)[1], signal.SIGSTOP)
        start = time.monotonic()
        _, said = launch.communicate(timeout=60)
        self.assertLess(time.monotonic() - start, 6 + 6 + 5)  # the others end within 6 s, and after 6 more it is killed
        self.assertEqual(launch.returncode, 1, said)
        self.assertRegex(said, r"ends because rank 1 of 3 on \S+ \(process \d+\) does not answer")
        self.good("train", "--resume", "run", "--epochs", "101", "--quiet")  # the checkpoint is whole

    def test_a_process_without_memory_ends_all_in_words(self):
        large = ["--model", "mlp:4096,4096", "--epochs", "2", "--timeout", "20", "--out", "large", "--quiet"]
        (first, code), (second, other) = self.by_hand([(large, {}), (large, {"memory": 1 << 30})])
        self.assertEqual((code, other), (1, 1), first + second)
        self.assertIn("allocate memory", second)
        self.assertRegex(first, r"rank 0 ends because rank 1 of 2 on \S+ \(process \d+\) failed: .*allocate memory")

    def test_a_full_disk_ends_all_in_words(self):
        full = self.inside("-t", "tmpfs", "-o", "size=600k", "tmpfs", "DISK")
        done = self.run_program("launch", "-n", 2, "--", "train", "--model", "mlp:256,256", "--epochs", 3, "--timeout", 20,
                                "--out", "disk/run", "--quiet", before=full)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"rank 1 ends because rank 0 of 2 on \S+ \(process \d+\) failed: cannot write .*No space left")

    def test_a_signal_stops_all_with_a_checkpoint(self):
        self.good("launch", "-n", 2, "--", "train", *LONG, "--quiet", "--out", "whole")
        launch = self.launched("-n", 2, "--", "train", *LONG, "--out", "part")
        self.wait_for_epoch("part", 2)
        launch.send_signal(signal.SIGTERM)
        output, said = launch.communicate(timeout=60)
        self.assertEqual(launch.returncode, 143, said)
        self.assertIn("stopped by SIGTERM", output)
        self.good("launch", "-n", 2, "--", "train", "--resume", "part", "--quiet")
        self.assertEqual(self.tensors("whole/checkpoints/last.safetensors"),
                         self.tensors("part/checkpoints/last.safetensors"))

    def test_processes_that_do_not_fit_together_are_refused_in_words(self):
        short = ["--quiet", "--timeout", "4"]
        for folder in "ab":
            rows = [f"{i},{i * ord(folder) % 7},{'xy'[i % 2]}\n" for i in range(100)]
            self.write(f"{folder}/t.csv", "".join(["size,weight,class\n", *rows]))
        table = [*short, "--data", "t.csv"]
        for code, said, ranks in [
                (2, "must have the same settings: rank 1 of 2 on", [(short, {}), ([*short, "--learning-rate", "0.3"], {})]),
                (2, "must have the same data: rank 1 of 2 on", [(table, {"folder": "a"}), (table, {"folder": "b"})]),
                (2, "must have the same WORLD_SIZE", [(short, {"WORLD_SIZE": "3"}), (short, {})]),
                (2, "two processes have rank 1", [(short, {}), (short, {}), (short, {"RANK": "1"})]),
        ]:
            ended = self.by_hand(ranks)
            self.assertIn((code, True), [(end, said in text) for text, end in ended], f"{said}: {ended}")
        ended = self.by_hand([(short, {"WORLD_SIZE": "2"})])
        self.assertIn("1 of 2 processes did not arrive within 4 s: rank 1", ended[0][0])
        ended = self.by_hand([(short, {"WORLD_SIZE": "2", "RANK": "1"})])
        self.assertIn("rank 1 of 2 did not reach rank 0 at 127.0.0.1:", ended[0][0])
        self.assertEqual(ended[0][1], 1)

    def test_what_depends_on_the_division_is_refused(self):
        for setting, said in [(["--precision", "activations=int8"], "precision: activations with a scale"),
                              (["--precision", "error=q4.12:stochastic"], "precision: error with stochastic rounding"),
                              (["--carry-remainder"], "carry-remainder")]:
            self.assert_refused(2, said, "train", "--accumulate", "2", *setting)

    def test_batch_normalization_is_synchronized_if_asked(self):
        net = ["train", "--quiet", "--model", "cnn:4,8", "--norm", "batch", "--precision", "float64", "--batch-size", "60",
               "--epochs", "1", "--sync-batch-norm"]
        self.good(*net, "--out", "one")
        self.good("launch", "-n", 2, "--", *net, "--out", "two")
        self.assert_close("one/checkpoints/last.safetensors", "two/checkpoints/last.safetensors")

    def test_bench_compares_several_processes_with_one(self):
        lines = [json.loads(line) for line in self.good("bench", "dist", "--seconds", "0.05", "--json").splitlines()]
        self.assertEqual([line["name"].split(":")[0] for line in lines], ["mlp", "mlp", "cnn", "snn"])
        for line in lines:
            self.assertEqual(line["processes"], 2)
            self.assertAlmostEqual(line["efficiency"], line["alone_us"] / line["step_us"])
            self.assertGreater(line["exchange_us"], 0)
            self.assertTrue(0 <= line["overlap"] <= 1)

    def test_launch_starts_trainings_only(self):
        self.assert_refused(2, "expected train after --; got 'compare'", "launch", "-n", "2", "--", "compare")

    def torchrun(self, *arguments):
        """Start torchrun of PyTorch from PyPI with two processes, or skip the test."""
        torchrun = os.environ.get("TORCHRUN", "")
        if not pathlib.Path(torchrun).is_file():
            self.skipTest("PyTorch from PyPI is missing: make test-torch2 installs it")
        return subprocess.Popen([torchrun, "--nproc-per-node", "2", "--master-port", str(free_port()), *arguments[:-1],
                                 "--no-python", GRAPES, "train", *arguments[-1]], cwd=self.folder, env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_torchrun_starts_grapes(self):
        started = self.torchrun([*NET, "--out", "two"])
        self.good("train", *NET, "--out", "one")
        _, said = started.communicate(timeout=200)
        self.assertEqual(started.returncode, 0, said)
        self.assert_close("one/checkpoints/last.safetensors", "two/checkpoints/last.safetensors")

    def test_torchrun_restarts_a_training_that_lost_a_process(self):
        started = self.torchrun("--max-restarts", "2", [*LONG, "--quiet", "--timeout", "20", "--out", "killed"])
        self.wait_for_epoch("killed", 2)
        os.kill(self.ranks(started)[1], signal.SIGKILL)
        _, said = started.communicate(timeout=200)
        self.assertEqual(started.returncode, 0, said)
        self.good("launch", "-n", 2, "--", "train", *LONG, "--quiet", "--out", "whole")
        self.assertEqual(self.tensors("whole/checkpoints/last.safetensors"), self.tensors("killed/checkpoints/last.safetensors"))


if __name__ == "__main__":
    main()
