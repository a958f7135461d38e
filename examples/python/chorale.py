"""A spiking network learns Bach's chorales and continues one, as a MIDI file and as a piano roll (SVG).

    PYTHONPATH=build/python python3 examples/python/chorale.py jsb-chorales-quarter.json [out.mid] [--epochs 10]

Download the file jsb-chorales-quarter.json from https://github.com/czhuang/JSB-Chorales-dataset.
"""
import argparse
import json
import struct
from pathlib import Path

import torch
import torch_grapes
from torch import nn

LOWEST, NOTES = 21, 88


def roll_of(piece):
    """Return a tensor [step, note] of 0 and 1 from a list of steps, each a list of MIDI notes."""
    roll = torch.zeros(len(piece), NOTES)
    for t, notes in enumerate(piece):
        roll[t, [note - LOWEST for note in notes]] = 1
    return roll


class Music(nn.Module):
    """A network that predicts, at every step, the probability of each note in the next step."""

    def __init__(self, hidden=150):
        super().__init__()
        self.hidden = torch_grapes.nn.Snu(NOTES, hidden, recurrent=True, output="sigmoid")  # modulated by GRAPES
        self.out = nn.Linear(hidden, NOTES)

    def forward(self, roll):
        return self.out(self.hidden(roll.unsqueeze(1)).squeeze(1))


def train(model, pieces, epochs):
    optimizer = torch.optim.Adam(model.parameters(), 0.005)
    for epoch in range(epochs):
        total = 0.0
        for k in torch.randperm(len(pieces)).tolist():
            loss = nn.functional.binary_cross_entropy_with_logits(model(pieces[k][:-1]), pieces[k][1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += NOTES * loss.item() / len(pieces)
        print(f"epoch {epoch + 1}: {total:.2f} nats per step")


def continued(model, roll, steps, temperature=1.0):
    """Return the piece with the steps that the network adds, and the probabilities of their notes. Each note is drawn independently."""
    probabilities = roll
    with torch.no_grad():
        for _ in range(steps):
            p = torch.sigmoid(model(roll)[-1:] / temperature)
            roll, probabilities = torch.cat([roll, torch.bernoulli(p)]), torch.cat([probabilities, p])
    return roll, probabilities


def midi(roll, quarters_per_minute=100, ticks=480):
    """Return a MIDI file with one track. A step is a quarter note; a note that is on in successive steps is held."""

    def waiting(n):  # seven bits per byte; the first bit is set in all bytes except the last
        return (waiting(n >> 7)[:-1] + bytes([128 | n >> 7 & 127]) if n > 127 else b"") + bytes([n & 127])

    silence = torch.zeros(1, NOTES)
    change = torch.diff(torch.cat([silence, roll, silence]), dim=0)
    track, last = b"\0\xff\x51\x03" + struct.pack(">I", round(60e6 / quarters_per_minute))[1:], 0
    for t, row in enumerate(change):
        for kind, status, speed in ((-1, 0x80, 64), (1, 0x90, 80)):  # notes that end, then notes that begin
            for note in (row == kind).nonzero().flatten().tolist():
                track += waiting((t - last) * ticks) + bytes([status, LOWEST + note, speed])
                last = t
    track += b"\0\xff\x2f\0"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, ticks) + b"MTrk" + struct.pack(">I", len(track)) + track


def drawing(roll, probabilities, size=8):
    """Return an SVG image of notes over time. Outlined notes are played; a stronger color means a higher probability."""
    boxes = []
    for t, n in ((roll > 0) | (probabilities >= 0.05)).nonzero().tolist():
        outline = ' stroke="currentColor"' if roll[t, n] else ""
        boxes.append(f'<rect x="{t * size}" y="{(NOTES - 1 - n) * size}" width="{size}" height="{size}" fill="#a3307c" '
                     f'fill-opacity="{probabilities[t, n]:.2f}"{outline}/>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(roll) * size} {NOTES * size}">'
            "<title>A chorale that a network continues</title>" + "\n".join(boxes) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chorales", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("out.mid"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--prime", type=int, default=16, help="steps of a test chorale that the network continues")
    parser.add_argument("--steps", type=int, default=64, help="steps that it adds")
    options = parser.parse_args()
    torch.manual_seed(1)
    pieces = json.loads(options.chorales.read_text())
    model = Music()
    train(model, [roll_of(piece) for piece in pieces["train"]], options.epochs)
    roll, probabilities = continued(model, roll_of(pieces["test"][0][:options.prime]), options.steps)
    options.out.write_bytes(midi(roll))
    options.out.with_suffix(".svg").write_text(drawing(roll, probabilities), encoding="utf-8")
    print(f"{options.out}: {options.prime} steps of Bach, then {options.steps} of the network, "
          f"{roll[options.prime:].sum(1).mean():.1f} notes per step")


if __name__ == "__main__":
    main()
