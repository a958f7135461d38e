"""Hooks of MkDocs, see mkdocs.yml: pages that are not in docs/, and links that work in the site as they do in the repository.

README.md is the first page of the site. Another Markdown file outside docs/ becomes a page if a page links to it, and so does any other
file (its text) and any folder (the list of its files), so that the site is complete without the repository.
"""
import json
import os
import posixpath
import re
import subprocess
from pathlib import Path

import headers
import python_reference
from mkdocs.structure.files import File, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]
#: Pages with another name in the site than in the repository.
NAMES = {"README.md": "index.md", "docs/README.md": "pages.md", "CONTRIBUTING.md": "contributing.md"}
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|<!--.*?-->", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
LANGUAGES = {".h": "cpp", ".cpp": "cpp", ".c": "c", ".py": "python", ".toml": "toml", ".sv": "systemverilog", ".json": "json", ".cff": "yaml"}


#: A code span of a table with alternatives, "`a\\|b`": each becomes a span of its own.
ALTERNATIVES = re.compile(r"`[^`\n]*\\\|[^`\n]*`")


def outside_code(pattern, replace, text):
    """Replace a pattern where the text is neither code nor a comment."""
    parts, at = [], 0
    for code in CODE.finditer(text):
        parts += [pattern.sub(replace, text[at:code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, pattern.sub(replace, text[at:])])


def targets(path):
    """Return the paths in the repository to which a Markdown file links."""
    found = []
    outside_code(LINK, lambda link: found.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), link[1]))) or "", text_of(path))
    return found


def as_lists(markdown):
    """Indent the lines of list items by four spaces, and let lists begin after an empty line, which Python's Markdown needs."""
    width, fenced, before, lines = 0, False, "", []
    for line in markdown.splitlines():
        item = re.match(r"(?:- |\d+\. )(?=\S)", line)
        fenced ^= line.startswith("```")
        if not fenced and item:
            if before and not width:
                lines.append("")
            width = len(item[0])
        elif not fenced and width and line.startswith(" " * width):
            line = "    " + line[width:]
        elif line:
            width = 0
        lines.append(line)
        before = line
    return "\n".join(lines) + "\n"


def site_name(path):
    """Return the place in the site of a file or folder of the repository."""
    if path in NAMES:
        return NAMES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}" if path.endswith((".md", ".svg", ".png")) else f"files/{path}.md"


def tracked(folder):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", folder], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    return listed.stdout.splitlines()


def text_of(path):
    """Return a file or folder as Markdown."""
    place = ROOT / path
    if path.endswith(".md"):
        return place.read_text()
    title = f"---\nsearch:\n  exclude: true\nhide: [toc]\n---\n# {path}\n\n"
    if place.is_dir():
        return title + "\n".join(f"- [{name}]({posixpath.relpath(name, posixpath.dirname(path))})" for name in tracked(path)) + "\n"
    if path.endswith(".ipynb"):
        return title + "\n\n".join(map(cell, json.loads(place.read_text())["cells"])) + "\n"
    return f"{title}```{LANGUAGES.get(place.suffix, 'text')}\n{place.read_text()}```\n"


def cell(cell):
    """Return a cell of a notebook with the text that it printed."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return re.sub("^#", "##", source, flags=re.MULTILINE)
    printed = "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))
    return f"```python\n{source}\n```" + (f"\n\n```text\n{printed.rstrip()}\n```" if printed else "")


def on_files(files, config):
    """Add the pages that are not in docs/ under their own names."""
    own = {f"docs/{file.src_uri}": file for file in files if not file.generated_by}
    for path in NAMES.keys() & own.keys():
        files.remove(own[path])
    todo, seen = [*NAMES, *(path for path in own if path.endswith(".md"))], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        if path in NAMES or path not in own:
            if not (ROOT / path).exists():
                continue  # the check of links reports it
            picture = path.endswith((".svg", ".png"))
            content = dict(abs_src_path=str(ROOT / path)) if picture else dict(content=text_of(path))
            listed = InclusionLevel.UNDEFINED if path in NAMES else InclusionLevel.NOT_IN_NAV
            files.append(added := File.generated(config, site_name(path), inclusion=listed, **content))
            added.of_repository = path
        if path.endswith(".md") or (ROOT / path).is_dir():
            todo += targets(path)
    files.append(File.generated(config, "reference/python.md", content=python_reference.page()))
    files.append(File.generated(config, "reference/cpp.md", content=headers.page(ROOT)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Let the links of a page lead to the places of their targets in the site."""
    path = getattr(page.file, "of_repository", f"docs/{page.file.src_uri}")
    here = posixpath.dirname(page.file.src_uri)

    def moved(link):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link[1]))
        return posixpath.relpath(site_name(target), here) if (ROOT / target).exists() else link[1]

    markdown = ALTERNATIVES.sub(lambda span: span[0].replace("\\|", "` \\| `"), markdown)
    return outside_code(LINK, moved, as_lists(markdown))
