"""The numbers of the note about the study, docs/report/report.typ, which results.py writes beside it."""
import json
import re
import statistics

from result_tables import compared, one_difference, one_level, RESULTS, ROOT

NOTE = ROOT / "docs" / "report" / "report.typ"
NUMBERS = NOTE.with_name("numbers.json")


def numbers_of_note(reports):
    """Return the text of docs/report/numbers.json: every level and difference of the records and measures that the note names."""
    source, numbers = NOTE.read_text(), {}
    for name in sorted(set(re.findall(r'(?:result|short)\("(\S+) ', source))):
        if not (RESULTS / f"{name}.tar.xz").exists():
            numbers |= numbers_of_spread(name)
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


def numbers_of_spread(name):
    facts = json.loads((RESULTS / f"{name}.json").read_text())
    where, what = facts["columns"].index("activation"), facts["columns"].index("deviation")
    found = [[layer[what] for layer in network["layers"] if set(layer[where].split("+")) <= set(facts["homogeneous"])]
             for network in facts["networks"]]
    deviations = [one for network in found for one in network]
    above = {f"{name} above {limit}": f"{100 * sum(one > limit for one in deviations) / len(deviations):.0f} %" for limit in (0.3, 1)}
    return {f"{name} layers": str(len(deviations)), f"{name} networks": str(sum(map(bool, found))),
            f"{name} median": f"{statistics.median(deviations):.2f}", **above}
