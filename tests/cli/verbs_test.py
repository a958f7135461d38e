#!/usr/bin/env python3
"""All verbs of the program in typical use."""
import json
import pathlib
import struct
import zlib

from program import main, ProgramTest

VERBS = ["train", "launch", "compare", "continual", "run", "report", "aggregate", "status", "data", "data list", "data get", "data verify", "data show", "eval",
         "predict", "inspect", "export", "export c", "export nir", "export onnx", "import", "import nir", "import onnx", "nir", "nir check", "parity", "bench", "bench mlp", "bench snn", "bench cnn", "bench update", "bench factor", "bench crossbar", "bench read", "bench scaling", "bench dist", "hardware", "hardware cost", "hardware devices", "list", "env", "completion"]
TABLES = {"models": "mlp", "rules": "fa+grapes", "routes": "sign-symmetric", "modulations": "shuffled",
          "optimizers": "rmsprop", "schedules": "cosine", "initializers": "nokland", "activations": "scaled_tanh",
          "losses": "cross-entropy", "nir-types": "CubaLIF", "layers": "crossbar", "neurons": "cuba-lif", "surrogates": "arctan", "resets": "lateral", "encoders": "latency",
          "readouts": "mean_rate", "methods": "ewc", "scenarios": "class-incremental", "presets": "delayed-xor", "devices": "soft-bounds", "data": "fashion-mnist", "keys": "learning-rate"}
SMALL = ["--model", "mlp:16", "--epochs", "2", "--quiet"]


