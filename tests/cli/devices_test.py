#!/usr/bin/env python3
"""Analog devices on the command line: the table with its sources, responses to pulses."""
import csv
import xml.etree.ElementTree

from program import main, ProgramTest

DEVICES = ["constant-step", "soft-bounds", "reram", "reram-soft-bounds", "pcm", "ideal"]


class Table(ProgramTest):
    def test_every_number_has_a_source(self):
        rows = self.good_json("list", "devices")
        self.assertEqual(list(dict.fromkeys(row["device"] for row in rows)), DEVICES)
        for row in rows:
            self.assertGreater(len(row["source"]), 3, row)
        values = {(row["device"], row["number"]): row["value"] for row in rows}
        self.assertEqual(values["reram", "A_up"], "-1.18445")
        self.assertEqual(values["constant-step", "high"], "0.6")


class Responses(ProgramTest):
    def test_all_devices(self):
        result = self.good_json("hardware", "devices", "--weights", "200", "--out", "made")
        self.assertEqual([device["name"] for device in result["devices"]], DEVICES)
        with open(self.folder / "made" / "responses.csv") as file:
            rows = list(csv.DictReader(file))
        for device in result["devices"]:
            self.assertEqual(sum(row["device"] == device["name"] for row in rows), 2 * device["pulses"] + 1)
        by_name = {device["name"]: device for device in result["devices"]}
        # Without spread or noise the pulses are the closed form; noise that is small against the steps leaves the mean
        # and the spread of devices that differ.
        self.assertAlmostEqual(by_name["ideal"]["up"]["mean"], 1, delta=1e-4)
        self.assertLess(by_name["ideal"]["up"]["sd"], 1e-6)
        self.assertLess(by_name["constant-step"]["up"]["expected"], 0.53)  # 0.57, but for bounds that come before
        for name in ("constant-step", "soft-bounds"):
            for way in ("up", "down"):
                point = by_name[name][way]
                self.assertAlmostEqual(point["mean"], point["expected"], delta=0.005)
                self.assertAlmostEqual(point["sd"], point["expected_sd"], delta=0.01)
        # A pair of PCM comes back to 0 when both sides got as many pulses.
        self.assertAlmostEqual(by_name["pcm"]["down"]["expected"], 0, delta=0.05)
        picture = xml.etree.ElementTree.parse(self.folder / "made" / "responses.svg").getroot()
        texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
        for name in DEVICES:
            self.assertIn(name, texts)

    def test_one_device_and_its_pulses_are_the_same_again(self):
        text = self.good("hardware", "devices", "--device", "pcm", "--pulses", "12", "--out", "a")
        self.assertIn("plot: a/responses.svg", text)
        self.good("hardware", "devices", "--device", "pcm", "--pulses", "12", "--out", "b")
        self.good("hardware", "devices", "--device", "pcm", "--pulses", "12", "--seed", "2", "--out", "c")
        a, b, c = ((self.folder / name / "responses.csv").read_text() for name in "abc")
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)
        self.assertEqual(len(a.splitlines()), 26)

    def test_bad_input(self):
        self.assert_refused(2, "unknown device 'pmc' (did you mean 'pcm'?)", "hardware", "devices", "--device", "pmc", "--out", "x")
        self.assert_refused(2, "--out", "hardware", "devices")
        self.assert_refused(2, "--weights", "hardware", "devices", "--weights", "1", "--out", "x")
        self.assert_refused(2, "a verb is missing; expected one of cost, devices", "hardware")
        self.write("file", "")
        self.assert_refused(3, "file", "hardware", "devices", "--device", "pcm", "--out", "file")


if __name__ == "__main__":
    main()
