"""Scoring and explaining a model on the rows held out, each table a result of its own.

The subflows of one evaluation run at the same time in one process and share a bench: the
model, the rows and the Shapley values, each made once by whoever comes first. Pictures and
the report are in ``tasks/reporting.py``.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from baton import models
from baton.chain.events import DatasetReady, ModelEvaluated, ModelTrained, PageRef
from baton.evaluation import importance, metrics, shapley
from baton.lineage import code_version, folder, with_lineage
from baton.terms import ROW, Split
from tasks.data import features_of, read_groups, read_rows
from tasks.platform import results
from tasks.platform.results import result_task
from tasks.platform.tracking import load_model
from tasks.prediction import answer
from tasks.training import fitter

log = logging.getLogger(__name__)

ACTUAL = "actual"
_LONG_SECONDS = 10.0
_START_SECONDS = 20.0


@dataclass(frozen=True)
class Keys:
    """Where the results of one evaluation stand."""

    folder: str

    def __getitem__(self, table: str) -> str:
        """Key of a table."""
        return f"{self.folder}/{table}.parquet"

    @property
    def tables(self) -> dict[str, str]:
        """Key of every table."""
        names = ("predictions", "metrics", "permutation_importance", "shap_global", "shap_local")
        return {name: self[name] for name in names}

    @property
    def report(self) -> str:
        """Key of the report."""
        return f"{self.folder}/report.html"

    @property
    def exist(self) -> bool:
        """Whether everything was made already."""
        return self.mark.is_file() and all(results.exists(key) for key in self.tables.values())

    @property
    def mark(self) -> Path:
        """File that says that all of it is made and logged."""
        return results.report_path(self.report).with_name("evaluated")


def keys_of(trained: ModelTrained) -> Keys:
    """Keys that follow from the model, the rows, the options and the code."""
    return Keys(
        folder(
            trained.problem,
            model=trained.model.model_dump(mode="json"),
            features=trained.data.features.key,
            options=trained.data.options.model_dump(mode="json", exclude={"notebook"}),
            code=code_version(),
        )
    )


def lineage(trained: ModelTrained) -> dict[str, Any]:
    """What the results are made from."""
    return {
        "chain": trained.chain,
        "problem": trained.problem,
        "features": trained.data.features.digest,
        "model": trained.model.uri,
        "model_digest": trained.model.digest,
        "options": trained.data.options.model_dump(mode="json"),
        "code": code_version(),
    }


class Bench:
    """What the subflows of one evaluation share."""

    def __init__(self, trained: ModelTrained) -> None:
        self.trained = trained
        self._made: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._new_lock = threading.Lock()
        self._start = asyncio.Barrier(3)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under this name, making it if nobody has."""
        with self._new_lock:
            lock = self._locks[name]
        with lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    async def together(self) -> None:
        """Wait for the other two subflows, or else one's work would keep another from starting."""
        with suppress(TimeoutError, asyncio.BrokenBarrierError):
            await asyncio.wait_for(self._start.wait(), _START_SECONDS)

    @property
    def data(self) -> DatasetReady:
        """The data set."""
        return self.trained.data

    @property
    def model(self) -> models.FittedModel:
        """The model, checked to be the one that was announced."""
        return self.once("model", lambda: load_model(self.trained.model))  # type: ignore[no-any-return]

    @property
    def rows(self) -> Any:
        """Rows held out: row id, features and target."""
        return self.once("rows", lambda: read_rows(self.data, Split.TEST))

    @property
    def background(self) -> Any:
        """Features of some training rows: what "not known" means to a model-agnostic method."""

        def make() -> Any:
            rows = read_rows(self.data, Split.TRAIN)
            rows = rows.sample(min(len(rows), 1000), random_state=self.data.seed)
            return features_of(rows, self.data)

        return self.once("background", make)

    def sample(self, most: int) -> Any:
        """Rows held out, a random part of them if there are more; in their order."""
        rows = self.rows
        if len(rows) <= most:
            return rows
        return rows.sample(most, random_state=self.data.seed).sort_index()

    @property
    def output(self) -> Any:
        """The model's answer to all held-out rows: probabilities or numbers."""
        features = features_of(self.rows, self.data)
        return self.once("output", lambda: metrics.model_output(self.model, features))

    @property
    def explained(self) -> Any:
        """Rows whose Shapley values are kept."""
        return self.sample(self.data.options.explain_rows)

    @property
    def shap(self) -> shapley.ShapValues:
        """Shapley values of the rows explained."""
        return self.once("shap", self._explain)  # type: ignore[no-any-return]

    def _explain(self) -> shapley.ShapValues:
        features = features_of(self.explained, self.data)
        background = None if self._is_exact else self.background
        expected = shapley.estimate_seconds(self.model, features, background=background)
        log.info("explaining %d rows, about %.0f s", len(features), expected)
        with progress(f"explain {self.data.problem}", expected) as report:
            return shapley.shap_values(
                self.model, features, background=background, seed=self.data.seed, progress=report
            )

    @property
    def shap_global(self) -> Any:
        """Mean |Shapley value| by feature and class."""
        return self.once("shap_global", lambda: shapley.global_importance(self.shap))

    @property
    def _is_exact(self) -> bool:
        return models.family(self.model.family).explain is models.Explain.TREE

    @property
    def permuted(self) -> importance.Importance:
        """Permutation importance on held-out rows."""
        return self.once("permuted", self._shuffle)  # type: ignore[no-any-return]

    def _shuffle(self) -> importance.Importance:
        options = self.data.options
        rows = self.sample(options.importance_rows)
        # Announced as long: how long it takes is known only once it runs.
        expected = _LONG_SECONDS if rows.size * options.n_repeats > 1_000_000 else 0.0
        with progress(f"shuffle {self.data.problem}", expected) as report:
            return importance.permutation_importance(
                self.model,
                features_of(rows, self.data),
                rows[self.data.target],
                self.data.headline,
                options.n_repeats,
                self.data.seed,
                progress=report,
            )


