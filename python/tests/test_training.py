"""What people train with: mixed precision, several processes, Lightning, accelerate, transformers, peft."""
import copy
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch_grapes
from torch import nn
from torch.nn import functional as F
from torch_grapes.context import TORCH

from reference import agree, differ, drawn, expected, factor, gradients, network, scale, weighed, wide

X = drawn(4, 5)


def by_hand(model, steps=3, x=X, rate=0.05):
    """A plain SGD loop with a model that learns by GRAPES."""
    for _ in range(steps):
        model.zero_grad()
        weighed(model(x)).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.skipif(TORCH < (2, 3), reason="torch.amp.GradScaler for the CPU is part of PyTorch from 2.3")
@pytest.mark.parametrize("local", [False, True])
def test_grad_scaler(local):
    model, other = network().float(), network().float()
    torch_grapes.enable(other, "grapes-local" if local else "grapes")
    theirs = by_hand(other, x=X.float())
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.05), torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch_grapes.LocalOptimizer(optimizer, model) if local else (torch_grapes.enable(model), optimizer)[1]
    for _ in range(3):
        optimizer.zero_grad()
        scaler.scale(weighed(model(X.float()))).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    agree([p.detach() for p in model.parameters()], theirs, 1e-6)


PROCESS = """
import sys, torch, torch_grapes
import torch.distributed as dist
from reference import drawn, factor, network, weighed
from test_training import X, by_hand
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="tcp://127.0.0.1:" + sys.argv[2], rank=rank, world_size=2)
model, whole = network(), network()
torch_grapes.enable(whole)
expected = by_hand(whole)
{body}
dist.barrier()
dist.destroy_process_group()
print("equal")
"""


def in_two_processes(body, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "process.py"
    script.write_text(PROCESS.format(body=body))
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
                   "USE_LIBUV": "0"}  # Debian builds PyTorch without libuv, and PyTorch then needs to be told
    runs = [subprocess.Popen([sys.executable, str(script), str(rank), str(port)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True) for rank in range(2)]
    for run in runs:
        said = run.communicate(timeout=120)[0]
        assert run.returncode == 0 and said.strip().endswith("equal"), said


ROWS = """
def rows(loss_of_all):  # each process has half of the examples; the mean over processes is half of the sum
    w = torch.linspace(-1, 2, 12, dtype=torch.float64).view(4, 3)
    return lambda output: 2 * (output * w[2 * rank : 2 * rank + 2]).sum()
loss = rows(weighed)
"""


@pytest.mark.parametrize("order", ["enable(model); model = DDP(model)", "model = DDP(model); enable(model)"])
def test_two_processes_equal_one(order, tmp_path):
    in_two_processes(ROWS + f"""
from torch.nn.parallel import DistributedDataParallel as DDP
enable = torch_grapes.enable
{order}
optimizer = torch.optim.SGD(model.parameters(), 0.05)
for _ in range(3):
    optimizer.zero_grad()
    loss(model(X[2 * rank : 2 * rank + 2])).backward()
    optimizer.step()
for a, b in zip(model.parameters(), expected):
    assert torch.allclose(a, b, rtol=1e-12, atol=1e-13), (a - b).abs().max()
""", tmp_path)


@pytest.mark.skipif(TORCH < (2, 6), reason="torch.distributed.fsdp.fully_shard is part of PyTorch from 2.6")
@pytest.mark.skipif(TORCH >= (2, 6) and not hasattr(torch.cpu.Stream, "record_event"), reason="fully_shard of this PyTorch does not run on a CPU")
@pytest.mark.parametrize("what", ["enable(model); shard(model)", "shard(model); enable(model)", "shard(model); local = True"])
def test_fsdp2_has_factors_of_the_whole_weight(what, tmp_path):
    in_two_processes(ROWS + f"""
from torch.distributed.fsdp import fully_shard
from torch.distributed.device_mesh import init_device_mesh
mesh, enable, local = init_device_mesh("cpu", (2,)), torch_grapes.enable, False
def shard(model):
    for layer in (model[0], model[2], model[4]):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
start = network()
{what}
optimizer = torch.optim.SGD(model.parameters(), 0.05)
if local:
    optimizer = torch_grapes.LocalOptimizer(optimizer, model)
    whole = network()
    torch_grapes.enable(whole, "grapes-local")
    expected = by_hand(whole)
for step in range(3):
    optimizer.zero_grad()
    loss(model(X[2 * rank : 2 * rank + 2])).backward()
    optimizer.step()
for a, b in zip(model.parameters(), expected):
    assert torch.allclose(a.full_tensor(), b, rtol=1e-12, atol=1e-13), (a.full_tensor() - b).abs().max()
""", tmp_path)


def digits():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, torch.tensor([0, 1, 2, 0])), batch_size=4)


