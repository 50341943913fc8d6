"""The report of one chain: a single HTML file that needs nothing but a browser.

A :class:`Report` is plain data, :func:`render` turns it into a page; the page's text and look are
``templates/report.html.jinja``. Drawing belongs in ``baton.showing.plots``, reading tables and
writing the file in ``tasks/``.
"""

from __future__ import annotations

import base64
import struct
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator

from baton.evaluation.metrics import INFO, Metric
from baton.terms import Kind
from baton.words.text import elide, elided, number, percent, shown

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

    from baton.evaluation.importance import Importance
    from baton.evaluation.shapley import ShapValues
    from baton.showing.plots import Picture

Cell = str | int | float | None

FEW_ROWS = 100
"""Fewer held-out rows than this are worth a warning."""

_CLASS_COLUMNS = 10
_CLASS_FEATURES = 4
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LIBRARIES = ("baton", "numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "shap", "mlflow")


class Part(BaseModel):
    """Base of the report's parts: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Image(Part):
    """A picture and its words."""

    title: str
    png: bytes
    alt: str
    caption: str = ""

    @field_validator("png")
    @classmethod
    def _is_png(cls, value: bytes) -> bytes:
        if not value.startswith(_SIGNATURE):
            raise ValueError("a picture of the report must be PNG")
        return value

    @classmethod
    def of(cls, picture: Picture) -> Image:
        """Draw a picture of ``baton.showing.plots``."""
        from baton.showing.plots import png

        return cls(
            title=picture.title, png=png(picture.figure), alt=picture.alt, caption=picture.caption
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = struct.unpack(">II", self.png[16:24])
        return width, height

    @property
    def uri(self) -> str:
        """The picture itself as an address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


class Table(Part):
    """A table; its first column names the lines."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class File(Part):
    """Reference to a persisted table."""

    key: str
    digest: str
    n_rows: int


class Data(Part):
    """What the model learned from."""

    raw: File
    features: File
    n_train: int
    n_test: int
    n_features: int | None = None
    seed: int | None = None


class Model(Part):
    """Which model it is."""

    uri: str
    version: int
    family: str
    params: dict[str, Any] = {}
    digest: str = ""


class Standing(StrEnum):
    """How a metric compares with the baseline."""

    BETTER = "better"
    UNCLEAR = "unclear"
    WORSE = "worse"
    UNKNOWN = "unknown"


class Measured(Part):
    """A metric on the held-out rows, and what to compare it with."""

    name: Metric
    value: float
    interval: tuple[float, float] | None = None
    """Low and high end of the 95 % interval."""
    baseline: float | None = None
    champion: float | None = None
    unit: str = ""

    @property
    def label(self) -> str:
        """Name for people, with the unit."""
        return f"{INFO[self.name].label} [{self.unit}]" if self.unit else INFO[self.name].label

    @property
    def meaning(self) -> str:
        """How to read it."""
        info = INFO[self.name]
        direction = "higher is better" if info.greater_is_better else "lower is better"
        return f"{direction}; {info.note}" if info.note else direction

    @property
    def standing(self) -> Standing:
        """Better than the baseline only if the whole interval is."""
        if self.baseline is None:
            return Standing.UNKNOWN
        sign = 1 if INFO[self.name].greater_is_better else -1
        ends = [sign * end for end in self.interval or (self.value, self.value)]
        reference = sign * self.baseline
        if min(ends) > reference:
            return Standing.BETTER
        return Standing.WORSE if max(ends) < reference else Standing.UNCLEAR


class Contribution(Part):
    """By how much a feature's value moved one row's output."""

    feature: str
    value: str
    shap: float


class Explanation(Part):
    """One row, its prediction, and what drove it."""

    row: str
    actual: Cell = None
    predicted: Cell = None
    probability: float | None = None
    why: str = ""
    """Why this row was chosen."""
    scale: str = ""
    """What the contributions are measured in."""
    contributions: tuple[Contribution, ...] = ()
    picture: Image | None = None


class Search(Part):
    """How the hyperparameters were found."""

    study: str
    metric: Metric
    n_trials: int
    best: int
    """Number of the best trial."""
    value: float
    """Its score on rows set aside from the training rows."""
    trials: Table
    """The best trials, the best first."""
    pictures: tuple[Image, ...] = ()

    @property
    def label(self) -> str:
        """Name of the metric for people."""
        return INFO[self.metric].label


class Report(Part):
    """Everything that the report says."""

    problem: str
    kind: Kind
    target: str
    headline: Metric
    chain: str
    created: AwareDatetime
    model: Model
    data: Data
    metrics: tuple[Measured, ...]
    command: str
    """Reproduces the chain."""
    summary: str = ""
    notes: tuple[str, ...] = ()
    """What was inferred about the input."""
    warnings: tuple[str, ...] = ()
    performance: tuple[Image, ...] = ()
    drivers: tuple[Image, ...] = ()
    """Pictures of what drives the model overall."""
    importance: tuple[Table, ...] = ()
    tables: tuple[Table, ...] = ()
    """Further tables, such as the folds of a cross-validation."""
    search: Search | None = None
    explanations: tuple[Explanation, ...] = ()
    environment: dict[str, str] = {}

    @property
    def headline_metric(self) -> Measured | None:
        """The metric that decides, if it is defined on the held-out rows."""
        return next((one for one in self.metrics if one.name is self.headline), None)

    @property
    def has_champion(self) -> bool:
        """Whether there is a champion to compare with."""
        return any(one.champion is not None for one in self.metrics)

    @property
    def cautions(self) -> tuple[str, ...]:
        """Warnings: the caller's, and what follows from the numbers."""
        return (*self.warnings, *_cautions(self))

    @property
    def verdict(self) -> str:
        """How the headline metric compares with the baseline, in a sentence."""
        found = self.headline_metric
        label = INFO[self.headline].label
        if found is None:
            return f"{label} is not defined on the held-out rows."
        return {
            Standing.BETTER: "Better than the baseline, which ignores every feature.",
            Standing.UNCLEAR: "Not clearly better than the baseline, which ignores every feature.",
            Standing.WORSE: "Worse than the baseline, which ignores every feature.",
            Standing.UNKNOWN: "There is no baseline to compare with.",
        }[found.standing]


def _cautions(report: Report) -> list[str]:
    found = report.headline_metric
    label = INFO[report.headline].label
    cautions = []
    if found is None:
        cautions.append(f"The headline metric, {label}, is not defined on the held-out rows.")
    elif found.standing in (Standing.UNCLEAR, Standing.WORSE):
        relation = "reaches" if found.standing is Standing.UNCLEAR else "is on the wrong side of"
        cautions.append(
            f"The 95 % interval of {label} {relation} the baseline's {number(found.baseline or 0)}:"
            " the features may say nothing about the target."
        )
    if report.data.n_test < FEW_ROWS:
        cautions.append(
            f"Only {report.data.n_test} rows were held out; every number here is uncertain."
        )
    return cautions


# --- from Baton's objects -------------------------------------------------------------------------


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


def importance_table(
    permutation: Importance | None = None, shap_global: pd.DataFrame | None = None
) -> Table:
    """Permutation importance beside mean absolute SHAP value, most important feature first.

    Parameters
    ----------
    permutation : Importance, optional
    shap_global : DataFrame, optional
        From :func:`baton.evaluation.shapley.global_importance`; several classes are averaged.
    """
    from baton.showing.plots.importance import loss_label

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
        means = shap_global.groupby("feature", sort=False)["mean_abs_shap"].mean()
        width = len(columns) - 1
        columns.append("mean |SHAP value|")
        for name, mean in means.items():
            lines[str(name)] = [*lines.get(str(name), [None] * width), float(mean)]
    rows = tuple((name, *values) for name, values in lines.items())
    return Table(caption="Importance of each feature", columns=tuple(columns), rows=rows)


def class_importance_table(shap_global: pd.DataFrame) -> Table | None:
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
    return Table(caption="Mean |SHAP value| of each feature and class", columns=columns, rows=rows)


def _strongest_table(shap_global: pd.DataFrame) -> Table:
    """Few features of each of many classes, for which a column each would be too wide."""
    rows = []
    for label, lines in shap_global.groupby("class", sort=True, observed=True):
        first = lines.nlargest(_CLASS_FEATURES, "mean_abs_shap")
        pairs = zip(elided(first["feature"]), first["mean_abs_shap"], strict=True)
        rows.append((shown(label), ", ".join(f"{name} ({number(one)})" for name, one in pairs)))
    return Table(
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
    kind: Kind, y_true: Any, output: Any, classes: tuple[Any, ...] = ()
) -> tuple[tuple[int, str], ...]:
    """Up to three rows, and why: where the model is right, where it errs, where it wavers.

    Parameters
    ----------
    kind : Kind
    y_true : array-like of shape (n,)
    output : array-like
        Probabilities of `classes`, or predicted numbers.
    classes : tuple

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
        chosen = _classified_rows(np.asarray(y_true), np.asarray(output), classes)
    return tuple({place: (place, why) for place, why in reversed(chosen)}.values())[::-1]


def _classified_rows(
    actual: np.ndarray[Any, Any], proba: np.ndarray[Any, Any], classes: tuple[Any, ...]
) -> list[tuple[int, str]]:
    highest = proba.max(axis=1)
    is_right = np.asarray(classes)[proba.argmax(axis=1)] == actual
    found = []
    if is_right.any():
        place = int(np.where(is_right, highest, -1).argmax())
        found.append((place, "the most certain of the right predictions"))
    if not is_right.all():
        place = int(np.where(is_right, -1, highest).argmax())
        found.append((place, "the most certain of the wrong predictions"))
    return [*found, (int(highest.argmin()), "the least certain prediction")]


def environment() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"Python": platform.python_version(), "system": platform.platform(terse=True)}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


# --- page -----------------------------------------------------------------------------------------


def render(report: Report) -> str:
    """Render the report as one HTML page without scripts, links or requests.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        The page; pictures are data URIs, every text of the caller is escaped.
    """
    page = _environment().get_template("report.html.jinja").render(report=report)
    return page.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is in no file


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("baton.showing"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": _cell, "number": _padded, "percent": percent}
    environment.tests["number"] = _is_number
    return environment


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    return number(value, 4, is_padded=True) if isinstance(value, float) else value


def _padded(value: float) -> str:
    return number(value, is_padded=True)
