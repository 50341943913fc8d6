"""The report of an evaluation, put together from what it found.

What a report consists of is in ``baton.showing.report``, reading the tables in ``tasks/``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from baton import models, selection, tuning
from baton.evaluation import metrics
from baton.lineage import lineage_of
from baton.showing import report
from baton.showing.gallery import Gallery, shown_output
from baton.terms import ROW
from baton.warning import WarningKind

if TYPE_CHECKING:
    import pyarrow as pa

    from baton.showing.findings import Findings


@dataclass(frozen=True)
class Page:
    """A report as a file, and its pictures as files of their own."""

    html: str
    pictures: dict[str, bytes]
    """PNG by file name."""


def page_of(findings: Findings, summary: str = "") -> Page:
    """Draw the pictures and write the report, which begins with a summary."""
    chosen = tuple(_chosen(findings))
    gallery = Gallery.of(findings, ((place, code) for place, code, _ in chosen))
    pictures = zip(chosen, gallery.rows, strict=True)
    explanations = tuple(_explanation(findings, *one, picture) for one, picture in pictures)
    made = _report(findings, gallery, explanations)
    first = {"summary": summary, "columns": _columns(findings)}
    html = report.render(made.model_copy(update=first))
    drawn = {f"{name}.png": image.png for name, image in gallery.images.items()}
    rows = {f"row_{one.row}.png": one.picture.png for one in explanations if one.picture}
    return Page(html, drawn | rows)


def _report(
    findings: Findings, gallery: Gallery, explanations: tuple[report.Explanation, ...]
) -> report.Report:
    data = findings.data
    return report.Report(
        title=data.title,
        problem=data.problem,
        kind=data.kind,
        target=data.target,
        headline=metrics.Metric(data.headline),
        chain=data.chain,
        created=datetime.now(UTC),
        model=_model(findings),
        data=_data(findings),
        metrics=_metrics(findings),
        command=_command(findings),
        notes=tuple(_notes(findings)),
        warnings=tuple(_warnings(findings)),
        performance=tuple(gallery.performance.values()),
        drivers=tuple(gallery.drivers.values()),
        importance=tuple(_importance(findings)),
        tables=tuple(_tables(findings)),
        search=_search(findings, gallery),
        sources=_sources(findings, gallery),
        leaderboard=_leaderboard(findings, gallery),
        explanations=explanations,
        environment=report.environment(_brought(findings)),
    )


def _brought(findings: Findings) -> Iterator[tuple[str, str]]:
    """Packages that bring the model's families, where Baton does not."""
    yield from filter(None, map(models.package_of, findings.model.families))


def _metrics(findings: Findings) -> tuple[report.Measured, ...]:
    return report.measured(
        findings.values, findings.intervals, findings.baseline, findings.champion
    )


def _columns(findings: Findings) -> report.ReportTable | None:
    if not findings.columns:
        return None
    rows = ((one.name, one.role, one.examples, one.missing, one.done) for one in findings.columns)
    return report.ReportTable(
        caption="Columns, as they were read",
        columns=("column", "role", "examples", "missing", "what was done with it"),
        rows=tuple(rows),
    )


def _warnings(findings: Findings) -> Iterator[str]:
    """What to beware of; that a model is useless the page says by itself, of its main metric."""
    for one in findings.warnings:
        if one.kind is not WarningKind.USELESS:
            yield f"{one.kind.value}: {one.message}"


def _notes(findings: Findings) -> Iterator[str]:
    """What was inferred, and what is of a sample where the table is beyond memory."""
    yield from findings.facts["goal"]["notes"]
    if not findings.is_sampled:
        return
    yield (
        f"metrics are of all {findings.data.n_test:,} held-out rows, ROC AUC, average precision and"
        " the median error to some 1e-4; intervals, the baseline, pictures and explanations are of"
        f" a sample of {len(findings.rows):,}, as the table is taken part by part"
    )


def _model(findings: Findings) -> report.Model:
    reference, model = findings.reference, findings.model
    return report.Model(
        uri=reference.uri,
        version=reference.version,
        family=model.family,
        params=model.params,
        digest=reference.digest,
    )


def _data(findings: Findings) -> report.Data:
    data = findings.data
    return report.Data(
        raw=report.File(**data.raw.model_dump()),
        features=report.File(**data.features.model_dump()),
        n_train=data.n_train,
        n_test=data.n_test,
        n_features=len(findings.model.encoder.column_names),
        seed=data.seed,
    )


def _importance(findings: Findings) -> Iterator[report.ReportTable]:
    yield report.importance_table(findings.permuted, findings.shap_global)
    if by_class := report.class_importance_table(findings.shap_global):
        yield by_class


