#!/usr/bin/env python3
"""Time the reading of files with Grapes (`grapes bench read`) and with other libraries, on one thread.

    python3 bench/peers/reading.py build/grapes [--rounds 5] [--megabytes 200] [--only csv] [--json]

Tables: a CSV of whole numbers, 784 columns and a class, and one of 12 decimal columns with a column of text, read by pandas (its C parser)
and DuckDB (into numpy arrays). Pictures: 5,000 JPEGs of 320 x 240 pixels, one epoch of shuffled batches of 64, by torchvision and by
Pillow in PyTorch's DataLoader without workers. Grapes opens the folder, which decodes all pictures if they fit into memory, and takes as
many batches. Its time includes the checksum of the files, the categories of text, and the split into training, validation and test
examples. Each reader runs in a process of its own and reads the file once before it is timed, as `grapes bench` does. The script prints the
median rate and the peak of the resident memory.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PANDAS = "import pandas; n = len(pandas.read_csv(FILE))"
DUCKDB = """import duckdb
base = duckdb.connect(); base.execute('SET threads = 1')
n = len(next(iter(base.execute(f"SELECT * FROM read_csv('{FILE}')").fetchnumpy().values())))"""
PILLOW = """import numpy, torch
from pathlib import Path
from PIL import Image
torch.set_num_threads(1)
files = sorted(Path(FILE).rglob('*.jpg'))
class Pictures(torch.utils.data.Dataset):
    def __len__(self): return len(files)
    def __getitem__(self, i):
        return torch.from_numpy(numpy.array(Image.open(files[i]).convert('RGB'))).permute(2, 0, 1).float() / 255
n = 0
for batch in torch.utils.data.DataLoader(Pictures(), batch_size=64, shuffle=True): n += len(batch)"""
# The wheel of torchvision from PyPI is built for CUDA. Without CUDA its operators are not registered, and it does not import. The loader of
# pictures does not need them, so their names are enough.
TORCHVISION = """import torch
names = torch.library.Library('torchvision', 'FRAGMENT')
if not hasattr(torch.ops.torchvision, 'nms'): [names.define(f'{name}(Tensor boxes) -> Tensor') for name in ('nms', 'qnms')]
import torchvision
from torchvision.transforms import v2
torch.set_num_threads(1)
how = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
n = 0
for batch, _ in torch.utils.data.DataLoader(torchvision.datasets.ImageFolder(FILE, how), batch_size=64, shuffle=True): n += len(batch)"""
TIMED = """import json, resource, time
FILE = {file!r}
{code}
begin = time.perf_counter()
{code}
print(json.dumps(dict(seconds=time.perf_counter() - begin, peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, n=n)))"""


def peer(code, file):
    """Run code twice on a file in a new process and time the second run. Return its seconds, peak memory and number of examples."""
    done = subprocess.run([sys.executable, "-c", TIMED.format(file=str(file), code=code)],
                          env={**os.environ, **ONE_THREAD}, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])  # DuckDB draws a progress bar before it


def ours(program, file):
    """Run `grapes bench read` on a file; return its output and the peak of its resident memory."""
    process = subprocess.Popen([program, "bench", "read", str(file), "--seconds", "0.01", "--json"], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, **ONE_THREAD})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit("grapes bench read failed")
    return output, usage.ru_maxrss * 1024


def write_tables(folder, megabytes):
    import numpy

    random = numpy.random.default_rng(1)
    whole, mixed = folder / "pixels.csv", folder / "mixed.csv"
    with whole.open("w") as out:
        out.write("label," + ",".join(f"pixel{i}" for i in range(784)) + "\n")
        while out.tell() < megabytes * 1e6:
            rows = random.integers(0, 256, (1000, 785)) * (random.random((1000, 785)) < 0.3)
            rows[:, 0] = random.integers(0, 10, 1000)
            out.writelines(",".join(map(str, row)) + "\n" for row in rows.tolist())
    with mixed.open("w") as out:
        out.write(",".join(f"x{i}" for i in range(12)) + ",city,target\n")
        while out.tell() < megabytes * 1e6:
            for row, city, target in zip(random.normal(size=(10000, 12)).round(6).tolist(), random.integers(0, 5, 10000), random.integers(0, 2, 10000)):
                out.write(",".join(map(str, row)) + f",{('Oslo', 'Bern', 'Rome', 'Kyiv', 'Lima')[city]},{('no', 'yes')[target]}\n")
    return whole, mixed


def write_pictures(folder, count):
    import numpy
    from PIL import Image

    random = numpy.random.default_rng(1)
    for i in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=numpy.uint8))
        path = folder / "pictures" / "ab"[i % 2] / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((320, 240), Image.BICUBIC).save(path, quality=90)
    return folder / "pictures"


def compare(chosen, name, file, peers, theirs, ours_of, unit):
    """Time the readers of a file in turn and print the median rate of each.

    theirs(seconds, n) and ours_of(timings of `grapes bench read`) are the rates of a peer that took these seconds for n examples, and ours.
    """
    rates, peaks = {}, {}
    for _ in range(chosen.rounds):
        for peer_name, code in peers.items():
            try:
                seen = peer(code, file)
            except RuntimeError as error:
                print(f"  {peer_name} is left out: {error}", file=sys.stderr)
                continue
            rates.setdefault(peer_name, []).append(theirs(seen["seconds"], seen["n"]))
            peaks[peer_name] = seen["peak"]
        output, peaks["grapes"] = ours(chosen.program, file)
        rates.setdefault("grapes", []).append(ours_of([json.loads(line) for line in output.splitlines()]))
    for reader, all_rates in rates.items():
        rate = statistics.median(all_rates)
        if chosen.json:
            print(json.dumps({"file": name, "reader": reader, "unit": unit, "median": rate, "rates": all_rates, "peak_bytes": peaks[reader]}), flush=True)
        else:
            print(f"{name + ', ' + reader:40} {rate:9.1f} {unit}   [{min(all_rates):.1f}, {max(all_rates):.1f}]   peak {peaks[reader] / 1e6:6.0f} MB",
                  flush=True)


def tables(chosen, folder):
    for file in write_tables(folder, chosen.megabytes):
        megabytes = file.stat().st_size / 1e6
        compare(chosen, file.name, file, {"pandas": PANDAS, "DuckDB": DUCKDB}, lambda seconds, n: megabytes / seconds,
                lambda timings: megabytes / timings[0]["step_us"] * 1e6, "MB/s")


def pictures(chosen, folder):
    def epoch(timings):
        opened, batches = timings
        return chosen.pictures / (opened["step_us"] + chosen.pictures / batches["batch"] * batches["step_us"]) * 1e6

    compare(chosen, "JPEGs", write_pictures(folder, chosen.pictures), {"Pillow and DataLoader": PILLOW, "torchvision and DataLoader": TORCHVISION},
            lambda seconds, n: n / seconds, epoch, "pictures/s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the program, build/grapes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=200, help="size of each table")
    parser.add_argument("--pictures", type=int, default=5000, help="number of pictures")
    parser.add_argument("--only", choices=["csv", "pictures"])
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.only != "pictures":
            tables(arguments, Path(scratch))
        if arguments.only != "csv":
            pictures(arguments, Path(scratch))
