#!/usr/bin/env python3
"""Run the tests of a preset. At the end, list all skipped tests with their reasons, and count them.

    run.py PRESET [CTEST ARGUMENT ...]      exits with ctest's exit code
"""
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path


def reason(output):
    """Return why a test was skipped, from its output: GoogleTest's message or the line that starts with "skipped:"."""
    said = re.search(r"Skipped\n+(.*(?:\n(?!\[).+)*)", output)
    if said:
        return " ".join(said[1].split())
    lines = [line for line in output.strip().splitlines() if line]
    for line in lines:
        if line.startswith("skipped: "):
            return line[len("skipped: ") :]
    return lines[-1] if lines else "it printed nothing"


def inner_skips(output):
    """Return what a test program that passed has skipped: "skipped NAME: REASON", or pytest's own form."""
    yield from re.findall(r"^skipped (\S+): (.*)$", output, re.MULTILINE)
    yield from re.findall(r"^SKIPPED \[\d+\] (\S+?): (.*)$", output, re.MULTILINE)


def summary(path):
    passed, failed, skipped = 0, 0, []
    for case in ET.parse(path).getroot().iter("testcase"):
        output = case.findtext("system-out") or ""
        status = case.get("status")
        if status == "run":
            passed += 1
            skipped += [(f"{case.get('name')}: {name}", why) for name, why in inner_skips(output)]
        elif status == "fail":
            failed += 1
        else:  # notrun: skipped, or its program is missing
            skipped.append((case.get("name"), reason(output)))
    return passed, failed, skipped


def main():
    preset, arguments = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "tests.xml"
        # A high limit, so that a skipped test at the end of a long output is found.
        done = subprocess.run(["ctest", "--preset", preset, "--output-junit", str(result), "--test-output-size-passed", "65536",
                               *arguments])
        if not result.exists():
            sys.exit(done.returncode or 1)
        passed, failed, skipped = summary(result)
    print("\nSkipped:" if skipped else "\nNothing was skipped.")
    for name, why in skipped:
        print(f"  {name}: {why}")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
