#!/usr/bin/env python3
"""Kill the program at random moments, let calls of the operating system fail, and compare what comes out with an undisturbed run.

    kills.py GRAPES [--thorough] [--kills KIND=N,...] [--faults N] [--only KIND,...] [--seed 1] [--minutes M] [--keep FOLDER]

Kinds: training, compare (with two jobs), continual, data (get --from) and export. A shim, kills_shim.c, counts the calls that change files:
open, write, fsync, rename, link, mkdir, unlink and ftruncate. SIGKILL comes before or after a random one of them, or in the middle of a
write. Between two of these calls nothing on the disk changes, so this reaches the states in which a kill can leave the disk. The same
command is then given again. After some kills in a row it may end, and then weights, metrics and report must be those of an undisturbed
run, byte for byte apart from measured times. After each kill no file under a final name may be cut short. Files that the killed process
did not finish, NAME.HOST-PID-NUMBER.part, may stay; they are counted.

Then single calls fail: no space left, input/output error, read-only file system, interrupted call, short write. The program must
succeed, or end with a clear error and exit code 1 or 3; then the next, undisturbed command must reach the same result.

A number of a call repeats a failure: each line names the kind, the calls and how they were disturbed.
"""
import argparse
import errno
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from kill_workers import files, report_without_times, rows, without_times

SHORT = {"training": 6, "compare": 2, "continual": 2, "data": 4, "export": 4}
THOROUGH = {"training": 200, "compare": 100, "continual": 100, "data": 50, "export": 50}
KILLS = ("before", "half", "after")
FAULTS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EINTR, "short")
SMALL = ["--model", "mlp:8", "--train-limit", "200", "--test-limit", "50", "--quiet", "--batch-size", "20"]
COMMANDS = {
    "training": ["train", *SMALL, "--modulation", "grapes", "--dropout", "0.1", "--optimizer", "adam", "--epochs", "4", "--out", "out"],
    "compare": ["compare", *SMALL, "--arms", "bp,grapes", "--seeds", "2", "--epochs", "2", "--jobs", "2", "--out", "out"],
    "continual": ["continual", *SMALL, "--arms", "bp,grapes", "--seeds", "1", "--tasks", "2", "--jobs", "1", "--out", "out"],
    "data": ["data", "get", "mnist", "--from", "source"],
    "export": ["export", "c", "trained", "--out", "out/net.h"],
}


class Failure(Exception):
    """What differs from the undisturbed run."""


def idx(shape, step):
    """Return a packed IDX file of bytes."""
    size = 1
    for side in shape:
        size *= side
    return gzip.compress(struct.pack(f">I{len(shape)}I", 0x800 + len(shape), *shape) + bytes(i * step % 10 for i in range(size)), mtime=0)


def check_whole(folder):
    """Check that no file under a final name is cut short. Return how many were checked."""
    count = 0
    for path in folder.rglob("*"):
        if not path.is_file() or path.suffix == ".part" or path.name.startswith("counter"):
            continue
        content, whole = path.read_bytes(), True
        try:
            if path.suffix == ".json":
                json.loads(content)
            elif path.suffix == ".safetensors":
                end = 8 + struct.unpack("<Q", content[:8])[0]
                header = json.loads(content[8:end])
                whole = len(content) == end + max(one["data_offsets"][1] for name, one in header.items() if name != "__metadata__")
            elif path.suffix == ".html":
                whole = content.rstrip().endswith(b"</html>")
            elif path.suffix == ".svg":
                whole = content.rstrip().endswith(b"</svg>")
            elif path.suffix == ".h":
                whole = content.rstrip().endswith(b"#endif")
            elif path.suffix == ".gz":
                gzip.decompress(content)
        except (ValueError, KeyError, EOFError, OSError, struct.error):
            whole = False
        if not whole:
            raise Failure(f"{path.relative_to(folder)} is cut short ({len(content)} bytes)")
        count += 1
    return count


def final_files(folder):
    """Return the files of a study that have final names."""
    return {path for path in files(folder) if path.suffix != ".part"}


