"""Which pictures of an evaluation are drawn, in the order of a reader's questions.

How one looks belongs in ``baton.showing.plots``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baton import selection, tuning
from baton.errors import InputError
from baton.evaluation import curves
from baton.lineage import lineage_of
from baton.showing import plots
from baton.showing.report import Image
from baton.terms import ROW, Kind

if TYPE_CHECKING:
    from baton.showing.findings import Findings
    from baton.showing.plots import Picture

_SEARCH_PICTURES = 4


@dataclass(frozen=True)
class Gallery:
    """Pictures by name, drawn."""

    performance: dict[str, Image]
    """How good the model is."""
    drivers: dict[str, Image]
    """What drives it."""
    found: dict[str, Image]
    """How it was found."""
    data: dict[str, Image]
    """What it learnt from."""

    @classmethod
    def of(cls, findings: Findings) -> Gallery:
        """Draw what a reader of the report wants to see."""
        return cls(
            _drawn(_performance(findings)),
            _drawn(_drivers(findings)),
            _drawn([*_search(findings), *_candidates(findings)]),
            _drawn(_data(findings)),
        )

    @property
    def images(self) -> dict[str, Image]:
        """All of them."""
        return self.performance | self.drivers | self.found | self.data


def _drawn(pictures: Iterable[Picture]) -> dict[str, Image]:
    return {picture.name: Image.of(picture) for picture in pictures}


def _performance(findings: Findings) -> Iterator[Picture]:
    yield plots.metric_intervals(
        findings.values, findings.intervals, findings.baseline, findings.champion or {}
    )
    if findings.data.kind is Kind.CLASSIFICATION:
        yield from _of_classes(findings)
    else:
        yield plots.predicted_vs_actual(findings.actual, findings.output, findings.data.target)
        yield plots.residuals(findings.actual, findings.output, findings.data.target)


def _of_classes(findings: Findings) -> Iterator[Picture]:
    actual, model = findings.actual, findings.model
    counts = curves.confusion(actual, model.labels(findings.output), model.classes)
    yield plots.confusion_matrix(counts)
    of_scores: list[tuple[Callable[[Any], Picture], Callable[..., Any]]] = [
        (plots.roc_curves, curves.roc),
        (plots.precision_recall_curves, curves.precision_recall),
        (plots.calibration_curve, curves.calibration),
    ]
    for picture, curve in of_scores:
        with suppress(InputError):  # one class among the held-out rows: there is no curve
            yield picture(curve(actual, findings.output, model.classes))


def _drivers(findings: Findings) -> Iterator[Picture]:
    explained = findings.features(findings.explained)
    yield plots.permutation_importance(findings.permuted)
    yield plots.shap_bar(findings.shap)
    yield plots.shap_beeswarm(findings.shap, explained)
    yield plots.shap_dependence(findings.shap, explained)


def _search(findings: Findings) -> Iterator[Picture]:
    if findings.trials is not None:
        study = tuning.in_memory(findings.trials)
        metric = lineage_of(findings.trials.schema).get("metric", findings.data.headline)
        yield from plots.search_pictures(study, metric, most=_SEARCH_PICTURES)


def _data(findings: Findings) -> Iterator[Picture]:
    if findings.relations is not None:
        yield plots.schema(findings.relations)


def _candidates(findings: Findings) -> Iterator[Picture]:
    if findings.leaderboard is not None:
        lines = selection.of_table(findings.leaderboard)
        yield plots.leaderboard(lines, lines[0].metric)


def waterfall(findings: Findings, place: int, output: int) -> Picture:
    """What drove the model's output for one of the explained rows."""
    rows = findings.explained
    row_id = int(rows.iloc[place][ROW])
    return plots.shap_waterfall(findings.shap, findings.features(rows), place, row_id, output)
