"""Whether two histograms are of one distribution, many columns at once.

Where nothing changed, no answer here is an alarm more often than it says, however few rows there
are: ``benchmarks/drift.py --false-alarms`` counts it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_SAFETY = 3.0
"""Two sides, and 1.5: an exact tail is at most 1.42 times that of the signed root."""

_EXPECTED, _HEAVY = 10.0, 10.0
"""Least rows expected in a bin of a chi-square test, and by how much its tail may be heavier: some
4 times at 1e-5, as simulated."""


def of_share(a: Array, n: Array, b: Array, m: Array) -> Array:
    """Compare shares: `a` of `n` rows before, `b` of `m` rows now.

    The signed root of the likelihood ratio, half a row nearer to what is expected: within a factor
    of 1.5 of Fisher's exact test in either tail, at any number of rows, and as fast as a logarithm.

    Parameters
    ----------
    a, n, b, m : arrays that go together

    Returns
    -------
    array
        Two-sided p-values; 1 where a side has no rows.

    Examples
    --------
    >>> of_share(np.array([50]), np.array([1000]), np.array([5, 25]), np.array([100])).round(4)
    array([1., 0.])
    """
    from scipy.special import ndtr, xlogy

    total = np.maximum(n + m, 1)
    expected = (a + b) * m / total
    apart = b - expected
    near = expected + np.sign(apart) * np.maximum(np.abs(apart) - 0.5, 0)
    ratio = np.zeros(np.broadcast(a, n, b, m).shape)
    for seen, wanted in (
        (near, expected),
        (m - near, m - expected),
        (a + b - near, a + b - expected),
        (n - a - b + near, n - a - b + expected),
    ):
        ratio += xlogy(np.maximum(seen, 0), np.maximum(seen, 0) / np.where(wanted > 0, wanted, 1))
    p: Array = np.minimum(_SAFETY * ndtr(-np.sqrt(np.maximum(2 * ratio, 0))), 1)
    p[np.broadcast_to((n == 0) | (m == 0), p.shape)] = 1
    return p


def of_bins(before: Array, now: Array, is_ordered: Array) -> Array:
    """Compare histograms, each column by the share of every bin, and by all of them together.

    Bins that are in an order are compared by the shares below each edge too, as a shift moves many
    of them a little. These tests are exact, so that rare levels and few rows do no harm; that of
    all bins together, Pearson's, sees what moves many bins by a little each.

    Parameters
    ----------
    before, now : arrays of shape (n_columns, n_bins)
        Rows in each bin; bins that a column has not hold none.
    is_ordered : array of shape (n_columns,), bool

    Returns
    -------
    array of shape (n_columns,)
        p-values. They hold for each column whatever its distribution is.
    """
    n, m = before.sum(1, keepdims=True), now.sum(1, keepdims=True)
    n_bins = (before + now > 0).sum(1)
    least = of_share(before, n, now, m).min(1, initial=1)
    below = of_share(before.cumsum(1), n, now.cumsum(1), m).min(1, initial=1)
    n_tests = np.where(is_ordered, 2 * n_bins - 1, n_bins)
    least = np.where(is_ordered, np.minimum(least, below), least)
    single = np.maximum(n_tests, 1) * least
    found: Array = np.minimum(2 * np.minimum(single, _HEAVY * _pearson(before, now)), 1)
    return found


def _pearson(before: Array, now: Array) -> Array:
    """Chi-square test of homogeneity; bins of few rows are taken as one, or left out."""
    from scipy.special import gammaincc

    n, m = before.sum(1, keepdims=True), now.sum(1, keepdims=True)
    smaller = np.minimum(n, m) / np.maximum(n + m, 1)
    is_small = (before + now) * smaller < _EXPECTED
    sides = [np.c_[one * ~is_small, (one * is_small).sum(1)] for one in (before, now)]
    is_kept = (sides[0] + sides[1]) * smaller >= _EXPECTED
    before, now = (one * is_kept for one in sides)
    n, m = before.sum(1, keepdims=True), now.sum(1, keepdims=True)
    expected = (before + now) * m / np.maximum(n + m, 1)
    parts = (now - expected) ** 2 / np.where(expected > 0, expected, 1)
    statistic = parts.sum(1) * ((n + m) / np.maximum(n, 1))[:, 0]
    degrees = is_kept.sum(1) - 1
    p: Array = gammaincc(np.maximum(degrees, 1) / 2, statistic / 2)
    return np.where(degrees > 0, p, 1.0)


def stability_index(before: Array, now: Array) -> Array:
    """Population stability index (PSI) of each column, half a row added to each bin that is used.

    Parameters
    ----------
    before, now : arrays of shape (n_columns, n_bins)

    Examples
    --------
    >>> stability_index(np.array([[500, 500]]), np.array([[500, 500], [900, 100]])).round(2)
    array([0.  , 0.88])
    """
    is_used = before + now > 0
    shares = []
    for one in (before, now):
        smooth = (one + 0.5) * is_used
        shares.append(smooth / np.maximum(smooth.sum(1, keepdims=True), 1e-300))
    first, second = (np.where(is_used, one, 1.0) for one in shares)
    found: Array = ((second - first) * np.log(second / first)).sum(1)
    return found


def index_by_chance(before: Array, now: Array) -> Array:
    """Mean of the stability index where nothing changed: bins less one, by 1/n + 1/m.

    Parameters
    ----------
    before, now : arrays of shape (n_columns, n_bins)
    """
    rows = 1 / np.maximum(before.sum(1), 1) + 1 / np.maximum(now.sum(1), 1)
    found: Array = np.maximum((before + now > 0).sum(1) - 1, 0) * rows
    return found


def adjusted(p: Array) -> Array:
    """Adjust p-values for their number: Benjamini and Hochberg's, none below Bonferroni's least.

    Where nothing changed, the least of them is below a level at most that often, however the
    columns depend on each other (Bonferroni). Where something did, of those named at most that
    part is named wrongly, on average, if they depend positively on each other (Benjamini and
    Yekutieli 2001).

    Examples
    --------
    >>> adjusted(np.array([0.001, 0.02, 0.5])).round(3)
    array([0.003, 0.03 , 0.5  ])
    """
    from scipy.stats import false_discovery_control

    if not len(p):
        return p
    found: Array = np.maximum(false_discovery_control(p), min(1.0, len(p) * p.min()))
    return found
