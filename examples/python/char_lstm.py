"""A character-level LSTM memorizes a few lines, trained with GRAPES.

    PYTHONPATH=build/python python3 examples/python/char_lstm.py [--steps 150] [--modulation grapes]
"""
import argparse

import torch
import torch_grapes
from torch import nn

TEXT = """the error at each unit is scaled by the weight that arrives at it.
what travels back in time is not scaled again, for it would compound.
"""


class Characters(nn.Module):
    def __init__(self, count, hidden=64):
        super().__init__()
        self.lstm, self.out = nn.LSTM(count, hidden, batch_first=True), nn.Linear(hidden, count)
        self.count = count

    def forward(self, text, state=None):
        h, state = self.lstm(nn.functional.one_hot(text, self.count).float(), state)
        return self.out(h), state


def write(model, first, length):
    """Return the text that the model writes after a first character, with the most probable character each time."""
    with torch.no_grad():
        found, state = [first], None
        while len(found) < length:
            logits, state = model(torch.tensor([[found[-1]]]), state)
            found.append(int(logits[0, -1].argmax()))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--modulation", default="grapes")
    options = parser.parse_args()
    torch.manual_seed(1)
    letters = sorted(set(TEXT))
    text = torch.tensor([[letters.index(c) for c in TEXT]])
    model = Characters(len(letters))
    handle = torch_grapes.enable(model, options.modulation)  # the added line
    print(handle)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(options.steps):
        logits, _ = model(text[:, :-1])
        loss = nn.functional.cross_entropy(logits[0], text[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 0 or step + 1 == options.steps:
            print(f"step {step + 1}: {loss.item():.3f} nats per character")
    print("".join(letters[k] for k in write(model, int(text[0, 0]), len(TEXT))))


if __name__ == "__main__":
    main()
