"""Effect against dose over several experiments of the study: the pooled analysis of part C.

Every value of a sweep is one point. Its dose x is the mean angle in degrees between the modulated and the plain gradient in the runs of
`grapes`, over hidden layers, epochs and seeds. Its effect y is the mean paired difference in points of test accuracy between `grapes` and a
control. The line y = a + b x is fitted by generalized least squares. The variance of a point is that of its mean, plus a variance between
experiments that is estimated by restricted maximum likelihood (Harville 1977). The interval of b is a percentile bootstrap over the seeds. The
points of an experiment have the same seeds, so they are drawn for the experiment and not for each point.
"""
import json
import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

MARGIN = 0.3  # points over the range of doses: the smallest effect of interest of experiments/study.md
RESAMPLES = 1000


@dataclass
class Point:
    experiment: str
    value: str
    dose: float
    pairs: dict  #: seed -> difference in points


def dose_of(record, condition, seeds):
    angles = []
    for seed in seeds:
        folder = record if condition["value"] is None else record / condition["name"]
        for line in (folder / "arms" / "grapes" / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines():
            for layer in json.loads(line).get("layers", [])[:-1]:  # the output layer is not modulated
                angle = layer.get("dose", {}).get("angle")
                if angle is not None:
                    angles.append(angle)
    return float(np.mean(angles))


def points(name, report, record, control):
    """Return the points of a record against one control."""
    found = []
    for condition in report["conditions"]:
        arms = {arm["arm"]: arm for arm in condition["arms"]}
        if "grapes" not in arms or control not in arms:
            continue
        ours, theirs = ({seed: 100 * score for seed, score in zip(one["seeds"], one["each"])}
                        for one in (arms["grapes"]["measures"]["test_accuracy"], arms[control]["measures"]["test_accuracy"]))
        seeds = sorted(set(ours) & set(theirs))
        value = "" if condition["value"] is None else f"{condition['value']:g}"
        found.append(Point(name, value, dose_of(record, condition, seeds), {seed: ours[seed] - theirs[seed] for seed in seeds}))
    return found


def line(x, y, variance, groups):
    """Fit y = a + b x. @return a, b and the variance between groups"""
    X = np.column_stack([np.ones_like(x), x])
    same = np.equal.outer(groups, groups).astype(float)

    def solve(between):
        inverse = np.linalg.inv(np.diag(variance) + between * same)
        information = X.T @ inverse @ X
        coefficients = np.linalg.solve(information, X.T @ inverse @ y)
        rest = y - X @ coefficients
        restricted = -np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(information)[1] + rest @ inverse @ rest
        return coefficients, restricted

    between = 0.0
    if 1 < len(set(groups)) < len(groups):  # else there is nothing to estimate it from
        most = 10 * (np.var(y) + np.mean(variance))
        between = optimize.minimize_scalar(lambda log: solve(math.exp(log))[1], bounds=(math.log(1e-9), math.log(most)), method="bounded").x
        between = math.exp(between)
    (a, b), _ = solve(between)
    return a, b, between


def fit(all_points, seed=1):
    """Fit the line to points. @return a, b, the 95 % interval of b, and the variance between experiments"""
    x = np.array([point.dose for point in all_points])
    groups = np.array([point.experiment for point in all_points])

    def of(pairs):
        n = np.array([len(one) for one in pairs])
        variance = np.array([np.var(one, ddof=1) for one in pairs]) / n
        return line(x, np.array([np.mean(one) for one in pairs]), np.maximum(variance, 1e-6), groups)

    a, b, between = of([list(point.pairs.values()) for point in all_points])
    random = np.random.default_rng(seed)
    slopes = []
    while len(slopes) < RESAMPLES:
        drawn = {}
        for experiment in dict.fromkeys(groups):
            seeds = sorted({seed for point in all_points if point.experiment == experiment for seed in point.pairs})
            drawn[experiment] = random.choice(seeds, len(seeds))
        pairs = [[point.pairs[seed] for seed in drawn[point.experiment] if seed in point.pairs] for point in all_points]
        if min(map(len, pairs)) > 1:
            slopes.append(of(pairs)[1])
    low, high = np.percentile(slopes, [2.5, 97.5])
    return {"a": a, "b": b, "interval": (low, high), "between": between, "range": float(x.max() - x.min())}


def verdict(fits):
    """Return the decision of experiments/study.md from the fits against shuffled-fixed and norm-matched."""
    if all(one["interval"][0] > 0 for one in fits):
        return "responsibility matters"
    if all(max(abs(bound) for bound in one["interval"]) * one["range"] <= MARGIN for one in fits):
        return "responsibility does not matter"
    return "not resolved"
