"""What a report is made of: frozen data, and what it says of itself.

What is made from Baton's objects belongs in ``shaping``, the page in ``page``.
"""

from __future__ import annotations

import base64
import struct
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator

from baton.metric import INFO, Metric
from baton.showing.plots.picture import Picture, png
from baton.terms import Kind
from baton.words.text import number

Cell = str | int | float | None

FEW_ROWS = 100
"""Fewer held-out rows than this are worth a warning."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Part(BaseModel):
    """Base of the report's parts: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Image(Part):
    """A picture and its words."""

    title: str
    png: bytes
    alt: str
    caption: str = ""
    name: str = ""
    """Stem of its file's name."""

    @field_validator("png")
    @classmethod
    def _is_png(cls, value: bytes) -> bytes:
        if not value.startswith(_SIGNATURE):
            raise ValueError("a picture of the report must be PNG")
        return value

    @classmethod
    def of(cls, picture: Picture) -> Image:
        """Draw a picture of ``baton.showing.plots``."""
        return cls(
            title=picture.title,
            png=png(picture.figure),
            alt=picture.alt,
            caption=picture.caption,
            name=picture.name,
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


class ReportTable(Part):
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
    trials: ReportTable
    """The best trials, the best first."""
    pictures: tuple[Image, ...] = ()

    @property
    def label(self) -> str:
        """Name of the metric for people."""
        return INFO[self.metric].label


class Sources(Part):
    """Tables that the rows were made from."""

    pictures: tuple[Image, ...]
    keys: ReportTable
    """Keys between the tables."""


class Leaderboard(Part):
    """Candidates that were compared."""

    table: ReportTable
    verdict: str
    """Whether the first is better than the second by more than noise."""
    n_tried: int
    n_candidates: int
    picture: Image


class Report(Part):
    """Everything that the report says."""

    problem: str
    title: str = ""
    """What it is about, by file and target; the problem's name if not given."""
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
    """What was learnt, in one paragraph of plain words."""
    columns: ReportTable | None = None
    """What each column was taken for."""
    notes: tuple[str, ...] = ()
    """What was inferred about the input."""
    warnings: tuple[str, ...] = ()
    performance: tuple[Image, ...] = ()
    drivers: tuple[Image, ...] = ()
    """Pictures of what drives the model overall."""
    importance: tuple[ReportTable, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    """Further tables, such as the folds of a cross-validation."""
    search: Search | None = None
    sources: Sources | None = None
    """What the rows were made from, where that is several tables."""
    leaderboard: Leaderboard | None = None
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
