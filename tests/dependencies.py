#!/usr/bin/env python3
"""Test that docs/dependencies.md lists the packages that scripts/bootstrap and the requirement files install, and no others.

    dependencies.py REPOSITORY
"""
import json
import re
import sys
from pathlib import Path

#: The form of an SPDX expression: identifiers, joined by AND, OR and WITH.
SPDX = re.compile(r"[A-Za-z0-9.-]+( (AND|OR|WITH) [A-Za-z0-9.-]+)*")


def main():
    root, faults = Path(sys.argv[1]), []
    bootstrap = (root / "scripts" / "bootstrap").read_text()
    needed = set()
    for listed in re.findall(r"packages\+?=\(([^)]*)\)", bootstrap):
        for line in listed.splitlines():
            needed.update(line.split("#")[0].split())
    files = [path for path in root.rglob("*.txt") if not path.relative_to(root).parts[0].startswith("build")]
    for path in files:
        if path.name.startswith("requirements") or path.parent.name == "readers":
            for line in path.read_text().splitlines():
                needed.update(re.findall(r"^[A-Za-z][\w.-]*", line.split("#")[0]))
    needed.update(json.loads((root / "playground" / "package.json").read_text())["devDependencies"])
    listed = {}
    for name, license_of in re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", (root / "docs" / "dependencies.md").read_text(), re.MULTILINE):
        if name in listed:
            faults.append(f"{name} is listed twice")
        listed[name] = license_of
        if not SPDX.fullmatch(license_of):
            faults.append(f"{name}: {license_of!r} is not an SPDX expression")
    faults += [f"{name} is installed but not listed" for name in sorted(needed - set(listed))]
    faults += [f"{name} is listed but not installed" for name in sorted(set(listed) - needed)]
    print("\n".join(faults) or f"{len(listed)} packages")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
