"""Which pictures of an evaluation are drawn, in the order of a reader's questions.

How one looks belongs in ``baton.showing.plots``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from baton import selection, tuning
from baton.errors import InputError
from baton.evaluation import curves
from baton.lineage import lineage_of
from baton.showing import plots
from baton.showing.drawing import drawn
from baton.showing.report import Image
from baton.terms import ROW, Kind

if TYPE_CHECKING:
    from baton.showing.drawing import Draw
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

    rows: tuple[Image, ...] = ()
    """What drove single rows, in the order in which they were asked for."""

    @classmethod
    def of(cls, findings: Findings, rows: Iterable[tuple[int, int]] = ()) -> Gallery:
        """Draw what a reader of the report wants to see.

        Parameters
        ----------
        findings : Findings
        rows : iterable of (int, int)
            Rows that are shown one by one, and the class that is said of each, by their places.
        """
        of_rows = [partial(waterfall, findings, place, code) for place, code in rows]
        search = [_ready(picture) for picture in (*_search(findings), *_candidates(findings))]
        walls = (
            list(_performance(findings)),
            list(_drivers(findings)),
            search,
            [_ready(picture) for picture in _data(findings)],
            of_rows,
        )
        images = iter(drawn([draw for wall in walls for draw in wall]))
        *named, single = ([one for one in islice(images, len(wall)) if one] for wall in walls)
        performance, drivers, found, data = ({one.name: one for one in wall} for wall in named)
        return cls(performance, drivers, found, data, tuple(single))

    @property
    def images(self) -> dict[str, Image]:
        """All of them that have a name."""
        return self.performance | self.drivers | self.found | self.data


def _ready(picture: Picture) -> Draw:
    return lambda: picture


def _performance(findings: Findings) -> Iterator[Draw]:
    yield partial(
        plots.metric_intervals,
        findings.values,
        findings.intervals,
        findings.baseline,
        findings.champion or {},
    )
    if findings.data.kind is Kind.CLASSIFICATION:
        yield from _of_classes(findings)
    else:
        predicted = findings.actual, findings.output, findings.data.target
        yield partial(plots.predicted_vs_actual, *predicted)
        yield partial(plots.residuals, *predicted)


def _of_classes(findings: Findings) -> Iterator[Draw]:
    actual, model = findings.actual, findings.model
    counts = curves.confusion(actual, model.labels(findings.output), model.classes)
    yield partial(plots.confusion_matrix, counts)
    of_scores: list[tuple[Callable[[Any], Picture], Callable[..., Any]]] = [
        (plots.roc_curves, curves.roc),
        (plots.precision_recall_curves, curves.precision_recall),
        (plots.calibration_curve, curves.calibration),
    ]
    for picture, curve in of_scores:
        yield partial(_of_curve, picture, partial(curve, actual, findings.output, model.classes))


def _of_curve(picture: Callable[[Any], Picture], curve: Callable[[], Any]) -> Picture | None:
    with suppress(InputError):  # one class among the held-out rows: there is no curve
        return picture(curve())
    return None


def _drivers(findings: Findings) -> Iterator[Draw]:
    explained = findings.features(findings.explained)
    yield partial(plots.permutation_importance, findings.permuted)
    yield partial(plots.shap_bar, findings.shap)
    yield partial(plots.shap_beeswarm, findings.shap, explained)
    yield partial(plots.shap_dependence, findings.shap, explained)


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


def waterfall(findings: Findings, place: int, code: int) -> Picture:
    """What drove the model's output for one of the explained rows.

    Parameters
    ----------
    findings : Findings
    place : int
        Of the row, among those explained.
    code : int
        Place of the class that is said of it; 0 where there is none.
    """
    rows, output = findings.explained, shown_output(findings, code)
    row_id = int(rows.iloc[place][ROW])
    return plots.shap_waterfall(findings.shap, findings.features(rows), place, row_id, output)


def shown_output(findings: Findings, code: int) -> int:
    """Output that explains why a class is said: two classes have one between them."""
    return code if len(findings.shap.classes) > 1 else 0
