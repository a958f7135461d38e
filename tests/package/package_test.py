#!/usr/bin/env python3
"""The results of `cmake --install` and CPack, used by a program outside the source tree.

GRAPES_BUILD is the build folder, CMAKE and CPACK the programs.
"""
import os
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from installed import BUILD, CMAKE, run

HERE = Path(__file__).parent
CPACK = os.environ["CPACK"]


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="grapes-package-"))
        run(CMAKE, "--install", BUILD, "--prefix", cls.folder / "first")
        # Moved as a whole: no file may contain the original path.
        cls.prefix = cls.folder / "moved"
        (cls.folder / "first").rename(cls.prefix)
        cls.libraries = next(cls.prefix.glob("lib/**/libgrapes.so")).parent

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def test_the_program_runs(self):
        self.assertRegex(run(self.prefix / "bin/grapes", "--version"), r"^grapes \d+\.\d+")

    def test_a_project_finds_it_by_cmake(self):
        place = self.folder / "outside"
        run(CMAKE, "-S", HERE / "outside", "-B", place, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run(CMAKE, "--build", place)
        self.assertEqual(run(place / "outside"), "correct: 64 of 64\nfactor: 4\nunknown route 'bpp' (did you mean 'bp'?); available: bp, fa, "
                         "dfa, eprop, eprop-symmetric, ifa, kolen-pollack, sign-symmetric, usf, brsf, frsf\nby its schema: 4\n")

    def test_requiring_another_version_is_an_error(self):
        place = self.folder / "newer"
        place.mkdir()
        (place / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.18)\nproject(newer CXX)\n"
                                              "find_package(Grapes 9 REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, r"requested\s+version \"9\""):
            run(CMAKE, "-S", place, "-B", place / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_another_libtorch_is_an_error_with_both_versions(self):
        place = self.folder / "other"
        (place / "torch").mkdir(parents=True)
        (place / "torch/TorchConfig.cmake").write_text("set(TORCH_LIBRARIES)\n")
        (place / "torch/TorchConfigVersion.cmake").write_text("set(PACKAGE_VERSION 7.8.9)\nset(PACKAGE_VERSION_COMPATIBLE TRUE)\n")
        (place / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.18)\nproject(other CXX)\n"
                                              "find_package(Grapes REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, r"(?s)built for LibTorch \d+\.\d+.*LibTorch\s+7\.8\.9"):
            run(CMAKE, "-S", place, "-B", place / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}",
                f"-DTorch_DIR={place / 'torch'}")

    def test_every_public_header_stands_alone(self):
        """Each header can be included first, and none includes a header that is not installed."""
        headers = sorted((self.prefix / "include/grapes").glob("**/*.h"))
        self.assertIn(self.prefix / "include/grapes/grapes.h", headers)
        self.assertNotIn(self.prefix / "include/grapes/core/attach.h", headers, "internal")
        names = {str(header.relative_to(self.prefix / "include")) for header in headers}
        for header in headers:
            for included in re.findall(r'#include "(.*)"', header.read_text()):
                self.assertIn(included, names, header)

    def test_a_man_page_for_every_verb(self):
        pages = {page.name for page in (self.prefix / "share/man/man1").iterdir()}
        verbs = re.findall(r"^  ([a-z]\S*)  ", run(self.prefix / "bin/grapes", "--help").partition("Subcommands:")[2], re.MULTILINE)
        self.assertIn("train", verbs)
        for verb in verbs:
            self.assertIn(f"grapes-{verb}.1", pages)
        text = (self.prefix / "share/man/man1/grapes-train.1").read_text()
        self.assertIn(r"\-\-learning\-rate", text)
        self.assertRegex(text, r"(?m)^\.SH \"?SEE ALSO")

    def test_completions_are_where_the_shells_look(self):
        bash = self.prefix / "share/bash-completion/completions/grapes"
        run("bash", "-n", bash)
        for place in ("zsh/site-functions/_grapes", "fish/vendor_completions.d/grapes.fish"):
            self.assertIn("learning-rate", (self.prefix / "share" / place).read_text())

    def test_python_finds_the_package_and_its_library(self):
        try:
            run(sys.executable, "-c", "import torch")
        except AssertionError:
            self.skipTest("python3 has no torch")
        place = next(self.prefix.glob("lib/python3*/**/torch_grapes")).parent
        self.assertEqual(run(sys.executable, "-c", "import torch, torch_grapes\nprint(torch_grapes.factor(torch.ones(2, 3)))",
                             PYTHONPATH=place, PYTHONDONTWRITEBYTECODE=1), "tensor([2., 2.])\n")

    def test_nothing_of_this_machine_is_left_in_a_text(self):
        source = HERE.resolve().parents[1]
        # LibTorch is found by its path, which may be in this repository: build/venv.
        torch = re.search(r"(?m)^Torch_DIR:\w+=(.*)/share/cmake/Torch$", (BUILD / "CMakeCache.txt").read_text())
        for path in self.prefix.rglob("*"):
            if path.is_file() and not path.is_symlink() and b"\0" not in (content := path.read_bytes()):
                if torch:
                    content = content.replace(torch[1].encode(), b"")
                self.assertNotIn(str(source).encode(), content, path)


class Debian(unittest.TestCase):
    def test_the_package_names_what_it_needs_and_has_all_parts(self):
        for tool in ("dpkg-deb", "dpkg-shlibdeps"):
            if shutil.which(tool) is None:
                self.skipTest(f"no {tool} here")
        if not (BUILD / "CPackConfig.cmake").exists():
            self.skipTest("this build's LibTorch is in no Debian package")
        with tempfile.TemporaryDirectory(prefix="grapes-deb-") as folder:
            run(CPACK, "--config", BUILD / "CPackConfig.cmake", "-B", folder)
            package, = Path(folder).glob("grapes_*.deb")
            fields = run("dpkg-deb", "--field", package)
            self.assertRegex(fields, r"(?m)^Depends: .*libtorch\d")
            self.assertRegex(fields, r"(?m)^Version: \d+\.\d+")
            files = run("dpkg-deb", "--contents", package)
            for name in ("/usr/bin/grapes", "/libgrapes.so", "/usr/include/grapes/grapes.h", "/grapes.pc",
                         "/usr/share/man/man1/grapes-train.1.gz", "/GrapesConfig.cmake", "/torch_grapes/__init__.py",
                         "/usr/share/zsh/vendor-completions/_grapes", "/usr/share/doc/grapes/copyright"):
                self.assertIn(name, files)
            for line in files.splitlines():
                self.assertRegex(line, r"^\S+ root/root ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
