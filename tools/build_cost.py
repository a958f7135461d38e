#!/usr/bin/env python3
"""List the cost of compiling: the most expensive units, and their most expensive headers.

    build_cost.py BUILD              each unit's user + system seconds and memory, by target; sums of program and tests
    build_cost.py BUILD --headers    each header that a source includes: seconds to parse it alone, and number of units

It repeats the commands of BUILD/compile_commands.json, one at a time, without a compiler cache. BUILD does not change.
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

LAUNCHERS = ("ccache", "sccache")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])', re.MULTILINE)


def units(build):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        command = shlex.split(entry["command"])
        while Path(command[0]).name in LAUNCHERS:
            command.pop(0)
        output = command[command.index("-o") + 1]
        target = re.search(r"CMakeFiles/([^/]+)\.dir/", output)[1]
        yield target, entry["file"], command, entry["directory"]


def cost(command, folder):
    """Return user + system seconds and the maximum memory of one run, in MB."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"failed: {shlex.join(command)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def without_output(command, *instead):
    at = command.index("-o")
    return [*command[:at], *instead, *command[at + 2 :]]


def sources_of(unit):
    """Return the files of a unity build's unit, or the file itself."""
    text = Path(unit).read_text()
    if "Unity" not in Path(unit).parts:
        return [unit]
    return [path[1:-1] for path in INCLUDE.findall(text)]


def is_test(target):
    return target.endswith("_test") or not target.startswith("grapes") or target in ("grapes_python_parity", "grapes_testing")


def list_units(build):
    rows, sums = [], defaultdict(float)
    for target, file, command, folder in units(build):
        seconds, memory = cost(without_output(command, "-o", "/dev/null"), folder)
        sums["tests" if is_test(target) else "program"] += seconds
        rows.append((seconds, memory, target, len(sources_of(file)), Path(file).name))
        print(f"{seconds:7.1f} s {memory:6.0f} MB  {target:24} {Path(file).name}", flush=True)
    print("\nmost expensive first:")
    for seconds, memory, target, files, name in sorted(rows, reverse=True)[:20]:
        print(f"{seconds:7.1f} s {memory:6.0f} MB  {target:24} {files:3} files  {name}")
    for name, seconds in sums.items():
        print(f"{name}: {seconds / 60:.1f} CPU-minutes")


def list_headers(build):
    used, command_of = Counter(), {}
    for target, file, command, folder in units(build):
        headers = set()
        for source in sources_of(file):
            headers |= set(INCLUDE.findall(Path(source).read_text()))
        for header in headers:
            used[header] += 1
            command_of.setdefault(header, (file, command, folder))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for header, count in used.items():
            file, command, folder = command_of[header]
            probe = Path(scratch) / "probe.cpp"
            probe.write_text(f"#include {header}\n")
            parse = [str(probe) if word == file else word for word in without_output(command, "-fsyntax-only")]
            try:
                rows.append((cost(parse, folder)[0], count, header))
            except SystemExit:  # a part of a file, such as kernels/loops_body.h, which is never parsed alone
                continue
    print(" seconds  units  header")
    for seconds, count, header in sorted(rows, reverse=True)[:40]:
        print(f"{seconds:8.2f} {count:6}  {header}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--headers", action="store_true")
    chosen = parser.parse_args()
    (list_headers if chosen.headers else list_units)(chosen.build)