_benches: dict[str, Bench] = {}


@contextmanager
def bench(trained: ModelTrained) -> Iterator[Bench]:
    """Set up the bench of an evaluation, for its subflows to find by its chain."""
    _benches[trained.chain] = found = Bench(trained)
    try:
        yield found
    finally:
        del _benches[trained.chain]


def bench_of(trained: ModelTrained) -> Bench:
    """Bench of an evaluation that is going on."""
    return _benches[trained.chain]


@contextmanager
def progress(what: str, expected: float) -> Iterator[Callable[[int, int], None]]:
    """Show progress as an artifact of the run if it can take long."""
    if expected < _LONG_SECONDS:
        yield _silent
        return
    slug = "".join(c if c.isalnum() else "-" for c in what.lower())
    artifact: Any = create_progress_artifact(
        0.0, key=slug, description=f"{what}, ~{expected:.0f} s"
    )
    shown = [0]

    def report(done: int, total: int) -> None:
        percent = int(100 * done / max(total, 1))
        if percent >= shown[0] + 5:
            shown[0] = percent
            update_progress_artifact(artifact, float(percent))

    yield report
    update_progress_artifact(artifact, 100.0)


def _silent(_done: int, _total: int) -> None:
    """PageRef nothing."""


@result_task(name="predict held-out rows")
def predict_rows(trained: ModelTrained, key: str) -> pa.Table:  # noqa: ARG001
    """Predictions of the held-out rows: row id, actual, predicted and class probabilities."""
    bench = bench_of(trained)
    rows = bench.rows
    columns = {ROW: pa.array(rows[ROW]), ACTUAL: pa.array(rows[bench.data.target])}
    columns |= answer(bench.model, bench.output)
    return with_lineage(pa.table(columns), lineage(trained))


