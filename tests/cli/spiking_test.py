#!/usr/bin/env python3
"""Spiking networks from the command line: presets, sequences, early stopping, resuming, music, and errors."""
import json
import random

from program import main, ProgramTest

PICTURES = ["--data", "digits", "--model", "snn:30", "--time-steps", "8", "--epochs", "2", "--quiet"]


def chorales(n, seed):
    """Pieces in which every step is the previous one, a note higher, which is easy to predict."""
    draw = random.Random(seed)
    pieces = []
    for _ in range(n):
        low = draw.randrange(40, 50)
        pieces.append([[low + t % 12, low + 7 + t % 12] for t in range(draw.randrange(10, 20))])
    return pieces


class SpikingTest(ProgramTest):
    def music(self):
        self.write("jsb-chorales-quarter.json",
                   json.dumps({"train": chorales(20, 1), "valid": chorales(6, 2), "test": chorales(6, 3)}))
        return ["--preset", "jsb", "--data-dir", ".", "--quiet"]

    def text(self, name):
        return (self.folder / name).read_text(encoding="utf-8")

    def test_memory_is_needed_and_learned(self):
        scores = []
        for seed in (1, 2, 3):  # one seed may not find the solution; which one depends on the rounding of this machine's products
            result = self.good_json("train", "--preset", "delayed-xor", "--seed", seed, "--out", f"xor-{seed}", "--quiet")
            scores.append(result["last"]["test_accuracy"])
        self.assertGreater(sorted(scores)[1], 0.95)
        activity = self.rows("xor-1")[-1]["layers"][0]["activity"]
        self.assertGreater(activity["rate"], 0)
        self.assertLess(activity["silent"], 1)

    def test_music_is_judged_by_the_step_and_stops_early(self):
        result = self.good_json("train", *self.music(), "--out", "notes", "--epochs", "60", "--patience", "2")
        last = result["last"]
        self.assertAlmostEqual(last["test_loss"], -last["test_log_likelihood"], places=9)
        rows = self.rows("notes")
        best = max(rows[1:], key=lambda row: row["validation_log_likelihood"])
        self.assertEqual(last["epoch"], best["epoch"])
        self.assertEqual(self.status("notes")["counts"], best["epoch"])
        page = self.text("notes/report.html")
        self.assertIn("best on validation data", page)
        self.assertIn("what was played (outlines)", page)
        self.assertIn("A log-likelihood is summed over the bits of a time step", page)
        said = self.good("train", *self.music(), "--out", "again", "--epochs", "1")
        self.assertIn("log-likelihood: summed over the bits of a time step and averaged over all time steps", said)

    def test_an_interrupted_epoch_resumes_bit_for_bit(self):
        self.good("train", *PICTURES, "--modulation", "shuffled", "--recurrent", "--out", "whole")
        self.good("train", *PICTURES[:-2], "1", "--quiet", "--modulation", "shuffled", "--recurrent", "--out", "part")
        self.write("part/config.toml", self.text("part/config.toml").replace("epochs = 1\n", "epochs = 2\n"))
        self.good("train", "--resume", "part", "--quiet")
        whole, part = self.rows("whole")[-1], self.rows("part")[-1]
        for key in ("train_loss", "validation_loss", "test_accuracy", "layers"):
            self.assertEqual(whole[key], part[key], key)

    def test_rules_readouts_and_neurons_run(self):
        for extra in (["--route", "eprop", "--recurrent", "--modulation", "grapes"], ["--route", "fa"], ["--route", "dfa"],
                      ["--neuron", "cuba-lif", "--readout", "max_membrane"], ["--neuron", "ssnu", "--encoder", "direct"],
                      ["--encoder", "latency", "--learn-decay", "per-node", "--optimizer", "adam"]):
            result = self.good_json("train", *PICTURES[:-3], "--epochs", "1", "--quiet", *extra)
            self.assertEqual(result["state"], "finished", extra)

    def test_exported_weights_have_consecutive_layer_names(self):
        self.good("train", *PICTURES, "--recurrent", "--out", "pictures")
        self.good("export", "pictures", "--out", "out.safetensors")
        self.assertEqual(sorted(self.tensors("out.safetensors")), ["0.recurrent", "0.threshold", "0.weight", "1.threshold", "1.weight"])

    def test_a_file_can_start_from_a_preset(self):
        self.write("mine.toml", 'membrane-decay = 0.5\npreset = "mnist-rate"\n')
        text = self.good("train", "--config", "mine.toml", "--print-config")
        self.assertIn("membrane-decay = 0.5 ", text)
        self.assertIn('model = "snn:250,250" ', text)
        self.write("mine.toml", 'preset = "mnist-rat"\n')
        self.assert_refused(2, "mnist-rate", "train", "--config", "mine.toml")

    def test_every_neuron_learns_and_biases_and_convolutions_too(self):
        for extra in (["--neuron", "if"], ["--neuron", "alif"], ["--neuron", "cuba-lif", "--learn-synapse"],
                      ["--neuron", "lif", "--refractory", "2", "--reset-value", "-0.1", "--bias"],
                      ["--model", "spiking:conv4k3,avg2,16", "--neuron", "lif", "--norm", "threshold", "--recompute"],
                      ["--model", "spiking-resnet:4,6", "--neuron", "lif", "--modulation", "grapes", "--route", "dfa"]):
            result = self.good_json("train", *PICTURES, *extra, "--epochs", 1)
            self.assertEqual(result["state"], "finished", extra)

    def test_invalid_options_are_errors(self):
        for words, *extra in (("ifa", "--route", "ifa"), ("dropout", "--dropout", "0.1"), ("bf16", "--precision", "bf16"),
                              ("refractory", "--neuron", "ssnu", "--refractory", "2"), ("synaptic", "--responsibility", "synaptic")):
            self.assert_refused(2, words, "train", *PICTURES, *extra)
        self.assert_refused(2, "sequences", "train", "--data", "delayed-xor", "--model", "mlp:10", "--quiet")
        self.assert_refused(2, "eprop", "train", "--route", "eprop", "--quiet")
        self.assert_refused(3, "jsb", "train", "--preset", "jsb", "--data-dir", ".", "--quiet")
        self.assert_refused(2, "--augment", "train", "--preset", "delayed-xor", "--augment", "rotate=10", "--quiet")


if __name__ == "__main__":
    main()
