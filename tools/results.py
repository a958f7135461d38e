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
import shutil
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

import result_figures

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
KEPT = {"compare.json", "config.toml", "env.json", "metrics.jsonl", "run.json", "status.json", "sweep.json", "test-correct.npy"}
NOTE = ROOT / "docs" / "report" / "report.typ"
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


class Reports:
    """The JSON documents of the records, each computed once."""

    def __init__(self, program):
        self.program, self.known = program, {}

    @staticmethod
    def unpacked(name):
        return ROOT / "build" / "results" / name

    def __getitem__(self, name):
        if name not in self.known:
            packed, record = RESULTS / f"{name}.tar.xz", self.unpacked(name)
            if not packed.exists():
                sys.exit(f"results.py: there is no record results/{packed.name}")
            shutil.rmtree(record, ignore_errors=True)
            with tarfile.open(packed) as archive:
                archive.extractall(record, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
            done = subprocess.run([self.program, "report", record, "--json"], capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"results.py: grapes report of results/{packed.name} failed: {done.stderr.strip()}")
            self.known[name] = json.loads(done.stdout)
        return self.known[name]


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def table(header, rows):
    return row(header) + "|" + "---|" * len(header) + "\n" + "".join(map(row, rows))


def signed(x, digits=2):
    return ("−" if x < 0 else "+") + f"{abs(x):.{digits}f}"


def is_share(report, key):
    """Accuracies are shares from 0 to 1 in the record, and percent on a page."""
    return "accuracy" in key or key in ("forgetting", "backward_transfer", "forward_transfer")


def names(report):
    return {measure["key"]: measure["name"] for measure in report["measures"]}


def level(numbers, factor):
    text = f"{factor * numbers['mean']:.2f}"
    if numbers.get("interval"):
        low, high = (factor * x for x in numbers["interval"])
        text += f" ± {factor * numbers['sd']:.2f} [{low:.2f}, {high:.2f}]"
    return text


def conditions(report, value):
    """Return the conditions of a report, or the one with a value of the sweep."""
    found = [one for one in report["conditions"] if not value or (one["value"] is not None and f"{one['value']:g}" == value)]
    return found if found else sys.exit(f"results.py: no condition has the value {value}")


def probability(p):
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


def titled(report, condition):
    """Return the title of a condition. One that a pattern sweeps has none; its setting is the pattern with its value."""
    return condition["title"] or report["swept"].replace("{}", f"{condition['value']:g}")


def one_level(report, measure, arm, value=""):
    numbers = [one["measures"][measure] for condition in conditions(report, value) for one in condition["arms"] if one["arm"] == arm]
    if len(numbers) != 1:
        sys.exit(f"results.py: expected one {arm} with the measure {measure}, found {len(numbers)}: name a value of the sweep")
    factor = 100 if is_share(report, measure) else 1
    return f"{factor * numbers[0]['mean']:.2f} ± {factor * numbers[0]['sd']:.2f}, n = {numbers[0]['n']}"


def one_difference(report, measure, arm, against, value=""):
    found = [one for condition in conditions(report, value) for one in condition["differences"]
             if (one["measure"], one["arm"], one["against"]) == (measure, arm, against) and "mean" in one]
    if len(found) != 1:
        sys.exit(f"results.py: expected one difference {arm} - {against} in {measure}, found {len(found)}: name a value of the sweep")
    one, factor = found[0], 100 if is_share(report, measure) else 1
    interval = one["simultaneous"] and " [" + ", ".join(signed(factor * x) for x in one["simultaneous"]) + "]"
    parts = [f"{signed(factor * one['mean'])}{interval or ''}", f"n = {one['n']}"]
    parts += [] if one["p_holm"] is None else [f"p {'' if one['p_holm'] < 0.0005 else '= '}{probability(one['p_holm'])}"]
    return ", ".join(parts + ([one["verdict"]] if one["verdict"] else []))


def inline(reports, match):
    """Return the text of one number within a line."""
    if not (RESULTS / f"{match['name']}.tar.xz").exists():
        return "no record yet"
    measure, *rest = (part.strip() for part in re.split("[;,]", match["rest"]))
    report = reports[match["name"]]
    if measure not in names(report):
        sys.exit(f"results.py: results/{match['name']} has no measure {measure}; it has {', '.join(names(report))}")
    return {"difference": one_difference, "level": one_level}[match["kind"]](report, measure, *rest)


def levels(report, measures, arms):
    rows = []
    for condition in report["conditions"]:
        where = f", {titled(report, condition)}" if len(report["conditions"]) > 1 else ""
        for arm in condition["arms"]:
            if arms and arm["arm"] not in arms:
                continue
            cells = [f"`{arm['arm']}`{where}", str(arm["n"]), ", ".join(f"{rate:g}" for rate in arm["learning_rates"])]
            for key in measures:
                numbers = arm["measures"].get(key)
                cells.append(level(numbers, 100 if is_share(report, key) else 1) if numbers else "–")
            rows.append(cells)
    units = [names(report)[key] + (" %" if is_share(report, key) else "") for key in measures]
    return table(["arm", "n", "rate", *units], rows)


def differences(report, measures, arms):
    rows, judged = [], any(one["verdict"] for condition in report["conditions"] for one in condition["differences"])
    for condition in report["conditions"]:
        where = f", {titled(report, condition)}" if len(report["conditions"]) > 1 else ""
        for one in condition["differences"]:
            if one["measure"] not in measures or "mean" not in one or (arms and one["arm"] not in arms):
                continue
            factor = 100 if is_share(report, one["measure"]) else 1
            interval = one["simultaneous"] and "[" + ", ".join(signed(factor * x) for x in one["simultaneous"]) + "]"
            rows.append([f"`{one['arm']}` − `{one['against']}`{where}", names(report)[one["measure"]], str(one["n"]),
                         signed(factor * one["mean"]) + (f" {interval}" if interval else ""),
                         "–" if one["p_holm"] is None else probability(one["p_holm"])])
            if judged:
                rows[-1].append(one["verdict"] or "–")
    return table(["comparison", "measure", "pairs", "difference [95 %]", "Holm p", *(["verdict"] if judged else [])], rows)


def usable(report, arms):
    """Return a table of the rates whose mean validation score is at most 0.01 below that of the arm's best rate."""

    def cell(tried):
        scores = {one["learning_rate"]: one["validation_mean"] for one in tried if one["validation_mean"] is not None}
        good = [rate for rate, score in scores.items() if score >= max(scores.values()) - 0.01]
        return f"{len(good)} of {len(tried)}, {min(good):g} to {max(good):g}"

    rows = [[f"`{arm}`", *[cell(condition["tuning"]["arms"][arm]["tried"]) for condition in report["conditions"]]] for arm in arms]
    return table(["arm", *[titled(report, condition) if len(report["conditions"]) > 1 else "rates" for condition in report["conditions"]]], rows)


def best_of_epochs(record, arm, key):
    """Return mean, deviation and number of the runs' best values of a key in metrics.jsonl."""
    each = []
    for seed in arm["seeds"]:
        lines = (record / "arms" / arm["arm"] / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines()
        each.append(max(line.get(key, 0) for line in map(json.loads, lines)))
    return {"mean": statistics.mean(each), "sd": statistics.stdev(each), "n": len(each)}


def prediction_interval(mean, sd, n, runs):
    """Return the 95 % interval of the mean of `runs` further runs, from n runs."""
    import student  # here, because few tables need SciPy

    if n < 2:
        raise ValueError(f"a published number is compared with the spread of at least 2 runs, and there is {n}")
    half = float(student.quantile(0.975, n - 1)) * sd * math.sqrt(1 / runs + 1 / n)
    return mean - half, mean + half


def compared(report, name):
    """Yield each published number of results/NAME.published.json, our numbers, its prediction interval, and whether it is inside."""
    record, arms = Reports.unpacked(name), {arm["arm"]: arm for condition in report["conditions"] for arm in condition["arms"]}
    for fact in json.loads((RESULTS / f"{name}.published.json").read_text()):
        numbers = arms[fact["arm"]]
        if fact["path"] == "best test accuracy":
            numbers = best_of_epochs(record, numbers, "test_accuracy")
        else:
            for step in fact["path"].split("/"):
                numbers = numbers[int(step)] if isinstance(numbers, list) else numbers[step]
        low, high = prediction_interval(numbers["mean"], numbers["sd"], numbers["n"], fact.get("runs", 1))
        yield fact, numbers, (low, high), low <= fact["value"] <= high


def published(report, name):
    rows = []
    for fact, numbers, (low, high), inside in compared(report, name):
        factor = fact.get("factor", 1)
        rows.append([fact["what"], f"`{fact['arm']}`", f"{factor * fact['value']:.2f}", level({**numbers, "interval": None}, factor),
                     f"[{factor * low:.2f}, {factor * high:.2f}]", "yes" if inside else "**no**"])
    return table(["number", "arm", "published", "ours", "95 % range", "inside"], rows)


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


def split(text):
    return [item.strip() for item in text.split(",") if item.strip()]


def spread(facts, homogeneous):
    """Return a table of networks. Layers whose activation is homogeneous can be rescaled exactly; the others have a table of their own."""
    rows, together = [], []

    def cells(layers):
        deviations = [layer["deviation"] for layer in layers]
        return [str(len(layers)), str(sum(layer["units"] for layer in layers)), str(sum(layer["dead"] for layer in layers)),
                f"{statistics.median(deviations):.2f}", f"{max(deviations):.2f}",
                *[f"{100 * sum(one > limit for one in deviations) / len(layers):.0f} %" for limit in (0.3, 1)],
                f"{statistics.median(layer['strong'] for layer in layers):.2f}",
                f"{statistics.median(layer['chance'] for layer in layers):.2f}"]

    for network in facts["networks"]:
        layers = [dict(zip(facts["columns"], layer)) for layer in network["layers"]]
        layers = [layer for layer in layers if (set(layer["activation"].split("+")) <= set(facts["homogeneous"])) == homogeneous]
        if layers:
            skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(network["skipped"].items())) or "–"
            kinds = ", ".join(sorted({layer["activation"] for layer in layers}))
            rows.append([f"`{network['package']}` {network['network']}", kinds, *cells(layers), skipped])
            together += layers
    for title, some in (("all", together), ("all with an activation", [layer for layer in together if layer["activation"] != "none"]),
                        ("all with at least 64 weights into a unit", [layer for layer in together if layer["inputs"] >= 64])):
        rows += [[f"**{title}**", "", *cells(some), ""]] if some and (title == "all" or len(some) < len(together)) else []
    return table(["network", "activations", "layers", "units", "dead", "median", "largest", "above 0.3", "above 1", "without weak", "by chance",
                  "skipped layers"], rows)


def contents(reports, match):
    if match["kind"] in ("difference", "level"):
        return inline(reports, match)
    if match["kind"] == "spread":
        if match["rest"] not in ("homogeneous", "other"):
            sys.exit(f"results.py: unknown layers {match['rest']} of a spread; expected homogeneous or other")
        return spread(json.loads((RESULTS / f"{match['name']}.json").read_text()), match["rest"] == "homogeneous")
    if match["kind"] == "usable":
        return usable(reports[match["name"]], split(match["rest"]))
    report, (measures, arms) = reports[match["name"]], (split(part) for part in (match["rest"] + ";").split(";")[:2])
    for key in measures:
        if key not in names(report):
            sys.exit(f"results.py: results/{match['name']} has no measure {key}; it has {', '.join(names(report))}")
    if match["kind"] == "levels":
        return levels(report, measures, arms)
    if match["kind"] == "differences":
        return differences(report, measures, arms)
    if match["kind"] == "published":
        return published(report, match["name"])
    sys.exit(f"results.py: unknown table {match['kind']}; expected levels, differences, usable, published, spread, figure, "
             "pooled, difference or level")


def note_numbers(reports):
    """Return the text of docs/report/numbers.json: every level and difference of the records and measures that the note names."""
    source, numbers = NOTE.read_text(), {}
    for name in sorted(set(re.findall(r'(?:result|short)\("(\S+) ', source))):
        if not (RESULTS / f"{name}.tar.xz").exists():
            numbers |= note_spread(name)
            continue
        report = reports[name]
        if (RESULTS / f"{name}.published.json").exists():
            inside = [one for *_, one in compared(report, name)]
            numbers[f"{name} published"] = f"{sum(inside)} of {len(inside)}"
        for measure in sorted(set(re.findall(rf'(?:result|short)\("{name} (?:level|difference) (\w+);', source))):
            for condition in report["conditions"]:
                value = "" if condition["value"] is None else f"{condition['value']:g}"
                end = f"; {value}" if value else ""
                for arm in (one["arm"] for one in condition["arms"]):
                    numbers[f"{name} level {measure}; {arm}{end}"] = one_level(report, measure, arm, value)
                for one in condition["differences"]:
                    if one["measure"] == measure and "mean" in one:
                        pair = one["arm"], one["against"]
                        numbers[f"{name} difference {measure}; {', '.join(pair)}{end}"] = one_difference(report, measure, *pair, value)
    return json.dumps(numbers, indent=0, ensure_ascii=False) + "\n"


def note_spread(name):
    facts = json.loads((RESULTS / f"{name}.json").read_text())
    where, what = facts["columns"].index("activation"), facts["columns"].index("deviation")
    found = [[layer[what] for layer in network["layers"] if set(layer[where].split("+")) <= set(facts["homogeneous"])]
             for network in facts["networks"]]
    deviations = [one for network in found for one in network]
    above = {f"{name} above {limit}": f"{100 * sum(one > limit for one in deviations) / len(deviations):.0f} %" for limit in (0.3, 1)}
    return {f"{name} layers": str(len(deviations)), f"{name} networks": str(sum(map(bool, found))),
            f"{name} median": f"{statistics.median(deviations):.2f}", **above}


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
    numbers = NOTE.with_name("numbers.json")
    if (new := note_numbers(reports)) != (numbers.read_text() if numbers.exists() else ""):
        stale.append(str(numbers.relative_to(ROOT)))
        if verb == "write":
            numbers.write_text(new)
    for page in stale:
        print(f"{page} {'was written anew' if verb == 'write' else 'is out of date: run make results'}")
    return 1 if stale and verb == "check" else 0


if __name__ == "__main__":
    sys.exit(main())
