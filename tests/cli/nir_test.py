#!/usr/bin/env python3
"""NIR files through the whole program: exported files are read by h5py and computed in NumPy from NIR's equations; files of
another program, written by h5py, are imported, checked or rejected. The reference implementation reads them in
tests/readers."""
import json
import pathlib
import unittest

from program import main, ProgramTest

try:
    import h5py
    import numpy as np
    from nir_files import foreign, load, population, save, simulate
except ImportError as missing:
    raise unittest.SkipTest(f"python3-h5py and python3-numpy are needed: {missing}")

SMALL = ["--data", "digits", "--model", "snn:24,16", "--encoder", "direct", "--time-steps", "12", "--loss", "mse",
         "--precision", "float64", "--learning-rate", "1", "--epochs", "2", "--quiet"]


class NirTest(ProgramTest):
    def setUp(self):
        super().setUp()
        draw = np.random.default_rng(1)
        self.x = draw.uniform(0, 1, (25, 64))
        self.write("x.csv", "\n".join(",".join(repr(float(v)) for v in row) for row in self.x) + "\n")

    def predictions(self, checkpoint):
        """Return the program's predictions for x.csv, in the order of the classes."""
        examples = self.good_json("predict", checkpoint, "x.csv", "--top", "10", "--quiet")["examples"]
        return np.array([[one["probability"] for one in sorted(answers, key=lambda answer: int(answer["class"]))]
                         for answers in examples])

    def shown(self, steps=12):
        """The encoder `direct`. The program reads pixels as float32."""
        return np.repeat(self.x.astype(np.float32).astype(float)[None], steps, axis=0)

    def rates(self, path, dt, steps=12):
        nodes, edges, *_ = load(self.folder / path)
        return simulate(nodes, edges, dt, self.shown(steps)).mean(axis=0)


class Export(NirTest):
    def check(self, *options, types):
        self.good("train", *SMALL, *options, "--out", "run")
        self.good("export", "nir", "run", "--dt", "0.0005", "--out", "net.nir")
        nodes, _, metadata = load(self.folder / "net.nir")
        self.assertEqual(metadata["dt"], 0.0005)
        self.assertEqual(sorted(node["type"] for node in nodes.values()), sorted(types))
        expected = self.predictions("run")
        self.assertGreater(expected.sum(), 1)
        np.testing.assert_allclose(self.rates("net.nir", metadata["dt"]), expected, rtol=0, atol=1e-9)
        self.assertIn("no fault\n", self.good("nir", "check", "net.nir"))
        # The import gives the same bits in the checkpoint.
        self.good("import", "nir", "net.nir", "--out", "back.safetensors")
        first, second = self.tensors("run/checkpoints/last.safetensors"), self.tensors("back.safetensors")
        self.assertEqual({name: first[name] for name in second if not name.startswith("optimizer")},
                         {name: value for name, value in second.items() if not name.startswith("optimizer")})
        np.testing.assert_array_equal(self.predictions("back.safetensors"), expected)
        one, two = (self.good_json("eval", file, "--quiet") for file in ("run", "back.safetensors"))
        self.assertEqual({**one, "checkpoint": 0}, {**two, "checkpoint": 0})

    CHAIN = ["Input", "Linear", "Linear", "Linear", "Output"]

    def test_lif(self):
        self.check("--neuron", "lif", "--modulation", "grapes", types=[*self.CHAIN, "LIF", "LIF", "LIF"])

    def test_cuba_lif(self):
        self.check("--neuron", "cuba-lif", "--learn-decay", "per-node", types=[*self.CHAIN, *3 * ["CubaLIF"]])

    def test_recurrent(self):
        self.check("--neuron", "lif", "--recurrent", types=[*self.CHAIN, "Linear", "Linear", "LIF", "LIF", "LIF"])

    def test_without_reset(self):
        self.check("--neuron", "lif", "--reset", "none",
                   types=[*self.CHAIN, *3 * ["LI"], *3 * ["Threshold"]])

    def test_float32_and_a_learned_input_scale(self):
        self.good("train", *SMALL, "--precision", "float32", "--neuron", "lif", "--normalize", "standard", "--epochs", "1",
                  "--out", "run")
        self.good("export", "nir", "run", "--out", "net.nir")
        self.good("import", "nir", "net.nir", "--out", "back.safetensors")
        np.testing.assert_array_equal(self.predictions("back.safetensors"), self.predictions("run"))
        first, second = self.tensors("run/checkpoints/last.safetensors"), self.tensors("back.safetensors")
        for name in ("input.shift", "input.scale", "layers.0.weight", "layers.2.threshold"):
            self.assertEqual(first[name], second[name], name)
        self.good("export", "nir", "back.safetensors", "--out", "again.nir")
        self.assertEqual((self.folder / "net.nir").read_bytes(), (self.folder / "again.nir").read_bytes())

    def test_networks_that_nir_cannot_express_are_errors(self):
        for number, (options, reason) in enumerate((
                (["--neuron", "snu"], "a membrane activation relu or leaky_relu"),
                (["--neuron", "ssnu", "--membrane-activation", "identity"], "a soft output (ssnu)"),
                (["--neuron", "lif", "--reset", "subtract"], "a soft reset (reset subtract)"))):
            run, near, back = f"run{number}", f"near{number}.nir", f"near{number}.safetensors"
            self.good("train", *SMALL, *options, "--epochs", "1", "--out", run)
            self.assert_refused(2, ["NIR has no node for " + reason, "--approximate"], "export", "nir", run, "--out", "x.nir")
            said = self.run_program("export", "nir", run, "--approximate", "--out", near)
            self.assertEqual(said.returncode, 0)
            self.assertIn(f"note: {reason} was replaced by", said.stderr)
            *_, metadata = load(self.folder / near)
            self.assertIn(f"{reason} was replaced by", metadata["approximations"])
            # The import gives the file's network, not the original one.
            self.good("import", "nir", near, "--out", back)
            np.testing.assert_allclose(self.predictions(back), self.rates(near, 1e-3), rtol=0, atol=1e-9)
        self.good("train", "--model", "mlp:8", "--epochs", "1", "--quiet", "--out", "dense")
        self.assert_refused(2, "only spiking models can be exported", "export", "nir", "dense", "--out", "x.nir")