@pytest.mark.parametrize("calls", ["self", "net"])
def test_lightning(calls, tmp_path):
    pytest.importorskip("lightning", reason="lightning is missing (python/tests/requirements.txt)")
    import lightning
    from torch_grapes.lightning import Grapes

    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return F.cross_entropy(self(batch[0]) if calls == "self" else self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    callback, model = Grapes(gain=3, clip=None, module="" if calls == "self" else "net"), Lit()
    trainer = lightning.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False, enable_checkpointing=False,
                                enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path)
    trainer.fit(model, digits())
    other = network()
    torch_grapes.enable(other, gain=3, clip=None)
    optimizer = torch.optim.SGD(other.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(other(X), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
    for a, b in zip(model.parameters(), other.parameters()):
        assert torch.equal(a, b)
    assert callback.handle is None and not model.net[0]._forward_hooks


def test_layers_called_without_the_model_cause_a_warning():
    """A LightningModule does this if its training_step calls self.net(x). The guess of the output layer cannot be checked."""
    model = nn.Module()
    model.net = network()
    torch_grapes.enable(model)
    with pytest.warns(UserWarning, match="net.0 was called, but not by the model .* checked that net.4 is the output layer"):
        agree(gradients(model.net, X), expected(model.net, X))


def test_accelerate_schedules_the_rate_of_local_optimizer():
    pytest.importorskip("accelerate", reason="accelerate is missing (python/tests/requirements.txt)")
    from accelerate import Accelerator

    accelerator, model = Accelerator(cpu=True), network()
    inner = torch.optim.SGD(model.parameters(), 0.1)
    optimizer = torch_grapes.LocalOptimizer(inner, model)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    prepared, ours, data, scheduler = accelerator.prepare(model, optimizer, digits(), scheduler)
    other = network()
    torch_grapes.enable(other, "grapes-local")
    theirs = torch.optim.SGD(other.parameters(), 0.1)
    for k in range(3):
        for x, y in data:
            ours.zero_grad()
            accelerator.backward(F.cross_entropy(prepared(x), y))
            ours.step()
            scheduler.step()
        theirs.zero_grad()
        F.cross_entropy(other(X), torch.tensor([0, 1, 2, 0])).backward()
        theirs.step()
        theirs.param_groups[0]["lr"] *= 0.5
    assert inner.param_groups[0]["lr"] == 0.1 * 0.5**3
    for a, b in zip(model.parameters(), other.parameters()):
        assert torch.equal(a, b)


class Block(nn.Module):
    """Attention whose query, key and value are one matrix, [3 · width, width]: its unit is a row."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv, self.mix, self.up, self.down, self.out = (wide(nn.Linear(a, b), k) for k, (a, b) in enumerate(
            [(width, 3 * width), (width, width), (width, 2 * width), (2 * width, width), (width, 3)]))

    def forward(self, x, scaled=lambda layer, z: z):
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in scaled(self.qkv, self.qkv(x)).chunk(3, -1))
        seen = torch.softmax(q @ k.transpose(-2, -1) / 2, -1) @ v
        x = x + scaled(self.mix, self.mix(seen.transpose(1, 2).flatten(2)))
        return self.out(x + scaled(self.down, self.down(F.gelu(scaled(self.up, self.up(x))))))


def test_a_transformer_equals_its_equations():
    model, x = Block(), drawn(2, 5, 8)
    f = lambda x: model(x, lambda layer, z: scale(z, factor(layer.weight)))
    f.parameters = model.parameters
    theirs, plain = gradients(f, x), gradients(model, x)
    handle = torch_grapes.enable(model)
    assert handle.modulated == ("qkv", "mix", "up", "down") and handle.factors()["qkv"].shape == (24,)
    agree(gradients(model, x), theirs)
    differ(theirs, plain)


def language_model():
    transformers = pytest.importorskip("transformers", reason="transformers is missing (python/tests/requirements.txt)")
    torch.manual_seed(1)
    config = transformers.GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=2, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for block in model.transformer.h:
            block.mlp.c_fc.weight.mul_(torch.linspace(0.3, 2, 32))  # different columns: a unit is a column there
    return model


TOKENS = torch.arange(12).view(2, 6) % 11


@pytest.mark.parametrize("modulation", ["grapes", "grapes-local"])
def test_the_linear_layers_of_gpt2_have_units_in_columns(modulation):
    model = language_model()
    layer = model.transformer.h[1].mlp.c_fc
    m = factor(layer.weight.detach().t())
    plain = torch.autograd.grad(model(TOKENS, labels=TOKENS).loss, [layer.weight, layer.bias])
    torch_grapes.enable(model, modulation, include="transformer.h.1.mlp.c_fc", warn=False)
    ours = torch.autograd.grad(model(TOKENS, labels=TOKENS).loss, [layer.weight, layer.bias])
    agree(ours, [plain[0] * m, plain[1] * m], 1e-6)
    differ([10 * g for g in ours], [10 * g for g in plain])


def test_trainer(tmp_path):
    model = language_model()
    import transformers
    from torch_grapes.transformers import GrapesCallback

    rows = [{"input_ids": row, "labels": row} for row in TOKENS]

    def trained(model, *callbacks):
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), max_steps=3, per_device_train_batch_size=2, lr_scheduler_type="constant", use_cpu=True, report_to=[],
            save_strategy="no", disable_tqdm=True)
        optimizer = torch.optim.SGD(model.parameters(), 0.5)
        transformers.Trainer(model, arguments, train_dataset=rows, callbacks=list(callbacks), optimizers=(optimizer, None)).train()
        return [p.detach() for p in model.parameters()]

    callback = GrapesCallback("grapes", warn=False)
    plain, enabled = copy.deepcopy(model), copy.deepcopy(model)
    torch_grapes.enable(enabled, warn=False)
    ours = trained(model, callback)
    agree(ours, trained(enabled), 1e-6)
    differ(ours, trained(plain))
    assert callback.handle is None


def test_lora_uses_the_factor_of_the_base_layer():
    peft = pytest.importorskip("peft", reason="peft is missing (python/tests/requirements.txt)")
    base = network()
    model = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["0", "2"], lora_alpha=4)).double()
    layers = [base[0], base[2]]
    with torch.no_grad():
        for layer in layers:
            layer.lora_B["default"].weight.normal_()
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(names) == 4

    def by_equations(x):
        h = x
        for layer in layers:
            z = layer.base_layer(h) + 2 * layer.lora_B["default"](layer.lora_A["default"](h))
            h = torch.relu(scale(z, factor(layer.base_layer.weight)))
        return base[4](h)

    by_equations.parameters = model.parameters
    theirs, plain = gradients(by_equations, X), gradients(model, X)
    with torch_grapes.enabled(model) as handle:
        assert [name.rpartition(".")[2] for name in handle.modulated] == ["0", "2"] and not [n for n in handle.states if "lora_" in n]
        agree(gradients(model, X), theirs)
    differ(theirs, plain)
    with pytest.raises(ValueError, match="0 has LoRA, whose weights have no units of their own for the local version"):
        torch_grapes.enable(model, "grapes-local")
    with pytest.raises(ValueError, match="has LoRA"):
        torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.1), model)
