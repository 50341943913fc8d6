"""Showing an evaluation: pictures, the HTML report, Prefect's artifacts, the chain's record.

What the pictures and the page look like is thought in ``baton.showing``.
"""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from baton import tuning
from baton.chain.events import DatasetReady, ModelEvaluated, ModelTrained
from baton.errors import InputError
from baton.evaluation import curves, metrics
from baton.lineage import lineage_of
from baton.settings import settings
from baton.showing import plots, report
from baton.terms import ROW, Kind
from tasks.data import features_of
from tasks.evaluation import Bench, keys_of
from tasks.platform import results
from tasks.platform.tracking import champion_scores

log = logging.getLogger(__name__)

_SEARCH_PICTURES = 4


def draw(
    bench: Bench, lines: dict[str, dict[str, Any]], champion: dict[str, float]
) -> Iterator[plots.Picture]:
    """Draw what a reader of the report wants to see, in the order of its questions."""
    yield plots.metric_intervals(
        {name: line["value"] for name, line in lines.items()},
        _intervals(lines),
        _baseline(lines),
        champion,
    )
    is_class = bench.data.kind is Kind.CLASSIFICATION
    yield from _of_classes(bench) if is_class else _of_numbers(bench)
    yield from _of_importance(bench)
    if bench.data.study:
        study = tuning.in_memory(results.read(bench.data.study))
        yield from plots.search_pictures(study, bench.data.headline, most=_SEARCH_PICTURES)


def metric_lines(bench: Bench) -> dict[str, dict[str, Any]]:
    """Line of every metric by its name."""
    table = results.read(results.require(keys_of(bench.trained)["metrics"]))
    return {line["metric"]: line for line in table.to_pylist()}


def _of_classes(bench: Bench) -> Iterator[plots.Picture]:
    actual, classes = bench.rows[bench.data.target], bench.model.classes
    yield plots.confusion_matrix(
        curves.confusion(actual, bench.model.labels(bench.output), classes)
    )
    of_scores: list[tuple[Callable[[Any], plots.Picture], Callable[..., Any]]] = [
        (plots.roc_curves, curves.roc),
        (plots.precision_recall_curves, curves.precision_recall),
        (plots.calibration_curve, curves.calibration),
    ]
    for picture, curve in of_scores:
        with suppress(InputError):  # one class among the held-out rows: there is no curve
            yield picture(curve(actual, bench.output, classes))


def _of_numbers(bench: Bench) -> Iterator[plots.Picture]:
    actual, target = bench.rows[bench.data.target], bench.data.target
    yield plots.predicted_vs_actual(actual, bench.output, target)
    yield plots.residuals(actual, bench.output, target)


def _of_importance(bench: Bench) -> Iterator[plots.Picture]:
    explained = features_of(bench.explained, bench.data)
    yield plots.permutation_importance(bench.permuted)
    yield plots.shap_bar(bench.shap)
    yield plots.shap_beeswarm(bench.shap, explained)
    yield plots.shap_dependence(bench.shap, explained)


@task(name="write report", persist_result=False)
def write_report(bench: Bench) -> dict[str, bytes]:
    """Draw the pictures and write the report.

    Returns
    -------
    dict of file name to PNG
        The pictures, for MLflow.
    """
    lines, champion = metric_lines(bench), champion_scores(bench.data.problem)
    pictures = list(draw(bench, lines, champion))
    images = {picture.name: report.Image.of(picture) for picture in pictures}
    explanations = tuple(_explanations(bench))
    page = report.render(_report(bench, lines, champion, images, explanations))
    path = results.report_path(keys_of(bench.trained).report)
    partial = path.with_suffix(".partial")
    partial.write_text(page, "utf-8")
    partial.replace(path)
    log.info("report %s", path)
    return {f"{name}.png": image.png for name, image in images.items()} | {
        f"row_{one.row}.png": one.picture.png for one in explanations if one.picture
    }


_DRIVERS = ("permutation_importance", "shap_bar", "shap_beeswarm", "shap_dependence")


