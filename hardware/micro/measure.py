#!/usr/bin/env python3
"""Cost of an exported network on a Cortex-M, and whether it computes the same as on this computer.

    measure.py [--grapes build/grapes] [--net mlp:32 ...] [--bits 8 ...] [--json]

Each network is trained briefly on the embedded digits and exported for inference, for learning by bp and by grapes; then it
is compiled for Cortex-M0+ and M4. Flash (code, tables, the compiler's library) and RAM (the state) are those of the linked
program without start-up code. Stack, instructions and checksum come from a run in qemu. Needs gcc-arm-none-eabi and
qemu-system-arm (scripts/bootstrap --with-hardware). Exits with 77 if one is missing, and with 1 if a checksum differs.

Columns: bytes of flash, RAM and stack (maximum depth, including the call); frames: the sum of all stack frames by
-fstack-usage, without the compiler's library; instructions for inference and for learning, averaged over the examples of
check.h, whose inputs are almost never 0; equal: whether the checksum is that of the C++ model.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GCC, SIZE, QEMU = "arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm"
FLAGS = ["-std=c99", "-Os", "-mthumb", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fstack-usage",
         "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
# qemu has no board with a Cortex-M0+ and enough memory. Code for it, ARMv6-M, also runs on the M3.
CORES = {"m0+": (["-mcpu=cortex-m0plus"], "mps2-an385"), "m4": (["-mcpu=cortex-m4"], "mps2-an386")}
KINDS = {"infer": [], "bp": ["--learn", "--rule", "bp"], "grapes": ["--learn", "--rule", "grapes"]}
SAMPLES = 200
SPIN = 20000  # instructions of device.c's spin


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout or done.stderr  # qemu prints the board's output to stderr


def missing():
    return [program for program in (GCC, SIZE, QEMU) if shutil.which(program) is None]


def linked_size(folder, cpu):
    """Return the bytes of flash and of RAM, and the sum of all stack frames."""
    object_file, image = folder / "calls.o", folder / "calls.elf"
    run(GCC, *cpu, *FLAGS, "-I", folder, "-c", HERE / "calls.c", "-o", object_file)
    run(GCC, *cpu, "-mthumb", "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections,-e,use,-u,use", object_file, "-o",
        image)
    text, data, bss = map(int, run(SIZE, image).splitlines()[1].split()[:3])
    frames = sum(int(line.split("\t")[1]) for line in object_file.with_suffix(".su").read_text().splitlines())
    return {"flash": text + data, "ram": data + bss, "frames": frames}


def ran(folder, cpu, board):
    """Return the output of device.c in qemu."""
    image = folder / "device.elf"
    # Not pedantic, because of assembly and casts of pointers to numbers. The network was compiled with all flags above.
    flags = [flag for flag in FLAGS if flag not in ("-pedantic", "-std=c99")]
    run(GCC, *cpu, *flags, "-std=gnu99", f"-DSAMPLES={SAMPLES}", "-I", folder, "-nostartfiles", "--specs=nano.specs", "-T",
        HERE / "device.ld", "-Wl,--gc-sections", HERE / "device.c", "-o", image)
    said = run(QEMU, "-M", board, "-nographic", "-semihosting-config", "enable=on,target=native", "-icount", "shift=0",
               "-kernel", image, stdin=subprocess.DEVNULL)
    if "checksum" not in said:
        sys.exit(f"the program did not finish in qemu; its output is {said!r}")
    return {name: int(number) for name, number in re.findall(r"^(\S+) (\d+)$", said, re.MULTILINE)}


def measure(grapes, checkpoint, net, bits, kind, core, folder):
    cpu, board = CORES[core]
    result = json.loads(run(grapes, "--quiet", "export", "c", checkpoint, "--out", folder / "net.h", "--weight-bits", bits,
                            "--check", SAMPLES, "--json", *KINDS[kind]))
    row = {"net": net, "bits": bits, "core": core, "kind": kind, **linked_size(folder, cpu)}
    device = ran(folder, cpu, board)
    if not 0.99 < device["spin"] / SPIN < 1.02:
        sys.exit(f"qemu's clock counts {device['spin']} for {SPIN} instructions")
    row["same"] = device["checksum"] == int(result["checksum"], 16)
    row["infer"], row["learn"] = device["infer"], device.get("learn")
    row["stack"] = max(device["infer-stack"], device.get("learn-stack", 0))
    return row


def table(rows):
    head = ["net", "bits", "core", "kind", "flash", "RAM", "stack", "frames", "infer", "learn", "equal"]
    lines = [head] + [[row["net"], row["bits"], row["core"], row["kind"], row["flash"], row["ram"], row["stack"],
                       row["frames"], row["infer"], row["learn"] or "", "yes" if row["same"] else "NO"] for row in rows]
    widths = [max(len(str(line[k])) for line in lines) for k in range(len(head))]
    left = (0, 2, 3, 10)
    for line in lines:
        print("  ".join(str(cell).ljust(width) if k in left else str(cell).rjust(width)
                        for k, (cell, width) in enumerate(zip(line, widths))).rstrip())


def ratios(rows):
    """Compare learning with and without GRAPES."""
    by = {(row["net"], row["bits"], row["core"], row["kind"]): row for row in rows}
    for (net, bits, core, kind), row in by.items():
        bp = by.get((net, bits, core, "bp"))
        if kind == "grapes" and bp:
            print(f"{net}, {bits} bits, {core}: grapes / bp: flash {row['flash'] / bp['flash']:.3f}, "
                  f"RAM {row['ram'] / bp['ram']:.3f}, instructions {row['learn'] / bp['learn']:.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--grapes", default=os.environ.get("GRAPES", HERE.parents[1] / "build" / "grapes"))
    parser.add_argument("--net", nargs="+", default=["mlp:16", "mlp:32", "mlp:64,32"])
    parser.add_argument("--bits", nargs="+", type=int, default=[8, 16])
    parser.add_argument("--core", nargs="+", choices=CORES, default=list(CORES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if missing():
        print(f"skipped: {', '.join(missing())} is missing; scripts/bootstrap --with-hardware installs it")
        sys.exit(77)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for net in options.net:
            checkpoint = folder / "trained.safetensors"
            run(options.grapes, "--quiet", "train", "--model", net, "--epochs", "3", "--out", folder / f"run-{net}", "--save",
                checkpoint)
            for bits in options.bits:
                for core in options.core:
                    for kind in KINDS:
                        rows.append(measure(options.grapes, checkpoint, net, bits, kind, core, folder))
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        table(rows)
        print()
        ratios(rows)
    sys.exit(0 if all(row["same"] for row in rows) else 1)


if __name__ == "__main__":
    main()
