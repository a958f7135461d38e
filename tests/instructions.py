#!/usr/bin/env python3
"""Count the instructions of a few kernels with Valgrind, and compare them with the numbers below.

    instructions.py PROGRAM          PROGRAM is built from instructions.cpp; exits with 1 if a kernel takes more
    instructions.py PROGRAM --print  prints what they take here

Time varies with everything else that runs on a machine; the number of instructions does not. It depends on the
compiler: the numbers are those of GCC 12, and a tenth more is allowed. Exits with 77 if Valgrind is missing.
"""
import re
import shutil
import subprocess
import sys

ALLOWED = 1.10
# Instructions per call, for 256 units and 200 inputs.
KERNELS = {
    "product": 945_390,
    "dots": 252_592,
    "abs_sums": 51_764,
    "momentum": 155_981,
    "momentum by a product": 353_690,
    "dropout_mask": 3_214,
    "sum_named": 5_086,
}


def instructions(program, kernel, calls):
    """Return the number of instructions of the whole program with so many calls."""
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, kernel, str(calls)],
                          capture_output=True, text=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not counted:
        sys.exit(f"instructions: {kernel}: valgrind failed:\n{done.stderr}")
    return int(counted.group(1))


def main():
    program = sys.argv[1]
    if not shutil.which("valgrind"):
        print("instructions: valgrind is not installed; scripts/bootstrap installs it")
        return 77
    if subprocess.run([program, "product", "0"]).returncode == 77:
        print("instructions: the processor has no AVX2")
        return 77
    failed = False
    for kernel, most in KERNELS.items():
        per_call = (instructions(program, kernel, 12) - instructions(program, kernel, 2)) // 10
        if "--print" in sys.argv:
            print(f'    "{kernel}": {per_call},')
        elif per_call > most * ALLOWED:
            print(f"instructions: {kernel} takes {per_call} instructions per call; expected {most}, at most "
                  f"{ALLOWED - 1:.0%} more. If the change is intended, write the new number into {__file__}")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
