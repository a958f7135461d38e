#!/usr/bin/env python3
"""Folders of pictures: the formats as Pillow writes and reads them, and the folders of ../shared/cases."""
import pathlib
import re
import unittest

from program import main, ProgramTest

try:
    import numpy
    from PIL import Image, ImageOps
except ImportError:
    Image = None

CASES = pathlib.Path(__file__).resolve().parents[3] / "shared" / "cases" / "pictures"
SIDE = 64  # a contact sheet shows such pictures pixel by pixel


def part_sizes(summary):
    """Return the numbers of training, validation and test examples that `data show` prints."""
    return tuple(map(int, re.search(r"(?m)^  all +(\d+) +(\d+) +(\d+)$", summary).groups()))


@unittest.skipIf(Image is None, "python3-pil or python3-numpy is missing")
class Formats(ProgramTest):
    def picture(self, number, channels):
        row, column = numpy.mgrid[0:SIDE, 0:SIDE]
        waves = [127 + 120 * numpy.sin(column / 9 + k + number) * numpy.cos(row / 7 + number) for k in range(channels)]
        return numpy.stack(waves, -1).astype(numpy.uint8).squeeze()

    def save(self, name, image, **options):
        path = self.folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)
        return path

    def tiles(self, count, *options):
        """Return the pictures of the contact sheet."""
        self.good("data", "show", "photos", "--out", "sheet.png", "--sheet-rows", 1, "--sheet-columns", count,
                  "--validation-split", 0, *options)
        sheet = numpy.asarray(Image.open(self.folder / "sheet.png").convert("RGB")).astype(int)
        return [sheet[4:4 + SIDE, 4 + i * (SIDE + 4):][:, :SIDE] for i in range(count)]

    def compare(self, expected, *options):
        """Check that the sheet shows exactly these pictures, in any order."""
        tiles = self.tiles(len(expected), *options)
        for name, image in expected.items():
            wanted = numpy.asarray(image.convert("RGB")).astype(int)
            nearest = min(range(len(tiles)), key=lambda i: abs(tiles[i] - wanted).max())
            self.assertLessEqual(abs(tiles.pop(nearest) - wanted).max(), 1, name)

    def test_pixels_are_those_that_pillow_reads(self):
        color, transparent = self.picture(1, 3), self.picture(2, 4)
        wide = (self.picture(3, 1).astype(numpy.uint16) << 8) + 7
        on_black = (transparent[..., :3].astype(int) * transparent[..., 3:] + 127) // 255
        self.save("test/a/1.png", Image.fromarray(color))
        expected = {}

        def add(name, image, shown=None, **options):
            path = self.save(f"train/{'ab'[len(expected) % 2]}/{len(expected)}-{name}", image, **options)
            expected[name] = shown if shown is not None else ImageOps.exif_transpose(Image.open(path))

        for extension, options in {"jpg": {"quality": 95}, "png": {}, "tif": {}, "bmp": {}, "webp": {"lossless": True},
                                   "gif": {}}.items():
            add(f"color.{extension}", Image.fromarray(color), **options)
            add(f"gray.{extension}", Image.fromarray(self.picture(4, 1)), **options)
        add("progressive.jpg", Image.fromarray(color), progressive=True)
        add("inks.jpg", Image.fromarray(color).convert("CMYK"))
        add("lossy.webp", Image.fromarray(color), quality=80)
        for extension in ("png", "tif", "webp"):
            add(f"alpha.{extension}", Image.fromarray(transparent), Image.fromarray(on_black.astype(numpy.uint8)),
                **({"lossless": True, "exact": True} if extension == "webp" else {}))
        for extension in ("png", "tif"):
            add(f"16-bits.{extension}", Image.fromarray(wide), Image.fromarray((wide >> 8).astype(numpy.uint8)))
            add(f"palette.{extension}", Image.fromarray(color).quantize(64))
            add(f"black-and-white.{extension}", Image.fromarray(self.picture(5, 1)).convert("1"))
        add("interlaced.gif", Image.fromarray(color).quantize(64), interlace=1)
        add("animation.gif", Image.fromarray(self.picture(6, 1)), save_all=True,
            append_images=[Image.fromarray(self.picture(7, 1))])
        for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
            add(f"{compression}.tif", Image.fromarray(self.picture(8, 3)), compression=compression)
        for orientation in range(2, 9):
            exif = Image.Exif()
            exif[0x112] = orientation
            for extension in ("jpg", "png", "webp"):
                add(f"turned-{orientation}.{extension}", Image.fromarray(self.picture(orientation, 3)), exif=exif)
        self.compare(expected)

    def test_resize_and_crop_are_pillows(self):
        images = {name: Image.fromarray(numpy.tile(self.picture(n, 3), (2, 2, 1))[:rows, :columns])
                  for n, (name, rows, columns) in enumerate([("a/1.png", 100, 70), ("a/2.png", 40, 90), ("b/1.png", 50, 50)])}
        self.save("test/a/1.png", images["a/1.png"])
        for name, image in images.items():
            self.save(f"train/{name}", image)
        self.compare({name: image.resize((SIDE, SIDE), Image.BILINEAR) for name, image in images.items()},
                     "--resize", SIDE)
        covered = {}
        for name, image in images.items():
            width, height = image.size
            short = min(width, height)
            large = image.resize((SIDE * width // short, SIDE * height // short), Image.BILINEAR)
            left, top = round((large.width - SIDE) / 2), round((large.height - SIDE) / 2)
            covered[name] = large.crop((left, top, left + SIDE, top + SIDE))
        self.compare(covered, "--resize", SIDE, "--crop", "center")

    def test_a_network_learns_from_photographs_and_predicts_another(self):
        for number in range(20):
            image = numpy.zeros((30 + number, 40, 3), numpy.uint8)
            image[..., number % 2 * 2] = 150 + number  # red or blue
            self.save(f"{'red' if number % 2 == 0 else 'blue'}/{number}.jpg", Image.fromarray(image))
        self.good("train", "--data", "photos", "--resize", "12", "--crop", "random:8", "--model", "mlp:8", "--epochs",
                  "15", "--batch-size", 4, "--out", "run", "--quiet")
        self.assertEqual(self.rows("run")[-1]["test_accuracy"], 1)
        image = numpy.zeros((64, 48, 3), numpy.uint8)
        image[..., 2] = 170
        self.save("new.webp", Image.fromarray(image))
        self.assertRegex(self.good("predict", "run", "photos/new.webp", "--top", 1), r"^blue \d")

    def test_a_damaged_file_stops_the_run_or_is_counted(self):
        for number in range(8):
            self.save(f"{'ab'[number % 2]}/{number}.jpg", Image.fromarray(self.picture(number, 3)))
        path = self.folder / "photos" / "a" / "4.jpg"
        path.write_bytes(path.read_bytes()[:700])
        self.assert_refused(3, "photos/a/4.jpg: not a valid JPEG (Premature end of JPEG file)", "data", "show", "photos",
                            "--quiet")
        text = self.good("data", "show", "photos", "--skip-damaged", "--quiet")
        self.assertEqual(sum(part_sizes(text)), 7)
        self.assertIn("note: skipped 1 damaged picture, the first one photos/a/4.jpg: not a valid JPEG", text)


@unittest.skipUnless(CASES.is_dir(), "../shared/cases/pictures is missing")
class Cases(ProgramTest):
    def show(self, name, *options):
        return self.good("data", "show", CASES / name, "--quiet", *options)

    def test_each_format(self):
        for name, count in {"jpeg": 24, "bmp": 12, "tiff": 12}.items():
            text = self.show(name)
            self.assertIn("classification, inputs 3 x 32 x 32 from ", text)
            self.assertIn(", 3 classes\n", text)
            self.assertEqual(sum(part_sizes(text)), count, name)

    def test_pictures_of_different_sizes_need_resize(self):
        self.assert_refused(3, ["airplane/001.png: 32 x 32 pixels", "expected 28 x 40 as in", "airplane/000.png", "--resize"],
                            "data", "show", CASES / "mixed", "--quiet")
        text = self.show("mixed", "--resize", 32)
        self.assertIn("inputs 3 x 32 x 32", text)
        self.assertEqual(sum(part_sizes(text)), 18)

    def test_parts(self):
        text = self.show("train-and-val")
        train, validation, test = part_sizes(text)
        self.assertEqual((train + validation, test), (24, 12))
        self.assertIn("note: there is no test set, so val is the test set", text)


if __name__ == "__main__":
    main()
