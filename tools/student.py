"""Quantiles of Student's t distribution. Those of SciPy before 1.12 are off by up to 1e-8; its tail probabilities are exact."""
import numpy as np
from scipy import stats


def quantile(p, df):
    """Return t with P(T <= t) = p, for p of at least 0.5."""
    t = stats.t.ppf(p, df)
    for _ in range(2):  # Newton's method
        t = t + (stats.t.sf(t, df) - (1 - p)) / stats.t.pdf(t, df)
    return t


def interval(x, confidence=0.95):
    """Return the interval for the mean of the numbers x."""
    half = quantile(0.5 + confidence / 2, len(x) - 1) * stats.sem(x)
    return np.mean(x) - half, np.mean(x) + half
