"""Fitting XGBoost on a Dask cluster, on rows that need not fit into one machine's memory.

This process holds one column at a time; each worker reads and encodes its own part of the rows.
Starting or reaching a cluster belongs in ``tasks/platform/cluster.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baton.bonds import Bonds
from baton.encoding.native import Encoder, column_encodings
from baton.models import stopping
from baton.models.checks import check, refusals
from baton.models.fitted import FittedModel, fitted_by, spec_of, targets
from baton.models.interface import Encoding, FitSpec
from baton.models.recipe import Recipe
from baton.models.registry import FAMILIES
from baton.models.xgb import XGBoost
from baton.partitions import partitions_of
from baton.terms import GROUP, RESERVED, SPLIT, TIME, Split

_NAME = "xgboost"
_PARTS_PER_WORKER = 2
"""At least: parts are read and encoded one after the other."""

_IN_BINS = "hist"
_MAX_BIN = 256
"""XGBoost's own."""


def can_fit(recipe: Recipe, n_rows: int) -> bool:
    """Tell whether a recipe is fitted on a cluster; others are fitted here, with all their rows.

    Parameters
    ----------
    recipe : Recipe
    n_rows : int
        Rows to learn from: few are not worth the way.
    """
    if recipe.family != _NAME or recipe.metric or n_rows < stopping.FOLDS_ROWS:
        return False
    settings = FAMILIES[_NAME].defaults(recipe.kind, n_rows) | recipe.params
    return settings["encoding"] in (Encoding.NATIVE, Encoding.TARGET)