def png(width, height, pixels):
    """A grayscale PNG."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    rows = b"".join(b"\0" + bytes(pixels[y * width:(y + 1) * width]) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Bench(ProgramTest):
    def test_one_line_per_rule_with_the_documented_fields(self):
        lines = [json.loads(line) for line in
                 self.good("bench", "mlp", "--nodes", "20-16-4", "--batch", "3", "--threads", "1,2", "--seconds", "0.01",
                           "--json").splitlines()]
        self.assertEqual([(line["rule"], line["threads"]) for line in lines],
                         [("bp", 1), ("grapes", 1), ("bp", 2), ("grapes", 2)])
        for line in lines:
            self.assertEqual((line["case"], line["batch"], line["optimizer"], line["precision"]),
                             ("20-16-4", 3, "sgd", "float32"))
            if not line["no_baseline"]:  # there are no ratios if OpenBLAS does not know this processor
                self.assertAlmostEqual(line["ratio"], line["step_us"] / line["baseline_us"])
            self.assertGreaterEqual(line["peak_bytes"], 4 * (20 * 16 + 16 * 4))
            self.assertGreater(line["n"], 0)

    def test_fused_and_plain_take_turns(self):
        for what in ["update", "factor"]:
            lines = [json.loads(line) for line in self.good("bench", what, "--seconds", "0.01", "--json").splitlines()]
            self.assertEqual({line["variant"] for line in lines}, {"fused", "plain"})

    def test_a_run_is_compared_with_an_earlier_one_by_its_ratios(self):
        mlp = ("bench", "mlp", "--nodes", "20-16-4", "--batch", "3", "--seconds", "0.01")
        stored = self.folder / "stored.json"
        lines = [json.loads(line) for line in self.good(*mlp, "--json").splitlines()]
        if lines[0]["ratio"] is None:
            self.skipTest(lines[0]["no_baseline"])

        def against(scale, *options, **fields):
            stored.write_text("".join(json.dumps({**line, "ratio": line["ratio"] * scale, **fields}) + "\n" for line in lines))
            return self.run_program(*mlp, "--against", stored, *options)
        same = against(100)
        self.assertEqual(same.returncode, 0, same.stderr)
        self.assertRegex(same.stderr, r"20-16-4, batch 3, threads 1, grapes sgd: ratio .*, before .* \(-9\d")
        slower = against(0.01)
        self.assertEqual(slower.returncode, 1, slower.stderr)
        self.assertIn("2 of 2 cases are more than 5 % slower", slower.stderr)
        self.assertEqual(against(0.5, "--within", "1000").returncode, 0)
        # Which library was the fastest does not matter; which libraries there were does.
        self.assertEqual(against(100, baseline_by="another").returncode, 0)
        libraries = against(100, onednn="another")
        self.assertEqual(libraries.returncode, 3)
        self.assertRegex(libraries.stderr, r"not compared: .*; before .*oneDNN another")
        other = self.run_program("bench", "factor", "--seconds", "0.01", "--against", stored)
        self.assertEqual(other.returncode, 3)
        self.assertIn("none of these cases", other.stderr)
        stored.write_text("case batch\n")
        self.assert_refused(3, "line 1: expected a timing", *mlp, "--against", stored)

    def test_growth_is_drawn(self):
        picture = self.folder / "scaling.svg"
        lines = [json.loads(line) for line in
                 self.good("bench", "scaling", "--most", "2", "--seconds", "0.01", "--json", "--out",
                           picture).splitlines()]
        self.assertEqual([line["case"] for line in lines],
                         ["784-64-10", "784-64-64-10", "784-256-256-10", "784-256-256-10", "784-256-256-2"])
        text = picture.read_text()
        for word in ("<svg", "depth: hidden layers", "batch: 784-256-256-10", "classes: "):
            self.assertIn(word, text)
        self.assertNotIn("width: 784", text)

    def test_products_by_outdated_kernels_are_no_baseline(self):
        old = {"OPENBLAS_CORETYPE": "Prescott"}
        env = json.loads(self.good("env", "--json", **old))
        if "kernels for Prescott" not in env["blas"] or env["instruction_set"] == "portable":
            self.skipTest(f"no OpenBLAS with older kernels than the processor's: {env['blas']}, {env['instruction_set']}")
        self.assertIn("unset OPENBLAS_CORETYPE, which is Prescott", env["blas_outdated"])
        mlp = ("bench", "mlp", "--nodes", "20-16-4", "--batch", "3", "--seconds", "0.01")
        for line in map(json.loads, self.good(*mlp, "--json", **old).splitlines()):
            self.assertIsNone(line["ratio"])
            self.assertEqual(line["no_baseline"], env["blas_outdated"])
            self.assertGreater(line["baseline_us"], 0)
        done = self.run_program(*mlp, **old)
        self.assertRegex(done.stdout, r"(?m)^20-16-4 .* µs +- ")
        self.assertRegex(done.stderr, r"^grapes: bench: no ratios, .*: unset OPENBLAS_CORETYPE, which is Prescott\n$")
        # A copy of memory is a baseline with any BLAS.
        first = json.loads(self.good("bench", "factor", "--seconds", "0.01", "--json", **old).splitlines()[0])
        self.assertGreater(first["ratio"], 0)

    def test_reading_counts_the_bytes_of_a_file_and_of_a_batch(self):
        table = self.folder / "table.csv"
        table.write_text("a,b,target\n" + "".join(f"{i % 7}.5,{i % 5},{'yes' if i % 3 else 'no'}\n" for i in range(100)))
        opened, batch = [json.loads(line) for line in
                         self.good("bench", "read", table, "--batch", "8", "--seconds", "0.01", "--json").splitlines()]
        self.assertEqual((opened["case"], opened["variant"], opened["bytes"]), ("table.csv", "open", table.stat().st_size))
        self.assertEqual((batch["variant"], batch["batch"], batch["bytes"]), ("random batches", 8, 8 * 2 * 4))
        self.assertGreater(min(opened["step_us"], batch["step_us"]), 0)
        self.assert_refused(3, "there is no such file or folder", "bench", "read", self.folder / "none.csv")

    def test_mnist_is_not_replaced_by_other_spikes(self):
        done = self.run_program("bench", "snn", "--input", "mnist", "--seconds", "0.01", "--json")
        if done.returncode == 0:
            first = [line for line in map(json.loads, done.stdout.splitlines()) if "mnist" in line["case"]]
            self.assertEqual({line["input"] for line in first}, {"mnist"})
        else:
            self.assertEqual((done.returncode, done.stdout), (3, ""))

    def test_bad_input(self):
        self.assert_refused(2, "784-256-256-10; got '3-x'", "bench", "mlp", "--nodes", "3-x")
        self.assert_refused(2, "--optimizer", "bench", "mlp", "--optimizer", "sgdx")
        self.assert_refused(2, "--batch", "bench", "mlp", "--batch", "0")
        self.assert_refused(2, "--precision", "bench", "cnn", "--precision", "float64")


class Parity(ProgramTest):
    CASES = pathlib.Path(__file__).parents[1] / "parity"

    def test_several_cases_in_one_document(self):
        names = ["FAgrapes_NAG_relu", "BPgrapes_SGD_relu_sigm"]
        result = self.good_json("parity", *(self.CASES / f"{name}.json" for name in names))
        self.assertTrue(result["passed"])
        self.assertEqual([case["name"] for case in result["cases"]], names)
        for case in result["cases"]:
            self.assertLessEqual(max(line["difference"] for line in case["differences"]), 1e-12)

    def test_a_difference_exits_with_1_and_weights_are_written(self):
        case = json.loads((self.CASES / "BPgrapes_SGD_Lrelu.json").read_text())
        case["weights_after"]["1"][0][0][0] += 1e-9
        done = self.run_program("parity", self.write("bad.json", json.dumps(case)), "--out", "ours.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED", done.stdout)
        ours = json.loads((self.folder / "ours.json").read_text())
        self.assertEqual((ours["format"], ours["passed"]), ("grapes-parity/1", False))
        self.assertAlmostEqual(ours["weights_after"]["1"][0][0][0], case["weights_after"]["1"][0][0][0] - 1e-9, delta=1e-12)

    def test_bad_input(self):
        self.assert_refused(3, "format", "parity", self.write("empty.json", "{}"))
        self.assert_refused(2, "--out writes", "parity", "a.json", "b.json", "--out", "c.json")


class Help(ProgramTest):
    def test_every_verb_has_help_with_an_example_that_names_it(self):
        for verb in VERBS:
            text = self.good(*verb.split(), "--help")
            self.assertIn("Examples:", text, verb)
            self.assertIn("grapes " + verb, text.split("Examples:")[1], verb)

    def test_the_list_of_verbs_is_complete(self):
        text = self.good("--help")
        named = {line.split()[0] for line in text.split("Subcommands:")[1].split("Examples:")[0].splitlines()
                 if line.startswith("  ") and not line.startswith("   ")}
        self.assertEqual(named, {verb.split()[0] for verb in VERBS})

    def test_a_verb_that_does_not_exist_has_no_help(self):
        self.assert_refused(2, ["unknown verb 'trian'", "did you mean 'train'"], "trian", "--help")
        self.assert_refused(2, "unknown verb 'nosuchverb'", "-h", "nosuchverb")
        self.assert_refused(2, ["unknown verb 'verfy'", "did you mean 'verify'"], "data", "verfy", "--help")
        self.assertIn("--learning-rate", self.good("train", "--lernrate", "--help"))

    def test_version(self):
        self.assertRegex(self.good("--version"), r"^grapes \d+\.\d+\.\d+")

    def test_errors_suggest_similar_names(self):
        self.assert_refused(2, "did you mean 'train'", "trian")
        self.assert_refused(2, "did you mean '--learning-rate'", "train", "--lerning-rate", "0.1")
        for given, meant in {"--rate": "--learning-rate", "--batch_size": "--batch-size", "--batch": "--batch-size",
                             "--num_epochs": "--epochs", "--weight_decay": "--weight-decay"}.items():
            self.assert_refused(2, f"unknown option '{given}' (did you mean '{meant}'?)", "train", given, "1")
        self.assert_refused(2, "did you mean 'verify'", "data", "verfy")
        self.assert_refused(2, "did you mean 'models'", "list", "model")
        self.assert_refused(2, "a verb is missing")
        self.assert_refused(2, "unknown argument 'digits'", "train", "digits")
        self.assert_refused(2, "--epochs", "train", "--epochs")


class Training(ProgramTest):
    def test_train_without_any_argument(self):
        text = self.good("train")
        self.assertIn("accuracy", text)
        (run,) = (self.folder / "runs").iterdir()
        self.assertRegex(run.name, r"^\d{8}-\d{6}-bp$")
        for file in ["config.toml", "run.json", "env.json", "metrics.jsonl", "metrics.csv", "log.txt", "status.json",
                     "report.html", "checkpoints/last.safetensors"]:
            self.assertTrue((run / file).is_file(), file)
        self.assertIn(str(run.relative_to(self.folder)), text)

    def test_compare_without_any_argument(self):
        text = self.good("compare")
        for arm in ["bp", "grapes", "grapes-local", "uniform", "shuffled"]:
            self.assertIn("\n" + arm + " ", text)
        (run,) = (self.folder / "runs").iterdir()
        self.assertTrue((run / "report.html").is_file())
        self.assertEqual(len(list(run.glob("arms/*/seed-*/run.json"))), 25)

    def test_a_sweep_is_a_comparison_at_each_value(self):
        small = ["--arms", "bp,grapes", "--seeds", "2", "--epochs", "1", "--model", "mlp:4", "--quiet"]
        text = self.good("compare", "--sweep", "factor-bits={}", "--sweep-values", "0,2", *small, "--out", "s")
        for row in (r"bp at 0 +2 +0\.1 ", r"grapes at 2 +2 +0\.1 ", r"comparison .*change since 0", r"grapes − bp at 2 +\S+ \[.*\] +2 "):
            self.assertRegex("\n" + text, "\n" + row)
        page = (self.folder / "s/report.html").read_bytes()
        summary = self.good_json("report", "s")
        self.assertEqual([condition["value"] for condition in summary["conditions"]], [0, 2])
        self.assertEqual((self.folder / "s/report.html").read_bytes(), page)
        self.assert_refused(3, "s contains a sweep: give it alone", "report", "s", "s/2")
        self.good("report", "s/2")
        self.good("compare", "--resume", "s", "--quiet")
        self.assert_refused(2, "train-limit cannot be swept", "compare", "--sweep", "train-limit={}", "--sweep-values", "9",
                            *small, "--out", "x")
        self.assert_refused(2, "sweep-values needs sweep", "compare", "--sweep-values", "9", *small, "--out", "x")
        self.assert_refused(2, "--sweep", "train", "--sweep", "factor-bits={}", "--out", "x")

    def test_json_is_one_document(self):
        result = self.good_json("train", *SMALL, "--modulation", "grapes", "--out", "run")
        self.assertEqual((result["arm"], result["state"], result["epochs"]), ("grapes", "finished", 2))
        self.assertGreater(result["last"]["test_accuracy"], 0.2)
        result = self.good_json("compare", *SMALL, "--arms", "bp,grapes", "--seeds", "2", "--out", "both")
        self.assertEqual(result["folder"], "both")
        result = self.good_json("report", "both", "--out", "page")
        self.assertTrue((self.folder / "page" / "report.html").is_file())

    def test_same_seed_same_weights(self):
        for folder in ["a", "b"]:
            self.good("train", *SMALL, "--dropout", "0.1", "--out", folder)
        self.good("train", *SMALL, "--dropout", "0.1", "--seed", "2", "--out", "c")
        a, b, c = (self.tensors(f"{folder}/checkpoints/last.safetensors") for folder in "abc")
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)

    def test_save_and_init(self):
        self.good("train", *SMALL, "--out", "a", "--save", "weights.safetensors")
        self.assertEqual(self.tensors("weights.safetensors"), self.tensors("a/checkpoints/last.safetensors"))
        first = self.good_json("train", *SMALL, "--out", "b", "--init", "weights.safetensors", "--learning-rate", "1e-9")
        last = self.good_json("eval", "weights.safetensors", "--quiet")
        self.assertAlmostEqual(first["last"]["test_accuracy"], last["accuracy"])

    def test_a_continued_run_equals_a_longer_one(self):
        self.good("train", *SMALL, "--epochs", "4", "--optimizer", "adam", "--out", "whole")
        self.good("train", *SMALL, "--epochs", "2", "--optimizer", "adam", "--out", "part")
        self.good("train", "--resume", "part", "--epochs", "4", "--quiet")
        self.assertEqual(*(self.tensors(f"{run}/checkpoints/last.safetensors") for run in ("whole", "part")))
        for name in ("run.json", "config.toml", "status.json"):
            self.assertEqual(*((self.folder / run / name).read_text() for run in ("whole", "part")))
        self.assertEqual([row["epoch"] for row in self.rows("part")], [0, 1, 2, 3, 4])
        self.assertEqual(self.rows("part")[-1]["test_accuracy"], self.rows("whole")[-1]["test_accuracy"])
        self.assert_refused(2, "the run has 4 already", "train", "--resume", "part", "--epochs", "3")
        self.good("train", *SMALL, "--epochs", "2", "--schedule", "cosine", "--out", "curved")
        self.assert_refused(2, ["the schedule cosine spreads its learning rates over 2 epochs", "--init"],
                            "train", "--resume", "curved", "--epochs", "4")

    def test_a_table_of_your_own(self):
        rows = [f"{x / 10},{-x / 5},{3 * x / 10 + 1}" for x in range(60)]
        self.write("line.csv", "a,b,price\n" + "\n".join(rows) + "\n")
        result = self.good_json("train", "--data", "line.csv", "--target", "price", "--model", "linear", "--bias",
                                "--learning-rate", "0.01", "--epochs", "200", "--batch-size", "8", "--normalize",
                                "standard", "--out", "run", "--quiet")
        self.assertGreater(result["last"]["test_r2"], 0.99)
        self.write("new.csv", "a,b\n1,-2\n")
        (answer,) = self.good_json("predict", "run", "new.csv", "--quiet")["examples"]
        self.assertEqual(answer[0]["target"], "price")
        self.assertAlmostEqual(answer[0]["value"], 4, delta=0.3)


    def test_a_regression_learns_and_is_scored_in_the_units_of_its_target(self):
        rows = [f"{x * 1000},{x % 5 / 1000},{5e5 + 100 * x}" for x in range(100)]
        self.write("line.csv", "a,b,price\n" + "\n".join(rows) + "\n")
        result = self.good_json("train", "--data", "line.csv", "--model", "linear", "--target", "price", "--learning-rate",
                                "0.05", "--epochs", "40", "--batch-size", "8", "--out", "run", "--quiet")
        self.assertGreater(result["last"]["test_r2"], 0.99)
        tested = self.good_json("eval", "run", "--quiet")
        self.assertEqual(tested["loss"], result["last"]["test_loss"])
        self.assertLess(tested["rmse"], 300)
        self.assertGreater(tested["rmse"], 1e-6)
        self.write("new.csv", "b,a\n0.002,50000\n")
        (answer,) = self.good_json("predict", "run", "new.csv", "--quiet")["examples"]
        self.assertAlmostEqual(answer[0]["value"], 505000, delta=300)
        self.good("export", "c", "run", "--out", "net.h", "--quiet")
        self.assertRegex((self.folder / "net.h").read_text(), r"mean = 50\d{4}")
        r2 = self.good_json("export", "c", "run", "--out", "net.h", "--evaluate", "test", "--quiet")["r2"]
        self.assertAlmostEqual(r2["integers"], r2["float"], delta=0.01)


class Configuration(ProgramTest):
    def test_every_key_is_an_option_and_a_line_of_the_configuration(self):
        help, config = self.good("run", "--help"), self.good("compare", "--print-config", "--lr", "0.3")
        for key in self.good_json("list", "keys"):
            self.assertRegex(help, rf"(?m)^  --{key['name']}[ ,]", key)
            self.assertRegex(config, rf"(?m)^{key['name']} = ", key)
        self.assertIn("learning-rate = 0.3 ", config)

    def test_print_config_round_trip(self):
        options = ["--learning-rate", "0.3", "--bias", "--no-download", "--augment", "rotate=5", "--epochs", "3"]
        for verb in ["train", "compare"]:
            text = self.good(verb, *options, "--print-config")
            self.assertIn("learning-rate = 0.3", text)
            self.assertIn("bias = true", text)
            self.assertIn("download = false", text)
            self.write("my.toml", text)
            self.assertEqual(self.good(verb, "--config", "my.toml", "--print-config"), text)
            self.assertEqual(self.good("run", "my.toml", "--print-config"), text)

    def test_options_override_the_file(self):
        self.write("my.toml", "epochs = 7\nbatch-size = 5\n")
        text = self.good("train", "--config", "my.toml", "--epochs", "3", "--print-config")
        self.assertIn("epochs = 3 ", text)
        self.assertIn("batch-size = 5 ", text)

    def test_run_distinguishes_a_comparison_from_a_single_run(self):
        self.write("one.toml", 'model = "mlp:8"\nepochs = 1\nmodulation = "grapes"\n')
        self.good("run", "one.toml", "--out", "one")
        self.assertTrue((self.folder / "one" / "run.json").is_file())
        self.write("many.toml", 'model = "mlp:8"\nepochs = 1\nseeds = 2\n[arm.slow]\nlearning-rate = 0.01\n')
        self.good("run", "many.toml", "--out", "many")
        self.assertEqual({path.name for path in (self.folder / "many" / "arms").iterdir()}, {"bp", "slow"})

    def test_the_config_of_a_record_makes_the_same_run(self):
        self.good("train", *SMALL, "--modulation", "grapes", "--out", "a")
        self.good("run", "a/config.toml", "--out", "b", "--quiet")
        self.assertEqual(self.tensors("a/checkpoints/last.safetensors"), self.tensors("b/checkpoints/last.safetensors"))


class Using(ProgramTest):
    def setUp(self):
        super().setUp()
        self.good("train", "--model", "mlp:64", "--epochs", "20", "--quiet", "--modulation", "grapes", "--out", "run")

    def test_eval(self):
        text = self.good("eval", "run")
        self.assertIn("truth", text)
        result = self.good_json("eval", "run/checkpoints/last.safetensors", "--part", "train")
        self.assertGreater(result["accuracy"], 0.9)
        self.assertEqual(sum(result["confusion"]), result["examples"])
        self.assert_refused(2, "--part", "eval", "run", "--part", "all")

    def test_a_table_with_other_columns_is_read_by_their_names(self):
        rows = [{"a": i % 5, "b": (7 * i) % 11, "city": ("Oslo", "Rome", "Bern")[i % 3], "kind": "hot" if (i % 5) > 2 else "cold"} for i in range(120)]
        def table(name, columns):
            self.write(name, ",".join(columns) + "\n" + "".join(",".join(str(row.get(one, 0)) for one in columns) + "\n" for row in rows))
        table("one.csv", ["a", "b", "city", "kind"])
        table("other.csv", ["kind", "city", "b", "a"])
        table("wider.csv", ["label", "b", "a", "kind", "city"])
        table("narrow.csv", ["a", "city", "kind"])
        self.good("train", "--data", "one.csv", "--model", "mlp:8", "--epochs", "3", "--quiet", "--out", "table")
        first = self.good_json("eval", "table", "--quiet")
        for options in (["other.csv"], ["wider.csv", "--target", "kind"]):
            other = self.good_json("eval", "table", "--data", *options, "--quiet")
            self.assertEqual({**first, "data": 0}, {**other, "data": 0})
        self.assert_refused(3, ["narrow.csv", "no column for the input 'b'", "a, city, kind"], "eval", "table", "--data", "narrow.csv", "--quiet")

    def test_data_that_does_not_fit_the_network_is_an_error(self):
        self.write("other.csv", "a,b,label\n" + "1,2,x\n3,4,y\n" * 20)
        self.assert_refused(3, ["does not match", "1 x 8 x 8"], "eval", "run", "--data", "other.csv", "--quiet")

    def test_predict_an_image(self):
        zero = [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0, 0, 3, 15, 2, 0, 11, 8, 0, 0, 4, 12, 0, 0, 8, 8, 0,
                0, 5, 8, 0, 0, 9, 8, 0, 0, 4, 11, 0, 1, 12, 7, 0, 0, 2, 14, 5, 10, 12, 0, 0, 0, 0, 6, 13, 10, 0, 0, 0]
        self.write("zero.png", png(8, 8, [min(255, 16 * p) for p in zero]))
        self.assertRegex(self.good("predict", "run", "zero.png", "--quiet"), r"^0 \d+\.\d %, ")
        (answer,) = self.good_json("predict", "run", "zero.png", "--top", "10")["examples"]
        self.assertEqual(answer[0]["class"], "0")
        self.assertAlmostEqual(sum(guess["probability"] for guess in answer), 1, places=4)
        self.assertEqual(answer, sorted(answer, key=lambda guess: -guess["probability"]))

    def test_inspect(self):
        text = self.good("inspect", "run", "--svg", "factors.svg")
        self.assertIn("layers.0.weight", text)
        self.assertIn("never modulated", text)
        self.assertTrue((self.folder / "factors.svg").read_text().startswith("<svg"))
        layers = self.good_json("inspect", "run")["layers"]
        self.assertEqual([layer["shape"] for layer in layers], [[64, 64], [10, 64]])
        self.assertEqual(layers[0]["factor"]["max"], 2)
        self.assertEqual(sum(layers[0]["factor"]["histogram"]), 64)

    def test_inspect_measures_the_memory_of_a_step(self):
        memory = self.good_json("inspect", "run", "--memory")["memory"]
        self.assertEqual(set(memory["points"][0]), {"peak_bytes"})
        self.assertGreater(memory["points"][0]["peak_bytes"], 4 * (64 * 64 + 10 * 64 + memory["batch_size"] * 64))
        self.good("train", "--model", "spiking-vgg:16,32", "--time-steps", "8", "--epochs", "1", "--train-limit", "64", "--quiet",
                  "--out", "spikes")
        points = self.good_json("inspect", "spikes", "--memory")["memory"]["points"]
        self.assertEqual([point["time_steps"] for point in points], [2, 4, 8, 16])
        stored, recomputed = ([point[key] for point in points] for key in ("peak_bytes", "peak_bytes_with_recompute"))
        self.assertEqual(stored, sorted(stored))
        self.assertGreater(stored[3], 1.5 * stored[1])
        self.assertLess(recomputed[3], stored[3])
        text = self.good("inspect", "spikes", "--memory")
        self.assertRegex(text, r"time steps +peak +with --recompute\n +2 +[\d.]+ MB")

    def test_runs_made_at_different_times_are_reported_together(self):
        self.good("train", "--model", "mlp:64", "--epochs", "20", "--quiet", "--out", "plain")
        text = self.good("report", "run", "plain", "--out", "both", "--title", "Two runs")
        self.assertIn("\ngrapes ", text)
        self.assertIn("Two runs", (self.folder / "both" / "report.html").read_text())


class Tables(ProgramTest):
    def test_list(self):
        for table, name in TABLES.items():
            self.assertIn(name, self.good("list", table), table)
            self.assertGreater(len(self.good_json("list", table)), 1)

    def test_data(self):
        self.assertRegex(self.good("data", "list"), r"digits .* embedded")
        text = self.good("data", "show", "--out", "sheet.png", "--augment", "rotate=10,shift=0.1", "--quiet")
        self.assertIn("1 x 8 x 8", text)
        self.assertTrue((self.folder / "sheet.png").read_bytes().startswith(b"\x89PNG"))
        self.assert_refused(2, "did you mean 'mnist'", "data", "verify", "mnits")

    def test_env(self):
        self.assertIn("libtorch", self.good("env"))
        env = self.good_json("env", "--threads", "2")
        self.assertEqual(env["threads"], 2)
        for key in ["grapes", "git", "compiler", "blas", "blas_outdated", "onednn", "cpu", "cores", "mkldnn"]:
            self.assertIn(key, env)


class Completion(ProgramTest):
    def complete(self, *words):
        """Return bash's completions for these words, of which the last is incomplete."""
        script = self.write("grapes.bash", self.good("completion", "bash"))
        listed = " ".join(f"'{word}'" for word in ("grapes",) + words)
        command = (f"source {script}; COMP_WORDS=({listed}); COMP_CWORD={len(words)}; _grapes; "
                   'printf "%s\\n" "${COMPREPLY[@]}"')
        import subprocess
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.split()

    def test_bash(self):
        self.assertEqual(self.complete("com"), ["compare", "completion"])
        self.assertEqual(self.complete("train", "--learning"), ["--learning-rate"])
        self.assertEqual(self.complete("train", "--activation", "l"), ["leaky_relu"])
        self.assertEqual(self.complete("data", "ver"), ["verify"])
        self.assertIn("initializers", self.complete("list", ""))

    def test_the_other_shells(self):
        for shell in ["zsh", "fish"]:
            text = self.good("completion", shell)
            for word in ["compare", "learning-rate", "leaky_relu"]:
                self.assertIn(word, text, shell)
        self.assert_refused(2, "did you mean 'bash'", "completion", "bsh")


if __name__ == "__main__":
    main()
