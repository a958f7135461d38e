#!/usr/bin/env python3
"""Keep the records of studies in results/, and write the tables of pages from them.

    results.py keep RECORD NAME      packs what reports read of a record into results/NAME.tar.xz: no weights, events or logs
    results.py write [GRAPES]        writes all tables of docs/**/*.md anew, and the numbers of docs/report (default: build/grapes)
    results.py check [GRAPES]        changes nothing; exits with 1 and a list if a page or a number is out of date

A table stands on a page between two comments, and what it shows is in the first one:

    <!-- results: NAME levels MEASURE, ...; ARM, ... --> arms x measures: mean, standard deviation and 95 % interval; without a
                                                       semicolon, of all arms
    <!-- results: NAME differences MEASURE, ...; ARM, ... --> paired differences from the baseline and from the controls, with
                                                       simultaneous intervals, and verdicts if the record has a smallest effect
    <!-- results: NAME usable ARM, ... -->             how many learning rates of the tuning runs end within a point of the best, and
                                                       which; one column for each condition
    <!-- results: NAME figure FILE KIND MEASURE ARM,... -->
                                                       a figure FILE beside the page, and the same as PNG; KIND: sweep (against the value
                                                       that the study sweeps) or rates (of the tuning runs, a panel for each condition)
    <!-- results: NAME,NAME,... pooled FILE -->        effect against dose over experiments (dose_response.py): the fitted lines, the
                                                       verdict, and a figure FILE beside the page
    <!-- results: NAME published -->                    published numbers beside ours: results/NAME.published.json
    <!-- results: NAME spread homogeneous|other -->     how unlike units are, by network: results/NAME.json of experiments/study/f0.py
    <!-- end of results -->

Two more kinds stand in a sentence or in a cell of a table, with the end on the same line. Where the study sweeps a key, VALUE says which of
its values is meant. If there is no record NAME yet, their text is "no record yet":

    <!-- results: NAME difference MEASURE; ARM, AGAINST; VALUE -->   mean [simultaneous interval], pairs, Holm's p, and a verdict if
                                                                     the record has a smallest effect
    <!-- results: NAME level MEASURE; ARM; VALUE -->                 mean ± deviation, number of seeds

The note docs/report/report.typ asks for the last two kinds in this form, and also for "NAME published", how many published numbers lie in
the range, and for "NAME layers", "networks", "median", "above 0.3" and "above 1" of the spread of homogeneous layers.

MEASURE is a key of `grapes report --json`. NAME.published.json is a list of {"what", "arm", "path", "value", "factor", "runs"}; path leads
to the numbers of the runs within the arm, like "matrix/4/0" or "measures/forgetting", or is "best test accuracy", the best of all epochs,
which some authors publish (it chooses by test data, so it is compared with nothing else). factor gives the unit of the page. The published
number is the mean of `runs` runs (default: 1), so it is compared with the 95 % prediction interval for the mean of that many further runs
of ours, mean ± t s sqrt(1/runs + 1/n).
"""

import io
import json
import math
import re
import sys
import tarfile
from pathlib import Path

import result_figures
import result_note
from result_tables import contents, is_share, names, Reports, RESULTS, ROOT, signed, table

KEPT = {"compare.json", "config.toml", "env.json", "metrics.jsonl", "run.json", "status.json", "sweep.json", "test-correct.npy"}
TABLE = re.compile(r"(<!-- results: (?P<name>\S+) (?P<kind>\w+) ?(?P<rest>[^>]*?) ?-->\n?)(?P<text>.*?)(<!-- end of results -->)", re.DOTALL)


