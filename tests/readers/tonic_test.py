#!/usr/bin/env python3
"""Recordings of event cameras: Grapes places each event at the pixel where tonic places it."""
import io
import pathlib
import struct
import sys
import unittest
import zipfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))
from program import main, ProgramTest  # noqa: E402

try:
    import tonic.io
    from PIL import Image
    missing = None
except ImportError as error:
    missing = error


def aedat2(events):
    """CIFAR10-DVS: the address and the time, both big-endian."""
    return b"#!AER-DAT2.0\r\n# a comment\r\n" + b"".join(struct.pack(">II", y << 8 | x << 1 | p, t) for t, x, y, p in events)


def aedat3(events):
    """DVS128 Gesture: a packet of polarity events, little-endian."""
    body = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in events)
    return (b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, len(events), len(events), len(events)) +
            body)


def nmnist(events):
    """N-MNIST: 5 bytes, x, y, and the polarity before 23 bits of time."""
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for t, x, y, p in events)


@unittest.skipIf(missing, f"{missing}")
class TonicTest(ProgramTest):
    def events(self, side):
        """Return 150 events in the order of time at random places of a sensor: columns t, x, y, p."""
        draw = np.random.default_rng(3)
        return np.stack([np.sort(draw.integers(0, 300_000, 150)), draw.integers(0, side, 150), draw.integers(0, side, 150),
                         draw.integers(0, 2, 150)], 1).tolist()

    def places(self, name, side, *options):
        """Return the pixels where the first example has darker and brighter events, as sets of (row, column)."""
        self.good("data", "show", name, "--event-steps", 4, "--validation-split", 0, "--test-split", 0.5, "--out", "sheet.png",
                  "--sheet-rows", 1, "--sheet-columns", 1, "--quiet", *options)
        sheet = np.asarray(Image.open(self.folder / "sheet.png").convert("RGB"))
        zoom = max(1, 64 // side)
        image = sheet[4:4 + zoom * side:zoom, 4:4 + zoom * side:zoom]
        self.assertEqual(image.shape, (side, side, 3))
        return [set(zip(*map(np.ndarray.tolist, np.nonzero(image[:, :, channel])))) for channel in (2, 0)]

    def read_aedat(self, parts):
        """Return x, y and p of the events that tonic finds. read_dvs_ibm and read_dvs_128 of tonic 1.7 fail on its own header's result;
        `parts` are their bits of an address.
        """
        version, start = tonic.io.read_aedat_header_from_file(self.folder / "one.aedat")[:2]
        address = tonic.io.get_aer_events_from_file(self.folder / "one.aedat", version, start)["address"]
        self.assertEqual(len(address), 150)
        events = np.zeros(150, np.dtype([("x", int), ("y", int), ("p", int)]))
        events["x"], events["y"], events["p"] = parts(address)
        return events

    def expected(self, events):
        return [set(zip(events["y"][events["p"] == p].tolist(), events["x"][events["p"] == p].tolist())) for p in (0, 1)]

    def zip(self, name, files):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        self.write(name, file.getvalue())

    def test_nmnist(self):
        recording = nmnist(self.events(34))
        for part in ("Train", "Test"):
            self.zip(f"downloads/{part}.zip", {f"{part}/{digit}/{digit:05}.bin": recording for digit in range(10)})
        self.good("data", "get", "nmnist", "--from", "downloads", "--quiet")
        self.write("one.bin", recording)
        dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
        theirs = tonic.io.read_mnist_file(self.folder / "one.bin", dtype)
        self.assertEqual(len(theirs), 150)
        self.assertEqual(self.places("nmnist", 34), self.expected(theirs))

    def test_dvs_gesture(self):
        recording = aedat3(self.events(128))
        labels = "class,startTime_usec,endTime_usec\n" + "".join(f"{c},0,400000\n" for c in range(1, 12))
        files = {"trials_to_train.txt": "user01_led.aedat\n", "trials_to_test.txt": "user02_led.aedat\n"}
        for user in ("user01", "user02"):
            files |= {f"{user}_led.aedat": recording, f"{user}_led_labels.csv": labels}
        self.zip("DvsGesture.zip", {f"DvsGesture/{name}": content for name, content in files.items()})
        self.good("data", "get", "dvs-gesture", "--from", "DvsGesture.zip", "--quiet")
        self.write("one.aedat", recording)
        theirs = self.read_aedat(lambda address: (address >> 17 & 0x1fff, address >> 2 & 0x1fff, address >> 1 & 1))
        self.assertEqual(self.places("dvs-gesture", 128), self.expected(theirs))

    def test_cifar10_dvs(self):
        recording = aedat2(self.events(128))
        names = "airplane automobile bird cat deer dog frog horse ship truck".split()
        for name in names:
            self.zip(f"downloads/{name}.zip", {f"{name}/cifar10_{name}_{i}.aedat": recording for i in range(2)})
        self.good("data", "get", "cifar10-dvs", "--from", "downloads", "--quiet")
        self.write("one.aedat", recording)
        theirs = self.read_aedat(lambda address: (address >> 8 & 0x7f, address >> 1 & 0x7f, address & 1))
        # tonic leaves the picture as the camera has it: turned by half a turn, and with polarity 1 for darker.
        upright = theirs.copy()
        upright["x"], upright["y"], upright["p"] = 127 - theirs["x"], 127 - theirs["y"], 1 - theirs["p"]
        self.assertEqual(self.places("cifar10-dvs", 128), self.expected(upright))


if __name__ == "__main__":
    main()
