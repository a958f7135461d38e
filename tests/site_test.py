#!/usr/bin/env python3
"""Check the built site: every page is in the navigation, every link leads somewhere, and nothing comes from another host.

    site_test.py REPOSITORY SITE        exits with 1 and one line per error
"""
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
ADDRESS = re.compile(r"(?:[a-z]+:)?//")


class Page(HTMLParser):
    """The links, anchors, loaded files and navigation of a page, and its text."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.anchors, self.loaded, self.navigation, self.lines = path, [], set(), [], [], []
        self._in_navigation = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.update(found[name] for name in ("id", "name") if found.get(name))
        if tag == "nav":
            self._in_navigation += 1
        if tag == "a" and found.get("href"):
            (self.navigation if self._in_navigation else self.links).append(found["href"])
        name = LOADED.get(tag)
        if name and found.get(name) and found.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(found[name])

    def handle_endtag(self, tag):
        self._in_navigation -= tag == "nav"

    def handle_data(self, data):
        self.lines.append(data)

    def place(self, link):
        """Return the file to which a relative link leads, and the anchor in it."""
        parts = urlsplit(link)
        return (self.path.parent / unquote(parts.path)).resolve() if parts.path else self.path, unquote(parts.fragment)


def link_faults(page, pages):
    for link in page.links + page.navigation:
        if re.match(r"[a-z]+:", link):
            continue
        place, anchor = page.place(link)
        if not place.is_file():
            yield f"{link} leads to no file"
        elif anchor and anchor != "__skip" and place in pages and anchor not in pages[place].anchors:
            yield f"{link} leads to no heading"


def host_faults(page):
    for address in page.loaded:
        if ADDRESS.match(address):
            yield f"loads {address} from another host"


def site_faults(root, site):
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    for path, page in pages.items():
        for fault in (*link_faults(page, pages), *host_faults(page)):
            yield f"{path.relative_to(site)}: {fault}"
    for style in site.rglob("*.css"):
        for address in re.findall(r"url\([\"']?(https?:[^)]*)\)", style.read_text()):
            yield f"{style.relative_to(site)}: loads {address} from another host"
    home = pages[site / "index.html"]
    listed = {home.place(link)[0] for link in home.navigation if not ADDRESS.match(link)} | {home.path}
    for path in sorted((root / "docs").rglob("*.md")):
        name = path.relative_to(root / "docs").with_suffix(".html")
        built = site / {"README.html": "pages.html", "results/README.html": "results/index.html"}.get(str(name), name)
        if built not in listed:
            yield f"docs/{path.relative_to(root / 'docs')} is not in the navigation; mkdocs.yml has it"
    yield from reference_faults(root, site, pages)


def reference_faults(root, site, pages):
    names = re.search(r"__all__ = \[(.*?)\]", (root / "python/torch_grapes/__init__.py").read_text(), re.DOTALL)[1]
    python, cpp = (pages[site / "reference" / f"{name}.html"] for name in ("python", "cpp"))
    for name in set(re.findall(r'"(\w+)"', names)) - {"__version__", "nn", "safetensors"}:
        if f"torch_grapes.{name}" not in python.anchors:
            yield f"reference/python.html: has no {name}, which torch_grapes exports"
    headers = re.search(r"set\(public_headers(.*?)\)", (root / "src/grapes/CMakeLists.txt").read_text(), re.DOTALL)[1].split()
    for name in set(headers) - {"grapes.h"}:
        if name not in cpp.lines:
            yield f"reference/cpp.html: has no {name}, which is a public header"
    for page, line in ((cpp, "m[n] = clip(gain · r[n] / max r, low, high)"), (python, "r[n] = Σ |W[n, ...]|,   m[n] = clip(")):
        if not any(text.lstrip().startswith(line) for text in page.lines):
            yield f"{page.path.relative_to(site)}: the equation {line!r} is not on a line of its own"


def main(root, site):
    site = Path(site).resolve()
    faults = list(site_faults(Path(root).resolve(), site))
    print("\n".join(faults) or f"{len(list(site.rglob('*.html')))} pages")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
