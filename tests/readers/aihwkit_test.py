#!/usr/bin/env python3
"""The analog devices respond to pulses as those of aihwkit: mean and spread over many weights, pulse by pulse.

It needs aihwkit 1.1, which works beside PyTorch 2.10 only (pip install torch==2.10.0 aihwkit==1.1.0); PyPI has that PyTorch for CUDA,
with about 3 GB, so `make test-python` does not install it.
"""
import csv
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
from program import main, ProgramTest  # noqa: E402

try:
    import torch
    from aihwkit.simulator.configs import SingleRPUConfig
    from aihwkit.simulator.configs.devices import ConstantStepDevice, SoftBoundsDevice
    from aihwkit.simulator.presets.devices import ReRamESPresetDevice, ReRamSBPresetDevice
    from aihwkit.simulator.tiles import AnalogTile
    DEVICES = {"constant-step": ConstantStepDevice, "soft-bounds": SoftBoundsDevice, "reram": ReRamESPresetDevice,
               "reram-soft-bounds": ReRamSBPresetDevice}
    AnalogTile(2, 1, SingleRPUConfig(device=ConstantStepDevice())).set_weights(torch.zeros(2, 1))  # fails beside another PyTorch
    missing = None
except (ImportError, RuntimeError) as error:
    missing, DEVICES = error, {}

WEIGHTS, PULSES = 4000, 400
AT = (50, 200, 400, 450, 600, 800)  # numbers of pulses: up to 400, then down


@unittest.skipIf(missing, f"aihwkit beside a PyTorch that it works with is needed: {missing}")
class Devices(ProgramTest):
    def ours(self, device):
        self.good("hardware", "devices", "--device", device, "--weights", WEIGHTS, "--pulses", PULSES, "--out", "devices")
        with open(self.folder / "devices" / "responses.csv") as file:
            rows = [row for row in csv.DictReader(file) if row["device"] == device]
        return {int(row["pulses_up"]) + int(row["pulses_down"]): (float(row["mean"]), float(row["sd"])) for row in rows}

    def theirs(self, device):
        torch.manual_seed(1)
        config = SingleRPUConfig(device=DEVICES[device]())
        config.update.desired_bl = 1  # so that each update is one pulse of every weight
        config.update.update_bl_management = config.update.update_management = False
        tile = AnalogTile(WEIGHTS, 1, config)
        tile.set_learning_rate(1)
        tile.set_weights(torch.zeros(WEIGHTS, 1))
        responses = {}
        for n in range(1, 2 * PULSES + 1):
            tile.update(-torch.ones(1, 1), torch.full((1, WEIGHTS), 1.0 if n <= PULSES else -1.0))
            if n in AT:
                weights = tile.get_weights()[0].double().numpy()
                fourth = ((weights - weights.mean()) ** 4).mean()  # gives the standard error of a deviation, for any distribution
                responses[n] = weights.mean(), weights.std(ddof=1), (fourth - weights.var() ** 2) ** 0.5 / (2 * weights.std())
        return responses

    def test_response(self):
        for device in DEVICES:
            ours, theirs = self.ours(device), self.theirs(device)
            for n in AT:
                with self.subTest(device, pulses=n):
                    (mean, sd), (their_mean, their_sd, deviation) = ours[n], theirs[n]
                    errors = 4 * (2 / WEIGHTS) ** 0.5  # four standard errors of a difference
                    self.assertLess(abs(mean - their_mean), errors * their_sd)
                    self.assertLess(abs(sd - their_sd), errors * deviation)


if __name__ == "__main__":
    main()