class Import(NirTest):
    def test_a_network_of_another_program(self):
        for kind in ("LIF", "CubaLIF"):
            for dt in ("0.001", "0.002"):
                nodes, edges = foreign(kind)
                save(self.folder / "theirs.nir", nodes, edges)
                said = self.good_json("import", "nir", "theirs.nir", "--dt", dt, "--encoder", "direct", "--time-steps", "12",
                                      "--out", "ours.safetensors", "--quiet")
                self.assertEqual((said["model"], said["recurrent"]), ("snn:20", True))
                rates = simulate(nodes, edges, float(dt), self.shown()).mean(axis=0)
                self.assertGreater(rates.mean(), 0.02)
                self.assertLess(rates.mean(), 0.98)
                # The default loss is cross-entropy, whose predictions are the softmax of the rates.
                expected = np.exp(rates) / np.exp(rates).sum(axis=1, keepdims=True)
                np.testing.assert_allclose(self.predictions("ours.safetensors"), expected, rtol=0, atol=1e-9)

    def test_neurons_with_another_resting_potential(self):
        nodes, edges = foreign()
        for name in ("1_neurons", "3_neurons"):
            nodes[name].update(v_leak=nodes[name]["v_leak"] - 0.5, v_reset=nodes[name]["v_reset"] - 0.5,
                               v_threshold=nodes[name]["v_threshold"] - 0.45)
        save(self.folder / "theirs.nir", nodes, edges)
        self.good("import", "nir", "theirs.nir", "--encoder", "direct", "--time-steps", "12", "--out", "ours.safetensors", "--quiet")
        rates = simulate(nodes, edges, 1e-3, self.shown()).mean(axis=0)
        self.assertGreater(rates.mean(), 0.02)
        expected = np.exp(rates) / np.exp(rates).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(self.predictions("ours.safetensors"), expected, rtol=0, atol=1e-9)

    def test_biases_and_constants_of_each_neuron(self):
        for kind in ("LIF", "CubaLIF"):
            with self.subTest(kind):
                draw = np.random.default_rng(7)
                nodes, edges = foreign(kind)
                nodes["0_fc"]["bias"] = draw.uniform(-0.5, 1, 20)
                nodes["1_back"] = {"type": "Affine", "weight": nodes["1_back"]["weight"], "bias": draw.uniform(-0.2, 0.4, 20)}
                for name, n in (("1_neurons", 20), ("3_neurons", 10)):
                    nodes[name].update(v_leak=draw.uniform(-0.05, 0.02, n), v_reset=draw.uniform(-0.2, 0, n))
                    if kind == "CubaLIF":
                        nodes[name]["tau_syn"] = draw.uniform(2e-3, 8e-3, n)
                save(self.folder / "theirs.nir", nodes, edges)
                self.good("import", "nir", "theirs.nir", "--encoder", "direct", "--time-steps", "12", "--out", "ours.safetensors",
                          "--quiet")
                rates = simulate(nodes, edges, 1e-3, self.shown()).mean(axis=0)
                self.assertGreater(rates.mean(), 0.02)
                expected = np.exp(rates) / np.exp(rates).sum(axis=1, keepdims=True)
                np.testing.assert_allclose(self.predictions("ours.safetensors"), expected, rtol=0, atol=1e-9)
                self.good("export", "nir", "ours.safetensors", "--out", "again.nir")
                again, edges, metadata = load(self.folder / "again.nir")
                np.testing.assert_allclose(simulate(again, edges, metadata["dt"], self.shown()).mean(axis=0), rates, atol=1e-9)

    def test_a_graph_inside_a_graph_is_expanded(self):
        """snnTorch writes recurrent neurons in this form. The result has the same bits as without nesting."""
        nodes, edges = foreign()
        save(self.folder / "flat.nir", nodes, edges)
        inner = {"type": "NIRGraph",
                 "nodes": {"input": {"type": "Input", "shape": np.array([20])}, "lif": nodes["1_neurons"],
                           "w_rec": nodes["1_back"], "output": {"type": "Output", "shape": np.array([20])}},
                 "edges": [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]}
        nested = {name: node for name, node in nodes.items() if name != "1_back"} | {"1_neurons": inner}
        save(self.folder / "nested.nir", nested, [edge for edge in edges if "1_back" not in edge])
        self.assertRegex(self.good("nir", "check", "nested.nir"), r"1_neurons/lif +LIF +\[20\] +\[20\] +100 +1_neurons/w_rec, 2_fc")
        for name in ("flat", "nested"):
            self.good("import", "nir", name + ".nir", "--encoder", "direct", "--time-steps", "12", "--out", name + ".safetensors")
        self.assertEqual(self.tensors("flat.safetensors"), self.tensors("nested.safetensors"))
        inner["edges"].append(("input", "output"))
        save(self.folder / "bad.nir", nested, edges[:2] + edges[4:])
        self.assert_refused(3, "/node/nodes/1_neurons: connects its Input directly to its Output", "nir", "check", "bad.nir")

    def test_it_can_be_trained_further(self):
        nodes, edges = foreign(dtype=np.float32)
        save(self.folder / "theirs.nir", nodes, edges)
        self.good("import", "nir", "theirs.nir", "--data", "digits", "--encoder", "direct", "--time-steps", "12", "--out",
                  "ours.safetensors", "--quiet")
        result = self.good_json("train", "--init", "ours.safetensors", "--model", "snn:20", "--recurrent", "--neuron", "lif",
                                "--learn-decay", "per-node", "--encoder", "direct", "--time-steps", "12", "--epochs", "1", "--out",
                                "further", "--quiet")
        self.assertEqual(result["state"], "finished")
        self.good("eval", "ours.safetensors", "--quiet")
        self.assert_refused(3, ["has 64 inputs and 10 outputs", "has 784"], "import", "nir", "theirs.nir", "--data",
                            self.squares(28), "--out", "x.safetensors", "--quiet")

    def squares(self, side):
        """Write a data set with this number of pixels and two classes."""
        draw = np.random.default_rng(2)
        np.save(self.folder / "x.npy", draw.uniform(0, 1, (40, side * side)).astype(np.float32))
        np.save(self.folder / "y.npy", np.arange(40) % 2)
        return "x.npy"

    def test_a_leaky_integrator_at_the_end(self):
        nodes, edges = foreign()
        nodes["3_neurons"] = {"type": "LI", **population(10, tau=0.02, r=1.5, v_leak=0.0)}
        save(self.folder / "theirs.nir", nodes, edges)
        said = self.good_json("import", "nir", "theirs.nir", "--encoder", "direct", "--time-steps", "12", "--readout",
                              "max_membrane", "--out", "ours.safetensors", "--quiet")
        self.assertEqual(said["readout"], "max_membrane")
        highest = simulate(nodes, edges, 1e-3, self.shown()).max(axis=0)
        expected = np.exp(highest) / np.exp(highest).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(self.predictions("ours.safetensors"), expected, rtol=0, atol=1e-9)
        self.good("export", "nir", "ours.safetensors", "--out", "again.nir")
        again, *_ = load(self.folder / "again.nir")
        self.assertEqual(again["neurons_1"]["type"], "LI")

    def test_fixed_width_text_and_an_old_version(self):
        """NumPy's own strings as written by h5py, and no v_reset, as in older files."""
        nodes, edges = foreign()
        del nodes["1_neurons"]["v_reset"]
        save(self.folder / "theirs.nir", nodes, edges, version="0.2.0")
        with h5py.File(self.folder / "theirs.nir", "a") as file:
            del file["node/edges"]
            file.create_dataset("node/edges", data=np.array(edges, dtype="S"))
        self.good("import", "nir", "theirs.nir", "--out", "ours.safetensors")

    def refuse(self, code, said, change, *options):
        nodes, edges = foreign()
        edges = change(nodes, edges) or edges
        save(self.folder / "theirs.nir", nodes, edges)
        self.assert_refused(code, ["theirs.nir: ", *([said] if isinstance(said, str) else said)], "import", "nir",
                            "theirs.nir", "--out", "x.safetensors", *options)

    def test_unsupported_graphs_are_errors(self):
        def put(name, **fields):
            def change(nodes, _):
                nodes[name].update(fields)
            return change
        self.refuse(3, "node '0_fc', weight: must be finite", put("0_fc", weight=np.full((20, 64), np.nan)))
        self.refuse(3, ["node '1_neurons'", "is out of the range of Float"],
                    lambda nodes, _: [nodes["0_fc"].update(weight=np.full((20, 64), 2, np.float32)),
                                      nodes["1_neurons"].update(r=np.full(20, 3e38), tau=np.full(20, 1e-3))] and None)
        self.refuse(2, ["node '1_neurons' (LIF)", "tau must be at least dt"], lambda *_: None, "--dt", "0.02")
        self.refuse(2, "dt must be above 0 seconds; got 0", lambda *_: None, "--dt", "0")
        def skip(nodes, edges):
            return [*edges, ("input", "side"), ("side", "3_neurons")] if nodes.update(
                side={"type": "Linear", "weight": np.ones((10, 64))}) is None else None
        self.refuse(3, "node 'input' (Input): leads to 0_fc, side: only a chain can be imported", skip)
        def delay(nodes, edges):
            nodes["wait"] = {"type": "Delay", "delay": np.full(20, 1.5e-3)}
            return [edge for edge in edges if edge != ("1_neurons", "2_fc")] + [("1_neurons", "wait"), ("wait", "2_fc")]
        self.refuse(3, "node 'wait' (Delay): delays must be whole numbers of time steps", delay)
        def loop_at_the_end(nodes, edges):
            nodes["last"] = {"type": "Linear", "weight": np.ones((10, 10))}
            return [*edges, ("3_neurons", "last"), ("last", "3_neurons")]
        self.refuse(3, "node '3_neurons': recurrent connections between output neurons", loop_at_the_end)

    def test_a_table_of_inputs_may_begin_with_names(self):
        self.good("train", *SMALL, "--neuron", "lif", "--epochs", "1", "--out", "run")
        self.good("export", "nir", "run", "--out", "net.nir")
        row = ",".join("1" for _ in range(64))
        names = ",".join(f"pixel {i}" for i in range(64))
        outputs = []
        for text in (f"{row}\n{row}\n", f"{names}\n{row}\n{row}\n"):
            self.write("steps.csv", text)
            outputs.append(self.good_json("nir", "run", "net.nir", "steps.csv")["columns"])
        self.assertEqual(outputs[0], outputs[1])
        self.write("steps.csv", f"{row}\n{names}\n")
        self.assert_refused(3, "steps.csv, line 2: expected numbers, one time step in a line; got 'pixel 0'", "nir", "run", "net.nir", "steps.csv")

    def test_a_changed_file_of_grapes_is_an_error(self):
        self.good("train", *SMALL, "--neuron", "lif", "--epochs", "1", "--out", "run")
        self.good("export", "nir", "run", "--out", "net.nir")
        for option, value in (("--reset", "subtract"), ("--integrator", "exact"), ("--dt", "1e-3")):
            self.assert_refused(2, f"{option}: net.nir was written by grapes export nir", "import", "nir", "net.nir", option,
                                value, "--out", "x.safetensors")
        self.write("steps.csv", "0\n")
        self.assert_refused(2, "--dt: net.nir was written", "nir", "run", "net.nir", "steps.csv", "--dt", "1e-3")
        self.assert_refused(2, "--time-steps: net.nir", "import", "nir", "net.nir", "--time-steps", "3", "--out", "x.safetensors")
        with h5py.File(self.folder / "net.nir", "a") as file:
            file["node/nodes/neurons_0/tau"][...] = 0.02
        self.assert_refused(3, ["net.nir: node 'neurons_0' (LIF)", "another program has changed"], "import", "nir", "net.nir",
                            "--out", "x.safetensors")
        with h5py.File(self.folder / "net.nir", "a") as file:
            del file["node/metadata/format"]
        self.good("import", "nir", "net.nir", "--out", "x.safetensors")

    def test_damaged_metadata_of_grapes_is_an_error(self):
        self.good("train", *SMALL, "--neuron", "lif", "--normalize", "standard", "--epochs", "1", "--out", "run")
        for entry, value, said in (("config", "model = ", "its configuration"),
                                   ("dataset", '{"outputs": -10}', "the entry 'dataset'"),
                                   ("input_shift", "none", "the entry 'input_shift'"),
                                   ("input_scale", np.ones((3, 3)), "the entry 'input_scale'")):
            self.good("export", "nir", "run", "--out", "net.nir")
            with h5py.File(self.folder / "net.nir", "a") as file:
                del file["node/metadata/" + entry]
                file["node/metadata/" + entry] = value
            self.assert_refused(3, ["net.nir: ", said], "import", "nir", "net.nir", "--out", "x.safetensors")

    def test_import_and_export_of_safetensors_still_work(self):
        self.good("train", *SMALL, "--neuron", "lif", "--epochs", "1", "--out", "run")
        self.good("export", "run", "--out", "theirs.safetensors")
        self.assert_refused(2, "--out", "export", "run")
        self.assert_refused(2, "--out", "export", "nir", "run")
        self.assert_refused(2, "--names: is not for 'export nir'", "export", "nir", "run", "--out", "x.nir", "--names", "a")
        self.assert_refused(2, "is not for 'import nir'", "import", "nir", "x.nir", "--out", "x", "--activation", "relu")
        self.assert_refused(2, "unknown argument 'more'", "export", "run", "more", "--out", "x.safetensors")


