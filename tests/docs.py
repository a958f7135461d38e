#!/usr/bin/env python3
"""Run the examples of a page: all ```console blocks in order, in one empty folder.

    docs.py PAGE BUILD        exits with 1 and the differences if an output differs from the page

A line "$ COMMAND" is run, with lines "> MORE" appended to it. The lines below are its expected output, stdout and stderr
together. "..." matches any text within a line, a line of "..." matches any lines. BUILD is in PATH and BUILD/python in
PYTHONPATH. A comment before a block changes its treatment:

    <!-- not run: WHY -->     the block is not run
    <!-- needs NAME -->       the block is skipped if this data set, file, program or Python module is missing
    <!-- file NAME -->        the block's text is written to this file in the folder
    <!-- first: COMMAND -->   (anywhere) the command is run and must succeed; its output is not compared

A block of C, C++, Python or TOML must be such a file, or a copy of the last file in examples/ or experiments/
that the page links before it. A command in an indented block is an error, because it would not be tested.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import docs_files

ROOT = Path(__file__).resolve().parent.parent
PART = re.compile(r"<!-- first: (?P<first>.*?) -->\n"
                  r"|(?:<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
LINKED = re.compile(r"\((?:\.\./)*((?:examples|experiments)/[^)]*\.(?:cpp|c|py|toml))\)")
UNTESTED = re.compile(r"^ {4,}(?:\$ |grapes |make |cmake |ctest |python3 |build/|scripts/|hardware/report)", re.MULTILINE)


def commands(text):
    """Return pairs of a command and its expected output."""
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
    def __init__(self, path, build, text):
        self.path, self.build = Path(path), Path(build)
        (self.path / "build").symlink_to(self.build)
        for name in ("examples", "experiments", "hardware", "share"):
            (self.path / name).symlink_to(ROOT / name)
        (self.path / "bin").mkdir()
        python3 = self.path / "bin" / "python3"  # a script, because a link would leave a virtual environment
        python3.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python3.chmod(0o755)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GRAPES_")}
        self.environment["PATH"] = f"{self.path / 'bin'}:{self.build}:{os.environ['PATH']}"
        self.environment["PYTHONPATH"] = str(self.build / "python")
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self.environment["NO_COLOR"] = "1"
        if any(name in text for name in docs_files.NAMES):
            try:
                docs_files.make(self.path)
            except ImportError as missing:
                print(f"skipped: the examples' files are made with scikit-learn: {missing}")
                sys.exit(77)
        for case in (ROOT.parent / "shared" / "reference").glob("BPgrapes_SGD_relu.json"):
            shutil.copy(case, self.path)

    def has(self, name):
        if (self.path / name).exists() or shutil.which(name, path=self.environment["PATH"]):
            return True
        if re.search(rf"^{re.escape(name)} ", self.run("grapes data list | grep -v 'not found'")[0], re.MULTILINE):
            return True
        return self.run(f"python3 -c 'import {name}' 2>/dev/null")[1] == 0

    def run(self, command):
        """Return the output of a command and its exit code."""
        done = subprocess.run(["bash", "-c", command], cwd=self.path, env=self.environment, text=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout, done.returncode


def self_test():
    assert commands("$ a\n> b\nc\n...\n$ d\n") == [["a\nb", ["c", "..."]], ["d", []]]
    assert pattern(["a ... b", "...", "end"]).fullmatch("a 1 2 b\nx\ny\nend\n")
    assert pattern(["...", "end"]).fullmatch("end\n")
    assert not pattern(["a"]).fullmatch("b\n")
    assert not pattern([]).fullmatch("an error\n")
    parts = list(PART.finditer("<!-- first: x -->\n<!-- file a.toml -->\n```toml\nb = 1\n```\n\n```console\n$ c\n```\n"))
    assert [(part["first"], part["mark"], part["kind"], part["text"]) for part in parts] == [
        ("x", None, None, None), (None, "file a.toml", "toml", "b = 1\n"), (None, None, "console", "$ c\n")]
    assert UNTESTED.search("say:\n\n    grapes train\n") and not UNTESTED.search("\n    z = W x\n")


def block_fault(folder, page, before, part):
    """Return the error of a block that is not a console block, or nothing."""
    mark = part["mark"] or ""
    if mark.startswith("file "):
        (folder.path / mark[len("file "):]).write_text(part["text"])
    elif part["kind"] not in ("", "text") and not mark.startswith("not run"):
        linked = LINKED.findall(before)
        if not linked:
            return f"a block of {part['kind']} is neither a file of the folder nor one of examples/"
        if (ROOT / linked[-1]).read_text() != part["text"]:
            return f"the page's copy of {linked[-1]} differs from the file"
    return ""


def main(page, build):
    text = Path(page).read_text()
    faults = [f"this command is in an indented block, where it is not tested: {found[0].strip()}"
              for found in re.finditer(UNTESTED.pattern + ".*", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)]
    with tempfile.TemporaryDirectory(prefix="grapes-docs-") as path:
        folder = Folder(path, Path(build).resolve(), text)
        for part in PART.finditer(text):
            mark = part["mark"] or ""
            if part["first"]:
                output, code = folder.run(part["first"])
                if code:
                    faults.append(f"$ {part['first']}\nexit code {code}\n{output}")
            elif part["kind"] != "console":
                fault = block_fault(folder, page, text[:part.start()], part)
                faults += [fault] if fault else []
            elif mark.startswith("needs ") and not folder.has(mark.split()[1]):
                print(f"skipped {mark.split()[1]}: an example needs it, and it is missing: {commands(part['text'])[0][0]}")
            elif not mark.startswith("not run"):
                for command, expected in commands(part["text"]):
                    output, _ = folder.run(command)
                    if not pattern(expected).fullmatch(output):
                        faults.append(f"$ {command}\n--- the page says\n" + "\n".join(expected) + f"\n--- it prints\n{output}")
    print("\n\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    self_test()
    sys.exit(main(sys.argv[1], sys.argv[2]))
