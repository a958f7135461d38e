"""Base of the program's tests: runs it in a new folder and reads the files that it writes."""
import contextlib
import glob
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import unittest

GRAPES = os.environ.get("GRAPES", "build/grapes")


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                            "XDG_CACHE_HOME": str(self.folder / "cache"), "TERM": "xterm"}

    def run_program(self, *arguments, before=(), **variables):
        """Run the program, and return returncode, stdout and stderr."""
        return subprocess.run([*before, GRAPES, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              timeout=300, env={**self.environment, **variables})

    def start(self, *arguments, **streams):
        return subprocess.Popen([GRAPES, *map(str, arguments)], cwd=self.folder, env=self.environment, **streams)

    def good(self, *arguments, **variables):
        """Run, expect exit code 0, return stdout."""
        done = self.run_program(*arguments, **variables)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def good_json(self, *arguments):
        return json.loads(self.good(*arguments, "--json"))

    def assert_refused(self, code, said, *arguments, before=()):
        """Check for one clear line on stderr, the documented exit code, an empty stdout, and no written files."""
        files = sorted(self.folder.rglob("*"))
        done = self.run_program(*arguments, before=before)
        message = f"{arguments}: {done.stderr!r}"
        self.assertEqual(done.returncode, code, message)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, message)
        self.assertTrue(done.stderr.startswith("grapes: "), message)
        for words in [said] if isinstance(said, str) else said:
            self.assertIn(words, done.stderr)
        self.assertEqual(sorted(self.folder.rglob("*")), files, "something was written")

    def inside(self, *mount):
        """Return a shell line that runs the program with `disk` mounted; only this process sees the mount."""
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        before = ["unshare", "--map-root-user", "--mount", "sh", "-c",
                  "mount " + " ".join(mount).replace("DISK", str(disk)) + ' && exec "$@"', "sh"]
        try:
            if subprocess.run([*before, "true"], capture_output=True, check=False).returncode == 0:
                return before
        except FileNotFoundError:
            pass
        self.skipTest("no file systems can be mounted here: unshare or mount is not allowed")

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def status(self, run):
        return json.loads((self.folder / run / "status.json").read_text())

    def wait_until(self, condition, what, program=None, seconds=120):
        """Wait until a function returns something true, and return this. Fail if the program ends before, or after some time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = program is not None and program.poll() is not None
            if found := condition():
                return found
            self.assertFalse(ended, f"the program ended before {what}")
            time.sleep(0.02)
        self.fail(f"{what}: not within {seconds} seconds")

    def wait_for_epoch(self, run, epochs, program=None):
        """Wait until the record of a run has more than this many rows. The name of the run is a pattern. Return its folder."""
        def reached():
            for folder in map(self.folder.joinpath, glob.glob(run, root_dir=self.folder)):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # a run of a study is moved when it has ended
                    if (folder / "metrics.jsonl").read_text().count("\n") > epochs:
                        return folder
            return None
        return self.wait_until(reached, f"{run} reached epoch {epochs}", program)

    def rows(self, run):
        """Return the rows of metrics.jsonl."""
        return [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]

    def typed_tensors(self, file):
        """Return name -> (dtype, bytes) of a safetensors file; a dtype is called "F64", "I64", ..."""
        content = (self.folder / file).read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8:8 + size])
        header.pop("__metadata__", None)
        body = content[8 + size:]
        return {name: (tensor["dtype"], body[slice(*tensor["data_offsets"])]) for name, tensor in header.items()}

    def tensors(self, file):
        """Return name -> bytes of a safetensors file."""
        return {name: content for name, (_, content) in self.typed_tensors(file).items()}


def main():
    """Call unittest.main() and print a line "skipped NAME: REASON" for each skipped test, which tests/run.py collects."""
    result = unittest.main(exit=False).result
    for test, reason in result.skipped:
        print(f"skipped {test.id().rpartition('.')[2]}: {reason}")
    sys.exit(not result.wasSuccessful())
