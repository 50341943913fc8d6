"""Equations by which a number is made from a few columns: sums, products, and sums with fees.

They are searched from the best column on (orthogonal matching pursuit: Pati, Rezaiifar and
Krishnaprasad 1993), on one half of the rows, and judged on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.one_column import Values, explained, halves

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_MOST_TERMS = 6
_EXACT = 0.9995
_KNOWN = 0.9
_FEWEST_ROWS = 40
_FEES = 12
"""Amounts, at most, by which a sum may differ from the target."""
_WITH_FEES = 0.9


@dataclass(frozen=True)
class Equation:
    """What a target is."""

    columns: tuple[str, ...]
    text: str
    """The right side, for people."""
    share: float
    """Part of the rows that it holds in, where it is told by counting; else 1."""


def equation(
    y: Array, columns: list[Values], seed: int, *, is_exact: bool = False
) -> Equation | None:
    """Find what makes up a target, if a few columns do.

    Parameters
    ----------
    y : array of shape (n,)
    columns : list of Values of shape (n,)
        Of numbers; those with many missing values are left out.
    seed : int
    is_exact : bool
        Whether the target is a code: then only sums count, and they hold in every row.
    """
    usable = [one for one in columns if np.isfinite(one.numbers).mean() >= _KNOWN]
    if not usable:
        return None
    rows = np.all([np.isfinite(one.numbers) for one in usable], axis=0)
    if rows.sum() < _FEWEST_ROWS or rows.mean() < _KNOWN / 2:
        return None
    y = y[rows]
    usable = [Values(one.name, one.numbers[rows], is_category=False) for one in usable]
    found = _sum(y, usable, seed)
    if found or is_exact:
        return found
    return _product(y, usable, seed) or _sum_with_fees(y, usable)


def _sum(y: Array, columns: list[Values], seed: int) -> Equation | None:
    matrix = np.column_stack([one.numbers for one in columns])
    chosen = _pursued(matrix, y, seed)
    if chosen is None or len(chosen) < 2:
        return None
    weights = _weights(matrix[:, chosen], y)
    terms = [_term(w, columns[i].name) for w, i in zip(weights[1:], chosen, strict=True)]
    names = tuple(columns[i].name for i in chosen)
    return Equation(names, _joined(terms, float(weights[0]), float(np.std(y))), 1.0)


def _term(weight: float, name: str) -> str:
    sign, size = "-" if weight < 0 else "+", abs(weight)
    return f"{sign} '{name}'" if abs(size - 1) < 1e-3 else f"{sign} {size:.4g} × '{name}'"


def _joined(terms: list[str], constant: float, scale: float) -> str:
    rest = (
        []
        if abs(constant) < 1e-3 * scale
        else [f"{'-' if constant < 0 else '+'} {abs(constant):.4g}"]
    )
    return " ".join([*terms, *rest]).removeprefix("+ ")


def _product(y: Array, columns: list[Values], seed: int) -> Equation | None:
    """Powers of columns, multiplied: what is positive is a sum of logarithms."""
    positive = [one for one in columns if (one.numbers > 0).all()]
    if not positive or not (y > 0).all():
        return None
    matrix = np.log(np.column_stack([one.numbers for one in positive]))
    chosen = _pursued(matrix, np.log(y), seed)
    if chosen is None or len(chosen) < 2:
        return None
    weights = _weights(matrix[:, chosen], np.log(y))[1:]
    factors = [_power(w, positive[i].name) for w, i in zip(weights, chosen, strict=True)]
    return Equation(
        tuple(positive[i].name for i in chosen), "a multiple of " + " × ".join(factors), 1.0
    )


def _power(exponent: float, name: str) -> str:
    whole = round(exponent)
    shown = f"{whole}" if abs(exponent - whole) < 0.01 else f"{exponent:.3g}"
    return f"'{name}'" if shown == "1" else f"'{name}'^{shown}"


def _pursued(matrix: Array, y: Array, seed: int) -> list[int] | None:
    """Places of the fewest columns whose weighted sum is the target on rows not learnt from."""
    learn, judge = next(halves(len(y), seed))
    centred, scaled = y - y[learn].mean(), _standardized(matrix, learn)
    chosen: list[int] = []
    rest = centred
    while len(chosen) < min(_MOST_TERMS, matrix.shape[1]):
        gains = np.abs(scaled[learn].T @ rest[learn])
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        weights = _weights(scaled[learn][:, chosen], centred[learn])
        rest = centred - weights[0] - scaled[:, chosen] @ weights[1:]
        if _is_nothing(rest[judge], centred[judge]):
            return _needed(scaled, centred, learn, judge, chosen)
    return None


def _standardized(matrix: Array, learn: Array) -> Array:
    spread = matrix[learn].std(axis=0)
    return np.asarray((matrix - matrix[learn].mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _is_nothing(rest: Array, y: Array) -> bool:
    return explained(y, y - rest) >= _EXACT


def _needed(scaled: Array, y: Array, learn: Array, judge: Array, chosen: list[int]) -> list[int]:
    """Those of the chosen without which the rest would not be nothing."""
    kept = list(chosen)
    for one in chosen:
        others = [i for i in kept if i != one]
        if not others:
            break
        weights = _weights(scaled[learn][:, others], y[learn])
        if _is_nothing(y[judge] - weights[0] - scaled[judge][:, others] @ weights[1:], y[judge]):
            kept = others
    return kept


def _weights(matrix: Array, y: Array) -> Array:
    """Least squares: the constant, then a weight for each column."""
    with_one = np.column_stack([np.ones(len(y)), matrix])
    return np.asarray(np.linalg.lstsq(with_one, y, rcond=None)[0])


def _sum_with_fees(y: Array, columns: list[Values]) -> Equation | None:
    """Plain sum of columns from which the target differs by one of a few amounts."""
    chosen: list[Values] = []
    rest, share = y, 0.0
    step = _step(y)
    while len(chosen) < _MOST_TERMS:
        tried = [(_few(rest - one.numbers, step), one) for one in columns if one not in chosen]
        if not tried:
            break
        best, one = max(tried, key=lambda pair: pair[0])
        if best <= share + 0.01:
            break
        share, rest = best, rest - one.numbers
        chosen.append(one)
    if len(chosen) < 2 or share < _WITH_FEES or _few(y, step) > share / 2:
        return None
    text = " + ".join(f"'{one.name}'" for one in chosen)
    return Equation(
        tuple(one.name for one in chosen), f"{text} and one of {_FEES} amounts, or fewer,", share
    )


def _step(y: Array) -> float:
    """Unit that amounts are counted in: a hundredth, or a whole where all are whole."""
    return 1.0 if (y % 1 == 0).all() else 0.01


def _few(rest: Array, step: float) -> float:
    """Part of the rows that have one of the most frequent values."""
    counts = np.unique(np.round(rest / step), return_counts=True)[1]
    return float(np.sort(counts)[-_FEES:].sum() / len(rest))