@dataclass(frozen=True)
class RowsOnDisk:
    """Training rows of a feature table in a Parquet file that every worker can read."""

    path: Path
    target: str

    @property
    def features(self) -> list[str]:
        """Columns to learn from."""
        import pyarrow.parquet as pq

        others = {*RESERVED, self.target}
        return [name for name in pq.read_schema(self.path).names if name not in others]

    @property
    def positions(self) -> Any:
        """Positions of the training rows in the file: array of shape (n,)."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        sides = pq.read_table(self.path, columns=[SPLIT], read_dictionary=[SPLIT])[SPLIT]
        return np.flatnonzero(pc.equal(sides, pa.scalar(Split.TRAIN.value)).to_numpy())

    def column(self, name: str, positions: Any) -> Any:
        """One column of these rows, a DataFrame."""
        import pyarrow.parquet as pq

        return pq.read_table(self.path, columns=[name]).take(positions).to_pandas()

    def bonds(self, positions: Any) -> Bonds:
        """What these rows hang together by."""
        import pyarrow.parquet as pq

        there = set(pq.read_schema(self.path).names)
        found = (
            self.column(name, positions)[name].to_numpy() if name in there else None
            for name in (GROUP, TIME)
        )
        return Bonds(*found)

    def part(self, positions: Any) -> Any:
        """Read these rows, a DataFrame, and of the file only the row groups that they are in."""
        import pyarrow as pa

        columns, first, last = [*self.features, self.target], positions[0], positions[-1]
        there = [one for one in partitions_of(self.path) if one.end > first and one.begin <= last]
        groups = pa.concat_tables([one.read(columns) for one in there])
        return groups.take(positions - there[0].begin).to_pandas()

    def blocks(self, positions: Any, n_least: int) -> list[Any]:
        """Positions by the row group that they lie in; split evenly where these are too few."""
        ends = [one.end for one in partitions_of(self.path)]
        cuts = np.searchsorted(positions, ends[:-1])
        found = [one for one in np.split(positions, cuts) if len(one)]
        if len(found) >= n_least:
            return found
        return np.array_split(positions, min(len(positions), n_least))


@dataclass(frozen=True)
class _Chosen:
    """Positions of rows, as a worker is told of them: a bit for each row from the first on."""

    first: int
    bits: Any

    @classmethod
    def of(cls, positions: Any) -> _Chosen:
        is_chosen = np.zeros(positions[-1] - positions[0] + 1, dtype=bool)
        is_chosen[positions - positions[0]] = True
        return cls(int(positions[0]), np.packbits(is_chosen))

    @property
    def positions(self) -> Any:
        return self.first + np.flatnonzero(np.unpackbits(self.bits))


@dataclass(frozen=True)
class _Part:
    """What one worker encodes."""

    rows: RowsOnDisk
    encoder: Encoder
    classes: tuple[Any, ...]

    def encode(self, chosen: _Chosen) -> tuple[Any, Any]:
        frame = self.rows.part(chosen.positions)
        values = frame[self.rows.target]
        if self.classes:
            labels = {label: code for code, label in enumerate(self.classes)}
            y = np.array([labels[value] for value in values.tolist()], dtype=np.float32)
        else:
            y = values.to_numpy(dtype=np.float32)
        return self.encoder.transform(frame), y


def fit(client: Any, path: Path, recipe: Recipe) -> FittedModel:
    """Fit XGBoost on a cluster, as :func:`baton.models.fit` does in one process.

    Parameters
    ----------
    client : distributed.Client
    path : Path
        Feature table in a Parquet file, read by this process and by the workers.
    recipe : Recipe
        Of XGBoost, as :func:`can_fit` says. Categories keep their codes, however many levels
        they have.

    Returns
    -------
    FittedModel
        The same as one that was fitted in one process, but for the last digits.

    Raises
    ------
    InputError
        As :func:`baton.models.fit`.
    """
    family, rows = XGBoost(), RowsOnDisk(path, recipe.target)
    check(_NAME, family, recipe.kind, recipe.params)
    positions = rows.positions
    settings = family.defaults(recipe.kind, len(positions)) | recipe.params
    labels = rows.column(recipe.target, positions)[recipe.target]
    classes, y = targets(labels, recipe.kind, recipe.positive)
    encoder = Encoder(
        columns=tuple(
            one for name in rows.features for one in column_encodings(rows.column(name, positions))
        )
    )
    spec = spec_of(recipe, settings, encoder, classes, rows.bonds(positions))
    with refusals(_NAME, family, recipe.kind, recipe.params):
        booster = _train(client, _Part(rows, encoder, classes), positions, y, spec)
    estimator = family.of_bytes(booster.save_raw("ubj"), recipe.kind)
    return fitted_by(recipe, settings, encoder, classes, estimator)


def _train(client: Any, part: _Part, positions: Any, y: Any, spec: FitSpec) -> Any:
    """Train a booster on all rows; with early stopping, with as many trees as a part found."""
    most = int(spec.params["n_estimators"])
    stops = spec.params["early_stopping"]
    n_trees = _rounds(client, part, positions, y, spec) if stops else most
    return _boosted(client, spec, _matrix(client, part, positions, spec), n_trees)


def _rounds(client: Any, part: _Part, positions: Any, y: Any, spec: FitSpec) -> int:
    """Number of trees at which the loss of rows beside those fitted is least."""
    from xgboost import callback

    fitted, watched = (positions[np.sort(places)] for places in stopping.parted(y, spec))
    rows = _matrix(client, part, fitted, spec)
    found = _boosted(
        client,
        spec,
        rows,
        int(spec.params["n_estimators"]),
        evals=[(_matrix(client, part, watched, spec, rows), "watched")],
        callbacks=[callback.EarlyStopping(rounds=stopping.PATIENCE)],
    )
    return int(found.best_iteration) + 1


def _boosted(client: Any, spec: FitSpec, rows: Any, n_trees: int, **watching: Any) -> Any:
    from xgboost import dask

    settings = XGBoost().of_training(spec)
    return dask.train(
        client, settings, rows, num_boost_round=n_trees, verbose_eval=False, **watching
    )["booster"]


def _matrix(client: Any, part: _Part, positions: Any, spec: FitSpec, fitted: Any = None) -> Any:
    """Matrix whose blocks are read, encoded and put into bins where they stay.

    Bins are a quarter of the encoded rows; those of rows to watch are the fitted ones'.
    """
    import dask.array as da
    from dask import delayed

    n_workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    blocks = part.rows.blocks(positions, _PARTS_PER_WORKER * n_workers)
    width = len(part.encoder.names)
    X, y = [], []
    for block in blocks:
        both = delayed(part.encode, nout=2)(_Chosen.of(block))
        X.append(da.from_delayed(both[0], (len(block), width), np.float32))
        y.append(da.from_delayed(both[1], (len(block),), np.float32))
    return _held(client, da.concatenate(X), da.concatenate(y), part.encoder, spec, fitted)


def _held(client: Any, X: Any, y: Any, encoder: Encoder, spec: FitSpec, fitted: Any) -> Any:
    from xgboost.dask import DaskDMatrix, DaskQuantileDMatrix

    types = encoder.feature_types
    known = {"feature_types": types, "enable_categorical": "c" in types}
    if spec.params.get("tree_method", _IN_BINS) != _IN_BINS:
        return DaskDMatrix(client, X, y, **known)
    max_bin = spec.params.get("max_bin", _MAX_BIN)
    return DaskQuantileDMatrix(client, X, y, **known, max_bin=max_bin, ref=fitted)
