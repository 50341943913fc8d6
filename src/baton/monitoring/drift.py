"""How far new rows are from what was learned from, and whether anybody should be told.

Pure decisions of counts. Counting rows belongs in ``counts``, telling anybody in ``flows/``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from baton.monitoring.apart import told_apart
from baton.monitoring.columns import ColumnProfile, Side
from baton.monitoring.homogeneity import (
    adjusted,
    index_by_chance,
    of_bins,
    of_share,
    stability_index,
)
from baton.monitoring.profile import Counts
from baton.words.text import counted, listed, number, percent, quoted

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

_OF_COLUMNS = 0.9
"""Part of the level that is the columns'; the rest is the classifier's."""

_LEAST_AUC = 0.65
"""Below it a classifier raises no alarm, whatever the number of rows."""

MISSING = "(missing)"


class Watch(BaseModel):
    """What is an alarm."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    level: float = Field(default=0.01, gt=0, le=0.5)
    """Chance that an alarm is false, over all columns together."""
    psi: float = Field(default=0.2, ge=0, le=100)
    """Least population stability index of a column that is worth an alarm."""
    least_rows: int = Field(default=50, ge=1, le=1_000_000_000)
    """With fewer new rows there is no verdict."""


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column is from what it was."""

    name: str
    kind: Side
    says_date: bool
    """Whether it only says the calendar; then it is no alarm."""
    psi: float
    psi_by_chance: float
    """What the index is on average where nothing changed."""
    p: float
    """Chance of counts as far apart as these where nothing changed."""
    p_adjusted: float
    """The same, for the least of as many columns as there are."""
    missing_before: float
    """Share of the rows."""
    missing_now: float
    unknown_now: float
    """Share of the rows with a level that training never saw."""
    is_drifted: bool
    bins: tuple[tuple[str, float, float], ...]
    """Label, share of the rows before, share now; without bins that nothing fell into."""


@dataclass(frozen=True)
class Drift:
    """How far new rows are from what was learned from."""

    n_rows: int
    columns: tuple[ColumnDrift, ...]
    """The most drifted first."""
    schema_changes: tuple[str, ...]
    is_drifted: bool
    reason: str
    """One plain line."""
    watch: Watch
    lost: tuple[str, ...] = ()
    """Columns that are missing altogether."""
    auc: float | None = None
    """Of a classifier that tells new rows from old ones."""
    auc_noise: float | None = None
    """Its standard deviation where they are alike."""
    told_by: tuple[tuple[str, float], ...] = ()
    """Columns with the classifier's mean absolute Shapley values, the greatest first."""

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """Those columns that are an alarm."""
        return tuple(column for column in self.columns if column.is_drifted)

    @property
    def has_verdict(self) -> bool:
        """Whether there were rows enough."""
        return self.n_rows >= self.watch.least_rows


def compare(counts: Counts, watch: Watch) -> Drift:
    """Compare new rows with a profile, column by column.

    Where nothing changed, an alarm is raised with a chance of at most `watch.level`, however the
    columns depend on each other; that rows are independent is taken for granted. What is more than
    chance is an alarm only if it is far enough, too.

    Parameters
    ----------
    counts : Counts
    watch : Watch
    """
    found = _columns(counts, watch)
    order = sorted(found, key=lambda one: (-one.is_drifted, one.says_date, -one.psi))
    lost = tuple(one for one in counts.lost if not _says_date(counts, one))
    drift = Drift(
        n_rows=counts.n_rows,
        columns=tuple(order),
        schema_changes=counts.schema_changes,
        is_drifted=bool(lost) or any(one.is_drifted for one in found),
        reason="",
        watch=watch,
        lost=lost,
    )
    return replace(drift, reason=_reason(drift))


def _says_date(counts: Counts, name: str) -> bool:
    return any(one.says_date for one in counts.profile.columns if one.name == name)


