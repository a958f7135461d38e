"""alignment(): angles equal those by hand, and training continues as without the call."""
import copy
import math

import pytest
import torch
import torch_grapes
from torch import nn
from torch.nn import functional as F

from reference import drawn, factor, gradients, wide


def mlp():
    return nn.Sequential(wide(nn.Linear(5, 7), 1), nn.Tanh(), wide(nn.Linear(7, 6), 2), nn.Tanh(), wide(nn.Linear(6, 3), 3))


def degrees(a, b):
    return math.degrees(math.acos(min(1.0, (a.flatten() @ b.flatten() / (a.norm() * b.norm())).item())))


def test_angles_equal_values_by_hand():
    model, x, y = mlp(), drawn(4, 5), torch.tensor([0, 1, 2, 0])
    loss = lambda: F.cross_entropy(model(x), y)
    weights = [model[k].weight for k in (0, 2, 4)]
    plain = torch.autograd.grad(loss(), weights)
    with torch_grapes.converted(model, "fa"):
        B = [model[k].feedback.t() for k in (0, 2, 4)]
        routed = torch.autograd.grad(loss(), weights)
    with torch_grapes.converted(model, "fa", "grapes", clip=(1, 2)):
        whole = torch.autograd.grad(loss(), weights)
        found = torch_grapes.alignment(model, loss)
    assert list(found) == ["0", "2", "4"]
    for k, row in enumerate(found.values()):
        assert row.transport == pytest.approx(degrees(routed[k], plain[k]), abs=1e-5)
        assert row.modulation == pytest.approx(degrees(whole[k], routed[k]), abs=1e-5)
        assert row.feedback == pytest.approx(degrees(weights[k], B[k]), abs=1e-5)
        assert row.ratio == pytest.approx((B[k].norm() / weights[k].norm()).item(), rel=1e-12)
    assert found["0"].transport > 20 and found["0"].modulation > 1 and found["4"].transport == 0


def test_backpropagation_is_aligned_with_itself_and_has_no_feedback_weights():
    model, x, y = mlp(), drawn(4, 5), torch.tensor([0, 1, 2, 0])
    torch_grapes.enable(model)
    for name, row in torch_grapes.alignment(model, lambda: F.cross_entropy(model(x), y)).items():
        assert row.transport == 0 and row.feedback is row.ratio is None
        assert (row.modulation > 0.1) == (name != "4")
    for loss in (lambda: model(x), lambda: model(x).sum().detach(), lambda: model(x).sum().item()):
        with pytest.raises(ValueError, match="alignment: loss must compute one number with the model"):
            torch_grapes.alignment(model, loss)
    with pytest.raises(ValueError, match="alignment: the model has no rule"):
        torch_grapes.alignment(mlp(), lambda: None)


@pytest.mark.parametrize("route", [name for name in torch_grapes.routes if name not in ("ifa", "eprop", "eprop-symmetric")])
def test_alignment_does_not_change_training(route):
    def run(measured):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 5),
                              nn.Tanh(), nn.Linear(5, 2))
        torch_grapes.convert(model, route, "shuffled")
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
        x, y = torch.randn(8, 1, 6, 6), torch.arange(8) % 2
        loss = lambda: F.cross_entropy(model(x), y)
        for _ in range(4):
            optimizer.zero_grad()
            loss().backward()
            if measured:
                assert all(0 <= row.transport <= 180 for row in torch_grapes.alignment(model, loss).values())
            optimizer.step()
        return model.state_dict()

    for (name, a), b in zip(run(False).items(), run(True).values()):
        assert torch.equal(a, b), name


def test_kolen_pollack_aligns_more_than_fa():
    def after(route):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(10, 30), nn.Tanh(), nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 3))
        torch_grapes.convert(model, route)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.05)
        x, y = torch.randn(60, 10), torch.arange(60) % 3
        loss = lambda: F.cross_entropy(model(x), y)
        first = torch_grapes.alignment(model, loss)["2"]
        for _ in range(300):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        return first, torch_grapes.alignment(model, loss)["2"]

    (fa_first, fa), (kp_first, kp) = after("fa"), after("kolen-pollack")
    assert fa_first.feedback == kp_first.feedback and 80 < fa_first.feedback < 100
    assert kp.feedback < 50 and kp.transport < fa.transport and kp.feedback < fa.feedback


def test_recurrent_and_direct():
    torch.manual_seed(2)
    model = nn.ModuleDict({"lstm": nn.LSTM(3, 4, 2), "fc": nn.Linear(4, 2)})
    model.forward = lambda x: model.fc(model.lstm(x)[0][-1])
    x = torch.randn(5, 6, 3)
    with torch_grapes.converted(model, "fa"):
        found = torch_grapes.alignment(model, lambda: model(x).square().sum())
        assert list(found) == ["lstm.l0", "lstm.l1", "fc"] and found["lstm.l0"].transport > 5 and found["fc"].transport == 0
        assert found["lstm.l1"].feedback == pytest.approx(degrees(model.lstm.weight_ih_l1, model.lstm.feedback_l1.t()), abs=1e-2)
    with torch_grapes.converted(model, "dfa"):
        found = torch_grapes.alignment(model, lambda: model(x).square().sum())
        assert found["fc"].transport == 0 and found["lstm.l1"].transport > 5 and found["fc"].feedback is None
