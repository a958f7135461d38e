#!/usr/bin/env python3
"""Check all relative links in the Markdown files, and all pages that source files mention.

    links.py ROOT        exits with 1 and one line per error

A link must refer to a file in the repository, and its #part to a heading in it. Every page in docs/ must be linked from
docs/README.md, and every result in docs/results/ also from its index. A path like docs/cost.md in a source file must exist.
"""
import re
import subprocess
import sys
from pathlib import Path

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"(?<![\w/.])docs/[\w./-]*\w\.(?:md|svg)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|<!--.*?-->", re.DOTALL | re.MULTILINE)


def anchors(text):
    """Return the anchors of a page's headings in GitHub's form."""
    found = []
    for heading in re.findall(r"^#{1,6} (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.append(re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-"))
    return found


def link_faults(page, root):
    for target in LINK.findall(CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, part = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        where = page.relative_to(root)
        if not place.exists():
            yield f"{where}: {target} leads to no file"
        elif part and place.suffix == ".md" and part not in anchors(place.read_text()):
            yield f"{where}: {target} leads to no heading"


def linked_from(page):
    return {(page.parent / target.partition("#")[0]).resolve() for target in LINK.findall(page.read_text())}


def main(root):
    root = Path(root).resolve()
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    if not files:  # an archive without git
        files = [str(path.relative_to(root)) for path in root.rglob("*") if "build" not in path.parts[len(root.parts)]]
    files = [root / name for name in files if (root / name).is_file()]
    faults = []
    for page in files:
        if page.suffix == ".md":
            faults += link_faults(page, root)
        elif page.suffix not in (".svg", ".png"):
            try:
                text = page.read_text()
            except UnicodeDecodeError:
                continue
            faults += [f"{page.relative_to(root)}: names {name}, which does not exist"
                       for name in NAMED.findall(text) if page.name != "links.py" and not (root / name).exists()]
    for index in (root / "docs/README.md", root / "docs/results/README.md"):
        missing = {page for page in index.parent.rglob("*.md") if page != index} - linked_from(index)
        faults += [f"{index.relative_to(root)}: has no link to {page.relative_to(root)}" for page in sorted(missing)
                   if "results" not in page.relative_to(index.parent).parts or page.name == "README.md"]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    assert anchors("# A `b`, c: D\n") == ["a-b-c-d"]
    assert LINK.findall("[a](b.md#c) and ![d](e.svg)") == ["b.md#c", "e.svg"]
    sys.exit(main(sys.argv[1]))
