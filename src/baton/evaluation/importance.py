"""Permutation importance: how much a metric suffers when one column is shuffled.

The numbers are those of ``sklearn.inspection.permutation_importance`` for the same seed. Here a
table is encoded once, only the shuffled column is written, and a column that no tree splits on
costs nothing; of boosters, only trees that have the column are asked again, by bit vectors. Shapley
values belong in ``baton.evaluation.shapley``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.evaluation import metrics
from baton.evaluation.reshuffled import reshuffled
from baton.lineage import lineage_of
from baton.metric import Metric
from baton.models import Ensemble, FittedModel
from baton.models.boosters import MeanMargin
from baton.models.lgbm import Boosted
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd
    import pyarrow as pa

    from baton.evaluation.reshuffled import Reshuffled

    Array = np.ndarray[Any, np.dtype[Any]]
    Progress = Callable[[int, int], None]

N_REPEATS = 5
"""Shuffles of every column, as in scikit-learn."""

SCORERS: dict[Metric, str] = {
    Metric.ACCURACY: "accuracy",
    Metric.BALANCED_ACCURACY: "balanced_accuracy",
    Metric.MCC: "matthews_corrcoef",
    Metric.F1_MACRO: "f1_macro",
    Metric.LOG_LOSS: "neg_log_loss",
    Metric.ROC_AUC: "roc_auc_ovr",
    Metric.AVERAGE_PRECISION: "average_precision",
    Metric.BRIER: "neg_brier_score",
    Metric.RMSE: "neg_root_mean_squared_error",
    Metric.MAE: "neg_mean_absolute_error",
    Metric.MEDIAN_AE: "neg_median_absolute_error",
    Metric.R2: "r2",
    Metric.MAPE: "neg_mean_absolute_percentage_error",
}
"""scikit-learn's scorer of every metric; greater is better for all of them."""


@dataclass(frozen=True)
class Importance:
    """By how much a metric gets worse when a column is shuffled; higher is more important."""

    mean: Array
    """Shape (n_features,), in the metric's unit."""
    std: Array
    """Shape (n_features,), over the repeats."""
    raw: Array
    """Shape (n_features, n_repeats)."""
    features: tuple[str, ...]
    metric: str
    score: float
    """The metric on the rows as they are, negated where less is better."""

    @classmethod
    def of_table(cls, table: pa.Table) -> Importance:
        """Importance of the table that an evaluation keeps, whose lineage names the metric."""
        facts = lineage_of(table.schema)
        return cls.of_frame(table.to_pandas(), facts["metric"], facts.get("score", math.nan))

    @classmethod
    def of_frame(cls, lines: pd.DataFrame, metric: str, score: float) -> Importance:
        """Importance of a table with the columns of :meth:`frame` and ``repeat_0`` and so on."""
        repeats = [name for name in lines.columns if name.startswith("repeat_")]
        return cls(
            mean=lines["mean"].to_numpy(),
            std=lines["std"].to_numpy(),
            raw=lines[repeats].to_numpy(),
            features=tuple(lines["feature"]),
            metric=metric,
            score=score,
        )

    def _repr_html_(self) -> str:
        from baton.words import display

        heading = (f"{self.metric} lost by shuffling", "mean", "standard deviation")
        return display.table(heading, self.frame().itertuples(index=False))

    def frame(self) -> pd.DataFrame:
        """One line per feature, most important first: ``feature``, ``mean``, ``std``."""
        import pandas as pd

        lines = pd.DataFrame({"feature": self.features, "mean": self.mean, "std": self.std})
        return lines.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def permutation_importance(
    model: Any,
    X: Any,
    y: Any,
    metric: str | Callable[[Any, Any, Any], float],
    n_repeats: int = N_REPEATS,
    seed: int = 0,
    *,
    weights: Any = None,
    progress: Progress | None = None,
) -> Importance:
    """Permutation importance of every column.

    Parameters
    ----------
    model : FittedModel or fitted estimator
    X : DataFrame or array of shape (n, n_features)
        Held-out rows; a table in the user's columns for a `FittedModel`, whose columns then are
        the features, whatever they are encoded to.
    y : array-like of shape (n,)
        Labels or numbers. Rows of a class that a `FittedModel` never saw are left out.
    metric : str or callable
        A name of :class:`baton.evaluation.metrics.Metric`; for a plain estimator also a
        scikit-learn scorer or its name.
    n_repeats, seed : int
    weights : array of shape (n,), optional
        How much each row counts for a `FittedModel`; all the same if not given.
    progress : callable, optional
        Called with the predictions done and the predictions in all.

    Raises
    ------
    InputError
        If there is no row, or the metric is not defined on these rows.

    Notes
    -----
    Breiman (2001), Machine Learning 45, 5-32. Every column is shuffled by the same permutations,
    drawn as scikit-learn draws them.
    """
    if len(X) == 0:
        raise InputError("no rows to compute the permutation importance on")
    if isinstance(model, FittedModel):
        subject = _fitted_subject(model, X, y, metric, weights)
    else:
        subject = _plain_subject(model, X, y, metric)
    trees = subject.trees(1 + sum(subject.used) * n_repeats) if subject.trees else None
    whole = subject.judge(trees.output) if trees else subject.score(subject.columns.table)
    raw = whole - _scores(subject, trees, whole, n_repeats, seed, progress or _silent)
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", str(metric))
    return Importance(
        mean=raw.mean(axis=1),
        std=raw.std(axis=1),
        raw=raw,
        features=subject.features,
        metric=str(name),
        score=whole,
    )


