"""The figures of results.py: pictures of records, with colors that color-blind people can tell apart, and a marker for each arm."""
import hashlib
import statistics
from pathlib import Path

# Okabe and Ito (2008). The arms that most figures have keep their colors; the others get what is left.
COLORS = {"bp": "#000000", "grapes": "#d55e00", "balanced": "#0072b2", "shuffled-fixed": "#e69f00", "norm-matched": "#56b4e9",
          "balanced-shuffled": "#cc79a7", "adam": "#009e73"}
OKABE_ITO = ["#000000", "#d55e00", "#0072b2", "#e69f00", "#56b4e9", "#cc79a7", "#009e73"]
OTHERS = ["#7f7f7f", "#f0e442", "#8c564b", "#17becf", "#bcbd22", "#9467bd", "#aec7e8"]
MARKERS = "osD^vP*X<>hdp8"


def color_of(arm, arms):
    return COLORS.get(arm) or OTHERS[[other for other in arms if other not in COLORS].index(arm) % len(OTHERS)]


def sweep(panels, report, measure, arms, factor):
    """The mean of a measure against the value that a study sweeps; bars are 95 % intervals."""
    axes = panels[0]
    conditions = report["conditions"]
    values = [condition["value"] for condition in conditions]
    step = (max(values) - min(values)) / max(len(values) - 1, 1)
    for i, arm in enumerate(arms):
        points = [(condition["value"], one["measures"][measure]) for condition in conditions for one in condition["arms"]
                  if one["arm"] == arm and one["measures"].get(measure)]
        shift = step * 0.4 * ((i + 0.5) / len(arms) - 0.5)  # so that bars do not hide each other
        at = [value + shift for value, _ in points]
        mean = [factor * one["mean"] for _, one in points]
        low, high = ([factor * abs(one["mean"] - (one["interval"] or [one["mean"]] * 2)[k]) for _, one in points] for k in (0, 1))
        axes.errorbar(at, mean, yerr=[low, high], label=arm, color=color_of(arm, arms), marker=MARKERS[i % len(MARKERS)], capsize=2,
                      linewidth=1, markersize=5)
    axes.set_xticks(values)
    axes.set_xlabel(report["swept"].replace("={}", ""))


def rates(panels, report, measure, arms, factor):
    """The mean validation score of the tuning runs against the learning rate, a panel for each condition."""
    best = 0
    for axes, condition in zip(panels, report["conditions"]):
        tuning = condition["tuning"]["arms"]
        for i, arm in enumerate(arms):
            tried = sorted((one["learning_rate"], one["validation_mean"]) for one in tuning[arm]["tried"] if one["validation_mean"] is not None)
            axes.plot([rate for rate, _ in tried], [factor * score for _, score in tried], label=arm, color=color_of(arm, arms),
                      marker=MARKERS[i % len(MARKERS)], linewidth=1, markersize=3)
            best = max(best, *(factor * score for _, score in tried))
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        if condition["value"] is not None:
            axes.set_title(report["swept"].replace("{}", f"{condition['value']:g}"), fontsize=10)
    axes.set_ylim(0.78 * best, 1.01 * best)  # rates that are too large end anywhere below


KINDS = {"sweep": sweep, "rates": rates}


class Figure:
    """A figure of a page. Its file says what it was drawn from, so that a page with an old figure is found without drawing it again."""

    def __init__(self, path, kind, packed, arguments):
        content = b"".join(file.read_bytes() for file in [*packed, Path(__file__)]) + repr(arguments).encode()
        self.path, self.kind = path, kind
        self.source = f"{', '.join(file.name for file in packed)}: {hashlib.sha256(content).hexdigest()}"

    def is_current(self):
        return self.path.exists() and self.source in self.path.read_text()

    def axes(self, columns=1):
        import matplotlib  # here, because checking the pages does not need it

        matplotlib.use("svg")
        import matplotlib.pyplot as plt

        plt.rcParams["svg.hashsalt"] = self.source  # the same figure is the same file
        self.figure, axes = plt.subplots(1, columns, figsize=(7.2, 4.2), constrained_layout=True, sharey=True, squeeze=False)
        return axes[0]

    def save(self):
        self.figure.savefig(self.path, metadata={"Date": None, "Description": self.source})
        self.figure.savefig(self.path.with_suffix(".png"), dpi=200, metadata={"Software": None})  # for programs that show no SVG

    def draw(self, report, measure, arms, title, factor):
        panels = self.axes(len(report["conditions"]) if self.kind == "rates" else 1)
        KINDS[self.kind](panels, report, measure, arms, factor)
        panels[0].set_ylabel(title)
        for axes in panels:
            axes.grid(alpha=0.3)
        panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)
        self.save()

    def draw_pooled(self, points, fits):
        """Effect against dose, one panel per control, one color per experiment; bars are 95 % intervals."""
        import student  # as in dose_response.py, which fitted the lines
        from scipy import stats

        def half(pairs):
            return student.quantile(0.975, len(pairs) - 1) * stats.sem(pairs)

        experiments = list(dict.fromkeys(point.experiment for of in points.values() for point in of))
        panels = self.axes(len(points))
        for axes, (control, of) in zip(panels, points.items()):
            for i, experiment in enumerate(experiments):
                own = [point for point in of if point.experiment == experiment]
                pairs = [list(point.pairs.values()) for point in own]
                axes.errorbar([point.dose for point in own], [statistics.fmean(one) for one in pairs],
                              yerr=[half(one) for one in pairs], label=experiment, capsize=2, linestyle="",
                              color=OKABE_ITO[i % len(OKABE_ITO)], marker=MARKERS[i % len(MARKERS)], markersize=5)
            ends = [min(point.dose for point in of), max(point.dose for point in of)]
            axes.plot(ends, [fits[control]["a"] + fits[control]["b"] * x for x in ends], color="black", linewidth=1)
            axes.axhline(0, color="gray", linewidth=0.8)
            axes.set_xlabel("dose of grapes, degrees")
            axes.set_title(f"grapes − {control}", fontsize=10)
            axes.grid(alpha=0.3)
        panels[0].set_ylabel("test accuracy, points")
        panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)
        self.save()