def _tables(findings: Findings) -> Iterator[report.ReportTable]:
    data = findings.data
    yield from report.answer_tables(
        findings.model.deciding, findings.coverage, findings.threshold, data.n_test
    )
    if folded := [line for line in findings.lines if line.cv_mean is not None]:
        yield report.ReportTable(
            caption=f"{data.options.folds}-fold cross-validation on the training rows",
            columns=("metric", "mean", "standard deviation"),
            rows=tuple((line.metric, line.cv_mean, line.cv_std) for line in folded),
        )


def _leaderboard(findings: Findings, gallery: Gallery) -> report.Leaderboard | None:
    """Candidates that were compared, if any were."""
    if findings.leaderboard is None:
        return None
    lines, facts = selection.of_table(findings.leaderboard), lineage_of(findings.leaderboard.schema)
    return report.Leaderboard(
        table=report.leaderboard_table(lines, metrics.Metric(lines[0].metric)),
        verdict=selection.verdict(lines),
        n_tried=facts["n_tried"],
        n_candidates=facts["n_candidates"],
        picture=gallery.found["leaderboard"],
    )


def _sources(findings: Findings, gallery: Gallery) -> report.Sources | None:
    """Tables that the rows were made from, the keys between them, and what was made along them."""
    if findings.relations is None:
        return None
    keys = report.ReportTable(
        caption="Keys between the tables",
        columns=("key", "rows", "without a parent", "features"),
        rows=tuple(
            (
                f"{key.child}.{key.foreign_key} = {key.parent}.{key.parent_key}",
                findings.relations.rows[key.child],
                key.n_broken,
                key.n_features,
            )
            for key in findings.relations.keys
        ),
    )
    return report.Sources(pictures=tuple(gallery.data.values()), keys=keys)


def _search(findings: Findings, gallery: Gallery) -> report.Search | None:
    """How the hyperparameters were found, if they were searched."""
    if findings.trials is None:
        return None
    facts = lineage_of(findings.trials.schema)
    return report.Search(
        study=facts["study"],
        metric=metrics.Metric(facts["metric"]),
        n_trials=findings.trials.num_rows,
        best=facts["best"],
        value=facts["value"],
        pictures=tuple(one for name, one in gallery.found.items() if name != "leaderboard"),
        trials=_trials(findings.trials, facts["metric"]),
    )


def _trials(trials: pa.Table, metric: str) -> report.ReportTable:
    lines = tuning.best_first(trials)
    shown = [name for name in lines[0] if name not in {"error", "seconds"}]
    return report.ReportTable(
        caption=f"Trials by {metric}, the best first",
        columns=tuple(shown),
        rows=tuple(tuple(line[name] for name in shown) for line in lines),
    )


def _command(findings: Findings) -> str:
    """Command that reproduces the chain: what was left to the problem is left to it again."""
    data, facts = findings.data, findings.facts
    asked = data.options.model_dump(mode="json", exclude_defaults=True)
    if findings.trials is not None:
        asked["model_params"] = lineage_of(findings.trials.schema)["given"]
    own = {name: facts["goal"][name] for name in ("model", "model_params")}
    is_own = all(asked.get(name, {}) == own[name] for name in own)
    for name in own if is_own else ["model"] if asked.get("compare") else []:
        asked.pop(name, None)
    if asked.get("quality"):
        asked.pop("model", None)
    pairs = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in (facts["parameters"] | asked).items()
        if value not in (None, [], {}, "")
    ]
    options = [part for pair in pairs for part in ("-p", pair)]
    return shlex.join(["baton", "run", data.problem, *options])


def _chosen(findings: Findings) -> Iterator[tuple[int, int, str]]:
    """Rows worth explaining: place among those explained, of the class that is said, and why."""
    rows, classes = findings.explained, findings.model.classes
    output = findings.output[rows.index]
    actual = rows[findings.data.target]
    said = findings.model.deciding.codes(output) if classes else None
    chosen = report.rows_worth_explaining(findings.data.kind, actual, output, classes, said)
    for place, why in chosen:
        yield place, 0 if said is None else int(said[place]), why


def _explanation(
    findings: Findings, place: int, code: int, why: str, picture: report.Image
) -> report.Explanation:
    rows, found, classes = findings.explained, findings.shap, findings.model.classes
    line, answer = rows.iloc[place], findings.output[rows.index[place]]
    return report.Explanation(
        row=str(int(line[ROW])),
        actual=_plain(line[findings.data.target]),
        predicted=_plain(classes[code] if classes else answer),
        probability=float(answer[code]) if classes else None,
        why=why,
        scale=found.scale.value,
        contributions=report.contributions(
            found, findings.features(rows), place, shown_output(findings, code)
        ),
        picture=picture,
    )


def _plain(value: Any) -> Any:
    """Turn a number of NumPy into Python's."""
    return value.item() if hasattr(value, "item") else value
