#!/usr/bin/env python3
"""Archives and files as the authors of data sets publish them, made small by other programs: scipy, h5py, Pillow."""
import io
import re
import struct
import tarfile
import unittest
import zipfile

from program import main, ProgramTest

try:
    import h5py
    import numpy
    import scipy.io
    from PIL import Image
except ImportError:
    numpy = None


@unittest.skipIf(numpy is None, "python3-numpy, scipy, h5py or pil is missing")
class Archives(ProgramTest):
    def zip(self, name, files):
        (self.folder / name).parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(self.folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)

    def tar(self, name, files):
        with tarfile.open(self.folder / name, "w:gz") as archive:
            for path, content in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))

    def mat(self, content):
        file = io.BytesIO()
        scipy.io.savemat(file, content, do_compression=True)
        return file.getvalue()

    def take(self, name, source):
        self.assertRegex(self.good("data", "get", name, "--from", source, "--quiet"), rf"^{name}: .*/{name}\n$")

    def counts(self, name, *options):
        """Return the text of `data show`, and per class the numbers of its examples."""
        text = self.good("data", "show", name, "--validation-split", 0, "--quiet", *options)
        return text, {line[0]: tuple(map(int, line[1:])) for line in re.findall(r"(?m)^  (\S+) +(\d+) +(\d+) +(\d+)$", text)}

    def test_svhn(self):
        draw = numpy.random.default_rng(1)
        for part, labels in {"train": [10, 1, 2, 10], "test": [9, 10]}.items():
            x = draw.integers(0, 256, (32, 32, 3, len(labels)), numpy.uint8)
            self.write(f"downloads/{part}_32x32.mat", self.mat({"X": x, "y": numpy.array(labels, numpy.uint8)[:, None]}))
        x[...] = 0
        x[20, 3, 2, :] = 255  # blue, at row 20 and column 3
        self.write("downloads/train_32x32.mat", self.mat({"X": x, "y": numpy.array([[10], [4]])}))
        self.take("svhn", "downloads")
        text, counts = self.counts("svhn", "--out", "sheet.png", "--sheet-rows", 1, "--sheet-columns", 1)
        self.assertIn("inputs 3 x 32 x 32 from 0 to 1, 10 classes", text)
        self.assertEqual(counts["0"], (1, 0, 1))
        self.assertEqual(counts["9"], (0, 0, 1))
        sheet = numpy.asarray(Image.open(self.folder / "sheet.png"))
        self.assertEqual([values.tolist() for values in sheet[4 + 2 * 20, 4 + 2 * 3:][:2]], [[0, 0, 255]] * 2)  # enlarged
        self.assertEqual(sheet[4 + 2 * 20, 4 + 2 * 3 + 2].tolist(), [0, 0, 0])

    def test_emnist_of_matlab_is_that_of_the_idx_files(self):
        image = numpy.zeros((28, 28), numpy.uint8)
        image[20, 3] = 255
        stored = image.T.reshape(1, 784)  # column by column
        part = {"images": numpy.repeat(stored, 2, 0), "labels": numpy.array([[1.0], [26.0]]), "writers": numpy.zeros((2, 1))}
        dataset = {"train": part, "test": part, "mapping": numpy.array([[1, 65, 97]])}
        self.zip("matlab.zip", {"matlab/emnist-letters.mat": self.mat({"dataset": dataset}), "matlab/other.mat": b""})
        self.take("emnist-letters", "matlab.zip")
        text, counts = self.counts("emnist-letters", "--out", "sheet.png", "--sheet-rows", 1, "--sheet-columns", 1)
        self.assertEqual((counts["A"], counts["Z"], counts["B"]), ((1, 0, 1), (1, 0, 1), (0, 0, 0)))
        sheet = numpy.asarray(Image.open(self.folder / "sheet.png").convert("L"))
        self.assertEqual([sheet[4 + 2 * 20, 4 + 2 * 3], sheet[4 + 2 * 3, 4 + 2 * 20]], [255, 0])

    def test_tiny_imagenet(self):
        def picture(color):
            file = io.BytesIO()
            Image.new("RGB", (64, 64), color).save(file, "JPEG")
            return file.getvalue()
        files = {"tiny-imagenet-200/val/val_annotations.txt": "val_0.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n",
                 "tiny-imagenet-200/val/images/val_0.JPEG": picture("red"),
                 "tiny-imagenet-200/val/images/val_1.JPEG": picture("blue"),
                 "tiny-imagenet-200/test/images/test_0.JPEG": picture("green"), "tiny-imagenet-200/wnids.txt": "n01\nn02\n"}
        for number in range(6):
            name = f"n0{number % 2 + 1}"
            files[f"tiny-imagenet-200/train/{name}/images/{name}_{number}.JPEG"] = picture("white")
            files[f"tiny-imagenet-200/train/{name}/{name}_boxes.txt"] = "x"
        self.zip("tiny-imagenet-200.zip", files)
        self.take("tiny-imagenet", "tiny-imagenet-200.zip")
        text, counts = self.counts("tiny-imagenet")
        self.assertEqual(counts, {"n01": (3, 0, 1), "n02": (3, 0, 1), "all": (6, 0, 2)})
        self.assertIn("inputs 3 x 64 x 64", text)
        self.assertIn("inputs 1 x 16 x 16", self.counts("tiny-imagenet", "--resize", 16, "--gray")[0])

    def test_spoken_words_in_hdf5(self):
        for part, count in {"train": 6, "test": 4}.items():
            file = io.BytesIO()
            with h5py.File(file, "w") as out:
                times = out.create_dataset("spikes/times", (count,), h5py.vlen_dtype(numpy.float16))
                units = out.create_dataset("spikes/units", (count,), h5py.vlen_dtype(numpy.uint16))
                for i in range(count):
                    times[i], units[i] = [0, 0.5, 0.9], [i, 350, 699]
                out["labels"] = numpy.arange(count, dtype=numpy.uint16) % 2
                out["extra/keys"] = numpy.array([b"zero", b"eins"])
            self.zip(f"downloads/shd_{part}.h5.zip", {f"shd_{part}.h5": file.getvalue()})
        self.take("shd", "downloads")
        text, counts = self.counts("shd", "--event-pool", 7)
        self.assertEqual(counts, {"zero": (3, 0, 2), "eins": (3, 0, 2), "all": (6, 0, 4)})
        self.assertIn("sequences, inputs per time step 100 from 0 to 1, 2 classes", text)

    def test_gestures_of_an_event_camera(self):
        def packet(events):
            body = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in events)
            return struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, len(events), len(events), len(events)) + body
        recording = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + packet([(1000 + i, i, 5, i % 2) for i in range(100)])
        labels = "class,startTime_usec,endTime_usec\n1,1000,1050\n2,1050,1100\n"
        files = {"trials_to_train.txt": "user01_led.aedat\n", "trials_to_test.txt": "user02_led.aedat\n"}
        for user in ("user01", "user02"):
            files |= {f"{user}_led.aedat": recording, f"{user}_led_labels.csv": labels}
        self.tar("DvsGesture.tar.gz", {f"DvsGesture/{name}": content if isinstance(content, bytes) else content.encode()
                                       for name, content in files.items()})
        self.take("dvs-gesture", "DvsGesture.tar.gz")
        text, counts = self.counts("dvs-gesture", "--event-pool", 128, "--event-steps", 1, "--event-values", "counts",
                                   "--event-polarity", "merged")
        self.assertEqual(counts["hand_clapping"], (1, 0, 1))
        self.assertIn("from 50 to 50, 11 classes", text)

    def test_pickles_and_entries_outside_the_folder_are_errors(self):
        import pickle
        self.tar("cifar-10-python.tar.gz", {"cifar-10-batches-py/data_batch_1": pickle.dumps({b"data": []}, protocol=2)})
        self.assert_refused(3, ["data_batch_1 is a Python pickle", "cifar-10-binary.tar.gz"], "data", "get", "cifar10", "--from",
                            "cifar-10-python.tar.gz")
        self.zip("evil.zip", {"../../evil.bin": b"x"})
        self.assert_refused(3, ["evil.zip: the archive's entry '../../evil.bin' would lie outside"], "data", "get", "cifar10",
                            "--from", "evil.zip")


if __name__ == "__main__":
    main()
