"""Scoring and explaining a model on the rows held out, each table a result of its own.

The subflows of one evaluation run at the same time in one process and share a bench: the
model, the rows and the Shapley values, each made once by whoever comes first. Pictures and
the report are in ``tasks/reporting.py``.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from baton import models
from baton.chain.events import DatasetReady, ModelTrained
from baton.choice import nearest, undefined
from baton.evaluation import importance, intervals, measured, metrics, shapley, tally, validation
from baton.fingerprint import fingerprint
from baton.lineage import folder, with_lineage
from baton.models import prediction_interval
from baton.models.answering import Answering, answered
from baton.models.answers import ACTUAL, HIGH, LOW, PREDICTED, answer, output_of
from baton.models.threshold import precision_recall
from baton.monitoring.profile import SAMPLED_ROWS, profile_of, to_table
from baton.partitions import partitions_of
from baton.terms import ROW, WEIGHT, Kind, Split
from tasks.platform import results
from tasks.platform.cluster import mapping
from tasks.platform.plan import Plan
from tasks.platform.results import result_task
from tasks.platform.tracking import load_model
from tasks.rows import (
    features_of,
    is_beyond_memory,
    parts,
    read_bonds,
    read_rows,
    read_training_rows,
    read_weights,
)
from tasks.training import code_of, recipe_of

log = logging.getLogger(__name__)

TABLES = ("predictions", "metrics", "permutation_importance", "shap_global", "shap_local")
"""What an evaluation announces."""

KEPT = ("profile", "sample")
"""What it keeps of the training rows, for a look at new ones."""

_AT_ONCE = 500_000
_BACKGROUND_ROWS = 1000
_LONG_SECONDS = 10.0
_EXPLAINED_ROWS = 1000
"""Rows that are explained by default where all of them would take long, or nobody knows."""
_BY_SAMPLE = models.Explain.ANY
_SAMPLED_ROWS = 100
"""Most rows that an ensemble is explained for over a background sample: seconds a row."""


@dataclass(frozen=True)
class EvaluationPlan(Plan):
    """Which model is to be scored and explained."""

    trained: ModelTrained

    @property
    def code(self) -> str:
        """Fingerprint of what makes the tables."""
        return fingerprint(__name__, *code_of(self.trained.data))

    @cached_property
    def is_in_parts(self) -> bool:
        """Whether the table is beyond memory: a look at its file, for which each key would ask."""
        return is_beyond_memory(self.trained.data)

    @property
    def folder(self) -> str:
        """Folder of the tables."""
        trained = self.trained
        return folder(
            trained.problem,
            model=trained.model.model_dump(mode="json"),
            features=trained.data.features.digest,
            options=trained.data.options.model_dump(mode="json", exclude={"notebook"}),
            code=self.code,
            **({"is_in_parts": True} if self.is_in_parts else {}),
        )

    @property
    def is_done(self) -> bool:
        """Whether every table is there."""
        return self.has(*TABLES, *KEPT)

    @cached_property
    def lines(self) -> tuple[measured.MetricLine, ...]:
        """What was measured, once it is there."""
        return measured.of_table(results.read(self.table("metrics")))

    @property
    def lineage(self) -> dict[str, Any]:
        """What the tables are made from."""
        trained = self.trained
        return {
            "problem": trained.problem,
            "features": trained.data.features.digest,
            "model": trained.model.uri,
            "model_digest": trained.model.digest,
            "options": trained.data.options.model_dump(mode="json"),
            "code": self.code,
        }


class Bench:
    """What the subflows of one evaluation share."""

    def __init__(self, trained: ModelTrained) -> None:
        self.trained = trained
        self._made: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._new_lock = threading.Lock()

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under this name, making it if nobody has."""
        with self._new_lock:
            lock = self._locks[name]
        with lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    @property
    def data(self) -> DatasetReady:
        """The data set."""
        return self.trained.data

    @property
    def model(self) -> models.FittedModel:
        """The model, checked to be the one that was announced."""
        return self.once("model", lambda: load_model(self.trained.model))  # type: ignore[no-any-return]

    @property
    def is_in_parts(self) -> bool:
        """Whether `rows` and `train` are samples, as the table is beyond memory."""
        return self.once("is_in_parts", lambda: is_beyond_memory(self.data))  # type: ignore[no-any-return]

    @property
    def rows(self) -> Any:
        """Rows held out: row id, features and target."""
        return self.once("rows", lambda: read_rows(self.data, Split.TEST))

    @property
    def answered(self) -> tuple[Kind, Any, Any, tuple[Any, ...]]:
        """Kind, targets of the held-out rows, the model's output, its classes."""
        actual = self.rows[self.data.target].to_numpy()
        return self.data.kind, actual, self.output, self.model.classes

    @property
    def judged(self) -> dict[str, Any]:
        """Labels that the model says, and weights, as metrics take them."""
        said = self.model.labels(self.output) if self.model.classes else None
        return {"y_pred": said, "weights": self.weights}

    @property
    def weights(self) -> Any:
        """How much each held-out row counts; None where all count the same."""
        return self.once("weights", lambda: read_weights(self.data, Split.TEST))

    def weights_of(self, sample: Any) -> Any:
        """The same of some of the rows, by their index."""
        return None if self.weights is None else self.weights[sample.index]

    @property
    def train(self) -> Any:
        """Rows that the model was fitted on, likewise."""
        return self.once("train", lambda: read_rows(self.data, Split.TRAIN))

    @property
    def background(self) -> Any:
        """Features of some training rows: what "not known" means to a model-agnostic method."""
        n_rows = min(len(self.train), _BACKGROUND_ROWS)
        return features_of(self.train.sample(n_rows, random_state=self.data.seed), self.data)

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
        return self.once("output", lambda: output_of(self.model, features))

    @property
    def explained(self) -> Any:
        """Rows whose Shapley values are kept."""
        most = self.once("most", self._most_explained)
        is_slow = isinstance(self.model, models.Ensemble) and self.model.explain is _BY_SAMPLE
        return self.sample(min(most, _SAMPLED_ROWS) if is_slow else most)

    def _most_explained(self) -> int:
        """Rows to explain at most: by default all, if a count of the work says that it is quick."""
        n_rows, asked = len(self.rows), self.data.options.explain_rows
        if asked is not None or n_rows <= _EXPLAINED_ROWS:
            return asked or n_rows
        seconds = shapley.expected_seconds(self.model, features_of(self.rows, self.data))
        return n_rows if seconds < _LONG_SECONDS else _EXPLAINED_ROWS

    @property
    def shap(self) -> shapley.ShapValues:
        """Shapley values of the rows explained."""
        return self.once("shap", self._explain)  # type: ignore[no-any-return]

    def _explain(self) -> shapley.ShapValues:
        features = features_of(self.explained, self.data)
        is_exact = self.model.explain is models.Explain.TREE
        background = None if is_exact else self.background
        expected = shapley.expected_seconds(self.model, features)
        if math.isinf(expected):
            expected = shapley.estimate_seconds(self.model, features, background=background)
        log.info("explaining %d rows, about %.0f s", len(features), expected)
        with progress(f"explain {self.data.problem}", expected) as report:
            return shapley.shap_values(
                self.model, features, background=background, seed=self.data.seed, progress=report
            )


