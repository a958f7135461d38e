"""Writes the files that the pages use as your own data: flowers.csv, new.csv, patients.csv, x.npy and y.npy, scans/, seven.png, photos/, new.jpg."""
import csv
import struct
import zlib
from pathlib import Path

NAMES = ("flowers.csv", "new.csv", "patients.csv", "x.npy", "y.npy", "scans", "seven.png", "photos", "new.jpg")


def write_png(path, rows):
    """Return a gray 8-bit PNG from a list of rows of bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def write_table(path, names, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def make(folder):
    import numpy
    from PIL import Image
    from sklearn import datasets

    folder = Path(folder)
    iris = datasets.load_iris()
    names = [name.split(" (")[0].replace(" ", "_") for name in iris.feature_names]
    write_table(folder / "flowers.csv", [*names, "species"],
                [[*row, iris.target_names[target]] for row, target in zip(iris.data, iris.target)])
    write_table(folder / "new.csv", names, iris.data[[0, 60, 120]])

    diabetes = datasets.load_diabetes()
    write_table(folder / "patients.csv", [*diabetes.feature_names, "progression"],
                [[*row, target] for row, target in zip(diabetes.data.round(5), diabetes.target)])

    digits = datasets.load_digits()
    numpy.save(folder / "x.npy", (digits.images / 16).astype("float32"))
    numpy.save(folder / "y.npy", digits.target)
    for i, (image, digit) in enumerate(zip(digits.images[:500], digits.target)):
        write_png(folder / "scans" / str(digit) / f"{i:03}.png", (image * 255 / 16).astype(int).tolist())
    def photograph(name, color, number):
        shade = numpy.linspace(0.6, 1, 40 + number)[:, None, None] * numpy.ones((1, 60, 1))
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((shade * color).astype("uint8")).save(path)

    for number in range(20):
        photograph(f"photos/lake/{number:02}.jpg", (30, 90, 200), number)
        photograph(f"photos/sand/{number:02}.png", (220, 190, 120), number)
    photograph("new.jpg", (40, 100, 210), 30)
    write_png(folder / "seven.png", (digits.images[1442] * 255 / 16).astype(int).tolist())