@dataclass(frozen=True)
class _Seen:
    """Columns of a profile and of new rows beside each other; arrays have a row for each."""

    columns: list[ColumnProfile]
    now: list[Array]
    """Rows in each bin as they were counted."""
    before: Array
    after: Array
    """Rows in each bin as they are compared, shape (n_columns, n_bins)."""
    lacked: Array
    """Rows, and those that lacked it, before: shape (2, n_columns)."""
    lacks: Array
    """The same now."""

    @classmethod
    def of(cls, counts: Counts) -> _Seen:
        """Take those columns that there are new rows of."""
        places = np.flatnonzero(counts.rows)
        columns = [counts.profile.columns[i] for i in places]
        now = [counts.values[i] for i in places]
        sides = [_sides(*pair) for pair in zip(columns, now, strict=True)]
        lacked = np.array([[one.n_rows, one.n_missing] for one in columns], dtype=float)
        lacks = np.array([counts.rows[places], counts.missing[places]], dtype=float)
        before, after = (_stacked([side[which] for side in sides]) for which in (0, 1))
        return cls(columns, now, before, after, lacked.T, lacks)

    @property
    def whole(self) -> tuple[Array, Array]:
        """Rows in each bin, before and now, and behind them those that lack the column."""
        return _with_missing(self.before, *self.lacked), _with_missing(self.after, *self.lacks)


def _columns(counts: Counts, watch: Watch) -> list[ColumnDrift]:
    if not counts.rows.any():
        return []
    seen = _Seen.of(counts)
    p, whole = _p_values(seen), seen.whole
    corrected = _corrected(p, np.array([one.says_date for one in seen.columns]))
    psi, by_chance = stability_index(*whole), index_by_chance(*whole)
    is_far = (corrected < watch.level) & (psi >= watch.psi)
    is_judged = counts.n_rows >= watch.least_rows
    return [
        ColumnDrift(
            **_facts(seen, i, whole),
            psi=float(psi[i]),
            psi_by_chance=float(by_chance[i]),
            p=float(p[i]),
            p_adjusted=float(corrected[i]),
            is_drifted=bool(is_far[i]) and is_judged and not column.says_date,
        )
        for i, column in enumerate(seen.columns)
    ]


def _facts(seen: _Seen, i: int, whole: tuple[Array, Array]) -> dict[str, Any]:
    """What is seen of a column, without a judgement."""
    column, n_rows = seen.columns[i], seen.lacks[0, i]
    return {
        "name": column.name,
        "kind": column.kind,
        "says_date": column.says_date,
        "missing_before": float(seen.lacked[1, i] / max(seen.lacked[0, i], 1)),
        "missing_now": float(seen.lacks[1, i] / n_rows),
        "unknown_now": _unknown(column, seen.now[i], n_rows),
        "bins": _bins(column, *(one[i] for one in whole)),
    }


def _sides(column: ColumnProfile, now: Array) -> tuple[Array, Array]:
    """Rows in each bin, before and now.

    The levels that training saw are more than those that half of its rows chose: new rows have
    fewer unknown ones. Only more of them is a change; else they are among the other levels.
    """
    sides = np.array(column.counts, dtype=float), now.astype(float)
    before, after = (one[-1] / max(one.sum(), 1) for one in sides)
    if column.has_levels and after <= before:
        for one in sides:
            one[-2:] = one[-2:].sum(), 0
    return sides


def _stacked(rows: list[Array]) -> Array:
    width = max(map(len, rows))
    return np.array([np.pad(row, (0, width - len(row))) for row in rows])


def _p_values(seen: _Seen) -> Array:
    """Chance of each column's counts: values among those known, and that they are missing."""
    is_ordered = np.array([not one.has_levels for one in seen.columns])
    of_values = of_bins(seen.before, seen.after, is_ordered)
    of_missing = of_share(seen.lacked[1], seen.lacked[0], seen.lacks[1], seen.lacks[0])
    both: Array = np.minimum(2 * np.minimum(of_values, of_missing), 1)
    return np.where(seen.lacked[1] + seen.lacks[1] > 0, both, of_values)


def _corrected(p: Array, says_date: Array) -> Array:
    """P-values for their number, and for the classifier's share of the level.

    Columns that say the date are not among those that may be an alarm: they would make room for
    others.
    """
    found: Array = np.minimum(len(p) * p, 1)
    found[~says_date] = adjusted(p[~says_date])
    of_level: Array = np.minimum(found / _OF_COLUMNS, 1)
    return of_level


def _with_missing(counts: Array, n_rows: Array, n_missing: Array) -> Array:
    """Rows in each bin, a last one for the missing; where half was counted, in proportion."""
    known = counts.sum(1)
    part = np.where(known > 0, known / np.maximum(n_rows - n_missing, 1), 1.0)
    return np.column_stack([counts, n_missing * part])


def _unknown(column: ColumnProfile, now: Array, n_rows: float) -> float:
    return float(now[-1] / n_rows) if column.has_levels and column.is_closed else 0.0


