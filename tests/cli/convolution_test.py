#!/usr/bin/env python3
"""Convolutional networks from the command line: training, rules, resuming, files, and errors."""
import json
import signal
import time

from program import main, ProgramTest

SMALL = ["--data", "digits", "--model", "cnn:16,32", "--learning-rate", "0.05", "--epochs", "4", "--quiet"]


class ConvolutionTest(ProgramTest):
    def test_it_learns_with_and_without_normalization(self):
        adam = ["--optimizer", "adam", "--learning-rate", "0.005", "--epochs", "10"]
        for extra in (adam, ["--norm", "batch", "--learning-rate", "0.1", "--epochs", "8"], [*adam, "--modulation", "grapes"]):
            result = self.good_json("train", *SMALL, *extra)
            self.assertGreater(result["last"]["test_accuracy"], 0.9, extra)

    def test_every_route_and_modulation_runs(self):
        for route in ("bp", "fa", "dfa", "ifa", "sign-symmetric"):
            for modulation in ("grapes", "grapes-local", "uniform", "shuffled"):
                result = self.good_json("train", *SMALL[:-3], "--epochs", "1", "--quiet", "--train-limit", "200", "--route", route,
                                        "--modulation", modulation, "--dropout", "0.1", "--learning-rate", "0.01")
                self.assertEqual(result["state"], "finished", (route, modulation))

    def test_the_published_networks_run(self):
        for model in ("lenet5", "resnet9", "resnet18-cifar"):
            result = self.good_json("train", "--data", "digits", "--pad", "32", "--model", model, "--norm", "batch", "--train-limit", "40",
                                    "--test-limit", "20", "--validation-split", "0", "--batch-size", "20", "--learning-rate", "0.001",
                                    "--initializer", "he_truncated", "--epochs", "1", "--quiet")
            self.assertEqual(result["state"], "finished", model)

    def test_stopped_and_resumed_equals_never_stopped(self):
        arguments = [*SMALL, "--norm", "batch", "--modulation", "shuffled", "--dropout", "0.2", "--augment", "crop=1,flip=0.5", "--epochs", "8"]
        self.good("train", *arguments, "--out", "whole")
        run = self.start("train", *arguments, "--out", "part")
        self.wait_for_epoch("part", 2, run)
        run.send_signal(signal.SIGINT)
        self.assertIn(run.wait(), (130, 0))
        if self.status("part")["state"] == "interrupted":
            self.good("train", "--resume", "part", "--quiet")
        whole, part = self.rows("whole")[-1], self.rows("part")[-1]
        for key in ("train_loss", "validation_loss", "test_accuracy", "layers"):
            self.assertEqual(whole[key], part[key], key)
        whole, part = self.tensors("whole/checkpoints/last.safetensors"), self.tensors("part/checkpoints/last.safetensors")
        self.assertEqual(whole, part)
        self.assertIn("layers.0.mean", whole)

    def test_a_checkpoint_is_evaluated_as_it_was_trained(self):
        trained = self.good_json("train", *SMALL, "--norm", "batch", "--out", "run")
        evaluated = self.good_json("eval", "run/checkpoints/last.safetensors")
        self.assertAlmostEqual(evaluated["accuracy"], trained["last"]["test_accuracy"], places=9)

    def test_recomputing_and_keeping_learn_the_same(self):
        for norm in ("none", "batch"):
            kept, again = (self.good_json("train", *SMALL, "--norm", norm, *extra) for extra in ([], ["--recompute"]))
            # Without normalization large maps are computed in slices, with sums in another order.
            self.assertAlmostEqual(kept["last"]["train_loss"], again["last"]["train_loss"], places=9 if norm == "batch" else 2)

    def test_products_can_be_rounded(self):
        losses = [self.good_json("train", *SMALL, "--norm", "batch", "--precision", precision)["last"]["train_loss"]
                  for precision in ("float32", "bf16")]
        self.assertNotEqual(*losses)
        self.assertAlmostEqual(*losses, places=1)

    def test_a_missing_device_is_an_error(self):
        self.assert_refused(2, "expected cpu|cuda|cuda:NUMBER", "train", *SMALL, "--device", "gpu")
        self.assert_refused(2, "device cuda:63 is not available", "train", *SMALL, "--device", "cuda:63")
        self.good("train", *SMALL, "--device", "cpu", "--out", "run")
        self.assert_refused(2, "device cuda:63 is not available", "eval", "run", "--device", "cuda:63")

    def test_invalid_options_are_errors(self):
        for words, extra in (("too small", ["--model", "cnn:8,8,8,8"]),
                             ("expected unit counts", ["--model", "cnn:"]), ("takes no arguments", ["--model", "resnet9:3"]),
                             ("spiking", ["--route", "eprop"])):
            self.assert_refused(2, words, "train", *SMALL, *extra)
        self.assert_refused(2, "norm is only supported in convolutional networks", "train", "--norm", "batch", "--quiet")
        self.assert_refused(2, "recompute is only supported in convolutional networks", "train", "--recompute", "--quiet")
        self.assert_refused(2, "dropout-in-evaluation", "train", "--dropout-in-evaluation", "--quiet")
        self.write("table.csv", "a,b,label\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n1,3,x\n4,4,y\n")
        self.assert_refused(2, "takes images of shape", "train", "--data", "table.csv", "--model", "cnn:8", "--quiet")
        self.assert_refused(3, "cifar10", "train", "--preset", "cifar10-resnet9", "--data-dir", ".", "--quiet")


if __name__ == "__main__":
    main()