def _report(
    bench: Bench,
    lines: dict[str, dict[str, Any]],
    champion: dict[str, float],
    images: dict[str, report.Image],
    explanations: tuple[report.Explanation, ...],
) -> report.Report:
    data, model = bench.data, bench.trained.model
    facts = lineage_of(results.schema(data.features))
    folded = {name: line for name, line in lines.items() if line["cv_mean"] is not None}
    by_class = report.class_importance_table(bench.shap_global)
    return report.Report(
        problem=data.problem,
        kind=data.kind,
        target=data.target,
        headline=metrics.Metric(data.headline),
        chain=data.chain,
        created=datetime.now(UTC),
        model=report.Model(
            uri=model.uri,
            version=model.version,
            family=bench.model.family,
            params=bench.model.params,
            digest=model.digest,
        ),
        data=report.Data(
            raw=report.File(**data.raw.model_dump()),
            features=report.File(**data.features.model_dump()),
            n_train=data.n_train,
            n_test=data.n_test,
            n_features=len(bench.model.encoder.column_names),
            seed=data.seed,
        ),
        metrics=report.measured(
            {name: line["value"] for name, line in lines.items()},
            _intervals(lines),
            _baseline(lines),
            champion,
        ),
        command=_command(data, facts),
        notes=tuple(facts["goal"]["notes"]),
        performance=tuple(
            image
            for name, image in images.items()
            if name not in _DRIVERS and not name.startswith("search_")
        ),
        drivers=tuple(image for name, image in images.items() if name in _DRIVERS),
        importance=(
            report.importance_table(bench.permuted, bench.shap_global),
            *([by_class] if by_class else []),
        ),
        tables=(
            *((_folds_table(data.options.folds, folded),) if folded else ()),
            *_comparison_table(bench.trained),
        ),
        search=_search(data, images),
        explanations=explanations,
        environment=report.environment(),
    )


def _intervals(lines: dict[str, dict[str, Any]]) -> dict[str, tuple[float, float]]:
    return {n: (line["low"], line["high"]) for n, line in lines.items() if line["low"] is not None}


def _baseline(lines: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {n: line["baseline"] for n, line in lines.items() if line["baseline"] is not None}


def _folds_table(folds: int, lines: dict[str, dict[str, Any]]) -> report.ReportTable:
    return report.ReportTable(
        caption=f"{folds}-fold cross-validation on the training rows",
        columns=("metric", "mean", "standard deviation"),
        rows=tuple((name, line["cv_mean"], line["cv_std"]) for name, line in lines.items()),
    )


def _comparison_table(trained: ModelTrained) -> Iterator[report.ReportTable]:
    if trained.comparison:
        lines = results.read(trained.comparison).to_pylist()
        yield report.ReportTable(
            caption="Families compared by 5-fold cross-validation on the training rows, best first",
            columns=("model", f"{trained.data.headline}, mean", "standard deviation"),
            rows=tuple((line["model"], line["mean"], line["std"]) for line in lines),
        )


def _search(data: DatasetReady, images: dict[str, report.Image]) -> report.Search | None:
    """How the hyperparameters were found, if they were searched."""
    if data.study is None:
        return None
    trials = results.read(data.study)
    facts, lines = lineage_of(trials.schema), tuning.best_first(trials)
    shown = [name for name in lines[0] if name not in {"error", "seconds"}]
    return report.Search(
        study=facts["study"],
        metric=metrics.Metric(facts["metric"]),
        n_trials=len(lines),
        best=facts["best"],
        value=facts["value"],
        pictures=tuple(image for name, image in images.items() if name.startswith("search_")),
        trials=report.ReportTable(
            caption=f"Trials by {facts['metric']}, the best first",
            columns=tuple(shown),
            rows=tuple(tuple(line[name] for name in shown) for line in lines),
        ),
    )


def _command(data: DatasetReady, facts: dict[str, Any]) -> str:
    """Command that reproduces the chain: what was left to the problem is left to it again."""
    asked = data.options.model_dump(mode="json", exclude_defaults=True)
    if data.study:
        asked["model_params"] = lineage_of(results.schema(data.study))["given"]
    own = {name: facts["goal"][name] for name in ("model", "model_params")}
    is_own = all(asked.get(name, {}) == own[name] for name in own)
    for name in own if is_own else ["model"] if asked.get("compare") else []:
        asked.pop(name, None)
    pairs = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in (facts["parameters"] | asked).items()
        if value not in (None, [], {}, "")
    ]
    options = [part for pair in pairs for part in ("-p", pair)]
    return shlex.join(["baton", "run", data.problem, *options])