class Program:
    """One kind of command in folders of its own."""

    def __init__(self, grapes, shim, folder, kind):
        self.grapes, self.shim, self.root, self.kind, self.serial, self.parts = grapes, shim, folder / kind, kind, 0, 0
        self.root.mkdir()
        whole = self.new()
        self.calls = self.run(whole)[1]
        self.expected = self.result(whole)

    def new(self):
        """Return a new folder with what the command reads."""
        self.serial += 1
        folder = self.root / str(self.serial)
        folder.mkdir()
        if self.kind == "data":
            (folder / "source").mkdir()
            for name, shape in {"train-images-idx3": (2000, 28, 28), "train-labels-idx1": (2000,), "t10k-images-idx3": (50, 28, 28),
                                "t10k-labels-idx1": (50,)}.items():
                (folder / "source" / f"{name}-ubyte.gz").write_bytes(idx(shape, 7))
        elif self.kind == "export":
            trained = self.root.parent / "trained"
            if not trained.exists():
                self.plain(self.root, "train", *SMALL, "--epochs", "1", "--out", str(trained))
            shutil.copytree(trained, folder / "trained")
            (folder / "out").mkdir()
            (folder / "out/net.h").write_text("the file of an earlier export\n#endif\n")
        return folder

    def environment(self, folder, **more):
        kept = {name: value for name, value in os.environ.items() if name not in ("GRAPES_DATA", "LD_PRELOAD")}
        return {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **more}

    def plain(self, folder, *command):
        subprocess.run([self.grapes, *command], cwd=folder, env=self.environment(folder), check=True, capture_output=True)

    def run(self, folder, call=0, how=""):
        """Run the command; disturb one call. Return the process and the number of calls."""
        counter = self.root / "counter"
        counter.write_bytes(bytes(4096))
        variables = {"LD_PRELOAD": str(self.shim), "KILLS_COUNTER": str(counter), "KILLS_AT": str(call), "KILLS_HOW": str(how)}
        done = subprocess.run([self.grapes, *COMMANDS[self.kind]], cwd=folder, env=self.environment(folder, **variables),
                              capture_output=True, text=True, start_new_session=True, timeout=600)
        if not call and done.returncode:
            raise Failure(f"an undisturbed command ended with {done.returncode}: {done.stderr.strip()}")
        return done, struct.unpack("<Q", counter.read_bytes()[:8])[0]

    def result(self, folder):
        """Return what must be equal, by name."""
        check_whole(folder)
        if self.kind in ("data", "export"):
            place = folder / ("cache" if self.kind == "data" else "out")
            return {str(path): (place / path).read_bytes() for path in final_files(place) if (place / path).is_file()}
        out = folder / "out"
        found = {"files": b"\n".join(sorted(str(path).encode() for path in final_files(out)))}
        for metrics in out.rglob("metrics.jsonl"):
            run = metrics.parent
            found[f"rows of {run.relative_to(out)}"] = rows(run)
            state = json.loads((run / "status.json").read_text())
            found[f"status of {run.relative_to(out)}"] = state
        found.update({str(path.relative_to(out)): without_times(path) for path in out.rglob("*.safetensors")})
        found.update({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.npy")})
        found["report"] = report_without_times(self.grapes, out)
        return found

    def compare(self, folder):
        found = self.result(folder)
        different = sorted(name for name in found.keys() | self.expected.keys() if found.get(name) != self.expected.get(name))
        if "files" in different:
            raise Failure(f"other files: {sorted(set(found['files'].split()) ^ set(self.expected['files'].split()))}")
        if different:
            raise Failure(f"other content: {', '.join(different)}")

    def check_kept(self, folder):
        """Check that what was there before is still there, whole, if there is nothing new."""
        if self.kind == "export" and not (folder / "out/net.h").exists():
            raise Failure("the file of the earlier export is gone")

    def kill_until_it_ends(self, rng, kills):
        """Kill one command up to this many times, and let it end. Return the number of kills and the steps."""
        folder, steps, killed = self.new(), [], 0
        try:
            while killed < kills:
                steps.append((rng.randint(1, self.calls), rng.choice(KILLS)))
                done, _ = self.run(folder, *steps[-1])
                if done.returncode == 0:
                    break
                if done.returncode != -9:
                    raise Failure(f"exit code {done.returncode}: {done.stderr.strip()}")
                killed += 1
                check_whole(folder)
                self.check_kept(folder)
            self.run(folder)
            self.compare(folder)
        except (Failure, AssertionError, subprocess.CalledProcessError) as failure:
            return killed, steps, failure
        self.parts += sum(1 for _ in folder.rglob("*.part"))
        shutil.rmtree(folder)
        return killed, steps, None

    def fail_once(self, call, how):
        """Let one call fail, then run undisturbed. Return what went wrong, or None, and whether the program ended with an error."""
        folder = self.new()
        try:
            done, _ = self.run(folder, call, how)
            check_whole(folder)
            self.check_kept(folder)
            if done.returncode not in (0, 1, 3):
                raise Failure(f"exit code {done.returncode}: {done.stderr.strip()}")
            if done.returncode and not re.search(r"^(grapes: |\S+, seed \d+: failed)", done.stderr, re.MULTILINE):
                raise Failure(f"exit code {done.returncode} without a clear error: {done.stderr.strip()!r}")
            if "terminate called" in done.stderr:
                raise Failure(f"not a clear error: {done.stderr.strip()!r}")
            self.run(folder)
            self.compare(folder)
        except (Failure, AssertionError, subprocess.CalledProcessError) as failure:
            return failure, False
        shutil.rmtree(folder)
        return None, done.returncode != 0


def numbers(text):
    return {name: int(number) for name, number in (one.split("=") for one in text.split(","))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grapes")
    parser.add_argument("--thorough", action="store_true", help="200, 100, 100, 50 and 50 kills, and every call fails once")
    parser.add_argument("--kills", type=numbers, default={}, metavar="KIND=N,...")
    parser.add_argument("--faults", type=int, help="calls of each kind that fail [1; thorough: all]")
    parser.add_argument("--only", default=",".join(SHORT), metavar="KIND,...")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="begin nothing new after this time")
    parser.add_argument("--keep", help="keep the folders of failures here")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    wanted = {**(THOROUGH if options.thorough else SHORT), **options.kills}
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.keep or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        shim = folder / "shim.so"
        source = pathlib.Path(__file__).with_name("kills_shim.c")
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
        for kind in options.only.split(","):
            rng = random.Random(f"{options.seed} {kind}")
            program = Program(str(pathlib.Path(options.grapes).resolve()), shim, folder, kind)
            killed, rounds, bad = 0, 0, 0
            while killed < wanted[kind] and time.monotonic() < end:
                now, steps, failure = program.kill_until_it_ends(rng, min(rng.randint(1, 6), wanted[kind] - killed))
                killed, rounds, bad = killed + now, rounds + 1, bad + bool(failure)
                if failure:
                    print(f"FAILED {kind} --seed {options.seed}, folder {program.serial}, calls {steps}: {failure}", flush=True)
            print(f"{kind}: {killed} kills in {rounds} commands of {program.calls} calls, {program.parts} unfinished files left, {bad} failures",
                  flush=True)
            count = options.faults if options.faults is not None else program.calls if options.thorough else 1
            calls = rng.sample(range(1, program.calls + 1), min(count, program.calls))
            failed, errors, wrong = 0, 0, 0
            for call in sorted(calls):
                if time.monotonic() > end:
                    break
                how = rng.choice(FAULTS)
                failure, error = program.fail_once(call, how)
                failed, errors, wrong = failed + 1, errors + error, wrong + bool(failure)
                if failure:
                    name = errno.errorcode.get(how, how)
                    print(f"FAILED {kind} --seed {options.seed}, folder {program.serial}, call {call} {name}: {failure}", flush=True)
            print(f"{kind}: {failed} failing calls, {errors} clear errors, {wrong} failures", flush=True)
            failures += bad + wrong
    print("all equal the undisturbed commands" if not failures else f"{failures} failures")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
