"""What the tests of the installed library share: its build folder, and commands that must succeed."""
import os
import subprocess
from pathlib import Path

BUILD = Path(os.environ["GRAPES_BUILD"])
CMAKE = os.environ["CMAKE"]
# Without the variables by which a build that is not installed would be found.
ENVIRONMENT = {key: value for key, value in os.environ.items()
               if key not in ("LD_LIBRARY_PATH", "PYTHONPATH", "GRAPES_LIBRARY", "GRAPES")}


def run(*command, cwd=None, **environment):
    """Return what a command prints. An exit code other than 0 fails the test."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**ENVIRONMENT, **{key: str(value) for key, value in environment.items()}})
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout
