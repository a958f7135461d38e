#!/usr/bin/env python3
"""Measure a study of many runs in which almost nothing is computed.

    study_scale.py GRAPES FOLDER [--runs 10000] [--workers 2]

Prints how many runs end per second, the times of `grapes status` and `grapes report`, and the numbers of files. The processor time does
not depend on what else the machine does. FOLDER must not exist. It is on the file system to be measured, and is left there.
"""
import argparse
import collections
import os
import pathlib
import resource
import subprocess
import sys
import time

STUDY = """
arms = ["bp", "grapes"]
seeds = {seeds}
epochs = 1
model = "mlp:1"
train-limit = 10
test-limit = 10
validation-split = 0
jobs = 1
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grapes")
    parser.add_argument("folder")
    parser.add_argument("--runs", type=int, default=10000)
    parser.add_argument("--workers", type=int, default=2, help="0: one process that claims nothing")
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY.format(seeds=options.runs // 2))
    study = folder / "study"
    command = [options.grapes, "--quiet", "run", folder / "study.toml", "--out", study]
    say = lambda what, value: print(f"{what:42} {value}", flush=True)

    def processor_seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def timed(*arguments):
        start, used = time.monotonic(), processor_seconds()
        subprocess.run([options.grapes, "--quiet", *arguments], check=True, stdout=subprocess.DEVNULL)
        return f"{time.monotonic() - start:.2f} s, of which it computed {processor_seconds() - used:.2f} s"

    def ended():
        return sum(claims not in name for arm in (study / "arms").iterdir() for name in os.listdir(arm)) if (study / "arms").exists() else 0

    start, claims = time.monotonic(), ".claims"
    workers = [subprocess.Popen([*command, "--shard", "auto"] if options.workers else command, stdout=subprocess.DEVNULL)
               for _ in range(max(options.workers, 1))]
    reached = []  # times at which a tenth, two tenths, ... of the runs had ended
    while len(reached) < 10:
        assert all(one.poll() in (None, 0) for one in workers)
        if ended() >= options.runs * (len(reached) + 1) // 10:
            reached.append(time.monotonic() - start)
        time.sleep(0.05)
    for one in workers:
        assert one.wait() == 0
    tenth = options.runs / 10
    say("runs per second", f"{options.runs / reached[-1]:.1f}")
    say("runs per second, second and last tenth", f"{tenth / (reached[1] - reached[0]):.1f}, {tenth / (reached[9] - reached[8]):.1f}")
    say("until the last process has written the report", f"{time.monotonic() - start:.1f} s")
    say("processor time of all workers per run", f"{1000 * processor_seconds() / options.runs:.1f} ms")
    say("status", timed("status", study))
    say("report", timed("report", study))
    say("the same command again", timed("run", folder / "study.toml", "--out", study))
    sizes = collections.Counter()
    for path, folders, files in os.walk(study):
        sizes[path] = len(folders) + len(files)
    (path, most), = sizes.most_common(1)
    say("files and folders", sum(sizes.values()))
    say("most entries in one folder", f"{most} in {pathlib.Path(path).relative_to(folder)}")


if __name__ == "__main__":
    sys.exit(main())
