#!/usr/bin/env python3
"""Convert the handwritten digits of Debian's python3-sklearn to a C++ array: embed_digits.py DIGITS.csv.gz OUT.cpp

Each of the 1,797 rows has 8 x 8 gray values 0 ... 16 and the digit. The array stores them as 65 bytes per row.
"""

import gzip
import pathlib
import sys

ROWS, COLUMNS = 1797, 65


def main() -> None:
    source, out = sys.argv[1:]
    with gzip.open(source, "rt", encoding="ascii") as file:
        table = [[int(float(cell)) for cell in line.split(",")] for line in file if line.strip()]
    if len(table) != ROWS or any(len(row) != COLUMNS for row in table):
        sys.exit(f"{source}: expected {ROWS} rows of {COLUMNS} numbers")
    if any(not 0 <= value <= 16 for row in table for value in row[:-1]) or any(row[-1] not in range(10) for row in table):
        sys.exit(f"{source}: a gray value outside 0 ... 16, or a label outside 0 ... 9")
    lines = ",\n".join(",".join(map(str, row)) for row in table)
    pathlib.Path(out).write_text(
        f"// Made by tools/embed_digits.py at build time.\n"
        f'#include "grapes/data/digits.h"\n\n'
        f"namespace grapes::data {{\n"
        f"extern const unsigned char digits_table[digits_rows * digits_columns] = {{\n{lines}}};\n"
        f"}}\n",
        encoding="ascii",
    )


if __name__ == "__main__":
    main()
