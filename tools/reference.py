#!/usr/bin/env python3
"""Generate the reference pages from the tables of the program.

    reference.py GRAPES           writes docs/keys.md and docs/tables.md
    reference.py --check GRAPES   writes nothing; exits with 1 if a page is not current
"""
import json
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"

KEYS = """# Keys

<!-- Made by tools/reference.py from `grapes list keys`. Edit the tables in src/grapes/experiment, not this page. -->

Every setting of a run is a key. A key is an option on the command line (`--learning-rate 0.05`), a line in a TOML file
(`learning-rate = 0.05`), and part of the record of a run. An option overrides the file, and the file overrides the default. The
defaults here are those of `grapes train`; `grapes continual` and every preset have other defaults, which `--print-config` shows.
"""

TABLES = """# Tables

<!-- Made by tools/reference.py from `grapes list`. Edit the tables in the source, not this page. -->

This page lists the values that some [keys](keys.md) can take. `grapes list NAME` prints the same tables. `grapes list devices` has the
analog devices with all their numbers, `grapes list nir-types` the nodes of NIR, and `grapes list rules` all rules that an arm can have.
"""

GROUPS = {
    "data": "Data", "model": "Model", "analog": "Analog crossbars", "spiking": "Spiking networks", "rule": "Learning rule",
    "optimizer": "Optimizer", "training": "Training", "continual": "Continual learning", "method": "Methods against forgetting",
    "compare": "Comparisons", "compatibility": "Compatibility with the authors' program", "machine": "Machine",
}

LISTS = {
    "models": "model", "activations": "activation", "initializers": "initializer", "routes": "route",
    "modulations": "modulation", "optimizers": "optimizer", "schedules": "schedule", "losses": "loss", "neurons": "neuron",
    "resets": "reset", "surrogates": "surrogate", "encoders": "encoder", "readouts": "readout", "scenarios": "scenario",
    "methods": "method", "presets": "preset", "data": "data",
}


def listed(grapes, name):
    return json.loads(subprocess.run([grapes, "list", name, "--json"], check=True, text=True, stdout=subprocess.PIPE).stdout)


def table(head, rows):
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def code(text):
    return f"`{text}`" if text else ""


def keys(grapes):
    groups = {}
    for row in listed(grapes, "keys"):
        groups.setdefault(row["group"], []).append(row)
    parts = [KEYS]
    for group, rows in groups.items():
        cells = [[code(row["name"]), row["meaning"], code(row["takes"]), code(row["default"])] for row in rows]
        parts.append(f"## {GROUPS.get(group, group.capitalize())}\n\n" + table(["key", "meaning", "values", "default"], cells))
    return "\n".join(parts)


def tables(grapes):
    parts = [TABLES]
    for name, key in LISTS.items():
        cells = [[code(row["name"]), row["what it is"]] for row in listed(grapes, name)]
        parts.append(f"## {'Data sets' if name == 'data' else name.capitalize()}\n\nValues of `{key}`.\n\n" + table(["name", "meaning"], cells))
    return "\n".join(parts)


def main(arguments):
    check = arguments[0] == "--check"
    grapes = arguments[-1]
    stale = 0
    for name, make in (("keys.md", keys), ("tables.md", tables)):
        text = make(grapes)
        if not check:
            (DOCS / name).write_text(text)
        elif (DOCS / name).read_text() != text:
            print(f"docs/{name} is not current; make it again with: tools/reference.py {grapes}")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
