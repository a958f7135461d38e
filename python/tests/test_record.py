"""A Record has the same form as a record of `grapes train`."""
import json

import pytest
import torch

import torch_grapes


class Given:
    """Replaces a handle: returns its factors."""

    def __init__(self, *m):
        self.m = torch.tensor(m, dtype=torch.float64)

    def factors(self):
        return {"0": self.m}


def described(tmp_path, *m):
    record = torch_grapes.Record(tmp_path / "run", arm="grapes", seed=1, data="d", model="m", score="log_likelihood", handle=Given(*m))
    record.epoch(step=0, train_loss=1.0)
    return json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["layers"][0]["factor"]


def test_factors_are_described_as_grapes_train_does(tmp_path):
    """As in train/layers.cpp: the sample standard deviation, and a factor on an edge counts in the bin below."""
    factor = described(tmp_path, 1.0, 1.1, 1.2, 2.0, 2.5)
    assert factor["mean"] == pytest.approx(1.56) and factor["sd"] == pytest.approx(0.433 ** 0.5)
    counts = {k: n for k, n in enumerate(factor["histogram"]) if n > 0}
    assert counts == {9: 1, 10: 1, 11: 1, 19: 2}


def test_one_unit_has_no_deviation(tmp_path):
    assert described(tmp_path, 2.0)["sd"] == 0


def test_scores(tmp_path):
    described(tmp_path, 1.0)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["score"] == "log_likelihood"
    with pytest.raises(ValueError, match="one of accuracy, r2, log_likelihood; got 'loss'"):
        torch_grapes.Record(tmp_path / "other", arm="a", seed=1, data="d", model="m", score="loss")
    with pytest.raises(FileExistsError):
        torch_grapes.Record(tmp_path / "run", arm="a", seed=1, data="d", model="m")


def test_alignment_is_recorded_by_layer_beside_the_factors(tmp_path):
    record = torch_grapes.Record(tmp_path / "run", arm="fa", seed=1, data="d", model="m", handle=Given(1.0, 2.0))
    record.epoch(step=0, train_loss=1.0, alignment={"0": torch_grapes.Alignment(45.0, 5.0, 90.0, 1.5),
                                                    "2": torch_grapes.Alignment(float("nan"), 0.0, None, None)})
    first, second = json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["layers"]
    assert first["factor"]["mean"] == 1.5
    assert first["alignment"] == {"transport": 45.0, "modulation": 5.0, "feedback": 90.0, "ratio": 1.5}
    assert second == {"name": "2", "alignment": {"transport": None, "modulation": 0.0}}
