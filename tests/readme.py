#!/usr/bin/env python3
"""Run the README's examples: every ```console block, one after the other, in one empty folder.

    readme.py README BUILD        exit 1 and the differences, if an example does something else than it says

A line "$ COMMAND" is run, with lines "> MORE" appended to it; the lines below are what it prints, stdout and stderr
together. "..." stands for any text within a line, a line of "..." for any lines. A comment before a block keeps it from
being run: <!-- not run: WHY -->, or <!-- needs NAME --> where a data set, a file or a Python module is not there.
Further, each ```cpp and ```python block must be the file in examples/ that its section names.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import readme_files

BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*?) -->\n)?```(?P<kind>console|cpp|python)\n(?P<text>.*?)```", re.DOTALL)


def commands(text):
    """Pairs of a command and what it prints."""
    pairs = []
    for line in text.splitlines():
        if line.startswith("$ "):
            pairs.append([line[2:], []])
        elif line.startswith("> ") and not pairs[-1][1]:
            pairs[-1][0] += "\n" + line[2:]
        else:
            pairs[-1][1].append(line)
    return pairs


def pattern(lines):
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(map(re.escape, line.rstrip().split("..."))) + r"[ \t]*\n")
    return re.compile("".join(parts))


class Folder:
    def __init__(self, path, build):
        self.path, self.build = Path(path), Path(build)
        (self.path / "build").symlink_to(self.build)
        (self.path / "examples").symlink_to(Path(__file__).resolve().parent.parent / "examples")
        (self.path / "bin").mkdir()
        (self.path / "bin" / "python3").symlink_to(sys.executable)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GRAPES_")}
        self.environment["PATH"] = f"{self.path / 'bin'}:{self.build}:{os.environ['PATH']}"
        self.environment["NO_COLOR"] = "1"
        try:
            readme_files.make(self.path)
        except ImportError as missing:
            print(f"skipped: the examples' files are made with scikit-learn: {missing}")
            sys.exit(77)
        for case in (Path(__file__).parent.parent.parent / "shared" / "reference").glob("BPgrapes_SGD_relu.json"):
            shutil.copy(case, self.path)

    def has(self, name):
        if (self.path / name).exists():
            return True
        if name in self.run("grapes data list | grep -v 'not found'"):
            return True
        return self.run(f"python3 -c 'import {name}' 2>/dev/null && echo yes") == "yes\n"

    def run(self, command):
        done = subprocess.run(["bash", "-c", command], cwd=self.path, env=self.environment, text=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout


def self_test():
    assert commands("$ a\n> b\nc\n...\n$ d\n") == [["a\nb", ["c", "..."]], ["d", []]]
    assert pattern(["a ... b", "...", "end"]).fullmatch("a 1 2 b\nx\ny\nend\n")
    assert pattern(["...", "end"]).fullmatch("end\n")
    assert not pattern(["a"]).fullmatch("b\n")
    assert not pattern([]).fullmatch("an error\n")


def main(readme, build):
    text = Path(readme).read_text()
    faults = 0
    with tempfile.TemporaryDirectory(prefix="grapes-readme-") as path:
        folder = Folder(path, Path(build).resolve())
        for block in BLOCK.finditer(text):
            mark = block["mark"] or ""
            if block["kind"] != "console":
                named = re.findall(r"\((examples/[^)]*\.(?:cpp|py))\)", text[:block.start()])[-1]
                if (Path(readme).parent / named).read_text() != block["text"]:
                    print(f"the README's copy of {named} differs from the file")
                    faults += 1
                continue
            if mark.startswith("not run"):
                continue
            if mark.startswith("needs ") and not folder.has(mark.split()[1]):
                print(f"skipped {mark.split()[1]}: an example needs it, and it is missing: {commands(block['text'])[0][0]}")
                continue
            for command, expected in commands(block["text"]):
                output = folder.run(command)
                if not pattern(expected).fullmatch(output):
                    print(f"$ {command}\n--- the README says\n" + "\n".join(expected) + f"\n--- it prints\n{output}")
                    faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    self_test()
    sys.exit(main(sys.argv[1], sys.argv[2]))
