#!/usr/bin/env python3
"""Run pytest with this Python, or report what is missing and exit with 77.

    run_pytest.py ARGUMENT ...
"""
import sys

try:
    import pytest
    import torch  # noqa: F401
except ImportError as missing:
    print(f"skipped: {sys.executable}: {missing}; scripts/bootstrap installs it")
    sys.exit(77)

if __name__ == "__main__":  # a process that a test starts by multiprocessing imports this file again
    sys.exit(pytest.main(["-q", "-rs", "-p", "no:cacheprovider", *sys.argv[1:]]))
