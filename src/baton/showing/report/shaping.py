"""From Baton's objects to the parts of a report: metrics, importances, rows worth explaining.

Pure functions of tables and arrays. Drawing belongs in ``baton.showing.plots``, reading tables in
``tasks/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton import distribution
from baton.evaluation.shapley import strongest
from baton.metric import INFO, Metric
from baton.showing.plots.importance import loss_label
from baton.showing.report.parts import Cell, Contribution, Measured, ReportTable
from baton.terms import Kind
from baton.words.text import elide, elided, number, percent, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from baton.chain.events import Coverage, DecisionThreshold
    from baton.evaluation.importance import Importance
    from baton.evaluation.shapley import ShapValues
    from baton.models.deciding import Deciding
    from baton.models.threshold import Threshold
    from baton.selection import Line

_CLASS_COLUMNS = 10
_CLASS_FEATURES = 4
_LIBRARIES = (
    distribution.NAME,
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "xgboost",
    "shap",
    "mlflow",
)


def measured(
    values: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    baseline: dict[str, float],
    champion: dict[str, float] | None = None,
    unit: str = "",
) -> tuple[Measured, ...]:
    """Join metrics with what to compare them with; `unit` is the target's."""
    return tuple(
        Measured(
            name=Metric(name),
            value=value,
            interval=intervals.get(name),
            baseline=baseline.get(name),
            champion=(champion or {}).get(name),
            unit=unit if INFO[Metric(name)].has_target_unit else "",
        )
        for name, value in values.items()
    )


def answer_tables(
    deciding: Deciding,
    coverage: Coverage | None,
    threshold: DecisionThreshold | None,
    n_test: int,
) -> Iterator[ReportTable]:
    """How the model's output becomes an answer, and what that does to the held-out rows."""
    if coverage is not None:
        promised, held = percent(coverage.level), f"{100 * coverage.held_out:.1f} %"
        yield ReportTable(
            caption="Prediction intervals",
            columns=("intervals of", "held-out rows", "they hold", "mean width"),
            rows=((promised, n_test, held, coverage.width),),
            note="Columns low and high of the predictions: made from the errors on training rows of"
            " models that did not learn from them.",
        )
    if threshold is not None and deciding.threshold is not None:
        yield _threshold_table(deciding.threshold, threshold)
    if deciding.inverse_temperature is not None:
        yield ReportTable(
            caption="Calibration",
            columns=("", "margins are multiplied by"),
            rows=(("temperature scaling", deciding.inverse_temperature),),
            note="Shapley values explain the margin before it.",
        )


def _threshold_table(found: Threshold, held_out: DecisionThreshold) -> ReportTable:
    """Precision and recall at a threshold, where it was found and on the rows held out."""
    return ReportTable(
        caption=f"Threshold of {held_out.positive} for {found.goal}",
        columns=("rows", "threshold", "precision", "recall"),
        rows=(
            ("training, out of fold", found.value, found.precision, found.recall),
            ("held out", found.value, held_out.precision, held_out.recall),
        ),
        note="" if found.is_reached else "No threshold reaches the goal; this is the nearest.",
    )


def importance_table(
    permutation: Importance | None = None, shap_global: pd.DataFrame | None = None
) -> ReportTable:
    """Permutation importance beside mean absolute SHAP value, most important feature first.

    Parameters
    ----------
    permutation : Importance, optional
    shap_global : DataFrame, optional
        From :func:`baton.evaluation.shapley.global_importance`; several classes are averaged.
    """
    columns = ["feature"]
    lines: dict[str, list[Cell]] = {}
    if permutation is not None:
        columns += [loss_label(permutation.metric)[0], "standard deviation"]
        frame = permutation.frame()
        lines = {
            str(name): [float(mean), float(std)]
            for name, mean, std in zip(frame["feature"], frame["mean"], frame["std"], strict=True)
        }
    if shap_global is not None:
        width = len(columns) - 1
        columns.append("mean |SHAP value|")
        for name, mean in strongest(shap_global).items():
            lines[name] = [*lines.get(name, [None] * width), mean]
    rows = tuple((name, *values) for name, values in lines.items())
    return ReportTable(caption="Importance of each feature", columns=tuple(columns), rows=rows)


def leaderboard_table(lines: Sequence[Line], metric: Metric) -> ReportTable:
    """Candidates with score, interval, what they are behind and what they cost, the best first."""
    label = INFO[metric].label
    return ReportTable(
        caption=f"Candidates by {label} on rows they were not fitted on, the best first",
        columns=(
            "candidate",
            label,
            "95 % interval",
            "behind the first",
            "fit, s",
            "rows/s",
            "kB",
            "weight",
        ),
        rows=tuple(_candidate(line) for line in lines),
        note=(
            "What a candidate is behind is measured on the same rows, with its 95 % interval; a"
            " fit, and the size at rest, are of one fold."
        ),
    )


def _candidate(line: Line) -> tuple[Cell, ...]:
    return (
        line.candidate,
        line.score,
        _range(line.low, line.high),
        _behind(line),
        line.fit_seconds,
        round(line.rows_per_second),
        round(line.n_bytes / 1000, 1),
        line.weight or None,
    )


