#!/usr/bin/env python3
"""Convert a text file to a C++ string: embed_text.py IN NAMESPACE::NAME OUT.cpp"""

import pathlib
import sys


def main() -> None:
    source, name, out = sys.argv[1:]
    namespace, _, variable = name.rpartition("::")
    text = pathlib.Path(source).read_text(encoding="utf-8")
    if ')text"' in text:
        sys.exit(f'{source} holds )text", which ends the string')
    # In pieces, because a compiler may reject a literal of more than 65,536 characters.
    lines = text.splitlines(keepends=True)
    pieces = ["".join(lines[i : i + 100]) for i in range(0, len(lines), 100)]
    literal = "\n".join(f'R"text({piece})text"' for piece in pieces)
    pathlib.Path(out).write_text(
        f"// Made by tools/embed_text.py at build time.\n"
        f"namespace {namespace} {{\n"
        f"extern const char* const {variable};\n"
        f"const char* const {variable} =\n{literal};\n"
        f"}}\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
