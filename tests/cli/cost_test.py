#!/usr/bin/env python3
"""The cost of a training step in hardware, from the command line."""
import json
import xml.etree.ElementTree as xml

from program import main, ProgramTest

SMALL = ["hardware", "cost", "--quiet", "--input", "4", "--outputs", "2", "--model", "mlp:3,2", "--batch-size", "5"]
TABLE = """name = "flat"
source = "one for everything"
[[numbers]]
name = "int8"
bits = 8
multiply = 1
add = 1
compare = 1
divide = 1
[[memory]]
name = "all"
width = 8
access = 1
"""


class Cost(ProgramTest):
    def test_a_small_network_equals_counts_by_hand(self):
        cost = self.good_json(*SMALL)
        self.assertEqual([layer["phases"]["forward"]["macs"] for layer in cost["layers"]], [60, 30, 20])
        self.assertEqual([layer["phases"]["dgrad"]["macs"] for layer in cost["layers"]], [0, 30, 20])
        self.assertEqual((cost["arm"], cost["optimizer"], cost["batch"], cost["input"]), ("bp", "sgd", 5, [4]))

    def test_energy_is_the_sum_of_what_is_counted_at_the_table_s_prices(self):
        self.write("flat.toml", TABLE)
        cost = self.good_json(*SMALL, "--energy", "flat.toml", "--numbers", "int8", "--modulation", "grapes")
        count = 0
        for layer in cost["layers"]:
            for work in layer["phases"].values():
                count += 2 * work["macs"] + work["multiplications"] + work["additions"] + work["comparisons"] + work["divisions"]
                count += sum(access["read"] + access["written"] for access in work["accesses"])
        self.assertAlmostEqual(cost["total"]["energy_pj"], count)
        row = next(arm for arm in cost["arms"] if (arm["arm"], arm["optimizer"]) == ("grapes", "sgd"))
        self.assertAlmostEqual(row["energy_pj"], count)

    def test_the_comparison_has_eighteen_arms(self):
        arms = self.good_json(*SMALL)["arms"]
        self.assertEqual({(arm["arm"], arm["optimizer"]) for arm in arms},
                         {(rule, optimizer) for rule in ["bp", "grapes", "fa", "fa+grapes", "dfa", "dfa+grapes"]
                          for optimizer in ["sgd", "momentum", "adam"]})
        for arm in arms:
            if arm["arm"] == "bp":
                self.assertEqual(arm["to_bp"], {"energy": 1, "macs": 1, "words": 1})
            if arm["arm"] == "grapes":
                self.assertEqual((arm["to_bp"]["macs"], arm["sent_beyond_bp"]), (1, 0))
                self.assertGreater(arm["to_bp"]["energy"], 1)
        state = {(arm["arm"], arm["optimizer"]): arm["state"] for arm in arms}
        self.assertEqual(state["bp", "sgd"], 0)
        self.assertEqual(state["bp", "adam"], 2 * (12 + 6 + 4))
        self.assertEqual(state["fa", "momentum"], 22 + 6 + 4)
        self.assertEqual(state["grapes", "sgd"], 2 * (3 + 2))

    def test_table_and_files(self):
        text = self.good(*SMALL, "--modulation", "grapes", "--out", "costs")
        self.assertIn("one training step of mlp:3,2, grapes, sgd; batch 5, float32", text)
        self.assertIn("ISSCC 2014", text)
        self.assertRegex(text, r"layers.0 +forward +60 +15 ")
        self.assertRegex(text, r"\n +modulation ")
        self.assertEqual(json.loads((self.folder / "costs/cost.json").read_text()),
                         self.good_json(*SMALL, "--modulation", "grapes"))
        picture = xml.parse(self.folder / "costs/cost.svg")
        words = ["".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("dfa+grapes, adam", words)
        self.assertIn("Energy of a training step: mlp:3,2, batch 5, float32", words)

    def test_the_shape_is_that_of_the_data(self):
        of_data = self.good_json("hardware", "cost", "--quiet", "--data", "digits", "--model", "mlp:8")
        self.assertEqual((of_data["input"], of_data["outputs"]), ([1, 8, 8], 10))
        given = self.good_json("hardware", "cost", "--input", "1x8x8", "--outputs", "10", "--model", "mlp:8")
        self.assertEqual(of_data, given)

    def test_keys_can_come_from_a_file(self):
        self.write("my.toml", 'model = "lenet5"\nroute = "dfa"\nbatch-size = 2\n')
        cost = self.good_json("hardware", "cost", "--config", "my.toml", "--input", "1x28x28", "--outputs", "10", "--batch-size", "1")
        self.assertEqual((cost["arm"], cost["batch"], len(cost["layers"])), ("dfa", 1, 5))
        self.assertEqual(cost["layers"][0]["phases"]["forward"]["macs"], 6 * 25 * 28 * 28)

    def test_smaller_numbers_cost_less(self):
        energies = [self.good_json(*SMALL, "--numbers", numbers)["total"]["energy_pj"]
                    for numbers in ["float32", "float16", "int8"]]
        self.assertEqual(energies, sorted(energies, reverse=True))

    def test_bad_input(self):
        self.assert_refused(2, "--input and --outputs must be given together", "hardware", "cost", "--input", "784")
        self.assert_refused(2, "expected sizes such as 784 or 1x28x28", "hardware", "cost", "--input", "28*28", "--outputs", "10")
        self.assert_refused(2, "unknown numbers 'int7' (did you mean 'int8'?)", *SMALL, "--numbers", "int7")
        self.assert_refused(2, "normalization", *SMALL[:-4], "--model", "cnn:2", "--norm", "batch")
        self.assert_refused(2, "route eprop is only supported in spiking networks", *SMALL, "--route", "eprop")
        self.assert_refused(2, "ifa", *SMALL, "--model", "snn:3", "--route", "ifa")
        self.assert_refused(2, "a verb is missing; expected one of ", "hardware")
        self.assert_refused(3, "nowhere.toml", *SMALL, "--energy", "nowhere.toml")
        self.write("bad.toml", TABLE.replace("add = 1", 'add = "much"'))
        self.assert_refused(3, "bad.toml:7: key 'add' of [[numbers]]: expected a number >= 0", *SMALL, "--energy", "bad.toml")


if __name__ == "__main__":
    main()
