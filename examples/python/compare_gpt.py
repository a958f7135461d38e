"""Compare learning rules for a small GPT on characters with tied embeddings, trained with Hugging Face's Trainer.

    PYTHONPATH=build/python python3 examples/python/compare_gpt.py [--seeds 3] [--steps 60]

What is modulated: the layer that computes query, key and value (each row of its matrix is a unit), the projection of the heads, and
both layers of the MLP, in every block. The embeddings and the normalizations are not. The output layer is not either, and it shares
its matrix with the embedding of the characters: this matrix learns by plain backpropagation in both of its roles, except that the
errors that arrive at the embedding have passed through the modulated layers.
"""
import argparse

import torch
import torch_grapes
import transformers
from torch import nn

TEXT = "she sells sea shells by the sea shore; the shells she sells are sea shells, i am sure. " * 12
LETTERS = sorted(set(TEXT))
LENGTH, WIDTH, HEADS = 24, 32, 4
text = torch.tensor([LETTERS.index(letter) for letter in TEXT])
parts = [{"text": part} for part in text.unfold(0, LENGTH + 1, 5)]
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--steps", type=int, default=60)
options = parser.parse_args()
STEPS = options.steps


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, h):
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.qkv(self.norms[0](h)).chunk(3, 2))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.project(attended.transpose(1, 2).flatten(2))
        return h + self.mlp(self.norms[1](h))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters, self.places = nn.Embedding(len(LETTERS), WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks, self.norm = nn.Sequential(Block(), Block()), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(LETTERS), bias=False)
        self.head.weight = self.letters.weight  # tied
        nn.init.normal_(self.head.weight, std=0.1)

    def forward(self, text):
        h = self.letters(text[:, :-1]) + self.places.weight
        logits = self.head(self.norm(self.blocks(h)))
        return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten()), "logits": logits}


def train(run):
    model = Gpt()
    run.enable(model, output="head")
    arguments = transformers.TrainingArguments(
        str(run.folder / "trainer"), max_steps=STEPS, learning_rate=run.learning_rate, per_device_train_batch_size=20, use_cpu=True,
        seed=run.seed,  # the order of the examples
        save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True, remove_unused_columns=False)
    trainer = transformers.Trainer(model, arguments, train_dataset=parts[:-40])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    with torch.no_grad():
        loss = model(torch.stack([part["text"] for part in parts[-40:]]))["loss"]
    run.epoch(step=STEPS, test_log_likelihood=-loss)  # in nats per character


print(torch_grapes.compare(train, ["bp", "grapes", "uniform"], options.seeds, learning_rate=0.003, score="log_likelihood", data="a tongue twister"))