def _silent(done: int, total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class _Matrix:
    """Rows whose columns can be replaced, group by group."""

    table: Array
    groups: tuple[Array, ...]

    def copy(self) -> _Matrix:
        return _Matrix(self.table.copy(), self.groups)

    def take(self, feature: int, rows: Array | slice) -> Any:
        return self.table[rows][:, self.groups[feature]]

    def put(self, feature: int, values: Any) -> None:
        self.table[:, self.groups[feature]] = values

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class _Sparse:
    """The same for a sparse matrix, which lies in a block per group."""

    blocks: list[Any]

    @property
    def table(self) -> Any:
        from scipy.sparse import hstack

        return hstack(self.blocks, format="csr")

    def copy(self) -> _Sparse:
        return _Sparse(list(self.blocks))

    def take(self, feature: int, rows: Array | slice) -> Any:
        return self.blocks[feature][rows]

    def put(self, feature: int, values: Any) -> None:
        self.blocks[feature] = values

    def __len__(self) -> int:
        return int(self.blocks[0].shape[0])


@dataclass(frozen=True)
class _Several:
    """The matrices of several models of the same rows."""

    each: tuple[_Matrix | _Sparse, ...]

    @property
    def table(self) -> Any:
        return [one.table for one in self.each]

    def copy(self) -> _Several:
        return _Several(tuple(one.copy() for one in self.each))

    def take(self, feature: int, rows: Array | slice) -> Any:
        return [one.take(feature, rows) for one in self.each]

    def put(self, feature: int, values: Any) -> None:
        for one, own in zip(self.each, values, strict=True):
            one.put(feature, own)

    def __len__(self) -> int:
        return len(self.each[0])


@dataclass(frozen=True)
class _Frame:
    """The same for a DataFrame, whose columns keep their types."""

    table: pd.DataFrame

    def copy(self) -> _Frame:
        return _Frame(self.table.copy())

    def take(self, feature: int, rows: Array | slice) -> Any:
        return self.table.iloc[rows, feature].array

    def put(self, feature: int, values: Any) -> None:
        self.table.isetitem(feature, values)

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class _Subject:
    columns: Any
    features: tuple[str, ...]
    used: tuple[bool, ...]
    score: Callable[[Any], float]
    """Of rows, whose answers are asked for."""
    judge: Callable[[Any], float] = float
    """Of answers, where there are trees."""
    trees: Callable[[int], Reshuffled | None] | None = None
    """Tables of the model's trees for so many predictions, where there can be any."""


def _scores(
    subject: _Subject,
    trees: Reshuffled | None,
    whole: float,
    n_repeats: int,
    seed: int,
    progress: Progress,
) -> Array:
    """Score with every column shuffled: array of shape (n_features, n_repeats)."""
    scores = np.full((len(subject.features), n_repeats), whole)
    orders = list(_orders(len(subject.columns), n_repeats, seed))
    used = [feature for feature, is_used in enumerate(subject.used) if is_used]
    for feature, of_orders in zip(used, _of_each(subject, trees, used, orders), strict=True):
        for repeat, score in enumerate(of_orders):
            scores[feature, repeat] = score
            progress(feature * n_repeats + repeat + 1, scores.size)
    progress(scores.size, scores.size)
    return scores


def _of_each(
    subject: _Subject, trees: Reshuffled | None, used: list[int], orders: list[Array]
) -> Iterator[Iterable[float]]:
    """For each column, its score in each order: by the model's trees, or by its engine."""
    if trees is None:
        yield from _by_engine(subject, used, orders)
        return
    groups = [subject.columns.groups[feature] for feature in used]
    for outputs in trees.outputs(groups, orders):
        yield map(subject.judge, outputs)


def _by_engine(
    subject: _Subject, used: list[int], orders: list[Array]
) -> Iterator[Iterable[float]]:
    working = subject.columns.copy()

    def shuffled(feature: int, order: Array) -> float:
        working.put(feature, subject.columns.take(feature, order))
        return subject.score(working.table)

    for feature in used:
        yield map(partial(shuffled, feature), orders)
        working.put(feature, subject.columns.take(feature, slice(None)))


def _orders(n_rows: int, n_repeats: int, seed: int) -> Iterator[Array]:
    """Orders of the rows, the same for every column, from scikit-learn's random stream."""
    child = np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1)
    random = np.random.RandomState(child)
    shuffled, order = np.arange(n_rows), np.arange(n_rows)
    for _ in range(n_repeats):  # it shuffles the index again, and what is shuffled already by it
        random.shuffle(shuffled)
        order = order[shuffled]
        yield order