_bench: ContextVar[Bench] = ContextVar("bench")


@contextmanager
def bench(trained: ModelTrained) -> Iterator[Bench]:
    """Share a bench among the subflows that begin in this context."""
    token = _bench.set(Bench(trained))
    try:
        yield _bench.get()
    finally:
        _bench.reset(token)


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
    """Report nothing."""


def predict_held_out(plan: EvaluationPlan) -> None:
    """Predict the held-out rows, part by part where the table is beyond memory."""
    if not _bench.get().is_in_parts:
        predict_rows(plan)
    elif not plan.has("predictions"):
        predict_parts(plan)


@result_task("predictions", name="predict held-out rows")
def predict_rows(plan: EvaluationPlan) -> pa.Table:
    """Predictions of the held-out rows: row id, actual, predicted and class probabilities."""
    bench = _bench.get()
    table = answered(bench.model, bench.data.target, bench.rows, bench.output)
    return with_lineage(table, plan.lineage)


@task(name="predict held-out rows in parts", persist_result=False)
def predict_parts(plan: EvaluationPlan) -> None:
    """Predictions of all held-out rows, as `predict_rows` gives them."""
    bench = _bench.get()
    work = Answering(bench.model, bench.data.target)
    rows = partitions_of(results.checked(bench.data.features))
    with (
        results.Written(plan.key("predictions"), plan.lineage) as kept,
        mapping(bench.data.options.engine) as mapped,
    ):
        for answers in mapped(work, rows):
            if answers is not None:
                kept.write(answers)
        log.info("%d held-out rows predicted", kept.n_rows)