@result_task(name="score predictions")
def score(trained: ModelTrained, key: str) -> pa.Table:  # noqa: ARG001
    """Metrics with their 95 % intervals, beside those of a model that ignores every column."""
    bench, data = bench_of(trained), trained.data
    actual, classes = bench.rows[data.target].to_numpy(), bench.model.classes
    found = metrics.evaluate(data.kind, actual, bench.output, classes)
    spread = metrics.intervals(data.kind, actual, bench.output, classes, seed=data.seed)
    train = read_rows(data, Split.TRAIN)
    baseline = metrics.baseline(data.kind, train[data.target], actual, classes)
    folds = _cross_validated(train.drop(columns=ROW), trained)
    log.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    if metrics.Metric.ACCURACY in found:
        log.info("accuracy %.2f %%", 100 * found[metrics.Metric.ACCURACY])
    columns: dict[str, list[Any]] = {
        "metric": list(found),
        "value": list(found.values()),
        "low": [spread.get(name, (None, None))[0] for name in found],
        "high": [spread.get(name, (None, None))[1] for name in found],
        "baseline": [baseline.get(name) for name in found],
        "cv_mean": [folds.mean.get(name) for name in found],
        "cv_std": [folds.std.get(name) for name in found],
    }
    fields: list[pa.Field[Any]] = [pa.field("metric", pa.string())]
    fields += [pa.field(name, pa.float64()) for name in list(columns)[1:]]
    schema = pa.schema(fields)
    return with_lineage(pa.table(columns, schema=schema), lineage(trained))


def _cross_validated(train: Any, trained: ModelTrained) -> metrics.CrossValidation:
    data = trained.data
    if not data.options.folds:
        return metrics.CrossValidation({})
    name = bench_of(trained).model.family
    return metrics.cross_validate(
        train,
        data.target,
        data.kind,
        folds=data.options.folds,
        seed=data.seed,
        groups=read_groups(data, Split.TRAIN),
        fit=fitter(data, name),
    )


@result_task(name="permutation importance")
def permutation_table(trained: ModelTrained, key: str) -> pa.Table:  # noqa: ARG001
    """By how much the headline metric gets worse when a column is shuffled, and each repeat."""
    found = bench_of(trained).permuted
    frame = found.frame()
    order = [found.features.index(name) for name in frame["feature"]]
    repeats = {f"repeat_{n}": found.raw[order, n] for n in range(found.raw.shape[1])}
    table = pa.Table.from_pandas(frame.assign(**repeats), preserve_index=False)
    return with_lineage(table, lineage(trained) | {"metric": found.metric, "score": found.score})


@result_task(name="mean |SHAP|")
def shap_global_table(trained: ModelTrained, key: str) -> pa.Table:  # noqa: ARG001
    """Mean absolute Shapley value of every feature, by class."""
    frame = bench_of(trained).shap_global
    labels = frame["class"].map(lambda label: None if label is None else str(label))
    frame = frame.assign(**{"class": labels})
    return with_lineage(pa.Table.from_pandas(frame, preserve_index=False), lineage(trained))


@result_task(name="Shapley values")
def shap_local_table(trained: ModelTrained, key: str) -> pa.Table:  # noqa: ARG001
    """Shapley values of the explained rows: row id, class, base value, a column per feature."""
    bench = bench_of(trained)
    frame = bench.shap.frame(bench.explained[ROW].to_numpy())
    if "_class" in frame:
        frame["_class"] = frame["_class"].astype(str)
    facts = {"scale": bench.shap.scale.value, "method": bench.shap.method.value}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return with_lineage(table, lineage(trained) | facts)


def evaluated(trained: ModelTrained) -> ModelEvaluated:
    """Announcement of an evaluation, once all of it can be read back."""
    keys = keys_of(trained)
    tables = {name: results.require(key) for name, key in keys.tables.items()}
    lines = results.read(tables["metrics"]).to_pylist()
    return ModelEvaluated(
        **trained.model_dump(),
        **tables,
        report=PageRef(
            key=keys.report, digest=results.digest_of_file(results.report_path(keys.report))
        ),
        scores={line["metric"]: line["value"] for line in lines},
        intervals={
            line["metric"]: (line["low"], line["high"]) for line in lines if line["low"] is not None
        },
    )
