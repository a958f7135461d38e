"""Turns comments of the C++ headers and docstrings of the Python package into Markdown. Both are laid out as plain text."""
import re
import textwrap
from itertools import groupby

COMMAND = re.compile(r"\s*@(param|return|throws)\s+")
NAMED = re.compile(r"(\w+(?:, \w+)*) {2,}(\S.*)")  # "gain   factor of the unit with ..."


def to_markdown(text):
    """Return a comment as Markdown. Indented lines become code; "@param x  ..." and lines that explain a name become lists."""
    prose, *commands = COMMAND.split(text)
    parts = ["\n".join(_block(kind, [line for _, line in lines])) for kind, lines in groupby(_kinds(prose.splitlines()), lambda pair: pair[0])]
    items = [_item(command, " ".join(meaning.split())) for command, meaning in zip(commands[::2], commands[1::2])]
    return "\n\n".join([*parts, "\n".join(items)]).strip()


def _kinds(lines):
    """Yield each line with what it is: text, code, a list, a row of a table, or empty."""
    kind = "empty"
    for line in lines:
        if not line.strip():
            kind = "empty" if kind != "code" else kind
        elif line.startswith("|"):
            kind = "table"
        elif line.startswith("- ") or NAMED.fullmatch(line):
            kind = "list"
        elif not line.startswith("  "):
            kind = "text"
        elif kind != "list":
            kind = "code"
        yield kind, line


def _block(kind, lines):
    if kind == "code":
        return ["```text", textwrap.dedent("\n".join(lines)).rstrip(), "```"]
    if kind == "table":
        return [lines[0], re.sub(r"[^|]", "-", lines[0]), *lines[1:]]
    if kind == "list":
        return [NAMED.sub(r"- `\1`: \2", line) if not line.startswith(" ") else "    " + line.strip() for line in lines]
    return lines


def _item(command, meaning):
    if command == "param":
        names, _, meaning = meaning.partition(" ")
        while names.endswith(","):  # several parameters
            more, _, meaning = meaning.partition(" ")
            names += " " + more
        return f"- `{names}`: {meaning}"
    return {"return": "- Returns ", "throws": "- Throws "}[command] + meaning
