#!/usr/bin/env python3
"""Measure a study of many runs in which almost nothing is computed.

    study_scale.py GRAPES FOLDER [--runs 10000] [--workers 2]

Prints the time of the study, of `grapes status` and of `grapes report`, and the numbers of files. FOLDER must not exist; it is on the
file system to be measured, and is left there.
"""
import argparse
import collections
import json
import os
import pathlib
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

    def timed(*arguments):
        start = time.monotonic()
        output = subprocess.run([options.grapes, "--quiet", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
        return time.monotonic() - start, output

    start = time.monotonic()
    workers = [subprocess.Popen([*command, "--shard", "auto"] if options.workers else command, stdout=subprocess.DEVNULL)
               for _ in range(max(options.workers, 1))]
    while not (study / "compare.json").exists():
        time.sleep(0.01)
    middle = []
    while all(one.poll() is None for one in workers):
        seconds, output = timed("status", study, "--json")
        status = json.loads(output)
        if status["finished"] == options.runs:
            break
        middle.append((time.monotonic() - start, status["finished"], seconds))
        time.sleep(5)
    done = time.monotonic() - start
    for one in workers:
        assert one.wait() == 0
    say("runs per second", f"{options.runs / done:.1f}")
    say("until the last process has written the report", f"{time.monotonic() - start:.1f} s")
    if middle:
        say("status while it ran, at most", f"{max(seconds for _, _, seconds in middle):.2f} s")
    say("status at the end", f"{min(timed('status', study)[0] for _ in range(3)):.2f} s")
    say("report", f"{timed('report', study)[0]:.1f} s")
    say("the same command again", f"{timed('run', folder / 'study.toml', '--out', study)[0]:.1f} s")
    sizes = collections.Counter()
    for path, folders, files in os.walk(study):
        sizes[path] = len(folders) + len(files)
    (path, most), = sizes.most_common(1)
    say("files and folders", sum(sizes.values()))
    say("most entries in one folder", f"{most} in {pathlib.Path(path).relative_to(folder)}")


if __name__ == "__main__":
    sys.exit(main())