def _behind(line: Line) -> Cell:
    if line.behind is None or line.behind_low is None:
        return None
    return f"{number(line.behind)} ({_range(line.behind_low, line.behind_high)})"


def _range(low: float | None, high: float | None) -> Cell:
    return None if low is None or high is None else f"{number(low)} to {number(high)}"


def class_importance_table(shap_global: pd.DataFrame) -> ReportTable | None:
    """Mean absolute SHAP value of every feature and class; None where there are no classes.

    Parameters
    ----------
    shap_global : DataFrame
        From :func:`baton.evaluation.shapley.global_importance`.
    """
    labels = list(shap_global["class"].drop_duplicates())
    if len(labels) < 2:
        return None
    if len(labels) > _CLASS_COLUMNS:
        return _strongest_table(shap_global)
    rows = tuple(
        (str(name), *map(float, lines["mean_abs_shap"]))
        for name, lines in shap_global.groupby("feature", sort=False)
    )
    columns = ("feature", *(elide(label) for label in labels))
    return ReportTable(
        caption="Mean |SHAP value| of each feature and class", columns=columns, rows=rows
    )


def _strongest_table(shap_global: pd.DataFrame) -> ReportTable:
    """Few features of each of many classes, for which a column each would be too wide."""
    rows = []
    for label, lines in shap_global.groupby("class", sort=True, observed=True):
        first = lines.nlargest(_CLASS_FEATURES, "mean_abs_shap")
        pairs = zip(elided(first["feature"]), first["mean_abs_shap"], strict=True)
        rows.append((shown(label), ", ".join(f"{name} ({number(one)})" for name, one in pairs)))
    return ReportTable(
        caption="Strongest features of each class",
        columns=("class", "features, with their mean |SHAP value|"),
        rows=tuple(rows),
    )


def contributions(
    found: ShapValues, table: pd.DataFrame, row: int, output: int, most: int = 8
) -> tuple[Contribution, ...]:
    """Features that moved one row's output most.

    Parameters
    ----------
    found : ShapValues
    table : DataFrame of shape (n_rows, ≥ n_features)
        The rows that were explained, in the user's columns.
    row : int
        Place of the row among them.
    output : int
        Place of the class; 0 for two classes and for a regression.
    most : int
    """
    values = found.values[row, :, output]
    line = table.iloc[row]
    line.index = line.index.map(str)
    return tuple(
        Contribution(
            feature=found.features[place],
            value=shown(line[found.features[place]]),
            shap=float(values[place]),
        )
        for place in np.argsort(-np.abs(values), kind="stable")[:most].tolist()
    )


def rows_worth_explaining(
    kind: Kind, y_true: Any, output: Any, classes: tuple[Any, ...] = (), said: Any = None
) -> tuple[tuple[int, str], ...]:
    """Up to three rows, and why: where the model is right, where it errs, where it wavers.

    Parameters
    ----------
    kind : Kind
    y_true : array-like of shape (n,)
    output : array-like
        Probabilities of `classes`, or predicted numbers.
    classes : tuple
    said : int array of shape (n,), optional
        Class that each row is said to be of, by its place; the most probable one if not given.

    Returns
    -------
    tuple of (place of the row, reason)
    """
    if len(y_true) == 0:
        return ()
    if kind is Kind.REGRESSION:
        errors = np.asarray(y_true, dtype=np.float64) - np.asarray(output, dtype=np.float64)
        ranked = np.argsort(np.nan_to_num(np.abs(errors)), kind="stable")
        chosen = [
            (int(ranked[len(ranked) // 2]), "the row of median error"),
            (int(np.nanargmax(errors)), "the most underestimated row"),
            (int(np.nanargmin(errors)), "the most overestimated row"),
        ]
    else:
        proba = np.asarray(output)
        codes = proba.argmax(axis=1) if said is None else np.asarray(said)
        chosen = _classified_rows(np.asarray(y_true), proba, codes, classes)
    return tuple({place: (place, why) for place, why in reversed(chosen)}.values())[::-1]


def _classified_rows(
    actual: np.ndarray[Any, Any],
    proba: np.ndarray[Any, Any],
    codes: np.ndarray[Any, Any],
    classes: tuple[Any, ...],
) -> list[tuple[int, str]]:
    highest = proba.max(axis=1)
    is_right = np.asarray(classes)[codes] == actual
    found = []
    if is_right.any():
        place = int(np.where(is_right, highest, -1).argmax())
        found.append((place, "the most certain of the right predictions"))
    if not is_right.all():
        place = int(np.where(is_right, -1, highest).argmax())
        found.append((place, "the most certain of the wrong predictions"))
    return [*found, (int(highest.argmin()), "the least certain prediction")]


def environment(brought: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers.

    Parameters
    ----------
    brought : iterable of (str, str)
        Name and version of packages that bring the model's families.
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"Python": platform.python_version(), "system": platform.platform(terse=True)}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found | dict(brought)