def _explanations(bench: Bench) -> Iterator[report.Explanation]:
    rows, found = bench.explained, bench.shap
    features, output = features_of(rows, bench.data), bench.output[rows.index]
    classes = bench.model.classes
    worth = report.rows_worth_explaining(bench.data.kind, rows[bench.data.target], output, classes)
    for place, why in worth:
        line = rows.iloc[place]
        code = int(output[place].argmax()) if classes else 0
        shown = code if len(found.classes) > 1 else 0
        picture = plots.shap_waterfall(found, features, place, int(line[ROW]), shown)
        yield report.Explanation(
            row=str(int(line[ROW])),
            actual=_plain(line[bench.data.target]),
            predicted=_plain(classes[code] if classes else output[place]),
            probability=float(output[place, code]) if classes else None,
            why=why,
            scale=found.scale.value,
            contributions=report.contributions(found, features, place, shown),
            picture=report.Image.of(picture),
        )


def _plain(value: Any) -> Any:
    """Turn a number of NumPy into Python's."""
    return value.item() if hasattr(value, "item") else value


@task(name="write artifacts", persist_result=False)
def write_artifacts(evaluated: ModelEvaluated) -> None:
    """Write summary, metrics and the way to the report as artifacts of Prefect."""
    slug = f"{evaluated.problem}-{evaluated.chain}".replace("_", "-")
    create_markdown_artifact(
        key=f"summary-{slug}",
        markdown=summary(evaluated),
        description=f"{evaluated.problem}: model {evaluated.model.version} on held-out rows",
    )
    create_table_artifact(
        key=f"metrics-{slug}",
        table=[{"metric": name, "value": value} for name, value in evaluated.scores.items()],
        description=f"{evaluated.problem}: metrics on {evaluated.data.n_test} held-out rows",
    )
    create_link_artifact(
        key=f"report-{slug}",
        link=results.report_path(evaluated.report.key).as_uri(),
        link_text=f"report of chain {evaluated.chain}",
        description="metrics, importance and explanations on one page",
    )


def summary(evaluated: ModelEvaluated) -> str:
    """Markdown summary of one chain."""
    data = evaluated.data
    rows = "\n".join(
        f"| {name} | {value:.4g} | {_interval(evaluated, name)} |"
        for name, value in evaluated.scores.items()
    )
    headline = evaluated.scores.get(data.headline)
    said = "" if headline is None else f": {data.headline} {headline:.4g}"
    return f"""# {evaluated.problem}{said}

{data.kind.value.capitalize()} of `{data.target}`; {data.n_train} rows to learn from,
{data.n_test} held out. Model `{evaluated.model.uri}`, MLflow run `{evaluated.model.run_id}`,
chain `{evaluated.chain}`.

| metric | held-out value | 95 % interval |
| --- | ---: | ---: |
{rows}

Report `{results.report_path(evaluated.report.key)}`; pictures and tables are in the MLflow run.
Features `{data.features.key}`, SHA-256 `{data.features.digest}`.
"""


def _interval(evaluated: ModelEvaluated, name: str) -> str:
    low_high = evaluated.intervals.get(name)
    return f"{low_high[0]:.4g} to {low_high[1]:.4g}" if low_high else ""


def remember(evaluated: ModelEvaluated) -> None:
    """Keep what a chain announced last, for the commands that look back."""
    folder = settings().chains
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{evaluated.chain}"
    partial.write_text(evaluated.model_dump_json(indent=1), "utf-8")
    partial.replace(folder / f"{evaluated.chain}.json")
