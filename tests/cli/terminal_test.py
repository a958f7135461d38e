#!/usr/bin/env python3
"""Signals, and output to a terminal."""
import os
import pty
import signal
import subprocess
import time

from program import GRAPES, main, ProgramTest

# Long enough to be interrupted within an epoch, short enough to run twice.
LONG = ["--model", "mlp:1200,1200", "--dropout", "0.1", "--optimizer", "adam", "--learning-rate", "0.001", "--modulation",
        "grapes", "--epochs", "12", "--batch-size", "16", "--augment", "shift=0.1"]


class Signals(ProgramTest):
    def interrupt(self, number, *arguments, run):
        program = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.wait_for_epoch(run, 2)
        time.sleep(0.1)
        program.send_signal(number)
        output, said = program.communicate(timeout=60)
        return program.returncode, output, said

    def test_interrupted_and_resumed_equals_never_stopped(self):
        self.good("train", *LONG, "--quiet", "--out", "whole")
        code, output, _ = self.interrupt(signal.SIGINT, "train", *LONG, "--quiet", "--out", "part", run="part")
        self.assertEqual(code, 130)
        self.assertIn("resume with: grapes train --resume part", output)
        self.assertEqual(self.status("part")["state"], "interrupted")
        self.assertTrue((self.folder / "part/checkpoints/last.safetensors").is_file())
        self.good("train", "--resume", "part", "--quiet")
        self.assertEqual(self.status("part")["state"], "finished")
        self.assertEqual(self.tensors("part/checkpoints/last.safetensors"),
                         self.tensors("whole/checkpoints/last.safetensors"))

    def test_terminated(self):
        code, _, _ = self.interrupt(signal.SIGTERM, "train", *LONG, "--quiet", "--out", "part", run="part")
        self.assertEqual(code, 143)
        self.assertEqual(self.status("part")["state"], "interrupted")

    def test_a_comparison_is_interrupted_and_resumed(self):
        arguments = ["compare", *[word for word in LONG if word not in ("--modulation", "grapes")], "--arms",
                     "bp,grapes", "--seeds", "2", "--quiet", "--jobs", "1"]
        code, output, _ = self.interrupt(signal.SIGINT, *arguments, "--out", "part", run="part/arms/bp/seed-1")
        self.assertEqual(code, 130)
        self.assertIn("resume with: grapes compare --resume part", output)
        self.good("compare", "--resume", "part", "--quiet")
        for arm in ["bp", "grapes"]:
            for seed in [1, 2]:
                self.assertEqual(self.status(f"part/arms/{arm}/seed-{seed}")["state"], "finished")


class Terminal(ProgramTest):
    def on_terminal(self, *arguments, **variables):
        """Return what the program writes to a terminal as its stderr."""
        ours, theirs = pty.openpty()
        program = subprocess.Popen([GRAPES, *arguments], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=theirs,
                                   env={**self.environment, **variables})
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            seen += piece
        os.close(ours)
        self.assertEqual(program.wait(timeout=60), 0)
        return seen.decode()

    def test_progress_only_on_a_terminal(self):
        seen = self.on_terminal("train", *LONG, "--epochs", "3")
        for words in ["epoch 2 of 3", "loss", "accuracy", "samples/s", "\r\033[K"]:
            self.assertIn(words, seen)
        self.assertTrue(seen.endswith("\r\033[K"), "the line is taken away at the end")
        done = self.run_program("train", *LONG, "--epochs", "3")
        self.assertNotIn("\r", done.stderr)
        self.assertNotIn("samples/s", done.stderr)
        self.assertNotIn("\033", done.stderr + done.stdout)

    def test_quiet(self):
        self.assertEqual(self.on_terminal("train", *LONG, "--epochs", "2", "--quiet"), "")

    def test_color(self):
        run = ["train", *LONG, "--epochs", "2"]
        self.assertIn("\033[36m", self.on_terminal(*run))
        self.assertNotIn("\033[36m", self.on_terminal(*run, NO_COLOR="1"))
        self.assertIn("\033[36m", self.on_terminal(*run, NO_COLOR=""))
        self.assertNotIn("\033[36m", self.on_terminal(*run, "--color", "never"))
        self.assertIn("\033[31m", self.run_program("--color", "always", "eval", "none").stderr)
        self.assertNotIn("\033", self.run_program("eval", "none").stderr)

    def test_compare(self):
        seen = self.on_terminal("compare", "--arms", "bp,grapes", "--seeds", "2", "--epochs", "5")
        self.assertRegex(seen, r"\d of 4 runs")


if __name__ == "__main__":
    main()