@result_task("metrics", name="score predictions")
def score(plan: EvaluationPlan) -> pa.Table:
    """Metrics with their 95 % intervals, beside those of a model that ignores every column.

    Of a table beyond memory the metrics are of all held-out rows; intervals and the baseline are
    of a sample, the intervals narrowed as all rows narrow them where rows are independent.
    """
    bench = _bench.get()
    found = of_sample = metrics.evaluate(*bench.answered, **bench.judged)
    if bench.is_in_parts:
        found = _tallied(plan)
    log.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    if metrics.Metric.ACCURACY in found:
        log.info("accuracy %.2f %%", 100 * found[metrics.Metric.ACCURACY])
    units, seed = read_bonds(bench.data, Split.TEST).units(), bench.data.seed
    ranges = intervals.bootstrap(*bench.answered, **bench.judged, units=units, seed=seed)
    lines = measured.metric_lines(
        found,
        _narrowed(ranges, of_sample, found, bench) if units is None else ranges,
        _baseline(bench),
        _cross_validated(bench),
    )
    return with_lineage(measured.as_table(lines), plan.lineage | _decided(bench) | _told(bench))


def _tallied(plan: EvaluationPlan) -> metrics.Scores:
    """Metrics of all predictions, read back part by part."""
    bench, reference = _bench.get(), plan.table("predictions")
    data, model = bench.data, bench.model
    weights, begin = _all_weights(data), 0
    found = tally.Tally(data.kind, model.classes)
    for table in results.batches(reference, _AT_ONCE):
        output = [table[name].to_numpy() for name in _columns_of_output(table, model)]
        found.add(
            table[ACTUAL].to_pandas().to_numpy(),
            np.stack(output, axis=1) if model.classes else output[0],
            y_pred=table[PREDICTED].to_pandas().to_numpy() if model.classes else None,
            weights=None if weights is None else weights[begin : begin + len(table)],
        )
        begin += len(table)
    return found.scores()


def _columns_of_output(table: pa.Table, model: models.FittedModel) -> list[str]:
    """Names of the columns of a predictions table that a model's output stands in."""
    place = table.column_names.index(PREDICTED) + 1
    return table.column_names[place : place + len(model.classes)] or [PREDICTED]


def _all_weights(data: DatasetReady) -> Any:
    """How much each held-out row counts, of all of them; None where all count the same."""
    if WEIGHT not in results.schema(data.features).names:
        return None
    return np.concatenate([one[WEIGHT].to_numpy() for one in parts(data, Split.TEST, [WEIGHT])])


def _narrowed(
    ranges: dict[str, tuple[float, float]],
    of_sample: dict[str, float],
    found: dict[str, float],
    bench: Bench,
) -> dict[str, tuple[float, float]]:
    """Intervals by those of a sample."""
    n_sampled, n_rows = len(bench.rows), bench.data.n_test
    if not bench.is_in_parts:
        return ranges
    return {
        name: intervals.narrowed(one, of_sample[name], found[name], n_sampled, n_rows)
        for name, one in ranges.items()
        if name in found
    }


def _told(bench: Bench) -> dict[str, Any]:
    """What of the metrics is of all rows and what of a sample, where these are not the same."""
    if not bench.is_in_parts:
        return {}
    told = {"n_rows": bench.data.n_test, "n_sampled": len(bench.rows)}
    return {"parts": told | {"approximate": [name.value for name in tally.APPROXIMATE]}}


def _baseline(bench: Bench) -> dict[str, float]:
    kind, actual, _, classes = bench.answered
    weights = read_weights(bench.data, Split.TRAIN), bench.weights
    learned = bench.train[bench.data.target]
    return metrics.baseline(kind, learned, actual, classes, weights=weights)