class Check(NirTest):
    def test_a_valid_graph_has_no_fault(self):
        save(self.folder / "theirs.nir", *foreign())
        said = self.good("nir", "check", "theirs.nir").splitlines()
        self.assertEqual(said[0], "theirs.nir: NIR 1.0.7")
        self.assertRegex(said[2], r"^input +Input +\[64\] +\[64\] +0 +0_fc$")
        self.assertRegex(said[4], r"^1_neurons +LIF +\[20\] +\[20\] +100 +1_back, 2_fc$")
        self.assertEqual(said[-1], "no fault")
        document = self.good_json("nir", "check", "theirs.nir")
        self.assertEqual(document["faults"], [])
        self.assertEqual([node["name"] for node in document["nodes"]][:2], ["input", "0_fc"])

    def faulty(self, nodes, edges):
        save(self.folder / "bad.nir", nodes, edges)
        done = self.run_program("nir", "check", "bad.nir", "--json")
        self.assertEqual(done.returncode, 3, done.stderr)
        return json.loads(done.stdout)["faults"]

    def test_a_scalar_in_place_of_an_array_is_a_fault(self):
        """Issue 410 of snntorch."""
        nodes, edges = foreign()
        nodes["1_neurons"]["tau"] = 0.02
        faults = self.faulty(nodes, edges)
        self.assertIn({"node": "1_neurons", "field": "tau",
                       "text": "must have the shape of the population, one number per neuron; got a single value"}, faults)

    def test_every_fault_is_reported(self):
        nodes, edges = foreign()
        nodes["1_neurons"]["tau"] = np.zeros(20)
        nodes["3_neurons"]["gain"] = np.ones(10)
        nodes["2_fc"]["weight"] = np.ones((10, 21))
        del nodes["1_back"]["weight"]
        faults = self.faulty(nodes, [*edges, ("2_fc", "nowhere")])
        self.assertEqual([(fault["node"], fault["field"]) for fault in faults],
                         [("1_back", "weight"), ("1_neurons", "tau"), ("3_neurons", "gain"), ("", "edges")])
        nodes["1_neurons"]["tau"] = np.full(20, 0.01)
        faults = self.faulty(nodes, edges)
        self.assertIn("expects [21], but '1_neurons' outputs [20]", [fault["text"] for fault in faults])
        self.assertIn("2 faults\n" if len(faults) == 2 else f"{len(faults)} faults\n",
                      self.run_program("nir", "check", "bad.nir").stdout)

    def test_files_without_a_graph_are_errors(self):
        self.write("text.nir", "no HDF5")
        self.assert_refused(3, "text.nir: not an HDF5 file", "nir", "check", "text.nir")
        with h5py.File(self.folder / "other.nir", "w") as file:
            file["numbers"] = np.arange(3)
        self.assert_refused(3, "other.nir: no data set /version", "nir", "check", "other.nir")
        save(self.folder / "nested.nir", *foreign())
        with h5py.File(self.folder / "nested.nir", "a") as file:
            file.create_group("node/nodes/1_neurons/nodes")
        self.assert_refused(3, "nested.nir: node '1_neurons' (LIF) contains 'nodes'", "nir", "check", "nested.nir")
        save(self.folder / "cut.nir", *foreign())
        whole = (self.folder / "cut.nir").read_bytes()
        (self.folder / "cut.nir").write_bytes(whole[:len(whole) // 2])
        self.assert_refused(3, "cut.nir: ", "nir", "check", "cut.nir")
        with h5py.File(self.folder / "big.nir", "w") as file:  # claims a terabyte, contains nothing
            file["version"] = "1.0.7"
            file["node/type"] = "NIRGraph"
            file.create_dataset("node/edges", shape=(0, 2), dtype=h5py.string_dtype())
            file["node/nodes/a/type"] = "Linear"
            file.create_dataset("node/nodes/a/weight", shape=(1 << 20, 1 << 17), dtype="f8", chunks=(1024, 1024))
        self.assert_refused(3, "has more numbers than the file can contain", "nir", "check", "big.nir")

    def test_numbers_in_another_file_are_not_read(self):
        self.write("secret.bin", "x" * 8 * 20 * 64)
        for kind in ("external", "virtual"):
            save(self.folder / "net.nir", *foreign())
            with h5py.File(self.folder / "net.nir", "a") as file:
                del file["node/nodes/0_fc/weight"]
                if kind == "external":
                    file.create_dataset("node/nodes/0_fc/weight", (20, 64), "f8",
                                        external=[(str(self.folder / "secret.bin"), 0, 8 * 20 * 64)])
                else:
                    layout = h5py.VirtualLayout((20, 64), "f8")
                    layout[:] = h5py.VirtualSource(str(self.folder / "other.h5"), "secret", (20, 64))
                    file.create_virtual_dataset("node/nodes/0_fc/weight", layout)
            self.assert_refused(3, "net.nir: 'weight' stores its numbers in another file", "nir", "check", "net.nir")

    def test_missing_numbers_are_errors(self):
        nodes, edges = foreign()
        nodes["1_neurons"] = {"type": "LIF", **{key: np.zeros(0) for key in ("tau", "r", "v_leak", "v_threshold", "v_reset")}}
        self.assertIn({"node": "1_neurons", "field": "tau", "text": "must contain numbers; got [0]"}, self.faulty(nodes, edges))


class Nodes(NirTest):
    """docs/hardware/nir.md says what the program does with every type of node; each cell is tried."""

    def table(self):
        page = pathlib.Path(__file__).parents[2] / "docs" / "hardware" / "nir.md"
        rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in page.read_text().splitlines(True)
                if line.startswith("| `")]
        return {row[0].strip("`"): row[1:5] for row in rows if set(row[1:5]) <= {"yes", "no"}}

    def graph(self, kind):
        """Return (nodes, edges) of a network for the digits, a chain that contains a node of this type."""
        draw = np.random.default_rng(1)
        def linear(n, m, bias=False):
            node = {"type": "Affine" if bias else "Linear", "weight": draw.normal(0.05, 0.2, (n, m))}
            return {**node, "bias": draw.uniform(0, 0.1, n)} if bias else node
        def neurons(name, shape, **fields):
            all_fields = {"tau": 4e-3, "tau_mem": 4e-3, "tau_syn": 2e-3, "r": 2.0, "w_in": 1.0, "v_leak": 0.0,
                          "v_threshold": 0.5, "v_reset": 0.0}
            has = {"I": "r", "IF": "r v_threshold v_reset", "LI": "tau r v_leak", "LIF": "tau r v_leak v_threshold v_reset",
                   "CubaLI": "tau_mem tau_syn r v_leak w_in",
                   "CubaLIF": "tau_mem tau_syn r v_leak w_in v_threshold v_reset"}[name].split()
            return {"type": name, **{field: np.full(shape, fields.get(field, all_fields[field])) for field in has}}
        if kind in ("Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten"):
            pair, shape = np.array([2, 2]), (4, 8, 8)
            conv = {"type": "Conv2d", "weight": draw.normal(0.1, 0.2, (4, 1, 3, 3)), "bias": np.zeros(4),
                    "input_shape": np.array([8, 8]), "stride": np.array([1, 1]), "padding": np.array([1, 1]),
                    "dilation": np.array([1, 1]), "groups": 1}
            if kind == "Conv1d":
                conv = {**conv, "type": kind, "weight": draw.normal(0.1, 0.2, (4, 8, 3)), "input_shape": 8,
                        **{key: np.array([1]) for key in ("stride", "padding", "dilation")}}
                shape = (4, 8)
            chain = [conv, neurons("LIF", shape)]
            if kind.endswith("Pool2d"):
                chain.append({"type": kind, "kernel_size": pair, "stride": pair, "padding": np.array([0, 0])})
                shape = (4, 4, 4)
            chain += [{"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array(shape)},
                      linear(10, int(np.prod(shape))), neurons("LIF", 10)]
            inputs = np.array([8, 8] if kind == "Conv1d" else [1, 8, 8])
        else:
            inputs, chain = np.array([64]), [linear(20, 64, kind == "Affine")]
            if kind == "Scale":
                chain.append({"type": kind, "scale": draw.uniform(0.5, 2, 20)})
            hidden = kind if kind in ("IF", "CubaLIF") else "LIF"
            chain.append(neurons("LI" if kind == "Threshold" else hidden, 20))
            if kind == "Threshold":
                chain.append({"type": kind, "threshold": np.full(20, 0.3)})
            if kind == "Delay":
                chain.append({"type": kind, "delay": np.full(20, 2e-3)})
            chain.append(linear(10, 20))
            chain.append(neurons(kind if kind in ("I", "LI", "CubaLI") else "LI" if kind == "Threshold" else hidden, 10))
            if kind == "Threshold":
                chain.append({"type": kind, "threshold": np.full(10, 0.3)})
        chain = [{"type": "Input", "shape": inputs}, *chain, {"type": "Output", "shape": np.array([10])}]
        names = [f"n{i}" for i in range(len(chain))]
        return dict(zip(names, chain)), list(zip(names, names[1:]))

    def test_the_table_of_nodes_in_the_docs_is_right(self):
        table = self.table()
        listed = {row["name"] for row in self.good_json("list", "nir-types")}
        self.assertEqual(set(table), listed)
        self.write("steps.csv", "\n".join(",".join(["1"] * 64) for _ in range(5)) + "\n")
        for kind, expected in table.items():
            with self.subTest(kind):
                nodes, edges = self.graph(kind)
                self.assertIn(kind, {node["type"] for node in nodes.values()})
                file, back, run = f"{kind}.nir", f"{kind}.safetensors", f"run-{kind}"
                save(self.folder / file, nodes, edges)
                self.assertIn("no fault\n", self.good("nir", "check", file))
                data = ["--data", "digits", "--encoder", "direct", "--time-steps", "8"]
                done = [self.run_program("import", "nir", file, *data, "--out", back, "--quiet"),
                        self.run_program("nir", "run", file, "steps.csv", "--quiet"),
                        self.run_program("train", "--from", back, "--modulation", "grapes", "--epochs", 1, "--quiet", "--out", run)]
                found = ["yes" if one.returncode == 0 else "no" for one in done]
                exported = self.run_program("export", "nir", run, "--out", "again.nir", "--quiet")
                types = {node["type"] for node in load(self.folder / "again.nir")[0].values()} if exported.returncode == 0 else ()
                self.assertEqual([*found, "yes" if kind in types else "no"], expected,
                                 [one.stderr for one in (*done, exported)])


if __name__ == "__main__":
    main()
