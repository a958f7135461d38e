"""What results.py writes on pages: the reports of records, and the tables and numbers that are made from them."""
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"


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