def _fitted_subject(
    model: FittedModel, X: pd.DataFrame, y: Any, metric: Any, weights: Any
) -> _Subject:
    name = metrics.parse(metric)
    if metrics.INFO[name].kind is not model.kind:
        raise InputError(f"metric {metric!r} does not go with a {model.kind.value}")
    actual, known = np.asarray(y), np.ones(len(y), dtype=bool)
    if model.kind is Kind.CLASSIFICATION:
        codes = _known_codes(actual, model.classes)
        known = codes >= 0
        actual = codes[known]
    counts = None if weights is None else weights[known]
    classes, sign = range(len(model.classes)), 1 if metrics.GREATER_IS_BETTER[name] else -1

    def judge(output: Any) -> float:
        said = model.deciding.codes(output) if model.classes else None
        value = metrics.score(name, actual, output, classes, y_pred=said, weights=counts)
        if value is None:
            raise InputError(
                f"metric {metric!r} is not defined on these {len(actual)} rows; choose another"
            )
        return sign * value

    columns, used = _columns_of(model, X, known)
    trees = partial(reshuffled, model, columns.table) if isinstance(columns, _Matrix) else None
    names = tuple(model.encoder.column_names)
    return _Subject(columns, names, used, lambda X: judge(model.output(X)), judge, trees)


def _columns_of(model: FittedModel, X: pd.DataFrame, known: Any) -> tuple[Any, tuple[bool, ...]]:
    """Columns as the model sees them, and whether each can change a prediction."""
    if isinstance(model, Ensemble):
        each, used = zip(*(_columns_of(one, X, known) for one in model.members), strict=True)
        return _Several(each), tuple(map(any, zip(*used, strict=True)))
    matrix = model.matrix(X)[known]
    groups = _groups(model.encoder.sources, len(model.encoder.columns))
    split_on = _split_on(model.estimator, matrix.shape[1])
    is_dense = isinstance(matrix, np.ndarray)
    columns = _Matrix(matrix, groups) if is_dense else _Sparse([matrix[:, one] for one in groups])
    return columns, tuple(bool(split_on[group].any()) for group in groups)


def _known_codes(labels: Array, classes: tuple[Any, ...]) -> Array:
    import pandas as pd

    return np.asarray(pd.Index(list(classes)).get_indexer(pd.Index(labels)))


def _groups(sources: Array, n_features: int) -> tuple[Array, ...]:
    return tuple(np.flatnonzero(sources == feature) for feature in range(n_features))


def _plain_subject(estimator: Any, X: Any, y: Any, metric: Any) -> _Subject:
    scorer = _scorer(metric)
    columns: Any
    if hasattr(X, "iloc"):
        columns, n_features = _Frame(X), X.shape[1]
        features = tuple(map(str, X.columns))
    else:
        matrix = np.asarray(X)
        n_features = matrix.shape[1]
        columns = _Matrix(matrix, tuple(np.array([place]) for place in range(n_features)))
        given = getattr(estimator, "feature_names_in_", None)
        features = tuple(f"x{i}" for i in range(n_features)) if given is None else tuple(given)

    def score(rows: Any) -> float:
        value = float(scorer(estimator, rows, y))
        if math.isnan(value):
            raise InputError(f"metric {metric!r} is not defined on these {len(rows)} rows")
        return value

    used = tuple(_split_on(estimator, n_features).tolist())
    return _Subject(columns, features, used, score)


def _scorer(metric: Any) -> Any:
    from sklearn.metrics import get_scorer

    if callable(metric):
        return metric
    try:
        return get_scorer(SCORERS.get(metric, metric))
    except ValueError:
        raise InputError(
            f"unknown metric {metric!r}; there are: {', '.join(Metric)} and scikit-learn's scorers"
        ) from None


def _split_on(estimator: Any, n_features: int) -> Array:
    """Whether a column can change a prediction: False where no tree of a booster splits on it."""
    if isinstance(estimator, MeanMargin):
        of_each = [_split_on(one, n_features) for one in estimator.members]
        return np.asarray(np.any(of_each, axis=0))
    if isinstance(estimator, Boosted):
        return np.asarray(estimator.booster_.feature_importance("split") > 0)
    everything = np.ones(n_features, dtype=bool)
    if not _is_xgboost(estimator):
        return everything
    booster = estimator.get_booster()
    kind = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
    if kind not in ("gbtree", "dart"):
        return everything
    names = booster.feature_names or [f"f{place}" for place in range(n_features)]
    counts = booster.get_score(importance_type="weight")
    return np.array([name in counts for name in names])


def _is_xgboost(estimator: Any) -> bool:
    is_its_own = any(one.__module__.startswith("xgboost.") for one in type(estimator).__mro__)
    return is_its_own and hasattr(estimator, "get_booster")