def _decided(bench: Bench) -> dict[str, Any]:
    """What intervals hold of the held-out rows, and what a threshold does to them."""
    model, weights, actual = bench.model, bench.weights, bench.answered[1]
    if interval := model.deciding.interval:
        low, high = interval.of(bench.output)
        held = prediction_interval.coverage(low, high, actual, weights)
        width = float(np.average(high - low, weights=weights))
        log.info("%g %% intervals hold %.1f %% of the rows", 100 * interval.level, 100 * held)
        return {"coverage": {"level": interval.level, "held_out": held, "width": width}}
    if chosen := model.deciding.threshold:
        positive = model.classes[1]
        is_said = bench.judged["y_pred"] == positive
        rates = precision_recall(actual == positive, is_said, weights)
        told = dict(zip(("precision", "recall"), rates, strict=True))
        stated = {"positive": positive, "value": chosen.value, "goal": chosen.goal}
        return {"threshold": stated | told}
    return {}


def _cross_validated(bench: Bench) -> validation.CrossValidation:
    data = bench.data
    if not data.options.folds:
        return validation.CrossValidation({})
    return validation.cross_validate(
        read_training_rows(data),
        data.target,
        data.kind,
        folds=data.options.folds,
        seed=data.seed,
        fit=models.refitter(bench.model, recipe_of(data, bench.model.family)),
    )


@result_task("profile", name="profile training rows")
def profile_table(plan: EvaluationPlan) -> pa.Table:
    """Histograms of the features of all rows, and of the answers to those held out."""
    bench = _bench.get()
    sides = [features_of(rows, bench.data) for rows in (bench.train, bench.rows)]
    times = [read_bonds(bench.data, side).times for side in (Split.TRAIN, Split.TEST)]
    answers = pa.table(answer(bench.model, bench.output)).to_pandas()
    found = profile_of(
        pd.concat(sides, ignore_index=True),
        answers.drop(columns=[LOW, HIGH], errors="ignore"),
        times=None if any(one is None for one in times) else np.concatenate(times),
    )
    return with_lineage(to_table(found), plan.lineage)


@result_task("sample", name="sample training rows")
def sample_table(plan: EvaluationPlan) -> pa.Table:
    """Features of some rows, to be told from new ones."""
    bench = _bench.get()
    n_rows = min(len(bench.train), SAMPLED_ROWS)
    drawn = features_of(bench.train.sample(n_rows, random_state=bench.data.seed), bench.data)
    return with_lineage(pa.Table.from_pandas(drawn, preserve_index=False), plan.lineage)


@result_task("permutation_importance", name="permutation importance")
def permutation_table(plan: EvaluationPlan) -> pa.Table:
    """By how much the headline metric gets worse when a column is shuffled, and each repeat."""
    found = _shuffled(_bench.get())
    frame = found.frame()
    order = [found.features.index(name) for name in frame["feature"]]
    repeats = {f"repeat_{n}": found.raw[order, n] for n in range(found.raw.shape[1])}
    table = pa.Table.from_pandas(frame.assign(**repeats), preserve_index=False)
    return with_lineage(table, plan.lineage | {"metric": found.metric, "score": found.score})


def _shuffled(bench: Bench) -> importance.Importance:
    data, options = bench.data, bench.data.options
    rows = bench.sample(options.importance_rows)
    gone = undefined(data.kind, bench.model.classes, rows[data.target])
    # Announced as long: how long it takes is known only once it runs.
    expected = _LONG_SECONDS if rows.size * options.n_repeats > 1_000_000 else 0.0
    with progress(f"shuffle {data.problem}", expected) as report:
        return importance.permutation_importance(
            bench.model,
            features_of(rows, data),
            rows[data.target],
            nearest(data.headline, gone),
            options.n_repeats,
            data.seed,
            weights=bench.weights_of(rows),
            progress=report,
        )


@result_task("shap_global", name="mean |SHAP|")
def shap_global_table(plan: EvaluationPlan) -> pa.Table:
    """Mean absolute Shapley value of every feature, by class."""
    frame = shapley.global_importance(_bench.get().shap)
    labels = frame["class"].map(lambda label: None if label is None else str(label))
    frame = frame.assign(**{"class": labels})
    return with_lineage(pa.Table.from_pandas(frame, preserve_index=False), plan.lineage)


@result_task("shap_local", name="Shapley values")
def shap_local_table(plan: EvaluationPlan) -> pa.Table:
    """Shapley values of the explained rows: row id, class, base value, a column per feature."""
    bench = _bench.get()
    frame = bench.shap.frame(bench.explained[ROW].to_numpy())
    if "_class" in frame:
        frame["_class"] = frame["_class"].astype(str)
    facts = {"scale": bench.shap.scale.value, "method": bench.shap.method.value}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return with_lineage(table, plan.lineage | facts)
