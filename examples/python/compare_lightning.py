"""Compare learning rules for an LSTM that predicts the next character, trained with Lightning.

    PYTHONPATH=build/python python3 examples/python/compare_lightning.py [--seeds 3] [--epochs 10]

GRAPES scales the error at the units of the LSTM. The output layer is not modulated.
"""
import argparse
import logging
import warnings

import lightning
import torch
import torch_grapes
from torch import nn

TEXT = "she sells sea shells by the sea shore; the shells she sells are sea shells, i am sure. " * 12
LETTERS = sorted(set(TEXT))
LENGTH = 24
text = torch.tensor([LETTERS.index(letter) for letter in TEXT])
parts = text.unfold(0, LENGTH + 1, 5)  # overlapping pieces of the text
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()
EPOCHS = options.epochs
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Characters(lightning.LightningModule):
    def __init__(self, run):
        super().__init__()
        self.lstm, self.out = nn.LSTM(len(LETTERS), 32, batch_first=True), nn.Linear(32, len(LETTERS))
        self.run = run

    def forward(self, x):
        return self.out(self.lstm(nn.functional.one_hot(x, len(LETTERS)).float())[0])

    def training_step(self, batch, index):
        return nn.functional.cross_entropy(self(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())

    def validation_step(self, batch, index):
        right = (self(batch[:, :-1]).argmax(2) == batch[:, 1:]).float().mean()
        self.run.epoch(test_accuracy=right)  # one batch has all examples

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.run.learning_rate)


def train(run):
    model = Characters(run)
    run.enable(model)
    batches = torch.utils.data.DataLoader(parts[:-40], batch_size=20, shuffle=True)
    trainer = lightning.Trainer(max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                                enable_model_summary=False, num_sanity_val_steps=0)
    trainer.fit(model, batches, torch.utils.data.DataLoader(parts[-40:], batch_size=40))


print(torch_grapes.compare(train, ["bp", "grapes", "uniform"], options.seeds, learning_rate=0.01, data="a tongue twister"))
