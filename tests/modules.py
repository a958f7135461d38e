#!/usr/bin/env python3
"""Check the dependencies between the modules of src/grapes: compare all includes and all links in CMake with one table.

    modules.py FOLDER       exits with 1 and a line per error if there are errors
    modules.py --self-test  checks that a wrong include is found
"""
import re
import sys
from pathlib import Path

# Each module lists the modules that it uses directly. It may also use everything that these use.
MODULES = {
    "base": [],
    "fixed": ["base"],
    "nir": ["base"],
    "onnx": ["base"],
    "image": ["base"],
    "kernels": ["base"],
    "analog": ["kernels"],
    "core": ["kernels"],
    "credit": ["core"],
    "nn": ["credit", "analog"],
    "optim": ["kernels"],
    "data": ["image"],
    "record": ["base"],
    "plot": ["record"],
    "report": ["plot"],
    "dist": ["base"],
    "train": ["nn", "optim", "data", "dist", "record"],
    "continual": ["train"],
    "experiment": ["continual", "report"],
    "parity": ["train"],  # the recorded cases of the authors' program
    "bench": ["train", "plot"],  # the steps that `grapes bench` times, and a picture of their times
    "cost": ["experiment"],
    "embedded": ["experiment", "fixed"],
    "exchange": ["experiment", "nir", "onnx"],
    "cli": ["cost", "embedded", "exchange", "parity", "bench"],
    "testing": ["nn"],  # only tests use it
}
WITHOUT_TORCH = ["base", "fixed", "nir", "onnx", "image", "record", "plot", "report"]
PROGRAM = ["base", "cli"]  # what src/grapes/main.cpp may include
PUBLIC_MODULES = ["core", "credit", "nn"]  # grapes.h may include headers of these modules only

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
PUBLIC = re.compile(r"^set\(public_headers\s([^)]*)\)", re.MULTILINE)
LINK = re.compile(r"^grapes_module\((\w+)([^)]*)\)", re.MULTILINE)


def reach(module):
    """Return the module and all modules that it may use."""
    return {module}.union(*(reach(other) for other in MODULES[module]))


def include_faults(module, name, text):
    """Return the errors in the includes of one file of a module."""
    allowed = reach(module)
    if name.endswith("_test.cpp"):
        allowed |= reach("testing")
    for include in INCLUDE.findall(text):
        parts = include.split("/")
        if parts[0] == "grapes" and (len(parts) != 3 or parts[1] not in allowed):
            yield f"{module}/{name} includes {include}; {module} may use {', '.join(sorted(allowed))}"
        if module in WITHOUT_TORCH and parts[0] in ("torch", "ATen", "c10"):
            yield f"{module}/{name} includes {include}; {module} must not use LibTorch"


def link_faults(cmake):
    """Return the errors in the LINK lists of src/grapes/CMakeLists.txt."""
    for module, rest in LINK.findall(cmake):
        if module not in MODULES:
            yield f"CMakeLists.txt has the module {module}, which the table lacks"
            continue
        lists = rest.split("TEST_LINK")[0]
        for other in re.findall(r"grapes_(\w+)", lists):
            if other not in reach(module):
                yield f"CMakeLists.txt links {module} with {other}; {module} may use {', '.join(sorted(reach(module)))}"
        if module in WITHOUT_TORCH and re.search(r"\bTORCH\b", lists):
            yield f"CMakeLists.txt gives LibTorch to {module}, which must not use it"


def public_faults(listed, reached):
    """Return the differences between the installed headers and those that grapes.h includes."""
    yield from (f"CMakeLists.txt installs {name}, which grapes.h does not reach" for name in sorted(listed - reached))
    yield from (f"grapes.h reaches {name}, which CMakeLists.txt does not install" for name in sorted(reached - listed))
    yield from (f"grapes.h reaches {name}; public headers are those of {', '.join(PUBLIC_MODULES)}" for name in sorted(reached)
                if "/" in name and name.split("/")[0] not in PUBLIC_MODULES)


def reached_from(folder, name):
    """Return a header and all headers that it includes, directly or indirectly."""
    seen, todo = set(), [name]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [include[len("grapes/"):] for include in INCLUDE.findall((folder / name).read_text()) if include.startswith("grapes/")]
    return seen


def tree_faults(folder):
    cmake = (folder / "CMakeLists.txt").read_text()
    faults = list(link_faults(cmake))
    faults += public_faults(set(PUBLIC.search(cmake)[1].split()), reached_from(folder, "grapes.h"))
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        parts = path.relative_to(folder).parts
        if parts == ("grapes.h",):
            continue
        if parts == ("main.cpp",):
            modules = {include.split("/")[1] for include in INCLUDE.findall(path.read_text()) if include.startswith("grapes/")}
            faults += [f"main.cpp includes the module {module}" for module in sorted(modules - set(PROGRAM))]
        elif len(parts) != 2 or parts[0] not in MODULES:
            faults.append(f"{path.relative_to(folder)} is in no module of the table")
        else:
            faults += include_faults(parts[0], parts[1], path.read_text())
    return faults


def self_test():
    def count(module, name, include):
        return len(list(include_faults(module, name, f"// grapes/cli/x.h is not included\n#include {include}\n")))

    assert count("credit", "route.cpp", '"grapes/core/modulate.h"') == 0
    assert count("credit", "route.cpp", '"grapes/base/error.h"') == 0, "base lies to the right of everything"
    assert count("core", "modulate.cpp", '"grapes/credit/route.h"') == 1, "against the direction"
    assert count("optim", "adam.h", '"grapes/nn/network.h"') == 1, "optim is a leaf"
    assert count("nn", "mlp.cpp", '"grapes/testing/laws.h"') == 1, "only tests lean on testing"
    assert count("nn", "mlp_test.cpp", '"grapes/testing/laws.h"') == 0
    assert count("nn", "mlp.cpp", '"grapes/attic/x.h"') == 1, "an unknown module"
    assert count("report", "report.cpp", "<ATen/ATen.h>") == 1, "no LibTorch in report"
    assert count("record", "record_test.cpp", "<torch/torch.h>") == 1
    assert count("train", "trainer.cpp", "<torch/torch.h>") == 0
    assert len(list(link_faults("grapes_module(core TORCH LINK grapes_kernels)\n"))) == 0
    assert len(list(link_faults("grapes_module(core TORCH LINK grapes_nn TEST_LINK grapes_testing)\n"))) == 1
    assert len(list(link_faults("grapes_module(report TORCH LINK grapes_record)\n"))) == 1
    assert list(public_faults({"a.h", "b.h"}, {"a.h"})) == ["CMakeLists.txt installs b.h, which grapes.h does not reach"]
    assert len(list(public_faults({"a.h"}, {"a.h", "c.h"}))) == 1
    assert len(list(public_faults({"a.h", "nn/snu.h"}, {"a.h", "nn/snu.h"}))) == 0
    assert len(list(public_faults({"a.h", "kernels/dense.h"}, {"a.h", "kernels/dense.h"}))) == 1
    assert len(list(link_faults("grapes_module(attic LINK grapes_base)\n"))) == 1


if __name__ == "__main__":
    self_test()
    if sys.argv[1:] != ["--self-test"]:
        found = tree_faults(Path(sys.argv[1]))
        print("\n".join(found) if found else "every include follows the direction between the modules")
        sys.exit(1 if found else 0)
