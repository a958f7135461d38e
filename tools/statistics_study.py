#!/usr/bin/env python3
"""Simulate what the statistics of reports promise, and compare them with R. Results and their meaning: docs/guarantees.md.

    statistics_study.py coverage      how often 95 % intervals contain the true value
    statistics_study.py slope         the same for the slope of dose_response.py
    statistics_study.py verdicts      how often reports of studies without any difference find one
    statistics_study.py resampling    bootstrap and max-t against SciPy's resamples, on 1,000 random data sets each
    statistics_study.py r             1,000 random data sets each against R (Debian's r-base-core, r-cran-jsonlite, r-cran-survey,
                                      r-cran-exactranktests and r-cran-metafor)

The environment variable GRAPES_STATISTICS is the program build/tests/grapes_statistics. tests/statistics_test.py has what takes seconds.
"""
import json
import math
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import dose_response  # noqa: E402
import dose_response_test  # noqa: E402
import result_tables  # noqa: E402
import statistics_test as tests  # noqa: E402
from statistics_test import ask  # noqa: E402

SIZES = (5, 10, 20)
MANY, FEW = 10_000, 2000  # data sets, by what a function costs


def show(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def percent(hits):
    """Return a share with its standard error."""
    hits = np.asarray(hits, float)
    return f"{100 * hits.mean():.1f} ± {100 * hits.std() / math.sqrt(len(hits)):.1f}"


# Coverage.

def of_mean(draw, truth, low, high):
    def covered(random, n):
        intervals = ask(["mean_interval", draw(random, n), low, high, 0.95] for _ in range(MANY))
        return [a <= truth <= b for a, b in intervals]
    return covered


def beta(mean, sd):
    k = mean * (1 - mean) / sd**2 - 1
    return lambda random, n: random.beta(mean * k, (1 - mean) * k, n)


def of_prediction(random, n):
    x = random.standard_normal((MANY, n))
    means = random.standard_normal((MANY, 3)).mean(1)  # of three further runs
    intervals = [result_tables.prediction_interval(row.mean(), row.std(ddof=1), n, 3) for row in x]
    return [low <= mean <= high for (low, high), mean in zip(intervals, means)]


def of_family(arms, draw):
    """Simultaneous intervals of the differences of arms from one baseline, whose true values are 0."""
    def covered(random, n):
        found = []
        for _ in range(FEW * 4 // arms):
            scores = draw(random, (arms + 1, n)) + random.standard_normal(n)  # seeds have levels of their own
            found.append(scores[1:] - scores[0])
        quantiles = ask(["simultaneous_quantile", d] for d in found)
        return [np.all(np.abs(d.mean(1)) <= c * d.std(1, ddof=1) / math.sqrt(n)) for d, c in zip(found, quantiles)]
    return covered


def of_examples(favor):
    """Intervals over seeds and 500 test examples, of which each favors an arm; the true difference is 0."""
    def covered(random, n):
        tables = []
        for _ in range(FEW):
            differs = random.random((n, 500)) < random.beta(0.1, 1, 500)
            chance = 0.5 + 0.02 * random.standard_normal((n, 1)) + favor * random.choice([-1, 1], 500)
            tables.append(np.where(differs, np.where(random.random((n, 500)) < chance, 1, -1), 0))
        errors = ask(["crossed_error", table] for table in tables)
        t = stats.t.ppf(0.975, n - 1)
        return [abs(table.mean()) <= t * error for table, error in zip(tables, errors)]
    return covered


def of_middle(draw):
    """Interquartile mean of three tasks with n runs each."""
    def scores(random, n):
        return [task + draw(random, n) for task in (0.0, 0.5, 1.0)]

    truth = stats.trim_mean(np.concatenate(scores(np.random.default_rng(0), 2_000_000)), 0.25)

    def covered(random, n):
        found = ask(["interquartile_mean", [list(task) for task in scores(random, n)]] for _ in range(FEW))
        return [low <= truth <= high for _, low, high in found]
    return covered


def of_wins(random, n):
    """Probability of improvement on three tasks: the scores of an arm are half a standard deviation better."""
    truth = stats.norm.cdf(0.5 / math.sqrt(2))
    found = ask(["probability_of_improvement", (random.standard_normal((3, n)) + 0.5).tolist(), random.standard_normal((3, n)).tolist()]
                for _ in range(FEW))
    return [low <= truth <= high for _, low, high in found]


def normal(random, shape):
    return random.standard_normal(shape)


def exponential(random, shape):
    return random.standard_exponential(shape)


def coverage():
    skewed = "exponential"
    rows = [("mean, Student's t", "normal", of_mean(normal, 0, None, None)),
            ("", skewed, of_mean(exponential, 1, None, None)),
            ("", f"difference of two {skewed}", of_mean(lambda r, n: exponential(r, n) - exponential(r, n), 0, None, None)),
            ("mean between 0 and 1, logit scale", "beta, 0.90 ± 0.01", of_mean(beta(0.9, 0.01), 0.9, 0, 1)),
            ("", "beta, 0.99 ± 0.01", of_mean(beta(0.99, 0.01), 0.99, 0, 1)),
            ("mean above 0, log scale", "log-normal, σ = 0.2", of_mean(lambda r, n: r.lognormal(0, 0.2, n), math.exp(0.02), 0, None)),
            ("", skewed, of_mean(exponential, 1, 0, None)),
            ("mean of three further runs", "normal", of_prediction),
            ("4 differences, max-t", "normal", of_family(4, normal)),
            ("", skewed, of_family(4, exponential)),
            ("12 differences, max-t", "normal", of_family(12, normal)),
            ("seeds and examples", "examples favor no arm", of_examples(0)),
            ("", "examples favor arms", of_examples(0.4)),
            ("interquartile mean, 3 tasks", "normal", of_middle(lambda r, n: 0.2 * normal(r, n))),
            ("", skewed, of_middle(lambda r, n: 0.2 * exponential(r, n))),
            ("probability of improvement, 3 tasks", "normal", of_wins)]
    show("interval", "distribution", *(f"n = {n}" for n in SIZES))
    show("---", "---", *("---:" for _ in SIZES))
    for name, distribution, covered in rows:
        show(name, distribution, *(percent(covered(np.random.default_rng(n), n)) for n in SIZES))


def slope(studies=200, resamples=200):
    dose_response.RESAMPLES = resamples
    cells = []
    for n in SIZES:
        random, hits = np.random.default_rng(n), []
        for i in range(studies):
            low, high = dose_response.fit(dose_response_test.simulated(0.1, random, between=0.3, seeds=n), seed=i)["interval"]
            hits.append(low <= 0.1 <= high)
        cells.append(percent(hits))
    show("slope of four experiments", "normal", *cells)


# Verdicts. Arms with controls, so that a report has two families: four differences from bp, and three from the controls.

ARMS = ("bp", "grapes", "uniform", "shuffled-fixed", "inverse")


def scores_of(draw, decimals=17):
    def study(random, n, shift):
        level = 0.5 + 0.02 * random.standard_normal(n)
        return {"scores": {arm: dict(enumerate(np.round(level + (shift if arm != "bp" else 0) + 0.01 * draw(random, n), decimals)))
                           for arm in ARMS}}
    return study


def examples_of(favor, m=300):
    def study(random, n, shift):
        chance = random.uniform(0.3, 0.7, m)
        right = {arm: random.random((n, m)) < chance + favor * random.choice([-1, 1], m) + (shift if arm != "bp" else 0) for arm in ARMS}
        return {"right": {arm: {seed: "".join("01"[int(one)] for one in row) for seed, row in enumerate(table)}
                          for arm, table in right.items()},
                "scores": {arm: dict(enumerate(table.mean(1))) for arm, table in right.items()}}
    return study


def reports(study, n, shift, margin, number):
    random = np.random.default_rng(n)
    return ask(["differences", {**study(random, n, shift), "smallest_effect": margin}] for _ in range(number))


def verdicts():
    rows = [("normal", scores_of(normal), 0.01), ("exponential", scores_of(exponential), 0.01),
            ("normal, in hundredths", scores_of(normal, 2), 0.01),
            ("300 examples that favor arms a little", examples_of(0.1), 0.02),
            ("300 examples that favor arms", examples_of(0.25), 0.02)]
    show("scores", "seeds", "a difference from `bp`", "a difference from a control", "Holm p below 0.05", "“no difference” at the smallest effect")
    show("---", "---:", "---:", "---:", "---:", "---:")
    for name, study, margin in rows:
        for n in SIZES:
            null = reports(study, n, 0, 0.01, FEW)  # points: so small that nothing is negligible
            edge = reports(study, n, margin, 100 * margin, FEW // 8)

            def found(control, holds):
                return percent([any(holds(one) for one in report if one["control"] == control) for report in null])

            def differs(one):
                return one["verdict"] in ("better", "worse", "negligible")

            show(name, str(n), found(False, differs), found(True, differs), found(False, lambda one: (one["p_holm"] or 1) < 0.05),
                 percent([np.mean([one["verdict"] == "no difference" for one in report if not one["control"]]) for report in edge]))


def resampling():
    tests.ResamplingTest.SETS = 1000
    suite = unittest.TestLoader().loadTestsFromTestCase(tests.ResamplingTest)
    sys.exit(not unittest.TextTestRunner().run(suite).wasSuccessful())


R = """
options(warn = -1)  # ties, and tables that do not vary
suppressMessages({library(jsonlite); library(survey); library(exactRankTests); library(metafor)})
sets <- fromJSON(commandArgs(TRUE)[1], simplifyVector = FALSE)
numbers <- function(x) as.numeric(unlist(x))
over <- function(name, f) lapply(sets[[name]], f)
answers <- list(
  t = over("x", function(x) as.numeric(t.test(numbers(x))$conf.int)),
  prediction = over("x", function(x) as.numeric(predict(lm(y ~ 1, data.frame(y = numbers(x))), interval = "prediction")[1, 2:3])),
  logit = over("share", function(x) as.numeric(confint(
    svyciprop(~y, svydesign(ids = ~1, weights = ~one, data = data.frame(y = numbers(x), one = 1)), method = "xlogit")))),
  wilcoxon = over("d", function(x) { x <- numbers(x); if (any(x != 0)) wilcox.exact(x, exact = TRUE)$p.value else -1 }),
  holm = over("p", function(p) as.list(p.adjust(numbers(p), "holm"))),
  equivalence = over("x", function(x) max(t.test(numbers(x), mu = -1, alternative = "greater")$p.value,
                                          t.test(numbers(x), mu = 1, alternative = "less")$p.value)),
  middle = over("x", function(x) mean(numbers(x), trim = 0.25)),
  wins = over("x", function(x) { x <- numbers(x); y <- x[seq(2, length(x), 2)]
                                 as.numeric(wilcox.test(x, y, exact = FALSE)$statistic) / (length(x) * length(y)) }),
  crossed = over("table", function(rows) {
    table <- do.call(rbind, lapply(rows, numbers)); n <- nrow(table); m <- ncol(table)
    cells <- data.frame(y = c(table), row = factor(c(row(table))), column = factor(c(col(table))))
    ms <- anova(lm(y ~ row + column, cells))[["Mean Sq"]]
    (ms[1] + max(0, ms[2] - ms[3])) / (n * m) }),
  line = over("line", function(one) {
    points <- data.frame(x = numbers(one$x), y = numbers(one$y), v = numbers(one$v), group = unlist(one$group))
    found <- rma.mv(y, v, mods = ~x, random = ~1 | group, data = points, method = "REML")
    c(as.numeric(found$b), found$sigma2) }))
write(toJSON(answers, digits = I(17), auto_unbox = TRUE), commandArgs(TRUE)[2])
"""


def r():
    random = np.random.default_rng(1)
    sets = {"x": [random.standard_normal(random.integers(2, 30)) for _ in range(1000)],
            "share": [random.beta(*10 ** random.uniform(-1, 2, 2), random.integers(2, 21)) for _ in range(1000)],
            "d": [np.round(random.normal(0.3, 1, random.integers(2, 26)), 1) for _ in range(1000)],
            "p": [random.beta(0.3, 1, random.integers(2, 13)) for _ in range(1000)],
            "table": [random.choice([-1, 0, 1], (random.integers(2, 9), random.integers(2, 40)), p=[0.1, 0.8, 0.1]) for _ in range(1000)]}
    lines = []
    for _ in range(100):
        points = dose_response_test.simulated(0.1, random, between=0.5, seeds=10)
        lines.append({"x": np.array([p.dose for p in points]), "y": np.array([np.mean(list(p.pairs.values())) for p in points]),
                      "v": np.array([np.var(list(p.pairs.values()), ddof=1) / 10 for p in points]), "group": [p.experiment for p in points]})
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "sets.json", Path(folder) / "answers.json"
        given.write_text(json.dumps({**sets, "line": lines}, default=np.ndarray.tolist))
        subprocess.run(["Rscript", "-e", R, given, found], check=True)
        theirs = json.loads(found.read_text())
    sixth = [x[1::2] for x in sets["x"]]
    ours = {"t": ask(["mean_interval", x, None, None, 0.95] for x in sets["x"]),
            "prediction": [result_tables.prediction_interval(x.mean(), x.std(ddof=1), len(x), 1) for x in sets["x"]],
            "logit": ask(["mean_interval", x, 0, 1, 0.95] for x in sets["share"]),
            "wilcoxon": [-1 if p is None else p for p in ask(["wilcoxon", d] for d in sets["d"])],
            "holm": ask(["holm", p] for p in sets["p"]),
            "equivalence": ask(["equivalence", x, 1] for x in sets["x"]),
            "middle": [value for value, _, _ in ask(["interquartile_mean", [x.tolist()]] for x in sets["x"])],
            "wins": [value for value, _, _ in ask(["probability_of_improvement", [x.tolist()], [y.tolist()]]
                                                  for x, y in zip(sets["x"], sixth))],
            "crossed": [error**2 for error in ask(["crossed_error", table] for table in sets["table"])],
            "line": [dose_response.line(one["x"], one["y"], one["v"], np.array(one["group"])) for one in lines]}
    for name, values in ours.items():
        furthest = max(np.max(np.abs(np.array(a, float) - np.array(b, float)) / np.maximum(1, np.abs(np.array(b, float))))
                       for a, b in zip(values, theirs[name]))
        show(name, str(len(values)), f"{furthest:.1e}")


if __name__ == "__main__":
    studies = {one.__name__: one for one in (coverage, slope, verdicts, resampling, r)}
    if len(sys.argv) != 2 or sys.argv[1] not in studies:
        sys.exit(__doc__)
    studies[sys.argv[1]]()
