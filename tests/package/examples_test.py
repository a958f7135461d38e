#!/usr/bin/env python3
"""The projects of examples/cpp, built with the installed library: by Debian's LibTorch and by that of PyTorch from PyPI.

GRAPES_BUILD is the build folder, CMAKE the program.
"""
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from installed import BUILD, CMAKE, run

SOURCE = Path(__file__).resolve().parents[2]


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="grapes-examples-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = cls.folder / "installed"
        run(CMAKE, "--install", BUILD, "--prefix", cls.prefix, "--component", "library")
        cls.libraries = next(cls.prefix.glob("lib/**/libgrapes.so")).parent
        cls.projects = cls.folder / "cpp"
        shutil.copytree(SOURCE / "examples/cpp", cls.projects)

    def test_find_package(self):
        place = self.projects / "find_package"
        run(CMAKE, "-B", "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}", cwd=place)
        run(CMAKE, "--build", "build", cwd=place)
        self.assertEqual(run(place / "build/factors"), "10 factors, the largest is 2\n")

    def test_pkg_config(self):
        place = self.projects / "pkg_config"
        run("make", f"PKG_CONFIG_PATH={self.libraries / 'pkgconfig'}", cwd=place)
        self.assertEqual(run(place / "factors"), "10 factors, the largest is 2\n")

    def test_fetch_content_builds_the_library_alone(self):
        """Configures the project and compiles its own file; building the library again would take minutes."""
        place = self.projects / "fetch_content"
        torch = re.search(r"(?m)^Torch_DIR:\w+=(.*)", (BUILD / "CMakeCache.txt").read_text())[1]
        run(CMAKE, "-B", "build", "-G", "Ninja", f"-DFETCHCONTENT_SOURCE_DIR_GRAPES={SOURCE}", f"-DTorch_DIR={torch}",
            f"-DPython3_EXECUTABLE={sys.executable}", "--log-level=ERROR", cwd=place)
        steps = run("ninja", "-t", "commands", "all", cwd=place / "build")
        self.assertIn("libgrapes.so", steps)
        for other in ("grapes_cli", "_test", "grapes_pages"):
            self.assertNotIn(other, steps)
        own = re.search(r"(?m)^(\S+/factors\.cpp\.o):", run("ninja", "-t", "targets", "all", cwd=place / "build"))[1]
        run(CMAKE, "--build", "build", "--target", own, cwd=place)

    def test_the_library_exports_no_function_below_the_public_ones(self):
        names = run("nm", "--dynamic", "--demangle", "--defined-only", self.libraries / "libgrapes.so")
        self.assertIn(" grapes::backward(", names)
        self.assertNotRegex(names, r"(?m) [TDBRVW] grapes::(kernels|analog|optim)::")


if __name__ == "__main__":
    unittest.main(verbosity=2)