def _bins(column: ColumnProfile, before: Array, now: Array) -> tuple[tuple[str, float, float], ...]:
    n_bins = column.n_bins
    places = [*range(n_bins), -1]
    shares = [one[places] / max(one.sum(), 1) for one in (before, now)]
    lines = zip((*column.labels, MISSING), *(one.tolist() for one in shares), strict=True)
    return tuple((label, first, then) for label, first, then in lines if first or then)


def _reason(drift: Drift) -> str:
    said = "; ".join(_said(drift))
    if drift.lost:
        verb = "is" if len(drift.lost) == 1 else "are"
        return f"{quoted(drift.lost)} {verb} missing from the new rows" + (said and f"; {said}")
    return said


def _said(drift: Drift) -> Iterator[str]:
    """What the columns say."""
    if not drift.has_verdict:
        wanted = drift.watch.least_rows
        yield f"{counted(drift.n_rows, 'new row')}: too few for a verdict, {wanted:,} are wanted"
    elif drift.drifted:
        yield _moved_most(drift.drifted[0])
        judged = sum(not one.says_date for one in drift.columns)
        yield f"{len(drift.drifted)} of {counted(judged, 'column')} drifted"
    else:
        yield _unmoved([one for one in drift.columns if not one.says_date], drift.watch)


def _moved_most(column: ColumnDrift) -> str:
    facts = [f"PSI {number(column.psi)}"]
    if abs(column.missing_now - column.missing_before) >= 0.01:
        before, now = percent(column.missing_before), percent(column.missing_now)
        facts.append(f"{now} of the rows lack it, {before} did")
    if column.unknown_now >= 0.01:
        facts.append(f"{percent(column.unknown_now)} of the rows have levels never seen")
    return f"'{column.name}' moved most ({'; '.join(facts)})"


def _unmoved(columns: list[ColumnDrift], watch: Watch) -> str:
    if not columns:
        return "there is no column to judge by"
    clear = [one for one in columns if one.p_adjusted < watch.level]
    if not clear:
        least = min(columns, key=lambda one: one.p_adjusted)
        seen = f"'{least.name}' is the least likely (adjusted p {number(least.p_adjusted, 2)})"
        return f"no column moved further than chance: {seen}"
    names = listed([f"'{one.name}' (PSI {number(one.psi)})" for one in clear])
    return f"no column moved far: {names}, and {number(watch.psi)} is worth an alarm"


def with_classifier(drift: Drift, before: pd.DataFrame, now: pd.DataFrame, seed: int) -> Drift:
    """Ask a classifier to tell new rows from old ones, and by which columns it does.

    It sees the columns that both have and that do not say the date. It raises an alarm by itself
    only beyond its noise and from 0.65 on.

    Parameters
    ----------
    drift : Drift
    before, now : DataFrames of shape (≤ 3000, k)
        Samples of feature rows, of training and new.
    seed : int

    Returns
    -------
    Drift
        As it was, where there are too few rows or no column.
    """
    names = _shown(drift, before, now)
    if min(len(before), len(now)) < drift.watch.least_rows or not names:
        return drift
    found = told_apart(before[names], now[names], seed)
    is_apart = found.auc >= max(_LEAST_AUC, 0.5 + _sigmas(drift.watch) * found.noise)
    asked = replace(drift, auc=found.auc, auc_noise=found.noise, told_by=found.told_by)
    if not is_apart or drift.is_drifted or not drift.has_verdict:
        return asked
    return replace(asked, is_drifted=True, reason=_apart(asked))


def _sigmas(watch: Watch) -> float:
    from scipy.special import ndtri

    return float(-ndtri(watch.level * (1 - _OF_COLUMNS)))


def _shown(drift: Drift, before: pd.DataFrame, now: pd.DataFrame) -> list[Any]:
    """Names of columns that the classifier sees."""
    dated = {column.name for column in drift.columns if column.says_date}
    known = {column.name for column in drift.columns if column.kind == "feature"}
    both = [name for name in before.columns if name in now.columns]
    return [name for name in both if str(name) in known - dated]


def _apart(drift: Drift) -> str:
    by = f", most of all by {quoted(name for name, _ in drift.told_by[:2])}"
    return (
        "no column moved by itself, but a classifier tells new rows from old ones (ROC AUC"
        f" {drift.auc:.2f}, 0.50 ± {drift.auc_noise:.2f} if they were alike)"
        f"{by if drift.told_by else ''}"
    )