def keep(record, name):
    record, target = Path(record), RESULTS / f"{name}.tar.xz"
    if not (record / "config.toml").exists():
        sys.exit(f"results.py: {record} is not a record: it has no config.toml")
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for source in sorted(record.rglob("*")):
            if source.name not in KEPT or "tuning" in source.parts:  # compare.json has the scores of the tuning runs
                continue
            content = source.read_bytes()
            if source.name == "env.json":  # the name of the operating system says nothing about the numbers
                facts = json.loads(content)
                facts.pop("system", None)
                content = (json.dumps(facts, indent=2) + "\n").encode()
            entry = tarfile.TarInfo(str(source.relative_to(record)))  # without owner and time, so that the same record gives the same bytes
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    print(f"results/{target.name}: {target.stat().st_size / 1e6:.2f} MB")


def pooled(reports, match, page, draw):
    """Return the lines of the pooled analysis, and whether its figure is up to date; draw it first if asked."""
    import dose_response  # here, because only this needs SciPy

    experiments, controls = match["name"].split(","), ("shuffled-fixed", "norm-matched")
    points = {control: [point for name in experiments for point in dose_response.points(name, reports[name], Reports.unpacked(name), control)]
              for control in controls}
    fits = {control: dose_response.fit(points[control]) for control in controls}
    one = result_figures.Figure(page.parent / match["rest"], "pooled", [RESULTS / f"{name}.tar.xz" for name in experiments], [])
    if draw and not one.is_current():
        one.draw_pooled(points, fits)
    rows = [[f"`grapes` − `{control}`", str(len(points[control])), f"{signed(fit['b'], 3)} [{signed(fit['interval'][0], 3)}, "
             f"{signed(fit['interval'][1], 3)}]", f"{fit['range']:.1f}°", f"{math.sqrt(fit['between']):.2f}"] for control, fit in fits.items()]
    text = table(["effect", "points", "slope, points per degree [95 %]", "range of doses", "deviation between experiments"], rows)
    return f"{text}\n**By the rule of the plan: {dose_response.verdict(list(fits.values()))}.**\n\n![Effect against dose]({match['rest']})\n", one.is_current()


def figure(reports, match, page, draw):
    """Return the line that shows a figure, and whether its file is up to date; draw it first if asked."""
    report, (file, kind, measure, *rest) = reports[match["name"]], match["rest"].split()
    arms = rest[0].split(",") if rest else report["arms"]
    one = result_figures.Figure(page.parent / file, kind, [RESULTS / f"{match['name']}.tar.xz"], [kind, measure, arms])
    title = names(report)[measure].replace("test", "validation" if kind == "rates" else "test")
    if draw and not one.is_current():
        share = is_share(report, measure)
        one.draw(report, measure, arms, f"{title}, %" if share else title, 100 if share else 1)
    return f"![{title} of {', '.join(arms)}]({file})\n", one.is_current()


def main():
    verb, *rest = sys.argv[1:] or [""]
    if verb == "keep" and len(rest) == 2:
        return keep(*rest)
    if verb not in ("write", "check") or len(rest) > 1:
        sys.exit(__doc__)
    reports, stale = Reports(rest[0] if rest else ROOT / "build" / "grapes"), []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        old, current = page.read_text(), []

        def filled(match, page=page, current=current):
            if match["kind"] not in ("figure", "pooled"):
                return match[1] + contents(reports, match) + match[6]
            text, is_current = {"figure": figure, "pooled": pooled}[match["kind"]](reports, match, page, verb == "write")
            current.append(is_current)
            return match[1] + text + match[6]

        new = TABLE.sub(filled, old)
        if new != old or not all(current):
            stale.append(str(page.relative_to(ROOT)))
            if verb == "write":
                page.write_text(new)
    numbers = result_note.NUMBERS
    if (new := result_note.numbers_of_note(reports)) != (numbers.read_text() if numbers.exists() else ""):
        stale.append(str(numbers.relative_to(ROOT)))
        if verb == "write":
            numbers.write_text(new)
    for page in stale:
        print(f"{page} {'was written anew' if verb == 'write' else 'is out of date: run make results'}")
    return 1 if stale and verb == "check" else 0


if __name__ == "__main__":
    sys.exit(main())
