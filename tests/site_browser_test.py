#!/usr/bin/env python3
"""Open pages of the built site in Chromium from the disk, on a light phone and on a dark desktop; with --all also the other way round.

    site_browser_test.py [--all] SITE [PAGE ...]        exits with 1 and one line per error

axe-core must find nothing of serious impact, no page may be wider than the screen or ask another host for anything, and the search
must find a word. Without PAGE it opens one page of every kind.
"""
import shutil
import sys
from collections import Counter
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

#: Prose, code, wide tables, figures, both references, a file of the repository and a folder.
KINDS = ("index.html", "python.html", "keys.html", "performance.html", "results/continual.html", "hardware/rtl.html",
         "reference/python.html", "reference/cpp.html", "files/src/grapes/nn/snu.h.html", "files/experiments.html")
SCREENS = ((390, 844, "light"), (1280, 850, "dark"), (390, 844, "dark"), (1280, 850, "light"))


def axe_faults(page):
    for found in Axe().run(page).response["violations"]:
        yield found["impact"], f"{found['id']}: {found['help']}: {found['nodes'][0]['html'][:120]} ({len(found['nodes'])} times)"


def search_fault(page):
    """Return what is wrong with the search of a wide page, which runs without a server."""
    page.fill(".md-search__input", "surrogate")
    found = page.locator(".md-search-result__item h1")
    found.first.wait_for(state="attached", timeout=120_000)
    return "" if "Spiking networks" in found.all_inner_texts() else f"the search for surrogate finds {found.all_inner_texts()}"


def main(*arguments):
    screens = SCREENS if "--all" in arguments else SCREENS[:2]
    site, *names = (argument for argument in arguments if argument != "--all")
    site, faults, impacts = Path(site).resolve(), [], Counter()
    browser = shutil.which("chromium")
    if browser is None:
        print("skipped: there is no chromium; scripts/bootstrap --with-browser installs it")
        return 0
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width, height, scheme in screens:
            page = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
            page.set_default_timeout(120_000)
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            for name in names or KINDS:
                here = f"{name} at {width} px, {scheme}"
                page.goto(f"file://{site}/{name}")
                page.wait_for_timeout(300)
                for impact, fault in axe_faults(page):
                    impacts[impact] += 1
                    if impact in ("serious", "critical"):
                        faults.append(f"{here}: {impact}: {fault}")
                if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                    faults.append(f"{here}: the page is wider than the screen")
            faults += [f"asks for {url}" for url in asked if url.startswith("http")]
            if (width, scheme) == (1280, "dark"):
                fault = search_fault(page)
                faults += [fault] if fault else []
        chromium.close()
    print("\n".join(faults))
    print(f"{len(names or KINDS)} pages on {len(screens)} screens; axe: {dict(impacts) or 'nothing'}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
