#!/usr/bin/env python3
"""Generate the man pages and the shell completions from the program's help.

    pages.py HELP2MAN GRAPES VERSION FOLDER      writes FOLDER/man/*.1 and FOLDER/completions/*

Each verb has a page, grapes-VERB.1. A subverb has its own page if its help is longer than its parent's.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMPLETIONS = {"bash": "grapes", "zsh": "_grapes", "fish": "grapes.fish"}


def run(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def verbs_in(help_text):
    """Return the names in the first column below "Subcommands:"."""
    section = re.search(r"^Subcommands:\n((?: .*\n)+)", help_text, re.MULTILINE)
    return re.findall(r"^  (\w\S*)", section[1], re.MULTILINE) if section else []


def pages_below(words, ask):
    """Return the help of the verb `words` and of its subverbs: (words, help)."""
    text = ask(words)
    pages = [(words, text)]
    for verb in verbs_in(text):
        below = pages_below([*words, verb], ask)
        has_options = len(re.findall(r"^  -", below[0][1], re.MULTILINE)) > 1
        if len(words) == 1 or len(below) > 1 or has_options:
            pages += below
    return pages


def separated(help_text):
    """Fix an option that fills its column and is followed by a single space, which help2man takes as part of it."""
    return re.sub(r"^(  -.{29}\S) (?=\S)", r"\1  ", help_text, flags=re.MULTILINE)


def man_page(help2man, words, text, others, version, folder):
    name = "-".join(words)
    meaning = " ".join(text[:text.index("Usage:")].split()).split(": ")[0]
    with tempfile.TemporaryDirectory() as path:
        # help2man runs a program and names the page after it.
        program, include = Path(path) / name, Path(path) / "include"
        program.write_text("#!/bin/sh\ncat <<'END OF HELP'\n" + separated(text) + "END OF HELP\n")
        program.chmod(0o755)
        include.write_text("[SEE ALSO]\n" + ",\n".join(f".BR {other} (1)" for other in others if other != name) + "\n")
        page = run(help2man, "--no-info", "--locale=C.UTF-8", f"--name={meaning}", f"--version-string={version}",
                   f"--source=Grapes {version}", "--manual=Grapes", f"--include={include}", str(program))
    (folder / f"{name}.1").write_text(page)


def main(help2man, grapes, version, folder):
    man, completions = Path(folder) / "man", Path(folder) / "completions"
    for place in (man, completions):
        shutil.rmtree(place, ignore_errors=True)  # remove pages of verbs that no longer exist
        place.mkdir(parents=True)
    for shell, file in COMPLETIONS.items():
        (completions / file).write_text(run(grapes, "completion", shell))
    pages = pages_below(["grapes"], lambda words: run(grapes, *words[1:], "--help"))
    with ThreadPoolExecutor() as pool:
        for words, text in pages:
            family = [other for other, _ in pages if other[:-1] in (words, words[:-1]) or other == words[:-1]]
            pool.submit(man_page, help2man, words, text, ["-".join(other) for other in family], version, man)


def self_test():
    text = "Usage: x\n\nSubcommands:\n  train    one\n           more\n  data     two\n\nExamples:\n  grapes x\n"
    assert verbs_in(text) == ["train", "data"]
    assert verbs_in("Usage: x\n") == []
    helps = {"g": text, "g train": "Usage: t\n", "g data": "Subcommands:\n  a  b\n  b  b\n", "g data a": "  -h\n",
             "g data b": "  -h\n  --out\n"}
    assert [" ".join(words) for words, _ in pages_below(["g"], lambda w: helps[" ".join(w)])] == ["g", "g train", "g data", "g data b"]
    assert separated("  --train-limit WHOLE NUMBER >= 0 use\n") == "  --train-limit WHOLE NUMBER >= 0  use\n"
    assert separated("  --out FOLDER                    the\n") == "  --out FOLDER                    the\n"


if __name__ == "__main__":
    self_test()
    main(*sys.argv[1:])
