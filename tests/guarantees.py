#!/usr/bin/env python3
"""Test that each promise of docs/guarantees.md names a test, and that these tests exist.

    guarantees.py REPOSITORY

A promise is a row of a table whose last column is "held by". That column has names of tests: `Suite.Name` of GoogleTest, `Class.test_name`
or `test_name` of Python, or a test of ctest.
"""
import re
import sys
from pathlib import Path

TEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP)\((\w+),\s*(\w+)", re.MULTILINE)


def known_tests(root):
    """Return the names of all tests."""
    names = set(re.findall(r"add_test\(NAME ([\w.]+) ", (root / "tests" / "CMakeLists.txt").read_text()))
    for path in root.glob("src/grapes/**/*_test.cpp"):
        names.update(f"{suite}.{name}" for suite, name in TEST.findall(path.read_text()))
    for path in [*root.glob("tests/**/*.py"), *root.glob("tools/*_test.py"), *root.glob("python/tests/*.py")]:
        suite = ""
        for class_name, test in re.findall(r"^class (\w+)|^ *def (test_\w+)\(", path.read_text(), re.MULTILINE):
            suite = class_name or suite
            names.update({test, f"{suite}.{test}"} if test else ())
    return names


def main():
    root, faults, promises, held = Path(sys.argv[1]), [], 0, False
    known = known_tests(root)
    for line in (root / "docs" / "guarantees.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells or cells[-1] == "held by":
            held = bool(cells)
        elif held and not set(cells[-1]) <= set("-:"):
            promises += 1
            tests = re.findall(r"`([\w.]+)`", cells[-1])
            faults += [f"no test holds: {cells[0]}"] if not tests else []
            faults += [f"there is no test {test}: {cells[0]}" for test in tests if test not in known]
    print("\n".join(faults) or f"{promises} promises")
    return bool(faults) or promises == 0


if __name__ == "__main__":
    sys.exit(main())
